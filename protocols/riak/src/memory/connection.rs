//! Connections to a node in memory.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use glowplug_core::{Instant, Interest, ReadInterest, SendBuf, StreamProtocol};

use super::{Node, Replies};
use crate::config::ServerConfig;
use crate::error::Error;
use crate::event::ServerEvent;
use crate::server::ServerConnection;

/// How much a client may send ahead while its request is never answered.
const MAX_AHEAD: usize = 64 * 1024;

/// A node that any number of connections share. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Mutex<Shared>>);

struct Shared {
    node: Node,
    next_connection: u64,
}

impl Handle {
    /// A handle to `node`.
    pub fn new(node: Node) -> Self {
        Self(Arc::new(Mutex::new(Shared { node, next_connection: 0 })))
    }

    /// Lets `with` have the node to itself: to look into it, or to prepare it for a test.
    pub fn with<R>(&self, with: impl FnOnce(&mut Node) -> R) -> R {
        with(&mut self.lock().node)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panic under the lock is a failed test already; the data are whole between requests.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle(..)")
    }
}

/// What a [`Connection`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The client asked for TLS and is told yes: send what
    /// [`poll_transmit`](glowplug_core::StreamProtocol::poll_transmit) gives, do the handshake on the transport, then call
    /// [`tls_established`](Connection::tls_established).
    StartTls,
}

/// One connection to a node in memory: it answers by itself.
///
/// A stream is produced as the transport takes it. After an error for which
/// [`closes_connection`](crate::ServerError::closes_connection) is true it closes, as a real node does.
#[derive(Debug)]
pub struct Connection {
    inner: ServerConnection,
    node: Handle,
    id: u64,
    /// What the time since 1970 was at [`Instant::ZERO`].
    epoch: Duration,
    replies: Option<Replies>,
    eof: bool,
    closing: bool,
    /// Input that is left while a request is never answered.
    ahead: usize,
}

impl Connection {
    /// A connection that was just accepted. `wall_clock` is the time since 1970 at `now`.
    pub fn new(now: Instant, wall_clock: Duration, config: ServerConfig, node: &Handle) -> Self {
        let id = {
            let mut shared = node.lock();
            shared.next_connection += 1;
            shared.next_connection
        };
        let epoch = wall_clock.saturating_sub(now - Instant::ZERO);
        let inner = ServerConnection::new(now, config);
        Self { inner, node: node.clone(), id, epoch, replies: None, eof: false, closing: false, ahead: 0 }
    }

    /// The TLS handshake that [`Event::StartTls`] asked for is done.
    pub fn tls_established(&mut self, now: Instant) {
        self.inner.tls_established(now);
    }

    /// True while the request in progress will never be answered: some requests are not, by real nodes either.
    fn is_stuck(&self) -> bool {
        self.inner.can_reply() && self.replies.as_ref().is_some_and(|replies| replies.len() == 0)
    }

    /// Gives the replies that there is room for.
    fn pump(&mut self, now: Instant) {
        while self.inner.can_reply() {
            let Some(reply) = self.replies.as_mut().and_then(Iterator::next) else { return };
            let closes = matches!(&reply, Err(error) if error.closes_connection());
            // The node answers what was asked; a reply that does not fit ends the connection.
            if self.inner.reply(now, reply).is_err() || closes {
                self.inner.close(now);
            }
        }
    }
}

impl StreamProtocol for Connection {
    type Event = Event;
    type Error = Error;

    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<Event>, Error> {
        loop {
            self.pump(now);
            if self.is_stuck() {
                self.ahead = input.len();
                return Ok(None);
            }
            match self.inner.poll_event(now, input)? {
                Some(ServerEvent::Request(request)) => {
                    let time = self.epoch + (now - Instant::ZERO);
                    self.replies = Some(self.node.lock().node.handle(time, self.id, request));
                }
                Some(ServerEvent::StartTls) => return Ok(Some(Event::StartTls)),
                None => return Ok(None),
            }
        }
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut SendBuf) {
        self.inner.poll_transmit(now, out);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.inner.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.inner.handle_timeout(now);
    }

    fn handle_eof(&mut self, now: Instant) {
        self.eof = true;
        self.inner.handle_eof(now);
    }

    fn close(&mut self, now: Instant) {
        self.closing = true;
        self.inner.close(now);
    }

    fn interest(&self) -> Interest {
        let interest = self.inner.interest();
        if !self.is_stuck() {
            return interest;
        }
        // Only the client's end is of interest still.
        if self.eof || self.closing {
            return Interest::CLOSED;
        }
        let read = if self.ahead < MAX_AHEAD { ReadInterest::Want(1) } else { ReadInterest::Paused };
        Interest { read, ..interest }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.node.lock().node.disconnected(self.id);
    }
}

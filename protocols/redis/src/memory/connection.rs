//! The server in memory as one end of a byte stream.

use alloc::sync::Arc;
use core::convert::Infallible;
use core::fmt;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use glowplug_core::{Instant, Interest, ReadInterest, SendBuf, StreamProtocol};

use super::Config;
use super::server::{ConnectionId, Output, Server};
use crate::error::Error;
use crate::server::{ServerConnection, ServerEvent};

/// How often a connection that waits for what others do looks whether they have: a machine has nobody to wake it.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How much a client may send ahead while its pop waits.
const MAX_AHEAD: usize = 64 * 1024;

/// One [`Server`], shared by its connections.
#[derive(Clone)]
pub struct Handle(Arc<Mutex<Server>>);

impl Handle {
    /// A new server.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Mutex::new(Server::new(config))))
    }

    /// Lets `with` have the server to itself: to look into it, or to prepare it for a test.
    pub fn with<R>(&self, with: impl FnOnce(&mut Server) -> R) -> R {
        with(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Server> {
        // A panic under the lock is a failed test already; the data are whole between commands.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle(..)")
    }
}

/// One connection to a server in memory: it answers by itself, and so has no events.
///
/// While it listens or waits for an element, it looks every two milliseconds whether others have something for it: by
/// [`poll_timeout`](StreamProtocol::poll_timeout), so any driver and any clock will do.
#[derive(Debug)]
pub struct Connection {
    inner: ServerConnection,
    server: Handle,
    id: ConnectionId,
    blocked: bool,
    waits: bool,
    eof: bool,
    /// Input that is left while a pop waits.
    ahead: usize,
    looked: Instant,
}

impl Connection {
    /// A connection that was just accepted.
    pub fn new(now: Instant, server: &Handle) -> Self {
        let (id, config) = server.with(|server| (server.connect(), server.config.connection.clone()));
        Self {
            inner: ServerConnection::new(now, config),
            server: server.clone(),
            id,
            blocked: false,
            waits: false,
            eof: false,
            ahead: 0,
            looked: now,
        }
    }

    /// The connection's number, as `CLIENT ID` tells it.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Takes what the server has for this connection.
    fn collect(&mut self, now: Instant) {
        let mut server = self.server.lock();
        while let Some(output) = server.poll_output(self.id) {
            match output {
                Output::Reply(value) => self.inner.reply(&value),
                Output::Push(value) => self.inner.push(&value),
                Output::Answered => self.inner.reply_nothing(),
                Output::Protocol(protocol) => self.inner.set_protocol(protocol),
                Output::Close => self.inner.close(now),
            }
        }
        self.blocked = server.is_blocked(self.id);
        self.waits = server.waits_for_others(self.id);
    }

    fn look(&mut self, now: Instant) {
        self.looked = now;
        self.server.lock().handle_timeout(now);
        self.collect(now);
    }
}

impl StreamProtocol for Connection {
    type Event = Infallible;
    type Error = Error;

    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<Infallible>, Error> {
        self.look(now);
        loop {
            if self.blocked {
                self.ahead = input.len();
                if self.eof {
                    // Nobody is there to hear the answer.
                    self.server.lock().disconnect(self.id);
                    self.blocked = false;
                    self.waits = false;
                    self.inner.reply_nothing();
                    self.inner.close(now);
                }
                return Ok(None);
            }
            match self.inner.poll_event(now, input)? {
                Some(ServerEvent::Command(command)) => {
                    self.server.lock().call(now, self.id, &command);
                    self.collect(now);
                }
                None => return Ok(None),
            }
        }
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut SendBuf) {
        self.inner.poll_transmit(now, out);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let look = self.waits.then(|| self.looked + LOOK_EVERY);
        [look, self.inner.poll_timeout()].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.waits && now >= self.looked + LOOK_EVERY {
            self.look(now);
        }
        self.inner.handle_timeout(now);
    }

    fn handle_eof(&mut self, now: Instant) {
        self.eof = true;
        self.inner.handle_eof(now);
    }

    fn close(&mut self, now: Instant) {
        self.inner.close(now);
    }

    fn interest(&self) -> Interest {
        let interest = self.inner.interest();
        if self.blocked && interest.read.wants() {
            let read = if self.ahead < MAX_AHEAD { ReadInterest::Want(1) } else { ReadInterest::Paused };
            return Interest { read, ..interest };
        }
        interest
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.server.lock().disconnect(self.id);
    }
}

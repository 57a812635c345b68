//! The server in memory as one end of a byte stream.

use core::convert::Infallible;
use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use glowplug_core::{Instant, Interest, Seed, SendBuf, StreamProtocol};

use super::{MemoryConfig, MemoryServer};
use crate::bson::{Document, RawDocument};
use crate::config::Limits;
use crate::error::Error;
use crate::server::{Request, ServerConnection};

/// Replies to one getMore of a client that takes them unasked; it then asks again.
const MAX_STREAM: usize = 64;

/// One [`MemoryServer`], shared by its connections.
#[derive(Clone)]
pub struct Handle(Arc<Mutex<Shared>>);

struct Shared {
    server: MemoryServer,
    connections: u64,
}

impl Handle {
    /// A new server.
    pub fn new(config: MemoryConfig, seed: &Seed) -> Self {
        Self(Arc::new(Mutex::new(Shared { server: MemoryServer::new(config, seed), connections: 0 })))
    }

    /// Lets `with` have the server to itself: to look into it, or to prepare it for a test.
    pub fn with<R>(&self, with: impl FnOnce(&mut MemoryServer) -> R) -> R {
        with(&mut self.lock().server)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panic under the lock is a failed test already; the data are whole between commands.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Handle {
    /// A server without users, whose ids all tests have in common.
    fn default() -> Self {
        Self::new(MemoryConfig::default(), &Seed::from_u64(0))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle(..)")
    }
}

/// One connection to a server in memory: it answers by itself, and so has no events.
#[derive(Debug)]
pub struct Connection {
    inner: ServerConnection,
    server: Handle,
    id: u64,
}

impl Connection {
    /// A connection that was just accepted.
    pub fn new(server: &Handle) -> Self {
        let id = {
            let mut shared = server.lock();
            shared.connections += 1;
            shared.connections
        };
        Self { inner: ServerConnection::new(Limits::default()), server: server.clone(), id }
    }

    /// The connection's number, as the reply to `hello` tells it.
    pub fn id(&self) -> u64 {
        self.id
    }

    fn answer(&mut self, request: &Request) -> Result<(), Hangup> {
        let mut shared = self.server.0.lock().unwrap_or_else(PoisonError::into_inner);
        let server = &mut shared.server;
        let reply = server.handle(self.id, request);
        if server.take_hangup(self.id) {
            return Err(Hangup);
        }
        let (Some(handle), Some(mut reply)) = (request.handle, reply) else { return Ok(()) };
        let mut sent = 1;
        // A getMore that allows it is answered with all that is left, the last reply excepted, as if each had been asked for.
        while request.allows_stream()
            && sent < MAX_STREAM
            && let Some(next) = live_cursor(&reply).and_then(|()| server.handle(self.id, request))
        {
            let document = RawDocument::from(core::mem::replace(&mut reply, next));
            if self.inner.reply_more(handle, document).is_err() {
                return Ok(());
            }
            sent += 1;
        }
        // The request waits, unless its connection is over: then nobody does.
        let _ = self.inner.reply(handle, reply.into());
        Ok(())
    }
}

/// The connection is to end without an answer.
struct Hangup;

/// Something, when a reply has documents and its cursor lives.
fn live_cursor(reply: &Document) -> Option<()> {
    let cursor = reply.as_doc().get_doc("cursor")?;
    let batch = cursor.get_array("nextBatch")?;
    (cursor.get_i64("id")? != 0 && batch.as_doc().has_elements()).then_some(())
}

impl StreamProtocol for Connection {
    type Event = Infallible;
    type Error = Error;

    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<Infallible>, Error> {
        while let Some(request) = self.inner.poll_event(now, input)? {
            if self.answer(&request).is_err() {
                return Err(Error::UnexpectedEof);
            }
        }
        Ok(None)
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
        self.inner.handle_eof(now);
    }

    fn close(&mut self, now: Instant) {
        self.inner.close(now);
    }

    fn interest(&self) -> Interest {
        self.inner.interest()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.server.lock().server.disconnect(self.id);
    }
}

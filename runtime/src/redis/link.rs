//! A transport that comes back.
//!
//! ```text
//!        dialed            broken, or the machine gave up
//!   Up <--------- Dialing <--------- Waiting (backoff) <--- Up
//! ```
//!
//! The shared driver knows nothing of it: its transport is merely quiet between two sockets, and its machine, a
//! [`Session`](super::Session), goes on with what was not sent. Both ends of the word between them live in the driver's task.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use glowplug_core::{Instant, SendBuf};

use super::recovery::Recovery;
use super::target::Target;
use super::{ConnectError, Stream};
use crate::dial::Dialing;
use crate::time::{Sleep, sleep_until};
use crate::{Runtime, Transport};

/// What a [`Link`] and its [`Session`](super::Session) tell each other.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// Whether there is anything beyond the first socket.
    reconnects: bool,
    /// What the link has to tell.
    news: AtomicU8,
    /// The session has given up the socket: hang up and dial anew.
    hang_up: AtomicBool,
    /// There is more than one socket, and the first handshake is done: from here on, an end is not the end.
    armed: AtomicBool,
    cause: Mutex<Option<io::Error>>,
}

/// What the link has to tell the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    None,
    Broken,
    Up,
}

impl News {
    const BROKEN: u8 = 1;
    const UP: u8 = 2;
}

impl Wire {
    pub(super) fn new(reconnects: bool) -> Self {
        Self { reconnects, ..Self::default() }
    }

    /// One load, on the way of every answer.
    pub(super) fn news(&self) -> News {
        match self.news.load(Ordering::Acquire) {
            0 => News::None,
            News::BROKEN => News::Broken,
            _ => News::Up,
        }
    }

    /// The session has heard the news.
    pub(super) fn heard(&self) {
        self.news.store(0, Ordering::Release);
    }

    pub(super) fn take_cause(&self) -> io::Error {
        let cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner).take();
        cause.unwrap_or_else(|| io::ErrorKind::ConnectionAborted.into())
    }

    pub(super) fn hang_up(&self) {
        self.hang_up.store(true, Ordering::Release);
    }

    pub(super) fn arm(&self) {
        self.armed.store(self.reconnects, Ordering::Release);
    }

    pub(super) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }
}

/// The transport under a client: one socket after another.
pub struct Link<R: Runtime> {
    state: State<R>,
    wire: Arc<Wire>,
    target: Arc<Target<R>>,
    recovery: Recovery,
    /// The socket takes no more. What the peer said before may still be there to be read.
    write_error: Option<io::Error>,
}

enum State<R: Runtime> {
    Up(Stream<R>),
    /// The session has to hear of it first.
    Broken,
    Waiting(Sleep<R::Timer>),
    Dialing(Box<Dialing<R>>),
}

impl<R: Runtime> Link<R> {
    pub(super) fn new(target: Arc<Target<R>>, wire: Arc<Wire>, stream: Stream<R>) -> Self {
        let recovery = Recovery::new(&target);
        Self { state: State::Up(stream), wire, target, recovery, write_error: None }
    }

    /// The socket is over, and the session is told.
    fn break_off(&mut self, cause: io::Error) {
        *self.wire.cause.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
        self.wire.news.store(News::BROKEN, Ordering::Release);
        self.state = State::Broken;
        self.write_error = None;
    }

    /// Waits until it is time to dial, or gives up with the last error.
    fn wait(&mut self, until: Option<Instant>, error: ConnectError) -> io::Result<()> {
        let at = until.ok_or_else(|| io::Error::other(error))?;
        self.state = State::Waiting(sleep_until(&self.target.runtime, at));
        Ok(())
    }

    fn now(&self) -> Instant {
        self.target.runtime.now()
    }

    #[cold]
    fn poll_recover(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        loop {
            match &mut self.state {
                // The session has the next word: it shakes hands.
                State::Up(_) => return tell(buf),
                State::Broken => {
                    if self.wire.news() != News::None {
                        return tell(buf);
                    }
                    let until = self.recovery.lost(self.now());
                    self.wait(until, ConnectError::Handshake(None))?;
                }
                State::Waiting(pause) => {
                    if Pin::new(pause).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    let dialing = self.target.dial().map_err(io::Error::other)?;
                    self.state = State::Dialing(Box::new(dialing));
                }
                State::Dialing(dialing) => match ready!(Pin::new(dialing).poll(cx)) {
                    Ok(stream) => {
                        self.recovery.up(self.target.runtime.now());
                        self.state = State::Up(stream);
                        self.wire.hang_up.store(false, Ordering::Release);
                        self.wire.news.store(News::UP, Ordering::Release);
                    }
                    Err(error) => {
                        let until = self.recovery.failed(self.now());
                        self.wait(until, error.into())?;
                    }
                },
            }
        }
    }
}

/// Makes the driver, whoever that is at the moment, turn to the machine: one byte came, which the session throws away when it hears
/// the news.
fn tell(buf: &mut BytesMut) -> Poll<io::Result<usize>> {
    buf.extend_from_slice(b"\n");
    Poll::Ready(Ok(1))
}

impl<R: Runtime> Transport for Link<R> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        if let State::Up(stream) = &mut self.state {
            if self.wire.hang_up.load(Ordering::Acquire) {
                // What the session knows it need not be told.
                self.state = State::Broken;
                self.write_error = None;
                return self.poll_recover(cx, buf);
            }
            let error = match stream.poll_read(cx, buf) {
                Poll::Pending if self.write_error.is_some() => {
                    self.write_error.take().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())
                }
                Poll::Ready(Ok(0)) if self.wire.is_armed() => {
                    io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")
                }
                Poll::Ready(Err(error)) if self.wire.is_armed() => error,
                other => return other,
            };
            self.break_off(error);
        }
        self.poll_recover(cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut SendBuf) -> Poll<io::Result<usize>> {
        if let (State::Up(stream), None) = (&mut self.state, &self.write_error) {
            match stream.poll_write(cx, out) {
                Poll::Ready(Err(error)) if self.wire.is_armed() => self.write_error = Some(error),
                other => return other,
            }
        }
        // Bytes for a socket that is gone.
        let len = out.len();
        out.clear();
        Poll::Ready(Ok(len))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let (State::Up(stream), None) = (&mut self.state, &self.write_error) {
            match stream.poll_flush(cx) {
                Poll::Ready(Err(error)) if self.wire.is_armed() => self.write_error = Some(error),
                other => return other,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Up(stream) => stream.poll_shutdown(cx),
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl<R: Runtime> fmt::Debug for Link<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Up(_) => "up",
            State::Broken | State::Waiting(_) => "waiting",
            State::Dialing(_) => "dialing",
        };
        f.debug_struct("Link").field("state", &state).finish_non_exhaustive()
    }
}

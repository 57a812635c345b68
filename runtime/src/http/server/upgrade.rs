//! Handing a connection over to another protocol.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;

use crate::Transport;

/// Resolves to the connection itself, once the answer that grants the upgrade is out: status 101 for `Upgrade`, any 2xx for
/// `CONNECT`.
///
/// A request that asks for an upgrade carries it as an extension, when the server [serves
/// upgrades](super::Server::upgrades). Take it out, start a task that awaits it, and return the answer: the
/// connection is handed over only after the answer was sent. Dropping it closes the connection at that point.
#[derive(Clone)]
#[must_use = "the connection is closed when nobody takes it over"]
pub struct OnUpgrade {
    shared: Arc<Mutex<State>>,
}

enum State {
    Waiting(Option<Waker>),
    Granted(Upgraded),
    Over,
}

/// A connection that was handed over, with what had been read of the next protocol. Its task and its place among the server's
/// connections are free; a stopped server does not wait for it.
pub struct Upgraded {
    /// The byte stream.
    pub transport: Box<dyn Transport + Send>,
    /// What the peer sent behind its request: the beginning of the next protocol.
    pub input: BytesMut,
}

/// The connection was not handed over: the answer granted no upgrade, or the connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpgradeError;

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was not upgraded")
    }
}

impl std::error::Error for UpgradeError {}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Future for OnUpgrade {
    type Output = Result<Upgraded, UpgradeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.shared);
        if let State::Waiting(waker) = &mut *state {
            *waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(match mem::replace(&mut *state, State::Over) {
            State::Granted(upgraded) => Ok(upgraded),
            State::Waiting(_) | State::Over => Err(UpgradeError),
        })
    }
}

impl fmt::Debug for OnUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnUpgrade").finish_non_exhaustive()
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").field("input", &self.input).finish_non_exhaustive()
    }
}

/// The connection's end of an [`OnUpgrade`]. Dropped, it says that nothing comes of it.
#[derive(Debug)]
pub(super) struct Offer(OnUpgrade);

impl Offer {
    pub(super) fn new() -> (Self, OnUpgrade) {
        let on_upgrade = OnUpgrade { shared: Arc::new(Mutex::new(State::Waiting(None))) };
        (Self(on_upgrade.clone()), on_upgrade)
    }

    pub(super) fn grant(self, upgraded: Upgraded) {
        self.tell(State::Granted(upgraded));
    }

    fn tell(&self, outcome: State) {
        let told = {
            let mut state = lock(&self.0.shared);
            match &mut *state {
                State::Waiting(_) => mem::replace(&mut *state, outcome),
                State::Granted(_) | State::Over => return,
            }
        };
        if let State::Waiting(Some(waker)) = told {
            waker.wake();
        }
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.tell(State::Over);
    }
}

//! What a client spawns.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::link::Link;
use super::session::Session;
use super::subscriptions::Hub;
use crate::Runtime;
use crate::drive::shared;

/// What a client spawns: the task of its connection, or of its subscriptions. State it as `R: Spawn<redis::Drive<R>>`.
#[must_use = "a connection moves only while its task is polled"]
pub struct Drive<R: Runtime>(Kind<R>);

enum Kind<R: Runtime> {
    Calls(shared::Drive<Session, Link<R>, R>),
    Subscriptions(Box<Hub<R>>),
}

impl<R: Runtime> Drive<R> {
    pub(super) fn calls(drive: shared::Drive<Session, Link<R>, R>) -> Self {
        Self(Kind::Calls(drive))
    }

    pub(super) fn subscriptions(hub: Hub<R>) -> Self {
        Self(Kind::Subscriptions(Box::new(hub)))
    }
}

impl<R: Runtime> Future for Drive<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Kind::Calls(drive) => Pin::new(drive).poll(cx),
            Kind::Subscriptions(hub) => hub.poll(cx),
        }
    }
}

impl<R: Runtime> fmt::Debug for Drive<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drive").finish_non_exhaustive()
    }
}

//! What the tests of the client's layers share.
#![allow(dead_code, reason = "every test program takes what it needs")]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use glowplug::runtime::http::{Client, Reaper};
use glowplug::runtime::{Runtime, Spawn};

pub(crate) trait Plug:
    Runtime<Stream: Send, Timer: Send, Connecting: Send, Resolving: Send> + Spawn<Reaper<Self>> + Send + Sync
{
}

impl<R> Plug for R where
    R: Runtime<Stream: Send, Timer: Send, Connecting: Send, Resolving: Send> + Spawn<Reaper<R>> + Send + Sync
{
}

pub(crate) fn client<R: Plug>(runtime: &R) -> Client<R> {
    Client::builder(runtime.clone()).build()
}

/// More polls than any of these futures takes.
pub(crate) const MANY: usize = 400;

/// Polls `future` at most so many times.
pub(crate) async fn polled<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

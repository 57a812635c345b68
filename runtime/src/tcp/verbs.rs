//! The verbs of a connection, as futures.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use glowplug_core::Instant;
use glowplug_core::framer::{InvalidDelimiter, Rule};

use super::Error;
use super::connection::Inner;
use crate::Runtime;

/// Reads one frame: the future of [`Connection::read`](super::Connection::read) and its like.
///
/// Dropped before it is done, everything that came stays buffered, and the time it has waited counts for the next read of the same
/// frame. A peer that sends a byte now and then cannot stretch the deadline by that.
#[must_use = "nothing is read until the future is polled"]
pub struct Read<'c, R: Runtime> {
    inner: &'c mut Inner<R>,
    rule: Result<Rule, InvalidDelimiter>,
    begun: Option<Instant>,
}

impl<'c, R: Runtime> Read<'c, R> {
    pub(super) fn new(inner: &'c mut Inner<R>, rule: Result<Rule, InvalidDelimiter>) -> Self {
        Self { inner, rule, begun: None }
    }
}

impl<R: Runtime> Future for Read<'_, R> {
    type Output = Result<Bytes, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let rule = match this.rule {
            Ok(rule) => rule,
            Err(error) => return Poll::Ready(Err(Error::Delimiter(error))),
        };
        if let Poll::Ready(result) = this.inner.poll_frame(cx, rule) {
            this.begun = None;
            this.inner.waited = std::time::Duration::ZERO;
            return Poll::Ready(result);
        }
        let begun = match this.begun {
            Some(begun) => begun,
            None => *this.begun.insert(this.inner.runtime.now()),
        };
        let Some(timeout) = this.inner.config.read_timeout else { return Poll::Pending };
        let at = begun + timeout.saturating_sub(this.inner.waited);
        ready!(this.inner.poll_deadline(cx, Some(at)));
        this.begun = None;
        this.inner.waited = std::time::Duration::ZERO;
        Poll::Ready(Err(Error::ReadTimedOut))
    }
}

impl<R: Runtime> Drop for Read<'_, R> {
    fn drop(&mut self) {
        if let Some(begun) = self.begun {
            self.inner.waited += self.inner.runtime.now() - begun;
        }
    }
}

impl<R: Runtime> fmt::Debug for Read<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read").field("rule", &self.rule).finish_non_exhaustive()
    }
}

/// Sends, or waits until something was sent: the future of [`Connection::send`](super::Connection::send) and its like.
#[must_use = "nothing is sent until the future is polled"]
pub struct Write<'c, R: Runtime> {
    inner: &'c mut Inner<R>,
    goal: Goal,
    /// When the peer has taken nothing for too long.
    until: Option<Instant>,
}

/// What a [`Write`] waits for.
#[derive(Debug)]
pub(super) enum Goal {
    /// Room for these bytes, which are queued then and written as far as the system takes them.
    Send(Bytes),
    /// Room for these bytes, which are queued then.
    Feed(Bytes),
    /// Room.
    Room,
    /// That everything is written.
    Flush,
    /// That everything is written, and the peer told that this was all.
    Finish,
}

impl Goal {
    /// Works for the goal; `until` is when the peer has taken nothing for too long.
    pub(super) fn poll<R: Runtime>(
        &self,
        inner: &mut Inner<R>,
        until: &mut Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        if inner.finished && matches!(self, Self::Flush | Self::Finish) {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = inner.send_error() {
            return Poll::Ready(Err(error));
        }
        // Room is what is asked for most, and mostly there is.
        if let Self::Feed(bytes) = self
            && inner.pump.output_mut().has_room()
        {
            inner.pump.output_mut().push(bytes.clone());
            return Poll::Ready(Ok(()));
        }
        let before = inner.pump.queued();
        let mut written = inner.pump.poll_write_out(cx);
        if let Some(error) = inner.send_error() {
            return Poll::Ready(Err(error));
        }
        let taken = inner.pump.queued() < before;
        let room = inner.pump.output_mut().has_room();
        match self {
            Self::Send(bytes) if room => {
                inner.pump.output_mut().push(bytes.clone());
                // Whatever comes of it: the bytes are queued, and the next verb says what happened to them.
                let _ = inner.pump.poll_write_out(cx);
                return Poll::Ready(Ok(()));
            }
            Self::Feed(bytes) if room => {
                inner.pump.output_mut().push(bytes.clone());
                return Poll::Ready(Ok(()));
            }
            Self::Room if room => return Poll::Ready(Ok(())),
            Self::Finish if written.is_ready() => {
                written = inner.pump.poll_shutdown(cx);
                if let Some(error) = inner.send_error() {
                    return Poll::Ready(Err(error));
                }
                inner.finished = written.is_ready();
            }
            _ => {}
        }
        if written.is_ready() && matches!(self, Self::Flush | Self::Finish) {
            return Poll::Ready(Ok(()));
        }
        let Some(timeout) = inner.config.write_timeout else { return Poll::Pending };
        if taken || until.is_none() {
            *until = Some(inner.runtime.now() + timeout);
        }
        ready!(inner.poll_deadline(cx, *until));
        Poll::Ready(Err(Error::WriteTimedOut))
    }
}

impl<'c, R: Runtime> Write<'c, R> {
    pub(super) fn new(inner: &'c mut Inner<R>, goal: Goal) -> Self {
        Self { inner, goal, until: None }
    }
}

impl<R: Runtime> Future for Write<'_, R> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.goal.poll(this.inner, &mut this.until, cx)
    }
}

impl<R: Runtime> fmt::Debug for Write<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").finish_non_exhaustive()
    }
}

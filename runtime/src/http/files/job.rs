//! Work that blocks, on a thread of its own or here and now.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What comes of it. Dropping the job gives it up: if it has begun, what comes of it is dropped by its thread.
pub(super) enum Job<T> {
    Done(Option<T>),
    Started(blocking::Task<T>),
}

impl<T> Job<T> {
    pub(super) fn done(value: T) -> Self {
        Self::Done(Some(value))
    }

    pub(super) fn start(on_threads: bool, work: impl FnOnce() -> T + Send + 'static) -> Self
    where
        T: Send + 'static,
    {
        if on_threads { Self::Started(blocking::unblock(work)) } else { Self::done(work()) }
    }

    /// Not to be polled again once it is ready.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        match self {
            Self::Done(value) => value.take().map_or(Poll::Pending, Poll::Ready),
            Self::Started(task) => Pin::new(task).poll(cx),
        }
    }
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done(_) => "Job(done)",
            Self::Started(_) => "Job(started)",
        })
    }
}

//! Answers that come one after the other.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use glowplug_riak::Response;
use glowplug_riak::request::AskStream;

use super::Error;
use super::cluster::Open;
use crate::Runtime;

/// The answers to one request, as they come. Made by [`Client::stream`](super::Client::stream).
///
/// Nothing is read ahead: a stream that is not polled holds the node back. It has a connection to itself, which goes back to the pool with the
/// last answer, and is closed when the stream is dropped before.
///
/// It is a [`Stream`] too, for those who have combinators for that.
#[must_use = "nothing is read unless the stream is polled"]
pub struct Replies<A: AskStream, R: Runtime> {
    /// The connection, until the last answer was read.
    open: Option<Open<R>>,
    /// What was read and not given out yet.
    ready: VecDeque<A::Answer>,
    /// An answer was given out, and the next may come.
    owes_release: bool,
    request: PhantomData<fn(A)>,
}

// Nothing in it is pinned.
impl<A: AskStream, R: Runtime> Unpin for Replies<A, R> {}

impl<A: AskStream, R: Runtime> Replies<A, R> {
    pub(super) fn new(open: Open<R>) -> Self {
        Self { open: Some(open), ready: VecDeque::new(), owes_release: true, request: PhantomData }
    }

    /// Takes the answer that was waited for when the stream was opened.
    pub(super) fn take_first(&mut self, response: Response, last: bool) -> Result<(), Error> {
        let answer = self.take(response, last)?;
        self.ready.push_back(answer);
        Ok(())
    }

    fn take(&mut self, response: Response, last: bool) -> Result<A::Answer, Error> {
        if last && let Some(open) = self.open.take() {
            open.finish();
        }
        let answer = response
            .map_err(Error::Refused)
            .and_then(|reply| A::read(reply).map_err(|reply| Error::WrongReply(reply.code())));
        if answer.is_err() {
            self.open = None;
        }
        answer
    }

    /// The next answer. `None` after the last, and after an error.
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn next(&mut self) -> Option<Result<A::Answer, Error>> {
        poll_fn(|cx| self.poll_answer(cx)).await
    }

    /// All answers that are left.
    ///
    /// Dropping the future loses those that were read.
    pub async fn collect(mut self) -> Result<Vec<A::Answer>, Error> {
        let mut all = Vec::new();
        while let Some(answer) = self.next().await {
            all.push(answer?);
        }
        Ok(all)
    }

    /// [`next`](Self::next) as a poll function.
    pub fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<A::Answer, Error>>> {
        if let Some(answer) = self.ready.pop_front() {
            return Poll::Ready(Some(Ok(answer)));
        }
        let Some(open) = &mut self.open else { return Poll::Ready(None) };
        if std::mem::take(&mut self.owes_release) {
            open.release();
        }
        let answer = match ready!(open.poll_answer(cx)) {
            Ok((response, last)) => {
                self.owes_release = true;
                self.take(response, last)
            }
            Err(lost) if lost.is_timeout() => {
                self.open = None;
                Err(Error::TimedOut(lost.progress))
            }
            Err(lost) => match self.open.take() {
                Some(open) => Err(Error::Lost(open.into_lost(lost))),
                None => return Poll::Ready(None),
            },
        };
        Poll::Ready(Some(answer))
    }
}

impl<T, A: AskStream<Answer = Vec<T>>, R: Runtime> Replies<A, R> {
    /// All elements of the answers that are left, in one list.
    ///
    /// Dropping the future loses those that were read.
    pub async fn collect_flat(self) -> Result<Vec<T>, Error> {
        Ok(self.collect().await?.into_iter().flatten().collect())
    }
}

impl<A: AskStream, R: Runtime> Stream for Replies<A, R> {
    type Item = Result<A::Answer, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_answer(cx)
    }
}

impl<A: AskStream, R: Runtime> fmt::Debug for Replies<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").field("over", &self.open.is_none()).finish_non_exhaustive()
    }
}

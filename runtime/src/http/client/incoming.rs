//! The body of an answer, which owns its connection until it ends.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use glowplug_core::Progress;
use glowplug_http::{BodyLength, ClientEvent};
use http_body::{Frame, SizeHint};

use super::connection::Connection;
use super::error::{ClientError, Stage};
use super::exchange::{Exchange, Failure};
use super::upload::Upload;
use super::{Lease, Upgraded};
use crate::Runtime;
use crate::http::{Body, BoxError};
use crate::time::Sleep;

/// The body of an answer.
///
/// Polling it drives the connection, the rest of the request's body included. At its end the connection goes back to the pool.
///
/// Dropping it half-way gives the rest up: the connection goes back if the rest is known to be little (`max_discard` of the
/// limits), and is closed otherwise.
pub struct Incoming<R: Runtime, B = Body> {
    /// `None` once the body has ended or failed.
    open: Option<Open<R, B>>,
    /// All of it, if it came along with the head and was not asked for yet; the exchange is over then.
    first: Bytes,
    /// Bytes that were not handed on yet, where that is known.
    left: BodyLength,
    /// The end of the whole call's time.
    deadline: Option<Sleep<R::Timer>>,
}

struct Open<R: Runtime, B> {
    lease: Lease<R>,
    exchange: Exchange<R, B>,
    /// The answer hands the connection over.
    switching: bool,
}

impl<R: Runtime, B> Incoming<R, B> {
    pub(super) fn new(
        lease: Lease<R>,
        exchange: Exchange<R, B>,
        length: BodyLength,
        switching: bool,
    ) -> Self {
        let open = Some(Open { lease, exchange, switching });
        Self { open, first: Bytes::new(), left: length, deadline: None }
    }

    /// That of no answer.
    pub(super) fn none() -> Self {
        Self { open: None, first: Bytes::new(), left: BodyLength::Empty, deadline: None }
    }

    /// Sets when the whole call is to be over.
    pub(super) fn set_deadline(&mut self, deadline: Sleep<R::Timer>) {
        self.deadline = Some(deadline);
    }

    /// Gives up what is left of the answer. The request's body, to go out once more.
    pub(super) fn give_up(&mut self) -> Option<Upload<B>> {
        self.open.take().map(Open::give_up)
    }

    /// The exchange is over: the connection goes back, if it serves on.
    fn end(&mut self) {
        if let Some(open) = self.open.take()
            && open.exchange.connection.driver.machine().is_ready()
        {
            let now = open.exchange.connection.driver.polled_at();
            open.lease.put_back_at(now, open.exchange.connection);
        }
    }

    /// The connection is of no use any more.
    fn fail(&mut self, failure: Failure) -> ClientError {
        self.open = None;
        failure.into_error(Progress::AnswerBegun)
    }
}

impl<R: Runtime, B> Open<R, B> {
    /// Nothing is under way but the answer; or that has no body, and whatever else is under way ends with it.
    fn is_settled(&self, left: BodyLength) -> bool {
        !self.switching && (left == BodyLength::Empty || self.exchange.upload.is_finished())
    }

    fn give_up(mut self) -> Upload<B> {
        if !self.switching && self.exchange.give_up() {
            self.lease.put_back(self.exchange.connection);
        }
        self.exchange.upload
    }
}

impl<R: Runtime, B> Incoming<R, B>
where
    B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
{
    /// The request's body can be sent once more.
    pub(super) fn may_go_again(&self) -> bool {
        let open = self.open.as_ref();
        open.is_some_and(|open| open.exchange.upload.is_replayable(Progress::AnswerBegun))
    }

    /// Takes a body that came along with its head: its connection is free before anybody looks.
    pub(super) fn settle(&mut self) {
        let Some(open) = self.open.as_mut().filter(|open| open.is_settled(self.left)) else { return };
        let Connection { driver, stream, .. } = &mut *open.exchange.connection;
        if let Some(body) = driver.with_buffered(|machine, now, input| machine.take_rest(now, *stream, input))
        {
            self.first = body;
            self.end();
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        if let Some(deadline) = &mut self.deadline
            && self.open.is_some()
            && Pin::new(deadline).poll(cx).is_ready()
        {
            self.open = None;
            let error = ClientError::TimedOut { stage: Stage::Body, progress: Progress::AnswerBegun };
            return Poll::Ready(Some(Err(error)));
        }
        if !self.first.is_empty() {
            let data = std::mem::take(&mut self.first);
            self.count(data.len());
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        loop {
            let Some(open) = self.open.as_mut().filter(|open| !open.switching) else {
                return Poll::Ready(None);
            };
            match open.exchange.poll_event(cx) {
                Poll::Ready(Ok(ClientEvent::Data { data, .. })) => {
                    let now = open.exchange.connection.driver.polled_at();
                    open.exchange.release(now, data.len());
                    // The end is told without any more input, so that the connection is free as soon as the last byte is there.
                    let is_all = self.left == BodyLength::Known(data.len() as u64);
                    if is_all
                        && let Ok(Some(ClientEvent::End { .. })) =
                            open.exchange.connection.driver.next_buffered()
                    {
                        self.end();
                    }
                    self.count(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Poll::Ready(Ok(ClientEvent::End { trailers, .. })) => {
                    self.end();
                    self.left = BodyLength::Known(0);
                    let trailers = trailers.map(|trailers| Ok(Frame::trailers(trailers.to_header_map())));
                    return Poll::Ready(trailers);
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(failure)) => return Poll::Ready(Some(Err(self.fail(failure)))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// So many bytes are handed on.
    fn count(&mut self, len: usize) {
        if let BodyLength::Known(left) = &mut self.left {
            *left = left.saturating_sub(len as u64);
        }
    }

    /// The whole body, if it is no longer than `limit`.
    ///
    /// Dropping the future drops the body.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, ClientError> {
        self.collect(limit).await
    }

    /// What is left of the body, if it is no longer than `limit`.
    pub(super) async fn collect(&mut self, limit: usize) -> Result<Bytes, ClientError> {
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        if self.open.is_none() {
            // All there is came along with the head.
            first = std::mem::take(&mut self.first);
            self.count(first.len());
            return if first.len() > limit { Err(ClientError::TooLong { limit }) } else { Ok(first) };
        }
        while let Some(frame) = poll_fn(|cx| self.poll_next(cx)).await {
            let Ok(data) = frame?.into_data() else { continue };
            if first.len() + all.len() + data.len() > limit {
                return Err(ClientError::TooLong { limit });
            }
            if first.is_empty() && all.is_empty() {
                // A body in one piece is not copied.
                first = data;
                continue;
            }
            if all.is_empty() {
                all.extend_from_slice(&first);
                first = Bytes::new();
            }
            all.extend_from_slice(&data);
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }

    /// The connection, which the server has handed over: an answer with status 101, or a successful one to `CONNECT`.
    ///
    /// Dropping the future closes the connection.
    pub async fn upgrade(mut self) -> Result<Upgraded<R>, ClientError> {
        let Some(mut open) = self.open.take().filter(|open| open.switching) else {
            return Err(ClientError::NotUpgraded);
        };
        loop {
            match poll_fn(|cx| open.exchange.poll_event(cx)).await {
                Ok(ClientEvent::Upgraded { .. }) => break,
                Ok(_) => {}
                Err(failure) => return Err(failure.into_error(Progress::AnswerBegun)),
            }
        }
        Ok(Upgraded::new(open.exchange.connection.driver.into_parts()))
    }
}

// The request's body is pinned in its box; nothing else is.
impl<R: Runtime, B> Unpin for Incoming<R, B> {}

impl<R: Runtime, B> Drop for Incoming<R, B> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<R: Runtime, B> http_body::Body for Incoming<R, B>
where
    B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        self.poll_next(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && self.open.as_ref().is_none_or(|open| open.switching)
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            BodyLength::Empty => SizeHint::with_exact(0),
            BodyLength::Known(left) => SizeHint::with_exact(left),
            BodyLength::Unknown => SizeHint::default(),
        }
    }
}

impl<R: Runtime, B> fmt::Debug for Incoming<R, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("open", &self.open.is_some())
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

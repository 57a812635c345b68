//! The body of a request, as it comes.
//!
//! ```text
//! connection ── push, end, fail ──▶ Channel ◀── poll_frame ── Incoming
//!            ◀── consumed, asked ──            (in the handler, or anywhere)
//! ```
//!
//! The connection's task and whoever reads the body share one queue, whose length the machine's credit bounds. In the usual case,
//! a body that is read by its handler, both live in one task and nobody has to be woken.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use glowplug_http::BodyLength;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::Connection;

/// How much a reader takes before the connection is told, unless the queue is empty by then: fewer wake-ups for small pieces.
const TOLD_AT: usize = 16 * 1024;

/// The body of a request: an [`http_body::Body`], or [`data`](Self::data) by `data`, or [all of it](Self::bytes).
///
/// Not reading is backpressure: the peer is held back by the window (`receive_window`). A client that asked to be told (`Expect:
/// 100-continue`) is told to go on when the body is first polled. The body may be read after the handler has returned, as
/// long as the answer is under way; once that is complete, what has not come yet is thrown away. Dropping the body leaves the
/// connection in order.
pub struct Incoming {
    channel: Option<Arc<Channel>>,
    /// Bytes that are still to come, where the head announced them.
    left: Option<u64>,
    connection: Connection,
}

/// Why a request's body ended before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// What came is malformed, exceeds a limit, came too slowly or ended early.
    Protocol(glowplug_http::Error),
    /// The connection is over.
    Disconnected,
    /// The answer was complete before the body was: the rest was thrown away.
    Answered,
    /// The body is longer than the reader allows.
    TooLong {
        /// What the reader allows.
        limit: usize,
    },
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(_) => f.write_str("the request's body failed"),
            Self::Disconnected => f.write_str("the connection ended before the request's body"),
            Self::Answered => f.write_str("the request was answered before its body was complete"),
            Self::TooLong { limit } => write!(f, "the request's body is longer than {limit} bytes"),
        }
    }
}

impl Error for BodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            _ => None,
        }
    }
}

impl Incoming {
    pub(super) fn new(connection: Connection, channel: Option<Arc<Channel>>, length: BodyLength) -> Self {
        let left = match length {
            BodyLength::Empty => Some(0),
            BodyLength::Known(length) => Some(length),
            BodyLength::Unknown => None,
        };
        Self { channel, left, connection }
    }

    /// The connection that the request came on.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The next piece, or `None` at the end. Trailers are skipped; [`Body::poll_frame`] has them.
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn data(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            match poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await.transpose()? {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The whole body, of at most `limit` bytes; a longer one is an error as soon as it is known to be.
    ///
    /// Dropping the future loses what it has read.
    pub async fn bytes(&mut self, limit: usize) -> Result<Bytes, BodyError> {
        let announced = self.left.and_then(|left| usize::try_from(left).ok());
        if self.left.is_some() && announced.is_none_or(|announced| announced > limit) {
            return Err(BodyError::TooLong { limit });
        }
        let Some(first) = self.data().await? else { return Ok(Bytes::new()) };
        if first.len() > limit {
            return Err(BodyError::TooLong { limit });
        }
        let Some(second) = self.data().await? else { return Ok(first) };
        let mut all = BytesMut::from(&first[..]);
        let mut next = Some(second);
        while let Some(data) = next {
            if all.len() + data.len() > limit {
                return Err(BodyError::TooLong { limit });
            }
            all.extend_from_slice(&data);
            next = self.data().await?;
        }
        Ok(all.freeze())
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(channel) = &self.channel else { return Poll::Ready(None) };
        let polled = channel.poll_frame(cx);
        if let (Poll::Ready(Some(Ok(frame))), Some(left)) = (&polled, &mut self.left)
            && let Some(data) = frame.data_ref()
        {
            *left -= data.len() as u64;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.channel.as_ref().is_none_or(|channel| channel.is_over())
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(channel) = &self.channel {
            channel.abandon();
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("connection", &self.connection)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

/// The queue between a connection and the body that is read from it.
#[derive(Default)]
pub(super) struct Channel {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    data: VecDeque<Bytes>,
    end: End,
    /// Bytes that the reader took and the machine has not been told of.
    consumed: usize,
    /// The body was polled.
    asked: bool,
    /// The connection has heard of it.
    asked_told: bool,
    /// The reader has gone.
    abandoned: bool,
    reader: Option<Waker>,
    /// The connection's task, while it sleeps.
    connection: Option<Waker>,
}

/// What follows the queue.
#[derive(Default)]
enum End {
    #[default]
    Open,
    Trailers(HeaderMap),
    Failed(BodyError),
    Over,
}

/// What a reader did since the connection last looked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    /// Bytes it took.
    pub(super) consumed: usize,
    /// It waits for the body for the first time, and none is there.
    pub(super) asked: bool,
}

impl Channel {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a used channel a new one; only its memory is left.
    pub(super) fn reset(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut data = std::mem::take(&mut state.data);
        data.clear();
        *state = State { data, ..State::default() };
    }

    /// Adds a piece. True when a reader in the task of `cx` waits for it; any other was woken.
    pub(super) fn push(&self, data: Bytes, cx: &Context<'_>) -> bool {
        self.tell(cx, |state| {
            if !state.abandoned {
                state.data.push_back(data);
            }
        })
    }

    /// The body is complete.
    pub(super) fn end(&self, trailers: Option<HeaderMap>, cx: &Context<'_>) -> bool {
        self.tell(cx, |state| {
            if matches!(state.end, End::Open) {
                state.end = trailers.map_or(End::Over, End::Trailers);
            }
        })
    }

    /// The body will not be completed. Does nothing to one that is.
    pub(super) fn fail(&self, error: BodyError) {
        let reader = {
            let mut state = self.lock();
            if matches!(state.end, End::Open) {
                state.end = End::Failed(error);
            }
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn tell(&self, cx: &Context<'_>, change: impl FnOnce(&mut State)) -> bool {
        let reader = {
            let mut state = self.lock();
            change(&mut state);
            state.reader.take()
        };
        match reader {
            Some(reader) if reader.will_wake(cx.waker()) => true,
            Some(reader) => {
                reader.wake();
                // It may be part of the handler all the same, behind a waker of its own.
                true
            }
            None => false,
        }
    }

    /// What the reader did meanwhile.
    pub(super) fn take(&self) -> Taken {
        let mut state = self.lock();
        let asked = state.asked && !state.asked_told;
        state.asked_told |= asked;
        Taken { consumed: std::mem::take(&mut state.consumed), asked }
    }

    /// The connection is about to sleep, and is woken by what the reader does. False when it did something already.
    pub(super) fn sleep(&self, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        if state.consumed > 0 || state.asked && !state.asked_told {
            return false;
        }
        if !state.connection.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.connection = Some(cx.waker().clone());
        }
        true
    }

    /// The connection is awake, and looks by itself.
    pub(super) fn awake(&self) {
        self.lock().connection = None;
    }

    fn poll_frame(&self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut state = self.lock();
        let (polled, tell) = match state.data.pop_front() {
            Some(data) => {
                state.consumed += data.len();
                let tell = state.data.is_empty() || state.consumed >= TOLD_AT;
                (Poll::Ready(Some(Ok(Frame::data(data)))), tell)
            }
            None => match std::mem::replace(&mut state.end, End::Over) {
                End::Open => {
                    state.end = End::Open;
                    if !state.reader.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                        state.reader = Some(cx.waker().clone());
                    }
                    let first = !state.asked;
                    state.asked = true;
                    (Poll::Pending, first)
                }
                End::Trailers(trailers) => (Poll::Ready(Some(Ok(Frame::trailers(trailers)))), false),
                End::Failed(error) => (Poll::Ready(Some(Err(error))), false),
                End::Over => (Poll::Ready(None), false),
            },
        };
        let connection = if tell { state.connection.take() } else { None };
        drop(state);
        if let Some(connection) = connection {
            connection.wake();
        }
        polled
    }

    fn is_over(&self) -> bool {
        let state = self.lock();
        state.data.is_empty() && matches!(state.end, End::Over)
    }

    fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        state.reader = None;
        state.data.clear();
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").finish_non_exhaustive()
    }
}

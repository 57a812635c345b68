//! Many requests on one connection.

use core::fmt;

use crate::{Instant, StreamProtocol};

/// The caller's name for one request, chosen by whoever submits and given back with each answer.
///
/// A machine never looks inside. Two requests in flight on one connection never share a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// A client machine on which many requests share one connection, answered in order (Redis) or by id (MongoDB, DNS
/// over TCP).
///
/// It is what a shared driver needs beyond [`StreamProtocol`]; whoever drives a machine by hand may as well use the
/// machine's own methods.
///
/// - A request may be submitted as soon as the machine exists: it waits inside until the handshake is done.
/// - A cancelled request keeps its place: its answer is read and thrown away, so nobody else's answer shifts.
/// - When the connection ends, [`unanswered`](Self::unanswered) says of each request without a last answer how far it got.
pub trait RequestProtocol: StreamProtocol {
    /// What is asked. One request may have several answers (a pipeline, a stream).
    type Request;
    /// One answer.
    type Response;

    /// Takes a request in, or gives it back.
    fn submit(
        &mut self,
        now: Instant,
        token: Token,
        request: Self::Request,
    ) -> Result<(), SubmitError<Self::Request>>;

    /// Nobody waits for the answers of `token` any more. Unknown tokens are ignored.
    ///
    /// A request of which nothing was given to [`poll_transmit`](StreamProtocol::poll_transmit)'s output may be
    /// forgotten altogether.
    fn cancel(&mut self, token: Token);

    /// Every request that still waits for its last answer, and how far it got. Stays answerable after an error, until the
    /// machine is dropped. Linear in the number of requests; the order is the machine's own.
    fn unanswered(&self) -> impl Iterator<Item = (Token, Progress)>;

    /// How far the request `token` got; a token that is not in flight is [`Progress::NotSent`].
    fn progress(&self, token: Token) -> Progress {
        self.unanswered()
            .find(|(known, _)| *known == token)
            .map_or(Progress::NotSent, |(_, progress)| progress)
    }

    /// Requests that were submitted and still wait for their last answer, cancelled ones included.
    fn in_flight(&self) -> usize;

    /// Sorts an event: an answer to a request, or (given back) anything else, such as a push.
    fn into_answer(event: Self::Event) -> Result<Answer<Self::Response>, Self::Event>;
}

/// One answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// Which request.
    pub token: Token,
    /// What was answered.
    pub response: T,
    /// True when no more answers to this request will come, and the token is free again.
    pub last: bool,
}

/// How far a request got before its connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Progress {
    /// Nothing of it left the machine: it is safe to send again elsewhere.
    NotSent,
    /// Some of it may have left: an incomplete request, which most peers ignore.
    PartlySent,
    /// All of it may have left: the peer may have acted on it.
    FullySent,
    /// The peer has begun to answer.
    AnswerBegun,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSent => "not sent",
            Self::PartlySent => "partly sent",
            Self::FullySent => "sent, maybe applied",
            Self::AnswerBegun => "sent, and the answer had begun",
        })
    }
}

/// Why a machine did not take a request; the request comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmitError<R> {
    /// The configured number or size of waiting requests is reached: try again after the next answer.
    Full(R),
    /// The connection is closing or over.
    Closed(R),
}

impl<R> SubmitError<R> {
    /// The request that was not taken.
    pub fn into_request(self) -> R {
        match self {
            Self::Full(request) | Self::Closed(request) => request,
        }
    }
}

impl<R> fmt::Display for SubmitError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "too many requests are waiting on this connection",
            Self::Closed(_) => "the connection takes no more requests",
        })
    }
}

impl<R: fmt::Debug> core::error::Error for SubmitError<R> {}

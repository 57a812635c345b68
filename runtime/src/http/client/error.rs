//! What can go wrong, and whether the server may have acted.

use std::fmt;

use glowplug_core::Progress;
use glowplug_http::redirect::RedirectError;
use glowplug_http::{Error as ProtocolError, HeadError};

use super::ProxyError;
use crate::dial::DialError;
use crate::drive::DriverError;
use crate::http::BoxError;
use crate::pool::PoolError;

/// Why a request has no answer, or its answer no end.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The request cannot be sent as it is. Nothing was.
    Request(RequestError),
    /// There was no room for a connection. Nothing was sent.
    Pool(PoolError),
    /// There is no connection to the server. Nothing was sent.
    Dial(DialError),
    /// The connection failed, or the server broke the protocol.
    Connection {
        /// How far the request got.
        progress: Progress,
        /// Why; `None` if the connection simply ended.
        cause: Option<DriverError<ProtocolError>>,
    },
    /// A time was up.
    TimedOut {
        /// What was waited for.
        stage: Stage,
        /// How far the request got.
        progress: Progress,
    },
    /// The request's own body failed, or was not as long as it had said. The connection was thrown away.
    Body {
        /// How far the request got.
        progress: Progress,
        /// What the body said.
        cause: BoxError,
    },
    /// The answer is longer than the caller wanted to hold.
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The answer is not what the caller took it for.
    Decode(BoxError),
    /// The answer's content codings cannot be undone, or what comes out is more than the limits allow.
    #[cfg(feature = "http-compression")]
    Content(crate::http::coding::decode::ContentError),
    /// The proxy gave no connection to the server. Nothing was sent to that.
    Proxy(ProxyError),
    /// The answer redirects, but not to where one could go.
    Redirect(RedirectError),
    /// More redirects in a row than the limit.
    TooManyRedirects(u32),
    /// A redirect from `https` to `http`, which the client was not told to follow.
    LeavesTls,
    /// The answer does not hand the connection over.
    NotUpgraded,
}

/// Why a request cannot be sent as it is.
#[derive(Debug)]
#[non_exhaustive]
pub enum RequestError {
    /// The URL cannot be parsed, is not absolute, or is neither `http` nor `https`.
    Url(BoxError),
    /// A header's name or value, the method or the like is invalid.
    Invalid(BoxError),
    /// The body cannot be made: what was given does not turn into JSON or a form.
    Encode(BoxError),
    /// The machine refuses the head.
    Head(HeadError),
}

/// What a call waits for. Each has a time limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Room for one more connection.
    Pool,
    /// A connection: name, socket and TLS.
    Connect,
    /// The server to take what is sent.
    Send,
    /// The head of the answer.
    Head,
    /// The answer's body.
    Body,
}

impl ClientError {
    /// How far the request got: whether the server may have acted on it.
    pub fn progress(&self) -> Progress {
        match self {
            Self::Request(_) | Self::Pool(_) | Self::Dial(_) | Self::Proxy(_) => Progress::NotSent,
            Self::Connection { progress, .. }
            | Self::TimedOut { progress, .. }
            | Self::Body { progress, .. } => *progress,
            #[cfg(feature = "http-compression")]
            Self::Content(_) => Progress::AnswerBegun,
            Self::TooLong { .. }
            | Self::Decode(_)
            | Self::Redirect(_)
            | Self::TooManyRedirects(_)
            | Self::LeavesTls
            | Self::NotUpgraded => Progress::AnswerBegun,
        }
    }

    /// True when a time was up: one of this client's, or that of connecting.
    pub fn is_timeout(&self) -> bool {
        matches!(
            self,
            Self::TimedOut { .. }
                | Self::Dial(DialError::TimedOut(_))
                | Self::Pool(PoolError::TimedOut)
                | Self::Proxy(ProxyError::Dial(DialError::TimedOut(_)) | ProxyError::TimedOut)
        )
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pool => "waiting for room in the pool",
            Self::Connect => "connecting",
            Self::Send => "sending the request",
            Self::Head => "waiting for the answer",
            Self::Body => "receiving the answer",
        })
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::Pool(_) => f.write_str("no room for a connection"),
            Self::Dial(_) => f.write_str("no connection to the server"),
            Self::Connection { progress, .. } => write!(f, "the connection failed ({progress})"),
            Self::TimedOut { stage, progress } => write!(f, "timed out while {stage} ({progress})"),
            Self::Body { progress, .. } => write!(f, "the body of the request failed ({progress})"),
            Self::TooLong { limit } => write!(f, "the answer is longer than {limit} bytes"),
            Self::Decode(_) => f.write_str("the answer cannot be decoded"),
            #[cfg(feature = "http-compression")]
            Self::Content(_) => f.write_str("the content of the answer cannot be decoded"),
            Self::Proxy(_) => f.write_str("no connection to the server through the proxy"),
            Self::Redirect(_) => f.write_str("the redirect cannot be followed"),
            Self::TooManyRedirects(limit) => write!(f, "more than {limit} redirects"),
            Self::LeavesTls => f.write_str("a redirect from https to http"),
            Self::NotUpgraded => f.write_str("the server did not hand the connection over"),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Request(error) => error.source(),
            Self::Pool(error) => Some(error),
            Self::Dial(error) => Some(error),
            Self::Connection { cause: Some(cause), .. } => Some(cause),
            Self::Body { cause, .. } | Self::Decode(cause) => Some(&**cause),
            Self::Redirect(error) => Some(error),
            Self::Proxy(error) => Some(error),
            #[cfg(feature = "http-compression")]
            Self::Content(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url(_) => "the url cannot be used",
            Self::Invalid(_) => "the request is invalid",
            Self::Encode(_) => "the body cannot be made",
            Self::Head(_) => "the head cannot be sent",
        })
    }
}

impl std::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Url(error) | Self::Invalid(error) | Self::Encode(error) => Some(&**error),
            Self::Head(error) => Some(error),
        }
    }
}

impl From<RequestError> for ClientError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

/// Where a call is: what its error says when its time is up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace {
    pub(super) stage: Stage,
    pub(super) progress: Progress,
}

impl Trace {
    pub(super) const fn new() -> Self {
        Self { stage: Stage::Pool, progress: Progress::NotSent }
    }

    pub(super) fn timed_out(self) -> ClientError {
        ClientError::TimedOut { stage: self.stage, progress: self.progress }
    }
}

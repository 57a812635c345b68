//! What can go wrong.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use glowplug_core::Progress;
use glowplug_riak::wire::Code;
use glowplug_riak::{Host, ServerError, UrlError};

use super::typed::CodecError;
use crate::dial::DialError;
use crate::drive::DriverError;
use crate::pool::PoolError;

/// Why a request has no result.
///
/// [`progress`](Self::progress) says whether a node may have acted on it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The node refused: what [`ServerError::kind`] tells. The connection goes on.
    Refused(ServerError),
    /// No node could be connected to; the error is that of the one which was tried last. Nothing was sent.
    Unreachable(NodeError),
    /// There was no room for one more connection in time. Nothing was sent.
    NoRoom(PoolError),
    /// The time for the request was up.
    TimedOut(Progress),
    /// The connection ended before the last answer was there.
    Lost(Lost),
    /// The request is longer than [`max_frame_len`](glowplug_riak::Config::max_frame_len). Nothing was sent.
    TooLong,
    /// The node answered with another message than this request has for an answer.
    WrongReply(Code),
    /// The stored data type is of another kind than was asked for.
    WrongDataType,
    /// The object was changed by others each time between the read and the write; so many attempts were made.
    Contended {
        /// The attempts.
        attempts: u32,
    },
    /// A value could not be turned into bytes, or bytes into a value.
    Codec(CodecError),
}

/// A connection ended before the last answer was there.
#[derive(Debug)]
pub struct Lost {
    /// The node.
    pub node: Host,
    /// How far the request got.
    pub progress: Progress,
    /// Why; `None` when the node closed the connection in good order.
    pub cause: Option<DriverError<glowplug_riak::Error>>,
}

impl Error {
    /// How far the request got: whether a node may have acted on it.
    pub fn progress(&self) -> Progress {
        match self {
            Self::Refused(_) | Self::WrongReply(_) | Self::WrongDataType | Self::Codec(_) => {
                Progress::AnswerBegun
            }
            Self::Unreachable(_) | Self::NoRoom(_) | Self::TooLong | Self::Contended { .. } => {
                Progress::NotSent
            }
            Self::TimedOut(progress) => *progress,
            Self::Lost(lost) => lost.progress,
        }
    }

    /// The node's refusal, if that is what came.
    pub fn refusal(&self) -> Option<&ServerError> {
        match self {
            Self::Refused(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Unreachable(_) => f.write_str("no node could be connected to"),
            Self::NoRoom(_) => f.write_str("there was no room for one more connection"),
            Self::TimedOut(progress) => write!(f, "the time was up, with the request {progress}"),
            Self::Lost(lost) => lost.fmt(f),
            Self::TooLong => f.write_str("the request is longer than a frame may be"),
            Self::WrongReply(code) => write!(f, "message {code} is no answer to the request"),
            Self::WrongDataType => f.write_str("the stored data type is of another kind"),
            Self::Contended { attempts } => {
                write!(f, "others changed the object during each of {attempts} attempts")
            }
            Self::Codec(error) => error.fmt(f),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Unreachable(error) => Some(error),
            Self::NoRoom(error) => Some(error),
            Self::Lost(lost) => lost.source(),
            Self::Codec(error) => error.source(),
            _ => None,
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Host { name, port } = &self.node;
        write!(f, "the connection to {name}:{port} was lost, with the request {}", self.progress)
    }
}

impl StdError for Lost {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}

impl From<ServerError> for Error {
    fn from(error: ServerError) -> Self {
        Self::Refused(error)
    }
}

impl From<CodecError> for Error {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}

/// Why there is no connection to a node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct NodeError {
    /// The node.
    pub node: Host,
    /// Why.
    pub cause: Arc<ConnectError>,
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}:{}", self.node.name, self.node.port)
    }
}

impl StdError for NodeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.cause)
    }
}

/// Why there is no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL cannot be used.
    Url(UrlError),
    /// No node could be connected to; the error is that of the one which was tried last.
    Unreachable(NodeError),
    /// The node has no address, or none that answers.
    Dial(DialError),
    /// TLS could not be started.
    Tls(io::Error),
    /// The node refused TLS or the user, or talks something else; `None` when it closed the connection.
    Handshake(Option<DriverError<glowplug_riak::Error>>),
    /// The time to connect was up: name, socket, TLS and authentication together.
    TimedOut,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url(_) => "the url cannot be used",
            Self::Unreachable(_) => "no node could be connected to",
            Self::Dial(_) => "the node could not be connected to",
            Self::Tls(_) => "tls could not be started",
            Self::Handshake(_) => "the node did not accept the handshake",
            Self::TimedOut => "the time to connect was up",
        })
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Url(error) => Some(error),
            Self::Unreachable(error) => Some(error),
            Self::Dial(error) => Some(error),
            Self::Tls(error) => Some(error),
            Self::Handshake(Some(error)) => Some(error),
            Self::Handshake(None) | Self::TimedOut => None,
        }
    }
}

//! What can go wrong.

use std::fmt;
use std::sync::Arc;

use glowplug_core::Progress;
use glowplug_mongodb::bson::{DeError, SerError};
use glowplug_mongodb::{BulkFailure, CommandError, CursorError, EncodeError, TopologyError, UriError};

use super::connection::{CallFailure, Why};
use crate::dial::DialError;
use crate::drive::DriverError;

/// Why an operation has no result. [`progress`](Error::progress) says whether the server may have acted.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// There is no connection, and none could be made. Nothing was sent.
    Connect(ConnectError),
    /// No connection became free in time. Nothing was sent.
    PoolTimedOut {
        /// How many connections there are, all in use or being connected.
        size: usize,
    },
    /// Too many calls wait for a connection already. Nothing was sent.
    Overloaded,
    /// The client was closed. Nothing was sent.
    Closed,
    /// The call's time was up. Its late answer disturbs nobody.
    TimedOut {
        /// How far the command had got.
        progress: Progress,
    },
    /// The connection broke.
    Broken {
        /// How far the command had got.
        progress: Progress,
        /// Why; `None` when the server ended it in good order.
        cause: Option<Arc<DriverError<glowplug_mongodb::Error>>>,
        /// The command was a write under a number, which a replica set makes once however often it is sent.
        numbered: bool,
    },
    /// The server says no, with its code and labels.
    Command(CommandError),
    /// Some writes failed, or were not acknowledged as was asked. What was made all the same is in it.
    Write(Box<BulkFailure>),
    /// A cursor ended early: documents are missing.
    Cursor(CursorError),
    /// The command cannot be sent: a limit of the server, or a value that BSON cannot hold. Nothing was sent.
    Encode(EncodeError),
    /// The call contradicts itself, such as a replacement with update operators. Nothing was sent.
    Invalid(&'static str),
    /// A value cannot be written as a document. Nothing was sent.
    Serialize(SerError),
    /// A document is not of the type that was asked for.
    Deserialize(DeError),
    /// The answer lacks what such an answer has.
    Malformed(&'static str),
}

impl Error {
    /// How far the operation's command got: whether the server may have acted on it.
    pub fn progress(&self) -> Progress {
        match self {
            Self::TimedOut { progress } | Self::Broken { progress, .. } => *progress,
            Self::Command(_)
            | Self::Write(_)
            | Self::Cursor(_)
            | Self::Deserialize(_)
            | Self::Malformed(_) => Progress::AnswerBegun,
            _ => Progress::NotSent,
        }
    }

    /// The server's error, if that is what came: of the command, of the cursor, or the first write concern's.
    pub fn command_error(&self) -> Option<&CommandError> {
        match self {
            Self::Command(error) | Self::Cursor(CursorError::Command(error)) => Some(error),
            Self::Write(failure) => failure.write_concern_errors.first(),
            Self::Connect(ConnectError::Handshake(Some(cause))) => match &**cause {
                DriverError::Protocol(glowplug_mongodb::Error::Refused(error)) => Some(error),
                _ => None,
            },
            _ => None,
        }
    }

    /// The number of the server's error: of the command, or of the first write that failed.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Write(failure) if !failure.errors.is_empty() => {
                failure.errors.first().map(|error| error.code)
            }
            other => other.command_error().map(|error| error.code),
        }
    }

    /// True when the error has this label: the server's, such as `TransientTransactionError`, or the client's own
    /// `RetryableWriteError` of a numbered write whose connection broke.
    pub fn has_label(&self, label: &str) -> bool {
        let own = matches!(self, Self::Broken { numbered: true, .. }) && label == "RetryableWriteError";
        own || self.command_error().is_some_and(|error| error.has_label(label))
    }

    /// True for the error of a write that would have made a key double.
    pub fn is_duplicate_key(&self) -> bool {
        self.code() == Some(11000)
    }

    /// True when another connection may do better.
    pub(super) fn is_network(&self) -> bool {
        match self {
            Self::Broken { .. } | Self::Connect(ConnectError::Dial(_)) => true,
            Self::Connect(ConnectError::Handshake(cause)) => match cause.as_deref() {
                None | Some(DriverError::Io(_)) => true,
                Some(DriverError::Protocol(error)) => *error == glowplug_mongodb::Error::UnexpectedEof,
            },
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(_) => f.write_str("there is no connection to the server (not sent)"),
            Self::PoolTimedOut { size } => {
                write!(f, "none of {size} connections became free in time (not sent)")
            }
            Self::Overloaded => f.write_str("too many calls wait for a connection already (not sent)"),
            Self::Closed => f.write_str("the client is closed (not sent)"),
            Self::TimedOut { progress } => write!(f, "the call timed out ({progress})"),
            Self::Broken { progress, .. } => write!(f, "the connection broke ({progress})"),
            Self::Command(_) => f.write_str("the server refused the command"),
            Self::Write(_) => f.write_str("not every write was made as asked"),
            Self::Cursor(error) => error.fmt(f),
            Self::Encode(_) => f.write_str("the command cannot be sent (not sent)"),
            Self::Serialize(_) => f.write_str("a value cannot be written as a document (not sent)"),
            Self::Deserialize(_) => f.write_str("a document is not of the type that was asked for"),
            Self::Invalid(why) => write!(f, "{why} (not sent)"),
            Self::Malformed(what) => write!(f, "the answer has no {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(error) => Some(error),
            Self::Broken { cause: Some(cause), .. } => Some(&**cause),
            Self::Command(error) => Some(error),
            Self::Write(error) => Some(error),
            Self::Cursor(error) => error.source(),
            Self::Encode(error) => Some(error),
            Self::Serialize(error) => Some(error),
            Self::Deserialize(error) => Some(error),
            _ => None,
        }
    }
}

impl From<CallFailure> for Error {
    fn from(failure: CallFailure) -> Self {
        let progress = failure.progress;
        match failure.why {
            Why::TimedOut => Self::TimedOut { progress },
            Why::Broken(cause) => Self::Broken { progress, cause, numbered: false },
        }
    }
}

impl From<CommandError> for Error {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

impl From<CursorError> for Error {
    fn from(error: CursorError) -> Self {
        match error {
            CursorError::Command(error) => Self::Command(error),
            other => Self::Cursor(other),
        }
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl From<SerError> for Error {
    fn from(error: SerError) -> Self {
        Self::Serialize(error)
    }
}

impl From<DeError> for Error {
    fn from(error: DeError) -> Self {
        Self::Deserialize(error)
    }
}

impl From<BulkFailure> for Error {
    fn from(failure: BulkFailure) -> Self {
        Self::Write(Box::new(failure))
    }
}

/// Why there is no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The connection string cannot be used.
    Uri(UriError),
    /// The connection string asks for something that this client has not; ignoring it would connect otherwise than was meant.
    Unsupported(String),
    /// The records that a `mongodb+srv` string leads to could not be looked up.
    Records(Box<dyn std::error::Error + Send + Sync>),
    /// There is no server to ask, or it is another than was meant.
    Topology(TopologyError),
    /// A certificate or key of the connection string cannot be used.
    Certificate(std::io::Error),
    /// The server was not reached.
    Dial(DialError),
    /// The handshake failed: the server refused the credential, is too old, or is no MongoDB.
    Handshake(Option<Arc<DriverError<glowplug_mongodb::Error>>>),
    /// The time to connect was up.
    TimedOut,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(_) => f.write_str("the connection string cannot be used"),
            Self::Unsupported(what) => write!(f, "{what} is not supported"),
            Self::Records(_) => f.write_str("the srv and txt records could not be looked up"),
            Self::Topology(_) => f.write_str("there is no server to ask"),
            Self::Certificate(_) => f.write_str("a certificate or key cannot be used"),
            Self::Dial(_) => f.write_str("the server was not reached"),
            Self::Handshake(_) => f.write_str("the handshake with the server failed"),
            Self::TimedOut => f.write_str("connecting took too long"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Uri(error) => Some(error),
            Self::Records(error) => Some(&**error),
            Self::Topology(error) => Some(error),
            Self::Certificate(error) => Some(error),
            Self::Dial(error) => Some(error),
            Self::Handshake(Some(cause)) => Some(&**cause),
            Self::Unsupported(_) | Self::Handshake(None) | Self::TimedOut => None,
        }
    }
}

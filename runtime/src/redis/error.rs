//! What can go wrong.

use std::fmt;
use std::io;
use std::sync::Arc;

use glowplug_core::Progress;
use glowplug_redis::{RedisEndpoint, RedisUrlError, ReplyError, ServerError, TransactionError};

use crate::dial::{DialError, DialPhase};
use crate::drive::DriverError;
use crate::drive::shared::CallError;

/// Why a command has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The command got no answer. [`progress`](Error::progress) says whether it may have been applied.
    Call(CallError<glowplug_redis::Error>),
    /// The answer is an error of the server, or not of the type that was asked for. The connection goes on.
    Reply(ReplyError),
    /// A transaction was not done.
    Transaction(TransactionError),
    /// A connection of its own was needed, and could not be made. Nothing was sent.
    Connect(ConnectError),
}

impl Error {
    /// The server's error, if that is what came.
    pub fn server_error(&self) -> Option<&ServerError> {
        match self {
            Self::Reply(error) => error.server_error(),
            Self::Transaction(TransactionError::Refused { exec, .. }) => Some(exec),
            Self::Call(_) | Self::Transaction(_) | Self::Connect(_) => None,
        }
    }

    /// How far the command got: whether the server may have acted on it.
    pub fn progress(&self) -> Progress {
        match self {
            Self::Call(error) => error.progress(),
            Self::Reply(_) | Self::Transaction(_) => Progress::AnswerBegun,
            Self::Connect(_) => Progress::NotSent,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => error.fmt(f),
            Self::Reply(error) => error.fmt(f),
            Self::Transaction(error) => error.fmt(f),
            Self::Connect(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Call(error) => error.source(),
            Self::Reply(error) => error.source(),
            Self::Transaction(error) => error.source(),
            Self::Connect(error) => error.source(),
        }
    }
}

impl From<CallError<glowplug_redis::Error>> for Error {
    fn from(error: CallError<glowplug_redis::Error>) -> Self {
        Self::Call(error)
    }
}

impl From<ReplyError> for Error {
    fn from(error: ReplyError) -> Self {
        Self::Reply(error)
    }
}

/// Why there is no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL cannot be used.
    Url(RedisUrlError),
    /// This client does not connect to that: a blocking client has no TLS, and not every system has Unix sockets.
    Unsupported(RedisEndpoint),
    /// The name has no address, or looking it up failed.
    Resolve(io::Error),
    /// No address could be connected to; the error is the last one's.
    Connect(io::Error),
    /// The TLS handshake failed.
    Tls(io::Error),
    /// The handshake failed: the server refused the user, the database, or talks something else.
    Handshake(Option<Arc<DriverError<glowplug_redis::Error>>>),
    /// The time to connect was up; the word says in which phase.
    TimedOut(&'static str),
}

impl From<DialError> for ConnectError {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Resolve(error) => Self::Resolve(error),
            DialError::Connect(error) => Self::Connect(error),
            DialError::Tls(error) => Self::Tls(error),
            DialError::TimedOut(DialPhase::Resolve) => Self::TimedOut("resolved the name"),
            DialError::TimedOut(DialPhase::Connect) => Self::TimedOut("connected"),
            DialError::TimedOut(DialPhase::Tls) => Self::TimedOut("agreed on tls"),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(_) => f.write_str("the url cannot be used"),
            Self::Unsupported(endpoint) => write!(f, "this client does not connect to {endpoint:?}"),
            Self::Resolve(_) => f.write_str("the host name could not be resolved"),
            Self::Connect(_) => f.write_str("no address could be connected to"),
            Self::Tls(_) => f.write_str("the tls handshake failed"),
            Self::Handshake(_) => f.write_str("the server did not accept the handshake"),
            Self::TimedOut(phase) => write!(f, "connecting timed out while it {phase}"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Url(error) => Some(error),
            Self::Resolve(error) | Self::Connect(error) | Self::Tls(error) => Some(error),
            Self::Handshake(Some(error)) => Some(&**error),
            Self::Handshake(None) | Self::TimedOut(_) | Self::Unsupported(_) => None,
        }
    }
}

//! What may go wrong in a conversation.

use std::fmt;
use std::io;

use bytes::Bytes;
use glowplug_core::framer::{FrameError, InvalidDelimiter};

/// Why a verb did not do what it was asked for. No byte that came is lost by any of them: see
/// [`Connection::buffered`](super::Connection::buffered).
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The peer has ended its side, in good order, and all whole frames before were read.
    Closed {
        /// What came after the last whole frame. It stays buffered, too, and another rule may still read it.
        remainder: Bytes,
    },
    /// No such frame can be read: it is longer than the limit, or its length makes no sense.
    Frame(FrameError),
    /// The delimiter is empty or too long.
    Delimiter(InvalidDelimiter),
    /// The frame was not there in time ([`Config::read_timeout`](super::Config::read_timeout)). Reading again waits again.
    ReadTimedOut,
    /// The peer took nothing for too long ([`Config::write_timeout`](super::Config::write_timeout)). What is queued stays queued.
    WriteTimedOut,
    /// We have ended our side already, by [`finish`](super::Connection::finish).
    Finished,
    /// What was to be sent could not be read.
    Source(io::Error),
    /// The connection broke.
    Io(io::Error),
}

impl Error {
    /// True when the peer has simply ended the conversation between two frames.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { remainder } if remainder.is_empty())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { remainder } if remainder.is_empty() => {
                f.write_str("the peer closed the connection")
            }
            Self::Closed { remainder } => {
                write!(f, "the peer closed the connection within a frame, {} bytes remain", remainder.len())
            }
            Self::Frame(_) => f.write_str("no frame can be read"),
            Self::Delimiter(_) => f.write_str("invalid delimiter"),
            Self::ReadTimedOut => f.write_str("the peer sent no whole frame in time"),
            Self::WriteTimedOut => f.write_str("the peer took nothing for too long"),
            Self::Finished => f.write_str("the sending side is finished already"),
            Self::Source(_) => f.write_str("what was to be sent could not be read"),
            Self::Io(_) => f.write_str("the connection broke"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Frame(error) => Some(error),
            Self::Delimiter(error) => Some(error),
            Self::Source(error) | Self::Io(error) => Some(error),
            Self::Closed { .. } | Self::ReadTimedOut | Self::WriteTimedOut | Self::Finished => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Closed { .. } => io::ErrorKind::UnexpectedEof,
            Error::Frame(_) => io::ErrorKind::InvalidData,
            Error::Delimiter(_) => io::ErrorKind::InvalidInput,
            Error::ReadTimedOut | Error::WriteTimedOut => io::ErrorKind::TimedOut,
            Error::Finished => io::ErrorKind::BrokenPipe,
            Error::Source(source) | Error::Io(source) => source.kind(),
        };
        Self::new(kind, error)
    }
}

//! Why a connection is over.

use core::fmt;

use glowplug_core::LimitExceeded;

use crate::wire::{DecodeError, ServerError};

/// Why a connection is over. A server's refusal of one command is no such thing: it is a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol.
    Peer(PeerError),
    /// The server refused the handshake.
    Refused {
        /// Which step: `HELLO`, `AUTH`, `SELECT` ...
        step: &'static str,
        /// What it said.
        error: ServerError,
    },
    /// No byte came for too long.
    TimedOut(Phase),
    /// The peer ended the stream in the middle of a frame, or while requests waited.
    UnexpectedEof,
    /// More than the configuration allows waits for a peer that does not read.
    Limit(LimitExceeded),
}

/// How a peer broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerError {
    /// It sent bytes that are not RESP, or a frame over the limits.
    Decode(DecodeError),
    /// It sent a reply that nobody had asked for.
    UnsolicitedReply,
    /// It answered a subscription with something else than a confirmation or a refusal.
    NotAConfirmation,
    /// It answered `HELLO` with something else than a map or a refusal.
    NotAGreeting,
    /// An answer cannot be the one to its question, such as an `EXEC` with a wrong number of results: see
    /// [`ClientConnection::distrust`](crate::ClientConnection::distrust).
    OutOfStep,
}

/// What a connection was waiting for when its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// The handshake: `handshake_timeout`.
    Handshake,
    /// Answers: `answer_timeout`.
    Answer,
    /// The answer to a keep-alive `PING`.
    KeepAlive,
    /// The client's next command: `idle_timeout`.
    Idle,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(PeerError::Decode(_)) => f.write_str("the peer sent invalid bytes"),
            Self::Peer(PeerError::UnsolicitedReply) => {
                f.write_str("the server sent a reply that nobody asked for")
            }
            Self::Peer(PeerError::NotAConfirmation) => {
                f.write_str("the server answered a subscription with something else")
            }
            Self::Peer(PeerError::NotAGreeting) => {
                f.write_str("the server answered the greeting with something else")
            }
            Self::Peer(PeerError::OutOfStep) => {
                f.write_str("the server gave an answer that cannot be the one to its question")
            }
            Self::Refused { step, .. } => write!(f, "the server refused {step}"),
            Self::TimedOut(Phase::Handshake) => f.write_str("timed out in the handshake"),
            Self::TimedOut(Phase::Answer) => f.write_str("timed out waiting for answers"),
            Self::TimedOut(Phase::KeepAlive) => {
                f.write_str("timed out waiting for the answer to a keep-alive ping")
            }
            Self::TimedOut(Phase::Idle) => f.write_str("timed out waiting for a command"),
            Self::UnexpectedEof => f.write_str("the peer ended the connection too early"),
            Self::Limit(_) => f.write_str("the peer does not read what it is sent"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Peer(PeerError::Decode(error)) => Some(error),
            Self::Refused { error, .. } => Some(error),
            Self::Limit(limit) => Some(limit),
            _ => None,
        }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::Peer(PeerError::Decode(error))
    }
}

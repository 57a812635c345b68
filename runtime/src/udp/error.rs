//! Why a conversation gives and takes no more.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use glowplug_udp::Reason;
use glowplug_udp::reliable::Failure;

/// Why nothing more comes from a conversation, or goes into it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Closed {
    /// It is over. For a child whose conversation's owner has ended: [`Reason::Local`].
    Ended(Reason),
    /// The peer has said all it had to say, and everything it said was read. Reliable conversations only; sending goes on.
    Finished,
    /// A reliable conversation broke; something may have been lost.
    Failed(Failure),
    /// The socket failed, or its task was dropped with its executor.
    Socket(Arc<io::Error>),
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(reason) => write!(f, "the conversation is over: {reason}"),
            Self::Finished => f.write_str("the peer has finished"),
            Self::Failed(_) => f.write_str("the conversation broke"),
            Self::Socket(_) => f.write_str("the socket failed"),
        }
    }
}

impl Error for Closed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Ended(_) | Self::Finished => None,
            Self::Failed(failure) => Some(failure),
            Self::Socket(error) => Some(&**error),
        }
    }
}

impl From<Closed> for io::Error {
    fn from(closed: Closed) -> Self {
        let kind = match &closed {
            Closed::Ended(Reason::Expired) | Closed::Failed(Failure::TimedOut) => io::ErrorKind::TimedOut,
            Closed::Ended(Reason::Unreachable) => io::ErrorKind::HostUnreachable,
            Closed::Ended(_) => io::ErrorKind::NotConnected,
            Closed::Finished => io::ErrorKind::UnexpectedEof,
            Closed::Failed(_) => io::ErrorKind::ConnectionReset,
            Closed::Socket(error) => error.kind(),
        };
        Self::new(kind, closed)
    }
}

/// Why something was not sent; it is given back.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SendError {
    /// There is no room now. Only [`try_send`](super::Child::try_send) says so, `send` waits.
    Full(Bytes),
    /// The conversation is over.
    Closed(Bytes, Closed),
    /// It is longer than a datagram (or, in a reliable conversation, a message) may be.
    TooLong(Bytes),
    /// The peer's address is not proven and has not sent enough for so long an answer
    /// ([`Config::amplification`](glowplug_udp::Config::amplification)). Wait for it to send more, or
    /// [`prove`](super::Child::prove) it.
    NotProven(Bytes),
}

impl SendError {
    /// What was not sent.
    pub fn into_payload(self) -> Bytes {
        match self {
            Self::Full(payload)
            | Self::Closed(payload, _)
            | Self::TooLong(payload)
            | Self::NotProven(payload) => payload,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "no room to send now",
            Self::Closed(..) => "nothing is sent to a conversation that is over",
            Self::TooLong(_) => "too long to send",
            Self::NotProven(_) => "the peer's address is not proven",
        })
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Closed(_, closed) => Some(closed),
            _ => None,
        }
    }
}

impl From<SendError> for io::Error {
    fn from(error: SendError) -> Self {
        let kind = match &error {
            SendError::Full(_) => io::ErrorKind::WouldBlock,
            SendError::Closed(_, closed) => io::Error::from(closed.clone()).kind(),
            SendError::TooLong(_) => io::ErrorKind::InvalidInput,
            SendError::NotProven(_) => io::ErrorKind::PermissionDenied,
        };
        Self::new(kind, error)
    }
}

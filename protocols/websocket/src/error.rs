//! Why a connection is over, and why a message was not taken.

use core::fmt;

use glowplug_core::LimitExceeded;

use crate::event::Message;
use crate::wire::{CloseCode, DecodeError};

/// What a connection waited for when its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// A sign of life after a ping.
    Pong,
    /// The peer's good-bye after ours.
    Close,
}

/// Why a connection is over, other than by its closing handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer breaks the protocol.
    Peer(DecodeError),
    /// The peer exceeds a limit, at this offset of the connection's bytes.
    Limit {
        /// Which limit.
        exceeded: LimitExceeded,
        /// Where the frame began, or for compressed messages the message.
        offset: u64,
    },
    /// The peer closed the connection without a good-bye (what other libraries call code 1006).
    UnexpectedEof,
    /// The peer took too long.
    TimedOut(Phase),
}

impl Error {
    /// The code by which the peer is told, unless there is nobody to tell.
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Peer(error) => Some(error.reason.close_code()),
            Self::Limit { exceeded, .. } => Some(match exceeded.limit {
                "max_frame_len" | "max_message_len" => CloseCode::TOO_BIG,
                _ => CloseCode::POLICY,
            }),
            Self::TimedOut(Phase::Pong) => Some(CloseCode::INTERNAL_ERROR),
            Self::TimedOut(Phase::Close) | Self::UnexpectedEof => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Peer(_) => "the peer broke the websocket protocol",
            Self::Limit { .. } => "the peer exceeded a limit",
            Self::UnexpectedEof => "the peer closed the connection without a good-bye",
            Self::TimedOut(Phase::Pong) => "the peer gave no sign of life",
            Self::TimedOut(Phase::Close) => "the peer did not answer the good-bye",
        })
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Peer(error) => Some(error),
            Self::Limit { exceeded, .. } => Some(exceeded),
            _ => None,
        }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::Peer(error)
    }
}

/// Why a message, or a piece of one, was not taken for sending; it comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError<T = Message> {
    /// Too much waits to be sent: try again after `poll_transmit`.
    Full(T),
    /// A message is being sent in pieces, and this is another; or a piece is of another kind than the first.
    Busy(T),
    /// The connection is closing, or over.
    Closed(T),
    /// The text is not UTF-8.
    Utf8(T),
    /// A control frame carries at most 125 bytes.
    TooLong(T),
}

impl<T> SendError<T> {
    /// What was not taken.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(it) | Self::Busy(it) | Self::Closed(it) | Self::Utf8(it) | Self::TooLong(it) => it,
        }
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "too much waits to be sent",
            Self::Busy(_) => "another message is being sent",
            Self::Closed(_) => "the connection takes no message any more",
            Self::Utf8(_) => "the text is not utf-8",
            Self::TooLong(_) => "a control frame carries at most 125 bytes",
        })
    }
}

impl<T: fmt::Debug> core::error::Error for SendError<T> {}

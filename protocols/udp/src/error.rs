//! What can go wrong: one datagram refused, or a misuse that gives its argument back.

use core::fmt;

use bytes::Bytes;

use crate::event::ConversationId;

/// Why one datagram was not delivered. The tracker has counted it and goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DatagramError {
    /// A new peer that the accept rule does not let in; or any stranger on a client's socket.
    Refused,
    /// A new peer, and no room for it.
    Full,
    /// A new peer, and the tracker is closing.
    Closing,
    /// The conversation's queue is full.
    QueueFull,
    /// All queues together are full.
    OverBudget,
    /// More datagrams a second than the peer may send.
    RateLimited,
    /// The conversation is over.
    Late,
    /// A new peer without a good cookie. It was sent one, if it sent enough for that.
    NotProven,
    /// A frame of the cookie exchange that makes no sense.
    Malformed,
}

impl fmt::Display for DatagramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "peer not accepted",
            Self::Full => "no room for another conversation",
            Self::Closing => "tracker is closing",
            Self::QueueFull => "conversation's queue full",
            Self::OverBudget => "all queues together full",
            Self::RateLimited => "too many datagrams a second",
            Self::Late => "conversation is over",
            Self::NotProven => "address not proven",
            Self::Malformed => "malformed cookie frame",
        })
    }
}

impl core::error::Error for DatagramError {}

/// A datagram that was not queued to be sent, given back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The output is full; send again after some of it was taken.
    Full(Bytes),
    /// The conversation is over.
    Closed(Bytes),
    /// It is longer than a datagram can be (or than `max_datagram` allows).
    TooLong(Bytes),
    /// The peer's address is not proven and has not sent enough for so long an answer. Wait for it to send more, or
    /// [`prove`](crate::Tracker::prove) it.
    NotProven(Bytes),
}

impl SendError {
    /// The datagram.
    pub fn into_payload(self) -> Bytes {
        match self {
            Self::Full(payload)
            | Self::Closed(payload)
            | Self::TooLong(payload)
            | Self::NotProven(payload) => payload,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "output full",
            Self::Closed(_) => "conversation closed",
            Self::TooLong(_) => "datagram too long",
            Self::NotProven(_) => "address not proven",
        })
    }
}

impl core::error::Error for SendError {}

/// Why no conversation was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// There is one with this peer.
    Exists(ConversationId),
    /// There is no room for another.
    Full,
    /// The tracker is closing.
    Closing,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(id) => write!(f, "conversation {id:?} is with this peer"),
            Self::Full => f.write_str("no room for another conversation"),
            Self::Closing => f.write_str("tracker is closing"),
        }
    }
}

impl core::error::Error for ConnectError {}

//! What reliable conversations tell, and why a datagram was not taken in.

use core::fmt;

use bytes::BytesMut;
use glowplug_core::Path;

use super::Failure;
use super::wire::DecodeError;
use crate::error::DatagramError;
use crate::event::{ConversationId, Reason, Scope};

/// What [`Conversations`](super::Conversations) tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A peer began a conversation.
    Opened {
        /// Its handle.
        conversation: ConversationId,
        /// Where the peer is.
        path: Path,
        /// In which scope.
        scope: Scope,
    },
    /// A whole message.
    Message {
        /// In this conversation.
        conversation: ConversationId,
        /// The message.
        payload: BytesMut,
    },
    /// Messages wait to be taken by [`receive`](super::Conversations::receive), until it returns `None` ([`Delivery::Queues`](crate::Delivery::Queues)).
    Readable {
        /// In this conversation.
        conversation: ConversationId,
    },
    /// The peer has nothing more to say. Say the rest and [finish](super::Conversations::finish) too.
    Finished {
        /// This conversation.
        conversation: ConversationId,
    },
    /// The peer is at another address now.
    Moved {
        /// This conversation.
        conversation: ConversationId,
        /// Where the peer is now.
        path: Path,
    },
    /// The conversation is over: the last event of it.
    Closed {
        /// This conversation.
        conversation: ConversationId,
        /// Why.
        end: End,
    },
}

/// How a reliable conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Both sides had finished, and everything arrived.
    Finished,
    /// Something may have been lost.
    Failed(Failure),
    /// The tracker ended it; something may have been lost.
    Ended(Reason),
}

/// Why a datagram was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The tracker did not take it.
    Tracker(DatagramError),
    /// It is not of this protocol.
    Malformed(DecodeError),
    /// It belongs to a conversation that is over, or to none.
    Stale,
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tracker(_) => "datagram refused",
            Self::Malformed(_) => "malformed datagram",
            Self::Stale => "datagram of another conversation",
        })
    }
}

impl core::error::Error for ReceiveError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Tracker(error) => Some(error),
            Self::Malformed(error) => Some(error),
            Self::Stale => None,
        }
    }
}

//! What a tracker tells, and the handles it tells it by.

use core::fmt;

use bytes::BytesMut;
use glowplug_core::Path;

/// A handle to one conversation.
///
/// It stays what it is when the peer's address changes, and a handle to a conversation that is over never means another
/// one, even when its place in memory is used again (after four thousand million reuses of one place, to be exact, it
/// would).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl ConversationId {
    /// A small number, unique among the conversations there are at one time: an index for tables beside the tracker.
    pub const fn index(self) -> usize {
        self.slot as usize
    }
}

impl fmt::Debug for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}", self.slot, self.generation)
    }
}

/// A part of the key of every peer, for sockets that carry several address spaces: the tunnel, VLAN, interface or
/// socket a datagram came through. The same address in two scopes is two peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(pub u32);

impl Scope {
    /// The only scope of a socket that knows none.
    pub const NONE: Self = Self(0);
}

/// Who began a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// We did, by [`connect`](crate::Tracker::connect).
    Client,
    /// The peer did, by its first datagram.
    Server,
}

/// What a [`Tracker`](crate::Tracker) tells.
///
/// Of each conversation that a peer began there is one `Opened`, before all else; of each conversation there is one
/// `Closed`, after all else. Messages of one peer come in the order in which they arrived; between peers they take turns.
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
    /// A datagram came ([`Delivery::Events`](crate::Delivery::Events)).
    Message {
        /// In this conversation.
        conversation: ConversationId,
        /// The datagram; an empty one is data like any other.
        payload: BytesMut,
    },
    /// Datagrams wait to be taken by [`receive`](crate::Tracker::receive), until it returns `None`
    /// ([`Delivery::Queues`](crate::Delivery::Queues)).
    Readable {
        /// In this conversation.
        conversation: ConversationId,
    },
    /// A datagram of this conversation came from another address, by the id it carried. What is sent goes there now; the
    /// new address is not proven.
    Moved {
        /// This conversation.
        conversation: ConversationId,
        /// Where the peer is now.
        path: Path,
    },
    /// The conversation is over.
    Closed {
        /// This conversation.
        conversation: ConversationId,
        /// Why.
        reason: Reason,
        /// What it came to.
        totals: Totals,
    },
}

/// Why a conversation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// We closed it.
    Local,
    /// The peer was silent for as long as the idle time-out.
    Expired,
    /// It made room for a new one.
    Evicted,
    /// Its queue overflowed, and the rule is to close.
    Overflow,
    /// The system says that the peer cannot be reached.
    Unreachable,
    /// The tracker was closed.
    Shutdown,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "closed by us",
            Self::Expired => "idle for too long",
            Self::Evicted => "evicted for a new peer",
            Self::Overflow => "queue overflowed",
            Self::Unreachable => "peer unreachable",
            Self::Shutdown => "shut down",
        })
    }
}

/// What went through one conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Datagrams that came, dropped ones included.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Datagrams queued to be sent.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Datagrams that came and were dropped: queue full, over budget or too many a second. Saturates.
    pub dropped: u32,
}

/// What went through a tracker, and what did not. Nothing is dropped without being counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams handed in.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Datagrams handed out.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Conversations that peers opened.
    pub accepted: u64,
    /// Conversations that we opened.
    pub connected: u64,
    /// Conversations that ended by silence.
    pub expired: u64,
    /// Conversations that made room for others.
    pub evicted: u64,
    /// First datagrams of peers that were not accepted.
    pub refused: u64,
    /// First datagrams for which there was no room.
    pub refused_full: u64,
    /// Datagrams dropped at a full queue, new or old.
    pub dropped_queue: u64,
    /// Datagrams dropped because all queues together were full.
    pub dropped_budget: u64,
    /// Datagrams dropped by the rate limit.
    pub dropped_rate: u64,
    /// Datagrams of conversations that were over.
    pub late: u64,
    /// Cookies sent.
    pub retries: u64,
    /// Datagrams without a good cookie, answered or not.
    pub unproven: u64,
    /// Frames that no tracker sends.
    pub malformed: u64,
    /// Conversations whose peer changed its address.
    pub moved: u64,
}

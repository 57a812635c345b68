//! What a tracker is told before it starts.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use glowplug_core::Path;
use glowplug_core::limits::Range;

use crate::keys::ConversationKey;
use crate::pool::OVERHEAD;
use crate::rate::RateLimit;

/// The longest payload of a UDP datagram over IPv4: 65,535 less 20 for IP and 8 for UDP.
pub const MAX_DATAGRAM: usize = 65_507;

/// Conversations at a time.
pub const MAX_CONVERSATIONS: Range<usize> = Range::new(1, 65_536, 1 << 24);
/// Unread datagrams of one conversation.
pub const MAX_QUEUE: Range<usize> = Range::new(1, 64, u16::MAX as usize);
/// Unread bytes of one conversation; any one datagram fits.
pub const MAX_QUEUE_BYTES: Range<usize> = Range::new(2 * (MAX_DATAGRAM + OVERHEAD), 256 * 1024, 1 << 30);
/// Unread bytes of all conversations together.
pub const MAX_BUFFERED: Range<usize> = Range::new(2 * (MAX_DATAGRAM + OVERHEAD), 16 * 1024 * 1024, 1 << 40);
/// Datagrams waiting to be sent, of all conversations together.
pub const MAX_OUTPUT: Range<usize> = Range::new(4, 1024, 1 << 20);
/// Datagrams waiting to be sent, of one conversation.
pub const MAX_OUTPUT_EACH: Range<usize> = Range::new(1, 256, u16::MAX as usize);
/// Bytes waiting to be sent, of all conversations together.
pub const MAX_OUTPUT_BYTES: Range<usize> = Range::new(MAX_DATAGRAM, 4 * 1024 * 1024, 1 << 40);
/// Datagrams of one size that are handed out as one transmit.
pub const MAX_SEGMENTS: Range<usize> = Range::new(1, 1, 64);

/// Judges a new peer by its path and its first datagram.
pub type Filter = Arc<dyn Fn(&Path, &[u8]) -> bool + Send + Sync>;

/// Which new peers may open a conversation.
#[derive(Clone, Default)]
pub enum Accept {
    /// None: the socket of a client.
    Nobody,
    /// All of them.
    #[default]
    Anybody,
    /// Those for which this is true, by path and first datagram. It is asked before any memory is spent.
    Filter(Filter),
}

impl Accept {
    /// Those for which `filter` is true.
    pub fn filter(filter: impl Fn(&Path, &[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self::Filter(Arc::new(filter))
    }
}

impl fmt::Debug for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Anybody => "Anybody",
            Self::Filter(_) => "Filter(..)",
        })
    }
}

/// How datagrams reach the application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Each as an event: one loop serves all peers. A conversation that is over is forgotten with its last event.
    #[default]
    Events,
    /// Each conversation has a queue to [`receive`](crate::Tracker::receive) from: a task per peer. A conversation that is
    /// over keeps its unread datagrams until the application [closes](crate::Tracker::close_conversation) it, which it
    /// must.
    Queues,
}

/// What happens to a datagram whose conversation's queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// It is dropped.
    #[default]
    DropNewest,
    /// The oldest unread ones are dropped for it.
    DropOldest,
    /// It is dropped, and the conversation ends after what is in the queue.
    Close,
}

/// What happens to a new peer when there are as many conversations as there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eviction {
    /// It is refused.
    #[default]
    Refuse,
    /// The longest idle of sixteen conversations, drawn at random, makes room; those with a proven peer only if all
    /// sixteen have one.
    Idlest,
    /// The same, but a conversation with a proven peer never makes room: no flood of new peers can end it.
    IdlestUnproven,
}

/// Whose conversation ends when the system says that the peer cannot be reached. Off the path anybody can forge that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unreachable {
    /// Nobody's.
    Ignore,
    /// Ours that has not heard from the peer yet: a client learns at once that nobody is there.
    #[default]
    EndUnanswered,
    /// Any.
    End,
}

/// Reads the conversation's id out of a datagram.
pub type Identify = Arc<dyn Fn(&[u8]) -> Option<ConversationKey> + Send + Sync>;

/// How a [`Tracker`](crate::Tracker) behaves. The defaults are a server that anybody may talk to, with all limits on and
/// all options off.
///
/// ```
/// use core::time::Duration;
/// use glowplug_udp::{Config, Eviction, Overflow};
/// let config = Config::default()
///     .max_conversations(10_000)
///     .eviction(Eviction::IdlestUnproven)
///     .overflow(Overflow::DropOldest)
///     .retry(Some(Duration::from_secs(10)))
///     .idle_timeout(Some(Duration::from_secs(30)));
/// # let _ = config;
/// ```
#[derive(Clone)]
pub struct Config {
    pub(crate) accept: Accept,
    pub(crate) delivery: Delivery,
    pub(crate) overflow: Overflow,
    pub(crate) eviction: Eviction,
    pub(crate) unreachable: Unreachable,
    pub(crate) max_conversations: usize,
    pub(crate) max_queue: usize,
    pub(crate) max_queue_bytes: usize,
    pub(crate) max_buffered: usize,
    pub(crate) max_output: usize,
    pub(crate) max_output_each: usize,
    pub(crate) max_output_bytes: usize,
    pub(crate) max_segments: usize,
    pub(crate) max_datagram: usize,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) linger_accepted: Duration,
    pub(crate) linger_connected: Duration,
    pub(crate) retry: Option<Duration>,
    pub(crate) amplification: Option<u32>,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) identify: Option<Identify>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            accept: Accept::default(),
            delivery: Delivery::default(),
            overflow: Overflow::default(),
            eviction: Eviction::default(),
            unreachable: Unreachable::default(),
            max_conversations: MAX_CONVERSATIONS.default(),
            max_queue: MAX_QUEUE.default(),
            max_queue_bytes: MAX_QUEUE_BYTES.default(),
            max_buffered: MAX_BUFFERED.default(),
            max_output: MAX_OUTPUT.default(),
            max_output_each: MAX_OUTPUT_EACH.default(),
            max_output_bytes: MAX_OUTPUT_BYTES.default(),
            max_segments: MAX_SEGMENTS.default(),
            max_datagram: MAX_DATAGRAM,
            idle_timeout: Some(Duration::from_secs(120)),
            linger_accepted: Duration::ZERO,
            linger_connected: Duration::from_secs(30),
            retry: None,
            amplification: None,
            rate_limit: None,
            identify: None,
        }
    }
}

impl Config {
    /// The socket of a client: nobody is accepted.
    pub fn client() -> Self {
        Self { accept: Accept::Nobody, ..Self::default() }
    }

    /// Which new peers may open a conversation. Default: anybody.
    pub fn accept(mut self, accept: Accept) -> Self {
        self.accept = accept;
        self
    }

    /// How datagrams reach the application. Default: as events.
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// What happens at a full queue. Default: the newest is dropped.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// What happens to a new peer at a full table. Default: it is refused.
    pub fn eviction(mut self, eviction: Eviction) -> Self {
        self.eviction = eviction;
        self
    }

    /// What an unreachable peer's conversation does. Default: ours end if they have heard nothing yet.
    pub fn unreachable(mut self, unreachable: Unreachable) -> Self {
        self.unreachable = unreachable;
        self
    }

    /// Conversations at a time, lingering ones included ([`MAX_CONVERSATIONS`]: 65,536). A tracker holds about 170 bytes
    /// for each.
    pub fn max_conversations(mut self, max: usize) -> Self {
        self.max_conversations = MAX_CONVERSATIONS.clamp(max);
        self
    }

    /// Unread datagrams of one conversation ([`MAX_QUEUE`]: 64).
    pub fn max_queue(mut self, max: usize) -> Self {
        self.max_queue = MAX_QUEUE.clamp(max);
        self
    }

    /// Unread bytes of one conversation, 64 more for each datagram ([`MAX_QUEUE_BYTES`]: 256 KiB).
    pub fn max_queue_bytes(mut self, max: usize) -> Self {
        self.max_queue_bytes = MAX_QUEUE_BYTES.clamp(max);
        self
    }

    /// Unread bytes of all conversations together, 64 more for each datagram ([`MAX_BUFFERED`]: 16 MiB). A quarter of it is
    /// kept for conversations whose peer's address is [proven](crate::Tracker::is_proven): no flood of others fills that.
    pub fn max_buffered(mut self, max: usize) -> Self {
        self.max_buffered = MAX_BUFFERED.clamp(max);
        self
    }

    /// Datagrams waiting to be sent ([`MAX_OUTPUT`]: 1024). Cookies to new peers take a quarter of that at most.
    pub fn max_output(mut self, max: usize) -> Self {
        self.max_output = MAX_OUTPUT.clamp(max);
        self
    }

    /// Datagrams of one conversation waiting to be sent ([`MAX_OUTPUT_EACH`]: 256).
    pub fn max_output_each(mut self, max: usize) -> Self {
        self.max_output_each = MAX_OUTPUT_EACH.clamp(max);
        self
    }

    /// Bytes waiting to be sent ([`MAX_OUTPUT_BYTES`]: 4 MiB).
    pub fn max_output_bytes(mut self, max: usize) -> Self {
        self.max_output_bytes = MAX_OUTPUT_BYTES.clamp(max);
        self
    }

    /// Datagrams of one size and path that may be handed out as one transmit, for systems with segmentation offload
    /// ([`MAX_SEGMENTS`]: 1, which is off). May be changed later, when the system turns out to have none:
    /// [`set_max_segments`](crate::Tracker::set_max_segments).
    pub fn max_segments(mut self, max: usize) -> Self {
        self.max_segments = MAX_SEGMENTS.clamp(max);
        self
    }

    /// The longest datagram to send, at most and by default [`MAX_DATAGRAM`].
    pub fn max_datagram(mut self, max: usize) -> Self {
        self.max_datagram = max.min(MAX_DATAGRAM);
        self
    }

    /// How long a peer may be silent. Default: 2 minutes, which is what a NAT gives it (RFC 4787 REQ-5); `None` is for
    /// ever. What we send does not count: [`touch`](crate::Tracker::touch) does.
    pub fn idle_timeout(mut self, idle: Option<Duration>) -> Self {
        self.idle_timeout = idle;
        self
    }

    /// How long late datagrams of a finished conversation that a peer began are thrown away, instead of opening the next
    /// one. Default: not at all.
    pub fn linger_accepted(mut self, linger: Duration) -> Self {
        self.linger_accepted = linger;
        self
    }

    /// The same for conversations that we began, so that a server's late answer does not open a conversation of its own.
    /// Default: 30 s.
    pub fn linger_connected(mut self, linger: Duration) -> Self {
        self.linger_connected = linger;
        self
    }

    /// New peers prove their address before any memory is spent on them, by bringing a cookie back within this time; and
    /// our own conversations know how to. Both ends have to have it on. Default: off.
    pub fn retry(mut self, lifetime: Option<Duration>) -> Self {
        self.retry = lifetime;
        self
    }

    /// How many times as many bytes as came from an unproven address may be sent to it (QUIC allows 3, RFC 9000 §8.1).
    /// Default: no limit.
    pub fn amplification(mut self, factor: Option<u32>) -> Self {
        self.amplification = factor.map(|factor| factor.max(1));
        self
    }

    /// How many datagrams one peer may send. Default: no limit.
    pub fn rate_limit(mut self, limit: Option<RateLimit>) -> Self {
        self.rate_limit = limit;
        self
    }

    /// Tells conversations by an id in their datagrams, so that they survive a change of address. Datagrams without an id
    /// are told by address. Default: all are.
    ///
    /// An id that is not known opens a conversation, also from a known address. Whoever can forge an id can draw what is
    /// sent to the wrong address, which is why a moved conversation is unproven again: set
    /// [`amplification`](Self::amplification) too, and [`prove`](crate::Tracker::prove) the new address.
    pub fn identify(
        mut self,
        identify: impl Fn(&[u8]) -> Option<ConversationKey> + Send + Sync + 'static,
    ) -> Self {
        self.identify = Some(Arc::new(identify));
        self
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("accept", &self.accept)
            .field("delivery", &self.delivery)
            .field("overflow", &self.overflow)
            .field("eviction", &self.eviction)
            .field("max_conversations", &self.max_conversations)
            .field("max_queue", &self.max_queue)
            .field("max_buffered", &self.max_buffered)
            .field("idle_timeout", &self.idle_timeout)
            .field("retry", &self.retry)
            .field("amplification", &self.amplification)
            .field("rate_limit", &self.rate_limit)
            .field("identify", &self.identify.is_some())
            .finish_non_exhaustive()
    }
}

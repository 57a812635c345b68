//! Published messages, confirmations, and what a connection is subscribed to.

use bytes::Bytes;

use crate::wire::{Reply, ReplyRef};

/// Which kind of name is subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// A channel by its name: `SUBSCRIBE`.
    Channel,
    /// A glob-style pattern: `PSUBSCRIBE`.
    Pattern,
    /// A channel of one cluster slot: `SSUBSCRIBE`.
    Shard,
}

/// A push, or in RESP2 an array that means one, read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PushMessage {
    /// A message was published.
    Message {
        /// Where.
        channel: Bytes,
        /// The pattern that matched, for a subscription by pattern.
        pattern: Option<Bytes>,
        /// True when it came over a shard channel.
        shard: bool,
        /// What.
        payload: Bytes,
    },
    /// A subscription began.
    Subscribed {
        /// What kind of name.
        scope: Scope,
        /// The name.
        name: Bytes,
        /// How many subscriptions of the connection there are now: channels and patterns together, or shard channels.
        count: i64,
    },
    /// A subscription ended.
    Unsubscribed {
        /// What kind of name.
        scope: Scope,
        /// The name; `None` when there was nothing to end.
        name: Option<Bytes>,
        /// How many subscriptions of the connection there are now: channels and patterns together, or shard channels.
        count: i64,
    },
    /// Keys that were read with tracking on have changed; `None` means all of them.
    Invalidate(Option<alloc::vec::Vec<Bytes>>),
}

impl PushMessage {
    /// Reads the kinds above; `None` for any other reply.
    pub fn parse(reply: &Reply) -> Option<Self> {
        let mut elements = reply.view().elements()?;
        let kind = elements.next()?.as_bytes()?;
        let mut text = || elements.next();
        let bytes = |element: Option<ReplyRef<'_>>| element?.as_blob().map(crate::wire::Blob::to_bytes);
        let (scope, begins) = match kind {
            b"message" | b"smessage" => {
                let shard = kind == b"smessage";
                return Some(Self::Message {
                    channel: bytes(text())?,
                    pattern: None,
                    shard,
                    payload: bytes(text())?,
                });
            }
            b"pmessage" => {
                let pattern = bytes(text())?;
                return Some(Self::Message {
                    pattern: Some(pattern),
                    channel: bytes(text())?,
                    shard: false,
                    payload: bytes(text())?,
                });
            }
            b"invalidate" => {
                return match text()? {
                    ReplyRef::Null => Some(Self::Invalidate(None)),
                    keys => Some(Self::Invalidate(Some(
                        keys.elements()?.filter_map(|key| bytes(Some(key))).collect(),
                    ))),
                };
            }
            _ => confirmation(kind)?,
        };
        let name = bytes(text());
        let count = text()?.as_integer()?;
        Some(match (begins, name) {
            (true, Some(name)) => Self::Subscribed { scope, name, count },
            (true, None) => return None,
            (false, name) => Self::Unsubscribed { scope, name, count },
        })
    }
}

fn confirmation(kind: &[u8]) -> Option<(Scope, bool)> {
    Some(match kind {
        b"subscribe" => (Scope::Channel, true),
        b"psubscribe" => (Scope::Pattern, true),
        b"ssubscribe" => (Scope::Shard, true),
        b"unsubscribe" => (Scope::Channel, false),
        b"punsubscribe" => (Scope::Pattern, false),
        b"sunsubscribe" => (Scope::Shard, false),
        _ => return None,
    })
}

/// How many subscriptions a connection has, by the server's own count.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    channels: usize,
    patterns: usize,
    shards: usize,
}

impl Subscriptions {
    /// True while any subscription is there. In RESP2 the server then sends nothing but messages and confirmations.
    pub(crate) fn any(&self) -> bool {
        self.channels > 0 || self.patterns > 0 || self.shards > 0
    }

    pub(crate) fn count(&self, scope: Scope) -> usize {
        match scope {
            Scope::Channel => self.channels,
            Scope::Pattern => self.patterns,
            Scope::Shard => self.shards,
        }
    }

    /// Takes note of a confirmation. False if `reply` is none.
    pub(crate) fn confirmed(&mut self, reply: &Reply) -> bool {
        let Some(mut elements) = reply.view().elements() else { return false };
        let kind = elements.next().and_then(|kind| kind.as_bytes()).and_then(confirmation);
        let (Some((scope, _)), Some(count)) = (kind, elements.nth(1).and_then(|count| count.as_integer()))
        else {
            return false;
        };
        // Channels and patterns are counted together on the wire.
        let count = usize::try_from(count).unwrap_or(0);
        match scope {
            Scope::Channel => self.channels = count.saturating_sub(self.patterns),
            Scope::Pattern => self.patterns = count.saturating_sub(self.channels),
            Scope::Shard => self.shards = count,
        }
        true
    }

    /// True for a message that was published, in RESP2.
    pub(crate) fn is_message(reply: &Reply) -> bool {
        let kind = reply.view().elements().and_then(|mut elements| elements.next());
        matches!(
            kind.and_then(|kind| kind.as_bytes()),
            Some(b"message" | b"pmessage" | b"smessage" | b"sunsubscribe")
        )
    }
}

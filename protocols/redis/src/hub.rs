//! Many listeners on one connection that subscribes.
//!
//! ```text
//!   listener --subscribe--> names wanted --poll_command--> connection
//!   listener <--poll_event-- queue of its own <--handle_push-- connection
//! ```
//!
//! The hub outlives the connection: what is wanted is its state, and [`SubscriptionHub::connected`] asks for all of it again.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use bytes::Bytes;
use glowplug_core::limits::Range;

use crate::wire::{Reply, ServerError};
use crate::{Command, PushMessage, Scope, commands};

const QUEUED_MESSAGES: Range<usize> = Range::new(1, 1024, 1 << 24);
const QUEUED_BYTES: Range<usize> = Range::new(1024, 16 << 20, 1 << 32);

/// How many names go into one command.
const NAMES_PER_COMMAND: usize = 100;

/// What becomes of a message when a listener's queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The oldest message makes room; the listener is told how many are lost.
    #[default]
    DropOldest,
    /// The new message is lost; the listener is told how many are.
    DropNewest,
    /// The listener is told, and gets no more.
    Close,
}

/// How much waits for listeners.
#[derive(Clone, Copy, Debug)]
pub struct HubConfig {
    max_queued_messages: usize,
    max_queued_bytes: usize,
    overflow: Overflow,
}

impl HubConfig {
    /// How many messages may wait for one listener. Default 1024; 1 to 16,777,216.
    pub fn max_queued_messages(mut self, count: usize) -> Self {
        self.max_queued_messages = QUEUED_MESSAGES.clamp(count);
        self
    }

    /// How many bytes of channels and payloads may wait for one listener; one message of any size may. Default 16 MiB; 1 KiB to
    /// 4 GiB.
    pub fn max_queued_bytes(mut self, bytes: usize) -> Self {
        self.max_queued_bytes = QUEUED_BYTES.clamp(bytes);
        self
    }

    /// What becomes of a message when a queue is full.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            max_queued_messages: QUEUED_MESSAGES.default(),
            max_queued_bytes: QUEUED_BYTES.default(),
            overflow: Overflow::default(),
        }
    }
}

/// One listener of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(u64);

/// What a hub tells a listener.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum HubEvent {
    /// A message was published.
    Message {
        /// Where.
        channel: Bytes,
        /// The pattern that matched, for a subscription by pattern.
        pattern: Option<Bytes>,
        /// What.
        payload: Bytes,
    },
    /// The connection was lost and is there again: what was published meanwhile is lost.
    Gap,
    /// The listener was too slow: so many messages are lost, from just before the next one or just after the last.
    Lagged(u64),
    /// The server refused to subscribe to a name, which is now forgotten.
    Refused {
        /// What kind of name.
        scope: Scope,
        /// The name.
        name: Bytes,
        /// What the server said.
        error: ServerError,
    },
    /// The listener gets no more: it was too slow, or the hub is [closed](SubscriptionHub::close).
    Closed,
}

/// A command for the connection that subscribes, and what it is about.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a subscription that is not sent never begins"]
pub struct HubCommand {
    /// The command.
    pub command: Command,
    /// What kind of names.
    pub scope: Scope,
    /// The names.
    pub names: Vec<Bytes>,
}

/// A subscription hub: many listeners, each with a bounded queue, on one connection; names are subscribed to while anybody
/// listens to them.
///
/// Whoever drives it sends what [`poll_command`](Self::poll_command) gives, hands each push to
/// [`handle_push`](Self::handle_push), and says when a connection [is there](Self::connected) or [is lost](Self::disconnected).
///
/// ```
/// use glowplug_redis::{HubConfig, Scope, SubscriptionHub};
/// let mut hub = SubscriptionHub::new(HubConfig::default());
/// hub.connected();
/// let (ann, bob) = (hub.listen(), hub.listen());
/// hub.subscribe(ann, Scope::Channel, "news");
/// hub.subscribe(bob, Scope::Channel, "news");
/// let asked = hub.poll_command().expect("somebody listens");
/// assert_eq!(asked.command.to_vec(), b"*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n");
/// hub.forget(ann);
/// assert_eq!(hub.poll_command(), None); // bob still listens
/// ```
#[derive(Debug)]
pub struct SubscriptionHub {
    config: HubConfig,
    connected: bool,
    next_id: u64,
    listeners: BTreeMap<ListenerId, Listener>,
    names: BTreeMap<(Scope, Bytes), Name>,
    /// Names for which something may have to be sent.
    changed: BTreeSet<(Scope, Bytes)>,
}

#[derive(Debug, Default)]
struct Name {
    listeners: BTreeSet<ListenerId>,
    /// The current connection was asked to subscribe.
    sent: bool,
    /// It has confirmed.
    confirmed: bool,
}

#[derive(Debug, Default)]
struct Listener {
    names: BTreeSet<(Scope, Bytes)>,
    queue: VecDeque<HubEvent>,
    /// Messages in the queue, and their bytes.
    messages: usize,
    bytes: usize,
    lost: u64,
    closed: bool,
}

impl SubscriptionHub {
    /// A hub without listeners or a connection.
    pub fn new(config: HubConfig) -> Self {
        Self {
            config,
            connected: false,
            next_id: 0,
            listeners: BTreeMap::new(),
            names: BTreeMap::new(),
            changed: BTreeSet::new(),
        }
    }

    /// A new listener, which listens to nothing yet.
    pub fn listen(&mut self) -> ListenerId {
        self.next_id += 1;
        let id = ListenerId(self.next_id);
        self.listeners.insert(id, Listener::default());
        id
    }

    /// A listener is gone, and with it its subscriptions and its queue.
    pub fn forget(&mut self, id: ListenerId) {
        let Some(listener) = self.listeners.remove(&id) else { return };
        for key in listener.names {
            self.leave(id, &key);
        }
    }

    /// Lets a listener hear what is published under a name. Twice is as good as once.
    pub fn subscribe(&mut self, id: ListenerId, scope: Scope, name: impl Into<Bytes>) {
        let Some(listener) = self.listeners.get_mut(&id).filter(|listener| !listener.closed) else { return };
        let key = (scope, name.into());
        listener.names.insert(key.clone());
        self.names.entry(key.clone()).or_default().listeners.insert(id);
        self.changed.insert(key);
    }

    /// Lets a listener no longer hear what is published under a name.
    pub fn unsubscribe(&mut self, id: ListenerId, scope: Scope, name: impl Into<Bytes>) {
        let key = (scope, name.into());
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        if listener.names.remove(&key) {
            self.leave(id, &key);
        }
    }

    fn leave(&mut self, id: ListenerId, key: &(Scope, Bytes)) {
        if let Some(name) = self.names.get_mut(key) {
            name.listeners.remove(&id);
            if name.listeners.is_empty() {
                self.changed.insert(key.clone());
            }
        }
    }

    /// There is a connection: everything is subscribed to again. Listeners whose names a former connection had are told of the
    /// gap.
    pub fn connected(&mut self) {
        self.disconnected();
        self.connected = true;
    }

    /// The connection is lost. Nothing is sent until there is another.
    pub fn disconnected(&mut self) {
        self.connected = false;
        let mut missed = BTreeSet::new();
        for (key, name) in &mut self.names {
            name.confirmed = false;
            if core::mem::take(&mut name.sent) {
                missed.extend(name.listeners.iter().copied());
            }
            self.changed.insert(key.clone());
        }
        for id in missed {
            if let Some(listener) = self.listeners.get_mut(&id)
                && listener.queue.back() != Some(&HubEvent::Gap)
            {
                listener.queue.push_back(HubEvent::Gap);
            }
        }
    }

    /// The next command to send, if there is a connection and anything has changed. It is answered by one confirmation for each
    /// name, which nobody has to look at, or by a refusal, which goes to [`handle_refusal`](Self::handle_refusal).
    pub fn poll_command(&mut self) -> Option<HubCommand> {
        if !self.connected {
            return None;
        }
        let mut batch: Option<(Scope, bool)> = None;
        let mut names = Vec::new();
        while let Some(key) = self.changed.first().cloned() {
            let Some(name) = self.names.get_mut(&key) else {
                self.changed.pop_first();
                continue;
            };
            let wanted = !name.listeners.is_empty();
            if wanted != name.sent {
                if batch.is_some_and(|batch| batch != (key.0, wanted)) || names.len() == NAMES_PER_COMMAND {
                    break;
                }
                batch = Some((key.0, wanted));
                names.push(key.1.clone());
                name.sent = wanted;
                name.confirmed = false;
            }
            if !wanted {
                self.names.remove(&key);
            }
            self.changed.pop_first();
        }
        let (scope, wanted) = batch?;
        let command = match (scope, wanted) {
            (Scope::Channel, true) => commands::subscribe(&names),
            (Scope::Pattern, true) => commands::psubscribe(&names),
            (Scope::Shard, true) => commands::ssubscribe(&names),
            (Scope::Channel, false) => commands::unsubscribe(&names),
            (Scope::Pattern, false) => commands::punsubscribe(&names),
            (Scope::Shard, false) => commands::sunsubscribe(&names),
        };
        Some(HubCommand { command, scope, names })
    }

    /// The server has confirmed a command in full.
    pub fn handle_confirmation(&mut self, confirmed: &HubCommand) {
        for name in &confirmed.names {
            if let Some(entry) = self.names.get_mut(&(confirmed.scope, name.clone())) {
                entry.confirmed = entry.sent;
            }
        }
    }

    /// True once the server has said yes or no to each name of a listener.
    pub fn is_settled(&self, id: ListenerId) -> bool {
        let confirmed = |key| self.names.get(key).is_some_and(|name| name.confirmed);
        self.listeners.get(&id).is_none_or(|listener| listener.names.iter().all(confirmed))
    }

    /// There will be no more connection: every listener is told by [`HubEvent::Closed`], and gets no more.
    pub fn close(&mut self) {
        self.names.clear();
        self.changed.clear();
        for listener in self.listeners.values_mut().filter(|listener| !listener.closed) {
            listener.names.clear();
            listener.closed = true;
            listener.queue.push_back(HubEvent::Closed);
        }
    }

    /// True for a listener that gets no more. What waits for it is still there.
    pub fn is_closed(&self, id: ListenerId) -> bool {
        self.listeners.get(&id).is_none_or(|listener| listener.closed)
    }

    /// The server refused a command: its names are forgotten, and who wanted them is told.
    pub fn handle_refusal(&mut self, refused: &HubCommand, error: &ServerError) {
        for name in &refused.names {
            let key = (refused.scope, name.clone());
            let Some(entry) = self.names.remove(&key) else { continue };
            for id in entry.listeners {
                if let Some(listener) = self.listeners.get_mut(&id) {
                    listener.names.remove(&key);
                    let (scope, name) = key.clone();
                    listener.queue.push_back(HubEvent::Refused { scope, name, error: error.clone() });
                }
            }
        }
    }

    /// Gives a message to all who listen. True if it was one.
    pub fn handle_push(&mut self, push: &Reply) -> bool {
        let Some(PushMessage::Message { channel, pattern, shard, payload }) = PushMessage::parse(push) else {
            return false;
        };
        let key = match &pattern {
            Some(pattern) => (Scope::Pattern, pattern.clone()),
            None if shard => (Scope::Shard, channel.clone()),
            None => (Scope::Channel, channel.clone()),
        };
        let mut closed = Vec::new();
        for id in self.names.get(&key).into_iter().flat_map(|name| &name.listeners) {
            if let Some(listener) = self.listeners.get_mut(id) {
                let (channel, pattern, payload) = (channel.clone(), pattern.clone(), payload.clone());
                listener.offer(HubEvent::Message { channel, pattern, payload }, &self.config);
                if listener.closed {
                    closed.push(*id);
                }
            }
        }
        for id in closed {
            let names = self.listeners.get_mut(&id).map(|listener| core::mem::take(&mut listener.names));
            for key in names.unwrap_or_default() {
                self.leave(id, &key);
            }
        }
        true
    }

    /// What there is for a listener, oldest first.
    pub fn poll_event(&mut self, id: ListenerId) -> Option<HubEvent> {
        let listener = self.listeners.get_mut(&id)?;
        if listener.lost > 0 && (listener.messages == 0 || self.config.overflow == Overflow::DropOldest) {
            return Some(HubEvent::Lagged(core::mem::take(&mut listener.lost)));
        }
        listener.take()
    }

    /// True while there is something for a listener.
    pub fn has_event(&self, id: ListenerId) -> bool {
        self.listeners.get(&id).is_some_and(|listener| listener.lost > 0 || !listener.queue.is_empty())
    }
}

fn size(event: &HubEvent) -> usize {
    match event {
        HubEvent::Message { channel, pattern, payload } => {
            channel.len() + pattern.as_ref().map_or(0, Bytes::len) + payload.len()
        }
        _ => 0,
    }
}

impl Listener {
    fn take(&mut self) -> Option<HubEvent> {
        let event = self.queue.pop_front()?;
        if matches!(event, HubEvent::Message { .. }) {
            self.messages -= 1;
            self.bytes -= size(&event);
        }
        Some(event)
    }

    /// Queues a message, by the rule for a full queue.
    fn offer(&mut self, message: HubEvent, config: &HubConfig) {
        let len = size(&message);
        let full = |listener: &Self| {
            listener.messages >= config.max_queued_messages
                || (listener.messages > 0 && listener.bytes + len > config.max_queued_bytes)
        };
        while full(self) {
            match config.overflow {
                Overflow::DropNewest => {
                    self.lost += 1;
                    return;
                }
                Overflow::Close => {
                    self.closed = true;
                    self.queue.push_back(HubEvent::Closed);
                    return;
                }
                // Words of the hub itself stay; messages are lost in order.
                Overflow::DropOldest => {
                    let oldest =
                        self.queue.iter().position(|event| matches!(event, HubEvent::Message { .. }));
                    let Some(at) = oldest else { return };
                    let Some(event) = self.queue.remove(at) else { return };
                    // Two gaps with nothing between them are one.
                    if at > 0
                        && self.queue.get(at) == Some(&HubEvent::Gap)
                        && self.queue[at - 1] == HubEvent::Gap
                    {
                        self.queue.remove(at);
                    }
                    self.messages -= 1;
                    self.bytes -= size(&event);
                    self.lost += 1;
                }
            }
        }
        self.messages += 1;
        self.bytes += len;
        self.queue.push_back(message);
    }
}

#[cfg(test)]
mod tests;

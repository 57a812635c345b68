//! What the server knows of one connection.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use bytes::Bytes;
use glowplug_core::Instant;

use super::server::{ConnectionId, Output};
use crate::wire::{Protocol, ReceivedCommand, Value};

#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) protocol: Protocol,
    pub(super) database: usize,
    pub(super) name: Bytes,
    pub(super) authenticated: bool,
    pub(super) transaction: Option<Transaction>,
    pub(super) watched: BTreeSet<(usize, Bytes)>,
    /// Something that is watched has changed.
    pub(super) watch_broken: bool,
    pub(super) channels: BTreeSet<Bytes>,
    pub(super) patterns: BTreeSet<Bytes>,
    pub(super) shards: BTreeSet<Bytes>,
    pub(super) blocked: Option<Blocked>,
    pub(super) tracking: Option<Tracking>,
    /// Others have had their changes told to this one.
    pub(super) hears_for_others: bool,
    outbox: VecDeque<Output>,
    /// Bytes of messages in `outbox`.
    mail: usize,
}

/// Commands between `MULTI` and `EXEC`.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) commands: Vec<ReceivedCommand>,
    /// One of them was refused already.
    pub(super) spoiled: bool,
}

/// What a session wants to be told of.
#[derive(Debug)]
pub(super) struct Tracking {
    /// Changes of every key that begins with one of these; `None`: of those that the session has read.
    pub(super) prefixes: Option<Vec<Bytes>>,
    /// Not of its own changes.
    pub(super) no_loop: bool,
    /// `true` (`OPTIN`): only of what is read right after `CLIENT CACHING YES`. `false` (`OPTOUT`): of all but what is read right
    /// after `CLIENT CACHING NO`.
    pub(super) opt_in: Option<bool>,
    /// `CLIENT CACHING` was said, and holds for the next command.
    pub(super) caching: bool,
    /// Another connection is told instead.
    pub(super) redirect: Option<ConnectionId>,
}

impl Tracking {
    /// Whether what the session reads now is remembered.
    pub(super) fn remembers(&self) -> bool {
        self.prefixes.is_none() && self.opt_in.is_none_or(|opt_in| opt_in == self.caching)
    }
}

/// A pop that waits.
#[derive(Debug)]
pub(super) struct Blocked {
    pub(super) command: ReceivedCommand,
    pub(super) until: Option<Instant>,
}

impl Session {
    pub(super) fn new(authenticated: bool) -> Self {
        Self { authenticated, ..Self::default() }
    }

    pub(super) fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// True in RESP2 while anything is subscribed to: then little else is allowed.
    pub(super) fn only_listens(&self) -> bool {
        self.protocol == Protocol::Resp2 && self.subscriptions() + self.shards.len() > 0
    }

    pub(super) fn waits_for_others(&self) -> bool {
        self.blocked.is_some()
            || self.tracking.is_some()
            || self.hears_for_others
            || self.subscriptions() + self.shards.len() > 0
    }

    pub(super) fn post(&mut self, output: Output) {
        self.outbox.push_back(output);
    }

    /// Posts a message of about `len` bytes. A connection that lets more than `max` gather is hung up on.
    pub(super) fn post_message(&mut self, value: Value, len: usize, max: usize) {
        // What a message costs beside its bytes.
        self.mail += len + 256;
        if self.mail > max {
            self.outbox.clear();
            self.outbox.push_back(Output::Close);
            return;
        }
        self.outbox.push_back(Output::Push(value));
    }

    pub(super) fn take(&mut self) -> Option<Output> {
        let output = self.outbox.pop_front();
        if self.outbox.is_empty() {
            self.mail = 0;
        }
        output
    }
}

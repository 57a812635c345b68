//! Logical sessions: the server's names for what belongs together. Specification "Driver Sessions".

use core::time::Duration;

use glowplug_core::{Instant, Rng};

use crate::bson::{Binary, BinarySubtype, Document};
use crate::doc;
use crate::request::Command;

/// Sessions that are kept for later use; a server with more of them idle has other worries.
const MAX_FREE: usize = 10_000;
/// A session this close to its end is not used again.
const MARGIN: Duration = Duration::from_secs(60);

/// One session as the server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSession {
    id: [u8; 16],
    txn_number: i64,
    last_used: Instant,
    dirty: bool,
}

impl ServerSession {
    fn new(now: Instant, rng: &mut Rng) -> Self {
        let mut id = [0; 16];
        rng.fill(&mut id);
        // RFC 9562 §5.4: a random UUID says so in version and variant.
        id[6] = id[6] & 0x0f | 0x40;
        id[8] = id[8] & 0x3f | 0x80;
        Self { id, txn_number: 0, last_used: now, dirty: false }
    }

    /// The session's id as commands carry it: `{id: UUID}`.
    pub fn lsid(&self) -> Document {
        doc! { "id": Binary { subtype: BinarySubtype::UUID, bytes: &self.id } }
    }

    /// Appends `lsid` to a command.
    pub fn put(&self, body: &mut Document) {
        let id = Binary { subtype: BinarySubtype::UUID, bytes: &self.id };
        body.writer().document("lsid").append("id", id);
    }

    /// The number of the next retryable write: the same write, sent again, has the same number and is made once.
    pub fn next_txn_number(&mut self) -> i64 {
        self.txn_number += 1;
        self.txn_number
    }

    /// A command was sent in it.
    pub fn touch(&mut self, now: Instant) {
        self.last_used = now;
    }

    /// A connection failed while a command of it was under way: nobody knows what the server makes of it, so it is not used again.
    pub fn mark_dirty(&mut self) {
        self.dirty = true;
    }

    fn is_usable(&self, now: Instant, timeout: Duration) -> bool {
        !self.dirty && now.saturating_duration_since(self.last_used) + MARGIN < timeout
    }
}

/// Sessions that are free. The one used last is used next, so that the others time out on the server.
#[derive(Debug, Default)]
pub struct SessionPool {
    free: Vec<ServerSession>,
}

impl SessionPool {
    /// A session to use, and to [`give`](Self::give) back. `timeout` is how long the server keeps idle ones.
    pub fn take(&mut self, now: Instant, timeout: Duration, rng: &mut Rng) -> ServerSession {
        while let Some(session) = self.free.pop() {
            if session.is_usable(now, timeout) {
                return session;
            }
        }
        ServerSession::new(now, rng)
    }

    /// A session is free again.
    pub fn give(&mut self, now: Instant, timeout: Duration, session: ServerSession) {
        if session.is_usable(now, timeout) && self.free.len() < MAX_FREE {
            self.free.push(session);
        }
    }

    /// How many are free.
    pub fn len(&self) -> usize {
        self.free.len()
    }

    /// True when none is free.
    pub fn is_empty(&self) -> bool {
        self.free.is_empty()
    }

    /// The command that ends all free sessions; none when there is none.
    pub fn end_all(&mut self) -> Option<Command> {
        let ids: Vec<Document> = self.free.drain(..).map(|session| session.lsid()).collect();
        (!ids.is_empty()).then(|| Command::new("admin", doc! { "endSessions": ids }))
    }
}

#[cfg(test)]
mod tests {
    use glowplug_core::Seed;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30 * 60);

    #[test]
    fn sessions_are_reused_last_first_and_until_they_may_time_out() {
        let (mut pool, mut rng) = (SessionPool::default(), Seed::from_u64(1).rng());
        let now = Instant::ZERO;
        let (one, two) = (pool.take(now, TIMEOUT, &mut rng), pool.take(now, TIMEOUT, &mut rng));
        assert_ne!(one.lsid(), two.lsid());
        let mut broken = pool.take(now, TIMEOUT, &mut rng);
        broken.mark_dirty();
        pool.give(now, TIMEOUT, one.clone());
        pool.give(now, TIMEOUT, two.clone());
        pool.give(now, TIMEOUT, broken);
        assert_eq!(pool.len(), 2);
        assert_eq!(pool.take(now, TIMEOUT, &mut rng).lsid(), two.lsid());
        let late = now + TIMEOUT - Duration::from_secs(59);
        assert_ne!(pool.take(late, TIMEOUT, &mut rng).lsid(), one.lsid());
        assert!(pool.is_empty());
        assert_eq!(pool.end_all(), None);
    }

    #[test]
    fn ids_are_random_uuids_and_end_by_command() {
        let (mut pool, mut rng) = (SessionPool::default(), Seed::from_u64(2).rng());
        let mut session = pool.take(Instant::ZERO, TIMEOUT, &mut rng);
        assert_eq!((session.next_txn_number(), session.next_txn_number()), (1, 2));
        assert_eq!((session.id[6] >> 4, session.id[8] >> 6), (4, 2));
        let mut body = Document::new();
        session.put(&mut body);
        assert_eq!(body, doc! { "lsid": session.lsid() });
        let end = doc! { "endSessions": [session.lsid()] };
        pool.give(Instant::ZERO, TIMEOUT, session);
        assert_eq!(pool.end_all().map(|command| command.body), Some(end));
    }
}

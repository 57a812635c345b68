//! The client's end of UDP: any number of queries on one socket.
//!
//! Each query has a random id and, in its name, random case (0x20); an answer counts only if it comes from the server that was
//! asked, with that id, that question in that case, and that cookie. Everything else is ignored, and the wait
//! goes on: a forger cannot end it. A socket should serve for a while and then give way to another on a new random port.

use alloc::collections::VecDeque;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::BytesMut;
use glowplug_core::{DatagramProtocol, Instant, Path, Rng, Seed, SubmitError, Token, Transmit};
use hashbrown::HashMap;

use crate::error::ExchangeError;
use crate::hash::IdHash;
use crate::query::{Ignored, Query, Reply, Verdict};
use crate::timers::Timers;
use crate::wire::Header;

/// How queries are sent over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpConfig {
    /// How long to wait before a query is sent again; doubles with each time. Default 400 ms.
    pub retransmit: Duration,
    /// How often a query is sent again. Default 4.
    pub max_retransmits: u32,
    /// How many queries may wait on one socket. Default 1024, at most 32,768: more would leave few ids to guess among.
    pub max_in_flight: usize,
    /// Mix the case of names, which makes answers harder to forge. Default true.
    pub mix_case: bool,
}

impl Default for UdpConfig {
    fn default() -> Self {
        Self {
            retransmit: Duration::from_millis(400),
            max_retransmits: 4,
            max_in_flight: 1024,
            mix_case: true,
        }
    }
}

/// How one exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpEvent {
    /// Whose exchange.
    pub token: Token,
    /// What came of it.
    pub result: Result<Reply, ExchangeError>,
}

#[derive(Debug)]
struct Pending {
    token: Token,
    query: Query,
    server: SocketAddr,
    case: Option<u64>,
    /// When this was submitted.
    since: Instant,
    deadline: Instant,
    /// The next thing to happen: another transmission or the deadline.
    wake: Instant,
    wait: Duration,
    sends: u32,
}

/// Queries over one UDP socket, as a pure state machine.
#[derive(Debug)]
pub struct UdpClient {
    config: UdpConfig,
    rng: Rng,
    pending: HashMap<u16, Pending, IdHash>,
    timers: Timers<u16>,
    outgoing: VecDeque<u16>,
    events: VecDeque<UdpEvent>,
    closing: bool,
}

impl UdpClient {
    /// A client with nothing in flight.
    pub fn new(config: UdpConfig, seed: &Seed) -> Self {
        Self {
            config: UdpConfig { max_in_flight: config.max_in_flight.clamp(1, 32_768), ..config },
            rng: seed.rng(),
            pending: HashMap::with_hasher(IdHash::default()),
            timers: Timers::new(),
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
            closing: false,
        }
    }

    /// Asks `server`. The exchange ends with one [`UdpEvent`], at `deadline` at the latest.
    pub fn submit(
        &mut self,
        now: Instant,
        token: Token,
        server: SocketAddr,
        query: Query,
        deadline: Instant,
    ) -> Result<(), SubmitError<Query>> {
        if self.closing {
            return Err(SubmitError::Closed(query));
        }
        if self.pending.len() + self.events.len() >= self.config.max_in_flight {
            return Err(SubmitError::Full(query));
        }
        // At least half of the ids are free.
        let id = loop {
            let id = self.rng.u16();
            if !self.pending.contains_key(&id) {
                break id;
            }
        };
        let case = self.config.mix_case.then(|| self.rng.u64());
        let wake = deadline.min(now + self.config.retransmit);
        self.timers.insert(wake, id);
        if self.outgoing.len() > 4 * self.config.max_in_flight {
            // Nobody sends: forget what was cancelled meanwhile.
            self.outgoing.retain(|id| self.pending.contains_key(id));
        }
        self.outgoing.push_back(id);
        let wait = self.config.retransmit;
        self.pending
            .insert(id, Pending { token, query, server, case, since: now, deadline, wake, wait, sends: 0 });
        Ok(())
    }

    /// Nobody waits for this exchange any more.
    pub fn cancel(&mut self, token: Token) {
        let found = self.pending.iter().find(|(_, pending)| pending.token == token).map(|(id, _)| *id);
        if let Some(id) = found {
            self.remove(id);
        }
        self.events.retain(|event| event.token != token);
    }

    /// Ends every exchange with this error: the socket is gone, or there never was one.
    pub fn fail_all(&mut self, error: ExchangeError) {
        let mut ids: alloc::vec::Vec<u16> = self.pending.keys().copied().collect();
        // In the order of submission, not of the table.
        ids.sort_by_key(|id| self.pending.get(id).map(|pending| (pending.since, pending.token)));
        for id in ids {
            self.end(id, Err(error));
        }
    }

    /// Exchanges that have not ended.
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }

    fn remove(&mut self, id: u16) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        self.trim();
        Some(pending)
    }

    /// Takes out the timers of exchanges that have ended.
    fn trim(&mut self) {
        let pending = &self.pending;
        let counts = |at, id| pending.get(&id).is_some_and(|pending| pending.wake == at);
        self.timers.trim(pending.len(), counts);
    }

    fn end(&mut self, id: u16, result: Result<Reply, ExchangeError>) {
        if let Some(pending) = self.remove(id) {
            self.events.push_back(UdpEvent { token: pending.token, result });
        }
    }
}

/// The same host and port: flow labels and scopes may differ on the way back.
fn same_peer(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip() == b.ip() && a.port() == b.port()
}

/// Gives the question the case it was asked in before its case was mixed: names in the answer point to it, and people read them.
fn restore_case(name: &[u8], message: &mut [u8]) {
    let question = message.get_mut(Header::LEN..Header::LEN + name.len());
    if let Some(question) = question.filter(|question| question.eq_ignore_ascii_case(name)) {
        question.copy_from_slice(name);
    }
}

impl DatagramProtocol for UdpClient {
    type Event = UdpEvent;
    type Error = Ignored;

    fn handle_datagram(&mut self, now: Instant, path: Path, mut payload: BytesMut) -> Result<(), Ignored> {
        let id = payload.first_chunk().map(|id| u16::from_be_bytes(*id)).ok_or(Ignored::TooShort)?;
        let pending = self.pending.get(&id).ok_or(Ignored::UnknownId)?;
        if !same_peer(pending.server, path.remote) {
            return Err(Ignored::WrongServer);
        }
        if pending.sends == 0 {
            // An answer to what was never sent.
            return Err(Ignored::UnknownId);
        }
        match pending.query.judge(id, pending.case, &payload) {
            Verdict::Other(ignored) => return Err(ignored),
            Verdict::CaseLost => self.end(id, Err(ExchangeError::CaseLost)),
            Verdict::Malformed(error) => self.end(id, Err(ExchangeError::Malformed(error))),
            Verdict::Answer => {
                restore_case(pending.query.name.as_wire(), &mut payload);
                let round_trip = (pending.sends == 1).then(|| now - pending.since);
                let (holder, server) = (payload.capacity(), Some(pending.server));
                let message = glowplug_core::keep(payload.freeze(), holder);
                self.end(id, Ok(Reply { message, server, round_trip }));
            }
        }
        Ok(())
    }

    fn handle_unreachable(&mut self, _now: Instant, path: Path) {
        // ICMP errors can be forged, but whoever can do that sees the path; and the resolver only asks the next server.
        let gone = self.pending.iter().filter(|(_, p)| same_peer(p.server, path.remote)).map(|(id, _)| *id);
        let mut gone: alloc::vec::Vec<u16> = gone.collect();
        // In the order of submission, not of the table.
        gone.sort_by_key(|id| self.pending.get(id).map(|pending| (pending.since, pending.token)));
        for id in gone {
            self.end(id, Err(ExchangeError::Unreachable));
        }
    }

    fn poll_event(&mut self, _now: Instant) -> Option<UdpEvent> {
        self.events.pop_front()
    }

    fn poll_transmit(&mut self, _now: Instant, out: &mut BytesMut) -> Option<Transmit> {
        loop {
            let id = self.outgoing.pop_front()?;
            let Some(pending) = self.pending.get_mut(&id) else { continue };
            let before = out.len();
            pending.query.write(id, pending.case, out);
            pending.sends += 1;
            return Some(Transmit::new(Path::to(pending.server), out.len() - before));
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn handle_timeout(&mut self, now: Instant) {
        // One round over what is due: each exchange moves its timer past `now` or ends.
        while let Some((at, id)) = self.timers.pop(now) {
            let Some(pending) = self.pending.get_mut(&id).filter(|pending| pending.wake == at) else {
                continue;
            };
            if pending.deadline <= now {
                self.end(id, Err(ExchangeError::TimedOut));
                continue;
            }
            let mut wake = pending.deadline;
            // What was never given out is still in the queue.
            if pending.sends > 0 && pending.sends <= self.config.max_retransmits {
                self.outgoing.push_back(id);
                pending.wait = pending.wait.saturating_mul(2);
                wake = wake.min(now + pending.wait.max(Duration::from_millis(1)));
            }
            pending.wake = wake;
            self.timers.insert(wake, id);
        }
        self.trim();
    }

    fn close(&mut self, _now: Instant) {
        self.closing = true;
    }

    fn is_closed(&self) -> bool {
        self.closing && self.pending.is_empty() && self.events.is_empty()
    }
}

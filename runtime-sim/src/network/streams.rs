//! Streams, as the network sees them: listening, connecting, accepting. What flows through is in [`flow`].

mod flow;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::task::{Poll, Waker};
use std::time::Duration;

use glowplug_runtime::Endpoint;

use super::Way;
use crate::agenda::Event;
use crate::link::chance;
use crate::net::Cut;
use crate::world::{Wait, World};
use flow::Pipe;

/// Connections that wait to be accepted, unless a test says otherwise: what the standard library asks for.
const BACKLOG: usize = 128;

/// A request to connect that is not answered is sent again after one second, then two, four and so on (RFC 6298 §2).
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// After so many requests without an answer, connecting ends with `TimedOut`: after 127 seconds, as on Linux.
const ATTEMPTS: u32 = 7;

/// Every stream and every listener.
pub(crate) struct Streams {
    pub(crate) connections: BTreeMap<u64, Connection>,
    listeners: BTreeMap<u64, ListenerState>,
    by_address: BTreeMap<(u64, SocketAddr), u64>,
    by_path: BTreeMap<(u64, PathBuf), u64>,
    next: u64,
    pub(crate) backlog: usize,
    /// What befalls the next connections on a way, for the bytes in the direction of the way.
    pub(crate) planned: BTreeMap<Way, VecDeque<(u64, Cut)>>,
    /// How many of the next connections on a way are refused.
    pub(crate) refusals: BTreeMap<Way, u32>,
}

/// One connection: end 0 connected, end 1 accepted.
pub(crate) struct Connection {
    pub(crate) hosts: [u64; 2],
    locals: [Endpoint; 2],
    state: State,
    ends: [End; 2],
    /// What end 0 and end 1 send.
    pipes: [Pipe; 2],
    opener: Option<Waker>,
}

enum State {
    Opening,
    Open,
    Failed(io::ErrorKind),
}

/// One end of a connection.
struct End {
    /// Somebody holds it: a stream, or the listener that has not given it out yet.
    held: bool,
    error: Option<io::ErrorKind>,
    /// The error was told to a writer once; later writes get a broken pipe.
    told: bool,
}

struct ListenerState {
    host: u64,
    at: Endpoint,
    waiting: VecDeque<u64>,
    acceptor: Option<Waker>,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            connections: BTreeMap::new(),
            listeners: BTreeMap::new(),
            by_address: BTreeMap::new(),
            by_path: BTreeMap::new(),
            next: 0,
            backlog: BACKLOG,
            planned: BTreeMap::new(),
            refusals: BTreeMap::new(),
        }
    }
}

/// The wildcard address that stands for `address` too.
pub(super) fn any_address(address: SocketAddr) -> SocketAddr {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    SocketAddr::new(any, address.port())
}

impl Streams {
    pub(crate) fn listeners(&self) -> usize {
        self.listeners.len()
    }

    /// Ends that somebody holds.
    pub(crate) fn ends(&self) -> usize {
        let ends = self.connections.values().flat_map(|connection| &connection.ends);
        ends.filter(|end| end.held).count()
    }

    /// Bytes under way or unread.
    pub(crate) fn buffered(&self) -> usize {
        let pipes = self.connections.values().flat_map(|connection| &connection.pipes);
        pipes.map(|pipe| pipe.occupied).sum()
    }

    fn find(&self, host: u64, to: &Endpoint) -> Option<u64> {
        match to {
            Endpoint::Tcp(addr) => {
                let dual_stack = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), addr.port());
                [*addr, any_address(*addr), dual_stack]
                    .iter()
                    .find_map(|addr| self.by_address.get(&(host, *addr)))
                    .copied()
            }
            Endpoint::Unix(path) => self.by_path.get(&(host, path.clone())).copied(),
            _ => None,
        }
    }
}

impl World {
    pub(crate) fn listen(&mut self, host: u64, at: &Endpoint) -> io::Result<(u64, Endpoint)> {
        let id = self.network.streams.next;
        let at = match at {
            Endpoint::Tcp(addr) => {
                let mut addr = *addr;
                self.network.check_local(host, addr)?;
                if addr.port() == 0 {
                    addr.set_port(self.network.free_port(host, |network, port| {
                        let here = |(other, addr): &(u64, SocketAddr)| *other == host && addr.port() == port;
                        network.streams.by_address.keys().any(here)
                    })?);
                }
                let by_address = &mut self.network.streams.by_address;
                if by_address.contains_key(&(host, addr)) {
                    return Err(io::ErrorKind::AddrInUse.into());
                }
                by_address.insert((host, addr), id);
                Endpoint::Tcp(addr)
            }
            Endpoint::Unix(path) => {
                let by_path = &mut self.network.streams.by_path;
                if by_path.contains_key(&(host, path.clone())) {
                    return Err(io::ErrorKind::AddrInUse.into());
                }
                by_path.insert((host, path.clone()), id);
                Endpoint::Unix(path.clone())
            }
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        let state = ListenerState { host, at: at.clone(), waiting: VecDeque::new(), acceptor: None };
        self.network.streams.next += 1;
        self.network.streams.listeners.insert(id, state);
        self.note("listen", id, host);
        Ok((id, at))
    }

    pub(crate) fn unlisten(&mut self, id: u64) {
        let Some(listener) = self.network.streams.listeners.remove(&id) else { return };
        match listener.at {
            Endpoint::Tcp(addr) => drop(self.network.streams.by_address.remove(&(listener.host, addr))),
            Endpoint::Unix(path) => drop(self.network.streams.by_path.remove(&(listener.host, path))),
            _ => {}
        }
        self.retired.extend(listener.acceptor);
        self.note("stop listening", id, listener.waiting.len() as u64);
        // Nobody will ever speak on what was not accepted.
        for connection in listener.waiting {
            self.abandon(connection, 1);
        }
    }

    /// Every listener of `host` is gone.
    pub(crate) fn unlisten_host(&mut self, host: u64) {
        let listeners = self.network.streams.listeners.iter();
        let ids: Vec<u64> = listeners.filter(|(_, state)| state.host == host).map(|(id, _)| *id).collect();
        for id in ids {
            self.unlisten(id);
        }
    }

    pub(crate) fn accept(&mut self, id: u64, waker: &Waker) -> Poll<io::Result<(u64, Endpoint)>> {
        let streams = &mut self.network.streams;
        let Some(listener) = streams.listeners.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if listener.waiting.is_empty() {
            World::park(&mut self.retired, &mut listener.acceptor, waker);
            self.waits_for(Wait::Accept(id));
            return Poll::Pending;
        }
        // Like a process without a free file descriptor: the connection goes on waiting.
        if let Some(kind) = self.network.hosts[listener.host as usize].accept_errors.pop_front() {
            self.note("fail to accept", id, 0);
            return Poll::Ready(Err(kind.into()));
        }
        let connection = listener.waiting.pop_front().expect("it is not empty, as was seen above");
        let peer = match &streams.connections.get(&connection).expect("the listener holds its end").locals[0]
        {
            Endpoint::Unix(_) => Endpoint::Unix(PathBuf::new()),
            other => other.clone(),
        };
        self.note("accept", id, connection);
        Poll::Ready(Ok((connection, peer)))
    }

    /// Begins to connect.
    pub(crate) fn connect(&mut self, host: u64, to: &Endpoint) -> io::Result<u64> {
        let (target, local) = match to {
            Endpoint::Tcp(addr) => {
                let target = self.network.route(host, addr.ip()).ok_or(io::ErrorKind::HostUnreachable)?;
                let source = self.network.source(host, addr.ip()).ok_or(io::ErrorKind::NetworkUnreachable)?;
                let port = self.network.free_port(host, |_, _| false)?;
                (target, Endpoint::Tcp(SocketAddr::new(source, port)))
            }
            Endpoint::Unix(_) if self.network.streams.find(host, to).is_none() => {
                return Err(io::ErrorKind::NotFound.into());
            }
            Endpoint::Unix(_) => (host, Endpoint::Unix(PathBuf::new())),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        let id = self.network.streams.next;
        self.network.streams.next += 1;
        let end = || End { held: false, error: None, told: false };
        let ways = [(host, target), (target, host)];
        let connection = Connection {
            hosts: [host, target],
            locals: [local, to.clone()],
            state: State::Opening,
            ends: [End { held: true, ..end() }, end()],
            pipes: ways.map(|way| Pipe::new(self.network.ways.link(way).window)),
            opener: None,
        };
        self.network.streams.connections.insert(id, connection);
        self.note("connect", id, target);
        let delay = self.flight(ways[0]);
        self.later(delay, Event::Syn { connection: id, attempt: 0 });
        Ok(id)
    }

    pub(crate) fn poll_connected(&mut self, id: u64, waker: &Waker) -> Poll<io::Result<()>> {
        let Some(connection) = self.network.streams.connections.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        match connection.state {
            State::Opening => {
                World::park(&mut self.retired, &mut connection.opener, waker);
                self.waits_for(Wait::Connect(id));
                Poll::Pending
            }
            State::Open => Poll::Ready(Ok(())),
            State::Failed(kind) => Poll::Ready(Err(kind.into())),
        }
    }

    /// How long the next small thing takes on `way`.
    fn flight(&mut self, way: Way) -> Duration {
        self.network.ways.link(way).flight(&mut self.dice.network)
    }

    /// A request to connect has arrived.
    pub(crate) fn on_syn(&mut self, id: u64, attempt: u32) {
        let Some(connection) = self.network.streams.connections.get(&id) else { return };
        if !matches!(connection.state, State::Opening) || connection.ends[1].held {
            return;
        }
        let (there, back) = connection.ways();
        let link = self.network.ways.link(there).clone();
        let lost = chance(&mut self.dice.network, link.loss);
        if lost || self.network.ways.is_blocked(there) {
            return self.retry(id, attempt, |connection, attempt| Event::Syn { connection, attempt });
        }
        let streams = &mut self.network.streams;
        let planned = streams.refusals.get_mut(&there).filter(|left| **left > 0).map(|left| *left -= 1);
        let refused = planned.is_some() || chance(&mut self.dice.network, link.refuse);
        let connection = &streams.connections[&id];
        let listener = streams.find(there.1, &connection.locals[1]).filter(|_| !refused);
        let Some(listener) = listener.and_then(|id| streams.listeners.get_mut(&id)) else {
            let delay = self.flight(back);
            let event = Event::ConnectFailed { connection: id, kind: io::ErrorKind::ConnectionRefused };
            return self.later(delay, event);
        };
        if listener.waiting.len() >= streams.backlog {
            return self.retry(id, attempt, |connection, attempt| Event::Syn { connection, attempt });
        }
        listener.waiting.push_back(id);
        World::wake(&mut self.wakes, &mut listener.acceptor);
        if let Some(connection) = streams.connections.get_mut(&id) {
            connection.ends[1].held = true;
        }
        self.plan_cuts(id, there, back);
        self.note("request to connect", id, u64::from(attempt));
        let delay = self.flight(back);
        if let Some(connection) = self.network.streams.connections.get_mut(&id) {
            // The accepting end may speak at once, but nothing it says overtakes its answer.
            connection.pipes[1].last_arrival = self.now + delay;
        }
        self.later(delay, Event::Established { connection: id, attempt: 0 });
    }

    /// The answer to a request to connect has arrived.
    pub(crate) fn on_established(&mut self, id: u64, attempt: u32) {
        let Some(connection) = self.network.streams.connections.get_mut(&id) else { return };
        let (_, back) = connection.ways();
        if !matches!(connection.state, State::Opening) {
            return;
        }
        if self.network.ways.is_blocked(back) {
            return self.retry(id, attempt, |connection, attempt| Event::Established { connection, attempt });
        }
        connection.state = State::Open;
        World::wake(&mut self.wakes, &mut connection.opener);
        self.note("connected", id, 0);
    }

    pub(crate) fn on_connect_failed(&mut self, id: u64, kind: io::ErrorKind) {
        let Some(connection) = self.network.streams.connections.get_mut(&id) else { return };
        connection.state = State::Failed(kind);
        World::wake(&mut self.wakes, &mut connection.opener);
        self.note("failed to connect", id, 0);
    }

    /// Sends a request or its answer again after a while, or gives up.
    fn retry(&mut self, id: u64, attempt: u32, event: impl FnOnce(u64, u32) -> Event) {
        let attempt = attempt + 1;
        let pause = FIRST_RETRY * (1 << (attempt - 1).min(ATTEMPTS));
        if attempt >= ATTEMPTS {
            self.later(pause, Event::ConnectFailed { connection: id, kind: io::ErrorKind::TimedOut });
        } else {
            self.later(pause, event(id, attempt));
        }
    }

    /// Decides by script and by dice what will befall a fresh connection.
    fn plan_cuts(&mut self, id: u64, there: Way, back: Way) {
        for (from, way) in [(0, there), (1, back)] {
            let link = self.network.ways.link(way).clone();
            let mut plan = self.network.streams.planned.get_mut(&way).and_then(VecDeque::pop_front);
            if plan.is_none() && chance(&mut self.dice.network, link.cut) {
                let kinds: &[Cut] = if link.black_holes {
                    &[Cut::Reset, Cut::Close, Cut::BlackHole]
                } else {
                    &[Cut::Reset, Cut::Close]
                };
                let after = self.dice.network.below(link.cut_within);
                plan = Some((after, kinds[self.dice.network.below(kinds.len() as u64) as usize]));
            }
            if let Some(connection) = self.network.streams.connections.get_mut(&id) {
                connection.pipes[from].plan = plan;
            }
        }
    }

    /// Open connections between two hosts, whoever connected.
    pub(crate) fn connections_between(&self, a: u64, b: u64) -> Vec<u64> {
        let connections = self.network.streams.connections.iter();
        connections
            .filter(|(_, connection)| connection.hosts == [a, b] || connection.hosts == [b, a])
            .map(|(id, _)| *id)
            .collect()
    }
}

impl Connection {
    /// From the connecting host, and back.
    fn ways(&self) -> (Way, Way) {
        ((self.hosts[0], self.hosts[1]), (self.hosts[1], self.hosts[0]))
    }

    /// The way of what end `from` sends.
    fn way(&self, from: usize) -> Way {
        (self.hosts[from], self.hosts[1 - from])
    }

    fn is_free(&self) -> bool {
        self.ends.iter().all(|end| !end.held)
    }
}

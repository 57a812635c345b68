//! Datagram sockets, as the network sees them.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::task::{Poll, Waker};

use bytes::Bytes;
use glowplug_core::{Ecn, Path};
use glowplug_runtime::{RecvBatch, SendBatch};

use crate::agenda::Event;
use crate::link::chance;
use crate::world::{Wait, World};

/// The largest payload of a datagram over IPv4: 65,535 less the headers (RFC 768, RFC 791).
const MAX_PAYLOAD: usize = 65_507;

/// Bytes a socket holds unread before it drops what arrives, and bytes it holds that a slow link has not taken yet:
/// Linux's default for both.
const SOCKET_BUFFER: usize = 212_992;

/// Every datagram socket.
#[derive(Default)]
pub(crate) struct Datagrams {
    sockets: BTreeMap<u64, Socket>,
    by_address: BTreeMap<(u64, SocketAddr), u64>,
    next: u64,
    /// Whether senders hear that nobody listens.
    pub(crate) unreachable_errors: bool,
}

struct Socket {
    host: u64,
    local: SocketAddr,
    inbox: VecDeque<Packet>,
    unread: usize,
    outgoing: usize,
    unreachable: VecDeque<SocketAddr>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// A datagram under way.
#[derive(Clone)]
pub(crate) struct Packet {
    sender: u64,
    way: (u64, u64),
    from: SocketAddr,
    to: SocketAddr,
    payload: Bytes,
    ecn: Option<Ecn>,
}

impl Datagrams {
    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    pub(crate) fn unread(&self) -> usize {
        self.sockets.values().map(|socket| socket.unread).sum()
    }

    /// The socket on `host` that takes what is sent to `to`.
    fn find(&self, host: u64, to: SocketAddr) -> Option<u64> {
        let exact = self.by_address.get(&(host, to));
        exact.or_else(|| self.by_address.get(&(host, super::streams::any_address(to)))).copied()
    }
}

impl World {
    pub(crate) fn bind(&mut self, host: u64, mut local: SocketAddr) -> io::Result<(u64, SocketAddr)> {
        self.network.check_local(host, local)?;
        if local.port() == 0 {
            let ip = local.ip();
            local.set_port(self.network.free_port(host, |network, port| {
                network.datagrams.by_address.contains_key(&(host, SocketAddr::new(ip, port)))
            })?);
        }
        let datagrams = &mut self.network.datagrams;
        if datagrams.by_address.contains_key(&(host, local)) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let id = datagrams.next;
        datagrams.next += 1;
        datagrams.by_address.insert((host, local), id);
        let socket = Socket {
            host,
            local,
            inbox: VecDeque::new(),
            unread: 0,
            outgoing: 0,
            unreachable: VecDeque::new(),
            reader: None,
            writer: None,
        };
        datagrams.sockets.insert(id, socket);
        self.note("bind", id, u64::from(local.port()));
        Ok((id, local))
    }

    pub(crate) fn unbind(&mut self, id: u64) {
        if let Some(socket) = self.network.datagrams.sockets.remove(&id) {
            self.network.datagrams.by_address.remove(&(socket.host, socket.local));
            self.retired.extend(socket.reader.into_iter().chain(socket.writer));
            self.note("unbind", id, 0);
        }
    }

    /// Every datagram socket of `host` is gone.
    pub(crate) fn unbind_host(&mut self, host: u64) {
        let sockets = self.network.datagrams.sockets.iter();
        let ids: Vec<u64> = sockets.filter(|(_, socket)| socket.host == host).map(|(id, _)| *id).collect();
        for id in ids {
            self.unbind(id);
        }
    }

    pub(crate) fn recv(&mut self, id: u64, batch: &mut RecvBatch, waker: &Waker) -> Poll<io::Result<usize>> {
        let Some(socket) = self.network.datagrams.sockets.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if !socket.unreachable.is_empty() {
            socket.unreachable.drain(..).for_each(|to| batch.push_unreachable(Path::to(to)));
            return Poll::Ready(Ok(0));
        }
        let most = socket.inbox.len().min(batch.room());
        if most == 0 {
            World::park(&mut self.retired, &mut socket.reader, waker);
            self.waits_for(Wait::Receive(id));
            return Poll::Pending;
        }
        // A real system, too, may return before it has given all it has.
        let dice = &mut self.dice.network;
        let count = if dice.chance(3, 4) { most } else { 1 + dice.below(most as u64) as usize };
        for packet in socket.inbox.drain(..count) {
            socket.unread -= packet.payload.len();
            batch.push(
                Path { remote: packet.from, local: Some(packet.to.ip()) },
                &packet.payload,
                packet.ecn,
            );
        }
        self.note("receive datagrams", id, count as u64);
        Poll::Ready(Ok(count))
    }

    pub(crate) fn send(&mut self, id: u64, batch: &mut SendBatch, waker: &Waker) -> Poll<io::Result<usize>> {
        let Some(socket) = self.network.datagrams.sockets.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if batch.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if socket.outgoing >= SOCKET_BUFFER {
            World::park(&mut self.retired, &mut socket.writer, waker);
            self.waits_for(Wait::Send(id));
            return Poll::Pending;
        }
        let (host, local) = (socket.host, socket.local);
        let most = batch.len() as u64;
        let count = if self.dice.network.chance(3, 4) { most } else { 1 + self.dice.network.below(most) };
        let mut sent = 0;
        let mut failure = None;
        for (transmit, payload) in batch.iter().take(count as usize) {
            if self.network.datagrams.sockets.get(&id).is_some_and(|socket| socket.outgoing >= SOCKET_BUFFER)
            {
                break;
            }
            let size = transmit.segment_size.unwrap_or(payload.len()).max(1);
            let to = transmit.path.remote;
            let Some(source) = self.source_of(host, local, transmit.path) else {
                failure = Some(io::ErrorKind::NetworkUnreachable);
                break;
            };
            if size > MAX_PAYLOAD {
                failure = Some(io::ErrorKind::InvalidInput);
                break;
            }
            if payload.is_empty() {
                self.launch(id, host, source, to, Bytes::new(), transmit.ecn);
            }
            for piece in payload.chunks(size) {
                self.launch(id, host, source, to, Bytes::copy_from_slice(piece), transmit.ecn);
            }
            sent += 1;
        }
        if sent == 0 {
            batch.sent(1);
            return Poll::Ready(Err(failure.unwrap_or(io::ErrorKind::Other).into()));
        }
        batch.sent(sent);
        self.note("send datagrams", id, sent as u64);
        Poll::Ready(Ok(sent))
    }

    fn source_of(&self, host: u64, local: SocketAddr, path: Path) -> Option<SocketAddr> {
        let ip = match path.local {
            Some(ip) if local.ip().is_unspecified() => ip,
            _ if local.ip().is_unspecified() => self.network.source(host, path.remote.ip())?,
            _ => local.ip(),
        };
        Some(SocketAddr::new(ip, local.port()))
    }

    /// Sends one datagram off, through everything that the link may do to it.
    fn launch(
        &mut self,
        socket: u64,
        host: u64,
        from: SocketAddr,
        to: SocketAddr,
        payload: Bytes,
        ecn: Option<Ecn>,
    ) {
        let Some(target) = self.network.route(host, to.ip()) else { return };
        let way = (host, target);
        let len = payload.len();
        let (departure, mut arrival) = self.network.ways.travel(&mut self.dice.network, self.now, way, len);
        if departure > self.now {
            if let Some(socket) = self.network.datagrams.sockets.get_mut(&socket) {
                socket.outgoing += len;
            }
            self.agenda.add(departure, Event::Departed { socket, len });
        }
        let link = self.network.ways.link(way).clone();
        let rng = &mut self.dice.network;
        if chance(rng, link.loss) {
            self.note("lose datagram", socket, len as u64);
            return;
        }
        let packet = Packet { sender: socket, way, from, to, payload, ecn };
        if chance(rng, link.duplicate) {
            let again = departure + link.flight(rng);
            self.agenda.add(again, Event::Deliver(packet.clone()));
        }
        if chance(rng, link.reorder) {
            let flight = (arrival - departure).as_nanos() as u64;
            arrival += std::time::Duration::from_nanos(rng.below(flight.saturating_mul(3).saturating_add(1)));
        }
        self.agenda.add(arrival, Event::Deliver(packet));
    }

    /// A datagram has arrived at its host.
    pub(crate) fn deliver(&mut self, packet: Packet) {
        let way = packet.way;
        if self.network.ways.is_blocked(way) {
            self.note("block datagram", packet.sender, packet.payload.len() as u64);
            return;
        }
        let found = self.network.datagrams.find(way.1, packet.to);
        let Some(socket) = found.and_then(|id| self.network.datagrams.sockets.get_mut(&id)) else {
            if self.network.datagrams.unreachable_errors {
                let delay = self.network.ways.link((way.1, way.0)).flight(&mut self.dice.network);
                self.later(delay, Event::Unreachable { socket: packet.sender, to: packet.to });
            }
            return;
        };
        if socket.unread + packet.payload.len() > SOCKET_BUFFER || socket.inbox.len() >= SOCKET_BUFFER / 256 {
            self.note("overflow datagram", packet.sender, packet.payload.len() as u64);
            return;
        }
        socket.unread += packet.payload.len();
        World::wake(&mut self.wakes, &mut socket.reader);
        let detail = packet.payload.len() as u64;
        socket.inbox.push_back(packet);
        self.note("deliver datagram", found.unwrap_or_default(), detail);
    }

    pub(crate) fn departed(&mut self, socket: u64, len: usize) {
        if let Some(socket) = self.network.datagrams.sockets.get_mut(&socket) {
            socket.outgoing -= len;
            World::wake(&mut self.wakes, &mut socket.writer);
        }
    }

    pub(crate) fn unreachable(&mut self, socket: u64, to: SocketAddr) {
        if let Some(socket) = self.network.datagrams.sockets.get_mut(&socket) {
            socket.unreachable.push_back(to);
            World::wake(&mut self.wakes, &mut socket.reader);
        }
    }
}

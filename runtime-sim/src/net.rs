//! Where a test bends the network.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use glowplug_core::Instant;

use crate::agenda::Event;
use crate::link::Link;
use crate::world::{Handle, World};

/// The network of a simulation. Everything works at once, on connections that exist too; [`at`](Self::at) works later.
///
/// Hosts are named as [`Simulation::host`](crate::Simulation::host) named them; a name that it does not know panics.
#[derive(Clone)]
pub struct Net {
    world: Handle,
}

/// The name of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u64);

/// How a connection ends from outside. What has arrived until then is still read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Both ends get `ConnectionReset`.
    Reset,
    /// Both ends get the end of the stream; what they write gets `BrokenPipe`.
    Close,
    /// Nothing passes any more, and nobody says so: each end believes the other is there, until it has waited for an
    /// acknowledgement for [very long](Link::give_up).
    BlackHole,
}

impl Net {
    pub(crate) fn new(world: Handle) -> Self {
        Self { world }
    }

    /// What all ways are like that nothing else was said about.
    pub fn default_link(&self, link: Link) {
        self.world.with(|world| world.network.ways.default = link);
    }

    /// What the way from a host to itself is like, Unix sockets included.
    pub fn loopback(&self, link: Link) {
        self.world.with(|world| world.network.ways.loopback = link);
    }

    /// What the way between two hosts is like, in both directions.
    pub fn link(&self, a: &str, b: &str, link: Link) {
        self.path(a, b, link.clone());
        self.path(b, a, link);
    }

    /// What the way from one host to another is like, in this direction only.
    pub fn path(&self, from: &str, to: &str, link: Link) {
        self.change(from, to, |old| {
            *old = link;
        });
    }

    /// Changes the way from one host to another, in this direction only. Windows stay what they were on connections that exist.
    pub fn change(&self, from: &str, to: &str, change: impl FnOnce(&mut Link)) {
        self.world.with(|world| {
            let way = world.way(from, to);
            change(world.network.ways.link_mut(way));
        });
    }

    /// Does something later: the rest of a script.
    pub fn at(&self, at: Instant, then: impl FnOnce(&Self) + Send + 'static) {
        self.world.with(|world| world.agenda.add(at, Event::Script(Box::new(then))));
    }

    /// Lets nothing pass between two hosts. Datagrams are lost; streams wait, and give up if it takes
    /// [too long](Link::give_up); connecting waits for 127 seconds.
    pub fn partition(&self, a: &str, b: &str) {
        self.block(a, b);
        self.block(b, a);
    }

    /// Lets nothing pass from one host to another; the other direction works.
    pub fn block(&self, from: &str, to: &str) {
        self.world.with(|world| {
            let way = world.way(from, to);
            world.network.ways.blocked.insert(way);
            world.note("block", way.0, way.1);
        });
    }

    /// Ends a partition or a block, in both directions. Streams go on where they were.
    pub fn heal(&self, a: &str, b: &str) {
        self.world.with(|world| {
            for way in [world.way(a, b), world.way(b, a)] {
                if world.network.ways.blocked.remove(&way) {
                    world.note("heal", way.0, way.1);
                    world.resend(way);
                }
            }
        });
    }

    /// Cuts all connections between two hosts, now.
    pub fn cut(&self, a: &str, b: &str, how: Cut) {
        self.connections(a, b).into_iter().for_each(|id| self.cut_connection(id, how));
    }

    /// Cuts one connection, now. Nothing happens if it is gone.
    pub fn cut_connection(&self, id: ConnectionId, how: Cut) {
        self.world.with(|world| world.cut(id.0, how));
    }

    /// Cuts the next connection between two hosts, whoever connects, once `bytes` bytes have arrived from `from` at
    /// `to`: exactly so many will be read. Called again, it is for the connection after that.
    pub fn cut_after(&self, from: &str, to: &str, bytes: u64, how: Cut) {
        self.world.with(|world| {
            let way = world.way(from, to);
            world.network.streams.planned.entry(way).or_default().push_back((bytes, how));
        });
    }

    /// The connections between two hosts, whoever connected, oldest first.
    pub fn connections(&self, a: &str, b: &str) -> Vec<ConnectionId> {
        self.world.with(|world| {
            let way = world.way(a, b);
            world.connections_between(way.0, way.1).into_iter().map(ConnectionId).collect()
        })
    }

    /// Refuses the next `count` connections from one host to another, although somebody listens.
    pub fn refuse(&self, from: &str, to: &str, count: u32) {
        self.world.with(|world| {
            let way = world.way(from, to);
            *world.network.streams.refusals.entry(way).or_default() += count;
        });
    }

    /// Lets the next `count` calls to accept on a host fail, like those of a process without a free file descriptor.
    pub fn fail_accepts(&self, host: &str, kind: io::ErrorKind, count: usize) {
        self.world.with(|world| {
            let host = world.network.host(host);
            world.network.host_mut(host).accept_errors.extend(std::iter::repeat_n(kind, count));
        });
    }

    /// How many connections wait to be accepted, per listener, before more are turned away to try again. Default: 128.
    pub fn backlog(&self, connections: usize) {
        self.world.with(|world| world.network.streams.backlog = connections);
    }

    /// Whether a datagram socket gets `ConnectionRefused` when nobody listens where it sent to. Default: false, as for
    /// unconnected sockets on Linux.
    pub fn unreachable_errors(&self, tell: bool) {
        self.world.with(|world| world.network.datagrams.unreachable_errors = tell);
    }

    /// The host loses its power: its tasks are dropped, its sockets are gone, and its peers hear nothing until they
    /// send something, which is answered with a reset. It can be used again at once.
    pub fn crash(&self, host: &str) {
        self.world.with(|world| {
            let host = world.network.host(host);
            world.note("crash", host, 0);
            world.silence_host(host);
            world.unlisten_host(host);
            world.unbind_host(host);
            let tasks = world.board.tasks.iter().filter(|(_, task)| task.host == Some(host));
            let tasks: Vec<u64> = tasks.map(|(id, _)| *id).collect();
            world.board.aborted.extend(tasks);
        });
    }

    /// What a name resolves to. Hosts' own names, `localhost` and literal addresses need no entry.
    pub fn name(&self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        let addresses = addresses.into_iter().collect();
        self.world.with(|world| world.network.names.records.insert(name.to_ascii_lowercase(), Ok(addresses)));
    }

    /// Lets a name fail to resolve, until [`name`](Self::name) says otherwise.
    pub fn name_fails(&self, name: &str, kind: io::ErrorKind) {
        self.world.with(|world| world.network.names.records.insert(name.to_ascii_lowercase(), Err(kind)));
    }

    /// How long a name takes to resolve. Default: no time.
    pub fn name_takes(&self, name: &str, time: Duration) {
        self.world.with(|world| world.network.names.delays.insert(name.to_ascii_lowercase(), time));
    }
}

impl World {
    fn way(&self, from: &str, to: &str) -> (u64, u64) {
        (self.network.host(from), self.network.host(to))
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").finish_non_exhaustive()
    }
}

//! The network: hosts, the ways between them, names, and (in the modules below) streams and datagrams.

mod datagrams;
mod streams;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use glowplug_core::{Instant, Rng};

use crate::link::{Link, chance};
pub(crate) use datagrams::{Datagrams, Packet};
pub(crate) use streams::Streams;

/// The first port given to whoever asks for none in particular (RFC 6335 §6).
const FIRST_FREE_PORT: u16 = 49152;

/// How long a stream's sender waits before it sends a lost segment again, the first time.
const RETRANSMIT: Duration = Duration::from_millis(200);

/// Everything about the network.
pub(crate) struct Network {
    pub(crate) hosts: Vec<Host>,
    addresses: BTreeMap<IpAddr, u64>,
    pub(crate) ways: Ways,
    pub(crate) names: Names,
    pub(crate) streams: Streams,
    pub(crate) datagrams: Datagrams,
}

/// One machine.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) addresses: Vec<IpAddr>,
    next_port: u16,
    /// What its next calls to accept fail with.
    pub(crate) accept_errors: VecDeque<io::ErrorKind>,
}

/// From one host to another.
pub(crate) type Way = (u64, u64);

/// What the ways between hosts are like now.
pub(crate) struct Ways {
    pub(crate) default: Link,
    pub(crate) loopback: Link,
    pub(crate) links: BTreeMap<Way, Link>,
    pub(crate) blocked: BTreeSet<Way>,
    busy: BTreeMap<Way, Instant>,
}

/// The table that names are resolved by.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) records: BTreeMap<String, Result<Vec<IpAddr>, io::ErrorKind>>,
    pub(crate) delays: BTreeMap<String, Duration>,
}

impl Network {
    pub(crate) fn new() -> Self {
        Self {
            hosts: Vec::new(),
            addresses: BTreeMap::new(),
            ways: Ways {
                default: Link::new(),
                loopback: Link::loopback(),
                links: BTreeMap::new(),
                blocked: BTreeSet::new(),
                busy: BTreeMap::new(),
            },
            names: Names::default(),
            streams: Streams::default(),
            datagrams: Datagrams::default(),
        }
    }

    pub(crate) fn add_host(&mut self, name: &str) -> u64 {
        if let Some(id) = self.find_host(name) {
            return id;
        }
        self.hosts.push(Host {
            name: name.to_owned(),
            addresses: Vec::new(),
            next_port: FIRST_FREE_PORT,
            accept_errors: VecDeque::new(),
        });
        self.hosts.len() as u64 - 1
    }

    pub(crate) fn add_address(&mut self, host: u64, address: IpAddr) {
        let owner = *self.addresses.entry(address).or_insert(host);
        assert!(owner == host, "{address} belongs to host {:?} already", self.hosts[owner as usize].name);
        let addresses = &mut self.hosts[host as usize].addresses;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }

    pub(crate) fn find_host(&self, name: &str) -> Option<u64> {
        self.hosts.iter().position(|host| host.name == name).map(|index| index as u64)
    }

    /// The host that `name` names.
    pub(crate) fn host(&self, name: &str) -> u64 {
        self.find_host(name).unwrap_or_else(|| panic!("the simulation has no host named {name:?}"))
    }

    pub(crate) fn host_mut(&mut self, host: u64) -> &mut Host {
        &mut self.hosts[host as usize]
    }

    /// Which host `to` leads to, seen from `from`.
    fn route(&self, from: u64, to: IpAddr) -> Option<u64> {
        let to = to.to_canonical();
        if to.is_loopback() || to.is_unspecified() { Some(from) } else { self.addresses.get(&to).copied() }
    }

    /// The address that `from` speaks with to reach `to`.
    fn source(&self, from: u64, to: IpAddr) -> Option<IpAddr> {
        if to.is_loopback() || to.is_unspecified() {
            return Some(if to.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        let addresses = &self.hosts[from as usize].addresses;
        addresses.iter().find(|address| address.is_ipv4() == to.is_ipv4()).copied()
    }

    /// Whether `host` may listen on `at`.
    fn check_local(&self, host: u64, at: SocketAddr) -> io::Result<()> {
        let ip = at.ip();
        if ip.is_loopback() || ip.is_unspecified() || self.addresses.get(&ip) == Some(&host) {
            Ok(())
        } else {
            Err(io::ErrorKind::AddrNotAvailable.into())
        }
    }

    /// A port of `host` that `taken` does not know.
    fn free_port(&mut self, host: u64, taken: impl Fn(&Self, u16) -> bool) -> io::Result<u16> {
        for _ in FIRST_FREE_PORT..=u16::MAX {
            let next = &mut self.hosts[host as usize].next_port;
            let port = *next;
            *next = port.checked_add(1).unwrap_or(FIRST_FREE_PORT);
            if !taken(self, port) {
                return Ok(port);
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// What `name` resolves to, and how long that takes.
    pub(crate) fn resolve(
        &self,
        host: u64,
        name: &str,
        port: u16,
    ) -> (Duration, io::Result<Vec<SocketAddr>>) {
        let key = name.trim_end_matches('.').to_ascii_lowercase();
        let delay = self.names.delays.get(&key).copied().unwrap_or_default();
        let addresses: io::Result<Vec<IpAddr>> = if let Ok(address) = name.parse::<IpAddr>() {
            Ok(vec![address])
        } else if let Some(record) = self.names.records.get(&key) {
            record.clone().map_err(io::Error::from)
        } else if key == "localhost" {
            Ok(vec![Ipv4Addr::LOCALHOST.into()])
        } else if let Some(found) = self.find_host(&key) {
            let own = &self.hosts[found as usize].addresses;
            Ok(if found == host && own.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { own.clone() })
        } else {
            Err(io::Error::new(io::ErrorKind::NotFound, "the simulation knows no such name"))
        };
        let answer = addresses.map(|all| all.into_iter().map(|ip| SocketAddr::new(ip, port)).collect());
        (delay, answer)
    }
}

impl Ways {
    pub(crate) fn link(&self, way: Way) -> &Link {
        let fallback = if way.0 == way.1 { &self.loopback } else { &self.default };
        self.links.get(&way).unwrap_or(fallback)
    }

    pub(crate) fn link_mut(&mut self, way: Way) -> &mut Link {
        let fallback = if way.0 == way.1 { &self.loopback } else { &self.default };
        self.links.entry(way).or_insert_with(|| fallback.clone())
    }

    pub(crate) fn is_blocked(&self, way: Way) -> bool {
        self.blocked.contains(&way)
    }

    /// When `len` bytes that set off now have left, and when they arrive.
    fn travel(&mut self, rng: &mut Rng, now: Instant, way: Way, len: usize) -> (Instant, Instant) {
        let busy = self.busy.get(&way).copied().unwrap_or(Instant::ZERO);
        let link = self.link(way);
        let departure = link.departure(now, busy, len);
        let arrival = departure + link.flight(rng);
        if departure > now {
            self.busy.insert(way, departure);
        }
        (departure, arrival)
    }

    /// The same for a stream's segment, which is sent again until it is through.
    fn travel_surely(&mut self, rng: &mut Rng, now: Instant, way: Way, len: usize) -> Instant {
        let loss = self.link(way).loss;
        let (_, mut arrival) = self.travel(rng, now, way, len);
        // Eight losses in a row are a partition, which a test makes on purpose and not by dice.
        for again in 0..8 {
            if !chance(rng, loss) {
                break;
            }
            arrival += RETRANSMIT * (1 << again);
        }
        arrival
    }
}

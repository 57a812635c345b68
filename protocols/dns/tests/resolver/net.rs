//! A network of resolver, sockets and servers, in memory and in its own time.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use glowplug_core::{DatagramProtocol, Instant, Path, Rng, Seed, Token};
use glowplug_dns::resolver::{
    Answer, Channel, Event, Hosts, LookupError, Order, Request, Resolver, ResolverConfig,
};
use glowplug_dns::{
    Cookie, EdnsOption, ExchangeError, Incoming, Name, Rcode, Rejected, Reply, Response, ResponseConfig,
    UdpClient, UdpConfig, Zone,
};

pub(crate) const ZONE: &str = "
$TTL 300
@       SOA ns hostmaster 1 3600 600 86400 60
@       NS  ns
@       MX  10 mail
ns      A   192.0.2.53
www     A   192.0.2.1
www     A   192.0.2.2
www     AAAA 2001:db8::1
only4   A   192.0.2.4
alias   CNAME www
far     CNAME www.elsewhere.test.
loop1   CNAME loop2
loop2   CNAME loop1
old     DNAME new
www.new A   192.0.2.9
big     TXT ( \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" )
corp    TXT \"here is corp\"
app.corp A  192.0.2.77
";

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn zones() -> Vec<Zone> {
    let elsewhere = "@ 60 SOA ns h 1 2 3 4 60\n@ 60 NS ns\nwww 60 A 192.0.2.99\n";
    let root = ". 60 SOA ns. h. 1 2 3 4 60\n. 60 NS ns.\n";
    vec![
        Zone::from_text(name("example.test"), ZONE.as_bytes()).unwrap(),
        Zone::from_text(name("elsewhere.test"), elsewhere.as_bytes()).unwrap(),
        Zone::from_text(Name::root(), root.as_bytes()).unwrap(),
    ]
}

/// How a server behaves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manners {
    pub(crate) dead: bool,
    /// Says this to EDNS.
    pub(crate) no_edns: Option<Rcode>,
    /// Answers in lower case.
    pub(crate) lower: bool,
    /// Cuts every datagram.
    pub(crate) truncate: bool,
    pub(crate) servfail: bool,
    /// Wants its cookie in each query.
    pub(crate) cookies: bool,
    /// How long its answers over TCP take.
    pub(crate) stream_takes: Duration,
    /// Never answers over TCP.
    pub(crate) mute_stream: bool,
}

pub(crate) type Arrival = (Instant, u64);
/// The answers of a lookup, how it ended, and when.
pub(crate) type End = (Vec<Answer>, Result<(), LookupError>, Instant);

/// Resolver, sockets, servers, and the network between them.
pub(crate) struct Net {
    pub(crate) resolver: Resolver,
    pub(crate) sockets: Vec<UdpClient>,
    pub(crate) asked: BTreeMap<Token, usize>,
    pub(crate) servers: BTreeMap<SocketAddr, Manners>,
    pub(crate) zones: Vec<Zone>,
    pub(crate) rng: Rng,
    pub(crate) now: Instant,
    /// Datagrams and TCP answers on their way back.
    pub(crate) coming: BTreeMap<Arrival, (usize, SocketAddr, Vec<u8>)>,
    pub(crate) streams: BTreeMap<Arrival, (Token, Result<Reply, ExchangeError>)>,
    pub(crate) next: u64,
    pub(crate) loss: u64,
    /// Queries that reached each server, by channel.
    pub(crate) seen: BTreeMap<(SocketAddr, Channel), u32>,
    pub(crate) done: BTreeMap<Token, End>,
    pub(crate) answers: BTreeMap<Token, Vec<Answer>>,
}

pub(crate) fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 53))
}

impl Net {
    pub(crate) fn new(
        servers: &[(u8, Manners)],
        seed: u64,
        change: impl FnOnce(&mut ResolverConfig),
    ) -> Self {
        let mut config = ResolverConfig {
            servers: servers.iter().map(|(n, _)| address(*n)).collect(),
            search: vec![name("example.test")],
            ..ResolverConfig::default()
        };
        change(&mut config);
        let mut rng = Seed::from_u64(seed).rng();
        let sockets = (0..3).map(|_| UdpClient::new(UdpConfig::default(), &rng.seed())).collect();
        let hosts = Hosts::parse(b"192.0.2.200 printer printer.lan # in the cellar\n::7 printer\n");
        Self {
            resolver: Resolver::new(config, hosts, &rng.seed()),
            sockets,
            asked: BTreeMap::new(),
            servers: servers.iter().map(|(n, manners)| (address(*n), *manners)).collect(),
            zones: zones(),
            rng,
            now: Instant::from_nanos(1_000_000_000),
            coming: BTreeMap::new(),
            streams: BTreeMap::new(),
            next: 0,
            loss: 0,
            seen: BTreeMap::new(),
            done: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }

    pub(crate) fn arrival(&mut self) -> Arrival {
        self.next += 1;
        (self.now + Duration::from_micros(5000 + self.rng.below(60_000)), self.next)
    }

    /// What the server at `at` says to a query, if anything.
    pub(crate) fn serve(&mut self, at: SocketAddr, channel: Channel, query: &[u8]) -> Option<Vec<u8>> {
        let manners = *self.servers.get(&at)?;
        *self.seen.entry((at, channel)).or_default() += 1;
        if manners.dead {
            return None;
        }
        let message = Bytes::copy_from_slice(query);
        let incoming = match Incoming::read(message, channel, &ResponseConfig::default()) {
            Ok(incoming) => incoming,
            Err(Rejected::Answered(bytes)) => return Some(bytes.to_vec()),
            Err(Rejected::Ignored) => panic!("a response was sent as a query"),
        };
        let cookie = incoming.edns().iter().flat_map(|edns| &edns.options).find_map(|option| match option {
            EdnsOption::Cookie(cookie) => Some(cookie.clone()),
            _ => None,
        });
        let mut response = if manners.servfail {
            Response::error(Rcode::SERVFAIL)
        } else if let Some(rcode) = manners.no_edns.filter(|_| incoming.edns().is_some()) {
            Response::error(rcode)
        } else {
            let zone = self.zones.iter().find(|zone| incoming.name().is_within(zone.origin())).unwrap();
            zone.respond(&incoming)
        };
        if manners.cookies && channel == Channel::Udp {
            let cookie = cookie.expect("a cookie");
            if cookie.server != b"magic-01"[..] {
                response = Response::error(Rcode::BADCOOKIE);
            }
            let server = Bytes::from_static(b"magic-01");
            response.options.push(EdnsOption::Cookie(Cookie { client: cookie.client, server }));
        }
        // As if everything were signed.
        response.authentic = incoming.dnssec_ok();
        response.truncated = manners.truncate && channel == Channel::Udp;
        let mut out = BytesMut::new();
        incoming.respond(&response, &mut out);
        if manners.no_edns.is_some_and(|rcode| rcode != Rcode::BADVERS) && incoming.edns().is_some() {
            // It leaves the OPT record out of its complaint, as old servers do.
            let len = out.len() - 11;
            out.truncate(len);
            out[11] = 0;
        }
        if manners.lower && channel == Channel::Udp {
            let end = 12 + incoming.name().as_wire().len();
            out[12..end].make_ascii_lowercase();
        }
        Some(out.to_vec())
    }

    pub(crate) fn orders(&mut self) {
        while let Some(order) = self.resolver.poll_order() {
            match order {
                Order::Ask(ask) if ask.channel == Channel::Udp => {
                    let socket = self.rng.below(3) as usize;
                    self.asked.insert(ask.token, socket);
                    self.sockets[socket]
                        .submit(self.now, ask.token, ask.server, ask.query, ask.deadline)
                        .unwrap();
                }
                Order::Ask(ask) => {
                    // A connection is not under test here: the query goes straight to the server.
                    let mut udp = UdpClient::new(
                        UdpConfig { mix_case: false, ..UdpConfig::default() },
                        &self.rng.seed(),
                    );
                    udp.submit(self.now, ask.token, ask.server, ask.query, ask.deadline).unwrap();
                    let mut query = BytesMut::new();
                    let _ = udp.poll_transmit(self.now, &mut query);
                    let result = match self.serve(ask.server, Channel::Tcp, &query) {
                        Some(message) => {
                            Ok(Reply { message: message.into(), server: Some(ask.server), round_trip: None })
                        }
                        None => Err(ExchangeError::Unreachable),
                    };
                    let manners = self.servers.get(&ask.server).copied().unwrap_or_default();
                    if !manners.mute_stream {
                        let (at, n) = self.arrival();
                        self.streams.insert((at + manners.stream_takes, n), (ask.token, result));
                    }
                }
                Order::Forget(token) => {
                    if let Some(socket) = self.asked.remove(&token) {
                        self.sockets[socket].cancel(token);
                    }
                }
            }
        }
    }

    pub(crate) fn sends(&mut self) {
        for socket in 0..self.sockets.len() {
            let mut out = BytesMut::new();
            while let Some(transmit) = self.sockets[socket].poll_transmit(self.now, &mut out) {
                let query = out.split_to(transmit.len);
                if self.rng.chance(self.loss, 100) {
                    continue;
                }
                let Some(answer) = self.serve(transmit.path.remote, Channel::Udp, &query) else { continue };
                for _ in 0..=u8::from(self.loss > 0 && self.rng.chance(1, 5)) {
                    if !self.rng.chance(self.loss, 100) {
                        let at = self.arrival();
                        self.coming.insert(at, (socket, transmit.path.remote, answer.clone()));
                    }
                }
            }
        }
    }

    /// Runs until nothing is left to happen.
    pub(crate) fn run(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("it never ends");
    }

    /// Goes on to the next thing that happens; false if there is none.
    pub(crate) fn step(&mut self) -> bool {
        self.orders();
        self.sends();
        for socket in &mut self.sockets {
            while let Some(event) = socket.poll_event(self.now) {
                self.resolver.handle_reply(self.now, event.token, event.result);
            }
        }
        while let Some(event) = self.resolver.poll_event() {
            match event {
                Event::Answer(token, answer) => self.answers.entry(token).or_default().push(answer),
                Event::Done(token, result) => {
                    let answers = self.answers.remove(&token).unwrap_or_default();
                    assert!(self.done.insert(token, (answers, result, self.now)).is_none());
                }
            }
        }
        self.orders();
        let wakes = [
            self.coming.first_key_value().map(|(at, _)| at.0),
            self.streams.first_key_value().map(|(at, _)| at.0),
            self.resolver.poll_timeout(),
        ];
        let sockets = self.sockets.iter().filter_map(DatagramProtocol::poll_timeout);
        let Some(next) = wakes.into_iter().flatten().chain(sockets).min() else { return false };
        self.now = self.now.max(next);
        while let Some(entry) = self.coming.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (socket, from, bytes) = entry.remove();
            let _ =
                self.sockets[socket].handle_datagram(self.now, Path::to(from), BytesMut::from(&bytes[..]));
        }
        while let Some(entry) = self.streams.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (token, result) = entry.remove();
            self.resolver.handle_reply(self.now, token, result);
        }
        for socket in &mut self.sockets {
            socket.handle_timeout(self.now);
        }
        self.resolver.handle_timeout(self.now);
        true
    }

    pub(crate) fn ask(&mut self, request: Request) -> (Vec<Answer>, Result<(), LookupError>) {
        self.next += 1;
        let token = Token(self.next);
        self.resolver.submit(self.now, token, request).unwrap();
        self.run();
        let (answers, result, _) = self.done.remove(&token).expect("an end");
        (answers, result)
    }

    pub(crate) fn addresses(&mut self, host: &str) -> Result<BTreeSet<IpAddr>, LookupError> {
        let (answers, result) = self.ask(Request::addresses(host));
        result.map(|()| answers.iter().flat_map(Answer::addresses).collect())
    }

    pub(crate) fn queries(&self, n: u8) -> u32 {
        let count = |channel| self.seen.get(&(address(n), channel)).copied().unwrap_or_default();
        count(Channel::Udp) + count(Channel::Tcp)
    }
}

pub(crate) fn set(addresses: &[&str]) -> BTreeSet<IpAddr> {
    addresses.iter().map(|address| address.parse().unwrap()).collect()
}

pub(crate) const WELL: Manners = Manners {
    dead: false,
    no_edns: None,
    lower: false,
    truncate: false,
    servfail: false,
    cookies: false,
    stream_takes: Duration::ZERO,
    mute_stream: false,
};

pub(crate) fn plain() -> Net {
    Net::new(&[(1, WELL)], 1, |_| {})
}

//! Two to four peers over a network that loses, doubles and reorders, by seed.
//!
//! `GLOWPLUG_SEEDS` says how many seeds to run (200 unless told), `GLOWPLUG_SEED` runs one alone.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::{DatagramProtocol, Instant, Path, Rng, Seed};
use glowplug_udp::reliable::{ChannelConfig, Conversations, End, Event as Told, Failure, Order};
use glowplug_udp::{Config, ConversationId, Event, Scope, Tracker};

fn seeds() -> impl Iterator<Item = u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("GLOWPLUG_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("GLOWPLUG_SEEDS").unwrap_or(200),
    }
}

/// Datagrams on their way, by arrival.
struct Network {
    rng: Rng,
    /// Out of a hundred.
    loss: u64,
    doubling: u64,
    jitter: u64,
    on_the_way: BTreeMap<(Instant, u64), (usize, usize, Vec<u8>)>,
    count: u64,
}

impl Network {
    fn new(mut rng: Rng) -> Self {
        let (loss, doubling, jitter) = (rng.below(30), rng.below(30), rng.below(100));
        Self { rng, loss, doubling, jitter, on_the_way: BTreeMap::new(), count: 0 }
    }

    fn send(&mut self, now: Instant, from: usize, to: usize, datagram: &[u8]) {
        for _ in 0..=u64::from(self.rng.chance(self.doubling, 100)) {
            if self.rng.chance(self.loss, 100) {
                continue;
            }
            self.count += 1;
            let late = Duration::from_millis(10 + self.rng.below(self.jitter + 1));
            self.on_the_way.insert((now + late, self.count), (from, to, datagram.to_vec()));
        }
    }

    fn next_arrival(&self) -> Option<Instant> {
        self.on_the_way.keys().next().map(|key| key.0)
    }

    fn arrived(&mut self, now: Instant) -> Option<(usize, usize, Vec<u8>)> {
        let first = self.on_the_way.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove())
    }
}

fn path(host: usize) -> Path {
    Path::to(([10, 0, 0, host as u8], 7000).into())
}

fn host(path: Path) -> usize {
    match path.remote.ip() {
        std::net::IpAddr::V4(ip) => usize::from(ip.octets()[3]),
        std::net::IpAddr::V6(_) => unreachable!("all paths are made above"),
    }
}

/// Carries datagrams and time until `done`, or for an hour.
fn run<P: DatagramProtocol>(
    seed: u64,
    start: Instant,
    network: &mut Network,
    hosts: &mut [P],
    mut step: impl FnMut(Instant, usize, &mut P),
    mut done: impl FnMut(Instant, &mut [P]) -> bool,
) -> Instant {
    let (mut now, mut out) = (start, BytesMut::new());
    loop {
        for (number, protocol) in hosts.iter_mut().enumerate() {
            step(now, number, protocol);
            loop {
                out.clear();
                let Some(transmit) = protocol.poll_transmit(now, &mut out) else { break };
                network.send(now, number, host(transmit.path), &out);
            }
        }
        if done(now, hosts) {
            return now;
        }
        let next = hosts.iter().filter_map(P::poll_timeout).chain(network.next_arrival()).min();
        let Some(next) = next else { panic!("seed {seed}: nothing will ever happen again") };
        now = now.max(next);
        assert!(now < start + Duration::from_secs(3600), "seed {seed}: no end");
        while let Some((from, to, datagram)) = network.arrived(now) {
            // An error is about one datagram: a doubled first one, a late one.
            let _ = hosts[to].handle_datagram(now, path(from), BytesMut::from(&datagram[..]));
        }
        for protocol in hosts.iter_mut() {
            if protocol.poll_timeout().is_some_and(|due| due <= now) {
                protocol.handle_timeout(now);
            }
        }
    }
}

/// Plain conversations: whatever arrives arrives at its own conversation, in the order of arrival, doubled as it was.
#[test]
fn no_datagram_reaches_another_peers_conversation() {
    for seed in seeds() {
        let mut rng = Seed::from_u64(seed).rng();
        let mut network = Network::new(rng.seed().rng());
        let mut hosts: Vec<Tracker> = (0..4).map(|_| Tracker::new(Config::default(), &rng.seed())).collect();
        let mut peers: Vec<BTreeMap<ConversationId, usize>> = vec![BTreeMap::new(); 4];
        for from in 0..4 {
            for to in 0..4 {
                if from != to && hosts[from].find(Scope::NONE, &path(to)).is_none() && rng.chance(1, 2) {
                    let id = hosts[from].connect(Instant::ZERO, path(to)).expect("there is room");
                    peers[from].insert(id, to);
                    for number in 0..20 {
                        let payload = Bytes::from(format!("{from}>{to} {number}"));
                        hosts[from].send(id, payload).expect("there is room");
                    }
                }
            }
        }
        run(
            seed,
            Instant::ZERO,
            &mut network,
            &mut hosts,
            |now, me, tracker| {
                while let Some(event) = tracker.poll_event(now) {
                    match event {
                        Event::Opened { conversation, path, .. } => {
                            assert_eq!(peers[me].insert(conversation, host(path)), None, "seed {seed}");
                        }
                        Event::Message { conversation, payload } => {
                            let from = peers[me][&conversation];
                            let text = String::from_utf8_lossy(&payload).into_owned();
                            assert!(
                                text.starts_with(&format!("{from}>{me} ")),
                                "seed {seed}: {text} from {from}"
                            );
                            if !text.ends_with("echo") && !text.ends_with("ECHO") {
                                let answer = format!("{me}>{from} {} echo", &text[4..]);
                                let _ = tracker.send(conversation, answer.into());
                            }
                        }
                        other => panic!("seed {seed}: {other:?}"),
                    }
                }
            },
            // All that was sent arrives within a second.
            |now, _| now > Instant::ZERO + Duration::from_secs(2),
        );
    }
}

/// What each message of a run looks like: a number and a length that only the sender's dice know.
fn message(rng: &mut Rng, number: u32) -> Bytes {
    let len = match rng.below(10) {
        0 => 0,
        1..=7 => rng.below(300),
        _ => rng.below(20_000),
    };
    let mut message = number.to_be_bytes().to_vec();
    message.extend((0..len).map(|at| (at as u32 ^ number) as u8));
    message.into()
}

#[test]
fn reliable_messages_arrive_once_and_in_order() {
    reliable(Order::Ordered);
}

#[test]
fn reliable_messages_arrive_once_in_any_order() {
    reliable(Order::Unordered);
}

fn reliable(order: Order) {
    const MESSAGES: u32 = 60;
    for seed in seeds() {
        let mut rng = Seed::from_u64(seed).rng();
        let mut network = Network::new(rng.seed().rng());
        let config = ChannelConfig::default().order(order);
        let mut hosts: Vec<Conversations> =
            (0..2).map(|_| Conversations::new(Config::default(), config, &rng.seed())).collect();
        let client = hosts[0].connect(Instant::ZERO, path(1)).expect("there is room");
        let mut ids = [Some(client), None];
        let messages: Vec<Bytes> = (0..MESSAGES).map(|number| message(&mut rng, number)).collect();
        let mut sent = [0; 2];
        let mut heard: [Vec<BytesMut>; 2] = Default::default();
        let mut finished = [false; 2];
        let mut ends = [None; 2];
        run(
            seed,
            Instant::ZERO,
            &mut network,
            &mut hosts,
            |now, me, conversations| {
                while let Some(event) = conversations.poll_event(now) {
                    match event {
                        Told::Opened { conversation, .. } => {
                            assert_eq!((me, ids[1].replace(conversation)), (1, None), "seed {seed}");
                        }
                        Told::Message { payload, .. } => heard[me].push(payload),
                        Told::Finished { .. } => assert!(!std::mem::replace(&mut finished[me], true)),
                        Told::Closed { end, .. } => assert_eq!(ends[me].replace(end), None, "seed {seed}"),
                        other => panic!("seed {seed}: {other:?}"),
                    }
                }
                // Both send the same messages, as fast as they are taken.
                let Some(id) = ids[me] else { return };
                while let Some(message) = messages.get(sent[me]) {
                    if conversations.send(id, message.clone()).is_err() {
                        return;
                    }
                    sent[me] += 1;
                }
                conversations.finish(id);
            },
            |_, hosts| hosts.iter().all(Conversations::is_empty),
        );
        for (me, heard) in heard.iter_mut().enumerate() {
            if order == Order::Unordered {
                heard.sort_by_key(|message| message[..4].to_vec());
            }
            assert!(
                heard.iter().eq(messages.iter()),
                "seed {seed}: host {me} heard {} messages",
                heard.len()
            );
        }
        assert_eq!(finished, [true; 2], "seed {seed}");
        // Whoever heard the last word has finished; the other may have asked for it in vain.
        assert!(ends.contains(&Some(End::Finished)), "seed {seed}: {ends:?}");
        assert!(!ends.contains(&Some(End::Failed(Failure::Violation))), "seed {seed}: {ends:?}");
    }
}

#[test]
fn a_peer_that_vanishes_is_given_up_and_one_that_forgot_says_so() {
    for seed in seeds() {
        let mut rng = Seed::from_u64(seed).rng();
        let mut network = Network::new(rng.seed().rng());
        // Signs of life keep the idle time-out away, through any losses there are.
        let config = ChannelConfig::default().keep_alive(Some(Duration::from_secs(5)));
        let new = |rng: &mut Rng| Conversations::new(Config::default(), config, &rng.seed());
        let mut hosts = vec![new(&mut rng), new(&mut rng)];
        let id = hosts[0].connect(Instant::ZERO, path(1)).expect("there is room");
        hosts[0].send(id, Bytes::from_static(b"hello")).expect("there is room");
        let mut heard = false;
        let now = run(
            seed,
            Instant::ZERO,
            &mut network,
            &mut hosts,
            |now, _, conversations| {
                while let Some(event) = conversations.poll_event(now) {
                    heard |= matches!(event, Told::Message { .. });
                }
            },
            // Longer than the idle time-out.
            |now, _| now > Instant::ZERO + Duration::from_secs(300),
        );
        assert!(heard, "seed {seed}");
        // The server starts anew, and knows nothing of the conversation.
        hosts[1] = new(&mut rng);
        hosts[0].send(id, Bytes::from_static(b"still there?")).expect("there is room");
        assert_eq!(end_of(seed, now, &mut network, &mut hosts), End::Failed(Failure::Reset), "seed {seed}");
        // Nobody answers at all.
        network.loss = 100;
        let id = hosts[0].connect(now, path(1)).expect("there is room");
        hosts[0].send(id, Bytes::from_static(b"anybody?")).expect("there is room");
        assert_eq!(
            end_of(seed, now, &mut network, &mut hosts),
            End::Failed(Failure::TimedOut),
            "seed {seed}"
        );
    }
}

/// How the only conversation of the first host ends. The other tells of none.
fn end_of(seed: u64, start: Instant, network: &mut Network, hosts: &mut [Conversations]) -> End {
    let mut end = None;
    run(
        seed,
        start,
        network,
        hosts,
        |now, me, conversations| {
            while let Some(event) = conversations.poll_event(now) {
                match event {
                    Told::Closed { end: told, .. } if me == 0 => end = Some(told),
                    other => panic!("seed {seed}: host {me}: {other:?}"),
                }
            }
        },
        |_, hosts| hosts[0].is_empty(),
    );
    end.expect("it is told before it is forgotten")
}

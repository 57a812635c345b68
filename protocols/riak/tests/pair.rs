//! Both ends and the node in memory, over a wire that cuts everything: the answers are always the same.

use core::time::Duration;

use bytes::{Buf, BytesMut};
use glowplug_core::{Answer, Instant, RequestProtocol, Rng, Seed, SendBuf, StreamProtocol, Token};
use glowplug_riak::datatype::{CounterChange, MapChange, SetChange};
use glowplug_riak::memory::{Node, NodeConfig, Replies};
use glowplug_riak::request::{Ask, FetchData, Get, Index, ListBuckets, ListKeys, Ping, Put, UpdateData};
use glowplug_riak::wire::{Reply, Request};
use glowplug_riak::{
    Bucket, ClientConnection, Config, Content, Credentials, Event, Response, ServerConfig, ServerConnection,
    ServerEvent, TlsPolicy,
};

/// One direction of the wire.
#[derive(Default)]
struct Direction {
    out: SendBuf,
    input: BytesMut,
}

impl Direction {
    /// Moves some of what was sent to the other side. False when there was nothing.
    fn carry(&mut self, rng: &mut Rng) -> bool {
        let waiting = self.out.len();
        if waiting == 0 {
            return false;
        }
        let len = 1 + rng.below(waiting.min(700) as u64) as usize;
        let bytes = self.out.copy_to_bytes(len);
        self.input.extend_from_slice(&bytes);
        true
    }
}

struct Pair {
    client: ClientConnection,
    server: ServerConnection,
    node: Node,
    replies: Option<Replies>,
    up: Direction,
    down: Direction,
    now: Instant,
    answers: Vec<Answer<Response>>,
}

impl Pair {
    fn new(config: Config, tls: TlsPolicy) -> Self {
        let now = Instant::ZERO;
        let node = NodeConfig::new().user("user", "secret");
        Self {
            client: ClientConnection::new(now, config),
            server: ServerConnection::new(now, ServerConfig::new().tls(tls)),
            node: Node::new(&Seed::from_u64(1), node),
            replies: None,
            up: Direction::default(),
            down: Direction::default(),
            now,
            answers: Vec::new(),
        }
    }

    /// One turn of each side. False when nothing happened.
    fn step(&mut self, rng: &mut Rng) -> bool {
        let mut moved = false;
        while let Some(event) =
            self.client.poll_event(self.now, &mut self.down.input).expect("an honest server")
        {
            moved = true;
            match event {
                Event::StartTls => self.client.tls_established(self.now),
                Event::Answer(answer) => self.answers.push(answer),
                _ => {}
            }
        }
        self.client.poll_transmit(self.now, &mut self.up.out);
        while let Some(event) =
            self.server.poll_event(self.now, &mut self.up.input).expect("an honest client")
        {
            moved = true;
            match event {
                // The agreement must have left before the handshake begins; here there is none.
                ServerEvent::StartTls => self.server.tls_established(self.now),
                ServerEvent::Request(request) => {
                    self.replies = Some(self.node.handle(Duration::from_secs(1_800_000_000), 1, request));
                }
                _ => {}
            }
        }
        while self.server.can_reply() {
            let Some(reply) = self.replies.as_mut().and_then(Iterator::next) else { break };
            self.server.reply(self.now, reply).expect("the node answers what was asked");
            moved = true;
        }
        self.server.poll_transmit(self.now, &mut self.down.out);
        moved | self.up.carry(rng) | self.down.carry(rng)
    }
}

fn requests() -> Vec<Request> {
    let mut all = vec![Ping::new().into_request()];
    for n in 0..120 {
        let content = Content::new(vec![b'v'; n * 40]).index_int("n", n as i64).meta("n", n.to_string());
        all.push(Put::new(Bucket::typed("mult", "b").key(n.to_string()), content).into_request());
    }
    let bucket = || Bucket::typed("mult", "b");
    let map = Bucket::typed("maps", "m").key("k");
    let change = MapChange::new().counter("c", 2).set("s", SetChange::new().add("x")).flag("f", true);
    all.extend([
        Get::new(bucket().key("77")).into_request(),
        Get::new(bucket().key("none")).into_request(),
        ListKeys::new(bucket()).into_request(),
        Index::range_int(bucket(), "n_int", 10, 115).stream(true).return_terms(true).into_request(),
        Index::range_int(bucket(), "n_int", 1, 9).max_results(4).into_request(),
        ListBuckets::new(Some("mult".into())).into_request(),
        UpdateData::new(map.clone(), change).return_body(true).into_request(),
        UpdateData::new(map.clone(), CounterChange(1)).into_request(),
        FetchData::new(map).into_request(),
        Index::equal(bucket(), "no_suffix", "x").into_request(),
    ]);
    all
}

/// Everything that came, given how the wire is cut and how much room the output has.
fn play(seed: u64, config: Config, tls: TlsPolicy) -> Vec<Answer<Response>> {
    let mut rng = Seed::from_u64(seed).rng();
    let mut pair = Pair::new(config, tls);
    let room = if rng.chance(1, 2) { 1 } else { 64 * 1024 };
    pair.up.out.set_room(room);
    pair.down.out.set_room(room);
    let requests = requests();
    let count = requests.len();
    for (n, request) in requests.into_iter().enumerate() {
        pair.client.submit(pair.now, Token(n as u64), request).unwrap();
    }
    while pair.step(&mut rng) {}
    let done = pair.answers.iter().filter(|answer| answer.last).count();
    assert_eq!((done, pair.client.in_flight()), (count, 0), "seed {seed}");
    assert!(
        pair.answers.is_sorted_by_key(|answer| answer.token),
        "answers come in the order of the requests"
    );
    pair.answers
}

#[test]
fn the_answers_do_not_depend_on_cuts_or_room() {
    let expected = play(0, Config::new(), TlsPolicy::Refuse);
    let keys = expected.iter().filter_map(|answer| match &answer.response {
        Ok(Reply::RpbListKeysResp(reply)) => Some(reply.keys.len()),
        _ => None,
    });
    assert_eq!(keys.sum::<usize>(), 120);
    for seed in 1..60 {
        assert!(play(seed, Config::new(), TlsPolicy::Refuse) == expected, "seed {seed}");
    }
}

#[test]
fn nor_do_they_depend_on_security() {
    let expected = play(0, Config::new(), TlsPolicy::Refuse);
    for seed in 1..10 {
        let config = Config::new().credentials(Credentials::new("user", "secret"));
        assert!(play(seed, config, TlsPolicy::Require) == expected, "seed {seed}");
    }
}

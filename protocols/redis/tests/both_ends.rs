//! The client's end and the server in memory, joined by hand: random requests, cuts, rooms and cancels; everybody gets the own
//! answer, and memory returns to its start.

use std::collections::BTreeMap;

use bytes::{Buf, BytesMut};
use glowplug_core::{Instant, Progress, RequestProtocol, Rng, Seed, SendBuf, StreamProtocol, Token};
use glowplug_redis::memory::{Config, Connection, Handle};
use glowplug_redis::{
    ClientConfig, ClientConnection, Event, Pipeline, Protocol, Reply, ServerConfig, commands,
};

const SEEDS: u64 = 200;

/// One direction of the wire: what was written, and what was read of it.
#[derive(Default)]
struct Wire {
    written: BytesMut,
    read: BytesMut,
}

impl Wire {
    /// Lets some of what was written arrive.
    fn flow(&mut self, rng: &mut Rng) {
        let count = if rng.chance(1, 4) { self.written.len() } else { rng.below(40) as usize };
        let piece = self.written.split_to(count.min(self.written.len()));
        self.read.extend_from_slice(&piece);
    }
}

fn take(machine: &mut impl StreamProtocol, now: Instant, room: usize, to: &mut BytesMut) {
    let mut out = SendBuf::with_room(room);
    machine.poll_transmit(now, &mut out);
    let len = out.len();
    to.extend_from_slice(&out.copy_to_bytes(len));
}

/// What a request expects, reply by reply.
type Expected = Vec<Reply>;

fn submit(client: &mut ClientConnection, rng: &mut Rng, now: Instant, token: u64) -> Option<Expected> {
    let text = |at: u64| format!("{token}-{at}-{}", "x".repeat((token * 37 % 2000) as usize));
    let bulk = |text: &str| Reply::Bulk(text.to_owned().into());
    let (request, expected) = match rng.below(4) {
        0 => {
            let mut pipeline = Pipeline::new();
            let count = 1 + rng.below(20);
            for at in 0..count {
                pipeline.push(commands::echo(text(at)));
            }
            (pipeline.into(), (0..count).map(|at| bulk(&text(at))).collect())
        }
        1 => (commands::ping().into(), vec![Reply::Simple("PONG".into())]),
        _ => (commands::echo(text(0)).into(), vec![bulk(&text(0))]),
    };
    client.submit(now, Token(token), request).ok().map(|()| expected)
}

#[test]
fn everybody_gets_the_own_answer() {
    for seed in 0..SEEDS {
        let mut rng = Seed::from_u64(seed).rng();
        let mut now = Instant::ZERO;
        let server = Handle::new(
            Config::new().connection(ServerConfig::new().max_unanswered(1 + rng.below(5) as usize)),
        );
        let mut end = Connection::new(now, &server);
        let protocol = if rng.chance(1, 2) { Protocol::Resp2 } else { Protocol::Resp3 };
        let config = ClientConfig::new()
            .protocol(protocol)
            .max_in_flight(1 + rng.below(50) as usize)
            .max_queued_bytes(4096);
        let mut client = ClientConnection::new(now, config);
        let (mut up, mut down) = (Wire::default(), Wire::default());
        let mut waiting: BTreeMap<u64, Expected> = BTreeMap::new();
        let (mut next, mut answered) = (0, 0);
        let mut closing = false;
        for step in 0..20_000 {
            now = Instant::from_nanos(now.as_nanos() + rng.below(1_000_000));
            match rng.below(8) {
                0 | 1 if next < 100 => {
                    if let Some(expected) = submit(&mut client, &mut rng, now, next) {
                        waiting.insert(next, expected);
                    }
                    next += 1;
                }
                2 if rng.chance(1, 4) && next > 0 => {
                    let token = rng.below(next);
                    client.cancel(Token(token));
                    waiting.remove(&token);
                }
                3 => take(&mut client, now, 1 + rng.below(3000) as usize, &mut up.written),
                4 => take(&mut end, now, 1 + rng.below(3000) as usize, &mut down.written),
                5 => up.flow(&mut rng),
                6 => down.flow(&mut rng),
                _ => {
                    end.poll_event(now, &mut up.read).expect("commands are valid");
                    while let Some(event) = client.poll_event(now, &mut down.read).expect("replies are valid")
                    {
                        let Event::Answer(answer) = event else { continue };
                        let expected = waiting.get_mut(&answer.token.0).expect("a caller that waits");
                        assert_eq!(answer.response, expected.remove(0), "seed {seed}");
                        assert_eq!(answer.last, expected.is_empty(), "seed {seed}");
                        if answer.last {
                            waiting.remove(&answer.token.0);
                            answered += 1;
                        }
                    }
                }
            }
            if next == 100 && !closing {
                closing = true;
                client.close(now);
            }
            if closing && client.interest().is_closed() {
                break;
            }
            assert!(step < 19_999, "seed {seed}: it never ends");
        }
        assert!(waiting.is_empty(), "seed {seed}: {} were not answered", waiting.len());
        assert!(answered > 0 && client.in_flight() == 0, "seed {seed}");
        drop(end);
        assert_eq!(server.with(|server| server.poll_timeout()), None);
    }
}

/// The connection cut at every byte of a session: *not sent* is never said of a command that was applied.
#[test]
fn not_sent_is_never_said_of_what_was_applied() {
    let now = Instant::ZERO;
    let mut cut = 0;
    loop {
        let server = Handle::new(Config::new());
        let mut end = Connection::new(now, &server);
        let mut client = ClientConnection::new(now, ClientConfig::new().set_info(false));
        let mut answered = Vec::new();
        let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
        let (mut budget, mut whole) = (cut, false);
        for token in 0..20 {
            client.submit(now, Token(token), commands::incr(format!("key-{token}")).into()).expect("room");
        }
        for _ in 0..60 {
            let before = up.len();
            take(&mut client, now, 33, &mut up);
            let written = up.len() - before;
            // What is over the budget never reaches the server.
            up.truncate(before + written.min(budget));
            let lost = written > budget;
            budget -= written.min(budget);
            end.poll_event(now, &mut up).expect("valid");
            take(&mut end, now, 1 << 16, &mut down);
            while let Some(event) = client.poll_event(now, &mut down).expect("valid") {
                if let Event::Answer(answer) = event {
                    answered.push(answer.token.0);
                }
            }
            if lost {
                client.handle_eof(now);
                let _ = client.poll_event(now, &mut down);
                break;
            }
            whole = answered.len() == 20;
        }
        let mut probe = Connection::new(now, &server);
        for token in 0..20 {
            let mut input = BytesMut::from(format!("EXISTS key-{token}\r\n").as_bytes());
            probe.poll_event(now, &mut input).expect("valid");
            let mut reply = BytesMut::new();
            take(&mut probe, now, 100, &mut reply);
            let applied = &reply[..] == b":1\r\n";
            let not_sent = client.progress(Token(token)) == Progress::NotSent && !answered.contains(&token);
            assert!(!(applied && not_sent), "cut at {cut}: command {token} was applied");
            assert!(
                applied || !answered.contains(&token),
                "cut at {cut}: command {token} was answered and not applied"
            );
        }
        if whole {
            break;
        }
        cut += 1;
    }
    assert!(cut > 500, "the session has {cut} bytes");
}

/// Any bytes at all from a server, in whatever state: an error or nothing, and an end.
#[test]
fn hostile_servers_are_survived() {
    let pieces: [&[u8]; 16] = [
        b"*2147483647\r\n",
        b"*1\r\n",
        b">3\r\n+message\r\n+a\r\n",
        b"$5\r\nhello\r\n",
        b"+OK\r\n",
        b"-ERR x\r\n",
        b":1\r\n",
        b"%1\r\n",
        b"_\r\n",
        b"|1\r\n+a\r\n+b\r\n",
        b">3\r\n$9\r\nsubscribe\r\n+a\r\n:1\r\n",
        b"\r\n",
        b"$-1\r\n",
        b"~1\r\n",
        b"#t\r\n",
        b"\xff",
    ];
    for seed in 0..2000 {
        let mut rng = Seed::from_u64(seed).rng();
        let mut now = Instant::ZERO;
        let protocol = if rng.chance(1, 2) { Protocol::Resp2 } else { Protocol::Resp3 };
        let mut client = ClientConnection::new(now, ClientConfig::new().protocol(protocol));
        let mut input = BytesMut::new();
        let mut over = false;
        for token in 0..60 {
            match rng.below(6) {
                0 => drop(client.submit(now, Token(token), commands::subscribe(["a", "b"]).into())),
                1 => drop(client.submit(now, Token(token), commands::unsubscribe(["a"; 0]).into())),
                2 => drop(client.submit(now, Token(token), commands::ping().into())),
                3 => {
                    now = Instant::from_nanos(now.as_nanos() + rng.below(20_000_000_000));
                    client.handle_timeout(now);
                }
                _ => input.extend_from_slice(pieces[rng.below(16) as usize]),
            }
            let mut out = SendBuf::new();
            client.poll_transmit(now, &mut out);
            let before = input.len();
            for _ in 0..=before + 2 {
                match client.poll_event(now, &mut input) {
                    Ok(Some(_)) => assert!(!over, "seed {seed}: an event after the error"),
                    Ok(None) => break,
                    Err(_) => {
                        assert!(!over || input.len() == before, "seed {seed}: it reads on after the error");
                        over = true;
                        break;
                    }
                }
            }
        }
        client.handle_eof(now);
        for _ in 0..=input.len() + 2 {
            if !matches!(client.poll_event(now, &mut input), Ok(Some(_))) {
                break;
            }
        }
        assert!(client.interest().is_closed(), "seed {seed}");
    }
}

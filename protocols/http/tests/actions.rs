//! Anything at any time: random bytes, cuts, time jumps and calls of a careless application. The machines never panic,
//! keep their contract with the driver, and end.

mod support;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, Progress, ReadInterest, Rng, Seed, SendBuf, StreamProtocol};
use glowplug_http::{
    BodyLength, ClientConnection, ClientEvent, Method, ServerConnection, ServerEvent, StatusCode, StreamId,
};
use support::{client_config, server_config};

/// What a client may send: most pieces are whole, so that exchanges go on for long.
const REQUESTS: [&str; 10] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\n\r\nhello",
    "PUT / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nt: 1\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n",
    "hello",
    "PUT / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
];

/// What a server may send.
const ANSWERS: [&str; 10] = [
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    "HTTP/1.1 204 No\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 304 No\r\ncontent-length: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
    "hello",
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
];

const LENGTHS: [BodyLength; 4] =
    [BodyLength::Empty, BodyLength::Known(0), BodyLength::Known(5), BodyLength::Unknown];

/// What a driver holds, and what it checks at each turn.
struct Driver {
    rng: Rng,
    pieces: [&'static str; 10],
    /// What is left of the piece that is being received.
    piece: &'static [u8],
    now: Instant,
    input: BytesMut,
    out: SendBuf,
    eof: bool,
    failed: bool,
}

impl Driver {
    fn new(seed: u64, pieces: [&'static str; 10]) -> Self {
        let mut rng = Seed::from_u64(seed).rng();
        let room = 1 + rng.below(300) as usize;
        Self {
            rng,
            pieces,
            piece: &[],
            now: Instant::ZERO,
            input: BytesMut::new(),
            out: SendBuf::with_room(room),
            eof: false,
            failed: false,
        }
    }

    /// One turn of the canonical loop, as a driver makes it, with something happening outside. A new piece comes only if
    /// `receives`.
    fn turn<P: StreamProtocol>(&mut self, machine: &mut P, receives: bool, mut told: impl FnMut(P::Event)) {
        match self.rng.below(8) {
            0 => {
                let most = if self.rng.chance(1, 20) { 60_000 } else { 300 };
                self.now += Duration::from_millis(self.rng.below(most));
                machine.handle_timeout(self.now);
                assert!(
                    machine.poll_timeout().is_none_or(|deadline| deadline > self.now),
                    "a late call moves the deadline"
                );
            }
            1 if self.rng.chance(1, 20) && !self.eof => {
                self.eof = true;
                machine.handle_eof(self.now);
            }
            2 if self.rng.chance(1, 20) => machine.close(self.now),
            _ if machine.interest().read.wants() && !self.eof => {
                if self.piece.is_empty() && receives {
                    // The rarer ones are further down the list.
                    let most = if self.rng.chance(1, 4) { 10 } else { 5 };
                    self.piece = self.pieces[self.rng.below(most) as usize].as_bytes();
                    if self.rng.chance(1, 50) {
                        self.piece = &self.piece[1..];
                    }
                }
                let len = match self.rng.below(3) {
                    0 => self.rng.below(self.piece.len() as u64 + 1) as usize,
                    _ => self.piece.len(),
                };
                self.input.extend_from_slice(&self.piece[..len]);
                self.piece = &self.piece[len..];
            }
            _ => {}
        }
        // Bounded: each event takes at least a byte or ends a state.
        for polls in 0.. {
            assert!(polls < 10_000, "events without end");
            let before = self.input.len();
            match machine.poll_event(self.now, &mut self.input) {
                Ok(Some(event)) => {
                    assert!(!self.failed, "an event after an error");
                    told(event);
                }
                Ok(None) => break,
                Err(_) => {
                    self.failed = true;
                    assert!(matches!(machine.poll_event(self.now, &mut self.input), Ok(None) | Err(_)));
                    break;
                }
            }
            if self.failed {
                assert_eq!(self.input.len(), before, "nothing is consumed after an error");
            }
        }
        if let Some(deadline) = machine.poll_timeout()
            && self.now < deadline
        {
            machine.handle_timeout(self.now);
            assert_eq!(machine.poll_timeout(), Some(deadline), "an early call does nothing");
        }
        if let ReadInterest::Want(hint) = machine.interest().read {
            assert!(hint > 0);
        }
        machine.poll_transmit(self.now, &mut self.out);
        if self.rng.chance(1, 2) {
            self.out.take_all();
        }
    }

    /// The end of the stream ends the read side in bounded steps.
    fn end<P: StreamProtocol>(&mut self, machine: &mut P) {
        machine.close(self.now);
        if !self.eof {
            machine.handle_eof(self.now);
        }
        for _ in 0..1000 {
            let told = machine.poll_event(self.now, &mut self.input);
            self.out.take_all();
            machine.poll_transmit(self.now, &mut self.out);
            if matches!(told, Ok(None)) && self.out.is_empty() {
                break;
            }
        }
        assert!(!machine.interest().read.wants());
    }
}

#[test]
fn a_server_under_random_actions() {
    let mut most = 0;
    for seed in 0..400 {
        let mut driver = Driver::new(seed, REQUESTS);
        let mut server = ServerConnection::new(driver.now, server_config());
        let mut current: Option<StreamId> = None;
        for _ in 0..300 {
            driver.turn(&mut server, true, |event| match event {
                ServerEvent::Request { stream, .. } => {
                    current = Some(stream);
                    most = most.max(stream.get());
                }
                ServerEvent::Data { data, .. } => assert!(!data.is_empty()),
                _ => {}
            });
            let Some(stream) = current else { continue };
            let now = driver.now;
            let rng = &mut driver.rng;
            // Most of these come at the wrong time: they are refused, and that is all.
            match rng.below(9) {
                0 | 1 => {
                    let statuses = [200, 204, 304, 404, 101, 100, 500];
                    let status = StatusCode::from_u16(statuses[rng.below(7) as usize]).expect("a status");
                    let length = LENGTHS[rng.below(4) as usize];
                    let _ = if rng.chance(1, 3) {
                        server.respond(now, stream, status, &[("x", "y")], Bytes::from_static(b"hello"))
                    } else {
                        server.send_head(now, stream, status, &[("x", "y")], length)
                    };
                }
                2 | 3 => drop(server.send_data(now, stream, Bytes::from_static(b"hello"))),
                4 | 5 => drop(server.finish(now, stream, &[("t", "1")])),
                6 => server.release(now, stream, rng.below(100) as usize),
                7 => drop(server.send_continue(now, stream)),
                _ if rng.chance(1, 30) => server.abort(now, stream),
                _ => {}
            }
        }
        driver.end(&mut server);
    }
    assert!(most > 10, "some connections live for long: {most}");
}

#[test]
fn a_client_under_random_actions() {
    let mut most = 0;
    for seed in 0..400 {
        let mut driver = Driver::new(seed, ANSWERS);
        let mut client = ClientConnection::new(driver.now, client_config());
        let mut current: Option<StreamId> = None;
        for _ in 0..300 {
            // Mostly when an answer is due, so that connections live for more than one.
            let sent = current.is_some_and(|stream| client.progress(stream) >= Progress::FullySent);
            let receives = sent && !client.is_ready() || driver.rng.chance(1, 200);
            driver.turn(&mut client, receives, |event| {
                if let ClientEvent::Data { data, .. } = event {
                    assert!(!data.is_empty());
                }
            });
            let now = driver.now;
            let rng = &mut driver.rng;
            if rng.chance(1, 3) {
                let methods = [Method::GET, Method::HEAD, Method::PUT, Method::CONNECT];
                let most_methods = if rng.chance(1, 20) { 4 } else { 3 };
                let method = &methods[rng.below(most_methods) as usize];
                let target = if *method == Method::CONNECT { "a:1" } else { "/" };
                let mut fields = vec![("host", "a")];
                if rng.chance(1, 4) {
                    fields.push(("expect", "100-continue"));
                }
                if rng.chance(1, 20) {
                    fields.extend([("upgrade", "x"), ("connection", "upgrade")]);
                }
                let most_lengths = if rng.chance(1, 2) { 1 } else { 4 };
                let length = LENGTHS[rng.below(most_lengths) as usize];
                if let Ok(stream) = client.submit(now, method, target, &fields, length) {
                    current = Some(stream);
                    most = most.max(stream.get());
                }
            }
            let Some(stream) = current else { continue };
            let before = client.progress(stream);
            match rng.below(9) {
                0..3 => drop(client.send_data(now, stream, Bytes::from_static(b"hello"))),
                3..6 => drop(client.finish(now, stream, &[("t", "1")])),
                6 => client.release(now, stream, rng.below(100) as usize),
                _ if rng.chance(1, 30) => client.cancel(now, stream),
                _ => {}
            }
            assert!(client.progress(stream) >= before, "progress never goes back");
        }
        driver.end(&mut client);
    }
    assert!(most > 10, "some connections live for long: {most}");
}

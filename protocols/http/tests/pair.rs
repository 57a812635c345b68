//! The two halves against each other: whatever one sends, the other reads, however the bytes travel.

mod support;

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use glowplug_core::{Rng, Seed, SendBuf, StreamProtocol};
use glowplug_http::{
    BodyLength, ClientConfig, ClientConnection, ClientEvent, Limits, Method, SendError, ServerConfig,
    ServerConnection, ServerEvent, StatusCode, StreamId,
};
use support::NOW;

/// A message body: what is announced, the pieces, the trailers.
#[derive(Clone, Debug)]
struct Body {
    length: BodyLength,
    pieces: Vec<Bytes>,
    trailers: Vec<(String, String)>,
}

impl Body {
    fn any(rng: &mut Rng) -> Self {
        let count = rng.below(5) as usize;
        let pieces: Vec<Bytes> = (0..count)
            .map(|_| {
                let most = if rng.chance(1, 3) { 5000 } else { 20 };
                let len = rng.below(most) as usize;
                (0..len).map(|_| b'a' + rng.below(26) as u8).collect()
            })
            .collect();
        let total = pieces.iter().map(Bytes::len).sum::<usize>() as u64;
        let length = if rng.chance(1, 2) { BodyLength::Unknown } else { BodyLength::Known(total) };
        let trailers = if rng.chance(1, 3) { vec![("x-sum".into(), total.to_string())] } else { Vec::new() };
        if rng.chance(1, 4) {
            return Self { length: BodyLength::Empty, pieces: Vec::new(), trailers: Vec::new() };
        }
        Self { length, pieces, trailers }
    }

    fn bytes(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    /// What the other side is to see of the trailers.
    fn sent_trailers(&self) -> Vec<(String, String)> {
        if self.length == BodyLength::Unknown { self.trailers.clone() } else { Vec::new() }
    }
}

/// A body on its way out of a machine.
struct Sending {
    body: Body,
    done: bool,
}

impl Sending {
    fn new(body: Body) -> Self {
        let done = body.length == BodyLength::Empty;
        Self { body, done }
    }

    /// Sends what there is capacity for; true when that was the last piece, and the body is to be finished.
    fn go_on(&mut self, mut send: impl FnMut(Bytes) -> Result<(), SendError>) -> bool {
        if self.done {
            return false;
        }
        while !self.body.pieces.is_empty() {
            match send(self.body.pieces[0].clone()) {
                Ok(()) => drop(self.body.pieces.remove(0)),
                Err(SendError::Full(_)) => return false,
                Err(error) => panic!("{error:?}"),
            }
        }
        self.done = true;
        true
    }
}

/// Bytes on their way, a random number at a time.
struct Pipe {
    out: SendBuf,
    input: BytesMut,
}

impl Pipe {
    fn new(rng: &mut Rng) -> Self {
        Self { out: SendBuf::with_room(1 + rng.below(4000) as usize), input: BytesMut::new() }
    }

    fn carry(&mut self, rng: &mut Rng) {
        let len = (rng.below(2000) as usize + 1).min(self.out.len());
        self.input.extend_from_slice(&self.out.copy_to_bytes(len));
    }
}

fn text(fields: Option<&glowplug_http::Fields>) -> Vec<(String, String)> {
    fields
        .map(|fields| {
            fields
                .iter()
                .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()))
                .collect()
        })
        .unwrap_or_default()
}

/// Some exchanges on one connection, as `seed` has them.
fn converse(seed: u64) {
    let mut rng = Seed::from_u64(seed).rng();
    let window = 1 + rng.below(3000) as usize;
    let buffer = 1 + rng.below(3000) as usize;
    let limits = Limits::default().receive_window(window).send_buffer(buffer);
    let mut client_config = ClientConfig::default();
    client_config.limits = limits.clone();
    let mut server_config = ServerConfig::default();
    server_config.limits = limits;
    let mut client = ClientConnection::new(NOW, Arc::new(client_config));
    let mut server = ServerConnection::new(NOW, Arc::new(server_config));
    let (mut up, mut down) = (Pipe::new(&mut rng), Pipe::new(&mut rng));

    let exchanges = 1 + rng.below(4);
    for exchange in 0..exchanges {
        let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE];
        let method = methods[rng.below(5) as usize].clone();
        let status = [200, 404, 204, 304, 500][rng.below(5) as usize];
        let status = StatusCode::from_u16(status).expect("a status");
        let (request, response) = (Body::any(&mut rng), Body::any(&mut rng));
        let target = format!("/{exchange}");
        let expects = rng.chance(1, 5);
        let mut fields = vec![("Host", "a"), ("X-Mixed", "b c")];
        if expects {
            fields.push(("expect", "100-continue"));
        }
        let stream: StreamId = client.submit(NOW, &method, &target, &fields, request.length).expect("ready");
        let (mut asking, mut answering) = (Sending::new(request.clone()), None::<(StreamId, Sending)>);
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        let mut finished = false;
        let mut idle_rounds = 0;
        while !finished {
            idle_rounds += 1;
            assert!(idle_rounds < 20_000, "seed {seed}: stuck");
            if asking.go_on(|piece| client.send_data(NOW, stream, piece)) {
                client.finish(NOW, stream, &request.trailers).expect("whole");
            }
            if let Some((stream, body)) = &mut answering
                && body.go_on(|piece| server.send_data(NOW, *stream, piece))
            {
                server.finish(NOW, *stream, &response.trailers).expect("whole");
            }
            client.poll_transmit(NOW, &mut up.out);
            server.poll_transmit(NOW, &mut down.out);
            if server.interest().read.wants() {
                up.carry(&mut rng);
            }
            if client.interest().read.wants() {
                down.carry(&mut rng);
            }
            while let Some(event) = server.poll_event(NOW, &mut up.input).expect("our own client") {
                match event {
                    ServerEvent::Request { stream, head, expects_continue, .. } => {
                        assert_eq!((head.method(), head.target()), (method.as_str(), target.as_str()));
                        assert_eq!(head.get("x-mixed"), Some(&b"b c"[..]));
                        if expects_continue {
                            server.send_continue(NOW, stream).expect("due");
                        }
                    }
                    ServerEvent::Data { stream, data } => {
                        asked.extend_from_slice(&data);
                        server.release(NOW, stream, data.len());
                    }
                    ServerEvent::End { stream, trailers } => {
                        assert_eq!(asked, request.bytes(), "seed {seed}");
                        assert_eq!(text(trailers.as_deref()), request.sent_trailers(), "seed {seed}");
                        server
                            .send_head(NOW, stream, status, &[("Server", "x")], response.length)
                            .expect("due");
                        answering = Some((stream, Sending::new(response.clone())));
                    }
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
            while let Some(event) = client.poll_event(NOW, &mut down.input).expect("our own server") {
                match event {
                    ClientEvent::Informational { head, .. } => assert_eq!(head.status(), 100),
                    ClientEvent::Response { head, .. } => assert_eq!(head.status(), status),
                    ClientEvent::Data { stream, data } => {
                        answered.extend_from_slice(&data);
                        client.release(NOW, stream, data.len());
                    }
                    ClientEvent::End { trailers, .. } => {
                        let nothing = method == Method::HEAD || matches!(status.as_u16(), 204 | 304);
                        if nothing {
                            assert!(answered.is_empty() && trailers.is_none(), "seed {seed}");
                        } else {
                            assert_eq!(answered, response.bytes(), "seed {seed}");
                            assert_eq!(text(trailers.as_deref()), response.sent_trailers(), "seed {seed}");
                        }
                        finished = true;
                    }
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
        }
        // Bodies that are thrown away still have to be ended.
        if let Some((stream, body)) = &mut answering {
            if body.go_on(|piece| server.send_data(NOW, *stream, piece)) {
                server.finish(NOW, *stream, &response.trailers).expect("whole");
            }
            assert!(body.done, "seed {seed}");
        }
        assert!(client.is_ready(), "seed {seed}: the connection goes on");
    }
    client.close(NOW);
    assert!(client.interest().is_closed());
    server.handle_eof(NOW);
    assert!(server.poll_event(NOW, &mut up.input).expect("no error").is_none());
    assert!(server.interest().is_closed(), "seed {seed}");
}

#[test]
fn what_one_half_sends_the_other_reads() {
    (0..300).for_each(converse);
}

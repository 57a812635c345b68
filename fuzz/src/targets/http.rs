//! HTTP/1.1: heads there and back, both halves of a connection, and who watches both.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, SendBuf, StreamProtocol};
use glowplug_http::wire::{Observer, Part};
use glowplug_http::{
    BodyLength, ClientConfig, ClientConnection, ClientEvent, Error, Leniency, Limits, Method, RequestHead,
    ServerConfig, ServerConnection, ServerEvent, StatusCode, StreamId,
};

use super::super::laws::{START, Subject, TAKE, check};
use super::super::log::{Log, Shape, shape};

/// A request head that the server half takes is one that the client half sends, and means the same then.
pub fn wire_head(data: &[u8]) -> Shape {
    let (head, body) = match read_request(data) {
        Ok(Some(request)) => request,
        Ok(None) => return 0,
        Err(error) => return shape(error),
    };
    let _ = format!("{head:?} {:?}", head.to_http());
    let Ok(method) = Method::from_bytes(head.method().as_bytes()) else { return 1 };
    let mut client = ClientConnection::new(START, Arc::default());
    let (mut input, mut out) = (BytesMut::new(), SendBuf::new());
    // What 1.0 allows and 1.1 does not, such as no host, is refused.
    let Ok(stream) = client.submit(START, &method, head.target(), head.fields(), body) else { return 2 };
    let _ = client.finish(START, stream, &());
    assert!(matches!(client.poll_event(START, &mut input), Ok(None)));
    client.poll_transmit(START, &mut out);
    let written = out.take_all();
    let (read, read_body) = read_request(&written)
        .unwrap_or_else(|error| panic!("{error}: {}", written.escape_ascii()))
        .expect("a whole head");
    assert_eq!((read.method(), read.target(), read_body), (head.method(), head.target(), body));
    // Framing is the machine's own, and the order stays.
    let fields = |head: &RequestHead| -> Vec<(String, Vec<u8>)> {
        let own = ["content-length", "transfer-encoding"];
        let fields =
            head.fields().iter().filter(|(name, _)| !own.contains(&name.to_ascii_lowercase().as_str()));
        fields.map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
    };
    assert_eq!(fields(&read), fields(&head), "{}", written.escape_ascii());
    shape(head)
}

fn read_request(data: &[u8]) -> Result<Option<(RequestHead, BodyLength)>, String> {
    let mut server = ServerConnection::new(START, Arc::default());
    let mut input = BytesMut::from(data);
    match server.poll_event(START, &mut input) {
        Ok(Some(ServerEvent::Request { head, body, .. })) => Ok(Some((head, body))),
        Ok(Some(ServerEvent::Refused { error, .. })) | Err(error) => Err(error.to_string()),
        _ => Ok(None),
    }
}

/// Who watches a connection sees the same however its bytes are cut: those of the client, a zero, and those of the server.
pub fn wire_observer(data: &[u8]) -> Shape {
    let [choice, len, wire @ ..] = data else { return 0 };
    let mut sides = wire.splitn(2, |&byte| byte == 0);
    let (up, down) = (sides.next().unwrap_or_default(), sides.next().unwrap_or_default());
    let whole = observe(*choice, usize::MAX, up, down);
    let cut = observe(*choice, usize::from(len % 32) + 1, up, down);
    assert_eq!(whole, cut);
    whole.0.shape() ^ whole.1.shape().rotate_left(1)
}

/// What was seen each way, with so many bytes at a time.
fn observe(choice: u8, len: usize, up: &[u8], down: &[u8]) -> (Log, Log) {
    let mut observer = Observer::new(limits().max_unanswered(4), leniency(choice));
    let (mut requests, mut responses) = (Log::default(), Log::default());
    let (mut from_client, mut from_server) = (BytesMut::new(), BytesMut::new());
    for piece in up.chunks(len.min(up.len().max(1))) {
        from_client.extend_from_slice(piece);
        note(&mut requests, || observer.decode_request(&mut from_client));
    }
    for piece in down.chunks(len.min(down.len().max(1))) {
        from_server.extend_from_slice(piece);
        note(&mut responses, || observer.decode_response(&mut from_server));
    }
    // What depended on the answers; then the ends.
    note(&mut requests, || observer.decode_request(&mut from_client));
    note(&mut responses, || observer.decode_response(&mut from_server));
    observer.handle_client_eof();
    observer.handle_server_eof();
    note(&mut requests, || observer.decode_request(&mut from_client));
    note(&mut responses, || observer.decode_response(&mut from_server));
    (requests, responses)
}

fn note<H: std::fmt::Debug>(log: &mut Log, mut next: impl FnMut() -> Result<Option<Part<H>>, Error>) {
    loop {
        match next() {
            Ok(None) => return,
            Ok(Some(Part::Data(data))) => log.data(&data),
            Ok(Some(part)) => log.event(part),
            Err(error) => {
                // It stays, and is said once.
                let text = format!("{error:?}");
                if !log.mentions(&text) {
                    log.event(error);
                }
                return;
            }
        }
    }
}

/// Small enough to be reached.
fn limits() -> Limits {
    Limits::default().max_head_len(1024).max_fields(16)
}

fn leniency(choice: u8) -> Leniency {
    let mut leniency = Leniency::default();
    leniency.bare_lf = choice & 1 != 0;
    leniency.obs_fold = choice & 2 != 0;
    leniency.repeated_content_length = choice & 4 != 0;
    leniency.content_length_with_transfer_encoding = choice & 8 != 0;
    leniency.space_before_colon = choice & 16 != 0;
    leniency
}

#[derive(Default)]
struct Client {
    stream: Option<StreamId>,
    upgraded: bool,
    /// Body bytes that were not released.
    held: usize,
    holds: bool,
}

impl Subject for Client {
    type Machine = ClientConnection;

    fn machine(&mut self, choice: u8) -> ClientConnection {
        self.holds = choice & 64 != 0;
        let mut config = ClientConfig::default();
        config.limits = limits();
        config.leniency = leniency(choice);
        config.report_chunk_extensions = choice & 32 != 0;
        ClientConnection::new(START, Arc::new(config))
    }

    fn act(&mut self, machine: &mut ClientConnection, now: Instant, number: u8) {
        if let (TAKE, Some(stream)) = (number % 8, self.stream) {
            machine.release(now, stream, std::mem::take(&mut self.held));
        }
        let host = ("host", "example.org");
        let expect = ("expect", "100-continue");
        let asked = match number % 8 {
            1 => machine.submit(now, &Method::GET, "/", &[host], BodyLength::Empty),
            2 => machine.submit(now, &Method::HEAD, "/", &[host], BodyLength::Empty),
            3 => machine.submit(now, &Method::POST, "/", &[host, expect], BodyLength::Known(5)),
            4 => machine.submit(now, &Method::CONNECT, "example.org:1", &[host], BodyLength::Empty),
            5 => machine.submit(now, &Method::PUT, "/", &[host], BodyLength::Unknown),
            6 => {
                if let Some(stream) = self.stream {
                    let _ = machine.send_data(now, stream, Bytes::from_static(b"hello"));
                    let _ = machine.finish(now, stream, &());
                }
                return;
            }
            7 => return self.stream.into_iter().for_each(|stream| machine.cancel(now, stream)),
            _ => return,
        };
        if let Ok(stream) = asked {
            (self.stream, self.held) = (Some(stream), 0);
        }
    }

    fn told(&mut self, machine: &mut ClientConnection, now: Instant, event: ClientEvent, log: &mut Log) {
        self.upgraded |= matches!(event, ClientEvent::Upgraded { .. });
        match event {
            ClientEvent::Data { stream, data } => {
                log.data(&data);
                self.held += data.len();
                if !self.holds {
                    machine.release(now, stream, std::mem::take(&mut self.held));
                }
            }
            event => log.event(event),
        }
    }

    fn is_handed_over(&self) -> bool {
        self.upgraded
    }
}

/// A client that sends bodies or not, and takes the answers at its own pace.
pub fn conn_client(data: &[u8]) -> Shape {
    check::<Client>(data)
}

#[derive(Default)]
struct Server {
    stream: Option<StreamId>,
    upgraded: bool,
    held: usize,
    holds: bool,
}

impl Server {
    fn answer(machine: &mut ServerConnection, now: Instant, stream: StreamId, body: BodyLength) {
        if machine.send_head(now, stream, StatusCode::OK, &[("x", "y")], body).is_ok() {
            let _ = machine.send_data(now, stream, Bytes::from_static(b"hello"));
            let _ = machine.finish(now, stream, &[("t", "u")]);
        }
    }
}

impl Subject for Server {
    type Machine = ServerConnection;

    fn machine(&mut self, choice: u8) -> ServerConnection {
        self.holds = choice & 64 != 0;
        let mut config = ServerConfig::default();
        config.limits = limits();
        config.leniency = leniency(choice);
        config.report_chunk_extensions = choice & 32 != 0;
        ServerConnection::new(START, Arc::new(config))
    }

    fn act(&mut self, machine: &mut ServerConnection, now: Instant, number: u8) {
        let Some(stream) = self.stream else { return };
        match number % 4 {
            1 => Self::answer(machine, now, stream, BodyLength::Known(5)),
            2 => drop(machine.send_continue(now, stream)),
            3 => machine.abort(now, stream),
            _ => {
                machine.release(now, stream, std::mem::take(&mut self.held));
                Self::answer(machine, now, stream, BodyLength::Empty);
            }
        }
    }

    fn told(&mut self, machine: &mut ServerConnection, now: Instant, event: ServerEvent, log: &mut Log) {
        self.upgraded |= matches!(event, ServerEvent::Upgraded { .. });
        match event {
            ServerEvent::Data { stream, data } => {
                log.data(&data);
                self.held += data.len();
                if !self.holds {
                    machine.release(now, stream, std::mem::take(&mut self.held));
                }
                return;
            }
            ServerEvent::Request { stream, .. } => (self.stream, self.held) = (Some(stream), 0),
            ServerEvent::End { stream, .. } if !self.holds => {
                Self::answer(machine, now, stream, BodyLength::Unknown);
            }
            _ => {}
        }
        log.event(event);
    }

    fn is_handed_over(&self) -> bool {
        self.upgraded
    }
}

/// A server that answers at the end of a request, or some time.
pub fn conn_server(data: &[u8]) -> Shape {
    check::<Server>(data)
}

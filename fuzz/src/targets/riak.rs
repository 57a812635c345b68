//! Riak: messages in protocol buffers, both machines.

use bytes::BytesMut;
use glowplug_core::{Instant, RequestProtocol, Token};
use glowplug_riak::wire::kv::{RpbGetReq, RpbListKeysReq};
use glowplug_riak::wire::riak::RpbPingReq;
use glowplug_riak::wire::{DecodeLimits, Decoder, Reply, Request};
use glowplug_riak::{
    ClientConnection, Config, Credentials, Event, ServerConfig, ServerConnection, ServerError, ServerEvent,
    TlsPolicy,
};

use super::super::laws::{START, Subject, TAKE, check};
use super::super::log::{Log, Shape};

const LIMITS: DecodeLimits = DecodeLimits { max_depth: 8, max_decoded_len: 1 << 20 };

/// A message that was read can be written and read again, as long as it said.
pub fn wire(data: &[u8]) -> Shape {
    let mut log = Log::default();
    let (mut decoder, mut input) = (Decoder::new(1 << 16), BytesMut::from(data));
    loop {
        let frame = match decoder.decode(&mut input) {
            Ok(Some(frame)) => frame,
            other => {
                log.event(other);
                return log.shape();
            }
        };
        match Request::decode(frame.code, &frame.body, LIMITS) {
            Ok(request) => {
                let mut written = BytesMut::new();
                request.encode_frame(&mut written);
                assert_eq!(written.len(), 5 + request.encoded_len());
                let copy = Decoder::new(1 << 24).decode(&mut written).expect("a frame").expect("a whole one");
                let read = Request::decode(copy.code, &copy.body, DecodeLimits::default());
                // Text, because NaN is not itself.
                assert_eq!(format!("{read:?}"), format!("Ok({request:?})"));
                log.event(request);
            }
            Err(error) => log.event(error),
        }
        match Reply::decode(frame.code, &frame.body, LIMITS) {
            Ok(reply) => {
                let mut written = BytesMut::new();
                reply.encode_frame(&mut written);
                assert_eq!(written.len(), 5 + reply.encoded_len());
                let copy = Decoder::new(1 << 24).decode(&mut written).expect("a frame").expect("a whole one");
                let read = Reply::decode(copy.code, &copy.body, DecodeLimits::default());
                assert_eq!(format!("{read:?}"), format!("Ok({reply:?})"));
                log.event(reply);
            }
            Err(error) => log.event(error),
        }
    }
}

/// The client as the targets and the seeds use it.
#[derive(Default)]
pub struct Client {
    tokens: u64,
}

impl Subject for Client {
    type Machine = ClientConnection;

    const TOO_EARLY: Option<&'static str> = Some("Unsolicited");

    fn machine(&mut self, choice: u8) -> ClientConnection {
        let mut config = Config::new().max_frame_len(1 << 16).max_decoded_len(1 << 20).max_depth(8);
        if choice & 1 != 0 {
            config = config.credentials(Credentials::new("user", "secret"));
        }
        if choice & 2 != 0 {
            config = config.stream_window(1);
        }
        ClientConnection::new(START, config)
    }

    fn is_cuttable(choice: u8) -> bool {
        choice & 1 == 0
    }

    fn act(&mut self, machine: &mut ClientConnection, now: Instant, number: u8) {
        if number == TAKE {
            machine.release(now, 1);
        }
        let request = match number % 5 {
            1 => RpbPingReq {}.into(),
            2 => RpbGetReq { bucket: "b".into(), key: "k".into(), ..RpbGetReq::default() }.into(),
            3 => RpbListKeysReq { bucket: "b".into(), ..RpbListKeysReq::default() }.into(),
            4 => return machine.cancel(Token(self.tokens.saturating_sub(1))),
            _ => return,
        };
        if machine.submit(now, Token(self.tokens), request).is_ok() {
            self.tokens += 1;
        }
    }

    fn told(&mut self, machine: &mut ClientConnection, now: Instant, event: Event, log: &mut Log) {
        if event == Event::StartTls {
            machine.tls_established(now);
        }
        log.event(event);
    }

    fn end(&mut self, machine: &ClientConnection) {
        assert!(machine.unanswered().count() <= machine.in_flight());
    }
}

/// A client that gets, lists and gives up.
pub fn conn_client(data: &[u8]) -> Shape {
    check::<Client>(data)
}

/// The server as the targets and the seeds use it.
#[derive(Default)]
pub struct Server;

impl Subject for Server {
    type Machine = ServerConnection;

    fn machine(&mut self, choice: u8) -> ServerConnection {
        let tls = if choice & 1 == 0 { TlsPolicy::Refuse } else { TlsPolicy::Require };
        ServerConnection::new(
            START,
            ServerConfig::new().max_frame_len(1 << 16).max_decoded_len(1 << 20).tls(tls),
        )
    }

    fn is_cuttable(choice: u8) -> bool {
        choice & 1 == 0
    }

    fn told(&mut self, machine: &mut ServerConnection, now: Instant, event: ServerEvent, log: &mut Log) {
        log.event(&event);
        match event {
            ServerEvent::StartTls => machine.tls_established(now),
            ServerEvent::Request(_) => {
                let _ = machine.reply(now, Err(ServerError { code: 0, message: "no".into() }));
            }
            _ => {}
        }
    }
}

/// A server that says no.
pub fn conn_server(data: &[u8]) -> Shape {
    check::<Server>(data)
}

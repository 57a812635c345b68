//! The server's end of a connection: what it answers by itself, what it leaves to the application, and its limits.

use core::time::Duration;

use bytes::BytesMut;
use glowplug_core::{Instant, Interest, ReadInterest, SendBuf, StreamProtocol, WriteInterest};
use glowplug_riak::request::{Ask, ListKeys, Ping};
use glowplug_riak::wire::kv::{RpbGetResp, RpbListKeysResp};
use glowplug_riak::wire::riak::{RpbAuthReq, RpbAuthResp, RpbPingResp, RpbStartTls};
use glowplug_riak::wire::{DecodeLimits, Decoder, Reply, Request};
use glowplug_riak::{
    Error, PeerError, ReplyError, ServerConfig, ServerConnection, ServerError, ServerErrorKind, ServerEvent,
    TlsPolicy,
};
use proptest::prelude::*;

/// A server with both its buffers.
struct Server {
    machine: ServerConnection,
    now: Instant,
    input: BytesMut,
    out: SendBuf,
}

impl Server {
    fn new(config: ServerConfig) -> Self {
        let now = Instant::ZERO;
        Self { machine: ServerConnection::new(now, config), now, input: BytesMut::new(), out: SendBuf::new() }
    }

    fn receive(&mut self, request: impl Into<Request>) {
        request.into().encode_frame(&mut self.input);
    }

    fn poll(&mut self) -> Result<Option<ServerEvent>, Error> {
        self.machine.poll_event(self.now, &mut self.input)
    }

    fn request(&mut self) -> Request {
        match self.poll() {
            Ok(Some(ServerEvent::Request(request))) => request,
            other => panic!("no request but {other:?}"),
        }
    }

    #[allow(clippy::result_large_err, reason = "the reply is given back as it was")]
    fn reply(&mut self, reply: impl Into<Reply>) -> Result<(), ReplyError> {
        self.machine.reply(self.now, Ok(reply.into()))
    }

    /// What the server sent by now.
    fn sent(&mut self) -> Vec<Reply> {
        self.machine.poll_transmit(self.now, &mut self.out);
        let mut bytes = BytesMut::from(&self.out.take_all()[..]);
        let mut decoder = Decoder::new(u32::MAX);
        core::iter::from_fn(|| decoder.decode(&mut bytes).unwrap())
            .map(|frame| Reply::decode(frame.code, &frame.body, DecodeLimits::default()).unwrap())
            .collect()
    }

    /// The one error that the server sent by now.
    fn refusal(&mut self) -> ServerError {
        match &self.sent()[..] {
            [Reply::RpbErrorResp(error)] => ServerError::new(error.errmsg.clone()),
            other => panic!("no error but {other:?}"),
        }
    }
}

fn ping() -> Request {
    Ping::new().into_request()
}

#[test]
fn requests_come_one_at_a_time() {
    let mut server = Server::new(ServerConfig::new());
    server.receive(ListKeys::new("b").into_request());
    server.receive(ping());
    assert_eq!(server.request(), ListKeys::new("b").into_request());
    assert_eq!(server.poll(), Ok(None));
    assert_eq!(server.machine.interest().read, ReadInterest::Paused);
    let (part, end) =
        (RpbListKeysResp::default(), RpbListKeysResp { done: Some(true), ..Default::default() });
    server.reply(part.clone()).unwrap();
    assert!(server.machine.can_reply());
    assert_eq!(server.poll(), Ok(None), "the stream has not ended");
    server.reply(end.clone()).unwrap();
    assert_eq!(server.sent(), [part.into(), end.into()]);
    assert_eq!(server.request(), ping());
}

#[test]
fn replies_have_to_fit() {
    let mut server = Server::new(ServerConfig::new());
    let early = server.reply(RpbPingResp {});
    assert!(matches!(early, Err(ReplyError::NotAsked(Ok(Reply::RpbPingResp(_))))));
    server.receive(ping());
    server.request();
    assert!(matches!(server.reply(RpbGetResp::default()), Err(ReplyError::WrongReply(_))));
    server.reply(RpbPingResp {}).unwrap();
    assert!(matches!(server.reply(RpbPingResp {}), Err(ReplyError::NotAsked(_))));
    assert_eq!(server.sent(), [RpbPingResp {}.into()]);
}

#[test]
fn an_error_ends_any_request() {
    let mut server = Server::new(ServerConfig::new());
    server.receive(ListKeys::new("b").into_request());
    server.receive(ping());
    server.request();
    server.machine.reply(server.now, Err(ServerError::new("timeout"))).unwrap();
    assert_eq!(server.refusal().kind(), ServerErrorKind::Timeout);
    assert_eq!(server.request(), ping());
}

#[test]
fn unknown_codes_are_refused_and_the_connection_goes_on() {
    let mut server = Server::new(ServerConfig::new());
    server.input.extend_from_slice(&[0, 0, 0, 1, 199]);
    server.receive(ping());
    assert_eq!(server.request(), ping());
    assert_eq!(server.refusal().message, "Unknown message code: 199");
}

#[test]
fn nonsense_is_refused_and_the_connection_closed() {
    // A body that does not decode, and a reply where requests belong.
    for bytes in [&b"\0\0\0\x04\x09\xff\xff\xff"[..], b"\0\0\0\x01\x02"] {
        let mut server = Server::new(ServerConfig::new());
        server.input.extend_from_slice(bytes);
        assert!(matches!(server.poll(), Err(Error::Peer(PeerError::Decode { .. }))));
        assert_ne!(server.machine.interest().write, WriteInterest::Closed, "the refusal is still to be sent");
        assert_eq!(server.refusal().kind(), ServerErrorKind::Crash);
        assert_eq!((server.poll(), server.machine.interest()), (Ok(None), Interest::CLOSED));
    }
    let mut server = Server::new(ServerConfig::new());
    server.input.extend_from_slice(&[0; 4]);
    assert!(matches!(server.poll(), Err(Error::Peer(PeerError::Decode { code: None, .. }))));
    assert_eq!((server.sent(), server.machine.interest()), (vec![], Interest::CLOSED));
}

#[test]
fn limits_are_told_by_their_names() {
    let mut server = Server::new(ServerConfig::new().max_frame_len(1024));
    server.input.extend_from_slice(&1025u32.to_be_bytes());
    assert!(matches!(server.poll(), Err(Error::Limit(limit)) if limit.limit == "max_frame_len"));

    let frame = |body: &[u8]| [&(body.len() as u32 + 1).to_be_bytes(), &[82][..], body].concat();
    // An update of a map in a map in a map: two levels each.
    let deep = (0..20).fold(Vec::new(), |inner: Vec<u8>, _| {
        let update = [&[0x32, inner.len() as u8], &inner[..]].concat();
        [&[0x12, update.len() as u8], &update[..]].concat()
    });
    let op = [&[0x1a, deep.len() as u8], &deep[..]].concat();
    let body = [&[0x2a, op.len() as u8], &op[..]].concat();
    let mut server = Server::new(ServerConfig::new().max_depth(10));
    server.input.extend_from_slice(&frame(&body));
    assert!(matches!(server.poll(), Err(Error::Limit(limit)) if limit.limit == "max_depth"));

    let mut server = Server::new(ServerConfig::new().max_decoded_len(4096));
    let adds = [0x0a, 0x00].repeat(1000);
    let op = [&[0x12, 0xd0, 0x0f], &adds[..]].concat();
    let body = [&[0x2a, 0xd3, 0x0f], &op[..]].concat();
    server.input.extend_from_slice(&frame(&body));
    assert!(matches!(server.poll(), Err(Error::Limit(limit)) if limit.limit == "max_decoded_len"));
}

#[test]
fn who_sends_nonsense_and_reads_nothing_is_not_listened_to() {
    let mut server = Server::new(ServerConfig::new());
    server.input.extend_from_slice(&[0, 0, 0, 1, 199].repeat(100_000));
    assert_eq!(server.poll(), Ok(None));
    assert_eq!(server.machine.interest().read, ReadInterest::Paused);
    assert!(server.input.len() > 400_000);
    let refused = server.sent().len();
    assert!(refused < 3000);
    assert_eq!(server.poll(), Ok(None));
    assert_eq!(server.sent().len(), refused, "it goes on when it has room");
}

fn auth() -> Request {
    RpbAuthReq { user: "user".into(), password: "secret".into() }.into()
}

#[test]
fn security_is_tls_then_authentication_then_requests() {
    let mut server = Server::new(ServerConfig::new().tls(TlsPolicy::Require));
    for request in [ping(), auth()] {
        server.receive(request);
        assert_eq!(server.poll(), Ok(None));
        assert_eq!(server.refusal().kind(), ServerErrorKind::NeedsTls);
    }
    server.receive(RpbStartTls {});
    assert_eq!(server.poll(), Ok(Some(ServerEvent::StartTls)));
    assert_eq!(server.sent(), [RpbStartTls {}.into()]);
    server.machine.tls_established(server.now);
    server.receive(ping());
    assert_eq!(server.poll(), Ok(None));
    assert_eq!(server.refusal().message, "Security is enabled, please authenticate first");

    server.receive(auth());
    assert_eq!(server.request(), auth());
    server.machine.reply(server.now, Err(ServerError::new("Authentication failed"))).unwrap();
    assert!(!server.machine.is_authenticated());
    server.receive(auth());
    server.request();
    server.reply(RpbAuthResp {}).unwrap();
    assert!(server.machine.is_authenticated());
    server.receive(ping());
    assert_eq!(server.request(), ping());
}

#[test]
fn tls_is_refused_unless_it_is_offered_and_never_twice() {
    let mut server = Server::new(ServerConfig::new());
    server.receive(RpbStartTls {});
    assert_eq!(server.poll(), Ok(None));
    assert!(server.refusal().text().starts_with("Security not enabled"));

    let mut server = Server::new(ServerConfig::new().tls(TlsPolicy::Offer));
    server.receive(RpbStartTls {});
    assert_eq!(server.poll(), Ok(Some(ServerEvent::StartTls)));
    server.machine.tls_established(server.now);
    server.sent();
    server.receive(RpbStartTls {});
    assert_eq!(server.poll(), Ok(None));
    server.refusal();
    server.receive(ping());
    assert_eq!(server.request(), ping(), "who is offered tls need not authenticate");
}

#[test]
fn plain_bytes_behind_start_tls_are_an_error() {
    for early in [true, false] {
        let mut server = Server::new(ServerConfig::new().tls(TlsPolicy::Offer));
        server.receive(RpbStartTls {});
        if early {
            server.receive(ping());
        }
        assert_eq!(server.poll(), Ok(Some(ServerEvent::StartTls)));
        if early {
            server.machine.tls_established(server.now);
        } else {
            server.receive(ping());
        }
        assert_eq!(server.poll(), Err(Error::Peer(PeerError::PlaintextAfterStartTls)));
    }
}

#[test]
fn idle_clients_are_left_after_a_while() {
    let idle = Duration::from_secs(60);
    let mut server = Server::new(ServerConfig::new().idle_timeout(Some(idle)));
    server.receive(ping());
    server.request();
    assert_eq!(server.machine.poll_timeout(), None, "it is the server who owes");
    server.now += idle * 2;
    server.reply(RpbPingResp {}).unwrap();
    assert_eq!(server.machine.poll_timeout(), Some(server.now + idle));
    server.now += idle;
    server.machine.handle_timeout(server.now);
    assert_eq!(server.poll(), Err(Error::TimedOut));
}

#[test]
fn the_end_of_the_input_is_clean_between_requests_alone() {
    for (bytes, expected) in [(&b""[..], Ok(None)), (b"\0\0\0", Err(Error::UnexpectedEof))] {
        let mut server = Server::new(ServerConfig::new());
        server.input.extend_from_slice(bytes);
        server.machine.handle_eof(server.now);
        assert_eq!((server.poll(), server.machine.interest()), (expected, Interest::CLOSED));
    }
    // What came before the end is still answered.
    let mut server = Server::new(ServerConfig::new());
    server.receive(ping());
    server.machine.handle_eof(server.now);
    server.request();
    server.reply(RpbPingResp {}).unwrap();
    assert_eq!(server.poll(), Ok(None));
    assert_eq!(server.sent(), [RpbPingResp {}.into()]);
    assert_eq!(server.machine.interest(), Interest::CLOSED);
}

#[test]
fn closing_answers_what_was_asked() {
    let mut server = Server::new(ServerConfig::new());
    server.receive(ping());
    server.receive(ping());
    server.request();
    server.machine.close(server.now);
    server.reply(RpbPingResp {}).unwrap();
    assert_eq!(server.poll(), Ok(None), "no new request");
    assert_eq!(server.sent().len(), 1);
    assert_eq!(server.machine.interest(), Interest::CLOSED);
}

/// Some frames, most of them ones that a client could send.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![Just(1u8), Just(9), Just(82), Just(199), Just(253), Just(255), any::<u8>()];
    let body = prop::collection::vec(prop_oneof![Just(0x0au8), Just(0x10), 0u8..4, any::<u8>()], 0..12);
    let frame = (code, body)
        .prop_map(|(code, body)| [&(body.len() as u32 + 1).to_be_bytes()[..], &[code], &body].concat());
    prop::collection::vec(frame, 0..6).prop_map(|frames| frames.concat())
}

/// What a server that refuses every request makes of these bytes, given in pieces: events, what it sent, how it ended.
fn outcome(bytes: &[u8], step: usize) -> (Vec<ServerEvent>, Vec<Reply>, Option<Error>) {
    let mut server = Server::new(ServerConfig::new());
    let (mut events, mut pieces, mut ended) = (Vec::new(), bytes.chunks(step), false);
    loop {
        match server.poll() {
            Ok(Some(event)) => {
                events.push(event);
                server.machine.reply(server.now, Err(ServerError::new("no"))).unwrap();
            }
            Ok(None) if ended => break (events, server.sent(), None),
            Ok(None) => match pieces.next() {
                Some(piece) => server.input.extend_from_slice(piece),
                None => {
                    server.machine.handle_eof(server.now);
                    ended = true;
                }
            },
            Err(error) => {
                let left = server.input.len();
                assert_eq!((server.poll(), server.input.len()), (Ok(None), left), "an error is the end");
                break (events, server.sent(), Some(error));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_frames_end_the_same_way_however_they_are_cut(bytes in frames(), step in 1usize..9) {
        prop_assert_eq!(outcome(&bytes, step), outcome(&bytes, usize::MAX));
    }
}

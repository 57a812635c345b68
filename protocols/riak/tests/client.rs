//! The client's end of a connection: its order, its patience, and what it does with a node that misbehaves.

use core::time::Duration;

use bytes::BytesMut;
use glowplug_core::{
    Instant, Interest, Progress, ReadInterest, RequestProtocol, SendBuf, StreamProtocol, SubmitError, Token,
};
use proptest::prelude::*;

use glowplug_riak::request::{Ask, Get, Index, ListKeys, Ping};
use glowplug_riak::wire::kv::{RpbGetResp, RpbListKeysResp};
use glowplug_riak::wire::riak::{RpbAuthResp, RpbErrorResp, RpbPingResp, RpbStartTls};
use glowplug_riak::wire::{Code, DecodeLimits, DecodeReason, Reply, Request};
use glowplug_riak::{
    Bucket, ClientConnection, Config, Credentials, Error, Event, PeerError, Response, ServerError,
    ServerErrorKind,
};

/// A client with both its buffers.
struct Client {
    machine: ClientConnection,
    now: Instant,
    input: BytesMut,
    out: SendBuf,
}

impl Client {
    fn new(config: Config) -> Self {
        let now = Instant::ZERO;
        let machine = ClientConnection::new(now, config);
        Self { machine, now, input: BytesMut::new(), out: SendBuf::new() }
    }

    /// A client that is ready, with these requests submitted under the tokens 0, 1, 2 ...
    fn asking(config: Config, requests: impl IntoIterator<Item = Request>) -> Self {
        let mut client = Self::new(config);
        for (n, request) in requests.into_iter().enumerate() {
            client.machine.submit(client.now, Token(n as u64), request).unwrap();
        }
        assert_eq!(client.poll(), Ok(Some(Event::Ready)));
        client.sent();
        client
    }

    fn poll(&mut self) -> Result<Option<Event>, Error> {
        self.machine.poll_event(self.now, &mut self.input)
    }

    fn answer(&mut self) -> (Token, Response, bool) {
        match self.poll() {
            Ok(Some(Event::Answer(answer))) => (answer.token, answer.response, answer.last),
            other => panic!("no answer but {other:?}"),
        }
    }

    fn skip_answer(&mut self) {
        let _ = self.answer();
    }

    /// What the client sends now.
    fn sent(&mut self) -> Vec<u8> {
        self.machine.poll_transmit(self.now, &mut self.out);
        self.out.take_all().to_vec()
    }

    fn receive(&mut self, reply: impl Into<Reply>) {
        reply.into().encode_frame(&mut self.input);
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.machine.handle_timeout(self.now);
    }
}

fn ping() -> Request {
    Ping::new().into_request()
}

fn list_keys() -> Request {
    ListKeys::new("b").into_request()
}

fn keys(count: usize) -> RpbListKeysResp {
    RpbListKeysResp { keys: (0..count).map(|n| n.to_string().into()).collect(), done: None }
}

fn done() -> RpbListKeysResp {
    RpbListKeysResp { done: Some(true), ..RpbListKeysResp::default() }
}

fn refusal(text: &'static str) -> RpbErrorResp {
    RpbErrorResp { errmsg: text.into(), errcode: 0 }
}

const PING: &[u8] = b"\0\0\0\x01\x01";
const START_TLS: &[u8] = b"\0\0\0\x01\xff";

#[test]
fn a_request_waits_until_the_stream_before_it_has_ended() {
    let mut client = Client::asking(Config::new(), [list_keys(), ping()]);
    assert_eq!(client.sent(), b"");
    client.receive(keys(2));
    assert_eq!(client.answer(), (Token(0), Ok(keys(2).into()), false));
    assert_eq!(client.sent(), b"", "the node would refuse a request during a stream");
    client.receive(done());
    assert_eq!(client.answer(), (Token(0), Ok(done().into()), true));
    assert_eq!(client.sent(), PING);
}

#[test]
fn an_error_in_the_middle_ends_a_stream_and_leaves_the_connection_in_step() {
    let mut client = Client::asking(Config::new(), [list_keys(), ping()]);
    client.receive(keys(3));
    client.receive(refusal("timeout"));
    client.skip_answer();
    let (token, response, last) = client.answer();
    assert_eq!((token, last), (Token(0), true));
    assert_eq!(response.map_err(|error| error.kind()), Err(ServerErrorKind::Timeout));
    assert_eq!(client.sent(), PING);
    client.receive(RpbPingResp {});
    assert_eq!(client.answer(), (Token(1), Ok(RpbPingResp {}.into()), true));
    assert!(client.machine.is_idle());
}

#[test]
fn a_connection_that_said_more_than_it_was_asked_is_not_kept() {
    let mut client = Client::asking(Config::new(), [ping()]);
    client.receive(RpbPingResp {});
    client.receive(RpbGetResp::default());
    client.skip_answer();
    assert!(!client.machine.is_idle());
}

#[test]
fn a_deadline_stands_however_busily_the_node_answers() {
    let mut client = Client::asking(Config::new().reply_timeout(Duration::from_secs(3)), []);
    let deadline = client.now + Duration::from_secs(5);
    client.machine.submit_before(client.now, Token(0), list_keys(), deadline).unwrap();
    client.sent();
    for _ in 0..2 {
        client.wait(2);
        client.receive(keys(1));
        client.skip_answer();
    }
    assert_eq!(client.machine.poll_timeout(), Some(deadline));
    client.wait(1);
    assert_eq!(client.poll(), Err(Error::TimedOut));
    // Silence is noticed before.
    let mut client = Client::asking(Config::new().reply_timeout(Duration::from_secs(3)), []);
    client.machine.submit_before(client.now, Token(0), ping(), client.now + Duration::from_secs(5)).unwrap();
    client.sent();
    assert_eq!(client.machine.poll_timeout(), Some(client.now + Duration::from_secs(3)));
}

#[test]
fn a_reply_of_another_request_ends_the_connection() {
    let mut client = Client::asking(Config::new(), [ping(), ping()]);
    client.receive(RpbGetResp::default());
    let wrong = PeerError::WrongReply { expected: RpbPingResp::CODE, got: RpbGetResp::CODE };
    assert_eq!(client.poll(), Err(Error::Peer(wrong)));
    assert_eq!(
        (client.machine.progress(Token(0)), client.machine.progress(Token(1))),
        (Progress::FullySent, Progress::NotSent)
    );
    assert_eq!(client.machine.interest(), Interest::CLOSED);
    client.receive(RpbPingResp {});
    let left = client.input.len();
    assert_eq!((client.poll(), client.input.len()), (Ok(None), left), "nothing is consumed any more");
}

#[test]
fn a_reply_to_nothing_ends_the_connection() {
    let mut client = Client::asking(Config::new(), []);
    client.receive(RpbPingResp {});
    assert_eq!(client.poll(), Err(Error::Peer(PeerError::Unsolicited(RpbPingResp::CODE))));
    let mut client = Client::asking(Config::new(), []);
    client.receive(refusal("goodbye"));
    let goodbye = PeerError::UnsolicitedError(ServerError::new("goodbye"));
    assert_eq!(client.poll(), Err(Error::Peer(goodbye)));
}

#[test]
fn an_empty_body_is_an_answer_whatever_the_request() {
    let all: Vec<Request> = (0..=255)
        .filter_map(|code| Request::decode(Code(code), &bytes::Bytes::new(), DecodeLimits::default()).ok())
        .filter(|request| *request != RpbStartTls {}.into())
        .collect();
    assert_eq!(all.len(), 56);
    let mut client = Client::asking(Config::new(), all.clone());
    for (n, request) in all.iter().enumerate() {
        let answers = request.answers();
        client.input.extend_from_slice(&[0, 0, 0, 1, answers.code.0]);
        let (token, response, last) = client.answer();
        let reply = response.unwrap();
        assert_eq!((token, reply.code()), (Token(n as u64), answers.code));
        if !last {
            assert!(answers.streamed && !reply.is_last());
            client.receive(refusal("enough"));
            assert!(client.answer().2);
        }
        client.sent();
    }
    assert!(client.machine.is_idle());
}

#[test]
fn a_length_of_4_gib_is_refused_at_its_length() {
    let mut client = Client::asking(Config::new(), [ping()]);
    client.input.extend_from_slice(&[0xff; 4]);
    let Err(Error::Limit(limit)) = client.poll() else { panic!() };
    assert_eq!((limit.limit, limit.max, limit.seen), ("max_frame_len", 64 << 20, Some(u32::MAX.into())));
}

#[test]
fn limits_are_told_by_their_names() {
    let mut client = Client::asking(Config::new().max_frame_len(2000), [ping()]);
    client.input.extend_from_slice(&2000u32.to_be_bytes());
    assert_eq!(client.poll(), Ok(None));
    assert_eq!(client.machine.interest().read, ReadInterest::Want(2000));
    let mut client = Client::asking(Config::new().max_frame_len(2000), [ping()]);
    client.input.extend_from_slice(&2001u32.to_be_bytes());
    assert!(matches!(client.poll(), Err(Error::Limit(limit)) if limit.limit == "max_frame_len"));

    // Two bytes of input for each empty content, hundreds of bytes in memory.
    let mut client =
        Client::asking(Config::new().max_decoded_len(50_000), [Get::new(("b", "k")).into_request()]);
    let body = [0x0a, 0x00].repeat(1000);
    client.input.extend_from_slice(&(body.len() as u32 + 1).to_be_bytes());
    client.input.extend_from_slice(&[RpbGetResp::CODE.0]);
    client.input.extend_from_slice(&body);
    assert!(matches!(client.poll(), Err(Error::Limit(limit)) if limit.limit == "max_decoded_len"));
}

#[test]
fn the_queue_is_bounded() {
    let mut client = Client::new(Config::new().max_queued(2).max_queued_len(1024));
    let now = client.now;
    let big = || Get::new((Bucket::new("b"), vec![b'k'; 2000])).into_request();
    client.machine.submit(now, Token(0), big()).unwrap();
    assert_eq!(client.machine.submit(now, Token(1), ping()), Err(SubmitError::Full(ping())));
    client.machine.cancel(Token(0));
    client.machine.submit(now, Token(1), ping()).unwrap();
    assert_eq!(client.machine.submit(now, Token(2), big()), Err(SubmitError::Full(big())));
    client.machine.submit(now, Token(2), ping()).unwrap();
    assert_eq!(client.machine.submit(now, Token(3), ping()), Err(SubmitError::Full(ping())));
    assert_eq!(client.machine.in_flight(), 2);

    let mut client = Client::new(Config::new().max_frame_len(1024));
    assert_eq!(
        client.machine.submit(now, Token(0), big()),
        Err(SubmitError::Full(big())),
        "it could never be sent"
    );
}

#[test]
fn a_request_may_stay_with_its_owner() {
    let get = Get::new(("b", "k")).into_request();
    let mut given = Client::asking(Config::new(), [get.clone()]);
    let mut lent = Client::asking(Config::new(), []);
    let deadline = lent.now + Duration::from_secs(5);
    lent.machine.submit_ref(lent.now, Token(0), &get, Some(deadline)).unwrap();
    lent.machine.submit_ref(lent.now, Token(1), &ping(), None).unwrap();
    assert_eq!(lent.machine.progress(Token(0)), Progress::NotSent);
    assert_eq!(lent.sent(), b"\0\0\0\x07\x09\x0a\x01b\x12\x01k");
    assert_eq!(lent.machine.poll_timeout(), Some(deadline));
    for client in [&mut given, &mut lent] {
        client.receive(RpbGetResp::default());
        assert_eq!(client.answer(), (Token(0), Ok(RpbGetResp::default().into()), true));
    }
    assert_eq!(lent.sent(), b"\0\0\0\x01\x01");

    // Refused as any other.
    let long = Get::new(("b", vec![0; 5000])).into_request();
    let mut small = Client::asking(Config::new().max_frame_len(4096), []);
    assert_eq!(small.machine.submit_ref(small.now, Token(0), &long, None), Err(SubmitError::Full(())));
    small.machine.close(small.now);
    assert_eq!(small.machine.submit_ref(small.now, Token(0), &get, None), Err(SubmitError::Closed(())));
}

#[test]
fn a_request_that_is_never_answered_times_out() {
    let unanswered = || Index::equal(Bucket::typed("notype", "b"), "i_bin", "v");
    let mut client = Client::asking(Config::new(), [unanswered().into_request()]);
    client.wait(89);
    assert_eq!(client.poll(), Ok(None));
    client.wait(1);
    assert_eq!(client.machine.poll_timeout(), None);
    assert_eq!(client.poll(), Err(Error::TimedOut));
    assert_eq!(client.machine.progress(Token(0)), Progress::FullySent);
    assert_eq!(client.machine.interest(), Interest::CLOSED);

    // With a timeout of its own, the node has that long and a little longer.
    let impatient = unanswered().timeout(Duration::from_secs(2)).into_request();
    let mut client = Client::asking(Config::new(), [impatient]);
    client.wait(6);
    assert_eq!(client.poll(), Ok(None));
    client.wait(1);
    assert_eq!(client.poll(), Err(Error::TimedOut));
}

#[test]
fn a_stream_may_take_as_long_as_it_moves() {
    let mut client = Client::asking(Config::new().reply_timeout(Duration::from_secs(10)), [list_keys()]);
    for _ in 0..20 {
        client.wait(9);
        client.receive(keys(1));
        client.skip_answer();
    }
    client.wait(10);
    assert_eq!(client.poll(), Err(Error::TimedOut));
    assert_eq!(client.machine.progress(Token(0)), Progress::AnswerBegun);
}

#[test]
fn a_long_reply_over_a_slow_line_is_not_silence() {
    let mut client = Client::asking(Config::new().reply_timeout(Duration::from_secs(10)), [list_keys()]);
    let mut whole = BytesMut::new();
    Reply::from(keys(10)).encode_frame(&mut whole);
    let (last, rest) = whole.split_last().unwrap();
    for byte in rest {
        client.wait(9);
        client.input.extend_from_slice(&[*byte]);
        assert_eq!(client.poll(), Ok(None));
    }
    client.input.extend_from_slice(&[*last]);
    client.skip_answer();
    client.input.extend_from_slice(b"\0");
    assert_eq!(client.poll(), Ok(None));
    client.wait(9);
    assert_eq!(client.poll(), Ok(None));
    client.wait(1);
    assert_eq!(client.poll(), Err(Error::TimedOut), "looking again is not arriving");
}

#[test]
fn a_fold_may_have_longer() {
    let mut client = Client::new(Config::new());
    client.poll().unwrap();
    let hour = Duration::from_secs(3600);
    client.machine.submit_within(client.now, Token(0), ping(), hour).unwrap();
    client.sent();
    assert_eq!(client.machine.poll_timeout(), Some(client.now + hour));
}

#[test]
fn a_stream_waits_for_credit() {
    let config = Config::new().stream_window(2).reply_timeout(Duration::from_secs(10));
    let mut client = Client::asking(config, [list_keys(), ping()]);
    for n in 0..5 {
        client.receive(keys(n));
    }
    client.receive(done());
    client.skip_answer();
    client.skip_answer();
    assert_eq!(client.poll(), Ok(None));
    assert_eq!(client.machine.interest().read, ReadInterest::Paused);
    assert_eq!(client.machine.poll_timeout(), None, "it is not the node that is slow");
    client.machine.handle_eof(client.now);
    assert_eq!(client.poll(), Ok(None), "what came before the end still counts");
    client.wait(1000);
    client.machine.release(client.now, 3);
    assert_eq!(client.machine.poll_timeout(), Some(client.now + Duration::from_secs(10)));
    client.skip_answer();
    client.skip_answer();
    assert_eq!(client.poll(), Ok(None), "the window holds two, however many are released at once");
    client.machine.release(client.now, 2);
    assert!(!client.answer().2);
    assert!(client.answer().2);
}

#[test]
fn a_cancelled_request_keeps_its_place() {
    let mut client = Client::asking(Config::new().stream_window(1), [list_keys(), ping(), ping()]);
    client.machine.cancel(Token(0));
    client.machine.cancel(Token(1));
    client.machine.cancel(Token(99));
    assert_eq!(client.machine.in_flight(), 2, "what was not sent is forgotten");
    for n in 0..5 {
        client.receive(keys(n));
    }
    assert_eq!(client.poll(), Ok(None));
    assert!(client.input.is_empty(), "answers nobody wants need no credit");
    client.receive(done());
    assert_eq!(client.poll(), Ok(None));
    assert_eq!(client.sent(), PING);
    client.receive(RpbPingResp {});
    assert_eq!(client.answer(), (Token(2), Ok(RpbPingResp {}.into()), true));
}

#[test]
fn behind_a_crash_nothing_is_sent() {
    let mut client = Client::asking(Config::new(), [ping(), ping()]);
    client.receive(refusal("Error processing incoming message: error:badarg:[{base64,decode,..."));
    let (_, response, last) = client.answer();
    assert!(last && response.is_err_and(|error| error.kind() == ServerErrorKind::Crash));
    assert_eq!(client.sent(), b"", "the node will close: the request can go elsewhere");
    assert_eq!(client.poll(), Err(Error::NodeClosing));
    assert_eq!(client.machine.progress(Token(1)), Progress::NotSent);

    let mut client = Client::asking(Config::new(), [ping()]);
    client.receive(refusal("Error processing incoming message: error:badarg"));
    client.skip_answer();
    assert_eq!((client.poll(), client.machine.interest()), (Ok(None), Interest::CLOSED));
}

#[test]
fn the_end_of_the_connection_is_an_error_when_something_is_owed() {
    for (requests, rest, expected) in [
        (vec![], &b""[..], Ok(None)),
        (vec![], b"\0\0", Err(Error::UnexpectedEof)),
        (vec![ping()], b"", Err(Error::UnexpectedEof)),
        (vec![ping()], b"\0\0\0\x01", Err(Error::UnexpectedEof)),
    ] {
        let mut client = Client::asking(Config::new(), requests);
        client.input.extend_from_slice(rest);
        client.machine.handle_eof(client.now);
        assert_eq!(client.poll(), expected);
        assert_eq!(client.machine.interest(), Interest::CLOSED);
    }
}

#[test]
fn closing_finishes_what_was_begun() {
    let mut client = Client::asking(Config::new(), [ping(), ping()]);
    client.machine.close(client.now);
    assert_eq!(client.machine.submit(client.now, Token(9), ping()), Err(SubmitError::Closed(ping())));
    for _ in 0..2 {
        assert!(!client.machine.interest().is_closed());
        client.receive(RpbPingResp {});
        client.skip_answer();
        client.sent();
    }
    assert_eq!(client.machine.interest(), Interest::CLOSED);
}

fn secure() -> Config {
    Config::new().credentials(Credentials::new("user", "secret"))
}

#[test]
fn tls_and_authentication_come_first() {
    let mut client = Client::new(secure());
    client.machine.submit(client.now, Token(0), ping()).unwrap();
    assert_eq!(client.poll(), Ok(None));
    assert_eq!((client.sent(), client.sent()), (START_TLS.to_vec(), vec![]));
    client.receive(RpbStartTls {});
    assert_eq!(client.poll(), Ok(Some(Event::StartTls)));
    assert_eq!(client.machine.interest().read, ReadInterest::Paused, "what follows belongs to TLS");
    assert_eq!((client.sent(), client.poll()), (vec![], Ok(None)));
    client.machine.tls_established(client.now);
    assert_eq!(client.sent(), b"\0\0\0\x0f\xfd\x0a\x04user\x12\x06secret");
    client.receive(RpbAuthResp {});
    assert_eq!(client.poll(), Ok(Some(Event::Ready)));
    assert_eq!(client.sent(), PING);
}

#[test]
fn plain_bytes_behind_the_agreement_on_tls_are_an_error() {
    // In the same read, in the next one before the handshake, and whether or not the driver polls in between.
    for (early, polled) in [(true, true), (true, false), (false, true)] {
        let mut client = Client::new(secure());
        client.sent();
        client.receive(RpbStartTls {});
        if early {
            client.receive(RpbAuthResp {});
        }
        assert_eq!(client.poll(), Ok(Some(Event::StartTls)));
        if !early {
            client.receive(RpbAuthResp {});
        }
        if !polled {
            client.machine.tls_established(client.now);
        }
        assert_eq!(client.poll(), Err(Error::Peer(PeerError::PlaintextAfterStartTls)));
        client.machine.tls_established(client.now);
        assert_eq!(
            (client.sent(), client.machine.interest()),
            (vec![], Interest::CLOSED),
            "no password goes out"
        );
    }
}

#[test]
fn a_node_may_refuse_tls_or_the_user() {
    let mut client = Client::new(secure());
    client.sent();
    client.receive(refusal("Security not enabled; STARTTLS not allowed."));
    assert!(matches!(client.poll(), Err(Error::TlsRefused(_))));

    // A wrong password is refused after five seconds.
    let mut client = Client::new(secure());
    client.sent();
    client.receive(RpbStartTls {});
    client.poll().unwrap();
    client.machine.tls_established(client.now);
    client.sent();
    client.wait(5);
    client.receive(refusal("Authentication failed"));
    let Err(Error::AuthRefused(error)) = client.poll() else { panic!() };
    assert_eq!(error.kind(), ServerErrorKind::AuthenticationFailed);
}

#[test]
fn the_handshake_has_a_deadline() {
    let mut client = Client::new(secure());
    client.sent();
    client.receive(RpbStartTls {});
    client.poll().unwrap();
    client.wait(30);
    assert_eq!(client.poll(), Err(Error::TimedOut));
}

#[test]
fn an_early_answer_waits_for_its_question() {
    let mut client = Client::new(secure());
    client.receive(RpbStartTls {});
    assert_eq!((client.poll(), client.machine.interest().read), (Ok(None), ReadInterest::Paused));
    client.sent();
    assert_eq!(client.poll(), Ok(Some(Event::StartTls)));

    let mut client = Client::asking(Config::new(), [ping(), ping()]);
    client.receive(RpbPingResp {});
    client.receive(RpbPingResp {});
    assert_eq!(client.answer().0, Token(0));
    assert_eq!((client.poll(), client.machine.interest().read), (Ok(None), ReadInterest::Paused));
    client.sent();
    assert_eq!(client.answer().0, Token(1));
}

#[test]
fn bytes_that_are_no_message_end_the_connection() {
    for (bytes, reason) in [
        (&b"\0\0\0\0"[..], DecodeReason::EmptyFrame),
        (b"\0\0\0\x03\x02\x0a\xff", DecodeReason::Truncated),
        (b"\0\0\0\x02\x02\x07", DecodeReason::WireType),
        (b"\0\0\0\x02\x02\x00", DecodeReason::FieldNumber),
        (b"\0\0\0\x0c\x02\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", DecodeReason::Varint),
    ] {
        let mut client = Client::asking(Config::new(), [ping()]);
        client.input.extend_from_slice(bytes);
        let Err(Error::Peer(PeerError::Decode { error, .. })) = client.poll() else { panic!("{bytes:?}") };
        assert_eq!(error.reason, reason, "{bytes:?}");
    }
}

#[test]
fn errors_tell_what_happened() {
    let error = Error::Peer(PeerError::WrongReply { expected: Code(2), got: Code(99) });
    let source = core::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "reply 99 (TsListKeysResp) came instead of 2 (RpbPingResp)");
    let crash = ServerError::new("Error processing incoming message: error:badarg\n   [{base64,..}]");
    assert_eq!(crash.to_string(), "the node refused: Error processing incoming message: error:badarg");
}

/// Some frames, most of them ones that a node could send.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![Just(0u8), Just(2), Just(10), Just(18), Just(254), Just(255), any::<u8>()];
    let body = prop::collection::vec(prop_oneof![Just(0x0au8), Just(0x10), 0u8..4, any::<u8>()], 0..12);
    let frame = (code, body)
        .prop_map(|(code, body)| [&(body.len() as u32 + 1).to_be_bytes()[..], &[code], &body].concat());
    prop::collection::vec(frame, 0..6).prop_map(|frames| frames.concat())
}

/// What comes of these bytes, given in pieces of `step` bytes and then ended.
fn outcome(bytes: &[u8], step: usize, config: Config) -> (Vec<Event>, Option<Error>) {
    let mut client = Client::new(config);
    for (n, request) in [list_keys(), Get::new(("b", "k")).into_request(), ping()].into_iter().enumerate() {
        client.machine.submit(client.now, Token(n as u64), request).unwrap();
    }
    let (mut events, mut pieces, mut ended) = (Vec::new(), bytes.chunks(step), false);
    loop {
        match client.poll() {
            Ok(Some(event)) => {
                if event == Event::StartTls {
                    client.machine.tls_established(client.now);
                }
                events.push(event);
            }
            Ok(None) => {
                // What was sent may let something in the input be looked at.
                if !client.sent().is_empty() {
                    continue;
                }
                if let Some(piece) = pieces.next() {
                    client.input.extend_from_slice(piece);
                } else if ended {
                    return (events, None);
                } else {
                    client.machine.handle_eof(client.now);
                    ended = true;
                }
            }
            Err(error) => {
                let left = client.input.len();
                assert_eq!((client.poll(), client.input.len()), (Ok(None), left), "an error is the end");
                assert!(client.machine.interest().is_closed() && client.machine.poll_timeout().is_none());
                return (events, Some(error));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_frames_end_the_same_way_however_they_are_cut(bytes in frames(), step in 1usize..9) {
        let whole = outcome(&bytes, usize::MAX, Config::new());
        prop_assert_eq!(outcome(&bytes, step, Config::new()), whole);
        let _ = outcome(&bytes, step, secure());
    }
}

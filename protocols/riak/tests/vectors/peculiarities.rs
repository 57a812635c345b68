//! What a real node does that one would not guess: the notes beside the recordings, one by one, and what the machines make of each.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::BytesMut;
use glowplug_core::{Instant, Progress, RequestProtocol, SendBuf, StreamProtocol, Token};
use glowplug_riak::request::{Ask, Delete, Get, Index, ListKeys, Ping};
use glowplug_riak::wire::kv::{RpbGetReq, RpbGetResp, RpbIndexResp};
use glowplug_riak::wire::{DecodeReason, Reply, Request};
use glowplug_riak::{
    ClientConnection, Config, Credentials, Error, Event, Fetched, PeerError, Response, ServerConfig,
    ServerConnection, ServerErrorKind,
};
use libtest_mimic::{Failed, Trial};

use crate::captures::{self, Capture};
use crate::client::turns;

/// The recordings, by name.
struct Recordings(PathBuf);

impl Recordings {
    fn get(&self, name: &str) -> Capture {
        captures::load(&self.0.join(name).with_extension("json"))
            .unwrap_or_else(|_| panic!("{name} was not recorded"))
    }

    /// What the node said in the whole of an exchange.
    fn replies(&self, name: &str) -> Vec<Reply> {
        self.get(name)
            .frames
            .iter()
            .filter(|frame| !frame.from_client)
            .filter_map(captures::Recorded::reply)
            .collect()
    }

    /// A client that has sent the last request of an exchange, and the bytes of the answer.
    fn asked(&self, name: &str, config: Config) -> (Client, Vec<u8>) {
        let capture = self.get(name);
        let last = turns(&capture).pop().expect("there is a request");
        let mut client = Client::new(config);
        client.submit(0, last.request);
        client.sent();
        (client, last.answers.iter().flat_map(|frame| frame.bytes.to_vec()).collect())
    }

    /// What the last request of an exchange is answered with.
    fn answer<A: Ask>(&self, name: &str) -> A::Answer {
        let (mut client, bytes) = self.asked(name, Config::new());
        client.input.extend_from_slice(&bytes);
        let reply = client.answer().expect("no refusal");
        A::read(reply).unwrap_or_else(|reply| panic!("{name}: {reply:?}"))
    }
}

/// A client's end with both its buffers.
struct Client {
    machine: ClientConnection,
    now: Instant,
    input: BytesMut,
}

impl Client {
    fn new(config: Config) -> Self {
        let now = Instant::ZERO;
        let mut client = Self { machine: ClientConnection::new(now, config), now, input: BytesMut::new() };
        while let Ok(Some(_)) = client.poll() {}
        client
    }

    fn submit(&mut self, token: u64, request: Request) {
        self.machine.submit(self.now, Token(token), request).expect("there is room");
    }

    fn sent(&mut self) -> Vec<u8> {
        let mut out = SendBuf::new();
        self.machine.poll_transmit(self.now, &mut out);
        out.take_all().to_vec()
    }

    fn poll(&mut self) -> Result<Option<Event>, Error> {
        self.machine.poll_event(self.now, &mut self.input)
    }

    fn answer(&mut self) -> Response {
        match self.poll() {
            Ok(Some(Event::Answer(answer))) => answer.response,
            other => panic!("no answer but {other:?}"),
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.machine.handle_timeout(self.now);
    }
}

type Check = fn(&Recordings);

/// The words with which each note begins, and its test.
const NOTES: &[(&str, &str, Check)] = &[
    ("Errors carry `errcode` 0", "most_errors_leave_the_connection_open", most_errors),
    ("An exception in a request handler", "a_crash_is_told_once_and_ends_the_connection", crashes),
    ("`gset_add_return_body`", "a_crash_does_not_say_that_nothing_was_done", stored_and_crashed),
    ("`error_index_type_unknown`", "what_is_never_answered_has_a_deadline", never_answered),
    ("`request_during_stream`", "nothing_is_sent_during_a_stream", during_a_stream),
    ("A get of a missing key", "a_missing_key_is_no_error", missing_key),
    ("`get_deleted_vclock`", "a_deleted_key_may_have_a_clock", deleted_clock),
    ("`siblings_tombstone`", "a_tombstone_among_siblings_is_one", tombstone),
    ("`index_return_body`", "an_index_answers_with_keys_alone", index_body),
    ("Search, Yokozuna, coverage", "requests_that_are_not_known_are_told_so", unknown_codes),
    ("`zero_length_frame`", "a_frame_of_no_length_ends_the_connection", zero_length),
    ("`error_missing_required`", "what_is_required_is_always_written", missing_required),
    ("`auth_password_wrong`", "a_wrong_password_is_told_late", wrong_password),
];

pub(crate) fn trials(folder: &Path) -> Vec<Trial> {
    let check = |&(_, name, check): &(&str, &str, Check)| {
        let folder = folder.to_owned();
        Trial::test(format!("peculiarities::{name}"), move || {
            check(&Recordings(folder));
            Ok(())
        })
    };
    let notes = folder.join("README.md");
    let all = Trial::test("peculiarities::each_note_has_a_test", move || every_note(&notes));
    NOTES.iter().map(check).chain([all]).collect()
}

fn every_note(notes: &Path) -> Result<(), Failed> {
    let text = fs::read_to_string(notes)?;
    let (_, notes) = text.split_once("## Behaviour worth knowing").ok_or("no notes")?;
    let notes: Vec<&str> = notes.lines().filter_map(|line| line.strip_prefix("- ")).collect();
    assert_eq!(notes.len(), NOTES.len());
    for (note, (words, ..)) in notes.iter().zip(NOTES) {
        assert!(note.starts_with(words), "{note}");
    }
    Ok(())
}

fn most_errors(recordings: &Recordings) {
    let (mut open, mut closed) = (0, 0);
    for entry in fs::read_dir(&recordings.0).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(name) = name.strip_suffix(".json") else { continue };
        for reply in recordings.replies(name) {
            let Reply::RpbErrorResp(error) = reply else { continue };
            assert!(error.errcode == 0 && !error.errmsg.is_empty(), "{name}: {error:?}");
            if recordings.get(name).closed { closed += 1 } else { open += 1 }
        }
    }
    assert!(open > 2 * closed && closed > 0, "{open} left it open, {closed} closed it");
    // The next request goes out on the same connection.
    let (mut client, answer) = recordings.asked("error_get_empty_key", Config::new());
    client.submit(1, Ping::new().into_request());
    client.input.extend_from_slice(&answer);
    assert!(client.answer().is_err());
    assert_eq!(client.sent(), b"\0\0\0\x01\x01");
}

fn crashes(recordings: &Recordings) {
    let recorded = [
        "error_put_bad_vclock",
        "error_preflist_type",
        "error_index_bad_int",
        "error_index_no_suffix",
        "error_index_bad_continuation",
    ];
    for name in recorded {
        let (mut client, answer) = recordings.asked(name, Config::new());
        // Somebody else waits behind it.
        client.submit(1, Ping::new().into_request());
        client.input.extend_from_slice(&answer);
        let error = client.answer().expect_err(name);
        assert_eq!(error.kind(), ServerErrorKind::Crash, "{name}");
        assert!(error.closes_connection() && recordings.get(name).closed, "{name}");
        assert_eq!(client.sent(), b"", "{name}");
        assert_eq!(client.poll(), Err(Error::NodeClosing), "{name}");
        assert_eq!(client.machine.progress(Token(1)), Progress::NotSent, "{name}");
    }
    for name in ["error_malformed_body", "error_response_code_sent"] {
        let error = recordings.replies(name).pop();
        assert!(matches!(error, Some(Reply::RpbErrorResp(_))) && recordings.get(name).closed, "{name}");
    }
}

fn stored_and_crashed(recordings: &Recordings) {
    let (mut client, answer) = recordings.asked("gset_add_return_body", Config::new());
    client.input.extend_from_slice(&answer);
    let error = client.answer().expect_err("a crash");
    // Other refusals say that nothing was done; whoever repeats is told by this kind that this one does not.
    assert_eq!(error.kind(), ServerErrorKind::Crash);
    let Some(Reply::DtFetchResp(fetched)) = recordings.replies("gset_fetch").pop() else { panic!("no set") };
    let elements = fetched.value.expect("a value").gset_value;
    assert!(elements.iter().any(|element| element == b"c"), "{elements:?}");
}

fn never_answered(recordings: &Recordings) {
    let second = Duration::from_secs(1);
    let (mut client, answer) =
        recordings.asked("error_index_type_unknown", Config::new().reply_timeout(second * 10));
    assert_eq!(answer, b"");
    client.wait(second * 9);
    assert_eq!(client.poll(), Ok(None));
    client.wait(second);
    assert_eq!(client.poll(), Err(Error::TimedOut));
    assert_eq!(client.machine.progress(Token(0)), Progress::FullySent);
    // A timeout that the node was told is no help, and so ours is behind it: 2 s here, and the grace.
    let config = Config::new().timeout_grace(second);
    let (mut client, answer) = recordings.asked("error_index_type_unknown_timeout", config);
    assert_eq!(answer, b"");
    client.wait(second * 2);
    assert_eq!(client.poll(), Ok(None));
    client.wait(second);
    assert_eq!(client.poll(), Err(Error::TimedOut));
}

fn during_a_stream(recordings: &Recordings) {
    // What a node says if one does it all the same: the stream is over, and so is the connection.
    let mut client = Client::new(Config::new());
    client.submit(0, ListKeys::new("cap_biglist").into_request());
    client.submit(1, Ping::new().into_request());
    assert!(!client.sent().is_empty());
    assert_eq!(client.sent(), b"", "the second waits");
    let capture = recordings.get("request_during_stream");
    for frame in capture.frames.iter().filter(|frame| !frame.from_client) {
        client.input.extend_from_slice(&frame.bytes);
    }
    let error = client.answer().expect_err("refused");
    assert_eq!(error.kind(), ServerErrorKind::RequestDuringStream);
    assert!(error.closes_connection() && capture.closed);
    assert_eq!((client.sent(), client.poll()), (Vec::new(), Err(Error::NodeClosing)));
    // Or, as it comes: the second is answered first, and nobody is given what is another's.
    let mut client = Client::new(Config::new());
    client.submit(0, ListKeys::new("cap_wire").into_request());
    client.sent();
    let capture = recordings.get("pipelined_after_stream");
    for frame in capture.frames.iter().filter(|frame| !frame.from_client) {
        client.input.extend_from_slice(&frame.bytes);
    }
    assert!(matches!(client.poll(), Err(Error::Peer(PeerError::WrongReply { .. }))));
}

fn missing_key(recordings: &Recordings) {
    assert_eq!(recordings.answer::<Get>("get_notfound"), Fetched::NotFound(None));
    recordings.answer::<Delete>("delete_notfound");
}

fn deleted_clock(recordings: &Recordings) {
    assert_eq!(recordings.answer::<Get>("get_deleted_plain"), Fetched::NotFound(None));
    let fetched = recordings.answer::<Get>("get_deleted_vclock");
    assert!(matches!(&fetched, Fetched::NotFound(Some(_))), "{fetched:?}");
}

fn tombstone(recordings: &Recordings) {
    let Fetched::Found(object) = recordings.answer::<Get>("siblings_tombstone") else { panic!("not found") };
    let (gone, left): (Vec<_>, Vec<_>) = object.siblings.iter().partition(|content| content.deleted);
    assert!(!left.is_empty() && gone.len() == 1 && gone[0].value.is_empty(), "{object:?}");
}

fn index_body(_: &Recordings) {
    let Request::RpbIndexReq(mut request) = Index::equal("bucket", "n_int", "1").into_request() else {
        panic!("another request")
    };
    request.return_body = Some(true);
    let mut client = Client::new(Config::new());
    client.submit(0, Request::RpbIndexReq(request));
    client.sent();
    let keys = RpbIndexResp { keys: ["k".into()].into_iter().collect(), ..RpbIndexResp::default() };
    Reply::from(keys).encode_frame(&mut client.input);
    let found = Index::read(client.answer().expect("no refusal")).expect("an index's answer");
    assert_eq!(found.matches.len(), 1);
    assert!(found.matches[0].key == "k" && client.machine.is_idle());
}

fn unknown_codes(recordings: &Recordings) {
    for name in ["error_search_unsupported", "error_coverage_unsupported", "error_ts_query_unsupported"] {
        let (mut client, answer) = recordings.asked(name, Config::new());
        client.input.extend_from_slice(&answer);
        let error = client.answer().expect_err(name);
        assert_eq!(error.kind(), ServerErrorKind::UnknownCode, "{name}");
        assert!(client.machine.is_idle(), "{name}: the connection goes on");
    }
}

fn zero_length(_: &Recordings) {
    // Our server closes without a word, as theirs does.
    let now = Instant::ZERO;
    let mut server = ServerConnection::new(now, ServerConfig::new());
    let (mut input, mut out) = (BytesMut::from(&[0, 0, 0, 0][..]), SendBuf::new());
    while let Ok(Some(_)) = server.poll_event(now, &mut input) {}
    server.poll_transmit(now, &mut out);
    assert!(out.is_empty() && server.interest().is_closed());
    let mut client = Client::new(Config::new());
    client.submit(0, Ping::new().into_request());
    client.sent();
    client.input.extend_from_slice(&[0, 0, 0, 0]);
    let error = client.poll();
    let Err(Error::Peer(PeerError::Decode { error, .. })) = &error else { panic!("{error:?}") };
    assert_eq!(error.reason, DecodeReason::EmptyFrame);
}

fn missing_required(recordings: &Recordings) {
    // A get without a key is answered as one that was not found: a mistake nobody would notice.
    assert_eq!(recordings.replies("error_missing_required"), [Reply::from(RpbGetResp::default())]);
    let mut out = BytesMut::new();
    Request::from(RpbGetReq { bucket: "b".into(), ..RpbGetReq::default() }).encode_frame(&mut out);
    assert_eq!(&out[5..], b"\x0a\x01b\x12\0", "the key is there, empty, and refused as that");
    let (mut client, answer) = recordings.asked("error_get_empty_key", Config::new());
    client.input.extend_from_slice(&answer);
    assert!(client.answer().is_err());
}

fn wrong_password(recordings: &Recordings) {
    let config = Config::new().start_tls(true).credentials(Credentials::new("capuser", "wrong"));
    let mut client = Client::new(config);
    client.sent();
    let replies = recordings.replies("auth_password_wrong");
    let [start @ Reply::RpbStartTls(_), refusal @ Reply::RpbErrorResp(_)] = &replies[..] else {
        panic!("{replies:?}")
    };
    start.clone().encode_frame(&mut client.input);
    assert_eq!(client.poll(), Ok(Some(Event::StartTls)));
    client.machine.tls_established(client.now);
    client.sent();
    // Five seconds are no silence yet.
    client.wait(Duration::from_secs(6));
    assert_eq!(client.poll(), Ok(None));
    refusal.clone().encode_frame(&mut client.input);
    let refused = client.poll();
    let Err(Error::AuthRefused(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error.kind(), ServerErrorKind::AuthenticationFailed);
}

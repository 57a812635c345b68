//! The Riak client, in the simulator, against nodes that say what a real one was recorded saying: it comes to the recorded results, TLS and all.
//!
//! The recordings are found by the environment variable `GLOWPLUG_VECTORS`, a folder that holds `captures/`.

use std::cell::Cell;
use std::collections::VecDeque;
use std::error::Error as StdError;
use std::fs;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use glowplug::core::{Progress, SendBuf};
use glowplug::riak::wire::riak::{RpbAuthReq, RpbStartTls};
use glowplug::riak::wire::{Code, DecodeLimits, Decoder, Frame, Reply, Request};
use glowplug::riak::{Credentials, Response};
use glowplug::runtime::drive::DriverError;
use glowplug::runtime::riak::request::{Ask, AskStream};
use glowplug::runtime::riak::{Client, Config, ConnectError, Error};
use glowplug::runtime::tls::rustls::pki_types::PrivatePkcs8KeyDer;
use glowplug::runtime::tls::{ClientConfig, ServerConfig, Tls};
use glowplug::runtime::{Endpoint, Listener as _, MaybeTls, Runtime as _, Transport};
use glowplug::sim::{Sim, Simulation, Stream, seeds};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

/// Recordings that are not played, and why.
const SKIPPED: &[(&str, &str)] = &[
    ("pipelined_after_stream", "the client never sends a request during a stream"),
    ("request_during_stream", "the client never sends a request during a stream"),
    ("error_malformed_body", "the client sends no such frame"),
    ("error_response_code_sent", "the client sends no such frame"),
    ("error_unknown_code", "the client sends no such frame"),
];

fn main() {
    let arguments = Arguments::from_args();
    let Some(root) = std::env::var_os("GLOWPLUG_VECTORS").map(PathBuf::from) else {
        let trial = Trial::test("captures", || Ok(()));
        let skipped = trial.with_kind("GLOWPLUG_VECTORS is not set").with_ignored_flag(true);
        libtest_mimic::run(&arguments, vec![skipped]).exit();
    };
    let folder = root.join("captures/riak");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder that opened can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    let trials = files.into_iter().map(|path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let reason = SKIPPED.iter().find(|(file, _)| *file == name).map(|(_, reason)| *reason);
        let trial = Trial::test(name, move || play(&path));
        match reason {
            Some(reason) => trial.with_kind(reason).with_ignored_flag(true),
            None => trial,
        }
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// A request and what the node said to it.
struct Turn {
    request: Request,
    answers: Vec<(Bytes, Response)>,
}

impl Turn {
    /// Part of the handshake, which the client does by itself.
    fn is_handshake(&self, with_tls: bool) -> bool {
        with_tls && [RpbStartTls::CODE, RpbAuthReq::CODE].contains(&self.request.code())
    }

    fn said(&self) -> Vec<u8> {
        self.answers.iter().flat_map(|(bytes, _)| bytes.to_vec()).collect()
    }
}

struct Recording {
    turns: Vec<Turn>,
    /// The node closed the connection at the end.
    closed: bool,
    with_tls: bool,
}

fn unhex(text: &str) -> Bytes {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("recordings are written in hex") as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn load(path: &Path) -> Result<Recording, Box<dyn StdError>> {
    let text: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let (mut requests, mut answers) = (Vec::new(), VecDeque::new());
    for frame in text["exchange"].as_array().ok_or("no exchange")? {
        let bytes = unhex(frame["hex"].as_str().ok_or("no bytes")?);
        let (code, body) = (Code(bytes[4]), bytes.slice(5..));
        if frame["dir"] == "client" {
            requests.push(Request::decode(code, &body, DecodeLimits::default())?);
        } else {
            let response = match Reply::decode(code, &body, DecodeLimits::default())? {
                Reply::RpbErrorResp(error) => Err((*error).into()),
                reply => Ok(reply),
            };
            answers.push_back((bytes, response));
        }
    }
    // The node answers in order, so the answers are dealt out from the front.
    let turns = requests.into_iter().map(|request| {
        let streamed = request.answers().streamed;
        let mut mine = Vec::new();
        while let Some((bytes, response)) = answers.pop_front() {
            let last = !streamed || response.as_ref().is_ok_and(Reply::is_last) || response.is_err();
            mine.push((bytes, response));
            if last {
                break;
            }
        }
        Turn { request, answers: mine }
    });
    let turns: Vec<Turn> = turns.collect();
    let with_tls = turns.first().is_some_and(|turn| turn.request.code() == RpbStartTls::CODE);
    Ok(Recording { turns, closed: text["server_closed_connection"] == true, with_tls })
}

fn play(path: &Path) -> Result<(), Failed> {
    let recording = load(path).map_err(|error| error.to_string())?;
    for seed in seeds(3) {
        let mut simulation = Simulation::new(seed);
        let client = simulation.host("client", [10, 0, 0, 1]);
        let node = simulation.host("node", [10, 0, 0, 2]);
        let (mine, theirs) = certificates();
        simulation.run(async {
            let asked = Cell::new(0);
            let serving = pin!(serve(&node, &recording, &theirs, &asked));
            match select(pin!(ask(&client, &recording, mine)), serving).await {
                Either::Left(((), _)) => {}
                Either::Right(_) => panic!("the node ended"),
            }
        });
        simulation.run_until_idle();
    }
    Ok(())
}

/// What the client trusts, and what the node shows.
fn certificates() -> (ClientConfig, ServerConfig) {
    let made = rcgen::generate_simple_self_signed(["node".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let server = ServerConfig::new(vec![certificate.clone()], key.into()).expect("a configuration");
    (ClientConfig::with_roots([certificate]).expect("a configuration"), server)
}

async fn say(stream: &mut MaybeTls<Stream>, bytes: Vec<u8>) {
    let mut out = SendBuf::new();
    out.push(bytes.into());
    while !out.is_empty() {
        if poll_fn(|cx| stream.poll_write(cx, &mut out)).await.is_err() {
            return;
        }
    }
    // A client that is gone hears nothing, and need not.
    let _ = poll_fn(|cx| stream.poll_flush(cx)).await;
}

/// The node: to each request what it was recorded saying, one connection after the other.
async fn serve(host: &Sim, recording: &Recording, tls: &ServerConfig, asked: &Cell<usize>) {
    let at = Endpoint::Tcp(([10, 0, 0, 2], 8087).into());
    let mut listener = host.listen(&at).await.expect("a free port");
    loop {
        let (stream, _) = poll_fn(|cx| listener.poll_accept(cx)).await.expect("accepted");
        connection(MaybeTls::Plain(stream), recording, tls, asked).await;
    }
}

async fn connection(
    mut stream: MaybeTls<Stream>,
    recording: &Recording,
    tls: &ServerConfig,
    asked: &Cell<usize>,
) {
    let (mut decoder, mut input) = (Decoder::new(u32::MAX), BytesMut::new());
    let calls: Vec<&Turn> =
        recording.turns.iter().filter(|turn| !turn.is_handshake(recording.with_tls)).collect();
    loop {
        let Some(frame) = decoder.decode(&mut input).expect("the client sends frames") else {
            match poll_fn(|cx| stream.poll_read(cx, &mut input)).await {
                Ok(1..) => continue,
                _ => return,
            }
        };
        let handshake = recording
            .turns
            .iter()
            .find(|turn| turn.is_handshake(recording.with_tls) && turn.request.code() == frame.code);
        if let Some(turn) = handshake {
            same(&turn.request, &frame);
            say(&mut stream, turn.said()).await;
            if frame.code == RpbStartTls::CODE {
                let MaybeTls::Plain(plain) = stream else { panic!("tls was started twice") };
                let mut secure = Tls::server(plain, tls).expect("a session");
                secure.handshake().await.expect("a handshake");
                stream = MaybeTls::Tls(Box::new(secure));
            }
            continue;
        }
        let number = asked.replace(asked.get() + 1);
        let turn = calls.get(number).expect("nothing is asked that was not recorded");
        same(&turn.request, &frame);
        say(&mut stream, turn.said()).await;
        if recording.closed && number + 1 == calls.len() {
            return;
        }
    }
}

/// The client asked just what was recorded.
fn same(request: &Request, frame: &Frame) {
    let mut bytes = BytesMut::new();
    request.encode_frame(&mut bytes);
    assert_eq!((frame.code, &frame.body[..]), (request.code(), &bytes[5..]));
}

/// Any request that is answered by a stream, with its answers as they are.
struct Raw(Request);

impl Ask for Raw {
    type Answer = Reply;

    fn into_request(self) -> Request {
        self.0
    }

    fn read(reply: Reply) -> Result<Reply, Reply> {
        Ok(reply)
    }
}

impl AskStream for Raw {}

async fn ask(host: &Sim, recording: &Recording, tls: ClientConfig) {
    let config = Config::new().reply_timeout(Duration::from_secs(20));
    let mut builder = Client::builder(host.clone()).machine(config).tls(tls);
    let url = if recording.with_tls { "riaks://node" } else { "riak://node" };
    let mut refused = None;
    for turn in recording.turns.iter().filter(|turn| turn.is_handshake(recording.with_tls)) {
        if let Request::RpbAuthReq(auth) = &turn.request {
            let RpbAuthReq { user, password } = &**auth;
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        refused = turn.answers.iter().find_map(|(_, response)| response.clone().err());
    }
    let connected = builder.connect(url).await;
    if let Some(refusal) = refused {
        let Err(ConnectError::Handshake(Some(DriverError::Protocol(error)))) = connected else {
            panic!("{connected:?}")
        };
        let expected =
            [glowplug::riak::Error::AuthRefused(refusal.clone()), glowplug::riak::Error::TlsRefused(refusal)];
        assert!(expected.contains(&error), "{error:?}");
        return;
    }
    let riak = connected.expect("connected");
    for turn in recording.turns.iter().filter(|turn| !turn.is_handshake(recording.with_tls)) {
        let expected: Vec<&Response> = turn.answers.iter().map(|(_, response)| response).collect();
        if turn.request.answers().streamed {
            same_stream(&riak, turn, &expected).await;
        } else {
            match (riak.call(turn.request.clone()).await, &expected[..]) {
                (Ok(reply), [Ok(recorded)]) => assert_eq!(reply, *recorded),
                (Err(Error::Refused(error)), [Err(recorded)]) => assert_eq!(error, *recorded),
                // Some requests are never answered.
                (Err(Error::TimedOut(Progress::FullySent)), []) => {}
                (outcome, expected) => panic!("{outcome:?} instead of {expected:?}"),
            }
        }
    }
}

async fn same_stream(riak: &Client<Sim>, turn: &Turn, expected: &[&Response]) {
    let mut outcomes = Vec::new();
    match riak.stream(Raw(turn.request.clone())).await {
        Ok(mut replies) => {
            while let Some(outcome) = replies.next().await {
                outcomes.push(outcome);
            }
        }
        Err(error) => outcomes.push(Err(error)),
    }
    if expected.is_empty() {
        assert!(matches!(&outcomes[..], [Err(Error::TimedOut(Progress::FullySent))]), "{outcomes:?}");
        return;
    }
    assert_eq!(outcomes.len(), expected.len(), "{outcomes:?}");
    for (outcome, expected) in outcomes.into_iter().zip(expected) {
        match (outcome, expected) {
            (Ok(reply), Ok(recorded)) => assert_eq!(reply, *recorded),
            (Err(Error::Refused(error)), Err(recorded)) => assert_eq!(error, *recorded),
            (outcome, expected) => panic!("{outcome:?} instead of {expected:?}"),
        }
    }
}

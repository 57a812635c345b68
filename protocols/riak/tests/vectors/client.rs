//! The client machine against the recorded node: at every cut it comes to the recorded answers.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use glowplug_core::{Instant, Progress, RequestProtocol, Seed, SendBuf, StreamProtocol, Token};
use glowplug_riak::wire::riak::{RpbAuthReq, RpbErrorResp, RpbStartTls};
use glowplug_riak::wire::{Reply, Request};
use glowplug_riak::{ClientConnection, Config, Credentials, Error, Event, Response, ServerErrorKind};

use crate::captures::{Capture, Recorded};

/// A request and the frames that answer it.
pub(crate) struct Turn<'a> {
    pub(crate) request: Request,
    pub(crate) sent: &'a Recorded,
    pub(crate) answers: Vec<&'a Recorded>,
}

/// Gives every request its answers. The node answers in order, so they are dealt out from the front.
pub(crate) fn turns(capture: &Capture) -> Vec<Turn<'_>> {
    let mut answers: VecDeque<&Recorded> = capture.frames.iter().filter(|frame| !frame.from_client).collect();
    let asked = capture.frames.iter().filter(|frame| frame.from_client);
    asked
        .map(|sent| {
            let request = sent.request().expect("captures with requests of another kind are skipped by name");
            let streamed = request.answers().streamed;
            let mut mine = Vec::new();
            while let Some(frame) = answers.pop_front() {
                mine.push(frame);
                let last = frame.reply().is_none_or(|reply| reply.is_last());
                if last || !streamed {
                    break;
                }
            }
            Turn { request, sent, answers: mine }
        })
        .collect()
}

fn response(frame: &Recorded) -> Response {
    match frame.reply().expect("the node sends replies") {
        Reply::RpbErrorResp(error) => Err((*error).into()),
        reply => Ok(reply),
    }
}

/// What came of a replay.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    answers: Vec<(Token, Response, bool)>,
    error: Option<Error>,
    /// Requests of which no last answer came, and how far they got.
    left: Vec<(Token, Progress)>,
}

/// Plays the recorded node to a fresh client. `cut` says how many bytes may come at once, given how many came so far.
fn play(turns: &[Turn<'_>], closed: bool, mut cut: impl FnMut(usize) -> usize) -> Outcome {
    let now = Instant::ZERO;
    let mut config = Config::new();
    for turn in turns {
        match &turn.request {
            Request::RpbStartTls(_) => config = config.start_tls(true),
            // Without TLS it is an ordinary request, which the node does not know.
            Request::RpbAuthReq(auth) if turns.len() > 1 => {
                let RpbAuthReq { user, password } = &**auth;
                config = config.credentials(Credentials::new(user.clone(), password.clone()));
            }
            _ => {}
        }
    }
    let handshake = |turn: &Turn<'_>| {
        turn.sent.code == RpbStartTls::CODE || (turn.sent.code == RpbAuthReq::CODE && turns.len() > 1)
    };
    let mut client = ClientConnection::new(now, config);
    let mut tokens = Vec::new();
    for (n, turn) in turns.iter().enumerate().filter(|(_, turn)| !handshake(turn)) {
        tokens.push(Token(n as u64));
        client.submit(now, Token(n as u64), turn.request.clone()).expect("a fresh connection takes requests");
    }

    let mut outcome = Outcome::default();
    let (mut input, mut out) = (BytesMut::new(), SendBuf::new());
    let (mut sent, mut wire, mut came) = (0, Bytes::new(), 0);
    loop {
        loop {
            match client.poll_event(now, &mut input) {
                Ok(Some(Event::StartTls)) => client.tls_established(now),
                Ok(Some(Event::Answer(answer))) => {
                    tokens.retain(|token| *token != answer.token || !answer.last);
                    outcome.answers.push((answer.token, answer.response, answer.last));
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    outcome.error = Some(error);
                    outcome.left = tokens.iter().map(|token| (*token, client.progress(*token))).collect();
                    return outcome;
                }
            }
        }
        client.poll_transmit(now, &mut out);
        if !out.is_empty() {
            // One request at a time: nothing may be sent before the answers to the last one were read.
            assert!(!wire.has_remaining(), "a request was sent during a reply");
            let mut expected = BytesMut::new();
            turns[sent].request.encode_frame(&mut expected);
            assert_eq!(out.take_all(), expected);
            let frames: Vec<u8> = turns[sent].answers.iter().flat_map(|frame| frame.bytes.to_vec()).collect();
            (wire, sent) = (frames.into(), sent + 1);
            continue;
        }
        if wire.has_remaining() {
            let room = cut(came).clamp(1, wire.remaining());
            input.extend_from_slice(&wire.split_to(room));
            came += room;
        } else if let Some(deadline) = client.poll_timeout() {
            if closed {
                client.handle_eof(now);
            } else {
                client.handle_timeout(deadline);
            }
        } else if closed && !client.interest().is_closed() {
            client.handle_eof(now);
        } else {
            return outcome;
        }
    }
}

/// What the capture says must come out.
fn expected(capture: &Capture, turns: &[Turn<'_>]) -> Outcome {
    let mut outcome = Outcome::default();
    let with_tls = turns[0].sent.code == RpbStartTls::CODE;
    for (n, turn) in turns.iter().enumerate() {
        let token = Token(n as u64);
        let refused = turn.answers.first().filter(|frame| frame.code == RpbErrorResp::CODE);
        if turn.sent.code == RpbStartTls::CODE {
            continue;
        }
        if turn.sent.code == RpbAuthReq::CODE && with_tls {
            if let Some(Err(error)) = refused.map(|frame| response(frame)) {
                outcome.error = Some(Error::AuthRefused(error));
            }
            continue;
        }
        for (n, frame) in turn.answers.iter().enumerate() {
            outcome.answers.push((token, response(frame), n + 1 == turn.answers.len()));
        }
        if turn.answers.is_empty() {
            let (error, progress) = if capture.closed {
                (Error::NodeClosing, Progress::NotSent)
            } else {
                (Error::TimedOut, Progress::FullySent)
            };
            outcome.error = Some(error);
            outcome.left.push((token, progress));
        }
    }
    outcome
}

pub(crate) fn replay(capture: &Capture) {
    let turns = turns(capture);
    let expected = expected(capture, &turns);
    for (_, response, _) in &expected.answers {
        if let (true, Err(error)) = (capture.closed, response) {
            // What closes a connection is a crash in the node, or a request during a stream.
            let kinds = [ServerErrorKind::Crash, ServerErrorKind::RequestDuringStream];
            assert!(kinds.contains(&error.kind()), "{error}");
        }
    }
    let total: usize = turns.iter().flat_map(|turn| &turn.answers).map(|frame| frame.bytes.len()).sum();
    assert_eq!(play(&turns, capture.closed, |_| usize::MAX), expected, "{} in one piece", capture.name);
    if total <= 4096 {
        for at in 1..total {
            let cut = |came| if came < at { at - came } else { usize::MAX };
            assert_eq!(play(&turns, capture.closed, cut), expected, "{} cut at {at}", capture.name);
        }
        assert_eq!(play(&turns, capture.closed, |_| 1), expected, "{} byte by byte", capture.name);
    } else {
        let mut rng = Seed::from_u64(total as u64).rng();
        for _ in 0..200.min(40_000_000 / total) {
            let at = rng.below(total as u64) as usize;
            let cut = |came| if came < at { at - came } else { usize::MAX };
            assert_eq!(play(&turns, capture.closed, cut), expected, "{} cut at {at}", capture.name);
        }
        assert_eq!(play(&turns, capture.closed, |_| 1000), expected, "{} by 1000 bytes", capture.name);
    }
}

//! The server machine against the recorded clients: it reads what they asked, and writes what the node wrote.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, SendBuf, StreamProtocol};
use glowplug_riak::wire::riak::RpbStartTls;
use glowplug_riak::wire::{Reply, Request};
use glowplug_riak::{ServerConfig, ServerConnection, ServerEvent, TlsPolicy};

use crate::captures::{Capture, Recorded};

/// Requests that the node never answers, or that it answers by a crash whose text is its own.
const WITHOUT_REPLY: &[&str] = &["error_index_type_unknown", "error_index_type_unknown_timeout"];

/// Plays the recorded clients, cut at `at`, to a server that answers as the node did. Gives what it wrote.
fn play(capture: &Capture, at: usize) -> Vec<u8> {
    let now = Instant::ZERO;
    let uses_tls = capture.frames[0].code == RpbStartTls::CODE;
    let wants_tls = capture.name == "security_no_starttls";
    let tls = if uses_tls || wants_tls { TlsPolicy::Require } else { TlsPolicy::Refuse };
    let mut server = ServerConnection::new(now, ServerConfig::new().tls(tls));

    let mut asked: VecDeque<&Recorded> = capture.frames.iter().filter(|frame| frame.from_client).collect();
    let mut answers: VecDeque<Reply> =
        capture.frames.iter().filter(|frame| !frame.from_client).filter_map(Recorded::reply).collect();
    let (mut input, mut out, mut written) = (BytesMut::new(), SendBuf::new(), Vec::new());
    // With TLS the client waits for the agreement; otherwise everything is on its way at once.
    let mut wire: VecDeque<Bytes> = VecDeque::new();
    if uses_tls {
        wire.push_back(capture.frames[0].bytes.clone());
        let rest = capture.frames[1..].iter().filter(|frame| frame.from_client);
        wire.push_back(rest.flat_map(|frame| frame.bytes.to_vec()).collect());
    } else {
        let all: Bytes = asked.iter().flat_map(|frame| frame.bytes.to_vec()).collect();
        wire.push_back(all.slice(..at));
        wire.push_back(all.slice(at..));
    }
    while let Some(piece) = wire.pop_front() {
        input.extend_from_slice(&piece);
        loop {
            let event = server.poll_event(now, &mut input);
            server.poll_transmit(now, &mut out);
            written.extend_from_slice(&out.take_all());
            match event {
                Ok(None) => break,
                Err(_) => return written,
                Ok(Some(ServerEvent::StartTls)) => {
                    asked.pop_front();
                    answers.pop_front();
                    server.tls_established(now);
                    break;
                }
                Ok(Some(ServerEvent::Request(request))) => {
                    assert!(!wants_tls, "nothing gets past a policy that requires TLS");
                    let frame = asked.pop_front().expect("no more requests than were sent");
                    assert_eq!(Some(&request), frame.request().as_ref());
                    answer(&mut server, &request, &mut answers);
                }
                Ok(Some(_)) => unreachable!("there are two kinds of event"),
            }
        }
    }
    written
}

/// Gives the recorded answers to one request.
fn answer(server: &mut ServerConnection, request: &Request, answers: &mut VecDeque<Reply>) {
    let now = Instant::ZERO;
    while let Some(reply) = answers.pop_front() {
        let last = !request.answers().streamed || reply.is_last();
        let response = match reply {
            Reply::RpbErrorResp(error) => Err((*error).into()),
            reply => Ok(reply),
        };
        server.reply(now, response).expect("the recorded reply fits the request");
        if last {
            return;
        }
    }
}

pub(crate) fn replay(capture: &Capture) {
    let recorded: Vec<u8> = capture
        .frames
        .iter()
        .filter(|frame| !frame.from_client)
        .flat_map(|frame| frame.bytes.to_vec())
        .collect();
    let total: usize =
        capture.frames.iter().filter(|frame| frame.from_client).map(|frame| frame.bytes.len()).sum();
    for at in 0..total.min(4096) {
        let written = play(capture, at);
        if WITHOUT_REPLY.contains(&capture.name.as_str()) {
            assert_eq!(written, b"");
        } else if written != recorded {
            // A crash has the node's own stack in its text.
            let head = b"Error processing incoming message: error:";
            let is_crash = |bytes: &[u8]| bytes.windows(head.len()).any(|window| window == head);
            assert!(is_crash(&recorded) && is_crash(&written), "cut at {at}");
        }
    }
}

//! What the suites share: drivers that feed a machine piece by piece and write down what it tells.
#![allow(dead_code, reason = "each suite uses what it needs")]

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, Rng, Seed, SendBuf, StreamProtocol};
use glowplug_http::wire::{Part, RequestDecoder, ResponseDecoder};
use glowplug_http::{
    BodyLength, ClientConfig, ClientConnection, ClientEvent, DecodeError, Error, Fields, Method, Reason,
    ServerConfig, ServerConnection, ServerEvent, StatusCode,
};

pub(crate) const NOW: Instant = Instant::ZERO;

/// What a machine told and sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transcript {
    /// One line for each event; adjacent data is joined.
    pub(crate) events: Vec<String>,
    pub(crate) error: Option<Error>,
    pub(crate) output: Vec<u8>,
    /// Input for the next protocol, after an upgrade.
    pub(crate) left: Vec<u8>,
}

impl Transcript {
    fn note(&mut self, line: String) {
        self.events.push(line);
    }

    fn data(&mut self, data: &[u8]) {
        let text = data.escape_ascii().to_string();
        match self.events.last_mut() {
            Some(last) if last.starts_with("data ") => last.push_str(&text),
            _ => self.events.push(format!("data {text}")),
        }
    }

    pub(crate) fn output(&self) -> String {
        self.output.escape_ascii().to_string().replace("\\r\\n", "\n")
    }

    /// The statuses of all answers, as the bytes say.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let text = String::from_utf8_lossy(&self.output).into_owned();
        text.match_indices("HTTP/1.1 ")
            .filter_map(|(at, _)| text.get(at + 9..at + 12)?.parse().ok())
            .collect()
    }
}

fn fields(fields: &Fields) -> String {
    let mut text = String::new();
    for (name, value) in fields.iter() {
        text.extend([" ", name, "=", &value.escape_ascii().to_string()]);
    }
    text
}

/// A server that answers each complete request with 200 and two bytes, 101 to an upgrade and 200 to `CONNECT`. Whoever reads the same bytes
/// without being the server reads the same.
pub(crate) fn serve(config: &Arc<ServerConfig>, pieces: &[&[u8]], eof: bool) -> Transcript {
    let told = serve_alone(config, pieces, eof);
    let mut seen = decode_requests(config, pieces, eof, &told.statuses());
    let mut expected = Transcript { left: told.left.clone(), error: told.error, ..Transcript::default() };
    for event in &told.events {
        if event == "peer closed" || event.starts_with("extensions") {
            continue;
        }
        expected.note(event.replace(" expects", ""));
    }
    if let (Some(error), None) = (seen.error, expected.error) {
        seen.error = None;
        let number = seen.events.iter().filter(|event| event.starts_with("stream")).count();
        let within = seen.events.last().is_some_and(|last| !last.starts_with("end"));
        seen.note(format!("stream {}: refused {error:?}", number + usize::from(!within)));
    }
    assert_eq!(seen, expected, "two readings");
    told
}

/// What a [`RequestDecoder`] reads that is told how each request was answered, in the words of [`serve`].
fn decode_requests(config: &Arc<ServerConfig>, pieces: &[&[u8]], eof: bool, statuses: &[u16]) -> Transcript {
    let mut requests = RequestDecoder::new(config.limits.clone(), config.leniency.clone());
    let (mut seen, mut input, mut pieces) = (Transcript::default(), BytesMut::new(), pieces.iter());
    let (mut stream, mut connect, mut ended) = (0, false, false);
    loop {
        match requests.decode(&mut input) {
            Ok(Some(Part::Head { head, body })) => {
                stream += 1;
                connect = head.method() == "CONNECT";
                seen.note(format!(
                    "stream {stream}: {} {} {:?} {body:?}{}",
                    head.method(),
                    head.target(),
                    head.version(),
                    fields(&head)
                ));
            }
            Ok(Some(Part::Data(data))) => seen.data(&data),
            Ok(Some(Part::End(trailers))) => {
                seen.note(format!("end{}", trailers.as_deref().map(fields).unwrap_or_default()));
                match statuses.get(stream - 1) {
                    Some(200) if connect => requests.switch(),
                    Some(101) => requests.switch(),
                    _ => requests.go_on(),
                }
            }
            Ok(Some(Part::Switched)) => {
                seen.note("upgraded".into());
                seen.left.extend_from_slice(&input);
                seen.left.extend(pieces.copied().flatten());
                return seen;
            }
            Ok(Some(_)) => {}
            Ok(None) => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None if eof && !ended => {
                    ended = true;
                    requests.handle_eof();
                }
                None => return seen,
            },
            Err(error) => {
                assert_eq!(requests.decode(&mut input).expect_err("it stays"), error);
                seen.error = Some(error);
                return seen;
            }
        }
    }
}

/// The same without the second reading, for limits that are the server's own.
pub(crate) fn serve_alone(config: &Arc<ServerConfig>, pieces: &[&[u8]], eof: bool) -> Transcript {
    let mut server = ServerConnection::new(NOW, config.clone());
    let mut told = Transcript::default();
    let (mut input, mut out) = (BytesMut::new(), SendBuf::new());
    let (mut pieces, mut ended) = (pieces.iter(), false);
    let mut status = StatusCode::OK;
    loop {
        loop {
            match server.poll_event(NOW, &mut input) {
                Ok(None) => break,
                Ok(Some(ServerEvent::Request { stream, head, body, expects_continue })) => {
                    let upgrades = head.get("upgrade").is_some()
                        && head
                            .get_all("connection")
                            .any(|value| value.to_ascii_lowercase().ends_with(b"upgrade"));
                    status = if upgrades { StatusCode::SWITCHING_PROTOCOLS } else { StatusCode::OK };
                    told.note(format!(
                        "{stream}: {} {} {:?} {body:?}{}{}",
                        head.method(),
                        head.target(),
                        head.version(),
                        if expects_continue { " expects" } else { "" },
                        fields(&head)
                    ));
                }
                Ok(Some(ServerEvent::Data { stream, data })) => {
                    assert!(!data.is_empty(), "no empty data");
                    server.release(NOW, stream, data.len());
                    told.data(&data);
                }
                Ok(Some(ServerEvent::ChunkExtensions { extensions, .. })) => {
                    told.note(format!("extensions {}", extensions.escape_ascii()));
                }
                Ok(Some(ServerEvent::End { stream, trailers })) => {
                    told.note(format!("end{}", trailers.as_deref().map(fields).unwrap_or_default()));
                    server.send_head(NOW, stream, status, &(), BodyLength::Known(2)).expect("a head is due");
                    if server.send_data(NOW, stream, Bytes::from_static(b"ok")).is_ok() {
                        server.finish(NOW, stream, &()).expect("whole");
                    }
                }
                Ok(Some(ServerEvent::Upgraded { .. })) => {
                    told.note("upgraded".into());
                    told.left.extend_from_slice(&input);
                    told.left.extend(pieces.copied().flatten());
                    assert!(server.poll_event(NOW, &mut input).expect("no error").is_none());
                    return told;
                }
                Ok(Some(ServerEvent::PeerClosed { .. })) => told.note("peer closed".into()),
                Ok(Some(ServerEvent::Refused { stream, error })) => {
                    told.note(format!("{stream}: refused {error:?}"));
                }
                Ok(Some(other)) => panic!("{other:?}"),
                Err(error) => {
                    told.error = Some(error);
                    let before = input.len();
                    assert!(matches!(server.poll_event(NOW, &mut input), Ok(None) | Err(_)));
                    assert_eq!(input.len(), before, "nothing is consumed after an error");
                    break;
                }
            }
        }
        server.poll_transmit(NOW, &mut out);
        let sent = out.take_all();
        told.output.extend_from_slice(&sent);
        if told.error.is_some() {
            assert!(server.interest().is_closed());
            return told;
        }
        if !sent.is_empty() {
            // A mutation: what waited for the output to go may be told now.
            continue;
        }
        if server.interest().read.wants()
            && let Some(piece) = pieces.next()
        {
            input.extend_from_slice(piece);
            continue;
        }
        if eof && !ended {
            ended = true;
            server.handle_eof(NOW);
            continue;
        }
        return told;
    }
}

/// A client that sent one request.
fn asking(config: &Arc<ClientConfig>, method: &Method) -> (ClientConnection, Bytes) {
    let mut client = ClientConnection::new(NOW, config.clone());
    let target = if *method == Method::CONNECT { "a:1" } else { "/" };
    let fields_of = [("host", "a"), ("upgrade", "x"), ("connection", "upgrade")];
    client.submit(NOW, method, target, &fields_of[..], BodyLength::Empty).expect("ready");
    let mut out = SendBuf::new();
    client.poll_transmit(NOW, &mut out);
    (client, out.take_all())
}

/// A client that sent one request and reads its answer. Whoever reads the same bytes without being the client reads the same.
pub(crate) fn receive(
    config: &Arc<ClientConfig>,
    method: &Method,
    pieces: &[&[u8]],
    eof: bool,
) -> Transcript {
    let told = receive_alone(config, method, pieces, eof);
    let seen = decode_responses(config, method, pieces, eof);
    let mut expected = told.clone();
    expected.events.retain(|event| !event.starts_with("extensions"));
    // To whom nothing was asked, nothing is said about what else comes.
    let unasked = Error::Peer(DecodeError { offset: 0, reason: Reason::UnexpectedData });
    expected.error = expected.error.filter(|&error| error != unasked);
    assert_eq!(seen, expected, "two readings");
    told
}

/// What a [`ResponseDecoder`] reads, in the words of [`receive`].
fn decode_responses(config: &Arc<ClientConfig>, method: &Method, pieces: &[&[u8]], eof: bool) -> Transcript {
    let mut requests = RequestDecoder::default();
    let mut asked = BytesMut::from(asking(config, method).1);
    assert!(matches!(requests.decode(&mut asked), Ok(Some(Part::Head { .. }))));
    let mut responses = ResponseDecoder::new(config.limits.clone(), config.leniency.clone());
    responses.expect(requests.question()).expect("room");
    let (mut seen, mut input, mut pieces) = (Transcript::default(), BytesMut::new(), pieces.iter());
    let (mut ended, mut informational) = (false, false);
    loop {
        match responses.decode(&mut input) {
            Ok(Some(Part::Head { head, body })) => {
                informational =
                    head.status().is_informational() && head.status() != StatusCode::SWITCHING_PROTOCOLS;
                seen.note(if informational {
                    format!("informational {}{}", head.status(), fields(&head))
                } else {
                    let (status, reason) = (head.status(), head.reason().escape_ascii());
                    format!("{status} {reason} {:?} {body:?}{}", head.version(), fields(&head))
                });
            }
            Ok(Some(Part::Data(data))) => seen.data(&data),
            Ok(Some(Part::End(trailers))) if !informational => {
                seen.note(format!("end{}", trailers.as_deref().map(fields).unwrap_or_default()));
            }
            Ok(Some(Part::Switched)) => {
                seen.note("upgraded".into());
                seen.left.extend_from_slice(&input);
                seen.left.extend(pieces.copied().flatten());
                return seen;
            }
            Ok(Some(_)) => {}
            Ok(None) => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None if eof && !ended => {
                    ended = true;
                    responses.handle_eof();
                }
                None => return seen,
            },
            Err(error) => {
                assert_eq!(responses.decode(&mut input).expect_err("it stays"), error);
                seen.error = Some(error);
                return seen;
            }
        }
    }
}

fn receive_alone(config: &Arc<ClientConfig>, method: &Method, pieces: &[&[u8]], eof: bool) -> Transcript {
    let (mut client, _) = asking(config, method);
    let (mut told, mut input) = (Transcript::default(), BytesMut::new());
    let (mut pieces, mut ended) = (pieces.iter(), false);
    loop {
        loop {
            match client.poll_event(NOW, &mut input) {
                Ok(None) => break,
                Ok(Some(ClientEvent::Informational { head, .. })) => {
                    told.note(format!("informational {}{}", head.status(), fields(&head)));
                }
                Ok(Some(ClientEvent::Response { head, body, .. })) => {
                    let reason = head.reason().escape_ascii();
                    told.note(format!(
                        "{} {reason} {:?} {body:?}{}",
                        head.status(),
                        head.version(),
                        fields(&head)
                    ));
                }
                Ok(Some(ClientEvent::Data { stream, data })) => {
                    assert!(!data.is_empty(), "no empty data");
                    client.release(NOW, stream, data.len());
                    told.data(&data);
                }
                Ok(Some(ClientEvent::ChunkExtensions { extensions, .. })) => {
                    told.note(format!("extensions {}", extensions.escape_ascii()));
                }
                Ok(Some(ClientEvent::End { trailers, .. })) => {
                    told.note(format!("end{}", trailers.as_deref().map(fields).unwrap_or_default()));
                }
                Ok(Some(ClientEvent::Upgraded { .. })) => {
                    told.note("upgraded".into());
                    told.left.extend_from_slice(&input);
                    told.left.extend(pieces.copied().flatten());
                    return told;
                }
                Ok(Some(other)) => panic!("{other:?}"),
                Err(error) => {
                    told.error = Some(error);
                    let before = input.len();
                    assert!(matches!(client.poll_event(NOW, &mut input), Ok(None) | Err(_)));
                    assert_eq!(input.len(), before, "nothing is consumed after an error");
                    assert!(client.interest().is_closed());
                    return told;
                }
            }
        }
        if client.interest().read.wants()
            && let Some(piece) = pieces.next()
        {
            input.extend_from_slice(piece);
            continue;
        }
        if eof && !ended {
            ended = true;
            client.handle_eof(NOW);
            continue;
        }
        return told;
    }
}

/// All single cuts of short inputs, seeded ones of long inputs, and one byte at a time: the same transcript each time.
pub(crate) fn at_every_cut(wire: &[u8], most: usize, run: impl Fn(&[&[u8]]) -> Transcript) -> Transcript {
    let whole = run(&[wire]);
    let check = |pieces: &[&[u8]], what: &str| {
        let told = run(pieces);
        assert_eq!(told, whole, "{what} of {}", wire.escape_ascii());
    };
    if wire.len() <= most {
        (1..wire.len()).for_each(|cut| check(&[&wire[..cut], &wire[cut..]], &format!("cut at {cut}")));
    } else {
        let mut rng: Rng = Seed::from_u64(wire.len() as u64).rng();
        for _ in 0..most.min(200) {
            let cut = rng.below(wire.len() as u64 + 1) as usize;
            check(&[&wire[..cut], &wire[cut..]], &format!("cut at {cut}"));
        }
    }
    let bytes: Vec<&[u8]> = wire.chunks(1).collect();
    check(&bytes, "one byte at a time");
    let threes: Vec<&[u8]> = wire.chunks(3).collect();
    check(&threes, "three bytes at a time");
    whole
}

pub(crate) fn server_config() -> Arc<ServerConfig> {
    Arc::new(ServerConfig::default())
}

pub(crate) fn client_config() -> Arc<ClientConfig> {
    Arc::new(ClientConfig::default())
}

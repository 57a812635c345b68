//! Whole messages, as the two halves read them.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use glowplug_core::{SendBuf, StreamProtocol};
use glowplug_http::{
    BodyLength, ClientConfig, ClientConnection, ClientEvent, Error, Fields, Method, ServerConfig,
    ServerConnection, ServerEvent, StatusCode,
};

use crate::support::NOW;

/// One message: its fields and trailers in order, and its body.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// Method and target, or the status.
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) trailers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) complete: bool,
}

/// What became of some bytes.
#[derive(Clone, Default)]
pub(crate) struct Reading {
    pub(crate) messages: Vec<Message>,
    pub(crate) refusal: Option<Error>,
    /// What was not read.
    pub(crate) left: Vec<u8>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.start)?;
        for (name, value) in self.fields.iter().chain(&self.trailers) {
            write!(f, " {name}={}", value.escape_ascii())?;
        }
        write!(f, " body={:?} complete={}", self.body.escape_ascii().to_string(), self.complete)
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}, refusal {:?}, left {:?}",
            self.messages,
            self.refusal,
            self.left.escape_ascii().to_string()
        )
    }
}

fn owned(fields: &Fields) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}

impl Reading {
    fn last(&mut self) -> &mut Message {
        if self.messages.is_empty() {
            self.messages.push(Message::default());
        }
        self.messages.last_mut().expect("not empty")
    }
}

/// The requests in `wire`, each of which is answered.
pub(crate) fn requests(config: &Arc<ServerConfig>, wire: &[u8], eof: bool) -> Reading {
    let mut server = ServerConnection::new(NOW, config.clone());
    let (mut input, mut reading, mut out) = (BytesMut::from(wire), Reading::default(), SendBuf::new());
    if eof {
        server.handle_eof(NOW);
    }
    loop {
        match server.poll_event(NOW, &mut input) {
            Ok(None) => break,
            Ok(Some(ServerEvent::Request { head, .. })) => reading.messages.push(Message {
                start: format!("{} {}", head.method(), head.target()),
                fields: owned(&head),
                ..Message::default()
            }),
            Ok(Some(ServerEvent::Data { stream, data })) => {
                server.release(NOW, stream, data.len());
                reading.last().body.extend_from_slice(&data);
            }
            Ok(Some(ServerEvent::End { stream, trailers })) => {
                reading.last().trailers = trailers.as_deref().map(owned).unwrap_or_default();
                reading.last().complete = true;
                let upgrades = server
                    .send_head(NOW, stream, StatusCode::SWITCHING_PROTOCOLS, &(), BodyLength::Empty)
                    .is_ok();
                if !upgrades {
                    server.send_head(NOW, stream, StatusCode::OK, &(), BodyLength::Empty).expect("due");
                }
                server.poll_transmit(NOW, &mut out);
            }
            Ok(Some(ServerEvent::Refused { error, .. })) | Err(error) => {
                reading.refusal = Some(error);
                break;
            }
            Ok(Some(_)) => {}
        }
    }
    reading.left = input.to_vec();
    reading
}

/// The answers in `wire`, up to the first final one, to a request that asked for an upgrade too.
pub(crate) fn answers(config: &Arc<ClientConfig>, method: &Method, wire: &[u8], eof: bool) -> Reading {
    let mut client = ClientConnection::new(NOW, config.clone());
    let fields = [("host", "a"), ("upgrade", "x"), ("connection", "upgrade")];
    client.submit(NOW, method, "/", &fields, BodyLength::Empty).expect("ready");
    client.poll_transmit(NOW, &mut SendBuf::new());
    let (mut input, mut reading) = (BytesMut::from(wire), Reading::default());
    if eof {
        client.handle_eof(NOW);
    }
    loop {
        match client.poll_event(NOW, &mut input) {
            Ok(None | Some(ClientEvent::Upgraded { .. })) => break,
            Ok(Some(ClientEvent::Informational { head, .. } | ClientEvent::Response { head, .. })) => {
                reading.messages.push(Message {
                    start: head.status().as_str().to_owned(),
                    fields: owned(&head),
                    complete: head.status().is_informational(),
                    ..Message::default()
                });
            }
            Ok(Some(ClientEvent::Data { stream, data })) => {
                client.release(NOW, stream, data.len());
                reading.last().body.extend_from_slice(&data);
            }
            Ok(Some(ClientEvent::End { trailers, .. })) => {
                reading.last().trailers = trailers.as_deref().map(owned).unwrap_or_default();
                reading.last().complete = true;
                break;
            }
            Ok(Some(_)) => {}
            Err(error) => {
                reading.refusal = Some(error);
                break;
            }
        }
    }
    reading.left = input.to_vec();
    reading
}

/// A request as the client half writes it.
pub(crate) fn write(message: &Message) -> Option<Vec<u8>> {
    let (method, target) = message.start.split_once(' ')?;
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    let mut client = ClientConnection::new(NOW, Arc::new(ClientConfig::default()));
    // Fields of the connection are not the message's: a proxy takes them out (RFC 9110 §7.6.1).
    let fields: Vec<_> = message
        .fields
        .iter()
        .filter(|(name, _)| {
            !["connection", "upgrade", "expect"].iter().any(|own| name.eq_ignore_ascii_case(own))
        })
        .collect();
    let pairs: Vec<(&str, &[u8])> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let length = if message.body.is_empty() { BodyLength::Empty } else { BodyLength::Unknown };
    let stream = client.submit(NOW, &method, target, &pairs, length).ok()?;
    if length == BodyLength::Unknown {
        client.send_data(NOW, stream, Bytes::copy_from_slice(&message.body)).ok()?;
        client.finish(NOW, stream, &message.trailers).ok()?;
    }
    let mut out = SendBuf::new();
    client.poll_transmit(NOW, &mut out);
    Some(out.take_all().to_vec())
}

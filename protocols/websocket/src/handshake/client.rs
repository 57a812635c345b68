//! The client's half of the handshake.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use glowplug_core::Seed;

use super::{Agreed, HandshakeError, accept_key, extensions, has_element};
use crate::config::{Config, DeflateConfig};

/// What a client puts into its request, and what it holds the answer against (RFC 6455 §4.1).
///
/// The request is a `GET` with `host` and with these [`fields`](Self::fields).
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    key: String,
    protocols: Vec<String>,
    deflate: Option<DeflateConfig>,
}

impl ClientHandshake {
    /// A handshake with a key from `seed`, which offers the compression of `config` and these subprotocols, best first. Names that are
    /// no [tokens](super::is_token) are left out.
    pub fn new(seed: &Seed, config: &Config, protocols: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut nonce = [0; 16];
        seed.rng().fill(&mut nonce);
        Self {
            key: STANDARD.encode(nonce),
            protocols: protocols.into_iter().map(Into::into).filter(|name| super::is_token(name)).collect(),
            deflate: config.negotiable().cloned(),
        }
    }

    /// The fields that make a request the beginning of a WebSocket.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = Vec::with_capacity(6);
        fields.push(("connection", "Upgrade".into()));
        fields.push(("upgrade", "websocket".into()));
        fields.push(("sec-websocket-version", "13".into()));
        fields.push(("sec-websocket-key", self.key.clone()));
        if !self.protocols.is_empty() {
            fields.push(("sec-websocket-protocol", self.protocols.join(", ")));
        }
        if let Some(deflate) = &self.deflate {
            fields.push(("sec-websocket-extensions", extensions::offer(deflate)));
        }
        fields
    }

    /// Checks the answer, and says what the server chose. After an error the connection is of no use (RFC 6455 §4.1).
    pub fn check<'f>(
        &self,
        status: u16,
        fields: impl IntoIterator<Item = (&'f str, &'f [u8])>,
    ) -> Result<Agreed, HandshakeError> {
        if status != 101 {
            return Err(HandshakeError::Status(status));
        }
        let (mut upgrade, mut connection, mut accept, mut protocol) = (false, false, Vec::new(), Vec::new());
        let mut extensions = Vec::new();
        for (name, value) in fields {
            if name.eq_ignore_ascii_case("upgrade") {
                upgrade |= has_element(value, "websocket");
            } else if name.eq_ignore_ascii_case("connection") {
                connection |= has_element(value, "upgrade");
            } else if name.eq_ignore_ascii_case("sec-websocket-accept") {
                accept.push(value);
            } else if name.eq_ignore_ascii_case("sec-websocket-protocol") {
                protocol.push(value);
            } else if name.eq_ignore_ascii_case("sec-websocket-extensions") {
                extensions.push(value);
            }
        }
        if !upgrade || !connection {
            return Err(HandshakeError::NotUpgrade);
        }
        if !matches!(accept[..], [value] if value.trim_ascii() == accept_key(&self.key).as_bytes()) {
            return Err(HandshakeError::Accept);
        }
        let protocol = match protocol[..] {
            [] => None,
            [value] => {
                let chosen = self.protocols.iter().find(|name| name.as_bytes() == value.trim_ascii());
                Some(chosen.ok_or(HandshakeError::Protocol)?.clone())
            }
            _ => return Err(HandshakeError::Protocol),
        };
        let deflate = extensions::check(extensions.into_iter(), self.deflate.as_ref())
            .map_err(|()| HandshakeError::Extension)?;
        Ok(Agreed { protocol, deflate })
    }
}

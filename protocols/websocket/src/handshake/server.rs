//! The server's half of the handshake.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Agreed, HandshakeError, accept_key, elements, extensions, has_element};
use crate::config::Config;

/// A request that asks for a WebSocket, and what it is answered with (RFC 6455 §4.2).
///
/// ```
/// use glowplug_websocket::{Config, ServerHandshake};
///
/// let fields = [
///     ("host", "server.example.com"),
///     ("upgrade", "websocket"),
///     ("connection", "Upgrade"),
///     ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
///     ("sec-websocket-version", "13"),
///     ("sec-websocket-protocol", "chat, superchat"),
/// ];
/// let fields = fields.map(|(name, value)| (name, value.as_bytes()));
/// let mut handshake = ServerHandshake::read("GET", fields, &Config::new())?;
/// assert_eq!(handshake.choose_protocol(&["superchat"]), Some("superchat"));
/// let answer = handshake.fields();
/// assert!(answer.contains(&("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".into())));
/// # Ok::<(), glowplug_websocket::HandshakeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ServerHandshake {
    accept: String,
    offered: Vec<String>,
    extensions: Option<String>,
    agreed: Agreed,
}

impl ServerHandshake {
    /// Reads the request. Who it comes from (`Origin`) and where it goes is for the application to check. Browsers let any page open
    /// a WebSocket to any server: one that trusts cookies has to check the origin.
    pub fn read<'f>(
        method: &str,
        fields: impl IntoIterator<Item = (&'f str, &'f [u8])>,
        config: &Config,
    ) -> Result<Self, HandshakeError> {
        if method != "GET" {
            return Err(HandshakeError::NotGet);
        }
        let (mut upgrade, mut connection) = (false, false);
        let (mut keys, mut versions, mut offered, mut offers) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (name, value) in fields {
            if name.eq_ignore_ascii_case("upgrade") {
                upgrade |= has_element(value, "websocket");
            } else if name.eq_ignore_ascii_case("connection") {
                connection |= has_element(value, "upgrade");
            } else if name.eq_ignore_ascii_case("sec-websocket-key") {
                keys.push(value.trim_ascii());
            } else if name.eq_ignore_ascii_case("sec-websocket-version") {
                versions.push(value.trim_ascii());
            } else if name.eq_ignore_ascii_case("sec-websocket-protocol") {
                offered.extend(elements(value).map(str::to_owned));
            } else if name.eq_ignore_ascii_case("sec-websocket-extensions") {
                offers.push(value);
            }
        }
        if !upgrade || !connection {
            return Err(HandshakeError::NotUpgrade);
        }
        if !matches!(versions[..], [b"13"]) {
            return Err(HandshakeError::Version);
        }
        let key = match keys[..] {
            [key] if STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16) => key,
            _ => return Err(HandshakeError::Key),
        };
        let key = core::str::from_utf8(key).map_err(|_| HandshakeError::Key)?;
        let mut chosen = None;
        for value in offers {
            if !extensions::is_valid(value) {
                return Err(HandshakeError::Extension);
            }
            if let (None, Some(deflate)) = (&chosen, config.negotiable()) {
                chosen = extensions::choose(value, deflate).map_err(|()| HandshakeError::Extension)?;
            }
        }
        let (deflate, extensions) = chosen.unzip();
        let agreed = Agreed { protocol: None, deflate };
        Ok(Self { accept: accept_key(key), offered, extensions, agreed })
    }

    /// The subprotocols that the client offers, best first.
    pub fn offered_protocols(&self) -> impl Iterator<Item = &str> {
        self.offered.iter().map(String::as_str)
    }

    /// Chooses the client's best subprotocol among those that the server speaks; none if there is none.
    pub fn choose_protocol(&mut self, spoken: &[impl AsRef<str>]) -> Option<&str> {
        let speaks = |name: &&String| spoken.iter().any(|spoken| spoken.as_ref() == name.as_str());
        self.agreed.protocol = self.offered.iter().find(speaks).cloned();
        self.agreed.protocol.as_deref()
    }

    /// The fields of the answer, whose status is 101.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = Vec::with_capacity(5);
        fields.push(("connection", "Upgrade".into()));
        fields.push(("upgrade", "websocket".into()));
        fields.push(("sec-websocket-accept", self.accept.clone()));
        if let Some(protocol) = &self.agreed.protocol {
            fields.push(("sec-websocket-protocol", protocol.clone()));
        }
        if let Some(extensions) = &self.extensions {
            fields.push(("sec-websocket-extensions", extensions.clone()));
        }
        fields
    }

    /// What both ends have agreed on, once the answer is sent.
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }
}

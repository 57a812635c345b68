//! The opening handshake (RFC 6455 §4) and the negotiation of permessage-deflate (RFC 7692 §5, §7.1).
//!
//! Fields are pairs of a name and a value, as every HTTP has them: `headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes()))`.

mod client;
mod extensions;
mod server;

use alloc::string::String;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

pub use client::ClientHandshake;
pub use extensions::DeflateParams;
pub use server::ServerHandshake;

/// What both ends have agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agreed {
    /// The subprotocol, if one was chosen.
    pub protocol: Option<String>,
    /// Compression, if it was negotiated.
    pub deflate: Option<DeflateParams>,
}

/// The value of `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key` (RFC 6455 §4.2.2).
///
/// ```
/// let accept = glowplug_websocket::accept_key("dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &str) -> String {
    let digest =
        Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    STANDARD.encode(digest)
}

/// Why there is no WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// To the server: the request is not a `GET` of HTTP/1.1.
    NotGet,
    /// To the server: the request asks for no WebSocket. To the client: the answer is not that of one.
    NotUpgrade,
    /// To the server: another version than 13. The answer names ours.
    Version,
    /// To the server: the key is missing, repeated, or not 16 bytes in base64.
    Key,
    /// To the client: the answer does not prove that the request was understood.
    Accept,
    /// To the client: the status is not 101.
    Status(u16),
    /// To the client: the server chose a subprotocol that was not offered.
    Protocol,
    /// To the client: the server chose an extension, or a parameter of one, that was not offered. To the server: the field cannot
    /// be parsed.
    Extension,
}

impl HandshakeError {
    /// The status a server answers with: 405, 426 (with `sec-websocket-version: 13`) or 400.
    pub const fn status(&self) -> u16 {
        match self {
            Self::NotGet => 405,
            Self::NotUpgrade | Self::Version => 426,
            _ => 400,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotGet => "a websocket begins with a get of http/1.1",
            Self::NotUpgrade => "no upgrade to a websocket",
            Self::Version => "another version of websocket than 13",
            Self::Key => "invalid sec-websocket-key",
            Self::Accept => "invalid sec-websocket-accept",
            Self::Status(status) => return write!(f, "the server answered with status {status}"),
            Self::Protocol => "the server chose a subprotocol that was not offered",
            Self::Extension => "invalid or unexpected websocket extension",
        })
    }
}

impl core::error::Error for HandshakeError {}

/// True for a token of HTTP (RFC 9110 §5.6.2), which a subprotocol's name has to be.
pub fn is_token(name: &str) -> bool {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_char)
}

/// The elements of a comma-separated field, as text; what is not text is left out.
fn elements(value: &[u8]) -> impl Iterator<Item = &str> {
    let text = core::str::from_utf8(value).unwrap_or_default();
    text.split(',').map(|element| element.trim_matches([' ', '\t'])).filter(|element| !element.is_empty())
}

/// True when a comma-separated field has this element, in any case.
fn has_element(value: &[u8], wanted: &str) -> bool {
    elements(value).any(|element| element.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests;

//! What a client connection tells.

use glowplug_core::Answer;

use crate::wire::{Protocol, Reply};

/// What a [`ClientConnection`](crate::ClientConnection) tells the application.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A reply to a request. Confirmations of a subscription are answers too.
    Answer(Answer<Reply>),
    /// What the server says unasked: a published message, an invalidation, a monitored command.
    /// [`PushMessage::parse`](crate::PushMessage::parse) reads the usual ones.
    Push(Reply),
    /// The handshake is done. Comes once, before any answer.
    Connected {
        /// The version that is spoken.
        protocol: Protocol,
        /// What `HELLO` told about the server, a map; `None` over RESP2.
        server: Option<Reply>,
    },
}

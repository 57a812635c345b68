//! What the machines tell.

use glowplug_core::Answer;

use crate::error::ServerError;
use crate::wire::{Reply, Request};

/// What a node answered: a reply, or that it refused the request.
pub type Response = Result<Reply, ServerError>;

/// What a [`ClientConnection`](crate::ClientConnection) tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The node agrees to TLS: do the handshake on the transport now, then call
    /// [`tls_established`](crate::ClientConnection::tls_established).
    StartTls,
    /// TLS and authentication are done, as far as they were asked for. Requests go out from now on.
    Ready,
    /// An answer. Several come for a stream; `last` tells.
    Answer(Answer<Response>),
}

/// What a [`ServerConnection`](crate::ServerConnection) tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The client asked for TLS and was told yes: send what
    /// [`poll_transmit`](glowplug_core::StreamProtocol::poll_transmit) gives, do the handshake on the transport, then call
    /// [`tls_established`](crate::ServerConnection::tls_established).
    StartTls,
    /// A request, to be answered by [`reply`](crate::ServerConnection::reply). The next one comes after the last reply.
    Request(Request),
}

//! WebSocket for any runtime: connect, accept, and talk in messages.
//!
//! ```text
//!   Connector ──▶ dial, HTTP handshake ──┐
//!   Acceptor ───▶ any transport ─────────┼──▶ WebSocket ──▶ recv, send, close; Stream and Sink
//!     └─────────▶ the HTTP server's ─────┘        └──split──▶ Reader and Writer
//!                 handler (axum's too)
//! ```
//!
//! No task stands behind a socket: whoever receives or sends moves its bytes both ways, answers pings and keeps deadlines. Not
//! receiving holds the peer back; sending waits for room. Every future may be dropped at any await: a message is received whole or
//! not at all, and one that was taken for sending goes out whole with the next thing that is done on the socket.
//!
//! ```no_run
//! # use glowplug_runtime::websocket::{Connector, Error, ConnectError, Message};
//! # use glowplug_runtime::Runtime;
//! # async fn example<R: Runtime>(runtime: R) -> Result<(), Box<dyn std::error::Error>> {
//! let mut socket = Connector::new(runtime).connect("ws://example.org/chat").await?;
//! socket.send("hello").await?;
//! while let Some(message) = socket.recv().await? {
//!     println!("{message:?}");
//! }
//! # Ok(())
//! # }
//! ```

mod accept;
mod connect;
mod error;
mod link;
mod socket;
mod split;
mod upgrade;

pub use accept::Acceptor;
pub use connect::Connector;
pub use error::{AcceptError, ConnectError, Error, Rejection};
pub use glowplug_websocket::{
    ByteString, CloseCode, CloseFrame, Config, DeflateConfig, Event, HandshakeError, Message, MessageKind,
};
pub use socket::WebSocket;
pub use split::{Reader, Writer};
pub use upgrade::{Talking, Upgrading};

use std::time::Duration;

/// A WebSocket that came through the HTTP server, which may serve TLS or not.
pub type ServerSocket<R> = WebSocket<R, Box<dyn crate::Transport + Send>>;

/// How long a peer may take nothing of what is sent to it, unless it is told otherwise.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a handshake may take, unless it is told otherwise.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

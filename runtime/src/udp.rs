//! UDP conversations: one socket, any number of peers, each with a context of its own.
//!
//! A plain function serves one peer, whoever else writes to the socket meanwhile. Every peer's datagrams wait in a queue of
//! its own, and what the function sends goes to its own peer:
//!
//! ```no_run
//! # use glowplug_runtime::{BoxFuture, Runtime, Spawn, server::Guarded, udp::{self, Drive, Served}};
//! # async fn example<R>(runtime: R) -> std::io::Result<()>
//! # where R: Runtime + Spawn<Drive<R>> + Spawn<Guarded<Served<BoxFuture<()>>>> {
//! udp::serve(runtime, ([0, 0, 0, 0], 7).into(), |conversation| -> BoxFuture<()> {
//!     Box::pin(async move {
//!         while let Ok(datagram) = conversation.recv().await {
//!             if conversation.send(datagram).await.is_err() {
//!                 return;
//!             }
//!         }
//!     }) // the conversation ends with the function
//! })
//! .await
//! # }
//! ```
//!
//! ```text
//!                 accept, connect       ┌──────────────┐            ┌──────────────┐
//!   Listener ──────────────────────────▶│ state (lock) │ ── turn ── │ Drive (task) │ ◀──▶ socket
//!   Conversation ── recv, send, close ─▶│ the machine, │            │ both batches │
//!     └ Child ───── recv, send ────────▶│ who waits    │            └──────────────┘
//!                                       └──────────────┘
//! ```
//!
//! - [`Listener`] takes conversations that peers begin, or [serves](Listener::serve) each in a task of its own; it also
//!   [connects](Listener::connect) on the same socket. [`connect`] is for a client with one peer and a socket of its own.
//! - [`Conversation`] owns its conversation: when it is dropped, the conversation is over. A [`Child`] does not own it, and ends
//!   with it. Inside a served function, [`conversation::current`] is the one it serves.
//! - [`reliable`] has conversations whose messages arrive once, and in order.
//!
//! The rules are those of the machine, [`glowplug_udp::Tracker`]: who may begin a conversation, how many there may be, how much waits
//! unread, when a silent peer is given up. They are set by [`Builder::tracker`]. A task that panics, that is cancelled, or that
//! never reads is its own peer's misfortune: the others do not notice.
//!
//! Nothing here waits for ever: `recv` and `send` end with the conversation, whose peer may be silent for two minutes unless
//! [`glowplug_udp::Config::idle_timeout`] says otherwise. For less, put [`within`](crate::time::within) around them: both may be dropped at
//! any time, and lose nothing.

pub mod conversation;
mod drive;
mod error;
mod listener;
mod machine;
pub mod reliable;
mod serve;
mod state;

pub use conversation::{Child, Conversation, Recv, Scoped, Send};
pub use drive::Drive;
pub use error::{Closed, SendError};
pub use glowplug_udp::{
    Accept, Config, ConnectError, Counters, Eviction, Overflow, RateLimit, Reason, Totals,
};
pub use listener::{Accepting, Builder, Listener, connect};
pub use machine::Machine;
pub use serve::{Served, serve};

//! The shared driver: many callers on one connection.
//!
//! ```text
//!   callers ── submit ──▶ ┌──────────────┐            ┌──────────────┐
//!   (Call)                │ state (lock) │ ── turn ── │ Drive (task) │ ◀──▶ transport
//!           ◀── answer ── │ machine,slots│            │ both buffers │
//!                         └──────────────┘            └──────────────┘
//! ```
//!
//! The machine and a slab of slots lie under one lock; the transport and both buffers belong to the [`Drive`] task, which takes
//! the lock for pure turns only. A call submits straight into the machine, so a busy connection costs a caller one short lock and
//! no wake-up; answers land in the caller's slot.
//!
//! - Nobody's progress depends on another caller being polled.
//! - A caller who goes away leaves its slot behind: the answer is read and thrown away, nobody's shifts.
//! - A deadline covers the whole wait, for room included, and its error says how far the request got.
//! - The task ends with the last [`Connection`] handle.
//!
//! Callers are woken a few at a time. Between two such groups the task lets the woken run and writes what they staged, so that the peer
//! works on one group while we work on the next; waking everybody first would have both sides wait for each other in turn.

mod call;
mod connection;
mod state;
mod task;

pub use call::{Call, CallError, Calls};
pub use connection::{Connection, NextEvent};
pub use state::Config;
pub use task::Drive;

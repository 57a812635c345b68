//! The shared driver: many callers on one connection.
//!
//! ```text
//!   callers ── submit ──▶ ┌──────────────┐            ┌──────────────┐
//!   (Call)                │ state (lock) │ ── turn ── │ Drive (task) │ ◀──▶ transport
//!           ◀── answer ── │ machine,slots│            │ pump         │
//!                         └──────────────┘            └──────────────┘
//! ```
//!
//! The machine and a slab of slots lie under one lock. The transport and both buffers, the *pump*, belong to the [`Drive`] task while it is
//! awake; it takes the lock for pure turns only, and I/O happens outside. A call submits straight into the machine, so a busy connection costs a
//! caller one short lock and no wake-up; answers land in the caller's slot.
//!
//! A caller who is alone drives. When calls come one by one, the sleeping task leaves the pump in the shared state, and a call takes it for each of its
//! polls: it writes its request and reads its answer itself, and the task sleeps on. The lead goes back to the task, and never to another caller, when a
//! second call comes, when the leader is dropped, when somebody listens for events, and when anything but the expected answer comes up. While callers lead,
//! the task looks in every 10 ms: it keeps deadlines, and takes over when no call was led for that long, so that a leader who is not polled, a push
//! and the end of the stream wait for 20 ms at most.
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
mod slots;
mod state;
mod task;

pub use call::{Call, CallError, Calls};
pub use connection::{Connection, NextEvent};
pub use state::Config;
pub use task::Drive;

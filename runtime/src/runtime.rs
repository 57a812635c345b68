//! What a plug implements.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use glowplug_core::{Instant, Seed};

use crate::{DatagramSocket, Endpoint, Listener, Transport};

/// A boxed future that may move between threads: what most plugs use for connecting and its like, which happen once per
/// connection.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An executor, its sockets, its clock and its dice.
///
/// A plug is small: it names its types and forwards. It does not ask for `Send` anywhere, so that a thread-per-core
/// executor is a plug like any other; whether a client's future is `Send` follows from the plug's types. That is also
/// why connecting and its like are associated types: an `async fn` would hide it.
///
/// All clones of one runtime share the epoch of their clock.
pub trait Runtime: Clone + Unpin + 'static {
    /// A connected byte stream.
    type Stream: Transport + Unpin + 'static;
    /// A listening socket.
    type Listener: Listener<Stream = Self::Stream> + Unpin + 'static;
    /// A datagram socket.
    type Datagram: DatagramSocket + Unpin + 'static;
    /// One deadline.
    type Timer: Timer + Unpin + 'static;
    /// What [`connect`](Self::connect) returns.
    type Connecting: Future<Output = io::Result<Self::Stream>> + Unpin + 'static;
    /// What [`listen`](Self::listen) returns.
    type Listening: Future<Output = io::Result<Self::Listener>> + Unpin + 'static;
    /// What [`bind`](Self::bind) returns.
    type Binding: Future<Output = io::Result<Self::Datagram>> + Unpin + 'static;
    /// What [`resolve`](Self::resolve) returns.
    type Resolving: Future<Output = io::Result<Vec<SocketAddr>>> + Unpin + 'static;

    /// The time, since an epoch that all clones share. Never goes back.
    fn now(&self) -> Instant;

    /// The time of day, for `Date` headers, certificates and signatures.
    fn wall_clock(&self) -> SystemTime;

    /// Fills `bytes` with unpredictable bytes (in a simulator: with bytes of its seed).
    fn fill_random(&self, bytes: &mut [u8]);

    /// A fresh seed for a machine.
    fn seed(&self) -> Seed {
        let mut bytes = [0; 32];
        self.fill_random(&mut bytes);
        Seed::new(bytes)
    }

    /// A timer that is not armed.
    fn timer(&self) -> Self::Timer;

    /// Connects a stream. TCP streams come with Nagle's algorithm off: machines write whole messages.
    fn connect(&self, to: &Endpoint) -> Self::Connecting;

    /// Listens for streams.
    fn listen(&self, at: &Endpoint) -> Self::Listening;

    /// Binds a datagram socket.
    fn bind(&self, local: SocketAddr) -> Self::Binding;

    /// Resolves a name with the system's resolver, off the reactor's thread.
    fn resolve(&self, host: &str, port: u16) -> Self::Resolving;
}

/// Starts a task that nobody waits for.
///
/// What this crate spawns are named future types, so that a client can state this bound for exactly what it spawns.
/// Executors differ in what becomes of a task whose handle is dropped or whose body panics; `runtime` evens that
/// out, and plugs add nothing.
pub trait Spawn<F> {
    /// Runs `future` to its end, detached.
    fn spawn(&self, future: F);
}

/// One deadline, armed and re-armed.
pub trait Timer {
    /// Arms the timer for `at`, or disarms it. The next `poll_expired` registers the waker anew.
    fn reset(&mut self, at: Option<Instant>);

    /// Ready once the armed time has come, and again on every later poll until `reset`. Pending while disarmed.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

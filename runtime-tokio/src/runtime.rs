//! The plug itself.

use std::io;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::SystemTime;

use glowplug_core::Instant;
use glowplug_runtime::{BoxFuture, Endpoint, Runtime, Spawn};

use crate::{Datagram, Listener, Stream, Timer};

/// The tokio runtime that the calling task runs in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

/// The moment all clocks of this plug count from. Taken from the system and not from a tokio runtime, whose clock a test may
/// have paused and moved.
fn epoch() -> tokio::time::Instant {
    static EPOCH: OnceLock<std::time::Instant> = OnceLock::new();
    (*EPOCH.get_or_init(std::time::Instant::now)).into()
}

/// Our time, as tokio's.
pub(crate) fn to_tokio(at: Instant) -> tokio::time::Instant {
    let since = std::time::Duration::from_nanos(at.as_nanos());
    // No sum of a clock and a far deadline may overflow: a year from now is as good as never.
    epoch().checked_add(since).unwrap_or_else(|| epoch() + std::time::Duration::from_secs(60 * 60 * 24 * 365))
}

impl Runtime for Tokio {
    type Stream = Stream;
    type Listener = Listener;
    type Datagram = Datagram;
    type Timer = Timer;
    type Connecting = BoxFuture<io::Result<Stream>>;
    type Listening = BoxFuture<io::Result<Listener>>;
    type Binding = BoxFuture<io::Result<Datagram>>;
    type Resolving = BoxFuture<io::Result<Vec<SocketAddr>>>;

    fn now(&self) -> Instant {
        let since = tokio::time::Instant::now().saturating_duration_since(epoch());
        Instant::ZERO + since
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system's random source answers; without it nothing here is safe");
    }

    fn timer(&self) -> Timer {
        Timer::new()
    }

    fn connect(&self, to: &Endpoint) -> Self::Connecting {
        Box::pin(Stream::connect(to.clone()))
    }

    fn listen(&self, at: &Endpoint) -> Self::Listening {
        Box::pin(Listener::bind(at.clone()))
    }

    fn bind(&self, local: SocketAddr) -> Self::Binding {
        Box::pin(Datagram::bind(local))
    }

    fn resolve(&self, host: &str, port: u16) -> Self::Resolving {
        let host = host.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Tokio {
    fn spawn(&self, future: F) {
        tokio::spawn(future);
    }
}

//! The plug itself.

use std::future::{Ready, ready};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use glowplug_core::Instant;
use glowplug_runtime::{BoxFuture, Endpoint, Runtime, Spawn};

use crate::{Datagram, Listener, Stream, Timer};

/// smol's reactor, with its global executor or one of yours.
#[derive(Clone, Debug, Default)]
pub struct Smol {
    executor: Option<Arc<smol::Executor<'static>>>,
}

impl Smol {
    /// Tasks run on `executor`, which the caller drives, instead of on smol's global one.
    pub fn on(executor: Arc<smol::Executor<'static>>) -> Self {
        Self { executor: Some(executor) }
    }
}

/// The moment all clocks of this plug count from.
fn epoch() -> std::time::Instant {
    static EPOCH: OnceLock<std::time::Instant> = OnceLock::new();
    *EPOCH.get_or_init(std::time::Instant::now)
}

/// Our time, as the system's.
pub(crate) fn to_system(at: Instant) -> std::time::Instant {
    let since = Duration::from_nanos(at.as_nanos());
    // No sum of a clock and a far deadline may overflow: a year from now is as good as never.
    epoch().checked_add(since).unwrap_or_else(|| epoch() + Duration::from_secs(60 * 60 * 24 * 365))
}

impl Runtime for Smol {
    type Stream = Stream;
    type Listener = Listener;
    type Datagram = Datagram;
    type Timer = Timer;
    type Connecting = BoxFuture<io::Result<Stream>>;
    type Listening = Ready<io::Result<Listener>>;
    type Binding = Ready<io::Result<Datagram>>;
    type Resolving = BoxFuture<io::Result<Vec<SocketAddr>>>;

    fn now(&self) -> Instant {
        Instant::ZERO + epoch().elapsed()
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
        ready(Listener::bind(at))
    }

    fn bind(&self, local: SocketAddr) -> Self::Binding {
        ready(Datagram::bind(local))
    }

    fn resolve(&self, host: &str, port: u16) -> Self::Resolving {
        let host = host.to_owned();
        Box::pin(smol::unblock(move || Ok((host, port).to_socket_addrs()?.collect())))
    }
}

impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Smol {
    fn spawn(&self, future: F) {
        match &self.executor {
            Some(executor) => executor.spawn(future).detach(),
            None => smol::spawn(future).detach(),
        }
    }
}

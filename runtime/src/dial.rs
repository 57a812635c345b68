//! Connecting by name: resolve, race the addresses, start TLS, within one deadline.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use glowplug_core::{Connect, ConnectConfig, ConnectStep};

use crate::drive::Deadline;
use crate::{BoxFuture, Endpoint, Runtime};

mod dialing;

use dialing::Goal;

pub use dialing::Dialing;

/// Turns names into addresses: the choice of a client's builder. Without one, the runtime's own resolver is asked, which is the
/// system's.
pub trait Resolve: Send + Sync {
    /// The addresses of `host`, best first, each with `port`.
    ///
    /// `host` may be a literal address. Dropping the future gives the question up.
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>>;
}

impl<T: Resolve + ?Sized> Resolve for Arc<T> {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        (**self).resolve(host, port)
    }
}

/// Connects to names, addresses and paths. Cheap to clone.
///
/// The addresses of a name are raced as RFC 8305 has it (Happy Eyeballs): families alternate, an address that does not answer gets company
/// after 250 ms, one that fails is followed at once.
#[derive(Clone)]
pub struct Dialer<R: Runtime> {
    runtime: R,
    resolver: Option<Arc<dyn Resolve>>,
    race: ConnectConfig,
    timeout: Option<Duration>,
    /// Empty until it is first needed, unless it was set.
    #[cfg(feature = "tls")]
    tls: Arc<std::sync::OnceLock<crate::tls::ClientConfig>>,
}

/// What a dialer was doing when its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialPhase {
    /// It resolved the name.
    Resolve,
    /// It waited for a peer to accept.
    Connect,
    /// It agreed on TLS.
    Tls,
}

impl fmt::Display for DialPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the name",
            Self::Connect => "connecting",
            Self::Tls => "agreeing on tls",
        })
    }
}

/// Why there is no connection. Nothing of the application was sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum DialError {
    /// The name could not be resolved.
    Resolve(io::Error),
    /// No address could be connected to; the error is that of the attempt which failed last.
    Connect(io::Error),
    /// The TLS handshake failed.
    Tls(io::Error),
    /// The time was up.
    TimedOut(DialPhase),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(_) => f.write_str("the host name could not be resolved"),
            Self::Connect(_) => f.write_str("no address could be connected to"),
            Self::Tls(_) => f.write_str("the tls handshake failed"),
            Self::TimedOut(phase) => write!(f, "the time to connect was up while {phase}"),
        }
    }
}

impl std::error::Error for DialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Resolve(error) | Self::Connect(error) | Self::Tls(error) => Some(error),
            Self::TimedOut(_) => None,
        }
    }
}

impl From<DialError> for io::Error {
    fn from(error: DialError) -> Self {
        let kind = match &error {
            DialError::Resolve(inner) | DialError::Connect(inner) | DialError::Tls(inner) => inner.kind(),
            DialError::TimedOut(_) => io::ErrorKind::TimedOut,
        };
        Self::new(kind, error)
    }
}

impl<R: Runtime> Dialer<R> {
    /// A dialer with the runtime's resolver and 10 s for everything.
    pub fn new(runtime: R) -> Self {
        Self {
            runtime,
            resolver: None,
            race: ConnectConfig::default(),
            timeout: Some(Duration::from_secs(10)),
            #[cfg(feature = "tls")]
            tls: Arc::default(),
        }
    }

    /// Sets how long connecting may take: the name, the socket and TLS together. Default 10 s; `None` waits for ever.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets who resolves names. The default is the runtime's own resolver.
    pub fn resolver(mut self, resolver: impl Resolve + 'static) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Sets how addresses are raced.
    pub fn race(mut self, config: ConnectConfig) -> Self {
        self.race = config;
        self
    }

    /// Sets how TLS is spoken. The default verifies servers by the operating system's roots.
    #[cfg(feature = "tls")]
    pub fn tls_config(mut self, config: crate::tls::ClientConfig) -> Self {
        self.tls = Arc::new(config.into());
        self
    }

    /// The runtime connections are made on.
    pub fn runtime(&self) -> &R {
        &self.runtime
    }

    /// Connects to `host`, a name or a literal address (IPv6 with or without brackets), over TCP.
    pub fn tcp(&self, host: &str, port: u16) -> Dialing<R> {
        Dialing::new(self, Goal::Host(port), host, false)
    }

    /// Connects to `host` over TCP and starts TLS, for which the server has to show a certificate for `host`. Without the feature `tls` it
    /// fails with [`DialError::Tls`] before anything is sent.
    pub fn tls(&self, host: &str, port: u16) -> Dialing<R> {
        Dialing::new(self, Goal::Host(port), host, true)
    }

    /// Connects to a Unix stream socket.
    pub fn unix(&self, path: impl AsRef<Path>) -> Dialing<R> {
        self.endpoint(&Endpoint::Unix(path.as_ref().to_owned()))
    }

    /// Connects to one address or path.
    pub fn endpoint(&self, to: &Endpoint) -> Dialing<R> {
        Dialing::new(self, Goal::Endpoint(to.clone()), "", false)
    }

    /// Connects to one address or path and starts TLS, for which the server has to show a certificate for `host`. Without the feature
    /// `tls` it fails as [`tls`](Self::tls) does.
    pub fn tls_at(&self, to: &Endpoint, host: &str) -> Dialing<R> {
        Dialing::new(self, Goal::Endpoint(to.clone()), host, true)
    }

    /// How long connecting may take.
    #[cfg(any(feature = "http", feature = "redis"))]
    pub(crate) fn time(&self) -> Option<Duration> {
        self.timeout
    }

    /// Starts TLS on a stream that leads to `host` in some other way.
    #[cfg(feature = "http")]
    pub(crate) fn tls_on(&self, stream: R::Stream, host: &str) -> Dialing<R> {
        Dialing::new(self, Goal::Stream(stream), host, true)
    }

    /// How TLS is spoken. The system is asked for its roots once: the clones of a dialer share them, and the sessions that may be resumed.
    #[cfg(feature = "tls")]
    fn tls_settings(&self) -> Result<&crate::tls::ClientConfig, DialError> {
        if let Some(config) = self.tls.get() {
            return Ok(config);
        }
        let platform = crate::tls::ClientConfig::platform();
        let platform = platform.map_err(|error| DialError::Tls(io::Error::other(error)))?;
        Ok(self.tls.get_or_init(|| platform))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "the same signature as with TLS")]
    fn tls_settings(&self) -> Result<(), DialError> {
        let error = io::Error::new(io::ErrorKind::Unsupported, "built without the feature `tls`");
        Err(DialError::Tls(error))
    }
}

/// URLs write IPv6 literals in brackets, resolvers and certificates do not.
fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The attempts that are under way.
struct Race<R: Runtime> {
    connect: Connect,
    attempts: Vec<R::Connecting>,
    deadline: Deadline<R::Timer>,
    last_error: Option<io::Error>,
    runtime: R,
}

impl<R: Runtime> Race<R> {
    fn new(runtime: R, config: ConnectConfig, addresses: Vec<SocketAddr>) -> Self {
        let mut connect = Connect::new(config);
        connect.add(runtime.now(), addresses);
        connect.resolved();
        let deadline = Deadline::new(runtime.timer());
        Self { connect, attempts: Vec::new(), deadline, last_error: None, runtime }
    }

    /// Ready once; not to be polled after that.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<R::Stream>> {
        loop {
            let now = self.runtime.now();
            loop {
                match self.connect.poll(now) {
                    ConnectStep::Dial(address) => {
                        self.attempts.push(self.runtime.connect(&Endpoint::Tcp(address)));
                    }
                    ConnectStep::Wait => break,
                    ConnectStep::Exhausted => {
                        let error = self.last_error.take().unwrap_or_else(|| {
                            io::Error::new(io::ErrorKind::NotFound, "the name has no address")
                        });
                        return Poll::Ready(Err(error));
                    }
                }
            }
            let before = self.attempts.len();
            let mut index = 0;
            while let Some(attempt) = self.attempts.get_mut(index) {
                match Future::poll(Pin::new(attempt), cx) {
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(error)) => {
                        drop(self.attempts.swap_remove(index));
                        self.connect.failed();
                        self.last_error = Some(error);
                    }
                    Poll::Pending => index += 1,
                }
            }
            if self.attempts.len() < before {
                continue;
            }
            self.deadline.set(self.connect.poll_timeout());
            if self.deadline.poll(cx, now).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl<R: Runtime> fmt::Debug for Dialer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("timeout", &self.timeout)
            .field("race", &self.race)
            .finish_non_exhaustive()
    }
}

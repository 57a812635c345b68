//! A server: UDP and TCP on one address, and TLS beside them.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use glowplug_dns::{Incoming, Response, Zones};

use super::serve_datagrams::ServeDatagrams;
use super::serve_stream::Serving;
use crate::server::{self, Guarded};
use crate::{Endpoint, Listener as _, Runtime, Spawn};

/// How a server behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// EDNS, and the limits of each connection.
    pub connection: glowplug_dns::ServerConfig,
    /// How many connections are served at once, over TCP and over TLS each; further ones wait in the system's backlog. Default 1024.
    pub max_connections: usize,
    /// How many queries over UDP are worked on at once; those beyond are dropped, and their clients ask again. Default 4096.
    pub max_datagrams: usize,
    /// How long a handler may take; then SERVFAIL is answered for it. Default 10 s.
    pub query_timeout: Duration,
    /// How long a TLS handshake may take. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long a stopped server waits for its handlers and connections before it gives them up. Default 10 s.
    pub drain_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            connection: glowplug_dns::ServerConfig::default(),
            max_connections: 1024,
            max_datagrams: 4096,
            query_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// One query, for a handler.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The query, with what its client said by EDNS.
    pub query: Incoming,
    /// Where it comes from. Over UDP nobody vouches for it.
    pub peer: Endpoint,
}

/// What answers queries. A function from [`Asked`] to a future of a [`Response`] is one, and so are [`Zones`].
///
/// Sizes, truncation and EDNS are done for the handler: it says what there is to say. A handler that panics or takes longer than
/// [`ServerConfig::query_timeout`] is dropped, and SERVFAIL is answered for it.
pub trait Handler {
    /// The work on one query.
    type Answering: Future<Output = Response>;

    /// Begins the work on one query.
    fn answer(&self, asked: Asked) -> Self::Answering;
}

impl<H, F> Handler for H
where
    H: Fn(Asked) -> F,
    F: Future<Output = Response>,
{
    type Answering = F;

    fn answer(&self, asked: Asked) -> F {
        self(asked)
    }
}

impl Handler for Zones {
    type Answering = std::future::Ready<Response>;

    fn answer(&self, asked: Asked) -> Self::Answering {
        std::future::ready(self.respond(&asked.query))
    }
}

/// A name server. [`run`](Self::run) serves.
///
/// ```ignore
/// let server = Server::bind(Tokio, "127.0.0.1:0".parse()?).await?;
/// println!("dig @127.0.0.1 -p {}", server.local_addr()?.port());
/// server.run(Zones::from(zone)).await;
/// ```
pub struct Server<R: Runtime> {
    runtime: R,
    udp: R::Datagram,
    tcp: server::Server<R>,
    #[cfg(feature = "tls")]
    tls: Option<(server::Server<R>, crate::tls::ServerConfig)>,
    config: ServerConfig,
    halt: Arc<Halt>,
}

/// Stops a server from elsewhere. Cheap to clone.
#[derive(Clone)]
pub struct Stopper {
    halt: Arc<Halt>,
    streams: Vec<server::Stopper>,
}

/// Tells the half that serves datagrams to stop.
#[derive(Default)]
pub(super) struct Halt(Mutex<(bool, Option<Waker>)>);

impl Halt {
    fn lock(&self) -> MutexGuard<'_, (bool, Option<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self) {
        let waker = {
            let mut state = self.lock();
            state.0 = true;
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether to stop; if not, `waker` is woken when that changes.
    pub(super) fn is_set(&self, waker: &Waker) -> bool {
        let mut state = self.lock();
        if !state.0 && !state.1.as_ref().is_some_and(|known| known.will_wake(waker)) {
            state.1 = Some(waker.clone());
        }
        state.0
    }
}

impl Stopper {
    /// Asks the server to stop: it takes no more queries, and answers those it has. Asking again changes nothing.
    pub fn stop(&self) {
        self.halt.set();
        self.streams.iter().for_each(server::Stopper::stop);
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper").finish_non_exhaustive()
    }
}

/// How often another port is tried when the system's pick for TCP is taken for UDP.
const PORT_TRIES: u32 = 16;

impl<R: Runtime> Server<R> {
    /// Listens at `at`, over UDP and TCP. For port 0 the system picks one that both have free.
    pub async fn bind(runtime: R, at: SocketAddr) -> io::Result<Self> {
        let mut tries = PORT_TRIES;
        loop {
            let listener = runtime.listen(&Endpoint::Tcp(at)).await?;
            let port = listener.local_endpoint()?.socket_addr().map_or(at.port(), |addr| addr.port());
            match runtime.bind(SocketAddr::new(at.ip(), port)).await {
                Ok(udp) => {
                    let tcp = server::Server::on(runtime.clone(), listener);
                    return Ok(Self {
                        runtime,
                        udp,
                        tcp,
                        #[cfg(feature = "tls")]
                        tls: None,
                        config: ServerConfig::default(),
                        halt: Arc::default(),
                    });
                }
                Err(error) if at.port() == 0 && error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {
                    tries -= 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Sets how the server behaves.
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.config = config;
        self
    }

    /// Listens at `at` as well, for DNS over TLS (RFC 7858); the usual port is 853.
    #[cfg(feature = "tls")]
    pub async fn listen_tls(mut self, at: SocketAddr, config: crate::tls::ServerConfig) -> io::Result<Self> {
        let server = server::Server::bind(self.runtime.clone(), at).await?;
        self.tls = Some((server, config));
        Ok(self)
    }

    /// Where it listens over UDP and TCP.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        use crate::DatagramSocket as _;
        self.udp.local_addr()
    }

    /// Where it listens for TLS, if it does.
    #[cfg(feature = "tls")]
    pub fn local_tls_addr(&self) -> Option<SocketAddr> {
        self.tls.as_ref().and_then(|(server, _)| server.local_endpoint().ok()?.socket_addr())
    }

    /// What stops this server.
    pub fn stopper(&self) -> Stopper {
        #[cfg_attr(not(feature = "tls"), expect(unused_mut, reason = "with TLS there is one more"))]
        let mut streams = vec![self.tcp.stopper()];
        #[cfg(feature = "tls")]
        streams.extend(self.tls.as_ref().map(|(server, _)| server.stopper()));
        Stopper { halt: Arc::clone(&self.halt), streams }
    }

    /// Serves until [`Stopper::stop`], then answers what it has, within [`ServerConfig::drain_timeout`].
    ///
    /// Datagrams are served in the calling task, each connection in a task of its own. Dropping the future closes the sockets;
    /// connections run on. An error is the UDP socket's end.
    pub async fn run<H>(self, handler: H) -> io::Result<()>
    where
        H: Handler,
        R: Spawn<Guarded<Serving<H, R>>>,
    {
        let handler = Arc::new(handler);
        let streams = server::Config::default()
            .max_connections(self.config.max_connections)
            .drain_timeout(self.config.drain_timeout);
        let (runtime, config) = (&self.runtime, &self.config);
        let tcp = self
            .tcp
            .config(streams.clone())
            .run(|accepted| Serving::new(runtime.clone(), accepted, Arc::clone(&handler), config));
        #[cfg(feature = "tls")]
        let tls = async {
            let Some((server, tls)) = self.tls else { return };
            let handler = &handler;
            let serve =
                |accepted| Serving::under_tls(runtime.clone(), accepted, Arc::clone(handler), config, &tls);
            server.config(streams).run(serve).await;
        };
        #[cfg(not(feature = "tls"))]
        let tls = async {};
        let udp = ServeDatagrams::new(runtime.clone(), self.udp, Arc::clone(&handler), config, self.halt);
        all(udp, tcp, tls).await
    }
}

/// Runs the three halves of a server to their ends; if the first fails, that is the end of all.
async fn all(
    udp: impl Future<Output = io::Result<()>>,
    tcp: impl Future<Output = ()>,
    tls: impl Future<Output = ()>,
) -> io::Result<()> {
    let (mut udp, mut tcp, mut tls) = (std::pin::pin!(udp), std::pin::pin!(tcp), std::pin::pin!(tls));
    let (mut udp_over, mut tcp_over, mut tls_over) = (false, false, false);
    std::future::poll_fn(|cx| {
        use std::task::Poll;
        if !udp_over && let Poll::Ready(result) = udp.as_mut().poll(cx) {
            udp_over = true;
            if result.is_err() {
                return Poll::Ready(result);
            }
        }
        tcp_over = tcp_over || tcp.as_mut().poll(cx).is_ready();
        tls_over = tls_over || tls.as_mut().poll(cx).is_ready();
        if udp_over && tcp_over && tls_over { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

impl<R: Runtime> fmt::Debug for Server<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("at", &self.local_addr().ok()).finish_non_exhaustive()
    }
}

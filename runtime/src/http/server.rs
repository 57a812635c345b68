//! An HTTP/1.1 server: any tower service, hence any `axum::Router`, or a plain async function, on any runtime.
//!
//! ```text
//!   server::Server ──accept──▶ Serve (one task a connection)
//!     caps, drain               ├─ Link: ServerConnection, transport (TLS or not), deadlines
//!                               └─ the handler's future, or the body of its answer
//! ```
//!
//! A connection and the handler of its request share one task: no channel, no lock and no second wake-up lies between them. Requests on
//! one connection are answered one after the other; those that were pipelined are answered by one write.
//!
//! - Bodies stream both ways. Not reading [`Incoming`] holds the peer back, and an answer's body is polled only while there is
//!   room for it.
//! - Each state has a deadline, on by default: see [`Config`].
//! - A handler that panics or returns an error is answered for with a 500 if it had not begun to, and its connection closes.
//! - When the connection is lost, the handler's future is dropped at its await. A handler that wants to know when its peer has
//!   merely stopped sending asks its [`Connection`].
//! - A stopped server ([`Server::stopper`]) lets requests finish; their answers say `connection: close`.
//!
//! ```no_run
//! use glowplug_runtime::http::server::Server;
//! # use glowplug_runtime::http::server::{HttpService, Serving};
//! # use glowplug_runtime::{Runtime, Spawn};
//! # async fn run<R: Runtime, S: HttpService>(runtime: R, service: S) -> std::io::Result<()> where R: Spawn<Serving<R, S>> {
//! let at = std::net::SocketAddr::from(([127, 0, 0, 1], 8080));
//! let server = Server::bind(runtime, at).await?;
//! server.run(service).await;
//! # Ok(())
//! # }
//! ```

mod config;
mod connection;
mod incoming;
mod link;
mod raw;
mod serve;
mod service;
mod upgrade;

use std::fmt;
use std::io;
use std::sync::Arc;

pub use config::Config;
pub use connection::{Connection, PeerClosed};
pub use incoming::{BodyError, Incoming};
pub use raw::{RawFn, RawRequest, RawResponse, raw_fn};
pub use serve::Serve;
pub use service::{Answer, Answering, HttpService, ServiceFn, service_fn};
pub use upgrade::{OnUpgrade, UpgradeError, Upgraded};

use crate::server::{Accepted, Guarded, Stopper};
use crate::{Endpoint, MaybeTls, Runtime, Spawn, Transport};

/// One connection of a [`Server`], as the task that it spawns.
pub type Serving<R, S> = Guarded<Serve<R, S>>;

/// A listening HTTP server. [`run`](Self::run) serves.
pub struct Server<R: Runtime> {
    runtime: R,
    streams: crate::server::Server<R>,
    config: Config,
    erase: Option<Erase<R>>,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::ServerConfig>,
}

/// Makes a transport that any task may own: known only where the runtime's streams are `Send`.
type Erase<R> = fn(MaybeTls<<R as Runtime>::Stream>) -> Box<dyn Transport + Send>;

/// What all connections of a server share.
struct Settings<R: Runtime> {
    protocol: Arc<glowplug_http::ServerConfig>,
    write_timeout: Option<std::time::Duration>,
    min_write_rate: u32,
    connection_extension: bool,
    erase: Option<Erase<R>>,
}

impl<R: Runtime> Server<R> {
    /// Listens at `at`.
    pub async fn bind(runtime: R, at: impl Into<Endpoint>) -> io::Result<Self> {
        let listener = runtime.listen(&at.into()).await?;
        Ok(Self::on(runtime, listener))
    }

    /// Serves on a listener that is there already.
    pub fn on(runtime: R, listener: R::Listener) -> Self {
        Self {
            streams: crate::server::Server::on(runtime.clone(), listener),
            runtime,
            config: Config::default(),
            erase: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Sets how the server behaves.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Serves HTTPS. The handshake has to be done, and the first head to be there, within the head's deadline.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: crate::tls::ServerConfig) -> Self {
        self.tls = Some(config);
        self
    }

    /// Lets requests ask for the connection itself, by `Upgrade` or `CONNECT`: they carry an [`OnUpgrade`] as an extension. Without
    /// this, requests carry none, and a connection whose upgrade is granted all the same is closed.
    pub fn upgrades(mut self) -> Self
    where
        R::Stream: Send,
    {
        self.erase = Some(|stream| Box::new(stream));
        self
    }

    /// Where it listens; for port 0 the port that the system picked.
    pub fn local_endpoint(&self) -> io::Result<Endpoint> {
        self.streams.local_endpoint()
    }

    /// What stops this server.
    pub fn stopper(&self) -> Stopper {
        self.streams.stopper()
    }

    /// Serves until [`Stopper::stop`]: each connection is a task of its own, with a clone of `service`. Then the listener closes, requests
    /// that were begun are answered, idle connections are closed, and what is left when the time to drain is over is cancelled.
    ///
    /// Dropping the future closes the listener; connections run on.
    pub async fn run<S>(self, service: S)
    where
        S: HttpService,
        R: Spawn<Serving<R, S>>,
    {
        let settings = Arc::new(Settings {
            protocol: Arc::new(self.config.protocol),
            write_timeout: self.config.write_timeout,
            min_write_rate: self.config.min_write_rate,
            connection_extension: self.config.connection_extension,
            erase: self.erase,
        });
        let runtime = self.runtime;
        #[cfg(feature = "tls")]
        let tls = self.tls;
        let serve = |accepted: Accepted<R::Stream>| {
            let Accepted { stream, peer, stopping } = accepted;
            #[cfg(feature = "tls")]
            let (stream, is_tls) = match &tls {
                None => (MaybeTls::Plain(stream), false),
                Some(config) => {
                    let Ok(session) = crate::tls::Tls::server(stream, config) else {
                        return Serve::over(service.clone());
                    };
                    (MaybeTls::Tls(Box::new(session)), true)
                }
            };
            #[cfg(not(feature = "tls"))]
            let (stream, is_tls) = (MaybeTls::Plain(stream), false);
            let connection = Connection::new(peer, is_tls);
            Serve::new(runtime.clone(), settings.clone(), service.clone(), stream, connection, stopping)
        };
        self.streams.config(self.config.connections).run(serve).await;
    }
}

impl<R: Runtime> fmt::Debug for Server<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("at", &self.local_endpoint().ok()).finish_non_exhaustive()
    }
}

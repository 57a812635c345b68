//! Connections: made, taken out of the pool, looked at.

use std::future::poll_fn;
#[cfg(feature = "tls")]
use std::io;
use std::task::Poll;

use glowplug_http::{ClientConnection, Scheme};

use super::error::{ClientError, Stage, Trace};
use super::proxy::Route;
use super::{Inner, Lease, Stream};
use crate::Runtime;
#[cfg(feature = "tls")]
use crate::dial::DialError;
use crate::dial::Dialer;
use crate::drive::{Exclusive, KEPT_BUFFERS};

/// A connection: whoever holds it drives it.
pub(super) type Connection<R> = Exclusive<ClientConnection, Stream<R>, R>;

/// A connection to send one request on.
pub(super) struct Checkout<R: Runtime> {
    pub(super) lease: Lease<R>,
    pub(super) connection: Box<Connection<R>>,
    /// It has carried a request before.
    pub(super) reused: bool,
}

impl<R: Runtime> Inner<R> {
    /// A connection for `route`: an idle one that still stands, unless it has to be a `fresh` one, or else one that is dialled now.
    pub(super) async fn checkout(
        &self,
        route: &Route,
        fresh: bool,
        trace: &mut Trace,
    ) -> Result<Checkout<R>, ClientError> {
        trace.stage = Stage::Pool;
        let mut lease = self.pool.get(route.key()).await.map_err(ClientError::Pool)?;
        if let Some(mut connection) = lease.take().filter(|_| !fresh)
            && stands(&mut connection).await
        {
            return Ok(Checkout { lease, connection, reused: true });
        }
        trace.stage = Stage::Connect;
        // On the heap, since it happens once per connection: a TLS session in the making would blow every request's future up.
        let stream = Box::pin(self.dial(route)).await?;
        let now = self.runtime.now();
        let machine = ClientConnection::new(now, self.machine.clone());
        let mut connection = Box::new(Exclusive::new(self.runtime.clone(), stream, machine));
        connection.keep_buffers(KEPT_BUFFERS);
        Ok(Checkout { lease, connection, reused: false })
    }

    async fn dial(&self, route: &Route) -> Result<Stream<R>, ClientError> {
        if let Some(proxy) = route.proxy() {
            return self.dial_proxy(proxy, &route.origin).await;
        }
        let key = &route.origin;
        let dialled = match (&self.endpoint, key.scheme()) {
            (None, Scheme::Http) => self.dialer.tcp(key.host(), key.port()).await,
            (Some(endpoint), Scheme::Http) => self.dialer.endpoint(endpoint).await,
            (None, Scheme::Https) => self.secure_dialer()?.tls(key.host(), key.port()).await,
            (Some(endpoint), Scheme::Https) => self.secure_dialer()?.tls_at(endpoint, key.host()).await,
        };
        dialled.map_err(ClientError::Dial)
    }

    /// The dialer with a configuration for TLS that offers HTTP/1.1 alone. The default one is made once, when it is first needed:
    /// it loads the operating system's roots.
    #[cfg(feature = "tls")]
    pub(super) fn secure_dialer(&self) -> Result<Dialer<R>, ClientError> {
        let config = match self.tls.get() {
            Some(config) => config.clone(),
            None => {
                let config = crate::tls::ClientConfig::platform()
                    .map_err(|error| ClientError::Dial(DialError::Tls(io::Error::other(error))))?;
                self.tls.get_or_init(|| config.alpn(["http/1.1"])).clone()
            }
        };
        Ok(self.dialer.clone().tls_config(config))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unnecessary_wraps, reason = "the same signature as with TLS")]
    pub(super) fn secure_dialer(&self) -> Result<Dialer<R>, ClientError> {
        Ok(self.dialer.clone())
    }
}

/// Whether an idle connection still stands: one poll reads away what was left of the last answer, and finds an end that the
/// server has announced meanwhile, or words that nobody asked for.
async fn stands<R: Runtime>(connection: &mut Connection<R>) -> bool {
    poll_fn(|cx| match connection.poll_event(cx) {
        Poll::Pending => Poll::Ready(connection.machine().is_ready()),
        Poll::Ready(_) => Poll::Ready(false),
    })
    .await
}

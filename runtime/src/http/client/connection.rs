//! Connections: made, taken out of the pool, looked at.

use std::future::poll_fn;
#[cfg(feature = "tls")]
use std::io;
use std::task::{Context, Poll};

use glowplug_http::{ClientConnection, PoolKey, Scheme, StreamId};

use super::error::{ClientError, Stage, Trace};
use super::exchange::Stall;
use super::proxy::Route;
use super::{Inner, Lease, Stream};
#[cfg(feature = "tls")]
use crate::dial::DialError;
use crate::dial::Dialer;
use crate::drive::{Exclusive, KEPT_BUFFERS};
use crate::pool::{Got, PoolError};
use crate::{Runtime, Transport as _};

/// What drives a connection: whoever holds it.
pub(super) type Driver<R> = Exclusive<ClientConnection, Stream<R>, R>;

/// A connection, and where the request on it stands, so that whoever hands a request on hands on a pointer.
#[allow(unnameable_types, reason = "a part of the name of the reaper, for which there is an alias")]
pub struct Connection<R: Runtime> {
    pub(super) driver: Driver<R>,
    /// The request at hand, or the last one.
    pub(super) stream: StreamId,
    /// Bytes that the transport had taken before it.
    pub(super) written_before: u64,
    pub(super) stall: Stall<R>,
}

/// A connection to send one request on.
pub(super) struct Checkout<R: Runtime> {
    pub(super) lease: Lease<R>,
    pub(super) connection: Box<Connection<R>>,
    /// It has carried a request before.
    pub(super) reused: bool,
}

/// What there is for a request without waiting.
pub(super) enum Found<'p, R: Runtime> {
    /// An idle connection that still stands.
    Connection(Checkout<R>),
    /// Room to make one, or to wait.
    Room(Got<'p, PoolKey, Box<Connection<R>>, R>),
}

impl<R: Runtime> Inner<R> {
    /// What there is for `route` now. One that may not be `reused` is as good as none.
    pub(super) fn find(
        &self,
        cx: &mut Context<'_>,
        route: &Route,
        reused: bool,
    ) -> Result<Found<'_, R>, PoolError> {
        let mut room = self.pool.try_get(route.key())?;
        if let Got::Lease(lease) = &mut room
            && let Some(mut connection) = lease.take().filter(|_| reused)
            && stands(&mut connection.driver, cx)
            && let Got::Lease(lease) = room
        {
            return Ok(Found::Connection(Checkout { lease, connection, reused: true }));
        }
        Ok(Found::Room(room))
    }

    /// A connection where there is `room`, or once there is: one that is dialled now, unless an idle one is given back meanwhile that may
    /// be `reused`.
    pub(super) async fn connect(
        &self,
        room: Got<'_, PoolKey, Box<Connection<R>>, R>,
        route: &Route,
        reused: bool,
        trace: &mut Trace,
    ) -> Result<Checkout<R>, ClientError> {
        let mut lease = match room {
            Got::Lease(lease) => lease,
            Got::Place(place) => place.wait().await.map_err(ClientError::Pool)?,
        };
        if let Some(mut connection) = lease.take().filter(|_| reused)
            && poll_fn(|cx| Poll::Ready(stands(&mut connection.driver, cx))).await
        {
            return Ok(Checkout { lease, connection, reused: true });
        }
        trace.stage = Stage::Connect;
        let mut stream = self.dial(route).await?;
        stream.prefer_readiness();
        let machine = ClientConnection::new(self.runtime.now(), self.machine.clone());
        let mut driver = Exclusive::new(self.runtime.clone(), stream, machine);
        driver.keep_buffers(KEPT_BUFFERS);
        let connection = Box::new(Connection {
            driver,
            stream: StreamId::default(),
            written_before: 0,
            stall: Stall::new(self.settings.send_timeout),
        });
        Ok(Checkout { lease, connection, reused: false })
    }

    async fn dial(&self, route: &Route) -> Result<Stream<R>, ClientError> {
        if let Some(proxy) = route.proxy() {
            return self.dial_proxy(proxy, route.origin.key()).await;
        }
        let key = route.origin.key();
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
fn stands<R: Runtime>(driver: &mut Driver<R>, cx: &mut Context<'_>) -> bool {
    driver.poll_idle(cx).is_pending() && driver.machine().is_ready()
}

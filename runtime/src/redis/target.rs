//! Where a client's connections go, and how they are made.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use glowplug_core::{BackoffConfig, ConnectConfig};
use glowplug_redis::{CacheConfig, ClientConfig, ClientConnection, Event, HubConfig, RedisEndpoint};

use super::{ConnectError, Stream};
use crate::dial::{Race, Resolve, without_brackets};
use crate::drive::{Exclusive, shared};
use crate::time::{Sleep, sleep};
use crate::{BoxFuture, MaybeTls, Runtime};

/// What all connections of one client have in common.
pub(super) struct Target<R> {
    pub(super) runtime: R,
    pub(super) endpoint: RedisEndpoint,
    pub(super) settings: Settings,
}

/// What a builder sets.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) machine: ClientConfig,
    pub(super) cache: Option<CacheConfig>,
    pub(super) shared: shared::Config,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) reconnect: Option<BackoffConfig>,
    pub(super) max_lanes: usize,
    pub(super) max_idle_lanes: usize,
    pub(super) lane_idle_timeout: Duration,
    pub(super) hub: HubConfig,
    pub(super) resolver: Option<Arc<dyn Resolve>>,
    pub(super) race: ConnectConfig,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<crate::tls::ClientConfig>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            machine: ClientConfig::new(),
            cache: None,
            shared: shared::Config::default(),
            connect_timeout: Some(Duration::from_secs(10)),
            reconnect: Some(BackoffConfig::default()),
            max_lanes: 64,
            max_idle_lanes: 8,
            lane_idle_timeout: Duration::from_secs(30),
            hub: HubConfig::default(),
            resolver: None,
            race: ConnectConfig::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

/// A transport on its way: the name, the socket, TLS.
///
/// A named type and no `async fn`, because a task that is spawned holds it.
pub(super) struct Dialing<R: Runtime> {
    target: Arc<Target<R>>,
    stage: Stage<R>,
}

#[expect(clippy::large_enum_variant, reason = "a connection is made rarely, and in place")]
enum Stage<R: Runtime> {
    Start,
    Resolving(R::Resolving),
    /// By a resolver of the user's choice.
    Asking(BoxFuture<io::Result<Vec<SocketAddr>>>),
    Racing(Race<R>),
    /// To a socket of the file system.
    Connecting(R::Connecting),
    #[cfg(feature = "tls")]
    Securing(Box<crate::tls::Tls<R::Stream>>),
}

impl<R: Runtime> Dialing<R> {
    pub(super) fn new(target: Arc<Target<R>>) -> Self {
        Self { target, stage: Stage::Start }
    }

    /// What it is about, for an error.
    pub(super) fn phase(&self) -> &'static str {
        match self.stage {
            Stage::Start | Stage::Resolving(_) | Stage::Asking(_) => "resolved the name",
            Stage::Racing(_) | Stage::Connecting(_) => "connected",
            #[cfg(feature = "tls")]
            Stage::Securing(_) => "agreed on tls",
        }
    }

    /// Ready once; not to be polled after that.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream<R>, ConnectError>> {
        let Target { runtime, endpoint, settings } = &*self.target;
        loop {
            self.stage = match &mut self.stage {
                Stage::Start => match endpoint {
                    RedisEndpoint::Unix { path } => Stage::Connecting(runtime.connect(&super::unix(path))),
                    RedisEndpoint::Tcp { host, port, .. } => {
                        let host = without_brackets(host);
                        match (&settings.resolver, host.parse()) {
                            (_, Ok(literal)) => {
                                Self::race(&self.target, vec![SocketAddr::new(literal, *port)])
                            }
                            (Some(resolver), _) => Stage::Asking(resolver.resolve(host, *port)),
                            (None, _) => Stage::Resolving(runtime.resolve(host, *port)),
                        }
                    }
                    other => return Poll::Ready(Err(ConnectError::Unsupported(other.clone()))),
                },
                Stage::Resolving(resolving) => {
                    let addresses = ready!(Pin::new(resolving).poll(cx)).map_err(ConnectError::Resolve)?;
                    Self::race(&self.target, addresses)
                }
                Stage::Asking(asking) => {
                    let addresses = ready!(asking.as_mut().poll(cx)).map_err(ConnectError::Resolve)?;
                    Self::race(&self.target, addresses)
                }
                Stage::Connecting(connecting) => {
                    let stream = ready!(Pin::new(connecting).poll(cx)).map_err(ConnectError::Connect)?;
                    return Poll::Ready(Ok(MaybeTls::Plain(stream)));
                }
                Stage::Racing(race) => {
                    let stream = ready!(race.poll(cx)).map_err(ConnectError::Connect)?;
                    match endpoint {
                        RedisEndpoint::Tcp { host, tls: true, .. } => {
                            Self::secure(&self.target.settings, stream, host)?
                        }
                        _ => return Poll::Ready(Ok(MaybeTls::Plain(stream))),
                    }
                }
                #[cfg(feature = "tls")]
                Stage::Securing(stream) => {
                    ready!(stream.poll_handshake(cx)).map_err(ConnectError::Tls)?;
                    let Stage::Securing(stream) = std::mem::replace(&mut self.stage, Stage::Start) else {
                        continue;
                    };
                    return Poll::Ready(Ok(MaybeTls::Tls(stream)));
                }
            };
        }
    }

    fn race(target: &Target<R>, addresses: Vec<SocketAddr>) -> Stage<R> {
        Stage::Racing(Race::new(target.runtime.clone(), target.settings.race.clone(), addresses))
    }

    #[cfg(feature = "tls")]
    fn secure(settings: &Settings, stream: R::Stream, host: &str) -> Result<Stage<R>, ConnectError> {
        let config = match &settings.tls {
            Some(config) => config.clone(),
            None => crate::tls::ClientConfig::platform()
                .map_err(|error| ConnectError::Tls(io::Error::other(error)))?,
        };
        let stream = crate::tls::Tls::client(stream, &config, host).map_err(ConnectError::Tls)?;
        Ok(Stage::Securing(Box::new(stream)))
    }

    #[cfg(not(feature = "tls"))]
    fn secure(_settings: &Settings, _stream: R::Stream, _host: &str) -> Result<Stage<R>, ConnectError> {
        let error = io::Error::new(io::ErrorKind::Unsupported, "built without the feature `tls`");
        Err(ConnectError::Tls(error))
    }
}

// Nothing in it is pinned: plugs' futures are `Unpin`.
impl<R: Runtime> Unpin for Dialing<R> {}

impl<R: Runtime> Future for Dialing<R> {
    type Output = Result<Stream<R>, ConnectError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Self::poll(&mut self, cx)
    }
}

/// A connection for one caller alone, driven by that caller.
pub(super) type Own<R> = Exclusive<ClientConnection, Stream<R>, R>;

/// A connection of one's own on its way, the handshake included, within the time to connect.
pub(super) struct Opening<R: Runtime> {
    target: Arc<Target<R>>,
    stage: OpeningStage<R>,
    sleep: Option<Sleep<R::Timer>>,
}

#[expect(clippy::large_enum_variant, reason = "a connection is made rarely, and in place")]
enum OpeningStage<R: Runtime> {
    Dialing(Dialing<R>),
    ShakingHands(Option<Own<R>>),
}

impl<R: Runtime> Opening<R> {
    pub(super) fn new(target: &Arc<Target<R>>) -> Self {
        let sleep = target.settings.connect_timeout.map(|timeout| sleep(&target.runtime, timeout));
        let stage = OpeningStage::Dialing(Dialing::new(target.clone()));
        Self { target: target.clone(), stage, sleep }
    }

    /// Ready once; not to be polled after that.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Own<R>, ConnectError>> {
        let phase = match &mut self.stage {
            OpeningStage::Dialing(dialing) => match dialing.poll(cx) {
                Poll::Pending => dialing.phase(),
                Poll::Ready(stream) => {
                    let runtime = &self.target.runtime;
                    // What one caller alone reads is not kept.
                    let config = self.target.settings.machine.clone().cache(None);
                    let machine = ClientConnection::new(runtime.now(), config);
                    let own = Exclusive::new(runtime.clone(), stream?, machine);
                    self.stage = OpeningStage::ShakingHands(Some(own));
                    return self.poll(cx);
                }
            },
            OpeningStage::ShakingHands(slot) => {
                let Some(own) = slot else { return Poll::Pending };
                loop {
                    match own.poll_event(cx) {
                        Poll::Pending => break "shook hands",
                        Poll::Ready(Ok(Some(Event::Connected { .. }))) => {
                            return Poll::Ready(slot.take().ok_or(ConnectError::Handshake(None)));
                        }
                        Poll::Ready(Ok(Some(_))) => {}
                        Poll::Ready(Ok(None)) => return Poll::Ready(Err(ConnectError::Handshake(None))),
                        Poll::Ready(Err(cause)) => {
                            return Poll::Ready(Err(ConnectError::Handshake(Some(Arc::new(cause)))));
                        }
                    }
                }
            }
        };
        match &mut self.sleep {
            Some(sleep) => Pin::new(sleep).poll(cx).map(|()| Err(ConnectError::TimedOut(phase))),
            None => Poll::Pending,
        }
    }
}

impl<R: Runtime> fmt::Debug for Opening<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").finish_non_exhaustive()
    }
}

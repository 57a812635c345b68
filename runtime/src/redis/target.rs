//! Where a client's connections go, and how they are made.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use glowplug_core::{BackoffConfig, Instant};
use glowplug_redis::{CacheConfig, ClientConfig, ClientConnection, Event, HubConfig, RedisEndpoint};

use super::{ConnectError, Stream};
use crate::Runtime;
use crate::dial::{Dialer, Dialing};
use crate::drive::{Exclusive, shared};
use crate::time::{Sleep, sleep_until};

/// What all connections of one client have in common.
pub(super) struct Target<R: Runtime> {
    pub(super) runtime: R,
    pub(super) dialer: Dialer<R>,
    pub(super) endpoint: RedisEndpoint,
    pub(super) settings: Settings,
}

/// What a builder sets.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) machine: ClientConfig,
    pub(super) cache: Option<CacheConfig>,
    pub(super) shared: shared::Config,
    pub(super) reconnect: Option<BackoffConfig>,
    pub(super) max_lanes: usize,
    pub(super) max_idle_lanes: usize,
    pub(super) lane_idle_timeout: Duration,
    pub(super) hub: HubConfig,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            machine: ClientConfig::new(),
            cache: None,
            shared: shared::Config::default(),
            reconnect: Some(BackoffConfig::default()),
            max_lanes: 64,
            max_idle_lanes: 8,
            lane_idle_timeout: Duration::from_secs(30),
            hub: HubConfig::default(),
        }
    }
}

impl<R: Runtime> Target<R> {
    /// A transport on its way, within the time to connect.
    pub(super) fn dial(&self) -> Result<Dialing<R>, ConnectError> {
        match &self.endpoint {
            RedisEndpoint::Unix { path } => Ok(self.dialer.endpoint(&super::unix(path))),
            RedisEndpoint::Tcp { host, port, tls: false } => Ok(self.dialer.tcp(host, *port)),
            RedisEndpoint::Tcp { host, port, tls: true } => Ok(self.dialer.tls(host, *port)),
            other => Err(ConnectError::Unsupported(other.clone())),
        }
    }

    /// When connecting has to be done that begins now.
    pub(super) fn connect_deadline(&self) -> Option<Instant> {
        self.dialer.time().map(|timeout| self.runtime.now() + timeout)
    }
}

/// A connection for one caller alone, driven by that caller.
pub(super) type Own<R> = Exclusive<ClientConnection, Stream<R>, R>;

/// A connection of one's own on its way, the handshake included, within the time to connect.
pub(super) struct Opening<R: Runtime> {
    target: Arc<Target<R>>,
    stage: OpeningStage<R>,
    deadline: Option<Instant>,
}

#[expect(clippy::large_enum_variant, reason = "a connection is made rarely, and in place")]
enum OpeningStage<R: Runtime> {
    Start,
    Dialing(Dialing<R>),
    ShakingHands(Option<Own<R>>, Option<Sleep<R::Timer>>),
}

impl<R: Runtime> Opening<R> {
    pub(super) fn new(target: &Arc<Target<R>>) -> Self {
        let deadline = target.connect_deadline();
        Self { target: target.clone(), stage: OpeningStage::Start, deadline }
    }

    /// Ready once; not to be polled after that.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Own<R>, ConnectError>> {
        loop {
            self.stage = match &mut self.stage {
                OpeningStage::Start => OpeningStage::Dialing(self.target.dial()?),
                OpeningStage::Dialing(dialing) => {
                    let stream = ready!(Pin::new(dialing).poll(cx))?;
                    let runtime = &self.target.runtime;
                    // What one caller alone reads is not kept.
                    let config = self.target.settings.machine.clone().cache(None);
                    let machine = ClientConnection::new(runtime.now(), config);
                    let own = Exclusive::new(runtime.clone(), stream, machine);
                    OpeningStage::ShakingHands(Some(own), self.deadline.map(|at| sleep_until(runtime, at)))
                }
                OpeningStage::ShakingHands(slot, limit) => {
                    if let Poll::Ready(shaken) = shake_hands(cx, slot) {
                        return Poll::Ready(shaken);
                    }
                    return match limit {
                        Some(limit) => {
                            Pin::new(limit).poll(cx).map(|()| Err(ConnectError::TimedOut(HANDSHAKE)))
                        }
                        None => Poll::Pending,
                    };
                }
            };
        }
    }
}

/// What a client does after dialling, for an error.
pub(super) const HANDSHAKE: &str = "shook hands";

fn shake_hands<R: Runtime>(
    cx: &mut Context<'_>,
    slot: &mut Option<Own<R>>,
) -> Poll<Result<Own<R>, ConnectError>> {
    let Some(own) = slot else { return Poll::Pending };
    loop {
        match ready!(own.poll_event(cx)) {
            Ok(Some(Event::Connected { .. })) => {
                return Poll::Ready(slot.take().ok_or(ConnectError::Handshake(None)));
            }
            Ok(Some(_)) => {}
            Ok(None) => return Poll::Ready(Err(ConnectError::Handshake(None))),
            Err(cause) => return Poll::Ready(Err(ConnectError::Handshake(Some(Arc::new(cause))))),
        }
    }
}

impl<R: Runtime> fmt::Debug for Opening<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").finish_non_exhaustive()
    }
}

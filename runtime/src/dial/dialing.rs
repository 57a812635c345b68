//! A transport on its way.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::{DialError, DialPhase, Dialer, Race, without_brackets};
use crate::time::{Sleep, sleep};
use crate::{BoxFuture, Endpoint, MaybeTls, Runtime};

/// The future of a [`Dialer`]'s methods: the name, the socket, TLS, within the dialer's time. That begins with the first poll.
///
/// Dropping it closes what was begun.
#[must_use = "nothing is connected until the future is polled"]
pub struct Dialing<R: Runtime> {
    dialer: Dialer<R>,
    /// Whom to look up, and whose certificate to ask for.
    host: String,
    tls: bool,
    stage: Stage<R>,
    sleep: Option<Sleep<R::Timer>>,
}

enum Stage<R: Runtime> {
    Start(Goal<R>),
    Asking(BoxFuture<io::Result<Vec<SocketAddr>>>),
    Resolving(R::Resolving),
    Racing(Box<Race<R>>),
    /// To one address or path.
    Connecting(R::Connecting),
    #[cfg(feature = "tls")]
    Securing(Box<crate::tls::Tls<R::Stream>>),
    Over,
}

/// Where to.
pub(super) enum Goal<R: Runtime> {
    /// The host, at this port.
    Host(u16),
    Endpoint(Endpoint),
    /// A stream that leads there in some other way.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "it is what proxies open"))]
    Stream(R::Stream),
}

impl<R: Runtime> Dialing<R> {
    pub(super) fn new(dialer: &Dialer<R>, goal: Goal<R>, host: &str, tls: bool) -> Self {
        let host = without_brackets(host).to_owned();
        Self { dialer: dialer.clone(), host, tls, stage: Stage::Start(goal), sleep: None }
    }

    fn phase(&self) -> DialPhase {
        match self.stage {
            Stage::Start(Goal::Host(_)) | Stage::Asking(_) | Stage::Resolving(_) => DialPhase::Resolve,
            Stage::Start(Goal::Endpoint(_)) | Stage::Racing(_) | Stage::Connecting(_) | Stage::Over => {
                DialPhase::Connect
            }
            Stage::Start(Goal::Stream(_)) => DialPhase::Tls,
            #[cfg(feature = "tls")]
            Stage::Securing(_) => DialPhase::Tls,
        }
    }

    fn poll_stages(&mut self, cx: &mut Context<'_>) -> Poll<Result<MaybeTls<R::Stream>, DialError>> {
        loop {
            let stream = match &mut self.stage {
                Stage::Start(_) => match self.start()? {
                    Stage::Over => return Poll::Pending,
                    started => {
                        self.stage = started;
                        continue;
                    }
                },
                Stage::Asking(asking) => {
                    let addresses = ready!(asking.as_mut().poll(cx)).map_err(DialError::Resolve)?;
                    self.stage = self.race(addresses);
                    continue;
                }
                Stage::Resolving(resolving) => {
                    let addresses = ready!(Pin::new(resolving).poll(cx)).map_err(DialError::Resolve)?;
                    self.stage = self.race(addresses);
                    continue;
                }
                Stage::Racing(race) => ready!(race.poll(cx)).map_err(DialError::Connect)?,
                Stage::Connecting(connecting) => {
                    ready!(Pin::new(connecting).poll(cx)).map_err(DialError::Connect)?
                }
                #[cfg(feature = "tls")]
                Stage::Securing(stream) => {
                    ready!(stream.poll_handshake(cx)).map_err(DialError::Tls)?;
                    return match std::mem::replace(&mut self.stage, Stage::Over) {
                        Stage::Securing(stream) => Poll::Ready(Ok(MaybeTls::Tls(stream))),
                        _ => Poll::Pending,
                    };
                }
                Stage::Over => return Poll::Pending,
            };
            if !self.tls {
                self.stage = Stage::Over;
                return Poll::Ready(Ok(MaybeTls::Plain(stream)));
            }
            self.stage = self.secure(stream)?;
        }
    }

    fn start(&mut self) -> Result<Stage<R>, DialError> {
        if self.tls {
            // What cannot be secured is not begun.
            self.dialer.tls_settings()?;
        }
        let Stage::Start(goal) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return Ok(Stage::Over);
        };
        let (dialer, host) = (&self.dialer, &*self.host);
        Ok(match goal {
            Goal::Stream(stream) => self.secure(stream)?,
            Goal::Endpoint(to) => Stage::Connecting(dialer.runtime.connect(&to)),
            Goal::Host(port) => match (&dialer.resolver, host.parse()) {
                (_, Ok(literal)) => self.race(vec![SocketAddr::new(literal, port)]),
                (Some(resolver), _) => Stage::Asking(resolver.resolve(host, port)),
                (None, _) => Stage::Resolving(dialer.runtime.resolve(host, port)),
            },
        })
    }

    fn race(&self, addresses: Vec<SocketAddr>) -> Stage<R> {
        let race = Race::new(self.dialer.runtime.clone(), self.dialer.race.clone(), addresses);
        Stage::Racing(Box::new(race))
    }

    #[cfg(feature = "tls")]
    fn secure(&self, stream: R::Stream) -> Result<Stage<R>, DialError> {
        let config = self.dialer.tls_settings()?;
        let stream = crate::tls::Tls::client(stream, config, &self.host).map_err(DialError::Tls)?;
        Ok(Stage::Securing(Box::new(stream)))
    }

    #[cfg(not(feature = "tls"))]
    fn secure(&self, _: R::Stream) -> Result<Stage<R>, DialError> {
        self.dialer.tls_settings().map(|()| Stage::Over)
    }
}

// Nothing in it is pinned: plugs' futures are `Unpin`.
impl<R: Runtime> Unpin for Dialing<R> {}

impl<R: Runtime> Future for Dialing<R> {
    type Output = Result<MaybeTls<R::Stream>, DialError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if matches!(this.stage, Stage::Start(_)) {
            this.sleep = this.dialer.timeout.map(|timeout| sleep(&this.dialer.runtime, timeout));
        }
        if let Poll::Ready(dialed) = this.poll_stages(cx) {
            return Poll::Ready(dialed);
        }
        let phase = this.phase();
        match &mut this.sleep {
            Some(sleep) => Pin::new(sleep).poll(cx).map(|()| Err(DialError::TimedOut(phase))),
            None => Poll::Pending,
        }
    }
}

impl<R: Runtime> fmt::Debug for Dialing<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialing")
            .field("host", &self.host)
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}

//! A transport on its way, as a named future: for tasks that are spawned, whose parts have to be named.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::{DialError, DialPhase, Dialer, Race, without_brackets};
use crate::time::{Sleep, sleep};
use crate::{BoxFuture, Endpoint, MaybeTls, Runtime};

/// What [`Dialer::tcp`], [`Dialer::tls`] and [`Dialer::endpoint`] do, within the dialer's time.
pub(crate) struct Dialing<R: Runtime> {
    dialer: Dialer<R>,
    host: String,
    port: u16,
    tls: bool,
    stage: Stage<R>,
    sleep: Option<Sleep<R::Timer>>,
}

enum Stage<R: Runtime> {
    Start,
    Asking(BoxFuture<io::Result<Vec<SocketAddr>>>),
    Resolving(R::Resolving),
    Racing(Box<Race<R>>),
    /// To a socket of the file system.
    Connecting(R::Connecting),
    #[cfg(feature = "tls")]
    Securing(Box<crate::tls::Tls<R::Stream>>),
}

impl<R: Runtime> Dialing<R> {
    /// To a host by its name or address.
    pub(crate) fn tcp(dialer: &Dialer<R>, host: &str, port: u16, tls: bool) -> Self {
        Self::new(dialer, without_brackets(host).to_owned(), port, tls, Stage::Start)
    }

    /// To one address or path, in the clear.
    pub(crate) fn endpoint(dialer: &Dialer<R>, to: &Endpoint) -> Self {
        let connecting = Stage::Connecting(dialer.runtime.connect(to));
        Self::new(dialer, String::new(), 0, false, connecting)
    }

    fn new(dialer: &Dialer<R>, host: String, port: u16, tls: bool, stage: Stage<R>) -> Self {
        let sleep = dialer.timeout.map(|timeout| sleep(&dialer.runtime, timeout));
        Self { dialer: dialer.clone(), host, port, tls, stage, sleep }
    }

    fn phase(&self) -> DialPhase {
        match self.stage {
            Stage::Start | Stage::Asking(_) | Stage::Resolving(_) => DialPhase::Resolve,
            Stage::Racing(_) | Stage::Connecting(_) => DialPhase::Connect,
            #[cfg(feature = "tls")]
            Stage::Securing(_) => DialPhase::Tls,
        }
    }

    /// Ready once; not to be polled after that.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<MaybeTls<R::Stream>, DialError>> {
        if let Poll::Ready(dialed) = self.poll_stages(cx) {
            return Poll::Ready(dialed);
        }
        let phase = self.phase();
        match &mut self.sleep {
            Some(sleep) => Pin::new(sleep).poll(cx).map(|()| Err(DialError::TimedOut(phase))),
            None => Poll::Pending,
        }
    }

    fn poll_stages(&mut self, cx: &mut Context<'_>) -> Poll<Result<MaybeTls<R::Stream>, DialError>> {
        loop {
            self.stage = match &mut self.stage {
                Stage::Start => match (&self.dialer.resolver, self.host.parse()) {
                    (_, Ok(literal)) => self.race(vec![SocketAddr::new(literal, self.port)]),
                    (Some(resolver), _) => Stage::Asking(resolver.resolve(&self.host, self.port)),
                    (None, _) => Stage::Resolving(self.dialer.runtime.resolve(&self.host, self.port)),
                },
                Stage::Asking(asking) => {
                    let addresses = ready!(asking.as_mut().poll(cx)).map_err(DialError::Resolve)?;
                    self.race(addresses)
                }
                Stage::Resolving(resolving) => {
                    let addresses = ready!(Pin::new(resolving).poll(cx)).map_err(DialError::Resolve)?;
                    self.race(addresses)
                }
                Stage::Connecting(connecting) => {
                    let stream = ready!(Pin::new(connecting).poll(cx)).map_err(DialError::Connect)?;
                    return Poll::Ready(Ok(MaybeTls::Plain(stream)));
                }
                Stage::Racing(race) => {
                    let stream = ready!(race.poll(cx)).map_err(DialError::Connect)?;
                    if !self.tls {
                        return Poll::Ready(Ok(MaybeTls::Plain(stream)));
                    }
                    self.secure(stream)?
                }
                #[cfg(feature = "tls")]
                Stage::Securing(stream) => {
                    ready!(stream.poll_handshake(cx)).map_err(DialError::Tls)?;
                    let Stage::Securing(stream) = std::mem::replace(&mut self.stage, Stage::Start) else {
                        continue;
                    };
                    return Poll::Ready(Ok(MaybeTls::Tls(stream)));
                }
            };
        }
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
    #[expect(clippy::unused_self, reason = "the same signature as with TLS")]
    fn secure(&self, _: R::Stream) -> Result<Stage<R>, DialError> {
        let error = io::Error::new(io::ErrorKind::Unsupported, "built without the feature `tls`");
        Err(DialError::Tls(error))
    }
}

// Nothing in it is pinned: plugs' futures are `Unpin`.
impl<R: Runtime> Unpin for Dialing<R> {}

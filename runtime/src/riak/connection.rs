//! One connection to one node.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use glowplug_core::{Answer, Instant, Progress, RequestProtocol, SubmitError, Token};
use glowplug_riak::wire::Request;
use glowplug_riak::{ClientConnection, Config, Error as ProtocolError, Event, Host, PeerError, Response};

use super::error::ConnectError;
use crate::dial::Dialer;
use crate::drive::{DriverError, Exclusive, KEPT_BUFFERS};
use crate::{MaybeTls, Runtime};

/// A connection to a node, driven by whoever uses it.
pub type Connection<R> = Exclusive<ClientConnection, MaybeTls<<R as Runtime>::Stream>, R>;

/// A connection at rest, as the pool keeps it.
pub struct Pooled<R: Runtime> {
    // On the heap: it goes from the pool to a caller and back with every request.
    pub(super) connection: Box<Connection<R>>,
    pub(super) since: Instant,
}

impl<R: Runtime> fmt::Debug for Pooled<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pooled").field("since", &self.since).finish_non_exhaustive()
    }
}

/// There is one request at a time, so one name will do.
const TOKEN: Token = Token(0);

/// Connects to `host`, starts TLS and lets the user in, as the configuration says.
pub(super) async fn connect<R: Runtime>(
    dialer: &Dialer<R>,
    config: &Config,
    tls: &TlsChoice,
    host: &Host,
) -> Result<Connection<R>, ConnectError> {
    let stream = dialer.tcp(&host.name, host.port).await.map_err(ConnectError::Dial)?;
    let runtime = dialer.runtime().clone();
    let machine = ClientConnection::new(runtime.now(), config.clone());
    let mut connection: Connection<R> = Exclusive::new(runtime, stream, machine);
    loop {
        match connection.next_event().await {
            Ok(Some(Event::Ready)) => {
                connection.keep_buffers(KEPT_BUFFERS);
                return Ok(connection);
            }
            Ok(Some(Event::StartTls)) => connection = start_tls(connection, tls, host).await?,
            // Nothing was asked that could be answered.
            Ok(Some(_)) => {}
            Ok(None) => return Err(ConnectError::Handshake(None)),
            Err(error) => return Err(ConnectError::Handshake(Some(error))),
        }
    }
}

/// How TLS is spoken where it is asked for.
#[cfg(feature = "tls")]
pub(super) type TlsChoice = Option<crate::tls::ClientConfig>;
/// No TLS in this build.
#[cfg(not(feature = "tls"))]
pub(super) type TlsChoice = ();

/// The node agreed to TLS: takes the connection apart and puts it together again with TLS in between.
async fn start_tls<R: Runtime>(
    connection: Connection<R>,
    choice: &TlsChoice,
    host: &Host,
) -> Result<Connection<R>, ConnectError> {
    let runtime = connection.runtime().clone();
    let parts = connection.into_parts();
    if !parts.input.is_empty() {
        // Only the handshake may follow the agreement: somebody in between may have put this there.
        let error = ProtocolError::Peer(PeerError::PlaintextAfterStartTls);
        return Err(ConnectError::Handshake(Some(DriverError::Protocol(error))));
    }
    let stream = handshake::<R>(parts.transport, choice, host).await.map_err(ConnectError::Tls)?;
    let mut machine = parts.machine;
    machine.tls_established(runtime.now());
    Ok(Exclusive::with_input(runtime, stream, machine, parts.input))
}

#[cfg(feature = "tls")]
async fn handshake<R: Runtime>(
    stream: MaybeTls<R::Stream>,
    choice: &TlsChoice,
    host: &Host,
) -> io::Result<MaybeTls<R::Stream>> {
    let MaybeTls::Plain(stream) = stream else { return Err(io::Error::other("tls was started twice")) };
    let config = match choice {
        Some(config) => config.clone(),
        None => crate::tls::ClientConfig::platform().map_err(io::Error::other)?,
    };
    let mut stream = crate::tls::Tls::client(stream, &config, &host.name)?;
    stream.handshake().await?;
    Ok(MaybeTls::Tls(Box::new(stream)))
}

#[cfg(not(feature = "tls"))]
#[expect(clippy::unused_async, reason = "the same signature as with TLS")]
async fn handshake<R: Runtime>(
    _stream: MaybeTls<R::Stream>,
    _choice: &TlsChoice,
    _host: &Host,
) -> io::Result<MaybeTls<R::Stream>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "built without the feature `tls`"))
}

/// True when the node has neither closed the connection nor said anything since it was last used.
pub(super) async fn is_alive<R: Runtime>(connection: &mut Connection<R>) -> bool {
    poll_fn(|cx| Poll::Ready(connection.poll_event(cx).is_pending())).await
}

/// Hands a request to the machine; it goes out when an answer is asked for. With a deadline, the last answer must be there by then. `false`
/// when the request is too long for a frame.
pub(super) fn submit<R: Runtime>(
    connection: &mut Connection<R>,
    now: Instant,
    request: &Request,
    deadline: Option<Instant>,
) -> bool {
    let submitted = connection.machine_mut().submit_ref(now, TOKEN, request, deadline);
    // A connection at rest refuses nothing else; one that is over tells so when it is asked for the answer.
    !matches!(submitted, Err(SubmitError::Full(())))
}

/// Why there is no (further) answer.
pub(super) struct NoAnswer {
    pub(super) progress: Progress,
    pub(super) cause: Option<DriverError<ProtocolError>>,
}

impl NoAnswer {
    pub(super) fn is_timeout(&self) -> bool {
        matches!(self.cause, Some(DriverError::Protocol(ProtocolError::TimedOut)))
    }
}

/// The next answer to the request, and whether it is the last.
pub(super) fn poll_answer<R: Runtime>(
    connection: &mut Connection<R>,
    cx: &mut Context<'_>,
) -> Poll<Result<(Response, bool), NoAnswer>> {
    let cause = loop {
        match connection.poll_event(cx) {
            Poll::Ready(Ok(Some(Event::Answer(Answer { response, last, .. })))) => {
                return Poll::Ready(Ok((response, last)));
            }
            Poll::Ready(Ok(Some(_))) => {}
            Poll::Ready(Ok(None)) => break None,
            Poll::Ready(Err(error)) => break Some(error),
            Poll::Pending => return Poll::Pending,
        }
    };
    let progress = connection.machine().progress(TOKEN);
    Poll::Ready(Err(NoAnswer { progress, cause }))
}

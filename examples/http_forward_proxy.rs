//! A forward proxy: `cargo run --release --example http_forward_proxy -- [smol|tokio] [port [user:password]]`, then
//! `http_proxy=http://127.0.0.1:3128 https_proxy=http://127.0.0.1:3128 curl https://example.org/`.
//!
//! What is asked for in the clear it asks for itself; for the rest it opens tunnels (`CONNECT`), and sees nothing of what goes through.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::{convert::Infallible, future::poll_fn, io};

use bytes::BytesMut;
use glowplug::core::SendBuf;
use glowplug::http::auth;
use glowplug::runtime::dial::Dialer;
use glowplug::runtime::http::server::{self, OnUpgrade, Server, Serving};
use glowplug::runtime::http::{Body, Client, Reaper};
use glowplug::runtime::{BoxFuture, Runtime, Spawn, Transport};
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

/// The proxy as a service, behind one type, so that a bound can name it.
#[derive(Clone)]
pub struct Forward(Arc<dyn Fn(Request<server::Incoming>) -> BoxFuture<Response<Body>> + Send + Sync>);

impl tower_service::Service<Request<server::Incoming>> for Forward {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<server::Incoming>) -> Self::Future {
        let answering = (self.0)(request);
        Box::pin(async { Ok(answering.await) })
    }
}

/// What it takes of an executor: sockets and timers that move between threads, and a task for each connection and each tunnel.
pub trait Plug:
    Runtime<Stream: Send, Timer: Send, Connecting: Send, Resolving: Send>
    + Spawn<Serving<Self, Forward>>
    + Spawn<Reaper<Self>>
    + Spawn<BoxFuture<()>>
    + Send
    + Sync
{
}

impl<R> Plug for R where
    R: Runtime<Stream: Send, Timer: Send, Connecting: Send, Resolving: Send>
        + Spawn<Serving<R, Forward>>
        + Spawn<Reaper<R>>
        + Spawn<BoxFuture<()>>
        + Send
        + Sync
{
}

/// Serves until it is dropped. With `credentials`, a value of `Proxy-Authorization`, only who has them.
pub async fn serve<R: Plug>(runtime: R, listener: R::Listener, credentials: Option<HeaderValue>) {
    let client = Client::builder(runtime.clone()).build();
    let proxy_runtime = runtime.clone();
    let forward = Forward(Arc::new(move |request| {
        if credentials.is_some() && request.headers().get(header::PROXY_AUTHORIZATION) != credentials.as_ref()
        {
            let mut refusal = answer(StatusCode::PROXY_AUTHENTICATION_REQUIRED, "who are you?\n");
            let scheme = HeaderValue::from_static("Basic realm=\"proxy\"");
            refusal.headers_mut().insert(header::PROXY_AUTHENTICATE, scheme);
            return Box::pin(async { refusal });
        }
        let (runtime, client) = (proxy_runtime.clone(), client.clone());
        if *request.method() == Method::CONNECT {
            Box::pin(tunnel(runtime, request))
        } else {
            Box::pin(forward(client, request))
        }
    }));
    Server::on(runtime, listener).upgrades().run(forward).await;
}

fn answer(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    let mut answer = Response::new(text.into());
    *answer.status_mut() = status;
    answer
}

/// What is between two neighbours only stays here (RFC 9110 §7.6.1).
fn strip(headers: &mut HeaderMap) {
    let listed: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    for name in listed.iter().map(String::as_str).chain([
        "connection",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]) {
        headers.remove(name);
    }
}

/// Asks for what is asked for.
async fn forward<R: Plug>(client: Client<R>, request: Request<server::Incoming>) -> Response<Body> {
    if request.uri().authority().is_none() {
        return answer(StatusCode::BAD_REQUEST, "this is a proxy: what it is asked for needs a host\n");
    }
    let (mut parts, body) = request.into_parts();
    parts.extensions = http::Extensions::new();
    strip(&mut parts.headers);
    match client.request(Request::from_parts(parts, body)).await {
        Ok(answered) => {
            let (mut parts, body) = answered.into_parts();
            strip(&mut parts.headers);
            Response::from_parts(parts, Body::new(body))
        }
        Err(error) => answer(StatusCode::BAD_GATEWAY, format!("{error}\n")),
    }
}

/// Connects to where the tunnel is to lead, and leaves the rest to a task.
async fn tunnel<R: Plug>(runtime: R, mut request: Request<server::Incoming>) -> Response<Body> {
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let place =
        request.uri().authority().and_then(|authority| Some((authority.host(), authority.port_u16()?)));
    let (Some((host, port)), Some(upgrade)) = (place, upgrade) else {
        return answer(StatusCode::BAD_REQUEST, "a tunnel needs a host and a port\n");
    };
    match Dialer::new(runtime.clone()).tcp(host, port).await {
        Ok(there) => {
            runtime.spawn(Box::pin(async {
                if let Ok(here) = upgrade.await {
                    let _ = join(here.transport, here.input, there).await;
                }
            }) as BoxFuture<()>);
            answer(StatusCode::OK, ())
        }
        Err(error) => answer(StatusCode::BAD_GATEWAY, format!("{error}\n")),
    }
}

/// One direction of a tunnel.
#[derive(Default)]
struct Direction {
    read: BytesMut,
    write: SendBuf,
    ended: bool,
    shut: bool,
}

impl Direction {
    /// Ready at its end.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut impl Transport,
        to: &mut impl Transport,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.read.is_empty() {
                self.write.push(self.read.split().freeze());
            }
            while !self.write.is_empty() {
                ready!(to.poll_write(cx, &mut self.write))?;
            }
            ready!(to.poll_flush(cx))?;
            if self.ended {
                if !self.shut {
                    ready!(to.poll_shutdown(cx))?;
                    self.shut = true;
                }
                return Poll::Ready(Ok(()));
            }
            self.ended = ready!(from.poll_read(cx, &mut self.read))? == 0;
        }
    }
}

/// Carries both directions until both have ended; `first` came before.
async fn join(mut here: impl Transport, first: BytesMut, mut there: impl Transport) -> io::Result<()> {
    let (mut up, mut down) = (Direction { read: first, ..Direction::default() }, Direction::default());
    poll_fn(|cx| {
        let one = up.poll(cx, &mut here, &mut there)?;
        let other = down.poll(cx, &mut there, &mut here)?;
        if one.is_ready() && other.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let executor = arguments.next().unwrap_or_else(|| "smol".to_owned());
    let port = arguments.next().map_or(Ok(3128), |port| port.parse())?;
    let user = arguments.next();
    let credentials = user.as_deref().and_then(|user| user.split_once(':'));
    let credentials = credentials.and_then(|(user, password)| auth::basic(user, password));
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into();
    println!("a proxy at http://{at}, on {executor}");
    // The same line for each executor.
    match executor.as_str() {
        "tokio" => tokio::runtime::Runtime::new()?.block_on(async {
            let _: () = serve(Tokio, Tokio.listen(&at).await?, credentials).await;
            io::Result::Ok(())
        })?,
        _ => {
            let smol = Smol::default();
            smol::block_on(async {
                let _: () = serve(smol.clone(), smol.listen(&at).await?, credentials).await;
                io::Result::Ok(())
            })?;
        }
    }
    Ok(())
}

//! A reverse proxy from the two halves: `cargo run --release --example http_proxy -- UPSTREAM [smol|tokio] [port]`, then
//! `curl http://127.0.0.1:8080/`.
//!
//! Bodies stream both ways and are never held: what the client does not read, the upstream server is not asked for.

use std::net::{Ipv4Addr, SocketAddr};

use glowplug::core::Progress;
use glowplug::runtime::Runtime;
use glowplug::runtime::http::server::{self, Server, service_fn};
use glowplug::runtime::http::{Client, ClientError, Incoming};
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::Either;

/// What goes back: the upstream's body, or a word of our own.
pub(crate) type Body<R> = Either<Incoming<R, server::Incoming>, String>;

/// Takes out what is between two neighbours only (RFC 9110 §7.6.1).
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    const ALWAYS: [HeaderName; 8] = [
        header::CONNECTION,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
    ];
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.into_iter().chain(ALWAYS) {
        headers.remove(name);
    }
}

async fn forward<R: Runtime>(
    client: &Client<R>,
    upstream: &Authority,
    request: Request<server::Incoming>,
) -> Result<Response<Incoming<R, server::Incoming>>, ClientError> {
    let peer = request.body().connection().peer().to_string();
    let (mut parts, body) = request.into_parts();
    let mut uri = parts.uri.into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(upstream.clone());
    parts.uri = Uri::from_parts(uri).unwrap_or_default();
    parts.extensions = http::Extensions::new();
    strip_hop_by_hop(&mut parts.headers);
    // The body's own length is what counts, and the new target names the host.
    parts.headers.remove(header::HOST);
    if let Ok(peer) = HeaderValue::try_from(peer) {
        parts.headers.append("x-forwarded-for", peer);
    }
    parts.headers.append(header::VIA, HeaderValue::from_static("1.1 glowplug"));
    let mut answer = client.request(Request::from_parts(parts, body)).await?;
    strip_hop_by_hop(answer.headers_mut());
    Ok(answer)
}

/// What the upstream says, or why it says nothing.
pub(crate) async fn answer<R: Runtime>(
    client: Client<R>,
    upstream: Authority,
    request: Request<server::Incoming>,
) -> Response<Body<R>> {
    match forward(&client, &upstream, request).await {
        Ok(answer) => answer.map(Either::Left),
        Err(error) => {
            eprintln!("{error}");
            let mut answer = Response::new(Either::Right(format!("{error}\n")));
            let waited = error.is_timeout() && error.progress() > Progress::NotSent;
            *answer.status_mut() = if waited { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
            answer
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let upstream: Authority = arguments.next().ok_or("the upstream's host and port are needed")?.parse()?;
    let executor = arguments.next().unwrap_or_else(|| "smol".to_owned());
    let port = arguments.next().map_or(Ok(8080), |port| port.parse())?;
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    println!("http://{at}/ leads to {upstream}, on {executor}");
    // The same few lines for each executor.
    macro_rules! serve {
        ($runtime:expr) => {
            async {
                let client = Client::builder($runtime).build();
                let proxy = service_fn(move |request| answer(client.clone(), upstream.clone(), request));
                Server::bind($runtime, at).await?.run(proxy).await;
                Ok(())
            }
        };
    }
    match executor.as_str() {
        "tokio" => tokio::runtime::Runtime::new()?.block_on(serve!(Tokio)),
        _ => smol::block_on(serve!(Smol::default())),
    }
}

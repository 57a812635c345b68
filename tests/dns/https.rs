//! DNS over HTTPS, against our own HTTP server.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{join, join_all};
use glowplug::dns::https::{MEDIA_TYPE, decode_parameter};
use glowplug::dns::resolver::{Channel, LookupError, QueryError, ResolverConfig};
use glowplug::dns::{ExchangeError, HttpsError, RecordType, ResponseConfig};
use glowplug::runtime::dns::{Client, HttpsConfig, HttpsMethod, Resolver, ServerConfig as DnsServerConfig};
use glowplug::runtime::http::Reaper;
use glowplug::runtime::http::server::{Connection, Incoming, Server, Serving};
use glowplug::runtime::time::sleep;
use glowplug::runtime::tls::ClientConfig;
use glowplug::runtime::{BoxFuture, Runtime, Spawn};
use glowplug::sim::dropped_after;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};

use crate::support;
use crate::tls::configs;
use crate::world::*;

support::on_each_executor![
    lookups_by_either_method,
    what_is_no_answer_is_told_by_name,
    another_server_steps_in,
    a_server_that_is_somebody_else_is_not_asked,
    many_at_once_by_few_connections,
    what_a_cache_has_kept_is_kept_for_less,
    queries_dropped_at_every_poll,
];

type Reply = Response<UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>>;
type Handler = dyn Fn(Request<Incoming>) -> BoxFuture<Result<Reply, &'static str>> + Send + Sync;

/// A web site that does what the path says.
#[derive(Clone)]
pub(crate) struct Site(Arc<Handler>);

impl tower_service::Service<Request<Incoming>> for Site {
    type Response = Reply;
    type Error = &'static str;
    type Future = BoxFuture<Result<Reply, &'static str>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        (self.0)(request)
    }
}

/// What these tests ask of a plug beside.
pub(crate) trait WebPlug:
    Plug + Runtime<Connecting: Send, Resolving: Send> + Spawn<Reaper<Self>> + Spawn<Serving<Self, Site>>
{
}

impl<R> WebPlug for R where
    R: Plug + Runtime<Connecting: Send, Resolving: Send> + Spawn<Reaper<Self>> + Spawn<Serving<Self, Site>>
{
}

/// What came in: the request's method, the length of the message, and who asked.
pub(crate) type Log = Arc<Mutex<Vec<(Method, usize, String)>>>;

/// A whole answer to a message, from the zones.
fn answer(message: Bytes) -> Bytes {
    let query = glowplug::dns::Incoming::read(message, Channel::Tcp, &ResponseConfig::default());
    let query = query.expect("a query");
    assert_eq!(query.view().id(), 0);
    let mut out = BytesMut::new();
    query.respond(&zones().respond(&query), &mut out);
    out.freeze()
}

fn reply(status: u16, kind: &str, body: impl Into<Bytes>) -> Reply {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
    Response::builder().status(status).header("content-type", kind).body(body).expect("a response")
}

fn site<R: WebPlug>(runtime: &R, log: &Log) -> Site {
    let (clock, log) = (runtime.clone(), Arc::clone(log));
    Site(Arc::new(move |mut request| {
        let (clock, log) = (clock.clone(), Arc::clone(&log));
        Box::pin(async move {
            assert_eq!(request.headers()["accept"], MEDIA_TYPE);
            assert_eq!(
                request.headers()["host"].to_str().ok().and_then(|host| host.split(':').next()),
                Some("dns.test")
            );
            assert!(!request.headers().contains_key("user-agent"));
            let message = if request.method() == Method::GET {
                let query = request.uri().query().unwrap_or_default();
                let value = query.split('&').find_map(|pair| pair.strip_prefix("dns=")).expect("a parameter");
                decode_parameter(value).expect("a message")
            } else {
                assert_eq!(request.headers()["content-type"], MEDIA_TYPE);
                request.body_mut().bytes(65_535).await.map_err(|_| "no body")?
            };
            let peer = request.extensions().get::<Connection>().map(|at| format!("{:?}", at.peer()));
            log.lock().expect("a log").push((
                request.method().clone(),
                message.len(),
                peer.unwrap_or_default(),
            ));
            let path = request.uri().path().to_owned();
            let right = answer(message);
            Ok(match path.as_str() {
                "/dns-query" => reply(200, MEDIA_TYPE, right),
                "/busy" => reply(503, MEDIA_TYPE, right),
                "/moved" => {
                    let mut moved = reply(307, "text/plain", "elsewhere");
                    moved
                        .headers_mut()
                        .insert("location", http::HeaderValue::from_static("https://other.test/"));
                    moved
                }
                "/page" => reply(200, "text/html", right),
                "/cut" => reply(200, MEDIA_TYPE, right.slice(..right.len() - 3)),
                "/empty" => reply(200, MEDIA_TYPE, ""),
                "/long" => reply(200, MEDIA_TYPE, vec![0; 70_000]),
                "/broken" => {
                    let mut pieces =
                        vec![Err("the rest of it is lost".into()), Ok(http_body::Frame::data(right))];
                    let stream = futures_util::stream::poll_fn(move |_| Poll::Ready(pieces.pop()));
                    reply(200, MEDIA_TYPE, "").map(|_| StreamBody::new(stream).boxed_unsync())
                }
                "/slow" => {
                    sleep(&clock, Duration::from_secs(100_000)).await;
                    reply(200, MEDIA_TYPE, right)
                }
                "/pause" => {
                    sleep(&clock, Duration::from_millis(1)).await;
                    reply(200, MEDIA_TYPE, right)
                }
                "/aged" => {
                    let mut aged = reply(200, MEDIA_TYPE, right);
                    aged.headers_mut().insert("age", 100.into());
                    aged
                }
                path => panic!("{path} is nowhere here"),
            })
        })
    }))
}

/// Runs `work` beside the site; it gets the address, what clients trust, and what was asked.
async fn with_site<R: WebPlug>(runtime: &R, work: impl AsyncFnOnce(SocketAddr, ClientConfig, Log)) {
    let (tls, trust) = configs();
    let server = Server::bind(runtime.clone(), here()).await.expect("a free port").tls(tls);
    beside_site(runtime, server, async |at, log| work(at, trust, log).await).await;
}

/// The same without TLS, which is up to somebody else.
pub(crate) async fn with_plain_site<R: WebPlug>(runtime: &R, work: impl AsyncFnOnce(SocketAddr, Log)) {
    let server = Server::bind(runtime.clone(), here()).await.expect("a free port");
    beside_site(runtime, server, work).await;
}

async fn beside_site<R: WebPlug>(runtime: &R, server: Server<R>, work: impl AsyncFnOnce(SocketAddr, Log)) {
    let log = Log::default();
    let mut config = glowplug::runtime::http::server::Config::default();
    config.connection_extension = true;
    let server = server.config(config);
    let at = server.local_endpoint().expect("an address").socket_addr().expect("TCP");
    let stopper = server.stopper();
    let site = site(runtime, &log);
    let work = async {
        work(at, log).await;
        stopper.stop();
    };
    join(server.run(site), work).await;
}

pub(crate) fn https(path: &str, trust: &ClientConfig) -> HttpsConfig {
    HttpsConfig::new(&format!("https://dns.test{path}")).expect("a url").tls(trust)
}

pub(crate) fn asking<R: WebPlug>(runtime: &R, at: SocketAddr, config: &HttpsConfig) -> Resolver<R> {
    Resolver::builder(runtime.clone()).https_server(at, config).build()
}

async fn lookups_by_either_method<R: WebPlug>(runtime: R) {
    with_site(&runtime, async |at, trust, log| {
        for (path, method, expected) in [
            ("/dns-query", HttpsMethod::Post, Method::POST),
            ("/dns-query{?dns}", HttpsMethod::Get, Method::GET),
            ("/dns-query?user=one", HttpsMethod::Get, Method::GET),
        ] {
            let config = https(path, &trust).method(method);
            let resolver = asking(&runtime, at, &config);
            let found = resolver.lookup_ip("www.example.test").await.expect("addresses");
            assert_eq!(found.iter().count(), 3);
            // More than a datagram holds, at once.
            assert_eq!(resolver.txt("big.example.test").await.expect("texts").len(), 12);
            let gone = resolver.lookup("gone.example.test", RecordType::A).await;
            assert_eq!(gone.expect_err("nothing"), LookupError::NoSuchName);
            let client = Client::builder(runtime.clone(), at).https(&config).build();
            let asked =
                client.ask("alias.example.test", RecordType::A).expect("a name").await.expect("a reply");
            assert_eq!((asked.view().answers().count(), asked.server), (3, Some(at)));
            assert!(asked.round_trip.is_some());
            let log = std::mem::take(&mut *log.lock().expect("a log"));
            assert_eq!(log.len(), 5);
            for (method, len, _) in log {
                assert!(method == expected && len.is_multiple_of(128), "{method} with {len} bytes");
            }
        }
    })
    .await;
}

async fn what_is_no_answer_is_told_by_name<R: WebPlug>(runtime: R) {
    with_site(&runtime, async |at, trust, _| {
        let ask = async |path: &str| {
            let config = https(path, &trust);
            let client =
                Client::builder(runtime.clone(), at).timeout(Duration::from_secs(20)).https(&config).build();
            match client.ask("www.example.test", RecordType::A).expect("a name").await {
                Err(QueryError::Exchange(error)) => error,
                other => panic!("{other:?}"),
            }
        };
        let is = ExchangeError::Https;
        assert_eq!(ask("/busy").await, is(HttpsError::Status(503)));
        assert_eq!(ask("/moved").await, is(HttpsError::Status(307)));
        assert_eq!(ask("/page").await, is(HttpsError::ContentType));
        assert_eq!(ask("/long").await, is(HttpsError::TooLong));
        assert_eq!(ask("/empty").await, is(HttpsError::WrongAnswer));
        assert_eq!(ask("/broken").await, ExchangeError::Unreachable);
        assert!(matches!(ask("/cut").await, ExchangeError::Malformed(_)));
        // Whoever has less patience decides.
        let (quick, slow) = (Duration::from_millis(40), Duration::from_secs(30));
        for (asker, web) in [(quick, slow), (slow, quick)] {
            let config = https("/slow", &trust).timeout(web);
            let client = Client::builder(runtime.clone(), at).timeout(asker).https(&config).build();
            let late = client.ask("www.example.test", RecordType::A).expect("a name").await;
            assert_eq!(late.expect_err("silence"), QueryError::Exchange(ExchangeError::TimedOut));
        }
    })
    .await;
}

async fn another_server_steps_in<R: WebPlug>(runtime: R) {
    with_site(&runtime, async |at, trust, _| {
        with_server(&runtime, DnsServerConfig::default(), Answers::zones(), async |plain| {
            for path in ["/busy", "/page", "/cut", "/broken"] {
                let resolver = Resolver::builder(runtime.clone())
                    .config(ResolverConfig::default())
                    .https_server(at, &https(path, &trust))
                    .server(plain)
                    .build();
                let found = resolver.lookup("www.example.test", RecordType::A).await.expect("addresses");
                assert_eq!(found.records().len(), 2);
            }
        })
        .await;
    })
    .await;
}

async fn a_server_that_is_somebody_else_is_not_asked<R: WebPlug>(runtime: R) {
    with_site(&runtime, async |at, trust, log| {
        let other = HttpsConfig::new("https://other.test/dns-query").expect("a url").tls(&trust);
        let (_, stranger) = configs();
        for config in [other, https("/dns-query", &stranger)] {
            let client = Client::builder(runtime.clone(), at).https(&config).build();
            let refused = client.ask("www.example.test", RecordType::A).expect("a name").await;
            assert_eq!(refused.expect_err("refused"), QueryError::Exchange(ExchangeError::Unreachable));
        }
        assert!(log.lock().expect("a log").is_empty());
    })
    .await;
}

async fn many_at_once_by_few_connections<R: WebPlug>(runtime: R) {
    with_site(&runtime, async |at, trust, log| {
        let resolver = asking(&runtime, at, &https("/pause", &trust).max_connections(3));
        let names: Vec<String> = (0..30).map(|n| format!("n{n}.many.example.test")).collect();
        for found in join_all(names.iter().map(|name| resolver.lookup(name, RecordType::A))).await {
            assert_eq!(found.expect("an answer").records().len(), 1);
        }
        let log = log.lock().expect("a log");
        let peers: BTreeSet<_> = log.iter().map(|(.., peer)| peer).collect();
        assert_eq!((log.len(), peers.len()), (30, 3));
    })
    .await;
}

async fn what_a_cache_has_kept_is_kept_for_less<R: WebPlug>(runtime: R) {
    with_site(&runtime, async |at, trust, _| {
        let resolver = asking(&runtime, at, &https("/aged", &trust).method(HttpsMethod::Get));
        let found = resolver.lookup("www.example.test", RecordType::A).await.expect("addresses");
        assert_eq!(found.valid_for, Duration::from_secs(200));
    })
    .await;
}

async fn queries_dropped_at_every_poll<R: WebPlug>(runtime: R) {
    const MANY: u64 = 100;
    with_site(&runtime, async |at, trust, _| {
        let client = Client::builder(runtime.clone(), at).https(&https("/dns-query", &trust)).build();
        for polls in 0..MANY {
            let ask = |text: &str| client.ask(text, RecordType::A).expect("a name");
            let (dropped, other) =
                join(dropped_after(polls, ask("only4.example.test")), ask("www.example.test")).await;
            assert_eq!(other.expect("a reply").view().answers().count(), 2);
            let after = ask("only4.example.test").await.expect("a reply");
            assert_eq!(after.view().answers().count(), 1);
            if dropped.is_some() {
                break;
            }
            assert!(polls + 1 < MANY, "one query takes more polls than that");
        }
    })
    .await;
}

#[test]
fn a_url_has_to_be_https() {
    for bad in ["http://dns.test/dns-query", "dns.test", "ftp://dns.test/", "https://", ""] {
        assert!(HttpsConfig::new(bad).is_err(), "{bad}");
    }
    let config = HttpsConfig::new("https://dns.test/dns-query{?dns}").expect("a template");
    assert_eq!(config.url(), "https://dns.test/dns-query");
}

//! Whole servers on one thread, answering 13 bytes of text to a load in another process.

use std::convert::Infallible;
use std::future::Future;
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, LazyLock, mpsc};
use std::thread;
use std::time::Duration;

use bench_harness::{Clock, Measured};
use bytes::Bytes;
use glowplug::http::PreparedFields;
use glowplug::runtime::http::Body;
use glowplug::runtime::http::server::{
    HttpService, Incoming, RawRequest, RawResponse, Server, Serving, raw_fn, service_fn,
};
use glowplug::runtime::{Runtime, Spawn};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body_util::Full;
use tokio::net::TcpListener;

use crate::load::{self, Load};

const HELLO: &[u8] = b"Hello, World!";

fn hello() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(HELLO)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// Lets `serve` run for ever in a thread, which says its port first, and measures what the load makes it work.
fn measured(load: Load, requests: u64, serve: impl FnOnce(mpsc::Sender<u16>) + Send + 'static) -> Measured {
    let (ready, port) = mpsc::channel();
    // It is never stopped: it costs nothing once its connections are closed.
    thread::spawn(move || serve(ready));
    let port = port.recv().expect("a port");
    PORT.store(port, Ordering::Relaxed);
    let clock = Clock::start();
    load::run(load, port, requests);
    clock.stop(requests)
}

static PORT: AtomicU16 = AtomicU16::new(0);

/// Where the server that was measured last still listens.
pub fn last_port() -> u16 {
    PORT.load(Ordering::Relaxed)
}

fn on_tokio(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    runtime.block_on(work);
}

/// Says its port and serves.
async fn glowplug<R, S>(runtime: R, service: S, ready: mpsc::Sender<u16>)
where
    R: Runtime + Spawn<Serving<R, S>>,
    S: HttpService,
{
    let at = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind(runtime, at).await.expect("bound");
    let at = server.local_endpoint().expect("an address").socket_addr().expect("of TCP");
    ready.send(at.port()).expect("somebody waits");
    server.run(service).await;
}

fn glowplug_on_tokio<S>(load: Load, requests: u64, service: S) -> Measured
where
    S: HttpService + Send + 'static,
    glowplug::tokio::Tokio: Spawn<Serving<glowplug::tokio::Tokio, S>>,
{
    measured(load, requests, |ready| on_tokio(glowplug(glowplug::tokio::Tokio, service, ready)))
}

fn glowplug_on_smol<S>(load: Load, requests: u64, service: S) -> Measured
where
    S: HttpService + Send + 'static,
    glowplug::smol::Smol: Spawn<Serving<glowplug::smol::Smol, S>>,
{
    measured(load, requests, |ready| {
        let executor = Arc::new(smol::Executor::new());
        let smol = glowplug::smol::Smol::on(executor.clone());
        smol::block_on(executor.run(glowplug(smol, service, ready)));
    })
}

pub fn glowplug_tokio(load: Load, requests: u64) -> Measured {
    glowplug_on_tokio(load, requests, service_fn(|_: Request<Incoming>| async { hello() }))
}

pub fn glowplug_smol(load: Load, requests: u64) -> Measured {
    glowplug_on_smol(load, requests, service_fn(|_: Request<Incoming>| async { hello() }))
}

/// The same answer, as it will go.
fn raw_hello() -> RawResponse<&'static PreparedFields> {
    static FIELDS: LazyLock<PreparedFields> =
        LazyLock::new(|| PreparedFields::new(&[("content-type", "text/plain")]).expect("valid"));
    RawResponse::new(http::StatusCode::OK, &FIELDS, Body::from(Bytes::from_static(HELLO)))
}

pub fn glowplug_raw_tokio(load: Load, requests: u64) -> Measured {
    glowplug_on_tokio(load, requests, raw_fn(|_: RawRequest| async { raw_hello() }))
}

pub fn glowplug_raw_smol(load: Load, requests: u64) -> Measured {
    glowplug_on_smol(load, requests, raw_fn(|_: RawRequest| async { raw_hello() }))
}

pub fn glowplug_axum(load: Load, requests: u64) -> Measured {
    glowplug_on_tokio(load, requests, router())
}

fn router() -> axum::Router {
    axum::Router::new().route("/", axum::routing::get(async || hello().map(axum::body::Body::new)))
}

async fn listen(ready: mpsc::Sender<u16>) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    ready.send(listener.local_addr().expect("an address").port()).expect("somebody waits");
    listener
}

fn hyper_with(load: Load, requests: u64, flush: bool) -> Measured {
    measured(load, requests, move |ready| {
        on_tokio(async move {
            let listener = listen(ready).await;
            loop {
                let (stream, _) = listener.accept().await.expect("accepted");
                stream.set_nodelay(true).expect("set");
                let service = hyper::service::service_fn(|_| async { Ok::<_, Infallible>(hello()) });
                let io = hyper_util::rt::TokioIo::new(stream);
                tokio::spawn(async move {
                    let mut builder = hyper::server::conn::http1::Builder::new();
                    builder.timer(hyper_util::rt::TokioTimer::new()).pipeline_flush(flush);
                    // A client that hangs up is no failure.
                    let _ = builder.serve_connection(io, service).await;
                });
            }
        });
    })
}

pub fn hyper(load: Load, requests: u64) -> Measured {
    hyper_with(load, requests, false)
}

pub fn hyper_flush(load: Load, requests: u64) -> Measured {
    hyper_with(load, requests, true)
}

pub fn axum(load: Load, requests: u64) -> Measured {
    measured(load, requests, |ready| {
        on_tokio(async move {
            let listener = listen(ready).await;
            axum::serve(listener, router()).await.expect("served");
        });
    })
}

/// A port that nobody listens on: for servers that do not say which one they were given.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    listener.local_addr().expect("an address").port()
}

pub fn actix(load: Load, requests: u64) -> Measured {
    use actix_web::http::KeepAlive;
    use actix_web::{App, HttpResponse, HttpServer, web};
    measured(load, requests, |ready| {
        let answer = async || HttpResponse::Ok().content_type("text/plain").body(Bytes::from_static(HELLO));
        let serve = async {
            let server = HttpServer::new(move || App::new().route("/", web::get().to(answer)))
                .workers(1)
                .keep_alive(KeepAlive::Timeout(std::time::Duration::from_secs(75)))
                .max_connections(25_000)
                .disable_signals()
                .bind(("127.0.0.1", 0))
                .expect("bound");
            ready.send(server.addrs()[0].port()).expect("somebody waits");
            server.run().await.expect("served");
        };
        actix_web::rt::System::new().block_on(serve);
    })
}

#[derive(Clone)]
struct Hello;

impl may_minihttp::HttpService for Hello {
    fn call(
        &mut self,
        _: may_minihttp::Request<'_, '_, '_>,
        response: &mut may_minihttp::Response<'_>,
    ) -> std::io::Result<()> {
        response.header("content-type: text/plain");
        response.body("Hello, World!");
        Ok(())
    }
}

pub fn may_minihttp(load: Load, requests: u64) -> Measured {
    measured(load, requests, |ready| {
        may::config().set_workers(1);
        let port = free_port();
        let server = may_minihttp::HttpServer(Hello).start(("127.0.0.1", port)).expect("bound");
        ready.send(port).expect("somebody waits");
        server.wait();
    })
}

/// Its instructions and allocations are not ours to count.
pub fn nginx(load: Load, requests: u64) -> Measured {
    let folder = std::env::temp_dir().join(format!("glowplug-bench-nginx-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let port = free_port();
    let config = format!(
        "daemon off; master_process off; pid {0}/nginx.pid; error_log {0}/error.log;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; keepalive_requests 100000000; keepalive_timeout 600s;
            client_body_temp_path {0}/a; proxy_temp_path {0}/b; fastcgi_temp_path {0}/c; uwsgi_temp_path {0}/d;
            scgi_temp_path {0}/e; default_type text/plain;
            server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"Hello, World!\"; }} }}
        }}",
        folder.display()
    );
    std::fs::write(folder.join("nginx.conf"), config).expect("written");
    let nginx = Command::new("nginx").arg("-p").arg(&folder).args(["-c", "nginx.conf"]).spawn();
    let mut nginx = nginx.expect("nginx is on the PATH");
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(nginx.try_wait().is_ok_and(|ended| ended.is_none()), "nginx does not start");
        thread::sleep(Duration::from_millis(10));
    }
    // Without a master it is one process of one thread.
    let clock = Clock::start_of(nginx.id());
    load::run(load, port, requests);
    let measured = clock.stop(requests);
    let _ = nginx.kill();
    let _ = nginx.wait();
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

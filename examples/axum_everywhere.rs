//! One `axum::Router`, unchanged, on smol and on tokio: an upload of 100 MB that is never held, and a stream of events.
//!
//! `cargo run --release --example axum_everywhere` plays it through with a client of bare sockets and says how much memory it took.
//! With axum's default features off there is no tokio in the tree of the smol half.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Sse;
use axum::response::sse::Event;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream};
use glowplug::runtime::http::server::{Server, Serving};
use glowplug::runtime::time::sleep;
use glowplug::runtime::{Runtime, Spawn};

const UPLOAD: usize = 100_000_000;

/// What the router asks of an executor: timers that a task may own.
trait Everywhere: Runtime<Timer: Send> + Spawn<Serving<Self, Router>> + Send + Sync {}
impl<R: Runtime<Timer: Send> + Spawn<Serving<Self, Router>> + Send + Sync> Everywhere for R {}

/// Five events, one every twenty milliseconds, on whichever executor this is.
async fn ticks<R: Everywhere>(
    State(runtime): State<R>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(1, move |count| {
        let nap = sleep(&runtime, Duration::from_millis(20));
        async move {
            nap.await;
            (count <= 5).then(|| (Ok(Event::default().event("tick").data(count.to_string())), count + 1))
        }
    }))
}

/// Counts a body as it comes. Not reading would hold the client back.
async fn upload(request: Request) -> Result<String, StatusCode> {
    let pieces = request.into_body().into_data_stream();
    let count = pieces.try_fold(0, |sum, piece: Bytes| async move { Ok(sum + piece.len()) });
    Ok(format!("{} bytes", count.await.map_err(|_| StatusCode::BAD_REQUEST)?))
}

fn router<R: Everywhere>(runtime: R) -> Router {
    Router::new()
        .route("/", get(async || "hello"))
        .route("/ticks", get(ticks::<R>))
        .route("/upload", post(upload))
        .with_state(runtime)
}

/// Serves the router until the client has had its say.
async fn story<R: Everywhere>(runtime: R) -> Result<(), Box<dyn std::error::Error>> {
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = Server::bind(runtime.clone(), at).await?;
    let at = server.local_endpoint()?.socket_addr().ok_or("a TCP server has an address")?;
    let stopper = server.stopper();
    let client = std::thread::spawn(move || {
        let told = client(at).map_err(|error| error.to_string());
        stopper.stop();
        told
    });
    server.run(router(runtime)).await;
    client.join().map_err(|_| "the client panicked")??;
    Ok(())
}

fn client(at: SocketAddr) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(at)?;
    write!(socket, "GET /ticks HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    println!("  {} events", answer.matches("event: tick").count());

    let mut socket = TcpStream::connect(at)?;
    let begin = Instant::now();
    write!(
        socket,
        "POST /upload HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: {UPLOAD}\r\n\r\n"
    )?;
    let piece = vec![b'u'; 100_000];
    for _ in 0..UPLOAD / piece.len() {
        socket.write_all(&piece)?;
    }
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let said = answer.lines().last().unwrap_or_default();
    println!("  the server counted {said} in {:.2?}", begin.elapsed());
    Ok(())
}

/// The most memory this process has had, where the system says.
fn peak() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().to_owned())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("on smol:");
    smol::block_on(story(glowplug::smol::Smol::default()))?;
    println!("on tokio:");
    tokio::runtime::Runtime::new()?.block_on(async { story(glowplug::tokio::Tokio).await })?;
    if let Some(peak) = peak() {
        println!("the most memory this process had: {peak}");
    }
    Ok(())
}

//! Conversations over streams, on every executor: the verbs, their limits, their deadlines, and what becomes of a connection when its
//! function ends.

mod ends;
mod framing;
mod services;
#[path = "../support/mod.rs"]
mod support;

use std::future::poll_fn;
use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{join, select};
use futures_util::io::Cursor;
use glowplug::core::framer::FrameError;
use glowplug::runtime::dial::{DialError, Dialer};
use glowplug::runtime::server::{self, Guarded, Stopper};
use glowplug::runtime::tcp::{Config, Connection, Error, LineEnding, Rule, Service, Serving, connect};
use glowplug::runtime::time::{sleep, within};
use glowplug::runtime::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use glowplug::runtime::tls::{ClientConfig, ServerConfig};
use glowplug::runtime::{BoxFuture, Endpoint, MaybeTls, Runtime, Spawn};
use glowplug::sim::{Cut, Link, Simulation, dropped_after, seeds};

use support::{any_port, beside, pair, read_all};

type Handler<R> = Box<dyn Fn(Connection<R>) -> BoxFuture<()> + Send + Sync>;

/// What these tests ask of a plug.
trait Plug:
    Runtime<Stream: Send, Timer: Send> + Spawn<Guarded<Serving<Self, Handler<Self>, BoxFuture<()>>>> + Send + Sync
{
}

impl<R> Plug for R where
    R: Runtime<Stream: Send, Timer: Send>
        + Spawn<Guarded<Serving<R, Handler<R>, BoxFuture<()>>>>
        + Send
        + Sync
{
}

const SOON: Duration = Duration::from_millis(50);

/// Two ends of a conversation.
async fn conversation<R: Runtime>(runtime: &R) -> (Connection<R>, Connection<R>) {
    let (near, far) = pair(runtime).await;
    let over = |stream| Connection::new(runtime.clone(), MaybeTls::Plain(stream));
    (over(near), over(far))
}

fn handler<R, F>(function: impl Fn(Connection<R>) -> F + Send + Sync + 'static) -> Handler<R>
where
    R: Runtime,
    F: Future<Output = ()> + Send + 'static,
{
    Box::new(move |connection| Box::pin(function(connection)))
}

/// Serves with `service` while `work` runs.
async fn served<R: Plug, T>(
    service: Service<R>,
    handler: Handler<R>,
    work: impl AsyncFnOnce(Endpoint, Stopper) -> T,
) -> T {
    let (at, stopper) = (service.local_endpoint().expect("an address"), service.stopper());
    let work = async {
        let done = work(at, stopper.clone()).await;
        stopper.stop();
        done
    };
    let (done, ()) = join(work, service.serve(handler)).await;
    assert_eq!(stopper.connections(), 0);
    done
}

async fn bind<R: Plug>(runtime: &R) -> Service<R> {
    Service::bind(runtime.clone(), any_port()).await.expect("a free port")
}

async fn connected<R: Runtime>(runtime: &R, at: &Endpoint) -> Connection<R> {
    let stream = Dialer::new(runtime.clone()).endpoint(at).await.expect("connected");
    Connection::new(runtime.clone(), stream)
}

async fn echo<R: Runtime>(mut connection: Connection<R>) {
    while let Ok(line) = connection.read_line().await {
        if connection.send(line).await.is_err() || connection.send("\n").await.is_err() {
            return;
        }
    }
}

async fn ask<R: Runtime>(connection: &mut Connection<R>, word: &'static str) {
    connection.feed(word).await.expect("room");
    connection.send("\n").await.expect("sent");
    assert_eq!(connection.read_line().await.expect("answered"), word);
}

fn closed_with(error: &Error) -> &[u8] {
    match error {
        Error::Closed { remainder } => remainder,
        other => panic!("{other:?} instead of the end"),
    }
}

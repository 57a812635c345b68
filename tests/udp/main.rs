//! UDP conversations on every executor: each peer a context of its own, and nobody else's trouble.

mod limits;
mod peers;
#[path = "../support/mod.rs"]
mod support;
mod tasks;

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{join, join_all};
use glowplug::runtime::server::Guarded;
use glowplug::runtime::task::{Task, spawn};
use glowplug::runtime::time::{sleep, within};
use glowplug::runtime::udp::{
    self, Accept, Builder, Closed, Config, ConnectError, Conversation, Drive, Listener, Overflow, Reason,
    SendError, Served, conversation,
};
use glowplug::runtime::{BoxFuture, DatagramSocket, Runtime, SendBatch, Spawn};
use glowplug::sim::{Sim, dropped_after};
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;

/// What these tests ask of a plug: its sockets and timers move into tasks.
trait Plug:
    Runtime<Stream: Send, Timer: Send, Datagram: Send, Binding: Send>
    + Spawn<Drive<Self>>
    + Spawn<Guarded<Served<BoxFuture<()>>>>
    + Spawn<Task<BoxFuture<()>>>
    + Send
    + Sync
{
    /// Between two datagrams whose order matters: in the simulator they overtake each other.
    const PACE: Option<Duration> = None;
}

impl Plug for Tokio {}

impl Plug for Smol {}

impl Plug for Sim {
    const PACE: Option<Duration> = Some(Duration::from_millis(1));
}

/// Long enough for whatever is on its way on this machine, as far as nothing waits for it.
const SOON: Duration = Duration::from_millis(50);

async fn pace<R: Plug>(runtime: &R) {
    if let Some(pace) = R::PACE {
        sleep(runtime, pace).await;
    }
}

fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

async fn bind<R: Plug>(runtime: &R, config: Config) -> (Listener<R>, SocketAddr) {
    let listener = Builder::new(runtime.clone()).tracker(config).bind(anywhere()).await.expect("a free port");
    let at = listener.local_addr();
    assert_ne!(at.port(), 0);
    (listener, at)
}

async fn connect<R: Plug>(runtime: &R, to: SocketAddr) -> Conversation {
    udp::connect(runtime.clone(), to).await.expect("a socket")
}

/// Sends everything back.
fn echo(conversation: Conversation) -> BoxFuture<()> {
    Box::pin(async move {
        while let Ok(datagram) = conversation.recv().await {
            if conversation.send(datagram).await.is_err() {
                return;
            }
        }
    })
}

/// Serves `handler` while `work` runs, then stops.
async fn serving<R, T>(
    runtime: &R,
    handler: impl FnMut(Conversation) -> BoxFuture<()>,
    work: impl AsyncFnOnce(SocketAddr) -> T,
) -> T
where
    R: Plug,
{
    let builder = Builder::new(runtime.clone()).drain_timeout(Duration::ZERO);
    let listener = builder.bind(anywhere()).await.expect("a free port");
    let (at, stopper) = (listener.local_addr(), listener.stopper());
    let work = async {
        let done = work(at).await;
        stopper.stop();
        done
    };
    let (done, served) = join(work, listener.serve(handler)).await;
    served.expect("the socket is fine");
    assert_eq!(stopper.connections(), 0);
    done
}

async fn say(conversation: &Conversation, word: impl Into<Bytes>) {
    conversation.send(word).await.expect("sent");
}

async fn hear(conversation: &Conversation) -> BytesMut {
    conversation.recv().await.expect("heard")
}

/// Sends one datagram from a socket of its own that hears nothing.
async fn shout<R: Runtime>(socket: &mut R::Datagram, to: SocketAddr, word: &[u8]) {
    let mut batch = SendBatch::new();
    batch.push(to.into(), word);
    while !batch.is_empty() {
        poll_fn(|cx| socket.poll_send(cx, &mut batch)).await.expect("sent");
    }
}

/// Pending once.
async fn sleep_a_little() {
    let mut first = true;
    poll_fn(|cx| {
        if std::mem::take(&mut first) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}

//! A server that answers as a test says.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use glowplug::mongodb::bson::{Document, RawDocument};
use glowplug::mongodb::{Limits, Request, ServerConnection, doc};
use glowplug::runtime::drive::Exclusive;
use glowplug::runtime::{Listener, Runtime, Transport};

use crate::support::{any_port, beside, write};

/// What a test's server does with a command.
pub(crate) enum Answer {
    Reply(Document),
    /// Nothing at all, for ever.
    Silence,
    /// The connection ends.
    Hangup,
    /// These bytes, and then nothing.
    Bytes(Vec<u8>),
}

/// A good answer to `hello`.
pub(crate) fn hello() -> Document {
    doc! {
        "isWritablePrimary": true, "maxBsonObjectSize": 16 << 20, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 1000,
        "minWireVersion": 0, "maxWireVersion": 21, "logicalSessionTimeoutMinutes": 30, "ok": 1,
    }
}

/// Runs `test` beside a server that gives each command, but for `hello`, to `answer`.
pub(crate) async fn beside_fake<R: Runtime>(
    runtime: R,
    answer: impl Fn(&str, &Request) -> Answer,
    test: impl AsyncFnOnce(String),
) {
    let with_hello = |name: &str, request: &Request| match name {
        "hello" => Answer::Reply(hello()),
        _ => answer(name, request),
    };
    beside_bare_fake(runtime, with_hello, test).await;
}

/// The same without an answer to `hello` of its own.
pub(crate) async fn beside_bare_fake<R: Runtime>(
    runtime: R,
    answer: impl Fn(&str, &Request) -> Answer,
    test: impl AsyncFnOnce(String),
) {
    beside_fake_on(runtime, |stream| stream, answer, test).await;
}

/// The same on streams of the test's own making.
pub(crate) async fn beside_fake_on<R: Runtime, T: Transport>(
    runtime: R,
    wrap: impl Fn(R::Stream) -> T,
    answer: impl Fn(&str, &Request) -> Answer,
    test: impl AsyncFnOnce(String),
) {
    let mut listener = runtime.listen(&any_port()).await.expect("a free port");
    let at = listener.local_endpoint().expect("an address").to_string();
    let mut connections: FuturesUnordered<LocalBoxFuture<'_, ()>> = FuturesUnordered::new();
    let serving = poll_fn(|cx| {
        while let Poll::Ready(Ok((stream, _))) = listener.poll_accept(cx) {
            connections.push(serve(&runtime, wrap(stream), &answer).boxed_local());
        }
        while let Poll::Ready(Some(())) = connections.poll_next_unpin(cx) {}
        Poll::<()>::Pending
    });
    beside(test(at), pin!(serving)).await;
}

async fn serve<R: Runtime, T: Transport>(runtime: &R, stream: T, answer: &impl Fn(&str, &Request) -> Answer) {
    let mut driver = Exclusive::new(runtime.clone(), stream, ServerConnection::new(Limits::default()));
    while let Ok(Some(request)) = driver.next_event().await {
        let name = request.command().and_then(|doc| doc.iter().next()?.ok()).map_or("", |(name, _)| name);
        let reply = match answer(name, &request) {
            Answer::Reply(reply) => reply,
            Answer::Silence => continue,
            Answer::Hangup => return,
            Answer::Bytes(bytes) => {
                let mut stream = driver.into_parts().transport;
                let _ = write(&mut stream, Bytes::from(bytes)).await;
                return std::future::pending().await;
            }
        };
        if let Some(handle) = request.handle {
            let _ = driver.machine_mut().reply(handle, RawDocument::from(reply));
        }
    }
}

/// A future that is polled at most so often, and then dropped; its output if it came in time.
pub(crate) async fn polled<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match Pin::new(&mut future).poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

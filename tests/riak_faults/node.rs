//! A node that does as it is told.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use glowplug::riak::wire::kv::RpbListKeysResp;
use glowplug::riak::wire::riak::RpbPingResp;
use glowplug::riak::wire::{Code, Decoder, Reply};
use glowplug::runtime::{Listener as _, Runtime};

use crate::Plug;
use crate::support::{accept, any_port, beside, read, write};

/// What a node of ours does with a request.
pub(crate) enum Act {
    /// Answers with these bytes.
    Say(Vec<u8>),
    /// Answers, and closes.
    SayAndClose(Vec<u8>),
    /// Says this, over and over.
    Repeat(Vec<u8>),
    /// Says this, byte by byte, with a pause after each.
    Trickle(Vec<u8>),
    /// Says nothing.
    Ignore,
}

pub(crate) fn frame(reply: impl Into<Reply>) -> Vec<u8> {
    let mut out = BytesMut::new();
    reply.into().encode_frame(&mut out);
    out.to_vec()
}

pub(crate) fn pong() -> Vec<u8> {
    frame(RpbPingResp {})
}

pub(crate) fn keys(keys: &[&'static str], done: Option<bool>) -> Vec<u8> {
    frame(RpbListKeysResp { keys: keys.iter().map(|key| (*key).into()).collect(), done })
}

/// The pause after each byte.
pub(crate) const TRICKLE: Duration = Duration::from_millis(10);

async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The end of one connection: `act` is told the request's code and the connection's number.
async fn play<R: Runtime>(
    runtime: R,
    mut stream: R::Stream,
    number: usize,
    act: impl Fn(Code, usize) -> Act,
) {
    let (mut decoder, mut input) = (Decoder::new(1 << 20), BytesMut::new());
    loop {
        let Ok(Some(frame)) = decoder.decode(&mut input) else {
            match read(&mut stream, &mut input).await {
                Ok(1..) => continue,
                _ => return,
            }
        };
        let written = match act(frame.code, number) {
            Act::Say(bytes) => write(&mut stream, bytes).await,
            Act::SayAndClose(bytes) => {
                // A client that has gone already is what this is about, at times.
                let _ = write(&mut stream, bytes).await;
                return;
            }
            Act::Repeat(bytes) => loop {
                if let Err(error) = write(&mut stream, bytes.clone()).await {
                    break Err(error);
                }
                // Others have their turn, however much the transport takes.
                yield_now().await;
            },
            Act::Trickle(bytes) => {
                for byte in bytes {
                    if write(&mut stream, vec![byte]).await.is_err() {
                        return;
                    }
                    glowplug::runtime::time::sleep(&runtime, TRICKLE).await;
                }
                Ok(())
            }
            Act::Ignore => Ok(()),
        };
        if written.is_err() {
            return;
        }
    }
}

/// Runs `work` with the URL of a node that does as `act` says.
pub(crate) async fn with_node<R: Plug>(
    runtime: &R,
    act: impl Fn(Code, usize) -> Act,
    work: impl AsyncFnOnce(String),
) {
    let mut listener = runtime.listen(&any_port()).await.expect("a free port");
    let url = format!("riak://{}", listener.local_endpoint().expect("an address"));
    let serving = async {
        let connections = FuturesUnordered::new();
        // Never empty, so that it never ends.
        connections.push(Either::Left(pending()));
        let (mut connections, mut number) = (connections, 0);
        loop {
            let accepted = match select(pin!(accept(&mut listener)), connections.next()).await {
                Either::Left((stream, _)) => stream,
                Either::Right(_) => continue,
            };
            number += 1;
            connections.push(Either::Right(play(runtime.clone(), accepted, number, &act)));
        }
    };
    beside(work(url), async { serving.await as () }).await;
}

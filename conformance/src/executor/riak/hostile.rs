//! Nodes that break the protocol: the caller is told in a word, the connection is kept or thrown away as is right, and others are unharmed.

use std::cell::RefCell;
use std::future::poll_fn;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::Progress;
use glowplug_riak::wire::kv::{RpbListKeysResp, RpbPutResp};
use glowplug_riak::wire::riak::{RpbErrorResp, RpbPingReq, RpbPingResp, RpbStartTls};
use glowplug_riak::wire::{Decoder, Reply};
use glowplug_riak::{Error as ProtocolError, PeerError};
use glowplug_runtime::drive::DriverError;
use glowplug_runtime::riak::{Client, Config, ConnectError, Content, Error, Location, Reaper, Serving};
use glowplug_runtime::time::sleep;
use glowplug_runtime::{Listener as _, Runtime, Spawn};

use super::super::io::{both, first, polled, read, write};
use super::super::{Stop, Trial, Tried, When as _, World, any_port, ensure, trial};
use super::connect;

/// The codes of the requests that these nodes know.
const PING: u8 = 1;
const GET: u8 = 9;
const LIST_KEYS: u8 = 17;
const START_TLS: u8 = 255;

pub(super) fn trials<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>() -> Vec<Trial<R>> {
    vec![
        trial!("an-error-in-mid-stream", error_in_mid_stream),
        trial!("a-stream-that-never-says-done", endless_stream),
        trial!("a-stream-cut-in-the-middle", cut_stream),
        trial!("a-length-of-4-gib", four_gib),
        trial!("a-reply-of-the-wrong-code", wrong_code),
        trial!("a-reply-nobody-asked-for", unasked),
        trial!("plaintext-behind-starttls", plaintext_behind_tls),
        trial!("next-of-a-stream-dropped-at-every-poll", dropped_next),
    ]
}

/// What a node does with a request.
enum Act {
    Say(Vec<u8>),
    /// Says it, and hangs up.
    SayAndClose(Vec<u8>),
    /// Says it until nobody takes any more.
    Repeat(Vec<u8>),
}

fn frame(reply: impl Into<Reply>) -> Vec<u8> {
    let mut out = BytesMut::new();
    reply.into().encode_frame(&mut out);
    out.to_vec()
}

fn pong() -> Vec<u8> {
    frame(RpbPingResp {})
}

fn keys(done: Option<bool>) -> Vec<u8> {
    let keys = if done.is_some() { vec![] } else { vec!["one".into(), "two".into()] };
    frame(RpbListKeysResp { keys: keys.into_iter().collect(), done })
}

/// One connection's end.
async fn play<R: Runtime>(runtime: &R, mut stream: R::Stream, act: &impl Fn(u8) -> Act) {
    let (mut decoder, mut input) = (Decoder::new(1 << 20), BytesMut::new());
    loop {
        let Ok(Some(asked)) = decoder.decode(&mut input) else {
            match read(&mut stream, &mut input).await {
                Ok(1..) => continue,
                _ => return,
            }
        };
        let written = match act(asked.code.0) {
            Act::Say(bytes) => write(&mut stream, bytes).await,
            Act::SayAndClose(bytes) => {
                // A client that has gone already is told nothing.
                let _ = write(&mut stream, bytes).await;
                return;
            }
            Act::Repeat(bytes) => {
                let bytes = Bytes::from(bytes.repeat(100));
                while write(&mut stream, bytes.clone()).await.is_ok() {
                    // Others have their turn, however much the transport takes.
                    sleep(runtime, Duration::from_millis(1)).await;
                }
                return;
            }
        };
        if written.is_err() {
            return;
        }
    }
}

/// Runs `work` with the URL of a node that does as `act` says, to two connections at once and more one after the other.
async fn with_node<R: Runtime>(
    world: &World<R>,
    act: impl Fn(u8) -> Act,
    work: impl AsyncFnOnce(String) -> Tried,
) -> Tried {
    let listener = RefCell::new(world.runtime.listen(&any_port().into()).await.when("listen")?);
    let at = listener.borrow().local_endpoint().when("local_endpoint")?;
    let serve = async || {
        loop {
            let accepted = poll_fn(|cx| listener.borrow_mut().poll_accept(cx)).await;
            let Ok((stream, _)) = accepted else { return };
            play(&world.runtime, stream, &act).await;
        }
    };
    match first(work(format!("riak://{at}")), both(serve(), serve())).await {
        Ok(tried) => tried,
        Err(_) => Err(Stop("the node ended".to_owned())),
    }
}

fn key() -> Location {
    Location::new("bucket", "key")
}

/// The error of the connection with which a request was lost.
fn broken<T: std::fmt::Debug>(what: &str, result: Result<T, Error>) -> Result<ProtocolError, Stop> {
    match result {
        Err(Error::Lost(lost)) if lost.progress >= Progress::FullySent => match lost.cause {
            Some(DriverError::Protocol(error)) => Ok(error),
            other => Err(Stop(format!("{what} was lost by {other:?}"))),
        },
        other => Err(Stop(format!("{what} ended as {other:?}"))),
    }
}

async fn error_in_mid_stream<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    let refusal = RpbErrorResp { errmsg: "{insufficient_vnodes,3,need,4}".into(), errcode: 0 };
    let act = |code| match code {
        LIST_KEYS => Act::Say([keys(None), frame(refusal.clone())].concat()),
        _ => Act::Say(pong()),
    };
    with_node(&world, act, async |url| {
        let riak = connect(&world.runtime, &url).await?;
        let mut listing = riak.list_keys("bucket").await.when("list keys")?;
        listing.next().await.transpose().when("keys")?;
        let refused = listing.next().await;
        ensure(matches!(refused, Some(Err(Error::Refused(_)))), || format!("it ended as {refused:?}"))?;
        ensure(listing.next().await.is_none(), || "the stream went on after its error".to_owned())?;
        drop(listing);
        // The connection is in step, and goes on.
        riak.ping().await.when("ping")?;
        ensure(riak.connections() == 1, || format!("there are {} connections", riak.connections()))
    })
    .await
}

async fn endless_stream<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    let act = |code| if code == LIST_KEYS { Act::Repeat(keys(None)) } else { Act::Say(pong()) };
    with_node(&world, act, async |url| {
        let riak = connect(&world.runtime, &url).await?;
        let mut listing = riak.list_keys("bucket").await.when("list keys")?;
        for _ in 0..500 {
            let chunk = listing.next().await.transpose().when("keys")?;
            ensure(chunk.is_some_and(|chunk| chunk.len() == 2), || "a chunk is missing".to_owned())?;
        }
        // Others are none the worse for it, and who stops listening is rid of it.
        riak.ping().await.when("ping")?;
        drop(listing);
        riak.ping().await.when("ping")
    })
    .await
}

async fn cut_stream<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    let act = |code| if code == LIST_KEYS { Act::SayAndClose(keys(None)) } else { Act::Say(pong()) };
    with_node(&world, act, async |url| {
        let riak = connect(&world.runtime, &url).await?;
        let mut listing = riak.list_keys("bucket").await.when("list keys")?;
        listing.next().await.transpose().when("keys")?;
        let lost = listing.next().await;
        let told = matches!(&lost, Some(Err(Error::Lost(lost))) if lost.progress == Progress::AnswerBegun);
        ensure(told, || format!("it ended as {lost:?}"))?;
        ensure(listing.next().await.is_none(), || "the stream went on after its error".to_owned())?;
        riak.ping().await.when("ping")
    })
    .await
}

async fn four_gib<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    let act = |code| Act::Say(if code == GET { vec![0xff, 0xff, 0xff, 0xff, 10, 0, 0] } else { pong() });
    with_node(&world, act, async |url| {
        let riak = connect(&world.runtime, &url).await?;
        let error = broken("a get", riak.get(key()).await)?;
        ensure(matches!(error, ProtocolError::Limit(_)), || format!("the error is {error:?}"))?;
        riak.ping().await.when("ping")
    })
    .await
}

async fn wrong_code<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    let act = |code| Act::Say(if code == PING { pong() } else { frame(RpbPutResp::default()) });
    with_node(&world, act, async |url| {
        let riak = connect(&world.runtime, &url).await?;
        let error = broken("a get", riak.get(key()).await)?;
        let wrong = matches!(error, ProtocolError::Peer(PeerError::WrongReply { .. }));
        ensure(wrong, || format!("the error is {error:?}"))?;
        riak.ping().await.when("ping")?;
        riak.put(key(), Content::new("v")).await.when("put").map(drop)
    })
    .await
}

async fn unasked<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    let act = |code| {
        Act::Say(if code == PING {
            pong()
        } else {
            [frame(RpbPutResp::default()), frame(RpbPutResp::default())].concat()
        })
    };
    with_node(&world, act, async |url| {
        let riak = connect(&world.runtime, &url).await?;
        for _ in 0..3 {
            riak.put(key(), Content::new("v")).await.when("put")?;
            // It may take a moment to arrive. Then it is nobody's, and that connection is not used again.
            sleep(&world.runtime, Duration::from_millis(150)).await;
            let answer = riak.call(RpbPingReq {}).await.when("ping")?;
            ensure(matches!(answer, Reply::RpbPingResp(_)), || format!("a ping is answered by {answer:?}"))?;
        }
        Ok(())
    })
    .await
}

async fn plaintext_behind_tls<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    let act = |code| match code {
        START_TLS => Act::Say([frame(RpbStartTls {}), pong()].concat()),
        _ => Act::Say(pong()),
    };
    with_node(&world, act, async |url| {
        let builder = Client::builder(world.runtime.clone()).machine(Config::new().start_tls(true));
        let refused = builder.connect(&url).await;
        match refused {
            // What came in a segment of its own is for TLS to choke on.
            Err(
                ConnectError::Handshake(Some(DriverError::Protocol(ProtocolError::Peer(
                    PeerError::PlaintextAfterStartTls,
                ))))
                | ConnectError::Tls(_),
            ) => {}
            other => return Err(Stop(format!("it ended as {other:?}"))),
        }
        // Without TLS that node is as good as any.
        connect(&world.runtime, &url).await?.ping().await.when("ping")
    })
    .await
}

async fn dropped_next<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    let act = |code| match code {
        LIST_KEYS => Act::Say([keys(None).repeat(50), keys(Some(true))].concat()),
        _ => Act::Say(pong()),
    };
    with_node(&world, act, async |url| {
        let riak = connect(&world.runtime, &url).await?;
        for begin in 0..3 {
            let (mut found, mut polls) = (0, begin);
            let mut listing = riak.list_keys("bucket").await.when("list keys")?;
            loop {
                // Two polls wait to be woken in between, so that it goes on.
                polls = (polls + 1) % 3;
                match polled(polls, listing.next()).await {
                    Some(Some(chunk)) => found += chunk.when("keys")?.len(),
                    Some(None) => break,
                    None => {}
                }
            }
            ensure(found == 100, || format!("of 100 keys {found} came"))?;
            riak.ping().await.when("ping")?;
        }
        let connections = riak.connections();
        ensure(connections == 1, || format!("one caller has {connections} connections"))
    })
    .await
}

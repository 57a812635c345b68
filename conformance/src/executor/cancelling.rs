//! Any future may be dropped at any await, and those that come after it are none the worse for it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_runtime::time::sleep;
use glowplug_runtime::{Endpoint, Listener, RecvBatch, Runtime};

use super::io::{accept, both, first, polled, read_until, receive, shutdown, write};
use super::{Stop, Trial, Tried, When as _, World, any_port, ensure, trial};

/// More polls than any of these futures takes.
const MANY: usize = 200;

pub(super) fn trials<R: Runtime>() -> Vec<Trial<R>> {
    vec![
        trial!("connect", connect),
        trial!("accept", accepting),
        trial!("exchange", exchange),
        trial!("timer", timer),
        trial!("receive", receiving),
    ]
}

/// Answers each connection with what it sent, reversed, for ever.
async fn serve<L: Listener>(listener: &mut L) -> Stop {
    loop {
        let Ok((mut stream, _)) = accept(listener).await else { continue };
        // A peer that went away in the middle is what this is about.
        let _ = async {
            let mut buf = BytesMut::new();
            read_until(&mut stream, &mut buf, 4).await?;
            buf.reverse();
            write(&mut stream, buf.freeze()).await?;
            shutdown(&mut stream).await
        }
        .await;
    }
}

/// One word, reversed.
async fn ask<R: Runtime>(runtime: &R, at: &Endpoint, word: [u8; 4]) -> Tried {
    let mut stream = runtime.connect(at).await.when("connect")?;
    let mut back = BytesMut::new();
    write(&mut stream, Bytes::copy_from_slice(&word)).await.when("write")?;
    read_until(&mut stream, &mut back, 4).await.when("read")?;
    let expected: Vec<u8> = word.iter().rev().copied().collect();
    ensure(back == expected, || format!("{word:?} was answered with {back:?}"))
}

/// Runs `work` while a server answers.
async fn with_server<R: Runtime>(world: &World<R>, work: impl AsyncFnOnce(Endpoint) -> Tried) -> Tried {
    let (mut listener, at) = world.listen().await?;
    match first(work(at), serve(&mut listener)).await {
        Ok(tried) => tried,
        Err(stop) => Err(stop),
    }
}

async fn connect<R: Runtime>(world: World<R>) -> Tried {
    let runtime = world.runtime.clone();
    with_server(&world, async move |at| {
        for polls in 0..8 {
            drop(polled(polls, runtime.connect(&at)).await);
            ask(&runtime, &at, (polls as u32).to_be_bytes()).await?;
        }
        Ok(())
    })
    .await
}

async fn accepting<R: Runtime>(world: World<R>) -> Tried {
    let (mut listener, at) = world.listen().await?;
    for polls in 0..8 {
        // Whoever connects meanwhile is accepted by the next who asks.
        let early = polled(polls.min(1), accept(&mut listener)).await;
        ensure(early.is_none(), || "a connection was accepted that nobody had made".to_owned())?;
        let (connected, accepted) = both(world.runtime.connect(&at), accept(&mut listener)).await;
        let (mut client, (mut server, _)) = (connected.when("connect")?, accepted.when("accept")?);
        let mut buf = BytesMut::new();
        write(&mut client, Bytes::from_static(b"hi")).await.when("write")?;
        read_until(&mut server, &mut buf, 2).await.when("read")?;
        ensure(buf == b"hi"[..], || format!("the server heard {buf:?}"))?;
    }
    Ok(())
}

async fn exchange<R: Runtime>(world: World<R>) -> Tried {
    let runtime = world.runtime.clone();
    with_server(&world, async move |at| {
        for polls in 0..MANY {
            let dropped = polled(polls, ask(&runtime, &at, *b"drop")).await;
            ask(&runtime, &at, (polls as u32).to_be_bytes()).await?;
            if let Some(finished) = dropped {
                return finished;
            }
        }
        Err(Stop(format!("one exchange takes more than {MANY} polls")))
    })
    .await
}

async fn timer<R: Runtime>(world: World<R>) -> Tried {
    for polls in 0..4 {
        let _ = polled(polls, sleep(&world.runtime, Duration::from_millis(10))).await;
        // Timers that were dropped neither wake for others nor keep them from waking.
        let before = world.runtime.now();
        sleep(&world.runtime, Duration::from_millis(2)).await;
        let slept = world.runtime.now() - before;
        ensure(slept >= Duration::from_millis(2), || format!("2 ms of sleep took {slept:?}"))?;
    }
    Ok(())
}

async fn receiving<R: Runtime>(world: World<R>) -> Tried {
    use glowplug_runtime::{DatagramSocket as _, SendBatch};

    let mut here = world.runtime.bind(any_port()).await.when("bind")?;
    let mut there = world.runtime.bind(any_port()).await.when("bind")?;
    let to = here.local_addr().when("local_addr")?;
    for polls in 0..6_u8 {
        let mut input = RecvBatch::new();
        let early = polled(usize::from(polls).min(1), receive(&mut here, &mut input)).await;
        ensure(early.is_none(), || "a datagram came that nobody had sent".to_owned())?;
        let mut received = None;
        // Datagrams may be lost: again, until one is there.
        for _ in 0..100 {
            let mut output = SendBatch::new();
            output.push(to.into(), &[polls]);
            super::io::send(&mut there, &mut output).await.when("send")?;
            let pause = sleep(&world.runtime, Duration::from_millis(50));
            if let Ok(got) = first(receive(&mut here, &mut input), pause).await {
                got.when("receive")?;
                received = input.pop();
                break;
            }
        }
        let payload = received.map(|datagram| datagram.payload);
        ensure(payload.as_deref() == Some(&[polls]), || format!("datagram {polls} came as {payload:?}"))?;
    }
    Ok(())
}

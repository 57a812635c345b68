//! Datagram sockets.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::time::Duration;

use glowplug_core::{DatagramProtocol as _, Path};
use glowplug_runtime::time::sleep;
use glowplug_runtime::{DatagramSocket, RecvBatch, Runtime, SendBatch};

use super::io::{first, now, receive, send};
use super::{Stop, Trial, Tried, When as _, World, any_port, ensure, trial};
use crate::reference::tally::{Config, Tally};

/// Datagrams may be lost anywhere: how often they are sent again before that counts as broken, and after how long.
const ROUNDS: usize = 100;
const ROUND: Duration = Duration::from_millis(50);

pub(super) fn trials<R: Runtime>() -> Vec<Trial<R>> {
    vec![
        trial!("echo-in-batches", echo_in_batches),
        trial!("sizes", sizes),
        trial!("a-machine-answers", a_machine_answers),
        trial!("unreachable-is-not-the-end", unreachable_is_not_the_end),
        trial!("idle", idle),
    ]
}

async fn bind<R: Runtime>(world: &World<R>) -> Result<(R::Datagram, Path), Stop> {
    let socket = world.runtime.bind(any_port()).await.when("bind")?;
    let at = socket.local_addr().when("local_addr")?;
    ensure(at.port() != 0, || format!("a socket bound to port 0 says that it is at {at}"))?;
    Ok((socket, Path::to(at)))
}

/// Sends back whatever comes, for ever.
async fn echo<D: DatagramSocket>(socket: &mut D) -> std::io::Error {
    let (mut input, mut output) = (RecvBatch::new(), SendBatch::new());
    loop {
        if let Err(error) = receive(socket, &mut input).await {
            return error;
        }
        while let Some(datagram) = input.pop() {
            output.push(Path::to(datagram.path.remote), &datagram.payload);
        }
        if let Err(error) = send(socket, &mut output).await {
            return error;
        }
    }
}

/// Sends all of `payloads` (each once only) until each has come back from `to`.
async fn all_back<R: Runtime>(
    world: &World<R>,
    socket: &mut R::Datagram,
    to: Path,
    payloads: Vec<Vec<u8>>,
) -> Tried {
    let mut missing: BTreeSet<Vec<u8>> = payloads.into_iter().collect();
    for _ in 0..ROUNDS {
        let mut output = SendBatch::new();
        // Small rounds, so that no socket's buffer has to hold everything.
        for payload in missing.iter().take(48) {
            output.push(to, payload);
        }
        send(socket, &mut output).await.when("send")?;
        let mut pause = std::pin::pin!(sleep(&world.runtime, ROUND));
        let mut expected = missing.len().min(48);
        let mut input = RecvBatch::with_capacity(16);
        while expected > 0 {
            let Ok(got) = first(receive(socket, &mut input), &mut pause).await else { break };
            let count = got.when("receive")?;
            ensure(count > 0 && count == input.len(), || {
                format!("poll_recv said {count}, and the batch holds {}", input.len())
            })?;
            while let Some(datagram) = input.pop() {
                ensure(datagram.path.remote == to.remote, || {
                    format!("an answer from {}", datagram.path.remote)
                })?;
                expected -= usize::from(missing.remove(&datagram.payload[..]) && expected > 0);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
    }
    Err(Stop(format!("{} datagrams did not come back in {ROUNDS} rounds", missing.len())))
}

async fn echo_in_batches<R: Runtime>(world: World<R>) -> Tried {
    let ((mut client, _), (mut server, at)) = (bind(&world).await?, bind(&world).await?);
    let payloads = (0..500_u32).map(|n| n.to_be_bytes().repeat(1 + n as usize % 9)).collect();
    match first(all_back(&world, &mut client, at, payloads), echo(&mut server)).await {
        Ok(tried) => tried,
        Err(error) => Err(Stop(format!("the echo ended: {error}"))),
    }
}

async fn sizes<R: Runtime>(world: World<R>) -> Tried {
    let ((mut client, _), (mut server, at)) = (bind(&world).await?, bind(&world).await?);
    // Empty is a size like any other; 1,232 bytes fit everywhere on the Internet, 8,192 on a loopback.
    let payloads = [0, 1, 1232, 8192].map(|len| (0..len).map(|n| (n % 251) as u8).collect()).to_vec();
    match first(all_back(&world, &mut client, at, payloads), echo(&mut server)).await {
        Ok(tried) => tried,
        Err(error) => Err(Stop(format!("the echo ended: {error}"))),
    }
}

/// A [`Tally`] on a socket: machines fill batches, sockets send them.
async fn a_machine_answers<R: Runtime>(world: World<R>) -> Tried {
    let ((mut client, _), (mut server, at)) = (bind(&world).await?, bind(&world).await?);
    let runtime = world.runtime.clone();
    let serve = async {
        let mut machine = Tally::new(Config::default());
        let (mut input, mut output) = (RecvBatch::new(), SendBatch::new());
        loop {
            receive(&mut server, &mut input).await?;
            let now = runtime.now();
            while let Some(datagram) = input.pop() {
                // A refused datagram is the peer's loss.
                let _ = machine.handle_datagram(now, datagram.path, datagram.payload);
            }
            while machine.poll_event(now).is_some() {}
            output.fill(now, &mut machine);
            send(&mut server, &mut output).await?;
        }
    };
    let ask = async {
        let mut counts = Vec::new();
        let mut input = RecvBatch::new();
        for _ in 0..ROUNDS {
            let mut output = SendBatch::new();
            output.push(at, b"count me");
            send(&mut client, &mut output).await.when("send")?;
            if let Ok(got) = first(receive(&mut client, &mut input), sleep(&world.runtime, ROUND)).await {
                got.when("receive")?;
            }
            while let Some(datagram) = input.pop() {
                counts
                    .push(u64::from_be_bytes(datagram.payload[..].try_into().when("an answer of 8 bytes")?));
            }
            if counts.len() >= 5 {
                break;
            }
        }
        ensure(counts.len() >= 5 && counts.is_sorted() && counts[0] >= 1, || {
            format!("the answers were {counts:?}")
        })
    };
    let outcome: Result<Tried, std::io::Result<std::convert::Infallible>> = first(ask, serve).await;
    match outcome {
        Ok(tried) => tried,
        Err(Err(error)) => Err(Stop(format!("the server ended: {error}"))),
    }
}

async fn unreachable_is_not_the_end<R: Runtime>(world: World<R>) -> Tried {
    let ((mut client, _), (mut server, at)) = (bind(&world).await?, bind(&world).await?);
    let (gone, nowhere) = bind(&world).await?;
    drop(gone);
    let mut output = SendBatch::new();
    for _ in 0..3 {
        output.push(nowhere, b"is anybody there?");
    }
    while !output.is_empty() {
        let before = output.len();
        // An error is about the first datagram of the batch, which is then gone too.
        let outcome = poll_fn(|cx| client.poll_send(cx, &mut output)).await;
        ensure(output.len() < before, || format!("poll_send gave {outcome:?} and left the batch as it was"))?;
    }
    // The news that nobody is there may come as an error of a later call; the socket goes on.
    let mut input = RecvBatch::new();
    while let Ok(Err(_)) = first(receive(&mut client, &mut input), sleep(&world.runtime, ROUND)).await {}
    match first(all_back(&world, &mut client, at, vec![b"still alive".to_vec()]), echo(&mut server)).await {
        Ok(tried) => tried,
        Err(error) => Err(Stop(format!("the echo ended: {error}"))),
    }
}

async fn idle<R: Runtime>(world: World<R>) -> Tried {
    let (mut socket, _) = bind(&world).await?;
    let mut input = RecvBatch::new();
    let got = now(|cx| socket.poll_recv(cx, &mut input)).await;
    ensure(got.is_none() && input.is_empty(), || format!("a socket that nobody wrote to gave {got:?}"))
}

//! Byte streams and listeners.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::SendBuf;
use glowplug_runtime::time::sleep;
use glowplug_runtime::{Endpoint, Runtime, Transport as _};

use super::io::{accept, both, first, flush, now, pair, read, read_all, read_until, shutdown, write};
use super::{Executor, Stop, Trial, Tried, When as _, World, any_port, ensure, socket_path, trial};

/// How much goes both ways at once.
const MUCH: usize = 10 * 1024 * 1024;

/// No system buffers this much for a peer that does not read.
const TOO_MUCH: usize = 256 * 1024 * 1024;

/// How long nothing happens where nothing should happen. A slower machine makes the case weaker, never red.
const A_WHILE: Duration = Duration::from_millis(50);

pub(super) fn trials<E: Executor>() -> Vec<Trial<E::Runtime>> {
    vec![
        trial!("echo", echo),
        trial!("half-close", half_close),
        trial!(heavy "much-both-ways", much_both_ways),
        trial!(heavy "peer-never-reads", peer_never_reads),
        trial!("many-pieces", many_pieces),
        trial!("idle-holds-no-buffer", idle_holds_no_buffer),
        trial!("peer-goes-away", peer_goes_away),
        trial!("refused", refused),
        trial!("many-connections", many_connections),
        trial!(skip(!E::UNIX).then_some("it has no Unix sockets"), "unix", unix),
        trial!("resolve", resolve::<E>),
    ]
}

/// `len` bytes that differ from place to place and from `salt` to `salt`.
fn pattern(len: usize, salt: usize) -> Bytes {
    (0..len).map(|n| ((n + salt).wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<_>>().into()
}

async fn echo<R: Runtime>(world: World<R>) -> Tried {
    let (mut client, mut server) = world.pair().await?;
    greet(&mut client, &mut server, b"hello").await
}

/// A word there and back again.
async fn greet<T: glowplug_runtime::Transport>(client: &mut T, server: &mut T, word: &'static [u8]) -> Tried {
    let (mut heard, mut back) = (BytesMut::new(), BytesMut::new());
    write(client, Bytes::from_static(word)).await.when("write")?;
    read_until(server, &mut heard, word.len()).await.when("read")?;
    write(server, heard.freeze()).await.when("write back")?;
    read_until(client, &mut back, word.len()).await.when("read back")?;
    ensure(back == word, || format!("{word:?} came back as {back:?}"))
}

async fn half_close<R: Runtime>(world: World<R>) -> Tried {
    let (mut client, mut server) = world.pair().await?;
    write(&mut client, Bytes::from_static(b"question")).await.when("write")?;
    shutdown(&mut client).await.when("shut down")?;
    shutdown(&mut client).await.when("shut down once more")?;
    let heard = read_all(&mut server).await.when("read to the end")?;
    ensure(heard == b"question"[..], || format!("the server heard {heard:?}"))?;
    // The other direction is open still, and for as long as it pleases.
    sleep(&world.runtime, A_WHILE).await;
    write(&mut server, Bytes::from_static(b"answer")).await.when("write after the peer's end")?;
    shutdown(&mut server).await.when("shut down")?;
    let back = read_all(&mut client).await.when("read after our own end")?;
    ensure(back == b"answer"[..], || format!("after its own end the client heard {back:?}"))?;
    let more = read(&mut client, &mut BytesMut::new()).await.when("read after the end")?;
    ensure(more == 0, || "after the end, there was more".to_owned())
}

async fn much_both_ways<R: Runtime>(world: World<R>) -> Tried {
    let (mut client, mut server) = world.pair().await?;
    let (there, back) = (pattern(MUCH, 1), pattern(MUCH, 2));
    let (from_client, from_server) =
        both(swap(&mut client, there.clone(), MUCH), swap(&mut server, back.clone(), MUCH)).await;
    ensure(from_server.when("server")? == there, || "what the server read is not what was sent".to_owned())?;
    ensure(from_client.when("client")? == back, || "what the client read is not what was sent".to_owned())
}

/// Writes `bytes` and reads `len`, both at once on one stream.
async fn swap<T: glowplug_runtime::Transport>(
    stream: &mut T,
    bytes: Bytes,
    len: usize,
) -> std::io::Result<BytesMut> {
    let (mut out, mut input) = (SendBuf::new(), BytesMut::new());
    out.push(bytes);
    std::future::poll_fn(|cx| {
        use std::task::Poll;
        loop {
            let mut moved = false;
            if !out.is_empty()
                && let Poll::Ready(written) = stream.poll_write(cx, &mut out)
            {
                written?;
                moved = true;
            }
            if input.len() < len
                && let Poll::Ready(got) = stream.poll_read(cx, &mut input)
            {
                if got? == 0 {
                    return Poll::Ready(Err(std::io::ErrorKind::UnexpectedEof.into()));
                }
                moved = true;
            }
            if out.is_empty() && input.len() >= len {
                return Poll::Ready(Ok(std::mem::take(&mut input)));
            }
            if !moved {
                return Poll::Pending;
            }
        }
    })
    .await
}

async fn peer_never_reads<R: Runtime>(world: World<R>) -> Tried {
    let (mut client, mut server) = world.pair().await?;
    let piece = pattern(64 * 1024, 3);
    let mut accepted = 0;
    let (mut out, mut stuck) = (SendBuf::new(), 0);
    // Until the stream takes nothing for a while, twice.
    while stuck < 2 {
        ensure(accepted < TOO_MUCH, || {
            format!("{accepted} bytes were accepted for a peer that does not read")
        })?;
        if out.is_empty() {
            out.push(piece.clone());
        }
        match now(|cx| client.poll_write(cx, &mut out)).await {
            Some(written) => {
                accepted += written.when("write")?;
                stuck = 0;
            }
            None => {
                sleep(&world.runtime, A_WHILE).await;
                stuck += 1;
            }
        }
    }
    // When the peer reads at last, the waiting writer is woken, and nothing was lost.
    let mut rest = accepted + out.len();
    let mut heard = BytesMut::new();
    let (written, counted) = both(
        async {
            flush(&mut client, &mut out).await?;
            shutdown(&mut client).await
        },
        async {
            let (mut position, mut same) = (0, true);
            while read(&mut server, &mut heard).await? > 0 {
                same &=
                    heard.iter().enumerate().all(|(n, byte)| *byte == piece[(position + n) % piece.len()]);
                position += heard.len();
                heard.clear();
            }
            std::io::Result::Ok((position, same))
        },
    )
    .await;
    written.when("write the rest")?;
    let (position, same) = counted.when("read at last")?;
    rest -= position.min(rest);
    ensure(rest == 0 && same, || format!("{rest} bytes are missing; the others are the same: {same}"))
}

async fn many_pieces<R: Runtime>(world: World<R>) -> Tried {
    let (mut client, mut server) = world.pair().await?;
    let mut out = SendBuf::new();
    let mut expected = BytesMut::new();
    for n in 0..200 {
        // Long pieces are queued as they are, short ones are gathered: a vectored write of both.
        let piece = pattern(if n % 3 == 0 { 1500 } else { n }, n);
        expected.extend_from_slice(&piece);
        out.push(piece);
    }
    let len = expected.len();
    let mut heard = BytesMut::new();
    let (written, got) = both(flush(&mut client, &mut out), read_until(&mut server, &mut heard, len)).await;
    written.when("write")?;
    got.when("read")?;
    ensure(heard == expected, || "the pieces did not arrive in order".to_owned())
}

async fn idle_holds_no_buffer<R: Runtime>(world: World<R>) -> Tried {
    let (mut client, mut server) = world.pair().await?;
    let mut buf = BytesMut::new();
    let read_now = now(|cx| client.poll_read(cx, &mut buf)).await;
    ensure(read_now.is_none(), || "there was something to read on a silent stream".to_owned())?;
    ensure(buf.is_empty() && buf.capacity() == 0, || {
        format!("a read that has to wait left {} bytes of room in the buffer", buf.capacity())
    })?;
    // What was there before stays, and what comes is appended.
    buf.extend_from_slice(b"before ");
    write(&mut server, Bytes::from_static(b"after")).await.when("write")?;
    read_until(&mut client, &mut buf, 12).await.when("read")?;
    ensure(buf == b"before after"[..], || format!("reading appended to give {buf:?}"))
}

async fn peer_goes_away<R: Runtime>(world: World<R>) -> Tried {
    let (mut client, server) = world.pair().await?;
    drop(server);
    // Gone in good order or with a reset: both are an end.
    let read = read(&mut client, &mut BytesMut::new()).await;
    ensure(!matches!(read, Ok(1..)), || "a peer that went away sent something".to_owned())?;
    let piece = pattern(64 * 1024, 5);
    for _ in 0..TOO_MUCH / piece.len() {
        if write(&mut client, piece.clone()).await.is_err() {
            return Ok(());
        }
    }
    Err(Stop("writes to a peer that went away never fail".to_owned()))
}

async fn refused<R: Runtime>(world: World<R>) -> Tried {
    let (listener, at) = world.listen().await?;
    drop(listener);
    match world.runtime.connect(&at).await {
        Ok(_) => Err(Stop(format!("nobody listens at {at}, and the connection stands"))),
        Err(error) => ensure(error.kind() == std::io::ErrorKind::ConnectionRefused, || {
            format!("a refused connection is reported as {:?}: {error}", error.kind())
        }),
    }
}

async fn many_connections<R: Runtime>(world: World<R>) -> Tried {
    const COUNT: u8 = 24;
    let (mut listener, at) = world.listen().await?;
    let (mut clients, mut servers) = (Vec::new(), Vec::new());
    for n in 0..COUNT {
        let (connected, accepted) = both(world.runtime.connect(&at), accept(&mut listener)).await;
        let mut client = connected.when("connect")?;
        write(&mut client, vec![n]).await.when("write")?;
        clients.push(client);
        servers.push(accepted.when("accept")?.0);
    }
    // Each end of each connection has a peer of its own.
    let mut numbers = Vec::new();
    for server in &mut servers {
        let mut buf = BytesMut::new();
        read_until(server, &mut buf, 1).await.when("read")?;
        numbers.push(buf[0]);
        write(server, vec![buf[0] ^ 0xff]).await.when("write back")?;
    }
    numbers.sort_unstable();
    ensure(numbers.iter().copied().eq(0..COUNT), || format!("the servers heard {numbers:?}"))?;
    for (n, client) in (0..COUNT).zip(&mut clients) {
        let mut buf = BytesMut::new();
        read_until(client, &mut buf, 1).await.when("read back")?;
        ensure(buf[..] == [n ^ 0xff], || format!("client {n} heard {buf:?}"))?;
    }
    // Nobody knocks any more.
    let more = first(accept(&mut listener), sleep(&world.runtime, A_WHILE)).await;
    ensure(more.is_err(), || "a connection was accepted that nobody had made".to_owned())
}

async fn unix<R: Runtime>(world: World<R>) -> Tried {
    let path = socket_path();
    let at = Endpoint::Unix(path.clone());
    let missing = world.runtime.connect(&at).await;
    ensure(missing.is_err(), || format!("nobody listens at {at}, and the connection stands"))?;
    let listener = world.runtime.listen(&at).await.when("listen")?;
    let outcome = async {
        let (mut client, mut server) = pair(&world.runtime, listener, &at).await?;
        greet(&mut client, &mut server, b"hello, neighbour").await?;
        shutdown(&mut client).await.when("shut down")?;
        let rest = read_all(&mut server).await.when("read to the end")?;
        ensure(rest.is_empty(), || format!("after the end there was {rest:?}"))?;
        greet_back(&mut client, &mut server).await
    }
    .await;
    // The plug may have taken the file away itself, or have none.
    let _ = std::fs::remove_file(path);
    outcome
}

/// One direction is closed; the other still works.
async fn greet_back<T: glowplug_runtime::Transport>(client: &mut T, server: &mut T) -> Tried {
    write(server, Bytes::from_static(b"bye")).await.when("write after the peer's end")?;
    let mut back = BytesMut::new();
    read_until(client, &mut back, 3).await.when("read after our own end")?;
    ensure(back == b"bye"[..], || format!("after its own end the client heard {back:?}"))
}

async fn resolve<E: Executor>(world: World<E::Runtime>) -> Tried {
    let found = world.runtime.resolve(E::KNOWN_HOST, 4711).await.when(E::KNOWN_HOST)?;
    ensure(!found.is_empty() && found.iter().all(|addr| addr.port() == 4711), || {
        format!("{} is {found:?}", E::KNOWN_HOST)
    })?;
    let number = world.runtime.resolve(&any_port().ip().to_string(), 9).await.when("an address in digits")?;
    ensure(number == [std::net::SocketAddr::new(any_port().ip(), 9)], || {
        format!("an address in digits is {number:?}")
    })
}

//! The WebSocket people hold, both ends of it, on any executor.
//!
//! Nothing is spawned: both ends are moved by one task, so a stranger's plug needs no more than its sockets and timers.

use std::future::Future;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use glowplug_runtime::websocket::{
    Acceptor, CloseCode, CloseFrame, Config, Connector, DeflateConfig, Error, Event, Message, MessageKind,
    WebSocket,
};
use glowplug_runtime::{Runtime, Transport};
use glowplug_websocket::Error as Protocol;
use glowplug_websocket::wire::{FrameDecoder, FrameHead, Opcode, encode};

use super::io::{both, polled, read, write};
use super::{Executor, Stop, Trial, Tried, When as _, World, cases_of, ensure, trial};
use crate::runner::Case;

/// More polls than any of these futures takes.
const MANY: usize = 200;

const URL: &str = "ws://here.test/chat";

type Socket<R> = WebSocket<R, <R as Runtime>::Stream>;

/// Every case, with the name of its suite.
pub fn cases<E: Executor>() -> Vec<(&'static str, Case)> {
    cases_of::<E>("websocket", trials())
}

fn trials<R: Runtime>() -> Vec<Trial<R>> {
    vec![
        trial!("echoes-of-text-and-bytes", echoes),
        trial!("fragments-become-one-message", fragments),
        trial!("pieces-are-told-as-they-come", pieces),
        trial!("a-ping-is-answered", ping),
        trial!("the-client-says-good-bye", client_closes),
        trial!("the-server-says-good-bye", server_closes),
        trial!("both-say-good-bye-at-once", both_close),
        trial!("a-message-over-the-limit-is-refused", too_long),
        trial!("text-that-is-none-is-refused", no_text),
        trial!("compressed", compressed),
        trial!("dropped-at-every-poll", dropped),
        trial!("the-end-without-a-good-bye", torn),
        trial!("a-mute-peer-is-found-out", mute),
        trial!(heavy "two-halves-both-ways", halves),
    ]
}

/// Both ends of a fresh socket, each by its configuration: who connected, and who accepted.
async fn sockets<R: Runtime>(
    world: &World<R>,
    client: Config,
    server: Config,
) -> Result<(Socket<R>, Socket<R>), Stop> {
    let (near, far) = world.pair().await?;
    let connector = Connector::new(world.runtime.clone()).config(client);
    let acceptor = Acceptor::new(world.runtime.clone()).config(server);
    let (client, server) = both(connector.connect_on(near, URL), acceptor.accept(far)).await;
    Ok((client.when("connect")?, server.when("accept")?))
}

/// Runs `work` at the client's end while the server says everything back, to the end of both.
async fn with_echo<R: Runtime>(
    world: &World<R>,
    config: Config,
    work: impl AsyncFnOnce(&mut Socket<R>) -> Tried,
) -> Tried {
    let (mut client, mut server) = sockets(world, config.clone(), config).await?;
    let echo = async {
        while let Some(message) = server.recv().await.when("receive at the server")? {
            server.send(message).await.when("echo")?;
        }
        Ok(())
    };
    let working = async {
        let tried = work(&mut client).await;
        // After a failure the server has to come to its end as well.
        let closed = client.close().await.when("close");
        tried.and(closed)
    };
    let (worked, echoed) = both(working, echo).await;
    worked.and(echoed)
}

fn same(heard: Option<&Message>, wanted: &Message) -> Tried {
    ensure(heard == Some(wanted), || {
        let heard = heard.map_or("the end".to_owned(), |heard| {
            format!("{} bytes as {:?}", heard.as_bytes().len(), heard.kind())
        });
        format!("{heard} came where {} bytes were due", wanted.as_bytes().len())
    })
}

fn said(socket: Option<&CloseFrame>, code: CloseCode) -> Tried {
    ensure(socket.is_some_and(|frame| frame.code == code), || format!("the good-bye is {socket:?}"))
}

async fn echoes<R: Runtime>(world: World<R>) -> Tried {
    with_echo(&world, Config::new(), async |socket| {
        for len in [0, 1, 125, 126, 65_535, 65_536, 200_000] {
            for message in [Message::text("é".repeat(len / 2)), Message::binary(vec![7; len])] {
                socket.send(message.clone()).await.when("send")?;
                same(socket.recv().await.when("receive")?.as_ref(), &message)?;
            }
        }
        // Many under way, whose echoes come in order.
        for n in 0..50 {
            socket.feed(n.to_string()).await.when("feed")?;
        }
        socket.flush().await.when("flush")?;
        for n in 0..50 {
            same(socket.recv().await.when("receive")?.as_ref(), &n.to_string().into())?;
        }
        Ok(())
    })
    .await
}

async fn fragments<R: Runtime>(world: World<R>) -> Tried {
    with_echo(&world, Config::new(), async |socket| {
        // A character may be cut by a frame, and a ping may come in between.
        let frames: [&[u8]; 4] = [b"caf\xc3", b"", b"\xa9 and ", b"more"];
        for (n, frame) in frames.into_iter().enumerate() {
            socket.send_data(MessageKind::Text, frame, n == 3).await.when("send a frame")?;
            if n == 1 {
                socket.ping("amid").await.when("ping")?;
            }
        }
        let pong = socket.next_event().await.when("receive")?;
        ensure(pong == Some(Event::Pong("amid".into())), || format!("{pong:?} came for a pong"))?;
        same(socket.recv().await.when("receive")?.as_ref(), &"café and more".into())
    })
    .await
}

async fn pieces<R: Runtime>(world: World<R>) -> Tried {
    let (mut client, mut server) = sockets(&world, Config::new(), Config::new().pieces(true)).await?;
    let telling = async {
        client.send_data(MessageKind::Binary, vec![1; 3000], false).await.when("send a frame")?;
        client.send_data(MessageKind::Binary, vec![2; 3000], true).await.when("send a frame")?;
        client.close().await.when("close")
    };
    let hearing = async {
        let begun = server.next_event().await.when("receive")?;
        ensure(begun == Some(Event::Begin(MessageKind::Binary)), || format!("it begins with {begun:?}"))?;
        let mut heard = Vec::new();
        loop {
            match server.next_event().await.when("receive")? {
                Some(Event::Data(data)) => heard.extend_from_slice(&data),
                Some(Event::End) => break,
                other => return Err(Stop(format!("{other:?} came amid a message"))),
            }
        }
        ensure(heard == [[1; 3000], [2; 3000]].concat(), || format!("{} other bytes came", heard.len()))?;
        let end = server.recv().await.when("receive")?;
        ensure(end.is_none(), || format!("{end:?} came for the end"))
    };
    let (told, heard) = both(telling, hearing).await;
    told.and(heard)
}

async fn ping<R: Runtime>(world: World<R>) -> Tried {
    with_echo(&world, Config::new(), async |socket| {
        socket.ping("are you there?").await.when("ping")?;
        let pong = socket.next_event().await.when("receive")?;
        ensure(pong == Some(Event::Pong("are you there?".into())), || format!("{pong:?} came for a pong"))?;
        let refused = socket.ping(vec![0; 126]).await;
        ensure(matches!(refused, Err(Error::Message(_))), || format!("a ping of 126 bytes gave {refused:?}"))
    })
    .await
}

async fn client_closes<R: Runtime>(world: World<R>) -> Tried {
    let (client, server) = sockets(&world, Config::new(), Config::new()).await?;
    goodbye(client, server).await
}

async fn server_closes<R: Runtime>(world: World<R>) -> Tried {
    let (client, server) = sockets(&world, Config::new(), Config::new()).await?;
    goodbye(server, client).await
}

/// `first` says one more thing and good-bye; `second` hears both, and nothing can be sent any more.
async fn goodbye<R: Runtime, T: Transport>(mut first: WebSocket<R, T>, mut second: WebSocket<R, T>) -> Tried {
    let frame = CloseFrame::new(CloseCode::GOING_AWAY, "down for the night");
    let leaving = async {
        first.feed("going").await.when("feed")?;
        first.close_with(frame.clone()).await.when("close")?;
        let refused = first.send("more").await;
        ensure(matches!(refused, Err(Error::Closed)), || format!("a closed socket gave {refused:?}"))?;
        said(first.close_frame(), CloseCode::GOING_AWAY)
    };
    let staying = async {
        same(second.recv().await.when("receive")?.as_ref(), &"going".into())?;
        let end = second.recv().await.when("receive")?;
        ensure(end.is_none() && second.close_frame() == Some(&frame), || {
            format!("{end:?} and {:?} came for the end", second.close_frame())
        })?;
        second.close().await.when("close what is closed")
    };
    let (left, stayed) = both(leaving, staying).await;
    left.and(stayed)
}

async fn both_close<R: Runtime>(world: World<R>) -> Tried {
    let (mut client, mut server) = sockets(&world, Config::new(), Config::new()).await?;
    let one = client.close_with(CloseFrame::new(CloseCode::GOING_AWAY, ""));
    let (one, other) = both(one, server.close()).await;
    one.when("close the client")?;
    other.when("close the server")?;
    said(client.close_frame(), CloseCode::NORMAL)?;
    said(server.close_frame(), CloseCode::GOING_AWAY)
}

async fn too_long<R: Runtime>(world: World<R>) -> Tried {
    let (mut client, mut server) =
        sockets(&world, Config::new(), Config::new().max_message_len(1000)).await?;
    client.send(vec![7; 1000]).await.when("send")?;
    client.send(vec![7; 1001]).await.when("send")?;
    let hearing = async {
        same(server.recv().await.when("receive")?.as_ref(), &vec![7; 1000].into())?;
        match server.recv().await {
            Err(Error::Protocol(Protocol::Limit { exceeded, .. })) => {
                ensure(exceeded.limit == "max_message_len", || format!("the limit is {}", exceeded.limit))
            }
            other => Err(Stop(format!("a message over the limit gave {other:?}"))),
        }
    };
    let (end, heard) = both(client.recv(), hearing).await;
    heard?;
    ensure(end.when("receive at the client")?.is_none(), || "the client got a message".to_owned())?;
    said(client.close_frame(), CloseCode::TOO_BIG)
}

/// A client of bare bytes, which breaks the rules.
async fn no_text<R: Runtime>(world: World<R>) -> Tried {
    let (mut near, far) = world.pair().await?;
    let acceptor = Acceptor::new(world.runtime.clone());
    let serving = async {
        let mut server = acceptor.accept(far).await.when("accept")?;
        match server.recv().await {
            Err(Error::Protocol(Protocol::Peer(_))) => Ok(()),
            other => Err(Stop(format!("text that is none gave {other:?}"))),
        }
    };
    let (told, served) = both(tell_no_text(&mut near), serving).await;
    told.and(served)
}

async fn tell_no_text<T: Transport>(near: &mut T) -> Tried {
    let request = "GET / HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    write(near, request).await.when("write a handshake")?;
    let mut input = BytesMut::new();
    let end = loop {
        if let Some(at) = memchr::memmem::find(&input, b"\r\n\r\n") {
            break at + 4;
        }
        ensure(read(near, &mut input).await.when("read")? > 0, || "the server hung up".to_owned())?;
    };
    ensure(input.starts_with(b"HTTP/1.1 101 "), || format!("the answer is {input:?}"))?;
    input.advance(end);
    let mut frames = BytesMut::new();
    for (opcode, fin, payload) in
        [(Opcode::Text, false, &b"caf\xc3"[..]), (Opcode::Continuation, true, b"\x28")]
    {
        let head = FrameHead { fin, rsv1: false, opcode, mask: Some([9, 8, 7, 6]), len: 0 };
        encode(head, payload, &mut frames);
    }
    write(near, frames.freeze()).await.when("write frames")?;
    let mut decoder = FrameDecoder::new(1000);
    loop {
        if let Some(mut frame) = decoder.decode(&mut input).when("a frame")? {
            let code = (frame.payload.len() >= 2).then(|| frame.payload.get_u16());
            return ensure(frame.head.opcode == Opcode::Close && code == Some(1007), || {
                format!("{:?} with code {code:?} came for a good-bye", frame.head.opcode)
            });
        }
        ensure(read(near, &mut input).await.when("read")? > 0, || "no good-bye came".to_owned())?;
    }
}

async fn compressed<R: Runtime>(world: World<R>) -> Tried {
    let deflate = DeflateConfig::new().threshold(0);
    for deflate in [deflate.clone(), deflate.server_no_context_takeover(true).client_max_window_bits(9)] {
        with_echo(&world, Config::new().deflate(Some(deflate)), async |socket| {
            for len in [0, 3, 1000, 30_000] {
                let message = Message::text("abcdefg ".repeat(len));
                socket.send(message.clone()).await.when("send")?;
                same(socket.recv().await.when("receive")?.as_ref(), &message)?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Whatever is dropped, at whichever poll: messages come whole, in order, and none twice.
async fn dropped<R: Runtime>(world: World<R>) -> Tried {
    for polls in 0..6 {
        let (near, far) = world.pair().await?;
        let connector = Connector::new(world.runtime.clone());
        let acceptor = Acceptor::new(world.runtime.clone());
        // Either end may be left alone in the midst of its handshake: it hears of the end.
        let connecting = polled(polls, connector.connect_on(near, URL));
        let (connected, accepted) = both(connecting, polled(MANY, acceptor.accept(far))).await;
        ensure(accepted.is_some(), || "the server waits for nobody".to_owned())?;
        drop(connected);
    }
    with_echo(&world, Config::new(), async |socket| {
        let (mut sent, mut received) = (0_u32, 0_u32);
        let wanted = |n: u32| Message::binary(n.to_be_bytes().repeat(500));
        for round in 0..100 {
            let polls = round % 5;
            if let Some(fed) = polled(polls, socket.feed(wanted(sent))).await {
                fed.when("feed")?;
                sent += 1;
            }
            if let Some(flushed) = polled(polls, socket.flush()).await {
                flushed.when("flush")?;
            }
            if let Some(heard) = polled(polls, socket.recv()).await {
                same(heard.when("receive")?.as_ref(), &wanted(received))?;
                received += 1;
            }
        }
        while received < sent {
            same(socket.recv().await.when("receive")?.as_ref(), &wanted(received))?;
            received += 1;
        }
        for polls in 0..4 {
            let _ = polled(polls, socket.close()).await;
        }
        Ok(())
    })
    .await
}

async fn torn<R: Runtime>(world: World<R>) -> Tried {
    let (mut client, mut server) = sockets(&world, Config::new(), Config::new()).await?;
    server.send("so far").await.when("send")?;
    drop(server);
    same(client.recv().await.when("receive")?.as_ref(), &"so far".into())?;
    let end = client.recv().await;
    ensure(matches!(end, Err(Error::Protocol(Protocol::UnexpectedEof) | Error::Io(_))), || {
        format!("an end without a good-bye gave {end:?}")
    })?;
    let after = client.recv().await.when("receive after the error")?;
    ensure(after.is_none() && !client.is_open(), || format!("after the end came {after:?}"))
}

async fn mute<R: Runtime>(world: World<R>) -> Tried {
    let soon = Duration::from_millis(20);
    let config = Config::new().ping_interval(Some(soon)).pong_timeout(soon);
    // The client is there and never polled: nobody answers.
    let (_client, mut server) = sockets(&world, Config::new(), config).await?;
    let before = world.runtime.now();
    let end = server.recv().await;
    ensure(matches!(end, Err(Error::Protocol(Protocol::TimedOut(_)))), || {
        format!("a peer that says nothing gave {end:?}")
    })?;
    ensure(world.runtime.now() - before >= soon, || "it was found out too early".to_owned())
}

/// Each end sends and receives at once, more than buffers hold.
async fn halves<R: Runtime>(world: World<R>) -> Tried {
    let (client, server) = sockets(&world, Config::new(), Config::new()).await?;
    let (one, other) = both(exchange(client), exchange(server)).await;
    one.and(other)
}

fn exchange<R: Runtime, T: Transport>(socket: WebSocket<R, T>) -> impl Future<Output = Tried> {
    const MESSAGES: u8 = 100;
    let (mut reader, mut writer) = socket.split();
    let sending = async move {
        for n in 0..MESSAGES {
            writer.send(vec![n; 20_000]).await.when("send")?;
        }
        Ok::<_, Stop>(writer)
    };
    let receiving = async move {
        for n in 0..MESSAGES {
            same(reader.recv().await.when("receive")?.as_ref(), &vec![n; 20_000].into())?;
        }
        Ok::<_, Stop>(reader)
    };
    async move {
        let (sent, received) = both(sending, receiving).await;
        let (mut writer, mut reader) = (sent?, received?);
        let (closed, end) = both(writer.close(), reader.recv()).await;
        closed.when("close")?;
        ensure(end.when("receive")?.is_none(), || "a message came for the end".to_owned())
    }
}

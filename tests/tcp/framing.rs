//! The verbs: what is read is framed, and nothing is lost when a read is given up.

use super::*;

support::on_each_executor![
    every_verb,
    lines_then_the_end_then_the_rest,
    a_frame_too_long_loses_nothing,
    an_invalid_delimiter,
    sources,
    verbs_dropped_at_every_poll,
    sends_dropped_at_every_poll,
    what_comes_first,
];

async fn every_verb<R: Runtime>(runtime: R) {
    let (mut near, mut far) = conversation(&runtime).await;
    // Nothing at all is there at once, although nobody has sent anything.
    assert_eq!(far.read_exact(0).await.expect("nothing"), "");
    near.send("12345line one\r\nline ").await.expect("sent");
    near.flush().await.expect("flushed");
    assert_eq!(far.read_exact(5).await.expect("five bytes"), "12345");
    assert_eq!(far.read_line().await.expect("a line"), "line one");
    near.send("two\nup to a de").await.expect("sent");
    assert_eq!(far.read_line().await.expect("a line"), "line two");
    // A delimiter in two pieces.
    let (up_to, ()) = join(far.read_until(b"dedede;"), async {
        near.send("dede").await.expect("sent");
        sleep(&runtime, Duration::from_millis(1)).await;
        near.send(";rest").await.expect("sent");
    })
    .await;
    assert_eq!(up_to.expect("a delimiter"), "up to a dedede;");
    let mut rest = Vec::new();
    while rest.len() < 4 {
        rest.extend_from_slice(&far.read_any().await.expect("something"));
    }
    assert_eq!(rest, b"rest");
    // Strictly CR LF.
    near.send("a\nb\r\n").await.expect("sent");
    assert_eq!(far.read(Rule::Line(LineEnding::CrLf)).await.expect("a line"), "a\nb");
    near.close().await.and(far.close().await).expect("closed");
}

async fn lines_then_the_end_then_the_rest<R: Runtime>(runtime: R) {
    let (mut near, mut far) = conversation(&runtime).await;
    near.send("one\r\ntwo\nthe rest").await.expect("sent");
    near.finish().await.expect("finished");
    // The reader is slow: the end is there before it looks.
    sleep(&runtime, SOON).await;
    assert_eq!(far.read_line().await.expect("a line"), "one");
    assert_eq!(far.read_line().await.expect("a line"), "two");
    for _ in 0..2 {
        let error = far.read_line().await.expect_err("the end");
        assert_eq!(closed_with(&error), b"the rest");
        assert!(!error.is_closed());
    }
    assert_eq!(far.buffered(), b"the rest");
    // Nothing is lost: another rule reads it.
    assert_eq!(far.read_exact(8).await.expect("the rest"), "the rest");
    assert!(far.read_any().await.expect_err("the end").is_closed());
    // And our side is open still.
    far.send("heard").await.expect("sent");
    far.finish().await.expect("finished");
    assert_eq!(near.read_exact(5).await.expect("an answer"), "heard");
}

async fn a_frame_too_long_loses_nothing<R: Runtime>(runtime: R) {
    let (near, far) = conversation(&runtime).await;
    let mut near = near;
    let mut far = far.config(Config::default().max_frame_len(10));
    near.send("0123456789\n0123456789a\n").await.expect("sent");
    assert_eq!(far.read_line().await.expect("just short enough"), "0123456789");
    for _ in 0..2 {
        let error = far.read_line().await.expect_err("too long");
        assert!(matches!(error, Error::Frame(FrameError::TooLong(_))), "{error}");
    }
    assert!(matches!(far.read_exact(11).await, Err(Error::Frame(FrameError::TooLong(_)))));
    let mut far = far.config(Config::default().max_frame_len(11));
    assert_eq!(far.read_line().await.expect("a line"), "0123456789a");
}

async fn an_invalid_delimiter<R: Runtime>(runtime: R) {
    let (mut near, _far) = conversation(&runtime).await;
    assert!(matches!(near.read_until(b"").await, Err(Error::Delimiter(_))));
    assert!(matches!(near.read_until(&[0; 33]).await, Err(Error::Delimiter(_))));
}

async fn sources<R: Runtime>(runtime: R) {
    let content: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let file = std::env::temp_dir().join(format!("glowplug-tcp-{}", std::process::id()));
    std::fs::write(&file, &content).expect("written");
    let (mut near, mut far) = conversation(&runtime).await;
    let sending = async {
        let length = content.len() as u64;
        assert_eq!(near.send_stream(&mut Cursor::new(&content)).await.expect("sent"), length);
        assert_eq!(near.send_reader(&mut &content[..]).await.expect("sent"), length);
        assert_eq!(near.send_file(&file).await.expect("sent"), length);
        assert!(matches!(near.send_file("/there/is/no/such/file").await, Err(Error::Source(_))));
        near.finish().await.expect("finished");
    };
    let receiving = async {
        let mut all = Vec::new();
        while let Ok(bytes) = far.read_any().await {
            all.extend_from_slice(&bytes);
        }
        all
    };
    let ((), all) = join(sending, receiving).await;
    assert!(all == content.repeat(3), "{} bytes came", all.len());
    let _ = std::fs::remove_file(&file);
}

/// A script of frames, and how to read each.
fn script() -> (Vec<u8>, Vec<(Rule, Bytes)>) {
    let mut wire = Vec::new();
    let mut frames = Vec::new();
    for n in 0..40_usize {
        let body = Bytes::from(vec![b'a' + (n % 26) as u8; n * 7 % 90]);
        wire.extend_from_slice(&body);
        match n % 3 {
            0 => frames.push((Rule::Exact(body.len()), body)),
            1 => {
                wire.extend_from_slice(b"\r\n");
                frames.push((Rule::Line(LineEnding::Either), body));
            }
            _ => {
                wire.extend_from_slice(b"<end>");
                frames.push((
                    Rule::until(b"<end>").expect("a delimiter"),
                    [&body[..], b"<end>"].concat().into(),
                ));
            }
        }
    }
    (wire, frames)
}

/// Reads the script's frames, and drops each read at each of its polls.
async fn read_script<R: Runtime>(connection: &mut Connection<R>, frames: &[(Rule, Bytes)], most: u64) {
    for (n, (rule, expected)) in frames.iter().enumerate() {
        let mut polls = n as u64 % most;
        let frame = loop {
            match dropped_after(polls, connection.read(*rule)).await {
                Some(frame) => break frame,
                None => polls = (polls + 1) % most.max(2),
            }
            // Not at once: a read that is dropped at its first poll, again and again, waits for nothing.
            let runtime = connection.runtime().clone();
            sleep(&runtime, Duration::from_micros(200)).await;
        };
        assert_eq!(frame.expect("a frame"), expected, "frame {n}");
    }
}

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

async fn verbs_dropped_at_every_poll<R: Runtime>(runtime: R) {
    let (wire, frames) = script();
    for most in 1..5 {
        let (mut near, mut far) = conversation(&runtime).await;
        let writing = async {
            for piece in wire.chunks(11) {
                near.send(piece.to_vec()).await.expect("sent");
                yield_now().await;
            }
            near.finish().await.expect("finished");
        };
        join(writing, read_script(&mut far, &frames, most)).await;
        assert!(far.read_any().await.expect_err("the end").is_closed());
    }
}

async fn sends_dropped_at_every_poll<R: Runtime>(runtime: R) {
    let (near, mut far) = conversation(&runtime).await;
    let mut near = near.config(Config::default().write_buffer(50));
    let writing = async {
        let mut sent = Vec::new();
        for n in 0..2000_u64 {
            let line = format!("line {n}\n");
            let done = match n % 3 {
                0 => dropped_after(n % 4, near.send(line.clone())).await,
                1 => dropped_after(n % 4, near.feed(line.clone())).await,
                _ => dropped_after(n % 4, near.flush()).await.and(None),
            };
            // Either it was sent whole, or not at all.
            if let Some(done) = done {
                done.expect("sent");
                sent.push(line);
            }
            if n % 100 == 0 {
                yield_now().await;
            }
        }
        near.finish().await.expect("finished");
        sent.concat()
    };
    let reading = async {
        let mut all = Vec::new();
        while let Ok(bytes) = far.read_any().await {
            all.extend_from_slice(&bytes);
        }
        String::from_utf8(all).expect("text")
    };
    let (sent, received) = join(writing, reading).await;
    assert!(sent == received, "what came is not what was sent");
    assert!(sent.contains("line 999\n"));
}

async fn what_comes_first<R: Runtime>(runtime: R) {
    let (near, mut far) = conversation(&runtime).await;
    let mut near = near;
    let (news, inbox) = async_channel::bounded(4);
    let peer = async {
        far.send("first li").await.expect("sent");
        news.send("some news").await.expect("room");
        sleep(&runtime, SOON * 2).await;
        far.send("ne\n").await.expect("sent");
        far.read_line().await.expect("an answer")
    };
    let chosen = async {
        let mut seen = Vec::new();
        while seen.len() < 3 {
            futures_util::select_biased! {
                line = near.read_line().fuse() => {
                    assert_eq!(line.expect("a line"), "first line");
                    seen.push("line");
                }
                item = inbox.recv().fuse() => {
                    assert_eq!(item.expect("an item"), "some news");
                    seen.push("news");
                }
                () = sleep(&runtime, SOON).fuse() => if !seen.contains(&"time") { seen.push("time") },
            }
        }
        near.send("done\n").await.expect("sent");
        near.flush().await.expect("flushed");
        seen
    };
    let (answer, seen) = join(peer, chosen).await;
    assert_eq!((&answer[..], seen.len()), (&b"done"[..], 3));
    assert_eq!(seen, ["news", "time", "line"]);
}

/// A rough network that cuts everything anywhere, and a reader that gives up anywhere: the frames are the same.
#[test]
fn under_many_seeds_the_frames_are_the_same() {
    let (wire, frames) = script();
    for seed in seeds(200) {
        let mut simulation = Simulation::new(seed).configure(|net| net.default_link(Link::rough()));
        let client = simulation.host("client", [10, 0, 0, 1]);
        let server = simulation.host("server", [10, 0, 0, 2]);
        simulation.run(async {
            let at = Endpoint::Tcp(([10, 0, 0, 2], 7000).into());
            let service = Service::bind(server.clone(), at.clone()).await.expect("a port");
            let script = frames.clone();
            let function = handler(move |mut connection: Connection<_>| {
                let frames = script.clone();
                async move {
                    read_script(&mut connection, &frames, 1 + seed % 4).await;
                    connection.send("all").await.expect("sent");
                }
            });
            served(service, function, async |at, _| {
                let mut near = connected(&client, &at).await;
                near.send(wire.clone()).await.expect("sent");
                assert_eq!(closed_with(&near.read_line().await.expect_err("the end")), b"all", "seed {seed}");
            })
            .await;
        });
        simulation.run_until_idle();
        assert_eq!(simulation.usage().streams, 0, "seed {seed}: a connection is left over");
    }
}

/// Cut at every byte: whole frames come first, and then an error or the end with exactly what is left.
#[test]
fn cut_anywhere_whole_frames_come_first() {
    let wire = b"one\ntwo\nthree\nfour\n";
    for bytes in 0..=wire.len() as u64 {
        for how in [Cut::Reset, Cut::Close] {
            let mut simulation = Simulation::new(bytes);
            let client = simulation.host("client", [10, 0, 0, 1]);
            let server = simulation.host("server", [10, 0, 0, 2]);
            simulation.net().cut_after("client", "server", bytes, how);
            simulation.run(async {
                let at = Endpoint::Tcp(([10, 0, 0, 2], 7000).into());
                let mut listener = server.listen(&at).await.expect("a port");
                let (near, far) = join(client.connect(&at), support::accept(&mut listener)).await;
                let Ok(near) = near else { return };
                let mut near = Connection::new(client.clone(), MaybeTls::Plain(near));
                let mut far = Connection::new(server.clone(), MaybeTls::Plain(far));
                let writing = async {
                    let _ = near.send(&wire[..]).await;
                    let _ = near.flush().await;
                    near
                };
                let reading = async {
                    let mut lines = Vec::new();
                    let error = loop {
                        match within(&server, Some(Duration::from_secs(5)), far.read_line()).await {
                            Ok(Ok(line)) => lines.push(line),
                            Ok(Err(error)) => break Some(error),
                            Err(_) => break None,
                        }
                    };
                    (lines, error)
                };
                let (near, (lines, error)) = join(writing, reading).await;
                drop(near);
                let came = &wire[..bytes as usize];
                let whole = came.split(|&byte| byte == b'\n').count() - 1;
                assert_eq!(lines.len(), whole, "{how:?} after {bytes}");
                let rest = came.rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
                match (how, error) {
                    (Cut::Close, Some(error)) => assert_eq!(closed_with(&error), rest),
                    (_, Some(error)) => assert!(matches!(error, Error::Io(_)), "{error}"),
                    (_, None) => assert_eq!(bytes as usize, wire.len(), "{how:?} after {bytes}"),
                }
            });
        }
    }
}

#[test]
fn errors_say_what_happened() {
    support::on_smol(|runtime| async move {
        let (mut near, far) = conversation(&runtime).await;
        drop(far);
        let error = near.read_line().await.expect_err("the end");
        assert_eq!(error.to_string(), "the peer closed the connection");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::UnexpectedEof);
        let error = loop {
            if let Err(error) = near.send(vec![0; 100_000]).await {
                break error;
            }
        };
        assert_eq!(error.to_string(), "the connection broke");
        let mut parts = near.into_parts();
        assert_eq!(read_all(&mut parts.stream).await.map_or(0, |rest| rest.len()), 0);
    });
}

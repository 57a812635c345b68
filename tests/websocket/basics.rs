//! What people call.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_sink::Sink;
use futures_util::StreamExt;
use futures_util::future::{join, join_all};
use glowplug::runtime::http::server::Server;
use glowplug::runtime::time::within;
use glowplug::runtime::websocket::{
    Acceptor, CloseCode, CloseFrame, Config, ConnectError, Connector, DeflateConfig, Error, Event, Message,
    MessageKind, Rejection, ServerSocket,
};
use glowplug::sim::dropped_after;
use http::{HeaderValue, StatusCode, header};

use crate::support::{self, pair};
use crate::{Plug, Talk, Told, URL, echo, serving, to};

support::on_each_executor![
    echoes_of_every_size,
    streams_and_sinks,
    subprotocols_and_headers,
    closing_from_either_end,
    on_any_transport,
    refusals,
    halves,
    messages_in_pieces,
    compression,
    cancelled_at_every_poll,
    back_pressure,
    many_at_once,
];

async fn echoes_of_every_size<R: Plug>(runtime: R) {
    serving(&runtime, Acceptor::new(runtime.clone()), echo, async |at| {
        let mut socket = to(&runtime, &at).connect(URL).await.expect("connected");
        for len in [0, 1, 125, 126, 1000, 65_535, 65_536, 300_000] {
            let message = Message::binary(vec![7; len]);
            socket.send(message.clone()).await.expect("sent");
            assert_eq!(socket.recv().await.expect("an echo"), Some(message));
        }
        socket.send("κόσμε").await.expect("sent");
        assert_eq!(
            socket.recv().await.expect("an echo").and_then(|m| m.as_text().map(str::to_owned)).as_deref(),
            Some("κόσμε")
        );
        // Many at once, then all the answers.
        for n in 0..100 {
            socket.feed(n.to_string()).await.expect("room");
        }
        socket.flush().await.expect("sent");
        for n in 0..100 {
            assert_eq!(socket.recv().await.expect("an echo"), Some(n.to_string().into()));
        }
        socket.ping("are you there?").await.expect("sent");
        assert_eq!(socket.next_event().await.expect("a pong"), Some(Event::Pong("are you there?".into())));
        socket.close().await.expect("closed");
        assert_eq!(socket.close_frame().map(|frame| frame.code), Some(CloseCode::NORMAL));
        assert!(!socket.is_open());
        assert!(matches!(socket.send("more").await, Err(Error::Closed)));
        assert_eq!(socket.recv().await.expect("the end"), None);
    })
    .await;
}

async fn streams_and_sinks<R: Plug>(runtime: R) {
    serving(&runtime, Acceptor::new(runtime.clone()), echo, async |at| {
        let mut socket = to(&runtime, &at).connect(URL).await.expect("connected");
        for n in 0..50 {
            poll_fn(|cx| Pin::new(&mut socket).poll_ready(cx)).await.expect("room");
            Pin::new(&mut socket).start_send(n.to_string().into()).expect("taken");
        }
        poll_fn(|cx| Sink::poll_flush(Pin::new(&mut socket), cx)).await.expect("sent");
        let echoes: Vec<_> = (&mut socket).take(50).collect().await;
        for (n, echo) in echoes.into_iter().enumerate() {
            assert_eq!(echo.expect("an echo"), n.to_string().into());
        }
        poll_fn(|cx| Sink::poll_close(Pin::new(&mut socket), cx)).await.expect("closed");
        assert!(socket.next().await.is_none());
    })
    .await;
}

async fn subprotocols_and_headers<R: Plug>(runtime: R) {
    let acceptor = Acceptor::new(runtime.clone()).subprotocols(["two", "three"]);
    serving(&runtime, acceptor, echo, async |at| {
        let connector = to(&runtime, &at).header(header::ORIGIN, HeaderValue::from_static("http://here"));
        let socket = connector.clone().subprotocols(["one", "two", "three"]).connect(URL).await;
        assert_eq!(socket.expect("connected").protocol(), Some("two"));
        let socket = connector.clone().subprotocols(["one"]).connect(URL).await;
        assert_eq!(socket.expect("connected").protocol(), None);
        let socket = connector.connect("http://example.test").await;
        assert_eq!(socket.expect("connected").protocol(), None);
    })
    .await;
}

fn goodbye<R: Plug>(mut socket: ServerSocket<R>) -> Told {
    Box::pin(async move {
        socket.send("going").await.expect("sent");
        let closed = socket.close_with(CloseFrame::new(CloseCode::GOING_AWAY, "down for the night")).await;
        closed.expect("closed");
    })
}

async fn closing_from_either_end<R: Plug>(runtime: R) {
    serving(&runtime, Acceptor::new(runtime.clone()), goodbye, async |at| {
        let mut socket = to(&runtime, &at).connect(URL).await.expect("connected");
        assert_eq!(socket.recv().await.expect("a message"), Some("going".into()));
        assert_eq!(socket.recv().await.expect("the end"), None);
        assert_eq!(socket.close_frame(), Some(&CloseFrame::new(CloseCode::GOING_AWAY, "down for the night")));
        socket.close().await.expect("closed already");
    })
    .await;
    // A crash is no good-bye.
    let drops: Talk<R> = |socket| Box::pin(async move { drop(socket) });
    serving(&runtime, Acceptor::new(runtime.clone()), drops, async |at| {
        let mut socket = to(&runtime, &at).connect(URL).await.expect("connected");
        assert!(matches!(socket.recv().await, Err(Error::Protocol(_) | Error::Io(_))));
        assert_eq!(socket.recv().await.expect("told once"), None);
        assert!(socket.send("anyone?").await.is_err());
    })
    .await;
}

async fn on_any_transport<R: Plug>(runtime: R) {
    let (near, far) = pair(&runtime).await;
    let acceptor = Acceptor::new(runtime.clone()).subprotocols(["chat"]);
    let connector = Connector::new(runtime.clone()).subprotocols(["chat"]);
    let accepting = acceptor.accept_if(far, |request| {
        (request.uri().path() == "/chat").then_some(()).ok_or(StatusCode::NOT_FOUND)
    });
    let (client, server) = join(connector.connect_on(near, URL), accepting).await;
    let (mut client, mut server) = (client.expect("connected"), server.expect("accepted"));
    assert_eq!((client.protocol(), server.protocol()), (Some("chat"), Some("chat")));
    client.send("hello").await.expect("sent");
    assert_eq!(server.recv().await.expect("a message"), Some("hello".into()));
    let (one, other) = join(client.close(), server.recv()).await;
    one.expect("closed");
    assert_eq!(other.expect("the end"), None);

    let (near, far) = pair(&runtime).await;
    let accepting = acceptor.accept_if(far, |_| Err(StatusCode::FORBIDDEN));
    let (client, server) = join(connector.connect_on(near, URL), accepting).await;
    assert!(matches!(client, Err(ConnectError::Refused(answer)) if answer.status() == 403));
    assert!(server.is_err());
}

async fn refusals<R: Plug>(runtime: R) {
    serving(&runtime, Acceptor::new(runtime.clone()), echo, async |at| {
        for url in ["/chat", "ftp://example.test/", "not a url at all"] {
            let refused = to(&runtime, &at).connect(url).await;
            assert!(matches!(refused, Err(ConnectError::Url(_))), "{url}");
        }
        let client = glowplug::runtime::http::Client::builder(runtime.clone()).connect_to(at.clone());
        let (client, _) = client.build_with_reaper();
        let answer = client.get("http://example.test/").send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(answer.headers()["sec-websocket-version"], "13");
    })
    .await;
    // A server that hands nothing over.
    let server = Server::bind(runtime.clone(), support::any_port()).await.expect("a free port");
    let at = server.local_endpoint().expect("an address");
    drop(server);
    let refused = to(&runtime, &at).connect(URL).await;
    assert!(matches!(refused, Err(ConnectError::Dial(_))));
    let acceptor = Acceptor::new(runtime.clone());
    let mut request = http::Request::get("/").body(()).expect("a request");
    let rejected = acceptor.upgrade::<(), ()>(&mut request).expect_err("no websocket");
    assert_eq!(rejected.response::<()>().status(), StatusCode::UPGRADE_REQUIRED);
    for (name, value) in [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let rejected = acceptor.upgrade::<(), ()>(&mut request).expect_err("no upgrade");
    assert_eq!(rejected, Rejection::NoUpgrades);
    // Nobody answers: the time is up.
    let (near, _far) = pair(&runtime).await;
    let soon = Some(Duration::from_millis(20));
    let refused = Connector::new(runtime.clone()).timeout(soon).connect_on(near, URL).await;
    assert!(matches!(refused, Err(ConnectError::TimedOut)));
    let (_near, far) = pair(&runtime).await;
    assert!(acceptor.timeout(soon).accept(far).await.is_err());
}

async fn halves<R: Plug>(runtime: R) {
    serving(&runtime, Acceptor::new(runtime.clone()), echo, async |at| {
        let socket = to(&runtime, &at).connect(URL).await.expect("connected");
        let (mut reader, mut writer) = socket.split();
        let sending = async {
            for n in 0..200u32 {
                writer.send(Message::binary(vec![n as u8; 5000])).await.expect("sent");
            }
            writer.close().await.expect("said good-bye");
        };
        let receiving = async {
            let mut count = 0u32;
            while let Some(message) = reader.recv().await.expect("an echo") {
                assert_eq!(message.as_bytes(), vec![count as u8; 5000]);
                count += 1;
            }
            count
        };
        // A server that echoes stops at the good-bye: what was under way then is not echoed.
        let ((), count) = join(sending, receiving).await;
        assert!(count <= 200);
        assert_eq!(reader.close_frame().map(|frame| frame.code), Some(CloseCode::NORMAL));
        assert!(writer.send("more").await.is_err());

        // Without its reader, a writer works on, answers pings and hears the end.
        let (reader, mut writer) = to(&runtime, &at).connect(URL).await.expect("connected").split();
        drop(reader);
        for _ in 0..100 {
            writer.send(Message::binary(vec![1; 5000])).await.expect("sent");
        }
        writer.close().await.expect("said good-bye");
    })
    .await;
}

async fn messages_in_pieces<R: Plug>(runtime: R) {
    let (near, far) = pair(&runtime).await;
    let connector = Connector::new(runtime.clone());
    let acceptor = Acceptor::new(runtime.clone()).config(Config::new().pieces(true));
    let (client, server) = join(connector.connect_on(near, URL), acceptor.accept(far)).await;
    let (mut client, mut server) = (client.expect("connected"), server.expect("accepted"));
    let sending = async {
        client.send_data(MessageKind::Text, &b"one, "[..], false).await.expect("sent");
        assert!(matches!(client.send("other").await, Err(Error::Message(_))));
        client.ping("amid").await.expect("sent");
        client.send_data(MessageKind::Text, &b"two"[..], true).await.expect("sent");
        client.close().await.expect("closed");
    };
    let receiving = async {
        assert_eq!(server.next_event().await.expect("told"), Some(Event::Begin(MessageKind::Text)));
        let (mut text, mut pings) = (String::new(), 0);
        loop {
            match server.next_event().await.expect("told").expect("not the end") {
                Event::Data(data) => text.push_str(std::str::from_utf8(&data).expect("whole characters")),
                Event::Ping(_) => pings += 1,
                Event::End => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((text.as_str(), pings), ("one, two", 1));
        assert!(matches!(server.next_event().await.expect("told"), Some(Event::Close(_))));
        assert_eq!(server.next_event().await.expect("told"), None);
    };
    join(sending, receiving).await;
}

async fn compression<R: Plug>(runtime: R) {
    let kinds = [
        DeflateConfig::new(),
        DeflateConfig::new().server_no_context_takeover(true).client_no_context_takeover(true),
        DeflateConfig::new().server_max_window_bits(9).client_max_window_bits(10).threshold(0),
    ];
    for deflate in kinds {
        let config = Config::new().deflate(Some(deflate));
        serving(&runtime, Acceptor::new(runtime.clone()).config(config.clone()), echo, async |at| {
            let mut socket = to(&runtime, &at).config(config).connect(URL).await.expect("connected");
            for len in [0, 3, 1000, 100_000] {
                let message = Message::text("abcdefg ".repeat(len));
                socket.send(message.clone()).await.expect("sent");
                assert_eq!(socket.recv().await.expect("an echo"), Some(message));
            }
            socket.close().await.expect("closed");
        })
        .await;
    }
}

/// Whatever is dropped, at whichever poll: messages come whole, in order, and none twice.
async fn cancelled_at_every_poll<R: Plug>(runtime: R) {
    serving(&runtime, Acceptor::new(runtime.clone()), echo, async |at| {
        for polls in 0..6 {
            let connecting = dropped_after(polls, to(&runtime, &at).connect(URL)).await;
            drop(connecting);
        }
        let mut socket = to(&runtime, &at).connect(URL).await.expect("connected");
        let (mut sent, mut received) = (0u32, 0u32);
        for round in 0..200 {
            let polls = round % 5;
            let message = Message::binary(sent.to_be_bytes().repeat(500));
            // A dropped `feed` has queued nothing, a dropped `flush` has lost nothing.
            if dropped_after(polls, socket.feed(message)).await.is_some_and(|fed| fed.is_ok()) {
                sent += 1;
            }
            let _ = dropped_after(polls, socket.flush()).await;
            if let Some(message) = dropped_after(polls, socket.recv()).await {
                let message = message.expect("no error").expect("not the end");
                assert_eq!(message.as_bytes(), received.to_be_bytes().repeat(500));
                received += 1;
            }
        }
        while received < sent {
            let message = socket.recv().await.expect("no error").expect("not the end");
            assert_eq!(message.as_bytes(), received.to_be_bytes().repeat(500));
            received += 1;
        }
        for polls in 0..4 {
            let _ = dropped_after(polls, socket.close()).await;
        }
        socket.close().await.expect("closed");
    })
    .await;
}

/// Who does not receive holds the peer back, and nothing piles up.
async fn back_pressure<R: Plug>(runtime: R) {
    // It says much itself, and listens to nothing.
    let deaf: Talk<R> = |mut socket| {
        Box::pin(async move { while socket.send(Message::binary(vec![0; 100_000])).await.is_ok() {} })
    };
    let config = Config::new().send_buffer(10_000);
    let soon = Some(Duration::from_millis(50));
    serving(&runtime, Acceptor::new(runtime.clone()), deaf, async |at| {
        let connector = to(&runtime, &at).config(config).write_timeout(soon);
        let mut socket = connector.connect(URL).await.expect("connected");
        let mut sent = 0u64;
        let error = loop {
            match socket.send(Message::binary(vec![0; 100_000])).await {
                Ok(()) => sent += 100_000,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::WriteTimedOut), "{error:?}");
        assert!(sent < 64 << 20, "{sent} bytes went nowhere");
    })
    .await;
}

async fn many_at_once<R: Plug>(runtime: R) {
    serving(&runtime, Acceptor::new(runtime.clone()), echo, async |at| {
        let sockets = (0..50u32).map(|who| {
            let (runtime, at) = (&runtime, &at);
            async move {
                let mut socket = to(runtime, at).connect(URL).await.expect("connected");
                for n in 0..20 {
                    let message = Message::text(format!("{who} says {n}"));
                    socket.send(message.clone()).await.expect("sent");
                    assert_eq!(socket.recv().await.expect("an echo"), Some(message));
                }
                socket.close().await.expect("closed");
            }
        });
        within(&runtime, Some(Duration::from_secs(50)), join_all(sockets)).await.expect("in time");
    })
    .await;
}

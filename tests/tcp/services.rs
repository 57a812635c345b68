//! Services: their connections, their limits, TLS, Unix sockets.

use super::*;

support::on_each_executor![
    a_panic_is_its_own_connections,
    a_connection_that_moves_out,
    a_connection_taken_apart,
    by_name_and_refused,
    the_cap_and_the_drain,
    a_stop_is_heard,
    tls,
    tls_that_stalls,
];

async fn a_panic_is_its_own_connections<R: Plug>(runtime: R) {
    let function = handler(|mut connection: Connection<R>| async move {
        while let Ok(line) = connection.read_line().await {
            connection.send(line.clone()).await.expect("sent");
            connection.send("\n").await.expect("sent");
            if line == "panic" {
                resume_unwind(Box::new("this panic belongs to the test"));
            }
        }
    });
    served(bind(&runtime).await, function, async |at, _| {
        let mut calm = connected(&runtime, &at).await;
        ask(&mut calm, "calm").await;
        for _ in 0..3 {
            let mut wild = connected(&runtime, &at).await;
            // What was sent before the panic arrives, and then the end in good order.
            ask(&mut wild, "panic").await;
            assert!(wild.read_line().await.expect_err("the end").is_closed());
        }
        ask(&mut calm, "still calm").await;
    })
    .await;
}

async fn a_connection_that_moves_out<R: Plug>(runtime: R) {
    let (sender, receiver) = async_channel::bounded(1);
    let function = handler(move |connection: Connection<R>| {
        let sender = sender.clone();
        async move {
            // The function ends; its connection lives on elsewhere.
            sender.send(connection).await.expect("room");
        }
    });
    served(bind(&runtime).await, function, async |at, stopper| {
        let mut near = connected(&runtime, &at).await;
        let mut far = receiver.recv().await.expect("a connection");
        sleep(&runtime, SOON).await;
        assert_eq!(stopper.connections(), 1);
        near.send("to whom?\n").await.expect("sent");
        assert_eq!(far.read_line().await.expect("a line"), "to whom?");
        far.send("me").await.expect("sent");
        drop(far);
        assert_eq!(closed_with(&near.read_line().await.expect_err("the end")), b"me");
    })
    .await;
}

async fn a_connection_taken_apart<R: Plug>(runtime: R) {
    let function = handler(|mut connection: Connection<R>| async move {
        let upgrade = connection.read_line().await.expect("a line");
        assert_eq!(upgrade, "upgrade");
        connection.feed("welcome").await.expect("room");
        let mut parts = connection.into_parts();
        // What has come until then: some of it, or all.
        assert!(b"and on".starts_with(&parts.input), "{:?}", parts.input);
        assert_eq!(parts.unsent, "welcome");
        support::write(&mut parts.stream, parts.unsent).await.expect("written");
    });
    served(bind(&runtime).await, function, async |at, stopper| {
        let mut near = connected(&runtime, &at).await;
        near.send("upgrade\nand on").await.expect("sent");
        assert_eq!(near.read_exact(7).await.expect("a word"), "welcome");
        assert!(near.read_any().await.is_err());
        while stopper.connections() > 0 {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn by_name_and_refused<R: Plug>(runtime: R) {
    let function = handler(echo);
    let port = served(bind(&runtime).await, function, async |at, _| {
        let port = at.socket_addr().expect("an address").port();
        let mut near = connect(&runtime, "localhost", port).await.expect("connected");
        assert!(near.peer().is_none());
        ask(&mut near, "hello").await;
        port
    })
    .await;
    let refused = connect(&runtime, "localhost", port).await.map(drop).expect_err("nobody listens");
    assert!(matches!(refused, DialError::Connect(_)), "{refused}");
}

async fn the_cap_and_the_drain<R: Plug>(runtime: R) {
    let limits = server::Config::default().max_connections(1).drain_timeout(SOON);
    let service = bind(&runtime).await.limits(limits);
    served(service, handler(echo), async |at, stopper| {
        let mut first = connected(&runtime, &at).await;
        ask(&mut first, "one").await;
        let mut second = connected(&runtime, &at).await;
        second.send("two\n").await.expect("sent");
        let waiting = within(&runtime, Some(SOON), second.read_line()).await;
        waiting.expect_err("there is room for one");
        first.close().await.expect("closed");
        assert_eq!(second.read_line().await.expect("its turn"), "two");
        // It would talk for ever.
        stopper.stop();
        assert!(second.read_line().await.is_err());
    })
    .await;
}

async fn a_stop_is_heard<R: Plug>(runtime: R) {
    let function = handler(|mut connection: Connection<R>| async move {
        loop {
            let stopping = connection.stopping();
            let line = match select(connection.read_line(), stopping).await {
                futures_util::future::Either::Left((line, _)) => line,
                futures_util::future::Either::Right(((), _)) => break,
            };
            connection.send(line.expect("a line")).await.expect("sent");
            connection.send("\n").await.expect("sent");
        }
        connection.send("closing time").await.expect("sent");
    });
    served(bind(&runtime).await, function, async |at, stopper| {
        let mut near = connected(&runtime, &at).await;
        ask(&mut near, "open?").await;
        stopper.stop();
        assert!(stopper.is_stopped());
        assert_eq!(closed_with(&near.read_line().await.expect_err("the end")), b"closing time");
    })
    .await;
}

fn certificate() -> (ServerConfig, ClientConfig) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate: CertificateDer<'static> = signed.cert.der().clone();
    let key: PrivateKeyDer<'static> = PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()).into();
    let client = ClientConfig::with_roots([certificate.clone()]).expect("a configuration");
    (ServerConfig::new(vec![certificate], key).expect("a configuration"), client)
}

async fn tls<R: Plug>(runtime: R) {
    let (server, client) = certificate();
    let service = bind(&runtime).await.tls(server);
    served(service, handler(echo), async |at, _| {
        let port = at.socket_addr().expect("an address").port();
        let dialer = Dialer::new(runtime.clone()).tls_config(client);
        let stream = dialer.tls("localhost", port).await.expect("agreed");
        let mut near = Connection::new(runtime.clone(), stream);
        assert!(matches!(near.stream(), MaybeTls::Tls(_)));
        ask(&mut near, "in private").await;
        // Who speaks no TLS is not served, and nobody else notices.
        let mut plain = connected(&runtime, &at).await;
        plain.send("hello?\r\nthis is no handshake\r\n").await.expect("sent");
        while plain.read_any().await.is_ok() {}
        ask(&mut near, "still in private").await;
        near.close().await.expect("closed");
    })
    .await;
}

async fn tls_that_stalls<R: Plug>(runtime: R) {
    let (server, _) = certificate();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let function = handler(move |_: Connection<R>| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {}
    });
    let service = bind(&runtime).await.tls(server).config(Config::default().handshake_timeout(SOON));
    served(service, function, async |at, _| {
        let begin = runtime.now();
        let mut near = connected(&runtime, &at).await;
        assert!(near.read_any().await.is_err());
        assert!(runtime.now() >= begin + SOON);
    })
    .await;
    assert_eq!(calls.load(Ordering::SeqCst), 0, "the function was called without a handshake");
}

#[test]
fn unix_sockets() {
    support::on_smol(|runtime| async move {
        let path = std::env::temp_dir().join(format!("glowplug-tcp-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let service = Service::bind(runtime.clone(), path.clone()).await.expect("a socket");
        served(service, handler(echo), async |at, _| {
            ask(&mut connected(&runtime, &at).await, "over a path").await;
        })
        .await;
        let _ = std::fs::remove_file(&path);
    });
}

#[test]
fn the_short_form_serves() {
    support::on_tokio(|runtime| async move {
        let taken = glowplug::tokio::tcp::Service::bind(runtime, any_port()).await.expect("a free port");
        let at = taken.local_endpoint().expect("an address");
        drop(taken);
        let serving = glowplug::tokio::tcp::serve(runtime, at.clone(), echo);
        let work = async {
            while runtime.connect(&at).await.is_err() {
                sleep(&runtime, Duration::from_millis(1)).await;
            }
            ask(&mut connected(&runtime, &at).await, "short").await;
        };
        beside(work, serving).await;
    });
}

//! Each datagram to its peer's conversation, in order.

use super::*;

support::on_each_executor![
    bursts_keep_their_order,
    two_peers_have_their_own_state,
    many_peers_at_once,
    empty_and_largest_are_data,
    a_late_packet_of_a_served_peer_begins_anew,
    a_late_packet_for_a_client_is_ignored,
    a_client_hears_its_peer_only,
    several_read_one_conversation,
    connect_and_accept_on_one_socket,
    misuse_is_an_error,
];

async fn bursts_keep_their_order<R: Plug>(runtime: R) {
    const BURST: u8 = 8;
    let (listener, at) = bind(&runtime, Config::default()).await;
    let clients = join_all((0..8).map(|_| connect(&runtime, at))).await;
    for number in 0..BURST {
        for client in &clients {
            say(client, vec![number]).await;
        }
        pace(&runtime).await;
    }
    for _ in &clients {
        let conversation = listener.accept().await.expect("a peer");
        for number in 0..BURST {
            assert_eq!(hear(&conversation).await[..], [number]);
            say(&conversation, vec![number]).await;
            pace(&runtime).await;
        }
    }
    for client in &clients {
        for number in 0..BURST {
            assert_eq!(hear(client).await[..], [number]);
        }
        assert_eq!(client.totals().received, u64::from(BURST));
    }
}

async fn two_peers_have_their_own_state<R: Plug>(runtime: R) {
    let count = |conversation: Conversation| -> BoxFuture<()> {
        Box::pin(async move {
            let mut words = Vec::new();
            while let Ok(word) = conversation.recv().await {
                words.extend_from_slice(&word);
                if conversation.send(words.clone()).await.is_err() {
                    return;
                }
            }
        })
    };
    serving(&runtime, count, async |at| {
        let (one, two) = join(connect(&runtime, at), connect(&runtime, at)).await;
        for (turn, expected) in ["a", "aa", "aaa", "aaaa"].iter().enumerate() {
            say(&one, "a").await;
            say(&two, "b").await;
            assert_eq!(hear(&one).await, expected);
            assert_eq!(hear(&two).await, "b".repeat(turn + 1));
        }
    })
    .await;
}

async fn many_peers_at_once<R: Plug>(runtime: R) {
    const PEERS: usize = 300;
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let handler = |conversation: Conversation| -> BoxFuture<()> {
        let (open, most) = (open.clone(), most.clone());
        Box::pin(async move {
            most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            echo(conversation).await;
        })
    };
    serving(&runtime, handler, async |at| {
        let clients = join_all((0..PEERS).map(|_| connect(&runtime, at))).await;
        for round in 0..3 {
            join_all(clients.iter().enumerate().map(async |(number, client)| {
                let word = format!("{number} in round {round}");
                // The system's buffers are shared: what does not fit is lost, and sent again.
                loop {
                    say(client, word.clone()).await;
                    if let Ok(heard) = within(&runtime, Some(Duration::from_secs(1)), client.recv()).await {
                        let mut heard = heard.expect("heard");
                        while heard != word {
                            // An answer to the round before, to what was sent twice.
                            assert!(heard.starts_with(format!("{number} in").as_bytes()), "{heard:?}");
                            heard = hear(client).await;
                        }
                        return;
                    }
                }
            }))
            .await;
        }
    })
    .await;
    assert_eq!(most.load(Ordering::SeqCst), PEERS);
}

async fn empty_and_largest_are_data<R: Plug>(runtime: R) {
    serving(&runtime, echo, async |at| {
        let client = connect(&runtime, at).await;
        // Empty as the first of all, and as one of several.
        say(&client, "").await;
        assert_eq!(hear(&client).await, "");
        let largest: Vec<u8> = (0..65_507_u32).map(|n| (n % 251) as u8).collect();
        for word in [&b"before"[..], b"", b"after", &largest, b""] {
            say(&client, word.to_vec()).await;
            assert_eq!(hear(&client).await, word);
        }
        let error = client.send(vec![0; 65_508]).await.expect_err("longer than any datagram");
        assert!(matches!(&error, SendError::TooLong(payload) if payload.len() == 65_508), "{error:?}");
        assert_eq!(error.to_string(), "too long to send");
    })
    .await;
}

/// The rule of the server: whoever writes after the end begins anew.
async fn a_late_packet_of_a_served_peer_begins_anew<R: Plug>(runtime: R) {
    let begun = AtomicUsize::new(0);
    let once = |conversation: Conversation| -> BoxFuture<()> {
        let number = begun.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let word = conversation.recv().await.expect("the first datagram is there");
            let _ = conversation.send([&word[..], &[number as u8]].concat()).await;
        })
    };
    serving(&runtime, once, async |at| {
        let client = connect(&runtime, at).await;
        for number in 0..5_u8 {
            say(&client, vec![b'?']).await;
            assert_eq!(hear(&client).await[..], [b'?', number]);
            // The function returns after it has sent.
            sleep(&runtime, Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(begun.load(Ordering::SeqCst), 5);
}

/// The rule of the client: a server's late answer begins nothing.
async fn a_late_packet_for_a_client_is_ignored<R: Plug>(runtime: R) {
    let (listener, at) = bind(&runtime, Config::default()).await;
    let (other, other_at) = bind(&runtime, Config::default()).await;
    let client = listener.connect(other_at).expect("there is room");
    say(&client, "question").await;
    let server = other.accept().await.expect("a peer");
    assert_eq!((hear(&server).await, server.peer()), (BytesMut::from("question"), at));
    drop(client);
    for _ in 0..3 {
        say(&server, "late").await;
    }
    let late = within(&runtime, Some(SOON), listener.accept()).await;
    assert!(late.is_err(), "a late answer began a conversation: {late:?}");
    assert_eq!((listener.counters().late, listener.len()), (3, 0));
}

async fn a_client_hears_its_peer_only<R: Plug>(runtime: R) {
    let (listener, at) = bind(&runtime, Config::default()).await;
    let client = connect(&runtime, at).await;
    say(&client, "hello").await;
    let server = listener.accept().await.expect("a peer");
    let mut stranger = runtime.bind(anywhere()).await.expect("a free port");
    let client_at = server.peer();
    for _ in 0..3 {
        shout::<R>(&mut stranger, client_at, b"psst").await;
    }
    sleep(&runtime, SOON).await;
    say(&server, "welcome").await;
    assert_eq!(hear(&client).await, "welcome");
    assert_eq!(client.try_recv().expect("open"), None);
}

async fn several_read_one_conversation<R: Plug>(runtime: R) {
    let (listener, at) = bind(&runtime, Config::default()).await;
    let client = connect(&runtime, at).await;
    say(&client, vec![0]).await;
    let server = listener.accept().await.expect("a peer");
    hear(&server).await;
    let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (child, heard) = (server.child(), heard.clone());
            let task: BoxFuture<()> = Box::pin(async move {
                while let Ok(datagram) = child.recv().await {
                    heard.lock().expect("not poisoned").push(datagram[0]);
                }
            });
            spawn(&runtime, task)
        })
        .collect();
    for number in 0..40 {
        say(&client, vec![number]).await;
        pace(&runtime).await;
    }
    while heard.lock().expect("not poisoned").len() < 40 {
        sleep(&runtime, Duration::from_millis(1)).await;
    }
    drop(server);
    for task in tasks {
        task.await.expect("it hears of the end");
    }
    let mut heard = heard.lock().expect("not poisoned").clone();
    heard.sort_unstable();
    assert!(heard.into_iter().eq(0..40), "each went to one of them");
}

async fn connect_and_accept_on_one_socket<R: Plug>(runtime: R) {
    let ((one, one_at), (two, two_at)) =
        join(bind(&runtime, Config::default()), bind(&runtime, Config::default())).await;
    let to_two = one.connect(two_at).expect("there is room");
    let again = one.connect(two_at).expect_err("there is one with this peer");
    assert!(matches!(again, ConnectError::Exists(_)), "{again:?}");
    say(&to_two, "from one").await;
    let from_one = two.accept().await.expect("a peer");
    assert_eq!((hear(&from_one).await, from_one.peer()), (BytesMut::from("from one"), one_at));
    let third = connect(&runtime, one_at).await;
    say(&third, "from a third").await;
    let from_third = one.accept().await.expect("a peer");
    assert_eq!(hear(&from_third).await, "from a third");
    say(&from_one, "answer").await;
    assert_eq!(hear(&to_two).await, "answer");
    // The place of a conversation that has just ended is free at once.
    drop(to_two);
    drop(one.connect(two_at).expect("there is none with this peer"));
    // A listener that goes away refuses strangers only.
    drop(one);
    say(&from_third, "still here").await;
    assert_eq!(hear(&third).await, "still here");
    let stranger = connect(&runtime, one_at).await;
    say(&stranger, "anybody?").await;
    sleep(&runtime, SOON).await;
    assert_eq!(stranger.try_recv().expect("open"), None);
}

async fn misuse_is_an_error<R: Plug>(runtime: R) {
    let (listener, at) = bind(&runtime, Config::default().amplification(Some(3))).await;
    let client = connect(&runtime, at).await;
    say(&client, "four").await;
    let server = listener.accept().await.expect("a peer");
    let error = server.try_send(vec![0; 13]).expect_err("more than three times as much");
    assert!(matches!(&error, SendError::NotProven(payload) if payload.len() == 13), "{error:?}");
    server.try_send(vec![0; 12]).expect("three times as much");
    server.prove();
    server.try_send(vec![0; 1300]).expect("it is proven");
    assert!(format!("{listener:?} {server:?} {client:?}").contains("Conversation"));
    let child = server.child();
    assert_eq!(child.peer(), server.peer());
    drop(server);
    let error = std::io::Error::from(child.try_send("x").expect_err("it is over"));
    assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
    let _ = child.peer();
}

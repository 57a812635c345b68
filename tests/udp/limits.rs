//! What is full, what is refused, and what is given up half-way.

use super::*;

support::on_each_executor![
    dropping_receivers_loses_nothing,
    dropping_acceptors_loses_nothing,
    dropping_senders_sends_nothing_else,
    senders_wait_for_room,
    a_full_house_refuses,
    an_overflow_closes_if_it_may,
    strangers_may_be_refused,
];

async fn dropping_receivers_loses_nothing<R: Plug>(runtime: R) {
    let (listener, at) = bind(&runtime, Config::default()).await;
    let client = connect(&runtime, at).await;
    say(&client, vec![0]).await;
    let server = listener.accept().await.expect("a peer");
    let mut next = 0;
    for polls in 0..6 {
        for _ in 0..4 {
            pace(&runtime).await;
            let sending = async {
                sleep_a_little().await;
                say(&client, vec![next + 1]).await;
            };
            let receiving = async { dropped_after(polls, server.recv()).await };
            let (received, ()) = join(receiving, sending).await;
            if let Some(received) = received {
                assert_eq!(received.expect("heard")[..], [next], "after {polls} polls");
            } else {
                assert_eq!(hear(&server).await[..], [next], "after {polls} polls");
            }
            next += 1;
        }
    }
}

async fn dropping_acceptors_loses_nothing<R: Plug>(runtime: R) {
    let (listener, at) = bind(&runtime, Config::default()).await;
    for polls in 0..6 {
        let client = connect(&runtime, at).await;
        // One who waits is dropped, another who waits gets the peer.
        let (one, two) = (listener.accept(), listener.accept());
        let (dropped, (accepted, ())) = join(
            dropped_after(polls, one),
            join(within(&runtime, Some(SOON), two), async {
                sleep_a_little().await;
                say(&client, "hello").await;
            }),
        )
        .await;
        let accepted = match (dropped, accepted) {
            (Some(accepted), Err(_)) | (None, Ok(accepted)) => accepted.expect("a peer"),
            other => panic!("one of them gets the peer, after {polls} polls: {other:?}"),
        };
        assert_eq!(hear(&accepted).await, "hello");
    }
    assert_eq!(listener.counters().accepted, 6);
}

async fn dropping_senders_sends_nothing_else<R: Plug>(runtime: R) {
    let (listener, at) = bind(&runtime, Config::default().max_queue(4096)).await;
    // Room for one, so that most have to wait.
    let builder = Builder::new(runtime.clone()).tracker(Config::client().max_output_each(1));
    let client = builder.connect(at).await.expect("a socket");
    let mut sent = Vec::new();
    for number in 0..40_u8 {
        // Several at once: one fills the room, the others wait, and are dropped after some polls.
        let polls = u64::from(number % 4);
        let (first, second) = (client.send(vec![number, 1]), client.send(vec![number, 2]));
        let third = client.send(vec![number, 3]);
        let (first, (second, third)) =
            join(first, join(dropped_after(polls, second), dropped_after(polls + 1, third))).await;
        first.expect("sent");
        sent.push([number, 1]);
        for (outcome, which) in [(second, 2), (third, 3)] {
            if let Some(outcome) = outcome {
                outcome.expect("sent");
                sent.push([number, which]);
            }
        }
        pace(&runtime).await;
    }
    let server = listener.accept().await.expect("a peer");
    let mut heard = Vec::new();
    for _ in &sent {
        let datagram = hear(&server).await;
        heard.push([datagram[0], datagram[1]]);
    }
    sent.sort_unstable();
    heard.sort_unstable();
    assert_eq!(heard, sent);
    sleep(&runtime, SOON).await;
    assert_eq!(server.try_recv().expect("open"), None, "what was dropped was sent all the same");
}

async fn senders_wait_for_room<R: Plug>(runtime: R) {
    let (listener, at) = bind(&runtime, Config::default().max_queue(4096)).await;
    let rules = Config::client().max_output(4).max_output_each(2);
    let client = Builder::new(runtime.clone()).tracker(rules).connect(at).await.expect("a socket");
    assert!(client.try_send("1").is_ok() && client.try_send("2").is_ok());
    let third = client.try_send("3");
    // There is room for two, unless another thread has sent them meanwhile.
    assert!(matches!(&third, Ok(()) | Err(SendError::Full(_))), "{third:?}");
    let early = if third.is_ok() { 3 } else { 2 };
    // A hundred wait at the same time; everyone gets through.
    join_all((0..100_u8).map(async |number| say(&client, vec![number]).await)).await;
    let server = listener.accept().await.expect("a peer");
    let mut heard = 0;
    while heard < 100 + early {
        hear(&server).await;
        heard += 1;
    }
    assert_eq!(client.totals().sent, 100 + early);
    // Who waits when the conversation ends hears of it.
    let child = client.child();
    while client.try_send("full").is_ok() {}
    let waits = child.send("never");
    let mut waits = pin!(waits);
    let early = poll_fn(|cx| Poll::Ready(waits.as_mut().poll(cx))).await;
    if early.is_pending() {
        drop(client);
        let outcome = waits.await;
        assert!(
            matches!(&outcome, Err(SendError::Closed(payload, Closed::Ended(Reason::Local))) if payload == "never"),
            "{outcome:?}"
        );
    }
}

async fn a_full_house_refuses<R: Plug>(runtime: R) {
    let (listener, at) = bind(&runtime, Config::default().max_conversations(2)).await;
    let clients = join_all((0..3).map(|_| connect(&runtime, at))).await;
    for client in &clients {
        say(client, "hello").await;
        pace(&runtime).await;
    }
    let one = listener.accept().await.expect("a peer");
    let two = listener.accept().await.expect("a peer");
    let third = within(&runtime, Some(SOON), listener.accept()).await;
    assert!(third.is_err(), "there is room for two");
    assert_eq!((listener.len(), listener.counters().refused_full), (2, 1));
    let inside = [one.peer().port(), two.peer().port()];
    drop(one);
    let outside = clients.iter().find(|client| !inside.contains(&client.local_addr().port()));
    say(outside.expect("one of the three"), "again").await;
    let third = listener.accept().await.expect("there is room now");
    assert_eq!(hear(&third).await, "again");
}

async fn an_overflow_closes_if_it_may<R: Plug>(runtime: R) {
    let rules = Config::default().max_queue(3).overflow(Overflow::Close);
    let (listener, at) = bind(&runtime, rules).await;
    let client = connect(&runtime, at).await;
    say(&client, vec![0]).await;
    let server = listener.accept().await.expect("a peer");
    for number in 1..5_u8 {
        pace(&runtime).await;
        say(&client, vec![number]).await;
    }
    let closed = server.closed().await;
    assert!(matches!(closed, Closed::Ended(Reason::Overflow)), "{closed:?}");
    // What was in the queue is still there.
    for number in 0..3_u8 {
        assert_eq!(hear(&server).await[..], [number]);
    }
    let closed = server.recv().await.expect_err("that was all");
    assert_eq!(closed.to_string(), "the conversation is over: queue overflowed");
    // The default drops what does not fit, and goes on.
    let (listener, at) = bind(&runtime, Config::default().max_queue(3)).await;
    let client = connect(&runtime, at).await;
    for number in 0..8_u8 {
        say(&client, vec![number]).await;
        pace(&runtime).await;
    }
    let server = listener.accept().await.expect("a peer");
    while server.totals().received < 8 {
        sleep(&runtime, Duration::from_millis(1)).await;
    }
    for number in 0..3_u8 {
        assert_eq!(hear(&server).await[..], [number]);
    }
    assert_eq!((server.totals().dropped, listener.counters().dropped_queue), (5, 5));
    assert_eq!(listener.buffered(), 0);
}

async fn strangers_may_be_refused<R: Plug>(runtime: R) {
    let rules = Config::default().accept(Accept::filter(|_, first| first == b"password"));
    let (listener, at) = bind(&runtime, rules).await;
    let client = connect(&runtime, at).await;
    say(&client, "hello").await;
    assert!(within(&runtime, Some(SOON), listener.accept()).await.is_err());
    say(&client, "password").await;
    let server = listener.accept().await.expect("a peer");
    assert_eq!(hear(&server).await, "password");
    assert_eq!(listener.counters().refused, 1);
}

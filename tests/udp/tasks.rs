//! A conversation and its tasks: children, the end of the owner, the end of the service.

use super::*;

support::on_each_executor![
    children_come_and_go,
    children_end_with_the_owner,
    the_current_conversation,
    panics_and_idlers_concern_nobody_else,
    giving_a_conversation_away_does_not_prolong_it,
    what_was_sent_goes_out_after_the_end,
    stopping_drains,
    stopping_cancels_in_the_end,
];

async fn children_come_and_go<R: Plug>(runtime: R) {
    serving(&runtime, echo, async |at| {
        let client = connect(&runtime, at).await;
        for number in 0..3_u8 {
            let child = client.child();
            let grandchild = child.child();
            let task: BoxFuture<()> = Box::pin(async move {
                grandchild.send(vec![number]).await.expect("sent");
            });
            spawn(&runtime, task).await.expect("the child has ended");
            drop(child);
            assert_eq!(hear(&client).await[..], [number]);
        }
        assert!(!client.is_closed());
    })
    .await;
}

async fn children_end_with_the_owner<R: Plug>(runtime: R) {
    /// Says so when it is dropped.
    struct Leaves(Arc<AtomicUsize>);
    impl Drop for Leaves {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let gone = Arc::new(AtomicUsize::new(0));
    serving(&runtime, echo, async |at| {
        let client = connect(&runtime, at).await;
        let child = client.child();
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let leaves = Leaves(gone.clone());
                let waiting = async move {
                    let _leaves = leaves;
                    std::future::pending::<()>().await;
                };
                let scoped = child.scope(waiting);
                let task: BoxFuture<()> = Box::pin(async move {
                    assert_eq!(scoped.await, None, "it was cancelled");
                });
                spawn(&runtime, task)
            })
            .collect();
        let reading = child.child();
        let reads: BoxFuture<()> = Box::pin(async move {
            let closed = reading.recv().await.expect_err("nothing comes");
            assert!(matches!(closed, Closed::Ended(Reason::Local)), "{closed:?}");
        });
        let reads = spawn(&runtime, reads);
        let unpolled = child.scope(async { panic!("it must not begin") });
        assert_eq!(child.scope(async { 7 }).await, Some(7));
        sleep(&runtime, Duration::from_millis(5)).await;
        assert_eq!(gone.load(Ordering::SeqCst), 0);
        drop(client);
        assert_eq!(unpolled.await, None::<()>);
        for task in tasks {
            task.await.expect("it has ended");
        }
        reads.await.expect("it has ended");
        assert_eq!(gone.load(Ordering::SeqCst), 3);
        assert!(child.is_closed());
        assert!(matches!(child.try_send("x"), Err(SendError::Closed(payload, _)) if payload == "x"));
        assert!(matches!(child.closed().await, Closed::Ended(Reason::Local)));
    })
    .await;
}

async fn the_current_conversation<R: Plug>(runtime: R) {
    let spawner = runtime.clone();
    let handler = |conversation: Conversation| -> BoxFuture<()> {
        // The handler's own call is inside already.
        assert_eq!(conversation::current().map(|current| current.peer()), Some(conversation.peer()));
        let runtime = spawner.clone();
        Box::pin(async move {
            let word = conversation.recv().await.expect("the first datagram is there");
            let current = conversation::current().expect("this function is served");
            assert_eq!(current.peer(), conversation.peer());
            // A task of somebody else's knows nothing of it, unless it is wrapped.
            let foreign: BoxFuture<()> = Box::pin(async { assert!(conversation::current().is_none()) });
            spawn(&runtime, foreign).await.expect("no conversation there");
            let scoped = current.scope(async {
                sleep_a_little().await;
                let inner = conversation::current().expect("a child is wrapped");
                inner.send("from the child").await.expect("sent");
            });
            let child: BoxFuture<()> = Box::pin(async move { assert_eq!(scoped.await, Some(())) });
            spawn(&runtime, child).await.expect("the child has ended");
            // A scope in the midst of another, that unwinds.
            let other = connect(&runtime, conversation.local_addr()).await;
            let unwinds = other.scope(async {
                assert_eq!(
                    conversation::current().map(|current| current.peer()),
                    Some(conversation.local_addr())
                );
                resume_unwind(Box::new("this panic belongs to the test"));
            });
            let caught = futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(unwinds)).await;
            assert!(caught.is_err());
            let after = conversation::current().expect("it is back");
            assert_eq!(after.peer(), conversation.peer());
            after.send(word).await.expect("sent");
        })
    };
    serving(&runtime, handler, async |at| {
        assert!(conversation::current().is_none());
        let clients = join_all((0..5).map(|_| connect(&runtime, at))).await;
        join_all(clients.iter().enumerate().map(async |(number, client)| {
            say(client, vec![number as u8]).await;
            let mut heard = [hear(client).await, hear(client).await];
            heard.sort_by_key(BytesMut::len);
            assert_eq!((&heard[0][..], &heard[1][..]), (&[number as u8][..], &b"from the child"[..]));
        }))
        .await;
        assert!(conversation::current().is_none());
    })
    .await;
}

async fn panics_and_idlers_concern_nobody_else<R: Plug>(runtime: R) {
    let handler = |conversation: Conversation| -> BoxFuture<()> {
        Box::pin(async move {
            let word = conversation.recv().await.expect("the first datagram is there");
            match &word[..] {
                // An unwinding like that of any panic, without the message that would look like a failure of the test.
                b"panic" => resume_unwind(Box::new("this panic belongs to the test")),
                b"idle" => std::future::pending().await,
                _ => {
                    let _ = conversation.send(word).await;
                    echo(conversation).await;
                }
            }
        })
    };
    serving(&runtime, handler, async |at| {
        let (idle, wild) = join(connect(&runtime, at), connect(&runtime, at)).await;
        let calm = connect(&runtime, at).await;
        say(&idle, "idle").await;
        pace(&runtime).await;
        for number in 0..100_u8 {
            // More than its queue holds, and nobody reads it.
            let _ = idle.try_send(vec![number]);
            let _ = wild.try_send("panic");
            say(&calm, vec![number]).await;
            assert_eq!(hear(&calm).await[..], [number]);
        }
        // Whoever panicked is answered anew.
        sleep(&runtime, SOON).await;
        say(&wild, "calm now").await;
        assert_eq!(hear(&wild).await, "calm now");
        assert_eq!(idle.try_recv().expect("open"), None);
    })
    .await;
}

async fn giving_a_conversation_away_does_not_prolong_it<R: Plug>(runtime: R) {
    let kept: Arc<Mutex<Vec<Conversation>>> = Arc::default();
    let handler = |conversation: Conversation| -> BoxFuture<()> {
        let kept = kept.clone();
        Box::pin(async move { kept.lock().expect("not poisoned").push(conversation) })
    };
    serving(&runtime, handler, async |at| {
        let client = connect(&runtime, at).await;
        say(&client, "hello").await;
        while kept.lock().expect("not poisoned").is_empty() {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
        let conversation = kept.lock().expect("not poisoned").pop().expect("one");
        let closed = conversation.closed().await;
        assert!(matches!(closed, Closed::Ended(Reason::Local)), "{closed:?}");
    })
    .await;
}

async fn what_was_sent_goes_out_after_the_end<R: Plug>(runtime: R) {
    let (listener, at) = bind(&runtime, Config::default()).await;
    let client = connect(&runtime, at).await;
    for number in 0..50_u8 {
        client.try_send(vec![number]).expect("there is room");
    }
    let totals = client.close();
    assert_eq!((totals.sent, totals.sent_bytes), (50, 50));
    let server = listener.accept().await.expect("a peer");
    let mut heard: Vec<u8> = Vec::new();
    for _ in 0..50 {
        heard.extend(hear(&server).await);
    }
    heard.sort_unstable();
    assert!(heard.into_iter().eq(0..50));
}

async fn stopping_drains<R: Plug>(runtime: R) {
    // The time to drain is never needed.
    let builder = Builder::new(runtime.clone()).drain_timeout(Duration::from_secs(3600));
    let listener = builder.bind(anywhere()).await.expect("a free port");
    let (at, stopper) = (listener.local_addr(), listener.stopper());
    let work = async {
        let client = connect(&runtime, at).await;
        say(&client, "before").await;
        assert_eq!(hear(&client).await, "before");
        assert_eq!(stopper.connections(), 1);
        stopper.stop();
        // Nobody new is let in, and who was in is served on.
        let stranger = connect(&runtime, at).await;
        sleep(&runtime, SOON).await;
        say(&stranger, "late").await;
        say(&client, "after").await;
        // A network may change their order, and the simulator's does.
        let (one, two) = (hear(&client).await, hear(&client).await);
        assert!([&one, &two].contains(&&BytesMut::from("after")), "{one:?} and {two:?}");
        assert!([&one, &two].contains(&&BytesMut::from("goodbye")), "{one:?} and {two:?}");
        sleep(&runtime, SOON).await;
        assert_eq!(stranger.try_recv().expect("open"), None);
    };
    let serve = listener.serve(|conversation| -> BoxFuture<()> {
        Box::pin(async move {
            for _ in 0..2 {
                let word = conversation.recv().await.expect("heard");
                let stops = word == "after";
                conversation.send(word).await.expect("sent");
                if stops {
                    conversation.stopping().await;
                }
            }
            conversation.try_send("goodbye").expect("there is room");
        })
    });
    let ((), served) = join(work, serve).await;
    served.expect("the socket is fine");
    assert_eq!(stopper.connections(), 0);
}

async fn stopping_cancels_in_the_end<R: Plug>(runtime: R) {
    let begin = runtime.now();
    let builder = Builder::new(runtime.clone()).drain_timeout(SOON);
    let listener = builder.bind(anywhere()).await.expect("a free port");
    let (at, stopper) = (listener.local_addr(), listener.stopper());
    let work = async {
        let client = connect(&runtime, at).await;
        say(&client, "word").await;
        assert_eq!(hear(&client).await, "word");
        stopper.stop();
    };
    let ((), served) = join(work, listener.serve(echo)).await;
    served.expect("the socket is fine");
    assert!(runtime.now() >= begin + SOON, "cancelled before its time");
    assert_eq!(stopper.connections(), 0);
}

/// Everything is `Send` where the plug's types are: a client and a server in tasks of a multi-threaded executor.
#[test]
fn conversations_move_between_threads() {
    fn send<T: Send + 'static>(value: T) -> T {
        value
    }
    support::on_tokio(|runtime| async move {
        let listener = Listener::bind(runtime, anywhere()).await.expect("a free port");
        let (at, stopper) = (listener.local_addr(), listener.stopper());
        let serving = tokio::spawn(send(listener.serve(|conversation| async move {
            while let Ok(datagram) = conversation.recv().await {
                let _ = conversation.send(datagram).await;
            }
        })));
        let clients = (0..8).map(|number: u8| {
            tokio::spawn(send(async move {
                let conversation = udp::connect(runtime, at).await.expect("a socket");
                for round in 0..50 {
                    conversation.send(vec![number, round]).await.expect("sent");
                    assert_eq!(conversation.recv().await.expect("heard")[..], [number, round]);
                }
            }))
        });
        for client in join_all(clients).await {
            client.expect("no panic");
        }
        stopper.stop();
        serving.abort();
    });
}

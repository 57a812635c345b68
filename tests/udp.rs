//! UDP conversations on every executor: each peer a context of its own, and nobody else's trouble.

mod support;

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{join, join_all};
use glowplug::runtime::server::Guarded;
use glowplug::runtime::task::{Task, spawn};
use glowplug::runtime::time::{sleep, within};
use glowplug::runtime::udp::{
    self, Accept, Builder, Closed, Config, ConnectError, Conversation, Drive, Listener, Overflow, Reason,
    SendError, Served, conversation,
};
use glowplug::runtime::{BoxFuture, DatagramSocket, Runtime, SendBatch, Spawn};
use glowplug::sim::{Sim, dropped_after};
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;

support::on_each_executor![
    bursts_keep_their_order,
    two_peers_have_their_own_state,
    many_peers_at_once,
    empty_and_largest_are_data,
    a_late_packet_of_a_served_peer_begins_anew,
    a_late_packet_for_a_client_is_ignored,
    a_client_hears_its_peer_only,
    children_come_and_go,
    children_end_with_the_owner,
    the_current_conversation,
    panics_and_idlers_concern_nobody_else,
    giving_a_conversation_away_does_not_prolong_it,
    dropping_receivers_loses_nothing,
    dropping_acceptors_loses_nothing,
    dropping_senders_sends_nothing_else,
    senders_wait_for_room,
    what_was_sent_goes_out_after_the_end,
    a_full_house_refuses,
    an_overflow_closes_if_it_may,
    strangers_may_be_refused,
    stopping_drains,
    stopping_cancels_in_the_end,
    several_read_one_conversation,
    connect_and_accept_on_one_socket,
    misuse_is_an_error,
];

/// What these tests ask of a plug: its sockets and timers move into tasks.
trait Plug:
    Runtime<Stream: Send, Timer: Send, Datagram: Send, Binding: Send>
    + Spawn<Drive<Self>>
    + Spawn<Guarded<Served<BoxFuture<()>>>>
    + Spawn<Task<BoxFuture<()>>>
    + Send
    + Sync
{
    /// Between two datagrams whose order matters: in the simulator they overtake each other.
    const PACE: Option<Duration> = None;
}

impl Plug for Tokio {}
impl Plug for Smol {}
impl Plug for Sim {
    const PACE: Option<Duration> = Some(Duration::from_millis(1));
}

/// Long enough for whatever is on its way on this machine, as far as nothing waits for it.
const SOON: Duration = Duration::from_millis(50);

async fn pace<R: Plug>(runtime: &R) {
    if let Some(pace) = R::PACE {
        sleep(runtime, pace).await;
    }
}

fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

async fn bind<R: Plug>(runtime: &R, config: Config) -> (Listener<R>, SocketAddr) {
    let listener = Builder::new(runtime.clone()).tracker(config).bind(anywhere()).await.expect("a free port");
    let at = listener.local_addr();
    assert_ne!(at.port(), 0);
    (listener, at)
}

async fn connect<R: Plug>(runtime: &R, to: SocketAddr) -> Conversation {
    udp::connect(runtime.clone(), to).await.expect("a socket")
}

/// Sends everything back.
fn echo(conversation: Conversation) -> BoxFuture<()> {
    Box::pin(async move {
        while let Ok(datagram) = conversation.recv().await {
            if conversation.send(datagram).await.is_err() {
                return;
            }
        }
    })
}

/// Serves `handler` while `work` runs, then stops.
async fn serving<R, T>(
    runtime: &R,
    handler: impl FnMut(Conversation) -> BoxFuture<()>,
    work: impl AsyncFnOnce(SocketAddr) -> T,
) -> T
where
    R: Plug,
{
    let builder = Builder::new(runtime.clone()).drain_timeout(Duration::ZERO);
    let listener = builder.bind(anywhere()).await.expect("a free port");
    let (at, stopper) = (listener.local_addr(), listener.stopper());
    let work = async {
        let done = work(at).await;
        stopper.stop();
        done
    };
    let (done, served) = join(work, listener.serve(handler)).await;
    served.expect("the socket is fine");
    assert_eq!(stopper.connections(), 0);
    done
}

async fn say(conversation: &Conversation, word: impl Into<Bytes>) {
    conversation.send(word).await.expect("sent");
}

async fn hear(conversation: &Conversation) -> BytesMut {
    conversation.recv().await.expect("heard")
}

/// Sends one datagram from a socket of its own that hears nothing.
async fn shout<R: Runtime>(socket: &mut R::Datagram, to: SocketAddr, word: &[u8]) {
    let mut batch = SendBatch::new();
    batch.push(to.into(), word);
    while !batch.is_empty() {
        poll_fn(|cx| socket.poll_send(cx, &mut batch)).await.expect("sent");
    }
}

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

/// Pending once.
async fn sleep_a_little() {
    let mut first = true;
    poll_fn(|cx| {
        if std::mem::take(&mut first) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
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
    let full = client.try_send("3").expect_err("there is room for two");
    assert!(matches!(full, SendError::Full(payload) if payload == "3"));
    // A hundred wait at the same time; everyone gets through.
    join_all((0..100_u8).map(async |number| say(&client, vec![number]).await)).await;
    let server = listener.accept().await.expect("a peer");
    let mut heard = 0;
    while heard < 102 {
        hear(&server).await;
        heard += 1;
    }
    assert_eq!(client.totals().sent, 102);
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

async fn a_full_house_refuses<R: Plug>(runtime: R) {
    let (listener, at) = bind(&runtime, Config::default().max_conversations(2)).await;
    let clients = join_all((0..3).map(|_| connect(&runtime, at))).await;
    for client in &clients {
        say(client, "hello").await;
        pace(&runtime).await;
    }
    let (one, _two) = join(listener.accept(), listener.accept()).await;
    let third = within(&runtime, Some(SOON), listener.accept()).await;
    assert!(third.is_err(), "there is room for two");
    assert_eq!((listener.len(), listener.counters().refused_full), (2, 1));
    drop(one);
    say(&clients[2], "again").await;
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

//! UDP conversations, on any executor: each peer its own, whatever the others do.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use glowplug_runtime::server::Guarded;
use glowplug_runtime::task::{Task, spawn};
use glowplug_runtime::time::{sleep, within};
use glowplug_runtime::udp::reliable;
use glowplug_runtime::udp::{
    self, Builder, Closed, Config, Conversation, Drive, Listener, Reason, Served, conversation,
};
use glowplug_runtime::{BoxFuture, Runtime, Spawn};

use super::io::{both, polled};
use super::{Executor, Stop, Trial, Tried, When as _, World, any_port, cases_of, ensure, trial};
use crate::runner::Case;

/// Datagrams may be lost anywhere: how long an answer may take before its question is asked again, and how often.
const ROUND: Duration = Duration::from_millis(200);
const ROUNDS: usize = 100;

/// More polls than any of these futures takes.
const MANY: usize = 200;

/// A pause in which whatever is on its way on one machine arrives.
const PAUSE: Duration = Duration::from_millis(20);

/// What this suite asks of a plug beyond being one.
pub trait Conversing:
    Runtime
    + Spawn<Drive<Self>>
    + Spawn<reliable::Drive<Self>>
    + Spawn<Guarded<Served<BoxFuture<()>>>>
    + Spawn<Task<BoxFuture<()>>>
{
}

impl<R> Conversing for R where
    R: Runtime
        + Spawn<Drive<R>>
        + Spawn<reliable::Drive<R>>
        + Spawn<Guarded<Served<BoxFuture<()>>>>
        + Spawn<Task<BoxFuture<()>>>
{
}

/// Every case, with the name of its suite.
pub fn cases<E: Executor<Runtime: Conversing>>() -> Vec<(&'static str, Case)> {
    cases_of::<E>("udp", trials::<E>())
}

fn trials<E: Executor<Runtime: Conversing>>() -> Vec<Trial<E::Runtime>> {
    vec![
        // Where a seed decides everything, datagrams that are sent together overtake each other.
        if E::SEEDED {
            trial!("a-burst-keeps-its-order", slow_burst)
        } else {
            trial!("a-burst-keeps-its-order", burst)
        },
        trial!(heavy "empty-and-largest-are-data", sizes),
        trial!("peers-have-their-own-state", two_peers),
        trial!("late-for-a-server-begins-anew", late_for_a_server),
        trial!("late-for-a-client-is-ignored", late_for_a_client),
        trial!("a-child-ends-nothing-but-itself", children),
        trial!("children-end-with-the-owner", orphans),
        trial!("the-current-conversation", current),
        trial!("panics-and-idlers-concern-nobody-else", panics),
        trial!("receivers-dropped-at-every-poll", dropped_receivers),
        trial!(heavy "many-peers", many_peers),
        trial!("reliable-to-the-last-word", reliable_messages),
    ]
}

async fn bind<R: Conversing>(world: &World<R>) -> Result<(Listener<R>, SocketAddr), Stop> {
    let listener = Listener::bind(world.runtime.clone(), any_port()).await.when("bind")?;
    let at = listener.local_addr();
    ensure(at.port() != 0, || format!("a listener on port 0 says that it is at {at}"))?;
    Ok((listener, at))
}

async fn connect<R: Conversing>(world: &World<R>, to: SocketAddr) -> Result<Conversation, Stop> {
    udp::connect(world.runtime.clone(), to).await.when("connect")
}

/// Serves `handler` while `work` runs.
async fn serving<R: Conversing>(
    world: &World<R>,
    handler: impl FnMut(Conversation) -> BoxFuture<()>,
    work: impl AsyncFnOnce(SocketAddr) -> Tried,
) -> Tried {
    let builder = Builder::new(world.runtime.clone()).drain_timeout(Duration::ZERO);
    let listener = builder.bind(any_port()).await.when("bind")?;
    let (at, stopper) = (listener.local_addr(), listener.stopper());
    let work = async {
        let tried = work(at).await;
        stopper.stop();
        tried
    };
    let (tried, served) = both(work, listener.serve(handler)).await;
    tried?;
    served.when("serve")?;
    ensure(stopper.connections() == 0, || "conversations are left over after the drain".to_owned())
}

fn echo(conversation: Conversation) -> BoxFuture<()> {
    Box::pin(async move {
        while let Ok(datagram) = conversation.recv().await {
            if conversation.send(datagram).await.is_err() {
                return;
            }
        }
    })
}

/// Asks until the answer is there.
async fn ask<R: Runtime>(
    world: &World<R>,
    conversation: &Conversation,
    question: impl Into<Bytes>,
    answer: &[u8],
) -> Tried {
    let question = question.into();
    for _ in 0..ROUNDS {
        conversation.send(question.clone()).await.when("send")?;
        while let Ok(heard) = within(&world.runtime, Some(ROUND), conversation.recv()).await {
            if heard.when("receive")? == answer {
                return Ok(());
            }
        }
    }
    Err(Stop(format!("{question:?} was not answered with {answer:?} in {ROUNDS} rounds")))
}

async fn burst<R: Conversing>(world: World<R>) -> Tried {
    in_order(&world, None).await
}

async fn slow_burst<R: Conversing>(world: World<R>) -> Tried {
    in_order(&world, Some(Duration::from_millis(1))).await
}

async fn in_order<R: Conversing>(world: &World<R>, pace: Option<Duration>) -> Tried {
    let (listener, at) = bind(world).await?;
    let (one, two) = (connect(world, at).await?, connect(world, at).await?);
    for number in 0..8_u8 {
        for client in [&one, &two] {
            client.try_send(vec![number]).when("send")?;
        }
        if let Some(pace) = pace {
            sleep(&world.runtime, pace).await;
        }
    }
    for _ in 0..2 {
        let taken = within(&world.runtime, Some(ROUND * 10), listener.accept()).await.when("accept")?;
        let taken = taken.when("accept")?;
        let mut heard = Vec::new();
        while heard.len() < 8 {
            let datagram = within(&world.runtime, Some(ROUND * 10), taken.recv()).await.when("a datagram")?;
            heard.extend_from_slice(&datagram.when("receive")?);
        }
        ensure(heard.iter().copied().eq(0..8), || format!("eight datagrams came as {heard:?}"))?;
    }
    Ok(())
}

async fn sizes<R: Conversing>(world: World<R>) -> Tried {
    serving(&world, echo, async |at| {
        let client = connect(&world, at).await?;
        for len in [0, 1, 0, 1232, 65_507, 0, 8192] {
            let word: Vec<u8> = (0..len).map(|n: u32| (n % 251) as u8).collect();
            ask(&world, &client, word.clone(), &word).await?;
        }
        let longer = client.send(vec![0; 65_508]).await;
        ensure(longer.is_err(), || "a datagram of 65,508 bytes was sent".to_owned())
    })
    .await
}

async fn two_peers<R: Conversing>(world: World<R>) -> Tried {
    let remember = |conversation: Conversation| -> BoxFuture<()> {
        Box::pin(async move {
            let mut first = None;
            while let Ok(word) = conversation.recv().await {
                let first = first.get_or_insert_with(|| word.clone());
                if conversation.send([&first[..], b" ", &word[..]].concat()).await.is_err() {
                    return;
                }
            }
        })
    };
    serving(&world, remember, async |at| {
        let (one, two) = (connect(&world, at).await?, connect(&world, at).await?);
        for (client, name) in [(&one, "one"), (&two, "two"), (&one, "one"), (&two, "two")] {
            ask(&world, client, name, format!("{name} {name}").as_bytes()).await?;
            ask(&world, client, "who?", format!("{name} who?").as_bytes()).await?;
        }
        Ok(())
    })
    .await
}

async fn late_for_a_server<R: Conversing>(world: World<R>) -> Tried {
    let (listener, at) = bind(&world).await?;
    let client = connect(&world, at).await?;
    for round in 0..3_u8 {
        client.send(vec![round]).await.when("send")?;
        let taken = within(&world.runtime, Some(ROUND * 10), listener.accept()).await.when("accept")?;
        let taken = taken.when("accept")?;
        let first = taken.recv().await.when("receive")?;
        ensure(first[..] == [round], || format!("conversation {round} begins with {first:?}"))?;
        ensure(taken.totals().received == 1, || "a new conversation has the past of an old one".to_owned())?;
        let (child, totals) = (taken.child(), taken.close());
        ensure(totals.received == 1, || format!("it came to {totals:?}"))?;
        let late = child.try_send("late");
        ensure(late.is_err(), || "something was sent to a conversation that is over".to_owned())?;
    }
    Ok(())
}

async fn late_for_a_client<R: Conversing>(world: World<R>) -> Tried {
    let ((one, _), (two, two_at)) = (bind(&world).await?, bind(&world).await?);
    let client = one.connect(two_at).when("connect")?;
    client.send("question").await.when("send")?;
    let server =
        within(&world.runtime, Some(ROUND * 10), two.accept()).await.when("accept")?.when("accept")?;
    drop(client);
    server.send("late answer").await.when("send")?;
    let begun = within(&world.runtime, Some(PAUSE), one.accept()).await;
    ensure(begun.is_err(), || "a late answer began a conversation of its own".to_owned())
}

async fn children<R: Conversing>(world: World<R>) -> Tried {
    serving(&world, echo, async |at| {
        let client = connect(&world, at).await?;
        for round in 0..3_u8 {
            let child = client.child();
            let task: BoxFuture<()> = Box::pin(async move {
                let _ = child.child().try_send("from a child");
            });
            spawn(&world.runtime, task).await.when("the child")?;
            drop(client.child());
            ask(&world, &client, vec![round], &[round]).await?;
        }
        ensure(!client.is_closed(), || "a child has ended the conversation".to_owned())
    })
    .await
}

async fn orphans<R: Conversing>(world: World<R>) -> Tried {
    let (listener, at) = bind(&world).await?;
    let client = connect(&world, at).await?;
    let child = client.child();
    let (scoped, unpolled) = (child.scope(std::future::pending::<()>()), child.scope(async { 1 }));
    let reader = child.child();
    let task: BoxFuture<()> = Box::pin(async move {
        let _ = scoped.await;
        let _ = reader.recv().await;
    });
    let task = spawn(&world.runtime, task);
    sleep(&world.runtime, PAUSE).await;
    ensure(!task.is_finished(), || "a child ended before its conversation".to_owned())?;
    drop(client);
    task.await.when("the child")?;
    ensure(unpolled.await.is_none(), || "a child began after the end".to_owned())?;
    let closed = child.closed().await;
    ensure(matches!(closed, Closed::Ended(Reason::Local)), || format!("it ended as {closed:?}"))?;
    drop(listener);
    Ok(())
}

async fn current<R: Conversing>(world: World<R>) -> Tried {
    let handler = |conversation: Conversation| -> BoxFuture<()> {
        Box::pin(async move {
            while conversation.recv().await.is_ok() {
                let peer = conversation::current().map(|current| current.peer());
                let word = if peer == Some(conversation.peer()) { "mine" } else { "not mine" };
                let Some(current) = conversation::current() else { return };
                let _ = current.send(word).await;
            }
        })
    };
    serving(&world, handler, async |at| {
        let (one, two) = (connect(&world, at).await?, connect(&world, at).await?);
        for client in [&one, &two, &one] {
            ask(&world, client, "whose?", b"mine").await?;
        }
        let scoped = one.scope(async { conversation::current().map(|current| current.peer()) }).await;
        ensure(scoped == Some(Some(at)), || format!("inside a scope it is {scoped:?}"))?;
        ensure(conversation::current().is_none(), || "outside there is one".to_owned())
    })
    .await
}

async fn panics<R: Conversing>(world: World<R>) -> Tried {
    let handler = |conversation: Conversation| -> BoxFuture<()> {
        Box::pin(async move {
            match conversation.recv().await.as_deref() {
                Ok(b"panic") => resume_unwind(Box::new("this panic belongs to the case")),
                Ok(b"idle") => std::future::pending().await,
                Ok(word) => {
                    let _ = conversation.send(word.to_vec()).await;
                    echo(conversation).await;
                }
                Err(_) => {}
            }
        })
    };
    serving(&world, handler, async |at| {
        let (wild, idle, calm) =
            (connect(&world, at).await?, connect(&world, at).await?, connect(&world, at).await?);
        idle.send("idle").await.when("send")?;
        for round in 0..20_u8 {
            wild.send("panic").await.when("send")?;
            for _ in 0..5 {
                idle.send("unread").await.when("send")?;
            }
            ask(&world, &calm, vec![round], &[round]).await?;
        }
        sleep(&world.runtime, PAUSE).await;
        ask(&world, &wild, "calm now", b"calm now").await
    })
    .await
}

async fn dropped_receivers<R: Conversing>(world: World<R>) -> Tried {
    let (listener, at) = bind(&world).await?;
    let client = connect(&world, at).await?;
    client.send(vec![0]).await.when("send")?;
    let server = listener.accept().await.when("accept")?;
    server.recv().await.when("receive")?;
    for polls in 0..MANY {
        let number = polls as u8;
        let (received, sent) = both(polled(polls, server.recv()), client.send(vec![number])).await;
        sent.when("send")?;
        let (datagram, whole) = match received {
            Some(datagram) => (datagram.when("receive")?, true),
            None => (server.recv().await.when("receive")?, false),
        };
        ensure(datagram[..] == [number], || format!("{number} came as {datagram:?}"))?;
        if whole {
            return Ok(());
        }
    }
    Err(Stop(format!("receiving takes more than {MANY} polls")))
}

async fn many_peers<R: Conversing>(world: World<R>) -> Tried {
    const PEERS: usize = 64;
    let open = Arc::new(AtomicUsize::new(0));
    let handler = |conversation: Conversation| -> BoxFuture<()> {
        open.fetch_add(1, Ordering::Relaxed);
        echo(conversation)
    };
    serving(&world, handler, async |at| {
        let mut clients = Vec::new();
        for _ in 0..PEERS {
            clients.push(connect(&world, at).await?);
        }
        for round in 0..3 {
            for (number, client) in clients.iter().enumerate() {
                client.send(format!("{number}/{round}")).await.when("send")?;
            }
            for (number, client) in clients.iter().enumerate() {
                let word = format!("{number}/{round}");
                ask(&world, client, word.clone(), word.as_bytes()).await?;
            }
        }
        Ok(())
    })
    .await?;
    let begun = open.load(Ordering::Relaxed);
    ensure(begun == PEERS, || format!("{PEERS} peers began {begun} conversations"))
}

async fn reliable_messages<R: Conversing>(world: World<R>) -> Tried {
    let builder = || {
        Builder::new(world.runtime.clone())
            .tracker(Config::default())
            .reliable(reliable::ChannelConfig::default())
    };
    let listener = builder().bind(any_port()).await.when("bind")?;
    let client = builder().connect(listener.local_addr()).await.when("connect")?;
    let word = |n: usize| vec![n as u8; n * 700];
    let serve = async {
        let server = listener.accept().await.when("accept")?;
        for n in 0..20 {
            let message = server.recv().await.when("receive")?;
            ensure(message == word(n)[..], || format!("message {n} has {} bytes", message.len()))?;
        }
        // The last word is heard before the end is.
        let end = server.recv().await;
        ensure(matches!(end, Err(Closed::Finished)), || format!("after the last message came {end:?}"))?;
        server.send("goodbye").await.when("send")?;
        server.finish().await.when("finish")
    };
    let ask = async {
        for n in 0..20 {
            client.send(word(n)).await.when("send")?;
        }
        client.shutdown();
        let goodbye = client.recv().await.when("receive")?;
        ensure(goodbye == b"goodbye"[..], || format!("the answer is {goodbye:?}"))?;
        client.finish().await.when("finish")
    };
    let mut ask = pin!(ask);
    let mut serve = pin!(serve);
    let (mut asked, mut served) = (None, None);
    poll_fn(|cx| {
        if asked.is_none()
            && let Poll::Ready(tried) = ask.as_mut().poll(cx)
        {
            asked = Some(tried);
        }
        if served.is_none()
            && let Poll::Ready(tried) = serve.as_mut().poll(cx)
        {
            served = Some(tried);
        }
        // The first failure is the story; the other end would wait for an answer that never comes.
        let failed = |tried: &Option<Tried>| matches!(tried, Some(Err(_)));
        if (asked.is_some() && served.is_some()) || failed(&asked) || failed(&served) {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
    asked.into_iter().chain(served).collect()
}

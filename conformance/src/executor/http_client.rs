//! The HTTP client people call, against the server half of the protocol crate, on any executor.

mod layers;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use glowplug_core::{PoolConfig, Progress};
use glowplug_http::{BodyLength, ServerConfig, ServerConnection, ServerEvent, StatusCode};
use glowplug_runtime::drive::Exclusive;
use glowplug_runtime::http::{Client, ClientError};
use glowplug_runtime::{Listener, Runtime};

use super::io::{first, polled};
use super::{Executor, Stop, Trial, Tried, When as _, World, cases_of, ensure, trial};
use crate::runner::Case;

/// More polls than any of these futures takes.
const MANY: usize = 400;

/// How many answers have to pair up after something was dropped.
const NEXT: usize = 10;

/// Every case, with the name of its suite.
pub fn cases<E: Executor>() -> Vec<(&'static str, Case)> {
    let trials = trials().into_iter().chain(layers::trials()).collect();
    cases_of::<E>("http-client", trials)
}

fn trials<R: Runtime>() -> Vec<Trial<R>> {
    vec![
        trial!("one-connection-serves-many-requests", one_connection),
        trial!("many-callers-and-a-small-pool", many_callers),
        trial!(heavy "a-megabyte-both-ways", a_megabyte),
        trial!("requests-dropped-at-every-poll", dropped_requests),
        trial!("bodies-dropped-at-every-poll", dropped_bodies),
        trial!("deadline", deadline),
        trial!("the-server-hangs-up", hang_up),
    ]
}

/// Runs `work` beside a server; it gets the base of the server's URLs, and a client with room for `connections`.
async fn with_server<R: Runtime>(
    world: &World<R>,
    connections: usize,
    work: impl AsyncFnOnce(String, Client<R>) -> Tried,
) -> Tried {
    let (listener, at) = world.listen().await?;
    let pool = PoolConfig::default().max_per_key(connections);
    // Nothing lies idle for long enough to need the reaper.
    let (client, _) = Client::builder(world.runtime.clone()).pool(pool).build_with_reaper();
    match first(work(format!("http://{at}"), client), serve(&world.runtime, listener)).await {
        Ok(tried) => tried,
        Err(()) => Err(Stop("the server ended".to_owned())),
    }
}

/// Serves every connection by the machine, all in one task.
async fn serve<R: Runtime>(runtime: &R, listener: R::Listener) {
    serve_each(listener, |stream| connection(runtime, stream)).await;
}

/// Gives every connection to `serve`, all in one task.
async fn serve_each<L: Listener, F: Future<Output = ()>>(mut listener: L, serve: impl Fn(L::Stream) -> F) {
    let mut connections: Vec<Pin<Box<F>>> = Vec::new();
    poll_fn(|cx| {
        while let Poll::Ready(accepted) = listener.poll_accept(cx) {
            if let Ok((stream, _)) = accepted {
                connections.push(Box::pin(serve(stream)));
            }
        }
        connections.retain_mut(|connection| connection.as_mut().poll(cx).is_pending());
        Poll::<()>::Pending
    })
    .await;
}

/// Answers each request with its target and body; nothing at all to `/silence`, and with the end to `/hang-up`.
async fn connection<R: Runtime>(runtime: &R, stream: R::Stream) {
    let machine = ServerConnection::new(runtime.now(), Arc::new(ServerConfig::default()));
    let mut driver = Exclusive::new(runtime.clone(), stream, machine);
    let mut answer = Vec::new();
    while let Ok(Some(event)) = driver.next_event().await {
        let now = runtime.now();
        let machine = driver.machine_mut();
        match event {
            ServerEvent::Request { head, .. } => answer = head.target().as_bytes().to_vec(),
            ServerEvent::Data { stream, data } => {
                answer.extend_from_slice(&data);
                machine.release(now, stream, data.len());
            }
            ServerEvent::End { .. } if answer.starts_with(b"/silence") => {}
            ServerEvent::End { .. } if answer.starts_with(b"/hang-up") => return,
            ServerEvent::End { stream, .. } => {
                let answer = Bytes::from(std::mem::take(&mut answer));
                let length = BodyLength::Known(answer.len() as u64);
                let sent = machine.send_head(now, stream, StatusCode::OK, &(), length).is_ok()
                    && machine.send_data(now, stream, answer).is_ok()
                    && machine.finish(now, stream, &()).is_ok();
                if !sent {
                    return;
                }
            }
            _ => {}
        }
    }
}

/// Asks, and takes the whole answer.
async fn ask<R: Runtime>(client: &Client<R>, base: &str, target: &str) -> Result<String, ClientError> {
    client.post(format!("{base}{target}")).body(" and a body").send().await?.text().await
}

/// `count` answers, each to its own question.
async fn pair_up<R: Runtime>(client: &Client<R>, base: &str, count: usize) -> Tried {
    for n in 0..count {
        let target = format!("/question/{n}");
        let answer = ask(client, base, &target).await.when("POST")?;
        ensure(answer == format!("{target} and a body"), || {
            format!("{target} was answered with {answer:?}")
        })?;
    }
    ensure(client.connections() == client.idle_connections(), || {
        "a connection is held although every answer has ended".to_owned()
    })
}

async fn one_connection<R: Runtime>(world: World<R>) -> Tried {
    with_server(&world, 10, async |base, client| {
        pair_up(&client, &base, 10).await?;
        let connections = client.connections();
        ensure(connections == 1, || format!("ten requests in sequence took {connections} connections"))
    })
    .await
}

async fn many_callers<R: Runtime>(world: World<R>) -> Tried {
    with_server(&world, 4, async |base, client| {
        let mut callers: Vec<Pin<Box<dyn Future<Output = Tried> + '_>>> = Vec::new();
        for caller in 0..32 {
            let (client, base) = (&client, &base);
            callers.push(Box::pin(async move {
                for n in 0..5 {
                    let target = format!("/{caller}/{n}");
                    let answer = ask(client, base, &target).await.when("POST")?;
                    ensure(answer == format!("{target} and a body"), || {
                        format!("{target} was answered with {answer:?}")
                    })?;
                }
                Ok(())
            }));
        }
        let mut tried = Ok(());
        poll_fn(|cx| {
            callers.retain_mut(|caller| match caller.as_mut().poll(cx) {
                Poll::Ready(Ok(())) => false,
                Poll::Ready(Err(stop)) => {
                    tried = Err(stop);
                    false
                }
                Poll::Pending => true,
            });
            if callers.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        tried?;
        let connections = client.connections();
        ensure(connections <= 4, || format!("a pool of four has {connections} connections"))
    })
    .await
}

async fn a_megabyte<R: Runtime>(world: World<R>) -> Tried {
    with_server(&world, 1, async |base, client| {
        let body: Bytes = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect::<Vec<_>>().into();
        let answer = client.put(format!("{base}/m")).body(body.clone()).send().await.when("PUT")?;
        let back = answer.bytes().await.when("a body")?;
        ensure(back.strip_prefix(b"/m") == Some(&body[..]), || "other bytes came back".to_owned())?;
        pair_up(&client, &base, 1).await
    })
    .await
}

async fn dropped_requests<R: Runtime>(world: World<R>) -> Tried {
    with_server(&world, 2, async |base, client| {
        for polls in 0..MANY {
            let dropped = polled(polls, ask(&client, &base, "/dropped")).await;
            pair_up(&client, &base, NEXT).await?;
            if let Some(answer) = dropped {
                let answer = answer.when("POST")?;
                return ensure(answer == "/dropped and a body", || format!("the answer is {answer:?}"));
            }
        }
        Err(Stop(format!("one request takes more than {MANY} polls")))
    })
    .await
}

async fn dropped_bodies<R: Runtime>(world: World<R>) -> Tried {
    with_server(&world, 2, async |base, client| {
        for polls in 0..MANY {
            let request = client.put(format!("{base}/")).body("x".repeat(100_000));
            let answer = request.send().await.when("PUT")?;
            let dropped = polled(polls, answer.bytes()).await;
            pair_up(&client, &base, 2).await?;
            if let Some(body) = dropped {
                let len = body.when("a body")?.len();
                return ensure(len == 100_001, || format!("the body has {len} bytes"));
            }
        }
        Err(Stop(format!("one body takes more than {MANY} polls")))
    })
    .await
}

async fn deadline<R: Runtime>(world: World<R>) -> Tried {
    with_server(&world, 1, async |base, client| {
        let wait = Duration::from_millis(20);
        let before = world.runtime.now();
        let outcome = client.get(format!("{base}/silence")).total_timeout(Some(wait)).send().await;
        ensure(world.runtime.now() - before >= wait, || "the deadline came early".to_owned())?;
        match outcome {
            Err(error) if error.is_timeout() && error.progress() == Progress::FullySent => {}
            other => return Err(Stop(format!("a request that nobody answers gave {other:?}"))),
        }
        pair_up(&client, &base, NEXT).await
    })
    .await
}

async fn hang_up<R: Runtime>(world: World<R>) -> Tried {
    with_server(&world, 1, async |base, client| {
        pair_up(&client, &base, 1).await?;
        match ask(&client, &base, "/hang-up").await {
            Err(error) if error.progress() == Progress::FullySent => {}
            other => return Err(Stop(format!("a POST that was lost gave {other:?}"))),
        }
        pair_up(&client, &base, NEXT).await
    })
    .await
}

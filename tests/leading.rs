//! Lone callers and the task of a shared connection hand the lead to and fro, on threads that run at the same time.

#[allow(unused_imports, unused_macros, reason = "these bodies need more of a plug than the others")]
mod support;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use glowplug::core::Rng;
use glowplug::redis::{commands, memory};
use glowplug::runtime::redis::{Client, Drive, Serving, serve_memory};
use glowplug::runtime::server::Server;
use glowplug::runtime::time::sleep;
use glowplug::runtime::{BoxFuture, Runtime, Spawn, task};
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;

use support::any_port;

const ROUNDS: u32 = 4000;

/// Calls in a row, then a pause, now and then a call that is left after a poll or two; each answer has to be its own.
async fn caller<R: Runtime>(runtime: R, redis: Client<R>, number: u32, mut dice: Rng) {
    for round in 0..ROUNDS {
        let text = format!("{number}-{round}");
        let mut call = pin!(redis.run(commands::echo(&*text)));
        if dice.below(8) == 0 {
            let mut polls = dice.below(3);
            poll_fn(|cx| {
                if polls == 0 || call.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                polls -= 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            continue;
        }
        assert_eq!(call.await.expect("answered"), text);
        // The first caller is alone most of the time, the others drop in.
        let pause = match (number, dice.below(100)) {
            (0, 0) => dice.below(25_000),
            (0, _) | (_, 0..90) => continue,
            (_, _) => dice.below(20_000),
        };
        sleep(&runtime, Duration::from_micros(pause)).await;
    }
}

async fn hand_to_and_fro<R>(runtime: R)
where
    R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>> + Spawn<task::Task<BoxFuture<()>>> + Send + Sync,
    R::Stream: Send,
    R::Timer: Send,
    R::Listener: Send,
    R::Connecting: Send,
    R::Resolving: Send,
{
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let url = format!("redis://{}", server.local_endpoint().expect("bound"));
    let stopper = server.stopper();
    let store = memory::Handle::new(memory::Config::new().seed(runtime.seed()));
    let serving: BoxFuture<()> = Box::pin(serve_memory(runtime.clone(), server, store));
    let serving = task::spawn(&runtime, serving);
    let redis = Client::builder(runtime.clone()).connect(&url).await.expect("connected");
    let callers: Vec<_> = (0..3)
        .map(|number| {
            let calling = caller(runtime.clone(), redis.clone(), number, runtime.seed().rng());
            task::spawn(&runtime, Box::pin(calling) as BoxFuture<()>)
        })
        .collect();
    for caller in callers {
        caller.await.expect("every answer was its own");
    }
    drop(redis);
    stopper.stop();
    serving.await.expect("the server stops");
}

#[test]
fn on_threads_of_tokio() {
    support::on_tokio(|runtime: Tokio| hand_to_and_fro(runtime));
}

#[test]
fn on_threads_of_smol() {
    let executor = std::sync::Arc::new(smol::Executor::new());
    std::thread::scope(|scope| {
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        for _ in 0..2 {
            let (executor, stopped) = (executor.clone(), stopped.clone());
            scope.spawn(move || {
                smol::block_on(executor.run(async { stopped.recv().await.expect_err("it is closed") }))
            });
        }
        smol::block_on(hand_to_and_fro(Smol::on(executor.clone())));
        stop.close();
    });
}

//! Conversations over TCP, scopes and sets of services, on any executor.
//!
//! The function of every connection here is a future written by hand, [`Talk`], so that nothing asks for `Send`. It makes its verbs
//! anew at each poll and drops them again: that they lose nothing by it is part of what is tried.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use glowplug_core::BackoffConfig;
use glowplug_core::framer::{LengthPrefix, LineEnding, Rule};
use glowplug_runtime::dial::Dialer;
use glowplug_runtime::server::{Guarded, Stopper, Stopping};
use glowplug_runtime::services::{Gated, Services};
use glowplug_runtime::supervise::{KeepAlive, Member, Restart, Scope};
use glowplug_runtime::task::{JoinError, Task};
use glowplug_runtime::tcp::{Connection, Error, Service, Serving};
use glowplug_runtime::time::{Sleep, sleep};
use glowplug_runtime::{BoxFuture, Endpoint, MaybeTls, Runtime, Spawn};

use super::io::{both, polled};
use super::{Executor, Stop, Trial, Tried, When as _, World, any_port, cases_of, ensure, trial};
use crate::runner::Case;

/// What a service of these cases spawns.
pub type Talking<R> = Guarded<Serving<R, fn(Connection<R>) -> Talk<R>, Talk<R>>>;

/// What a scope of these cases spawns.
pub type Worker = Task<Member<BoxFuture<()>>>;

/// What a set of services of these cases spawns.
pub type Started = Task<Member<Gated<BoxFuture<()>>>>;

/// What is started again in these cases.
pub type Restarted<R> = Task<Member<KeepAlive<R, Box<dyn FnMut() -> BoxFuture<()> + Send>, BoxFuture<()>>>>;

/// The longest payload of a datagram, which is a message like any other on a stream.
const LONG: usize = 65_507;

/// How long nothing happens where nothing should happen. A slower machine makes the case weaker, never red.
const A_WHILE: Duration = Duration::from_millis(20);

/// More polls than any of these futures takes.
const MANY: usize = 200;

/// Every case, with the name of its suite.
pub fn cases<E: Executor>() -> Vec<(&'static str, Case)>
where
    E::Runtime: Spawn<Talking<E::Runtime>> + Spawn<Worker> + Spawn<Started> + Spawn<Restarted<E::Runtime>>,
{
    cases_of::<E>("services", trials())
}

fn trials<R>() -> Vec<Trial<R>>
where
    R: Runtime + Spawn<Talking<R>> + Spawn<Worker> + Spawn<Started> + Spawn<Restarted<R>>,
{
    vec![
        trial!("lines-then-the-end", lines_then_the_end),
        trial!("a-burst-keeps-its-order", a_burst),
        trial!("empty-and-long-messages-are-data", empty_and_long),
        trial!("two-peers-apart", two_peers),
        trial!("reads-dropped-at-every-poll", dropped_reads),
        trial!("a-panic-is-its-own-connections", panics),
        trial!("what-is-sent-last-arrives", last_words),
        trial!("a-stop-is-heard", a_stop),
        trial!("children-end-with-their-scope", scopes),
        trial!("a-child-that-ends-or-is-dropped-ends-nobody-else", children),
        trial!("started-again", restarts),
        trial!("stopped-in-order", in_order),
    ]
}

/// The function of a connection: it answers lines.
///
/// `add N` gives the sum of this conversation; `take N` reads N bytes and gives them back; `slow` reads on after a while; `panic` panics;
/// `much` sends a lot and ends. At the peer's end it says what was left, and when the service stops it says goodbye.
pub struct Talk<R: Runtime> {
    connection: Connection<R>,
    stopping: Stopping,
    rule: Rule,
    pause: Option<Sleep<R::Timer>>,
    out: Option<Bytes>,
    sum: u64,
    lines: usize,
    last: bool,
}

impl<R: Runtime> Talk<R> {
    fn new(connection: Connection<R>) -> Self {
        let stopping = connection.stopping();
        let rule = Rule::Line(LineEnding::Either);
        Self { connection, stopping, rule, pause: None, out: None, sum: 0, lines: 0, last: false }
    }

    fn heard(&mut self, frame: &Bytes) {
        if let Rule::Exact(_) = self.rule {
            self.rule = Rule::Line(LineEnding::Either);
            self.out = Some(frame.clone());
            return;
        }
        self.lines += 1;
        let line = String::from_utf8_lossy(frame);
        let (word, number) = line.split_once(' ').unwrap_or((&line, "0"));
        let number = number.parse().unwrap_or(0);
        match word {
            "add" => {
                self.sum += number as u64;
                self.out = Some(format!("{}\n", self.sum).into());
            }
            "take" => self.rule = Rule::Exact(number),
            "slow" => self.pause = Some(sleep(self.connection.runtime(), A_WHILE)),
            // An unwinding like that of any panic, without a message that would look like a failure.
            "panic" => resume_unwind(Box::new("this panic belongs to the case")),
            "much" => {
                self.out = Some(vec![b'x'; number].into());
                self.last = true;
            }
            other => self.out = Some(format!("{other}?\n").into()),
        }
    }
}

impl<R: Runtime> Future for Talk<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            if let Some(out) = &this.out {
                let sent = std::task::ready!(Pin::new(&mut this.connection.send(out.clone())).poll(cx));
                this.out = None;
                if sent.is_err() || this.last {
                    return Poll::Ready(());
                }
            }
            if let Some(pause) = &mut this.pause {
                std::task::ready!(Pin::new(pause).poll(cx));
                this.pause = None;
            }
            let read = Pin::new(&mut this.connection.read(this.rule)).poll(cx);
            match read {
                Poll::Ready(Ok(frame)) => this.heard(&frame),
                Poll::Ready(Err(Error::Closed { remainder })) => {
                    let rest = String::from_utf8_lossy(&remainder);
                    this.out = Some(format!("{} lines, and {rest:?}\n", this.lines).into());
                    this.last = true;
                }
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {
                    std::task::ready!(Pin::new(&mut this.stopping).poll(cx));
                    this.out = Some(Bytes::from_static(b"goodbye\n"));
                    this.last = true;
                }
            }
        }
    }
}

impl<R: Runtime> fmt::Debug for Talk<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Talk").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// Runs `work` beside a service, and stops that afterwards.
async fn with_service<R>(world: &World<R>, work: impl AsyncFnOnce(Endpoint, Stopper) -> Tried) -> Tried
where
    R: Runtime + Spawn<Talking<R>>,
{
    let service = Service::bind(world.runtime.clone(), any_port()).await.when("bind a service")?;
    let (at, stopper) = (service.local_endpoint().when("local_endpoint")?, service.stopper());
    let working = async {
        let tried = work(at, stopper.clone()).await;
        stopper.stop();
        tried
    };
    let talk: fn(Connection<R>) -> Talk<R> = Talk::new;
    let (tried, ()) = both(working, service.serve(talk)).await;
    tried?;
    let left = stopper.connections();
    ensure(left == 0, || format!("a service that ended has {left} connections"))
}

async fn connect<R: Runtime>(runtime: &R, at: &Endpoint) -> Result<Connection<R>, Stop> {
    let stream = Dialer::new(runtime.clone()).endpoint(at).await.when("connect")?;
    Ok(Connection::new(runtime.clone(), stream))
}

async fn expect<R: Runtime>(connection: &mut Connection<R>, line: &str) -> Tried {
    let heard = connection.read_line().await.when("read a line")?;
    ensure(heard == line.as_bytes(), || format!("{heard:?} instead of {line:?}"))
}

async fn ask<R: Runtime>(connection: &mut Connection<R>, question: &str, answer: &str) -> Tried {
    connection.send(format!("{question}\n")).await.when("send")?;
    expect(connection, answer).await
}

async fn end<R: Runtime>(connection: &mut Connection<R>) -> Tried {
    match connection.read_any().await {
        Err(error) if error.is_closed() => Ok(()),
        other => Err(Stop(format!("{other:?} instead of the end"))),
    }
}

async fn lines_then_the_end<R: Runtime + Spawn<Talking<R>>>(world: World<R>) -> Tried {
    with_service(&world, async |at, _| {
        let mut near = connect(&world.runtime, &at).await?;
        // The reader is slow: the end is there before it looks at the second line.
        near.send("slow\nadd 1\r\nadd 2\nthe rest").await.when("send")?;
        near.finish().await.when("finish")?;
        expect(&mut near, "1").await?;
        expect(&mut near, "3").await?;
        expect(&mut near, "3 lines, and \"the rest\"").await?;
        end(&mut near).await
    })
    .await
}

async fn a_burst<R: Runtime + Spawn<Talking<R>>>(world: World<R>) -> Tried {
    with_service(&world, async |at, _| {
        let mut near = connect(&world.runtime, &at).await?;
        for n in 0..8 {
            near.feed(format!("word{n}\n")).await.when("feed")?;
        }
        near.flush().await.when("flush")?;
        for n in 0..8 {
            expect(&mut near, &format!("word{n}?")).await?;
        }
        Ok(())
    })
    .await
}

async fn empty_and_long<R: Runtime + Spawn<Talking<R>>>(world: World<R>) -> Tried {
    with_service(&world, async |at, _| {
        let mut near = connect(&world.runtime, &at).await?;
        near.send("take 0\nadd 1\n").await.when("send")?;
        expect(&mut near, "1").await?;
        let long: Bytes = (0..LONG).map(|n| (n % 251) as u8).collect::<Vec<_>>().into();
        near.send(format!("take {LONG}\n")).await.when("send")?;
        near.send(long.clone()).await.when("send")?;
        let back = near.read_exact(LONG).await.when("read")?;
        ensure(back == long, || "a long message came back changed".to_owned())?;
        // And with a length in front.
        let (mut one, mut other) = {
            let (one, other) = world.pair().await?;
            let over = |stream| Connection::new(world.runtime.clone(), MaybeTls::Plain(stream));
            (over(one), over(other))
        };
        let rule = Rule::LengthPrefixed(LengthPrefix::big_endian(4));
        for length in [0, 1, LONG] {
            one.feed((length as u32).to_be_bytes().to_vec()).await.when("feed")?;
            one.feed(long.slice(..length)).await.when("feed")?;
        }
        let (flushed, read) = both(one.flush(), async {
            for length in [0, 1, LONG] {
                let message = other.read(rule).await.when("read a message")?;
                ensure(message == long[..length], || format!("not the message of {length} bytes"))?;
            }
            Ok(())
        })
        .await;
        flushed.when("flush")?;
        read
    })
    .await
}

async fn two_peers<R: Runtime + Spawn<Talking<R>>>(world: World<R>) -> Tried {
    with_service(&world, async |at, _| {
        let (mut one, mut other) = (connect(&world.runtime, &at).await?, connect(&world.runtime, &at).await?);
        for n in 1..20 {
            ask(&mut one, "add 1", &n.to_string()).await?;
            ask(&mut other, "add 100", &(n * 100).to_string()).await?;
        }
        Ok(())
    })
    .await
}

async fn dropped_reads<R: Runtime + Spawn<Talking<R>>>(world: World<R>) -> Tried {
    with_service(&world, async |at, _| {
        let mut near = connect(&world.runtime, &at).await?;
        for n in 1..100_usize {
            near.send("add 1\n").await.when("send")?;
            for polls in (n % 3).. {
                ensure(polls < MANY, || "the answer never came".to_owned())?;
                if let Some(line) = polled(polls, near.read_line()).await {
                    let line = line.when("read")?;
                    ensure(line == n.to_string(), || format!("answer {n} is {line:?}"))?;
                    break;
                }
            }
        }
        Ok(())
    })
    .await
}

async fn panics<R: Runtime + Spawn<Talking<R>>>(world: World<R>) -> Tried {
    with_service(&world, async |at, _| {
        let mut calm = connect(&world.runtime, &at).await?;
        ask(&mut calm, "add 1", "1").await?;
        for _ in 0..3 {
            let mut wild = connect(&world.runtime, &at).await?;
            wild.send("add 5\npanic\n").await.when("send")?;
            // What it said before the panic arrives.
            expect(&mut wild, "5").await?;
            end(&mut wild).await?;
        }
        ask(&mut calm, "add 1", "2").await
    })
    .await
}

async fn last_words<R: Runtime + Spawn<Talking<R>>>(world: World<R>) -> Tried {
    const MUCH: usize = 300_000;
    with_service(&world, async |at, _| {
        let mut near = connect(&world.runtime, &at).await?;
        // More than it reads: a socket that is closed with unread input is reset, which must not cost us the answer.
        near.send(format!("much {MUCH}\n{}", "unread ".repeat(1000))).await.when("send")?;
        sleep(&world.runtime, A_WHILE).await;
        let mut count = 0;
        loop {
            match near.read_any().await {
                Ok(bytes) => count += bytes.len(),
                Err(error) if error.is_closed() => break,
                Err(error) => return Err(Stop(format!("after {count} bytes: {error:?}"))),
            }
        }
        ensure(count == MUCH, || format!("{count} of {MUCH} bytes came"))
    })
    .await
}

async fn a_stop<R: Runtime + Spawn<Talking<R>>>(world: World<R>) -> Tried {
    with_service(&world, async |at, stopper| {
        let mut near = connect(&world.runtime, &at).await?;
        ask(&mut near, "add 1", "1").await?;
        stopper.stop();
        expect(&mut near, "goodbye").await?;
        end(&mut near).await
    })
    .await
}

/// Counts the futures that live.
#[derive(Clone, Default)]
struct Living(Arc<AtomicUsize>);

struct Alive(Living);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Living {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn forever(&self) -> BoxFuture<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let alive = Alive(self.clone());
        Box::pin(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        })
    }
}

/// Waits until `holds`.
async fn until<R: Runtime>(runtime: &R, what: &str, holds: impl Fn() -> bool) -> Tried {
    for _ in 0..5000 {
        if holds() {
            return Ok(());
        }
        sleep(runtime, Duration::from_millis(2)).await;
    }
    ensure(holds(), || format!("{what} did not happen"))
}

async fn scopes<R: Runtime + Spawn<Worker>>(world: World<R>) -> Tried {
    let living = Living::default();
    let scope = Scope::new(world.runtime.clone());
    for n in 0..10 {
        drop(scope.spawn(&format!("child {n}"), living.forever()));
    }
    sleep(&world.runtime, Duration::from_millis(1)).await;
    ensure(scope.len() == 10, || format!("of ten children, {} live", scope.len()))?;
    // These have hardly begun.
    for _ in 0..10 {
        drop(scope.spawn("late", living.forever()));
    }
    drop(scope);
    until(&world.runtime, "the end of all children", || living.count() == 0).await
}

async fn children<R: Runtime + Spawn<Worker>>(world: World<R>) -> Tried {
    let living = Living::default();
    let scope = Scope::new(world.runtime.clone());
    let stays = scope.spawn("stays", living.forever());
    scope.spawn::<BoxFuture<()>>("ends", Box::pin(async {})).await.when("a child")?;
    let wild = scope.spawn::<BoxFuture<()>>(
        "wild",
        Box::pin(async { resume_unwind(Box::new("this panic belongs to the case")) }),
    );
    let error = wild.await;
    ensure(matches!(error, Err(JoinError::Panicked(_))), || format!("a panic is {error:?}"))?;
    drop(scope.spawn("dropped", living.forever()));
    let cancelled = scope.spawn("cancelled", living.forever());
    cancelled.cancel();
    let error = cancelled.await;
    ensure(matches!(error, Err(JoinError::Cancelled)), || format!("cancelled is {error:?}"))?;
    until(&world.runtime, "the end of one child", || living.count() == 2).await?;
    ensure(!stays.is_finished(), || "a child ended with another".to_owned())?;
    scope.close().await;
    ensure(living.count() == 0, || "a scope was closed, and a child lives".to_owned())
}

async fn restarts<R: Runtime + Spawn<Restarted<R>>>(world: World<R>) -> Tried {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let make: Box<dyn FnMut() -> BoxFuture<()> + Send> = Box::new(move || {
        let run = counted.fetch_add(1, Ordering::SeqCst);
        // By a panic, and in good order.
        Box::pin(async move {
            if run.is_multiple_of(2) {
                resume_unwind(Box::new("this panic belongs to the case"));
            }
        })
    });
    let millisecond = Duration::from_millis(1);
    let pauses = BackoffConfig { first: millisecond, max: millisecond, ..BackoffConfig::default() };
    let scope = Scope::new(world.runtime.clone());
    let child = scope.keep_alive("worker", Restart::default().backoff(pauses).attempts(6), make);
    let last = child.await.when("a child that is kept alive")?;
    ensure(last.is_ok(), || format!("the last run ended with {last:?}"))?;
    let runs = runs.load(Ordering::SeqCst);
    ensure(runs == 6, || format!("it ran {runs} times instead of 6"))
}

async fn in_order<R: Runtime + Spawn<Started>>(world: World<R>) -> Tried {
    let log = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut services = Services::new(world.runtime.clone());
    for name in ["first", "second", "third"] {
        let log = log.clone();
        services.add_loop(name, move |stopping| -> BoxFuture<()> {
            Box::pin(async move {
                stopping.await;
                if let Ok(mut log) = log.lock() {
                    log.push(name);
                }
            })
        });
    }
    let ended = services.run_until(sleep(&world.runtime, A_WHILE)).await.when("the set")?;
    ensure(ended.in_good_order(), || format!("they ended as {ended:?}"))?;
    let log = log.lock().map(|log| log.clone()).unwrap_or_default();
    ensure(log == ["third", "second", "first"], || format!("they ended in the order {log:?}"))
}

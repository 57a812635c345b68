//! What a driver has to go through, and the laws that it has to keep. A law that is broken panics.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use glowplug_core::Rng;
use glowplug_runtime::Runtime;
use glowplug_runtime::drive::Exclusive;
use glowplug_sim::{Link, Sim, Simulation, Stream, Task, Usage};

use crate::driver::{Driver, Failure};
use crate::lines::Lines;
use crate::support::*;

const SERVER: &str = "10.0.0.2:7";
const CALLERS: u32 = 6;
const CALLS: u32 = 12;

/// What the server and the network do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// The server answers, sooner or later; the network is slow and narrow.
    Fair,
    /// Sometimes the server thinks for longer than anybody waits.
    Stalls,
    /// Connections are reset, closed and black-holed.
    Cuts,
    /// As fair, and tasks are polled that nobody woke.
    Restless,
}

fn world(seed: u64, link: Link) -> (Simulation, Sim, Sim) {
    let simulation = Simulation::new(seed).configure(|net| net.default_link(link));
    let client = simulation.host("client", [10, 0, 0, 1]);
    let server = simulation.host("server", [10, 0, 0, 2]);
    (simulation, client, server)
}

/// Many callers on one connection, some of whom go away: everybody gets its own answer, or an error in time; nothing is left.
pub(crate) fn conversation<D: Driver>(seed: u64, weather: Weather, drive: fn(&Sim, Stream) -> D) {
    let link = match weather {
        Weather::Cuts => Link::rough().cuts(0.5, 600).black_holes(true),
        _ => Link::rough(),
    };
    let (simulation, client, server) = world(seed, link);
    let restless = if weather == Weather::Restless { 0.2 } else { 0.0 };
    let mut simulation = simulation.spurious_polls(restless);
    let mut dice = client.seed().rng();
    simulation.run(async {
        let mut listener = server.listen(&tcp(SERVER)).await.unwrap();
        let answering = server.clone();
        let stalls = weather == Weather::Stalls;
        let mut server_dice = server.seed().rng();
        let serving = server.task("server", async move {
            let mut stream = accept(&mut listener).await.unwrap();
            let _ = answer(&answering, &mut stream, &mut server_dice, stalls).await;
        });
        let driver = drive(&client, client.connect(&tcp(SERVER)).await.unwrap());
        let callers: Vec<_> = (0..CALLERS)
            .map(|number| {
                let (host, driver, dice) = (client.clone(), driver.clone(), dice.seed().rng());
                client.task("caller", async move { caller(&host, &driver, dice, number, weather).await })
            })
            .collect();
        for caller in callers {
            caller.await.expect("callers run to their end");
        }
        // Long enough for every answer that nobody waits for, and for whoever has fallen into a black hole.
        client.sleep(Duration::from_secs(4000)).await;
        if weather == Weather::Cuts {
            // Both ends may have fallen into a black hole with nothing to send, and then nobody tells them.
            serving.abort();
        } else {
            assert_eq!(driver.in_use(), 0, "slots are left over");
        }
        drop(driver);
        serving.await;
    });
    nothing_is_left(&mut simulation);
}

/// The server: each line is its own answer.
async fn answer(host: &Sim, stream: &mut Stream, dice: &mut Rng, stalls: bool) -> std::io::Result<()> {
    let mut input = BytesMut::new();
    while read(stream, &mut input).await? > 0 {
        if dice.chance(1, 10) {
            host.sleep(Duration::from_millis(dice.below(50))).await;
        }
        if stalls && dice.chance(1, 20) {
            host.sleep(Duration::from_secs(20)).await;
        }
        if let Some(end) = input.iter().rposition(|byte| *byte == b'\n') {
            write_all(stream, input.split_to(end + 1).freeze()).await?;
        }
    }
    shutdown(stream).await
}

async fn caller(host: &Sim, driver: &impl Driver, mut dice: Rng, number: u32, weather: Weather) {
    for round in 0..CALLS {
        if dice.chance(1, 2) {
            host.sleep(Duration::from_millis(dice.below(200))).await;
        }
        // Some are longer than the window.
        let most = if dice.chance(1, 8) { 1500 } else { 40 };
        let filling = "x".repeat(dice.below(most) as usize);
        let line = |part: &str| format!("{number}.{round}{part} {filling}");
        // Without cuts and stalls nobody needs a deadline, and what never comes is a deadlock.
        let timeout = match weather {
            Weather::Fair | Weather::Restless if dice.chance(1, 2) => None,
            Weather::Stalls if dice.chance(1, 4) => None,
            _ => Some(Duration::from_millis(10_000 + dice.below(5000))),
        };
        let go_on = match dice.below(4) {
            0 => {
                let call = checked(host, driver, line(""), timeout, weather);
                host.at_risk(3, call).await.unwrap_or(true)
            }
            1 => {
                // Whoever answers first wins, and the other is dropped wherever it is.
                let one = checked(host, driver, line("a"), timeout, weather);
                let other = checked(host, driver, line("b"), timeout, weather);
                first_of(one, other).await
            }
            _ => checked(host, driver, line(""), timeout, weather).await,
        };
        if !go_on {
            return;
        }
    }
}

/// One call and its laws. False when the connection has ended.
async fn checked(
    host: &Sim,
    driver: &impl Driver,
    line: String,
    timeout: Option<Duration>,
    weather: Weather,
) -> bool {
    let start = host.now();
    let outcome = driver.call(line.clone(), timeout).await;
    if let Some(timeout) = timeout {
        let late = (host.now() - start).saturating_sub(timeout);
        assert!(late < Duration::from_millis(1), "a call missed its deadline by {late:?}");
    }
    match outcome {
        Ok(answer) => assert!(answer == line, "a wrong answer: asked {line:?} and got {answer:?}"),
        Err(Failure::TimedOut) => {
            assert!(
                matches!(weather, Weather::Stalls | Weather::Cuts),
                "a call timed out though everybody answers"
            );
            let took = host.now() - start;
            assert!(timeout.is_some_and(|timeout| took >= timeout), "a call timed out early, after {took:?}");
        }
        Err(Failure::Closed) => {
            assert!(weather == Weather::Cuts, "the connection ended though nobody ended it");
            return false;
        }
    }
    true
}

async fn first_of<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    std::future::poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Pending => other.as_mut().poll(cx),
        ready @ Poll::Ready(_) => ready,
    })
    .await
}

const PUSH: &str = "push\n";
const PUSHES: usize = 4000;
const WINDOW: usize = 1000;

/// A server that pushes all it has, and how many bytes of it have gone.
async fn push(server: &Sim) -> (Task<Stream>, Rc<Cell<usize>>) {
    let mut listener = server.listen(&tcp(SERVER)).await.unwrap();
    let written = Rc::new(Cell::new(0));
    let counter = Rc::clone(&written);
    let pushing = server.task("server", async move {
        let mut stream = accept(&mut listener).await.unwrap();
        for number in 1..=PUSHES {
            write_all(&mut stream, PUSH).await.unwrap();
            counter.set(number * PUSH.len());
        }
        stream
    });
    (pushing, written)
}

#[track_caller]
fn check_pause(written: usize) {
    assert!(written <= 3 * WINDOW, "the driver reads past the pause: {written} bytes have gone");
}

/// A server that pushes more than the client takes: it has to wait, and in the end everything has come.
pub(crate) fn flood<D: Driver>(seed: u64, drive: fn(&Sim, Stream) -> D) {
    let (mut simulation, client, server) = world(seed, Link::new().window(WINDOW));
    simulation.run(async {
        let (pushing, written) = push(&server).await;
        let driver = drive(&client, client.connect(&tcp(SERVER)).await.unwrap());
        client.sleep(Duration::from_secs(10)).await;
        check_pause(written.get());
        while driver.with_machine(|machine| machine.pushes) < PUSHES {
            driver.with_machine(Lines::release);
            client.sleep(Duration::from_millis(1)).await;
            assert!(client.now().as_nanos() < 1_000_000_000_000, "the driver does not go on after a pause");
        }
        drop(driver);
        pushing.await;
    });
    nothing_is_left(&mut simulation);
}

/// The same for a driver that moves only while it is asked for the next event.
pub(crate) fn flood_exclusive(seed: u64) {
    let (mut simulation, client, server) = world(seed, Link::new().window(WINDOW));
    simulation.run(async {
        let (pushing, written) = push(&server).await;
        let stream = client.connect(&tcp(SERVER)).await.unwrap();
        let mut driver = Exclusive::new(client.clone(), stream, Lines::with_room(1));
        while driver.machine().pushes < PUSHES {
            let before = written.get();
            while within(&client, Duration::from_secs(1), driver.next_event()).await.is_some() {}
            check_pause(written.get() - before);
            driver.machine_mut().release();
        }
        drop(driver);
        pushing.await;
    });
    nothing_is_left(&mut simulation);
}

fn nothing_is_left(simulation: &mut Simulation) {
    simulation.run_until_idle();
    let usage = simulation.usage();
    assert!(usage == Usage::default(), "something is left over: {usage:?}\n{}", simulation.tasks());
}

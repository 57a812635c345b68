//! Sets of services: all or none start, they stop in order, one that hangs is cancelled, and Ctrl-C is heard.

mod support;

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{join, select};
use glowplug::runtime::dial::Dialer;
use glowplug::runtime::server::{Guarded, Stopping};
use glowplug::runtime::services::{Ending, Gated, Services};
use glowplug::runtime::supervise::Member;
use glowplug::runtime::task::Task;
use glowplug::runtime::tcp::{Connection, Service, Serving};
use glowplug::runtime::time::sleep;
use glowplug::runtime::{BoxFuture, Endpoint, Runtime, Spawn};

use support::any_port;

support::on_each_executor![
    they_start_together_and_stop_in_order,
    a_set_that_ends_by_itself,
    one_that_hangs_is_cancelled,
    a_panic_stops_the_set,
    a_signal_stops_the_set,
    a_cancel_is_heard_while_stopping,
    dropped_before_it_ran,
    dropped_while_it_runs,
    an_empty_set,
];

type Handler<R> = Box<dyn Fn(Connection<R>) -> BoxFuture<()> + Send + Sync>;

/// What these tests ask of a plug.
trait Plug:
    Runtime<Stream: Send, Listener: Send, Timer: Send>
    + Spawn<Guarded<Serving<Self, Handler<Self>, BoxFuture<()>>>>
    + Spawn<Task<Member<Gated<BoxFuture<()>>>>>
    + Send
    + Sync
{
}

impl<R> Plug for R where
    R: Runtime<Stream: Send, Listener: Send, Timer: Send>
        + Spawn<Guarded<Serving<R, Handler<R>, BoxFuture<()>>>>
        + Spawn<Task<Member<Gated<BoxFuture<()>>>>>
        + Send
        + Sync
{
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().expect("a log").push(what.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("a log").clone()
    }
}

/// A loop that notes its beginning and its end.
fn noted(log: &Log, name: &'static str) -> impl FnOnce(Stopping) -> BoxFuture<()> {
    let log = log.clone();
    move |stopping| {
        Box::pin(async move {
            log.note(format!("{name} begins"));
            stopping.await;
            log.note(format!("{name} ends"));
        })
    }
}

/// An echo service in the set, and where it is.
async fn echo<R: Plug>(runtime: &R, services: &mut Services<R>) -> Endpoint {
    let service = Service::bind(runtime.clone(), any_port()).await.expect("a free port");
    let (at, stopper) = (service.local_endpoint().expect("an address"), service.stopper());
    let handler: Handler<R> = Box::new(|mut connection| {
        Box::pin(async move {
            while let Ok(line) = connection.read_line().await {
                if connection.send([&line[..], b"\n"].concat()).await.is_err() {
                    return;
                }
            }
        })
    });
    let serving: BoxFuture<()> = Box::pin(service.serve(handler));
    services.add("echo", stopper, serving);
    at
}

async fn they_start_together_and_stop_in_order<R: Plug>(runtime: R) {
    let log = Log::default();
    let mut services = Services::new(runtime.clone());
    services.add_loop("first", noted(&log, "first"));
    services.add_loop("second", noted(&log, "second"));
    sleep(&runtime, Duration::from_millis(5)).await;
    assert!(log.all().is_empty(), "a service began before the set");
    services.add_loop("third", noted(&log, "third"));
    assert!(format!("{services:?}").contains("second"));
    let stopper = services.stopper();
    let work = async {
        while log.all().len() < 3 {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
        stopper.stop();
    };
    let (ended, ()) = join(services.run(), work).await;
    let ended = ended.expect("no panic");
    assert!(ended.in_good_order());
    assert_eq!(ended.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["first", "second", "third"]);
    assert_eq!(log.all()[3..], ["third ends", "second ends", "first ends"]);
}

async fn a_set_that_ends_by_itself<R: Plug>(runtime: R) {
    let mut services = Services::new(runtime.clone());
    for name in ["one", "two"] {
        let clock = runtime.clone();
        let work: BoxFuture<()> = Box::pin(async move { sleep(&clock, Duration::from_millis(2)).await });
        services.add_loop(name, |_| work);
    }
    assert!(services.run().await.expect("no panic").in_good_order());
}

async fn one_that_hangs_is_cancelled<R: Plug>(runtime: R) {
    let log = Log::default();
    let mut services = Services::new(runtime.clone()).stop_timeout(Duration::from_millis(20));
    services.add_loop("willing", noted(&log, "willing"));
    services.add_loop("deaf", |_| -> BoxFuture<()> { Box::pin(pending()) });
    // A connection that nobody ends: a server drains for half a minute, and the set has less patience.
    let at = echo(&runtime, &mut services).await;
    let stopper = services.stopper();
    let work = async {
        let stream = Dialer::new(runtime.clone()).endpoint(&at).await.expect("connected");
        let mut near = Connection::new(runtime.clone(), stream);
        near.send("hello\n").await.expect("sent");
        assert_eq!(near.read_line().await.expect("answered"), "hello");
        stopper.stop();
        assert!(near.read_line().await.is_err(), "the connection outlived its service");
    };
    let (ended, ()) = join(services.run(), work).await;
    let ended = ended.expect("no panic");
    let endings: Vec<_> =
        ended.iter().map(|(name, ending)| (name, matches!(ending, Ending::Cancelled))).collect();
    assert_eq!(endings, [("willing", false), ("deaf", true), ("echo", true)]);
    assert!(!ended.in_good_order());
    assert_eq!(log.all(), ["willing begins", "willing ends"]);
}

async fn a_panic_stops_the_set<R: Plug>(runtime: R) {
    let log = Log::default();
    let mut services = Services::new(runtime.clone());
    services.add_loop("calm", noted(&log, "calm"));
    services.add_loop("wild", |_| -> BoxFuture<()> {
        Box::pin(async { resume_unwind(Box::new("this panic belongs to the test")) })
    });
    let failed = services.run().await.expect_err("a panic");
    assert_eq!(failed.to_string(), "a service panicked: wild (this panic belongs to the test)");
    assert!(
        failed.ended().iter().any(|(name, ending)| name == "calm" && matches!(ending, Ending::InGoodOrder))
    );
    assert_eq!(log.all().last().map(String::as_str), Some("calm ends"));
}

async fn a_signal_stops_the_set<R: Plug>(runtime: R) {
    let log = Log::default();
    let mut services = Services::new(runtime.clone());
    services.add_loop("loop", noted(&log, "loop"));
    let at = echo(&runtime, &mut services).await;
    let ended = services.run_until(sleep(&runtime, Duration::from_millis(20))).await.expect("no panic");
    assert!(ended.in_good_order());
    assert_eq!(log.all(), ["loop begins", "loop ends"]);
    assert!(runtime.connect(&at).await.is_err(), "a service that ended listens");
}

async fn a_cancel_is_heard_while_stopping<R: Plug>(runtime: R) {
    let mut services = Services::new(runtime.clone()).stop_timeout(Duration::from_secs(3600));
    services.add_loop("deaf", |_| -> BoxFuture<()> { Box::pin(pending()) });
    services.add_loop("deaf as well", |_| -> BoxFuture<()> { Box::pin(pending()) });
    let stopper = services.stopper();
    let work = async {
        sleep(&runtime, Duration::from_millis(2)).await;
        stopper.stop();
        sleep(&runtime, Duration::from_millis(10)).await;
        stopper.cancel();
    };
    let (ended, ()) = join(services.run(), work).await;
    assert!(ended.expect("no panic").iter().all(|(_, ending)| matches!(ending, Ending::Cancelled)));
}

async fn dropped_before_it_ran<R: Plug>(runtime: R) {
    let log = Log::default();
    let mut services = Services::new(runtime.clone());
    services.add_loop("loop", noted(&log, "loop"));
    let at = echo(&runtime, &mut services).await;
    drop(services);
    while runtime.connect(&at).await.is_ok() {
        sleep(&runtime, Duration::from_millis(1)).await;
    }
    assert!(log.all().is_empty(), "a service began in a set that never ran");
}

async fn dropped_while_it_runs<R: Plug>(runtime: R) {
    let mut services = Services::new(runtime.clone());
    let at = echo(&runtime, &mut services).await;
    let work = async {
        let stream = Dialer::new(runtime.clone()).endpoint(&at).await.expect("connected");
        let mut near = Connection::new(runtime.clone(), stream);
        near.send("hello\n").await.expect("sent");
        assert_eq!(near.read_line().await.expect("answered"), "hello");
        near
    };
    // The set is dropped when the work is done.
    let running = Box::pin(services.run());
    let mut near = match select(Box::pin(work), running).await {
        futures_util::future::Either::Left((near, running)) => {
            drop(running);
            near
        }
        futures_util::future::Either::Right(_) => panic!("nothing ends this set"),
    };
    assert!(near.read_line().await.is_err(), "the connection outlived the set");
}

async fn an_empty_set<R: Plug>(runtime: R) {
    assert!(Services::new(runtime).run().await.expect("no panic").in_good_order());
}

/// A process of its own, because signals are for whole processes: this very test, run again with a word in its environment.
#[cfg(unix)]
#[test]
fn interrupts_stop_in_order_and_a_second_one_at_once() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    const ROLE: &str = "GLOWPLUG_TEST_INTERRUPTED";
    if let Some(role) = std::env::var_os(ROLE) {
        support::on_smol(move |runtime| async move {
            let mut services = Services::new(runtime);
            let deaf = role == "deaf";
            services.add_loop("loop", move |stopping| -> BoxFuture<()> {
                Box::pin(async move {
                    println!("\nready");
                    stopping.await;
                    println!("stopping");
                    if deaf {
                        pending::<()>().await;
                    }
                })
            });
            let ended = services.run_until_interrupted().await.expect("a handler").expect("no panic");
            println!("in good order: {}", ended.in_good_order());
        });
        return;
    }
    for (role, signals, last) in
        [("willing", &["INT"][..], "in good order: true"), ("deaf", &["TERM", "INT"], "in good order: false")]
    {
        // Started as a shell starts what runs in the background: with Ctrl-C ignored, until somebody wants to hear it.
        let mut child = Command::new("sh")
            .args(["-c", "trap '' INT; exec \"$@\"", "sh"])
            .arg(std::env::current_exe().expect("this test"))
            .args(["--exact", "--nocapture", "interrupts_stop_in_order_and_a_second_one_at_once"])
            .env(ROLE, role)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        for (signal, before) in signals.iter().zip(["ready", "stopping"]) {
            assert!(
                lines.by_ref().any(|line| line.is_ok_and(|line| line == before)),
                "it never was {before}"
            );
            let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
            assert!(sent.expect("kill runs").success());
        }
        assert!(lines.any(|line| line.is_ok_and(|line| line == last)), "{role}: not {last}");
        assert!(child.wait().expect("it ends").success());
    }
}

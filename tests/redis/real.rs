//! A real `redis-server`, where one is found on `PATH`; without one, `GLOWPLUG_REQUIRE_SERVERS=1` asks for failure.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;

use futures_util::future::{join, join_all};
use glowplug::core::{BackoffConfig, Progress};
use glowplug::redis::commands::{ScanOptions, client_tracking_on};
use glowplug::redis::{ClientConfig, CommandsMut as _, Script, Transaction};
use glowplug::runtime::redis::{Client, Commands as _, Drive, HubEvent};
use glowplug::runtime::time::sleep;
use glowplug::runtime::{Runtime, Spawn};

use crate::support::{on_smol, on_tokio};

/// A server on a port that the system picked, with a directory of its own. Both are gone when it is dropped.
struct Real {
    port: u16,
    directory: PathBuf,
    child: Option<Child>,
}

impl Real {
    fn start() -> Option<Self> {
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let directory = std::env::temp_dir().join(format!("glowplug-redis-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let mut real = Self { port, directory, child: None };
        if real.restart() {
            return Some(real);
        }
        assert!(std::env::var_os("GLOWPLUG_REQUIRE_SERVERS").is_none(), "no redis-server is found");
        // To the terminal itself: what a passing test prints is seen by nobody.
        let _ =
            std::io::Write::write_all(&mut std::io::stderr(), b"skipped: redis-server is not installed\n");
        None
    }

    fn restart(&mut self) -> bool {
        let child = Process::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .current_dir(&self.directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = child.ok();
        self.child.is_some()
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

async fn connect<R: Runtime + Spawn<Drive<R>>>(
    runtime: &R,
    real: &Real,
    protocol: ClientConfig,
) -> Client<R> {
    let backoff = BackoffConfig {
        first: Duration::from_millis(5),
        max: Duration::from_millis(50),
        ..BackoffConfig::default()
    };
    for _ in 0..500 {
        let builder = Client::builder(runtime.clone()).reconnect(Some(backoff)).machine(protocol.clone());
        match builder.connect(&real.url()).await {
            Ok(client) => return client,
            // It is not up yet, or still reads its file.
            Err(_) => sleep(runtime, Duration::from_millis(20)).await,
        }
    }
    panic!("redis-server does not come up");
}

/// What happened to one caller's counter.
#[derive(Default)]
struct Count {
    acknowledged: i64,
    in_doubt: i64,
}

async fn killed_and_restarted<R: Runtime + Spawn<Drive<R>>>(runtime: R) {
    let Some(mut real) = Real::start() else { return };
    let client = connect(&runtime, &real, ClientConfig::new()).await;
    let end = runtime.now() + Duration::from_secs(2);
    let callers = join_all((0..64).map(|number| {
        let (client, runtime) = (client.clone(), runtime.clone());
        async move {
            let mut count = Count::default();
            while runtime.now() < end {
                match client.incr(format!("counter {number}")).timeout(Some(Duration::from_secs(20))).await {
                    Ok(total) => {
                        count.acknowledged += 1;
                        let calls = count.acknowledged + count.in_doubt;
                        assert!((count.acknowledged..=calls).contains(&total), "{total} of {calls}");
                    }
                    Err(error) if error.server_error().is_some() => {
                        // It still reads its file.
                        sleep(&runtime, Duration::from_millis(5)).await;
                    }
                    Err(error) => {
                        assert!(error.progress() > Progress::NotSent, "{error:?}");
                        count.in_doubt += 1;
                    }
                }
            }
            count
        }
    }));
    let killing = async {
        for _ in 0..3 {
            sleep(&runtime, Duration::from_millis(400)).await;
            real.kill();
            sleep(&runtime, Duration::from_millis(50)).await;
            real.restart();
        }
    };
    let (counts, ()) = join(callers, killing).await;
    let checking = connect(&runtime, &real, ClientConfig::new()).await;
    let mut in_doubt = 0;
    for (number, count) in counts.iter().enumerate() {
        let total: Option<i64> = checking
            .run(glowplug::redis::commands::get(format!("counter {number}")).returning())
            .await
            .expect("the server is up");
        let calls = count.acknowledged + count.in_doubt;
        assert!((count.acknowledged..=calls).contains(&total.unwrap_or(0)), "{total:?} of {calls}");
        in_doubt += count.in_doubt;
    }
    assert!(in_doubt > 0, "nothing was in flight when the server was killed");
}

async fn everything_works<R: Runtime + Spawn<Drive<R>>>(runtime: R) {
    let Some(real) = Real::start() else { return };
    for config in [ClientConfig::new(), ClientConfig::new().protocol(glowplug::redis::Protocol::Resp2)] {
        let client = connect(&runtime, &real, config).await;
        client.flushall().await.expect("empty");
        // Scans.
        let pairs = (0..500).map(|number| (format!("key {number}"), number));
        client.mset(pairs).await.expect("set");
        let mut scan = client.scan_all(ScanOptions { count: Some(50), ..ScanOptions::default() });
        let mut keys = std::collections::BTreeSet::new();
        while let Some(key) = scan.next().await {
            keys.insert(key.expect("a key"));
        }
        assert_eq!(keys.len(), 500);
        // A script, which the server does not know at first.
        let double = Script::new("return 2 * redis.call('GET', KEYS[1])");
        for _ in 0..2 {
            let call = double.call(["key 21"], [""; 0]).returning::<i64>();
            assert_eq!(client.script(call).await.expect("doubled"), 42);
        }
        client.script_flush().await.expect("forgotten");
        crate::helpers::locks_exclude(&runtime, &client).await;
        // Blocking, beside others.
        let pushing = async {
            sleep(&runtime, Duration::from_millis(10)).await;
            client.rpush("list", ["element"]).await.expect("pushed");
        };
        let (popped, ()) = join(client.blpop(["list"], Some(Duration::from_secs(10))), pushing).await;
        assert_eq!(popped.expect("an answer").expect("in time").1, "element");
        // Watching.
        let mut own = client.dedicated().await.expect("a connection");
        own.watch(["key 1"]).await.expect("watched");
        client.set("key 1", "changed").await.expect("set");
        let mut transaction = Transaction::new();
        transaction.set("key 1", "lost");
        assert!(own.transaction(transaction).await.expect("an answer").is_none());
        own.run(client_tracking_on(&glowplug::redis::commands::TrackingOptions::default())).await.ok();
        drop(own);
        crate::caching::works(&runtime, &real.url()).await;
        crate::streams::read_everything(&runtime, &real.url()).await;
        // Subscriptions.
        let mut listener = client.subscribe(["news"]).await.expect("subscribed");
        let mut patterns = client.psubscribe(["n*"]).await.expect("subscribed");
        client.publish("news", "hello").await.expect("published");
        for listener in [&mut listener, &mut patterns] {
            let heard = listener.next().await;
            assert!(matches!(heard, Some(HubEvent::Message { payload, .. }) if payload == "hello"));
        }
        // The server hangs up on everybody; the client comes back, and so do its subscriptions.
        let mut killer = client.dedicated().await.expect("a connection");
        killer
            .call(glowplug::redis::Command::new("CLIENT").arg("KILL").arg("TYPE").arg("pubsub"))
            .await
            .expect("killed");
        assert_eq!(listener.next().await, Some(HubEvent::Gap));
        while client.publish("news", "again").await.expect("published") < 2 {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
        let heard = listener.next().await;
        assert!(matches!(heard, Some(HubEvent::Message { payload, .. }) if payload == "again"));
    }
}

#[test]
fn killed_and_restarted_under_64_callers_on_tokio() {
    on_tokio(killed_and_restarted);
}

#[test]
fn killed_and_restarted_under_64_callers_on_smol() {
    on_smol(killed_and_restarted);
}

#[test]
fn everything_works_on_tokio() {
    on_tokio(everything_works);
}

#[test]
fn everything_works_on_smol() {
    on_smol(everything_works);
}

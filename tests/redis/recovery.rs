//! The connection is lost, and there again.

use std::time::Duration;

use futures_util::future::{join, join_all};
use glowplug::core::{BackoffConfig, Progress};
use glowplug::redis::{ClientConfig, Command};
use glowplug::runtime::drive::shared::CallError;
use glowplug::runtime::redis::{Client, Commands as _, ConnectError, Error, SessionEvent};
use glowplug::runtime::time::sleep;

use crate::pair_up;
use crate::server::{Serves, with_server};
use crate::support::on_each_executor;

on_each_executor!(
    a_lost_connection_is_made_again,
    what_was_not_sent_waits_for_the_next_connection,
    a_deadline_ends_the_wait_for_a_server,
    without_reconnecting_a_lost_connection_is_the_end,
    attempts_are_used_up,
    what_changes_nothing_is_sent_again_by_choice,
    the_first_connection_is_not_tried_again,
);

/// Quick, so that tests are.
fn quick() -> BackoffConfig {
    let (first, max) = (Duration::from_millis(2), Duration::from_millis(20));
    BackoffConfig { first, max, ..BackoffConfig::default() }
}

async fn a_lost_connection_is_made_again<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = Client::builder(runtime.clone()).reconnect(Some(quick())).connect(&server.url()).await;
        let client = client.expect("connected");
        for number in 1..=5 {
            client.call(Command::new("QUIT")).await.expect("the server says goodbye");
            // Until the end is heard of, what is sent may be lost, and says so.
            while let Err(error) = client.get("key").await {
                assert!(error.progress() > Progress::NotSent, "{error:?}");
            }
            pair_up(&client).await;
            assert_eq!(client.incr("n").await.expect("a number"), number);
        }
        let mut seen = (0, 0);
        while seen.0 < 5 {
            match client.connection().next_event().await.expect("it goes on") {
                Some(SessionEvent::Connected { .. }) => seen.0 += 1,
                Some(SessionEvent::Disconnected(_)) => seen.1 += 1,
                _ => {}
            }
        }
        assert_eq!(seen.1, 5);
    })
    .await;
}

async fn what_was_not_sent_waits_for_the_next_connection<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = Client::builder(runtime.clone()).reconnect(Some(quick())).connect(&server.url()).await;
        let client = client.expect("connected");
        server.stop();
        // In flight at the break, or after it: either way everybody hears, and the counts are true.
        let calls = join_all((0..50).map(|number| {
            let client = &client;
            let runtime = &runtime;
            async move {
                sleep(runtime, Duration::from_millis(number)).await;
                client.incr("n").await
            }
        }));
        let restart = async {
            sleep(&runtime, Duration::from_millis(60)).await;
            server.start();
        };
        let (outcomes, ()) = join(calls, restart).await;
        let acknowledged = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let in_doubt = outcomes.len() - acknowledged;
        for error in outcomes.into_iter().filter_map(Result::err) {
            assert!(error.progress() > Progress::NotSent, "what was not sent is sent later: {error:?}");
        }
        let count = client.incrby("n", 0).await.expect("a number");
        let count = usize::try_from(count).expect("a count");
        assert!(
            (acknowledged..=acknowledged + in_doubt).contains(&count),
            "{acknowledged} {in_doubt} {count}"
        );
        assert!(acknowledged > 10, "most came after the break");
    })
    .await;
}

async fn a_deadline_ends_the_wait_for_a_server<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = Client::builder(runtime.clone()).reconnect(Some(quick())).connect(&server.url()).await;
        let client = client.expect("connected");
        server.stop();
        while client.get("key").timeout(Some(Duration::from_millis(5))).await.is_ok() {}
        sleep(&runtime, Duration::from_millis(30)).await;
        let error = client.set("key", "late").timeout(Some(Duration::from_millis(20))).await;
        let error = error.expect_err("nobody is there");
        assert!(
            matches!(error, Error::Call(CallError::TimedOut { progress: Progress::NotSent })),
            "{error:?}"
        );
        server.start();
        assert_eq!(client.get("key").await.expect("the server is back"), None, "it was never sent");
    })
    .await;
}

async fn without_reconnecting_a_lost_connection_is_the_end<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = Client::builder(runtime.clone()).reconnect(None).connect(&server.url()).await;
        let client = client.expect("connected");
        client.call(Command::new("QUIT")).await.expect("the server says goodbye");
        while !client.is_closed() {
            let _ = client.get("key").await;
        }
        let error = client.get("key").await.expect_err("it is over");
        assert!(
            matches!(error, Error::Call(CallError::Closed { progress: Progress::NotSent, .. })),
            "{error:?}"
        );
    })
    .await;
}

async fn attempts_are_used_up<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let few = Some(BackoffConfig { attempts: Some(3), ..quick() });
        let client = Client::builder(runtime.clone()).reconnect(few).connect(&server.url()).await;
        let client = client.expect("connected");
        server.stop();
        while !client.is_closed() {
            let _ = client.get("key").timeout(Some(Duration::from_millis(20))).await;
        }
        let error = client.get("key").await.expect_err("it is over");
        assert_eq!(error.progress(), Progress::NotSent);
    })
    .await;
}

async fn what_changes_nothing_is_sent_again_by_choice<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let builder = Client::builder(runtime.clone()).reconnect(Some(quick()));
        let builder = builder.machine(ClientConfig::new().resend_read_only(true));
        let client = builder.connect(&server.url()).await.expect("connected");
        client.set("key", "value").await.expect("set");
        for _ in 0..20 {
            // The server hangs up with the reads behind it unanswered.
            let quit = client.call(Command::new("QUIT"));
            let reads = join_all((0..10).map(|_| client.get("key")));
            let (_, reads) = join(quit, reads).await;
            for read in reads {
                assert_eq!(read.expect("read again").as_deref(), Some(&b"value"[..]));
            }
        }
    })
    .await;
}

async fn the_first_connection_is_not_tried_again<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let url = server.url();
        let wrong = Client::builder(runtime.clone()).connect(&format!("{url}/99")).await;
        assert!(matches!(wrong, Err(ConnectError::Handshake(Some(_)))), "{wrong:?}");
        server.stop();
        sleep(&runtime, Duration::from_millis(30)).await;
        let nobody = Client::builder(runtime.clone()).connect(&url).await;
        assert!(nobody.is_err());
    })
    .await;
}

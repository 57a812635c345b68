//! A server that breaks the protocol: its callers are told, and the next connection is a new beginning.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug::core::{BackoffConfig, Progress};
use glowplug::redis::{ClientConfig, Protocol};
use glowplug::runtime::drive::DriverError;
use glowplug::runtime::drive::shared::CallError;
use glowplug::runtime::redis::{Client, Commands as _, Drive, Error};
use glowplug::runtime::{Listener as _, Runtime, Spawn};

use crate::support::{accept, any_port, beside, on_each_executor, read, write};

on_each_executor!(
    what_breaks_the_protocol_ends_the_connection_and_no_more,
    without_reconnecting_the_cause_is_told
);

/// What a hostile server says to the first request.
fn attacks() -> Vec<(&'static str, Bytes)> {
    vec![
        ("an array of two thousand million", Bytes::from("*2147483647\r\n")),
        ("a text of a terabyte", Bytes::from("$1099511627776\r\n")),
        ("a negative length", Bytes::from("$-7\r\n")),
        ("no type at all", Bytes::from("nonsense\r\n")),
        ("a depth bomb", Bytes::from("*1\r\n".repeat(100_000))),
        ("an endless line", Bytes::from(vec![b'+'; 1 << 21])),
        ("an endless number", Bytes::from([&b":"[..], &vec![b'1'; 1 << 20]].concat())),
        ("an end in the middle", Bytes::from("$5\r\nhel")),
        ("nothing", Bytes::new()),
    ]
}

fn plain() -> ClientConfig {
    ClientConfig::new().protocol(Protocol::Resp2).set_info(false)
}

/// Says `attack` to the first client's first request, and the truth to later clients.
async fn serve<R: Runtime>(mut listener: R::Listener, attack: &Bytes, attacks: usize) {
    for connection in 0.. {
        let mut stream = accept(&mut listener).await;
        let mut input = BytesMut::new();
        if connection < attacks {
            let _ = read(&mut stream, &mut input).await;
            let _ = write(&mut stream, attack.clone()).await;
            continue;
        }
        let mut answered = 0;
        while matches!(read(&mut stream, &mut input).await, Ok(1..)) {
            // One pong for each whole request.
            let asked = input.windows(6).filter(|bytes| bytes == b"PING\r\n").count();
            let requests = asked - std::mem::replace(&mut answered, asked);
            if write(&mut stream, Bytes::from("+PONG\r\n".repeat(requests))).await.is_err() {
                break;
            }
        }
    }
}

async fn what_breaks_the_protocol_ends_the_connection_and_no_more<R: Runtime + Spawn<Drive<R>>>(runtime: R) {
    for (name, attack) in attacks() {
        let listener = runtime.listen(&any_port()).await.expect("a free port");
        let url = format!("redis://{}", listener.local_endpoint().expect("an address"));
        let working = async {
            let backoff = BackoffConfig { first: Duration::from_millis(1), ..BackoffConfig::default() };
            let builder = Client::builder(runtime.clone()).machine(plain()).reconnect(Some(backoff));
            let client = builder.connect(&url).await.expect("connected");
            for _ in 0..3 {
                let error = client.ping().await.expect_err(name);
                assert!(error.progress() > Progress::NotSent, "{name}: {error:?}");
            }
            // The fourth connection is an honest one's.
            for _ in 0..10 {
                assert_eq!(client.ping().await.expect(name), "PONG");
            }
        };
        beside(working, serve::<R>(listener, &attack, 3)).await;
    }
}

async fn without_reconnecting_the_cause_is_told<R: Runtime + Spawn<Drive<R>>>(runtime: R) {
    for (name, attack) in attacks() {
        if name == "nothing" {
            continue;
        }
        let listener = runtime.listen(&any_port()).await.expect("a free port");
        let url = format!("redis://{}", listener.local_endpoint().expect("an address"));
        let working = async {
            let builder = Client::builder(runtime.clone()).machine(plain()).reconnect(None);
            let client = builder.connect(&url).await.expect("connected");
            let error = client.ping().await.expect_err(name);
            let Error::Call(CallError::Closed { cause: Some(cause), .. }) = &error else {
                panic!("{name}: {error:?}")
            };
            // Bytes that we leave unread make the system reset the connection, which may be heard of first.
            assert!(matches!(**cause, DriverError::Protocol(_) | DriverError::Io(_)), "{name}: {cause:?}");
            assert!(client.is_closed());
        };
        beside(working, serve::<R>(listener, &attack, 1)).await;
    }
}

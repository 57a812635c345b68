//! A server that breaks the protocol: its callers are told, and the next connection is a new beginning.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug::core::{BackoffConfig, Progress};
use glowplug::redis::{
    ClientConfig, CommandsMut as _, HubConfig, PeerError, Phase, Protocol, Transaction, TransactionError,
};
use glowplug::runtime::drive::DriverError;
use glowplug::runtime::drive::shared::{CallError, Config};
use glowplug::runtime::redis::{Client, Commands as _, ConnectError, Drive, Error, HubEvent, SessionEvent};
use glowplug::runtime::{Listener as _, Runtime, Spawn};

use crate::server::{Serves, with_server};
use crate::support::{accept, any_port, beside, on_each_executor, read, write};

on_each_executor!(
    what_breaks_the_protocol_ends_the_connection_and_no_more,
    without_reconnecting_the_cause_is_told,
    a_greeting_that_is_none_is_refused,
    an_exec_with_a_wrong_count_is_not_believed,
    pushes_in_the_middle_of_a_transaction_stand_apart,
    a_reply_that_nobody_asked_for_ends_the_connection,
    a_flood_of_pushes_is_bounded,
    a_flood_of_messages_is_bounded,
    a_server_that_answers_no_more_is_noticed,
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

/// What is waited for, and what is then said.
type Cue<'s> = (&'s str, &'s str);

const HELLO: &str = "HELLO\r\n$1\r\n3\r\n";
const PING: &str = "PING\r\n";
const EXEC: &str = "EXEC\r\n";
const GREETING: &str = "%1\r\n+proto\r\n:3\r\n";
const PONG: &str = "+PONG\r\n";

/// Serves one connection after another by a script. After the last word it reads on.
async fn recite<R: Runtime>(mut listener: R::Listener, script: &[&[Cue<'_>]]) {
    for words in script {
        let mut stream = accept(&mut listener).await;
        let mut input = BytesMut::new();
        for (cue, word) in *words {
            while !input.ends_with(cue.as_bytes()) && matches!(read(&mut stream, &mut input).await, Ok(1..)) {
            }
            input.clear();
            let _ = write(&mut stream, Bytes::copy_from_slice(word.as_bytes())).await;
        }
        while matches!(read(&mut stream, &mut input).await, Ok(1..)) {}
    }
    std::future::pending::<()>().await;
}

fn quick() -> BackoffConfig {
    BackoffConfig { first: Duration::from_millis(1), ..BackoffConfig::default() }
}

async fn a_greeting_that_is_none_is_refused<R: Runtime + Spawn<Drive<R>>>(runtime: R) {
    let odd = "*3\r\n+proto\r\n:3\r\n+x\r\n".to_owned();
    let bomb = "%1\r\n+a\r\n".repeat(1000);
    let line = format!("%1\r\n+{}", "x".repeat(1 << 20));
    for greeting in ["%2147483647\r\n", "+OK\r\n", ":3\r\n", &odd, &bomb, &line] {
        let listener = runtime.listen(&any_port()).await.expect("a free port");
        let url = format!("redis://{}", listener.local_endpoint().expect("an address"));
        let script: [&[Cue<'_>]; 1] = [&[(HELLO, greeting)]];
        let shown = &greeting[..greeting.len().min(40)];
        let working = async {
            let client = Client::builder(runtime.clone()).machine(ClientConfig::new().set_info(false));
            match client.connect(&url).await.expect_err(shown) {
                ConnectError::Handshake(Some(cause)) => {
                    assert!(
                        matches!(*cause, DriverError::Protocol(_) | DriverError::Io(_)),
                        "{shown}: {cause:?}"
                    );
                }
                other => panic!("{shown}: {other:?}"),
            }
        };
        beside(working, recite::<R>(listener, &script)).await;
    }
}

async fn an_exec_with_a_wrong_count_is_not_believed<R: Runtime + Spawn<Drive<R>>>(runtime: R) {
    for results in ["*1\r\n:1\r\n", "*3\r\n:1\r\n:2\r\n:3\r\n", ":2\r\n", "*0\r\n"] {
        let listener = runtime.listen(&any_port()).await.expect("a free port");
        let url = format!("redis://{}", listener.local_endpoint().expect("an address"));
        let answer = format!("+OK\r\n+QUEUED\r\n+QUEUED\r\n{results}");
        let script: [&[Cue<'_>]; 3] = [&[(EXEC, &answer)], &[(PING, PONG), (EXEC, &answer)], &[(PING, PONG)]];
        let working = async {
            let builder = Client::builder(runtime.clone()).machine(plain()).reconnect(Some(quick()));
            let client = builder.connect(&url).await.expect("connected");
            let transaction = || {
                let mut transaction = Transaction::new();
                transaction.incr("a");
                transaction.incr("b");
                transaction
            };
            let error = client.transaction(transaction()).await.expect_err(results);
            assert!(matches!(error, Error::Transaction(TransactionError::Unexpected(_))), "{error:?}");
            // Nothing more is believed on that connection.
            assert_eq!(client.ping().await.expect("a new one"), "PONG");
            client.transaction(transaction()).await.expect_err(results);
            assert_eq!(client.ping().await.expect("a new one"), "PONG");
        };
        beside(working, recite::<R>(listener, &script)).await;
    }
}

async fn pushes_in_the_middle_of_a_transaction_stand_apart<R: Runtime + Spawn<Drive<R>>>(runtime: R) {
    let listener = runtime.listen(&any_port()).await.expect("a free port");
    let url = format!("redis://{}", listener.local_endpoint().expect("an address"));
    let push = ">2\r\n+news\r\n+x\r\n";
    let answer = format!("{push}+OK\r\n{push}+QUEUED\r\n{push}+QUEUED\r\n{push}*2\r\n:1\r\n:2\r\n{push}");
    let script: [&[Cue<'_>]; 1] = [&[(HELLO, GREETING), (EXEC, &answer), (PING, PONG)]];
    let working = async {
        let builder = Client::builder(runtime.clone()).machine(ClientConfig::new().set_info(false));
        let client = builder.connect(&url).await.expect("connected");
        let mut transaction = Transaction::new();
        let (a, b) = (transaction.incr("a"), transaction.incr("b"));
        let mut results = client.transaction(transaction).await.expect("done").expect("nothing is watched");
        assert_eq!((results.take(a), results.take(b)), (Ok(1), Ok(2)));
        assert_eq!(client.ping().await.expect("an answer"), "PONG");
        for _ in 0..5 {
            let event = client.connection().next_event().await.expect("it goes on");
            assert!(matches!(event, Some(SessionEvent::Push(_))), "{event:?}");
        }
    };
    beside(working, recite::<R>(listener, &script)).await;
}

async fn a_reply_that_nobody_asked_for_ends_the_connection<R: Runtime + Spawn<Drive<R>>>(runtime: R) {
    let listener = runtime.listen(&any_port()).await.expect("a free port");
    let url = format!("redis://{}", listener.local_endpoint().expect("an address"));
    let script: [&[Cue<'_>]; 2] = [&[(PING, "+PONG\r\n+MORE\r\n")], &[(PING, PONG)]];
    let working = async {
        let builder = Client::builder(runtime.clone()).machine(plain()).reconnect(Some(quick()));
        let client = builder.connect(&url).await.expect("connected");
        assert_eq!(client.ping().await.expect("an answer"), "PONG");
        let mut told = client.connection().next_event().await.expect("it goes on");
        while !matches!(told, Some(SessionEvent::Disconnected(_))) {
            told = client.connection().next_event().await.expect("it goes on");
        }
        let Some(SessionEvent::Disconnected(cause)) = told else { return };
        let unasked = glowplug::redis::Error::Peer(PeerError::UnsolicitedReply);
        assert!(matches!(&*cause, DriverError::Protocol(error) if *error == unasked), "{cause:?}");
        assert_eq!(client.ping().await.expect("a new one"), "PONG");
    };
    beside(working, recite::<R>(listener, &script)).await;
}

async fn a_flood_of_pushes_is_bounded<R: Runtime + Spawn<Drive<R>>>(runtime: R) {
    let listener = runtime.listen(&any_port()).await.expect("a free port");
    let url = format!("redis://{}", listener.local_endpoint().expect("an address"));
    let flood = format!("{}+PONG\r\n", format!(">2\r\n+news\r\n+{}\r\n", "x".repeat(100)).repeat(20_000));
    let script: [&[Cue<'_>]; 1] = [&[(HELLO, GREETING), (PING, &flood), (PING, PONG)]];
    let working = async {
        let config = ClientConfig::new().set_info(false);
        let builder =
            Client::builder(runtime.clone()).machine(config).calls(Config::default().max_events(100));
        let client = builder.connect(&url).await.expect("connected");
        assert_eq!(client.ping().await.expect("an answer"), "PONG");
        assert_eq!(client.connection().take_events_lost(), 19_900);
        assert_eq!(client.ping().await.expect("an answer"), "PONG");
    };
    beside(working, recite::<R>(listener, &script)).await;
}

async fn a_flood_of_messages_is_bounded<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let hub = HubConfig::default().max_queued_messages(50).max_queued_bytes(20_000);
        let client = Client::builder(runtime.clone()).subscriptions(hub).connect(&server.url()).await;
        let client = client.expect("connected");
        let mut silent = client.subscribe(["news"]).await.expect("subscribed");
        let mut heard = client.subscribe(["news"]).await.expect("subscribed");
        let payload = "x".repeat(1000);
        for _ in 0..2000 {
            client.publish("news", &payload).await.expect("published");
            assert!(matches!(heard.next().await, Some(HubEvent::Message { .. } | HubEvent::Lagged(_))));
        }
        let (mut kept, mut lost) = (0, 0);
        while kept + lost < 2000 {
            match silent.next().await {
                Some(HubEvent::Message { .. }) => kept += 1,
                Some(HubEvent::Lagged(count)) => lost += count,
                other => panic!("{other:?}"),
            }
        }
        assert!(kept <= 20, "{kept} messages of 1,000 bytes waited");
    })
    .await;
}

async fn a_server_that_answers_no_more_is_noticed<R: Runtime + Spawn<Drive<R>>>(runtime: R) {
    let listener = runtime.listen(&any_port()).await.expect("a free port");
    let url = format!("redis://{}", listener.local_endpoint().expect("an address"));
    // The first keep-alive is answered, the second is not.
    let script: [&[Cue<'_>]; 2] = [&[(PING, PONG)], &[(PING, PONG); 100]];
    let working = async {
        let (idle, answer) = (Some(Duration::from_millis(20)), Some(Duration::from_millis(500)));
        let config = plain().keep_alive(idle).answer_timeout(answer);
        let builder = Client::builder(runtime.clone()).machine(config).reconnect(Some(quick()));
        let client = builder.connect(&url).await.expect("connected");
        // Nobody asks anything.
        let cause = loop {
            match client.connection().next_event().await.expect("it goes on") {
                Some(SessionEvent::Disconnected(cause)) => break cause,
                Some(_) => {}
                None => panic!("nobody closed it"),
            }
        };
        let silent = glowplug::redis::Error::TimedOut(Phase::KeepAlive);
        assert!(matches!(&*cause, DriverError::Protocol(error) if *error == silent), "{cause:?}");
        assert_eq!(client.ping().await.expect("a new one"), "PONG");
    };
    beside(working, recite::<R>(listener, &script)).await;
}

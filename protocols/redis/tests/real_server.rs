//! The client's end against a real `redis-server`, where one is found: `GLOWPLUG_REDIS_SERVER`, or on `PATH`.
//!
//! Without one the cases are listed as ignored, unless `GLOWPLUG_REQUIRE_SERVERS=1` asks for failure.

mod support;

use std::time::Duration;

use bytes::Bytes;
use glowplug_redis::commands::{self, Expiry, SetOptions, Ttl};
use glowplug_redis::{ClientConfig, Command, Event, Pipeline, Protocol, PushMessage, Reply};
use libtest_mimic::{Arguments, Failed, Trial};
use support::Server;

fn strings_and_keys(program: &str, protocol: Protocol) -> Result<(), Failed> {
    let server = Server::start(program, &[])?;
    let mut client =
        server.connect(ClientConfig::new().protocol(protocol).client_name("tester").database(3))?;
    let Event::Connected { protocol: spoken, .. } = client.event()? else {
        return Err("not connected".into());
    };
    assert_eq!(spoken, protocol);
    assert_eq!(client.call(commands::client_getname())?.as_deref(), Some("tester"));
    client.call(commands::set("k", "v"))?;
    assert_eq!(client.call(commands::get("k"))?, Some(Bytes::from("v")));
    assert_eq!(client.call(commands::get("missing"))?, None);
    client.call(commands::set("empty", ""))?;
    assert_eq!(client.call(commands::get("empty"))?, Some(Bytes::new()));
    let options = SetOptions { if_exists: Some(false), expiry: None };
    assert!(!client.call(commands::set_with("k", "w", options))?);
    assert_eq!(client.call(commands::ttl("k"))?, Ttl::Never);
    assert_eq!(client.call(commands::ttl("missing"))?, Ttl::NoKey);
    let options = SetOptions { if_exists: None, expiry: Some(Expiry::After(Duration::from_secs(50))) };
    assert_eq!(client.call(commands::set_get("k", "w", options))?, Some(Bytes::from("v")));
    assert!(matches!(client.call(commands::ttl("k"))?, Ttl::Left(49..=50)));
    assert!((client.call(commands::incrbyfloat("f", 1.5))? - 1.5).abs() < 1e-9);
    assert_eq!(client.call(commands::keys("*"))?.len(), 3);
    assert_eq!(client.call(commands::mget(["k", "none"]))?, [Some(Bytes::from("w")), None]);
    let large = Bytes::from(vec![b'x'; 1 << 20]);
    client.call(commands::set("large", large.clone()))?;
    assert_eq!(client.call(commands::get("large"))?, Some(large));
    let error = client.request(Command::new("LPUSH").arg("k").arg("x"))?.remove(0);
    assert_eq!(error.as_error().map(glowplug_redis::ServerError::code), Some("WRONGTYPE"));
    let mut pipeline = Pipeline::new();
    for _ in 0..1000 {
        pipeline.push(commands::incr("hits"));
    }
    let replies = client.request(pipeline)?;
    assert_eq!(replies.len(), 1000);
    assert_eq!(replies[999], Reply::Integer(1000));
    Ok(())
}

fn publishes_and_subscribes(program: &str, protocol: Protocol) -> Result<(), Failed> {
    let server = Server::start(program, &[])?;
    let mut listener = server.connect(ClientConfig::new().protocol(protocol))?;
    let mut speaker = server.connect(ClientConfig::new())?;
    assert_eq!(listener.request(commands::subscribe(["a", "b", "a"]))?.len(), 3);
    assert_eq!(listener.request(commands::psubscribe(["c*"]))?.len(), 1);
    assert_eq!(speaker.call(commands::publish("a", "hello"))?, 1);
    assert_eq!(speaker.call(commands::publish("cd", "there"))?, 1);
    for (channel, payload) in [("a", "hello"), ("cd", "there")] {
        let Event::Push(push) = listener.event()? else { return Err("no push".into()) };
        let Some(PushMessage::Message { channel: c, payload: p, .. }) = PushMessage::parse(&push) else {
            return Err("no message".into());
        };
        assert_eq!((&c[..], &p[..]), (channel.as_bytes(), payload.as_bytes()));
    }
    let none: [&str; 0] = [];
    assert_eq!(listener.request(Command::new("PING"))?.len(), 1);
    assert_eq!(listener.request(commands::unsubscribe(none))?.len(), 2);
    assert_eq!(listener.request(commands::punsubscribe(none))?.len(), 1);
    assert_eq!(listener.request(commands::unsubscribe(none))?.len(), 1);
    assert_eq!(listener.call(commands::echo("still here"))?, "still here");
    Ok(())
}

fn passwords(program: &str) -> Result<(), Failed> {
    let server = Server::start(program, &["--requirepass", "secret"])?;
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let config = ClientConfig::new().protocol(protocol).database(1);
        let mut client = server.connect(config.clone().password("secret"))?;
        assert_eq!(client.call(commands::ping())?, "PONG");
        let mut client = server.connect(config.clone().username("default").password("secret"))?;
        assert_eq!(client.call(commands::ping())?, "PONG");
        assert!(server.connect(config.clone().password("wrong"))?.event().is_err());
        assert!(server.connect(config)?.event().is_err());
    }
    Ok(())
}

fn main() {
    let (program, found) = support::redis_server();
    let required = support::servers_are_required();
    let mut trials = Vec::new();
    let mut add = |name: &str, case: fn(&str) -> Result<(), Failed>| {
        let program = program.clone();
        let kind = if found { "redis-server" } else { "redis-server not found" };
        let trial = Trial::test(name, move || case(&program)).with_kind(kind);
        trials.push(trial.with_ignored_flag(!found && !required));
    };
    add("strings_and_keys_resp2", |program| strings_and_keys(program, Protocol::Resp2));
    add("strings_and_keys_resp3", |program| strings_and_keys(program, Protocol::Resp3));
    add("pubsub_resp2", |program| publishes_and_subscribes(program, Protocol::Resp2));
    add("pubsub_resp3", |program| publishes_and_subscribes(program, Protocol::Resp3));
    add("passwords", passwords);
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

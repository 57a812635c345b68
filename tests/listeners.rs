//! Several listeners on one connection.

use std::net::Ipv4Addr;

use futures_util::future::join3;
use glowplug::redis::{Command, memory};
use glowplug::smol::{Smol, redis::Client, server::Server};

#[test]
fn every_listener_hears_of_the_end() {
    smol::block_on(async {
        let at = glowplug::smol::Endpoint::Tcp((Ipv4Addr::LOCALHOST, 0).into());
        let server = Server::bind(Smol::default(), at).await.expect("bind");
        let url = format!("redis://{}", server.local_endpoint().expect("bound"));
        let store = memory::Handle::new(memory::Config::new());
        smol::spawn(glowplug::smol::redis::serve_memory(Smol::default(), server, store)).detach();

        // Without reconnecting, the end of the connection is the end.
        let builder = Client::builder(Smol::default()).reconnect(None);
        let redis = builder.connect(&url).await.expect("connect");
        let listen = || {
            let connection = redis.connection().clone();
            smol::spawn(async move { while let Ok(Some(_)) = connection.next_event().await {} })
        };
        let (one, two) = (listen(), listen());
        // Both wait before the server hangs up.
        redis.call(Command::new("PING")).await.expect("pong");
        let quit = async { drop(redis.call(Command::new("QUIT")).await) };
        join3(one, two, quit).await;
        assert!(redis.is_closed());
    });
}

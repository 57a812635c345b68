//! A tiny Redis proxy that prints what passes, made of the two halves: the server's end of a connection towards clients, and a
//! client towards the server.
//!
//! `cargo run --example redis_proxy` shows itself against a server in memory; with `-- redis://host:port 127.0.0.1:7000` it listens
//! at the second address and passes everything on to the first, until it is stopped.

use std::error::Error;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};

use glowplug::redis::wire::Value;
use glowplug::redis::{ServerConfig, ServerConnection, ServerEvent, memory};
use glowplug::runtime::drive::Exclusive;
use glowplug::runtime::{Listener as _, Runtime as _};
use glowplug::smol::redis::{Client, Command, Commands as _};
use glowplug::smol::{Endpoint, Smol, server::Server};

type Stream = <Smol as glowplug::runtime::Runtime>::Stream;

/// Passes one client's commands on, one after the other, and prints both ways.
async fn pass(stream: Stream, redis: Client) -> Result<(), Box<dyn Error>> {
    let smol = Smol::default();
    let machine = ServerConnection::new(smol.now(), ServerConfig::new());
    let mut client = Exclusive::new(smol, stream, machine);
    while let Some(ServerEvent::Command(command)) = client.next_event().await? {
        let words: Vec<&[u8]> = (0..command.len()).filter_map(|word| command.get(word)).collect();
        let shown: Vec<_> = words.iter().map(|word| word.escape_ascii().to_string()).collect();
        println!("> {}", shown.join(" "));
        let answer = match words.split_first() {
            // The version is between each end and the proxy, not between the ends.
            Some((name, _)) if name.eq_ignore_ascii_case(b"HELLO") => {
                Value::error("NOPROTO this proxy speaks RESP2")
            }
            Some((name, args)) => {
                let command = Command::new(&String::from_utf8_lossy(name)).args(args);
                match redis.call(command).await {
                    Ok(reply) => Value::from(reply.view()),
                    Err(error) => Value::error(&format!("ERR the server cannot be reached: {error}")),
                }
            }
            None => Value::error("ERR no command"),
        };
        println!("< {answer:?}");
        client.machine_mut().reply(&answer);
    }
    Ok(())
}

async fn proxy(mut listener: <Smol as glowplug::runtime::Runtime>::Listener, redis: Client) {
    loop {
        match poll_fn(|cx| listener.poll_accept(cx)).await {
            Ok((stream, _)) => {
                let redis = redis.clone();
                smol::spawn(async move {
                    if let Err(error) = pass(stream, redis).await {
                        println!("! {error}");
                    }
                })
                .detach();
            }
            Err(error) => println!("! {error}"),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(async {
        let mut args = std::env::args().skip(1);
        if let (Some(url), Some(at)) = (args.next(), args.next()) {
            let listener = Smol::default().listen(&Endpoint::Tcp(at.parse()?)).await?;
            proxy(listener, Client::connect(&url).await?).await;
            return Ok(());
        }
        let free = Endpoint::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let server = Server::bind(Smol::default(), free.clone()).await?;
        let url = format!("redis://{}", server.local_endpoint()?);
        let store = memory::Handle::new(memory::Config::new());
        smol::spawn(glowplug::smol::redis::serve_memory(Smol::default(), server, store)).detach();

        let listener = Smol::default().listen(&free).await?;
        let url_of_proxy = format!("redis://{}", listener.local_endpoint()?);
        smol::spawn(proxy(listener, Client::connect(&url).await?)).detach();

        let redis = Client::connect(&url_of_proxy).await?;
        redis.set("greeting", "hello").await?;
        redis.get("greeting").await?;
        redis.rpush("list", ["a", "b"]).await?;
        redis.lrange("list", 0, -1).await?;
        let wrong = redis.incr("greeting").await;
        assert!(wrong.is_err(), "errors pass as well");
        Ok(())
    })
}

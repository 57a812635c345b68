//! A chat over Redis, over two executors at once: Ann lives on tokio, Bob on smol, and they hear each other.
//!
//! `cargo run --example redis_chat` starts a server in memory; `-- redis://host:port` uses a real one.

use std::error::Error;
use std::net::Ipv4Addr;
use std::thread;

use glowplug::redis::memory;
use glowplug::runtime::redis::{Client, Commands as _, Drive, HubEvent};
use glowplug::runtime::{Runtime, Spawn};
use glowplug::smol::{Endpoint, Smol, server::Server};
use glowplug::tokio::Tokio;

const ROOM: &str = "room";

/// One who says their lines, each when the line before was heard. The same text for every executor.
async fn person<R>(
    runtime: R,
    url: String,
    name: &str,
    lines: &[(u32, &str)],
) -> Result<(), glowplug::runtime::redis::Error>
where
    R: Runtime + Spawn<Drive<R>>,
{
    let redis =
        Client::builder(runtime).connect(&url).await.map_err(glowplug::runtime::redis::Error::Connect)?;
    let mut room = redis.subscribe([ROOM]).await?;
    redis.incr("room:there").await?;
    // Everybody is there before the first word.
    while redis.incrby("room:there", 0).await? < 2 {}
    let mut lines = lines.iter();
    let mut next = lines.next();
    for heard in 0.. {
        if let Some((at, line)) = next
            && *at == heard
        {
            redis.publish(ROOM, format!("{name}: {line}")).await?;
            next = lines.next();
        }
        match room.next().await {
            Some(HubEvent::Message { payload, .. }) => {
                println!("[{name} hears] {}", String::from_utf8_lossy(&payload));
                if payload.ends_with(b"Bye!") {
                    return Ok(());
                }
            }
            Some(HubEvent::Gap) => println!("[{name}] the connection was lost; something may be missing"),
            Some(other) => println!("[{name}] {other:?}"),
            None => return Ok(()),
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => start_server()?,
    };
    let bob_url = url.clone();
    let bob = thread::spawn(move || {
        let lines = [(1, "Hello Ann, on smol here."), (3, "Bye!")];
        smol::block_on(person(Smol::default(), bob_url, "Bob", &lines))
    });
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let lines = [(0, "Hello, I am Ann, on tokio."), (2, "Nice to hear you!")];
    tokio.block_on(person(Tokio, url, "Ann", &lines))?;
    bob.join().map_err(|_| "Bob has left in anger")??;
    Ok(())
}

/// A server in memory, on a thread of its own.
fn start_server() -> Result<String, Box<dyn Error>> {
    let server =
        smol::block_on(Server::bind(Smol::default(), Endpoint::Tcp((Ipv4Addr::LOCALHOST, 0).into())))?;
    let url = format!("redis://{}", server.local_endpoint()?);
    let store = memory::Handle::new(memory::Config::new());
    thread::spawn(|| smol::block_on(glowplug::smol::redis::serve_memory(Smol::default(), server, store)));
    Ok(url)
}

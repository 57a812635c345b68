//! A lock that many share: three workers change one number in two steps, and never spoil each other's work; and one who dies with the lock in
//! hand holds nobody up for longer than it was taken for.
//!
//! `cargo run --example redis_lock` starts a server in memory; `-- redis://host:port` uses a real one.

use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::future::try_join_all;
use glowplug::redis::memory;
use glowplug::smol::redis::{Client, Commands as _, commands};
use glowplug::smol::{Endpoint, Smol, server::Server};

/// How long a lock is held at most, whatever becomes of its holder.
const TIME: Duration = Duration::from_millis(300);
/// How long a worker waits for it.
const PATIENCE: Duration = Duration::from_secs(20);
const ROUNDS: u32 = 5;

async fn work(redis: &Client, name: &str) -> Result<(), glowplug::smol::redis::Error> {
    for _ in 0..ROUNDS {
        let Some(lock) = redis.lock("account:lock", TIME, PATIENCE).await? else {
            println!("{name} lost patience");
            return Ok(());
        };
        let balance: Option<u32> = redis.run(commands::get("account").returning()).await?;
        // There is more to do than was thought: the lock is held for longer.
        if !lock.extend(TIME).await? {
            println!("{name} was too slow, and somebody else may have it");
            continue;
        }
        redis.set("account", balance.unwrap_or(0) + 10).await?;
        // Only the one who still has it can give it back.
        lock.release().await?;
    }
    println!("{name} is done");
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(async {
        let url = match std::env::args().nth(1) {
            Some(url) => url,
            None => start_server().await?,
        };
        let redis = Client::connect(&url).await?;
        redis.del(["account", "account:lock"]).await?;
        // This one takes the lock and is never heard of again.
        drop(redis.try_lock("account:lock", TIME).await?.ok_or("nobody has it yet")?);
        try_join_all(["Ann", "Bob", "Eve"].map(|name| work(&redis, name))).await?;
        let balance: u32 = redis.run(commands::get("account").returning()).await?;
        assert_eq!(balance, 3 * ROUNDS * 10, "nothing was lost");
        println!("{balance} on the account");
        Ok(())
    })
}

async fn start_server() -> Result<String, Box<dyn Error>> {
    let server = Server::bind(Smol::default(), Endpoint::Tcp((Ipv4Addr::LOCALHOST, 0).into())).await?;
    let url = format!("redis://{}", server.local_endpoint()?);
    let store = memory::Handle::new(memory::Config::new());
    smol::spawn(glowplug::smol::redis::serve_memory(Smol::default(), server, store)).detach();
    Ok(url)
}

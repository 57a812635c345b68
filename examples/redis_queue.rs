//! A work queue, and a counter under a lock: workers wait for jobs on lanes of their own, and sum up under a lock.
//!
//! `cargo run --example redis_queue` starts a server in memory; `-- redis://host:port` uses a real one.

use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::future::join_all;
use glowplug::redis::memory;
use glowplug::smol::redis::{Client, Commands as _, commands};
use glowplug::smol::{Endpoint, Smol, server::Server};

const JOBS: u32 = 20;
const WORKERS: usize = 3;

/// Works until no job has come for a while; how many jobs it did.
async fn work(redis: Client, name: usize) -> Result<u32, glowplug::smol::redis::Error> {
    let mut done = 0;
    // Waits on a connection of its own, so that nobody else has to.
    while let Some((_, job)) = redis.blpop(["queue:jobs"], Some(Duration::from_millis(200))).await? {
        let job: u64 = String::from_utf8_lossy(&job).parse().unwrap_or(0);
        let (time, patience) = (Duration::from_secs(5), Duration::from_secs(10));
        let Some(lock) = redis.lock("queue:lock", time, patience).await? else {
            println!("worker {name} could not get the lock");
            continue;
        };
        // Reading and writing are two steps; the lock makes them one.
        let total: Option<u64> = redis.run(commands::get("queue:total").returning()).await?;
        redis.set("queue:total", total.unwrap_or(0) + job * job).await?;
        lock.release().await?;
        done += 1;
    }
    Ok(done)
}

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(async {
        let url = match std::env::args().nth(1) {
            Some(url) => url,
            None => start_server().await?,
        };
        let redis = Client::connect(&url).await?;
        redis.del(["queue:jobs", "queue:total", "queue:lock"]).await?;
        let workers: Vec<_> = (0..WORKERS).map(|name| smol::spawn(work(redis.clone(), name))).collect();
        redis.rpush("queue:jobs", 1..=JOBS).await?;
        for (name, done) in join_all(workers).await.into_iter().enumerate() {
            println!("worker {name} did {} jobs", done?);
        }
        let total: u32 = redis.run(commands::get("queue:total").returning()).await?;
        assert_eq!(total, (1..=JOBS).map(|job| job * job).sum::<u32>(), "the sum of all squares");
        println!("the squares of 1 to {JOBS} sum up to {total}");
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

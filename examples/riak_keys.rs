//! Lists the keys of a bucket while they come, with a bar that shows how far it got.
//!
//! ```sh
//! cargo run --release --example riak_keys                                              # 5,000 keys of a node in memory, on smol
//! cargo run --release --example riak_keys -- --on tokio --riak riak://10.0.0.1         # the bucket `keys` of a cluster
//! ```
//!
//! A listing walks over every key of the cluster: do not do this to one that is busy.

#[path = "riak/start.rs"]
mod start;

use std::io::{self, IsTerminal as _, Write as _};

use glowplug::runtime::Runtime;
use glowplug::runtime::riak::{Client, Content, Error, Location, fold};
use start::Failure;

const BUCKET: &str = "keys";
const KEYS: usize = 5_000;

/// How many keys there are, as the trees of anti-entropy know. Not every node has them.
async fn count<R: Runtime>(riak: &Client<R>) -> Result<Option<usize>, Error> {
    match riak.ask(fold::Range::new(BUCKET).object_stats()).await {
        Ok(stats) => {
            let total = stats.keys_count.iter().find(|count| count.tag == "total_count");
            Ok(total.map(|count| count.count as usize))
        }
        Err(Error::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn draw(done: usize, total: usize) {
    const WIDTH: usize = 50;
    let full = (done * WIDTH / total.max(1)).min(WIDTH);
    print!("\r[{}{}] {done} of {total}", "#".repeat(full), "-".repeat(WIDTH - full));
    let _ = io::stdout().flush();
}

async fn story<R: Runtime>(riak: Client<R>) -> Result<(), Failure> {
    let total = if let Some(total @ 1..) = count(&riak).await? {
        total
    } else {
        // The node in memory has no keys yet.
        for n in 0..KEYS {
            riak.put(Location::new(BUCKET, format!("key-{n:05}")), Content::new("value")).await?;
        }
        KEYS
    };
    let bar = io::stdout().is_terminal();
    let mut keys = riak.list_keys(BUCKET).await?;
    let (mut done, mut longest) = (0, 0);
    while let Some(chunk) = keys.next().await {
        let chunk = chunk?;
        done += chunk.len();
        for key in chunk {
            longest = longest.max(key.len());
        }
        if bar {
            draw(done, total);
        }
    }
    println!("{}{done} keys; the longest has {longest} bytes", if bar { "\n" } else { "" });
    Ok(())
}

fn main() -> Result<(), Failure> {
    start::tell!(story)
}

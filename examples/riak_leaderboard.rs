//! A leaderboard that many write to at once, on data types: a set of players, and a counter for each. Nobody reads before writing, and nothing is lost.
//!
//! ```sh
//! cargo run --release --example riak_leaderboard             # a node in memory, on smol
//! cargo run --release --example riak_leaderboard -- --on sim # or tokio
//! ```
//!
//! With `--riak riak://...` it talks to a cluster that has the bucket types `sets` and `counters`.

#[path = "riak/start.rs"]
mod start;

use futures_util::future::try_join_all;
use glowplug::runtime::Runtime;
use glowplug::runtime::riak::{Bucket, Client, Error, Location, SetChange};
use start::Failure;

const PLAYERS: [&str; 5] = ["Ada", "Grace", "Edsger", "Barbara", "Donald"];

fn players() -> Location {
    Bucket::typed("sets", "game").key("players")
}

fn score(player: impl AsRef<[u8]>) -> Location {
    Bucket::typed("counters", "scores").key(player.as_ref().to_vec())
}

/// One player's evening.
async fn play<R: Runtime>(riak: &Client<R>, number: i64) -> Result<(), Error> {
    let player = PLAYERS[number as usize];
    riak.update_data(players(), SetChange::new().add(player)).await?;
    for round in 1..=10 {
        // Whatever dice are: points may be lost, too.
        riak.add_to_counter(score(player), (number * 7 + round * 13) % 20 - 4).await?;
    }
    Ok(())
}

async fn story<R: Runtime>(riak: Client<R>) -> Result<(), Failure> {
    try_join_all((0..PLAYERS.len() as i64).map(|number| play(&riak, number))).await?;
    // One of them leaves. The context of what is there now is read behind the scenes.
    riak.update_data(players(), SetChange::new().remove("Donald")).await?;

    let names = riak.set(players()).await?;
    let scores = try_join_all(names.iter().map(|name| riak.counter(score(name)))).await?;
    let mut board: Vec<_> = names.iter().zip(scores).collect();
    board.sort_by_key(|(_, score)| -score);
    for (place, (name, score)) in board.iter().enumerate() {
        println!("{}. {:<8} {score:>4}", place + 1, String::from_utf8_lossy(name));
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    start::tell!(story)
}

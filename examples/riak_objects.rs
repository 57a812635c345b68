//! An object store in one page: writing, reading, replacing what was read, siblings and how they are resolved, updates, and values of one's own types.
//!
//! ```sh
//! cargo run --release --example riak_objects                                 # a node in memory, on smol
//! cargo run --release --example riak_objects -- --on tokio                   # or sim
//! cargo run --release --example riak_objects -- --riak riak://10.0.0.1,10.0.0.2   # a cluster with a bucket type `mult`
//! ```

#[path = "riak/start.rs"]
mod start;

use glowplug::runtime::Runtime;
use glowplug::runtime::riak::request::{Delete, Get, Index};
use glowplug::runtime::riak::resolve::Pairwise;
use glowplug::runtime::riak::{Bucket, Client, Content, Quorum};
use serde::{Deserialize, Serialize};
use start::Failure;

#[derive(Debug, Serialize, Deserialize)]
struct Basket {
    items: Vec<String>,
}

impl Basket {
    /// Nothing that anybody put in is lost.
    fn merge(mut self, other: Self) -> Self {
        self.items.extend(other.items);
        self.items.sort();
        self.items.dedup();
        self
    }
}

async fn story<R: Runtime>(riak: Client<R>) -> Result<(), Failure> {
    // A bucket whose type keeps siblings.
    let notes = Bucket::typed("mult", "notes");
    let monday = || notes.key("monday");

    let note = Content::new("buy milk").content_type("text/plain").meta("mood", "calm").index_int("day", 1);
    riak.put(monday(), note).await?;
    let read = riak.get(monday()).await?.ok_or("it was just written")?;
    println!("written:   {:?}", read.siblings[0].value);

    // Two people change what they both read. The first replaces it; the second cannot have known, and so both are kept.
    riak.ask(read.put(monday(), Content::new("buy bread"))).await?;
    riak.ask(read.put(monday(), Content::new("buy cheese"))).await?;
    let both = riak.get(monday()).await?.ok_or("nobody deleted it")?;
    println!("siblings:  {:?}", both.siblings.iter().map(|one| &one.value).collect::<Vec<_>>());

    // Whoever reads decides. An update reads, resolves, changes and stores, with the clock of the read.
    let mut longest = Pairwise(
        |one: Content, other: Content| {
            if one.value.len() >= other.value.len() { one } else { other }
        },
    );
    let resolved = riak.update(monday(), &mut longest, |note| note).await?;
    println!("resolved:  {:?}", resolved.map(|note| note.value));

    // Values of one's own types, with a rule of their own. Here two writers do not know of each other at all.
    let baskets = riak.typed::<Basket>(Bucket::typed("mult", "baskets")).resolve_by(Basket::merge);
    baskets.put("ada", &Basket { items: vec!["milk".into()] }).await?;
    baskets.put("ada", &Basket { items: vec!["eggs".into()] }).await?;
    let with_tea = baskets.update("ada", |basket| {
        let mut basket = basket.unwrap_or(Basket { items: Vec::new() });
        basket.items.push("tea".into());
        Some(basket)
    });
    println!("basket:    {:?}", with_tea.await?.map(|basket| basket.items));

    // Every option is there, on the requests themselves.
    let careful = Get::new(monday()).r(Quorum::All).head(true);
    let head = riak.ask(careful).await?.found().ok_or("it is there")?;
    println!("head only: {} bytes of value", head.siblings[0].value.len());
    let found = riak.ask(Index::equal_int(notes.clone(), "day_int", 1)).await?;
    println!("by index:  {} of the first day", found.matches.len());

    // A delete with a clock leaves alone what it has not seen.
    let gone = Delete::new(monday());
    riak.ask(match head.vclock {
        Some(vclock) => gone.vclock(vclock),
        None => gone,
    })
    .await?;
    println!("deleted:   {}", riak.get(monday()).await?.is_none());
    Ok(())
}

fn main() -> Result<(), Failure> {
    start::tell!(story)
}

//! Riak: objects with their history, and data types that merge by themselves.

use futures_util::TryStreamExt as _;
use glowplug::core::Seed;
use glowplug::runtime::riak::memory::{Handle, Node, NodeConfig};
use glowplug::runtime::riak::resolve::{LastWriteWins, Pairwise};
use glowplug::runtime::riak::{Bucket, Client, Content, Location, serve_memory};

use crate::{Failure, Plug, Stage, Told, beside, listen};

/// What each step has to come to, wherever it happens.
pub(crate) const EXPECTED: &[(&str, &str)] = &[
    ("an object, and its type", "12 bytes of text/plain"),
    ("three who write without reading", "3 siblings, resolved to the least"),
    ("ten updates of one object", "10"),
    ("a counter, up and down", "40"),
    ("the keys of a bucket, as a stream", "50 keys"),
];

pub(crate) async fn tell<R: Plug>(stage: &Stage<R>) -> Result<Told, Failure> {
    let (server, at) = listen(stage).await?;
    let node = Handle::new(Node::new(&Seed::from_u64(1), NodeConfig::new()));
    let url = format!("riak://{at}");
    beside(story(stage.client.clone(), &url), serve_memory(stage.server.clone(), server, node)).await
}

async fn story<R: Plug>(runtime: R, url: &str) -> Result<Told, Failure> {
    let mut told = Told::new();
    let riak = Client::builder(runtime).connect(url).await?;

    let location = Location::new("tour", "greeting");
    riak.put(location.clone(), Content::new("hello, diver").content_type("text/plain")).await?;
    let object = riak.get(location).await?.ok_or("it was stored")?;
    let content = object.content().ok_or("one content")?;
    let kind = content.content_type.as_deref().unwrap_or_default();
    told.push((
        "an object, and its type",
        format!("{} bytes of {}", content.value.len(), String::from_utf8_lossy(kind)),
    ));

    let location = Bucket::typed("mult", "tour").key("contended");
    for value in ["c", "a", "b"] {
        riak.put(location.clone(), Content::new(value)).await?;
    }
    let mut object = riak.get(location.clone()).await?.ok_or("it was stored")?;
    let siblings = object.siblings.len();
    let mut least =
        Pairwise(|one: Content, other: Content| if one.value < other.value { one } else { other });
    let chosen = object.resolve(&mut least).clone();
    riak.ask(object.put(location.clone(), chosen)).await?;
    let object = riak.get(location).await?.ok_or("it was stored")?;
    let least = object.content().is_some_and(|content| content.value == "a");
    told.push((
        "three who write without reading",
        format!("{siblings} siblings, resolved to {}", if least { "the least" } else { "another" }),
    ));

    let location = Location::new("tour", "sum");
    let number = |content: &Content| String::from_utf8_lossy(&content.value).parse().unwrap_or(0_u32);
    for _ in 0..10 {
        let add = |content: Option<Content>| {
            let sum = content.as_ref().map_or(0, number) + 1;
            Some(Content::new(sum.to_string()))
        };
        riak.update(location.clone(), &mut LastWriteWins, add).await?;
    }
    let object = riak.get(location).await?.ok_or("it was stored")?;
    told.push(("ten updates of one object", object.content().map_or(0, number).to_string()));

    let counter = Bucket::typed("counters", "tour").key("visitors");
    riak.add_to_counter(counter.clone(), 42).await?;
    riak.add_to_counter(counter.clone(), -2).await?;
    told.push(("a counter, up and down", riak.counter(counter).await?.to_string()));

    for number in 0..50 {
        riak.put(Location::new("shelf", format!("book {number}")), Content::new("pages")).await?;
    }
    let keys: Vec<_> = riak.list_keys("shelf").await?.try_collect().await?;
    let keys: usize = keys.iter().map(Vec::len).sum();
    told.push(("the keys of a bucket, as a stream", format!("{keys} keys")));
    Ok(told)
}

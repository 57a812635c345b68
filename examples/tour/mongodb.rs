//! MongoDB: documents of one's own types, and cursors.

use glowplug::core::Seed;
use glowplug::mongodb::doc;
use glowplug::mongodb::memory::{Handle, MemoryConfig};
use glowplug::runtime::mongodb::{Client, Collection, serve_memory};
use serde::{Deserialize, Serialize};

use crate::{Failure, Plug, Stage, Told, beside, listen};

/// What each step has to come to, wherever it happens.
pub(crate) const EXPECTED: &[(&str, &str)] = &[
    ("250 documents of a type of one's own", "250 inserted"),
    ("a cursor over several batches", "250 documents in order"),
    ("an update of those below ten", "10 matched, 10 modified"),
    ("a key that is there already", "error 11000, and the connection goes on"),
    ("what is left after a delete", "200 documents"),
];

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Engine {
    _id: i32,
    name: String,
    cylinders: i32,
}

pub(crate) async fn tell<R: Plug>(stage: &Stage<R>) -> Result<Told, Failure> {
    let (server, at) = listen(stage).await?;
    let data = Handle::new(MemoryConfig::default(), &Seed::from_u64(1));
    let url = format!("mongodb://{at}/tour");
    beside(story(stage.client.clone(), &url), serve_memory(stage.server.clone(), server, data)).await
}

async fn story<R: Plug>(runtime: R, url: &str) -> Result<Told, Failure> {
    let mut told = Told::new();
    let client = Client::builder(runtime).connect(url).await?;
    let engines: Collection<Engine, R> = client.default_database().collection("engines");

    let all: Vec<Engine> =
        (0..250).map(|number| Engine { _id: number, name: format!("no {number}"), cylinders: 4 }).collect();
    let inserted = engines.insert_many(&all).run().await?;
    told.push(("250 documents of a type of one's own", format!("{} inserted", inserted.inserted_ids.len())));

    let found = engines.find(doc! {}).sort(doc! { "_id": 1 }).batch_size(40).collect().await?;
    let order = if found == all { "in order" } else { "not as they were" };
    told.push(("a cursor over several batches", format!("{} documents {order}", found.len())));

    let below_ten = doc! { "_id": doc! { "$lt": 10 } };
    let updated = engines.update_many(below_ten, doc! { "$set": doc! { "cylinders": 6 } }).run().await?;
    told.push((
        "an update of those below ten",
        format!("{} matched, {} modified", updated.matched, updated.modified),
    ));

    let refused = match engines.insert_one(&all[7]).run().await {
        Ok(_) => "inserted twice".to_owned(),
        Err(error) => format!("error {}", error.code().unwrap_or_default()),
    };
    client.ping().await?;
    told.push(("a key that is there already", format!("{refused}, and the connection goes on")));

    engines.delete_many(doc! { "_id": doc! { "$gte": 200 } }).run().await?;
    let left = engines.count(doc! {}).run().await?;
    told.push(("what is left after a delete", format!("{left} documents")));
    Ok(told)
}

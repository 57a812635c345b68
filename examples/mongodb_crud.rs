//! A tour of the MongoDB client: documents put in, found, changed, counted and taken out.
//!
//! `cargo run --example mongodb_crud [-- tokio|smol [mongodb://..]]`. Without a URI it runs against the embedded server.

use std::error::Error;
use std::net::Ipv4Addr;

use futures_util::TryStreamExt;
use glowplug::mongodb::doc;
use glowplug::mongodb::memory::Handle;
use glowplug::runtime::mongodb::{Client, Document, Janitor, Serving, serve_memory};
use glowplug::runtime::server::Server;
use glowplug::runtime::{Endpoint, Runtime, Spawn};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Book {
    title: String,
    author: String,
    year: i32,
}

fn book(title: &str, author: &str, year: i32) -> Book {
    Book { title: title.into(), author: author.into(), year }
}

/// The tour itself: the same text on every executor.
async fn tour<R: Runtime + Spawn<Janitor<R>>>(runtime: R, uri: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::builder(runtime).connect(uri).await?;
    let books = client.database("library").collection::<Book>("books");
    books.drop_collection().run().await.ok();

    let made = books
        .insert_many(&[
            book("Emma", "Jane Austen", 1815),
            book("Persuasion", "Jane Austen", 1817),
            book("Middlemarch", "George Eliot", 1871),
        ])
        .run()
        .await?;
    println!("inserted: {:?}", made.inserted_ids);

    let old = books.find(doc! { "year": { "$lt": 1850 } }).sort(doc! { "year": 1 }).run().await?;
    let old: Vec<Book> = old.into_stream().try_collect().await?;
    println!("before 1850: {old:?}");

    let changed =
        books.update_many(doc! { "author": "Jane Austen" }, doc! { "$set": { "shelf": "A" } }).run().await?;
    println!("moved {} books", changed.modified);

    let loose = books.with_type::<Document>();
    let lent = loose
        .find_one_and_update(doc! { "title": "Emma" }, doc! { "$inc": { "lent": 1 } })
        .return_new()
        .run()
        .await?;
    println!("lent: {}", lent.unwrap_or_default());

    let by_author = books
        .aggregate([
            doc! { "$group": { "_id": "$author", "books": { "$sum": 1 } } },
            doc! { "$sort": { "_id": 1 } },
        ])
        .collect()
        .await?;
    println!("by author: {by_author:?}");

    let gone = books.delete_one(doc! { "title": "Middlemarch" }).run().await?;
    println!("deleted {}, {} are left", gone.deleted, books.count(doc! {}).run().await?);
    Ok(())
}

/// The tour against `uri`, or against an embedded server that is started for it.
async fn run<R>(runtime: R, uri: Option<String>) -> Result<(), Box<dyn Error>>
where
    R: Runtime + Spawn<Janitor<R>> + Spawn<Serving<R>>,
{
    if let Some(uri) = uri {
        return tour(runtime, &uri).await;
    }
    let server = Server::bind(runtime.clone(), Endpoint::Tcp((Ipv4Addr::LOCALHOST, 0).into())).await?;
    let (uri, stopper) = (format!("mongodb://{}", server.local_endpoint()?), server.stopper());
    let touring = async {
        let result = tour(runtime.clone(), &uri).await;
        stopper.stop();
        result
    };
    let serving = serve_memory(runtime.clone(), server, Handle::default());
    futures_util::future::join(touring, serving).await.0
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let on = arguments.next();
    let uri = arguments.next();
    if on.as_deref() == Some("smol") {
        return smol::block_on(run(glowplug::smol::Smol::default(), uri));
    }
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(run(glowplug::tokio::Tokio, uri))
}

//! Bulk import: one JSON document a line becomes one document, with a progress bar.
//!
//! `cargo run --example mongodb_import -- mongodb://host database.collection < documents.jsonl`. Without arguments it imports made-up
//! documents into an embedded server.

use std::error::Error;
use std::io::{BufRead, Write};
use std::net::Ipv4Addr;

use glowplug::mongodb::bson::Document;
use glowplug::mongodb::doc;
use glowplug::mongodb::memory::Handle;
use glowplug::runtime::mongodb::{Collection, WriteModel};
use glowplug::tokio::mongodb::{Client, serve_memory};
use glowplug::tokio::server::Server;
use glowplug::tokio::{Endpoint, Tokio};

/// Documents in one step of the bar.
const STEP: usize = 1000;

async fn import(into: &Collection<Document, Tokio>, documents: Vec<Document>) -> Result<(), Box<dyn Error>> {
    let (all, mut done) = (documents.len(), 0);
    for part in documents.chunks(STEP) {
        let models = part.iter().cloned().map(WriteModel::Insert);
        let result = into.bulk_write(models).ordered(false).run().await?;
        done += usize::try_from(result.inserted)?;
        let full = done * 40 / all.max(1);
        print!("\r[{}{}] {done} of {all}", "#".repeat(full), " ".repeat(40 - full));
        std::io::stdout().flush()?;
    }
    println!();
    Ok(())
}

fn read_lines() -> Result<Vec<Document>, Box<dyn Error>> {
    let mut documents = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if !line.trim().is_empty() {
            documents.push(Document::from_json(&line)?);
        }
    }
    Ok(documents)
}

fn main() -> Result<(), Box<dyn Error>> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    if let (Some(uri), Some(namespace)) = (arguments.next(), arguments.next()) {
        let (database, collection) = namespace.split_once('.').ok_or("name database.collection")?;
        let client = Client::connect(&uri).await?;
        return import(&client.database(database).collection(collection), read_lines()?).await;
    }
    let server = Server::bind(Tokio, Endpoint::Tcp((Ipv4Addr::LOCALHOST, 0).into())).await?;
    let uri = format!("mongodb://{}", server.local_endpoint()?);
    tokio::spawn(serve_memory(Tokio, server, Handle::default()));
    let client = Client::connect(&uri).await?;
    let into = client.database("import").collection("numbers");
    let documents =
        (0..20_000).map(|number| doc! { "_id": number, "square": i64::from(number) * i64::from(number) });
    import(&into, documents.collect()).await?;
    println!("the server counts {}", into.count(doc! {}).run().await?);
    Ok(())
}

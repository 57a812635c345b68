//! One test: its data, its entities, its operations, and what has to be seen afterwards.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use glowplug::core::Seed;
use glowplug::mongodb::bson::Document;
use glowplug::mongodb::memory::{Handle, MemoryConfig};
use glowplug::mongodb::{Config, ServerApi, doc};
use glowplug::runtime::Endpoint;
use glowplug::runtime::mongodb::{
    Client, Collection, Cursor, Database, Error, Session, WriteConcern, serve_memory,
};
use glowplug::runtime::server::Server as Listening;
use glowplug::tokio::Tokio;
use serde_json::{Value, json};

use crate::json::{Known, document, json, json_of, normal};
use crate::operations::{self, Concerns};
use crate::tap::{Events, tap};
use crate::{Case, Server};

/// What a test names.
#[derive(Default)]
pub(crate) struct World {
    /// Where the server is, without a tap.
    pub(crate) at: String,
    pub(crate) clients: BTreeMap<String, (Client<Tokio>, Events, Vec<String>)>,
    pub(crate) databases: BTreeMap<String, (Database<Tokio>, Arc<Concerns>)>,
    pub(crate) collections: BTreeMap<String, (Collection<Document, Tokio>, Arc<Concerns>)>,
    pub(crate) sessions: BTreeMap<String, Session<Tokio>>,
    pub(crate) cursors: BTreeMap<String, Cursor<Document, Tokio>>,
    pub(crate) known: Known,
}

/// Runs one test; if it fails, says why.
pub(crate) async fn run(server: &Server, case: &Case) -> Result<(), String> {
    match server {
        Server::Real(peer) => run_at(peer.at.clone(), case).await,
        Server::Embedded => {
            let at = Endpoint::Tcp(([127, 0, 0, 1], 0).into());
            let listening = Listening::bind(Tokio, at).await.map_err(|error| error.to_string())?;
            let at = listening.local_endpoint().map_err(|error| error.to_string())?.to_string();
            let mut config = MemoryConfig::default();
            config.replica_set = Some("embedded".into());
            let data = Handle::new(config, &Seed::from_u64(11));
            match select(pin!(run_at(at, case)), pin!(serve_memory(Tokio, listening, data))).await {
                Either::Left((result, _)) => result,
                Either::Right(_) => Err("the server ended".to_owned()),
            }
        }
    }
}

async fn run_at(at: String, case: &Case) -> Result<(), String> {
    let admin = Client::<Tokio>::connect(&format!("mongodb://{at}/?directConnection=true&w=majority")).await;
    let admin = admin.map_err(|error| format!("{error:?}"))?;
    prepare(&admin, &case.file["initialData"]).await.map_err(|error| format!("initial data: {error:?}"))?;
    let mut world = World { at, ..World::default() };
    let result = play(&mut world, &admin, case).await;
    // Whatever happened, the next test finds the server without a fail point.
    let off = doc! { "configureFailPoint": "failCommand", "mode": "off" };
    let _ = admin.database("admin").run_command(off).run().await;
    result
}

async fn prepare(admin: &Client<Tokio>, data: &Value) -> Result<(), Error> {
    for data in data.as_array().into_iter().flatten() {
        let name = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
        let database = admin.database(name("databaseName"));
        let collection = database.collection::<Document>(name("collectionName"));
        let _ = collection.drop_collection().run().await;
        let documents: Vec<Document> = data["documents"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|doc| document(doc).unwrap_or_else(|why| panic!("{why}")))
            .collect();
        if documents.is_empty() || data.get("createOptions").is_some() {
            let mut create = database.create_collection(collection.name());
            for (key, value) in data["createOptions"].as_object().into_iter().flatten() {
                let value = document(&json!({ "v": value })).unwrap_or_else(|why| panic!("{why}"));
                if let Some(value) = value.as_doc().find("v") {
                    create = create.option(key, value);
                }
            }
            create.run().await?;
        }
        if !documents.is_empty() {
            collection.insert_many(&documents).run().await?;
        }
    }
    Ok(())
}

async fn play(world: &mut World, admin: &Client<Tokio>, case: &Case) -> Result<(), String> {
    for entity in case.file["createEntities"].as_array().into_iter().flatten() {
        world.create(entity).await?;
    }
    for (number, operation) in case.test["operations"].as_array().into_iter().flatten().enumerate() {
        let name = operation["name"].as_str().unwrap_or_default();
        world
            .operation(admin, operation)
            .await
            .map_err(|why| format!("operation {number} ({name}): {why}"))?;
    }
    for expected in case.test["expectEvents"].as_array().into_iter().flatten() {
        world.expect_events(expected).await?;
    }
    for outcome in case.test["outcome"].as_array().into_iter().flatten() {
        let name = |key: &str| outcome[key].as_str().unwrap_or_default().to_owned();
        let collection = admin.database(name("databaseName")).collection::<Document>(name("collectionName"));
        let found = collection.find(doc! {}).sort(doc! { "_id": 1 }).collect().await;
        let found = found.map_err(|error| format!("the outcome: {error:?}"))?;
        let found: Value = found.iter().map(|doc| json(doc.as_doc())).collect();
        let expected = normal(outcome["documents"].clone());
        world.known.check(&expected, Some(&found), false).map_err(|why| format!("the outcome: {why}"))?;
    }
    Ok(())
}

impl World {
    pub(crate) async fn create(&mut self, entity: &Value) -> Result<(), String> {
        let (kind, entity) =
            entity.as_object().and_then(|entity| entity.iter().next()).ok_or("an entity has a kind")?;
        let text = |key: &str| entity[key].as_str().unwrap_or_default().to_owned();
        let id = text("id");
        match kind.as_str() {
            "client" => {
                let (at, events) = tap(self.at.clone()).await;
                let mut uri = format!("mongodb://{at}/?directConnection=true");
                for (key, value) in entity["uriOptions"].as_object().into_iter().flatten() {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    uri = format!("{uri}&{key}={value}");
                }
                let mut config = Config::default();
                if let Some(api) = entity.get("serverApi") {
                    config.server_api = Some(ServerApi {
                        version: api["version"].as_str().unwrap_or("1").to_owned(),
                        strict: api["strict"].as_bool(),
                        deprecation_errors: api["deprecationErrors"].as_bool(),
                    });
                }
                let client = Client::builder(Tokio).machine(config).connect(&uri).await;
                let client = client.map_err(|error| format!("{uri}: {error:?}"))?;
                let observed = entity["observeEvents"].as_array().into_iter().flatten();
                let mut observed: Vec<String> =
                    observed.filter_map(Value::as_str).map(str::to_owned).collect();
                observed.push(String::new());
                self.clients.insert(id, (client, events, observed));
            }
            "database" => {
                let (client, ..) = self.clients.get(&text("client")).ok_or("no such client")?;
                let concerns = Concerns::of(&entity["databaseOptions"]);
                let database = client.database(text("databaseName"));
                self.databases.insert(id, (database, Arc::new(concerns)));
            }
            "collection" => {
                let (database, outer) = self.databases.get(&text("database")).ok_or("no such database")?;
                let concerns = Concerns::of(&entity["collectionOptions"]).or(outer);
                let collection = database.collection(text("collectionName"));
                self.collections.insert(id, (collection, Arc::new(concerns)));
            }
            "session" => {
                let (client, ..) = self.clients.get(&text("client")).ok_or("no such client")?;
                let session = client.start_session().ok_or("the server has no sessions")?;
                self.known.sessions.insert(id.clone(), json(session.id().as_doc()));
                self.sessions.insert(id, session);
            }
            other => return Err(format!("{other} is no entity of this runner")),
        }
        Ok(())
    }

    async fn operation(&mut self, admin: &Client<Tokio>, operation: &Value) -> Result<(), String> {
        let result = operations::run(self, admin, operation).await?;
        if operation["ignoreResultAndError"] == Value::Bool(true) {
            return Ok(());
        }
        match (result, operation.get("expectError")) {
            (Ok(outcome), None) => {
                if let Some(name) = operation["saveResultAsEntity"].as_str() {
                    self.known.values.insert(name.to_owned(), outcome.clone().unwrap_or_default());
                }
                match operation.get("expectResult") {
                    Some(expected) => self.known.check(&normal(expected.clone()), outcome.as_ref(), true),
                    None => Ok(()),
                }
            }
            (Err(error), Some(expected)) => self.expect_error(expected, &error),
            (Ok(outcome), Some(expected)) => Err(format!("expected {expected}, got {outcome:?}")),
            (Err(error), None) => Err(format!("{error:?}")),
        }
    }

    fn expect_error(&self, expected: &Value, error: &Error) -> Result<(), String> {
        let fields = expected.as_object().ok_or("an expected error is an object")?;
        let server = error.command_error().is_some() || error.code().is_some();
        let mut text = String::new();
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        while let Some(own) = cause {
            text = format!("{text}{own}\n").to_lowercase();
            cause = own.source();
        }
        let code_name = error.command_error().map(|error| error.code_name.clone()).unwrap_or_default();
        for (key, value) in fields {
            let labels = || value.as_array().into_iter().flatten().filter_map(Value::as_str);
            let fine = match key.as_str() {
                "isError" => true,
                "isClientError" => value.as_bool() == Some(!server),
                "isTimeoutError" => value.as_bool() == Some(matches!(error, Error::TimedOut { .. })),
                "errorCode" => error.code().map(i64::from) == value.as_i64(),
                "errorCodeName" => value.as_str() == Some(&code_name),
                "errorContains" => text.contains(&value.as_str().unwrap_or_default().to_lowercase()),
                "errorLabelsContain" => labels().all(|label| error.has_label(label)),
                "errorLabelsOmit" => !labels().any(|label| error.has_label(label)),
                "errorResponse" => {
                    let code = error.code();
                    let details = match error {
                        Error::Write(failure) if !failure.errors.is_empty() => {
                            failure.errors.first().map(|error| &error.details)
                        }
                        error => error.command_error().map(|error| &error.details),
                    };
                    let known = details.map_or(json!({ "code": code }), |details| json(details.as_doc()));
                    return self.known.check(&normal(value.clone()), Some(&known), true);
                }
                "expectResult" => {
                    let Error::Write(failure) = error else { return Err(format!("{error:?}")) };
                    let result = operations::bulk_result(&failure.result);
                    return self.known.check(&normal(value.clone()), Some(&result), true);
                }
                other => return Err(format!("{other} of an error is not understood")),
            };
            if !fine {
                return Err(format!("expected {key}: {value}, got {error:?}"));
            }
        }
        Ok(())
    }

    async fn expect_events(&self, expected: &Value) -> Result<(), String> {
        let id = expected["client"].as_str().unwrap_or_default();
        let (_, events, observed) = self.clients.get(id).ok_or("no such client")?;
        let wanted = expected["events"].as_array().ok_or("events are a list")?;
        // Cursors that were left are killed in the background, at any time.
        let kills = expected.to_string().contains("killCursors");
        let look = || {
            let all = events.all().into_iter();
            let observed = all.filter(|(kind, _)| observed.iter().any(|own| own == kind));
            observed.filter(|(_, event)| kills || event["commandName"] != "killCursors").collect::<Vec<_>>()
        };
        let mut seen = look();
        // What wants no answer goes by later than its call returns.
        for _ in 0..200 {
            if seen.len() >= wanted.len() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            seen = look();
        }
        let exact = expected["ignoreExtraEvents"] != Value::Bool(true);
        let names = || {
            seen.iter().map(|(kind, event)| format!("{kind} {}", event["commandName"])).collect::<Vec<_>>()
        };
        if seen.len() < wanted.len() || exact && seen.len() > wanted.len() {
            return Err(format!("{} events were expected, {:?} were seen", wanted.len(), names()));
        }
        for (number, (wanted, (kind, event))) in wanted.iter().zip(&seen).enumerate() {
            let (wanted_kind, wanted) =
                wanted.as_object().and_then(|wanted| wanted.iter().next()).ok_or("an event has a kind")?;
            if wanted_kind != kind {
                return Err(format!("event {number}: {wanted_kind} was expected, {:?} were seen", names()));
            }
            for (key, wanted) in wanted.as_object().into_iter().flatten() {
                self.known
                    .check(&normal(wanted.clone()), event.get(key), true)
                    .map_err(|why| format!("event {number}: {key}: {why} in {event}"))?;
            }
        }
        Ok(())
    }

    /// The sessions of the last two commands.
    pub(crate) fn last_sessions(&self, client: &str) -> Option<(Value, Value)> {
        let (_, events, _) = self.clients.get(client)?;
        let mut commands = events.all().into_iter().filter(|(kind, _)| *kind == "commandStartedEvent").rev();
        let mut lsid = || commands.next().map(|(_, event)| event["command"]["lsid"].clone());
        Some((lsid()?, lsid()?))
    }
}

/// An outcome of documents.
pub(crate) fn documents(found: &[Document]) -> Value {
    found.iter().map(|doc| json(doc.as_doc())).collect()
}

/// A write concern as tests write it down.
pub(crate) fn write_concern(value: &Value) -> WriteConcern {
    use glowplug::runtime::mongodb::Acknowledgement;
    let w = match (&value["w"], value["w"].as_u64()) {
        (_, Some(count)) => Some(Acknowledgement::Nodes(count as u32)),
        (Value::String(text), _) if text == "majority" => Some(Acknowledgement::Majority),
        (Value::String(rule), _) => Some(Acknowledgement::Rule(rule.clone())),
        _ => None,
    };
    let timeout = value["wtimeoutMS"].as_u64().map(std::time::Duration::from_millis);
    WriteConcern { w, journal: value["journal"].as_bool(), timeout }
}

/// An id as JSON.
pub(crate) fn id(id: &glowplug::runtime::mongodb::OwnedValue) -> Value {
    json_of(id.as_value())
}

//! What tests ask for, as calls of our client.

use std::sync::Arc;
use std::time::Duration;

use glowplug::mongodb::bson::{Doc, Document};
use glowplug::mongodb::doc;
use glowplug::runtime::mongodb::{
    Action, BulkResult, Change, Client, Collection, Database, DeleteResult, Error, ReadConcern, ReadMode,
    ReadPreference, Session, UpdateResult, WriteConcern, WriteModel,
};
use glowplug::tokio::Tokio;
use serde_json::{Map, Value, json};

use crate::json::{command, document, json, json_of};
use crate::run::{World, documents, id, write_concern};

/// What is understood here.
pub(crate) const KNOWN: &[&str] = &[
    "aggregate",
    "assertCollectionExists",
    "assertCollectionNotExists",
    "assertDifferentLsidOnLastTwoCommands",
    "assertIndexExists",
    "assertIndexNotExists",
    "assertSameLsidOnLastTwoCommands",
    "bulkWrite",
    "close",
    "countDocuments",
    "createCollection",
    "createCommandCursor",
    "createEntities",
    "createFindCursor",
    "createIndex",
    "deleteMany",
    "deleteOne",
    "distinct",
    "dropCollection",
    "dropIndex",
    "endSession",
    "estimatedDocumentCount",
    "failPoint",
    "find",
    "findOne",
    "findOneAndDelete",
    "findOneAndReplace",
    "findOneAndUpdate",
    "insertMany",
    "insertOne",
    "iterateOnce",
    "iterateUntilDocumentOrError",
    "listCollectionNames",
    "listCollectionObjects",
    "listCollections",
    "listDatabaseNames",
    "listDatabaseObjects",
    "listDatabases",
    "listIndexNames",
    "listIndexes",
    "modifyCollection",
    "replaceOne",
    "runCommand",
    "runCursorCommand",
    "updateMany",
    "updateOne",
];

/// What an operation gave, as JSON; nothing when the server was asked not to answer.
pub(crate) type Outcome = Result<Option<Value>, Error>;

/// Concerns and preference of a database or collection.
#[derive(Clone, Default)]
pub(crate) struct Concerns {
    read: Option<ReadConcern>,
    write: Option<WriteConcern>,
    preference: Option<ReadPreference>,
}

impl Concerns {
    pub(crate) fn of(options: &Value) -> Self {
        let preference = options.get("readPreference").map(|preference| {
            let mode = preference["mode"].as_str().and_then(ReadMode::from_name).unwrap_or_default();
            let staleness = preference["maxStalenessSeconds"].as_u64().map(Duration::from_secs);
            ReadPreference { max_staleness: staleness, ..mode.into() }
        });
        Self {
            read: options["readConcern"]["level"].as_str().map(ReadConcern::new),
            write: options.get("writeConcern").map(write_concern),
            preference,
        }
    }

    pub(crate) fn or(self, outer: &Self) -> Self {
        Self {
            read: self.read.or_else(|| outer.read.clone()),
            write: self.write.or_else(|| outer.write.clone()),
            preference: self.preference.or_else(|| outer.preference.clone()),
        }
    }

    fn unacknowledged(&self) -> bool {
        self.write.as_ref().is_some_and(|write| !write.is_acknowledged())
    }
}

/// An operation's arguments, taken one by one; what nobody took goes into the command as it is.
struct Arguments(Map<String, Value>);

impl Arguments {
    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }

    fn doc(&mut self, key: &str) -> Result<Document, String> {
        self.take(key).map_or(Ok(Document::new()), |value| document(&value))
    }

    fn text(&mut self, key: &str) -> String {
        self.take(key).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    }

    fn number(&mut self, key: &str) -> Option<u64> {
        self.take(key).and_then(|value| value.as_u64())
    }

    fn docs(&mut self, key: &str) -> Result<Vec<Document>, String> {
        let list = self.take(key).unwrap_or_default();
        list.as_array().into_iter().flatten().map(document).collect()
    }

    fn change(&mut self) -> Result<Change, String> {
        change(&self.take("update").unwrap_or_default())
    }
}

fn change(value: &Value) -> Result<Change, String> {
    match value.as_array() {
        Some(stages) => Ok(stages.iter().map(document).collect::<Result<Vec<_>, _>>()?.into()),
        None => Ok(document(value)?.into()),
    }
}

/// What goes with an action besides its own arguments.
struct With<'s> {
    concerns: Arc<Concerns>,
    session: Option<&'s mut Session<Tokio>>,
    rest: Map<String, Value>,
}

impl<'s> With<'s> {
    fn on<'a, K>(self, mut action: Action<'a, K, Tokio>, reads: bool) -> Action<'a, K, Tokio>
    where
        's: 'a,
    {
        let concerns = &self.concerns;
        if reads && let Some(read) = &concerns.read {
            action = action.read_concern(read.clone());
        }
        if reads && let Some(preference) = &concerns.preference {
            action = action.read_preference(preference.clone());
        }
        if !reads && let Some(write) = &concerns.write {
            action = action.write_concern(write.clone());
        }
        if let Some(session) = self.session {
            action = action.session(session);
        }
        for (key, value) in self.rest {
            let value = document(&json!({ "v": value })).unwrap_or_default();
            if let Some(value) = value.as_doc().find("v") {
                action = action.option(&key, value);
            }
        }
        action
    }
}

/// Runs one operation; the outer error is the runner's own.
pub(crate) async fn run(
    world: &mut World,
    admin: &Client<Tokio>,
    operation: &Value,
) -> Result<Outcome, String> {
    let name = operation["name"].as_str().unwrap_or_default();
    let object = operation["object"].as_str().unwrap_or_default();
    let mut arguments = Arguments(operation["arguments"].as_object().cloned().unwrap_or_default());
    if object == "testRunner" {
        return run_own(world, admin, name, arguments).await;
    }
    if name == "endSession" {
        world.sessions.remove(object);
        return Ok(Ok(None));
    }
    if let Some(cursor) = world.cursors.get_mut(object) {
        return Ok(match name {
            "iterateOnce" => cursor.next_if_any().await.map(|found| found.map(|doc| json(doc.as_doc()))),
            "close" => match world.cursors.remove(object) {
                Some(cursor) => cursor.close().await.map(|()| None),
                None => Ok(None),
            },
            _ => cursor.next().await.transpose().map(|found| found.map(|doc| json(doc.as_doc()))),
        });
    }
    let session = arguments.text("session");
    let saved = operation["saveResultAsEntity"].as_str().map(str::to_owned);
    let mut cursor = None;
    let session = world.sessions.get_mut(&session);
    let outcome = if let Some((collection, concerns)) = world.collections.get(object).cloned() {
        of_collection(&collection, name, arguments, concerns, session, &mut cursor).await
    } else if let Some((database, concerns)) = world.databases.get(object).cloned() {
        of_database(&database, name, arguments, concerns, session, &mut cursor).await
    } else if let Some((client, ..)) = world.clients.get(object).cloned() {
        of_client(&client, name, arguments).await
    } else {
        Err(format!("there is no {object}"))
    };
    if let (Some(cursor), Some(name)) = (cursor, saved) {
        world.cursors.insert(name, cursor);
    }
    outcome
}

async fn run_own(
    world: &mut World,
    admin: &Client<Tokio>,
    name: &str,
    mut arguments: Arguments,
) -> Result<Outcome, String> {
    match name {
        "createEntities" => {
            for entity in arguments.take("entities").unwrap_or_default().as_array().into_iter().flatten() {
                world.create(entity).await?;
            }
        }
        "failPoint" => {
            let point = command(&arguments.take("failPoint").unwrap_or_default(), "configureFailPoint")?;
            let database = admin.database("admin");
            database.run_command(point).run().await.map_err(|error| format!("{error:?}"))?;
        }
        "assertSameLsidOnLastTwoCommands" | "assertDifferentLsidOnLastTwoCommands" => {
            let (one, two) =
                world.last_sessions(&arguments.text("client")).ok_or("two commands were expected")?;
            if (one == two) != name.starts_with("assertSame") {
                return Err(format!("the sessions are {one} and {two}"));
            }
        }
        _ => {
            let database = admin.database(arguments.text("databaseName"));
            let collection = arguments.text("collectionName");
            let (list, wanted) = if name.starts_with("assertIndex") {
                let list =
                    database.collection::<Document>(collection.as_str()).list_indexes().collect().await;
                (list.unwrap_or_default(), arguments.text("indexName"))
            } else {
                let list = database.list_collections(doc! {}).collect().await;
                (list.map_err(|error| format!("{error:?}"))?, collection)
            };
            let there = list.iter().any(|doc| doc.as_doc().get_str("name") == Some(&wanted));
            if there == name.contains("Not") {
                return Err(format!("{wanted} is there: {there}"));
            }
        }
    }
    Ok(Ok(None))
}

fn first_name(list: &[Document]) -> Value {
    list.iter().filter_map(|doc| doc.as_doc().get_str("name")).collect()
}

async fn of_client(client: &Client<Tokio>, name: &str, mut arguments: Arguments) -> Result<Outcome, String> {
    let filter = arguments.doc("filter")?;
    Ok(match name {
        "listDatabases" | "listDatabaseObjects" => match client.list_databases(filter).await {
            Ok(list) => Ok(Some(documents(&list))),
            Err(error) => Err(error),
        },
        "listDatabaseNames" => client.list_databases(filter).await.map(|list| Some(first_name(&list))),
        "close" => {
            client.close().await;
            Ok(None)
        }
        other => return Err(format!("{other} is not understood")),
    })
}

async fn of_database(
    database: &Database<Tokio>,
    name: &str,
    mut arguments: Arguments,
    concerns: Arc<Concerns>,
    session: Option<&mut Session<Tokio>>,
    cursor: &mut Option<glowplug::runtime::mongodb::Cursor<Document, Tokio>>,
) -> Result<Outcome, String> {
    Ok(match name {
        "runCommand" | "runCursorCommand" | "createCommandCursor" => {
            let (own, body) = (arguments.text("commandName"), arguments.take("command").unwrap_or_default());
            let body = command(&body, &own)?;
            let preference = arguments.take("readPreference");
            let batch = arguments.number("batchSize");
            arguments.take("timeoutMode");
            let with = With { concerns: Arc::default(), session, rest: Map::new() };
            let preference =
                preference.map(|preference| Concerns::of(&json!({ "readPreference": preference })));
            if name == "runCommand" {
                let mut action = with.on(database.run_command(body), true);
                if let Some(preference) = preference.and_then(|concerns| concerns.preference) {
                    action = action.read_preference(preference);
                }
                return Ok(action.run().await.map(|reply| Some(json(reply.doc()))));
            }
            let mut action = with.on(database.run_cursor_command(body), true);
            if let Some(batch) = batch {
                action = action.batch_size(batch as u32);
            }
            match (name, action.run().await) {
                (_, Err(error)) => Err(error),
                ("runCursorCommand", Ok(found)) => match found.collect().await {
                    Ok(found) => Ok(Some(documents(&found))),
                    Err(error) => Err(error),
                },
                (_, Ok(found)) => {
                    *cursor = Some(found);
                    Ok(None)
                }
            }
        }
        "aggregate" => {
            let stages = arguments.docs("pipeline")?;
            let batch = arguments.number("batchSize");
            let with = With { concerns, session, rest: arguments.0 };
            let mut action = with.on(database.aggregate(stages), true);
            if let Some(batch) = batch {
                action = action.batch_size(batch as u32);
            }
            match action.collect().await {
                Ok(found) => Ok(Some(documents(&found))),
                Err(error) => Err(error),
            }
        }
        "createCollection" => {
            let collection = arguments.text("collection");
            let with = With { concerns, session, rest: arguments.0 };
            with.on(database.create_collection(&collection), false).run().await.map(|()| None)
        }
        "dropCollection" => {
            let collection = database.collection::<Document>(arguments.text("collection"));
            let with = With { concerns, session, rest: arguments.0 };
            match with.on(collection.drop_collection(), false).run().await {
                // What was not there is gone all the same.
                Err(error) if error.code() == Some(26) => Ok(None),
                done => done.map(|()| None),
            }
        }
        "modifyCollection" => {
            let collection = arguments.text("collection");
            let with = With { concerns: Arc::default(), session, rest: arguments.0 };
            let action = with.on(database.run_command(doc! { "collMod": collection }), false);
            action.run().await.map(|reply| Some(json(reply.doc())))
        }
        "listCollections" | "listCollectionNames" | "listCollectionObjects" => {
            let filter = arguments.doc("filter")?;
            let mut rest = arguments.0;
            if let Some(batch) = rest.remove("batchSize") {
                rest.insert("cursor".to_owned(), json!({ "batchSize": batch }));
            }
            let with = With { concerns: Arc::default(), session, rest };
            let list = with.on(database.list_collections(filter), true).collect().await;
            match (name, list) {
                (_, Err(error)) => Err(error),
                ("listCollectionNames", Ok(list)) => Ok(Some(first_name(&list))),
                (_, Ok(list)) => Ok(Some(documents(&list))),
            }
        }
        other => return Err(format!("{other} is not understood")),
    })
}

async fn of_collection(
    collection: &Collection<Document, Tokio>,
    name: &str,
    mut arguments: Arguments,
    concerns: Arc<Concerns>,
    session: Option<&mut Session<Tokio>>,
    cursor: &mut Option<glowplug::runtime::mongodb::Cursor<Document, Tokio>>,
) -> Result<Outcome, String> {
    let silent = concerns.unacknowledged();
    macro_rules! with {
        ($action:expr, $reads:expr) => {
            With { concerns, session, rest: arguments.0 }.on($action, $reads)
        };
    }
    Ok(match name {
        "find" | "createFindCursor" => {
            let filter = arguments.doc("filter")?;
            let (sort, projection) = (arguments.take("sort"), arguments.take("projection"));
            let (skip, limit, batch) =
                (arguments.number("skip"), arguments.number("limit"), arguments.number("batchSize"));
            let mut find = with!(collection.find(filter), true);
            if let Some(sort) = sort {
                find = find.sort(document(&sort)?);
            }
            if let Some(projection) = projection {
                find = find.projection(document(&projection)?);
            }
            if let Some(skip) = skip {
                find = find.skip(skip);
            }
            if let Some(limit) = limit {
                find = find.limit(limit);
            }
            if let Some(batch) = batch {
                find = find.batch_size(batch as u32);
            }
            if name == "find" {
                match find.collect().await {
                    Ok(found) => Ok(Some(documents(&found))),
                    Err(error) => Err(error),
                }
            } else {
                match find.run().await {
                    Ok(found) => {
                        *cursor = Some(found);
                        Ok(None)
                    }
                    Err(error) => Err(error),
                }
            }
        }
        "findOne" => {
            let filter = arguments.doc("filter")?;
            let find = with!(collection.find_one(filter), true);
            find.run().await.map(|found| found.map(|doc| json(doc.as_doc())))
        }
        "insertOne" => {
            let document = arguments.doc("document")?;
            let insert = with!(collection.insert_one(&document), false);
            let done = insert.run().await;
            done.map(|done| (!silent).then(|| json!({ "insertedId": id(&done.inserted_id) })))
        }
        "insertMany" => {
            let documents = arguments.docs("documents")?;
            let ordered = arguments.take("ordered");
            let mut insert = with!(collection.insert_many(&documents), false);
            if let Some(ordered) = ordered {
                insert = insert.ordered(ordered.as_bool().unwrap_or(true));
            }
            let ids = |ids: &[glowplug::runtime::mongodb::OwnedValue]| {
                ids.iter().enumerate().map(|(at, own)| (at.to_string(), id(own))).collect::<Map<_, _>>()
            };
            let done = insert.run().await;
            done.map(|done| (!silent).then(|| json!({ "insertedIds": ids(&done.inserted_ids) })))
        }
        "updateOne" | "updateMany" => {
            let (filter, change) = (arguments.doc("filter")?, arguments.change()?);
            let action = match name {
                "updateOne" => collection.update_one(filter, change),
                _ => collection.update_many(filter, change),
            };
            let update = options_of_update(action, &mut arguments)?;
            with!(update, false).run().await.map(|done| updated(&done))
        }
        "replaceOne" => {
            let (filter, replacement) = (arguments.doc("filter")?, arguments.doc("replacement")?);
            let update = options_of_update(collection.replace_one(filter, &replacement), &mut arguments)?;
            with!(update, false).run().await.map(|done| updated(&done))
        }
        "deleteOne" | "deleteMany" => {
            let filter = arguments.doc("filter")?;
            let mut delete = match name {
                "deleteOne" => collection.delete_one(filter),
                _ => collection.delete_many(filter),
            };
            if let Some(collation) = arguments.take("collation") {
                delete = delete.collation(document(&collation)?);
            }
            if let Some(hint) = arguments.take("hint") {
                let hint = document(&json!({ "v": hint }))?;
                delete = delete.index_hint(hint.as_doc().find("v").ok_or("a hint")?);
            }
            with!(delete, false).run().await.map(deleted)
        }
        "findOneAndDelete" | "findOneAndUpdate" | "findOneAndReplace" => {
            let filter = arguments.doc("filter")?;
            let mut modify = match name {
                "findOneAndDelete" => collection.find_one_and_delete(filter),
                "findOneAndUpdate" => collection.find_one_and_update(filter, arguments.change()?),
                _ => collection.find_one_and_replace(filter, &arguments.doc("replacement")?),
            };
            if let Some(sort) = arguments.take("sort") {
                modify = modify.sort(document(&sort)?);
            }
            if let Some(projection) = arguments.take("projection") {
                modify = modify.projection(document(&projection)?);
            }
            if arguments.take("upsert") == Some(Value::Bool(true)) {
                modify = modify.upsert();
            }
            if arguments.text("returnDocument") == "After" {
                modify = modify.return_new();
            }
            let found = with!(modify, false).run().await;
            found.map(|found| Some(found.map_or(Value::Null, |doc| json(doc.as_doc()))))
        }
        "bulkWrite" => {
            let requests = arguments.take("requests").unwrap_or_default();
            let models: Vec<WriteModel> =
                requests.as_array().into_iter().flatten().map(model).collect::<Result<_, _>>()?;
            let ordered = arguments.take("ordered").and_then(|ordered| ordered.as_bool()).unwrap_or(true);
            let done = with!(collection.bulk_write(models), false).ordered(ordered).run().await;
            done.map(|done| (!silent).then(|| bulk_result(&done)))
        }
        "aggregate" => {
            let stages = arguments.docs("pipeline")?;
            let batch = arguments.number("batchSize");
            let mut action = collection.aggregate(stages);
            if let Some(write) = &concerns.write {
                action = action.write_concern(write.clone());
            }
            if let Some(batch) = batch {
                action = action.batch_size(batch as u32);
            }
            match with!(action, true).collect().await {
                Ok(found) => Ok(Some(documents(&found))),
                Err(error) => Err(error),
            }
        }
        "countDocuments" => {
            let filter = arguments.doc("filter")?;
            let (skip, limit) = (arguments.number("skip"), arguments.number("limit"));
            let mut count = collection.count(filter);
            if let Some(skip) = skip {
                count = count.skip(skip);
            }
            if let Some(limit) = limit {
                count = count.limit(limit);
            }
            with!(count, true).run().await.map(|count| Some(count.into()))
        }
        "estimatedDocumentCount" => {
            with!(collection.estimated_count(), true).run().await.map(|count| Some(count.into()))
        }
        "distinct" => {
            let (field, filter) = (arguments.text("fieldName"), arguments.doc("filter")?);
            let values = with!(collection.distinct(&field, filter), true).run().await;
            values.map(|values| Some(values.iter().map(|value| json_of(value.as_value())).collect()))
        }
        "createIndex" => {
            let (keys, own) = (arguments.doc("keys")?, arguments.text("name"));
            let mut action = collection.create_index(keys);
            if !own.is_empty() {
                action = action.name(&own);
            }
            if arguments.take("unique") == Some(Value::Bool(true)) {
                action = action.unique();
            }
            with!(action, false).run().await.map(|names| Some(names.first().cloned().into()))
        }
        "dropIndex" => {
            let own = arguments.text("name");
            with!(collection.drop_index(&own), false).run().await.map(|()| None)
        }
        "listIndexes" | "listIndexNames" => {
            let mut rest = arguments.0;
            if let Some(batch) = rest.remove("batchSize") {
                rest.insert("cursor".to_owned(), json!({ "batchSize": batch }));
            }
            let with = With { concerns: Arc::default(), session, rest };
            match (name, with.on(collection.list_indexes(), true).collect().await) {
                (_, Err(error)) => Err(error),
                ("listIndexes", Ok(list)) => Ok(Some(documents(&list))),
                (_, Ok(list)) => Ok(Some(first_name(&list))),
            }
        }
        other => return Err(format!("{other} is not understood")),
    })
}

fn options_of_update<'a>(
    mut update: Action<'a, glowplug::runtime::mongodb::Update, Tokio>,
    arguments: &mut Arguments,
) -> Result<Action<'a, glowplug::runtime::mongodb::Update, Tokio>, String> {
    if arguments.take("upsert") == Some(Value::Bool(true)) {
        update = update.upsert();
    }
    if let Some(collation) = arguments.take("collation") {
        update = update.collation(document(&collation)?);
    }
    if let Some(sort) = arguments.take("sort") {
        update = update.sort(document(&sort)?);
    }
    if arguments.0.contains_key("arrayFilters") {
        update = update.array_filters(arguments.docs("arrayFilters")?);
    }
    if let Some(hint) = arguments.take("hint") {
        let hint = document(&json!({ "v": hint }))?;
        update = update.index_hint(hint.as_doc().find("v").ok_or("a hint")?);
    }
    Ok(update)
}

fn updated(done: &UpdateResult) -> Option<Value> {
    let mut result = json!({
        "matchedCount": done.matched, "modifiedCount": done.modified,
        "upsertedCount": usize::from(done.upserted_id.is_some()),
    });
    if let Some(upserted) = &done.upserted_id {
        result["upsertedId"] = id(upserted);
    }
    done.acknowledged.then_some(result)
}

fn deleted(done: DeleteResult) -> Option<Value> {
    done.acknowledged.then(|| json!({ "deletedCount": done.deleted }))
}

pub(crate) fn bulk_result(done: &BulkResult) -> Value {
    let upserted: Map<_, _> = done.upserted.iter().map(|(at, own)| (at.to_string(), id(own))).collect();
    json!({
        "insertedCount": done.inserted, "matchedCount": done.matched, "modifiedCount": done.modified,
        "deletedCount": done.deleted, "upsertedCount": done.upserted.len(), "upsertedIds": upserted,
    })
}

/// One write of a bulk, with all its options.
fn model(request: &Value) -> Result<WriteModel, String> {
    let (kind, request) =
        request.as_object().and_then(|request| request.iter().next()).ok_or("a request has a kind")?;
    let mut fields = Arguments(request.as_object().cloned().unwrap_or_default());
    if kind == "insertOne" {
        return Ok(WriteModel::Insert(fields.doc("document")?));
    }
    let filter = fields.doc("filter")?;
    let mut statement = match kind.as_str() {
        "deleteOne" => doc! { "q": filter, "limit": 1 },
        "deleteMany" => doc! { "q": filter, "limit": 0 },
        "replaceOne" => doc! { "q": filter, "u": fields.doc("replacement")? },
        "updateOne" => doc! { "q": filter, "u": fields.change()? },
        _ => doc! { "q": filter, "u": fields.change()?, "multi": true },
    };
    let rest = document(&Value::Object(fields.0))?;
    if rest.as_doc() != Doc::EMPTY {
        statement.extend(rest.as_doc());
    }
    Ok(if kind.starts_with("delete") { WriteModel::Delete(statement) } else { WriteModel::Update(statement) })
}

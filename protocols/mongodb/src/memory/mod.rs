//! An embedded server for tests and examples: handshake, SCRAM, the common commands, all in memory.
//!
//! It is as pure as everything else here: a connection's number and a [`Request`] go in, a reply comes out. It does what most
//! tests need (insert, find, update, delete, findAndModify, count, distinct, small aggregations, cursors, administration of
//! databases and collections) and answers anything else with an error that says so. Indexes but the one on `_id` are listed,
//! not kept; nothing is written to disk; there are no replica sets, sessions have no effect.

mod admin;
mod aggregate;
mod auth;
mod connection;
mod crud;
mod expression;
mod fail_point;
mod node;
mod query;
mod store;
mod update;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use glowplug_core::{Rng, Seed};

use self::auth::{Authentication, User};
pub use self::connection::{Connection, Handle};
use self::fail_point::{FailPoint, Verdict};
use self::node::{Fields, Node};
use self::store::{Collection, FIRST_BATCH, OpenCursor};
use crate::bson::{Array, Doc, Document, ObjectIds, Value};
use crate::doc;
use crate::server::Request;
use crate::wire::{Compressor, Message};

/// How deeply the documents of a request may be nested, the request itself included.
const MAX_DEPTH: usize = 120;
/// The longest document that is stored.
const MAX_DOCUMENT_LEN: usize = 16 << 20;
/// Numbered writes whose answers are kept.
const MAX_NUMBERED: usize = 1024;
/// Open cursors; of more the oldest is closed.
const MAX_CURSORS: usize = 1024;

/// The server's numbers for errors.
mod code {
    pub(super) const BAD_VALUE: i32 = 2;
    pub(super) const FAILED_TO_PARSE: i32 = 9;
    pub(super) const UNAUTHORIZED: i32 = 13;
    pub(super) const TYPE_MISMATCH: i32 = 14;
    pub(super) const USER_NOT_FOUND: i32 = 11;
    pub(super) const AUTHENTICATION_FAILED: i32 = 18;
    pub(super) const NAMESPACE_NOT_FOUND: i32 = 26;
    pub(super) const PATH_NOT_VIABLE: i32 = 28;
    pub(super) const CURSOR_NOT_FOUND: i32 = 43;
    pub(super) const NAMESPACE_EXISTS: i32 = 48;
    pub(super) const COMMAND_NOT_FOUND: i32 = 59;
    pub(super) const IMMUTABLE_FIELD: i32 = 66;
    pub(super) const TOO_LARGE: i32 = 10334;
    pub(super) const DUPLICATE_KEY: i32 = 11000;
    pub(super) const LIMIT_NOT_POSITIVE: i32 = 15958;
    pub(super) const NO_SUCH_STAGE: i32 = 40324;
    pub(super) const USER_EXISTS: i32 = 51003;
    pub(super) const OUT_OF_SPACE: i32 = 14031;
}

/// A command, or one write of it, that cannot be carried out.
#[derive(Clone, Debug)]
struct Failure {
    code: i32,
    message: String,
}

impl Failure {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    fn name(&self) -> &'static str {
        match self.code {
            code::BAD_VALUE => "BadValue",
            code::FAILED_TO_PARSE => "FailedToParse",
            code::UNAUTHORIZED => "Unauthorized",
            code::USER_NOT_FOUND => "UserNotFound",
            code::USER_EXISTS => "Location51003",
            code::LIMIT_NOT_POSITIVE => "Location15958",
            code::NO_SUCH_STAGE => "Location40324",
            code::TYPE_MISMATCH => "TypeMismatch",
            code::AUTHENTICATION_FAILED => "AuthenticationFailed",
            code::NAMESPACE_NOT_FOUND => "NamespaceNotFound",
            code::PATH_NOT_VIABLE => "PathNotViable",
            code::CURSOR_NOT_FOUND => "CursorNotFound",
            code::NAMESPACE_EXISTS => "NamespaceExists",
            code::COMMAND_NOT_FOUND => "CommandNotFound",
            code::IMMUTABLE_FIELD => "ImmutableField",
            code::TOO_LARGE => "BSONObjectTooLarge",
            code::DUPLICATE_KEY => "DuplicateKey",
            _ => "OutOfDiskSpace",
        }
    }

    fn reply(&self) -> Document {
        doc! { "ok": 0.0, "errmsg": &self.message, "code": self.code, "codeName": self.name() }
    }
}

impl From<crate::DecodeError> for Failure {
    fn from(error: crate::DecodeError) -> Self {
        Self::new(code::BAD_VALUE, error.to_string())
    }
}

impl From<crate::EncodeError> for Failure {
    fn from(error: crate::EncodeError) -> Self {
        Self::new(code::TOO_LARGE, error.to_string())
    }
}

type Outcome = Result<Document, Failure>;

/// How an embedded server behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemoryConfig {
    /// Users of the `admin` database, with their passwords. With any, everything but the handshake needs authentication.
    pub users: Vec<(String, String)>,
    /// Subjects of certificates with which clients may authenticate by MONGODB-X509, such as `CN=ada,O=shop`. The machine sees no certificates and
    /// takes the client's word; one that names no subject is the first. With any, everything but the handshake needs authentication.
    pub x509_subjects: Vec<String>,
    /// Bytes of documents that it keeps in all; writes beyond fail. Default 256 MiB.
    pub max_bytes: usize,
    /// The time for the ids that it makes, in seconds since 1970.
    pub seconds: u32,
    /// Says that it is the only member of this replica set, and makes numbered writes once. Default `None`: a standalone.
    pub replica_set: Option<String>,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            users: Vec::new(),
            x509_subjects: Vec::new(),
            max_bytes: 256 << 20,
            seconds: 0,
            replica_set: None,
        }
    }
}

/// The embedded server: all its data, and what it knows of its connections.
#[derive(Debug)]
pub struct MemoryServer {
    config: MemoryConfig,
    databases: BTreeMap<String, BTreeMap<String, Collection>>,
    bytes: usize,
    cursors: BTreeMap<i64, OpenCursor>,
    next_cursor: i64,
    users: BTreeMap<String, User>,
    /// Everything but the handshake needs authentication.
    guarded: bool,
    fail_point: Option<FailPoint>,
    /// Connections that are to end without a reply.
    hangups: BTreeSet<u64>,
    authentications: BTreeMap<u64, Authentication>,
    /// Answers to numbered writes.
    numbered: BTreeMap<(Vec<u8>, i64), Document>,
    ids: ObjectIds,
    rng: Rng,
}

/// A command taken apart.
struct Call<'a> {
    connection: u64,
    name: &'a str,
    database: &'a str,
    body: Doc<'a>,
    message: &'a Message,
}

impl<'a> Call<'a> {
    /// The collection that the command names in its first field.
    fn collection(&self) -> Result<&'a str, Failure> {
        let name = self.body.get_str(self.name).filter(|name| !name.is_empty());
        name.ok_or_else(|| {
            Failure::new(code::BAD_VALUE, format!("{} needs the name of a collection", self.name))
        })
    }

    fn namespace(&self) -> Result<String, Failure> {
        Ok(format!("{}.{}", self.database, self.collection()?))
    }

    /// The document named `key` as fields; none when it is not there.
    fn fields(&self, key: &str) -> Result<Fields, Failure> {
        self.body.get_doc(key).map_or(Ok(Fields::new()), |doc| Ok(node::fields(doc)?))
    }

    /// A number that cannot be negative.
    fn count(&self, key: &str) -> Option<usize> {
        self.body.get_i64(key).map(|count| usize::try_from(count).unwrap_or(0))
    }

    /// The documents of an array field, whether they are in it or beside the command.
    fn statements(&self, key: &str) -> Vec<Doc<'a>> {
        if let Message::Msg(message) = self.message
            && let Some(sequence) = message.sequences().find(|sequence| sequence.identifier() == key)
        {
            return sequence.docs().collect();
        }
        self.body.get_array(key).map(|array| array.docs().collect()).unwrap_or_default()
    }
}

impl MemoryServer {
    /// An empty server. The seed makes nonces, salts and ids.
    pub fn new(config: MemoryConfig, seed: &Seed) -> Self {
        let mut rng = seed.rng();
        let users = config
            .users
            .iter()
            .filter_map(|(name, password)| Some((name.clone(), User::new(name, password, &mut rng)?)))
            .collect();
        Self {
            guarded: !(config.users.is_empty() && config.x509_subjects.is_empty()),
            fail_point: None,
            hangups: BTreeSet::new(),
            config,
            databases: BTreeMap::new(),
            bytes: 0,
            cursors: BTreeMap::new(),
            next_cursor: 0,
            users,
            authentications: BTreeMap::new(),
            numbered: BTreeMap::new(),
            ids: ObjectIds::new(&rng.seed()),
            rng,
        }
    }

    /// Carries out what a connection asks. `None`: the request wants no answer, and was carried out all the same.
    ///
    /// Connections are numbered by the caller; a number is free again after [`disconnect`](Self::disconnect).
    pub fn handle(&mut self, connection: u64, request: &Request) -> Option<Document> {
        let reply = self.dispatch(connection, request).unwrap_or_else(|failure| failure.reply());
        request.handle.map(|_| reply)
    }

    /// A connection is gone.
    pub fn disconnect(&mut self, connection: u64) {
        self.authentications.remove(&connection);
        self.hangups.remove(&connection);
    }

    fn dispatch(&mut self, connection: u64, request: &Request) -> Outcome {
        let no_command = || Failure::new(code::COMMAND_NOT_FOUND, "the in-memory server takes commands only");
        let (Some(body), Some(database)) = (request.command(), request.database()) else {
            return Err(no_command());
        };
        body.validate(MAX_DEPTH)?;
        if let Message::Msg(message) = &request.message {
            message
                .sequences()
                .flat_map(|sequence| sequence.docs())
                .try_for_each(|doc| doc.validate(MAX_DEPTH))?;
        }
        let (name, _) = body.iter().next().ok_or_else(no_command)??;
        let call = Call { connection, name, database, body, message: &request.message };
        let open = matches!(
            name,
            "hello"
                | "isMaster"
                | "ismaster"
                | "ping"
                | "buildInfo"
                | "buildinfo"
                | "saslStart"
                | "saslContinue"
                | "authenticate"
                | "endSessions"
        );
        if !open && self.guarded && !self.is_authenticated(connection) {
            return Err(Failure::new(code::UNAUTHORIZED, format!("Command {name} requires authentication")));
        }
        match self.fail_point_verdict(connection, name) {
            Verdict::Pass => self.carry_out(&call),
            Verdict::HangupAfterwards => {
                self.carry_out(&call)?;
                Ok(Document::new())
            }
            Verdict::Append(extra) => {
                let mut reply = self.carry_out(&call)?;
                reply.extend(extra.as_doc());
                Ok(reply)
            }
            Verdict::Reply(reply) => Ok(reply),
            Verdict::Hangup => Ok(Document::new()),
        }
    }

    /// Carries a command out. What a numbered write answers is kept, for when it comes again.
    fn carry_out(&mut self, call: &Call<'_>) -> Outcome {
        if let Some(reply) = self.made_before(call) {
            return Ok(reply);
        }
        let outcome = self.run(call);
        if let (Ok(reply), Some(key)) = (&outcome, write_key(call)) {
            if self.numbered.len() >= MAX_NUMBERED {
                self.numbered.pop_first();
            }
            self.numbered.insert(key, reply.clone());
        }
        outcome
    }

    /// The answer to a numbered write that was made before.
    fn made_before(&self, call: &Call<'_>) -> Option<Document> {
        self.config.replica_set.as_ref()?;
        self.numbered.get(&write_key(call)?).cloned()
    }

    fn run(&mut self, call: &Call<'_>) -> Outcome {
        let &Call { connection, name, database, body, .. } = call;
        match name {
            "hello" | "isMaster" | "ismaster" => Ok(self.hello(call)),
            "ping" | "endSessions" | "logout" => Ok(doc! { "ok": 1.0 }),
            "buildInfo" | "buildinfo" => Ok(
                doc! { "version": "7.0.0", "versionArray": [7, 0, 0, 0], "maxBsonObjectSize": 16 << 20, "ok": 1.0 },
            ),
            "saslStart" => self.sasl_start(connection, body),
            "saslContinue" => self.sasl_continue(connection, body),
            "authenticate" => self.authenticate(connection, body),
            "insert" => self.insert(call),
            "find" => self.find(call),
            "getMore" => self.get_more(call),
            "killCursors" => self.kill_cursors(call),
            "update" => self.update(call),
            "delete" => self.delete(call),
            "findAndModify" | "findandmodify" => self.find_and_modify(call),
            "count" => self.count(call),
            "distinct" => self.distinct(call),
            "aggregate" => self.aggregate(call),
            "create" => self.create(call),
            "drop" => self.drop_collection(call),
            "dropDatabase" => {
                for (_, collection) in self.databases.remove(database).unwrap_or_default() {
                    self.forget(&collection);
                }
                Ok(doc! { "ok": 1.0 })
            }
            "listDatabases" => {
                let names = self.databases.iter().filter(|(_, collections)| !collections.is_empty());
                let list: Vec<_> = names.map(|(name, _)| doc! { "name": name, "empty": false }).collect();
                Ok(doc! { "databases": list, "ok": 1.0 })
            }
            "listCollections" => self.list_collections(call),
            "createIndexes" => self.create_indexes(call),
            "listIndexes" => self.list_indexes(call),
            "dropIndexes" => self.drop_indexes(call),
            "renameCollection" => self.rename_collection(call),
            "createUser" => self.create_user(call),
            "dropUser" => self.drop_user(call),
            "usersInfo" => Ok(self.users_info(call)),
            "configureFailPoint" => self.configure_fail_point(call),
            _ => Err(Failure::new(code::COMMAND_NOT_FOUND, format!("no such command: '{name}'"))),
        }
    }

    fn hello(&mut self, call: &Call<'_>) -> Document {
        let mut document = doc! {
            "helloOk": true, "ismaster": true, "isWritablePrimary": true, "maxBsonObjectSize": MAX_DOCUMENT_LEN as i64,
            "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000, "minWireVersion": 0, "maxWireVersion": 21,
            "logicalSessionTimeoutMinutes": 30, "connectionId": call.connection as i64, "readOnly": false,
        };
        if let Some(name) = &self.config.replica_set {
            document.append("setName", name).append("secondary", false);
        }
        let offered = call.body.get_array("compression").into_iter().flat_map(Array::iter);
        let common: Vec<_> = offered
            .map_while(Result::ok)
            .filter_map(Value::as_str)
            .filter(|name| Compressor::from_name(name).is_some_and(Compressor::is_available))
            .take(8)
            .collect();
        if !common.is_empty() {
            document.append("compression", common);
        }
        if let Some(user) =
            call.body.get_str("saslSupportedMechs").and_then(|user| user.strip_prefix("admin."))
            && self.users.contains_key(user)
        {
            document.append("saslSupportedMechs", ["SCRAM-SHA-1", "SCRAM-SHA-256"]);
        }
        // A speculation that fails is not an error: the client tries again in the open.
        if let Some(start) = call.body.get_doc("speculativeAuthenticate")
            && let Ok(answer) = self.sasl_start(call.connection, start)
        {
            document.append("speculativeAuthenticate", answer);
        }
        document.append("ok", 1.0);
        document
    }

    /// The collection, made if it is not there.
    fn collection_mut(&mut self, database: &str, collection: &str) -> &mut Collection {
        self.databases.entry(database.to_owned()).or_default().entry(collection.to_owned()).or_default()
    }

    fn collection(&self, database: &str, collection: &str) -> Option<&Collection> {
        self.databases.get(database)?.get(collection)
    }

    /// Takes the bytes of a collection that is gone off the account.
    fn forget(&mut self, collection: &Collection) {
        let bytes: usize = collection.all().map(Node::size).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Replies with the first batch, and keeps a cursor for the rest.
    fn open_cursor(
        &mut self,
        namespace: String,
        documents: Vec<Node>,
        batch_size: Option<usize>,
        single: bool,
    ) -> Outcome {
        let mut cursor = OpenCursor::new(namespace, documents);
        let batch = cursor.batch(batch_size.unwrap_or(FIRST_BATCH));
        let namespace = cursor.namespace.clone();
        let mut id = 0;
        if !single && !cursor.is_empty() {
            self.next_cursor += 1;
            id = self.next_cursor;
            if self.cursors.len() >= MAX_CURSORS {
                self.cursors.pop_first();
            }
            self.cursors.insert(id, cursor);
        }
        cursor_reply(&namespace, id, "firstBatch", &batch)
    }

    fn get_more(&mut self, call: &Call<'_>) -> Outcome {
        let id = call.body.get_i64("getMore").unwrap_or(0);
        let collection = call.body.get_str("collection").unwrap_or_default();
        let namespace = format!("{}.{collection}", call.database);
        let Some(cursor) = self.cursors.get_mut(&id).filter(|cursor| cursor.namespace == namespace) else {
            return Err(Failure::new(code::CURSOR_NOT_FOUND, format!("cursor id {id} not found")));
        };
        let batch = cursor.batch(call.count("batchSize").filter(|size| *size > 0).unwrap_or(usize::MAX));
        let done = cursor.is_empty();
        if done {
            self.cursors.remove(&id);
        }
        cursor_reply(&namespace, if done { 0 } else { id }, "nextBatch", &batch)
    }

    fn kill_cursors(&mut self, call: &Call<'_>) -> Outcome {
        let namespace = call.namespace()?;
        let (mut killed, mut missing) = (Vec::new(), Vec::new());
        let ids = call.body.get_array("cursors").into_iter().flat_map(Array::iter);
        for id in ids.map_while(Result::ok).filter_map(Value::as_i64) {
            if self.cursors.get(&id).is_some_and(|cursor| cursor.namespace == namespace) {
                self.cursors.remove(&id);
                killed.push(id);
            } else {
                missing.push(id);
            }
        }
        let nothing: [i64; 0] = [];
        Ok(doc! {
            "cursorsKilled": killed, "cursorsNotFound": missing, "cursorsAlive": nothing, "cursorsUnknown": nothing, "ok": 1.0,
        })
    }

    /// True when a collection has a document that matches: for tests, which so look past every connection.
    pub fn contains(&self, database: &str, collection: &str, filter: Doc<'_>) -> bool {
        let (Ok(filter), Some(collection)) = (node::fields(filter), self.collection(database, collection))
        else {
            return false;
        };
        collection.find(&filter).is_ok_and(|found| !found.is_empty())
    }

    /// Cursors that are open.
    pub fn open_cursors(&self) -> usize {
        self.cursors.len()
    }

    fn create(&mut self, call: &Call<'_>) -> Outcome {
        let collection = call.collection()?;
        if self.collection(call.database, collection).is_some() {
            return Err(Failure::new(code::NAMESPACE_EXISTS, format!("{} exists", call.namespace()?)));
        }
        self.collection_mut(call.database, collection);
        Ok(doc! { "ok": 1.0 })
    }

    fn drop_collection(&mut self, call: &Call<'_>) -> Outcome {
        let name = call.collection()?;
        let collection =
            self.databases.get_mut(call.database).and_then(|collections| collections.remove(name));
        match collection {
            Some(collection) => {
                self.forget(&collection);
                Ok(doc! { "ns": call.namespace()?, "nIndexesWas": 1, "ok": 1.0 })
            }
            // As servers have it since 7.0.
            None => Ok(doc! { "ok": 1.0 }),
        }
    }

    fn list_collections(&mut self, call: &Call<'_>) -> Outcome {
        let filter = call.fields("filter")?;
        let mut list = Vec::new();
        for name in self.databases.get(call.database).into_iter().flat_map(BTreeMap::keys) {
            let entry =
                doc! { "name": name, "type": "collection", "options": {}, "info": { "readOnly": false } };
            let entry = Node::Doc(node::fields(entry.as_doc())?);
            if query::matches(&entry, &filter)? {
                list.push(entry);
            }
        }
        self.open_cursor(format!("{}.$cmd.listCollections", call.database), list, None, false)
    }

    fn create_indexes(&mut self, call: &Call<'_>) -> Outcome {
        let indexes =
            call.statements("indexes").into_iter().map(node::fields).collect::<Result<Vec<_>, _>>()?;
        let collection = self.collection_mut(call.database, call.collection()?);
        let before = collection.indexes.len() + 1;
        for index in indexes {
            if !collection.indexes.contains(&index) && collection.indexes.len() < 63 {
                collection.indexes.push(index);
            }
        }
        let after = collection.indexes.len() + 1;
        Ok(doc! { "numIndexesBefore": before as i64, "numIndexesAfter": after as i64, "ok": 1.0 })
    }

    fn list_indexes(&mut self, call: &Call<'_>) -> Outcome {
        let missing = || Failure::new(code::NAMESPACE_NOT_FOUND, "ns does not exist");
        let collection = self.collection(call.database, call.collection()?).ok_or_else(missing)?;
        let id = doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" };
        let mut list = vec![Node::Doc(node::fields(id.as_doc())?)];
        list.extend(collection.indexes.iter().cloned().map(Node::Doc));
        self.open_cursor(call.namespace()?, list, None, false)
    }

    fn drop_indexes(&mut self, call: &Call<'_>) -> Outcome {
        let name = call.body.get_str("index").unwrap_or_default().to_owned();
        let collection = self.collection_mut(call.database, call.collection()?);
        let before = collection.indexes.len() + 1;
        collection.indexes.retain(|index| {
            let own = index.iter().find(|(key, _)| key == "name").map(|(_, value)| value);
            name != "*" && own != Some(&Node::String(name.clone()))
        });
        Ok(doc! { "nIndexesWas": before as i64, "ok": 1.0 })
    }
}

/// What a numbered write is known by: its session and its number.
fn write_key(call: &Call<'_>) -> Option<(Vec<u8>, i64)> {
    let number = call.body.get_i64("txnNumber")?;
    Some((call.body.get_doc("lsid")?.as_bytes().to_vec(), number))
}

/// A reply with one batch.
fn cursor_reply(namespace: &str, id: i64, key: &str, batch: &[Node]) -> Outcome {
    let mut document = Document::with_capacity(batch.iter().map(Node::size).sum::<usize>() + 128);
    {
        let mut writer = document.writer();
        let mut cursor = writer.document("cursor");
        let mut documents = cursor.array(key);
        for node in batch {
            if let Node::Doc(fields) = node {
                node::put_fields(&mut documents.try_document()?, fields)?;
            }
        }
        drop(documents);
        cursor.append("id", id).append("ns", namespace);
    }
    document.append("ok", 1.0);
    Ok(document)
}

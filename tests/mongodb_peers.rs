//! Beside other implementations: a real server from PyPI, and pymongo as a foreign client of the embedded server.
//!
//! `GLOWPLUG_SECANTUSD` names the server's program, else `secantusd-py` is looked for on `PATH`; pymongo is that of the Python beside it.
//! Without them these tests say so and pass, unless `GLOWPLUG_REQUIRE_SERVERS=1`.

#![allow(clippy::large_futures, reason = "a test runs few of them")]

#[allow(unused_imports, unused_macros, reason = "these tests are about servers, not executors")]
mod support;

#[path = "support/port.rs"]
mod port;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use glowplug::mongodb::bson::{Document, Value};
use glowplug::mongodb::doc;
use glowplug::mongodb::memory::{Handle, MemoryConfig};
use glowplug::runtime::mongodb::{Client, Collection, ConnectError, Error, WriteModel, serve_memory};
use glowplug::runtime::server::Server;
use glowplug::runtime::time::sleep;
use glowplug::tokio::Tokio;
use port::Reserved;
use rcgen::{CertificateParams, DnType, KeyPair};

/// What differs between the embedded server and the real one, by the name of the step. Everything else has to be the same.
const DIFFERENCES: &[(&str, &str)] = &[];

/// The server's program, or none with a word about it.
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("GLOWPLUG_SECANTUSD").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = named.or_else(|| {
        std::env::split_paths(&path).map(|folder| folder.join("secantusd-py")).find(|path| path.is_file())
    });
    let required = std::env::var_os("GLOWPLUG_REQUIRE_SERVERS").is_some_and(|value| value == "1");
    assert!(found.is_some() || !required, "secantusd-py is required, and not on PATH");
    if found.is_none() {
        // To the terminal itself: what a passing test prints is seen by nobody.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipped: secantusd-py is not on PATH, and GLOWPLUG_SECANTUSD names none\n",
        );
    }
    found
}

/// A real server, stopped when it is dropped.
struct Peer {
    child: Child,
    uri: String,
    _port: Reserved,
}

impl Peer {
    /// A standalone in memory, in the clear, for everybody.
    async fn start(program: &Path) -> Self {
        Self::start_with(program, &["--storage-path", ":memory:", "--standalone"], "").await
    }

    /// One with settings of its own; `options` of the connection string are what it takes to reach it.
    async fn start_with(program: &Path, arguments: &[&str], options: &str) -> Self {
        let port = Reserved::new();
        let child = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", &port.at().port().to_string()])
            .args(["--enable-test-commands", "--log-level", "ERROR"])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut peer = Self { child, uri: format!("mongodb://{}", port.at()), _port: port };
        // It says by answering that it is there. On a machine with much else to do, Python takes its time.
        for _ in 0..600 {
            if Client::<Tokio>::connect(&format!("{}/{options}", peer.uri)).await.is_ok() {
                return peer;
            }
            let ended = peer.child.try_wait().expect("a child");
            assert!(ended.is_none(), "the server ended before it answered: {ended:?}");
            sleep(&Tokio, Duration::from_millis(100)).await;
        }
        panic!("the server does not answer");
    }
}

impl Peer {
    /// Ends in good order, so that what is stored is whole.
    fn stop(mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `test` beside the embedded server.
async fn beside_embedded(users: &[(&str, &str)], test: impl AsyncFnOnce(String)) {
    let server = Server::bind(Tokio, support::any_port()).await.expect("a free port");
    let at = server.local_endpoint().expect("an address");
    let mut config = MemoryConfig::default();
    config.users = users.iter().map(|(name, password)| ((*name).into(), (*password).into())).collect();
    let data = Handle::new(config, &glowplug::core::Seed::from_u64(3));
    support::beside(test(at.to_string()), serve_memory(Tokio, server, data)).await;
}

/// The commands of the transcript, each with a name.
fn steps() -> Vec<(&'static str, Document)> {
    let find = |filter: Document| doc! { "find": "fruit", "filter": filter, "sort": { "_id": 1 } };
    let update = |filter: Document, change: Document| doc! { "update": "fruit", "updates": [{ "q": filter, "u": change, "multi": true }] };
    vec![
        (
            "insert",
            doc! { "insert": "fruit", "documents": [
                { "_id": 1, "name": "fig", "grams": 50, "tags": ["a", "b"] },
                { "_id": 2, "name": "kiwi", "grams": 75.5, "tags": [] },
                { "_id": 3, "name": "apple", "grams": 150i64, "origin": { "land": "at", "year": 2020 } },
            ] },
        ),
        ("duplicate key", doc! { "insert": "fruit", "documents": [{ "_id": 1 }] }),
        ("find all", find(doc! {})),
        ("find by range", find(doc! { "grams": { "$gt": 50, "$lte": 150 } })),
        ("find nested", find(doc! { "origin.land": "at" })),
        ("find in array", find(doc! { "tags": "a" })),
        ("find by size", find(doc! { "tags": { "$size": 0 } })),
        ("find by or", find(doc! { "$or": [{ "name": "fig" }, { "_id": 3 }] })),
        ("find by exists", find(doc! { "origin": { "$exists": false } })),
        ("find by type", find(doc! { "grams": { "$type": "long" } })),
        ("find with an unknown operator", find(doc! { "grams": { "$wrong": 1 } })),
        (
            "projection",
            doc! { "find": "fruit", "projection": { "name": 1, "_id": 0 }, "sort": { "name": -1 }, "limit": 2 },
        ),
        (
            "skip",
            doc! { "find": "fruit", "sort": { "_id": 1 }, "skip": 1, "limit": 1, "projection": { "name": 1 } },
        ),
        ("set", update(doc! { "_id": 1 }, doc! { "$set": { "grams": 55, "new.deep": true } })),
        ("set again", update(doc! { "_id": 1 }, doc! { "$set": { "grams": 55 } })),
        ("inc and mul", update(doc! { "_id": 2 }, doc! { "$inc": { "count": 2 }, "$mul": { "grams": 2 } })),
        ("push", update(doc! { "_id": 2 }, doc! { "$push": { "tags": { "$each": ["x", "y"] } } })),
        ("add to set", update(doc! { "_id": 1 }, doc! { "$addToSet": { "tags": "a" } })),
        ("pull", update(doc! { "_id": 1 }, doc! { "$pull": { "tags": "b" } })),
        (
            "unset and rename",
            update(
                doc! { "_id": 3 },
                doc! { "$unset": { "origin.year": "" }, "$rename": { "name": "title" } },
            ),
        ),
        ("change the id", update(doc! { "_id": 3 }, doc! { "$set": { "_id": 9 } })),
        ("after the updates", find(doc! {})),
        (
            "upsert",
            doc! { "update": "fruit", "updates": [{ "q": { "_id": 9, "a": 1 }, "u": { "$set": { "b": 2 } }, "upsert": true }] },
        ),
        (
            "find and modify",
            doc! { "findAndModify": "fruit", "query": { "_id": 9 }, "update": { "$inc": { "b": 1 } }, "new": true },
        ),
        ("find and remove", doc! { "findAndModify": "fruit", "query": { "_id": 9 }, "remove": true }),
        ("count", doc! { "count": "fruit", "query": { "grams": { "$gte": 100 } } }),
        ("distinct", doc! { "distinct": "fruit", "key": "_id", "query": {} }),
        (
            "group",
            doc! { "aggregate": "fruit", "pipeline": [
                { "$match": { "_id": { "$lt": 9 } } }, { "$group": { "_id": 1, "n": { "$sum": 1 } } },
            ], "cursor": {} },
        ),
        (
            "create index",
            doc! { "createIndexes": "fruit", "indexes": [{ "key": { "grams": 1 }, "name": "grams_1" }] },
        ),
        ("drop index", doc! { "dropIndexes": "fruit", "index": "grams_1" }),
        ("delete", doc! { "delete": "fruit", "deletes": [{ "q": { "_id": { "$gt": 1 } }, "limit": 0 }] }),
        ("an unknown command", doc! { "noSuchThing": 1 }),
        ("drop", doc! { "drop": "fruit" }),
        ("drop what is not there", doc! { "drop": "fruit" }),
    ]
}

/// What of a reply a driver acts on.
fn essence(result: Result<glowplug::mongodb::Reply, Error>) -> String {
    let reply = match result {
        Ok(reply) => reply,
        Err(error) => return format!("error {:?}", error.code()),
    };
    let doc = reply.doc();
    let mut kept = Document::new();
    for key in ["n", "nModified", "value", "values", "upserted"] {
        match doc.find(key) {
            Some(Value::Int64(number)) => drop(kept.append(key, number as i32)),
            Some(value) => drop(kept.append(key, value)),
            None => {}
        }
    }
    if let Some(cursor) = doc.get_doc("cursor") {
        kept.append("id", cursor.get_i64("id").unwrap_or(-1) as i32);
        kept.append("batch", cursor.find("firstBatch").unwrap_or(Value::Null));
    }
    let codes: Vec<i32> = reply.write_errors().map(|error| error.code).collect();
    kept.append("errors", codes);
    kept.to_string()
}

async fn transcript(uri: &str) -> Vec<(&'static str, String)> {
    let client = Client::<Tokio>::connect(uri).await.expect("connected");
    let database = client.database("transcript");
    database.drop_database().run().await.expect("dropped");
    let mut seen = Vec::new();
    for (name, command) in steps() {
        seen.push((name, essence(database.run_command(command).run().await)));
    }
    seen
}

#[test]
fn both_servers_say_the_same() {
    let Some(program) = program() else { return };
    support::on_tokio(|_| async {
        let peer = Peer::start(&program).await;
        let real = transcript(&peer.uri).await;
        beside_embedded(&[], async |at: String| {
            let ours = transcript(&format!("mongodb://{at}")).await;
            let mut unexpected = Vec::new();
            for ((name, real), (_, ours)) in real.iter().zip(&ours) {
                let known = DIFFERENCES.iter().find(|(step, _)| step == name);
                match (real == ours, known) {
                    (true, None) => {}
                    (false, Some((_, why))) => {
                        eprintln!("{name} differs: {why}\n  real: {real}\n  ours: {ours}");
                    }
                    (true, Some(_)) => unexpected.push(format!("{name} no longer differs")),
                    (false, None) => unexpected.push(format!("{name}\n  real: {real}\n  ours: {ours}")),
                }
            }
            assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
        })
        .await;
    });
}

/// What a client does all day, against any server.
async fn a_days_work(uri: &str) {
    let client = Client::<Tokio>::connect(uri).await.expect("connected");
    let fruit: Collection<Document, Tokio> = client.database("work").collection("fruit");
    fruit.drop_collection().run().await.ok();
    let documents: Vec<_> = (0..500).map(|number| doc! { "_id": number, "half": number / 2 }).collect();
    fruit.insert_many(&documents).run().await.expect("inserted");
    assert_eq!(fruit.find(doc! {}).batch_size(50).collect().await.expect("found").len(), 500);
    assert_eq!(fruit.count(doc! { "half": 3 }).run().await.expect("counted"), 2);
    let mut cursor = fruit.find(doc! {}).batch_size(10).run().await.expect("found");
    assert!(cursor.next().await.is_some());
    cursor.close().await.expect("killed");
    let error = fruit.insert_one(&doc! { "_id": 1 }).run().await.expect_err("it is there already");
    assert!(error.is_duplicate_key(), "{error}");
    let changed = fruit
        .find_one_and_update(doc! { "_id": 1 }, doc! { "$set": { "ripe": true } })
        .return_new()
        .run()
        .await
        .expect("changed");
    assert_eq!(changed.and_then(|doc| doc.as_doc().get_bool("ripe")), Some(true));
    let models = [
        WriteModel::Insert(doc! { "_id": 1000 }),
        WriteModel::update_many(doc! { "half": 7 }.as_doc(), doc! { "$inc": { "n": 1 } }.as_doc(), false),
        WriteModel::delete_one(doc! { "_id": 0 }.as_doc()),
    ];
    let result = fruit.bulk_write(models).run().await.expect("written");
    assert_eq!((result.inserted, result.modified, result.deleted), (1, 2, 1));
    let mut session = client.start_session().expect("sessions");
    fruit.insert_one(&doc! { "_id": 2000 }).session(&mut session).run().await.expect("inserted");
    client.database("work").drop_database().run().await.expect("dropped");
}

#[test]
fn a_days_work_with_a_real_server() {
    let Some(program) = program() else { return };
    support::on_tokio(|_| async {
        let peer = Peer::start(&program).await;
        a_days_work(&peer.uri).await;
        a_days_work(&format!("{}/?compressors=zlib", peer.uri)).await;
    });
}

/// Cursors of every kind, against any server that has them.
async fn cursors(uri: &str) {
    let client = Client::<Tokio>::connect(uri).await.expect("connected");
    let database = client.database("cursors");
    let log: Collection<Document, Tokio> = database.collection("log");
    log.drop_collection().run().await.ok();
    let capped = database.create_collection("log").option("capped", true).option("size", 1 << 20);
    capped.run().await.expect("made");
    log.insert_many(&[doc! { "_id": 1 }, doc! { "_id": 2 }]).run().await.expect("inserted");
    // Read to its end, a tailable cursor lives; what is added later comes.
    let mut tail = log.find(doc! {}).tailable(Some(100)).run().await.expect("found");
    for id in 1..=2 {
        let next = tail.next_if_any().await.expect("asked").expect("a document");
        assert_eq!(next.as_doc().get_i64("_id"), Some(id));
    }
    let none = tail.next_if_any().await.expect("asked");
    assert!(none.is_none() && tail.is_alive(), "{none:?}, {tail:?}");
    log.insert_one(&doc! { "_id": 3 }).run().await.expect("inserted");
    let mut next = None;
    for _ in 0..50 {
        next = tail.next_if_any().await.expect("asked");
        if next.is_some() {
            break;
        }
    }
    assert_eq!(next.and_then(|doc| doc.as_doc().get_i64("_id")), Some(3));
    tail.close().await.expect("killed");
    let many: Vec<_> = (0..1000).map(|number| doc! { "_id": number }).collect();
    let fruit: Collection<Document, Tokio> = database.collection("fruit");
    fruit.drop_collection().run().await.ok();
    fruit.insert_many(&many).run().await.expect("inserted");
    let all = fruit.find(doc! {}).batch_size(50).exhaust().collect().await.expect("found");
    assert_eq!(all.len(), 1000);
    // Left early, the rest of the stream is somebody else's work.
    let mut cursor = fruit.find(doc! {}).batch_size(50).exhaust().run().await.expect("found");
    cursor.next().await.expect("there are more").expect("a document");
    drop(cursor);
    client.ping().await.expect("the client goes on");
    // A cursor that was killed behind its back is an error, not the end.
    let mut cursor = fruit.find(doc! {}).batch_size(2).run().await.expect("found");
    let kill = doc! { "killAllSessions": [] };
    if database.client().database("admin").run_command(kill).run().await.is_ok() {
        let mut read = 0;
        let ended = loop {
            match cursor.next().await {
                Some(Ok(_)) => read += 1,
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        assert!(ended.is_some() || read == 1000, "{read} documents, and the end");
    }
    database.drop_database().run().await.expect("dropped");
    client.close().await;
}

#[test]
fn cursors_of_a_real_server() {
    let Some(program) = program() else { return };
    support::on_tokio(|_| async {
        cursors(&Peer::start(&program).await.uri).await;
    });
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("glowplug-mongodb-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("text").to_owned()
    }

    fn pem(&self, name: &str, label: &str, der: &[u8]) -> String {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        std::fs::write(self.file(name), format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n"))
            .expect("written");
        self.file(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server that asks who one is, under TLS and not.
#[test]
fn a_real_server_that_knows_its_users() {
    let Some(program) = program() else { return };
    support::on_tokio(|_| async {
        let folder = Folder::new("users");
        let data = folder.file("data");
        {
            // Users are made while everybody may.
            let open = Peer::start_with(&program, &["--storage-path", &data], "").await;
            let client = Client::<Tokio>::connect(&open.uri).await.expect("connected");
            let roles = [doc! { "role": "root", "db": "admin" }];
            let mechanisms = vec!["SCRAM-SHA-1", "SCRAM-SHA-256"];
            let database = client.database("admin");
            let user = database.create_user("ada", "s3cret", roles).option("mechanisms", mechanisms);
            user.run().await.expect("made");
            client.close().await;
            open.stop();
        }
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, "server");
        let certificate = params.self_signed(&key).expect("signed");
        let certificate = folder.pem("server.pem", "CERTIFICATE", certificate.der());
        let key = folder.pem("key.pem", "PRIVATE KEY", &key.serialize_der());
        let trust = format!("tls=true&tlsCAFile={}", certificate.replace('/', "%2F"));
        let plain = ["--storage-path", &data, "--auth"];
        let secure =
            ["--storage-path", &data, "--auth", "--tls-cert-file", &certificate, "--tls-key-file", &key];
        for (arguments, options) in [(&plain[..], String::new()), (&secure[..], trust)] {
            let peer = Peer::start_with(&program, arguments, &format!("?{options}")).await;
            let at = peer.uri.strip_prefix("mongodb://").expect("a string");
            for mechanism in ["", "&authMechanism=SCRAM-SHA-256", "&authMechanism=SCRAM-SHA-1"] {
                let uri =
                    format!("mongodb://ada:s3cret@{at}/?authSource=admin&minPoolSize=3&{options}{mechanism}");
                a_days_work(&uri).await;
            }
            let wrong = format!("mongodb://ada:wrong@{at}/?{options}");
            let refused =
                Client::<Tokio>::connect(&wrong).await.map(drop).expect_err("the password is wrong");
            assert!(matches!(refused, ConnectError::Handshake(Some(_))), "{refused:?}");
            // Nobody in particular may connect, and no more.
            let nobody = Client::<Tokio>::connect(&format!("mongodb://{at}/?{options}")).await;
            let error = nobody.expect("connected").list_databases(doc! {}).await.expect_err("nobody");
            assert_eq!(error.code(), Some(13), "{error}");
            peer.stop();
        }
    });
}

const FOREIGN: &str = r#"
import sys, pymongo
from pymongo import MongoClient, InsertOne, UpdateOne, DeleteOne
from pymongo.errors import DuplicateKeyError, OperationFailure
client = MongoClient(sys.argv[1], serverSelectionTimeoutMS=5000)
client.admin.command("ping")
fruit = client.shop.fruit
fruit.drop()
assert fruit.insert_one({"_id": 1, "name": "fig"}).inserted_id == 1
fruit.insert_many([{"_id": n, "even": n % 2 == 0} for n in range(2, 300)])
try:
    fruit.insert_one({"_id": 1})
    raise SystemExit("a key is double")
except DuplicateKeyError:
    pass
assert fruit.find_one({"_id": 1}) == {"_id": 1, "name": "fig"}
assert len(list(fruit.find({}, batch_size=7))) == 299
assert [d["_id"] for d in fruit.find({"even": True}).sort("_id", -1).skip(1).limit(2)] == [296, 294]
assert fruit.update_many({"even": True}, {"$set": {"ripe": True}}).modified_count == 149
assert fruit.replace_one({"_id": 1}, {"name": "kiwi"}).matched_count == 1
assert fruit.count_documents({"ripe": True}) == 149
assert fruit.estimated_document_count() == 299
assert fruit.distinct("even") == [False, True]
assert fruit.find_one_and_delete({"_id": 1}) == {"_id": 1, "name": "kiwi"}
done = fruit.bulk_write([InsertOne({"_id": 0}), UpdateOne({"_id": 2}, {"$inc": {"n": 1}}), DeleteOne({"_id": 3})])
assert (done.inserted_count, done.modified_count, done.deleted_count) == (1, 1, 1)
assert list(fruit.aggregate([{"$group": {"_id": None, "n": {"$sum": 1}}}]))[0]["n"] == 298
fruit.create_index([("even", 1)])
assert "even_1" in fruit.index_information()
assert client.shop.list_collection_names() == ["fruit"]
assert "shop" in client.list_database_names()
cursor = fruit.find({}, batch_size=3, cursor_type=pymongo.CursorType.EXHAUST)
assert len(list(cursor)) == 298
client.close()
print("done")
"#;

#[test]
fn pymongo_works_with_the_embedded_server() {
    let Some(program) = program() else { return };
    let python = program.parent().map(|folder| folder.join("python")).expect("a folder");
    support::on_tokio(|_| async move {
        for (users, options) in [
            (&[][..], ""),
            (&[][..], "/?compressors=zlib"),
            (&[("ada", "s3cret")][..], "/?authMechanism=SCRAM-SHA-256"),
            (&[("ada", "s3cret")][..], "/?authMechanism=SCRAM-SHA-1"),
        ] {
            let user = users.first().map_or(String::new(), |(name, password)| format!("{name}:{password}@"));
            beside_embedded(users, async |at: String| {
                let (python, uri) = (python.clone(), format!("mongodb://{user}{at}{options}"));
                let run = move || Command::new(python).args(["-c", FOREIGN, &uri]).output();
                let output = tokio::task::spawn_blocking(run).await.expect("it ends").expect("python runs");
                let error = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "with {options:?}: {error}");
            })
            .await;
        }
    });
}

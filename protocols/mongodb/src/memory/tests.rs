//! The client's machine against the embedded server, through both connection machines.

use std::collections::VecDeque;

use bytes::BytesMut;
use glowplug_core::{Instant, RequestProtocol, SendBuf, StreamProtocol, Token};

use super::*;
use crate::auth::{Credential, Mechanism};
use crate::command;
use crate::{
    Bulk, ClientConnection, Command, Config, Cursor, CursorStep, Error, Expects, Find, FindAndModify, Limits,
    Reply, ServerConnection, WriteModel,
};

const NOW: Instant = Instant::ZERO;

/// A client and its server.
struct Session {
    client: ClientConnection,
    connection: ServerConnection,
    server: MemoryServer,
    events: VecDeque<crate::Event>,
    tokens: u64,
}

impl Session {
    fn connect(config: Config, server: MemoryServer) -> Result<Self, Error> {
        let mut session = Self {
            client: ClientConnection::new(config, &Seed::from_u64(2), NOW),
            connection: ServerConnection::new(Limits::default()),
            server,
            events: VecDeque::new(),
            tokens: 0,
        };
        session.pump()?;
        assert!(matches!(session.events.pop_front(), Some(crate::Event::Ready(_))));
        Ok(session)
    }

    fn new() -> Self {
        Self::connect(Config::default(), MemoryServer::new(MemoryConfig::default(), &Seed::from_u64(3)))
            .unwrap()
    }

    /// Moves bytes until nothing moves.
    fn pump(&mut self) -> Result<(), Error> {
        let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
        loop {
            let mut out = SendBuf::new();
            self.client.poll_transmit(NOW, &mut out);
            up.extend_from_slice(&out.take_all());
            while let Some(request) = self.connection.poll_event(NOW, &mut up).unwrap() {
                let reply = self.server.handle(1, &request);
                if let (Some(handle), Some(reply)) = (request.handle, reply) {
                    self.connection.reply(handle, reply.into()).unwrap();
                }
            }
            self.connection.poll_transmit(NOW, &mut out);
            let bytes = out.take_all();
            down.extend_from_slice(&bytes);
            while let Some(event) = self.client.poll_event(NOW, &mut down)? {
                self.events.push_back(event);
            }
            if bytes.is_empty() {
                return Ok(());
            }
        }
    }

    fn call(&mut self, command: Command) -> Option<Reply> {
        self.tokens += 1;
        self.client.submit(NOW, Token(self.tokens), command).unwrap();
        self.pump().unwrap();
        let answer = ClientConnection::into_answer(self.events.pop_front().unwrap()).unwrap();
        assert_eq!((answer.token, answer.last), (Token(self.tokens), true));
        answer.response.into_reply()
    }

    /// A command's reply, without `ok`.
    fn run(&mut self, command: Command) -> String {
        let reply = self.call(command).unwrap();
        let doc = reply.ok().unwrap_or_else(|error| panic!("{error}"));
        let mut rest = Document::new();
        doc.iter().map(Result::unwrap).filter(|(key, _)| *key != "ok").for_each(|(key, value)| {
            rest.append(key, value);
        });
        rest.to_string()
    }

    fn code(&mut self, command: Command) -> i32 {
        self.call(command).unwrap().ok().unwrap_err().code
    }

    fn insert(&mut self, documents: &[Document]) {
        let command = Command::new("db", doc! { "insert": "c" });
        self.run(command.documents("documents", documents.iter().map(Document::as_doc)));
    }

    fn drain(&mut self, command: Command, mut cursor: Cursor) -> Vec<String> {
        let mut documents = Vec::new();
        let reply = self.call(command).unwrap();
        cursor.handle_reply(&reply).unwrap();
        loop {
            match cursor.step() {
                CursorStep::Read => {
                    while let Some(doc) = cursor.next_doc() {
                        documents.push(doc.unwrap().to_string());
                    }
                }
                CursorStep::Send(command) => {
                    let is_more = command.name() == "getMore";
                    let reply = self.call(command).unwrap();
                    if is_more {
                        cursor.handle_reply(&reply).unwrap();
                    }
                }
                CursorStep::Wait | CursorStep::Done => return documents,
            }
        }
    }

    fn find(&mut self, find: &Find) -> Vec<String> {
        self.drain(find.command(), find.cursor())
    }

    /// The ids of what matches, in order.
    fn ids(&mut self, filter: &str) -> Vec<String> {
        let filter = Document::from_json(filter).unwrap();
        let find = Find::new("db", "c").filter(filter.as_doc()).projection(doc! { "_id": 1 }.as_doc());
        self.find(&find).iter().map(|doc| doc[7..doc.len() - 1].to_owned()).collect()
    }

    fn update(&mut self, filter: &str, change: &str, multi: bool, upsert: bool) -> String {
        let (filter, change) = (Document::from_json(filter).unwrap(), Document::from_json(change).unwrap());
        let model = if multi { WriteModel::update_many } else { WriteModel::update_one };
        let mut bulk = Bulk::new("db", "c", true);
        bulk.push(model(filter.as_doc(), change.as_doc(), upsert));
        let info = self.client.server_info().unwrap().clone();
        self.run(bulk.next_command(&info).unwrap().command)
    }

    fn one(&mut self, id: i32) -> String {
        self.find(&Find::new("db", "c").filter(doc! { "_id": id }.as_doc())).concat()
    }
}

fn fruit() -> Vec<Document> {
    vec![
        doc! { "_id": 1, "name": "fig", "size": 3, "tags": ["a", "b"], "at": { "x": 1 } },
        doc! { "_id": 2, "name": "kiwi", "size": 5.5, "tags": ["b"], "at": { "x": 2 } },
        doc! { "_id": 3, "name": "pear", "size": 7i64, "tags": [], "parts": [{ "k": 1 }, { "k": 5 }] },
        doc! { "_id": 4, "name": "plum", "ripe": true },
    ]
}

#[test]
fn filters_find_what_they_should() {
    let mut session = Session::new();
    session.insert(&fruit());
    for (filter, ids) in [
        ("{}", "1 2 3 4"),
        (r#"{"name":"fig"}"#, "1"),
        (r#"{"_id":3}"#, "3"),
        (r#"{"_id":3,"name":"fig"}"#, ""),
        (r#"{"_id":3.0}"#, "3"),
        (r#"{"size":{"$gt":3}}"#, "2 3"),
        (r#"{"size":{"$gte":3,"$lt":7}}"#, "1 2"),
        (r#"{"size":{"$lte":"z"}}"#, ""),
        (r#"{"size":null}"#, "4"),
        (r#"{"size":{"$ne":3}}"#, "2 3 4"),
        (r#"{"name":{"$in":["fig","plum"]}}"#, "1 4"),
        (r#"{"name":{"$nin":["fig","plum"]}}"#, "2 3"),
        (r#"{"tags":"b"}"#, "1 2"),
        (r#"{"tags":["b"]}"#, "2"),
        (r#"{"tags":{"$all":["a","b"]}}"#, "1"),
        (r#"{"tags":{"$size":0}}"#, "3"),
        (r#"{"at.x":2}"#, "2"),
        (r#"{"parts.k":5}"#, "3"),
        (r#"{"parts.1.k":5}"#, "3"),
        (r#"{"parts":{"$elemMatch":{"k":{"$gt":4}}}}"#, "3"),
        (r#"{"ripe":{"$exists":true}}"#, "4"),
        (r#"{"ripe":{"$exists":false},"size":{"$type":"number"}}"#, "1 2 3"),
        (r#"{"size":{"$mod":[2,1]}}"#, "1 3"),
        (r#"{"size":{"$not":{"$gt":3}}}"#, "1 4"),
        (r#"{"$or":[{"_id":1},{"ripe":true}]}"#, "1 4"),
        (r#"{"$nor":[{"_id":1},{"ripe":true}]}"#, "2 3"),
        (r#"{"$and":[{"_id":{"$gt":1}},{"_id":{"$lt":3}}]}"#, "2"),
    ] {
        assert_eq!(session.ids(filter).join(" "), ids, "{filter}");
    }
    let bad = Find::new("db", "c").filter(doc! { "a": { "$near": 1 } }.as_doc()).command();
    assert_eq!(session.code(bad), code::BAD_VALUE);
}

#[test]
fn results_are_sorted_cut_and_projected() {
    let mut session = Session::new();
    session.insert(&fruit());
    let find = || Find::new("db", "c").projection(doc! { "name": 1, "_id": 0 }.as_doc());
    let by_size = find().sort(doc! { "size": -1, "name": 1 }.as_doc());
    assert_eq!(
        session.find(&by_size).join(""),
        r#"{"name":"pear"}{"name":"kiwi"}{"name":"fig"}{"name":"plum"}"#
    );
    let middle = find().sort(doc! { "name": -1 }.as_doc()).skip(1).limit(2);
    assert_eq!(session.find(&middle).join(""), r#"{"name":"pear"}{"name":"kiwi"}"#);
    let without = Find::new("db", "c").filter(doc! { "_id": 1 }.as_doc());
    assert_eq!(
        session.find(&without.clone().projection(doc! { "tags": 0, "at.x": 0 }.as_doc())).concat(),
        r#"{"_id":1,"name":"fig","size":3,"at":{}}"#
    );
    assert_eq!(
        session.find(&without.projection(doc! { "at.x": 1 }.as_doc())).concat(),
        r#"{"_id":1,"at":{"x":1}}"#
    );
    assert_eq!(session.run(command::estimated_count("db", "c")), r#"{"n":4}"#);
    let count =
        Command::new("db", doc! { "count": "c", "query": { "_id": { "$gt": 1 } }, "skip": 1, "limit": 5 });
    assert_eq!(session.run(count), r#"{"n":2}"#);
    assert_eq!(session.run(command::distinct("db", "c", "tags", Doc::EMPTY)), r#"{"values":["a","b"]}"#);
}

#[test]
fn cursors_go_to_the_end_or_are_killed() {
    let mut session = Session::new();
    let documents: Vec<_> = (0..1000).map(|n| doc! { "_id": n }).collect();
    session.insert(&documents);
    assert_eq!(session.find(&Find::new("db", "c").batch_size(7)).len(), 1000);
    assert_eq!(session.find(&Find::new("db", "c")).len(), 1000);
    assert_eq!(session.find(&Find::new("db", "c").batch_size(0)).len(), 1000, "an empty first batch");
    assert_eq!(session.server.open_cursors(), 0);
    assert_eq!(session.find(&Find::new("db", "c").single_batch().batch_size(3)).len(), 3);
    let mut cursor = Find::new("db", "c").batch_size(2).cursor();
    let reply = session.call(Find::new("db", "c").batch_size(2).command()).unwrap();
    cursor.handle_reply(&reply).unwrap();
    assert_eq!(session.server.open_cursors(), 1);
    cursor.close();
    let CursorStep::Send(kill) = cursor.step() else { panic!() };
    session.run(kill);
    assert_eq!(session.server.open_cursors(), 0);
    assert_eq!(
        session.code(Command::new("db", doc! { "getMore": 99i64, "collection": "c" })),
        code::CURSOR_NOT_FOUND
    );
}

#[test]
fn updates_change_what_they_should() {
    let mut session = Session::new();
    session.insert(&[
        doc! { "_id": 1, "n": 1, "list": [1, 2, 3], "sub": { "a": 1 } },
        doc! { "_id": 2, "n": 2 },
    ]);
    for (change, after) in [
        (
            r#"{"$set":{"n":5,"sub.b":2,"new.deep":true}}"#,
            r#"{"_id":1,"n":5,"list":[1,2,3],"sub":{"a":1,"b":2},"new":{"deep":true}}"#,
        ),
        (r#"{"$unset":{"new":"","sub.a":""}}"#, r#"{"_id":1,"n":5,"list":[1,2,3],"sub":{"b":2}}"#),
        (
            r#"{"$inc":{"n":2,"m":1},"$mul":{"sub.b":2.5}}"#,
            r#"{"_id":1,"n":7,"list":[1,2,3],"sub":{"b":5.0},"m":1}"#,
        ),
        (
            r#"{"$push":{"list":{"$each":[4,5]}},"$rename":{"m":"k"}}"#,
            r#"{"_id":1,"n":7,"list":[1,2,3,4,5],"sub":{"b":5.0},"k":1}"#,
        ),
        (
            r#"{"$pull":{"list":{"$gt":3}},"$addToSet":{"k2":1}}"#,
            r#"{"_id":1,"n":7,"list":[1,2,3],"sub":{"b":5.0},"k":1,"k2":[1]}"#,
        ),
        (
            r#"{"$pop":{"list":-1},"$addToSet":{"k2":1},"$min":{"n":3},"$max":{"k":9}}"#,
            r#"{"_id":1,"n":3,"list":[2,3],"sub":{"b":5.0},"k":9,"k2":[1]}"#,
        ),
        (r#"{"$set":{"list.3":0}}"#, r#"{"_id":1,"n":3,"list":[2,3,null,0],"sub":{"b":5.0},"k":9,"k2":[1]}"#),
        (r#"{"only":"this"}"#, r#"{"_id":1,"only":"this"}"#),
    ] {
        assert_eq!(
            session.update(r#"{"_id":1}"#, change, false, false),
            r#"{"n":1,"nModified":1}"#,
            "{change}"
        );
        assert_eq!(session.one(1), after);
    }
    assert_eq!(session.update("{}", r#"{"$set":{"all":1}}"#, true, false), r#"{"n":2,"nModified":2}"#);
    assert_eq!(session.update("{}", r#"{"$set":{"all":1}}"#, true, false), r#"{"n":2,"nModified":0}"#);
    assert_eq!(
        session.update(r#"{"_id":9}"#, r#"{"$set":{"a":1}}"#, false, false),
        r#"{"n":0,"nModified":0}"#
    );
    let upserted =
        session.update(r#"{"_id":9,"b":2}"#, r#"{"$inc":{"a":1},"$setOnInsert":{"c":3}}"#, false, true);
    assert_eq!(upserted, r#"{"n":1,"nModified":0,"upserted":[{"index":0,"_id":9}]}"#);
    assert_eq!(session.one(9), r#"{"_id":9,"b":2,"a":1,"c":3}"#);
    for change in [
        r#"{"$set":{"_id":5}}"#,
        r#"{"$inc":{"only":1}}"#,
        r#"{"$set":{"only.a":1}}"#,
        r#"{"$set":{"a":1},"b":2}"#,
        r#"{"$what":{"a":1}}"#,
    ] {
        assert!(session.update(r#"{"_id":1}"#, change, false, false).contains("writeErrors"), "{change}");
    }
    assert_eq!(session.one(1), r#"{"_id":1,"only":"this","all":1}"#, "a failed update changes nothing");
}

#[test]
fn bulk_writes_report_their_errors_where_they_belong() {
    for (ordered, expected) in [(true, "1 2"), (false, "1 2 3")] {
        let mut session = Session::new();
        let mut bulk = Bulk::new("db", "c", ordered);
        for id in [1, 2, 2, 3] {
            bulk.push(WriteModel::Insert(doc! { "_id": id }));
        }
        let info = session.client.server_info().unwrap().clone();
        let part = bulk.next_command(&info).unwrap();
        let reply = session.call(part.command).unwrap();
        let errors: Vec<_> =
            reply.write_errors().map(|error| (part.indexes[error.index], error.code)).collect();
        assert_eq!(errors, [(2, code::DUPLICATE_KEY)]);
        assert_eq!(session.ids("{}").join(" "), expected);
    }
    let mut session = Session::new();
    session.insert(&fruit());
    let mut bulk = Bulk::new("db", "c", true);
    bulk.push(WriteModel::delete_one(doc! { "size": { "$gt": 1 } }.as_doc()));
    bulk.push(WriteModel::delete_many(doc! { "size": { "$gt": 1 } }.as_doc()));
    let info = session.client.server_info().unwrap().clone();
    assert_eq!(session.run(bulk.next_command(&info).unwrap().command), r#"{"n":3}"#);
    assert_eq!(session.ids("{}"), ["4"]);
    let quiet =
        Command::new("db", doc! { "insert": "c", "documents": [{ "_id": 8 }] }).expecting(Expects::Nothing);
    assert_eq!(session.call(quiet), None);
    assert_eq!(session.ids("{}"), ["4", "8"]);
}

#[test]
fn find_and_modify_in_its_three_ways() {
    let mut session = Session::new();
    session.insert(&fruit());
    let (all, inc) = (doc! {}, doc! { "$inc": { "n": 1 } });
    let update =
        FindAndModify::update("db", "c", all.as_doc(), inc.as_doc()).sort(doc! { "_id": -1 }.as_doc());
    let before = session.run(update.clone().projection(doc! { "n": 1 }.as_doc()).command());
    assert_eq!(before, r#"{"lastErrorObject":{"n":1,"updatedExisting":true},"value":{"_id":4}}"#);
    let after = session.run(update.return_new().projection(doc! { "n": 1 }.as_doc()).command());
    assert_eq!(after, r#"{"lastErrorObject":{"n":1,"updatedExisting":true},"value":{"_id":4,"n":2}}"#);
    let deleted = session.run(
        FindAndModify::delete("db", "c", doc! { "_id": 4 }.as_doc())
            .projection(doc! { "n": 1 }.as_doc())
            .command(),
    );
    assert_eq!(deleted, r#"{"lastErrorObject":{"n":1},"value":{"_id":4,"n":2}}"#);
    let replaced = FindAndModify::update("db", "c", doc! { "_id": 9 }.as_doc(), doc! { "a": 1 }.as_doc());
    let made = session.run(replaced.upsert().return_new().command());
    assert_eq!(
        made,
        r#"{"lastErrorObject":{"n":1,"updatedExisting":false,"upserted":9},"value":{"_id":9,"a":1}}"#
    );
    assert_eq!(session.ids("{}"), ["1", "2", "3", "9"]);
}

#[test]
fn small_aggregations() {
    let mut session = Session::new();
    session.insert(&[
        doc! { "_id": 1, "k": "a", "n": 1 },
        doc! { "_id": 2, "k": "b", "n": 2 },
        doc! { "_id": 3, "k": "a", "n": 4 },
    ]);
    let mut run = |stages: &[Document]| {
        let command = command::aggregate("db", "c", stages.iter().map(Document::as_doc), Some(1));
        session.drain(command, command::cursor_of("db", "c", Some(1))).concat()
    };
    assert_eq!(
        run(&[
            doc! { "$group": { "_id": "$k", "sum": { "$sum": "$n" }, "avg": { "$avg": "$n" }, "all": { "$push": "$_id" } } }
        ]),
        r#"{"_id":"a","sum":5,"avg":2.5,"all":[1,3]}{"_id":"b","sum":2,"avg":2.0,"all":[2]}"#
    );
    assert_eq!(
        run(&[
            doc! { "$match": { "k": "a" } },
            doc! { "$sort": { "n": -1 } },
            doc! { "$project": { "n": 1, "_id": 0 } },
            doc! { "$skip": 1 }
        ]),
        r#"{"n":1}"#
    );
    assert_eq!(run(&[doc! { "$limit": 2 }, doc! { "$count": "c" }]), r#"{"c":2}"#);
    let count = command::count_documents("db", "c", doc! { "k": "a" }.as_doc(), None, None);
    assert_eq!(session.drain(count, command::cursor_of("db", "c", None)).concat(), r#"{"_id":1,"n":2}"#);
}

#[test]
fn databases_and_collections_are_administered() {
    let mut session = Session::new();
    session.insert(&fruit());
    assert_eq!(
        session.run(command::list_databases(Doc::EMPTY)),
        r#"{"databases":[{"name":"db","empty":false}]}"#
    );
    session.run(command::create_collection("db", "d", Doc::EMPTY));
    assert_eq!(session.code(command::create_collection("db", "d", Doc::EMPTY)), code::NAMESPACE_EXISTS);
    let list = command::list_collections("db", doc! { "name": "d" }.as_doc());
    assert_eq!(session.drain(list, command::cursor_of("db", "$cmd.listCollections", None)).len(), 1);
    session.run(command::create_indexes("db", "c", [doc! { "key": { "a": 1 } }.as_doc()]));
    assert_eq!(session.drain(command::list_indexes("db", "c"), command::cursor_of("db", "c", None)).len(), 2);
    session.run(command::drop_index("db", "c", "a_1"));
    assert_eq!(session.drain(command::list_indexes("db", "c"), command::cursor_of("db", "c", None)).len(), 1);
    session.run(command::drop_collection("db", "c"));
    assert_eq!(session.server.bytes, 0);
    assert_eq!(session.run(command::drop_collection("db", "c")), "{}");
    session.run(command::drop_database("db"));
    assert_eq!(session.run(command::list_databases(Doc::EMPTY)), r#"{"databases":[]}"#);
    assert_eq!(session.code(Command::new("db", doc! { "frobnicate": 1 })), code::COMMAND_NOT_FOUND);
}

#[test]
fn users_are_authenticated_and_nobody_else() {
    let server = || {
        let config =
            MemoryConfig { users: vec![("user".into(), "pencil".into())], ..MemoryConfig::default() };
        MemoryServer::new(config, &Seed::from_u64(4))
    };
    for mechanism in [None, Some(Mechanism::ScramSha1), Some(Mechanism::ScramSha256)] {
        let credential = Credential { mechanism, ..Credential::new("user", "pencil") };
        let config = Config { credential: Some(credential), ..Config::default() };
        let mut session = Session::connect(config, server()).unwrap();
        session.insert(&fruit());
        session.server.disconnect(1);
        assert_eq!(session.code(command::estimated_count("db", "c")), code::UNAUTHORIZED);
        let credential = Credential { mechanism, ..Credential::new("user", "pen") };
        let config = Config { credential: Some(credential), ..Config::default() };
        assert!(matches!(Session::connect(config, server()), Err(Error::Refused(error)) if error.code == 18));
    }
    let mut session = Session::connect(Config::default(), server()).unwrap();
    assert_eq!(session.code(command::estimated_count("db", "c")), code::UNAUTHORIZED);
}

#[test]
fn compressed_connections_work_alike() {
    for compressor in Compressor::AVAILABLE {
        let config = Config { compressors: vec![*compressor], ..Config::default() };
        let mut session =
            Session::connect(config, MemoryServer::new(MemoryConfig::default(), &Seed::from_u64(3))).unwrap();
        assert_eq!(session.client.server_info().unwrap().compressor, Some(*compressor));
        session.insert(&(0..500).map(|n| doc! { "_id": n, "text": "again and again" }).collect::<Vec<_>>());
        assert_eq!(session.find(&Find::new("db", "c")).len(), 500);
    }
}

#[test]
fn memory_is_bounded() {
    let config = MemoryConfig { max_bytes: 10_000, ..MemoryConfig::default() };
    let mut session =
        Session::connect(Config::default(), MemoryServer::new(config, &Seed::from_u64(3))).unwrap();
    let mut bulk = Bulk::new("db", "c", false);
    for _ in 0..20 {
        bulk.push(WriteModel::Insert(doc! { "text": "x".repeat(1000) }));
    }
    let info = session.client.server_info().unwrap().clone();
    let reply = session.call(bulk.next_command(&info).unwrap().command).unwrap();
    assert_eq!(reply.n(), 9);
    assert!(reply.write_errors().all(|error| error.code == code::OUT_OF_SPACE));
    let far = doc! { "$set": { "list.99999999": 1 } };
    session.run(Command::new("db", doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 0 }] }));
    session.insert(&[doc! { "_id": 1, "list": [] }]);
    assert!(session.update("{}", &far.to_string(), false, false).contains("writeErrors"));
    for _ in 0..MAX_CURSORS + 10 {
        session.server.open_cursor("db.c".into(), vec![Node::Null; 3], Some(1), false).unwrap();
    }
    assert_eq!(session.server.open_cursors(), MAX_CURSORS);
}

#[test]
fn answers_to_numbered_writes_are_bounded() {
    let config = MemoryConfig { replica_set: Some("rs".into()), ..MemoryConfig::default() };
    let mut session =
        Session::connect(Config::default(), MemoryServer::new(config, &Seed::from_u64(3))).unwrap();
    let lsid =
        doc! { "id": crate::bson::Binary { subtype: crate::bson::BinarySubtype::UUID, bytes: &[7; 16] } };
    for number in 0..MAX_NUMBERED as i64 + 10 {
        let insert =
            doc! { "insert": "c", "documents": [{ "_id": number }], "lsid": &lsid, "txnNumber": number };
        session.run(Command::new("db", insert));
    }
    assert_eq!(session.server.numbered.len(), MAX_NUMBERED);
}

fn aggregated(session: &mut Session, stages: &[Document]) -> String {
    let command = command::aggregate("db", "c", stages.iter().map(Document::as_doc), Some(1));
    session.drain(command, command::cursor_of("db", "c", Some(1))).concat()
}

#[test]
fn aggregations_compute_fields() {
    let mut session = Session::new();
    session.insert(&[
        doc! { "_id": 1, "name": "fig", "price": 2, "sold": [3, 4], "at": { "land": "at" } },
        doc! { "_id": 2, "name": "kiwi", "price": 1.5, "sold": [], "at": [{ "land": "it" }, { "land": "nz" }] },
        doc! { "_id": 3, "name": "apple" },
    ]);
    let mut run = |stages: &[Document]| aggregated(&mut session, stages);
    assert_eq!(
        run(&[
            doc! { "$project": { "name": 1, "double": { "$multiply": ["$price", 2] }, "land": "$at.land" } }
        ]),
        concat!(
            r#"{"_id":1,"name":"fig","double":4,"land":"at"}{"_id":2,"name":"kiwi","double":3.0,"land":["it","nz"]}"#,
            r#"{"_id":3,"name":"apple","double":null}"#
        )
    );
    assert_eq!(
        run(&[
            doc! { "$project": { "_id": 0, "is": { "$cond": [{ "$gte": ["$price", 2] }, "dear", "$name"] } } }
        ]),
        r#"{"is":"dear"}{"is":"kiwi"}{"is":"apple"}"#
    );
    assert_eq!(
        run(&[
            doc! { "$match": { "_id": 1 } },
            doc! { "$addFields": { "at": { "year": { "$literal": "$1" } }, "price": { "$add": ["$price", 1] }, "was": "$price" } },
            doc! { "$unset": ["sold", "name"] },
        ]),
        r#"{"_id":1,"price":3,"at":{"land":"at","year":"$1"},"was":2}"#
    );
    assert_eq!(
        run(&[
            doc! { "$set": { "n": { "$size": { "$ifNull": ["$sold", Vec::<i32>::new()] } } } },
            doc! { "$group": { "_id": { "has": { "$gt": ["$n", 0] } }, "n": { "$count": {} }, "names": { "$addToSet": "$name" } } },
            doc! { "$sort": { "_id": 1 } },
        ]),
        r#"{"_id":{"has":false},"n":2,"names":["apple","kiwi"]}{"_id":{"has":true},"n":1,"names":["fig"]}"#
    );
}

#[test]
fn arrays_are_unwound() {
    let mut session = Session::new();
    session.insert(&[
        doc! { "_id": 1, "a": ["x", "y"] },
        doc! { "_id": 2, "a": Vec::<i32>::new() },
        doc! { "_id": 3 },
        doc! { "_id": 4, "a": "z" },
    ]);
    assert_eq!(
        aggregated(&mut session, &[doc! { "$unwind": "$a" }]),
        r#"{"_id":1,"a":"x"}{"_id":1,"a":"y"}{"_id":4,"a":"z"}"#
    );
    let all = doc! { "path": "$a", "preserveNullAndEmptyArrays": true, "includeArrayIndex": "i" };
    assert_eq!(
        aggregated(&mut session, &[doc! { "$unwind": all }, doc! { "$match": { "_id": { "$lt": 4 } } }]),
        r#"{"_id":1,"a":"x","i":0}{"_id":1,"a":"y","i":1}{"_id":2,"i":null}{"_id":3,"i":null}"#
    );
}

#[test]
fn short_pipelines_cannot_ask_for_any_amount_of_memory() {
    let mut session = Session::new();
    session.insert(&[doc! { "_id": 1, "text": "x".repeat(1000) }]);
    let doubling = doc! { "$addFields": { "a": ["$$ROOT", "$$ROOT"] } };
    let stages = vec![doubling; 40];
    let command = command::aggregate("db", "c", stages.iter().map(Document::as_doc), None);
    assert_eq!(session.code(command), code::OUT_OF_SPACE);
    for (stage, expected) in [
        (doc! { "$lookup": {} }, code::NO_SUCH_STAGE),
        (doc! { "$limit": 0 }, code::LIMIT_NOT_POSITIVE),
        (doc! { "$unwind": "a" }, code::BAD_VALUE),
        (doc! { "$project": { "a": { "$divide": [1, 0] } } }, code::BAD_VALUE),
        (doc! { "$project": { "a": { "$frobnicate": 1 } } }, code::BAD_VALUE),
        (doc! { "$project": { "a": "$$NOW" } }, code::BAD_VALUE),
    ] {
        assert_eq!(session.code(command::aggregate("db", "c", [stage.as_doc()], None)), expected, "{stage}");
    }
}

#[test]
fn array_filters_choose_items() {
    let mut session = Session::new();
    session.insert(&[doc! { "_id": 1, "marks": [1, 5, 9], "rows": [
        { "k": "a", "n": [1, 2] }, { "k": "b", "n": [3] },
    ] }]);
    let mut update = |change: Document, filters: Vec<Document>| {
        let statement = doc! { "q": { "_id": 1 }, "u": change, "arrayFilters": filters };
        let command = Command::new("db", doc! { "update": "c", "updates": [statement] });
        session.call(command).unwrap().write_errors().next().map(|error| error.code)
    };
    assert_eq!(update(doc! { "$set": { "marks.$[high]": 6 } }, vec![doc! { "high": { "$gt": 4 } }]), None);
    assert_eq!(update(doc! { "$inc": { "rows.$[row].n.$[]": 10 } }, vec![doc! { "row.k": "a" }]), None);
    let either = doc! { "$or": [{ "row.k": "b" }, { "row.k": "c" }] };
    assert_eq!(update(doc! { "$set": { "rows.$[row].last": true } }, vec![either]), None);
    assert_eq!(update(doc! { "$set": { "marks.$[x]": 1 } }, vec![]), Some(code::BAD_VALUE));
    assert_eq!(update(doc! { "$set": { "_id.$[]": 1 } }, vec![]), Some(code::BAD_VALUE));
    let unused = update(doc! { "$set": { "marks.$[]": 1 } }, vec![doc! { "x": 1 }]);
    assert_eq!(unused, Some(code::FAILED_TO_PARSE));
    assert_eq!(
        session.one(1),
        r#"{"_id":1,"marks":[1,6,6],"rows":[{"k":"a","n":[11,12]},{"k":"b","n":[3],"last":true}]}"#
    );
    let change = doc! { "findAndModify": "c", "query": { "_id": 1 }, "update": { "$set": { "marks.$[m]": 0 } }, "new": true,
    "fields": { "marks": 1 }, "arrayFilters": [{ "m": 6 }] };
    let reply = session.run(Command::new("db", change));
    assert!(reply.contains(r#""value":{"_id":1,"marks":[1,0,0]}"#), "{reply}");
}

#[test]
fn array_filters_are_bounded() {
    let mut session = Session::new();
    session.insert(&[doc! { "_id": 1, "a": vec![0; 100_001] }]);
    let statement = doc! { "q": {}, "u": { "$set": { "a.$[]": 1 } } };
    let command = Command::new("db", doc! { "update": "c", "updates": [statement] });
    let reply = session.call(command).unwrap();
    assert_eq!(reply.write_errors().next().map(|error| error.code), Some(code::BAD_VALUE));
}

#[test]
fn passwords_and_certificates_authenticate_too() {
    let server = || {
        let config = MemoryConfig {
            users: vec![("user".into(), "pencil".into())],
            x509_subjects: vec!["CN=ada".into()],
            ..MemoryConfig::default()
        };
        MemoryServer::new(config, &Seed::from_u64(4))
    };
    for (mechanism, name, password, may) in [
        (Mechanism::Plain, "user", "pencil", true),
        (Mechanism::Plain, "user", "pen", false),
        (Mechanism::Plain, "nobody", "pencil", false),
        (Mechanism::X509, "CN=ada", "", true),
        (Mechanism::X509, "", "", true),
        (Mechanism::X509, "CN=eve", "", false),
    ] {
        let credential = Credential { mechanism: Some(mechanism), ..Credential::new(name, password) };
        let config = Config { credential: Some(credential), tls: true, ..Config::default() };
        match Session::connect(config, server()) {
            Ok(mut session) => {
                session.insert(&fruit());
                assert!(may, "{mechanism:?} {name}");
            }
            Err(error) => {
                assert!(matches!(error, Error::Refused(error) if error.code == 18));
                assert!(!may, "{mechanism:?} {name}");
            }
        }
    }
}

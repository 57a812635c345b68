//! Databases, collections, indexes, users, sessions, compression, authentication, TLS, and what is refused.

use std::time::Duration;

use glowplug::mongodb::bson::Doc;
use glowplug::mongodb::doc;
use glowplug::runtime::mongodb::{Client, ConnectError, Document, Error, ReadMode, WriteConcern};
use glowplug::runtime::time::sleep;

use crate::{Plug, beside_server, data, grow, support, with_client};

support::on_each_executor![
    databases_and_collections,
    indexes,
    users,
    sessions,
    authentication,
    compression,
    what_is_not_there_is_refused,
    concerns_and_preferences_go_along,
];

async fn databases_and_collections<R: Plug>(runtime: R) {
    with_client(runtime, "garden", async |client, _, _| {
        assert_eq!(client.default_database().name(), "garden");
        let garden = client.default_database();
        garden
            .create_collection("beds")
            .option("capped", true)
            .option("size", 4096)
            .run()
            .await
            .expect("made");
        let error = garden.create_collection("beds").run().await.expect_err("it is there already");
        assert_eq!(error.code(), Some(48));
        let beds = garden.collection::<Document>("beds");
        grow(&beds, 3).await;
        client.rename_collection("garden.beds", "garden.paths", false).run().await.expect("renamed");
        assert_eq!(beds.count(doc! {}).run().await.expect("counted"), 0);
        assert_eq!(garden.collection::<Document>("paths").count(doc! {}).run().await.expect("counted"), 3);
        let names = |list: Vec<Document>| {
            list.iter().filter_map(|doc| doc.as_doc().get_str("name").map(str::to_owned)).collect::<Vec<_>>()
        };
        let list = garden.list_collections(doc! {}).collect().await.expect("listed");
        assert_eq!(names(list), ["paths"]);
        let list = client.list_databases(doc! {}).await.expect("listed");
        assert_eq!(names(list), ["garden"]);
        garden.drop_database().run().await.expect("dropped");
        assert!(client.list_databases(doc! {}).await.expect("listed").is_empty());
    })
    .await;
}

async fn indexes<R: Plug>(runtime: R) {
    with_client(runtime, "", async |_, fruit, _| {
        let made = fruit.create_index(doc! { "a": 1, "b": -1 }).unique().run().await.expect("made");
        assert_eq!(made, ["a_1_b_-1"]);
        let more = [doc! { "key": { "c": 1 }, "name": "by-c" }, doc! { "key": { "d": "text" } }];
        let made = fruit.create_indexes(more).run().await.expect("made");
        assert_eq!(made, ["by-c", "d_text"]);
        let list = fruit.list_indexes().collect().await.expect("listed");
        let names: Vec<_> = list.iter().filter_map(|doc| doc.as_doc().get_str("name")).collect();
        assert_eq!(names, ["_id_", "a_1_b_-1", "by-c", "d_text"]);
        fruit.drop_index("by-c").run().await.expect("dropped");
        assert_eq!(fruit.list_indexes().collect().await.expect("listed").len(), 3);
    })
    .await;
}

async fn users<R: Plug>(runtime: R) {
    let data = data(&[("root", "secret")]);
    beside_server(runtime.clone(), data, async |at: String| {
        let builder = || Client::builder(runtime.clone());
        let root = builder().connect(&format!("mongodb://root:secret@{at}")).await.expect("connected");
        let admin = root.database("admin");
        admin.create_user("ada", "lovelace", ["readWrite"]).run().await.expect("made");
        let uri = format!("mongodb://ada:lovelace@{at}");
        builder().connect(&uri).await.expect("connected").ping().await.expect("there");
        assert_eq!(admin.list_users().await.expect("listed").len(), 2);
        admin.drop_user("ada").run().await.expect("dropped");
        assert!(builder().connect(&uri).await.is_err());
    })
    .await;
}

async fn sessions<R: Plug>(runtime: R) {
    with_client(runtime, "", async |client, fruit, _| {
        let mut session = client.start_session().expect("the server has sessions");
        let id = session.id();
        fruit.insert_one(&doc! { "_id": 1 }).session(&mut session).run().await.expect("inserted");
        let mut cursor = fruit.find(doc! {}).session(&mut session).run().await.expect("found");
        assert!(cursor.next().await.is_some());
        assert_eq!(session.id(), id);
        drop((session, cursor));
        // A session that is free again is used again.
        assert_eq!(client.start_session().map(|session| session.id()), Some(id));
    })
    .await;
}

async fn authentication<R: Plug>(runtime: R) {
    let data = data(&[("ada", "s3cret")]);
    beside_server(runtime.clone(), data, async |at: String| {
        let connect = async |uri: String| Client::builder(runtime.clone()).connect(&uri).await;
        for mechanism in ["SCRAM-SHA-1", "SCRAM-SHA-256"] {
            let uri = format!("mongodb://ada:s3cret@{at}/?authMechanism={mechanism}&minPoolSize=3");
            let client = connect(uri).await.expect("authenticated");
            while client.connections() < 3 {
                sleep(&runtime, Duration::from_millis(1)).await;
            }
            client.ping().await.expect("there");
        }
        for (uri, refused) in [
            (format!("mongodb://ada:wrong@{at}"), true),
            (format!("mongodb://eve:s3cret@{at}"), true),
            // Without a user one may connect, and no more.
            (format!("mongodb://{at}"), false),
        ] {
            match connect(uri).await {
                Err(ConnectError::Handshake(Some(_))) => assert!(refused),
                Err(other) => panic!("{other}"),
                Ok(client) => {
                    assert!(!refused);
                    let error = client.list_databases(doc! {}).await.expect_err("nobody");
                    assert_eq!(error.code(), Some(13));
                }
            }
        }
        // The password must not cross the wire in the clear.
        let plain = connect(format!("mongodb://ada:s3cret@{at}/?authMechanism=PLAIN")).await;
        assert!(matches!(plain, Err(ConnectError::Handshake(Some(_)))), "{plain:?}");
    })
    .await;
}

async fn compression<R: Plug>(runtime: R) {
    for compressor in ["snappy", "zlib", "zstd"] {
        with_client(runtime.clone(), &format!("?compressors={compressor}"), async |client, fruit, _| {
            let info = client.server_info().expect("connected");
            assert_eq!(info.compressor.map(glowplug::mongodb::wire::Compressor::name), Some(compressor));
            grow(&fruit, 300).await;
            assert_eq!(fruit.find(doc! {}).collect().await.expect("found").len(), 300);
        })
        .await;
    }
}

async fn what_is_not_there_is_refused<R: Plug>(runtime: R) {
    let connect = async |uri: &str| match Client::builder(runtime.clone()).connect(uri).await {
        Err(error) => error,
        Ok(_) => panic!("{uri} connected"),
    };
    for uri in [
        "mongodb://u@127.0.0.1:1/?authMechanism=GSSAPI",
        "mongodb://127.0.0.1:1/?authMechanism=MONGODB-AWS",
        "mongodb://127.0.0.1:1/?tls=true&tlsInsecure=true",
        "mongodb://127.0.0.1:1/?tls=true&tlsAllowInvalidHostnames=true",
        "mongodb://127.0.0.1:1/?proxyHost=localhost",
        "mongodb://127.0.0.1:1/?loadBalanced=true",
    ] {
        let error = connect(uri).await;
        assert!(matches!(error, ConnectError::Unsupported(_)), "{uri}: {error}");
    }
    assert!(matches!(connect("mongodb://a,b").await, ConnectError::Topology(_)));
    assert!(matches!(connect("http://a").await, ConnectError::Uri(_)));
    let missing = connect("mongodb://127.0.0.1:1/?tls=true&tlsCAFile=/nowhere.pem").await;
    assert!(matches!(missing, ConnectError::Certificate(_)), "{missing}");
    assert!(matches!(connect("mongodb://127.0.0.1:1").await, ConnectError::Dial(_)));
    with_client(runtime.clone(), "", async |_, _, _| {}).await;
    let data = data(&[]);
    beside_server(runtime.clone(), data, async |at: String| {
        let error = connect(&format!("mongodb://{at}/?replicaSet=rs")).await;
        assert!(matches!(error, ConnectError::Topology(_)), "{error}");
    })
    .await;
}

async fn concerns_and_preferences_go_along<R: Plug>(runtime: R) {
    with_client(runtime, "?w=1&readConcernLevel=local", async |client, fruit, _| {
        fruit
            .insert_one(&doc! { "_id": 1 })
            .write_concern(WriteConcern::majority())
            .run()
            .await
            .expect("made");
        let found = fruit.find(doc! {}).read_preference(ReadMode::Nearest).collect().await.expect("found");
        assert_eq!(found.len(), 1);
        // A write concern that is not satisfied is an error, and says what was made.
        let fail = doc! {
            "configureFailPoint": "failCommand",
            "mode": { "times": 1 },
            "data": { "failCommands": ["insert"], "writeConcernError": { "code": 100, "errmsg": "too few" } },
        };
        client.database("admin").run_command(fail).run().await.expect("configured");
        let error = fruit.insert_one(&doc! { "_id": 2 }).run().await.expect_err("too few");
        let Error::Write(failure) = &error else { panic!("{error}") };
        assert_eq!((failure.result.inserted, error.code()), (1, Some(100)));
        let reply = client.database("admin").run_command(doc! { "buildInfo": 1 }).run().await.expect("known");
        assert_eq!(reply.doc().get_str("version"), Some("7.0.0"));
        assert!(reply.doc() != Doc::EMPTY);
    })
    .await;
}

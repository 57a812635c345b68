//! Documents put in, found, changed and taken out.

use glowplug::mongodb::bson::{ObjectId, Value};
use glowplug::mongodb::doc;
use glowplug::runtime::mongodb::{Document, Error, WriteConcern, WriteModel};
use serde::{Deserialize, Serialize};

use crate::{Plug, grow, support, with_client};

support::on_each_executor![
    documents_come_back,
    ids_are_made_and_told,
    types_go_straight_through,
    options_of_find,
    updates,
    replacing_and_deleting,
    looked_for_and_changed,
    bulks_say_which_write_failed,
    bulks_are_split_by_limits,
    counted_and_grouped,
    unacknowledged_writes,
    errors_keep_what_the_server_said,
];

async fn documents_come_back<R: Plug>(runtime: R) {
    with_client(runtime, "", async |client, fruit, _| {
        client.ping().await.expect("there");
        let fig = doc! { "_id": 1, "name": "fig", "tags": ["sweet", { "soft": true }] };
        fruit.insert_one(&fig).run().await.expect("inserted");
        assert_eq!(fruit.find_one(doc! { "name": "fig" }).run().await.expect("found"), Some(fig.clone()));
        assert_eq!(fruit.find_one(doc! { "name": "kiwi" }).run().await.expect("found"), None);
        grow(&client.database("shop").collection("many"), 250).await;
        let many = client.database("shop").collection::<Document>("many");
        let all = many.find(doc! {}).collect().await.expect("found");
        let ids: Vec<_> = all.iter().filter_map(|doc| doc.as_doc().get_i64("_id")).collect();
        assert_eq!(ids, (0..250).collect::<Vec<_>>());
    })
    .await;
}

async fn ids_are_made_and_told<R: Plug>(runtime: R) {
    with_client(runtime, "", async |_, fruit, _| {
        let made = fruit.insert_one(&doc! { "name": "fig" }).run().await.expect("inserted").inserted_id;
        let Value::ObjectId(id) = made.as_value() else { panic!("{made:?} is no object id") };
        let fig = fruit.find_one(doc! { "_id": id }).run().await.expect("found").expect("it is there");
        assert_eq!(fig, doc! { "_id": id, "name": "fig" });
        let documents = [doc! { "_id": 7 }, doc! { "name": "kiwi" }];
        let ids = fruit.insert_many(&documents).run().await.expect("inserted").inserted_ids;
        assert_eq!((ids.len(), ids[0].as_value()), (2, Value::Int32(7)));
        assert!(matches!(ids[1].as_value(), Value::ObjectId(_)));
    })
    .await;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Fruit {
    #[serde(rename = "_id", skip_serializing_if = "Option::is_none")]
    id: Option<ObjectId>,
    name: String,
    grams: u32,
}

async fn types_go_straight_through<R: Plug>(runtime: R) {
    with_client(runtime, "", async |_, fruit, _| {
        let typed = fruit.with_type::<Fruit>();
        let fig = Fruit { id: None, name: "fig".into(), grams: 50 };
        typed.insert_one(&fig).run().await.expect("inserted");
        let found = typed.find_one(doc! { "grams": 50 }).run().await.expect("found").expect("it is there");
        assert!(found.id.is_some());
        assert_eq!(Fruit { id: None, ..found.clone() }, fig);
        let heavier = Fruit { grams: 60, ..found.clone() };
        typed.replace_one(doc! { "name": "fig" }, &heavier).run().await.expect("replaced");
        assert_eq!(typed.find(doc! {}).collect().await.expect("found"), [heavier]);
        // What is not of the type is an error, and the connection goes on.
        fruit.insert_one(&doc! { "name": 5 }).run().await.expect("inserted");
        let error = typed.find(doc! { "name": 5 }).collect().await.expect_err("a number is no text");
        assert!(matches!(error, Error::Deserialize(_)), "{error}");
        let error = fruit.with_type::<u8>().insert_one(&5).run().await.expect_err("no document");
        assert!(matches!(error, Error::Serialize(_)), "{error}");
        assert_eq!(fruit.count(doc! {}).run().await.expect("counted"), 2);
    })
    .await;
}

async fn options_of_find<R: Plug>(runtime: R) {
    with_client(runtime, "", async |_, fruit, _| {
        grow(&fruit, 20).await;
        let found = fruit
            .find(doc! { "even": true })
            .sort(doc! { "_id": -1 })
            .skip(1)
            .limit(3)
            .projection(doc! { "even": 0 })
            .comment("three")
            .collect()
            .await
            .expect("found");
        assert_eq!(found, [doc! { "_id": 16 }, doc! { "_id": 14 }, doc! { "_id": 12 }]);
        let last = fruit.find_one(doc! {}).sort(doc! { "_id": -1 }).run().await.expect("found");
        assert_eq!(last.and_then(|doc| doc.as_doc().get_i64("_id")), Some(19));
        let error = fruit.find(doc! {}).option("a\0b", 1).run().await.map(drop).expect_err("a zero byte");
        assert!(matches!(error, Error::Encode(_)), "{error}");
    })
    .await;
}

async fn updates<R: Plug>(runtime: R) {
    with_client(runtime, "", async |_, fruit, _| {
        grow(&fruit, 4).await;
        let set = || doc! { "$set": { "ripe": true } };
        let one = fruit.update_one(doc! { "_id": 1 }, set()).run().await.expect("updated");
        assert_eq!((one.matched, one.modified, one.upserted_id), (1, 1, None));
        let again = fruit.update_one(doc! { "_id": 1 }, set()).run().await.expect("updated");
        assert_eq!((again.matched, again.modified), (1, 0));
        let many = fruit.update_many(doc! { "even": true }, set()).run().await.expect("updated");
        assert_eq!((many.matched, many.modified), (2, 2));
        let none = fruit.update_one(doc! { "_id": 9 }, set()).run().await.expect("updated");
        assert_eq!((none.matched, none.acknowledged), (0, true));
        let upserted = fruit.update_one(doc! { "_id": 9 }, set()).upsert().run().await.expect("updated");
        assert_eq!((upserted.matched, upserted.modified), (0, 0));
        assert_eq!(upserted.upserted_id.expect("an id").as_value(), Value::Int32(9));
    })
    .await;
}

async fn replacing_and_deleting<R: Plug>(runtime: R) {
    with_client(runtime, "", async |_, fruit, _| {
        grow(&fruit, 6).await;
        let replaced =
            fruit.replace_one(doc! { "_id": 1 }, &doc! { "name": "fig" }).run().await.expect("replaced");
        assert_eq!((replaced.matched, replaced.modified), (1, 1));
        let found = fruit.find_one(doc! { "_id": 1 }).run().await.expect("found");
        assert_eq!(found, Some(doc! { "_id": 1, "name": "fig" }));
        assert_eq!(fruit.delete_one(doc! { "even": true }).run().await.expect("deleted").deleted, 1);
        assert_eq!(fruit.delete_many(doc! { "even": true }).run().await.expect("deleted").deleted, 2);
        assert_eq!(fruit.delete_many(doc! { "even": true }).run().await.expect("deleted").deleted, 0);
        assert_eq!(fruit.estimated_count().run().await.expect("counted"), 3);
    })
    .await;
}

async fn looked_for_and_changed<R: Plug>(runtime: R) {
    with_client(runtime, "", async |_, fruit, _| {
        grow(&fruit, 3).await;
        let inc = || doc! { "$inc": { "n": 1 } };
        let before = fruit
            .find_one_and_update(doc! {}, inc())
            .sort(doc! { "_id": -1 })
            .projection(doc! { "_id": 1, "n": 1 })
            .run()
            .await
            .expect("changed");
        assert_eq!(before, Some(doc! { "_id": 2 }));
        let after = fruit
            .find_one_and_update(doc! { "_id": 2 }, inc())
            .projection(doc! { "n": 1 })
            .return_new()
            .run()
            .await
            .expect("changed");
        assert_eq!(after, Some(doc! { "_id": 2, "n": 2 }));
        let made = fruit
            .find_one_and_replace(doc! { "_id": 9 }, &doc! { "new": true })
            .upsert()
            .return_new()
            .run()
            .await
            .expect("changed");
        assert_eq!(made, Some(doc! { "_id": 9, "new": true }));
        let gone = fruit.find_one_and_delete(doc! { "_id": 9 }).run().await.expect("deleted");
        assert_eq!(gone, Some(doc! { "_id": 9, "new": true }));
        assert_eq!(fruit.find_one_and_delete(doc! { "_id": 9 }).run().await.expect("deleted"), None);
    })
    .await;
}

async fn bulks_say_which_write_failed<R: Plug>(runtime: R) {
    with_client(runtime, "", async |_, fruit, _| {
        let models = || {
            [
                WriteModel::Insert(doc! { "_id": 1 }),
                WriteModel::Insert(doc! { "_id": 1 }),
                WriteModel::update_one(
                    doc! { "_id": 1 }.as_doc(),
                    doc! { "$set": { "a": 1 } }.as_doc(),
                    false,
                ),
                WriteModel::update_one(
                    doc! { "_id": 5 }.as_doc(),
                    doc! { "$set": { "a": 1 } }.as_doc(),
                    true,
                ),
                WriteModel::delete_one(doc! { "_id": 1 }.as_doc()),
            ]
        };
        let Err(Error::Write(failure)) = fruit.bulk_write(models()).run().await else { panic!("ordered") };
        assert_eq!(
            failure.errors.iter().map(|error| (error.index, error.code)).collect::<Vec<_>>(),
            [(1, 11000)]
        );
        assert_eq!((failure.result.inserted, failure.result.modified), (1, 0));
        fruit.drop_collection().run().await.expect("dropped");
        let result = fruit.bulk_write(models()).ordered(false).run().await;
        let Err(Error::Write(failure)) = result else { panic!("unordered") };
        assert_eq!(failure.errors.len(), 1);
        let error = Error::Write(failure.clone());
        assert!(error.is_duplicate_key());
        // The order of kinds is the client's own; all but the double one were made.
        let result = &failure.result;
        assert_eq!((result.inserted, result.upserted.len()), (1, 1));
        assert_eq!(result.upserted[0].0, 3);
        let ok = fruit.bulk_write([WriteModel::Insert(doc! { "a": 1 })]).run().await.expect("inserted");
        assert_eq!(ok.inserted, 1);
        let nothing = fruit.bulk_write([]).run().await.expect("nothing to do");
        assert_eq!(nothing.inserted, 0);
    })
    .await;
}

async fn bulks_are_split_by_limits<R: Plug>(runtime: R) {
    with_client(runtime, "", async |client, fruit, _| {
        // Longer in all than one message may be.
        let text = "x".repeat(8 << 20);
        let documents: Vec<_> = (0..7).map(|number| doc! { "_id": number, "text": &text }).collect();
        let sizes: usize = documents.iter().map(|doc| doc.as_bytes().len()).sum();
        assert!(sizes > client.server_info().expect("connected").max_message_len);
        fruit.insert_many(&documents).run().await.expect("inserted");
        assert_eq!(fruit.count(doc! {}).run().await.expect("counted"), 7);
        let too_long = doc! { "text": "x".repeat(17 << 20) };
        let error = fruit.insert_one(&too_long).run().await.expect_err("longer than a document may be");
        assert!(matches!(error, Error::Encode(_)), "{error}");
        client.ping().await.expect("the connection goes on");
    })
    .await;
}

async fn counted_and_grouped<R: Plug>(runtime: R) {
    with_client(runtime, "", async |_, fruit, _| {
        assert_eq!(fruit.count(doc! {}).run().await.expect("counted"), 0);
        grow(&fruit, 10).await;
        assert_eq!(fruit.count(doc! { "even": true }).run().await.expect("counted"), 5);
        assert_eq!(fruit.count(doc! {}).skip(2).limit(3).run().await.expect("counted"), 3);
        assert_eq!(fruit.estimated_count().run().await.expect("counted"), 10);
        let values = fruit.distinct("even", doc! {}).run().await.expect("found");
        let values: Vec<_> = values.iter().map(|value| value.as_value().as_bool()).collect();
        assert_eq!(values, [Some(false), Some(true)]);
        let groups = fruit
            .aggregate([
                doc! { "$match": { "_id": { "$lt": 5 } } },
                doc! { "$group": { "_id": "$even", "sum": { "$sum": "$_id" } } },
                doc! { "$sort": { "_id": 1 } },
            ])
            .collect()
            .await
            .expect("aggregated");
        assert_eq!(groups, [doc! { "_id": false, "sum": 4 }, doc! { "_id": true, "sum": 6 }]);
    })
    .await;
}

async fn unacknowledged_writes<R: Plug>(runtime: R) {
    with_client(runtime, "?maxPoolSize=1", async |client, fruit, _| {
        let none = || WriteConcern::nodes(0);
        fruit.insert_one(&doc! { "_id": 1 }).write_concern(none()).run().await.expect("sent");
        let result = fruit
            .update_one(doc! { "_id": 1 }, doc! { "$set": { "a": 1 } })
            .write_concern(none())
            .run()
            .await
            .expect("sent");
        assert!(!result.acknowledged);
        // The same connection carries the next command, so the writes come first.
        assert_eq!(fruit.find_one(doc! {}).run().await.expect("found"), Some(doc! { "_id": 1, "a": 1 }));
        assert_eq!(client.connections(), 1);
    })
    .await;
}

async fn errors_keep_what_the_server_said<R: Plug>(runtime: R) {
    with_client(runtime, "", async |client, fruit, _| {
        grow(&fruit, 1).await;
        let error = fruit.insert_one(&doc! { "_id": 0 }).run().await.expect_err("it is there already");
        assert!(error.is_duplicate_key(), "{error}");
        let error = fruit.find(doc! { "$wrong": 1 }).run().await.map(drop).expect_err("no such operator");
        let said = error.command_error().expect("an error of the server");
        assert_eq!((said.code, said.code_name.as_str(), error.code()), (2, "BadValue", Some(2)));
        client
            .database("admin")
            .run_command(doc! {
                "configureFailPoint": "failCommand",
                "mode": { "times": 1 },
                "data": { "failCommands": ["insert"], "errorCode": 50, "errorLabels": ["Odd"] },
            })
            .run()
            .await
            .expect("configured");
        let error = fruit.insert_one(&doc! {}).run().await.expect_err("the fail point");
        assert!(error.has_label("Odd") && !error.has_label("Even"), "{error}");
    })
    .await;
}

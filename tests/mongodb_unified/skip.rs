//! What is not run, and why.

use serde_json::Value;

use crate::operations::KNOWN;
use crate::{Case, Server};

/// Tests that ask for what this client or the embedded server has not: a part of the test's name, and the reason. Everything else has to
/// pass.
const CLIENT: &[(&str, &str)] = &[
    ("always gossips the $clusterTime", "cluster times come with replica sets"),
    ("does not attach primary $readPreference", "these clients ask one server directly, whatever it is"),
    ("bulkWrite-update-validation", "a write model is an update or a replacement as it stands"),
];

/// The same for the embedded server alone.
const EMBEDDED: &[(&str, &str)] = &[
    ("clustered-indexes", "keeps no options of collections"),
    ("modifyCollection", "has no collMod"),
    ("errInfo is accessible", "has no collMod"),
    ("timeseries-collection", "has no time series"),
    ("showRecordId and returnKey", "gives whole documents"),
    ("collation", "compares text by its bytes"),
    ("-let: ", "has no variables"),
    ("aggregate-merge", "has no stages that write"),
    ("aggregate-out-merge", "has no stages that write"),
    ("aggregate-write-readPreference", "has no stages that write"),
    ("Aggregate with $out passes", "has no stages that write"),
    ("default-write-concern-3.4: Aggregate with $out", "has no stages that write"),
    ("arrayFilters", "has no filtered positions"),
    ("pipeline", "has no updates by stages"),
    ("-dots_and_dollars: Updating", "has no updates by stages"),
    ("findOneAndUpdate-comment", "has no updates by stages"),
    ("collectionData-createOptions", "keeps no options of collections"),
    ("findOneAndUpdate DuplicateKey error", "keeps no unique index but that of _id"),
    ("sort option unsupported", "knows the sort of an update"),
    ("Unsupported query operator", "ignores top-level operators that it does not know"),
    ("aggregate on database", "has no aggregation without a collection"),
    ("crud-api-version-1-strict: distinct", "has no strict stable API"),
    ("runcommand-helper-no-api-version-declared", "has no strict stable API"),
];

/// The same for the real server alone.
const REAL: &[(&str, &str)] = &[
    (
        "fails after multiple retryable writeConcernErrors",
        "answers a numbered write from its memory before its fail point",
    ),
    ("runcommand-helper-no-api-version-declared", "takes any version of the stable API"),
];

/// Why a test is not run, if it is not.
pub(crate) fn reason(server: &Server, case: &Case) -> Option<String> {
    if let Some(why) = case.test["skipReason"].as_str() {
        return Some(format!("the vectors skip it: {why}"));
    }
    for requirements in [&case.file["runOnRequirements"], &case.test["runOnRequirements"]] {
        if let Some(any) = requirements.as_array()
            && !any.iter().any(|requirement| fits(server, requirement))
        {
            return Some("not for a server like this".to_owned());
        }
    }
    let entities = case.file["createEntities"].as_array().into_iter().flatten();
    let operations = case.test["operations"].as_array().into_iter().flatten();
    if let Some(why) =
        entities.filter_map(Value::as_object).flatten().find_map(|(kind, entity)| unknown(kind, entity))
    {
        return Some(why);
    }
    for operation in operations {
        let name = operation["name"].as_str().unwrap_or_default();
        if !KNOWN.contains(&name) {
            return Some(format!("no {name} here"));
        }
        if operation["expectError"]
            .get("errorResponse")
            .is_some_and(|response| response.get("writeErrors").is_some())
        {
            return Some("write errors are not kept as a reply".to_owned());
        }
    }
    let events = case.test["expectEvents"].as_array().into_iter().flatten();
    for event in events {
        if event["eventType"].as_str().is_some_and(|kind| kind != "command") {
            return Some("no events of the pool here".to_owned());
        }
    }
    let text = case.test.to_string();
    if text.contains("onPrimaryTransactionalWrite") {
        return Some("a fail point that the servers here have not".to_owned());
    }
    if text.contains("$$matchesHexBytes")
        || text.contains("ServerConnectionId")
        || text.contains("hasServiceId")
    {
        return Some("not told by this client".to_owned());
    }
    let own = match server {
        Server::Embedded => EMBEDDED,
        Server::Real(_) => REAL,
    };
    let listed = CLIENT.iter().chain(own).find(|(part, _)| case.name.contains(part));
    listed.map(|(_, why)| (*why).to_owned())
}

/// Entities and settings that this client has not.
fn unknown(kind: &str, entity: &Value) -> Option<String> {
    if !matches!(kind, "client" | "database" | "collection" | "session") {
        return Some(format!("no {kind} here"));
    }
    if entity["sessionOptions"].get("snapshot").is_some_and(|snapshot| snapshot == &Value::Bool(true)) {
        return Some("no snapshot sessions here".to_owned());
    }
    let observed = entity["observeEvents"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let foreign = observed.filter(|name| !name.starts_with("command")).map(str::to_owned).next();
    if let Some(name) = foreign {
        return Some(format!("no {name} here"));
    }
    ["storeEventsAsEntities", "autoEncryptOpts", "observeLogMessages", "observeSensitiveCommands"]
        .iter()
        .find(|key| entity.get(**key).is_some())
        .map(|key| format!("no {key} here"))
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').filter_map(|part| part.parse().ok()).chain([0, 0, 0]).take(3).collect()
}

fn fits(server: &Server, requirement: &Value) -> bool {
    let own = version(server.version());
    let least = requirement["minServerVersion"].as_str().is_none_or(|least| version(least) <= own);
    // A missing part of the most is any.
    let most = requirement["maxServerVersion"].as_str().is_none_or(|most| {
        let most: Vec<u32> = most.split('.').filter_map(|part| part.parse().ok()).collect();
        own.iter()
            .zip(&most)
            .map(|(own, most)| own.cmp(most))
            .find(|order| order.is_ne())
            .is_none_or(std::cmp::Ordering::is_lt)
    });
    let topology = requirement["topologies"]
        .as_array()
        .is_none_or(|any| any.iter().any(|topology| topology == "replicaset"));
    let plain = requirement["serverless"] != "require"
        && requirement["auth"] != Value::Bool(true)
        && requirement.get("csfle").is_none_or(|csfle| csfle == &Value::Bool(false))
        && requirement.get("serverParameters").is_none_or(|parameters| {
            parameters.as_object().is_none_or(|parameters| {
                parameters.keys().all(|key| key == "requireApiVersion")
                    && parameters["requireApiVersion"] == Value::Bool(false)
            })
        });
    least && most && topology && plain
}

//! SCRAM conversations.

use std::path::Path;

use base64::Engine as _;
use glowplug_mongodb::auth::{ScramClient, ScramHash, ScramServer, StoredKeys};
use libtest_mimic::Failed;
use serde_json::Value as Json;

use crate::{json_files, verdict};

/// Conversations that are not MongoDB's, with the reason.
const SKIPPED: &[(&str, &str)] = &[
    ("sha-512-ascii", "MongoDB has no SCRAM-SHA-512"),
    ("bad-user", "the client of that case sends a name that is not its user's"),
];

pub(crate) fn scram(folder: &Path) -> Result<(), Failed> {
    let (mut failures, mut cases) = (Vec::new(), 0);
    for group in ["good", "bad-client", "bad-server"] {
        for (file, case) in json_files(&folder.join(group))? {
            let has_identity = case["authzID"].as_str().is_some_and(|identity| !identity.is_empty());
            if SKIPPED.iter().any(|(name, _)| *name == file) || has_identity {
                continue;
            }
            cases += 1;
            if let Err(error) = converse(group, &case) {
                failures.push(format!("{group}/{file}: {error}"));
            }
        }
    }
    verdict(&failures, cases, 10)
}

/// Both halves follow the recorded steps; the last of a bad conversation is refused.
fn converse(group: &str, case: &Json) -> Result<(), String> {
    let text = |key: &str| case[key].as_str().unwrap_or_default();
    let hash = if text("digest") == "SHA-1" { ScramHash::Sha1 } else { ScramHash::Sha256 };
    // These conversations hash the password itself, which for SHA-1 MongoDB does not.
    let password = if hash == ScramHash::Sha1 || case["skipSASLprep"] == true {
        text("pass").to_owned()
    } else {
        hash.prepare("", text("pass")).map_err(|error| error.to_string())?
    };
    let steps: Vec<&str> = case["steps"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    // The client takes names as they are: SASLprep of names is not MongoDB's.
    let user = steps[0].split("n=").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default();
    let mut client = ScramClient::new(hash, user, &password, text("clientNonce").into(), None);
    let expect = |what: &str, got: &str, step: &str| {
        if got == step { Ok(()) } else { Err(format!("{what}: {got}, not {step}")) }
    };
    expect("client first", &client.first(), steps[0])?;
    let salt = base64::engine::general_purpose::STANDARD
        .decode(text("salt64").trim())
        .map_err(|error| error.to_string())?;
    let iterations = case["iters"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
    let keys = StoredKeys::new(hash, &password, salt, iterations);
    let (_, mut server) = ScramServer::new(steps[0].as_bytes()).map_err(|error| error.to_string())?;
    expect("server first", &server.first(&keys, text("serverNonce")), steps[1])?;
    let last = client.handle_first(steps[1].as_bytes(), 100_000).map_err(|error| error.to_string())?;
    let verified = server.handle_final(steps[2].as_bytes(), &keys);
    if group == "bad-client" {
        return if verified.is_err() { Ok(()) } else { Err("a wrong proof was taken".into()) };
    }
    expect("client final", &last, steps[2])?;
    let signature = verified.map_err(|error| error.to_string())?;
    let result = client.handle_final(steps[3].as_bytes());
    if group == "bad-server" {
        return if result.is_err() { Ok(()) } else { Err("a wrong signature was taken".into()) };
    }
    expect("server final", &signature, steps[3])?;
    result.map_err(|error| error.to_string())
}

//! gunicorn's requests: the valid ones and what is in them, and the invalid ones.

use std::path::Path;
use std::sync::Arc;

use glowplug_http::{Limits, ServerConfig};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::messages::requests;
use crate::support::{at_every_cut, serve};

/// Where our verdict is another than gunicorn's, and why. `true`: we accept.
const DISAGREEMENTS: &[(&str, bool, &str)] = &[
    (
        "valid/009",
        false,
        "identity is no transfer coding any more (RFC 9112 §7), and there is a length beside it",
    ),
    ("valid/025", false, "gzip is not undone here: 501 (RFC 9112 §6.1)"),
    ("valid/025_line", false, "gzip is not undone here: 501 (RFC 9112 §6.1)"),
    (
        "valid/028",
        false,
        "white space before a colon in a request is refused in any mode (RFC 9112 §5.1 orders that)",
    ),
    ("valid/029", false, "identity is no transfer coding any more (RFC 9112 §7)"),
    ("valid/030", false, "identity is no transfer coding any more (RFC 9112 §7)"),
    (
        "valid/031compat",
        true,
        "methods have a case (RFC 9110 §9.1); gunicorn was told here to make them upper case",
    ),
    ("valid/040", true, "names with underscores are names; gunicorn drops them, since CGI would mix them up"),
    (
        "valid/099",
        false,
        "the stream ends before the announced length does; gunicorn leaves that to whoever reads",
    ),
    ("valid/pp_01", false, "the PROXY protocol comes before HTTP and is not part of it"),
    ("valid/pp_02", false, "the PROXY protocol comes before HTTP and is not part of it"),
    ("valid/pp_05", false, "the PROXY protocol comes before HTTP and is not part of it"),
    ("invalid/003c", true, "a method may begin with a hyphen: it is a token (RFC 9110 §9.1)"),
    ("invalid/007", true, "there is no limit on one field, only on all of them"),
    ("invalid/008", true, "there is no limit on one field, only on all of them"),
    ("invalid/010", true, "there is no limit on one field, only on all of them"),
    ("invalid/012", true, "there is no limit on one field, only on all of them"),
    ("invalid/013", true, "there is no limit on one field, only on all of them"),
    ("invalid/017", true, "there is no limit on one field, only on all of them"),
    ("invalid/limit_header_default_01", true, "there is no limit on one field, only on all of them"),
    ("invalid/019", true, "what forwarding fields say is the application's business"),
    ("invalid/040", true, "names with underscores are names; gunicorn was told here to refuse them"),
    (
        "invalid/041",
        true,
        "a repeated content-type is the application's business: it does not frame the message",
    ),
];

pub(crate) fn trials(root: &Path) -> Result<Vec<Trial>, Failed> {
    let cases = crate::json(root, "gunicorn/requests.json")?;
    let cases = cases.as_array().ok_or("not an array")?;
    let mut trials = Vec::new();
    for case in cases {
        let id = case["id"].as_str().ok_or("a case without an id")?.to_owned();
        let case = case.clone();
        trials.push(Trial::test(format!("gunicorn {id}"), move || run(&id, &case)));
    }
    Ok(trials)
}

fn run(id: &str, case: &Value) -> Result<(), Failed> {
    let wire = crate::base64(&case["wire_b64"])?;
    let mut config = ServerConfig::default();
    // gunicorn leaves these to its users; its limits are others than ours.
    config.leniency.missing_host = true;
    config.leniency.fragment_in_target = true;
    config.leniency.non_ascii_target = true;
    config.leniency.obs_fold = case["config"]["permit_obsolete_folding"] == true;
    config.limits = Limits::default().max_start_line_len(4096);
    if let Some(fields) = case["config"]["limit_request_fields"].as_u64() {
        config.limits = config.limits.max_fields(usize::try_from(fields)?);
    }
    let config = Arc::new(config);
    at_every_cut(&wire, 2000, |pieces| serve(&config, pieces, true));
    let reading = requests(&config, &wire, true);
    let accepted = reading.refusal.is_none();
    if let Some((_, accepts, _)) = DISAGREEMENTS.iter().find(|(known, _, _)| *known == id) {
        if *accepts != accepted {
            return Err(format!("listed as accepted: {accepts}, but {reading:?}").into());
        }
        return Ok(());
    }
    if accepted != (case["kind"] == "valid") {
        return Err(format!("{} {} {reading:?}", case["config"], wire.escape_ascii()).into());
    }
    if !accepted {
        return Ok(());
    }
    let expected: Vec<&Value> = match &case["expect"] {
        Value::Array(several) => several.iter().collect(),
        one => vec![one],
    };
    if expected.len() != reading.messages.len() {
        return Err(format!("{} requests expected: {reading:?}", expected.len()).into());
    }
    for (expected, ours) in expected.into_iter().zip(&reading.messages) {
        let text = |value: &Value| {
            value
                .as_str()
                .or(value["latin1"].as_str())
                .or(value["raw"].as_str())
                .unwrap_or_default()
                .to_owned()
        };
        let start = format!("{} {}", text(&expected["method"]), text(&expected["uri"]));
        let latin1 = |bytes: &[u8]| bytes.iter().map(|&byte| char::from(byte)).collect::<String>();
        // A fold is as many spaces as it had bytes; gunicorn makes it one.
        let squeezed = |value: String| value.split_whitespace().collect::<Vec<_>>().join(" ");
        let body = String::from_utf8_lossy(&ours.body);
        let fields: Vec<(String, String)> =
            ours.fields.iter().map(|(name, value)| (name.to_uppercase(), squeezed(latin1(value)))).collect();
        let theirs: Vec<(String, String)> = expected["headers"]
            .as_array()
            .map(|pairs| pairs.iter().map(|pair| (text(&pair[0]), squeezed(text(&pair[1])))).collect())
            .unwrap_or_default();
        if start != latin1(ours.start.as_bytes()) || text(&expected["body"]) != body || fields != theirs {
            return Err(format!("ours {ours:?}\ntheirs {expected}").into());
        }
    }
    Ok(())
}

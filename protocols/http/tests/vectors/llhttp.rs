//! llhttp's fixtures (Node.js): verdicts, and the method, target, fields and body that its spans show.
//!
//! Most of its requests have no `Host`, and many targets have a fragment, since llhttp leaves both to its users; the two
//! leniencies for that are on here. Its own lenient modes turn on the leniency that is nearest.

use std::path::Path;
use std::sync::Arc;

use glowplug_http::{ClientConfig, Leniency, Limits, Method, ServerConfig};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::messages::{Message, Reading, answers, requests};
use crate::support::{at_every_cut, receive, serve};

/// Where our verdict is another than llhttp's, and why. `true`: we accept.
const DISAGREEMENTS: &[(&str, bool, &str)] = &[
    (
        "request/connection.md:640",
        false,
        "white space before a colon in a request is refused in any mode (RFC 9112 §5.1 orders that)",
    ),
    ("request/invalid.md:69", true, "ANNOUNCE is a token; llhttp knows it from RTSP (RFC 9110 §9.1)"),
    (
        "request/invalid.md:184",
        true,
        "the head never ends, since a lone CR is no line end in any mode: undecided, and nothing is read",
    ),
    ("request/invalid.md:359", true, "MKCOLA is a token; llhttp knows a list of methods (RFC 9110 §9.1)"),
    (
        "request/invalid.md:571",
        false,
        "with bare line feeds the body ends at the first empty line, and what follows is no request",
    ),
    ("request/lenient-header-value-relaxed.md:13", false, "no leniency for control characters in values"),
    ("request/lenient-version.md:7", false, "no leniency for versions"),
    ("request/method.md:99", false, "a CONNECT with a body is refused: RFC 9110 §9.3.6 gives it no meaning"),
    ("request/method.md:138", false, "the asterisk goes with OPTIONS alone (RFC 9112 §3.2.4); this is SSDP"),
    ("request/method.md:375", false, "ICE is not HTTP"),
    ("request/method.md:405", false, "RTSP is not HTTP"),
    ("request/method.md:433", false, "RTSP is not HTTP"),
    ("request/sample.md:317", false, "HTTP/0.9 has no version, and is not spoken here"),
    (
        "request/transfer-encoding.md:539",
        false,
        "identity is no transfer coding any more (RFC 9112 §7), and there is a length beside it",
    ),
    (
        "request/transfer-encoding.md:683",
        false,
        "chunked has to come last (RFC 9112 §6.1); no leniency for that",
    ),
    (
        "request/transfer-encoding.md:716",
        false,
        "chunked has to come last (RFC 9112 §6.1); no leniency for that",
    ),
    ("request/transfer-encoding.md:754", false, "deflate is not undone here: 501 (RFC 9112 §6.1)"),
    ("request/transfer-encoding.md:796", false, "deflate is not undone here: 501 (RFC 9112 §6.1)"),
    ("request/transfer-encoding.md:1029", false, "no leniency for a lone CR behind a chunk size"),
    ("request/transfer-encoding.md:1144", false, "no leniency for a missing line end behind a chunk"),
    ("request/transfer-encoding.md:1218", false, "no leniency for white space behind a chunk size"),
    (
        "response/connection.md:589",
        false,
        "an empty line before a status line: only servers ignore these (RFC 9112 §2.2)",
    ),
    ("response/sample.md:43", false, "RTSP is not HTTP"),
    ("response/sample.md:63", false, "ICE is not HTTP"),
    (
        "response/sample.md:294",
        false,
        "the space behind the status code is missing (RFC 9112 §4); `status_without_space` accepts it",
    ),
    ("response/sample.md:648", false, "there is no status line in HTTP/0.9"),
    (
        "response/sample.md:698",
        false,
        "an empty line before a status line: only servers ignore these (RFC 9112 §2.2)",
    ),
];

pub(crate) fn trials(root: &Path) -> Result<Vec<Trial>, Failed> {
    let cases = crate::json(root, "llhttp/cases.json")?;
    let cases = cases.as_array().ok_or("not an array")?;
    let mut trials = Vec::new();
    for case in cases.iter().filter(|case| case["kind"] == "http") {
        let id = case["id"].as_str().ok_or("a case without an id")?.to_owned();
        let case = case.clone();
        trials.push(Trial::test(format!("llhttp {id}"), move || run(&id, &case)));
    }
    Ok(trials)
}

fn leniency(kind: &str) -> Leniency {
    let mut leniency = Leniency::default();
    leniency.missing_host = true;
    leniency.fragment_in_target = true;
    match kind {
        "request-lenient-headers" => {
            leniency.obs_fold = true;
            leniency.space_before_colon = true;
        }
        "response-lenient-optional-cr-before-lf" | "request-lenient-all" => leniency.bare_lf = true,
        _ => {}
    }
    leniency
}

fn run(id: &str, case: &Value) -> Result<(), Failed> {
    let kind = case["meta"]["type"].as_str().unwrap_or_default();
    let log: Vec<&str> = case["log"].as_array().ok_or("no log")?.iter().filter_map(Value::as_str).collect();
    let mut wire = crate::base64(&case["input_b64"])?;
    // The line ends that closed a fixture are not among its bytes; the offsets in the log say how many there were.
    let end = log.iter().filter_map(|line| number(line, "off=")).max().unwrap_or(0);
    while wire.len() < end {
        wire.extend_from_slice(b"\r\n");
    }
    let refused_there = log.iter().any(|line| {
        // 22 is a pause at an upgrade. 5 is data behind a message that closes the connection: we throw it away.
        number(line, "error code=").is_some_and(|code| code != 22 && code != 5)
    });
    if refused_there {
        // We judge heads when they are whole.
        wire.extend_from_slice(b"\r\n\r\n");
    }
    let leniency = leniency(kind);
    let reading = if kind.starts_with("response") {
        let mut config = ClientConfig::default();
        config.leniency = leniency;
        let config = Arc::new(config);
        at_every_cut(&wire, 4096, |pieces| receive(&config, &Method::GET, pieces, false));
        answers(&config, &Method::GET, &wire, false)
    } else {
        let mut config = ServerConfig::default();
        config.leniency = leniency;
        config.limits = Limits::default().max_empty_lines(2);
        let config = Arc::new(config);
        at_every_cut(&wire, 4096, |pieces| serve(&config, pieces, false));
        requests(&config, &wire, false)
    };

    let accepted = reading.refusal.is_none();
    if let Some((_, accepts, _)) = DISAGREEMENTS.iter().find(|(known, _, _)| *known == id) {
        if *accepts != accepted {
            return Err(format!("listed as accepted: {accepts}, but {reading:?}").into());
        }
        return Ok(());
    }
    if accepted == refused_there {
        return Err(format!("{} {reading:?}\n{log:#?}", wire.escape_ascii()).into());
    }
    if accepted { compare(&log, &wire, &reading) } else { Ok(()) }
}

/// The messages that the spans of `log` show, against ours.
fn compare(log: &[&str], wire: &[u8], reading: &Reading) -> Result<(), Failed> {
    let mut theirs: Vec<Message> = Vec::new();
    let (mut start, mut name, mut value) = (String::new(), String::new(), Vec::new());
    let span = |line: &str| {
        let (off, len) = (number(line, "off=")?, number(line, "len=")?);
        wire.get(off..off + len)
    };
    for line in log {
        let Some((_, event)) = line.split_once(' ') else { continue };
        if event.starts_with("message begin") {
            theirs.push(Message::default());
        }
        let Some(message) = theirs.last_mut() else { continue };
        let Some(bytes) = span(line) else {
            match event {
                "method complete" => start.push(' '),
                "header_value complete" => {
                    message.fields.push((std::mem::take(&mut name), std::mem::take(&mut value)));
                }
                "message complete" => message.complete = true,
                _ if event.starts_with("headers complete") => {
                    message.start = std::mem::take(&mut start);
                    if let Some(status) = number(event, "status=") {
                        message.start = status.to_string();
                    }
                }
                _ => {}
            }
            continue;
        };
        let text = String::from_utf8_lossy(bytes);
        if event.contains("span[method]") || event.contains("span[url]") {
            start.push_str(&text);
        } else if event.contains("span[header_field]") {
            name.push_str(&text);
        } else if event.contains("span[header_value]") {
            value.extend_from_slice(bytes);
        } else if event.contains("span[body]") {
            message.body.extend_from_slice(bytes);
        }
    }
    let joined = |message: &Message| {
        let fields = message.fields.iter().chain(&message.trailers);
        let squeezed = |value: &[u8]| {
            value.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<_>>()
        };
        fields.map(|(name, value)| (name.clone(), squeezed(value))).collect::<Vec<_>>()
    };
    for (ours, theirs) in reading.messages.iter().zip(&theirs) {
        if theirs.start.is_empty() {
            continue;
        }
        if (&ours.start, joined(ours), &ours.body) != (&theirs.start, joined(theirs), &theirs.body) {
            return Err(format!("ours {ours:?}\ntheirs {theirs:?}").into());
        }
    }
    let whole = theirs.iter().filter(|message| !message.start.is_empty()).count();
    if reading.messages.is_empty() && whole > 0 { Err("nothing was read".into()) } else { Ok(()) }
}

/// The number behind `key` in a line of the log.
fn number(line: &str, key: &str) -> Option<usize> {
    let (_, rest) = line.split_once(key)?;
    let digits = rest.split(|char: char| !char.is_ascii_digit()).next()?;
    digits.parse().ok()
}

//! Vectors of other projects, found by the variable `GLOWPLUG_VECTORS` (a folder that holds `vectors/http1/`).
//!
//! Without the variable the suites are listed as ignored; with it, a missing file fails. Verdicts are those of RFC 9112:
//! where a vector's own project decides otherwise, the case is listed in [`llhttp`] or [`gunicorn`] with the reason.

#[path = "vectors/flows.rs"]
mod flows;
#[path = "vectors/gunicorn.rs"]
mod gunicorn;
#[path = "vectors/llhttp.rs"]
mod llhttp;
#[path = "vectors/messages.rs"]
mod messages;
#[path = "vectors/multipart.rs"]
mod multipart;
#[path = "vectors/smuggling.rs"]
mod smuggling;
mod support;

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};

const VARIABLE: &str = "GLOWPLUG_VECTORS";

fn main() {
    let arguments = Arguments::from_args();
    let trials = match std::env::var_os(VARIABLE) {
        Some(root) => trials(&PathBuf::from(root).join("vectors/http1")),
        None => [
            "llhttp",
            "gunicorn",
            "libhtp",
            "zeek-captures",
            "h2o-fuzz",
            "python-multipart",
            "smuggling-payloads",
        ]
        .iter()
        .map(|suite| {
            Trial::test(format!("{suite} ({VARIABLE} is not set)"), || Ok(())).with_ignored_flag(true)
        })
        .collect(),
    };
    libtest_mimic::run(&arguments, trials).exit();
}

fn trials(root: &Path) -> Vec<Trial> {
    let suites = [
        ("llhttp", llhttp::trials(root)),
        ("gunicorn", gunicorn::trials(root)),
        ("libhtp", flows::libhtp(root)),
        ("zeek-captures", flows::zeek(root)),
        ("h2o-fuzz", flows::h2o(root)),
        ("python-multipart", multipart::trials(root)),
        ("smuggling-payloads", smuggling::trials(root)),
    ];
    let each = |(suite, trials): (&str, Result<Vec<Trial>, Failed>)| match trials {
        Ok(trials) => trials,
        Err(error) => vec![Trial::test(format!("{suite}: loading"), || Err(error))],
    };
    suites.into_iter().flat_map(each).collect()
}

/// A file's text, which has to be there.
fn read(root: &Path, name: &str) -> Result<String, Failed> {
    std::fs::read_to_string(root.join(name)).map_err(|error| format!("{name}: {error}").into())
}

/// A file as JSON.
fn json(root: &Path, name: &str) -> Result<serde_json::Value, Failed> {
    serde_json::from_str(&read(root, name)?).map_err(|error| format!("{name}: {error}").into())
}

fn base64(text: &serde_json::Value) -> Result<Vec<u8>, Failed> {
    use base64::Engine;
    let text = text.as_str().ok_or("a case without bytes")?;
    base64::engine::general_purpose::STANDARD.decode(text).map_err(|error| error.to_string().into())
}

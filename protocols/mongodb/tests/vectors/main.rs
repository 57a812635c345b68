//! Other people's test vectors and recorded traffic, found through `GLOWPLUG_VECTORS` (a folder with `vectors/` and
//! `captures/`). Without it every suite is listed as ignored; with it, a missing file fails.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests read files")]

mod auth;
mod bson;
mod pool;
mod replay;
mod uri;
mod wire;

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};

type Check = fn(&Path) -> Result<(), Failed>;

fn main() {
    let root = std::env::var_os("GLOWPLUG_VECTORS").map(PathBuf::from);
    let suites: &[(&str, &str, Check)] = &[
        ("bson_corpus", "vectors/mongodb/bson-corpus/bson-corpus", bson::corpus),
        ("bson_binary_vector", "vectors/mongodb/bson-corpus/bson-binary-vector", bson::binary_vector),
        ("captures", "captures/mongodb", wire::captures),
        ("captures_replayed", "captures/mongodb", replay::captures),
        ("captures_cut", "captures/mongodb", wire::captures_cut),
        ("connection_string", "vectors/mongodb/driver-specs/connection-string", uri::strings),
        ("uri_options", "vectors/mongodb/driver-specs/uri-options", uri::strings),
        ("srv_discovery", "vectors/mongodb/driver-specs/initial-dns-seedlist-discovery", uri::srv_strings),
        (
            "cmap_format",
            "vectors/mongodb/driver-specs/connection-monitoring-and-pooling/cmap-format",
            pool::cmap,
        ),
        ("scram", "vectors/mongodb/scram", auth::scram),
        ("ferretdb_wire", "vectors/mongodb/ferretdb-wire", wire::ferretdb),
        ("libbson_binary", "vectors/mongodb/libbson-binary/bson.jsonl", bson::libbson),
    ];
    let trials = suites.iter().map(|(name, path, check)| match &root {
        Some(root) => {
            let path = root.join(path);
            Trial::test(*name, move || check(&path))
        }
        None => Trial::test(*name, || Ok(())).with_kind("set GLOWPLUG_VECTORS").with_ignored_flag(true),
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

/// The JSON files in a folder, by name. An empty or missing folder is an error.
pub(crate) fn json_files(folder: &Path) -> Result<Vec<(String, serde_json::Value)>, Failed> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            files.push((name, serde_json::from_slice(&std::fs::read(&path)?)?));
        }
    }
    if files.is_empty() {
        return Err(format!("no cases in {}", folder.display()).into());
    }
    files.sort_by(|one, two| one.0.cmp(&two.0));
    Ok(files)
}

/// Bytes from hexadecimal digits.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Fails with every failure at once, or when fewer cases ran than the folder is known to hold.
pub(crate) fn verdict(failures: &[String], cases: usize, at_least: usize) -> Result<(), Failed> {
    if !failures.is_empty() {
        return Err(format!("{} of {cases} cases failed:\n{}", failures.len(), failures.join("\n")).into());
    }
    if cases < at_least {
        return Err(format!("only {cases} cases, there should be {at_least}").into());
    }
    Ok(())
}

//! Other people's vectors. They are found through the environment variable `GLOWPLUG_VECTORS`, a folder that holds `vectors/`;
//! without it the suite is listed as ignored.

mod ferret;
mod knot;
mod messages;
mod records;
mod scenarios;

use std::path::PathBuf;

use libtest_mimic::{Arguments, Failed, Trial};

/// The folder with the DNS vectors.
fn folder() -> Option<PathBuf> {
    std::env::var_os("GLOWPLUG_VECTORS").map(|root| PathBuf::from(root).join("vectors/dns"))
}

fn read(path: &str) -> Result<Vec<u8>, Failed> {
    let path = folder().ok_or("no folder")?.join(path);
    std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn read_text(path: &str) -> Result<String, Failed> {
    Ok(String::from_utf8_lossy(&read(path)?).into_owned())
}

/// The names of the files in a folder that end in `suffix`.
fn list(path: &str, suffix: &str) -> Result<Vec<String>, Failed> {
    let folder = folder().ok_or("no folder")?.join(path);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(suffix) {
            names.push(name);
        }
    }
    names.sort();
    if names.is_empty() { Err(format!("nothing in {path}").into()) } else { Ok(names) }
}

fn json_lines(path: &str) -> Result<Vec<serde_json::Value>, Failed> {
    read_text(path)?.lines().map(|line| serde_json::from_str(line).map_err(Failed::from)).collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut value, mut held) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes() {
        let Some(digit) = DIGITS.iter().position(|d| *d == byte) else { continue };
        value = value << 6 | digit as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((value >> held) as u8);
        }
    }
    out
}

fn main() {
    let arguments = Arguments::from_args();
    let ignored = folder().is_none();
    let trials =
        [messages::trials(), records::trials(), knot::trials(), ferret::trials(), scenarios::trials()];
    let trials = trials
        .into_iter()
        .flatten()
        .map(|trial: Trial| {
            if !ignored {
                return trial;
            }
            trial.with_kind("GLOWPLUG_VECTORS is not set").with_ignored_flag(true)
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

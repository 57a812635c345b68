//! Recorded and made-up connections, and a fuzzer's seeds: no verdicts, but the same events however they are cut.

use std::path::Path;

use glowplug_http::Method;
use libtest_mimic::{Failed, Trial};

use crate::support::{at_every_cut, client_config, receive, serve, server_config};

/// Seeded cuts of each long input; short ones are cut everywhere.
const CUTS: usize = if cfg!(debug_assertions) { 200 } else { 4096 };

/// Flows of which a request and an answer are read to their ends; the others are broken on purpose.
const LIBHTP_READ: usize = 25;
const ZEEK_READ: usize = 38;

/// What went each way.
#[derive(Default)]
struct Flow {
    up: Vec<u8>,
    down: Vec<u8>,
}

impl Flow {
    /// True when a request was read to its end, and so was an answer.
    fn is_read(&self) -> bool {
        let up = serve(&server_config(), &[&self.up], true);
        let down = receive(&client_config(), &Method::GET, &[&self.down], true);
        [up, down].iter().all(|told| told.events.iter().any(|event| event.starts_with("end")))
    }

    fn check(&self) {
        for eof in [false, true] {
            at_every_cut(&self.up, CUTS, |pieces| serve(&server_config(), pieces, eof));
            for method in [Method::GET, Method::HEAD] {
                at_every_cut(&self.down, CUTS, |pieces| receive(&client_config(), &method, pieces, eof));
            }
        }
    }
}

/// libhtp: files with `>>>` and `<<<` lines before what each side sent.
pub(crate) fn libhtp(root: &Path) -> Result<Vec<Trial>, Failed> {
    let (mut trials, mut read) = (Vec::new(), 0);
    let folder = root.join("libhtp/files");
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let flow = parse_libhtp(&std::fs::read(&path)?);
        read += usize::from(flow.is_read());
        trials.push(Trial::test(format!("libhtp {name}"), move || {
            flow.check();
            Ok(())
        }));
    }
    if trials.len() < 70 {
        return Err("files are missing".into());
    }
    trials.push(at_least("libhtp", read, LIBHTP_READ));
    Ok(trials)
}

fn parse_libhtp(bytes: &[u8]) -> Flow {
    let mut flow = Flow::default();
    let mut side: Option<bool> = None;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let marker = match line {
            [b'>', b'>', b'>', ..] => Some(true),
            [b'<', b'<', b'<', ..] => Some(false),
            _ => None,
        };
        match (marker, side) {
            (Some(up), before) => {
                if let Some(before) = before {
                    // The line end before a marker belongs to the marker.
                    let out = if before { &mut flow.up } else { &mut flow.down };
                    for end in [b'\n', b'\r'] {
                        if out.last() == Some(&end) {
                            out.pop();
                        }
                    }
                }
                side = Some(up);
            }
            (None, Some(true)) => flow.up.extend_from_slice(line),
            (None, Some(false)) => flow.down.extend_from_slice(line),
            (None, None) => {}
        }
    }
    flow
}

/// Zeek: one captured stream a line.
pub(crate) fn zeek(root: &Path) -> Result<Vec<Trial>, Failed> {
    let text = crate::read(root, "zeek-captures/flows.jsonl")?;
    let (mut trials, mut read) = (Vec::new(), 0);
    for line in text.lines() {
        let stream: serde_json::Value = serde_json::from_str(line)?;
        let name = format!("zeek {} {}", stream["capture"].as_str().unwrap_or_default(), stream["stream"]);
        let mut flow = Flow::default();
        for segment in stream["segments"].as_array().ok_or("no segments")? {
            let bytes = hex(segment["hex"].as_str().unwrap_or_default());
            if segment["from"] == 0 { flow.up.extend(bytes) } else { flow.down.extend(bytes) }
        }
        // Long captures are downloads: their beginnings have all that is to be seen.
        flow.up.truncate(64 * 1024);
        flow.down.truncate(64 * 1024);
        read += usize::from(flow.is_read());
        trials.push(Trial::test(name, move || {
            flow.check();
            Ok(())
        }));
    }
    if trials.len() < 60 {
        return Err("streams are missing".into());
    }
    trials.push(at_least("zeek", read, ZEEK_READ));
    Ok(trials)
}

/// Guards against a suite that passes because nothing in it is read any more.
fn at_least(suite: &str, read: usize, expected: usize) -> Trial {
    Trial::test(format!("{suite}: flows that are read whole"), move || {
        if read < expected { Err(format!("{read} of at least {expected}").into()) } else { Ok(()) }
    })
}

/// Bytes of a hexadecimal text; what is none (a note about a lost segment) is left out.
fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks_exact(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// h2o: seeds of its HTTP/1 fuzzer.
pub(crate) fn h2o(root: &Path) -> Result<Vec<Trial>, Failed> {
    let text = crate::read(root, "h2o-fuzz/http1-corpus.jsonl")?;
    let mut seeds = Vec::new();
    for line in text.lines() {
        let seed: serde_json::Value = serde_json::from_str(line)?;
        seeds.push(crate::base64(&seed["b64"])?);
    }
    if seeds.len() < 1200 {
        return Err("seeds are missing".into());
    }
    let cuts = if cfg!(debug_assertions) { 16 } else { 400 };
    let check = move || {
        for seed in &seeds {
            at_every_cut(seed, cuts, |pieces| serve(&server_config(), pieces, true));
            at_every_cut(seed, cuts, |pieces| receive(&client_config(), &Method::GET, pieces, true));
        }
        Ok(())
    };
    Ok(vec![Trial::test("h2o-fuzz http1-corpus", check)])
}

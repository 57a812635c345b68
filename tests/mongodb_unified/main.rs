//! Tests of other drivers in the unified test format, run through our client: against the embedded server, and against a real one.
//!
//! Each test of the vectors is one test here; those that are left out are listed as ignored, with the reason in brackets. The vectors are found
//! through `GLOWPLUG_VECTORS`; the real server as in `mongodb_peers`.

mod json;
mod operations;
mod peer;
#[path = "../support/port.rs"]
mod port;
mod run;
mod skip;
mod tap;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

/// The folders whose tests need one server, and nothing that this client has not.
const FOLDERS: &[&str] = &[
    "collection-management",
    "command-logging-and-monitoring/monitoring",
    "crud/unified",
    "read-write-concern/operation",
    "retryable-reads/unified",
    "retryable-writes/unified",
    "run-command/unified",
    "sessions",
    "unified-test-format/valid-pass",
    "versioned-api",
];

/// One test of a file.
struct Case {
    /// Folder, file and description.
    name: String,
    file: Arc<Value>,
    test: Value,
}

/// Which server.
#[derive(Clone)]
enum Server {
    Embedded,
    Real(Arc<peer::Peer>),
}

impl Server {
    fn name(&self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Real(_) => "secantus",
        }
    }

    /// Its version, as tests ask for it.
    fn version(&self) -> &'static str {
        match self {
            Self::Embedded => "7.0.0",
            Self::Real(_) => "8.2.11",
        }
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let Some(root) = std::env::var_os("GLOWPLUG_VECTORS").map(PathBuf::from) else {
        let trial = Trial::test("mongodb_unified", || Ok(()));
        let trial = trial.with_kind("set GLOWPLUG_VECTORS").with_ignored_flag(true);
        libtest_mimic::run(&arguments, vec![trial]).exit();
    };
    let root = root.join("vectors/mongodb/driver-specs");
    let cases: Vec<Arc<Case>> =
        FOLDERS.iter().flat_map(|folder| cases(&root, folder)).map(Arc::new).collect();
    assert!(cases.len() > 400, "only {} tests were found in {}", cases.len(), root.display());
    let mut trials: Vec<Trial> = cases.iter().map(|case| trial(&Server::Embedded, case)).collect();
    // Nobody who lists tests needs the server.
    let real = if arguments.list { None } else { peer::program() };
    match real.map(|program| peer::Peer::start(&program)) {
        Some(peer) => {
            let server = Server::Real(Arc::new(peer));
            trials.extend(cases.iter().map(|case| trial(&server, case)));
        }
        None => trials.push(
            Trial::test("secantus", || Ok(())).with_kind("no secantusd-py here").with_ignored_flag(true),
        ),
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(cases);
    conclusion.exit_if_failed();
}

fn cases(root: &Path, folder: &str) -> Vec<Case> {
    let path = root.join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let text = std::fs::read(&path).expect("a file");
        let file: Arc<Value> = Arc::new(serde_json::from_slice(&text).expect("JSON"));
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        for test in file["tests"].as_array().expect("tests") {
            let name = format!("{folder}/{stem}: {}", test["description"].as_str().unwrap_or("?"));
            cases.push(Case { name, file: file.clone(), test: test.clone() });
        }
    }
    cases
}

fn trial(server: &Server, case: &Arc<Case>) -> Trial {
    let name = format!("{}: {}", server.name(), case.name);
    if let Some(why) = skip::reason(server, case) {
        return Trial::test(name, || Ok(())).with_kind(why).with_ignored_flag(true);
    }
    let (server, case) = (server.clone(), case.clone());
    Trial::test(name, move || check(&server, &case))
}

fn check(server: &Server, case: &Case) -> Result<(), Failed> {
    /// The real server's data are one.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = match server {
        Server::Embedded => None,
        Server::Real(_) => Some(TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let running = run::run(server, case);
        let time = std::time::Duration::from_secs(30);
        tokio::time::timeout(time, running).await.unwrap_or_else(|_| Err("it hangs".to_owned()))
    });
    result.map_err(Failed::from)
}

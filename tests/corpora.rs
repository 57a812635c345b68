//! The corpora of the fuzz targets, replayed. Fuzzing itself has a workspace of its own: `fuzz/`.

#[path = "../fuzz/src/lib.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::pedantic,
    missing_docs,
    reason = "a crate of its own elsewhere"
)]
mod fuzz;

use std::fs;
use std::path::Path;

#[test]
fn every_input_of_every_corpus_keeps_the_laws() {
    for target in fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpora").join(target.name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut inputs = 0;
        for entry in entries {
            let file = entry.expect("a folder that can be read").path();
            println!("{}", file.display());
            (target.run)(&fs::read(&file).expect("a file that can be read"));
            inputs += 1;
        }
        assert!(inputs > 0, "{} has no corpus", target.name);
    }
}

#[test]
fn every_corpus_and_every_seed_is_of_a_target() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpora");
    for entry in fs::read_dir(&corpora).expect("fuzz/corpora") {
        let name = entry.expect("a folder that can be read").file_name();
        assert!(fuzz::TARGETS.iter().any(|target| name == target.name), "{name:?} is no target");
    }
    for (name, inputs) in fuzz::seeds::all() {
        assert!(fuzz::TARGETS.iter().any(|target| target.name == name), "{name} is no target");
        assert!(!inputs.is_empty(), "{name} has no seed");
    }
}

//! Runs targets on any stable toolchain: changes the inputs of the corpora at random, keeps what makes something new happen,
//! and writes an input that breaks a law to `artifacts/`.
//!
//! ```sh
//! cargo run --release -- wire_redis --seconds 60     # one target
//! cargo run --release -- --seconds 10                # each in turn
//! cargo run --release -- wire_redis artifacts/wire_redis-0123456789abcdef     # an input again
//! cargo run --release -- --seeds                     # writes the first inputs into corpora/
//! ```

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{env, fs, panic};

use glowplug_core::Seed;
use glowplug_fuzz::{TARGETS, Target, seeds};

mod mutate;

/// Inputs longer than this are no news.
const MAX_LEN: usize = 4096;

/// Inputs kept at a time.
const MAX_KEPT: usize = 20_000;

/// One input may take this long.
const SLOW: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let mut seconds = 10;
    let mut seed = None;
    let (mut targets, mut inputs): (Vec<&Target>, Vec<PathBuf>) = (Vec::new(), Vec::new());
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|number| number.parse::<u64>().ok());
        match argument.as_str() {
            "--seconds" => seconds = number().unwrap_or(seconds),
            "--seed" => seed = number(),
            "--seeds" => return write_seeds(),
            name => match TARGETS.iter().find(|target| target.name == name) {
                Some(target) => targets.push(target),
                None if Path::new(name).is_file() => inputs.push(name.into()),
                None => {
                    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
                    eprintln!("{name} is neither a target nor a file; the targets are {}", names.join(", "));
                    return ExitCode::FAILURE;
                }
            },
        }
    }
    if targets.is_empty() {
        targets = TARGETS.iter().collect();
    }
    if !inputs.is_empty() {
        for target in targets {
            for input in &inputs {
                (target.run)(&fs::read(input).expect("the file can be read"));
            }
        }
        return ExitCode::SUCCESS;
    }
    let seed = seed.unwrap_or_else(|| std::process::id().into());
    println!("seed {seed}");
    panic::set_hook(Box::new(|info| *MESSAGE.lock().expect("one thread") = info.to_string()));
    let failed =
        targets.into_iter().filter(|target| !fuzz(target, Duration::from_secs(seconds), seed)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn corpus(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora").join(target.name)
}

/// False when an input breaks a law; it is written down and its message printed.
fn fuzz(target: &Target, time: Duration, seed: u64) -> bool {
    let mut rng = Seed::from_u64(seed).rng();
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for entry in fs::read_dir(corpus(target)).into_iter().flatten().flatten() {
        kept.extend(fs::read(entry.path()));
    }
    kept.sort();
    let firsts = kept.len();
    kept.extend((firsts == 0).then(Vec::new));
    let (mut shapes, mut runs) = (HashSet::new(), 0_u64);
    let begun = Instant::now();
    while begun.elapsed() < time {
        let input = match kept.get(runs as usize) {
            Some(first) if runs < firsts as u64 => first.clone(),
            _ => mutate::mutate(&kept, &mut rng, MAX_LEN),
        };
        runs += 1;
        let called = Instant::now();
        let outcome = quietly(|| (target.run)(&input));
        let broken = match outcome {
            Ok(_) if called.elapsed() > SLOW => Err(format!("took {:?}", called.elapsed())),
            other => other,
        };
        match broken {
            Ok(shape) => {
                if shapes.insert(shape) && runs > firsts as u64 && kept.len() < MAX_KEPT {
                    kept.push(input);
                }
            }
            Err(message) => {
                let file = write_artifact(target, &input);
                println!("{}: {message}\n  input {}\n  hex {}", target.name, file.display(), hex(&input));
                return false;
            }
        }
    }
    println!("{}: {runs} inputs, {} of them kept", target.name, kept.len());
    true
}

/// What the last panic said.
static MESSAGE: Mutex<String> = Mutex::new(String::new());

/// Catches a panic and its message.
fn quietly<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(panic::AssertUnwindSafe(run)).map_err(|_| MESSAGE.lock().expect("one thread").clone())
}

fn write_artifact(target: &Target, input: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts");
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let file = folder.join(format!("{}-{:016x}", target.name, hasher.finish()));
    fs::create_dir_all(&folder).and_then(|()| fs::write(&file, input)).expect("artifacts/ can be written");
    file
}

fn write_seeds() -> ExitCode {
    for (name, inputs) in seeds::all() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora").join(name);
        for (number, input) in inputs.iter().enumerate() {
            let file = folder.join(format!("seed-{number:02}"));
            fs::create_dir_all(&folder)
                .and_then(|()| fs::write(file, input))
                .expect("corpora/ can be written");
        }
    }
    ExitCode::SUCCESS
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

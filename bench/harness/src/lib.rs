//! Measures peers side by side.
//!
//! Rounds are interleaved, so that a machine whose speed drifts drifts for everybody. Figures are medians and minima over the rounds, and ratios to
//! the best peer; allocations come from a counting allocator, instructions from callgrind where valgrind is installed. Bare times
//! mean nothing here: read the ratios.

pub mod role;

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Counts allocations. Install it with `#[global_allocator]`.
pub struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as promised by the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as promised by the caller.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What `measured` around the work itself says.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Operations done.
    pub operations: u64,
    wall: Duration,
    cpu: Duration,
    allocations: u64,
}

impl Measured {
    /// The same measurement, of operations that were each this many.
    pub fn times(mut self, each: u64) -> Self {
        self.operations *= each;
        self
    }
}

fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the system tells what we used");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros as u64)
}

/// What another process of one thread has used so far, as the scheduler counts it.
fn cpu_time_of(process: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// A running measurement. Start it when the preparations are done.
#[derive(Debug)]
pub struct Clock {
    /// Whose time on the processor counts, if not ours.
    process: Option<u32>,
    wall: Instant,
    cpu: Duration,
    allocations: u64,
}

impl Clock {
    /// Starts.
    pub fn start() -> Self {
        Self::of(None)
    }

    /// Starts, with the time on the processor of another process, which has one thread.
    pub fn start_of(process: u32) -> Self {
        Self::of(Some(process))
    }

    fn of(process: Option<u32>) -> Self {
        let cpu = process.map_or_else(cpu_time, cpu_time_of);
        Self { process, allocations: ALLOCATIONS.load(Ordering::Relaxed), cpu, wall: Instant::now() }
    }

    /// Stops after `operations`.
    pub fn stop(self, operations: u64) -> Measured {
        Measured {
            wall: self.wall.elapsed(),
            cpu: self.process.map_or_else(cpu_time, cpu_time_of).saturating_sub(self.cpu),
            allocations: ALLOCATIONS.load(Ordering::Relaxed) - self.allocations,
            operations,
        }
    }
}

/// Measures `work` done so many times in a row: what a codec's entry does.
pub fn repeat(operations: u64, mut work: impl FnMut()) -> Measured {
    let clock = Clock::start();
    for _ in 0..operations {
        work();
    }
    clock.stop(operations)
}

/// One peer doing one work.
pub struct Entry {
    /// Whose it is: `glowplug tokio`, `redis-rs` ...
    pub peer: &'static str,
    /// True for ours: ratios are to the best of the others.
    pub ours: bool,
    /// Does about this many operations.
    pub run: Box<dyn Fn(u64) -> Measured>,
}

impl Entry {
    /// One of ours.
    pub fn ours(peer: &'static str, run: impl Fn(u64) -> Measured + 'static) -> Self {
        Self { peer, ours: true, run: Box::new(run) }
    }

    /// A peer's.
    pub fn peer(peer: &'static str, run: impl Fn(u64) -> Measured + 'static) -> Self {
        Self { peer, ours: false, run: Box::new(run) }
    }
}

/// One piece of work and who does it.
pub struct Work {
    /// Its name, such as `get-64-callers`.
    pub name: &'static str,
    /// Operations in a round.
    pub operations: u64,
    /// Who does it.
    pub entries: Vec<Entry>,
}

struct Options {
    json: Option<String>,
    rounds: usize,
    only: Vec<String>,
    /// Runs one entry once, for callgrind: work, peer, operations.
    once: Option<(String, String, u64)>,
    instructions: bool,
}

fn options() -> Result<Options, lexopt::Error> {
    use lexopt::prelude::*;
    let mut options = Options { json: None, rounds: 20, only: Vec::new(), once: None, instructions: true };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("json") => options.json = Some(parser.value()?.string()?),
            Long("rounds") => options.rounds = parser.value()?.parse()?,
            Long("only") => options.only.push(parser.value()?.string()?),
            Long("no-instructions") => options.instructions = false,
            Long("once") => {
                let work = parser.value()?.string()?;
                let peer = parser.value()?.string()?;
                options.once = Some((work, peer, parser.value()?.parse()?));
            }
            Long("help") => {
                println!("[--json FILE] [--rounds N] [--only WORK]... [--no-instructions]");
                std::process::exit(0);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

/// Measures `works` as the command line says, prints a table each, and writes JSON where asked.
pub fn main(works: Vec<Work>) {
    let options = options().unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(2);
    });
    if let Some((work, peer, operations)) = &options.once {
        let work = works.iter().find(|known| known.name == work).expect("a known work");
        let entry = work.entries.iter().find(|entry| entry.peer == peer).expect("a known peer");
        (entry.run)(*operations);
        return;
    }
    let mut report = Vec::new();
    for work in works {
        if options.only.is_empty() || options.only.iter().any(|only| only == work.name) {
            report.push(measure(&work, &options));
        }
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&report).expect("figures are JSON");
        std::fs::write(path, text + "\n").unwrap_or_else(|error| {
            eprintln!("{path}: {error}");
            std::process::exit(1);
        });
    }
}

fn measure(work: &Work, options: &Options) -> serde_json::Value {
    let mut rounds: Vec<Vec<Measured>> = work.entries.iter().map(|_| Vec::new()).collect();
    for round in 0..=options.rounds {
        for (entry, measured) in work.entries.iter().zip(&mut rounds) {
            let result = (entry.run)(work.operations);
            // The first round warms up.
            if round > 0 {
                measured.push(result);
            }
        }
    }
    let rows: Vec<Row> = work
        .entries
        .iter()
        .zip(&rounds)
        .map(|(entry, rounds)| Row::new(work, entry, rounds, options))
        .collect();
    print(work, &rows);
    serde_json::json!({
        "work": work.name,
        "operations": work.operations,
        "rounds": options.rounds,
        "rows": rows.iter().map(Row::json).collect::<Vec<_>>(),
    })
}

struct Row {
    peer: &'static str,
    ours: bool,
    /// Nanoseconds an operation.
    wall_median: f64,
    wall_min: f64,
    cpu_median: f64,
    allocations: f64,
    instructions: Option<u64>,
}

impl Row {
    fn new(work: &Work, entry: &Entry, rounds: &[Measured], options: &Options) -> Self {
        let per = |figure: fn(&Measured) -> f64| {
            let mut all: Vec<f64> =
                rounds.iter().map(|round| figure(round) / round.operations as f64).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        let (wall, cpu) =
            (per(|round| round.wall.as_nanos() as f64), per(|round| round.cpu.as_nanos() as f64));
        let allocations = per(|round| round.allocations as f64);
        Self {
            peer: entry.peer,
            ours: entry.ours,
            wall_median: wall[wall.len() / 2],
            wall_min: wall[0],
            cpu_median: cpu[cpu.len() / 2],
            allocations: allocations[allocations.len() / 2],
            instructions: options.instructions.then(|| instructions(work, entry)).flatten(),
        }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "peer": self.peer,
            "ours": self.ours,
            "wall_ns_median": self.wall_median,
            "wall_ns_min": self.wall_min,
            "cpu_ns_median": self.cpu_median,
            "allocations": self.allocations,
            "instructions": self.instructions,
        })
    }
}

/// User instructions an operation: the difference of two runs under callgrind, which takes the preparations out.
fn instructions(work: &Work, entry: &Entry) -> Option<u64> {
    let few = (work.operations / 100).clamp(64, 4_000);
    let collected = |operations: u64| -> Option<u64> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().ok()?)
            .args(["--once", work.name, entry.peer, &operations.to_string()])
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = text.lines().find_map(|line| line.split_once("Collected : "))?.1;
        line.trim().parse().ok()
    };
    let (small, large) = (collected(few)?, collected(few * 4)?);
    Some(large.saturating_sub(small) / (few * 3))
}

fn print(work: &Work, rows: &[Row]) {
    let best = |figure: fn(&Row) -> f64| {
        rows.iter().filter(|row| !row.ours).map(figure).min_by(f64::total_cmp).unwrap_or(f64::NAN)
    };
    let (wall, cpu) = (best(|row| row.wall_median), best(|row| row.cpu_median));
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header([
        work.name,
        "ns/op median",
        "min",
        "speed against best peer",
        "cpu ns/op",
        "cpu against best peer",
        "allocations/op",
        "instructions/op",
    ]);
    for row in rows {
        table.add_row([
            row.peer.to_owned(),
            format!("{:.0}", row.wall_median),
            format!("{:.0}", row.wall_min),
            format!("{:.2}x", wall / row.wall_median),
            format!("{:.0}", row.cpu_median),
            format!("{:.2}x", row.cpu_median / cpu),
            format!("{:.2}", row.allocations),
            row.instructions.map_or("-".into(), |count| count.to_string()),
        ]);
    }
    println!("{table}\n");
}

/// Puts this process (and what it starts later) on one core, so that a server can have the other. Does nothing on a machine of one core.
pub fn pin(core: usize) {
    use nix::sched::{CpuSet, sched_setaffinity};
    use nix::unistd::Pid;
    let mut cores = CpuSet::new();
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > core) && cores.set(core).is_ok() {
        // Without it the figures are only noisier.
        let _ = sched_setaffinity(Pid::from_raw(0), &cores);
    }
}

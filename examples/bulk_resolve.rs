//! Resolves many names at once, with a progress bar: one name a line in, names with their addresses out.
//!
//! ```sh
//! cargo run --release --example bulk_resolve -- names.txt > addresses.tsv
//! cargo run --release --example bulk_resolve -- --at-once 500 --server 127.0.0.1:5300 < names.txt
//! ```

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use glowplug::smol::Smol;
use glowplug::smol::dns::Resolver;

struct Options {
    file: Option<String>,
    at_once: usize,
    server: Option<SocketAddr>,
}

fn options() -> Result<Options, lexopt::Error> {
    use lexopt::prelude::*;
    let mut options = Options { file: None, at_once: 100, server: None };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("at-once") => options.at_once = parser.value()?.parse::<usize>()?.clamp(1, 5000),
            Long("server") => options.server = Some(parser.value()?.parse()?),
            Long("help") => {
                println!("bulk_resolve [--at-once N] [--server ADDRESS:PORT] [FILE]");
                std::process::exit(0);
            }
            Value(file) if options.file.is_none() => options.file = Some(file.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let outcome = options().map_err(Into::into).and_then(|options| {
        let names = read(options.file.as_deref())?;
        smol::block_on(resolve(&names, &options))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bulk_resolve: {error}");
            ExitCode::from(2)
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn read(file: Option<&str>) -> Result<Vec<String>, Failure> {
    let input: Box<dyn BufRead> = match file {
        Some(file) => Box::new(io::BufReader::new(std::fs::File::open(file)?)),
        None => Box::new(io::stdin().lock()),
    };
    let mut names = Vec::new();
    for line in input.lines() {
        let line = line?;
        let name = line.trim();
        if !name.is_empty() && !name.starts_with('#') {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

async fn resolve(names: &[String], options: &Options) -> Result<(), Failure> {
    let builder = Resolver::builder(Smol::default()).system()?;
    let resolver = match options.server {
        Some(server) => Resolver::builder(Smol::default()).server(server).build(),
        None => builder.build(),
    };
    let mut bar = Bar::new(names.len());
    let mut failures: BTreeMap<String, usize> = BTreeMap::new();
    let mut lookups = stream::iter(names)
        .map(|name| {
            let lookup = resolver.lookup_ip(name);
            async move { (name, lookup.await) }
        })
        .buffer_unordered(options.at_once);
    let mut out = io::BufWriter::new(io::stdout().lock());
    while let Some((name, result)) = lookups.next().await {
        match result {
            Ok(found) => {
                let addresses: Vec<String> = found.iter().map(|address| address.to_string()).collect();
                writeln!(out, "{name}\t{}", addresses.join(" "))?;
            }
            Err(error) => {
                writeln!(out, "{name}\t# {error}")?;
                *failures.entry(error.to_string()).or_default() += 1;
            }
        }
        bar.step();
    }
    out.flush()?;
    bar.end();
    for (failure, count) in failures {
        eprintln!("{count:>8}  {failure}");
    }
    Ok(())
}

/// A progress bar on standard error, while that is a terminal.
struct Bar {
    all: usize,
    done: usize,
    begin: Instant,
    drawn: Option<Instant>,
    visible: bool,
}

impl Bar {
    const WIDTH: usize = 40;

    fn new(all: usize) -> Self {
        let visible = io::stderr().is_terminal();
        Self { all, done: 0, begin: Instant::now(), drawn: None, visible }
    }

    fn step(&mut self) {
        self.done += 1;
        let stale = self.drawn.is_none_or(|at| at.elapsed() > Duration::from_millis(50));
        if self.visible && (stale || self.done == self.all) {
            self.drawn = Some(Instant::now());
            let full = Self::WIDTH * self.done / self.all.max(1);
            let rate = self.done as f64 / self.begin.elapsed().as_secs_f64();
            let left = Duration::from_secs_f64((self.all - self.done) as f64 / rate.max(0.1));
            // A terminal that does not take it loses nothing.
            let _ = write!(
                io::stderr(),
                "\r[{}{}] {}/{}  {rate:.0}/s  {left:.0?} left \x1b[K",
                "#".repeat(full),
                "-".repeat(Self::WIDTH - full),
                self.done,
                self.all
            );
        }
    }

    fn end(&self) {
        if self.visible {
            let _ = writeln!(io::stderr());
        }
        let took = self.begin.elapsed();
        eprintln!("{} names in {took:.1?}: {:.0}/s", self.done, self.done as f64 / took.as_secs_f64());
    }
}

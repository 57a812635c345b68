//! A small `dig` whose output people like to read.
//!
//! ```sh
//! cargo run --example lookup -- example.org                    # addresses, by the system's settings
//! cargo run --example lookup -- example.org MX TXT             # other records
//! cargo run --example lookup -- -x 192.0.2.1                   # the names of an address
//! cargo run --example lookup -- example.org @9.9.9.9           # ask this server
//! cargo run --example lookup -- example.org @9.9.9.9 --tls dns.quad9.net --on smol
//! cargo run --example lookup -- example.org @9.9.9.9 --https https://dns.quad9.net/dns-query
//! ```
//!
//! It ends with 1 when nothing was found, with 2 when the command line makes no sense.

use std::io::IsTerminal as _;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use glowplug::core::Instant;
use glowplug::dns::resolver::{Answer, Freshness, LookupError, Source};
use glowplug::dns::{Name, Record, RecordType};
use glowplug::runtime::dns::{HttpsConfig, Resolver, ResolverDrive};
use glowplug::runtime::http::Reaper;
use glowplug::runtime::tls::ClientConfig;
use glowplug::runtime::{Runtime, Spawn};
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;

struct Options {
    what: String,
    types: Vec<RecordType>,
    server: Option<SocketAddr>,
    /// The name that the server has to show under TLS.
    tls: Option<String>,
    /// The URL that the server answers at over HTTPS.
    https: Option<String>,
    smol: bool,
}

const HELP: &str = "lookup NAME [TYPE...] [@SERVER] [--tls SERVER-NAME | --https URL] [--on tokio|smol]\n\
                    lookup -x ADDRESS [@SERVER]";

fn options() -> Result<Options, lexopt::Error> {
    use lexopt::prelude::*;
    let mut options =
        Options { what: String::new(), types: Vec::new(), server: None, tls: None, https: None, smol: false };
    let mut server = None;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('x') => {
                let address: IpAddr = parser.value()?.parse()?;
                options.what = Name::reverse(address).to_string();
                options.types = vec![RecordType::PTR];
            }
            Long("tls") => options.tls = Some(parser.value()?.string()?),
            Long("https") => options.https = Some(parser.value()?.string()?),
            Long("on") => options.smol = parser.value()?.string()? == "smol",
            Long("help") => {
                println!("{HELP}");
                std::process::exit(0);
            }
            Value(word) => match word.string()? {
                word if word.starts_with('@') => server = Some(word[1..].to_owned()),
                word if options.what.is_empty() => options.what = word,
                word => options
                    .types
                    .push(word.to_ascii_uppercase().parse().map_err(|_| format!("no such type: {word}"))?),
            },
            other => return Err(other.unexpected()),
        }
    }
    if options.what.is_empty() {
        return Err(HELP.into());
    }
    if let Some(text) = server {
        let port = match (&options.https, &options.tls) {
            (Some(_), _) => 443,
            (None, Some(_)) => 853,
            (None, None) => 53,
        };
        let address =
            text.parse().or_else(|_| text.parse().map(|address: IpAddr| SocketAddr::new(address, port)));
        options.server = Some(address.map_err(|_| format!("a server is an address: {text}"))?);
    }
    if (options.tls.is_some() || options.https.is_some()) && options.server.is_none() {
        return Err("--tls and --https want @SERVER".into());
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("lookup: {error}");
            return ExitCode::from(2);
        }
    };
    let found = if options.smol {
        smol::block_on(look(Smol::default(), &options))
    } else {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("tokio starts").block_on(look(Tokio, &options))
    };
    match found {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lookup: {error}");
            ExitCode::from(2)
        }
    }
}

/// Looks everything up, all of it at once, and prints it; whether anything was found.
async fn look<R>(runtime: R, options: &Options) -> Result<bool, Box<dyn std::error::Error>>
where
    R: Runtime<Stream: Send, Timer: Send, Connecting: Send, Resolving: Send>
        + Spawn<ResolverDrive<R>>
        + Spawn<Reaper<R>>
        + Send
        + Sync,
{
    let builder = Resolver::builder(runtime.clone());
    let resolver = match (options.server, &options.tls, &options.https) {
        (None, ..) => builder.system()?,
        (Some(server), None, None) => builder.server(server),
        (Some(server), _, Some(url)) => builder.https_server(server, &HttpsConfig::new(url)?),
        (Some(server), Some(name), None) => builder.tls_server(server, name, &ClientConfig::platform()?),
    }
    .build();
    let begin = runtime.now();
    let mut page = Page::new();
    if options.types.is_empty() {
        let mut lookup = resolver.lookup_ip(&options.what);
        // Each family as it arrives.
        while let Some(result) = lookup.next().await {
            page.add(result, runtime.now() - begin);
        }
    } else {
        let lookups: Vec<_> =
            options.types.iter().map(|rtype| resolver.lookup(&options.what, *rtype)).collect();
        for (lookup, rtype) in lookups.into_iter().zip(&options.types) {
            page.add_of(*rtype, lookup.await, runtime.now() - begin);
        }
    }
    page.print(&options.what, begin, runtime.now());
    Ok(page.found)
}

struct Page {
    table: Table,
    notes: Vec<String>,
    found: bool,
}

impl Page {
    fn new() -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        Self { table, notes: Vec::new(), found: false }
    }

    fn add_of(&mut self, rtype: RecordType, result: Result<Answer, LookupError>, took: Duration) {
        match result {
            Err(error) => self.notes.push(format!("{rtype}: {}", chain(&error))),
            answer => self.add(answer, took),
        }
    }

    fn add(&mut self, result: Result<Answer, LookupError>, took: Duration) {
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => return self.notes.push(chain(&error)),
        };
        self.found = true;
        for record in &answer.chain {
            self.row(record, record.ttl, Color::DarkGrey);
        }
        for record in answer.records() {
            let ttl = answer.valid_for.as_secs().min(u64::from(record.ttl)) as u32;
            self.row(record, ttl, Color::Green);
        }
        let source = match answer.source {
            Source::Server => "from a server",
            Source::Cache => "from the cache",
            Source::Hosts => "from the hosts file",
            Source::Local => "known without asking",
        };
        let mut note = format!("{}: {source} after {took:.1?}", answer.rtype);
        if let Freshness::Stale(age) = answer.freshness {
            note = format!("{note}, out of date by {age:.0?}");
        }
        if answer.authentic {
            note += ", verified by the server";
        }
        self.notes.push(note);
    }

    fn row(&mut self, record: &Record, ttl: u32, color: Color) {
        self.table.add_row([
            Cell::new(&record.name),
            Cell::new(duration(ttl)).set_alignment(CellAlignment::Right).fg(Color::DarkGrey),
            Cell::new(record.rtype()).add_attribute(Attribute::Bold),
            Cell::new(&record.data).fg(color),
        ]);
    }

    fn print(&mut self, what: &str, begin: Instant, end: Instant) {
        if !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some() {
            self.table.force_no_tty();
        }
        if self.found {
            println!("{}\n", self.table);
        }
        println!("{what}: {:.1?}", end - begin);
        for note in &self.notes {
            println!("  {note}");
        }
    }
}

/// Seconds as people say them.
fn duration(seconds: u32) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// An error with all that led to it.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

//! A caching forwarder: a laptop's own name server. It answers over UDP and TCP from its cache, asks the servers of the system (or
//! others) for the rest, shares one query among all who ask the same, and answers from what is out of date when the network is away.
//!
//! ```sh
//! cargo run --example forwarder                                # on 127.0.0.1:5300, by the system's settings
//! cargo run --example forwarder -- --listen 127.0.0.1:53 --to 9.9.9.9 --to 1.1.1.1
//! dig @127.0.0.1 -p 5300 example.org
//! ```
//!
//! Ctrl-C ends it, after what it has was answered.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use glowplug::dns::resolver::{Freshness, ResolverConfig, Source, StaleConfig};
use glowplug::dns::{Class, Rcode, Response};
use glowplug::runtime::dns::{Asked, ServerConfig, Stopper, system_config};
use glowplug::runtime::signals::Interrupts;
use glowplug::tokio::Tokio;
use glowplug::tokio::dns::{Resolver, Server};

pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) to: Vec<SocketAddr>,
}

fn options() -> Result<Options, lexopt::Error> {
    use lexopt::prelude::*;
    let mut options = Options { listen: SocketAddr::from(([127, 0, 0, 1], 5300)), to: Vec::new() };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => options.listen = parser.value()?.parse()?,
            Long("to") => {
                let text = parser.value()?.string()?;
                let address =
                    text.parse().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, 53)));
                options.to.push(address.map_err(|_| format!("a server is an address: {text}"))?);
            }
            Long("help") => {
                println!("forwarder [--listen ADDRESS:PORT] [--to ADDRESS[:PORT]]...");
                std::process::exit(0);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("forwarder: {error}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let serving = async {
        let mut interrupts = Interrupts::new()?;
        let stop_on_interrupt = |_, stopper: Stopper| {
            tokio::spawn(async move {
                interrupts.next().await;
                stopper.stop();
            });
        };
        serve(options, stop_on_interrupt).await
    };
    match runtime.expect("tokio starts").block_on(serving) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("forwarder: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Counts {
    asked: AtomicU64,
    cached: AtomicU64,
    stale: AtomicU64,
    failed: AtomicU64,
}

/// Serves until it is stopped. `begun` is told where, and how to stop it.
pub(crate) async fn serve(
    options: Options,
    begun: impl FnOnce(SocketAddr, Stopper),
) -> Result<(), Box<dyn std::error::Error>> {
    let (config, hosts) = system_config()?;
    let servers = if options.to.is_empty() { config.servers.clone() } else { options.to };
    // A laptop that is off the net for a while goes on with what it knows.
    let config =
        ResolverConfig { servers, stale: Some(StaleConfig::default()), cache_entries: 50_000, ..config };
    println!("asking {}", config.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    let resolver = Resolver::builder(Tokio).config(config).hosts(hosts).build();
    let mut serving = ServerConfig::default();
    serving.connection.response.recursion_available = true;
    let server = Server::bind(Tokio, options.listen).await?.config(serving);
    let at = server.local_addr()?;
    println!("answering at {at}; try: dig @{} -p {} example.org", at.ip(), at.port());
    begun(at, server.stopper());
    let counts = Arc::new(Counts::default());
    let counted = Arc::clone(&counts);
    server
        .run(move |asked| {
            let (resolver, counts) = (resolver.clone(), Arc::clone(&counts));
            async move { answer(&resolver, &counts, &asked).await }
        })
        .await?;
    let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
    println!(
        "\n{} queries: {} from the cache, {} out of date, {} failed",
        count(&counted.asked),
        count(&counted.cached),
        count(&counted.stale),
        count(&counted.failed)
    );
    Ok(())
}

async fn answer(resolver: &Resolver, counts: &Counts, asked: &Asked) -> Response {
    let query = &asked.query;
    counts.asked.fetch_add(1, Ordering::Relaxed);
    if query.class() != Class::IN {
        return Response::error(Rcode::REFUSED);
    }
    match resolver.whole(query.name(), query.rtype()).await {
        Ok(answer) => {
            if answer.source == Source::Cache {
                counts.cached.fetch_add(1, Ordering::Relaxed);
            }
            if answer.freshness != Freshness::Fresh {
                counts.stale.fetch_add(1, Ordering::Relaxed);
            }
            Response::from(&answer)
        }
        Err(error) => {
            counts.failed.fetch_add(1, Ordering::Relaxed);
            eprintln!("{} {}: {error}", query.name(), query.rtype());
            Response::error(Rcode::SERVFAIL)
        }
    }
}

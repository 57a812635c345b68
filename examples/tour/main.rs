//! A tour: each protocol's short story, told with the same text on tokio, on smol and in the simulator.
//!
//! ```sh
//! cargo run --release --example tour                                  # everything is started for you
//! cargo run --release --example tour -- --on smol                     # one executor
//! cargo run --release --example tour -- --redis redis://localhost     # a real server
//! ```
//!
//! It ends with 1 when two executors, or an executor and what the story expects, differ.

mod redis;
mod table;
mod udp;

use std::net::Ipv4Addr;
use std::process::ExitCode;

use glowplug::redis::memory;
use glowplug::runtime::{Endpoint, Runtime};
use glowplug::sim::Simulation;
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;

/// What happened: each step of a story and its outcome.
type Told = Vec<(&'static str, String)>;

/// What ended a story early.
type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Options {
    on: Vec<String>,
    redis: Option<String>,
}

fn options() -> Result<Options, lexopt::Error> {
    use lexopt::prelude::*;
    let mut options = Options { on: vec!["tokio".into(), "smol".into(), "sim".into()], redis: None };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("on") => options.on = parser.value()?.string()?.split(',').map(str::to_owned).collect(),
            Long("redis") => options.redis = Some(parser.value()?.string()?),
            Long("help") => {
                println!("tour [--on tokio,smol,sim] [--redis redis://host:port]");
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
            eprintln!("tour: {error}");
            return ExitCode::from(2);
        }
    };
    let mut stories =
        vec![table::Story::new("redis", redis::EXPECTED), table::Story::new("udp", udp::EXPECTED)];
    for executor in &options.on {
        let told = match executor.as_str() {
            "tokio" => on_tokio(options.redis.as_deref()),
            "smol" => on_smol(options.redis.as_deref()),
            "sim" => on_sim(),
            other => {
                eprintln!("tour: there is no executor called {other}");
                return ExitCode::from(2);
            }
        };
        for (story, told) in stories.iter_mut().zip(told) {
            story.heard(executor, told);
        }
    }
    let agreed = table::print(&stories);
    if agreed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Any free port on this machine.
fn anywhere() -> Endpoint {
    Endpoint::Tcp((Ipv4Addr::LOCALHOST, 0).into())
}

fn url(endpoint: &Endpoint) -> String {
    format!("redis://{endpoint}")
}

fn on_tokio(real: Option<&str>) -> [Result<Told, Failure>; 2] {
    let executor = tokio::runtime::Runtime::new().expect("tokio starts");
    executor.block_on(async {
        let redis = async {
            let server = glowplug::tokio::server::Server::bind(Tokio, anywhere()).await?;
            let own = url(&server.local_endpoint()?);
            tokio::spawn(glowplug::tokio::redis::serve_memory(Tokio, server, store()));
            redis::story(Tokio, real.unwrap_or(&own)).await
        };
        let udp = async {
            let server = udp::Server::bind(Tokio, (Ipv4Addr::LOCALHOST, 0).into()).await?;
            let at = server.local_addr()?;
            tokio::spawn(server.run());
            udp::story(Tokio, at).await
        };
        [redis.await, udp.await]
    })
}

fn on_smol(real: Option<&str>) -> [Result<Told, Failure>; 2] {
    smol::block_on(async {
        let redis = async {
            let server = glowplug::smol::server::Server::bind(Smol::default(), anywhere()).await?;
            let own = url(&server.local_endpoint()?);
            smol::spawn(glowplug::smol::redis::serve_memory(Smol::default(), server, store())).detach();
            redis::story(Smol::default(), real.unwrap_or(&own)).await
        };
        let udp = async {
            let server = udp::Server::bind(Smol::default(), (Ipv4Addr::LOCALHOST, 0).into()).await?;
            let at = server.local_addr()?;
            smol::spawn(server.run()).detach();
            udp::story(Smol::default(), at).await
        };
        [redis.await, udp.await]
    })
}

fn on_sim() -> [Result<Told, Failure>; 2] {
    let mut simulation = Simulation::new(2026);
    let server_host = simulation.host("server", [10, 0, 0, 1]);
    let client_host = simulation.host("client", [10, 0, 0, 2]);
    let spawner = server_host.clone();
    simulation.run(async move {
        let redis = async {
            let at = Endpoint::Tcp(([10, 0, 0, 1], 6379).into());
            let server = glowplug::sim::server::Server::bind(server_host.clone(), at).await?;
            let serving = glowplug::sim::redis::serve_memory(server_host.clone(), server, store());
            drop(spawner.task("redis server", serving));
            redis::story(client_host.clone(), "redis://10.0.0.1").await
        };
        let udp = async {
            let server = udp::Server::bind(server_host.clone(), ([10, 0, 0, 1], 7).into()).await?;
            let at = server.local_addr()?;
            drop(spawner.task("udp server", async { drop(server.run().await) }));
            udp::story(client_host.clone(), at).await
        };
        [redis.await, udp.await]
    })
}

fn store() -> memory::Handle {
    memory::Handle::new(memory::Config::new())
}

/// Waits on whichever runtime the story is told.
async fn pause<R: Runtime>(runtime: &R, millis: u64) {
    glowplug::runtime::time::sleep(runtime, std::time::Duration::from_millis(millis)).await;
}

//! A tour: each protocol's short story, told with the same text on tokio, on smol and in the simulator.
//!
//! ```sh
//! cargo run --release --example tour                                  # everything is started for you
//! cargo run --release --example tour -- --on smol                     # one executor
//! cargo run --release --example tour -- --redis redis://localhost     # a real server
//! ```
//!
//! It ends with 1 when two executors, or an executor and what the story expects, differ.

mod dns;
mod http;
mod mongodb;
mod redis;
mod riak;
mod table;
mod tcp;
mod udp;
mod websocket;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::process::ExitCode;

use futures_util::future::{Either, select};
use glowplug::runtime::server::Guarded;
use glowplug::runtime::{BoxFuture, Endpoint, Runtime, Spawn};
use glowplug::sim::{Sim, Simulation};
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
    let mut stories = [
        table::Story::new("redis", redis::EXPECTED),
        table::Story::new("mongodb", mongodb::EXPECTED),
        table::Story::new("riak", riak::EXPECTED),
        table::Story::new("http", http::EXPECTED),
        table::Story::new("websocket", websocket::EXPECTED),
        table::Story::new("dns", dns::EXPECTED),
        table::Story::new("tcp", tcp::EXPECTED),
        table::Story::new("udp", udp::EXPECTED),
    ];
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

/// What the stories ask of an executor: that it spawns what their clients and servers spawn.
pub(crate) trait Plug:
    Runtime<Stream: Send, Timer: Send, Datagram: Send>
    + Spawn<glowplug::runtime::redis::Drive<Self>>
    + Spawn<glowplug::runtime::redis::Serving<Self>>
    + Spawn<glowplug::runtime::mongodb::Janitor<Self>>
    + Spawn<glowplug::runtime::mongodb::Serving<Self>>
    + Spawn<glowplug::runtime::riak::Reaper<Self>>
    + Spawn<glowplug::runtime::riak::Serving<Self>>
    + Spawn<glowplug::runtime::http::Reaper<Self>>
    + Spawn<glowplug::runtime::http::server::Serving<Self, http::App>>
    + Spawn<glowplug::runtime::dns::ResolverDrive<Self>>
    + Spawn<Guarded<glowplug::runtime::dns::Serving<dns::Answers, Self>>>
    + Spawn<Guarded<glowplug::runtime::tcp::Serving<Self, tcp::Handler<Self>, BoxFuture<()>>>>
    + Spawn<glowplug::runtime::udp::Drive<Self>>
    + Spawn<Guarded<glowplug::runtime::udp::Served<BoxFuture<()>>>>
    + Send
    + Sync
{
}

impl Plug for Tokio {}
impl Plug for Smol {}
impl Plug for Sim {}

/// Where the stories are told: servers on one host, clients on another, which may be the same.
#[derive(Clone)]
pub(crate) struct Stage<R> {
    pub(crate) server: R,
    pub(crate) client: R,
    address: IpAddr,
}

impl<R> Stage<R> {
    /// Any free port of the server's host.
    pub(crate) fn any_port(&self) -> SocketAddr {
        (self.address, 0).into()
    }
}

/// Every story, one after the other, each beside a server of its own.
async fn tell<R: Plug>(stage: Stage<R>, real_redis: Option<&str>) -> Vec<Result<Told, Failure>> {
    vec![
        redis::tell(&stage, real_redis).await,
        mongodb::tell(&stage).await,
        riak::tell(&stage).await,
        http::tell(&stage).await,
        websocket::tell(&stage).await,
        dns::tell(&stage).await,
        tcp::tell(&stage).await,
        udp::tell(&stage).await,
    ]
}

fn on_tokio(real_redis: Option<&str>) -> Vec<Result<Told, Failure>> {
    let executor = tokio::runtime::Runtime::new().expect("tokio starts");
    let address = Ipv4Addr::LOCALHOST.into();
    executor.block_on(tell(Stage { server: Tokio, client: Tokio, address }, real_redis))
}

fn on_smol(real_redis: Option<&str>) -> Vec<Result<Told, Failure>> {
    let address = Ipv4Addr::LOCALHOST.into();
    smol::block_on(tell(Stage { server: Smol::default(), client: Smol::default(), address }, real_redis))
}

/// Two hosts and a network between them, all in memory.
fn on_sim() -> Vec<Result<Told, Failure>> {
    let mut simulation = Simulation::new(2026);
    let address = IpAddr::from([10, 0, 0, 1]);
    let server = simulation.host("server", address);
    let client = simulation.host("client", [10, 0, 0, 2]);
    simulation.run(tell(Stage { server, client, address }, None))
}

/// Runs a story to its end, and its server for as long.
pub(crate) async fn beside<S>(
    story: impl Future<Output = Result<Told, Failure>>,
    server: impl Future<Output = S>,
) -> Result<Told, Failure> {
    match select(pin!(story), pin!(server)).await {
        Either::Left((told, _)) => told,
        Either::Right(_) => Err("the server ended before the story".into()),
    }
}

/// A listening server of streams, and where it listens.
pub(crate) async fn listen<R: Runtime>(
    stage: &Stage<R>,
) -> Result<(glowplug::runtime::server::Server<R>, Endpoint), Failure> {
    let server = glowplug::runtime::server::Server::bind(stage.server.clone(), stage.any_port()).await?;
    let at = server.local_endpoint()?;
    Ok((server, at))
}

/// Waits on whichever runtime the story is told.
async fn pause<R: Runtime>(runtime: &R, millis: u64) {
    glowplug::runtime::time::sleep(runtime, std::time::Duration::from_millis(millis)).await;
}

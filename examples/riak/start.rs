//! What the Riak examples have in common: a node to talk to, in memory unless one is named, and an executor.

use std::net::Ipv4Addr;
use std::pin::pin;

use futures_util::future::{Either, select};
use glowplug::core::Seed;
use glowplug::runtime::riak::memory::{Handle, Node, NodeConfig};
use glowplug::runtime::riak::{Client, Reaper, Serving, serve_memory};
use glowplug::runtime::server::Server;
use glowplug::runtime::{Endpoint, Runtime, Spawn};

/// What ended a story early.
pub(crate) type Failure = Box<dyn std::error::Error>;

pub(crate) struct Options {
    pub(crate) on: String,
    pub(crate) url: Option<String>,
}

pub(crate) fn options() -> Result<Options, lexopt::Error> {
    use lexopt::prelude::*;
    let mut options = Options { on: "smol".to_owned(), url: None };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("on") => options.on = parser.value()?.string()?,
            Long("riak") => options.url = Some(parser.value()?.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

/// Tells the story to a client of `url`, or of a node in memory.
pub(crate) async fn with_client<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(
    runtime: R,
    url: Option<&str>,
    story: impl AsyncFnOnce(Client<R>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if let Some(url) = url {
        return story(Client::builder(runtime).connect(url).await?).await;
    }
    let server = Server::bind(runtime.clone(), Endpoint::Tcp((Ipv4Addr::LOCALHOST, 0).into())).await?;
    let url = format!("riak://{}", server.local_endpoint()?);
    let node = Handle::new(Node::new(&Seed::from_u64(1), NodeConfig::new()));
    let serving = serve_memory(runtime.clone(), server, node);
    let telling = async { story(Client::builder(runtime.clone()).connect(&url).await?).await };
    match select(pin!(telling), pin!(serving)).await {
        Either::Left((told, _)) => told,
        Either::Right(_) => Err("the node ended".into()),
    }
}

/// Runs an async function of a client on the executor that is asked for.
macro_rules! tell {
    ($story:ident) => {{
        let options = start::options()?;
        let url = options.url.as_deref();
        match options.on.as_str() {
            "tokio" => {
                let tokio = glowplug::tokio::Tokio;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async { start::with_client(tokio, url, $story).await })
            }
            "smol" => smol::block_on(start::with_client(glowplug::smol::Smol::default(), url, $story)),
            "sim" => {
                let mut simulation = glowplug::sim::Simulation::new(1);
                let host = simulation.host("here", [10, 0, 0, 1]);
                simulation.run(start::with_client(host, None, $story))
            }
            other => Err(format!("there is no executor called {other}").into()),
        }
    }};
}
pub(crate) use tell;

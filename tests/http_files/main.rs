//! Files over HTTP on every executor: conditions, ranges, directories, and nothing that lies outside.

#[path = "../http_web/mod.rs"]
mod http_web;
#[path = "../support/mod.rs"]
mod support;

mod content;
mod folders;
mod ranges;
mod tree;
mod variants;
mod walls;

use glowplug::runtime::Endpoint;
use glowplug::runtime::http::files::Files;
use glowplug::runtime::http::server::Config;
use glowplug::sim::Sim;
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;
use http_body_util::BodyExt;
use tower_service::Service;

use http_web::{App, Plug, Raw, Seen, serving};
use tree::Tree;

/// Time does not wait for threads in the simulator.
trait Place: Plug {
    const THREADS: bool = true;
}

impl Place for Tokio {}
impl Place for Smol {}
impl Place for Sim {
    const THREADS: bool = false;
}

/// Serves the files of `tree` while `work` runs.
async fn with<R: Place>(
    runtime: &R,
    tree: &Tree,
    change: impl FnOnce(Files) -> Files,
    work: impl AsyncFnOnce(Endpoint),
) {
    let files = change(Files::new(tree.public()).expect("opened").on_threads(R::THREADS));
    let app = App::new(move |request| {
        let mut files = files.clone();
        async move {
            let Ok(answer) = files.call(request).await;
            Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
        }
    });
    serving(runtime, Config::default(), app, async |at, _| work(at).await).await;
}

fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat());
    let fields = fields.collect::<String>();
    format!("{method} {target} HTTP/1.1\r\nhost: here\r\n{fields}\r\n")
}

async fn ask<S>(client: &mut Raw<S>, method: &str, target: &str, fields: &[(&str, &str)]) -> Seen
where
    S: glowplug::runtime::Transport,
{
    client.send(request(method, target, fields)).await;
    client.answer_to(method).await.expect("an answer")
}

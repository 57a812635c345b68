//! The Riak client and what goes wrong: futures dropped at every poll, nodes that break the protocol, that are gone, that never answer.

#[path = "../support/mod.rs"]
mod support;

mod dropping;
mod hostile;
mod node;
mod nodes;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use glowplug::core::{Progress, Seed};
use glowplug::runtime::riak::memory::{Handle, Node, NodeConfig};
use glowplug::runtime::riak::{
    Builder, Client, Config, ConnectError, Content, Error, Location, Reaper, Serving, serve_memory,
};
use glowplug::runtime::server::Server;
use glowplug::runtime::{Runtime, Spawn};

use support::{any_port, beside};

/// What these tests ask of a plug.
trait Plug: Runtime + Spawn<Reaper<Self>> + Spawn<Serving<Self>> {}

impl<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>> Plug for R {}

/// More polls than any of these futures takes.
const MANY: usize = 400;

fn node() -> Handle {
    Handle::new(Node::new(&Seed::from_u64(8), NodeConfig::new()))
}

/// Runs `work` with a client of a fresh node.
async fn with_client<R: Plug>(runtime: R, work: impl AsyncFnOnce(Client<R>)) {
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let url = format!("riak://{}", server.local_endpoint().expect("an address"));
    let stopper = server.stopper();
    let serving = serve_memory(runtime.clone(), server, node());
    let work = async {
        let client = Client::builder(runtime.clone()).connect(&url).await.expect("connected");
        work(client).await;
    };
    beside(work, serving).await;
    stopper.stop();
}

/// Polls `future` so often, each time when it was woken, and drops it then. `None` when it was dropped.
async fn polled<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn fill<R: Plug>(riak: &Client<R>) {
    for n in 0..100 {
        let content = Content::new(n.to_string()).index_int("n", n);
        riak.put(Location::new("pairs", n.to_string()), content).await.expect("stored");
    }
}

/// A hundred answers, each to its own question.
async fn pair_up<R: Plug>(riak: &Client<R>) {
    for n in 0..100 {
        let object = riak.get(Location::new("pairs", n.to_string())).await.expect("answered").expect("there");
        assert_eq!(object.content().expect("one content").value, n.to_string());
    }
}

fn key() -> Location {
    Location::new("bucket", "k")
}

fn builder<R: Plug>(runtime: &R) -> Builder<R> {
    Client::builder(runtime.clone())
}

/// How long a node may be silent that is asked without patience: long enough for a busy machine.
const SILENCE: Duration = Duration::from_millis(500);

fn impatient<R: Plug>(runtime: &R) -> Builder<R> {
    builder(runtime).machine(Config::new().reply_timeout(SILENCE))
}

#[test]
fn errors_say_what_happened_in_one_line() {
    let texts = [
        Error::TimedOut(Progress::FullySent).to_string(),
        Error::Contended { attempts: 8 }.to_string(),
        Error::TooLong.to_string(),
        ConnectError::TimedOut.to_string(),
    ];
    for text in texts {
        assert!(text.starts_with(char::is_lowercase) && !text.ends_with('.'), "{text}");
    }
}

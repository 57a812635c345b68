//! GET of thirteen bytes, the body taken, over a pool of connections.

use std::future::Future;

use bench_harness::{Clock, Measured};
use futures::future::join_all;

const BODY: &[u8] = b"Hello, world!";

/// Spawns `callers` tasks on tokio, one of which asks once before the clock starts, and measures until all are done.
fn on_tokio<F>(callers: u64, operations: u64, task: impl Fn(u64) -> F) -> Measured
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    let each = operations / callers;
    runtime.block_on(async {
        task(1).await;
        let clock = Clock::start();
        let tasks: Vec<_> = (0..callers).map(|_| tokio::spawn(task(each))).collect();
        for task in join_all(tasks).await {
            task.expect("no caller panics");
        }
        clock.stop(each * callers)
    })
}

pub fn glowplug_tokio(url: &'static str, callers: u64, operations: u64) -> Measured {
    use glowplug::tokio::Tokio;
    use glowplug::tokio::http::Client;
    let (client, _) = Client::builder(Tokio).build_with_reaper();
    on_tokio(callers, operations, |each| {
        let client = client.clone();
        async move {
            for _ in 0..each {
                let body = client.get(url).send().await.expect("an answer").bytes().await.expect("a body");
                assert_eq!(body, BODY);
            }
        }
    })
}

pub fn glowplug_smol(url: &'static str, callers: u64, operations: u64) -> Measured {
    use glowplug::smol::Smol;
    use glowplug::smol::http::Client;
    let executor = std::sync::Arc::new(smol::Executor::new());
    let each = operations / callers;
    smol::block_on(executor.run(async {
        let client = Client::builder(Smol::on(executor.clone())).build();
        client.get(url).send().await.expect("an answer").bytes().await.expect("a body");
        let clock = Clock::start();
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let client = client.clone();
                executor.spawn(async move {
                    for _ in 0..each {
                        let body =
                            client.get(url).send().await.expect("an answer").bytes().await.expect("a body");
                        assert_eq!(body, BODY);
                    }
                })
            })
            .collect();
        join_all(tasks).await;
        clock.stop(each * callers)
    }))
}

pub fn hyper_util(url: &'static str, callers: u64, operations: u64) -> Measured {
    use http_body_util::{BodyExt as _, Empty};
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    let client: Client<_, Empty<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    on_tokio(callers, operations, |each| {
        let client = client.clone();
        async move {
            for _ in 0..each {
                let uri = url.parse().expect("a url");
                let answer = client.get(uri).await.expect("an answer");
                let body = answer.into_body().collect().await.expect("a body").to_bytes();
                assert_eq!(body, BODY);
            }
        }
    })
}

/// One connection a caller, without a pool.
pub fn hyper_conn(url: &'static str, callers: u64, operations: u64) -> Measured {
    use http_body_util::{BodyExt as _, Empty};
    let uri: http::Uri = url.parse().expect("a url");
    let authority = uri.authority().expect("an authority").as_str().to_owned();
    on_tokio(callers, operations, |each| {
        let authority = authority.clone();
        async move {
            let stream = tokio::net::TcpStream::connect(&authority).await.expect("connected");
            stream.set_nodelay(true).expect("set");
            let io = hyper_util::rt::TokioIo::new(stream);
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("begun");
            tokio::spawn(connection);
            for _ in 0..each {
                sender.ready().await.expect("it stands");
                let request = http::Request::get("/").header("host", &authority);
                let request = request.body(Empty::<bytes::Bytes>::new()).expect("valid");
                let answer = sender.send_request(request).await.expect("an answer");
                let body = answer.into_body().collect().await.expect("a body").to_bytes();
                assert_eq!(body, BODY);
            }
        }
    })
}

pub fn reqwest(url: &'static str, callers: u64, operations: u64) -> Measured {
    let client = reqwest::Client::new();
    on_tokio(callers, operations, |each| {
        let client = client.clone();
        async move {
            for _ in 0..each {
                let body = client.get(url).send().await.expect("an answer").bytes().await.expect("a body");
                assert_eq!(body, BODY);
            }
        }
    })
}

pub fn ureq(url: &'static str, operations: u64) -> Measured {
    let agent = ureq::Agent::new_with_defaults();
    let ask = || {
        let body = agent.get(url).call().expect("an answer").into_body().read_to_vec().expect("a body");
        assert_eq!(body, BODY);
    };
    ask();
    let clock = Clock::start();
    for _ in 0..operations {
        ask();
    }
    clock.stop(operations)
}

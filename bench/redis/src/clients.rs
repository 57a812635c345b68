//! Clients against a server: GET of a value of 64 bytes.

use std::future::Future;

use bench_harness::{Clock, Measured};
use futures::future::join_all;
use glowplug::redis::{Pipeline, commands};

const KEY: &str = "bench:key";

/// How the work is asked for.
#[derive(Clone, Copy)]
pub enum How {
    /// So many callers share one connection, each asking in sequence.
    Callers(u64),
    /// One caller sends pipelines of so many commands.
    Pipelines(u64),
}

/// Puts the value there.
pub fn prepare(port: u16) {
    let mut client =
        glowplug::runtime::redis::blocking::Client::connect(&format!("redis://127.0.0.1:{port}"))
            .expect("connect");
    client.run(commands::set(KEY, vec![b'x'; 64])).expect("set");
}

fn on_tokio<F: Future<Output = Measured>>(work: F) -> Measured {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    runtime.block_on(work)
}

/// Spawns `callers` tasks on tokio and measures until all are done.
async fn spread<F>(callers: u64, operations: u64, task: impl Fn(u64) -> F) -> Measured
where
    F: Future<Output = ()> + Send + 'static,
{
    let each = operations / callers;
    let clock = Clock::start();
    let tasks: Vec<_> = (0..callers).map(|_| tokio::spawn(task(each))).collect();
    for task in join_all(tasks).await {
        task.expect("no caller panics");
    }
    clock.stop(each * callers)
}

pub fn glowplug_tokio(port: u16, how: How, operations: u64) -> Measured {
    use glowplug::tokio::redis::Client;
    on_tokio(async {
        let client = Client::connect(&format!("redis://127.0.0.1:{port}")).await.expect("connect");
        match how {
            How::Callers(callers) => {
                spread(callers, operations, |each| {
                    let client = client.clone();
                    async move {
                        for _ in 0..each {
                            let value = client.run(commands::get(KEY)).await.expect("get");
                            assert_eq!(value.map(|value| value.len()), Some(64));
                        }
                    }
                })
                .await
            }
            How::Pipelines(size) => spread(1, operations / size, |each| {
                let client = client.clone();
                async move {
                    for _ in 0..each {
                        let replies = client.pipeline(pipeline(size)).await.expect("pipeline");
                        assert_eq!(replies.len() as u64, size);
                    }
                }
            })
            .await
            .times(size),
        }
    })
}

pub fn glowplug_smol(port: u16, how: How, operations: u64) -> Measured {
    use glowplug::smol::Smol;
    use glowplug::smol::redis::Client;
    let executor = std::sync::Arc::new(smol::Executor::new());
    smol::block_on(executor.run(async {
        let runtime = Smol::on(executor.clone());
        let client =
            Client::builder(runtime).connect(&format!("redis://127.0.0.1:{port}")).await.expect("connect");
        let (callers, size) = match how {
            How::Callers(callers) => (callers, 1),
            How::Pipelines(size) => (1, size),
        };
        let each = operations / callers / size;
        let clock = Clock::start();
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let client = client.clone();
                executor.spawn(async move {
                    for _ in 0..each {
                        if size == 1 {
                            let value = client.run(commands::get(KEY)).await.expect("get");
                            assert_eq!(value.map(|value| value.len()), Some(64));
                        } else {
                            let replies = client.pipeline(pipeline(size)).await.expect("pipeline");
                            assert_eq!(replies.len() as u64, size);
                        }
                    }
                })
            })
            .collect();
        join_all(tasks).await;
        clock.stop(each * callers * size)
    }))
}

fn pipeline(size: u64) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for _ in 0..size {
        pipeline.push(commands::get(KEY));
    }
    pipeline
}

pub fn redis_rs(port: u16, how: How, operations: u64) -> Measured {
    on_tokio(async {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("url");
        let connection = client.get_multiplexed_async_connection().await.expect("connect");
        match how {
            How::Callers(callers) => {
                spread(callers, operations, |each| {
                    let mut connection = connection.clone();
                    async move {
                        for _ in 0..each {
                            let value: Vec<u8> =
                                redis::cmd("GET").arg(KEY).query_async(&mut connection).await.expect("get");
                            assert_eq!(value.len(), 64);
                        }
                    }
                })
                .await
            }
            How::Pipelines(size) => spread(1, operations / size, |each| {
                let mut connection = connection.clone();
                async move {
                    for _ in 0..each {
                        let mut pipeline = redis::pipe();
                        for _ in 0..size {
                            pipeline.cmd("GET").arg(KEY);
                        }
                        let values: Vec<Vec<u8>> =
                            pipeline.query_async(&mut connection).await.expect("pipeline");
                        assert_eq!(values.len() as u64, size);
                    }
                }
            })
            .await
            .times(size),
        }
    })
}

pub fn redis_async(port: u16, how: How, operations: u64) -> Measured {
    use redis_async::resp_array;
    on_tokio(async {
        let client = redis_async::client::paired::paired_connect("127.0.0.1", port).await.expect("connect");
        match how {
            How::Callers(callers) => {
                spread(callers, operations, |each| {
                    let client = client.clone();
                    async move {
                        for _ in 0..each {
                            let value: Vec<u8> = client.send(resp_array!["GET", KEY]).await.expect("get");
                            assert_eq!(value.len(), 64);
                        }
                    }
                })
                .await
            }
            // It has no pipelines; many requests at once are what it offers instead.
            How::Pipelines(size) => spread(1, operations / size, |each| {
                let client = client.clone();
                async move {
                    for _ in 0..each {
                        let all = (0..size).map(|_| client.send::<Vec<u8>>(resp_array!["GET", KEY]));
                        for value in join_all(all).await {
                            assert_eq!(value.expect("get").len(), 64);
                        }
                    }
                }
            })
            .await
            .times(size),
        }
    })
}

pub fn rustis(port: u16, how: How, operations: u64) -> Measured {
    use rustis::client::{BatchPreparedCommand, Client};
    use rustis::commands::StringCommands;
    on_tokio(async {
        let client = Client::connect(format!("redis://127.0.0.1:{port}")).await.expect("connect");
        match how {
            How::Callers(callers) => {
                spread(callers, operations, |each| {
                    let client = client.clone();
                    async move {
                        for _ in 0..each {
                            let value: String = client.get(KEY).await.expect("get");
                            assert_eq!(value.len(), 64);
                        }
                    }
                })
                .await
            }
            How::Pipelines(size) => spread(1, operations / size, |each| {
                let client = client.clone();
                async move {
                    for _ in 0..each {
                        let mut pipeline = client.create_pipeline();
                        for _ in 0..size {
                            pipeline.get::<String>(KEY).queue();
                        }
                        let values: Vec<String> = pipeline.execute().await.expect("pipeline");
                        assert_eq!(values.len() as u64, size);
                    }
                }
            })
            .await
            .times(size),
        }
    })
}

pub fn fred(port: u16, how: How, operations: u64) -> Measured {
    use fred::prelude::*;
    on_tokio(async {
        let config = Config::from_url(&format!("redis://127.0.0.1:{port}")).expect("url");
        let client = Builder::from_config(config).build().expect("client");
        client.init().await.expect("connect");
        let measured = match how {
            How::Callers(callers) => {
                spread(callers, operations, |each| {
                    let client = client.clone();
                    async move {
                        for _ in 0..each {
                            let value: bytes::Bytes = client.get(KEY).await.expect("get");
                            assert_eq!(value.len(), 64);
                        }
                    }
                })
                .await
            }
            How::Pipelines(size) => spread(1, operations / size, |each| {
                let client = client.clone();
                async move {
                    for _ in 0..each {
                        let pipeline = client.pipeline();
                        for _ in 0..size {
                            let () = pipeline.get(KEY).await.expect("queued");
                        }
                        let values: Vec<bytes::Bytes> = pipeline.all().await.expect("pipeline");
                        assert_eq!(values.len() as u64, size);
                    }
                }
            })
            .await
            .times(size),
        };
        client.quit().await.expect("quit");
        measured
    })
}

//! Workers: a queue that several tasks empty, a fanout that all of them hear, a lock for each key; and workers that fail are started
//! again.
//!
//! ```sh
//! cargo run --example workers -- --on tokio
//! ```

pub(crate) mod common;

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Failure, Options, on_executor};
use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt as _};
use glowplug::core::BackoffConfig;
use glowplug::runtime::supervise::{Restart, Scope};
use glowplug::runtime::time::sleep;

const WORKERS: usize = 3;
const JOBS: u32 = 30;

fn main() -> Result<(), Failure> {
    run(&Options::from_args()?)
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    on_executor!(options, |runtime| async {
        // A queue: bounded, so that whoever puts jobs in waits for those who do them. Each job goes to one worker.
        let (jobs, queue) = async_channel::bounded::<u32>(4);
        let (results, done) = async_channel::bounded::<(usize, u32)>(4);
        // A fanout: each worker hears everything.
        let (news, heard) = async_broadcast::broadcast::<&'static str>(4);
        // A lock for each key: here it is the worker's number, and there are few. For keys that come and go, the crate `lockable`.
        let locks: Keyed<usize> = Keyed::default();

        let scope = Scope::new(runtime.clone());
        let quick = BackoffConfig { first: Duration::from_millis(1), ..BackoffConfig::default() };
        for worker in 0..WORKERS {
            let (queue, results, heard) = (queue.clone(), results.clone(), heard.clone());
            let (runtime, locks) = (runtime.clone(), locks.clone());
            // Kept alive: a worker that panics on a job is back for the next. It never outlives the scope.
            drop(scope.keep_alive(
                &format!("worker {worker}"),
                Restart::default().backoff(quick),
                move || {
                    let (queue, results, mut heard) = (queue.clone(), results.clone(), heard.clone());
                    let (runtime, lock) = (runtime.clone(), locks.of(worker));
                    async move {
                        loop {
                            let job =
                                match select(Box::pin(queue.recv()), Box::pin(heard.recv_direct())).await {
                                    Either::Left((Ok(job), _)) => job,
                                    Either::Right((Ok(news), _)) => {
                                        println!("worker {worker} hears: {news}");
                                        continue;
                                    }
                                    // The queue, or the fanout, is closed.
                                    Either::Left((Err(_), _)) | Either::Right((Err(_), _)) => return,
                                };
                            let _guard = lock.lock().await;
                            if job == 13 {
                                let _ = results.send((worker, 0)).await;
                                resume_unwind(Box::new("nobody can do job 13"));
                            }
                            sleep(&runtime, Duration::from_millis(u64::from(job % 3))).await;
                            if results.send((worker, job * job)).await.is_err() {
                                return;
                            }
                        }
                    }
                },
            ));
        }
        println!("{:?}", scope.names());
        news.broadcast_direct("there is work").await?;

        let filling = async {
            for job in 0..JOBS {
                jobs.send(job).await?;
            }
            Ok::<(), Failure>(())
        };
        let collecting = async {
            let mut shares = BTreeMap::<usize, u32>::new();
            let mut sum = 0;
            for _ in 0..JOBS {
                let (worker, result) = done.recv().await?;
                *shares.entry(worker).or_default() += 1;
                sum += result;
            }
            println!("shares: {shares:?}, sum of squares: {sum}");
            Ok::<u32, Failure>(sum)
        };
        let (filled, sum) = futures_util::future::join(filling, collecting).await;
        filled?;
        let expected: u32 = (0..JOBS).filter(|job| *job != 13).map(|job| job * job).sum();
        if sum? != expected {
            return Err("a job was lost".into());
        }
        scope.close().await;

        // Without any tasks: at most four at a time, in the order they end.
        let squares: Vec<u32> = stream::iter(1..=5_u32)
            .map(|n| {
                let runtime = runtime.clone();
                async move {
                    sleep(&runtime, Duration::from_millis(u64::from(6 - n))).await;
                    n * n
                }
            })
            .buffer_unordered(4)
            .collect()
            .await;
        println!("squares: {squares:?}");
        Ok(())
    })
}

/// A lock for each key, for keys that are few.
#[derive(Clone, Debug, Default)]
struct Keyed<K>(Arc<Mutex<BTreeMap<K, Arc<futures_util::lock::Mutex<()>>>>>);

impl<K: Ord> Keyed<K> {
    fn of(&self, key: K) -> Arc<futures_util::lock::Mutex<()>> {
        // A panic elsewhere leaves a map of locks as good as it was.
        let mut locks = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        locks.entry(key).or_default().clone()
    }
}

//! The Redis client people call, against the server in memory, on any executor.

use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use glowplug_core::Progress;
use glowplug_redis::memory::{Config, Handle};
use glowplug_redis::{Commands as _, CommandsMut as _, HubEvent, Pipeline, Transaction, commands};
use glowplug_runtime::redis::{CacheConfig, Client, Command, Drive, Error, ReadFrom, Serving, serve_memory};
use glowplug_runtime::server::Server;
use glowplug_runtime::time::sleep;
use glowplug_runtime::{Runtime, Spawn};

use super::io::{both, first, polled};
use super::real;
use super::{Executor, Stop, Trial, Tried, When as _, World, any_port, cases_of, ensure, trial};
use crate::runner::Case;

/// More polls than any of these futures takes.
const MANY: usize = 200;

/// How many answers have to pair up after something was dropped.
const NEXT: usize = 100;

/// Every case, with the name of its suite.
pub fn cases<E: Executor>() -> Vec<(&'static str, Case)>
where
    E::Runtime: Spawn<Drive<E::Runtime>> + Spawn<Serving<E::Runtime>>,
{
    cases_of::<E>("redis", trials())
}

/// The same against a real server, each case against one of its own.
pub fn real_cases<E: Executor>() -> Vec<(&'static str, Case)>
where
    E::Runtime: Spawn<Drive<E::Runtime>> + Spawn<Serving<E::Runtime>>,
{
    let mut trials = shared_trials::<E::Runtime, true>();
    if program().is_none() && !real::required() {
        for trial in &mut trials {
            trial.skip = Some("redis-server is not on the path, and GLOWPLUG_REDIS_SERVER names none");
        }
    }
    cases_of::<E>("redis-real", trials)
}

fn program() -> Option<PathBuf> {
    real::program("GLOWPLUG_REDIS_SERVER", "redis-server")
}

fn trials<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>>() -> Vec<Trial<R>> {
    let mut trials = shared_trials::<R, false>();
    trials.push(trial!("server-goes-away", server_goes_away));
    trials.push(trial!("a-lost-connection-is-made-again", made_again));
    trials
}

/// What holds against any server.
fn shared_trials<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>, const REAL: bool>() -> Vec<Trial<R>> {
    vec![
        trial!("commands", command_by_command::<R, REAL>),
        trial!("many-callers", many_callers::<R, REAL>),
        trial!("a-parked-caller-holds-nobody-up", parked_caller::<R, REAL>),
        trial!("calls-dropped-at-every-poll", dropped_calls::<R, REAL>),
        trial!("pipelines-dropped-at-every-poll", dropped_pipelines::<R, REAL>),
        trial!("connect-dropped-at-every-poll", dropped_connect::<R, REAL>),
        trial!("deadline", deadline::<R, REAL>),
        trial!("who-waits-has-a-lane", lanes::<R, REAL>),
        trial!("watched-keys-guard-a-transaction", watching::<R, REAL>),
        trial!("subscriptions", subscriptions::<R, REAL>),
        trial!("subscribing-dropped-at-every-poll", dropped_subscribing::<R, REAL>),
        trial!("what-is-kept-is-dropped-when-it-changes", caching::<R, REAL>),
        trial!("a-monitor-shows-every-command", monitoring::<R, REAL>),
        trial!("streams-are-read-entry-by-entry", streams::<R, REAL>),
        trial!("locks-dropped-at-every-poll", dropped_locks::<R, REAL>),
    ]
}

/// Runs `work` beside a server, in memory or real; it gets the server's URL.
async fn with_server<R, const REAL: bool>(world: &World<R>, work: impl AsyncFnOnce(String) -> Tried) -> Tried
where
    R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>,
{
    if REAL {
        let program = program().ok_or_else(|| Stop("redis-server is required, and not found".to_owned()))?;
        let server = real::RedisServer::start(&program).when("start redis-server")?;
        return work(server.url()).await;
    }
    let server = Server::bind(world.runtime.clone(), any_port()).await.when("bind a server")?;
    let at = server.local_endpoint().when("local_endpoint")?;
    let serving = serve_memory(world.runtime.clone(), server, Handle::new(Config::new()));
    match first(work(format!("redis://{at}")), serving).await {
        Ok(tried) => tried,
        Err(()) => Err(Stop("the server ended".to_owned())),
    }
}

async fn connect<R: Runtime + Spawn<Drive<R>>>(runtime: &R, url: &str) -> Result<Client<R>, Stop> {
    Client::builder(runtime.clone()).connect(url).await.when("connect")
}

/// `count` answers, each to its own question.
async fn pair_up<R: Runtime>(client: &Client<R>, count: usize) -> Tried {
    for n in 0..count {
        let text = format!("question {n}");
        let answer = client.run(commands::echo(&text)).await.when("ECHO")?;
        ensure(answer == text.as_bytes(), || format!("{text:?} was answered with {answer:?}"))?;
    }
    Ok(())
}

/// All futures at once, to the end of the last.
async fn all<T>(mut futures: Vec<Pin<Box<dyn Future<Output = T> + '_>>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let Poll::Ready(output) = future.as_mut().poll(cx)
            {
                *result = Some(output);
            }
        }
        if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}

async fn command_by_command<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>, const REAL: bool>(
    world: World<R>,
) -> Tried {
    with_server::<R, REAL>(&world, async |url| {
        let client = connect(&world.runtime, &url).await?;
        client.run(commands::set("k", "value")).await.when("SET")?;
        let value = client.run(commands::get("k")).await.when("GET")?;
        ensure(value.as_deref() == Some(b"value"), || format!("GET gave {value:?}"))?;
        let missing = client.run(commands::get("nothing")).await.when("GET")?;
        ensure(missing.is_none(), || format!("a key that was never set is {missing:?}"))?;
        let wrong = client.run(commands::incr("k")).await;
        ensure(matches!(&wrong, Err(error) if error.server_error().is_some()), || {
            format!("INCR of a word gave {wrong:?}")
        })?;
        let pipeline =
            Pipeline::new().with(Command::new("INCR").arg("n")).with(Command::new("INCR").arg("n"));
        let replies = client.pipeline(pipeline).await.when("a pipeline")?;
        ensure(replies.len() == 2, || format!("two commands had the answers {replies:?}"))?;
        let n = client.run(commands::incr("n")).await.when("INCR")?;
        ensure(n == 3, || format!("the third INCR gave {n}"))
    })
    .await
}

async fn many_callers<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>, const REAL: bool>(
    world: World<R>,
) -> Tried {
    with_server::<R, REAL>(&world, async |url| {
        let client = connect(&world.runtime, &url).await?;
        let callers = (0..64).map(|caller| {
            let client = client.clone();
            let calls = async move {
                for n in 0..20 {
                    let text = format!("caller {caller} asks {n}");
                    let answer = client.run(commands::echo(&text)).await.when("ECHO")?;
                    ensure(answer == text.as_bytes(), || format!("{text:?} was answered with {answer:?}"))?;
                }
                Ok(())
            };
            Box::pin(calls) as Pin<Box<dyn Future<Output = Tried>>>
        });
        all(callers.collect()).await.into_iter().collect()
    })
    .await
}

async fn parked_caller<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>, const REAL: bool>(
    world: World<R>,
) -> Tried {
    with_server::<R, REAL>(&world, async |url| {
        let client = connect(&world.runtime, &url).await?;
        let mut parked = std::pin::pin!(client.run(commands::echo("parked")));
        // Polled once, and then not again until the others are done. (A lone call drives by itself, and a quick server may have answered by then.)
        let early = poll_fn(|cx| Poll::Ready(parked.as_mut().poll(cx))).await;
        let others =
            (0..63).map(|_| Box::pin(pair_up(&client, 5)) as Pin<Box<dyn Future<Output = Tried> + '_>>);
        all(others.collect()).await.into_iter().collect::<Tried>()?;
        let answer = match early {
            Poll::Ready(answer) => answer,
            Poll::Pending => parked.await,
        };
        let answer = answer.when("the parked call")?;
        ensure(answer == b"parked"[..], || format!("the parked call was answered with {answer:?}"))
    })
    .await
}

async fn dropped_calls<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>, const REAL: bool>(
    world: World<R>,
) -> Tried {
    with_server::<R, REAL>(&world, async |url| {
        let client = connect(&world.runtime, &url).await?;
        for polls in 0..MANY {
            // Dropped alone, and dropped while others wait for their answers.
            let alone = polled(polls, client.run(commands::echo("dropped"))).await;
            pair_up(&client, NEXT).await?;
            let among = both(polled(polls, client.run(commands::echo("dropped"))), pair_up(&client, 5)).await;
            among.1?;
            if let Some(answer) = alone {
                let answer = answer.when("ECHO")?;
                return ensure(answer == b"dropped"[..], || format!("the answer is {answer:?}"));
            }
        }
        Err(Stop(format!("one call takes more than {MANY} polls")))
    })
    .await
}

async fn dropped_pipelines<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>, const REAL: bool>(
    world: World<R>,
) -> Tried {
    with_server::<R, REAL>(&world, async |url| {
        let client = connect(&world.runtime, &url).await?;
        for polls in 0..MANY {
            let mut pipeline = Pipeline::new();
            for n in 0..10 {
                pipeline.push(Command::new("ECHO").arg(format!("{n}")));
            }
            let dropped = polled(polls, client.pipeline(pipeline)).await;
            pair_up(&client, NEXT).await?;
            if let Some(replies) = dropped {
                let replies = replies.when("a pipeline")?;
                return ensure(replies.len() == 10, || format!("ten commands had {} answers", replies.len()));
            }
        }
        Err(Stop(format!("one pipeline takes more than {MANY} polls")))
    })
    .await
}

async fn dropped_connect<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>, const REAL: bool>(
    world: World<R>,
) -> Tried {
    with_server::<R, REAL>(&world, async |url| {
        for polls in 0..MANY {
            let dropped = polled(polls, Client::builder(world.runtime.clone()).connect(&url)).await;
            let client = connect(&world.runtime, &url).await?;
            pair_up(&client, 5).await?;
            if let Some(client) = dropped {
                return pair_up(&client.when("connect")?, NEXT).await;
            }
        }
        Err(Stop(format!("connecting takes more than {MANY} polls")))
    })
    .await
}

async fn deadline<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>, const REAL: bool>(
    world: World<R>,
) -> Tried {
    with_server::<R, REAL>(&world, async |url| {
        let client = connect(&world.runtime, &url).await?;
        let wait = Duration::from_millis(20);
        let before = world.runtime.now();
        // Nobody pushes to this list: the answer would come after ten seconds.
        let pop = Command::new("BLPOP").arg("nothing").arg("1");
        let outcome = client.call(pop).timeout(Some(wait)).await;
        ensure(world.runtime.now() - before >= wait, || "the deadline came early".to_owned())?;
        let error = match outcome {
            Err(error) => error,
            Ok(reply) => return Err(Stop(format!("a pop from nothing gave {reply:?}"))),
        };
        ensure(error.progress() == Progress::FullySent, || {
            format!("the call ended as {error}, with the request {}", error.progress())
        })?;
        // The late answer is thrown away and shifts nobody's.
        pair_up(&client, NEXT).await
    })
    .await
}

async fn server_goes_away<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    let server = Server::bind(world.runtime.clone(), any_port()).await.when("bind a server")?;
    let url = format!("redis://{}", server.local_endpoint().when("local_endpoint")?);
    let stopper = server.stopper();
    let serving = serve_memory(world.runtime.clone(), server, Handle::new(Config::new()));
    let working = async {
        let builder = Client::builder(world.runtime.clone()).reconnect(None);
        let client = builder.connect(&url).await.when("connect")?;
        pair_up(&client, 3).await?;
        stopper.stop();
        // Answers as long as it drains, and then an error: but every call ends.
        for _ in 0..1000 {
            if client.run(commands::ping()).await.is_err() {
                return Ok(client);
            }
            sleep(&world.runtime, Duration::from_millis(1)).await;
        }
        Err(Stop("the server was stopped, and answers still".to_owned()))
    };
    let (client, ()) = both(working, serving).await;
    let client = client?;
    let again = client.run(commands::ping()).await;
    ensure(again.is_err() && client.is_closed(), || {
        format!("a call on a connection that is over gave {again:?}")
    })?;
    let anew = Client::builder(world.runtime.clone()).connect(&url).await;
    ensure(anew.is_err(), || "a server that was stopped takes connections".to_owned())
}

async fn made_again<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server::<R, false>(&world, async |url| {
        let client = connect(&world.runtime, &url).await?;
        for round in 1..=3 {
            client.call(Command::new("QUIT")).await.when("QUIT")?;
            // Until the end is heard of, what is sent may be lost, and says so.
            while let Err(error) = client.get("k").await {
                ensure(error.progress() > Progress::NotSent, || format!("{error:?} was not sent again"))?;
            }
            pair_up(&client, NEXT).await?;
            let count = client.incr("n").await.when("INCR")?;
            ensure(count == round, || format!("INCR number {round} gave {count}"))?;
        }
        Ok(())
    })
    .await
}

async fn lanes<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>, const REAL: bool>(world: World<R>) -> Tried {
    with_server::<R, REAL>(&world, async |url| {
        let client = connect(&world.runtime, &url).await?;
        let popping = client.blpop(["list"], Some(Duration::from_secs(20)));
        let pushing = async {
            pair_up(&client, NEXT).await?;
            client.rpush("list", ["element"]).await.when("RPUSH")
        };
        let (popped, pushed) = both(popping, pushing).await;
        pushed?;
        let element = popped.when("BLPOP")?.map(|(_, element)| element);
        ensure(element.as_deref() == Some(b"element"), || format!("BLPOP gave {element:?}"))?;
        let nothing = client.blpop(["list"], Some(Duration::from_millis(10))).await.when("BLPOP")?;
        ensure(nothing.is_none(), || format!("an empty list gave {nothing:?}"))
    })
    .await
}

async fn watching<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>, const REAL: bool>(
    world: World<R>,
) -> Tried {
    with_server::<R, REAL>(&world, async |url| {
        let client = connect(&world.runtime, &url).await?;
        let mut own = client.dedicated().await.when("a connection of one's own")?;
        for changed in [true, false] {
            own.watch(["k"]).await.when("WATCH")?;
            if changed {
                client.set("k", "changed").await.when("SET")?;
            }
            let mut transaction = Transaction::new();
            let place = transaction.incr("n");
            let results = own.transaction(transaction).await.when("EXEC")?;
            ensure(results.is_none() == changed, || {
                format!("changed: {changed}, and EXEC gave {results:?}")
            })?;
            if let Some(mut results) = results {
                let n = results.take(place).when("INCR")?;
                ensure(n == 1, || format!("the first INCR that was done gave {n}"))?;
            }
        }
        Ok(())
    })
    .await
}

async fn subscriptions<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>, const REAL: bool>(
    world: World<R>,
) -> Tried {
    with_server::<R, REAL>(&world, async |url| {
        let client = connect(&world.runtime, &url).await?;
        let mut one = client.subscribe(["channel"]).await.when("SUBSCRIBE")?;
        let mut two = client.psubscribe(["chan*"]).await.when("PSUBSCRIBE")?;
        for n in 0..20 {
            let text = format!("message {n}");
            client.publish("channel", &text).await.when("PUBLISH")?;
            for listener in [&mut one, &mut two] {
                let event = listener.next().await;
                let heard =
                    matches!(&event, Some(HubEvent::Message { payload, .. }) if *payload == text.as_bytes());
                ensure(heard, || format!("{text:?} was heard as {event:?}"))?;
            }
        }
        Ok(())
    })
    .await
}

async fn dropped_subscribing<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>, const REAL: bool>(
    world: World<R>,
) -> Tried {
    with_server::<R, REAL>(&world, async |url| {
        let client = connect(&world.runtime, &url).await?;
        for polls in 0..MANY {
            let dropped = polled(polls, client.subscribe(["channel"])).await;
            pair_up(&client, 5).await?;
            if let Some(listener) = dropped {
                let mut listener = listener.when("SUBSCRIBE")?;
                client.publish("channel", "hello").await.when("PUBLISH")?;
                let event = listener.next().await;
                return ensure(matches!(event, Some(HubEvent::Message { .. })), || format!("{event:?}"));
            }
        }
        Err(Stop(format!("subscribing takes more than {MANY} polls")))
    })
    .await
}

async fn caching<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>, const REAL: bool>(
    world: World<R>,
) -> Tried {
    with_server::<R, REAL>(&world, async |url| {
        let writer = connect(&world.runtime, &url).await?;
        for config in [CacheConfig::new(), CacheConfig::new().broadcast(["k"])] {
            let reader = Client::builder(world.runtime.clone()).cache(config);
            let reader = reader.connect(&url).await.when("connect")?;
            for round in 0..10 {
                let value = format!("value {round}");
                writer.set("k", &value).await.when("SET")?;
                let mut looks = 0;
                while reader.cached().get("k").await.when("GET")?.as_deref() != Some(value.as_bytes()) {
                    looks += 1;
                    ensure(looks < 5000, || format!("{value:?} was never read: {:?}", reader.cache_stats()))?;
                    sleep(&world.runtime, Duration::from_millis(1)).await;
                }
            }
            // Nothing changes any more, so in the end the answer is kept.
            for _ in 0..5000 {
                let before = reader.cache_stats().map_or(0, |stats| stats.hits);
                reader.cached().get("k").await.when("GET")?;
                if reader.cache_stats().is_some_and(|stats| stats.hits > before) {
                    break;
                }
                sleep(&world.runtime, Duration::from_millis(1)).await;
            }
            let stats = reader.cache_stats();
            ensure(stats.is_some_and(|stats| stats.tracking && stats.hits > 0), || format!("{stats:?}"))?;
            pair_up(&reader, NEXT).await?;
        }
        Ok(())
    })
    .await
}

async fn monitoring<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>, const REAL: bool>(
    world: World<R>,
) -> Tried {
    with_server::<R, REAL>(&world, async |url| {
        let client = connect(&world.runtime, &url).await?;
        let mut monitor = client.monitor().await.when("MONITOR")?;
        for n in 0..20 {
            let value = format!("\"{n}\"\r\n");
            client.set("k", &value).await.when("SET")?;
            let line = monitor.next().await.ok_or_else(|| Stop("the monitor ended".to_owned()))?;
            let line = line.when("a line")?;
            ensure(line.command.len() == 3 && line.command[2] == value.as_bytes(), || format!("{line:?}"))?;
        }
        Ok(())
    })
    .await
}

async fn streams<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>, const REAL: bool>(
    world: World<R>,
) -> Tried {
    with_server::<R, REAL>(&world, async |url| {
        let client = connect(&world.runtime, &url).await?;
        client.ensure_group("log", "group", ReadFrom::Beginning).await.when("XGROUP CREATE")?;
        let mut entries = client.read_streams(["log"], ReadFrom::Beginning);
        let mut shared = client.read_group("group", "consumer", ["log"]);
        for n in 0..20 {
            let value = format!("value {n}");
            let adding = async {
                // The readers wait by then.
                sleep(&world.runtime, Duration::from_millis(2)).await;
                client.xadd("log", "*", [("field", &value)]).await
            };
            let (item, added) = both(entries.next(), adding).await;
            added.when("XADD")?;
            let job = shared.next().await;
            for item in [&item, &job] {
                let fields = match item {
                    Some(Ok(item)) => &item.entry.fields,
                    other => return Err(Stop(format!("no entry, but {other:?}"))),
                };
                let right = fields.as_ref().is_some_and(|fields| fields[0].1 == value.as_bytes());
                ensure(right, || format!("{value:?} was read as {fields:?}"))?;
            }
            if let Some(Ok(job)) = job {
                let acknowledged = shared.ack(&job).await.when("XACK")?;
                ensure(acknowledged, || format!("{job:?} was not pending"))?;
            }
        }
        Ok(())
    })
    .await
}

async fn dropped_locks<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>, const REAL: bool>(
    world: World<R>,
) -> Tried {
    let long = Duration::from_secs(30);
    with_server::<R, REAL>(&world, async |url| {
        let client = connect(&world.runtime, &url).await?;
        let kept = client.try_lock("kept", long).await.when("SET")?;
        let kept = kept.ok_or_else(|| Stop("a lock that nobody has was not to be had".to_owned()))?;
        for polls in 0..MANY {
            // Each time another, or the next would find it taken by the one that was dropped.
            let name = format!("lock {polls}");
            let cycle = async {
                let lock = client.lock(name, long, long).await?;
                let Some(lock) = lock else { return Ok(false) };
                Ok::<_, Error>(kept.extend(long).await? && lock.extend(long).await? && lock.release().await?)
            };
            let done = polled(polls, cycle).await;
            pair_up(&client, 10).await?;
            if let Some(done) = done {
                let done = done.when("a lock")?;
                ensure(done, || "the lock was lost on the way".to_owned())?;
                let released = kept.release().await.when("a release")?;
                return ensure(released, || "somebody else has taken the lock".to_owned());
            }
        }
        Err(Stop(format!("a lock takes more than {MANY} polls")))
    })
    .await
}

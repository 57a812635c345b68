//! The Riak client people call, against the node in memory and against hostile ones, on any executor.

mod hostile;

use std::time::Duration;

use glowplug_core::{Progress, Seed};
use glowplug_riak::memory::{Handle, Node, NodeConfig};
use glowplug_riak::request::Index;
use glowplug_riak::resolve::{LastWriteWins, Pairwise};
use glowplug_runtime::riak::{
    Bucket, Client, Content, Error, Location, Reaper, Serving, SetChange, serve_memory,
};
use glowplug_runtime::server::Server;
use glowplug_runtime::time::sleep;
use glowplug_runtime::{Endpoint, Runtime, Spawn};

use super::io::{both, first, polled};
use super::{Executor, Stop, Trial, Tried, When as _, World, any_port, cases_of, ensure, trial};
use crate::runner::Case;

/// More polls than any of these futures takes.
const MANY: usize = 200;

/// How many answers have to pair up after something was dropped.
const NEXT: usize = 100;

/// Every case, with the name of its suite.
pub fn cases<E: Executor>() -> Vec<(&'static str, Case)>
where
    E::Runtime: Spawn<Reaper<E::Runtime>> + Spawn<Serving<E::Runtime>>,
{
    let mut trials = trials();
    trials.extend(hostile::trials());
    cases_of::<E>("riak", trials)
}

fn trials<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>() -> Vec<Trial<R>> {
    vec![
        trial!("objects", objects),
        trial!("siblings", siblings),
        trial!("updates-add-up", updates),
        trial!("data-types", data_types),
        trial!("streams", streams),
        trial!("many-callers", many_callers),
        trial!("calls-dropped-at-every-poll", dropped_calls),
        trial!("streams-dropped-half-way", dropped_streams),
        trial!("connect-dropped-at-every-poll", dropped_connect),
        trial!("deadline", deadline),
        trial!("one-node-goes-away", node_goes_away),
    ]
}

async fn bind<R: Runtime>(world: &World<R>) -> Result<(Server<R>, Endpoint), Stop> {
    let server = Server::bind(world.runtime.clone(), any_port()).await.when("bind a server")?;
    let at = server.local_endpoint().when("local_endpoint")?;
    Ok((server, at))
}

fn node<R>(world: &World<R>) -> Handle {
    Handle::new(Node::new(&Seed::from_u64(world.seed), NodeConfig::new()))
}

/// Runs `work` beside a node in memory; it gets the node's URL.
async fn with_node<R>(world: &World<R>, work: impl AsyncFnOnce(String) -> Tried) -> Tried
where
    R: Runtime + Spawn<Serving<R>>,
{
    let (server, at) = bind(world).await?;
    let serving = serve_memory(world.runtime.clone(), server, node(world));
    match first(work(format!("riak://{at}")), serving).await {
        Ok(tried) => tried,
        Err(()) => Err(Stop("the node ended".to_owned())),
    }
}

async fn connect<R: Runtime + Spawn<Reaper<R>>>(runtime: &R, url: &str) -> Result<Client<R>, Stop> {
    Client::builder(runtime.clone()).connect(url).await.when("connect")
}

fn numbered(n: usize) -> Location {
    Location::new("numbers", n.to_string())
}

async fn fill<R: Runtime>(riak: &Client<R>, count: usize) -> Tried {
    for n in 0..count {
        riak.put(numbered(n), Content::new(n.to_string())).await.when("put")?;
    }
    Ok(())
}

/// `count` answers, each to its own question.
async fn pair_up<R: Runtime>(riak: &Client<R>, count: usize) -> Tried {
    for n in 0..count {
        let object = riak.get(numbered(n)).await.when("get")?;
        let value = object.as_ref().and_then(|object| object.content()).map(|content| &content.value[..]);
        ensure(value == Some(n.to_string().as_bytes()), || format!("key {n} has the value {value:?}"))?;
    }
    Ok(())
}

async fn objects<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_node(&world, async |url| {
        let riak = connect(&world.runtime, &url).await?;
        riak.ping().await.when("ping")?;
        let key = || Location::new("bucket", "key");
        ensure(riak.get(key()).await.when("get")?.is_none(), || "a key that was never written".to_owned())?;
        riak.put(key(), Content::new("old").meta("colour", "blue")).await.when("put")?;
        let read = riak.get(key()).await.when("get")?;
        let Some(object) = read else { return Err(Stop("what was written is not there".to_owned())) };
        let colour = object.content().and_then(|content| content.get_meta(b"colour")).cloned();
        ensure(colour.as_deref() == Some(b"blue"), || format!("the metadata is {colour:?}"))?;
        riak.ask(object.put(key(), Content::new("new"))).await.when("put")?;
        let read = riak.get(key()).await.when("get")?;
        let values = read.map(|object| object.siblings.into_iter().map(|one| one.value).collect::<Vec<_>>());
        ensure(values.as_deref() == Some(&["new".into()]), || format!("replaced, it is {values:?}"))?;
        riak.delete(key()).await.when("delete")?;
        ensure(riak.get(key()).await.when("get")?.is_none(), || "a deleted key is there".to_owned())
    })
    .await
}

async fn siblings<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_node(&world, async |url| {
        let riak = connect(&world.runtime, &url).await?;
        let key = || Bucket::typed("mult", "bucket").key("key");
        for value in ["b", "c", "a"] {
            riak.put(key(), Content::new(value)).await.when("put")?;
        }
        let least =
            &mut Pairwise(|one: Content, other: Content| if one.value < other.value { one } else { other });
        let stored = riak.update(key(), least, |content| content).await.when("update")?;
        let value = stored.map(|content| content.value);
        ensure(value.as_deref() == Some(b"a"), || format!("the least of a, b and c is {value:?}"))?;
        let object = riak.get(key()).await.when("get")?;
        let left = object.map_or(0, |object| object.siblings.len());
        ensure(left == 1, || format!("after the update there are {left} siblings"))
    })
    .await
}

async fn add_one<R: Runtime>(riak: &Client<R>) -> Result<bool, Stop> {
    let number = |content: Content| {
        let text = String::from_utf8_lossy(&content.value).into_owned();
        text.parse::<u32>().unwrap_or(0)
    };
    let add = |content: Option<Content>| Some(Content::new((content.map_or(0, number) + 1).to_string()));
    match riak.update(Location::new("bucket", "sum"), &mut LastWriteWins, add).await {
        Ok(_) => Ok(true),
        Err(Error::Contended { .. }) => Ok(false),
        Err(error) => Err(error).when("update"),
    }
}

async fn updates<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_node(&world, async |url| {
        let riak = connect(&world.runtime, &url).await?;
        let five = async || {
            let mut made = 0;
            for _ in 0..5 {
                made += u32::from(add_one(&riak).await?);
            }
            Ok(made)
        };
        let (one, other) = both(five(), five()).await;
        let made: u32 = one? + other?;
        let sum = riak.get(Location::new("bucket", "sum")).await.when("get")?;
        let sum = sum.as_ref().and_then(|object| object.content()).map(|content| content.value.clone());
        ensure(sum.as_deref() == Some(made.to_string().as_bytes()), || format!("{made} updates made {sum:?}"))
    })
    .await
}

async fn data_types<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_node(&world, async |url| {
        let riak = connect(&world.runtime, &url).await?;
        let counter = || Bucket::typed("counters", "c").key("k");
        riak.add_to_counter(counter(), 5).await.when("add")?;
        riak.add_to_counter(counter(), -2).await.when("add")?;
        let value = riak.counter(counter()).await.when("fetch")?;
        ensure(value == 3, || format!("5 and -2 make {value}"))?;
        let set = || Bucket::typed("sets", "s").key("k");
        riak.update_data(set(), SetChange::new().add("a").add("b")).await.when("add")?;
        riak.update_data(set(), SetChange::new().remove("a")).await.when("remove")?;
        let elements = riak.set(set()).await.when("fetch")?;
        ensure(elements == ["b"], || format!("of a and b without a there is {elements:?}"))
    })
    .await
}

async fn streams<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_node(&world, async |url| {
        let riak = connect(&world.runtime, &url).await?;
        for n in 0..250 {
            let content = Content::new("v").index_int("n", n);
            riak.put(Location::new("bucket", n.to_string()), content).await.when("put")?;
        }
        let keys =
            riak.list_keys("bucket").await.when("list keys")?.collect_flat().await.when("list keys")?;
        ensure(keys.len() == 250, || format!("of 250 keys {} are listed", keys.len()))?;
        let mut pages = riak.index_pages(Index::range_int("bucket", "n_int", 0, 99), 30);
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            found.push(page.when("a page")?.matches.len());
        }
        ensure(found == [30, 30, 30, 10], || format!("a hundred results come in pages of {found:?}"))
    })
    .await
}

async fn many_callers<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_node(&world, async |url| {
        let riak = connect(&world.runtime, &url).await?;
        fill(&riak, NEXT).await?;
        let read = riak.get_many((0..NEXT * 2).map(numbered), 16).await;
        for (n, (_, object)) in read.into_iter().enumerate() {
            let there = object.when("get")?.is_some();
            ensure(there == (n < NEXT), || format!("key {n} is {}there", if there { "" } else { "not " }))?;
        }
        let connections = riak.connections();
        ensure(connections <= 16, || format!("16 callers have {connections} connections"))
    })
    .await
}

async fn dropped_calls<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_node(&world, async |url| {
        let riak = connect(&world.runtime, &url).await?;
        fill(&riak, NEXT).await?;
        let mut finished = (false, false);
        for polls in 0..MANY {
            // Dropped alone, and dropped while others wait for their answers.
            let alone = polled(polls, riak.put(Location::new("bucket", "key"), Content::new("v"))).await;
            pair_up(&riak, NEXT).await?;
            let among = both(polled(polls, add_one(&riak)), pair_up(&riak, 5)).await;
            among.1?;
            if let Some(stored) = alone {
                stored.when("put")?;
                finished.0 = true;
            }
            if let Some(updated) = among.0 {
                updated?;
                finished.1 = true;
            }
            if finished == (true, true) {
                return Ok(());
            }
        }
        Err(Stop(format!("one call takes more than {MANY} polls")))
    })
    .await
}

async fn dropped_streams<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_node(&world, async |url| {
        let riak = connect(&world.runtime, &url).await?;
        fill(&riak, 350).await?;
        for chunks in 0..5 {
            let mut keys = riak.list_keys("numbers").await.when("list keys")?;
            for _ in 0..chunks {
                keys.next().await.transpose().when("keys")?;
            }
            drop(keys);
            pair_up(&riak, NEXT).await?;
        }
        let connections = riak.connections();
        ensure(connections == 1, || format!("one caller at a time has {connections} connections"))
    })
    .await
}

async fn dropped_connect<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_node(&world, async |url| {
        for polls in 0..MANY {
            let dropped = polled(polls, Client::builder(world.runtime.clone()).connect(&url)).await;
            let riak = connect(&world.runtime, &url).await?;
            riak.ping().await.when("ping")?;
            if let Some(riak) = dropped {
                return riak.when("connect")?.ping().await.when("ping");
            }
        }
        Err(Stop(format!("connecting takes more than {MANY} polls")))
    })
    .await
}

async fn deadline<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_node(&world, async |url| {
        let riak = connect(&world.runtime, &url).await?;
        fill(&riak, NEXT).await?;
        let (before, wait) = (world.runtime.now(), Duration::from_millis(20));
        // Nodes never answer this.
        let query = Index::equal(Bucket::typed("none", "bucket"), "n_int", "1");
        let outcome = riak.timeout(Some(wait)).ask(query).await;
        ensure(world.runtime.now() - before >= wait, || "the deadline came early".to_owned())?;
        ensure(matches!(outcome, Err(Error::TimedOut(Progress::FullySent))), || {
            format!("a query that is never answered ended as {outcome:?}")
        })?;
        pair_up(&riak, NEXT).await
    })
    .await
}

async fn node_goes_away<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    let ((one, one_at), (other, other_at)) = (bind(&world).await?, bind(&world).await?);
    let (stop_one, stop_other) = (one.stopper(), other.stopper());
    let cluster = node(&world);
    let serving = both(
        serve_memory(world.runtime.clone(), one, cluster.clone()),
        serve_memory(world.runtime.clone(), other, cluster),
    );
    let working = async {
        let riak = connect(&world.runtime, &format!("riak://{one_at},{other_at}")).await?;
        fill(&riak, NEXT).await?;
        stop_one.stop();
        // Reads go on as if nothing had happened, while it drains and after.
        for _ in 0..5 {
            pair_up(&riak, NEXT).await?;
            sleep(&world.runtime, Duration::from_millis(30)).await;
        }
        stop_other.stop();
        for _ in 0..1000 {
            if let Err(error) = riak.ping().await {
                let known = matches!(error, Error::Unreachable(_) | Error::Lost(_));
                return ensure(known, || format!("with no node left, a ping ended as {error:?}"));
            }
            sleep(&world.runtime, Duration::from_millis(1)).await;
        }
        Err(Stop("both nodes were stopped, and answer still".to_owned()))
    };
    both(working, serving).await.0
}

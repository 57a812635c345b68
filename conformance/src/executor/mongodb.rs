//! The MongoDB client people call, against the server in memory, on any executor.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use glowplug_mongodb::bson::Document;
use glowplug_mongodb::doc;
use glowplug_mongodb::memory::Handle;
use glowplug_runtime::mongodb::{Client, Collection, Error, Janitor, Serving, serve_memory};
use glowplug_runtime::server::Server;
use glowplug_runtime::time::sleep;
use glowplug_runtime::{Runtime, Spawn};

use super::io::{both, first, polled};
use super::{Executor, Stop, Trial, Tried, When as _, World, any_port, cases_of, ensure, trial};
use crate::runner::Case;

/// More polls than any of these futures takes.
const MANY: usize = 200;

/// How many answers have to pair up after something was dropped.
const NEXT: i64 = 100;

/// Every case, with the name of its suite.
pub fn cases<E: Executor>() -> Vec<(&'static str, Case)>
where
    E::Runtime: Spawn<Janitor<E::Runtime>> + Spawn<Serving<E::Runtime>>,
{
    cases_of::<E>("mongodb", trials())
}

fn trials<R: Runtime + Spawn<Janitor<R>> + Spawn<Serving<R>>>() -> Vec<Trial<R>> {
    vec![
        trial!("operations", operations),
        trial!(heavy "many-callers-on-few-connections", many_callers),
        trial!("calls-dropped-at-every-poll", dropped_calls),
        trial!("a-dropped-cursor-is-killed", dropped_cursor),
        trial!("connect-dropped-at-every-poll", dropped_connect),
        trial!("server-goes-away", server_goes_away),
        trial!("the-pool-fills-itself", pool_fills),
        trial!("closing-says-goodbye", closing),
        trial!("cursors-of-every-kind", cursors),
    ]
}

/// Runs `work` beside a server in memory with ten documents in a collection; it gets the server's URI.
async fn with_server<R>(world: &World<R>, work: impl AsyncFnOnce(String, Handle) -> Tried) -> Tried
where
    R: Runtime + Spawn<Janitor<R>> + Spawn<Serving<R>>,
{
    let server = Server::bind(world.runtime.clone(), any_port()).await.when("bind a server")?;
    let at = server.local_endpoint().when("local_endpoint")?;
    let data = Handle::default();
    let serving = serve_memory(world.runtime.clone(), server, data.clone());
    match first(work(format!("mongodb://{at}"), data), serving).await {
        Ok(tried) => tried,
        Err(()) => Err(Stop("the server ended".to_owned())),
    }
}

async fn connect<R>(runtime: &R, uri: &str) -> Result<(Client<R>, Collection<Document, R>), Stop>
where
    R: Runtime + Spawn<Janitor<R>>,
{
    let client = Client::builder(runtime.clone()).connect(uri).await.when("connect")?;
    let numbers = client.database("kit").collection("numbers");
    Ok((client, numbers))
}

async fn fill<R: Runtime>(numbers: &Collection<Document, R>) -> Tried {
    let documents: Vec<_> = (0..10).map(|number| doc! { "_id": number }).collect();
    numbers.insert_many(&documents).run().await.when("insert").map(drop)
}

/// `count` answers, each to its own question.
async fn pair_up<R: Runtime>(numbers: &Collection<Document, R>, count: i64) -> Tried {
    for number in 0..count {
        let wanted = number % 10;
        let found = numbers.find_one(doc! { "_id": wanted }).run().await.when("find")?;
        let id = found.as_ref().and_then(|found| found.as_doc().get_i64("_id"));
        ensure(id == Some(wanted), || format!("the document {wanted} was asked for, and {found:?} came"))?;
    }
    Ok(())
}

/// All futures at once, to the end of the last.
async fn all(mut futures: Vec<Pin<Box<dyn Future<Output = Tried> + '_>>>) -> Tried {
    poll_fn(|cx| {
        let mut failed = None;
        futures.retain_mut(|future| match future.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready(tried) => {
                failed = failed.take().or(tried.err());
                false
            }
        });
        match failed {
            Some(stop) => Poll::Ready(Err(stop)),
            None if futures.is_empty() => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    })
    .await
}

async fn operations<R: Runtime + Spawn<Janitor<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, async |uri, _| {
        let (client, numbers) = connect(&world.runtime, &uri).await?;
        fill(&numbers).await?;
        let double = numbers.insert_one(&doc! { "_id": 1 }).run().await;
        ensure(double.as_ref().is_err_and(Error::is_duplicate_key), || {
            format!("a key that is double gave {double:?}")
        })?;
        let changed = numbers.update_many(doc! {}, doc! { "$set": { "a": 1 } }).run().await.when("update")?;
        ensure(changed.modified == 10, || format!("of ten documents were changed {}", changed.modified))?;
        let found = numbers.find(doc! {}).batch_size(3).collect().await.when("find")?;
        ensure(found.len() == 10, || format!("of ten documents were found {}", found.len()))?;
        let deleted = numbers.delete_many(doc! {}).run().await.when("delete")?;
        ensure(deleted.deleted == 10, || format!("of ten documents were deleted {}", deleted.deleted))?;
        client.ping().await.when("ping")
    })
    .await
}

async fn many_callers<R: Runtime + Spawn<Janitor<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, async |uri, _| {
        let (client, numbers) = connect(&world.runtime, &format!("{uri}/?maxPoolSize=3")).await?;
        fill(&numbers).await?;
        let callers =
            (0..64).map(|_| Box::pin(pair_up(&numbers, 10)) as Pin<Box<dyn Future<Output = Tried> + '_>>);
        all(callers.collect()).await?;
        ensure(client.connections() <= 3, || format!("there are {} connections", client.connections()))
    })
    .await
}

async fn dropped_calls<R: Runtime + Spawn<Janitor<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, async |uri, _| {
        let (_client, numbers) = connect(&world.runtime, &format!("{uri}/?maxPoolSize=1")).await?;
        fill(&numbers).await?;
        for polls in 0..MANY {
            let alone = polled(polls, numbers.find_one(doc! { "_id": 3 }).run()).await;
            pair_up(&numbers, NEXT).await?;
            let among = both(polled(polls, numbers.find(doc! {}).collect()), pair_up(&numbers, 5)).await;
            among.1?;
            if let Some(found) = alone {
                let found = found.when("find")?;
                return ensure(found.is_some(), || "a document that is there was not found".to_owned());
            }
        }
        Err(Stop(format!("one call takes more than {MANY} polls")))
    })
    .await
}

async fn dropped_cursor<R: Runtime + Spawn<Janitor<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, async |uri, data| {
        let (_client, numbers) = connect(&world.runtime, &uri).await?;
        fill(&numbers).await?;
        drop(numbers.find(doc! {}).batch_size(2).run().await.when("find")?);
        for _ in 0..1000 {
            if data.with(|server| server.open_cursors()) == 0 {
                return Ok(());
            }
            sleep(&world.runtime, Duration::from_millis(1)).await;
        }
        Err(Stop("a cursor that was dropped lives on the server".to_owned()))
    })
    .await
}

async fn dropped_connect<R: Runtime + Spawn<Janitor<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, async |uri, _| {
        for polls in 0..MANY {
            let dropped = polled(polls, Client::builder(world.runtime.clone()).connect(&uri)).await;
            if let Some(client) = dropped {
                return client.when("connect")?.ping().await.when("ping");
            }
        }
        Err(Stop(format!("connecting takes more than {MANY} polls")))
    })
    .await
}

async fn pool_fills<R: Runtime + Spawn<Janitor<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, async |uri, _| {
        let (client, _) = connect(&world.runtime, &format!("{uri}/?minPoolSize=3")).await?;
        for _ in 0..1000 {
            if client.connections() == 3 {
                return Ok(());
            }
            sleep(&world.runtime, Duration::from_millis(1)).await;
        }
        Err(Stop(format!("of three connections there are {}", client.connections())))
    })
    .await
}

async fn closing<R: Runtime + Spawn<Janitor<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, async |uri, data| {
        let (client, numbers) = connect(&world.runtime, &uri).await?;
        fill(&numbers).await?;
        drop(numbers.find(doc! {}).batch_size(2).run().await.when("find")?);
        client.close().await;
        let open = data.with(|server| server.open_cursors());
        ensure(open == 0, || format!("{open} cursors live on the server"))?;
        ensure(client.connections() == 0, || format!("there are {} connections", client.connections()))?;
        let late = client.ping().await;
        ensure(matches!(late, Err(Error::Closed)), || format!("a closed client says {late:?}"))
    })
    .await
}

async fn cursors<R: Runtime + Spawn<Janitor<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, async |uri, data| {
        let (_client, numbers) = connect(&world.runtime, &format!("{uri}/?maxPoolSize=2")).await?;
        fill(&numbers).await?;
        for (exhaust, limit) in [(false, 0), (true, 0), (false, 5), (true, 5)] {
            let find = numbers.find(doc! {}).batch_size(2).limit(limit);
            let find = if exhaust { find.exhaust() } else { find };
            let found = find.collect().await.when("find")?.len();
            let wanted = if limit == 0 { 10 } else { 5 };
            ensure(found == wanted, || format!("of {wanted} documents came {found}"))?;
        }
        for _ in 0..1000 {
            if data.with(|server| server.open_cursors()) == 0 {
                return Ok(());
            }
            sleep(&world.runtime, Duration::from_millis(1)).await;
        }
        Err(Stop("a cursor at its limit lives on the server".to_owned()))
    })
    .await
}

async fn server_goes_away<R: Runtime + Spawn<Janitor<R>> + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    let server = Server::bind(world.runtime.clone(), any_port()).await.when("bind a server")?;
    let uri = format!("mongodb://{}", server.local_endpoint().when("local_endpoint")?);
    let stopper = server.stopper();
    let serving = serve_memory(world.runtime.clone(), server, Handle::default());
    let working = async {
        let (client, numbers) = connect(&world.runtime, &uri).await?;
        fill(&numbers).await?;
        stopper.stop();
        // Answers as long as it drains, and then an error: but every call ends.
        for _ in 0..1000 {
            if client.ping().await.is_err() {
                return Ok(());
            }
            sleep(&world.runtime, Duration::from_millis(1)).await;
        }
        Err(Stop("the server was stopped, and answers still".to_owned()))
    };
    let (worked, ()) = both(working, serving).await;
    worked?;
    let anew = Client::builder(world.runtime.clone()).connect(&uri).await;
    ensure(anew.is_err(), || "a server that was stopped takes connections".to_owned())
}

//! The resolver, client and server of DNS that people call, against each other, on any executor.

use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use glowplug_dns::resolver::{LookupError, QueryError, ResolverConfig, Source};
use glowplug_dns::{ExchangeError, RecordType, Response, Zone, ZoneError, Zones};
use glowplug_runtime::dns::{
    Asked, Client, ClientDrive, Handler, Resolver, ResolverDrive, Server, Serving, Stopper,
};
use glowplug_runtime::server::Guarded;
use glowplug_runtime::{DatagramSocket as _, Runtime, Spawn};

use super::io::{both, first, polled};
use super::{Executor, Stop, Trial, Tried, When as _, World, any_port, cases_of, ensure, trial};
use crate::runner::Case;

/// More polls than any of these futures takes.
const MANY: usize = 200;

const ZONE: &[u8] = b"
$TTL 300
@     SOA ns hostmaster 1 3600 600 86400 60
@     NS  ns
www   A   192.0.2.1
www   AAAA 2001:db8::1
alias CNAME www
*.any A   192.0.2.8
big   TXT ( \"01xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" )
";

/// How many long texts there are at one name: more than a datagram takes.
const TEXTS: usize = 30;

/// What a plug needs for the suite.
pub trait Plug:
    Runtime + Spawn<ResolverDrive<Self>> + Spawn<ClientDrive<Self>> + Spawn<Guarded<Serving<Scripted, Self>>>
{
}

impl<R> Plug for R where
    R: Runtime
        + Spawn<ResolverDrive<Self>>
        + Spawn<ClientDrive<Self>>
        + Spawn<Guarded<Serving<Scripted, Self>>>
{
}

/// A handler that answers from a zone, and panics when asked for `panic.example.test`.
#[derive(Debug)]
pub struct Scripted(Zones);

impl Handler for Scripted {
    type Answering = Ready<Response>;

    fn answer(&self, asked: Asked) -> Self::Answering {
        let text = asked.query.name().to_string();
        if text.eq_ignore_ascii_case("panic.example.test.") {
            // An unwinding like that of any panic, without its message.
            std::panic::resume_unwind(Box::new("this panic belongs to the suite"));
        }
        ready(self.0.respond(&asked.query))
    }
}

/// Every case, with the name of its suite.
pub fn cases<E: Executor>() -> Vec<(&'static str, Case)>
where
    E::Runtime: Plug,
{
    cases_of::<E>("dns", trials())
}

fn trials<R: Plug>() -> Vec<Trial<R>> {
    vec![
        trial!("lookups", lookups),
        trial!("truncated-comes-over-tcp", truncated),
        trial!("many-at-once", many_at_once),
        trial!("lookups-dropped-at-every-poll", dropped_lookups),
        trial!("queries-dropped-at-every-poll", dropped_queries),
        trial!("deadline", deadline),
        trial!("the-driver-ends-with-its-last-handle", last_handle),
        trial!("server-stops", server_stops),
    ]
}

fn zones() -> Result<Zones, ZoneError> {
    let mut text = ZONE.to_vec();
    for n in 0..TEXTS {
        text.extend_from_slice(format!("big TXT \"{n:03}{}\"\n", "x".repeat(200)).as_bytes());
    }
    let origin = "example.test".parse().map_err(|_| ZoneError::OutOfZone)?;
    Ok(Zones::from(Zone::from_text(origin, &text)?))
}

async fn bind<R: Plug>(world: &World<R>) -> Result<(Server<R>, SocketAddr, Stopper), Stop> {
    let server = Server::bind(world.runtime.clone(), any_port()).await.when("bind a server")?;
    let at = server.local_addr().when("local_addr")?;
    let stopper = server.stopper();
    Ok((server, at, stopper))
}

/// Runs `work` beside a server of the zone.
async fn with_server<R: Plug>(world: &World<R>, work: impl AsyncFnOnce(SocketAddr) -> Tried) -> Tried {
    let (server, at, _) = bind(world).await?;
    let scripted = Scripted(zones().when("a zone")?);
    match first(work(at), server.run(scripted)).await {
        Ok(tried) => tried,
        Err(ended) => Err(Stop(format!("the server ended: {ended:?}"))),
    }
}

fn resolver<R: Plug>(world: &World<R>, at: SocketAddr) -> Resolver<R> {
    let config = ResolverConfig { servers: vec![at], ..ResolverConfig::default() };
    Resolver::builder(world.runtime.clone()).config(config).build()
}

/// A name that nobody has asked for before, and its address.
async fn fresh<R: Plug>(resolver: &Resolver<R>, n: usize) -> Tried {
    let text = format!("n{n}.any.example.test");
    let answer = resolver.lookup(&text, RecordType::A).await.when("lookup")?;
    ensure(answer.addresses().count() == 1, || format!("{text} has {answer:?}"))
}

async fn lookups<R: Plug>(world: World<R>) -> Tried {
    with_server(&world, async |at| {
        let resolver = resolver(&world, at);
        let www = resolver.lookup_ip("www.example.test").await.when("lookup_ip")?;
        ensure(www.iter().count() == 2, || format!("www has {www:?}"))?;
        let alias = resolver.lookup("alias.example.test", RecordType::A).await.when("lookup")?;
        ensure(alias.chain.len() == 1 && alias.records().len() == 1, || format!("an alias gave {alias:?}"))?;
        let again = resolver.lookup("WWW.EXAMPLE.TEST", RecordType::A).await.when("lookup")?;
        ensure(again.source == Source::Cache, || format!("the second answer came from {:?}", again.source))?;
        let gone = resolver.lookup("gone.example.test", RecordType::A).await;
        ensure(gone == Err(LookupError::NoSuchName), || format!("a name that is not there gave {gone:?}"))?;
        let none = resolver.mx("www.example.test").await;
        ensure(none == Err(LookupError::NoRecords), || format!("a type that is not there gave {none:?}"))
    })
    .await
}

async fn truncated<R: Plug>(world: World<R>) -> Tried {
    with_server(&world, async |at| {
        let texts = resolver(&world, at).txt("big.example.test").await.when("txt")?;
        ensure(texts.len() == TEXTS + 1, || format!("{} texts came", texts.len()))?;
        let client = Client::builder(world.runtime.clone(), at).build();
        let reply = client.ask("big.example.test", RecordType::TXT).when("a name")?.await.when("ask")?;
        ensure(!reply.is_truncated(), || "the answer is cut off".to_owned())
    })
    .await
}

async fn many_at_once<R: Plug>(world: World<R>) -> Tried {
    with_server(&world, async |at| {
        let resolver = resolver(&world, at);
        // All of them begin here; the answers are taken in turn.
        let names: Vec<String> = (0..300).map(|n| format!("n{n}.any.example.test")).collect();
        let lookups: Vec<_> = names.iter().map(|name| resolver.lookup(name, RecordType::A)).collect();
        for (name, lookup) in names.iter().zip(lookups) {
            let answer = lookup.await.when("lookup")?;
            ensure(answer.addresses().count() == 1, || format!("{name} has {answer:?}"))?;
        }
        Ok(())
    })
    .await
}

async fn dropped_lookups<R: Plug>(world: World<R>) -> Tried {
    with_server(&world, async |at| {
        let resolver = resolver(&world, at);
        for polls in 0..MANY {
            resolver.clear_cache();
            let doomed = polled(polls, resolver.lookup_ip("www.example.test"));
            // The same question, beside the one that is dropped, and another after it.
            let (dropped, kept) = both(doomed, resolver.lookup_ip("www.example.test")).await;
            let kept = kept.when("lookup_ip")?;
            ensure(kept.iter().count() == 2, || format!("www has {kept:?}"))?;
            fresh(&resolver, polls).await?;
            if let Some(answer) = dropped {
                return ensure(answer.is_ok(), || format!("the lookup gave {answer:?}"));
            }
        }
        Err(Stop(format!("one lookup takes more than {MANY} polls")))
    })
    .await
}

async fn dropped_queries<R: Plug>(world: World<R>) -> Tried {
    with_server(&world, async |at| {
        for tcp in [false, true] {
            let client = Client::builder(world.runtime.clone(), at).tcp_only(tcp).build();
            let mut done = false;
            for polls in 0..MANY {
                let doomed = client.ask("alias.example.test", RecordType::A).when("a name")?;
                let dropped = polled(polls, doomed).await;
                let reply =
                    client.ask("www.example.test", RecordType::A).when("a name")?.await.when("ask")?;
                let answers = reply.view().answers().count();
                ensure(answers == 1, || format!("{answers} answers came for www"))?;
                if dropped.is_some() {
                    done = true;
                    break;
                }
            }
            ensure(done, || format!("one query takes more than {MANY} polls"))?;
        }
        Ok(())
    })
    .await
}

async fn deadline<R: Plug>(world: World<R>) -> Tried {
    // A socket that nobody reads.
    let silent = world.runtime.bind(any_port()).await.when("bind")?;
    let at = silent.local_addr().when("local_addr")?;
    let wait = Duration::from_millis(20);
    let client = Client::builder(world.runtime.clone(), at).timeout(wait).build();
    let before = world.runtime.now();
    let silence = client.ask("www.example.test", RecordType::A).when("a name")?.await;
    ensure(silence == Err(QueryError::Exchange(ExchangeError::TimedOut)), || {
        format!("silence gave {silence:?}")
    })?;
    ensure(world.runtime.now() - before >= wait, || "the deadline came early".to_owned())
}

async fn last_handle<R: Plug>(world: World<R>) -> Tried {
    with_server(&world, async |at| {
        // A lookup holds the driver as a handle does.
        let lookup = resolver(&world, at).lookup("www.example.test", RecordType::A);
        let answer = lookup.await.when("a lookup whose resolver is gone")?;
        ensure(answer.records().len() == 1, || format!("www has {answer:?}"))
    })
    .await
}

async fn server_stops<R: Plug>(world: World<R>) -> Tried {
    let (server, at, stopper) = bind(&world).await?;
    let stopped = Arc::new(AtomicBool::new(false));
    let serving = async {
        let served = server.run(Scripted(zones().when("a zone")?)).await;
        stopped.store(true, Ordering::Relaxed);
        served.when("serve")
    };
    let working = async {
        let client = Client::builder(world.runtime.clone(), at).tcp_only(true).build();
        let reply = client.ask("www.example.test", RecordType::A).when("a name")?.await.when("ask")?;
        ensure(reply.view().answers().count() == 1, || format!("the reply is {reply:?}"))?;
        ensure(!stopped.load(Ordering::Relaxed), || "the server ended by itself".to_owned())?;
        stopper.stop();
        Ok(())
    };
    let (served, worked) = both(serving, working).await;
    worked.and(served)?;
    let late =
        Client::builder(world.runtime.clone(), at).tcp_only(true).timeout(Duration::from_secs(1)).build();
    let refused = late.ask("www.example.test", RecordType::A).when("a name")?.await;
    ensure(refused.is_err(), || format!("a server that was stopped answered {refused:?}"))
}

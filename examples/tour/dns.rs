//! DNS: a zone served over UDP and TCP, and a resolver that asks it.

use std::net::SocketAddr;

use futures_util::future::join_all;
use glowplug::dns::resolver::{LookupError, ResolverConfig};
use glowplug::dns::{RecordType, Zone, Zones};
use glowplug::runtime::dns::{Resolver, Server};

use crate::{Failure, Plug, Stage, Told, beside};

/// What each step has to come to, wherever it happens.
pub(crate) const EXPECTED: &[(&str, &str)] = &[
    ("a host of two families", "192.0.2.1, 2001:db8::1"),
    ("a name behind an alias", "192.0.2.1, 2001:db8::1"),
    ("who takes the mail, best first", "first.tour.test., second.tour.test."),
    ("an answer too long for a datagram", "12 records, over TCP"),
    ("a name that nobody has", "no such name"),
    ("50 callers for one name", "50 answers, 1 entry more in the cache"),
];

/// The server answers from its zones.
pub(crate) type Answers = Zones;

fn zones() -> Result<Zones, Failure> {
    let long: Vec<String> = (0..12).map(|n| format!("long TXT \"{n:02}{}\"", "x".repeat(240))).collect();
    let long = long.join("\n");
    let text = format!(
        "$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n@ MX 20 second\n@ MX 10 first\nns A 192.0.2.53\n\
         www A 192.0.2.1\nwww AAAA 2001:db8::1\nalias CNAME www\ncrowd A 192.0.2.7\n{long}\n"
    );
    Ok(Zones::new([Zone::from_text("tour.test".parse()?, text.as_bytes())?]))
}

pub(crate) async fn tell<R: Plug>(stage: &Stage<R>) -> Result<Told, Failure> {
    let server = Server::bind(stage.server.clone(), stage.any_port()).await?;
    let at = server.local_addr()?;
    beside(story(stage.client.clone(), at), server.run(zones()?)).await
}

async fn story<R: Plug>(runtime: R, server: SocketAddr) -> Result<Told, Failure> {
    let mut told = Told::new();
    let config = ResolverConfig { servers: vec![server], ..ResolverConfig::default() };
    let resolver = Resolver::builder(runtime).config(config).build();

    for (step, name) in
        [("a host of two families", "www.tour.test"), ("a name behind an alias", "alias.tour.test")]
    {
        let addresses = resolver.lookup_ip(name).await?;
        let mut addresses: Vec<String> = addresses.iter().map(|address| address.to_string()).collect();
        addresses.sort();
        told.push((step, addresses.join(", ")));
    }

    let exchanges = resolver.mx("tour.test").await?;
    let names: Vec<String> = exchanges.iter().map(|exchange| exchange.host.to_string()).collect();
    told.push(("who takes the mail, best first", names.join(", ")));

    let long = resolver.lookup("long.tour.test", RecordType::TXT).await?;
    told.push(("an answer too long for a datagram", format!("{} records, over TCP", long.records().len())));

    let missing = resolver.lookup("missing.tour.test", RecordType::A).await;
    let verdict = match missing {
        Err(LookupError::NoSuchName) => "no such name".to_owned(),
        other => format!("{other:?}"),
    };
    told.push(("a name that nobody has", verdict));

    let before = resolver.cached();
    let answers = join_all((0..50).map(|_| resolver.lookup("crowd.tour.test", RecordType::A))).await;
    let answered = answers.into_iter().flatten().count();
    told.push((
        "50 callers for one name",
        format!("{answered} answers, {} entry more in the cache", resolver.cached() - before),
    ));
    Ok(told)
}

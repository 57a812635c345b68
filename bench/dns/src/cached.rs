//! Lookups that the resolver's cache answers, beside the hash table alone.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use bench_harness::{Clock, Entry, Measured, Work};
use bytes::BytesMut;
use glowplug_core::{Instant, Seed, Token};
use glowplug_dns::resolver::{Event, Hosts, Order, Request, Resolver, ResolverConfig};
use glowplug_dns::{Name, Record, RecordType, Reply};

use crate::input;

const NOW: Instant = Instant::ZERO;

fn hosts() -> Vec<String> {
    (0..1000).map(|number| format!("host-{number}.example.com.")).collect()
}

/// A resolver that has been told all addresses.
fn resolver(hosts: &[String]) -> Resolver {
    let server = "192.0.2.53:53".parse().expect("an address");
    let config = ResolverConfig { servers: vec![server], ..ResolverConfig::default() };
    let mut resolver = Resolver::new(config, Hosts::default(), &Seed::from_u64(1));
    for (number, host) in (0..).zip(hosts) {
        let request = Request::records(input::name(host), RecordType::A);
        resolver.submit(NOW, Token(number), request).expect("room");
        let Some(Order::Ask(ask)) = resolver.poll_order() else { panic!("nothing to ask") };
        let mut message = BytesMut::new();
        input::address_of(host).encode(&mut message).expect("room");
        let reply = Reply { message: message.freeze(), server: Some(server), round_trip: None };
        resolver.handle_reply(NOW, ask.token, Ok(reply));
        while resolver.poll_event().is_some() {}
    }
    assert_eq!(resolver.cached(), hosts.len());
    resolver
}

/// Asks for one host after the other, until each was answered.
fn lookups(hosts: &[String], operations: u64, request: impl Fn(usize) -> Request) -> Measured {
    let mut resolver = resolver(hosts);
    let clock = Clock::start();
    for number in 0..operations {
        let host = (number * 7) as usize % hosts.len();
        resolver.submit(NOW, Token(number), request(host)).expect("room");
        let mut answered = false;
        while let Some(event) = resolver.poll_event() {
            answered |= matches!(black_box(event), Event::Answer(..));
        }
        assert!(answered);
    }
    clock.stop(operations)
}

fn map(hosts: &[String], operations: u64) -> Measured {
    let names: Vec<Name> = hosts.iter().map(|host| input::name(host)).collect();
    let map: HashMap<(Name, RecordType), Arc<[Record]>> = hosts
        .iter()
        .zip(&names)
        .map(|(host, name)| ((name.clone(), RecordType::A), input::address_of(host).answers.into()))
        .collect();
    let clock = Clock::start();
    for number in 0..operations {
        let key = (names[(number * 7) as usize % names.len()].clone(), RecordType::A);
        black_box(map.get(black_box(&key)).expect("known").clone());
    }
    clock.stop(operations)
}

pub fn work() -> Work {
    Work {
        name: "cached-lookup",
        operations: 100_000,
        entries: vec![
            Entry::ours("glowplug Resolver", |n| {
                let hosts = hosts();
                let names: Vec<Name> = hosts.iter().map(|host| input::name(host)).collect();
                lookups(&hosts, n, |host| Request::records(names[host].clone(), RecordType::A))
            }),
            Entry::peer("HashMap alone, SipHash", |n| map(&hosts(), n)),
        ],
    }
}

//! Random actions, random replies.

use core::time::Duration;
use std::collections::BTreeSet;

use bytes::BytesMut;
use glowplug_core::{DatagramProtocol, Instant, Rng, Seed, Token};
use glowplug_dns::resolver::{Channel, Event, Hosts, Order, Request, Resolver, ResolverConfig, StaleConfig};
use glowplug_dns::{ExchangeError, Incoming, Rcode, Reply, ResponseConfig, UdpClient, UdpConfig, Zone};

use crate::net::*;

/// A reply to `query` that is true, cut, scrambled, or another's.
fn some_reply(rng: &mut Rng, zones: &[Zone], query: &glowplug_dns::Query) -> Result<Reply, ExchangeError> {
    let mut udp = UdpClient::new(UdpConfig::default(), &rng.seed());
    let far = Instant::FAR_FUTURE;
    udp.submit(Instant::ZERO, Token(0), address(1), query.clone(), far).unwrap();
    let mut asked = BytesMut::new();
    let _ = udp.poll_transmit(Instant::ZERO, &mut asked);
    let incoming = Incoming::read(asked.freeze(), Channel::Udp, &ResponseConfig::default()).unwrap();
    let zone = zones.iter().find(|zone| incoming.name().is_within(zone.origin())).unwrap();
    let mut response = zone.respond(&incoming);
    if rng.chance(1, 4) {
        response.rcode = Rcode(rng.below(24) as u16);
    }
    response.truncated = rng.chance(1, 8);
    let mut message = BytesMut::new();
    incoming.respond(&response, &mut message);
    if rng.chance(1, 4) {
        for _ in 0..rng.below(6) {
            let at = rng.below(message.len() as u64) as usize;
            message[at] = rng.u16() as u8;
        }
    }
    if rng.chance(1, 8) {
        message.truncate(rng.below(message.len() as u64 + 1) as usize);
    }
    match rng.below(6) {
        0 => Err(ExchangeError::TimedOut),
        1 => Err(ExchangeError::CaseLost),
        _ => {
            Ok(Reply { message: message.freeze(), server: None, round_trip: Some(Duration::from_millis(5)) })
        }
    }
}

#[test]
fn whatever_comes_in_whatever_order_each_lookup_ends_once() {
    let zones = zones();
    let hosts = ["www", "alias", "far", "only4", "nobody", "loop1", "www.old", "corp", "a..b", "192.0.2.1"];
    for seed in 0..300 {
        let mut rng = Seed::from_u64(seed).rng();
        let config = ResolverConfig {
            servers: vec![address(1), address(2)],
            search: vec![name("example.test"), name("elsewhere.test")],
            stale: rng.chance(1, 2).then(StaleConfig::default),
            cache_entries: rng.below(6) as usize,
            rotate: rng.chance(1, 2),
            ..ResolverConfig::default()
        };
        let mut resolver = Resolver::new(config.clone(), Hosts::default(), &rng.seed());
        let mut now = Instant::from_nanos(1);
        let (mut open, mut next, mut asks) = (BTreeSet::new(), 0, Vec::new());
        for step in 0..300 {
            let winding_down = step > 250;
            match rng.below(8) {
                0 | 1 if !winding_down => {
                    next += 1;
                    let host = hosts[rng.below(hosts.len() as u64) as usize];
                    let request = match rng.below(3) {
                        0 => Request::Reverse("192.0.2.1".parse().unwrap()),
                        _ => Request::addresses(host),
                    };
                    resolver.submit(now, Token(next), request).unwrap();
                    open.insert(Token(next));
                }
                2 => {
                    let token = Token(rng.below(next + 1));
                    resolver.cancel(token);
                    open.remove(&token);
                }
                3 => {
                    let longest = if rng.chance(1, 9) { 400_000 } else { 900 };
                    now += Duration::from_millis(rng.below(longest));
                    resolver.handle_timeout(now);
                }
                4 if rng.chance(1, 20) => resolver.replace_config(config.clone(), Hosts::default()),
                _ => {
                    if !asks.is_empty() {
                        let ask: glowplug_dns::resolver::Ask =
                            asks.swap_remove(rng.below(asks.len() as u64) as usize);
                        let reply = some_reply(&mut rng, &zones, &ask.query);
                        resolver.handle_reply(now, ask.token, reply);
                    }
                }
            }
            while let Some(order) = resolver.poll_order() {
                match order {
                    Order::Ask(ask) => asks.push(ask),
                    Order::Forget(token) => asks.retain(|ask| ask.token != token),
                }
            }
            while let Some(event) = resolver.poll_event() {
                match event {
                    Event::Answer(token, _) => assert!(open.contains(&token), "seed {seed}"),
                    Event::Done(token, _) => assert!(open.remove(&token), "seed {seed}"),
                }
            }
        }
        for _ in 0..10_000 {
            let Some(at) = resolver.poll_timeout() else { break };
            now = now.max(at);
            resolver.handle_timeout(now);
            while let Some(event) = resolver.poll_event() {
                if let Event::Done(token, _) = event {
                    assert!(open.remove(&token), "seed {seed}");
                }
            }
        }
        assert_eq!((resolver.poll_timeout(), resolver.in_flight(), open.len()), (None, 0, 0), "seed {seed}");
    }
}

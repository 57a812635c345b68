//! How long a server is waited for, what happens to an answer that comes late, and what is said of the answer.

use core::time::Duration;

use glowplug_core::Token;
use glowplug_dns::resolver::{Channel, LookupError, Order, Request, SecurityVerdict};
use glowplug_dns::{ExchangeError, Rcode, RecordType};

use crate::net::*;

fn www() -> Request {
    Request::records(name("www.example.test"), RecordType::A)
}

/// How a lookup ended, and how long that took.
fn timed(net: &mut Net) -> (Result<(), LookupError>, Duration) {
    let begin = net.now;
    net.resolver.submit(begin, Token(1_000_000), www()).unwrap();
    net.run();
    let (_, result, at) = net.done.remove(&Token(1_000_000)).unwrap();
    (result, at - begin)
}

#[test]
fn an_answer_over_a_slow_stream_counts_though_others_were_asked_meanwhile() {
    let slow = Manners { truncate: true, stream_takes: Duration::from_millis(4500), ..WELL };
    let dead = Manners { dead: true, ..WELL };
    for seed in 0..20 {
        let mut net = Net::new(&[(1, slow), (2, dead)], seed, |_| {});
        let (result, took) = timed(&mut net);
        assert_eq!(result, Ok(()), "seed {seed}");
        // Its own time, and not that of a second try.
        assert!(took > Duration::from_millis(4500) && took < Duration::from_millis(4700), "{took:?}");
        assert!(net.seen.contains_key(&(address(2), Channel::Udp)), "nobody else was asked");
        // What is under way elsewhere is given up.
        assert_eq!((net.resolver.in_flight(), net.resolver.poll_timeout()), (0, None));
    }
}

#[test]
fn a_stream_that_says_nothing_gives_way_to_another_server() {
    let mute = Manners { truncate: true, mute_stream: true, ..WELL };
    let mut net = Net::new(&[(1, mute), (2, WELL)], 1, |_| {});
    let (result, took) = timed(&mut net);
    assert_eq!(result, Ok(()));
    assert!(took < Duration::from_millis(2300), "{took:?}");
    // The one that answered goes first from now on.
    net.resolver.clear_cache();
    let before = net.queries(1);
    assert_eq!(timed(&mut net).0, Ok(()));
    assert_eq!(net.queries(1), before);
}

#[test]
fn streams_that_say_nothing_end_with_the_lookup_and_the_next_begins_anew() {
    let mute = Manners { truncate: true, mute_stream: true, ..WELL };
    let mut net = Net::new(&[(1, mute)], 1, |_| {});
    net.resolver.submit(net.now, Token(1), www()).unwrap();
    let begin = net.now;
    net.run();
    let (_, result, at) = net.done.remove(&Token(1)).unwrap();
    assert_eq!((result, at - begin), (Err(LookupError::TimedOut), Duration::from_secs(15)));
    // Once per pass, and nothing after it.
    assert_eq!(net.seen[&(address(1), Channel::Tcp)], 3);
    // Who joins a question that all servers have been asked in vain has them asked again.
    net.resolver.submit(net.now, Token(2), www()).unwrap();
    let joins = net.now + Duration::from_secs(10);
    while net.resolver.poll_timeout().is_some_and(|at| at < joins) && net.done.is_empty() {
        net.step();
    }
    let before = net.queries(1);
    net.now = joins;
    net.servers.insert(address(1), WELL);
    net.resolver.submit(joins, Token(3), www()).unwrap();
    net.run();
    assert!(net.queries(1) > before);
    assert!(net.done[&Token(2)].1.is_ok() && net.done[&Token(3)].1.is_ok());
}

#[test]
fn a_late_answer_is_not_taken_when_it_is_none() {
    let mut net = Net::new(&[(1, Manners { dead: true, ..WELL })], 1, |config| config.tcp_only = true);
    net.resolver.submit(net.now, Token(1), www()).unwrap();
    let Some(Order::Ask(first)) = net.resolver.poll_order() else { panic!("nothing was asked") };
    net.now = first.deadline;
    net.resolver.handle_timeout(net.now);
    let Some(Order::Ask(second)) = net.resolver.poll_order() else { panic!("nothing was asked again") };
    // The first ends with an error after its time; the second is still waited for.
    net.resolver.handle_reply(net.now, first.token, Err(ExchangeError::Unreachable));
    assert_eq!((net.resolver.poll_event(), net.resolver.in_flight()), (None, 1));
    // Cancelled, both are forgotten; only the second is still known.
    net.resolver.cancel(Token(1));
    assert_eq!(net.resolver.poll_order(), Some(Order::Forget(second.token)));
    assert_eq!(net.resolver.poll_order(), None);
}

#[test]
fn a_server_of_another_version_of_edns_is_asked_without_it() {
    let manners = Manners { no_edns: Some(Rcode::BADVERS), ..WELL };
    let mut net = Net::new(&[(1, manners)], 1, |_| {});
    assert_eq!(timed(&mut net).0, Ok(()));
    assert_eq!(net.queries(1), 2);
}

#[test]
fn what_an_answer_says_of_dnssec() {
    for dnssec_ok in [false, true] {
        let mut net = Net::new(&[(1, WELL)], 1, |config| config.dnssec_ok = dnssec_ok);
        net.resolver.submit(net.now, Token(1), www()).unwrap();
        let Some(Order::Ask(ask)) = net.resolver.poll_order() else { panic!("nothing was asked") };
        // RFC 6840 section 5.7: AD asks for AD. Checking is the server's, so CD stays clear.
        assert!(ask.query.flags.authentic_data() && !ask.query.flags.checking_disabled());
        assert_eq!(ask.query.edns.unwrap().dnssec_ok, dnssec_ok);
        net.resolver.cancel(Token(1));
        for _ in 0..2 {
            let answer = net.ask(www()).0.remove(0);
            assert_eq!((answer.authentic, answer.verdict), (dnssec_ok, SecurityVerdict::Unchecked));
        }
        assert_eq!(net.queries(1), 1);
    }
}

#[test]
fn the_search_list_goes_on_after_words_and_ends_with_silence() {
    let list = |config: &mut glowplug_dns::resolver::ResolverConfig| {
        config.search = vec![name("nowhere.test"), name("example.test")];
    };
    let mut net = Net::new(&[(1, WELL)], 1, list);
    // There is no such name, then there is one.
    assert_eq!(net.addresses("only4"), Ok(set(&["192.0.2.4"])));
    // A name without addresses tells more than names that do not exist.
    assert_eq!(net.addresses("corp"), Err(LookupError::NoRecords));
    assert_eq!(net.addresses("nobody"), Err(LookupError::NoSuchName));
    // A refusal is passed over as well, and told if there is nothing better.
    let mut net = Net::new(&[(1, Manners { servfail: true, ..WELL })], 1, list);
    assert_eq!(net.addresses("only4"), Err(LookupError::Refused(Rcode::SERVFAIL)));
    let tried = net.queries(1);
    // Silence about the first name is silence about all.
    let mut net = Net::new(&[(1, Manners { dead: true, ..WELL })], 1, list);
    assert!(matches!(net.addresses("only4"), Err(LookupError::TimedOut | LookupError::Exchange(_))));
    assert!(tried >= 6, "{tried}");
    assert!(net.done.is_empty());
}

#[test]
fn late_exchanges_are_few_and_all_are_forgotten_in_the_end() {
    let dead = Manners { dead: true, ..WELL };
    let servers: Vec<_> = (1..=5).map(|n| (n, dead)).collect();
    let mut net = Net::new(&servers, 1, |config| {
        config.tcp_only = true;
        config.lookup_timeout = Duration::from_secs(100);
    });
    net.resolver.submit(net.now, Token(1), www()).unwrap();
    let (mut open, mut most, mut asked) = (0, 0, 0);
    loop {
        while let Some(order) = net.resolver.poll_order() {
            match order {
                Order::Ask(_) => (open, asked) = (open + 1, asked + 1),
                Order::Forget(_) => open -= 1,
            }
        }
        most = most.max(open);
        let Some(at) = net.resolver.poll_timeout() else { break };
        net.now = at;
        net.resolver.handle_timeout(at);
    }
    // Each server once per pass; one exchange that has its time yet, beside eight that are late.
    assert_eq!((asked, most, open), (15, 9, 0));
}

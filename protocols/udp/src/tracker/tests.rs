//! Conversations, one behaviour a test. Time is in seconds, peers are numbers.

mod audit;
mod options;

use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, iter, vec};

use super::*;
use crate::{
    Accept, ConnectError, Delivery, Eviction, MAX_DATAGRAM, Overflow, RateLimit, SendError, Unreachable,
};

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn peer(number: u32) -> Path {
    Path::to(std::net::SocketAddr::from((number.to_be_bytes(), 7000)))
}

fn track(config: Config) -> Tracker {
    Tracker::new(config, &Seed::from_u64(1))
}

fn hand_in(tracker: &mut Tracker, now: u64, from: u32, payload: &[u8]) -> Result<(), DatagramError> {
    tracker.handle_datagram(at(now), peer(from), BytesMut::from(payload))
}

/// All events, as short sentences.
fn told(tracker: &mut Tracker, now: u64) -> Vec<String> {
    iter::from_fn(|| tracker.poll_event(at(now)))
        .map(|event| match event {
            Event::Opened { path, .. } => format!("opened {}", path.remote.ip()),
            Event::Message { payload, .. } => format!("message {}", payload.escape_ascii()),
            Event::Readable { conversation } => format!("readable {conversation:?}"),
            Event::Moved { path, .. } => format!("moved {}", path.remote.ip()),
            Event::Closed { reason, .. } => format!("closed: {reason}"),
        })
        .collect()
}

/// The conversation of the next `Opened`.
fn opened(tracker: &mut Tracker, now: u64) -> ConversationId {
    match tracker.poll_event(at(now)) {
        Some(Event::Opened { conversation, .. }) => conversation,
        other => panic!("{other:?} instead of opened"),
    }
}

fn sent(tracker: &mut Tracker) -> Vec<(Path, Vec<u8>)> {
    let mut out = BytesMut::new();
    iter::from_fn(|| {
        out.clear();
        tracker.poll_transmit(Instant::ZERO, &mut out).map(|transmit| (transmit.path, out.to_vec()))
    })
    .collect()
}

#[test]
fn a_burst_of_eight_comes_in_order() {
    let mut tracker = track(Config::default());
    for i in 0..8u8 {
        hand_in(&mut tracker, 0, 1, &[b'0' + i]).unwrap();
    }
    let mut expected = vec!["opened 0.0.0.1".to_string()];
    expected.extend((0..8).map(|i| format!("message {i}")));
    assert_eq!(told(&mut tracker, 0), expected);
}

#[test]
fn empty_and_longest_datagrams_are_data_both_ways() {
    let mut tracker = track(Config::default());
    let longest = vec![7; MAX_DATAGRAM];
    hand_in(&mut tracker, 0, 1, b"").unwrap();
    hand_in(&mut tracker, 0, 1, &longest).unwrap();
    let id = opened(&mut tracker, 0);
    let mut messages = || match tracker.poll_event(at(0)) {
        Some(Event::Message { payload, .. }) => payload.freeze(),
        other => panic!("{other:?} instead of a message"),
    };
    let (empty, long) = (messages(), messages());
    assert_eq!((empty.len(), &long[..]), (0, &longest[..]));
    tracker.send(id, empty).unwrap();
    tracker.send(id, long).unwrap();
    let too_long = Bytes::from(vec![0; MAX_DATAGRAM + 1]);
    assert_eq!(tracker.send(id, too_long.clone()), Err(SendError::TooLong(too_long)));
    assert_eq!(sent(&mut tracker), [(peer(1), Vec::new()), (peer(1), longest)]);
}

#[test]
fn interleaved_peers_have_separate_conversations_and_replies() {
    let mut tracker = track(Config::default());
    for (from, payload) in [(1, b"a"), (2, b"x"), (1, b"b"), (2, b"y")] {
        hand_in(&mut tracker, 0, from, payload).unwrap();
    }
    let (one, two) = (opened(&mut tracker, 0), opened(&mut tracker, 0));
    assert_ne!(one, two);
    assert_eq!(told(&mut tracker, 0), ["message a", "message x", "message b", "message y"]);
    tracker.send(two, Bytes::from_static(b"to two")).unwrap();
    tracker.send(one, Bytes::from_static(b"to one")).unwrap();
    assert_eq!(sent(&mut tracker), [(peer(2), b"to two".to_vec()), (peer(1), b"to one".to_vec())]);
    assert_eq!(tracker.find(Scope::NONE, &peer(2)), Some(two));
    assert_eq!(tracker.totals(one).unwrap().sent_bytes, 6);
}

#[test]
fn a_late_datagram_opens_anew_for_a_server_and_is_ignored_for_a_client() {
    // Server role: the next datagram is a new conversation.
    let mut server = track(Config::default());
    hand_in(&mut server, 0, 1, b"a").unwrap();
    let first = opened(&mut server, 0);
    server.close_conversation(at(0), first);
    assert_eq!(told(&mut server, 0), ["closed: closed by us"]);
    hand_in(&mut server, 0, 1, b"b").unwrap();
    let second = opened(&mut server, 0);
    assert_ne!(first, second);
    assert!(!server.is_open(first) && server.is_open(second));

    // Client role: ignored, for good on a client's socket, and while it lingers where anybody is accepted.
    for (config, after) in [
        (Config::client(), Err(DatagramError::Refused)),
        (Config::default().linger_connected(Duration::from_secs(30)), Ok(())),
    ] {
        let mut client = track(config);
        let id = client.connect(at(0), peer(1)).unwrap();
        client.close_conversation(at(0), id);
        assert_eq!(hand_in(&mut client, 1, 1, b"late"), Err(DatagramError::Late));
        assert_eq!(told(&mut client, 1), ["closed: closed by us"]);
        assert_eq!(client.counters().late, 1);
        // Late datagrams do not prolong it.
        client.handle_timeout(at(31));
        assert_eq!(hand_in(&mut client, 31, 1, b"later"), after);
    }
}

#[test]
fn accepted_conversations_linger_when_told_to() {
    let mut tracker = track(Config::default().linger_accepted(Duration::from_secs(5)));
    hand_in(&mut tracker, 0, 1, b"a").unwrap();
    let id = opened(&mut tracker, 0);
    tracker.close_conversation(at(0), id);
    told(&mut tracker, 0);
    assert_eq!(hand_in(&mut tracker, 4, 1, b"late"), Err(DatagramError::Late));
    assert!(told(&mut tracker, 4).is_empty());
    tracker.handle_timeout(at(6));
    hand_in(&mut tracker, 6, 1, b"again").unwrap();
    assert_eq!(told(&mut tracker, 6), ["opened 0.0.0.1", "message again"]);
    // A conversation of ours takes the place of a lingering one at once.
    let id = tracker.find(Scope::NONE, &peer(1)).unwrap();
    assert_eq!(tracker.connect(at(6), peer(1)), Err(ConnectError::Exists(id)));
    tracker.close_conversation(at(6), id);
    assert!(tracker.connect(at(6), peer(1)).is_ok());
}

#[test]
fn a_client_hears_its_server_alone() {
    let mut tracker = track(Config::client());
    let id = tracker.connect(at(0), peer(1)).unwrap();
    tracker.send(id, Bytes::from_static(b"hello")).unwrap();
    assert_eq!(sent(&mut tracker), [(peer(1), b"hello".to_vec())]);
    assert_eq!(hand_in(&mut tracker, 0, 2, b"forged"), Err(DatagramError::Refused));
    hand_in(&mut tracker, 0, 1, b"hi").unwrap();
    assert_eq!(told(&mut tracker, 0), ["message hi"]);
    assert_eq!(tracker.role(id), Some(Role::Client));
}

#[test]
fn both_roles_share_a_socket() {
    let mut tracker = track(Config::default());
    let ours = tracker.connect(at(0), peer(1)).unwrap();
    hand_in(&mut tracker, 0, 1, b"answer").unwrap();
    hand_in(&mut tracker, 0, 2, b"question").unwrap();
    assert_eq!(told(&mut tracker, 0), ["message answer", "opened 0.0.0.2", "message question"]);
    let theirs = tracker.find(Scope::NONE, &peer(2)).unwrap();
    assert_eq!((tracker.role(ours), tracker.role(theirs)), (Some(Role::Client), Some(Role::Server)));
}

#[test]
fn handles_of_the_past_mean_nothing() {
    let mut tracker = track(Config::default());
    hand_in(&mut tracker, 0, 1, b"a").unwrap();
    let old = opened(&mut tracker, 0);
    tracker.close_conversation(at(0), old);
    told(&mut tracker, 0);
    hand_in(&mut tracker, 0, 2, b"b").unwrap();
    let new = opened(&mut tracker, 0);
    assert_eq!(old.index(), new.index(), "the place is used again");
    assert_eq!(tracker.send(old, Bytes::from_static(b"x")), Err(SendError::Closed(Bytes::from_static(b"x"))));
    assert_eq!(tracker.receive(old), None);
    assert_eq!(tracker.close_conversation(at(0), old), None);
    assert_eq!(tracker.path(old), None);
    assert_eq!(tracker.capacity(old), 0);
    assert!(tracker.is_open(new));
}

#[test]
fn what_was_sent_before_the_end_still_goes_out_and_nothing_after() {
    let mut tracker = track(Config::default());
    hand_in(&mut tracker, 0, 1, b"a").unwrap();
    let id = opened(&mut tracker, 0);
    tracker.send(id, Bytes::from_static(b"bye")).unwrap();
    tracker.close_conversation(at(0), id);
    assert!(tracker.send(id, Bytes::from_static(b"x")).is_err());
    told(&mut tracker, 0);
    assert_eq!(sent(&mut tracker), [(peer(1), b"bye".to_vec())]);
}

#[test]
fn each_overflow_rule_does_what_it_says() {
    let run = |overflow| {
        let mut tracker = track(Config::default().max_queue(2).overflow(overflow));
        let results: Vec<_> = [b"a", b"b", b"c"].map(|p| hand_in(&mut tracker, 0, 1, p).is_ok()).into();
        let dropped = tracker.counters().dropped_queue;
        (results, dropped, told(&mut tracker, 0))
    };
    assert_eq!(
        run(Overflow::DropNewest),
        (vec![true, true, false], 1, vec!["opened 0.0.0.1".into(), "message a".into(), "message b".into()])
    );
    assert_eq!(
        run(Overflow::DropOldest),
        (vec![true, true, true], 1, vec!["opened 0.0.0.1".into(), "message b".into(), "message c".into()])
    );
    // Nobody had heard of the conversation when it overflowed: nobody does.
    assert_eq!(run(Overflow::Close), (vec![true, true, false], 1, vec![]));
    let mut tracker = track(Config::default().max_queue(2).overflow(Overflow::Close));
    hand_in(&mut tracker, 0, 1, b"a").unwrap();
    opened(&mut tracker, 0);
    hand_in(&mut tracker, 0, 1, b"b").unwrap();
    assert_eq!(hand_in(&mut tracker, 0, 1, b"c"), Err(DatagramError::QueueFull));
    assert_eq!(told(&mut tracker, 0), ["message a", "message b", "closed: queue overflowed"]);
}

#[test]
fn queues_are_bounded_in_bytes_each_and_together() {
    let big = vec![0; 60_000];
    let mut tracker = track(Config::default().max_queue_bytes(0));
    hand_in(&mut tracker, 0, 1, &big).unwrap();
    hand_in(&mut tracker, 0, 1, &big).unwrap();
    assert_eq!(hand_in(&mut tracker, 0, 1, &big), Err(DatagramError::QueueFull));
    hand_in(&mut tracker, 0, 2, &big).unwrap();

    let mut tracker = track(Config::default().max_buffered(250_000));
    hand_in(&mut tracker, 0, 1, &big).unwrap();
    hand_in(&mut tracker, 0, 2, &big).unwrap();
    hand_in(&mut tracker, 0, 3, &big).unwrap();
    assert_eq!(hand_in(&mut tracker, 0, 4, &big), Err(DatagramError::OverBudget));
    // A quarter is kept for those whose address is proven.
    let known = tracker.find(Scope::NONE, &peer(3)).unwrap();
    tracker.prove(known);
    hand_in(&mut tracker, 0, 3, &big).unwrap();
    assert_eq!(hand_in(&mut tracker, 0, 3, &big), Err(DatagramError::OverBudget));
    assert_eq!(tracker.counters().dropped_budget, 2);
    told(&mut tracker, 0);
    assert_eq!(tracker.buffered(), 0);
    hand_in(&mut tracker, 0, 3, &big).unwrap();

    // A short datagram in a long buffer counts, and is kept, as a short one.
    let mut long = BytesMut::with_capacity(60_000);
    long.extend_from_slice(b"short");
    tracker.handle_datagram(at(0), peer(4), long).unwrap();
    assert!(tracker.buffered() < 60_000 + 500);
}

#[test]
fn who_is_accepted_may_change_and_room_is_told_beforehand() {
    let mut tracker = track(Config::default().max_output(4).max_output_each(2).max_output_bytes(0));
    hand_in(&mut tracker, 0, 1, b"a").unwrap();
    tracker.set_accept(Accept::Nobody);
    assert_eq!(hand_in(&mut tracker, 0, 2, b"b"), Err(DatagramError::Refused));
    hand_in(&mut tracker, 0, 1, b"c").unwrap();
    let one = opened(&mut tracker, 0);
    assert!(tracker.takes(one, MAX_DATAGRAM), "nothing waits");
    assert_eq!(tracker.output_room(), 4);
    tracker.send(one, Bytes::from_static(b"1")).unwrap();
    assert!(tracker.takes(one, MAX_DATAGRAM - 1) && !tracker.takes(one, MAX_DATAGRAM));
    tracker.send(one, Bytes::from_static(b"2")).unwrap();
    assert!(!tracker.takes(one, 1), "two each");
    assert_eq!(tracker.output_room(), 2);
    sent(&mut tracker);
    assert!(tracker.takes(one, 1));
    tracker.close_conversation(at(0), one);
    assert!(!tracker.takes(one, 1));
}

#[test]
fn silence_ends_a_conversation_and_datagrams_put_it_off() {
    let mut tracker = track(Config::default().idle_timeout(Some(Duration::from_secs(10))));
    hand_in(&mut tracker, 0, 1, b"a").unwrap();
    hand_in(&mut tracker, 0, 2, b"b").unwrap();
    let (one, _) = (opened(&mut tracker, 0), opened(&mut tracker, 0));
    hand_in(&mut tracker, 6, 2, b"c").unwrap();
    told(&mut tracker, 6);
    tracker.handle_timeout(at(9));
    assert_eq!(tracker.len(), 2, "early does nothing");
    tracker.handle_timeout(at(11));
    assert_eq!(told(&mut tracker, 11), ["closed: idle for too long"]);
    assert!(!tracker.is_open(one));
    assert!(tracker.poll_timeout().unwrap() > at(11));
    tracker.handle_timeout(at(15));
    assert_eq!(tracker.len(), 1);
    let two = tracker.find(Scope::NONE, &peer(2)).unwrap();
    tracker.touch(at(15), two);
    tracker.handle_timeout(at(20));
    assert_eq!(tracker.len(), 1);
    tracker.handle_timeout(at(26));
    assert_eq!((tracker.len(), tracker.poll_timeout(), tracker.counters().expired), (0, None, 2));
}

#[test]
fn unread_datagrams_come_before_the_end() {
    let mut tracker = track(Config::default().idle_timeout(Some(Duration::from_secs(10))));
    hand_in(&mut tracker, 0, 1, b"a").unwrap();
    opened(&mut tracker, 0);
    tracker.handle_timeout(at(20));
    assert_eq!(told(&mut tracker, 20), ["message a", "closed: idle for too long"]);
}

#[test]
fn a_conversation_may_have_an_idle_time_out_of_its_own() {
    let mut tracker = track(Config::default().idle_timeout(None));
    hand_in(&mut tracker, 0, 1, b"a").unwrap();
    let id = opened(&mut tracker, 0);
    assert_eq!(tracker.poll_timeout(), None);
    tracker.set_idle_timeout(id, Some(Duration::from_secs(3)));
    tracker.handle_timeout(at(4));
    assert!(!tracker.is_open(id));
}

#[test]
fn a_full_table_refuses_or_evicts_by_the_rule() {
    let fill = |eviction| {
        let mut tracker = track(Config::default().max_conversations(4).eviction(eviction));
        for number in 1..=4 {
            hand_in(&mut tracker, u64::from(number), number, b"a").unwrap();
        }
        tracker
    };
    let mut tracker = fill(Eviction::Refuse);
    assert_eq!(hand_in(&mut tracker, 9, 5, b"a"), Err(DatagramError::Full));
    assert_eq!(tracker.connect(at(9), peer(6)), Err(ConnectError::Full));
    assert_eq!(tracker.counters().refused_full, 1);

    // Sixteen draws out of four find the idlest all but surely; the seed is fixed.
    let mut tracker = fill(Eviction::Idlest);
    told(&mut tracker, 9);
    hand_in(&mut tracker, 9, 5, b"b").unwrap();
    assert_eq!(tracker.find(Scope::NONE, &peer(1)), None);
    assert_eq!(told(&mut tracker, 9), ["closed: evicted for a new peer", "opened 0.0.0.5", "message b"]);
    assert_eq!(tracker.len(), 4);

    let mut tracker = fill(Eviction::IdlestUnproven);
    for number in [1, 2] {
        let id = tracker.find(Scope::NONE, &peer(number)).unwrap();
        tracker.prove(id);
    }
    for number in 10..1000 {
        hand_in(&mut tracker, 9, number, b"flood").unwrap();
        told(&mut tracker, 9);
    }
    assert!([1, 2].iter().all(|&number| tracker.find(Scope::NONE, &peer(number)).is_some()));
    for number in 3..1000 {
        if let Some(id) = tracker.find(Scope::NONE, &peer(number)) {
            tracker.prove(id);
        }
    }
    assert_eq!(hand_in(&mut tracker, 9, 5, b"a"), Err(DatagramError::Full));
}

#[test]
fn the_evicted_that_nobody_heard_of_are_not_told_and_a_lazy_application_stays_bounded() {
    let mut tracker = track(Config::default().max_conversations(100).eviction(Eviction::Idlest));
    for number in 0..10_000 {
        hand_in(&mut tracker, 0, number, b"a").unwrap();
    }
    assert_eq!((tracker.len(), tracker.slab.used()), (100, 100));
    assert_eq!(told(&mut tracker, 0).len(), 200);
    // Known ones stay until the application hears of their end; there is a bound on them too.
    let results: Vec<_> = (0..10_000).map(|number| hand_in(&mut tracker, 1, 20_000 + number, b"a")).collect();
    assert!(tracker.slab.used() <= 100 + 100 / 8 + 64);
    assert!(results.contains(&Err(DatagramError::Full)));
    told(&mut tracker, 1);
    assert_eq!(tracker.slab.used(), 100);
    hand_in(&mut tracker, 1, 50_000, b"a").unwrap();
}

#[test]
fn the_accept_rule_sees_path_and_payload() {
    let filter = Accept::filter(|path: &Path, payload: &[u8]| {
        path.remote.port() == 7000 && payload.starts_with(b"hello")
    });
    let mut tracker = track(Config::default().accept(filter));
    assert_eq!(hand_in(&mut tracker, 0, 1, b"bye"), Err(DatagramError::Refused));
    hand_in(&mut tracker, 0, 1, b"hello").unwrap();
    hand_in(&mut tracker, 0, 1, b"bye").unwrap();
    assert_eq!(told(&mut tracker, 0), ["opened 0.0.0.1", "message hello", "message bye"]);
    assert_eq!((tracker.counters().refused, tracker.counters().accepted), (1, 1));
}

#[test]
fn queues_are_read_by_their_owners() {
    let mut tracker =
        track(Config::default().delivery(Delivery::Queues).idle_timeout(Some(Duration::from_secs(10))));
    hand_in(&mut tracker, 0, 1, b"a").unwrap();
    let id = opened(&mut tracker, 0);
    assert_eq!(tracker.poll_event(at(0)), Some(Event::Readable { conversation: id }));
    hand_in(&mut tracker, 0, 1, b"b").unwrap();
    assert_eq!(tracker.poll_event(at(0)), None, "told once, until the queue was emptied");
    assert_eq!(tracker.unread(id), 2);
    assert_eq!(tracker.receive(id).unwrap(), "a");
    assert_eq!(tracker.receive(id).unwrap(), "b");
    assert_eq!(tracker.receive(id), None);
    hand_in(&mut tracker, 1, 1, b"c").unwrap();
    assert_eq!(tracker.poll_event(at(1)), Some(Event::Readable { conversation: id }));
    // Over, and what is unread is still there until the owner gives it back.
    tracker.handle_timeout(at(20));
    assert_eq!(told(&mut tracker, 20), ["closed: idle for too long"]);
    assert!(!tracker.is_open(id));
    assert_eq!(tracker.receive(id).unwrap(), "c");
    hand_in(&mut tracker, 20, 1, b"new").unwrap();
    assert_ne!(opened(&mut tracker, 20), id);
    let totals = tracker.close_conversation(at(20), id).unwrap();
    assert_eq!((totals.received, totals.received_bytes), (3, 3));
    assert_eq!(tracker.totals(id), None);
    assert_eq!(tracker.slab.used(), 1);
}

#[test]
fn an_owner_who_never_reads_holds_up_nobody() {
    let mut tracker = track(Config::default().delivery(Delivery::Queues).max_queue(4));
    for round in 0..10 {
        let _ = hand_in(&mut tracker, 0, 1, b"never read");
        hand_in(&mut tracker, 0, 2, &[round]).unwrap();
        while tracker.poll_event(at(0)).is_some() {}
        let two = tracker.find(Scope::NONE, &peer(2)).unwrap();
        assert_eq!(tracker.receive(two).unwrap()[..], [round]);
    }
    assert_eq!(tracker.counters().dropped_queue, 6);
}

#[test]
fn unreachable_ends_what_the_rule_says() {
    let run = |rule| {
        let mut tracker = track(Config::default().unreachable(rule));
        tracker.connect(at(0), peer(1)).unwrap();
        hand_in(&mut tracker, 0, 2, b"a").unwrap();
        told(&mut tracker, 0);
        for number in 1..4 {
            tracker.handle_unreachable(at(0), peer(number));
        }
        told(&mut tracker, 0).len()
    };
    assert_eq!([Unreachable::Ignore, Unreachable::EndUnanswered, Unreachable::End].map(run), [0, 1, 2]);
}

#[test]
fn the_output_is_bounded_in_all_and_each() {
    let mut tracker =
        track(Config::default().max_output(10).max_output_each(6).max_output_bytes(MAX_DATAGRAM));
    let (one, two) = (tracker.connect(at(0), peer(1)).unwrap(), tracker.connect(at(0), peer(2)).unwrap());
    let send = |tracker: &mut Tracker, id| (0..20).filter(|_| tracker.send(id, Bytes::new()).is_ok()).count();
    assert_eq!(tracker.capacity(one), 6);
    assert_eq!((send(&mut tracker, one), send(&mut tracker, two)), (6, 4));
    assert_eq!(tracker.capacity(two), 0);
    assert_eq!(sent(&mut tracker).len(), 10);
    assert_eq!(tracker.capacity(two), 6);
    let big = Bytes::from(vec![0; 40_000]);
    tracker.send(one, big.clone()).unwrap();
    assert_eq!(tracker.send(two, big.clone()), Err(SendError::Full(big)));
}

#[test]
fn datagrams_of_one_size_and_path_leave_together_when_allowed() {
    let mut tracker = track(Config::default().max_segments(4));
    let (one, two) = (tracker.connect(at(0), peer(1)).unwrap(), tracker.connect(at(0), peer(2)).unwrap());
    for (id, len) in [(one, 5), (one, 5), (one, 3), (one, 5), (two, 5), (two, 6), (two, 0), (two, 0)] {
        tracker.send(id, Bytes::from(vec![7; len])).unwrap();
    }
    for _ in 0..6 {
        tracker.send(one, Bytes::from_static(b"x")).unwrap();
    }
    let mut out = BytesMut::new();
    let all: Vec<_> = iter::from_fn(|| tracker.poll_transmit(at(0), &mut out))
        .map(|transmit| (transmit.len, transmit.datagrams()))
        .collect();
    assert_eq!(all, [(13, 3), (5, 1), (5, 1), (6, 1), (0, 1), (0, 1), (4, 4), (2, 2)]);
    assert_eq!(tracker.counters().sent, 14);
    tracker.set_max_segments(1);
    tracker.send(one, Bytes::from_static(b"x")).unwrap();
    tracker.send(one, Bytes::from_static(b"x")).unwrap();
    assert_eq!(sent(&mut tracker).len(), 2);
}

#[test]
fn closing_ends_all_in_bounded_batches() {
    let mut tracker = track(Config::default());
    for number in 0..1000 {
        hand_in(&mut tracker, 0, number, b"a").unwrap();
    }
    let mut ids = Vec::new();
    while let Some(event) = tracker.poll_event(at(0)) {
        if let Event::Opened { conversation, .. } = event {
            ids.push(conversation);
        }
    }
    hand_in(&mut tracker, 0, 1, b"unread").unwrap();
    tracker.send(ids[0], Bytes::from_static(b"bye")).unwrap();
    tracker.close(at(0));
    assert!(tracker.len() > 700, "one call does one batch");
    assert_eq!(hand_in(&mut tracker, 0, 5000, b"a"), Err(DatagramError::Closing));
    assert_eq!(tracker.connect(at(0), peer(5000)), Err(ConnectError::Closing));
    let mut batches = 0;
    while tracker.poll_timeout().is_some_and(|due| due <= at(0)) {
        tracker.handle_timeout(at(0));
        batches += 1;
    }
    assert_eq!(batches, 3);
    let told = told(&mut tracker, 0);
    assert_eq!(told.iter().filter(|event| *event == "closed: shut down").count(), 1000);
    assert_eq!(told.iter().filter(|event| *event == "message unread").count(), 1);
    assert!(!tracker.is_closed(), "something is left to send");
    assert_eq!(sent(&mut tracker).len(), 1);
    assert!(tracker.is_closed() && tracker.is_empty());
}

#[test]
fn expiry_of_all_is_linear_and_in_batches() {
    let mut tracker = track(Config::default().idle_timeout(Some(Duration::from_secs(60))));
    for number in 0..10_000 {
        hand_in(&mut tracker, 0, number, b"").unwrap();
    }
    while tracker.poll_event(at(0)).is_some() {}
    let (mut calls, mut before) = (0, tracker.len());
    while tracker.poll_timeout().is_some_and(|due| due <= at(100)) {
        tracker.handle_timeout(at(100));
        assert!(before - tracker.len() <= BATCH);
        before = tracker.len();
        calls += 1;
    }
    assert_eq!(tracker.len(), 0);
    assert!(calls <= 8 * 10_000 / BATCH, "{calls} batches");
}

#[test]
fn trackers_may_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Tracker>();
    shared::<Config>();
    shared::<crate::reliable::Conversations>();
    shared::<crate::reliable::Channel>();
}

#[test]
fn announcing_a_batch_to_many_conversations_changes_nothing() {
    let (mut announced, mut plain) = (track(Config::default()), track(Config::default()));
    for number in 0..20_000 {
        for tracker in [&mut announced, &mut plain] {
            hand_in(tracker, 0, number, b"").unwrap();
            told(tracker, 0);
        }
    }
    // More than fits one reading, exactly as many, none; known peers and strangers.
    for count in [200, 64, 0, 63] {
        let batch: Vec<Path> = (0..count).map(|number| peer(number * 173)).collect();
        announced.anticipate(&mut batch.iter());
        for tracker in [&mut announced, &mut plain] {
            for path in &batch {
                tracker.handle_datagram(at(1), *path, BytesMut::from(&b"x"[..])).unwrap();
            }
        }
        assert_eq!(told(&mut announced, 1), told(&mut plain, 1));
        assert_eq!(announced.len(), plain.len());
    }
}

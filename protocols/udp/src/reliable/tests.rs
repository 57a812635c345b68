//! Two channels face to face, and one against whatever comes.

use core::time::Duration;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use bytes::{Bytes, BytesMut};
use glowplug_core::{DatagramProtocol, Instant, Path, Seed};

use super::wire::{BEGIN, DATA, END, FIN, Header, PING, RESET};
use super::*;
use crate::{Config, ConversationId, Delivery, Tracker};

/// Both ends, with nothing between them but the hand that carries.
struct Pair {
    one: Channel,
    two: Channel,
    now: Instant,
}

impl Pair {
    fn new(config: ChannelConfig) -> Self {
        let mut rng = Seed::from_u64(1).rng();
        let mut new = || Channel::new(config, Instant::ZERO, &mut rng);
        Self { one: new(), two: new(), now: Instant::ZERO }
    }

    /// What `from` sends now.
    fn datagrams(from: &mut Channel, now: Instant) -> Vec<BytesMut> {
        let mut out = BytesMut::new();
        core::iter::from_fn(|| from.poll_transmit(now, &mut out).map(|len| out.split_to(len))).collect()
    }

    /// Carries until both are silent, then lets time pass to the next deadline.
    fn step(&mut self) {
        loop {
            let (there, back) =
                (Self::datagrams(&mut self.one, self.now), Self::datagrams(&mut self.two, self.now));
            if there.is_empty() && back.is_empty() {
                break;
            }
            for datagram in there {
                let _ = self.two.handle_datagram(self.now, datagram);
            }
            for datagram in back {
                let _ = self.one.handle_datagram(self.now, datagram);
            }
        }
        if let Some(next) = [&self.one, &self.two].into_iter().filter_map(Channel::poll_timeout).min() {
            self.now = self.now.max(next);
            self.one.handle_timeout(self.now);
            self.two.handle_timeout(self.now);
        }
    }
}

fn messages(channel: &mut Channel) -> Vec<BytesMut> {
    core::iter::from_fn(|| match channel.poll_event() {
        Some(ChannelEvent::Message(message)) => Some(message),
        Some(other) => panic!("{other:?} instead of a message"),
        None => None,
    })
    .collect()
}

#[test]
fn empty_short_and_longest_messages_arrive_whole() {
    let mut pair = Pair::new(ChannelConfig::default());
    let longest = vec![7; pair.one.max_message()];
    for message in [&b""[..], b"short", &longest] {
        pair.one.send(Bytes::copy_from_slice(message)).unwrap();
    }
    let too_long = Bytes::from(vec![0; longest.len() + 1]);
    assert_eq!(pair.one.send(too_long.clone()), Err(SendError::TooLong(too_long)));
    for _ in 0..20 {
        pair.step();
    }
    assert_eq!(messages(&mut pair.two), [&b""[..], b"short", &longest]);
    assert!(pair.one.send(Bytes::new()).is_ok(), "everything was acknowledged");
}

#[test]
fn what_waits_to_be_acknowledged_is_bounded_in_bytes_and_in_empty_messages() {
    let mut pair = Pair::new(ChannelConfig::default().max_unacked(1000));
    pair.one.send(Bytes::from(vec![0; 5000])).unwrap();
    assert!(matches!(pair.one.send(Bytes::from_static(b"x")), Err(SendError::Full(_))));
    let mut pair = Pair::new(ChannelConfig::default().max_unacked(1000));
    assert!((0..1000).take_while(|_| pair.one.send(Bytes::new()).is_ok()).count() < 40);
}

#[test]
fn a_reader_who_does_not_read_holds_the_sender_up_and_then_lets_it_go() {
    let mut pair = Pair::new(ChannelConfig::default().max_unacked(1 << 20));
    for number in 0..2000_u32 {
        pair.one.send(Bytes::copy_from_slice(&number.to_be_bytes())).unwrap();
    }
    for _ in 0..50 {
        pair.step();
    }
    let mut read = messages(&mut pair.two);
    assert_eq!(read.len(), usize::from(WINDOW), "a window, and no more");
    for _ in 0..200 {
        pair.step();
        read.extend(messages(&mut pair.two));
    }
    assert_eq!(read.len(), 2000);
    assert!(read.iter().zip(0..).all(|(message, number): (_, u32)| message[..] == number.to_be_bytes()));
}

#[test]
fn a_window_update_that_was_lost_is_asked_for() {
    let mut pair = Pair::new(ChannelConfig::default().max_unacked(1 << 20));
    for _ in 0..300 {
        pair.one.send(Bytes::from_static(b"m")).unwrap();
    }
    for _ in 0..50 {
        pair.step();
    }
    assert_eq!(messages(&mut pair.two).len(), 256);
    assert_eq!(Pair::datagrams(&mut pair.two, pair.now).len(), 1, "the update, lost here");
    for _ in 0..20 {
        pair.step();
    }
    assert_eq!(messages(&mut pair.two).len(), 44);
}

#[test]
fn unordered_messages_do_not_wait_for_a_lost_one() {
    for (order, heard) in [(Order::Ordered, 0), (Order::Unordered, 4)] {
        let mut pair = Pair::new(ChannelConfig::default().order(order));
        for number in 0..5u8 {
            pair.one.send(Bytes::copy_from_slice(&[number])).unwrap();
        }
        for datagram in Pair::datagrams(&mut pair.one, pair.now).split_off(1) {
            pair.two.handle_datagram(pair.now, datagram).unwrap();
        }
        assert_eq!(messages(&mut pair.two).len(), heard);
        pair.step();
        pair.step();
        assert_eq!(messages(&mut pair.two).len(), 5 - heard);
    }
}

#[test]
fn both_finish_and_are_closed() {
    let mut pair = Pair::new(ChannelConfig::default());
    pair.one.send(Bytes::from_static(b"last")).unwrap();
    pair.one.close();
    assert!(matches!(pair.one.send(Bytes::new()), Err(SendError::Closed(_))));
    pair.step();
    assert_eq!(pair.two.poll_event(), Some(ChannelEvent::Message(BytesMut::from("last"))));
    assert_eq!(pair.two.poll_event(), Some(ChannelEvent::Finished));
    assert_eq!(pair.two.poll_event(), None);
    // The other half is still open.
    pair.two.send(Bytes::from_static(b"answer")).unwrap();
    pair.two.close();
    for _ in 0..5 {
        pair.step();
    }
    assert_eq!(pair.one.poll_event(), Some(ChannelEvent::Message(BytesMut::from("answer"))));
    assert_eq!(pair.one.poll_event(), Some(ChannelEvent::Finished));
    assert!(pair.one.is_closed() && pair.two.is_closed());
    assert_eq!((pair.one.poll_timeout(), pair.two.poll_timeout()), (None, None));
}

#[test]
fn a_loss_halves_the_window_and_is_repaired_before_the_time_out() {
    let mut pair = Pair::new(ChannelConfig::default());
    for number in 0..10u8 {
        pair.one.send(Bytes::copy_from_slice(&[number])).unwrap();
    }
    let mut there = Pair::datagrams(&mut pair.one, pair.now);
    assert_eq!(there.len(), 10, "the first window");
    there.remove(2);
    pair.now += Duration::from_millis(30);
    for datagram in there {
        pair.two.handle_datagram(pair.now, datagram).unwrap();
    }
    for datagram in Pair::datagrams(&mut pair.two, pair.now) {
        pair.one.handle_datagram(pair.now, datagram).unwrap();
    }
    // No time-out has passed, and the lost one goes again.
    assert_eq!(Pair::datagrams(&mut pair.one, pair.now).len(), 1);
}

#[test]
fn datagrams_of_strangers_and_of_other_times_are_stale() {
    let mut pair = Pair::new(ChannelConfig::default());
    pair.one.send(Bytes::from_static(b"hello")).unwrap();
    // The delayed acknowledgement tells one the other's tag.
    pair.step();
    pair.step();
    let now = pair.now;
    let datagram = |to, from, flags| {
        let mut out = BytesMut::new();
        Header { flags, to, from, ack: 0, sack: 0, window: 9, seq: 7 }.encode(&mut out);
        out
    };
    pair.one.send(Bytes::from_static(b"x")).unwrap();
    let mut real = Pair::datagrams(&mut pair.one, now);
    let header = Header::decode(&mut real[0]).unwrap();
    let (ours, theirs) = (header.to, header.from);
    for (to, from) in [(ours ^ 1, theirs), (ours, theirs ^ 1), (0, theirs ^ 1)] {
        for flags in [0, DATA | BEGIN | END, RESET, PING] {
            assert_eq!(pair.two.handle_datagram(now, datagram(to, from, flags)), Err(ReceiveError::Stale));
        }
    }
    // Acknowledging what was never sent.
    let mut bold = BytesMut::new();
    Header { flags: 0, to: ours, from: theirs, ack: 1000, sack: 0, window: 9, seq: 0 }.encode(&mut bold);
    assert_eq!(pair.two.handle_datagram(now, bold), Err(ReceiveError::Stale));
    assert!(!pair.two.is_closed());
    assert_eq!(pair.two.handle_datagram(now, datagram(ours, theirs, RESET)), Ok(()));
    messages_then(&mut pair.two, &ChannelEvent::Failed(Failure::Reset));
    assert!(pair.two.is_closed());
}

fn messages_then(channel: &mut Channel, last: &ChannelEvent) {
    while let Some(event) = channel.poll_event() {
        if !matches!(event, ChannelEvent::Message(_)) {
            assert_eq!(event, *last);
            return;
        }
    }
    panic!("no {last:?}");
}

#[test]
fn impossible_messages_are_violations() {
    let segments = |order, flags: &[(u32, u8)]| {
        let mut channel =
            Channel::new(ChannelConfig::default().order(order), Instant::ZERO, &mut Seed::from_u64(1).rng());
        for &(seq, flags) in flags {
            let mut out = BytesMut::new();
            Header { flags: DATA | flags, to: 0, from: 1, ack: 0, sack: 0, window: 0, seq }.encode(&mut out);
            if channel.handle_datagram(Instant::ZERO, out).is_err() {
                break;
            }
        }
        core::iter::from_fn(|| channel.poll_event()).last()
    };
    let violation = Some(ChannelEvent::Failed(Failure::Violation));
    for order in [Order::Ordered, Order::Unordered] {
        // No beginning; a beginning within; a last one within; one that never ends.
        assert_eq!(segments(order, &[(0, END)]), violation);
        assert_eq!(segments(order, &[(0, BEGIN), (1, BEGIN | END), (2, END)]), violation);
        if order == Order::Ordered {
            assert_eq!(segments(order, &[(0, BEGIN), (1, BEGIN | END | FIN)]), violation);
        }
        let endless: Vec<_> = (0..200).map(|seq| (seq, if seq == 0 { BEGIN } else { 0 })).collect();
        assert_eq!(segments(order, &endless), violation);
        let backwards: Vec<_> = endless.iter().rev().copied().collect();
        assert_eq!(segments(order, &backwards), violation);
        let late: Vec<_> = (0..300).map(|seq| (seq, 0)).rev().collect();
        assert_eq!(segments(order, &late), violation);
    }
}

/// Segments of anything in any order, from a peer that has the right tags: no panic, bounded memory, bounded output.
#[test]
fn hostile_peers_break_nothing() {
    for seed in 0..300 {
        let mut rng = Seed::from_u64(seed).rng();
        let order = if rng.chance(1, 2) { Order::Ordered } else { Order::Unordered };
        let mut channel = Channel::new(ChannelConfig::default().order(order), Instant::ZERO, &mut rng);
        let mut now = Instant::ZERO;
        let (mut sent, mut read) = (0, 0);
        for _ in 0..400 {
            let mut datagram = BytesMut::new();
            let near = if rng.chance(1, 10) { u32::MAX } else { 300 };
            let header = Header {
                flags: if rng.chance(1, 20) {
                    rng.u32() as u8
                } else {
                    DATA | (rng.u32() as u8 & (BEGIN | END))
                },
                to: 0,
                from: 1,
                ack: rng.below(u64::from(near)) as u32 % (sent + 1),
                sack: if rng.chance(1, 10) { rng.u64() } else { 0 },
                window: rng.u16(),
                seq: rng.below(u64::from(near)) as u32,
            };
            header.encode(&mut datagram);
            datagram.extend_from_slice(&vec![1; rng.below(50) as usize]);
            let _ = channel.handle_datagram(now, datagram);
            if channel.send(Bytes::from_static(b"x")).is_ok() {
                sent += 1;
            }
            let mut out = BytesMut::new();
            for turn in 0.. {
                assert!(turn < 1000, "seed {seed}: endless output");
                if channel.poll_transmit(now, &mut out).is_none() {
                    break;
                }
            }
            if rng.chance(1, 5) {
                read += core::iter::from_fn(|| channel.poll_event()).count();
            }
            now += Duration::from_millis(rng.below(50));
            channel.handle_timeout(now);
        }
        assert!(read <= 400 + 2);
    }
}

#[test]
fn what_is_hoarded_is_bounded_each_and_together() {
    let segment = |seq: u32| {
        let mut out = BytesMut::new();
        Header { flags: DATA | BEGIN | END, to: 0, from: 1, ack: 0, sack: 0, window: 0, seq }
            .encode(&mut out);
        out.extend_from_slice(&[7; 1000]);
        out
    };
    let config = ChannelConfig::default().max_unread(10_000);
    let mut channel = Channel::new(config, Instant::ZERO, &mut Seed::from_u64(1).rng());
    for seq in (0..200).rev() {
        channel.handle_datagram(Instant::ZERO, segment(seq)).unwrap();
        assert!(channel.unread() <= 10_000 + 1100);
    }
    // What was refused can come again, once there is room.
    let mut heard = messages(&mut channel).len();
    for seq in 0..200 {
        channel.handle_datagram(Instant::ZERO, segment(seq)).unwrap();
        heard += messages(&mut channel).len();
    }
    assert_eq!((heard, channel.unread()), (200, 0));

    let mut all =
        Conversations::new(Config::default().max_buffered(0), ChannelConfig::default(), &Seed::from_u64(1));
    let max = crate::MAX_BUFFERED.min();
    for peer in 0..20_u8 {
        let path = Path::to(([10, 0, 0, peer], 7).into());
        for seq in 1..100 {
            let _ = all.handle_datagram(Instant::ZERO, path, segment(seq));
        }
    }
    assert!(all.unread() > max / 2 && all.unread() <= 2 * max, "{}", all.unread());
    for peer in 0..20_u8 {
        let id = all.tracker().find(crate::Scope::NONE, &Path::to(([10, 0, 0, peer], 7).into()));
        all.abort(Instant::ZERO, id.unwrap());
    }
    assert_eq!(all.unread(), 0);
}

#[test]
fn strangers_who_speak_otherwise_open_nothing_that_is_told() {
    let mut server = Conversations::new(Config::default(), ChannelConfig::default(), &Seed::from_u64(1));
    let peer = Path::to("192.0.2.1:7".parse().unwrap());
    let result = server.handle_datagram(Instant::ZERO, peer, BytesMut::from("GET / HTTP/1.1"));
    assert!(matches!(result, Err(ReceiveError::Malformed(_))));
    assert_eq!((server.poll_event(Instant::ZERO), server.len(), server.tracker().len()), (None, 0, 0));
    assert_eq!(result.unwrap_err().to_string(), "malformed datagram");
}

#[test]
fn a_conversation_of_a_plain_tracker_may_have_a_channel_too() {
    // The pieces fit by hand: what `Conversations` does for all.
    let now = Instant::ZERO;
    let peer = Path::to("192.0.2.1:7".parse().unwrap());
    let mut tracker = Tracker::new(Config::client(), &Seed::from_u64(1));
    let id = tracker.connect(now, peer).unwrap();
    let mut channel = Channel::new(ChannelConfig::default(), now, &mut Seed::from_u64(2).rng());
    channel.send(Bytes::from_static(b"hello")).unwrap();
    let mut out = BytesMut::new();
    while channel.poll_transmit(now, &mut out).is_some() {
        tracker.send(id, out.split().freeze()).unwrap();
    }
    assert_eq!(tracker.queued(), 1);
}

#[test]
fn closing_finishes_all_and_takes_no_new_ones() {
    let now = Instant::ZERO;
    let (us, them) = (Path::to("192.0.2.1:7".parse().unwrap()), Path::to("192.0.2.2:7".parse().unwrap()));
    let mut one = Conversations::new(Config::default(), ChannelConfig::default(), &Seed::from_u64(1));
    let mut two = Conversations::new(Config::default(), ChannelConfig::default(), &Seed::from_u64(2));
    let id = one.connect(now, them).unwrap();
    one.send(id, Bytes::from_static(b"hello")).unwrap();
    one.close(now);
    assert!(one.connect(now, us).is_err());
    let mut told = Vec::new();
    let mut now = now;
    for _ in 0..10 {
        let mut out = BytesMut::new();
        while one.poll_transmit(now, &mut out).is_some() {
            let _ = two.handle_datagram(now, us, out.split());
        }
        while let Some(event) = two.poll_event(now) {
            if let Event::Finished { conversation } = event {
                two.finish(conversation);
            }
            told.push(event);
        }
        while two.poll_transmit(now, &mut out).is_some() {
            let _ = one.handle_datagram(now, them, out.split());
        }
        while one.poll_event(now).is_some() {}
        now += Duration::from_secs(30);
        one.handle_timeout(now);
        two.handle_timeout(now);
    }
    assert_eq!(told.len(), 4, "opened, message, finished, closed: {told:?}");
    assert!(one.is_closed() && two.is_empty());
}

/// Two hosts with queues, and a conversation that the first began.
struct Hosts {
    now: Instant,
    hosts: [Conversations; 2],
}

impl Hosts {
    fn new(config: &Config) -> (Self, ConversationId) {
        let mut hosts = [1, 2].map(|seed| {
            let channel = ChannelConfig::default();
            Conversations::new(config.clone(), channel, &Seed::from_u64(seed)).delivery(Delivery::Queues)
        });
        let now = Instant::ZERO;
        let id = hosts[0].connect(now, Self::path(1)).unwrap();
        (Self { now, hosts }, id)
    }

    fn path(host: u8) -> Path {
        Path::to(([192, 0, 2, host], 7).into())
    }

    /// Carries, tells and lets time pass, so many seconds.
    fn run(&mut self, seconds: u64) -> [Vec<Event>; 2] {
        let mut told = [Vec::new(), Vec::new()];
        for _ in 0..seconds * 10 {
            for (me, told) in told.iter_mut().enumerate() {
                let mut out = BytesMut::new();
                while self.hosts[me].poll_transmit(self.now, &mut out).is_some() {
                    let _ = self.hosts[1 - me].handle_datagram(self.now, Self::path(me as u8), out.split());
                }
                while let Some(event) = self.hosts[me].poll_event(self.now) {
                    told.push(event);
                }
            }
            self.now += Duration::from_millis(100);
            self.hosts.iter_mut().for_each(|host| host.handle_timeout(self.now));
        }
        told
    }
}

#[test]
fn queues_hold_their_own_sender_up_and_outlive_the_end() {
    let (mut world, id) = Hosts::new(&Config::default());
    for n in 0..5_u8 {
        world.hosts[0].send(id, vec![n].into()).unwrap();
    }
    world.hosts[0].finish(id);
    let [_, told] = world.run(2);
    let [Event::Opened { conversation, .. }, Event::Readable { conversation: readable }] = told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(conversation, readable);
    assert_eq!(world.hosts[1].receive(conversation).unwrap()[..], [0]);
    // Both finish while the rest is unread: it is there until the conversation is given back.
    world.hosts[1].finish(conversation);
    let [one, two] = world.run(2);
    assert_eq!(
        one,
        [Event::Finished { conversation: id }, Event::Closed { conversation: id, end: End::Finished }]
    );
    assert_eq!(two, [Event::Closed { conversation, end: End::Finished }]);
    for n in 1..4_u8 {
        assert_eq!(world.hosts[1].receive(conversation).unwrap()[..], [n]);
    }
    assert!(world.hosts[1].unread() > 0);
    let now = world.now;
    world.hosts[1].detach(now, conversation);
    assert_eq!((world.hosts[1].receive(conversation), world.hosts[1].unread()), (None, 0));
    world.hosts[0].detach(now, id);
    // What lingers is nobody's concern.
    assert_eq!(world.run(70), [vec![], vec![]]);
    assert!(world.hosts.iter().all(|host| host.is_empty() && host.tracker().is_empty()));
}

#[test]
fn what_is_given_back_is_delivered_and_who_goes_on_is_cut_off() {
    let (mut world, id) = Hosts::new(&Config::default());
    world.hosts[0].send(id, Bytes::from_static(b"last words")).unwrap();
    world.hosts[0].detach(Instant::ZERO, id);
    assert!(matches!(world.hosts[0].send(id, Bytes::new()), Err(SendError::Closed(_))));
    let [one, two] = world.run(1);
    assert_eq!(one, []);
    let Event::Opened { conversation, .. } = two[0] else { panic!("{two:?}") };
    assert_eq!(world.hosts[1].receive(conversation).unwrap(), "last words");
    world.hosts[1].send(conversation, Bytes::from_static(b"nobody hears")).unwrap();
    let [one, two] = world.run(20);
    assert_eq!(one, []);
    assert!(
        matches!(two[..], [Event::Finished { .. }, Event::Closed { end: End::Failed(Failure::Reset), .. }]),
        "{two:?}"
    );
    assert_eq!(world.hosts[0].unread(), 0);
    // One that nobody has heard of leaves without a word.
    let now = world.now;
    let id = world.hosts[0].connect(now, Hosts::path(1)).unwrap();
    world.hosts[0].detach(now, id);
    assert!(world.hosts[0].is_empty());
}

#[test]
fn while_too_many_are_not_given_back_strangers_are_refused() {
    let (mut world, _) = Hosts::new(&Config::default().max_conversations(1));
    let mut told = Vec::new();
    for seed in 0..100 {
        // Each speaks, is heard, and is then ended by the next one's address being the same.
        let mut stranger =
            Conversations::new(Config::client(), ChannelConfig::default(), &Seed::from_u64(seed));
        let id = stranger.connect(world.now, Hosts::path(1)).unwrap();
        stranger.send(id, Bytes::from_static(b"hello")).unwrap();
        let mut out = BytesMut::new();
        stranger.poll_transmit(world.now, &mut out);
        let _ = world.hosts[1].handle_datagram(world.now, Hosts::path(9), out);
        while let Some(event) = world.hosts[1].poll_event(world.now) {
            told.push(event);
        }
        // The idle time-out ends it; nobody gives it back.
        world.now += Duration::from_secs(200);
        let now = world.now;
        world.hosts[1].handle_timeout(now);
        while let Some(event) = world.hosts[1].poll_event(now) {
            told.push(event);
        }
    }
    let opened = told.iter().filter(|event| matches!(event, Event::Opened { .. })).count();
    assert_eq!(opened, 64, "what a conversation each and an eighth comes to");
}

//! The hub: who hears what, and what the connection is asked for.

use alloc::format;
use alloc::string::String;
use alloc::vec;

use bytes::BytesMut;

use super::*;
use crate::wire::{Decoder, Limits};

fn push(parts: &[&str]) -> Reply {
    let mut text = format!(">{}\r\n", parts.len());
    for part in parts {
        let bulk = format!("${}\r\n{part}\r\n", part.len());
        text.push_str(&bulk);
    }
    let reply = Decoder::new(Limits::default()).decode(&mut BytesMut::from(text.as_bytes()));
    reply.expect("valid").expect("whole")
}

/// The words of the next command.
fn asked(hub: &mut SubscriptionHub) -> String {
    let Some(asked) = hub.poll_command() else { return String::new() };
    let text = asked.command.to_vec();
    let words = text
        .split(|byte| *byte == b'\n')
        .skip(2)
        .step_by(2)
        .map(|word| String::from_utf8_lossy(word).trim().into());
    words.collect::<Vec<String>>().join(" ")
}

fn payloads(hub: &mut SubscriptionHub, id: ListenerId) -> Vec<String> {
    let mut heard = Vec::new();
    while let Some(event) = hub.poll_event(id) {
        heard.push(match event {
            HubEvent::Message { payload, .. } => String::from_utf8_lossy(&payload).into(),
            HubEvent::Lagged(count) => format!("lost {count}"),
            other => format!("{other:?}"),
        });
    }
    assert!(!hub.has_event(id));
    heard
}

#[test]
fn names_are_counted() {
    let mut hub = SubscriptionHub::new(HubConfig::default());
    let (ann, bob) = (hub.listen(), hub.listen());
    hub.subscribe(ann, Scope::Channel, "a");
    assert_eq!(asked(&mut hub), "", "there is no connection");
    hub.connected();
    hub.subscribe(bob, Scope::Channel, "b");
    hub.subscribe(bob, Scope::Channel, "a");
    hub.subscribe(bob, Scope::Pattern, "a*");
    hub.subscribe(bob, Scope::Shard, "s");
    assert_eq!(asked(&mut hub), "SUBSCRIBE a b");
    assert_eq!(asked(&mut hub), "PSUBSCRIBE a*");
    assert_eq!(asked(&mut hub), "SSUBSCRIBE s");
    assert_eq!(asked(&mut hub), "");
    hub.unsubscribe(ann, Scope::Channel, "a");
    hub.unsubscribe(ann, Scope::Channel, "never");
    assert_eq!(asked(&mut hub), "");
    hub.forget(bob);
    assert_eq!(asked(&mut hub), "UNSUBSCRIBE a b");
    assert_eq!(asked(&mut hub), "PUNSUBSCRIBE a*");
    assert_eq!(asked(&mut hub), "SUNSUBSCRIBE s");
    assert!(hub.names.is_empty() && hub.changed.is_empty());
}

#[test]
fn a_change_of_mind_costs_nothing() {
    let mut hub = SubscriptionHub::new(HubConfig::default());
    hub.connected();
    let ann = hub.listen();
    hub.subscribe(ann, Scope::Channel, "a");
    hub.unsubscribe(ann, Scope::Channel, "a");
    assert_eq!(asked(&mut hub), "");
    assert!(hub.names.is_empty());
}

#[test]
fn messages_go_to_who_listens() {
    let mut hub = SubscriptionHub::new(HubConfig::default());
    hub.connected();
    let (ann, bob) = (hub.listen(), hub.listen());
    hub.subscribe(ann, Scope::Channel, "a");
    hub.subscribe(bob, Scope::Pattern, "a*");
    assert!(hub.handle_push(&push(&["message", "a", "one"])));
    assert!(hub.handle_push(&push(&["pmessage", "a*", "a", "two"])));
    assert!(hub.handle_push(&push(&["message", "other", "three"])));
    assert!(!hub.handle_push(&push(&["invalidate", "x"])));
    assert_eq!((payloads(&mut hub, ann), payloads(&mut hub, bob)), (vec!["one".into()], vec!["two".into()]));
}

#[test]
fn after_a_break_everything_is_asked_for_again_and_the_gap_is_told() {
    let mut hub = SubscriptionHub::new(HubConfig::default());
    hub.connected();
    let (ann, bob) = (hub.listen(), hub.listen());
    hub.subscribe(ann, Scope::Channel, "a");
    asked(&mut hub);
    hub.handle_push(&push(&["message", "a", "one"]));
    hub.disconnected();
    hub.subscribe(bob, Scope::Channel, "b");
    assert_eq!(asked(&mut hub), "");
    hub.connected();
    assert_eq!(asked(&mut hub), "SUBSCRIBE a b");
    hub.handle_push(&push(&["message", "a", "two"]));
    assert_eq!(payloads(&mut hub, ann), ["one", "Gap", "two"]);
    assert_eq!(payloads(&mut hub, bob), Vec::<String>::new());
}

#[test]
fn slow_listeners_lose_by_rule() {
    for (overflow, expected) in [
        (Overflow::DropOldest, vec!["lost 2", "3", "4"]),
        (Overflow::DropNewest, vec!["1", "2", "lost 2"]),
        (Overflow::Close, vec!["1", "2", "Closed"]),
    ] {
        let mut hub = SubscriptionHub::new(HubConfig::default().max_queued_messages(2).overflow(overflow));
        hub.connected();
        let ann = hub.listen();
        hub.subscribe(ann, Scope::Channel, "a");
        asked(&mut hub);
        for payload in ["1", "2", "3", "4"] {
            hub.handle_push(&push(&["message", "a", payload]));
        }
        assert_eq!(payloads(&mut hub, ann), expected);
        assert_eq!(asked(&mut hub), if overflow == Overflow::Close { "UNSUBSCRIBE a" } else { "" });
    }
}

#[test]
fn bytes_are_bounded_too() {
    let mut hub = SubscriptionHub::new(HubConfig::default().max_queued_bytes(1024));
    hub.connected();
    let ann = hub.listen();
    hub.subscribe(ann, Scope::Channel, "a");
    let long = "x".repeat(5000);
    hub.handle_push(&push(&["message", "a", "short"]));
    hub.handle_push(&push(&["message", "a", &long]));
    assert_eq!(payloads(&mut hub, ann), ["lost 1".into(), long]);
}

#[test]
fn refusals_reach_who_wanted_it() {
    let mut hub = SubscriptionHub::new(HubConfig::default());
    hub.connected();
    let ann = hub.listen();
    hub.subscribe(ann, Scope::Channel, "a");
    let command = hub.poll_command().expect("somebody listens");
    hub.handle_refusal(&command, &ServerError::new("NOPERM no"));
    assert!(matches!(hub.poll_event(ann), Some(HubEvent::Refused { error, .. }) if error.code() == "NOPERM"));
    hub.connected();
    assert_eq!(asked(&mut hub), "");
}

#[test]
fn many_names_go_out_in_several_commands() {
    let mut hub = SubscriptionHub::new(HubConfig::default());
    hub.connected();
    let ann = hub.listen();
    for name in 0..250 {
        hub.subscribe(ann, Scope::Channel, format!("{name}"));
    }
    let counts: Vec<usize> =
        core::iter::from_fn(|| hub.poll_command()).map(|asked| asked.names.len()).collect();
    assert_eq!(counts, [100, 100, 50]);
}

#[test]
fn many_breaks_leave_no_more_gaps_than_messages() {
    let mut hub = SubscriptionHub::new(HubConfig::default().max_queued_messages(2));
    let ann = hub.listen();
    hub.subscribe(ann, Scope::Channel, "a");
    for _ in 0..100 {
        hub.connected();
        asked(&mut hub);
        hub.handle_push(&push(&["message", "a", "x"]));
    }
    assert!(hub.listeners[&ann].queue.len() <= 5);
}

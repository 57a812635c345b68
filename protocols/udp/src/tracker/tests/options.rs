//! What is off by default: cookies, amplification, rates, scopes, ids.

use super::*;

#[test]
fn an_unproven_address_is_sent_three_times_what_it_sent() {
    let mut tracker = track(Config::default().amplification(Some(3)));
    hand_in(&mut tracker, 0, 1, &[0; 100]).unwrap();
    let id = opened(&mut tracker, 0);
    tracker.send(id, Bytes::from(vec![0; 200])).unwrap();
    tracker.send(id, Bytes::from(vec![0; 100])).unwrap();
    let one = Bytes::from_static(b"x");
    assert_eq!(tracker.send(id, one.clone()), Err(SendError::NotProven(one.clone())));
    assert_eq!(tracker.send(id, Bytes::new()), Err(SendError::NotProven(Bytes::new())));
    hand_in(&mut tracker, 0, 1, b"1").unwrap();
    tracker.send(id, Bytes::from_static(b"123")).unwrap();
    assert!(tracker.send(id, one.clone()).is_err());
    tracker.prove(id);
    tracker.send(id, Bytes::from(vec![0; 60_000])).unwrap();
    // Addresses that we chose need no proof.
    let ours = tracker.connect(at(0), peer(2)).unwrap();
    tracker.send(ours, one).unwrap();
}

#[test]
fn a_peer_beyond_its_rate_is_dropped_and_others_are_not() {
    let mut tracker = track(Config::default().rate_limit(Some(RateLimit::new(10, 5))));
    let taken = (0..20).filter(|_| hand_in(&mut tracker, 0, 1, b"a").is_ok()).count();
    assert_eq!(taken, 5);
    assert_eq!(hand_in(&mut tracker, 0, 1, b"a"), Err(DatagramError::RateLimited));
    hand_in(&mut tracker, 0, 2, b"b").unwrap();
    hand_in(&mut tracker, 1, 1, b"c").unwrap();
    let one = tracker.find(Scope::NONE, &peer(1)).unwrap();
    assert_eq!(tracker.totals(one).unwrap().dropped, 16);
    assert_eq!(tracker.counters().dropped_rate, 16);
}

#[test]
fn the_same_address_in_two_scopes_is_two_peers() {
    let mut tracker = track(Config::default());
    for (scope, payload) in [(0, "none"), (7, "seven"), (8, "eight")] {
        tracker.handle_datagram_in(at(0), Scope(scope), peer(1), BytesMut::from(payload)).unwrap();
    }
    let ids: Vec<_> = [0, 7, 8].iter().map(|&scope| tracker.find(Scope(scope), &peer(1)).unwrap()).collect();
    for &id in &ids {
        let scope = tracker.scope(id).unwrap();
        tracker.send(id, Bytes::from(format!("to {}", scope.0))).unwrap();
    }
    let mut out = BytesMut::new();
    let scopes: Vec<_> =
        iter::from_fn(|| tracker.poll_transmit_in(at(0), &mut out)).map(|(scope, _)| scope.0).collect();
    assert_eq!((scopes, &out[..]), (vec![0, 7, 8], &b"to 0to 7to 8"[..]));
}

#[test]
fn ids_survive_a_change_of_address_and_the_new_one_is_unproven() {
    let identify = |payload: &[u8]| payload.get(..2).and_then(ConversationKey::new);
    let mut tracker = track(Config::default().identify(identify).amplification(Some(3)));
    hand_in(&mut tracker, 0, 1, b"AAhello").unwrap();
    let id = opened(&mut tracker, 0);
    tracker.prove(id);
    told(&mut tracker, 0);
    hand_in(&mut tracker, 1, 2, b"AAmoved").unwrap();
    assert_eq!(told(&mut tracker, 1), ["moved 0.0.0.2", "message AAmoved"]);
    assert_eq!(tracker.path(id), Some(peer(2)));
    assert!(!tracker.is_proven(id));
    tracker.send(id, Bytes::from(vec![0; 21])).unwrap();
    assert!(tracker.send(id, Bytes::from(vec![0; 1])).is_err(), "three times what came from the new address");
    assert_eq!(sent(&mut tracker)[0].0, peer(2));
    // Without an id the address counts; the old one is a stranger's now.
    hand_in(&mut tracker, 1, 2, b"x").unwrap();
    assert_eq!(told(&mut tracker, 1), ["message x"]);
    hand_in(&mut tracker, 1, 1, b"y").unwrap();
    assert_eq!(told(&mut tracker, 1), ["opened 0.0.0.1", "message y"]);
    // Another id from a known address is another conversation.
    hand_in(&mut tracker, 1, 2, b"BBother").unwrap();
    assert_eq!(told(&mut tracker, 1), ["opened 0.0.0.2", "message BBother"]);
    // Ids given out by us work before they are used, and no longer than the conversation.
    tracker.bind(id, ConversationKey::new(b"CC").unwrap()).unwrap();
    assert_eq!(tracker.bind(id, ConversationKey::new(b"BB").unwrap()), Err(BindError::Taken));
    hand_in(&mut tracker, 2, 3, b"CCagain").unwrap();
    assert_eq!(told(&mut tracker, 2), ["moved 0.0.0.3", "message CCagain"]);
    assert!(tracker.unbind(id, &ConversationKey::new(b"CC").unwrap()));
    assert!(!tracker.unbind(id, &ConversationKey::new(b"CC").unwrap()));
    tracker.close_conversation(at(2), id);
    assert_eq!(told(&mut tracker, 2), ["closed: closed by us"]);
    assert_eq!(tracker.bind(id, ConversationKey::new(b"CC").unwrap()), Err(BindError::Closed));
    hand_in(&mut tracker, 2, 3, b"AAnew").unwrap();
    assert_ne!(opened(&mut tracker, 2), id);
    assert_eq!(tracker.counters().moved, 2);
}

#[test]
fn a_conversation_of_ours_takes_the_first_id_it_hears_and_ids_are_bounded() {
    let identify = |payload: &[u8]| payload.get(..2).and_then(ConversationKey::new);
    let mut tracker = track(Config::default().identify(identify));
    let id = tracker.connect(at(0), peer(1)).unwrap();
    hand_in(&mut tracker, 0, 1, b"AA1").unwrap();
    hand_in(&mut tracker, 0, 2, b"AA2").unwrap();
    assert_eq!(told(&mut tracker, 0), ["moved 0.0.0.2", "message AA1", "message AA2"]);
    let bind = |tracker: &mut Tracker, i: u8| tracker.bind(id, ConversationKey::new(&[i]).unwrap());
    assert!((0..7).all(|i| bind(&mut tracker, i).is_ok()));
    assert_eq!(bind(&mut tracker, 6), Ok(()), "again is no other");
    assert_eq!(bind(&mut tracker, 7), Err(BindError::TooMany));
}

/// Passes everything one tracker wants sent to the other, which sees it come from `from`.
fn pass(from: &mut Tracker, to: &mut Tracker, seen_as: Path, now: u64) -> Vec<Result<(), DatagramError>> {
    sent(from)
        .into_iter()
        .map(|(_, payload)| to.handle_datagram(at(now), seen_as, BytesMut::from(&payload[..])))
        .collect()
}

#[test]
fn a_cookie_comes_before_any_state_and_costs_the_application_nothing() {
    let config = || Config::default().retry(Some(Duration::from_secs(10)));
    let (mut client, mut server) = (track(config().accept(Accept::Nobody)), track(config()));
    let (us, them) = (peer(1), peer(2));
    let id = client.connect(at(0), them).unwrap();
    client.send(id, Bytes::from_static(b"hello")).unwrap();
    assert_eq!(pass(&mut client, &mut server, us, 0), [Err(DatagramError::NotProven)]);
    assert_eq!((server.slab.used(), server.counters().retries), (0, 1));
    assert_eq!(pass(&mut server, &mut client, them, 0), [Ok(())]);
    // The client says again what the server threw away.
    assert_eq!(pass(&mut client, &mut server, us, 0), [Ok(())]);
    let theirs = opened(&mut server, 0);
    assert!(server.is_proven(theirs));
    assert_eq!(told(&mut server, 0), ["message hello"]);
    // Until the client hears of the server it goes on with the cookie; afterwards payloads go bare.
    client.send(id, Bytes::from_static(b"more")).unwrap();
    assert_eq!(pass(&mut client, &mut server, us, 0), [Ok(())]);
    server.send(theirs, Bytes::from_static(b"hi")).unwrap();
    assert_eq!(pass(&mut server, &mut client, them, 0), [Ok(())]);
    assert_eq!(told(&mut client, 0), ["message hi"]);
    client.send(id, Bytes::from_static(b"bare")).unwrap();
    assert_eq!(client.output[0].append_len(), 4);
    assert_eq!(pass(&mut client, &mut server, us, 0), [Ok(())]);
    assert_eq!(told(&mut server, 0), ["message more", "message bare"]);
    // A payload that looks like a frame comes through as it is.
    let tricky = Bytes::copy_from_slice(&crate::cookie::frame::retry([9; 16]));
    client.send(id, tricky.clone()).unwrap();
    server.send(theirs, tricky.clone()).unwrap();
    assert_eq!(pass(&mut client, &mut server, us, 0), [Ok(())]);
    assert_eq!(pass(&mut server, &mut client, them, 0), [Ok(())]);
    let expected = format!("message {}", tricky.escape_ascii());
    assert_eq!((told(&mut client, 0), told(&mut server, 0)), (vec![expected.clone()], vec![expected]));
}

#[test]
fn cookies_of_others_old_ones_and_forged_retries_open_nothing() {
    let config = || Config::default().retry(Some(Duration::from_secs(10)));
    let (mut client, mut server) = (track(config()), track(config()));
    let id = client.connect(at(0), peer(2)).unwrap();
    client.send(id, Bytes::from_static(b"hello")).unwrap();
    pass(&mut client, &mut server, peer(1), 0);
    pass(&mut server, &mut client, peer(2), 0);
    let with_cookie = sent(&mut client).remove(0).1;
    let mut bring = |from, now| server.handle_datagram(at(now), peer(from), BytesMut::from(&with_cookie[..]));
    assert_eq!(bring(3, 0), Err(DatagramError::NotProven), "stolen");
    assert_eq!(bring(1, 20), Err(DatagramError::NotProven), "old");
    assert_eq!(bring(1, 19), Ok(()));
    // A retry for nobody, and a broken one.
    let retry = crate::cookie::frame::retry([1; 16]);
    assert_eq!(hand_in(&mut server, 0, 9, &retry), Err(DatagramError::Malformed));
    assert_eq!(hand_in(&mut server, 0, 9, &retry[..20]), Err(DatagramError::Malformed));
    assert_eq!(server.counters().malformed, 2);
    // A stranger too short for an answer gets none; all strangers together get a quarter of the output.
    sent(&mut server);
    assert_eq!(hand_in(&mut server, 0, 9, b"1234567"), Err(DatagramError::NotProven));
    assert_eq!(server.queued(), 0);
    for number in 100..10_000 {
        assert!(hand_in(&mut server, 0, number, b"12345678").is_err());
    }
    assert_eq!((server.queued(), server.slab.used()), (256, 1));
    assert_eq!(sent(&mut server).len(), 256);
}

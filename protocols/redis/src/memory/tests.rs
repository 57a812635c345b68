//! The server in memory, told by hand what to do.

use alloc::vec::Vec;
use core::time::Duration;
use std::string::String;

use bytes::BytesMut;
use glowplug_core::{SendBuf, StreamProtocol};

use super::*;

struct Client {
    connection: Connection,
    input: BytesMut,
}

impl Client {
    fn new(server: &Handle) -> Self {
        Self { connection: Connection::new(Instant::ZERO, server), input: BytesMut::new() }
    }

    fn at(&mut self, now: Instant, lines: &str) -> String {
        for line in lines.split('\n').filter(|line| !line.trim().is_empty()) {
            self.input.extend_from_slice(line.trim().as_bytes());
            self.input.extend_from_slice(b"\r\n");
        }
        let mut all = Vec::new();
        loop {
            assert_eq!(self.connection.poll_event(now, &mut self.input), Ok(None));
            let mut out = SendBuf::new();
            self.connection.poll_transmit(now, &mut out);
            if out.is_empty() {
                return String::from_utf8(all).expect("text").replace("\r\n", " ");
            }
            all.extend_from_slice(&out.take_all());
        }
    }

    fn says(&mut self, lines: &str) -> String {
        self.at(Instant::ZERO, lines)
    }
}

#[test]
fn keys_end_when_their_time_has_come() {
    let server = Handle::new(Config::new());
    let mut client = Client::new(&server);
    let second = Duration::from_secs(1);
    assert_eq!(
        client.says("SET k v EX 10\nTTL k\nEXPIRETIME k\nSET k v KEEPTTL\nPTTL k"),
        "+OK :10 :1767225610 +OK :10000 "
    );
    assert_eq!(client.at(Instant::ZERO + second * 9, "GET k\nDBSIZE"), "$1 v :1 ");
    assert_eq!(client.at(Instant::ZERO + second * 10, "GET k\nDBSIZE\nTTL k"), "$-1 :0 :-2 ");
    assert_eq!(
        client.says("SET k v\nEXPIRE k 5 XX\nEXPIRE k 5\nEXPIRE k 4 GT\nEXPIRE k 6 GT\nPERSIST k\nTTL k"),
        "+OK :0 :1 :0 :1 :1 :-1 "
    );
    assert_eq!(client.says("EXPIREAT k 5\nEXISTS k"), ":1 :0 ");
}

#[test]
fn a_transaction_is_one_step_unless_what_is_watched_has_changed() {
    let server = Handle::new(Config::new());
    let (mut one, mut other) = (Client::new(&server), Client::new(&server));
    assert_eq!(one.says("WATCH k\nMULTI\nINCR k\nLPUSH k x\nGET k"), "+OK +OK +QUEUED +QUEUED +QUEUED ");
    assert_eq!(
        one.says("EXEC"),
        "*3 :1 -WRONGTYPE Operation against a key holding the wrong kind of value $1 1 "
    );
    assert_eq!(one.says("WATCH k\nMULTI\nINCR k"), "+OK +OK +QUEUED ");
    assert_eq!(other.says("SET k 10"), "+OK ");
    assert_eq!(one.says("EXEC\nGET k"), "*-1 $2 10 ");
    assert_eq!(one.says("MULTI\nNONSENSE\nEXEC").matches("EXECABORT").count(), 1);
    assert_eq!(
        one.says("EXEC\nDISCARD\nMULTI\nMULTI\nDISCARD"),
        "-ERR EXEC without MULTI -ERR DISCARD without MULTI +OK -ERR MULTI calls can not be nested +OK "
    );
}

#[test]
fn pops_wait_in_turn_and_not_for_ever() {
    let server = Handle::new(Config::new());
    let (mut one, mut two, mut pusher) = (Client::new(&server), Client::new(&server), Client::new(&server));
    assert_eq!(one.says("BLPOP q 0\nPING"), "");
    assert_eq!(two.says("BRPOP other q 5"), "");
    assert_eq!(two.connection.poll_timeout(), Some(Instant::ZERO + Duration::from_millis(2)));
    assert_eq!(pusher.says("RPUSH q a"), ":1 ");
    assert_eq!(one.says(""), "*2 $1 q $1 a +PONG ");
    assert_eq!(two.says(""), "");
    assert_eq!(two.at(Instant::ZERO + Duration::from_secs(5), "PING"), "*-1 +PONG ");
    assert_eq!(one.says("BLPOP q -1\nBLPOP q x").matches("-ERR timeout is").count(), 2);
    assert_eq!(one.says("MULTI\nBLPOP q 0\nEXEC"), "+OK +QUEUED *1 *-1 ");
    assert_eq!(two.says("BRPOPLPUSH q r 0"), "");
    assert_eq!(pusher.says("SET q x\nDEL q\nLPUSH q 1 2\nLRANGE q 0 -1"), "+OK :1 :2 *1 $1 2 ");
    assert_eq!(two.says("LRANGE r 0 -1"), "$1 1 *1 $1 1 ");
}

#[test]
fn a_client_that_hangs_up_while_it_waits_is_forgotten() {
    let server = Handle::new(Config::new());
    let (mut one, mut pusher) = (Client::new(&server), Client::new(&server));
    assert_eq!(one.says("BLPOP q 0"), "");
    one.connection.handle_eof(Instant::ZERO);
    assert_eq!(one.says(""), "");
    assert!(one.connection.interest().is_closed());
    assert_eq!(pusher.says("RPUSH q a\nLLEN q"), ":1 :1 ");
    drop(one);
    assert_eq!(server.with(|server| server.sessions.len()), 1);
}

#[test]
fn messages_reach_who_listens() {
    let server = Handle::new(Config::new());
    let (mut listener, mut speaker) = (Client::new(&server), Client::new(&server));
    assert_eq!(
        listener.says("SUBSCRIBE a\nPSUBSCRIBE a*\nGET k").matches("-ERR Can't execute 'get'").count(),
        1
    );
    assert_eq!(
        speaker.says("PUBLISH a hi\nPUBSUB CHANNELS\nPUBSUB NUMPAT\nPUBSUB NUMSUB a b"),
        ":2 *1 $1 a :1 *4 $1 a :1 $1 b :0 "
    );
    assert_eq!(
        listener.says("PING"),
        "*3 $7 message $1 a $2 hi *4 $8 pmessage $2 a* $1 a $2 hi *2 $4 pong $0  "
    );
    assert_eq!(
        listener.says("UNSUBSCRIBE\nPUNSUBSCRIBE\nUNSUBSCRIBE\nPING"),
        "*3 $11 unsubscribe $1 a :1 *3 $12 punsubscribe $2 a* :0 *3 $11 unsubscribe $-1 :0 +PONG "
    );
}

#[test]
fn a_listener_that_never_reads_is_hung_up_on() {
    let server = Handle::new(Config::new().max_mailbox(4096));
    let (mut listener, mut speaker) = (Client::new(&server), Client::new(&server));
    listener.says("SUBSCRIBE a");
    for _ in 0..100 {
        speaker.says("PUBLISH a hi");
    }
    listener.says("");
    assert!(listener.connection.interest().is_closed());
}

#[test]
fn versions_passwords_and_names() {
    let server = Handle::new(Config::new().password("pw"));
    let mut client = Client::new(&server);
    assert_eq!(client.says("GET k\nAUTH x\nHELLO 3").matches("NOAUTH").count(), 2);
    assert!(client.says("HELLO 3 AUTH default pw SETNAME me").starts_with("%7 $6 server $5 redis "));
    assert_eq!(
        client.says("GET k\nCLIENT GETNAME\nHGETALL h\nSMEMBERS s\nSELECT 99"),
        "_ $2 me %0 ~0 -ERR DB index is out of range "
    );
    assert_eq!(client.says("RESET\nPING"), "+RESET -NOAUTH Authentication required. ");
    assert_eq!(client.says("QUIT"), "+OK ");
    assert!(client.connection.interest().is_closed());
}

#[test]
fn there_is_an_end_to_connections_and_strings() {
    let server = Handle::new(Config::new().max_connections(1).max_string_len(1024));
    let mut client = Client::new(&server);
    let mut late = Client::new(&server);
    assert_eq!(late.says(""), "-ERR max number of clients reached ");
    assert!(late.connection.interest().is_closed());
    assert_eq!(
        client
            .says("SETRANGE k 1024 x\nSETBIT k 8192 1\nSETRANGE k 1000 x\nAPPEND k 012345678901234567890123")
            .matches("-ERR")
            .count(),
        3
    );
}

#[test]
fn both_ends_agree_in_both_versions() {
    use crate::wire::Protocol;
    use crate::{ClientConfig, ClientConnection, Event, FromReply, commands};
    use glowplug_core::{RequestProtocol, Token};

    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let now = Instant::ZERO;
        let server = Handle::new(Config::new());
        let mut end = Connection::new(now, &server);
        let mut client = ClientConnection::new(now, ClientConfig::new().protocol(protocol));
        client.submit(now, Token(1), commands::set("k", "v").into()).expect("room");
        client.submit(now, Token(2), commands::get("k").into()).expect("room");
        let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
        let mut answers = Vec::new();
        for _ in 0..10 {
            let mut out = SendBuf::new();
            client.poll_transmit(now, &mut out);
            up.extend_from_slice(&out.take_all());
            end.poll_event(now, &mut up).expect("valid");
            end.poll_transmit(now, &mut out);
            down.extend_from_slice(&out.take_all());
            while let Some(event) = client.poll_event(now, &mut down).expect("valid") {
                if let Event::Answer(answer) = event {
                    answers.push(answer.response);
                }
            }
        }
        assert_eq!(client.protocol(), protocol);
        assert_eq!(Option::<String>::from_reply(answers.remove(1)), Ok(Some("v".into())));
    }
}

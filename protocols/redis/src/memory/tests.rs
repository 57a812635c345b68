//! The server in memory, told by hand what to do.

use alloc::format;
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

#[test]
fn who_reads_with_tracking_on_is_told_of_changes() {
    let server = Handle::new(Config::new());
    let (mut reader, mut writer) = (Client::new(&server), Client::new(&server));
    reader.says("HELLO 3");
    assert_eq!(reader.says("CLIENT TRACKING ON\nGET k\nGET l"), "+OK _ _ ");
    assert_eq!(writer.says("SET k 1\nSET k 2\nSET other 1"), "+OK +OK +OK ");
    // Once, until it is read again.
    assert_eq!(reader.says(""), ">2 $10 invalidate *1 $1 k ");
    assert_eq!(reader.says("CLIENT TRACKING ON BCAST").matches("You can't switch BCAST").count(), 1);
    // What was read is forgotten with it.
    assert_eq!(reader.says("GET k\nCLIENT TRACKING OFF\nCLIENT GETREDIR"), "$1 2 +OK :-1 ");
    writer.says("SET k 3");
    assert_eq!(reader.says("CLIENT TRACKING ON NOLOOP\nGET k\nSET k 4"), "+OK $1 3 +OK ");
}

#[test]
fn what_is_remembered_for_readers_has_an_end() {
    let server = Handle::new(Config::new().max_tracked_keys(3));
    let mut reader = Client::new(&server);
    reader.says("HELLO 3\nCLIENT TRACKING ON");
    // Whoever read the key that gives way is told that it has changed: it would not hear of it when it does.
    assert_eq!(reader.says("GET a\nGET b\nGET c\nGET d"), "_ _ _ >2 $10 invalidate *1 $1 a _ ");
    assert_eq!(server.with(|server| server.tracked.len()), 3);
    let mut writer = Client::new(&server);
    writer.says("MSET a 1 b 1 c 1 d 1");
    assert_eq!(reader.says("").matches("invalidate").count(), 3);
    drop(reader);
    assert_eq!(server.with(|server| server.tracked.len()), 0);
}

#[test]
fn readers_say_what_is_remembered() {
    let server = Handle::new(Config::new());
    let (mut reader, mut writer) = (Client::new(&server), Client::new(&server));
    reader.says("HELLO 3\nCLIENT TRACKING ON OPTIN");
    assert_eq!(reader.says("GET a\nCLIENT CACHING YES\nGET b\nGET c"), "_ +OK _ _ ");
    writer.says("MSET a 1 b 1 c 1");
    assert_eq!(reader.says(""), ">2 $10 invalidate *1 $1 b ");
    // A transaction is one command.
    reader.says("CLIENT CACHING YES\nMULTI\nGET a\nGET b\nEXEC\nGET c");
    writer.says("MSET a 1 b 1 c 1");
    assert_eq!(reader.says("").matches("invalidate").count(), 2);
    assert_eq!(reader.says("CLIENT CACHING NO").matches("-ERR CLIENT CACHING NO is only").count(), 1);
    assert_eq!(reader.says("CLIENT CACHING YES\nCLIENT TRACKINGINFO").matches("caching-yes").count(), 1);
    assert_eq!(reader.says("CLIENT TRACKING ON OPTOUT").matches("can't switch OPTIN/OPTOUT").count(), 1);
    reader.says("CLIENT TRACKING OFF\nCLIENT TRACKING ON OPTOUT");
    assert_eq!(reader.says("CLIENT CACHING NO\nGET a\nGET b"), "+OK $1 1 $1 1 ");
    writer.says("MSET a 1 b 1");
    assert_eq!(reader.says(""), ">2 $10 invalidate *1 $1 b ");
    for (wrong, why) in [
        ("CLIENT TRACKING ON OPTIN OPTOUT", "both OPTIN mode and OPTOUT"),
        ("CLIENT TRACKING ON OPTIN BCAST", "not compatible with BCAST"),
        ("CLIENT TRACKING ON REDIRECT 99", "does not exist"),
        ("CLIENT TRACKING ON PREFIX a", "requires BCAST"),
        ("CLIENT TRACKING ON NONSENSE", "syntax error"),
        ("CLIENT CACHING MAYBE", "syntax error"),
    ] {
        assert_eq!(reader.says(wrong).matches(why).count(), 1, "{wrong}");
    }
    assert_eq!(writer.says("CLIENT CACHING YES").matches("in tracking mode with OPTIN").count(), 1);
}

/// The way of RESP2: one connection reads, another listens.
#[test]
fn another_connection_is_told_instead() {
    let server = Handle::new(Config::new());
    let (mut reader, mut writer, mut listener) =
        (Client::new(&server), Client::new(&server), Client::new(&server));
    assert_eq!(listener.says("CLIENT ID"), ":3 ");
    // Without anybody who listens, nobody can be told in RESP2.
    assert_eq!(reader.says("CLIENT TRACKING ON\nGET k"), "+OK $-1 ");
    writer.says("SET k 1");
    assert_eq!(reader.says("CLIENT TRACKING ON REDIRECT 3\nCLIENT GETREDIR\nGET k"), "+OK :3 $1 1 ");
    listener.says("SUBSCRIBE __redis__:invalidate");
    writer.says("SET k 2");
    assert_eq!(listener.says(""), "*3 $7 message $20 __redis__:invalidate *1 $1 k ");
    assert_eq!(reader.says(""), "");
    // One that speaks RESP3 hears it as it would of its own.
    let mut other = Client::new(&server);
    other.says("HELLO 3");
    assert_eq!(reader.says("CLIENT TRACKING ON REDIRECT 4\nGET k"), "+OK $1 2 ");
    // From its next command on it looks by itself.
    other.says("PING");
    assert!(other.connection.poll_timeout().is_some_and(|at| at <= Instant::ZERO + Duration::from_millis(2)));
    writer.says("SET k 3");
    assert_eq!(other.says(""), ">2 $10 invalidate *1 $1 k ");
    drop(other);
    reader.says("HELLO 3\nGET k");
    writer.says("SET k 4");
    assert_eq!(reader.says(""), ">2 $21 tracking-redir-broken :4 ");
    assert_eq!(reader.says("CLIENT TRACKINGINFO").matches("broken_redirect").count(), 1);
}

#[test]
fn groups_of_a_stream_are_made_moved_and_ended() {
    let server = Handle::new(Config::new());
    let mut client = Client::new(&server);
    assert_eq!(client.says("XGROUP CREATE s g $").matches("requires the key to exist").count(), 1);
    assert_eq!(client.says("XGROUP CREATE s g $ ENTRIESREAD 0 MKSTREAM\nXADD s 1-1 a b"), "+OK $3 1-1 ");
    assert_eq!(client.says("XGROUP CREATE s g $").matches("-BUSYGROUP").count(), 1);
    assert_eq!(client.says("XGROUP CREATECONSUMER s g c\nXGROUP CREATECONSUMER s g c"), ":1 :0 ");
    let entry = "*1 *2 $1 s *1 *2 $3 1-1 *2 $1 a $1 b ";
    assert_eq!(
        client.says("XREADGROUP GROUP g c STREAMS s >\nXREADGROUP GROUP g c STREAMS s >"),
        format!("{entry}*-1 ")
    );
    assert_eq!(
        client.says("XGROUP SETID s g 0 ENTRIESREAD -1\nXREADGROUP GROUP g d STREAMS s >"),
        format!("+OK {entry}")
    );
    assert_eq!(client.says("XGROUP SETID s g $\nXREADGROUP GROUP g d STREAMS s >"), "+OK *-1 ");
    assert_eq!(
        client.says("XGROUP DELCONSUMER s g d\nXGROUP DELCONSUMER s g d\nXPENDING s g"),
        ":1 :0 *4 :0 $-1 $-1 *-1 "
    );
    assert_eq!(client.says("XGROUP SETID s none $").matches("-NOGROUP").count(), 1);
    assert_eq!(
        client.says("XGROUP SETID s g 0 ENTRIESREAD -2\nXGROUP SETID s g 0 MKSTREAM").matches("-ERR").count(),
        2
    );
    assert_eq!(
        client.says("XGROUP DESTROY s g\nXGROUP DESTROY s g\nXGROUP HELP"),
        ":1 :0 -ERR unknown subcommand 'HELP'. Try XGROUP HELP. "
    );
}

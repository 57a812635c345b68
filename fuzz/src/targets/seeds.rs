//! The first inputs of each target, written by our own encoders. `cargo run -- --seeds` puts them into `corpora/`.

use bytes::{Bytes, BytesMut};
use glowplug_core::{SendBuf, StreamProtocol};
use glowplug_dns::{Incoming, Rdata, Record, Response, ResponseConfig};

use super::super::laws::{START, Subject};
use super::super::log::Log;
use super::super::script::{Script, Step};
use super::{dns, mongodb, riak, websocket};

const REPLIES: &[&[u8]] = &[
    b"+OK\r\n:1\r\n$3\r\nfoo\r\n$-1\r\n*-1\r\n-ERR no\r\n",
    b"*3\r\n:1\r\n*2\r\n$1\r\na\r\n_\r\n%1\r\n+k\r\n,1.5\r\n",
    b"%2\r\n+server\r\n+redis\r\n+proto\r\n:3\r\n+OK\r\n+OK\r\n$1\r\nv\r\n:2\r\n+PONG\r\n",
    b"~2\r\n#t\r\n#f\r\n=7\r\ntxt:abc\r\n(12345678901234567890\r\n,inf\r\n,nan\r\n|1\r\n+a\r\n:1\r\n+x\r\n",
    b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n!5\r\nERR x\r\n",
    b"$?\r\n;4\r\nabcd\r\n;0\r\n*?\r\n:1\r\n.\r\n",
];

const COMMANDS: &[&[u8]] = &[
    b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n*1\r\n$4\r\nPING\r\n",
    b"PING\r\nSET key \"a b\"\r\nGET key\r\nHELLO 3\r\n",
    b"MULTI\r\nRPUSH l a b c\r\nLRANGE l 0 -1\r\nEXEC\r\nBLPOP m 0\r\nPING\r\n",
    b"SET k v EX 5\r\nSETRANGE k 10 x\r\nINCRBYFLOAT f 1.5\r\nZADD z 1 a 2 b\r\nZRANGE z 0 -1 WITHSCORES\r\n",
    b"SUBSCRIBE a\r\nPUBLISH a b\r\nUNSUBSCRIBE\r\nHSET h f v\r\nHGETALL h\r\nSORT l BY * DESC\r\nSCAN 0 MATCH *\r\n",
];

const REQUESTS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    b"POST /a?b=c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.0\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0\r\nT: u\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nrest",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    b"GET http://a/b HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
];

const RESPONSES: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nT: u\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nuntil the end",
];

/// Every target's first inputs.
pub fn all() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let plain = |inputs: &[&[u8]]| inputs.iter().map(|input| input.to_vec()).collect::<Vec<_>>();
    let (dns_peer, dns_queries) = dns_peers();
    let (mongodb_replies, mongodb_requests) = exchange::<mongodb::Client, mongodb::Server>(4, &[1, 2, 3]);
    let (riak_replies, riak_requests) = exchange::<riak::Client, riak::Server>(0, &[1, 2, 3]);
    let (websocket_down, websocket_up) =
        exchange::<websocket::End<true>, websocket::End<false>>(0, &[1, 3, 5, 11, 2, 15]);
    let (websocket_deflated, websocket_deflated_up) =
        exchange::<websocket::End<true>, websocket::End<false>>(1, &[1, 2, 3, 5, 11]);
    let bson = glowplug_mongodb::doc! { "a": 1, "b": "text", "c": [1.5, true], "d": { "e": 7_i64 } };
    let answer = |stream: &[u8]| stream.get(2..).unwrap_or_default().to_vec();
    vec![
        ("conn_dns_client", scripts(0, &[1, 2], &[&dns_peer])),
        ("conn_http_client", [1, 3, 5].iter().flat_map(|act| scripts(0, &[*act, 6], RESPONSES)).collect()),
        ("conn_http_server", [scripts(0, &[], REQUESTS), scripts(64, &[1], REQUESTS)].concat()),
        ("conn_mongodb_client", scripts(4, &[1, 2, 3], &[&mongodb_replies])),
        ("conn_mongodb_server", scripts(0, &[], &[&mongodb_requests])),
        ("conn_redis_client", [scripts(0, &[1, 3], REPLIES), scripts(13, &[4, 5], REPLIES)].concat()),
        ("conn_redis_memory", scripts(0, &[], COMMANDS)),
        ("conn_redis_server", scripts(0, &[1], COMMANDS)),
        ("conn_riak_client", scripts(0, &[1, 2, 3], &[&riak_replies, b"\0\0\0\x01\x02\0\0\0\x01\x0a"])),
        ("conn_riak_server", scripts(0, &[], &[&riak_requests])),
        (
            "conn_websocket_client",
            [scripts(0, &[1, 3, 11], &[&websocket_down]), scripts(3, &[2], &[&websocket_deflated])].concat(),
        ),
        (
            "conn_websocket_server",
            [
                scripts(0, &[1, 3, 11], &[&websocket_up]),
                scripts(1, &[], &[&websocket_deflated_up]),
                scripts(2, &[5], &[&websocket_up]),
                scripts(3, &[15], &[&websocket_deflated_up]),
            ]
            .concat(),
        ),
        (
            "framer",
            plain(&[
                b"\x01\x03a\r\n.\r\nb",
                b"\x04\x02a\nb\r\nc",
                b"\x0d\x01\0\x02ab\0\0",
                b"\x18\x02abcdef",
            ]),
        ),
        (
            "udp_tracker",
            plain(&[
                b"\0\x08\x10\x07\x03\x0b\x0e\x07",
                b"\x2d\x02\x08\x03\x06\x0e\x04\x07",
                b"\x58\x01\x09\x11\x19\x21\x06",
            ]),
        ),
        (
            "wire_bson",
            vec![bson.as_bytes().to_vec(), br#"{"a":{"$numberLong":"1"},"b":[null,1.5]}"#.to_vec()],
        ),
        ("wire_dns", vec![answer(&dns_peer), answer(&dns_queries), b"www.ex\\097mple.org.".to_vec()]),
        ("wire_http_head", plain(REQUESTS)),
        (
            "wire_http_observer",
            plain(&[
                b"\0\x02HEAD / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                  2;x=y\r\nhi\r\n0\r\nT: u\r\n\r\n\0HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
                  HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                b"\x01\x05GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nabc\0\
                  HTTP/1.1 101 Switching Protocols\r\n\r\ndef",
                b"\0\x0cCONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\0\
                  HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\nHTTP/1.0 200 OK\r\n\r\nto the end",
            ]),
        ),
        ("wire_mongodb", vec![mongodb_replies, mongodb_requests]),
        ("wire_redis", [plain(REPLIES), plain(COMMANDS)].concat()),
        ("wire_riak", vec![riak_replies, riak_requests]),
        (
            "wire_websocket",
            vec![
                websocket_up,
                websocket_deflated_up,
                b"permessage-deflate; client_max_window_bits=\"10\"; server_no_context_takeover, foo"
                    .to_vec(),
            ],
        ),
    ]
}

/// The same bytes in one piece and in many, with a little time between.
fn scripts(choice: u8, acts: &[u8], peers: &[&[u8]]) -> Vec<Vec<u8>> {
    let acts = || acts.iter().map(|act| Step::Act(*act));
    let cut =
        [Step::Deliver(7), Step::Early, Step::Deliver(16), Step::Wait(1), Step::Deliver(3), Step::Wait(0)];
    let whole = peers.iter().map(|peer| Script::write(choice, &acts().collect::<Vec<_>>(), peer));
    let pieces = peers.iter().map(|peer| Script::write(choice, &acts().chain(cut).collect::<Vec<_>>(), peer));
    whole.chain(pieces).collect()
}

/// What a client and a server say to each other: the server's bytes, and the client's.
fn exchange<C: Subject, S: Subject>(choice: u8, acts: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut client, mut server) = (C::default(), S::default());
    let (mut near, mut far) = (client.machine(choice), server.machine(choice));
    let (mut to_near, mut to_far, mut log) = (BytesMut::new(), BytesMut::new(), Log::default());
    let (mut said, mut heard) = (Vec::new(), Vec::new());
    for act in acts {
        client.act(&mut near, START, *act);
    }
    for _ in 0..10 {
        let asked = turn(&mut client, &mut near, &mut to_near, &mut log);
        said.extend_from_slice(&asked);
        to_far.extend_from_slice(&asked);
        let answered = turn(&mut server, &mut far, &mut to_far, &mut log);
        heard.extend_from_slice(&answered);
        to_near.extend_from_slice(&answered);
    }
    (heard, said)
}

/// One round of the canonical loop: what goes out.
fn turn<S: Subject>(subject: &mut S, machine: &mut S::Machine, input: &mut BytesMut, log: &mut Log) -> Bytes {
    while let Ok(Some(event)) = machine.poll_event(START, input) {
        subject.told(machine, START, event, log);
    }
    let mut out = SendBuf::new();
    machine.poll_transmit(START, &mut out);
    out.take_all()
}

/// What a DNS server answers to the client's queries, and the queries.
fn dns_peers() -> (Vec<u8>, Vec<u8>) {
    let mut client = dns::Client::default();
    let mut machine = client.machine(0);
    client.act(&mut machine, START, 1);
    client.act(&mut machine, START, 2);
    let queries = turn(&mut client, &mut machine, &mut BytesMut::new(), &mut Log::default());
    let (mut answers, mut rest) = (BytesMut::new(), queries.clone());
    while rest.len() > 2 {
        let len = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        let query = rest.split_to(2 + len).slice(2..);
        let incoming =
            Incoming::read(query, glowplug_dns::resolver::Channel::Tcp, &ResponseConfig::default());
        let incoming = incoming.expect("our own query");
        let record = Record::new(incoming.name().clone(), 60, Rdata::a([192, 0, 2, 1].into()));
        let mut answer = BytesMut::new();
        incoming.respond(&Response { answers: vec![record], ..Response::default() }, &mut answer);
        answers.extend_from_slice(&(answer.len() as u16).to_be_bytes());
        answers.extend_from_slice(&answer);
    }
    (answers.to_vec(), queries.to_vec())
}

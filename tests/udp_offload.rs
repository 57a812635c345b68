//! What the system does for datagrams besides: several go and come as one, which of our addresses one came to, and word of peers that
//! cannot be reached.
#![cfg(unix)]

mod support;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::Write;
use std::net::SocketAddr;

use bytes::BytesMut;
use glowplug::core::{DatagramProtocol, Instant, Path, Transmit};
use glowplug::runtime::udp::reliable::ChannelConfig;
use glowplug::runtime::udp::{Builder, Closed, Reason};
use glowplug::runtime::{DatagramSocket, RecvBatch, Runtime, SendBatch, Spawn};
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;

support::on_each_executor![a_long_message];

/// A machine that has one transmit to make.
struct Once(Option<(Transmit, Vec<u8>)>);

impl DatagramProtocol for Once {
    type Event = ();
    type Error = Infallible;

    fn handle_datagram(&mut self, _: Instant, _: Path, _: BytesMut) -> Result<(), Infallible> {
        Ok(())
    }

    fn poll_event(&mut self, _: Instant) -> Option<()> {
        None
    }

    fn poll_transmit(&mut self, _: Instant, out: &mut BytesMut) -> Option<Transmit> {
        let (transmit, payload) = self.0.take()?;
        out.extend_from_slice(&payload);
        Some(transmit)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn close(&mut self, _: Instant) {}

    fn is_closed(&self) -> bool {
        self.0.is_none()
    }
}

fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Sends `segments` datagrams of 100 bytes and a shorter one as one transmit, between two that go alone, and gives what arrives.
async fn across<R: Runtime>(runtime: &R, segments: usize, batch: &mut SendBatch) -> Vec<usize> {
    let mut sender = runtime.bind(anywhere()).await.expect("a free port");
    let mut receiver = runtime.bind(anywhere()).await.expect("a free port");
    let to = Path::to(receiver.local_addr().expect("bound"));
    let payload = vec![7; segments * 100 + 50];
    let mut transmit = Transmit::new(to, payload.len());
    transmit.segment_size = Some(100);
    batch.push(to, b"before");
    batch.fill(Instant::ZERO, &mut Once(Some((transmit, payload))));
    batch.push(to, b"");
    while !batch.is_empty() {
        poll_fn(|cx| sender.poll_send(cx, batch)).await.expect("sent");
    }
    let (mut lens, mut input) = (Vec::new(), RecvBatch::new());
    while lens.last() != Some(&0) {
        poll_fn(|cx| receiver.poll_recv(cx, &mut input)).await.expect("received");
        while let Some(datagram) = input.pop() {
            lens.push(datagram.payload.len());
        }
    }
    lens
}

async fn pieces<R: Runtime>(runtime: R) {
    let expected = |segments| [&[6][..], &vec![100; segments], &[50, 0]].concat();
    let mut batch = SendBatch::new();
    assert_eq!(across(&runtime, 20, &mut batch).await, expected(20));
    let had = batch.offloads();
    // More than any system takes as one: they go one by one, and so do those that come after.
    assert_eq!(across(&runtime, 150, &mut batch).await, expected(150));
    assert!(!batch.offloads() || !had || !cfg!(target_os = "linux"));
    assert_eq!(across(&runtime, 20, &mut batch).await, expected(20));
}

/// Long messages are many datagrams of one size.
async fn a_long_message<R>(runtime: R)
where
    R: Runtime + Spawn<glowplug::runtime::udp::reliable::Drive<R>>,
{
    let builder = || Builder::new(runtime.clone()).reliable(ChannelConfig::default());
    let listener = builder().bind(anywhere()).await.expect("a free port");
    let client = builder().connect(listener.local_addr()).await.expect("a socket");
    let message: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    client.send(message.clone()).await.expect("sent");
    let server = listener.accept().await.expect("a peer");
    assert!(server.recv().await.expect("heard") == message[..]);
}

#[test]
fn pieces_arrive_as_pieces_on_tokio() {
    support::on_tokio(|runtime: Tokio| pieces(runtime));
}

#[test]
fn pieces_arrive_as_pieces_on_smol() {
    support::on_smol(|runtime: Smol| pieces(runtime));
}

/// After so many calls a socket has lived for long enough that putting datagrams together may be tried.
const WARM_UP: usize = 64;

/// What the system puts together is more than the batch had room for, and arrives in pieces all the same, in order.
async fn coalesced<R: Runtime>(runtime: R) {
    let mut sender = runtime.bind(anywhere()).await.expect("a free port");
    let mut receiver = runtime.bind(anywhere()).await.expect("a free port");
    let to = Path::to(receiver.local_addr().expect("bound"));
    let mut calls = Vec::new();
    let mut offloads = receiver.max_segments() > 1;
    for _ in 0..WARM_UP {
        let mut batch = SendBatch::new();
        batch.push(to, b"one of many calls");
        send_all(&mut sender, &mut batch).await;
        assert_eq!(receive(&mut receiver, 1).await.len(), 1);
    }
    for _ in 0..3 {
        let payload: Vec<u8> = (0..60_u8).flat_map(|n| [n; 500]).collect();
        let mut transmit = Transmit::new(to, payload.len());
        transmit.segment_size = Some(500);
        let mut batch = SendBatch::new();
        batch.fill(Instant::ZERO, &mut Once(Some((transmit, payload))));
        while !batch.is_empty() {
            poll_fn(|cx| sender.poll_send(cx, &mut batch)).await.expect("sent");
        }
        offloads &= batch.offloads();
        let (mut input, mut next) = (RecvBatch::with_capacity(20), 0_u8);
        let mut turns = 0;
        while next < 60 {
            let count = poll_fn(|cx| receiver.poll_recv(cx, &mut input)).await.expect("received");
            assert_eq!(count, input.len());
            turns += 1;
            while let Some(datagram) = input.pop() {
                assert_eq!(datagram.payload, [next; 500][..]);
                next += 1;
            }
        }
        calls.push(turns);
    }
    let expected = if offloads { [3, 1, 1] } else { [3, 3, 3] };
    assert_eq!(
        calls, expected,
        "once a peer sends a lot, the system hands over as one what it was given as one"
    );
}

/// A socket bound to no address in particular answers from the one it was asked at, again and again.
async fn asked_there_answered_from_there<R: Runtime>(runtime: R) {
    let mut server = runtime.bind(([0, 0, 0, 0], 0).into()).await.expect("a free port");
    let port = server.local_addr().expect("bound").port();
    let mut client = runtime.bind(anywhere()).await.expect("a free port");
    // Two addresses in turn, so that answers from both are in one batch; then one that sends a lot, so that the system may put
    // datagrams together and has more to say; then as before.
    for (rounds, asks, addresses) in [(1, 6, 2), (WARM_UP, 40, 1), (2, 40, 1), (1, 6, 2)] {
        let asked: Vec<SocketAddr> =
            (0..asks).map(|n| ([127, 0, 0, 1 + n % addresses], port).into()).collect();
        for _ in 0..rounds {
            ask_and_answer(&mut client, &mut server, &asked).await;
        }
    }
}

/// The same where datagrams of both families come to one socket, and leave it in one batch.
async fn both_families_at_one_socket<R: Runtime>(runtime: R) {
    let Ok(mut v6) = runtime.bind("[::1]:0".parse().expect("an address")).await else {
        let _ = writeln!(std::io::stderr(), "skipped: this machine has no IPv6");
        return;
    };
    let mut server = runtime.bind("[::]:0".parse().expect("an address")).await.expect("a free port");
    let port = server.local_addr().expect("bound").port();
    let mut v4 = runtime.bind(anywhere()).await.expect("a free port");
    for _ in 0..3 {
        ask_and_answer(&mut v6, &mut server, &[format!("[::1]:{port}").parse().expect("an address"); 5])
            .await;
        ask_and_answer(&mut v4, &mut server, &[([127, 0, 0, 1], port).into(), ([127, 0, 0, 2], port).into()])
            .await;
    }
    // To addresses of one family and of the other: as the socket has them, and as they are.
    let mut output = SendBatch::new();
    let (to_v4, to_v6) = (v4.local_addr().expect("bound"), v6.local_addr().expect("bound"));
    for to in [to_v4, to_v6, to_v4, to_v6, to_v6] {
        output.push(Path::to(to), b"both");
    }
    send_all(&mut server, &mut output).await;
    assert_eq!((receive(&mut v4, 2).await.len(), receive(&mut v6, 3).await.len()), (2, 3));
}

async fn send_all(socket: &mut impl DatagramSocket, batch: &mut SendBatch) {
    while !batch.is_empty() {
        poll_fn(|cx| socket.poll_send(cx, batch)).await.expect("sent");
    }
}

async fn receive(socket: &mut impl DatagramSocket, count: usize) -> Vec<Path> {
    let (mut paths, mut input) = (Vec::new(), RecvBatch::new());
    while paths.len() < count {
        poll_fn(|cx| socket.poll_recv(cx, &mut input)).await.expect("received");
        paths.extend(std::iter::from_fn(|| input.pop()).map(|datagram| datagram.path));
    }
    paths
}

async fn ask_and_answer(
    client: &mut impl DatagramSocket,
    server: &mut impl DatagramSocket,
    asked: &[SocketAddr],
) {
    let mut output = SendBatch::new();
    for at in asked {
        output.push((*at).into(), b"where?");
    }
    send_all(client, &mut output).await;
    for path in receive(server, asked.len()).await {
        assert!(path.local.is_some() || !cfg!(target_os = "linux"), "the system tells");
        output.push(path, b"here");
    }
    send_all(server, &mut output).await;
    let answered: Vec<_> = receive(client, asked.len()).await.iter().map(|path| path.remote).collect();
    if cfg!(target_os = "linux") {
        assert_eq!(answered, asked);
    }
}

/// The network says that nobody listens there; whoever is there hears nothing of it, and the socket goes on.
async fn nobody_there<R>(runtime: R)
where
    R: Runtime + Spawn<glowplug::runtime::udp::Drive<R>>,
{
    let mut somebody = runtime.bind(anywhere()).await.expect("a free port");
    let there = somebody.local_addr().expect("bound");
    let gone = {
        let socket = runtime.bind(anywhere()).await.expect("a free port");
        socket.local_addr().expect("bound")
    };
    let listener = Builder::new(runtime.clone()).bind(anywhere()).await.expect("a free port");
    let good = listener.connect(there).expect("a conversation");
    let bad = listener.connect(gone).expect("a conversation");
    bad.send("anybody?").await.expect("sent");
    let error = bad.recv().await.expect_err("nobody answers");
    assert!(matches!(error, Closed::Ended(Reason::Unreachable)), "{error:?}");
    // The first to send after such a word is not the one it is about.
    good.send("hello").await.expect("sent");
    let mut input = RecvBatch::new();
    poll_fn(|cx| somebody.poll_recv(cx, &mut input)).await.expect("received");
    let asked = input.pop().expect("a datagram");
    assert_eq!(asked.payload, b"hello"[..]);
    let mut output = SendBatch::new();
    output.push(asked.path, b"you too");
    poll_fn(|cx| somebody.poll_send(cx, &mut output)).await.expect("sent");
    assert_eq!(good.recv().await.expect("an answer"), b"you too"[..]);
}

#[test]
fn what_comes_as_one_on_tokio() {
    support::on_tokio(|runtime: Tokio| coalesced(runtime));
}

#[test]
fn what_comes_as_one_on_smol() {
    support::on_smol(|runtime: Smol| coalesced(runtime));
}

#[test]
fn the_address_asked_answers_on_tokio() {
    support::on_tokio(|runtime: Tokio| asked_there_answered_from_there(runtime));
}

#[test]
fn the_address_asked_answers_on_smol() {
    support::on_smol(|runtime: Smol| asked_there_answered_from_there(runtime));
}

#[cfg(target_os = "linux")]
#[test]
fn nobody_is_there_on_tokio() {
    support::on_tokio(|runtime: Tokio| nobody_there(runtime));
}

#[cfg(target_os = "linux")]
#[test]
fn nobody_is_there_on_smol() {
    support::on_smol(|runtime: Smol| nobody_there(runtime));
}

#[test]
fn both_families_on_tokio() {
    support::on_tokio(|runtime: Tokio| both_families_at_one_socket(runtime));
}

#[test]
fn both_families_on_smol() {
    support::on_smol(|runtime: Smol| both_families_at_one_socket(runtime));
}

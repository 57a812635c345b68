//! Several datagrams as one: they arrive as several, also where the system turns out not to cut them.
#![cfg(unix)]

mod support;

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;

use bytes::BytesMut;
use glowplug::core::{DatagramProtocol, Instant, Path, Transmit};
use glowplug::runtime::udp::Builder;
use glowplug::runtime::udp::reliable::ChannelConfig;
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

//! UDP: a datagram protocol of twenty lines, and the batches under it.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::BytesMut;
use glowplug::core::{DatagramProtocol, Instant, Path, Transmit};
use glowplug::runtime::Runtime;
use glowplug::runtime::drive::Datagrams;

use crate::{Failure, Told};

/// What each step has to come to, wherever it happens.
pub(crate) const EXPECTED: &[(&str, &str)] = &[
    ("32 datagrams, echoed in batches", "32 back, each once"),
    ("a datagram of no bytes", "0 bytes back"),
    ("the largest datagram there is", "65507 bytes back, the same"),
];

/// Sends what it is given, and tells or echoes what comes.
#[derive(Default)]
pub(crate) struct Echo {
    echoes: bool,
    outgoing: VecDeque<(Path, BytesMut)>,
    heard: VecDeque<BytesMut>,
}

impl DatagramProtocol for Echo {
    type Event = BytesMut;
    type Error = Infallible;

    fn handle_datagram(&mut self, _: Instant, path: Path, payload: BytesMut) -> Result<(), Infallible> {
        if self.echoes {
            self.outgoing.push_back((path, payload));
        } else {
            self.heard.push_back(payload);
        }
        Ok(())
    }

    fn poll_event(&mut self, _: Instant) -> Option<BytesMut> {
        self.heard.pop_front()
    }

    fn poll_transmit(&mut self, _: Instant, out: &mut BytesMut) -> Option<Transmit> {
        let (path, payload) = self.outgoing.pop_front()?;
        out.extend_from_slice(&payload);
        Some(Transmit::new(path, payload.len()))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn close(&mut self, _: Instant) {}

    fn is_closed(&self) -> bool {
        false
    }
}

/// The echo server.
pub(crate) struct Server<R: Runtime>(Datagrams<Echo, R>);

impl<R: Runtime> Server<R> {
    pub(crate) async fn bind(runtime: R, at: SocketAddr) -> io::Result<Self> {
        let socket = runtime.bind(at).await?;
        Ok(Self(Datagrams::new(runtime, socket, Echo { echoes: true, ..Echo::default() })))
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    pub(crate) async fn run(mut self) -> io::Result<()> {
        while self.0.next_event().await?.is_some() {}
        Ok(())
    }
}

/// The story.
pub(crate) async fn story<R: Runtime>(runtime: R, server: SocketAddr) -> Result<Told, Failure> {
    let mut told = Told::new();
    let socket = runtime.bind((Ipv4Addr::UNSPECIFIED, 0).into()).await?;
    let mut client = Datagrams::new(runtime, socket, Echo::default());

    for index in 0..32u8 {
        client.machine_mut().outgoing.push_back((server.into(), BytesMut::from(&[index][..])));
    }
    // A network may change their order, and the simulator's does.
    let mut back = BTreeSet::new();
    for _ in 0..32 {
        back.insert(next(&mut client).await?.to_vec());
    }
    told.push(("32 datagrams, echoed in batches", format!("{} back, each once", back.len())));

    client.machine_mut().outgoing.push_back((server.into(), BytesMut::new()));
    told.push(("a datagram of no bytes", format!("{} bytes back", next(&mut client).await?.len())));

    let largest = BytesMut::from(&vec![b'g'; 65_507][..]);
    client.machine_mut().outgoing.push_back((server.into(), largest.clone()));
    let back = next(&mut client).await?;
    let same = if back == largest { "the same" } else { "but others" };
    told.push(("the largest datagram there is", format!("{} bytes back, {same}", back.len())));
    Ok(told)
}

async fn next<R: Runtime>(client: &mut Datagrams<Echo, R>) -> Result<BytesMut, Failure> {
    client.next_event().await?.ok_or_else(|| "the socket closed".into())
}

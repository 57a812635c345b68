//! One generic body, three executors; and poll functions as futures.
#![allow(dead_code, reason = "every test program takes what it needs")]

use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, join, select};
use glowplug::core::SendBuf;
use glowplug::runtime::time::within;
use glowplug::runtime::{Endpoint, Listener, Runtime, Transport};
use glowplug::sim::{Sim, Simulation, seeds};
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;

/// What hangs fails after this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a test on tokio, on smol and in the simulator of each generic async function.
macro_rules! on_each_executor {
    ($($name:ident),* $(,)?) => {
        mod on_tokio {
            $(#[test] fn $name() { crate::support::on_tokio(super::$name); })*
        }
        mod on_smol {
            $(#[test] fn $name() { crate::support::on_smol(super::$name); })*
        }
        mod in_the_simulator {
            $(#[test] fn $name() { crate::support::in_the_simulator(super::$name); })*
        }
    };
}
pub(crate) use on_each_executor;

pub(crate) fn on_tokio<F: Future<Output = ()>>(test: impl FnOnce(Tokio) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("tokio starts").block_on(async { in_time(&Tokio, test(Tokio)).await });
}

pub(crate) fn on_smol<F: Future<Output = ()>>(test: impl FnOnce(Smol) -> F) {
    let smol = Smol::default();
    smol::block_on(in_time(&smol, test(smol.clone())));
}

/// Under a few seeds, and with the proof that no socket is left over.
pub(crate) fn in_the_simulator<F: Future<Output = ()>>(test: impl Fn(Sim) -> F) {
    for seed in seeds(3) {
        let mut simulation = Simulation::new(seed);
        let host = simulation.host("here", [10, 0, 0, 1]);
        simulation.run(in_time(&host, test(host.clone())));
        simulation.run_until_idle();
        let usage = simulation.usage();
        assert_eq!((usage.streams, usage.listeners), (0, 0), "a socket is left over");
    }
}

async fn in_time<R: Runtime>(runtime: &R, test: impl Future<Output = ()>) {
    within(runtime, Some(PATIENCE), test).await.expect("the test ends in time");
}

/// A free port of this machine.
pub(crate) fn any_port() -> Endpoint {
    Endpoint::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

/// Both ends of a fresh connection: who connected, and who accepted.
pub(crate) async fn pair<R: Runtime>(runtime: &R) -> (R::Stream, R::Stream) {
    let mut listener = runtime.listen(&any_port()).await.expect("a free port");
    let at = listener.local_endpoint().expect("an address");
    let (connected, accepted) = join(runtime.connect(&at), accept(&mut listener)).await;
    (connected.expect("connected"), accepted)
}

pub(crate) async fn accept<L: Listener>(listener: &mut L) -> L::Stream {
    poll_fn(|cx| listener.poll_accept(cx)).await.expect("accepted").0
}

/// Reads once; 0 is the end.
pub(crate) async fn read<T: Transport>(stream: &mut T, buf: &mut BytesMut) -> io::Result<usize> {
    poll_fn(|cx| stream.poll_read(cx, buf)).await
}

/// Reads exactly `len` bytes, or what came before the end.
pub(crate) async fn read_some<T: Transport>(stream: &mut T, len: usize) -> io::Result<BytesMut> {
    let mut buf = BytesMut::new();
    while buf.len() < len && read(stream, &mut buf).await? > 0 {}
    Ok(buf)
}

/// Reads to the end.
pub(crate) async fn read_all<T: Transport>(stream: &mut T) -> io::Result<BytesMut> {
    read_some(stream, usize::MAX).await
}

/// Writes all of `bytes`, and flushes.
pub(crate) async fn write<T: Transport>(stream: &mut T, bytes: impl Into<Bytes>) -> io::Result<()> {
    let mut out = SendBuf::new();
    out.push(bytes.into());
    while !out.is_empty() {
        poll_fn(|cx| stream.poll_write(cx, &mut out)).await?;
    }
    poll_fn(|cx| stream.poll_flush(cx)).await
}

pub(crate) async fn shutdown<T: Transport>(stream: &mut T) -> io::Result<()> {
    poll_fn(|cx| stream.poll_shutdown(cx)).await
}

/// Runs `work` to its end while `server` runs, which must not end before.
pub(crate) async fn beside<T, S>(work: impl Future<Output = T>, server: impl Future<Output = S>) -> T {
    match select(pin!(work), pin!(server)).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => panic!("the server ended before the work was done"),
    }
}

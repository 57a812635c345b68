//! Echo on one core, 256 datagrams in flight from another.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bench_harness::{Clock, Entry, Measured, Work};
use bytes::BytesMut;
use glowplug::core::{DatagramProtocol, Path, Seed};
use glowplug::runtime::drive::Datagrams;
use glowplug::runtime::server::Guarded;
use glowplug::runtime::udp::{Builder, Conversation, Drive, Served};
use glowplug::runtime::{BoxFuture, Runtime, Spawn};
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;
use glowplug::udp::{Config, Event, Tracker};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};

use crate::load::Load;

const BATCH: usize = 64;

fn anywhere() -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, 0).into()
}

/// Where the load sends to.
fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Starts the clock after some operations, and stops it after so many more.
struct Meter {
    before: u64,
    operations: u64,
    done: u64,
    clock: Option<Clock>,
}

impl Meter {
    fn new(operations: u64, peers: u32) -> Self {
        Self { before: 2000 + 2 * u64::from(peers.min(10_000)), operations, done: 0, clock: None }
    }

    /// True when it is enough.
    fn add(&mut self, count: usize) -> bool {
        self.done += count as u64;
        if self.clock.is_none() && self.done >= self.before {
            self.clock = Some(Clock::start());
            self.done = 0;
        }
        self.clock.is_some() && self.done >= self.operations
    }

    fn stop(&mut self) -> Measured {
        self.clock.take().expect("it was started").stop(self.done)
    }
}

/// The bound: batched system calls, and nothing else.
fn raw(peers: u32, size: usize, operations: u64) -> Measured {
    let socket = UdpSocket::bind(anywhere()).expect("a socket");
    let load = Load::start(local(socket.local_addr().expect("bound").port()), peers, size);
    let fd = socket.as_raw_fd();
    let mut landing = vec![0_u8; 2048 * BATCH];
    let mut heads = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut out = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut meter = Meter::new(operations, peers);
    loop {
        let mut addrs = [None; BATCH];
        let mut lens = [0; BATCH];
        let mut count = 0;
        {
            let mut slots = landing.chunks_exact_mut(2048);
            let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
                std::array::from_fn(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]);
            let results = recvmmsg(fd, &mut heads, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None);
            for message in results.expect("received") {
                (addrs[count], lens[count]) = (message.address, message.bytes);
                count += 1;
            }
        }
        let slices: [[IoSlice<'_>; 1]; BATCH] =
            std::array::from_fn(|at| [IoSlice::new(&landing[at * 2048..at * 2048 + lens[at]])]);
        let sent = sendmmsg(fd, &mut out, slices[..count].iter(), &addrs[..count], [], MsgFlags::empty());
        drop(sent);
        if meter.add(count) {
            let measured = meter.stop();
            drop(load);
            return measured;
        }
    }
}

/// tokio, one datagram at a time.
fn tokio_each(peers: u32, size: usize, operations: u64) -> Measured {
    tokio().block_on(async {
        let socket = tokio::net::UdpSocket::bind(anywhere()).await.expect("a socket");
        let load = Load::start(local(socket.local_addr().expect("bound").port()), peers, size);
        let mut meter = Meter::new(operations, peers);
        let mut buf = vec![0; 2048];
        loop {
            let (len, from) = socket.recv_from(&mut buf).await.expect("received");
            let _ = socket.send_to(&buf[..len], from).await;
            if meter.add(1) {
                let measured = meter.stop();
                drop(load);
                return measured;
            }
        }
    })
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio starts")
}

/// One loop for all peers: the tracker, and the datagram driver.
async fn tracker<R: Runtime>(runtime: R, peers: u32, size: usize, operations: u64) -> Measured {
    let socket = runtime.bind(anywhere()).await.expect("a socket");
    let config = Config::default().max_conversations(200_000).idle_timeout(None);
    let machine = Tracker::new(config, &Seed::from_u64(2));
    let mut driver = Datagrams::new(runtime.clone(), socket, machine);
    let segments = driver.max_segments();
    driver.machine_mut().set_max_segments(segments);
    let port = driver.local_addr().expect("bound").port();
    if peers > 1 {
        // Conversations that are there already. Those of the load come with another port, so these are others: as many live ones.
        for number in 0..peers {
            let path = Path::to((Ipv4Addr::from(0x7f01_0000 + number), 9).into());
            let now = runtime.now();
            driver.machine_mut().handle_datagram(now, path, BytesMut::new()).expect("there is room");
            while driver.machine_mut().poll_event(now).is_some() {}
        }
    }
    let load = Load::start(local(port), peers, size);
    let mut meter = Meter::new(operations, peers);
    loop {
        if let Some(Event::Message { conversation, payload }) = driver.next_event().await.expect("received") {
            let _ = driver.machine_mut().send(conversation, payload.freeze());
            if meter.add(1) {
                let measured = meter.stop();
                drop(load);
                return measured;
            }
        }
    }
}

/// A task for each peer.
async fn tasks<R>(runtime: R, peers: u32, size: usize, operations: u64) -> Measured
where
    R: Runtime + Spawn<Drive<R>> + Spawn<Guarded<Served<BoxFuture<()>>>>,
{
    let config = Config::default().idle_timeout(None).max_queue(512);
    let builder = Builder::new(runtime).tracker(config).drain_timeout(Duration::ZERO);
    let listener = builder.bind(anywhere()).await.expect("a socket");
    let stopper = listener.stopper();
    let load = Load::start(local(listener.local_addr().port()), peers, size);
    let meter = Arc::new(Mutex::new(Meter::new(operations, peers)));
    let done = Arc::new(Mutex::new(None));
    let serving = listener.serve(|conversation: Conversation| -> BoxFuture<()> {
        let (meter, done, stopper) = (meter.clone(), done.clone(), stopper.clone());
        Box::pin(async move {
            while let Ok(datagram) = conversation.recv().await {
                let _ = conversation.try_send(datagram);
                let mut meter = meter.lock().expect("not poisoned");
                if meter.add(1) && meter.clock.is_some() {
                    *done.lock().expect("not poisoned") = Some(meter.stop());
                    // Never again.
                    (meter.done, meter.before) = (0, u64::MAX);
                    stopper.stop();
                }
            }
        })
    });
    serving.await.expect("the socket is fine");
    drop(load);
    let measured = done.lock().expect("not poisoned").take();
    measured.expect("it was measured")
}

fn on_smol(work: impl AsyncFnOnce(Smol) -> Measured) -> Measured {
    let executor = Arc::new(smol::Executor::new());
    let runtime = Smol::on(executor.clone());
    smol::block_on(executor.run(work(runtime)))
}

/// The echo from so many peers, in datagrams of so many bytes.
pub(crate) fn work(name: &'static str, peers: u32, size: usize) -> Work {
    let mut entries = vec![
        Entry::ours("tracker on tokio", move |n| tokio().block_on(tracker(Tokio, peers, size, n))),
        Entry::ours("tracker on smol", move |n| on_smol(async |smol| tracker(smol, peers, size, n).await)),
    ];
    if peers <= 1000 {
        entries.push(Entry::ours("a task each on tokio", move |n| {
            tokio().block_on(tasks(Tokio, peers, size, n))
        }));
        entries.push(Entry::ours("a task each on smol", move |n| {
            on_smol(async |smol| tasks(smol, peers, size, n).await)
        }));
    }
    entries.push(Entry::peer("recvmmsg and sendmmsg", move |n| raw(peers, size, n)));
    entries.push(Entry::peer("tokio, one at a time", move |n| tokio_each(peers, size, n)));
    Work { name, operations: 200_000, entries }
}

//! A flood of spoofed peers, beside one established conversation.
//!
//! `GLOWPLUG_FLOOD=5000000 cargo test --release --test udp_flood` is the long run: so many datagrams in the simulator, from a fifth as many
//! peers.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join;
use glowplug::core::Path;
use glowplug::runtime::udp::{self, Builder, Closed, Config, Eviction, Listener, Reason};
use glowplug::runtime::{DatagramSocket, Runtime, SendBatch};
use glowplug::sim::{Link, Simulation};

/// Conversations at a time, in these tests.
const CAP: usize = 5000;
/// Unread bytes in all.
const BUFFERED: usize = 1 << 20;

/// No flood of strangers ends the conversation with a peer that is proven.
fn rules() -> Config {
    Config::default()
        .max_conversations(CAP)
        .eviction(Eviction::IdlestUnproven)
        .max_queue(64)
        .max_buffered(BUFFERED)
}

/// The bounds that hold at every moment.
fn check<R: Runtime>(listener: &Listener<R>) {
    assert!(listener.len() <= CAP, "{} conversations", listener.len());
    assert!(listener.buffered() <= BUFFERED, "{} bytes unread", listener.buffered());
}

#[test]
fn in_the_simulator() {
    let datagrams: u32 = std::env::var("GLOWPLUG_FLOOD").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let peers = datagrams / 5;
    let mut simulation = Simulation::new(1)
        .max_steps(u64::MAX)
        .configure(|net| net.default_link(Link::new().jitter(Duration::ZERO)));
    let server = simulation.host("server", [10, 0, 0, 1]);
    let friend = simulation.host("friend", [10, 0, 1, 1]);
    let attacker = simulation.host("attacker", [10, 0, 1, 2]);
    simulation.run(async {
        let listener = Builder::new(server.clone()).tracker(rules()).bind(([10, 0, 0, 1], 7).into()).await;
        let listener = listener.expect("the port is free");
        let at = listener.local_addr();
        let client = udp::connect(friend.clone(), at).await.expect("a socket");
        client.send(0_u32.to_be_bytes().to_vec()).await.expect("sent");
        let established = listener.accept().await.expect("a peer");
        established.prove();
        let over = Rc::new(Cell::new(false));
        // Nobody takes the strangers for a while: then all of them are taken and let go at once.
        let attack = async {
            let mut socket = attacker.bind((Ipv4Addr::UNSPECIFIED, 53).into()).await.expect("a socket");
            let mut batch = SendBatch::new();
            for number in 0..datagrams {
                let spoofed = Ipv4Addr::from(0x0b00_0000 + number % peers);
                batch.push(Path { remote: at, local: Some(IpAddr::V4(spoofed)) }, b"spoofed");
                if batch.is_full() || number + 1 == datagrams {
                    while !batch.is_empty() {
                        poll_fn(|cx| socket.poll_send(cx, &mut batch)).await.expect("sent");
                    }
                    // As fast as the server's socket can hold.
                    attacker.sleep(Duration::from_micros(100)).await;
                    check(&listener);
                }
            }
            over.set(true);
        };
        let ask = async {
            let mut number = 0_u32;
            while !over.get() {
                number += 1;
                client.send(number.to_be_bytes().to_vec()).await.expect("sent");
                friend.sleep(Duration::from_millis(2)).await;
            }
            friend.sleep(Duration::from_secs(1)).await;
            number
        };
        let ((), asked) = join(attack, ask).await;
        // Nobody read meanwhile: what its own queue had room for is there, the oldest first.
        let totals = established.totals();
        let mut read = 0;
        while let Some(datagram) = established.try_recv().expect("open") {
            assert_eq!(datagram[..], read_u32(read));
            read += 1;
        }
        assert_eq!(u64::from(read) + u64::from(totals.dropped), totals.received);
        assert_eq!(totals.received, u64::from(asked) + 1, "the socket had room for all of them");
        assert!(read == 64 || totals.dropped == 0, "{totals:?}, and {read} read");
        let counters = listener.counters();
        assert_eq!(counters.received, u64::from(datagrams) + u64::from(asked) + 1);
        assert!(listener.len() >= CAP.min(peers as usize) / 2);
        // It is alive, and so is the socket.
        client.send("still there?").await.expect("sent");
        assert_eq!(established.recv().await.expect("heard"), "still there?");
        established.send("still there").await.expect("sent");
        assert_eq!(client.recv().await.expect("heard"), "still there");
    });
    simulation.run_until_idle();
    assert_eq!((simulation.usage().datagrams, simulation.usage().tasks), (0, 0));
}

fn read_u32(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// Each stranger is served by a task of its own; who makes room for the next hears of it.
#[test]
fn served_in_the_simulator() {
    let mut simulation = Simulation::new(2);
    let server = simulation.host("server", [10, 0, 0, 1]);
    let attacker = simulation.host("attacker", [10, 0, 1, 2]);
    let (most, evicted) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    simulation.run(async {
        let rules = rules().max_conversations(500);
        let builder = Builder::new(server.clone()).tracker(rules).drain_timeout(Duration::ZERO);
        let listener = builder.bind(([10, 0, 0, 1], 7).into()).await.expect("the port is free");
        let (at, stopper) = (listener.local_addr(), listener.stopper());
        let (high, gone) = (most.clone(), evicted.clone());
        let counting = stopper.clone();
        let serving = server.task("server", async move {
            listener
                .serve(|conversation| {
                    let gone = gone.clone();
                    high.set(high.get().max(counting.connections()));
                    async move {
                        while conversation.recv().await.is_ok() {}
                        if matches!(conversation.closed().await, Closed::Ended(Reason::Evicted)) {
                            gone.set(gone.get() + 1);
                        }
                    }
                })
                .await
        });
        let mut socket = attacker.bind((Ipv4Addr::UNSPECIFIED, 53).into()).await.expect("a socket");
        let mut batch = SendBatch::new();
        for number in 0..20_000_u32 {
            let spoofed = Ipv4Addr::from(0x0b00_0000 + number);
            batch.push(Path { remote: at, local: Some(IpAddr::V4(spoofed)) }, b"spoofed");
            if batch.is_full() {
                while !batch.is_empty() {
                    poll_fn(|cx| socket.poll_send(cx, &mut batch)).await.expect("sent");
                }
                attacker.sleep(Duration::from_millis(1)).await;
            }
        }
        attacker.sleep(Duration::from_secs(1)).await;
        stopper.stop();
        serving.await.expect("not aborted").expect("the socket is fine");
    });
    // A task or two more than conversations: those that have not heard of their end yet.
    assert!((500..700).contains(&most.get()), "{} tasks at a time", most.get());
    assert!(evicted.get() > 15_000, "{} were evicted", evicted.get());
    simulation.run_until_idle();
    assert_eq!((simulation.usage().datagrams, simulation.usage().tasks), (0, 0));
}

/// On this machine, from senders all over 127.0.0.0/8.
#[cfg(target_os = "linux")]
#[test]
fn on_the_loopback() {
    use std::io::IoSlice;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::sync::atomic::{AtomicBool, Ordering};

    use glowplug::runtime::time::sleep;
    use glowplug::tokio::Tokio;
    use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};

    /// Sends as if from any address of this machine.
    fn spoof(socket: &UdpSocket, from: Ipv4Addr, to: SocketAddr) {
        let SocketAddr::V4(to) = to else { panic!("an address of IPv4") };
        let source = nix::libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: nix::libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) },
            ipi_addr: nix::libc::in_addr { s_addr: 0 },
        };
        let payload = [IoSlice::new(b"spoofed")];
        let head = [ControlMessage::Ipv4PacketInfo(&source)];
        // What the system has no room for is lost, as any datagram may be.
        let _ = sendmsg(socket.as_raw_fd(), &payload, &head, MsgFlags::empty(), Some(&SockaddrIn::from(to)));
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("tokio starts").block_on(async {
        let listener = Builder::new(Tokio).tracker(rules()).bind(([127, 0, 0, 1], 0).into()).await;
        let listener = listener.expect("a free port");
        let at = listener.local_addr();
        let client = udp::connect(Tokio, at).await.expect("a socket");
        client.send(0_u32.to_be_bytes().to_vec()).await.expect("sent");
        let established = listener.accept().await.expect("a peer");
        established.prove();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
                for number in 0..60_000_u32 {
                    spoof(&socket, Ipv4Addr::from(0x7f01_0000 + number % 20_000), at);
                }
                over.store(true, Ordering::Release);
            });
            // In the scope's own thread: the executor's other threads go on.
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    let mut number = 0_u32;
                    let mut last = None;
                    while !over.load(Ordering::Acquire) {
                        number += 1;
                        client.send(number.to_be_bytes().to_vec()).await.expect("sent");
                        sleep(&Tokio, Duration::from_millis(1)).await;
                        check(&listener);
                        // In order; what the system's socket had no room for is missing.
                        while let Some(datagram) = established.try_recv().expect("open") {
                            let next = u32::from_be_bytes(datagram[..].try_into().expect("four bytes"));
                            assert!(last < Some(next), "{next} after {last:?}");
                            last = Some(next);
                        }
                    }
                    assert_eq!(established.totals().dropped, 0);
                });
            });
        });
        let counters = listener.counters();
        assert!(counters.accepted > CAP as u64, "{counters:?}");
        assert!(counters.evicted > 0, "{counters:?}");
        // It is alive, and so is the socket.
        let word = loop {
            client.send("still there?").await.expect("sent");
            sleep(&Tokio, Duration::from_millis(20)).await;
            if let Some(word) = established.try_recv().expect("open")
                && word == "still there?"
            {
                break word;
            }
        };
        established.send(word).await.expect("sent");
        assert_eq!(client.recv().await.expect("heard"), "still there?");
    });
}

//! The load: a process of its own, that keeps so many datagrams in flight from so many peers.
//!
//! Each peer is an address of 127.0.0.0/8: one socket sends from all of them.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::{Child, Command};
use std::time::Duration;

use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, sendmsg};

/// Datagrams in flight.
const IN_FLIGHT: usize = 256;
/// Datagrams in one system call.
const BATCH: usize = 64;

/// A running load; it ends when this is dropped.
pub(crate) struct Load(Child);

impl Load {
    /// Lets `peers` peers send `size` bytes each to `server`.
    pub(crate) fn start(server: SocketAddr, peers: u32, size: usize) -> Self {
        let own = std::env::current_exe().expect("this program has a path");
        let arguments = ["load".to_owned(), server.to_string(), peers.to_string(), size.to_string()];
        Self(Command::new(own).args(arguments).spawn().expect("this program starts"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the other process does, for ever.
pub(crate) fn main(mut arguments: impl Iterator<Item = String>) -> ! {
    bench_harness::pin(0);
    let mut next = || arguments.next().expect("address, peers, size");
    let server: SocketAddr = next().parse().expect("an address");
    let (peers, size): (u32, usize) = (next().parse().expect("peers"), next().parse().expect("size"));
    let SocketAddr::V4(to) = server else { panic!("an address of IPv4") };
    let to = SockaddrIn::from(to);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
    // What was lost does not come back: then all are sent anew.
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
    let fd = socket.as_raw_fd();
    let payload = vec![7_u8; size];
    let mut landing = vec![0_u8; 2048 * BATCH];
    let mut heads = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut out = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    // Every peer once, and then over again, in an order that no cache likes.
    let (mut turn, step) = (0_u32, if peers > 7 { 7919 } else { 1 });
    let mut room = IN_FLIGHT;
    loop {
        while room > 0 {
            if peers == 1 {
                let count = room.min(BATCH);
                let slices = vec![[IoSlice::new(&payload)]; count];
                let addrs = vec![Some(to); count];
                let sent = sendmmsg(fd, &mut out, slices.iter(), &addrs, [], MsgFlags::empty());
                room -= sent.map_or(0, Iterator::count).max(1);
            } else {
                turn = (turn + step) % peers;
                let source = in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes((0x7f01_0000 + turn).to_be_bytes()) },
                    ipi_addr: in_addr { s_addr: 0 },
                };
                let head = [ControlMessage::Ipv4PacketInfo(&source)];
                let _ = sendmsg(fd, &[IoSlice::new(&payload)], &head, MsgFlags::empty(), Some(&to));
                room -= 1;
            }
        }
        let mut slots = landing.chunks_exact_mut(2048);
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            (0..BATCH).map(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]).collect();
        match recvmmsg(fd, &mut heads, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None) {
            Ok(results) => room += results.count(),
            Err(_) => room = IN_FLIGHT,
        }
    }
}

//! Sending.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};

use glowplug_core::{Path, Transmit};
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage, sendmmsg,
};

use super::{BATCH, Headers, Io, Landing, with_landing};
use crate::datagram::SendBatch;

/// Which of our addresses a datagram leaves from.
#[derive(Clone, Copy)]
enum Source {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl Source {
    fn of(path: Path) -> Option<Self> {
        match (path.local?, path.remote.is_ipv4()) {
            (IpAddr::V4(ip), true) => Some(Self::V4(in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr { s_addr: u32::from(ip).to_be() },
                ipi_addr: in_addr { s_addr: 0 },
            })),
            (IpAddr::V6(ip), false) => {
                Some(Self::V6(in6_pktinfo { ipi6_addr: in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 }))
            }
            _ => None,
        }
    }

    #[cfg(target_os = "linux")]
    fn said(&self) -> ControlMessage<'_> {
        match self {
            Self::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            Self::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        }
    }
}

impl Io {
    pub(super) fn send_front(&self, fd: i32, batch: &mut SendBatch) -> io::Result<usize> {
        match self.send_offloaded(fd, batch) {
            Some(result) => result.map(|()| 1),
            None => self.send_each(fd, batch),
        }
    }

    /// Where a datagram leaves from, if that has to be said: a socket bound to one address has no choice.
    fn source(&self, path: Path) -> Option<Source> {
        if self.tells_local { Source::of(path) } else { None }
    }

    /// Sends the first transmit as one, if it has several segments and the system cuts them. `None` when it does not.
    #[cfg(target_os = "linux")]
    fn send_offloaded(&self, fd: i32, batch: &mut SendBatch) -> Option<io::Result<()>> {
        use nix::errno::Errno;
        use nix::sys::socket::sendmsg;

        let (transmit, payload) = batch.iter().next()?;
        if !batch.offloads() {
            return None;
        }
        let size = u16::try_from(transmit.segment_size?).ok()?;
        let to = SockaddrStorage::from(transmit.path.remote);
        let source = self.source(transmit.path);
        let segments = ControlMessage::UdpGsoSegments(&size);
        let said = [segments, source.as_ref().map_or(segments, Source::said)];
        let said = &said[..=usize::from(source.is_some())];
        match sendmsg(fd, &[IoSlice::new(payload)], said, MsgFlags::MSG_DONTWAIT, Some(&to)) {
            Ok(_) => Some(Ok(())),
            // A device without checksums, a way with small packets, a filter that knows no such thing.
            Err(Errno::EIO | Errno::EINVAL | Errno::EMSGSIZE | Errno::EOPNOTSUPP) => {
                batch.give_up_offload();
                None
            }
            Err(error) => Some(Err(error.into())),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn send_offloaded(&self, _: i32, _: &mut SendBatch) -> Option<io::Result<()>> {
        None
    }

    /// Sends datagrams one by one, as many as one system call takes.
    fn send_each(&self, fd: i32, batch: &SendBatch) -> io::Result<usize> {
        let Some((first, _)) = batch.iter().next() else { return Ok(0) };
        with_landing(|Landing { v4, v6, .. }| match first.path.remote {
            SocketAddr::V4(_) => self.send_family(fd, v4, batch, |to| match to {
                SocketAddr::V4(to) => Some(SockaddrIn::from(to)),
                SocketAddr::V6(_) => None,
            }),
            SocketAddr::V6(_) => self.send_family(fd, v6, batch, |to| match to {
                SocketAddr::V6(to) => Some(SockaddrIn6::from(to)),
                SocketAddr::V4(_) => None,
            }),
        })
    }

    /// Sends the datagrams at the front that go to one family of addresses.
    fn send_family<S: SockaddrLike + Copy>(
        &self,
        fd: i32,
        headers: &mut Headers<S>,
        batch: &SendBatch,
        to_addr: impl Fn(SocketAddr) -> Option<S>,
    ) -> io::Result<usize> {
        let mut slices = [[IoSlice::new(&[])]; BATCH];
        let mut addrs = [const { None }; BATCH];
        let (mut datagrams, mut transmits) = (0, 0);
        // What is said besides is said of all datagrams of a call: they leave from one address.
        let mut local = None;
        for (transmit, payload) in batch.iter() {
            // Those that go as one wait for a call of their own.
            let as_one = cfg!(target_os = "linux") && transmit.segment_size.is_some() && batch.offloads();
            let count = transmit.datagrams();
            let elsewhere =
                self.tells_local && *local.get_or_insert(transmit.path.local) != transmit.path.local;
            let Some(to) = to_addr(transmit.path.remote) else { break };
            if as_one || elsewhere || datagrams + count > BATCH {
                break;
            }
            let size = transmit.segment_size.unwrap_or(payload.len()).max(1);
            // An empty payload has no chunks, and is a datagram all the same: its slice stays empty.
            for (index, chunk) in payload.chunks(size).enumerate() {
                slices[datagrams + index] = [IoSlice::new(chunk)];
            }
            addrs[datagrams..datagrams + count].fill(Some(to));
            datagrams += count;
            transmits += 1;
        }
        let Some((first, payload)) = batch.iter().next() else { return Ok(0) };
        let source = self.source(first.path);
        if transmits == 0 {
            let Some(to) = to_addr(first.path.remote) else { return Ok(0) };
            return send_long(fd, headers, first, payload, to, source);
        }
        let sent = send_slices(fd, headers, &slices[..datagrams], &addrs[..datagrams], source)?;
        // A transmit of several segments that went in part counts as sent: the rest is lost, as datagrams may be.
        let mut covered = 0;
        let whole = batch.iter().take_while(|(transmit, _)| {
            let before = covered;
            covered += transmit.datagrams();
            before < sent
        });
        Ok(whole.count())
    }
}

/// Sends a transmit which has more segments than one system call takes.
fn send_long<S: SockaddrLike + Copy>(
    fd: i32,
    headers: &mut Headers<S>,
    transmit: &Transmit,
    payload: &[u8],
    to: S,
    source: Option<Source>,
) -> io::Result<usize> {
    let size = transmit.segment_size.unwrap_or(payload.len()).max(1);
    let addrs = [Some(to); BATCH];
    for (number, part) in payload.chunks(size * BATCH).enumerate() {
        let slices: Vec<[IoSlice<'_>; 1]> = part.chunks(size).map(|chunk| [IoSlice::new(chunk)]).collect();
        match send_slices(fd, headers, &slices, &addrs[..slices.len()], source) {
            Ok(_) => {}
            Err(error) if number == 0 => return Err(error),
            // What is left of it is lost, as datagrams may be.
            Err(_) => break,
        }
    }
    Ok(1)
}

fn send_slices<S: SockaddrLike + Copy>(
    fd: i32,
    headers: &mut Headers<S>,
    slices: &[[IoSlice<'_>; 1]],
    addrs: &[Option<S>],
    source: Option<Source>,
) -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    if let Some(source) = &source {
        let go_from = headers.go_from.get_or_insert_with(|| {
            // The length of what is said is fixed when headers are made, and one for each family.
            let room = match source {
                Source::V4(_) => nix::cmsg_space!(in_pktinfo),
                Source::V6(_) => nix::cmsg_space!(in6_pktinfo),
            };
            MultiHeaders::preallocate(BATCH, Some(room))
        });
        let said = [source.said()];
        return Ok(sendmmsg(fd, go_from, slices.iter(), addrs, said, MsgFlags::MSG_DONTWAIT)?.count());
    }
    let _ = source;
    Ok(sendmmsg(fd, &mut headers.go, slices.iter(), addrs, [], MsgFlags::MSG_DONTWAIT)?.count())
}

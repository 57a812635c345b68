//! Receiving.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use glowplug_core::Path;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrIn, SockaddrLike, recvmmsg,
};

use super::coalescing::Switch;
use super::{BATCH, Headers, Io, Landing, SLOT, with_landing};
use crate::datagram::RecvBatch;

/// Datagrams in one system call, where each may be up to 64 that the system put together.
const COALESCED_BATCH: usize = 32;

/// One datagram, or several of one size, in its landing slot.
#[derive(Clone, Copy, Default)]
struct Landed {
    len: usize,
    from: Option<SocketAddr>,
    to: Option<IpAddr>,
    segment_size: Option<usize>,
}

/// What came with one call.
#[derive(Default)]
struct Received {
    datagrams: usize,
    /// The longest run of one sender and size.
    run: usize,
    /// The system had put some together.
    together: bool,
    /// It had more to say than there was room for.
    unheard: bool,
}

impl Io {
    /// How many datagrams came, and whether they are to be put together otherwise from now on.
    pub(super) fn receive(&mut self, fd: i32, batch: &mut RecvBatch) -> io::Result<(usize, Option<Switch>)> {
        let told = if self.coalescing.on {
            Told::AlsoSizes
        } else if self.tells_local {
            Told::Address
        } else {
            Told::Nothing
        };
        let received = with_landing(|Landing { payloads, v4, v6 }| {
            if self.local.is_ipv4() {
                receive_with(fd, v4, told, payloads, batch, |addr| SocketAddr::V4((*addr).into()))
            } else {
                receive_with(fd, v6, told, payloads, batch, |addr| SocketAddr::V6((*addr).into()))
            }
        })?;
        Ok((received.datagrams, self.coalescing.came(received.run, received.together)))
    }
}

/// What the system says of a datagram beside its sender.
#[derive(Clone, Copy)]
enum Told {
    Nothing,
    /// To which of our addresses it came.
    Address,
    /// And where it was several, how long each is.
    AlsoSizes,
}

fn receive_with<S: SockaddrLike + Copy>(
    fd: i32,
    headers: &mut Headers<S>,
    told: Told,
    payloads: &mut [u8],
    batch: &mut RecvBatch,
    to_addr: impl Fn(&S) -> SocketAddr,
) -> io::Result<Received> {
    match told {
        Told::Nothing => receive_into(fd, &mut headers.come, payloads, batch, to_addr),
        Told::Address => {
            let address_only = || {
                let space = if S::size() == SockaddrIn::size() {
                    nix::cmsg_space!(in_pktinfo)
                } else {
                    nix::cmsg_space!(in6_pktinfo)
                };
                MultiHeaders::preallocate(BATCH, Some(space))
            };
            // The system shortens the room of each header to what it had to say, and these don't let it be set again. It says the same
            // of every datagram, so the room stays right; should it ever not, new headers are made.
            let come_to = headers.come_to.get_or_insert_with(address_only);
            let received = receive_into(fd, come_to, payloads, batch, to_addr);
            if received.as_ref().is_ok_and(|received| received.unheard) {
                headers.come_to = None;
            }
            received
        }
        // Not every datagram was several: these serve once.
        Told::AlsoSizes => {
            let count = batch.room().clamp(1, COALESCED_BATCH);
            let space = nix::cmsg_space!(i32, in_pktinfo, in6_pktinfo);
            receive_into(fd, &mut MultiHeaders::preallocate(count, Some(space)), payloads, batch, to_addr)
        }
    }
}

fn receive_into<S: SockaddrLike + Copy>(
    fd: i32,
    headers: &mut MultiHeaders<S>,
    payloads: &mut [u8],
    batch: &mut RecvBatch,
    to_addr: impl Fn(&S) -> SocketAddr,
) -> io::Result<Received> {
    let count = batch.room().clamp(1, BATCH);
    let mut slots = payloads.chunks_exact_mut(SLOT);
    let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
        std::array::from_fn(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]);
    let results = recvmmsg(fd, headers, slices[..count].iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
    let mut landed = [Landed::default(); BATCH];
    let (mut n, mut unheard) = (0, false);
    for (message, slot) in results.zip(&mut landed) {
        slot.len = message.bytes;
        slot.from = message.address.as_ref().map(&to_addr);
        unheard |= message.flags.contains(MsgFlags::MSG_CTRUNC);
        look_at(&message, slot);
        n += 1;
    }
    let mut received = Received { unheard, ..Received::default() };
    let (mut run, mut last) = (0, None);
    for (slot, Landed { len, from, to, segment_size }) in payloads.chunks_exact(SLOT).zip(&landed[..n]) {
        let Some(remote) = *from else { continue };
        run = if last == Some((remote, *len)) { run + 1 } else { 1 };
        (last, received.run) = (Some((remote, *len)), received.run.max(run));
        let (path, payload) = (Path { remote, local: *to }, &slot[..*len]);
        match *segment_size {
            Some(size) if size > 0 && size < payload.len() => {
                for piece in payload.chunks(size) {
                    batch.push(path, piece, None);
                    received.datagrams += 1;
                }
                received.together = true;
            }
            _ => {
                batch.push(path, payload, None);
                received.datagrams += 1;
            }
        }
    }
    Ok(received)
}

/// What else the system says of a datagram.
#[cfg(target_os = "linux")]
fn look_at<S>(message: &RecvMsg<'_, '_, S>, landed: &mut Landed) {
    for said in message.cmsgs().into_iter().flatten() {
        match said {
            ControlMessageOwned::UdpGroSegments(size) => landed.segment_size = usize::try_from(size).ok(),
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                // Ours, also where the datagram was meant for everybody.
                landed.to = Some(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into());
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let to = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                landed.to = (!to.is_multicast()).then_some(to.into());
            }
            _ => {}
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn look_at<S>(_: &RecvMsg<'_, '_, S>, _: &mut Landed) {}

//! Batched system calls: `recvmmsg` and `sendmmsg`.

use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use glowplug_core::Path;
use nix::sys::socket::{
    MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage, recvmmsg, sendmmsg,
};

use super::{RecvBatch, SendBatch};

/// Datagrams in one system call. More amortises no better and makes the landing area colder.
const BATCH: usize = 64;

/// The largest payload a datagram can have, rounded up; one cache line more than a power of two, so that the landing slots
/// do not all fall into the same cache set.
const SLOT: usize = 64 * 1024 + 64;

/// Where datagrams land, and the headers the system fills in. One per thread: an idle socket holds nothing. Pages that no
/// datagram ever reached are never touched, so in practice this is a page per slot.
struct Landing {
    payloads: Vec<u8>,
    // One set of headers per family: the system shortens the recorded address length to what it wrote.
    v4: MultiHeaders<SockaddrIn>,
    v6: MultiHeaders<SockaddrIn6>,
    out: MultiHeaders<SockaddrStorage>,
}

thread_local! {
    static LANDING: RefCell<Option<Landing>> = const { RefCell::new(None) };
}

fn with_landing<T>(f: impl FnOnce(&mut Landing) -> T) -> T {
    LANDING.with_borrow_mut(|landing| {
        f(landing.get_or_insert_with(|| Landing {
            payloads: vec![0; SLOT * BATCH],
            v4: MultiHeaders::preallocate(BATCH, None),
            v6: MultiHeaders::preallocate(BATCH, None),
            out: MultiHeaders::preallocate(BATCH, None),
        }))
    })
}

/// Receives what is there into `batch` without waiting, by one system call. `local` is what the socket is bound to.
pub fn recv(socket: &impl AsFd, local: SocketAddr, batch: &mut RecvBatch) -> io::Result<usize> {
    let fd = socket.as_fd().as_raw_fd();
    with_landing(|landing| {
        if local.is_ipv4() {
            recv_into(fd, &mut landing.v4, &mut landing.payloads, batch, |addr| {
                SocketAddr::V4((*addr).into())
            })
        } else {
            recv_into(fd, &mut landing.v6, &mut landing.payloads, batch, |addr| {
                SocketAddr::V6((*addr).into())
            })
        }
    })
}

fn recv_into<S: SockaddrLike + Copy>(
    fd: i32,
    headers: &mut MultiHeaders<S>,
    payloads: &mut [u8],
    batch: &mut RecvBatch,
    to_addr: impl Fn(&S) -> SocketAddr,
) -> io::Result<usize> {
    let count = batch.room().min(BATCH);
    let mut slots = payloads.chunks_exact_mut(SLOT);
    let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
        std::array::from_fn(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]);
    let results = recvmmsg(fd, headers, slices[..count].iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
    let mut received = [(0, None); BATCH];
    let mut n = 0;
    for (message, slot) in results.zip(&mut received) {
        *slot = (message.bytes, message.address.as_ref().map(&to_addr));
        n += 1;
    }
    for (slot, (len, from)) in payloads.chunks_exact(SLOT).zip(&received[..n]) {
        if let Some(from) = *from {
            batch.push(Path::to(from), &slot[..*len], None);
        }
    }
    Ok(n)
}

/// How many datagrams of one size and path this socket hands to the system as one (segmentation offload). 1 when it has none.
pub fn max_segments(socket: &impl AsFd) -> usize {
    #[cfg(target_os = "linux")]
    if nix::sys::socket::getsockopt(socket, nix::sys::socket::sockopt::UdpGsoSegment).is_ok() {
        return BATCH;
    }
    let _ = socket;
    1
}

/// Sends from the front of `batch` without waiting, by one system call, and says how many transmits went.
///
/// A transmit of several segments goes as one where the system does that. When it turns out not to, for this way at
/// least, the batch [gives the offload up](SendBatch::offloads), and the segments go one by one.
pub fn send(socket: &impl AsFd, batch: &mut SendBatch) -> io::Result<usize> {
    let fd = socket.as_fd().as_raw_fd();
    if batch.is_empty() {
        return Ok(0);
    }
    let sent = match send_offloaded(fd, batch) {
        Some(result) => result.map(|()| 1),
        None => send_each(fd, batch),
    };
    match sent {
        Ok(count) => {
            batch.sent(count);
            Ok(count)
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Err(error)
        }
        Err(error) => {
            batch.sent(1);
            Err(error)
        }
    }
}

/// Sends the first transmit as one, if it has several segments and the system cuts them. `None` when it does not.
#[cfg(target_os = "linux")]
fn send_offloaded(fd: i32, batch: &mut SendBatch) -> Option<io::Result<()>> {
    use nix::errno::Errno;
    use nix::sys::socket::{ControlMessage, sendmsg};

    let (transmit, payload) = batch.iter().next()?;
    if !batch.offloads() {
        return None;
    }
    let size = u16::try_from(transmit.segment_size?).ok()?;
    let to = SockaddrStorage::from(transmit.path.remote);
    let head = [ControlMessage::UdpGsoSegments(&size)];
    match sendmsg(fd, &[IoSlice::new(payload)], &head, MsgFlags::MSG_DONTWAIT, Some(&to)) {
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
fn send_offloaded(_: i32, _: &mut SendBatch) -> Option<io::Result<()>> {
    None
}

/// Sends datagrams one by one, as many as one system call takes.
fn send_each(fd: i32, batch: &SendBatch) -> io::Result<usize> {
    with_landing(|landing| {
        let mut slices = [[IoSlice::new(&[])]; BATCH];
        let mut addrs = [const { None }; BATCH];
        let (mut datagrams, mut transmits) = (0, 0);
        for (transmit, payload) in batch.iter() {
            // Those that go as one wait for a call of their own.
            let as_one = cfg!(target_os = "linux") && transmit.segment_size.is_some() && batch.offloads();
            let count = transmit.datagrams();
            if as_one || datagrams + count > BATCH {
                break;
            }
            let size = transmit.segment_size.unwrap_or(payload.len()).max(1);
            // An empty payload has no chunks, and is a datagram all the same: its slice stays empty.
            for (index, chunk) in payload.chunks(size).enumerate() {
                slices[datagrams + index] = [IoSlice::new(chunk)];
            }
            addrs[datagrams..datagrams + count].fill(Some(SockaddrStorage::from(transmit.path.remote)));
            datagrams += count;
            transmits += 1;
        }
        if transmits == 0 {
            return send_long(fd, &mut landing.out, batch);
        }
        let sent = send_slices(fd, &mut landing.out, &slices[..datagrams], &addrs[..datagrams])?;
        // A transmit of several segments that went in part counts as sent: the rest is lost, as datagrams may be.
        let mut covered = 0;
        let whole = batch.iter().take_while(|(transmit, _)| {
            let before = covered;
            covered += transmit.datagrams();
            before < sent
        });
        Ok(whole.count())
    })
}

/// Sends the first transmit, which has more segments than one system call takes.
fn send_long(fd: i32, out: &mut MultiHeaders<SockaddrStorage>, batch: &SendBatch) -> io::Result<usize> {
    let Some((transmit, payload)) = batch.iter().next() else { return Ok(0) };
    let size = transmit.segment_size.unwrap_or(payload.len()).max(1);
    let addrs = [Some(SockaddrStorage::from(transmit.path.remote)); BATCH];
    for (number, part) in payload.chunks(size * BATCH).enumerate() {
        let slices: Vec<[IoSlice<'_>; 1]> = part.chunks(size).map(|chunk| [IoSlice::new(chunk)]).collect();
        match send_slices(fd, out, &slices, &addrs[..slices.len()]) {
            Ok(_) => {}
            Err(error) if number == 0 => return Err(error),
            // What is left of it is lost, as datagrams may be.
            Err(_) => break,
        }
    }
    Ok(1)
}

fn send_slices(
    fd: i32,
    out: &mut MultiHeaders<SockaddrStorage>,
    slices: &[[IoSlice<'_>; 1]],
    addrs: &[Option<SockaddrStorage>],
) -> io::Result<usize> {
    Ok(sendmmsg(fd, out, slices.iter(), addrs, [], MsgFlags::MSG_DONTWAIT)?.count())
}

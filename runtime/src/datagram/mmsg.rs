//! Batched system calls: `recvmmsg` and `sendmmsg`, and what the system does besides where it can.

mod coalescing;
mod errors;
mod recv;
mod send;
mod whole;

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage, getsockname};

use self::coalescing::{Coalescing, Switch};
use self::whole::Whole;
use super::{RecvBatch, SendBatch};

/// Datagrams in one system call. More amortises no better and makes the landing area colder.
const BATCH: usize = 64;

/// What is known of a datagram socket, and the batched system calls on it: the whole of a plug's datagram socket but the waiting.
///
/// On Linux, several datagrams of one size and path are handed to the system as one ([`max_segments`](Self::max_segments)) and
/// taken from it as one where that pays (and arrive in the batch one by one); a socket bound to no address in particular hears to which of ours a
/// datagram came, and answers from there; word of a peer that cannot be reached arrives in the batch of what came in; and datagrams of
/// IPv4 are marked as not to be cut, which is cheaper, until one is longer than its way takes.
#[derive(Debug)]
pub struct Io {
    local: SocketAddr,
    max_segments: usize,
    coalescing: Coalescing,
    whole: Whole,
    /// The system says to which of our addresses a datagram came.
    tells_local: bool,
    /// The system keeps what it hears of peers that cannot be reached.
    keeps_errors: bool,
    /// It announced some, and they were not read.
    announced: bool,
}

impl Io {
    /// Looks at a bound, non-blocking socket, and switches on what the system has to offer.
    ///
    /// # Errors
    ///
    /// Those of asking for its address. What the system does not offer is done without.
    pub fn new(socket: &impl AsFd) -> io::Result<Self> {
        let local = address(&getsockname::<SockaddrStorage>(socket.as_fd().as_raw_fd())?)
            .ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
        let mut io = Self {
            local,
            max_segments: 1,
            coalescing: Coalescing::default(),
            whole: Whole::new(socket),
            tells_local: false,
            keeps_errors: false,
            announced: false,
        };
        io.switch_on(socket);
        Ok(io)
    }

    #[cfg(target_os = "linux")]
    fn switch_on(&mut self, socket: &impl AsFd) {
        use nix::sys::socket::{getsockopt, setsockopt, sockopt};
        // The option to cut is set per call; that the system knows the one to put together says that it knows both.
        if getsockopt(socket, sockopt::UdpGroSegment).is_ok() {
            self.max_segments = BATCH;
        }
        let anywhere = self.local.ip().is_unspecified();
        if self.local.is_ipv4() {
            self.tells_local = anywhere && setsockopt(socket, sockopt::Ipv4PacketInfo, &true).is_ok();
            self.keeps_errors = setsockopt(socket, sockopt::Ipv4RecvErr, &true).is_ok();
        } else {
            self.tells_local = anywhere && setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true).is_ok();
            self.keeps_errors = setsockopt(socket, sockopt::Ipv6RecvErr, &true).is_ok();
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn switch_on(&mut self, _: &impl AsFd) {}

    /// The address the socket is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// How many datagrams of one size and path go to the system as one (segmentation offload). 1 when it has none.
    pub fn max_segments(&self) -> usize {
        self.max_segments
    }

    /// Receives what is there into `batch` without waiting, by one system call, and says how many datagrams that were. None, when
    /// the news is of peers that [cannot be reached](RecvBatch::pop_unreachable).
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when there is nothing.
    pub fn recv(&mut self, socket: &impl AsFd, batch: &mut RecvBatch) -> io::Result<usize> {
        let fd = socket.as_fd().as_raw_fd();
        if self.announced {
            self.announced = false;
            if errors::take(fd, self.local, batch) {
                return Ok(0);
            }
        }
        match self.receive(fd, batch) {
            Ok((count, Some(switch))) => {
                self.switch(socket, switch);
                Ok(count)
            }
            Err(error) if self.keeps_errors && !is_transient(&error) => {
                if errors::take(fd, self.local, batch) { Ok(0) } else { Err(error) }
            }
            result => result.map(|(count, _)| count),
        }
    }

    #[cfg(target_os = "linux")]
    fn switch(&mut self, socket: &impl AsFd, switch: Switch) {
        use nix::sys::socket::{setsockopt, sockopt};
        let on = switch == Switch::On
            && self.max_segments > 1
            && setsockopt(socket, sockopt::UdpGroSegment, &true).is_ok();
        if switch == Switch::Off {
            let _ = setsockopt(socket, sockopt::UdpGroSegment, &false);
        }
        self.coalescing.switched(on);
    }

    #[cfg(not(target_os = "linux"))]
    fn switch(&mut self, _: &impl AsFd, _: Switch) {
        self.coalescing.switched(false);
    }

    /// Sends from the front of `batch` without waiting, by one system call, and says how many transmits went.
    ///
    /// A transmit of several segments goes as one where the system does that. When it turns out not to, for this way at
    /// least, the batch [gives the offload up](SendBatch::offloads), and the segments go one by one.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the system takes nothing now. Any other is about the first transmit, which is
    /// gone from the batch.
    pub fn send(&mut self, socket: &impl AsFd, batch: &mut SendBatch) -> io::Result<usize> {
        let fd = socket.as_fd().as_raw_fd();
        if batch.is_empty() {
            return Ok(0);
        }
        let mut sent = self.send_front(fd, batch);
        if sent.as_ref().is_err_and(|error| self.whole.gives_way(socket, error)) {
            self.announced = self.keeps_errors;
            sent = self.send_front(fd, batch);
        }
        if self.keeps_errors && sent.as_ref().is_err_and(|error| !is_transient(error)) {
            // It may be about a datagram sent before, and is told once: the reader takes the details, and this one has its turn.
            self.announced = true;
            sent = self.send_front(fd, batch);
        }
        match sent {
            Ok(count) => batch.sent(count),
            Err(ref error) if is_transient(error) => {}
            Err(_) => batch.sent(1),
        }
        sent
    }
}

/// Nothing went wrong: it is to be tried again.
fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn address(of: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = of.as_sockaddr_in().map(|addr| SocketAddr::V4((*addr).into()));
    v4.or_else(|| of.as_sockaddr_in6().map(|addr| SocketAddr::V6((*addr).into())))
}

/// The largest payload a datagram can have, rounded up; one cache line more than a power of two, so that the landing slots
/// do not all fall into the same cache set.
const SLOT: usize = 64 * 1024 + 64;

/// Where datagrams land, and the headers the system fills in. One per thread: an idle socket holds nothing. Pages that no
/// datagram ever reached are never touched, so in practice this is a page per slot.
struct Landing {
    payloads: Vec<u8>,
    // One set of headers per family: the system shortens the recorded address length to what it wrote.
    v4: Headers<SockaddrIn>,
    v6: Headers<SockaddrIn6>,
}

/// The headers of one family. Those that a socket may never need are made when they are first used.
struct Headers<S> {
    come: MultiHeaders<S>,
    /// Those that hear to which of our addresses a datagram came.
    come_to: Option<MultiHeaders<S>>,
    go: MultiHeaders<S>,
    /// Those that say which of our addresses a datagram leaves from.
    go_from: Option<MultiHeaders<S>>,
}

impl<S: SockaddrLike + Copy> Headers<S> {
    fn new() -> Self {
        let plain = || MultiHeaders::preallocate(BATCH, None);
        Self { come: plain(), come_to: None, go: plain(), go_from: None }
    }
}

thread_local! {
    static LANDING: RefCell<Option<Landing>> = const { RefCell::new(None) };
}

fn with_landing<T>(f: impl FnOnce(&mut Landing) -> T) -> T {
    LANDING.with_borrow_mut(|landing| {
        f(landing.get_or_insert_with(|| Landing {
            payloads: vec![0; SLOT * BATCH],
            v4: Headers::new(),
            v6: Headers::new(),
        }))
    })
}

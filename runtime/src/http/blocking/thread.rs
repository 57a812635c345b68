//! A runtime of one thread and no tasks, for a client that blocks.

use std::future::{Future, Ready, ready};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use glowplug_core::{Instant, SendBuf};
use socket2::{Domain, SockAddr, Socket, Type};

use super::reactor::{Readiness, wait_for, wait_until};
use crate::{
    DatagramSocket, Endpoint, Listener, RecvBatch, Runtime, SendBatch, Transport, read_with, write_with,
};

/// A runtime that does everything in the thread that calls. It connects streams and keeps time; it neither listens nor spawns, and
/// names are resolved while the thread waits, however long the system takes for that.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThisThread;

/// The beginning of its time.
fn epoch() -> std::time::Instant {
    static EPOCH: OnceLock<std::time::Instant> = OnceLock::new();
    *EPOCH.get_or_init(std::time::Instant::now)
}

impl Runtime for ThisThread {
    type Stream = Stream;
    type Listener = Never;
    type Datagram = Never;
    type Timer = Timer;
    type Connecting = Connecting;
    type Listening = Ready<io::Result<Never>>;
    type Binding = Ready<io::Result<Never>>;
    type Resolving = Ready<io::Result<Vec<SocketAddr>>>;

    fn now(&self) -> Instant {
        Instant::ZERO + epoch().elapsed()
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system's random source answers; without it nothing here is safe");
    }

    fn timer(&self) -> Timer {
        Timer { at: None }
    }

    fn connect(&self, to: &Endpoint) -> Connecting {
        Connecting(Some(begin(to)))
    }

    fn listen(&self, _: &Endpoint) -> Self::Listening {
        ready(Err(io::ErrorKind::Unsupported.into()))
    }

    fn bind(&self, _: SocketAddr) -> Self::Binding {
        ready(Err(io::ErrorKind::Unsupported.into()))
    }

    fn resolve(&self, host: &str, port: u16) -> Self::Resolving {
        ready((host, port).to_socket_addrs().map(Iterator::collect))
    }
}

/// What `connect` says while it is under way, where it is not `WouldBlock`: `EINPROGRESS`.
const IN_PROGRESS: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { 115 } else { 36 };

fn begin(to: &Endpoint) -> io::Result<Arc<Socket>> {
    let address = match to {
        Endpoint::Tcp(address) => SockAddr::from(*address),
        Endpoint::Unix(path) => SockAddr::unix(path)?,
    };
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if address.domain() != Domain::UNIX {
        socket.set_tcp_nodelay(true)?;
    }
    match socket.connect(&address) {
        Err(error)
            if error.kind() != io::ErrorKind::WouldBlock && error.raw_os_error() != Some(IN_PROGRESS) =>
        {
            Err(error)
        }
        _ => Ok(Arc::new(socket)),
    }
}

/// A connection in the making.
#[derive(Debug)]
pub struct Connecting(Option<io::Result<Arc<Socket>>>);

impl Future for Connecting {
    type Output = io::Result<Stream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let Some(begun) = self.0.take() else { return Poll::Pending };
        let socket = begun?;
        if let Some(error) = socket.take_error()? {
            return Poll::Ready(Err(error));
        }
        match socket.peer_addr() {
            Ok(_) => Poll::Ready(Ok(Stream(socket))),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                wait_for(cx, &socket, Readiness::Write);
                self.0 = Some(Ok(socket));
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

/// A TCP or Unix stream.
#[derive(Debug)]
pub struct Stream(Arc<Socket>);

impl Transport for Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        loop {
            match read_with(buf, |landing| Poll::Ready((&*self.0).read(landing))) {
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_for(cx, &self.0, Readiness::Read);
                    return Poll::Pending;
                }
                result => return result,
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut SendBuf) -> Poll<io::Result<usize>> {
        loop {
            match write_with(out, |slices| Poll::Ready((&*self.0).write_vectored(slices))) {
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_for(cx, &self.0, Readiness::Write);
                    return Poll::Pending;
                }
                result => return result,
            }
        }
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.0.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}

/// One deadline.
#[derive(Debug)]
pub struct Timer {
    at: Option<Instant>,
}

impl crate::Timer for Timer {
    fn reset(&mut self, at: Option<Instant>) {
        self.at = at;
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        let since = at.saturating_duration_since(Instant::ZERO);
        let far = Duration::from_secs(60 * 60 * 24 * 365);
        let at = epoch().checked_add(since).unwrap_or_else(|| epoch() + far);
        if std::time::Instant::now() >= at {
            return Poll::Ready(());
        }
        wait_until(cx, at);
        Poll::Pending
    }
}

/// What this runtime has none of: there is no value of this type.
#[derive(Clone, Copy, Debug)]
pub enum Never {}

impl Listener for Never {
    type Stream = Stream;

    fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<(Stream, Endpoint)>> {
        match *self {}
    }

    fn local_endpoint(&self) -> io::Result<Endpoint> {
        match *self {}
    }
}

impl DatagramSocket for Never {
    fn poll_recv(&mut self, _: &mut Context<'_>, _: &mut RecvBatch) -> Poll<io::Result<usize>> {
        match *self {}
    }

    fn poll_send(&mut self, _: &mut Context<'_>, _: &mut SendBatch) -> Poll<io::Result<usize>> {
        match *self {}
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match *self {}
    }
}

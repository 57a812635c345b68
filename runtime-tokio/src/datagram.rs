//! Datagram sockets.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use glowplug_runtime::datagram::{DatagramSocket, Io, RecvBatch, SendBatch};
use tokio::io::{Interest, Ready};
use tokio::net::UdpSocket;

/// A datagram socket on tokio's reactor.
pub struct Datagram {
    socket: Arc<UdpSocket>,
    io: Io,
    /// Waits for news of peers that cannot be reached, by which tokio does not make a socket readable.
    failing: Option<Failing>,
}

type Failing = Pin<Box<dyn Future<Output = io::Result<Ready>> + Send + Sync>>;

impl Datagram {
    pub(crate) async fn bind(local: SocketAddr) -> io::Result<Self> {
        UdpSocket::bind(local).await?.try_into()
    }

    fn poll_failing(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        let failing = self.failing.get_or_insert_with(|| {
            let socket = self.socket.clone();
            Box::pin(async move { socket.ready(Interest::ERROR).await })
        });
        let ready = ready!(failing.as_mut().poll(cx));
        self.failing = None;
        Poll::Ready(ready)
    }
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagram").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl TryFrom<UdpSocket> for Datagram {
    type Error = io::Error;

    fn try_from(socket: UdpSocket) -> io::Result<Self> {
        Ok(Self { io: Io::new(&socket)?, socket: Arc::new(socket), failing: None })
    }
}

impl DatagramSocket for Datagram {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<usize>> {
        loop {
            let interest = if self.socket.poll_recv_ready(cx)?.is_ready() {
                Interest::READABLE
            } else {
                ready!(self.poll_failing(cx))?;
                Interest::ERROR
            };
            match self.socket.try_io(interest, || self.io.recv(&*self.socket, batch)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, batch: &mut SendBatch) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_send_ready(cx))?;
            match self.socket.try_io(Interest::WRITABLE, || self.io.send(&*self.socket, batch)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn max_segments(&self) -> usize {
        self.io.max_segments()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.io.local_addr())
    }
}

//! Datagram sockets.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use glowplug_runtime::datagram::{self, DatagramSocket, RecvBatch, SendBatch};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A datagram socket on tokio's reactor.
#[derive(Debug)]
pub struct Datagram {
    socket: UdpSocket,
    local: SocketAddr,
}

impl Datagram {
    pub(crate) async fn bind(local: SocketAddr) -> io::Result<Self> {
        UdpSocket::bind(local).await?.try_into()
    }
}

impl TryFrom<UdpSocket> for Datagram {
    type Error = io::Error;

    fn try_from(socket: UdpSocket) -> io::Result<Self> {
        Ok(Self { local: socket.local_addr()?, socket })
    }
}

impl DatagramSocket for Datagram {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_recv_ready(cx))?;
            match self.socket.try_io(Interest::READABLE, || datagram::recv(&self.socket, self.local, batch)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, batch: &mut SendBatch) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_send_ready(cx))?;
            match self.socket.try_io(Interest::WRITABLE, || datagram::send(&self.socket, batch)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn max_segments(&self) -> usize {
        datagram::max_segments(&self.socket)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

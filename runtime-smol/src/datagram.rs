//! Datagram sockets.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::task::{Context, Poll, ready};

use glowplug_runtime::datagram::{self, DatagramSocket, RecvBatch, SendBatch};
use smol::Async;

/// A datagram socket on async-io's reactor.
#[derive(Debug)]
pub struct Datagram {
    socket: Async<UdpSocket>,
    local: SocketAddr,
}

impl Datagram {
    pub(crate) fn bind(local: SocketAddr) -> io::Result<Self> {
        Async::<UdpSocket>::bind(local)?.try_into()
    }
}

impl TryFrom<Async<UdpSocket>> for Datagram {
    type Error = io::Error;

    fn try_from(socket: Async<UdpSocket>) -> io::Result<Self> {
        Ok(Self { local: socket.get_ref().local_addr()?, socket })
    }
}

impl DatagramSocket for Datagram {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<usize>> {
        loop {
            match datagram::recv(&self.socket, self.local, batch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
            ready!(self.socket.poll_readable(cx))?;
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, batch: &mut SendBatch) -> Poll<io::Result<usize>> {
        loop {
            match datagram::send(&self.socket, batch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
            ready!(self.socket.poll_writable(cx))?;
        }
    }

    fn max_segments(&self) -> usize {
        datagram::max_segments(&self.socket)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

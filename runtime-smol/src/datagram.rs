//! Datagram sockets.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::task::{Context, Poll};

use glowplug_runtime::datagram::{DatagramSocket, Io, RecvBatch, SendBatch};
use smol::Async;

use crate::eager::{Eager, when_ready};

/// A datagram socket on async-io's reactor.
#[derive(Debug)]
pub struct Datagram {
    socket: Async<UdpSocket>,
    io: Io,
    receives: Eager,
    sends: Eager,
}

impl Datagram {
    pub(crate) fn bind(local: SocketAddr) -> io::Result<Self> {
        Async::<UdpSocket>::bind(local)?.try_into()
    }
}

impl TryFrom<Async<UdpSocket>> for Datagram {
    type Error = io::Error;

    fn try_from(socket: Async<UdpSocket>) -> io::Result<Self> {
        Ok(Self { io: Io::new(&socket)?, socket, receives: Eager::adaptive(), sends: Eager::default() })
    }
}

impl DatagramSocket for Datagram {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<usize>> {
        when_ready!(&mut self.receives, self.socket.poll_readable(cx), { self.io.recv(&self.socket, batch) })
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, batch: &mut SendBatch) -> Poll<io::Result<usize>> {
        when_ready!(&mut self.sends, self.socket.poll_writable(cx), self.io.send(&self.socket, batch))
    }

    fn max_segments(&self) -> usize {
        self.io.max_segments()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.io.local_addr())
    }
}

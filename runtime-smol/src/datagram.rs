//! Datagram sockets.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::task::{Context, Poll};

use glowplug_runtime::datagram::{self, DatagramSocket, RecvBatch, SendBatch};
use smol::Async;

use crate::eager::{Eager, when_ready};

/// A datagram socket on async-io's reactor.
#[derive(Debug)]
pub struct Datagram {
    socket: Async<UdpSocket>,
    local: SocketAddr,
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
        Ok(Self {
            local: socket.get_ref().local_addr()?,
            socket,
            receives: Eager::default(),
            sends: Eager::default(),
        })
    }
}

impl DatagramSocket for Datagram {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<usize>> {
        when_ready!(&mut self.receives, self.socket.poll_readable(cx), {
            datagram::recv(&self.socket, self.local, batch)
        })
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, batch: &mut SendBatch) -> Poll<io::Result<usize>> {
        when_ready!(&mut self.sends, self.socket.poll_writable(cx), datagram::send(&self.socket, batch))
    }

    fn max_segments(&self) -> usize {
        datagram::max_segments(&self.socket)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

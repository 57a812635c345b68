//! Datagram sockets.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use glowplug_runtime::{DatagramSocket, RecvBatch, SendBatch};

use crate::world::Handle;

/// A datagram socket.
#[derive(Debug)]
pub struct Datagram {
    world: Handle,
    id: u64,
    local: SocketAddr,
}

impl Datagram {
    pub(crate) fn bind(world: Handle, host: u64, local: SocketAddr) -> io::Result<Self> {
        let (id, local) = world.with(|world| world.bind(host, local))?;
        Ok(Self { world, id, local })
    }
}

impl DatagramSocket for Datagram {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<usize>> {
        self.world.with(|world| world.recv(self.id, batch, cx.waker()))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, batch: &mut SendBatch) -> Poll<io::Result<usize>> {
        self.world.with(|world| world.send(self.id, batch, cx.waker()))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

impl Drop for Datagram {
    fn drop(&mut self) {
        self.world.with(|world| world.unbind(self.id));
    }
}

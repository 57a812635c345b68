//! One datagram per system call, for systems without batches.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use glowplug_core::Path;

use super::{RecvBatch, SendBatch};

/// The largest payload a datagram can have, rounded up.
const LARGEST: usize = 64 * 1024;

/// What is known of a datagram socket, and the calls on it: the whole of a plug's datagram socket but the waiting.
#[derive(Debug)]
pub struct Io {
    local: SocketAddr,
}

impl Io {
    /// Looks at a bound, non-blocking socket.
    ///
    /// # Errors
    ///
    /// Those of asking for its address.
    pub fn new(socket: &impl AsRef<UdpSocket>) -> io::Result<Self> {
        Ok(Self { local: socket.as_ref().local_addr()? })
    }

    /// The address the socket is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// How many datagrams of one size and path go to the system as one: no more than one, here.
    pub fn max_segments(&self) -> usize {
        1
    }

    /// Receives what is there into `batch` without waiting, and says how many datagrams that were.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when there is nothing.
    pub fn recv(&mut self, socket: &impl AsRef<UdpSocket>, batch: &mut RecvBatch) -> io::Result<usize> {
        let mut landing = vec![0; LARGEST];
        let mut received = 0;
        while batch.room() > 0 {
            match socket.as_ref().recv_from(&mut landing) {
                Ok((len, from)) => batch.push(Path::to(from), &landing[..len], None),
                Err(_) if received > 0 => break,
                Err(error) => return Err(error),
            }
            received += 1;
        }
        Ok(received)
    }

    /// Sends from the front of `batch` without waiting and says how many transmits went.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the system takes nothing now. Any other is about the first transmit, which is
    /// gone from the batch.
    pub fn send(&mut self, socket: &impl AsRef<UdpSocket>, batch: &mut SendBatch) -> io::Result<usize> {
        let mut sent = 0;
        while let Some((transmit, payload)) = batch.iter().next() {
            let size = transmit.segment_size.unwrap_or(payload.len()).max(1);
            let mut result = Ok(0);
            if payload.is_empty() {
                result = socket.as_ref().send_to(payload, transmit.path.remote);
            }
            for chunk in payload.chunks(size) {
                result = socket.as_ref().send_to(chunk, transmit.path.remote);
            }
            match result {
                Ok(_) => batch.sent(1),
                Err(_) if sent > 0 => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(error) => {
                    batch.sent(1);
                    return Err(error);
                }
            }
            sent += 1;
        }
        Ok(sent)
    }
}

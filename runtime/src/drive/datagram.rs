//! The datagram driver: one machine on one datagram socket.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use glowplug_core::{DatagramProtocol, Instant};

use super::deadline::Deadline;
use crate::Runtime;
use crate::datagram::{DatagramSocket, RecvBatch, SendBatch};

/// How many batches one poll moves before it lets other tasks run.
const BATCHES_PER_POLL: u32 = 16;

/// How many receive errors in a row are taken for errors about single datagrams; beyond, the socket itself is broken.
const ERRORS_IN_A_ROW: u32 = 1024;

/// One datagram machine on one socket, driven by whoever asks for the next event.
///
/// Datagrams move in batches. Nothing moves unless [`next_event`](Self::next_event) is polled.
pub struct Datagrams<P, R: Runtime> {
    machine: P,
    socket: R::Datagram,
    incoming: RecvBatch,
    outgoing: SendBatch,
    deadline: Deadline<R::Timer>,
    runtime: R,
    refused: u64,
    errors_in_a_row: u32,
}

impl<P: DatagramProtocol, R: Runtime> Datagrams<P, R> {
    /// Puts `machine` on `socket`.
    pub fn new(runtime: R, socket: R::Datagram, machine: P) -> Self {
        Self {
            machine,
            socket,
            incoming: RecvBatch::new(),
            outgoing: SendBatch::new(),
            deadline: Deadline::new(runtime.timer()),
            runtime,
            refused: 0,
            errors_in_a_row: 0,
        }
    }

    /// The machine.
    pub fn machine(&self) -> &P {
        &self.machine
    }

    /// The machine, to act on. What it wants sent goes out with the next poll.
    pub fn machine_mut(&mut self) -> &mut P {
        &mut self.machine
    }

    /// The address the socket is bound to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// How many datagrams of one size and path the socket hands to the system as one: what a machine may put into one transmit
    /// with profit.
    pub fn max_segments(&self) -> usize {
        if self.outgoing.offloads() { self.socket.max_segments() } else { 1 }
    }

    /// How many datagrams the machine has refused so far.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Drives the socket until the machine has an event; `Ok(None)` once the machine is closed and everything is sent.
    ///
    /// Dropping the future loses nothing: call again.
    pub fn next_event(&mut self) -> NextDatagramEvent<'_, P, R> {
        NextDatagramEvent { driver: self }
    }

    /// [`next_event`](Self::next_event) as a poll function.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<P::Event>>> {
        let now = self.runtime.now();
        for _ in 0..BATCHES_PER_POLL {
            if self.deadline.is_due(now) {
                self.machine.handle_timeout(now);
            }
            if let Some(event) = self.machine.poll_event(now) {
                return Poll::Ready(Ok(Some(event)));
            }
            self.send(cx, now);
            if self.machine.is_closed() && self.outgoing.is_empty() {
                return Poll::Ready(Ok(None));
            }
            match self.socket.poll_recv(cx, &mut self.incoming) {
                Poll::Ready(Ok(_)) => {
                    self.errors_in_a_row = 0;
                    self.take_in(now);
                }
                Poll::Ready(Err(error)) => {
                    self.errors_in_a_row += 1;
                    if self.errors_in_a_row > ERRORS_IN_A_ROW {
                        return Poll::Ready(Err(error));
                    }
                }
                Poll::Pending => {
                    self.deadline.set(self.machine.poll_timeout());
                    if self.deadline.poll(cx, now).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Hands in the whole batch; the machine's own limits bound what it keeps of it.
    fn take_in(&mut self, now: Instant) {
        while let Some(path) = self.incoming.pop_unreachable() {
            self.machine.handle_unreachable(now, path);
        }
        self.machine.anticipate(&mut self.incoming.paths());
        while let Some(datagram) = self.incoming.pop() {
            if self.machine.handle_datagram(now, datagram.path, datagram.payload).is_err() {
                self.refused += 1;
            }
        }
    }

    fn send(&mut self, cx: &mut Context<'_>, now: Instant) {
        loop {
            self.outgoing.fill(now, &mut self.machine);
            if self.outgoing.is_empty() {
                return;
            }
            // An error is about the first datagram, which is gone: datagrams may be lost anywhere.
            if self.socket.poll_send(cx, &mut self.outgoing).is_pending() {
                return;
            }
        }
    }
}

impl<P: fmt::Debug, R: Runtime> fmt::Debug for Datagrams<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagrams").field("machine", &self.machine).finish_non_exhaustive()
    }
}

/// The future of [`Datagrams::next_event`].
#[must_use = "nothing moves until the future is polled"]
pub struct NextDatagramEvent<'d, P, R: Runtime> {
    driver: &'d mut Datagrams<P, R>,
}

impl<P: DatagramProtocol, R: Runtime> Future for NextDatagramEvent<'_, P, R> {
    type Output = io::Result<Option<P::Event>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.driver.poll_event(cx)
    }
}

impl<P, R: Runtime> fmt::Debug for NextDatagramEvent<'_, P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextDatagramEvent").finish_non_exhaustive()
    }
}

//! The exclusive driver: the caller drives.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, ReadInterest, StreamProtocol, WriteInterest};

use super::deadline::Deadline;
use super::{DriverError, Pump};
use crate::trace::Span;
use crate::{Runtime, Transport};

/// A connection of a pool keeps buffers of up to this size, one for each direction, from one request to the next, so that small ones cost
/// no allocations. Larger ones it gives back as soon as it waits.
#[cfg(any(feature = "http", feature = "mongodb", feature = "riak"))]
pub(crate) const KEPT_BUFFERS: usize = 4 * 1024;

/// How many reads one poll makes before it lets other tasks run.
const READS_PER_POLL: u32 = 32;

/// One machine on one transport, driven by whoever asks for the next event.
///
/// There is no task and no lock. Nothing moves unless [`next_event`](Self::next_event) (or
/// [`poll_event`](Self::poll_event)) is polled: keep polling it for as long as the connection matters.
pub struct Exclusive<P, T, R: Runtime> {
    machine: P,
    pump: Pump<T>,
    deadline: Deadline<R::Timer>,
    runtime: R,
    over: bool,
    span: Span,
    /// The clock when it was last read.
    polled_at: Instant,
    /// Empty buffers up to this size are kept while it waits.
    keeps: usize,
}

/// What is left when a connection is taken out of its driver.
#[derive(Debug)]
pub struct Parts<P, T> {
    /// The machine.
    pub machine: P,
    /// The transport.
    pub transport: T,
    /// What came in and the machine did not consume: the beginning of the next protocol.
    pub input: BytesMut,
    /// What the machine wanted sent and the transport had not taken yet.
    pub unsent: Bytes,
}

impl<P: StreamProtocol, T: Transport, R: Runtime> Exclusive<P, T, R> {
    /// Puts `machine` on `transport`.
    pub fn new(runtime: R, transport: T, machine: P) -> Self {
        Self::with_input(runtime, transport, machine, BytesMut::new())
    }

    /// Puts `machine` on `transport`, where another protocol already read `input`.
    pub fn with_input(runtime: R, transport: T, machine: P, input: BytesMut) -> Self {
        let deadline = Deadline::new(runtime.timer());
        Self {
            polled_at: runtime.now(),
            machine,
            pump: Pump::new(transport, input),
            deadline,
            runtime,
            over: false,
            keeps: 0,
            span: Span::exclusive(),
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

    /// The runtime this connection runs on.
    pub fn runtime(&self) -> &R {
        &self.runtime
    }

    /// What the clock said when this was last polled, or made. Who acts on the machine right after that need not read the clock again.
    pub fn polled_at(&self) -> Instant {
        self.polled_at
    }

    /// The next event that needs neither the transport nor the clock, if there is one: for whoever has just polled.
    ///
    /// # Errors
    ///
    /// That of the machine, which is over with it.
    pub fn next_buffered(&mut self) -> Result<Option<P::Event>, P::Error> {
        self.machine.poll_event(self.polled_at, &mut self.pump.input)
    }

    /// Lets `act` act on the machine and on what came and was not consumed yet, at the time of the last poll: for what a machine does beside its events.
    #[cfg(feature = "http")]
    pub(crate) fn with_buffered<O>(&mut self, act: impl FnOnce(&mut P, Instant, &mut BytesMut) -> O) -> O {
        act(&mut self.machine, self.polled_at, &mut self.pump.input)
    }

    /// How many bytes the transport has taken so far: one that has taken nothing of a message has not sent it.
    pub fn written(&self) -> u64 {
        self.pump.written
    }

    /// True while the machine has handed out what the transport has not taken yet, or still keeps to itself.
    pub fn has_unsent(&self) -> bool {
        self.pump.has_unsent()
    }

    /// The size of what is left of the buffer that it reads into: what a slice of it keeps alive.
    pub fn input_capacity(&self) -> usize {
        self.pump.input.capacity()
    }

    /// Keeps its two buffers, as long as they are no larger than this, for the next message rather than to give them back while it waits.
    /// By default it gives them back, so that a connection that waits holds none.
    pub fn keep_buffers(&mut self, up_to: usize) {
        self.keeps = up_to;
    }

    /// Takes everything apart, for an upgrade to another protocol.
    pub fn into_parts(self) -> Parts<P, T> {
        let (transport, input, mut output) = self.pump.into_parts();
        Parts { machine: self.machine, transport, input, unsent: output.take_all() }
    }

    /// Drives the connection until the machine has an event. `Ok(None)` is the end in good order; after it, and after an
    /// error, `Ok(None)` comes again.
    ///
    /// Dropping the future loses nothing: call again.
    pub fn next_event(&mut self) -> NextEvent<'_, P, T, R> {
        NextEvent { driver: self }
    }

    /// [`next_event`](Self::next_event) as a poll function.
    pub fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<P::Event>, DriverError<P::Error>>> {
        self.polled_at = self.runtime.now();
        self.poll_event_now(cx)
    }

    /// The same for whoever knows that [`polled_at`](Self::polled_at) is now: the clock is not read once more.
    pub(crate) fn poll_event_now(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<P::Event>, DriverError<P::Error>>> {
        if self.over {
            return Poll::Ready(Ok(None));
        }
        let span = self.span.clone();
        let _entered = span.enter();
        // One look at the clock for all reads between two waits: they don't wait, and each look would be felt.
        let mut now = self.polled_at;
        for _ in 0..READS_PER_POLL {
            if self.deadline.is_due(now) {
                self.machine.handle_timeout(now);
            }
            match self.machine.poll_event(now, &mut self.pump.input) {
                Ok(Some(event)) => return Poll::Ready(Ok(Some(event))),
                Ok(None) => {}
                Err(error) => {
                    // The goodbye goes out as far as the transport takes it at once: a peer that does not read must not
                    // keep the error from its reader.
                    self.machine.poll_transmit(now, &mut self.pump.output);
                    if self.pump.poll_write_out(cx).is_ready() {
                        let _ = self.pump.poll_shutdown(cx);
                    }
                    self.over = true;
                    return Poll::Ready(Err(DriverError::Protocol(error)));
                }
            }
            let before = self.pump.output.len();
            self.machine.poll_transmit(now, &mut self.pump.output);
            let added = self.pump.output.len() > before;
            let full = !self.pump.output.has_room();
            let written = self.pump.poll_write_out(cx).is_ready();
            if added || full && self.pump.output.has_room() {
                // Handing output over is a mutation: the machine may go on with input that it had left for want of room. And
                // writing makes room for output that it had kept.
                continue;
            }
            let interest = self.machine.interest();
            if written && interest.write == WriteInterest::Closed {
                let shut = self.pump.poll_shutdown(cx).is_ready();
                if shut && interest.read == ReadInterest::Closed {
                    self.over = true;
                    return Poll::Ready(Ok(None));
                }
            }
            if self.pump.write_failed() && (self.pump.eof || !interest.read.wants()) {
                self.over = true;
                return Poll::Ready(match self.pump.take_write_error() {
                    Some(error) => Err(error.into()),
                    None => Ok(None),
                });
            }
            if interest.read.wants() && !self.pump.eof {
                match self.pump.poll_read(cx) {
                    Poll::Ready(Ok(len)) => {
                        if len == 0 {
                            self.machine.handle_eof(now);
                        }
                        continue;
                    }
                    Poll::Ready(Err(error)) => {
                        self.over = true;
                        return Poll::Ready(Err(self.pump.take_write_error().unwrap_or(error).into()));
                    }
                    Poll::Pending => {}
                }
            }
            self.deadline.set(self.machine.poll_timeout());
            if self.deadline.poll(cx, now).is_pending() {
                self.pump.release_memory_above(self.keeps);
                return Poll::Pending;
            }
            now = self.runtime.now();
            self.polled_at = now;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The same for whoever looks whether an idle connection still stands: where nothing is to be sent and nothing has come, it is a look at
    /// the transport and no more. Neither is a timer set nor a waker left behind; that is for whoever goes on to wait.
    #[cfg(any(feature = "http", feature = "mongodb"))]
    pub(crate) fn poll_idle(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<P::Event>, DriverError<P::Error>>> {
        let now = self.runtime.now();
        let calm = !self.over && !self.pump.has_unsent() && !self.pump.eof && !self.deadline.is_due(now);
        if calm && self.pump.input().is_empty() && self.machine.interest().read.wants() {
            self.polled_at = now;
            match self.pump.poll_look(cx) {
                Poll::Pending | Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0)) => self.machine.handle_eof(now),
                Poll::Ready(Err(error)) => {
                    self.over = true;
                    return Poll::Ready(Err(error.into()));
                }
            }
            if self.pump.input().is_empty() && !self.pump.eof {
                return match self.machine.poll_event(now, &mut self.pump.input) {
                    Ok(None) => Poll::Pending,
                    Ok(event) => Poll::Ready(Ok(event)),
                    Err(error) => {
                        self.over = true;
                        Poll::Ready(Err(DriverError::Protocol(error)))
                    }
                };
            }
        }
        self.poll_event(cx)
    }

    /// Asks the machine to finish and drives it to its end; events on the way are dropped.
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn finish(&mut self) -> Result<(), DriverError<P::Error>> {
        self.machine.close(self.runtime.now());
        while self.next_event().await?.is_some() {}
        Ok(())
    }
}

/// The future of [`Exclusive::next_event`].
#[must_use = "a connection moves only while it is polled"]
pub struct NextEvent<'d, P, T, R: Runtime> {
    driver: &'d mut Exclusive<P, T, R>,
}

impl<P: StreamProtocol, T: Transport, R: Runtime> Future for NextEvent<'_, P, T, R> {
    type Output = Result<Option<P::Event>, DriverError<P::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.driver.poll_event(cx)
    }
}

impl<P: fmt::Debug, T, R: Runtime> fmt::Debug for Exclusive<P, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exclusive")
            .field("machine", &self.machine)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl<P, T, R: Runtime> fmt::Debug for NextEvent<'_, P, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextEvent").finish_non_exhaustive()
    }
}

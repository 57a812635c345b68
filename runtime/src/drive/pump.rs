//! A transport and its two buffers.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use glowplug_core::SendBuf;

use crate::Transport;
use crate::read::{offered, room_after};

/// A connection that is shared, and so has no end of its own to its messages, keeps a buffer of up to this size while it waits.
const LARGE: usize = 1024 * 1024;

/// A transport with the two buffers that a machine borrows, and the state of its two halves.
#[derive(Debug)]
pub struct Pump<T> {
    transport: T,
    /// What came and was not consumed yet.
    pub(crate) input: BytesMut,
    /// What the machine wants sent and the transport has not taken yet.
    pub(crate) output: SendBuf,
    /// Bytes were handed to a transport that may keep them until it is flushed.
    unflushed: bool,
    /// The peer has finished sending.
    pub(crate) eof: bool,
    /// Bytes that the transport has taken so far.
    pub(super) written: u64,
    /// How much room to make for the next read.
    room: usize,
    /// The size of the largest buffer that was read into since the last one was given back. Part of it may belong to messages by now,
    /// but as long as this end of it is held, all of it is.
    grown: usize,
    write_half: WriteHalf,
}

#[derive(Debug)]
enum WriteHalf {
    Open,
    /// Shut down by us, in good order.
    Shut,
    /// The transport takes no more. What the peer sent before may still wait to be read, so this is not yet the end.
    Failed(Option<io::Error>),
}

impl<T: Transport> Pump<T> {
    /// A pump that starts with what another protocol on the same transport left over.
    pub fn new(transport: T, input: BytesMut) -> Self {
        Self {
            transport,
            input,
            output: SendBuf::new(),
            unflushed: false,
            eof: false,
            written: 0,
            room: 0,
            grown: 0,
            write_half: WriteHalf::Open,
        }
    }

    /// The transport itself.
    pub(crate) fn transport(&self) -> &T {
        &self.transport
    }

    /// The transport itself, for what comes before the first byte.
    pub(crate) fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// What came and was not consumed yet.
    pub(crate) fn input(&self) -> &[u8] {
        &self.input
    }

    /// The same, to be consumed.
    pub(crate) fn input_mut(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// How many bytes wait for the transport to take them.
    pub(crate) fn queued(&self) -> usize {
        self.output.len()
    }

    /// What waits for the transport, to add to it.
    pub(crate) fn output_mut(&mut self) -> &mut SendBuf {
        &mut self.output
    }

    /// True once the peer has finished sending.
    pub(crate) fn at_end(&self) -> bool {
        self.eof
    }

    /// Writes until the output is empty and flushed. A write that fails is remembered, not returned: what the peer sent
    /// before counts, and reading finds the end by itself.
    #[inline]
    pub(crate) fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_unsent() { self.poll_write_rest(cx) } else { Poll::Ready(()) }
    }

    fn poll_write_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !matches!(self.write_half, WriteHalf::Open) {
            self.discard_output();
            return Poll::Ready(());
        }
        match ready!(self.try_write_out(cx)) {
            Ok(()) => {}
            Err(error) => {
                self.write_half = WriteHalf::Failed(Some(error));
                self.discard_output();
            }
        }
        Poll::Ready(())
    }

    fn try_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            self.written += ready!(self.transport.poll_write(cx, &mut self.output))? as u64;
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(self.transport.poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// True while there is something to write or to flush.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.output.is_empty() || self.unflushed
    }

    fn discard_output(&mut self) {
        self.output.clear();
    }

    /// Tells the peer that no more will come. Failing to is the same as a failed write.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.write_half, WriteHalf::Open) {
            self.write_half = match ready!(self.transport.poll_shutdown(cx)) {
                Ok(()) => WriteHalf::Shut,
                Err(error) => WriteHalf::Failed(Some(error)),
            };
        }
        Poll::Ready(())
    }

    /// Reads once; 0 is the end of the stream, which is remembered.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.room > 0 {
            self.make_room();
        }
        let offered = offered(&self.input);
        let n = ready!(self.transport.poll_read(cx, &mut self.input))?;
        self.eof = n == 0;
        self.room = room_after(n, offered);
        self.grown = self.grown.max(self.input.capacity());
        Poll::Ready(Ok(n))
    }

    /// Makes room for a long read: from the front of the buffer again if nobody holds a part of it any more, since that place is in
    /// the cache and the one behind it may not be.
    fn make_room(&mut self) {
        let most = self.grown.max(self.room);
        if !(self.input.is_empty() && self.input.try_reclaim(most)) {
            self.input.reserve(self.room);
        }
    }

    /// Reads once if something has come; a waker is not left behind.
    #[cfg(any(feature = "http", feature = "mongodb"))]
    pub(super) fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let n = ready!(self.transport.poll_look(cx, &mut self.input))?;
        self.eof = n == 0;
        Poll::Ready(Ok(n))
    }

    /// The error of a failed write, once.
    pub(crate) fn take_write_error(&mut self) -> Option<io::Error> {
        match &mut self.write_half {
            WriteHalf::Failed(error) => error.take(),
            _ => None,
        }
    }

    /// True when a write has failed.
    pub(crate) fn write_failed(&self) -> bool {
        matches!(self.write_half, WriteHalf::Failed(_))
    }

    /// True while nothing waits in either buffer and both directions are open.
    pub(super) fn is_at_rest(&self) -> bool {
        self.input.is_empty()
            && self.output.is_empty()
            && !self.unflushed
            && !self.eof
            && matches!(self.write_half, WriteHalf::Open)
    }

    /// Gives the buffers' memory back while they are empty, so that a connection at rest holds none.
    pub(crate) fn release_memory(&mut self) {
        self.release_memory_above(0);
    }

    /// The same for those of them that are larger than `kept`.
    pub(crate) fn release_memory_above(&mut self, kept: usize) {
        if self.input.is_empty() && self.input.capacity() > kept {
            self.input = BytesMut::new();
        }
        if self.output.scratch().capacity() > kept || kept == 0 {
            self.output.release_memory();
        }
    }

    /// Gives back what a large message has left behind.
    pub(super) fn release_large(&mut self) {
        if self.grown > LARGE && self.input.is_empty() {
            self.input = BytesMut::new();
            self.grown = 0;
        }
    }

    pub(crate) fn into_parts(self) -> (T, BytesMut, SendBuf) {
        (self.transport, self.input, self.output)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// One that has as many bytes to read as it says.
    struct Source(usize);

    impl Transport for Source {
        fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
            let len = self.0.min(100_000);
            self.0 -= len;
            buf.extend_from_slice(&vec![7; len]);
            Poll::Ready(Ok(len))
        }

        fn poll_write(&mut self, _: &mut Context<'_>, _: &mut SendBuf) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn read(len: usize) -> Pump<Source> {
        let mut pump = Pump::new(Source(len), BytesMut::new());
        let mut cx = Context::from_waker(Waker::noop());
        while !pump.eof {
            assert!(matches!(pump.poll_read(&mut cx), Poll::Ready(Ok(_))));
        }
        assert_eq!(pump.input.len(), len);
        pump
    }

    #[test]
    fn what_a_large_message_leaves_behind_is_given_back() {
        let mut pump = read(3 * LARGE);
        let message = pump.input.split_to(3 * LARGE - 1);
        pump.release_large();
        assert_eq!(pump.input, [7][..], "what was not consumed stays");
        pump.input.clear();
        drop(message);
        pump.release_large();
        assert_eq!(pump.input.capacity(), 0);
        // Even where this end of the buffer is short: it holds all of it.
        let mut pump = read(3 * LARGE);
        drop(pump.input.split_to(3 * LARGE));
        pump.release_large();
        assert_eq!(pump.input.capacity(), 0);
    }

    #[test]
    fn a_long_read_goes_where_the_last_one_went_unless_that_is_held() {
        let mut pump = Pump::new(Source(usize::MAX), BytesMut::new());
        let mut cx = Context::from_waker(Waker::noop());
        let mut read = |pump: &mut Pump<Source>| {
            pump.input.clear();
            assert!(matches!(pump.poll_read(&mut cx), Poll::Ready(Ok(100_000))));
            pump.input.split_to(100_000)
        };
        // Until it has grown to its size.
        for _ in 0..4 {
            drop(read(&mut pump));
        }
        let first = read(&mut pump);
        let place = first.as_ptr();
        drop(first);
        let again = read(&mut pump);
        assert_eq!(again.as_ptr(), place);
        let other = read(&mut pump);
        assert_ne!(other.as_ptr(), place);
        assert_eq!(again, other);
    }

    #[test]
    fn what_is_usual_is_kept() {
        let mut pump = read(50_000);
        pump.input.clear();
        pump.release_large();
        assert!(pump.input.capacity() >= 50_000);
    }
}

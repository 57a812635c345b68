//! The contract of a byte-stream protocol.

use bytes::BytesMut;

use crate::{Instant, SendBuf};

/// One end of one byte-stream connection, as a pure state machine.
///
/// The *driver* owns the transport, both buffers and the clock; the *protocol* borrows them. What the application
/// asks for (send this request, release that credit) are inherent methods of each machine, because their results
/// differ; this trait is the wire side alone, which is all a driver needs.
///
/// # The canonical loop
///
/// A *mutation* is a call of anything that takes `&mut self`. **After any mutation, and until `poll_event` has
/// returned `Ok(None)` and `poll_transmit` has added nothing, the machine must be polled again before waiting.**
///
/// 1. Take events with [`poll_event`](Self::poll_event) until it returns `Ok(None)` or `Err`.
/// 2. Let [`poll_transmit`](Self::poll_transmit) fill the output and write it to the transport.
/// 3. Ask [`interest`](Self::interest): done when reading is `Closed`, writing is `Closed` and the output is empty;
///    shut the write half down as soon as writing is `Closed` and the output is empty.
/// 4. Ask [`poll_timeout`](Self::poll_timeout) and wait for: the transport to be readable (only when the interest
///    is `Want`), the transport to be writable (only when output is left), the deadline, the application.
/// 5. Bytes came: append them to the input. End of stream: call [`handle_eof`](Self::handle_eof). The deadline
///    passed: call [`handle_timeout`](Self::handle_timeout).
/// 6. Go to 1.
///
/// # The contract
///
/// Each line is a law that the conformance suite checks on every protocol:
///
/// - **Cuts.** The events do not depend on how the input was cut, nor on how small the output's room was
///   (adjacent body data counts as joined).
/// - **Incomplete input stays.** `Ok(None)` leaves an incomplete frame in `input` and remembers how far it looked:
///   the cost of one-byte reads is linear. A protocol that was told to pause may leave complete frames too.
/// - **Time.** `handle_timeout` before the deadline does nothing. At or after it, it either moves `poll_timeout`
///   past `now`, or has done one full bounded batch of work and stays due; the driver yields between batches.
/// - **End of stream.** After `handle_eof` at any prefix, a bounded number of polls ends the read side.
/// - **Errors end it.** After `Err` the machine is finished: every later `poll_event` returns an error or `Ok(None)`
///   and consumes nothing, but `poll_transmit` may still send a goodbye.
/// - **Bounds.** Work per call is bounded by the input at hand, memory by the configured limits. No input panics.
pub trait StreamProtocol {
    /// What the machine tells the application.
    type Event;
    /// Why the connection is over. Failures of a single request are events, not errors.
    type Error: core::error::Error + Send + Sync + 'static;

    /// Takes the next event off the front of `input`.
    ///
    /// `Ok(None)` means that more input, more time, room in the output or a word of the application is needed.
    /// An error ends the connection; nothing that was returned before it is taken back.
    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<Self::Event>, Self::Error>;

    /// Appends bytes to send to `out` until there are none or `out` [has no room](SendBuf::has_room).
    ///
    /// Output is pulled late, so queues stay bounded and a multiplexed protocol chooses its stream last. Room is a
    /// soft limit: one whole frame may overshoot it.
    fn poll_transmit(&mut self, now: Instant, out: &mut SendBuf);

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, if nothing else happens first.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Tells the machine that its deadline may have passed. Calling it early does nothing.
    fn handle_timeout(&mut self, now: Instant);

    /// Tells the machine that the peer will send no more. What is still in the input counts: keep polling events.
    fn handle_eof(&mut self, now: Instant);

    /// The application wants to finish: no new work is accepted, what is in flight completes.
    fn close(&mut self, now: Instant);

    /// What the machine wants of the transport now.
    fn interest(&self) -> Interest;
}

/// What a stream machine wants of its transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a driver that ignores the interest reads past a pause or never ends"]
pub struct Interest {
    /// Whether to read, and how much would help.
    pub read: ReadInterest,
    /// Whether more output can ever come.
    pub write: WriteInterest,
}

impl Interest {
    /// Reads and writes as usual; the driver chooses the read size.
    pub const OPEN: Self = Self { read: ReadInterest::Want(1), write: WriteInterest::Open };
    /// Both directions are over: once the output is written, the transport can go.
    pub const CLOSED: Self = Self { read: ReadInterest::Closed, write: WriteInterest::Closed };

    /// True when nothing is left to read or to produce. Output already handed over may still wait to be written.
    pub const fn is_closed(self) -> bool {
        matches!((self.read, self.write), (ReadInterest::Closed, WriteInterest::Closed))
    }
}

/// The read half of an [`Interest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadInterest {
    /// Read on. At least this many more bytes are needed for the next event: a hint for the size of the read,
    /// never less than 1. The number comes from the peer: a driver reserves no more than it sees fit.
    Want(usize),
    /// Read nothing now: the application has to take what it was given first. End of stream is not looked for.
    Paused,
    /// Nothing the peer sends matters any more.
    Closed,
}

impl ReadInterest {
    /// True for [`Want`](Self::Want).
    pub const fn wants(self) -> bool {
        matches!(self, Self::Want(_))
    }
}

/// The write half of an [`Interest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteInterest {
    /// More output may come.
    Open,
    /// `poll_transmit` will add nothing more: shut the write half down when the output is empty.
    Closed,
}

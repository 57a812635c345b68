//! A machine on a transport, moved by whoever polls.

use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, ReadInterest, StreamProtocol, WriteInterest};
use glowplug_websocket::{CloseFrame, Connection, Event, Message, MessageKind, SendError};

use super::Error;
use crate::drive::{Deadline, Pump};
use crate::{Runtime, Transport};

/// How many turns one poll takes before it lets other tasks run.
const TURNS_PER_POLL: u32 = 32;

/// How long the memory of empty buffers is kept, so that a busy socket allocates none and an idle one holds none.
const REST_AFTER: Duration = Duration::from_secs(2);

/// One end of a connection, without a task: both directions move while anything is polled.
pub(super) struct Link<R: Runtime, T> {
    machine: Connection,
    pump: Pump<T>,
    deadline: Deadline<R::Timer>,
    runtime: R,
    /// The latest time that the machine was told. Where nothing is judged by it, it will do for the next call as well: a look at the clock
    /// for each would be felt.
    told_at: Instant,
    /// What was received and nobody has taken yet. Nothing is read before that.
    told: Option<Event>,
    /// Something came, or went, or a moment passed, since the machine had nothing more to tell.
    stirred: bool,
    /// Nobody will take anything any more.
    deaf: bool,
    /// The peer's good-bye.
    goodbye: Option<CloseFrame>,
    end: Option<End>,
    /// With what writing failed. What the peer sent before is told all the same.
    lost: Option<Error>,
    write_timeout: Option<Duration>,
    /// When a peer that takes nothing is given up.
    stall: Option<Instant>,
    /// When the memory of idle buffers is given back.
    rest: Option<Instant>,
}

/// How it ended.
enum End {
    Closed,
    /// With what it failed, and whether the receiver was told.
    Failed(Error, bool),
}

impl<R: Runtime, T: Transport> Link<R, T> {
    /// A link that begins with what came behind the handshake, and with what of that was not sent yet.
    pub(super) fn new(
        runtime: R,
        transport: T,
        machine: Connection,
        input: BytesMut,
        unsent: Bytes,
        write_timeout: Option<Duration>,
    ) -> Self {
        let mut pump = Pump::new(transport, input);
        // Nobody looks at it idle: who waits for a message waits until the reactor says that there is one.
        pump.transport_mut().prefer_readiness();
        pump.output_mut().push(unsent);
        Self {
            machine,
            pump,
            deadline: Deadline::new(runtime.timer()),
            told_at: runtime.now(),
            told: None,
            stirred: true,
            deaf: false,
            goodbye: None,
            end: None,
            lost: None,
            write_timeout,
            stall: None,
            rest: None,
            runtime,
        }
    }

    pub(super) fn goodbye(&self) -> Option<&CloseFrame> {
        self.goodbye.as_ref()
    }

    /// True while messages are taken for sending.
    pub(super) fn is_open(&self) -> bool {
        self.end.is_none() && self.lost.is_none() && self.machine.is_open()
    }

    /// True when the receiver has something to take.
    pub(super) fn has_news(&self) -> bool {
        self.told.is_some() || self.end.is_some()
    }

    /// True when one that waits to send, or to have sent, has something to look at.
    pub(super) fn has_relief(&self) -> bool {
        !self.is_open() || self.machine.has_room() && !self.has_unsent()
    }

    fn has_unsent(&self) -> bool {
        self.machine.unsent() > 0 || self.pump.has_unsent()
    }

    /// Whatever comes is thrown away from now on.
    pub(super) fn stop_listening(&mut self) {
        self.deaf = true;
        self.told = None;
    }

    /// The next event: `None` once the connection is over in good order, and after an error was told.
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>, Error>> {
        if self.told.is_none() {
            self.drive(cx);
        }
        if let Some(event) = self.told.take() {
            return Poll::Ready(Ok(Some(event)));
        }
        match &mut self.end {
            None => Poll::Pending,
            Some(End::Failed(error, told)) if !*told => {
                *told = true;
                Poll::Ready(Err(error.clone()))
            }
            Some(_) => Poll::Ready(Ok(None)),
        }
    }

    /// The next whole message.
    pub(super) fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        loop {
            match self.poll_event(cx) {
                Poll::Ready(Ok(Some(Event::Message(message)))) => return Poll::Ready(Ok(Some(message))),
                Poll::Ready(Ok(Some(_))) => {}
                Poll::Ready(Ok(None)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Ready when a message would be taken.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.is_open() && self.machine.has_room() {
            return Poll::Ready(Ok(()));
        }
        self.drive(cx);
        self.check_open()?;
        if self.machine.has_room() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Ready when the transport has taken everything.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.has_unsent() && self.end.is_none() {
            let _ = self.write(cx);
            if self.has_unsent() {
                self.drive(cx);
            }
        }
        match (&self.end, &self.lost) {
            (Some(End::Failed(error, _)), _) | (None, Some(error)) => Poll::Ready(Err(error.clone())),
            (None, None) if self.has_unsent() => Poll::Pending,
            (Some(End::Closed), _) | (None, None) => Poll::Ready(Ok(())),
        }
    }

    /// Ready when the connection is over. What comes meanwhile is thrown away.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            self.told = None;
            self.drive(cx);
            match &self.end {
                Some(End::Failed(error, _)) => return Poll::Ready(Err(error.clone())),
                Some(End::Closed) => return Poll::Ready(Ok(())),
                None if self.told.is_some() => {}
                None => return Poll::Pending,
            }
        }
    }

    fn check_open(&self) -> Result<(), Error> {
        match (&self.end, &self.lost) {
            (Some(End::Failed(error, _)), _) | (None, Some(error)) => Err(error.clone()),
            (None, None) if self.machine.is_open() => Ok(()),
            _ => Err(Error::Closed),
        }
    }

    /// Takes a message for sending, once there is [room](Self::poll_room).
    pub(super) fn send(&mut self, message: Message) -> Result<(), Error> {
        self.check_open()?;
        self.machine.send(self.told_at, message).map_err(|error| refused(&error))
    }

    /// Takes a piece of a message for sending.
    pub(super) fn send_data(&mut self, kind: MessageKind, data: Bytes, last: bool) -> Result<(), Error> {
        self.check_open()?;
        self.machine.send_data(self.told_at, kind, data, last).map_err(|error| refused(&error))
    }

    /// Takes a ping for sending.
    pub(super) fn ping(&mut self, payload: Bytes) -> Result<(), Error> {
        self.check_open()?;
        self.machine.ping(self.told_at, payload).map_err(|error| refused(&error))
    }

    /// Says good-bye, unless that was done.
    pub(super) fn close(&mut self, frame: &CloseFrame) {
        self.told_at = self.runtime.now();
        self.machine.close_with(self.told_at, Some(frame));
    }

    /// Moves what moves. Afterwards there is something to take, or the end, or the task is woken when there will be.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        // One look at the clock for all turns between two waits.
        let mut now = self.runtime.now();
        self.told_at = now;
        for _ in 0..TURNS_PER_POLL {
            if self.end.is_some() {
                return;
            }
            if self.told.is_none() && self.stirred {
                match self.machine.poll_event(now, &mut self.pump.input) {
                    Ok(Some(event)) => {
                        self.hear(event);
                        if self.told.is_none() {
                            continue;
                        }
                        if !self.has_unsent() {
                            return;
                        }
                    }
                    Ok(None) => self.stirred = false,
                    Err(error) => return self.fail(cx, error),
                }
            }
            let written = if self.has_unsent() { self.write(cx) } else { Poll::Ready(()) };
            if self.told.is_some() {
                return self.watch_writing(cx, now, written);
            }
            let interest = self.machine.interest();
            if written.is_ready() && interest.write == WriteInterest::Closed {
                let shut = self.pump.poll_shutdown(cx);
                self.note_progress(shut, 0);
                if shut.is_ready() && interest.read == ReadInterest::Closed {
                    self.end = Some(End::Closed);
                    return;
                }
            }
            if self.pump.write_failed() && (self.pump.eof || !interest.read.wants()) {
                self.end = Some(self.lost.clone().map_or(End::Closed, |error| End::Failed(error, false)));
                return;
            }
            if interest.read.wants() && !self.pump.eof {
                match self.pump.poll_read(cx) {
                    Poll::Ready(Ok(len)) => {
                        if len == 0 {
                            self.machine.handle_eof(now);
                        }
                        self.stirred = true;
                        continue;
                    }
                    Poll::Ready(Err(error)) => {
                        let error = self.lost.clone().unwrap_or_else(|| error.into());
                        self.end = Some(End::Failed(error, false));
                        return;
                    }
                    Poll::Pending => {}
                }
            } else if !self.pump.input.is_empty() || self.pump.eof && interest.read.wants() {
                // More of what came before is to be told.
                self.stirred = true;
                continue;
            }
            if self.sleep(cx, now).is_pending() {
                return;
            }
            self.stirred = true;
            now = self.runtime.now();
            self.told_at = now;
        }
        cx.waker().wake_by_ref();
    }

    /// Everything that came was heard: time may be told now.
    fn sleep(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        if self.stall.is_some_and(|at| at <= now) {
            self.end = Some(End::Failed(Error::WriteTimedOut, false));
            return Poll::Pending;
        }
        if self.rest.is_some_and(|at| at <= now) {
            self.rest = None;
            self.pump.release_memory();
            self.machine.release_memory();
        } else if self.rest.is_none() && self.pump.input.capacity() > 0 {
            self.rest = Some(now + REST_AFTER);
        }
        if self.machine.poll_timeout().is_some_and(|at| at <= now) {
            self.machine.handle_timeout(now);
            return Poll::Ready(());
        }
        self.deadline.set([self.machine.poll_timeout(), self.stall, self.rest].into_iter().flatten().min());
        self.deadline.poll(cx, now)
    }

    /// While nobody takes what was received, only writing has a deadline.
    fn watch_writing(&mut self, cx: &mut Context<'_>, now: Instant, written: Poll<()>) {
        if written.is_ready() {
            return;
        }
        if self.stall.is_some_and(|at| at <= now) {
            self.end = Some(End::Failed(Error::WriteTimedOut, false));
            return;
        }
        self.deadline.set(self.stall);
        if self.deadline.poll(cx, now).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    fn hear(&mut self, event: Event) {
        if let Event::Close(frame) = &event {
            self.goodbye.clone_from(frame);
        }
        if !self.deaf {
            self.told = Some(event);
        }
    }

    /// Hands output over and writes it.
    fn write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.machine.poll_transmit(self.told_at, &mut self.pump.output);
            let there = self.pump.output.len();
            let polled = self.pump.poll_write_out(cx);
            self.note_progress(polled, there - self.pump.output.len());
            if self.pump.write_failed()
                && let Some(error) = self.pump.take_write_error()
            {
                self.lost = Some(error.into());
            }
            if polled.is_pending() || self.machine.unsent() == 0 {
                return polled;
            }
        }
    }

    /// Moves the deadline of a peer that takes nothing.
    fn note_progress(&mut self, polled: Poll<()>, written: usize) {
        if polled.is_ready() {
            self.stall = None;
        } else if self.stall.is_none() || written > 0 {
            self.stall = self.write_timeout.map(|timeout| self.runtime.now() + timeout);
        }
    }

    /// The machine has failed: its good-bye goes out as far as the transport takes it at once.
    fn fail(&mut self, cx: &mut Context<'_>, error: glowplug_websocket::Error) {
        if self.write(cx).is_ready() {
            let _ = self.pump.poll_shutdown(cx);
        }
        self.end = Some(End::Failed(Error::Protocol(error), false));
    }
}

/// What the machine refuses, in this module's terms.
fn refused<M>(error: &SendError<M>) -> Error {
    match error {
        SendError::Busy(_) => Error::Message("another message is being sent in pieces"),
        SendError::Utf8(_) => Error::Message("the text is not utf-8"),
        SendError::TooLong(_) => Error::Message("a ping carries at most 125 bytes"),
        SendError::Full(_) => Error::Message("too much waits to be sent"),
        _ => Error::Closed,
    }
}

impl<R: Runtime, T> fmt::Debug for Link<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("open", &self.machine.is_open())
            .field("over", &self.end.is_some())
            .finish_non_exhaustive()
    }
}

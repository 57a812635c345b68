//! One connection without its application: the machine, the transport, and every deadline.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use glowplug_core::{Instant, ReadInterest, StreamProtocol, WriteInterest};
use glowplug_http::{
    BodyLength, FieldSource, HttpDate, RequestHead, ServerConnection, ServerEvent, StreamId,
};
use http::{HeaderMap, StatusCode, header};

use super::incoming::{BodyError, Channel, Incoming};
use super::service::Asked;
use super::upgrade::{Offer, Upgraded};
use super::{Connection, Settings};
use crate::drive::Deadline;
use crate::drive::Pump;
use crate::server::Stopping;
use crate::{MaybeTls, Runtime, Transport};

/// How long a connection that asks more than once keeps the memory of its empty buffers: so a busy one allocates none, and an idle one
/// holds none.
const REST_AFTER: Duration = Duration::from_secs(2);

/// A head is copied out of a read buffer that is larger than this: a value that a handler keeps must not pin a large buffer.
const SHARED_UP_TO: usize = 8 * 1024;

/// What became of output.
pub(super) struct Transmitted {
    /// The machine was relieved of some.
    pub(super) some: bool,
    /// There was no room for all of it, and now there is.
    pub(super) more: bool,
    /// Whether what was handed over is written.
    pub(super) written: Poll<()>,
}

/// The request at hand. Who reads its body learns when this goes.
struct Exchange {
    stream: StreamId,
    expects_continue: bool,
    body: Option<Arc<Channel>>,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(channel) = &self.body {
            channel.fail(BodyError::Disconnected);
        }
    }
}

/// What handlers hold of the connection; they learn when this goes.
struct Presence(Connection);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.set_peer_closed();
    }
}

/// How a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// In good order, or as the machine wanted.
    Closed,
    /// The transport failed, or the peer took too long to read.
    Lost,
    /// Handed over to another protocol.
    Upgraded,
}

/// What the application has to do about what came in.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "boxing requests would cost an allocation for each")]
pub(super) enum Heard<Q> {
    /// Nothing new for it.
    Nothing,
    /// Something it may be waiting for.
    News,
    /// Answer this.
    Request(Q),
    /// The answer is not wanted any more.
    Over,
}

/// What comes of the head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// Its body is due.
    Body,
    /// The answer is complete.
    Done,
}

pub(super) struct Link<R: Runtime> {
    runtime: R,
    settings: Arc<Settings<R>>,
    machine: ServerConnection,
    pump: Pump<MaybeTls<R::Stream>>,
    deadline: Deadline<R::Timer>,
    stopping: Option<Stopping>,
    presence: Presence,
    exchange: Option<Exchange>,
    /// For the `OnUpgrade` of the request at hand, or of the answer that granted it.
    offer: Option<Offer>,
    /// The machine has come to its end, and the transport belongs to whoever took the offer.
    upgraded: bool,
    /// The last request's channel, for the next one's body.
    spare: Option<Arc<Channel>>,
    /// Until when the machine's date is right.
    date_until: Option<Instant>,
    /// When a peer that does not read is given up.
    stall: Option<Instant>,
    /// When the memory of idle buffers is given back; none when it was.
    rest: Option<Instant>,
    /// Something moved since the memory of idle buffers was given back.
    warm: bool,
    /// It has asked since its last rest: more is to be expected, and the buffers are kept.
    busy: bool,
    /// The most that the read buffer held since then, which is what a value that is kept may pin.
    holds: usize,
}

impl<R: Runtime> Link<R> {
    pub(super) fn new(
        runtime: R,
        settings: Arc<Settings<R>>,
        transport: MaybeTls<R::Stream>,
        connection: Connection,
        stopping: Stopping,
    ) -> Self {
        let now = runtime.now();
        let mut pump = Pump::new(transport, bytes::BytesMut::new());
        // It is read until it says to wait, always.
        pump.transport_mut().prefer_readiness();
        Self {
            machine: ServerConnection::new(now, settings.protocol.clone()),
            pump,
            deadline: Deadline::new(runtime.timer()),
            stopping: Some(stopping),
            presence: Presence(connection),
            exchange: None,
            offer: None,
            upgraded: false,
            spare: None,
            date_until: None,
            stall: None,
            rest: None,
            warm: false,
            busy: false,
            holds: 0,
            settings,
            runtime,
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.runtime.now()
    }

    /// Asks the machine to finish, once the server wants to stop.
    pub(super) fn hear_stop(&mut self) {
        // This task is woken by the stop in any case: `Guarded`, in which it runs, is registered for that.
        if self.stopping.as_ref().is_some_and(Stopping::is_set) {
            self.stopping = None;
            self.machine.close(self.runtime.now());
        }
    }

    /// This task is awake: who reads a body need not wake it.
    pub(super) fn wake_up(&mut self) {
        if let Some(channel) = self.exchange.as_ref().and_then(|exchange| exchange.body.as_ref()) {
            channel.awake();
        }
    }

    /// Whatever time has come for. False when the peer has not read for too long.
    pub(super) fn check_time(&mut self, now: Instant) -> bool {
        if !self.deadline.is_due(now) {
            return true;
        }
        self.machine.handle_timeout(now);
        if self.rest.is_some_and(|at| at <= now) {
            self.busy = false;
            self.release_memory();
        }
        self.stall.is_none_or(|at| now < at)
    }

    /// True when nothing can be heard until more comes in.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        self.machine.finds_nothing(&self.pump.input)
    }

    /// True when the request at hand has no body, or none that anybody reads.
    pub(super) fn has_body(&self) -> bool {
        self.channel().is_some()
    }

    /// Gives the memory of empty buffers back.
    fn release_memory(&mut self) {
        self.rest = None;
        self.warm = false;
        self.holds = 0;
        self.pump.release_memory();
        self.machine.release_memory();
        self.spare = None;
    }

    /// The machine's next event, as news for the application. `None` when there is none.
    #[inline]
    pub(super) fn poll_event<Q: Asked>(
        &mut self,
        cx: &Context<'_>,
        now: Instant,
    ) -> Result<Option<Heard<Q>>, glowplug_http::Error> {
        // A head is large: it is left where the machine has put it.
        match &mut self.machine.poll_event(now, &mut self.pump.input) {
            Ok(None) => Ok(None),
            Ok(Some(ServerEvent::Request { stream, head, body, expects_continue })) => {
                Ok(Some(self.begin(now, *stream, head, *body, *expects_continue)))
            }
            Ok(Some(event)) => Ok(Some(self.hear(cx, now, event))),
            Err(error) => Err(*error),
        }
    }

    /// An event within a request, or the end of one.
    fn hear<Q>(&mut self, cx: &Context<'_>, now: Instant, event: &mut ServerEvent) -> Heard<Q> {
        match event {
            ServerEvent::Data { stream, data } => match self.channel() {
                Some(channel) => news(channel.push(std::mem::take(data), cx)),
                None => {
                    // The answer that granted an upgrade is out, and the request's body is in the way.
                    self.machine.release(now, *stream, data.len());
                    Heard::Nothing
                }
            },
            ServerEvent::End { trailers, .. } => match self.channel() {
                Some(channel) => {
                    news(channel.end(trailers.as_ref().map(|trailers| trailers.to_header_map()), cx))
                }
                None => Heard::Nothing,
            },
            ServerEvent::PeerClosed { .. } => {
                self.presence.0.set_peer_closed();
                Heard::News
            }
            ServerEvent::Upgraded { .. } => {
                self.upgraded = true;
                Heard::Nothing
            }
            ServerEvent::Refused { error, .. } => {
                if let Some(channel) = self.channel() {
                    channel.fail(BodyError::Protocol(*error));
                }
                Heard::Over
            }
            _ => Heard::Nothing,
        }
    }

    fn channel(&self) -> Option<&Arc<Channel>> {
        self.exchange.as_ref()?.body.as_ref()
    }

    /// A request has begun.
    #[inline]
    fn begin<Q: Asked>(
        &mut self,
        now: Instant,
        stream: StreamId,
        head: &mut RequestHead,
        body: BodyLength,
        expects_continue: bool,
    ) -> Heard<Q> {
        self.refresh_date(now);
        let channel = (body != BodyLength::Empty).then(|| self.new_channel());
        let incoming = Incoming::new(self.presence.0.clone(), channel.clone(), body);
        if self.holds > SHARED_UP_TO {
            head.compact();
        }
        let Some(mut request) = Q::new(head, incoming) else {
            // RFC 9110 §15.5.1. The target passes for one with a proxy, but is no URI.
            let close = [(header::CONNECTION, "close")];
            let _ = self.machine.send_head(now, stream, StatusCode::BAD_REQUEST, &close, BodyLength::Empty);
            return Heard::Nothing;
        };
        self.exchange = Some(Exchange { stream, expects_continue, body: channel });
        self.offer = None;
        if self.settings.erase.is_some() && self.machine.may_upgrade(stream) {
            let (offer, on_upgrade) = Offer::new();
            self.offer = Some(offer);
            request.offer(on_upgrade);
        }
        if self.settings.connection_extension {
            request.attach(&self.presence.0);
        }
        Heard::Request(request)
    }

    fn new_channel(&mut self) -> Arc<Channel> {
        let mut channel = self.spare.take().unwrap_or_default();
        // Somebody may hold the last request's body still.
        match Arc::get_mut(&mut channel) {
            Some(unused) => {
                unused.reset();
                channel
            }
            None => Arc::default(),
        }
    }

    /// Asks the wall clock once a second.
    fn refresh_date(&mut self, now: Instant) {
        if self.date_until.is_some_and(|until| now < until) {
            return;
        }
        let since = self.runtime.wall_clock().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.machine.set_date(HttpDate::from_unix(since.as_secs()));
        self.date_until = Some(now + Duration::from_nanos(1_000_000_000 - u64::from(since.subsec_nanos())));
    }

    /// What the reader of the body did: credit goes back to the peer, which is told to go on when it waits for that. True when
    /// the machine was told anything.
    pub(super) fn tend_body(&mut self, now: Instant) -> bool {
        let Some(Exchange { stream, expects_continue, body: Some(channel), .. }) = &self.exchange else {
            return false;
        };
        let taken = channel.take();
        if taken.consumed > 0 {
            self.machine.release(now, *stream, taken.consumed);
        }
        let go_on = taken.asked && *expects_continue;
        if go_on {
            // Refused only when the answer has begun, which tells the client as well.
            let _ = self.machine.send_continue(now, *stream);
        }
        taken.consumed > 0 || go_on
    }

    /// True when the body of an answer with this status would go out.
    pub(super) fn sends_body(&self, status: StatusCode) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| self.machine.sends_body(exchange.stream, status))
    }

    /// Sends the head of the answer.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        status: StatusCode,
        fields: &impl FieldSource,
        length: BodyLength,
    ) -> Begun {
        let Some(exchange) = &self.exchange else { return Begun::Done };
        let stream = exchange.stream;
        if self.machine.send_head(now, stream, status, fields, length).is_err() {
            // An informational status, a field that cannot be sent, or the machine has answered in the meantime.
            self.machine.abort(now, stream);
        }
        if !self.machine.sends_body(stream, status) && self.machine.awaits_body(stream) {
            // Nothing of the body would go out: it is not even asked for.
            let _ = self.machine.finish(now, stream, &());
        }
        if self.machine.awaits_body(stream) { Begun::Body } else { Begun::Done }
    }

    /// Sends an answer whose body is all there.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        status: StatusCode,
        fields: &impl FieldSource,
        mut body: impl bytes::Buf,
    ) {
        let Some(exchange) = &self.exchange else { return };
        let len = body.remaining();
        if self.machine.respond(now, exchange.stream, status, fields, body.copy_to_bytes(len)).is_err() {
            self.machine.abort(now, exchange.stream);
        }
    }

    /// Bytes of the answer's body that are wanted now.
    pub(super) fn capacity(&self) -> usize {
        self.exchange.as_ref().map_or(0, |exchange| self.machine.capacity(exchange.stream))
    }

    /// Sends a piece of the answer's body; false when it is not taken, which is the end of it.
    pub(super) fn send(&mut self, now: Instant, mut data: impl bytes::Buf) -> bool {
        let Some(exchange) = &self.exchange else { return false };
        let len = data.remaining();
        self.machine.send_data(now, exchange.stream, data.copy_to_bytes(len)).is_ok()
    }

    /// Ends the answer's body; false when it is shorter than was announced.
    pub(super) fn finish(&mut self, now: Instant, trailers: Option<&HeaderMap>) -> bool {
        let Some(exchange) = &self.exchange else { return false };
        match trailers {
            Some(trailers) => self.machine.finish(now, exchange.stream, trailers).is_ok(),
            None => self.machine.finish(now, exchange.stream, &()).is_ok(),
        }
    }

    /// Gives the answer up: 500 if it has not begun, and the connection closes.
    pub(super) fn abort(&mut self, now: Instant) {
        if let Some(exchange) = &self.exchange {
            self.machine.abort(now, exchange.stream);
        }
    }

    /// The answer is complete, or given up.
    pub(super) fn finish_exchange(&mut self) {
        if !self.machine.is_upgrading() {
            self.offer = None;
        }
        let channel = self.exchange.take().and_then(|mut exchange| exchange.body.take());
        if let Some(channel) = channel {
            channel.fail(BodyError::Answered);
            self.spare = Some(channel);
        }
    }

    /// Hands output over and writes it.
    pub(super) fn transmit(&mut self, cx: &mut Context<'_>, now: Instant) -> Transmitted {
        let waiting = self.pump.output.len();
        self.machine.poll_transmit(now, &mut self.pump.output);
        let there = self.pump.output.len();
        let full = !self.pump.output.has_room();
        let polled = self.pump.poll_write_out(cx);
        let written = there - self.pump.output.len();
        self.warm |= written > 0;
        self.note_progress(now, polled, written);
        Transmitted { some: there > waiting, more: full && self.pump.output.has_room(), written: polled }
    }

    /// True when a write has failed: nobody will see what is sent from now on.
    pub(super) fn is_lost(&self) -> bool {
        self.pump.write_failed()
    }

    /// Moves the deadline of a peer that does not read.
    fn note_progress(&mut self, now: Instant, polled: Poll<()>, written: usize) {
        let Some(timeout) = self.settings.write_timeout else { return };
        self.stall = match self.stall {
            _ if polled.is_ready() => None,
            None => Some(now + timeout),
            Some(at) if written == 0 => Some(at),
            Some(_) if self.settings.min_write_rate == 0 => Some(now + timeout),
            Some(at) => {
                let nanos =
                    (written as u64).saturating_mul(1_000_000_000) / u64::from(self.settings.min_write_rate);
                Some((at + Duration::from_nanos(nanos)).min(now + timeout))
            }
        };
    }

    /// Looks whether the connection is over now that output was handed over, and shuts the write half down when it is.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>, now: Instant, written: Poll<()>) -> Poll<End> {
        if written.is_pending() {
            return Poll::Pending;
        }
        if self.upgraded {
            return Poll::Ready(End::Upgraded);
        }
        let interest = self.machine.interest();
        if interest.write == WriteInterest::Closed {
            let shut = self.pump.poll_shutdown(cx);
            self.note_progress(now, shut, 0);
            if shut.is_ready() && interest.read == ReadInterest::Closed {
                return Poll::Ready(End::Closed);
            }
        }
        Poll::Pending
    }

    /// Reads once, if the machine wants to. `Ok(true)` when something came, its end included.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        if self.pump.eof || !self.machine.interest().read.wants() {
            return Ok(false);
        }
        match self.pump.poll_read(cx) {
            Poll::Ready(Ok(0)) => {
                self.machine.handle_eof(self.runtime.now());
                Ok(true)
            }
            Poll::Ready(Ok(_)) => {
                self.warm = true;
                self.holds = self.holds.max(self.pump.input.capacity());
                Ok(true)
            }
            Poll::Ready(Err(_)) => Err(End::Lost),
            Poll::Pending => Ok(false),
        }
    }

    /// Goes to sleep until I/O, the reader of the body or a deadline wakes the task. Ready when there is something to do at once.
    pub(super) fn poll_sleep(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        if self.channel().is_some_and(|channel| !channel.sleep(cx)) {
            return Poll::Ready(());
        }
        if self.warm && self.rest.is_none() {
            if !self.busy && self.is_quiet() {
                // It may well ask once and then be idle for long, as thousands do. What it needs next, it gets from those.
                self.busy = true;
                self.release_memory();
            } else {
                self.rest = Some(now + REST_AFTER);
            }
        }
        let wanted = [self.machine.poll_timeout(), self.stall, self.rest].into_iter().flatten().min();
        self.deadline.set(wanted);
        self.deadline.poll(cx, now)
    }

    /// The machine has failed: what it says to that goes out as far as the transport takes it at once.
    pub(super) fn fail(&mut self, cx: &mut Context<'_>, now: Instant, error: glowplug_http::Error) {
        if let Some(channel) = self.channel() {
            channel.fail(BodyError::Protocol(error));
        }
        let Transmitted { written, .. } = self.transmit(cx, now);
        // An answer that was given up halfway must not look complete: no good-bye.
        if written.is_ready() && error != glowplug_http::Error::Aborted {
            let _ = self.pump.poll_shutdown(cx);
        }
    }

    /// Gives the transport to whoever took the offer.
    pub(super) fn hand_over(self) {
        if let (Some(erase), Some(offer)) = (self.settings.erase, self.offer) {
            let (transport, input, _) = self.pump.into_parts();
            offer.grant(Upgraded { transport: erase(transport), input });
        }
    }
}

fn news<Q>(waited_for: bool) -> Heard<Q> {
    if waited_for { Heard::News } else { Heard::Nothing }
}

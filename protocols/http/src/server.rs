//! The server half of one connection.
//!
//! Two small machines side by side: what is received and what is answered. An exchange is over when both have come to
//! their ends; then the next head is read, or the connection lingers and closes.
//!
//! ```text
//! received:  Head ──► Body ──► Done ──(answered)──► Head ...      (keep-alive)
//!              │        └─(answered)─► Discard ──►┘
//!              └──────── malformed, or the last answer is out ──► Linger ──► Closed
//! answered:  NotDue ──► Head ──► Body ──► Done
//! ```
//!
//! Requests that come early (pipelining) wait in the input until the one before is answered, so answers are in order by
//! construction. RFC 9112 §6, §9; RFC 9110 §7.8, §9.3.6, §10.1.1.

mod receive;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, Interest, ReadInterest, SendBuf, StreamProtocol, WriteInterest};
use http::{StatusCode, Version};

use crate::config::ServerConfig;
use crate::date::HttpDate;
use crate::error::{Error, FinishError, HeadError, Phase, SendError};
use crate::event::{BodyLength, ServerEvent, StreamId};
use crate::outbox::{Outbox, SendBody};
use crate::timer::Timer;
use crate::wire::body::BodyDecoder;
use crate::wire::encode::{self, FieldSource};
use crate::wire::framing::status_has_no_content;
use crate::wire::scan::SectionScan;

/// The server half of one connection of HTTP/1.0 or HTTP/1.1.
///
/// ```
/// use std::sync::Arc;
/// use bytes::BytesMut;
/// use glowplug_core::{Instant, SendBuf, StreamProtocol};
/// use glowplug_http::{BodyLength, ServerConfig, ServerConnection, ServerEvent, StatusCode};
///
/// let now = Instant::ZERO;
/// let mut server = ServerConnection::new(now, Arc::new(ServerConfig::default()));
/// let mut input = BytesMut::from("GET /hello HTTP/1.1\r\nHost: example\r\n\r\n");
/// let Ok(Some(ServerEvent::Request { stream, head, .. })) = server.poll_event(now, &mut input) else { panic!() };
/// assert_eq!(head.target(), "/hello");
///
/// server.send_head(now, stream, StatusCode::OK, &[("content-type", "text/plain")], BodyLength::Known(5))?;
/// server.send_data(now, stream, "hello".into())?;
/// server.finish(now, stream, &())?;
/// let mut out = SendBuf::new();
/// server.poll_transmit(now, &mut out);
/// assert_eq!(out.take_all(), "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ServerConnection {
    config: Arc<ServerConfig>,
    recv: Recv,
    reply: Reply,
    outbox: Outbox,
    timer: Timer,
    /// The current request, or the last one: the number of requests so far.
    stream: u64,
    exchange: Exchange,
    /// Body bytes that may still be handed out.
    credit: usize,
    /// Input that was left after the last `poll_event`.
    seen: usize,
    /// Empty lines before the head that is waited for.
    empty_lines: u32,
    date: Option<HttpDate>,
    /// To be returned by the next `poll_event`.
    error: Option<Error>,
    /// Some of the head that is waited for has come.
    head_begun: bool,
    /// The peer will send no more.
    eof: bool,
    /// The application heard of it.
    eof_told: bool,
    /// `close` was called.
    closing: bool,
    /// Nothing will be added to the outbox any more.
    output_done: bool,
}

/// What is known of the current request.
#[derive(Clone, Copy, Debug)]
struct Exchange {
    version: Version,
    /// The answer carries no content.
    is_head: bool,
    is_connect: bool,
    upgrade: bool,
    /// The client holds the body back until it is told to go on.
    waits_to_continue: bool,
    /// The connection goes on afterwards, as far as is known.
    persist: bool,
    /// The answer hands the connection over.
    tunnel: bool,
}

#[derive(Debug)]
enum Recv {
    Head(SectionScan),
    Body(BodyDecoder),
    /// There is no body; that this is the end has not been told.
    NoBody,
    /// The request is complete and waits for its answer to be.
    Done,
    /// The request is answered; the rest of its body is thrown away, up to so many bytes.
    Discard(BodyDecoder, u64),
    /// Everything is thrown away.
    Linger,
    /// The connection belongs to another protocol.
    Tunnel,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    /// No request to answer.
    NotDue,
    /// The final head is due.
    Head,
    /// The body is being sent.
    Body,
    Done,
}

impl ServerConnection {
    /// A connection that was accepted at `now`.
    pub fn new(now: Instant, config: Arc<ServerConfig>) -> Self {
        let mut timer = Timer::default();
        timer.set(Phase::Head, now, config.head_timeout);
        Self {
            outbox: Outbox::new(config.limits.get().send_buffer()),
            recv: Recv::Head(SectionScan::default()),
            reply: Reply::NotDue,
            timer,
            stream: 0,
            exchange: Exchange {
                version: Version::HTTP_11,
                is_head: false,
                is_connect: false,
                upgrade: false,
                waits_to_continue: false,
                persist: true,
                tunnel: false,
            },
            credit: 0,
            seen: 0,
            empty_lines: 0,
            date: None,
            error: None,
            head_begun: false,
            eof: false,
            eof_told: false,
            closing: false,
            output_done: false,
            config,
        }
    }

    /// Sets the date that answers bear from now on, where the application gives none. A machine has no clock: without
    /// this they bear none.
    pub fn set_date(&mut self, date: HttpDate) {
        self.date = Some(date);
    }

    /// Tells a client that asked for it (`expects_continue`) to send the body.
    pub fn send_continue(&mut self, now: Instant, stream: StreamId) -> Result<(), HeadError> {
        self.send_informational(now, stream, StatusCode::CONTINUE, &())
    }

    /// Sends an informational answer (1xx other than 101) before the final one. Clients of HTTP/1.0 do not know these:
    /// nothing is sent to them.
    pub fn send_informational(
        &mut self,
        now: Instant,
        stream: StreamId,
        status: StatusCode,
        fields: &(impl FieldSource + ?Sized),
    ) -> Result<(), HeadError> {
        if !self.is_current(stream) || self.reply != Reply::Head {
            return Err(HeadError::Closed);
        }
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(HeadError::Status);
        }
        // RFC 9110 §15.2.
        if self.exchange.version == Version::HTTP_10 {
            return Ok(());
        }
        if self.outbox.is_full() {
            return Err(HeadError::Full);
        }
        self.outbox.write(|out| {
            encode::status_line(out, status);
            encode::fields(out, fields, false).map_err(HeadError::Field)?;
            out.extend_from_slice(b"\r\n");
            Ok(())
        })?;
        if status == StatusCode::CONTINUE && self.exchange.waits_to_continue {
            self.exchange.waits_to_continue = false;
            self.arm_body(now);
        }
        Ok(())
    }

    /// Sends the head of the final answer.
    ///
    /// With [`BodyLength::Empty`] the answer is complete; otherwise `send_data` and `finish` follow, also where no
    /// body goes out (`HEAD`, 204, 304) and the data is thrown away. An unknown length means chunks, and to a client of
    /// HTTP/1.0 the end of the connection.
    ///
    /// Status 101 grants the `Upgrade` that the request asked for, and any 2xx grants a `CONNECT`:
    /// [`ServerEvent::Upgraded`] follows, and `body` does not count.
    pub fn send_head(
        &mut self,
        now: Instant,
        stream: StreamId,
        status: StatusCode,
        fields: &(impl FieldSource + ?Sized),
        body: BodyLength,
    ) -> Result<(), HeadError> {
        let frame = self.begin_answer(stream, status, fields, body)?;
        self.outbox.body = frame;
        self.reply = if frame == SendBody::None { Reply::Done } else { Reply::Body };
        self.settle(now);
        Ok(())
    }

    /// Sends a whole answer: [`send_head`](Self::send_head) with the length of `body`, then `body`, then [`finish`](Self::finish), for less
    /// than they cost. Where no body goes out (`HEAD`, 204, 304, a tunnel), it is dropped.
    pub fn respond(
        &mut self,
        now: Instant,
        stream: StreamId,
        status: StatusCode,
        fields: &(impl FieldSource + ?Sized),
        body: Bytes,
    ) -> Result<(), HeadError> {
        let length = if body.is_empty() { BodyLength::Empty } else { BodyLength::Known(body.len() as u64) };
        if let SendBody::Known(_) = self.begin_answer(stream, status, fields, length)? {
            self.outbox.push(body);
        }
        self.outbox.body = SendBody::None;
        self.reply = Reply::Done;
        self.settle(now);
        Ok(())
    }

    /// Writes the head of the final answer. Returns how the body that follows is framed.
    fn begin_answer(
        &mut self,
        stream: StreamId,
        status: StatusCode,
        fields: &(impl FieldSource + ?Sized),
        body: BodyLength,
    ) -> Result<SendBody, HeadError> {
        if !self.is_current(stream) || self.reply != Reply::Head {
            return Err(HeadError::Closed);
        }
        let exchange = self.exchange;
        let switching = status == StatusCode::SWITCHING_PROTOCOLS;
        if status.is_informational() && !(switching && exchange.upgrade) {
            return Err(HeadError::Status);
        }
        let tunnel = switching || exchange.is_connect && status.is_success();
        let no_content = exchange.is_head || status_has_no_content(status);
        let http10 = exchange.version == Version::HTTP_10;
        let frame = match body {
            _ if tunnel => SendBody::None,
            BodyLength::Empty => SendBody::None,
            _ if no_content => SendBody::Dropped,
            BodyLength::Known(length) => SendBody::Known(length),
            BodyLength::Unknown if http10 => SendBody::UntilClose,
            BodyLength::Unknown => SendBody::Chunked,
        };
        // A body that was neither asked for nor has begun to come may never come: only closing ends this request.
        let persist =
            exchange.persist && !self.closing && !exchange.waits_to_continue && frame != SendBody::UntilClose;
        let keep_length = exchange.is_head || status == StatusCode::NOT_MODIFIED;
        let date = self.date.as_ref();

        let close = self.outbox.write(|out| {
            encode::status_line(out, status);
            let written = encode::fields(out, fields, keep_length).map_err(HeadError::Field)?;
            if !written.date {
                encode::date(out, date);
            }
            let may_announce = !tunnel && status != StatusCode::NO_CONTENT;
            match body {
                // RFC 9112 §6.1 and §6.3: nothing frames a tunnel, nor a 204.
                _ if !may_announce => {}
                _ if keep_length && written.facts.content_length().is_some() => {}
                BodyLength::Known(length) => encode::content_length(out, length),
                BodyLength::Unknown if !http10 => encode::field(out, b"transfer-encoding", b"chunked"),
                BodyLength::Unknown => {}
                // What GET would be answered with is not known, so nothing is said.
                BodyLength::Empty if keep_length => {}
                BodyLength::Empty => encode::content_length(out, 0),
            }
            let close = !persist || written.facts.close();
            if close && !tunnel && !written.facts.close() {
                encode::field(out, b"connection", b"close");
            } else if !close && http10 && !tunnel && !written.facts.keep_alive() {
                // RFC 9112 §9.3: a client of HTTP/1.0 has to be told.
                encode::field(out, b"connection", b"keep-alive");
            }
            out.extend_from_slice(b"\r\n");
            Ok(close)
        })?;

        self.exchange.persist = !close;
        self.exchange.tunnel = tunnel;
        Ok(frame)
    }

    /// Sends a piece of the answer's body; an empty one sends nothing.
    pub fn send_data(&mut self, _now: Instant, stream: StreamId, data: Bytes) -> Result<(), SendError> {
        if !self.is_current(stream) || self.reply != Reply::Body {
            return Err(SendError::Closed(data));
        }
        self.outbox.send_data(data)
    }

    /// Sends a piece as one chunk with extensions, where the body is chunked; elsewhere they are left out.
    pub fn send_chunk(
        &mut self,
        _now: Instant,
        stream: StreamId,
        data: Bytes,
        extensions: &(impl FieldSource + ?Sized),
    ) -> Result<(), SendError> {
        if !self.is_current(stream) || self.reply != Reply::Body {
            return Err(SendError::Closed(data));
        }
        self.outbox.send_chunk(data, extensions)
    }

    /// Ends the answer's body. Trailers go out where it is chunked, and are left out elsewhere; so
    /// are fields that cannot be trailers (`content-length`, `transfer-encoding`, `host`).
    pub fn finish(
        &mut self,
        now: Instant,
        stream: StreamId,
        trailers: &(impl FieldSource + ?Sized),
    ) -> Result<(), FinishError> {
        if !self.is_current(stream) || self.reply != Reply::Body {
            return Err(FinishError::Closed);
        }
        self.outbox.finish(trailers)?;
        self.reply = Reply::Done;
        self.settle(now);
        Ok(())
    }

    /// Gives an answer up. Before its head this sends a 500 and closes; later the connection ends with
    /// [`Error::Aborted`].
    pub fn abort(&mut self, now: Instant, stream: StreamId) {
        if !self.is_current(stream) {
            return;
        }
        match self.reply {
            Reply::Head => {
                self.goodbye(StatusCode::INTERNAL_SERVER_ERROR);
                self.linger(now);
            }
            Reply::Body => self.fail(Error::Aborted),
            Reply::NotDue | Reply::Done => {}
        }
    }

    /// Gives credit back: `len` bytes of the request's body are done with.
    pub fn release(&mut self, now: Instant, stream: StreamId, len: usize) {
        if !self.is_current(stream) {
            return;
        }
        let window = self.config.limits.get().receive_window();
        self.credit = self.credit.saturating_add(len).min(window);
        if !self.timer.is_set() {
            self.arm_body(now);
        }
    }

    /// Bytes that `send_data` takes now. Zero when there is no room, or no body to send.
    pub fn capacity(&self, stream: StreamId) -> usize {
        if self.is_current(stream) { self.outbox.capacity() } else { 0 }
    }

    /// True while the body of this stream's answer is due: between a `send_head` that announced one and `finish`.
    pub fn awaits_body(&self, stream: StreamId) -> bool {
        self.is_current(stream) && self.reply == Reply::Body
    }

    /// True when a body that this stream is answered with would go out: not the answer to `HEAD`, nor 204 and 304.
    pub fn sends_body(&self, stream: StreamId, status: StatusCode) -> bool {
        self.is_current(stream) && !self.exchange.is_head && !status_has_no_content(status)
    }

    /// True when the request asks for the connection itself, by `CONNECT` or a valid `Upgrade`: an answer that grants it
    /// leads to [`ServerEvent::Upgraded`].
    pub fn may_upgrade(&self, stream: StreamId) -> bool {
        self.is_current(stream) && (self.exchange.is_connect || self.exchange.upgrade)
    }

    /// True once an answer has granted the connection, until it is handed over or the request ends otherwise.
    pub fn is_upgrading(&self) -> bool {
        self.exchange.tunnel
    }

    /// True between two exchanges: nothing is being received, answered or sent.
    pub fn is_idle(&self) -> bool {
        matches!(self.recv, Recv::Head(_)) && !self.head_begun && self.outbox.is_empty()
    }

    /// True when [`poll_event`](StreamProtocol::poll_event) would find nothing in `input`: a head is waited for, and no byte of one is
    /// there. It is the cheaper question.
    #[inline]
    pub fn finds_nothing(&self, input: &BytesMut) -> bool {
        input.is_empty()
            && matches!(self.recv, Recv::Head(_))
            && !self.eof
            && self.error.is_none()
            && self.seen == 0
    }

    /// Gives the memory of empty buffers back, for a long wait.
    pub fn release_memory(&mut self) {
        self.outbox.release_memory();
    }

    fn is_current(&self, stream: StreamId) -> bool {
        stream.0 == self.stream && self.stream > 0
    }
}

impl StreamProtocol for ServerConnection {
    type Event = ServerEvent;
    type Error = Error;

    #[inline]
    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<ServerEvent>, Error> {
        if self.finds_nothing(input) {
            return Ok(None);
        }
        let polled = self.poll(now, input);
        self.seen = input.len();
        polled
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut SendBuf) {
        if self.outbox.transmit(out) && self.outbox.is_empty() && matches!(self.recv, Recv::Linger) {
            self.timer.set(Phase::Linger, now, Some(self.config.linger_timeout));
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timer.deadline()
    }

    fn handle_timeout(&mut self, now: Instant) {
        let Some(phase) = self.timer.expire(now) else { return };
        match phase {
            Phase::Head if self.head_begun => {
                self.goodbye(StatusCode::REQUEST_TIMEOUT);
                self.fail(Error::TimedOut(Phase::Head));
            }
            Phase::Body if matches!(self.recv, Recv::Body(_)) => {
                self.goodbye(StatusCode::REQUEST_TIMEOUT);
                self.fail(Error::TimedOut(Phase::Body));
            }
            // Nothing was under way that anybody waits for.
            Phase::Head | Phase::Idle | Phase::Body | Phase::Continue => self.linger(now),
            Phase::Linger => self.recv = Recv::Closed,
        }
    }

    fn handle_eof(&mut self, _now: Instant) {
        self.eof = true;
        if matches!(self.recv, Recv::Linger) {
            self.recv = Recv::Closed;
            self.timer.clear();
        }
    }

    fn close(&mut self, now: Instant) {
        self.closing = true;
        if matches!(self.recv, Recv::Head(_)) && !self.head_begun {
            self.linger(now);
        }
    }

    fn interest(&self) -> Interest {
        let read = match &self.recv {
            Recv::Tunnel => ReadInterest::Paused,
            Recv::NoBody | Recv::Done if self.exchange.tunnel => ReadInterest::Paused,
            Recv::Closed => ReadInterest::Closed,
            _ if self.eof => ReadInterest::Closed,
            // Answers that nobody reads hold further requests back.
            Recv::Head(_) if self.outbox.is_full() => ReadInterest::Paused,
            Recv::Body(_) if self.credit == 0 => ReadInterest::Paused,
            Recv::Body(decoder) => {
                ReadInterest::Want(usize::try_from(decoder.wanted()).unwrap_or(usize::MAX).min(self.credit))
            }
            Recv::Done if self.seen >= self.config.limits.get().read_ahead() => ReadInterest::Paused,
            Recv::Head(_) | Recv::NoBody | Recv::Done | Recv::Discard(..) | Recv::Linger => {
                ReadInterest::Want(1)
            }
        };
        let write = if self.output_done && self.outbox.is_empty() {
            WriteInterest::Closed
        } else {
            WriteInterest::Open
        };
        Interest { read, write }
    }
}

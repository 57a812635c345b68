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

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use glowplug_core::{Instant, Interest, ReadInterest, SendBuf, StreamProtocol, WriteInterest};
use http::{StatusCode, Version};

use crate::config::ServerConfig;
use crate::date::HttpDate;
use crate::error::{Error, FinishError, HeadError, Phase, Reason, SendError};
use crate::event::{BodyLength, ServerEvent, StreamId};
use crate::outbox::{Outbox, SendBody};
use crate::timer::Timer;
use crate::wire::body::{BodyDecoder, Step};
use crate::wire::encode::{self, FieldSource};
use crate::wire::framing::{Facts, status_has_no_content};
use crate::wire::head::RequestHead;
use crate::wire::parse::Rules;
use crate::wire::scan::SectionScan;
use crate::wire::token::is_tchar;

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
        self.outbox.body = frame;
        self.reply = if frame == SendBody::None { Reply::Done } else { Reply::Body };
        self.settle(now);
        Ok(())
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

    /// Ends the answer's body. Trailers go out where it is chunked, and are left out elsewhere.
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

    /// True between two exchanges: nothing is being received, answered or sent.
    pub fn is_idle(&self) -> bool {
        matches!(self.recv, Recv::Head(_)) && !self.head_begun && self.outbox.is_empty()
    }

    /// Gives the memory of empty buffers back, for a long wait.
    pub fn release_memory(&mut self) {
        self.outbox.release_memory();
    }

    fn is_current(&self, stream: StreamId) -> bool {
        stream.0 == self.stream && self.stream > 0
    }

    fn poll_head(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<ServerEvent>, Error> {
        let Recv::Head(scan) = &mut self.recv else { return Ok(None) };
        let rules = Rules { limits: &self.config.limits, leniency: &self.config.leniency };
        if scan.is_fresh() {
            // RFC 9112 §2.2: empty lines before a request line are ignored, here up to a limit.
            while let Some(len) = match **input {
                [b'\r', b'\n', ..] => Some(2),
                [b'\n', ..] if rules.leniency.bare_lf => Some(1),
                _ => None,
            } {
                let max = rules.limits.get().max_empty_lines();
                if self.empty_lines == max {
                    return Ok(Some(
                        self.refuse(now, crate::wire::parse::limit("max_empty_lines", max as usize)),
                    ));
                }
                self.empty_lines += 1;
                input.advance(len);
            }
        }
        let refusal = match **input {
            [] if self.eof => {
                self.recv = Recv::Closed;
                self.timer.clear();
                self.output_done = true;
                return Ok(None);
            }
            [] => return Ok(None),
            [first, ..] if is_tchar(first) => None,
            [b'\r'] => {
                return if self.eof { self.fail_now(Error::UnexpectedEof(Phase::Head)) } else { Ok(None) };
            }
            [b'\r' | b'\n', ..] => Some(Reason::LineEnd),
            _ => Some(Reason::NotHttp),
        };
        if let Some(reason) = refusal {
            return Ok(Some(self.refuse(now, Error::peer(0, reason))));
        }
        if !self.head_begun {
            self.head_begun = true;
            if self.timer.phase() == Some(Phase::Idle) {
                self.timer.set(Phase::Head, now, self.config.head_timeout);
            }
        }
        let mut head = RequestHead::empty();
        let begun = match rules.take_request(scan, input, &mut head) {
            Ok(Some(facts)) => self.begin(now, &head, facts),
            Ok(None) if self.eof => return self.fail_now(Error::UnexpectedEof(Phase::Head)),
            Ok(None) => return Ok(None),
            Err(error) => Err(error),
        };
        match begun {
            Ok((body, expects_continue)) => {
                let stream = StreamId(self.stream);
                Ok(Some(ServerEvent::Request { stream, head, body, expects_continue }))
            }
            Err(error) => Ok(Some(self.refuse(now, error))),
        }
    }

    /// A whole head has come: what follows it, and whether the client waits to be told to go on.
    #[inline]
    fn begin(
        &mut self,
        now: Instant,
        head: &RequestHead,
        mut facts: Facts,
    ) -> Result<(BodyLength, bool), Error> {
        let limits = self.config.limits.get();
        let version = head.version();
        let is_connect = head.method_is(b"CONNECT");
        let body = facts.request_body(version, is_connect, &self.config.leniency)?;
        if let BodyLength::Known(length) = body
            && length > limits.max_body_len()
        {
            return Err(
                glowplug_core::LimitExceeded::new("max_body_len", limits.max_body_len(), length).into()
            );
        }
        self.stream += 1;
        // RFC 9110 §10.1.1: not in HTTP/1.0, and not without a body.
        let expects_continue =
            facts.expects_continue && version != Version::HTTP_10 && body != BodyLength::Empty;
        self.exchange = Exchange {
            version,
            is_head: head.method_is(b"HEAD"),
            is_connect,
            upgrade: facts.upgrade(version),
            waits_to_continue: expects_continue,
            persist: facts.persists(version) && self.stream < limits.max_requests() && !self.closing,
            tunnel: false,
        };
        self.credit = limits.receive_window();
        self.head_begun = false;
        self.empty_lines = 0;
        self.reply = Reply::Head;
        self.timer.clear();
        self.recv = Recv::NoBody;
        if body != BodyLength::Empty {
            self.recv = Recv::Body(BodyDecoder::of(body));
            self.arm_body(now);
        }
        Ok((body, expects_continue))
    }

    fn poll_body(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<ServerEvent>, Error> {
        let Recv::Body(decoder) = &mut self.recv else { return Ok(None) };
        let rules = Rules { limits: &self.config.limits, leniency: &self.config.leniency };
        if self.exchange.waits_to_continue && !input.is_empty() {
            // It did not wait after all.
            self.exchange.waits_to_continue = false;
            self.timer.set(Phase::Body, now, self.config.body_timeout);
        }
        let stream = StreamId(self.stream);
        match decoder.step(input, self.credit, self.eof, rules, self.config.report_chunk_extensions) {
            Ok(Step::More) if self.eof => {
                // The request can never be complete, but its answer may still be wanted by nobody.
                self.fail_now(Error::UnexpectedEof(Phase::Body))
            }
            Ok(Step::More | Step::NoCredit) => Ok(None),
            Ok(Step::Data(data)) => {
                self.credit -= data.len();
                if self.credit == 0 {
                    self.timer.clear();
                } else {
                    self.timer.earn(now, data.len(), self.config.body_timeout, self.config.min_body_rate);
                }
                Ok(Some(ServerEvent::Data { stream, data }))
            }
            Ok(Step::Extensions(extensions)) => Ok(Some(ServerEvent::ChunkExtensions { stream, extensions })),
            Ok(Step::End(trailers)) => {
                self.recv = Recv::Done;
                self.timer.clear();
                self.settle(now);
                Ok(Some(ServerEvent::End { stream, trailers }))
            }
            Err(error) => Ok(Some(self.refuse(now, error))),
        }
    }

    /// Throws the rest of a body away; true when there is something to go on with.
    fn poll_discard(&mut self, now: Instant, input: &mut BytesMut) -> bool {
        let Recv::Discard(decoder, left) = &mut self.recv else { return false };
        let rules = Rules { limits: &self.config.limits, leniency: &self.config.leniency };
        match decoder.step(input, usize::MAX, self.eof, rules, false) {
            Ok(Step::More | Step::NoCredit) if !self.eof => return false,
            Ok(Step::Data(data)) if data.len() as u64 <= *left => *left -= data.len() as u64,
            Ok(Step::Extensions(_)) => {}
            Ok(Step::End(_)) => {
                self.recv = Recv::Done;
                self.timer.clear();
                self.settle(now);
            }
            // Too much of it, or malformed: there is nobody to tell, the answer is out.
            Ok(Step::Data(_) | Step::More | Step::NoCredit) | Err(_) => self.linger(now),
        }
        true
    }

    fn poll(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<ServerEvent>, Error> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        loop {
            match self.recv {
                Recv::Head(_) => return self.poll_head(now, input),
                Recv::Body(_) => return self.poll_body(now, input),
                Recv::NoBody => {
                    self.recv = Recv::Done;
                    let stream = StreamId(self.stream);
                    return Ok(Some(ServerEvent::End { stream, trailers: None }));
                }
                Recv::Done if self.exchange.tunnel => {
                    if !self.outbox.is_empty() {
                        return Ok(None);
                    }
                    self.recv = Recv::Tunnel;
                    return Ok(Some(ServerEvent::Upgraded { stream: StreamId(self.stream) }));
                }
                Recv::Done if self.eof && !self.eof_told => {
                    self.eof_told = true;
                    return Ok(Some(ServerEvent::PeerClosed { stream: StreamId(self.stream) }));
                }
                Recv::Discard(..) => {
                    if !self.poll_discard(now, input) {
                        return Ok(None);
                    }
                }
                Recv::Linger => {
                    input.clear();
                    if self.eof {
                        self.recv = Recv::Closed;
                        self.timer.clear();
                    }
                    return Ok(None);
                }
                Recv::Done | Recv::Tunnel | Recv::Closed => return Ok(None),
            }
        }
    }

    /// Goes on once the answer is out: to the next request, or to the end.
    fn settle(&mut self, now: Instant) {
        if self.reply != Reply::Done {
            return;
        }
        if self.exchange.tunnel {
            // What is received comes to its end first.
            return;
        }
        let go_on = self.exchange.persist && !self.closing;
        match core::mem::replace(&mut self.recv, Recv::Linger) {
            Recv::Done | Recv::NoBody if go_on => {
                self.recv = Recv::Head(SectionScan::default());
                self.reply = Reply::NotDue;
                self.timer.set(Phase::Idle, now, self.config.idle_timeout);
            }
            Recv::Body(decoder)
                if go_on && decoder.known_left() <= self.config.limits.get().max_discard() =>
            {
                self.timer.set(Phase::Body, now, self.config.body_timeout);
                self.recv = Recv::Discard(decoder, self.config.limits.get().max_discard());
            }
            Recv::Closed => {
                self.recv = Recv::Closed;
                self.output_done = true;
            }
            _ => self.linger(now),
        }
    }

    /// Refuses the request at hand: answers it, if that has not begun, and closes.
    fn refuse(&mut self, now: Instant, error: Error) -> ServerEvent {
        if self.reply == Reply::NotDue {
            self.stream += 1;
        }
        let cut_off = self.outbox.body;
        self.goodbye(error.status());
        self.linger(now);
        if cut_off == SendBody::UntilClose {
            // Closing would pass for the end of the answer.
            self.fail(Error::Aborted);
        }
        ServerEvent::Refused { stream: StreamId(self.stream), error }
    }

    /// Answers in the application's place, unless it has begun to.
    fn goodbye(&mut self, status: StatusCode) {
        if matches!(self.reply, Reply::NotDue | Reply::Head) {
            let date = self.date.as_ref();
            let written: Result<(), core::convert::Infallible> = self.outbox.write(|out| {
                encode::status_line(out, status);
                encode::date(out, date);
                out.extend_from_slice(b"connection: close\r\ncontent-length: 0\r\n\r\n");
                Ok(())
            });
            let Ok(()) = written;
        }
    }

    /// No more output; input is thrown away until the peer has closed, or for a while.
    fn linger(&mut self, now: Instant) {
        self.recv = if self.eof { Recv::Closed } else { Recv::Linger };
        self.reply = Reply::Done;
        self.exchange.tunnel = false;
        self.outbox.body = SendBody::None;
        self.output_done = true;
        self.timer.clear();
        if matches!(self.recv, Recv::Linger) && self.outbox.is_empty() {
            self.timer.set(Phase::Linger, now, Some(self.config.linger_timeout));
        }
    }

    /// The connection is over: the next `poll_event` says so.
    fn fail(&mut self, error: Error) {
        self.recv = Recv::Closed;
        self.reply = Reply::Done;
        self.outbox.body = SendBody::None;
        self.output_done = true;
        self.timer.clear();
        self.error = Some(error);
    }

    fn fail_now<T>(&mut self, error: Error) -> Result<T, Error> {
        self.fail(error);
        self.error = None;
        Err(error)
    }

    /// Starts the clock for a body that is waited for.
    fn arm_body(&mut self, now: Instant) {
        if matches!(self.recv, Recv::Body(_)) && self.credit > 0 && !self.exchange.waits_to_continue {
            self.timer.set(Phase::Body, now, self.config.body_timeout);
        }
    }
}

impl StreamProtocol for ServerConnection {
    type Event = ServerEvent;
    type Error = Error;

    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<ServerEvent>, Error> {
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

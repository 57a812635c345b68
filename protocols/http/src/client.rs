//! The client half of one connection.
//!
//! ```text
//! Idle ──submit──► Head ──final head──► Body ──► Idle ...          (keep-alive)
//!                  │  ▲ └─101, or 2xx to CONNECT──► Tunnel
//!                  └──┘ informational     └─────► Closed
//! ```
//!
//! One exchange at a time: a pool opens another connection rather than to make one request wait behind another. What
//! is sent and what is received go on side by side; the exchange is over when the answer is. RFC 9112 §6, §9; RFC 9110
//! §7.8, §9.3.6, §10.1.1, §15.2.

mod receive;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, Interest, Progress, ReadInterest, SendBuf, StreamProtocol, WriteInterest};
use http::Method;

use crate::config::ClientConfig;
use crate::error::{Error, FinishError, HeadError, Phase, SendError};
use crate::event::{BodyLength, ClientEvent, StreamId};
use crate::outbox::{Outbox, SendBody};
use crate::timer::Timer;
use crate::wire::body::BodyDecoder;
use crate::wire::encode::{self, FieldSource};
use crate::wire::scan::SectionScan;
use crate::wire::target;

/// The client half of one connection of HTTP/1.1, which also understands servers of HTTP/1.0.
///
/// ```
/// use std::sync::Arc;
/// use bytes::BytesMut;
/// use glowplug_core::{Instant, SendBuf, StreamProtocol};
/// use glowplug_http::{BodyLength, ClientConfig, ClientConnection, ClientEvent, Method};
///
/// let now = Instant::ZERO;
/// let mut client = ClientConnection::new(now, Arc::new(ClientConfig::default()));
/// client.submit(now, &Method::GET, "/", &[("host", "example")], BodyLength::Empty)?;
/// let mut out = SendBuf::new();
/// client.poll_transmit(now, &mut out);
/// assert_eq!(out.take_all(), "GET / HTTP/1.1\r\nhost: example\r\n\r\n");
///
/// let mut input = BytesMut::from("HTTP/1.1 204 No Content\r\n\r\n");
/// let Ok(Some(ClientEvent::Response { head, .. })) = client.poll_event(now, &mut input) else { panic!() };
/// assert_eq!(head.status(), 204);
/// assert!(matches!(client.poll_event(now, &mut input), Ok(Some(ClientEvent::End { .. }))));
/// assert!(client.is_ready());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ClientConnection {
    config: Arc<ClientConfig>,
    recv: Recv,
    outbox: Outbox,
    timer: Timer,
    /// The current request, or the last one.
    stream: u64,
    exchange: Exchange,
    /// How far the current request, or the last one, got.
    progress: Progress,
    /// Body bytes that may still be handed out.
    credit: usize,
    /// Input that was left after the last `poll_event`.
    seen: usize,
    /// To be returned by the next `poll_event`.
    error: Option<Error>,
    /// The peer will send no more.
    eof: bool,
    /// `close` was called.
    closing: bool,
    /// Nothing will be added to the outbox any more.
    output_done: bool,
}

/// What is known of the current exchange.
#[derive(Clone, Copy, Debug)]
struct Exchange {
    /// `HEAD`: the answer has no content.
    is_head: bool,
    is_connect: bool,
    upgrade: bool,
    /// The request's body is not all given to this machine.
    sending: bool,
    /// The body waits for `100 Continue`.
    held: bool,
    /// The connection goes on afterwards, as far as is known.
    persist: bool,
    /// Informational answers so far.
    informational: u32,
}

#[derive(Debug)]
enum Recv {
    Idle,
    Head(SectionScan),
    Body(BodyDecoder),
    /// Nobody wants the rest of this answer; it is thrown away, up to so many bytes.
    Discard(BodyDecoder, u64),
    /// The answer hands the connection over, as soon as the request is sent.
    Switching,
    /// The connection belongs to another protocol.
    Tunnel,
    Closed,
}

impl ClientConnection {
    /// A connection that was made at `now`.
    pub fn new(now: Instant, config: Arc<ClientConfig>) -> Self {
        let mut timer = Timer::default();
        timer.set(Phase::Idle, now, config.idle_timeout);
        Self {
            outbox: Outbox::new(config.limits.get().send_buffer()),
            recv: Recv::Idle,
            timer,
            stream: 0,
            exchange: Exchange {
                is_head: false,
                is_connect: false,
                upgrade: false,
                sending: false,
                held: false,
                persist: true,
                informational: 0,
            },
            progress: Progress::NotSent,
            credit: 0,
            seen: 0,
            error: None,
            eof: false,
            closing: false,
            output_done: false,
            config,
        }
    }

    /// Begins a request. With [`BodyLength::Empty`] it is complete; otherwise `send_data` and `finish` follow.
    ///
    /// `target` goes out as it is, in a form that fits the method (RFC 9112 §3.2). The fields need one `host` (it may be
    /// empty). `connection: close` and `upgrade` among them are understood; so is `expect: 100-continue`, which holds
    /// the body back until the server answers or the configured time is over.
    pub fn submit(
        &mut self,
        now: Instant,
        method: &Method,
        target: &str,
        fields: &(impl FieldSource + ?Sized),
        body: BodyLength,
    ) -> Result<StreamId, HeadError> {
        match self.recv {
            Recv::Idle if !self.is_ready() => return Err(HeadError::Closed),
            Recv::Idle => {}
            Recv::Tunnel | Recv::Switching | Recv::Closed => return Err(HeadError::Closed),
            Recv::Head(_) | Recv::Body(_) | Recv::Discard(..) => return Err(HeadError::Busy),
        }
        if !target::is_plain(target.as_bytes())
            || !target::fits(method.as_str().as_bytes(), target.as_bytes())
        {
            return Err(HeadError::Target);
        }
        let is_connect = *method == Method::CONNECT;
        if is_connect && body != BodyLength::Empty {
            return Err(HeadError::Body);
        }
        let facts = self.outbox.write(|out| {
            out.reserve(method.as_str().len() + target.len() + 32);
            out.extend_from_slice(method.as_str().as_bytes());
            out.extend_from_slice(b" ");
            out.extend_from_slice(target.as_bytes());
            out.extend_from_slice(b" HTTP/1.1\r\n");
            let written = encode::fields(out, fields, false).map_err(HeadError::Field)?;
            if written.hosts != 1 {
                return Err(HeadError::Host);
            }
            match body {
                // RFC 9110 §8.6: where a method expects content, that there is none is said.
                BodyLength::Empty if matches!(*method, Method::POST | Method::PUT | Method::PATCH) => {
                    encode::content_length(out, 0);
                }
                BodyLength::Empty => {}
                BodyLength::Known(length) => encode::content_length(out, length),
                BodyLength::Unknown => encode::field(out, b"transfer-encoding", b"chunked"),
            }
            out.extend_from_slice(b"\r\n");
            Ok(written.facts)
        })?;
        self.outbox.body = match body {
            BodyLength::Empty => SendBody::None,
            BodyLength::Known(length) => SendBody::Known(length),
            BodyLength::Unknown => SendBody::Chunked,
        };
        let sending = body != BodyLength::Empty;
        self.exchange = Exchange {
            is_head: *method == Method::HEAD,
            is_connect,
            upgrade: facts.upgrade(http::Version::HTTP_11),
            sending,
            held: !matches!(body, BodyLength::Empty | BodyLength::Known(0)) && facts.expects_continue,
            persist: !facts.close(),
            informational: 0,
        };
        self.stream += 1;
        self.progress = Progress::NotSent;
        self.credit = self.config.limits.get().receive_window();
        self.recv = Recv::Head(SectionScan::default());
        self.timer.clear();
        if self.exchange.held {
            self.timer.set(Phase::Continue, now, Some(self.config.continue_timeout));
        }
        Ok(StreamId(self.stream))
    }

    /// Sends a piece of the request's body; an empty one sends nothing. While the body waits for `100 Continue` there
    /// is no capacity.
    pub fn send_data(&mut self, _now: Instant, stream: StreamId, data: Bytes) -> Result<(), SendError> {
        if !self.is_sending(stream) {
            return Err(SendError::Closed(data));
        }
        if self.exchange.held {
            return Err(SendError::Full(data));
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
        if !self.is_sending(stream) {
            return Err(SendError::Closed(data));
        }
        if self.exchange.held {
            return Err(SendError::Full(data));
        }
        self.outbox.send_chunk(data, extensions)
    }

    /// Ends the request's body. Trailers go out where it is chunked, and are left out elsewhere; so
    /// are fields that cannot be trailers (`content-length`, `transfer-encoding`, `host`).
    pub fn finish(
        &mut self,
        now: Instant,
        stream: StreamId,
        trailers: &(impl FieldSource + ?Sized),
    ) -> Result<(), FinishError> {
        if !self.is_sending(stream) {
            return Err(FinishError::Closed);
        }
        self.outbox.finish(trailers)?;
        self.exchange.sending = false;
        // A body without any data has nothing to hold back.
        self.go_on();
        if self.outbox.is_empty() {
            // All of it went out before anybody knew that it was all.
            self.note_progress(now);
        }
        Ok(())
    }

    /// Nobody waits for the answer any more; no event tells of it. A request of which nothing was handed over is
    /// forgotten, and the connection is ready for another. The rest of an answer is read away if it is short. Otherwise
    /// the connection closes.
    pub fn cancel(&mut self, now: Instant, stream: StreamId) {
        if !self.is_current(stream) {
            return;
        }
        let max_discard = self.config.limits.get().max_discard();
        match core::mem::replace(&mut self.recv, Recv::Closed) {
            Recv::Head(_) if self.progress == Progress::NotSent => {
                self.outbox.clear();
                self.go_idle(now);
            }
            Recv::Body(decoder)
                if self.exchange.persist
                    && self.progress == Progress::AnswerBegun
                    && self.is_all_sent()
                    && decoder.known_left() <= max_discard =>
            {
                self.timer.set(Phase::Body, now, self.config.body_timeout);
                self.recv = Recv::Discard(decoder, max_discard);
            }
            Recv::Discard(decoder, left) => self.recv = Recv::Discard(decoder, left),
            Recv::Idle => self.recv = Recv::Idle,
            Recv::Tunnel => self.recv = Recv::Tunnel,
            Recv::Head(_) | Recv::Body(_) | Recv::Switching | Recv::Closed => self.shut(),
        }
    }

    /// Gives credit back: `len` bytes of the answer's body are done with.
    pub fn release(&mut self, now: Instant, stream: StreamId, len: usize) {
        if !self.is_current(stream) {
            return;
        }
        let window = self.config.limits.get().receive_window();
        self.credit = self.credit.saturating_add(len).min(window);
        if matches!(self.recv, Recv::Body(_)) && self.credit > 0 {
            // The time that the application took is not the server's.
            self.timer.set(Phase::Body, now, self.config.body_timeout);
        }
    }

    /// The rest of the answer's body, if its length is known and all of it is there: the exchange is over with that, and no event tells
    /// of either. `None` leaves it to [`poll_event`](StreamProtocol::poll_event), piece by piece; so does a body that needs more credit than
    /// there is.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use bytes::BytesMut;
    /// # use glowplug_core::{Instant, SendBuf, StreamProtocol};
    /// # use glowplug_http::{BodyLength, ClientConfig, ClientConnection, Method};
    /// # let now = Instant::ZERO;
    /// # let mut client = ClientConnection::new(now, Arc::new(ClientConfig::default()));
    /// let stream = client.submit(now, &Method::GET, "/", &[("host", "example")], BodyLength::Empty)?;
    /// # client.poll_transmit(now, &mut SendBuf::new());
    /// let mut input = BytesMut::from("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    /// client.poll_event(now, &mut input)?;
    /// assert_eq!(client.take_rest(now, stream, &mut input).as_deref(), Some(&b"hello"[..]));
    /// assert!(client.is_ready());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_rest(&mut self, now: Instant, stream: StreamId, input: &mut BytesMut) -> Option<Bytes> {
        let Recv::Body(decoder) = &mut self.recv else { return None };
        let credit = if stream.0 == self.stream { self.credit } else { return None };
        let rest = decoder.take_all(input, credit)?;
        self.end_exchange(now);
        self.seen = input.len();
        Some(rest)
    }

    /// Bytes that `send_data` takes now. Zero when there is no room, no body to send, or no leave to send it.
    pub fn capacity(&self, stream: StreamId) -> usize {
        if self.is_sending(stream) && !self.exchange.held { self.outbox.capacity() } else { 0 }
    }

    /// True while `send_data` and `finish` are still to come: not all of the body was given, and the answer has not put
    /// an end to it.
    pub fn takes_body(&self, stream: StreamId) -> bool {
        self.is_sending(stream)
    }

    /// How far a request got; answerable until the next one is submitted, after an error too.
    pub fn progress(&self, stream: StreamId) -> Progress {
        if self.is_current(stream) { self.progress } else { Progress::NotSent }
    }

    /// True when a request can be submitted.
    pub fn is_ready(&self) -> bool {
        matches!(self.recv, Recv::Idle)
            && self.seen == 0
            && !self.eof
            && !self.closing
            && self.error.is_none()
    }

    /// Gives the memory of empty buffers back, for a long wait.
    pub fn release_memory(&mut self) {
        self.outbox.release_memory();
    }

    /// Nothing happens here before something has come.
    fn waits(&self) -> bool {
        matches!(self.recv, Recv::Idle | Recv::Head(_)) && !self.eof && self.error.is_none()
    }

    fn is_current(&self, stream: StreamId) -> bool {
        stream.0 == self.stream && self.stream > 0
    }

    fn is_sending(&self, stream: StreamId) -> bool {
        self.is_current(stream) && self.exchange.sending
    }

    /// Something was handed over, or turned out to be the last.
    fn note_progress(&mut self, now: Instant) {
        let reached = if self.is_all_sent() { Progress::FullySent } else { Progress::PartlySent };
        if reached > self.progress {
            self.progress = reached;
            if reached == Progress::FullySent && matches!(self.recv, Recv::Head(_)) {
                self.timer.set(Phase::Head, now, self.config.head_timeout);
            }
        }
    }

    /// The whole request was handed over.
    fn is_all_sent(&self) -> bool {
        !self.exchange.sending && self.outbox.is_empty()
    }
}

impl StreamProtocol for ClientConnection {
    type Event = ClientEvent;
    type Error = Error;

    #[inline]
    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<ClientEvent>, Error> {
        if input.is_empty() && self.waits() {
            // As often as not there is nothing to look at.
            self.seen = 0;
            return Ok(None);
        }
        let polled = self.poll(now, input);
        self.seen = input.len();
        polled
    }

    #[inline]
    fn poll_transmit(&mut self, now: Instant, out: &mut SendBuf) {
        if self.outbox.transmit(out) {
            self.note_progress(now);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timer.deadline()
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self.timer.expire(now) {
            None => {}
            Some(Phase::Continue) => self.go_on(),
            Some(Phase::Idle) => self.shut(),
            Some(_) if matches!(self.recv, Recv::Discard(..)) => self.shut(),
            Some(phase) => {
                self.shut();
                self.error = Some(Error::TimedOut(phase));
            }
        }
    }

    fn handle_eof(&mut self, _now: Instant) {
        self.eof = true;
    }

    fn close(&mut self, _now: Instant) {
        self.closing = true;
        if matches!(self.recv, Recv::Idle) {
            self.shut();
        }
    }

    fn interest(&self) -> Interest {
        let read = match &self.recv {
            Recv::Tunnel | Recv::Switching => ReadInterest::Paused,
            Recv::Closed => ReadInterest::Closed,
            _ if self.eof => ReadInterest::Closed,
            Recv::Body(_) if self.credit == 0 => ReadInterest::Paused,
            Recv::Body(decoder) => {
                ReadInterest::Want(usize::try_from(decoder.wanted()).unwrap_or(usize::MAX).min(self.credit))
            }
            Recv::Idle | Recv::Head(_) | Recv::Discard(..) => ReadInterest::Want(1),
        };
        let write = if self.output_done && self.outbox.is_empty() {
            WriteInterest::Closed
        } else {
            WriteInterest::Open
        };
        Interest { read, write }
    }
}

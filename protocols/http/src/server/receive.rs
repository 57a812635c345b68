//! What the server half receives, and what follows from it.

use bytes::{Buf, BytesMut};
use glowplug_core::{Instant, LimitExceeded};
use http::{StatusCode, Version};

use super::{Exchange, Recv, Reply, ServerConnection};
use crate::error::{Error, Phase, Reason};
use crate::event::{BodyLength, ServerEvent, StreamId};
use crate::outbox::SendBody;
use crate::wire::body::{BodyDecoder, Step};
use crate::wire::encode;
use crate::wire::framing::Facts;
use crate::wire::head::RequestHead;
use crate::wire::parse::{Rules, limit};
use crate::wire::scan::SectionScan;
use crate::wire::token::is_tchar;

impl ServerConnection {
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
                    return Ok(Some(self.refuse(now, limit("max_empty_lines", max as usize))));
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
        let (mut head, mut facts) = (RequestHead::empty(), Facts::default());
        let begun = match rules.take_request(scan, input, &mut head, &mut facts) {
            Ok(true) => self.begin(now, &head, &mut facts),
            Ok(false) if self.eof => return self.fail_now(Error::UnexpectedEof(Phase::Head)),
            Ok(false) => return Ok(None),
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
        facts: &mut Facts,
    ) -> Result<(BodyLength, bool), Error> {
        let limits = self.config.limits.get();
        let version = head.version();
        let is_connect = head.method_is(b"CONNECT");
        let body = facts.request_body(version, is_connect, &self.config.leniency)?;
        if let BodyLength::Known(length) = body
            && length > limits.max_body_len()
        {
            return Err(LimitExceeded::new("max_body_len", limits.max_body_len(), length).into());
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

    pub(super) fn poll(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<ServerEvent>, Error> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        loop {
            match self.recv {
                // Requests that a peer pipelines without reading its answers wait in the input, or answers would pile up.
                Recv::Head(_) if self.outbox.is_full() => return Ok(None),
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
    #[inline]
    pub(super) fn settle(&mut self, now: Instant) {
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
    pub(super) fn goodbye(&mut self, status: StatusCode) {
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
    pub(super) fn linger(&mut self, now: Instant) {
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
    pub(super) fn fail(&mut self, error: Error) {
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
    pub(super) fn arm_body(&mut self, now: Instant) {
        if matches!(self.recv, Recv::Body(_)) && self.credit > 0 && !self.exchange.waits_to_continue {
            self.timer.set(Phase::Body, now, self.config.body_timeout);
        }
    }
}

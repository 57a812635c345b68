//! What the client half receives, and what follows from it.

use bytes::BytesMut;
use glowplug_core::{Instant, LimitExceeded, Progress};
use http::{StatusCode, Version};

use super::{ClientConnection, Recv};
use crate::error::{Error, Phase, Reason};
use crate::event::{BodyLength, ClientEvent, StreamId};
use crate::outbox::SendBody;
use crate::wire::body::{BodyDecoder, Step};
use crate::wire::framing::{Facts, ResponseBody};
use crate::wire::head::ResponseHead;
use crate::wire::parse::Rules;

impl ClientConnection {
    fn poll_head(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<ClientEvent>, Error> {
        let Recv::Head(scan) = &mut self.recv else { return Ok(None) };
        match **input {
            [] if self.eof => return self.fail_now(Error::UnexpectedEof(Phase::Head)),
            [] => return Ok(None),
            // An answer to nothing: whatever it is, it must not become the answer to this request.
            _ if self.progress == Progress::NotSent => {
                return self.fail_now(Error::peer(0, Reason::UnexpectedData));
            }
            [b'H', ..] => {}
            _ => {
                self.progress = Progress::AnswerBegun;
                return self.fail_now(Error::peer(0, Reason::NotHttp));
            }
        }
        self.progress = Progress::AnswerBegun;
        let rules = Rules { limits: &self.config.limits, leniency: &self.config.leniency };
        let (mut head, mut facts) = (ResponseHead::empty(), Facts::default());
        match rules.take_response(scan, input, &mut head, &mut facts) {
            Ok(true) => {
                let stream = StreamId(self.stream);
                match self.begin(now, head.version(), head.status(), facts) {
                    Ok(Some(body)) => Ok(Some(ClientEvent::Response { stream, head, body })),
                    Ok(None) => Ok(Some(ClientEvent::Informational { stream, head })),
                    Err(error) => self.fail_now(error),
                }
            }
            Ok(false) if self.eof => self.fail_now(Error::UnexpectedEof(Phase::Head)),
            Ok(false) => Ok(None),
            Err(error) => self.fail_now(error),
        }
    }

    /// A whole head has come: what follows it, unless the final one is still to come.
    fn begin(
        &mut self,
        now: Instant,
        version: Version,
        status: StatusCode,
        mut facts: Facts,
    ) -> Result<Option<BodyLength>, Error> {
        let limits = self.config.limits.get();
        let switching = status == StatusCode::SWITCHING_PROTOCOLS;
        if switching && !self.exchange.upgrade {
            return Err(Error::peer(0, Reason::UnexpectedUpgrade));
        }
        if status.is_informational() && !switching {
            self.exchange.informational += 1;
            if self.exchange.informational > limits.max_informational() {
                let max = u64::from(limits.max_informational());
                return Err(LimitExceeded::more_than("max_informational", max).into());
            }
            if status == StatusCode::CONTINUE {
                self.go_on();
            }
            return Ok(None);
        }

        self.timer.clear();
        if self.exchange.held {
            // The answer came instead of `100 Continue`: the body stays here, and only closing ends the request.
            self.exchange.held = false;
            self.exchange.sending = false;
            self.exchange.persist = false;
            self.outbox.body = SendBody::None;
        }
        if switching || self.exchange.is_connect && status.is_success() {
            self.recv = Recv::Switching;
            return Ok(Some(BodyLength::Empty));
        }
        let body = facts.response_body(version, status, !self.exchange.is_head, &self.config.leniency)?;
        self.exchange.persist &= facts.persists(version);
        let (decoder, body) = match body {
            ResponseBody::Empty => (BodyDecoder::known(0), BodyLength::Empty),
            ResponseBody::Known(length) if length > limits.max_body_len() => {
                return Err(LimitExceeded::new("max_body_len", limits.max_body_len(), length).into());
            }
            ResponseBody::Known(length) => (BodyDecoder::known(length), BodyLength::Known(length)),
            ResponseBody::Chunked => (BodyDecoder::chunked(), BodyLength::Unknown),
            ResponseBody::UntilClose => {
                self.exchange.persist = false;
                (BodyDecoder::until_close(), BodyLength::Unknown)
            }
        };
        self.recv = Recv::Body(decoder);
        self.timer.set(Phase::Body, now, self.config.body_timeout);
        Ok(Some(body))
    }

    fn poll_body(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<ClientEvent>, Error> {
        let Recv::Body(decoder) = &mut self.recv else { return Ok(None) };
        let rules = Rules { limits: &self.config.limits, leniency: &self.config.leniency };
        let stream = StreamId(self.stream);
        match decoder.step(input, self.credit, self.eof, rules, self.config.report_chunk_extensions) {
            Ok(Step::More) if self.eof => self.fail_now(Error::UnexpectedEof(Phase::Body)),
            Ok(Step::More | Step::NoCredit) => Ok(None),
            Ok(Step::Data(data)) => {
                self.credit -= data.len();
                if self.credit == 0 {
                    self.timer.clear();
                } else {
                    self.timer.set(Phase::Body, now, self.config.body_timeout);
                }
                Ok(Some(ClientEvent::Data { stream, data }))
            }
            Ok(Step::Extensions(extensions)) => Ok(Some(ClientEvent::ChunkExtensions { stream, extensions })),
            Ok(Step::End(trailers)) => {
                self.end_exchange(now);
                Ok(Some(ClientEvent::End { stream, trailers }))
            }
            Err(error) => self.fail_now(error),
        }
    }

    /// Throws the rest of an answer away; true when there is something to go on with.
    fn poll_discard(&mut self, now: Instant, input: &mut BytesMut) -> bool {
        let Recv::Discard(decoder, left) = &mut self.recv else { return false };
        let rules = Rules { limits: &self.config.limits, leniency: &self.config.leniency };
        match decoder.step(input, usize::MAX, self.eof, rules, false) {
            Ok(Step::More | Step::NoCredit) if !self.eof => return false,
            Ok(Step::Data(data)) if data.len() as u64 <= *left => *left -= data.len() as u64,
            Ok(Step::Extensions(_)) => {}
            Ok(Step::End(_)) => self.end_exchange(now),
            Ok(Step::Data(_) | Step::More | Step::NoCredit) | Err(_) => self.shut(),
        }
        true
    }

    pub(super) fn poll(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<ClientEvent>, Error> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        loop {
            match self.recv {
                Recv::Head(_) => return self.poll_head(now, input),
                Recv::Body(_) => return self.poll_body(now, input),
                Recv::Discard(..) => {
                    if !self.poll_discard(now, input) {
                        return Ok(None);
                    }
                }
                Recv::Switching if self.is_all_sent() => {
                    self.recv = Recv::Tunnel;
                    return Ok(Some(ClientEvent::Upgraded { stream: StreamId(self.stream) }));
                }
                Recv::Idle if !input.is_empty() => {
                    return self.fail_now(Error::peer(0, Reason::UnexpectedData));
                }
                Recv::Idle if self.eof => {
                    self.shut();
                    return Ok(None);
                }
                Recv::Idle | Recv::Switching | Recv::Tunnel | Recv::Closed => return Ok(None),
            }
        }
    }

    /// The answer is complete.
    pub(super) fn end_exchange(&mut self, now: Instant) {
        // A server that answers before it has the whole request does not want the rest of it.
        let goes_on = self.exchange.persist && self.is_all_sent() && !self.closing;
        if goes_on { self.go_idle(now) } else { self.shut() }
    }

    pub(super) fn go_idle(&mut self, now: Instant) {
        self.recv = Recv::Idle;
        self.exchange.sending = false;
        self.exchange.held = false;
        self.timer.set(Phase::Idle, now, self.config.idle_timeout);
        if self.closing {
            self.shut();
        }
    }

    /// The body need not wait any more.
    pub(super) fn go_on(&mut self) {
        if self.exchange.held {
            self.exchange.held = false;
            self.timer.clear();
        }
    }

    /// The connection is over, without an error.
    pub(super) fn shut(&mut self) {
        self.recv = Recv::Closed;
        self.outbox.clear();
        self.exchange.sending = false;
        self.exchange.held = false;
        self.output_done = true;
        self.timer.clear();
    }

    fn fail_now<T>(&mut self, error: Error) -> Result<T, Error> {
        self.shut();
        Err(error)
    }
}

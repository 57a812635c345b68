//! The direction of answers.

use std::collections::VecDeque;

use bytes::BytesMut;
use glowplug_core::LimitExceeded;
use http::StatusCode;

use super::{Direction, Part, Question, State};
use crate::config::{Leniency, Limits};
use crate::error::{Error, Phase, Reason};
use crate::event::BodyLength;
use crate::wire::body::BodyDecoder;
use crate::wire::framing::{Facts, ResponseBody};
use crate::wire::head::ResponseHead;
use crate::wire::parse::Rules;

/// Reads answers, one after the other, as a client would. Where an answer ends depends on what was asked, so each
/// [`Question`] is told first.
///
/// It writes nothing, waits for nothing and holds nothing but where it is and what was asked; the verdict is that of
/// [`ClientConnection`](crate::ClientConnection) on the same bytes, however they are cut. An informational answer (1xx) is a message like others: a head
/// and its end.
///
/// ```
/// use bytes::BytesMut;
/// use glowplug_http::wire::{Part, Question, ResponseDecoder};
///
/// let mut responses = ResponseDecoder::default();
/// responses.expect(Question::default())?;
/// let mut input = BytesMut::from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
/// let mut body = Vec::new();
/// while let Some(part) = responses.decode(&mut input)? {
///     if let Part::Data(data) = part {
///         body.extend_from_slice(&data);
///     }
/// }
/// assert_eq!((&body[..], responses.expected()), (&b"hello"[..], 0));
/// # Ok::<(), glowplug_http::Error>(())
/// ```
#[derive(Debug)]
pub struct ResponseDecoder {
    direction: Direction,
    questions: VecDeque<Question>,
    /// Informational answers to the first question.
    informational: u32,
    /// The message at hand is one.
    is_informational: bool,
}

impl Default for ResponseDecoder {
    fn default() -> Self {
        Self::new(Limits::default(), Leniency::default())
    }
}

impl ResponseDecoder {
    /// At the beginning of a connection. Of the limits, those count that are about heads, bodies, chunks, informational answers, and
    /// `max_unanswered`.
    pub fn new(limits: Limits, leniency: Leniency) -> Self {
        Self {
            direction: Direction::new(limits, leniency),
            questions: VecDeque::new(),
            informational: 0,
            is_informational: false,
        }
    }

    /// This was asked, after all that was told before.
    ///
    /// # Errors
    ///
    /// When more would wait for their answers than `max_unanswered` says; the question is not noted.
    pub fn expect(&mut self, question: Question) -> Result<(), Error> {
        self.check_room()?;
        self.questions.push_back(question);
        Ok(())
    }

    /// Whether one more may be expected.
    pub(super) fn check_room(&self) -> Result<(), Error> {
        let max = self.direction.limits.get().max_unanswered();
        if self.questions.len() < max {
            return Ok(());
        }
        Err(LimitExceeded::more_than("max_unanswered", max as u64).into())
    }

    /// How many answers are not complete.
    pub fn expected(&self) -> usize {
        self.questions.len()
    }

    /// Takes the next part off the front of `input`; `None` while it is not whole, while nothing is known to have been asked, and where nothing
    /// more is to be read.
    ///
    /// # Errors
    ///
    /// What a client would break off the connection for. There is no way on behind that: the same error comes again.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Part<ResponseHead>>, Error> {
        let result = self.poll(input);
        if let Err(error) = &result {
            self.direction.state = State::Failed(*error);
        }
        result
    }

    /// The server has finished sending: that is the end of a body that has no other, and an error in any other message.
    pub fn handle_eof(&mut self) {
        self.direction.eof = true;
    }

    /// Whether another protocol has begun.
    pub fn has_switched(&self) -> bool {
        matches!(self.direction.state, State::Switching | State::Switched)
    }

    /// Whether no more answers are read, since one said that it was the last, or another protocol has begun.
    pub fn is_over(&self) -> bool {
        matches!(self.direction.state, State::Over | State::Switched)
    }

    #[inline]
    fn poll(&mut self, input: &mut BytesMut) -> Result<Option<Part<ResponseHead>>, Error> {
        if matches!(self.direction.state, State::Head(_)) {
            return self.poll_head(input);
        }
        let part = self.direction.poll_rest(input)?;
        if let Some(Part::End(_)) = part {
            if !core::mem::take(&mut self.is_informational) {
                self.questions.pop_front();
                self.informational = 0;
            }
            self.direction.next();
        }
        Ok(part)
    }

    #[inline]
    fn poll_head(&mut self, input: &mut BytesMut) -> Result<Option<Part<ResponseHead>>, Error> {
        let Direction { limits, leniency, state, eof, .. } = &mut self.direction;
        let State::Head(scan) = state else { return Ok(None) };
        let question = match (self.questions.front(), &**input) {
            (Some(_), []) if *eof => return Err(Error::UnexpectedEof(Phase::Head)),
            // An answer to nothing, unless the question is still to be told.
            (None, _) | (_, []) => return Ok(None),
            (Some(question), [b'H', ..]) => *question,
            (Some(_), _) => return Err(Error::peer(0, Reason::NotHttp)),
        };
        let (mut head, mut facts) = (ResponseHead::empty(), Facts::default());
        if !(Rules { limits, leniency }).take_response(scan, input, &mut head, &mut facts)? {
            return if *eof { Err(Error::UnexpectedEof(Phase::Head)) } else { Ok(None) };
        }
        let body = self.begin(question, &head, facts)?;
        Ok(Some(Part::Head { head, body }))
    }

    /// What follows a head.
    fn begin(
        &mut self,
        question: Question,
        head: &ResponseHead,
        mut facts: Facts,
    ) -> Result<BodyLength, Error> {
        let (version, status) = (head.version(), head.status());
        if status == StatusCode::SWITCHING_PROTOCOLS {
            if !question.upgrade {
                return Err(Error::peer(0, Reason::UnexpectedUpgrade));
            }
            return Ok(self.switch());
        }
        if question.connect && status.is_success() {
            return Ok(self.switch());
        }
        if status.is_informational() {
            let max = self.direction.limits.get().max_informational();
            self.informational += 1;
            if self.informational > max {
                return Err(LimitExceeded::more_than("max_informational", max.into()).into());
            }
            self.is_informational = true;
            self.direction.begin(BodyDecoder::known(0), BodyLength::Empty)?;
            return Ok(BodyLength::Empty);
        }
        let body = facts.response_body(version, status, !question.head, &self.direction.leniency)?;
        self.direction.persist = facts.persists(version) && body != ResponseBody::UntilClose;
        let (decoder, length) = match body {
            ResponseBody::Empty => (BodyDecoder::known(0), BodyLength::Empty),
            ResponseBody::Known(length) => (BodyDecoder::known(length), BodyLength::Known(length)),
            ResponseBody::Chunked => (BodyDecoder::chunked(), BodyLength::Unknown),
            ResponseBody::UntilClose => (BodyDecoder::until_close(), BodyLength::Unknown),
        };
        self.direction.begin(decoder, length)?;
        Ok(length)
    }

    fn switch(&mut self) -> BodyLength {
        self.questions.pop_front();
        self.direction.state = State::Switching;
        BodyLength::Empty
    }
}

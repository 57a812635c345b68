//! The direction of requests.

use bytes::BytesMut;

use super::{Direction, Part, Question, State};
use crate::config::{Leniency, Limits};
use crate::error::{Error, Phase};
use crate::wire::body::BodyDecoder;
use crate::wire::framing::Facts;
use crate::wire::head::RequestHead;
use crate::wire::lead::Lead;
use crate::wire::parse::Rules;

/// Reads requests, one after the other, as a server would: for a firewall, a recorder, a test.
///
/// It writes nothing, waits for nothing and holds nothing but where it is; the verdict is that of [`ServerConnection`](crate::ServerConnection) on the same
/// bytes, however they are cut. Bytes go into a buffer of the caller's, from which parts are taken as they are whole.
///
/// ```
/// use bytes::BytesMut;
/// use glowplug_http::wire::{Part, RequestDecoder};
///
/// let mut requests = RequestDecoder::default();
/// let mut input = BytesMut::from("GET /a HTTP/1.1\r\nHost: example.org\r\n\r\nGET /b HT");
/// let mut targets = Vec::new();
/// while let Some(part) = requests.decode(&mut input)? {
///     if let Part::Head { head, .. } = part {
///         targets.push(head.target().to_owned());
///     }
/// }
/// assert_eq!((targets, &input[..]), (vec!["/a".to_owned()], &b"GET /b HT"[..]));
/// # Ok::<(), glowplug_http::Error>(())
/// ```
///
/// Behind a request that asks for another protocol (`CONNECT`, or `Upgrade`), only its answer says what the bytes are: the decoder
/// [is undecided](Self::is_undecided) and reads nothing before it is told. An [`Observer`](super::Observer) of both directions does that by itself.
#[derive(Debug)]
pub struct RequestDecoder {
    direction: Direction,
    empty_lines: u32,
    question: Question,
}

impl Default for RequestDecoder {
    fn default() -> Self {
        Self::new(Limits::default(), Leniency::default())
    }
}

impl RequestDecoder {
    /// At the beginning of a connection. Of the limits, those count that are about heads, bodies, chunks and empty lines.
    pub fn new(limits: Limits, leniency: Leniency) -> Self {
        Self { direction: Direction::new(limits, leniency), empty_lines: 0, question: Question::default() }
    }

    /// Takes the next part off the front of `input`; `None` while it is not whole, and where nothing more is to be read.
    ///
    /// # Errors
    ///
    /// What a server would refuse the request for. There is no way on behind that: the same error comes again.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Part<RequestHead>>, Error> {
        let result = self.poll(input);
        if let Err(error) = &result {
            self.direction.state = State::Failed(*error);
        }
        result
    }

    /// The client has finished sending: a message that is not complete when everything before was decoded is an error.
    pub fn handle_eof(&mut self) {
        self.direction.eof = true;
    }

    /// What is to be known for the answer to the request whose head was decoded last.
    pub fn question(&self) -> Question {
        self.question
    }

    /// Whether the answer to the last request decides what its bytes are from here on.
    pub fn is_undecided(&self) -> bool {
        matches!(self.direction.state, State::Undecided)
    }

    /// The connection stays with HTTP: the answer was an ordinary one. Does nothing unless the decoder is undecided.
    pub fn go_on(&mut self) {
        if self.is_undecided() {
            self.direction.next();
        }
    }

    /// The answer made another protocol of the connection. Does nothing unless the decoder is undecided.
    pub fn switch(&mut self) {
        if self.is_undecided() {
            self.direction.state = State::Switching;
        }
    }

    /// Whether no more requests are read, since there are none, one said that it was the last, or another protocol has begun.
    pub fn is_over(&self) -> bool {
        matches!(self.direction.state, State::Over | State::Switched)
    }

    /// The next part is a head.
    pub(super) fn is_between(&self) -> bool {
        matches!(self.direction.state, State::Head(_))
    }

    /// The server has said that it reads no more.
    pub(super) fn finish(&mut self) {
        if matches!(self.direction.state, State::Head(_) | State::Undecided) {
            self.direction.state = State::Over;
        }
    }

    #[inline]
    fn poll(&mut self, input: &mut BytesMut) -> Result<Option<Part<RequestHead>>, Error> {
        if matches!(self.direction.state, State::Head(_)) {
            return self.poll_head(input);
        }
        let part = self.direction.poll_rest(input)?;
        if let Some(Part::End(_)) = part {
            if self.question.may_switch() {
                self.direction.state = State::Undecided;
            } else {
                self.direction.next();
            }
        }
        Ok(part)
    }

    #[inline]
    fn poll_head(&mut self, input: &mut BytesMut) -> Result<Option<Part<RequestHead>>, Error> {
        let Direction { limits, leniency, state, eof, .. } = &mut self.direction;
        let State::Head(scan) = state else { return Ok(None) };
        let rules = Rules { limits, leniency };
        match rules.lead(scan.is_fresh(), &mut self.empty_lines, input)? {
            Lead::Nothing if *eof => {
                *state = State::Over;
                return Ok(None);
            }
            Lead::HalfLineEnd if *eof => return Err(Error::UnexpectedEof(Phase::Head)),
            Lead::Nothing | Lead::HalfLineEnd => return Ok(None),
            Lead::Request => {}
        }
        let (mut head, mut facts) = (RequestHead::empty(), Facts::default());
        if !rules.take_request(scan, input, &mut head, &mut facts)? {
            return if *eof { Err(Error::UnexpectedEof(Phase::Head)) } else { Ok(None) };
        }
        self.empty_lines = 0;
        let version = head.version();
        let connect = head.method_is(b"CONNECT");
        let body = facts.request_body(version, connect, leniency)?;
        self.question = Question { head: head.method_is(b"HEAD"), connect, upgrade: facts.upgrade(version) };
        self.direction.persist = facts.persists(version);
        self.direction.begin(BodyDecoder::of(body), body)?;
        Ok(Some(Part::Head { head, body }))
    }
}

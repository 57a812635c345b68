//! The wire format alone: what goes over a connection, as somebody reads it who is neither of its ends.

use bytes::{Bytes, BytesMut};
use glowplug_core::LimitExceeded;

use crate::config::{Leniency, Limits};
use crate::error::{Error, Phase};
use crate::event::BodyLength;
use crate::wire::body::{BodyDecoder, Step};
use crate::wire::fields::Fields;
use crate::wire::framing::Facts;
use crate::wire::head::RequestHead;
use crate::wire::parse::Rules;
use crate::wire::scan::SectionScan;

mod observer;
mod request;
mod response;

pub use observer::Observer;
pub use request::RequestDecoder;
pub use response::ResponseDecoder;

/// What a decoder reads, in the order in which it comes. Each head is followed by its data, if there is any, and by an
/// [`End`](Self::End) or by [`Switched`](Self::Switched).
#[derive(Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "boxing heads would cost an allocation for each message")]
pub enum Part<H> {
    /// A message has begun.
    Head {
        /// Its first line and its fields.
        head: H,
        /// What follows.
        body: BodyLength,
    },
    /// A piece of its body, without the framing.
    Data(Bytes),
    /// The extensions of the next chunk, without the first semicolon. The grammar of RFC 9112 §7.1.1 was checked.
    ChunkExtensions(Bytes),
    /// The message is complete. What came behind a chunked body is never to be merged into the head unread (RFC 9110 §6.5.1).
    End(Option<Box<Fields>>),
    /// From here on this direction speaks another protocol, as a `CONNECT` or an `Upgrade` had asked. What is left in the input is the
    /// beginning of that. This is the last part.
    Switched,
}

/// What has to be known of a request to read its answer (RFC 9112 §6.3). The default is one whose answer has a body where it says so, such
/// as `GET`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Question {
    head: bool,
    connect: bool,
    upgrade: bool,
}

impl Question {
    /// That of a request.
    pub fn of(request: &RequestHead) -> Self {
        let mut facts = Facts::default();
        for value in request.get_all("connection") {
            facts.note_connection(value);
        }
        if request.get("upgrade").is_some() {
            facts.note_upgrade();
        }
        Self {
            head: request.method_is(b"HEAD"),
            connect: request.method_is(b"CONNECT"),
            upgrade: facts.upgrade(request.version()),
        }
    }

    /// An answer may make another protocol of the connection.
    fn may_switch(self) -> bool {
        self.connect || self.upgrade
    }
}

/// What both directions have in common.
#[derive(Debug)]
struct Direction {
    limits: Limits,
    leniency: Leniency,
    state: State,
    /// The peer has finished sending.
    eof: bool,
    /// Another message may follow the one at hand.
    persist: bool,
}

#[derive(Debug)]
enum State {
    Head(SectionScan),
    Body(BodyDecoder),
    /// What follows depends on what the other end says.
    Undecided,
    /// Another protocol's, which is still to be told.
    Switching,
    Switched,
    /// What still comes is read by nobody.
    Over,
    Failed(Error),
}

impl Direction {
    fn new(limits: Limits, leniency: Leniency) -> Self {
        let state = State::Head(SectionScan::default());
        Self { limits, leniency, state, eof: false, persist: true }
    }

    /// A message may follow the one that is complete.
    fn next(&mut self) {
        self.state = if self.persist { State::Head(SectionScan::default()) } else { State::Over };
    }

    /// Begins a body of which this is known.
    fn begin(&mut self, decoder: BodyDecoder, length: BodyLength) -> Result<(), Error> {
        let max = self.limits.get().max_body_len();
        if let BodyLength::Known(length) = length
            && length > max
        {
            return Err(LimitExceeded::new("max_body_len", max, length).into());
        }
        self.state = State::Body(decoder);
        Ok(())
    }

    /// Reads on in whatever is no head.
    fn poll_rest<H>(&mut self, input: &mut BytesMut) -> Result<Option<Part<H>>, Error> {
        let decoder = match &mut self.state {
            State::Body(decoder) => decoder,
            State::Switching => {
                self.state = State::Switched;
                return Ok(Some(Part::Switched));
            }
            State::Failed(error) => return Err(*error),
            State::Head(_) | State::Undecided | State::Switched | State::Over => return Ok(None),
        };
        let rules = Rules { limits: &self.limits, leniency: &self.leniency };
        Ok(Some(match decoder.step(input, usize::MAX, self.eof, rules, true)? {
            Step::More | Step::NoCredit if self.eof => return Err(Error::UnexpectedEof(Phase::Body)),
            Step::More | Step::NoCredit => return Ok(None),
            Step::Data(data) => Part::Data(data),
            Step::Extensions(extensions) => Part::ChunkExtensions(extensions),
            Step::End(trailers) => Part::End(trailers),
        }))
    }
}

#[cfg(test)]
mod tests;

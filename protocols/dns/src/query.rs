//! A query, and how to tell its answer from a forgery.

use core::net::SocketAddr;
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::error::DecodeError;
use crate::wire::{
    Class, Edns, EdnsOption, Flags, Header, MAX_NAME_LEN, MessageBuilder, MessageView, Name, NameRef, Opcode,
    OptionCode, Rcode, RecordType,
};

/// One question to one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The name asked about.
    pub name: Name,
    /// The type asked for.
    pub rtype: RecordType,
    /// The class asked for. Default IN.
    pub class: Class,
    /// The flags of the query: RD, AD and CD make sense. Default RD.
    pub flags: Flags,
    /// EDNS, unless the server does not know it. Default: 1232 bytes, no options.
    pub edns: Option<Edns>,
}

impl Query {
    /// A recursive query of class IN with EDNS.
    pub fn new(name: Name, rtype: RecordType) -> Self {
        Self {
            name,
            rtype,
            class: Class::IN,
            flags: Flags::default().with_recursion_desired(true),
            edns: Some(Edns::default()),
        }
    }

    /// Appends the query as a message. `case` says which letters of the name are upper case, bit by bit.
    pub(crate) fn write(&self, id: u16, case: Option<u64>, out: &mut BytesMut) {
        let mut mixed = [0; MAX_NAME_LEN];
        let mut name = self.name.as_ref();
        if let Some(case) = case {
            let wire = self.name.as_wire();
            mixed[..wire.len()].copy_from_slice(wire);
            mix(&mut mixed[..wire.len()], case);
            // It is the same name but for its case.
            name = NameRef::read(&mixed, 0).map_or(name, |(name, _)| name);
        }
        let mut builder = MessageBuilder::new(out, id, self.flags.with_response(false));
        // A header, one name and one OPT record: this fits into any message, unless the options do not.
        let _ = builder.question(name, self.rtype, self.class);
        if let Some(edns) = &self.edns {
            let _ = builder.edns(edns, Rcode::NOERROR);
        }
        builder.finish();
    }

    /// Looks whether a message answers this query, given its id and case.
    pub(crate) fn judge(&self, id: u16, case: Option<u64>, bytes: &[u8]) -> Verdict {
        let Ok(view) = MessageView::new(bytes) else { return Verdict::Other(Ignored::TooShort) };
        let flags = view.flags();
        if !flags.is_response() {
            return Verdict::Other(Ignored::NotAResponse);
        }
        if view.id() != id {
            return Verdict::Other(Ignored::UnknownId);
        }
        if flags.opcode() != Opcode::QUERY {
            return Verdict::Other(Ignored::WrongQuestion);
        }
        if view.counts() == [0; 4] && matches!(flags.low_rcode(), Rcode::FORMERR | Rcode::NOTIMP) {
            // A server that cannot read the query cannot repeat it. This says nothing about the name.
            return Verdict::Answer;
        }
        let Ok(Some(question)) = view.question() else { return Verdict::Other(Ignored::WrongQuestion) };
        let same = question.name == self.name && question.rtype == self.rtype && question.class == self.class;
        if view.counts()[0] != 1 || !same {
            return Verdict::Other(Ignored::WrongQuestion);
        }
        if case.is_some_and(|case| !self.keeps_case(case, question.name)) {
            return Verdict::CaseLost;
        }
        if flags.truncated() {
            // The rest may be cut off anywhere.
            return Verdict::Answer;
        }
        match view.check().and_then(|()| self.cookie_fits(view)) {
            Ok(true) => Verdict::Answer,
            Ok(false) => Verdict::Other(Ignored::WrongCookie),
            Err(error) => Verdict::Malformed(error),
        }
    }

    fn keeps_case(&self, case: u64, name: NameRef<'_>) -> bool {
        let mut mixed = [0; MAX_NAME_LEN];
        let wire = self.name.as_wire();
        mixed[..wire.len()].copy_from_slice(wire);
        mix(&mut mixed[..wire.len()], case);
        NameRef::read(&mixed, 0).is_ok_and(|(mixed, _)| mixed.eq_with_case(name))
    }

    /// RFC 7873 section 5.3: the client's part comes back; a server that gave a cookie before gives one again.
    fn cookie_fits(&self, view: MessageView<'_>) -> Result<bool, DecodeError> {
        let options = self.edns.iter().flat_map(|edns| &edns.options);
        let mut cookies = options.filter_map(|option| match option {
            EdnsOption::Cookie(cookie) => Some(cookie),
            _ => None,
        });
        let Some(sent) = cookies.next() else { return Ok(true) };
        let came = view.opt()?.and_then(|opt| opt.option(OptionCode::COOKIE));
        Ok(match came {
            Some(came) => came.starts_with(&sent.client),
            None => sent.server.is_empty(),
        })
    }
}

/// Sets the case of each letter by one bit (0x20 mixing).
fn mix(name: &mut [u8], case: u64) {
    let mut bits = case;
    for byte in name.iter_mut().filter(|byte| byte.is_ascii_alphabetic()) {
        // Length bytes are below 64 and thus no letters.
        *byte = if bits & 1 == 1 { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
        bits = bits.rotate_right(1);
    }
}

/// What a message is to a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Answer,
    CaseLost,
    Malformed(DecodeError),
    Other(Ignored),
}

/// Why a datagram was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ignored {
    /// It is shorter than a header.
    TooShort,
    /// It is a query.
    NotAResponse,
    /// Nothing that was asked has its id.
    UnknownId,
    /// It comes from elsewhere than where the query went.
    WrongServer,
    /// It answers another question.
    WrongQuestion,
    /// It does not carry the cookie that was sent.
    WrongCookie,
}

impl core::fmt::Display for Ignored {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::TooShort => "shorter than a header",
            Self::NotAResponse => "not a response",
            Self::UnknownId => "its id was not asked",
            Self::WrongServer => "from another server than was asked",
            Self::WrongQuestion => "it answers another question",
            Self::WrongCookie => "it does not carry our cookie",
        })
    }
}

impl core::error::Error for Ignored {}

/// An answer, as it came. It was checked: the question is the one asked, and unless it is truncated the whole message is
/// well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The message.
    pub message: Bytes,
    /// Who answered.
    pub server: Option<SocketAddr>,
    /// How long it took, when that is certain: not after the query was sent twice.
    pub round_trip: Option<Duration>,
}

impl Reply {
    /// The message, to be read.
    pub fn view(&self) -> MessageView<'_> {
        // Anything shorter than a header was refused before there was a reply; an empty message stands in for it.
        MessageView::new(&self.message).unwrap_or(MessageView::EMPTY)
    }

    /// True if something was left out, and TCP would bring it.
    pub fn is_truncated(&self) -> bool {
        Header::read(&self.message).is_some_and(|header| header.flags.truncated())
    }
}

//! A query, and how to tell its answer from a forgery.

use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::error::DecodeError;
use crate::wire::{
    Class, Cookie, Edns, EdnsOption, Flags, Header, MAX_NAME_LEN, MessageView, Name, NameRef, Opcode,
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
    /// The cookie that goes with EDNS (RFC 7873); an answer over UDP counts only if it fits. Default: none. Among the options of `edns` it
    /// would mean the same; here all queries to one server share it.
    pub cookie: Option<Arc<Cookie>>,
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
            cookie: None,
        }
    }

    /// Appends the query as a message. `case` says which letters of the name are upper case, bit by bit.
    pub(crate) fn write(&self, id: u16, case: Option<u64>, out: &mut BytesMut) {
        let name = self.name.as_wire();
        // Options may be too long for any message; whatever else there is fits.
        let fits = |edns: &&Edns| Header::LEN + name.len() + 4 + edns.len_with(self.cookie()) <= MAX_LEN;
        let edns = self.edns.as_ref().filter(fits);
        let flags = self.flags.with_response(false).with_rcode(Rcode::NOERROR);
        let header = Header { id, flags, counts: [1, 0, 0, u16::from(edns.is_some())] };
        out.extend_from_slice(&header.to_bytes());
        let end = out.len() + name.len();
        match case {
            Some(case) => mixed(name, case).for_each(|word| out.extend_from_slice(&word.to_le_bytes())),
            None => out.extend_from_slice(name),
        }
        // The last word has zeros behind its end.
        out.truncate(end);
        let ([t1, t2], [c1, c2]) = (self.rtype.0.to_be_bytes(), self.class.0.to_be_bytes());
        out.extend_from_slice(&[t1, t2, c1, c2]);
        if let Some(edns) = edns {
            edns.write(Rcode::NOERROR, self.cookie(), out);
        }
    }

    fn cookie(&self) -> Option<&Cookie> {
        self.cookie.as_deref()
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
        let same = question.rtype == self.rtype && question.class == self.class;
        if view.counts()[0] != 1 || !same {
            return Verdict::Other(Ignored::WrongQuestion);
        }
        if !case.is_some_and(|case| self.keeps_case(case, question.name)) {
            if question.name != self.name {
                return Verdict::Other(Ignored::WrongQuestion);
            }
            if case.is_some() {
                return Verdict::CaseLost;
            }
        }
        if flags.truncated() {
            // The rest may be cut off anywhere.
            return Verdict::Answer;
        }
        match view.check_records(question.end).and_then(|()| self.cookie_fits(view)) {
            Ok(true) => Verdict::Answer,
            Ok(false) => Verdict::Other(Ignored::WrongCookie),
            Err(error) => Verdict::Malformed(error),
        }
    }

    /// True if `name` is the one asked about, in the case it was asked in.
    fn keeps_case(&self, case: u64, name: NameRef<'_>) -> bool {
        let mut buffer;
        let name = match name.as_plain() {
            Some(plain) => plain,
            None => {
                buffer = [0; MAX_NAME_LEN];
                name.flatten(&mut buffer)
            }
        };
        let asked = self.name.as_wire();
        name.len() == asked.len() && words(name).eq(mixed(asked, case))
    }

    /// RFC 7873 section 5.3: the client's part comes back; a server that gave a cookie before gives one again.
    fn cookie_fits(&self, view: MessageView<'_>) -> Result<bool, DecodeError> {
        let Some(edns) = &self.edns else { return Ok(true) };
        let mut cookies = edns.options.iter().filter_map(|option| match option {
            EdnsOption::Cookie(cookie) => Some(cookie),
            _ => None,
        });
        let Some(sent) = self.cookie().or_else(|| cookies.next()) else { return Ok(true) };
        let came = view.opt()?.and_then(|opt| opt.option(OptionCode::COOKIE));
        Ok(match came {
            Some(came) => came.starts_with(&sent.client),
            None => sent.server.is_empty(),
        })
    }
}

/// The longest message.
const MAX_LEN: usize = u16::MAX as usize;

/// A byte eight times.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Eight bytes at a time, zeros behind the end.
fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (words, rest) = bytes.as_chunks();
    let last = rest.iter().rev().fold(0, |last, byte| last << 8 | u64::from(*byte));
    words.iter().map(|word| u64::from_le_bytes(*word)).chain((!rest.is_empty()).then_some(last))
}

/// A name in the case that `case` says (0x20 mixing), eight bytes at a time: it has a bit for each of the first 64 bytes, and begins again
/// behind them.
fn mixed(name: &[u8], case: u64) -> impl Iterator<Item = u64> {
    let mut case = case;
    words(name).map(move |word| {
        let bits = case & 0xff;
        case = case.rotate_right(8);
        // Each bit in a byte of its own, and from there to where letters have their case. No sum below carries from byte to byte.
        let upper = ((((bits * each(1)) & 0x8040_2010_0804_0201) + each(0x7f)) & each(0x80)) >> 2;
        let lower = (word | each(0x20)) & each(0x7f);
        let (from_a, behind_z) = (lower + each(0x80 - b'a'), lower + each(0x7f - b'z'));
        // Length bytes are below 64 and thus no letters.
        let letters = (from_a & !behind_z & !word & each(0x80)) >> 2;
        (word | letters) & !(letters & upper)
    })
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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn written(name: &Name, case: u64) -> Vec<u8> {
        let mut out = BytesMut::new();
        Query::new(name.clone(), RecordType::A).write(7, Some(case), &mut out);
        out[Header::LEN..Header::LEN + name.as_wire().len()].to_vec()
    }

    #[test]
    fn letters_alone_have_a_case_and_each_has_its_own_bit() {
        // Every byte that may stand in a name, among them the neighbours of the letters and those of eight bits.
        let labels = [0..63, 63..126, 126..189, 189..250].map(Iterator::collect::<Vec<u8>>);
        let name = Name::from_labels(labels.iter().map(Vec::as_slice)).expect("a name");
        for case in [0, u64::MAX, 0x5555_5555_5555_5555, 0x0123_4567_89ab_cdef] {
            let expected: Vec<u8> = (0..)
                .zip(name.as_wire())
                .map(|(at, byte)| match case >> (at % 64) & 1 {
                    1 => byte.to_ascii_uppercase(),
                    _ => byte.to_ascii_lowercase(),
                })
                .collect();
            assert_eq!(written(&name, case), expected, "{case:x}");
            let (came, _) = NameRef::read(&expected, 0).expect("a name");
            let query = Query::new(name.clone(), RecordType::A);
            assert!(query.keeps_case(case, came));
            // The bit of the 'A' behind the second length byte, the other way round.
            let bit = 1 << ((1 + 63 + 1 + (b'A' - 63)) % 64);
            assert!(!query.keeps_case(case ^ bit, came));
        }
    }

    #[test]
    fn options_that_fit_no_message_are_left_out() {
        let mut query = Query::new(Name::root(), RecordType::A);
        for (len, additional) in [(65_000, 1), (u16::MAX, 0)] {
            let options = alloc::vec![EdnsOption::Padding(len)];
            query.edns = Some(Edns { options, ..Edns::default() });
            let mut out = BytesMut::new();
            query.write(7, None, &mut out);
            let view = MessageView::new(&out).expect("a message");
            assert_eq!((view.counts(), view.check()), ([1, 0, 0, additional], Ok(())));
        }
    }
}

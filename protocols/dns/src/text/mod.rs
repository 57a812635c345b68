//! The presentation format of RFC 1035 section 5.1 and its successors, both ways: names, record data, and zone files
//! ([`ZoneReader`]).

mod base;
mod lex;
mod location;
mod message;
mod parse;
mod print;
mod zone;

use core::fmt;

pub use zone::{Entry, ZoneConfig, ZoneReader};

use crate::wire::{Class, Name, Rdata, RecordType};

/// What a text is written for: it decides what is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// A label of a name.
    Label,
    /// Inside quotation marks.
    Quoted,
}

/// Writes bytes so that they can be read again: RFC 1035 section 5.1, `\X` and `\DDD`.
pub(crate) fn write_escaped(f: &mut dyn fmt::Write, bytes: &[u8], escape: Escape) -> fmt::Result {
    for &byte in bytes {
        let special = match escape {
            Escape::Label => matches!(byte, b'.' | b';' | b'"' | b'\\' | b'(' | b')' | b'@' | b'$'),
            Escape::Quoted => matches!(byte, b'"' | b'\\'),
        };
        let plain = byte.is_ascii_graphic() || (byte == b' ' && escape == Escape::Quoted);
        if special {
            f.write_char('\\')?;
            f.write_char(char::from(byte))?;
        } else if plain {
            f.write_char(char::from(byte))?;
        } else {
            write!(f, "\\{byte:03}")?;
        }
    }
    Ok(())
}

/// Reads what follows a backslash: a character, or three digits. Returns the byte and how many bytes were used.
pub(crate) fn unescape(rest: &[u8]) -> Option<(u8, usize)> {
    match rest {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            let value = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
            u8::try_from(value).ok().map(|byte| (byte, 3))
        }
        [b'0'..=b'9', ..] | [] => None,
        [byte, ..] => Some((*byte, 1)),
    }
}

/// A text that is no record, no zone file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TextError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: TextReason,
}

/// Why a text is no record, no zone file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TextReason {
    /// Something is missing at the end of an entry.
    MissingField,
    /// Something is left at the end of an entry.
    ExtraField,
    /// A field has not the form its place asks for.
    BadField,
    /// A number is too large for its field.
    NumberTooLarge,
    /// A name is wrong.
    BadName(crate::wire::NameError),
    /// A relative name, and nothing it could be relative to.
    NoOrigin,
    /// The first record has no owner.
    NoOwner,
    /// No TTL is known: neither the record's, nor the one before, nor `$TTL`.
    NoTtl,
    /// The class is not that of the zone.
    OtherClass,
    /// The type is not known.
    UnknownType,
    /// The type cannot be stored.
    MetaType,
    /// A quotation mark that is not closed on its line.
    OpenQuote,
    /// A parenthesis that is never closed, or closed and never opened.
    Parenthesis,
    /// A backslash that is not followed by a character or a number up to 255.
    BadEscape,
    /// A text of more than 255 bytes.
    StringTooLong,
    /// The data is longer than 65,535 bytes.
    DataTooLong,
    /// A line that starts with `$` and is no directive known here.
    UnknownDirective,
    /// `$INCLUDE`, which the configuration does not allow.
    IncludeRefused,
    /// An entry is longer than the configuration allows.
    EntryTooLong,
    /// The data's wire form does not fit its type.
    BadData(crate::error::DecodeReason),
}

impl fmt::Display for TextReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingField => "a field is missing",
            Self::ExtraField => "a field too many",
            Self::BadField => "a field has the wrong form",
            Self::NumberTooLarge => "a number is too large",
            Self::BadName(error) => return error.fmt(f),
            Self::NoOrigin => "a relative name without an origin",
            Self::NoOwner => "the first record has no owner",
            Self::NoTtl => "no TTL is known",
            Self::OtherClass => "the class is not that of the zone",
            Self::UnknownType => "unknown record type",
            Self::MetaType => "a type that cannot be stored",
            Self::OpenQuote => "a quotation mark is not closed",
            Self::Parenthesis => "a parenthesis without its partner",
            Self::BadEscape => "a broken escape",
            Self::StringTooLong => "a text is longer than 255 bytes",
            Self::DataTooLong => "the data is longer than 65,535 bytes",
            Self::UnknownDirective => "unknown directive",
            Self::IncludeRefused => "$INCLUDE is not allowed",
            Self::EntryTooLong => "an entry is too long",
            Self::BadData(reason) => return reason.fmt(f),
        })
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in line {}", self.reason, self.line)
    }
}

impl core::error::Error for TextError {}

impl Rdata {
    /// Reads the presentation form of record data of one type; relative names are taken as absolute.
    pub fn from_text(rtype: RecordType, text: &str) -> Result<Self, TextError> {
        Self::from_text_at(rtype, text, &Name::root())
    }

    /// Reads the presentation form of record data of one type; relative names belong to `origin`.
    pub fn from_text_at(rtype: RecordType, text: &str, origin: &Name) -> Result<Self, TextError> {
        let mut lexer = lex::Lexer::new(text.as_bytes());
        let mut entry = lex::Line::default();
        lexer.next_line(&mut entry, usize::MAX)?;
        let mut fields = lex::Fields::new(&entry);
        let data = parse::rdata(rtype, &mut fields, Some(origin)).map_err(|r| fields.error(r))?;
        fields.finish()?;
        let mut more = lex::Line::default();
        if lexer.next_line(&mut more, usize::MAX)? {
            return Err(TextError { line: more.number, reason: TextReason::ExtraField });
        }
        Ok(data)
    }
}

impl fmt::Display for Rdata {
    /// The presentation form; data of a type unknown here, or of the wrong form, in the generic form of RFC 3597.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print::rdata(self, f)
    }
}

impl fmt::Debug for Rdata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {self}", self.rtype())
    }
}

impl fmt::Display for crate::wire::Record {
    /// One line of a zone file: owner, TTL, class, type, data, with tabs between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}\t{}\t{}\t{}", self.name, self.ttl, self.class, self.rtype(), self.data)
    }
}

impl core::str::FromStr for crate::wire::Record {
    type Err = TextError;

    /// Reads one line of a zone file. Owner and TTL must be given; names are taken as absolute; the class is IN if
    /// it is not named.
    fn from_str(text: &str) -> Result<Self, TextError> {
        let config = ZoneConfig::new(Name::root()).any_class(true).any_type();
        let mut reader = ZoneReader::new(text.as_bytes(), config);
        let missing = TextError { line: 1, reason: TextReason::MissingField };
        let Some(Entry::Record(record)) = reader.next().transpose()? else { return Err(missing) };
        match reader.next().transpose()? {
            None => Ok(record),
            Some(_) => Err(TextError { line: 1, reason: TextReason::ExtraField }),
        }
    }
}

/// The class a zone has unless its file says otherwise.
const DEFAULT_CLASS: Class = Class::IN;

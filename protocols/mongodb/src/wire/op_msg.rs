//! OP_MSG: what commands and replies travel in.

use core::fmt;
use core::ops::BitOr;

use bytes::{BufMut, Bytes, BytesMut};

use super::read::{Fields, docs};
use super::{Frame, HEADER_LEN};
use crate::bson::{Doc, RawDocument};
use crate::error::{DecodeError, Reason};

/// The flags of an OP_MSG. The lower sixteen must be understood by whoever reads them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MsgFlags(u32);

impl MsgFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// A CRC-32C comes behind the sections.
    pub const CHECKSUM_PRESENT: Self = Self(1);
    /// Another message follows without being asked for; of a request: no reply is wanted.
    pub const MORE_TO_COME: Self = Self(1 << 1);
    /// The client can take several replies to this request.
    pub const EXHAUST_ALLOWED: Self = Self(1 << 16);

    /// The flags of the wire. Unknown required ones are an error.
    pub const fn from_bits(bits: u32) -> Result<Self, u32> {
        let unknown = bits & 0xffff & !(Self::CHECKSUM_PRESENT.0 | Self::MORE_TO_COME.0);
        if unknown == 0 { Ok(Self(bits)) } else { Err(unknown) }
    }

    /// The bits of the wire.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// True when all of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags without `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for MsgFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for MsgFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MsgFlags({:#x})", self.0)
    }
}

/// A command, or a reply to one: one document and perhaps sequences of documents beside it.
#[derive(Clone, PartialEq, Eq)]
pub struct OpMsg {
    /// The flags. When [`MsgFlags::CHECKSUM_PRESENT`] is among them, encoding computes the checksum.
    pub flags: MsgFlags,
    /// All sections as they came, their frames checked.
    sections: Bytes,
    /// Where in them the one body document is.
    body: core::ops::Range<usize>,
}

impl OpMsg {
    /// A message whose only section is `body`.
    pub fn new(flags: MsgFlags, body: Doc<'_>) -> Self {
        let mut sections = BytesMut::with_capacity(1 + body.len());
        sections.put_u8(0);
        sections.put_slice(body.as_bytes());
        Self { flags, sections: sections.freeze(), body: 1..1 + body.len() }
    }

    /// The same with a sequence of documents behind it, named by the command's field that it stands for. `documents` lie one
    /// behind the other.
    ///
    /// An identifier with a zero byte, or documents that are not well framed, leave the message as it was and give `None`.
    pub fn with_sequence(self, identifier: &str, documents: &[u8]) -> Option<Self> {
        let framed = docs(documents).map(Doc::len).sum::<usize>() == documents.len();
        let size = 4 + identifier.len() + 1 + documents.len();
        if identifier.bytes().any(|byte| byte == 0) || !framed || i32::try_from(size).is_err() {
            return None;
        }
        let mut sections = BytesMut::from(self.sections);
        sections.put_u8(1);
        sections.put_u32_le(size as u32);
        sections.put_slice(identifier.as_bytes());
        sections.put_u8(0);
        sections.put_slice(documents);
        Some(Self { sections: sections.freeze(), ..self })
    }

    pub(super) fn decode(frame: &Frame) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(frame);
        let bits = fields.u32()?;
        let flags = MsgFlags::from_bits(bits)
            .map_err(|unknown| DecodeError::new(HEADER_LEN, Reason::UnknownRequiredFlags(unknown)))?;
        if flags.contains(MsgFlags::CHECKSUM_PRESENT) {
            fields.cut(4)?;
            let (covered, sum) = frame.bytes().split_at(frame.bytes().len() - 4);
            if crc32c::crc32c(covered).to_le_bytes() != *sum {
                return Err(DecodeError::new(covered.len(), Reason::ChecksumMismatch));
            }
        }
        let start = fields.at;
        let mut body = None;
        while !fields.is_empty() {
            let kind_at = fields.at;
            match fields.u8()? {
                0 => {
                    let at = fields.at - start;
                    let len = fields.doc()?.len();
                    if body.replace(at..at + len).is_some() {
                        return Err(DecodeError::new(kind_at, Reason::BodySections));
                    }
                }
                1 => check_sequence(&mut fields)?,
                kind => return Err(DecodeError::new(kind_at, Reason::UnknownSectionKind(kind))),
            }
        }
        let body = body.ok_or(DecodeError::new(start, Reason::BodySections))?;
        Ok(Self { flags, sections: frame.bytes().slice(start..fields.at), body })
    }

    pub(super) fn encode_body(&self, out: &mut BytesMut) {
        out.put_u32_le(self.flags.bits());
        out.put_slice(&self.sections);
    }

    /// The document of the section of kind 0.
    pub fn body(&self) -> Doc<'_> {
        Doc::trusted(&self.sections[self.body.clone()])
    }

    /// The same, sharing this message's memory.
    pub fn shared_body(&self) -> RawDocument {
        RawDocument::new(self.sections.slice(self.body.clone())).unwrap_or_default()
    }

    /// The sections in order.
    pub fn sections(&self) -> Sections<'_> {
        Sections { rest: &self.sections }
    }

    /// The sections of kind 1 in order.
    pub fn sequences(&self) -> impl Iterator<Item = Sequence<'_>> {
        self.sections().filter_map(|section| match section {
            Section::Sequence(sequence) => Some(sequence),
            Section::Body(_) => None,
        })
    }
}

impl fmt::Debug for OpMsg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpMsg")
            .field("flags", &self.flags)
            .field("sections", &self.sections().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Steps over a section of kind 1 behind its kind, checking the frames of its documents.
fn check_sequence(fields: &mut Fields<'_>) -> Result<(), DecodeError> {
    let size_at = fields.at;
    let size = usize::try_from(fields.i32()?).map_err(|_| DecodeError::new(size_at, Reason::BadLength))?;
    let end = size_at + size;
    // The size counts itself; a name of no length still has its zero byte.
    if size < 5 || end > fields.at + fields.rest().len() {
        return Err(DecodeError::new(size_at, Reason::BadLength));
    }
    fields.cstring()?;
    while fields.at < end {
        fields.doc()?;
    }
    if fields.at == end { Ok(()) } else { Err(DecodeError::new(size_at, Reason::BadLength)) }
}

/// One section of an OP_MSG.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Section<'a> {
    /// Kind 0: the command or reply itself.
    Body(Doc<'a>),
    /// Kind 1: documents of one of its fields.
    Sequence(Sequence<'a>),
}

/// A section of kind 1.
#[derive(Clone, Copy, PartialEq)]
pub struct Sequence<'a> {
    identifier: &'a str,
    documents: &'a [u8],
}

impl<'a> Sequence<'a> {
    /// Which field of the command the documents belong to.
    pub const fn identifier(&self) -> &'a str {
        self.identifier
    }

    /// The documents as bytes, one behind the other.
    pub const fn bytes(&self) -> &'a [u8] {
        self.documents
    }

    /// The documents in order.
    pub fn docs(&self) -> impl Iterator<Item = Doc<'a>> + Clone + use<'a> {
        docs(self.documents)
    }
}

impl fmt::Debug for Sequence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.identifier)?;
        f.debug_list().entries(self.docs()).finish()
    }
}

/// The sections of an [`OpMsg`].
#[derive(Clone, Debug)]
pub struct Sections<'a> {
    /// What is left, with frames that were checked.
    rest: &'a [u8],
}

impl<'a> Iterator for Sections<'a> {
    type Item = Section<'a>;

    fn next(&mut self) -> Option<Section<'a>> {
        let (kind, rest) = self.rest.split_first()?;
        if *kind == 0 {
            let (doc, rest) = Doc::split_from(rest).ok()?;
            self.rest = rest;
            return Some(Section::Body(doc));
        }
        let size = i32::from_le_bytes(*rest.first_chunk()?);
        let (section, rest) = rest.split_at_checked(usize::try_from(size).ok()?)?;
        self.rest = rest;
        let section = section.get(4..)?;
        let name = memchr::memchr(0, section)?;
        let identifier = core::str::from_utf8(&section[..name]).ok()?;
        Some(Section::Sequence(Sequence { identifier, documents: &section[name + 1..] }))
    }
}

//! A message, borrowed.

use core::fmt;

use super::reader::Reader;
use super::{Class, Flags, Header, NameRef, OptView, Rcode, RecordData, RecordType, Section, edns};
use crate::error::{DecodeError, DecodeReason};

/// A message as it came, decoded on demand. Copying it is free, nothing is allocated, and a section costs nothing until
/// it is walked.
///
/// ```
/// # use glowplug_dns::{MessageBuilder, MessageView, Flags, Name, RecordType, Class};
/// # let mut out = bytes::BytesMut::new();
/// # let mut builder = MessageBuilder::new(&mut out, 7, Flags::default());
/// # builder.question("example.org".parse::<Name>().unwrap().as_ref(), RecordType::A, Class::IN).unwrap();
/// # builder.finish();
/// # let bytes = out.freeze();
/// let message = MessageView::new(&bytes)?;
/// let question = message.question()?.expect("there is one");
/// assert_eq!(question.name.to_string(), "example.org.");
/// for record in message.answers() {
///     let record = record?;
///     println!("{} {:?}", record.owner()?, record.data()?);
/// }
/// # Ok::<_, glowplug_dns::DecodeError>(())
/// ```
#[derive(Clone, Copy)]
pub struct MessageView<'a> {
    bytes: &'a [u8],
    header: Header,
}

impl MessageView<'static> {
    /// A message with nothing in it.
    pub const EMPTY: Self =
        Self { bytes: &[0; Header::LEN], header: Header { id: 0, flags: Flags(0), counts: [0; 4] } };
}

impl<'a> MessageView<'a> {
    /// A message of at least a header; nothing else is looked at yet.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        match Header::read(bytes) {
            Some(header) => Ok(Self { bytes, header }),
            None => Err(DecodeError::new(bytes.len(), DecodeReason::UnexpectedEnd)),
        }
    }

    /// The bytes.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The header.
    pub const fn header(self) -> Header {
        self.header
    }

    /// The id.
    pub const fn id(self) -> u16 {
        self.header.id
    }

    /// The flags.
    pub const fn flags(self) -> Flags {
        self.header.flags
    }

    /// How many entries the question, answer, authority and additional sections announce.
    pub const fn counts(self) -> [u16; 4] {
        self.header.counts
    }

    /// The questions. The iterator ends after an error.
    #[inline]
    pub fn questions(self) -> impl Iterator<Item = Result<QuestionView<'a>, DecodeError>> {
        let mut at = Header::LEN;
        let mut left = self.header.counts[0];
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let question = QuestionView::read(self.bytes, at);
            match &question {
                Ok(question) => at = question.end,
                Err(_) => left = 0,
            }
            Some(question)
        })
    }

    /// The first question, which is the only one in every query seen in practice.
    #[inline]
    pub fn question(self) -> Result<Option<QuestionView<'a>>, DecodeError> {
        self.questions().next().transpose()
    }

    /// The records of the answer section.
    #[inline]
    pub fn answers(self) -> Records<'a> {
        Records::new(self, Section::Answer, Section::Answer)
    }

    /// The records of the authority section.
    pub fn authorities(self) -> Records<'a> {
        Records::new(self, Section::Authority, Section::Authority)
    }

    /// The records of the additional section, the OPT record among them.
    pub fn additionals(self) -> Records<'a> {
        Records::new(self, Section::Additional, Section::Additional)
    }

    /// The records of all sections in one walk.
    #[inline]
    pub fn records(self) -> Records<'a> {
        Records::new(self, Section::Answer, Section::Additional)
    }

    /// The OPT record, if the message has one.
    pub fn opt(self) -> Result<Option<OptView<'a>>, DecodeError> {
        if self.header.counts[3] == 0 {
            return Ok(None);
        }
        let mut found = None;
        for record in self.additionals() {
            let record = record?;
            if record.rtype() != RecordType::OPT {
                continue;
            }
            record.as_only_opt(&mut found)?;
        }
        Ok(found)
    }

    /// The whole response code: four bits of the header, eight of EDNS.
    pub fn rcode(self) -> Result<Rcode, DecodeError> {
        self.opt().map(|opt| self.rcode_with(opt))
    }

    /// The whole response code, with the OPT record that was found before.
    pub(crate) fn rcode_with(self, opt: Option<OptView<'_>>) -> Rcode {
        let high = opt.map_or(0, OptView::high_rcode);
        Rcode(u16::from(high) << 4 | self.header.flags.low_rcode().0)
    }

    /// Decodes everything once, and so proves the whole message well-formed: questions, owners, record data, EDNS, and
    /// no bytes behind.
    pub fn check(self) -> Result<(), DecodeError> {
        let mut at = Header::LEN;
        for question in self.questions() {
            at = question?.end;
        }
        self.check_records(at)
    }

    /// As [`check`](Self::check), of what follows the questions, which end at `at`.
    pub(crate) fn check_records(self, at: usize) -> Result<(), DecodeError> {
        let mut records = self.records_from(at);
        let mut opt = None;
        for record in records.by_ref() {
            let record = record?;
            if record.rtype() == RecordType::OPT {
                record.as_only_opt(&mut opt)?;
                continue;
            }
            record.owner()?;
            record.data()?;
        }
        records.finish()
    }

    /// The records of all sections, given where the questions end.
    pub(super) fn records_from(self, at: usize) -> Records<'a> {
        let [_, answers, authorities, additionals] = self.header.counts;
        Records { at, left: [0, answers, authorities, additionals], ..self.records() }
    }
}

impl fmt::Debug for MessageView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageView").field("header", &self.header).field("len", &self.bytes.len()).finish()
    }
}

/// One entry of the question section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuestionView<'a> {
    /// The name asked about.
    pub name: NameRef<'a>,
    /// The type asked for.
    pub rtype: RecordType,
    /// The class asked for.
    pub class: Class,
    /// Where the next entry starts.
    pub(crate) end: usize,
}

impl<'a> QuestionView<'a> {
    #[inline]
    pub(crate) fn read(message: &'a [u8], at: usize) -> Result<Self, DecodeError> {
        let (name, next) = NameRef::read(message, at)?;
        match message.get(next..).and_then(<[u8]>::first_chunk) {
            Some(&[t1, t2, c1, c2]) => Ok(Self {
                name,
                rtype: RecordType(u16::from_be_bytes([t1, t2])),
                class: Class(u16::from_be_bytes([c1, c2])),
                end: next + 4,
            }),
            None => Err(DecodeError::new(next, DecodeReason::UnexpectedEnd)),
        }
    }
}

/// One record of a message. Its frame was checked; owner and data are decoded when they are asked for.
#[derive(Clone, Copy)]
pub struct RecordView<'a> {
    message: &'a [u8],
    owner_at: usize,
    data_at: usize,
    data_end: usize,
    ttl: u32,
    rtype: RecordType,
    class: Class,
    section: Section,
}

impl<'a> RecordView<'a> {
    /// The record whose owner stands at `owner_at` and ends at `at`.
    #[inline]
    pub(super) fn read(
        message: &'a [u8],
        owner_at: usize,
        at: usize,
        section: Section,
    ) -> Result<Self, DecodeError> {
        let short = || DecodeError::new(at, DecodeReason::UnexpectedEnd);
        let head: &[u8; 10] = message.get(at..).and_then(<[u8]>::first_chunk).ok_or_else(short)?;
        let data_at = at + 10;
        let data_end = data_at + usize::from(u16::from_be_bytes([head[8], head[9]]));
        if data_end > message.len() {
            return Err(short());
        }
        Ok(Self {
            message,
            owner_at,
            data_at,
            data_end,
            ttl: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            rtype: RecordType(u16::from_be_bytes([head[0], head[1]])),
            class: Class(u16::from_be_bytes([head[2], head[3]])),
            section,
        })
    }

    /// The name the record belongs to.
    #[inline]
    pub fn owner(self) -> Result<NameRef<'a>, DecodeError> {
        NameRef::read(self.message, self.owner_at).map(|(name, _)| name)
    }

    /// The type.
    #[inline]
    pub const fn rtype(self) -> RecordType {
        self.rtype
    }

    /// The class.
    #[inline]
    pub const fn class(self) -> Class {
        self.class
    }

    /// How long the record may be kept, in seconds, as it stands on the wire.
    #[inline]
    pub const fn raw_ttl(self) -> u32 {
        self.ttl
    }

    /// How long the record may be kept, in seconds; a value with the highest bit set means none (RFC 2181 section 8).
    #[inline]
    pub const fn ttl(self) -> u32 {
        if self.ttl > i32::MAX as u32 { 0 } else { self.ttl }
    }

    /// Which section the record stands in.
    pub const fn section(self) -> Section {
        self.section
    }

    /// A cursor over the data.
    #[inline]
    pub(super) fn data_reader(self) -> Reader<'a> {
        Reader::new(self.message, self.data_at, self.data_end)
    }

    /// The data as it lies in the message: names in it may be compressed.
    pub fn raw_data(self) -> &'a [u8] {
        &self.message[self.data_at..self.data_end]
    }

    /// The data, typed.
    #[inline]
    pub fn data(self) -> Result<RecordData<'a>, DecodeError> {
        RecordData::read(self.rtype, self.message, self.data_at, self.data_end)
    }

    /// An owned copy.
    pub fn to_record(self) -> Result<super::Record, DecodeError> {
        Ok(super::Record {
            name: self.owner()?.to_name(),
            class: self.class,
            ttl: self.ttl,
            data: super::Rdata::read(self.rtype, self.data_reader())?,
        })
    }

    /// An owned copy like [`to_record`](Self::to_record). Its owner is known to be `owner`, whose bytes it shares if it is in the same
    /// case.
    pub(crate) fn to_record_of(self, owner: &super::Name) -> Result<super::Record, DecodeError> {
        let name = self.owner()?;
        Ok(super::Record {
            name: if name.eq_with_case(owner.as_ref()) { owner.clone() } else { name.to_name() },
            class: self.class,
            ttl: self.ttl,
            data: super::Rdata::read(self.rtype, self.data_reader())?,
        })
    }

    /// The record as EDNS sees it. RFC 6891 section 6.1.2: its owner is the root.
    pub(crate) fn as_opt(self) -> Result<OptView<'a>, DecodeError> {
        if self.message[self.owner_at] != 0 {
            return Err(edns::misplaced(self.owner_at));
        }
        self.data()?;
        Ok(OptView { class: self.class.0, ttl: self.ttl, data: self.raw_data() })
    }

    /// The same, in its place, and without another before it in `known`.
    pub(super) fn as_only_opt(self, known: &mut Option<OptView<'a>>) -> Result<(), DecodeError> {
        let opt = self.as_opt()?;
        if self.section != Section::Additional {
            return Err(edns::misplaced(self.owner_at));
        }
        if known.replace(opt).is_some() {
            return Err(DecodeError::new(self.owner_at, DecodeReason::SecondOpt));
        }
        Ok(())
    }
}

impl fmt::Debug for RecordView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordView")
            .field("owner", &self.owner())
            .field("class", &self.class)
            .field("ttl", &self.ttl)
            .field("data", &self.data())
            .finish_non_exhaustive()
    }
}

/// The records of one or more sections. The iterator ends after an error.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    message: &'a [u8],
    at: usize,
    /// Questions still to be skipped, then records of each section.
    left: [u16; 4],
    /// The section the walk is in, as an index into `left`.
    section: usize,
    /// The first and the last section to give out.
    first: usize,
    last: usize,
    failed: Option<DecodeError>,
}

impl<'a> Records<'a> {
    #[inline]
    fn new(view: MessageView<'a>, first: Section, last: Section) -> Self {
        Self {
            message: view.bytes,
            at: Header::LEN,
            left: view.header.counts,
            section: 0,
            first: first as usize,
            last: last as usize,
            failed: None,
        }
    }

    /// At the end of the last section: nothing may be behind it.
    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        match self.failed {
            Some(error) => Err(error),
            None if self.at != self.message.len() => {
                Err(DecodeError::new(self.at, DecodeReason::TrailingBytes))
            }
            None => Ok(()),
        }
    }

    #[inline]
    fn step(&mut self) -> Result<Option<RecordView<'a>>, DecodeError> {
        loop {
            while self.left[self.section] == 0 {
                if self.section == self.last {
                    return Ok(None);
                }
                self.section += 1;
            }
            self.left[self.section] -= 1;
            let owner_at = self.at;
            let at = NameRef::skip(self.message, owner_at)?;
            if self.section == 0 {
                if self.message.len() < at + 4 {
                    return Err(DecodeError::new(at, DecodeReason::UnexpectedEnd));
                }
                self.at = at + 4;
                continue;
            }
            let section = match self.section {
                1 => Section::Answer,
                2 => Section::Authority,
                _ => Section::Additional,
            };
            let record = RecordView::read(self.message, owner_at, at, section)?;
            self.at = record.data_end;
            if self.section >= self.first {
                return Ok(Some(record));
            }
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed.is_some() {
            return None;
        }
        let step = self.step();
        self.failed = step.as_ref().err().copied();
        step.transpose()
    }
}

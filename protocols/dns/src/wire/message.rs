//! A message, owned.

use alloc::vec::Vec;

use bytes::BytesMut;

use super::{
    Class, Edns, Flags, Header, MessageBuilder, MessageView, Name, NoRoom, Rcode, Rdata, RecordType, Section,
};
use crate::error::DecodeError;

/// One entry of the question section.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The name asked about.
    pub name: Name,
    /// The type asked for.
    pub rtype: RecordType,
    /// The class asked for.
    pub class: Class,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// The name the record belongs to.
    pub name: Name,
    /// The class.
    pub class: Class,
    /// How long the record may be kept, in seconds.
    pub ttl: u32,
    /// The type and the data.
    pub data: Rdata,
}

impl Record {
    /// A record of class IN.
    pub fn new(name: Name, ttl: u32, data: Rdata) -> Self {
        Self { name, class: Class::IN, ttl, data }
    }

    /// The type.
    pub fn rtype(&self) -> RecordType {
        self.data.rtype()
    }
}

/// A whole message, owned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Chosen by whoever asks, repeated by whoever answers.
    pub id: u16,
    /// Flags and opcode. The response code stands in `rcode`; what these bits say of it counts for nothing.
    pub flags: Flags,
    /// The whole response code.
    pub rcode: Rcode,
    /// The question section.
    pub questions: Vec<Question>,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authorities: Vec<Record>,
    /// The additional section without the OPT record.
    pub additionals: Vec<Record>,
    /// What the OPT record says.
    pub edns: Option<Edns>,
}

/// The largest message whose records share one allocation.
const SHARED: usize = 4096;

impl Message {
    /// Decodes a whole message and takes nothing less: see [`MessageView::check`].
    ///
    /// Names are copied uncompressed, so a message of 64 KiB made for it may take some 5 MiB.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let view = MessageView::new(bytes)?;
        let mut message =
            Self { id: view.id(), flags: view.flags().with_rcode(Rcode::NOERROR), ..Self::default() };
        let mut at = Header::LEN;
        for question in view.questions() {
            let question = question?;
            message.questions.push(Question {
                name: question.name.to_name(),
                rtype: question.rtype,
                class: question.class,
            });
            at = question.end;
        }
        let [_, answers, authorities, additionals] = view.counts();
        // The data of all records of a message of usual size lie in one allocation; those of a large one do not, lest one that is
        // kept holds all of it.
        let mut arena = (bytes.len() <= SHARED).then(BytesMut::new);
        let mut opt = None;
        let mut records = view.records_from(at);
        for record in records.by_ref() {
            let record = record?;
            let (section, count) = match record.section() {
                _ if record.rtype() == RecordType::OPT => {
                    record.as_only_opt(&mut opt)?;
                    continue;
                }
                Section::Answer => (&mut message.answers, answers),
                Section::Authority => (&mut message.authorities, authorities),
                Section::Additional => (&mut message.additionals, additionals),
            };
            if section.is_empty() {
                // As many as the header counts, and no more than there is room for: a record has 11 bytes at least.
                section.reserve_exact(usize::from(count).min(bytes.len() / 11));
            }
            section.push(match &mut arena {
                Some(arena) => record.to_record_in(arena)?,
                None => record.to_record()?,
            });
        }
        records.finish()?;
        message.rcode = view.rcode_with(opt);
        message.edns = opt.map(Edns::from_view);
        Ok(message)
    }

    /// Appends the message, names compressed, in at most 65,535 bytes. On an error nothing was appended.
    pub fn encode(&self, out: &mut BytesMut) -> Result<usize, NoRoom> {
        let before = out.len();
        let result = self.try_encode(out);
        if result.is_err() {
            out.truncate(before);
        }
        result
    }

    fn try_encode(&self, out: &mut BytesMut) -> Result<usize, NoRoom> {
        let mut builder = MessageBuilder::new(out, self.id, self.flags.with_rcode(self.rcode));
        for question in &self.questions {
            builder.question(question.name.as_ref(), question.rtype, question.class)?;
        }
        let mut put = |section, record: &Record| {
            builder.record(section, record.name.as_ref(), record.class, record.ttl, &record.data)
        };
        self.answers.iter().try_for_each(|record| put(Section::Answer, record))?;
        self.authorities.iter().try_for_each(|record| put(Section::Authority, record))?;
        // A signature over the message comes last (RFC 8945 section 5.1), so EDNS comes first.
        if let Some(edns) = &self.edns {
            builder.edns(edns, self.rcode)?;
        }
        for record in &self.additionals {
            builder.record(
                Section::Additional,
                record.name.as_ref(),
                record.class,
                record.ttl,
                &record.data,
            )?;
        }
        Ok(builder.finish())
    }

    /// All records but OPT, in order.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.answers.iter().chain(&self.authorities).chain(&self.additionals)
    }
}

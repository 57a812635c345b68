//! A message, owned.

use alloc::vec::Vec;

use bytes::BytesMut;

use super::{
    Class, Edns, Flags, Header, MessageBuilder, MessageView, Name, NameRef, NoRoom, OptView, QuestionView,
    Rcode, Rdata, RecordType, RecordView, Section,
};
use crate::error::{DecodeError, DecodeReason};

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
/// The shortest question and the shortest record: the root, and what follows it.
const MIN_QUESTION: usize = 1 + 4;
const MIN_RECORD: usize = 1 + 10;

/// A walk through a message that copies what it finds to where it is to stay.
struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the data of all records of a message of usual size lie in one allocation; those of a large one do not, lest one that is kept
    /// holds all of it.
    arena: Option<BytesMut>,
    opt: Option<OptView<'a>>,
}

impl<'a> Decoder<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let arena = (bytes.len() <= SHARED).then(BytesMut::new);
        Self { bytes, at: Header::LEN, arena, opt: None }
    }

    /// Room for as many entries as the header counts, and for no more than the message can hold.
    fn room<T>(&self, count: u16, shortest: usize) -> Vec<T> {
        Vec::with_capacity(usize::from(count).min(self.bytes.len() / shortest))
    }

    fn questions(&mut self, count: u16, questions: &mut Vec<Question>) -> Result<(), DecodeError> {
        *questions = self.room(count, MIN_QUESTION);
        for index in 0..usize::from(count) {
            let view = QuestionView::read(self.bytes, self.at)?;
            self.at = view.end;
            questions.push(Question { name: Name::root(), rtype: view.rtype, class: view.class });
            questions[index].name.set(view.name);
        }
        Ok(())
    }

    /// The records of the next section, without OPT.
    fn records(
        &mut self,
        section: Section,
        count: u16,
        records: &mut Vec<Record>,
    ) -> Result<(), DecodeError> {
        // Many owners in a row are the same pointer to the same name: the last one, and whose it was.
        let mut last: Option<(u16, usize)> = None;
        for _ in 0..count {
            let pointer = self.pointer();
            let known = last.filter(|(known, _)| pointer == Some(*known)).map(|(_, index)| index);
            let (owner, end) = match known {
                Some(_) => (NameRef::ROOT, self.at + 2),
                None => NameRef::read(self.bytes, self.at)?,
            };
            let view = RecordView::read(self.bytes, self.at, end, section)?;
            let data = view.data_reader();
            self.at = data.end;
            if view.rtype() == RecordType::OPT {
                view.as_only_opt(&mut self.opt)?;
                continue;
            }
            if records.is_empty() {
                *records = self.room(count, MIN_RECORD);
            }
            let index = records.len();
            let (class, ttl) = (view.class(), view.raw_ttl());
            records.push(Record { name: Name::root(), class, ttl, data: Rdata::blank() });
            let (before, new) = records.split_at_mut(index);
            let Record { name, data: to, .. } = &mut new[0];
            match known {
                Some(known) => name.clone_from(&before[known].name),
                None => {
                    name.set(owner);
                    last = pointer.map(|pointer| (pointer, index));
                }
            }
            match &mut self.arena {
                Some(arena) => to.set_in(view.rtype(), data, arena)?,
                None => *to = Rdata::read(view.rtype(), data)?,
            }
        }
        Ok(())
    }

    /// At the end of the last section: nothing may be behind it. Returns what OPT record there was.
    fn finish(self) -> Result<Option<OptView<'a>>, DecodeError> {
        if self.at == self.bytes.len() {
            Ok(self.opt)
        } else {
            Err(DecodeError::new(self.at, DecodeReason::TrailingBytes))
        }
    }

    /// The pointer of a name, if one stands here.
    #[inline]
    fn pointer(&self) -> Option<u16> {
        let pointer = u16::from_be_bytes(*self.bytes.get(self.at..)?.first_chunk()?);
        (pointer >= 0xc000).then_some(pointer)
    }
}

impl Message {
    /// Decodes a whole message and takes nothing less: see [`MessageView::check`].
    ///
    /// Names are copied uncompressed, so a message of 64 KiB made for it may take some 5 MiB.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        // Filled where it is returned, so that it is not moved there.
        let mut decoded = Ok(Self::default());
        if let Ok(message) = &mut decoded
            && let Err(error) = message.fill(bytes)
        {
            decoded = Err(error);
        }
        decoded
    }

    /// Decodes into an empty message.
    fn fill(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let view = MessageView::new(bytes)?;
        let [questions, answers, authorities, additionals] = view.counts();
        let mut decoder = Decoder::new(bytes);
        decoder.questions(questions, &mut self.questions)?;
        decoder.records(Section::Answer, answers, &mut self.answers)?;
        decoder.records(Section::Authority, authorities, &mut self.authorities)?;
        decoder.records(Section::Additional, additionals, &mut self.additionals)?;
        let opt = decoder.finish()?;
        (self.id, self.flags) = (view.id(), view.flags().with_rcode(Rcode::NOERROR));
        self.rcode = view.rcode_with(opt);
        self.edns = opt.map(Edns::from_view);
        Ok(())
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

//! Writing messages.

use core::fmt;

use bytes::{BufMut, BytesMut};

use super::name::label_starts;
use super::{Class, Edns, Flags, Header, MAX_NAME_LEN, NameRef, Rcode, Rdata, RecordType, schema};

/// The sections that hold records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// What was asked for.
    Answer = 1,
    /// Who is in charge.
    Authority = 2,
    /// What may help.
    Additional = 3,
}

/// How many suffixes the compressor remembers. A full table only means longer messages.
const TABLE: usize = 128;
/// How far a remembered suffix may lie from its place in the table.
const PROBES: usize = 8;
/// Pointers have fourteen bits.
const MAX_TARGET: usize = 0x3fff;

/// Writes one message into a buffer, names compressed, never longer than a limit.
///
/// What does not fit is not written at all: the message always ends behind a whole record. The table of the compressor is
/// of fixed size, so the cost of a record does not grow with the message.
#[derive(Debug)]
pub struct MessageBuilder<'b> {
    out: &'b mut BytesMut,
    start: usize,
    limit: usize,
    reserved: usize,
    header: Header,
    /// 0 while questions are written, then as [`Section`].
    section: usize,
    /// Places of suffixes, 0 for none (there is a header), beside some bits of their hash.
    table: [(u16, u16); TABLE],
    /// The two names written last: records mostly come in sets of one owner.
    recent: [Recent; 2],
    newest: usize,
}

/// A name that was written a moment ago, in full; none if its length is 0.
#[derive(Clone, Copy, Debug)]
struct Recent {
    place: u16,
    len: u8,
    wire: [u8; RECENT],
    parent: Suffix,
}

impl Recent {
    const NONE: Self = Self { place: 0, len: 0, wire: [0; RECENT], parent: Suffix { place: 0, hash: 0 } };

    /// What follows the first label.
    fn tail(&self) -> &[u8] {
        self.wire.get(1 + usize::from(self.wire[0])..usize::from(self.len)).unwrap_or_default()
    }
}

/// Where a suffix stands, and its hash. Place 0 for none: there is a header.
#[derive(Clone, Copy, Debug)]
struct Suffix {
    place: u16,
    hash: u64,
}

/// The longest name that is kept as recent.
const RECENT: usize = 61;

/// Why an entry was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "what was not written is missing from the message"]
pub enum NoRoom {
    /// It would have passed the limit.
    Full,
    /// Its section is over: sections are written in order.
    SectionOver,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the message would be too long",
            Self::SectionOver => "a later section has begun",
        })
    }
}

impl core::error::Error for NoRoom {}

impl<'b> MessageBuilder<'b> {
    /// Starts a message behind what `out` holds already.
    pub fn new(out: &'b mut BytesMut, id: u16, flags: Flags) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; Header::LEN]);
        Self {
            out,
            start,
            limit: usize::from(u16::MAX),
            reserved: 0,
            header: Header { id, flags, counts: [0; 4] },
            section: 0,
            table: [(0, 0); TABLE],
            recent: [Recent::NONE; 2],
            newest: 0,
        }
    }

    /// Limits the message to `limit` bytes (at least a header, at most 65,535).
    pub fn limit(&mut self, limit: usize) {
        self.limit = limit.clamp(Header::LEN, usize::from(u16::MAX));
    }

    /// Keeps `len` bytes free for what comes last.
    pub fn reserve(&mut self, len: usize) {
        self.reserved = len;
    }

    /// The flags, to be changed until the end.
    pub fn flags_mut(&mut self) -> &mut Flags {
        &mut self.header.flags
    }

    /// How many entries were written to each section.
    pub fn counts(&self) -> [u16; 4] {
        self.header.counts
    }

    /// The length so far.
    pub fn len(&self) -> usize {
        self.out.len() - self.start
    }

    /// False: a message has at least its header.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Appends a question.
    pub fn question(&mut self, name: NameRef<'_>, rtype: RecordType, class: Class) -> Result<(), NoRoom> {
        self.entry(0, |builder| {
            builder.name(name);
            builder.out.put_u16(rtype.0);
            builder.out.put_u16(class.0);
        })
    }

    /// Appends a record.
    pub fn record(
        &mut self,
        section: Section,
        owner: NameRef<'_>,
        class: Class,
        ttl: u32,
        data: &Rdata,
    ) -> Result<(), NoRoom> {
        self.entry(section as usize, |builder| {
            let pointer = builder.labels(owner);
            let ([t1, t2], [c1, c2]) = (data.rtype().0.to_be_bytes(), class.0.to_be_bytes());
            let [l1, l2, l3, l4] = ttl.to_be_bytes();
            let [n1, n2] = (data.as_wire().len() as u16).to_be_bytes();
            // One write for what ends the name and all that follows it.
            match pointer.map(u16::to_be_bytes) {
                Some([p1, p2]) => {
                    builder.out.extend_from_slice(&[p1, p2, t1, t2, c1, c2, l1, l2, l3, l4, n1, n2]);
                }
                None => builder.out.extend_from_slice(&[0, t1, t2, c1, c2, l1, l2, l3, l4, n1, n2]),
            }
            builder.rdata(data);
        })
    }

    /// Appends the OPT record. The lower bits of `rcode` go into the header. What was reserved is free again.
    pub fn edns(&mut self, edns: &Edns, rcode: Rcode) -> Result<(), NoRoom> {
        self.reserved = 0;
        self.header.flags = self.header.flags.with_rcode(rcode);
        self.entry(Section::Additional as usize, |builder| edns.write(rcode, None, builder.out))
    }

    /// Completes the header and returns the message's length.
    pub fn finish(self) -> usize {
        let header = self.header.to_bytes();
        self.out[self.start..self.start + Header::LEN].copy_from_slice(&header);
        self.out.len() - self.start
    }

    /// Writes one entry, or takes it back if it passes the limit.
    fn entry(&mut self, section: usize, write: impl FnOnce(&mut Self)) -> Result<(), NoRoom> {
        if section < self.section || self.header.counts[section] == u16::MAX {
            return Err(if section < self.section { NoRoom::SectionOver } else { NoRoom::Full });
        }
        let before = self.out.len();
        write(self);
        if self.len() + self.reserved > self.limit {
            self.out.truncate(before);
            let end = before - self.start;
            // Chains in the table may break, which loses a suffix and nothing else.
            for slot in &mut self.table {
                if usize::from(slot.0) >= end {
                    *slot = (0, 0);
                }
            }
            for recent in &mut self.recent {
                if usize::from(recent.place.max(recent.parent.place)) >= end {
                    *recent = Recent::NONE;
                }
            }
            return Err(NoRoom::Full);
        }
        self.section = section;
        self.header.counts[section] += 1;
        Ok(())
    }

    /// Writes record data behind its uncompressed length, which is corrected if names could be compressed.
    fn rdata(&mut self, data: &Rdata) {
        let wire = data.as_wire();
        let Some((fixed, names)) = schema::compressible(data.rtype()) else {
            self.out.extend_from_slice(wire);
            return;
        };
        let start = self.out.len();
        let mut at = fixed.min(wire.len());
        if at > 0 {
            self.out.extend_from_slice(&wire[..at]);
        }
        for _ in 0..names {
            // The data was checked when it was made; what is no name after all is copied below.
            let Ok((name, next)) = NameRef::read(wire, at) else { break };
            self.name(name);
            at = next;
        }
        if at < wire.len() {
            self.out.extend_from_slice(&wire[at..]);
        }
        let len = (self.out.len() - start) as u16;
        self.out[start - 2..start].copy_from_slice(&len.to_be_bytes());
    }

    /// Writes a name.
    fn name(&mut self, name: NameRef<'_>) {
        match self.labels(name) {
            Some(pointer) => self.out.extend_from_slice(&pointer.to_be_bytes()),
            None => self.out.put_u8(0),
        }
    }

    /// Writes a name's first labels, and returns the pointer to the longest suffix that the message has already; it ends the
    /// name, as does the root when there is none.
    fn labels(&mut self, name: NameRef<'_>) -> Option<u16> {
        let mut buffer;
        let wire = match name.as_plain() {
            Some(plain) => plain,
            None => {
                buffer = [0; MAX_NAME_LEN];
                name.flatten(&mut buffer)
            }
        };
        for index in [self.newest, 1 - self.newest] {
            let recent = &self.recent[index];
            if usize::from(recent.len) == wire.len() && recent.wire.starts_with(wire) {
                self.newest = index;
                return Some(0xc000 | recent.place);
            }
        }
        // Names come in families: a sibling of one written a moment ago differs in its first label alone.
        let first = 1 + usize::from(wire[0]);
        if wire.len() > first + 1 {
            let tail = &wire[first..];
            let family = self.recent.iter().find(|recent| recent.parent.place > 0 && recent.tail() == tail);
            if let Some(parent) = family.map(|recent| recent.parent) {
                return Some(0xc000 | self.sibling(wire, parent));
            }
        }
        let mut starts = [0; 128];
        let starts = label_starts(wire, &mut starts);
        let base = self.len();
        let mut hash = 0;
        let mut known = None;
        let mut searching = true;
        let mut literal = wire.len() - 1;
        let mut parent = Suffix { place: 0, hash: 0 };
        // From the right: each suffix is one label in front of the suffix found before.
        for &start in starts.iter().rev() {
            let at = usize::from(start);
            let label = &wire[at..=at + usize::from(wire[at])];
            hash = hash_label(hash, label, &wire[at..]);
            if at == first {
                // Corrected below if it is found elsewhere.
                parent = Suffix { place: (base + at) as u16, hash };
            }
            if searching {
                if let Some(target) = self.find(hash, label, known) {
                    known = Some(target);
                    literal = at;
                    if at == first {
                        parent.place = target;
                    }
                    continue;
                }
                // Once a suffix is new, the longer ones are new too.
                searching = false;
            }
            self.remember(hash, base + at);
        }
        if literal > 0 {
            self.out.extend_from_slice(&wire[..literal]);
        }
        // The name now stands at `base`, or where all of it was found.
        let place = if literal > 0 { base } else { usize::from(known.unwrap_or_default()) };
        if base + wire.len() > MAX_TARGET {
            parent.place = 0;
        }
        self.note(wire, place, parent);
        known.map(|target| 0xc000 | target)
    }

    /// Writes the first label of a name whose parent the message has already, unless it has all of it; where the rest is.
    fn sibling(&mut self, wire: &[u8], parent: Suffix) -> u16 {
        let label = &wire[..=usize::from(wire[0])];
        let hash = hash_label(parent.hash, label, wire);
        let base = self.len();
        if let Some(target) = self.find(hash, label, Some(parent.place)) {
            self.note(wire, usize::from(target), parent);
            return target;
        }
        self.remember(hash, base);
        self.out.extend_from_slice(label);
        self.note(wire, base, parent);
        parent.place
    }

    /// Keeps a name as recent.
    fn note(&mut self, wire: &[u8], place: usize, parent: Suffix) {
        if place > 0 && place <= MAX_TARGET && wire.len() > 1 && wire.len() <= RECENT {
            self.newest = 1 - self.newest;
            let recent = &mut self.recent[self.newest];
            recent.place = place as u16;
            recent.len = wire.len() as u8;
            recent.wire[..wire.len()].copy_from_slice(wire);
            recent.parent = parent;
        }
    }

    /// The place of `label` followed by the suffix at `rest`, or by the root.
    fn find(&self, hash: u64, label: &[u8], rest: Option<u16>) -> Option<u16> {
        let message = &self.out[self.start..];
        let tag = (hash >> 48) as u16;
        for slot in slots(hash) {
            let (place, its_tag) = self.table[slot];
            if place == 0 {
                return None;
            }
            let end = usize::from(place) + label.len();
            // The label and the two bytes behind it, of which a root at the very end has only one.
            let Some(there) = message.get(usize::from(place)..end).filter(|_| its_tag == tag) else {
                continue;
            };
            let next = message.get(end).copied().unwrap_or_default();
            let follows = match rest {
                None => next == 0,
                Some(rest) if next >= 0xc0 => {
                    let low = message.get(end + 1).copied().unwrap_or_default();
                    u16::from_be_bytes([next & 0x3f, low]) == rest
                }
                Some(rest) => next != 0 && end == usize::from(rest),
            };
            // Nearly always the case is the same too, and that comparison is quicker.
            if follows && (there == label || there.eq_ignore_ascii_case(label)) {
                return Some(place);
            }
        }
        None
    }

    fn remember(&mut self, hash: u64, at: usize) {
        if at > MAX_TARGET {
            return;
        }
        if let Some(slot) = slots(hash).find(|slot| self.table[*slot].0 == 0) {
            self.table[slot] = (at as u16, (hash >> 48) as u16);
        }
    }
}

/// Where in the table a suffix may be.
fn slots(hash: u64) -> impl Iterator<Item = usize> {
    let first = (hash >> 32) as usize;
    (first..first + PROBES).map(|slot| slot % TABLE)
}

/// Adds the label at the front of `tail`, length byte and all, to the hash of what follows it. Setting one bit makes it
/// blind to case, and to some other differences; whoever finds something compares it.
#[inline]
fn hash_label(hash: u64, label: &[u8], tail: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    const LOWER: u64 = 0x2020_2020_2020_2020;
    let mix = |hash: u64, word: u64| (hash ^ (word | LOWER)).wrapping_mul(FACTOR).rotate_left(23);
    if let Some(last) = label.last_chunk() {
        // The last word may overlap the one before: that is quicker than to go byte by byte.
        let words = label.as_chunks().0;
        let hash = words.iter().fold(hash, |hash, word| mix(hash, u64::from_le_bytes(*word)));
        return mix(hash, u64::from_le_bytes(*last)).wrapping_mul(FACTOR);
    }
    // A short label, read together with what follows it, which is cut off again.
    let cut = u64::MAX >> (64 - 8 * label.len());
    let word = match tail.first_chunk() {
        Some(word) => u64::from_le_bytes(*word) & cut,
        None => label.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    mix(hash, word).wrapping_mul(FACTOR)
}

//! What happened, in a form that can be compared.

use std::fmt;

use crate::escape::excerpt;

/// What a machine told its application, in order.
///
/// Body data is noted with [`data`](Self::data): neighbours of one stream are joined, because a machine may hand a body out in
/// whatever pieces it came in.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    entries: Vec<Entry>,
    count: u64,
    events: u64,
    muted: bool,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// An event, as text.
    Event(String),
    /// Body data of one stream, joined with what came before it.
    Data {
        /// Which body.
        stream: String,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// The end of the stream was handed in.
    Eof,
    /// The connection failed.
    Error(String),
}

impl Journal {
    /// A journal that counts and writes nothing down, for measuring memory.
    pub(crate) fn muted() -> Self {
        Self { muted: true, ..Self::default() }
    }

    /// Notes an event.
    pub fn event(&mut self, text: impl fmt::Display) {
        self.count += 1;
        self.events += 1;
        if !self.muted {
            self.entries.push(Entry::Event(text.to_string()));
        }
    }

    /// Notes some bytes of the body of `stream` (a name of your choice; `""` where there is only one). No bytes, no note.
    pub fn data(&mut self, stream: impl fmt::Display, bytes: &[u8]) {
        self.count += 1;
        if self.muted || bytes.is_empty() {
            return;
        }
        let name = stream.to_string();
        match self.entries.last_mut() {
            Some(Entry::Data { stream, bytes: joined }) if *stream == name => joined.extend_from_slice(bytes),
            _ => self.entries.push(Entry::Data { stream: name, bytes: bytes.to_vec() }),
        }
    }

    /// Notes what is neither event nor data.
    pub(crate) fn note(&mut self, entry: Entry) {
        if !self.muted {
            self.entries.push(entry);
        }
    }

    /// What was noted.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many events and pieces of data there were, before any joining.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many of them were events.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// The same entries in an order of their own, for comparing where the order means nothing.
    pub(crate) fn sorted(&self) -> Self {
        let mut sorted = self.clone();
        sorted.entries.sort();
        sorted
    }

    /// The first place where two journals differ, in words.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let longer = self.entries.len().max(other.entries.len());
        (0..longer).find(|&n| self.entries.get(n) != other.entries.get(n)).map(|n| {
            let show = |journal: &Self| journal.entries.get(n).map_or("nothing".to_owned(), Entry::to_string);
            format!("entry {n} was {}\nnow it is  {}", show(self), show(other))
        })
    }

    /// The journal with its contents left out: what kind of entry, and how long its data.
    pub(crate) fn shape(&self) -> Vec<(u8, usize)> {
        let shape = |entry: &Entry| match entry {
            Entry::Event(_) => (0, 0),
            Entry::Data { bytes, .. } => (1, bytes.len()),
            Entry::Eof => (2, 0),
            Entry::Error(_) => (3, 0),
        };
        self.entries.iter().map(shape).collect()
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(text) => write!(f, "event {text}"),
            Self::Data { stream, bytes } => write!(f, "data {stream} {}: {}", bytes.len(), excerpt(bytes)),
            Self::Eof => f.write_str("end of stream"),
            Self::Error(text) => write!(f, "error {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_data_of_one_stream_is_joined() {
        let (mut cut, mut whole) = (Journal::default(), Journal::default());
        for (stream, bytes) in [("a", "he"), ("a", ""), ("a", "llo"), ("b", "x")] {
            cut.data(stream, bytes.as_bytes());
        }
        whole.data("a", b"hello");
        whole.data("b", b"x");
        assert_eq!(cut.difference(&whole), None);
        whole.event("end");
        assert_eq!(cut.difference(&whole).unwrap(), "entry 2 was nothing\nnow it is  event end");
        assert_eq!(cut.count(), 4);
    }
}

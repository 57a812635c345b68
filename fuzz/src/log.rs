//! What a machine told, line by line.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What happened, roughly: two inputs of one shape are much alike.
pub type Shape = u64;

/// The events of one run. Adjacent pieces of a body count as one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Log {
    lines: Vec<Line>,
    /// What went to the peer, where that is noted.
    sent: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Event(String),
    Data(Vec<u8>),
}

impl Log {
    /// An event, or how the run ended.
    pub fn event(&mut self, event: impl Debug) {
        self.lines.push(Line::Event(format!("{event:?}")));
    }

    /// A piece of a body.
    pub fn data(&mut self, data: &[u8]) {
        match self.lines.last_mut() {
            Some(Line::Data(before)) => before.extend_from_slice(data),
            _ => self.lines.push(Line::Data(data.to_vec())),
        }
    }

    /// Bytes that went to the peer. When they do, beside the events, is the driver's choice.
    pub fn sent(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
    }

    /// True when an event has this in it.
    pub fn mentions(&self, text: &str) -> bool {
        self.lines.iter().any(|line| matches!(line, Line::Event(event) if event.contains(text)))
    }

    /// The names in the first lines.
    pub fn shape(&self) -> Shape {
        let mut hasher = DefaultHasher::new();
        for line in self.lines.iter().take(8) {
            match line {
                Line::Event(text) => shape_of(text, &mut hasher),
                Line::Data(_) => hasher.write_u8(0),
            }
        }
        // What a server in memory says is all there is to go by.
        shape_of(&String::from_utf8_lossy(&self.sent), &mut hasher);
        hasher.finish()
    }
}

/// The shape of anything that can be shown.
pub fn shape(value: impl Debug) -> Shape {
    let mut hasher = DefaultHasher::new();
    shape_of(&format!("{value:?}"), &mut hasher);
    hasher.finish()
}

/// Names begin with a capital letter; what stands in quotes is the peer's.
fn shape_of(text: &str, hasher: &mut DefaultHasher) {
    let unquoted = text.split('"').step_by(2);
    let words = unquoted.flat_map(|piece| piece.split(|letter: char| !letter.is_alphabetic()));
    for word in words.filter(|word| word.starts_with(|letter: char| letter.is_ascii_uppercase())).take(16) {
        word.hash(hasher);
    }
}

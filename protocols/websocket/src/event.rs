//! What a connection tells, and what it is told.

use core::fmt;

use bytes::Bytes;
use bytestring::ByteString;

use crate::wire::{CloseFrame, Opcode};

/// What a message is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
}

impl MessageKind {
    pub(crate) const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

/// A whole message. Cheap to clone: clones share their bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// Text, which is known to be UTF-8.
    Text(ByteString),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// A message of text.
    pub fn text(text: impl Into<ByteString>) -> Self {
        Self::Text(text.into())
    }

    /// A message of bytes.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// Text or bytes.
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Text(_) => MessageKind::Text,
            Self::Binary(_) => MessageKind::Binary,
        }
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The bytes, of text too.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The bytes, of text too, without a copy.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// True for a message of no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<ByteString> for Message {
    fn from(text: ByteString) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<alloc::string::String> for Message {
    fn from(text: alloc::string::String) -> Self {
        Self::text(text)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<alloc::vec::Vec<u8>> for Message {
    fn from(bytes: alloc::vec::Vec<u8>) -> Self {
        Self::binary(bytes)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.debug_tuple("Text").field(&&**text).finish(),
            Self::Binary(bytes) => f.debug_tuple("Binary").field(bytes).finish(),
        }
    }
}

/// What a connection tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A whole message. Told unless the configuration asks for [pieces](crate::Config::pieces).
    Message(Message),
    /// A message has begun, which comes in pieces.
    Begin(MessageKind),
    /// A piece of the message that was begun; never empty. Of text, complete characters.
    Data(Bytes),
    /// The message that was begun is complete.
    End,
    /// A ping, which is answered already.
    Ping(Bytes),
    /// A pong. Those that answer the connection's own pings are not told.
    Pong(Bytes),
    /// The peer says good-bye, which is answered already. This is the last event.
    Close(Option<CloseFrame>),
}

//! The head of every datagram.

use core::fmt;

use bytes::{Buf, BufMut, BytesMut};

/// Bytes before the payload.
pub const HEADER_LEN: usize = 28;
const VERSION: u8 = 1;

/// There is a segment: the number counts.
pub(super) const DATA: u8 = 1;
/// The segment begins a message.
pub(super) const BEGIN: u8 = 1 << 1;
/// The segment ends a message.
pub(super) const END: u8 = 1 << 2;
/// The segment is the last of all, and empty.
pub(super) const FIN: u8 = 1 << 3;
/// Answer this, whatever it holds.
pub(super) const PING: u8 = 1 << 4;
/// There is no such conversation.
pub(super) const RESET: u8 = 1 << 5;
const KNOWN: u8 = DATA | BEGIN | END | FIN | PING | RESET;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) flags: u8,
    /// The receiver's tag; 0 while the sender does not know it.
    pub(super) to: u32,
    /// The sender's tag.
    pub(super) from: u32,
    pub(super) ack: u32,
    pub(super) sack: u64,
    pub(super) window: u16,
    pub(super) seq: u32,
}

/// A datagram that no channel sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Where in the datagram.
    pub offset: u8,
    /// What is wrong there.
    pub reason: DecodeReason,
}

/// What is wrong with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeReason {
    /// It is shorter than a head.
    Short,
    /// It is of another version, or not of this protocol.
    Version,
    /// Its flags contradict each other, or its payload.
    Flags,
    /// Its sender has no tag.
    NoTag,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            DecodeReason::Short => "datagram ends within its head",
            DecodeReason::Version => "unknown version",
            DecodeReason::Flags => "contradictory flags",
            DecodeReason::NoTag => "sender without a tag",
        };
        write!(f, "{reason} at byte {}", self.offset)
    }
}

impl core::error::Error for DecodeError {}

impl Header {
    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.reserve(HEADER_LEN);
        out.put_u8(VERSION);
        out.put_u8(self.flags);
        out.put_u32(self.to);
        out.put_u32(self.from);
        out.put_u32(self.ack);
        out.put_u64(self.sack);
        out.put_u16(self.window);
        out.put_u32(self.seq);
    }

    /// Takes the head off a whole datagram; what is left is the payload.
    pub(super) fn decode(datagram: &mut BytesMut) -> Result<Self, DecodeError> {
        let error = |offset: usize, reason| Err(DecodeError { offset: offset as u8, reason });
        let len = datagram.len();
        if len < HEADER_LEN {
            return error(len, DecodeReason::Short);
        }
        if datagram.get_u8() != VERSION {
            return error(0, DecodeReason::Version);
        }
        let header = Self {
            flags: datagram.get_u8(),
            to: datagram.get_u32(),
            from: datagram.get_u32(),
            ack: datagram.get_u32(),
            sack: datagram.get_u64(),
            window: datagram.get_u16(),
            seq: datagram.get_u32(),
        };
        let flags = header.flags;
        let data = flags & DATA != 0;
        let consistent = flags & !KNOWN == 0
            && (data || flags & (BEGIN | END | FIN) == 0)
            && (data || datagram.is_empty())
            && (flags & FIN == 0 || (flags & (BEGIN | END) == BEGIN | END && datagram.is_empty()));
        if !consistent {
            return error(1, DecodeReason::Flags);
        }
        if header.from == 0 {
            return error(6, DecodeReason::NoTag);
        }
        Ok(header)
    }
}

/// The number whose low 32 bits are `low`, nearest to `near`.
pub(super) fn expand(low: u32, near: u64) -> u64 {
    let ahead = low.wrapping_sub(near as u32);
    if ahead < 1 << 31 {
        near.saturating_add(u64::from(ahead))
    } else {
        // Behind, unless there is nothing behind.
        near.checked_sub(u64::from(ahead.wrapping_neg())).unwrap_or(near.saturating_add(u64::from(ahead)))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn heads_come_back_as_they_were_and_no_prefix_is_one() {
        let header =
            Header { flags: DATA | BEGIN, to: 1, from: 2, ack: 3, sack: 1 << 63, window: 5, seq: u32::MAX };
        let mut out = BytesMut::new();
        header.encode(&mut out);
        assert_eq!(out.len(), HEADER_LEN);
        for cut in 0..HEADER_LEN {
            let error = Header::decode(&mut BytesMut::from(&out[..cut])).unwrap_err();
            assert_eq!((error.reason, error.offset as usize), (DecodeReason::Short, cut));
        }
        out.extend_from_slice(b"payload");
        assert_eq!(Header::decode(&mut out), Ok(header));
        assert_eq!(&out[..], b"payload");
    }

    #[test]
    fn every_flag_byte_is_a_head_or_an_error() {
        let good: Vec<u8> = (0..=255)
            .filter(|&flags| {
                let mut out = BytesMut::new();
                Header { flags, to: 0, from: 1, ack: 0, sack: 0, window: 0, seq: 0 }.encode(&mut out);
                Header::decode(&mut out).is_ok()
            })
            .collect();
        // Nothing, or a segment of four kinds or the last; each with or without a ping and a reset.
        assert_eq!(good.len(), (1 + 4 + 1) * 4);
    }

    #[test]
    fn numbers_expand_to_the_nearest() {
        assert_eq!(expand(5, 3), 5);
        assert_eq!(expand(3, 5), 3);
        assert_eq!(expand(u32::MAX, 1 << 32), (1 << 32) - 1);
        assert_eq!(expand(0, (1 << 32) - 1), 1 << 32);
        assert_eq!(expand(u32::MAX, 0), u64::from(u32::MAX));
    }
}

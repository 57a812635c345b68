//! The head of a frame (RFC 6455 §5.2).

use super::decoder::Reason;

/// The longest head: two bytes, eight of length, four of masking key.
pub const MAX_HEAD_LEN: usize = 14;

/// The longest payload of a control frame (RFC 6455 §5.5).
pub const MAX_CONTROL_LEN: usize = 125;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// Goes on with the message that was begun.
    Continuation,
    /// Begins a message of text.
    Text,
    /// Begins a message of bytes.
    Binary,
    /// Says good-bye.
    Close,
    /// Asks for a pong.
    Ping,
    /// Answers a ping, or says that one lives.
    Pong,
}

impl Opcode {
    /// The four bits, or `None` for one that is reserved.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    /// As four bits.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    /// True for close, ping and pong, which are short, whole, and may come amid the fragments of a message.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameHead {
    /// The last frame of its message.
    pub fin: bool,
    /// The first reserved bit: with permessage-deflate, that the message is compressed (RFC 7692 §6).
    pub rsv1: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key, which frames of a client have and frames of a server have not.
    pub mask: Option<[u8; 4]>,
    /// The payload's length in bytes.
    pub len: u64,
}

impl FrameHead {
    /// Reads a head from the front of `bytes`: the head and its own length, or `None` while it is incomplete. What is wrong is
    /// told as soon as it is there, with its offset from the front.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, (Reason, usize)> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        // RFC 6455 §5.2: nobody has negotiated a meaning for these.
        if first & 0x30 != 0 {
            return Err((Reason::ReservedBits, 0));
        }
        let Some(opcode) = Opcode::from_bits(first & 0x0f) else { return Err((Reason::ReservedOpcode, 0)) };
        let (fin, rsv1) = (first & 0x80 != 0, first & 0x40 != 0);
        if opcode.is_control() {
            if !fin {
                return Err((Reason::ControlFragmented, 0));
            }
            if rsv1 {
                return Err((Reason::ReservedBits, 0));
            }
        }
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        if opcode.is_control() && usize::from(second & 0x7f) > MAX_CONTROL_LEN {
            return Err((Reason::ControlTooLong, 1));
        }
        let (len, at) = match second & 0x7f {
            126 => {
                let Some(&long) = bytes.get(2..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
                let len = u64::from(u16::from_be_bytes(long));
                if len < 126 {
                    return Err((Reason::LengthNotMinimal, 2));
                }
                (len, 4)
            }
            127 => {
                let Some(&long) = bytes.get(2..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
                let len = u64::from_be_bytes(long);
                if len >> 63 != 0 {
                    return Err((Reason::LengthTooLong, 2));
                }
                if u16::try_from(len).is_ok() {
                    return Err((Reason::LengthNotMinimal, 2));
                }
                (len, 10)
            }
            short => (u64::from(short), 2),
        };
        if second & 0x80 == 0 {
            return Ok(Some((Self { fin, rsv1, opcode, mask: None, len }, at)));
        }
        let Some(&key) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
        Ok(Some((Self { fin, rsv1, opcode, mask: Some(key), len }, at + 4)))
    }

    /// How many bytes of head are missing behind `bytes`, at least; 0 when it is complete.
    pub(crate) fn missing(bytes: &[u8]) -> usize {
        let Some(&second) = bytes.get(1) else { return 2 - bytes.len() };
        let key: usize = if second & 0x80 == 0 { 0 } else { 4 };
        let len = match second & 0x7f {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        (len + key).saturating_sub(bytes.len())
    }

    /// The head's bytes, and how many of them count.
    #[inline]
    pub fn encode(&self) -> ([u8; MAX_HEAD_LEN], usize) {
        let mut head = [0; MAX_HEAD_LEN];
        head[0] = self.opcode.bits() | if self.fin { 0x80 } else { 0 } | if self.rsv1 { 0x40 } else { 0 };
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        let mut at = 2;
        if self.len < 126 {
            head[1] = masked | self.len as u8;
        } else if let Ok(len) = u16::try_from(self.len) {
            head[1] = masked | 0x7e;
            head[2..4].copy_from_slice(&len.to_be_bytes());
            at = 4;
        } else {
            head[1] = masked | 0x7f;
            head[2..10].copy_from_slice(&self.len.to_be_bytes());
            at = 10;
        }
        if let Some(key) = self.mask {
            head[at..at + 4].copy_from_slice(&key);
            at += 4;
        }
        (head, at)
    }
}

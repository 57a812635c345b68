//! The first twelve bytes.

use core::fmt;

use super::{Opcode, Rcode};

/// The second pair of bytes of a header: flags, opcode and the low four bits of the response code.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u16);

macro_rules! flag {
    ($( $(#[$doc:meta])* $get:ident, $with:ident = $bit:literal; )*) => {
        $(
            $(#[$doc])*
            pub const fn $get(self) -> bool {
                self.0 & (1 << $bit) != 0
            }

            /// These flags with the named one set or cleared.
            pub const fn $with(self, on: bool) -> Self {
                Self(if on { self.0 | (1 << $bit) } else { self.0 & !(1 << $bit) })
            }
        )*
    };
}

impl Flags {
    flag! {
        /// QR: this is a response.
        is_response, with_response = 15;
        /// AA: the server is an authority for the name.
        authoritative, with_authoritative = 10;
        /// TC: something was left out for want of room.
        truncated, with_truncated = 9;
        /// RD: the server is asked to find the answer elsewhere.
        recursion_desired, with_recursion_desired = 8;
        /// RA: the server does that.
        recursion_available, with_recursion_available = 7;
        /// AD: the server has verified the answer (RFC 4035), or the client would like to know (RFC 6840).
        authentic_data, with_authentic_data = 5;
        /// CD: the server shall not verify (RFC 4035).
        checking_disabled, with_checking_disabled = 4;
    }

    /// What the message is for.
    pub const fn opcode(self) -> Opcode {
        Opcode((self.0 >> 11) as u8 & 15)
    }

    /// These flags with another opcode (its low four bits).
    pub const fn with_opcode(self, opcode: Opcode) -> Self {
        Self(self.0 & !(15 << 11) | (opcode.0 as u16 & 15) << 11)
    }

    /// The four bits of the response code that the header holds. The whole code is [`MessageView::rcode`].
    ///
    /// [`MessageView::rcode`]: super::MessageView::rcode
    pub const fn low_rcode(self) -> Rcode {
        Rcode(self.0 & 15)
    }

    /// These flags with the low four bits of another response code.
    pub const fn with_rcode(self, rcode: Rcode) -> Self {
        Self(self.0 & !15 | rcode.0 & 15)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.opcode(), self.low_rcode())?;
        for (on, name) in [
            (self.is_response(), "qr"),
            (self.authoritative(), "aa"),
            (self.truncated(), "tc"),
            (self.recursion_desired(), "rd"),
            (self.recursion_available(), "ra"),
            (self.authentic_data(), "ad"),
            (self.checking_disabled(), "cd"),
        ] {
            if on {
                write!(f, " {name}")?;
            }
        }
        Ok(())
    }
}

/// The header of a message (RFC 1035 section 4.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Header {
    /// Chosen by whoever asks, repeated by whoever answers.
    pub id: u16,
    /// Flags, opcode, response code.
    pub flags: Flags,
    /// How many entries the question, answer, authority and additional sections have.
    pub counts: [u16; 4],
}

impl Header {
    /// The length of a header on the wire.
    pub const LEN: usize = 12;

    /// Reads the header at the start of `message`; `None` if that is shorter.
    #[inline]
    pub fn read(message: &[u8]) -> Option<Self> {
        let bytes: &[u8; 12] = message.first_chunk()?;
        let at = |i: usize| u16::from_be_bytes([bytes[i], bytes[i + 1]]);
        Some(Self { id: at(0), flags: Flags(at(2)), counts: [at(4), at(6), at(8), at(10)] })
    }

    /// The header on the wire.
    pub fn to_bytes(self) -> [u8; 12] {
        let [qd, an, ns, ar] = self.counts;
        let mut out = [0; 12];
        for (slot, value) in out.chunks_exact_mut(2).zip([self.id, self.flags.0, qd, an, ns, ar]) {
            slot.copy_from_slice(&value.to_be_bytes());
        }
        out
    }
}

//! What a close frame carries (RFC 6455 §5.5.1, §7.4).

use core::fmt;

use bytes::{Buf, Bytes};
use bytestring::ByteString;

use super::decoder::Reason;
use super::head::MAX_CONTROL_LEN;

/// Why a connection is closed: a number from 1000 to 4999 (RFC 6455 §7.4, and the IANA registry).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: a server goes down, or a page is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer breaks the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data that one does not take.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1007: data that is not what it says: text that is not UTF-8, for example.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: a policy is violated, and no other code fits.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message is too big.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: a client misses an extension.
    pub const EXTENSION_MISSING: Self = Self(1010);
    /// 1011: something unexpected at the server.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: a server restarts.
    pub const RESTART: Self = Self(1012);
    /// 1013: try again later.
    pub const TRY_AGAIN: Self = Self(1013);
    /// 1014: a gateway got an invalid answer.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The code of that number, if it may be sent: 1000 to 1003, 1007 to 1014, 3000 to 4999. The numbers 1005, 1006 and
    /// 1015 stand for what was never sent, and the rest is nobody's (RFC 6455 §7.4).
    pub const fn new(number: u16) -> Option<Self> {
        match number {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(number)),
            _ => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A code and a reason in words, which a close frame may carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// Why.
    pub code: CloseCode,
    /// In words, not for the end user; up to 123 bytes.
    pub reason: ByteString,
}

impl CloseFrame {
    /// A code with a reason. What does not fit into a control frame (123 bytes) is left out.
    pub fn new(code: CloseCode, reason: impl Into<ByteString>) -> Self {
        let mut reason = reason.into();
        if reason.len() > MAX_CONTROL_LEN - 2 {
            let mut end = MAX_CONTROL_LEN - 2;
            while !reason.is_char_boundary(end) {
                end -= 1;
            }
            reason = ByteString::from(&reason[..end]);
        }
        Self { code, reason }
    }

    /// Reads the payload of a close frame: `None` when it is empty. What is wrong is told with its offset in the payload.
    pub fn decode(mut payload: Bytes) -> Result<Option<Self>, (Reason, usize)> {
        match payload.len() {
            0 => return Ok(None),
            1 => return Err((Reason::CloseLength, 0)),
            _ => {}
        }
        let number = payload.get_u16();
        let code = CloseCode::new(number).ok_or((Reason::CloseCode(number), 0))?;
        let valid =
            core::str::from_utf8(&payload).map_err(|error| (Reason::Utf8, 2 + error.valid_up_to()))?;
        Ok(Some(Self { code, reason: ByteString::from(valid) }))
    }

    /// The payload of a close frame, and how many of its bytes count.
    pub(crate) fn encode(&self) -> ([u8; MAX_CONTROL_LEN], usize) {
        let mut payload = [0; MAX_CONTROL_LEN];
        let len = self.reason.len().min(MAX_CONTROL_LEN - 2);
        payload[..2].copy_from_slice(&self.code.get().to_be_bytes());
        payload[2..2 + len].copy_from_slice(&self.reason.as_bytes()[..len]);
        (payload, 2 + len)
    }
}

impl From<CloseCode> for CloseFrame {
    fn from(code: CloseCode) -> Self {
        Self { code, reason: ByteString::new() }
    }
}

impl fmt::Display for CloseFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, " ({})", self.reason) }
    }
}

//! The codec alone: frames as they lie on the wire (RFC 6455 §5).
//!
//! - [`FrameHead`] is the head of a frame, decoded and encoded.
//! - [`FrameDecoder`] takes whole frames off the front of a buffer, unmasked in place and without a copy; [`encode`] writes one.
//! - [`mask`] is the XOR of §5.3. [`Utf8`] checks text that comes in pieces. [`CloseFrame`] is what a close frame carries.

mod close;
mod decoder;
mod head;
mod mask;
mod utf8;

pub use close::{CloseCode, CloseFrame};
pub use decoder::{DecodeError, Frame, FrameDecoder, Reason, encode};
pub use head::{FrameHead, MAX_CONTROL_LEN, MAX_HEAD_LEN, Opcode};
pub use mask::mask;
pub use utf8::Utf8;

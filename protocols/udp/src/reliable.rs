//! Messages that arrive once, and in order if wished, on top of conversations.
//!
//! [`Channel`] is one end of one conversation: messages of up to [`MAX_MESSAGE_SEGMENTS`] segments go in, datagrams come
//! out, and the other way round. [`Conversations`] puts a channel on every conversation of a
//! [`Tracker`](crate::Tracker). Both ends have to speak it: it is a protocol of its own, made for whoever controls both.
//!
//! ```text
//!             send                                   close
//!   open ---------------> segments, acked or     ---------------> FIN after the last segment
//!    |                    sent again
//!    | the peer's FIN, after all its messages        both FINs acked: linger to ack again, then over
//!    v
//!   Finished (we may still send)        no answer, reset, violation: Failed
//! ```
//!
//! **What is promised.** Each message is delivered once, whole, whatever the network loses, doubles or reorders; with
//! [`Order::Ordered`] in the order of sending, with [`Order::Unordered`] as soon as it is whole. There is no protection
//! against somebody on the path: that takes encryption. Somebody off the path has to guess 32 bits, the receiver's
//! tag, to be heard at all.
//!
//! **On the wire** (big-endian): version 1 (1 byte), flags (1), tag of the receiver or 0 (4), tag of the sender (4), next
//! segment number wanted (4), 64 bits for the segments after that one (8), segments that may be sent from there (2),
//! number of this segment (4), its payload. Every datagram acknowledges.
//!
//! **Acknowledgement.** At once for every second segment, for anything out of order, doubled or final; else after
//! 20 ms. **Retransmission.** A segment is lost when one sent three transmissions later was acknowledged (RFC 9002 §6.1.1),
//! or after the time-out of RFC 6298, which doubles each time. **Congestion.** A window in segments, as in RFC 5681: ten to
//! begin with, doubled per round trip up to the first loss, then one more per round trip; halved at most once per
//! round trip in which something was lost, two after a time-out. Nothing is paced. **Flow.** At most [`WINDOW`] segments
//! are unread at the receiver.
//!
//! A peer that starts anew from the same address is heard when the old conversation has ended here; one whose
//! conversation is gone is told so by a reset.

mod channel;
mod conversations;
mod event;
mod receive;
mod send;
#[cfg(test)]
mod tests;
mod wire;

pub use channel::{Channel, ChannelConfig, ChannelEvent, Failure, Order, SendError};
pub use conversations::Conversations;
pub use event::{End, Event, ReceiveError};
pub use wire::{DecodeError, DecodeReason, HEADER_LEN};

/// Segments in flight and unread, at most; the same at both ends.
pub const WINDOW: u16 = 256;
/// Segments of one message, at most: half a window, so that a message always fits.
pub const MAX_MESSAGE_SEGMENTS: usize = WINDOW as usize / 2;

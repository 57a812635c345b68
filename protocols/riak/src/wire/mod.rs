//! What travels on the wire, both ways: frames, the codes, and every message.
//!
//! A frame is a length of four bytes (big-endian, counting what follows), a code of one byte, and a message in protocol
//! buffers. The messages keep the names they have in Riak's own `.proto` files, and the tables that declare them
//! ([`riak`], [`kv`], [`aae`], [`repl`], [`dt`], [`search`], [`yokozuna`], [`ts`]) read like those files.
//!
//! Decoding copies no payload: `bytes` fields are [`Blob`]s, of which the long ones are slices of the frame. Unknown fields are passed over. A required field that is
//! missing reads as its default, because that is what real nodes do (and the body of a reply may be empty); encoding
//! always writes it.
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use glowplug_riak::wire::{Message, Request, kv::RpbGetReq};
//!
//! let get = RpbGetReq { bucket: "b".into(), key: "k".into(), ..RpbGetReq::default() };
//! let mut out = BytesMut::new();
//! Request::from(get.clone()).encode_frame(&mut out);
//! assert_eq!(&out[..], b"\0\0\0\x07\x09\x0a\x01b\x12\x01k");
//! assert_eq!(RpbGetReq::decode(&Bytes::copy_from_slice(&out[5..])), Ok(get));
//! ```

mod blob;
mod codes;
mod declare;
pub(crate) mod field;
mod frame;
mod list;
pub(crate) mod reader;
pub(crate) mod reflect;
pub(crate) mod writer;

pub mod aae;
pub mod dt;
pub mod kv;
pub mod repl;
pub mod riak;
pub mod search;
pub mod ts;
pub mod yokozuna;

use bytes::Bytes;

pub use self::blob::Blob;
pub use self::codes::{Answers, Code, Direction, Reply, Request};
pub use self::field::Clear;
pub use self::frame::{Decoder, Frame, put_frame};
pub use self::list::{IntoIter, List};
pub use self::reflect::{Field, FieldInfo, FieldValue, MessageInfo, Reflect};
pub use self::writer::Sink;
pub use crate::error::{DecodeError, DecodeReason};

pub(crate) mod sealed {
    use bytes::Bytes;

    use super::reader::{Key, Reader};
    use super::writer::{Sink, Writer};
    use super::{DecodeError, DecodeLimits};

    #[allow(unnameable_types, reason = "messages are declared in this crate alone")]
    pub trait Merge {
        /// Fills a message from the fields up to the end of the reader's innermost message.
        fn merge(&mut self, reader: &mut Reader<'_>);
        /// Reads the field whose key was just read, or passes over it.
        fn merge_field(&mut self, key: Key, reader: &mut Reader<'_>);
        /// Fills a blank message from a whole body.
        #[inline]
        fn merge_all(&mut self, body: &Bytes, limits: DecodeLimits) -> Result<(), DecodeError> {
            let mut reader = Reader::new(body, limits);
            self.merge(&mut reader);
            reader.finish()
        }
        /// True when the message takes less than 128 bytes, as can be told at a glance. `false` says nothing.
        fn is_short(&self) -> bool {
            false
        }
        /// Writes the fields.
        fn write<S: Sink>(&self, out: &mut Writer<'_, S>);
    }
}

/// How much one message may ask for, whatever its bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// How deep messages may lie in one another. Maps inside maps take two levels each.
    pub max_depth: u32,
    /// How many bytes of memory the elements of repeated fields may take together. An element of two bytes on the wire
    /// can take some hundred in memory, so a limit on the frame alone would not do.
    pub max_decoded_len: usize,
}

impl Default for DecodeLimits {
    /// 64 levels and 256 MiB.
    fn default() -> Self {
        Self { max_depth: 64, max_decoded_len: 256 << 20 }
    }
}

/// A message of the protocol.
pub trait Message: sealed::Merge + Reflect + Clear + Clone + Default + PartialEq + core::fmt::Debug {
    /// The name in the `.proto` file.
    const NAME: &'static str;

    /// The number of bytes that [`encode`](Self::encode) appends.
    fn encoded_len(&self) -> usize;

    /// Appends the message, without a frame around it.
    #[inline]
    fn encode<S: Sink>(&self, out: &mut S) {
        let mut writer = writer::Writer::new(out);
        self.write(&mut writer);
        writer.finish();
    }

    /// Decodes a message; its long `bytes` fields share the memory of `body`.
    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        Self::decode_within(body, DecodeLimits::default())
    }

    /// [`decode`](Self::decode) with other limits.
    #[inline]
    fn decode_within(body: &Bytes, limits: DecodeLimits) -> Result<Self, DecodeError> {
        // Filled where it is returned, so that it is not moved there.
        let mut decoded = Ok(Self::default());
        if let Ok(message) = &mut decoded
            && let Err(error) = message.merge_all(body, limits)
        {
            decoded = Err(error);
        }
        decoded
    }

    /// Decodes into a message that was used before, whose memory is used again. After an error the content is
    /// unspecified.
    fn decode_from(&mut self, body: &Bytes, limits: DecodeLimits) -> Result<(), DecodeError> {
        self.clear();
        self.merge_all(body, limits)
    }
}

impl<M: Message> field::Kind for M {
    type Value = Self;
    const WIRE: reader::WireType = reader::WireType::Len;
    const INLINE_LEN: usize = usize::MAX;

    #[inline]
    fn read(reader: &mut reader::Reader<'_>, value: &mut Self) {
        let outer = reader.enter();
        value.merge(reader);
        reader.leave(outer);
    }

    #[inline]
    fn write<S: Sink>(key: reader::Key, value: &Self, out: &mut writer::Writer<'_, S>) {
        if value.is_short() {
            let start = out.begin_short(key);
            sealed::Merge::write(value, out);
            out.end_short(start);
        } else {
            out.head(key, value.encoded_len());
            sealed::Merge::write(value, out);
        }
    }

    #[inline]
    fn len(value: &Self) -> usize {
        let len = value.encoded_len();
        writer::varint_len(len as u64) + len
    }

    fn view(value: &Self) -> FieldValue<'_> {
        FieldValue::Message(value)
    }
}

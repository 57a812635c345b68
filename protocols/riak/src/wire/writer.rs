//! Writing protocol buffers.

use bytes::{Bytes, BytesMut};
use glowplug_core::SendBuf;

use super::Blob;
use super::blob::INLINE;
use super::reader::Key;

/// Where a message is written to: a plain buffer, or the output of a connection, where long payloads are not copied.
pub trait Sink {
    /// The buffer for heads and short values.
    fn buf(&mut self) -> &mut BytesMut;
    /// Appends a payload.
    fn put_payload(&mut self, payload: &Bytes);
}

impl Sink for BytesMut {
    #[inline]
    fn buf(&mut self) -> &mut BytesMut {
        self
    }

    #[inline]
    fn put_payload(&mut self, payload: &Bytes) {
        self.extend_from_slice(payload);
    }
}

impl Sink for SendBuf {
    #[inline]
    fn buf(&mut self) -> &mut BytesMut {
        self.scratch()
    }

    #[inline]
    fn put_payload(&mut self, payload: &Bytes) {
        self.push(payload.clone());
    }
}

/// How much of the sink's buffer is opened at once: the short fields of a usual message together.
pub(super) const BLOCK: usize = 512;
/// Bytes of the longest varint.
const VARINT: usize = 10;
/// Bytes of a key and a length of one byte each, and of a short value.
const SHORT_FIELD: usize = 2 + INLINE;

/// Writes the short parts of a message in place, into a block at the end of the sink's buffer, so that the buffer is asked for room once
/// and not for each byte.
#[allow(unnameable_types, reason = "stands in a sealed trait that nobody outside this crate implements")]
pub struct Writer<'s, S: Sink> {
    sink: &'s mut S,
    /// Where the next byte goes. What the buffer has behind it is the rest of the block.
    pos: usize,
}

impl<'s, S: Sink> Writer<'s, S> {
    #[inline]
    pub(crate) fn new(sink: &'s mut S) -> Self {
        let pos = sink.buf().len();
        Self { sink, pos }
    }

    /// Closes the block. To be called last, and before the sink is written to by itself.
    #[inline]
    pub(crate) fn finish(&mut self) {
        self.sink.buf().truncate(self.pos);
    }

    #[cold]
    #[inline(never)]
    fn open_block(&mut self) {
        self.sink.buf().resize(self.pos + BLOCK, 0);
    }

    /// The next `N` bytes of the block, which is made larger if it has not so many.
    #[inline]
    fn window<const N: usize>(&mut self) -> &mut [u8; N] {
        if self.sink.buf().len() < self.pos + N {
            self.open_block();
        }
        self.sink.buf()[self.pos..].first_chunk_mut().expect("a block is longer than any window")
    }

    #[inline]
    pub(crate) fn varint(&mut self, value: u64) {
        if value < 0x80 {
            self.window::<1>()[0] = value as u8;
            self.pos += 1;
        } else {
            self.long_varint(value);
        }
    }

    #[inline(never)]
    fn long_varint(&mut self, mut value: u64) {
        let (window, mut len) = (self.window::<VARINT>(), 0);
        while value >= 0x80 {
            window[len] = value as u8 | 0x80;
            value >>= 7;
            len += 1;
        }
        window[len] = value as u8;
        self.pos += len + 1;
    }

    #[inline]
    pub(crate) fn key(&mut self, key: Key) {
        self.varint(u64::from(key.raw()));
    }

    pub(crate) fn fixed<const N: usize>(&mut self, bytes: [u8; N]) {
        *self.window() = bytes;
        self.pos += N;
    }

    /// A key, a length, and the bytes.
    #[inline]
    pub(crate) fn blob_field(&mut self, key: Key, value: &Blob) {
        let pos = self.pos;
        if let (Ok((bytes, len)), 0..0x80) = (value.parts(), key.raw())
            && let Some(window) =
                self.sink.buf().get_mut(pos..).and_then(<[u8]>::first_chunk_mut::<SHORT_FIELD>)
        {
            window[0] = key.raw() as u8;
            window[1] = len as u8;
            // All of it, of which the next field overwrites what is too much: a copy of fixed size is the fastest.
            window[2..].copy_from_slice(bytes);
            self.pos = pos + 2 + len;
            return;
        }
        self.any_blob_field(key, value);
    }

    #[inline(never)]
    fn any_blob_field(&mut self, key: Key, value: &Blob) {
        if let (Ok(_), 0..0x80) = (value.parts(), key.raw()) {
            // It was for want of room alone.
            self.window::<SHORT_FIELD>();
            return self.blob_field(key, value);
        }
        self.key(key);
        self.varint(value.len() as u64);
        self.payload(value);
    }

    /// Bytes without a length.
    #[inline(never)]
    pub(crate) fn payload(&mut self, value: &Blob) {
        self.finish();
        match value.parts() {
            Ok(_) => self.sink.buf().extend_from_slice(value),
            Err(bytes) => self.sink.put_payload(bytes),
        }
        self.pos = self.sink.buf().len();
    }
}

/// How many bytes a varint takes.
#[inline]
pub(crate) fn varint_len(value: u64) -> usize {
    if value < 0x80 {
        return 1;
    }
    // Seven bits a byte: ceil(bits / 7) without a division.
    ((64 - value.leading_zeros() as usize) * 9 + 64) / 64
}

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
pub(super) const VARINT: usize = 10;
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
        if value < 0x4000 {
            // Two bytes: nearly always the length of something.
            *self.window() = [value as u8 | 0x80, (value >> 7) as u8];
            self.pos += 2;
            return;
        }
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

    /// What stands before a message or a long value: its key and its length.
    #[inline]
    pub(crate) fn head(&mut self, key: Key, len: usize) {
        if key.raw() < 0x80 && len < 0x80 {
            *self.window() = [key.raw() as u8, len as u8];
            self.pos += 2;
        } else {
            self.long_head(key, len);
        }
    }

    #[inline(never)]
    fn long_head(&mut self, key: Key, len: usize) {
        self.key(key);
        self.varint(len as u64);
    }

    /// What stands before a message whose length takes one byte and is not known yet. What is returned is for [`end_short`](Self::end_short).
    #[inline]
    pub(crate) fn begin_short(&mut self, key: Key) -> usize {
        self.head(key, 0);
        self.pos
    }

    /// Puts the length of the message that was begun at `start`, of which nothing is a payload, before it.
    #[inline]
    pub(crate) fn end_short(&mut self, start: usize) {
        let len = self.pos - start;
        debug_assert!(len < 0x80, "{len} bytes are not short");
        if let Some(place) = self.sink.buf().get_mut(start - 1) {
            *place = len as u8;
        }
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
        self.head(key, value.len());
        let end = self.pos + value.len();
        // A block is shorter than any payload that a sink would rather not copy.
        match self.sink.buf().get_mut(self.pos..end) {
            Some(window) => {
                window.copy_from_slice(value);
                self.pos = end;
            }
            None => self.payload(value),
        }
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

//! What a stream machine writes into.

use alloc::collections::VecDeque;
use core::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Payloads at least this long are queued as they are; shorter ones are copied behind the head that precedes them. A
/// copy of this size costs about as much as one more slice in a vectored write.
const CHAIN_THRESHOLD: usize = 1024;

/// How many bytes a driver lets gather before it writes, unless it says otherwise.
const DEFAULT_ROOM: usize = 64 * 1024;

/// Output on its way to a transport: one scratch buffer for heads and short payloads, and a queue of [`Bytes`] for long
/// ones, in order.
///
/// A machine appends, a driver takes from the front: as slices for vectored writes ([`chunks`](Self::chunks) and
/// [`Buf::advance`]), or as owned segments for completion I/O ([`take_segment`](Self::take_segment)). In steady state, with
/// short payloads, it allocates nothing.
///
/// ```
/// use bytes::{Buf, Bytes};
/// use glowplug_core::SendBuf;
///
/// let mut out = SendBuf::new();
/// out.put_slice(b"$2000\r\n");
/// out.push(Bytes::from(vec![b'x'; 2000])); // queued, not copied
/// out.put_slice(b"\r\n");
/// assert_eq!(out.remaining(), 2009);
/// assert_eq!(out.chunk(), b"$2000\r\n");
/// ```
pub struct SendBuf {
    /// Every copied byte, in order. The pieces in `queue` say where the long payloads lie between them.
    scratch: BytesMut,
    /// Long payloads, each behind the given number of scratch bytes (counted from the previous piece).
    queue: VecDeque<Piece>,
    /// Scratch bytes that come before the last piece in `queue`: the sum of all `before`.
    scratch_before_queue_end: usize,
    /// Bytes in `queue`.
    queued: usize,
    room: usize,
}

struct Piece {
    before: usize,
    payload: Bytes,
}

impl SendBuf {
    /// An empty buffer with the default room of 64 KiB.
    pub fn new() -> Self {
        Self::with_room(DEFAULT_ROOM)
    }

    /// An empty buffer that has no more room once it holds `room` bytes (at least 1).
    pub fn with_room(room: usize) -> Self {
        Self {
            scratch: BytesMut::new(),
            queue: VecDeque::new(),
            scratch_before_queue_end: 0,
            queued: 0,
            room: room.max(1),
        }
    }

    /// Bytes waiting to be written.
    pub fn len(&self) -> usize {
        self.scratch.len() + self.queued
    }

    /// True when everything was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True while a machine should go on appending. The limit is soft: a frame that was begun is finished.
    pub fn has_room(&self) -> bool {
        self.len() < self.room
    }

    /// How many bytes fit before [`has_room`](Self::has_room) turns false.
    pub fn room(&self) -> usize {
        self.room.saturating_sub(self.len())
    }

    /// Changes the soft limit (at least 1).
    pub fn set_room(&mut self, room: usize) {
        self.room = room.max(1);
    }

    /// Appends a copy of `bytes`.
    #[inline]
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.scratch.extend_from_slice(bytes);
    }

    /// Appends `payload`: short ones are copied, long ones are queued without a copy.
    pub fn push(&mut self, payload: Bytes) {
        if payload.len() < CHAIN_THRESHOLD {
            self.scratch.extend_from_slice(&payload);
            return;
        }
        let before = self.scratch.len() - self.scratch_before_queue_end;
        self.scratch_before_queue_end += before;
        self.queued += payload.len();
        self.queue.push_back(Piece { before, payload });
    }

    /// The scratch buffer, for encoders that append in place. Only append: what is already there is output.
    #[inline]
    pub fn scratch(&mut self) -> &mut BytesMut {
        &mut self.scratch
    }

    /// Drops everything: for output that can never be written any more.
    pub fn clear(&mut self) {
        self.scratch.clear();
        self.queue.clear();
        self.scratch_before_queue_end = 0;
        self.queued = 0;
    }

    /// Moves everything in `other` behind what is here. Into an empty buffer this is a swap: no byte is copied.
    pub fn append(&mut self, other: &mut Self) {
        if self.is_empty() {
            core::mem::swap(&mut self.scratch, &mut other.scratch);
            core::mem::swap(&mut self.queue, &mut other.queue);
            core::mem::swap(&mut self.scratch_before_queue_end, &mut other.scratch_before_queue_end);
            core::mem::swap(&mut self.queued, &mut other.queued);
            return;
        }
        for piece in other.queue.drain(..) {
            self.scratch.extend_from_slice(&other.scratch.split_to(piece.before));
            self.push(piece.payload);
        }
        self.scratch.extend_from_slice(&other.scratch);
        other.scratch.clear();
        other.queued = 0;
        other.scratch_before_queue_end = 0;
    }

    /// Takes the first contiguous run of bytes as an owned value, for I/O that needs to own what it writes.
    ///
    /// What the system did not write is put back with [`untake_segment`](Self::untake_segment).
    pub fn take_segment(&mut self) -> Option<OwnedSegment> {
        match self.queue.front() {
            Some(piece) if piece.before == 0 => {
                let piece = self.queue.pop_front()?;
                self.queued -= piece.payload.len();
                Some(OwnedSegment(piece.payload))
            }
            Some(_) | None if self.scratch.is_empty() => None,
            front => {
                let len = front.map_or(self.scratch.len(), |piece| piece.before);
                if let Some(piece) = self.queue.front_mut() {
                    self.scratch_before_queue_end -= piece.before;
                    piece.before = 0;
                }
                Some(OwnedSegment(self.scratch.split_to(len).freeze()))
            }
        }
    }

    /// Puts the unwritten rest of a segment back in front.
    pub fn untake_segment(&mut self, rest: Bytes) {
        if rest.is_empty() {
            return;
        }
        self.queued += rest.len();
        self.queue.push_front(Piece { before: 0, payload: rest });
    }

    /// Gives the memory of an empty buffer back: what a driver does before a long wait, so that an idle connection
    /// holds no buffer. Does nothing while output waits.
    pub fn release_memory(&mut self) {
        if self.is_empty() {
            self.scratch = BytesMut::new();
            self.queue = VecDeque::new();
        }
    }

    /// Everything, as one contiguous value: for tests and for sinks that want a single slice.
    pub fn take_all(&mut self) -> Bytes {
        let len = self.len();
        self.copy_to_bytes(len)
    }
}

/// A run of output taken out of a [`SendBuf`] to be owned by the system while it writes.
#[derive(Debug)]
#[must_use = "a segment that is dropped is lost output"]
pub struct OwnedSegment(Bytes);

impl OwnedSegment {
    /// The bytes themselves.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl AsRef<[u8]> for OwnedSegment {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Buf for SendBuf {
    #[inline]
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        match self.queue.front() {
            Some(piece) if piece.before == 0 => &piece.payload,
            Some(piece) => &self.scratch[..piece.before],
            None => &self.scratch,
        }
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.len(), "advanced past the end: {count} of {}", self.len());
        while let Some(piece) = self.queue.front_mut() {
            let of_scratch = count.min(piece.before);
            self.scratch.advance(of_scratch);
            piece.before -= of_scratch;
            self.scratch_before_queue_end -= of_scratch;
            count -= of_scratch;
            if count == 0 {
                return;
            }
            let of_payload = count.min(piece.payload.len());
            piece.payload.advance(of_payload);
            self.queued -= of_payload;
            count -= of_payload;
            if !piece.payload.is_empty() {
                return;
            }
            self.queue.pop_front();
        }
        if count == self.scratch.len() {
            // All of its room is there again, where what was skipped would have to be won back.
            self.scratch.clear();
        } else {
            self.scratch.advance(count);
        }
    }

    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        assert!(len <= self.len(), "took past the end: {len} of {}", self.len());
        match self.queue.front_mut() {
            None => self.scratch.split_to(len).freeze(),
            Some(piece) if piece.before == 0 && piece.payload.len() > len => {
                self.queued -= len;
                piece.payload.split_to(len)
            }
            Some(_) => {
                let mut all = BytesMut::with_capacity(len);
                all.put(self.take(len));
                all.freeze()
            }
        }
    }
}

impl SendBuf {
    /// The chunks in order, front first: what a vectored write wants. (`Buf::chunks_vectored` needs std's `IoSlice`,
    /// which this crate has not got.)
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let mut offset = 0;
        let tail = &self.scratch[self.scratch_before_queue_end..];
        self.queue
            .iter()
            .flat_map(move |piece| {
                let head = &self.scratch[offset..offset + piece.before];
                offset += piece.before;
                [head, &piece.payload[..]]
            })
            .chain(core::iter::once(tail))
            .filter(|chunk| !chunk.is_empty())
    }
}

impl Default for SendBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SendBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBuf")
            .field("len", &self.len())
            .field("room", &self.room())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use std::vec;
    use std::vec::Vec;

    /// Random appends and takes, by every door, against a plain vector.
    #[test]
    fn behaves_as_one_long_vector_whatever_is_mixed() {
        for seed in 0..200 {
            let mut rng = Seed::from_u64(seed).rng();
            let (mut out, mut model, mut next) = (SendBuf::new(), Vec::new(), 0u8);
            for _ in 0..60 {
                let len = if rng.chance(1, 3) { rng.below(4000) } else { rng.below(40) } as usize;
                let fresh: Vec<u8> = (0..len)
                    .map(|_| {
                        next = next.wrapping_add(1);
                        next
                    })
                    .collect();
                let take = rng.below(out.len() as u64 + 1) as usize;
                match rng.below(7) {
                    0 => {
                        out.put_slice(&fresh);
                        model.extend(&fresh);
                    }
                    1 => {
                        out.push(Bytes::from(fresh.clone()));
                        model.extend(&fresh);
                    }
                    2 => {
                        out.scratch().extend_from_slice(&fresh);
                        model.extend(&fresh);
                    }
                    6 => {
                        let mut other = SendBuf::new();
                        other.put_slice(&fresh);
                        other.push(Bytes::from(fresh.clone()));
                        other.put_slice(&fresh);
                        out.append(&mut other);
                        assert!(other.is_empty());
                        model.extend(fresh.repeat(3));
                    }
                    3 => {
                        out.advance(take);
                        model.drain(..take);
                    }
                    4 => {
                        let taken = out.copy_to_bytes(take);
                        assert_eq!(taken, model.drain(..take).collect::<Vec<_>>());
                    }
                    _ => {
                        if let Some(segment) = out.take_segment() {
                            let mut bytes = segment.into_bytes();
                            let written = bytes.split_to(rng.below(bytes.len() as u64 + 1) as usize);
                            assert_eq!(written, model.drain(..written.len()).collect::<Vec<_>>());
                            out.untake_segment(bytes);
                        }
                    }
                }
                let chunks: Vec<u8> = out.chunks().flatten().copied().collect();
                assert_eq!(chunks, model, "seed {seed}");
                assert_eq!((out.len(), out.is_empty()), (model.len(), model.is_empty()));
                assert!(model.is_empty() || !out.chunk().is_empty());
            }
            assert_eq!(out.take_all(), model);
        }
    }

    #[test]
    fn room_is_a_soft_limit() {
        let mut out = SendBuf::with_room(10);
        assert_eq!((out.has_room(), out.room()), (true, 10));
        out.put_slice(&[0; 12]);
        assert_eq!((out.has_room(), out.room()), (false, 0));
        out.advance(3);
        assert_eq!((out.has_room(), out.room()), (true, 1));
    }

    #[test]
    fn long_payloads_are_not_copied() {
        let payload = Bytes::from(vec![1; 5000]);
        let mut out = SendBuf::new();
        out.put_slice(b"head");
        out.push(payload.clone());
        out.advance(4);
        assert_eq!(out.chunk().as_ptr(), payload.as_ptr());
    }
}

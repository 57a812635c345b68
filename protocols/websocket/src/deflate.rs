//! permessage-deflate (RFC 7692 §7.2): one compressor and one decompressor a connection, made when they are first needed.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::handshake::DeflateParams;

/// What a sender leaves off the end of each message (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The compressor's output grows by so much at a time.
const GROW: usize = 4096;

/// How much a first piece of inflated data may be.
pub(crate) const STEP: usize = 16 * 1024;

/// What one end of a connection compresses and decompresses with.
pub(crate) struct Deflate {
    compress: Option<Compress>,
    decompress: Option<Decompress>,
    level: u32,
    threshold: usize,
    send: Window,
    recv: Window,
}

/// One direction's parameters.
#[derive(Clone, Copy, Debug)]
struct Window {
    bits: u8,
    forgets: bool,
}

/// Compressed data that cannot be decompressed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Invalid;

impl Deflate {
    pub(crate) fn new(params: &DeflateParams, is_client: bool) -> Self {
        let client =
            Window { bits: params.client_max_window_bits, forgets: params.client_no_context_takeover };
        let server =
            Window { bits: params.server_max_window_bits, forgets: params.server_no_context_takeover };
        let (send, recv) = if is_client { (client, server) } else { (server, client) };
        Self {
            compress: None,
            decompress: None,
            level: params.level,
            threshold: params.threshold,
            send,
            recv,
        }
    }

    /// Whether a message that begins with so many bytes is to be compressed. zlib's compressor has no window of 256 bytes: who asked
    /// for that gets messages as they are, which is always allowed.
    pub(crate) fn wants(&self, len: usize) -> bool {
        len >= self.threshold && self.send.bits > 8
    }

    /// Compresses a piece of a message. What comes out is complete as far as it goes; the last piece lacks the tail.
    pub(crate) fn compress(&mut self, data: &[u8], last: bool) -> Bytes {
        let send = self.send;
        let level = Compression::new(self.level);
        let compress =
            self.compress.get_or_insert_with(|| Compress::new_with_window_bits(level, false, send.bits));
        let mut out = Vec::with_capacity(data.len() / 2 + 64);
        let begin = compress.total_in();
        loop {
            let done = (compress.total_in() - begin) as usize;
            if out.capacity() - out.len() < 64 {
                out.reserve(GROW.max(out.len()));
            }
            // The compressor knows no error here: its state is sound, and a full output is told by what is left of it.
            let _ = compress.compress_vec(&data[done..], &mut out, FlushCompress::Sync);
            let done = (compress.total_in() - begin) as usize;
            if done == data.len() && out.len() < out.capacity() {
                break;
            }
        }
        if last {
            match out.strip_suffix(&TAIL) {
                Some(rest) => out.truncate(rest.len()),
                // Nothing came out, for nothing went in: an empty block without its tail is one byte (RFC 7692 §7.2.3.6).
                None => out.push(0),
            }
            if send.forgets {
                compress.reset();
            }
        }
        Bytes::from(out)
    }

    /// Decompresses from the front of `input` into `out`, which grows to `limit` bytes at most. Says how much of `input` was taken,
    /// and whether there may be more to come of it. What came before invalid data is in `out` all the same.
    pub(crate) fn decompress(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(usize, bool), Invalid> {
        let bits = self.recv.bits.max(9);
        let decompress = self.decompress.get_or_insert_with(|| Decompress::new_with_window_bits(false, bits));
        let (len, before) = (out.len(), decompress.total_in());
        if out.capacity() == len {
            // As vectors grow, but never beyond what may be kept.
            let more = len.max(input.len().saturating_mul(3)).clamp(256, STEP.max(len));
            out.reserve_exact(more.min(limit.saturating_sub(len)).max(1));
        }
        let status = decompress.decompress_vec(input, out, FlushDecompress::Sync);
        let taken = (decompress.total_in() - before) as usize;
        let full = out.len() == out.capacity();
        match status {
            Ok(Status::StreamEnd) => {
                // A last block may come in the midst of it all (RFC 7692 §7.2.3.4); the next begins anew.
                decompress.reset(false);
                Ok((taken, taken < input.len()))
            }
            Ok(_) if taken == 0 && out.len() == len && !full && !input.is_empty() => Err(Invalid),
            Ok(_) => Ok((taken, taken < input.len() || full)),
            Err(_) => Err(Invalid),
        }
    }

    /// The end of a message: what its sender left off, to be decompressed last.
    pub(crate) const fn tail() -> &'static [u8] {
        &TAIL
    }

    /// A message is complete.
    pub(crate) fn end_of_message(&mut self) {
        if let Some(decompress) = self.decompress.as_mut().filter(|_| self.recv.forgets) {
            decompress.reset(false);
        }
    }
}

impl fmt::Debug for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflate").field("send", &self.send).field("recv", &self.recv).finish_non_exhaustive()
    }
}

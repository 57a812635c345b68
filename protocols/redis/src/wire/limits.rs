//! How much a peer may make a decoder hold.

use glowplug_core::limits::Range;

const BULK_LEN: Range<usize> = Range::new(64, 512 << 20, (1 << 31) - 1);
const REPLY_LEN: Range<usize> = Range::new(1024, (512 << 20) + (64 << 10), (1 << 32) - (1 << 16));
const ELEMENTS: Range<usize> = Range::new(16, 1 << 24, 1 << 28);
const DEPTH: Range<usize> = Range::new(1, 64, 1024);
const LINE_LEN: Range<usize> = Range::new(64, 64 << 10, 16 << 20);

/// How much one frame may hold. Every limit is checked before memory is reserved for what it bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "a limit is spoken of by its whole name")]
pub struct Limits {
    pub(crate) max_bulk_len: usize,
    pub(crate) max_reply_len: usize,
    pub(crate) max_elements: usize,
    pub(crate) max_depth: usize,
    pub(crate) max_line_len: usize,
}

impl Limits {
    /// The longest bulk string, in bytes. Default 512 MiB, a server's own default; 64 bytes to 2 GiB.
    pub fn max_bulk_len(mut self, bytes: usize) -> Self {
        self.max_bulk_len = BULK_LEN.clamp(bytes);
        self
    }

    /// The longest frame, in bytes on the wire. Default 512 MiB and 64 KiB; 1 KiB to almost 4 GiB.
    pub fn max_reply_len(mut self, bytes: usize) -> Self {
        self.max_reply_len = REPLY_LEN.clamp(bytes);
        self
    }

    /// How many elements one frame may have, all levels together; a map's keys and values count each. Default
    /// 16,777,216; 16 to 268,435,456. An element costs 12 bytes beside its text.
    pub fn max_elements(mut self, count: usize) -> Self {
        self.max_elements = ELEMENTS.clamp(count);
        self
    }

    /// How deep aggregates may nest. Default 64; 1 to 1024.
    pub fn max_depth(mut self, depth: usize) -> Self {
        self.max_depth = DEPTH.clamp(depth);
        self
    }

    /// The longest line: simple strings, errors, doubles, big numbers, inline commands. Default 64 KiB; 64 bytes to
    /// 16 MiB.
    pub fn max_line_len(mut self, bytes: usize) -> Self {
        self.max_line_len = LINE_LEN.clamp(bytes);
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bulk_len: BULK_LEN.default(),
            max_reply_len: REPLY_LEN.default(),
            max_elements: ELEMENTS.default(),
            max_depth: DEPTH.default(),
            max_line_len: LINE_LEN.default(),
        }
    }
}

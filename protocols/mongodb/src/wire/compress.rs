//! OP_COMPRESSED: another message, compressed.

#[cfg(any(feature = "zlib", feature = "zstd"))]
use std::io::Read;

use bytes::{BufMut, Bytes, BytesMut};

use super::read::Fields;
use super::{Frame, HEADER_LEN, Header, OpCode};
use crate::error::{DecodeError, Reason};

/// The decoder reserves its whole window at the first byte. RFC 8878 §3.1.1.1.2 recommends that decoders take 8 MiB and
/// encoders ask for no more; a frame of one segment has a window of
/// the announced size, which was checked.
#[cfg(feature = "zstd")]
const MAX_ZSTD_WINDOW: u64 = 8 << 20;

/// How the body of a message is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compressor {
    /// Not at all; for tests.
    Noop,
    /// Snappy, in its raw block format.
    Snappy,
    /// Zlib (RFC 1950).
    Zlib,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Compressor {
    /// The compressors that this build has, in the order in which a client offers them.
    pub const AVAILABLE: &'static [Self] = &[
        #[cfg(feature = "zstd")]
        Self::Zstd,
        #[cfg(feature = "snappy")]
        Self::Snappy,
        #[cfg(feature = "zlib")]
        Self::Zlib,
    ];

    /// The number on the wire.
    pub const fn id(self) -> u8 {
        match self {
            Self::Noop => 0,
            Self::Snappy => 1,
            Self::Zlib => 2,
            Self::Zstd => 3,
        }
    }

    /// The compressor with this number.
    pub const fn from_id(id: u8) -> Option<Self> {
        Some(match id {
            0 => Self::Noop,
            1 => Self::Snappy,
            2 => Self::Zlib,
            3 => Self::Zstd,
            _ => return None,
        })
    }

    /// The name in `hello` and in connection strings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::Snappy => "snappy",
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
        }
    }

    /// The compressor of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Noop, Self::Snappy, Self::Zlib, Self::Zstd]
            .into_iter()
            .find(|compressor| compressor.name() == name)
    }

    /// True when this build can use it.
    pub fn is_available(self) -> bool {
        self == Self::Noop || Self::AVAILABLE.contains(&self)
    }

    /// Compresses `body`. `level` is zlib's (0 to 9, -1 for its default) and means nothing to the others.
    ///
    /// `None` when this build has it not.
    pub fn compress(self, body: &[u8], level: i32) -> Option<Vec<u8>> {
        let _ = level;
        match self {
            Self::Noop => Some(body.to_vec()),
            #[cfg(feature = "snappy")]
            Self::Snappy => snap::raw::Encoder::new().compress_vec(body).ok(),
            #[cfg(feature = "zlib")]
            Self::Zlib => {
                let level = match u32::try_from(level) {
                    Ok(level) => flate2::Compression::new(level.min(9)),
                    Err(_) => flate2::Compression::default(),
                };
                let mut out = Vec::with_capacity(body.len() / 2 + 64);
                flate2::read::ZlibEncoder::new(body, level).read_to_end(&mut out).ok()?;
                Some(out)
            }
            #[cfg(feature = "zstd")]
            Self::Zstd => {
                Some(ruzstd::encoding::compress_to_vec(body, ruzstd::encoding::CompressionLevel::Fastest))
            }
            #[allow(unreachable_patterns, reason = "which are left depends on the features")]
            _ => None,
        }
    }

    /// Appends exactly `size` decompressed bytes to `out`; anything else is an error, and no more is ever held.
    fn decompress(self, data: &[u8], size: usize, out: &mut Vec<u8>) -> Option<()> {
        let start = out.len();
        match self {
            Self::Noop => out.extend_from_slice(data),
            #[cfg(feature = "snappy")]
            Self::Snappy => {
                // The block says its size; memory follows only when it agrees, and when so few bytes can mean so many (a
                // copy of three bytes yields at most 64).
                if snap::raw::decompress_len(data).ok()? != size || size / 24 > data.len() {
                    return None;
                }
                out.resize(start + size, 0);
                snap::raw::Decoder::new().decompress(data, &mut out[start..]).ok()?;
            }
            #[cfg(feature = "zlib")]
            Self::Zlib => read_exactly(flate2::read::ZlibDecoder::new(data), size, out)?,
            #[cfg(feature = "zstd")]
            Self::Zstd => {
                let mut decoder = ruzstd::decoding::FrameDecoder::new();
                decoder.set_max_window_size(MAX_ZSTD_WINDOW.max(size as u64));
                let decoder = ruzstd::decoding::StreamingDecoder::new_with_decoder(data, decoder).ok()?;
                read_exactly(decoder, size, out)?;
            }
            #[allow(unreachable_patterns, reason = "which are left depends on the features")]
            _ => return None,
        }
        (out.len() - start == size).then_some(())
    }
}

/// Reads up to one byte more than `size`, so that a bomb is stopped where it exceeds what it announced. Memory grows with
/// what really comes.
#[cfg(any(feature = "zlib", feature = "zstd"))]
fn read_exactly(reader: impl Read, size: usize, out: &mut Vec<u8>) -> Option<()> {
    let read = reader.take(size as u64 + 1).read_to_end(out).ok()?;
    (read == size).then_some(())
}

/// A message whose body is compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpCompressed {
    /// What the message is when it is decompressed.
    pub original: OpCode,
    /// How long its body is then, without the header.
    pub uncompressed_size: i32,
    /// The compressor's number: see [`Compressor::from_id`].
    pub compressor_id: u8,
    /// The compressed body.
    pub data: Bytes,
}

impl OpCompressed {
    pub(super) fn decode(frame: &Frame) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(frame);
        let original = OpCode(fields.i32()?);
        let uncompressed_size = fields.i32()?;
        let compressor_id = fields.u8()?;
        Ok(Self { original, uncompressed_size, compressor_id, data: frame.bytes().slice(fields.at..) })
    }

    pub(super) fn encode_body(&self, out: &mut BytesMut) {
        out.put_i32_le(self.original.0);
        out.put_i32_le(self.uncompressed_size);
        out.put_u8(self.compressor_id);
        out.put_slice(&self.data);
    }

    /// Which compressor it is, if it is a known one.
    pub fn compressor(&self) -> Option<Compressor> {
        Compressor::from_id(self.compressor_id)
    }

    /// The message inside, with the ids of `header`. It may have at most `max_message_len` bytes, header included; a body
    /// that decompresses to another size than announced is refused as soon as that shows.
    pub fn decompress(&self, header: Header, max_message_len: usize) -> Result<Frame, DecodeError> {
        const SIZE_AT: usize = HEADER_LEN + 4;
        const COMPRESSOR_AT: usize = HEADER_LEN + 8;
        const DATA_AT: usize = HEADER_LEN + 9;
        if self.original == OpCode::COMPRESSED {
            return Err(DecodeError::new(HEADER_LEN, Reason::NestedCompression));
        }
        let size = usize::try_from(self.uncompressed_size)
            .map_err(|_| DecodeError::new(SIZE_AT, Reason::BadLength))?;
        let len = size + HEADER_LEN;
        if len > max_message_len || i32::try_from(len).is_err() {
            return Err(DecodeError::new(SIZE_AT, Reason::TooLong));
        }
        let unknown = DecodeError::new(COMPRESSOR_AT, Reason::UnknownCompressor(self.compressor_id));
        let compressor = self.compressor().filter(|compressor| compressor.is_available()).ok_or(unknown)?;
        // Reserve a little at first: the announced size is only a claim.
        let mut bytes = BytesMut::with_capacity(HEADER_LEN);
        Header { message_length: len as i32, op_code: self.original, ..header }.encode(&mut bytes);
        let mut bytes = Vec::from(bytes);
        bytes.reserve(size.min(self.data.len().saturating_mul(4)));
        compressor
            .decompress(&self.data, size, &mut bytes)
            .ok_or(DecodeError::new(DATA_AT, Reason::BadCompression))?;
        Frame::new(bytes.into())
    }
}

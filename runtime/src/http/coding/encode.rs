//! Compressors that take bytes and give bytes, piece by piece.

use std::fmt;
use std::io::{self, Write};

use brotli::enc::BrotliEncoderParams;
use bytes::buf::Writer;
use bytes::{BufMut, Bytes, BytesMut};
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::http::accept::Coding;

/// How much work goes into making content smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Level {
    /// As little as the coding has.
    Fastest,
    /// What pays for content that is made for each request: 6 for gzip and deflate, 4 for Brotli, 3 for Zstandard.
    #[default]
    Balanced,
    /// What is still reasonable while somebody waits: 9 for gzip, deflate and Brotli, 12 for Zstandard.
    Smallest,
    /// A level of the coding's own: 0 to 9 for gzip and deflate, 0 to 11 for Brotli, 1 to 19 for Zstandard. What lies outside
    /// is brought inside.
    Exactly(u8),
}

/// Brotli's and Zstandard's windows, as powers of two: what a stream remembers, and most of the memory that it takes. Well below the
/// 8 MiB that a decoder must allow (RFC 9659).
const BROTLI_WINDOW: i32 = 18;
const ZSTD_WINDOW: u32 = 19;

/// What Brotli collects before it works.
const BROTLI_BUFFER: usize = 4096;

type Sink = Writer<BytesMut>;

/// One stream being compressed. Pure: bytes in by [`write`](Self::write), bytes out by [`take`](Self::take).
///
/// ```
/// use glowplug_runtime::http::accept::Coding;
/// use glowplug_runtime::http::coding::encode::{Encoder, Level};
/// let mut encoder = Encoder::new(Coding::Gzip, Level::Balanced)?;
/// encoder.write(b"hello")?;
/// let whole = encoder.finish()?;
/// assert_eq!(&whole[..2], b"\x1f\x8b");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Encoder(Kind);

enum Kind {
    Brotli(Box<brotli::CompressorWriter<Sink>>),
    Deflate(ZlibEncoder<Sink>),
    Gzip(GzEncoder<Sink>),
    Zstd(zstd::stream::write::Encoder<'static, Sink>),
}

impl Encoder {
    /// A stream of this coding. Fails when its library has no memory for it.
    pub fn new(coding: Coding, level: Level) -> io::Result<Self> {
        let sink = BytesMut::new().writer();
        let pick = |fastest, balanced, smallest, least: u8, most: u8| match level {
            Level::Fastest => fastest,
            Level::Balanced => balanced,
            Level::Smallest => smallest,
            Level::Exactly(level) => u32::from(level.clamp(least, most)),
        };
        Ok(Self(match coding {
            Coding::Brotli => {
                let params = BrotliEncoderParams {
                    quality: pick(1, 4, 9, 0, 11) as i32,
                    lgwin: BROTLI_WINDOW,
                    ..BrotliEncoderParams::default()
                };
                Kind::Brotli(Box::new(brotli::CompressorWriter::with_params(sink, BROTLI_BUFFER, &params)))
            }
            Coding::Deflate => {
                Kind::Deflate(ZlibEncoder::new(sink, flate2::Compression::new(pick(1, 6, 9, 0, 9))))
            }
            Coding::Gzip => Kind::Gzip(GzEncoder::new(sink, flate2::Compression::new(pick(1, 6, 9, 0, 9)))),
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(sink, pick(1, 3, 12, 1, 19) as i32)?;
                encoder.window_log(ZSTD_WINDOW)?;
                Kind::Zstd(encoder)
            }
        }))
    }

    /// Takes all of `data`. What comes of it may be kept for later.
    pub fn write(&mut self, data: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Kind::Brotli(encoder) => encoder.write_all(data),
            Kind::Deflate(encoder) => encoder.write_all(data),
            Kind::Gzip(encoder) => encoder.write_all(data),
            Kind::Zstd(encoder) => encoder.write_all(data),
        }
    }

    /// Makes a reader of what has come out so far see all that has gone in. It costs some of the compression.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::Brotli(encoder) => encoder.flush(),
            Kind::Deflate(encoder) => encoder.flush(),
            Kind::Gzip(encoder) => encoder.flush(),
            Kind::Zstd(encoder) => encoder.flush(),
        }
    }

    /// How many bytes wait to be taken.
    pub fn ready(&self) -> usize {
        match &self.0 {
            Kind::Brotli(encoder) => encoder.get_ref(),
            Kind::Deflate(encoder) => encoder.get_ref(),
            Kind::Gzip(encoder) => encoder.get_ref(),
            Kind::Zstd(encoder) => encoder.get_ref(),
        }
        .get_ref()
        .len()
    }

    /// What has come out.
    pub fn take(&mut self) -> Bytes {
        match &mut self.0 {
            Kind::Brotli(encoder) => encoder.get_mut(),
            Kind::Deflate(encoder) => encoder.get_mut(),
            Kind::Gzip(encoder) => encoder.get_mut(),
            Kind::Zstd(encoder) => encoder.get_mut(),
        }
        .get_mut()
        .split()
        .freeze()
    }

    /// Ends the stream: the rest of what comes out.
    pub fn finish(self) -> io::Result<Bytes> {
        let sink = match self.0 {
            Kind::Brotli(encoder) => encoder.into_inner(),
            Kind::Deflate(encoder) => encoder.finish()?,
            Kind::Gzip(encoder) => encoder.finish()?,
            Kind::Zstd(encoder) => encoder.finish()?,
        };
        Ok(sink.into_inner().freeze())
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let coding = match &self.0 {
            Kind::Brotli(_) => Coding::Brotli,
            Kind::Deflate(_) => Coding::Deflate,
            Kind::Gzip(_) => Coding::Gzip,
            Kind::Zstd(_) => Coding::Zstd,
        };
        f.debug_struct("Encoder").field("coding", &coding).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn decode(coding: Coding, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        match coding {
            Coding::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out),
            Coding::Deflate => flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut out),
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
            Coding::Zstd => zstd::stream::read::Decoder::new(bytes)?.read_to_end(&mut out),
        }?;
        Ok(out)
    }

    /// What a reader sees of a stream that has not ended.
    fn decode_open(coding: Coding, bytes: &[u8], len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        match coding {
            Coding::Brotli => brotli::Decompressor::new(bytes, 4096).read_exact(&mut out),
            Coding::Deflate => flate2::read::ZlibDecoder::new(bytes).read_exact(&mut out),
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_exact(&mut out),
            Coding::Zstd => zstd::stream::read::Decoder::new(bytes).expect("a decoder").read_exact(&mut out),
        }
        .expect("all of it is there");
        out
    }

    #[test]
    fn every_coding_at_every_level_gives_back_what_went_in() {
        let text: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(n) / 7) as u8 & 0x3f).collect();
        for coding in Coding::ALL {
            for level in [
                Level::Fastest,
                Level::Balanced,
                Level::Smallest,
                Level::Exactly(0),
                Level::Exactly(3),
                Level::Exactly(255),
            ] {
                let mut encoder = Encoder::new(coding, level).expect("an encoder");
                let mut out = Vec::new();
                for piece in text.chunks(7777) {
                    encoder.write(piece).expect("written");
                    out.extend_from_slice(&encoder.take());
                }
                out.extend_from_slice(&encoder.finish().expect("finished"));
                assert!(decode(coding, &out).expect("decoded") == text, "{coding:?} {level:?}");
                assert!(level == Level::Exactly(0) || out.len() < text.len(), "{coding:?} {level:?}");
            }
        }
    }

    #[test]
    fn after_a_flush_everything_is_there() {
        for coding in Coding::ALL {
            let mut encoder = Encoder::new(coding, Level::Balanced).expect("an encoder");
            let (mut out, mut seen) = (Vec::new(), Vec::new());
            for word in ["one", "two", "three"] {
                encoder.write(word.as_bytes()).expect("written");
                encoder.flush().expect("flushed");
                assert!(encoder.ready() > 0);
                out.extend_from_slice(&encoder.take());
                seen.extend_from_slice(word.as_bytes());
                assert_eq!(decode_open(coding, &out, seen.len()), seen, "{coding:?}");
            }
        }
    }
}

//! The decoders themselves, each made to give at most one piece a step.

mod gzip;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::{Buf, Bytes};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::DParameter;

use super::Coding;
use gzip::Gzip;

/// How long a piece gets.
const PIECE: usize = 32 * 1024;

/// RFC 9659: no more than 8 MiB, which is what decoders of the web have to manage.
const ZSTD_WINDOW_LOG: u32 = 23;

/// One coding being undone.
pub(super) enum Coder {
    Gzip(Gzip),
    Deflate(Deflate),
    Brotli(Brotli),
    Zstd(Zstd),
}

/// What a step came to.
pub(super) enum Step {
    /// Some content, at least a byte.
    Gave(Bytes),
    /// It takes more input to go on.
    Hungry,
}

impl Coder {
    /// Fails where the library behind it has no memory left.
    pub(super) fn new(coding: Coding) -> Result<Self, ()> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(Gzip::new()),
            Coding::Deflate => Self::Deflate(Deflate::First(None)),
            Coding::Brotli => Self::Brotli(Brotli::new()),
            Coding::Zstd => Self::Zstd(Zstd::new()?),
        })
    }

    /// Takes off `input` what it needs for one piece; an error is a body of another kind, or a damaged one.
    pub(super) fn step(&mut self, input: &mut Bytes) -> Result<Step, ()> {
        loop {
            let before = input.len();
            let piece = match self {
                Self::Gzip(gzip) => gzip.step(input)?,
                Self::Deflate(deflate) => deflate.step(input)?,
                Self::Brotli(brotli) => brotli.step(input)?,
                Self::Zstd(zstd) => zstd.step(input)?,
            };
            if !piece.is_empty() {
                return Ok(Step::Gave(piece.into()));
            }
            if input.is_empty() {
                return Ok(Step::Hungry);
            }
            if input.len() == before {
                // Neither in nor out: what comes here is behind the end.
                return Err(());
            }
        }
    }

    /// There may be more to come out without more going in.
    pub(super) fn holds_output(&self) -> bool {
        match self {
            Self::Gzip(gzip) => gzip.holds_output(),
            Self::Deflate(Deflate::Known(inflate)) => inflate.more,
            Self::Deflate(Deflate::First(_)) => false,
            Self::Brotli(brotli) => brotli.more,
            Self::Zstd(zstd) => zstd.more,
        }
    }

    /// The end may be here.
    pub(super) fn is_complete(&self) -> bool {
        match self {
            Self::Gzip(gzip) => gzip.is_complete(),
            Self::Deflate(Deflate::Known(inflate)) => inflate.ended,
            Self::Deflate(Deflate::First(_)) => false,
            Self::Brotli(brotli) => brotli.ended,
            Self::Zstd(zstd) => zstd.complete,
        }
    }
}

/// Room for what comes out of so much: short answers need no long pieces.
fn room(input: usize) -> usize {
    (input.saturating_mul(4)).clamp(1024, PIECE)
}

/// Deflate, bare or in zlib's frame.
pub(super) struct Inflate {
    inner: Decompress,
    more: bool,
    ended: bool,
}

impl Inflate {
    fn new(zlib: bool) -> Self {
        Self { inner: Decompress::new(zlib), more: false, ended: false }
    }

    fn step(&mut self, input: &mut Bytes) -> Result<Vec<u8>, ()> {
        if self.ended {
            return Ok(Vec::new());
        }
        let mut piece = Vec::with_capacity(room(input.len()));
        let before = self.inner.total_in();
        let status = self.inner.decompress_vec(input, &mut piece, FlushDecompress::None).map_err(|_| ())?;
        input.advance((self.inner.total_in() - before) as usize);
        self.ended = status == Status::StreamEnd;
        self.more = !self.ended && piece.len() == piece.capacity();
        Ok(piece)
    }
}

/// `deflate`, in one of its two formats: the first two bytes tell which.
pub(super) enum Deflate {
    First(Option<u8>),
    Known(Box<Inflate>),
}

impl Deflate {
    fn step(&mut self, input: &mut Bytes) -> Result<Vec<u8>, ()> {
        let first = match self {
            Self::Known(inflate) => return inflate.step(input),
            Self::First(Some(first)) => *first,
            Self::First(none) => {
                *none = Some(input.get_u8());
                return Ok(Vec::new());
            }
        };
        // RFC 1950 §2.2: method 8, a window of at most 32 KiB, and a check of both bytes together.
        let second = input[0];
        let checks = u16::from_be_bytes([first, second]).is_multiple_of(31);
        let mut inflate = Inflate::new(first & 0x0f == 8 && first >> 4 <= 7 && checks);
        // Nothing comes out of one byte alone.
        inflate.step(&mut Bytes::from(vec![first]))?;
        let piece = inflate.step(input)?;
        *self = Self::Known(Box::new(inflate));
        Ok(piece)
    }
}

pub(super) struct Brotli {
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    more: bool,
    ended: bool,
}

impl Brotli {
    fn new() -> Self {
        let alloc = StandardAlloc::default;
        Self {
            state: Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())),
            more: false,
            ended: false,
        }
    }

    fn step(&mut self, input: &mut Bytes) -> Result<Vec<u8>, ()> {
        if self.ended {
            return Ok(Vec::new());
        }
        let mut piece = vec![0; room(input.len())];
        let (mut available, mut consumed) = (input.len(), 0);
        let (mut left, mut written, mut total) = (piece.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut available,
            &mut consumed,
            input,
            &mut left,
            &mut written,
            &mut piece,
            &mut total,
            &mut self.state,
        );
        input.advance(consumed);
        piece.truncate(written);
        match result {
            BrotliResult::ResultFailure => return Err(()),
            BrotliResult::ResultSuccess => self.ended = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        self.more = matches!(result, BrotliResult::NeedsMoreOutput);
        Ok(piece)
    }
}

pub(super) struct Zstd {
    decoder: ZstdDecoder<'static>,
    more: bool,
    /// Between two frames.
    complete: bool,
}

impl Zstd {
    fn new() -> Result<Self, ()> {
        let mut decoder = ZstdDecoder::new().map_err(|_| ())?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).map_err(|_| ())?;
        Ok(Self { decoder, more: false, complete: false })
    }

    fn step(&mut self, input: &mut Bytes) -> Result<Vec<u8>, ()> {
        let mut piece = Vec::with_capacity(room(input.len()));
        let (consumed, wanted) = {
            let mut from = InBuffer::around(input);
            let mut to = OutBuffer::around(&mut piece);
            let wanted = self.decoder.run(&mut from, &mut to).map_err(|_| ())?;
            (from.pos(), wanted)
        };
        input.advance(consumed);
        self.complete = wanted == 0;
        self.more = !self.complete && piece.len() == piece.capacity();
        Ok(piece)
    }
}

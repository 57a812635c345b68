//! Undoing content codings as a body streams by, with bounds on what comes out.
//!
//! ```text
//!  body ──▶ last coding applied ──▶ ... ──▶ first coding applied ──▶ frames of the content
//!           each step gives at most 32 KiB, and what it has given so far is held against the limits
//! ```
//!
//! A body that expands without end costs its sender little and its receiver everything. So the decoder counts, behind every coding, and
//! stops at [`DecodeConfig::max_decoded_len`] or where the content is [`DecodeConfig::max_ratio`] times as long as what came over the wire.

mod coder;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, header};
use http_body::{Body, Frame, SizeHint};

use coder::{Coder, Step};

/// What to say in `Accept-Encoding`: everything that is understood here.
pub const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("gzip, deflate, br, zstd");

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Coding {
    /// `gzip` (RFC 1952), one member or several.
    Gzip,
    /// `deflate`: the zlib format (RFC 1950), as the standard has it, or bare deflate (RFC 1951), as some servers send it.
    Deflate,
    /// `br`: Brotli (RFC 7932), with windows of up to 16 MiB.
    Brotli,
    /// `zstd` (RFC 8878), with windows of up to 8 MiB (RFC 9659).
    Zstd,
}

impl Coding {
    /// The coding of this name, in any case; `None` if it is not known here.
    pub fn from_name(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        // RFC 9110 §8.4.1.3: `x-gzip` is the same.
        Some(if is("gzip") || is("x-gzip") {
            Self::Gzip
        } else if is("deflate") {
            Self::Deflate
        } else if is("br") {
            Self::Brotli
        } else if is("zstd") {
            Self::Zstd
        } else {
            return None;
        })
    }

    /// Its registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How much is decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeConfig {
    max_decoded_len: u64,
    max_ratio: u32,
    ratio_from: u64,
    max_codings: usize,
}

impl Default for DecodeConfig {
    fn default() -> Self {
        Self { max_decoded_len: 1 << 30, max_ratio: 250, ratio_from: 4 << 20, max_codings: 3 }
    }
}

impl DecodeConfig {
    /// Sets how many bytes a body may have once it is decoded, behind any of its codings. Default 1 GiB.
    pub fn max_decoded_len(mut self, bytes: u64) -> Self {
        self.max_decoded_len = bytes;
        self
    }

    /// Sets how many times as long as what came over the wire the content may be. Default 250: text comes to 3 to 20, and the most repetitive
    /// logs to about 100, while deflate can reach 1,030 and the others much more.
    pub fn max_ratio(mut self, ratio: u32) -> Self {
        self.max_ratio = ratio;
        self
    }

    /// Sets from how many decoded bytes on the ratio counts, since a short answer harms nobody. Default 4 MiB.
    pub fn ratio_from(mut self, bytes: u64) -> Self {
        self.ratio_from = bytes;
        self
    }

    /// Sets how many codings may lie one upon the other. Default 3.
    pub fn max_codings(mut self, codings: usize) -> Self {
        self.max_codings = codings;
        self
    }
}

/// Why content cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentError {
    /// These are not bytes of that coding.
    Corrupt(Coding),
    /// The body ended within that coding.
    Truncated(Coding),
    /// More came out than [`DecodeConfig::max_decoded_len`], which is this many bytes.
    TooLong(u64),
    /// The content is more than [`DecodeConfig::max_ratio`] times as long as what came, which is this number.
    Ratio(u32),
    /// More codings lie one upon the other than [`DecodeConfig::max_codings`], which is this number.
    Codings(usize),
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt(coding) => write!(f, "the content is not valid {coding}"),
            Self::Truncated(coding) => write!(f, "the content ends in the midst of {coding}"),
            Self::TooLong(limit) => {
                write!(f, "the decoded content is longer than max_decoded_len ({limit} bytes)")
            }
            Self::Ratio(limit) => write!(f, "the content expands by more than max_ratio ({limit})"),
            Self::Codings(limit) => write!(f, "more content codings than max_codings ({limit})"),
        }
    }
}

impl std::error::Error for ContentError {}

/// Why a decoded body gives no more.
#[derive(Debug)]
pub enum DecodedError<E> {
    /// The body itself failed.
    Body(E),
    /// What it gave cannot be decoded.
    Content(ContentError),
}

impl<E> fmt::Display for DecodedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Body(_) => "the body failed",
            Self::Content(_) => "the content cannot be decoded",
        })
    }
}

impl<E: std::error::Error + 'static> std::error::Error for DecodedError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Body(error) => Some(error),
            Self::Content(error) => Some(error),
        }
    }
}

/// The codings that `headers` say a body has, in the order in which they were applied. Empty if there is none, or one among them that is not
/// known here: then the content stays as it is.
pub fn codings(headers: &HeaderMap) -> Vec<Coding> {
    let names = headers.get_all(header::CONTENT_ENCODING).iter();
    let names = names.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    let mut found = Vec::new();
    for name in names {
        let Ok(name) = std::str::from_utf8(name.trim_ascii()) else { return Vec::new() };
        if name.is_empty() || name.eq_ignore_ascii_case("identity") {
            continue;
        }
        match Coding::from_name(name) {
            Some(coding) => found.push(coding),
            None => return Vec::new(),
        }
    }
    found
}

/// A body whose content codings are undone as it streams by.
///
/// ```
/// # use glowplug_runtime::http::Body;
/// # use glowplug_runtime::http::coding::decode::{Coding, DecodeConfig, Decoded};
/// let body = Decoded::new(Body::from("..."), &[Coding::Gzip], DecodeConfig::default())?;
/// # Ok::<(), glowplug_runtime::http::coding::decode::ContentError>(())
/// ```
///
/// A body of no bytes at all is taken for empty content, whatever its coding; trailers go through. Dropping it drops the body.
pub struct Decoded<B> {
    body: B,
    /// In the order in which they are undone.
    stages: Vec<Stage>,
    config: DecodeConfig,
    /// Bytes that came over the wire.
    received: u64,
    /// The body has told its end, perhaps with trailers for later.
    ended: bool,
    trailers: Option<HeaderMap>,
    /// Everything was handed out, or nothing more can be.
    done: bool,
}

struct Stage {
    coding: Coding,
    /// Made when the first byte comes, and gone again at the coding's end.
    state: State,
    input: Bytes,
    decoded: u64,
}

enum State {
    Untouched,
    Coder(Box<Coder>),
    Ended,
}

/// What a stage has to say.
enum Pulled {
    Piece(Bytes),
    /// The body has nothing yet.
    Pending,
    End,
}

impl<B> Decoded<B> {
    /// Undoes `codings`, which were applied to the content in this order.
    pub fn new(body: B, codings: &[Coding], config: DecodeConfig) -> Result<Self, ContentError> {
        if codings.len() > config.max_codings {
            return Err(ContentError::Codings(config.max_codings));
        }
        let stage = |coding: &Coding| Stage {
            coding: *coding,
            state: State::Untouched,
            input: Bytes::new(),
            decoded: 0,
        };
        let stages = codings.iter().rev().map(stage).collect();
        Ok(Self { body, stages, config, received: 0, ended: false, trailers: None, done: false })
    }

    /// Bytes of the body that came so far, before they were decoded.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The body itself; what was taken out of it and not handed on is lost.
    pub fn into_inner(self) -> B {
        self.body
    }

    /// The body itself.
    pub fn get_ref(&self) -> &B {
        &self.body
    }
}

impl<B> Decoded<B>
where
    B: Body<Data: Buf> + Unpin,
{
    /// The next piece that comes out behind so many stages; behind none, what the body gives.
    fn pull(&mut self, cx: &mut Context<'_>, stages: usize) -> Result<Pulled, DecodedError<B::Error>> {
        let Some(at) = stages.checked_sub(1) else { return self.pull_body(cx).map_err(DecodedError::Body) };
        loop {
            match self.step(at).map_err(DecodedError::Content)? {
                Step::Gave(piece) => return Ok(Pulled::Piece(piece)),
                Step::Hungry => {}
            }
            match self.pull(cx, at)? {
                Pulled::Piece(piece) => self.stages[at].input = piece,
                Pulled::Pending => return Ok(Pulled::Pending),
                Pulled::End => {
                    return match self.stages[at].finish().map_err(DecodedError::Content)? {
                        Some(piece) => Ok(Pulled::Piece(piece)),
                        None => Ok(Pulled::End),
                    };
                }
            }
        }
    }

    fn pull_body(&mut self, cx: &mut Context<'_>) -> Result<Pulled, B::Error> {
        while !self.ended {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Ok(Pulled::Pending),
                Poll::Ready(None) => self.ended = true,
                Poll::Ready(Some(Err(error))) => return Err(error),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(mut data) => {
                        let piece = data.copy_to_bytes(data.remaining());
                        if !piece.is_empty() {
                            self.received += piece.len() as u64;
                            return Ok(Pulled::Piece(piece));
                        }
                    }
                    Err(frame) => {
                        self.trailers = frame.into_trailers().ok();
                        self.ended = true;
                    }
                },
            }
        }
        Ok(Pulled::End)
    }

    /// One step of one stage, and its bill.
    fn step(&mut self, at: usize) -> Result<Step, ContentError> {
        let stage = &mut self.stages[at];
        let step = stage.step()?;
        if let Step::Gave(piece) = &step {
            stage.decoded += piece.len() as u64;
            if stage.decoded > self.config.max_decoded_len {
                return Err(ContentError::TooLong(self.config.max_decoded_len));
            }
            let allowed = self.received.saturating_mul(u64::from(self.config.max_ratio));
            if stage.decoded > self.config.ratio_from && stage.decoded > allowed {
                return Err(ContentError::Ratio(self.config.max_ratio));
            }
        }
        Ok(step)
    }
}

impl Stage {
    fn step(&mut self) -> Result<Step, ContentError> {
        if self.input.is_empty() && !matches!(&self.state, State::Coder(coder) if coder.holds_output()) {
            return Ok(Step::Hungry);
        }
        if let State::Untouched = self.state {
            let coder = Coder::new(self.coding).map_err(|()| ContentError::Corrupt(self.coding))?;
            self.state = State::Coder(Box::new(coder));
        }
        match &mut self.state {
            State::Coder(coder) => {
                coder.step(&mut self.input).map_err(|()| ContentError::Corrupt(self.coding))
            }
            // What comes behind the end.
            State::Untouched | State::Ended => Err(ContentError::Corrupt(self.coding)),
        }
    }

    /// No more is coming in.
    fn finish(&mut self) -> Result<Option<Bytes>, ContentError> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Coder(coder) if !coder.is_complete() => Err(ContentError::Truncated(self.coding)),
            _ => Ok(None),
        }
    }
}

impl<B> Body for Decoded<B>
where
    B: Body<Data: Buf> + Unpin,
{
    type Data = Bytes;
    type Error = DecodedError<B::Error>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if this.done {
            return Poll::Ready(None);
        }
        let pulled = this.pull(cx, this.stages.len());
        match pulled {
            Ok(Pulled::Piece(piece)) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            Ok(Pulled::Pending) => Poll::Pending,
            Ok(Pulled::End) => {
                this.done = true;
                Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Err(error) => {
                this.done = true;
                this.stages.clear();
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.done || (self.received == 0 && self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        if self.stages.is_empty() && !self.done {
            return self.body.size_hint();
        }
        if self.is_end_stream() { SizeHint::with_exact(0) } else { SizeHint::default() }
    }
}

impl<B> fmt::Debug for Decoded<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codings: Vec<Coding> = self.stages.iter().map(|stage| stage.coding).collect();
        f.debug_struct("Decoded")
            .field("codings", &codings)
            .field("received", &self.received)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

//! A file, or parts of one, as a body.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::job::Job;

/// The body of an answer of [`Files`](super::Files): read as it is sent, one piece ahead. Its length is known.
///
/// Dropping it gives up what is being read, and closes the file.
#[derive(Default)]
pub struct FileBody {
    pieces: VecDeque<Piece>,
    left: u64,
    reader: Reader,
    piece_size: usize,
    on_threads: bool,
    /// The answer to HEAD: it has a length, and nothing else.
    announced: bool,
}

enum Piece {
    Bytes(Bytes),
    /// Of the file.
    Span(Range<u64>),
}

#[derive(Default)]
enum Reader {
    #[default]
    None,
    Idle(File),
    /// The beginning of the first span is being read.
    Busy(Job<(File, io::Result<Bytes>)>),
}

impl FileBody {
    /// Bytes that are there.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        let mut body = Self::default();
        body.push_bytes(bytes.into());
        body
    }

    /// Nothing, in place of so many bytes.
    pub(super) fn announced(len: u64) -> Self {
        Self { left: len, announced: true, ..Self::default() }
    }

    /// Of a file, of which nothing is sent yet.
    pub(super) fn of(file: File, piece_size: usize, on_threads: bool) -> Self {
        Self { reader: Reader::Idle(file), piece_size, on_threads, ..Self::default() }
    }

    pub(super) fn push_bytes(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.left += bytes.len() as u64;
            self.pieces.push_back(Piece::Bytes(bytes));
        }
    }

    pub(super) fn push_span(&mut self, span: Range<u64>) {
        if span.start < span.end {
            self.left += span.end - span.start;
            self.pieces.push_back(Piece::Span(span));
        }
    }

    /// Reads the beginning here and now, if it is of the file: whoever makes the body is on a thread for that.
    pub(super) fn begin(mut self) -> io::Result<Self> {
        if let (Reader::Idle(file), Some(Piece::Span(span))) = (&self.reader, self.pieces.front()) {
            let bytes = read(file, span.clone(), self.piece_size)?;
            self.advance(bytes.len() as u64);
            self.pieces.push_front(Piece::Bytes(bytes));
        }
        if !self.pieces.iter().any(|piece| matches!(piece, Piece::Span(_))) {
            self.reader = Reader::None;
        }
        Ok(self)
    }

    /// The beginning of the first span was read.
    fn advance(&mut self, len: u64) {
        let place = self.pieces.iter().position(|piece| matches!(piece, Piece::Span(_)));
        if let Some(place) = place
            && let Some(Piece::Span(span)) = self.pieces.get_mut(place)
        {
            span.start += len;
            if span.start >= span.end {
                self.pieces.remove(place);
            }
        }
    }

    /// Starts to read what comes next of the file, unless that is under way.
    fn read_ahead(&mut self) {
        let span = self.pieces.iter().find_map(|piece| match piece {
            Piece::Span(span) => Some(span.clone()),
            Piece::Bytes(_) => None,
        });
        match (std::mem::take(&mut self.reader), span) {
            (Reader::Idle(file), Some(span)) => {
                let piece_size = self.piece_size;
                self.reader = Reader::Busy(Job::start(self.on_threads, move || {
                    let bytes = read(&file, span, piece_size);
                    (file, bytes)
                }));
            }
            // Nothing is left of it.
            (_, None) => {}
            (other, Some(_)) => self.reader = other,
        }
    }
}

/// Reads the beginning of `span`: as much as a piece is. All of that has to be there.
fn read(mut file: &File, span: Range<u64>, piece_size: usize) -> io::Result<Bytes> {
    let len = usize::try_from(span.end - span.start).unwrap_or(usize::MAX).min(piece_size);
    file.seek(SeekFrom::Start(span.start))?;
    let mut bytes = Vec::with_capacity(len);
    file.take(len as u64).read_to_end(&mut bytes)?;
    if bytes.len() < len {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter"));
    }
    Ok(bytes.into())
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        this.read_ahead();
        let bytes = match this.pieces.pop_front() {
            None => return Poll::Ready(None),
            Some(Piece::Bytes(bytes)) => bytes,
            Some(span @ Piece::Span(_)) => {
                this.pieces.push_front(span);
                let Reader::Busy(job) = &mut this.reader else { return Poll::Ready(None) };
                let (file, read) = ready!(job.poll(cx));
                this.reader = Reader::Idle(file);
                let bytes = match read {
                    Ok(bytes) => bytes,
                    Err(error) => {
                        this.pieces.clear();
                        this.reader = Reader::None;
                        return Poll::Ready(Some(Err(error)));
                    }
                };
                this.advance(bytes.len() as u64);
                this.read_ahead();
                bytes
            }
        };
        this.left -= bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl fmt::Debug for FileBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileBody")
            .field("left", &self.left)
            .field("announced", &self.announced)
            .finish_non_exhaustive()
    }
}

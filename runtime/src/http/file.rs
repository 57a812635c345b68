//! Bodies out of files and readers.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{Body, BoxError};

/// How much is read at a time.
const PIECE: usize = 64 * 1024;

impl Body {
    /// What is in `file` from where it stands on. Of a regular file the length is known, and a file that turns out to be shorter is an error; what
    /// is appended meanwhile is left out.
    ///
    /// It is read in pieces of 64 KiB, each by the thread that sends it, as they are asked for: the executor waits for the disk, which is
    /// microseconds for what the system holds in memory, and may be long for what is far away.
    pub fn from_file(mut file: File) -> io::Result<Self> {
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Ok(Self::from_reader(file, None));
        }
        let at = file.stream_position()?;
        Ok(Self::from_reader(file, Some(meta.len().saturating_sub(at))))
    }

    /// What comes out of `reader`: so many bytes, or all that there are if `length` is `None`, which is sent chunked. It is read like a
    /// [file](Self::from_file), so it should not wait for long.
    pub fn from_reader(reader: impl Read + Send + 'static, length: Option<u64>) -> Self {
        if length == Some(0) {
            return Self::empty();
        }
        Self::new(Pieces { reader: Some(reader), left: length })
    }
}

struct Pieces<T> {
    /// `None` at its end.
    reader: Option<T>,
    left: Option<u64>,
}

// The reader is never pinned.
impl<T> Unpin for Pieces<T> {}

impl<T: Read> http_body::Body for Pieces<T> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(reader) = &mut this.reader else { return Poll::Ready(None) };
        let most = this.left.map_or(PIECE, |left| usize::try_from(left).unwrap_or(PIECE).min(PIECE));
        let mut piece = vec![0; most];
        let read = loop {
            match reader.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let read = match read {
            Ok(0) if this.left.is_some() => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "shorter than it was at first"))
            }
            read => read,
        };
        match read {
            Ok(0) => {
                this.reader = None;
                Poll::Ready(None)
            }
            Ok(len) => {
                piece.truncate(len);
                if let Some(left) = &mut this.left {
                    *left -= len as u64;
                    if *left == 0 {
                        this.reader = None;
                    }
                }
                Poll::Ready(Some(Ok(Frame::data(piece.into()))))
            }
            Err(error) => {
                this.reader = None;
                Poll::Ready(Some(Err(error.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.reader.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

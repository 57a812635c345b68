//! The body of an answer, compressed as it streams.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::http::body::BoxError;
use crate::http::coding::encode::Encoder;

/// What goes into an encoder in one go: the longest that a poll works without looking up.
const SLICE: usize = 32 * 1024;

/// What comes out is passed on from here on.
const WORTH_PASSING_ON: usize = 4 * 1024;

/// After so much input without output worth passing on, the encoder is flushed: whoever sends the output gets to see that there is some,
/// and other tasks get to run.
const TURN: usize = 8 * SLICE;

pin_project! {
    /// The body of an answer that may be compressed. Its length is known only if it is not.
    ///
    /// Dropping it drops the body inside.
    pub struct Compressed<B>
    where
        B: Body,
    {
        #[pin]
        body: B,
        state: State<B::Data>,
    }
}

enum State<D> {
    /// As it is.
    Plain,
    /// The answer to HEAD: nothing, of unknown length.
    Head,
    Encoding {
        encoder: Encoder,
        /// What the encoder has not had yet.
        input: Option<D>,
        /// It has had something since it was flushed.
        dirty: bool,
    },
    /// The last of the encoder is out.
    Trailers(Option<HeaderMap>),
}

impl<B: Body> Compressed<B> {
    pub(super) fn plain(body: B) -> Self {
        Self { body, state: State::Plain }
    }

    pub(super) fn head(body: B) -> Self {
        Self { body, state: State::Head }
    }

    pub(super) fn encoding(body: B, encoder: Encoder) -> Self {
        Self { body, state: State::Encoding { encoder, input: None, dirty: false } }
    }
}

impl<B: Body<Error: Into<BoxError>>> Body for Compressed<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        let mut worked = 0;
        loop {
            let (encoder, input, dirty) = match this.state {
                State::Plain => {
                    return this.body.poll_frame(cx).map(|frame| {
                        frame.map(|frame| {
                            frame
                                .map(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
                                .map_err(Into::into)
                        })
                    });
                }
                State::Head => return Poll::Ready(None),
                State::Trailers(trailers) => {
                    return Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
                }
                State::Encoding { encoder, input, dirty } => (encoder, input, dirty),
            };
            if encoder.ready() >= WORTH_PASSING_ON {
                return Poll::Ready(Some(Ok(Frame::data(encoder.take()))));
            }
            if let Some(data) = input {
                let chunk = data.chunk();
                let len = chunk.len().min(SLICE);
                encoder.write(&chunk[..len])?;
                *dirty |= len > 0;
                data.advance(len);
                if !data.has_remaining() {
                    *input = None;
                }
                worked += len;
                if worked >= TURN && encoder.ready() < WORTH_PASSING_ON {
                    encoder.flush()?;
                    *dirty = false;
                    return Poll::Ready(Some(Ok(Frame::data(encoder.take()))));
                }
                continue;
            }
            let trailers = match this.body.as_mut().poll_frame(cx) {
                Poll::Pending => {
                    // What was said so far may be all for a long time.
                    if std::mem::take(dirty) {
                        encoder.flush()?;
                    }
                    if encoder.ready() > 0 {
                        return Poll::Ready(Some(Ok(Frame::data(encoder.take()))));
                    }
                    return Poll::Pending;
                }
                Poll::Ready(None) => None,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        *input = Some(data);
                        continue;
                    }
                    Err(frame) => match frame.into_trailers() {
                        Ok(trailers) => Some(trailers),
                        Err(_) => continue,
                    },
                },
            };
            let State::Encoding { encoder, .. } = std::mem::replace(this.state, State::Trailers(trailers))
            else {
                continue;
            };
            let rest = encoder.finish()?;
            if !rest.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(rest))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Plain => self.body.is_end_stream(),
            State::Head | State::Encoding { .. } => false,
            State::Trailers(trailers) => trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Plain => self.body.size_hint(),
            State::Head | State::Encoding { .. } => SizeHint::new(),
            State::Trailers(_) => SizeHint::with_exact(0),
        }
    }
}

impl<B: Body> fmt::Debug for Compressed<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Plain => "plain",
            State::Head => "head",
            State::Encoding { .. } => "encoding",
            State::Trailers(_) => "over",
        };
        f.debug_struct("Compressed").field("state", &state).finish_non_exhaustive()
    }
}

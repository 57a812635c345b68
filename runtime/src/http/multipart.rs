//! Forms with files, read by a server as they come.
//!
//! A client makes them by [`Form`](super::Form).

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
pub use glowplug_http::multipart::{Boundary, MultipartError, MultipartLimits, MultipartReason, PartHead};
use glowplug_http::multipart::{MultipartEvent, MultipartReader};
use http::{HeaderMap, header};
use http_body::Body;

use super::BoxError;

/// The parts of a form (`multipart/form-data`), one after the other, as the body brings them.
///
/// ```
/// # use glowplug_runtime::http::multipart::{FormError, Multipart, MultipartLimits};
/// # use glowplug_runtime::http::server::Incoming;
/// async fn receive(request: http::Request<Incoming>) -> Result<(), FormError> {
///     let (head, body) = request.into_parts();
///     let mut form = Multipart::new(&head.headers, body, MultipartLimits::default())?;
///     while let Some(part) = form.next_part().await? {
///         println!("{}: {} bytes", part.name(), form.bytes(1 << 20).await?.len());
///     }
///     Ok(())
/// }
/// ```
///
/// Nothing is held but the head of the current part and the piece that is being looked at. The body's own limits, for its length and its pace,
/// hold beside those given here.
pub struct Multipart<B> {
    body: Pin<Box<B>>,
    reader: MultipartReader,
    input: BytesMut,
    ended: bool,
    /// What was found while something else was looked for.
    found: Option<MultipartEvent>,
}

/// Why a form cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum FormError {
    /// `Content-Type` is not `multipart/form-data` with a boundary: 415.
    NotAForm,
    /// The form is malformed, or more than the limits allow: 400, or 413.
    Form(MultipartError),
    /// The body failed.
    Body(BoxError),
    /// The part is longer than the caller wanted to hold: 413.
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl FormError {
    /// The status that tells a client so.
    pub fn status(&self) -> http::StatusCode {
        match self {
            Self::NotAForm => http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Form(MultipartError { reason: MultipartReason::Limit(_), .. }) | Self::TooLong { .. } => {
                http::StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::Form(_) | Self::Body(_) => http::StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAForm => f.write_str("the body is no form with parts"),
            Self::Form(_) => f.write_str("the form cannot be read"),
            Self::Body(_) => f.write_str("the body of the form failed"),
            Self::TooLong { limit } => write!(f, "the part is longer than {limit} bytes"),
        }
    }
}

impl Error for FormError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Form(error) => Some(error),
            Self::Body(error) => Some(&**error),
            Self::NotAForm | Self::TooLong { .. } => None,
        }
    }
}

impl<B> Multipart<B>
where
    B: Body<Data: Buf, Error: Into<BoxError>>,
{
    /// The form in `body`, whose boundary these headers name.
    pub fn new(headers: &HeaderMap, body: B, limits: MultipartLimits) -> Result<Self, FormError> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let boundary = kind.and_then(Boundary::of).ok_or(FormError::NotAForm)?;
        let reader = MultipartReader::new(&boundary, limits);
        Ok(Self { body: Box::pin(body), reader, input: BytesMut::new(), ended: false, found: None })
    }

    /// The next part; what was not read of the current one is skipped. `None` behind the last.
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn next_part(&mut self) -> Result<Option<PartHead>, FormError> {
        loop {
            match self.next_event().await? {
                Some(MultipartEvent::Part(head)) => return Ok(Some(head)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next piece of the current part; `None` at its end.
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn data(&mut self) -> Result<Option<Bytes>, FormError> {
        match self.next_event().await? {
            Some(MultipartEvent::Data(data)) => Ok(Some(data)),
            Some(MultipartEvent::PartEnd) | None => Ok(None),
            // Before the first part, or behind the end of one.
            Some(other) => {
                self.found = Some(other);
                Ok(None)
            }
        }
    }

    /// The rest of the current part, if it is no longer than `limit` bytes.
    ///
    /// Dropping the future loses what it had read.
    pub async fn bytes(&mut self, limit: usize) -> Result<Bytes, FormError> {
        let mut all = BytesMut::new();
        while let Some(data) = self.data().await? {
            if all.len() + data.len() > limit {
                return Err(FormError::TooLong { limit });
            }
            all.extend_from_slice(&data);
        }
        Ok(all.freeze())
    }

    async fn next_event(&mut self) -> Result<Option<MultipartEvent>, FormError> {
        if let Some(found) = self.found.take() {
            return Ok(Some(found));
        }
        poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<MultipartEvent>, FormError>> {
        loop {
            match self.reader.poll_event(&mut self.input) {
                Ok(Some(event)) => return Poll::Ready(Ok(Some(event))),
                Ok(None) if self.ended => {
                    let finished = self.reader.finish(self.input.len());
                    return Poll::Ready(finished.map(|()| None).map_err(FormError::Form));
                }
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(FormError::Form(error))),
            }
            match self.body.as_mut().poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => self.ended = true,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(FormError::Body(error.into()))),
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.input.reserve(data.remaining());
                        bytes::BufMut::put(&mut self.input, data);
                    }
                }
            }
        }
    }
}

impl<B> fmt::Debug for Multipart<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multipart").field("reader", &self.reader).finish_non_exhaustive()
    }
}

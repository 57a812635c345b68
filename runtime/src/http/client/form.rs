//! A form with files, in the making.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use glowplug_http::multipart::Boundary;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body::{Frame, SizeHint};

use super::RequestBuilder;
use super::error::RequestError;
use crate::Runtime;
use crate::http::{Body, BoxError};

/// A form with files (`multipart/form-data`, RFC 7578), to be sent by [`multipart`](RequestBuilder::multipart).
///
/// ```no_run
/// # use glowplug_runtime::http::{Client, Form, Part};
/// # async fn example<R: glowplug_runtime::Runtime>(client: Client<R>) -> Result<(), Box<dyn std::error::Error>> {
/// let form = Form::new().text("title", "Holiday").part("picture", Part::file("beach.jpg")?);
/// client.post("http://example.org/pictures").multipart(form).send().await?;
/// # Ok(()) }
/// ```
///
/// It is sent with its length if those of all parts are known, and chunked otherwise. Nothing is held but the piece that is being sent.
#[derive(Debug, Default)]
pub struct Form(Vec<(String, Part)>);

/// One part of a form: text, bytes, a file, or what comes piece by piece.
#[derive(Debug)]
pub struct Part {
    body: Body,
    filename: Option<String>,
    headers: HeaderMap,
}

impl Form {
    /// An empty form.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field of text.
    pub fn text(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.part(name, Part::new(value.into()))
    }

    /// Adds a part.
    pub fn part(mut self, name: impl Into<String>, part: Part) -> Self {
        self.0.push((name.into(), part));
        self
    }

    /// The body that it makes with this boundary.
    pub fn into_body(self, boundary: &Boundary) -> Body {
        let mut pieces = VecDeque::new();
        let is_empty = self.0.is_empty();
        for (at, (name, part)) in self.0.into_iter().enumerate() {
            let head = boundary.part_head(at == 0, &name, part.filename.as_deref(), &part.headers);
            pieces.push_back(Body::from(head));
            pieces.push_back(part.body);
        }
        pieces.push_back(Body::from(boundary.end(is_empty)));
        Body::new(FormBody(pieces))
    }
}

impl Part {
    /// A part of text, bytes, or any [`Body`].
    pub fn new(body: impl Into<Body>) -> Self {
        Self { body: body.into(), filename: None, headers: HeaderMap::new() }
    }

    /// A file, by its path, under its name there, and as `application/octet-stream`. It is opened now and read while it is sent, see
    /// [`Body::from_file`].
    pub fn file(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let part = Self::new(Body::from_file(File::open(path)?)?);
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
        Ok(part.filename(name).content_type(HeaderValue::from_static("application/octet-stream")))
    }

    /// Sets the name of the file that this is. A part with such a name is a file to who reads it.
    pub fn filename(mut self, name: impl Into<String>) -> Self {
        self.filename = Some(name.into());
        self
    }

    /// Sets the part's `Content-Type`.
    pub fn content_type(self, kind: HeaderValue) -> Self {
        self.header(header::CONTENT_TYPE, kind)
    }

    /// Sets a field of the part's head, in place of one of that name. `Content-Disposition` is made from the names.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// Heads and data, in turn.
struct FormBody(VecDeque<Body>);

impl http_body::Body for FormBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while let Some(body) = self.0.front_mut() {
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => {
                    self.0.pop_front();
                }
                // Trailers of a part have no place in a form.
                Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => {}
                Poll::Ready(frame) => return Poll::Ready(frame),
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.0.iter().try_fold(0_u64, |sum, body| sum.checked_add(body.size_hint().exact()?));
        length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl<R: Runtime> RequestBuilder<R> {
    /// Sets the body to a form with files, and `content-type` with it. The boundary is drawn from the runtime's dice.
    pub fn multipart(self, form: Form) -> Self {
        let boundary = Boundary::new(&mut self.client().inner.runtime.seed().rng());
        self.with(|request| {
            let kind = HeaderValue::try_from(boundary.content_type())
                .map_err(|error| RequestError::Invalid(error.into()))?;
            request.headers_mut().insert(header::CONTENT_TYPE, kind);
            *request.body_mut() = form.into_body(&boundary);
            Ok(())
        })
    }
}

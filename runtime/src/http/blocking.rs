//! The HTTP client for scripts: no executor, plain calls.
//!
//! It is the same client, with its pool, TLS, redirects, cookies, codings and proxies, on a [runtime](ThisThread) that does everything in the thread
//! that calls, and waits there.
//!
//! ```no_run
//! use glowplug_runtime::http::blocking;
//! let client = blocking::Client::new();
//! let page = client.get("http://example.org/").call()?.text()?;
//! # let _ = page; Ok::<(), glowplug_runtime::http::ClientError>(())
//! ```

mod reactor;
mod thread;

use std::fmt;
use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use http::{HeaderMap, Method, StatusCode, Uri};

use super::{ClientBuilder, ClientError, Download, DownloadError, IntoUrl, Target, Transferred};
use reactor::block_on;
pub use thread::{Connecting, Never, Stream, ThisThread, Timer};

/// A request in the making, to be sent by [`call`](super::RequestBuilder::call).
pub type RequestBuilder = super::RequestBuilder<ThisThread>;

/// A blocking HTTP client with a pool of connections. Clones share the pool, and may be used by several threads at once.
///
/// Nothing runs between the calls: a connection that lies idle too long is closed when it is next looked at.
#[derive(Clone)]
pub struct Client(super::Client<ThisThread>);

impl Client {
    /// A client with the default settings.
    pub fn new() -> Self {
        Self::builder().build_blocking()
    }

    /// A client with settings of your own, which [`build_blocking`](ClientBuilder::build_blocking) makes.
    pub fn builder() -> ClientBuilder<ThisThread> {
        super::Client::builder(ThisThread)
    }

    /// Begins a `GET`. An invalid URL is told by [`call`](RequestBuilder::call).
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.0.get(url)
    }

    /// Begins a `HEAD`.
    pub fn head(&self, url: impl IntoUrl) -> RequestBuilder {
        self.0.head(url)
    }

    /// Begins a `POST`.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.0.post(url)
    }

    /// Begins a `PUT`.
    pub fn put(&self, url: impl IntoUrl) -> RequestBuilder {
        self.0.put(url)
    }

    /// Begins a `DELETE`.
    pub fn delete(&self, url: impl IntoUrl) -> RequestBuilder {
        self.0.delete(url)
    }

    /// Begins a request with any method.
    pub fn method(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        self.0.method(method, url)
    }

    /// The same client as futures know it.
    pub fn as_async(&self) -> &super::Client<ThisThread> {
        &self.0
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ClientBuilder<ThisThread> {
    /// The client. No thread and no task comes with it.
    pub fn build_blocking(self) -> Client {
        Client(self.build_with_reaper().0)
    }
}

impl super::RequestBuilder<ThisThread> {
    /// Sends the request, follows redirects, and gives the answer once its head is there: [`send`](Self::send), waited for in this thread.
    pub fn call(self) -> Result<Response, ClientError> {
        block_on(self.send()).map(|answer| Response { answer, left: Bytes::new() })
    }
}

/// An answer whose head is there. Its body is read by [`bytes`](Self::bytes) and its like, or as a [`Read`].
pub struct Response {
    answer: super::Response<ThisThread>,
    /// What was received and not read yet.
    left: Bytes,
}

impl Response {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.answer.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.answer.headers()
    }

    /// Where the answer came from: the last of the redirects, if there were any.
    pub fn url(&self) -> &Uri {
        self.answer.url()
    }

    /// How long the body still is, if that is known: not where a content coding is undone.
    pub fn content_length(&self) -> Option<u64> {
        self.answer.content_length()
    }

    /// The next piece of the body; `None` after the last.
    pub fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        if !self.left.is_empty() {
            return Ok(Some(std::mem::take(&mut self.left)));
        }
        block_on(self.answer.chunk())
    }

    /// The whole body, up to the limit of [`collect_limit`](ClientBuilder::collect_limit).
    pub fn bytes(self) -> Result<Bytes, ClientError> {
        block_on(self.answer.bytes())
    }

    /// The whole body as text, see [`Response::text`](super::Response::text).
    pub fn text(self) -> Result<String, ClientError> {
        block_on(self.answer.text())
    }

    /// The whole body as JSON.
    #[cfg(feature = "http-serde")]
    pub fn json<T: serde::de::DeserializeOwned>(self) -> Result<T, ClientError> {
        block_on(self.answer.json())
    }

    /// Writes the body to `writer` as it comes, see [`Response::write_to`](super::Response::write_to).
    pub fn write_to(
        self,
        writer: &mut (impl Write + ?Sized),
        listen: impl FnMut(Transferred),
    ) -> Result<u64, DownloadError> {
        block_on(self.answer.write_to(writer, listen))
    }
}

/// The body. What fails is an error of kind `Other` with the [`ClientError`] inside.
impl Read for Response {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        while self.left.is_empty() {
            match self.chunk().map_err(io::Error::other)? {
                Some(piece) => self.left = piece,
                None => return Ok(0),
            }
        }
        let len = buf.len().min(self.left.len());
        self.left.copy_to_slice(&mut buf[..len]);
        Ok(len)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.answer.fmt(f)
    }
}

impl Download {
    /// [`run`](Self::run), waited for in this thread.
    pub fn run_blocking(
        &mut self,
        request: impl FnMut() -> RequestBuilder,
        target: &mut (impl Target + ?Sized),
        listen: impl FnMut(Transferred),
    ) -> Result<u64, DownloadError> {
        block_on(self.run(request, target, listen))
    }
}

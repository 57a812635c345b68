//! An answer.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::OnceLock;

use bytes::Bytes;
use glowplug_http::ResponseHead;
use http::{HeaderMap, StatusCode, Uri, Version};
use http_body::Body as _;

use super::Upgraded;
use super::content::Content;
use super::error::ClientError;
use super::send::Transaction;
use crate::Runtime;

/// An answer whose head is there. Its body is read by [`bytes`](Self::bytes) and its like, or piece by piece by [`chunk`](Self::chunk).
pub struct Response<R: Runtime> {
    /// The request is that which was answered: the last of the redirects, if there were any.
    transaction: Box<Transaction>,
    /// The fields in the `http` crate's type, once somebody has asked for them: many only look at the status.
    headers: OnceLock<Box<HeaderMap>>,
    body: Content<R>,
    collect_limit: usize,
}

impl<R: Runtime> Response<R> {
    /// With the fields, if they are not those of the head any more.
    pub(super) fn new(
        transaction: Box<Transaction>,
        headers: Option<HeaderMap>,
        body: Content<R>,
        collect_limit: usize,
    ) -> Self {
        let headers = headers.map(|headers| OnceLock::from(Box::new(headers))).unwrap_or_default();
        Self { transaction, headers, body, collect_limit }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.head().status()
    }

    /// HTTP/1.0 or HTTP/1.1.
    pub fn version(&self) -> Version {
        self.head().version()
    }

    /// The headers. Where a content coding is undone, they no longer speak of it.
    pub fn headers(&self) -> &HeaderMap {
        self.headers.get_or_init(|| Box::new(self.head().to_header_map()))
    }

    /// The head as it came over the wire: names, order and case as the server wrote them, content codings and all.
    pub fn head(&self) -> &ResponseHead {
        &self.transaction.head
    }

    /// Where the answer came from: the last of the redirects, if there were any.
    pub fn url(&self) -> &Uri {
        self.transaction.request.uri()
    }

    /// How long the body still is, if that is known: not where a content coding is undone.
    pub fn content_length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next piece of the body; `None` after the last. Trailers are left out: the body itself has them.
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await {
            if let Ok(data) = frame?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The whole body, up to the limit of [`collect_limit`](super::ClientBuilder::collect_limit).
    ///
    /// Dropping the future drops the body.
    pub async fn bytes(mut self) -> Result<Bytes, ClientError> {
        // It keeps the buffer alive that the body is read into.
        drop(self.transaction);
        self.body.collect(self.collect_limit).await
    }

    /// The whole body as text, read as UTF-8 whatever its head says; what is not UTF-8 becomes U+FFFD. Bounded like [`bytes`](Self::bytes).
    ///
    /// Dropping the future drops the body.
    pub async fn text(self) -> Result<String, ClientError> {
        let bytes = self.bytes().await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The whole body as JSON. Bounded like [`bytes`](Self::bytes).
    ///
    /// Dropping the future drops the body.
    #[cfg(feature = "http-serde")]
    pub async fn json<T: serde::de::DeserializeOwned>(self) -> Result<T, ClientError> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Decode(error.into()))
    }

    /// The connection, which the server has handed over to another protocol: an answer with status 101, or a successful one to
    /// `CONNECT`.
    ///
    /// Dropping the future closes the connection.
    pub async fn upgrade(self) -> Result<Upgraded<R>, ClientError> {
        self.body.upgrade().await
    }

    /// The answer in the `http` crate's type, its body still to be read.
    pub fn into_http(self) -> http::Response<Content<R>> {
        let head = &self.transaction.head;
        let (status, version) = (head.status(), head.version());
        let mut answer = http::Response::new(self.body);
        *answer.status_mut() = status;
        *answer.version_mut() = version;
        *answer.headers_mut() =
            self.headers.into_inner().map_or_else(|| head.to_header_map(), |headers| *headers);
        answer
    }
}

impl<R: Runtime> fmt::Debug for Response<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("url", self.url())
            .field("status", &self.status())
            .field("headers", self.headers())
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

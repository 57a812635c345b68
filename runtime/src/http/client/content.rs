//! The body of an answer as people want it: without the codings that were for the way only.

use std::fmt;
#[cfg(feature = "http-compression")]
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
#[cfg(feature = "http-compression")]
use glowplug_http::ResponseHead;
use http_body::{Body, Frame, SizeHint};

use super::error::ClientError;
use super::{Incoming, Upgraded};
use crate::Runtime;
#[cfg(feature = "http-compression")]
use crate::http::coding::decode::{self, DecodeConfig, Decoded, DecodedError};

/// The body of an answer, decoded (with the feature `http-compression`, and unless that was declined).
///
/// Like [`Incoming`] it owns the connection until its end: dropping it gives the rest up.
pub struct Content<R: Runtime>(Kind<R>);

#[allow(clippy::large_enum_variant, reason = "the large one is the one that counts: it costs no allocation")]
enum Kind<R: Runtime> {
    Plain(Incoming<R>),
    #[cfg(feature = "http-compression")]
    Decoded(Box<Decoded<Incoming<R>>>),
}

impl<R: Runtime> Content<R> {
    pub(super) fn plain(body: Incoming<R>) -> Self {
        Self(Kind::Plain(body))
    }

    /// The body with its codings undone, if it has any; and then the fields that no longer say so, nor how long they made it.
    ///
    /// A part of a coded representation cannot be decoded by itself, and is left alone.
    #[cfg(feature = "http-compression")]
    pub(super) fn decode(
        head: &ResponseHead,
        body: Incoming<R>,
        config: Option<DecodeConfig>,
    ) -> Result<(Self, Option<http::HeaderMap>), ClientError> {
        let is_whole = head.status() != http::StatusCode::PARTIAL_CONTENT && !body.is_end_stream();
        if let Some(config) = config
            && is_whole
            && head.get("content-encoding").is_some()
        {
            let mut headers = head.to_header_map();
            let codings = decode::codings(&headers);
            if !codings.is_empty() {
                let body = Decoded::new(body, &codings, config).map_err(ClientError::Content)?;
                headers.remove(http::header::CONTENT_ENCODING);
                headers.remove(http::header::CONTENT_LENGTH);
                return Ok((Self(Kind::Decoded(Box::new(body))), Some(headers)));
            }
        }
        Ok((Self::plain(body), None))
    }

    /// The whole body, if it is no longer than `limit` bytes.
    ///
    /// Dropping the future drops the body.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, ClientError> {
        self.collect(limit).await
    }

    /// What is left of the body, if it is no longer than `limit`.
    pub(super) async fn collect(&mut self, limit: usize) -> Result<Bytes, ClientError> {
        match &mut self.0 {
            Kind::Plain(body) => body.collect(limit).await,
            #[cfg(feature = "http-compression")]
            Kind::Decoded(_) => collect(self, limit).await,
        }
    }

    /// The connection, which the server has handed over: an answer with status 101, or a successful one to `CONNECT`.
    ///
    /// Dropping the future closes the connection.
    pub async fn upgrade(self) -> Result<Upgraded<R>, ClientError> {
        self.into_incoming().upgrade().await
    }

    /// The body as it comes over the wire, codings and all. What was decoded already is not in it.
    pub fn into_incoming(self) -> Incoming<R> {
        match self.0 {
            Kind::Plain(body) => body,
            #[cfg(feature = "http-compression")]
            Kind::Decoded(body) => body.into_inner(),
        }
    }
}

#[cfg(feature = "http-compression")]
async fn collect<R: Runtime>(body: &mut Content<R>, limit: usize) -> Result<Bytes, ClientError> {
    let mut all = bytes::BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        let Ok(data) = frame?.into_data() else { continue };
        if all.len() + data.len() > limit {
            return Err(ClientError::TooLong { limit });
        }
        all.extend_from_slice(&data);
    }
    Ok(all.freeze())
}

impl<R: Runtime> Body for Content<R> {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        match &mut self.0 {
            Kind::Plain(body) => Pin::new(body).poll_frame(cx),
            #[cfg(feature = "http-compression")]
            Kind::Decoded(body) => Pin::new(body).poll_frame(cx).map_err(|error| match error {
                DecodedError::Body(error) => error,
                DecodedError::Content(error) => ClientError::Content(error),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Plain(body) => body.is_end_stream(),
            #[cfg(feature = "http-compression")]
            Kind::Decoded(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Plain(body) => body.size_hint(),
            #[cfg(feature = "http-compression")]
            Kind::Decoded(body) => body.size_hint(),
        }
    }
}

impl<R: Runtime> fmt::Debug for Content<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Plain(body) => body.fmt(f),
            #[cfg(feature = "http-compression")]
            Kind::Decoded(body) => body.fmt(f),
        }
    }
}

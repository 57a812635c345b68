//! Answers made smaller: a service around any other that compresses what the client accepts compressed.
//!
//! ```text
//! request ──▶ Compress ──▶ the service ──▶ answer ──▶ worth it? ──▶ Compressed: encoder over the body
//!              accept-encoding, method                  │ no ──▶ Compressed: the body as it is
//! ```
//!
//! The codings are `gzip`, `deflate`, `br` and `zstd`, negotiated with their weights (RFC 9110 §12.5.3). Bodies are compressed as they
//! stream: a body that has nothing more for now is flushed, so that what its handler has said is seen by the client, and what is held
//! is an encoder's window and a few pieces.
//!
//! An answer is left as it is when it
//! - is small, or of a type that does not get smaller ([`Compression::min_size`], [`Compression::uncompressible`]);
//! - is encoded already, is a part of something (206, `content-range`), or says `cache-control: no-transform`, as its request may;
//! - has no content: 204, 304, and what switches protocols.
//!
//! What might have been compressed says `vary: accept-encoding`. What is compressed has its entity tag weakened, as its bytes are others, and
//! loses `content-length`, `accept-ranges` and digests. The answer to HEAD says what that to GET would, and has no body.
//!
//! A client that accepts neither a coding known here nor an uncoded body (`identity;q=0`) is answered without a coding, which RFC 9110 §12.4.1
//! allows; one that accepts some coding but not an uncoded body gets the former whatever its size and type.
//!
//! ```
//! use glowplug_runtime::http::compress::{Compress, Compression};
//! use glowplug_runtime::http::server::{Incoming, service_fn};
//! use http::{Request, Response};
//!
//! let hello = service_fn(|_: Request<Incoming>| async { Response::new("hello ".repeat(1000)) });
//! let hello = Compress::new(hello, Compression::default().min_size(500));
//! ```
//!
//! [`Compression`] is a `tower_layer::Layer` as well: `axum::Router::layer` takes it.

mod body;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

pub use body::Compressed;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::accept::{AcceptEncoding, Coding, vary};
use super::body::BoxError;
use super::coding::encode::Encoder;
pub use super::coding::encode::Level;

/// Types that are compressed already, or gain nothing: the default of [`Compression::uncompressible`].
const UNCOMPRESSIBLE: [&str; 22] = [
    "application/epub+zip",
    "application/gzip",
    "application/java-archive",
    "application/octet-stream",
    "application/pdf",
    "application/vnd.rar",
    "application/x-7z-compressed",
    "application/x-bzip2",
    "application/x-gzip",
    "application/x-rar-compressed",
    "application/x-xz",
    "application/zip",
    "application/zstd",
    "audio/*",
    "font/woff",
    "font/woff2",
    "image/avif",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "video/*",
];

/// What is compressed, and how.
#[derive(Clone, Debug)]
pub struct Compression {
    settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
struct Settings {
    codings: Vec<Coding>,
    level: Level,
    min_size: u64,
    uncompressible: Vec<String>,
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            settings: Arc::new(Settings {
                codings: vec![Coding::Brotli, Coding::Zstd, Coding::Gzip, Coding::Deflate],
                level: Level::default(),
                min_size: 1024,
                uncompressible: UNCOMPRESSIBLE.map(str::to_owned).to_vec(),
            }),
        }
    }
}

impl Compression {
    /// Sets the codings that are offered, the one that is liked best first: it is what a client gets that likes several equally.
    /// Default Brotli, Zstandard, gzip, deflate. With none of them every answer is left as it is.
    pub fn codings(mut self, codings: impl IntoIterator<Item = Coding>) -> Self {
        Arc::make_mut(&mut self.settings).codings = codings.into_iter().collect();
        self
    }

    /// Sets how much work goes into it. Default [`Level::Balanced`].
    pub fn level(mut self, level: Level) -> Self {
        Arc::make_mut(&mut self.settings).level = level;
        self
    }

    /// Sets the bytes that an answer has to have to be worth it, where its length is known. Default 1024.
    pub fn min_size(mut self, bytes: u64) -> Self {
        Arc::make_mut(&mut self.settings).min_size = bytes;
        self
    }

    /// Sets the media types that are left alone, without parameters and in lower case; `video/*` is a whole family. Default are the
    /// usual images, sound, video, web fonts, archives, PDF and `application/octet-stream`.
    pub fn uncompressible<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        Arc::make_mut(&mut self.settings).uncompressible = types.into_iter().map(Into::into).collect();
        self
    }
}

impl<S> tower_layer::Layer<S> for Compression {
    type Service = Compress<S>;

    fn layer(&self, inner: S) -> Compress<S> {
        Compress::new(inner, self.clone())
    }
}

/// A service whose answers are compressed; see the [module](self).
#[derive(Clone, Debug)]
pub struct Compress<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> Compress<S> {
    /// Puts itself around `inner`.
    pub fn new(inner: S, compression: Compression) -> Self {
        Self { inner, settings: compression.settings }
    }
}

impl<S, A, B> Service<Request<A>> for Compress<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Body<Error: Into<BoxError>>,
{
    type Response = Response<Compressed<B>>;
    type Error = S::Error;
    type Future = Compressing<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Compressing<S::Future> {
        let wish = Wish::of(&request, &self.settings.codings);
        Compressing { inner: self.inner.call(request), wish, settings: self.settings.clone() }
    }
}

/// What a request has to say to all this.
#[derive(Clone, Debug)]
struct Wish {
    coding: Option<Coding>,
    /// An uncoded body is not acceptable.
    forced: bool,
    is_head: bool,
    never: bool,
    /// The entity tags of `if-none-match`, to answer in kind.
    if_none_match: Option<HeaderValue>,
}

impl Wish {
    fn of<A>(request: &Request<A>, codings: &[Coding]) -> Self {
        let accepted = AcceptEncoding::of(request.headers());
        Self {
            coding: accepted.choose(codings),
            forced: !accepted.identity_allowed(),
            is_head: request.method() == Method::HEAD,
            never: codings.is_empty()
                || request.method() == Method::CONNECT
                || has_no_transform(request.headers()),
            if_none_match: request.headers().get(header::IF_NONE_MATCH).cloned(),
        }
    }
}

pin_project! {
    /// The future of a [`Compress`]. Dropping it drops that of the service inside.
    #[must_use = "nobody is answered until the future is polled"]
    #[derive(Debug)]
    pub struct Compressing<F> {
        #[pin]
        inner: F,
        wish: Wish,
        settings: Arc<Settings>,
    }
}

impl<F, B, E> Future for Compressing<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Error: Into<BoxError>>,
{
    type Output = Result<Response<Compressed<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        Poll::Ready(Ok(compress(response, this.wish, this.settings)))
    }
}

fn compress<B: Body>(response: Response<B>, wish: &Wish, settings: &Settings) -> Response<Compressed<B>> {
    let (mut parts, body) = response.into_parts();
    if parts.status == StatusCode::NOT_MODIFIED && !wish.never {
        revalidated(&mut parts.headers, wish);
    }
    if wish.never || !may_change(&parts, wish, &body) {
        return Response::from_parts(parts, Compressed::plain(body));
    }
    let force = wish.forced && wish.coding.is_some();
    if !force && !is_worth_it(&parts.headers, wish, &body, settings) {
        return Response::from_parts(parts, Compressed::plain(body));
    }
    vary(&mut parts.headers);
    // Without memory for an encoder the answer goes out as it is.
    let encoder = wish.coding.and_then(|coding| Some((coding, Encoder::new(coding, settings.level).ok()?)));
    let Some((coding, encoder)) = encoder else {
        return Response::from_parts(parts, Compressed::plain(body));
    };
    for changed in [
        header::CONTENT_LENGTH,
        header::ACCEPT_RANGES,
        header::HeaderName::from_static("content-digest"),
        header::HeaderName::from_static("content-md5"),
        header::HeaderName::from_static("digest"),
        header::HeaderName::from_static("repr-digest"),
    ] {
        parts.headers.remove(changed);
    }
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
    weaken(&mut parts.headers);
    let body = if wish.is_head { Compressed::head(body) } else { Compressed::encoding(body, encoder) };
    Response::from_parts(parts, body)
}

/// Whether the answer has content that is whole, uncoded and allowed to be transformed.
fn may_change<B: Body>(parts: &http::response::Parts, wish: &Wish, body: &B) -> bool {
    let (status, headers) = (parts.status, &parts.headers);
    let has_content = !body.is_end_stream() || wish.is_head && headers.contains_key(header::CONTENT_LENGTH);
    has_content
        && !status.is_informational()
        && !matches!(
            status,
            StatusCode::NO_CONTENT
                | StatusCode::RESET_CONTENT
                | StatusCode::PARTIAL_CONTENT
                | StatusCode::NOT_MODIFIED
        )
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::CONTENT_RANGE)
        && !has_no_transform(headers)
}

fn is_worth_it<B: Body>(headers: &HeaderMap, wish: &Wish, body: &B, settings: &Settings) -> bool {
    let announced = || headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    let at_most = body.size_hint().upper().filter(|_| !(wish.is_head && body.is_end_stream()));
    if at_most.or_else(announced).is_some_and(|size| size < settings.min_size) {
        return false;
    }
    let Some(media_type) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return true;
    };
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let family = essence.split('/').next().unwrap_or_default();
    !settings.uncompressible.iter().any(|listed| match listed.strip_suffix("/*") {
        Some(listed) => listed == family,
        None => *listed == essence,
    })
}

fn has_no_transform(headers: &HeaderMap) -> bool {
    headers.get_all(header::CACHE_CONTROL).iter().any(|value| {
        let directives = value.to_str().unwrap_or_default();
        directives.split(',').any(|directive| directive.trim().eq_ignore_ascii_case("no-transform"))
    })
}

/// RFC 9110 §8.8.1: other bytes have another strong tag, or the same weak one.
fn weaken(headers: &mut HeaderMap) {
    if let Some(tag) = headers.get(header::ETAG).map(HeaderValue::as_bytes)
        && !tag.starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag].concat())
    {
        headers.insert(header::ETAG, weak);
    }
}

/// A 304 repeats the tag and `vary` of the 200 that the client has (RFC 9110 §15.4.5): which of the two tags that is, it has just said.
fn revalidated(headers: &mut HeaderMap, wish: &Wish) {
    if wish.coding.is_none() {
        return;
    }
    vary(headers);
    let asked = wish.if_none_match.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
    let tag = headers.get(header::ETAG).map(HeaderValue::as_bytes).unwrap_or_default();
    let weak = [b"W/", tag].concat();
    if !tag.is_empty() && asked.windows(weak.len()).any(|window| window == weak) {
        weaken(headers);
    }
}

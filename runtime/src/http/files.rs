//! Files of a directory, served: a service for the HTTP server, or for a place in an `axum::Router`.
//!
//! ```text
//! request ──▶ Files ──▶ job on a thread: resolve, open, conditions, ranges, first bytes ──▶ answer
//!                       FileBody: one job for each further piece, one piece ahead of the reader
//! ```
//!
//! - GET and HEAD; OPTIONS says so, and anything else is a 405.
//! - Content types by the name's extension ([`Files::content_type`] for others); `x-content-type-options: nosniff`.
//! - `etag` and `last-modified`, and every condition of RFC 9110 §13, in the order of §13.2.2.
//! - Ranges (RFC 9110 §14): one as it is, several as `multipart/byteranges`, of which overlapping and close ones become one, and more
//!   than [`Files::max_ranges`] are refused (416).
//! - A directory is its `index.html`; without one it is a list ([`Files::listing`]), or nothing. Without its slash it is a redirect.
//! - `page.html.br`, `.zst` and `.gz` beside `page.html`, and not older, are sent to whoever accepts them ([`Files::precompressed`]).
//!
//! # What is not served
//!
//! A target is decoded once. Dot segments, however they are encoded, encoded slashes, backslashes, NUL and other controls, and broken
//! encodings are a 400: no client sends them by itself. Names that begin with a dot are not found, but for `/.well-known/`
//! ([`Files::hidden`]); neither is what is no regular file.
//!
//! Beyond that no name is trusted: files are opened beneath a handle of the directory by `cap-std`, which on Linux is one `openat2`
//! with `RESOLVE_BENEATH`, and elsewhere a walk from handle to handle. A symbolic link that leads out of the directory (an absolute one
//! always does) is a 403, and there is no moment between a check and a use in which somebody could move it. This costs nothing on
//! Linux from 5.6 on, and elsewhere an open for each directory of the path. [`Symlinks::Anywhere`] turns it off.
//!
//! # Threads
//!
//! Reading a file blocks, so it is done on the threads of the `blocking` crate, which every executor can wait for: up to 500, started as
//! they are needed (`BLOCKING_MAX_THREADS`). A small file takes one job for everything; a larger one, one for each piece
//! ([`Files::piece_size`]), of which two are held at most. In a simulation, where time does not wait for threads, and for files in
//! memory, [`Files::on_threads`] turns that off.
//!
//! # Freshness
//!
//! The tag is made of the time of the last change, in nanoseconds, and the length, and is strong: a file that is changed twice within the
//! clock of the file system (milliseconds) and keeps its length has one tag for two contents. Put files in place by renaming them.
//! One that shrinks while it is sent ends its answer early, and the connection; one that grows is sent as long as it was.

mod answer;
mod body;
mod conditions;
mod job;
mod listing;
mod path;
mod range;
mod root;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

pub use body::FileBody;
use http::{HeaderValue, Request, Response};
use tower_service::Service;

use job::Job;
use root::Root;

/// What becomes of symbolic links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Symlinks {
    /// They are followed as long as they stay within the directory; others are a 403.
    #[default]
    Within,
    /// They are followed wherever they lead: for directories whose links only their owner makes.
    Anywhere,
}

/// The files of a directory as a service; see the [module](self).
///
/// ```no_run
/// use glowplug_runtime::http::files::Files;
/// # use glowplug_runtime::http::server::{Server, Serving};
/// # use glowplug_runtime::{Runtime, Spawn};
/// # async fn run<R: Runtime + Spawn<Serving<R, Files>>>(runtime: R) -> std::io::Result<()> {
/// let files = Files::new("public")?.listing(true);
/// let at = std::net::SocketAddr::from(([127, 0, 0, 1], 8080));
/// Server::bind(runtime, at).await?.run(files).await;
/// # Ok(())
/// # }
/// ```
///
/// Clones share the directory.
#[derive(Clone)]
pub struct Files {
    root: Arc<Root>,
    settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
struct Settings {
    symlinks: Symlinks,
    index: Option<String>,
    listing: bool,
    max_listing: usize,
    hidden: bool,
    precompressed: bool,
    fallback: Option<PathBuf>,
    cache_control: Option<HeaderValue>,
    content_types: Vec<(String, HeaderValue)>,
    max_ranges: usize,
    piece_size: usize,
    on_threads: bool,
}

impl Files {
    /// The files of `directory`, which is opened here and now: it may be renamed afterwards. Blocks for that moment.
    pub fn new(directory: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self {
            root: Arc::new(Root::open(directory.as_ref())?),
            settings: Arc::new(Settings {
                symlinks: Symlinks::default(),
                index: Some("index.html".to_owned()),
                listing: false,
                max_listing: 10_000,
                hidden: false,
                precompressed: false,
                fallback: None,
                cache_control: None,
                content_types: Vec::new(),
                max_ranges: 16,
                piece_size: 128 * 1024,
                on_threads: true,
            }),
        })
    }

    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Sets what becomes of symbolic links. Default [`Symlinks::Within`].
    pub fn symlinks(self, symlinks: Symlinks) -> Self {
        self.set(|settings| settings.symlinks = symlinks)
    }

    /// Sets the file that stands for its directory, or none. Default `index.html`.
    pub fn index<'a>(self, name: impl Into<Option<&'a str>>) -> Self {
        let name = name.into().map(str::to_owned);
        self.set(|settings| settings.index = name)
    }

    /// Sets whether a directory without an index is a page that lists it. Default no.
    pub fn listing(self, listing: bool) -> Self {
        self.set(|settings| settings.listing = listing)
    }

    /// Sets how many names a list has at most; it says so when there are more. Default 10,000.
    pub fn max_listing(self, names: usize) -> Self {
        self.set(|settings| settings.max_listing = names)
    }

    /// Sets whether names that begin with a dot are served and listed. Default no, `/.well-known/` (RFC 8615) apart.
    pub fn hidden(self, hidden: bool) -> Self {
        self.set(|settings| settings.hidden = hidden)
    }

    /// Sets whether a file's compressed sibling is sent to clients that accept it. Default no.
    pub fn precompressed(self, precompressed: bool) -> Self {
        self.set(|settings| settings.precompressed = precompressed)
    }

    /// Sets the file, relative to the directory, that is sent with status 200 where there is none and the client asks for a page (its
    /// `accept` names `text/html`), for applications that do their routing in the browser. Default none.
    pub fn fallback(self, file: impl Into<PathBuf>) -> Self {
        let file = file.into();
        self.set(|settings| settings.fallback = Some(file))
    }

    /// Sets the `cache-control` of files. Default none.
    pub fn cache_control(self, value: HeaderValue) -> Self {
        self.set(|settings| settings.cache_control = Some(value))
    }

    /// Sets the content type of names with this extension, in any case, ahead of what is known of it.
    pub fn content_type(self, extension: &str, value: HeaderValue) -> Self {
        self.set(|settings| settings.content_types.insert(0, (extension.to_owned(), value)))
    }

    /// Sets how many ranges one request may ask for; more are a 416. Default 16.
    pub fn max_ranges(self, ranges: usize) -> Self {
        self.set(|settings| settings.max_ranges = ranges)
    }

    /// Sets how many bytes are read at once. An answer holds two pieces at most. Default 128 KiB.
    pub fn piece_size(self, bytes: usize) -> Self {
        self.set(|settings| settings.piece_size = bytes.max(1))
    }

    /// Sets whether files are read on threads of their own. Default yes; without them whoever polls reads, and blocks meanwhile.
    pub fn on_threads(self, on_threads: bool) -> Self {
        self.set(|settings| settings.on_threads = on_threads)
    }
}

impl<B> Service<Request<B>> for Files {
    type Response = Response<FileBody>;
    type Error = Infallible;
    type Future = Finding;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Finding {
        let (parts, _) = request.into_parts();
        if let Some(refusal) = answer::refuse_method(&parts.method) {
            return Finding { job: Job::done(refusal) };
        }
        let (root, settings) = (self.root.clone(), self.settings.clone());
        let on_threads = settings.on_threads;
        Finding { job: Job::start(on_threads, move || answer::answer(&root, &settings, &parts)) }
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("root", &self.root).field("settings", &self.settings).finish()
    }
}

/// The future of [`Files`]. Dropping it gives the request up; a file that is being opened is closed.
#[must_use = "nobody is answered until the future is polled"]
#[derive(Debug)]
pub struct Finding {
    job: Job<Response<FileBody>>,
}

impl Future for Finding {
    type Output = Result<Response<FileBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(ready!(self.job.poll(cx))))
    }
}

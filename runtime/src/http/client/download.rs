//! Downloads that go on where they were cut off.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::time::Duration;

use glowplug_http::resume::{self, Resumed, Validator};
use http::{HeaderMap, StatusCode};

use super::error::ClientError;
use super::{RequestBuilder, Response};
use crate::Runtime;
use crate::dial::DialError;
use crate::http::Transferred;
use crate::time::sleep;

/// The pause before a second attempt; each one after it waits twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Where a download goes: what can be written, and begun anew.
pub trait Target: Write {
    /// Throws away what is behind the first `len` bytes, and writes on from there.
    fn restart(&mut self, len: u64) -> io::Result<()>;
}

impl Target for File {
    fn restart(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)?;
        self.seek(SeekFrom::Start(len)).map(drop)
    }
}

impl Target for Vec<u8> {
    fn restart(&mut self, len: u64) -> io::Result<()> {
        self.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }
}

/// A download that goes on where it was cut off, as long as the server still has the same (`Range` and `If-Range`), and begins anew otherwise.
///
/// ```no_run
/// # use glowplug_runtime::http::{Client, Download};
/// # async fn example<R: glowplug_runtime::Runtime>(client: Client<R>) -> Result<(), Box<dyn std::error::Error>> {
/// let mut file = std::fs::File::create("big.iso")?;
/// let mut download = Download::new();
/// download.run(|| client.get("http://example.org/big.iso"), &mut file, |progress| println!("{}", progress.done)).await?;
/// # Ok(()) }
/// ```
///
/// It says how far it is at any time. After a failure, or a dropped future, [`run`](Self::run) goes on; and so it does in another process, by
/// [`resume`](Self::resume).
#[derive(Clone, Debug)]
pub struct Download {
    done: u64,
    total: Option<u64>,
    validator: Option<Validator>,
    attempts: u32,
    max_len: Option<u64>,
}

/// Why a download is not complete.
#[derive(Debug)]
#[non_exhaustive]
pub enum DownloadError {
    /// The request, or the last of several attempts.
    Client(ClientError),
    /// The server answers with another status than that of a success, or with a part that was not asked for.
    Status(StatusCode),
    /// What came cannot be written.
    Write(io::Error),
    /// It is longer than [`max_len`](Download::max_len) allows, which is this many bytes.
    TooLong(u64),
}

impl fmt::Display for DownloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(_) => f.write_str("the download failed"),
            Self::Status(status) => write!(f, "the server answers {status}"),
            Self::Write(_) => f.write_str("the download cannot be written"),
            Self::TooLong(limit) => write!(f, "the download is longer than {limit} bytes"),
        }
    }
}

impl std::error::Error for DownloadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Client(error) => Some(error),
            Self::Write(error) => Some(error),
            Self::Status(_) | Self::TooLong(_) => None,
        }
    }
}

impl Default for Download {
    fn default() -> Self {
        Self::new()
    }
}

impl Download {
    /// A download from the beginning.
    pub fn new() -> Self {
        Self { done: 0, total: None, validator: None, attempts: 5, max_len: None }
    }

    /// A download of which `done` bytes are there, of what this validator stands for. Without one, it begins anew.
    pub fn resume(done: u64, validator: Option<Validator>) -> Self {
        Self { done, validator, ..Self::new() }
    }

    /// Sets how many requests [`run`](Self::run) makes in all before it gives up. Default 5, at least 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets how many bytes the download may have; `None`, the default, for as many as the server sends.
    pub fn max_len(mut self, bytes: Option<u64>) -> Self {
        self.max_len = bytes;
        self
    }

    /// Bytes that are there.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// The length of the whole, if the server has told.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// What tells whether the server still has the same: to be kept beside the file, for [`resume`](Self::resume).
    pub fn validator(&self) -> Option<&Validator> {
        self.validator.as_ref()
    }

    /// Downloads into `target` what the request made by `request` (a `GET`) brings: behind the bytes that are there, or from its beginning; what else
    /// `target` holds is thrown away. It tells `listen` after each piece how far it is. What is
    /// broken off by the network is taken up again, after a pause that doubles each time. Gives the length of the whole.
    ///
    /// Content codings are not asked for. Dropping the future loses nothing that was written: run it again.
    pub async fn run<R: Runtime>(
        &mut self,
        mut request: impl FnMut() -> RequestBuilder<R>,
        target: &mut (impl Target + ?Sized),
        mut listen: impl FnMut(Transferred),
    ) -> Result<u64, DownloadError> {
        let mut pause = PAUSE;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let request = self.ask(request());
            let runtime = request.client().inner.runtime.clone();
            let outcome = match request.send().await {
                Ok(answer) => self.take(answer, target, &mut listen).await,
                Err(error) => Err(DownloadError::Client(error)),
            };
            match outcome {
                Ok(true) => return Ok(self.done),
                // What was there is of no use any more.
                Ok(false) if attempt < self.attempts => {}
                Ok(false) => return Err(DownloadError::Status(StatusCode::RANGE_NOT_SATISFIABLE)),
                Err(DownloadError::Client(error)) if attempt < self.attempts && is_cut(&error) => {}
                Err(error) => return Err(error),
            }
            sleep(&runtime, pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn ask<R: Runtime>(&self, request: RequestBuilder<R>) -> RequestBuilder<R> {
        let mut headers = HeaderMap::new();
        resume::ask(&mut headers, self.done, self.validator.as_ref());
        // What a server codes all the same is kept as it comes: offsets count in that.
        #[cfg(feature = "http-compression")]
        let request = request.decode(None);
        request.headers(headers)
    }

    /// Writes what an answer has. True if that was all, false if one has to begin anew.
    async fn take<R: Runtime>(
        &mut self,
        mut answer: Response<R>,
        target: &mut (impl Target + ?Sized),
        listen: &mut impl FnMut(Transferred),
    ) -> Result<bool, DownloadError> {
        match resume::answer(answer.status(), answer.headers(), self.done) {
            Resumed::Complete => return Ok(true),
            Resumed::Rest { total } => {
                target.restart(self.done).map_err(DownloadError::Write)?;
                self.total = total;
            }
            Resumed::Whole => {
                target.restart(0).map_err(DownloadError::Write)?;
                self.done = 0;
                self.total = answer.content_length();
                self.validator = Validator::of(answer.headers());
            }
            Resumed::Other if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE && self.done > 0 => {
                self.validator = None;
                return Ok(false);
            }
            Resumed::Other => return Err(DownloadError::Status(answer.status())),
        }
        let limit = self.max_len.unwrap_or(u64::MAX);
        if self.total.is_some_and(|total| total > limit) {
            return Err(DownloadError::TooLong(limit));
        }
        while let Some(piece) = answer.chunk().await.map_err(DownloadError::Client)? {
            if self.done + piece.len() as u64 > limit {
                return Err(DownloadError::TooLong(limit));
            }
            target.write_all(&piece).map_err(|error| self.undo(target, error))?;
            self.done += piece.len() as u64;
            listen(Transferred { done: self.done, total: self.total });
        }
        target.flush().map_err(DownloadError::Write)?;
        Ok(true)
    }

    /// What was written of a piece is not counted.
    fn undo(&self, target: &mut (impl Target + ?Sized), error: io::Error) -> DownloadError {
        let _ = target.restart(self.done);
        DownloadError::Write(error)
    }
}

/// True when it may go better next time.
fn is_cut(error: &ClientError) -> bool {
    match error {
        ClientError::Connection { .. } | ClientError::TimedOut { .. } => true,
        ClientError::Dial(error) => !matches!(error, DialError::Tls(_)),
        _ => false,
    }
}

impl<R: Runtime> Response<R> {
    /// Writes the body to `writer` as it comes, and tells `listen` after each piece how far it is. Gives its length.
    ///
    /// Each piece is written by the thread that reads it, which waits for the disk. Dropping the future drops the body; what was written stays.
    pub async fn write_to(
        mut self,
        writer: &mut (impl Write + ?Sized),
        mut listen: impl FnMut(Transferred),
    ) -> Result<u64, DownloadError> {
        let mut progress = Transferred { done: 0, total: self.content_length() };
        while let Some(piece) = self.chunk().await.map_err(DownloadError::Client)? {
            writer.write_all(&piece).map_err(DownloadError::Write)?;
            progress.done += piece.len() as u64;
            listen(progress);
        }
        writer.flush().map_err(DownloadError::Write)?;
        Ok(progress.done)
    }
}

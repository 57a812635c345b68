//! One conversation: its stream, its buffers and its verbs.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_io::AsyncRead;
use glowplug_core::framer::{Framer, LineEnding, Rule};
use glowplug_core::{Instant, keep};

use super::verbs::Goal;
use super::{Config, Error, Read, Stream, Write};
use crate::drive::{Deadline, Pump};
use crate::server::{Stopper, Stopping};
use crate::{Endpoint, Runtime};

/// How many reads of the transport one task makes before it lets others run.
const READS_PER_TURN: u32 = 32;

/// How much of a source is read at once.
const SOURCE_CHUNK: usize = 16 * 1024;

/// How much a closed connection throws away while it waits for the peer's end: a peer that sends more has not heard us.
const MAX_DISCARDED: usize = 1024 * 1024;

/// One conversation over a byte stream.
///
/// Every verb may be dropped at any await, by `select` or a deadline, and called again: no byte is lost, doubled or moved. What was sent
/// goes out while any verb is waiting; [`flush`](Self::flush) makes sure of it.
///
/// In a function that [`Service::serve`](super::Service::serve) runs, dropping the connection flushes and closes it, and so does the
/// function's end. Elsewhere dropping it closes the socket at once: [`close`](Self::close) it, if what was sent last matters.
pub struct Connection<R: Runtime> {
    // Taken out by whoever ends this value; there until then.
    inner: Option<Box<Inner<R>>>,
    home: Option<Arc<Home<R>>>,
}

/// What a connection is taken apart into, for another protocol on the same stream.
#[derive(Debug)]
pub struct Parts<T> {
    /// The stream.
    pub stream: T,
    /// What came and was not read yet.
    pub input: BytesMut,
    /// What was sent and the stream has not taken yet.
    pub unsent: Bytes,
}

pub(super) struct Inner<R: Runtime> {
    pub(super) runtime: R,
    pub(super) pump: Pump<Stream<R>>,
    pub(super) config: Config,
    framer: Framer,
    peer: Option<Endpoint>,
    stopper: Option<Stopper>,
    /// One verb runs at a time, so one deadline is enough.
    pub(super) deadline: Deadline<R::Timer>,
    /// How long the frame that comes next was waited for already, by reads that were given up.
    pub(super) waited: Duration,
    reads: u32,
    pub(super) finished: bool,
}

impl<R: Runtime> Connection<R> {
    /// A conversation over a stream that is connected already, by a [`Dialer`](crate::dial::Dialer) for example.
    pub fn new(runtime: R, stream: Stream<R>) -> Self {
        Self { inner: Some(Box::new(Inner::new(runtime, stream, None, Config::default(), None))), home: None }
    }

    pub(super) fn served(inner: Box<Inner<R>>, home: Arc<Home<R>>) -> Self {
        Self { inner: Some(inner), home: Some(home) }
    }

    /// Sets limits and deadlines, from the next verb on.
    pub fn config(mut self, config: Config) -> Self {
        self.inner_mut().set_config(config);
        self
    }

    /// Where the peer of a served connection comes from. `None` for a connection of our own making.
    pub fn peer(&self) -> Option<&Endpoint> {
        self.inner().peer.as_ref()
    }

    /// The runtime it runs on.
    pub fn runtime(&self) -> &R {
        &self.inner().runtime
    }

    /// The stream, for what these verbs have no word for, such as the session of TLS.
    pub fn stream(&self) -> &Stream<R> {
        self.inner().pump.transport()
    }

    /// Resolves when the service wants to stop: finish what was begun, and return. On a connection that no service accepted it never does.
    pub fn stopping(&self) -> Stopping {
        self.inner().stopper.as_ref().map_or_else(|| Stopper::new().stopping(), Stopper::stopping)
    }

    /// What came and was not read yet.
    pub fn buffered(&self) -> &[u8] {
        self.inner().pump.input()
    }

    /// How many bytes were sent and are still queued here.
    pub fn unsent(&self) -> usize {
        self.inner().pump.queued()
    }

    // ---- reading ----

    /// Reads one frame. Whole frames that came before the peer's end are read first, then comes [`Error::Closed`] with what is left.
    pub fn read(&mut self, rule: Rule) -> Read<'_, R> {
        Read::new(self.inner_mut(), Ok(rule))
    }

    /// Reads exactly `count` bytes; none at once if that is zero.
    pub fn read_exact(&mut self, count: usize) -> Read<'_, R> {
        self.read(Rule::Exact(count))
    }

    /// Reads up to and including `delimiter`, of 1 to 32 bytes.
    pub fn read_until(&mut self, delimiter: &[u8]) -> Read<'_, R> {
        let rule = Rule::until(delimiter);
        Read::new(self.inner_mut(), rule)
    }

    /// Reads one line, ended by LF or CR LF, and takes the ending off.
    pub fn read_line(&mut self) -> Read<'_, R> {
        self.read(Rule::Line(LineEnding::Either))
    }

    /// Reads whatever is there, and waits until something is: at least one byte.
    pub fn read_any(&mut self) -> Read<'_, R> {
        self.read(Rule::Any)
    }

    // ---- sending ----

    /// Sends `bytes`: waits while too much is queued for this peer, then queues all of them and writes what the system takes at once.
    ///
    /// Dropped before it is done, it has sent nothing of `bytes`.
    pub fn send(&mut self, bytes: impl Into<Bytes>) -> Write<'_, R> {
        Write::new(self.inner_mut(), Goal::Send(bytes.into()))
    }

    /// Queues `bytes` like [`send`](Self::send), and leaves the writing to the next verb: for several small pieces in a row.
    ///
    /// Dropped before it is done, it has queued nothing of `bytes`.
    pub fn feed(&mut self, bytes: impl Into<Bytes>) -> Write<'_, R> {
        Write::new(self.inner_mut(), Goal::Feed(bytes.into()))
    }

    /// Waits until the system has taken everything that was sent.
    ///
    /// Dropped before it is done, what is queued stays queued.
    pub fn flush(&mut self) -> Write<'_, R> {
        Write::new(self.inner_mut(), Goal::Flush)
    }

    /// Flushes, and tells the peer that no more will come: a half-close. Reading goes on.
    ///
    /// Dropped before it is done, it may be called again; calling it twice is harmless.
    pub fn finish(&mut self) -> Write<'_, R> {
        Write::new(self.inner_mut(), Goal::Finish)
    }

    /// Sends all of `source`, as fast as the peer takes it, and says how much that was.
    ///
    /// Dropped before it is done, what was read of `source` is queued: called again, it goes on where it was.
    pub async fn send_stream<S: AsyncRead + Unpin>(&mut self, source: &mut S) -> Result<u64, Error> {
        let mut chunk = vec![0; SOURCE_CHUNK];
        let mut total = 0;
        loop {
            Write::new(self.inner_mut(), Goal::Room).await?;
            let inner = self.inner_mut();
            let count = poll_fn(|cx| {
                // What is queued goes out while the source thinks.
                let _ = inner.pump.poll_write_out(cx);
                let count = ready!(Pin::new(&mut *source).poll_read(cx, &mut chunk))?;
                // In the same poll, so that nothing is read and not queued.
                inner.pump.output_mut().put_slice(&chunk[..count]);
                Poll::Ready(Ok(count))
            });
            match count.await {
                Ok(0) => return Ok(total),
                Ok(count) => total += count as u64,
                Err(error) => return Err(Error::Source(error)),
            }
        }
    }

    /// Sends all that `source` gives, as fast as the peer takes it, and says how much that was.
    ///
    /// Reading blocks the thread, which is right for memory and for files on a local disk. For slower sources there is
    /// [`send_stream`](Self::send_stream), with the files of your executor. Dropped before it is done, what was read is queued: called
    /// again, it goes on where it was.
    pub async fn send_reader<S: io::Read>(&mut self, source: &mut S) -> Result<u64, Error> {
        let mut chunk = vec![0; SOURCE_CHUNK];
        let mut total = 0;
        loop {
            Write::new(self.inner_mut(), Goal::Room).await?;
            match source.read(&mut chunk) {
                Ok(0) => return Ok(total),
                Ok(count) => {
                    self.inner_mut().pump.output_mut().put_slice(&chunk[..count]);
                    total += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Source(error)),
            }
        }
    }

    /// Sends a file on a local disk, by [`send_reader`](Self::send_reader), and says how long it is.
    ///
    /// Dropped before it is done, an unknown part of the file is queued: close the connection then.
    pub async fn send_file(&mut self, path: impl AsRef<Path>) -> Result<u64, Error> {
        let mut file = std::fs::File::open(path).map_err(Error::Source)?;
        self.send_reader(&mut file).await
    }

    // ---- the end ----

    /// Flushes, tells the peer that no more will come, and waits up to [`Config::linger`] for its end. What the peer still sends is thrown
    /// away.
    ///
    /// Dropped before it is done, the socket is closed at once.
    pub async fn close(mut self) -> Result<(), Error> {
        let inner = self.take();
        let mut closing = Closing::new(inner);
        poll_fn(|cx| closing.poll(cx)).await
    }

    /// Takes everything apart, for another protocol on the same stream. It is nobody's to close then but yours.
    pub fn into_parts(mut self) -> Parts<Stream<R>> {
        let (stream, input, mut output) = self.take().pump.into_parts();
        Parts { stream, input, unsent: output.take_all() }
    }

    fn take(&mut self) -> Box<Inner<R>> {
        if let Some(home) = self.home.take() {
            home.lock().lost = true;
        }
        self.inner.take().expect("it is taken once, by what consumes the connection")
    }

    fn inner(&self) -> &Inner<R> {
        self.inner.as_ref().expect("it is there until the connection is consumed")
    }

    fn inner_mut(&mut self) -> &mut Inner<R> {
        self.inner.as_mut().expect("it is there until the connection is consumed")
    }
}

impl<R: Runtime> Drop for Connection<R> {
    fn drop(&mut self) {
        let Some(home) = self.home.take() else { return };
        let task = {
            let mut state = home.lock();
            state.back = self.inner.take();
            state.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl<R: Runtime> fmt::Debug for Connection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

/// Where a served connection goes when it is dropped: the service's task closes it in good order.
pub(super) struct Home<R: Runtime>(Mutex<AtHome<R>>);

pub(super) struct AtHome<R: Runtime> {
    /// It came back.
    pub(super) back: Option<Box<Inner<R>>>,
    /// It will not come back.
    pub(super) lost: bool,
    pub(super) task: Option<Waker>,
}

impl<R: Runtime> Home<R> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(AtHome { back: None, lost: false, task: None })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, AtHome<R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Runtime> Inner<R> {
    pub(super) fn new(
        runtime: R,
        stream: Stream<R>,
        peer: Option<Endpoint>,
        config: Config,
        stopper: Option<Stopper>,
    ) -> Self {
        let deadline = Deadline::new(runtime.timer());
        let mut inner = Self {
            runtime,
            pump: Pump::new(stream, BytesMut::new()),
            config: Config::default(),
            framer: Framer::new(Rule::Any),
            peer,
            stopper,
            deadline,
            waited: Duration::ZERO,
            reads: 0,
            finished: false,
        };
        inner.set_config(config);
        inner
    }

    fn set_config(&mut self, config: Config) {
        self.framer.set_max_frame_len(config.max_frame_len);
        self.pump.output_mut().set_room(config.write_buffer);
        self.config = config;
    }

    /// The next frame, as soon as it is whole.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>, rule: Rule) -> Poll<Result<Bytes, Error>> {
        self.framer.set_rule(rule);
        loop {
            let holder = self.pump.input().len();
            match self.framer.decode(self.pump.input_mut()) {
                Ok(Some(frame)) => return Poll::Ready(Ok(keep(frame.freeze(), holder))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(Error::Frame(error))),
            }
            if self.pump.at_end() {
                let remainder = Bytes::copy_from_slice(self.pump.input());
                return Poll::Ready(Err(Error::Closed { remainder }));
            }
            // The peer may wait for what is queued here before it says more. If that cannot be written, what the peer said before
            // still counts, and reading finds the end by itself.
            let _ = self.pump.poll_write_out(cx);
            if self.reads >= READS_PER_TURN {
                self.reads = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.reads += 1;
            match self.pump.poll_read(cx) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Error::Io(error))),
                Poll::Pending => {
                    self.reads = 0;
                    self.pump.release_memory();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Ready once `at` has come.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>, at: Option<Instant>) -> Poll<()> {
        let now = self.runtime.now();
        self.deadline.set(at);
        self.deadline.poll(cx, now)
    }

    /// Why nothing can be sent any more, if that is so.
    pub(super) fn send_error(&mut self) -> Option<Error> {
        if self.finished {
            return Some(Error::Finished);
        }
        if !self.pump.write_failed() {
            return None;
        }
        let error = self.pump.take_write_error().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
        Some(Error::Io(error))
    }
}

/// A connection that is being closed: flush, half-close, and a short wait for the peer's end.
pub(super) struct Closing<R: Runtime> {
    inner: Box<Inner<R>>,
    /// When the peer has taken nothing, or not ended, for too long.
    until: Option<Instant>,
    result: Option<Result<(), Error>>,
    discarded: usize,
}

impl<R: Runtime> Closing<R> {
    pub(super) fn new(inner: Box<Inner<R>>) -> Self {
        Self { inner, until: None, result: None, discarded: 0 }
    }

    /// Ready once the socket may be dropped, with how the flush went.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = &mut *self;
        if this.result.is_none() {
            let goal = Goal::Finish;
            let result = ready!(goal.poll(&mut this.inner, &mut this.until, cx));
            let failed = result.is_err();
            this.result = Some(result);
            this.until = Some(this.inner.runtime.now() + this.inner.config.linger);
            if failed {
                this.until = None;
            }
        }
        let lingering = this.until.is_some() && !this.inner.pump.at_end();
        while lingering && this.discarded <= MAX_DISCARDED {
            if this.inner.poll_deadline(cx, this.until).is_ready() {
                break;
            }
            this.inner.pump.input_mut().clear();
            match ready!(this.inner.pump.poll_read(cx)) {
                Ok(count) if count > 0 => this.discarded += count,
                Ok(_) | Err(_) => break,
            }
        }
        Poll::Ready(this.result.take().unwrap_or(Ok(())))
    }
}

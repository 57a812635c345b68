//! Two halves of one socket, for two tasks.
//!
//! The link lies under one lock, and both halves drive it. A transport knows only the latest waker of each direction, so it is always given
//! the same one, which wakes whichever half sleeps.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_core::Stream;
use futures_sink::Sink;
use glowplug_websocket::{CloseCode, CloseFrame, Event, Message};

use super::Error;
use super::link::Link;
use crate::{Runtime, Transport};

/// The receiving half of a [`WebSocket`](super::WebSocket). When it is dropped, what the peer says is thrown away, and pings and its
/// good-bye are answered as long as the other half is polled.
pub struct Reader<R: Runtime, T: Transport> {
    shared: Arc<Shared<R, T>>,
}

/// The sending half of a [`WebSocket`](super::WebSocket). Dropping it says nothing to the peer: [`close`](Self::close) does.
pub struct Writer<R: Runtime, T: Transport> {
    shared: Arc<Shared<R, T>>,
}

struct Shared<R: Runtime, T> {
    link: Mutex<Link<R, T>>,
    sleepers: Arc<Sleepers>,
    waker: Waker,
}

/// Who is to be woken.
#[derive(Default)]
struct Sleepers {
    reader: Mutex<Option<Waker>>,
    writer: Mutex<Option<Waker>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(sleeper: &Mutex<Option<Waker>>, cx: &Context<'_>) {
    let mut sleeper = lock(sleeper);
    match &mut *sleeper {
        Some(waker) => waker.clone_from(cx.waker()),
        none => *none = Some(cx.waker().clone()),
    }
}

fn wake(sleeper: &Mutex<Option<Waker>>) {
    let waker = lock(sleeper).take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Wake for Sleepers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        wake(&self.reader);
        wake(&self.writer);
    }
}

pub(super) fn split<R: Runtime, T: Transport>(link: Link<R, T>) -> (Reader<R, T>, Writer<R, T>) {
    let sleepers = Arc::new(Sleepers::default());
    let waker = Waker::from(sleepers.clone());
    let shared = Arc::new(Shared { link: Mutex::new(link), sleepers, waker });
    (Reader { shared: shared.clone() }, Writer { shared })
}

impl<R: Runtime, T: Transport> Shared<R, T> {
    /// Polls the link for the reader, and wakes the writer if that has moved something for it.
    fn poll_reader<O>(
        &self,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Link<R, T>, &mut Context<'_>) -> Poll<O>,
    ) -> Poll<O> {
        note(&self.sleepers.reader, cx);
        let mut link = lock(&self.link);
        let polled = poll(&mut link, &mut Context::from_waker(&self.waker));
        let relief = link.has_relief();
        drop(link);
        if relief {
            wake(&self.sleepers.writer);
        }
        polled
    }

    /// Polls the link for the writer, and wakes the reader if that has moved something for it.
    fn poll_writer<O>(
        &self,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Link<R, T>, &mut Context<'_>) -> Poll<O>,
    ) -> Poll<O> {
        note(&self.sleepers.writer, cx);
        let mut link = lock(&self.link);
        let polled = poll(&mut link, &mut Context::from_waker(&self.waker));
        let news = link.has_news();
        drop(link);
        if news {
            wake(&self.sleepers.reader);
        }
        polled
    }
}

impl<R: Runtime, T: Transport> Reader<R, T> {
    /// The next whole message, as of [`WebSocket::recv`](super::WebSocket::recv).
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.shared.poll_reader(cx, Link::poll_message)).await
    }

    /// The next thing that happens, as of [`WebSocket::next_event`](super::WebSocket::next_event).
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn next_event(&mut self) -> Result<Option<Event>, Error> {
        poll_fn(|cx| self.shared.poll_reader(cx, Link::poll_event)).await
    }

    /// The code and reason of the peer's good-bye, once it has come with such.
    pub fn close_frame(&self) -> Option<CloseFrame> {
        lock(&self.shared.link).goodbye().cloned()
    }
}

impl<R: Runtime, T: Transport> Writer<R, T> {
    /// Sends a message, as of [`WebSocket::send`](super::WebSocket::send).
    ///
    /// Dropping the future sends the message whole or not at all.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.feed(message).await?;
        self.flush().await
    }

    /// Queues a message as soon as there is room, as of [`WebSocket::feed`](super::WebSocket::feed).
    ///
    /// Dropping the future before it is done queues nothing.
    pub async fn feed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        poll_fn(|cx| self.shared.poll_writer(cx, Link::poll_room)).await?;
        lock(&self.shared.link).send(message.into())
    }

    /// Waits until the transport has taken what was queued.
    ///
    /// Dropping the future loses nothing.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.shared.poll_writer(cx, Link::poll_flush)).await
    }

    /// Says good-bye and waits until that is sent; the peer's is for the [`Reader`] to hear.
    ///
    /// Dropping the future loses nothing: the good-bye goes out with the next thing that is done on either half.
    pub async fn close(&mut self) -> Result<(), Error> {
        self.close_with(CloseCode::NORMAL).await
    }

    /// Says good-bye with a code and a reason, as [`close`](Self::close) does.
    pub async fn close_with(&mut self, frame: impl Into<CloseFrame>) -> Result<(), Error> {
        lock(&self.shared.link).close(&frame.into());
        self.flush().await
    }

    /// True while messages are taken for sending: neither end has said good-bye.
    pub fn is_open(&self) -> bool {
        lock(&self.shared.link).is_open()
    }
}

impl<R: Runtime, T: Transport> Drop for Reader<R, T> {
    fn drop(&mut self) {
        lock(&self.shared.link).stop_listening();
        // What waited to be taken is gone, and the writer can read on.
        wake(&self.shared.sleepers.writer);
    }
}

impl<R: Runtime, T: Transport> Stream for Reader<R, T> {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.shared.poll_reader(cx, Link::poll_message).map(Result::transpose)
    }
}

impl<R: Runtime, T: Transport> Sink<Message> for Writer<R, T> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.shared.poll_writer(cx, Link::poll_room)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        lock(&self.shared.link).send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.shared.poll_writer(cx, Link::poll_flush)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        lock(&self.shared.link).close(&CloseCode::NORMAL.into());
        self.shared.poll_writer(cx, Link::poll_flush)
    }
}

impl<R: Runtime, T: Transport> fmt::Debug for Reader<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl<R: Runtime, T: Transport> fmt::Debug for Writer<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

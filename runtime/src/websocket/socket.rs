//! The socket people hold.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use glowplug_websocket::{CloseCode, CloseFrame, Event, Message, MessageKind};

use super::link::Link;
use super::split::{self, Reader, Writer};
use super::{Connector, Error};
use crate::http::Stream as HttpStream;
use crate::{Runtime, Transport};

/// A WebSocket: messages both ways, as async functions and as a [`Stream`] and [`Sink`].
///
/// Every future may be dropped at any await. Dropping the socket itself closes the transport without a good-bye, as a crash would:
/// [`close`](Self::close) says one.
///
/// By [`send`](Self::send) the socket moves alone: while nobody receives, pings are answered by whoever sends, up to the first message
/// that waits to be received. Two ends that send much and receive nothing wait for each other: receive meanwhile, by
/// [`split`](Self::split).
pub struct WebSocket<R: Runtime, T = HttpStream<R>> {
    link: Link<R, T>,
    protocol: Option<String>,
}

impl<R: Runtime + Default> WebSocket<R> {
    /// Connects to a `ws` or `wss` URL with the default settings; [`Connector`] has others. On tokio, inside a runtime.
    ///
    /// Dropping the future closes what was begun.
    pub async fn connect(url: &str) -> Result<Self, super::ConnectError> {
        Connector::new(R::default()).connect(url).await
    }
}

impl<R: Runtime, T: Transport> WebSocket<R, T> {
    pub(super) fn new(link: Link<R, T>, protocol: Option<String>) -> Self {
        Self { link, protocol }
    }

    /// The subprotocol that was agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// The next whole message. `None` when the connection is over in good order, after the good-byes of both ends
    /// ([`close_frame`](Self::close_frame) has the peer's). After an error, `None` comes as well.
    ///
    /// Where the configuration asks for [pieces](glowplug_websocket::Config::pieces) there are no whole messages: use
    /// [`next_event`](Self::next_event).
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.link.poll_message(cx)).await
    }

    /// The next thing that happens: messages or their pieces, pings (which are answered already), pongs, the peer's good-bye. `None`
    /// as for [`recv`](Self::recv).
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn next_event(&mut self) -> Result<Option<Event>, Error> {
        poll_fn(|cx| self.link.poll_event(cx)).await
    }

    /// Sends a message: waits for room, queues it, and waits until the transport has taken it.
    ///
    /// Dropping the future sends the message whole or not at all: not if there was no room yet; otherwise it goes out with the next
    /// thing that is done on the socket.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.feed(message).await?;
        self.flush().await
    }

    /// Queues a message as soon as there is room, to be sent by [`flush`](Self::flush) together with others.
    ///
    /// Dropping the future before it is done queues nothing.
    pub async fn feed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        poll_fn(|cx| self.link.poll_room(cx)).await?;
        self.link.send(message.into())
    }

    /// Waits until the transport has taken what was queued.
    ///
    /// Dropping the future loses nothing.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.link.poll_flush(cx)).await
    }

    /// Sends a piece of a message; `last` ends it. All pieces of a message are of one kind; other messages wait until it is
    /// complete, control frames don't.
    ///
    /// Dropping the future sends the piece whole or not at all, as with [`send`](Self::send).
    pub async fn send_data(
        &mut self,
        kind: MessageKind,
        data: impl Into<Bytes>,
        last: bool,
    ) -> Result<(), Error> {
        poll_fn(|cx| self.link.poll_room(cx)).await?;
        self.link.send_data(kind, data.into(), last)?;
        self.flush().await
    }

    /// Sends a ping of up to 125 bytes; the pong is told by [`next_event`](Self::next_event). Not needed to keep the connection
    /// alive: the configuration's [`ping_interval`](glowplug_websocket::Config::ping_interval) does that.
    pub async fn ping(&mut self, payload: impl Into<Bytes>) -> Result<(), Error> {
        poll_fn(|cx| self.link.poll_room(cx)).await?;
        self.link.ping(payload.into())?;
        self.flush().await
    }

    /// Says good-bye, waits for the peer's, and closes the transport; messages that come meanwhile are dropped. It takes no longer than the
    /// configuration's [`close_timeout`](glowplug_websocket::Config::close_timeout), twice for a client whose server does not close the
    /// stream.
    ///
    /// Dropping the future loses nothing: call again, or [`recv`](Self::recv) on to hear what the peer still says.
    pub async fn close(&mut self) -> Result<(), Error> {
        self.close_with(CloseCode::NORMAL).await
    }

    /// Says good-bye with a code and a reason, as [`close`](Self::close) does.
    pub async fn close_with(&mut self, frame: impl Into<CloseFrame>) -> Result<(), Error> {
        self.link.close(&frame.into());
        poll_fn(|cx| self.link.poll_end(cx)).await
    }

    /// The code and reason of the peer's good-bye, once it has come with such.
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        self.link.goodbye()
    }

    /// True while messages are taken for sending: neither end has said good-bye.
    pub fn is_open(&self) -> bool {
        self.link.is_open()
    }

    /// Two halves, for two tasks. Each moves both directions while it is polled.
    pub fn split(self) -> (Reader<R, T>, Writer<R, T>) {
        split::split(self.link)
    }
}

impl<R: Runtime, T: Transport + Unpin> Stream for WebSocket<R, T> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.link.poll_message(cx).map(Result::transpose)
    }
}

impl<R: Runtime, T: Transport + Unpin> Sink<Message> for WebSocket<R, T> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.link.poll_room(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.link.send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.link.poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.link.close(&CloseCode::NORMAL.into());
        self.link.poll_end(cx)
    }
}

impl<R: Runtime, T> fmt::Debug for WebSocket<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("link", &self.link)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

//! Byte streams.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use glowplug_core::SendBuf;
use glowplug_runtime::{Endpoint, Transport};

use crate::net::ConnectionId;
use crate::world::Handle;

/// One end of a connection. Dropping it closes the connection; with unread data it resets it, as TCP does.
#[derive(Debug)]
pub struct Stream {
    world: Handle,
    id: u64,
    end: usize,
}

impl Stream {
    /// The name of the connection, the same at both ends: for [`Net::cut_connection`](crate::Net::cut_connection).
    pub fn id(&self) -> ConnectionId {
        ConnectionId(self.id)
    }
}

impl Transport for Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        self.world.with(|world| world.read(self.id, self.end, buf, cx.waker()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut SendBuf) -> Poll<io::Result<usize>> {
        self.world.with(|world| world.write(self.id, self.end, out, cx.waker()))
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.world.with(|world| world.shutdown(self.id, self.end));
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.world.with(|world| world.release(self.id, self.end));
    }
}

/// A connection on its way. Dropping it gives up.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Connecting {
    stream: Option<Stream>,
    failure: Option<io::Error>,
}

impl Connecting {
    pub(crate) fn start(world: Handle, host: u64, to: &Endpoint) -> Self {
        match world.with(|world| world.connect(host, to)) {
            Ok(id) => Self { stream: Some(Stream { world, id, end: 0 }), failure: None },
            Err(error) => Self { stream: None, failure: Some(error) },
        }
    }
}

impl Future for Connecting {
    type Output = io::Result<Stream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(error) = self.failure.take() {
            return Poll::Ready(Err(error));
        }
        let stream = self.stream.as_ref().expect("a future is not polled after it was ready");
        let outcome = ready!(stream.world.with(|world| world.poll_connected(stream.id, cx.waker())));
        let stream = self.stream.take().expect("it was there a line above");
        Poll::Ready(outcome.map(|()| stream))
    }
}

/// A listening socket. Dropping it resets what waits to be accepted.
#[derive(Debug)]
pub struct Listener {
    world: Handle,
    id: u64,
    at: Endpoint,
}

impl Listener {
    pub(crate) fn bind(world: Handle, host: u64, at: &Endpoint) -> io::Result<Self> {
        let (id, at) = world.with(|world| world.listen(host, at))?;
        Ok(Self { world, id, at })
    }
}

impl glowplug_runtime::Listener for Listener {
    type Stream = Stream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Endpoint)>> {
        let (id, peer) = ready!(self.world.with(|world| world.accept(self.id, cx.waker())))?;
        Poll::Ready(Ok((Stream { world: self.world.clone(), id, end: 1 }, peer)))
    }

    fn local_endpoint(&self) -> io::Result<Endpoint> {
        Ok(self.at.clone())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.world.with(|world| world.unlisten(self.id));
    }
}

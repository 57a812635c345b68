//! Bridges: any `futures::io` stream as a transport, and any transport as a `futures::io` stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use futures_io::{AsyncRead, AsyncWrite};
use glowplug_core::SendBuf;

use crate::{Transport, read_with, write_with};

/// Any `futures::io` stream as a [`Transport`].
///
/// Its `close` is taken for a half-close, which it is for TLS streams and most adapters. Executors' own sockets differ: some close both
/// directions at once, and smol's Unix streams tell the peer nothing. For sockets, use the plug's stream instead.
#[derive(Debug)]
pub struct FromFutures<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Unpin> Transport for FromFutures<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        read_with(buf, |landing| Pin::new(&mut self.0).poll_read(cx, landing))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut SendBuf) -> Poll<io::Result<usize>> {
        write_with(out, |slices| Pin::new(&mut self.0).poll_write_vectored(cx, slices))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

/// Any [`Transport`] as a `futures::io` stream, for code that wants one.
#[derive(Debug)]
pub struct IntoFutures<T> {
    transport: T,
    /// What was read and did not fit into the caller's slice.
    input: BytesMut,
    /// What was accepted and not written yet; at most one write's worth.
    output: SendBuf,
}

impl<T: Transport> IntoFutures<T> {
    /// Wraps `transport`.
    pub fn new(transport: T) -> Self {
        Self { transport, input: BytesMut::new(), output: SendBuf::new() }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            ready!(self.transport.poll_write(cx, &mut self.output))?;
        }
        Poll::Ready(Ok(()))
    }
}

// The transport is used by plain `&mut`; nothing relies on its place.
impl<T> Unpin for IntoFutures<T> {}

impl<T: Transport> AsyncRead for IntoFutures<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.input.is_empty()
            && !buf.is_empty()
            && ready!(this.transport.poll_read(cx, &mut this.input))? == 0
        {
            return Poll::Ready(Ok(0));
        }
        let n = buf.len().min(this.input.len());
        this.input.copy_to_slice(&mut buf[..n]);
        Poll::Ready(Ok(n))
    }
}

impl<T: Transport> AsyncWrite for IntoFutures<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(cx))?;
        let n = buf.len().min(self.output.room());
        self.output.put_slice(&buf[..n]);
        // Accepted is accepted: a busy transport is asked again by the next call.
        match self.poll_drain(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(n)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        self.transport.poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        self.transport.poll_shutdown(cx)
    }
}

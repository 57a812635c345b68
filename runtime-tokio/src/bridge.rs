//! A bridge: any `tokio::io` stream as a transport.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use glowplug_core::SendBuf;
use glowplug_runtime::{Transport, read_with, write_with};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Any `tokio::io` stream as a [`Transport`]: a TLS stream of your own, a pipe, one half of a duplex.
#[derive(Debug)]
pub struct FromTokio<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Unpin> Transport for FromTokio<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        read_with(buf, |landing| {
            let mut landing = ReadBuf::new(landing);
            ready!(Pin::new(&mut self.0).poll_read(cx, &mut landing))?;
            Poll::Ready(Ok(landing.filled().len()))
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut SendBuf) -> Poll<io::Result<usize>> {
        write_with(out, |slices| Pin::new(&mut self.0).poll_write_vectored(cx, slices))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

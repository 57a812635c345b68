//! A stream that is under TLS or not.

use std::io;
use std::task::{Context, Poll};

use bytes::BytesMut;
use glowplug_core::SendBuf;

use crate::Transport;

/// A stream that is under TLS or not, so that one client type serves both.
#[derive(Debug)]
pub enum MaybeTls<T> {
    /// As it comes.
    Plain(T),
    /// Under TLS. Boxed: sessions are large.
    #[cfg(feature = "tls")]
    Tls(Box<crate::tls::Tls<T>>),
}

impl<T: Transport> Transport for MaybeTls<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_read(cx, buf),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.poll_read(cx, buf),
        }
    }

    fn poll_look(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_look(cx, buf),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.poll_look(cx, buf),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut SendBuf) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_write(cx, out),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.poll_write(cx, out),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_flush(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.poll_flush(cx),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.poll_shutdown(cx),
        }
    }

    fn prefer_readiness(&mut self) {
        match self {
            Self::Plain(stream) => stream.prefer_readiness(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.prefer_readiness(),
        }
    }
}

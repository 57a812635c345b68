//! Byte streams.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use glowplug_core::SendBuf;
use glowplug_runtime::{Endpoint, Transport, has_ample_room, read_with, write_with};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

/// A TCP or Unix stream on tokio's reactor.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    #[cfg(unix)]
    Unix(UnixStream),
}

/// Does the same on whichever stream it is.
macro_rules! either {
    ($self:ident, $stream:ident => $body:expr) => {
        match $self {
            Stream::Tcp($stream) => $body,
            #[cfg(unix)]
            Stream::Unix($stream) => $body,
        }
    };
}

impl Stream {
    pub(crate) async fn connect(to: Endpoint) -> io::Result<Self> {
        match to {
            Endpoint::Tcp(addr) => {
                let stream = TcpStream::connect(addr).await?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
            #[cfg(unix)]
            Endpoint::Unix(path) => Ok(Self::Unix(UnixStream::connect(path).await?)),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

#[cfg(unix)]
impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

impl Transport for Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        // By `AsyncRead`, because only it clears the readiness on a short read; `try_read` costs one more call each time.
        if has_ample_room(buf) {
            return either!(self, stream => pin!(stream.read_buf(buf)).poll(cx));
        }
        either!(self, stream => read_with(buf, |landing| {
            let mut landing = ReadBuf::new(landing);
            ready!(Pin::new(stream).poll_read(cx, &mut landing))?;
            Poll::Ready(Ok(landing.filled().len()))
        }))
    }

    fn poll_look(&mut self, _: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        // Who looks finds nothing, as a rule: that costs neither a waker nor, as long as the reactor has seen nothing, a system call.
        let mut little = [0; 64];
        match either!(self, stream => stream.try_read(&mut little)) {
            Ok(len) => {
                buf.extend_from_slice(&little[..len]);
                Poll::Ready(Ok(len))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut SendBuf) -> Poll<io::Result<usize>> {
        either!(self, stream => write_with(out, |slices| match slices {
            [one] => Pin::new(stream).poll_write(cx, one),
            many => Pin::new(stream).poll_write_vectored(cx, many),
        }))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // tokio shuts down the write half only, which is what is asked for.
        either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

/// A listening TCP or Unix socket on tokio's reactor.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener {
    pub(crate) async fn bind(at: Endpoint) -> io::Result<Self> {
        match at {
            Endpoint::Tcp(addr) => Ok(Self::Tcp(TcpListener::bind(addr).await?)),
            #[cfg(unix)]
            Endpoint::Unix(path) => Ok(Self::Unix(UnixListener::bind(path)?)),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl glowplug_runtime::Listener for Listener {
    type Stream = Stream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Endpoint)>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = ready!(listener.poll_accept(cx))?;
                stream.set_nodelay(true)?;
                Poll::Ready(Ok((Stream::Tcp(stream), Endpoint::Tcp(peer))))
            }
            #[cfg(unix)]
            Self::Unix(listener) => {
                let (stream, peer) = ready!(listener.poll_accept(cx))?;
                let path = peer.as_pathname().map(Into::into).unwrap_or_default();
                Poll::Ready(Ok((Stream::Unix(stream), Endpoint::Unix(path))))
            }
        }
    }

    fn local_endpoint(&self) -> io::Result<Endpoint> {
        match self {
            Self::Tcp(listener) => Ok(Endpoint::Tcp(listener.local_addr()?)),
            #[cfg(unix)]
            Self::Unix(listener) => {
                Ok(Endpoint::Unix(listener.local_addr()?.as_pathname().map(Into::into).unwrap_or_default()))
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::future::poll_fn;
    use std::io::Write;

    use super::*;

    #[test]
    fn a_buffer_with_room_is_read_into_where_it_lies() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("tokio");
        runtime.block_on(async {
            let (ours, mut peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
            ours.set_nonblocking(true).expect("set");
            let mut stream = Stream::from(UnixStream::from_std(ours).expect("registered"));
            let mut buf = BytesMut::with_capacity(100_000);
            let place = buf.as_ptr();
            let polled = poll_fn(|cx| Poll::Ready(stream.poll_read(cx, &mut buf))).await;
            assert!(polled.is_pending() && buf.is_empty());
            for text in ["one", "another"] {
                peer.write_all(text.as_bytes()).expect("written");
                let len = poll_fn(|cx| stream.poll_read(cx, &mut buf)).await.expect("no error");
                assert_eq!(len, text.len());
            }
            assert_eq!((&buf[..], buf.as_ptr()), (&b"oneanother"[..], place));
            drop(peer);
            assert_eq!(poll_fn(|cx| stream.poll_read(cx, &mut buf)).await.expect("no error"), 0);
        });
    }

    #[test]
    fn who_looks_finds_what_the_reactor_has_seen() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("tokio");
        runtime.block_on(async {
            let (ours, mut peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
            ours.set_nonblocking(true).expect("set");
            let mut stream = Stream::from(UnixStream::from_std(ours).expect("registered"));
            let mut buf = BytesMut::new();
            let Stream::Unix(socket) = &stream else { panic!("a Unix socket") };
            socket.writable().await.expect("the reactor had its turn");
            assert!(poll_fn(|cx| Poll::Ready(stream.poll_look(cx, &mut buf))).await.is_pending());
            peer.write_all(&[7; 100]).expect("written");
            drop(peer);
            let Stream::Unix(socket) = &stream else { panic!("a Unix socket") };
            socket.readable().await.expect("something came");
            while poll_fn(|cx| stream.poll_look(cx, &mut buf)).await.expect("no error") > 0 {}
            assert_eq!(buf, [7; 100][..], "all of it, and the end");
        });
    }
}

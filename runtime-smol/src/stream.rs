//! Byte streams.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::fd::AsFd as Handle;
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
#[cfg(windows)]
use std::os::windows::io::AsSocket as Handle;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use glowplug_core::SendBuf;
use glowplug_runtime::{Endpoint, Transport, has_ample_room, read_with, write_with};
use smol::Async;

use crate::eager::{Eager, when_ready};

/// A TCP or Unix stream on async-io's reactor.
///
/// It wraps the standard library's sockets and not smol's own, whose reads box a future each time they have to wait and whose
/// `close` does not half-close.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    reads: Eager,
    writes: Eager,
}

#[derive(Debug)]
enum Socket {
    Tcp(Async<TcpStream>),
    #[cfg(unix)]
    Unix(Async<UnixStream>),
}

/// Does the same on whichever socket it is.
macro_rules! either {
    ($socket:expr, $stream:ident => $body:expr) => {
        match $socket {
            Socket::Tcp($stream) => $body,
            #[cfg(unix)]
            Socket::Unix($stream) => $body,
        }
    };
}

impl Stream {
    pub(crate) async fn connect(to: Endpoint) -> io::Result<Self> {
        match to {
            Endpoint::Tcp(addr) => {
                let stream = Async::<TcpStream>::connect(addr).await?;
                stream.get_ref().set_nodelay(true)?;
                Ok(stream.into())
            }
            #[cfg(unix)]
            Endpoint::Unix(path) => Ok(Async::<UnixStream>::connect(path).await?.into()),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl From<Socket> for Stream {
    fn from(socket: Socket) -> Self {
        Self { socket, reads: Eager::default(), writes: Eager::default() }
    }
}

impl From<Async<TcpStream>> for Stream {
    fn from(stream: Async<TcpStream>) -> Self {
        Socket::Tcp(stream).into()
    }
}

#[cfg(unix)]
impl From<Async<UnixStream>> for Stream {
    fn from(stream: Async<UnixStream>) -> Self {
        Socket::Unix(stream).into()
    }
}

/// The result of a call that does not wait.
fn at_once<T>(result: Poll<io::Result<T>>) -> io::Result<T> {
    match result {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// Up to so much a buffer may hold for a read to go straight into it: it is moved to the buffer's beginning each time.
#[cfg(unix)]
const SHORT: usize = 16 * 1024;

/// Reads what is there.
fn read_now(mut socket: impl Read + Handle, buf: &mut BytesMut) -> io::Result<usize> {
    #[cfg(unix)]
    if buf.len() <= SHORT && has_ample_room(buf) {
        return read_straight(socket, buf);
    }
    at_once(read_with(buf, |landing| Poll::Ready(socket.read(landing))))
}

/// Reads into the room that `buf` has, which no safe call does but for a vector: so it is one for as long as that takes.
#[cfg(unix)]
fn read_straight(socket: impl Handle, buf: &mut BytesMut) -> io::Result<usize> {
    let room = buf.capacity() - buf.len();
    let mut bytes = Vec::from(std::mem::take(buf));
    // Of a buffer that shares its memory with messages the vector is a copy, without the room.
    bytes.reserve(room);
    let result = rustix::io::read(socket, rustix::buffer::spare_capacity(&mut bytes));
    *buf = Bytes::from(bytes).into();
    Ok(result?)
}

impl Transport for Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        either!(&self.socket, stream => when_ready!(&mut self.reads, stream.poll_readable(cx), {
            read_now(stream.get_ref(), buf)
        }))
    }

    fn poll_look(&mut self, _: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        // The reactor need not be asked by who does not wait for its answer.
        either!(&self.socket, stream => loop {
            match read_now(stream.get_ref(), buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut SendBuf) -> Poll<io::Result<usize>> {
        either!(&self.socket, stream => when_ready!(&mut self.writes, stream.poll_writable(cx), {
            at_once(write_with(out, |slices| Poll::Ready(match slices {
                [one] => stream.get_ref().write(one),
                many => stream.get_ref().write_vectored(many),
            })))
        }))
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match either!(&self.socket, stream => stream.get_ref().shutdown(Shutdown::Write)) {
            // The peer reset the connection in the meantime, or it was shut down before: nothing is left to tell.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }

    fn prefer_readiness(&mut self) {
        self.reads.adapt();
    }
}

/// A listening TCP or Unix socket on async-io's reactor.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(Async<TcpListener>),
    /// A Unix socket.
    #[cfg(unix)]
    Unix(Async<UnixListener>),
}

impl Listener {
    pub(crate) fn bind(at: &Endpoint) -> io::Result<Self> {
        match at {
            Endpoint::Tcp(addr) => Ok(Self::Tcp(Async::<TcpListener>::bind(*addr)?)),
            #[cfg(unix)]
            Endpoint::Unix(path) => Ok(Self::Unix(Async::<UnixListener>::bind(path)?)),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl glowplug_runtime::Listener for Listener {
    type Stream = Stream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Endpoint)>> {
        match self {
            Self::Tcp(listener) => loop {
                match listener.get_ref().accept() {
                    Ok((stream, peer)) => {
                        stream.set_nodelay(true)?;
                        return Poll::Ready(Ok((Async::new(stream)?.into(), Endpoint::Tcp(peer))));
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        ready!(listener.poll_readable(cx))?;
                    }
                    Err(error) => return Poll::Ready(Err(error)),
                }
            },
            #[cfg(unix)]
            Self::Unix(listener) => loop {
                match listener.get_ref().accept() {
                    Ok((stream, peer)) => {
                        let path = peer.as_pathname().map(Into::into).unwrap_or_default();
                        return Poll::Ready(Ok((Async::new(stream)?.into(), Endpoint::Unix(path))));
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        ready!(listener.poll_readable(cx))?;
                    }
                    Err(error) => return Poll::Ready(Err(error)),
                }
            },
        }
    }

    fn local_endpoint(&self) -> io::Result<Endpoint> {
        match self {
            Self::Tcp(listener) => Ok(Endpoint::Tcp(listener.get_ref().local_addr()?)),
            #[cfg(unix)]
            Self::Unix(listener) => {
                let addr = listener.get_ref().local_addr()?;
                Ok(Endpoint::Unix(addr.as_pathname().map(Into::into).unwrap_or_default()))
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn read_into(stream: &mut Stream, buf: &mut BytesMut) -> usize {
        smol::block_on(poll_fn(|cx| stream.poll_read(cx, buf))).expect("no error")
    }

    fn read(stream: &mut Stream) -> Vec<u8> {
        let mut buf = BytesMut::new();
        let len = read_into(stream, &mut buf);
        assert_eq!(len, buf.len());
        buf.to_vec()
    }

    #[test]
    fn a_buffer_with_room_is_read_into_where_it_lies() {
        let (ours, mut peer) = UnixStream::pair().expect("a pair");
        let mut stream = Stream::from(Async::new(ours).expect("registered"));
        let mut buf = BytesMut::with_capacity(100_000);
        let place = buf.as_ptr();
        for text in ["one", "another"] {
            peer.write_all(text.as_bytes()).expect("written");
            assert_eq!(read_into(&mut stream, &mut buf), text.len());
        }
        assert_eq!((&buf[..], buf.as_ptr()), (&b"oneanother"[..], place));
        // Part of the memory belongs to a message that was split off: neither is harmed.
        let message = buf.split_to(3).freeze();
        peer.write_all(b" one").expect("written");
        assert_eq!(read_into(&mut stream, &mut buf), 4);
        assert_eq!((&message[..], &buf[..]), (&b"one"[..], &b"another one"[..]));
        drop(peer);
        assert_eq!(read_into(&mut stream, &mut buf), 0);
        assert_eq!(buf, b"another one"[..]);
    }

    #[test]
    fn a_read_that_has_to_wait_leaves_the_buffer_as_it_was() {
        let (ours, _peer) = UnixStream::pair().expect("a pair");
        let mut stream = Stream::from(Async::new(ours).expect("registered"));
        let mut buf = BytesMut::with_capacity(100_000);
        buf.extend_from_slice(b"held");
        let polled = smol::block_on(poll_fn(|cx| Poll::Ready(stream.poll_read(cx, &mut buf))));
        assert!(polled.is_pending());
        assert_eq!(buf, b"held"[..]);
    }

    #[test]
    fn what_comes_behind_a_short_read_is_read_with_and_without_patience() {
        for patient in [false, true] {
            let (ours, mut peer) = UnixStream::pair().expect("a pair");
            let mut stream = Stream::from(Async::new(ours).expect("registered"));
            if patient {
                stream.prefer_readiness();
            }
            for text in [&b"one"[..], b"another", &vec![b'x'; 100_000], b"last"] {
                let sender = std::thread::spawn({
                    let (mut peer, text) = (peer.try_clone().expect("cloned"), text.to_vec());
                    move || peer.write_all(&text).expect("written")
                });
                let mut all = Vec::new();
                while all.len() < text.len() {
                    all.extend(read(&mut stream));
                }
                assert_eq!(all, text);
                sender.join().expect("no panic");
            }
            // There already when somebody asks, and then the end.
            peer.write_all(b"bye").expect("written");
            drop(peer);
            assert_eq!((read(&mut stream), read(&mut stream)), (b"bye".to_vec(), Vec::new()));
        }
    }

    #[test]
    fn a_look_finds_what_has_come_meanwhile() {
        let (ours, peer) = UnixStream::pair().expect("a pair");
        let mut stream = Stream::from(Async::new(ours).expect("registered"));
        stream.prefer_readiness();
        // However often it had to be waited for.
        for _ in 0..100 {
            let mut asks = peer.try_clone().expect("cloned");
            let answering = std::thread::spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(1));
                asks.write_all(b"answer").expect("written");
            });
            assert_eq!(read(&mut stream), b"answer");
            answering.join().expect("no panic");
        }
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(stream.poll_look(&mut cx, &mut BytesMut::new()).is_pending());
        drop(peer);
        let polled = stream.poll_look(&mut cx, &mut BytesMut::new());
        assert!(matches!(polled, Poll::Ready(Ok(0))), "{polled:?}");
    }
}

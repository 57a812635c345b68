//! Awaiting the polls of streams, listeners and sockets.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Poll, ready};

use bytes::{Bytes, BytesMut};
use glowplug_core::SendBuf;
use glowplug_runtime::{DatagramSocket, Endpoint, Listener as _, RecvBatch, SendBatch, Transport};
use glowplug_sim::{Datagram, Listener, Sim, Stream};

/// The endpoint of a literal TCP address.
pub(crate) fn tcp(text: &str) -> Endpoint {
    Endpoint::Tcp(addr(text))
}

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().expect("a literal address")
}

pub(crate) async fn accept(listener: &mut Listener) -> io::Result<Stream> {
    poll_fn(|cx| listener.poll_accept(cx)).await.map(|(stream, _)| stream)
}

pub(crate) async fn read(stream: &mut Stream, buf: &mut BytesMut) -> io::Result<usize> {
    poll_fn(|cx| stream.poll_read(cx, buf)).await
}

pub(crate) async fn read_exact(stream: &mut Stream, len: usize) -> io::Result<BytesMut> {
    let mut buf = BytesMut::new();
    while buf.len() < len {
        if read(stream, &mut buf).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    assert_eq!(buf.len(), len, "nobody sent more than was asked for");
    Ok(buf)
}

pub(crate) async fn read_to_end(stream: &mut Stream) -> io::Result<BytesMut> {
    let mut buf = BytesMut::new();
    while read(stream, &mut buf).await? > 0 {}
    Ok(buf)
}

pub(crate) async fn write_all(stream: &mut Stream, bytes: impl Into<Bytes>) -> io::Result<()> {
    let mut out = SendBuf::new();
    out.push(bytes.into());
    while !out.is_empty() {
        let before = out.len();
        let written = poll_fn(|cx| stream.poll_write(cx, &mut out)).await?;
        assert_eq!(before - out.len(), written);
        assert!(written > 0);
    }
    Ok(())
}

/// Sends `bytes` and reads as many back, both at once: whoever writes everything first may wait for an echo for ever.
pub(crate) async fn exchange(stream: &mut Stream, bytes: impl Into<Bytes>) -> io::Result<BytesMut> {
    let (mut out, mut buf) = (SendBuf::new(), BytesMut::new());
    out.push(bytes.into());
    let len = out.len();
    poll_fn(|cx| {
        while !out.is_empty()
            && let Poll::Ready(written) = stream.poll_write(cx, &mut out)?
        {
            assert!(written > 0);
        }
        while buf.len() < len {
            if ready!(stream.poll_read(cx, &mut buf))? == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof)));
            }
        }
        Poll::Ready(Ok(()))
    })
    .await?;
    assert_eq!(buf.len(), len, "nobody sent more than was asked for");
    Ok(buf)
}

pub(crate) async fn shutdown(stream: &mut Stream) -> io::Result<()> {
    poll_fn(|cx| stream.poll_shutdown(cx)).await
}

/// Echoes one stream to its end, then half-closes.
pub(crate) async fn echo(mut stream: Stream) -> io::Result<()> {
    let mut buf = BytesMut::new();
    while read(&mut stream, &mut buf).await? > 0 {
        write_all(&mut stream, buf.split().freeze()).await?;
    }
    shutdown(&mut stream).await
}

/// Listens at `at` and echoes everything, each connection in a task of its own.
pub(crate) async fn serve_echo(host: &Sim, at: Endpoint) {
    use glowplug_runtime::{Runtime as _, Spawn as _};
    let mut listener = host.listen(&at).await.expect("the address is free");
    let server = host.clone();
    host.spawn(async move {
        loop {
            if let Ok(stream) = accept(&mut listener).await {
                server.spawn(async move { drop(echo(stream).await) });
            }
        }
    });
}

pub(crate) async fn recv(socket: &mut Datagram, batch: &mut RecvBatch) -> io::Result<usize> {
    poll_fn(|cx| socket.poll_recv(cx, batch)).await
}

pub(crate) async fn send_all(socket: &mut Datagram, batch: &mut SendBatch) -> io::Result<()> {
    while !batch.is_empty() {
        poll_fn(|cx| socket.poll_send(cx, batch)).await?;
    }
    Ok(())
}

/// Both, at once.
pub(crate) async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut left, mut right) = (None, None);
    poll_fn(|cx| {
        if left.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(cx)
        {
            left = Some(output);
        }
        if right.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(cx)
        {
            right = Some(output);
        }
        if left.is_some() && right.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    (left.expect("it is done"), right.expect("it is done"))
}

/// The output of `future`, or `None` once `time` has passed.
pub(crate) async fn within<F: Future>(host: &Sim, time: std::time::Duration, future: F) -> Option<F::Output> {
    let (mut future, mut sleep) = (pin!(future), pin!(host.sleep(time)));
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        sleep.as_mut().poll(cx).map(|()| None)
    })
    .await
}

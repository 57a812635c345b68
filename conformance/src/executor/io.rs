//! Poll functions as futures, and two futures at once.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use glowplug_core::SendBuf;
use glowplug_runtime::{DatagramSocket, Endpoint, Listener, RecvBatch, Runtime, SendBatch, Transport};

use super::{Stop, When as _};

/// Connects to `listener` and accepts, both at once.
pub(super) async fn pair<R: Runtime>(
    runtime: &R,
    mut listener: R::Listener,
    at: &Endpoint,
) -> Result<(R::Stream, R::Stream), Stop> {
    let (connected, accepted) = both(runtime.connect(at), accept(&mut listener)).await;
    Ok((connected.when("connect")?, accepted.when("accept")?.0))
}

pub(super) async fn accept<L: Listener>(listener: &mut L) -> io::Result<(L::Stream, Endpoint)> {
    poll_fn(|cx| listener.poll_accept(cx)).await
}

/// Reads once. 0 is the end.
pub(super) async fn read<T: Transport>(stream: &mut T, buf: &mut BytesMut) -> io::Result<usize> {
    poll_fn(|cx| stream.poll_read(cx, buf)).await
}

/// Reads until `buf` holds `len` bytes, or the stream ends.
pub(super) async fn read_until<T: Transport>(
    stream: &mut T,
    buf: &mut BytesMut,
    len: usize,
) -> io::Result<()> {
    while buf.len() < len {
        if read(stream, buf).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Reads to the end.
pub(super) async fn read_all<T: Transport>(stream: &mut T) -> io::Result<BytesMut> {
    let mut buf = BytesMut::new();
    while read(stream, &mut buf).await? > 0 {}
    Ok(buf)
}

/// Writes all of `bytes`.
pub(super) async fn write<T: Transport>(stream: &mut T, bytes: impl Into<Bytes>) -> io::Result<()> {
    let mut out = SendBuf::new();
    out.push(bytes.into());
    flush(stream, &mut out).await
}

/// Writes all of `out`.
pub(super) async fn flush<T: Transport>(stream: &mut T, out: &mut SendBuf) -> io::Result<()> {
    while !out.is_empty() {
        let before = out.len();
        let written = poll_fn(|cx| stream.poll_write(cx, out)).await?;
        if written == 0 || before - out.len() != written {
            return Err(io::Error::other(format!(
                "poll_write said {written}, and took {} of {before} bytes",
                before - out.len()
            )));
        }
    }
    poll_fn(|cx| stream.poll_flush(cx)).await
}

pub(super) async fn shutdown<T: Transport>(stream: &mut T) -> io::Result<()> {
    poll_fn(|cx| stream.poll_shutdown(cx)).await
}

pub(super) async fn receive<D: DatagramSocket>(socket: &mut D, batch: &mut RecvBatch) -> io::Result<usize> {
    poll_fn(|cx| socket.poll_recv(cx, batch)).await
}

/// Sends the whole batch.
pub(super) async fn send<D: DatagramSocket>(socket: &mut D, batch: &mut SendBatch) -> io::Result<()> {
    while !batch.is_empty() {
        poll_fn(|cx| socket.poll_send(cx, batch)).await?;
    }
    Ok(())
}

/// Runs two futures at once, to the end of both.
pub(super) async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut a_done, mut b_done) = (None, None);
    poll_fn(|cx| {
        poll_into(&mut a_done, a.as_mut(), cx);
        poll_into(&mut b_done, b.as_mut(), cx);
        match (a_done.take(), b_done.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (a_done, b_done) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

/// Polls `future` unless it is done.
fn poll_into<F: Future>(done: &mut Option<F::Output>, future: Pin<&mut F>, cx: &mut Context<'_>) {
    if done.is_none()
        && let Poll::Ready(output) = future.poll(cx)
    {
        *done = Some(output);
    }
}

/// Runs two futures until one of them ends; the first wins a tie.
pub(super) async fn first<A: Future, B: Future>(a: A, b: B) -> Result<A::Output, B::Output> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|cx| {
        if let Poll::Ready(output) = a.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        b.as_mut().poll(cx).map(Err)
    })
    .await
}

/// Polls `future` up to `polls` times, each when it was woken, and drops it then. `None` when it was dropped.
pub(super) async fn polled<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // The last poll was in vain: it is dropped here and now.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Polls once and does not wait.
pub(super) async fn now<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    poll_fn(|cx| match poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

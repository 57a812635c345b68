//! Whole server connections: requests in, answers of 13 bytes out, one after the other on one connection.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, ready};
use std::hint::black_box;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bench_harness::{Clock, Measured, repeat};
use bytes::{Buf, Bytes, BytesMut};
use glowplug_core::{Instant, SendBuf, StreamProtocol};
use glowplug_http::{HttpDate, ServerConfig, ServerConnection, ServerEvent, StatusCode};
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::Full;
use hyper::rt::{Read, ReadBufCursor, Write};

const NOW: Instant = Instant::ZERO;
const HELLO: &[u8] = b"Hello, World!";

pub fn glowplug(wire: &str, operations: u64) -> Measured {
    let mut server = ServerConnection::new(NOW, Arc::new(ServerConfig::default()));
    server.set_date(HttpDate::from_unix(1_763_769_600));
    let (mut input, mut out) = (BytesMut::with_capacity(4096), SendBuf::new());
    let mut answered = 0;
    let measured = repeat(operations, || {
        input.extend_from_slice(wire.as_bytes());
        loop {
            match server.poll_event(NOW, &mut input) {
                Ok(Some(ServerEvent::Request { stream, head, .. })) => {
                    black_box(&head);
                    let fields = [("content-type", "text/plain")];
                    let hello = Bytes::from_static(HELLO);
                    server.respond(NOW, stream, StatusCode::OK, &fields, hello).expect("the request waits");
                    answered += 1;
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => panic!("{error}"),
            }
        }
        server.poll_transmit(NOW, &mut out);
        black_box(out.chunk());
        out.advance(out.remaining());
    });
    assert_eq!(answered, operations);
    measured
}

/// The other end: a request as soon as the one before is answered. What is written is thrown away.
struct Requests {
    wire: &'static str,
    answered: bool,
}

impl Read for Requests {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !std::mem::take(&mut self.answered) {
            return Poll::Pending;
        }
        buf.put_slice(self.wire.as_bytes());
        Poll::Ready(Ok(()))
    }
}

impl Write for Requests {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.answered = true;
        Poll::Ready(Ok(black_box(buf).len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub fn hyper(wire: &'static str, operations: u64) -> Measured {
    let answered = Cell::new(0);
    let service = hyper::service::service_fn(|request| {
        black_box(request);
        answered.set(answered.get() + 1);
        let mut response = http::Response::new(Full::new(Bytes::from_static(HELLO)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        ready(Ok::<_, Infallible>(response))
    });
    let requests = Requests { wire, answered: true };
    let mut connection = pin!(hyper::server::conn::http1::Builder::new().serve_connection(requests, service));
    let mut context = Context::from_waker(Waker::noop());
    let clock = Clock::start();
    // It waits for the next request each time, which is there by then.
    while answered.get() < operations {
        assert!(connection.as_mut().poll(&mut context).is_pending(), "the connection is kept alive");
    }
    clock.stop(operations)
}

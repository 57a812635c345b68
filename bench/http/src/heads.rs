//! Request heads alone.

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::Arc;

use bench_harness::{Measured, repeat};
use bytes::BytesMut;
use glowplug_core::{Instant, StreamProtocol};
use glowplug_http::{RequestHead, ServerConfig, ServerConnection, ServerEvent};

/// The server as far as the head, and what `with` does with it. The connection is dropped with it, so its making counts too.
fn parse(wire: &str, operations: u64, with: impl Fn(RequestHead)) -> Measured {
    let config = Arc::new(ServerConfig::default());
    let mut input = BytesMut::with_capacity(4096);
    repeat(operations, || {
        let mut server = ServerConnection::new(Instant::ZERO, config.clone());
        input.extend_from_slice(wire.as_bytes());
        match server.poll_event(Instant::ZERO, &mut input) {
            Ok(Some(ServerEvent::Request { head, .. })) => with(head),
            other => panic!("{other:?} instead of a head"),
        }
    })
}

pub fn glowplug(wire: &str, operations: u64) -> Measured {
    parse(wire, operations, |head| drop(black_box(head)))
}

pub fn glowplug_to_http(wire: &str, operations: u64) -> Measured {
    parse(wire, operations, |head| drop(black_box(head.to_http().expect("valid"))))
}

/// The same bytes, copied into a buffer as they come, for httparse alone.
fn parse_by_httparse(wire: &str, operations: u64, with: impl Fn(&httparse::Request<'_, '_>)) -> Measured {
    let mut input = BytesMut::with_capacity(4096);
    repeat(operations, || {
        input.extend_from_slice(wire.as_bytes());
        let mut headers = [const { MaybeUninit::uninit() }; 100];
        let mut request = httparse::Request::new(&mut []);
        let status = request.parse_with_uninit_headers(black_box(&input), &mut headers);
        assert!(status.is_ok_and(|status| status.is_complete()));
        with(&request);
        input.clear();
    })
}

pub fn httparse(wire: &str, operations: u64) -> Measured {
    parse_by_httparse(wire, operations, |request| {
        black_box(request);
    })
}

pub fn httparse_to_http(wire: &str, operations: u64) -> Measured {
    parse_by_httparse(wire, operations, |request| {
        let mut parts = http::Request::builder()
            .method(request.method.expect("complete"))
            .uri(request.path.expect("complete"));
        for header in request.headers.iter() {
            parts = parts.header(header.name, header.value);
        }
        drop(black_box(parts.body(()).expect("valid")));
    })
}

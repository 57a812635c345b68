//! Heads alone.

use std::hint::black_box;
use std::mem::MaybeUninit;

use bench_harness::{Measured, repeat};
use bytes::BytesMut;
use glowplug_http::RequestHead;
use glowplug_http::wire::{Part, Question, RequestDecoder, ResponseDecoder};

/// One request after the other, each to its end, and what `with` does with its head.
fn parse(wire: &str, operations: u64, with: impl Fn(RequestHead)) -> Measured {
    let mut requests = RequestDecoder::default();
    let mut input = BytesMut::with_capacity(4096);
    repeat(operations, || {
        input.extend_from_slice(wire.as_bytes());
        match requests.decode(&mut input) {
            Ok(Some(Part::Head { head, .. })) => with(head),
            other => panic!("{other:?} instead of a head"),
        }
        assert!(matches!(requests.decode(&mut input), Ok(Some(Part::End(None)))));
    })
}

pub fn glowplug(wire: &str, operations: u64) -> Measured {
    parse(wire, operations, |head| drop(black_box(head)))
}

/// One answer after the other, of which the bodies are empty.
pub fn glowplug_reply(wire: &str, operations: u64) -> Measured {
    let mut responses = ResponseDecoder::default();
    let mut input = BytesMut::with_capacity(4096);
    repeat(operations, || {
        responses.expect(Question::default()).expect("room");
        input.extend_from_slice(wire.as_bytes());
        match responses.decode(&mut input) {
            Ok(Some(Part::Head { head, .. })) => drop(black_box(head)),
            other => panic!("{other:?} instead of a head"),
        }
        assert!(matches!(responses.decode(&mut input), Ok(Some(Part::End(None)))));
    })
}

pub fn httparse_reply(wire: &str, operations: u64) -> Measured {
    let mut input = BytesMut::with_capacity(4096);
    repeat(operations, || {
        input.extend_from_slice(wire.as_bytes());
        let mut headers = [const { MaybeUninit::uninit() }; 100];
        let mut response = httparse::Response::new(&mut []);
        let parser = httparse::ParserConfig::default();
        let status =
            parser.parse_response_with_uninit_headers(&mut response, black_box(&input), &mut headers);
        assert!(status.is_ok_and(|status| status.is_complete()));
        black_box(&response);
        input.clear();
    })
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

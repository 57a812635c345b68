//! Content codings undone: every coding at every cut, damaged and cut-off bodies, and bombs.

use std::collections::VecDeque;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compression, GzBuilder};
use glowplug::runtime::http::BoxError;
use glowplug::runtime::http::coding::decode::{
    Coding, ContentError, DecodeConfig, Decoded, DecodedError, codings,
};
use http::HeaderMap;
use http_body::{Body, Frame};

/// A body of these pieces, with a pause before each, and trailers.
struct Pieces(VecDeque<Bytes>, bool, Option<HeaderMap>);

impl Pieces {
    fn cut(bytes: &[u8], len: usize) -> Self {
        Self(bytes.chunks(len.max(1)).map(Bytes::copy_from_slice).collect(), false, None)
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.1 = !self.1;
        if self.1 {
            return Poll::Pending;
        }
        if let Some(piece) = self.0.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        Poll::Ready(self.2.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

fn decode(body: Pieces, codings: &[Coding], config: DecodeConfig) -> Result<Vec<u8>, ContentError> {
    let mut decoded = Decoded::new(body, codings, config)?;
    let mut cx = Context::from_waker(Waker::noop());
    let mut out = Vec::new();
    loop {
        match Pin::new(&mut decoded).poll_frame(&mut cx) {
            Poll::Pending => {}
            Poll::Ready(None) => return Ok(out),
            Poll::Ready(Some(Ok(frame))) => {
                let piece = frame.into_data().expect("data");
                assert!(!piece.is_empty() && piece.len() <= 32 * 1024, "a piece of {} bytes", piece.len());
                out.extend_from_slice(&piece);
            }
            Poll::Ready(Some(Err(DecodedError::Content(error)))) => {
                assert!(matches!(Pin::new(&mut decoded).poll_frame(&mut cx), Poll::Ready(None)));
                return Err(error);
            }
            Poll::Ready(Some(Err(DecodedError::Body(error)))) => panic!("{error}"),
        }
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).expect("encoded");
    encoder.finish().expect("encoded")
}

fn zlib(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).expect("encoded");
    encoder.finish().expect("encoded")
}

fn raw(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).expect("encoded");
    encoder.finish().expect("encoded")
}

fn brotli(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() };
    brotli::BrotliCompress(&mut &*content, &mut out, &params).expect("encoded");
    out
}

fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 3).expect("encoded")
}

type Encode = fn(&[u8]) -> Vec<u8>;

const EACH: [(Coding, Encode); 5] = [
    (Coding::Gzip, gzip),
    (Coding::Deflate, zlib),
    (Coding::Deflate, raw),
    (Coding::Brotli, brotli),
    (Coding::Zstd, zstd),
];

fn text(words: u32) -> Vec<u8> {
    (0..words).flat_map(|n| format!("{} ", n.wrapping_mul(2_654_435_761)).into_bytes()).collect()
}

#[test]
fn every_coding_at_every_cut_gives_the_same_content() {
    for words in [0, 1, 40, 30_000] {
        let content = text(words);
        for (coding, encode) in EACH {
            let encoded = encode(&content);
            for len in [1, 2, 3, 7, 100, 5000, encoded.len()] {
                let back = decode(Pieces::cut(&encoded, len), &[coding], DecodeConfig::default());
                assert!(back.as_ref() == Ok(&content), "{coding} in pieces of {len}: {:?}", back.err());
            }
            if words == 40 {
                for cut in 0..=encoded.len() {
                    let (one, other) = encoded.split_at(cut);
                    let pieces = [one, other].map(Bytes::copy_from_slice).into_iter().collect();
                    let back = decode(Pieces(pieces, false, None), &[coding], DecodeConfig::default());
                    assert_eq!(back.as_ref(), Ok(&content), "{coding} cut at {cut}");
                }
            }
        }
    }
}

#[test]
fn content_comes_out_as_soon_as_it_is_there() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let mut zstd = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
    gzip.write_all(b"first").and_then(|()| gzip.flush()).expect("encoded");
    zstd.write_all(b"first").and_then(|()| zstd.flush()).expect("encoded");
    let mut brotli = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
    brotli.write_all(b"first").and_then(|()| brotli.flush()).expect("encoded");
    for (coding, flushed) in [
        (Coding::Gzip, gzip.get_ref().clone()),
        (Coding::Brotli, brotli.get_ref().clone()),
        (Coding::Zstd, zstd.get_ref().clone()),
    ] {
        let body = Pieces([Bytes::from(flushed)].into(), true, None);
        let mut decoded = Decoded::new(body, &[coding], DecodeConfig::default()).expect("one coding");
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(&mut decoded).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => assert_eq!(frame.into_data().expect("data"), "first", "{coding}"),
            other => panic!("{coding}: {other:?}"),
        }
    }
}

#[test]
fn codings_lie_one_upon_the_other() {
    let content = text(5000);
    let encoded = zstd(&brotli(&gzip(&content)));
    let applied = [Coding::Gzip, Coding::Brotli, Coding::Zstd];
    for len in [1, 1000, encoded.len()] {
        let back = decode(Pieces::cut(&encoded, len), &applied, DecodeConfig::default());
        assert!(back.as_ref() == Ok(&content), "{:?}", back.err());
    }
    let config = DecodeConfig::default().max_codings(2);
    assert_eq!(decode(Pieces::cut(&encoded, 9), &applied, config), Err(ContentError::Codings(2)));
}

#[test]
fn a_gzip_file_may_have_a_long_head_and_several_members() {
    let mut first = GzBuilder::new()
        .filename("a name")
        .comment("a comment")
        .extra(vec![1; 300])
        .write(Vec::new(), Compression::fast());
    first.write_all(b"one and ").expect("encoded");
    let mut both = first.finish().expect("encoded");
    both.extend(gzip(b"two"));
    for len in [1, 5, both.len()] {
        let back = decode(Pieces::cut(&both, len), &[Coding::Gzip], DecodeConfig::default());
        assert_eq!(back.as_deref(), Ok(&b"one and two"[..]));
    }
}

#[test]
fn trailers_go_through() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "1".parse().expect("a value"));
    let body = Pieces([Bytes::from(gzip(b"text"))].into(), true, Some(trailers));
    let mut decoded = Decoded::new(body, &[Coding::Gzip], DecodeConfig::default()).expect("one coding");
    let mut cx = Context::from_waker(Waker::noop());
    let mut seen = Vec::new();
    loop {
        match Pin::new(&mut decoded).poll_frame(&mut cx) {
            Poll::Pending => {}
            Poll::Ready(None) => break,
            Poll::Ready(Some(frame)) => seen.push(frame.expect("no error").is_trailers()),
        }
    }
    assert_eq!(seen, [false, true]);
}

#[test]
fn what_is_cut_off_or_damaged_is_told() {
    let content = text(300);
    for (coding, encode) in EACH {
        let encoded = encode(&content);
        for len in [1, 2, encoded.len() / 2, encoded.len() - 1] {
            let cut = decode(Pieces::cut(&encoded[..len], 64), &[coding], DecodeConfig::default());
            assert_eq!(cut, Err(ContentError::Truncated(coding)), "{coding} cut at {len}");
        }
        let mut behind = encoded.clone();
        behind.extend_from_slice(b"something behind");
        let told = decode(Pieces::cut(&behind, 64), &[coding], DecodeConfig::default());
        assert_eq!(told, Err(ContentError::Corrupt(coding)), "{coding} and something behind it");
        // No flipped byte makes it panic or hang, and what has a checksum finds all of them.
        for at in 0..encoded.len() {
            let mut damaged = encoded.clone();
            damaged[at] ^= 0x55;
            let outcome = decode(Pieces::cut(&damaged, 500), &[coding], DecodeConfig::default());
            if coding == Coding::Gzip && at >= 10 {
                assert_ne!(outcome.as_deref(), Ok(&content[..]), "byte {at} of gzip");
                assert!(outcome.is_err());
            }
        }
    }
    let plain = decode(Pieces::cut(b"<html>plain</html>", 5), &[Coding::Gzip], DecodeConfig::default());
    assert_eq!(plain, Err(ContentError::Corrupt(Coding::Gzip)));
    assert_eq!(decode(Pieces::cut(b"", 5), &[Coding::Zstd], DecodeConfig::default()), Ok(Vec::new()));
}

#[test]
fn bombs_end_at_a_limit() {
    let zeros = vec![0; 12 << 20];
    for (coding, encode) in EACH {
        let bomb = encode(&zeros);
        let defaults = DecodeConfig::default();
        let told = decode(Pieces::cut(&bomb, 16 * 1024), &[coding], defaults.clone());
        assert_eq!(told.map(|all| all.len()), Err(ContentError::Ratio(250)), "{coding}");
        let config = defaults.clone().max_ratio(u32::MAX).max_decoded_len(1_000_000);
        let told = decode(Pieces::cut(&bomb, 16 * 1024), &[coding], config);
        assert_eq!(told.map(|all| all.len()), Err(ContentError::TooLong(1_000_000)), "{coding}");
        let config = defaults.max_ratio(u32::MAX);
        let told = decode(Pieces::cut(&bomb, 16 * 1024), &[coding], config);
        assert_eq!(told.map(|all| all.len()), Ok(zeros.len()), "{coding}, wanted");
    }
    // A bomb in a bomb: what lies between counts too.
    let nested = gzip(&gzip(&zeros));
    let told = decode(Pieces::cut(&nested, 100), &[Coding::Gzip, Coding::Gzip], DecodeConfig::default());
    assert_eq!(told, Err(ContentError::Ratio(250)));
    // Short content may expand as it likes.
    let short = gzip(&zeros[..1 << 20]);
    let told = decode(Pieces::cut(&short, 100), &[Coding::Gzip], DecodeConfig::default());
    assert_eq!(told.map(|all| all.len()), Ok(1 << 20));
    let config = DecodeConfig::default().ratio_from(1000);
    assert_eq!(decode(Pieces::cut(&short, 100), &[Coding::Gzip], config), Err(ContentError::Ratio(250)));
}

#[test]
fn the_head_names_the_codings() {
    let of = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("content-encoding", value.parse().expect("a value"));
        }
        codings(&headers)
    };
    assert_eq!(of(&[]), []);
    assert_eq!(of(&["identity"]), []);
    assert_eq!(of(&["X-Gzip, br", "zstd"]), [Coding::Gzip, Coding::Brotli, Coding::Zstd]);
    // What is not known stays as it is, and what lies under it too.
    assert_eq!(of(&["gzip, compress"]), []);
    assert_eq!(of(&["compress", "gzip"]), []);
}

//! Exchanges in memory, for counting: `exchanges KIND ROUNDS`, where KIND is
//!
//! - `wrk`, `browser`: the whole server, one request and its answer a round;
//! - `wrk-head`, `browser-head`: the server as far as the head, which is then dropped with it;
//! - `wrk-httparse`, `browser-httparse`: `httparse` alone on the same bytes;
//! - `client`: the whole client, one request and its answer a round.
//!
//! Two runs under `valgrind --tool=callgrind` with different ROUNDS give instructions for each round by their difference.

use std::hint::black_box;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use glowplug_core::{Instant, SendBuf, StreamProtocol};
use glowplug_http::{
    BodyLength, ClientConfig, ClientConnection, ClientEvent, Method, ServerConfig, ServerConnection,
    ServerEvent, StatusCode,
};

const NOW: Instant = Instant::ZERO;

const WRK: &str = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

const BROWSER: &str = "GET /wp-content/uploads/2010/03/hello-kitty-darth-vader-pink.jpg HTTP/1.1\r\n\
    Host: www.kittyhell.com\r\n\
    User-Agent: Mozilla/5.0 (Macintosh; U; Intel Mac OS X 10.6; ja-JP-mac; rv:1.9.2.3) Gecko/20100401 Firefox/3.6.3 \
    Pathtraq/0.9\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: ja,en-us;q=0.7,en;q=0.3\r\n\
    Accept-Encoding: gzip,deflate\r\n\
    Accept-Charset: Shift_JIS,utf-8;q=0.7,*;q=0.7\r\n\
    Keep-Alive: 115\r\n\
    Connection: keep-alive\r\n\
    Cookie: wp_ozh_wsa_visits=2; wp_ozh_wsa_visit_lasttime=xxxxxxxxxx; \
    __utma=xxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.x; __utmz=xxxxxxxxx.xxxxxxxxxx.x.x.utmccn=(referral)|\
    utmcsr=reader.livedoor.com|utmcct=/reader/|utmcmd=referral|padding=xxxxxxxxxxxxxxxxxxxxxxxxxx\r\n\r\n";

fn serve(wire: &[u8], rounds: usize) {
    let mut server = ServerConnection::new(NOW, Arc::new(ServerConfig::default()));
    let (mut input, mut out) = (BytesMut::with_capacity(4096), SendBuf::new());
    for _ in 0..rounds {
        input.extend_from_slice(wire);
        while let Ok(Some(event)) = server.poll_event(NOW, &mut input) {
            let ServerEvent::Request { stream, head, .. } = event else { continue };
            black_box(head.target());
            let fields = [("content-type", "text/plain")];
            let _ = server.send_head(NOW, stream, StatusCode::OK, &fields, BodyLength::Known(13));
            let _ = server.send_data(NOW, stream, Bytes::from_static(b"Hello, World!"));
            let _ = server.finish(NOW, stream, &());
        }
        server.poll_transmit(NOW, &mut out);
        black_box(out.chunk());
        out.advance(out.remaining());
    }
}

fn heads(wire: &[u8], rounds: usize) {
    let config = Arc::new(ServerConfig::default());
    let mut input = BytesMut::with_capacity(4096);
    for _ in 0..rounds {
        let mut server = ServerConnection::new(NOW, config.clone());
        input.extend_from_slice(wire);
        let _ = black_box(server.poll_event(NOW, &mut input));
    }
}

fn httparse(wire: &[u8], rounds: usize) {
    let mut input = BytesMut::with_capacity(4096);
    for _ in 0..rounds {
        input.extend_from_slice(wire);
        let mut headers = [const { std::mem::MaybeUninit::uninit() }; 100];
        let mut request = httparse::Request::new(&mut []);
        let _ = black_box(request.parse_with_uninit_headers(black_box(&input), &mut headers));
        black_box(&request);
        input.clear();
    }
}

fn ask(rounds: usize) {
    let mut client = ClientConnection::new(NOW, Arc::new(ClientConfig::default()));
    let answer = b"HTTP/1.1 200 OK\r\nserver: x\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\r\nHello, World!";
    let (mut input, mut out) = (BytesMut::with_capacity(256), SendBuf::new());
    for _ in 0..rounds {
        let _ = client.submit(NOW, &Method::GET, "/", &[("host", "127.0.0.1:8080")], BodyLength::Empty);
        client.poll_transmit(NOW, &mut out);
        black_box(out.chunk());
        out.advance(out.remaining());
        input.extend_from_slice(answer);
        while let Ok(Some(event)) = client.poll_event(NOW, &mut input) {
            if let ClientEvent::Data { stream, data } = black_box(event) {
                client.release(NOW, stream, data.len());
            }
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap_or_else(|| "wrk".into());
    let rounds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    match kind.as_str() {
        "wrk" => serve(WRK.as_bytes(), rounds),
        "browser" => serve(BROWSER.as_bytes(), rounds),
        "wrk-head" => heads(WRK.as_bytes(), rounds),
        "browser-head" => heads(BROWSER.as_bytes(), rounds),
        "wrk-httparse" => httparse(WRK.as_bytes(), rounds),
        "browser-httparse" => httparse(BROWSER.as_bytes(), rounds),
        "client" => ask(rounds),
        _ => eprintln!("unknown kind: {kind}"),
    }
}

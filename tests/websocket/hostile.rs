//! Peers that are mad: refused with the right code, while others are served.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use glowplug::core::{Instant, Seed, SendBuf, StreamProtocol};
use glowplug::runtime::http::Stream;
use glowplug::runtime::time::{sleep, within};
use glowplug::runtime::websocket::{Acceptor, Config, DeflateConfig, ServerSocket, WebSocket};
use glowplug::runtime::{Endpoint, MaybeTls, Runtime};
use glowplug::websocket::wire::{FrameDecoder, FrameHead, Opcode, encode};
use glowplug::websocket::{Agreed, ClientHandshake, Connection, Message, Role, ServerHandshake};

use crate::support;
use crate::{Plug, Told, URL, serving, to};

support::on_each_executor![mad_peers_are_told_why, an_endless_close, a_peer_that_never_closes, a_mute_peer];

/// A peer of bare frames behind a proper handshake.
struct Raw<R: Runtime> {
    stream: Stream<R>,
    input: BytesMut,
}

impl<R: Runtime> Raw<R> {
    async fn connect(runtime: &R, at: &Endpoint, deflate: bool) -> Self {
        let mut stream = MaybeTls::Plain(runtime.connect(at).await.expect("connected"));
        let config = Config::new().deflate(deflate.then(DeflateConfig::new));
        let handshake = ClientHandshake::new(&Seed::from_u64(1), &config, [""; 0]);
        let mut request = String::from("GET /chat HTTP/1.1\r\nhost: example.test\r\n");
        for (name, value) in handshake.fields() {
            request.extend([name, ": ", &value, "\r\n"]);
        }
        support::write(&mut stream, request + "\r\n").await.expect("written");
        let mut input = BytesMut::new();
        let end = loop {
            if let Some(at) = input.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(support::read(&mut stream, &mut input).await.expect("an answer") > 0);
        };
        assert!(input.starts_with(b"HTTP/1.1 101"));
        input.advance(end);
        Self { stream, input }
    }

    /// Sends, as far as the peer lets us.
    async fn send(&mut self, bytes: impl Into<Bytes>) {
        let _ = support::write(&mut self.stream, bytes).await;
    }

    /// The code of the server's good-bye; 0 if the connection ends without.
    async fn code(&mut self) -> u16 {
        let mut decoder = FrameDecoder::new(1 << 30);
        loop {
            while let Some(mut frame) = decoder.decode(&mut self.input).expect("a frame") {
                if frame.head.opcode == Opcode::Close {
                    return if frame.payload.is_empty() { 1005 } else { frame.payload.get_u16() };
                }
            }
            match support::read(&mut self.stream, &mut self.input).await {
                Ok(0) | Err(_) => return 0,
                Ok(_) => {}
            }
        }
    }
}

fn frame(opcode: Opcode, fin: bool, rsv1: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode(FrameHead { fin, rsv1, opcode, mask: Some([9, 8, 7, 6]), len: 0 }, payload, &mut out);
    out.to_vec()
}

/// 100 MB of nothing, in 100 KB.
fn bomb() -> Vec<u8> {
    let config = Config::new().deflate(Some(DeflateConfig::new()));
    let handshake = ClientHandshake::new(&Seed::from_u64(1), &config, [""; 0]).fields();
    let fields = handshake.iter().map(|(name, value)| (*name, value.as_bytes()));
    let agreed: Agreed = ServerHandshake::read("GET", fields, &config).expect("a handshake").agreed().clone();
    let mut client = Connection::new(Instant::ZERO, Role::Client(Seed::from_u64(2)), config, &agreed);
    client.send(Instant::ZERO, Message::binary(vec![0; 100 << 20])).expect("room");
    let mut out = SendBuf::with_room(usize::MAX);
    client.poll_transmit(Instant::ZERO, &mut out);
    out.take_all().to_vec()
}

fn strict() -> Config {
    Config::new()
        .max_message_len(100_000)
        .max_frame_len(50_000)
        .max_fragments(100)
        .max_controls(50)
        .close_timeout(Duration::from_millis(50))
        .deflate(Some(DeflateConfig::new()))
}

async fn mad_peers_are_told_why<R: Plug>(runtime: R) {
    let text = |fin, bytes: &[u8]| frame(Opcode::Text, fin, false, bytes);
    let more = |fin, bytes: &[u8]| frame(Opcode::Continuation, fin, false, bytes);
    let flood = |one: Vec<u8>| one.repeat(1000);
    let cases = [
        ("a zip bomb", 1009, bomb()),
        ("a flood of fragments", 1008, [text(false, b""), flood(more(false, b""))].concat()),
        ("a flood of pings", 1008, flood(frame(Opcode::Ping, true, false, b"?"))),
        ("a frame that is too long", 1009, text(true, &vec![b'x'; 50_001])),
        (
            "a message that is too long",
            1009,
            [
                text(false, &vec![b'x'; 40_000]),
                more(false, &vec![b'y'; 40_000]),
                more(false, &vec![b'z'; 40_000]),
            ]
            .concat(),
        ),
        ("text that is none, over cuts", 1007, [text(false, b"caf\xc3"), more(true, b"\x28")].concat()),
        ("what does not inflate", 1007, frame(Opcode::Binary, true, true, &[0xff; 100])),
        ("no mask", 1002, vec![0x81, 1, b'x']),
        (
            "a reserved opcode",
            1002,
            frame(Opcode::Text, true, false, b"").into_iter().map(|b| b | 0x07).collect(),
        ),
        ("a code that may not be sent", 1002, frame(Opcode::Close, true, false, &1005u16.to_be_bytes())),
        ("no code", 1005, frame(Opcode::Close, true, false, b"")),
    ];
    let acceptor = Acceptor::new(runtime.clone()).config(strict());
    serving(&runtime, acceptor, crate::echo, async |at| {
        let mut calm: WebSocket<R> = to(&runtime, &at).connect(URL).await.expect("connected");
        for (name, code, bytes) in cases {
            let mut mad = Raw::connect(&runtime, &at, true).await;
            mad.send(bytes).await;
            assert_eq!(mad.code().await, code, "{name}");
            calm.send(name).await.expect("sent");
            assert_eq!(calm.recv().await.expect("an echo"), Some(name.into()));
        }
        calm.close().await.expect("closed");
    })
    .await;
}

/// Says good-bye, and says whether that came to its end in time.
fn leave<R: Plug>(mut socket: ServerSocket<R>) -> Told {
    Box::pin(async move {
        assert!(socket.close().await.is_err(), "the peer never said good-bye");
    })
}

/// A peer that answers a good-bye with data, and goes on for ever.
async fn an_endless_close<R: Plug>(runtime: R) {
    let acceptor = Acceptor::new(runtime.clone()).config(strict());
    serving(&runtime, acceptor, leave, async |at| {
        let mut mad = Raw::<R>::connect(&runtime, &at, false).await;
        let data = Bytes::from(frame(Opcode::Binary, true, false, &[7; 1000]));
        while support::write(&mut mad.stream, data.clone()).await.is_ok() {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A peer that says good-bye and never closes its end.
async fn a_peer_that_never_closes<R: Plug>(runtime: R) {
    let acceptor = Acceptor::new(runtime.clone()).config(strict());
    serving(&runtime, acceptor, crate::echo, async |at| {
        let mut mad = Raw::<R>::connect(&runtime, &at, false).await;
        mad.send(frame(Opcode::Close, true, false, &1000u16.to_be_bytes())).await;
        assert_eq!(mad.code().await, 1000);
        assert_eq!(
            support::read(&mut mad.stream, &mut BytesMut::new()).await.ok(),
            Some(0),
            "closed by the server"
        );
    })
    .await;
}

/// A peer that is not there any more is found out by a ping.
async fn a_mute_peer<R: Plug>(runtime: R) {
    let soon = Duration::from_millis(30);
    let config = Config::new().ping_interval(Some(soon)).pong_timeout(soon);
    let acceptor = Acceptor::new(runtime.clone()).config(config);
    serving(&runtime, acceptor, crate::echo, async |at| {
        let mut mute = Raw::<R>::connect(&runtime, &at, false).await;
        let code = within(&runtime, Some(Duration::from_secs(20)), mute.code()).await;
        assert_eq!(code, Ok(1011));
    })
    .await;
}

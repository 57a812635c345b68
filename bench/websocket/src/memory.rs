//! One end of a connection in memory: what it reads is always there, and what it writes is counted and gone.

use std::future::Future;
use std::io::{self, IoSlice, Read, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bench_harness::{Measured, repeat};
use bytes::{Buf, Bytes, BytesMut};
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload};
use glowplug_core::{Instant, Seed, SendBuf, StreamProtocol};
use glowplug_websocket::{Agreed, Config, Connection, Event, Role};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket, protocol};

/// One read gives at most this much: what a socket gives.
const READ: usize = 64 * 1024;

/// A stream that says the same for ever, and takes everything.
struct Endless {
    wire: Bytes,
    at: usize,
    written: usize,
}

impl Endless {
    fn new(wire: Bytes) -> Self {
        Self { wire, at: 0, written: 0 }
    }

    /// The next bytes, up to so many.
    fn next(&mut self, most: usize) -> &[u8] {
        if self.at == self.wire.len() {
            self.at = 0;
        }
        let begin = self.at;
        self.at = (begin + most.min(READ)).min(self.wire.len());
        &self.wire[begin..self.at]
    }
}

impl Read for Endless {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let next = self.next(buf.len());
        buf[..next.len()].copy_from_slice(next);
        Ok(next.len())
    }
}

impl Write for Endless {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.written += buf.len();
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = buf.remaining();
        buf.put_slice(self.next(most));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(mut self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.written += buf.len();
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.written += len;
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What never waits is done at once.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("memory never waits"),
    }
}

fn connection(role: Role) -> Connection {
    Connection::new(Instant::ZERO, role, Config::new(), &Agreed::default())
}

fn client() -> Connection {
    connection(Role::Client(Seed::from_u64(1)))
}

/// What a client sends: some masked messages of `len` bytes.
fn wire(len: usize) -> Bytes {
    let (mut client, mut wire) = (client(), BytesMut::new());
    while wire.len() < 2 * READ {
        client.send(Instant::ZERO, vec![7; len]).expect("room");
        let mut out = SendBuf::new();
        client.poll_transmit(Instant::ZERO, &mut out);
        wire.extend_from_slice(&out.take_all());
    }
    wire.freeze()
}

/// A server receives masked messages.
pub fn receive(len: usize, operations: u64) -> Measured {
    let mut stream = Endless::new(wire(len));
    let (mut server, mut input) = (connection(Role::Server), BytesMut::new());
    repeat(operations, || {
        loop {
            match server.poll_event(Instant::ZERO, &mut input).expect("no error") {
                Some(Event::Message(message)) => break assert_eq!(message.len(), len),
                Some(other) => panic!("{other:?}"),
                None => input.extend_from_slice(stream.next(READ)),
            }
        }
    })
}

pub fn receive_tungstenite(len: usize, operations: u64) -> Measured {
    let mut server = WebSocket::from_raw_socket(Endless::new(wire(len)), protocol::Role::Server, None);
    repeat(operations, || assert_eq!(server.read().expect("a message").len(), len))
}

pub fn receive_fast(len: usize, operations: u64) -> Measured {
    let server =
        fastwebsockets::WebSocket::after_handshake(Endless::new(wire(len)), fastwebsockets::Role::Server);
    let mut server = FragmentCollector::new(server);
    repeat(operations, || assert_eq!(now(server.read_frame()).expect("a message").payload.len(), len))
}

/// An end sends messages, each made anew; a client masks them.
pub fn send(len: usize, masked: bool, operations: u64) -> Measured {
    let mut end = if masked { client() } else { connection(Role::Server) };
    let (mut out, mut written, payload) = (SendBuf::new(), 0, vec![7; len]);
    repeat(operations, || {
        end.send(Instant::ZERO, payload.clone()).expect("room");
        end.poll_transmit(Instant::ZERO, &mut out);
        written += out.len();
        out.advance(out.len());
    })
}

pub fn send_tungstenite(len: usize, masked: bool, operations: u64) -> Measured {
    let role = if masked { protocol::Role::Client } else { protocol::Role::Server };
    let mut end = WebSocket::from_raw_socket(Endless::new(Bytes::new()), role, None);
    let payload = vec![7; len];
    repeat(operations, || {
        let sent: tungstenite::Result<()> = end.send(Message::binary(payload.clone()));
        sent.expect("sent");
    })
}

pub fn send_fast(len: usize, masked: bool, operations: u64) -> Measured {
    let role = if masked { fastwebsockets::Role::Client } else { fastwebsockets::Role::Server };
    let mut end = fastwebsockets::WebSocket::after_handshake(Endless::new(Bytes::new()), role);
    let payload = vec![7; len];
    repeat(operations, || {
        let frame = Frame::new(true, OpCode::Binary, None, Payload::Owned(payload.clone()));
        now(end.write_frame(frame)).expect("sent");
    })
}

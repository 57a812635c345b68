//! Drivers over transports and sockets that do what those of a system do rarely.

use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use glowplug::core::{Instant, Seed, SendBuf};
use glowplug::http::{BodyLength, ServerConfig, ServerConnection, ServerEvent, StatusCode};
use glowplug::runtime::drive::{Datagrams, Exclusive};
use glowplug::runtime::udp::{Builder, Config};
use glowplug::runtime::{DatagramSocket, Endpoint, RecvBatch, Runtime, SendBatch, Spawn, Transport};
use glowplug::smol::Smol;
use glowplug::udp::Tracker;

/// Takes nothing at first, and then whatever there is.
struct Hesitant {
    request: Option<&'static str>,
    hesitated: bool,
    written: usize,
}

impl Transport for Hesitant {
    fn poll_read(&mut self, _cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        let Some(request) = self.request.take() else { return Poll::Pending };
        buf.extend_from_slice(request.as_bytes());
        Poll::Ready(Ok(request.len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut SendBuf) -> Poll<io::Result<usize>> {
        if !std::mem::replace(&mut self.hesitated, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let len = out.take_all().len();
        self.written += len;
        Poll::Ready(Ok(len))
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_write_that_makes_room_lets_the_rest_follow() {
    const LEN: usize = 1_000_000;
    smol::block_on(async {
        let request = Some("GET / HTTP/1.1\r\nhost: here\r\n\r\n");
        let transport = Hesitant { request, hesitated: false, written: 0 };
        let mut config = ServerConfig::default();
        config.linger_timeout = Duration::from_millis(1);
        let machine = ServerConnection::new(Instant::ZERO, Arc::new(config));
        let mut driver = Exclusive::new(Smol::default(), transport, machine);
        let Ok(Some(ServerEvent::Request { stream, .. })) = driver.next_event().await else {
            panic!("no request")
        };
        let machine = driver.machine_mut();
        let fields = [("connection", "close")];
        let length = BodyLength::Known(LEN as u64);
        machine.send_head(Instant::ZERO, stream, StatusCode::OK, &fields, length).expect("a head");
        // One piece may overshoot the room.
        machine.send_data(Instant::ZERO, stream, Bytes::from(vec![b'x'; LEN])).expect("a body");
        machine.finish(Instant::ZERO, stream, &()).expect("the end");
        // To the end of the connection, which lingers for a moment.
        while let Some(event) = driver.next_event().await.expect("no error") {
            drop(event);
        }
        let written = driver.into_parts().transport.written;
        assert!(written > LEN, "{written} bytes");
    });
}

/// A plug whose datagram sockets fail whenever they are read.
#[derive(Clone, Default)]
struct Broken(Smol);

struct BrokenSocket(SocketAddr);

impl DatagramSocket for BrokenSocket {
    fn poll_recv(&mut self, _cx: &mut Context<'_>, _batch: &mut RecvBatch) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
    }

    fn poll_send(&mut self, _cx: &mut Context<'_>, batch: &mut SendBatch) -> Poll<io::Result<usize>> {
        let count = batch.len();
        batch.sent(count);
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0)
    }
}

impl Runtime for Broken {
    type Stream = <Smol as Runtime>::Stream;
    type Listener = <Smol as Runtime>::Listener;
    type Datagram = BrokenSocket;
    type Timer = <Smol as Runtime>::Timer;
    type Connecting = <Smol as Runtime>::Connecting;
    type Listening = <Smol as Runtime>::Listening;
    type Binding = Ready<io::Result<BrokenSocket>>;
    type Resolving = <Smol as Runtime>::Resolving;

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn wall_clock(&self) -> SystemTime {
        self.0.wall_clock()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.0.fill_random(bytes);
    }

    fn timer(&self) -> Self::Timer {
        self.0.timer()
    }

    fn connect(&self, to: &Endpoint) -> Self::Connecting {
        self.0.connect(to)
    }

    fn listen(&self, at: &Endpoint) -> Self::Listening {
        self.0.listen(at)
    }

    fn bind(&self, local: SocketAddr) -> Self::Binding {
        ready(Ok(BrokenSocket(local)))
    }

    fn resolve(&self, host: &str, port: u16) -> Self::Resolving {
        self.0.resolve(host, port)
    }
}

impl<F> Spawn<F> for Broken
where
    Smol: Spawn<F>,
{
    fn spawn(&self, future: F) {
        self.0.spawn(future);
    }
}

#[test]
fn a_datagram_socket_that_only_fails_is_given_up() {
    smol::block_on(async {
        let at = SocketAddr::from(([127, 0, 0, 1], 7));
        // The driver that its caller polls.
        let tracker = Tracker::new(Config::default(), &Seed::from_u64(1));
        let mut driver = Datagrams::new(Broken::default(), BrokenSocket(at), tracker);
        let error = driver.next_event().await.expect_err("no datagram ever comes");
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        // And the task of a listener.
        let listener = Builder::new(Broken::default()).bind(at).await.expect("bound");
        let error = listener.accept().await.expect_err("nobody ever comes");
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    });
}

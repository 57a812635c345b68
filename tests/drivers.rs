//! The exclusive driver over a transport that does what sockets do rarely.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug::core::{Instant, SendBuf};
use glowplug::http::{BodyLength, ServerConfig, ServerConnection, ServerEvent, StatusCode};
use glowplug::runtime::Transport;
use glowplug::runtime::drive::Exclusive;
use glowplug::smol::Smol;

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

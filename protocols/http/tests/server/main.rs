//! The server half: exact bytes, keep-alive, framing, limits, deadlines, and what a careless application may do.

mod answers;
mod life;
mod strict;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, ReadInterest, SendBuf, StreamProtocol, WriteInterest};
use glowplug_http::{
    BodyLength, Error, FinishError, HeadError, HttpDate, Leniency, Limits, Phase, PreparedFields, SendError,
    ServerConfig, ServerConnection, ServerEvent, StatusCode, StreamId,
};
use support::{NOW, Transcript, at_every_cut, serve, server_config};

/// Turns one leniency on.
type Allow = fn(&mut Leniency);

/// A server, its buffers, and what it tells.
struct Server {
    machine: ServerConnection,
    input: BytesMut,
    now: Instant,
}

impl Server {
    fn new() -> Self {
        Self::with(ServerConfig::default())
    }

    fn with(config: ServerConfig) -> Self {
        Self { machine: ServerConnection::new(NOW, Arc::new(config)), input: BytesMut::new(), now: NOW }
    }

    fn event(&mut self) -> Option<ServerEvent> {
        self.machine.poll_event(self.now, &mut self.input).expect("no error")
    }

    fn feed(&mut self, wire: &str) -> &mut Self {
        self.input.extend_from_slice(wire.as_bytes());
        self
    }

    /// The stream of the request in `wire`, whose body (if any) is not looked at.
    fn request(&mut self, wire: &str) -> StreamId {
        match self.feed(wire).event() {
            Some(ServerEvent::Request { stream, .. }) => stream,
            other => panic!("{other:?}"),
        }
    }

    /// The same for a request that is complete.
    fn whole_request(&mut self, wire: &str) -> StreamId {
        let stream = self.request(wire);
        assert!(matches!(self.event(), Some(ServerEvent::End { .. })));
        stream
    }

    fn answer(&mut self, stream: StreamId, status: u16, body: BodyLength) {
        let status = StatusCode::from_u16(status).expect("a status");
        self.machine.send_head(self.now, stream, status, &(), body).expect("a head is due");
    }

    fn sent(&mut self) -> String {
        let mut out = SendBuf::with_room(1 << 20);
        self.machine.poll_transmit(self.now, &mut out);
        String::from_utf8(out.take_all().to_vec()).expect("text").replace("\r\n", "\n")
    }

    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self.machine.handle_timeout(self.now);
        self
    }

    fn reads(&self) -> ReadInterest {
        self.machine.interest().read
    }

    fn closes(&self) -> bool {
        self.machine.interest().write == WriteInterest::Closed
    }
}

fn run(wire: &str) -> Transcript {
    at_every_cut(wire.as_bytes(), 4096, |pieces| serve(&server_config(), pieces, true))
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

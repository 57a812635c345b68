//! StartTls, on the side of the embedded node.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use glowplug_core::{SendBuf, StreamProtocol as _};
use glowplug_riak::memory::Connection;

use super::server::Driver;
use crate::drive::{Exclusive, Parts};
use crate::tls::{ServerConfig, Tls};
use crate::{MaybeTls, Runtime, Transport};

/// A connection that was taken apart to put TLS in.
pub(super) struct Upgrade<R: Runtime> {
    machine: Connection,
    input: BytesMut,
    phase: Option<Phase<R>>,
    runtime: R,
    tls: ServerConfig,
}

enum Phase<R: Runtime> {
    /// The agreement is still to be sent in plain.
    Agreeing(R::Stream, SendBuf),
    /// The handshake is under way.
    Handshake(Box<Tls<R::Stream>>),
}

impl<R: Runtime> Upgrade<R> {
    /// Takes a connection apart whose machine asked for it. `None` when it is under TLS already.
    pub(super) fn new(driver: Driver<R>, tls: ServerConfig) -> Option<Self> {
        let runtime = driver.runtime().clone();
        let Parts { mut machine, transport, input, unsent } = driver.into_parts();
        let MaybeTls::Plain(stream) = transport else { return None };
        let mut output = SendBuf::new();
        output.push(unsent);
        machine.poll_transmit(runtime.now(), &mut output);
        Some(Self { machine, input, phase: Some(Phase::Agreeing(stream, output)), runtime, tls })
    }

    /// Ready when the connection is together again, or when it failed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.phase {
                Some(Phase::Agreeing(stream, output)) => {
                    while !output.is_empty() {
                        ready!(stream.poll_write(cx, output))?;
                    }
                    ready!(stream.poll_flush(cx))?;
                    if let Some(Phase::Agreeing(stream, _)) = self.phase.take() {
                        self.phase = Some(Phase::Handshake(Box::new(Tls::server(stream, &self.tls)?)));
                    }
                }
                // The handshake goes on where it was, so its future need not live from poll to poll.
                Some(Phase::Handshake(stream)) => return pin!(stream.handshake()).poll(cx),
                None => return Poll::Pending,
            }
        }
    }

    /// The connection, once the handshake is done.
    pub(super) fn finish(mut self) -> Option<Driver<R>> {
        let Some(Phase::Handshake(stream)) = self.phase.take() else { return None };
        self.machine.tls_established(self.runtime.now());
        Some(Exclusive::with_input(self.runtime, MaybeTls::Tls(stream), self.machine, self.input))
    }
}

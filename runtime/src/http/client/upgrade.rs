//! A connection that speaks another protocol now.

use std::fmt;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use glowplug_core::SendBuf;

use super::Stream;
use crate::drive::Parts;
use crate::{Runtime, Transport};

/// A connection that the server has handed over to another protocol.
///
/// As a [`Transport`] it first gives what came behind the answer's head, and first sends what was still to be sent of the request.
pub struct Upgraded<R: Runtime> {
    stream: Stream<R>,
    input: BytesMut,
    unsent: SendBuf,
}

/// What an upgraded connection consists of.
#[derive(Debug)]
#[non_exhaustive]
pub struct UpgradedParts<S> {
    /// The stream.
    pub stream: S,
    /// What came behind the answer's head: the beginning of the other protocol.
    pub input: BytesMut,
    /// What the stream has not taken yet of the request. It goes first.
    pub unsent: Bytes,
}

impl<R: Runtime> Upgraded<R> {
    pub(super) fn new<P>(parts: Parts<P, Stream<R>>) -> Self {
        let mut unsent = SendBuf::new();
        unsent.push(parts.unsent);
        Self { stream: parts.transport, input: parts.input, unsent }
    }

    /// Takes it apart, for a driver of your own.
    pub fn into_parts(mut self) -> UpgradedParts<Stream<R>> {
        UpgradedParts { stream: self.stream, input: self.input, unsent: self.unsent.take_all() }
    }

    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            ready!(self.stream.poll_write(cx, &mut self.unsent))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<R: Runtime> Transport for Upgraded<R> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        if self.input.is_empty() {
            // A server that waits for the rest of the request says nothing before it has that. Failing to send is for writes to tell.
            let _ = self.poll_unsent(cx);
            return self.stream.poll_read(cx, buf);
        }
        let input = std::mem::take(&mut self.input);
        let len = input.len();
        if buf.is_empty() {
            *buf = input;
        } else {
            buf.extend_from_slice(&input);
        }
        Poll::Ready(Ok(len))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut SendBuf) -> Poll<io::Result<usize>> {
        ready!(self.poll_unsent(cx))?;
        self.stream.poll_write(cx, out)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(cx))?;
        self.stream.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(cx))?;
        self.stream.poll_shutdown(cx)
    }
}

impl<R: Runtime> fmt::Debug for Upgraded<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").field("input", &self.input.len()).finish_non_exhaustive()
    }
}

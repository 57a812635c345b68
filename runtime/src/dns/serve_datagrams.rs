//! The half of a server that answers datagrams.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use glowplug_core::{Instant, Path};
use glowplug_dns::resolver::Channel;
use glowplug_dns::{Incoming, Rcode, Rejected, Response};

use super::crew::Crew;
use super::server::{Asked, Halt, Handler, ServerConfig};
use crate::drive::Deadline;
use crate::{DatagramSocket, Endpoint, RecvBatch, Runtime, SendBatch};

/// How many batches one poll moves before it lets other tasks run.
const BATCHES_PER_POLL: u32 = 16;

/// How many receive errors in a row are taken for errors about single datagrams; beyond, the socket itself is broken.
const ERRORS_IN_A_ROW: u32 = 1024;

pub(super) struct ServeDatagrams<H: Handler, R: Runtime> {
    runtime: R,
    socket: R::Datagram,
    handler: Arc<H>,
    config: ServerConfig,
    halt: Arc<Halt>,
    /// Handlers at work, each with its query and whom to answer.
    crew: Crew<H::Answering, (Incoming, Path)>,
    incoming: RecvBatch,
    outgoing: SendBatch,
    scratch: BytesMut,
    deadline: Deadline<R::Timer>,
    /// When a stopped server gives its handlers up.
    drained_at: Option<Instant>,
    errors_in_a_row: u32,
}

impl<H: Handler, R: Runtime> ServeDatagrams<H, R> {
    pub(super) fn new(
        runtime: R,
        socket: R::Datagram,
        handler: Arc<H>,
        config: &ServerConfig,
        halt: Arc<Halt>,
    ) -> Self {
        Self {
            socket,
            handler,
            config: config.clone(),
            halt,
            crew: Crew::new(),
            incoming: RecvBatch::new(),
            outgoing: SendBatch::new(),
            scratch: BytesMut::new(),
            deadline: Deadline::new(runtime.timer()),
            drained_at: None,
            errors_in_a_row: 0,
            runtime,
        }
    }

    fn take_in(&mut self, now: Instant) {
        while let Some(datagram) = self.incoming.pop() {
            let holder = datagram.payload.capacity();
            let message = glowplug_core::keep(datagram.payload.freeze(), holder);
            match Incoming::read(message, Channel::Udp, &self.config.connection.response) {
                // Its client asks again, when there may be room.
                Ok(_) if self.crew.len() >= self.config.max_datagrams.max(1) => {}
                Ok(query) => {
                    let peer = Endpoint::Tcp(datagram.path.remote);
                    let work = self.handler.answer(Asked { query: query.clone(), peer });
                    self.crew.push(work, (query, datagram.path), now + self.config.query_timeout);
                }
                Err(Rejected::Answered(response)) => self.outgoing.push(datagram.path, &response),
                Err(Rejected::Ignored) => {}
            }
        }
    }

    /// Takes answers of handlers that are done, as many as may be sent at once.
    fn collect(&mut self, cx: &mut Context<'_>, now: Instant) {
        while !self.outgoing.is_full()
            && let Poll::Ready(((query, path), response)) = self.crew.poll(cx, now)
        {
            let response = response.unwrap_or_else(|| Response::error(Rcode::SERVFAIL));
            self.scratch.clear();
            query.respond(&response, &mut self.scratch);
            self.outgoing.push(path, &self.scratch);
        }
    }

    /// Sends what can be sent; true when all of it went.
    fn send(&mut self, cx: &mut Context<'_>) -> bool {
        while !self.outgoing.is_empty() {
            // An error is about the first datagram, which is gone: datagrams may be lost anywhere.
            if self.socket.poll_send(cx, &mut self.outgoing).is_pending() {
                return false;
            }
        }
        true
    }
}

// Nothing in it is pinned: handlers have boxes of their own.
impl<H: Handler, R: Runtime> Unpin for ServeDatagrams<H, R> {}

impl<H: Handler, R: Runtime> Future for ServeDatagrams<H, R> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        for _ in 0..BATCHES_PER_POLL {
            let now = this.runtime.now();
            if this.drained_at.is_none() && this.halt.is_set(cx.waker()) {
                this.drained_at = Some(now + this.config.drain_timeout);
            }
            this.collect(cx, now);
            let sent = this.send(cx);
            let stopping = this.drained_at;
            if stopping.is_some_and(|at| at <= now || (sent && this.crew.len() == 0)) {
                return Poll::Ready(Ok(()));
            }
            // While answers wait to be sent no more questions are taken: the system's buffer is where they wait.
            if sent && stopping.is_none() {
                match this.socket.poll_recv(cx, &mut this.incoming) {
                    Poll::Ready(Ok(_)) => {
                        this.errors_in_a_row = 0;
                        this.take_in(now);
                        continue;
                    }
                    Poll::Ready(Err(error)) => {
                        this.errors_in_a_row += 1;
                        if this.errors_in_a_row > ERRORS_IN_A_ROW {
                            return Poll::Ready(Err(error));
                        }
                        continue;
                    }
                    Poll::Pending => {}
                }
            }
            this.deadline.set(stopping.into_iter().chain(this.crew.poll_timeout()).min());
            if this.deadline.poll(cx, now).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

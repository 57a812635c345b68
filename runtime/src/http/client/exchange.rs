//! One request and its answer on one connection: both directions are moved by whoever polls.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use glowplug_core::{Instant, Progress};
use glowplug_http::{BodyLength, ClientEvent, Error as ProtocolError, HeadError, ResponseHead};

use super::connection::{Connection, Driver};
use super::error::{ClientError, Stage};
use super::upload::{Sending, Upload};
use super::{Informational, RequestLine};
use crate::Runtime;
use crate::drive::{Deadline, DriverError};
use crate::http::BoxError;

/// How often one poll goes round between a body that always has more and a transport that always takes it.
const ROUNDS_PER_POLL: u32 = 32;

/// A request on its connection, until the answer has ended.
pub(super) struct Exchange<R: Runtime, B> {
    pub(super) connection: Box<Connection<R>>,
    pub(super) upload: Upload<B>,
    /// The connection was made or looked at in this very poll.
    is_new: bool,
}

/// Why an exchange did not come to its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection ended; with the reason, unless it simply did.
    Connection(Option<DriverError<ProtocolError>>),
    /// The request's body failed.
    Upload(BoxError),
    /// The server takes nothing.
    Stalled,
}

impl Failure {
    /// What the caller is told.
    pub(super) fn into_error(self, progress: Progress) -> ClientError {
        use glowplug_http::Phase;
        match self {
            Self::Connection(Some(DriverError::Protocol(ProtocolError::TimedOut(phase)))) => {
                let stage = if phase == Phase::Body { Stage::Body } else { Stage::Head };
                ClientError::TimedOut { stage, progress }
            }
            Self::Connection(cause) => ClientError::Connection { progress, cause },
            Self::Upload(cause) => ClientError::Body { progress, cause },
            Self::Stalled => ClientError::TimedOut { stage: Stage::Send, progress },
        }
    }

    /// True when the connection was cut, rather than that somebody was slow or wrong.
    pub(super) fn is_cut(&self) -> bool {
        match self {
            Self::Connection(Some(DriverError::Protocol(error))) => {
                matches!(error, ProtocolError::UnexpectedEof(_) | ProtocolError::Peer(_))
            }
            Self::Connection(_) => true,
            Self::Upload(_) | Self::Stalled => false,
        }
    }
}

impl<R: Runtime, B> Exchange<R, B> {
    /// Begins a request on a connection that is ready. A head that the machine refuses gives everything back.
    pub(super) fn begin(
        mut connection: Box<Connection<R>>,
        request: &RequestLine<'_>,
        upload: Upload<B>,
    ) -> Result<Self, (HeadError, Box<Connection<R>>)> {
        // It was made or looked at just now.
        let now = connection.driver.polled_at();
        connection.written_before = connection.driver.written();
        let machine = connection.driver.machine_mut();
        match machine.submit(now, request.method, &request.target, request, upload.length()) {
            Ok(stream) => {
                connection.stream = stream;
                connection.stall.begin();
                Ok(Self { connection, upload, is_new: true })
            }
            Err(error) => Err((error, connection)),
        }
    }

    /// How far the request got. What the transport has taken nothing of was not sent, whatever waited for it.
    pub(super) fn progress(&self) -> Progress {
        let Connection { driver, stream, written_before, .. } = &*self.connection;
        let told = driver.machine().progress(*stream);
        if told < Progress::AnswerBegun && driver.written() == *written_before {
            return Progress::NotSent;
        }
        told
    }

    /// Gives credit back for what has just come of the answer's body.
    pub(super) fn release(&mut self, now: Instant, len: usize) {
        let Connection { driver, stream, .. } = &mut *self.connection;
        driver.machine_mut().release(now, *stream, len);
    }

    /// Nobody wants the rest of the answer. True when the connection may serve again: the little that is left is read
    /// away by its next use.
    pub(super) fn give_up(&mut self) -> bool {
        use glowplug_core::StreamProtocol as _;
        let Connection { driver, stream, .. } = &mut *self.connection;
        let now = driver.runtime().now();
        driver.machine_mut().cancel(now, *stream);
        driver.machine().interest().read.wants()
    }
}

impl<R: Runtime, B> Exchange<R, B>
where
    B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
{
    /// The final answer: its head into `answer`, and how long its body is. Informational ones go to `informational`, if somebody listens.
    pub(super) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        answer: &mut ResponseHead,
        informational: Option<&Informational>,
    ) -> Poll<Result<BodyLength, Failure>> {
        loop {
            match self.poll_event(cx) {
                Poll::Ready(Ok(ClientEvent::Response { head, body, .. })) => {
                    *answer = head;
                    let holder = answer.len_in_bytes() + self.connection.driver.input_capacity();
                    if answer.len_in_bytes() < holder / 4 {
                        // A small head would keep all of a large buffer alive.
                        answer.compact();
                    }
                    return Poll::Ready(Ok(body));
                }
                Poll::Ready(Ok(ClientEvent::Informational { head, .. })) => {
                    if let Some(informational) = informational {
                        informational.call(&head);
                    }
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The next thing that the server tells; meanwhile the request's body is sent.
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<ClientEvent, Failure>> {
        for _ in 0..ROUNDS_PER_POLL {
            let mut sending = Sending::Done;
            let mut is_new = std::mem::take(&mut self.is_new);
            if !self.upload.is_finished() {
                is_new = false;
                let progress = self.progress();
                let Connection { driver, stream, .. } = &mut *self.connection;
                let now = driver.runtime().now();
                sending = match self.upload.send(cx, now, driver.machine_mut(), *stream, progress) {
                    Ok(sending) => sending,
                    Err(cause) => return Poll::Ready(Err(Failure::Upload(cause))),
                };
            }
            let Connection { driver, stream, stall, .. } = &mut *self.connection;
            let polled = if is_new { driver.poll_event_now(cx) } else { driver.poll_event(cx) };
            match polled {
                Poll::Ready(Ok(Some(event))) => return Poll::Ready(Ok(event)),
                Poll::Ready(Ok(None)) => return Poll::Ready(Err(Failure::Connection(None))),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Failure::Connection(Some(error)))),
                Poll::Pending => {}
            }
            if sending != Sending::Full || driver.machine().capacity(*stream) == 0 {
                return match stall.poll(cx, driver) {
                    Poll::Ready(()) => Poll::Ready(Err(Failure::Stalled)),
                    Poll::Pending => Poll::Pending,
                };
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Finds a server that takes nothing of what waits for it.
pub(super) struct Stall<R: Runtime> {
    limit: Option<Duration>,
    /// Bytes taken, and until when more have to be.
    seen: Option<(u64, Instant)>,
    /// Made when it is first needed: nearly always the transport takes all at once.
    deadline: Option<Box<Deadline<R::Timer>>>,
}

impl<R: Runtime> Stall<R> {
    /// For a server that may take nothing for so long.
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self { limit, seen: None, deadline: None }
    }

    /// Another request begins.
    fn begin(&mut self) {
        self.seen = None;
    }

    /// Ready when it has taken too long.
    fn poll(&mut self, cx: &mut Context<'_>, driver: &Driver<R>) -> Poll<()> {
        let Some(limit) = self.limit else { return Poll::Pending };
        if !driver.has_unsent() {
            self.seen = None;
            if let Some(deadline) = &mut self.deadline {
                deadline.set(None);
            }
            return Poll::Pending;
        }
        let now = driver.runtime().now();
        let written = driver.written();
        let deadline = self.deadline.get_or_insert_with(|| Box::new(Deadline::new(driver.runtime().timer())));
        match self.seen {
            Some((before, _)) if before == written => {}
            _ => {
                let until = now + limit;
                self.seen = Some((written, until));
                deadline.set(Some(until));
            }
        }
        deadline.poll(cx, now)
    }
}

//! One connection, used by one caller at a time.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use glowplug_core::{Instant, Progress, RequestProtocol, Token};
use glowplug_mongodb::auth::ScramKeys;
use glowplug_mongodb::pool::Generation;
use glowplug_mongodb::{ClientConnection, Command, Config, Event, Response, ServerInfo, command};

use super::Stream;
use crate::drive::{Deadline, DriverError, Exclusive, KEPT_BUFFERS};
use crate::{Runtime, Transport as _};

/// Why a connection is over; `None` when it ended in good order.
pub(super) type Cause = Option<Arc<DriverError<glowplug_mongodb::Error>>>;

/// A connection that has shaken hands.
pub(super) struct Connection<R: Runtime> {
    driver: Exclusive<ClientConnection, Stream<R>, R>,
    /// Of the call that is under way.
    deadline: Deadline<R::Timer>,
    info: Arc<ServerInfo>,
    pub(super) generation: Generation,
    last_token: u64,
    over: bool,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(super) struct CallFailure {
    /// How far the request got.
    pub(super) progress: Progress,
    pub(super) why: Why,
}

#[derive(Debug)]
pub(super) enum Why {
    TimedOut,
    Broken(Cause),
}

/// One answer, and whether it is the last.
pub(super) struct Answered {
    pub(super) response: Response,
    pub(super) last: bool,
}

/// A connection that shakes hands and authenticates. The machine has a deadline of its own for it.
pub(super) struct Greeting<R: Runtime> {
    driver: Option<Exclusive<ClientConnection, Stream<R>, R>>,
    generation: Generation,
}

impl<R: Runtime> Greeting<R> {
    pub(super) fn new(runtime: R, mut stream: Stream<R>, config: Config, generation: Generation) -> Self {
        stream.prefer_readiness();
        let machine = ClientConnection::new(config, &runtime.seed(), runtime.now());
        let mut driver = Exclusive::new(runtime, stream, machine);
        driver.keep_buffers(KEPT_BUFFERS);
        Self { driver: Some(driver), generation }
    }

    /// Ready once; not to be polled after that.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Box<Connection<R>>, Cause>> {
        let Some(driver) = &mut self.driver else { return Poll::Ready(Err(None)) };
        loop {
            match driver.poll_event(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(Some(Event::Ready(info)))) => {
                    let Some(driver) = self.driver.take() else { return Poll::Ready(Err(None)) };
                    let deadline = Deadline::new(driver.runtime().timer());
                    return Poll::Ready(Ok(Box::new(Connection {
                        driver,
                        deadline,
                        info: Arc::new(*info),
                        generation: self.generation,
                        last_token: 0,
                        over: false,
                    })));
                }
                Poll::Ready(Ok(Some(_))) => {}
                Poll::Ready(Ok(None)) => return Poll::Ready(Err(None)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Some(Arc::new(error)))),
            }
        }
    }
}

impl<R: Runtime> Connection<R> {
    /// What the server said of itself.
    pub(super) fn info(&self) -> &Arc<ServerInfo> {
        &self.info
    }

    /// The keys that authentication derived, for the next connection.
    pub(super) fn scram_keys(&self) -> Option<&ScramKeys> {
        self.driver.machine().scram_keys()
    }

    /// What the clock said when it was last driven.
    pub(super) fn polled_at(&self) -> Instant {
        self.driver.polled_at()
    }

    /// True once the connection is of no more use.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Looks, without waiting, whether an idle connection is still one: servers close them.
    pub(super) fn is_alive(&mut self) -> bool {
        // Whatever comes on an idle connection but silence is the end of it.
        let mut cx = Context::from_waker(Waker::noop());
        self.over |= self.driver.poll_idle(&mut cx).is_ready();
        !self.over
    }

    /// True when nothing of earlier callers is left in it.
    pub(super) fn is_clean(&self) -> bool {
        self.driver.machine().in_flight() == 0 && !self.driver.has_unsent()
    }

    /// Hands a command over to be sent by the next poll.
    pub(super) fn submit(&mut self, request: Command) -> Token {
        self.last_token += 1;
        let token = Token(self.last_token);
        let now = self.driver.polled_at();
        // One caller has the connection, so the machine has room. If it is over, the answer's absence says so.
        if self.driver.machine_mut().submit(now, token, request).is_err() {
            self.over = true;
        }
        token
    }

    /// Hands a command over whose answer nobody wants.
    pub(super) fn submit_and_forget(&mut self, request: Command) {
        let token = self.submit(request);
        self.forgotten(token);
    }

    /// A command that is forgotten before it is sent would not be sent at all.
    fn forgotten(&mut self, token: Token) {
        let mut cx = Context::from_waker(Waker::noop());
        match self.driver.poll_event(&mut cx) {
            // A server on another thread may have answered by now.
            Poll::Pending | Poll::Ready(Ok(Some(_))) => {}
            Poll::Ready(Ok(None) | Err(_)) => self.over = true,
        }
        self.cancel(token);
    }

    /// Nobody waits for this answer any more.
    pub(super) fn cancel(&mut self, token: Token) {
        self.driver.machine_mut().cancel(token);
    }

    /// Cursors that answers to cancelled commands have opened, as commands that kill them.
    pub(super) fn take_kills(&mut self) -> Vec<Command> {
        let orphans = self.driver.machine_mut().take_orphans();
        let kill = |orphan: glowplug_mongodb::Orphan| {
            let (database, collection) = orphan.namespace.split_once('.')?;
            Some(command::kill_cursors(database, collection, &[orphan.cursor_id]))
        };
        orphans.into_iter().filter_map(kill).collect()
    }

    /// The next answer to `token`, or why there is none.
    pub(super) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        token: Token,
        until: Option<Instant>,
    ) -> Poll<Result<Answered, CallFailure>> {
        while !self.over {
            match self.driver.poll_event(cx) {
                Poll::Ready(Ok(Some(Event::Answer(answer)))) if answer.token == token => {
                    return Poll::Ready(Ok(Answered { response: answer.response, last: answer.last }));
                }
                Poll::Ready(Ok(Some(_))) => {}
                Poll::Ready(Ok(None)) => return Poll::Ready(Err(self.broken(token, None))),
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(self.broken(token, Some(Arc::new(error)))));
                }
                Poll::Pending => {
                    let now = self.driver.polled_at();
                    self.deadline.set(until);
                    if self.deadline.poll(cx, now).is_pending() {
                        return Poll::Pending;
                    }
                    let progress = self.driver.machine().progress(token);
                    self.cancel(token);
                    return Poll::Ready(Err(CallFailure { progress, why: Why::TimedOut }));
                }
            }
        }
        Poll::Ready(Err(self.broken(token, None)))
    }

    fn broken(&mut self, token: Token, cause: Cause) -> CallFailure {
        self.over = true;
        let progress = self.driver.machine().progress(token);
        CallFailure { progress, why: Why::Broken(cause) }
    }

    /// Sends a command and waits for its one answer.
    ///
    /// Dropped, the answer is thrown away when it comes.
    pub(super) async fn call(
        &mut self,
        request: Command,
        until: Option<Instant>,
    ) -> Result<Response, CallFailure> {
        let token = self.submit(request);
        let mut call = InFlight { connection: self, token: Some(token) };
        let answered = poll_fn(|cx| call.connection.poll_answer(cx, token, until)).await;
        call.token = None;
        drop(call);
        let answered = answered?;
        if matches!(answered.response, Response::Sent) {
            self.flush(token, until).await?;
        }
        Ok(answered.response)
    }

    /// A command without an answer is done when all of it was handed to the system.
    async fn flush(&mut self, token: Token, until: Option<Instant>) -> Result<(), CallFailure> {
        poll_fn(|cx| {
            if !self.driver.has_unsent() {
                return Poll::Ready(Ok(()));
            }
            match self.poll_answer(cx, token, until) {
                Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
                Poll::Ready(Err(failure)) => {
                    Poll::Ready(Err(CallFailure { progress: Progress::PartlySent, ..failure }))
                }
                Poll::Pending if !self.driver.has_unsent() => Poll::Ready(Ok(())),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Drives the connection until nothing of earlier callers is left in it; false when it is over.
    pub(super) fn poll_clean(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if self.over {
                return Poll::Ready(false);
            }
            match self.driver.poll_event(cx) {
                Poll::Ready(Ok(Some(_))) => {}
                Poll::Ready(Ok(None) | Err(_)) => self.over = true,
                Poll::Pending if self.is_clean() => return Poll::Ready(true),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<R: Runtime> fmt::Debug for Connection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("driver", &self.driver).finish_non_exhaustive()
    }
}

/// A call that cancels itself when it is dropped.
struct InFlight<'c, R: Runtime> {
    connection: &'c mut Connection<R>,
    token: Option<Token>,
}

impl<R: Runtime> Drop for InFlight<'_, R> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            self.connection.cancel(token);
        }
    }
}

//! A connection for one caller alone.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use glowplug_core::{Progress, RequestProtocol as _, Token};
use glowplug_redis::{
    Answers, Command, ExecuteMut, Pipeline, Reply, Request, Transaction, TransactionResults, Typed,
};

use super::Error;
use super::client::with_wait;
use super::lane::{Entering, Exchange, Lanes, Turn};
use super::target::Own;
use crate::Runtime;
use crate::drive::shared::CallError;
use crate::time::{Sleep, sleep, within};

/// Words after which a connection is not as the next caller expects it.
const CHANGING: [&[u8]; 13] = [
    b"ASKING",
    b"AUTH",
    b"CLIENT",
    b"HELLO",
    b"MONITOR",
    b"MULTI",
    b"PSUBSCRIBE",
    b"QUIT",
    b"READONLY",
    b"RESET",
    b"SELECT",
    b"SSUBSCRIBE",
    b"SUBSCRIBE",
];

/// A connection for one caller alone. Made by [`Client::dedicated`](super::Client::dedicated).
///
/// Nobody's commands come in between, so that `WATCH` means what it says. It moves only while one of its calls is polled, and it is not
/// made anew when it is lost: what it watched would be forgotten.
///
/// Dropped, it is left to the next caller, unless a command that changes the connection (`SELECT`, `CLIENT` ...) or a pipeline was
/// run on it, or it still watches or owes an answer; then it is closed.
///
/// ```no_run
/// use glowplug_redis::{CommandsMut, Transaction};
/// # use glowplug_runtime::{Runtime, redis::{Client, Error}};
/// # async fn raise<R: Runtime>(client: &Client<R>) -> Result<(), Error> {
/// let mut own = client.dedicated().await?;
/// loop {
///     own.watch(["price"]).await?;
///     let price: i64 = own.get("price").await?.map_or(0, |text| String::from_utf8_lossy(&text).parse().unwrap_or(0));
///     let mut transaction = Transaction::new();
///     transaction.set("price", price * 2);
///     if own.transaction(transaction).await?.is_some() {
///         return Ok(()); // otherwise somebody else was faster: once more
///     }
/// }
/// # }
/// ```
pub struct Dedicated<R: Runtime> {
    own: Option<Own<R>>,
    turn: Option<Turn<R>>,
    runtime: R,
    timeout: Option<Duration>,
    next: u64,
    watching: bool,
    changed: bool,
}

impl<R: Runtime> Dedicated<R> {
    pub(super) async fn open(lanes: &Arc<Lanes<R>>) -> Result<Self, Error> {
        let runtime = lanes.target().runtime.clone();
        let timeout = lanes.target().settings.shared.call_timeout;
        let mut entering = Entering::new(lanes.clone());
        match within(&runtime, timeout, poll_fn(|cx| entering.poll(cx))).await {
            Ok(entered) => {
                let (own, turn) = entered?;
                Ok(Self {
                    own: Some(own),
                    turn: Some(turn),
                    runtime: runtime.clone(),
                    timeout,
                    next: 1,
                    watching: false,
                    changed: false,
                })
            }
            Err(_) => Err(Error::Call(CallError::TimedOut { progress: Progress::NotSent })),
        }
    }

    /// Sends one typed command and converts the answer.
    ///
    /// Dropping the future: the command may still be applied; its answer is thrown away, and the next is the next one's.
    pub fn run<T>(&mut self, command: Typed<T>) -> OwnQuery<'_, T, R> {
        let (command, answers) = command.into_parts();
        self.note(&command);
        self.begin(command.into(), answers)
    }

    /// Sends one command and gives the answer as it came; an error of the server is a [`Reply::Error`].
    ///
    /// Dropping the future: as for [`run`](Self::run).
    pub fn call(&mut self, command: Command) -> OwnQuery<'_, Reply, R> {
        self.note(&command);
        self.begin(command.into(), Answers::raw())
    }

    /// Sends several commands at once and gives their answers, in order, when the last is there.
    ///
    /// Dropping the future: as for [`run`](Self::run).
    pub async fn pipeline(&mut self, pipeline: Pipeline) -> Result<Vec<Reply>, Error> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        self.changed = true;
        let mut query = self.begin(pipeline.into(), Answers::raw());
        poll_fn(|cx| query.poll_replies(cx)).await
    }

    /// Runs a transaction: the results, or `None` when a key that is watched has changed since, and so nothing was done. After it, nothing
    /// is watched.
    ///
    /// Dropping the future: the transaction is done in whole or not at all.
    pub async fn transaction(
        &mut self,
        transaction: Transaction,
    ) -> Result<Option<TransactionResults>, Error> {
        let (request, mut replies) = transaction.into_parts();
        let mut query = self.begin(request, Answers::raw());
        for reply in poll_fn(|cx| query.poll_replies(cx)).await? {
            replies.push(reply);
        }
        drop(query);
        self.watching = false;
        replies.finish().map_err(|error| {
            if error.is_out_of_step()
                && let Some(own) = &mut self.own
            {
                own.machine_mut().distrust();
            }
            Error::Transaction(error)
        })
    }

    /// Takes note of what the command does to the connection.
    fn note(&mut self, command: &Command) {
        let is = |word: &[u8]| command.name().eq_ignore_ascii_case(word);
        if is(b"WATCH") {
            self.watching = true;
        } else if is(b"UNWATCH") {
            self.watching = false;
        } else if CHANGING.into_iter().any(is) {
            self.changed = true;
        }
    }

    fn begin<T>(&mut self, request: Request, answers: Answers<T>) -> OwnQuery<'_, T, R> {
        let timeout = match request.blocks() {
            Some(blocks) => with_wait(self.timeout, blocks),
            None => self.timeout,
        };
        OwnQuery { dedicated: self, stage: Stage::New(request, timeout), sleep: None, answers }
    }
}

impl<R: Runtime> ExecuteMut for Dedicated<R> {
    type Running<'e, T> = OwnQuery<'e, T, R>;

    fn execute<T>(&mut self, command: Typed<T>) -> OwnQuery<'_, T, R> {
        self.run(command)
    }
}

impl<R: Runtime> Drop for Dedicated<R> {
    fn drop(&mut self) {
        if let (Some(own), Some(turn)) = (self.own.take(), self.turn.take())
            && !self.watching
            && !self.changed
            && own.machine().is_ready()
            && own.machine().in_flight() == 0
        {
            turn.leave(own);
        }
    }
}

impl<R: Runtime> fmt::Debug for Dedicated<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dedicated").field("watching", &self.watching).finish_non_exhaustive()
    }
}

/// A command on its way over a connection of one's own. Made by [`Dedicated::run`].
#[must_use = "nothing is sent until the query is polled"]
pub struct OwnQuery<'d, T, R: Runtime> {
    dedicated: &'d mut Dedicated<R>,
    stage: Stage,
    sleep: Option<Sleep<R::Timer>>,
    answers: Answers<T>,
}

enum Stage {
    New(Request, Option<Duration>),
    Sent(Exchange),
    Done,
}

impl<T, R: Runtime> OwnQuery<'_, T, R> {
    /// Gives this command a time of its own; `None` waits for ever. Only before the first poll.
    pub fn timeout(mut self, wanted: Option<Duration>) -> Self {
        if let Stage::New(_, timeout) = &mut self.stage {
            *timeout = wanted;
        }
        self
    }

    fn poll_replies(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<Reply>, Error>> {
        let Dedicated { own, next, runtime, .. } = &mut *self.dedicated;
        let Some(own) = own else { return Poll::Pending };
        self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::New(request, timeout) => {
                self.sleep = timeout.map(|timeout| sleep(runtime, timeout));
                let token = Token(*next);
                *next += 1;
                Stage::Sent(Exchange::begin(own, token, request)?)
            }
            stage => stage,
        };
        let Stage::Sent(exchange) = &mut self.stage else { return Poll::Pending };
        if let Poll::Ready(answered) = exchange.poll(own, cx) {
            self.stage = Stage::Done;
            return Poll::Ready(answered);
        }
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        if Pin::new(sleep).poll(cx).is_pending() {
            return Poll::Pending;
        }
        let error = exchange.timed_out(own);
        self.stage = Stage::Done;
        Poll::Ready(Err(error))
    }
}

impl<T, R: Runtime> Drop for OwnQuery<'_, T, R> {
    fn drop(&mut self) {
        if let (Stage::Sent(exchange), Some(own)) = (&self.stage, &mut self.dedicated.own) {
            exchange.abandon(own);
        }
    }
}

// Nothing in it is pinned; the result is made only when it is returned.
impl<T, R: Runtime> Unpin for OwnQuery<'_, T, R> {}

impl<T, R: Runtime> Future for OwnQuery<'_, T, R> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answers = self.answers;
        self.poll_replies(cx).map(|replies| {
            // One command has one answer.
            let reply = replies?.pop().unwrap_or(Reply::Null);
            answers.convert(reply).map_err(Error::Reply)
        })
    }
}

impl<T, R: Runtime> fmt::Debug for OwnQuery<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnQuery").finish_non_exhaustive()
    }
}

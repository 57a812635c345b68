//! The client.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{Context, Poll};
use std::time::Duration;

use glowplug_redis::{
    Answers, Blocks, Command, Execute, Pipeline, Reply, Request, Transaction, TransactionResults, Typed,
};

use super::dedicated::Dedicated;
use super::lane::{LaneCall, Lanes, closed};
use super::link::Link;
use super::session::Session;
use super::subscriptions::HubHandle;
use super::target::Target;
use super::{Builder, ConnectError, Connection, Drive, Error};
use crate::drive::shared::{Call, Calls};
use crate::{Runtime, Spawn};

/// A Redis client. Clones share one connection, which ends with the last of them.
///
/// Every typed command is a method, by the trait [`Commands`](super::Commands): `client.get("key").await`. The same as a value, for a
/// pipeline, a transaction or a later time, is made by [`commands`](super::commands) and sent by [`run`](Self::run).
///
/// - When the connection is lost, another is made ([`Builder::reconnect`]). What was sent and not answered fails and says so; what was not
///   sent waits for the next connection.
/// - Commands that let the server wait (`BLPOP`, `XREAD` with `BLOCK`) get a connection of their own, and time for the wait.
/// - [`subscribe`](Self::subscribe) has a connection of its own as well.
pub struct Client<R: Runtime> {
    pub(super) connection: Connection<R>,
    pub(super) core: Arc<Core<R>>,
}

/// What clones share beside the connection.
pub(super) struct Core<R: Runtime> {
    /// Counts what the cache was asked.
    pub(super) looks: AtomicU32,
    pub(super) lanes: Arc<Lanes<R>>,
    pub(super) hub: HubHandle<R>,
}

impl<R: Runtime> Clone for Client<R> {
    fn clone(&self) -> Self {
        Self { connection: self.connection.clone(), core: self.core.clone() }
    }
}

impl<R: Runtime + Default + Spawn<Drive<R>>> Client<R> {
    /// Connects to `redis://[user:password@]host[:port][/database]`, `rediss://...` (TLS) or `unix:///path` with the default settings.
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::builder(R::default()).connect(url).await
    }
}

impl<R: Runtime> Client<R> {
    /// A client with settings of your own, on any runtime.
    pub fn builder(runtime: R) -> Builder<R> {
        Builder::new(runtime)
    }

    pub(super) fn new(connection: Connection<R>, target: Arc<Target<R>>) -> Self {
        let hub = HubHandle::new(target.clone());
        Self {
            connection,
            core: Arc::new(Core { looks: AtomicU32::new(0), lanes: Arc::new(Lanes::new(target)), hub }),
        }
    }

    /// Sends one typed command and converts the answer.
    ///
    /// Nothing is sent before the first poll. Dropped later, the command may still be applied, unless nothing of it had left; its answer is
    /// thrown away and nobody else's shifts.
    #[inline]
    pub fn run<T>(&self, command: Typed<T>) -> Query<'_, T, R> {
        let (command, answers) = command.into_parts();
        self.ask(command, answers)
    }

    #[inline]
    pub(super) fn ask<T>(&self, command: Command, answers: Answers<T>) -> Query<'_, T, R> {
        Query { sending: self.send(command.into()), answers }
    }

    /// Sends one command and gives the answer as it came; an error of the server is a [`Reply::Error`].
    ///
    /// Dropping the future: as for [`run`](Self::run).
    pub fn call(&self, request: impl Into<Request>) -> Query<'_, Reply, R> {
        Query { sending: self.send(request.into()), answers: Answers::raw() }
    }

    /// Sends several commands at once and gives their answers, in order, when the last is there.
    ///
    /// If any of them lets the server wait, all have a connection of their own: `WAIT` after writes counts them.
    ///
    /// Dropping the future: as for [`run`](Self::run).
    pub fn pipeline(&self, pipeline: Pipeline) -> Batch<'_, R> {
        if pipeline.is_empty() {
            return Batch { sending: None };
        }
        let request = Request::from(pipeline);
        Batch {
            sending: Some(match request.blocks() {
                None => Several::Shared(self.connection.call_many(request)),
                Some(blocks) => Several::Lane(self.lane_call(request, blocks)),
            }),
        }
    }

    /// Runs a transaction: the results, or `None` when a watched key had changed. Only a connection of one's
    /// own should watch: see [`dedicated`](Self::dedicated).
    ///
    /// Dropping the future: the transaction is done in whole or not at all.
    pub async fn transaction(&self, transaction: Transaction) -> Result<Option<TransactionResults>, Error> {
        let (request, mut replies) = transaction.into_parts();
        for reply in (Batch { sending: Some(Several::Shared(self.connection.call_many(request))) }).await? {
            replies.push(reply);
        }
        replies.finish().map_err(|error| {
            if error.is_out_of_step() {
                let now = self.connection.runtime().now();
                self.connection.with_machine(|session| session.distrust(now));
            }
            Error::Transaction(error)
        })
    }

    /// A connection for one caller alone: for `WATCH`, for `SELECT`, for many commands without anybody's in between.
    ///
    /// Waits for one of [`Builder::max_lanes`]. Dropping the future gives the place to the next.
    pub async fn dedicated(&self) -> Result<Dedicated<R>, Error> {
        Dedicated::open(&self.core.lanes).await
    }

    #[inline]
    fn send(&self, request: Request) -> Sending<'_, R> {
        match request.blocks() {
            None => Sending::Shared(self.connection.call(request)),
            Some(blocks) => Sending::Lane(self.lane_call(request, blocks)),
        }
    }

    #[cold]
    fn lane_call(&self, request: Request, blocks: Blocks) -> Box<LaneCall<R>> {
        let own = self.core.lanes.target().settings.shared.call_timeout;
        Box::new(LaneCall::new(&self.core.lanes, request, with_wait(own, blocks)))
    }

    /// The connection that callers share: its events (pushes, breaks) and its machine.
    pub fn connection(&self) -> &Connection<R> {
        &self.connection
    }

    /// True once the connection is over for good: with [`Builder::reconnect`] off when it was lost, otherwise when the attempts are used up.
    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }
}

/// The time for a call that lets the server wait.
pub(super) fn with_wait(timeout: Option<Duration>, blocks: Blocks) -> Option<Duration> {
    match blocks {
        Blocks::For(wait) => timeout.map(|timeout| timeout.saturating_add(wait)),
        Blocks::Forever => None,
    }
}

impl<R: Runtime> Execute for Client<R> {
    type Running<'e, T> = Query<'e, T, R>;

    #[inline]
    fn execute<T>(&self, command: Typed<T>) -> Query<'_, T, R> {
        self.run(command)
    }
}

impl<R: Runtime> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("connection", &self.connection)
            .field("lanes", &self.core.lanes)
            .finish()
    }
}

/// A command on its way. Made by [`Client::run`] and its like.
#[must_use = "nothing is sent until the query is polled"]
pub struct Query<'c, T, R: Runtime> {
    sending: Sending<'c, R>,
    answers: Answers<T>,
}

enum Sending<'c, R: Runtime> {
    Shared(Call<'c, Session, R, Link<R>>),
    Lane(Box<LaneCall<R>>),
}

impl<T, R: Runtime> Query<'_, T, R> {
    /// Gives this command a time of its own, waiting for room and for the server's own wait included; `None` waits for ever. Only
    /// before the first poll.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.sending = match self.sending {
            Sending::Shared(call) => Sending::Shared(call.timeout(timeout)),
            Sending::Lane(mut call) => {
                call.set_timeout(timeout);
                Sending::Lane(call)
            }
        };
        self
    }
}

// Nothing in a query is pinned; the result is made only when it is returned.
impl<T, R: Runtime> Unpin for Query<'_, T, R> {}

impl<T, R: Runtime> Future for Query<'_, T, R> {
    type Output = Result<T, Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answers = self.answers;
        let reply = match &mut self.sending {
            Sending::Shared(call) => match Pin::new(call).poll(cx) {
                Poll::Ready(Ok(Ok(reply))) => reply,
                Poll::Ready(Ok(Err(lost))) => {
                    return Poll::Ready(Err(closed(lost.progress, Some(lost.cause))));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => return Poll::Pending,
            },
            Sending::Lane(call) => match call.poll(cx) {
                // One command has one answer.
                Poll::Ready(replies) => replies?.pop().unwrap_or(Reply::Null),
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(answers.convert(reply).map_err(Error::Reply))
    }
}

impl<T, R: Runtime> fmt::Debug for Query<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").finish_non_exhaustive()
    }
}

/// A pipeline on its way. Made by [`Client::pipeline`].
#[must_use = "nothing is sent until the batch is polled"]
pub struct Batch<'c, R: Runtime> {
    /// `None` for a pipeline without commands, which has its answers already: none.
    sending: Option<Several<'c, R>>,
}

enum Several<'c, R: Runtime> {
    Shared(Calls<'c, Session, R, Link<R>>),
    Lane(Box<LaneCall<R>>),
}

impl<R: Runtime> Batch<'_, R> {
    /// Gives this pipeline a time of its own, waiting for room and for the server's own wait included; `None` waits for ever. Only
    /// before the first poll.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.sending = self.sending.map(|sending| match sending {
            Several::Shared(calls) => Several::Shared(calls.timeout(timeout)),
            Several::Lane(mut call) => {
                call.set_timeout(timeout);
                Several::Lane(call)
            }
        });
        self
    }
}

// As for a query.
impl<R: Runtime> Unpin for Batch<'_, R> {}

impl<R: Runtime> Future for Batch<'_, R> {
    type Output = Result<Vec<Reply>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.sending {
            Some(Several::Shared(calls)) => Pin::new(calls).poll(cx).map(|answers| {
                let told = |lost: super::Lost| closed(lost.progress, Some(lost.cause));
                answers?.into_iter().map(|reply| reply.map_err(told)).collect()
            }),
            Some(Several::Lane(call)) => call.poll(cx),
            None => Poll::Ready(Ok(Vec::new())),
        }
    }
}

impl<R: Runtime> fmt::Debug for Batch<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}

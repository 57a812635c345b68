//! The client.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use glowplug_redis::{Answers, ClientConnection, Pipeline, Reply, Request, Typed};

use super::{Builder, ConnectError, Connection, Drive, Error};
use crate::drive::shared::{Call, Calls};
use crate::{Runtime, Spawn};

/// A Redis client. Clones share one connection, which ends with the last of them.
pub struct Client<R: Runtime> {
    connection: Connection<R>,
}

impl<R: Runtime> Clone for Client<R> {
    fn clone(&self) -> Self {
        Self { connection: self.connection.clone() }
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

    pub(super) fn new(connection: Connection<R>) -> Self {
        Self { connection }
    }

    /// Sends one typed command and converts the answer.
    ///
    /// Nothing is sent before the first poll. Dropped later, the command may still be applied; its answer is thrown away and nobody
    /// else's shifts.
    pub fn run<T>(&self, command: Typed<T>) -> Query<'_, T, R> {
        let (command, answers) = command.into_parts();
        Query { call: self.connection.call(Request::from(command)), answers }
    }

    /// Sends one command and gives the answer as it came; an error of the server is a [`Reply::Error`].
    ///
    /// Dropping the future: as for [`run`](Self::run).
    pub fn call(&self, request: impl Into<Request>) -> Call<'_, ClientConnection, R> {
        self.connection.call(request.into())
    }

    /// Sends several commands at once and gives their answers, in order, when the last is there.
    ///
    /// Dropping the future: as for [`run`](Self::run).
    pub fn pipeline(&self, pipeline: Pipeline) -> Batch<'_, R> {
        let empty = pipeline.is_empty();
        Batch { calls: (!empty).then(|| self.connection.call_many(Request::from(pipeline))) }
    }

    /// The connection under this client: its events (pushes) and its machine.
    pub fn connection(&self) -> &Connection<R> {
        &self.connection
    }

    /// True once the connection is over.
    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }
}

impl<R: Runtime> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("connection", &self.connection).finish()
    }
}

/// A command on its way. Made by [`Client::run`].
#[must_use = "nothing is sent until the query is polled"]
pub struct Query<'c, T, R: Runtime> {
    call: Call<'c, ClientConnection, R>,
    answers: Answers<T>,
}

impl<T, R: Runtime> Query<'_, T, R> {
    /// Gives this command a time of its own, waiting for room included; `None` waits for ever. Only before the first poll.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.call = self.call.timeout(timeout);
        self
    }
}

// Nothing in a query is pinned; the result is made only when it is returned.
impl<T, R: Runtime> Unpin for Query<'_, T, R> {}

impl<T, R: Runtime> Future for Query<'_, T, R> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answers = self.answers;
        Pin::new(&mut self.call).poll(cx).map(|reply| Ok(answers.convert(reply?)?))
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
    calls: Option<Calls<'c, ClientConnection, R>>,
}

impl<R: Runtime> Batch<'_, R> {
    /// Gives this pipeline a time of its own, waiting for room included; `None` waits for ever. Only before the first poll.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.calls = self.calls.map(|calls| calls.timeout(timeout));
        self
    }
}

impl<R: Runtime> Future for Batch<'_, R> {
    type Output = Result<Vec<Reply>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.calls {
            Some(calls) => Pin::new(calls).poll(cx).map_err(Error::from),
            None => Poll::Ready(Ok(Vec::new())),
        }
    }
}

impl<R: Runtime> fmt::Debug for Batch<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}

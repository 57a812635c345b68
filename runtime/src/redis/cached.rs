//! Answers from this side of the wire.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use glowplug_redis::{Answers, CacheStats, Command, Execute, Typed};

use super::{Client, Error, Query};
use crate::Runtime;

/// One look in so many lets other tasks run first: the answers come at once, and a loop over them would keep the task from hearing that they
/// are old.
const LOOKS_PER_TURN: u32 = 64;

impl<R: Runtime> Client<R> {
    /// Reads from the cache, where a connection was told to [keep one](super::Builder::cache); every command is a method as it is on the
    /// client: `client.cached().get("key").await`.
    ///
    /// An answer that is kept comes without a word on the wire. It is dropped as soon as the server says that a key it was read from has
    /// changed, so it may be older than the truth by the time that word takes. What this client writes on the connection that callers
    /// share is never older than the answer to the write; what it writes by blocking commands and on connections of one's own is, as
    /// anybody else's.
    ///
    /// Kept are the answers of commands that depend on nothing but their keys: `GET`, `MGET`, `HGETALL`, `ZRANGE`, `SMEMBERS` ... All others are
    /// asked each time, and so is everything when there is no cache, or the server does not track (Redis before 6.0, RESP2).
    ///
    /// ```no_run
    /// # use glowplug_runtime::{Runtime, Spawn, redis::{CacheConfig, Client, Commands as _, ConnectError, Drive}};
    /// # async fn read<R: Runtime + Spawn<Drive<R>>>(runtime: R) -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::builder(runtime).cache(CacheConfig::new().max_bytes(1 << 20)).connect("redis://127.0.0.1").await?;
    /// for _ in 0..1000 {
    ///     let name = client.cached().hget("user:1", "name").await?; // asked once
    /// }
    /// # Ok(()) }
    /// ```
    pub fn cached(&self) -> Cached<'_, R> {
        Cached { client: self }
    }

    /// How the cache fares; `None` if there is none.
    pub fn cache_stats(&self) -> Option<CacheStats> {
        self.connection.peek_machine(|session| session.machine().cache_stats())
    }

    /// Drops what the cache holds.
    pub fn clear_cache(&self) {
        self.connection.peek_machine(|session| session.machine_mut().clear_cache());
    }
}

/// A client that looks into its cache first. Made by [`Client::cached`].
pub struct Cached<'c, R: Runtime> {
    client: &'c Client<R>,
}

impl<'c, R: Runtime> Cached<'c, R> {
    /// Gives the answer to one typed command, from the cache if it is there.
    ///
    /// Dropping the future: as for [`Client::run`].
    pub fn run<T>(&self, command: Typed<T>) -> CachedQuery<'c, T, R> {
        let (command, answers) = command.into_parts();
        let stage = Stage::New { command, time: Time::Usual, looked: false };
        CachedQuery { client: self.client, stage, answers }
    }
}

impl<'c, R: Runtime> Execute for Cached<'c, R> {
    type Running<'e, T>
        = CachedQuery<'c, T, R>
    where
        Self: 'e;

    fn execute<T>(&self, command: Typed<T>) -> CachedQuery<'c, T, R> {
        self.run(command)
    }
}

impl<R: Runtime> Clone for Cached<'_, R> {
    fn clone(&self) -> Self {
        Self { client: self.client }
    }
}

impl<R: Runtime> fmt::Debug for Cached<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("stats", &self.client.cache_stats()).finish()
    }
}

/// A command that the cache is asked first. Made by [`Cached::run`].
#[must_use = "nothing is looked up or sent until the query is polled"]
pub struct CachedQuery<'c, T, R: Runtime> {
    client: &'c Client<R>,
    stage: Stage<'c, T, R>,
    answers: Answers<T>,
}

/// How long the server may take.
enum Time {
    /// As for every other command.
    Usual,
    /// `None` is for ever.
    Own(Option<Duration>),
}

enum Stage<'c, T, R: Runtime> {
    New {
        command: Command,
        time: Time,
        /// Others have had their turn.
        looked: bool,
    },
    Asked(Query<'c, T, R>),
    Done,
}

impl<T, R: Runtime> CachedQuery<'_, T, R> {
    /// Gives this command a time of its own for when the server has to be asked; `None` waits for ever. Only before the first poll.
    pub fn timeout(mut self, wanted: Option<Duration>) -> Self {
        if let Stage::New { time, .. } = &mut self.stage {
            *time = Time::Own(wanted);
        }
        self
    }
}

// Nothing in it is pinned; the result is made only when it is returned.
impl<T, R: Runtime> Unpin for CachedQuery<'_, T, R> {}

impl<T, R: Runtime> Future for CachedQuery<'_, T, R> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { client, answers, stage } = &mut *self;
        loop {
            match stage {
                Stage::Asked(query) => return Pin::new(query).poll(cx),
                Stage::New { looked: looked @ false, .. } => {
                    *looked = true;
                    if client.core.looks.fetch_add(1, Ordering::Relaxed) % LOOKS_PER_TURN
                        == LOOKS_PER_TURN - 1
                    {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                Stage::New { .. } => {
                    let Stage::New { command, time, .. } = std::mem::replace(stage, Stage::Done) else {
                        continue;
                    };
                    let now = client.connection.runtime().now();
                    let kept =
                        client.connection.peek_machine(|session| session.machine_mut().cached(now, &command));
                    if let Some(reply) = kept {
                        return Poll::Ready(answers.convert(reply).map_err(Error::Reply));
                    }
                    let query = client.ask(command.cacheable(), *answers);
                    *stage = Stage::Asked(match time {
                        Time::Own(timeout) => query.timeout(timeout),
                        Time::Usual => query,
                    });
                }
                // Polled after it was ready.
                Stage::Done => return Poll::Pending,
            }
        }
    }
}

impl<T, R: Runtime> fmt::Debug for CachedQuery<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedQuery").finish_non_exhaustive()
    }
}

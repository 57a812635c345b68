//! What the clones of a client share: the pool, the sessions, and what is known of the server.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use glowplug_core::{Instant, Rng};
use glowplug_mongodb::auth::ScramKeys;
use glowplug_mongodb::bson::{ObjectId, ObjectIds};
use glowplug_mongodb::pool::{CheckOut, Generation, Pool, Waiter};
use glowplug_mongodb::{
    Command, Config, Host, ReadConcern, ReadPreference, Selection, ServerInfo, ServerSession, SessionPool,
    Topology, WriteConcern,
};

use super::connection::Connection;
use super::opening::Opening;
use super::{ConnectError, Error};
use crate::Runtime;
use crate::dial::Dialer;
use crate::time::within;

/// Cursors to kill that wait for a connection; of more the oldest are left to the server, which forgets them after ten minutes.
const MAX_KILLS: usize = 1024;

/// What does not change once a client is made.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) timeout: Option<Duration>,
    pub(super) wait_queue_timeout: Option<Duration>,
    pub(super) drain_timeout: Duration,
    pub(super) tls: bool,
    pub(super) retry_reads: bool,
    pub(super) retry_writes: bool,
    pub(super) read_concern: Option<ReadConcern>,
    pub(super) write_concern: Option<WriteConcern>,
    pub(super) read_preference: ReadPreference,
    pub(super) default_database: Option<String>,
}

/// A command that kills a cursor.
#[derive(Debug)]
pub(super) struct Kill {
    pub(super) command: Command,
    /// The connection that it was sent on broke. It is tried twice and no more: a server that hangs up on it would be asked for ever.
    pub(super) again: bool,
}

pub(super) struct Shared<R: Runtime> {
    pub(super) runtime: R,
    pub(super) settings: Settings,
    pub(super) dialer: Dialer<R>,
    config: Config,
    state: Mutex<State<R>>,
}

/// What lies under the lock. Nothing under it does I/O.
pub(super) struct State<R: Runtime> {
    pub(super) pool: Pool<Box<Connection<R>>>,
    /// Connections in which something of earlier callers is left. For the pool they are in use.
    pub(super) dirty: Vec<Box<Connection<R>>>,
    /// Connections that the janitor clears at the moment.
    pub(super) clearing: usize,
    /// Who waits for it to be done with them.
    pub(super) settling: Vec<Waker>,
    /// Cursors to kill.
    pub(super) kills: VecDeque<Kill>,
    pub(super) sessions: SessionPool,
    pub(super) info: Option<Arc<ServerInfo>>,
    /// The last client handle is gone.
    pub(super) deserted: bool,
    pub(super) janitor: Option<Waker>,
    /// The janitor knows that connections are missing to the minimum.
    pub(super) is_filling: bool,
    /// The janitor's task is gone, with its executor or because all was done.
    pub(super) janitor_gone: bool,
    topology: Topology,
    scram_keys: Option<ScramKeys>,
    ids: ObjectIds,
    rng: Rng,
    wakers: BTreeMap<Waiter, Waker>,
}

impl<R: Runtime> State<R> {
    /// What is to be said to the server before the client ends.
    fn last_words(&mut self) -> Vec<Command> {
        let kills = self.kills.drain(..).map(|kill| kill.command);
        kills.chain(self.sessions.end_all()).collect()
    }
}

impl<R: Runtime> Shared<R> {
    pub(super) fn new(
        dialer: Dialer<R>,
        settings: Settings,
        config: Config,
        topology: Topology,
        pool: glowplug_mongodb::pool::PoolConfig,
    ) -> Self {
        let runtime = dialer.runtime().clone();
        let mut rng = runtime.seed().rng();
        let state = State {
            pool: Pool::new(pool),
            dirty: Vec::new(),
            clearing: 0,
            settling: Vec::new(),
            kills: VecDeque::new(),
            sessions: SessionPool::default(),
            info: None,
            deserted: false,
            janitor: None,
            is_filling: false,
            janitor_gone: false,
            topology,
            scram_keys: None,
            ids: ObjectIds::new(&rng.seed()),
            rng,
            wakers: BTreeMap::new(),
        };
        Self { runtime, settings, dialer, config, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state. Who was served by it is woken, and what perished is closed, without the lock.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut State<R>) -> T) -> T {
        let mut state = self.lock();
        let output = change(&mut state);
        let woken = state.pool.take_woken();
        let wakers: Vec<Waker> = woken.iter().filter_map(|waiter| state.wakers.remove(waiter)).collect();
        let perished = state.pool.take_perished();
        // Who fills the pool hears once that it ran low.
        let runs_low = !state.is_filling && state.pool.wants_more();
        let janitor = if runs_low { state.janitor.clone() } else { None };
        state.is_filling |= runs_low;
        drop(state);
        drop(perished);
        wakers.into_iter().chain(janitor).for_each(Waker::wake);
        output
    }

    fn wake_janitor(&self) {
        let janitor = self.lock().janitor.clone();
        if let Some(janitor) = janitor {
            janitor.wake();
        }
    }

    /// A connection for one operation, by `until`.
    ///
    /// Dropping the future gives up the place in the queue, or the connection that was about to be made.
    pub(super) async fn check_out(self: &Arc<Self>, until: Option<Instant>) -> Result<Lease<R>, Error> {
        let now = self.runtime.now();
        match self.with(|state| state.pool.check_out(now)) {
            CheckOut::Connection(connection, _) => {
                let mut lease = self.lease(connection);
                if lease.is_alive() {
                    return Ok(lease);
                }
                drop(lease);
                let found = self.with(|state| state.pool.check_out(now));
                Box::pin(self.check_out_slowly(found, until)).await
            }
            // Rare, and large.
            other => Box::pin(self.check_out_slowly(other, until)).await,
        }
    }

    /// The same when there is no idle connection, or its server closed it.
    async fn check_out_slowly(
        self: &Arc<Self>,
        mut found: CheckOut<Box<Connection<R>>>,
        until: Option<Instant>,
    ) -> Result<Lease<R>, Error> {
        loop {
            let now = self.runtime.now();
            let time = until.map(|until| until.saturating_duration_since(now));
            if let CheckOut::Wait(waiter) = found {
                let waiting = Waiting { shared: self, waiter: Some(waiter) };
                let time = time.into_iter().chain(self.settings.wait_queue_timeout).min();
                found = within(&self.runtime, time, waiting).await.map_err(|_| self.pool_timed_out())?;
            }
            match found {
                CheckOut::Connection(connection, _) => {
                    let mut lease = self.lease(connection);
                    if lease.is_alive() {
                        return Ok(lease);
                    }
                }
                CheckOut::Connect(generation) => {
                    let mut opening = Opening::new(self, generation);
                    let connection = within(&self.runtime, time, poll_fn(|cx| opening.poll(cx))).await;
                    let connection = connection.unwrap_or(Err(ConnectError::TimedOut));
                    return connection.map(|connection| self.lease(connection)).map_err(Error::Connect);
                }
                CheckOut::Wait(_) => {}
                CheckOut::Overloaded => return Err(Error::Overloaded),
                CheckOut::Closed => return Err(Error::Closed),
            }
            found = self.with(|state| state.pool.check_out(now));
        }
    }

    fn lease(self: &Arc<Self>, connection: Box<Connection<R>>) -> Lease<R> {
        Lease { shared: self.clone(), connection: Some(connection) }
    }

    fn pool_timed_out(&self) -> Error {
        let size = self.with(|state| state.pool.size());
        Error::PoolTimedOut { size }
    }

    /// The first connection, which says whether there will be others.
    pub(super) async fn first(self: &Arc<Self>) -> Result<(), ConnectError> {
        match self.check_out(None).await {
            Err(Error::Connect(error)) => Err(error),
            // A pool that was just made is neither closed nor full.
            _ => Ok(()),
        }
    }

    /// Connections up to the minimum, one after the other.
    pub(super) async fn fill(self: &Arc<Self>) -> Result<(), ConnectError> {
        while let Some(generation) = self.with(|state| state.pool.begin_connect()) {
            let mut opening = Opening::new(self, generation);
            drop(self.lease(poll_fn(|cx| opening.poll(cx)).await?));
        }
        Ok(())
    }

    /// The server to connect to.
    pub(super) fn select(&self) -> Host {
        self.lock().topology.select(Selection::Write).clone()
    }

    /// What the next connection's machine does, with the keys that the one before derived.
    pub(super) fn machine_config(&self) -> Config {
        let mut config = self.config.clone();
        config.scram_keys.clone_from(&self.lock().scram_keys);
        config
    }

    /// A server was reached: what it is, and whether it is the one that was meant.
    pub(super) fn introduce(&self, host: &Host, connection: &Connection<R>) -> Result<(), ConnectError> {
        let mut state = self.lock();
        state.scram_keys = connection.scram_keys().cloned();
        state.info = Some(connection.info().clone());
        state.topology.handle_hello(host, connection.info()).map_err(ConnectError::Topology)
    }

    /// A server was not reached: connections from before are as good as dead.
    pub(super) fn failed_to_connect(&self, host: &Host, generation: Generation) {
        let closed = self.with(|state| {
            state.topology.handle_failure(host);
            state.pool.clear(generation)
        });
        drop(closed);
    }

    /// Takes a connection back. What is left in it is the janitor's to clear away.
    fn put_back(&self, connection: Box<Connection<R>>) {
        if connection.is_over() {
            drop(connection);
            self.with(|state| state.pool.discard());
            return;
        }
        let now = self.runtime.now();
        let mut connection = Some(connection);
        let work = self.with(|state| {
            let clean = connection.as_ref().is_some_and(|connection| connection.is_clean());
            let unfinished = !clean || !state.kills.is_empty();
            if unfinished && !state.janitor_gone {
                state.dirty.extend(connection.take());
                return true;
            }
            let unwatched = state.pool.next_expiry().is_none();
            if let Some(own) = connection.take() {
                let generation = own.generation;
                // Without a janitor, what is not clean is closed.
                connection = if clean {
                    state.pool.check_in(now, own, generation)
                } else {
                    state.pool.discard();
                    Some(own)
                };
            }
            // The janitor sleeps until the next connection has idled too long, if it knows of one.
            unwatched && state.pool.next_expiry().is_some()
        });
        if work {
            self.wake_janitor();
        }
        // What came back is of an older generation; closed without the lock.
        drop(connection);
    }

    /// The server is gone, or as good as: the connections that it knows from before are not used again.
    pub(super) fn clear(&self, generation: Generation) {
        let closed = self.with(|state| state.pool.clear(generation));
        drop(closed);
    }

    /// Kills a cursor in the background.
    pub(super) fn kill_cursor(&self, kill: Command) {
        self.with(|state| {
            if state.kills.len() >= MAX_KILLS {
                state.kills.pop_front();
            }
            state.kills.push_back(Kill { command: kill, again: false });
        });
        self.wake_janitor();
    }

    /// Ends the client: cursors that nobody reads are killed, sessions ended, as far as the server takes it until `until`. Then the pool
    /// is closed, and connections in use go when they come back.
    pub(super) async fn close(self: &Arc<Self>, until: Instant) {
        let left = until.saturating_duration_since(self.runtime.now());
        // Kills that are under way come first, whose connections then go with the others.
        let settled = poll_fn(|cx| self.poll_settled(cx));
        let last_words = match within(&self.runtime, Some(left), settled).await {
            Ok(last_words) => last_words,
            Err(_) => self.with(State::last_words),
        };
        if !last_words.is_empty()
            && let Ok(mut lease) = self.check_out(Some(until)).await
        {
            for command in last_words {
                if lease.call(command, Some(until)).await.is_err() {
                    break;
                }
            }
        }
        let closed = self.with(|state| state.pool.close());
        drop(closed);
    }

    /// What is left to say, once the janitor has nothing under way.
    fn poll_settled(&self, cx: &Context<'_>) -> Poll<Vec<Command>> {
        self.with(|state| {
            if state.janitor_gone || state.clearing == 0 && state.dirty.is_empty() {
                return Poll::Ready(state.last_words());
            }
            if !state.settling.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.settling.push(cx.waker().clone());
            }
            Poll::Pending
        })
    }

    /// The janitor is done with some connections, or for ever.
    pub(super) fn cleared(&self, connections: usize) {
        let settling = self.with(|state| {
            state.clearing -= connections;
            std::mem::take(&mut state.settling)
        });
        settling.into_iter().for_each(Waker::wake);
    }

    /// Takes kills back whose connection broke before they were answered. Killing a cursor twice does no harm.
    pub(super) fn requeue_kills(&self, kills: Vec<Kill>) {
        self.with(|state| {
            for kill in kills.into_iter().rev().filter(|kill| !kill.again) {
                if state.kills.len() < MAX_KILLS {
                    state.kills.push_front(Kill { again: true, ..kill });
                }
            }
        });
    }

    /// The last handle is gone.
    pub(super) fn desert(&self) {
        let closed = self.with(|state| {
            state.deserted = true;
            if state.janitor_gone { state.pool.close() } else { Vec::new() }
        });
        drop(closed);
        self.wake_janitor();
    }

    /// What the server said of itself last.
    pub(super) fn info(&self) -> Option<Arc<ServerInfo>> {
        self.lock().info.clone()
    }

    /// A session, when the server has them.
    pub(super) fn take_session(&self) -> Option<ServerSession> {
        let now = self.runtime.now();
        let mut state = self.lock();
        let State { sessions, rng, info, .. } = &mut *state;
        Some(sessions.take(now, session_timeout(info.as_deref())?, rng))
    }

    pub(super) fn give_session(&self, session: ServerSession) {
        let now = self.runtime.now();
        let mut state = self.lock();
        let State { sessions, info, .. } = &mut *state;
        if let Some(timeout) = session_timeout(info.as_deref()) {
            sessions.give(now, timeout, session);
        }
    }

    /// An id for a document that has none.
    pub(super) fn object_id(&self) -> ObjectId {
        let since = self.runtime.wall_clock().duration_since(std::time::UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs() as u32);
        self.lock().ids.next_id(seconds)
    }
}

fn session_timeout(info: Option<&ServerInfo>) -> Option<Duration> {
    let minutes = u64::try_from(info?.session_timeout_minutes?).ok()?;
    Some(Duration::from_secs(minutes.saturating_mul(60)))
}

impl<R: Runtime> fmt::Debug for Shared<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Shared")
            .field("connections", &state.pool.size())
            .field("idle", &state.pool.idle())
            .finish_non_exhaustive()
    }
}

/// A place in the queue for a connection.
struct Waiting<'s, R: Runtime> {
    shared: &'s Shared<R>,
    waiter: Option<Waiter>,
}

impl<R: Runtime> Future for Waiting<'_, R> {
    type Output = CheckOut<Box<Connection<R>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(waiter) = self.waiter else { return Poll::Ready(CheckOut::Closed) };
        let served = self.shared.with(|state| {
            let served = state.pool.poll_waiter(waiter);
            if served.is_none() {
                state.wakers.insert(waiter, cx.waker().clone());
            }
            served
        });
        match served {
            Some(served) => {
                self.waiter = None;
                Poll::Ready(served)
            }
            None => Poll::Pending,
        }
    }
}

impl<R: Runtime> Drop for Waiting<'_, R> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter {
            let now = self.shared.runtime.now();
            self.shared.with(|state| {
                state.wakers.remove(&waiter);
                state.pool.leave(now, waiter);
            });
        }
    }
}

/// A connection that goes back to the pool when it is dropped, whatever is under way on it.
pub(super) struct Lease<R: Runtime> {
    shared: Arc<Shared<R>>,
    connection: Option<Box<Connection<R>>>,
}

impl<R: Runtime> Deref for Lease<R> {
    type Target = Connection<R>;

    fn deref(&self) -> &Connection<R> {
        self.connection.as_ref().expect("a lease has its connection until it is dropped")
    }
}

impl<R: Runtime> DerefMut for Lease<R> {
    fn deref_mut(&mut self) -> &mut Connection<R> {
        self.connection.as_mut().expect("a lease has its connection until it is dropped")
    }
}

impl<R: Runtime> Drop for Lease<R> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.shared.put_back(connection);
        }
    }
}

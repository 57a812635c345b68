//! The nodes behind a client: which one is asked, over which connection, and which one next.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use glowplug_core::{Instant, Progress};
use glowplug_riak::nodes::{Nodes, Outcome, Ticket};
use glowplug_riak::wire::Request;
use glowplug_riak::{Config, Host, Response};

use super::connection::{self, Connection, NoAnswer, Pooled, TlsChoice};
use super::error::{ConnectError, Error, Lost, NodeError};
use crate::Runtime;
use crate::dial::Dialer;
use crate::pool::{Lease, Pool, PoolError};
use crate::time::within;

/// A connection that rested longer than this is looked at before it is used: a node that went away meanwhile has closed it. Shorter
/// rests are not worth the system call.
const STALE_AFTER: Duration = Duration::from_millis(100);

/// What the clones of a client share.
pub(super) struct Cluster<R: Runtime> {
    pub(super) hosts: Vec<Host>,
    pub(super) nodes: Mutex<Nodes>,
    pub(super) pool: Pool<usize, Pooled<R>, R>,
    pub(super) dialer: Dialer<R>,
    pub(super) machine: Config,
    pub(super) tls: TlsChoice,
    pub(super) connect_timeout: Option<Duration>,
}

/// What became of a request so far.
#[derive(Default)]
struct Tried {
    /// The nodes it need not be taken to any more.
    nodes: Vec<usize>,
    /// Why the last of them could not be connected to.
    unreachable: Option<NodeError>,
    /// The last connection that was lost with it.
    lost: Option<Lost>,
    losses: usize,
}

impl Tried {
    /// The farthest it got.
    fn progress(&self) -> Progress {
        self.lost.as_ref().map_or(Progress::NotSent, |lost| lost.progress)
    }

    /// There is nobody left to ask.
    fn give_up(&mut self) -> Error {
        match (self.lost.take(), self.unreachable.take()) {
            (Some(lost), _) => Error::Lost(lost),
            (None, Some(error)) => Error::Unreachable(error),
            (None, None) => Error::TimedOut(Progress::NotSent),
        }
    }
}

/// How a request is sent.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    /// What the clock says.
    pub(super) now: Instant,
    /// Send it again when nobody knows what became of it.
    pub(super) repeat: bool,
    /// When it must be sent.
    pub(super) deadline: Option<Instant>,
    /// Whether it must be answered by then, too.
    pub(super) once: bool,
}

/// The use of a node. When it ends, the books learn what it showed of the node's health.
struct Use<R: Runtime> {
    cluster: Arc<Cluster<R>>,
    ticket: Ticket,
    outcome: Outcome,
    /// When it ended, if somebody has just looked at the clock.
    ended: Option<Instant>,
}

impl<R: Runtime> Drop for Use<R> {
    fn drop(&mut self) {
        let now = self.ended.unwrap_or_else(|| self.cluster.pool.runtime().now());
        self.cluster.nodes().release(now, self.ticket, self.outcome);
    }
}

/// A connection to one node, for one request.
pub(super) struct Open<R: Runtime> {
    // Dropped in this order: the connection is gone before its room is free.
    connection: Box<Connection<R>>,
    lease: Lease<usize, Pooled<R>, R>,
    node: Use<R>,
    /// It has served others before.
    reused: bool,
    /// When it was given out.
    opened: Instant,
}

impl<R: Runtime> Cluster<R> {
    pub(super) fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runtime(&self) -> &R {
        self.pool.runtime()
    }

    /// A connection to the node that is best to ask now. Those that cannot be connected to are noted in `tried`.
    async fn open(
        self: &Arc<Self>,
        tried: &mut Tried,
        mut now: Instant,
        deadline: Option<Instant>,
    ) -> Result<Open<R>, Error> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(now));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Error::TimedOut(tried.progress()));
            }
            let picked = self.nodes().pick(now, &tried.nodes);
            let Some(ticket) = picked else { return Err(tried.give_up()) };
            let mut node = Use { cluster: self.clone(), ticket, outcome: Outcome::Unknown, ended: None };
            let pool = self.pool.clone().wait_timeout(left);
            let mut lease = match pool.get(&ticket.node()).await {
                Ok(lease) => lease,
                Err(PoolError::TimedOut) => return Err(Error::TimedOut(tried.progress())),
                Err(error) => return Err(Error::NoRoom(error)),
            };
            if let Some(Pooled { mut connection, since }) = lease.take() {
                // After a wait for room `now` is old; but then the connection was in use until a moment ago.
                if now.saturating_duration_since(since) < STALE_AFTER
                    || connection::is_alive(&mut connection).await
                {
                    return Ok(Open { connection, lease, node, reused: true, opened: now });
                }
                // The others have rested as long, or longer.
                self.pool.clear(&ticket.node());
            }
            // On the heap, since it is the rare case, and would be most of every request's future.
            match Box::pin(self.connect(ticket.node(), tried, deadline)).await {
                Ok(connection) => {
                    let (connection, opened) = (Box::new(connection), self.runtime().now());
                    return Ok(Open { connection, lease, node, reused: false, opened });
                }
                Err(cause) => {
                    node.outcome = Outcome::Failed;
                    tried.nodes.push(ticket.node());
                    let host = self.hosts[ticket.node()].clone();
                    tried.unreachable = Some(NodeError { node: host, cause: Arc::new(cause) });
                }
            }
            now = self.runtime().now();
        }
    }

    /// Connects to one node, and leaves time for the others.
    async fn connect(
        &self,
        node: usize,
        tried: &Tried,
        deadline: Option<Instant>,
    ) -> Result<Connection<R>, ConnectError> {
        let untried = self.hosts.len().saturating_sub(tried.nodes.len()).max(1);
        let share = deadline.map(|deadline| {
            deadline.saturating_duration_since(self.runtime().now()) / untried.try_into().unwrap_or(u32::MAX)
        });
        let limit = [self.connect_timeout, share].into_iter().flatten().min();
        let connecting = connection::connect(&self.dialer, &self.machine, &self.tls, &self.hosts[node]);
        within(self.runtime(), limit, connecting).await.unwrap_or(Err(ConnectError::TimedOut))
    }

    /// Connects to any node and lets the connection rest. The error is that of the node which was tried last.
    pub(super) async fn warm_up(
        self: &Arc<Self>,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        let open = self.open(&mut Tried::default(), now, deadline).await?;
        open.finish();
        Ok(())
    }

    /// Sends a request and waits for its first answer, at one node after the other where that is safe.
    pub(super) async fn ask(
        self: &Arc<Self>,
        request: &Request,
        manner: Manner,
    ) -> Result<(Open<R>, Response, bool), Error> {
        let mut tried = Tried::default();
        let repeat = manner.repeat || request.only_reads();
        let mut now = manner.now;
        loop {
            let mut open = self.open(&mut tried, now, manner.deadline).await?;
            // A stream may take as long as it likes: what counts is how long the node is silent.
            let deadline = manner.deadline.filter(|_| manner.once);
            if !connection::submit(&mut open.connection, open.opened, request, deadline) {
                return Err(Error::TooLong);
            }
            let lost = match poll_fn(|cx| open.poll_answer(cx)).await {
                Ok((response, last)) => return Ok((open, response, last)),
                Err(lost) => lost,
            };
            if lost.is_timeout() {
                // A node may be slow for reasons of its own, or never answer this request; it is not blamed for that.
                return Err(Error::TimedOut(lost.progress));
            }
            tried.losses += 1;
            let lost = open.lost(lost, &mut tried);
            if !repeat || tried.losses > 2 * self.hosts.len() {
                return Err(Error::Lost(lost));
            }
            tried.lost = Some(lost);
            now = self.runtime().now();
        }
    }
}

impl<R: Runtime> Open<R> {
    pub(super) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Response, bool), NoAnswer>> {
        let answer = ready!(connection::poll_answer(&mut self.connection, cx));
        if answer.is_ok() {
            self.node.outcome = Outcome::Worked;
        }
        Poll::Ready(answer)
    }

    /// One more answer of a stream may come.
    pub(super) fn release(&mut self) {
        let now = self.connection.runtime().now();
        self.connection.machine_mut().release(now, 1);
    }

    /// The last answer is there: the connection goes to whoever comes next, if it is in order.
    pub(super) fn finish(mut self) {
        // The answer has just come: the clock need not be read again.
        let since = self.connection.polled_at();
        self.node.ended = Some(since);
        if self.connection.machine().is_idle() {
            self.lease.put_back_at(since, Pooled { connection: self.connection, since });
        }
    }

    /// No answer came, and none will.
    fn lost(mut self, lost: NoAnswer, tried: &mut Tried) -> Lost {
        let node = self.node.ticket.node();
        // Whatever ended this connection has probably ended those at rest.
        self.node.cluster.pool.clear(&node);
        if !self.reused {
            self.node.outcome = Outcome::Failed;
            tried.nodes.push(node);
        }
        self.into_lost(lost)
    }

    /// The loss, as the caller learns it.
    pub(super) fn into_lost(self, lost: NoAnswer) -> Lost {
        let node = self.node.cluster.hosts[self.node.ticket.node()].clone();
        Lost { node, progress: lost.progress, cause: lost.cause }
    }
}

//! The task that finishes what callers left behind.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use glowplug_core::Instant;

use super::connection::Connection;
use super::opening::Opening;
use super::shared::{Kill, Shared};
use crate::Runtime;
use crate::drive::Deadline;

/// How long the janitor waits before it tries again to fill the pool, after the first try that failed; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Commands that kill cursors that are under way on one connection.
const KILLS_AT_ONCE: usize = 32;

/// The one task of a client: state it as `R: Spawn<mongodb::Janitor<R>>`.
///
/// It reads the answers of calls that were dropped or timed out, kills cursors that nobody reads on, closes connections that
/// idled too long, makes connections up to `minPoolSize` (after a failure again and again, at growing intervals), and when the last client handle is gone it ends the sessions and itself.
#[must_use = "dropped calls leave their connections to it"]
pub struct Janitor<R: Runtime> {
    shared: Arc<Shared<R>>,
    working: Vec<Job<R>>,
    deadline: Deadline<R::Timer>,
    /// A connection that is being made to reach the minimum.
    opening: Option<Box<Opening<R>>>,
    /// Until when no other is begun, because the last one failed.
    pause_until: Option<Instant>,
    pause: Duration,
    /// The sessions were ended.
    said_goodbye: bool,
}

/// A connection that is being cleared, and until when it has to be.
struct Job<R: Runtime> {
    connection: Box<Connection<R>>,
    until: Instant,
    /// What was sent on it and has no answer yet.
    kills: Vec<Kill>,
}

impl<R: Runtime> Janitor<R> {
    pub(super) fn new(shared: Arc<Shared<R>>) -> Self {
        let deadline = Deadline::new(shared.runtime.timer());
        Self {
            shared,
            working: Vec::new(),
            deadline,
            opening: None,
            pause_until: None,
            pause: FIRST_PAUSE,
            said_goodbye: false,
        }
    }

    /// Makes connections until there are as many as there have to be, one after the other. True when it went on.
    fn fill(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        if self.pause_until.is_some_and(|until| now < until) {
            return false;
        }
        self.pause_until = None;
        if self.opening.is_none() {
            let begun = self.shared.with(|state| {
                let begun = if state.deserted { None } else { state.pool.begin_connect() };
                state.is_filling = begun.is_some();
                begun
            });
            self.opening = begun.map(|generation| Opening::new(&self.shared, generation));
        }
        let Some(opening) = &mut self.opening else { return false };
        let Poll::Ready(opened) = opening.poll(cx) else { return false };
        self.opening = None;
        match opened {
            Ok(connection) => {
                self.pause = FIRST_PAUSE;
                self.finish(connection, true, now);
            }
            Err(_) => {
                self.pause_until = Some(now + self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
        true
    }

    /// Takes up what there is to do. True when nothing will ever come again.
    fn take_up(&mut self, cx: &Context<'_>, now: Instant) -> bool {
        let until = now + self.shared.settings.drain_timeout;
        let said_goodbye = self.said_goodbye;
        let working = !self.working.is_empty();
        let (jobs, kills, goodbye, said, done) = self.shared.with(|state| {
            if !state.janitor.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                state.janitor = Some(cx.waker().clone());
            }
            state.pool.expire(now);
            let mut jobs: Vec<Box<Connection<R>>> = std::mem::take(&mut state.dirty);
            let goodbye = state.deserted && !said_goodbye;
            // Only a connection that is clean is sure to bring a command to the server.
            let mut clean = jobs.iter().any(|job| job.is_clean());
            if !clean && (goodbye || !state.kills.is_empty()) {
                jobs.extend(state.pool.check_out_idle(now).map(|(connection, _)| connection));
                clean = jobs.last().is_some_and(|job| job.is_clean());
            }
            let done = state.deserted && !working && jobs.is_empty();
            // As many as one connection takes at a time; the others with the next turn.
            let count = if clean { state.kills.len().min(KILLS_AT_ONCE) } else { 0 };
            let kills: Vec<_> = state.kills.drain(..count).collect();
            let said = goodbye && clean;
            let goodbye = if said { state.sessions.end_all() } else { None };
            state.clearing += jobs.len();
            (jobs, kills, goodbye, said, done)
        });
        self.said_goodbye |= said;
        let job = |connection| Job { connection, until, kills: Vec::new() };
        let mut jobs: Vec<_> = jobs.into_iter().map(job).collect();
        if let Some(job) = jobs.iter_mut().find(|job| job.connection.is_clean()) {
            for command in kills.iter().map(|kill| kill.command.clone()).chain(goodbye) {
                job.connection.submit_and_forget(command);
            }
            job.kills = kills;
        }
        self.working.append(&mut jobs);
        done
    }

    /// Drives the connections that are being cleared; true when one of them is done.
    fn work(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut done = false;
        let mut index = 0;
        while let Some(job) = self.working.get_mut(index) {
            let clean = loop {
                match job.connection.poll_clean(cx) {
                    Poll::Ready(true) => {
                        let kills = job.connection.take_kills();
                        if kills.is_empty() {
                            break Some(true);
                        }
                        for kill in kills {
                            job.connection.submit_and_forget(kill);
                        }
                    }
                    Poll::Ready(false) => break Some(false),
                    Poll::Pending if job.until <= now => break Some(false),
                    Poll::Pending => break None,
                }
            };
            match clean {
                None => index += 1,
                Some(clean) => {
                    done = true;
                    let Job { connection, kills, .. } = self.working.swap_remove(index);
                    // A server that keeps silence has them; one that is gone has not, or not surely.
                    if connection.is_over() {
                        self.shared.requeue_kills(kills);
                    }
                    self.finish(connection, clean, now);
                    self.shared.cleared(1);
                }
            }
        }
        done
    }

    fn finish(&self, connection: Box<Connection<R>>, clean: bool, now: Instant) {
        let generation = connection.generation;
        let closed = self.shared.with(|state| {
            if clean {
                return state.pool.check_in(now, connection, generation);
            }
            state.pool.discard();
            Some(connection)
        });
        drop(closed);
    }
}

// Nothing in it is pinned: connections are moved about freely.
impl<R: Runtime> Unpin for Janitor<R> {}

impl<R: Runtime> Future for Janitor<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            let now = this.shared.runtime.now();
            if this.take_up(cx, now) {
                return Poll::Ready(());
            }
            if this.work(cx, now) {
                continue;
            }
            let deserted = this.shared.with(|state| state.deserted);
            if deserted {
                (this.opening, this.pause_until) = (None, None);
                if this.working.is_empty() {
                    continue;
                }
            } else if this.fill(cx, now) {
                continue;
            }
            let expiry = this.shared.with(|state| state.pool.next_expiry());
            let jobs = this.working.iter().map(|job| job.until);
            this.deadline.set(jobs.chain(expiry).chain(this.pause_until).min());
            if this.deadline.poll(cx, now).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl<R: Runtime> Drop for Janitor<R> {
    fn drop(&mut self) {
        self.opening = None;
        let left = self.shared.with(|state| {
            state.janitor_gone = true;
            state.janitor = None;
            let mut left = std::mem::take(&mut state.dirty);
            for _ in &left {
                state.pool.discard();
            }
            if state.deserted {
                left.extend(state.pool.close());
            }
            left
        });
        drop(left);
        let working = self.working.len();
        for _ in self.working.drain(..) {
            self.shared.with(|state| state.pool.discard());
        }
        self.shared.cleared(working);
    }
}

impl<R: Runtime> fmt::Debug for Janitor<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Janitor").field("working", &self.working.len()).finish_non_exhaustive()
    }
}

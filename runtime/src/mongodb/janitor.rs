//! The task that finishes what callers left behind.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use glowplug_core::Instant;

use super::connection::Connection;
use super::shared::Shared;
use crate::Runtime;
use crate::drive::Deadline;

/// The one task of a client: state it as `R: Spawn<mongodb::Janitor<R>>`.
///
/// It reads the answers of calls that were dropped or timed out, kills cursors that nobody reads on, closes connections that
/// idled too long, and when the last client handle is gone it ends the sessions and itself.
#[must_use = "dropped calls leave their connections to it"]
pub struct Janitor<R: Runtime> {
    shared: Arc<Shared<R>>,
    working: Vec<Job<R>>,
    deadline: Deadline<R::Timer>,
    /// The sessions were ended.
    said_goodbye: bool,
}

/// A connection that is being cleared, and until when it has to be.
struct Job<R: Runtime> {
    connection: Connection<R>,
    until: Instant,
}

impl<R: Runtime> Janitor<R> {
    pub(super) fn new(shared: Arc<Shared<R>>) -> Self {
        let deadline = Deadline::new(shared.runtime.timer());
        Self { shared, working: Vec::new(), deadline, said_goodbye: false }
    }

    /// Takes up what there is to do. True when nothing will ever come again.
    fn take_up(&mut self, cx: &Context<'_>, now: Instant) -> bool {
        let until = now + self.shared.settings.drain_timeout;
        let said_goodbye = self.said_goodbye;
        let working = !self.working.is_empty();
        let (jobs, kills, goodbye, done) = self.shared.with(|state| {
            if !state.janitor.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                state.janitor = Some(cx.waker().clone());
            }
            state.pool.expire(now);
            let mut jobs: Vec<Connection<R>> = std::mem::take(&mut state.dirty);
            let goodbye = state.deserted && !said_goodbye;
            // Only a connection that is clean is sure to bring a command to the server.
            let mut clean = jobs.iter().any(Connection::is_clean);
            if !clean && (goodbye || !state.kills.is_empty()) {
                jobs.extend(state.pool.check_out_idle(now).map(|(connection, _)| connection));
                clean = jobs.last().is_some_and(Connection::is_clean);
            }
            let done = state.deserted && !goodbye && !working && jobs.is_empty();
            let kills: Vec<_> = if clean { state.kills.drain(..).collect() } else { Vec::new() };
            let goodbye = if goodbye && clean { state.sessions.end_all() } else { None };
            (jobs, kills, goodbye, done)
        });
        if self.shared.with(|state| state.deserted) {
            self.said_goodbye = true;
        }
        let mut jobs: Vec<_> = jobs.into_iter().map(|connection| Job { connection, until }).collect();
        if let Some(job) = jobs.iter_mut().find(|job| job.connection.is_clean()) {
            for kill in kills.into_iter().chain(goodbye) {
                job.connection.submit_and_forget(kill);
            }
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
                    let Job { connection, .. } = self.working.swap_remove(index);
                    self.finish(connection, clean, now);
                }
            }
        }
        done
    }

    fn finish(&self, connection: Connection<R>, clean: bool, now: Instant) {
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
            if deserted && this.working.is_empty() {
                continue;
            }
            let expiry = this.shared.with(|state| state.pool.next_expiry());
            this.deadline.set(this.working.iter().map(|job| job.until).chain(expiry).min());
            if this.deadline.poll(cx, now).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl<R: Runtime> Drop for Janitor<R> {
    fn drop(&mut self) {
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
        for _ in self.working.drain(..) {
            self.shared.with(|state| state.pool.discard());
        }
    }
}

impl<R: Runtime> fmt::Debug for Janitor<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Janitor").field("working", &self.working.len()).finish_non_exhaustive()
    }
}

//! Subscriptions that survive: one connection for all of a client's, made anew when it is lost.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use glowplug_core::{Instant, Progress, RequestProtocol as _, Token};
use glowplug_redis::{Event, HubCommand, HubEvent, ListenerId, Reply, Scope, SubscriptionHub};

use super::lane::closed;
use super::recovery::Recovery;
use super::target::{Opening, Own, Target};
use super::{Client, Drive, Error};
use crate::drive::shared::CallError;
use crate::time::{Sleep, sleep_until, within};
use crate::{Runtime, Spawn};

/// How many pushes are taken before listeners get to run.
const PUSHES_PER_POLL: u32 = 128;

/// A client's subscriptions. Its task runs while anybody listens.
pub(super) struct HubHandle<R: Runtime> {
    target: Arc<Target<R>>,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
}

struct State {
    hub: SubscriptionHub,
    /// Listeners that wait for something to come.
    wakers: BTreeMap<ListenerId, Waker>,
    /// Listeners that wait for the server's word on their names.
    settling: BTreeMap<ListenerId, Waker>,
    task: Option<Waker>,
    running: bool,
    listeners: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Acts on the hub; the task is told.
    fn with_hub<O>(&self, act: impl FnOnce(&mut State) -> O) -> O {
        let mut state = self.lock();
        let output = act(&mut state);
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
        output
    }

    /// Wakes those who have something now.
    fn wake_listeners(&self) {
        let mut state = self.lock();
        let State { hub, wakers, settling, .. } = &mut *state;
        let mut ready = take_if(wakers, |id| hub.has_event(id));
        ready.extend(take_if(settling, |id| hub.is_settled(id) || hub.is_closed(id)));
        drop(state);
        for waker in ready {
            waker.wake();
        }
    }
}

fn take_if(wakers: &mut BTreeMap<ListenerId, Waker>, wanted: impl Fn(ListenerId) -> bool) -> Vec<Waker> {
    let ids: Vec<_> = wakers.keys().copied().filter(|id| wanted(*id)).collect();
    ids.into_iter().filter_map(|id| wakers.remove(&id)).collect()
}

impl<R: Runtime> HubHandle<R> {
    pub(super) fn new(target: Arc<Target<R>>) -> Self {
        let state = State {
            hub: SubscriptionHub::new(target.settings.hub),
            wakers: BTreeMap::new(),
            settling: BTreeMap::new(),
            task: None,
            running: false,
            listeners: 0,
        };
        Self { target, shared: Arc::new(Shared { state: Mutex::new(state) }) }
    }
}

impl<R: Runtime + Spawn<Drive<R>>> Client<R> {
    /// Listens to channels, until the subscription is dropped.
    ///
    /// Ready once the server has confirmed, and within the time of a call. All subscriptions of a client share one connection, a channel
    /// that several listen to is asked for once, and everything is asked for again when the connection was lost and is there again.
    ///
    /// Dropping the future takes the subscription back.
    pub async fn subscribe(
        &self,
        channels: impl IntoIterator<Item = impl Into<Bytes>>,
    ) -> Result<Subscription, Error> {
        self.listen(Scope::Channel, channels).await
    }

    /// Listens to glob-style patterns: as [`subscribe`](Self::subscribe).
    pub async fn psubscribe(
        &self,
        patterns: impl IntoIterator<Item = impl Into<Bytes>>,
    ) -> Result<Subscription, Error> {
        self.listen(Scope::Pattern, patterns).await
    }

    /// Listens to shard channels (Redis 7.0): as [`subscribe`](Self::subscribe).
    pub async fn ssubscribe(
        &self,
        channels: impl IntoIterator<Item = impl Into<Bytes>>,
    ) -> Result<Subscription, Error> {
        self.listen(Scope::Shard, channels).await
    }

    async fn listen(
        &self,
        scope: Scope,
        names: impl IntoIterator<Item = impl Into<Bytes>>,
    ) -> Result<Subscription, Error> {
        let HubHandle { target, shared } = &self.core.hub;
        let (id, idle) = shared.with_hub(|state| {
            let id = state.hub.listen();
            state.listeners += 1;
            (id, !std::mem::replace(&mut state.running, true))
        });
        let subscription = Subscription { shared: shared.clone(), id };
        for name in names {
            subscription.add(scope, name);
        }
        if idle {
            target.runtime.spawn(Drive::subscriptions(Hub::new(target.clone(), shared.clone())));
        }
        let settled = poll_fn(|cx| subscription.poll_settled(cx));
        match within(&target.runtime, target.settings.shared.call_timeout, settled).await {
            Ok(Ok(())) => Ok(subscription),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::Call(CallError::TimedOut { progress: Progress::NotSent })),
        }
    }
}

/// A listener: a stream of what is published under its names, and of what it has to know beside that.
///
/// - [`HubEvent::Gap`]: the connection was lost and is made anew; what was published meanwhile is lost.
/// - [`HubEvent::Lagged`]: this listener was too slow ([`Builder::subscriptions`](super::Builder::subscriptions)).
/// - [`HubEvent::Refused`]: the server refused a name.
///
/// The stream ends after [`HubEvent::Closed`]. Dropping it takes the subscription back.
pub struct Subscription {
    shared: Arc<Shared>,
    id: ListenerId,
}

impl Subscription {
    /// Listens to one more name. Not confirmed: what is published from now on may still be missed for a moment.
    pub fn add(&self, scope: Scope, name: impl Into<Bytes>) {
        let name = name.into();
        self.shared.with_hub(|state| state.hub.subscribe(self.id, scope, name));
    }

    /// No longer listens to a name.
    pub fn remove(&self, scope: Scope, name: impl Into<Bytes>) {
        let name = name.into();
        self.shared.with_hub(|state| state.hub.unsubscribe(self.id, scope, name));
    }

    /// The next thing to know; `None` after the end.
    ///
    /// Dropping the future loses nothing.
    #[expect(clippy::should_implement_trait, reason = "it waits, as the next of a stream does everywhere")]
    pub fn next(&mut self) -> Next<'_> {
        Next { subscription: self }
    }

    fn poll_event(&self, cx: &Context<'_>) -> Poll<Option<HubEvent>> {
        let mut state = self.shared.lock();
        if let Some(event) = state.hub.poll_event(self.id) {
            return Poll::Ready(Some(event));
        }
        if state.hub.is_closed(self.id) {
            return Poll::Ready(None);
        }
        state.wakers.insert(self.id, cx.waker().clone());
        Poll::Pending
    }

    /// Ready once the server has said yes or no to all names.
    fn poll_settled(&self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        let mut state = self.shared.lock();
        if state.hub.is_closed(self.id) {
            return Poll::Ready(Err(closed(Progress::NotSent, None)));
        }
        if state.hub.is_settled(self.id) {
            return Poll::Ready(Ok(()));
        }
        state.settling.insert(self.id, cx.waker().clone());
        Poll::Pending
    }
}

impl Stream for Subscription {
    type Item = HubEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<HubEvent>> {
        self.poll_event(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let wakers = self.shared.with_hub(|state| {
            state.hub.forget(self.id);
            state.listeners -= 1;
            (state.wakers.remove(&self.id), state.settling.remove(&self.id))
        });
        // A waker may do anything when it is dropped; not under the lock.
        drop(wakers);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The future of [`Subscription::next`].
#[derive(Debug)]
#[must_use = "nothing is taken until the future is polled"]
pub struct Next<'s> {
    subscription: &'s Subscription,
}

impl Future for Next<'_> {
    type Output = Option<HubEvent>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.subscription.poll_event(cx)
    }
}

/// The task of a client's subscriptions.
pub(super) struct Hub<R: Runtime> {
    target: Arc<Target<R>>,
    shared: Arc<Shared>,
    recovery: Recovery,
    stage: Stage<R>,
    done: bool,
}

enum Stage<R: Runtime> {
    Waiting(Sleep<R::Timer>),
    Opening(Opening<R>),
    Up { own: Own<R>, asked: VecDeque<(Token, HubCommand)>, next: u64 },
}

/// How a turn with a connection ended.
enum Turn {
    Waits,
    Again,
    Lost,
}

impl<R: Runtime> Hub<R> {
    fn new(target: Arc<Target<R>>, shared: Arc<Shared>) -> Self {
        let recovery = Recovery::new(&target);
        let stage = Stage::Opening(Opening::new(&target));
        Self { target, shared, recovery, stage, done: false }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            {
                let mut state = self.shared.lock();
                if state.listeners == 0 {
                    state.running = false;
                    state.hub.disconnected();
                    self.done = true;
                    return Poll::Ready(());
                }
                state.task = Some(cx.waker().clone());
            }
            match &mut self.stage {
                Stage::Waiting(sleep) => {
                    if Pin::new(sleep).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    self.stage = Stage::Opening(Opening::new(&self.target));
                }
                Stage::Opening(opening) => match opening.poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(own)) => {
                        self.recovery.up(self.target.runtime.now());
                        self.shared.lock().hub.connected();
                        self.stage = Stage::Up { own, asked: VecDeque::new(), next: 0 };
                    }
                    Poll::Ready(Err(_)) => {
                        let until = self.recovery.failed(self.target.runtime.now());
                        if self.wait(until).is_ready() {
                            return Poll::Ready(());
                        }
                    }
                },
                Stage::Up { own, asked, next } => {
                    let turn = self.shared.turn(own, asked, next, cx);
                    self.shared.wake_listeners();
                    match turn {
                        Turn::Waits => return Poll::Pending,
                        Turn::Again => {
                            cx.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                        Turn::Lost => {
                            self.shared.lock().hub.disconnected();
                            self.shared.wake_listeners();
                            let until = self.recovery.lost(self.target.runtime.now());
                            if self.wait(until).is_ready() {
                                return Poll::Ready(());
                            }
                        }
                    }
                }
            }
        }
    }

    /// Waits until it is time to connect again. Ready when it never will be: every listener is told.
    fn wait(&mut self, until: Option<Instant>) -> Poll<()> {
        if let Some(at) = until {
            self.stage = Stage::Waiting(sleep_until(&self.target.runtime, at));
            return Poll::Pending;
        }
        self.shared.close();
        self.done = true;
        Poll::Ready(())
    }
}

impl Shared {
    /// Every listener is told that there is no more.
    fn close(&self) {
        let mut state = self.lock();
        state.running = false;
        state.hub.disconnected();
        state.hub.close();
        drop(state);
        self.wake_listeners();
    }

    /// Asks for what is wanted, and gives what comes to whom it is for.
    fn turn<R: Runtime>(
        &self,
        own: &mut Own<R>,
        asked: &mut VecDeque<(Token, HubCommand)>,
        next: &mut u64,
        cx: &mut Context<'_>,
    ) -> Turn {
        {
            let mut state = self.lock();
            let now = own.runtime().now();
            while let Some(command) = state.hub.poll_command() {
                let token = Token(*next);
                *next += 1;
                if own.machine_mut().submit(now, token, command.command.clone().into()).is_err() {
                    return Turn::Lost;
                }
                asked.push_back((token, command));
            }
        }
        for _ in 0..PUSHES_PER_POLL {
            match own.poll_event(cx) {
                Poll::Pending => return Turn::Waits,
                Poll::Ready(Ok(Some(Event::Push(push)))) => drop(self.lock().hub.handle_push(&push)),
                Poll::Ready(Ok(Some(Event::Answer(answer)))) if answer.last => {
                    // Answers come in the order of the questions.
                    let Some((_, command)) = asked.pop_front() else { return Turn::Lost };
                    let mut state = self.lock();
                    match &answer.response {
                        Reply::Error(error) => state.hub.handle_refusal(&command, error),
                        _ => state.hub.handle_confirmation(&command),
                    }
                }
                Poll::Ready(Ok(Some(_))) => {}
                Poll::Ready(Ok(None) | Err(_)) => return Turn::Lost,
            }
        }
        Turn::Again
    }
}

impl<R: Runtime> Drop for Hub<R> {
    /// The executor may have dropped the task: nobody must wait for it.
    fn drop(&mut self) {
        if !self.done {
            self.shared.close();
        }
    }
}

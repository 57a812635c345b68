//! Lookups on their way.

use std::fmt;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use glowplug_core::Token;
use glowplug_dns::Name;
use glowplug_dns::resolver::{Answer, LookupError, Resolver as ResolverMachine};

use super::machine::Machine;
use super::state::Shared;

/// One request to a driver: its answers, until the end. Dropped earlier, it is cancelled.
pub(super) struct Pending<M: Machine> {
    shared: Arc<Shared<M>>,
    /// `None` once it is over.
    token: Option<Token>,
}

impl<M: Machine> Pending<M> {
    pub(super) fn new(shared: Arc<Shared<M>>, token: Token) -> Self {
        Self { shared, token: Some(token) }
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<M::Answer, M::Error>>> {
        let Some(token) = self.token else { return Poll::Ready(None) };
        let next = ready!(self.shared.poll(cx, token));
        if !matches!(next, Some(Ok(_))) {
            self.token = None;
        }
        Poll::Ready(next)
    }

    /// The first answer. What may come after it is nobody's business.
    pub(super) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<M::Answer, M::Error>> {
        self.poll_next(cx).map(|next| next.unwrap_or_else(|| Err(M::closed())))
    }
}

impl<M: Machine> Drop for Pending<M> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            self.shared.abandon(token);
        }
    }
}

enum Stage {
    Asked(Pending<ResolverMachine>),
    Failed(LookupError),
    Over,
}

impl Stage {
    fn new(pending: Result<Pending<ResolverMachine>, LookupError>) -> Self {
        match pending {
            Ok(pending) => Self::Asked(pending),
            Err(error) => Self::Failed(error),
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Answer, LookupError>>> {
        match self {
            Self::Asked(pending) => pending.poll_next(cx),
            _ => Poll::Ready(match std::mem::replace(self, Self::Over) {
                Self::Failed(error) => Some(Err(error)),
                _ => None,
            }),
        }
    }
}

/// A lookup of one kind of records, on its way. It has begun already; dropped before its end, it is cancelled, and others who ask the
/// same are none the worse for it.
///
/// The future touches nothing but memory that it shares with the driver's task: it is `Send` whatever the runtime.
#[must_use = "a lookup whose future is dropped is cancelled"]
pub struct Lookup<T> {
    stage: Stage,
    convert: Convert<T>,
}

/// Makes of an answer what was asked for; some of it takes dice, which lie under the lock.
pub(super) type Convert<T> = fn(Answer, &Shared<ResolverMachine>) -> T;

impl<T> Lookup<T> {
    pub(super) fn new(pending: Result<Pending<ResolverMachine>, LookupError>, convert: Convert<T>) -> Self {
        Self { stage: Stage::new(pending), convert }
    }
}

impl<T> Future for Lookup<T> {
    type Output = Result<T, LookupError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let next = ready!(self.stage.poll_next(cx));
        let answer = next.unwrap_or(Err(LookupError::Closed))?;
        let converted = match &self.stage {
            Stage::Asked(pending) => (self.convert)(answer, &pending.shared),
            _ => return Poll::Ready(Err(LookupError::Closed)),
        };
        Poll::Ready(Ok(converted))
    }
}

impl<T> fmt::Debug for Lookup<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup").finish_non_exhaustive()
    }
}

/// A lookup of a host's addresses, on its way: IPv4 and IPv6 side by side. It has begun already; dropped before its end, it is cancelled.
///
/// As a future it gives all addresses at the end; [`next`](Self::next) gives each family's as it arrives. `Send` as [`Lookup`] is.
#[must_use = "a lookup whose future is dropped is cancelled"]
pub struct LookupIp {
    stage: Stage,
    answers: Vec<Answer>,
}

impl LookupIp {
    pub(super) fn new(pending: Result<Pending<ResolverMachine>, LookupError>) -> Self {
        Self { stage: Stage::new(pending), answers: Vec::new() }
    }

    /// The next family's addresses, `None` after the last. An error comes only if there was no answer at all, and is the last thing to
    /// come.
    ///
    /// Dropping this future loses nothing: call again.
    pub async fn next(&mut self) -> Option<Result<Answer, LookupError>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next) as a poll function.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Answer, LookupError>>> {
        self.stage.poll_next(cx)
    }
}

impl Future for LookupIp {
    type Output = Result<Addresses, LookupError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        while let Some(next) = ready!(self.stage.poll_next(cx)) {
            self.answers.push(next?);
        }
        let answers = std::mem::take(&mut self.answers);
        // A lookup that ends without an error has had an answer; after its end there is none.
        Poll::Ready(if answers.is_empty() { Err(LookupError::Closed) } else { Ok(Addresses(answers)) })
    }
}

impl fmt::Debug for LookupIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookupIp").field("answers", &self.answers).finish_non_exhaustive()
    }
}

/// A host's addresses, of both families, in the order in which they came. At least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(Vec<Answer>);

impl Addresses {
    /// The addresses.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().flat_map(Answer::addresses)
    }

    /// The answers they came in, one per family.
    pub fn answers(&self) -> &[Answer] {
        &self.0
    }

    /// The host's name at the end of search list and aliases.
    pub fn name(&self) -> Option<&Name> {
        self.0.first().map(|answer| &answer.name)
    }

    /// How long all of them hold.
    pub fn valid_for(&self) -> Duration {
        self.0.iter().map(|answer| answer.valid_for).min().unwrap_or_default()
    }
}

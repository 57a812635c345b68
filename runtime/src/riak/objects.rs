//! Verbs for objects.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use glowplug_core::{Backoff, BackoffConfig};
use glowplug_riak::request::{Delete, Get, Ping, Preflist, Put, ServerInfo};
use glowplug_riak::resolve::Resolver;
use glowplug_riak::wire::kv::RpbBucketKeyPreflistItem;
use glowplug_riak::wire::riak::RpbGetServerInfoResp;
use glowplug_riak::{Content, Fetched, Location, Object, ServerErrorKind, Stored};

use super::{Client, Error};
use crate::Runtime;
use crate::time::sleep;

/// How long [`Client::update`] waits before it begins anew: others who lost the same race must not meet again.
const UPDATE_BACKOFF: BackoffConfig = BackoffConfig {
    first: Duration::from_millis(10),
    max: Duration::from_millis(500),
    factor: 2,
    attempts: None,
};

impl<R: Runtime> Client<R> {
    /// Asks whether a node is there.
    ///
    /// Dropping the future: as for [`ask`](Self::ask).
    pub async fn ping(&self) -> Result<(), Error> {
        self.ask(Ping::new()).await
    }

    /// Asks a node for its name and version.
    ///
    /// Dropping the future: as for [`ask`](Self::ask).
    pub async fn server_info(&self) -> Result<RpbGetServerInfoResp, Error> {
        self.ask(ServerInfo::new()).await
    }

    /// Reads an object, with the bucket's own quorums. `None` when there is none, or it is deleted. For options, and for the clock of a deleted
    /// object, [`ask`](Self::ask) with a [`Get`].
    ///
    /// Dropping the future: as for [`ask`](Self::ask).
    pub fn get(&self, location: impl Into<Location>) -> impl Future<Output = Result<Option<Object>, Error>> {
        // No `async fn`: the future would hold what the request is made of beside the request.
        let get = Get::new(location);
        async move { Ok(self.ask(get).await?.found().filter(|object| !object.is_deleted())) }
    }

    /// Writes a new object. Over one that is there it makes a sibling, or replaces it if the bucket keeps none: to replace what was read, send
    /// [`Object::put`] by [`ask`](Self::ask), or use [`update`](Self::update).
    ///
    /// Dropping the future: as for [`ask`](Self::ask); the write may be made.
    pub fn put(
        &self,
        location: impl Into<Location>,
        content: Content,
    ) -> impl Future<Output = Result<Stored, Error>> {
        self.ask(Put::new(location, content))
    }

    /// Deletes an object, whatever is there now. To delete what was read and keep what was written since, send a [`Delete`] with its clock.
    ///
    /// Dropping the future: as for [`ask`](Self::ask); the delete may be made.
    pub async fn delete(&self, location: impl Into<Location>) -> Result<(), Error> {
        self.ask(Delete::new(location)).await
    }

    /// Which vnodes are responsible for a key.
    ///
    /// Dropping the future: as for [`ask`](Self::ask).
    pub async fn preflist(
        &self,
        location: impl Into<Location>,
    ) -> Result<Vec<RpbBucketKeyPreflistItem>, Error> {
        self.ask(Preflist::new(location)).await
    }

    /// Reads an object, resolves its siblings, lets `change` make a new content of the result, and stores that with the clock of the read.
    ///
    /// `change` gets `None` when there is no object, and leaves everything as it is by giving `None`. The write is made only if nobody
    /// else has written since the read; otherwise all of it begins anew, a few times ([`Error::Contended`] tells how many), so `change` may be
    /// called more than once. What comes back is what was stored.
    ///
    /// (Nodes look at that condition before they write, not while they do: two writes at the very same time can still both be made. In a bucket
    /// that keeps siblings nothing is lost by it, and the next reader resolves them.)
    ///
    /// A write of which nobody knows what came is not made again: the error says so.
    ///
    /// Dropping the future: as for [`ask`](Self::ask); the write may be made.
    ///
    /// ```ignore
    /// riak.update(("users", "ada"), &mut LastWriteWins, |user| {
    ///     let visits = user.map_or(0, |user| count(&user.value));
    ///     Some(Content::new(format!("{}", visits + 1)))
    /// }).await?;
    /// ```
    pub async fn update(
        &self,
        location: impl Into<Location>,
        resolver: &mut impl Resolver,
        mut change: impl FnMut(Option<Content>) -> Option<Content>,
    ) -> Result<Option<Content>, Error> {
        let changed = self.try_update(location.into(), |object| {
            let content = object.map(|mut object| object.resolve(resolver).clone());
            Ok::<_, Infallible>(change(content.filter(|content| !content.deleted)))
        });
        changed.await.map_err(|error| match error {
            Ok(error) => error,
            Err(never) => match never {},
        })
    }

    /// [`update`](Self::update) with a change of the whole object that may fail, which ends it.
    pub(super) async fn try_update<E>(
        &self,
        location: Location,
        mut change: impl FnMut(Option<Object>) -> Result<Option<Content>, E>,
    ) -> Result<Option<Content>, Result<Error, E>> {
        let mut backoff = Backoff::new(UPDATE_BACKOFF, &self.runtime().seed());
        let attempts = self.settings.update_attempts;
        for attempt in 1..=attempts {
            let read = Get::new(location.clone()).deletedvclock(true);
            let (found, vclock) = match self.ask(read).await.map_err(Ok)? {
                Fetched::Found(object) => {
                    let vclock = object.vclock.clone();
                    (Some(object).filter(|object| !object.is_deleted()), vclock)
                }
                Fetched::NotFound(vclock) => (None, vclock),
                Fetched::Unchanged => (None, None),
            };
            let is_new = found.is_none();
            let Some(content) = change(found).map_err(Err)? else { return Ok(None) };
            let put = Put::new(location.clone(), content.clone());
            let put = if is_new { put.if_none_match(true) } else { put.if_not_modified(true) };
            let put = match vclock {
                Some(vclock) => put.vclock(vclock),
                None => put,
            };
            match self.ask(put).await {
                Ok(_) => return Ok(Some(content)),
                Err(Error::Refused(error)) if lost_the_race(error.kind()) => {}
                Err(error) => return Err(Ok(error)),
            }
            if attempt < attempts
                && let Some(again) = backoff.failed(self.runtime().now())
            {
                sleep(self.runtime(), again - self.runtime().now()).await;
            }
        }
        Err(Ok(Error::Contended { attempts }))
    }

    /// Reads many objects, `at_once` of them at a time (at least 1), and gives them in the order they were asked for. Each is `None` when
    /// there is none, and may fail by itself.
    ///
    /// Dropping the future: as for [`ask`](Self::ask).
    pub async fn get_many<L: Into<Location>>(
        &self,
        locations: impl IntoIterator<Item = L>,
        at_once: usize,
    ) -> Vec<(Location, Result<Option<Object>, Error>)> {
        let gets = locations.into_iter().map(|location| {
            let location = location.into();
            async move {
                let object = self.get(location.clone()).await;
                (location, object)
            }
        });
        bounded(gets, at_once).await
    }
}

/// True when a condition of a put did not hold any more.
fn lost_the_race(kind: ServerErrorKind) -> bool {
    matches!(kind, ServerErrorKind::Modified | ServerErrorKind::MatchFound | ServerErrorKind::NotFound)
}

/// Runs futures, at most so many at a time. The outputs come in the order of the futures.
pub(super) async fn bounded<F: Future>(futures: impl Iterator<Item = F>, at_once: usize) -> Vec<F::Output> {
    let mut waiting = futures.enumerate().fuse();
    let mut running: Vec<(usize, Pin<Box<F>>)> = Vec::new();
    let mut done: Vec<Option<F::Output>> = Vec::new();
    let at_once = at_once.max(1);
    poll_fn(|cx| {
        loop {
            while running.len() < at_once
                && let Some((place, future)) = waiting.next()
            {
                done.push(None);
                running.push((place, Box::pin(future)));
            }
            let before = running.len();
            running.retain_mut(|(place, future)| match future.as_mut().poll(cx) {
                Poll::Ready(output) => {
                    done[*place] = Some(output);
                    false
                }
                Poll::Pending => true,
            });
            if running.is_empty() && waiting.size_hint().1 == Some(0) {
                return Poll::Ready(());
            }
            if running.len() == before {
                return if before == 0 { Poll::Ready(()) } else { Poll::Pending };
            }
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

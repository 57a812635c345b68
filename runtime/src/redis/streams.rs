//! Entries of streams as they are added, by one reader or shared out by a group.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use glowplug_redis::commands::{self, StreamEntries, StreamEntry, XReadOptions};
use glowplug_redis::{Blocks, Typed};

use super::recovery::Recovery;
use super::{Client, Error, Query};
use crate::Runtime;
use crate::drive::shared::CallError;
use crate::time::{Sleep, sleep_until};

/// How long the server lets one question wait: long enough to be cheap, short enough that a server that is gone is noticed.
const BLOCK: Duration = Duration::from_secs(5);

/// How many entries of each stream one answer brings.
const BATCH: u64 = 100;

/// Before every entry there is.
const BEGINNING: &str = "0-0";

impl<R: Runtime> Client<R> {
    /// Entries of these streams from `start` on, for as long as they are asked for (`XREAD`).
    ///
    /// The server waits on a connection of its own. Where the reader has got to is kept here: when the connection is lost, it goes on with the
    /// next entry on the next one, as often and as far apart as [`Builder::reconnect`](super::Builder::reconnect) says. An error of the
    /// server is the last item.
    ///
    /// ```no_run
    /// # use glowplug_runtime::{Runtime, redis::{Client, Error, ReadFrom}};
    /// # async fn follow<R: Runtime>(client: &Client<R>) -> Result<(), Error> {
    /// let mut orders = client.read_streams(["orders"], ReadFrom::Now);
    /// while let Some(item) = orders.next().await {
    ///     println!("{:?}", item?.entry);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn read_streams(
        &self,
        streams: impl IntoIterator<Item = impl Into<Bytes>>,
        start: ReadFrom,
    ) -> StreamReader<'_, R> {
        let place = match start {
            ReadFrom::Beginning => Place::After(BEGINNING.to_owned()),
            ReadFrom::Now => Place::Unknown,
            ReadFrom::After(id) => Place::After(id),
        };
        StreamReader { reading: Reading::new(self, streams, &place, None) }
    }

    /// Entries of these streams that the group hands out to this consumer (`XREADGROUP`); each is to be
    /// [acknowledged](GroupReader::ack).
    ///
    /// First come those that were handed out to this consumer before, and never acknowledged; and so again when the connection was lost, with
    /// those that were on their way. Otherwise as [`read_streams`](Self::read_streams).
    ///
    /// ```no_run
    /// # use glowplug_runtime::{Runtime, redis::{Client, Error, ReadFrom}};
    /// # async fn work<R: Runtime>(client: &Client<R>) -> Result<(), Error> {
    /// client.ensure_group("jobs", "workers", ReadFrom::Beginning).await?;
    /// let mut jobs = client.read_group("workers", "ann", ["jobs"]);
    /// while let Some(job) = jobs.next().await {
    ///     let job = job?;
    ///     println!("{:?}", job.entry);
    ///     jobs.ack(&job).await?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn read_group(
        &self,
        group: impl Into<Bytes>,
        consumer: impl Into<Bytes>,
        streams: impl IntoIterator<Item = impl Into<Bytes>>,
    ) -> GroupReader<'_, R> {
        let group = Group { name: group.into(), consumer: consumer.into() };
        let place = Place::Pending(BEGINNING.to_owned());
        GroupReader { reading: Reading::new(self, streams, &place, Some(group)) }
    }

    /// Makes a consumer group, and the stream, where there is none: true if the group is new.
    ///
    /// Dropping the future: the group may have been made.
    pub async fn ensure_group(
        &self,
        stream: impl Into<Bytes>,
        group: impl Into<Bytes>,
        start: ReadFrom,
    ) -> Result<bool, Error> {
        let id = match &start {
            ReadFrom::Beginning => BEGINNING,
            ReadFrom::Now => "$",
            ReadFrom::After(id) => id,
        };
        match self.run(commands::xgroup_create(stream.into(), group.into(), id, true)).await {
            Ok(()) => Ok(true),
            Err(error) if error.server_error().is_some_and(|error| error.code() == "BUSYGROUP") => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Where to begin in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// With the oldest entry there is.
    Beginning,
    /// With what is added from the first poll on.
    Now,
    /// Behind this id.
    After(String),
}

/// An entry and the stream it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamItem {
    /// The stream's name.
    pub stream: Bytes,
    /// The entry. A group's entry that was deleted before it was acknowledged has no fields.
    pub entry: StreamEntry,
}

/// Entries of streams, as a stream. Made by [`Client::read_streams`].
#[must_use = "nothing is read until the reader is polled"]
pub struct StreamReader<'c, R: Runtime> {
    reading: Reading<'c, R>,
}

/// Entries that a consumer group hands out, as a stream. Made by [`Client::read_group`].
#[must_use = "nothing is read until the reader is polled"]
pub struct GroupReader<'c, R: Runtime> {
    reading: Reading<'c, R>,
}

macro_rules! reader {
    ($name:ident) => {
        impl<R: Runtime> $name<'_, R> {
            /// Sets how many entries of each stream one answer may bring. Default 100, at least 1.
            pub fn batch(mut self, entries: u64) -> Self {
                self.reading.batch = entries.max(1);
                self
            }

            /// Sets how long the server lets one question wait for entries; then it is asked again. Default 5 s, at least 1 ms.
            pub fn block(mut self, time: Duration) -> Self {
                self.reading.block = time.max(Duration::from_millis(1));
                self
            }

            /// The next entry; `None` after an error that is final.
            ///
            /// Dropping the future loses nothing.
            pub async fn next(&mut self) -> Option<Result<StreamItem, Error>> {
                poll_fn(|cx| self.reading.poll_item(cx)).await
            }
        }

        impl<R: Runtime> Stream for $name<'_, R> {
            type Item = Result<StreamItem, Error>;

            fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
                self.reading.poll_item(cx)
            }
        }

        impl<R: Runtime> fmt::Debug for $name<'_, R> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("places", &self.reading.places)
                    .finish_non_exhaustive()
            }
        }
    };
}

reader!(StreamReader);
reader!(GroupReader);

impl<'c, R: Runtime> GroupReader<'c, R> {
    /// Acknowledges an entry, so that it is not handed out again (`XACK`): true if it was pending.
    ///
    /// Dropping the future: it may be acknowledged.
    pub fn ack(&self, item: &StreamItem) -> Query<'c, bool, R> {
        let group = self.reading.group.as_ref().map_or(&b""[..], |group| &group.name);
        self.reading.client.run(commands::xack(&item.stream, group, [&item.entry.id]).returning())
    }
}

struct Group {
    name: Bytes,
    consumer: Bytes,
}

/// How far one stream was read.
#[derive(Clone, Debug)]
enum Place {
    /// Up to what is its last entry when it is first asked about.
    Unknown,
    /// Up to this entry.
    After(String),
    /// Of a group: what was handed out before is read up to this entry.
    Pending(String),
}

impl Place {
    fn id(&self) -> &str {
        match self {
            Self::Unknown => BEGINNING,
            Self::After(id) | Self::Pending(id) => id,
        }
    }
}

enum Asking<'c, R: Runtime> {
    Nothing,
    /// Which entry is the last of a stream.
    Last(usize, Query<'c, Vec<StreamEntry>, R>),
    Entries(Query<'c, StreamEntries, R>),
    /// Waits for the next try.
    Pause(Sleep<R::Timer>),
    Ended,
}

struct Reading<'c, R: Runtime> {
    client: &'c Client<R>,
    group: Option<Group>,
    places: Vec<(Bytes, Place)>,
    batch: u64,
    block: Duration,
    asking: Asking<'c, R>,
    found: VecDeque<StreamItem>,
    /// Made with the first loss.
    recovery: Option<Recovery>,
    /// There was an answer since the last loss.
    well: bool,
}

// Nothing in it is pinned.
impl<R: Runtime> Unpin for Reading<'_, R> {}

impl<'c, R: Runtime> Reading<'c, R> {
    fn new(
        client: &'c Client<R>,
        streams: impl IntoIterator<Item = impl Into<Bytes>>,
        place: &Place,
        group: Option<Group>,
    ) -> Self {
        let places = streams.into_iter().map(|name| (name.into(), place.clone())).collect();
        let (asking, found) = (Asking::Nothing, VecDeque::new());
        Self { client, group, places, batch: BATCH, block: BLOCK, asking, found, recovery: None, well: true }
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<StreamItem, Error>>> {
        loop {
            if let Some(item) = self.found.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            let failed = match &mut self.asking {
                Asking::Nothing => {
                    self.asking = self.ask();
                    continue;
                }
                Asking::Ended => return Poll::Ready(None),
                Asking::Pause(pause) => {
                    ready!(Pin::new(pause).poll(cx));
                    self.asking = Asking::Nothing;
                    continue;
                }
                Asking::Last(index, asking) => {
                    let index = *index;
                    match ready!(Pin::new(asking).poll(cx)) {
                        Ok(last) => {
                            let id =
                                last.into_iter().next().map_or_else(|| BEGINNING.to_owned(), |last| last.id);
                            self.places[index].1 = Place::After(id);
                            self.answered();
                            continue;
                        }
                        Err(error) => error,
                    }
                }
                Asking::Entries(asking) => match ready!(Pin::new(asking).poll(cx)) {
                    Ok(entries) => {
                        self.take(entries);
                        self.answered();
                        continue;
                    }
                    Err(error) => error,
                },
            };
            if let Err(error) = self.lost(failed) {
                self.asking = Asking::Ended;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    fn ask(&self) -> Asking<'c, R> {
        if self.places.is_empty() {
            return Asking::Ended;
        }
        if let Some(index) = self.places.iter().position(|(_, place)| matches!(place, Place::Unknown)) {
            let last = commands::xrevrange(&self.places[index].0, "+", "-", Some(1));
            return Asking::Last(index, self.client.run(last));
        }
        let mut options = XReadOptions { count: Some(self.batch), block: None, no_ack: false };
        let Some(group) = &self.group else {
            options.block = Some(Blocks::For(self.block));
            let places = self.places.iter().map(|(name, place)| (name, place.id()));
            return self.entries(commands::xread(places, &options));
        };
        let pending: Vec<_> =
            self.places.iter().filter(|(_, place)| matches!(place, Place::Pending(_))).collect();
        let command = if pending.is_empty() {
            options.block = Some(Blocks::For(self.block));
            let places = self.places.iter().map(|(name, _)| (name, ">"));
            commands::xreadgroup(&group.name, &group.consumer, places, &options)
        } else {
            let places = pending.into_iter().map(|(name, place)| (name, place.id()));
            commands::xreadgroup(&group.name, &group.consumer, places, &options)
        };
        self.entries(command)
    }

    fn entries(&self, command: Typed<StreamEntries>) -> Asking<'c, R> {
        Asking::Entries(self.client.run(command))
    }

    fn answered(&mut self) {
        self.asking = Asking::Nothing;
        self.well = true;
        if let Some(recovery) = &mut self.recovery {
            recovery.up(self.client.connection().runtime().now());
        }
    }

    fn take(&mut self, entries: StreamEntries) {
        for (stream, entries) in entries {
            let Some((_, place)) = self.places.iter_mut().find(|(name, _)| *name == stream) else { continue };
            match (entries.last(), &mut *place) {
                (Some(last), Place::Unknown | Place::After(_)) => *place = Place::After(last.id.clone()),
                (Some(last), Place::Pending(id)) => id.clone_from(&last.id),
                // All that was handed out before is here.
                (None, Place::Pending(id)) => *place = Place::After(std::mem::take(id)),
                (None, _) => {}
            }
            self.found.extend(entries.into_iter().map(|entry| StreamItem { stream: stream.clone(), entry }));
        }
    }

    /// Waits for the next try, if the connection is what failed, and there is to be another.
    fn lost(&mut self, error: Error) -> Result<(), Error> {
        let away = match &error {
            Error::Call(CallError::Overloaded) | Error::Transaction(_) => false,
            Error::Call(_) | Error::Connect(_) => true,
            // It has just been started.
            Error::Reply(_) => error.server_error().is_some_and(|error| error.code() == "LOADING"),
        };
        if !away || self.client.is_closed() {
            return Err(error);
        }
        let runtime = self.client.connection().runtime();
        let recovery = self.recovery.get_or_insert_with(|| Recovery::new(self.client.core.lanes.target()));
        let now = runtime.now();
        let well = std::mem::replace(&mut self.well, false);
        let until = if well { recovery.lost(now) } else { recovery.failed(now) };
        let Some(at) = until else { return Err(error) };
        if self.group.is_some() {
            // What the lost answer handed out is pending, behind what was read.
            for (_, place) in &mut self.places {
                if let Place::After(id) = place {
                    *place = Place::Pending(std::mem::take(id));
                }
            }
        }
        self.asking = Asking::Pause(sleep_until(runtime, at));
        Ok(())
    }
}

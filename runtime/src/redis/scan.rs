//! Scans as streams.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use glowplug_redis::commands::{self, ScanOptions, Scanned};
use glowplug_redis::{FromReply, Typed};

use super::{Client, Error, Query};
use crate::Runtime;

impl<R: Runtime> Client<R> {
    /// All keys, batch after batch (`SCAN`).
    ///
    /// What is there from the beginning to the end comes at least once, and may come more often; what comes or goes meanwhile may or
    /// may not. The next batch is asked for when the last is used up. An error ends the stream.
    pub fn scan_all(&self, options: ScanOptions) -> Scan<'_, Bytes, R> {
        Scan::new(self, What { key: Bytes::new(), options }, |what, cursor| {
            commands::scan(cursor, &what.options)
        })
    }

    /// All fields of a hash and their values (`HSCAN`), as [`scan_all`](Self::scan_all).
    pub fn hscan_all(&self, key: impl Into<Bytes>, options: ScanOptions) -> Scan<'_, (Bytes, Bytes), R> {
        let what = What { key: key.into(), options };
        Scan::new(self, what, |what, cursor| commands::hscan(&what.key, cursor, &what.options))
    }

    /// All members of a set (`SSCAN`), as [`scan_all`](Self::scan_all).
    pub fn sscan_all(&self, key: impl Into<Bytes>, options: ScanOptions) -> Scan<'_, Bytes, R> {
        let what = What { key: key.into(), options };
        Scan::new(self, what, |what, cursor| commands::sscan(&what.key, cursor, &what.options))
    }

    /// All members of a sorted set and their scores (`ZSCAN`), as [`scan_all`](Self::scan_all).
    pub fn zscan_all(&self, key: impl Into<Bytes>, options: ScanOptions) -> Scan<'_, (Bytes, f64), R> {
        let what = What { key: key.into(), options };
        Scan::new(self, what, |what, cursor| commands::zscan(&what.key, cursor, &what.options))
    }
}

struct What {
    key: Bytes,
    options: ScanOptions,
}

/// A scan, as a stream. Made by [`Client::scan_all`] and its like.
#[must_use = "nothing is sent until the scan is polled"]
pub struct Scan<'c, T, R: Runtime> {
    client: &'c Client<R>,
    what: What,
    next: fn(&What, u64) -> Typed<Scanned<T>>,
    /// Where to go on; `None` at the end.
    cursor: Option<u64>,
    asking: Option<Query<'c, Scanned<T>, R>>,
    found: VecDeque<T>,
}

impl<'c, T: FromReply, R: Runtime> Scan<'c, T, R> {
    fn new(client: &'c Client<R>, what: What, next: fn(&What, u64) -> Typed<Scanned<T>>) -> Self {
        Self { client, what, next, cursor: Some(0), asking: None, found: VecDeque::new() }
    }

    /// The next item; `None` at the end.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        std::future::poll_fn(|cx| self.poll_item(cx)).await
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Error>>> {
        loop {
            if let Some(item) = self.found.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            let Some(cursor) = self.cursor else { return Poll::Ready(None) };
            let asking = self.asking.get_or_insert_with(|| self.client.run((self.next)(&self.what, cursor)));
            let answer = ready!(Pin::new(asking).poll(cx));
            self.asking = None;
            match answer {
                Ok((cursor, found)) => {
                    self.cursor = (cursor != 0).then_some(cursor);
                    self.found = found.into();
                }
                Err(error) => {
                    self.cursor = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

// Nothing in it is pinned.
impl<T, R: Runtime> Unpin for Scan<'_, T, R> {}

impl<T: FromReply, R: Runtime> Stream for Scan<'_, T, R> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx)
    }
}

impl<T, R: Runtime> fmt::Debug for Scan<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

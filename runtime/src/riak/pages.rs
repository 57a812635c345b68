//! Index queries in pages.

use std::fmt;

use glowplug_riak::Continuation;
use glowplug_riak::request::{Index, IndexResults};

use super::{Client, Error};
use crate::Runtime;

/// The results of an index query, page by page. Made by [`Client::index_pages`].
///
/// Each page is a request of its own, so a query may take as long as its reader likes, and any node may answer the next page. What was
/// written between two pages may be in the later one or not.
pub struct IndexPages<R: Runtime> {
    client: Client<R>,
    query: Index,
    next: Next,
}

#[derive(Debug)]
enum Next {
    First,
    From(Continuation),
    Over,
}

impl<R: Runtime> IndexPages<R> {
    pub(super) fn new(client: Client<R>, query: Index, page: u32) -> Self {
        // The place to go on from is told for sorted results alone.
        let query = query.max_results(page.max(1)).pagination_sort(true);
        Self { client, query, next: Next::First }
    }

    /// Goes on where another reader stopped: see [`continuation`](Self::continuation).
    pub fn from(mut self, continuation: Continuation) -> Self {
        self.next = Next::From(continuation);
        self
    }

    /// Where the next page begins; `None` before the first and after the last. It may be kept, and used by another client.
    pub fn continuation(&self) -> Option<&Continuation> {
        match &self.next {
            Next::From(continuation) => Some(continuation),
            Next::First | Next::Over => None,
        }
    }

    /// The next page. `None` after the last. After an error, the same page is asked for again.
    ///
    /// Dropping the future loses nothing: the same page is asked for again.
    pub async fn next(&mut self) -> Option<Result<IndexResults, Error>> {
        let query = match &self.next {
            Next::First => self.query.clone(),
            Next::From(continuation) => self.query.clone().continuation(continuation.clone()),
            Next::Over => return None,
        };
        let page = self.client.ask(query).await;
        if let Ok(page) = &page {
            self.next = page.continuation.clone().map_or(Next::Over, Next::From);
        }
        Some(page)
    }
}

impl<R: Runtime> fmt::Debug for IndexPages<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexPages")
            .field("query", &self.query)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

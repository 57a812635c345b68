//! A cursor: batches until the server has no more, and no cursor left behind.
//!
//! ```text
//! find ──reply──► Read documents ──► Send getMore ──reply──► Read ..
//!                      │ limit reached, or closed, while the server's cursor lives
//!                      ▼
//!                 Send killCursors ──► Done
//! ```

use core::fmt;
use std::sync::Arc;

use crate::bson::{Doc, Document, RawDocument, ToBson, Value};
use crate::doc;
use crate::error::{DecodeError, EncodeError};
use crate::reply::{CommandError, Reply};
use crate::request::{Command, Expects};
use crate::wire::{OpReply, ReplyFlags};

/// The server's number for "there is no such cursor".
const CURSOR_NOT_FOUND: i32 = 43;

/// The state of one cursor. It sends nothing itself: [`step`](Self::step) says what to send, and each reply is given to
/// [`handle_reply`](Self::handle_reply).
///
/// ```
/// use glowplug_mongodb::{Cursor, CursorStep, Find, Reply, doc};
/// let find = Find::new("shop", "fruit").limit(10);
/// let mut cursor = find.cursor();
/// // The reply to `find.command()`: an empty batch of a cursor that lives.
/// cursor.handle_reply(&Reply::new(
///     doc! { "cursor": { "id": 7i64, "ns": "shop.fruit", "firstBatch": [] }, "ok": 1 }.into(),
/// ))?;
/// let CursorStep::Send(command) = cursor.step() else { panic!() };
/// assert_eq!(command.name(), "getMore");
/// # Ok::<(), glowplug_mongodb::CursorError>(())
/// ```
#[derive(Debug)]
pub struct Cursor {
    options: CursorOptions,
    /// Documents that may still be given.
    remaining: Option<u64>,
    state: State,
    /// The array of the current batch, and how far it was read.
    batch: RawDocument,
    at: usize,
    database: Arc<str>,
    collection: Arc<str>,
    /// The server's cursor; 0 when it has none (any more).
    id: i64,
}

/// How a cursor goes on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CursorOptions {
    /// Documents in all; `None` for every one.
    pub limit: Option<u64>,
    /// Documents in each batch; `None` leaves it to the server.
    pub batch_size: Option<u32>,
    /// How long a tailable cursor waits for more, in milliseconds (`maxTimeMS` of its getMore).
    pub max_await_ms: Option<u64>,
    /// Lets the server answer one getMore with all the batches that are left.
    pub exhaust: bool,
    /// Fields that go with each getMore and killCursors, such as `comment`.
    pub common: Document,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// The reply to a find, aggregate or getMore is due.
    Waiting,
    /// A batch is being read, or was.
    Reading,
    /// Nobody wants more documents; the server's cursor may have to be killed.
    Closing,
    Done,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a cursor goes on only when its commands are sent"]
pub enum CursorStep {
    /// Documents are there: take them with [`Cursor::next_doc`].
    Read,
    /// Send this; the reply to a getMore goes to [`Cursor::handle_reply`], that to a killCursors nowhere.
    Send(Command),
    /// The reply to what was sent last is still due.
    Wait,
    /// There is nothing more.
    Done,
}

/// Why a cursor ended early. Documents are missing: this is not the end of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CursorError {
    /// The server says no.
    Command(CommandError),
    /// The server has lost the cursor.
    NotFound,
    /// The reply is no reply of a cursor.
    Malformed,
    /// The batch is malformed.
    Decode(DecodeError),
}

impl fmt::Display for CursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command(_) => "the server refused to go on with a cursor",
            Self::NotFound => "the server has lost the cursor, documents are missing",
            Self::Malformed => "a reply has no cursor",
            Self::Decode(_) => "a batch is malformed",
        })
    }
}

impl std::error::Error for CursorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Command(error) => Some(error),
            Self::Decode(error) => Some(error),
            Self::NotFound | Self::Malformed => None,
        }
    }
}

impl Cursor {
    /// A cursor that waits for the reply to the command that opens it.
    pub fn new(
        database: impl Into<Arc<str>>,
        collection: impl Into<Arc<str>>,
        options: CursorOptions,
    ) -> Self {
        Self {
            // A limit of 0 is none, as everywhere in this protocol.
            remaining: options.limit.filter(|limit| *limit > 0),
            options,
            state: State::Waiting,
            batch: RawDocument::default(),
            at: 0,
            database: database.into(),
            collection: collection.into(),
            id: 0,
        }
    }

    /// How it goes on.
    pub fn options(&self) -> &CursorOptions {
        &self.options
    }

    /// Appends a field that goes with each getMore and killCursors from here on.
    pub fn add_common(&mut self, key: &str, value: impl ToBson) -> Result<(), EncodeError> {
        self.options.common.try_append(key, value)
    }

    /// True while documents of the batch that is there can be taken.
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.state == State::Reading && self.remaining != Some(0) && self.has_documents()
    }

    /// True once as many documents were taken as were wanted.
    pub fn is_satisfied(&self) -> bool {
        self.remaining == Some(0)
    }

    /// The server's cursor, if it lives.
    pub fn id(&self) -> Option<i64> {
        (self.id != 0).then_some(self.id)
    }

    /// Takes the reply to the opening command or to a getMore.
    pub fn handle_reply(&mut self, reply: &Reply) -> Result<(), CursorError> {
        self.take_reply(reply).inspect_err(|error| {
            // After an error from the server its cursor is gone; after nonsense nobody knows, and it is killed.
            if matches!(error, CursorError::Command(_) | CursorError::NotFound) {
                self.id = 0;
            }
            self.state = State::Closing;
        })
    }

    fn take_reply(&mut self, reply: &Reply) -> Result<(), CursorError> {
        let doc = reply.ok().map_err(|error| match error.code {
            CURSOR_NOT_FOUND => CursorError::NotFound,
            _ => CursorError::Command(error),
        })?;
        let cursor = doc.get_doc("cursor").ok_or(CursorError::Malformed)?;
        self.id = cursor.get_i64("id").ok_or(CursorError::Malformed)?;
        // The server may answer for another collection than was asked: its name counts.
        if let Some((database, collection)) = cursor.get_str("ns").and_then(|ns| ns.split_once('.')) {
            if database != &*self.database {
                self.database = database.into();
            }
            if collection != &*self.collection {
                self.collection = collection.into();
            }
        }
        let batch = cursor.find("firstBatch").or_else(|| cursor.find("nextBatch")).and_then(Value::as_array);
        let batch = batch.ok_or(CursorError::Malformed)?;
        self.start_batch(reply.document().share(batch.as_doc()));
        Ok(())
    }

    /// Takes an OP_REPLY of the old protocol: its flags come first.
    pub fn handle_legacy_reply(&mut self, reply: &OpReply) -> Result<(), CursorError> {
        self.id = 0;
        if reply.flags.contains(ReplyFlags::CURSOR_NOT_FOUND) {
            self.state = State::Closing;
            return Err(CursorError::NotFound);
        }
        if reply.flags.contains(ReplyFlags::QUERY_FAILURE) {
            self.state = State::Closing;
            let error = reply.docs().next().map(CommandError::from_doc);
            return Err(error.map_or(CursorError::Malformed, CursorError::Command));
        }
        self.id = reply.cursor_id;
        let mut batch = Vec::with_capacity(reply.documents.len() + 16);
        let mut writer = crate::bson::ArrayWriter::new(&mut batch);
        for doc in reply.docs() {
            writer.try_push(doc).map_err(|_| CursorError::Malformed)?;
        }
        drop(writer);
        let batch = RawDocument::new(batch.into()).map_err(CursorError::Decode)?;
        self.start_batch(batch);
        Ok(())
    }

    fn start_batch(&mut self, batch: RawDocument) {
        self.batch = batch;
        self.at = 4;
        // A reply that comes after the owner lost interest is not read, but may have to be cleaned up after.
        self.state = match self.state {
            State::Waiting | State::Reading => State::Reading,
            State::Closing | State::Done => State::Closing,
        };
    }

    /// The next document of the batch that is there.
    pub fn next_doc(&mut self) -> Option<Result<Doc<'_>, CursorError>> {
        if self.state != State::Reading || self.remaining == Some(0) {
            return None;
        }
        let mut elements = self.batch.as_doc().raw_iter_from(self.at);
        let doc = elements.next_value()?.map(Value::as_doc);
        self.at = elements.offset();
        match doc {
            Ok(Some(doc)) => {
                if let Some(remaining) = &mut self.remaining {
                    *remaining -= 1;
                }
                Some(Ok(doc))
            }
            Ok(None) => {
                self.state = State::Closing;
                Some(Err(CursorError::Malformed))
            }
            Err(error) => {
                self.state = State::Closing;
                Some(Err(CursorError::Decode(error)))
            }
        }
    }

    /// No more documents are wanted. If the server's cursor lives, the next step kills it.
    pub fn close(&mut self) {
        if self.state != State::Done {
            self.state = State::Closing;
        }
    }

    /// What to do next.
    pub fn step(&mut self) -> CursorStep {
        if self.state == State::Reading && self.remaining == Some(0) {
            self.state = State::Closing;
        }
        match self.state {
            State::Done => CursorStep::Done,
            State::Waiting => CursorStep::Wait,
            State::Closing => {
                self.state = State::Done;
                match core::mem::take(&mut self.id) {
                    0 => CursorStep::Done,
                    id => CursorStep::Send(self.kill(id)),
                }
            }
            State::Reading if self.has_documents() => CursorStep::Read,
            State::Reading if self.id == 0 => {
                self.state = State::Done;
                CursorStep::Done
            }
            State::Reading => {
                self.state = State::Waiting;
                self.batch = RawDocument::default();
                CursorStep::Send(self.get_more())
            }
        }
    }

    fn has_documents(&self) -> bool {
        self.at + 1 < self.batch.as_bytes().len()
    }

    fn get_more(&self) -> Command {
        let mut body = doc! { "getMore": self.id, "collection": &*self.collection };
        // With a limit, the last batch asks for no more than is wanted.
        let left = self.remaining.map(|left| u32::try_from(left).unwrap_or(u32::MAX));
        let batch = match (self.options.batch_size, left) {
            (Some(size), Some(left)) if size > 0 => Some(size.min(left)),
            (Some(size), _) if size > 0 => Some(size),
            (_, left) => left,
        };
        if let Some(batch) = batch {
            body.append("batchSize", batch);
        }
        if let Some(millis) = self.options.max_await_ms {
            body.append("maxTimeMS", i64::try_from(millis).unwrap_or(i64::MAX));
        }
        body.extend(self.options.common.as_doc());
        let expects = if self.options.exhaust { Expects::Stream } else { Expects::Reply };
        Command::new(self.database.clone(), body).expecting(expects)
    }

    fn kill(&self, id: i64) -> Command {
        let mut body = doc! { "killCursors": &*self.collection, "cursors": [id] };
        body.extend(self.options.common.as_doc());
        Command::new(self.database.clone(), body)
    }
}

#[cfg(test)]
mod tests;

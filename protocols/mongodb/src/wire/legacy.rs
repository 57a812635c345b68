//! The operations before OP_MSG: handshakes still use OP_QUERY and OP_REPLY; the others are for captures, proxies and old
//! servers.

use bytes::{BufMut, Bytes, BytesMut};

use super::Frame;
use super::read::{Fields, docs};
use crate::bson::{Doc, RawDocument};
use crate::error::{DecodeError, Reason};

/// A set of flags with names.
macro_rules! flags {
    ($(#[$meta:meta])* $name:ident { $($(#[$flag_meta:meta])* $flag:ident = $bit:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
        pub struct $name(pub i32);

        impl $name {
            $($(#[$flag_meta])* pub const $flag: Self = Self(1 << $bit);)*

            /// True when all of `other` are set.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
        }

        impl core::ops::BitOr for $name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
    };
}

flags! {
    /// The flags of an [`OpQuery`].
    QueryFlags {
        /// The cursor stays when the last document was read, and gives what is added later.
        TAILABLE_CURSOR = 1,
        /// A secondary may answer.
        SECONDARY_OK = 2,
        /// Servers set it among themselves.
        OPLOG_REPLAY = 3,
        /// The cursor never times out.
        NO_CURSOR_TIMEOUT = 4,
        /// With a tailable cursor: wait a little for more before an empty batch.
        AWAIT_DATA = 5,
        /// Send all batches without being asked.
        EXHAUST = 6,
        /// Answer though some shards are down.
        PARTIAL = 7,
    }
}

flags! {
    /// The flags of an [`OpReply`].
    ReplyFlags {
        /// The cursor of a get-more is not there (any more): this is no end of data, documents are missing.
        CURSOR_NOT_FOUND = 0,
        /// The query failed; the one document says why in `$err`.
        QUERY_FAILURE = 1,
        /// Only a mongos sees it: its picture of the shards is old.
        SHARD_CONFIG_STALE = 2,
        /// The server knows `AWAIT_DATA`.
        AWAIT_CAPABLE = 3,
    }
}

flags! {
    /// The flags of an [`OpInsert`].
    InsertFlags {
        /// Go on with the next document when one fails.
        CONTINUE_ON_ERROR = 0,
    }
}

flags! {
    /// The flags of an [`OpUpdate`].
    UpdateFlags {
        /// Insert when nothing matches.
        UPSERT = 0,
        /// Change every match, not only the first.
        MULTI_UPDATE = 1,
    }
}

flags! {
    /// The flags of an [`OpDelete`].
    DeleteFlags {
        /// Delete the first match only.
        SINGLE_REMOVE = 0,
    }
}

fn put_cstring(text: &str, out: &mut BytesMut) {
    // Names that were read have no zero byte; one that was made with one is cut there, as every reader would.
    let text = text.split('\0').next().unwrap_or_default();
    out.put_slice(text.as_bytes());
    out.put_u8(0);
}

/// A query, or a command when the collection is `db.$cmd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpQuery {
    /// The flags.
    pub flags: QueryFlags,
    /// Database and collection with a point between them.
    pub collection: String,
    /// Documents to leave out at the start.
    pub number_to_skip: i32,
    /// How many to return in the first batch; negative: no more than so many, and no cursor.
    pub number_to_return: i32,
    /// What to look for.
    pub query: RawDocument,
    /// Which fields to return.
    pub return_fields: Option<RawDocument>,
}

impl OpQuery {
    pub(super) fn decode(frame: &Frame) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(frame);
        let query = Self {
            flags: QueryFlags(fields.i32()?),
            collection: fields.cstring()?.to_owned(),
            number_to_skip: fields.i32()?,
            number_to_return: fields.i32()?,
            query: fields.shared_doc()?,
            return_fields: if fields.is_empty() { None } else { Some(fields.shared_doc()?) },
        };
        fields.finish()?;
        Ok(query)
    }

    pub(super) fn encode_body(&self, out: &mut BytesMut) {
        out.put_i32_le(self.flags.0);
        put_cstring(&self.collection, out);
        out.put_i32_le(self.number_to_skip);
        out.put_i32_le(self.number_to_return);
        out.put_slice(self.query.as_bytes());
        if let Some(fields) = &self.return_fields {
            out.put_slice(fields.as_bytes());
        }
    }

    /// The database of a command; `None` when this is an ordinary query.
    pub fn command_database(&self) -> Option<&str> {
        self.collection.strip_suffix(".$cmd")
    }
}

/// The answer to an [`OpQuery`] or an [`OpGetMore`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpReply {
    /// The flags: whoever reads the documents must look at them first.
    pub flags: ReplyFlags,
    /// The cursor for the next batch; 0 when there is none.
    pub cursor_id: i64,
    /// The number of this batch's first document in the whole result.
    pub starting_from: i32,
    /// How many documents follow.
    pub number_returned: i32,
    /// They themselves, one behind the other.
    pub documents: Bytes,
}

impl OpReply {
    pub(super) fn decode(frame: &Frame) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(frame);
        let flags = ReplyFlags(fields.i32()?);
        let cursor_id = fields.i64()?;
        let starting_from = fields.i32()?;
        let count_at = fields.at;
        let number_returned = fields.i32()?;
        let (documents, count) = fields.shared_docs()?;
        if usize::try_from(number_returned) != Ok(count) {
            return Err(DecodeError::new(count_at, Reason::BadLength));
        }
        Ok(Self { flags, cursor_id, starting_from, number_returned, documents })
    }

    pub(super) fn encode_body(&self, out: &mut BytesMut) {
        out.put_i32_le(self.flags.0);
        out.put_i64_le(self.cursor_id);
        out.put_i32_le(self.starting_from);
        out.put_i32_le(self.number_returned);
        out.put_slice(&self.documents);
    }

    /// A reply of one document, as commands have it.
    pub fn of_command(document: RawDocument) -> Self {
        Self {
            flags: ReplyFlags::AWAIT_CAPABLE,
            cursor_id: 0,
            starting_from: 0,
            number_returned: 1,
            documents: document.into_bytes(),
        }
    }

    /// The documents in order.
    pub fn docs(&self) -> impl Iterator<Item = Doc<'_>> + Clone {
        docs(&self.documents)
    }
}

/// Documents to insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpInsert {
    /// The flags.
    pub flags: InsertFlags,
    /// Database and collection with a point between them.
    pub collection: String,
    /// The documents, one behind the other.
    pub documents: Bytes,
}

impl OpInsert {
    pub(super) fn decode(frame: &Frame) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(frame);
        Ok(Self {
            flags: InsertFlags(fields.i32()?),
            collection: fields.cstring()?.to_owned(),
            documents: fields.shared_docs()?.0,
        })
    }

    pub(super) fn encode_body(&self, out: &mut BytesMut) {
        out.put_i32_le(self.flags.0);
        put_cstring(&self.collection, out);
        out.put_slice(&self.documents);
    }
}

/// A change to documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpUpdate {
    /// Database and collection with a point between them.
    pub collection: String,
    /// The flags.
    pub flags: UpdateFlags,
    /// Which documents.
    pub selector: RawDocument,
    /// The change, or what to put in their place.
    pub update: RawDocument,
}

impl OpUpdate {
    pub(super) fn decode(frame: &Frame) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(frame);
        fields.i32()?; // Reserved.
        let update = Self {
            collection: fields.cstring()?.to_owned(),
            flags: UpdateFlags(fields.i32()?),
            selector: fields.shared_doc()?,
            update: fields.shared_doc()?,
        };
        fields.finish()?;
        Ok(update)
    }

    pub(super) fn encode_body(&self, out: &mut BytesMut) {
        out.put_i32_le(0);
        put_cstring(&self.collection, out);
        out.put_i32_le(self.flags.0);
        out.put_slice(self.selector.as_bytes());
        out.put_slice(self.update.as_bytes());
    }
}

/// Documents to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpDelete {
    /// Database and collection with a point between them.
    pub collection: String,
    /// The flags.
    pub flags: DeleteFlags,
    /// Which documents.
    pub selector: RawDocument,
}

impl OpDelete {
    pub(super) fn decode(frame: &Frame) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(frame);
        fields.i32()?; // Reserved.
        let delete = Self {
            collection: fields.cstring()?.to_owned(),
            flags: DeleteFlags(fields.i32()?),
            selector: fields.shared_doc()?,
        };
        fields.finish()?;
        Ok(delete)
    }

    pub(super) fn encode_body(&self, out: &mut BytesMut) {
        out.put_i32_le(0);
        put_cstring(&self.collection, out);
        out.put_i32_le(self.flags.0);
        out.put_slice(self.selector.as_bytes());
    }
}

/// A request for the next batch of a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpGetMore {
    /// Database and collection with a point between them.
    pub collection: String,
    /// How many documents to return; 0 leaves it to the server.
    pub number_to_return: i32,
    /// Which cursor.
    pub cursor_id: i64,
}

impl OpGetMore {
    pub(super) fn decode(frame: &Frame) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(frame);
        fields.i32()?; // Reserved.
        let more = Self {
            collection: fields.cstring()?.to_owned(),
            number_to_return: fields.i32()?,
            cursor_id: fields.i64()?,
        };
        fields.finish()?;
        Ok(more)
    }

    pub(super) fn encode_body(&self, out: &mut BytesMut) {
        out.put_i32_le(0);
        put_cstring(&self.collection, out);
        out.put_i32_le(self.number_to_return);
        out.put_i64_le(self.cursor_id);
    }
}

/// Cursors that are no longer wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpKillCursors {
    /// Which ones.
    pub cursor_ids: Vec<i64>,
}

impl OpKillCursors {
    pub(super) fn decode(frame: &Frame) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(frame);
        fields.i32()?; // Reserved.
        let count_at = fields.at;
        let count = fields.i32()?;
        // The ids must be there before room is made for them.
        if usize::try_from(count).ok().and_then(|count| count.checked_mul(8)) != Some(fields.rest().len()) {
            return Err(DecodeError::new(count_at, Reason::BadLength));
        }
        let cursor_ids = (0..count).map(|_| fields.i64()).collect::<Result<_, _>>()?;
        Ok(Self { cursor_ids })
    }

    pub(super) fn encode_body(&self, out: &mut BytesMut) {
        out.put_i32_le(0);
        out.put_u32_le(self.cursor_ids.len() as u32);
        for id in &self.cursor_ids {
            out.put_i64_le(*id);
        }
    }
}

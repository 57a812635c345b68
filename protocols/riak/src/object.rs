//! Objects: where they are, what they hold, which clock they carry.

use alloc::string::String;
use alloc::vec::Vec;
use core::{fmt, mem};

use crate::request::Put;
use crate::resolve::Resolver;
use crate::wire::Blob;
use crate::wire::kv::{RpbContent, RpbGetResp, RpbLink, RpbPutResp};
use crate::wire::riak::RpbPair;

/// A bucket, with the bucket type it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket {
    /// The bucket type; `None` means `default`, whose buckets are other ones than those of any named type.
    pub bucket_type: Option<Blob>,
    /// The name.
    pub name: Blob,
}

impl Bucket {
    /// A bucket of the type `default`.
    pub fn new(name: impl Into<Blob>) -> Self {
        Self { bucket_type: None, name: name.into() }
    }

    /// A bucket of a named type.
    pub fn typed(bucket_type: impl Into<Blob>, name: impl Into<Blob>) -> Self {
        Self { bucket_type: Some(bucket_type.into()), name: name.into() }
    }

    /// A key in this bucket.
    pub fn key(&self, key: impl Into<Blob>) -> Location {
        Location { bucket: self.clone(), key: key.into() }
    }
}

impl From<&str> for Bucket {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Bucket {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The bucket.
    pub bucket: Bucket,
    /// The key.
    pub key: Blob,
}

impl Location {
    /// A key in a bucket of the type `default`.
    pub fn new(bucket: impl Into<Blob>, key: impl Into<Blob>) -> Self {
        Self { bucket: Bucket::new(bucket), key: key.into() }
    }
}

/// Bytes that only a node can read. They are kept, and sent back as they came.
macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(pub Blob);

        impl From<Blob> for $name {
            fn from(bytes: Blob) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({} bytes)"), self.0.len())
            }
        }
    )*};
}

opaque! {
    /// An object's clock: which writes it contains. A write that carries it replaces exactly those.
    VClock;
    /// What a client has seen of a data type. A removal that carries it removes only that.
    Context;
    /// Where a listing in pages goes on.
    Continuation;
}

/// When something was written, by the clock of the node that took the write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LastModified {
    /// Seconds since 1970.
    pub seconds: u32,
    /// Microseconds of the second.
    pub micros: u32,
}

/// A link to another object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Link {
    /// The bucket it points to.
    pub bucket: Blob,
    /// The key it points to.
    pub key: Blob,
    /// What it means.
    pub tag: Blob,
}

/// An entry in a secondary index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IndexEntry {
    /// The index: a name that ends in `_int` or `_bin`.
    pub index: Blob,
    /// The value; for an `_int` index in decimal.
    pub value: Blob,
}

/// One value of an object, with its metadata. An object in conflict has several: they are its siblings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The value; empty for a tombstone, and when only the head was asked for.
    pub value: Blob,
    /// The media type.
    pub content_type: Option<Blob>,
    /// The character set.
    pub charset: Option<Blob>,
    /// The encoding, as `gzip`.
    pub content_encoding: Option<Blob>,
    /// The node's name for this version. Ignored in a write.
    pub vtag: Option<Blob>,
    /// When it was written. Ignored in a write.
    pub last_modified: Option<LastModified>,
    /// Links to other objects.
    pub links: Vec<Link>,
    /// The user's metadata; a name without a value is allowed.
    pub user_meta: Vec<(Blob, Option<Blob>)>,
    /// Entries in secondary indexes.
    pub indexes: Vec<IndexEntry>,
    /// True for a tombstone: this sibling is a delete.
    pub deleted: bool,
}

impl Content {
    /// A value without metadata. Nodes take it for `application/octet-stream`.
    pub fn new(value: impl Into<Blob>) -> Self {
        Self { value: value.into(), ..Self::default() }
    }

    /// Sets the media type.
    pub fn content_type(mut self, content_type: impl Into<Blob>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Sets the character set.
    pub fn charset(mut self, charset: impl Into<Blob>) -> Self {
        self.charset = Some(charset.into());
        self
    }

    /// Sets the encoding.
    pub fn content_encoding(mut self, encoding: impl Into<Blob>) -> Self {
        self.content_encoding = Some(encoding.into());
        self
    }

    /// Adds an entry to the user's metadata.
    pub fn meta(mut self, name: impl Into<Blob>, value: impl Into<Blob>) -> Self {
        self.user_meta.push((name.into(), Some(value.into())));
        self
    }

    /// Adds a link.
    pub fn link(mut self, bucket: impl Into<Blob>, key: impl Into<Blob>, tag: impl Into<Blob>) -> Self {
        self.links.push(Link { bucket: bucket.into(), key: key.into(), tag: tag.into() });
        self
    }

    /// Adds an entry to a secondary index of bytes; `_bin` is put behind the name unless it is there.
    pub fn index_bin(mut self, name: &str, value: impl Into<Blob>) -> Self {
        self.indexes.push(IndexEntry { index: suffixed(name, "_bin"), value: value.into() });
        self
    }

    /// Adds an entry to a secondary index of numbers; `_int` is put behind the name unless it is there.
    pub fn index_int(mut self, name: &str, value: i64) -> Self {
        self.indexes.push(IndexEntry { index: suffixed(name, "_int"), value: decimal(value) });
        self
    }

    /// The first value of a metadata entry.
    pub fn get_meta(&self, name: &[u8]) -> Option<&Blob> {
        self.user_meta.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.as_ref())
    }
}

/// An index's name with the suffix that says what it holds.
pub(crate) fn suffixed(name: &str, suffix: &str) -> Blob {
    if name.ends_with(suffix) {
        name.as_bytes().to_vec().into()
    } else {
        alloc::format!("{name}{suffix}").into()
    }
}

/// A number as indexes of numbers want it.
pub(crate) fn decimal(value: i64) -> Blob {
    alloc::format!("{value}").into()
}

impl Content {
    /// Takes everything out of a content as it came, where it lies: a message is large, and moving it costs more than reading it.
    fn taken_from(wire: &mut RpbContent) -> Self {
        let last_modified = wire
            .last_mod
            .map(|seconds| LastModified { seconds, micros: wire.last_mod_usecs.unwrap_or_default() });
        Self {
            value: mem::take(&mut wire.value),
            content_type: wire.content_type.take(),
            charset: wire.charset.take(),
            content_encoding: wire.content_encoding.take(),
            vtag: wire.vtag.take(),
            last_modified,
            links: wire.links.take_mapped(Link::from),
            user_meta: wire.usermeta.take_mapped(|pair| (pair.key, pair.value)),
            indexes: wire.indexes.take_mapped(IndexEntry::from),
            deleted: wire.deleted == Some(true),
        }
    }
}

impl From<RpbContent> for Content {
    fn from(mut wire: RpbContent) -> Self {
        Self::taken_from(&mut wire)
    }
}

impl From<Content> for RpbContent {
    fn from(content: Content) -> Self {
        Self {
            value: content.value,
            content_type: content.content_type,
            charset: content.charset,
            content_encoding: content.content_encoding,
            vtag: content.vtag,
            links: content.links.into_iter().map(RpbLink::from).collect(),
            last_mod: content.last_modified.map(|time| time.seconds),
            last_mod_usecs: content.last_modified.map(|time| time.micros),
            usermeta: content.user_meta.into_iter().map(|(key, value)| RpbPair { key, value }).collect(),
            indexes: content.indexes.into_iter().map(RpbPair::from).collect(),
            deleted: content.deleted.then_some(true),
        }
    }
}

impl From<RpbLink> for Link {
    fn from(wire: RpbLink) -> Self {
        Self {
            bucket: wire.bucket.unwrap_or_default(),
            key: wire.key.unwrap_or_default(),
            tag: wire.tag.unwrap_or_default(),
        }
    }
}

impl From<Link> for RpbLink {
    fn from(link: Link) -> Self {
        Self { bucket: Some(link.bucket), key: Some(link.key), tag: Some(link.tag) }
    }
}

impl From<RpbPair> for IndexEntry {
    fn from(wire: RpbPair) -> Self {
        Self { index: wire.key, value: wire.value.unwrap_or_default() }
    }
}

impl From<IndexEntry> for RpbPair {
    fn from(entry: IndexEntry) -> Self {
        Self { key: entry.index, value: Some(entry.value) }
    }
}

/// An object as it was read: its siblings and its clock.
///
/// ```
/// use glowplug_riak::{Content, Object, resolve::LastWriteWins};
/// # let read = Object { vclock: None, siblings: vec![Content::new("old"), Content::new("new")] };
/// let mut object = read;
/// let chosen = object.resolve(&mut LastWriteWins).clone();
/// // The put carries the clock of the read, so it replaces all siblings.
/// let put = object.put(("bucket", "key"), chosen);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The clock, to be sent back with the write that replaces this object.
    pub vclock: Option<VClock>,
    /// The siblings: one, unless writes were made that did not know of each other. Tombstones are among them.
    pub siblings: Vec<Content>,
}

impl Object {
    /// True when there is more than one sibling.
    pub fn is_conflicted(&self) -> bool {
        self.siblings.len() > 1
    }

    /// True when every sibling is a tombstone: the object is deleted, and its clock is still known.
    pub fn is_deleted(&self) -> bool {
        self.siblings.iter().all(|sibling| sibling.deleted)
    }

    /// The content, if there is just one and it is no tombstone.
    pub fn content(&self) -> Option<&Content> {
        match &self.siblings[..] {
            [content] if !content.deleted => Some(content),
            _ => None,
        }
    }

    /// Makes one content of all siblings. The clock stays: a put of the result replaces them all.
    ///
    /// Without a conflict the resolver is not asked. An object without any content (which no read gives) becomes a tombstone.
    pub fn resolve(&mut self, resolver: &mut impl Resolver) -> &Content {
        if self.siblings.len() != 1 {
            let siblings = mem::take(&mut self.siblings);
            self.siblings.push(if siblings.is_empty() {
                Content { deleted: true, ..Content::default() }
            } else {
                resolver.resolve(siblings)
            });
        }
        &self.siblings[0]
    }

    /// The put that replaces this object, all its siblings included, by `content`.
    pub fn put(&self, location: impl Into<Location>, content: Content) -> Put {
        let put = Put::new(location, content);
        match &self.vclock {
            Some(vclock) => put.vclock(vclock.clone()),
            None => put,
        }
    }
}

/// What came of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// There is an object; it may be a tombstone, see [`Object::is_deleted`].
    Found(Object),
    /// The object still has the clock that was sent as `if_modified`.
    Unchanged,
    /// There is none. If it was deleted a short while ago and `deletedvclock` asked for it, here is its tombstone's clock.
    NotFound(Option<VClock>),
}

impl Fetched {
    /// The object, if there is one.
    pub fn found(self) -> Option<Object> {
        match self {
            Self::Found(object) => Some(object),
            Self::Unchanged | Self::NotFound(_) => None,
        }
    }
}

impl Fetched {
    /// What a reply says, taken out of it where it lies.
    pub(crate) fn taken_from(wire: &mut RpbGetResp) -> Self {
        let vclock = wire.vclock.take().map(VClock);
        if wire.unchanged == Some(true) {
            Self::Unchanged
        } else if wire.content.is_empty() {
            Self::NotFound(vclock)
        } else {
            Self::Found(Object {
                vclock,
                siblings: wire.content.iter_mut().map(Content::taken_from).collect(),
            })
        }
    }
}

impl From<RpbGetResp> for Fetched {
    fn from(mut wire: RpbGetResp) -> Self {
        Self::taken_from(&mut wire)
    }
}

/// What came of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The key, if the node made it.
    pub key: Option<Blob>,
    /// The object as it is stored now, if `return_body` or `return_head` asked for it.
    pub object: Option<Object>,
}

impl Stored {
    /// What a reply says, taken out of it where it lies.
    pub(crate) fn taken_from(wire: &mut RpbPutResp) -> Self {
        let vclock = wire.vclock.take().map(VClock);
        let siblings: Vec<_> = wire.content.iter_mut().map(Content::taken_from).collect();
        Self { key: wire.key.take(), object: (!siblings.is_empty()).then_some(Object { vclock, siblings }) }
    }
}

impl From<RpbPutResp> for Stored {
    fn from(mut wire: RpbPutResp) -> Self {
        Self::taken_from(&mut wire)
    }
}

impl<B: Into<Bucket>, K: Into<Blob>> From<(B, K)> for Location {
    fn from((bucket, key): (B, K)) -> Self {
        Self { bucket: bucket.into(), key: key.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::{LastWriteWins, Pairwise};
    use crate::wire::Message;

    fn at(value: &'static str, seconds: u32) -> Content {
        let last_modified = Some(LastModified { seconds, micros: 0 });
        Content { last_modified, ..Content::new(value) }
    }

    #[test]
    fn content_goes_to_the_wire_and_back() {
        let content = Content::new("v")
            .content_type("text/plain")
            .charset("utf-8")
            .content_encoding("identity")
            .meta("colour", "blue")
            .link("b", "k", "friend")
            .index_bin("email", "a@example.com")
            .index_int("age_int", -7);
        assert_eq!(content.indexes[0].index, "email_bin");
        assert_eq!(
            (&content.indexes[1].index[..], &content.indexes[1].value[..]),
            (&b"age_int"[..], &b"-7"[..])
        );
        assert_eq!(content.get_meta(b"colour"), Some(&Blob::from("blue")));
        let wire = RpbContent::from(content.clone());
        let mut buf = bytes::BytesMut::new();
        wire.encode(&mut buf);
        assert_eq!(RpbContent::decode(&buf.freeze()).map(Content::from), Ok(content));
    }

    #[test]
    fn a_put_after_a_get_carries_the_clock() {
        let vclock = VClock("clock".into());
        let mut object = Object {
            vclock: Some(vclock.clone()),
            siblings: alloc::vec![at("a", 1), at("b", 3), at("c", 2)],
        };
        assert!(object.is_conflicted() && object.content().is_none());
        let chosen = object.resolve(&mut LastWriteWins).clone();
        assert_eq!(chosen.value, "b");
        assert_eq!(object.content(), Some(&chosen));
        let put = object.put(("b", "k"), chosen);
        assert_eq!(put.message().vclock, Some(vclock.0));
    }

    #[test]
    fn pairs_are_resolved_from_left_to_right() {
        let mut seen = Vec::new();
        let mut object = Object { vclock: None, siblings: alloc::vec![at("a", 1), at("b", 2), at("c", 3)] };
        object.resolve(&mut Pairwise(|left: Content, right: Content| {
            seen.push((left.value.clone(), right.value));
            left
        }));
        assert_eq!(seen, [("a".into(), "b".into()), ("a".into(), Blob::from("c"))]);
    }

    #[test]
    fn empty_replies_mean_not_found() {
        assert_eq!(Fetched::from(RpbGetResp::default()), Fetched::NotFound(None));
        assert_eq!(Stored::from(RpbPutResp::default()), Stored { key: None, object: None });
        let gone = RpbGetResp { vclock: Some("t".into()), ..RpbGetResp::default() };
        assert_eq!(Fetched::from(gone), Fetched::NotFound(Some(VClock("t".into()))));
        let unchanged = RpbGetResp { unchanged: Some(true), ..RpbGetResp::default() };
        assert_eq!(Fetched::from(unchanged), Fetched::Unchanged);
    }
}

//! Requests as values, with every option, and what their answers mean.
//!
//! A request is built, turned into its message, and sent by whoever has a connection; each reply is then read by the
//! request's type:
//!
//! ```
//! use glowplug_riak::request::{Ask, Get};
//! use glowplug_riak::wire::{Reply, Request, kv::RpbGetResp};
//! use glowplug_riak::{Bucket, Fetched, Quorum};
//!
//! let request: Request = Get::new(Bucket::typed("mult", "users").key("alice")).r(Quorum::All).head(true).into_request();
//! let reply = Reply::from(RpbGetResp::default());
//! assert_eq!(Get::read(reply), Ok(Fetched::NotFound(None)));
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use crate::datatype::{Change, FetchedData, UpdatedData};
use crate::object::{
    Bucket, Content, Context, Continuation, Fetched, Location, Object, Stored, VClock, decimal,
};
use crate::quorum::Quorum;
use crate::wire::dt::{DtFetchReq, DtUpdateReq};
#[allow(clippy::wildcard_imports, reason = "the table names nearly all of them")]
use crate::wire::kv::*;
#[allow(clippy::wildcard_imports, reason = "the table names nearly all of them")]
use crate::wire::riak::*;
use crate::wire::{Blob, Reply, Request};

/// Something to ask a node, and how to read what it answers.
pub trait Ask {
    /// What one reply means.
    type Answer;

    /// The message to send.
    fn into_request(self) -> Request;

    /// Reads a reply. One that does not belong to this request is given back.
    fn read(reply: Reply) -> Result<Self::Answer, Reply>;
}

/// A request that is answered once.
pub trait AskOnce: Ask {
    /// The request, asking for one answer.
    fn once(self) -> Self
    where
        Self: Sized,
    {
        self
    }
}

/// A request that is answered by a stream.
pub trait AskStream: Ask {
    /// The request, asking for a stream.
    fn streamed(self) -> Self
    where
        Self: Sized,
    {
        self
    }
}

/// Milliseconds, as options have them; longer than 49 days is as good as for ever.
fn millis(duration: Duration) -> u32 {
    duration.as_millis().try_into().unwrap_or(u32::MAX)
}

/// The setters of one option, by the kind of its value.
macro_rules! option_setter {
    ($field:ident: quorum) => { option_setter!(@ $field, value: Quorum => value.into()); };
    ($field:ident: flag) => { option_setter!(@ $field, value: bool => value); };
    ($field:ident: count) => { option_setter!(@ $field, value: u32 => value); };
    ($field:ident: time) => { option_setter!(@ $field, value: Duration => millis(value)); };
    ($field:ident: bytes) => { option_setter!(@ $field, value: impl Into<Blob> => value.into()); };
    ($field:ident: vclock) => { option_setter!(@ $field, value: VClock => value.0); };
    ($field:ident: context) => { option_setter!(@ $field, value: Context => value.0); };
    ($field:ident: continuation) => { option_setter!(@ $field, value: Continuation => value.0); };
    (@ $field:ident, $value:ident: $ty:ty => $wire:expr) => {
        #[doc = concat!("Sets the option `", stringify!($field), "`; see the field of the message.")]
        pub fn $field(mut self, $value: $ty) -> Self {
            self.0.$field = Some($wire);
            self
        }
    };
}

/// Declares requests: the message behind each, its options, and what a reply becomes.
macro_rules! requests {
    ($(
        $(#[$doc:meta])*
        $how:ident $name:ident sends $message:ident, options { $($field:ident: $kind:ident),* },
        $reply:ident($wire:pat) => $answer:ty { $read:expr }
    )*) => {$(
        $(#[$doc])*
        #[doc = concat!("\n\nOptions are those of [`", stringify!($message), "`].")]
        #[derive(Clone, Debug, PartialEq)]
        #[must_use = "a request asks nothing until it is sent"]
        pub struct $name(Box<$message>);

        impl $name {
            $(option_setter!($field: $kind);)*

            /// The message as it stands.
            pub fn message(&self) -> &$message {
                &self.0
            }
        }

        impl Ask for $name {
            type Answer = $answer;

            fn into_request(self) -> Request {
                self.0.into()
            }

            fn read(reply: Reply) -> Result<$answer, Reply> {
                match reply {
                    #[allow(unused_variables, reason = "some replies say nothing but that it is done")]
                    Reply::$reply($wire) => Ok($read),
                    other => Err(other),
                }
            }
        }

        answered!($how $name);
    )*};
}

/// How often a request is answered.
macro_rules! answered {
    (once $name:ident) => {
        impl AskOnce for $name {}
    };
    (stream $name:ident) => {
        impl AskStream for $name {}
    };
    (either $name:ident) => {
        impl AskOnce for $name {
            fn once(mut self) -> Self {
                self.0.stream = None;
                self
            }
        }

        impl AskStream for $name {
            fn streamed(mut self) -> Self {
                self.0.stream = Some(true);
                self
            }
        }
    };
}

requests! {
    /// Is the node there?
    once Ping sends RpbPingReq, options {},
    RpbPingResp(reply) => () { () }

    /// The node's name and version.
    once ServerInfo sends RpbGetServerInfoReq, options {},
    RpbGetServerInfoResp(reply) => RpbGetServerInfoResp { *reply }

    /// Reads an object.
    once Get sends RpbGetReq, options {
        r: quorum, pr: quorum, basic_quorum: flag, notfound_ok: flag, if_modified: vclock, head: flag, deletedvclock: flag,
        timeout: time, sloppy_quorum: flag, n_val: count, node_confirms: count
    },
    RpbGetResp(mut reply) => Fetched { Fetched::taken_from(&mut reply) }

    /// Writes an object. To replace one that was read, use [`Object::put`], which sends the clock.
    once Put sends RpbPutReq, options {
        vclock: vclock, w: quorum, dw: quorum, pw: quorum, return_body: flag, return_head: flag, if_not_modified: flag,
        if_none_match: flag, timeout: time, asis: flag, sloppy_quorum: flag, n_val: count, node_confirms: count
    },
    RpbPutResp(mut reply) => Stored { Stored::taken_from(&mut reply) }

    /// Deletes an object. With the clock of a read, a write made since then survives.
    once Delete sends RpbDelReq, options {
        vclock: vclock, rw: quorum, r: quorum, w: quorum, pr: quorum, pw: quorum, dw: quorum, timeout: time,
        sloppy_quorum: flag, n_val: count
    },
    RpbDelResp(reply) => () { () }

    /// Lists the buckets of a type, as a stream. It walks over every key of the cluster: not for production.
    stream ListBuckets sends RpbListBucketsReq, options { timeout: time },
    RpbListBucketsResp(reply) => Vec<Blob> { reply.buckets.into_vec() }

    /// Lists the keys of a bucket, as a stream. It walks over every key of the cluster: not for production.
    stream ListKeys sends RpbListKeysReq, options { timeout: time },
    RpbListKeysResp(reply) => Vec<Blob> { reply.keys.into_vec() }

    /// Reads the properties of a bucket.
    once GetBucket sends RpbGetBucketReq, options {},
    RpbGetBucketResp(reply) => RpbBucketProps { reply.props }

    /// Changes properties of a bucket.
    once SetBucket sends RpbSetBucketReq, options {},
    RpbSetBucketResp(reply) => () { () }

    /// Gives a bucket the properties of its type again.
    once ResetBucket sends RpbResetBucketReq, options {},
    RpbResetBucketResp(reply) => () { () }

    /// Reads the properties of a bucket type.
    once GetBucketType sends RpbGetBucketTypeReq, options {},
    RpbGetBucketResp(reply) => RpbBucketProps { reply.props }

    /// Changes properties of a bucket type.
    once SetBucketType sends RpbSetBucketTypeReq, options {},
    RpbSetBucketResp(reply) => () { () }

    /// Runs a map-reduce job, as a stream.
    stream MapReduce sends RpbMapRedReq, options {},
    RpbMapRedResp(reply) => RpbMapRedResp { *reply }

    /// Queries a secondary index: one reply, or with `stream` a stream.
    either Index sends RpbIndexReq, options {
        return_terms: flag, stream: flag, max_results: count, continuation: continuation, timeout: time, term_regex: bytes,
        pagination_sort: flag, cover_context: bytes
    },
    RpbIndexResp(reply) => IndexResults { (*reply).into() }

    /// Reads the objects of a bucket in the order of their keys, as a stream.
    stream Scan sends RpbCSBucketReq, options {
        end_key: bytes, start_incl: flag, end_incl: flag, continuation: continuation, max_results: count, timeout: time,
        cover_context: bytes
    },
    RpbCSBucketResp(reply) => Scanned { (*reply).into() }

    /// Which vnodes are responsible for a key?
    once Preflist sends RpbGetBucketKeyPreflistReq, options {},
    RpbGetBucketKeyPreflistResp(reply) => Vec<RpbBucketKeyPreflistItem> { reply.preflist.into_vec() }

    /// How may a query over a whole bucket be cut into parts that are asked one by one?
    once Coverage sends RpbCoverageReq, options { min_partitions: count, replace_cover: bytes },
    RpbCoverageResp(reply) => Vec<RpbCoverageEntry> { reply.entries.into_vec() }

    /// Adds to a counter of the kind that came before data types. The new value comes back if `returnvalue` asks for it.
    once AddToLegacyCounter sends RpbCounterUpdateReq, options {
        w: quorum, dw: quorum, pw: quorum, returnvalue: flag, node_confirms: count
    },
    RpbCounterUpdateResp(reply) => Option<i64> { reply.value }

    /// Reads a counter of the kind that came before data types.
    once GetLegacyCounter sends RpbCounterGetReq, options {
        r: quorum, pr: quorum, basic_quorum: flag, notfound_ok: flag, node_confirms: count
    },
    RpbCounterGetResp(reply) => Option<i64> { reply.value }

    /// Reads a data type.
    once FetchData sends DtFetchReq, options {
        r: quorum, pr: quorum, basic_quorum: flag, notfound_ok: flag, timeout: time, sloppy_quorum: flag, n_val: count,
        include_context: flag, node_confirms: count
    },
    DtFetchResp(reply) => FetchedData { (*reply).into() }

    /// Changes a data type. To change one that was read, use [`FetchedData::update`], which sends the context.
    once UpdateData sends DtUpdateReq, options {
        context: context, w: quorum, dw: quorum, pw: quorum, return_body: flag, timeout: time, sloppy_quorum: flag,
        n_val: count, include_context: flag, node_confirms: count
    },
    DtUpdateResp(reply) => UpdatedData { (*reply).into() }
}

impl Ping {
    /// Asks.
    #[allow(clippy::new_without_default, reason = "a request is made on purpose")]
    pub fn new() -> Self {
        Self(Box::new(RpbPingReq {}))
    }
}

impl ServerInfo {
    /// Asks.
    #[allow(clippy::new_without_default, reason = "a request is made on purpose")]
    pub fn new() -> Self {
        Self(Box::new(RpbGetServerInfoReq {}))
    }
}

impl Get {
    /// Reads the object at `location`.
    pub fn new(location: impl Into<Location>) -> Self {
        let Location { bucket: Bucket { bucket_type, name }, key } = location.into();
        // Filled where it stays, as it is large.
        let mut get = Box::<RpbGetReq>::default();
        (get.bucket, get.key, get.r#type) = (name, key, bucket_type);
        Self(get)
    }
}

impl Put {
    /// Writes `content` at `location`, without a clock: over an object that is there, it makes a sibling (or replaces it, if
    /// the bucket keeps none).
    pub fn new(location: impl Into<Location>, content: Content) -> Self {
        let Location { bucket, key } = location.into();
        let mut put = Self::with_new_key(bucket, content);
        put.0.key = Some(key);
        put
    }

    /// Writes `content` at a key that the node makes; [`Stored::key`] tells which.
    pub fn with_new_key(bucket: impl Into<Bucket>, content: Content) -> Self {
        let Bucket { bucket_type, name } = bucket.into();
        // Filled where it stays, as it is large.
        let mut put = Box::<RpbPutReq>::default();
        (put.bucket, put.r#type) = (name, bucket_type);
        put.content = content.into();
        Self(put)
    }

    /// True when doing it twice is the same as doing it once, so that it may be sent again when nobody knows what came of it: it
    /// has a key, and a clock or a condition that a second write does not meet.
    pub fn is_idempotent(&self) -> bool {
        let put = &self.0;
        put.key.is_some() && (put.if_none_match == Some(true) || put.if_not_modified == Some(true))
    }
}

impl Delete {
    /// Deletes the object at `location`, whatever is there now unless a clock is set.
    pub fn new(location: impl Into<Location>) -> Self {
        let Location { bucket: Bucket { bucket_type, name }, key } = location.into();
        Self(Box::new(RpbDelReq { bucket: name, key, r#type: bucket_type, ..RpbDelReq::default() }))
    }
}

impl ListBuckets {
    /// Lists the buckets of a type; `None` means `default`.
    pub fn new(bucket_type: Option<Blob>) -> Self {
        Self(Box::new(RpbListBucketsReq { r#type: bucket_type, stream: Some(true), timeout: None }))
    }
}

impl ListKeys {
    /// Lists the keys of `bucket`.
    pub fn new(bucket: impl Into<Bucket>) -> Self {
        let Bucket { bucket_type, name } = bucket.into();
        Self(Box::new(RpbListKeysReq { bucket: name, r#type: bucket_type, timeout: None }))
    }
}

impl GetBucket {
    /// Reads the properties of `bucket`.
    pub fn new(bucket: impl Into<Bucket>) -> Self {
        let Bucket { bucket_type, name } = bucket.into();
        Self(Box::new(RpbGetBucketReq { bucket: name, r#type: bucket_type }))
    }
}

impl SetBucket {
    /// Changes those properties of `bucket` that are present in `props`.
    pub fn new(bucket: impl Into<Bucket>, props: RpbBucketProps) -> Self {
        let Bucket { bucket_type, name } = bucket.into();
        Self(Box::new(RpbSetBucketReq { bucket: name, props, r#type: bucket_type }))
    }
}

impl ResetBucket {
    /// Resets the properties of `bucket`.
    pub fn new(bucket: impl Into<Bucket>) -> Self {
        let Bucket { bucket_type, name } = bucket.into();
        Self(Box::new(RpbResetBucketReq { bucket: name, r#type: bucket_type }))
    }
}

impl GetBucketType {
    /// Reads the properties of the type.
    pub fn new(bucket_type: impl Into<Blob>) -> Self {
        Self(Box::new(RpbGetBucketTypeReq { r#type: bucket_type.into() }))
    }
}

impl SetBucketType {
    /// Changes those properties of the type that are present in `props`.
    pub fn new(bucket_type: impl Into<Blob>, props: RpbBucketProps) -> Self {
        Self(Box::new(RpbSetBucketTypeReq { r#type: bucket_type.into(), props }))
    }
}

impl MapReduce {
    /// Runs a job written in JSON.
    pub fn json(job: impl Into<Blob>) -> Self {
        Self(Box::new(RpbMapRedReq {
            request: job.into(),
            content_type: Blob::from_static(b"application/json"),
        }))
    }

    /// Runs a job written as an Erlang term.
    pub fn erlang(job: impl Into<Blob>) -> Self {
        Self(Box::new(RpbMapRedReq {
            request: job.into(),
            content_type: Blob::from_static(b"application/x-erlang-binary"),
        }))
    }
}

impl Index {
    fn query(bucket: impl Into<Bucket>, index: impl Into<Blob>, qtype: IndexQueryType) -> Self {
        let Bucket { bucket_type, name } = bucket.into();
        let index = index.into();
        Self(Box::new(RpbIndexReq {
            bucket: name,
            index,
            qtype,
            r#type: bucket_type,
            ..RpbIndexReq::default()
        }))
    }

    /// The keys whose entry in `index` is `value`.
    pub fn equal(bucket: impl Into<Bucket>, index: impl Into<Blob>, value: impl Into<Blob>) -> Self {
        let mut query = Self::query(bucket, index, IndexQueryType::Eq);
        query.0.key = Some(value.into());
        query
    }

    /// The keys whose entry in `index` lies between `first` and `last`, both included.
    pub fn range(
        bucket: impl Into<Bucket>,
        index: impl Into<Blob>,
        first: impl Into<Blob>,
        last: impl Into<Blob>,
    ) -> Self {
        let mut query = Self::query(bucket, index, IndexQueryType::Range);
        query.0.range_min = Some(first.into());
        query.0.range_max = Some(last.into());
        query
    }

    /// As [`equal`](Self::equal), in an index of numbers.
    pub fn equal_int(bucket: impl Into<Bucket>, index: impl Into<Blob>, value: i64) -> Self {
        Self::equal(bucket, index, decimal(value))
    }

    /// As [`range`](Self::range), in an index of numbers.
    pub fn range_int(bucket: impl Into<Bucket>, index: impl Into<Blob>, first: i64, last: i64) -> Self {
        Self::range(bucket, index, decimal(first), decimal(last))
    }
}

impl Scan {
    /// Reads the objects of `bucket` from the key `start` on.
    pub fn new(bucket: impl Into<Bucket>, start: impl Into<Blob>) -> Self {
        let Bucket { bucket_type, name } = bucket.into();
        let start_key = start.into();
        Self(Box::new(RpbCSBucketReq {
            bucket: name,
            start_key,
            r#type: bucket_type,
            ..RpbCSBucketReq::default()
        }))
    }
}

impl Preflist {
    /// Asks about the key at `location`. Releases up to 3.2 close the connection when its bucket has a type.
    pub fn new(location: impl Into<Location>) -> Self {
        let Location { bucket: Bucket { bucket_type, name }, key } = location.into();
        Self(Box::new(RpbGetBucketKeyPreflistReq { bucket: name, key, r#type: bucket_type }))
    }
}

impl Coverage {
    /// Asks for a plan that covers `bucket`.
    pub fn new(bucket: impl Into<Bucket>) -> Self {
        let Bucket { bucket_type, name } = bucket.into();
        Self(Box::new(RpbCoverageReq { bucket: name, r#type: bucket_type, ..RpbCoverageReq::default() }))
    }
}

impl AddToLegacyCounter {
    /// Adds `amount` to the counter at `key` of a bucket of the type `default`.
    pub fn new(bucket: impl Into<Blob>, key: impl Into<Blob>, amount: i64) -> Self {
        let (bucket, key) = (bucket.into(), key.into());
        Self(Box::new(RpbCounterUpdateReq { bucket, key, amount, ..RpbCounterUpdateReq::default() }))
    }
}

impl GetLegacyCounter {
    /// Reads the counter at `key` of a bucket of the type `default`.
    pub fn new(bucket: impl Into<Blob>, key: impl Into<Blob>) -> Self {
        Self(Box::new(RpbCounterGetReq {
            bucket: bucket.into(),
            key: key.into(),
            ..RpbCounterGetReq::default()
        }))
    }
}

impl FetchData {
    /// Reads the data type at `location`, whose bucket has to have a type.
    pub fn new(location: impl Into<Location>) -> Self {
        let Location { bucket: Bucket { bucket_type, name }, key } = location.into();
        let r#type = bucket_type.unwrap_or(DEFAULT_TYPE);
        Self(Box::new(DtFetchReq { bucket: name, key, r#type, ..DtFetchReq::default() }))
    }
}

impl UpdateData {
    /// Changes the data type at `location`, whose bucket has to have a type.
    pub fn new(location: impl Into<Location>, change: impl Into<Change>) -> Self {
        let Location { bucket, key } = location.into();
        let mut update = Self::with_new_key(bucket, change);
        update.0.key = Some(key);
        update
    }

    /// Makes a data type at a key that the node makes; [`UpdatedData::key`] tells which.
    pub fn with_new_key(bucket: impl Into<Bucket>, change: impl Into<Change>) -> Self {
        let Bucket { bucket_type, name } = bucket.into();
        let r#type = bucket_type.unwrap_or(DEFAULT_TYPE);
        Self(Box::new(DtUpdateReq {
            bucket: name,
            r#type,
            op: change.into().into(),
            ..DtUpdateReq::default()
        }))
    }
}

/// The bucket type that is meant when none is named.
const DEFAULT_TYPE: Blob = Blob::from_static(b"default");

/// Results of an index query, or some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexResults {
    /// What was found.
    pub matches: Vec<IndexMatch>,
    /// Where to go on; present when `max_results` were found.
    pub continuation: Option<Continuation>,
}

/// One result of an index query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexMatch {
    /// The value, if `return_terms` asked for it. (Queries of `$key` and `$bucket` never tell.)
    pub term: Option<Blob>,
    /// The object's key.
    pub key: Blob,
}

impl From<RpbIndexResp> for IndexResults {
    fn from(wire: RpbIndexResp) -> Self {
        let keys = wire.keys.into_iter().map(|key| IndexMatch { term: None, key });
        // In a pair with a term the value is what comes first.
        let pairs = wire.results.into_iter();
        let pairs =
            pairs.map(|pair| IndexMatch { term: Some(pair.key), key: pair.value.unwrap_or_default() });
        Self { matches: keys.chain(pairs).collect(), continuation: wire.continuation.map(Continuation) }
    }
}

/// Objects of a bucket, or some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Keys and objects.
    pub objects: Vec<(Blob, Object)>,
    /// Where to go on; present when `max_results` were found.
    pub continuation: Option<Continuation>,
}

impl From<RpbCSBucketResp> for Scanned {
    fn from(wire: RpbCSBucketResp) -> Self {
        let objects = wire.objects.into_iter().map(|entry| {
            let vclock = entry.object.vclock.map(VClock);
            let siblings = entry.object.content.into_iter().map(Content::from).collect();
            (entry.key, Object { vclock, siblings })
        });
        Self { objects: objects.collect(), continuation: wire.continuation.map(Continuation) }
    }
}

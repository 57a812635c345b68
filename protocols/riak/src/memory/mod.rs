//! A node that lives in memory: a test double for clients, behind the feature `memory`.
//!
//! A [`Node`] takes a request and gives the replies, and knows nothing of connections; a [`Connection`] is one end of a byte
//! stream with a node behind it. It answers as a single real node does, error texts included:
//!
//! - objects with dotted clocks, siblings, tombstones (for three seconds, as a real node), conditional puts, quorum checks;
//! - secondary indexes (`_int`, `_bin`, `$key`, `$bucket`) with ranges, terms, pages and streams; bucket scans; listings;
//! - counters, sets, grow-only sets, maps and HyperLogLogs, with contexts; counters of the old kind;
//! - properties of buckets and bucket types; users and passwords;
//! - map-reduce jobs in JSON, over a bucket, named objects or an index query, of these functions of `riak_kv_mapreduce`: `map_identity`,
//!   `map_object_value`, `reduce_count_inputs`, `reduce_identity`, `reduce_set_union`, `reduce_sort`, `reduce_string_to_integer`,
//!   `reduce_sum`;
//! - the folds of anti-entropy that ask for keys, clocks, sizes, siblings and buckets, or erase, reap, repair and replicate.
//!
//! Two manners of the real one that clients have to survive are kept: an index query on a bucket type that does not exist is
//! never answered, and what makes a real node's handler crash gives an error for which
//! [`closes_connection`](crate::ServerError::closes_connection) is true: whoever serves should then close.
//!
//! # What it does not do
//!
//! - There is one node and no vnode: quorums are checked against `n_val` and otherwise always met, and no timeout but 0 is
//!   ever reached.
//! - No replication, no coverage plans, no search, no time series: such requests are refused as unknown codes. So are folds that give trees; folds look at no segments, and dispatching keys to be repaired or replicated does nothing.
//! - Of map-reduce no other functions, no JavaScript, no links, no bucket types, no jobs in Erlang terms; an object (what `map_identity` gives)
//!   can be counted and not shown. Each phase is run once over everything that the one before has found, and an error says no more of where it
//!   happened than the phase.
//! - `term_regex` is refused. Commit hooks are stored with the properties and not run.
//! - Every conflict is kept exactly (as with `dvv_enabled`), also where `allow_mult` is on without it. Clocks are never pruned.
//! - `asis` is an ordinary put. A HyperLogLog counts exactly. A plain get of a data type gives its content type and no value.
//! - A write costs time in proportion to what lies at its key: all siblings, the whole set or map.
//! - Listings and index results come in order, which a real node promises to nobody.

mod clock;
mod connection;
mod data;
mod folds;
mod jobs;
mod json;
mod objects;
mod props;
mod queries;

use alloc::collections::BTreeMap;
use alloc::vec::{self, Vec};
use core::time::Duration;

use bytes::BytesMut;
use glowplug_core::limits::Range;
use glowplug_core::{Rng, Seed};

pub use self::connection::{Connection, Event, Handle};
use self::data::DataState;
use self::objects::Stored;
use crate::error::ServerError;
use crate::event::Response;
use crate::wire::kv::{
    RpbBucketKeyPreflistItem, RpbGetBucketKeyPreflistReq, RpbGetBucketKeyPreflistResp, RpbGetClientIdResp,
    RpbSetClientIdResp,
};
use crate::wire::riak::{RpbAuthReq, RpbAuthResp, RpbBucketProps, RpbGetServerInfoResp, RpbPingResp};
use crate::wire::{Blob, Message, Reply, Request};

/// Bytes of values and keys that a node keeps.
const MAX_STORED: Range<usize> = Range::new(1024, 256 << 20, usize::MAX);
/// The name of the only node.
const NODE_NAME: Blob = Blob::from_static(b"glowplug@127.0.0.1");
/// Client ids are kept for this many connections.
const MAX_CLIENT_IDS: usize = 10_000;
/// Bytes of a client id. Clients send four.
const MAX_CLIENT_ID_LEN: usize = 64;

/// A request's own failure, in the words of a real node.
type Result<T> = core::result::Result<T, ServerError>;

/// The refusal with this text.
fn refused<T>(text: impl Into<Blob>) -> Result<T> {
    Err(ServerError::new(text))
}

/// What a real node says when its handler crashes. It closes the connection behind it.
fn crashed<T>(what: &str) -> Result<T> {
    refused(alloc::format!("Error processing incoming message: error:{what}"))
}

/// Settings of a [`Node`].
#[derive(Clone, Debug)]
pub struct NodeConfig {
    types: BTreeMap<Blob, RpbBucketProps>,
    users: BTreeMap<Blob, Blob>,
    max_stored: usize,
}

impl Default for NodeConfig {
    /// Bucket types for each data type (`counters`, `sets`, `gsets`, `maps`, `hlls`), `mult` with siblings and `lww` where the
    /// last write wins. No users.
    fn default() -> Self {
        let config =
            Self { types: BTreeMap::new(), users: BTreeMap::new(), max_stored: MAX_STORED.default() };
        let with_siblings = || RpbBucketProps { allow_mult: Some(true), ..RpbBucketProps::default() };
        let of_data =
            |datatype: &'static str| RpbBucketProps { datatype: Some(datatype.into()), ..with_siblings() };
        config
            .bucket_type("counters", of_data("counter"))
            .bucket_type("sets", of_data("set"))
            .bucket_type("gsets", of_data("gset"))
            .bucket_type("maps", of_data("map"))
            .bucket_type("hlls", of_data("hll"))
            .bucket_type("mult", with_siblings())
            .bucket_type("lww", RpbBucketProps { last_write_wins: Some(true), ..RpbBucketProps::default() })
    }
}

impl NodeConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a bucket type with these properties, the others being those of the type `default`.
    pub fn bucket_type(mut self, name: impl Into<Blob>, props: RpbBucketProps) -> Self {
        self.types.insert(name.into(), props);
        self
    }

    /// Adds a user. With the first one, authentication is known to the node.
    pub fn user(mut self, name: impl Into<Blob>, password: impl Into<Blob>) -> Self {
        self.users.insert(name.into(), password.into());
        self
    }

    /// How many bytes of keys and values the node keeps; writes beyond it are refused as `overload`. Default: 256 MiB.
    pub fn max_stored(mut self, bytes: usize) -> Self {
        self.max_stored = MAX_STORED.clamp(bytes);
        self
    }
}

/// Type and name of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct BucketId {
    bucket_type: Blob,
    name: Blob,
}

/// The name of the bucket type that is always there.
const DEFAULT_TYPE: Blob = Blob::from_static(b"default");

impl BucketId {
    #[allow(clippy::needless_pass_by_value, reason = "requests are taken apart by value")]
    fn new(bucket_type: Option<Blob>, name: Blob) -> Result<Self> {
        if name.is_empty() {
            return refused("Bucket cannot be zero-length");
        }
        // It may be kept, and must not keep the frame it came in.
        let bucket_type = bucket_type.map_or(DEFAULT_TYPE, |name| Blob::copy_from_slice(&name));
        Ok(Self { bucket_type, name: Blob::copy_from_slice(&name) })
    }

    /// The bytes of its names.
    fn len(&self) -> usize {
        self.bucket_type.len() + self.name.len()
    }
}

/// What lies at a key.
#[derive(Clone, Debug)]
enum Entry {
    Object(Stored),
    Data(DataState),
}

impl Entry {
    /// Roughly the bytes it takes.
    fn len(&self) -> usize {
        match self {
            Self::Object(stored) => stored.len(),
            Self::Data(state) => state.len(),
        }
    }
}

/// A node. See the [module](self).
///
/// ```
/// use core::time::Duration;
/// use glowplug_core::Seed;
/// use glowplug_riak::memory::{Node, NodeConfig};
/// use glowplug_riak::request::{Ask, Get, Put};
/// use glowplug_riak::{Content, Fetched};
///
/// let mut node = Node::new(&Seed::from_u64(1), NodeConfig::new());
/// let time = Duration::from_secs(1_800_000_000);
/// let put = Put::new(("bucket", "key"), Content::new("value"));
/// let _ = node.handle(time, 0, put.into_request());
/// let mut replies = node.handle(time, 0, Get::new(("bucket", "key")).into_request());
/// let Ok(Fetched::Found(object)) = Get::read(replies.next().unwrap().unwrap()) else { panic!() };
/// assert_eq!(object.content().unwrap().value, "value");
/// ```
#[derive(Debug)]
pub struct Node {
    config: NodeConfig,
    rng: Rng,
    /// Every write's number. One counter for all keys, so that no number comes twice at a key that was deleted.
    last_event: u64,
    entries: BTreeMap<BucketId, BTreeMap<Blob, Entry>>,
    /// Properties that were set on buckets.
    props: BTreeMap<BucketId, RpbBucketProps>,
    client_ids: BTreeMap<u64, Blob>,
    stored: usize,
}

/// The replies to one request, in order. None at all where a real node never answers.
#[derive(Debug)]
#[must_use = "the client waits for these"]
pub struct Replies(vec::IntoIter<Response>);

impl Iterator for Replies {
    type Item = Response;

    fn next(&mut self) -> Option<Response> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Replies {}

impl Node {
    /// An empty node. The seed decides vtags and the keys that the node makes.
    pub fn new(seed: &Seed, config: NodeConfig) -> Self {
        Self {
            config,
            rng: seed.rng(),
            last_event: 0,
            entries: BTreeMap::new(),
            props: BTreeMap::new(),
            client_ids: BTreeMap::new(),
            stored: 0,
        }
    }

    /// Answers a request. `time` is the time since 1970, `connection` names the connection it came on.
    pub fn handle(&mut self, time: Duration, connection: u64, request: Request) -> Replies {
        let replies = match self.answer(time, connection, request) {
            Ok(replies) => replies.into_iter().map(Ok).collect(),
            Err(error) => alloc::vec![Err(error)],
        };
        Replies(replies.into_iter())
    }

    /// Forgets what was kept for a connection.
    pub fn disconnected(&mut self, connection: u64) {
        self.client_ids.remove(&connection);
    }

    /// Bytes of keys and values that are kept now, roughly.
    pub fn stored(&self) -> usize {
        self.stored
    }

    fn answer(&mut self, time: Duration, connection: u64, request: Request) -> Result<Vec<Reply>> {
        let reply = match request {
            Request::RpbPingReq(_) => RpbPingResp {}.into(),
            Request::RpbGetServerInfoReq(_) => {
                let server_version = Some(Blob::from_static(env!("CARGO_PKG_VERSION").as_bytes()));
                RpbGetServerInfoResp { node: Some(NODE_NAME), server_version }.into()
            }
            Request::RpbGetClientIdReq(_) => {
                let client_id = self.client_ids.get(&connection).cloned().unwrap_or_default();
                RpbGetClientIdResp { client_id }.into()
            }
            Request::RpbSetClientIdReq(request) => {
                if request.client_id.len() > MAX_CLIENT_ID_LEN {
                    return refused("client id is too long");
                }
                if self.client_ids.len() >= MAX_CLIENT_IDS {
                    self.client_ids.pop_first();
                }
                self.client_ids.insert(connection, Blob::copy_from_slice(&request.client_id));
                RpbSetClientIdResp {}.into()
            }
            Request::RpbAuthReq(request) => self.authenticate(&request)?.into(),
            Request::RpbGetReq(request) => self.get(time, *request)?.into(),
            Request::RpbPutReq(request) => self.put(time, *request)?.into(),
            Request::RpbDelReq(request) => self.delete(time, *request)?.into(),
            Request::RpbGetBucketReq(request) => self.get_bucket(*request)?.into(),
            Request::RpbSetBucketReq(request) => self.set_bucket(*request)?.into(),
            Request::RpbResetBucketReq(request) => self.reset_bucket(*request)?.into(),
            Request::RpbGetBucketTypeReq(request) => self.get_bucket_type(&request)?.into(),
            Request::RpbSetBucketTypeReq(request) => self.set_bucket_type(&request)?.into(),
            Request::RpbGetBucketKeyPreflistReq(request) => self.preflist(*request)?.into(),
            Request::RpbCounterUpdateReq(request) => self.update_legacy_counter(*request)?.into(),
            Request::RpbCounterGetReq(request) => self.get_legacy_counter(*request)?.into(),
            Request::DtFetchReq(request) => self.fetch(*request)?.into(),
            Request::DtUpdateReq(request) => self.update(*request)?.into(),
            Request::RpbListBucketsReq(request) => return self.list_buckets(time, *request),
            Request::RpbListKeysReq(request) => return self.list_keys(time, *request),
            Request::RpbIndexReq(request) => return self.index(time, &request),
            Request::RpbCSBucketReq(request) => return self.scan(time, *request),
            Request::RpbMapRedReq(request) => return self.map_reduce(time, &request),
            other => match self.fold(time, other)? {
                Ok(reply) => reply,
                Err(other) => return refused(alloc::format!("Unknown message code: {}", other.code().0)),
            },
        };
        Ok(alloc::vec![reply])
    }

    fn authenticate(&self, request: &RpbAuthReq) -> Result<RpbAuthResp> {
        if self.config.users.is_empty() {
            return refused(alloc::format!("Unknown message code: {}", RpbAuthReq::CODE.0));
        }
        match self.config.users.get(&request.user) {
            Some(password) if *password == request.password => Ok(RpbAuthResp {}),
            _ => refused("Authentication failed"),
        }
    }

    fn preflist(&self, request: RpbGetBucketKeyPreflistReq) -> Result<RpbGetBucketKeyPreflistResp> {
        if request.r#type.is_some() {
            return crashed("function_clause");
        }
        let bucket = BucketId::new(None, request.bucket)?;
        check_key(&request.key)?;
        let copies = self.props_of(&bucket)?.n_val.unwrap_or(3);
        let vnode = |partition| RpbBucketKeyPreflistItem { partition, node: NODE_NAME, primary: true };
        Ok(RpbGetBucketKeyPreflistResp {
            preflist: (0..i64::from(copies.min(MAX_COPIES))).map(vnode).collect(),
        })
    }

    /// The number of a new write.
    fn next_event(&mut self) -> u64 {
        self.last_event += 1;
        self.last_event
    }

    fn entry(&self, bucket: &BucketId, key: &[u8]) -> Option<&Entry> {
        self.entries.get(bucket)?.get(key)
    }

    /// Makes room for something that grows from `old` to `new` bytes, or shrinks.
    fn account(&mut self, old: usize, new: usize) -> Result<()> {
        let stored = self.stored.saturating_sub(old) + new;
        if new > old && stored > self.config.max_stored {
            return refused("overload");
        }
        self.stored = stored;
        Ok(())
    }

    /// Puts an entry in its place, or removes it.
    fn replace(&mut self, bucket: BucketId, key: &Blob, entry: Option<Entry>) -> Result<()> {
        let name_len = bucket.len() + key.len();
        let old = self.entry(&bucket, key).map_or(0, |entry| name_len + entry.len());
        let new = entry.as_ref().map_or(0, |entry| name_len + entry.len());
        self.account(old, new)?;
        match entry {
            // What is kept must not keep the frame it came in.
            Some(entry) => {
                self.entries.entry(bucket).or_default().insert(Blob::copy_from_slice(key), entry);
            }
            None => {
                if let Some(keys) = self.entries.get_mut(&bucket) {
                    keys.remove(key);
                    if keys.is_empty() {
                        self.entries.remove(&bucket);
                    }
                }
            }
        }
        Ok(())
    }

    /// Letters and digits, as in vtags and in keys that the node makes.
    fn random_name(&mut self, len: usize) -> Blob {
        const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        (0..len).map(|_| LETTERS[self.rng.below(62) as usize]).collect()
    }
}

/// The same message in memory of its own: what is kept must not keep the frame it came in.
fn owned<M: Message>(message: &M) -> M {
    let mut bytes = BytesMut::with_capacity(message.encoded_len());
    message.encode(&mut bytes);
    M::decode(&bytes.freeze()).unwrap_or_default()
}

/// More copies than any cluster has vnodes.
const MAX_COPIES: u32 = 1024;

fn check_key(key: &[u8]) -> Result<()> {
    if key.is_empty() { refused("Key cannot be zero-length") } else { Ok(()) }
}

#[cfg(test)]
mod tests;

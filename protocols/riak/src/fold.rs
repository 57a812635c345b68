//! Folds of active anti-entropy: questions about a whole bucket, or about a range of it, that a node answers from its trees
//! and its key store without reading objects.
//!
//! A [`Range`] says where to look; its methods say what for. The folds that go by `n_val` alone have no options, and their
//! messages are asked as they are. Every fold takes a while and answers once: send it with
//! [`submit_within`](crate::ClientConnection::submit_within).
//!
//! ```
//! use glowplug_riak::fold::Range;
//! use glowplug_riak::request::Ask;
//!
//! let last_hour = Range::new("logs").keys("a", "b").modified(1_795_307_300, 1_795_310_900);
//! let request = last_hour.find_large(100_000).into_request();
//! ```

use crate::object::Bucket;
use crate::request::{Ask, AskOnce};
use crate::wire::aae::{
    ChangeMethod, FindType, RpbAaeFoldEraseKeysReq, RpbAaeFoldFetchClocksNValReq,
    RpbAaeFoldFetchClocksRangeReq, RpbAaeFoldFindKeysReq, RpbAaeFoldFindTombsReq, RpbAaeFoldKeyCountResp,
    RpbAaeFoldKeyValueResp, RpbAaeFoldListBucketsReq, RpbAaeFoldListBucketsResp,
    RpbAaeFoldMergeBranchNValReq, RpbAaeFoldMergeRootNValReq, RpbAaeFoldMergeTreesRangeReq,
    RpbAaeFoldObjectStatsReq, RpbAaeFoldReapTombsReq, RpbAaeFoldRepairKeysReq, RpbAaeFoldReplKeysReq,
    RpbAaeFoldTreeResp, RpbTreeSize,
};
use crate::wire::{Blob, List, Reply, Request};

/// Part of a bucket: all of it, unless keys, times or segments are given.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    bucket: Bucket,
    keys: Option<(Blob, Blob)>,
    modified: Option<(u32, u32)>,
    segments: Option<(RpbTreeSize, List<u32>)>,
}

impl Range {
    /// All of a bucket.
    pub fn new(bucket: impl Into<Bucket>) -> Self {
        Self { bucket: bucket.into(), keys: None, modified: None, segments: None }
    }

    /// Only the keys from `first` to `last`, both included.
    pub fn keys(mut self, first: impl Into<Blob>, last: impl Into<Blob>) -> Self {
        self.keys = Some((first.into(), last.into()));
        self
    }

    /// Only what was modified between these times (seconds since 1970), both included.
    pub fn modified(mut self, first: u32, last: u32) -> Self {
        self.modified = Some((first, last));
        self
    }

    /// Only keys in these segments of a tree of this size. Folds that do not look at segments ignore it.
    pub fn segments(mut self, size: RpbTreeSize, segments: impl IntoIterator<Item = u32>) -> Self {
        self.segments = Some((size, segments.into_iter().collect()));
        self
    }
}

/// The message of a fold over a range. `with_segments` and `without` say whether it looks at segments.
macro_rules! over_range {
    ($range:ident => $message:ident { $($field:ident: $value:expr),* } $segments:ident) => {{
        let range = $range.clone();
        let (start_key, end_key) = range.keys.unzip();
        let (last_mod_start, last_mod_end) = range.modified.unzip();
        over_range!(@ $segments, range.segments, $message {
            r#type: range.bucket.bucket_type,
            bucket: range.bucket.name,
            key_range: start_key.is_some(),
            start_key: start_key,
            end_key: end_key,
            modified_range: last_mod_start.is_some(),
            last_mod_start: last_mod_start,
            last_mod_end: last_mod_end,
            $($field: $value),*
        })
    }};
    (@ without, $segments:expr, $message:ident { $($field:ident: $value:expr),* $(,)? }) => {
        $message { $($field: $value),* }
    };
    (@ with_segments, $segments:expr, $message:ident { $($field:ident: $value:expr),* $(,)? }) => {{
        let (filter_tree_size, id_filter) = $segments.unzip();
        $message {
            $($field: $value,)*
            segment_filter: filter_tree_size.is_some(),
            id_filter: id_filter.unwrap_or_default(),
            filter_tree_size,
        }
    }};
}

impl Range {
    /// A tree of the range, made for the purpose from the hashes that are stored.
    pub fn merge_trees(&self, tree_size: RpbTreeSize) -> RpbAaeFoldMergeTreesRangeReq {
        over_range!(self => RpbAaeFoldMergeTreesRangeReq {
            tree_size: tree_size, use_prehash: true, init_vector: None
        } with_segments)
    }

    /// Keys and clocks.
    pub fn fetch_clocks(&self) -> RpbAaeFoldFetchClocksRangeReq {
        over_range!(self => RpbAaeFoldFetchClocksRangeReq {} with_segments)
    }

    /// Puts the keys on a replication queue.
    pub fn replicate(&self, queue: impl Into<Blob>) -> RpbAaeFoldReplKeysReq {
        over_range!(self => RpbAaeFoldReplKeysReq { queuename: queue.into() } without)
    }

    /// Reads the keys, so that copies that differ are repaired.
    pub fn repair(&self) -> RpbAaeFoldRepairKeysReq {
        over_range!(self => RpbAaeFoldRepairKeysReq {} without)
    }

    /// Keys with more than so many siblings.
    pub fn find_siblings(&self, more_than: u32) -> RpbAaeFoldFindKeysReq {
        over_range!(self => RpbAaeFoldFindKeysReq { finder: FindType::SiblingCount, find_limit: more_than } without)
    }

    /// Objects of more than so many bytes.
    pub fn find_large(&self, more_than: u32) -> RpbAaeFoldFindKeysReq {
        over_range!(self => RpbAaeFoldFindKeysReq { finder: FindType::ObjectSize, find_limit: more_than } without)
    }

    /// Tombstones.
    pub fn find_tombstones(&self) -> RpbAaeFoldFindTombsReq {
        over_range!(self => RpbAaeFoldFindTombsReq {} with_segments)
    }

    /// Removes tombstones for good, or counts them. `job` is the number of the job, for [`ChangeMethod::Job`].
    pub fn reap_tombstones(&self, method: ChangeMethod, job: Option<u32>) -> RpbAaeFoldReapTombsReq {
        over_range!(self => RpbAaeFoldReapTombsReq { change_method: method, job_id: job } with_segments)
    }

    /// Deletes the keys, or counts them. `job` is the number of the job, for [`ChangeMethod::Job`].
    pub fn erase_keys(&self, method: ChangeMethod, job: Option<u32>) -> RpbAaeFoldEraseKeysReq {
        over_range!(self => RpbAaeFoldEraseKeysReq { change_method: method, job_id: job } with_segments)
    }

    /// Counts objects by size and by number of siblings.
    pub fn object_stats(&self) -> RpbAaeFoldObjectStatsReq {
        over_range!(self => RpbAaeFoldObjectStatsReq {} without)
    }
}

/// Folds are asked by their messages, and answered by messages.
macro_rules! asks {
    ($($request:ident => $reply:ident;)*) => {$(
        impl Ask for $request {
            type Answer = $reply;

            fn into_request(self) -> Request {
                self.into()
            }

            fn read(reply: Reply) -> Result<$reply, Reply> {
                match reply {
                    Reply::$reply(reply) => Ok(*reply),
                    other => Err(other),
                }
            }
        }

        impl AskOnce for $request {}
    )*};
}

asks! {
    RpbAaeFoldMergeRootNValReq => RpbAaeFoldTreeResp;
    RpbAaeFoldMergeBranchNValReq => RpbAaeFoldTreeResp;
    RpbAaeFoldFetchClocksNValReq => RpbAaeFoldKeyValueResp;
    RpbAaeFoldMergeTreesRangeReq => RpbAaeFoldTreeResp;
    RpbAaeFoldFetchClocksRangeReq => RpbAaeFoldKeyValueResp;
    RpbAaeFoldReplKeysReq => RpbAaeFoldKeyCountResp;
    RpbAaeFoldRepairKeysReq => RpbAaeFoldKeyCountResp;
    RpbAaeFoldFindKeysReq => RpbAaeFoldKeyCountResp;
    RpbAaeFoldFindTombsReq => RpbAaeFoldKeyValueResp;
    RpbAaeFoldReapTombsReq => RpbAaeFoldKeyCountResp;
    RpbAaeFoldEraseKeysReq => RpbAaeFoldKeyCountResp;
    RpbAaeFoldObjectStatsReq => RpbAaeFoldKeyCountResp;
    RpbAaeFoldListBucketsReq => RpbAaeFoldListBucketsResp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_not_looked_at() {
        let all = Range::new(Bucket::typed("t", "b"));
        let clocks = all.fetch_clocks();
        assert_eq!((clocks.key_range, clocks.modified_range, clocks.segment_filter), (false, false, false));
        assert_eq!((clocks.r#type, clocks.start_key), (Some("t".into()), None));

        let some = all.keys("a", "b").modified(1, 2).segments(RpbTreeSize::Small, [3, 4]);
        let clocks = some.fetch_clocks();
        assert_eq!((clocks.key_range, clocks.modified_range, clocks.segment_filter), (true, true, true));
        assert_eq!((clocks.start_key, clocks.end_key), (Some("a".into()), Some("b".into())));
        assert_eq!((clocks.last_mod_start, clocks.last_mod_end), (Some(1), Some(2)));
        assert_eq!(
            (clocks.filter_tree_size, clocks.id_filter.into_vec()),
            (Some(RpbTreeSize::Small), [3, 4].into())
        );
        assert_eq!(some.find_siblings(1).finder, FindType::SiblingCount);
        assert_eq!(some.erase_keys(ChangeMethod::Job, Some(7)).job_id, Some(7));
    }

    #[test]
    fn answers_are_those_of_the_request() {
        let reply = Reply::from(RpbAaeFoldKeyCountResp::default());
        assert!(RpbAaeFoldObjectStatsReq::read(reply.clone()).is_ok());
        assert_eq!(RpbAaeFoldMergeRootNValReq::read(reply.clone()), Err(reply));
    }
}

//! Folds of anti-entropy, as a node answers them that keeps no trees: it walks over its keys.
//!
//! Segments of trees are not looked at (every key counts as one of every segment), nor are trees given. Data types
//! have no time of their own here, so that a range of times leaves them in.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::objects::Stored;
use super::{BucketId, Entry, Node, Result, clock};
use crate::wire::aae::{
    ChangeMethod, FindType, RpbAaeFoldBucket, RpbAaeFoldEraseKeysReq, RpbAaeFoldFetchClocksNValReq,
    RpbAaeFoldKeyCountResp, RpbAaeFoldKeyValueResp, RpbAaeFoldListBucketsResp, RpbAaeFoldReapTombsReq,
    RpbKeysCount,
};
use crate::wire::kv::RpbDelReq;
use crate::wire::repl::RpbKeysValue;
use crate::wire::{Blob, Reply, Request};

/// Which keys of a bucket a fold looks at.
struct Span {
    bucket: BucketId,
    keys: Option<(Blob, Blob)>,
    modified: Option<(u32, u32)>,
}

/// Takes the span out of a request that has one.
macro_rules! span {
    ($request:expr) => {{
        let ends = (&$request.start_key, &$request.end_key);
        let times = ($request.last_mod_start, $request.last_mod_end);
        Span {
            bucket: BucketId::new($request.r#type.clone(), $request.bucket.clone())?,
            keys: $request
                .key_range
                .then(|| (ends.0.clone().unwrap_or_default(), ends.1.clone().unwrap_or_default())),
            modified: $request
                .modified_range
                .then(|| (times.0.unwrap_or_default(), times.1.unwrap_or(u32::MAX))),
        }
    }};
}

impl Span {
    fn has(&self, key: &Blob, entry: &Entry) -> bool {
        let in_keys = self.keys.as_ref().is_none_or(|(first, last)| first <= key && key <= last);
        in_keys && is_within(entry, self.modified)
    }
}

fn is_within(entry: &Entry, modified: Option<(u32, u32)>) -> bool {
    match (entry, modified) {
        (Entry::Object(stored), Some((first, last))) => (first..=last).contains(&stored.last_modified()),
        _ => true,
    }
}

fn siblings(entry: &Entry) -> u32 {
    match entry {
        Entry::Object(stored) => stored.siblings() as u32,
        Entry::Data(_) => 1,
    }
}

fn size(entry: &Entry) -> u32 {
    u32::try_from(entry.len()).unwrap_or(u32::MAX)
}

fn is_tombstone(entry: &Entry) -> bool {
    matches!(entry, Entry::Object(stored) if stored.is_deleted())
}

fn count(tag: impl Into<Blob>, order: Option<u32>, count: u32) -> RpbKeysCount {
    RpbKeysCount { tag: tag.into(), order, count }
}

/// What a fold that sets something going says.
fn dispatched(response_type: &str, keys: usize) -> RpbAaeFoldKeyCountResp {
    let keys_count = [count("dispatched_count", None, u32::try_from(keys).unwrap_or(u32::MAX))].into();
    RpbAaeFoldKeyCountResp { response_type: response_type.into(), keys_count }
}

impl Node {
    /// Answers a fold; anything else is given back.
    pub(super) fn fold(
        &mut self,
        time: Duration,
        request: Request,
    ) -> Result<core::result::Result<Reply, Request>> {
        let reply: Reply = match request {
            Request::RpbAaeFoldFetchClocksRangeReq(request) => {
                self.clocks(time, &span!(request), |_| true).into()
            }
            Request::RpbAaeFoldFindTombsReq(request) => {
                self.clocks(time, &span!(request), is_tombstone).into()
            }
            Request::RpbAaeFoldFetchClocksNValReq(request) => self.clocks_by_n_val(time, &request)?.into(),
            Request::RpbAaeFoldFindKeysReq(request) => {
                let measure = if request.finder == FindType::ObjectSize { size } else { siblings };
                self.find(time, &span!(request), measure, request.find_limit).into()
            }
            Request::RpbAaeFoldObjectStatsReq(request) => self.stats(time, &span!(request)).into(),
            Request::RpbAaeFoldReplKeysReq(request) => {
                dispatched("repl_keys", self.walk(time, &span!(request)).count()).into()
            }
            Request::RpbAaeFoldRepairKeysReq(request) => {
                dispatched("repair_keys", self.walk(time, &span!(request)).count()).into()
            }
            Request::RpbAaeFoldReapTombsReq(request) => self.reap(time, &request)?.into(),
            Request::RpbAaeFoldEraseKeysReq(request) => self.erase(time, &request)?.into(),
            Request::RpbAaeFoldListBucketsReq(_) => self.buckets_folded(time).into(),
            other => return Ok(Err(other)),
        };
        Ok(Ok(reply))
    }

    /// Everything at the keys of a span, tombstones included as long as they are kept.
    fn walk<'n>(&'n self, time: Duration, span: &'n Span) -> impl Iterator<Item = (&'n Blob, &'n Entry)> {
        let kept = self.kept(time, &span.bucket);
        kept.filter(|(key, entry)| span.has(key, entry))
    }

    fn kept(&self, time: Duration, bucket: &BucketId) -> impl Iterator<Item = (&Blob, &Entry)> {
        let entries = self.entries.get(bucket).into_iter().flatten();
        entries.filter(move |(_, entry)| !matches!(entry, Entry::Object(stored) if stored.is_gone(time)))
    }

    fn clocks(&self, time: Duration, span: &Span, wanted: fn(&Entry) -> bool) -> RpbAaeFoldKeyValueResp {
        let found = self.walk(time, span).filter(|(_, entry)| wanted(entry));
        let keys_value = found.map(|(key, entry)| self.key_and_clock(&span.bucket, key, entry)).collect();
        RpbAaeFoldKeyValueResp { response_type: "clock".into(), keys_value }
    }

    fn clocks_by_n_val(
        &self,
        time: Duration,
        request: &RpbAaeFoldFetchClocksNValReq,
    ) -> Result<RpbAaeFoldKeyValueResp> {
        let times = (request.last_mod_start.unwrap_or_default(), request.last_mod_end.unwrap_or(u32::MAX));
        let modified = (request.modified_range == Some(true)).then_some(times);
        let mut reply = RpbAaeFoldKeyValueResp { response_type: "clock".into(), ..Default::default() };
        for bucket in self.entries.keys() {
            if self.props_of(bucket)?.n_val == Some(request.n_val) {
                let found = self.kept(time, bucket).filter(|(_, entry)| is_within(entry, modified));
                reply.keys_value.extend(found.map(|(key, entry)| self.key_and_clock(bucket, key, entry)));
            }
        }
        Ok(reply)
    }

    fn key_and_clock(&self, bucket: &BucketId, key: &Blob, entry: &Entry) -> RpbKeysValue {
        let event = match entry {
            Entry::Object(stored) => stored.event(),
            // Of a data type only the context is known, which is that of the last write of all.
            Entry::Data(_) => self.last_event,
        };
        RpbKeysValue {
            r#type: bucket.named_type(),
            bucket: bucket.name.clone(),
            key: key.clone(),
            value: clock::encode(event),
        }
    }

    fn find(
        &self,
        time: Duration,
        span: &Span,
        measure: fn(&Entry) -> u32,
        more_than: u32,
    ) -> RpbAaeFoldKeyCountResp {
        let measured = self.walk(time, span).map(|(key, entry)| count(key, None, measure(entry)));
        let keys_count = measured.filter(|found| found.count > more_than).collect();
        RpbAaeFoldKeyCountResp { response_type: "find_keys".into(), keys_count }
    }

    fn stats(&self, time: Duration, span: &Span) -> RpbAaeFoldKeyCountResp {
        let (mut objects, mut bytes) = (0, 0_u32);
        let (mut by_size, mut by_siblings) = (BTreeMap::new(), BTreeMap::new());
        for (_, entry) in self.walk(time, span) {
            objects += 1;
            bytes = bytes.saturating_add(size(entry));
            *by_size.entry(size(entry).max(1).ilog10()).or_insert(0) += 1;
            *by_siblings.entry(siblings(entry)).or_insert(0) += 1;
        }
        let totals = [count("total_count", None, objects), count("total_size", None, bytes)];
        let sizes = by_size.into_iter().map(|(order, objects)| count("sizes", Some(order), objects));
        let siblings =
            by_siblings.into_iter().map(|(order, objects)| count("siblings", Some(order), objects));
        let keys_count = totals.into_iter().chain(sizes).chain(siblings).collect();
        RpbAaeFoldKeyCountResp { response_type: "stats".into(), keys_count }
    }

    fn reap(&mut self, time: Duration, request: &RpbAaeFoldReapTombsReq) -> Result<RpbAaeFoldKeyCountResp> {
        let span = span!(request);
        let tombstones = self.walk(time, &span).filter(|(_, entry)| is_tombstone(entry));
        let keys: Vec<Blob> = tombstones.map(|(key, _)| key.clone()).collect();
        if request.change_method != ChangeMethod::Count {
            for key in &keys {
                self.replace(span.bucket.clone(), key, None)?;
            }
        }
        Ok(dispatched("reap_tombs", keys.len()))
    }

    fn erase(&mut self, time: Duration, request: &RpbAaeFoldEraseKeysReq) -> Result<RpbAaeFoldKeyCountResp> {
        let span = span!(request);
        let alive = self.walk(time, &span).filter(|(_, entry)| !is_tombstone(entry));
        let keys: Vec<Blob> = alive.map(|(key, _)| key.clone()).collect();
        if request.change_method != ChangeMethod::Count {
            for key in &keys {
                let (r#type, bucket) = (request.r#type.clone(), request.bucket.clone());
                self.delete(time, RpbDelReq { r#type, bucket, key: key.clone(), ..RpbDelReq::default() })?;
            }
        }
        Ok(dispatched("erase_keys", keys.len()))
    }

    /// Real nodes give all buckets, whatever `n_val` they are asked for.
    fn buckets_folded(&self, time: Duration) -> RpbAaeFoldListBucketsResp {
        let used = self.entries.keys().filter(|bucket| self.kept(time, bucket).next().is_some());
        let bucket =
            |bucket: &BucketId| RpbAaeFoldBucket { r#type: bucket.named_type(), bucket: bucket.name.clone() };
        RpbAaeFoldListBucketsResp { bucket_list: used.map(bucket).collect() }
    }
}

impl BucketId {
    /// The bucket type as replies have it: nothing for the one that is always there.
    fn named_type(&self) -> Option<Blob> {
        (self.bucket_type != super::DEFAULT_TYPE).then(|| self.bucket_type.clone())
    }
}

impl Stored {
    /// When it was written last: seconds since 1970.
    fn last_modified(&self) -> u32 {
        self.contents().filter_map(|content| content.last_mod).max().unwrap_or(0)
    }

    fn siblings(&self) -> usize {
        self.contents().count()
    }
}

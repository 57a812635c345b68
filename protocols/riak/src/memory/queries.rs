//! Listings, secondary indexes, bucket scans.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::{BufMut, BytesMut};

use super::objects::chunks;
use super::{BucketId, Node, Result, crashed, refused};
use crate::object::decimal;
use crate::wire::kv::{
    IndexQueryType, RpbCSBucketReq, RpbCSBucketResp, RpbIndexObject, RpbIndexReq, RpbIndexResp,
    RpbListBucketsReq, RpbListBucketsResp, RpbListKeysReq, RpbListKeysResp,
};
use crate::wire::riak::RpbPair;
use crate::wire::{Blob, Reply};

/// How many results a reply of a stream has at most.
const CHUNK: usize = 100;

/// A value in an index: bytes, or a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Term {
    Blob(Blob),
    Int(i64),
}

impl Term {
    fn to_bytes(&self) -> Blob {
        match self {
            Self::Blob(bytes) => bytes.clone(),
            Self::Int(value) => decimal(*value),
        }
    }
}

/// What an index holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IndexKind {
    Int,
    Bin,
    Key,
    Bucket,
}

impl IndexKind {
    fn of(index: &[u8]) -> Result<Self> {
        match index {
            b"$key" => Ok(Self::Key),
            b"$bucket" => Ok(Self::Bucket),
            _ if index.ends_with(b"_int") => Ok(Self::Int),
            _ if index.ends_with(b"_bin") => Ok(Self::Bin),
            _ => crashed("function_clause"),
        }
    }

    fn term(self, value: &Blob) -> Result<Term> {
        if self != Self::Int {
            return Ok(Term::Blob(value.clone()));
        }
        let number = core::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        number.map_or_else(|| crashed("function_clause"), |number| Ok(Term::Int(number)))
    }
}

/// Where a page of results ended: the last term and key, so that the next page starts behind them.
fn continuation(term: &Blob, key: &Blob) -> Blob {
    let mut text = BytesMut::new();
    text.put_u32(term.len() as u32);
    text.put_slice(term);
    text.put_slice(key);
    text.freeze().into()
}

fn parse_continuation(text: &Blob) -> Result<(Blob, Blob)> {
    let parse = || {
        let (len, rest) = text.split_first_chunk::<4>()?;
        let len = u32::from_be_bytes(*len) as usize;
        (len <= rest.len()).then(|| (rest[..len].into(), rest[len..].into()))
    };
    parse().map_or_else(|| crashed("badarg"), Ok)
}

/// How many results are asked for; no number means all.
fn wanted(max_results: Option<u32>) -> usize {
    max_results.map_or(usize::MAX, |max| max as usize)
}

impl Node {
    pub(super) fn list_buckets(&self, time: Duration, request: RpbListBucketsReq) -> Result<Vec<Reply>> {
        let bucket_type = request.r#type.unwrap_or(super::DEFAULT_TYPE);
        if self.props_of_type(&bucket_type).is_none() {
            let name = alloc::string::String::from_utf8_lossy(&bucket_type);
            return refused(alloc::format!("No bucket-type named '{name}'"));
        }
        let of_type = self.entries.keys().filter(|bucket| bucket.bucket_type == bucket_type);
        let alive = of_type.filter(|bucket| self.live_objects(time, bucket).next().is_some());
        let names: Vec<Blob> = alive.map(|bucket| bucket.name.clone()).collect();
        if request.stream != Some(true) {
            return Ok(alloc::vec![RpbListBucketsResp { buckets: names.into(), done: None }.into()]);
        }
        let parts = chunks(&names, CHUNK).map(|buckets| RpbListBucketsResp { buckets, done: None });
        let end = RpbListBucketsResp { done: Some(true), ..RpbListBucketsResp::default() };
        Ok(parts.chain([end]).map(Reply::from).collect())
    }

    pub(super) fn list_keys(&self, time: Duration, request: RpbListKeysReq) -> Result<Vec<Reply>> {
        let bucket = BucketId::new(request.r#type, request.bucket)?;
        if self.props_of_type(&bucket.bucket_type).is_none() {
            let name = alloc::string::String::from_utf8_lossy(&bucket.bucket_type);
            return refused(alloc::format!("No bucket-type named '{name}'"));
        }
        let keys: Vec<Blob> = self.live_objects(time, &bucket).map(|(key, _)| key.clone()).collect();
        let parts = chunks(&keys, CHUNK).map(|keys| RpbListKeysResp { keys, done: None });
        let end = RpbListKeysResp { done: Some(true), ..RpbListKeysResp::default() };
        Ok(parts.chain([end]).map(Reply::from).collect())
    }

    pub(super) fn index(&self, time: Duration, request: &RpbIndexReq) -> Result<Vec<Reply>> {
        let bucket = BucketId::new(request.r#type.clone(), request.bucket.clone())?;
        if self.props_of_type(&bucket.bucket_type).is_none() {
            // A real node never answers this one.
            return Ok(Vec::new());
        }
        if request.term_regex.is_some() {
            return refused("term_regex is not supported in memory");
        }
        let kind = IndexKind::of(&request.index)?;
        let bound = |value: &Option<Blob>| kind.term(&value.clone().unwrap_or_default());
        let (first, last) = match request.qtype {
            IndexQueryType::Range => (bound(&request.range_min)?, bound(&request.range_max)?),
            _ if kind == IndexKind::Bucket => (Term::Blob(Blob::new()), Term::Blob(Blob::new())),
            _ => (bound(&request.key)?, bound(&request.key)?),
        };
        let after = match &request.continuation {
            Some(text) => {
                let (term, key) = parse_continuation(text)?;
                Some((kind.term(&term)?, key))
            }
            None => None,
        };

        let mut found = self.index_entries(time, &bucket, kind, &request.index);
        found.retain(|(term, key)| {
            (kind == IndexKind::Bucket || (first <= *term && *term <= last))
                && after.as_ref().is_none_or(|(after_term, after_key)| (term, key) > (after_term, after_key))
        });
        found.sort();
        found.dedup();
        let wanted = wanted(request.max_results);
        let more = found.len() >= wanted && wanted > 0;
        found.truncate(wanted);
        let end = found.last().filter(|_| more).map(|(term, key)| continuation(&term.to_bytes(), key));

        let with_terms =
            request.return_terms == Some(true) && matches!(kind, IndexKind::Int | IndexKind::Bin);
        let reply = |results: &[(Term, Blob)]| {
            let mut reply = RpbIndexResp::default();
            for (term, key) in results {
                if with_terms {
                    reply.results.push(RpbPair { key: term.to_bytes(), value: Some(key.clone()) });
                } else {
                    reply.keys.push(key.clone());
                }
            }
            reply
        };
        if request.stream != Some(true) {
            return Ok(alloc::vec![RpbIndexResp { continuation: end, ..reply(&found) }.into()]);
        }
        let last = RpbIndexResp { continuation: end, done: Some(true), ..RpbIndexResp::default() };
        Ok(found.chunks(CHUNK).map(reply).chain([last]).map(Reply::from).collect())
    }

    /// Everything in one index of a bucket.
    fn index_entries(
        &self,
        time: Duration,
        bucket: &BucketId,
        kind: IndexKind,
        index: &[u8],
    ) -> Vec<(Term, Blob)> {
        let mut entries = Vec::new();
        for (key, stored) in self.live_objects(time, bucket) {
            match kind {
                IndexKind::Key => entries.push((Term::Blob(key.clone()), key.clone())),
                IndexKind::Bucket => entries.push((Term::Blob(Blob::new()), key.clone())),
                IndexKind::Int | IndexKind::Bin => {
                    let contents = stored.into_iter().flat_map(super::objects::Stored::live);
                    let pairs =
                        contents.flat_map(|content| &content.indexes).filter(|pair| pair.key == index);
                    // What is no number is in no index of numbers.
                    let terms = pairs.filter_map(|pair| kind.term(pair.value.as_ref()?).ok());
                    entries.extend(terms.map(|term| (term, key.clone())));
                }
            }
        }
        entries
    }

    pub(super) fn scan(&self, time: Duration, request: RpbCSBucketReq) -> Result<Vec<Reply>> {
        let bucket = BucketId::new(request.r#type, request.bucket)?;
        self.props_of(&bucket)?;
        let after = request.continuation.as_ref().map(parse_continuation).transpose()?.map(|(_, key)| key);
        let starts = |key: &Blob| match (&after, request.start_incl) {
            (Some(after), _) => key > after,
            (None, Some(false)) => *key > request.start_key,
            (None, _) => *key >= request.start_key,
        };
        let ends = |key: &Blob| match (&request.end_key, request.end_incl) {
            (None, _) => true,
            (Some(end), Some(true)) => key <= end,
            (Some(end), _) => key < end,
        };
        let objects = self.live_objects(time, &bucket).filter(|(key, _)| starts(key) && ends(key));
        let objects = objects.filter_map(|(key, stored)| Some((key, stored?)));
        let wanted = wanted(request.max_results);
        let found: Vec<_> = objects
            .map(|(key, stored)| RpbIndexObject { key: key.clone(), object: stored.to_reply(false) })
            .take(wanted)
            .collect();
        let more = found.len() >= wanted && wanted > 0;
        let end = found.last().filter(|_| more).map(|entry| continuation(&Blob::new(), &entry.key));
        let parts =
            chunks(&found, CHUNK).map(|objects| RpbCSBucketResp { objects, ..RpbCSBucketResp::default() });
        let last = RpbCSBucketResp { continuation: end, done: Some(true), ..RpbCSBucketResp::default() };
        Ok(parts.chain([last]).map(Reply::from).collect())
    }
}

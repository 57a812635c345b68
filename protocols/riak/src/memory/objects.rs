//! Objects: get, put, delete.

use alloc::vec::Vec;
use core::time::Duration;

use super::{BucketId, Entry, Node, Result, check_key, clock, owned, refused};
use crate::quorum::Quorum;
use crate::wire::kv::{RpbContent, RpbDelReq, RpbDelResp, RpbGetReq, RpbGetResp, RpbPutReq, RpbPutResp};
use crate::wire::riak::RpbBucketProps;
use crate::wire::{Blob, List, Message};

/// How long a node keeps the tombstone of a deleted object.
const TOMBSTONE: Duration = Duration::from_secs(3);

/// An object: the versions that no later write has replaced.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    versions: Vec<Version>,
}

/// One version, and the number of the write that made it.
#[derive(Clone, Debug)]
struct Version {
    event: u64,
    content: RpbContent,
}

impl Stored {
    pub(super) fn len(&self) -> usize {
        self.versions.iter().map(|version| version.content.encoded_len()).sum()
    }

    /// The clock that has seen everything here.
    pub(super) fn event(&self) -> u64 {
        self.versions.iter().map(|version| version.event).max().unwrap_or(0)
    }

    pub(super) fn contents(&self) -> impl Iterator<Item = &RpbContent> {
        self.versions.iter().map(|version| &version.content)
    }

    /// True when nothing but tombstones is left.
    pub(super) fn is_deleted(&self) -> bool {
        self.contents().all(|content| content.deleted == Some(true))
    }

    /// True when the tombstones' time is over, and nothing else is there.
    pub(super) fn is_gone(&self, time: Duration) -> bool {
        let written = |content: &RpbContent| Duration::from_secs(content.last_mod.unwrap_or(0).into());
        self.is_deleted() && self.contents().all(|content| written(content) + TOMBSTONE < time)
    }

    /// The versions that are not tombstones.
    pub(super) fn live(&self) -> impl Iterator<Item = &RpbContent> {
        self.contents().filter(|content| content.deleted != Some(true))
    }

    pub(super) fn to_reply(&self, head: bool) -> RpbGetResp {
        let content = self.contents().map(|content| with_or_without_value(content, head)).collect();
        RpbGetResp { content, vclock: Some(clock::encode(self.event())), unchanged: None }
    }
}

fn with_or_without_value(content: &RpbContent, head: bool) -> RpbContent {
    let mut content = content.clone();
    if head {
        content.value = Blob::new();
    }
    content
}

/// Refuses a quorum that the bucket's copies can never give.
fn check_quorums(props: &RpbBucketProps, n_val: Option<u32>, asked: &[Option<u32>]) -> Result<()> {
    let copies = n_val.or(props.n_val).unwrap_or(3);
    let impossible = |quorum: &u32| matches!(Quorum::from(*quorum), Quorum::Count(count) if count > copies);
    if asked.iter().flatten().any(impossible) {
        return refused(alloc::format!("{{n_val_violation,{copies}}}"));
    }
    Ok(())
}

impl Node {
    pub(super) fn get(&mut self, time: Duration, request: RpbGetReq) -> Result<RpbGetResp> {
        let bucket = BucketId::new(request.r#type, request.bucket)?;
        check_key(&request.key)?;
        let props = self.props_of(&bucket)?;
        check_quorums(&props, request.n_val, &[request.r, request.pr])?;
        if let Some(nodes @ 2..) = request.node_confirms {
            return refused(alloc::format!("{{insufficient_nodes,1,need,{nodes}}}"));
        }
        if request.timeout == Some(0) {
            return refused("timeout");
        }
        let Some(stored) = self.object(time, &bucket, &request.key)? else {
            return Ok(RpbGetResp::default());
        };
        let head = request.head == Some(true);
        if stored.is_deleted() {
            let vclock = (request.deletedvclock == Some(true)).then(|| clock::encode(stored.event()));
            return Ok(RpbGetResp { vclock, ..RpbGetResp::default() });
        }
        if request.if_modified.is_some_and(|seen| seen == clock::encode(stored.event())) {
            return Ok(RpbGetResp { unchanged: Some(true), ..RpbGetResp::default() });
        }
        Ok(stored.to_reply(head))
    }

    pub(super) fn put(&mut self, time: Duration, request: RpbPutReq) -> Result<RpbPutResp> {
        let bucket = BucketId::new(request.r#type, request.bucket)?;
        let props = self.props_of(&bucket)?;
        check_quorums(&props, request.n_val, &[request.w, request.dw, request.pw])?;
        if let Some(nodes @ 2..) = request.node_confirms {
            return refused(alloc::format!("{{node_confirms_val_unsatisfied,{nodes},1}}"));
        }
        let made_key = request.key.is_none().then(|| self.random_name(27));
        let key = made_key.clone().or(request.key).unwrap_or_default();
        check_key(&key)?;

        let mut stored = self.object(time, &bucket, &key)?.unwrap_or_default();
        if request.if_none_match == Some(true) && !stored.is_deleted() {
            return refused("match_found");
        }
        if request.if_not_modified == Some(true) {
            if stored.is_deleted() {
                return refused("notfound");
            }
            if clock::decode(request.vclock.as_ref())? != stored.event() {
                return refused("modified");
            }
        }
        let seen = clock::decode(request.vclock.as_ref())?;
        let keeps_siblings = props.allow_mult == Some(true) && props.last_write_wins != Some(true);
        self.write(time, &mut stored, keeps_siblings.then_some(seen), owned(&request.content));
        let reply = match (request.return_body == Some(true), request.return_head == Some(true)) {
            (false, false) => RpbGetResp::default(),
            // Buckets that are written once have nothing to send back.
            _ if props.write_once == Some(true) => RpbGetResp::default(),
            (_, head) => stored.to_reply(head),
        };
        self.replace(bucket, &key, Some(Entry::Object(stored)))?;
        Ok(RpbPutResp { content: reply.content, vclock: reply.vclock, key: made_key })
    }

    pub(super) fn delete(&mut self, time: Duration, request: RpbDelReq) -> Result<RpbDelResp> {
        let bucket = BucketId::new(request.r#type, request.bucket)?;
        check_key(&request.key)?;
        let props = self.props_of(&bucket)?;
        check_quorums(
            &props,
            request.n_val,
            &[request.r, request.pr, request.w, request.pw, request.dw, request.rw],
        )?;
        let seen = request.vclock.as_ref().map(|seen| clock::decode(Some(seen))).transpose()?;
        if let Some(Entry::Data(_)) = self.entry(&bucket, &request.key) {
            self.replace(bucket, &request.key, None)?;
            return Ok(RpbDelResp {});
        }
        let Some(mut stored) = self.object(time, &bucket, &request.key)? else { return Ok(RpbDelResp {}) };
        // Without siblings there is one version, and the tombstone takes its place.
        let seen = seen.filter(|_| props.allow_mult == Some(true));
        self.write(time, &mut stored, seen, RpbContent { deleted: Some(true), ..RpbContent::default() });
        self.replace(bucket, &request.key, Some(Entry::Object(stored)))?;
        Ok(RpbDelResp {})
    }

    /// The object at a key, tombstones included as long as they are kept.
    fn object(&mut self, time: Duration, bucket: &BucketId, key: &Blob) -> Result<Option<Stored>> {
        match self.entry(bucket, key) {
            Some(Entry::Object(stored)) if stored.is_gone(time) => {
                self.replace(bucket.clone(), key, None)?;
                Ok(None)
            }
            Some(Entry::Object(stored)) => Ok(Some(stored.clone())),
            Some(Entry::Data(state)) => {
                let content_type = Some(state.content_type());
                let content = RpbContent { content_type, ..RpbContent::default() };
                Ok(Some(Stored { versions: alloc::vec![Version { event: 0, content }] }))
            }
            None => Ok(None),
        }
    }

    /// Adds a version, which replaces those that its writer has seen; without siblings, all of them.
    fn write(&mut self, time: Duration, stored: &mut Stored, seen: Option<u64>, mut content: RpbContent) {
        content.vtag = Some(self.random_name(22));
        content.last_mod = Some(time.as_secs() as u32);
        content.last_mod_usecs = Some(time.subsec_micros());
        stored.versions.retain(|version| seen.is_some_and(|seen| version.event > seen));
        stored.versions.push(Version { event: self.next_event(), content });
    }

    /// The live objects of a bucket, in the order of their keys.
    pub(super) fn live_objects(
        &self,
        time: Duration,
        bucket: &BucketId,
    ) -> impl DoubleEndedIterator<Item = (&Blob, Option<&Stored>)> {
        let keys = self.entries.get(bucket).into_iter().flatten();
        keys.filter_map(move |(key, entry)| match entry {
            Entry::Object(stored) => {
                (!stored.is_deleted() && !stored.is_gone(time)).then_some((key, Some(stored)))
            }
            Entry::Data(_) => Some((key, None)),
        })
    }
}

/// A list of the elements that `iter` gives, in chunks of at most `len`.
pub(super) fn chunks<T: Default + Clone>(all: &[T], len: usize) -> impl Iterator<Item = List<T>> {
    all.chunks(len).map(|chunk| chunk.iter().cloned().collect())
}

//! Properties of buckets and bucket types.

use super::{BucketId, DEFAULT_TYPE, Node, Result, owned, refused};
use crate::quorum::Quorum;
use crate::wire::riak::{
    RpbBucketProps, RpbGetBucketReq, RpbGetBucketResp, RpbGetBucketTypeReq, RpbModFun, RpbResetBucketReq,
    RpbResetBucketResp, RpbSetBucketReq, RpbSetBucketResp, RpbSetBucketTypeReq,
};
use crate::wire::{Blob, Message};

/// What every bucket has that nobody changed.
fn defaults() -> RpbBucketProps {
    let majority = Some(u32::from(Quorum::Majority));
    let function = |module: &'static str, function: &'static str| {
        Some(RpbModFun { module: module.into(), function: function.into() })
    };
    RpbBucketProps {
        n_val: Some(3),
        allow_mult: Some(false),
        last_write_wins: Some(false),
        has_precommit: Some(true),
        has_postcommit: Some(true),
        chash_keyfun: function("riak_core_util", "chash_std_keyfun"),
        linkfun: function("riak_kv_wm_link_walker", "mapreduce_linkfun"),
        old_vclock: Some(86_400),
        young_vclock: Some(20),
        big_vclock: Some(50),
        small_vclock: Some(50),
        pr: Some(0),
        r: majority,
        w: majority,
        pw: Some(0),
        dw: majority,
        rw: majority,
        basic_quorum: Some(false),
        notfound_ok: Some(true),
        write_once: Some(false),
        ..RpbBucketProps::default()
    }
}

/// Copies the properties that are present in `from`.
macro_rules! overlay {
    ($onto:ident, $from:ident: $($field:ident)*) => {
        $(if $from.$field.is_some() {
            $onto.$field.clone_from(&$from.$field);
        })*
    };
}

fn overlay(onto: &mut RpbBucketProps, from: &RpbBucketProps) {
    overlay!(onto, from: n_val allow_mult last_write_wins chash_keyfun linkfun old_vclock
        young_vclock big_vclock small_vclock pr r w pw dw rw basic_quorum notfound_ok backend search repl search_index
        datatype consistent write_once hll_precision);
    if from.has_precommit == Some(true) || !from.precommit.is_empty() {
        onto.precommit = from.precommit.clone();
    }
    if from.has_postcommit == Some(true) || !from.postcommit.is_empty() {
        onto.postcommit = from.postcommit.clone();
    }
}

impl Node {
    /// The properties of a bucket type, if there is such a type.
    pub(super) fn props_of_type(&self, bucket_type: &Blob) -> Option<RpbBucketProps> {
        let mut props = defaults();
        match self.config.types.get(bucket_type) {
            Some(own) => {
                // Types that were made say nothing of it unless they are it.
                props.write_once = None;
                overlay(&mut props, own);
            }
            None if *bucket_type == DEFAULT_TYPE => return Some(props),
            None => return None,
        }
        Some(props)
    }

    /// The properties of a bucket: the type's, and on top of them its own.
    pub(super) fn props_of(&self, bucket: &BucketId) -> Result<RpbBucketProps> {
        let Some(mut props) = self.props_of_type(&bucket.bucket_type) else { return refused("no_type") };
        if let Some(own) = self.props.get(bucket) {
            overlay(&mut props, own);
        }
        Ok(props)
    }

    pub(super) fn get_bucket(&self, request: RpbGetBucketReq) -> Result<RpbGetBucketResp> {
        let bucket = BucketId::new(request.r#type, request.bucket)?;
        Ok(RpbGetBucketResp { props: self.props_of(&bucket)? })
    }

    pub(super) fn set_bucket(&mut self, request: RpbSetBucketReq) -> Result<RpbSetBucketResp> {
        let bucket = BucketId::new(request.r#type, request.bucket)?;
        self.props_of(&bucket)?;
        let old = self.props.get(&bucket);
        let mut new = old.cloned().unwrap_or_default();
        overlay(&mut new, &owned(&request.props));
        let old_len = old.map_or(0, |old| bucket.len() + old.encoded_len());
        self.account(old_len, bucket.len() + new.encoded_len())?;
        self.props.insert(bucket, new);
        Ok(RpbSetBucketResp {})
    }

    pub(super) fn reset_bucket(&mut self, request: RpbResetBucketReq) -> Result<RpbResetBucketResp> {
        let bucket = BucketId::new(request.r#type, request.bucket)?;
        if let Some(own) = self.props.remove(&bucket) {
            self.account(bucket.len() + own.encoded_len(), 0)?;
        }
        Ok(RpbResetBucketResp {})
    }

    pub(super) fn get_bucket_type(&self, request: &RpbGetBucketTypeReq) -> Result<RpbGetBucketResp> {
        match self.props_of_type(&request.r#type) {
            Some(props) => Ok(RpbGetBucketResp { props }),
            None => refused("Invalid bucket type"),
        }
    }

    pub(super) fn set_bucket_type(&mut self, request: &RpbSetBucketTypeReq) -> Result<RpbSetBucketResp> {
        let Some(own) = self.config.types.get_mut(&request.r#type) else {
            return refused("Invalid bucket properties: not_active");
        };
        overlay(own, &owned(&request.props));
        Ok(RpbSetBucketResp {})
    }
}

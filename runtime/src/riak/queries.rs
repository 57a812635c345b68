//! Verbs for buckets, listings and queries.

use glowplug_riak::request::{
    Coverage, GetBucket, GetBucketType, Index, ListBuckets, ListKeys, MapReduce, ResetBucket, Scan,
    SetBucket, SetBucketType,
};
use glowplug_riak::wire::kv::RpbCoverageEntry;
use glowplug_riak::wire::riak::RpbBucketProps;
use glowplug_riak::{Blob, Bucket};

use super::{Client, Error, IndexPages, Replies};
use crate::Runtime;

impl<R: Runtime> Client<R> {
    /// Lists the buckets of a type (`None` means `default`), some with each answer. It walks over every key of the cluster: not for
    /// production.
    ///
    /// Dropping the future or the stream: as for [`stream`](Self::stream).
    pub async fn list_buckets(&self, bucket_type: Option<Blob>) -> Result<Replies<ListBuckets, R>, Error> {
        self.stream(ListBuckets::new(bucket_type)).await
    }

    /// Lists the keys of a bucket, some with each answer. It walks over every key of the cluster: not for production.
    ///
    /// Dropping the future or the stream: as for [`stream`](Self::stream).
    pub async fn list_keys(&self, bucket: impl Into<Bucket>) -> Result<Replies<ListKeys, R>, Error> {
        self.stream(ListKeys::new(bucket)).await
    }

    /// Queries a secondary index, with results as they are found.
    ///
    /// Dropping the future or the stream: as for [`stream`](Self::stream).
    pub async fn index(&self, query: Index) -> Result<Replies<Index, R>, Error> {
        self.stream(query).await
    }

    /// Queries a secondary index page by page, with `page` results each (at least 1). Between pages no connection is held.
    pub fn index_pages(&self, query: Index, page: u32) -> IndexPages<R> {
        IndexPages::new(self.clone(), query, page)
    }

    /// Runs a map-reduce job. Jobs have no timeout for the node of their own; each answer may take as long as
    /// [`reply_timeout`](glowplug_riak::Config::reply_timeout).
    ///
    /// Dropping the future or the stream: as for [`stream`](Self::stream).
    pub async fn map_reduce(&self, job: MapReduce) -> Result<Replies<MapReduce, R>, Error> {
        self.stream(job).await
    }

    /// Reads the objects of a bucket in the order of their keys.
    ///
    /// Dropping the future or the stream: as for [`stream`](Self::stream).
    pub async fn scan(&self, scan: Scan) -> Result<Replies<Scan, R>, Error> {
        self.stream(scan).await
    }

    /// How a query over a bucket may be cut into parts that are asked one by one.
    ///
    /// Dropping the future: as for [`ask`](Self::ask).
    pub async fn coverage(&self, bucket: impl Into<Bucket>) -> Result<Vec<RpbCoverageEntry>, Error> {
        self.ask(Coverage::new(bucket)).await
    }

    /// Reads the properties of a bucket.
    ///
    /// Dropping the future: as for [`ask`](Self::ask).
    pub async fn bucket_props(&self, bucket: impl Into<Bucket>) -> Result<RpbBucketProps, Error> {
        self.ask(GetBucket::new(bucket)).await
    }

    /// Changes those properties of a bucket that are present in `props`.
    ///
    /// Dropping the future: as for [`ask`](Self::ask); the change may be made.
    pub async fn set_bucket_props(
        &self,
        bucket: impl Into<Bucket>,
        props: RpbBucketProps,
    ) -> Result<(), Error> {
        self.ask(SetBucket::new(bucket, props)).await
    }

    /// Gives a bucket the properties of its type again.
    ///
    /// Dropping the future: as for [`ask`](Self::ask); the change may be made.
    pub async fn reset_bucket_props(&self, bucket: impl Into<Bucket>) -> Result<(), Error> {
        self.ask(ResetBucket::new(bucket)).await
    }

    /// Reads the properties of a bucket type.
    ///
    /// Dropping the future: as for [`ask`](Self::ask).
    pub async fn bucket_type_props(&self, bucket_type: impl Into<Blob>) -> Result<RpbBucketProps, Error> {
        self.ask(GetBucketType::new(bucket_type)).await
    }

    /// Changes those properties of a bucket type that are present in `props`.
    ///
    /// Dropping the future: as for [`ask`](Self::ask); the change may be made.
    pub async fn set_bucket_type_props(
        &self,
        bucket_type: impl Into<Blob>,
        props: RpbBucketProps,
    ) -> Result<(), Error> {
        self.ask(SetBucketType::new(bucket_type, props)).await
    }
}

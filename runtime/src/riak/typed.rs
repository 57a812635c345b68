//! Values of the application's own types.

use std::error::Error as StdError;
use std::fmt;
use std::marker::PhantomData;

use glowplug_riak::request::{Delete, Put};
use glowplug_riak::resolve::{LastWriteWins, Resolver};
use glowplug_riak::{Blob, Bucket, Content, Location, Object, VClock};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::objects::bounded;
use super::{Client, Error};
use crate::Runtime;

/// Turns values into bytes and back.
pub trait Codec<T> {
    /// The media type of what [`encode`](Self::encode) makes.
    fn content_type(&self) -> &'static str;

    /// The bytes of a value.
    fn encode(&self, value: &T) -> Result<Blob, CodecError>;

    /// The value of a content; its media type and metadata are there to be looked at.
    fn decode(&self, content: &Content) -> Result<T, CodecError>;
}

/// A value could not be turned into bytes, or bytes into a value.
#[derive(Debug)]
pub struct CodecError(Box<dyn StdError + Send + Sync>);

impl CodecError {
    /// An error of a codec.
    pub fn new(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value does not fit its type")
    }
}

impl StdError for CodecError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

/// JSON, by serde.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl<T: Serialize + DeserializeOwned> Codec<T> for Json {
    fn content_type(&self) -> &'static str {
        "application/json"
    }

    fn encode(&self, value: &T) -> Result<Blob, CodecError> {
        serde_json::to_vec(value).map(Blob::from).map_err(CodecError::new)
    }

    fn decode(&self, content: &Content) -> Result<T, CodecError> {
        serde_json::from_slice(&content.value).map_err(CodecError::new)
    }
}

/// A value as it was read, with what a write needs that replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed<T> {
    /// The value, siblings resolved.
    pub value: T,
    /// The object's metadata: links, indexes and the like. Its bytes are those of the value as it was read.
    pub content: Content,
    /// The clock that [`TypedBucket::replace`] sends back.
    pub vclock: Option<VClock>,
}

/// A bucket whose values are all of one type. Made by [`Client::typed`].
///
/// Siblings are resolved by the time of their last write, unless [`resolve_by`](Self::resolve_by) says how.
pub struct TypedBucket<T, R: Runtime, C = Json> {
    client: Client<R>,
    bucket: Bucket,
    codec: C,
    resolve: Option<fn(T, T) -> T>,
    value: PhantomData<fn(T) -> T>,
}

impl<R: Runtime> Client<R> {
    /// A bucket whose values are all of the type `T`, as JSON.
    ///
    /// ```ignore
    /// let users = riak.typed::<User>("users").resolve_by(|one, other| one.merge(other));
    /// users.update("ada", |user| Some(User { visits: user.map_or(0, |user| user.visits) + 1 })).await?;
    /// ```
    pub fn typed<T>(&self, bucket: impl Into<Bucket>) -> TypedBucket<T, R> {
        TypedBucket {
            client: self.clone(),
            bucket: bucket.into(),
            codec: Json,
            resolve: None,
            value: PhantomData,
        }
    }
}

impl<T, R: Runtime, C> TypedBucket<T, R, C> {
    /// The same bucket with another codec.
    pub fn codec<D: Codec<T>>(self, codec: D) -> TypedBucket<T, R, D> {
        let Self { client, bucket, resolve, value, .. } = self;
        TypedBucket { client, bucket, codec, resolve, value }
    }

    /// Says how two siblings become one. More are resolved from left to right; which comes first is the node's choice. A write wins against a
    /// delete that it did not know of.
    pub fn resolve_by(mut self, resolve: fn(T, T) -> T) -> Self {
        self.resolve = Some(resolve);
        self
    }

    fn location(&self, key: impl Into<Blob>) -> Location {
        self.bucket.key(key)
    }
}

impl<T, R: Runtime, C: Codec<T>> TypedBucket<T, R, C> {
    /// Reads a value. `None` when there is none.
    ///
    /// Dropping the future: as for [`Client::ask`].
    pub async fn get(&self, key: impl Into<Blob>) -> Result<Option<Typed<T>>, Error> {
        self.client.get(self.location(key)).await?.map_or(Ok(None), |object| self.decode(object))
    }

    /// Reads many values, `at_once` of them at a time, in the order of the keys.
    ///
    /// Dropping the future: as for [`Client::ask`].
    pub async fn get_many<K: Into<Blob>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        at_once: usize,
    ) -> Vec<Result<Option<Typed<T>>, Error>> {
        bounded(keys.into_iter().map(|key| self.get(key.into())), at_once).await
    }

    /// Writes a new value; see [`Client::put`].
    ///
    /// Dropping the future: as for [`Client::ask`]; the write may be made.
    pub async fn put(&self, key: impl Into<Blob>, value: &T) -> Result<(), Error> {
        let content = self.encode(Content::default(), value)?;
        self.client.put(self.location(key), content).await.map(drop)
    }

    /// Writes a value in the place of what was read: its clock goes with it, and its metadata.
    ///
    /// Dropping the future: as for [`Client::ask`]; the write may be made.
    pub async fn replace(&self, key: impl Into<Blob>, value: &Typed<T>) -> Result<(), Error> {
        let content = self.encode(value.content.clone(), &value.value)?;
        let put = Put::new(self.location(key), content);
        let put = match &value.vclock {
            Some(vclock) => put.vclock(vclock.clone()),
            None => put,
        };
        self.client.ask(put).await.map(drop)
    }

    /// Reads, resolves, changes and stores a value, and begins anew when others were faster; see [`Client::update`]. Metadata stays. What comes back
    /// is the value that was stored, `None` when `change` left everything as it was.
    ///
    /// Dropping the future: as for [`Client::ask`]; the write may be made.
    pub async fn update(
        &self,
        key: impl Into<Blob>,
        mut change: impl FnMut(Option<T>) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let mut stored = None;
        let changed = self.client.try_update(self.location(key), |object| {
            let content = object.map(|object| self.resolve(object.siblings)).transpose()?;
            let content = content.filter(|content| !content.deleted);
            let old = content.as_ref().map(|content| self.codec.decode(content)).transpose()?;
            let Some(new) = change(old) else { return Ok(None) };
            let content = self.encode(content.unwrap_or_default(), &new)?;
            stored = Some(new);
            Ok(Some(content))
        });
        match changed.await {
            Ok(content) => Ok(content.and(stored)),
            Err(Ok(error)) => Err(error),
            Err(Err(error)) => Err(Error::Codec(error)),
        }
    }

    /// Deletes a value as it was read: what was written since stays.
    ///
    /// Dropping the future: as for [`Client::ask`]; the delete may be made.
    pub async fn delete(&self, key: impl Into<Blob>, value: &Typed<T>) -> Result<(), Error> {
        let delete = Delete::new(self.location(key));
        let delete = match &value.vclock {
            Some(vclock) => delete.vclock(vclock.clone()),
            None => delete,
        };
        self.client.ask(delete).await
    }

    fn encode(&self, content: Content, value: &T) -> Result<Content, CodecError> {
        let value = self.codec.encode(value)?;
        Ok(Content { value, ..content }.content_type(self.codec.content_type()))
    }

    fn decode(&self, object: Object) -> Result<Option<Typed<T>>, Error> {
        let content = self.resolve(object.siblings)?;
        if content.deleted {
            return Ok(None);
        }
        let value = self.codec.decode(&content)?;
        Ok(Some(Typed { value, content, vclock: object.vclock }))
    }

    /// One content of several, by the application's own rule.
    fn resolve(&self, siblings: Vec<Content>) -> Result<Content, CodecError> {
        let mut writes: Vec<Content> = siblings.into_iter().filter(|sibling| !sibling.deleted).collect();
        if let (2.., None) = (writes.len(), self.resolve) {
            return Ok(LastWriteWins.resolve(writes));
        }
        if writes.is_empty() {
            return Ok(Content { deleted: true, ..Content::default() });
        }
        let first = writes.remove(0);
        let Some(resolve) = self.resolve else { return Ok(first) };
        writes.into_iter().try_fold(first, |one, other| {
            let value = resolve(self.codec.decode(&one)?, self.codec.decode(&other)?);
            self.encode(one, &value)
        })
    }
}

impl<T, R: Runtime, C: fmt::Debug> fmt::Debug for TypedBucket<T, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedBucket")
            .field("bucket", &self.bucket)
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

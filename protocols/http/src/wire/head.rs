//! Heads as they came, and what the `http` crate makes of them.

use core::ops::{Deref, DerefMut};

use bytes::Bytes;
use http::{Method, StatusCode, Uri, Version};

use crate::Fields;

/// The head of a request: the request line and the fields as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    pub(crate) fields: Fields,
    pub(crate) method_len: u16,
    pub(crate) target_len: u16,
    pub(crate) version: Version,
}

impl RequestHead {
    /// To be parsed into.
    #[inline]
    pub(crate) fn empty() -> Self {
        Self { fields: Fields::new(Bytes::new()), method_len: 0, target_len: 0, version: Version::HTTP_11 }
    }

    /// The head itself; an empty one stays here. For who has an event by reference.
    #[must_use]
    pub fn take(&mut self) -> Self {
        core::mem::replace(self, Self::empty())
    }

    /// The method, as it was written: methods have a case.
    pub fn method(&self) -> &str {
        // A token, hence ASCII.
        core::str::from_utf8(&self.fields.bytes[..usize::from(self.method_len)]).unwrap_or_default()
    }

    /// True for exactly this method, without a look at its characters.
    pub(crate) fn method_is(&self, method: &[u8]) -> bool {
        self.fields.bytes.get(..usize::from(self.method_len)) == Some(method)
    }

    /// The request target, as it was written, in one of the four forms of RFC 9112 §3.2.
    pub fn target(&self) -> &str {
        let start = usize::from(self.method_len) + 1;
        let target = &self.fields.bytes[start..start + usize::from(self.target_len)];
        // The parser refuses a target that is not UTF-8.
        core::str::from_utf8(target).unwrap_or_default()
    }

    /// HTTP/1.0 or HTTP/1.1.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The host and port that the request is for: those of the target when it names them, else those of the `Host`
    /// field (RFC 9112 §3.2.2). Empty when neither says anything.
    pub fn authority(&self) -> &str {
        let target = self.target();
        if let Some((_, rest)) = target.split_once("://").filter(|_| !target.starts_with('/')) {
            return rest.split(['/', '?']).next().unwrap_or_default();
        }
        if self.method_is(b"CONNECT") {
            return target;
        }
        self.fields.get("host").and_then(|host| core::str::from_utf8(host).ok()).unwrap_or_default()
    }

    /// The fields, to be looked at or taken.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The head in the types of the `http` crate: one copy of the bytes, which all values then share.
    ///
    /// The target has to be a URI for that. It may not be, since this crate accepts whatever a proxy could pass on.
    pub fn to_http(&self) -> Result<http::request::Parts, http::Error> {
        let mut owned = self.clone();
        owned.fields.compact();
        let mut request = http::Request::new(());
        owned.share_into(&mut request)?;
        Ok(request.into_parts().0)
    }

    /// Like [`to_http`](Self::to_http) without the copy: method, target and values share the buffer that was read into, and
    /// keep it alive. A server whose buffers are hardly larger than their heads wants this. The fields are added to those of
    /// `request`: an empty map that was used before has its memory already.
    ///
    /// After an error, `request` has some of the head.
    pub fn share_into<B>(&self, request: &mut http::Request<B>) -> Result<(), http::Error> {
        let start = usize::from(self.method_len) + 1;
        let target = self.fields.bytes.slice(start..start + usize::from(self.target_len));
        *request.method_mut() = Method::from_bytes(&self.fields.bytes[..usize::from(self.method_len)])?;
        *request.uri_mut() = Uri::from_maybe_shared(target)?;
        *request.version_mut() = self.version;
        self.fields.append_to(request.headers_mut());
        Ok(())
    }
}

/// The fields' own methods serve the head too: `head.get("accept")`.
impl Deref for RequestHead {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.fields
    }
}

impl DerefMut for RequestHead {
    fn deref_mut(&mut self) -> &mut Fields {
        &mut self.fields
    }
}

/// The head of a response: the status line and the fields as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    pub(crate) fields: Fields,
    pub(crate) reason_len: u16,
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
}

impl ResponseHead {
    /// To be parsed into.
    #[inline]
    pub(crate) fn empty() -> Self {
        Self {
            fields: Fields::new(Bytes::new()),
            reason_len: 0,
            status: StatusCode::OK,
            version: Version::HTTP_11,
        }
    }

    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason phrase, as it was written: any bytes but control characters, and often none.
    pub fn reason(&self) -> &[u8] {
        let start = "HTTP/1.1 200 ".len();
        self.fields.bytes.get(start..start + usize::from(self.reason_len)).unwrap_or_default()
    }

    /// HTTP/1.0 or HTTP/1.1.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The fields, to be looked at or taken.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// How many bytes the head has, first line and empty line included.
    pub fn len_in_bytes(&self) -> usize {
        self.fields.bytes.len()
    }

    /// The head in the types of the `http` crate: one copy of the bytes, which all values then share. The reason
    /// phrase has no place there.
    pub fn to_http(&self) -> http::response::Parts {
        let mut fields = self.fields.clone();
        fields.compact();
        self.parts(&fields)
    }

    /// Like [`to_http`](Self::to_http), but without the copy where the head makes up a quarter or more of the `holder` bytes of the buffer
    /// that it was read into: the values share that then, and keep it alive.
    pub fn share_http(&self, holder: usize) -> http::response::Parts {
        if self.fields.bytes.len() < holder / 4 { self.to_http() } else { self.parts(&self.fields) }
    }

    fn parts(&self, fields: &Fields) -> http::response::Parts {
        let mut response = http::Response::new(());
        *response.status_mut() = self.status;
        *response.version_mut() = self.version;
        fields.append_to(response.headers_mut());
        response.into_parts().0
    }
}

/// The fields' own methods serve the head too: `head.get("etag")`.
impl Deref for ResponseHead {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.fields
    }
}

impl DerefMut for ResponseHead {
    fn deref_mut(&mut self) -> &mut Fields {
        &mut self.fields
    }
}

/// 200 of HTTP/1.1, without a field: what stands in the place of a head that is still to come.
impl Default for ResponseHead {
    #[inline]
    fn default() -> Self {
        Self::empty()
    }
}

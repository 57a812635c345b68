//! A request in the making.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use glowplug_http::url::percent_decode;
use glowplug_http::{ResponseHead, auth};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use super::content::Content;
#[cfg(feature = "http-cookies")]
use super::cookies::CookieJar;
use super::error::{ClientError, RequestError};
use super::origin::Origin;
use super::send::{Call, Transaction};
use super::{Client, Idempotent, Informational, Response};
use crate::Runtime;
#[cfg(feature = "http-compression")]
use crate::http::coding::decode::{ACCEPT_ENCODING, DecodeConfig};
use crate::http::{Body, BoxError};

/// A request in the making. What is wrong with it is told by [`send`](Self::send).
#[must_use = "nothing is sent until `send` is awaited"]
pub struct RequestBuilder<R: Runtime> {
    client: Client<R>,
    /// On the heap, since builders are handed on from call to call.
    transaction: Result<Box<Transaction>, RequestError>,
    /// That of the request's URL, if it is known; none of the methods below leads elsewhere.
    origin: Option<Arc<Origin>>,
    total_timeout: Option<Duration>,
    collect_limit: usize,
    max_redirects: u32,
    #[cfg(feature = "http-compression")]
    decode: Option<DecodeConfig>,
    #[cfg(feature = "http-cookies")]
    pub(super) cookies: Option<CookieJar>,
}

impl<R: Runtime> RequestBuilder<R> {
    /// With the URL's origin, if that is known: such a URL names no user.
    pub(super) fn new(
        client: Client<R>,
        method: Method,
        url: Result<Uri, BoxError>,
        origin: Option<Arc<Origin>>,
    ) -> Self {
        let settings = &client.inner.settings;
        let (total_timeout, collect_limit, max_redirects) =
            (settings.total_timeout, settings.collect_limit, settings.max_redirects);
        let url = match &origin {
            Some(_) => url.map(|url| (url, None)),
            None => url.and_then(without_user),
        };
        let transaction = match url {
            Ok((url, credentials)) => {
                let mut transaction = Transaction::new(http::Request::new(Body::empty()));
                let request = &mut transaction.request;
                *request.method_mut() = method;
                *request.uri_mut() = url;
                if let Some(credentials) = credentials {
                    request.headers_mut().insert(header::AUTHORIZATION, credentials);
                }
                Ok(transaction)
            }
            Err(error) => Err(RequestError::Url(error)),
        };
        Self {
            #[cfg(feature = "http-compression")]
            decode: settings.decode.clone(),
            #[cfg(feature = "http-cookies")]
            cookies: settings.cookies.clone(),
            client,
            transaction,
            origin,
            total_timeout,
            collect_limit,
            max_redirects,
        }
    }

    pub(super) fn client(&self) -> &Client<R> {
        &self.client
    }

    /// Changes the request, if nothing was wrong with it so far.
    pub(super) fn with(
        mut self,
        change: impl FnOnce(&mut http::Request<Body>) -> Result<(), RequestError>,
    ) -> Self {
        if let Ok(transaction) = &mut self.transaction
            && let Err(error) = change(&mut transaction.request)
        {
            self.transaction = Err(error);
        }
        self
    }

    /// Sets a header, in place of one of that name.
    pub fn header(
        self,
        name: impl TryInto<HeaderName, Error: Into<BoxError>>,
        value: impl TryInto<HeaderValue, Error: Into<BoxError>>,
    ) -> Self {
        self.with(|request| {
            let name = name.try_into().map_err(|error| RequestError::Invalid(error.into()))?;
            let value = value.try_into().map_err(|error| RequestError::Invalid(error.into()))?;
            request.headers_mut().insert(name, value);
            Ok(())
        })
    }

    /// Sets headers, in place of those of their names.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.with(|request| {
            request.headers_mut().extend(headers);
            Ok(())
        })
    }

    /// Sets credentials of the Basic scheme (RFC 7617). They stay behind when a redirect leads to another origin.
    pub fn basic_auth(self, user: &str, password: &str) -> Self {
        self.with(|request| {
            let value = auth::basic(user, password).ok_or_else(|| {
                RequestError::Invalid("credentials that the basic scheme cannot carry".into())
            })?;
            request.headers_mut().insert(header::AUTHORIZATION, value);
            Ok(())
        })
    }

    /// Sets a token of the Bearer scheme (RFC 6750). It stays behind when a redirect leads to another origin.
    pub fn bearer_auth(self, token: &str) -> Self {
        self.with(|request| {
            let value = auth::bearer(token).map_err(|error| RequestError::Invalid(error.into()))?;
            request.headers_mut().insert(header::AUTHORIZATION, value);
            Ok(())
        })
    }

    /// Sets the body: text, bytes, or [`Body::new`] for what comes piece by piece.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.with(|request| {
            *request.body_mut() = body.into();
            Ok(())
        })
    }

    /// Sets the body to `value` as JSON, and `content-type` unless there is one.
    #[cfg(feature = "http-serde")]
    pub fn json(self, value: &(impl serde::Serialize + ?Sized)) -> Self {
        self.encoded("application/json", || serde_json::to_vec(value).map_err(Into::into))
    }

    /// Sets the body to `value` as a form of HTML, and `content-type` unless there is one.
    #[cfg(feature = "http-serde")]
    pub fn form(self, value: &(impl serde::Serialize + ?Sized)) -> Self {
        self.encoded("application/x-www-form-urlencoded", || {
            Ok(serde_urlencoded::to_string(value)?.into_bytes())
        })
    }

    #[cfg(feature = "http-serde")]
    fn encoded(self, kind: &'static str, encode: impl FnOnce() -> Result<Vec<u8>, BoxError>) -> Self {
        self.with(|request| {
            *request.body_mut() = Body::from(encode().map_err(RequestError::Encode)?);
            request.headers_mut().entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
            Ok(())
        })
    }

    /// Adds `value` to the URL's query.
    #[cfg(feature = "http-serde")]
    pub fn query(self, value: &(impl serde::Serialize + ?Sized)) -> Self {
        self.with(|request| {
            let more =
                serde_urlencoded::to_string(value).map_err(|error| RequestError::Encode(error.into()))?;
            if more.is_empty() {
                return Ok(());
            }
            let uri = request.uri();
            let joint = match uri.query() {
                None => "?",
                Some("") => "",
                Some(_) => "&",
            };
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            let path = format!("{path}{joint}{more}");
            let mut parts = uri.clone().into_parts();
            parts.path_and_query = Some(path.parse().map_err(|error| RequestError::Url(Box::new(error)))?);
            *request.uri_mut() =
                Uri::from_parts(parts).map_err(|error| RequestError::Url(Box::new(error)))?;
            Ok(())
        })
    }

    /// Holds the body back until the server asks for it (`expect: 100-continue`), or for as long as
    /// [`continue_timeout`](super::ClientBuilder::continue_timeout) says.
    pub fn expect_continue(self) -> Self {
        self.header(header::EXPECT, HeaderValue::from_static("100-continue"))
    }

    /// Calls `listen` with the head of each informational answer (1xx other than 101), as it comes.
    pub fn on_informational(self, listen: impl Fn(&ResponseHead) + Send + Sync + 'static) -> Self {
        self.with(|request| {
            request.extensions_mut().insert(Informational::new(listen));
            Ok(())
        })
    }

    /// Vouches for it that sending this request twice is the same as once, whatever its method says.
    pub fn idempotent(self) -> Self {
        self.with(|request| {
            request.extensions_mut().insert(Idempotent);
            Ok(())
        })
    }

    /// Sets how long the whole call may take, the answer's body included; `None` is for ever. The default is the client's.
    pub fn total_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.total_timeout = timeout;
        self
    }

    /// Sets how many bytes of the answer [`bytes`](Response::bytes), `text` and `json` take. The default is the client's.
    pub fn collect_limit(mut self, bytes: usize) -> Self {
        self.collect_limit = bytes;
        self
    }

    /// Sets how many redirects are followed. The default is the client's.
    pub fn max_redirects(mut self, redirects: u32) -> Self {
        self.max_redirects = redirects;
        self
    }

    /// Sets how the answer's content codings are undone, in place of the client's settings; `None` to ask for none, and to get the content as it
    /// comes if there is one all the same.
    #[cfg(feature = "http-compression")]
    pub fn decode(mut self, config: Option<DecodeConfig>) -> Self {
        self.decode = config;
        self
    }

    /// The request as it stands, without the client's default headers.
    pub fn build(self) -> Result<http::Request<Body>, RequestError> {
        self.transaction.map(|transaction| transaction.request)
    }

    /// Sends the request, follows redirects, and gives the answer once its head is there.
    ///
    /// A redirect that needs a body which cannot be sent again is given to the caller like any other answer.
    ///
    /// Dropping the future closes the connection the request was on; the request may have reached the server.
    pub async fn send(self) -> Result<Response<R>, ClientError> {
        let mut transaction = self.transaction?;
        let request = &mut transaction.request;
        let client = self.client;
        let settings = &client.inner.settings;
        #[cfg(feature = "http-compression")]
        if self.decode.is_some()
            // A part of a coded representation is of no use by itself.
            && ![header::ACCEPT_ENCODING, header::RANGE].iter().any(|name| {
                request.headers().contains_key(name) || settings.headers.contains_key(name)
            })
        {
            request.headers_mut().insert(header::ACCEPT_ENCODING, ACCEPT_ENCODING);
        }
        #[cfg(feature = "http-cookies")]
        if let Some(jar) = self.cookies {
            request.extensions_mut().insert(jar);
        }
        let body = std::mem::take(request.body_mut());
        let mut call = Call::new(transaction, self.origin, body, settings.replay_limit);
        call.follow(self.max_redirects);
        client.inner.call(&mut call, self.total_timeout).await?;
        let Call { transaction, answer, .. } = call;
        #[cfg(feature = "http-compression")]
        let (body, headers) = Content::decode(&transaction.head, answer, self.decode)?;
        #[cfg(not(feature = "http-compression"))]
        let (body, headers) = (Content::plain(answer), None);
        Ok(Response::new(transaction, headers, body, self.collect_limit))
    }
}

/// Takes user and password out of a URL: they do not belong into a request's target or `Host` (RFC 9110 §4.2.4).
fn without_user(url: Uri) -> Result<(Uri, Option<HeaderValue>), BoxError> {
    let Some((user, host)) = url.authority().and_then(|authority| authority.as_str().rsplit_once('@')) else {
        return Ok((url, None));
    };
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let decoded = |text| percent_decode(text).ok_or("a percent sign without two digits in the url's user");
    let credentials = auth::basic(&decoded(user)?, &decoded(password)?)
        .ok_or("credentials that the basic scheme cannot carry")?;
    let host: Authority = host.parse()?;
    let mut parts = url.into_parts();
    parts.authority = Some(host);
    Ok((Uri::from_parts(parts)?, Some(credentials)))
}

impl<R: Runtime> fmt::Debug for RequestBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("request", &self.transaction.as_ref().map(|transaction| &transaction.request))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_in_the_url_becomes_a_header() {
        let (url, credentials) =
            without_user("http://Aladdin:open%20sesame@a.example:81/b".parse().expect("a url"))
                .expect("valid");
        assert_eq!(url, "http://a.example:81/b");
        assert_eq!(credentials.expect("credentials"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let (url, credentials) = without_user("http://a/b@c".parse().expect("a url")).expect("valid");
        assert_eq!((url.to_string().as_str(), credentials), ("http://a/b@c", None));
        assert!(without_user("http://a%3Ab:c@d/".parse().expect("a url")).is_err());
        assert!(without_user("http://%4@d/".parse().expect("a url")).is_err());
    }
}

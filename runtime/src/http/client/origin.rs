//! Where requests go: most go where the last one went.

use std::sync::{Arc, OnceLock};

use glowplug_http::{EncodedFields, PoolKey};
use http::uri::PathAndQuery;
use http::{HeaderMap, Uri, header};

use super::Inner;
use crate::Runtime;

/// Scheme and authority of a URL, and what follows from them.
pub(super) struct Origin {
    /// The URL with these two and no more.
    root: Uri,
    /// The authority names a user, too.
    has_user: bool,
    key: PoolKey,
    /// What goes into `Host`, where that is not the authority as it stands.
    host: Option<Box<str>>,
    /// What goes out with each request that has no fields of its own.
    plain: OnceLock<Option<EncodedFields>>,
}

impl Origin {
    /// `None` unless the URL is one of http or https and names a host.
    fn of(url: &Uri) -> Option<Self> {
        let key = PoolKey::of(url)?;
        let authority = url.authority()?;
        let mut parts = url.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        Some(Self {
            root: Uri::from_parts(parts).ok()?,
            has_user: authority.as_str().contains('@'),
            host: (!says_host(authority.as_str(), &key)).then(|| key.host_field().into()),
            key,
            plain: OnceLock::new(),
        })
    }

    fn authority(&self) -> &str {
        self.root.authority().map_or("", |authority| authority.as_str())
    }

    fn is_of(&self, url: &Uri) -> bool {
        // As text: other letters in the host would be another text in `Host`.
        url.authority().is_some_and(|authority| authority.as_str() == self.authority())
            && url.scheme() == self.root.scheme()
    }

    /// What the pool calls it.
    pub(super) fn key(&self) -> &PoolKey {
        &self.key
    }

    /// The value for `Host` (RFC 9110 §7.2).
    pub(super) fn host(&self) -> &str {
        self.host.as_deref().unwrap_or_else(|| self.authority())
    }

    /// `Host` and the client's own fields, as they go out; `None` if something is wrong with them.
    pub(super) fn plain(&self, defaults: &HeaderMap) -> Option<&EncodedFields> {
        let encode = || {
            let host = [("host", self.host())];
            let host = if defaults.contains_key(header::HOST) { &host[..0] } else { &host };
            EncodedFields::new(&(host, defaults)).ok()
        };
        self.plain.get_or_init(encode).as_ref()
    }

    /// What `text` stands for if it is a URL of this origin, and one that needs no more than a look at its path.
    fn url(&self, text: &str) -> Option<Uri> {
        if self.has_user {
            return None;
        }
        let rest = text.strip_prefix(self.root.scheme_str()?)?.strip_prefix("://")?;
        let path = rest.strip_prefix(self.authority())?;
        if path == "/" {
            return Some(self.root.clone());
        }
        if !path.starts_with('/') || !path.is_ascii() {
            return None;
        }
        let mut parts = self.root.clone().into_parts();
        parts.path_and_query = Some(path.parse().ok()?);
        Uri::from_parts(parts).ok()
    }
}

/// Whether the authority of a URL is just what `Host` is to say, as it is as a rule.
fn says_host(authority: &str, key: &PoolKey) -> bool {
    let is_default = key.port() == key.scheme().default_port();
    match authority.strip_prefix(key.host()) {
        Some("") => is_default,
        Some(rest) => rest
            .strip_prefix(':')
            .is_some_and(|port| !is_default && !port.starts_with('0') && port.parse() == Ok(key.port())),
        None => false,
    }
}

impl<R: Runtime> Inner<R> {
    /// The origin of a URL; `None` if there is no server to ask.
    pub(super) fn origin(&self, url: &Uri) -> Option<Arc<Origin>> {
        // Whoever is in the way of somebody else does without.
        let mut last = self.last_origin.try_lock().ok();
        if let Some(origin) = last.as_deref().and_then(Option::as_ref).filter(|origin| origin.is_of(url)) {
            return Some(origin.clone());
        }
        let origin = Arc::new(Origin::of(url)?);
        if let Some(last) = &mut last {
            **last = Some(origin.clone());
        }
        Some(origin)
    }

    /// What `text` stands for, if that leads to where the last request went.
    pub(super) fn known_url(&self, text: &str) -> Option<(Uri, Arc<Origin>)> {
        let last = self.last_origin.try_lock().ok()?;
        let origin = last.as_ref()?;
        Some((origin.url(text)?, origin.clone()))
    }
}

#[cfg(test)]
mod tests {
    use glowplug_http::FieldSource as _;

    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::of(&url.parse().expect("a url")).expect("a host")
    }

    #[test]
    fn a_known_url_is_what_it_would_be_anyway() {
        let origin = origin("http://A.example:81/");
        for text in [
            "http://A.example:81/",
            "http://A.example:81/b",
            "http://A.example:81/b?c=d#e",
            "http://A.example:81/?",
        ] {
            let url = origin.url(text).unwrap_or_else(|| panic!("{text} is known"));
            let parsed = glowplug_http::url::parse(text).expect("a url");
            assert_eq!((url.to_string(), url.query()), (parsed.to_string(), parsed.query()));
            assert_eq!((url.scheme(), url.authority()), (parsed.scheme(), parsed.authority()));
            assert!(origin.is_of(&url));
        }
        for text in [
            "http://A.example:81",
            "http://A.example:81?b",
            "http://A.example:811/",
            "http://a.example:81/",
            "https://A.example:81/",
            "http://A.example:81.b/",
            "http://A.example:81@b/",
            "http://A.example:81/\u{e9}",
            "http://A.example:81/a b",
            "A.example:81/",
            "",
        ] {
            assert!(origin.url(text).is_none(), "{text}");
        }
        let long = format!("http://A.example:81/{}", "a".repeat(70_000));
        assert!(origin.url(&long).is_none());
    }

    #[test]
    fn users_are_not_remembered() {
        let origin = origin("http://user@a.example/");
        assert_eq!(origin.host(), "a.example");
        assert!(origin.url("http://user@a.example/").is_none());
    }

    #[test]
    fn host_is_said_as_the_url_says_it() {
        for (url, host) in [
            ("http://a.example/", "a.example"),
            ("http://a.example:81/", "a.example:81"),
            ("http://a.example:80/", "a.example"),
            ("http://A.example/", "a.example"),
            ("https://[::1]:8080/", "[::1]:8080"),
            ("http://a.example:081/", "a.example:81"),
        ] {
            assert_eq!(origin(url).host(), host);
        }
    }

    #[test]
    fn the_clients_own_host_goes_before() {
        let defaults = HeaderMap::from_iter([(header::HOST, "b".parse().expect("a value"))]);
        let origin = origin("http://a.example/");
        let mut fields = Vec::new();
        let plain = origin.plain(&defaults).expect("valid");
        plain.each(|name, value| fields.push((name.to_vec(), value.to_vec())));
        assert_eq!(fields, [(b"host".to_vec(), b"b".to_vec())]);
    }
}

//! Which connections can carry which requests.

use core::fmt;
use std::sync::Arc;

use http::Uri;

/// What the first words of a URL say about the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `http`: plain TCP, port 80.
    Http,
    /// `https`: TLS, port 443.
    Https,
}

impl Scheme {
    /// The port when the URL names none.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// As it stands in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Scheme, host and port: requests with the same key may share a connection. It is also what the web calls an origin,
/// and so decides which credentials survive a redirect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolKey {
    scheme: Scheme,
    // Shared, since each request has a copy of its key.
    host: Arc<str>,
    port: u16,
    /// The proxy in between.
    via: Option<Box<str>>,
}

impl PoolKey {
    /// A key; the host's letters are made small.
    pub fn new(scheme: Scheme, host: &str, port: u16) -> Self {
        Self { scheme, host: host.to_ascii_lowercase().into(), port, via: None }
    }

    /// The key of a URL; `None` unless its scheme is `http` or `https` and it names a host.
    ///
    /// ```
    /// use glowplug_http::{PoolKey, Scheme};
    /// let key = PoolKey::of(&"https://Example.org/a".parse().unwrap()).unwrap();
    /// assert_eq!((key.scheme(), key.host(), key.port()), (Scheme::Https, "example.org", 443));
    /// ```
    pub fn of(uri: &Uri) -> Option<Self> {
        let scheme = match uri.scheme_str()? {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?;
        Some(Self::new(scheme, host, uri.port_u16().unwrap_or(scheme.default_port())))
    }

    /// The same by way of a proxy, which this names: such connections carry other requests than direct ones.
    pub fn via(mut self, proxy: impl Into<Box<str>>) -> Self {
        self.via = Some(proxy.into());
        self
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, in small letters; an IPv6 address has its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value for `Host`: the port only where it is not the scheme's own (RFC 9110 §7.2).
    pub fn host_field(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.as_ref().to_owned()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// `https://host:port`
impl fmt::Display for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.as_str(), self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(url: &str) -> Option<PoolKey> {
        PoolKey::of(&url.parse().ok()?)
    }

    #[test]
    fn the_same_origin_has_the_same_key() {
        assert_eq!(key("http://A/b"), key("http://a:80/c?d"));
        assert_ne!(key("http://a/"), key("https://a/"));
        assert_ne!(key("http://a/"), key("http://a:81/"));
        assert_eq!(key("ftp://a/"), None);
        assert_eq!(key("/a"), None);
        assert_eq!(key("http://a/").map(|key| key.host_field()).as_deref(), Some("a"));
        assert_eq!(key("http://[::1]:8080/").map(|key| key.host_field()).as_deref(), Some("[::1]:8080"));
    }
}

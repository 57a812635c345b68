//! Which proxy a request goes through: settings in the words of everybody's environment variables, and the rules for exceptions
//! that curl has. Pure functions: the environment is handed in.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;
use std::sync::Arc;

use http::HeaderValue;

use crate::{PoolKey, Scheme, auth, url};

/// The port of a proxy whose URL names none, as in curl.
const DEFAULT_PORT: u16 = 1080;

/// An HTTP proxy, spoken to in the clear: where it is, and who one is to it.
///
/// ```
/// use glowplug_http::proxy::Proxy;
/// let proxy: Proxy = "http://user:secret@proxy.example:3128".parse().unwrap();
/// assert_eq!((proxy.host(), proxy.port()), ("proxy.example", 3128));
/// assert!("socks5://proxy.example".parse::<Proxy>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
    credentials: Option<HeaderValue>,
}

/// Why text names no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// The scheme is not `http`.
    Scheme,
    /// There is no host, or the port is no number.
    Host,
    /// User and password cannot be sent by the Basic scheme.
    Credentials,
}

impl fmt::Display for ProxyUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "a proxy whose scheme is not http",
            Self::Host => "a proxy without a host and port to connect to",
            Self::Credentials => "credentials that the basic scheme cannot carry",
        })
    }
}

impl core::error::Error for ProxyUrlError {}

impl Proxy {
    /// A proxy at this host, a name or an address.
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_ascii_lowercase(), port, credentials: None }
    }

    /// Sets credentials of the Basic scheme (RFC 7617); `None` if it cannot carry them.
    pub fn basic_auth(mut self, user: &str, password: &str) -> Option<Self> {
        self.credentials = Some(auth::basic(user, password)?);
        Some(self)
    }

    /// The host; an IPv6 address has its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value for `Proxy-Authorization`.
    pub fn credentials(&self) -> Option<&HeaderValue> {
        self.credentials.as_ref()
    }

    /// Which connections can carry requests for `origin` through this proxy: for `http` those to the proxy, whatever they carried before; for
    /// `https` only a tunnel to the same origin.
    pub fn route(&self, origin: &PoolKey) -> PoolKey {
        let via = format!("{}:{}", self.host, self.port);
        match origin.scheme() {
            Scheme::Http => PoolKey::new(Scheme::Http, &self.host, self.port).via(via),
            Scheme::Https => origin.clone().via(via),
        }
    }
}

/// `[http://][user[:password]@]host[:port][/]`. User and password may be percent-encoded; without a port it is 1080.
impl FromStr for Proxy {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, ProxyUrlError> {
        let text = text.trim();
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(ProxyUrlError::Scheme),
            None => text,
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let (host, port) = split_port(place).ok_or(ProxyUrlError::Host)?;
        let valid =
            |char: char| char.is_ascii_graphic() && !matches!(char, '/' | '\\' | '@' | '<' | '>' | '"');
        if host.is_empty() || !host.chars().all(valid) {
            return Err(ProxyUrlError::Host);
        }
        let proxy = Self::new(host, port.unwrap_or(DEFAULT_PORT));
        let Some(user) = user else { return Ok(proxy) };
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        let decode = |text| url::percent_decode(text).ok_or(ProxyUrlError::Credentials);
        proxy.basic_auth(&decode(user)?, &decode(password)?).ok_or(ProxyUrlError::Credentials)
    }
}

/// Without the credentials.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// `http://host:port`, without the credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

/// `host`, `host:port`, `[address]`, `[address]:port`, or an IPv6 address without brackets.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let port = |text: &str| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
    if text.starts_with('[') {
        let end = text.find(']')? + 1;
        let (host, rest) = text.split_at(end);
        return match rest.strip_prefix(':') {
            Some(text) => Some((host, port(text)?)),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Some((text, None)),
        Some((host, rest)) => Some((host, port(rest)?)),
        None => Some((text, None)),
    }
}

/// Which proxy for which scheme, and for which hosts none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<Arc<Proxy>>,
    https: Option<Arc<Proxy>>,
    except: NoProxy,
}

/// Why the environment's proxies cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyEnvError {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong with it.
    pub cause: ProxyUrlError,
}

impl fmt::Display for ProxyEnvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the variable {} names no proxy that can be used", self.variable)
    }
}

impl core::error::Error for ProxyEnvError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.cause)
    }
}

impl Proxies {
    /// One proxy for everything.
    pub fn all(proxy: Proxy) -> Self {
        let proxy = Arc::new(proxy);
        Self { http: Some(proxy.clone()), https: Some(proxy), except: NoProxy::default() }
    }

    /// Sets the proxy for `http`; `None` for none.
    pub fn http(mut self, proxy: Option<Proxy>) -> Self {
        self.http = proxy.map(Arc::new);
        self
    }

    /// Sets the proxy for `https`, which tunnels by `CONNECT`; `None` for none.
    pub fn https(mut self, proxy: Option<Proxy>) -> Self {
        self.https = proxy.map(Arc::new);
        self
    }

    /// Sets which hosts are spoken to directly.
    pub fn except(mut self, hosts: NoProxy) -> Self {
        self.except = hosts;
        self
    }

    /// What the environment says; `variable` looks one up by its name.
    ///
    /// `http_proxy`, in small letters only, since a server's gateway (CGI) fills `HTTP_PROXY` with what a client sends; `https_proxy` or
    /// `HTTPS_PROXY`; `all_proxy` or `ALL_PROXY` where those are not set; `no_proxy` or `NO_PROXY` for the exceptions. Small letters go
    /// first, and a variable that is set to nothing means no proxy.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyEnvError> {
        let proxy = |names: &[&'static str]| -> Result<Option<Option<Arc<Proxy>>>, ProxyEnvError> {
            for name in names {
                match variable(name) {
                    Some(text) if text.trim().is_empty() => return Ok(Some(None)),
                    Some(text) => {
                        let proxy = text.parse().map_err(|cause| ProxyEnvError { variable: name, cause })?;
                        return Ok(Some(Some(Arc::new(proxy))));
                    }
                    None => {}
                }
            }
            Ok(None)
        };
        let except = variable("no_proxy").or_else(|| variable("NO_PROXY")).unwrap_or_default();
        let http = proxy(&["http_proxy"])?;
        let https = proxy(&["https_proxy", "HTTPS_PROXY"])?;
        let all = match (&http, &https) {
            (Some(_), Some(_)) => None,
            _ => proxy(&["all_proxy", "ALL_PROXY"])?.flatten(),
        };
        Ok(Self {
            http: http.unwrap_or_else(|| all.clone()),
            https: https.unwrap_or(all),
            except: NoProxy::parse(&except),
        })
    }

    /// The proxy for requests to this origin, if there is one.
    pub fn pick(&self, origin: &PoolKey) -> Option<&Arc<Proxy>> {
        let proxy = match origin.scheme() {
            Scheme::Http => self.http.as_ref(),
            Scheme::Https => self.https.as_ref(),
        };
        proxy.filter(|_| !self.except.matches(origin.host(), origin.port()))
    }

    /// True if there is no proxy at all.
    pub fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }
}

/// Hosts that are spoken to directly: the list of `no_proxy`.
///
/// Its entries stand between commas or blanks. `*` is every host; a name is that host and all below it, with a leading dot or without; an
/// address is that address; `10.0.0.0/8` is a network; and each but `*` and networks may have a port, and counts for that alone then.
///
/// ```
/// use glowplug_http::proxy::NoProxy;
/// let direct = NoProxy::parse("localhost,.example.org,10.0.0.0/8,[::1]:8080");
/// assert!(direct.matches("www.example.org", 443) && direct.matches("10.2.3.4", 80));
/// assert!(!direct.matches("badexample.org", 443) && !direct.matches("[::1]", 80));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Except>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Except {
    All,
    Name(String, Option<u16>),
    Address(IpAddr, Option<u16>),
    Network(IpAddr, u8),
}

impl NoProxy {
    /// Reads a list. What is no entry matches nothing, as everybody has it.
    pub fn parse(list: &str) -> Self {
        let entries = list.split(|char: char| char == ',' || char.is_ascii_whitespace());
        Self(entries.filter_map(Except::parse).collect())
    }

    /// Whether requests to this host, a name or an address, with or without brackets, go directly.
    pub fn matches(&self, host: &str, port: u16) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let address = address(host);
        self.0.iter().any(|except| match except {
            Except::All => true,
            Except::Name(name, at) => {
                address.is_none() && at.is_none_or(|at| at == port) && is_below(host, name)
            }
            Except::Address(other, at) => address == Some(*other) && at.is_none_or(|at| at == port),
            Except::Network(network, bits) => {
                address.is_some_and(|address| is_in_network(address, *network, *bits))
            }
        })
    }
}

impl Except {
    fn parse(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::All);
        }
        if let Some((network, bits)) = entry.split_once('/') {
            let network = address(network)?;
            let most = if network.is_ipv4() { 32 } else { 128 };
            let bits = bits.parse().ok().filter(|bits| *bits <= most)?;
            return Some(Self::Network(network, bits));
        }
        let (host, port) = split_port(entry)?;
        if let Some(address) = address(host) {
            return Some(Self::Address(address, port));
        }
        let host = host.strip_prefix("*.").unwrap_or(host).trim_start_matches('.');
        let host = host.strip_suffix('.').unwrap_or(host);
        (!host.is_empty()).then(|| Self::Name(host.to_ascii_lowercase(), port))
    }
}

fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// `host` is `name`, or ends in a dot and `name`.
fn is_below(host: &str, name: &str) -> bool {
    let Some(at) = host.len().checked_sub(name.len()) else { return false };
    let Some(end) = host.get(at..) else { return false };
    end.eq_ignore_ascii_case(name) && (at == 0 || host.as_bytes()[at - 1] == b'.')
}

fn is_in_network(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let bits = u32::from(bits);
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            (address.to_bits() ^ network.to_bits()) & mask == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            (address.to_bits() ^ network.to_bits()) & mask == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_follow_the_rules_of_curl() {
        for (list, yes, no) in [
            ("*", &["a:80", "10.0.0.1:80"][..], &[][..]),
            (
                "example.com",
                &["example.com:80", "WWW.Example.com:443", "example.com.:80"],
                &["nexample.com:80"],
            ),
            (".example.com", &["example.com:80", "a.b.example.com:80"], &["example.com.evil:80"]),
            ("*.example.com", &["a.example.com:80"], &["b.com:80"]),
            ("a.com, b.com c.com", &["a.com:1", "b.com:1", "c.com:1"], &["d.com:1"]),
            ("example.com:8080", &["example.com:8080", "a.example.com:8080"], &["example.com:80"]),
            ("192.168.0.0/16", &["192.168.4.5:80"], &["192.169.0.1:80", "name.192.168.0.0:80"]),
            ("10.0.0.0/0", &["8.8.8.8:80"], &["[::1]:80"]),
            ("10.1.2.3/32", &["10.1.2.3:80"], &["10.1.2.4:80"]),
            ("10.1.2.3/33,10.0.0.0/x,/8", &[], &["10.1.2.3:80"]),
            ("fe80::/10", &["[fe80::1]:80", "[febf::1]:80"], &["[fec0::1]:80", "10.0.0.1:80"]),
            ("::1", &["[::1]:80"], &["[::2]:80"]),
            ("[::1]:8080", &["[::1]:8080"], &["[::1]:80"]),
            ("127.0.0.1:81", &["127.0.0.1:81"], &["127.0.0.1:80", "a.127.0.0.1:81"]),
            ("0.0.1", &[], &["127.0.0.1:80"]),
            ("", &[], &["a:80"]),
            (",. ,:", &[], &["a:80", ".:80"]),
        ] {
            let direct = NoProxy::parse(list);
            let matches = |place: &&str| {
                let (host, port) = split_port(place).expect("host and port");
                direct.matches(host, port.expect("a port"))
            };
            assert!(yes.iter().all(matches), "{list:?} should match all of {yes:?}");
            assert!(!no.iter().any(matches), "{list:?} should match none of {no:?}");
        }
    }

    #[test]
    fn a_proxy_is_a_url_or_a_bare_host() {
        let parts = |text: &str| {
            let proxy: Proxy = text.parse()?;
            let credentials = proxy.credentials().map(|value| value.to_str().expect("ascii").to_owned());
            Ok((proxy.to_string(), credentials))
        };
        let plain = |text: &str| Ok((text.to_owned(), None));
        assert_eq!(parts("proxy"), plain("http://proxy:1080"));
        assert_eq!(parts("HTTP://Proxy:3128/"), plain("http://proxy:3128"));
        assert_eq!(parts("[::1]:80"), plain("http://[::1]:80"));
        let with_user = parts("http://Aladdin:open%20sesame@p:1").expect("valid");
        assert_eq!(with_user.1.as_deref(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        assert_eq!(format!("{:?}", "u:secret@p:1".parse::<Proxy>()), "Ok(Proxy(http://p:1))");
        for (text, error) in [
            ("https://p", ProxyUrlError::Scheme),
            ("socks5://p", ProxyUrlError::Scheme),
            ("", ProxyUrlError::Host),
            ("http://", ProxyUrlError::Host),
            ("http://:80", ProxyUrlError::Host),
            ("p:http", ProxyUrlError::Host),
            ("p q:1", ProxyUrlError::Host),
            ("http://[::1", ProxyUrlError::Host),
            ("http://%zz@p", ProxyUrlError::Credentials),
            ("http://a%3ab:c@p", ProxyUrlError::Credentials),
        ] {
            assert_eq!(parts(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn the_environment_is_read_as_everybody_does() {
        let of = |variables: &[(&str, &str)]| {
            let proxies = Proxies::from_env(|name| {
                variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
            })?;
            let pick = |url: &str| {
                let origin = PoolKey::of(&url.parse().expect("a url")).expect("an origin");
                proxies.pick(&origin).map(|proxy| proxy.host().to_owned()).unwrap_or_default()
            };
            Ok::<_, ProxyEnvError>([pick("http://a.example/"), pick("https://b.example/")])
        };
        let both = |http: &str, https: &str| Ok([http.to_owned(), https.to_owned()]);
        assert_eq!(of(&[]), both("", ""));
        assert_eq!(of(&[("http_proxy", "p"), ("https_proxy", "q")]), both("p", "q"));
        // What a client's `Proxy` header becomes in a gateway is not listened to.
        assert_eq!(of(&[("HTTP_PROXY", "evil"), ("HTTPS_PROXY", "q")]), both("", "q"));
        assert_eq!(of(&[("https_proxy", "q"), ("HTTPS_PROXY", "r"), ("ALL_PROXY", "s")]), both("s", "q"));
        assert_eq!(of(&[("all_proxy", "s"), ("http_proxy", "")]), both("", "s"));
        assert_eq!(of(&[("all_proxy", "s"), ("no_proxy", "a.example")]), both("", "s"));
        assert_eq!(of(&[("all_proxy", "s"), ("NO_PROXY", "*")]), both("", ""));
        let error = of(&[("https_proxy", "socks4://q")]).expect_err("no http proxy");
        assert_eq!((error.variable, error.cause), ("https_proxy", ProxyUrlError::Scheme));
    }

    #[test]
    fn connections_are_told_apart_by_their_proxy() {
        let key = |url: &str| PoolKey::of(&url.parse().expect("a url")).expect("an origin");
        let [one, other] = [Proxy::new("p", 1), Proxy::new("q", 1)];
        // What is not in a tunnel goes to the proxy, wherever it leads.
        assert_eq!(one.route(&key("http://a/")), one.route(&key("http://b:81/")));
        assert_ne!(one.route(&key("http://a/")), key("http://p:1/"));
        assert_ne!(one.route(&key("http://a/")), other.route(&key("http://a/")));
        assert_ne!(one.route(&key("https://a/")), one.route(&key("https://b/")));
        assert_ne!(one.route(&key("https://a/")), key("https://a/"));
    }
}

//! Cookies (RFC 6265): a jar that remembers what servers set, and gives each server its own back.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cookie_store::{Cookie, CookieDomain, CookieStore, StoreAction};
use glowplug_http::ResponseHead;
use http::{HeaderValue, Request, Uri, header};
use url::Url;

use super::RequestBuilder;
use crate::Runtime;

/// How many cookies a jar holds, and how long they are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "each is named as the method that sets it")]
pub struct CookieLimits {
    max_cookies: usize,
    max_per_domain: usize,
    max_cookie_len: usize,
    max_header_len: usize,
}

impl Default for CookieLimits {
    fn default() -> Self {
        Self { max_cookies: 3000, max_per_domain: 180, max_cookie_len: 4096, max_header_len: 16 * 1024 }
    }
}

impl CookieLimits {
    /// Sets how many cookies a jar holds; beyond that, those go that were set longest ago. Default 3,000.
    pub fn max_cookies(mut self, cookies: usize) -> Self {
        self.max_cookies = cookies;
        self
    }

    /// Sets how many cookies a jar holds of one domain; beyond that, those of the domain go that were set longest ago. Default 180.
    pub fn max_per_domain(mut self, cookies: usize) -> Self {
        self.max_per_domain = cookies;
        self
    }

    /// Sets how many bytes a cookie has with all its attributes, as it stands in `Set-Cookie`; longer ones are refused. Default 4,096.
    pub fn max_cookie_len(mut self, bytes: usize) -> Self {
        self.max_cookie_len = bytes;
        self
    }

    /// Sets how many bytes of cookies go with a request; those of the shortest paths stay behind. Default 16 KiB.
    pub fn max_header_len(mut self, bytes: usize) -> Self {
        self.max_header_len = bytes;
        self
    }
}

/// A jar of cookies, given to a client by [`cookies`](super::ClientBuilder::cookies), or to one request of
/// [`Client::request`](super::Client::request) by its extensions. Clones share their content.
///
/// Which cookies go where is what RFC 6265 says: the host they came from (or the domain they name, if the host is in it), the path, and
/// `Secure` ones over `https` alone. Beyond it, `Secure` cookies are taken from `https` alone, the name prefixes `__Secure-` and `__Host-` are
/// held to their promise, and a domain of one label, like `com`, takes no cookies of the hosts below it. For suffixes like `co.uk`,
/// there is [`public_suffixes`](Self::public_suffixes). Expiry goes by the system's clock.
///
/// ```
/// use glowplug_runtime::http::CookieJar;
/// let jar = CookieJar::new();
/// let url = "https://example.org/shop/cart".parse().unwrap();
/// assert!(jar.set(&url, "id=7; Path=/shop; Secure; HttpOnly"));
/// assert_eq!(jar.header(&url).unwrap(), "id=7");
/// assert_eq!(jar.header(&"http://example.org/shop/".parse().unwrap()), None);
/// ```
#[derive(Clone)]
pub struct CookieJar(Arc<Mutex<Jar>>);

struct Jar {
    store: CookieStore,
    limits: CookieLimits,
    /// When each was set, in the order of their domains, by the count of all that ever were.
    set: BTreeMap<Key, u64>,
    count: u64,
}

/// Domain, path and name.
type Key = (String, String, String);

impl CookieJar {
    /// An empty jar.
    pub fn new() -> Self {
        Self::with_limits(CookieLimits::default())
    }

    /// An empty jar with limits of its own.
    pub fn with_limits(limits: CookieLimits) -> Self {
        let jar = Jar { store: CookieStore::default(), limits, set: BTreeMap::new(), count: 0 };
        Self(Arc::new(Mutex::new(jar)))
    }

    /// A jar with what [`save`](Self::save) has written. What has expired, or is too much, is left out.
    pub fn load(reader: impl BufRead, limits: CookieLimits) -> io::Result<Self> {
        let store = cookie_store::serde::json::load(reader).map_err(|error| invalid(&error))?;
        let mut jar = Jar { store, limits, set: BTreeMap::new(), count: 0 };
        let mut keys: Vec<_> = jar.store.iter_unexpired().map(key).collect();
        // When each was set is not written; what is left out for want of room is the same each time at least.
        keys.sort();
        for key in keys {
            jar.remember(key);
        }
        Ok(Self(Arc::new(Mutex::new(jar))))
    }

    /// Writes the cookies that outlive a session, as JSON.
    pub fn save(&self, mut writer: impl Write) -> io::Result<()> {
        cookie_store::serde::json::save(&self.lock().store, &mut writer).map_err(|error| invalid(&error))
    }

    /// Writes all cookies, those of the session too, as JSON.
    pub fn save_all(&self, mut writer: impl Write) -> io::Result<()> {
        cookie_store::serde::json::save_incl_expired_and_nonpersistent(&self.lock().store, &mut writer)
            .map_err(|error| invalid(&error))
    }

    /// Sets under which domains anybody may have a name, by the text of the [public suffix list](https://publicsuffix.org): they take no
    /// cookies of the hosts below them.
    pub fn public_suffixes(&self, list: &str) -> io::Result<()> {
        let list = list.parse().map_err(|error: publicsuffix::Error| invalid(&error))?;
        let mut jar = self.lock();
        jar.store = std::mem::take(&mut jar.store).with_suffix_list(list);
        Ok(())
    }

    /// Takes in one cookie as `Set-Cookie` has it, from the server of `url`. False if it is refused; a cookie that has expired takes the one
    /// of its name out.
    pub fn set(&self, url: &Uri, cookie: &str) -> bool {
        absolute(url).is_some_and(|url| self.lock().set(&url, cookie))
    }

    /// What goes with a request to `url`: the longest paths first; `None` if there is nothing.
    pub fn header(&self, url: &Uri) -> Option<HeaderValue> {
        self.lock().header(&absolute(url)?)
    }

    /// The value of the cookie of this name that goes to `url`; the one of the longest path if there are several.
    pub fn get(&self, url: &Uri, name: &str) -> Option<String> {
        let url = absolute(url)?;
        let jar = self.lock();
        let cookie = jar.matches(&url).into_iter().find(|cookie| cookie.name() == name)?;
        Some(cookie.value().to_owned())
    }

    /// How many cookies there are.
    pub fn len(&self) -> usize {
        self.lock().set.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all of them.
    pub fn clear(&self) {
        let mut jar = self.lock();
        jar.store.clear();
        jar.set.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Jar> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to a request what goes along, unless the caller has set cookies of their own. True if it did.
    pub(super) fn attach<B>(&self, request: &mut Request<B>) -> bool {
        if request.headers().contains_key(header::COOKIE) {
            return false;
        }
        let Some(cookies) = self.header(request.uri()) else { return false };
        request.headers_mut().insert(header::COOKIE, cookies);
        true
    }

    /// Takes in what an answer sets.
    pub(super) fn keep(&self, url: &Uri, head: &ResponseHead) {
        let mut fields = head.get_all("set-cookie").peekable();
        if fields.peek().is_none() {
            return;
        }
        let Some(url) = absolute(url) else { return };
        let mut jar = self.lock();
        for cookie in fields.filter_map(|cookie| std::str::from_utf8(cookie).ok()) {
            jar.set(&url, cookie);
        }
    }
}

impl Jar {
    fn set(&mut self, url: &Url, text: &str) -> bool {
        if text.len() > self.limits.max_cookie_len {
            return false;
        }
        let Ok(cookie) = Cookie::parse(text, url) else { return false };
        let cookie = cookie.into_owned();
        if !may_set(&cookie, url) {
            return false;
        }
        let key = key(&cookie);
        match self.store.insert(cookie, url) {
            Ok(StoreAction::Inserted | StoreAction::UpdatedExisting) => {
                self.remember(key);
                true
            }
            Ok(StoreAction::ExpiredExisting) => {
                self.remove(&key);
                true
            }
            Err(_) => false,
        }
    }

    /// Writes down that this cookie was set last, and makes room if it is one too many.
    fn remember(&mut self, key: Key) {
        let domain = key.0.clone();
        self.count += 1;
        self.set.insert(key, self.count);
        let from = (domain.clone(), String::new(), String::new());
        while self.set.range(from.clone()..).take_while(|(key, _)| key.0 == domain).count()
            > self.limits.max_per_domain
        {
            let of_domain = self.set.range(from.clone()..).take_while(|(key, _)| key.0 == domain);
            let Some(oldest) = of_domain.min_by_key(|(_, at)| **at).map(|(key, _)| key.clone()) else {
                break;
            };
            self.remove(&oldest);
        }
        while self.set.len() > self.limits.max_cookies {
            let oldest = self.set.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &Key) {
        self.store.remove(&key.0, &key.1, &key.2);
        self.set.remove(key);
    }

    /// RFC 6265 §5.4: the longest paths first, and of those the ones that were set first.
    fn matches(&self, url: &Url) -> Vec<&Cookie<'static>> {
        let mut matches = self.store.matches(url);
        matches.sort_by_cached_key(|cookie| {
            (std::cmp::Reverse(cookie.path.len()), self.set.get(&key(cookie)).copied())
        });
        matches
    }

    fn header(&self, url: &Url) -> Option<HeaderValue> {
        let mut text = String::new();
        for cookie in self.matches(url) {
            let (name, value) = cookie.name_value();
            // Two for what stands between two of them, one for the equals sign.
            if text.len() + name.len() + value.len() + 3 > self.limits.max_header_len {
                break;
            }
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(name);
            text.push('=');
            text.push_str(value);
        }
        if text.is_empty() { None } else { HeaderValue::try_from(text).ok() }
    }
}

/// What goes beyond RFC 6265: its successor's rules about `Secure` and prefixes, and domains of one label.
fn may_set(cookie: &Cookie<'_>, url: &Url) -> bool {
    let secure = cookie.secure() == Some(true);
    if secure && url.scheme() != "https" {
        return false;
    }
    let has_prefix = |prefix: &str| {
        cookie.name().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if has_prefix("__Secure-") && !secure {
        return false;
    }
    let whole_host = matches!(cookie.domain, CookieDomain::HostOnly(_)) && &*cookie.path == "/";
    if has_prefix("__Host-") && !(secure && whole_host) {
        return false;
    }
    match &cookie.domain {
        CookieDomain::Suffix(domain) => domain.contains('.') || Some(&**domain) == url.host_str(),
        _ => true,
    }
}

fn key(cookie: &Cookie<'_>) -> Key {
    let domain = cookie.domain.as_cow().map(String::from).unwrap_or_default();
    (domain, String::from(&cookie.path), cookie.name().to_owned())
}

fn absolute(url: &Uri) -> Option<Url> {
    Url::parse(&url.to_string()).ok()
}

fn invalid(error: &impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

impl Default for CookieJar {
    fn default() -> Self {
        Self::new()
    }
}

/// How many; what they say is nobody's business.
impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CookieJar({} cookies)", self.len())
    }
}

impl<R: Runtime> RequestBuilder<R> {
    /// Sets a jar for this request and those that it is redirected to, in place of the client's; `None` for neither sending cookies nor taking
    /// any in.
    pub fn cookies(mut self, jar: Option<CookieJar>) -> Self {
        self.cookies = jar;
        self
    }
}

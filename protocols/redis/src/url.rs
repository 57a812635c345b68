//! Addresses: `redis://`, `rediss://`, `unix://`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::{ClientConfig, Protocol};

/// The port that servers listen on unless told otherwise.
const DEFAULT_PORT: u16 = 6379;

/// Where a server is, and how to introduce oneself.
///
/// - `redis://[[user]:password@]host[:port][/database][?protocol=2]`, and the same with `rediss://` for TLS;
/// - `unix:///path[?db=database&user=name&password=secret&protocol=2]`, or `redis+unix:`.
///
/// User, password and path may be percent-encoded; `protocol` is 2 or 3. What is not known is refused, so that a mistake is seen.
///
/// ```
/// use glowplug_redis::{RedisEndpoint, RedisUrl};
/// let url: RedisUrl = "redis://ann:p%40ss@example.com/2".parse()?;
/// assert_eq!(url.endpoint(), &RedisEndpoint::Tcp { host: "example.com".into(), port: 6379, tls: false });
/// assert_eq!(url.database(), 2);
/// # Ok::<(), glowplug_redis::RedisUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    endpoint: RedisEndpoint,
    username: Option<Bytes>,
    password: Option<Bytes>,
    database: u32,
    protocol: Protocol,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RedisEndpoint {
    /// At a host.
    Tcp {
        /// A name or an address; an IPv6 address without its brackets.
        host: String,
        /// The port.
        port: u16,
        /// Whether to speak TLS.
        tls: bool,
    },
    /// At a socket in the file system. The path is bytes, as paths are.
    Unix {
        /// The path.
        path: Vec<u8>,
    },
}

/// What is wrong with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisUrlError {
    /// It begins with none of the schemes that are known.
    Scheme,
    /// There is no host, or no path.
    NoHost,
    /// The host has characters that no host has.
    Host,
    /// The port is no number from 1 to 65535.
    Port,
    /// The database is no number.
    Database,
    /// A percent sign without two hexadecimal digits behind it.
    Encoding,
    /// A parameter that is not known, or not with this value.
    Parameter,
}

impl fmt::Display for RedisUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the address begins with none of redis://, rediss://, unix://",
            Self::NoHost => "the address names no host or path",
            Self::Host => "the address has an invalid host",
            Self::Port => "the address has an invalid port",
            Self::Database => "the address has an invalid database",
            Self::Encoding => "the address has a percent sign without two digits",
            Self::Parameter => "the address has a parameter that is not known",
        })
    }
}

impl core::error::Error for RedisUrlError {}

impl RedisUrl {
    /// Where the server is.
    pub fn endpoint(&self) -> &RedisEndpoint {
        &self.endpoint
    }

    /// The database to select.
    pub fn database(&self) -> u32 {
        self.database
    }

    /// How a connection introduces itself there.
    pub fn config(&self) -> ClientConfig {
        self.apply(ClientConfig::new())
    }

    /// `config` with what the address says put in: its user and password, a database other than 0, a version other than RESP3.
    pub fn apply(&self, mut config: ClientConfig) -> ClientConfig {
        if self.database != 0 {
            config = config.database(self.database);
        }
        if self.protocol != Protocol::Resp3 {
            config = config.protocol(self.protocol);
        }
        if let Some(username) = &self.username {
            config = config.username(username.clone());
        }
        if let Some(password) = &self.password {
            config = config.password(password.clone());
        }
        config
    }

    fn new(endpoint: RedisEndpoint) -> Self {
        Self { endpoint, username: None, password: None, database: 0, protocol: Protocol::Resp3 }
    }

    fn tcp(rest: &str, tls: bool) -> Result<Self, RedisUrlError> {
        let (rest, query) = split_off(rest, '?');
        let (authority, path) = split_off(rest, '/');
        let (user_info, address) = match authority.rsplit_once('@') {
            Some((user_info, address)) => (Some(user_info), address),
            None => (None, authority),
        };
        let (host, port) = host_and_port(address)?;
        let mut url = Self::new(RedisEndpoint::Tcp { host: host.into(), port, tls });
        if let Some(user_info) = user_info {
            let (user, password) = split_off(user_info, ':');
            url.username = Some(percent_decode(user)?).filter(|user| !user.is_empty());
            url.password = password.map(percent_decode).transpose()?;
        }
        if let Some(database) = path.filter(|path| !path.is_empty()) {
            url.database = parse_database(database)?;
        }
        url.read_query(query)?;
        Ok(url)
    }

    fn unix(rest: &str) -> Result<Self, RedisUrlError> {
        let (path, query) = split_off(rest, '?');
        let path = percent_decode(path)?;
        if path.is_empty() {
            return Err(RedisUrlError::NoHost);
        }
        let mut url = Self::new(RedisEndpoint::Unix { path: path.into() });
        url.read_query(query)?;
        Ok(url)
    }

    fn read_query(&mut self, query: Option<&str>) -> Result<(), RedisUrlError> {
        for parameter in query.unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').ok_or(RedisUrlError::Parameter)?;
            match (name, value) {
                ("db" | "database", _) => self.database = parse_database(value)?,
                ("user" | "username", _) => self.username = Some(percent_decode(value)?),
                ("pass" | "password", _) => self.password = Some(percent_decode(value)?),
                ("protocol", "2" | "resp2") => self.protocol = Protocol::Resp2,
                ("protocol", "3" | "resp3") => self.protocol = Protocol::Resp3,
                _ => return Err(RedisUrlError::Parameter),
            }
        }
        Ok(())
    }
}

fn split_off(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn host_and_port(address: &str) -> Result<(&str, u16), RedisUrlError> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or(RedisUrlError::Host)?;
            if host.parse::<core::net::Ipv6Addr>().is_err() {
                return Err(RedisUrlError::Host);
            }
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(RedisUrlError::Port),
            }
        }
        None => split_off(address, ':'),
    };
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    if host.is_empty() {
        return Err(RedisUrlError::NoHost);
    }
    if !host.bytes().all(valid) {
        return Err(RedisUrlError::Host);
    }
    let port = match port.filter(|port| !port.is_empty()) {
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(RedisUrlError::Port)?,
        None => DEFAULT_PORT,
    };
    Ok((host, port))
}

fn parse_database(text: &str) -> Result<u32, RedisUrlError> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| RedisUrlError::Database);
    }
    Err(RedisUrlError::Database)
}

fn percent_decode(text: &str) -> Result<Bytes, RedisUrlError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        match (digit(), digit()) {
            (Some(high), Some(low)) => decoded.push((high * 16 + low) as u8),
            _ => return Err(RedisUrlError::Encoding),
        }
    }
    Ok(decoded.into())
}

impl core::str::FromStr for RedisUrl {
    type Err = RedisUrlError;

    fn from_str(text: &str) -> Result<Self, RedisUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(RedisUrlError::Scheme)?;
        match scheme {
            _ if scheme.eq_ignore_ascii_case("redis") || scheme.eq_ignore_ascii_case("valkey") => {
                Self::tcp(rest, false)
            }
            _ if scheme.eq_ignore_ascii_case("rediss") || scheme.eq_ignore_ascii_case("valkeys") => {
                Self::tcp(rest, true)
            }
            _ if scheme.eq_ignore_ascii_case("unix") || scheme.eq_ignore_ascii_case("redis+unix") => {
                Self::unix(rest)
            }
            _ => Err(RedisUrlError::Scheme),
        }
    }
}

impl fmt::Debug for RedisUrl {
    /// Everything but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisUrl")
            .field("endpoint", &self.endpoint)
            .field("username", &self.username)
            .field("has_password", &self.password.is_some())
            .field("database", &self.database)
            .field("protocol", &self.protocol)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn parse(text: &str) -> Result<RedisUrl, RedisUrlError> {
        text.parse()
    }

    fn tcp(text: &str) -> (String, u16, bool) {
        match parse(text).expect("valid").endpoint {
            RedisEndpoint::Tcp { host, port, tls } => (host, port, tls),
            RedisEndpoint::Unix { .. } => panic!("{text} is no host"),
        }
    }

    #[test]
    fn hosts_and_ports() {
        assert_eq!(tcp("redis://localhost"), ("localhost".into(), 6379, false));
        assert_eq!(tcp("rediss://10.0.0.1:7000/"), ("10.0.0.1".into(), 7000, true));
        assert_eq!(tcp("VALKEY://[::1]:1/3"), ("::1".into(), 1, false));
        assert_eq!(tcp("redis://[fe80::1]"), ("fe80::1".into(), 6379, false));
    }

    #[test]
    fn users_passwords_and_databases() {
        let url = parse("redis://ann:a%3Ab%40@h/7?protocol=2").expect("valid");
        assert_eq!(
            (url.username.as_deref(), url.password.as_deref()),
            (Some(&b"ann"[..]), Some(&b"a:b@"[..]))
        );
        assert_eq!((url.database, url.protocol), (7, Protocol::Resp2));
        let url = parse("redis://:pw@h").expect("valid");
        assert_eq!((url.username.as_deref(), url.password.as_deref()), (None, Some(&b"pw"[..])));
        let url = parse("unix:///run/a%20b.sock?db=2&user=x&password=y").expect("valid");
        assert_eq!(url.endpoint, RedisEndpoint::Unix { path: b"/run/a b.sock".to_vec() });
        assert_eq!((url.database, url.username.as_deref()), (2, Some(&b"x"[..])));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, error) in [
            ("localhost:6379", RedisUrlError::Scheme),
            ("http://h", RedisUrlError::Scheme),
            ("redis://", RedisUrlError::NoHost),
            ("redis:///1", RedisUrlError::NoHost),
            ("unix://", RedisUrlError::NoHost),
            ("redis://h:0", RedisUrlError::Port),
            ("redis://h:65536", RedisUrlError::Port),
            ("redis://[::1]x", RedisUrlError::Port),
            ("redis://[::1", RedisUrlError::Host),
            ("redis://[nonsense]", RedisUrlError::Host),
            ("redis://a b", RedisUrlError::Host),
            ("redis://h/x", RedisUrlError::Database),
            ("redis://h/-1", RedisUrlError::Database),
            ("redis://h/99999999999", RedisUrlError::Database),
            ("redis://%zz:x@h", RedisUrlError::Encoding),
            ("redis://h?nonsense=1", RedisUrlError::Parameter),
            ("redis://h?protocol=4", RedisUrlError::Parameter),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let shown = format!("{:?}", parse("redis://ann:secret@h"));
        assert!(shown.contains("ann") && !shown.contains("secret"));
    }
}

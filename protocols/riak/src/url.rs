//! `riak://` URLs: which nodes, and how to talk to them.
//!
//! ```text
//! riak://[user[:password]@]host[:port][,host[:port]]...[/][?tls=true|false]
//! riaks://...                                            the same with TLS
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::config::{Config, Credentials};

/// The port of the protocol buffers interface.
pub const DEFAULT_PORT: u16 = 8087;

/// What a URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RiakUrl {
    /// The nodes, in the order of the URL; at least one.
    pub hosts: Vec<Host>,
    /// User and password; they turn TLS on.
    pub credentials: Option<Credentials>,
    /// Whether to start TLS.
    pub tls: bool,
}

/// Where a node listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host {
    /// A name or an address, without brackets.
    pub name: String,
    /// The port.
    pub port: u16,
}

/// Why a text is no such URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// It starts with neither `riak://` nor `riaks://`.
    Scheme,
    /// There is no host, or an empty one in the list.
    Host,
    /// A port is not a number from 1 to 65535.
    Port,
    /// A `%` is not followed by two hexadecimal digits.
    Percent,
    /// There is a path. A URL names nodes; buckets and keys are named in requests.
    Path,
    /// An option is unknown, or has a value it cannot have.
    Option,
    /// User and password are given and TLS is turned off: nodes take them inside TLS alone.
    PasswordWithoutTls,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the url does not start with riak:// or riaks://",
            Self::Host => "a host is missing",
            Self::Port => "a port is not a number from 1 to 65535",
            Self::Percent => "a % is not followed by two hexadecimal digits",
            Self::Path => "the url has a path",
            Self::Option => "an option is unknown or has a wrong value",
            Self::PasswordWithoutTls => "a password needs tls",
        })
    }
}

impl core::error::Error for UrlError {}

impl RiakUrl {
    /// The configuration of a connection to any of the nodes.
    pub fn config(&self) -> Config {
        let config = Config::new().start_tls(self.tls);
        match &self.credentials {
            Some(credentials) => config.credentials(credentials.clone()),
            None => config,
        }
    }
}

impl FromStr for RiakUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("riak") => false,
            _ if scheme.eq_ignore_ascii_case("riaks") => true,
            _ => return Err(UrlError::Scheme),
        };
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !path.is_empty() {
            return Err(UrlError::Path);
        }
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        let credentials = login.map(parse_login).transpose()?;
        let hosts = hosts.split(',').map(parse_host).collect::<Result<_, _>>()?;
        let tls = parse_tls(options)?;
        if (credentials.is_some() || secure) && tls == Some(false) {
            return Err(if secure { UrlError::Option } else { UrlError::PasswordWithoutTls });
        }
        let tls = secure || credentials.is_some() || tls == Some(true);
        Ok(Self { hosts, credentials, tls })
    }
}

fn parse_login(login: &str) -> Result<Credentials, UrlError> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    Ok(Credentials::new(percent_decode(user)?, percent_decode(password)?))
}

fn parse_host(text: &str) -> Result<Host, UrlError> {
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        // An IPv6 address has colons of its own.
        let (name, rest) = rest.split_once(']').ok_or(UrlError::Host)?;
        match rest.strip_prefix(':') {
            Some(port) => (name, Some(port)),
            None if rest.is_empty() => (name, None),
            None => return Err(UrlError::Port),
        }
    } else {
        text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)))
    };
    if name.is_empty() {
        return Err(UrlError::Host);
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?
        }
        Some(_) => return Err(UrlError::Port),
    };
    Ok(Host { name: name.into(), port })
}

/// The last `tls` option, if there is one. Nothing else is an option.
fn parse_tls(options: &str) -> Result<Option<bool>, UrlError> {
    let mut tls = None;
    for option in options.split('&').filter(|option| !option.is_empty()) {
        tls = match option {
            "tls=true" => Some(true),
            "tls=false" => Some(false),
            _ => return Err(UrlError::Option),
        };
    }
    Ok(tls)
}

fn percent_decode(text: &str) -> Result<Vec<u8>, UrlError> {
    let digit =
        |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16)).ok_or(UrlError::Percent);
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes().iter();
    while let Some(&byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => (digit(bytes.next())? << 4 | digit(bytes.next())?) as u8,
            other => other,
        });
    }
    Ok(decoded)
}

impl fmt::Display for RiakUrl {
    /// The URL without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "riaks://" } else { "riak://" })?;
        for (n, host) in self.hosts.iter().enumerate() {
            f.write_str(if n > 0 { "," } else { "" })?;
            if host.name.contains(':') {
                write!(f, "[{}]:{}", host.name, host.port)?;
            } else {
                write!(f, "{}:{}", host.name, host.port)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn parse(text: &str) -> Result<RiakUrl, UrlError> {
        text.parse()
    }

    #[test]
    fn nodes_are_listed_with_and_without_ports() {
        let url = parse("riak://a,b:8187,[::1],[fe80::2]:99/").unwrap();
        let hosts: Vec<_> = url.hosts.iter().map(|host| (host.name.as_str(), host.port)).collect();
        assert_eq!(hosts, [("a", 8087), ("b", 8187), ("::1", 8087), ("fe80::2", 99)]);
        assert_eq!((url.tls, &url.credentials), (false, &None));
        assert_eq!(url.to_string(), "riak://a:8087,b:8187,[::1]:8087,[fe80::2]:99");
        assert_eq!(parse(&url.to_string()), Ok(url));
    }

    #[test]
    fn a_login_turns_tls_on_and_is_not_shown() {
        let url = parse("riak://us%40er:p:%2f@node").unwrap();
        assert_eq!(url.credentials, Some(Credentials::new("us@er", "p:/")));
        assert!(url.tls);
        assert_eq!(url.to_string(), "riaks://node:8087");
        assert!(!alloc::format!("{url:?}").contains("p:/"));
        assert!(parse("riaks://node").unwrap().tls && parse("riak://node?tls=true").unwrap().tls);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, error) in [
            ("", UrlError::Scheme),
            ("http://a", UrlError::Scheme),
            ("riak://", UrlError::Host),
            ("riak://a,,b", UrlError::Host),
            ("riak://:8087", UrlError::Host),
            ("riak://[::1", UrlError::Host),
            ("riak://[::1]8087", UrlError::Port),
            ("riak://a:", UrlError::Port),
            ("riak://a:0", UrlError::Port),
            ("riak://a:+1", UrlError::Port),
            ("riak://a:65536", UrlError::Port),
            ("riak://u:%zz@a", UrlError::Percent),
            ("riak://u:%4@a", UrlError::Percent),
            ("riak://a/bucket", UrlError::Path),
            ("riak://a?colour=blue", UrlError::Option),
            ("riaks://a?tls=false", UrlError::Option),
            ("riak://u@a?tls=false", UrlError::PasswordWithoutTls),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn any_text_is_an_error_or_a_url() {
        proptest::proptest!(|(text in "(riaks?://)?[a%:@,\\[\\]/?=&0-9t\u{e9}]{0,20}")| {
            let _ = parse(&text);
        });
    }
}

//! Connection strings: `mongodb://user:password@host:port,host/database?option=value` and `mongodb+srv://`.
//!
//! Specifications "Connection String", "URI Options" and "Initial DNS Seedlist Discovery". What is wrong in a way that would
//! connect to the wrong place is an error; an option that is unknown or has a value out of range is left out with a warning,
//! as the specification asks. Names of SRV and TXT records are asked for here and answered from outside.

mod options;

#[cfg(test)]
mod tests;

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::borrow::Cow;
use std::collections::BTreeMap;

use glowplug_core::Rng;

pub use options::OptionValue;

use crate::auth::{Credential, Mechanism};
use crate::config::Config;
use crate::wire::Compressor;

/// The port of a host that names none.
pub const DEFAULT_PORT: u16 = 27017;
/// Longer connection strings are refused.
const MAX_LEN: usize = 1 << 16;

/// A connection string, taken apart. `Debug` keeps the password.
#[derive(Clone, PartialEq)]
pub struct ConnectionString {
    srv: Option<String>,
    hosts: Vec<Host>,
    username: Option<String>,
    password: Option<String>,
    database: Option<String>,
    options: BTreeMap<&'static str, OptionValue>,
    warnings: Vec<String>,
}

/// Where a server may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name or address and a port.
    Tcp {
        /// A host name in lower case, or an address; IPv6 without brackets.
        host: String,
        /// The port, when one was given: see [`DEFAULT_PORT`].
        port: Option<u16>,
    },
    /// The path of a Unix domain socket.
    Unix(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => {
                let port = port.unwrap_or(DEFAULT_PORT);
                if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
            }
            Self::Unix(path) => f.write_str(path),
        }
    }
}

/// Why a connection string, or what DNS says about it, cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UriError {
    /// It begins neither with `mongodb://` nor with `mongodb+srv://`.
    Scheme,
    /// It is longer than 64 KiB.
    TooLong,
    /// User or password contain what has to be percent-encoded, or the user is empty.
    UserInfo,
    /// A percent sign is not followed by two hexadecimal digits, or the bytes are not UTF-8.
    Escape,
    /// A host or port is malformed or missing.
    Host(String),
    /// The database's name has a character that none may have.
    Database,
    /// An option has no value.
    OptionWithoutValue(String),
    /// Options that exclude each other, or one that does not belong to this kind of string.
    Conflict(&'static str),
    /// What DNS said cannot be used.
    Dns(&'static str),
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme => f.write_str("the scheme is neither mongodb nor mongodb+srv"),
            Self::TooLong => f.write_str("the connection string is too long"),
            Self::UserInfo => f.write_str("user or password need percent-encoding"),
            Self::Escape => f.write_str("malformed percent-encoding"),
            Self::Host(host) => write!(f, "malformed host {host:?}"),
            Self::Database => f.write_str("malformed database name"),
            Self::OptionWithoutValue(name) => write!(f, "the option {name} has no value"),
            Self::Conflict(what) | Self::Dns(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for UriError {}

impl ConnectionString {
    /// The servers to begin with. Empty for `mongodb+srv://` until [`resolve_srv`](Self::resolve_srv).
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The user's name.
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// The password; `Some("")` when it is there and empty.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The database behind the hosts.
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// What was left out, and why: for a log.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The value of an option by its name as the specification spells it, in any case.
    pub fn option(&self, name: &str) -> Option<&OptionValue> {
        self.options.get(options::canonical_name(name)?)
    }

    /// The options that were given, by the specification's spelling.
    pub fn options(&self) -> impl Iterator<Item = (&'static str, &OptionValue)> {
        self.options.iter().map(|(name, value)| (*name, value))
    }

    /// The value of an option that is true or false.
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.option(name) {
            Some(OptionValue::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    /// The value of an option that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.option(name) {
            Some(OptionValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The value of an option that is a number.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.option(name) {
            Some(OptionValue::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// The time of an option whose name ends in `MS`.
    pub fn millis(&self, name: &str) -> Option<Duration> {
        self.int(name).and_then(|number| u64::try_from(number).ok()).map(Duration::from_millis)
    }

    /// True when the connections are to be under TLS: said so, or by default with `mongodb+srv://`.
    pub fn tls(&self) -> bool {
        self.bool("tls").unwrap_or(self.srv.is_some())
    }

    /// The name of the replica set.
    pub fn replica_set(&self) -> Option<&str> {
        self.text("replicaSet")
    }

    /// True when the one host is to be used whatever it is.
    pub fn direct_connection(&self) -> bool {
        self.bool("directConnection").unwrap_or(false)
    }

    /// Who to authenticate as, if anybody. `None` also for mechanisms that this crate has not: see the option.
    pub fn credential(&self) -> Option<Credential> {
        let name = self.text("authMechanism");
        let mechanism = name.map(Mechanism::from_name);
        let mechanism = match mechanism {
            Some(None) => return None,
            Some(mechanism) => mechanism,
            None => None,
        };
        if self.username.is_none() && mechanism != Some(Mechanism::X509) {
            return None;
        }
        // Specification "Authentication": where a user is known by default depends on the mechanism.
        let external = || Some("$external");
        let source = self.text("authSource").or(match mechanism {
            Some(Mechanism::X509) => external(),
            Some(Mechanism::Plain) => self.database().or_else(external),
            _ => self.database(),
        });
        Some(Credential {
            username: self.username.clone().unwrap_or_default(),
            password: self.password.clone().unwrap_or_default(),
            source: source.unwrap_or("admin").to_owned(),
            mechanism,
        })
    }

    /// A connection's configuration with what the string says. `tls` follows the string; the caller makes it true.
    pub fn config(&self) -> Config {
        self.apply(Config::default())
    }

    /// The same on top of settings of your own: what the string says goes before them.
    pub fn apply(&self, mut config: Config) -> Config {
        config.tls = self.tls();
        config.load_balanced = self.bool("loadBalanced").unwrap_or(config.load_balanced);
        config.credential = self.credential().or(config.credential);
        config.app_name = self.text("appName").map(str::to_owned).or(config.app_name);
        if let Some(OptionValue::List(names)) = self.option("compressors") {
            config.compressors = names.iter().filter_map(|name| Compressor::from_name(name)).collect();
        }
        if let Some(level) = self.int("zlibCompressionLevel").and_then(|level| i32::try_from(level).ok()) {
            config.zlib_level = level;
        }
        if let Some(timeout) = self.millis("connectTimeoutMS").filter(|timeout| !timeout.is_zero()) {
            config.handshake_timeout = timeout;
        }
        config
    }

    /// The name whose SRV records are the hosts; `None` unless the scheme is `mongodb+srv`. The TXT records are those of
    /// [`txt_name`](Self::txt_name).
    pub fn srv_name(&self) -> Option<String> {
        let service = self.text("srvServiceName").unwrap_or("mongodb");
        self.srv.as_ref().map(|host| format!("_{service}._tcp.{host}"))
    }

    /// The name whose TXT record may hold options.
    pub fn txt_name(&self) -> Option<&str> {
        self.srv.as_deref()
    }

    /// Takes what DNS said: the targets and ports of the SRV records, and the text of each TXT record (its strings joined).
    ///
    /// With `srvMaxHosts`, that many hosts are drawn.
    pub fn resolve_srv(
        &mut self,
        records: &[(String, u16)],
        txt: &[String],
        rng: &mut Rng,
    ) -> Result<(), UriError> {
        let Some(srv) = self.srv.clone() else { return Ok(()) };
        if records.is_empty() {
            return Err(UriError::Dns("there are no SRV records"));
        }
        let mut hosts = Vec::with_capacity(records.len());
        for (target, port) in records {
            let host = target.trim_end_matches('.').to_ascii_lowercase();
            if !shares_domain(&srv, &host) {
                return Err(UriError::Dns("an SRV record points out of its domain"));
            }
            hosts.push(Host::Tcp { host, port: Some(*port) });
        }
        match txt {
            [] => {}
            [text] => self.apply_txt(text)?,
            _ => return Err(UriError::Dns("there is more than one TXT record")),
        }
        self.check_conflicts()?;
        let max = self.int("srvMaxHosts").and_then(|max| usize::try_from(max).ok()).unwrap_or(0);
        if max > 0 && max < hosts.len() {
            // Fisher and Yates, as far as is needed.
            for place in 0..max {
                let other = place + rng.below((hosts.len() - place) as u64) as usize;
                hosts.swap(place, other);
            }
            hosts.truncate(max);
        }
        if self.bool("loadBalanced") == Some(true) && hosts.len() > 1 {
            return Err(UriError::Conflict("loadBalanced allows one host"));
        }
        self.hosts = hosts;
        Ok(())
    }

    /// Options of a TXT record; those of the string itself come first.
    fn apply_txt(&mut self, text: &str) -> Result<(), UriError> {
        let mut found = Self { options: BTreeMap::new(), warnings: Vec::new(), ..self.clone() };
        found.parse_options(text)?;
        if !found.warnings.is_empty()
            || found.options.keys().any(|name| !["authSource", "replicaSet", "loadBalanced"].contains(name))
        {
            return Err(UriError::Dns("a TXT record has an option that it may not have"));
        }
        for (name, value) in found.options {
            self.options.entry(name).or_insert(value);
        }
        Ok(())
    }

    fn parse_options(&mut self, text: &str) -> Result<(), UriError> {
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) =
                pair.split_once('=').ok_or_else(|| UriError::OptionWithoutValue(pair.to_owned()))?;
            let value = percent_decode(value)?;
            match options::parse(name, &value) {
                Ok((name, value)) => self.put_option(name, value)?,
                Err(warning) => self.warnings.push(warning),
            }
        }
        Ok(())
    }

    fn put_option(&mut self, name: &'static str, value: OptionValue) -> Result<(), UriError> {
        match (self.options.get_mut(name), value) {
            (Some(OptionValue::Tags(tags)), OptionValue::Tags(more)) => tags.extend(more),
            (Some(old), value) if name == "tls" => {
                if *old != value {
                    return Err(UriError::Conflict("tls and ssl contradict each other"));
                }
            }
            (Some(_), _) => self.warnings.push(format!("{name} is given more than once, the first counts")),
            (None, value) => {
                self.options.insert(name, value);
            }
        }
        Ok(())
    }

    /// Specification "URI Options": what excludes what.
    fn check_conflicts(&self) -> Result<(), UriError> {
        const INSECURE: &str = "tlsInsecure";
        const CERTIFICATES: &str = "tlsAllowInvalidCertificates";
        const REVOCATION: &str = "tlsDisableCertificateRevocationCheck";
        const OCSP: &str = "tlsDisableOCSPEndpointCheck";
        let has = |name: &str| self.options.contains_key(name);
        let conflict = |what| Err(UriError::Conflict(what));
        for (one, two) in [
            (INSECURE, CERTIFICATES),
            (INSECURE, "tlsAllowInvalidHostnames"),
            (INSECURE, REVOCATION),
            (INSECURE, OCSP),
            (CERTIFICATES, REVOCATION),
            (CERTIFICATES, OCSP),
            (REVOCATION, OCSP),
        ] {
            if has(one) && has(two) {
                return conflict("TLS options exclude each other");
            }
        }
        let direct = self.direct_connection();
        let balanced = self.bool("loadBalanced") == Some(true);
        if direct && (self.hosts.len() > 1 || self.srv.is_some()) {
            return conflict("directConnection needs exactly one host");
        }
        if balanced && (self.hosts.len() > 1 || direct || has("replicaSet")) {
            return conflict("loadBalanced excludes several hosts, directConnection and replicaSet");
        }
        if self.srv.is_none() && (has("srvMaxHosts") || has("srvServiceName")) {
            return conflict("srvMaxHosts and srvServiceName need mongodb+srv");
        }
        if self.int("srvMaxHosts").is_some_and(|max| max > 0) && (has("replicaSet") || balanced) {
            return conflict("srvMaxHosts excludes replicaSet and loadBalanced");
        }
        Ok(())
    }
}

impl FromStr for ConnectionString {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if text.len() > MAX_LEN {
            return Err(UriError::TooLong);
        }
        let (is_srv, rest) = match (text.strip_prefix("mongodb://"), text.strip_prefix("mongodb+srv://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(UriError::Scheme),
        };
        // A slash in user, password or socket path is encoded, so the first ends the hosts; it may be left out.
        let end = rest.find('/').or_else(|| rest.find('?')).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (database, query) = rest.split_once('?').unwrap_or((rest, ""));
        let database = percent_decode(database.strip_prefix('/').unwrap_or(database))?;
        if database.contains(['/', '\\', ' ', '"', '$', '\0']) {
            return Err(UriError::Database);
        }
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        let mut string = Self {
            srv: None,
            hosts: Vec::new(),
            username: None,
            password: None,
            database: (!database.is_empty()).then(|| database.into_owned()),
            options: BTreeMap::new(),
            warnings: Vec::new(),
        };
        if let Some(user) = user {
            (string.username, string.password) = parse_user(user)?;
        }
        let mut hosts = hosts.split(',').map(parse_host).collect::<Result<Vec<_>, _>>()?;
        if is_srv {
            match (hosts.pop(), hosts.is_empty()) {
                (Some(Host::Tcp { host, port: None }), true) => string.srv = Some(host),
                _ => return Err(UriError::Host("mongodb+srv has one host and no port".to_owned())),
            }
        }
        string.hosts = hosts;
        string.parse_options(query)?;
        string.check_conflicts()?;
        Ok(string)
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionString")
            .field("srv", &self.srv)
            .field("hosts", &self.hosts)
            .field("username", &self.username)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

fn parse_user(user: &str) -> Result<(Option<String>, Option<String>), UriError> {
    let (name, password) = match user.split_once(':') {
        Some((name, password)) => (name, Some(password)),
        None => (user, None),
    };
    if name.is_empty() || name.contains('@') || password.is_some_and(|password| password.contains([':', '@']))
    {
        return Err(UriError::UserInfo);
    }
    let password = password.map(percent_decode).transpose()?.map(Cow::into_owned);
    Ok((Some(percent_decode(name)?.into_owned()), password))
}

fn parse_host(text: &str) -> Result<Host, UriError> {
    let bad = || UriError::Host(text.chars().take(100).collect());
    let decoded = percent_decode(text)?;
    if decoded.starts_with('/') {
        return if decoded.ends_with(".sock") { Ok(Host::Unix(decoded.into_owned())) } else { Err(bad()) };
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
            host.parse::<core::net::Ipv6Addr>().map_err(|_| bad())?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(bad)?) };
            (host, port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let host = percent_decode(host)?;
    if host.is_empty() || host.contains(['/', ' ', '[', ']', '@', '\0']) {
        return Err(bad());
    }
    let port = match port {
        None => None,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(port.parse().ok().filter(|port| *port != 0).ok_or_else(bad)?)
        }
        Some(_) => return Err(bad()),
    };
    Ok(Host::Tcp { host: host.to_ascii_lowercase(), port })
}

fn percent_decode(text: &str) -> Result<Cow<'_, str>, UriError> {
    if !text.contains('%') {
        return Ok(text.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let (digits, rest) = part.as_bytes().split_at_checked(2).ok_or(UriError::Escape)?;
        let mut byte = [0];
        crate::bson::decode_hex(digits, &mut byte).ok_or(UriError::Escape)?;
        bytes.push(byte[0]);
        bytes.extend_from_slice(rest);
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| UriError::Escape)
}

/// Specification "Initial DNS Seedlist Discovery": a target lies below the parent domain of the name asked for; below the
/// whole name, when that has fewer than three labels.
fn shares_domain(srv: &str, target: &str) -> bool {
    let srv = srv.trim_end_matches('.');
    let labels = srv.split('.').count();
    let domain = if labels < 3 { srv } else { srv.split_once('.').map_or(srv, |(_, parent)| parent) };
    target.strip_suffix(domain).is_some_and(|below| below.len() > 1 && below.ends_with('.'))
}

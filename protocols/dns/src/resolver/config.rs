//! How names are resolved.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use super::{ResolvConf, SearchStyle};
use crate::wire::{Edns, Name};

/// How names are resolved. A value: a running resolver takes another with [`Resolver::replace_config`].
///
/// [`Resolver::replace_config`]: super::Resolver::replace_config
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverConfig {
    /// Recursive servers, the preferred first.
    pub servers: Vec<SocketAddr>,
    /// Suffixes for names that are not absolute.
    pub search: Vec<Name>,
    /// A name with at least so many dots is tried as it is first. Default 1.
    pub ndots: u32,
    /// Whose search rules to follow. Default glibc's.
    pub search_style: SearchStyle,
    /// A name without a dot is never tried as it is. Default false.
    pub no_tld_query: bool,
    /// Ask for AAAA when addresses are looked up. Default true.
    pub ipv6: bool,
    /// How long one server has for one query. Default 5 s.
    pub timeout: Duration,
    /// How often the list of servers is gone through, after a first quick pass in which each has little time. Default 2.
    pub attempts: u32,
    /// How long a whole lookup may take. Default 15 s.
    pub lookup_timeout: Duration,
    /// Begin with another server each time. Default false.
    pub rotate: bool,
    /// Always use TCP. Default false.
    pub tcp_only: bool,
    /// The datagram size that EDNS announces. Default 1232.
    pub udp_payload_size: u16,
    /// Ask for DNSSEC records. Default false.
    pub dnssec_ok: bool,
    /// Send cookies (RFC 7873). Default true.
    pub cookies: bool,
    /// How long a server is left alone after its first failure; twice as long after each more. Default 5 s.
    pub cool_down: Duration,
    /// The longest time a server is left alone. Default 1 minute.
    pub max_cool_down: Duration,
    /// One query in so many is sent to a server that has rested as well; 0 for none. Default 10.
    pub probe_chance: u32,
    /// Answers are kept at least so long. Default 0.
    pub min_ttl: Duration,
    /// Answers are kept at most so long. Default 1 day.
    pub max_ttl: Duration,
    /// The absence of records is kept at least so long. Default 0.
    pub min_negative_ttl: Duration,
    /// The absence of records is kept at most so long. Default 3 hours (RFC 2308 section 5).
    pub max_negative_ttl: Duration,
    /// How many answers are kept. Default 4096; 0 for none.
    pub cache_entries: usize,
    /// Answer from what is out of date when nobody can be asked. Default off.
    pub stale: Option<StaleConfig>,
    /// How many lookups may run at once. Default 10,000.
    pub max_lookups: usize,
}

/// How answers that are out of date are used (RFC 8767).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleConfig {
    /// How long beyond its time an answer may be used. Default 1 day.
    pub max_age: Duration,
    /// How long a lookup waits for the servers before it takes what is out of date. Default 1.8 s.
    pub client_timeout: Duration,
    /// How long the servers are left alone for this name after they have failed. Default 30 s.
    pub retry_after: Duration,
}

impl Default for StaleConfig {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(86_400),
            client_timeout: Duration::from_millis(1800),
            retry_after: Duration::from_secs(30),
        }
    }
}

impl Default for ResolverConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            search_style: SearchStyle::Glibc,
            no_tld_query: false,
            ipv6: true,
            timeout: Duration::from_secs(5),
            attempts: 2,
            lookup_timeout: Duration::from_secs(15),
            rotate: false,
            tcp_only: false,
            udp_payload_size: Edns::DEFAULT_UDP_PAYLOAD_SIZE,
            dnssec_ok: false,
            cookies: true,
            cool_down: Duration::from_secs(5),
            max_cool_down: Duration::from_secs(60),
            probe_chance: 10,
            min_ttl: Duration::ZERO,
            max_ttl: Duration::from_secs(86_400),
            min_negative_ttl: Duration::ZERO,
            max_negative_ttl: Duration::from_secs(3 * 3600),
            cache_entries: 4096,
            stale: None,
            max_lookups: 10_000,
        }
    }
}

impl From<&ResolvConf> for ResolverConfig {
    fn from(conf: &ResolvConf) -> Self {
        Self {
            servers: conf.servers.clone(),
            search: conf.search.clone(),
            ndots: conf.ndots,
            no_tld_query: conf.no_tld_query,
            ipv6: !conf.no_aaaa,
            timeout: conf.timeout,
            attempts: conf.attempts,
            rotate: conf.rotate,
            tcp_only: conf.use_vc,
            ..Self::default()
        }
    }
}

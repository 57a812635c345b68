//! `resolv.conf`, read as glibc reads it.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr, SocketAddrV6};
use core::time::Duration;

use crate::wire::Name;

/// glibc's limits: `MAXNS`, `RES_MAXNDOTS`, `RES_MAXRETRANS`, `RES_MAXRETRY`.
const MAX_SERVERS: usize = 3;
const MAX_NDOTS: u32 = 15;
const MAX_TIMEOUT: u32 = 30;
const MAX_ATTEMPTS: u32 = 5;
/// glibc has no limit since 2.26; somebody has to.
const MAX_SEARCH: usize = 64;

/// What a `resolv.conf` says. Lines and options that are not known are passed over, as everywhere.
///
/// ```
/// use glowplug_dns::resolver::ResolvConf;
/// let conf = ResolvConf::parse(b"nameserver 192.0.2.53\nsearch corp.example example\noptions ndots:2 edns0");
/// assert_eq!((conf.servers.len(), conf.search.len(), conf.ndots), (1, 2, 2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvConf {
    /// `nameserver`, the first three, on port 53.
    pub servers: Vec<SocketAddr>,
    /// `search`, or `domain`, whichever came last.
    pub search: Vec<Name>,
    /// `ndots`: a name with at least so many dots is tried as it is first. Default 1, at most 15.
    pub ndots: u32,
    /// `timeout`: how long one server has. Default 5 s, at most 30.
    pub timeout: Duration,
    /// `attempts`: how often the list of servers is gone through. Default 2, at most 5.
    pub attempts: u32,
    /// `rotate`: begin with another server each time.
    pub rotate: bool,
    /// `use-vc`: always TCP.
    pub use_vc: bool,
    /// `trust-ad`: the path to the servers is safe, so their AD flag means something.
    pub trust_ad: bool,
    /// `no-aaaa`: never ask for AAAA.
    pub no_aaaa: bool,
    /// `edns0`: glibc leaves EDNS out without it; this crate always uses it.
    pub edns0: bool,
    /// `no-tld-query`: a name without a dot is never tried as it is.
    pub no_tld_query: bool,
}

impl Default for ResolvConf {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            use_vc: false,
            trust_ad: false,
            no_aaaa: false,
            edns0: false,
            no_tld_query: false,
        }
    }
}

impl ResolvConf {
    /// Reads the file's text. This cannot fail.
    pub fn parse(text: &[u8]) -> Self {
        let mut conf = Self::default();
        for line in text.split(|b| *b == b'\n') {
            // A comment starts a line; glibc takes no other.
            let Ok(line) = core::str::from_utf8(line) else { continue };
            if line.starts_with([';', '#']) {
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().and_then(server);
                    if conf.servers.len() < MAX_SERVERS {
                        conf.servers.extend(server);
                    }
                }
                Some("search") => {
                    conf.search = words.filter_map(|w| w.parse().ok()).take(MAX_SEARCH).collect();
                }
                Some("domain") => {
                    conf.search = words.next().and_then(|w| w.parse().ok()).into_iter().collect();
                }
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        conf
    }

    fn option(&mut self, word: &str) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let number = || value.parse::<u32>().ok();
        match name {
            "ndots" => self.ndots = number().unwrap_or(0).min(MAX_NDOTS),
            "timeout" => {
                let seconds = number().unwrap_or(0).clamp(1, MAX_TIMEOUT);
                self.timeout = Duration::from_secs(u64::from(seconds));
            }
            "attempts" => self.attempts = number().unwrap_or(0).clamp(1, MAX_ATTEMPTS),
            "rotate" => self.rotate = true,
            "use-vc" => self.use_vc = true,
            "trust-ad" => self.trust_ad = true,
            "no-aaaa" => self.no_aaaa = true,
            "edns0" => self.edns0 = true,
            "no-tld-query" => self.no_tld_query = true,
            _ => {}
        }
    }
}

/// An address, maybe with a numeric zone as in `fe80::1%2`.
fn server(text: &str) -> Option<SocketAddr> {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    match (address.parse().ok()?, zone.parse().ok()?) {
        (IpAddr::V6(address), zone) => Some(SocketAddrV6::new(address, 53, 0, zone).into()),
        (IpAddr::V4(address), 0) => Some(SocketAddr::from((address, 53))),
        _ => None,
    }
}

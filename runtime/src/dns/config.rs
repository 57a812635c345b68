//! How sockets are used, and what the system says.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use glowplug_dns::resolver::{Hosts, ResolvConf, ResolverConfig};
use glowplug_dns::{ClientConfig, UdpConfig};

use super::links::Secured;

/// How a driver uses its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketConfig {
    /// How many UDP sockets of a family take queries at once, each on a port of its own that the system draws. Default 8, at least 1.
    pub sockets: usize,
    /// How many queries go out by one socket before another takes its place. Default 256, at most
    /// [`UdpConfig::max_in_flight`]; 1 is a port of its own for each query, at the cost of a socket for each.
    pub queries_per_socket: u32,
    /// How long one socket takes queries before another takes its place. Default 10 s.
    pub socket_lifetime: Duration,
    /// How queries are sent over UDP.
    pub udp: UdpConfig,
    /// How connections are used.
    pub stream: ClientConfig,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self {
            sockets: 8,
            queries_per_socket: 256,
            socket_lifetime: Duration::from_secs(10),
            udp: UdpConfig::default(),
            stream: ClientConfig::default(),
        }
    }
}

/// Servers that are not asked in the clear.
#[derive(Clone, Default)]
pub(super) struct Upstreams {
    #[cfg(feature = "dns-https")]
    https: std::collections::BTreeMap<SocketAddr, std::sync::Arc<dyn super::https::AskHttps>>,
    #[cfg(feature = "tls")]
    tls: std::collections::BTreeMap<SocketAddr, (String, crate::tls::ClientConfig)>,
}

impl Upstreams {
    #[cfg(feature = "tls")]
    pub(super) fn add_tls(&mut self, server: SocketAddr, name: &str, config: crate::tls::ClientConfig) {
        self.tls.insert(server, (name.to_owned(), config));
    }

    #[cfg(feature = "dns-https")]
    pub(super) fn add_https(
        &mut self,
        server: SocketAddr,
        asker: std::sync::Arc<dyn super::https::AskHttps>,
    ) {
        self.https.insert(server, asker);
    }

    /// What asks the servers of HTTPS; they are gone from here.
    #[cfg(feature = "dns-https")]
    pub(super) fn take_web(&mut self) -> super::https::Web {
        super::https::Web::new(std::mem::take(&mut self.https))
    }

    #[cfg(feature = "tls")]
    pub(super) fn is_secure(&self, server: SocketAddr) -> bool {
        self.tls.contains_key(&server)
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "the same signature as with TLS")]
    pub(super) fn is_secure(&self, _server: SocketAddr) -> bool {
        false
    }

    /// Puts a fresh stream to `server` under what it is to be under.
    #[cfg(feature = "tls")]
    pub(super) fn secure<S: crate::Transport>(
        &self,
        server: SocketAddr,
        stream: S,
    ) -> io::Result<Secured<S>> {
        Ok(match self.tls.get(&server) {
            Some((name, config)) => Secured::Tls(Box::new(crate::tls::Tls::client(stream, config, name)?)),
            None => Secured::Plain(stream),
        })
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same signature as with TLS")]
    pub(super) fn secure<S>(&self, _server: SocketAddr, stream: S) -> io::Result<Secured<S>> {
        Ok(Secured::Plain(stream))
    }
}

/// Reads `/etc/resolv.conf` and `/etc/hosts`. Files that are not there are empty; without a name server the one of this machine is
/// asked, as the C library does it.
///
/// It reads two small files and blocks for as long as that takes.
pub fn system_config() -> io::Result<(ResolverConfig, Hosts)> {
    config_of(Path::new("/etc/resolv.conf"), Path::new("/etc/hosts"))
}

/// As [`system_config`], with files of your own.
pub fn config_of(resolv_conf: &Path, hosts: &Path) -> io::Result<(ResolverConfig, Hosts)> {
    let mut config = ResolverConfig::from(&ResolvConf::parse(&read(resolv_conf)?));
    if config.servers.is_empty() {
        config.servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
    }
    Ok((config, Hosts::parse(&read(hosts)?)))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result,
    }
}

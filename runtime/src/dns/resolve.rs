//! The resolver as what any client's builder may choose.

use std::io;
use std::net::SocketAddr;

use glowplug_dns::ExchangeError;
use glowplug_dns::resolver::LookupError;

use super::{LookupIp, Remote, Resolver};
use crate::dial::Resolve;
use crate::{BoxFuture, Runtime};

/// A lookup of addresses for somebody who is going to connect.
async fn addresses(lookup: LookupIp, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = lookup.await.map_err(io_error)?;
    Ok(found.iter().map(|address| SocketAddr::new(address, port)).collect())
}

/// The kind says whether the name does not exist or could not be asked about.
fn io_error(error: LookupError) -> io::Error {
    let kind = match &error {
        LookupError::NoSuchName | LookupError::NoRecords => io::ErrorKind::NotFound,
        LookupError::TimedOut | LookupError::Exchange(ExchangeError::TimedOut) => io::ErrorKind::TimedOut,
        LookupError::BadName(_) => io::ErrorKind::InvalidInput,
        LookupError::Malformed(_) | LookupError::AliasLoop => io::ErrorKind::InvalidData,
        LookupError::Exchange(_) => io::ErrorKind::HostUnreachable,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl<R: Runtime + Send + Sync> Resolve for Resolver<R> {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        Box::pin(addresses(self.lookup_ip(host), port))
    }
}

impl Resolve for Remote {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        Box::pin(addresses(self.lookup_ip(host), port))
    }
}

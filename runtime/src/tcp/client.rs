//! The client's side.

use super::Connection;
use crate::Runtime;
use crate::dial::{DialError, Dialer};

/// Connects to `host`, a name or a literal address, within 10 s.
///
/// For TLS, a Unix socket, another deadline or another resolver, ask a [`Dialer`] and hand its stream to [`Connection::new`]. Dropping
/// the future closes what was begun.
///
/// ```ignore
/// let mut connection = tcp::connect(&Smol::default(), "example.org", 7000).await?;
/// let dialer = Dialer::new(Smol::default()).timeout(Some(Duration::from_secs(3)));
/// let mut secure = tcp::Connection::new(Smol::default(), dialer.tls("example.org", 7443).await?);
/// ```
pub async fn connect<R: Runtime>(runtime: &R, host: &str, port: u16) -> Result<Connection<R>, DialError> {
    let stream = Dialer::new(runtime.clone()).tcp(host, port).await?;
    Ok(Connection::new(runtime.clone(), stream))
}

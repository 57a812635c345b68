//! TLS over any transport, written once.
//!
//! rustls is itself without I/O, so one wrapper serves every executor. Certificates are verified by the operating system's roots
//! unless the configuration says otherwise; there is no switch that turns verification off.

use std::fmt;
use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use glowplug_core::SendBuf;
pub use rustls;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName};

use crate::Transport;

/// How a client speaks TLS. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientConfig(Arc<rustls::ClientConfig>);

impl ClientConfig {
    /// Servers are verified by the operating system's roots. The cryptography is ring's; for another provider or for client
    /// certificates, make a `rustls::ClientConfig` and convert it.
    pub fn platform() -> Result<Self, rustls::Error> {
        use rustls_platform_verifier::BuilderVerifierExt;
        let config = rustls::ClientConfig::builder_with_provider(ring())
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Servers are verified by these roots alone.
    pub fn with_roots(
        roots: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, rustls::Error> {
        let mut store = rustls::RootCertStore::empty();
        for root in roots {
            store.add(root)?;
        }
        let config = rustls::ClientConfig::builder_with_provider(ring())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Offers these application protocols (ALPN), best first.
    pub fn alpn(self, protocols: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        let mut config = Arc::unwrap_or_clone(self.0);
        config.alpn_protocols = protocols.into_iter().map(Into::into).collect();
        Self(Arc::new(config))
    }
}

impl From<Arc<rustls::ClientConfig>> for ClientConfig {
    fn from(config: Arc<rustls::ClientConfig>) -> Self {
        Self(config)
    }
}

/// How a server speaks TLS. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerConfig(Arc<rustls::ServerConfig>);

impl ServerConfig {
    /// The server shows this chain, leaf first, and asks clients for none.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let config = rustls::ServerConfig::builder_with_provider(ring())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(Self(Arc::new(config)))
    }

    /// Accepts these application protocols (ALPN), best first.
    pub fn alpn(self, protocols: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        let mut config = Arc::unwrap_or_clone(self.0);
        config.alpn_protocols = protocols.into_iter().map(Into::into).collect();
        Self(Arc::new(config))
    }
}

impl From<Arc<rustls::ServerConfig>> for ServerConfig {
    fn from(config: Arc<rustls::ServerConfig>) -> Self {
        Self(config)
    }
}

/// The cryptography of ring, which the configurations here are made with.
pub fn ring() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The cryptography of AWS-LC, for configurations of your own.
#[cfg(feature = "aws-lc-rs")]
pub fn aws_lc_rs() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// [`Transport::poll_read`] or [`Transport::poll_look`].
type Read<T> = fn(&mut T, &mut Context<'_>, &mut BytesMut) -> Poll<io::Result<usize>>;

/// A byte stream under TLS.
pub struct Tls<T> {
    transport: T,
    session: rustls::Connection,
    /// Ciphertext that came and was not processed yet.
    incoming: BytesMut,
    /// Ciphertext that the transport has not taken yet.
    outgoing: SendBuf,
    /// The peer's stream has ended, by TLS or below it.
    eof: bool,
}

impl<T: Transport> Tls<T> {
    /// The client's side. The handshake happens on first use, or with [`handshake`](Self::handshake).
    pub fn client(transport: T, config: &ClientConfig, server: &str) -> io::Result<Self> {
        let name = ServerName::try_from(server.to_owned())
            .map_err(|error: InvalidDnsNameError| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let session = rustls::ClientConnection::new(config.0.clone(), name).map_err(io::Error::other)?;
        Ok(Self::new(transport, session.into(), BytesMut::new()))
    }

    /// The server's side. The handshake happens on first use, or with [`handshake`](Self::handshake).
    pub fn server(transport: T, config: &ServerConfig) -> io::Result<Self> {
        let session = rustls::ServerConnection::new(config.0.clone()).map_err(io::Error::other)?;
        Ok(Self::new(transport, session.into(), BytesMut::new()))
    }

    fn new(transport: T, session: rustls::Connection, incoming: BytesMut) -> Self {
        Self { transport, session, incoming, outgoing: SendBuf::new(), eof: false }
    }

    /// Completes the handshake. Give it a deadline with [`within`](crate::time::within): a peer may stall for ever. On any error, drop
    /// the stream; that closes the socket.
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn handshake(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_handshake(cx)).await
    }

    /// The application protocol that both sides agreed on (ALPN), once the handshake is done.
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.session.alpn_protocol()
    }

    /// The rustls session, for what this wrapper has no word for.
    pub fn session(&self) -> &rustls::Connection {
        &self.session
    }

    /// [`handshake`](Self::handshake) as a poll function.
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.is_handshaking() {
            ready!(self.poll_send(cx))?;
            if !self.session.is_handshaking() {
                break;
            }
            ready!(self.poll_receive(cx, T::poll_read))?;
            if self.eof && self.session.is_handshaking() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        self.poll_send(cx)
    }

    /// Hands the session's ciphertext to the transport.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while self.session.wants_write() && self.outgoing.has_room() {
                let mut writer = ScratchWriter(self.outgoing.scratch());
                self.session.write_tls(&mut writer)?;
            }
            if self.outgoing.is_empty() {
                return self.transport.poll_flush(cx);
            }
            ready!(self.transport.poll_write(cx, &mut self.outgoing))?;
        }
    }

    /// Reads ciphertext once, by `read`, and lets the session process it.
    fn poll_receive(&mut self, cx: &mut Context<'_>, read: Read<T>) -> Poll<io::Result<()>> {
        if self.incoming.is_empty() && ready!(read(&mut self.transport, cx, &mut self.incoming))? == 0 {
            self.eof = true;
            self.session.read_tls(&mut io::empty())?;
            return Poll::Ready(Ok(()));
        }
        while !self.incoming.is_empty() {
            let taken = self.session.read_tls(&mut &self.incoming[..])?;
            self.incoming.advance(taken);
            match self.session.process_new_packets() {
                Ok(state) if state.peer_has_closed() => {
                    // RFC 8446 §6.1: what comes after a close_notify is ignored.
                    self.incoming.clear();
                    self.eof = true;
                }
                // The session takes no more ciphertext until its plaintext is read.
                Ok(state) if state.plaintext_bytes_to_read() > 0 => break,
                Ok(_) => {}
                Err(error) => {
                    // The alert tells the peer why, as far as the transport takes it at once.
                    let _ = self.poll_send(cx);
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads plaintext, the ciphertext for it by `read`.
    fn poll_plaintext(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut BytesMut,
        read: Read<T>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match take_plaintext(&mut self.session.reader(), buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
            // Handshake messages and key updates have to go out whether or not anybody writes.
            if (self.session.wants_write() || !self.outgoing.is_empty())
                && let Poll::Ready(Err(error)) = self.poll_send(cx)
            {
                return Poll::Ready(Err(error));
            }
            ready!(self.poll_receive(cx, read))?;
        }
    }
}

impl<T: Transport> Transport for Tls<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        self.poll_plaintext(cx, buf, T::poll_read)
    }

    fn poll_look(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        self.poll_plaintext(cx, buf, T::poll_look)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut SendBuf) -> Poll<io::Result<usize>> {
        ready!(self.poll_handshake(cx))?;
        let mut taken = 0;
        while !out.is_empty() {
            let n = self.session.writer().write(out.chunk())?;
            if n == 0 {
                break;
            }
            out.advance(n);
            taken += n;
        }
        // What was taken in is ours to send: a transport that is busy now is asked again by the next write or flush.
        match self.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending if taken == 0 => Poll::Pending,
            _ => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.send_close_notify();
        ready!(self.poll_send(cx))?;
        self.transport.poll_shutdown(cx)
    }

    fn prefer_readiness(&mut self) {
        self.transport.prefer_readiness();
    }
}

impl<T: fmt::Debug> fmt::Debug for Tls<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("transport", &self.transport)
            .field("eof", &self.eof)
            .finish_non_exhaustive()
    }
}

/// Appends all the plaintext that is there to `buf` and says how much; 0 is the end that the peer has told.
fn take_plaintext(reader: &mut rustls::Reader<'_>, buf: &mut BytesMut) -> io::Result<usize> {
    let mut taken = 0;
    loop {
        match reader.fill_buf() {
            Ok([]) => return Ok(taken),
            Ok(chunk) => {
                let len = chunk.len();
                buf.extend_from_slice(chunk);
                reader.consume(len);
                taken += len;
            }
            // Whatever it is comes again on the next call.
            Err(_) if taken > 0 => return Ok(taken),
            Err(error) => return Err(error),
        }
    }
}

/// Lets rustls write into a `BytesMut`.
struct ScratchWriter<'b>(&'b mut BytesMut);

impl Write for ScratchWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

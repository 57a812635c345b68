//! Certificates that a connection string names.

use std::io;
use std::sync::Arc;

use glowplug_mongodb::ConnectionString;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::ConnectError;
use crate::tls::{ClientConfig, ring};

/// The configuration that `tlsCAFile` and `tlsCertificateKeyFile` ask for; none when neither is named.
pub(super) fn config(string: &ConnectionString) -> Result<Option<ClientConfig>, ConnectError> {
    let (roots, identity) = (string.text("tlsCAFile"), string.text("tlsCertificateKeyFile"));
    if roots.is_none() && identity.is_none() {
        return Ok(None);
    }
    read(roots, identity).map(Some).map_err(ConnectError::Certificate)
}

fn read(roots: Option<&str>, identity: Option<&str>) -> io::Result<ClientConfig> {
    let builder = rustls::ClientConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = match roots {
        Some(path) => {
            let mut store = rustls::RootCertStore::empty();
            for root in certificates(path)? {
                store.add(root).map_err(io::Error::other)?;
            }
            builder.with_root_certificates(store)
        }
        None => {
            use rustls_platform_verifier::BuilderVerifierExt;
            builder.with_platform_verifier().map_err(io::Error::other)?
        }
    };
    let config = match identity {
        Some(path) => {
            let key = PrivateKeyDer::from_pem_file(path).map_err(io::Error::other)?;
            builder.with_client_auth_cert(certificates(path)?, key).map_err(io::Error::other)?
        }
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config).into())
}

fn certificates(path: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{path}: {error}")))
}

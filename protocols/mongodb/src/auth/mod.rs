//! Who we are, and how that is proved.

mod scram;

#[cfg(test)]
mod tests;

use core::fmt;

pub use scram::{ScramClient, ScramError, ScramHash, ScramKeys, ScramServer, StoredKeys};

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// RFC 5802 with SHA-1, and a password that is MD5 of `user:mongo:password`.
    ScramSha1,
    /// RFC 7677, with a password prepared by RFC 4013 (SASLprep).
    ScramSha256,
    /// The certificate of the TLS connection.
    X509,
    /// RFC 4616: the password in clear text. Only over TLS.
    Plain,
}

impl Mechanism {
    /// The name on the wire and in connection strings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::X509 => "MONGODB-X509",
            Self::Plain => "PLAIN",
        }
    }

    /// The mechanism of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::ScramSha1, Self::ScramSha256, Self::X509, Self::Plain]
            .into_iter()
            .find(|known| known.name() == name)
    }

    /// The hash of a SCRAM mechanism.
    pub const fn scram_hash(self) -> Option<ScramHash> {
        match self {
            Self::ScramSha1 => Some(ScramHash::Sha1),
            Self::ScramSha256 => Some(ScramHash::Sha256),
            Self::X509 | Self::Plain => None,
        }
    }
}

/// A name, its password, and where it is known. `Debug` keeps the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Which user; empty for a certificate that says it itself.
    pub username: String,
    /// The password; empty with a certificate.
    pub password: String,
    /// The database that knows the user: `$external` for certificates and PLAIN, else usually `admin`.
    pub source: String,
    /// How to prove it; `None` takes SCRAM, with SHA-256 where the server has it for this user.
    pub mechanism: Option<Mechanism>,
}

impl Credential {
    /// A user with a password, known to `admin`.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: password.into(), source: "admin".into(), mechanism: None }
    }

    /// The user of the TLS connection's certificate.
    pub fn x509() -> Self {
        Self {
            username: String::new(),
            password: String::new(),
            source: "$external".into(),
            mechanism: Some(Mechanism::X509),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("username", &self.username)
            .field("password", &"..")
            .field("source", &self.source)
            .field("mechanism", &self.mechanism)
            .finish()
    }
}

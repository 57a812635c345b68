//! Why a driven connection is over.

use std::error::Error;
use std::fmt;
use std::io;

/// Why a driven connection is over.
#[derive(Debug)]
#[non_exhaustive]
pub enum DriverError<E> {
    /// The transport failed.
    Io(io::Error),
    /// The protocol machine ended the connection.
    Protocol(E),
}

impl<E> fmt::Display for DriverError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Io(_) => "the transport failed",
            Self::Protocol(_) => "the protocol ended the connection",
        })
    }
}

impl<E: Error + 'static> Error for DriverError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(match self {
            Self::Io(error) => error,
            Self::Protocol(error) => error,
        })
    }
}

impl<E> From<io::Error> for DriverError<E> {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

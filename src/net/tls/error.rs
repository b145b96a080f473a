//! Why TLS could not be prepared or agreed.

use std::io;

use rustls::Error;

use super::roots::Unread;
use crate::net::TimedOut;
use crate::net::x509::VerifyError;
use crate::reason::Reason;

/// Why TLS could not be prepared or agreed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of the configuration cannot be read; the text says which and why.
    #[error("{0}")]
    Unreadable(String),
    /// A file of the configuration has been read and cannot be used.
    #[error("{reason} (file {path})")]
    File {
        /// Its path.
        path: String,
        /// Why not, and what for it was wanted.
        reason: String,
    },
    /// Something else in the configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// The certificate is not trusted, has expired, is for another name, ….
    #[error("tls: failed to verify certificate: {0}")]
    Verification(VerifyError),
    /// The handshake failed; the text says how, in Go's words where Go has them.
    #[error("{0}")]
    Handshake(String),
    /// No version in common; the text says which ones.
    #[error("{0}")]
    Version(String),
    /// The deadline, while the files of the configuration were read.
    #[error("reading {what}: {timed_out}")]
    Unread {
        /// What was waited for.
        what: String,
        /// The probe's whole timeout.
        timed_out: TimedOut,
    },
    /// This machine had none left of what reading the system's CA certificates takes.
    #[error("reading the system's CA certificates: {0}")]
    NoRoots(Unread),
    /// The deadline.
    #[error("TLS handshake: {progress}: {timed_out}")]
    TimedOut {
        /// The probe's whole timeout.
        timed_out: TimedOut,
        /// How far the handshake had come.
        progress: &'static str,
    },
}

impl TlsError {
    /// Its place among the reasons of failures.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unreadable(_) | Self::Unread { .. } => Reason::FileError,
            Self::File { .. } | Self::Config(_) => Reason::ConfigError,
            Self::NoRoots(unread) => match unread.resource() {
                Some(_) => Reason::OutOfResources,
                None => Reason::Other,
            },
            Self::Verification(VerifyError::Expired { .. }) => Reason::TlsCertExpired,
            Self::Verification(VerifyError::NotYetValid { .. }) => Reason::TlsCertNotYetValid,
            Self::Verification(VerifyError::Hostname(_)) => Reason::TlsCertName,
            Self::Verification(_) => Reason::TlsCertUntrusted,
            Self::Version(_) => Reason::TlsVersion,
            Self::Handshake(_) | Self::TimedOut { .. } => Reason::TlsHandshake,
        }
    }
}

/// What rustls says is wrong, of an error of a TLS stream or handshake.
pub fn by_rustls(error: &io::Error) -> Option<&Error> {
    let inner = error.get_ref()?;
    // Libraries wrap one error of the system's kind into another.
    inner.downcast_ref().or_else(|| by_rustls(inner.downcast_ref()?))
}

//! Why TLS could not be prepared or agreed.

use std::fmt;

use crate::net::TimedOut;
use crate::net::x509::VerifyError;
use crate::reason::Reason;

/// Why TLS could not be prepared or agreed.
#[derive(Clone, Debug)]
pub enum TlsError {
    /// A file of the configuration cannot be used.
    File {
        /// Its path.
        path: String,
        /// Why not, and what for it was wanted.
        reason: String,
    },
    /// Something else in the configuration cannot be used.
    Config(String),
    /// The certificate is not trusted, has expired, is for another name, ….
    Verification(VerifyError),
    /// The handshake failed; the text says how, in Go's words where Go has them.
    Handshake(String),
    /// No version in common; the text says which ones.
    Version(String),
    /// The deadline, while the files of the configuration were read.
    Unread {
        /// What was waited for.
        what: String,
        /// The probe's whole timeout.
        timed_out: TimedOut,
    },
    /// The deadline.
    TimedOut {
        /// The probe's whole timeout.
        timed_out: TimedOut,
        /// How far the handshake had come.
        progress: &'static str,
    },
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, reason } => write!(f, "{reason} (file {path})"),
            Self::Config(reason) | Self::Handshake(reason) | Self::Version(reason) => f.write_str(reason),
            Self::Verification(error) => write!(f, "tls: failed to verify certificate: {error}"),
            Self::Unread { what, timed_out } => write!(f, "reading {what}: {timed_out}"),
            Self::TimedOut { timed_out, progress } => write!(f, "TLS handshake: {progress}: {timed_out}"),
        }
    }
}

impl std::error::Error for TlsError {}

impl TlsError {
    /// Its place among the reasons of failures.
    pub fn reason(&self) -> Reason {
        match self {
            Self::File { .. } | Self::Unread { .. } => Reason::FileError,
            Self::Config(_) => Reason::ConfigError,
            Self::Verification(VerifyError::Expired { .. }) => Reason::TlsCertExpired,
            Self::Verification(VerifyError::NotYetValid { .. }) => Reason::TlsCertNotYetValid,
            Self::Verification(VerifyError::Hostname(_)) => Reason::TlsCertName,
            Self::Verification(_) => Reason::TlsCertUntrusted,
            Self::Version(_) => Reason::TlsVersion,
            Self::Handshake(_) | Self::TimedOut { .. } => Reason::TlsHandshake,
        }
    }
}

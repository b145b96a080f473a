//! Why a round trip brought no answer. Texts begin as Go's do, then say more.

use crate::net::TimedOut;
use crate::net::http1::ExchangeError;
use crate::net::http2::Http2Error;
use crate::net::http3::Http3Error;
use crate::net::oauth2::OAuth2Error;
use crate::net::proxy::CgiRefused;
use crate::net::tls::TlsError;
use crate::net::url::PunycodeError;
use crate::prober::connect::error::ConnectError;
use crate::reason::Reason;

/// Why a round trip brought no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::prober) enum RoundTripError {
    /// Something of the request cannot be sent.
    #[error("{0}")]
    Request(String),
    /// A credential, secret or header file cannot be had.
    #[error("{0}")]
    Credentials(String),
    #[error("{0}")]
    OAuth2(OAuth2Error),
    #[error("{0}")]
    Host(PunycodeError),
    #[error("{0}")]
    Cgi(CgiRefused),
    #[error("{0}")]
    Connect(ConnectError),
    #[error("{0}")]
    Tls(TlsError),
    #[error("{0}")]
    Http1(ExchangeError),
    #[error("{0}")]
    Http2(Http2Error),
    #[error("http3: {0}")]
    Http3(Http3Error),
    #[error("context deadline exceeded: {timed_out} while {step}")]
    TimedOut {
        /// What was waited for.
        step: String,
        timed_out: TimedOut,
    },
}

impl RoundTripError {
    /// Its place among the reasons of failures.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Request(_) | Self::Host(_) | Self::Cgi(_) => Reason::ConfigError,
            Self::Credentials(_) => Reason::FileError,
            Self::OAuth2(_) => Reason::AuthToken,
            Self::Connect(error) => error.reason(),
            Self::Tls(error) => error.reason(),
            Self::Http1(error) => error.into(),
            Self::Http2(error) => error.into(),
            Self::Http3(error) => error.into(),
            Self::TimedOut { .. } => Reason::RequestTimeout,
        }
    }
}

//! Why a round trip brought no answer. Texts begin as Go's do, then say more.

use std::fmt;

use crate::net::TimedOut;
use crate::net::http1::ExchangeError;
use crate::net::http2::Http2Error;
use crate::net::http3::Http3Error;
use crate::net::oauth2::OAuth2Error;
use crate::net::proxy::CgiRefused;
use crate::net::tls::TlsError;
use crate::net::url::PunycodeError;
use crate::prober::connect::ConnectError;
use crate::reason::Reason;

/// Why a round trip brought no answer.
#[derive(Debug)]
pub(in crate::prober) enum RoundTripError {
    /// Something of the request cannot be sent.
    Request(String),
    /// A credential, secret or header file cannot be had.
    Credentials(String),
    OAuth2(OAuth2Error),
    Host(PunycodeError),
    Cgi(CgiRefused),
    Connect(ConnectError),
    Tls(TlsError),
    Http1(ExchangeError),
    Http2(Http2Error),
    Http3(Http3Error),
    TimedOut {
        /// What was waited for.
        step: String,
        timed_out: TimedOut,
    },
}

impl fmt::Display for RoundTripError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(text) | Self::Credentials(text) => f.write_str(text),
            Self::OAuth2(error) => error.fmt(f),
            Self::Host(error) => error.fmt(f),
            Self::Cgi(error) => error.fmt(f),
            Self::Connect(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Http1(error) => error.fmt(f),
            Self::Http2(error) => error.fmt(f),
            Self::Http3(error) => write!(f, "http3: {error}"),
            Self::TimedOut { step, timed_out } => {
                write!(f, "context deadline exceeded: {timed_out} while {step}")
            }
        }
    }
}

impl std::error::Error for RoundTripError {}

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

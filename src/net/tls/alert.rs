//! Alerts: what a peer says before it ends a TLS connection (RFC 8446, section 6).

use std::io;

use rustls::{AlertDescription, Error};

use super::error::by_rustls;

/// An alert that came after the handshake, as the inner error of an [`io::Error`], with the error of rustls that it was.
#[derive(Debug, thiserror::Error)]
#[error("{}", words(*.0, true))]
struct Alert(AlertDescription, #[source] Error);

/// An error of a TLS stream, an alert in Go's words.
pub(super) fn worded(error: io::Error) -> io::Error {
    match by_rustls(&error) {
        Some(told @ Error::AlertReceived(alert)) => io::Error::new(error.kind(), Alert(*alert, told.clone())),
        _ => error,
    }
}

/// The alert that an error of a TLS stream is, if it is one.
pub fn alert_of(error: &io::Error) -> Option<u8> {
    let alert = error.get_ref().and_then(|inner| inner.downcast_ref::<Alert>());
    alert.map(|alert| alert.0.into())
}

/// An alert in Go's words, with what it means where they do not say; `agreed` once the server has presented its certificate.
pub(super) fn words(alert: AlertDescription, agreed: bool) -> String {
    let code = u8::from(alert);
    let hint = match alert {
        AlertDescription::HandshakeFailure if agreed => {
            ": the server demands a client certificate, or refused this one"
        }
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            ": probably no cipher suite or key exchange in common (this program offers only suites with ECDHE, and of those with \
             CBC only AES with SHA-1)"
        }
        AlertDescription::ProtocolVersion => {
            ": no protocol version in common (this program speaks TLS 1.2 and TLS 1.3, as far as tls_config allows)"
        }
        AlertDescription::UnrecognisedName => {
            ": the server does not know the name that was sent as SNI, or demands one"
        }
        _ => "",
    };
    match name(code) {
        Some(name) => format!("remote error: tls: {name}{hint}"),
        None => format!("remote error: tls: alert({code}){hint}"),
    }
}

/// Go's names of alerts.
fn name(code: u8) -> Option<&'static str> {
    Some(match code {
        0 => "close notify",
        10 => "unexpected message",
        20 => "bad record MAC",
        21 => "decryption failed",
        22 => "record overflow",
        30 => "decompression failure",
        40 => "handshake failure",
        42 => "bad certificate",
        43 => "unsupported certificate",
        44 => "revoked certificate",
        45 => "expired certificate",
        46 => "unknown certificate",
        47 => "illegal parameter",
        48 => "unknown certificate authority",
        49 => "access denied",
        50 => "error decoding message",
        51 => "error decrypting message",
        60 => "export restriction",
        70 => "protocol version not supported",
        71 => "insufficient security level",
        80 => "internal error",
        86 => "inappropriate fallback",
        90 => "user canceled",
        100 => "no renegotiation",
        109 => "missing extension",
        110 => "unsupported extension",
        111 => "certificate unobtainable",
        112 => "unrecognized name",
        113 => "bad certificate status response",
        114 => "bad certificate hash value",
        115 => "unknown PSK identity",
        116 => "certificate required",
        120 => "no application protocol",
        121 => "encrypted client hello required",
        _ => return None,
    })
}

//! The status of a call: its code, and how grpc-go comes to it.

use std::fmt;

use crate::reason::Reason;

/// A code of gRPC; servers may send numbers without a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub u32);

#[allow(missing_docs)]
impl Code {
    pub const OK: Self = Self(0);
    const CANCELLED: Self = Self(1);
    pub const UNKNOWN: Self = Self(2);
    pub const DEADLINE_EXCEEDED: Self = Self(4);
    pub const PERMISSION_DENIED: Self = Self(7);
    pub const RESOURCE_EXHAUSTED: Self = Self(8);
    pub const UNIMPLEMENTED: Self = Self(12);
    pub const INTERNAL: Self = Self(13);
    pub const UNAVAILABLE: Self = Self(14);
    pub const UNAUTHENTICATED: Self = Self(16);

    /// The code for an answer that is HTTP but not gRPC.
    pub fn of_http(status: i64) -> Self {
        match status {
            400 => Self::INTERNAL,
            401 => Self::UNAUTHENTICATED,
            403 => Self::PERMISSION_DENIED,
            404 => Self::UNIMPLEMENTED,
            429 | 502..=504 => Self::UNAVAILABLE,
            _ => Self::UNKNOWN,
        }
    }

    /// The code for a stream that was reset with this error (RFC 9113, section 7).
    pub fn of_reset(error: u32) -> Self {
        match error {
            // FLOW_CONTROL_ERROR, ENHANCE_YOUR_CALM.
            3 | 11 => Self::RESOURCE_EXHAUSTED,
            // REFUSED_STREAM.
            7 => Self::UNAVAILABLE,
            // CANCEL.
            8 => Self::CANCELLED,
            // INADEQUATE_SECURITY.
            12 => Self::PERMISSION_DENIED,
            14.. => Self::UNKNOWN,
            _ => Self::INTERNAL,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 17] = [
            "OK",
            "Canceled",
            "Unknown",
            "InvalidArgument",
            "DeadlineExceeded",
            "NotFound",
            "AlreadyExists",
            "PermissionDenied",
            "ResourceExhausted",
            "FailedPrecondition",
            "Aborted",
            "OutOfRange",
            "Unimplemented",
            "Internal",
            "Unavailable",
            "DataLoss",
            "Unauthenticated",
        ];
        match usize::try_from(self.0).ok().and_then(|code| NAMES.get(code)) {
            Some(name) => f.write_str(name),
            None => write!(f, "Code({})", self.0),
        }
    }
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rpc error: code = {code} desc = {message}")]
pub struct GrpcStatus {
    /// The code, from the server or from what went wrong on the way.
    pub code: Code,
    /// What the server said, or what went wrong.
    pub message: String,
    /// Its place among the reasons of failures.
    pub reason: Reason,
    /// The status of HTTP, if the response is not gRPC.
    pub http: Option<u16>,
    /// The alert that ended the TLS connection, if it was one.
    pub alert: Option<u8>,
}

impl GrpcStatus {
    /// A status made here.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            reason: match code {
                Code::DEADLINE_EXCEEDED => Reason::RequestTimeout,
                _ => Reason::GrpcStatus,
            },
            http: None,
            alert: None,
        }
    }

    /// The same for a reason that is not the server's word.
    pub fn because(self, reason: Reason) -> Self {
        Self { reason, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_statuses() {
        let rows = [
            (200, 2),
            (204, 2),
            (302, 2),
            (400, 13),
            (401, 16),
            (403, 7),
            (404, 12),
            (405, 2),
            (418, 2),
        ];
        let more = [(429, 14), (500, 2), (502, 14), (503, 14), (504, 14), (505, 2)];
        for (status, code) in rows.into_iter().chain(more) {
            assert_eq!(Code::of_http(status), Code(code), "{status}");
        }
    }

    #[test]
    fn reset_reasons() {
        for (reason, code) in (0..15).zip([13, 13, 13, 8, 13, 13, 13, 14, 1, 13, 13, 8, 7, 13, 2]) {
            assert_eq!(Code::of_reset(reason), Code(code), "{reason}");
        }
    }
}

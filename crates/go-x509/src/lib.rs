#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod algorithm;
mod certificate;
mod chain;
mod constraints;
mod der;
mod error;
mod extensions;
mod facts;
mod hostname;
mod legacy;
mod name;
mod name_constraints;
mod ocsp;
mod parsed;
mod pem;
mod policy;
mod pool;
mod recent;
mod revocation;
mod signature;
mod time;
mod uri;
mod verified;

pub use algorithm::MAX_RSA_BITS;
pub use certificate::Certificate;
pub use chain::{Judge, Purpose, Verdict};
pub use error::{Hint, ParseError, VerifyError};
pub use hostname::parse_ip;
pub use ocsp::{OcspAnswer, OcspError, OcspResponse, OcspStatus, ocsp_request};
pub use pem::{Block, blocks};
pub use pool::Pool;
pub use revocation::{Revocation, RevocationList};
pub use signature::HANDSHAKE_SCHEMES;
pub use signature::{HandshakeSignatureError, handshake_signature};

/// A part of a certificate: where it stands in the DER form. Cheaper to keep than a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: u32,
    length: u32,
}

impl Span {
    /// Positions beyond 4 GiB do not occur: a certificate is at most as long as a TLS handshake message.
    fn new(start: usize, length: usize) -> Self {
        Self {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            length: u32::try_from(length).unwrap_or(0),
        }
    }

    fn start(self) -> usize {
        self.start as usize
    }

    /// The bytes at this place of `der`.
    fn of(self, der: &[u8]) -> &[u8] {
        let start = self.start();
        der.get(start..start + self.length as usize).unwrap_or_default()
    }
}

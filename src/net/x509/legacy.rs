//! Old keys that aws-lc-rs does not verify with, and Go does: RSA below 2048 bits with PSS or SHA-384, RSA above 8192 bits, P-224.

use super::signature::{Algorithm, Hash};

/// RSA (RFC 8017, sections 8.1.2 and 8.2.2).
pub(super) fn rsa(
    _modulus: &[u8],
    _exponent: i64,
    _algorithm: Algorithm,
    _message: &[u8],
    _signature: &[u8],
) -> bool {
    false
}

/// ECDSA (FIPS 186-5, section 6.4.2) on P-224.
pub(super) fn ecdsa_p224(_point: &[u8], _hash: Hash, _message: &[u8], _signature: &[u8]) -> bool {
    false
}

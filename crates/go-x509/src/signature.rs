//! Signatures on certificates and handshakes: their verification by aws-lc-rs over the raw key.

use std::fmt;

use aws_lc_rs::signature as aws;
use aws_lc_rs::signature::{UnparsedPublicKey, VerificationAlgorithm};
use rustls::SignatureScheme;

use super::algorithm::{Algorithm, Curve, Hash, MAX_RSA_BITS};
use super::certificate::{Certificate, PublicKey};
use super::error::SignatureError;
use super::legacy;
use super::verified;

/// Whether `parent` signed `child` and is allowed to.
pub(super) fn signed_by(child: &Certificate, parent: &Certificate) -> Result<(), SignatureError> {
    let usage = parent.extensions.key_usage;
    const CERT_SIGN: u16 = 1 << 5;
    if !may_sign(parent) || (usage != 0 && usage & CERT_SIGN == 0) {
        return Err(SignatureError::ParentCannotSign);
    }
    if matches!(parent.key, PublicKey::Unknown) {
        return Err(SignatureError::Unsupported);
    }
    let algorithm = child.algorithm.ok_or(SignatureError::Unsupported)?;
    if let Algorithm::Insecure(name) = algorithm {
        return Err(SignatureError::Insecure(name));
    }
    verified::once(child, parent, || {
        verify(parent, algorithm, child.raw_tbs(), child.signature())
    })
}

/// Whether `issuer` signed a list of revoked certificates and is allowed to. SHA-1 counts here, as in Go.
pub(super) fn list_signed_by(
    issuer: &Certificate,
    algorithm: Option<Algorithm>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    const LIST_SIGN: u16 = 1 << 6;
    let usage = issuer.extensions.key_usage;
    if !may_sign(issuer) || (usage != 0 && usage & LIST_SIGN == 0) {
        return Err(SignatureError::ParentCannotSign);
    }
    match (algorithm.ok_or(SignatureError::Unsupported)?, issuer.key) {
        (Algorithm::Insecure("SHA1-RSA"), PublicKey::Rsa { key, bits, .. }) if bits <= MAX_RSA_BITS => {
            let verifier = &aws::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY;
            let verified = UnparsedPublicKey::new(verifier, issuer.bytes(key)).verify(message, signature);
            verified.map_err(|_| SignatureError::Rsa)
        }
        (Algorithm::Insecure(name), _) => Err(SignatureError::Insecure(name)),
        (algorithm, _) => verify(issuer, algorithm, message, signature),
    }
}

/// Whether the owner of a certificate signed a message, with an algorithm that counts.
pub(super) fn message_signed_by(
    signer: &Certificate,
    algorithm: Option<Algorithm>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    match algorithm.ok_or(SignatureError::Unsupported)? {
        Algorithm::Insecure(name) => Err(SignatureError::Insecure(name)),
        // Neither the DER of a handshake nor a size checked elsewhere bounds this key.
        _ if signer.rsa_bits().is_some_and(|bits| bits > MAX_RSA_BITS) => Err(SignatureError::Unsupported),
        algorithm => verify(signer, algorithm, message, signature),
    }
}

/// Whether a certificate may sign others, as far as its basic constraints say.
fn may_sign(certificate: &Certificate) -> bool {
    match certificate.extensions.basic {
        None => certificate.version != 3,
        Some(basic) => basic.ca,
    }
}

/// Whether `signature` is one by the key of `signer` over `message`.
fn verify(
    signer: &Certificate,
    algorithm: Algorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let by_aws = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
        UnparsedPublicKey::new(algorithm, key)
            .verify(message, signature)
            .is_ok()
    };
    match (signer.key, algorithm) {
        (PublicKey::Dsa | PublicKey::Unknown, _) => Err(SignatureError::Unsupported),
        (
            PublicKey::Rsa {
                key,
                modulus,
                exponent,
                bits,
            },
            Algorithm::RsaPkcs1(_) | Algorithm::RsaPss(_),
        ) => {
            if bits < 1024 {
                return Err(SignatureError::WeakRsa(bits));
            }
            let valid = match rsa_verifier(algorithm, bits) {
                Some(verifier) => by_aws(verifier, signer.bytes(key)),
                None => legacy::rsa(signer.bytes(modulus), exponent, algorithm, message, signature),
            };
            valid.then_some(()).ok_or(SignatureError::Rsa)
        }
        (PublicKey::Ecdsa { curve, point }, Algorithm::Ecdsa(hash)) => {
            let point = signer.bytes(point);
            let valid = match ecdsa_verifier(curve, hash) {
                Some(verifier) => by_aws(verifier, point),
                None => legacy::ecdsa_p224(point, hash, message, signature),
            };
            valid.then_some(()).ok_or(SignatureError::Ecdsa)
        }
        (PublicKey::Ed25519(key), Algorithm::Ed25519) => {
            let valid = by_aws(&aws::ED25519, signer.bytes(key));
            valid.then_some(()).ok_or(SignatureError::Ed25519)
        }
        (key, algorithm) => Err(SignatureError::Mismatch(algorithm.key_kind(), key.go_type())),
    }
}

/// What aws-lc-rs has for RSA: not every algorithm for keys below 2048 bits, nothing above 8192.
fn rsa_verifier(algorithm: Algorithm, bits: usize) -> Option<&'static dyn VerificationAlgorithm> {
    if bits > 8192 {
        return None;
    }
    match algorithm {
        Algorithm::RsaPkcs1(Hash::Sha256) => Some(&aws::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
        Algorithm::RsaPkcs1(Hash::Sha512) => Some(&aws::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY),
        _ if bits < 2048 => None,
        Algorithm::RsaPkcs1(Hash::Sha384) => Some(&aws::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RsaPss(Hash::Sha256) => Some(&aws::RSA_PSS_2048_8192_SHA256),
        Algorithm::RsaPss(Hash::Sha384) => Some(&aws::RSA_PSS_2048_8192_SHA384),
        Algorithm::RsaPss(Hash::Sha512) => Some(&aws::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

/// What aws-lc-rs has for ECDSA: everything but P-224.
fn ecdsa_verifier(curve: Curve, hash: Hash) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (curve, hash) {
        (Curve::P224, _) => return None,
        (Curve::P256, Hash::Sha256) => &aws::ECDSA_P256_SHA256_ASN1,
        (Curve::P256, Hash::Sha384) => &aws::ECDSA_P256_SHA384_ASN1,
        (Curve::P256, Hash::Sha512) => &aws::ECDSA_P256_SHA512_ASN1,
        (Curve::P384, Hash::Sha256) => &aws::ECDSA_P384_SHA256_ASN1,
        (Curve::P384, Hash::Sha384) => &aws::ECDSA_P384_SHA384_ASN1,
        (Curve::P384, Hash::Sha512) => &aws::ECDSA_P384_SHA512_ASN1,
        (Curve::P521, Hash::Sha256) => &aws::ECDSA_P521_SHA256_ASN1,
        (Curve::P521, Hash::Sha384) => &aws::ECDSA_P521_SHA384_ASN1,
        (Curve::P521, Hash::Sha512) => &aws::ECDSA_P521_SHA512_ASN1,
    })
}

/// Why a server's signature over the handshake does not count. Displays as Go's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeSignatureError(Option<SignatureError>);

impl fmt::Display for HandshakeSignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("tls: certificate used with invalid signature algorithm"),
            Some(SignatureError::Ecdsa) => {
                f.write_str("tls: invalid signature by the server certificate: ECDSA verification failure")
            }
            Some(SignatureError::Ed25519) => {
                f.write_str("tls: invalid signature by the server certificate: Ed25519 verification failure")
            }
            Some(error) => write!(f, "tls: invalid signature by the server certificate: {error}"),
        }
    }
}

impl std::error::Error for HandshakeSignatureError {}

/// The signature schemes for handshakes, in Go's order (without SHA-1, which Go no longer takes either).
pub const HANDSHAKE_SCHEMES: [SignatureScheme; 10] = [
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
];

/// Verifies the signature of a server over its handshake. In TLS 1.3 (`strict`), an ECDSA scheme also names the curve and PKCS#1 is gone.
///
/// # Errors
/// The scheme is not for this key, or the signature is not by it.
pub fn handshake_signature(
    signer: &Certificate,
    scheme: SignatureScheme,
    strict: bool,
    message: &[u8],
    signature: &[u8],
) -> Result<(), HandshakeSignatureError> {
    let (algorithm, curve) = match scheme {
        SignatureScheme::RSA_PSS_SHA256 => (Algorithm::RsaPss(Hash::Sha256), None),
        SignatureScheme::RSA_PSS_SHA384 => (Algorithm::RsaPss(Hash::Sha384), None),
        SignatureScheme::RSA_PSS_SHA512 => (Algorithm::RsaPss(Hash::Sha512), None),
        SignatureScheme::RSA_PKCS1_SHA256 if !strict => (Algorithm::RsaPkcs1(Hash::Sha256), None),
        SignatureScheme::RSA_PKCS1_SHA384 if !strict => (Algorithm::RsaPkcs1(Hash::Sha384), None),
        SignatureScheme::RSA_PKCS1_SHA512 if !strict => (Algorithm::RsaPkcs1(Hash::Sha512), None),
        SignatureScheme::ECDSA_NISTP256_SHA256 => (Algorithm::Ecdsa(Hash::Sha256), Some(Curve::P256)),
        SignatureScheme::ECDSA_NISTP384_SHA384 => (Algorithm::Ecdsa(Hash::Sha384), Some(Curve::P384)),
        SignatureScheme::ECDSA_NISTP521_SHA512 => (Algorithm::Ecdsa(Hash::Sha512), Some(Curve::P521)),
        SignatureScheme::ED25519 => (Algorithm::Ed25519, None),
        _ => return Err(HandshakeSignatureError(None)),
    };
    if let PublicKey::Ecdsa { curve: own, .. } = signer.key
        && strict
        && curve.is_some_and(|named| named != own)
    {
        return Err(HandshakeSignatureError(None));
    }
    verify(signer, algorithm, message, signature).map_err(|error| match error {
        SignatureError::Mismatch(..) => HandshakeSignatureError(None),
        other => HandshakeSignatureError(Some(other)),
    })
}

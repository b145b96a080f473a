//! Signatures on certificates and handshakes: which algorithms count, and their verification by aws-lc-rs over the raw key.

use std::fmt;

use aws_lc_rs::signature as aws;
use aws_lc_rs::signature::{UnparsedPublicKey, VerificationAlgorithm};
use rustls::SignatureScheme;

use super::certificate::{Certificate, PublicKey};
use super::chain::MAX_RSA_BITS;
use super::der::{Reader, context_constructed, tag};
use super::error::SignatureError;
use super::legacy;
use super::verified;

/// A hash that signatures may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// How something is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    RsaPkcs1(Hash),
    RsaPss(Hash),
    Ecdsa(Hash),
    Ed25519,
    /// DSA with SHA-256: known, and never verified.
    Dsa,
    /// MD5 or SHA-1: Go's name of it.
    Insecure(&'static str),
}

/// The curves of ECDSA keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P224,
    P256,
    P384,
    P521,
}

impl Curve {
    pub fn from_oid(oid: &[u8]) -> Option<Self> {
        match oid {
            [0x2b, 0x81, 0x04, 0x00, 0x21] => Some(Self::P224),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7] => Some(Self::P256),
            [0x2b, 0x81, 0x04, 0x00, 0x22] => Some(Self::P384),
            [0x2b, 0x81, 0x04, 0x00, 0x23] => Some(Self::P521),
            _ => None,
        }
    }

    /// Whether these bytes are a point of this curve in uncompressed form; the error is Go's text.
    pub fn check(self, point: &[u8]) -> Result<(), String> {
        let name = match self {
            Self::P224 => "P224",
            Self::P256 => "P256",
            Self::P384 => "P384",
            Self::P521 => "P521",
        };
        let length = self.coordinate_length();
        match point {
            [4, rest @ ..] if rest.len() == 2 * length => {
                let (x, y) = rest.split_at(length);
                match legacy::on_curve(self, x, y) {
                    Some(true) => Ok(()),
                    Some(false) => Err(format!("{name} point not on curve")),
                    None if self == Self::P521 => Err("invalid P521Element encoding".to_owned()),
                    None => Err(format!("invalid {name} element encoding")),
                }
            }
            [4, ..] => Err(format!("invalid {name} point encoding")),
            _ => Err("ecdsa: invalid uncompressed public key".to_owned()),
        }
    }

    /// Bytes of one coordinate.
    fn coordinate_length(self) -> usize {
        match self {
            Self::P224 => 28,
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

impl Algorithm {
    /// From an algorithm identifier; `None` for one that Go does not know either.
    pub fn new(oid: &[u8], parameters: &[u8]) -> Option<Self> {
        match oid {
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, last] => match last {
                4 => Some(Self::Insecure("MD5-RSA")),
                5 => Some(Self::Insecure("SHA1-RSA")),
                10 => pss(parameters).map(Self::RsaPss),
                11 => Some(Self::RsaPkcs1(Hash::Sha256)),
                12 => Some(Self::RsaPkcs1(Hash::Sha384)),
                13 => Some(Self::RsaPkcs1(Hash::Sha512)),
                _ => None,
            },
            [0x2b, 0x0e, 0x03, 0x02, 0x1d] => Some(Self::Insecure("SHA1-RSA")),
            [0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3] => Some(Self::Insecure("DSA-SHA1")),
            [0x60, 0x86, 0x48, 0x01, 0x65, 3, 4, 3, 2] => Some(Self::Dsa),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1] => Some(Self::Insecure("ECDSA-SHA1")),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2] => Some(Self::Ecdsa(Hash::Sha256)),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3] => Some(Self::Ecdsa(Hash::Sha384)),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4] => Some(Self::Ecdsa(Hash::Sha512)),
            [0x2b, 0x65, 0x70] if parameters.is_empty() => Some(Self::Ed25519),
            _ => None,
        }
    }

    /// Go's name of the kind of key this needs.
    fn key_kind(self) -> &'static str {
        match self {
            Self::RsaPkcs1(_) | Self::RsaPss(_) => "RSA",
            Self::Ecdsa(_) => "ECDSA",
            Self::Ed25519 => "Ed25519",
            Self::Dsa | Self::Insecure(_) => "DSA",
        }
    }
}

/// The hash of RSASSA-PSS parameters (RFC 4055, section 3.1) of one of the three usual shapes: MGF1 with the same hash, a salt as
/// long as the hash, the usual trailer.
fn pss(parameters: &[u8]) -> Option<Hash> {
    let mut parameters = Reader::new(parameters).read(tag::SEQUENCE)?;
    let hash = hash(parameters.read(context_constructed(0))?.read(tag::SEQUENCE)?)?;
    let mut mask = parameters.read(context_constructed(1))?.read(tag::SEQUENCE)?;
    let mgf1 = mask.oid()? == [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
    let mask_hash = self::hash(mask.read(tag::SEQUENCE)?)?;
    let salt = parameters.read(context_constructed(2))?.int64(tag::INTEGER)?;
    let trailer = match parameters.optional(context_constructed(3))? {
        Some(mut trailer) => trailer.int64(tag::INTEGER)?,
        None => 1,
    };
    let wanted = match hash {
        Hash::Sha256 => 32,
        Hash::Sha384 => 48,
        Hash::Sha512 => 64,
    };
    (mgf1 && mask_hash == hash && salt == wanted && trailer == 1).then_some(hash)
}

/// The hash of an algorithm identifier, whose parameters are NULL or not there.
pub(super) fn hash(mut identifier: Reader<'_>) -> Option<Hash> {
    let oid = identifier.oid()?;
    let parameters = identifier.bytes();
    if !parameters.is_empty() && parameters != [5, 0] {
        return None;
    }
    match oid {
        [0x60, 0x86, 0x48, 0x01, 0x65, 3, 4, 2, 1] => Some(Hash::Sha256),
        [0x60, 0x86, 0x48, 0x01, 0x65, 3, 4, 2, 2] => Some(Hash::Sha384),
        [0x60, 0x86, 0x48, 0x01, 0x65, 3, 4, 2, 3] => Some(Hash::Sha512),
        _ => None,
    }
}

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

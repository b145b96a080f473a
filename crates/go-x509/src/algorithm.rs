//! How keys and signatures are made: algorithms, hashes and curves, and the identifiers that name them.

use super::der::{DerReader, context_constructed, tag};

/// Largest RSA key that is accepted from a peer, in bits.
pub const MAX_RSA_BITS: usize = 8192;

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

    /// Bytes of one coordinate.
    pub fn coordinate_length(self) -> usize {
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
    pub fn key_kind(self) -> &'static str {
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
    let mut parameters = DerReader::new(parameters).read(tag::SEQUENCE)?;
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
pub(super) fn hash(mut identifier: DerReader<'_>) -> Option<Hash> {
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

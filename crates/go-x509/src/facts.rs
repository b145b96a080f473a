//! What else is to be told of a certificate: its key, its signature, whom it names. Nothing here matters for a verdict.

use super::Certificate;
use super::algorithm::{Algorithm, Curve, Hash};
use super::certificate::PublicKey;

impl Certificate {
    /// The kind of its key, under Go's name; `unknown` where Go has none.
    pub fn key_algorithm(&self) -> &'static str {
        match self.key {
            PublicKey::Rsa { .. } => "RSA",
            PublicKey::Ecdsa { .. } => "ECDSA",
            PublicKey::Ed25519(_) => "Ed25519",
            PublicKey::Dsa => "DSA",
            PublicKey::Unknown => "unknown",
        }
    }

    /// The size of its key in bits, where that is known.
    pub fn key_bits(&self) -> Option<usize> {
        Some(match self.key {
            PublicKey::Rsa { bits, .. } => bits,
            PublicKey::Ecdsa { curve, .. } => match curve {
                Curve::P224 => 224,
                Curve::P256 => 256,
                Curve::P384 => 384,
                Curve::P521 => 521,
            },
            PublicKey::Ed25519(_) => 256,
            PublicKey::Dsa | PublicKey::Unknown => return None,
        })
    }

    /// How it is signed, under Go's name; `unknown` where Go has none.
    pub fn signature_algorithm(&self) -> &'static str {
        match self.algorithm {
            Some(Algorithm::RsaPkcs1(Hash::Sha256)) => "SHA256-RSA",
            Some(Algorithm::RsaPkcs1(Hash::Sha384)) => "SHA384-RSA",
            Some(Algorithm::RsaPkcs1(Hash::Sha512)) => "SHA512-RSA",
            Some(Algorithm::RsaPss(Hash::Sha256)) => "SHA256-RSAPSS",
            Some(Algorithm::RsaPss(Hash::Sha384)) => "SHA384-RSAPSS",
            Some(Algorithm::RsaPss(Hash::Sha512)) => "SHA512-RSAPSS",
            Some(Algorithm::Ecdsa(Hash::Sha256)) => "ECDSA-SHA256",
            Some(Algorithm::Ecdsa(Hash::Sha384)) => "ECDSA-SHA384",
            Some(Algorithm::Ecdsa(Hash::Sha512)) => "ECDSA-SHA512",
            Some(Algorithm::Ed25519) => "Ed25519",
            Some(Algorithm::Dsa) => "DSA-SHA256",
            Some(Algorithm::Insecure(name)) => name,
            None => "unknown",
        }
    }

    /// Where responders tell whether it is revoked, as written.
    pub fn ocsp_urls(&self) -> impl ExactSizeIterator<Item = String> {
        let urls = self.extensions.ocsp_urls.iter();
        urls.map(|span| String::from_utf8_lossy(self.bytes(*span)).into_owned())
    }

    /// Where its issuer's certificate is to be had, as written.
    pub fn issuer_urls(&self) -> impl ExactSizeIterator<Item = String> {
        let urls = self.extensions.issuer_urls.iter();
        urls.map(|span| String::from_utf8_lossy(self.bytes(*span)).into_owned())
    }

    /// How many signed certificate timestamps are embedded in it.
    pub fn embedded_timestamps(&self) -> usize {
        let list = self.bytes(self.extensions.timestamps);
        let Some((mut rest, [])) = vector(list) else {
            return 0;
        };
        let mut count = 0;
        while let Some((_, after)) = vector(rest) {
            count += 1;
            rest = after;
        }
        count
    }

    /// Whether its issuer has its own name.
    pub fn is_self_issued(&self) -> bool {
        self.raw_issuer() == self.raw_subject()
    }

    /// Whether its issuer has the name of `other`, and the key, as far as the two say.
    pub fn names_issuer(&self, other: &Self) -> bool {
        let (wanted, own) = (
            self.bytes(self.extensions.authority_key_id),
            other.bytes(other.extensions.subject_key_id),
        );
        self.raw_issuer() == other.raw_subject() && (wanted.is_empty() || own.is_empty() || wanted == own)
    }
}

/// Splits a vector with a length of two bytes off (RFC 8446, section 3.4).
fn vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

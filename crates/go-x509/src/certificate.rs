//! Reading a certificate, refusing what Go refuses and with its words.

use std::net::IpAddr;
use std::sync::OnceLock;

use aws_lc_rs::digest;

use super::algorithm::{Algorithm, Curve};
use super::der::{DerReader, context, context_constructed, tag};
use super::extensions::Extensions;
use super::{ParseError, Span, name};

/// A parsed certificate. It owns its DER form; texts are made when they are asked for.
#[derive(Debug)]
pub struct Certificate {
    der: Box<[u8]>,
    tbs: Span,
    issuer: Span,
    subject: Span,
    key_info: Span,
    /// Big-endian magnitude, without leading zeros.
    serial: Span,
    signature: Span,
    /// How it is signed; `None` for an algorithm that is not known.
    pub(super) algorithm: Option<Algorithm>,
    /// 1 to 3.
    pub(super) version: u8,
    /// Start of validity, Unix seconds.
    pub not_before: i64,
    /// End of validity, Unix seconds.
    pub not_after: i64,
    pub(super) key: PublicKey,
    pub(super) extensions: Extensions,
    /// SHA-256 of the DER form, once it was asked for.
    digest: OnceLock<[u8; 32]>,
}

/// What kind of key a certificate has, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum PublicKey {
    Rsa {
        /// The whole RSAPublicKey (RFC 8017, A.1.1).
        key: Span,
        /// Big-endian, without leading zeros.
        modulus: Span,
        exponent: i64,
        bits: usize,
    },
    Ecdsa {
        curve: Curve,
        /// Uncompressed point.
        point: Span,
    },
    Ed25519(Span),
    Dsa,
    /// Go knows nothing of it, and takes the certificate all the same.
    Unknown,
}

impl PublicKey {
    /// The name of Go's type.
    pub fn go_type(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "*rsa.PublicKey",
            Self::Ecdsa { .. } => "*ecdsa.PublicKey",
            Self::Ed25519(_) => "ed25519.PublicKey",
            Self::Dsa => "*dsa.PublicKey",
            Self::Unknown => "<nil>",
        }
    }
}

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1];
const NULL: &[u8] = &[5, 0];

impl Certificate {
    /// Reads one certificate.
    ///
    /// # Errors
    /// Everything that makes Go's `x509.ParseCertificate` fail.
    pub fn parse(der: &[u8]) -> Result<Self, ParseError> {
        let mut input = DerReader::new(der);
        let mut outer = input.read(tag::SEQUENCE).ok_or("malformed certificate")?;
        let tbs = outer
            .read_whole(tag::SEQUENCE)
            .ok_or("malformed tbs certificate")?;
        let mut fields = tbs;
        let mut fields = fields.read(tag::SEQUENCE).ok_or("malformed tbs certificate")?;

        let version = version(&mut fields)?;
        let serial = serial(&mut fields)?;
        let algorithm = signed_with(&mut fields, &mut outer)?;
        let issuer = fields.read_whole(tag::SEQUENCE).ok_or("malformed issuer")?;
        name::check(issuer)?;
        let mut validity = fields.read(tag::SEQUENCE).ok_or("malformed validity")?;
        let not_before = validity.time()?;
        let not_after = validity.time()?;
        let subject = fields.read_whole(tag::SEQUENCE).ok_or("malformed issuer")?;
        name::check(subject)?;
        let key_info = fields.read_whole(tag::SEQUENCE).ok_or("malformed spki")?;
        let key = public_key(key_info)?;
        let extensions = extensions(der, version, &mut fields)?;

        let (bits, padding) = outer.bit_string().ok_or("malformed signature")?;
        // No algorithm makes signatures of odd bits: such a one is as good as none.
        let signature = if padding == 0 {
            bits.span()
        } else {
            Span::default()
        };
        if !input.is_empty() {
            return Err("trailing data".into());
        }
        Ok(Self {
            der: der.into(),
            tbs: tbs.span(),
            issuer: issuer.span(),
            subject: subject.span(),
            key_info: key_info.span(),
            serial,
            signature,
            algorithm,
            version,
            not_before,
            not_after,
            key,
            extensions,
            digest: OnceLock::new(),
        })
    }

    /// The DER form.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The subject as Go prints it.
    pub fn subject(&self) -> String {
        name::print(self.reader(self.subject))
    }

    /// The issuer as Go prints it.
    pub fn issuer(&self) -> String {
        name::print(self.reader(self.issuer))
    }

    /// The serial number: the bytes of its magnitude in lower-case hex, two digits each.
    pub fn serial(&self) -> String {
        name::hex(self.bytes(self.serial))
    }

    /// The magnitude of the serial number, without leading zeros.
    pub(super) fn raw_serial(&self) -> &[u8] {
        self.bytes(self.serial)
    }

    /// Where lists of revoked certificates are to be had, as written.
    pub fn revocation_urls(&self) -> impl ExactSizeIterator<Item = String> {
        let urls = self.extensions.revocation_urls.iter();
        urls.map(|span| String::from_utf8_lossy(self.bytes(*span)).into_owned())
    }

    /// The DNS names of the SAN extension.
    pub fn dns_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.texts(&self.extensions.dns_names)
    }

    /// The e-mail addresses of the subject alternative name.
    pub fn email_addresses(&self) -> impl ExactSizeIterator<Item = &str> {
        self.texts(&self.extensions.emails)
    }

    /// The URIs of the subject alternative name, as written.
    pub fn uris(&self) -> impl ExactSizeIterator<Item = &str> {
        self.texts(&self.extensions.uris)
    }

    /// The addresses of the SAN extension.
    pub fn ip_addresses(&self) -> impl ExactSizeIterator<Item = IpAddr> {
        self.extensions
            .addresses
            .iter()
            .map(|span| match *self.bytes(*span) {
                [a, b, c, d] => IpAddr::from([a, b, c, d]),
                ref bytes => IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap_or_default()),
            })
    }

    /// SHA-256 of the DER form, in lower-case hex.
    pub fn fingerprint(&self) -> String {
        name::hex(self.digest())
    }

    /// SHA-256 of the DER form.
    pub(super) fn digest(&self) -> &[u8; 32] {
        self.digest.get_or_init(|| {
            let digest = digest::digest(&digest::SHA256, &self.der);
            digest.as_ref().try_into().unwrap_or_default()
        })
    }

    /// What names this certificate in an error about it: common name, organization or serial number.
    pub(super) fn short_name(&self) -> String {
        name::short(self.reader(self.subject))
            .unwrap_or_else(|| format!("serial:{}", decimal(self.bytes(self.serial))))
    }

    pub(super) fn common_name(&self) -> Option<String> {
        name::common_name(self.reader(self.subject))
    }

    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        span.of(&self.der)
    }

    /// The texts at these places, which were found to be ASCII.
    pub(super) fn texts(&self, spans: &[Span]) -> impl ExactSizeIterator<Item = &str> {
        spans
            .iter()
            .map(|span| std::str::from_utf8(self.bytes(*span)).unwrap_or_default())
    }

    pub(super) fn raw_issuer(&self) -> &[u8] {
        self.bytes(self.issuer)
    }

    pub(super) fn raw_subject(&self) -> &[u8] {
        self.bytes(self.subject)
    }

    pub(super) fn raw_key_info(&self) -> &[u8] {
        self.bytes(self.key_info)
    }

    /// What is signed.
    pub(super) fn raw_tbs(&self) -> &[u8] {
        self.bytes(self.tbs)
    }

    pub(super) fn signature(&self) -> &[u8] {
        self.bytes(self.signature)
    }

    /// Bits of an RSA key; `None` for other keys.
    pub fn rsa_bits(&self) -> Option<usize> {
        match self.key {
            PublicKey::Rsa { bits, .. } => Some(bits),
            _ => None,
        }
    }

    /// Go's name of the type of a key that no TLS server can use, if it is one.
    pub fn unusable_key(&self) -> Option<&'static str> {
        matches!(self.key, PublicKey::Dsa | PublicKey::Unknown).then(|| self.key.go_type())
    }

    /// Whether this is the certificate of that key (a SubjectPublicKeyInfo); `None` if the key is of another kind.
    pub fn holds_key(&self, key_info: &[u8]) -> Option<bool> {
        let other = public_key(DerReader::new(key_info)).ok()?;
        let own = (self.key, &*self.der);
        let other = (other, key_info);
        match (own, other) {
            (
                (
                    PublicKey::Rsa {
                        modulus: a,
                        exponent: e,
                        ..
                    },
                    x,
                ),
                (
                    PublicKey::Rsa {
                        modulus: b,
                        exponent: f,
                        ..
                    },
                    y,
                ),
            ) => Some(a.of(x) == b.of(y) && e == f),
            ((PublicKey::Ecdsa { curve: a, point: p }, x), (PublicKey::Ecdsa { curve: b, point: q }, y)) => {
                Some(a == b && p.of(x) == q.of(y))
            }
            ((PublicKey::Ed25519(p), x), (PublicKey::Ed25519(q), y)) => Some(p.of(x) == q.of(y)),
            _ => None,
        }
    }

    fn reader(&self, span: Span) -> DerReader<'_> {
        DerReader::at(&self.der, span)
    }
}

fn version(fields: &mut DerReader<'_>) -> Result<u8, ParseError> {
    const BAD: &str = "malformed version";
    let Some(mut explicit) = fields.optional(context_constructed(0)).ok_or(BAD)? else {
        return Ok(1);
    };
    let version = explicit.int64(tag::INTEGER).ok_or(BAD)?;
    if !explicit.is_empty() || version < 0 {
        return Err(BAD.into());
    }
    match u8::try_from(version) {
        Ok(version @ 0..=2) => Ok(version + 1),
        _ => Err("invalid version".into()),
    }
}

fn serial(fields: &mut DerReader<'_>) -> Result<Span, ParseError> {
    let serial = fields.integer(tag::INTEGER).ok_or("malformed serial number")?;
    match serial.bytes() {
        [0x80..=0xff, ..] => Err("negative serial number".into()),
        [0, ..] => Ok(Span::new(serial.span().start() + 1, serial.bytes().len() - 1)),
        _ => Ok(serial.span()),
    }
}

/// The algorithm of a signature, which what is signed and what is around it must agree on.
pub(super) fn signed_with(
    inner: &mut DerReader<'_>,
    outer: &mut DerReader<'_>,
) -> Result<Option<Algorithm>, ParseError> {
    let inner = inner
        .read(tag::SEQUENCE)
        .ok_or("malformed signature algorithm identifier")?;
    let outer = outer
        .read(tag::SEQUENCE)
        .ok_or("malformed algorithm identifier")?;
    if outer.bytes() != inner.bytes() {
        return Err("inner and outer signature algorithm identifiers don't match".into());
    }
    let (oid, parameters) = algorithm_identifier(inner)?;
    Ok(Algorithm::new(oid, parameters))
}

/// An algorithm and its parameters, undecoded and empty if there are none.
pub(super) fn algorithm_identifier<'a>(
    mut identifier: DerReader<'a>,
) -> Result<(&'a [u8], &'a [u8]), ParseError> {
    let oid = identifier.oid().ok_or("malformed OID")?;
    if identifier.is_empty() {
        return Ok((oid, &[]));
    }
    let parameters = identifier.any_whole().ok_or("malformed parameters")?;
    Ok((oid, parameters.bytes()))
}

fn public_key(mut info: DerReader<'_>) -> Result<PublicKey, ParseError> {
    let mut info = info.read(tag::SEQUENCE).ok_or("malformed spki")?;
    let identifier = info
        .read(tag::SEQUENCE)
        .ok_or("malformed public key algorithm identifier")?;
    let (oid, parameters) = algorithm_identifier(identifier)?;
    let (mut bits, padding) = info.bit_string().ok_or("malformed subjectPublicKey")?;
    if padding != 0 {
        bits = DerReader::new(&[]);
    }
    match oid {
        RSA if parameters != NULL => Err("RSA key missing NULL parameters".into()),
        RSA => rsa_key(bits),
        ECDSA => {
            let curve = DerReader::new(parameters)
                .oid()
                .ok_or("invalid ECDSA parameters")?;
            let curve = Curve::from_oid(curve).ok_or("unsupported elliptic curve")?;
            curve.check(bits.bytes()).map_err(ParseError::Key)?;
            Ok(PublicKey::Ecdsa {
                curve,
                point: bits.span(),
            })
        }
        ED25519 if !parameters.is_empty() => Err("Ed25519 key encoded with illegal parameters".into()),
        ED25519 if bits.bytes().len() != 32 => Err("wrong Ed25519 public key size".into()),
        ED25519 => Ok(PublicKey::Ed25519(bits.span())),
        DSA => dsa_key(bits, parameters),
        _ => Ok(PublicKey::Unknown),
    }
}

fn rsa_key(bits: DerReader<'_>) -> Result<PublicKey, ParseError> {
    let mut key = bits;
    let mut fields = key.read(tag::SEQUENCE).ok_or("invalid RSA public key")?;
    let modulus = fields.integer(tag::INTEGER).ok_or("invalid RSA modulus")?;
    let exponent = fields.int64(tag::INTEGER).ok_or("invalid RSA public exponent")?;
    let modulus = match modulus.bytes() {
        [0] | [0x80..=0xff, ..] => return Err("RSA modulus is not a positive number".into()),
        [0, rest @ ..] => Span::new(modulus.span().start() + 1, rest.len()),
        _ => modulus.span(),
    };
    if exponent <= 0 {
        return Err("RSA public exponent is not a positive number".into());
    }
    let first = bits
        .bytes()
        .get(modulus.start() - bits.span().start())
        .copied()
        .unwrap_or(0);
    Ok(PublicKey::Rsa {
        key: bits.span(),
        modulus,
        exponent,
        bits: (modulus.length as usize * 8).saturating_sub(first.leading_zeros() as usize),
    })
}

fn dsa_key(mut bits: DerReader<'_>, parameters: &[u8]) -> Result<PublicKey, ParseError> {
    let positive = |reader: &mut DerReader<'_>| {
        let number = reader.integer(tag::INTEGER)?;
        Some(!matches!(number.bytes(), [0] | [0x80..=0xff, ..]))
    };
    let mut all = positive(&mut bits).ok_or("invalid DSA public key")?;
    let mut list = DerReader::new(parameters)
        .read(tag::SEQUENCE)
        .ok_or("invalid DSA parameters")?;
    for _ in 0..3 {
        all &= positive(&mut list).ok_or("invalid DSA parameters")?;
    }
    if !all {
        return Err("zero or negative DSA parameter".into());
    }
    Ok(PublicKey::Dsa)
}

fn extensions(der: &[u8], version: u8, fields: &mut DerReader<'_>) -> Result<Extensions, ParseError> {
    if version == 1 {
        return Ok(Extensions::default());
    }
    fields.optional(context(1)).ok_or("malformed issuerUniqueID")?;
    fields.optional(context(2)).ok_or("malformed subjectUniqueID")?;
    if version == 2 {
        return Ok(Extensions::default());
    }
    match fields
        .optional(context_constructed(3))
        .ok_or("malformed extensions")?
    {
        Some(sequence) => Extensions::parse(der, sequence),
        None => Ok(Extensions::default()),
    }
}

/// A big-endian number in decimal.
fn decimal(bytes: &[u8]) -> String {
    let mut digits: Vec<u8> = vec![0];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = u8::try_from(carry % 10).unwrap_or(0);
            carry /= 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap_or(0));
            carry /= 10;
        }
    }
    digits.iter().rev().map(|d| char::from(b'0' + d)).collect()
}

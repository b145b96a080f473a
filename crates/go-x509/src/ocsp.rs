//! OCSP (RFC 6960): the question whether a certificate is revoked, and the judgement of a signed answer, stapled or asked for.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY as SHA1, SHA256, SHA384, SHA512};

use super::algorithm::{self, Algorithm, Hash};
use super::der::{DerReader, context, context_constructed, tag};
use super::signature;
use super::{Certificate, ParseError, Span};

const ENUMERATED: u8 = 0x0a;
const SHA1_ID: &[u8] = &[0x2b, 0x0e, 3, 2, 0x1a];
/// id-pkix-ocsp-basic, 1.3.6.1.5.5.7.48.1.1
const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 1];
/// How far the responder's clock may be off, in seconds; OpenSSL's number.
const SKEW: i64 = 300;
/// How old an answer may be that does not say when the next one is due, in seconds.
const UNLIMITED: i64 = 7 * 24 * 3600;
/// How many of a response's certificates are looked at.
const MOST_SIGNERS: usize = 8;

/// What a responder knows of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OcspStatus {
    /// It is not revoked.
    Good,
    /// It is, since then; Unix seconds.
    Revoked(i64),
    /// The responder does not know it.
    Unknown,
}

/// What a signed answer says of one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OcspAnswer {
    /// Whether it is revoked.
    pub status: OcspStatus,
    /// Since when that is known, Unix seconds.
    pub this_update: i64,
    /// When there will be news, Unix seconds.
    pub next_update: Option<i64>,
}

impl OcspAnswer {
    /// Whether the answer counts at this moment; the error says why not.
    ///
    /// # Errors
    /// It is from the future, or too old.
    pub fn check_time(&self, now: i64) -> Result<(), OcspError> {
        let until = self
            .next_update
            .unwrap_or_else(|| self.this_update.saturating_add(UNLIMITED));
        if self.this_update > now.saturating_add(SKEW) {
            Err(OcspError::Early)
        } else if until < now.saturating_sub(SKEW) {
            Err(OcspError::Late)
        } else {
            Ok(())
        }
    }
}

/// Why an answer does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OcspError {
    /// The responder gave none; its word for it.
    #[error("the responder answered {0}")]
    Refused(&'static str),
    /// It cannot be read.
    #[error("malformed OCSP response: {0}")]
    Malformed(#[from] ParseError),
    /// It is about other certificates.
    #[error("the OCSP response is about another certificate")]
    Foreign,
    /// Neither the issuer nor somebody it authorized has signed it.
    #[error("the signature of the OCSP response is not valid: {0}")]
    Signer(String),
    /// Its time has not come.
    #[error("the OCSP response is not yet valid")]
    Early,
    /// Its time is over.
    #[error("the OCSP response is out of date")]
    Late,
}

impl From<&'static str> for OcspError {
    fn from(error: &'static str) -> Self {
        Self::Malformed(error.into())
    }
}

/// The request about a certificate of that issuer, without a nonce, so that responders may answer from their store.
pub fn ocsp_request(certificate: &Certificate, issuer: &Certificate) -> Vec<u8> {
    let serial = match certificate.raw_serial() {
        [] => vec![0],
        serial @ [0x80..=0xff, ..] => [&[0], serial].concat(),
        serial => serial.to_vec(),
    };
    let id = [
        element(tag::SEQUENCE, &[element(tag::OID, SHA1_ID), vec![5, 0]].concat()),
        element(
            tag::OCTET_STRING,
            digest::digest(&SHA1, certificate.raw_issuer()).as_ref(),
        ),
        element(
            tag::OCTET_STRING,
            digest::digest(&SHA1, key_bits(issuer)).as_ref(),
        ),
        element(tag::INTEGER, &serial),
    ];
    // CertID, Request, requestList, TBSRequest, OCSPRequest.
    (0..5).fold(id.concat(), |body, _| element(tag::SEQUENCE, &body))
}

fn element(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = body.len().to_be_bytes();
    let digits: Vec<u8> = length.into_iter().skip_while(|digit| *digit == 0).collect();
    let mut out = vec![tag];
    match (digits.as_slice(), u8::try_from(digits.len())) {
        (&[], _) => out.push(0),
        (&[short @ ..0x80], _) => out.push(short),
        (digits, count) => {
            out.push(0x80 | count.unwrap_or(0));
            out.extend(digits);
        }
    }
    out.extend(body);
    out
}

/// The subjectPublicKey of a certificate, of which OCSP takes the hash.
fn key_bits(certificate: &Certificate) -> &[u8] {
    let mut info = DerReader::new(certificate.raw_key_info());
    let bits = info.read(tag::SEQUENCE).and_then(|mut info| {
        info.read(tag::SEQUENCE)?;
        info.bit_string()
    });
    bits.map_or(&[], |(bits, _)| bits.bytes())
}

/// Who says it has signed a response.
#[derive(Clone, Copy, Debug)]
enum Responder {
    /// Its name, as in a certificate.
    Name(Span),
    /// SHA-1 of its key.
    Key(Span),
}

/// A response that says something, whoever signed it.
#[derive(Debug)]
pub struct OcspResponse {
    der: Box<[u8]>,
    tbs: Span,
    algorithm: Option<Algorithm>,
    signature: Span,
    responder: Responder,
    answers: Span,
    certificates: Span,
}

impl OcspResponse {
    /// Reads one.
    ///
    /// # Errors
    /// The responder refused, or it cannot be read.
    pub fn parse(der: &[u8]) -> Result<Self, OcspError> {
        let mut input = DerReader::new(der);
        let mut outer = input.read(tag::SEQUENCE).ok_or("no SEQUENCE")?;
        if !input.is_empty() {
            return Err("trailing data".into());
        }
        match outer.int64(ENUMERATED).ok_or("no status")? {
            0 => {}
            1 => return Err(OcspError::Refused("malformedRequest")),
            2 => return Err(OcspError::Refused("internalError")),
            3 => return Err(OcspError::Refused("tryLater")),
            5 => return Err(OcspError::Refused("sigRequired")),
            6 => return Err(OcspError::Refused("unauthorized")),
            _ => return Err(OcspError::Refused("with an unknown status")),
        }
        let mut bytes = outer
            .read(context_constructed(0))
            .and_then(|mut explicit| explicit.read(tag::SEQUENCE))
            .ok_or("no response bytes")?;
        if bytes.oid().ok_or("no response type")? != BASIC {
            return Err("not a basic response".into());
        }
        let mut basic = bytes
            .read(tag::OCTET_STRING)
            .and_then(|mut response| response.read(tag::SEQUENCE))
            .ok_or("no basic response")?;

        let tbs = basic.read_whole(tag::SEQUENCE).ok_or("no response data")?;
        let identifier = basic.read(tag::SEQUENCE).ok_or("no signature algorithm")?;
        let (oid, parameters) = super::certificate::algorithm_identifier(identifier)?;
        let (signature, padding) = basic.bit_string().ok_or("no signature")?;
        if padding != 0 {
            return Err("a signature of odd bits".into());
        }
        let certificates = basic.optional(context_constructed(0)).ok_or("bad certificates")?;
        let certificates = match certificates {
            Some(mut explicit) => explicit.read(tag::SEQUENCE).ok_or("bad certificates")?.span(),
            None => Span::default(),
        };

        let mut data = tbs;
        let mut data = data.read(tag::SEQUENCE).ok_or("no response data")?;
        if let Some(mut version) = data.optional(context_constructed(0)).ok_or("bad version")?
            && version.int64(tag::INTEGER) != Some(0)
        {
            return Err("unknown version".into());
        }
        let (kind, mut responder) = data.any().ok_or("no responder")?;
        let responder = if kind == context_constructed(1) {
            Responder::Name(responder.read_whole(tag::SEQUENCE).ok_or("bad responder")?.span())
        } else if kind == context_constructed(2) {
            Responder::Key(responder.read(tag::OCTET_STRING).ok_or("bad responder")?.span())
        } else {
            return Err("bad responder".into());
        };
        data.time()?;
        let answers = data.read(tag::SEQUENCE).ok_or("no answers")?.span();
        Ok(Self {
            tbs: tbs.span(),
            algorithm: Algorithm::new(oid, parameters),
            signature: signature.span(),
            responder,
            answers,
            certificates,
            der: der.into(),
        })
    }

    /// What it says of a certificate of that issuer, and whether the issuer or somebody it authorized says so. The times of the
    /// answer are not judged; see [`OcspAnswer::check_time`].
    ///
    /// # Errors
    /// It is about others, or its signature does not count.
    pub fn answer(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        now: i64,
    ) -> Result<OcspAnswer, OcspError> {
        let mut answers = DerReader::at(&self.der, self.answers);
        while !answers.is_empty() {
            let mut single = answers.read(tag::SEQUENCE).ok_or("bad answer")?;
            let id = single.read(tag::SEQUENCE).ok_or("bad certificate identifier")?;
            if is_about(id, certificate, issuer).ok_or("bad certificate identifier")? {
                let answer = answer(&mut single)?;
                self.check_signature(issuer, now).map_err(OcspError::Signer)?;
                return Ok(answer);
            }
        }
        Err(OcspError::Foreign)
    }

    fn check_signature(&self, issuer: &Certificate, now: i64) -> Result<(), String> {
        if self.is_by(issuer) {
            return self.check_signature_by(issuer);
        }
        let mut why = "the responder is neither the issuer nor sent its certificate".to_owned();
        let mut certificates = DerReader::at(&self.der, self.certificates);
        for _ in 0..MOST_SIGNERS {
            let Some(der) = certificates.read_whole(tag::SEQUENCE) else {
                break;
            };
            let signer = match Certificate::parse(der.bytes()) {
                Ok(signer) if self.is_by(&signer) => signer,
                _ => continue,
            };
            let judged = authorized(&signer, issuer, now).and_then(|()| self.check_signature_by(&signer));
            match judged {
                Ok(()) => return Ok(()),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    fn check_signature_by(&self, signer: &Certificate) -> Result<(), String> {
        let (message, bits) = (self.tbs.of(&self.der), self.signature.of(&self.der));
        signature::message_signed_by(signer, self.algorithm, message, bits).map_err(|error| error.to_string())
    }

    /// Whether the response names this certificate as its signer's.
    fn is_by(&self, certificate: &Certificate) -> bool {
        match self.responder {
            Responder::Name(name) => name.of(&self.der) == certificate.raw_subject(),
            Responder::Key(hash) => {
                hash.of(&self.der) == digest::digest(&SHA1, key_bits(certificate)).as_ref()
            }
        }
    }
}

/// Whether the issuer lets the owner of this certificate answer for it (RFC 6960, section 4.2.2.2).
fn authorized(signer: &Certificate, issuer: &Certificate, now: i64) -> Result<(), String> {
    if !signer.extensions.usages.is_some_and(|usages| usages.ocsp_signing) {
        return Err("the responder's certificate is not for signing OCSP responses".to_owned());
    }
    if signer.extensions.unhandled_critical {
        return Err("the responder's certificate has a critical extension that is not known".to_owned());
    }
    if now < signer.not_before || now > signer.not_after {
        return Err("the responder's certificate has expired or is not yet valid".to_owned());
    }
    if signer.raw_issuer() != issuer.raw_subject() {
        return Err("the responder's certificate is by another issuer".to_owned());
    }
    signature::signed_by(signer, issuer).map_err(|error| format!("the responder's certificate: {error}"))
}

/// Whether a CertID is that of a certificate of this issuer.
fn is_about(mut id: DerReader<'_>, certificate: &Certificate, issuer: &Certificate) -> Option<bool> {
    let identifier = id.read(tag::SEQUENCE)?;
    let name = id.read(tag::OCTET_STRING)?;
    let key = id.read(tag::OCTET_STRING)?;
    let serial = id.integer(tag::INTEGER)?.bytes();
    let serial = serial.strip_prefix(&[0]).unwrap_or(serial);
    let mut oid = identifier;
    let hash = match algorithm::hash(identifier) {
        Some(Hash::Sha256) => &SHA256,
        Some(Hash::Sha384) => &SHA384,
        Some(Hash::Sha512) => &SHA512,
        None if oid.oid()? == SHA1_ID => &SHA1,
        None => return Some(false),
    };
    let has = |hashed: DerReader<'_>, of: &[u8]| hashed.bytes() == digest::digest(hash, of).as_ref();
    Some(
        serial == certificate.raw_serial()
            && has(name, certificate.raw_issuer())
            && has(key, key_bits(issuer)),
    )
}

/// The rest of a SingleResponse.
fn answer(single: &mut DerReader<'_>) -> Result<OcspAnswer, OcspError> {
    let (kind, mut status) = single.any().ok_or("no certificate status")?;
    let status = if kind == context(0) {
        OcspStatus::Good
    } else if kind == context_constructed(1) {
        OcspStatus::Revoked(status.time()?)
    } else if kind == context(2) {
        OcspStatus::Unknown
    } else {
        return Err("bad certificate status".into());
    };
    let this_update = single.time()?;
    let next_update = match single.optional(context_constructed(0)).ok_or("bad nextUpdate")? {
        Some(mut explicit) => Some(explicit.time()?),
        None => None,
    };
    Ok(OcspAnswer {
        status,
        this_update,
        next_update,
    })
}

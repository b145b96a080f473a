//! Certificate revocation lists (RFC 5280, section 5), read as Go's `ParseRevocationList` does.

use super::algorithm::Algorithm;
use super::der::{DerReader, context_constructed, tag};
use super::extensions::{Raw, authority_key_id};
use super::signature;
use super::{Certificate, ParseError, Span, name};

/// A list of revoked certificates. It owns its DER form, in which certificates are looked up.
#[derive(Debug)]
pub struct RevocationList {
    der: Box<[u8]>,
    tbs: Span,
    signature: Span,
    algorithm: Option<Algorithm>,
    /// When it was made, Unix seconds.
    pub this_update: i64,
    /// When the next one is due, Unix seconds.
    pub next_update: Option<i64>,
    /// The entries.
    revoked: Span,
}

const ENUMERATED: u8 = 0x0a;
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];

impl RevocationList {
    /// Reads one list.
    ///
    /// # Errors
    /// Everything that makes Go's `x509.ParseRevocationList` fail.
    pub fn parse(der: Vec<u8>) -> Result<Self, ParseError> {
        let mut outer = DerReader::new(&der);
        let mut outer = outer.read(tag::SEQUENCE).ok_or("malformed crl")?;
        let tbs = outer.read_whole(tag::SEQUENCE).ok_or("malformed tbs crl")?;
        let mut fields = tbs;
        let mut fields = fields.read(tag::SEQUENCE).ok_or("malformed tbs crl")?;

        if !fields.peek(tag::INTEGER) {
            return Err("unsupported crl version".into());
        }
        match fields.int64(tag::INTEGER).ok_or("malformed crl")? {
            1 => {}
            other => return Err(format!("unsupported crl version: {other}").into()),
        }
        let algorithm = super::certificate::signed_with(&mut fields, &mut outer)?;
        let (bits, padding) = outer.bit_string().ok_or("malformed signature")?;
        // No algorithm makes signatures of odd bits: such a one is as good as none.
        let signature = if padding == 0 {
            bits.span()
        } else {
            Span::default()
        };

        name::check(fields.read_whole(tag::SEQUENCE).ok_or("malformed issuer")?)?;
        let this_update = fields.time()?;
        let has_next = fields.peek(tag::UTC_TIME) || fields.peek(tag::GENERALIZED_TIME);
        let next_update = if has_next { Some(fields.time()?) } else { None };
        let entries = fields.optional(tag::SEQUENCE).ok_or("malformed crl")?;
        let mut left = entries.unwrap_or(DerReader::new(&[]));
        while !left.is_empty() {
            entry(&mut left)?;
        }
        if let Some(mut list) = fields
            .optional(context_constructed(0))
            .ok_or("malformed extensions")?
        {
            let mut list = list.read(tag::SEQUENCE).ok_or("malformed extensions")?;
            while !list.is_empty() {
                let mut extension = Raw::parse(list.read(tag::SEQUENCE).ok_or("malformed extension")?)?;
                match extension.oid {
                    AUTHORITY_KEY_ID => {
                        authority_key_id(extension)?;
                    }
                    CRL_NUMBER => {
                        let number = extension.value.integer(tag::INTEGER);
                        number.ok_or("malformed crl number")?;
                    }
                    _ => {}
                }
            }
        }
        Ok(Self {
            tbs: tbs.span(),
            signature,
            algorithm,
            this_update,
            next_update,
            revoked: entries.map_or(Span::default(), |entries| entries.span()),
            der: der.into(),
        })
    }

    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.der.len()
    }

    /// Whether `issuer` signed it and is allowed to.
    ///
    /// # Errors
    /// Go's text.
    pub fn check_signature_from(&self, issuer: &Certificate) -> Result<(), String> {
        let (message, signature) = (self.tbs.of(&self.der), self.signature.of(&self.der));
        signature::list_signed_by(issuer, self.algorithm, message, signature)
            .map_err(|error| error.to_string())
    }

    /// Since when a certificate of the list's issuer is revoked, Unix seconds.
    pub fn revoked_at(&self, certificate: &Certificate) -> Option<i64> {
        let wanted = certificate.raw_serial();
        let mut left = DerReader::at(&self.der, self.revoked);
        while !left.is_empty() {
            let (serial, at) = entry(&mut left).ok()?;
            if serial == wanted {
                return Some(at);
            }
        }
        None
    }
}

/// Reads an entry: the serial number without leading zero, and the time.
fn entry<'a>(list: &mut DerReader<'a>) -> Result<(&'a [u8], i64), ParseError> {
    let mut fields = list.read(tag::SEQUENCE).ok_or("malformed crl")?;
    let serial = fields
        .integer(tag::INTEGER)
        .ok_or("malformed serial number")?
        .bytes();
    let at = fields.time()?;
    if let Some(mut list) = fields.optional(tag::SEQUENCE).ok_or("malformed extensions")? {
        while !list.is_empty() {
            let mut extension = Raw::parse(list.read(tag::SEQUENCE).ok_or("malformed extension")?)?;
            if extension.oid == REASON_CODE {
                extension
                    .value
                    .int64(ENUMERATED)
                    .ok_or("malformed reasonCode extension")?;
            }
        }
    }
    Ok((serial.strip_prefix(&[0]).unwrap_or(serial), at))
}

//! Certificate revocation lists (RFC 5280, section 5), read as Go's `ParseRevocationList` does.

use super::algorithm::Algorithm;
use super::der::{DerReader, context, context_constructed, tag};
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
    scope: Scope,
}

/// What a list says of a certificate whose serial number it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Since when it is revoked, Unix seconds.
    pub at: i64,
    /// Why it need not be, as RFC 5280 (section 5) has it: the list or its entry may be about something else.
    pub doubt: Option<&'static str>,
}

/// Which certificates a list is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// All of its issuer's.
    All,
    /// Those of users only.
    Users,
    /// Those of authorities only.
    Authorities,
    /// Others; why.
    Others(&'static str),
}

const ENUMERATED: u8 = 0x0a;
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
const ISSUING_POINT: &[u8] = &[0x55, 0x1d, 28];
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
const REMOVE_FROM_LIST: i64 = 8;

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
        let (mut scope, mut is_strange) = (Scope::All, false);
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
                    ISSUING_POINT => scope = issued_for(extension.value),
                    // The mark of a delta, for one.
                    _ => is_strange |= extension.critical,
                }
            }
        }
        if is_strange {
            scope = Scope::Others("the list has a critical extension that is not known");
        }
        Ok(Self {
            tbs: tbs.span(),
            signature,
            algorithm,
            this_update,
            next_update,
            scope,
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

    /// What it says of a certificate of its issuer, if it names it.
    pub fn look_up(&self, certificate: &Certificate) -> Option<Revocation> {
        let wanted = certificate.raw_serial();
        let mut left = DerReader::at(&self.der, self.revoked);
        while !left.is_empty() {
            let (serial, mut found) = entry(&mut left).ok()?;
            if serial == wanted {
                found.doubt = self.doubt(certificate).or(found.doubt);
                return Some(found);
            }
        }
        None
    }

    fn doubt(&self, certificate: &Certificate) -> Option<&'static str> {
        let is_authority = certificate.extensions.basic.is_some_and(|basic| basic.ca);
        match self.scope {
            Scope::Users if is_authority => Some("the list is about certificates of users"),
            Scope::Authorities if !is_authority => Some("the list is about certificates of authorities"),
            Scope::Others(why) => Some(why),
            Scope::All | Scope::Users | Scope::Authorities => None,
        }
    }
}

/// Reads an issuing distribution point (RFC 5280, section 5.2.5).
fn issued_for(mut value: DerReader<'_>) -> Scope {
    let mut read = || {
        let mut fields = value.read(tag::SEQUENCE)?;
        let mut scope = Scope::All;
        while !fields.is_empty() {
            let (tag, value) = fields.any()?;
            match (tag, value.bytes()) {
                (_, [0]) => {}
                _ if tag == context_constructed(0) || tag == context(3) => {}
                (_, [0xff]) if tag == context(1) => scope = Scope::Users,
                (_, [0xff]) if tag == context(2) => scope = Scope::Authorities,
                _ => return None,
            }
        }
        Some(scope)
    };
    read().unwrap_or(Scope::Others("the list is about certificates of others"))
}

/// Reads an entry: the serial number without leading zero, and what it says.
fn entry<'a>(list: &mut DerReader<'a>) -> Result<(&'a [u8], Revocation), ParseError> {
    let mut fields = list.read(tag::SEQUENCE).ok_or("malformed crl")?;
    let serial = fields
        .integer(tag::INTEGER)
        .ok_or("malformed serial number")?
        .bytes();
    let at = fields.time()?;
    let mut doubt = None;
    if let Some(mut list) = fields.optional(tag::SEQUENCE).ok_or("malformed extensions")? {
        while !list.is_empty() {
            let mut extension = Raw::parse(list.read(tag::SEQUENCE).ok_or("malformed extension")?)?;
            if extension.oid == REASON_CODE {
                let reason = extension.value.int64(ENUMERATED);
                if reason.ok_or("malformed reasonCode extension")? == REMOVE_FROM_LIST {
                    doubt = Some("the entry removes it from the list");
                }
            } else if extension.oid == CERTIFICATE_ISSUER {
                doubt = Some("the entry is about a certificate of another issuer");
            } else if extension.critical {
                doubt = Some("the entry has a critical extension that is not known");
            }
        }
    }
    let serial = serial.strip_prefix(&[0]).unwrap_or(serial);
    Ok((serial, Revocation { at, doubt }))
}

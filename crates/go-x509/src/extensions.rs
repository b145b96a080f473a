//! The extensions of a certificate that its verdict depends on (RFC 5280, section 4.2).

use std::collections::HashSet;

use super::der::{DerReader, context, context_constructed, tag};
use super::name_constraints::{ADDRESS, DNS, EMAIL, NameConstraints, URI};
use super::{ParseError, Span, uri};

/// What the extensions say. Names and other texts stay in the certificate and are kept as places in it.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    /// Basic constraints, if the extension is there.
    pub basic: Option<BasicConstraints>,
    /// Key usage bits: bit 0 is `digitalSignature`; 0 when the extension is not there.
    pub key_usage: u16,
    /// Extended key usages, if there are any.
    pub usages: Option<Usages>,
    pub subject_key_id: Span,
    pub authority_key_id: Span,
    /// The whole value of the subject alternative name extension.
    pub san: Option<Span>,
    pub dns_names: Box<[Span]>,
    pub emails: Box<[Span]>,
    pub uris: Box<[Span]>,
    pub addresses: Box<[Span]>,
    pub name_constraints: Option<Box<NameConstraints>>,
    pub policies: Option<Box<Policies>>,
    /// Where lists of revoked certificates are to be had.
    pub revocation_urls: Box<[Span]>,
    /// Where a responder tells whether the certificate is revoked (OCSP).
    pub ocsp_urls: Box<[Span]>,
    /// Where the issuer's certificate is to be had.
    pub issuer_urls: Box<[Span]>,
    /// The list of signed certificate timestamps, as TLS writes it (RFC 6962, section 3.3).
    pub timestamps: Span,
    /// A critical extension was not understood.
    pub unhandled_critical: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct BasicConstraints {
    pub ca: bool,
    /// How many intermediates may come below.
    pub path_length: Option<u64>,
}

/// Which uses an extended key usage extension allows, as far as TLS is concerned.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usages {
    pub any: bool,
    pub server: bool,
    pub client: bool,
    pub ocsp_signing: bool,
}

/// Everything about certificate policies.
#[derive(Debug, Default)]
pub(super) struct Policies {
    /// The policies' identifiers.
    pub asserted: Vec<Span>,
    /// Policy mappings: issuer's, subject's.
    pub mappings: Vec<(Span, Span)>,
    pub require_explicit: Option<i64>,
    pub inhibit_mapping: Option<i64>,
    pub inhibit_any: Option<i64>,
}

type Parsed<T> = Result<T, ParseError>;

impl Extensions {
    /// Reads the SEQUENCE OF Extension.
    pub fn parse(der: &[u8], sequence: DerReader<'_>) -> Parsed<Self> {
        let mut list = sequence;
        let mut list = list.read(tag::SEQUENCE).ok_or("malformed extensions")?;
        let mut raw: Vec<Raw<'_>> = Vec::with_capacity(10);
        let mut seen = HashSet::with_capacity(10);
        while !list.is_empty() {
            let extension = list.read(tag::SEQUENCE).ok_or("malformed extension")?;
            let extension = Raw::parse(extension)?;
            if !seen.insert(extension.oid) {
                let oid = super::der::dotted(extension.oid);
                return Err(format!("certificate contains duplicate extension with OID \"{oid}\"").into());
            }
            raw.push(extension);
        }
        let mut found = Self::default();
        for extension in raw {
            let handled = found.process(der, extension)?;
            found.unhandled_critical |= extension.critical && !handled;
        }
        Ok(found)
    }

    /// Takes one extension in; whether it was understood.
    fn process(&mut self, der: &[u8], raw: Raw<'_>) -> Parsed<bool> {
        let value = raw.value;
        match raw.oid {
            [0x55, 0x1d, 14] => {
                if raw.critical {
                    return Err("subject key identifier incorrectly marked critical".into());
                }
                let mut value = value;
                let id = value
                    .read(tag::OCTET_STRING)
                    .ok_or("invalid subject key identifier")?;
                self.subject_key_id = id.span();
            }
            [0x55, 0x1d, 15] => self.key_usage = key_usage(value).ok_or("invalid key usage")?,
            [0x55, 0x1d, 17] => return self.subject_alternative_names(der, value),
            [0x55, 0x1d, 19] => {
                self.basic = Some(basic_constraints(value).ok_or("invalid basic constraints")?)
            }
            [0x55, 0x1d, 30] => {
                let (constraints, handled) = NameConstraints::parse(der, value)?;
                self.name_constraints = Some(Box::new(constraints));
                return Ok(handled);
            }
            [0x55, 0x1d, 31] => self.revocation_urls = distribution_points(value)?,
            [0x55, 0x1d, 32] => {
                self.policies().asserted = policies(value).ok_or("invalid certificate policies")?
            }
            [0x55, 0x1d, 33] => {
                self.policies().mappings =
                    policy_mappings(value).ok_or("invalid policy mappings extension")?;
            }
            [0x55, 0x1d, 35] => self.authority_key_id = authority_key_id(raw)?,
            [0x55, 0x1d, 36] => {
                let mut value = value;
                let mut value = value.read(tag::SEQUENCE).ok_or(BAD_CONSTRAINTS)?;
                let policies = self.policies();
                if value.peek(context(0)) {
                    policies.require_explicit = Some(value.int64(context(0)).ok_or(BAD_CONSTRAINTS)?);
                }
                if value.peek(context(1)) {
                    policies.inhibit_mapping = Some(value.int64(context(1)).ok_or(BAD_CONSTRAINTS)?);
                }
            }
            [0x55, 0x1d, 37] => {
                self.usages = extended_key_usage(value).ok_or("invalid extended key usages")?
            }
            [0x55, 0x1d, 54] => {
                let mut value = value;
                let any = value
                    .int64(tag::INTEGER)
                    .ok_or("invalid inhibit any policy extension")?;
                self.policies().inhibit_any = Some(any);
            }
            AUTHORITY_INFORMATION => [self.ocsp_urls, self.issuer_urls] = authority_information(raw)?,
            TIMESTAMPS => {
                let mut value = value;
                self.timestamps = value
                    .read(tag::OCTET_STRING)
                    .map_or(Span::default(), |list| list.span());
                // Go knows nothing of it: critical, it is refused.
                return Ok(false);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn policies(&mut self) -> &mut Policies {
        self.policies.get_or_insert_default()
    }

    fn subject_alternative_names(&mut self, der: &[u8], value: DerReader<'_>) -> Parsed<bool> {
        self.san = Some(value.span());
        let mut value = value;
        let mut names = value
            .read(tag::SEQUENCE)
            .ok_or("invalid subject alternative names")?;
        let (mut dns, mut emails, mut uris, mut addresses) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        while !names.is_empty() {
            let (tag, name) = names.any().ok_or("invalid subject alternative name")?;
            let bytes = name.bytes();
            match tag {
                EMAIL if !bytes.is_ascii() => return Err("SAN rfc822Name is malformed".into()),
                DNS if !bytes.is_ascii() => return Err("SAN dNSName is malformed".into()),
                URI if !bytes.is_ascii() => return Err("SAN uniformResourceIdentifier is malformed".into()),
                EMAIL => emails.push(name.span()),
                DNS => dns.push(name.span()),
                URI => {
                    uri::check_san(&String::from_utf8_lossy(name.span().of(der)))?;
                    uris.push(name.span());
                }
                ADDRESS if matches!(bytes.len(), 4 | 16) => addresses.push(name.span()),
                ADDRESS => return Err(format!("cannot parse IP address of length {}", bytes.len()).into()),
                _ => {}
            }
        }
        let handled = !(dns.is_empty() && emails.is_empty() && uris.is_empty() && addresses.is_empty());
        self.dns_names = dns.into_boxed_slice();
        self.emails = emails.into_boxed_slice();
        self.uris = uris.into_boxed_slice();
        self.addresses = addresses.into_boxed_slice();
        Ok(handled)
    }
}

/// id-pe-authorityInfoAccess, 1.3.6.1.5.5.7.1.1
const AUTHORITY_INFORMATION: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
/// Its access methods id-ad-ocsp and id-ad-caIssuers
const OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1];
const ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 2];
/// Embedded signed certificate timestamps, 1.3.6.1.4.1.11129.2.4.2
const TIMESTAMPS: &[u8] = &[0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2];
const BAD_CONSTRAINTS: &str = "invalid policy constraints extension";

/// An extension before it is understood.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    pub oid: &'a [u8],
    pub critical: bool,
    pub value: DerReader<'a>,
}

impl<'a> Raw<'a> {
    pub fn parse(mut extension: DerReader<'a>) -> Parsed<Self> {
        let oid = extension.oid().ok_or("malformed extension OID field")?;
        let critical = if extension.peek(tag::BOOLEAN) {
            extension.boolean().ok_or("malformed extension critical field")?
        } else {
            false
        };
        let value = extension
            .read(tag::OCTET_STRING)
            .ok_or("malformed extension value field")?;
        Ok(Self { oid, critical, value })
    }
}

fn key_usage(mut value: DerReader<'_>) -> Option<u16> {
    let (bits, padding) = value.bit_string()?;
    let count = bits.bytes().len() * 8 - usize::from(padding);
    let bit = |i: usize| {
        let byte = bits.bytes().get(i / 8).copied().unwrap_or(0);
        i < count && byte & (0x80 >> (i % 8)) != 0
    };
    Some((0..9).fold(0, |usage, i| usage | (u16::from(bit(i)) << i)))
}

fn basic_constraints(mut value: DerReader<'_>) -> Option<BasicConstraints> {
    let mut value = value.read(tag::SEQUENCE)?;
    let ca = if value.peek(tag::BOOLEAN) {
        value.boolean()?
    } else {
        false
    };
    let path_length = if value.peek(tag::INTEGER) {
        Some(u64::try_from(value.int64(tag::INTEGER)?).ok()?)
    } else {
        None
    };
    Some(BasicConstraints { ca, path_length })
}

/// The URLs of the full names.
fn distribution_points(mut value: DerReader<'_>) -> Parsed<Box<[Span]>> {
    const BAD: &str = "invalid CRL distribution point";
    let mut points = value
        .read(tag::SEQUENCE)
        .ok_or("invalid CRL distribution points")?;
    let mut found = Vec::new();
    while !points.is_empty() {
        let mut point = points.read(tag::SEQUENCE).ok_or(BAD)?;
        let Some(mut name) = point.optional(context_constructed(0)).ok_or(BAD)? else {
            continue;
        };
        let mut full = name.read(context_constructed(0)).ok_or(BAD)?;
        while full.peek(URI) {
            found.push(full.read(URI).ok_or(BAD)?.span());
        }
    }
    Ok(found.into_boxed_slice())
}

fn policies(mut value: DerReader<'_>) -> Option<Vec<Span>> {
    let mut list = value.read(tag::SEQUENCE)?;
    let mut found: Vec<Span> = Vec::new();
    let mut seen = HashSet::new();
    while !list.is_empty() {
        let mut policy = list.read(tag::SEQUENCE)?;
        let id = policy.read(tag::OID)?;
        // Longer numbers than elsewhere are allowed here; only the encoding is looked at.
        let mut start = true;
        for byte in id.bytes() {
            if start && *byte == 0x80 {
                return None;
            }
            start = byte & 0x80 == 0;
        }
        if id.is_empty() || !start || !seen.insert(id.bytes()) {
            return None;
        }
        found.push(id.span());
    }
    Some(found)
}

fn policy_mappings(mut value: DerReader<'_>) -> Option<Vec<(Span, Span)>> {
    let mut list = value.read(tag::SEQUENCE)?;
    let mut found = Vec::new();
    while !list.is_empty() {
        let mut pair = list.read(tag::SEQUENCE)?;
        found.push((pair.read(tag::OID)?.span(), pair.read(tag::OID)?.span()));
    }
    Some(found)
}

pub(super) fn authority_key_id(raw: Raw<'_>) -> Parsed<Span> {
    const BAD: &str = "invalid authority key identifier";
    if raw.critical {
        return Err("authority key identifier incorrectly marked critical".into());
    }
    let mut value = raw.value;
    let mut value = value.read(tag::SEQUENCE).ok_or(BAD)?;
    if !value.peek(context(0)) {
        return Ok(Span::default());
    }
    Ok(value.read(context(0)).ok_or(BAD)?.span())
}

#[allow(clippy::option_option)]
fn extended_key_usage(mut value: DerReader<'_>) -> Option<Option<Usages>> {
    let mut list = value.read(tag::SEQUENCE)?;
    let mut usages = None;
    while !list.is_empty() {
        let oid = list.oid()?;
        let found = usages.get_or_insert(Usages::default());
        found.any |= oid == [0x55, 0x1d, 37, 0];
        found.server |= oid == [0x2b, 6, 1, 5, 5, 7, 3, 1];
        found.client |= oid == [0x2b, 6, 1, 5, 5, 7, 3, 2];
        found.ocsp_signing |= oid == [0x2b, 6, 1, 5, 5, 7, 3, 9];
    }
    Some(usages)
}

/// The URLs of responders, and those of the issuer's certificate.
fn authority_information(raw: Raw<'_>) -> Parsed<[Box<[Span]>; 2]> {
    const BAD: &str = "invalid authority info access";
    if raw.critical {
        return Err("authority info access incorrectly marked critical".into());
    }
    let (mut responders, mut issuers) = (Vec::new(), Vec::new());
    let mut value = raw.value;
    let mut list = value.read(tag::SEQUENCE).ok_or(BAD)?;
    while !list.is_empty() {
        let mut access = list.read(tag::SEQUENCE).ok_or(BAD)?;
        let method = access.oid().ok_or(BAD)?;
        if !access.peek(URI) {
            continue;
        }
        let url = access.read(URI).ok_or(BAD)?.span();
        match method {
            OCSP => responders.push(url),
            ISSUERS => issuers.push(url),
            _ => {}
        }
    }
    Ok([responders.into_boxed_slice(), issuers.into_boxed_slice()])
}

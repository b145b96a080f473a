//! The name constraints of a certificate as they stand in it (RFC 5280, section 4.2.1.10); `constraints` obeys them.

use std::net::IpAddr;

use gostd::strconv::quote_bytes;

use super::der::{DerReader, context, context_constructed, tag};
use super::name::hex;
use super::{ParseError, Span, uri};

// Tags of GeneralName (RFC 5280, section 4.2.1.6).
pub(super) const EMAIL: u8 = context(1);
pub(super) const DNS: u8 = context(2);
pub(super) const URI: u8 = context(6);
pub(super) const ADDRESS: u8 = context(7);

type Parsed<T> = Result<T, ParseError>;

/// The subtrees of a name constraints extension.
#[derive(Debug, Default)]
pub(super) struct NameConstraints {
    pub permitted: Subtrees,
    pub excluded: Subtrees,
}

#[derive(Debug, Default)]
pub(super) struct Subtrees {
    pub dns: Vec<Span>,
    pub emails: Vec<Span>,
    pub uris: Vec<Span>,
    /// Address and mask, each of 4 or 16 bytes, one after the other.
    pub addresses: Vec<Span>,
}

impl NameConstraints {
    /// The subtrees, and whether all of them are of a kind that is understood.
    pub fn parse(der: &[u8], mut value: DerReader<'_>) -> Parsed<(Self, bool)> {
        const BAD: &str = "invalid NameConstraints extension";
        let mut top = value.read(tag::SEQUENCE).ok_or(BAD)?;
        let permitted = top.optional(context_constructed(0)).ok_or(BAD)?;
        let excluded = top.optional(context_constructed(1)).ok_or(BAD)?;
        if !value.is_empty() || !top.is_empty() {
            return Err(BAD.into());
        }
        if [permitted, excluded].iter().flatten().all(DerReader::is_empty) {
            return Err("empty name constraints extension".into());
        }
        let mut handled = true;
        let mut parse = |list: Option<DerReader<'_>>| match list {
            Some(list) => Subtrees::parse(der, list, &mut handled),
            None => Ok(Subtrees::default()),
        };
        let (permitted, excluded) = (parse(permitted)?, parse(excluded)?);
        Ok((Self { permitted, excluded }, handled))
    }
}

impl Subtrees {
    fn parse(der: &[u8], mut list: DerReader<'_>, handled: &mut bool) -> Parsed<Self> {
        const BAD: &str = "invalid NameConstraints extension";
        let mut found = Self::default();
        while !list.is_empty() {
            let mut subtree = list.read(tag::SEQUENCE).ok_or(BAD)?;
            let (tag, base) = subtree.any().ok_or(BAD)?;
            let text = String::from_utf8_lossy(base.span().of(der));
            if matches!(tag, DNS | EMAIL | URI) && !text.is_ascii() {
                let quoted = quote_bytes(base.bytes());
                return Err(format!(
                    "invalid constraint value: x509: {quoted} cannot be encoded as an IA5String"
                )
                .into());
            }
            let refuse = |kind: &str, why: &str| -> Parsed<()> {
                let quoted = quote_bytes(&*text);
                Err(format!("failed to parse {kind} constraint {quoted}{why}").into())
            };
            match tag {
                DNS => {
                    if !uri::is_domain(&text, true) {
                        refuse("dnsName", "")?;
                    }
                    found.dns.push(base.span());
                }
                ADDRESS => {
                    check_network(base.bytes())?;
                    found.addresses.push(base.span());
                }
                EMAIL => {
                    let valid = if text.contains('@') {
                        uri::Mailbox::parse(&text).is_some()
                    } else {
                        uri::is_domain(&text, true)
                    };
                    if !valid {
                        refuse("rfc822Name", "")?;
                    }
                    found.emails.push(base.span());
                }
                URI => {
                    if text.parse::<IpAddr>().is_ok() {
                        refuse("URI", ": cannot be IP address")?;
                    }
                    if !uri::is_domain(&text, true) {
                        refuse("URI", "")?;
                    }
                    found.uris.push(base.span());
                }
                _ => *handled = false,
            }
        }
        Ok(found)
    }
}

/// An address and a mask of the same length, whose ones come first.
fn check_network(bytes: &[u8]) -> Parsed<()> {
    if !matches!(bytes.len(), 8 | 32) {
        return Err(format!("IP constraint contained value of length {}", bytes.len()).into());
    }
    let (_, mask) = bytes.split_at(bytes.len() / 2);
    let mut ended = false;
    for byte in mask {
        let whole = byte.leading_ones() + byte.trailing_zeros() >= 8;
        if !whole || (ended && *byte != 0) {
            return Err(format!("IP constraint contained invalid mask {}", hex(mask)).into());
        }
        ended |= *byte != 0xff;
    }
    Ok(())
}

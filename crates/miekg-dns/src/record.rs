//! Resource records: reading them and printing them as zone files do.
//!
//! The text is the one of miekg/dns, to the letter, because upstream's validators match it:
//! `name.<TAB>TTL<TAB>class<TAB>type<TAB>data`. That includes what it does with data that ends early: after most fields
//! a record may end, and the fields it does not have are printed as zeros and empty texts.

use super::data::{Data, Header, bitmap};
use super::special;
use super::text::{
    algorithm_name, base64, cert_type_name, escape_octet, eui, hex, named, octets, print, quoted, time,
};
use super::wire::{Cursor, Malformed};
use crate::names::type_name;

/// Type numbers that something hangs on.
pub mod types {
    #![allow(missing_docs)]
    pub const SOA: u16 = 6;
    pub const OPT: u16 = 41;
    pub const RRSIG: u16 = 46;
    pub const NSEC: u16 = 47;
    pub const NSEC3: u16 = 50;
    pub const TSIG: u16 = 250;
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What stands in front of the data.
    pub header: Header,
    /// The whole record as text; not always UTF-8, a NULL record is printed raw.
    pub text: Vec<u8>,
    /// The serial number of a SOA record.
    pub serial: Option<u32>,
    /// What a RRSIG record is about.
    pub signature: Option<Signature>,
}

/// The beginning of a RRSIG record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The type of the records that are signed.
    pub covered: u16,
    /// When it expires, in seconds since 1970.
    pub expiration: u32,
    /// Since when it is valid, in seconds since 1970.
    pub inception: u32,
}

impl Record {
    /// Class, type and data as text: the record without its owner and its TTL.
    pub fn class_type_data(&self) -> &[u8] {
        let mut parts = self.text.splitn(3, |octet| *octet == b'\t');
        parts.nth(2).unwrap_or(&self.text)
    }

    /// Reads one record and what it says.
    ///
    /// # Errors
    /// What miekg/dns cannot unpack: data beyond the message, fields beyond the data, data beyond the fields, bad names,
    /// and what the types with rules of their own forbid.
    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let mut owner = Vec::with_capacity(32);
        cursor.name(&mut owner)?;
        let (rtype, class, ttl) = (cursor.u16()?, cursor.u16()?, cursor.u32()?);
        let length = cursor.u16()?;
        let header = Header {
            owner,
            rtype,
            class,
            ttl,
        };
        let mut data = Data::new(cursor.split(usize::from(length))?);
        let mut record = Self {
            text: Vec::with_capacity(header.owner.len() + 64),
            header,
            serial: None,
            signature: None,
        };
        record.print(&mut data)?;
        if length > 0 && !data.cursor.is_at_end() {
            return Err(Malformed("a record has more data than its type"));
        }
        Ok(record)
    }

    fn print(&mut self, data: &mut Data<'_>) -> Result<(), Malformed> {
        let Self {
            header,
            text,
            serial,
            signature,
        } = self;
        match special::printer(header.rtype) {
            Some(printer) => return printer(header, data, text),
            None if header.rtype == types::SOA => *serial = Some(soa_serial(data.clone())?),
            None if header.rtype == types::RRSIG => *signature = Some(self::signature(data.clone())?),
            None => {}
        }
        match layout(header.rtype) {
            Some(fields) => {
                header.print(text);
                fields
                    .iter()
                    .enumerate()
                    .try_for_each(|(index, field)| field.print(index > 0, data, text))
            }
            None => unknown(header, data, text),
        }
    }
}

/// A type nobody knows how to print: RFC 3597.
fn unknown(header: &Header, data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let octets = data.rest();
    text.extend_from_slice(&header.owner);
    print(
        text,
        format_args!(
            "\t{}\tCLASS{}\tTYPE{}\t\\# {} ",
            header.ttl,
            header.class,
            header.rtype,
            octets.len()
        ),
    );
    hex(octets, false, text);
    Ok(())
}

fn soa_serial(mut data: Data<'_>) -> Result<u32, Malformed> {
    data.name(&mut Vec::new())?;
    data.name(&mut Vec::new())?;
    data.u32()
}

fn signature(mut data: Data<'_>) -> Result<Signature, Malformed> {
    let covered = data.u16()?;
    let (_algorithm, _labels, _ttl) = (data.u8()?, data.u8()?, data.u32()?);
    Ok(Signature {
        covered,
        expiration: data.u32()?,
        inception: data.u32()?,
    })
}

/// A field of a record whose text is its fields with blanks between them.
#[derive(Clone, Copy, Debug)]
enum Field {
    U8,
    U16,
    U32,
    /// A type by its name.
    Type,
    /// The type of a certificate (RFC 4398).
    CertType,
    /// A DNSSEC algorithm by its name.
    Algorithm,
    /// Seconds since 1970 as `YYYYMMDDHHMMSS`.
    Time,
    Name,
    /// A character string in quotes.
    Quoted,
    /// A character string without quotes.
    Bare,
    /// Character strings in quotes up to the end.
    Strings,
    /// The rest in quotes, escapes in it understood.
    Octets,
    Hex,
    HexUpper,
    Base64,
    Ipv4,
    Ipv6,
    /// 64 bits as four groups of hexadecimal digits.
    NodeId,
    NodeIdUpper,
    Eui48,
    Eui64,
    /// The types that a bitmap names (RFC 4034, section 4.1.2).
    Bitmap,
}

/// The fields of the types without rules of their own; `None` for a type that miekg/dns does not know.
fn layout(rtype: u16) -> Option<&'static [Field]> {
    use Field::*;
    Some(match type_name(rtype)? {
        "A" => &[Ipv4],
        "AAAA" => &[Ipv6],
        "NS" | "MD" | "MF" | "CNAME" | "MB" | "MG" | "MR" | "PTR" | "DNAME" | "NSAP-PTR" => &[Name],
        "SOA" => &[Name, Name, U32, U32, U32, U32, U32],
        "HINFO" | "ISDN" => &[Quoted, Quoted],
        "UINFO" => &[Quoted],
        "MINFO" | "RP" | "TALINK" => &[Name, Name],
        "MX" | "AFSDB" | "RT" | "KX" | "LP" => &[U16, Name],
        "TXT" | "SPF" | "AVC" | "NINFO" | "RESINFO" => &[Strings],
        "X25" => &[Bare],
        "SIG" | "RRSIG" => &[Type, U8, U8, U32, Time, Time, U16, Name, Base64],
        "KEY" | "DNSKEY" | "CDNSKEY" | "RKEY" => &[U16, U8, U8, Base64],
        "PX" => &[U16, Name, Name],
        "GPOS" => &[Bare, Bare, Bare],
        "NXT" | "NSEC" => &[Name, Bitmap],
        "EID" | "NIMLOC" => &[HexUpper],
        "SRV" => &[U16, U16, U16, Name],
        "NAPTR" => &[U16, U16, Quoted, Quoted, Quoted, Name],
        "CERT" => &[CertType, U16, Algorithm, Base64],
        "DS" | "CDS" | "DLV" | "TA" => &[U16, U8, U8, HexUpper],
        "SSHFP" => &[U8, U8, HexUpper],
        "DHCID" | "OPENPGPKEY" => &[Base64],
        "TLSA" => &[U8, U8, U8, Hex],
        "CSYNC" => &[U32, U16, Bitmap],
        "ZONEMD" => &[U32, U8, U8, Hex],
        "UID" | "GID" => &[U32],
        "NID" => &[U16, NodeId],
        "L32" => &[U16, Ipv4],
        "L64" => &[U16, NodeIdUpper],
        "EUI48" => &[Eui48],
        "EUI64" => &[Eui64],
        "URI" => &[U16, U16, Octets],
        "CAA" => &[U8, Bare, Octets],
        "ANY" | "NXNAME" => &[],
        _ => return None,
    })
}

impl Field {
    fn print(self, blank: bool, data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
        // The types of a bitmap and an address that is missing bring no blank along.
        let brings_blank = match self {
            Self::Bitmap => false,
            Self::Ipv4 => !data.ended(),
            _ => true,
        };
        if blank && brings_blank {
            text.push(b' ');
        }
        match self {
            Self::U8 => print(text, format_args!("{}", data.u8()?)),
            Self::U16 => print(text, format_args!("{}", data.u16()?)),
            Self::U32 => print(text, format_args!("{}", data.u32()?)),
            Self::Type => {
                let number = data.u16()?;
                named(type_name(number), "TYPE", number, text);
            }
            Self::CertType => {
                let number = data.u16()?;
                named(cert_type_name(number), "", number, text);
            }
            Self::Algorithm => {
                let number = data.u8()?;
                named(algorithm_name(number), "", u16::from(number), text);
            }
            Self::Time => time(u64::from(data.u32()?), text),
            Self::Name => data.name(text)?,
            Self::Quoted => quoted(data.string()?, text),
            Self::Bare => data.string()?.iter().for_each(|octet| escape_octet(*octet, text)),
            Self::Strings => {
                let begin = text.len();
                while !data.ended() {
                    if text.len() > begin {
                        text.push(b' ');
                    }
                    quoted(data.string()?, text);
                }
            }
            Self::Octets => octets(data.rest(), text),
            Self::Hex => hex(data.rest(), false, text),
            Self::HexUpper => hex(data.rest(), true, text),
            Self::Base64 => base64(data.rest(), text),
            Self::Ipv4 => {
                if let Some(address) = data.array::<4>()? {
                    print(text, format_args!("{}", std::net::Ipv4Addr::from(address)));
                }
            }
            Self::Ipv6 => {
                if let Some(address) = data.array::<16>()? {
                    print(text, format_args!("{}", std::net::Ipv6Addr::from(address)));
                }
            }
            Self::NodeId | Self::NodeIdUpper => {
                for (index, octets) in data.u64()?.to_be_bytes().chunks_exact(2).enumerate() {
                    if index > 0 {
                        text.push(b':');
                    }
                    hex(octets, matches!(self, Self::NodeIdUpper), text);
                }
            }
            Self::Eui48 => eui(&data.array::<6>()?.unwrap_or_default(), text),
            Self::Eui64 => eui(&data.array::<8>()?.unwrap_or_default(), text),
            Self::Bitmap => bitmap(data, text)?,
        }
        Ok(())
    }
}

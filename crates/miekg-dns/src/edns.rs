//! The OPT pseudo record of EDNS (RFC 6891), printed as dig prints it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::data::{Data, Header};
use super::text::{algorithm_name, hex, print};
use super::wire::{Cursor, Malformed};

/// Prints the record; its class is the size of the sender's UDP buffer, its TTL holds version and flags.
///
/// # Errors
/// Options that go beyond the record or are too short for what they are.
pub fn opt(header: &Header, data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let flags = header.ttl;
    print(
        text,
        format_args!(
            "\n;; OPT PSEUDOSECTION:\n; EDNS: version {}; flags:",
            flags >> 16 & 0xFF
        ),
    );
    if flags & 0x8000 != 0 {
        text.extend_from_slice(b" do");
    }
    if flags & 0x4000 != 0 {
        text.extend_from_slice(b" co");
    }
    text.extend_from_slice(b"; ");
    if flags & 0x3FFF != 0 {
        print(text, format_args!("MBZ: 0x{:04x}, ", flags & 0x3FFF));
    }
    print(text, format_args!("udp: {}", header.class));
    while !data.cursor.is_at_end() {
        let (code, length) = (data.cursor.u16()?, data.cursor.u16()?);
        let octets = data.cursor.take(usize::from(length))?;
        option(code, octets, text)?;
    }
    Ok(())
}

/// The upper bits of the response code, at their place.
pub fn extended_rcode(header: &Header) -> u16 {
    let [upper, ..] = header.ttl.to_be_bytes();
    u16::from(upper) << 4
}

fn option(code: u16, octets: &[u8], text: &mut Vec<u8>) -> Result<(), Malformed> {
    const SHORT: Malformed = Malformed("an EDNS option is too short");
    let mut cursor = Cursor::new(octets);
    let mut heading = |name: &str| print(text, format_args!("\n; {name}: "));
    match code {
        1 => {
            heading("LONG LIVED QUERIES");
            let (version, opcode, error) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
            let id = u64::from_be_bytes(cursor.array()?);
            print(
                text,
                format_args!("{version} {opcode} {error} {id} {}", cursor.u32()?),
            );
        }
        2 => {
            heading("UPDATE LEASE");
            let lease = cursor.u32()?;
            let key_lease = if cursor.is_at_end() { 0 } else { cursor.u32()? };
            if !cursor.is_at_end() {
                return Err(Malformed(
                    "the EDNS option UPDATE LEASE has neither 4 nor 8 octets",
                ));
            }
            print(text, format_args!("{lease} {key_lease}"));
        }
        3 => {
            heading("NSID");
            hex(octets, false, text);
            text.extend_from_slice(b"  ");
            octets
                .iter()
                .for_each(|octet| print(text, format_args!("({})", char::from(*octet))));
        }
        4 => {
            heading("ESU");
            text.extend_from_slice(octets);
        }
        5 => {
            heading("DNSSEC ALGORITHM UNDERSTOOD");
            understood(octets, algorithm_name, text);
        }
        6 => {
            heading("DS HASH UNDERSTOOD");
            understood(octets, hash_name, text);
        }
        7 => {
            heading("NSEC3 HASH UNDERSTOOD");
            understood(octets, hash_name, text);
        }
        8 => {
            heading("SUBNET");
            subnet(cursor, text)?;
        }
        9 => {
            heading("EXPIRE");
            if !octets.is_empty() {
                print(text, format_args!("{}", cursor.u32()?));
            }
        }
        10 => {
            heading("COOKIE");
            hex(octets, false, text);
        }
        11 => {
            heading("KEEPALIVE");
            // In units of 100 ms; miekg/dns multiplies in 16 bits.
            let timeout = match octets {
                [] => 0,
                [high, low] => u16::from_be_bytes([*high, *low]),
                _ => return Err(Malformed("the EDNS option KEEPALIVE has neither 0 nor 2 octets")),
            };
            text.extend_from_slice(b"use tcp keep-alive");
            match timeout {
                0 => text.extend_from_slice(b", timeout omitted"),
                timeout => print(text, format_args!(", timeout {}ms", timeout.wrapping_mul(100))),
            }
        }
        12 => {
            heading("PADDING");
            hex(octets, true, text);
        }
        15 => {
            heading("EDE");
            let code = cursor.u16().map_err(|_| SHORT)?;
            match extended_error(code) {
                Some(name) => print(text, format_args!("{code} ({name}): (")),
                None => print(text, format_args!("{code}: (")),
            }
            text.extend_from_slice(cursor.rest());
            text.push(b')');
        }
        18 => {
            heading("REPORT-CHANNEL");
            cursor.name(text)?;
        }
        19 => {
            heading("ZONEVERSION");
            let (_labels, _kind) = (cursor.u8().map_err(|_| SHORT)?, cursor.u8().map_err(|_| SHORT)?);
            text.extend_from_slice(cursor.rest());
        }
        _ => {
            heading("LOCAL OPT");
            print(text, format_args!("{code}:0x"));
            hex(octets, false, text);
        }
    }
    Ok(())
}

/// RFC 7871. Octets of the address that are missing are zero, surplus ones are ignored.
fn subnet(mut cursor: Cursor<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let (family, source, scope) = (cursor.u16()?, cursor.u8()?, cursor.u8()?);
    let mut address = [0; 16];
    address
        .iter_mut()
        .zip(cursor.rest())
        .for_each(|(to, from)| *to = *from);
    let [a, b, c, d, ..] = address;
    let (width, address) = match family {
        0 if source == 0 => (u8::MAX, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        1 => (32, IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
        2 => (128, IpAddr::V6(Ipv6Addr::from(address))),
        _ => return Err(Malformed("the EDNS option SUBNET has a bad address family")),
    };
    if source > width || scope > width {
        return Err(Malformed("the EDNS option SUBNET has a bad netmask"));
    }
    match address.to_canonical() {
        IpAddr::V4(address) => print(text, format_args!("{address}/{source}/{scope}")),
        IpAddr::V6(address) => print(text, format_args!("[{address}]/{source}/{scope}")),
    }
    Ok(())
}

fn understood(numbers: &[u8], name: fn(u8) -> Option<&'static str>, text: &mut Vec<u8>) {
    for &number in numbers {
        match name(number) {
            Some(name) => print(text, format_args!(" {name}")),
            None => print(text, format_args!(" {number}")),
        }
    }
}

fn hash_name(number: u8) -> Option<&'static str> {
    ["SHA1", "SHA256", "GOST94", "SHA384", "SHA512"]
        .get(usize::from(number).checked_sub(1)?)
        .copied()
}

/// The names of RFC 8914 and its registry.
fn extended_error(code: u16) -> Option<&'static str> {
    const NAMES: [&str; 31] = [
        "Other",
        "Unsupported DNSKEY Algorithm",
        "Unsupported DS Digest Type",
        "Stale Answer",
        "Forged Answer",
        "DNSSEC Indeterminate",
        "DNSSEC Bogus",
        "Signature Expired",
        "Signature Not Yet Valid",
        "DNSKEY Missing",
        "RRSIGs Missing",
        "No Zone Key Bit Set",
        "NSEC Missing",
        "Cached Error",
        "Not Ready",
        "Blocked",
        "Censored",
        "Filtered",
        "Prohibited",
        "Stale NXDOMAIN Answer",
        "Not Authoritative",
        "Not Supported",
        "No Reachable Authority",
        "Network Error",
        "Invalid Data",
        "Signature Expired Before Valid",
        "Too Early",
        "Unsupported NSEC3 Iterations Value",
        "Unable To Conform To Policy",
        "Synthesized",
        "Invalid Query Type",
    ];
    NAMES.get(usize::from(code)).copied()
}

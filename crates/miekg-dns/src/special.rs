//! The record types whose text is more than their fields with blanks between them.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::data::{Data, Header, bitmap};
use super::text::{base32, base64, hex, print, time};
use super::wire::Malformed;
use super::{edns, svcb};
use crate::names::type_name;

/// Prints a whole record.
pub type Printer = fn(&Header, &mut Data<'_>, &mut Vec<u8>) -> Result<(), Malformed>;

/// The printer of a type with rules of its own.
pub fn printer(rtype: u16) -> Option<Printer> {
    Some(match type_name(rtype)? {
        "NULL" => null,
        "LOC" => loc,
        "OPT" => edns::opt,
        "APL" => apl,
        "IPSECKEY" => ipseckey,
        "NSEC3" => nsec3,
        "NSEC3PARAM" => nsec3param,
        "SMIMEA" => smimea,
        "HIP" => hip,
        "SVCB" | "HTTPS" => svcb::print,
        "TKEY" => tkey,
        "TSIG" => tsig,
        "AMTRELAY" => amtrelay,
        _ => return None,
    })
}

/// NULL has no presentation form: a comment with the octets as they are.
fn null(header: &Header, data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    text.push(b';');
    header.print(text);
    text.extend_from_slice(data.rest());
    Ok(())
}

/// RFC 1876: latitude, longitude, altitude in metres, size and precisions in metres.
fn loc(header: &Header, data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let _version = data.u8()?;
    let (size, horizontal, vertical) = (data.u8()?, data.u8()?, data.u8()?);
    let (latitude, longitude, altitude) = (data.u32()?, data.u32()?, data.u32()?);
    header.print(text);
    angle(latitude, 'N', 'S', text);
    angle(longitude, 'E', 'W', text);
    let metres = f64::from(altitude) / 100.0 - 100_000.0;
    if altitude % 100 == 0 {
        print(text, format_args!("{metres:.0}m "));
    } else {
        print(text, format_args!("{metres:.2}m "));
    }
    for (centimetres, end) in [(size, "m "), (horizontal, "m "), (vertical, "m")] {
        let (mantissa, exponent) = (centimetres >> 4, centimetres & 15);
        match exponent {
            0 => print(text, format_args!("0.{mantissa:02}")),
            1 => print(text, format_args!("0.{:02}", mantissa * 10)),
            _ => print(
                text,
                format_args!("{mantissa}{}", "0".repeat(usize::from(exponent) - 2)),
            ),
        }
        text.extend_from_slice(end.as_bytes());
    }
    Ok(())
}

/// Degrees, minutes, seconds from thousandths of a second, 2^31 being the equator or the prime meridian.
fn angle(thousandths: u32, above: char, below: char, text: &mut Vec<u8>) {
    const ZERO: u32 = 1 << 31;
    let direction = if thousandths > ZERO { above } else { below };
    let distance = thousandths.abs_diff(ZERO);
    let (degrees, minutes, seconds) = (
        distance / 3_600_000,
        distance / 60_000 % 60,
        f64::from(distance % 60_000) / 1000.0,
    );
    print(
        text,
        format_args!("{degrees:02} {minutes:02} {seconds:.3} {direction} "),
    );
}

/// RFC 3123: address prefixes.
fn apl(header: &Header, data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    header.print(text);
    let cursor = &mut data.cursor;
    let mut first = true;
    while !cursor.is_at_end() {
        let (family, prefix, flags) = (cursor.u16()?, cursor.u8()?, cursor.u8()?);
        let (negation, length) = (flags & 0x80 != 0, usize::from(flags & 0x7F));
        let width = match family {
            1 => 4,
            2 => 16,
            _ => return Err(Malformed("an address prefix has an unknown family")),
        };
        if usize::from(prefix) > 8 * width {
            return Err(Malformed("an address prefix is longer than its address"));
        }
        if length > width {
            return Err(Malformed("an address prefix has more octets than its family"));
        }
        let octets = cursor.take(length)?;
        if octets.last() == Some(&0) {
            return Err(Malformed("an address prefix ends in zeros"));
        }
        let mut address = [0; 16];
        address.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
        if !first {
            text.push(b' ');
        }
        first = false;
        let sign = if negation { "!" } else { "" };
        let [a, b, c, d, ..] = address;
        match family {
            1 => print(
                text,
                format_args!("{sign}1:{}/{prefix}", Ipv4Addr::new(a, b, c, d)),
            ),
            _ => print(text, format_args!("{sign}2:{}/{prefix}", Ipv6Addr::from(address))),
        }
    }
    Ok(())
}

/// RFC 4025.
fn ipseckey(header: &Header, data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let (precedence, kind, algorithm) = (data.u8()?, data.u8()?, data.u8()?);
    header.print(text);
    print(text, format_args!("{precedence} {kind} {algorithm} "));
    gateway(kind, kind, data, text)?;
    text.push(b' ');
    base64(data.rest(), text);
    Ok(())
}

/// RFC 8777. The gateway of a record with the discovery bit set is not read, as in miekg/dns, so such a record has
/// more data than its type.
fn amtrelay(header: &Header, data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let (precedence, octet) = (data.u8()?, data.u8()?);
    let (discovery, kind) = (octet >> 7, octet & 0x7F);
    header.print(text);
    print(text, format_args!("{precedence} {discovery} {kind} "));
    gateway(octet, kind, data, text)
}

/// A gateway that is read as the one kind and shown as the other.
fn gateway(read_as: u8, shown_as: u8, data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let (v4, v6): (Option<[u8; 4]>, Option<[u8; 16]>) = match read_as {
        1 => (data.array()?, None),
        2 => (None, data.array()?),
        3 => return data.name(text),
        _ => (None, None),
    };
    match (shown_as, v4, v6) {
        (1, Some(address), _) => print(text, format_args!("{}", Ipv4Addr::from(address))),
        (2, _, Some(address)) => print(text, format_args!("{}", Ipv6Addr::from(address).to_canonical())),
        // Go's words for an address that is not there.
        (1 | 2, ..) => text.extend_from_slice(b"<nil>"),
        (3, ..) => {}
        _ => text.push(b'.'),
    }
    Ok(())
}

/// RFC 5155, section 3.
fn nsec3(header: &Header, data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    nsec3param(header, data, text)?;
    let length = data.u8()?;
    let next = data.sized(usize::from(length))?;
    text.push(b' ');
    base32(next, text);
    bitmap(data, text)
}

/// RFC 5155, section 4.
fn nsec3param(header: &Header, data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let (hash, flags, iterations, length) = (data.u8()?, data.u8()?, data.u16()?, data.u8()?);
    let salt = data.sized(usize::from(length))?;
    header.print(text);
    print(text, format_args!("{hash} {flags} {iterations} "));
    if salt.is_empty() {
        text.push(b'-');
    }
    hex(salt, true, text);
    Ok(())
}

/// RFC 8162: the certificate in pieces of 1024 digits, an empty piece at the end when the last one is full.
fn smimea(header: &Header, data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    const PIECE: usize = 512;
    let (usage, selector, matching) = (data.u8()?, data.u8()?, data.u8()?);
    header.print(text);
    print(text, format_args!("{usage} {selector} {matching} "));
    for piece in data.rest().chunks(PIECE) {
        hex(piece, false, text);
        if piece.len() == PIECE {
            text.push(b' ');
        }
    }
    Ok(())
}

/// RFC 8005.
fn hip(header: &Header, data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let (tag_length, algorithm, key_length) = (data.u8()?, data.u8()?, data.u16()?);
    let tag = data.sized(usize::from(tag_length))?;
    let key = data.sized(usize::from(key_length))?;
    header.print(text);
    print(text, format_args!("{algorithm} "));
    hex(tag, false, text);
    text.push(b' ');
    base64(key, text);
    while !data.cursor.is_at_end() {
        text.push(b' ');
        data.cursor.name(text)?;
    }
    Ok(())
}

/// RFC 2930: no presentation form, so a comment.
fn tkey(header: &Header, data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    text.push(b';');
    header.print(text);
    text.push(b' ');
    data.name(text)?;
    for _ in ["inception", "expiration"] {
        text.push(b' ');
        time(u64::from(data.u32()?), text);
    }
    let (mode, error, key_size) = (data.u16()?, data.u16()?, data.u16()?);
    print(text, format_args!(" {mode} {error} {key_size} "));
    hex(data.sized(usize::from(key_size))?, false, text);
    other_data(data, text)
}

/// RFC 8945: no presentation form, so a comment.
fn tsig(header: &Header, data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    text.extend_from_slice(b"\n;; TSIG PSEUDOSECTION:\n; ");
    header.print(text);
    text.push(b' ');
    data.name(text)?;
    text.push(b' ');
    time(data.u48()?, text);
    let (fudge, mac_size) = (data.u16()?, data.u16()?);
    print(text, format_args!(" {fudge} {mac_size} "));
    hex(data.sized(usize::from(mac_size))?, true, text);
    let (id, error) = (data.u16()?, data.u16()?);
    print(text, format_args!(" {id} {error}"));
    other_data(data, text)
}

fn other_data(data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let length = data.u16()?;
    print(text, format_args!(" {length} "));
    hex(data.sized(usize::from(length))?, false, text);
    Ok(())
}

//! SVCB and HTTPS records (RFC 9460).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::data::{Data, Header};
use super::text::{self, base64, escape_also, escape_unprintable};
use super::wire::{Cursor, Malformed};

/// Prints the record: priority, target, and each parameter as `key="value"`.
///
/// # Errors
/// Parameters out of order, the reserved key, and values that their keys do not allow.
pub fn print(header: &Header, data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    header.print(text);
    text::print(text, format_args!("{} ", data.u16()?));
    data.name(text)?;
    let mut last = None;
    while !data.cursor.is_at_end() {
        let (number, length) = (data.cursor.u16()?, data.cursor.u16()?);
        let octets = data.cursor.take(usize::from(length))?;
        if number == u16::MAX {
            return Err(Malformed("a service parameter has the reserved key"));
        }
        text.push(b' ');
        key(number, text);
        text.extend_from_slice(b"=\"");
        value(number, octets, text)?;
        text.push(b'"');
        if last.is_some_and(|last| number <= last) {
            return Err(Malformed("service parameters are out of order"));
        }
        last = Some(number);
    }
    Ok(())
}

fn key(number: u16, text: &mut Vec<u8>) {
    let name = match number {
        0 => "mandatory",
        1 => "alpn",
        2 => "no-default-alpn",
        3 => "port",
        4 => "ipv4hint",
        5 => "ech",
        6 => "ipv6hint",
        7 => "dohpath",
        8 => "ohttp",
        u16::MAX => "",
        _ => return text::print(text, format_args!("key{number}")),
    };
    text.extend_from_slice(name.as_bytes());
}

fn value(number: u16, octets: &[u8], text: &mut Vec<u8>) -> Result<(), Malformed> {
    match number {
        0 => {
            let (keys, odd) = octets.as_chunks();
            if !odd.is_empty() {
                return Err(Malformed("the parameter mandatory has an odd length"));
            }
            listed(keys, text, |octets, text| {
                key(u16::from_be_bytes(*octets), text);
                Ok(())
            })
        }
        1 => {
            let mut cursor = Cursor::new(octets);
            let mut protocols = Vec::new();
            while !cursor.is_at_end() {
                protocols.push(
                    cursor
                        .string()
                        .map_err(|_| Malformed("the parameter alpn goes beyond its end"))?,
                );
            }
            listed(&protocols, text, |protocol, text| {
                protocol.iter().for_each(|octet| alpn_octet(*octet, text));
                Ok(())
            })
        }
        2 | 8 if octets.is_empty() => Ok(()),
        2 => Err(Malformed("the parameter no-default-alpn has a value")),
        8 => Err(Malformed("the parameter ohttp has a value")),
        3 => {
            let port = octets
                .try_into()
                .map_err(|_| Malformed("the parameter port has not 2 octets"))?;
            text::print(text, format_args!("{}", u16::from_be_bytes(port)));
            Ok(())
        }
        4 => match octets.as_chunks::<4>() {
            ([], _) | (_, [_, ..]) => Err(Malformed(
                "the length of the parameter ipv4hint is no multiple of 4",
            )),
            (addresses, []) => listed(addresses, text, |address, text| {
                text::print(text, format_args!("{}", Ipv4Addr::from(*address)));
                Ok(())
            }),
        },
        5 => {
            base64(octets, text);
            Ok(())
        }
        6 => match octets.as_chunks::<16>() {
            ([], _) | (_, [_, ..]) => Err(Malformed(
                "the length of the parameter ipv6hint is no multiple of 16",
            )),
            (addresses, []) => listed(addresses, text, |address, text| {
                let address = Ipv6Addr::from(*address);
                if address.to_ipv4_mapped().is_some() {
                    return Err(Malformed("the parameter ipv6hint has an IPv4 address"));
                }
                text::print(text, format_args!("{address}"));
                Ok(())
            }),
        },
        _ => {
            escape_also(octets, b"\"; \\", text);
            Ok(())
        }
    }
}

fn listed<T>(
    items: &[T],
    text: &mut Vec<u8>,
    mut print: impl FnMut(&T, &mut Vec<u8>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        print(item, text)?;
    }
    Ok(())
}

/// Commas and backslashes within a protocol are escaped twice: once for the list, once for the zone file.
fn alpn_octet(octet: u8, text: &mut Vec<u8>) {
    match octet {
        b'"' | b';' | b' ' => text.extend([b'\\', octet]),
        b',' => text.extend(b"\\\\\\044"),
        b'\\' => text.extend(b"\\\\\\092"),
        octet => escape_unprintable(octet, text),
    }
}

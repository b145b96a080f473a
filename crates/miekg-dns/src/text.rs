//! The words and notations of printed records; everything is appended to a text that grows.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use gostd::calendar;

/// Appends formatted text; writing to a vector cannot fail.
pub fn print(text: &mut Vec<u8>, arguments: fmt::Arguments<'_>) {
    let _ = std::io::Write::write_fmt(text, arguments);
}

/// Appends a name, or a number with a prefix for what has none.
pub fn named(name: Option<&'static str>, prefix: &str, number: u16, text: &mut Vec<u8>) {
    match name {
        Some(name) => text.extend_from_slice(name.as_bytes()),
        None => print(text, format_args!("{prefix}{number}")),
    }
}

/// Appends a label, its special characters with a backslash in front, what is not printable as `\DDD`.
pub fn escape_label(label: &[u8], text: &mut Vec<u8>) {
    for &octet in label {
        match octet {
            b'.' | b' ' | b'\'' | b'@' | b';' | b'(' | b')' | b'"' | b'\\' => text.extend([b'\\', octet]),
            octet => escape_unprintable(octet, text),
        }
    }
}

/// Appends an octet of a character string: quotes and backslashes escaped, what is not printable as `\DDD`.
pub fn escape_octet(octet: u8, text: &mut Vec<u8>) {
    match octet {
        b'"' | b'\\' => text.extend([b'\\', octet]),
        octet => escape_unprintable(octet, text),
    }
}

/// Appends an octet as it is, or as `\DDD` if it is not printable ASCII.
pub fn escape_unprintable(octet: u8, text: &mut Vec<u8>) {
    match octet {
        b' '..=b'~' => text.push(octet),
        _ => text.extend([
            b'\\',
            b'0' + octet / 100,
            b'0' + octet / 10 % 10,
            b'0' + octet % 10,
        ]),
    }
}

/// Appends octets, escaping nothing but what is not printable ASCII and the characters of `special`.
pub fn escape_also(octets: &[u8], special: &[u8], text: &mut Vec<u8>) {
    for &octet in octets {
        if special.contains(&octet) {
            text.extend([b'\\', octet]);
        } else {
            escape_unprintable(octet, text);
        }
    }
}

/// Appends a character string in quotes.
pub fn quoted(string: &[u8], text: &mut Vec<u8>) {
    text.push(b'"');
    string.iter().for_each(|octet| escape_octet(*octet, text));
    text.push(b'"');
}

/// Appends the octets of a URI or a CAA value in quotes. miekg/dns takes a backslash in them for an escape that is
/// already there: `\DDD` and `\x` stand for one octet, `\.` stays, a last lone backslash goes.
pub fn octets(mut octets: &[u8], text: &mut Vec<u8>) {
    text.push(b'"');
    while let Some((&octet, rest)) = octets.split_first() {
        octets = rest;
        if octet != b'\\' {
            escape_octet(octet, text);
            continue;
        }
        match rest {
            [b'.', rest @ ..] => {
                text.extend(b"\\.");
                octets = rest;
            }
            [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
                let digit = |octet: &u8| octet - b'0';
                let value = digit(a)
                    .wrapping_mul(100)
                    .wrapping_add(digit(b) * 10)
                    .wrapping_add(digit(c));
                escape_octet(value, text);
                octets = rest;
            }
            [octet, rest @ ..] => {
                escape_octet(*octet, text);
                octets = rest;
            }
            [] => {}
        }
    }
    text.push(b'"');
}

/// Appends hexadecimal digits.
pub fn hex(octets: &[u8], upper: bool, text: &mut Vec<u8>) {
    let digits: &[u8; 16] = if upper {
        b"0123456789ABCDEF"
    } else {
        b"0123456789abcdef"
    };
    let digit = |nibble: u8| digits.get(usize::from(nibble)).copied().unwrap_or(b'0');
    text.extend(
        octets
            .iter()
            .flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]),
    );
}

/// Appends base64 with padding.
pub fn base64(octets: &[u8], text: &mut Vec<u8>) {
    text.extend_from_slice(STANDARD.encode(octets).as_bytes());
}

/// Appends base32 with the extended hexadecimal alphabet of RFC 4648, without padding.
pub fn base32(octets: &[u8], text: &mut Vec<u8>) {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";
    for group in octets.chunks(5) {
        let bits = group
            .iter()
            .chain([0; 4].iter())
            .take(5)
            .fold(0_u64, |bits, octet| bits << 8 | u64::from(*octet));
        let count = (group.len() * 8).div_ceil(5);
        for index in 0..count {
            let digit = usize::try_from(bits >> (35 - 5 * index) & 31).unwrap_or(0);
            text.extend(DIGITS.get(digit));
        }
    }
}

/// Appends octets as pairs of hexadecimal digits with `-` between them.
pub fn eui(octets: &[u8], text: &mut Vec<u8>) {
    for (index, octet) in octets.iter().enumerate() {
        if index > 0 {
            text.push(b'-');
        }
        hex(&[*octet], false, text);
    }
}

/// Appends a moment, given in seconds since 1970, as `YYYYMMDDHHMMSS` in UTC.
pub fn time(seconds: u64, text: &mut Vec<u8>) {
    // Exact: there are far fewer days than seconds.
    let days = i64::try_from(seconds / 86_400).unwrap_or_default();
    let (year, month, day) = calendar::date(days);
    let second = seconds % 86_400;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    print(
        text,
        format_args!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}"),
    );
}

/// The name of a DNSSEC algorithm.
pub fn algorithm_name(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "RSAMD5",
        2 => "DH",
        3 => "DSA",
        5 => "RSASHA1",
        6 => "DSA-NSEC3-SHA1",
        7 => "RSASHA1-NSEC3-SHA1",
        8 => "RSASHA256",
        10 => "RSASHA512",
        12 => "ECC-GOST",
        13 => "ECDSAP256SHA256",
        14 => "ECDSAP384SHA384",
        15 => "ED25519",
        16 => "ED448",
        252 => "INDIRECT",
        253 => "PRIVATEDNS",
        254 => "PRIVATEOID",
        _ => return None,
    })
}

/// The name of a certificate's type (RFC 4398).
pub fn cert_type_name(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "PKIX",
        2 => "SPKI",
        3 => "PGP",
        4 => "IPIX",
        5 => "ISPKI",
        6 => "IPGP",
        7 => "ACPKIX",
        8 => "IACPKIX",
        253 => "URI",
        254 => "OID",
        _ => return None,
    })
}

//! Distinguished names as Go's `pkix.Name` prints them: RFC 2253, grouped by attribute and in Go's own order.

use super::ParseError;
use super::der::{DerReader, dotted, tag};

/// The attributes with a name, in the order in which they are printed: last to first of Go's sequence.
const ATTRIBUTES: [(u8, &str); 9] = [
    (5, "SERIALNUMBER"),
    (3, "CN"),
    (11, "OU"),
    (10, "O"),
    (17, "POSTALCODE"),
    (9, "STREET"),
    (7, "L"),
    (8, "ST"),
    (6, "C"),
];

/// One attribute of a name.
struct Attribute<'a> {
    oid: &'a [u8],
    tag: u8,
    value: &'a [u8],
}

impl Attribute<'_> {
    /// Its place in [`ATTRIBUTES`], if it has a name.
    fn named(&self) -> Option<usize> {
        match self.oid {
            [0x55, 0x04, id] => ATTRIBUTES.iter().position(|(known, _)| known == id),
            _ => None,
        }
    }

    /// Its text. What could not be read was refused when the certificate was parsed.
    fn text(&self) -> String {
        string(self.tag, self.value).unwrap_or_default()
    }
}

/// Goes through the attributes of a Name; ends early at what is malformed.
fn attributes<'a>(
    name: DerReader<'a>,
    mut each: impl FnMut(Attribute<'a>) -> Result<(), String>,
) -> Result<(), String> {
    const BAD: &str = "invalid RDNSequence";
    let mut name = name;
    let mut sequence = name.read(tag::SEQUENCE).ok_or(BAD)?;
    while !sequence.is_empty() {
        let mut set = sequence.read(tag::SET).ok_or(BAD)?;
        while !set.is_empty() {
            let mut pair = set
                .read(tag::SEQUENCE)
                .ok_or_else(|| format!("{BAD}: invalid attribute"))?;
            let oid = pair
                .oid()
                .ok_or_else(|| format!("{BAD}: invalid attribute type"))?;
            let (tag, value) = pair
                .any()
                .ok_or_else(|| format!("{BAD}: invalid attribute value"))?;
            let value = value.bytes();
            each(Attribute { oid, tag, value })
                .map_err(|why| format!("{BAD}: invalid attribute value: {why}"))?;
        }
    }
    Ok(())
}

/// Checks that a Name can be read and printed.
pub(super) fn check(name: DerReader<'_>) -> Result<(), ParseError> {
    attributes(name, |attribute| check_string(attribute.tag, attribute.value)).map_err(ParseError::from)
}

/// A Name as Go prints it: `CN=example.com,OU=a+OU=b,O=Example\, Inc.,C=CN,1.2.3=#130178`.
pub(super) fn print(name: DerReader<'_>) -> String {
    let mut named: [Vec<String>; 9] = Default::default();
    let mut others = Vec::new();
    // Malformed names were refused when the certificate was parsed.
    let _ = attributes(name, |attribute| {
        match attribute.named() {
            None => others.push(hex_attribute(attribute.oid, &attribute.text())),
            Some(place) => {
                if let Some(values) = named.get_mut(place) {
                    // Of serial numbers and common names, the last counts.
                    if place < 2 {
                        values.clear();
                    }
                    values.push(attribute.text());
                }
            }
        }
        Ok(())
    });
    for single in named.iter_mut().take(2) {
        single.retain(|text| !text.is_empty());
    }
    let mut parts = Vec::new();
    for ((_, label), values) in ATTRIBUTES.iter().zip(&named) {
        let values: Vec<String> = values.iter().map(|v| format!("{label}={}", escaped(v))).collect();
        if !values.is_empty() {
            parts.push(values.join("+"));
        }
    }
    parts.extend(others.into_iter().rev());
    parts.join(",")
}

/// The common name (the last one), or the first organization, or nothing: what names a candidate in an error.
pub(super) fn short(name: DerReader<'_>) -> Option<String> {
    common_name(name).or_else(|| last_or_first(name, 10, false))
}

/// The last common name.
pub(super) fn common_name(name: DerReader<'_>) -> Option<String> {
    last_or_first(name, 3, true)
}

fn last_or_first(name: DerReader<'_>, id: u8, last: bool) -> Option<String> {
    let mut found: Option<String> = None;
    let _ = attributes(name, |attribute| {
        if attribute.oid == [0x55, 0x04, id] && (last || found.is_none()) {
            found = Some(attribute.text());
        }
        Ok(())
    });
    found.filter(|text| !text.is_empty())
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for (at, c) in value.char_indices() {
        let escape = match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            ' ' => at == 0 || at == value.len() - 1,
            '#' => at == 0,
            _ => false,
        };
        if escape {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// An attribute without a name: `1.2.3=#` and the DER of its text, as PrintableString if it is one, else as UTF8String.
fn hex_attribute(oid: &[u8], value: &str) -> String {
    let printable = value.bytes().all(|b| is_printable(b) && b != b'*' && b != b'&');
    let tag = if printable {
        tag::PRINTABLE_STRING
    } else {
        tag::UTF8_STRING
    };
    let mut der = vec![tag];
    let length = value.len().to_be_bytes();
    let digits: Vec<u8> = length.iter().copied().skip_while(|b| *b == 0).collect();
    match (value.len(), u8::try_from(digits.len())) {
        (0, _) => der.push(0),
        (1..=127, _) => der.extend(digits),
        (_, Ok(count)) => {
            der.push(0x80 | count);
            der.extend(digits);
        }
        _ => {}
    }
    der.extend(value.bytes());
    format!("{}=#{}", dotted(oid), hex(&der))
}

fn is_printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"'()+,-./ :=?*&".contains(&byte)
}

/// Whether a string of that type can be read; the error is Go's text.
fn check_string(tag: u8, value: &[u8]) -> Result<(), String> {
    let text = match tag {
        tag::T61_STRING => return Ok(()),
        tag::PRINTABLE_STRING if value.iter().all(|b| is_printable(*b)) => return Ok(()),
        tag::PRINTABLE_STRING => "invalid PrintableString",
        tag::UTF8_STRING if std::str::from_utf8(value).is_ok() => return Ok(()),
        tag::UTF8_STRING => "invalid UTF-8 string",
        tag::BMP_STRING if bmp(value).is_some() => return Ok(()),
        tag::BMP_STRING => "invalid BMPString",
        tag::IA5_STRING if value.is_ascii() => return Ok(()),
        tag::IA5_STRING => "invalid IA5String",
        tag::NUMERIC_STRING if value.iter().all(|b| b.is_ascii_digit() || *b == b' ') => return Ok(()),
        tag::NUMERIC_STRING => "invalid NumericString",
        _ => return Err(format!("unsupported string type: {tag}")),
    };
    Err(text.to_owned())
}

fn string(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        // Latin-1, as everybody reads it.
        tag::T61_STRING => Some(value.iter().copied().map(char::from).collect()),
        tag::BMP_STRING => bmp(value),
        _ => String::from_utf8(value.to_vec()).ok(),
    }
}

/// UCS-2: UTF-16 without surrogates and without the code points that are no characters.
fn bmp(value: &[u8]) -> Option<String> {
    if !value.len().is_multiple_of(2) {
        return None;
    }
    let value = value.strip_suffix(&[0, 0]).unwrap_or(value);
    let points = value.chunks_exact(2).map(|pair| match pair {
        [high, low] => u32::from(*high) << 8 | u32::from(*low),
        _ => 0,
    });
    points
        .map(|point| match point {
            0xfffe | 0xffff | 0xfdd0..=0xfdef => None,
            _ => char::from_u32(point),
        })
        .collect()
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |digit: u8| char::from_digit(u32::from(digit), 16).unwrap_or_default();
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0xf));
    }
    text
}

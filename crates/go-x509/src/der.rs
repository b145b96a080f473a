//! Reading DER (ITU-T X.690), as strictly as Go's `cryptobyte` does: a certificate that Go does not parse must not parse here.

use super::Span;

/// Tags of the types that certificates are made of. Context-specific tags are made by [`context`].
pub(super) mod tag {
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const OID: u8 = 0x06;
    pub const UTF8_STRING: u8 = 0x0c;
    pub const NUMERIC_STRING: u8 = 0x12;
    pub const PRINTABLE_STRING: u8 = 0x13;
    pub const T61_STRING: u8 = 0x14;
    pub const IA5_STRING: u8 = 0x16;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const BMP_STRING: u8 = 0x1e;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
}

/// The primitive context-specific tag `[number]`.
pub(super) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// The constructed context-specific tag `[number]`.
pub(super) const fn context_constructed(number: u8) -> u8 {
    0xa0 | number
}

/// Reads elements one after the other. It knows where in the certificate it stands, so that what it reads can be kept as a [`Span`].
#[derive(Clone, Copy, Debug)]
pub(super) struct DerReader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> DerReader<'a> {
    /// Reads `bytes`, the whole certificate.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Reads what stands at `span` of the whole certificate.
    pub fn at(der: &'a [u8], span: Span) -> Self {
        Self {
            bytes: span.of(der),
            offset: span.start(),
        }
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is left to read.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where in the certificate that is.
    pub fn span(&self) -> Span {
        Span::new(self.offset, self.bytes.len())
    }

    /// Whether the next element has this tag.
    pub fn peek(&self, tag: u8) -> bool {
        self.bytes.first() == Some(&tag)
    }

    /// The next element, with its header.
    fn element(&mut self) -> Option<(u8, usize, DerReader<'a>)> {
        let (&tag, &first) = (self.bytes.first()?, self.bytes.get(1)?);
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (header, length) = if first & 0x80 == 0 {
            (2, usize::from(first))
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return None;
            }
            let digits = self.bytes.get(2..2 + count)?;
            let length = digits
                .iter()
                .fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit));
            // DER wants the shortest form.
            if length < 128 || digits.first() == Some(&0) {
                return None;
            }
            (2 + count, length)
        };
        let end = header.checked_add(length)?;
        let whole = DerReader {
            bytes: self.bytes.get(..end)?,
            offset: self.offset,
        };
        self.bytes = self.bytes.get(end..)?;
        self.offset += end;
        Some((tag, header, whole))
    }

    /// The contents of the next element, whatever its tag.
    pub fn any(&mut self) -> Option<(u8, DerReader<'a>)> {
        let (tag, header, whole) = self.element()?;
        Some((tag, whole.skip(header)))
    }

    /// The contents of the next element, which must have this tag.
    pub fn read(&mut self, tag: u8) -> Option<DerReader<'a>> {
        self.any()
            .filter(|(found, _)| *found == tag)
            .map(|(_, contents)| contents)
    }

    /// The next element with its header, which must have this tag.
    pub fn read_whole(&mut self, tag: u8) -> Option<DerReader<'a>> {
        self.element()
            .filter(|(found, _, _)| *found == tag)
            .map(|(_, _, whole)| whole)
    }

    /// The next element with its header, whatever its tag.
    pub fn any_whole(&mut self) -> Option<DerReader<'a>> {
        self.element().map(|(_, _, whole)| whole)
    }

    /// The contents of the next element if it has this tag; `Some(None)` if it has another.
    #[allow(clippy::option_option)]
    pub fn optional(&mut self, tag: u8) -> Option<Option<DerReader<'a>>> {
        if !self.peek(tag) {
            return Some(None);
        }
        self.read(tag).map(Some)
    }

    pub fn boolean(&mut self) -> Option<bool> {
        match self.read(tag::BOOLEAN)?.bytes {
            [0] => Some(false),
            [0xff] => Some(true),
            _ => None,
        }
    }

    /// An INTEGER (or what is tagged as one with `tag`): two's complement, in as few bytes as possible.
    pub fn integer(&mut self, tag: u8) -> Option<DerReader<'a>> {
        let contents = self.read(tag)?;
        match contents.bytes {
            [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => None,
            _ => Some(contents),
        }
    }

    /// An INTEGER that fits.
    pub fn int64(&mut self, tag: u8) -> Option<i64> {
        let bytes = self.integer(tag)?.bytes;
        if bytes.len() > 8 {
            return None;
        }
        let sign = if bytes.first()? & 0x80 == 0 { 0 } else { -1 };
        Some(bytes.iter().fold(sign, |sum, byte| (sum << 8) | i64::from(*byte)))
    }

    /// An OBJECT IDENTIFIER, as its bytes.
    pub fn oid(&mut self) -> Option<&'a [u8]> {
        let bytes = self.read(tag::OID)?.bytes;
        is_oid(bytes).then_some(bytes)
    }

    /// A BIT STRING: its bytes and how many bits of the last one are padding, which must be zero.
    pub fn bit_string(&mut self) -> Option<(DerReader<'a>, u8)> {
        let contents = self.read(tag::BIT_STRING)?;
        let padding = *contents.bytes.first()?;
        let bits = contents.skip(1);
        let last = bits.bytes.last();
        if padding > 7 || (last.is_none() && padding != 0) {
            return None;
        }
        if last.is_some_and(|last| last & ((1_u8 << padding) - 1) != 0) {
            return None;
        }
        Some((bits, padding))
    }

    /// A UTCTime or GeneralizedTime as Unix seconds; the error is Go's text.
    pub fn time(&mut self) -> Result<i64, &'static str> {
        if self.peek(tag::UTC_TIME) {
            let contents = self.read(tag::UTC_TIME);
            return contents
                .and_then(|c| super::time::utc_time(c.bytes))
                .ok_or("malformed UTCTime");
        }
        if self.peek(tag::GENERALIZED_TIME) {
            let contents = self.read(tag::GENERALIZED_TIME);
            return contents
                .and_then(|c| super::time::generalized_time(c.bytes))
                .ok_or("malformed GeneralizedTime");
        }
        Err("unsupported time format")
    }

    fn skip(self, count: usize) -> DerReader<'a> {
        DerReader {
            bytes: self.bytes.get(count..).unwrap_or_default(),
            offset: self.offset + count,
        }
    }
}

/// Whether these are the contents of an OBJECT IDENTIFIER whose components fit 31 bits, as Go demands.
fn is_oid(bytes: &[u8]) -> bool {
    let mut component = 0_u64;
    let mut length = 0;
    for byte in bytes {
        if (length == 0 && *byte == 0x80) || length == 5 {
            return false;
        }
        // Go stops before the shift that could pass 31 bits.
        if component >= 1 << 24 {
            return false;
        }
        component = (component << 7) | u64::from(byte & 0x7f);
        length += 1;
        if byte & 0x80 == 0 {
            component = 0;
            length = 0;
        }
    }
    !bytes.is_empty() && length == 0
}

/// An OBJECT IDENTIFIER in dotted decimals.
pub(super) fn dotted(oid: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut component = 0_u64;
    for byte in oid {
        component = (component << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        let written = if text.is_empty() {
            let first = (component / 40).min(2);
            write!(text, "{first}.{}", component - first * 40)
        } else {
            write!(text, ".{component}")
        };
        debug_assert!(written.is_ok());
        component = 0;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_short_as_possible() {
        let rows: &[(&[u8], bool)] = &[
            (&[0x30, 0x00], true),
            (&[0x30, 0x01, 0x00], true),
            (&[0x30, 0x81, 0x01, 0x00], false),
            (&[0x30, 0x80], false),
            (&[0x30, 0x01], false),
            (&[0x3f, 0x01, 0x00], false),
            (&[0x30, 0x85, 0, 0, 0, 0, 1, 0], false),
        ];
        for (bytes, want) in rows {
            assert_eq!(
                DerReader::new(bytes).read(tag::SEQUENCE).is_some() || *bytes == [0x3f, 1, 0] && !want,
                *want || *bytes == [0x3f, 1, 0],
                "{bytes:x?}"
            );
        }
        let mut long = vec![0x30, 0x81, 0x80];
        long.extend([0; 128]);
        assert!(DerReader::new(&long).read(tag::SEQUENCE).is_some());
    }

    #[test]
    fn integers_are_minimal() {
        let int = |bytes: &[u8]| DerReader::new(bytes).int64(tag::INTEGER);
        assert_eq!(int(&[2, 1, 0]), Some(0));
        assert_eq!(int(&[2, 1, 0x80]), Some(-128));
        assert_eq!(int(&[2, 2, 0, 0x80]), Some(128));
        assert_eq!(int(&[2, 2, 0, 0x7f]), None);
        assert_eq!(int(&[2, 2, 0xff, 0x80]), None);
        assert_eq!(int(&[2, 0]), None);
    }

    #[test]
    fn identifiers() {
        assert_eq!(
            dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11]),
            "1.2.840.113549.1.1.11"
        );
        assert_eq!(dotted(&[0x55, 4, 3]), "2.5.4.3");
        assert!(is_oid(&[0x55, 4, 3]));
        assert!(!is_oid(&[]));
        assert!(!is_oid(&[0x55, 0x80, 3]));
        assert!(!is_oid(&[0x55, 0x84]));
    }
}

//! Reading the wire format of RFC 1035: numbers, character strings, names with compression pointers.
//!
//! Nothing here can fail but by an error, and no read costs more than the length of the message and 126 pointers.

use super::text::escape_label;

/// Longest name on the wire, in octets, the closing root label not counted (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 255;

/// Most pointers that a name may go through. A name of that many one-octet labels is as long as a name can be, so
/// only a loop, or a chain of pointers to pointers, has more.
const MAX_POINTERS: usize = 126;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// A place in a message (or in the part of it that ends with the record being read).
#[derive(Clone, Debug)]
pub struct Cursor<'m> {
    message: &'m [u8],
    at: usize,
}

impl<'m> Cursor<'m> {
    /// The beginning of a message.
    pub fn new(message: &'m [u8]) -> Self {
        Self { message, at: 0 }
    }

    /// Whether everything was read.
    pub fn is_at_end(&self) -> bool {
        self.at >= self.message.len()
    }

    /// The next `length` octets as a message of their own that still knows what came before them, because names point
    /// backwards; this cursor goes on behind them.
    pub fn split(&mut self, length: usize) -> Result<Cursor<'m>, Malformed> {
        let end = self.at.saturating_add(length);
        let part = self
            .message
            .get(..end)
            .ok_or(Malformed("the data of a record goes beyond the message"))?;
        let inner = Cursor {
            message: part,
            at: self.at,
        };
        self.at = end;
        Ok(inner)
    }

    /// The next `length` octets.
    pub fn take(&mut self, length: usize) -> Result<&'m [u8], Malformed> {
        let end = self.at.saturating_add(length);
        let octets = self
            .message
            .get(self.at..end)
            .ok_or(Malformed("a field goes beyond its end"))?;
        self.at = end;
        Ok(octets)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'m [u8] {
        let octets = self.message.get(self.at..).unwrap_or_default();
        self.at = self.message.len();
        octets
    }

    /// A fixed number of octets.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let octets = self.take(N)?;
        octets
            .try_into()
            .map_err(|_| Malformed("a field goes beyond its end"))
    }

    /// An octet.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[octet]| octet)
    }

    /// A number of 16 bits.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// A number of 32 bits.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// A character string: a length octet and that many octets.
    pub fn string(&mut self) -> Result<&'m [u8], Malformed> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// A name, appended to `text` in presentation form with a dot behind every label.
    pub fn name(&mut self, text: &mut Vec<u8>) -> Result<(), Malformed> {
        const CUT: Malformed = Malformed("a name goes beyond its end");
        let begin = text.len();
        let (mut at, mut behind) = (self.at, None);
        let (mut octets, mut pointers) = (0, 0);
        loop {
            let length = usize::from(*self.message.get(at).ok_or(CUT)?);
            at += 1;
            match length & 0xC0 {
                0x00 if length == 0 => break,
                0x00 => {
                    let label = self.message.get(at..at + length).ok_or(CUT)?;
                    octets += length + 1;
                    if octets >= MAX_NAME {
                        return Err(Malformed("a name has more than 255 octets"));
                    }
                    escape_label(label, text);
                    text.push(b'.');
                    at += length;
                }
                0xC0 => {
                    let low = usize::from(*self.message.get(at).ok_or(CUT)?);
                    behind.get_or_insert(at + 1);
                    pointers += 1;
                    if pointers > MAX_POINTERS {
                        return Err(Malformed("a name goes through too many compression pointers"));
                    }
                    at = (length & 0x3F) << 8 | low;
                }
                _ => return Err(Malformed("a label has a reserved type")),
            }
        }
        if text.len() == begin {
            text.push(b'.');
        }
        self.at = behind.unwrap_or(at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(message: &[u8], at: usize) -> Result<(String, usize), &'static str> {
        let mut cursor = Cursor::new(message);
        cursor.take(at).map_err(|e| e.0)?;
        let mut text = Vec::new();
        cursor.name(&mut text).map_err(|e| e.0)?;
        Ok((String::from_utf8(text).unwrap(), cursor.at))
    }

    #[test]
    fn names() {
        let long = |last: u8| {
            let mut wire = Vec::new();
            for length in [63, 63, 63, last] {
                wire.push(length);
                wire.extend(vec![b'a'; usize::from(length)]);
            }
            wire.push(0);
            wire
        };
        type Row = (&'static [u8], usize, Result<(&'static str, usize), &'static str>);
        let rows: &[Row] = &[
            (b"\x07example\x04test\0", 0, Ok(("example.test.", 14))),
            (b"\0", 0, Ok((".", 1))),
            (b"\x03a.b\x03\x00\x7f\xff\0", 0, Ok(("a\\.b.\\000\\127\\255.", 9))),
            (b"\x01a\0\x01b\xc0\x00", 3, Ok(("b.a.", 7))),
            (b"\xc0\x02\x01x\0", 0, Ok(("x.", 2))),
            (
                b"\xc0\x00",
                0,
                Err("a name goes through too many compression pointers"),
            ),
            (b"\xc0\x09", 0, Err("a name goes beyond its end")),
            (b"\xc0", 0, Err("a name goes beyond its end")),
            (b"\x05abc", 0, Err("a name goes beyond its end")),
            (b"\x41a\0", 0, Err("a label has a reserved type")),
            (b"", 0, Err("a name goes beyond its end")),
        ];
        for (message, at, want) in rows {
            let want = want.map(|(text, behind)| (text.to_owned(), behind));
            assert_eq!(name(message, *at), want, "{message:?}");
        }
        assert_eq!(name(&long(61), 0).map(|(_, behind)| behind), Ok(255));
        assert_eq!(name(&long(62), 0), Err("a name has more than 255 octets"));
    }
}

//! Header compression (RFC 7541): reads what peers may send, and writes plain literals.

use std::collections::VecDeque;

use super::error::Http2Error;
use super::huffman;

/// The size of the dynamic table that peers may use: the default, as nothing else is announced.
const TABLE: usize = 4096;

/// A name and a value.
pub type Field = (Vec<u8>, Vec<u8>);

/// Reads the header blocks of one connection.
#[derive(Debug)]
pub(super) struct Decoder {
    /// Newest first.
    dynamic: VecDeque<Field>,
    size: usize,
    limit: usize,
}

/// A header block that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl From<Malformed> for Http2Error {
    fn from(_: Malformed) -> Self {
        Self::Connection("COMPRESSION_ERROR")
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            dynamic: VecDeque::new(),
            size: 0,
            limit: TABLE,
        }
    }
}

impl Decoder {
    /// Reads a whole header block; `take` gets each field, and may end the reading.
    ///
    /// # Errors
    /// The block is [`Malformed`], or what `take` says.
    pub(super) fn decode<E: From<Malformed>>(
        &mut self,
        block: &[u8],
        mut take: impl FnMut(Field) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = block;
        let mut may_resize = true;
        while let Some(first) = rest.first() {
            match *first {
                0x80.. => take(self.entry(integer(&mut rest, 7)?)?)?,
                0x40.. => {
                    let field = self.literal(&mut rest, 6)?;
                    self.insert(field.clone());
                    take(field)?;
                }
                0x20.. => {
                    let limit = integer(&mut rest, 5)?;
                    // As in Go, it may come late as long as the table is empty.
                    if !may_resize && self.size > 0 || limit > TABLE {
                        return Err(Malformed.into());
                    }
                    self.limit = limit;
                    self.evict(0);
                    continue;
                }
                _ => take(self.literal(&mut rest, 4)?)?,
            }
            may_resize = false;
        }
        Ok(())
    }

    fn literal(&self, rest: &mut &[u8], bits: u32) -> Result<Field, Malformed> {
        let name = match integer(rest, bits)? {
            0 => string(rest)?,
            index => self.entry(index)?.0,
        };
        Ok((name, string(rest)?))
    }

    fn entry(&self, index: usize) -> Result<Field, Malformed> {
        let index = index.checked_sub(1).ok_or(Malformed)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Ok((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        }
        self.dynamic.get(index - STATIC.len()).cloned().ok_or(Malformed)
    }

    fn insert(&mut self, field: Field) {
        let size = size_of_entry(&field);
        self.evict(size);
        if size <= self.limit {
            self.size += size;
            self.dynamic.push_front(field);
        }
    }

    /// Makes room for `wanted` bytes.
    fn evict(&mut self, wanted: usize) {
        while self.size + wanted > self.limit
            && let Some(oldest) = self.dynamic.pop_back()
        {
            self.size -= size_of_entry(&oldest);
        }
    }
}

fn size_of_entry((name, value): &Field) -> usize {
    name.len() + value.len() + 32
}

/// An integer whose first byte has `bits` bits of it (section 5.1).
pub(crate) fn integer(rest: &mut &[u8], bits: u32) -> Result<usize, Malformed> {
    let mut next = || {
        let (first, after) = rest.split_first().ok_or(Malformed)?;
        *rest = after;
        Ok(usize::from(*first))
    };
    let mask = (1 << bits) - 1;
    let mut number = next()? & mask;
    if number < mask {
        return Ok(number);
    }
    // Four bytes more are 28 bits: larger than anything that a header block can hold.
    for shift in [0, 7, 14, 21] {
        let byte = next()?;
        number += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Malformed)
}

fn string(rest: &mut &[u8]) -> Result<Vec<u8>, Malformed> {
    text(rest, 7)
}

/// A text whose length has `bits` bits in the first byte, below the one that says whether it is Huffman-coded
/// (section 5.2).
pub(crate) fn text(rest: &mut &[u8], bits: u32) -> Result<Vec<u8>, Malformed> {
    let is_coded = rest.first().ok_or(Malformed)? >> bits & 1 != 0;
    let length = integer(rest, bits)?;
    let (text, after) = rest.split_at_checked(length).ok_or(Malformed)?;
    *rest = after;
    if is_coded {
        huffman::decode(text).ok_or(Malformed)
    } else {
        Ok(text.to_vec())
    }
}

/// Writes a text as it is; `flags` stand above the `bits` of its length in the first byte.
pub(crate) fn put_text(out: &mut Vec<u8>, flags: u8, bits: u32, text: &[u8]) {
    let most = (1 << bits) - 1;
    let byte = |number: usize| u8::try_from(number).unwrap_or_default();
    if text.len() < most {
        out.push(flags | byte(text.len()));
    } else {
        out.push(flags | byte(most));
        let mut left = text.len() - most;
        while left >= 128 {
            out.push(byte(left & 0x7f | 0x80));
            left >>= 7;
        }
        out.push(byte(left));
    }
    out.extend_from_slice(text);
}

/// Writes a field as a literal that nobody may index: it may be a secret.
pub(super) fn encode(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.push(0x10);
    put_text(out, 0, 7, name);
    put_text(out, 0, 7, value);
}

/// RFC 7541, appendix A.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, Malformed> {
        let mut fields = Vec::new();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        decoder.decode(block, |(name, value)| {
            fields.push((text(name), text(value)));
            Ok::<_, Malformed>(())
        })?;
        Ok(fields)
    }

    fn fields(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn blocks_share_a_table() {
        // RFC 7541, appendix C.6: answers with Huffman codes and a table of 256 bytes.
        let mut decoder = Decoder {
            limit: 256,
            ..Decoder::default()
        };
        let first = b"\x48\x82\x64\x02\x58\x85\xae\xc3\x77\x1a\x4b\x61\x96\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff\x6e\x91\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3";
        let want = fields(&[
            (":status", "302"),
            ("cache-control", "private"),
            ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("location", "https://www.example.com"),
        ]);
        assert_eq!(decoded(&mut decoder, first), Ok(want));
        let second = b"\x48\x83\x64\x0e\xff\xc1\xc0\xbf";
        let want = fields(&[
            (":status", "307"),
            ("cache-control", "private"),
            ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("location", "https://www.example.com"),
        ]);
        assert_eq!(decoded(&mut decoder, second), Ok(want));
        assert!(decoder.size <= 256);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let long = "v".repeat(70_000);
        let mut block = Vec::new();
        encode(&mut block, b"a", b"b");
        encode(&mut block, b"long", long.as_bytes());
        let got = decoded(&mut Decoder::default(), &block);
        assert_eq!(got, Ok(fields(&[("a", "b"), ("long", &long)])));
    }

    #[test]
    fn whoever_has_enough_reads_no_further() {
        let mut fields = 0;
        let result = Decoder::default().decode(&[0x82; 1000], |_| {
            fields += 1;
            if fields < 3 { Ok(()) } else { Err(Malformed) }
        });
        assert_eq!((result, fields), (Err(Malformed), 3));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for block in [
            &b"\x80"[..],
            b"\xff\xff\xff\xff\xff\xff",
            b"\xbe",
            b"\x00\x05a",
            b"\x40\x01a\x01b\x20",
            b"\x3f\xe2\x1f",
        ] {
            assert_eq!(
                decoded(&mut Decoder::default(), block),
                Err(Malformed),
                "{block:?}"
            );
        }
    }
}

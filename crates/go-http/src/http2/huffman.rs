//! The Huffman code of HPACK and QPACK (RFC 7541, appendix B), decoding only: what is sent is sent plain.

use std::sync::OnceLock;

/// The length in bits of the code of each byte, and of the end mark at the end. The codes follow from the lengths: they
/// are given out in the order of length, then of byte.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26, 30,
];

/// For each length the first code of that length, and where its bytes begin in `symbols`.
struct Codes {
    first: [(u32, usize, usize); 31],
    symbols: Vec<usize>,
}

fn codes() -> &'static Codes {
    static CODES: OnceLock<Codes> = OnceLock::new();
    CODES.get_or_init(|| {
        let mut symbols: Vec<usize> = (0..LENGTHS.len()).collect();
        let length = |symbol: &usize| LENGTHS.get(*symbol).copied().unwrap_or_default();
        symbols.sort_by_key(length);
        let mut first = [(0, 0, 0); 31];
        let (mut code, mut start) = (0_u32, 0);
        for (bits, slot) in first.iter_mut().enumerate() {
            let count = symbols.iter().filter(|s| usize::from(length(s)) == bits).count();
            *slot = (code, start, count);
            code = (code + u32::try_from(count).unwrap_or_default()) << 1;
            start += count;
        }
        Codes { first, symbols }
    })
}

/// Decodes a string; `None` when it holds the end mark or ends in anything but a beginning of it.
pub(crate) fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    let Codes { first, symbols } = codes();
    let mut out = Vec::with_capacity(coded.len() * 2);
    let (mut code, mut bits) = (0_u32, 0_usize);
    for byte in coded {
        for shift in (0..8).rev() {
            code = code << 1 | u32::from(byte >> shift & 1);
            bits += 1;
            let (start, index, count) = *first.get(bits)?;
            let offset = usize::try_from(code.checked_sub(start)?).ok()?;
            if offset < count {
                out.push(u8::try_from(*symbols.get(index + offset)?).ok()?);
                (code, bits) = (0, 0);
            }
        }
    }
    // Padding is the beginning of the end mark, which is all ones, and shorter than a byte.
    (bits < 8 && code == (1 << bits) - 1).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_rfc() {
        // RFC 7541, appendix C.4 and C.6.
        let rows: &[(&[u8], &str)] = &[
            (
                b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
                "www.example.com",
            ),
            (b"\xa8\xeb\x10\x64\x9c\xbf", "no-cache"),
            (b"\x64\x02", "302"),
            (
                b"\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3",
                "https://www.example.com",
            ),
            (b"", ""),
        ];
        for (coded, want) in rows {
            assert_eq!(decode(coded).as_deref(), Some(want.as_bytes()), "{want}");
        }
    }

    #[test]
    fn bad_padding_is_refused() {
        assert_eq!(decode(b"\x00\x00"), None);
        assert_eq!(decode(b"\xff"), None);
        assert_eq!(decode(b"\xff\xff\xff\xff"), None);
    }
}

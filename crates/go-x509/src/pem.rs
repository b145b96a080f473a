//! PEM blocks (RFC 7468), as leniently as Go's `encoding/pem` reads them: text around the blocks is passed over.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// One block.
#[derive(Debug)]
pub struct Block {
    /// `CERTIFICATE`, `PRIVATE KEY`, …
    pub label: String,
    /// Whether lines like `Proc-Type: 4,ENCRYPTED` stand before the contents.
    pub has_headers: bool,
    /// The contents; wiped when dropped, since they may be a key.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// Go's `StdEncoding`: padding is needed, unused bits are not looked at.
const STANDARD: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"\n-----END ";
const DASHES: &[u8] = b"-----";

/// All well-formed blocks, in order.
pub fn blocks(text: &[u8]) -> impl Iterator<Item = Block> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let end = end_mark(rest)?;
            let (before, after) = rest.split_at_checked(end)?;
            let ended = after.get(END.len()..).unwrap_or_default();
            rest = ended;
            if let Some(block) = block(before, ended) {
                (_, rest) = line(ended);
                return Some(block);
            }
        }
    })
}

/// The block that begins last in `before`, and whose end line goes on with `ended`.
fn block(before: &[u8], ended: &[u8]) -> Option<Block> {
    // Most bytes are told by the first comparison: bundles are long.
    let begins = |window: &[u8]| window.first() == Some(&b'-') && window == BEGIN;
    let begin = before.windows(BEGIN.len()).rposition(begins)?;
    if begin > 0 && before.get(begin - 1) != Some(&b'\n') {
        return None;
    }
    let (first, mut contents) = line(before.get(begin + BEGIN.len()..)?);
    let label = std::str::from_utf8(first.strip_suffix(DASHES)?).ok()?;
    let mut has_headers = false;
    loop {
        let (header, after) = line(contents);
        if !header.contains(&b':') {
            break;
        }
        has_headers = true;
        contents = after;
    }
    let (last, _) = line(ended);
    if last.strip_suffix(DASHES)? != label.as_bytes() {
        return None;
    }
    let compact: Zeroizing<Vec<u8>> = Zeroizing::new(
        contents
            .iter()
            .copied()
            .filter(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
            .collect(),
    );
    let bytes = Zeroizing::new(STANDARD.decode(&*compact).ok()?);
    Some(Block {
        label: label.to_owned(),
        has_headers,
        bytes,
    })
}

/// Where the next end line is announced: at the line break before it.
fn end_mark(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = text.get(from..)?;
        let at = from + rest.iter().position(|b| *b == b'\n')?;
        if text.get(at..).is_some_and(|rest| rest.starts_with(END)) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// The first line without its end and the blanks before it, and what follows it.
fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match text.iter().position(|b| *b == b'\n') {
        Some(end) => (
            text.get(..end).unwrap_or_default(),
            text.get(end + 1..).unwrap_or_default(),
        ),
        None => (text, Default::default()),
    };
    (line.trim_ascii_end(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_as_go_finds_them() {
        let block = "-----BEGIN A-----\nAQI=\n-----END A-----\n";
        #[rustfmt::skip]
        let rows: &[(&str, String, &[&str])] = &[
            ("alone", block.to_owned(), &["A"]),
            ("two", format!("{block}{}", block.replace('A', "B")), &["A", "B"]),
            ("text around", format!("words\n{block}words\n{block}words"), &["A", "A"]),
            ("CRLF", block.replace('\n', "\r\n"), &["A"]),
            ("no final newline", block.trim_end().to_owned(), &["A"]),
            ("headers", block.replace("AQI", "Proc-Type: 4\n\nAQI"), &["A"]),
            ("not at the start of a line", format!("x{block}"), &[]),
            ("byte order mark", format!("\u{feff}{block}"), &[]),
            ("another end", block.replace("END A", "END B"), &[]),
            ("a beginning without an end first", format!("-----BEGIN A-----\nAQ\n{block}"), &["A"]),
            ("broken base64, then a good one", format!("{}{block}", block.replace("AQI=", "A!")), &["A"]),
            ("something behind the end", block.replace("END A-----", "END A-----x"), &[]),
            ("cut", "-----BEGIN A-----\nAQ".to_owned(), &[]),
            ("empty", String::new(), &[]),
        ];
        for (name, text, want) in rows {
            let labels: Vec<String> = blocks(text.as_bytes()).map(|block| block.label).collect();
            assert_eq!(labels, *want, "{name}");
        }
        let block = blocks(block.as_bytes()).next().unwrap();
        assert_eq!((&*block.bytes, block.has_headers), (&vec![1, 2], false));
    }
}

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
            let end = find(rest, END)?;
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
    let begin = before.windows(BEGIN.len()).rposition(|window| window == BEGIN)?;
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
            .filter(|b| !b" \t\r\n".contains(b))
            .collect(),
    );
    let bytes = Zeroizing::new(STANDARD.decode(&*compact).ok()?);
    Some(Block {
        label: label.to_owned(),
        has_headers,
        bytes,
    })
}

fn find(text: &[u8], mark: &[u8]) -> Option<usize> {
    text.windows(mark.len()).position(|window| window == mark)
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

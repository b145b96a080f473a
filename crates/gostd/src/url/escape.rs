//! Percent-encoding by Go's rules for the parts of a URL.

use std::borrow::Cow;

use super::UrlError;
use crate::carried;

/// A part of a URL; each has its own set of characters that stand for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Path,
    Host,
    Zone,
    UserPassword,
    Query,
    Fragment,
}

impl Mode {
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Whether `c` must be escaped when a URL is printed: a look into a table, it is asked of every byte of every URL.
fn should_escape(c: u8, mode: Mode) -> bool {
    ESCAPED
        .get(usize::from(c))
        .is_some_and(|modes| modes & mode.bit() != 0)
}

/// The modes in which each byte must be escaped, a bit each.
const ESCAPED: [u8; 256] = {
    let modes = [
        Mode::Path,
        Mode::Host,
        Mode::Zone,
        Mode::UserPassword,
        Mode::Query,
        Mode::Fragment,
    ];
    let mut table = [0; 256];
    let mut byte = u8::MAX;
    loop {
        let mut mode = 0;
        // Evaluated when this is compiled; a table of 256 has a place for each byte.
        #[allow(clippy::indexing_slicing)]
        while mode < modes.len() {
            if must_escape(byte, modes[mode]) {
                table[byte as usize] |= modes[mode].bit();
            }
            mode += 1;
        }
        if byte == 0 {
            break table;
        }
        byte -= 1;
    }
};

const fn must_escape(c: u8, mode: Mode) -> bool {
    if c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.' | b'~') {
        return false;
    }
    match mode {
        Mode::Host | Mode::Zone => !matches!(
            c,
            b'!' | b'$' | b'&'..=b',' | b';' | b'=' | b':' | b'[' | b']' | b'<' | b'>' | b'"'
        ),
        Mode::Path => !matches!(c, b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'@'),
        Mode::UserPassword => !matches!(c, b'$' | b'&' | b'+' | b',' | b';' | b'='),
        Mode::Query => true,
        Mode::Fragment => !matches!(
            c,
            b'$' | b'&' | b'(' | b')' | b'*' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' | b'!'
        ),
    }
}

/// Whether `text` is an escaped form as a peer or user may write it: more lenient than what [`escape`] prints.
pub(super) fn valid_encoded(text: &[u8], mode: Mode) -> bool {
    text.iter()
        .all(|c| b"!$&'()*+,;=:@[]%".contains(c) || !should_escape(*c, mode))
}

/// Escapes what must be escaped, in upper-case hex.
pub(super) fn escape(text: &[u8], mode: Mode) -> Cow<'_, str> {
    if !text.iter().any(|c| should_escape(*c, mode)) {
        return String::from_utf8_lossy(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text {
        if *c == b' ' && mode == Mode::Query {
            out.push('+');
        } else if should_escape(*c, mode) {
            out.push('%');
            for digit in [c >> 4, c & 15] {
                out.push(char::from_digit(u32::from(digit), 16).map_or('0', |d| d.to_ascii_uppercase()));
            }
        } else {
            out.push(char::from(*c));
        }
    }
    Cow::Owned(out)
}

/// The same of a text, in which bytes may be [carried]. Most have nothing to be escaped.
pub(super) fn escape_text(text: &str, mode: Mode) -> Cow<'_, str> {
    if text.bytes().any(|c| should_escape(c, mode)) {
        Cow::Owned(escape(&carried::bytes(text), mode).into_owned())
    } else {
        Cow::Borrowed(text)
    }
}

/// Escapes a name or value of a query or form: any bytes.
pub fn query_escape<T: AsRef<[u8]> + ?Sized>(text: &T) -> Cow<'_, str> {
    escape(text.as_ref(), Mode::Query)
}

/// Decodes escapes.
///
/// # Errors
/// `%` without two hex digits; in hosts and zones also what must not be escaped or must not stand there at all.
pub(super) fn unescape(text: &[u8], mode: Mode) -> Result<Cow<'_, [u8]>, UrlError> {
    let is_plain = |c: &u8| match mode {
        Mode::Host | Mode::Zone => !should_escape(*c, mode),
        _ => *c != b'%',
    };
    if text.iter().all(is_plain) {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((c, after)) = rest.split_first() {
        let mut decoded = *c;
        rest = after;
        if *c == b'%' {
            let byte = match (after.first().and_then(hex), after.get(1).and_then(hex)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(bad_escape(after)),
            };
            if byte != b'%' && !escape_allowed(byte, mode) {
                return Err(bad_escape(after));
            }
            decoded = byte;
            rest = after.get(2..).unwrap_or_default();
        } else if matches!(mode, Mode::Host | Mode::Zone) && c.is_ascii() && should_escape(*c, mode) {
            return Err(UrlError::HostCharacter(char::from(*c)));
        }
        out.push(decoded);
    }
    Ok(Cow::Owned(out))
}

/// Whether a byte (not `%`) may be written as an escape: hosts escape only what is not ASCII, zones only what could
/// stand there anyway, and spaces.
fn escape_allowed(byte: u8, mode: Mode) -> bool {
    match mode {
        Mode::Host => !byte.is_ascii(),
        Mode::Zone => byte == b' ' || !should_escape(byte, Mode::Host),
        _ => true,
    }
}

fn bad_escape(after: &[u8]) -> UrlError {
    let shown = after.get(..2).unwrap_or(after);
    UrlError::Escape(format!("%{}", carried::text(shown)))
}

fn hex(c: &u8) -> Option<u8> {
    char::from(*c).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

//! Request lines that Go's server accepts and hyper does not, or reads otherwise: they are rewritten before hyper sees them.
//!
//! - a `#` is part of the path or query, hyper would drop it and what follows;
//! - so are bytes beyond ASCII, quotes, backticks and angle brackets;
//! - an absolute target may have an empty host, and without a path it leads to `/` by a redirect;
//! - any HTTP/1.x from 1.1 on is HTTP/1.1.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Longest request line that is looked at: the longest URL that hyper accepts, and a method.
pub const LONGEST: usize = (64 << 10) + 64;

/// The line, without its end, as hyper is to see it.
pub fn normal(line: &[u8]) -> Cow<'_, [u8]> {
    let parts = || {
        let method = line.iter().position(|byte| *byte == b' ')?;
        let version = line.iter().rposition(|byte| *byte == b' ')?;
        let target = line
            .get(method + 1..version)
            .filter(|target| !target.is_empty())?;
        let version = line.get(version + 1..)?;
        let method = line.get(..method)?;
        (version.starts_with(b"HTTP/") && !method.contains(&b':')).then_some((method, target, version))
    };
    let Some((method, target, version)) = parts() else {
        return Cow::Borrowed(line);
    };
    let later = matches!(version, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9']);
    // All of them are looked at, as many at a time as the processor can.
    let odd = target.iter().fold(false, |odd, byte| odd | is_odd(*byte));
    let absolute = !target.starts_with(b"/") && method != b"CONNECT";
    let moved = if absolute { origin_form(target) } else { None };
    if !later && !odd && moved.is_none() {
        return Cow::Borrowed(line);
    }
    let mut normal = method.to_vec();
    normal.push(b' ');
    let mut escape = String::new();
    for byte in &*moved.unwrap_or(Cow::Borrowed(target)) {
        if is_odd(*byte) {
            escape.clear();
            // Writing to a string does not fail.
            let _ = write!(escape, "%{byte:02X}");
            normal.extend_from_slice(escape.as_bytes());
        } else {
            normal.push(*byte);
        }
    }
    normal.push(b' ');
    normal.extend_from_slice(if later { b"HTTP/1.1" } else { version });
    Cow::Owned(normal)
}

/// Whether it is a request of HTTP/0.x, or of HTTP/2.0 or later. hyper calls it malformed.
pub fn is_of_another_version(line: &[u8]) -> bool {
    match line.rsplit(|byte| *byte == b' ').next() {
        Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]) => {
            // The beginning of HTTP/2 is malformed here, too.
            major.is_ascii_digit() && minor.is_ascii_digit() && *major != b'1' && !line.starts_with(b"PRI ")
        }
        _ => false,
    }
}

/// Whether hyper sees a byte of a target only when it is escaped.
fn is_odd(byte: u8) -> bool {
    matches!(byte, b'#' | b'"' | b'<' | b'>' | b'`') || !byte.is_ascii()
}

/// An absolute target without a host, or without a path, in a form that hyper reads as Go reads this one.
fn origin_form(target: &[u8]) -> Option<Cow<'_, [u8]>> {
    let colon = target.iter().position(|byte| *byte == b':')?;
    let rest = target.get(colon + 1..)?.strip_prefix(b"//")?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    let (host, path) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
    match (host, path) {
        ([], [b'/', ..]) => Some(Cow::Borrowed(path)),
        ([], _) => Some([b"//", path].concat().into()),
        (_, [b'/', ..]) => None,
        // A path of two slashes is cleaned by a redirect, as one that is missing is.
        (_, _) => {
            let head = target.get(..target.len() - path.len())?;
            Some([head, b"//", path].concat().into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_odd_lines_are_changed() {
        for (line, want) in [
            ("GET / HTTP/1.1", ""),
            ("GET /a?b=c%20d HTTP/1.0", ""),
            ("GET http://h/x HTTP/1.1", ""),
            ("CONNECT h:80 HTTP/1.1", ""),
            ("OPTIONS * HTTP/1.1", ""),
            ("", ""),
            ("GET", ""),
            ("GET  HTTP/1.1", ""),
            ("GET /x HTTP/2.0", ""),
            ("GET /x HTTP/1.10", ""),
            ("GET /x HTTP/1.2", "GET /x HTTP/1.1"),
            ("GET /x#y HTTP/1.1", "GET /x%23y HTTP/1.1"),
            ("GET /?t=http://x/#y HTTP/1.1", "GET /?t=http://x/%23y HTTP/1.1"),
            ("GET /ä HTTP/1.1", "GET /%C3%A4 HTTP/1.1"),
            ("GET /<`>?t=\"a\" HTTP/1.1", "GET /%3C%60%3E?t=%22a%22 HTTP/1.1"),
            ("GET http:///x HTTP/1.1", "GET /x HTTP/1.1"),
            ("GET http://h HTTP/1.1", "GET http://h// HTTP/1.1"),
            ("GET http://h?x=1 HTTP/1.1", "GET http://h//?x=1 HTTP/1.1"),
            ("GET http://h#f HTTP/1.1", "GET http://h//%23f HTTP/1.1"),
        ] {
            let want = if want.is_empty() { line } else { want };
            assert_eq!(String::from_utf8_lossy(&normal(line.as_bytes())), want, "{line}");
        }
    }
}

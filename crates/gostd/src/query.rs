//! Query strings as Go's `url.ParseQuery` reads them.

use std::borrow::Cow;

use memchr::memchr;
use percent_encoding::percent_decode;

use crate::carried;

/// The parameters of a query, decoded on demand.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a>(pub &'a [u8]);

impl<'a> Query<'a> {
    /// The first value of a parameter, what is not UTF-8 in it [carried]; empty when there is none. Pairs with a `;` or a
    /// broken escape are left out.
    pub fn first(&self, name: &str) -> Cow<'a, str> {
        self.values(name).next().unwrap_or_default()
    }

    /// The first values of several parameters, as [`Query::first`] reads each.
    pub fn firsts<const N: usize>(&self, names: [&str; N]) -> [Cow<'a, str>; N] {
        let mut found = [const { None }; N];
        for pair in self.pairs().filter(|pair| !pair.contains(&b';')) {
            let (key, value) = split(pair);
            let Some(key) = decode(key) else {
                continue;
            };
            let place = names.iter().position(|name| key == *name);
            if let Some(found) = place.and_then(|place| found.get_mut(place))
                && found.is_none()
            {
                *found = decode(value);
            }
        }
        found.map(Option::unwrap_or_default)
    }

    /// All values of a parameter in their order, read as [`Query::first`] reads one.
    pub fn values(&self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        self.pairs().filter_map(move |pair| value_of(pair, name))
    }

    /// All names with their values in their order, read as [`Query::first`] reads one.
    pub fn all(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.pairs()
            .filter(|pair| !pair.is_empty() && !pair.contains(&b';'))
            .filter_map(|pair| {
                let (key, value) = split(pair);
                Some((decode(key)?, decode(value)?))
            })
    }

    /// Whether no pair is left out.
    pub fn is_whole(&self) -> bool {
        self.pairs().all(|pair| {
            let (key, value) = split(pair);
            !pair.contains(&b';') && decode(key).is_some() && decode(value).is_some()
        })
    }

    fn pairs(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = Some(self.0);
        std::iter::from_fn(move || {
            let (pair, after) = cut(rest?, b'&');
            rest = after;
            Some(pair)
        })
    }
}

/// What stands before the first `at`, and behind it.
fn cut(bytes: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match memchr(at, bytes) {
        Some(place) => (bytes.split_at(place).0, bytes.get(place + 1..)),
        None => (bytes, None),
    }
}

fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    let (key, value) = cut(pair, b'=');
    (key, value.unwrap_or_default())
}

/// The value of a pair, if it is one of that name.
fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
    let (key, value) = split(pair);
    // Decoding makes no name longer.
    if key.len() < name.len() {
        return None;
    }
    // The whole pair counts only when both halves can be decoded, but the other half matters only here.
    if pair.is_empty() || decode(key)? != name || pair.contains(&b';') {
        return None;
    }
    decode(value)
}

/// What a `+` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plus {
    /// A space: in a query.
    IsSpace,
    /// Itself.
    IsLiteral,
}

/// Percent-decodes a text; `None` when a `%` is not followed by two hex digits. What is not UTF-8 is [carried], before
/// and after.
pub fn unescape(escaped: &str, plus: Plus) -> Option<Cow<'_, str>> {
    if is_plain(escaped.as_bytes()) {
        return Some(Cow::Borrowed(escaped));
    }
    match carried::bytes(escaped) {
        Cow::Borrowed(bytes) => unescaped(bytes, plus).map(text),
        Cow::Owned(bytes) => Some(text(Cow::Owned(unescaped(&bytes, plus)?.into_owned()))),
    }
}

/// A half of a pair.
fn decode(escaped: &[u8]) -> Option<Cow<'_, str>> {
    if is_plain(escaped) {
        return std::str::from_utf8(escaped).ok().map(Cow::Borrowed);
    }
    unescaped(escaped, Plus::IsSpace).map(text)
}

/// Whether each byte stands for itself as a character. All of them are looked at, as many at a time as the processor can.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |plain, byte| {
        plain & byte.is_ascii() & !matches!(byte, b'%' | b'+')
    })
}

fn unescaped(escaped: &[u8], plus: Plus) -> Option<Cow<'_, [u8]>> {
    for (index, _) in escaped.iter().enumerate().filter(|(_, b)| **b == b'%') {
        let digits = escaped.get(index + 1..index + 3)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
    }
    if plus == Plus::IsLiteral || !escaped.contains(&b'+') {
        return Some(percent_decode(escaped).into());
    }
    let mut spaced = escaped.to_vec();
    spaced.iter_mut().filter(|b| **b == b'+').for_each(|b| *b = b' ');
    Some(Cow::Owned(percent_decode(&spaced).collect()))
}

fn text(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => carried::text(bytes),
        Cow::Owned(bytes) => Cow::Owned(carried::text(&bytes).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_odd_queries_as_go() {
        for (query, value) in [
            ("target=a&target=b", "a"),
            ("target=", ""),
            ("target", ""),
            ("x=1&&target=a", "a"),
            ("target=%zz&target=b", "b"),
            ("target=a;b&target=c", "c"),
            ("t%61rget=x%20y+z", "x y z"),
            ("target=a=b", "a=b"),
            ("target=a%2Bb", "a+b"),
            ("target=%", ""),
            ("Target=a", ""),
            ("target=%ef%bf%bd", "\u{fffd}"),
            ("target=\u{e9}+%c3%a9", "\u{e9} \u{e9}"),
        ] {
            assert_eq!(Query(query.as_bytes()).first("target"), value, "{query}");
            assert_eq!(
                Query(query.as_bytes()).firsts(["x", "target"])[1],
                value,
                "{query}"
            );
        }
    }

    #[test]
    fn a_pair_that_cannot_be_read_is_noticed() {
        for (query, is_whole) in [
            ("", true),
            ("a=b&&c", true),
            ("a=b;c", false),
            ("a=%z", false),
            ("%=a", false),
        ] {
            assert_eq!(Query(query.as_bytes()).is_whole(), is_whole, "{query}");
        }
    }

    #[test]
    fn any_byte_passes_both_decodings() {
        for (query, want) in [
            (b"target=a%ff".as_slice(), b"a\xff".as_slice()),
            (b"target=a%25ff", b"a\xff"),
            (b"target=\xff", b"\xff"),
            (b"target=\xf4\x8f\xb7\xbf%ff", b"\xf4\x8f\xb7\xbf\xff"),
            (b"target=%f4%8f%b7%bf%ff", b"\xf4\x8f\xb7\xbf\xff"),
            (b"target=%e2%82%25ac", "\u{20ac}".as_bytes()),
        ] {
            let target = Query(query).first("target");
            let target = unescape(&target, Plus::IsLiteral).unwrap();
            assert_eq!(&*carried::bytes(&target), want, "{}", query.escape_ascii());
        }
    }

    #[test]
    fn a_plus_is_a_space_only_where_it_was_meant_so() {
        assert_eq!(unescape("a+b%2B", Plus::IsSpace).as_deref(), Some("a b+"));
        assert_eq!(unescape("a+b%2B", Plus::IsLiteral).as_deref(), Some("a+b+"));
        assert_eq!(unescape("100%", Plus::IsLiteral), None);
    }
}

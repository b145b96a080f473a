//! Query strings as Go's `url.ParseQuery` reads them.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The parameters of a query, decoded on demand.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a>(pub &'a str);

impl<'a> Query<'a> {
    /// The first value of a parameter; empty when there is none. Pairs with a `;` or a broken escape are left out.
    pub fn first(&self, name: &str) -> Cow<'a, str> {
        self.0
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.contains(';'))
            .find_map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                if unescape(key, Plus::IsSpace)? != name {
                    // The whole pair counts only when both halves can be decoded, but the other half matters only here.
                    return None;
                }
                unescape(value, Plus::IsSpace)
            })
            .unwrap_or_default()
    }
}

/// What a `+` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plus {
    /// A space: in a query.
    IsSpace,
    /// Itself.
    IsLiteral,
}

/// Percent-decodes a text; `None` when a `%` is not followed by two hex digits. What is not UTF-8 is replaced.
pub fn unescape(text: &str, plus: Plus) -> Option<Cow<'_, str>> {
    let bytes = text.as_bytes();
    for (index, _) in bytes.iter().enumerate().filter(|(_, b)| **b == b'%') {
        let digits = bytes.get(index + 1..index + 3)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
    }
    if plus == Plus::IsSpace && text.contains('+') {
        let spaced = text.replace('+', " ");
        return Some(Cow::Owned(
            percent_decode_str(&spaced).decode_utf8_lossy().into_owned(),
        ));
    }
    Some(percent_decode_str(text).decode_utf8_lossy())
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
            ("target=%ff", "\u{fffd}"),
        ] {
            assert_eq!(Query(query).first("target"), value, "{query}");
        }
    }

    #[test]
    fn a_plus_is_a_space_only_where_it_was_meant_so() {
        assert_eq!(unescape("a+b%2B", Plus::IsSpace).as_deref(), Some("a b+"));
        assert_eq!(unescape("a+b%2B", Plus::IsLiteral).as_deref(), Some("a+b+"));
        assert_eq!(unescape("100%", Plus::IsLiteral), None);
    }
}

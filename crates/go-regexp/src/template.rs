//! Templates with `$1`, `${1}` and `${name}`, as Go's `Regexp.Expand` fills them in.

use super::class::is_word_of_template;
use super::{Match, Regexp};

/// A template, taken apart once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    /// The groups to try, in order: several when a name occurs more than once, none when there is no such group.
    Groups(Vec<usize>),
}

impl Template {
    /// A template that is to be filled from the matches of `regexp`.
    pub fn new(text: &[u8], regexp: &Regexp) -> Self {
        let mut template = Self { parts: Vec::new() };
        let mut rest = text;
        while let Some(dollar) = rest.iter().position(|b| *b == b'$') {
            let (before, after) = rest.split_at(dollar);
            template.push(before);
            let after = after.get(1..).unwrap_or_default();
            if after.first() == Some(&b'$') {
                template.push(b"$");
                rest = after.get(1..).unwrap_or_default();
            } else if let Some((name, after)) = variable(after) {
                template.parts.push(Part::Groups(groups(name, regexp)));
                rest = after;
            } else {
                template.push(b"$");
                rest = after;
            }
        }
        template.push(rest);
        template
    }

    /// A text that is sent as it is.
    pub fn verbatim(text: &[u8]) -> Self {
        let mut template = Self { parts: Vec::new() };
        template.push(text);
        template
    }

    /// Fills the template from a match. Groups that took no part leave nothing.
    pub fn expand(&self, found: Option<&Match<'_>>) -> Vec<u8> {
        let mut text = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.extend_from_slice(part),
                Part::Groups(groups) => {
                    let group = found.and_then(|found| groups.iter().find_map(|index| found.group(*index)));
                    text.extend_from_slice(group.unwrap_or_default());
                }
            }
        }
        text
    }

    fn push(&mut self, text: &[u8]) {
        match self.parts.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Text(last)) => last.extend_from_slice(text),
            _ => self.parts.push(Part::Text(text.to_vec())),
        }
    }
}

/// Reads `name` or `{name}` and returns what follows it.
fn variable(text: &[u8]) -> Option<(&str, &[u8])> {
    let braced = text.first() == Some(&b'{');
    let text = if braced { text.get(1..)? } else { text };
    // What is not UTF-8 is no letter and ends the name.
    let valid = text.utf8_chunks().next()?.valid();
    let end = valid.find(|c| !is_word_of_template(c)).unwrap_or(valid.len());
    let name = valid.get(..end).filter(|name| !name.is_empty())?;
    let rest = text.get(end..)?;
    let rest = if braced { rest.strip_prefix(b"}")? } else { rest };
    Some((name, rest))
}

/// The groups that a name means: a number without leading zeros is an index, anything else a name.
fn groups(name: &str, regexp: &Regexp) -> Vec<usize> {
    // Go reads a number of up to nine digits.
    let numeric = name.len() <= 9
        && name.bytes().all(|b| b.is_ascii_digit())
        && (name == "0" || !name.starts_with('0'));
    if numeric {
        return name.parse().into_iter().collect();
    }
    let named = regexp
        .names()
        .iter()
        .enumerate()
        .filter(|(_, group)| &***group == name);
    named.map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_expand_as_gos_do() {
        let regexp = Regexp::new("(?P<first>a)(b)?(?P<n>.)(?P<n>x)?").unwrap();
        let found = regexp.captures(b"a\xffz").unwrap();
        let rows: &[(&[u8], &[u8])] = &[
            (b"plain", b"plain"),
            (b"<$1>", b"<a>"),
            (b"<${1}1>", b"<a1>"),
            (b"<$11>", b"<>"),
            (b"$1x", b""),
            ("$1é".as_bytes(), b""),
            (b"$01", b""),
            (b"${02}", b""),
            (b"$0", b"a\xff"),
            (b"$2", b""),
            (b"$first-${first}", b"a-a"),
            (b"$n", b"\xff"),
            (b"$$1", b"$1"),
            (b"$", b"$"),
            (b"a$ b", b"a$ b"),
            (b"${a-b}", b"${a-b}"),
            (b"${1", b"${1"),
            (b"${}", b"${}"),
            (b"$1\xff", b"a\xff"),
            (b"$9999999999", b""),
        ];
        for (text, want) in rows {
            let got = Template::new(text, &regexp).expand(Some(&found));
            assert_eq!(
                got,
                *want,
                "{} became {}",
                text.escape_ascii(),
                got.escape_ascii()
            );
        }
        assert_eq!(Template::verbatim(b"$1").expand(None), b"$1");
    }
}

//! Header fields of HTTP messages, with names in Go's canonical form (`Content-Type`) and values of any bytes.
//!
//! `http::HeaderMap` refuses values that Go accepts and forgets the case of names.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Header fields in the order in which they came. All text is kept in one buffer: an answer with many small fields
/// costs little more than its bytes.
#[derive(Clone, Default)]
pub struct Headers {
    text: Vec<u8>,
    fields: Vec<Field>,
}

/// Names only: values may be credentials.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.iter().map(|(name, _)| String::from_utf8_lossy(name));
        f.debug_list().entries(names).finish()
    }
}

#[derive(Clone, Debug)]
struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

impl Headers {
    /// No fields, with room for those of most answers.
    pub(crate) fn with_room() -> Self {
        Self {
            text: Vec::with_capacity(256),
            fields: Vec::with_capacity(8),
        }
    }

    /// Adds a field. `name` is made canonical; `value` is kept as it is.
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.add_bytes(name.as_bytes(), value.as_ref());
    }

    /// Adds a field whose name came from a peer.
    pub fn add_bytes(&mut self, name: &[u8], value: &[u8]) {
        let start = self.text.len();
        self.add_as_written(name, value);
        if let Some(name) = self.text.get_mut(start..start + name.len()) {
            canonicalise(name);
        }
    }

    /// Adds a field whose name keeps its case: unless it is canonical, nothing finds it.
    pub fn add_as_written(&mut self, name: &[u8], value: &[u8]) {
        let start = self.text.len();
        self.text.reserve(name.len() + value.len());
        self.text.extend_from_slice(name);
        let middle = self.text.len();
        self.text.extend_from_slice(value);
        self.fields.push(Field {
            name: start..middle,
            value: middle..self.text.len(),
        });
    }

    /// Replaces all fields of that name by one.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.remove(&canonical(name));
        self.add(name, value);
    }

    /// Takes all fields of that canonical name out.
    pub fn remove(&mut self, name: &str) {
        let Self { text, fields } = self;
        fields.retain(|f| text.get(f.name.clone()) != Some(name.as_bytes()));
    }

    /// The first value of that canonical name.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|f| f.0 == name.as_bytes()).map(|f| f.1)
    }

    /// All values of that canonical name.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |f| f.0 == name.as_bytes()).map(|f| f.1)
    }

    /// Whether there is a field of that canonical name.
    pub fn contains(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Whether the first value of that canonical name is there and not empty.
    pub fn has_text(&self, name: &str) -> bool {
        self.value(name).is_some_and(|v| !v.is_empty())
    }

    /// Names and values in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let slice = |range: &Range<usize>| self.text.get(range.clone()).unwrap_or_default();
        self.fields.iter().map(move |f| (slice(&f.name), slice(&f.value)))
    }

    /// Names and values in the order of the names; values of one name keep theirs.
    pub fn sorted(&self) -> Vec<(&[u8], &[u8])> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_by(|a, b| a.0.cmp(b.0));
        all
    }
}

/// The canonical form of a header name: upper case at the start and behind hyphens, lower case elsewhere. A name with a
/// character that no header name has stays as it is.
pub fn canonical(name: &str) -> Cow<'_, str> {
    let mut bytes = name.as_bytes().to_vec();
    canonicalise(&mut bytes);
    if bytes == name.as_bytes() {
        return Cow::Borrowed(name);
    }
    // Only the case of ASCII letters was changed, so it is still UTF-8.
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn canonicalise(name: &mut [u8]) {
    if !name.iter().all(|b| is_token_byte(*b)) {
        return;
    }
    let mut upper = true;
    for byte in name {
        *byte = if upper {
            byte.to_ascii_uppercase()
        } else {
            byte.to_ascii_lowercase()
        };
        upper = *byte == b'-';
    }
}

/// Whether a byte can stand in a header name or method (RFC 9110, section 5.6.2).
pub fn is_token_byte(byte: u8) -> bool {
    // A look into a table: it is asked of every byte of every name.
    TOKEN.get(usize::from(byte)).is_some_and(|is_token| *is_token)
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    loop {
        let is_token = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        // Evaluated when this is compiled; a table of 256 has a place for each byte.
        #[allow(clippy::indexing_slicing)]
        {
            table[byte as usize] = is_token;
        }
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

/// Whether a text can be a header name or a method.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| is_token_byte(*b))
}

/// Whether a text can be sent as a header value: no control characters but white space.
pub fn is_sendable_value(value: &[u8]) -> bool {
    // All of them are looked at, as many at a time as the processor can.
    value.iter().fold(true, |sendable, b| {
        sendable & ((*b >= b' ' && *b != 0x7f) || *b == b'\t')
    })
}

/// Without spaces and tabs (and line ends, which only configured values can have) at both ends.
pub fn trim(mut text: &[u8]) -> &[u8] {
    let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
    while let Some((first, rest)) = text.split_first().filter(|(b, _)| blank(b)) {
        let _ = first;
        text = rest;
    }
    while let Some((last, rest)) = text.split_last().filter(|(b, _)| blank(b)) {
        let _ = last;
        text = rest;
    }
    text
}

/// Whether `token` (in lower case) stands in a comma-separated list, as Go looks for it in a request it sends: bounded by
/// commas, spaces, tabs or the ends.
pub fn has_token(list: &[u8], token: &str) -> bool {
    list.split(|b| matches!(b, b',' | b' ' | b'\t'))
        .any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// Whether `token` is an element of one of these comma-separated lists (RFC 9110, section 5.6.1).
pub fn lists_contain<'a>(mut lists: impl Iterator<Item = &'a [u8]>, token: &str) -> bool {
    lists.any(|list| {
        list.split(|b| *b == b',')
            .any(|element| trim(element).eq_ignore_ascii_case(token.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_canonical() {
        let rows = [
            ("content-type", "Content-Type"),
            ("SOAPAction", "Soapaction"),
            ("WWW-authenticate", "Www-Authenticate"),
            ("x_a", "X_a"),
            ("X A", "X A"),
            ("", ""),
        ];
        for (name, want) in rows {
            assert_eq!(canonical(name), want);
        }
    }

    #[test]
    fn fields_are_set_added_and_removed() {
        let mut headers = Headers::default();
        headers.add("b", "1");
        headers.add("A", "2");
        headers.add("B", "3");
        assert_eq!(headers.values("B").collect::<Vec<_>>(), [b"1", b"3"]);
        headers.set("b", "4");
        assert_eq!(
            headers.sorted(),
            [
                (b"A".as_slice(), b"2".as_slice()),
                (b"B".as_slice(), b"4".as_slice())
            ]
        );
        headers.remove("A");
        assert!(!headers.contains("A"));
    }

    #[test]
    fn tokens_are_found_in_lists() {
        assert!(has_token(b"keep-alive, Close", "close"));
        assert!(!has_token(b"closed", "close"));
        assert!(has_token(b"x close", "close"));
        assert!(!lists_contain([b"x close".as_slice()].into_iter(), "close"));
        assert!(lists_contain(
            [b"x".as_slice(), b"y , CLOSE ".as_slice()].into_iter(),
            "close"
        ));
    }
}

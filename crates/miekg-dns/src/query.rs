//! The query: one question, nothing else.

use std::fmt;

/// A question that can be sent again under another identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    octets: Vec<u8>,
}

/// Why a name cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It begins with a dot, or has two in a row.
    EmptyLabel,
    /// A label has more than 63 octets.
    LongLabel,
    /// It ends in a backslash that escapes nothing.
    NotQualified,
    /// The query would not fit a message.
    TooLong,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyLabel => "the query name has an empty label",
            Self::LongLabel => "the query name has a label of more than 63 octets",
            Self::NotQualified => "the query name ends in a lone backslash",
            Self::TooLong => "the query name does not fit a message",
        })
    }
}

impl std::error::Error for NameError {}

impl Query {
    /// A query for `name`, which is written as in a zone file, with or without the closing dot. It is sent as it is: case
    /// and octets above 127 are kept, and, as with miekg/dns, nothing limits the name as a whole to 255 octets.
    ///
    /// # Errors
    /// The name cannot be written as labels.
    pub fn new(name: &str, qtype: u16, class: u16, recursion_desired: bool) -> Result<Self, NameError> {
        let mut octets = Vec::with_capacity(18 + name.len());
        octets.extend([0, 0, u8::from(recursion_desired), 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        write_name(name, &mut octets)?;
        octets.extend(qtype.to_be_bytes());
        octets.extend(class.to_be_bytes());
        if u16::try_from(octets.len()).is_err() {
            return Err(NameError::TooLong);
        }
        Ok(Self { octets })
    }

    /// The message under an identifier.
    pub fn with_id(&self, id: u16) -> Vec<u8> {
        let mut octets = self.octets.clone();
        octets
            .iter_mut()
            .zip(id.to_be_bytes())
            .for_each(|(to, from)| *to = from);
        octets
    }
}

fn write_name(name: &str, octets: &mut Vec<u8>) -> Result<(), NameError> {
    let mut rest = name.as_bytes();
    if matches!(rest, b"" | b".") {
        octets.push(0);
        return Ok(());
    }
    let mut label = Vec::with_capacity(63);
    let mut finish = |label: &mut Vec<u8>| {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        let length = u8::try_from(label.len()).ok().filter(|length| *length < 64);
        octets.push(length.ok_or(NameError::LongLabel)?);
        octets.append(label);
        Ok(())
    };
    while let Some((&octet, behind)) = rest.split_first() {
        rest = behind;
        match (octet, behind) {
            (b'.', _) => finish(&mut label)?,
            (b'\\', [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', behind @ ..]) => {
                let digit = |octet: &u8| octet - b'0';
                label.push(
                    digit(a)
                        .wrapping_mul(100)
                        .wrapping_add(digit(b) * 10)
                        .wrapping_add(digit(c)),
                );
                rest = behind;
            }
            (b'\\', [octet, behind @ ..]) => {
                label.push(*octet);
                rest = behind;
            }
            (b'\\', []) => return Err(NameError::NotQualified),
            (octet, _) => label.push(octet),
        }
    }
    if !label.is_empty() {
        finish(&mut label)?;
    }
    octets.push(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_labels() {
        let rows: &[(&str, Result<&[u8], NameError>)] = &[
            ("example.test", Ok(b"\x07example\x04test\0")),
            ("example.test.", Ok(b"\x07example\x04test\0")),
            (".", Ok(b"\0")),
            ("", Ok(b"\0")),
            ("localhost", Ok(b"\x09localhost\0")),
            (r"first\.last.test", Ok(b"\x0afirst.last\x04test\0")),
            (r"a\032b\255\300.test", Ok(b"\x05a b\xff\x2c\x04test\0")),
            (r"a\\.b", Ok(b"\x02a\\\x01b\0")),
            (r"a\.", Ok(b"\x02a.\0")),
            ("bü.test", Ok(b"\x03b\xc3\xbc\x04test\0")),
            (".test", Err(NameError::EmptyLabel)),
            ("a..test", Err(NameError::EmptyLabel)),
            ("a..", Err(NameError::EmptyLabel)),
            ("..", Err(NameError::EmptyLabel)),
            ("a\\", Err(NameError::NotQualified)),
        ];
        for (name, want) in rows {
            let mut octets = Vec::new();
            let got = write_name(name, &mut octets).map(|()| octets.as_slice());
            assert_eq!(got, *want, "{name}");
        }
        let longest = "a".repeat(63);
        assert!(write_name(&longest, &mut Vec::new()).is_ok());
        assert_eq!(
            write_name(&(longest + "a"), &mut Vec::new()),
            Err(NameError::LongLabel)
        );
    }

    #[test]
    fn a_query_is_one_question() {
        let query = Query::new("example.test", 1, 1, true).unwrap();
        assert_eq!(
            query.with_id(0x1234),
            b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x04test\x00\x00\x01\x00\x01"
        );
        assert_eq!(
            Query::new(&"a.".repeat(40_000), 1, 1, true),
            Err(NameError::TooLong)
        );
    }
}

//! The query: one question, and perhaps an OPT record.

use std::net::IpAddr;

use super::record::types;

/// A question that can be sent again under another identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    octets: Vec<u8>,
}

/// Why a name cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It begins with a dot, or has two in a row.
    #[error("the query name has an empty label")]
    EmptyLabel,
    /// A label has more than 63 octets.
    #[error("the query name has a label of more than 63 octets")]
    LongLabel,
    /// It ends in a backslash that escapes nothing.
    #[error("the query name ends in a lone backslash")]
    NotQualified,
    /// The query would not fit a message.
    #[error("the query name does not fit a message")]
    TooLong,
}

/// What an OPT record (RFC 6891) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The longest answer over UDP that can be read.
    pub udp_size: u16,
    /// Whether DNSSEC records are wanted (RFC 3225).
    pub dnssec: bool,
    /// Whether the server is asked for its identifier (RFC 5001).
    pub nsid: bool,
    /// The network for which the answer must be valid (RFC 7871): an address, and how many of its bits are sent.
    pub client_subnet: Option<(IpAddr, u8)>,
}

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

    /// The query with the AD bit: the response must say whether its records were verified (RFC 6840, section 5.7).
    #[must_use]
    pub fn with_ad(mut self) -> Self {
        if let Some(flags) = self.octets.get_mut(3) {
            *flags |= 0x20;
        }
        self
    }

    /// The query with an OPT record.
    ///
    /// # Errors
    /// It does not fit a message any more.
    pub fn with_edns(mut self, edns: &Edns) -> Result<Self, NameError> {
        let mut options = Vec::new();
        if edns.nsid {
            options.extend([0, 3, 0, 0]);
        }
        if let Some((ip, bits)) = edns.client_subnet {
            let (family, octets) = match ip {
                IpAddr::V4(ip) => (1, ip.octets().to_vec()),
                IpAddr::V6(ip) => (2, ip.octets().to_vec()),
            };
            // What is not told is zero, and the octets behind the last that is told are not sent.
            let told = octets.iter().enumerate().map_while(|(index, octet)| {
                let left = usize::from(bits)
                    .checked_sub(index * 8)
                    .filter(|left| *left > 0)?;
                let mask = u8::MAX.checked_shl(8_u32.saturating_sub(u32::try_from(left).unwrap_or(8)));
                Some(octet & mask.unwrap_or(u8::MAX))
            });
            let told: Vec<u8> = told.collect();
            let length = u8::try_from(4 + told.len()).unwrap_or(u8::MAX);
            options.extend([0, 8, 0, length, 0, family, bits, 0]);
            options.extend(told);
        }
        self.octets.push(0);
        self.octets.extend(types::OPT.to_be_bytes());
        self.octets.extend(edns.udp_size.to_be_bytes());
        self.octets.extend([0, 0, if edns.dnssec { 0x80 } else { 0 }, 0]);
        let length = u16::try_from(options.len()).map_err(|_| NameError::TooLong)?;
        self.octets.extend(length.to_be_bytes());
        self.octets.append(&mut options);
        if u16::try_from(self.octets.len()).is_err() {
            return Err(NameError::TooLong);
        }
        if let Some(additional) = self.octets.get_mut(11) {
            *additional = 1;
        }
        Ok(self)
    }

    /// The name that is asked for, as it is sent: without escapes, but for a dot within a label.
    pub fn name(&self) -> String {
        let mut name = String::new();
        let mut rest = self.octets.get(12..).unwrap_or_default();
        while let Some((&length, behind)) = rest.split_first()
            && let Some((label, next)) = behind.split_at_checked(length.into())
            && !label.is_empty()
        {
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&String::from_utf8_lossy(label).replace('.', "\\046"));
            rest = next;
        }
        name
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
        for (name, sent) in [
            ("example.test.", "example.test"),
            (r"a.b\097d.t\est", "a.bad.test"),
            (r"a\.b.test", r"a\046b.test"),
            (".", ""),
        ] {
            assert_eq!(Query::new(name, 1, 1, true).unwrap().name(), sent, "{name}");
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

    #[test]
    fn an_opt_record_follows_the_question() {
        let plain = Query::new("a", 1, 1, true).unwrap();
        let edns = Edns {
            udp_size: 1232,
            dnssec: true,
            nsid: true,
            client_subnet: Some(([192, 0, 2, 255].into(), 25)),
        };
        let full = plain.clone().with_edns(&edns).unwrap();
        assert_eq!(
            full.with_id(1),
            b"\0\x01\x01\0\0\x01\0\0\0\0\0\x01\x01a\0\0\x01\0\x01\
              \0\0\x29\x04\xd0\0\0\x80\0\0\x10\0\x03\0\0\0\x08\0\x08\0\x01\x19\0\xc0\0\x02\x80"
        );
        for (ip, bits, want) in [
            ("0.0.0.0", 0, &[0, 1, 0, 0][..]),
            ("10.255.0.0", 9, &[0, 1, 9, 0, 10, 128]),
            ("2001:db8::", 32, &[0, 2, 32, 0, 0x20, 1, 0xd, 0xb8]),
        ] {
            let edns = Edns {
                dnssec: false,
                nsid: false,
                client_subnet: Some((ip.parse().unwrap(), bits)),
                ..edns
            };
            let message = plain.clone().with_edns(&edns).unwrap().with_id(1);
            assert!(message.ends_with(want), "{ip}/{bits}: {message:?}");
        }
    }
}

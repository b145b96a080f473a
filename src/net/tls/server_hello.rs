//! What the first bytes of a server say, for the errors of failed handshakes.

/// How many bytes are looked at: room for a ServerHello with the largest key share that is offered.
pub(super) const LOOKED_AT: usize = 2048;

/// What a server says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening<'a> {
    /// Nothing, or too little to tell.
    Nothing,
    /// A ServerHello: the version it chooses and the cipher suite.
    ServerHello { version: u16, suite: u16 },
    /// An alert in the clear: its description.
    Alert(u8),
    /// Another TLS record, or a ServerHello that cannot be read.
    Tls,
    /// No TLS at all.
    Foreign(&'a [u8]),
}

impl<'a> Opening<'a> {
    /// Looks at the first bytes of a connection.
    pub fn of(bytes: &'a [u8]) -> Self {
        let [kind, major, _minor, _, _, record @ ..] = bytes else {
            return match bytes {
                [] => Self::Nothing,
                [20..=23] | [20..=23, 3, ..] => Self::Nothing,
                _ => Self::Foreign(bytes),
            };
        };
        match (kind, major) {
            (21, 3) => match record {
                [_level, description, ..] => Self::Alert(*description),
                _ => Self::Tls,
            },
            (22, 3) => server_hello(record).unwrap_or(Self::Tls),
            (20 | 23, 3) => Self::Tls,
            _ => Self::Foreign(bytes),
        }
    }
}

/// Reads a ServerHello (RFC 8446, section 4.1.3) that begins a handshake record.
fn server_hello(record: &[u8]) -> Option<Opening<'static>> {
    let [2, _, _, _, legacy_high, legacy_low, rest @ ..] = record else {
        return None;
    };
    let legacy = u16::from_be_bytes([*legacy_high, *legacy_low]);
    let rest = rest.get(32..)?;
    let (session, rest) = rest.split_first()?;
    let [suite_high, suite_low, _compression, rest @ ..] = rest.get(usize::from(*session)..)? else {
        return None;
    };
    let suite = u16::from_be_bytes([*suite_high, *suite_low]);
    let version = supported_version(rest).unwrap_or(legacy);
    Some(Opening::ServerHello { version, suite })
}

/// The version of the `supported_versions` extension, if it is there.
fn supported_version(extensions: &[u8]) -> Option<u16> {
    let mut rest = extensions.get(2..)?;
    while let [kind_high, kind_low, length_high, length_low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        if [*kind_high, *kind_low] == [0, 43] {
            return match after {
                [high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
                _ => None,
            };
        }
        rest = after.get(length..)?;
    }
    None
}

/// Go's name of a version.
pub(super) fn version_name(version: u16) -> Option<&'static str> {
    Some(match version {
        0x0300 => "SSL 3.0",
        0x0301 => "TLS 1.0",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        _ => return None,
    })
}

/// Go's name of a cipher suite that can be agreed on here.
pub(super) fn suite_name(suite: u16) -> Option<&'static str> {
    Some(match suite {
        0x1301 => "TLS_AES_128_GCM_SHA256",
        0x1302 => "TLS_AES_256_GCM_SHA384",
        0x1303 => "TLS_CHACHA20_POLY1305_SHA256",
        0xc009 => "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        0xc00a => "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        0xc013 => "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        0xc014 => "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
        0xc02b => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        0xc02c => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        0xc02f => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        0xc030 => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        0xcca8 => "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        0xcca9 => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([2, 9, 9, 0x13, 0x02, 0]);
        body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend(extensions);
        let mut bytes = vec![22, 3, 3, 0, 0, 2, 0, 0, 0];
        bytes.extend(body);
        bytes
    }

    #[test]
    fn openings() {
        assert_eq!(Opening::of(b""), Opening::Nothing);
        assert_eq!(Opening::of(&[22]), Opening::Nothing);
        assert_eq!(Opening::of(&[22, 3, 1]), Opening::Nothing);
        assert_eq!(Opening::of(b"HTTP/1.1 400"), Opening::Foreign(b"HTTP/1.1 400"));
        assert_eq!(Opening::of(b"220"), Opening::Foreign(b"220"));
        assert_eq!(Opening::of(&[21, 3, 3, 0, 2, 2, 40]), Opening::Alert(40));
        let (version, suite) = (0x0303, 0x1302);
        assert_eq!(Opening::of(&hello(&[])), Opening::ServerHello { version, suite });
        let thirteen = hello(&[0, 51, 0, 2, 1, 1, 0, 43, 0, 2, 3, 4]);
        assert_eq!(
            Opening::of(&thirteen),
            Opening::ServerHello {
                version: 0x0304,
                suite
            }
        );
        assert_eq!(Opening::of(&hello(&[])[..20]), Opening::Tls);
    }
}

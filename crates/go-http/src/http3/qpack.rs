//! Field compression (RFC 9204) without a dynamic table, which is not offered to peers: reads what they may send, and
//! writes plain literals.

use crate::http2::hpack::{Field, Malformed, integer, put_text, text};

/// Reads a field section; `take` gets each field, and may end the reading.
///
/// # Errors
/// The section is [`Malformed`], or what `take` says.
pub(super) fn decode<E: From<Malformed>>(
    section: &[u8],
    mut take: impl FnMut(Field) -> Result<(), E>,
) -> Result<(), E> {
    let mut rest = section;
    // Section 4.5.1: Required Insert Count and Base count entries of the dynamic table.
    let inserted = integer(&mut rest, 8)?;
    let base = integer(&mut rest, 7)?;
    if inserted != 0 || base != 0 {
        return Err(Malformed.into());
    }
    while let Some(first) = rest.first() {
        let field = match *first {
            // Section 4.5.2: an entry of the static table.
            0xc0.. => entry(integer(&mut rest, 6)?)?,
            // Section 4.5.4: a name of the static table, with a value.
            0x50..0x60 | 0x70..0x80 => {
                let (name, _) = entry(integer(&mut rest, 4)?)?;
                (name, text(&mut rest, 7)?)
            }
            // Section 4.5.6: a name and a value.
            0x20..0x40 => (text(&mut rest, 3)?, text(&mut rest, 7)?),
            // References to the dynamic table.
            _ => return Err(Malformed.into()),
        };
        take(field)?;
    }
    Ok(())
}

fn entry(index: usize) -> Result<Field, Malformed> {
    let (name, value) = STATIC.get(index).ok_or(Malformed)?;
    Ok((name.as_bytes().to_vec(), value.as_bytes().to_vec()))
}

/// What a section begins with that needs no dynamic table.
pub(super) const PREFIX: [u8; 2] = [0, 0];

/// Writes a field as a literal that nobody may index: it may be a secret.
pub(super) fn encode(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    put_text(out, 0x30, 3, name);
    put_text(out, 0, 7, value);
}

/// RFC 9204, appendix A.
const STATIC: [(&str, &str); 99] = [
    (":authority", ""),
    (":path", "/"),
    ("age", "0"),
    ("content-disposition", ""),
    ("content-length", "0"),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("referer", ""),
    ("set-cookie", ""),
    (":method", "CONNECT"),
    (":method", "DELETE"),
    (":method", "GET"),
    (":method", "HEAD"),
    (":method", "OPTIONS"),
    (":method", "POST"),
    (":method", "PUT"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "103"),
    (":status", "200"),
    (":status", "304"),
    (":status", "404"),
    (":status", "503"),
    ("accept", "*/*"),
    ("accept", "application/dns-message"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-ranges", "bytes"),
    ("access-control-allow-headers", "cache-control"),
    ("access-control-allow-headers", "content-type"),
    ("access-control-allow-origin", "*"),
    ("cache-control", "max-age=0"),
    ("cache-control", "max-age=2592000"),
    ("cache-control", "max-age=604800"),
    ("cache-control", "no-cache"),
    ("cache-control", "no-store"),
    ("cache-control", "public, max-age=31536000"),
    ("content-encoding", "br"),
    ("content-encoding", "gzip"),
    ("content-type", "application/dns-message"),
    ("content-type", "application/javascript"),
    ("content-type", "application/json"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("content-type", "image/gif"),
    ("content-type", "image/jpeg"),
    ("content-type", "image/png"),
    ("content-type", "text/css"),
    ("content-type", "text/html; charset=utf-8"),
    ("content-type", "text/plain"),
    ("content-type", "text/plain;charset=utf-8"),
    ("range", "bytes=0-"),
    ("strict-transport-security", "max-age=31536000"),
    ("strict-transport-security", "max-age=31536000; includesubdomains"),
    (
        "strict-transport-security",
        "max-age=31536000; includesubdomains; preload",
    ),
    ("vary", "accept-encoding"),
    ("vary", "origin"),
    ("x-content-type-options", "nosniff"),
    ("x-xss-protection", "1; mode=block"),
    (":status", "100"),
    (":status", "204"),
    (":status", "206"),
    (":status", "302"),
    (":status", "400"),
    (":status", "403"),
    (":status", "421"),
    (":status", "425"),
    (":status", "500"),
    ("accept-language", ""),
    ("access-control-allow-credentials", "FALSE"),
    ("access-control-allow-credentials", "TRUE"),
    ("access-control-allow-headers", "*"),
    ("access-control-allow-methods", "get"),
    ("access-control-allow-methods", "get, post, options"),
    ("access-control-allow-methods", "options"),
    ("access-control-expose-headers", "content-length"),
    ("access-control-request-headers", "content-type"),
    ("access-control-request-method", "get"),
    ("access-control-request-method", "post"),
    ("alt-svc", "clear"),
    ("authorization", ""),
    (
        "content-security-policy",
        "script-src 'none'; object-src 'none'; base-uri 'none'",
    ),
    ("early-data", "1"),
    ("expect-ct", ""),
    ("forwarded", ""),
    ("if-range", ""),
    ("origin", ""),
    ("purpose", "prefetch"),
    ("server", ""),
    ("timing-allow-origin", "*"),
    ("upgrade-insecure-requests", "1"),
    ("user-agent", ""),
    ("x-forwarded-for", ""),
    ("x-frame-options", "deny"),
    ("x-frame-options", "sameorigin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(section: &[u8]) -> Result<Vec<(String, String)>, Malformed> {
        let mut fields = Vec::new();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        decode(section, |(name, value)| {
            fields.push((text(name), text(value)));
            Ok::<_, Malformed>(())
        })?;
        Ok(fields)
    }

    #[test]
    fn fields_are_read() {
        // section, fields
        type Row = (&'static [u8], &'static [(&'static str, &'static str)]);
        let rows: &[Row] = &[
            (b"\0\0", &[]),
            (b"\0\0\xd9", &[(":status", "200")]),
            // The last entry, whose index needs a second byte.
            (b"\0\0\xff\x23", &[("x-frame-options", "sameorigin")]),
            // RFC 9204, appendix B.1: a literal with the name of an entry.
            (b"\0\0\x51\x0b/index.html", &[(":path", "/index.html")]),
            // Whatever may be indexed.
            (b"\0\0\x71\x01/", &[(":path", "/")]),
            // Names in full, and coded ones.
            (b"\0\0\x21a\x01b\x31c\x00", &[("a", "b"), ("c", "")]),
            (b"\0\0\x29\x1f\x82\x64\x02", &[("a", "302")]),
        ];
        for (section, want) in rows {
            let want = want.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
            assert_eq!(decoded(section), Ok(want.collect()), "{section:?}");
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for section in [
            &b""[..],
            b"\0",
            // An entry of the dynamic table, and sections that need one.
            b"\0\0\x80",
            b"\0\0\x10",
            b"\0\0\x40\x00",
            b"\0\0\x00\x00",
            b"\x01\0",
            b"\0\x01",
            // Beyond the static table.
            b"\0\0\xff\x24",
            // Cut off.
            b"\0\0\x51\x0b/in",
            b"\0\0\x51",
            b"\0\0\x27\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(decoded(section), Err(Malformed), "{section:?}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let long = "v".repeat(70_000);
        let mut section = PREFIX.to_vec();
        encode(&mut section, b"a", b"b");
        encode(&mut section, b"a-long-name", long.as_bytes());
        let want = [("a", "b"), ("a-long-name", &long)].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(decoded(&section), Ok(want.to_vec()));
    }
}

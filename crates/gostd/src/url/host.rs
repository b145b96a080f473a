//! Hosts of URLs: what Go accepts, and their ASCII forms.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::UrlError;
use super::escape::{Mode, unescape};
use crate::address::{join_host_port, split_host_port};
use crate::carried;

/// Reads `host[:port]`, percent-decoded, brackets kept.
pub(super) fn parse(host: &[u8]) -> Result<String, UrlError> {
    match host.iter().rposition(|b| *b == b'[') {
        Some(0) => return parse_bracketed(host),
        Some(_) => return Err(UrlError::Plain("invalid IP-literal")),
        None => {}
    }
    // Upstream is built with Go 1.25's rule: the last colon begins the port, colons before it belong to the host.
    if let Some(colon) = host.iter().rposition(|b| *b == b':') {
        check_port(host.get(colon..).unwrap_or_default())?;
    }
    Ok(text(unescape(host, Mode::Host)?))
}

/// `[address]`, `[address%25zone]`, `[address]:port`.
fn parse_bracketed(host: &[u8]) -> Result<String, UrlError> {
    let Some(close) = host.iter().rposition(|b| *b == b']') else {
        return Err(UrlError::Plain("missing ']' in host"));
    };
    let port = host.get(close + 1..).unwrap_or_default();
    check_port(port)?;
    let name = host.get(1..close).unwrap_or_default();
    let zone = name.windows(3).position(|w| w == b"%25").unwrap_or(name.len());
    let (address, zone) = name.split_at(zone);
    let address = text(unescape(address, Mode::Host)?);
    let zone = text(unescape(zone, Mode::Zone)?);
    let name = format!("{address}{zone}");
    if address.parse::<Ipv6Addr>().is_err() || zone == "%" {
        return Err(match address.parse::<std::net::Ipv4Addr>() {
            Ok(_) if zone.is_empty() => UrlError::Plain("invalid IP-literal"),
            _ => UrlError::Host(name),
        });
    }
    Ok(format!("[{name}]{}", String::from_utf8_lossy(port)))
}

fn check_port(colon_port: &[u8]) -> Result<(), UrlError> {
    let valid = colon_port.is_empty()
        || colon_port
            .strip_prefix(b":")
            .is_some_and(|port| port.iter().all(u8::is_ascii_digit));
    if valid {
        Ok(())
    } else {
        Err(UrlError::Port(carried::text(colon_port).into_owned()))
    }
}

/// Hosts are texts; a byte that is not UTF-8 is carried in them.
fn text(bytes: Cow<'_, [u8]>) -> String {
    carried::text(&bytes).into_owned()
}

/// The ASCII form of a host name for looking it up (UTS 46, mapped to lower case); as it is when there is none, or nothing is left
/// of it. What is not UTF-8 is U+FFFD, as in Go.
pub fn idna_ascii(host: &str) -> Cow<'_, str> {
    if host.is_ascii() {
        return Cow::Borrowed(host);
    }
    let ascii = match carried::lossy(host) {
        Cow::Borrowed(_) => idna::domain_to_ascii(host).ok(),
        Cow::Owned(replaced) => punycode(&replaced),
    };
    ascii
        .filter(|ascii| !ascii.is_empty())
        .map_or(Cow::Borrowed(host), Cow::Owned)
}

/// The same of the host in a URL's `host[:port]`.
pub fn idna_host_port(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || text.starts_with('[') {
        return Cow::Borrowed(text);
    }
    match text.rsplit_once(':') {
        Some((host, port)) => Cow::Owned(format!("{}:{port}", idna_ascii(host))),
        None => idna_ascii(text),
    }
}

/// The ASCII form of `host[:port]` for a `Host` header: punycode without any mapping, of U+FFFD for what is not UTF-8.
///
/// # Errors
/// A label that cannot be encoded.
pub fn punycode_host_port(text: &str) -> Result<Cow<'_, str>, PunycodeError> {
    if text.is_ascii() {
        return Ok(Cow::Borrowed(text));
    }
    let text = carried::lossy(text);
    let (host, port) = split_host_port(&text).unwrap_or((&text, ""));
    let host = punycode(host).ok_or_else(|| PunycodeError(host.to_owned()))?;
    Ok(Cow::Owned(match port {
        "" => host,
        port => join_host_port(&host, port),
    }))
}

/// Encodes every label that is not ASCII.
pub fn punycode(host: &str) -> Option<String> {
    let mut labels = Vec::new();
    for label in host.split('.') {
        if label.is_ascii() {
            labels.push(label.to_owned());
        } else {
            labels.push(format!("xn--{}", idna::punycode::encode_str(label)?));
        }
    }
    Some(labels.join("."))
}

/// A host name that has no ASCII form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("idna: invalid label {0:?}")]
pub struct PunycodeError(String);

/// `[fe80::1%eth0]:80` without its zone, which never leaves the machine (RFC 6874).
pub fn remove_zone(host: &str) -> Cow<'_, str> {
    if host.starts_with('[')
        && let Some((before, after)) = host.rsplit_once(']')
        && let Some((before, _zone)) = before.rsplit_once('%')
    {
        return Cow::Owned(format!("{before}]{after}"));
    }
    Cow::Borrowed(host)
}

/// Whether a text can stand in a `Host` header at all.
pub fn valid_host_header(host: &str) -> bool {
    host.bytes().all(|b| {
        // As a pattern, which is a look into a table.
        b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'!' | b'$'..=b'.' | b':' | b';' | b'=' | b'[' | b']' | b'_' | b'~'
            )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_headers_are_encoded_without_mapping() {
        assert_eq!(
            punycode_host_port("bücher.test:80").unwrap(),
            "xn--bcher-kva.test:80"
        );
        assert_eq!(punycode_host_port("bücher.test").unwrap(), "xn--bcher-kva.test");
        assert_eq!(punycode_host_port("Ab:1").unwrap(), "Ab:1");
        assert_eq!(
            punycode_host_port(&carried::text(b"a\xff.test:80")).unwrap(),
            "xn--a-q10i.test:80"
        );
        assert_eq!(punycode_host_port("BÜCHER.test").unwrap(), "xn--BCHER-2pa.test");
        assert_eq!(idna_host_port("BÜCHER.test:80"), "xn--bcher-kva.test:80");
        assert_eq!(idna_host_port("bücher。test"), "xn--bcher-kva.test");
        assert_eq!(idna_host_port("[fe80::1%é]:80"), "[fe80::1%é]:80");
        assert_eq!(idna_ascii("BÜCHER.test"), "xn--bcher-kva.test");
        assert_eq!(idna_ascii("A.test"), "A.test");
        assert_eq!(idna_ascii(&carried::text(b"a\xff")), "xn--a-q10i");
        // Soft hyphens and zero-width spaces are mapped to nothing.
        assert_eq!(idna_ascii("a\u{ad}b.test"), "ab.test");
        assert_eq!(idna_ascii("\u{ad}\u{200b}"), "\u{ad}\u{200b}");
    }

    #[test]
    fn zones_are_removed() {
        assert_eq!(remove_zone("[fe80::1%en0]:80"), "[fe80::1]:80");
        assert_eq!(remove_zone("[fe80::1]:80"), "[fe80::1]:80");
        assert_eq!(remove_zone("a%b"), "a%b");
    }
}

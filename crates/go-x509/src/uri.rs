//! Domains, mailboxes and URIs in certificates, with Go's ideas of which are valid.

use std::net::IpAddr;

use gostd::address::split_host_port;
use gostd::strconv::quote_bytes;
use gostd::url::Url;

use super::ParseError;

/// Whether this is a domain (of a name, or of a constraint, which may begin with a dot). Empty is one.
pub(super) fn is_domain(text: &str, constraint: bool) -> bool {
    if text.is_empty() {
        return true;
    }
    let text = if constraint {
        text.strip_prefix('.').unwrap_or(text)
    } else {
        text
    };
    text.bytes().all(|b| (33..=126).contains(&b)) && text.split('.').all(|label| !label.is_empty())
}

/// A mailbox of RFC 2821, its quotes and escapes taken away.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Mailbox {
    pub local: String,
    pub domain: String,
}

impl Mailbox {
    /// Reads `local@domain`, where `local` may be a quoted string.
    pub fn parse(text: &str) -> Option<Self> {
        let (local, rest) = match text.strip_prefix('"') {
            Some(rest) => quoted_local(rest)?,
            None => atoms(text)?,
        };
        let domain = rest.strip_prefix('@')?;
        let valid = domain.is_empty() || is_domain(domain, false);
        valid.then(|| Self {
            local,
            domain: domain.to_owned(),
        })
    }
}

fn quoted_local(text: &str) -> Option<(String, &str)> {
    let mut local = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((local, chars.as_str())),
            '\\' => match chars.next()? {
                c @ ('\x01'..='\x09' | '\x0b' | '\x0c' | '\x0e'..='\x7f') => local.push(c),
                _ => return None,
            },
            c @ ('\x01'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='!' | '#'..='[' | ']'..='\x7f') => {
                local.push(c)
            }
            _ => return None,
        }
    }
}

fn atoms(text: &str) -> Option<(String, &str)> {
    let mut local = String::new();
    let mut chars = text.chars();
    let mut rest = text;
    while let Some(c) = chars.next() {
        match c {
            '\\' => local.push(chars.next()?),
            'a'..='z' | 'A'..='Z' | '0'..='9' => local.push(c),
            c if "!#$%&'*+-/=?^_`{|}~.".contains(c) => local.push(c),
            _ => break,
        }
        rest = chars.as_str();
    }
    let valid =
        !local.is_empty() && !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
    valid.then_some((local, rest))
}

/// Checks a URI of a SAN extension as Go does.
pub(super) fn check_san(text: &str) -> Result<(), ParseError> {
    let quoted = quote_bytes(text);
    match Url::parse(text) {
        Err(why) => Err(format!("cannot parse URI {quoted}: parse {quoted}: {why}").into()),
        Ok(url) if !is_domain(&url.host, false) => {
            Err(format!("cannot parse URI {quoted}: invalid domain").into())
        }
        Ok(_) => Ok(()),
    }
}

/// The domain of a URI that is to be matched against constraints; the error is Go's text.
pub(super) fn constrained_domain(text: &str) -> Result<String, String> {
    let quoted = quote_bytes(text);
    let url = Url::parse(text).unwrap_or_default();
    if url.host.is_empty() {
        return Err(format!(
            "URI with empty host ({quoted}) cannot be matched against constraints"
        ));
    }
    let mut host = url.host.to_lowercase();
    if host.contains(':') && !host.ends_with(']') {
        match split_host_port(&url.host) {
            Ok((name, _)) => name.clone_into(&mut host),
            Err(error) => return Err(format!("cannot parse URI host {:?}: {error}", url.host)),
        }
    }
    let literal = host.starts_with('[') && host.ends_with(']');
    if literal || host.parse::<IpAddr>().is_ok() {
        return Err(format!(
            "URI with IP ({quoted}) cannot be matched against constraints"
        ));
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes() {
        let rows: &[(&str, Option<(&str, &str)>)] = &[
            ("ann@example.com", Some(("ann", "example.com"))),
            (r#""a b\"c"@example.com"#, Some(("a b\"c", "example.com"))),
            ("a.b@x", Some(("a.b", "x"))),
            (".a@x", None),
            ("a..b@x", None),
            ("a@x.", None),
            ("@x", None),
            ("a", None),
            ("a b@x", None),
        ];
        for (text, want) in rows {
            let got = Mailbox::parse(text);
            assert_eq!(got.as_ref().map(|m| (&*m.local, &*m.domain)), *want, "{text}");
        }
    }

    #[test]
    fn domains() {
        for text in ["", "a", "a.b", "_x.y", "*.a"] {
            assert!(is_domain(text, false), "{text}");
        }
        for text in [".a", "a.", "a..b", "a b", "é"] {
            assert!(!is_domain(text, false), "{text}");
        }
        assert!(is_domain(".a", true));
        assert!(!is_domain("..a", true));
    }

    #[test]
    fn uris() {
        assert!(check_san("https://example.com/x").is_ok());
        assert!(check_san("spiffe://a.b/c").is_ok());
        assert!(check_san("urn:uuid:1").is_ok());
        assert!(check_san("https://a..b/").is_err());
        assert!(check_san(":x").is_err());
        // As Go: a host with a port keeps its case.
        assert_eq!(
            constrained_domain("https://Example.com/").as_deref(),
            Ok("example.com")
        );
        assert_eq!(
            constrained_domain("https://Example.com:80/").as_deref(),
            Ok("Example.com")
        );
        assert!(constrained_domain("https://127.0.0.1/").is_err());
        assert!(constrained_domain("https://[::1]/").is_err());
        assert!(constrained_domain("urn:x").is_err());
    }
}

//! Domains, mailboxes and URIs in certificates, with Go's ideas of which are valid.

use std::net::IpAddr;

use super::ParseError;
use super::name::quoted;

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
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Checks a URI of a SAN extension as Go's `url.Parse` and `x509` do.
pub(super) fn check_san(text: &str) -> Result<(), ParseError> {
    match host(text) {
        Err(why) => {
            let quoted = quoted(text);
            Err(format!("cannot parse URI {quoted}: parse {quoted}: {why}").into())
        }
        Ok(host) if !is_domain(host, false) => {
            Err(format!("cannot parse URI {}: invalid domain", quoted(text)).into())
        }
        Ok(_) => Ok(()),
    }
}

/// The domain of a URI that is to be matched against constraints; the error is Go's text.
pub(super) fn constrained_domain(text: &str) -> Result<String, String> {
    let whole = host(text).unwrap_or_default();
    if whole.is_empty() {
        return Err(format!(
            "URI with empty host ({}) cannot be matched against constraints",
            quoted(text)
        ));
    }
    let mut host = whole.to_ascii_lowercase();
    if host.contains(':') && !host.ends_with(']') {
        match crate::net::split_host_port(whole) {
            Ok((name, _)) => name.clone_into(&mut host),
            Err(error) => return Err(format!("cannot parse URI host {}: {error}", quoted(whole))),
        }
    }
    let literal = host.starts_with('[') && host.ends_with(']');
    if literal || host.parse::<IpAddr>().is_ok() {
        return Err(format!(
            "URI with IP ({}) cannot be matched against constraints",
            quoted(text)
        ));
    }
    Ok(host)
}

/// The `host[:port]` of a URI, empty if it has none.
fn host(text: &str) -> Result<&str, String> {
    if text.bytes().any(|b| b < b' ' || b == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let text = text.split('#').next().unwrap_or_default();
    let scheme_end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')));
    let has_scheme = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let rest = match scheme_end {
        Some(0) if text.starts_with(':') => return Err("missing protocol scheme".to_owned()),
        Some(end) if has_scheme && text.get(end..).is_some_and(|t| t.starts_with(':')) => {
            text.get(end + 1..).unwrap_or_default()
        }
        _ => text,
    };
    let rest = rest.split('?').next().unwrap_or_default();
    check_escapes(rest)?;
    let Some(authority) = rest.strip_prefix("//") else {
        let first = rest.split('/').next().unwrap_or_default();
        if rest.len() == text.len() && first.contains(':') {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
        return Ok("");
    };
    let authority = authority.split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let port = match host.strip_prefix('[') {
        Some(literal) => literal.split_once(']').ok_or("missing ']' in host")?.1,
        None => host
            .find(':')
            .and_then(|colon| host.get(colon..))
            .unwrap_or_default(),
    };
    let digits = port
        .strip_prefix(':')
        .unwrap_or(if port.is_empty() { "" } else { "x" });
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("invalid port {} after host", quoted(port)));
    }
    Ok(host)
}

fn check_escapes(text: &str) -> Result<(), String> {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let escape: String = rest.get(at..).unwrap_or_default().chars().take(3).collect();
        if escape.len() != 3 || !escape.bytes().skip(1).all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("invalid URL escape {}", quoted(&escape)));
        }
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    Ok(())
}

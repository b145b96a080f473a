//! Name constraints (RFC 5280, section 4.2.1.10): which names the certificates below a CA may have.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::Certificate;
use super::extensions::{NameConstraints, Subtrees};
use super::name::quoted;
use super::uri::{self, Mailbox, is_domain};

/// Checks all names of each certificate of a chain against the constraints of those above it; the error is Go's text.
pub(super) fn check(chain: &[Arc<Certificate>]) -> Result<(), String> {
    for (place, certificate) in chain.iter().enumerate() {
        if certificate.extensions.san.is_none() {
            continue;
        }
        let above = chain.iter().skip(place + 1);
        let mut constraints = above
            .filter_map(|ca| Some((&**ca, ca.extensions.name_constraints.as_deref()?)))
            .peekable();
        if constraints.peek().is_none() {
            return Ok(());
        }
        let names = Names::of(certificate)?;
        for (ca, constraints) in constraints {
            names.check(ca, constraints)?;
        }
    }
    Ok(())
}

/// The names of a certificate, ready to be compared.
struct Names<'a> {
    addresses: Vec<&'a [u8]>,
    dns: Vec<&'a str>,
    /// Each with its domain.
    uris: Vec<(&'a str, String)>,
    emails: Vec<Mailbox>,
}

impl<'a> Names<'a> {
    fn of(certificate: &'a Certificate) -> Result<Self, String> {
        let extensions = &certificate.extensions;
        let uri = |text: &'a str| Ok((text, uri::constrained_domain(text)?));
        let email = |text: &'a str| {
            let mut mailbox =
                Mailbox::parse(text).ok_or_else(|| format!("cannot parse rfc822Name {}", quoted(text)))?;
            mailbox.domain.make_ascii_lowercase();
            Ok::<_, String>(mailbox)
        };
        Ok(Self {
            addresses: extensions
                .addresses
                .iter()
                .map(|span| certificate.bytes(*span))
                .collect(),
            dns: certificate.dns_names().collect(),
            uris: certificate
                .texts(&extensions.uris)
                .map(uri)
                .collect::<Result<_, String>>()?,
            emails: certificate
                .texts(&extensions.emails)
                .map(email)
                .collect::<Result<_, _>>()?,
        })
    }

    fn check(&self, ca: &Certificate, constraints: &NameConstraints) -> Result<(), String> {
        let both = |subtrees: fn(&Subtrees) -> &[super::Span]| {
            (subtrees(&constraints.permitted), subtrees(&constraints.excluded))
        };
        let (permitted, excluded) = both(|s| &s.addresses);
        for address in &self.addresses {
            let finds = |span| {
                Some(ca.bytes(span))
                    .filter(|network| contains(network, address))
                    .map(network_text)
            };
            judge(
                "IP address",
                &address_text(address),
                permitted,
                excluded,
                finds,
                finds,
            )?;
        }
        let texts = |span| std::str::from_utf8(ca.bytes(span)).unwrap_or_default();
        let domain = |name: &str, wildcards: bool, span| {
            let constraint = texts(span);
            let found = in_domain(name, constraint) || (wildcards && parent_of_wildcard(name, constraint));
            found.then(|| constraint.to_owned())
        };
        let (permitted, excluded) = both(|s| &s.dns);
        for name in &self.dns {
            if !is_domain(name, false) {
                return Err(format!("x509: cannot parse dnsName {}", quoted(name)));
            }
            let (allows, forbids) = (|span| domain(name, false, span), |span| domain(name, true, span));
            judge("DNS name", name, permitted, excluded, allows, forbids)?;
        }
        let (permitted, excluded) = both(|s| &s.uris);
        for (uri, host) in &self.uris {
            if !is_domain(host, false) {
                return Err(format!(
                    "x509: internal error: URI SAN {} failed to parse",
                    quoted(uri)
                ));
            }
            let (allows, forbids) = (|span| domain(host, false, span), |span| domain(host, true, span));
            judge("URI", uri, permitted, excluded, allows, forbids)?;
        }
        let (permitted, excluded) = both(|s| &s.emails);
        for email in &self.emails {
            let text = email.to_string();
            let finds =
                |span, wildcards| match Mailbox::parse(texts(span)).filter(|_| texts(span).contains('@')) {
                    Some(mut exact) => {
                        exact.domain.make_ascii_lowercase();
                        (exact == *email).then(|| text.clone())
                    }
                    None => domain(&email.domain, wildcards, span),
                };
            let (allows, forbids) = (|span| finds(span, false), |span| finds(span, true));
            judge("email address", &text, permitted, excluded, allows, forbids)?;
        }
        Ok(())
    }
}

/// Whether a name is in a permitted subtree (if there are any) and in no excluded one. `allows` and `forbids` give the text of a
/// constraint that the name is under.
fn judge(
    kind: &str,
    name: &str,
    permitted: &[super::Span],
    excluded: &[super::Span],
    allows: impl Fn(super::Span) -> Option<String>,
    forbids: impl Fn(super::Span) -> Option<String>,
) -> Result<(), String> {
    let name = quoted(name);
    if !permitted.is_empty() && !permitted.iter().any(|span| allows(*span).is_some()) {
        return Err(format!("{kind} {name} is not permitted by any constraint"));
    }
    // Of several, Go names the one that includes the others.
    match excluded
        .iter()
        .filter_map(|span| forbids(*span))
        .min_by_key(String::len)
    {
        Some(constraint) => Err(format!(
            "{kind} {name} is excluded by constraint {}",
            quoted(&constraint)
        )),
        None => Ok(()),
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

/// Whether a domain is the constraint's or below it; a constraint that begins with a dot wants at least one label more.
fn in_domain(name: &str, constraint: &str) -> bool {
    if constraint.is_empty() {
        return true;
    }
    let Some(cut) = name.len().checked_sub(constraint.len()) else {
        return false;
    };
    let (before, end) = (name.as_bytes().get(..cut), name.as_bytes().get(cut..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(constraint.as_bytes()))
        && (constraint.starts_with('.') || before.is_some_and(|b| b.is_empty() || b.ends_with(b".")))
}

/// Whether a wildcard could stand for an excluded name.
fn parent_of_wildcard(name: &str, constraint: &str) -> bool {
    let parent = |name: &str| {
        name.find('.')
            .and_then(|dot| name.get(dot..))
            .map(str::to_ascii_lowercase)
    };
    name.starts_with('*') && parent(constraint).is_some_and(|found| Some(found) == parent(name))
}

/// Whether an address is in a network (address and mask, one after the other) of the same family.
fn contains(network: &[u8], address: &[u8]) -> bool {
    if network.len() != address.len() * 2 {
        return false;
    }
    let (base, mask) = network.split_at(address.len());
    base.iter()
        .zip(mask)
        .zip(address)
        .all(|((base, mask), byte)| base & mask == byte & mask)
}

fn address_text(bytes: &[u8]) -> String {
    let ip = match bytes {
        [a, b, c, d] => IpAddr::from([*a, *b, *c, *d]),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap_or_default()).to_canonical(),
    };
    ip.to_string()
}

fn network_text(network: &[u8]) -> String {
    let (base, mask) = network.split_at(network.len() / 2);
    let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    format!("{}/{ones}", address_text(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        let rows: &[(&str, &str, bool)] = &[
            ("example.com", "example.com", true),
            ("EXAMPLE.com", "example.COM", true),
            ("a.example.com", "example.com", true),
            ("aexample.com", "example.com", false),
            ("example.com", ".example.com", false),
            ("a.example.com", ".example.com", true),
            ("b.a.example.com", ".example.com", true),
            ("com", "example.com", false),
            ("anything", "", true),
        ];
        for (name, constraint, want) in rows {
            assert_eq!(in_domain(name, constraint), *want, "{name} under {constraint}");
        }
        assert!(parent_of_wildcard("*.Example.com", "foo.example.com"));
        assert!(!parent_of_wildcard("*.example.com", "foo.bar.example.com"));
        assert!(!parent_of_wildcard("a.example.com", "foo.example.com"));
    }

    #[test]
    fn networks() {
        let ten = [10, 0, 0, 0, 255, 0, 0, 0];
        assert!(contains(&ten, &[10, 1, 2, 3]));
        assert!(!contains(&ten, &[11, 1, 2, 3]));
        assert!(!contains(&ten, &[10; 16]));
        assert_eq!(network_text(&ten), "10.0.0.0/8");
    }
}

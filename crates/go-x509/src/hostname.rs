//! Whether a certificate is for a host (RFC 6125), by Go's rules: SANs only, wildcards as the whole first label.

use std::net::IpAddr;

use super::Certificate;
use super::error::{Hostname, Names, VerifyError};

/// How many names an error lists.
const LISTED: usize = 100;

impl Certificate {
    /// Whether this certificate is for `host`: an address (in brackets or not) or a name, with or without its final dot.
    ///
    /// # Errors
    /// What it is for instead.
    pub fn check_hostname(&self, host: &str) -> Result<(), VerifyError> {
        let unbracketed = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .filter(|inner| !inner.is_empty())
            .unwrap_or(host);
        if let Some(ip) = parse_ip(unbracketed) {
            if self
                .ip_addresses()
                .any(|candidate| candidate.to_canonical() == ip)
            {
                return Ok(());
            }
            return Err(self.mismatch(unbracketed));
        }
        let name = host.to_ascii_lowercase();
        let valid = is_hostname(&name, false);
        let found = self.dns_names().any(|pattern| {
            if valid && is_hostname(pattern, true) {
                matches(pattern, &name)
            } else {
                !matches!(pattern, "" | ".")
                    && pattern.eq_ignore_ascii_case(&name)
                    && !matches!(&*name, "" | ".")
            }
        });
        if found { Ok(()) } else { Err(self.mismatch(host)) }
    }

    fn mismatch(&self, host: &str) -> VerifyError {
        let found =
            if self.extensions.san.is_none() && self.common_name().is_some_and(|name| matches(&name, host)) {
                Names::OnlyCommonName
            } else if parse_ip(host).is_some() {
                match self.extensions.addresses.len() {
                    many @ LISTED.. => Names::ManyAddresses(many),
                    _ => Names::Addresses(self.ip_addresses().map(|ip| ip.to_canonical()).collect()),
                }
            } else {
                match self.extensions.dns_names.len() {
                    many @ LISTED.. => Names::ManyDns(many),
                    _ => Names::Dns(self.dns_names().map(str::to_owned).collect()),
                }
            };
        let host = host.to_owned();
        VerifyError::Hostname(Hostname { host, found })
    }
}

/// An IP address as Go's `net.ParseIP` reads it: no zone, no leading zeros; mapped ones become IPv4.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// Whether this could be a host name, with some leniency for underscores. A pattern may begin with the label `*`.
fn is_hostname(host: &str, pattern: bool) -> bool {
    let host = if pattern {
        host
    } else {
        host.strip_suffix('.').unwrap_or(host)
    };
    if host.is_empty() || host == "*" {
        return false;
    }
    host.split('.').enumerate().all(|(i, label)| {
        if pattern && i == 0 && label == "*" {
            return true;
        }
        !label.is_empty()
            && !label.starts_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    })
}

fn matches(pattern: &str, host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    if pattern.is_empty() {
        return false;
    }
    let (mut patterns, mut labels) = (pattern.split('.'), host.split('.'));
    let mut first = true;
    loop {
        match (patterns.next(), labels.next()) {
            (None, None) => return true,
            (Some(pattern), Some(label))
                if (first && pattern == "*") || pattern.eq_ignore_ascii_case(label) => {}
            _ => return false,
        }
        first = false;
    }
}

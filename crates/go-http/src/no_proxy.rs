//! `no_proxy` by the rules of Go's `golang.org/x/net/http/httpproxy`.

use std::net::IpAddr;

use gostd::address::split_host_port;
use gostd::url::{Url, idna_ascii};
use ipnet::IpNet;

/// What is never sent to a proxy.
#[derive(Clone, Debug, Default)]
pub struct NoProxy {
    /// Not even loopback addresses are exempt: there is no `no_proxy` at all.
    nothing: bool,
    everything: bool,
    networks: Vec<IpNet>,
    addresses: Vec<(IpAddr, String)>,
    domains: Vec<Domain>,
}

#[derive(Clone, Debug)]
struct Domain {
    /// With a dot in front.
    suffix: String,
    port: String,
    /// Whether the name itself is meant too, and not only those below it.
    itself: bool,
}

impl NoProxy {
    /// Exempts nothing.
    pub fn nothing() -> Self {
        Self {
            nothing: true,
            ..Self::default()
        }
    }

    /// Reads a comma-separated list; what cannot be read is passed over, as Go does.
    pub fn new(list: &str) -> Self {
        let mut rules = Self::default();
        for entry in list.split(',') {
            let entry = entry.trim().to_lowercase();
            if entry == "*" {
                rules.everything = true;
                return rules;
            }
            rules.add(&entry);
        }
        rules
    }

    fn add(&mut self, entry: &str) {
        if let Ok(network) = entry.parse::<IpNet>() {
            self.networks.push(network);
            return;
        }
        let (host, port) = split_host_port(entry).unwrap_or((entry, ""));
        if let Ok(ip) = host.parse::<IpAddr>() {
            self.addresses.push((ip.to_canonical(), port.to_owned()));
            return;
        }
        let host = host
            .strip_prefix('*')
            .filter(|h| h.starts_with('.'))
            .unwrap_or(host);
        if host.is_empty() {
            return;
        }
        let itself = !host.starts_with('.');
        let suffix = if itself {
            format!(".{host}")
        } else {
            host.to_owned()
        };
        self.domains.push(Domain {
            suffix: idna_ascii(&suffix).into_owned(),
            port: port.to_owned(),
            itself,
        });
    }

    /// Whether a request goes to its host directly.
    pub fn exempts(&self, url: &Url) -> bool {
        if self.nothing {
            return false;
        }
        let host = idna_ascii(url.hostname());
        let port = url.port_or_default();
        if host == "localhost" {
            return true;
        }
        let address = host.split('%').next().unwrap_or_default();
        let ip = address.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        if self.everything || ip.is_some_and(|ip| ip.is_loopback()) {
            return true;
        }
        let right_port = |wanted: &str| wanted.is_empty() || wanted == port;
        if let Some(ip) = ip {
            return self.networks.iter().any(|n| n.contains(&ip))
                || self.addresses.iter().any(|(a, p)| *a == ip && right_port(p));
        }
        let host = host.trim().to_lowercase();
        let fits = |d: &Domain| {
            host.ends_with(&d.suffix) || (d.itself && Some(host.as_str()) == d.suffix.strip_prefix('.'))
        };
        self.domains.iter().any(|d| fits(d) && right_port(&d.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_gos() {
        let rows = [
            ("a.test", "http://a.test/", true),
            ("a.test", "http://www.a.test/", true),
            ("a.test", "http://xa.test/", false),
            (".a.test", "http://a.test/", false),
            (".a.test", "http://www.a.test/", true),
            ("*.a.test", "http://www.a.test/", true),
            ("*.a.test", "http://a.test/", false),
            ("A.Test", "http://a.TEST/", true),
            ("a.test:81", "http://a.test/", false),
            ("a.test:80", "http://a.test/", true),
            ("10.0.0.0/8", "http://10.1.2.3/", true),
            ("10.0.0.0/8", "http://11.1.2.3/", false),
            ("10.0.0.1", "http://10.0.0.1:9/", true),
            ("10.0.0.1:9", "http://10.0.0.1:9/", true),
            ("10.0.0.1:8", "http://10.0.0.1:9/", false),
            ("2001:db8::/32", "http://[2001:db8::1]/", true),
            ("[2001:db8::1]:9", "http://[2001:db8::1]:9/", true),
            ("x, 10.0.0.1 ,y", "http://10.0.0.1/", true),
            ("*", "http://10.0.0.1/", true),
            ("", "http://127.0.0.1/", true),
            ("", "http://localhost:1/", true),
            ("", "http://10.0.0.1/", false),
            ("10.0.0.1", "http://10.0.0.1.test/", false),
        ];
        for (list, url, want) in rows {
            let url = Url::parse(url).unwrap();
            assert_eq!(NoProxy::new(list).exempts(&url), want, "{list} {url}");
        }
    }
}

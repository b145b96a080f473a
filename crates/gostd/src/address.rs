//! IP addresses with zones, preferences between families, and `host:port` texts as Go reads them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// An IP address, with the zone that a link-local IPv6 address needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The address; an IPv4-mapped IPv6 address is never stored as such.
    pub ip: IpAddr,
    /// Zone as written (`eth0`, `2`), without the `%`.
    pub zone: Option<Box<str>>,
}

impl Address {
    /// An address without a zone. IPv4-mapped addresses become IPv4, as Go treats them.
    pub fn new(ip: IpAddr) -> Self {
        Self {
            ip: ip.to_canonical(),
            zone: None,
        }
    }

    /// An address as text: dotted decimal, or IPv6 with an optional zone. `127.1` and `0x7f.0.0.1` are names, not addresses.
    pub fn parse(text: &str) -> Option<Self> {
        let Some((ip, zone)) = text.split_once('%') else {
            return text.parse().ok().map(Self::new);
        };
        let ip: Ipv6Addr = ip.parse().ok()?;
        (!zone.is_empty()).then(|| Self {
            ip: IpAddr::V6(ip).to_canonical(),
            zone: Some(zone.into()),
        })
    }

    /// With a port, ready to dial. The zone becomes a scope id: an interface's index or a number; 0 when unknown.
    pub fn with_port(&self, port: u16) -> SocketAddr {
        match (self.ip, &self.zone) {
            (IpAddr::V6(ip), Some(zone)) => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope_id(zone))),
            (ip, _) => SocketAddr::new(ip, port),
        }
    }

    /// Whether there is no such zone here, without which a link-local address leads nowhere.
    pub fn lacks_zone(&self) -> bool {
        match self.with_port(0) {
            SocketAddr::V6(to) => to.ip().is_unicast_link_local() && to.scope_id() == 0,
            SocketAddr::V4(_) => false,
        }
    }

    /// With a port, as Go prints it: with the zone as it was written.
    pub fn joined(&self, port: impl fmt::Display) -> String {
        match self.ip {
            IpAddr::V4(_) => format!("{self}:{port}"),
            IpAddr::V6(_) => format!("[{self}]:{port}"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.zone, self.ip) {
            (Some(zone), ip) => write!(f, "{ip}%{zone}"),
            (None, IpAddr::V4(ip)) => {
                let mut text = String::with_capacity(15);
                push_ipv4(&mut text, ip);
                f.write_str(&text)
            }
            (None, ip) => write!(f, "{ip}"),
        }
    }
}

/// The text of an address and a port, as its `Display` prints it; every probe needs one, and most are of IPv4.
pub fn socket_text(to: SocketAddr) -> String {
    let IpAddr::V4(ip) = to.ip() else {
        return to.to_string();
    };
    let mut text = String::with_capacity(21);
    push_ipv4(&mut text, ip);
    text.push(':');
    push_decimal(&mut text, to.port());
    text
}

/// Appends an address of IPv4 as its `Display` prints it.
pub fn push_ipv4(text: &mut String, ip: Ipv4Addr) {
    let [first, rest @ ..] = ip.octets();
    push_decimal(text, first.into());
    for octet in rest {
        text.push('.');
        push_decimal(text, octet.into());
    }
}

/// Appends a number as its `Display` prints it.
pub fn push_decimal(text: &mut String, number: u16) {
    if number >= 10 {
        push_decimal(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}

/// What the zone of a link-local address stands for: an interface of this network namespace that has IPv6, or a number.
fn scope_id(zone: &str) -> u32 {
    // /sys/class/net may be another namespace's, and an ioctl lets a caller's text load modules into the kernel.
    let interfaces = std::fs::read_to_string("/proc/self/net/if_inet6").unwrap_or_default();
    index_in(&interfaces, zone)
        .or_else(|| zone.parse().ok())
        .unwrap_or(0)
}

/// The index of an interface in the kernel's list of IPv6 addresses: address, index, length, scope, flags, name.
fn index_in(interfaces: &str, name: &str) -> Option<u32> {
    interfaces.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let index = fields.nth(1)?;
        (fields.nth(3) == Some(name))
            .then(|| u32::from_str_radix(index, 16).ok())
            .flatten()
    })
}

/// Which address family a module wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preference {
    /// IPv6 first (else IPv4).
    pub ip6: bool,
    /// Whether the other family may be used.
    pub fallback: bool,
}

impl Preference {
    /// From `preferred_ip_protocol` and `ip_protocol_fallback`: anything but `ip6` and empty means ip4.
    pub fn new(preferred_ip_protocol: &str, fallback: bool) -> Self {
        Self {
            ip6: matches!(preferred_ip_protocol, "" | "ip6"),
            fallback,
        }
    }

    /// `ip6` or `ip4`, as logs name it.
    pub fn name(self) -> &'static str {
        if self.ip6 { "ip6" } else { "ip4" }
    }
}

/// Why a `host:port` text is not one; the texts are those of Go's `net.SplitHostPort`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("address {address}: {reason}")]
pub struct SplitError {
    address: String,
    reason: &'static str,
}

/// `host:port` as Go's `net.JoinHostPort` writes it: a host with colons is an IPv6 address, and in brackets.
pub fn join_host_port(host: &str, port: impl fmt::Display) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Splits `host:port`, `[host]:port` or `[host%zone]:port` as Go's `net.SplitHostPort` does. The port may be empty or a name.
pub fn split_host_port(text: &str) -> Result<(&str, &str), SplitError> {
    let fail = |reason| {
        Err(SplitError {
            address: text.to_owned(),
            reason,
        })
    };
    let Some(colon) = text.rfind(':') else {
        return fail("missing port in address");
    };
    let (before, port) = (
        text.get(..colon).unwrap_or(""),
        text.get(colon + 1..).unwrap_or(""),
    );
    let (host, rest) = if let Some(inner) = text.strip_prefix('[') {
        let Some(end) = inner.find(']') else {
            return fail("missing ']' in address");
        };
        match end + 2 {
            n if n == text.len() => return fail("missing port in address"),
            n if n == colon => {}
            n if text.as_bytes().get(n) == Some(&b':') => return fail("too many colons in address"),
            _ => return fail("missing port in address"),
        }
        (inner.get(..end).unwrap_or(""), inner.get(..end).unwrap_or(""))
    } else {
        if before.contains(':') {
            return fail("too many colons in address");
        }
        (before, before)
    };
    if rest.contains('[') || (!text.starts_with('[') && text.contains('[')) {
        return fail("unexpected '[' in address");
    }
    if text.get(colon..).is_some_and(|t| t.contains(']')) || (!text.starts_with('[') && text.contains(']')) {
        return fail("unexpected ']' in address");
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_have_an_index() {
        let interfaces = "00000000000000000000000000000001 01 80 10 80       lo\n\
            fe800000000000000000000000000077 1a3 40 20 80     bh0\n";
        for (name, index) in [
            ("lo", Some(1)),
            ("bh0", Some(0x1a3)),
            ("bh", None),
            ("01", None),
            ("", None),
        ] {
            assert_eq!(index_in(interfaces, name), index, "{name}");
        }
        assert_eq!((scope_id("7"), scope_id("no such"), scope_id("../lo")), (7, 0, 0));
    }

    #[test]
    fn host_port_is_split_as_go_does() {
        type Row = (&'static str, Result<(&'static str, &'static str), &'static str>);
        let rows: &[Row] = &[
            ("localhost:80", Ok(("localhost", "80"))),
            ("[::1]:80", Ok(("::1", "80"))),
            ("[fe80::1%lo]:80", Ok(("fe80::1%lo", "80"))),
            (":80", Ok(("", "80"))),
            ("host:", Ok(("host", ""))),
            ("host:smtp", Ok(("host", "smtp"))),
            ("host", Err("missing port in address")),
            ("::1:80", Err("too many colons in address")),
            ("[::1]", Err("missing port in address")),
            ("[::1", Err("missing ']' in address")),
            ("[::1]80", Err("missing port in address")),
            ("[a]:b:c", Err("too many colons in address")),
            ("a[b]:80", Err("unexpected '[' in address")),
            ("a]:80", Err("unexpected ']' in address")),
        ];
        for (text, want) in rows {
            let got = split_host_port(text).map_err(|e| e.reason);
            assert_eq!(got, *want, "{text}");
        }
    }

    #[test]
    fn addresses_are_read_as_go_does() {
        let rows = [
            ("127.0.0.1", Some("127.0.0.1")),
            ("::ffff:127.0.0.1", Some("127.0.0.1")),
            ("0:0:0:0:0:0:0:1", Some("::1")),
            ("fe80::1%lo", Some("fe80::1%lo")),
            ("fe80::1%a%b", Some("fe80::1%a%b")),
            ("127.1", None),
            ("0x7f.0.0.1", None),
            ("127.0.0.01", None),
            ("2130706433", None),
            ("fe80::1%", None),
            ("127.0.0.1%lo", None),
            (" 127.0.0.1", None),
            ("[::1]", None),
            ("", None),
        ];
        for (text, want) in rows {
            let address = Address::parse(text);
            let got = address.as_ref().map(ToString::to_string);
            assert_eq!(got.as_deref(), want, "{text:?}");
            let joined = address.map(|address| address.joined(80));
            let want = want.map(|want| match want.contains(':') {
                true => format!("[{want}]:80"),
                false => format!("{want}:80"),
            });
            assert_eq!(joined, want, "{text:?}");
        }
    }

    #[test]
    fn addresses_are_printed_as_the_standard_library_does() {
        for text in [
            "0.0.0.0:0",
            "127.0.0.1:80",
            "10.99.100.255:65535",
            "[::1]:443",
            "[fe80::1%2]:9",
        ] {
            let to: SocketAddr = text.parse().unwrap();
            assert_eq!(socket_text(to), to.to_string());
            assert_eq!(Address::new(to.ip()).to_string(), to.ip().to_string());
        }
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        assert_eq!(
            Address::new("::ffff:127.0.0.1".parse().unwrap()).to_string(),
            "127.0.0.1"
        );
    }
}

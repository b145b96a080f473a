//! Names without an address to dial.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use go_resolve::stub::Cause as StubCause;
use go_resolve::wire::{Flaw, Record};

use super::{barred, name, policy, shortage, source, tls};
use crate::net::dial::{DialCause, Vantage};
use crate::net::dns::CarryError;
use crate::net::http1::ExchangeError;
use crate::net::resolve::{ResolveCause, ResolveError};
use crate::net::{Address, Preference};
use crate::shortage::Resource;

/// FORMERR, SERVFAIL, NOTIMP and REFUSED (RFC 1035, section 4.1.1).
const FORMAT_ERROR: u16 = 1;
const SERVER_FAILURE: u16 = 2;
const NOT_IMPLEMENTED: u16 = 4;
const REFUSED: u16 = 5;

/// The advice for a name without an address to dial. The preference is that for the target, if it is the target's name.
pub(in crate::prober) fn advice(
    error: &ResolveError,
    vantage: &Vantage,
    preference: Option<Preference>,
) -> Option<String> {
    if let Some(line) = own_fault(error, vantage) {
        return Some(line);
    }
    let host = name(error.name());
    let server = error.server().map_or_else(
        || "The name server".to_owned(),
        |server| format!("The name server {server}"),
    );
    let setting = match error.server() {
        _ if error.is_by_module() => "resolver in the module",
        // The last that is asked, as by Go, where none is named.
        Some(server) if server.ip() == Ipv6Addr::LOCALHOST => {
            "nameserver in /etc/resolv.conf, without which this host itself is asked"
        }
        _ => "nameserver in /etc/resolv.conf",
    };
    Some(match error.cause() {
        ResolveCause::Refused(_) => policy(),
        ResolveCause::NoSuitableAddress => other_family(&host, preference),
        ResolveCause::Unasked => format!(
            "{host} is a name of the Tor network, which no name server knows; probe it through a proxy (proxy_url: socks5://…)."
        ),
        ResolveCause::NameServer(_) => {
            "The module's own name server could not be queried: check resolver and resolver_tls_config in the module."
                .to_owned()
        }
        ResolveCause::NoSuchHost => not_found(
            &host,
            "This is neither an address nor a name that can be looked up",
        ),
        ResolveCause::Servers(cause) => match cause {
            StubCause::NoAddress | StubCause::Flaw(Flaw::NoSuchName)
                if let Some(alias) = &error.seen().alias =>
            {
                let alias = name(alias.trim_end_matches('.'));
                format!(
                    "{host} exists and is an alias (CNAME) of {alias}, which does not exist or has no address: correct the CNAME, or what it leads to. `dig {host}`"
                )
            }
            StubCause::NoAddress | StubCause::Flaw(Flaw::NoData(_)) => other_family(&host, preference),
            StubCause::Flaw(Flaw::NoSuchName) => not_found(
                &host,
                &format!("{server} responded that {host} does not exist (NXDOMAIN)"),
            ),
            StubCause::Flaw(Flaw::ResponseCode(SERVER_FAILURE)) => format!(
                "{server} could not resolve {host}: the zone's own servers do not respond, or DNSSEC validation failed. Compare `dig {host}` with `dig +cd {host}`."
            ),
            StubCause::Flaw(Flaw::ResponseCode(FORMAT_ERROR)) => format!(
                "{server} does not understand the query (FORMERR): an old server, or something between that does not know EDNS. Compare `dig {host}` with `dig +noedns {host}`, and check {setting}."
            ),
            StubCause::Flaw(Flaw::ResponseCode(NOT_IMPLEMENTED)) => format!(
                "{server} does not support the query (NOTIMP): it is not a resolver, or an old one. Check {setting}."
            ),
            StubCause::Flaw(Flaw::ResponseCode(REFUSED)) => format!(
                "{server} refuses queries from this host: it serves only other networks, or only its own zones. Check {setting}."
            ),
            StubCause::Flaw(Flaw::LameReferral) => format!(
                "{server} neither knows {host} nor looks for it: it is not a resolver. Check {setting}."
            ),
            StubCause::Flaw(Flaw::ResponseCode(code)) => format!(
                "{server} could not resolve {host} (response code {code}): its log may say why. Try `dig {host}`."
            ),
            StubCause::Flaw(_) | StubCause::Stranger => format!(
                "{server} sent a response that is not valid DNS: something else listens there, or rewrites the responses. Try `dig {host}`."
            ),
            StubCause::Unaskable => format!(
                "{host} does not fit into a DNS query: no label may be longer than 63 bytes, nor the name longer than 253."
            ),
            StubCause::Silent { .. } | StubCause::Deadline(_) if error.seen().is_truncated => format!(
                "{server} responded over UDP that the response is too long for it, and not over TCP: a firewall drops TCP port 53, or the server does not serve TCP. Try `dig +tcp {host}`."
            ),
            StubCause::Silent { .. } | StubCause::Deadline(_)
                if let Some(answered) = error.seen().answered =>
            {
                let (other, setting) = match answered {
                    Record::A => (Record::Aaaa, "ip4"),
                    Record::Aaaa => (Record::A, "ip6"),
                };
                format!(
                    "{server} responded to the query for {} records of {host}, and not to that for {}: it, or a firewall, drops queries of that type. `dig {host} {}`. preferred_ip_protocol: {setting} with ip_protocol_fallback: false does not ask for them.",
                    answered.name(),
                    other.name(),
                    other.name()
                )
            }
            StubCause::Silent { .. } | StubCause::Deadline(_) if error.is_by_module() => format!(
                "{server} did not respond: it is down, or a firewall drops what is sent to it. Check {setting}, and raise resolver_timeout if it is slow."
            ),
            StubCause::Silent { .. } | StubCause::Deadline(_) => format!(
                "{server} did not respond: it is down, or a firewall drops UDP and TCP port 53. With several servers in /etc/resolv.conf, `options timeout:1` makes the next one be asked in time. Try `dig {host}`."
            ),
            StubCause::Io { over, error: why } => spoken(why, over, &server, setting).or_else(|| {
                let ip = error.server()?.ip().to_string();
                barred(why.raw_os_error()?, &ip)
            }).unwrap_or_else(|| format!(
                "{server} cannot be reached: nothing listens there, or there is no route to it. Check {setting}."
            )),
        },
    })
}

/// Why this host could not ask the module's name server, or what was wrong with the TLS of that.
fn own_fault(error: &ResolveError, vantage: &Vantage) -> Option<String> {
    if let Some(handshake) = error.handshake() {
        return tls::advice(handshake, "use udp:// or tcp:// in resolver").map(about_tls);
    }
    let server = error.server().map(|server| server.ip());
    let (call, why) = match &error.dial()?.cause {
        DialCause::Io { call, error } => (call, error),
        DialCause::NoSource(_) => return Some(source::missing(server, None)),
        _ => return None,
    };
    match Resource::of(call, why) {
        Some(resource) => Some(shortage(resource)),
        None => {
            let refused = source::refused(call, why, vantage, server, source::OF_SERVER);
            refused.or_else(|| barred(why.raw_os_error()?, &server?.to_string()))
        }
    }
}

/// What is wrong with the TLS of the module's name server, from a line about that of a target.
fn about_tls(line: String) -> String {
    let line = line.replace(" (or the parameter hostname)", "");
    let line = line.replace("tls_config", "resolver_tls_config");
    format!("This is about the name server of the module, not the target. {line}")
}

/// What was sent on a connection to the module's name server that was made.
fn spoken(error: &io::Error, over: &str, server: &str, setting: &str) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<CarryError>()?;
    if let Some(line) = error.of_connection().and_then(tls::after) {
        return Some(about_tls(line));
    }
    Some(match error {
        CarryError::Status { status, .. } => format!(
            "{server} responded with HTTP status {status}, not with DNS: check the path of {setting}."
        ),
        CarryError::ContentType(_)
        | CarryError::TooLong
        | CarryError::Http1(ExchangeError::Head(_) | ExchangeError::Length(_))
        | CarryError::Http2(_)
        | CarryError::Http3(_) => {
            format!(
                "{server} does not respond in DNS over HTTPS: another service listens there. Check {setting}."
            )
        }
        CarryError::Closed
        | CarryError::Http1(_)
        | CarryError::Receive(_)
        | CarryError::Send(_)
        | CarryError::Quic(_) => format!(
            "{server} was reached, and sent no DNS response over {over}: it does not speak that, or does not serve this host's address. Check {setting}."
        ),
    })
}

/// The name exists, and not with the family that is allowed.
fn other_family(host: &str, preference: Option<Preference>) -> String {
    if let Some(literal) = Address::parse(host) {
        let (is, allowed, setting) = match literal.ip {
            IpAddr::V4(_) => ("IPv4", "IPv6", "ip4"),
            IpAddr::V6(_) => ("IPv6", "IPv4", "ip6"),
        };
        return format!(
            "{host} is an {is} address, and the module allows {allowed} only (ip_protocol_fallback: false): set preferred_ip_protocol: {setting}."
        );
    }
    match preference {
        Some(Preference {
            ip6: true,
            fallback: false,
        }) => format!(
            "{host} has no IPv6 address, and the module allows no other (ip_protocol_fallback: false). Set preferred_ip_protocol: ip4 if it has an IPv4 address: `dig +short A {host}`."
        ),
        Some(Preference {
            ip6: false,
            fallback: false,
        }) => format!(
            "{host} has no IPv4 address, and the module allows no other (ip_protocol_fallback: false). Set preferred_ip_protocol: ip6 if it has an IPv6 address: `dig +short AAAA {host}`."
        ),
        _ => format!(
            "{host} exists but has neither an A nor an AAAA record: `dig {host} ANY`. It may be the name of a zone, or have MX records only."
        ),
    }
}

fn not_found(host: &str, why: &str) -> String {
    if host.is_empty() {
        return "The target names no host.".to_owned();
    }
    if !host.is_ascii() {
        return format!(
            "{why}: {host} has letters beyond ASCII, and is looked up in its xn-- form. Check the spelling, and whether the zone has that form."
        );
    }
    if host.contains(' ') {
        return format!("{why}: {host:?} contains a blank.");
    }
    match host.trim_end_matches('.').contains('.') {
        false => format!(
            "{why}. The name has no dot: only the domains under search in /etc/resolv.conf are added to it. Write the full name; in Kubernetes, SERVICE.NAMESPACE.svc.cluster.local."
        ),
        true => format!(
            "{why}. Check the spelling of {host}, and whether this host's name servers serve its zone: `dig {host}`; `cat /etc/resolv.conf`."
        ),
    }
}

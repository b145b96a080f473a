//! Connections that could not be made.

use std::io;
use std::net::IpAddr;

use super::{Facts, barred, name, policy, resolve, routed, shortage, source, tls};
use crate::net::dial::{DialCause, DialError, Vantage};
use crate::net::port::PortError;
use crate::net::proxy::{Reply, TunnelError};
use crate::net::quic;
use crate::net::tls::TlsError;
use crate::net::{Address, split_host_port};
use crate::prober::connect::error::ConnectError;
use crate::shortage::Resource;

/// The advice for a connection that could not be made, from a vantage. `without_tls` is what does without TLS.
pub(in crate::prober) fn advice(
    facts: &Facts,
    vantage: &Vantage,
    without_tls: &str,
    error: &ConnectError,
) -> Option<String> {
    match error {
        ConnectError::Port(error) => port(error),
        ConnectError::Resolve(error) => resolve::advice(error, vantage, None),
        ConnectError::Dial(error) => dial(facts, vantage, error),
        ConnectError::Proxy(error) => {
            let without_tls = "use http:// instead of https:// in proxy_url";
            let inner = advice(&Facts::default(), vantage, without_tls, error);
            Some(format!(
                "This is about the proxy, not the target. {}",
                inner.unwrap_or_default()
            ))
        }
        ConnectError::Refused { .. } => Some(policy()),
        ConnectError::Tunnel(TunnelError::Io(error)) if let Some(line) = tls::after(error) => {
            Some(format!("This is about the proxy, not the target. {line}"))
        }
        ConnectError::Tunnel(error) => Some(tunnel(error)),
        ConnectError::NoTunnel { to, .. } => Some(format!(
            "The proxy accepted the connection and did not say whether it reached {}: the target is slow or filtered from there. Try `curl -v --proxy PROXY https://{0}`.",
            name(to)
        )),
        ConnectError::Tls(error) => {
            let line = tls::advice(error, without_tls)?;
            match (&error.error, other_family(facts)) {
                (TlsError::TimedOut { progress, .. }, Some(also)) if *progress == quic::UNFINISHED => {
                    Some(format!("{line} {also}."))
                }
                _ => Some(line),
            }
        }
    }
}

fn port(error: &PortError) -> Option<String> {
    Some(match error {
        PortError::Invalid(port) => {
            format!("{} is not a port: ports are numbers from 0 to 65535.", name(port))
        }
        PortError::Unknown(_, service) => format!(
            "{} is not a service of /etc/services: write the number of the port.",
            name(service)
        ),
        PortError::Unread(_) => return None,
    })
}

/// The other family, if it may help.
pub(super) fn other_family(facts: &Facts) -> Option<String> {
    let other = facts.other_family?;
    let (family, record, setting) = match other {
        IpAddr::V4(_) => ("IPv4", "an A record", "ip4"),
        IpAddr::V6(_) => ("IPv6", "an AAAA record", "ip6"),
    };
    Some(format!(
        "The name also has {record}, {other}: preferred_ip_protocol: {setting} in the module would use {family}"
    ))
}

fn dial(facts: &Facts, vantage: &Vantage, error: &DialError) -> Option<String> {
    let (address, network) = (&error.address, error.network);
    if error.network == "unix" {
        return unix(error);
    }
    let (ip, port) = split_host_port(address).unwrap_or((address, "PORT"));
    let to = Address::parse(ip).map(|address| address.ip);
    let also = other_family(facts);
    Some(match &error.cause {
        DialCause::Refused(_) => policy(),
        DialCause::TimedOut(_) | DialCause::NoAnswer(_) => {
            let first = "No response at all, not even a refusal: a firewall drops the packets, the address is not in use, or the service hangs and its accept queue is full";
            match also {
                Some(also) => format!("{first}. {also}."),
                None => format!(
                    "{first}. A service that is merely down would refuse. Try `traceroute -T -p {port} {ip}`, and on that host `ss -ltn 'sport = :{port}'`."
                ),
            }
        }
        DialCause::NoSource(_) => source::missing(to, also),
        DialCause::Io { call, error } => match Resource::of(call, error) {
            Some(resource) => shortage(resource),
            None => source::refused(call, error, vantage, to, source::OF_TARGET)
                .or_else(|| system(network, error, ip, port, also))?,
        },
    })
}

/// Of several connects some were made, and the last was not answered.
pub(in crate::prober) fn losses(made: usize, sent: usize) -> String {
    format!(
        "{made} of {sent} connects were made, and the last one got no response: packets are lost on the way, the accept queue of the service is full at times, or one of several servers behind the address is down."
    )
}

fn system(network: &str, error: &io::Error, ip: &str, port: &str, also: Option<String>) -> Option<String> {
    let list = if network == "udp" { "ss -lun" } else { "ss -ltn" };
    Some(match error.raw_os_error()? {
        libc::ECONNREFUSED if Address::parse(ip).is_some_and(|to| to.ip.is_unspecified()) => format!(
            "{ip} is this host itself, and nothing listens on port {port} here. A name with this address is blocked by a DNS filter: compare `dig NAME` with `dig NAME @9.9.9.9`."
        ),
        libc::ECONNREFUSED => {
            let first = format!("{ip} is up and refuses: nothing listens on port {port} there");
            match also {
                Some(also) => format!("{first}. {also}."),
                None => format!(
                    "{first}, the service listens on another address only, or a firewall rejects. On that host: `{list} 'sport = :{port}'`."
                ),
            }
        }
        code @ (libc::ENETUNREACH | libc::EHOSTUNREACH) => unreachable(code, ip, also),
        libc::ECONNRESET => format!(
            "{ip} reset the connection while it was opened: a load balancer without a backend, or a firewall."
        ),
        libc::ETIMEDOUT => {
            format!("No response from {ip}: a firewall drops the packets, or the address is not in use.")
        }
        code => return prohibited(code, ip, also),
    })
}

/// What in this host, or over IPv6 on the way, keeps packets from an address, and whether the name has another one.
pub(super) fn prohibited(code: i32, ip: &str, also: Option<String>) -> Option<String> {
    let line = barred(code, ip)?;
    Some(match also {
        Some(also) => format!("{line} {also}."),
        None => line,
    })
}

/// No route, or no neighbour, for which the system has the same word as for a firewall that rejects.
pub(super) fn unreachable(code: i32, ip: &str, also: Option<String>) -> String {
    let first = match code {
        libc::ENETUNREACH => format!("This host, or a router on the way, has no route to {ip}"),
        _ => format!(
            "This host has no route to {ip}, the last router finds no host there, or a firewall on the way rejects"
        ),
    };
    match also {
        Some(also) => format!("{first}. {also}."),
        None => format!("{first}: `ip route get {}`, `traceroute {ip}`.", routed(ip)),
    }
}

fn unix(error: &DialError) -> Option<String> {
    let path = name(&error.address);
    let DialCause::Io { error, .. } = &error.cause else {
        return matches!(error.cause, DialCause::Refused(_)).then(policy);
    };
    let is_abstract = path.starts_with('@');
    Some(match error.raw_os_error()? {
        libc::ENOENT => format!(
            "There is no {path} here: the service is not running, or the socket is not mounted into the exporter's container. `ls -l {path}`"
        ),
        libc::ECONNREFUSED if is_abstract => format!(
            "No process listens on the abstract socket {path}: the service is not running, or in another network namespace. `ss -xl | grep {path}`"
        ),
        libc::ECONNREFUSED => format!(
            "{path} exists and nothing listens on it: the service is not running and left its socket behind, or it is not a socket. `ss -xl | grep {path}`"
        ),
        libc::EACCES | libc::EPERM => format!(
            "The exporter's user may not use {path}: add it to the socket's group. `ls -l {path}; id`"
        ),
        libc::ENOTSOCK => format!("{path} is not a socket. `ls -l {path}`"),
        libc::EAGAIN => format!(
            "The queue of {path} is full: the service does not accept connections. `ss -xl | grep {path}`"
        ),
        libc::EPROTOTYPE => format!("{path} is a socket of datagrams, which this prober does not speak."),
        _ => return None,
    })
}

fn tunnel(error: &TunnelError) -> String {
    match error {
        TunnelError::Refused { status: 407, .. } => "The proxy requires credentials (407): put them into proxy_url, http://USER:PASSWORD@HOST:PORT, or into proxy_connect_header.".to_owned(),
        TunnelError::Refused { status: 403, .. } => "The proxy forbids this target or port (403): ask for an exception, or name the target in no_proxy.".to_owned(),
        TunnelError::Refused { status: status @ 502..=504, .. } => format!(
            "The proxy could not reach the target ({status}): the target is down or filtered as seen from the proxy."
        ),
        TunnelError::Refused { status: 405 | 400 | 501, .. } => "The proxy does not make tunnels (CONNECT): it is a web server, or a proxy for plain HTTP only. Check proxy_url.".to_owned(),
        TunnelError::Refused { status, .. } => format!("The proxy refused the tunnel with status {status}: its log says why."),
        TunnelError::Credentials => "The SOCKS proxy does not accept the user and password of the module.".to_owned(),
        TunnelError::NoMethod => "The SOCKS proxy requires a login: put user and password into proxy_url, socks5://USER:PASSWORD@HOST:PORT.".to_owned(),
        TunnelError::Reply(reply) => reply_of_socks(*reply).to_owned(),
        TunnelError::Version(_) => "What proxy_url names does not speak SOCKS5: an HTTP proxy is written http://HOST:PORT.".to_owned(),
        TunnelError::Head(_) => "What proxy_url names does not respond as an HTTP proxy: a SOCKS proxy is written socks5://HOST:PORT, and a proxy within TLS https://HOST:PORT.".to_owned(),
        TunnelError::Socks(_) => "The SOCKS proxy could not reach the target, or is not allowed to: the target is down or filtered as seen from the proxy.".to_owned(),
        TunnelError::TooLong(_) => "The name or the credentials are longer than SOCKS5 can carry (255 bytes).".to_owned(),
        TunnelError::Io(_) | TunnelError::Closed | TunnelError::Length(_) => "The proxy closed the connection without a response: it serves other clients only, or speaks another protocol. Check proxy_url.".to_owned(),
    }
}

fn reply_of_socks(reply: Reply) -> &'static str {
    match reply {
        Reply::Refused => {
            "The target refused the SOCKS proxy's connection: nothing listens on that port, as seen from the proxy."
        }
        Reply::NotAllowed => {
            "The rules of the SOCKS proxy do not allow this target or port: ask for an exception."
        }
        Reply::NetworkUnreachable | Reply::HostUnreachable => {
            "The SOCKS proxy has no route to the target, or does not find its name."
        }
        Reply::TtlExpired => {
            "The target did not respond to the SOCKS proxy: it is down, or filtered as seen from the proxy."
        }
        Reply::Failure => {
            "The SOCKS proxy could not reach the target, and does not say why: its log may. A name that it cannot resolve is one cause (socks5h:// leaves names to the proxy, socks5:// does not)."
        }
        Reply::NoSuchAddressType => {
            "The SOCKS proxy does not take addresses of this kind: an IPv6 address, or a name (socks5:// in the tcp prober has names looked up here)."
        }
        Reply::NoSuchCommand => {
            "The SOCKS proxy makes no connections (command not supported): it serves another purpose."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_local_address_needs_its_zone() {
        let advised = |address: &str, code, call| {
            let error = DialError {
                network: "tcp",
                address: address.to_owned(),
                from: None,
                cause: DialCause::Io {
                    call,
                    error: io::Error::from_raw_os_error(code),
                },
            };
            dial(&Facts::default(), &Vantage::default(), &error).unwrap()
        };
        let rows = [
            (
                "[fe80::1]:80",
                libc::EINVAL,
                "connect",
                "add an interface of this host, as in fe80::1%eth0",
            ),
            (
                "[fe80::1%nope]:80",
                libc::EINVAL,
                "connect",
                "add an interface of this host, as in fe80::1%eth0",
            ),
            (
                "[fe80::1%lo]:80",
                libc::EHOSTUNREACH,
                "connect",
                "`ip route get fe80::1 oif lo`",
            ),
            (
                "[fe80::1%lo]:80",
                libc::ECONNREFUSED,
                "connect",
                "fe80::1%lo is up and refuses: nothing listens on port 80",
            ),
        ];
        for (address, code, call, words) in rows {
            let line = advised(address, code, call);
            assert!(line.contains(words), "{address}: {line}");
        }
    }
}

//! What a module says of where its packets come from: `source_ip_address` and `source_interface`.

use std::io;
use std::net::IpAddr;

use super::name;
use crate::net::dial::{Vantage, is_misaddressed};
use crate::prober::{Failure, Probe};
use crate::reason::Reason;

/// What makes the family of a target that of the source address.
pub(super) const OF_TARGET: &str = "set preferred_ip_protocol to the family of source_ip_address";
/// The same of a name server that the module names.
pub(super) const OF_SERVER: &str = "set resolver to an address of the family of source_ip_address";

/// A source address of the other family than `ip`, with what helps.
pub(super) fn differs(ip: impl std::fmt::Display, help: &str) -> String {
    format!("The source address and {ip} are of different families: {help}.")
}

/// A link-local address without an interface, or with one that is not there.
pub(in crate::prober) fn lacks_interface(ip: impl std::fmt::Display) -> String {
    format!(
        "{ip} is a link-local address, of which each interface has its own: add an interface of this host, as in {ip}%eth0; `ip link` lists them."
    )
}

/// This host has no address of the family, or none on the interface of the route.
pub(super) fn missing(to: Option<IpAddr>, also: Option<String>) -> String {
    let (family, option) = match to {
        Some(IpAddr::V4(_)) => ("IPv4", "-4"),
        _ => ("IPv6", "-6"),
    };
    match also {
        Some(also) => format!("This host has no {family} address to send from. {also}."),
        None => format!("This host has no {family} address to send from: `ip {option} address`."),
    }
}

/// A call on a socket that does not take the source, or goes nowhere from it. `help` is for addresses of different families.
pub(super) fn refused(
    call: &str,
    error: &io::Error,
    vantage: &Vantage,
    to: Option<IpAddr>,
    help: &str,
) -> Option<String> {
    let ip = to.map_or_else(|| "the target".to_owned(), |ip| ip.to_string());
    let is_misaddressed = to.is_some_and(|to| is_misaddressed(error, to, vantage.source));
    Some(match (error.raw_os_error()?, call) {
        (libc::EADDRNOTAVAIL, "bind") => "The source address is not one of this host: correct source_ip_address; `ip address` lists what there is.".to_owned(),
        (libc::ENODEV, _) => "The interface of source_interface does not exist: `ip link` lists what there is.".to_owned(),
        (libc::EAFNOSUPPORT | libc::EINVAL, "bind") | (libc::EAFNOSUPPORT, "connect") => differs(ip, help),
        _ if !is_misaddressed => return None,
        _ if !vantage.source.is_some_and(|source| source.is_loopback()) => lacks_interface(ip),
        _ => format!(
            "Nothing can be sent to {ip} from the source address: a loopback address reaches this host only. Correct source_ip_address; `ip address` lists what there is."
        ),
    })
}

/// Why nothing may have come back, where the module says by which interface packets leave.
pub(super) fn perhaps_interface(probe: &Probe<'_>, failure: Failure) -> Option<String> {
    let interface = name(probe.module.vantage.interface.as_deref()?);
    let is_silence = match failure.reason {
        Reason::ConnectTimeout
        | Reason::ConnectUnreachable
        | Reason::IcmpNoReply
        | Reason::IcmpUnreachable => true,
        Reason::ResolveTimeout => probe.module.name_server.is_some(),
        // Over UDP and QUIC there is no connection before.
        Reason::RequestTimeout | Reason::TlsHandshake => {
            matches!(failure.phase, "request" | "tls")
                && probe.arrivals.after(probe.start).is_none()
                && probe.attempt.tls.is_none()
        }
        _ => false,
    };
    is_silence.then(|| {
        format!(
            "Packets leave through {interface} (source_interface): `ip route get ADDRESS oif {interface}` shows whether they can reach the target from there."
        )
    })
}

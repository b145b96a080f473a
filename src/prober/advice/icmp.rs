//! Pings without a reply.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use super::connect::other_family;
use super::{Facts, barred, routed, source};
use crate::module::Icmp;
use crate::net::Address;
use crate::net::dial::Vantage;
use crate::net::icmp::{AddressFamily, OpenError, PrepareError, Report};

/// No path has as many hops: a packet that used them up went round.
const LONG_WAY: u8 = 30;

/// The address of the other family, if there is one, may respond.
fn would_ping(other: IpAddr) -> String {
    let setting = if other.is_ipv4() { "ip4" } else { "ip6" };
    format!("The name also has {other}: preferred_ip_protocol: {setting} would ping that.")
}

/// Most bytes of a payload that every path of today passes: the least MTU of IPv6, 1280 bytes, without the headers.
const PASSES: usize = 1232;

/// No reply in time.
pub(in crate::prober) fn silence(facts: &Facts, ip: &Address, module: &Icmp) -> String {
    let is_large = |payload: &Arc<[u8]>| payload.len() > PASSES;
    if module.payload.as_ref().is_ok_and(is_large) {
        return format!(
            "No reply from {ip}: packets of this size may be lost on the way (MTU), it is down, or a firewall drops pings. Compare with a module without payload_size, and `tracepath -n {ip}`."
        );
    }
    match facts.other_family {
        Some(other) => format!(
            "No reply from {ip}: it is down, or a firewall drops pings. {}",
            would_ping(other)
        ),
        None => format!(
            "No reply from {ip}: it is down, or a firewall drops pings, as many clouds do. A module with prober: tcp shows whether it is up. `traceroute -I {ip}`"
        ),
    }
}

/// Some requests got a reply, and not as many as the module requires.
pub(in crate::prober) fn losses(ip: &Address, received: usize, sent: usize) -> String {
    format!(
        "{ip} responds, but only to {received} of {sent} requests: packets are lost on the way, or a firewall or the host limits pings. `mtr -rwn -c 50 {ip}`"
    )
}

/// An ICMP error came back.
pub(in crate::prober) fn report(facts: &Facts, report: &Report, ip: &Address, ttl: u8) -> Option<String> {
    let by = report
        .reporter
        .map_or_else(|| "A router".to_owned(), |by| by.to_string());
    Some(match (report.family, report.icmp_type, report.code) {
        (AddressFamily::V4, 3, 4) | (AddressFamily::V6, 2, _) => format!(
            "{by} cannot pass a packet of this size on{}: a tunnel or VPN lowers the MTU. Lower payload_size, or unset dont_fragment. `tracepath -n {ip}`",
            if report.info > 0 {
                format!(" (its MTU is {} bytes)", report.info)
            } else {
                String::new()
            }
        ),
        (AddressFamily::V4, 3, 9 | 10 | 13) | (AddressFamily::V6, 1, 1) => {
            format!("{by} forbids it: a firewall that says so. Allow ICMP echo requests there.")
        }
        // A ping has no port: only a firewall responds so.
        (AddressFamily::V4, 3, 3) | (AddressFamily::V6, 1, 4) => {
            format!(
                "{by} rejects pings: a firewall there responds with \"port unreachable\", the default of REJECT. Allow ICMP echo requests there."
            )
        }
        (AddressFamily::V4, 3, _) | (AddressFamily::V6, 1, _) => match facts.other_family {
            Some(other) => format!(
                "{by} finds no way to {ip}: the host is down, or there is no route. {}",
                would_ping(other)
            ),
            None => format!(
                "{by} finds no way to {ip}: the host is down, or there is no route. `ip route get {}`; `traceroute -I {ip}`",
                routed(&ip.to_string())
            ),
        },
        (AddressFamily::V4, 11, 0) | (AddressFamily::V6, 3, 0) if ttl >= LONG_WAY => format!(
            "The packet went through {ttl} routers, more than paths have, the last of them {by}: a routing loop. `traceroute -I {ip}`"
        ),
        (AddressFamily::V4, 11, 0) | (AddressFamily::V6, 3, 0) if ttl > 0 => format!(
            "The packet was on its way for {ttl} hops, which ttl of the module allows, and came as far as {by}: raise ttl. `traceroute -I {ip}`"
        ),
        (AddressFamily::V4, 11, 0) | (AddressFamily::V6, 3, 0) => format!(
            "The packet went round until its TTL was used up, at {by}: a routing loop. `traceroute -I {ip}`"
        ),
        _ => return None,
    })
}

/// No socket for pings.
pub(in crate::prober) fn no_socket(error: &PrepareError, vantage: &Vantage) -> Option<String> {
    match error {
        PrepareError::Open(OpenError::Refused {
            unprivileged, raw, ..
        }) => {
            let is_right = |error: &io::Error| {
                matches!(
                    error.raw_os_error(),
                    Some(libc::EACCES | libc::EPERM | libc::EPROTONOSUPPORT)
                )
            };
            // What a raw socket failed with, unless there may be none: then the other one came further.
            let error = if is_right(raw) { unprivileged } else { raw };
            if !is_right(error) {
                return source::refused("bind", error, vantage, None, source::OF_TARGET);
            }
            Some("The exporter's group may not ping: allow it with `sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"`, or give the program the capability CAP_NET_RAW (`setcap cap_net_raw+ep`, in Kubernetes securityContext.capabilities.add).".to_owned())
        }
        PrepareError::Open(OpenError::OtherFamily(..)) => {
            Some(source::differs("the target", source::OF_TARGET))
        }
        _ => None,
    }
}

/// It could not be sent.
pub(in crate::prober) fn unsent(
    error: &io::Error,
    ip: &Address,
    payload: usize,
    facts: &Facts,
    vantage: &Vantage,
) -> Option<String> {
    if let Some(line) = source::refused("send", error, vantage, Some(ip.ip), source::OF_TARGET) {
        return Some(line);
    }
    Some(match error.raw_os_error()? {
        libc::EMSGSIZE => format!(
            "A payload of {payload} bytes does not fit into one packet towards {ip}: lower payload_size, or unset dont_fragment. `tracepath -n {ip}`"
        ),
        libc::EADDRNOTAVAIL => source::missing(Some(ip.ip), other_family(facts)),
        libc::ENETUNREACH | libc::EHOSTUNREACH => match facts.other_family {
            Some(other) => format!("This host has no route to {ip}. {}", would_ping(other)),
            None => format!(
                "This host has no route to {ip}: `ip route get {}`.",
                routed(&ip.to_string())
            ),
        },
        code => {
            let line = barred(code, &ip.to_string())?;
            match code {
                libc::EACCES => format!("{line} A broadcast address cannot be pinged."),
                _ => line,
            }
        }
    })
}

/// Of several requests, only some could be sent.
pub fn no_time() -> Option<String> {
    Some(
        "The timeout ended before all requests were sent: raise timeout, or lower count or interval."
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn errors_of_routers_are_told_apart() {
        use AddressFamily::{V4, V6};
        let by = Some([192, 0, 2, 1].into());
        let rows = [
            (V4, 3, 1, 64, "finds no way to"),
            (V4, 3, 13, 64, "192.0.2.1 forbids it"),
            (V4, 3, 3, 64, "192.0.2.1 rejects pings"),
            (V6, 1, 4, 64, "192.0.2.1 rejects pings"),
            (V6, 1, 3, 64, "finds no way to"),
            (V4, 11, 0, 0, "a routing loop"),
            (V4, 11, 0, 5, "raise ttl"),
            (V4, 11, 0, 64, "a routing loop"),
            (V6, 3, 0, 64, "a routing loop"),
        ];
        let ip = Address::new([192, 0, 2, 9].into());
        for (family, icmp_type, code, ttl, want) in rows {
            let report_of = Report {
                family,
                icmp_type,
                code,
                info: 0,
                reporter: by,
            };
            let line = report(&Facts::default(), &report_of, &ip, ttl).unwrap();
            assert!(line.contains(want), "{icmp_type} {code} {ttl}: {line}");
        }
    }

    /// Which of the two errors counts: that of the raw socket, unless the right to one is missing.
    #[test]
    fn the_error_that_came_further_counts() {
        let rows = [
            (libc::EACCES, libc::EPERM, "group may not ping"),
            (libc::EPROTONOSUPPORT, libc::EPERM, "group may not ping"),
            (libc::EACCES, libc::EADDRNOTAVAIL, "correct source_ip_address"),
            (libc::EADDRNOTAVAIL, libc::EPERM, "correct source_ip_address"),
            (libc::EACCES, libc::ENODEV, "source_interface does not exist"),
            (libc::ENODEV, libc::EPERM, "source_interface does not exist"),
        ];
        for (unprivileged, raw, want) in rows {
            let error = PrepareError::Open(OpenError::Refused {
                network: "ip4:icmp",
                address: Ipv4Addr::UNSPECIFIED.into(),
                unprivileged: io::Error::from_raw_os_error(unprivileged),
                raw: io::Error::from_raw_os_error(raw),
            });
            let line = no_socket(&error, &Vantage::default()).unwrap();
            assert!(line.contains(want), "{unprivileged} {raw}: {line}");
        }
    }
}

//! Which of several addresses of one family comes first: RFC 6724 as Go implements it.
//!
//! A probe dials one address of one family, so only addresses of the same family are ever compared.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

use gostd::address::Address;

/// How many addresses of one name are looked at: each takes a socket, and a name server may send thousands.
const MOST: usize = 128;

/// Sorts addresses of one family, best first, by the source address that the system would use for each.
// compat: only the first of very many are looked at and kept; Go sorts all of them.
pub fn sort(addresses: &mut Vec<Address>) {
    sort_with(addresses, source_for);
}

fn sort_with(addresses: &mut Vec<Address>, source: impl Fn(&Address) -> Option<IpAddr>) {
    addresses.truncate(MOST);
    if addresses.len() > 1 {
        addresses.sort_by_cached_key(|address| Rank::of(address.ip, source(address)));
    }
}

/// The address that a datagram to `address` would leave from: a connected UDP socket knows, and sends nothing.
fn source_for(address: &Address) -> Option<IpAddr> {
    let any: IpAddr = if address.ip.is_ipv4() {
        [0; 4].into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(address.with_port(53)).ok()?;
    Some(socket.local_addr().ok()?.ip().to_canonical())
}

/// What RFC 6724's rules compare, in their order; the smaller rank comes first. Rules 3, 4 and 7 need what the system
/// does not tell, and rule 10 is the stable sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Rule 1: avoid destinations that cannot be reached.
    unreachable: bool,
    /// Rule 2: prefer a source of the same scope.
    other_scope: bool,
    /// Rule 5: prefer a source of the same label.
    other_label: bool,
    /// Rule 6: prefer higher precedence.
    precedence: Reverse<u8>,
    /// Rule 8: prefer the smaller scope.
    scope: u8,
    /// Rule 9: prefer the longest prefix in common with the source; IPv6 only, since in IPv4 it would defeat round robin.
    prefix: Reverse<u32>,
}

impl Rank {
    fn of(destination: IpAddr, source: Option<IpAddr>) -> Self {
        let Some(source) = source else {
            return Self {
                unreachable: true,
                ..Self::default()
            };
        };
        let (to, from) = (Attributes::of(destination), Attributes::of(source));
        Self {
            unreachable: false,
            other_scope: to.scope != from.scope,
            other_label: to.label != from.label,
            precedence: Reverse(to.precedence),
            scope: to.scope,
            prefix: Reverse(common_prefix(source, destination)),
        }
    }
}

struct Attributes {
    scope: u8,
    precedence: u8,
    label: u8,
}

/// RFC 6724, section 2.1, as Go's table has it: prefix, its length, precedence, label.
const POLICY: [(Ipv6Addr, u32, u8, u8); 9] = [
    (Ipv6Addr::LOCALHOST, 128, 50, 0),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 35, 4),
    (Ipv6Addr::UNSPECIFIED, 96, 1, 3),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, 5, 5),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 30, 2),
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, 1, 12),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, 1, 11),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, 3, 13),
    (Ipv6Addr::UNSPECIFIED, 0, 40, 1),
];

const LINK_LOCAL: u8 = 0x2;
const SITE_LOCAL: u8 = 0x5;
const GLOBAL: u8 = 0xe;

impl Attributes {
    fn of(ip: IpAddr) -> Self {
        let bits = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        }
        .to_bits();
        let row = POLICY.iter().find(|(prefix, length, ..)| {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            bits & mask == prefix.to_bits()
        });
        let (precedence, label) = row.map_or((40, 1), |(_, _, precedence, label)| (*precedence, *label));
        Self {
            scope: scope(ip),
            precedence,
            label,
        }
    }
}

fn scope(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) if ip.is_loopback() || ip.is_link_local() => LINK_LOCAL,
        IpAddr::V4(_) => GLOBAL,
        IpAddr::V6(ip) if ip.is_loopback() || ip.is_unicast_link_local() => LINK_LOCAL,
        IpAddr::V6(ip) if ip.is_multicast() => ip.octets()[1] & 0xf,
        // RFC 3513, section 2.5.6; deprecated by RFC 3879.
        IpAddr::V6(ip) if ip.segments()[0] & 0xffc0 == 0xfec0 => SITE_LOCAL,
        IpAddr::V6(_) => GLOBAL,
    }
}

/// Leading bits in common, at most the 64 of the prefix; none for IPv4.
fn common_prefix(source: IpAddr, destination: IpAddr) -> u32 {
    match (source, destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            (source.to_bits() ^ destination.to_bits()).leading_zeros().min(64)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_gos() {
        // name, (destination, source the system would use), order expected
        type Row = (
            &'static str,
            &'static [(&'static str, &'static str)],
            &'static [usize],
        );
        #[rustfmt::skip]
        let rows: &[Row] = &[
            ("as served", &[("192.0.2.1", "10.0.0.1"), ("192.0.2.2", "10.0.0.1")], &[0, 1]),
            ("unreachable last", &[("192.0.2.1", ""), ("192.0.2.2", "10.0.0.1")], &[1, 0]),
            ("both unreachable", &[("192.0.2.1", ""), ("192.0.2.2", "")], &[0, 1]),
            ("matching scope", &[("127.0.0.1", "10.0.0.1"), ("192.0.2.1", "10.0.0.1")], &[1, 0]),
            ("smaller scope", &[("192.0.2.1", "10.0.0.1"), ("127.0.0.1", "127.0.0.1")], &[1, 0]),
            ("longest prefix", &[("2001:db8:1::1", "2001:db8:2::2"), ("2001:db8:2::1", "2001:db8:2::2")], &[1, 0]),
            ("prefix of IPv4 does not count", &[("10.1.0.1", "10.2.0.2"), ("10.2.0.1", "10.2.0.2")], &[0, 1]),
            ("higher precedence", &[("fc00::1", "fc00::2"), ("2001:db8::1", "2001:db8::2")], &[1, 0]),
            ("matching label", &[("2002::1", "2001:db8::2"), ("2001:db8::1", "2001:db8::2")], &[1, 0]),
            ("loopback first", &[("2001:db8::1", "2001:db8::2"), ("::1", "::1")], &[1, 0]),
        ];
        for (what, given, want) in rows {
            let address = |text: &str| Address::new(text.parse().unwrap());
            let mut got: Vec<Address> = given.iter().map(|(d, _)| address(d)).collect();
            sort_with(&mut got, |a| {
                let row = given.iter().find(|(d, _)| address(d) == *a).unwrap();
                row.1.parse().ok()
            });
            let want: Vec<Address> = want.iter().map(|i| address(given[*i].0)).collect();
            assert_eq!(got, want, "{what}");
        }
    }

    #[test]
    fn very_many_addresses_are_looked_at_no_more() {
        let addresses = (0..4000_u32).map(|n| Address::new(IpAddr::V4((0x0a00_0000 + n).into())));
        let mut addresses: Vec<Address> = addresses.collect();
        let (first, second) = (addresses[0].clone(), addresses[1].clone());
        let looked_at = std::cell::Cell::new(0);
        sort_with(&mut addresses, |address| {
            looked_at.set(looked_at.get() + 1);
            (*address != first).then(|| [10, 1, 1, 1].into())
        });
        assert_eq!((looked_at.get(), addresses.len()), (MOST, MOST));
        assert_eq!((&addresses[0], addresses.last()), (&second, Some(&first)));
    }

    #[test]
    fn the_system_knows_its_source() {
        let loopback = Address::new([127, 0, 0, 1].into());
        assert_eq!(source_for(&loopback), Some([127, 0, 0, 1].into()));
    }
}

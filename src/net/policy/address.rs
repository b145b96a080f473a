//! Addresses: what they amount to, and what the presets make of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::config::Policy;
use crate::config::files::policy::Preset;

/// First what is denied, then what is allowed, then the preset; with a list of allowed networks and no preset, all
/// others are refused.
pub(super) fn judge(rules: &Policy, ip: IpAddr) -> Result<(), String> {
    let forms = Forms::of(ip);
    if forms.any(|form| is_listed(&rules.deny.networks, form)) {
        return Err("the address is in a network that is denied".to_owned());
    }
    let allowed = &rules.allow.networks;
    if is_listed(allowed, forms.own)
        || (!forms.hidden.is_empty() && forms.hidden.iter().all(|ip| is_listed(allowed, *ip)))
    {
        return Ok(());
    }
    match rules.preset {
        Preset::Off if allowed.is_empty() => Ok(()),
        Preset::Off => Err("the address is not in an allowed network".to_owned()),
        Preset::PublicOnly if forms.any(|form| !is_public(form)) => {
            Err("the address is not public (preset public-only)".to_owned())
        }
        Preset::NoLinkLocal if forms.any(is_link_local) => {
            Err("the address is link-local or a cloud's metadata service (preset no-link-local)".to_owned())
        }
        Preset::PublicOnly | Preset::NoLinkLocal => Ok(()),
    }
}

fn is_listed(networks: &[IpNet], ip: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&ip))
}

/// An address, and the addresses of IPv4 hidden in it: these are what a packet may reach in the end. The unspecified address
/// is this machine.
struct Forms {
    own: IpAddr,
    hidden: Vec<IpAddr>,
}

impl Forms {
    fn of(ip: IpAddr) -> Self {
        let own = ip.to_canonical();
        let hidden = match own {
            IpAddr::V4(ip) if ip.is_unspecified() => vec![Ipv4Addr::LOCALHOST.into()],
            IpAddr::V4(_) => Vec::new(),
            IpAddr::V6(ip) if ip.is_unspecified() => vec![Ipv6Addr::LOCALHOST.into()],
            IpAddr::V6(ip) if ip.is_loopback() => Vec::new(),
            IpAddr::V6(ip) => hidden(ip),
        };
        Self { own, hidden }
    }

    fn any(&self, is: impl Fn(IpAddr) -> bool) -> bool {
        is(self.own) || self.hidden.iter().any(|ip| is(*ip))
    }
}

fn hidden(ip: Ipv6Addr) -> Vec<IpAddr> {
    let bits = ip.to_bits();
    // The address stands only where its 32 bits do; the cast keeps just these.
    let at = |shift: u32| IpAddr::V4(Ipv4Addr::from_bits((bits >> shift) as u32));
    // RFC 6052, section 2.2: so many bits stand before the octet of zeros (bits 64 to 71), the others behind it.
    let around = |before: u32| {
        let high = (bits >> 64) & ((1 << before) - 1);
        let low = (bits >> (24 + before)) & ((1 << (32 - before)) - 1);
        IpAddr::V4(Ipv4Addr::from_bits((high << (32 - before) | low) as u32))
    };
    match ip.segments() {
        // RFC 6052: NAT64. RFC 4291: IPv4-compatible. RFC 2765: IPv4-translated.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => vec![at(0)],
        // RFC 8215: NAT64 with a prefix of one's own, of any length that RFC 6052 knows.
        [0x64, 0xff9b, 1, ..] => vec![at(0), around(16), around(8), around(0)],
        // RFC 3056.
        [0x2002, ..] => vec![at(80)],
        // RFC 4380: the client's address, inverted.
        [0x2001, 0, ..] => vec![Ipv4Addr::from_bits(!(bits as u32)).into()],
        // RFC 5214: ISATAP, below any prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => vec![at(0)],
        _ => Vec::new(),
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length)
}

/// IANA's special-purpose registry: not globally reachable, plus multicast and what is reserved.
const NOT_PUBLIC_V4: [Ipv4Net; 16] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
    // Azure's platform services, for virtual machines only.
    v4(168, 63, 129, 16, 32),
];
/// Global unicast, except for the parts that are not.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);
const NOT_PUBLIC_V6: [Ipv6Net; 3] = [v6(0x2001, 0, 23), v6(0x2001, 0xdb8, 32), v6(0x3fff, 0, 20)];
/// NAT64's well-known prefix: as public as the address in it.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 96);

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !NOT_PUBLIC_V4.iter().any(|network| network.contains(&ip)),
        IpAddr::V6(ip) => {
            let is_global =
                GLOBAL_V6.contains(&ip) && !NOT_PUBLIC_V6.iter().any(|network| network.contains(&ip));
            is_global || NAT64.contains(&ip)
        }
    }
}

/// Link-local addresses, among them most clouds' metadata services, and those services that are elsewhere; whoever is on the
/// same link at once.
fn is_link_local(ip: IpAddr) -> bool {
    // Alibaba, Oracle, Azure, Volcengine.
    const METADATA_V4: [Ipv4Addr; 4] = [
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(192, 0, 0, 192),
        Ipv4Addr::new(168, 63, 129, 16),
        Ipv4Addr::new(100, 96, 0, 96),
    ];
    const METADATA_V6: [Ipv6Net; 4] = [
        // AWS: metadata, credentials of containers, names, time.
        v6(0xfd00, 0xec2, 32),
        // Google.
        Ipv6Net::new_assert(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128),
        // Scaleway.
        Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), 128),
        // Linode.
        Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 0), 48),
    ];
    match ip {
        IpAddr::V4(ip) => {
            ip.is_link_local()
                || ip.is_broadcast()
                || v4(224, 0, 0, 0, 24).contains(&ip)
                || METADATA_V4.contains(&ip)
        }
        IpAddr::V6(ip) => {
            let [first, .., high, low] = ip.segments();
            ip.is_unicast_link_local()
                || METADATA_V6.iter().any(|network| network.contains(&ip))
                // A private address that ends in 169.254.169.254: Oracle, and whoever does alike.
                || (ip.is_unique_local() && [high, low] == [0xa9fe, 0xa9fe])
                // Multicast that does not leave the machine or the link, whatever its flags.
                || matches!(first & 0xff0f, 0xff01 | 0xff02)
        }
    }
}

//! Which targets may be probed: `policy:` of the configuration, off unless it is there.
//!
//! Names are judged before they are looked up, addresses after it and once more where they are dialled, so that neither a
//! redirect nor a name that changes its address gets around it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::access::DynAccess;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::config;
use crate::config::policy::Preset;

/// The policy in force; shared by everything that looks names up or dials. The default allows everything.
#[derive(Clone, Debug, Default)]
pub struct Policy(Arc<Shared>);

/// Where the rules in force are, read anew for every judgement.
pub type Rules = Box<dyn DynAccess<config::Policy> + Send + Sync>;

#[derive(Default)]
struct Shared {
    /// `None` allows everything.
    rules: Option<Rules>,
    refused: AtomicU64,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

/// Why a target may not be probed. The text does not say what a name resolved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused by the target policy: {}", self.0)
    }
}

impl std::error::Error for Refusal {}

impl Policy {
    /// The policy whose rules are those found there at the moment of a judgement.
    pub fn new(rules: Rules) -> Self {
        Self(Arc::new(Shared {
            rules: Some(rules),
            refused: AtomicU64::new(0),
        }))
    }

    /// How many targets were refused so far.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// May this host, a name or an address as written, be looked up?
    ///
    /// # Errors
    /// The rule against it.
    pub fn check_name(&self, host: &str) -> Result<(), Refusal> {
        self.judge(|rules| {
            let name = host.strip_suffix('.').unwrap_or(host);
            let is_listed = |patterns: &[String]| {
                patterns
                    .iter()
                    .any(|p| matches(p, name.as_bytes(), Case::Ignored))
            };
            if is_listed(&rules.deny.names) {
                return Err(format!("the name {name} is denied"));
            }
            if !rules.allow.names.is_empty() && !is_listed(&rules.allow.names) {
                return Err(format!("the name {name} is not among those allowed"));
            }
            Ok(())
        })
    }

    /// May something be sent to this address?
    ///
    /// # Errors
    /// The rule against it.
    pub fn check_address(&self, ip: IpAddr) -> Result<(), Refusal> {
        self.judge(|rules| address(rules, ip))
    }

    /// May this address and port be dialled?
    ///
    /// # Errors
    /// The rule against it.
    pub fn check(&self, to: SocketAddr) -> Result<(), Refusal> {
        self.judge(|rules| {
            let port = to.port();
            if rules.deny.ports.iter().any(|range| range.contains(port)) {
                return Err(format!("port {port} is denied"));
            }
            let allowed = &rules.allow.ports;
            if !allowed.is_empty() && !allowed.iter().any(|range| range.contains(port)) {
                return Err(format!("port {port} is not among those allowed"));
            }
            address(rules, to.ip())
        })
    }

    /// May this unix socket be dialled? Links and `..` are followed first. Under `public-only`, and as soon as anything is
    /// listed as allowed, a path must be listed too.
    ///
    /// # Errors
    /// The rule against it.
    pub fn check_unix(&self, path: &Path) -> Result<(), Refusal> {
        self.judge(|rules| {
            let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
            let is_listed = |patterns: &[String], path: &Path| {
                let path = path.as_os_str().as_bytes();
                patterns.iter().any(|p| matches(p, path, Case::Kept))
            };
            let denied = &rules.deny.unix_paths;
            if is_listed(denied, path) || is_listed(denied, &real) {
                return Err("this path is denied".to_owned());
            }
            // What does not exist could still be written so that it seems to be below an allowed folder.
            let is_plain = !real.components().any(|part| part == Component::ParentDir);
            if is_listed(&rules.allow.unix_paths, &real) && is_plain {
                return Ok(());
            }
            let must_be_listed =
                rules.preset == Preset::PublicOnly || rules.allow != config::policy::Rules::default();
            if must_be_listed {
                return Err("this path is not among those allowed".to_owned());
            }
            Ok(())
        })
    }

    fn judge(&self, rule: impl FnOnce(&config::Policy) -> Result<(), String>) -> Result<(), Refusal> {
        let Some(rules) = self.0.rules.as_ref().map(|rules| rules.load()) else {
            return Ok(());
        };
        if *rules == config::Policy::default() {
            return Ok(());
        }
        rule(&rules).map_err(|reason| {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
            Refusal(reason)
        })
    }
}

/// First what is denied, then what is allowed, then the preset; with a list of allowed networks and no preset, all
/// others are refused.
fn address(rules: &config::Policy, ip: IpAddr) -> Result<(), String> {
    let forms = forms(ip);
    let is_listed = |networks: &[IpNet]| networks.iter().any(|n| forms.iter().any(|form| n.contains(form)));
    if is_listed(&rules.deny.networks) {
        return Err("the address is in a network that is denied".to_owned());
    }
    if is_listed(&rules.allow.networks) {
        return Ok(());
    }
    match rules.preset {
        Preset::Off if rules.allow.networks.is_empty() => Ok(()),
        Preset::Off => Err("the address is in none of the networks that are allowed".to_owned()),
        Preset::PublicOnly if forms.iter().all(|form| is_public(*form)) => Ok(()),
        Preset::PublicOnly => Err("the address is not public (preset public-only)".to_owned()),
        Preset::NoLinkLocal if !forms.iter().any(|form| is_link_local(*form)) => Ok(()),
        Preset::NoLinkLocal => {
            Err("the address is link-local or a cloud's metadata service (preset no-link-local)".to_owned())
        }
    }
}

/// The address itself and what it amounts to: an IPv4 address inside an IPv6 one (mapped, NAT64, 6to4, Teredo) is what the
/// packet reaches in the end, and the unspecified address is this machine.
fn forms(ip: IpAddr) -> Vec<IpAddr> {
    let mut forms = Vec::with_capacity(2);
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            forms.push(ip.into());
            if ip.is_unspecified() {
                forms.push(Ipv4Addr::LOCALHOST.into());
            }
        }
        IpAddr::V6(ip) if ip.is_unspecified() => forms.extend([ip, Ipv6Addr::LOCALHOST].map(IpAddr::V6)),
        IpAddr::V6(ip) if ip.is_loopback() => forms.push(ip.into()),
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            // The address stands only where its 32 bits do; the cast keeps just these.
            let embedded = |shift: u32| IpAddr::V4(Ipv4Addr::from_bits((bits >> shift) as u32));
            match ip.segments() {
                // RFC 6052: NAT64, and RFC 4291's retired IPv4-compatible addresses.
                [0x64, 0xff9b, 0, 0, 0, 0, ..] => forms.extend([IpAddr::V6(ip), embedded(0)]),
                [0, 0, 0, 0, 0, 0, ..] => forms.extend([IpAddr::V6(ip), embedded(0)]),
                // RFC 8215: NAT64 with a prefix of one's own; where the address stands depends on its length.
                [0x64, 0xff9b, 1, ..] => forms.extend([IpAddr::V6(ip), embedded(0)]),
                // RFC 3056.
                [0x2002, ..] => forms.extend([IpAddr::V6(ip), embedded(80)]),
                // RFC 4380: the client's address, inverted.
                [0x2001, 0, ..] => {
                    let client = Ipv4Addr::from_bits(!(bits as u32));
                    forms.extend([IpAddr::V6(ip), client.into()]);
                }
                _ => forms.push(ip.into()),
            }
        }
    }
    forms
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

/// Link-local addresses, among them most clouds' metadata services, and those services that are elsewhere.
fn is_link_local(ip: IpAddr) -> bool {
    // AWS over IPv6.
    const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    // Alibaba, Oracle, Azure.
    const METADATA_V4: [Ipv4Addr; 3] = [
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(192, 0, 0, 192),
        Ipv4Addr::new(168, 63, 129, 16),
    ];
    match ip {
        IpAddr::V4(ip) => ip.is_link_local() || METADATA_V4.contains(&ip),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip == METADATA_V6,
    }
}

/// Whether letters of both cases are the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Ignored,
    Kept,
}

/// Whether a text fits a pattern in which `*` stands for any characters.
fn matches(pattern: &str, text: &[u8], case: Case) -> bool {
    let same = |a: u8, b: u8| match case {
        Case::Ignored => a.eq_ignore_ascii_case(&b),
        Case::Kept => a == b,
    };
    let (mut rest, mut pattern) = (text, pattern.as_bytes());
    // Where to go on when what follows the last star does not fit: one character further.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), rest.split_first()) {
            (Some((b'*', after)), _) => {
                retry = Some((after, rest));
                pattern = after;
            }
            (Some((p, after)), Some((t, others))) if same(*p, *t) => (pattern, rest) = (after, others),
            (None, None) => return true,
            _ => match retry {
                Some((after, [_, others @ ..])) => {
                    retry = Some((after, others));
                    (pattern, rest) = (after, others);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use arc_swap::access::Constant;

    use super::*;

    fn policy(text: &str) -> Policy {
        let text = format!("modules: {{}}\npolicy: {{{text}}}\n");
        let parsed = config::parse(&text);
        assert_eq!(parsed.problems, []);
        Policy::new(Box::new(Constant(parsed.config.policy)))
    }

    #[test]
    fn presets_know_every_form_of_an_address() {
        let (public, no_link_local) = (policy("preset: public-only"), policy("preset: no-link-local"));
        // address, public, not link-local
        let rows = [
            ("8.8.8.8", true, true),
            ("2606:4700::1111", true, true),
            ("127.0.0.1", false, true),
            ("0.0.0.0", false, true),
            ("::", false, true),
            ("::1", false, true),
            ("10.1.2.3", false, true),
            ("172.31.0.1", false, true),
            ("172.32.0.1", true, true),
            ("100.64.0.1", false, true),
            ("192.168.1.1", false, true),
            ("224.0.0.1", false, true),
            ("255.255.255.255", false, true),
            ("169.254.169.254", false, false),
            ("100.100.100.200", false, false),
            ("168.63.129.16", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("::ffff:8.8.8.8", true, true),
            ("64:ff9b::8.8.8.8", true, true),
            ("64:ff9b::169.254.169.254", false, false),
            ("64:ff9b:1::169.254.169.254", false, false),
            ("64:ff9b::10.0.0.1", false, true),
            ("2002:a9fe:a9fe::1", false, false),
            ("2002:808:808::1", true, true),
            ("2001:0:808:808::5601:5601", false, false),
            ("::169.254.169.254", false, false),
            ("fe80::1", false, false),
            ("fd00:ec2::254", false, false),
            ("fc00::1", false, true),
            ("ff02::1", false, true),
            ("2001:db8::1", false, true),
        ];
        for (ip, is_public, is_distant) in rows {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!(public.check_address(ip).is_ok(), is_public, "public-only {ip}");
            assert_eq!(
                no_link_local.check_address(ip).is_ok(),
                is_distant,
                "no-link-local {ip}"
            );
        }
    }

    #[test]
    fn lists_of_networks_and_ports() {
        let rows = [
            ("", "10.0.0.1:80", true),
            ("deny: {networks: [10.0.0.0/8]}", "10.0.0.1:80", false),
            ("deny: {networks: [10.0.0.0/8]}", "[::ffff:10.0.0.1]:80", false),
            ("deny: {networks: [10.0.0.0/8]}", "[64:ff9b::a00:1]:80", false),
            ("deny: {networks: [127.0.0.0/8]}", "0.0.0.0:80", false),
            ("deny: {networks: [10.0.0.0/8]}", "11.0.0.1:80", true),
            ("allow: {networks: [10.0.0.0/8]}", "10.0.0.1:80", true),
            ("allow: {networks: [10.0.0.0/8]}", "11.0.0.1:80", false),
            (
                "allow: {networks: [10.0.0.0/8]}, deny: {networks: [10.9.0.0/16]}",
                "10.9.0.1:80",
                false,
            ),
            (
                "preset: public-only, allow: {networks: [10.0.0.0/8]}",
                "10.0.0.1:80",
                true,
            ),
            (
                "preset: public-only, allow: {networks: [10.0.0.0/8]}",
                "8.8.8.8:80",
                true,
            ),
            (
                "preset: public-only, allow: {networks: [10.0.0.0/8]}",
                "127.0.0.1:80",
                false,
            ),
            ("allow: {ports: [80, 8000-8099]}", "10.0.0.1:80", true),
            ("allow: {ports: [80, 8000-8099]}", "10.0.0.1:8050", true),
            ("allow: {ports: [80, 8000-8099]}", "10.0.0.1:443", false),
            ("deny: {ports: [22]}", "10.0.0.1:22", false),
        ];
        for (rules, to, want) in rows {
            let policy = policy(rules);
            assert_eq!(policy.check(to.parse().unwrap()).is_ok(), want, "{rules} {to}");
            assert_eq!(policy.refused(), u64::from(!want), "{rules} {to}");
        }
    }

    #[test]
    fn lists_of_names() {
        let rows = [
            ("deny: {names: [\"*.internal\"]}", "a.internal", false),
            ("deny: {names: [\"*.internal\"]}", "A.INTERNAL.", false),
            ("deny: {names: [\"*.internal\"]}", "internal", true),
            (
                "allow: {names: [\"*.example.org\", example.org]}",
                "www.example.org",
                true,
            ),
            (
                "allow: {names: [\"*.example.org\", example.org]}",
                "example.org",
                true,
            ),
            (
                "allow: {names: [\"*.example.org\"]}",
                "example.org.evil.test",
                false,
            ),
            ("allow: {names: [\"*.example.org\"]}", "10.0.0.1", false),
            ("allow: {names: [\"a*b*c\"]}", "aXbYbZc", true),
            ("allow: {names: [\"a*b*c\"]}", "aXbYbZ", false),
        ];
        for (rules, name, want) in rows {
            assert_eq!(policy(rules).check_name(name).is_ok(), want, "{rules} {name}");
        }
    }

    #[test]
    fn lists_of_paths_see_through_links() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (open, secret) = (root.join("open"), root.join("secret.sock"));
        std::fs::create_dir(&open).unwrap();
        std::fs::write(&secret, "").unwrap();
        std::os::unix::fs::symlink(&secret, open.join("link")).unwrap();
        let (root, secret) = (root.display(), secret.display());
        let allow = format!("allow: {{unix_paths: [{root}/open/*]}}");
        let deny = format!("deny: {{unix_paths: [{secret}]}}");
        let rows = [
            (allow.as_str(), format!("{root}/open/a.sock"), true),
            (&allow, secret.to_string(), false),
            (&allow, format!("{root}/open/link"), false),
            (&allow, format!("{root}/open/../secret.sock"), false),
            (&allow, format!("{root}/open/../nothing.sock"), false),
            (&allow, "@abstract".to_owned(), false),
            (&deny, secret.to_string(), false),
            (&deny, format!("{root}/open/link"), false),
            (&deny, format!("{root}/open/other"), true),
            ("preset: public-only", secret.to_string(), false),
            ("preset: no-link-local", secret.to_string(), true),
            ("allow: {networks: [10.0.0.0/8]}", secret.to_string(), false),
            ("allow: {unix_paths: [\"@*\"]}", "@abstract".to_owned(), true),
        ];
        for (rules, path, want) in rows {
            assert_eq!(
                policy(rules).check_unix(path.as_ref()).is_ok(),
                want,
                "{rules} {path}"
            );
        }
        let odd = open.join(OsStr::from_bytes(b"\xff.sock"));
        assert!(policy(&allow).check_unix(&odd).is_ok());
        let odd = open.join(OsStr::from_bytes(b"\xff/../../secret.sock"));
        assert!(policy(&allow).check_unix(&odd).is_err());
    }
}

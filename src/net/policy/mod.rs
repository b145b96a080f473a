//! Which targets may be probed: `policy:` of the configuration, off unless it is there.
//!
//! Names are judged before they are looked up, addresses after it and once more where they are dialled, so that neither a
//! redirect nor a name that changes its address gets around it.

mod address;
mod pattern;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Address;
use super::url::idna_ascii;
use crate::config;
use crate::config::files::policy::Preset;
use pattern::{Case, matches};

/// The policy in force; shared by everything that looks names up or dials. The default allows everything.
#[derive(Clone, Debug, Default)]
pub struct Policy(Arc<Shared>);

/// Shows the rules in force to a judgement; it is called for every one.
pub type Rules = Box<dyn Fn(&mut dyn FnMut(&config::Policy)) + Send + Sync>;

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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused by the target policy: {0}")]
pub struct PolicyRefusal(String);

impl Policy {
    /// The policy whose rules are those found there at the moment of a judgement.
    pub fn new(rules: Rules) -> Self {
        Self(Arc::new(Shared {
            rules: Some(rules),
            refused: AtomicU64::new(0),
        }))
    }

    /// The policy whose rules are always these.
    pub fn of(rules: config::Policy) -> Self {
        Self::new(Box::new(move |look| look(&rules)))
    }

    /// How many targets were refused so far.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// May this host, a name or an address as written, be looked up, or told to somebody? A name is judged in every
    /// spelling: as written and in its ASCII form, whatever the final dots; an address in its plain one.
    ///
    /// # Errors
    /// The rule against it.
    pub fn check_name(&self, host: &str) -> Result<(), PolicyRefusal> {
        self.judge(|rules| {
            let name = host.trim_end_matches('.');
            let ascii = idna_ascii(name);
            let ascii = ascii.trim_end_matches('.');
            let literal = literal(ascii).map(|address| address.ip.to_string());
            let spellings = || {
                [Some(name), Some(ascii), literal.as_deref()]
                    .into_iter()
                    .flatten()
            };
            let is_listed = |patterns: &[String]| {
                let fits =
                    |pattern: &str| spellings().any(|name| matches(pattern, name.as_bytes(), Case::Ignored));
                patterns
                    .iter()
                    .any(|pattern| fits(pattern) || (!pattern.is_ascii() && fits(&ascii_pattern(pattern))))
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

    /// May a `Host` header or a server name be this, which the caller of a probe gave? It may have a port.
    ///
    /// # Errors
    /// The rule against it.
    pub fn check_host_header(&self, host: &str) -> Result<(), PolicyRefusal> {
        let name = match super::split_host_port(host) {
            Ok((name, _)) => name,
            Err(_) => host.trim_matches(['[', ']']),
        };
        self.check_name(name.trim())
    }

    /// May something be sent to this address?
    ///
    /// # Errors
    /// The rule against it.
    pub fn check_address(&self, ip: IpAddr) -> Result<(), PolicyRefusal> {
        self.judge(|rules| address::judge(rules, ip))
    }

    /// Whether this address and port may be dialled, of several that may; nothing is counted.
    pub fn allows(&self, to: SocketAddr) -> bool {
        let judged = self.look(|rules| port(rules, to.port()).and_then(|()| address::judge(rules, to.ip())));
        judged.is_none_or(|judged| judged.is_ok())
    }

    /// Keeps those of several addresses that may be dialled, at this port if it is known. Only if none may, a refusal is counted.
    ///
    /// # Errors
    /// The rule against the first, if none is left.
    pub fn keep_allowed(&self, several: &mut Vec<Address>, number: Option<u16>) -> Result<(), PolicyRefusal> {
        self.judge(|rules| {
            let mut first = None;
            several.retain(|address| {
                let judged = number.map_or(Ok(()), |number| port(rules, number));
                let judged = judged.and_then(|()| address::judge(rules, address.ip));
                let is_allowed = judged.is_ok();
                first = first.take().or(judged.err());
                is_allowed
            });
            match first {
                Some(reason) if several.is_empty() => Err(reason),
                _ => Ok(()),
            }
        })
    }

    /// May somebody else be asked for this host, a proxy that looks it up by itself? What it finds cannot be judged here.
    ///
    /// # Errors
    /// The rule against it.
    pub fn check_far(&self, host: &str, port: Option<u16>) -> Result<(), PolicyRefusal> {
        self.check_name(host)?;
        self.check_chosen(host, port)
    }

    /// As [`Policy::check_far`], for an address that was found here for a name that was judged.
    ///
    /// # Errors
    /// The rule against it.
    pub fn check_chosen(&self, host: &str, number: Option<u16>) -> Result<(), PolicyRefusal> {
        self.judge(|rules| {
            if let Some(number) = number {
                port(rules, number)?;
            }
            match literal(&idna_ascii(host)) {
                Some(literal) => address::judge(rules, literal.ip),
                None => Ok(()),
            }
        })
    }

    /// May this address and port be dialled?
    ///
    /// # Errors
    /// The rule against it.
    pub fn check(&self, to: SocketAddr) -> Result<(), PolicyRefusal> {
        self.judge(|rules| port(rules, to.port()).and_then(|()| address::judge(rules, to.ip())))
    }

    /// Whether there is anything to ask of a unix socket.
    pub fn judges_unix(&self) -> bool {
        self.look(|_| ()).is_some()
    }

    /// May this unix socket be dialled? `real` is where its path leads, links followed; `None` when it leads nowhere. An
    /// abstract name begins with `@`. Under `public-only`, and as soon as anything is listed as allowed, it must be listed
    /// too.
    ///
    /// # Errors
    /// The rule against it.
    pub fn check_unix(&self, path: &Path, real: Option<&Path>) -> Result<(), PolicyRefusal> {
        self.judge(|rules| {
            let real = real.unwrap_or(path);
            let is_listed = |patterns: &[String], path: &Path| {
                let path = path.as_os_str().as_bytes();
                patterns.iter().any(|p| matches(p, path, Case::Kept))
            };
            let denied = &rules.deny.unix_paths;
            if is_listed(denied, path) || is_listed(denied, real) {
                return Err("this path is denied".to_owned());
            }
            // What does not exist could still be written so that it seems to be below an allowed folder.
            let is_plain = !real.components().any(|part| part == Component::ParentDir);
            if is_listed(&rules.allow.unix_paths, real) && is_plain {
                return Ok(());
            }
            let must_be_listed =
                rules.preset == Preset::PublicOnly || rules.allow != config::files::policy::Rules::default();
            if must_be_listed {
                return Err("this path is not among those allowed".to_owned());
            }
            Ok(())
        })
    }

    fn judge(&self, rule: impl FnOnce(&config::Policy) -> Result<(), String>) -> Result<(), PolicyRefusal> {
        let judged = self.look(rule).unwrap_or(Ok(()));
        judged.map_err(|reason| {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
            PolicyRefusal(reason)
        })
    }

    /// Looks at the rules, if there are any.
    fn look<T>(&self, at: impl FnOnce(&config::Policy) -> T) -> Option<T> {
        let (mut at, mut found) = (Some(at), None);
        self.0.rules.as_ref()?(&mut |rules| {
            if !rules.is_empty() {
                found = at.take().map(|at| at(rules));
            }
        });
        found
    }
}

fn port(rules: &config::Policy, port: u16) -> Result<(), String> {
    if rules.deny.ports.iter().any(|range| range.contains(port)) {
        return Err(format!("port {port} is denied"));
    }
    let allowed = &rules.allow.ports;
    if !allowed.is_empty() && !allowed.iter().any(|range| range.contains(port)) {
        return Err(format!("port {port} is not among those allowed"));
    }
    Ok(())
}

/// The ASCII form of a pattern, label by label, because a star is no part of a name.
fn ascii_pattern(pattern: &str) -> String {
    let labels: Vec<_> = pattern.split('.').map(idna_ascii).collect();
    labels.join(".")
}

/// The address that a host amounts to for whoever looks it up: also in the spellings of the C library, which are names here
/// (`0x7f.1`, `2130706433`).
fn literal(host: &str) -> Option<Address> {
    Address::parse(host).or_else(|| number_and_dots(host).map(|ip| Address::new(ip.into())))
}

fn number_and_dots(host: &str) -> Option<Ipv4Addr> {
    let mut bits: u64 = 0;
    let parts: Vec<_> = host.trim_end_matches('.').split('.').collect();
    let (last, others) = parts.split_last()?;
    if others.len() > 3 {
        return None;
    }
    let number = |part: &str| {
        let lower = part.to_ascii_lowercase();
        match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
            (Some(""), _) => Some(0),
            (Some(hex), _) => u64::from_str_radix(hex, 16).ok(),
            (None, Some(octal)) if !octal.is_empty() => u64::from_str_radix(octal, 8).ok(),
            (None, _) if part.starts_with('+') => None,
            (None, _) => part.parse().ok(),
        }
    };
    for part in others {
        bits = bits << 8 | number(part).filter(|number| *number < 1 << 8)?;
    }
    let rest = 32 - 8 * others.len();
    let last = number(last).filter(|number| *number < 1 << rest)?;
    u32::try_from(bits << rest | last).ok().map(Ipv4Addr::from_bits)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn policy(text: &str) -> Policy {
        let text = format!("modules: {{}}\npolicy: {{{text}}}\n");
        let parsed = config::parse(&text);
        assert_eq!(parsed.problems, []);
        Policy::of(parsed.config.policy)
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
            ("224.0.0.1", false, false),
            ("224.0.1.1", false, true),
            ("255.255.255.255", false, false),
            ("169.254.255.255", false, false),
            ("100.96.0.96", false, false),
            ("169.254.169.254", false, false),
            ("100.100.100.200", false, false),
            ("168.63.129.16", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("::ffff:8.8.8.8", true, true),
            ("64:ff9b::8.8.8.8", true, true),
            ("64:ff9b::169.254.169.254", false, false),
            ("64:ff9b:1::169.254.169.254", false, false),
            ("64:ff9b:1:a9fe:a9:fe00::", false, false),
            ("64:ff9b:1:aa:fe:a9fe::", false, true),
            ("64:ff9b:1:a9:fe:a9fe::", false, false),
            ("64:ff9b:1:0:a9:fea9:fe00:0", false, false),
            ("64:ff9b:1::10.0.0.1", false, true),
            ("::ffff:0:169.254.169.254", false, false),
            ("::ffff:0:8.8.8.8", false, true),
            ("2001:db8::5efe:169.254.169.254", false, false),
            ("2001:db8::200:5efe:169.254.169.254", false, false),
            ("fd20:ce::254", false, false),
            ("fd00:ec2::23", false, false),
            ("fd00:c1::a9fe:a9fe", false, false),
            ("fd00:42::42", false, false),
            ("fd00:a9fe:a9fe::1", false, false),
            ("64:ff9b::10.0.0.1", false, true),
            ("2002:a9fe:a9fe::1", false, false),
            ("2002:808:808::1", true, true),
            ("2001:0:808:808::5601:5601", false, false),
            ("::169.254.169.254", false, false),
            ("fe80::1", false, false),
            ("fd00:ec2::254", false, false),
            ("fc00::1", false, true),
            ("ff02::1", false, false),
            ("ff12::1", false, false),
            ("ff05::1", false, true),
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
        #[rustfmt::skip]
        let rows = [
            ("", "10.0.0.1:80", true),
            ("deny: {networks: [10.0.0.0/8]}", "10.0.0.1:80", false),
            ("deny: {networks: [10.0.0.0/8]}", "[::ffff:10.0.0.1]:80", false),
            ("deny: {networks: [10.0.0.0/8]}", "[64:ff9b::a00:1]:80", false),
            ("deny: {networks: [127.0.0.0/8]}", "0.0.0.0:80", false),
            ("deny: {networks: [10.0.0.0/8]}", "11.0.0.1:80", true),
            ("allow: {networks: [10.0.0.0/8]}", "10.0.0.1:80", true),
            ("allow: {networks: [10.0.0.0/8]}", "11.0.0.1:80", false),
            ("allow: {networks: [10.0.0.0/8]}, deny: {networks: [10.9.0.0/16]}", "10.9.0.1:80", false),
            ("preset: public-only, allow: {networks: [10.0.0.0/8]}", "10.0.0.1:80", true),
            ("preset: public-only, allow: {networks: [10.0.0.0/8]}", "8.8.8.8:80", true),
            ("preset: public-only, allow: {networks: [10.0.0.0/8]}", "127.0.0.1:80", false),
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
    fn of_several_addresses_those_allowed_are_kept() {
        const DENIED: &str = "the address is in a network that is denied";
        let networks = "deny: {networks: [10.0.0.0/8]}";
        let either = "allow: {networks: [10.0.0.0/8]}, deny: {networks: [10.9.0.0/16]}";
        // rules, addresses, port, those kept, the refusal
        #[rustfmt::skip]
        let rows = [
            ("", "10.0.0.1 11.0.0.1", Some(80), "10.0.0.1 11.0.0.1", ""),
            (networks, "10.0.0.1 11.0.0.1 10.0.0.2", None, "11.0.0.1", ""),
            (networks, "10.0.0.1 10.0.0.2", None, "", DENIED),
            (either, "10.9.0.1 11.0.0.1", Some(80), "", DENIED),
            (either, "11.0.0.1 10.9.0.1", Some(80), "", "the address is not in an allowed network"),
            ("deny: {ports: [22]}", "10.0.0.1", Some(22), "", "port 22 is denied"),
            ("deny: {ports: [22]}", "10.0.0.1", None, "10.0.0.1", ""),
        ];
        let parse = |addresses: &str| -> Vec<Address> {
            let parsed = addresses.split_whitespace().map(Address::parse);
            parsed.collect::<Option<_>>().unwrap()
        };
        for (rules, several, port, want, refusal) in rows {
            let policy = policy(rules);
            let mut kept = parse(several);
            let judged = policy.keep_allowed(&mut kept, port);
            assert_eq!(kept, parse(want), "{rules} {several}");
            assert_eq!(judged.err().map_or(String::new(), |refusal| refusal.0), refusal);
            assert_eq!(policy.refused(), u64::from(want.is_empty()), "{rules} {several}");
        }
    }

    #[test]
    fn lists_of_names() {
        #[rustfmt::skip]
        let rows = [
            ("deny: {names: [\"*.internal\"]}", "a.internal", false),
            ("deny: {names: [\"*.internal\"]}", "A.INTERNAL.", false),
            ("deny: {names: [\"*.internal\"]}", "internal", true),
            ("allow: {names: [\"*.example.org\", example.org]}", "www.example.org", true),
            ("allow: {names: [\"*.example.org\", example.org]}", "example.org", true),
            ("allow: {names: [\"*.example.org\"]}", "example.org.evil.test", false),
            ("allow: {names: [\"*.example.org\"]}", "10.0.0.1", false),
            ("allow: {names: [\"a*b*c\"]}", "aXbYbZc", true),
            ("deny: {names: [\"*.internal\"]}", "a.internal..", false),
            ("deny: {names: [\"*.internal\"]}", "a\u{3002}internal", false),
            ("deny: {names: [\"*.internal\"]}", "\u{ff41}.\u{ff49}nternal", false),
            ("deny: {names: [\"*.b\u{fc}cher.test\"]}", "A.xn--bcher-kva.test", false),
            ("deny: {names: [xn--bcher-kva.test]}", "B\u{dc}CHER.test", false),
            ("deny: {names: [127.0.0.1]}", "::ffff:127.0.0.1", false),
            ("deny: {names: [127.0.0.1]}", "0x7f.1", false),
            ("allow: {names: [b\u{fc}cher.test]}", "xn--bcher-kva.test", true),
            ("allow: {names: [\"a*b*c\"]}", "aXbYbZ", false),
        ];
        for (rules, name, want) in rows {
            assert_eq!(policy(rules).check_name(name).is_ok(), want, "{rules} {name}");
        }
    }

    #[test]
    fn what_a_proxy_is_asked_for_is_judged_as_far_as_it_can_be() {
        let rules = "preset: no-link-local, deny: {ports: [22], names: [\"*.internal\"]}";
        let rows = [
            ("example.org", Some(80), true),
            ("example.org", Some(22), false),
            ("a.internal", Some(80), false),
            ("169.254.169.254", Some(80), false),
            ("169.254.169.254.", Some(80), false),
            ("0xa9fea9fe", Some(80), false),
            ("2852039166", None, false),
            ("0251.0376.0251.0376", Some(80), false),
            ("169.254.43518", Some(80), false),
            ("\u{ff11}69.254.169.254", Some(80), false),
            ("fd00:ec2::254", Some(80), false),
            ("1.2.3.4.5", Some(80), true),
            ("0x", Some(80), true),
            ("10.0.0.256", Some(80), true),
            ("", Some(80), true),
        ];
        for (host, port, want) in rows {
            assert_eq!(
                policy(rules).check_far(host, port).is_ok(),
                want,
                "{host} {port:?}"
            );
        }
        for (host, want) in [("a.internal:8080", false), ("[::1]:80", true), ("b.test", true)] {
            assert_eq!(policy(rules).check_host_header(host).is_ok(), want, "{host}");
        }
    }

    #[test]
    fn lists_of_paths() {
        let allow = "allow: {unix_paths: [/run/open/*]}";
        let deny = "deny: {unix_paths: [/run/secret.sock]}";
        // rules, the path as written, where it leads
        let rows = [
            (allow, "/run/open/a.sock", Some("/run/open/a.sock"), true),
            (allow, "/run/secret.sock", Some("/run/secret.sock"), false),
            (allow, "/run/open/link", Some("/run/secret.sock"), false),
            (allow, "/run/open/none", None, true),
            (allow, "/run/open/../none", None, false),
            (allow, "@abstract", None, false),
            (deny, "/run/secret.sock", Some("/run/secret.sock"), false),
            (deny, "/run/open/link", Some("/run/secret.sock"), false),
            (deny, "/run/secret.sock", Some("/run/other"), false),
            (deny, "/run/open/other", Some("/run/open/other"), true),
            ("preset: public-only", "/run/a", Some("/run/a"), false),
            ("preset: no-link-local", "/run/a", Some("/run/a"), true),
            ("allow: {networks: [10.0.0.0/8]}", "/run/a", Some("/run/a"), false),
            ("allow: {unix_paths: [\"@*\"]}", "@abstract", None, true),
        ];
        for (rules, path, real, want) in rows {
            let checked = policy(rules).check_unix(path.as_ref(), real.map(Path::new));
            assert_eq!(checked.is_ok(), want, "{rules} {path}");
        }
        let odd = OsStr::from_bytes(b"/run/open/\xff.sock");
        assert!(policy(allow).check_unix(odd.as_ref(), None).is_ok());
        let odd = OsStr::from_bytes(b"/run/open/\xff/../../secret.sock");
        assert!(policy(allow).check_unix(odd.as_ref(), None).is_err());
    }
}

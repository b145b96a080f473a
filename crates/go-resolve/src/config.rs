//! `/etc/resolv.conf` and the `hosts` line of `/etc/nsswitch.conf`, as Go's `net` reads them.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gostd::address::Address;

use super::hosts::fields;

/// Most name servers that are used.
const MAX_SERVERS: usize = 3;
/// Longest name in text form, with its final dot.
const MAX_NAME: usize = 254;
/// Where numbers of options end.
const BIG: u64 = 0xff_ffff;

/// How to ask name servers.
#[derive(Debug)]
pub struct ResolvConf {
    /// The servers in order; never empty.
    pub servers: Vec<SocketAddr>,
    /// Suffixes to try, each with its final dot.
    pub search: Vec<String>,
    /// A name with at least so many dots is tried as it is first.
    pub ndots: usize,
    /// How long one server is waited for.
    pub timeout: Duration,
    /// How often all servers are asked.
    pub attempts: u32,
    /// One family after the other instead of both at once.
    pub single_request: bool,
    /// No UDP.
    pub use_tcp: bool,
    /// Set the AD flag.
    pub trust_ad: bool,
    rotate: bool,
    turn: AtomicUsize,
}

impl Default for ResolvConf {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            single_request: false,
            use_tcp: false,
            trust_ad: false,
            rotate: false,
            turn: AtomicUsize::new(0),
        }
    }
}

impl ResolvConf {
    /// From the text of the file; the local machine is asked if there is none.
    pub fn parse(text: io::Result<String>) -> Self {
        let mut conf = Self::default();
        for line in text.unwrap_or_default().lines() {
            if line.starts_with([';', '#']) {
                continue;
            }
            let mut fields = fields(line);
            match fields.next() {
                Some("nameserver") if conf.servers.len() < MAX_SERVERS => {
                    let address = fields.next().and_then(Address::parse);
                    conf.servers.extend(address.map(|a| a.with_port(53)));
                }
                Some("domain") => {
                    if let Some(domain) = fields.next() {
                        conf.search = vec![rooted(domain)];
                    }
                }
                Some("search") => conf.search = fields.map(rooted).filter(|s| s != ".").collect(),
                Some("options") => fields.for_each(|option| conf.option(option)),
                _ => {}
            }
        }
        if conf.servers.is_empty() {
            conf.servers = vec![(Ipv4Addr::LOCALHOST, 53).into(), (Ipv6Addr::LOCALHOST, 53).into()];
        }
        if conf.search.is_empty() {
            let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            conf.search = search_of(host.trim()).into_iter().collect();
        }
        conf
    }

    fn option(&mut self, option: &str) {
        match option.split_once(':') {
            Some(("ndots", n)) => self.ndots = usize::try_from(number(n).min(15)).unwrap_or(15),
            Some(("timeout", n)) => self.timeout = Duration::from_secs(number(n).max(1)),
            Some(("attempts", n)) => self.attempts = u32::try_from(number(n).max(1)).unwrap_or(1),
            Some(_) => {}
            None => match option {
                "rotate" => self.rotate = true,
                "single-request" | "single-request-reopen" => self.single_request = true,
                "use-vc" | "usevc" | "tcp" => self.use_tcp = true,
                "trust-ad" => self.trust_ad = true,
                _ => {}
            },
        }
    }

    /// The servers in the order to ask them this time.
    pub fn servers_in_turn(&self) -> impl Iterator<Item = SocketAddr> + Clone + '_ {
        let first = if self.rotate {
            self.turn.fetch_add(1, Ordering::Relaxed)
        } else {
            0
        };
        let count = self.servers.len();
        self.servers
            .iter()
            .cycle()
            .skip(first % count.max(1))
            .take(count)
            .copied()
    }

    /// The full names to ask for, in order, each with its final dot.
    pub fn names(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            let name = name.to_owned();
            return if avoid_dns(&name) { Vec::new() } else { vec![name] };
        }
        let is_full_enough = name.matches('.').count() >= self.ndots;
        let full = format!("{name}.");
        let suffixed = self.search.iter().map(|suffix| format!("{full}{suffix}"));
        let mut names: Vec<String> = suffixed.collect();
        let at = if is_full_enough { 0 } else { names.len() };
        names.insert(at, full);
        names.retain(|n| !avoid_dns(n) && n.len() <= MAX_NAME);
        names
    }
}

/// `.onion` names are never looked up (RFC 7686).
fn avoid_dns(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let start = name.len().saturating_sub(".onion".len());
    name.get(start..)
        .is_some_and(|end| end.eq_ignore_ascii_case(".onion"))
}

fn rooted(name: &str) -> String {
    if name.ends_with('.') {
        name.to_owned()
    } else {
        format!("{name}.")
    }
}

fn search_of(host: &str) -> Option<String> {
    let (_, domain) = host.split_once('.')?;
    (!domain.is_empty()).then(|| rooted(domain))
}

/// The number that a text begins with, 0 if none, with Go's upper end.
fn number(text: &str) -> u64 {
    let mut number = 0;
    for digit in text.bytes().take_while(u8::is_ascii_digit) {
        number = number * 10 + u64::from(digit - b'0');
        if number >= BIG {
            return BIG;
        }
    }
    number
}

/// Where host names are looked up, and in which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Sources {
    #[default]
    FilesThenDns,
    DnsThenFiles,
    Files,
    Dns,
}

impl Sources {
    /// From the text of `nsswitch.conf`. A source that is neither `files` nor `dns` counts as `dns` if that is not named.
    pub fn parse(text: io::Result<String>) -> Self {
        let text = text.unwrap_or_default();
        let lines = text.lines().map(|l| l.split('#').next().unwrap_or("").trim());
        // Go takes the default when it cannot read one of the lines.
        let is_broken = |line: &str| !line.is_empty() && (!line.contains(':') || has_open_bracket(line));
        if lines.clone().any(is_broken) {
            return Self::default();
        }
        let Some(hosts) = lines
            .filter_map(|l| l.strip_prefix("hosts"))
            .find_map(|l| l.trim_start().strip_prefix(':'))
        else {
            return Self::default();
        };
        let sources = without_criteria(hosts);
        let names: Vec<&str> = fields(&sources).collect();
        let place = |wanted: &str| names.iter().position(|n| *n == wanted);
        let files = place("files");
        let dns = place("dns").or_else(|| names.iter().position(|n| *n != "files"));
        match (files, dns) {
            (Some(files), Some(dns)) if dns < files => Self::DnsThenFiles,
            (Some(_), None) => Self::Files,
            (None, Some(_)) => Self::Dns,
            _ => Self::FilesThenDns,
        }
    }
}

fn has_open_bracket(line: &str) -> bool {
    line.rfind('[') > line.rfind(']')
}

/// The sources without `[NOTFOUND=return]` and its like, which Go's own resolver does not weigh either.
fn without_criteria(text: &str) -> String {
    let mut depth = 0_u32;
    text.chars()
        .map(|c| {
            match c {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                _ if depth == 0 => return c,
                _ => {}
            }
            ' '
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ResolvConf {
        ResolvConf::parse(Ok(text.to_owned()))
    }

    #[test]
    fn options_and_servers_are_read_as_go_does() {
        let conf = parse(concat!(
            "# a comment\n; another\n",
            "nameserver 192.0.2.1\nnameserver name.test\nnameserver ::1\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n",
            "search a.test b.test. .\n",
            "options ndots:99 timeout:0 attempts:3x rotate use-vc single-request trust-ad edns0 strange\n",
        ));
        let servers: Vec<String> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.1:53", "[::1]:53", "192.0.2.3:53"]);
        assert_eq!(conf.search, ["a.test.", "b.test."]);
        assert_eq!((conf.ndots, conf.timeout.as_secs(), conf.attempts), (15, 1, 3));
        assert!(conf.rotate && conf.use_tcp && conf.single_request && conf.trust_ad);
        let first = |conf: &ResolvConf| conf.servers_in_turn().next().unwrap().to_string();
        assert_eq!([first(&conf), first(&conf)], ["192.0.2.1:53", "[::1]:53"]);
    }

    #[test]
    fn without_a_file_the_local_machine_is_asked() {
        let conf = ResolvConf::parse(Err(io::ErrorKind::NotFound.into()));
        let servers: Vec<String> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["127.0.0.1:53", "[::1]:53"]);
        assert_eq!((conf.ndots, conf.timeout.as_secs(), conf.attempts), (1, 5, 2));
        assert_eq!(search_of("box.lab.test"), Some("lab.test.".to_owned()));
        assert_eq!([search_of("box"), search_of("box.")], [None, None]);
    }

    #[test]
    fn names_are_tried_in_gos_order() {
        let conf = parse("search a.test b.test\noptions ndots:2\n");
        let long = "x".repeat(248);
        let rows: &[(&str, &[&str])] = &[
            ("www", &["www.a.test.", "www.b.test.", "www."]),
            ("www.x", &["www.x.a.test.", "www.x.b.test.", "www.x."]),
            ("www.x.y", &["www.x.y.", "www.x.y.a.test.", "www.x.y.b.test."]),
            ("www.", &["www."]),
            (".", &["."]),
            ("x.onion", &["x.onion.a.test.", "x.onion.b.test."]),
            ("x.Onion.", &[]),
            (&long, &[&format!("{long}.")]),
        ];
        for (name, want) in rows {
            assert_eq!(conf.names(name), *want, "{name}");
        }
    }

    #[test]
    fn sources_are_read_as_go_does() {
        let rows = [
            ("hosts: files dns", Sources::FilesThenDns),
            ("hosts: dns files", Sources::DnsThenFiles),
            ("hosts:files", Sources::Files),
            ("hosts: dns", Sources::Dns),
            (
                "hosts: files mdns4_minimal [NOTFOUND=return] dns",
                Sources::FilesThenDns,
            ),
            (
                "hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns",
                Sources::FilesThenDns,
            ),
            ("hosts: resolve files", Sources::DnsThenFiles),
            ("hosts: files resolve # dns", Sources::FilesThenDns),
            ("hosts: files [NOTFOUND=", Sources::FilesThenDns),
            ("passwd: files [\nhosts: dns", Sources::FilesThenDns),
            ("passwd files\nhosts: dns", Sources::FilesThenDns),
            ("passwd: files", Sources::FilesThenDns),
            ("hosts:", Sources::FilesThenDns),
            ("", Sources::FilesThenDns),
        ];
        for (text, want) in rows {
            assert_eq!(Sources::parse(Ok(text.to_owned())), want, "{text:?}");
        }
    }
}

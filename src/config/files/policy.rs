//! Section `policy` (ours): which targets may be probed at all.

use std::fmt;

use go_yaml::Id;
use ipnet::IpNet;

use crate::config::codec::decode::Decoder;
use crate::config::codec::schema::{self, Sections};
use crate::config::codec::section::{Section, section};
use crate::config::codec::tree::Tree;
use crate::config::codec::value::Value;
use crate::config::codec::words::words;

section! {
    /// What may be probed, whatever a module says. Empty, it allows everything.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Policy {
        /// A ready-made rule about addresses.
        omit preset: Preset,
        /// What is allowed.
        omit allow: Rules,
        /// What is refused, even if it is allowed.
        omit deny: Rules,
    }
}

words! {
    /// A ready-made rule about addresses.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum Preset: "preset {word:?} is not known" {
        /// None.
        #[default]
        Off = "",
        /// Only addresses that are reachable from everywhere.
        PublicOnly = "public-only",
        /// No link-local addresses and no metadata services of clouds.
        NoLinkLocal = "no-link-local",
    }

    fn is_zero(self) -> bool {
        self == Self::Off
    }
}

section! {
    /// Lists of targets.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Rules {
        /// Networks and single addresses.
        omit networks: Vec<IpNet>,
        /// Host names; `*` stands for any characters.
        omit names: Vec<String>,
        /// Ports and ranges of ports.
        omit ports: Vec<PortRange>,
        /// Paths of unix sockets; `*` stands for any characters.
        omit unix_paths: Vec<String>,
    }
}

/// Ports from the first to the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last, not before the first.
    pub last: u16,
}

impl PortRange {
    /// Whether the port is one of them.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = Self {
            first: first.trim().parse().ok()?,
            last: last.trim().parse().ok()?,
        };
        (range.first <= range.last).then_some(range)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Policy {
    /// Whether it is against nothing. Every probe asks several times.
    pub fn is_empty(&self) -> bool {
        let Self { preset, allow, deny } = self;
        *preset == Preset::Off && allow.is_empty() && deny.is_empty()
    }
}

impl Rules {
    fn is_empty(&self) -> bool {
        let Self {
            networks,
            names,
            ports,
            unix_paths,
        } = self;
        networks.is_empty() && names.is_empty() && ports.is_empty() && unix_paths.is_empty()
    }
}

impl Section for Policy {}

impl Section for Rules {}

impl Value for IpNet {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.parsed(node, self, |text| {
            let address = || text.parse::<std::net::IpAddr>().map(Self::from);
            text.parse().or_else(|_| address()).map_err(|_| {
                let help = "write an address or a prefix: 192.0.2.1, 10.0.0.0/8, 2001:db8::/32";
                (format!("{text:?} is not a network"), help)
            })
        })
    }
    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::form(r"^[0-9A-Fa-f:.]+(/[0-9]+)?$")
    }
    fn tree(&self) -> Tree {
        Tree::text(self.to_string())
    }
}

impl Value for PortRange {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.parsed(node, self, |text| {
            let help = "write a port or a range: 443, 8000-8099";
            Self::parse(text).ok_or_else(|| (format!("{text:?} is not a port"), help))
        })
    }
    fn schema(_: &mut Sections) -> serde_json::Value {
        let pattern = r"^\s*\+?[0-9]+\s*(-\s*\+?[0-9]+\s*)?$";
        schema::form_within(pattern, 0, i64::from(u16::MAX))
    }
    fn tree(&self) -> Tree {
        Tree::text(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use crate::config;

    #[test]
    fn a_policy_is_read_and_printed() {
        let text = concat!(
            "modules: {}\n",
            "policy:\n",
            "  preset: public-only\n",
            "  allow:\n",
            "    networks: [10.1.2.3, \"2001:db8::/32\"]\n",
            "    ports: [443, 8000-8099]\n",
            "  deny:\n",
            "    names: [\"*.internal\"]\n",
            "    unix_paths: [/run/docker.sock]\n",
        );
        let parsed = config::parse(text);
        assert_eq!(parsed.problems, []);
        let printed = config::write::config(&parsed.config);
        assert!(printed.contains("preset: public-only"), "{printed}");
        assert!(
            printed.contains("10.1.2.3/32") && printed.contains("8000-8099"),
            "{printed}"
        );
        let again = config::parse(&printed);
        assert_eq!(again.config.policy, parsed.config.policy, "{printed}");
        let without = config::write::config(&config::parse("modules: {}\n").config);
        assert!(!without.contains("policy"), "{without}");
    }

    #[test]
    fn mistakes_are_reported_with_their_place() {
        let rows = [
            ("preset: publiconly", "preset \"publiconly\" is not known"),
            (
                "allow: {networks: [10.0.0.0/33]}",
                "\"10.0.0.0/33\" is not a network",
            ),
            (
                "allow: {networks: [example.org]}",
                "\"example.org\" is not a network",
            ),
            ("deny: {ports: [99999]}", "\"99999\" is not a port"),
            ("deny: {ports: [90-80]}", "\"90-80\" is not a port"),
            ("deny: {hosts: [a]}", "field \"hosts\" not found"),
        ];
        for (policy, want) in rows {
            let text = format!("modules: {{}}\npolicy: {{{policy}}}\n");
            let parsed = config::parse(&text);
            let [problem] = parsed.problems.as_slice() else {
                panic!("{policy}: {:?}", parsed.problems);
            };
            assert!(problem.message.contains(want), "{policy}: {}", problem.message);
            assert_eq!(problem.at.map(|at| at.line), Some(2), "{policy}");
        }
    }
}

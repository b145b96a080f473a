//! Fields of every module (ours): where its connections come from, and which of a name's addresses they lead to.

use std::net::IpAddr;

use go_yaml::Id;

use crate::config::client::tls::Tls;
use crate::config::client::url::UrlText;
use crate::config::codec::decode::Decoder;
use crate::config::codec::schema::{self, Sections};
use crate::config::codec::section::{Section, section};
use crate::config::codec::shared::Shared;
use crate::config::codec::value::{Duration, Variant};

section! {
    /// Where a module looks from. Empty texts leave the choice to the system.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Vantage {
        /// The source address of every connection.
        omit source_ip_address: String as Address,
        /// The interface that packets leave by.
        omit source_interface: String as Interface,
        /// The Differentiated Services code point: 0 to 63, or a name.
        omit dscp: String as CodePoint,
        /// Which addresses of the target are dialled.
        omit addresses: String as Choice,
        /// The name server that is asked instead of the system's.
        omit resolver: UrlText as Resolver,
        /// How long a lookup may take, in nanoseconds; 0 when it is not written.
        omit resolver_timeout: i64 as Duration,
        /// How long addresses are remembered at most, in nanoseconds.
        omit resolver_cache: i64 as Duration,
        /// TLS with the name server.
        omit resolver_tls_config: Shared<Tls>,
    }
}

/// Which addresses of the target's name are dialled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addresses {
    /// The first one of the preferred family, as upstream.
    #[default]
    First,
    /// Any one of the preferred family, another in each probe.
    Random,
    /// The first one, and the next when connecting fails.
    Any,
    /// One probe of each.
    All,
}

/// The longest name of an interface, in bytes.
const LONGEST_INTERFACE: usize = 15;

impl Section for Vantage {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        if self.source().is_none() {
            let message = format!("{:?} is not an IP address", self.source_ip_address);
            d.report_field(node, "source_ip_address", message, None);
        }
        let interface = &self.source_interface;
        if interface.len() > LONGEST_INTERFACE || interface.contains(['/', '\0']) {
            let message = format!("{interface:?} is not the name of an interface");
            d.report_field(node, "source_interface", message, None);
        }
        if self.code_point().is_none() {
            let message = format!("{:?} is not a DSCP", self.dscp);
            let help = "write a number from 0 to 63, EF, CS0 to CS7, AF11 to AF43, LE or VA";
            d.report_field(node, "dscp", message, help);
        }
        if self.choice().is_none() {
            let message = format!("{:?} is not a choice of addresses", self.addresses);
            let help = "it is one of first, random, any, all";
            d.report_field(node, "addresses", message, help);
        }
        let scheme = self
            .resolver
            .split(':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        if self.resolver_tls_config != Shared::default() && !matches!(scheme.as_str(), "tls" | "https") {
            let message = "\"resolver_tls_config\" has no effect without a \"resolver\" over TLS";
            d.warn(
                node,
                "resolver_tls_config",
                message,
                "set resolver to tls:// or https://",
            );
        }
        for (field, time) in [
            ("resolver_timeout", self.resolver_timeout),
            ("resolver_cache", self.resolver_cache),
        ] {
            if time < 0 {
                d.report_field(node, field, format!("{field:?} is negative"), None);
            } else if time > 0 && self.resolver.is_empty() {
                let help = "set resolver";
                d.warn(
                    node,
                    field,
                    format!("{field:?} has no effect without \"resolver\""),
                    help,
                );
            }
        }
    }
}

impl Vantage {
    /// The source address, if there is one; `None` if it cannot be read.
    pub fn source(&self) -> Option<Option<IpAddr>> {
        match self.source_ip_address.as_str() {
            "" => Some(None),
            text => text.parse().ok().map(|ip: IpAddr| Some(ip.to_canonical())),
        }
    }

    /// The code point, if there is one; `None` if it cannot be read.
    pub fn code_point(&self) -> Option<Option<u8>> {
        let text = self.dscp.to_ascii_uppercase();
        let point = match (text.as_str(), text.as_bytes()) {
            ("", _) => return Some(None),
            ("EF", _) => 46,
            ("VA" | "VOICE-ADMIT", _) => 44,
            ("LE", _) => 1,
            (_, [b'C', b'S', class @ b'0'..=b'7']) => (class - b'0') << 3,
            (_, [b'A', b'F', class @ b'1'..=b'4', drop @ b'1'..=b'3']) => {
                ((class - b'0') << 3) | ((drop - b'0') << 1)
            }
            (text, _) => text.parse().ok().filter(|point| *point < 64)?,
        };
        Some(Some(point))
    }

    /// Which addresses are dialled; `None` if it cannot be read.
    pub fn choice(&self) -> Option<Addresses> {
        Some(match self.addresses.as_str() {
            "" | "first" => Addresses::First,
            "random" => Addresses::Random,
            "any" => Addresses::Any,
            "all" => Addresses::All,
            _ => return None,
        })
    }
}

/// An IP address.
struct Address;

impl Variant<String> for Address {
    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::form("^[0-9A-Fa-f:.]*$")
    }
}

/// The name of an interface.
struct Interface;

impl Variant<String> for Interface {
    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::form(&format!("^[^/]{{0,{LONGEST_INTERFACE}}}$"))
    }
}

/// A [code point](Vantage::code_point).
struct CodePoint;

impl Variant<String> for CodePoint {
    fn schema(_: &mut Sections) -> serde_json::Value {
        let names = schema::any_case(["EF", "VA", "VOICE-ADMIT", "LE", "CS[0-7]", "AF[1-4][1-3]"]);
        let pattern = format!(r"^({names}|\+?0*[1-5]?[0-9]|\+?0*6[0-3])?$");
        schema::form_within(&pattern, 0, 63)
    }
}

/// A [choice of addresses](Vantage::choice).
struct Choice;

impl Variant<String> for Choice {
    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::words(["first", "random", "any", "all", ""])
    }
}

/// A name server.
struct Resolver;

impl Variant<UrlText> for Resolver {
    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::url(["udp", "tcp", "tls", "https"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn code_points_have_numbers_and_names() {
        let rows = [
            ("", Some(None)),
            ("0", Some(Some(0))),
            ("63", Some(Some(63))),
            ("64", None),
            ("EF", Some(Some(46))),
            ("af41", Some(Some(34))),
            ("AF44", None),
            ("CS6", Some(Some(48))),
            ("CS8", None),
            ("-1", None),
        ];
        for (text, want) in rows {
            let vantage = Vantage {
                dscp: text.to_owned(),
                ..Vantage::default()
            };
            assert_eq!(vantage.code_point(), want, "{text}");
        }
    }

    #[test]
    fn it_is_read_printed_and_judged() {
        let text = "modules: {m: {prober: tcp, source_ip_address: 127.0.0.5, source_interface: lo, dscp: 46, addresses: any}}";
        let parsed = config::parse(text);
        assert_eq!(parsed.problems, []);
        let printed = config::write::config(&parsed.config);
        let again = config::parse(&printed);
        assert_eq!(again.config.modules, parsed.config.modules, "{printed}");
        assert!(
            !config::write::config(&config::parse("modules: {m: {prober: tcp}}").config).contains("dscp")
        );
        let rows = [
            ("source_ip_address: host", "\"host\" is not an IP address"),
            ("source_interface: a/b", "\"a/b\" is not the name of an interface"),
            ("dscp: AF99", "\"AF99\" is not a DSCP"),
            ("addresses: every", "\"every\" is not a choice of addresses"),
        ];
        for (field, want) in rows {
            let text = format!("modules:\n  m: {{prober: tcp, {field}}}\n");
            let parsed = config::parse(&text);
            let [problem] = parsed.problems.as_slice() else {
                panic!("{field}: {:?}", parsed.problems);
            };
            assert!(problem.message.contains(want), "{field}: {}", problem.message);
        }
    }
}

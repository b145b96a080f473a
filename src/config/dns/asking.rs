//! How a name server is asked, beyond upstream. All of it is off by default.

use std::net::IpAddr;

use crate::config::decode::{Decoder, Section, Value};
use crate::config::schema::{self, Sections};
use crate::config::tree::Tree;
use crate::config::value::{Codec, section};
use crate::config::yaml::Id;

/// Most times that a query is sent again.
const MOST_RETRIES: i64 = 10;

/// Settings of the dns prober that are not in upstream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asking {
    /// The server that is asked for the target; empty when the target is the server.
    pub server: String,
    /// Ask for DNSSEC records, and judge them.
    pub dnssec: bool,
    /// The OPT record.
    pub edns: Edns,
    /// DNS over HTTPS.
    pub https: Https,
    /// How often a query without a response is sent again.
    pub retries: i64,
    /// Ask again over TCP when a response over UDP was truncated.
    pub tcp_on_truncation: bool,
    /// Expose what the response says of itself.
    pub facts: bool,
}

section!(Asking {
    omit server;
    omit dnssec;
    omit edns;
    omit https;
    omit retries;
    omit tcp_on_truncation;
    omit facts;
});

impl Section for Asking {}

impl Asking {
    /// Checks what was read from the section at `node`, whose queries go over `transport`.
    pub(super) fn judge(&self, transport: &str, node: Id, d: &mut Decoder<'_, '_>) {
        if !(0..=MOST_RETRIES).contains(&self.retries) {
            let message = format!(
                "\"retries\" is {}, not between 0 and {MOST_RETRIES}",
                self.retries
            );
            d.report_field(node, "retries", message, None);
        }
        if self.tcp_on_truncation && !matches!(transport, "" | "udp") {
            let message = "\"tcp_on_truncation\" has no effect: only responses over UDP are truncated";
            d.warn(node, "tcp_on_truncation", message, None);
        }
        if self.https != Https::default() && transport != "https" {
            let help = Some("set transport_protocol: https".to_owned());
            d.warn(
                node,
                "https",
                "\"https\" has no effect with another transport_protocol",
                help,
            );
        }
    }
}

/// What the OPT record of the query says (RFC 6891). With anything in it, there is one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edns {
    /// The longest response over UDP that is asked for; 0 when it is not written.
    pub udp_size: i64,
    /// Ask the server for its identifier.
    pub nsid: bool,
    /// The network for which the response must be valid.
    pub client_subnet: String,
}

section!(Edns {
    omit udp_size;
    omit nsid;
    omit client_subnet;
});

impl Section for Edns {
    fn begin(&mut self) {
        *self = Self::default();
    }

    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        if self.udp_size != 0 && self.size().is_none() {
            let message = format!("\"udp_size\" is {}, not between 512 and 65535", self.udp_size);
            d.report_field(node, "udp_size", message, None);
        }
        if !self.client_subnet.is_empty() && self.subnet().is_none() {
            let message = format!("{:?} is not a network", self.client_subnet);
            let help = "write an address and how many of its bits are sent: 192.0.2.0/24".to_owned();
            d.report_field(node, "client_subnet", message, Some(help));
        }
    }
}

impl Edns {
    /// The UDP size, if one is written that can be.
    pub fn size(&self) -> Option<u16> {
        u16::try_from(self.udp_size).ok().filter(|size| *size >= 512)
    }

    /// The network, if one is written that can be: an address, and how many of its bits are told.
    pub fn subnet(&self) -> Option<(IpAddr, u8)> {
        let (ip, bits) = match self.client_subnet.split_once('/') {
            Some((ip, bits)) => (ip, Some(bits)),
            None => (self.client_subnet.as_str(), None),
        };
        let ip: IpAddr = ip.parse().ok()?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most)?,
            None => most,
        };
        Some((ip, bits))
    }
}

/// DNS over HTTPS (RFC 8484).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Https {
    /// `POST` (also when empty) or `GET`.
    pub method: String,
    /// The path, `/dns-query` when empty; a server that is given as a URL has its own.
    pub path: String,
    /// HTTP/3, and nothing else.
    pub enable_http3: bool,
}

section!(Https {
    omit method as Method;
    omit path;
    omit enable_http3;
});

impl Section for Https {
    fn begin(&mut self) {
        *self = Self::default();
    }

    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        let is_path = |path: &str| path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic());
        if !self.path.is_empty() && !is_path(&self.path) {
            let message = format!("{:?} is not a path", self.path);
            d.report_field(node, "path", message, Some("it begins with a slash".to_owned()));
        }
    }
}

/// `GET` or `POST`.
struct Method;

impl Codec<String> for Method {
    fn decode(place: &mut String, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            let good = place.decode(node, d);
            if good && !matches!(place.as_str(), "" | "GET" | "POST") {
                d.report(node, format!("{place:?} is neither GET nor POST"), None);
            }
            good
        })
    }

    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::words(["GET", "POST"])
    }
    fn is_zero(place: &String) -> bool {
        place.is_empty()
    }
    fn tree(place: &String) -> Tree {
        Tree::text(place.as_str())
    }
}

//! How a name server is asked, beyond upstream. All of it is off by default.

use std::net::IpAddr;

use go_yaml::Id;
use gostd::address::{Address, split_host_port};
use gostd::url::Url;

use super::{NOT_DOH, ONLY_HTTPS};
use crate::config::client::url::UrlText;
use crate::config::codec::decode::Decoder;
use crate::config::codec::schema::{self, Sections};
use crate::config::codec::section::{Section, section};
use crate::config::codec::value::{Value as _, Variant, Within};

/// Most times that a query is sent again.
const MOST_RETRIES: i64 = 10;

section! {
    /// Settings of the dns prober that are not in upstream.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Asking {
        /// The server that is asked for the target; empty when the target is the server.
        omit server: UrlText as Server,
        /// Ask for DNSSEC records, and judge them.
        omit dnssec: bool,
        /// The OPT record.
        omit edns: Edns,
        /// DNS over HTTPS.
        omit https: Https,
        /// How often a query without a response is sent again.
        omit retries: i64 as Within<0, MOST_RETRIES>,
        /// Ask again over TCP when a response over UDP was truncated.
        omit tcp_on_truncation: bool,
        /// Expose what the response says of itself.
        omit facts: bool,
    }
}

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
        if let Some(message) = self.wrong_server(transport) {
            let help =
                "write HOST, HOST:PORT, or with transport_protocol: https a URL like https://HOST/dns-query";
            d.report_field(node, "server", message, help);
        }
        if self.tcp_on_truncation && !matches!(transport, "" | "udp") {
            let message = "\"tcp_on_truncation\" has no effect: only responses over UDP are truncated";
            d.warn(node, "tcp_on_truncation", message, None);
        }
        if self.https != Https::default() && transport != "https" {
            let help = "set transport_protocol: https";
            d.warn(
                node,
                "https",
                "\"https\" has no effect with another transport_protocol",
                help,
            );
        }
    }

    /// Why nobody can be asked at that server, if that is so. The text is not quoted: a URL may have a password.
    fn wrong_server(&self, transport: &str) -> Option<&'static str> {
        let text = &*self.server;
        let url = text
            .contains("://")
            .then(|| Url::parse(text.strip_suffix("{?dns}").unwrap_or(text)));
        let (host, port) = match &url {
            None if text.is_empty() => return None,
            None => split_host_port(text).unwrap_or((text, "")),
            Some(_) if transport != "https" => return Some(ONLY_HTTPS),
            Some(Ok(url)) if url.scheme == "https" && url.user.is_none() => (url.hostname(), url.port()),
            Some(_) => return Some(NOT_DOH),
        };
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = Address::parse(address.unwrap_or(host)).is_some()
            || !host.is_empty() && !host.contains(|c: char| c <= ' ' || ":/?#@[]\\,%".contains(c));
        let is_port = match port.bytes().all(|b| b.is_ascii_digit()) {
            true => port.is_empty() || port.parse::<u16>().is_ok(),
            false => port.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
        };
        match (is_host, is_port) {
            (false, _) => Some("the server has an invalid host"),
            (_, false) => Some("the server has an invalid port"),
            (true, true) => None,
        }
    }
}

section! {
    /// What the OPT record of the query says (RFC 6891). With anything in it, there is one.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Edns {
        /// The longest response over UDP that is asked for; 0 when it is not written.
        omit udp_size: i64 as UdpSize,
        /// Ask the server for its identifier.
        omit nsid: bool,
        /// The network for which the response must be valid.
        omit client_subnet: String as Network,
    }
}

impl Section for Edns {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        if self.udp_size != 0 && self.size().is_none() {
            let message = format!("\"udp_size\" is {}, not between 512 and 65535", self.udp_size);
            d.report_field(node, "udp_size", message, None);
        }
        if !self.client_subnet.is_empty() && self.subnet().is_none() {
            let message = format!("{:?} is not a network", self.client_subnet);
            let help = "write an address and how many of its bits are sent: 192.0.2.0/24";
            d.report_field(node, "client_subnet", message, help);
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

section! {
    /// DNS over HTTPS (RFC 8484).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Https {
        /// `POST` (also when empty) or `GET`.
        omit method: String as Method,
        /// The path, `/dns-query` when empty; a server that is given as a URL has its own.
        omit path: String as Path,
        /// HTTP/3, and nothing else.
        omit enable_http3: bool,
    }
}

impl Section for Https {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        let is_path = |path: &str| path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic());
        if !self.path.is_empty() && !is_path(&self.path) {
            let message = format!("{:?} is not a path", self.path);
            d.report_field(node, "path", message, "it begins with a slash");
        }
    }
}

/// A host, perhaps with a port, or a URL.
struct Server;

impl Variant<UrlText> for Server {
    fn schema(_: &mut Sections) -> serde_json::Value {
        let https = schema::any_case(["https"]);
        schema::form(&format!(r"^$|^{https}://[^/?#@]|^[^/?#@,\\ ]+$|\$\{{"))
    }
}

/// `GET` or `POST`.
struct Method;

impl Variant<String> for Method {
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
        schema::words(["GET", "POST", ""])
    }
}

/// 0, or from 512 to 65535.
struct UdpSize;

impl Variant<i64> for UdpSize {
    fn schema(_: &mut Sections) -> serde_json::Value {
        let sizes = [serde_json::json!({"enum": [0, null]}), schema::within(512, 65535)];
        serde_json::json!({"type": ["number", "null"], "anyOf": sizes})
    }
}

/// An address, and perhaps how many of its bits are told.
struct Network;

impl Variant<String> for Network {
    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::form(r"^([0-9A-Fa-f:.]+(/\+?[0-9]+)?)?$")
    }
}

/// A path of a URL.
struct Path;

impl Variant<String> for Path {
    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::form("^(/[!-~]*)?$")
    }
}

//! Section `dns`.

mod asking;

use go_yaml::Id;
use miekg_dns::names;

use crate::config::client::tls::Tls;
use crate::config::codec::decode::Decoder;
use crate::config::codec::meant::did_you_mean;
use crate::config::codec::schema::{self, Sections};
use crate::config::codec::section::{Section, section};
use crate::config::codec::shared::Shared;
use crate::config::codec::value::{IpProtocol, Nilable, Regexp, Variant};

pub use asking::{Asking, Edns};

section! {
    /// Settings of the dns prober.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct Dns {
        omit preferred_ip_protocol: String as IpProtocol,
        omit ip_protocol_fallback: bool = true,
        omit dns_over_tls: bool,
        omit tls_config: Shared<Tls>,
        omit source_ip_address: String,
        /// `udp` (also when empty), `tcp`, `https` or `quic`; anything else fails at probe time. Upstream has the first two.
        omit transport_protocol: String,
        /// Query class by name; `IN` when empty.
        omit query_class: String as Class,
        omit query_name: String,
        /// Query type by name; `ANY` when empty.
        omit query_type: String as Type,
        omit recursion_desired: bool = true,
        /// `None` accepts NOERROR, an empty list accepts nothing.
        omit valid_rcodes: Option<Vec<String>> as Nilable,
        omit validate_answer_rrs: RrValidator,
        omit validate_authority_rrs: RrValidator,
        omit validate_additional_rrs: RrValidator,
        /// How the server is asked. Not in upstream.
        inline asking: Asking,
    }
}

section! {
    /// Regular expressions over the text of the records of one section; compiled at probe time as upstream does.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct RrValidator {
        omit fail_if_matches_regexp: Vec<String> as Regexp,
        omit fail_if_all_match_regexp: Vec<String> as Regexp,
        omit fail_if_not_matches_regexp: Vec<String> as Regexp,
        omit fail_if_none_matches_regexp: Vec<String> as Regexp,
    }
}

/// What is reported where neither a name nor a server is written. A module whose scrapes must give one takes it back.
pub(crate) const NO_QUERY_NAME: &str = "query name must be set for DNS module";

/// What is reported where a URL is written for another transport. A module whose scrapes choose either takes it back.
pub(crate) const ONLY_HTTPS: &str = "only transport_protocol: https takes a URL";

/// What is wrong with another URL, without the URL: it may have a password.
pub(crate) const NOT_DOH: &str = "the server must be an https:// URL without user and password";

impl Dns {
    /// Whether queries are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.dns_over_tls || matches!(self.transport_protocol.as_str(), "https" | "quic")
    }
}

impl Section for Dns {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        self.asking.judge(&self.transport_protocol, node, d);
        let has_server = !self.asking.server.is_empty();
        if has_server && !self.query_name.is_empty() {
            let help = "remove query_name to query the name in the target, or server to query the target";
            let message = "with both server and query_name, the target of a probe has no effect";
            d.warn(node, "query_name", message, help);
        }
        if self.query_name.is_empty() && !has_server && !d.is_blamed("query_name") {
            let help = "add query_name: the name to query";
            d.report_field(node, "query_name", NO_QUERY_NAME, help);
        }
        for code in self.valid_rcodes.iter().flatten() {
            if names::rcode_number(code).is_none() {
                let names = names::rcodes().map(|(_, name)| name);
                let meant = did_you_mean(&code.to_uppercase(), names);
                let help = meant.map(|meant| format!("did you mean {meant}?"));
                d.warn(
                    node,
                    "valid_rcodes",
                    format!("{code:?} is not a response code: with no other, every probe fails"),
                    help,
                );
            }
        }
        let class = self.query_class.as_str();
        if !class.is_empty() && names::class_number(class).is_none() {
            let help = "classes are IN, CS, CH, HS, NONE and ANY, in capitals";
            d.report_field(
                node,
                "query_class",
                format!("query class '{class}' is not valid"),
                help,
            );
        }
        let kind = self.query_type.as_str();
        if !kind.is_empty() && names::type_number(kind).is_none() {
            let upper = kind.to_uppercase();
            let help = match names::type_number(&upper) {
                Some(_) => Some(format!("write {upper}")),
                None => {
                    did_you_mean(&upper, names::type_names()).map(|meant| format!("did you mean {meant}?"))
                }
            };
            d.report_field(
                node,
                "query_type",
                format!("query type '{kind}' is not valid"),
                help,
            );
        }
    }
}

impl Section for RrValidator {}

/// The name of a class.
struct Class;

impl Variant<String> for Class {
    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::form(&format!(
            "^({})?$",
            names::class_names().collect::<Vec<_>>().join("|")
        ))
    }
}

/// The name of a type.
struct Type;

impl Variant<String> for Type {
    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::form(&format!(
            "^({})?$",
            names::type_names().collect::<Vec<_>>().join("|")
        ))
    }
}

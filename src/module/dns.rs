//! The compiled `dns` section.

use super::Problems;
use crate::check::regexp::{self, Regexp};
use crate::config;
use crate::config::dns_names::{class_number, type_number};
use crate::net::Preference;
use crate::net::port::Protocol;
use crate::net::tls::ClientTls;

pub use miekg_dns::{NameError, Query};

/// A dns module, ready to run.
#[derive(Debug)]
pub struct Dns {
    /// Which addresses of the target may be asked.
    pub preference: Preference,
    /// As written: `udp`, `tcp`, empty, or something that fails the probe.
    pub transport_protocol: String,
    /// DNS over TLS.
    pub tls: Option<ClientTls>,
    /// As written: an address, empty, or something that fails the probe.
    pub source_ip_address: String,
    /// The name to ask for, as written.
    pub query_name: String,
    /// The type to ask for.
    pub query_type: u16,
    /// The class to ask for.
    pub query_class: u16,
    /// The message; a name that cannot be asked for fails the probe, not the configuration.
    pub query: Result<Query, NameError>,
    /// Names of response codes; `None` accepts NOERROR.
    pub valid_rcodes: Option<Vec<String>>,
    /// Of the answer section.
    pub validate_answer: RrValidator,
    /// Of the authority section.
    pub validate_authority: RrValidator,
    /// Of the additional section.
    pub validate_additional: RrValidator,
}

/// The expressions that judge the records of a section.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct RrValidator {
    pub fail_if_matches: Vec<Pattern>,
    pub fail_if_all_match: Vec<Pattern>,
    pub fail_if_not_matches: Vec<Pattern>,
    pub fail_if_none_matches: Vec<Pattern>,
}

/// An expression; one that does not compile fails the probe when it is asked, not the configuration.
#[derive(Debug)]
pub struct Pattern {
    /// As written.
    pub source: String,
    /// Compiled once a reload.
    pub compiled: Result<Regexp, regexp::Error>,
}

impl Dns {
    /// Compiles the section; what cannot be compiled is reported to `problems`.
    pub fn compile(raw: &config::Dns, problems: &mut Problems) -> Self {
        let mut number = |field: &str, name: &str, default: &str, lookup: fn(&str) -> Option<u16>| {
            let name = if name.is_empty() { default } else { name };
            lookup(name).unwrap_or_else(|| {
                problems.report(format!("dns.{field}"), format!("{name:?} is not known"));
                0
            })
        };
        let query_type = number("query_type", &raw.query_type, "ANY", type_number);
        let query_class = number("query_class", &raw.query_class, "IN", class_number);
        Self {
            preference: Preference::new(&raw.preferred_ip_protocol, raw.ip_protocol_fallback),
            transport_protocol: raw.transport_protocol.clone(),
            tls: raw.dns_over_tls.then(|| ClientTls::new(&raw.tls_config)),
            source_ip_address: raw.source_ip_address.clone(),
            query_name: raw.query_name.clone(),
            query_type,
            query_class,
            query: Query::new(&raw.query_name, query_type, query_class, raw.recursion_desired),
            valid_rcodes: raw.valid_rcodes.clone(),
            validate_answer: RrValidator::compile(&raw.validate_answer_rrs, problems),
            validate_authority: RrValidator::compile(&raw.validate_authority_rrs, problems),
            validate_additional: RrValidator::compile(&raw.validate_additional_rrs, problems),
        }
    }

    /// The transport protocol, unless it is none.
    pub fn protocol(&self) -> Option<Protocol> {
        match self.transport_protocol.as_str() {
            "" | "udp" => Some(Protocol::Udp),
            "tcp" => Some(Protocol::Tcp),
            _ => None,
        }
    }
}

impl RrValidator {
    fn compile(raw: &config::RrValidator, problems: &mut Problems) -> Self {
        let mut patterns = |sources: &[String]| {
            let pattern = |source: &String| Pattern {
                source: source.clone(),
                compiled: problems.regexp(source),
            };
            sources.iter().map(pattern).collect()
        };
        Self {
            fail_if_matches: patterns(&raw.fail_if_matches_regexp),
            fail_if_all_match: patterns(&raw.fail_if_all_match_regexp),
            fail_if_not_matches: patterns(&raw.fail_if_not_matches_regexp),
            fail_if_none_matches: patterns(&raw.fail_if_none_matches_regexp),
        }
    }
}

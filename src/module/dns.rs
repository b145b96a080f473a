//! The compiled `dns` section.

use std::borrow::Cow;

use miekg_dns::Edns;

use super::{Problems, SectionSource};
use crate::check::regexp::{self, Regexp};
use crate::config;
use crate::config::dns_names::{class_number, type_number};
use crate::net::Preference;
use crate::net::dns::DohMethod;
use crate::net::tls::ClientTls;
use crate::net::url::idna_ascii;

pub use miekg_dns::{NameError, Query};

/// A dns module, ready to run.
#[derive(Debug)]
pub struct Dns {
    /// Which addresses of the target may be asked.
    pub preference: Preference,
    /// As written: `udp`, `tcp`, `https`, `quic`, empty, or something that fails the probe.
    pub transport_protocol: String,
    /// TLS: over TCP if the module says so, over HTTPS and QUIC always.
    pub tls: Option<ClientTls>,
    /// The source address.
    pub source: SectionSource,
    /// The name to ask for, as written.
    pub query_name: String,
    /// The type to ask for.
    pub query_type: u16,
    /// The class to ask for.
    pub query_class: u16,
    /// Whether recursion is requested.
    recursion_desired: bool,
    /// The message for the query name; a name that cannot be asked for fails the probe, not the configuration.
    query: Result<Query, NameError>,
    /// Names of response codes; `None` accepts NOERROR.
    pub valid_rcodes: Option<Vec<String>>,
    /// Of the answer section.
    pub validate_answer: RrValidator,
    /// Of the authority section.
    pub validate_authority: RrValidator,
    /// Of the additional section.
    pub validate_additional: RrValidator,
    /// The server, if it is not the target.
    pub server: Option<Box<str>>,
    /// The OPT record, if there is one.
    pub edns: Option<Edns>,
    /// How DNS over HTTPS asks.
    pub method: DohMethod,
    /// Its path.
    pub path: Box<str>,
    /// Over HTTP/3.
    pub http3: bool,
    /// How often the query is sent again.
    pub retries: u32,
    /// Whether a truncated answer over UDP is asked for again over TCP.
    pub tcp_on_truncation: bool,
    /// Whether facts of the answer are exposed.
    pub facts: bool,
}

/// The way of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DnsTransport {
    Udp,
    Tcp,
    Https,
    Quic,
}

impl DnsTransport {
    /// As it is written, or nothing.
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "" | "udp" => Some(Self::Udp),
            "tcp" => Some(Self::Tcp),
            "https" => Some(Self::Https),
            "quic" => Some(Self::Quic),
            _ => None,
        }
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Https => "https",
            Self::Quic => "quic",
        }
    }
}

/// The expressions that judge the records of a section.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct RrValidator {
    pub fail_if_matches: Vec<Pattern>,
    pub fail_if_all_match: Vec<Pattern>,
    pub fail_if_not_matches: Vec<Pattern>,
    pub fail_if_none_matches: Vec<Pattern>,
}

/// An expression; one that does not compile fails the probe when it is asked, not the configuration.
#[derive(Clone, Debug)]
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
        let source = problems.source("dns.source_ip_address", &raw.source_ip_address);
        let asking = &raw.asking;
        let edns = (asking.dnssec || asking.edns != config::Edns::default()).then(|| Edns {
            udp_size: asking.edns.size().unwrap_or(UDP_SIZE),
            dnssec: asking.dnssec,
            nsid: asking.edns.nsid,
            client_subnet: asking.edns.subnet(),
        });
        if DnsTransport::from_name(&raw.transport_protocol).is_none() {
            let message = format!("{:?} is no transport: every probe fails", raw.transport_protocol);
            problems.warn(
                "dns.transport_protocol",
                message,
                Some("udp, tcp, https and quic are"),
            );
        }
        let query = Query::new(&raw.query_name, query_type, query_class, raw.recursion_desired);
        let query = extended(query, edns.as_ref(), asking.facts);
        if let Err(error) = &query
            && !raw.query_name.is_empty()
        {
            problems.warn("dns.query_name", format_args!("{error}: every probe fails"), None);
        }
        let path = Some(asking.https.path.as_str()).filter(|path| !path.is_empty());
        Self {
            preference: Preference::new(&raw.preferred_ip_protocol, raw.ip_protocol_fallback),
            transport_protocol: raw.transport_protocol.clone(),
            tls: raw.is_encrypted().then(|| problems.tls(&raw.tls_config)),
            source,
            query_name: raw.query_name.clone(),
            query_type,
            query_class,
            recursion_desired: raw.recursion_desired,
            query,
            valid_rcodes: raw.valid_rcodes.clone(),
            validate_answer: RrValidator::compile(&raw.validate_answer_rrs, "answer", problems),
            validate_authority: RrValidator::compile(&raw.validate_authority_rrs, "authority", problems),
            validate_additional: RrValidator::compile(&raw.validate_additional_rrs, "additional", problems),
            server: Some(&*asking.server)
                .filter(|server| !server.is_empty())
                .map(Into::into),
            edns,
            method: match asking.https.method.as_str() {
                "GET" => DohMethod::Get,
                _ => DohMethod::Post,
            },
            path: path.unwrap_or("/dns-query").into(),
            http3: asking.https.enable_http3,
            retries: u32::try_from(asking.retries).unwrap_or(0),
            tcp_on_truncation: asking.tcp_on_truncation,
            facts: asking.facts,
        }
    }

    /// The way of the query, unless it is none.
    pub fn transport(&self) -> Option<DnsTransport> {
        DnsTransport::from_name(&self.transport_protocol)
    }

    /// Whether the target is the name that is asked for.
    pub fn asks_for_target(&self) -> bool {
        self.server.is_some() && self.query_name.is_empty()
    }

    /// The name that a probe of `target` asks for.
    pub fn name_for<'a>(&'a self, target: &'a str) -> Cow<'a, str> {
        match self.asks_for_target() {
            true if target.is_ascii() => target.into(),
            true => idna_ascii(target),
            false => self.query_name.as_str().into(),
        }
    }

    /// The query of a probe that asks for `name`.
    ///
    /// # Errors
    /// Nobody can be asked for that name.
    pub fn query_for(&self, name: &str) -> Result<Query, NameError> {
        if !self.asks_for_target() {
            return self.query.clone();
        }
        let query = Query::new(name, self.query_type, self.query_class, self.recursion_desired);
        extended(query, self.edns.as_ref(), self.facts)
    }
}

/// The longest answer over UDP that is asked for when nothing else is written (<https://dnsflagday.net/2020/>).
const UDP_SIZE: u16 = 1232;

/// The query with what upstream's does not have.
fn extended(query: Result<Query, NameError>, edns: Option<&Edns>, facts: bool) -> Result<Query, NameError> {
    let query = if facts { query?.with_ad() } else { query? };
    match edns {
        Some(edns) => query.with_edns(edns),
        None => Ok(query),
    }
}

impl RrValidator {
    fn compile(raw: &config::RrValidator, section: &str, problems: &mut Problems) -> Self {
        let mut patterns = |field: &str, sources: &[String]| {
            let pattern = |(index, source): (usize, &String)| {
                let compiled = problems.regexp(source);
                if let Err(error) = &compiled {
                    let path = format!("dns.validate_{section}_rrs.{field}[{index}]");
                    let message = format!("{error}: a probe that gets this far fails");
                    problems.warn(path, message, error.hint());
                }
                Pattern {
                    source: source.clone(),
                    compiled,
                }
            };
            sources.iter().enumerate().map(pattern).collect()
        };
        Self {
            fail_if_matches: patterns("fail_if_matches_regexp", &raw.fail_if_matches_regexp),
            fail_if_all_match: patterns("fail_if_all_match_regexp", &raw.fail_if_all_match_regexp),
            fail_if_not_matches: patterns("fail_if_not_matches_regexp", &raw.fail_if_not_matches_regexp),
            fail_if_none_matches: patterns("fail_if_none_matches_regexp", &raw.fail_if_none_matches_regexp),
        }
    }
}

//! Section `dns`.

use super::Tls;

/// Settings of the dns prober.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Dns {
    pub preferred_ip_protocol: String,
    pub ip_protocol_fallback: bool,
    pub dns_over_tls: bool,
    pub tls_config: Tls,
    pub source_ip_address: String,
    /// `udp` (also when empty) or `tcp`; anything else fails at probe time.
    pub transport_protocol: String,
    /// Query class by name; `IN` when empty.
    pub query_class: String,
    pub query_name: String,
    /// Query type by name; `ANY` when empty.
    pub query_type: String,
    pub recursion_desired: bool,
    /// `None` accepts NOERROR, an empty list accepts nothing.
    pub valid_rcodes: Option<Vec<String>>,
    pub validate_answer_rrs: RrValidator,
    pub validate_authority_rrs: RrValidator,
    pub validate_additional_rrs: RrValidator,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            preferred_ip_protocol: String::new(),
            ip_protocol_fallback: true,
            dns_over_tls: false,
            tls_config: Tls::default(),
            source_ip_address: String::new(),
            transport_protocol: String::new(),
            query_class: String::new(),
            query_name: String::new(),
            query_type: String::new(),
            recursion_desired: true,
            valid_rcodes: None,
            validate_answer_rrs: RrValidator::default(),
            validate_authority_rrs: RrValidator::default(),
            validate_additional_rrs: RrValidator::default(),
        }
    }
}

/// Regular expressions over the text of the records of one section; compiled at probe time as upstream does.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct RrValidator {
    pub fail_if_matches_regexp: Vec<String>,
    pub fail_if_all_match_regexp: Vec<String>,
    pub fail_if_not_matches_regexp: Vec<String>,
    pub fail_if_none_matches_regexp: Vec<String>,
}

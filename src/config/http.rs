//! Section `http`.

use std::collections::BTreeMap;

use super::HttpClient;

/// Settings of the http prober.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Accepted status codes; any 2xx when empty.
    pub valid_status_codes: Vec<i64>,
    /// Accepted protocol versions (`HTTP/1.1`, compared exactly); any when empty.
    pub valid_http_versions: Vec<String>,
    /// `ip4` or `ip6`; anything but `ip6` and empty means ip4.
    pub preferred_ip_protocol: String,
    /// Whether the other family may be used.
    pub ip_protocol_fallback: bool,
    /// Let the proxy resolve the target's name.
    pub skip_resolve_phase_with_proxy: bool,
    /// Old, inverted name of `follow_redirects`.
    pub no_follow_redirects: Option<bool>,
    /// Fail when the last answer came over TLS.
    pub fail_if_ssl: bool,
    /// Fail when the last answer did not come over TLS.
    pub fail_if_not_ssl: bool,
    /// Request method; `GET` when empty.
    pub method: String,
    /// Request headers.
    pub headers: BTreeMap<String, String>,
    /// Regular expressions (RE2 syntax) that the body must not match.
    pub fail_if_body_matches_regexp: Vec<String>,
    /// Regular expressions that the body must match.
    pub fail_if_body_not_matches_regexp: Vec<String>,
    /// CEL expression over the JSON body that must be false.
    pub fail_if_body_json_matches_cel: Option<String>,
    /// CEL expression over the JSON body that must be true.
    pub fail_if_body_json_not_matches_cel: Option<String>,
    /// Header values that must not match.
    pub fail_if_header_matches: Vec<HeaderMatch>,
    /// Header values that must match.
    pub fail_if_header_not_matches: Vec<HeaderMatch>,
    /// Request body.
    pub body: String,
    /// File with the request body, read at probe time.
    pub body_file: String,
    /// The shared client configuration, inlined in the section.
    pub client: HttpClient,
    /// Compression that the answer must have: `gzip`, `br`, `deflate`, `identity` or empty for none.
    pub compression: String,
    /// Most bytes of the body to read, after decompression; 0 means no limit.
    pub body_size_limit: i64,
    /// Use HTTP/3 only.
    pub enable_http3: bool,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            valid_status_codes: Vec::new(),
            valid_http_versions: Vec::new(),
            preferred_ip_protocol: String::new(),
            ip_protocol_fallback: true,
            skip_resolve_phase_with_proxy: false,
            no_follow_redirects: None,
            fail_if_ssl: false,
            fail_if_not_ssl: false,
            method: String::new(),
            headers: BTreeMap::new(),
            fail_if_body_matches_regexp: Vec::new(),
            fail_if_body_not_matches_regexp: Vec::new(),
            fail_if_body_json_matches_cel: None,
            fail_if_body_json_not_matches_cel: None,
            fail_if_header_matches: Vec::new(),
            fail_if_header_not_matches: Vec::new(),
            body: String::new(),
            body_file: String::new(),
            client: HttpClient::default(),
            compression: String::new(),
            body_size_limit: 0,
            enable_http3: false,
        }
    }
}

/// One entry of `fail_if_header_matches` and `fail_if_header_not_matches`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeaderMatch {
    /// Header name, in any case.
    pub header: String,
    /// Regular expression (RE2 syntax).
    pub regexp: String,
    /// Whether the header may be missing.
    pub allow_missing: bool,
}

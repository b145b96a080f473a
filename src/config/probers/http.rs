//! Section `http`.

use go_yaml::Id;

use super::status::StatusCodes;
use crate::config::client::http_client::HttpClient;
use crate::config::client::http_client::canonical_header;
use crate::config::codec::decode::Decoder;
use crate::config::codec::named::Named;
use crate::config::codec::section::{Section, section};
use crate::config::codec::value::{Cel, IpProtocol, Pattern, Regexp, SentBytes, Size};

section! {
    /// Settings of the http prober.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Http {
        /// Accepted status codes; any 2xx when empty.
        omit valid_status_codes: Vec<StatusCodes>,
        /// Accepted protocol versions (`HTTP/1.1`, compared exactly); any when empty.
        omit valid_http_versions: Vec<String>,
        /// `ip4` or `ip6`; anything but `ip6` and empty means ip4.
        omit preferred_ip_protocol: String as IpProtocol,
        /// Whether the other family may be used.
        omit ip_protocol_fallback: bool = true,
        /// Let the proxy resolve the target's name.
        omit skip_resolve_phase_with_proxy: bool,
        /// Old, inverted name of `follow_redirects`.
        omit no_follow_redirects: Option<bool>,
        /// Fail when the last answer came over TLS.
        omit fail_if_ssl: bool,
        /// Fail when the last answer did not come over TLS.
        omit fail_if_not_ssl: bool,
        /// Request method; `GET` when empty.
        omit method: String,
        /// Request headers.
        omit headers: Named<String>,
        /// Regular expressions (RE2 syntax) that the body must not match.
        omit fail_if_body_matches_regexp: Vec<String> as Pattern,
        /// Regular expressions that the body must match.
        omit fail_if_body_not_matches_regexp: Vec<String> as Pattern,
        /// CEL expression over the JSON body that must be false.
        omit fail_if_body_json_matches_cel: Option<String> as Cel,
        /// CEL expression over the JSON body that must be true.
        omit fail_if_body_json_not_matches_cel: Option<String> as Cel,
        /// Header values that must not match.
        omit fail_if_header_matches: Vec<HeaderMatch>,
        /// Header values that must match.
        omit fail_if_header_not_matches: Vec<HeaderMatch>,
        /// Request body; `!!binary` values are not text.
        omit body: Vec<u8> as SentBytes,
        /// File with the request body, read at probe time.
        omit body_file: String,
        /// The shared client configuration, inlined in the section.
        inline client: HttpClient,
        /// Compression that the answer must have: `gzip`, `br`, `deflate`, `identity` or empty for none.
        omit compression: String,
        /// Most bytes of the body to read, after decompression; 0 means no limit.
        omit body_size_limit: i64 as Size,
        /// Keep the beginning of the body for pages and logs; ours.
        omit include_response_body: bool,
        /// Use HTTP/3 only.
        omit enable_http3: bool,
        /// Whether to look certificates up in lists of revoked ones.
        omit check_revoked: bool,
    }
}

section! {
    /// One entry of `fail_if_header_matches` and `fail_if_header_not_matches`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct HeaderMatch {
        /// Header name, in any case.
        omit header: String,
        /// Regular expression (RE2 syntax).
        omit regexp: String as Regexp,
        /// Whether the header may be missing.
        omit allow_missing: bool,
    }
}

impl Section for Http {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        if self.body_size_limit < 0 || self.body_size_limit == i64::MAX {
            self.body_size_limit = i64::MAX - 1;
        }
        self.client.judge(node, d);
        // The old name is hidden from /config; its effect is in `follow_redirects`.
        if let Some(no_follow) = self.no_follow_redirects.take() {
            self.client.follow_redirects = !no_follow;
            let message = "no_follow_redirects is deprecated and will be removed in the next release. It is replaced by follow_redirects.";
            d.warn(
                node,
                "no_follow_redirects",
                message,
                format!("write follow_redirects: {}", !no_follow),
            );
        }
        if !self.body.is_empty() && !self.body_file.is_empty() {
            d.report_field(
                node,
                "body_file",
                "setting body and body_file both are not allowed",
                None,
            );
        }
        for (name, value) in &self.headers {
            if canonical_header(name) == "Accept-Encoding" && !accepts(value, &self.compression) {
                let compression = &self.compression;
                let shown = d.shown(&["headers", name]);
                let value = shown.as_ref().unwrap_or(value);
                let message =
                    format!("invalid configuration \"{name}: {value}\", \"compression: {compression}\"");
                let help = format!("the header must accept {compression}, or be left out");
                d.report_field(node, "compression", message, help);
            }
        }
        let wants = |version: &str| self.valid_http_versions.iter().any(|v| v == version);
        if !self.enable_http3 && wants("HTTP/3.0") {
            let message = "HTTP/3 cannot be used as a valid HTTP version when enable_http3 is false";
            d.report_field(
                node,
                "valid_http_versions",
                message,
                "set enable_http3: true and enable_http2: false",
            );
        }
        if self.enable_http3 && (wants("HTTP/2.0") || wants("HTTP/1.1")) {
            let message = "HTTP/3 and HTTP/2.0/1.1 cannot be used together - only HTTP/3.0 is allowed when enable_http3 is true";
            d.report_field(node, "valid_http_versions", message, None);
        }
        if self.enable_http3 && self.client.enable_http2 {
            let message = "when enable_http3 is true, enable_http2 must be set to false";
            d.report_field(node, "enable_http3", message, "add enable_http2: false");
        }
        self.warn(node, d);
    }
}

/// Everything that a response's version can be.
const VERSIONS: [&str; 4] = ["HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0"];

impl Http {
    /// Warns about what loads and is probably not meant.
    fn warn(&self, node: Id, d: &mut Decoder<'_, '_>) {
        if self.enable_http3 {
            let message = "HTTP/3 is enabled for this module. HTTP targets will be automatically converted to HTTPS during probing. Consider using HTTPS targets directly in your configuration.";
            d.warn(node, "enable_http3", message, None);
        }
        // compat: upstream loads this without a word, and every probe fails.
        for version in self
            .valid_http_versions
            .iter()
            .filter(|v| !VERSIONS.contains(&v.as_str()))
        {
            let message =
                format!("valid_http_versions: {version:?} never matches, versions are compared exactly");
            d.warn(
                node,
                "valid_http_versions",
                message,
                format!("versions are {}", VERSIONS.join(", ")),
            );
        }
        let body_checks = [
            (
                "fail_if_body_matches_regexp",
                !self.fail_if_body_matches_regexp.is_empty(),
            ),
            (
                "fail_if_body_not_matches_regexp",
                !self.fail_if_body_not_matches_regexp.is_empty(),
            ),
            (
                "fail_if_body_json_matches_cel",
                self.fail_if_body_json_matches_cel.is_some(),
            ),
            (
                "fail_if_body_json_not_matches_cel",
                self.fail_if_body_json_not_matches_cel.is_some(),
            ),
        ];
        for (field, is_set) in body_checks {
            if is_set && self.method == "HEAD" {
                let message = "a response to HEAD has no body to check";
                d.warn(node, field, message, "write method: GET, or leave it out");
            }
        }
        if self.fail_if_ssl && self.fail_if_not_ssl {
            let message = "fail_if_ssl is set, too: every probe fails";
            d.warn(node, "fail_if_not_ssl", message, None);
        }
        let has_proxy = self.client.proxy.url().is_some() || self.client.proxy.proxy_from_environment;
        if has_proxy && self.enable_http3 {
            let message = "requests over HTTP/3 are not sent through the proxy";
            let help = "leave it out, or use HTTP/2";
            d.warn(node, "proxy_url", message, help);
        } else if has_proxy && !self.skip_resolve_phase_with_proxy {
            let message = "a proxy is set, but the target's name is still resolved locally before each probe";
            let help = "set skip_resolve_phase_with_proxy: true to leave that to the proxy";
            d.warn(node, "proxy_url", message, help);
        }
    }
}

impl Section for HeaderMatch {
    const REQUIRED: &'static [&'static str] = &["header", "regexp"];

    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        if self.header.is_empty() && !d.is_blamed("header") {
            d.report_field(
                node,
                "header",
                "header name must be set for HTTP header matchers",
                None,
            );
        }
        if self.regexp.is_empty() && !d.is_blamed("regexp") {
            d.report_field(
                node,
                "regexp",
                "regexp must be set for HTTP header matchers",
                None,
            );
        }
    }
}

/// Whether an `Accept-Encoding` header lets an answer have this compression: the most preferred entry that names it, or
/// `*`, must not be refused (`q=0`).
fn accepts(header: &str, compression: &str) -> bool {
    if header.is_empty() || compression.is_empty() {
        return true;
    }
    let mut entries: Vec<(&str, f32)> = header
        .split(',')
        .map(|part| match part.rsplit_once(';') {
            None => (part.trim(), 1.0),
            Some((name, quality)) => {
                let quality = quality.trim();
                let quality: f32 = quality
                    .strip_prefix("q=")
                    .unwrap_or(quality)
                    .parse()
                    .unwrap_or(0.0);
                (name.trim(), (quality * 1000.0).round() / 1000.0)
            }
        })
        .collect();
    entries.sort_by(|a, b| b.1.total_cmp(&a.1));
    let named = entries
        .iter()
        .find(|(name, _)| *name == compression || *name == "*");
    named.is_some_and(|(_, quality)| *quality > 0.0)
}

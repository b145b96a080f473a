//! The compiled `http` section.

use std::sync::Arc;

use bytes::Bytes;

use super::Problems;
use crate::check::{Cel, Regexp};
use crate::config;
use crate::net::Preference;
use crate::net::headers::{Headers, canonical, is_sendable_value, is_token};
use crate::net::oauth2::TokenSource;
use crate::net::proxy::Proxies;
use crate::net::tls::ClientTls;

/// What the requests of this program call themselves.
pub const USER_AGENT: &str = concat!("Blackbox-Exporter/", env!("CARGO_PKG_VERSION"));

/// A http module, ready to run.
#[derive(Debug)]
pub struct Http {
    /// Which address family to dial.
    pub preference: Preference,
    /// Whether the target's name is looked up here (and not by a proxy).
    pub resolves: bool,
    /// Request method.
    pub method: String,
    /// Request headers but `Host`; names in canonical form, `User-Agent` included.
    pub headers: Headers,
    /// Which of them are credentials, going by their names.
    pub secret_headers: Vec<String>,
    /// The `Host` of the request headers.
    pub host: Option<String>,
    /// Request body.
    pub body: BodySource,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// Which protocols are spoken.
    pub protocol: HttpProtocol,
    /// TLS settings.
    pub tls: ClientTls,
    /// Whether the TLS settings say anything: they must be right even if TLS is not spoken.
    pub tls_is_configured: bool,
    /// Proxies.
    pub proxies: Proxies,
    /// Credentials of the module.
    pub credentials: Option<Credentials>,
    /// `http_headers`: more headers, added to every request.
    pub more_headers: config::Named<config::Header>,
    /// What the answer's body must be decompressed with.
    pub compression: Compression,
    /// Most bytes of a body, after decompression.
    pub body_size_limit: Option<u64>,
    /// Whether the beginning of the answer's body is kept for people.
    pub includes_body: bool,
    /// Accepted status codes; any 2xx when empty.
    pub valid_status_codes: Vec<config::StatusCodes>,
    /// Accepted protocols; any when empty.
    pub valid_http_versions: Vec<String>,
    /// Fail when the last answer came over TLS.
    pub fail_if_ssl: bool,
    /// Fail when the last answer did not come over TLS.
    pub fail_if_not_ssl: bool,
    /// Header values that must not match.
    pub headers_unwanted: Vec<HeaderRule>,
    /// Header values that must match.
    pub headers_wanted: Vec<HeaderRule>,
    /// Expressions that the body must not match.
    pub body_unwanted: Vec<Regexp>,
    /// Expressions that the body must match.
    pub body_wanted: Vec<Regexp>,
    /// An expression over a JSON body that must be false.
    pub cel_unwanted: Option<Cel>,
    /// An expression over a JSON body that must be true.
    pub cel_wanted: Option<Cel>,
}

/// The body of the request.
#[derive(Clone, Debug)]
pub enum BodySource {
    /// None.
    Empty,
    /// From the configuration.
    Inline(Bytes),
    /// Read when the probe runs.
    File(String),
}

/// Which protocols are spoken over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpProtocol {
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 if the peer wants to.
    Http2,
    /// HTTP/3 only.
    Http3,
}

/// Credentials that go with every request to the target's host.
#[derive(Debug)]
pub enum Credentials {
    /// `basic_auth`.
    Basic(Arc<config::BasicAuth>),
    /// `authorization`, `bearer_token`, `bearer_token_file`.
    Authorization(Arc<config::Authorization>),
    /// `oauth2`.
    OAuth2(Box<TokenSource>),
}

impl Credentials {
    /// Which of them is only named, in a secret manager that nobody has.
    pub fn only_named(&self) -> Option<&'static str> {
        match self {
            Self::Basic(basic) if !basic.username_ref.is_empty() => Some("username"),
            Self::Basic(basic) if !basic.password_ref.is_empty() => Some("password"),
            Self::Authorization(authorization) if !authorization.credentials_ref.is_empty() => {
                Some("credentials")
            }
            Self::OAuth2(source) => source.only_named(),
            Self::Basic(_) | Self::Authorization(_) => None,
        }
    }
}

/// What a body is compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Nothing, or nobody cares.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1951, without zlib's head.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// A name that nobody knows: every probe fails.
    Unknown,
}

/// What the values of a header must, or must not, match.
#[derive(Debug)]
pub struct HeaderRule {
    /// Name as configured.
    pub header: String,
    /// Name in canonical form.
    pub name: String,
    /// The expression.
    pub regexp: Regexp,
    /// Whether the header may be missing.
    pub allow_missing: bool,
}

impl HeaderRule {
    /// Whether a value matches as it is `wanted`: one, or none.
    pub async fn passes(&self, headers: &Headers, wanted: bool) -> bool {
        if !headers.contains(&self.name) {
            return self.allow_missing;
        }
        let mut matches = false;
        for value in headers.values(&self.name) {
            tokio::task::consume_budget().await;
            matches = matches || self.regexp.matches(value).await;
        }
        matches == wanted
    }
}

impl Http {
    /// Compiles the section; what cannot be compiled is reported to `problems`.
    pub fn compile(raw: &config::Http, problems: &mut Problems) -> Self {
        let client = &raw.client;
        let (headers, host) = request_headers(raw);
        // As in upstream, an empty URL counts as a proxy here, although none is used.
        let has_proxy = client.proxy.proxy_url.is_some() || client.proxy.proxy_from_environment;
        if !is_token(raw.method.as_bytes()) && !raw.method.is_empty() {
            problems.warn(
                "http.method",
                format_args!("{:?} is no method: every probe fails", raw.method),
                None,
            );
        }
        let odd = |(name, value): &(&[u8], &[u8])| !is_token(name) || !is_sendable_value(value);
        if let Some((name, _)) = headers.iter().find(odd) {
            // Without the value, which may be a secret.
            let name = String::from_utf8_lossy(name);
            problems.warn(
                "http.headers",
                format_args!("the header {name:?} cannot be sent: every probe fails"),
                None,
            );
        }
        let tls = &client.tls_config;
        let protocol = match (raw.enable_http3, client.enable_http2) {
            (true, _) => HttpProtocol::Http3,
            (false, true) => HttpProtocol::Http2,
            (false, false) => HttpProtocol::Http1,
        };
        Self {
            preference: Preference::new(&raw.preferred_ip_protocol, raw.ip_protocol_fallback),
            resolves: !raw.skip_resolve_phase_with_proxy || !has_proxy,
            method: if raw.method.is_empty() {
                "GET".to_owned()
            } else {
                raw.method.clone()
            },
            secret_headers: secret_names(&headers),
            headers,
            host,
            body: body(raw),
            follow_redirects: client.follow_redirects,
            protocol,
            tls: problems.tls(tls),
            tls_is_configured: *tls != config::Shared::default(),
            proxies: Proxies::new(&client.proxy).unwrap_or_else(|error| {
                problems.report("http.proxy_url", format!("not a URL: {error}"));
                Proxies::default()
            }),
            credentials: credentials(client, problems),
            more_headers: client.http_headers.clone().unwrap_or_default(),
            compression: compression(&raw.compression),
            body_size_limit: u64::try_from(raw.body_size_limit).ok().filter(|limit| *limit > 0),
            includes_body: raw.include_response_body,
            valid_status_codes: raw.valid_status_codes.clone(),
            valid_http_versions: raw.valid_http_versions.clone(),
            fail_if_ssl: raw.fail_if_ssl,
            fail_if_not_ssl: raw.fail_if_not_ssl,
            headers_unwanted: header_rules(&raw.fail_if_header_matches, "fail_if_header_matches", problems),
            headers_wanted: header_rules(
                &raw.fail_if_header_not_matches,
                "fail_if_header_not_matches",
                problems,
            ),
            body_unwanted: regexps(
                &raw.fail_if_body_matches_regexp,
                "fail_if_body_matches_regexp",
                problems,
            ),
            body_wanted: regexps(
                &raw.fail_if_body_not_matches_regexp,
                "fail_if_body_not_matches_regexp",
                problems,
            ),
            cel_unwanted: cel(
                raw.fail_if_body_json_matches_cel.as_deref(),
                "fail_if_body_json_matches_cel",
                problems,
            ),
            cel_wanted: cel(
                raw.fail_if_body_json_not_matches_cel.as_deref(),
                "fail_if_body_json_not_matches_cel",
                problems,
            ),
        }
    }

    /// Whether the status code is one of the valid ones.
    pub fn accepts(&self, status: u16) -> bool {
        match self.valid_status_codes.as_slice() {
            [] => (200..300).contains(&status),
            valid => valid.iter().any(|valid| valid.contains(i64::from(status))),
        }
    }

    /// Whether some check looks at the body.
    pub fn looks_at_body(&self) -> bool {
        self.has_body_regexps() || self.has_cel()
    }

    /// Whether there are expressions over the body.
    pub fn has_body_regexps(&self) -> bool {
        !self.body_unwanted.is_empty() || !self.body_wanted.is_empty()
    }

    /// Most bytes of a body that one of its CEL expressions may judge.
    pub fn most_judged(&self) -> usize {
        let expressions = self.cel_unwanted.iter().chain(&self.cel_wanted);
        expressions.map(Cel::most_judged).max().unwrap_or(0)
    }

    /// Whether there are CEL expressions.
    pub fn has_cel(&self) -> bool {
        self.cel_unwanted.is_some() || self.cel_wanted.is_some()
    }
}

fn request_headers(raw: &config::Http) -> (Headers, Option<String>) {
    let mut headers = Headers::default();
    let mut host = None;
    for (name, value) in &raw.headers {
        if canonical(name) == "Host" {
            host = Some(value.clone());
        } else {
            headers.set(name, value);
        }
    }
    if !headers.contains("User-Agent") {
        headers.set("User-Agent", USER_AGENT);
    }
    (headers, host)
}

fn secret_names(headers: &Headers) -> Vec<String> {
    let names = headers.iter().map(|(name, _)| String::from_utf8_lossy(name));
    names
        .filter(|name| config::names_secret(name))
        .map(String::from)
        .collect()
}

fn body(raw: &config::Http) -> BodySource {
    match (raw.body_file.as_str(), raw.body.as_slice()) {
        ("", []) => BodySource::Empty,
        ("", inline) => BodySource::Inline(Bytes::copy_from_slice(inline)),
        (file, _) => BodySource::File(file.to_owned()),
    }
}

fn credentials(client: &config::HttpClient, problems: &mut Problems) -> Option<Credentials> {
    if let Some(oauth2) = &client.oauth2 {
        return match TokenSource::new(oauth2) {
            Ok(source) => Some(Credentials::OAuth2(Box::new(source))),
            Err(error) => {
                problems.report("http.oauth2.proxy_url", format!("not a URL: {error}"));
                None
            }
        };
    }
    if let Some(basic) = &client.basic_auth {
        return Some(Credentials::Basic(Arc::clone(basic)));
    }
    client.authorization.clone().map(Credentials::Authorization)
}

fn compression(name: &str) -> Compression {
    match name.to_lowercase().as_str() {
        "" | "identity" => Compression::Identity,
        "gzip" => Compression::Gzip,
        "deflate" => Compression::Deflate,
        "br" => Compression::Brotli,
        _ => Compression::Unknown,
    }
}

fn header_rules(raw: &[config::HeaderMatch], field: &str, problems: &mut Problems) -> Vec<HeaderRule> {
    let mut rules = Vec::with_capacity(raw.len());
    for (i, rule) in raw.iter().enumerate() {
        if let Some(regexp) = problems.expression(format!("http.{field}[{i}].regexp"), &rule.regexp) {
            rules.push(HeaderRule {
                header: rule.header.clone(),
                name: canonical(&rule.header).into_owned(),
                regexp,
                allow_missing: rule.allow_missing,
            });
        }
    }
    rules
}

fn regexps(raw: &[String], field: &str, problems: &mut Problems) -> Vec<Regexp> {
    let sources = raw.iter().enumerate();
    sources
        .filter_map(|(i, source)| problems.expression(format!("http.{field}[{i}]"), source))
        .collect()
}

fn cel(raw: Option<&str>, field: &str, problems: &mut Problems) -> Option<Cel> {
    match problems.cel(raw?) {
        Ok(cel) => Some(cel),
        Err(error) => {
            problems.report_cel(format!("http.{field}"), &error);
            None
        }
    }
}

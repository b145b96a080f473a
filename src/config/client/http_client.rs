//! The HTTP client configuration that prometheus/common shares between programs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use go_yaml::Id;

use super::tls::{Tls, several};
use super::url;
use super::url::UrlText;
use crate::config::codec::decode::Decoder;
use crate::config::codec::meant::did_you_mean;
use crate::config::codec::named::Named;
use crate::config::codec::secret::Secret;
use crate::config::codec::section::{Section, section};
use crate::config::codec::shared::Shared;
use crate::config::codec::value::{Anything, Codec as _, Literal, Nilable, Sent};

section! {
    /// Authentication, proxy, TLS and redirects of an HTTP client.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct HttpClient {
        /// Basic authentication.
        omit basic_auth: Option<Arc<BasicAuth>>,
        /// The `Authorization` header of any type.
        omit authorization: Option<Arc<Authorization>>,
        /// OAuth2 client credentials or JWT bearer.
        omit oauth2: Option<Arc<OAuth2>>,
        /// Deprecated form of `authorization: {credentials}`.
        omit bearer_token: Secret,
        /// Deprecated form of `authorization: {credentials_file}`.
        omit bearer_token_file: String,
        /// TLS settings.
        omit tls_config: Shared<Tls>,
        /// Whether redirects are followed.
        always follow_redirects: bool = true,
        /// Whether HTTP/2 is offered by ALPN.
        always enable_http2: bool = true,
        /// Proxy settings.
        inline proxy: Proxy,
        /// `http_headers`: more headers, with values, secrets and files.
        omit http_headers: Option<Named<Header>>,
    }
}

section! {
    /// `basic_auth`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct BasicAuth {
        omit username: String as Sent,
        omit username_file: String,
        omit username_ref: String,
        omit password: Secret,
        omit password_file: String,
        omit password_ref: String,
    }
}

section! {
    /// `authorization`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct Authorization {
        /// The scheme; `Bearer` when left out.
        omit kind ("type"): String as Sent,
        omit credentials: Secret,
        omit credentials_file: String,
        omit credentials_ref: String,
    }
}

section! {
    /// `oauth2`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct OAuth2 {
        omit client_id: String as Sent,
        omit client_secret: Secret,
        omit client_secret_file: String,
        omit client_secret_ref: String,
        omit client_certificate_key_id: String as Sent,
        omit client_certificate_key: Secret,
        omit client_certificate_key_file: String,
        omit client_certificate_key_ref: String,
        omit grant_type: String,
        omit signature_algorithm: String,
        omit iss: String as Sent,
        omit audience: String as Sent,
        /// Additional claims of the JWT; values as YAML gave them.
        omit claims: BTreeMap<String, Anything>,
        omit scopes: Vec<String> as Sent,
        omit token_url: UrlText,
        omit endpoint_params: Named<String>,
        omit tls_config: Shared<Tls>,
        inline proxy: Proxy,
    }
}

section! {
    /// Which proxy to use for what.
    #[derive(Clone, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct Proxy {
        /// An empty one means none; it is kept because `/config` shows it.
        omit proxy_url: Option<String> as url::ProxyUrl,
        omit no_proxy: String,
        omit proxy_from_environment: bool,
        omit proxy_connect_header: Option<BTreeMap<String, Vec<Secret>>> as Nilable,
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self
            .proxy_url
            .as_ref()
            .map(|_| url::ProxyUrl::tree(&self.proxy_url));
        f.debug_struct("Proxy")
            .field("proxy_url", &url)
            .field("no_proxy", &self.no_proxy)
            .field("proxy_from_environment", &self.proxy_from_environment)
            .field("proxy_connect_header", &self.proxy_connect_header)
            .finish()
    }
}

section! {
    /// One entry of `http_headers` (or of the websocket prober's `headers`).
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct Header {
        omit values: Vec<String>,
        omit secrets: Vec<Secret>,
        omit files: Vec<String> as Literal,
    }
}

impl Section for Header {}
impl Section for BasicAuth {}
impl Section for Authorization {}

impl Section for HttpClient {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        let bearer = !self.bearer_token.is_empty() || !self.bearer_token_file.is_empty();
        if !self.bearer_token.is_empty() && !self.bearer_token_file.is_empty() {
            let message = "at most one of bearer_token & bearer_token_file must be configured";
            d.report_field(node, "bearer_token_file", message, None);
        }
        if bearer && (self.basic_auth.is_some() || self.oauth2.is_some()) {
            let message =
                "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured";
            d.report_field(
                node,
                if self.bearer_token.is_empty() {
                    "bearer_token_file"
                } else {
                    "bearer_token"
                },
                message,
                None,
            );
        }
        if let Some(basic) = &self.basic_auth {
            basic.judge_sources(node, d);
        }
        if self.oauth2.is_some() && (self.basic_auth.is_some() || self.authorization.is_some())
            || self.basic_auth.is_some() && self.authorization.is_some()
        {
            let message = "at most one of basic_auth, oauth2 & authorization must be configured";
            d.report_field(
                node,
                if self.authorization.is_some() {
                    "authorization"
                } else {
                    "oauth2"
                },
                message,
                None,
            );
        }
        match &mut self.authorization {
            Some(authorization) => {
                if bearer {
                    let message = "authorization is not compatible with bearer_token & bearer_token_file";
                    d.report_field(node, "authorization", message, None);
                }
                Arc::make_mut(authorization).complete(node, d);
            }
            None if bearer => {
                self.authorization = Some(Arc::new(Authorization {
                    kind: "Bearer".to_owned(),
                    credentials: std::mem::take(&mut self.bearer_token),
                    credentials_file: std::mem::take(&mut self.bearer_token_file),
                    credentials_ref: String::new(),
                }));
            }
            None => {}
        }
        if let Some(oauth2) = &self.oauth2 {
            oauth2.judge_grant(node, d);
        }
        self.proxy.judge(node, d);
        for name in self.http_headers.iter().flat_map(|headers| headers.keys()) {
            let canonical = canonical_header(name);
            if RESERVED_HEADERS.contains(&canonical.as_str()) {
                let help = match canonical.as_str() {
                    "Authorization" => "use authorization, basic_auth or oauth2".to_owned(),
                    _ => "the http prober's headers may set it".to_owned(),
                };
                d.report_field(
                    node,
                    "http_headers",
                    format!("setting header {canonical:?} is not allowed"),
                    help,
                );
            }
        }
    }
}

impl BasicAuth {
    fn judge_sources(&self, node: Id, d: &mut Decoder<'_, '_>) {
        if several([&self.username, &self.username_file, &self.username_ref]) {
            let message =
                "at most one of basic_auth username, username_file & username_ref must be configured";
            d.report_field(node, "basic_auth", message, None);
        }
        if several([self.password.expose(), &self.password_file, &self.password_ref]) {
            let message =
                "at most one of basic_auth password, password_file & password_ref must be configured";
            d.report_field(node, "basic_auth", message, None);
        }
    }
}

impl Authorization {
    fn complete(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        let inline = self.credentials.expose();
        if several([inline, &self.credentials_file, &self.credentials_ref]) {
            let message = "at most one of authorization credentials & credentials_file must be configured";
            d.report_field(node, "authorization", message, None);
        }
        self.kind = self.kind.trim().to_owned();
        if self.kind.is_empty() {
            self.kind = "Bearer".to_owned();
        }
        if self.kind.to_lowercase() == "basic" {
            let message = "authorization type cannot be set to \"basic\", use \"basic_auth\" instead";
            d.report_field(node, "authorization", message, None);
        }
    }
}

/// The grant of RFC 7523.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

impl OAuth2 {
    fn judge_grant(&self, node: Id, d: &mut Decoder<'_, '_>) {
        // The fields stand below `oauth2`; a problem is reported there.
        let mut report = |message: &str, help: Option<String>| d.report_field(node, "oauth2", message, help);
        if self.client_id.is_empty() {
            report("oauth2 client_id must be configured", None);
        }
        if self.token_url.is_empty() {
            report("oauth2 token_url must be configured", None);
        }
        if self.grant_type == JWT_BEARER {
            if several([
                self.client_certificate_key.expose(),
                &self.client_certificate_key_file,
                &self.client_certificate_key_ref,
            ]) {
                let message = "at most one of oauth2 client_certificate_key, client_certificate_key_file & client_certificate_key_ref must be configured using grant-type=urn:ietf:params:oauth:grant-type:jwt-bearer";
                report(message, None);
            }
            let algorithms = ["RS256", "RS384", "RS512"];
            let algorithm = self.signature_algorithm.as_str();
            if !algorithm.is_empty() && !algorithms.contains(&algorithm) {
                let help = did_you_mean(algorithm, algorithms).map(|meant| format!("did you mean {meant}?"));
                report("valid signature algorithms are RS256, RS384 and RS512", help);
            }
        } else {
            let inline = self.client_secret.expose();
            if several([inline, &self.client_secret_file, &self.client_secret_ref]) {
                let message = "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured using grant-type=client_credentials";
                report(message, None);
            }
        }
    }
}

impl Section for OAuth2 {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        self.proxy.judge(node, d);
    }
}

impl Proxy {
    /// The proxy's URL, if there is one.
    pub fn url(&self) -> Option<&str> {
        self.proxy_url.as_deref().filter(|url| !url.is_empty())
    }

    /// Whether it is the proxy of every target.
    pub(crate) fn is_for_all(&self) -> bool {
        self.url().is_some() && self.no_proxy.is_empty()
    }
}

impl Section for Proxy {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        let has_url = self.url().is_some();
        let header = self.proxy_connect_header.as_ref().is_some_and(|h| !h.is_empty());
        if header && !self.proxy_from_environment && !has_url {
            let message = "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured";
            d.report_field(node, "proxy_connect_header", message, None);
        }
        if self.proxy_from_environment && has_url {
            let message = "if proxy_from_environment is configured, proxy_url must not be configured";
            d.report_field(node, "proxy_url", message, None);
        }
        if self.proxy_from_environment && !self.no_proxy.is_empty() {
            let message = "if proxy_from_environment is configured, no_proxy must not be configured";
            d.report_field(node, "no_proxy", message, "set NO_PROXY in the environment");
        }
        // An empty proxy_url is one, too.
        if self.proxy_url.is_none()
            && !d.is_blamed("proxy_url")
            && !self.no_proxy.is_empty()
            && !self.proxy_from_environment
        {
            let message = "if no_proxy is configured, proxy_url must also be configured";
            d.report_field(node, "no_proxy", message, None);
        }
    }
}

/// Headers that belong to the connection or to Prometheus (prometheus/common `ReservedHeaders`).
const RESERVED_HEADERS: [&str; 18] = [
    "Authorization",
    "Host",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "User-Agent",
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Www-Authenticate",
    "Accept-Encoding",
    "X-Prometheus-Remote-Write-Version",
    "X-Prometheus-Remote-Read-Version",
    "X-Prometheus-Scrape-Timeout-Seconds",
    "X-Amz-Date",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
];

/// A header name as Go writes it: the first letter and those after a hyphen in upper case. A name with characters that
/// no header name may have stays as it is.
pub fn canonical_header(name: &str) -> String {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !name.bytes().all(is_token) {
        return name.to_owned();
    }
    let mut upper = true;
    name.chars()
        .map(|c| {
            let c = if upper {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            };
            upper = c == '-';
            c
        })
        .collect()
}

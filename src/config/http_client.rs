//! The HTTP client configuration that prometheus/common shares between programs.

use std::collections::BTreeMap;

use super::{Secret, Tls};

/// Authentication, proxy, TLS and redirects of an HTTP client.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpClient {
    /// Basic authentication.
    pub basic_auth: Option<BasicAuth>,
    /// The `Authorization` header of any type.
    pub authorization: Option<Authorization>,
    /// OAuth2 client credentials or JWT bearer.
    pub oauth2: Option<OAuth2>,
    /// Deprecated form of `authorization: {credentials}`.
    pub bearer_token: Secret,
    /// Deprecated form of `authorization: {credentials_file}`.
    pub bearer_token_file: String,
    /// TLS settings.
    pub tls_config: Tls,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// Whether HTTP/2 is offered by ALPN.
    pub enable_http2: bool,
    /// Proxy settings.
    pub proxy: Proxy,
    /// `http_headers`: more headers, with values, secrets and files.
    pub http_headers: Option<BTreeMap<String, Header>>,
}

impl Default for HttpClient {
    fn default() -> Self {
        Self {
            basic_auth: None,
            authorization: None,
            oauth2: None,
            bearer_token: Secret::default(),
            bearer_token_file: String::new(),
            tls_config: Tls::default(),
            follow_redirects: true,
            enable_http2: true,
            proxy: Proxy::default(),
            http_headers: None,
        }
    }
}

/// `basic_auth`.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct BasicAuth {
    pub username: String,
    pub username_file: String,
    pub username_ref: String,
    pub password: Secret,
    pub password_file: String,
    pub password_ref: String,
}

/// `authorization`.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Authorization {
    /// The scheme; `Bearer` when left out.
    pub kind: String,
    pub credentials: Secret,
    pub credentials_file: String,
    pub credentials_ref: String,
}

/// `oauth2`.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct OAuth2 {
    pub client_id: String,
    pub client_secret: Secret,
    pub client_secret_file: String,
    pub client_secret_ref: String,
    pub client_certificate_key_id: String,
    pub client_certificate_key: Secret,
    pub client_certificate_key_file: String,
    pub client_certificate_key_ref: String,
    pub grant_type: String,
    pub signature_algorithm: String,
    pub iss: String,
    pub audience: String,
    /// Additional claims of the JWT; values as YAML gave them, kept as JSON.
    pub claims: BTreeMap<String, serde_json::Value>,
    pub scopes: Vec<String>,
    pub token_url: String,
    pub endpoint_params: BTreeMap<String, String>,
    pub tls_config: Tls,
    pub proxy: Proxy,
}

/// Which proxy to use for what.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Proxy {
    pub proxy_url: String,
    pub no_proxy: String,
    pub proxy_from_environment: bool,
    pub proxy_connect_header: Option<BTreeMap<String, Vec<Secret>>>,
}

/// One entry of `http_headers` (or of the websocket prober's `headers`).
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Header {
    pub values: Vec<String>,
    pub secrets: Vec<Secret>,
    pub files: Vec<String>,
}

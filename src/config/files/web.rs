//! The web configuration file: TLS, passwords, headers and the rate limit of the exporter's own port, as every Prometheus
//! exporter reads them (exporter-toolkit 0.17).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use go_yaml::{Document, Id};

use super::disk;
use super::text::not_yaml;
use crate::config::client::tls::TlsVersion;
use crate::config::codec::decode::Decoder;
use crate::config::codec::problem::Problem;
use crate::config::codec::secret::Secret;
use crate::config::codec::section::{Section, section};
use crate::config::codec::value::{DurationOrNumber, Value as _};
use crate::os_error;
use crate::strconv::quote;

section! {
    /// A web configuration file.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Web {
        /// Section `tls_server_config`.
        always tls ("tls_server_config"): ServerTls,
        /// Section `http_server_config`.
        always http ("http_server_config"): HttpServer,
        /// Section `rate_limit`.
        always rate_limit: RateLimit,
        /// `basic_auth_users`: bcrypt hashes by user name; empty means that everyone may enter.
        always users ("basic_auth_users"): BTreeMap<String, Secret>,
    }
}

section! {
    /// How the exporter's port speaks TLS. Empty text means "not set".
    #[derive(Clone, Debug, PartialEq)]
    pub struct ServerTls {
        /// Certificate in PEM.
        always cert: String,
        /// Key in PEM.
        always key: Secret,
        /// CA certificates for clients, in PEM.
        always client_ca: String,
        /// File with the certificate; relative names are relative to the web configuration file.
        always cert_file: String,
        /// File with the key.
        always key_file: String,
        /// `NoClientCert`, `RequestClientCert`, …
        always client_auth_type: String,
        /// File with CA certificates for clients.
        always client_ca_file: String,
        /// Go's names of TLS 1.2 cipher suites.
        always cipher_suites: Vec<String>,
        /// `CurveP256`, `CurveP384`, `CurveP521`, `X25519`.
        always curve_preferences: Vec<String>,
        /// Lowest version.
        always min_version: String = "TLS12".to_owned(),
        /// Highest version.
        always max_version: String = "TLS13".to_owned(),
        /// Read and ignored, as by Go.
        always prefer_server_cipher_suites: bool = true,
        /// Names of which a client's certificate must have one; `None` for no such rule.
        always client_allowed_sans: Option<Vec<String>>,
    }
}

section! {
    /// How the exporter's port speaks HTTP.
    #[derive(Clone, Debug, PartialEq)]
    pub struct HttpServer {
        /// Whether HTTP/2 is offered over TLS.
        always http2: bool = true,
        /// Headers of every answer.
        always headers: BTreeMap<String, String>,
    }
}

section! {
    /// How many requests are answered.
    #[derive(Clone, Debug, PartialEq)]
    pub struct RateLimit {
        /// How many at once.
        always burst: i64,
        /// Nanoseconds after which there may be one more; 0 means no limit.
        always interval: i64 as DurationOrNumber,
    }
}

impl Section for Web {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        // Upstream's reader makes the section its zero value.
        let http = d.document().entry(node, "http_server_config");
        if http.is_some_and(|(_, value)| d.document().is_null(value)) {
            self.http.http2 = false;
        }
    }
}
impl Section for HttpServer {}
impl Section for RateLimit {}
impl Section for ServerTls {}

/// Why a web configuration file cannot be used. Displays as exporter-toolkit says it.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// It cannot be read.
    #[error("{}", os_error::describe_file(.0, .1))]
    Unreadable(PathBuf, io::Error),
    /// It is no YAML, or has keys that it must not have: everything found.
    #[error("web configuration file: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Malformed(Vec<Problem>),
    /// A value that cannot be used.
    #[error("{0}")]
    Invalid(String),
}

impl Web {
    /// Reads a web configuration file by `read`. The names of other files in it become relative to the working folder.
    ///
    /// # Errors
    /// It cannot be read, or what is wrong with it.
    pub fn load(path: &Path, read: disk::ReadFile) -> Result<Self, WebError> {
        let bytes = read(path).map_err(|error| WebError::Unreadable(path.to_owned(), error))?;
        let text = super::text::decode_text(bytes).map_err(|problem| WebError::Malformed(vec![*problem]))?;
        let mut web = Self::parse(&text)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for file in [
            &mut web.tls.cert_file,
            &mut web.tls.key_file,
            &mut web.tls.client_ca_file,
        ] {
            if !file.is_empty() {
                *file = folder.join(&file).display().to_string();
            }
        }
        Ok(web)
    }

    /// Reads the text of a web configuration file. An empty one is valid.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, WebError> {
        let mut web = Self::default();
        match Document::parse(text) {
            Ok(None) => {}
            Ok(Some(document)) => {
                let mut decoder = Decoder::of_web(&document);
                web.decode(document.root(), &mut decoder);
                let (problems, _) = decoder.finish();
                if !problems.is_empty() {
                    return Err(WebError::Malformed(problems));
                }
            }
            Err(error) => {
                return Err(WebError::Malformed(vec![not_yaml(&error)]));
            }
        }
        web.validate().map_err(WebError::Invalid)?;
        for value in web.http.headers.values_mut() {
            // As Go writes them into a response.
            *value = value.replace(['\n', '\r'], " ").trim().to_owned();
        }
        Ok(web)
    }

    fn validate(&self) -> Result<(), String> {
        for version in [&self.tls.min_version, &self.tls.max_version] {
            TlsVersion::from_name(version).ok_or_else(|| format!("unknown TLS version: {version}"))?;
        }
        for cipher in &self.tls.cipher_suites {
            if !CIPHER_SUITES.contains(&cipher.as_str()) {
                return Err(format!("unknown cipher: {cipher}"));
            }
        }
        for curve in &self.tls.curve_preferences {
            if !CURVES.contains(&curve.as_str()) {
                return Err(format!("unknown curve: {curve}"));
            }
        }
        self.http
            .headers
            .iter()
            .try_for_each(|(name, value)| valid_header(name, value))
    }
}

impl ServerTls {
    /// The lowest and the highest version.
    pub fn versions(&self) -> (TlsVersion, TlsVersion) {
        (
            TlsVersion::from_name(&self.min_version).unwrap_or(TlsVersion::Tls12),
            TlsVersion::from_name(&self.max_version).unwrap_or(TlsVersion::Tls13),
        )
    }
}

/// The cipher suites that Go calls secure.
const CIPHER_SUITES: [&str; 13] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
];

const CURVES: [&str; 4] = ["CurveP256", "CurveP384", "CurveP521", "X25519"];

fn valid_header(name: &str, value: &str) -> Result<(), String> {
    let allowed: &[&str] = match name {
        "Strict-Transport-Security" | "X-XSS-Protection" | "Content-Security-Policy" => &[],
        "X-Content-Type-Options" => &["nosniff"],
        "X-Frame-Options" => &["deny", "sameorigin"],
        _ => return Err(format!("HTTP header {} can not be configured", quote(name))),
    };
    if !allowed.is_empty() && !allowed.contains(&value) {
        let allowed: Vec<String> = allowed.iter().map(|value| quote(value)).collect();
        return Err(format!(
            "invalid value for {name}. Expected one of: [{}], but got: {}",
            allowed.join(" "),
            quote(value)
        ));
    }
    // compat: upstream sends other control characters as they are.
    if http::HeaderValue::from_str(&value.replace(['\n', '\r'], " ")).is_err() {
        return Err(format!("invalid value for {name}: it has control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_exporter_toolkits() {
        let web = Web::parse("").unwrap();
        assert_eq!(web, Web::default());
        assert!(web.http.http2);
        assert_eq!(web.tls.versions(), (TlsVersion::Tls12, TlsVersion::Tls13));
        assert_eq!(Web::parse("tls_server_config:\n").unwrap(), web);
        // A section without anything is Go's zero value.
        assert!(!Web::parse("http_server_config:\n").unwrap().http.http2);
    }

    #[test]
    fn reads_everything() {
        let web = Web::parse(
            "tls_server_config:
  cert_file: c.pem
  key: k
  min_version: TLS13
  cipher_suites: [TLS_AES_128_GCM_SHA256]
  curve_preferences: [X25519]
  client_allowed_sans: []
  prefer_server_cipher_suites: no
http_server_config:
  http2: false
  headers: {X-Frame-Options: deny}
rate_limit: {burst: 3, interval: 30s}
basic_auth_users: {ann: hash}
",
        )
        .unwrap();
        assert_eq!(web.tls.cert_file, "c.pem");
        assert_eq!(web.tls.client_allowed_sans, Some(Vec::new()));
        assert_eq!(web.rate_limit.interval, 30_000_000_000);
        assert_eq!(web.users["ann"].expose(), "hash");
        assert!(!web.http.http2);
    }

    #[test]
    fn truth_and_merging_are_those_of_yaml_v2() {
        for (text, http2) in [
            ("{http2: no}", Some(false)),
            ("{http2: !!bool no}", Some(false)),
            ("{http2: !!bool 'off'}", Some(false)),
            ("{http2: ~}", Some(false)),
            ("{http2: Y}", Some(true)),
            ("{http2: 'yes'}", None),
            ("{http2: \"true\"}", None),
            ("{http2: !!str yes}", None),
            ("{<<: {http2: no}, <<: {headers: {}}}", Some(false)),
            (
                "{http2: no, <<: [{http2: no}, {http2: yes}], <<: {http2: yes}}",
                Some(true),
            ),
            ("{<<: {http2: no}, <<: 5}", None),
            ("&a {<<: [*a, *a], http2: no}", None),
        ] {
            let web = Web::parse(&format!("http_server_config: {text}\n"));
            assert_eq!(web.ok().map(|web| web.http.http2), http2, "{text}");
        }
        let itself = Web::parse("&a\n<<: [*a, *a]\nbasic_auth_users: {}\n").unwrap_err();
        assert!(itself.to_string().contains("contains itself"), "{itself}");
    }

    #[test]
    fn a_line_break_in_a_header_becomes_a_blank() {
        let text = "http_server_config: {headers: {Content-Security-Policy: \"a;\\n b\\n\"}}\n";
        let web = Web::parse(text).unwrap();
        assert_eq!(web.http.headers["Content-Security-Policy"], "a;  b");
    }

    #[test]
    fn an_interval_needs_no_unit() {
        for (text, nanoseconds) in [("1500", 1500), ("2.5", 2), ("0", 0), ("1m30s", 90_000_000_000)] {
            let web = Web::parse(&format!("rate_limit: {{interval: {text}}}")).unwrap();
            assert_eq!(web.rate_limit.interval, nanoseconds, "{text}");
        }
        for text in ["1d", "true", "[1s]"] {
            assert!(
                Web::parse(&format!("rate_limit: {{interval: {text}}}")).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_in_exporter_toolkits_words() {
        for (text, reason) in [
            (
                "tls_server_config: {min_version: TLS14}",
                "unknown TLS version: TLS14",
            ),
            (
                "tls_server_config: {cipher_suites: [ROT13]}",
                "unknown cipher: ROT13",
            ),
            (
                "tls_server_config: {curve_preferences: [Round]}",
                "unknown curve: Round",
            ),
            (
                "http_server_config: {headers: {Server: mine}}",
                "HTTP header \"Server\" can not be configured",
            ),
            (
                "http_server_config: {headers: {X-Frame-Options: allow}}",
                "invalid value for X-Frame-Options. Expected one of: [\"deny\" \"sameorigin\"], but got: \"allow\"",
            ),
        ] {
            assert_eq!(Web::parse(text).unwrap_err().to_string(), reason);
        }
        let several = Web::parse("colour: blue\nhttp_server_config: {http3: true}\n").unwrap_err();
        assert!(matches!(several, WebError::Malformed(problems) if problems.len() == 2));
        assert!(Web::parse("tls_server_config: [\n").is_err());
    }
}

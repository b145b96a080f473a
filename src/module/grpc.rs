//! The compiled `grpc` section.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::Problems;
use crate::config;
use crate::net::Preference;
use crate::net::tls::ClientTls;

/// A grpc module, ready to run.
pub struct Grpc {
    /// Which addresses of the target may be dialled.
    pub preference: Preference,
    /// The service to ask about; empty for the whole server.
    pub service: String,
    /// Whether to speak TLS.
    pub tls: bool,
    /// How; a configuration that is given without TLS still has its files read, as upstream does.
    pub tls_config: Option<ClientTls>,
    /// The metadata as headers; metadata that gRPC does not allow fails the call, not the configuration.
    pub metadata: Result<Vec<(String, String)>, String>,
}

/// Without the metadata, which may be credentials.
impl fmt::Debug for Grpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grpc")
            .field("preference", &self.preference)
            .field("service", &self.service)
            .field("tls", &self.tls)
            .field("tls_config", &self.tls_config)
            .finish_non_exhaustive()
    }
}

impl Grpc {
    /// Compiles the section; what cannot be compiled is reported to `problems`.
    pub fn compile(raw: &config::Grpc, problems: &mut Problems) -> Self {
        let metadata = metadata_headers(&raw.metadata);
        if let Err(reason) = &metadata {
            problems.warn("grpc.metadata", format_args!("{reason}: every probe fails"), None);
        }
        let is_tls_configured = raw.tls || raw.tls_config != config::Shared::default();
        Self {
            preference: Preference::new(&raw.preferred_ip_protocol, raw.ip_protocol_fallback),
            service: raw.service.clone(),
            tls: raw.tls,
            tls_config: is_tls_configured.then(|| problems.tls(&raw.tls_config)),
            metadata,
        }
    }
}

/// The headers that a module's metadata becomes. Names that gRPC or HTTP/2 keep to themselves are left out.
///
/// # Errors
/// A name with other characters than lower-case letters, digits, `-`, `_` and `.`, or a value that is not printable
/// ASCII: that fails the call, not the configuration.
pub(super) fn metadata_headers<'a>(
    metadata: impl IntoIterator<Item = (&'a String, &'a Vec<String>)>,
) -> Result<Vec<(String, String)>, String> {
    const RESERVED: [&str; 8] = [
        "content-type",
        "user-agent",
        "grpc-message-type",
        "grpc-encoding",
        "grpc-message",
        "grpc-status",
        "grpc-timeout",
        "te",
    ];
    let mut headers = Vec::new();
    for (name, values) in metadata {
        if name.is_empty() {
            return Err("there is an empty key in the header".to_owned());
        }
        if name.starts_with(':') {
            continue;
        }
        let allowed = |octet: u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        if !name.bytes().all(allowed) {
            return Err(format!(
                "header key {name:?} contains illegal characters not in [0-9a-z-_.]"
            ));
        }
        let binary = name.ends_with("-bin");
        for value in values {
            let value = if binary {
                STANDARD_NO_PAD.encode(value)
            } else {
                value.clone()
            };
            let printable = value.bytes().all(|octet| matches!(octet, b' '..=b'~'));
            if !printable {
                return Err(format!(
                    "header key {name:?} contains value with non-printable ASCII characters"
                ));
            }
            if !RESERVED.contains(&name.as_str()) {
                headers.push((name.clone(), value));
            }
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn metadata_becomes_headers_by_the_rules_of_grpc() {
        let headers = |name: &str, values: &[&str]| {
            let values = values.iter().map(|&value| value.to_owned()).collect();
            let metadata = BTreeMap::from([(name.to_owned(), values)]);
            metadata_headers(&metadata).map(|headers| {
                let text = |(name, value): &(String, String)| format!("{name}: {value}");
                headers.iter().map(text).collect::<Vec<_>>().join("\n")
            })
        };
        assert_eq!(headers("a", &["b", "c"]), Ok("a: b\na: c".to_owned()));
        assert_eq!(headers("x_y.z-1", &[""]), Ok("x_y.z-1: ".to_owned()));
        assert_eq!(headers("a-bin", &["\u{fc}\0"]), Ok("a-bin: w7wA".to_owned()));
        assert_eq!(headers("te", &["x"]), Ok(String::new()));
        assert_eq!(headers(":path", &["x"]), Ok(String::new()));
        assert!(headers("", &["x"]).is_err());
        assert!(headers("Upper", &["x"]).is_err());
        assert!(headers("a", &["\u{fc}"]).is_err());
    }
}

//! `tls_config`, as every prober and the OAuth2 client have it.

use go_yaml::Id;

use crate::config::codec::decode::Decoder;
use crate::config::codec::meant::did_you_mean;
use crate::config::codec::secret::Secret;
use crate::config::codec::section::{Section, section};
use crate::config::codec::shared::unwritten;
use crate::config::codec::words::{OptionalWord, words};

words! {
    /// A TLS protocol version as the configuration names it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[allow(missing_docs)]
    pub enum TlsVersion: "unknown TLS version: {word}" {
        Tls10 = "TLS10",
        Tls11 = "TLS11",
        Tls12 = "TLS12",
        Tls13 = "TLS13",
    }

    fn help(word: &str) -> String {
        let digits: String = word.chars().filter(char::is_ascii_digit).collect();
        match did_you_mean(&format!("TLS{digits}"), Self::ALL.map(Self::name)) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "versions are TLS10, TLS11, TLS12 and TLS13".to_owned(),
        }
    }
}

section! {
    /// How to speak TLS with a server and how to judge its certificate. Empty text means "not set".
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub struct Tls {
        /// CA certificates in PEM.
        omit ca: String,
        /// Client certificate in PEM.
        omit cert: String,
        /// Client key in PEM.
        omit key: Secret,
        /// File with CA certificates, read at probe time.
        omit ca_file: String,
        /// File with the client certificate, read at probe time.
        omit cert_file: String,
        /// File with the client key, read at probe time.
        omit key_file: String,
        /// Name of the CA in a secret manager: read, printed and, as upstream without one, refused at probe time.
        omit ca_ref: String,
        /// Name of the client certificate in a secret manager.
        omit cert_ref: String,
        /// Name of the client key in a secret manager.
        omit key_ref: String,
        /// Name to send as SNI and to verify, instead of the target's.
        omit server_name: String,
        /// Accept any certificate.
        always insecure_skip_verify: bool,
        /// Lowest version to offer.
        omit min_version: Option<TlsVersion> as OptionalWord,
        /// Highest version to offer.
        omit max_version: Option<TlsVersion> as OptionalWord,
    }
}

/// What is said of a private key that needs a password.
pub const KEY_IS_ENCRYPTED: &str = "the private key is encrypted, and there is no setting for its password";
/// What helps then.
pub const DECRYPT: &str = "decrypt it: openssl pkey -in encrypted.pem -out key.pem";

/// Whether a text in PEM holds a private key that needs a password.
pub fn is_encrypted_key(pem: &str) -> bool {
    let mut lines = pem.lines().map(str::trim);
    lines.any(|line| line == "-----BEGIN ENCRYPTED PRIVATE KEY-----" || line == "Proc-Type: 4,ENCRYPTED")
}

unwritten!(Tls);

impl Section for Tls {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        let ca = [self.ca.as_str(), &self.ca_file, &self.ca_ref];
        let cert = [self.cert.as_str(), &self.cert_file, &self.cert_ref];
        let key = [self.key.expose(), &self.key_file, &self.key_ref];
        if several(ca) {
            let message = "at most one of ca, ca_file & ca_ref must be configured";
            d.report_field(node, "ca_file", message, None);
        }
        if several(cert) {
            let message = "at most one of cert, cert_file & cert_ref must be configured";
            d.report_field(node, "cert_file", message, None);
        }
        if several(key) {
            let message = "at most one of key and key_file must be configured";
            d.report_field(node, "key_file", message, None);
        }
        let fails = "every handshake fails";
        if self.max_version.is_some_and(|most| most < TlsVersion::Tls12) {
            let message = format!("TLS 1.0 and 1.1 are not spoken here: {fails}");
            d.warn(node, "max_version", message, "write TLS12 or TLS13");
        } else if self.max_version.is_some_and(|most| self.min_version > Some(most)) {
            let message = format!("min_version is above max_version: {fails}");
            d.warn(node, "min_version", message, None);
        }
        if is_encrypted_key(self.key.expose()) {
            d.warn(node, "key", KEY_IS_ENCRYPTED, DECRYPT);
        }
        let [has_cert, has_key] = [cert, key].map(|set| set.iter().any(|text| !text.is_empty()));
        if has_cert && !has_key && !d.is_blamed("key_file") && !d.is_blamed("key") {
            let message =
                "exactly one of key or key_file must be configured when a client certificate is configured";
            d.report_field(node, "key_file", message, "add key_file: the file with its key");
        }
        if has_key && !has_cert && !d.is_blamed("cert_file") && !d.is_blamed("cert") {
            let message =
                "exactly one of cert or cert_file must be configured when a client key is configured";
            d.report_field(
                node,
                "cert_file",
                message,
                "add cert_file: the file with its certificate",
            );
        }
    }
}

/// Whether more than one of these is set.
pub(super) fn several(texts: [&str; 3]) -> bool {
    texts.iter().filter(|text| !text.is_empty()).count() > 1
}

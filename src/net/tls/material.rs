//! From a `tls_config` to what rustls needs, kept until a file changes.

use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwapOption;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};
use zeroize::Zeroizing;

use super::cbc;
use super::p521::SECP521R1;
use super::verifier::{Audience, Recorder, Trust, Verifier};
use super::{Prepared, Roots, TlsError};
use crate::config::{Shared, Tls, TlsVersion, WITHOUT_MANAGER};
use crate::net::x509::{Certificate, Pool, blocks};
use crate::net::{Deadline, file};
use crate::stamp::Stamp;

/// A compiled `tls_config`: cheap to keep, nothing is read until a probe prepares it. Clones share what was read.
#[derive(Clone, Debug)]
pub struct ClientTls {
    raw: Shared<Tls>,
    /// What was last made of it.
    compiled: Arc<ArcSwapOption<Compiled>>,
}

/// What was made of a `tls_config`.
#[derive(Debug)]
struct Compiled {
    /// Of the files it was made of; `None` where there is no file.
    stamps: [Option<Stamp>; 3],
    base: Result<Arc<ClientConfig>, String>,
    /// The configured authorities, if any.
    pool: Option<Arc<Pool>>,
}

/// What the files say.
struct Texts {
    ca: Option<Zeroizing<Vec<u8>>>,
    cert: Option<Zeroizing<Vec<u8>>>,
    key: Option<Zeroizing<Vec<u8>>>,
}

impl ClientTls {
    /// Takes a `tls_config` over. Files are read at probe time, as upstream does.
    pub fn new(raw: impl Into<Shared<Tls>>) -> Self {
        Self {
            raw: raw.into(),
            compiled: Arc::default(),
        }
    }

    /// The configured `server_name`, if any.
    pub fn server_name(&self) -> Option<&str> {
        Some(self.raw.server_name.as_str()).filter(|name| !name.is_empty())
    }

    /// Whether `min_version` excludes older versions than TLS 1.3.
    pub fn is_at_least_tls13(&self) -> bool {
        self.raw.min_version == Some(TlsVersion::Tls13)
    }

    /// Whether the system's CA certificates are the ones that count.
    pub(super) fn trusts_the_system(&self) -> bool {
        let raw = &self.raw;
        !raw.insecure_skip_verify && raw.ca.is_empty() && raw.ca_file.is_empty()
    }

    /// Reads the files (again if they changed) and gets ready to shake hands. Call it before connecting.
    ///
    /// # Errors
    /// A missing or broken file, by name; a broken inline value; a contradiction between versions; the deadline.
    pub async fn prepare(&self, roots: &Roots, deadline: Deadline) -> Result<Prepared, TlsError> {
        let prepared = deadline.within(self.prepared(roots)).await;
        prepared.unwrap_or_else(|timed_out| {
            let files = self.files();
            let what = match files.iter().all(|file| file.is_empty()) {
                true => "the system's CA certificates".to_owned(),
                false => {
                    let files = files.iter().filter(|file| !file.is_empty());
                    format!(
                        "the files of tls_config, {}",
                        files.copied().collect::<Vec<_>>().join(", ")
                    )
                }
            };
            Err(TlsError::Unread { what, timed_out })
        })
    }

    async fn prepared(&self, roots: &Roots) -> Result<Prepared, TlsError> {
        let refs = [&self.raw.ca_ref, &self.raw.cert_ref, &self.raw.key_ref];
        if refs.iter().any(|name| !name.is_empty()) {
            return Err(TlsError::Config(WITHOUT_MANAGER.to_owned()));
        }
        let compiled = self.current().await?;
        let trust = match &compiled.pool {
            _ if self.raw.insecure_skip_verify => Trust::Everybody,
            Some(pool) => Trust::Pool(Arc::clone(pool)),
            None => Trust::System(roots.get().await.map_err(TlsError::NoRoots)?),
        };
        Ok(Prepared {
            base: compiled.base.clone(),
            trust,
            allows_tls13: self.raw.max_version.is_none_or(|most| most == TlsVersion::Tls13),
        })
    }

    /// What there is, if no file has changed since; else what is made of the files now.
    async fn current(&self) -> Result<Arc<Compiled>, TlsError> {
        if self.files().iter().all(|file| file.is_empty()) {
            return self.current_now();
        }
        if let Some(compiled) = self.unchanged() {
            return Ok(compiled);
        }
        // Even the look at a file may hang.
        let client = self.clone();
        let compiled = file::apart(move || client.current_now()).await;
        compiled.unwrap_or_else(|error| {
            Err(TlsError::Unreadable(format!(
                "reading the files of tls_config: {error}"
            )))
        })
    }

    /// What there is, if the kernel knows without waiting that no file has changed since.
    fn unchanged(&self) -> Option<Arc<Compiled>> {
        let compiled = self.compiled.load_full()?;
        let mut files = self.files().into_iter().zip(&compiled.stamps);
        let is_current =
            files.all(|(file, stamp)| file.is_empty() || stamp.is_some() && Stamp::at_hand(file) == *stamp);
        is_current.then_some(compiled)
    }

    fn current_now(&self) -> Result<Arc<Compiled>, TlsError> {
        let stamps = self.stamps();
        if let Some(compiled) = self.compiled.load_full()
            && compiled.stamps == stamps
        {
            return Ok(compiled);
        }
        self.compile(stamps)
    }

    fn files(&self) -> [&str; 3] {
        [&self.raw.ca_file, &self.raw.cert_file, &self.raw.key_file]
    }

    /// One `stat` a file. A file that is not there has none; reading it will say why.
    fn stamps(&self) -> [Option<Stamp>; 3] {
        self.files()
            .map(|file| if file.is_empty() { None } else { Stamp::of(file) })
    }

    fn compile(&self, stamps: [Option<Stamp>; 3]) -> Result<Arc<Compiled>, TlsError> {
        let raw = &self.raw;
        let versions = versions(raw)?;
        let texts = self.read()?;
        let mut pool = None;
        if let Some(text) = texts.ca {
            let mut found = Pool::default();
            if !found.add_pem(&text) {
                let reason = "unable to use specified CA cert: no certificate in PEM that can be read";
                return Err(self.failure(&raw.ca_file, reason));
            }
            pool = Some(Arc::new(found));
        }
        let client: Option<Arc<dyn ResolvesClientCert>> = match (texts.cert, texts.key) {
            (Some(cert), Some(key)) => {
                let pair = key_pair(&cert, &key).map_err(|why| {
                    let describe = |file: &str| {
                        if file.is_empty() {
                            "inline".to_owned()
                        } else {
                            format!("file {file}")
                        }
                    };
                    let (cert, key) = (describe(&raw.cert_file), describe(&raw.key_file));
                    TlsError::Config(format!(
                        "unable to use specified client cert ({cert}) & key ({key}): {why}"
                    ))
                })?;
                Some(Arc::new(SingleCertAndKey::from(pair)))
            }
            _ => None,
        };
        let base = versions.and_then(|versions| client_config(&versions, client));
        let compiled = Arc::new(Compiled { stamps, base, pool });
        self.compiled.store(Some(Arc::clone(&compiled)));
        Ok(compiled)
    }

    fn read(&self) -> Result<Texts, TlsError> {
        let text = |what: &str, inline: &str, file: &str| {
            if !inline.is_empty() {
                return Ok(Some(Zeroizing::new(inline.as_bytes().to_vec())));
            }
            if file.is_empty() {
                return Ok(None);
            }
            match file::read_now(file) {
                Ok(text) => Ok(Some(Zeroizing::new(text))),
                Err(error) => Err(TlsError::Unreadable(format!(
                    "unable to read {what}: unable to read file {file}: {error}"
                ))),
            }
        };
        let raw = &self.raw;
        Ok(Texts {
            ca: text("CA cert", &raw.ca, &raw.ca_file)?,
            cert: text("specified client cert", &raw.cert, &raw.cert_file)?,
            key: text("specified client key", raw.key.expose(), &raw.key_file)?,
        })
    }

    fn failure(&self, file: &str, reason: &str) -> TlsError {
        let reason = reason.to_owned();
        if file.is_empty() {
            return TlsError::Config(reason);
        }
        let path = file.to_owned();
        TlsError::File { path, reason }
    }
}

/// The protocol versions to offer; the inner error is for the handshake.
#[allow(clippy::type_complexity)]
fn versions(raw: &Tls) -> Result<Result<Vec<&'static SupportedProtocolVersion>, String>, TlsError> {
    if let (Some(min), Some(max)) = (raw.min_version, raw.max_version)
        && max < min
    {
        let text = "tls_config.max_version must be greater than or equal to tls_config.min_version if both are specified";
        return Err(TlsError::Config(text.to_owned()));
    }
    let min = raw.min_version.unwrap_or(TlsVersion::Tls12);
    let max = raw.max_version.unwrap_or(TlsVersion::Tls13);
    Ok(match (min, max) {
        _ if max < min => Err("tls: no supported versions satisfy MinVersion and MaxVersion".to_owned()),
        // compat: TLS 1.0 and 1.1 are not spoken here.
        (_, TlsVersion::Tls10 | TlsVersion::Tls11) => Err(
            "tls: tls_config.max_version allows only TLS 1.0 and TLS 1.1, which this program does not speak"
                .to_owned(),
        ),
        (TlsVersion::Tls13, _) => Ok(vec![&TLS13]),
        (_, TlsVersion::Tls12) => Ok(vec![&TLS12]),
        (_, TlsVersion::Tls13) => Ok(vec![&TLS13, &TLS12]),
    })
}

/// Go's cipher suites in Go's order (most servers follow it), as far as rustls has them, and the key exchanges.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let mut cipher_suites = vec![
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    cipher_suites.extend(cbc::suites());
    if !has_aes() {
        cipher_suites.sort_by_key(|suite| {
            !suite
                .suite()
                .as_str()
                .is_some_and(|name| name.contains("CHACHA20"))
        });
    }
    Arc::new(CryptoProvider {
        cipher_suites,
        // As Go: key shares of the first two go out, so that neither a server with the one nor with the other costs a round trip more.
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
            SECP521R1,
        ],
        ..aws_lc_rs::default_provider()
    })
});

/// Whether the processor does AES-GCM itself; without, Go prefers ChaCha20.
fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

fn client_config(
    versions: &[&'static SupportedProtocolVersion],
    client: Option<Arc<dyn ResolvesClientCert>>,
) -> Result<Arc<ClientConfig>, String> {
    let nobody = Trust::Pool(Arc::default());
    let nobody = Verifier::new(nobody, None, Audience::Library, Arc::new(Recorder::default()));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_protocol_versions(versions)
        .map_err(|error| format!("tls: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(nobody));
    let mut config = match client {
        Some(client) => builder.with_client_cert_resolver(client),
        None => builder.with_no_client_auth(),
    };
    // A resumed handshake has no certificate to look at.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// A certificate with its chain and its private key, both in PEM: PKCS#1, PKCS#8 or SEC 1.
///
/// # Errors
/// Go's texts: what is missing, cannot be read or does not belong together.
pub fn key_pair(cert: &[u8], key: &[u8]) -> Result<CertifiedKey, String> {
    let mut skipped = Vec::new();
    let mut chain = Vec::new();
    for block in blocks(cert) {
        if block.label == "CERTIFICATE" {
            chain.push(CertificateDer::from(block.bytes.to_vec()));
        } else {
            skipped.push(block.label);
        }
    }
    let Some(leaf) = chain.first() else {
        return Err(match &*skipped {
            [] => "tls: failed to find any PEM data in certificate input".to_owned(),
            [one] if one.ends_with("PRIVATE KEY") => {
                "tls: failed to find certificate PEM data in certificate input, but did \
                                                      find a private key; PEM inputs may have been switched"
                    .to_owned()
            }
            some => format!(
                "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following \
                 types: [{}]",
                some.join(" ")
            ),
        });
    };
    let leaf = Certificate::parse(leaf).map_err(|error| error.to_string())?;
    let key = private_key(key)?;
    let pair = CertifiedKey::new(chain, key);
    let Some(own) = pair.key.public_key() else {
        return Err("tls: unknown public key algorithm".to_owned());
    };
    match leaf.holds_key(&own) {
        Some(true) => Ok(pair),
        Some(false) => Err("tls: private key does not match public key".to_owned()),
        None => Err("tls: private key type does not match public key type".to_owned()),
    }
}

fn private_key(text: &[u8]) -> Result<Arc<dyn rustls::sign::SigningKey>, String> {
    let mut skipped = Vec::new();
    let mut found = None;
    for block in blocks(text) {
        if block.label.ends_with("PRIVATE KEY") {
            found = Some(block);
            break;
        }
        skipped.push(block.label);
    }
    let Some(block) = found else {
        return Err(match &*skipped {
            [] => "tls: failed to find any PEM data in key input".to_owned(),
            [one] if one == "CERTIFICATE" => {
                "tls: found a certificate rather than a key in the PEM for the private key".to_owned()
            }
            some => format!(
                "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of \
                 the following types: [{}]",
                some.join(" ")
            ),
        });
    };
    if block.label == "ENCRYPTED PRIVATE KEY" || block.has_headers {
        return Err("tls: failed to parse private key: it is encrypted; decrypt it with openssl pkey -in ENCRYPTED -out KEY"
            .to_owned());
    }
    // As Go does, whatever the label says.
    let forms: [fn(Vec<u8>) -> PrivateKeyDer<'static>; 3] = [
        |der| PrivatePkcs1KeyDer::from(der).into(),
        |der| PrivatePkcs8KeyDer::from(der).into(),
        |der| PrivateSec1KeyDer::from(der).into(),
    ];
    forms
        .iter()
        .find_map(|form| aws_lc_rs::sign::any_supported_type(&form(block.bytes.to_vec())).ok())
        .ok_or_else(|| "tls: failed to parse private key".to_owned())
}

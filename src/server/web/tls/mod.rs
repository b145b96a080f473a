//! TLS on the exporter's own port, as exporter-toolkit configures Go's.

mod clients;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};

use super::Http2;
use crate::config::TlsVersion;
use crate::config::files::disk;
use crate::config::files::web::{ServerTls, Web};
use crate::net::tls::key_pair;
use crate::os_error;
use crate::stamp::Stamp;

use clients::{Clients, clients};

pub use clients::why_failed;

/// Makes the configuration of handshakes, and again when one of its files changes.
#[derive(Debug)]
pub struct Acceptor {
    path: PathBuf,
    /// As the file said when the exporter started; ALPN does not change later, as upstream.
    http2: Http2,
    /// Whether a handshake succeeds without the certificate that requests but for one need.
    open: bool,
    made: Mutex<Made>,
}

#[derive(Clone, Debug)]
struct Made {
    /// Of all files, when all of them are there.
    stamps: Option<Vec<(PathBuf, Stamp)>>,
    handshake: Handshake,
}

/// How to shake hands.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The configuration of rustls.
    pub config: Arc<ServerConfig>,
    /// Whether requests need a client's certificate that the handshake does not insist on.
    pub demands_certificate: bool,
}

impl Acceptor {
    /// The TLS of a web configuration file; `None` when it has none.
    ///
    /// # Errors
    /// In exporter-toolkit's words.
    pub fn open(path: &Path, web: &Web, open: bool) -> Result<Option<Self>, String> {
        if is_absent(&web.tls) {
            return Ok(None);
        }
        let http2 = if web.http.http2 {
            Http2::Offered
        } else {
            Http2::Off
        };
        let made = make(path, &web.tls, http2, open, disk::read)?;
        Ok(Some(Self {
            path: path.to_owned(),
            http2,
            open,
            made: Mutex::new(made),
        }))
    }

    /// Whether HTTP/2 is offered.
    pub fn http2(&self) -> Http2 {
        self.http2
    }

    /// By the files as they were when they were last read.
    pub fn latest(&self) -> Handshake {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.handshake.clone()
    }

    /// By the files as they are now. Reads files: not for an async thread.
    ///
    /// # Errors
    /// A file that cannot be used any more.
    pub fn current(&self) -> Result<Handshake, String> {
        // Looked at without the lock, for which `latest` never waits: even a `stat` hangs where the file system does.
        let (stamps, handshake) = {
            let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            (made.stamps.clone(), made.handshake.clone())
        };
        let same = |files: Vec<(PathBuf, Stamp)>| {
            files
                .iter()
                .all(|(path, stamp)| Stamp::of(path).as_ref() == Some(stamp))
        };
        if stamps.is_some_and(same) {
            return Ok(handshake);
        }
        let web = Web::load(&self.path, disk::read_regular).map_err(|error| error.to_string())?;
        let made = make(&self.path, &web.tls, self.http2, self.open, disk::read_regular)?;
        let handshake = made.handshake.clone();
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = made;
        Ok(handshake)
    }
}

fn is_absent(tls: &ServerTls) -> bool {
    tls.cert_file.is_empty()
        && tls.cert.is_empty()
        && tls.key_file.is_empty()
        && tls.key.is_empty()
        && tls.client_ca_file.is_empty()
        && tls.client_ca.is_empty()
        && tls.client_auth_type.is_empty()
}

fn make(
    path: &Path,
    tls: &ServerTls,
    http2: Http2,
    open: bool,
    read: disk::ReadFile,
) -> Result<Made, String> {
    let files = [&tls.cert_file, &tls.key_file, &tls.client_ca_file];
    let files = files
        .into_iter()
        .filter(|file| !file.is_empty())
        .map(PathBuf::from);
    let stamps = std::iter::once(path.to_owned())
        .chain(files)
        .map(|file| Some((Stamp::of(&file)?, file)))
        .map(|pair| pair.map(|(stamp, file)| (file, stamp)))
        .collect();
    Ok(Made {
        stamps,
        handshake: handshake(tls, http2, open, read)?,
    })
}

fn handshake(
    tls: &ServerTls,
    http2: Http2,
    open: bool,
    read_file: disk::ReadFile,
) -> Result<Handshake, String> {
    if tls.cert_file.is_empty() && tls.cert.is_empty() {
        return Err("missing one of cert or cert_file".to_owned());
    }
    if tls.key_file.is_empty() && tls.key.is_empty() {
        return Err("missing one of key or key_file".to_owned());
    }
    let read = |name: &str, file: &str, inline: &str| match file {
        "" => Ok(inline.as_bytes().to_vec()),
        file => read_file(Path::new(file)).map_err(|error| {
            let reason = os_error::describe_file(Path::new(file), &error);
            format!("failed to read {name} ({file}): {reason}")
        }),
    };
    let cert = read("cert_file", &tls.cert_file, &tls.cert)?;
    let key = zeroize::Zeroizing::new(read("key_file", &tls.key_file, tls.key.expose())?);
    let pair = key_pair(&cert, &key).map_err(|error| format!("failed to load X509KeyPair: {error}"))?;
    let clients = clients(tls, open, read_file)?;
    let demands_certificate = clients.as_ref().is_some_and(Clients::demand_later);
    let provider = provider(tls, http2)?;
    let versions = versions(tls, &provider)?;
    let builder = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&versions)
        .map_err(|error| format!("tls: {error}"))?;
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(Arc::new(verifier)),
        None => builder.with_no_client_auth(),
    };
    let mut config = if no_handshake(tls) {
        builder.with_cert_resolver(Arc::new(NoCertificate))
    } else {
        builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
    };
    config.ignore_client_order = true;
    // A resumed session would skip the look at a client's certificate.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    if http2 == Http2::Offered {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    Ok(Handshake {
        config: Arc::new(config),
        demands_certificate,
    })
}

/// Whether no version is left: then, as upstream, the port opens and refuses every handshake.
pub fn no_handshake(tls: &ServerTls) -> bool {
    let (min, max) = tls.versions();
    max < min
}

/// Refuses every handshake.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesServerCert for NoCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

fn provider(tls: &ServerTls, http2: Http2) -> Result<CryptoProvider, String> {
    let default = aws_lc_rs::default_provider();
    let chosen = |suite: &SupportedCipherSuite| {
        let name = suite.suite().as_str().unwrap_or_default();
        // As in Go, the suites of TLS 1.3 cannot be chosen. Only their names differ.
        name.starts_with("TLS13_")
            || tls.cipher_suites.is_empty()
            || tls.cipher_suites.iter().any(|c| c == name)
    };
    let mut cipher_suites: Vec<_> = default.cipher_suites.iter().copied().filter(chosen).collect();
    // As in Go, AES-128 first, whatever order the client likes.
    cipher_suites.sort_by_key(|suite| !suite.suite().as_str().unwrap_or_default().contains("AES_128"));
    let speaks_tls12 = tls.versions().0 <= TlsVersion::Tls12;
    if http2 == Http2::Offered && speaks_tls12 && !tls.cipher_suites.is_empty() {
        let required = [
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        ];
        if !required
            .iter()
            .any(|name| tls.cipher_suites.iter().any(|c| c == name))
        {
            return Err(
                "http2: TLSConfig.CipherSuites is missing an HTTP/2-required AES_128_GCM_SHA256 cipher (need at least \
                 one of TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)"
                    .to_owned(),
            );
        }
    }
    Ok(CryptoProvider {
        cipher_suites,
        kx_groups: groups(tls)?,
        ..default
    })
}

fn groups(tls: &ServerTls) -> Result<Vec<&'static dyn SupportedKxGroup>, String> {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    if tls.curve_preferences.is_empty() {
        return Ok(vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1]);
    }
    let known = tls
        .curve_preferences
        .iter()
        .filter_map(|curve| match curve.as_str() {
            "X25519" => Some(X25519),
            "CurveP256" => Some(SECP256R1),
            "CurveP384" => Some(SECP384R1),
            // compat: P-521 is not spoken here.
            _ => None,
        });
    let groups: Vec<_> = known.collect();
    if groups.is_empty() {
        return Err("curve_preferences has only CurveP521, which this program does not speak".to_owned());
    }
    Ok(groups)
}

fn versions(
    tls: &ServerTls,
    provider: &CryptoProvider,
) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let (min, max) = tls.versions();
    if max < min {
        // Nobody can agree to that: see `no_handshake`.
        return Ok(vec![&TLS13]);
    }
    let has_tls12_suite = provider
        .cipher_suites
        .iter()
        .any(|suite| suite.version() == &TLS12);
    let mut versions = Vec::with_capacity(2);
    if max >= TlsVersion::Tls13 {
        versions.push(&TLS13);
    }
    if min <= TlsVersion::Tls12 && max >= TlsVersion::Tls12 && has_tls12_suite {
        versions.push(&TLS12);
    }
    if versions.is_empty() {
        // compat: TLS 1.0 and 1.1 and suites with CBC are not spoken here.
        return Err("min_version, max_version and cipher_suites leave only TLS 1.0, TLS 1.1 or suites with CBC, which this program does not speak".to_owned());
    }
    Ok(versions)
}

//! Certificates of clients, judged as Go's server does.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

use crate::config::files::disk;
use crate::config::files::web::ServerTls;
use crate::net::tls::{aside, by_rustls};
use crate::net::x509::{self, Certificate, Judge, MAX_RSA_BITS, Pool, Purpose};
use crate::os_error;

/// How a client's certificate is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    Request,
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

/// Judges the certificates of clients.
#[derive(Debug)]
pub struct Clients {
    demand: Demand,
    /// Whether who has no certificate is let in, to be asked for it later.
    open: bool,
    roots: Pool,
    allowed_sans: Option<Vec<String>>,
    hints: Vec<DistinguishedName>,
}

/// How a web configuration file wants clients to be judged; `None` if it does not. With `open`, they are let in without the certificate that
/// requests but for one need.
///
/// # Errors
/// In exporter-toolkit's words.
pub fn clients(tls: &ServerTls, open: bool, read: disk::ReadFile) -> Result<Option<Clients>, String> {
    let mut roots = Pool::default();
    let has_ca = !tls.client_ca_file.is_empty() || !tls.client_ca.is_empty();
    if !tls.client_ca_file.is_empty() {
        let path = Path::new(&tls.client_ca_file);
        let pem = read(path).map_err(|error| os_error::describe_file(path, &error))?;
        roots.add_pem(&pem);
    } else {
        roots.add_pem(tls.client_ca.as_bytes());
    }
    let demand = match tls.client_auth_type.as_str() {
        "RequestClientCert" => Demand::Request,
        "RequireAnyClientCert" | "RequireClientCert" => Demand::RequireAny,
        "VerifyClientCertIfGiven" => Demand::VerifyIfGiven,
        "RequireAndVerifyClientCert" => Demand::RequireAndVerify,
        "" | "NoClientCert" if has_ca => {
            return Err("client CA's have been configured without a Client Auth Policy".to_owned());
        }
        "" | "NoClientCert" => return Ok(None),
        other => return Err(format!("invalid ClientAuth: {other}")),
    };
    Ok(Some(Clients {
        demand,
        open,
        hints: roots
            .subjects()
            .map(|name| DistinguishedName::from(name.to_vec()))
            .collect(),
        roots,
        allowed_sans: tls.client_allowed_sans.clone(),
    }))
}

impl Clients {
    /// Whether requests need a certificate that the handshake does not insist on.
    pub fn demand_later(&self) -> bool {
        self.open && self.is_mandatory()
    }

    /// Whoever must have a certain name must have a certificate.
    fn is_mandatory(&self) -> bool {
        matches!(self.demand, Demand::RequireAny | Demand::RequireAndVerify) || self.allowed_sans.is_some()
    }

    /// As Go's `processCertsFromClient`.
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), String> {
        let mut presented = Vec::with_capacity(1 + others.len());
        for der in std::iter::once(leaf).chain(others) {
            let certificate = Certificate::parse(der)
                .map_err(|error| format!("tls: failed to parse client certificate: {error}"))?;
            if certificate.rsa_bits().is_some_and(|bits| bits > MAX_RSA_BITS) {
                return Err(format!(
                    "tls: client sent certificate containing RSA key larger than {MAX_RSA_BITS} bits"
                ));
            }
            presented.push(Arc::new(certificate));
        }
        if matches!(self.demand, Demand::VerifyIfGiven | Demand::RequireAndVerify) {
            let judge = Judge {
                roots: &self.roots,
                host: "",
                now: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
                purpose: Purpose::Client,
            };
            aside(&presented, || judge.verify(&presented))
                .map_err(|error| format!("tls: failed to verify certificate: {error}"))?;
        }
        let Some(leaf) = presented.first() else {
            return Ok(());
        };
        if let Some(kind) = leaf.unusable_key() {
            return Err(format!(
                "tls: client certificate contains an unsupported public key of type {kind}"
            ));
        }
        let Some(allowed) = &self.allowed_sans else {
            return Ok(());
        };
        let addresses: Vec<String> = leaf.ip_addresses().map(|ip| ip.to_string()).collect();
        let mut names = leaf
            .dns_names()
            .chain(leaf.email_addresses())
            .chain(addresses.iter().map(String::as_str))
            .chain(leaf.uris());
        if names.any(|name| allowed.iter().any(|allowed| allowed == name)) {
            return Ok(());
        }
        Err(format!(
            "could not find allowed SANs in client cert, found: [{}]",
            allowed.join(" ")
        ))
    }
}

fn refuse(reason: String) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Refused(reason)))))
}

/// Why a handshake failed, in Go's words where they are ours: rustls shows the `Debug` form of what it carries.
pub fn why_failed(error: &io::Error) -> String {
    match by_rustls(error) {
        Some(Error::InvalidCertificate(CertificateError::Other(refused))) => refused.to_string(),
        Some(Error::NoCertificatesPresented) => "tls: client didn't provide a certificate".to_owned(),
        _ => error.to_string(),
    }
}

/// Why a client's certificate was refused.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory() && !self.open
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(end_entity, intermediates, now).map_err(refuse)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature(message, cert, dss, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature(message, cert, dss, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        x509::HANDSHAKE_SCHEMES.to_vec()
    }
}

fn signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    strict: bool,
) -> Result<HandshakeSignatureValid, Error> {
    let leaf = Certificate::parse(certificate).map_err(|_| CertificateError::BadEncoding)?;
    x509::handshake_signature(&leaf, signed.scheme, strict, message, signed.signature())
        .map_err(|_| CertificateError::BadSignature)?;
    Ok(HandshakeSignatureValid::assertion())
}

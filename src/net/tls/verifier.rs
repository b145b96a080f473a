//! Judges a server's certificates inside a rustls handshake, and keeps what it saw.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use super::TlsError;
use super::roots::SystemRoots;
use super::server_hello::LOOKED_AT;
use crate::net::beside::beside;
use crate::net::tls::facts::{Ending, TlsFacts};
use crate::net::x509::{
    self, Certificate, HANDSHAKE_SCHEMES, Judge, MAX_RSA_BITS, Pool, Purpose, VerifyError,
};

/// A refusal inside of rustls, whose errors print the `Debug` form of what they carry.
#[derive(thiserror::Error)]
#[error("{0}")]
struct Refusal(TlsError);

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Whom a handshake trusts.
#[derive(Clone, Debug)]
pub(super) enum Trust {
    /// Everybody: `insecure_skip_verify`.
    Everybody,
    /// The configured authorities.
    Pool(Arc<Pool>),
    /// The system's authorities.
    System(Arc<SystemRoots>),
}

/// What one handshake told so far. It is readable during and after the handshake, however that ends.
#[derive(Debug, Default)]
pub struct Recorder {
    learnt: Mutex<Learnt>,
}

#[derive(Debug, Default)]
struct Learnt {
    presented: Vec<Arc<Certificate>>,
    chains: Vec<Vec<Arc<Certificate>>>,
    stapled: Option<Arc<[u8]>>,
    incomplete: Option<bool>,
    refusal: Option<TlsError>,
    /// Whether the server asked for a certificate of ours.
    wants_certificate: bool,
    /// The first bytes from the peer, at most [`LOOKED_AT`].
    head: Vec<u8>,
}

impl Recorder {
    /// The certificates that were presented and the chains that were found; nothing else of the handshake is known here.
    pub fn facts(&self) -> TlsFacts {
        let learnt = self.lock();
        let ending = match learnt.refusal {
            None => Ending::Complete,
            Some(TlsError::Verification(_)) => Ending::Refused,
            Some(_) => Ending::Broken,
        };
        TlsFacts {
            presented: learnt.presented.clone(),
            chains: learnt.chains.clone(),
            stapled: learnt.stapled.clone(),
            incomplete: learnt.incomplete,
            ending,
            lacks_certificate: learnt.wants_certificate,
            ..TlsFacts::default()
        }
    }

    /// Why the certificates or the signature over the handshake were refused, if they were.
    pub fn refusal(&self) -> Option<TlsError> {
        self.lock().refusal.clone()
    }

    /// Whether the server has presented a certificate.
    pub(super) fn has_presented(&self) -> bool {
        !self.lock().presented.is_empty()
    }

    /// Lets `look` see the first bytes from the peer.
    pub(super) fn look<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.lock().head)
    }

    fn lock(&self) -> MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These bytes came from the peer.
    pub(super) fn heard(&self, bytes: &[u8]) {
        let mut learnt = self.lock();
        let room = LOOKED_AT.saturating_sub(learnt.head.len());
        let some = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        learnt.head.extend_from_slice(some);
    }

    /// Keeps the reason, and makes an error of it that lets rustls send the alert that Go sends.
    fn refuse(&self, error: TlsError, kind: CertificateError) -> Error {
        self.lock().refusal = Some(error);
        Error::InvalidCertificate(kind)
    }
}

/// Has no certificate for a server that asks for one, and keeps that it did.
impl ResolvesClientCert for Recorder {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.lock().wants_certificate = true;
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Verifies for one handshake (or, without a name of its own, for all handshakes of a library).
#[derive(Debug)]
pub(super) struct Verifier {
    trust: Trust,
    /// The host the certificate must be for; `None` for what rustls was asked to connect to.
    name: Option<Box<str>>,
    audience: Audience,
    recorder: Arc<Recorder>,
}

/// Who hears of a refusal from rustls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// A prober, which asks the recorder: rustls is told what makes it send the alert that Go sends.
    Prober,
    /// The users of a library, who are shown nothing else.
    Library,
}

/// Judges what was presented. What may take milliseconds does not hold up the other tasks of its thread; nothing takes longer than
/// the budgets of [`x509`] allow.
pub fn aside<T>(presented: &[Arc<Certificate>], judge: impl FnOnce() -> T) -> T {
    let small = presented.len() <= 4 && presented.iter().map(|c| c.der().len()).sum::<usize>() <= 8192;
    if small { judge() } else { beside(judge) }
}

impl Verifier {
    pub fn new(trust: Trust, name: Option<&str>, audience: Audience, recorder: Arc<Recorder>) -> Self {
        Self {
            trust,
            name: name.map(Into::into),
            audience,
            recorder,
        }
    }

    /// As Go's `verifyServerCertificate`, up to the verdict.
    fn read(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
    ) -> Result<Vec<Arc<Certificate>>, Error> {
        let mut presented = Vec::with_capacity(1 + others.len());
        for der in std::iter::once(leaf).chain(others) {
            let parsed = Certificate::shared(der);
            let failure = match &parsed {
                Err(error) => Some(format!("tls: failed to parse certificate from server: {error}")),
                Ok(certificate) if certificate.rsa_bits().is_some_and(|bits| bits > MAX_RSA_BITS) => {
                    Some(format!(
                        "tls: server sent certificate containing RSA key larger than {MAX_RSA_BITS} bits"
                    ))
                }
                Ok(_) => None,
            };
            presented.extend(parsed);
            if let Some(failure) = failure {
                self.recorder.lock().presented = presented;
                return Err(self.refuse(TlsError::Handshake(failure)));
            }
        }
        self.recorder.lock().presented.clone_from(&presented);
        Ok(presented)
    }

    fn judge(&self, presented: &[Arc<Certificate>], name: &str, now: UnixTime) -> x509::Verdict {
        let roots = match &self.trust {
            Trust::Everybody => return Ok(Vec::new()),
            Trust::Pool(pool) => pool,
            Trust::System(system) => match system.pool() {
                Ok(pool) => pool,
                Err(why) => return Err(VerifyError::SystemRoots(Some(why.to_owned()))),
            },
        };
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let judge = Judge {
            roots,
            host: name,
            now,
            purpose: Purpose::Server,
        };
        aside(presented, || judge.verify(presented))
    }

    /// Whether certificates that were refused end short of a root; `None` without roots, and where only a private root may be missing,
    /// because the last certificate does not say where its issuer's is to be had.
    fn is_incomplete(&self, presented: &[Arc<Certificate>]) -> Option<bool> {
        let roots = match &self.trust {
            Trust::Everybody => return None,
            Trust::Pool(pool) => pool,
            Trust::System(system) => system.pool().ok()?,
        };
        let facts = TlsFacts {
            presented: presented.to_vec(),
            ..TlsFacts::default()
        };
        let top = facts.top()?;
        let is_short = !top.is_self_issued() && !roots.names_issuer_of(top);
        Some(is_short).filter(|_| !is_short || top.issuer_urls().next().is_some())
    }

    fn refuse(&self, error: TlsError) -> Error {
        let kind = match self.audience {
            // Go's alert is bad_certificate, whatever is wrong.
            Audience::Prober => CertificateError::BadEncoding,
            Audience::Library => CertificateError::Other(OtherError(Arc::new(Refusal(error.clone())))),
        };
        self.recorder.refuse(error, kind)
    }

    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        strict: bool,
    ) -> Result<HandshakeSignatureValid, Error> {
        let leaf = self.recorder.lock().presented.first().cloned();
        let leaf = match leaf {
            Some(leaf) if leaf.der() == certificate.as_ref() => leaf,
            _ => Arc::new(Certificate::parse(certificate).map_err(|_| CertificateError::BadEncoding)?),
        };
        x509::handshake_signature(&leaf, signed.scheme, strict, message, signed.signature()).map_err(
            |error| {
                let kind = CertificateError::BadSignature;
                self.recorder.refuse(TlsError::Handshake(error.to_string()), kind)
            },
        )?;
        Ok(HandshakeSignatureValid::assertion())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented = self.read(end_entity, intermediates)?;
        if !ocsp_response.is_empty() {
            self.recorder.lock().stapled = Some(ocsp_response.into());
        }
        let asked;
        let name = match &self.name {
            Some(name) => name,
            None => {
                asked = server_name.to_str();
                &*asked
            }
        };
        match self.judge(&presented, name, now) {
            Ok(chains) => {
                let mut learnt = self.recorder.lock();
                learnt.incomplete = (!chains.is_empty()).then_some(false);
                learnt.chains = chains;
            }
            Err(error) => {
                self.recorder.lock().incomplete = self.is_incomplete(&presented);
                return Err(self.refuse(TlsError::Verification(error)));
            }
        }
        if let Some(kind) = presented.first().and_then(|leaf| leaf.unusable_key()) {
            let text =
                format!("tls: server's certificate contains an unsupported type of public key: {kind}");
            return Err(self.refuse(TlsError::Handshake(text)));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, cert, dss, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, cert, dss, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        HANDSHAKE_SCHEMES.to_vec()
    }
}

//! Shaking hands, and saying what went wrong with it.

use std::io;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{DnsName, ServerName};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, InvalidMessage, OtherError, PeerIncompatible,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::error::by_rustls;
use super::server_hello::{Opening, suite_name, version_name};
use super::tap::Tap;
use super::verifier::{Audience, Recorder, Trust, Verifier};
use super::{Alpn, HandshakeError, Prepared, Seen, Session, Stream, TlsError, alert};
use crate::net::Deadline;
use crate::net::dial::SystemError;
use crate::net::tls::facts::{Ending, TlsFacts};
use crate::net::url::idna_ascii;
use crate::net::x509::parse_ip;

impl Prepared {
    /// Shakes hands on `stream` with the server called `name`: a host name, with or without final dot, or an IP address, with or
    /// without brackets and zone. It is sent as SNI, as far as Go would send it, and the certificate must be for it.
    ///
    /// # Errors
    /// The verdict on the certificate, an alert, broken records, the end of the connection, or the deadline.
    pub async fn handshake<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &self,
        stream: S,
        name: &str,
        alpn: Alpn,
        deadline: Deadline,
    ) -> Result<Session<S>, Box<HandshakeError>> {
        let name = &*idna_ascii(name);
        let (config, recorder) = self
            .config(Some(name), alpn, Audience::Prober)
            .map_err(HandshakeError::unheard)?;
        let connector = TlsConnector::from(Arc::new(config));
        let tap = Tap {
            inner: stream,
            recorder: Some(Arc::clone(&recorder)),
        };
        // Boxed: the probes without TLS need not hold the room for a handshake.
        let ended = deadline.within(Box::pin(connector.connect(sni(name), tap))).await;
        let mut seen = Seen::Nothing;
        let error = match ended {
            Ok(Ok(mut stream)) => {
                stream.get_mut().0.recorder = None;
                let session = stream.get_ref().1;
                let facts = TlsFacts {
                    version: session.protocol_version().and_then(|v| version_name(v.into())),
                    cipher: session
                        .negotiated_cipher_suite()
                        .and_then(|s| suite_name(s.suite().into())),
                    alpn: session.alpn_protocol().map(<[u8]>::to_vec),
                    ..recorder.facts()
                };
                return Ok(Session {
                    stream: Stream::new(stream),
                    facts,
                });
            }
            Ok(Err(error)) => {
                seen = recorder.look(|head| what_was_seen(&error, head));
                recorder
                    .refusal()
                    .unwrap_or_else(|| match has_no_version_in_common(&error, &recorder) {
                        true => TlsError::Version(explain(&error, &recorder)),
                        false => TlsError::Handshake(explain(&error, &recorder)),
                    })
            }
            Err(timed_out) => TlsError::TimedOut {
                timed_out,
                progress: recorder.look(progress),
            },
        };
        let ending = match error {
            TlsError::Verification(_) => Ending::Refused,
            _ => Ending::Broken,
        };
        let facts = Some(failed_facts(&recorder, ending)).filter(|facts| !facts.presented.is_empty());
        Err(Box::new(HandshakeError { error, facts, seen }))
    }

    /// A rustls configuration for a library that shakes hands itself (reqwest, quinn), and what will have learnt of it afterwards.
    /// Without a `name`, the certificate must be for whatever the library connects to.
    ///
    /// # Errors
    /// Versions in the configuration that are not spoken, here or over QUIC; an empty name.
    pub fn client_config(
        &self,
        name: Option<&str>,
        alpn: Alpn,
    ) -> Result<(ClientConfig, Arc<Recorder>), TlsError> {
        self.config(name, alpn, Audience::Library)
    }

    fn config(
        &self,
        name: Option<&str>,
        alpn: Alpn,
        audience: Audience,
    ) -> Result<(ClientConfig, Arc<Recorder>), TlsError> {
        // A certificate is not checked for an empty name.
        if name == Some("") && !matches!(self.trust, Trust::Everybody) {
            let text = "tls: either ServerName or InsecureSkipVerify must be specified in the tls.Config";
            return Err(TlsError::Handshake(text.to_owned()));
        }
        let base = self
            .base
            .as_ref()
            .map_err(|why| TlsError::Handshake(why.clone()))?;
        if alpn.is_over_quic() && !self.allows_tls13 {
            let text = "tls: no supported versions satisfy MinVersion and MaxVersion: QUIC requires TLS 1.3, which \
                        tls_config.max_version does not allow";
            return Err(TlsError::Version(text.to_owned()));
        }
        let recorder = Arc::new(Recorder::default());
        let verifier = Verifier::new(self.trust.clone(), name, audience, Arc::clone(&recorder));
        let verifier: Arc<dyn ServerCertVerifier> = Arc::new(verifier);
        let mut config = ClientConfig::clone(base);
        config.alpn_protocols = alpn.protocols();
        config.dangerous().set_certificate_verifier(verifier);
        if !config.client_auth_cert_resolver.has_certs() {
            let nobody: Arc<dyn ResolvesClientCert> = Arc::clone(&recorder) as _;
            config.client_auth_cert_resolver = nobody;
        }
        Ok((config, recorder))
    }
}

/// The name for rustls to send. An IP address is what rustls never sends; the verifier knows the real name.
fn sni(name: &str) -> ServerName<'static> {
    let host = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name);
    let zoneless = match host.rfind('%') {
        Some(at) if at > 0 => host.get(..at).unwrap_or(host),
        _ => host,
    };
    let nobody = ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into());
    if parse_ip(zoneless).is_some() {
        return nobody;
    }
    // compat: what rustls holds for no name (a colon, a space, a label of 64) is not sent; Go sends anything.
    match DnsName::try_from(name.trim_end_matches('.').to_owned()) {
        Ok(name) => ServerName::DnsName(name),
        Err(_) => nobody,
    }
}

/// What a failed handshake told: version and suite from the ServerHello.
fn failed_facts(recorder: &Recorder, ending: Ending) -> TlsFacts {
    let (version, cipher) = recorder.look(|head| match Opening::of(head) {
        Opening::ServerHello { version, suite } => (version_name(version), suite_name(suite)),
        _ => (None, None),
    });
    TlsFacts {
        version,
        cipher,
        ending,
        ..recorder.facts()
    }
}

/// How far a handshake had come in which nothing arrived.
pub const UNANSWERED: &str = "waiting for a response to the ClientHello";

/// How far a handshake had come when time was over.
fn progress(head: &[u8]) -> &'static str {
    match Opening::of(head) {
        Opening::Nothing if head.is_empty() => UNANSWERED,
        Opening::Nothing | Opening::Tls => "waiting for the rest of the server's first record",
        Opening::ServerHello { .. } => "waiting for the server's messages after its ServerHello",
        Opening::Alert(_) => "waiting after an alert",
        Opening::Foreign(_) => "waiting for TLS",
    }
}

/// Whether the peer speaks only versions that are not spoken here, or not now.
fn has_no_version_in_common(error: &io::Error, recorder: &Recorder) -> bool {
    recorder.look(|head| match (Opening::of(head), by_rustls(error)) {
        (Opening::ServerHello { version, .. }, Some(Error::PeerIncompatible(_))) => version < 0x0303,
        (_, Some(Error::AlertReceived(AlertDescription::ProtocolVersion))) => true,
        _ => false,
    })
}

/// What the peer did.
fn what_was_seen(error: &io::Error, head: &[u8]) -> Seen {
    match (Opening::of(head), by_rustls(error)) {
        (Opening::Foreign(bytes), _) => {
            let line = bytes
                .split(|b| matches!(b, b'\r' | b'\n'))
                .next()
                .unwrap_or_default();
            Seen::Foreign(line.to_vec())
        }
        (Opening::ServerHello { version, .. }, Some(Error::PeerIncompatible(_))) if version < 0x0303 => {
            Seen::TooOld(version_name(version))
        }
        (_, Some(Error::AlertReceived(alert))) => Seen::Alert((*alert).into()),
        (_, None)
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
            ) =>
        {
            Seen::Closed
        }
        _ => Seen::Nothing,
    }
}

/// What a user should know of a failed handshake, in Go's words where Go has them.
fn explain(error: &io::Error, recorder: &Recorder) -> String {
    let agreed = recorder.has_presented();
    recorder.look(|head| match (Opening::of(head), by_rustls(error)) {
        (Opening::Foreign(bytes), _) => foreign(bytes),
        (Opening::ServerHello { version, .. }, Some(Error::PeerIncompatible(_))) if version < 0x0303 => {
            too_old(version)
        }
        (_, Some(Error::AlertReceived(alert))) => alert::words(*alert, agreed),
        (_, Some(error)) => protocol_error(error),
        (_, None) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "tls: the server closed the connection during the handshake: EOF".to_owned()
        }
        (_, None) => format!("tls: during the handshake: {}", SystemError(error)),
    })
}

/// An error of rustls where a library shook hands, in Go's words where Go has them.
pub fn in_words(error: &Error) -> String {
    match error {
        Error::AlertReceived(alert) => alert::words(*alert, false),
        Error::InvalidCertificate(CertificateError::Other(OtherError(refusal))) => refusal.to_string(),
        error => protocol_error(error),
    }
}

/// A server that does not speak TLS at all.
fn foreign(bytes: &[u8]) -> String {
    let line = bytes
        .split(|b| *b == b'\r' || *b == b'\n')
        .next()
        .unwrap_or_default();
    let start = line.get(..line.len().min(60)).unwrap_or_default();
    let readable = start.len() > 2 && start.iter().all(|b| (b' '..=b'~').contains(b));
    let what = if readable {
        let text = String::from_utf8_lossy(start);
        format!(": the server says {text:?} in the clear")
    } else {
        String::new()
    };
    format!("tls: first record does not look like a TLS handshake{what}")
}

fn too_old(version: u16) -> String {
    let name = version_name(version).unwrap_or("an unknown version");
    format!(
        "tls: server selected unsupported protocol version {version:x}: it speaks nothing newer than {name}, and this program \
         speaks only TLS 1.2 and TLS 1.3"
    )
}

fn protocol_error(error: &Error) -> String {
    match error {
        Error::NoCertificatesPresented => "tls: received empty certificates message".to_owned(),
        Error::PeerIncompatible(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig) => {
            "tls: server selected a protocol version that tls_config.min_version or max_version rules out".to_owned()
        }
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => "tls: server selected unsupported protocol version: this program speaks TLS 1.2 and TLS 1.3, as far as tls_config \
              allows"
            .to_owned(),
        Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge | InvalidMessage::CertificatePayloadTooLarge) => {
            "tls: handshake message exceeds maximum of 65535 bytes".to_owned()
        }
        Error::InvalidMessage(what) => format!("tls: received a malformed message: {what:?}"),
        Error::PeerSentOversizedRecord => "tls: oversized record received".to_owned(),
        Error::DecryptError => "tls: bad record MAC".to_owned(),
        other => format!("tls: {other}"),
    }
}

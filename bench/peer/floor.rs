//! What no prober can do without: the bare loop, and the same for something that is scraped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::pace::Pace;

/// What is done with a target once it is connected.
#[derive(Clone)]
pub enum Asking {
    Nothing,
    Http,
    Https(TlsConnector),
}

impl Asking {
    pub fn named(kind: &str) -> Self {
        match kind {
            "tcp" => Self::Nothing,
            "http" => Self::Http,
            "https" => Self::Https(connector()),
            _ => panic!("neither tcp nor http nor https: {kind}"),
        }
    }

    async fn probe(&self, address: SocketAddr, buffer: &mut [u8]) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        match self {
            Self::Nothing => {}
            Self::Http => get(&mut stream, buffer).await,
            Self::Https(connector) => {
                let name = ServerName::IpAddress(address.ip().into());
                get(&mut connector.connect(name, stream).await.unwrap(), buffer).await;
            }
        }
    }
}

async fn get(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), buffer: &mut [u8]) {
    let request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    while stream.read(buffer).await.unwrap() > 0 {}
}

/// Full handshakes with the key exchanges that probes offer.
fn connector() -> TlsConnector {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let mut config = builder
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

/// Looks at no chain: whoever holds the certificate's key will do. Without that much a handshake means nothing.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Probes for each request that comes to `port`, and answers it with fixed bytes.
pub async fn least(asking: Asking, address: SocketAddr, port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let text = format!(
        "{}probe_success 1\n",
        "# as long as a probe's answer\n".repeat(50)
    );
    let answer: Arc<str> = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into();
    loop {
        let (mut scraper, _) = listener.accept().await.unwrap();
        let (asking, answer) = (asking.clone(), Arc::clone(&answer));
        tokio::spawn(async move {
            let (mut request, mut buffer) = (vec![0; 4096], vec![0; 16 * 1024]);
            // wrk sends a request at a time, in one piece.
            while let Ok(1..) = scraper.read(&mut request).await {
                asking.probe(address, &mut buffer).await;
                scraper.write_all(answer.as_bytes()).await.unwrap();
            }
        });
    }
}

/// Probes at a pace; prints how often, and the seconds of CPU time in user and system mode.
pub async fn floor(asking: Asking, address: SocketAddr, pace: Pace) {
    let done: Arc<AtomicU64> = Arc::default();
    let mut workers = JoinSet::new();
    for connection in 0..pace.connections {
        let (asking, done) = (asking.clone(), Arc::clone(&done));
        workers.spawn(async move {
            let (mut turns, mut buffer) = (pace.turns(connection), vec![0; 16 * 1024]);
            while turns.next().await {
                asking.probe(address, &mut buffer).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while workers.join_next().await.is_some() {}
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let (user, system): (f64, f64) = (fields[11].parse().unwrap(), fields[12].parse().unwrap());
    println!(
        "{} {} {}",
        done.load(Ordering::Relaxed),
        user / 100.0,
        system / 100.0
    );
}

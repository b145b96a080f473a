//! TLS: verdicts on certificates, and what is told of handshakes.

use std::sync::Arc;
use std::time::Duration;

use blackbox_exporter::config;
use blackbox_exporter::net::Deadline;
use blackbox_exporter::net::tls::{Alpn, ClientTls, Roots};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

#[tokio::test]
async fn smoke() {
    let root_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Test Root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = params.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(params, root_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["v4.test".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(leaf.der().to_vec())],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { drop(acceptor.accept(stream).await) });
        }
    });
    let good = config::Tls {
        ca: root.pem(),
        ..config::Tls::default()
    };
    let roots = Roots::default();
    let deadline = Deadline::after(Instant::now(), Duration::from_secs(5));
    let prepared = ClientTls::new(&good).prepare(&roots).await.unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let session = prepared
        .handshake(stream, "v4.test", Alpn::Http2, deadline)
        .await
        .unwrap();
    assert_eq!(session.facts.version, Some("TLS 1.3"));
    assert_eq!(session.facts.cipher, Some("TLS_AES_128_GCM_SHA256"));
    assert_eq!(session.facts.presented[0].issuer(), "CN=Test Root");
    assert_eq!(session.facts.chains.len(), 1);
    let stream = TcpStream::connect(address).await.unwrap();
    let error = prepared
        .handshake(stream, "other.test", Alpn::None, deadline)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "tls: failed to verify certificate: x509: certificate is valid for v4.test, not other.test"
    );
    let facts = error.facts.unwrap();
    assert_eq!(
        (facts.version, facts.presented.len(), facts.chains.len()),
        (Some("TLS 1.3"), 1, 0)
    );
}

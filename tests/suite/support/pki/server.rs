//! A TLS server that presents whatever it is given.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::peer::listen;
use super::Made;

/// Presents these certificates, whatever they are.
#[derive(Debug)]
struct Presents(Arc<CertifiedKey>);

impl ResolvesServerCert for Presents {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// What a server presents.
pub fn certified(chain: &[&Made]) -> CertifiedKey {
    let key = PrivateKeyDer::try_from(chain[0].key.serialize_der()).unwrap();
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    CertifiedKey::new(
        chain
            .iter()
            .map(|c| CertificateDer::from(c.der.clone()))
            .collect(),
        key,
    )
}

/// A server's configuration, to be changed before it is served.
pub fn server_config(
    presented: CertifiedKey,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Presents(Arc::new(presented))))
}

/// The same of a server that asks for a certificate, and shakes hands with those that have none.
pub fn asking(presented: CertifiedKey, authority: &Made) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.der.clone())).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
        .with_cert_resolver(Arc::new(Presents(Arc::new(presented))))
}

/// A server that shakes hands with everybody and does this in each connection.
pub async fn serve_each<F>(
    config: ServerConfig,
    serve: impl Fn(TlsStream<TcpStream>) -> F + Send + Sync + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let serve = Arc::new(serve);
    listen(move |stream| {
        let (accepting, serve) = (acceptor.accept(stream), Arc::clone(&serve));
        async move {
            if let Ok(stream) = accepting.await {
                serve(stream).await;
            }
        }
    })
    .await
}

/// A server that shakes hands with everybody and then waits for the end.
pub async fn serve(config: ServerConfig) -> SocketAddr {
    let read = |mut stream| async move {
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    };
    serve_each(config, read).await
}

/// A server that says the same in every connection, once something was asked.
pub async fn saying(config: ServerConfig, says: Vec<u8>) -> SocketAddr {
    let say = move |mut stream: TlsStream<TcpStream>| {
        let says = says.clone();
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&says).await;
            let _ = stream.shutdown().await;
        }
    };
    serve_each(config, say).await
}

//! Scripted peers that can go on in TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedKey, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::peer::{Move, perform};
use super::task::spawn;

/// A certificate that signed itself.
pub struct SelfSigned {
    made: CertifiedKey<KeyPair>,
}

impl SelfSigned {
    /// One for `localhost` and 127.0.0.1.
    pub fn local() -> Self {
        Self::of(&["localhost", "127.0.0.1"])
    }

    /// One for these names.
    pub fn of(names: &[&str]) -> Self {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            made: rcgen::generate_simple_self_signed(names).unwrap(),
        }
    }

    /// A server that presents it and speaks these protocols.
    pub fn server(&self, alpn: &[&str]) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.der()], self.key())
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// The certificate.
    pub fn der(&self) -> CertificateDer<'static> {
        self.made.cert.der().clone()
    }

    /// Its key.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.made.signing_key.serialize_der()).unwrap()
    }

    /// Certificate and key in PEM.
    pub fn pem(&self) -> (String, String) {
        (self.made.cert.pem(), self.made.signing_key.serialize_pem())
    }

    /// Writes `cert.pem` and `key.pem` into a folder.
    pub fn write(&self, folder: &Path) {
        let (certificate, key) = self.pem();
        std::fs::write(folder.join("cert.pem"), certificate).unwrap();
        std::fs::write(folder.join("key.pem"), key).unwrap();
    }

    /// The setting of a `tls_config` that trusts it.
    pub fn trust(&self) -> String {
        format!("ca: {:?}", self.made.cert.pem())
    }
}

/// An authority and a server certificate of its.
pub struct Identity {
    /// The authority, in PEM.
    pub authority: String,
    acceptor: TlsAcceptor,
}

impl Identity {
    /// A certificate for `localhost` and 127.0.0.1.
    pub fn local() -> Self {
        let root_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Test Root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = params.self_signed(&root_key).unwrap();
        let issuer = Issuer::new(params, root_key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(leaf.der().to_vec())],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        Self {
            authority: root.pem(),
            acceptor: TlsAcceptor::from(Arc::new(server)),
        }
    }

    /// Shakes hands with those who connect, sends them this, and tells how each ended: with a goodbye or with an error.
    pub async fn part(
        &self,
        protocol: &str,
        answer: Vec<u8>,
    ) -> (
        SocketAddr,
        tokio::sync::mpsc::UnboundedReceiver<std::io::Result<usize>>,
    ) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut config = ServerConfig::clone(self.acceptor.config());
        config.alpn_protocols = vec![protocol.into()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (sender, ends) = tokio::sync::mpsc::unbounded_channel();
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = acceptor.accept(stream).await.unwrap();
                let _ = stream.read_buf(&mut Vec::with_capacity(1 << 16)).await;
                stream.write_all(&answer).await.unwrap();
                let _ = sender.send(stream.read_to_end(&mut Vec::new()).await);
            }
        });
        (address, ends)
    }

    /// Plays the first moves in the clear, shakes hands, and plays the second inside. Returns where it listens and what it
    /// received on either side of the handshake.
    pub async fn play(
        &self,
        outside: Vec<Move>,
        inside: Vec<Move>,
    ) -> (SocketAddr, JoinHandle<(Vec<u8>, Vec<u8>)>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = self.acceptor.clone();
        let task = spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut before, mut after) = (Vec::new(), Vec::new());
            for one in outside {
                if !perform(&mut stream, one, &mut before).await {
                    return (before, after);
                }
            }
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return (before, after);
            };
            for one in inside {
                if !perform(&mut stream, one, &mut after).await {
                    return (before, after);
                }
            }
            let _ = stream.read_to_end(&mut after).await;
            (before, after)
        });
        (address, task)
    }
}

//! A web server with a certificate of its own, which is also its CA.

use std::{fs, net::Ipv4Addr, path::PathBuf, sync::Arc, thread};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime,
    sync::oneshot,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer},
};

/// Answers every request over TLS with 200 and `tls`.
pub struct TlsServer {
    /// `https://127.0.0.1:port/`
    pub url: String,
    /// The certificate, to trust it by.
    pub ca_file: PathBuf,
    _directory: TempDir,
    _stop: oneshot::Sender<()>,
}

impl TlsServer {
    /// Starts serving.
    pub fn start() -> Self {
        let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let ca_file = directory.path().join("ca.pem");
        fs::write(&ca_file, certified.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let (stop, stopped) = oneshot::channel::<()>();
        let (say, said) = std::sync::mpsc::channel();
        thread::spawn(move || {
            runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(async {
                    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                    say.send(listener.local_addr().unwrap()).unwrap();
                    tokio::select! {
                        () = serve(listener, acceptor) => {}
                        _ = stopped => {}
                    }
                });
        });
        let url = format!("https://{}/", said.recv().unwrap());
        Self {
            url,
            ca_file,
            _directory: directory,
            _stop: stop,
        }
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let mut stream = acceptor.accept(stream).await.ok()?;
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.ok()?);
            }
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\ntls")
                .await
                .ok()?;
            stream.shutdown().await.ok()
        });
    }
}

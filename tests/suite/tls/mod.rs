//! TLS: verdicts on certificates, and what is told of handshakes.

mod handshakes;
mod material;
mod openssl;
mod peers;
mod verdicts;

use std::net::SocketAddr;
use std::time::Duration;

use blackbox_exporter::config;
use blackbox_exporter::net::Deadline;
use blackbox_exporter::net::tls::{Alpn, ClientTls, HandshakeError, Prepared, Roots, Session, TlsError};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::support::pki::{Made, pem};

type Shaken = Result<Session<TcpStream>, Box<HandshakeError>>;

fn never() -> Deadline {
    Deadline::after(Instant::now(), Duration::from_secs(3600))
}

async fn shake(address: SocketAddr, raw: &config::Tls, name: &str) -> Shaken {
    let deadline = Deadline::after(Instant::now(), Duration::from_secs(10));
    shake_until(address, raw, name, deadline).await
}

async fn shake_until(address: SocketAddr, raw: &config::Tls, name: &str, deadline: Deadline) -> Shaken {
    let prepared = prepare(raw).await.unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    prepared.handshake(stream, name, Alpn::None, deadline).await
}

fn trusting(authorities: &[&Made]) -> config::Tls {
    config::Tls {
        ca: authorities
            .iter()
            .map(|made| pem("CERTIFICATE", &made.der))
            .collect(),
        ..config::Tls::default()
    }
}

/// Settings with which nothing is verified.
fn trusting_anyone() -> config::Tls {
    config::Tls {
        insecure_skip_verify: true,
        ..config::Tls::default()
    }
}

/// Reads the files of these settings.
async fn prepare(raw: &config::Tls) -> Result<Prepared, TlsError> {
    ClientTls::new(raw.clone())
        .prepare(&Roots::default(), never())
        .await
}

/// The files of a `tls_config` in a directory of their own.
struct Files(tempfile::TempDir);

impl Files {
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

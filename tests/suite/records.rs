//! Handshakes whose messages come in the smallest pieces that the protocol allows.

use std::net::SocketAddr;

use blackbox_exporter::config::{self, Prober};
use blackbox_exporter::metrics::Metric;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::peer::listen;
use crate::support::pki::{self, Cert, Made, pem};
use crate::support::probing::{PATIENT, log_of, run};
use crate::support::spawn;

const HANDSHAKE: u8 = 22;

/// Stands before a server and cuts its handshake messages, as long as they are in the clear, into records of one byte.
async fn cutting(server: SocketAddr) -> SocketAddr {
    listen(move |client| async move {
        let server = TcpStream::connect(server).await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        spawn(async move {
            let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        });
        let mut head = [0; 5];
        while from_server.read_exact(&mut head).await.is_ok() {
            let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
            from_server.read_exact(&mut body).await.unwrap();
            if head[0] != HANDSHAKE {
                let _ = to_client.write_all(&[&head[..], &body].concat()).await;
                break;
            }
            let record = |byte: &u8| [HANDSHAKE, head[1], head[2], 0, 1, *byte];
            let records: Vec<u8> = body.iter().flat_map(record).collect();
            let _ = to_client.write_all(&records).await;
        }
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
    })
    .await
}

#[tokio::test]
async fn handshakes_in_records_of_one_byte_succeed() {
    let root = Cert::ca("Root").self_signed();
    let middle = Cert::ca("Middle").by(&root);
    let leaf = Cert::leaf().by(&middle);
    let chain: [&Made; 3] = [&leaf, &middle, &root];
    for version in [&TLS12, &TLS13] {
        let server = pki::serve(pki::server_config(pki::certified(&chain), &[version])).await;
        let mut raw = config::Module::new(Prober::Tcp);
        raw.tcp.tls = true;
        *raw.tcp.tls_config = config::Tls {
            ca: pem("CERTIFICATE", &root.der),
            server_name: "v4.test".to_owned(),
            ..config::Tls::default()
        };
        let outcome = run(raw, &cutting(server).await.to_string(), PATIENT).await;
        assert!(outcome.success, "{version:?}: {}", log_of(&outcome));
        let expiry = outcome.samples.value(Metric::SslEarliestCertExpiry);
        assert!(expiry.is_some(), "{version:?}: {}", log_of(&outcome));
    }
}

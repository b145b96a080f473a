//! The files of a `tls_config`.

use std::time::Duration;

use blackbox_exporter::config;
use blackbox_exporter::net::Deadline;
use blackbox_exporter::net::tls::{Alpn, ClientTls, Roots};
use gostd::stamp::Stamp;
use rustls::version::TLS13;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{Files, never, prepare, trusting_anyone};
use crate::support::pki::{self, Cert, Made, pem};

#[tokio::test]
async fn files_are_read_again_when_they_change() {
    let (root, other) = (Cert::ca("Root").self_signed(), Cert::ca("Other").self_signed());
    let leaf = Cert::leaf().by(&root);
    let address = pki::serve(pki::server_config(pki::certified(&[&leaf]), &[&TLS13])).await;
    let files = Files(tempfile::tempdir().unwrap());
    let raw = config::Tls {
        ca_file: files.write("ca.pem", &pem("CERTIFICATE", &other.der)),
        ..config::Tls::default()
    };
    let client = ClientTls::new(raw.clone());
    let roots = Roots::default();
    let deadline = Deadline::after(Instant::now(), Duration::from_secs(10));
    for (authority, want) in [(&other, false), (&root, true), (&other, false), (&leaf, true)] {
        files.write("ca.pem", &pem("CERTIFICATE", &authority.der));
        let prepared = client.prepare(&roots, never()).await.unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let shaken = prepared.handshake(stream, "v4.test", Alpn::None, deadline).await;
        assert_eq!(shaken.is_ok(), want);
    }
    std::fs::remove_file(&raw.ca_file).unwrap();
    let error = client.prepare(&roots, never()).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "unable to read CA cert: unable to read file {0}: open {0}: no such file or directory",
            raw.ca_file
        )
    );
}

/// Files that have not changed for seconds are looked at without waiting for a disk.
#[tokio::test]
async fn settled_files_are_read_again_when_they_change() {
    let (root, other) = (Cert::ca("Root").self_signed(), Cert::ca("Other").self_signed());
    let leaf = Cert::leaf().by(&root);
    let address = pki::serve(pki::server_config(pki::certified(&[&leaf]), &[&TLS13])).await;
    let files = Files(tempfile::tempdir().unwrap());
    let (right, wrong) = (pem("CERTIFICATE", &root.der), pem("CERTIFICATE", &other.der));
    let paths = ["written.pem", "replaced.pem"].map(|name| files.write(name, &right));
    let clients = paths.clone().map(|ca_file| {
        ClientTls::new(config::Tls {
            ca_file,
            ..config::Tls::default()
        })
    });
    let roots = Roots::default();
    let deadline = Deadline::after(Instant::now(), Duration::from_secs(60));
    let shakes = async |client: &ClientTls| {
        let prepared = client.prepare(&roots, never()).await.unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        prepared
            .handshake(stream, "v4.test", Alpn::None, deadline)
            .await
            .is_ok()
    };
    // Two looks at a settled file are the same.
    while paths.iter().any(|path| Stamp::of(path) != Stamp::of(path)) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for client in &clients {
        assert!(shakes(client).await && shakes(client).await);
    }
    let [written, replaced] = &paths;
    std::fs::write(written, &wrong).unwrap();
    std::fs::rename(files.write("new.pem", &wrong), replaced).unwrap();
    for (client, path) in clients.iter().zip(&paths) {
        assert!(!shakes(client).await, "{path}");
    }
}

#[tokio::test]
async fn broken_files_are_named() {
    let root = Cert::ca("Root").self_signed();
    let (mine, other) = (Cert::leaf().by(&root), Cert::leaf().by(&root));
    let rsa = Cert::leaf().key(&pki::key(&rcgen::PKCS_RSA_SHA256)).by(&root);
    let files = Files(tempfile::tempdir().unwrap());
    let cert = |made: &Made| pem("CERTIFICATE", &made.der);
    let key = |made: &Made| pem("PRIVATE KEY", &made.key.serialize_der());
    #[rustfmt::skip]
    let rows: &[(&str, String, String, &str)] = &[
        ("in order", cert(&mine), key(&mine), ""),
        ("of another", cert(&mine), key(&other), "tls: private key does not match public key"),
        ("of another kind", cert(&mine), key(&rsa), "tls: private key type does not match public key type"),
        ("no certificate", "x".to_owned(), key(&mine), "tls: failed to find any PEM data in certificate input"),
        ("no key", cert(&mine), "x".to_owned(), "tls: failed to find any PEM data in key input"),
        (
            "changed places",
            key(&mine),
            cert(&mine),
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched",
        ),
        (
            "certificate twice",
            cert(&mine),
            cert(&mine),
            "tls: found a certificate rather than a key in the PEM for the private key",
        ),
        ("broken key", cert(&mine), pem("PRIVATE KEY", b"x"), "tls: failed to parse private key"),
        ("broken certificate", pem("CERTIFICATE", b"x"), key(&mine), "x509: malformed certificate"),
    ];
    for (name, cert, key, want) in rows {
        let raw = config::Tls {
            ca: pem("CERTIFICATE", &root.der),
            cert_file: files.write("cert.pem", cert),
            key_file: files.write("key.pem", key),
            ..config::Tls::default()
        };
        let got = prepare(&raw)
            .await
            .map_or_else(|error| error.to_string(), |_| String::new());
        let (cert, key) = (&raw.cert_file, &raw.key_file);
        let want = match *want {
            "" => String::new(),
            why => format!("unable to use specified client cert (file {cert}) & key (file {key}): {why}"),
        };
        assert_eq!(got, want, "{name}");
    }
    let raw = config::Tls {
        ca_file: files.write("ca.pem", "no certificate"),
        ..trusting_anyone()
    };
    let error = prepare(&raw).await.unwrap_err().to_string();
    assert!(error.contains(&raw.ca_file), "{error}");
}

//! OpenSSL as the server, for what rustls does not serve and rcgen does not make.

use std::net::SocketAddr;

use blackbox_exporter::config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Files, shake, trusting};
use crate::support::has;
use crate::support::pki::{self, Cert, Made, pem};
use crate::support::programs::{find, openssl, run};

/// The openssl program in a directory of its own, for what rustls does not serve and rcgen does not make.
struct OpenSsl(Files);

impl OpenSsl {
    /// `None`, after saying so, when there is no such program.
    fn new() -> Option<Self> {
        find("openssl")?;
        Some(Self(Files(tempfile::tempdir().unwrap())))
    }

    fn run(&self, arguments: &str) {
        run("openssl", arguments.split(' '), self.0.0.path());
    }

    /// A server with cert.pem and key.pem; it ends when the process is dropped.
    async fn serve(&self, arguments: &str) -> (tokio::process::Child, SocketAddr) {
        let arguments = format!("s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem {arguments}");
        let (server, port) = openssl(self.0.0.path(), &arguments).await;
        (server, ([127, 0, 0, 1], port).into())
    }

    /// Writes cert.pem and key.pem.
    fn present(&self, made: &Made) {
        self.0.write("cert.pem", &pem("CERTIFICATE", &made.der));
        self.0
            .write("key.pem", &pem("PRIVATE KEY", &made.key.serialize_der()));
    }

    fn trusting(&self, name: &str) -> config::Tls {
        config::Tls {
            ca: std::fs::read_to_string(self.0.0.path().join(name)).unwrap(),
            ..config::Tls::default()
        }
    }
}

#[tokio::test]
async fn key_exchange_over_p521_and_servers_too_old() {
    let Some(openssl) = OpenSsl::new() else { return };
    let root = Cert::ca("Root").self_signed();
    let leaf = Cert::leaf().by(&root);
    openssl.present(&leaf);
    let (_server, address) = openssl.serve("-tls1_3 -groups secp521r1").await;
    let session = shake(address, &trusting(&[&root]), "v4.test").await.unwrap();
    assert_eq!(session.facts.chains.len(), 1);
    let (_server, address) = openssl.serve("-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256").await;
    let failed = shake(address, &trusting(&[&root]), "v4.test")
        .await
        .unwrap_err()
        .to_string();
    has(
        &failed,
        ["handshake failure", "of those with CBC only AES with SHA-1"],
    );
    // Once there is a suite, the same alert is about the client's certificate.
    let demanding = "-tls1_2 -Verify 2 -verify_return_error -CAfile cert.pem";
    let (_server, address) = openssl.serve(demanding).await;
    let failed = shake(address, &trusting(&[&root]), "v4.test").await.unwrap_err();
    has(
        failed.to_string(),
        ["handshake failure: the server demands a client certificate"],
    );
    assert!(failed.facts.is_some());
    let (_server, address) = openssl.serve("-tls1_1 -cipher ALL:@SECLEVEL=0").await;
    let failed = shake(address, &trusting(&[&root]), "v4.test")
        .await
        .unwrap_err()
        .to_string();
    has(&failed, ["this program speaks TLS 1.2 and TLS 1.3"]);
}

/// Appliances of the last decade speak nothing else.
#[tokio::test]
async fn servers_with_nothing_but_cbc_are_spoken_to() {
    let Some(openssl) = OpenSsl::new() else { return };
    let page: String = (0..40_000).map(|line| format!("{line}\n")).collect();
    openssl.0.write("page", &page);
    #[rustfmt::skip]
    let rows = [
        ("ECDSA", &rcgen::PKCS_ECDSA_P256_SHA256, ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA"]),
        ("RSA", &rcgen::PKCS_RSA_SHA256, ["ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA"]),
    ];
    for (kind, algorithm, names) in rows {
        let key = pki::key(algorithm);
        let own = Cert::leaf().key(&key).self_signed();
        openssl.present(&own);
        for (bits, name) in [128, 256].into_iter().zip(names) {
            let arguments = format!("-tls1_2 -cipher {name}:@SECLEVEL=0 -WWW");
            let (_server, address) = openssl.serve(&arguments).await;
            let mut session = shake(address, &trusting(&[&own]), "v4.test").await.unwrap();
            let suite = format!("TLS_ECDHE_{kind}_WITH_AES_{bits}_CBC_SHA");
            assert_eq!(session.facts.cipher, Some(&*suite));
            // Many records, of the largest size as well.
            let mut answer = String::new();
            session
                .stream
                .write_all(b"GET /page HTTP/1.0\r\n\r\n")
                .await
                .unwrap();
            let _ = session.stream.read_to_string(&mut answer).await;
            assert!(answer.ends_with(&page), "{name}: {} bytes", answer.len());
        }
        // Where there is a choice, another is made.
        let (_server, address) = openssl.serve("-tls1_2 -serverpref").await;
        let session = shake(address, &trusting(&[&own]), "v4.test").await.unwrap();
        assert!(
            session.facts.cipher.unwrap().contains("GCM"),
            "{:?}",
            session.facts.cipher
        );
    }
}

#[tokio::test]
async fn old_keys_are_taken_as_go_takes_them() {
    let Some(openssl) = OpenSsl::new() else { return };
    let request =
        "-nodes -days 365 -subj /CN=v4.test -addext subjectAltName=DNS:v4.test -keyout key.pem -out cert.pem";
    // The key, how the certificate is signed, and the versions in which Go takes it.
    #[rustfmt::skip]
    let rows: &[(&str, &str, &[&str])] = &[
        ("rsa:1024", "-sha256", &["-tls1_2", "-tls1_3"]),
        ("rsa:1024", "-sha384", &["-tls1_2", "-tls1_3"]),
        ("rsa:1536", "-sha512", &["-tls1_2", "-tls1_3"]),
        ("rsa:2048", "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32", &["-tls1_2", "-tls1_3"]),
        ("ec -pkeyopt ec_paramgen_curve:secp521r1", "-sha512", &["-tls1_2", "-tls1_3"]),
    ];
    for (key, signed, versions) in rows {
        openssl.run(&format!("req -x509 -newkey {key} {signed} {request}"));
        let raw = openssl.trusting("cert.pem");
        for version in *versions {
            let (_server, address) = openssl.serve(&format!("{version} -cipher ALL:@SECLEVEL=0")).await;
            let shaken = shake(address, &raw, "v4.test").await;
            assert!(
                shaken.is_ok(),
                "{key} {signed} {version}: {}",
                shaken.unwrap_err()
            );
        }
    }
    // As issuers, where their signatures are verified.
    for (key, signed) in [
        ("rsa:1024", "-sha384"),
        (
            "rsa:1032",
            "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32",
        ),
        ("ec -pkeyopt ec_paramgen_curve:secp224r1", "-sha256"),
        ("ec -pkeyopt ec_paramgen_curve:secp224r1", "-sha512"),
    ] {
        openssl.run(&format!(
            "req -x509 -newkey {key} -nodes -days 365 -subj /CN=Old -keyout ca.key -out ca.pem"
        ));
        openssl.run("req -new -newkey rsa:2048 -nodes -subj /CN=v4.test -addext subjectAltName=DNS:v4.test -keyout key.pem -out csr.pem");
        openssl.run(&format!(
            "x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -days 30 -copy_extensions copy -out cert.pem {signed}"
        ));
        let raw = openssl.trusting("ca.pem");
        let (_server, address) = openssl.serve("-tls1_3").await;
        let shaken = shake(address, &raw, "v4.test").await;
        assert!(shaken.is_ok(), "{key} {signed}: {}", shaken.unwrap_err());
    }
}

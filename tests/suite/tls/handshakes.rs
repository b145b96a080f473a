//! Names, versions, cipher suites, key exchanges, and what is told of them.

use blackbox_exporter::config;
use blackbox_exporter::net::tls::Alpn;
use rustls::version::{TLS12, TLS13};
use tokio::net::TcpStream;

use super::{prepare, shake, trusting};
use crate::support::pki::{self, Cert, attribute, tlv};

#[tokio::test]
async fn names_versions_suites_and_protocols() {
    let root = Cert::ca("Root").self_signed();
    let leaf = Cert::leaf()
        .names(&["v4.test", "a_b.test", "127.0.0.1", "x y"])
        .by(&root);
    let certified = || pki::certified(&[&leaf]);
    let both = pki::serve(pki::server_config(certified(), &[&TLS12, &TLS13])).await;
    let old = pki::serve(pki::server_config(certified(), &[&TLS12])).await;
    let trusting = trusting(&[&root]);
    // Names that rustls does not send still get a verdict.
    for name in [
        "v4.test",
        "v4.test.",
        "a_b.test",
        "127.0.0.1",
        "[127.0.0.1]",
        "x y",
    ] {
        assert!(shake(both, &trusting, name).await.is_ok(), "{name}");
    }
    for name in ["x z", "", "\u{200b}", "\u{ad}", "v4.test:443", "*.v4.test"] {
        assert!(shake(both, &trusting, name).await.is_err(), "{name}");
    }
    let session = shake(old, &trusting, "v4.test").await.unwrap();
    assert_eq!(session.facts.version, Some("TLS 1.2"));
    assert_eq!(
        session.facts.cipher,
        Some("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
    );

    let limited = |min, max| config::Tls {
        min_version: min,
        max_version: max,
        ..trusting.clone()
    };
    use config::TlsVersion::{Tls10, Tls11, Tls12, Tls13};
    let at_most = limited(None, Some(Tls12));
    assert_eq!(
        shake(both, &at_most, "v4.test").await.unwrap().facts.version,
        Some("TLS 1.2")
    );
    let lenient = limited(Some(Tls10), None);
    assert_eq!(
        shake(both, &lenient, "v4.test").await.unwrap().facts.version,
        Some("TLS 1.3")
    );
    let at_least = limited(Some(Tls13), None);
    let failed = shake(old, &at_least, "v4.test").await.unwrap_err();
    assert_eq!(
        failed.error.to_string(),
        "remote error: tls: protocol version not supported: no protocol version in common (this program speaks TLS 1.2 and \
         TLS 1.3, as far as tls_config allows)"
    );
    let failed = shake(both, &limited(None, Some(Tls11)), "v4.test")
        .await
        .unwrap_err();
    assert_eq!(
        failed.error.to_string(),
        "tls: no supported versions satisfy MinVersion and MaxVersion"
    );
    let failed = shake(both, &limited(Some(Tls10), Some(Tls11)), "v4.test")
        .await
        .unwrap_err();
    assert_eq!(
        failed.error.to_string(),
        "tls: tls_config.max_version allows only TLS 1.0 and TLS 1.1, which this program does not speak"
    );
    let error = prepare(&limited(Some(Tls13), Some(Tls12))).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "tls_config.max_version must be greater than or equal to tls_config.min_version if both are specified"
    );
}

#[tokio::test]
async fn key_exchanges_are_offered_as_go_offers_them() {
    use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
    let own = Cert::leaf().self_signed();
    for group in [
        kx_group::X25519MLKEM768,
        kx_group::X25519,
        kx_group::SECP256R1,
        kx_group::SECP384R1,
    ] {
        for (version, works) in [
            (&TLS13, true),
            (&TLS12, group.name() != rustls::NamedGroup::X25519MLKEM768),
        ] {
            let provider = rustls::crypto::CryptoProvider {
                kx_groups: vec![group],
                ..default_provider()
            };
            let key = pki::certified(&[&own]);
            let server = rustls::ServerConfig::builder_with_provider(std::sync::Arc::new(provider))
                .with_protocol_versions(&[version])
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(key)));
            let address = pki::serve(server).await;
            let prepared = prepare(&trusting(&[&own])).await.unwrap();
            let (client, _) = prepared.client_config(Some("v4.test"), Alpn::None).unwrap();
            let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(client));
            let stream = TcpStream::connect(address).await.unwrap();
            let shaken = connector.connect("v4.test".try_into().unwrap(), stream).await;
            assert_eq!(shaken.is_ok(), works, "{:?} {version:?}", group.name());
            // The key shares of two are sent along: they cost no round trip more.
            if let Ok(stream) = shaken
                && *version == TLS13
            {
                let sent_along = [kx_group::X25519MLKEM768, kx_group::X25519]
                    .iter()
                    .any(|sent| sent.name() == group.name());
                let kind = stream.get_ref().1.handshake_kind();
                assert_eq!(
                    kind == Some(rustls::HandshakeKind::Full),
                    sent_along,
                    "{:?}",
                    group.name()
                );
            }
        }
    }
}

#[tokio::test]
async fn names_are_printed_as_go_does() {
    let set = |attributes: &[&[u8]]| tlv(0x31, attributes);
    let a = attribute;
    let subject = tlv(
        0x30,
        &[
            &set(&[&a("2.5.4.6", 0x13, b"CN")]),
            &set(&[
                &a("2.5.4.10", 0x0c, b"Example, \"Inc.\""),
                &a("2.5.4.11", 0x0c, b"one"),
            ]),
            &set(&[&a("2.5.4.11", 0x14, b"z\xfcrich")]),
            &set(&[&a("2.5.4.7", 0x1e, &[0x53, 0x17, 0x4e, 0xac])]),
            &set(&[
                &a("1.2.3", 0x16, b"it's"),
                &a("0.9.2342.19200300.100.1.1", 0x0c, "\u{e9}".as_bytes()),
            ]),
            &set(&[&a("2.5.4.3", 0x0c, b"first")]),
            &set(&[&a("2.5.4.3", 0x0c, b"#last ")]),
        ],
    );
    let leaf = Cert::leaf().subject(subject).serial(&[0, 0xff, 0]).self_signed();
    let address = pki::serve(pki::server_config(pki::certified(&[&leaf]), &[&TLS13])).await;
    let session = shake(address, &trusting(&[&leaf]), "v4.test").await.unwrap();
    let leaf = &session.facts.presented[0];
    assert_eq!(
        leaf.subject(),
        "CN=\\#last\\ ,OU=one+OU=z\u{fc}rich,O=Example\\, \\\"Inc.\\\",L=\u{5317}\u{4eac},C=CN,\
         0.9.2342.19200300.100.1.1=#0c02c3a9,1.2.3=#130469742773"
    );
    assert_eq!(leaf.serial(), "ff00");
}

#[tokio::test]
async fn libraries_hear_why_a_certificate_was_refused() {
    let (root, other) = (Cert::ca("Root").self_signed(), Cert::ca("Other").self_signed());
    let leaf = Cert::leaf().by(&root);
    let address = pki::serve(pki::server_config(pki::certified(&[&leaf]), &[&TLS13])).await;
    for (authority, want) in [
        (&root, ""),
        (
            &other,
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        ),
    ] {
        let prepared = prepare(&trusting(&[authority])).await.unwrap();
        let (library, recorder) = prepared.client_config(None, Alpn::Http1).unwrap();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(library));
        let stream = TcpStream::connect(address).await.unwrap();
        let shaken = connector.connect("v4.test".try_into().unwrap(), stream).await;
        let got = shaken.map_or_else(|error| error.to_string(), |_| String::new());
        assert!(got.contains(want) && got.is_empty() == want.is_empty(), "{got}");
        assert_eq!(recorder.facts().presented.len(), 1);
        assert_eq!(recorder.refusal().is_some(), !want.is_empty());
    }
}

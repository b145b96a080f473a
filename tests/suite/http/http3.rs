//! HTTP/3 against a server of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use blackbox_exporter::metrics::Metric;
use bytes::{Buf, Bytes};
use quinn::crypto::rustls::QuicServerConfig;

use crate::support::tls_peer::SelfSigned;
use crate::support::{exposition, log, probe};

/// Answers requests with what it was asked: method, path, the length of the body, and two headers if they came.
async fn serve(folder: &std::path::Path) -> SocketAddr {
    let made = SelfSigned::local();
    made.write(folder);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.der()], made.key())
        .unwrap();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
    let endpoint = quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = endpoint.local_addr().unwrap();
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                let Ok(connection) = incoming.await else { return };
                let quic = h3_quinn::Connection::new(connection);
                let mut server = h3::server::Connection::<_, Bytes>::new(quic).await.unwrap();
                while let Ok(Some(resolver)) = server.accept().await {
                    let (request, mut stream) = resolver.resolve_request().await.unwrap();
                    let mut length = 0;
                    while let Some(data) = stream.recv_data().await.unwrap() {
                        length += data.remaining();
                    }
                    let mut body = format!("{} {} {length}", request.method(), request.uri().path());
                    for value in ["authorization", "x-a"]
                        .map(|name| request.headers().get(name))
                        .into_iter()
                        .flatten()
                    {
                        body.push_str(&format!(" {}", value.to_str().unwrap()));
                    }
                    let answer = http::Response::builder().header("content-length", body.len());
                    stream.send_response(answer.body(()).unwrap()).await.unwrap();
                    stream.send_data(Bytes::from(body)).await.unwrap();
                    stream.finish().await.unwrap();
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_request_over_http3() {
    let folder = tempfile::tempdir().unwrap();
    let address = serve(folder.path()).await;
    let module = |more: &str| {
        format!(
            "prober: http\nhttp:\n  preferred_ip_protocol: ip4\n  enable_http3: true\n  enable_http2: false\n  \
             valid_http_versions: [HTTP/3.0]\n  tls_config: {{ca_file: '{}'}}\n  {}",
            folder.path().join("cert.pem").display(),
            more.replace('\n', "\n  ")
        )
    };
    let target = format!("https://localhost:{}/x", address.port());
    let rows = [
        (
            "fail_if_body_not_matches_regexp: ['^GET /x 0$']".to_owned(),
            target.clone(),
        ),
        (
            format!(
                "method: POST\nbody: '{}'\nfail_if_body_not_matches_regexp: ['^POST /x 100000$']",
                "x".repeat(100_000)
            ),
            target.clone(),
        ),
        (String::new(), target.replace("https:", "http:")),
        // compat: upstream leaves both out.
        (
            "basic_auth: {username: ann, password: secret}\nhttp_headers: {X-A: {values: [b]}}\n\
             fail_if_body_not_matches_regexp: ['^GET /x 0 Basic YW5uOnNlY3JldA== b$']"
                .to_owned(),
            target.clone(),
        ),
    ];
    for (more, target) in rows {
        let outcome = probe(&module(&more), &target).await;
        assert!(outcome.success, "{target}: {:?}", log(&outcome));
        assert_eq!(outcome.samples.value(Metric::HttpVersion), Some(3.0));
        let text = exposition(&outcome);
        // The handshake of QUIC is one of TLS, and there is no other connecting.
        assert!(
            text.contains("phase=\"connect\"} 0\n") && !text.contains("phase=\"tls\"} 0\n"),
            "{text}"
        );
        for family in [
            "probe_http_ssl 1",
            "probe_tls_version_info{version=\"TLS 1.3\"} 1",
            "probe_tls_cipher_info{cipher=\"TLS_A",
            "probe_ssl_earliest_cert_expiry ",
            "probe_ssl_last_chain_info{",
        ] {
            assert!(text.contains(family), "{family}: {text}");
        }
    }
    // The library refuses what others take.
    let outcome = probe(&module(""), &format!("{target}?a b")).await;
    assert!(!outcome.success);
    assert!(
        log(&outcome).join("\n").contains("http3: cannot be sent"),
        "{:?}",
        log(&outcome)
    );
    let untrusting =
        "prober: http\nhttp: {preferred_ip_protocol: ip4, enable_http3: true, enable_http2: false}";
    let outcome = probe(untrusting, &target).await;
    assert!(!outcome.success);
    assert!(log(&outcome).join("\n").contains("x509"), "{:?}", log(&outcome));
    assert!(exposition(&outcome).contains("probe_ssl_earliest_cert_expiry"));
}

#[tokio::test]
async fn nobody_there_is_ended_by_the_deadline() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = format!("https://{}/", socket.local_addr().unwrap());
    let yaml = "prober: http\ntimeout: 2s\nhttp: {preferred_ip_protocol: ip4, enable_http3: true, enable_http2: false}";
    let outcome = probe(yaml, &target).await;
    let lines = log(&outcome).join("\n");
    assert!(lines.contains("waiting for the QUIC handshake"), "{lines}");
}

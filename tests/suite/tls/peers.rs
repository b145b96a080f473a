//! Servers that break TLS off or do not speak it, and how a connection ends.

use std::net::SocketAddr;
use std::time::Duration;

use blackbox_exporter::net::Deadline;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::{shake, shake_until, trusting_anyone};
use crate::support::peer::listen;
use crate::support::pki::{self, Cert};
use crate::support::tls_peer::Identity;
use crate::support::{TIMEOUT, log, probe};

/// A peer that answers the ClientHello with these bytes and then keeps the connection open, or not.
async fn says(bytes: Vec<u8>, and_closes: bool) -> SocketAddr {
    listen(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&bytes).await;
            if !and_closes {
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            }
        }
    })
    .await
}

/// A ServerHello of that version, without extensions.
fn server_hello(version: u16) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.extend([0, 0xc0, 0x2f, 0]);
    handshake_record(version, 2, &body)
}

fn handshake_record(version: u16, kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[kind], &length[1..], body].concat();
    let mut record = vec![22];
    record.extend(version.to_be_bytes());
    record.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
    record.extend(message);
    record
}

#[tokio::test]
async fn bad_peers_get_a_clear_error() {
    let skip = trusting_anyone();
    let http = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
    // A certificate message that says it has 10 MB.
    let mut huge = server_hello(0x0303);
    huge.extend([22, 3, 3, 0x40, 0, 11, 0x98, 0x96, 0x80]);
    huge.extend(vec![0x30; 0x4000 - 4]);
    #[rustfmt::skip]
    let rows: &[(&str, Vec<u8>, bool, &str)] = &[
        (
            "http",
            http,
            false,
            "tls: first record does not look like a TLS handshake: the server says \"HTTP/1.1 400 Bad Request\" in the clear",
        ),
        ("garbage", (200..=255).collect(), false, "tls: first record does not look like a TLS handshake"),
        ("zeros", vec![0; 500], false, "tls: first record does not look like a TLS handshake"),
        ("nothing", vec![], true, "tls: the server closed the connection during the handshake: EOF"),
        (
            "alert",
            vec![21, 3, 3, 0, 2, 2, 40],
            false,
            "remote error: tls: handshake failure: probably no cipher suite or key exchange in common (this program offers only suites with ECDHE, and of those with CBC only AES with SHA-1)",
        ),
        ("unknown alert", vec![21, 3, 3, 0, 2, 2, 200], false, "remote error: tls: alert(200)"),
        (
            "alert about the name",
            vec![21, 3, 3, 0, 2, 2, 112],
            false,
            "remote error: tls: unrecognized name: the server does not know the name that was sent as SNI, or demands one",
        ),
        (
            "alert about the version",
            vec![21, 3, 1, 0, 2, 2, 70],
            false,
            "remote error: tls: protocol version not supported: no protocol version in common (this program speaks TLS 1.2 and TLS 1.3, as far as tls_config allows)",
        ),
        (
            "TLS 1.0",
            server_hello(0x0301),
            false,
            "tls: server selected unsupported protocol version 301: it speaks nothing newer than TLS 1.0, and this program speaks only TLS 1.2 and TLS 1.3",
        ),
        (
            "TLS 1.1",
            server_hello(0x0302),
            false,
            "tls: server selected unsupported protocol version 302: it speaks nothing newer than TLS 1.1, and this program speaks only TLS 1.2 and TLS 1.3",
        ),
        ("10 MB of certificates", huge, false, "tls: handshake message exceeds maximum of 65535 bytes"),
        (
            "half a record",
            server_hello(0x0303)[..30].to_vec(),
            true,
            "tls: the server closed the connection during the handshake: EOF",
        ),
    ];
    let mut problems = Vec::new();
    for (name, bytes, closes, want) in rows {
        let address = says(bytes.clone(), *closes).await;
        let failed = shake(address, &skip, "v4.test").await.unwrap_err();
        if failed.error.to_string() != *want || failed.facts.is_some() {
            problems.push(format!("{name}: {}\n  not {want}", failed.error));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test]
async fn the_deadline_says_what_was_waited_for() {
    let skip = trusting_anyone();
    for (bytes, want) in [
        (Vec::new(), "waiting for a response to the ClientHello"),
        (
            vec![22, 3, 3],
            "waiting for the rest of the server's first record",
        ),
        (
            server_hello(0x0303),
            "waiting for the server's messages after its ServerHello",
        ),
    ] {
        let address = says(bytes, false).await;
        let deadline = Deadline::after(Instant::now(), Duration::from_millis(200));
        let failed = shake_until(address, &skip, "v4.test", deadline)
            .await
            .unwrap_err();
        let want = format!("TLS handshake: {want}: the probe's timeout of 200ms ran out");
        assert_eq!(failed.error.to_string(), want);
    }
}

#[tokio::test]
async fn a_wrong_signature_over_the_handshake_is_refused_without_verification_too() {
    // The certificate is one of a key that the server does not have.
    let mut stolen = Cert::leaf().self_signed();
    stolen.key = pki::key(&rcgen::PKCS_ECDSA_P256_SHA256);
    for version in [&TLS13, &TLS12] {
        let address = pki::serve(pki::server_config(pki::certified(&[&stolen]), &[version])).await;
        let failed = shake(address, &trusting_anyone(), "v4.test").await.unwrap_err();
        let want = "tls: invalid signature by the server certificate: ECDSA verification failure";
        assert_eq!(failed.error.to_string(), want);
    }
}

/// Every connection in TLS ends with close_notify, whatever became of the probe: strict servers log an error otherwise.
#[tokio::test]
async fn every_connection_ends_with_a_goodbye() {
    const TLS: &str = "tls_config: {insecure_skip_verify: true}";
    let http = |more: &str| format!("prober: http\nhttp: {{preferred_ip_protocol: ip4, {TLS}{more}}}");
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let redirect = "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n";
    // SETTINGS, and an answer without a body.
    let h2 = b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\x01\x88";
    #[rustfmt::skip]
    let rows = [
        (http(""), "https://", "http/1.1", ok.as_bytes(), 1),
        (http(", valid_status_codes: [404]"), "https://", "http/1.1", ok.as_bytes(), 1),
        (http(", body_size_limit: 1B"), "https://", "http/1.1", ok.as_bytes(), 1),
        // The target and ten redirects.
        (http(""), "https://", "http/1.1", redirect.as_bytes(), 11),
        (http(", follow_redirects: false"), "https://", "http/1.1", redirect.as_bytes(), 1),
        (http(""), "https://", "http/1.1", b"nonsense\r\n\r\n", 1),
        (http(""), "https://", "h2", h2, 1),
        (format!("prober: tcp\ntcp: {{tls: true, {TLS}}}"), "", "x", b"", 1),
        (format!("prober: tcp\ntcp: {{tls: true, {TLS}, query_response: [{{send: x}}, {{expect: y}}]}}"), "", "x", b"z\n", 1),
        (format!("prober: grpc\ngrpc: {{preferred_ip_protocol: ip4, tls: true, {TLS}}}"), "", "h2", h2, 1),
        (format!("prober: websocket\nwebsocket: {{http_config: {{{TLS}}}}}"), "wss://", "http/1.1", ok.as_bytes(), 1),
        (
            format!(
                "prober: dns\ndns: {{query_name: a.test, transport_protocol: tcp, dns_over_tls: true, {TLS}}}"
            ),
            "",
            "dot",
            b"\0\x01x",
            1,
        ),
    ];
    for (module, scheme, protocol, answer, connections) in rows {
        // A peer that says nothing after the handshake is left by the timeout.
        let module = format!("timeout: 2s\n{module}");
        let (address, mut ends) = Identity::local().part(protocol, answer.to_vec()).await;
        let outcome = probe(&module, &format!("{scheme}{address}")).await;
        for connection in 1..=connections {
            let end = tokio::time::timeout(TIMEOUT, ends.recv()).await;
            let end = end.unwrap_or_else(|_| panic!("{module}: {connection}: {:?}", log(&outcome)));
            assert!(
                end.unwrap().is_ok(),
                "{module}: {connection}: {:?}",
                log(&outcome)
            );
        }
    }
}

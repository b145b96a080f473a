//! HTTP/3 against a server of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use blackbox_exporter::metrics::Metric;
use bytes::{Buf, Bytes};
use quinn::crypto::rustls::QuicServerConfig;

use crate::support::tls_peer::SelfSigned;
use crate::support::{exposition, log, probe};

/// A place where QUIC connections arrive for HTTP/3.
fn listen(folder: &std::path::Path) -> quinn::Endpoint {
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
    quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap()
}

/// Answers requests with what it was asked: method, path, the length of the body, and two headers if they came.
async fn serve(folder: &std::path::Path) -> SocketAddr {
    let endpoint = listen(folder);
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

/// Sends these bytes in answer to each request, the last of them for ever if there are such, and ends the stream; stays silent
/// when there are none.
pub fn play(folder: &std::path::Path, answer: Vec<u8>, forever: Vec<u8>) -> SocketAddr {
    // The stream's type, and empty SETTINGS.
    play_all(folder, vec![0, 4, 0], Vec::new(), answer, forever)
}

/// The same with the bytes of the control stream.
fn play_all(
    folder: &std::path::Path,
    control: Vec<u8>,
    control_forever: Vec<u8>,
    answer: Vec<u8>,
    forever: Vec<u8>,
) -> SocketAddr {
    async fn send(stream: &mut quinn::SendStream, once: Vec<u8>, forever: Vec<u8>) {
        // Whoever has seen enough does not take the rest.
        let mut sent = stream.write_all(&once).await;
        while !forever.is_empty() && sent.is_ok() {
            sent = stream.write_all(&forever).await;
        }
    }
    let endpoint = listen(folder);
    let address = endpoint.local_addr().unwrap();
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let (answer, forever) = (answer.clone(), forever.clone());
            let (control, control_forever) = (control.clone(), control_forever.clone());
            tokio::spawn(async move {
                let connection = incoming.await.unwrap();
                let mut stream = connection.open_uni().await.unwrap();
                tokio::spawn(async move {
                    send(&mut stream, control, control_forever).await;
                    // Who ends this stream ends the connection.
                    let _ = stream.stopped().await;
                });
                while let Ok((mut sending, mut receiving)) = connection.accept_bi().await {
                    if receiving.read_to_end(1 << 20).await.is_ok() {
                        send(&mut sending, answer.clone(), forever.clone()).await;
                        if answer.is_empty() {
                            let _ = sending.stopped().await;
                        }
                        let _ = sending.finish();
                    }
                }
            });
        }
    });
    address
}

/// The head of a frame of a terabyte.
pub fn endless(kind: u8) -> Vec<u8> {
    [&[kind][..], &(0xc000_0000_0000_0000_u64 | 1 << 40).to_be_bytes()].concat()
}

/// A frame of HTTP/3 with its payload.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = 0xc000_0000_0000_0000 | payload.len() as u64;
    [&[kind][..], &length.to_be_bytes(), payload].concat()
}

/// A HEADERS frame: a status, and fields that are written out in full.
fn fields(status: u16, fields: impl IntoIterator<Item = (String, String)>) -> Vec<u8> {
    // A literal with the 24th name of QPACK's static table, `:status` (RFC 9204, 4.5.4 and appendix A).
    let mut block = vec![0, 0, 0b0101_1111, 24 - 15, 3];
    block.extend(status.to_string().bytes());
    for (name, value) in fields {
        prefixed(&mut block, 0b0010_0000, 3, name.len());
        block.extend(name.bytes());
        prefixed(&mut block, 0, 7, value.len());
        block.extend(value.bytes());
    }
    frame(1, &block)
}

/// An integer of QPACK with a prefix of so many bits (RFC 7541, 5.1).
fn prefixed(out: &mut Vec<u8>, flags: u8, bits: u32, value: usize) {
    let most = (1 << bits) - 1;
    if value < most {
        out.push(flags | u8::try_from(value).unwrap());
        return;
    }
    out.push(flags | u8::try_from(most).unwrap());
    let mut rest = value - most;
    while rest >= 128 {
        out.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    out.push(u8::try_from(rest).unwrap());
}

fn module(folder: &std::path::Path, more: &str) -> String {
    format!(
        "prober: http\ntimeout: 15s\nhttp:\n  preferred_ip_protocol: ip4\n  enable_http3: true\n  enable_http2: false\n  \
         valid_http_versions: [HTTP/3.0]\n  tls_config: {{ca_file: '{}'}}\n  {}",
        folder.join("cert.pem").display(),
        more.replace('\n', "\n  ")
    )
}

#[tokio::test]
async fn a_request_over_http3() {
    let folder = tempfile::tempdir().unwrap();
    let address = serve(folder.path()).await;
    let module = |more: &str| module(folder.path(), more);
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

#[tokio::test]
async fn heads_of_many_fields_are_refused() {
    let many = |status: u16, count: usize| {
        let names = (0..count).map(|n| (format!("{n:x}"), String::new()));
        fields(status, names)
    };
    let long = |length: usize| fields(200, [("a".to_owned(), "b".repeat(length))]);
    let same = fields(200, vec![(String::from("a"), String::new()); 25_000]);
    let body = frame(0, b"hello");
    const TOO_LARGE: &str = "http3: server response headers exceeded 524288 bytes, 32 more counted for each";
    // what is answered, what is said of it
    let rows = [
        (
            "a thousand fields",
            [many(200, 1_000), body.clone()].concat(),
            None,
        ),
        (
            "400 KiB of a field",
            [long(400 << 10), body.clone()].concat(),
            None,
        ),
        ("25,000 fields", many(200, 25_000), Some(TOO_LARGE)),
        ("25,000 times the same field", same, Some(TOO_LARGE)),
        ("600 KiB of a field", long(600 << 10), Some(TOO_LARGE)),
        (
            "25,000 fields of an interim answer",
            [many(103, 25_000), many(200, 1)].concat(),
            Some(TOO_LARGE),
        ),
        // Nobody looks at them.
        (
            "25,000 fields of a trailer",
            [many(200, 1), body, many(200, 25_000)].concat(),
            None,
        ),
    ];
    for (name, answer, want) in rows {
        let folder = tempfile::tempdir().unwrap();
        let target = format!(
            "https://localhost:{}/",
            play(folder.path(), answer, Vec::new()).port()
        );
        let outcome = probe(
            &module(folder.path(), "fail_if_body_not_matches_regexp: ['^hello$']"),
            &target,
        )
        .await;
        let lines = log(&outcome).join("\n");
        assert_eq!(outcome.success, want.is_none(), "{name}: {lines}");
        assert!(lines.contains(want.unwrap_or_default()), "{name}: {lines}");
        assert!(exposition(&outcome).contains("probe_http_status_code "), "{name}");
    }
}

#[tokio::test]
async fn what_the_library_holds_is_bounded() {
    /// A kind of frame that means nothing (RFC 9114, 7.2.8).
    const RESERVED: u8 = 0x21;
    const SETTINGS: u8 = 4;
    const TOO_MUCH: &str = "more than 1048576 bytes came that are no part of a body";
    let ok = || fields(200, None);
    let hello = || [ok(), frame(0, b"hello")].concat();
    let zeros = || vec![0; 1 << 16];
    let small = [RESERVED, 0].repeat(1 << 15);
    let quiet = (vec![0, SETTINGS, 0], Vec::new());
    let long_body = [ok(), frame(0, &vec![b'x'; 5 << 20]), frame(0, b"hello")].concat();
    let grease = [
        frame(RESERVED, &vec![0; 100 << 10]),
        hello(),
        frame(RESERVED, b"x"),
    ]
    .concat();
    // what comes on the control stream, once and for ever, what is answered, once and for ever, what is said
    let rows = [
        ("a long body", quiet.clone(), (long_body, vec![]), None),
        (
            "a frame that means nothing",
            quiet.clone(),
            (grease, vec![]),
            None,
        ),
        (
            "an endless head",
            quiet.clone(),
            (endless(1), zeros()),
            Some(TOO_MUCH),
        ),
        (
            "an endless frame",
            quiet.clone(),
            (endless(RESERVED), zeros()),
            Some(TOO_MUCH),
        ),
        (
            "frames without end",
            quiet.clone(),
            (vec![], small.clone()),
            Some(TOO_MUCH),
        ),
        (
            "an endless frame behind a body",
            quiet.clone(),
            ([hello(), endless(RESERVED)].concat(), zeros()),
            Some(TOO_MUCH),
        ),
        (
            "frames without end behind a body",
            quiet.clone(),
            (hello(), small),
            Some(TOO_MUCH),
        ),
        (
            "an endless trailer",
            quiet,
            ([hello(), endless(1)].concat(), zeros()),
            Some(TOO_MUCH),
        ),
        (
            "endless settings",
            ([vec![0], endless(SETTINGS)].concat(), zeros()),
            (vec![], vec![]),
            Some(TOO_MUCH),
        ),
    ];
    for (name, (control, control_forever), (answer, forever), want) in rows {
        let folder = tempfile::tempdir().unwrap();
        let address = play_all(folder.path(), control, control_forever, answer, forever);
        let outcome = probe(
            &module(folder.path(), "fail_if_body_not_matches_regexp: ['hello$']"),
            &format!("https://localhost:{}/", address.port()),
        )
        .await;
        let lines = log(&outcome).join("\n");
        assert_eq!(outcome.success, want.is_none(), "{name}: {lines}");
        assert!(lines.contains(want.unwrap_or_default()), "{name}: {lines}");
    }
}

#[tokio::test]
async fn interim_answers_are_passed_over() {
    let heads = |statuses: &[u16]| -> Vec<u8> {
        let heads = statuses
            .iter()
            .flat_map(|status| fields(*status, [("a".to_owned(), "b".to_owned())]));
        heads.collect()
    };
    let many = (0..25_000).map(|n| (format!("{n:x}"), String::new()));
    // heads, the status that is exposed, what is said where the probe fails
    let rows = [
        (heads(&[103, 200]), 200, None),
        (heads(&[100, 103, 103, 102, 199, 204]), 204, None),
        (heads(&[103, 404]), 404, Some("Invalid HTTP response status code")),
        // The one that ends the dialogue in HTTP.
        (heads(&[101, 200]), 101, Some("Invalid HTTP response status code")),
        (
            heads(&[103, 103, 103, 103, 103, 103, 200]),
            0,
            Some("http3: too many 1xx informational responses"),
        ),
        (
            heads(&[103]),
            0,
            Some("Stream finished without receiving response headers"),
        ),
        // Both heads are there at once: the second is refused while more is being waited for.
        (
            [heads(&[103]), fields(200, many)].concat(),
            0,
            Some("http3: server response headers exceeded"),
        ),
    ];
    for (answer, status, want) in rows {
        let folder = tempfile::tempdir().unwrap();
        let address = play(folder.path(), answer, Vec::new());
        let target = format!("https://localhost:{}/", address.port());
        let outcome = probe(&module(folder.path(), ""), &target).await;
        let lines = log(&outcome).join("\n");
        assert_eq!(outcome.success, want.is_none(), "{status}: {lines}");
        assert!(lines.contains(want.unwrap_or_default()), "{status}: {lines}");
        assert_eq!(
            outcome.samples.value(Metric::HttpStatusCode),
            Some(f64::from(status)),
            "{lines}"
        );
    }
}

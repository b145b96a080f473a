//! HTTP/3 against a server of another library, and against peers whose every byte is written here.

use std::net::SocketAddr;
use std::sync::Arc;

use blackbox_exporter::metrics::Metric;
use blackbox_exporter::prober::Outcome;
use blackbox_exporter::reason::Reason;
use bytes::{Buf, Bytes};
use quinn::crypto::rustls::QuicServerConfig;
use tokio::sync::mpsc;

use crate::support::tls_peer::SelfSigned;
use crate::support::{exposition, has, lacks, log, probe, spawn};

/// A place where QUIC connections arrive for HTTP/3.
fn listen(folder: &std::path::Path) -> quinn::Endpoint {
    listen_with(folder, rustls::crypto::aws_lc_rs::DEFAULT_CIPHER_SUITES)
}

/// The same with these cipher suites only.
fn listen_with(folder: &std::path::Path, suites: &[rustls::SupportedCipherSuite]) -> quinn::Endpoint {
    let made = SelfSigned::local();
    made.write(folder);
    let provider = Arc::new(rustls::crypto::CryptoProvider {
        cipher_suites: suites.to_vec(),
        ..rustls::crypto::aws_lc_rs::default_provider()
    });
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.der()], made.key())
        .unwrap();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    // The first packets are always protected so.
    let first = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let first = first.tls13().unwrap().quic_suite().unwrap();
    let config = QuicServerConfig::with_initial(Arc::new(tls), first).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(config));
    quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap()
}

/// Answers requests with what it was asked: method, path, the length of the body, and two headers if they came.
async fn serve(endpoint: quinn::Endpoint) -> SocketAddr {
    let address = endpoint.local_addr().unwrap();
    spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            spawn(async move {
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

/// Sends these bytes in answer to each request, the last of them forever if there are such, and ends the stream; stays silent
/// when there are none.
pub fn play(folder: &std::path::Path, answer: Vec<u8>, forever: Vec<u8>) -> SocketAddr {
    // The stream's type, and empty SETTINGS.
    play_all(folder, vec![0, 4, 0], Vec::new(), answer, forever)
}

/// The same with the bytes of the control stream.
pub fn play_all(
    folder: &std::path::Path,
    control: Vec<u8>,
    control_forever: Vec<u8>,
    answer: Vec<u8>,
    forever: Vec<u8>,
) -> SocketAddr {
    play_to(
        listen(folder),
        (control, control_forever),
        (answer, forever),
        mpsc::unbounded_channel().0,
    )
}

/// The same; what was asked goes to `requests`.
fn play_to(
    endpoint: quinn::Endpoint,
    (control, control_forever): (Vec<u8>, Vec<u8>),
    (answer, forever): (Vec<u8>, Vec<u8>),
    requests: mpsc::UnboundedSender<Vec<u8>>,
) -> SocketAddr {
    async fn send(stream: &mut quinn::SendStream, once: Vec<u8>, forever: Vec<u8>) {
        // Whoever has seen enough does not take the rest.
        let mut sent = stream.write_all(&once).await;
        while !forever.is_empty() && sent.is_ok() {
            sent = stream.write_all(&forever).await;
        }
    }
    let address = endpoint.local_addr().unwrap();
    spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let (answer, forever) = (answer.clone(), forever.clone());
            let (control, control_forever) = (control.clone(), control_forever.clone());
            let requests = requests.clone();
            spawn(async move {
                let connection = incoming.await.unwrap();
                let mut stream = connection.open_uni().await.unwrap();
                spawn(async move {
                    send(&mut stream, control, control_forever).await;
                    // Who ends this stream ends the connection.
                    let _ = stream.stopped().await;
                });
                while let Ok((mut sending, mut receiving)) = connection.accept_bi().await {
                    if let Ok(request) = receiving.read_to_end(1 << 20).await {
                        let _ = requests.send(request);
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

/// A probe of a peer that answers with these bytes.
async fn played(answer: Vec<u8>, more: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let address = play(folder.path(), answer, Vec::new());
    let target = format!("https://localhost:{}/", address.port());
    probe(&module(folder.path(), more), &target).await
}

#[tokio::test]
async fn a_request_over_http3() {
    let folder = tempfile::tempdir().unwrap();
    let address = serve(listen(folder.path())).await;
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
        has(&text, ["phase=\"connect\"} 0\n"]);
        lacks(&text, ["phase=\"tls\"} 0\n"]);
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
    // Names that are mapped to nothing are checked nevertheless.
    for (more, want) in [
        (
            "max_version: TLS12",
            "no supported versions satisfy MinVersion and MaxVersion",
        ),
        ("server_name: \u{200b}", "certificate is valid for"),
    ] {
        let yaml = module("").replace("tls_config: {", &format!("tls_config: {{{more}, "));
        let outcome = probe(&yaml, &target).await;
        assert!(!outcome.success, "{more}");
        has(log(&outcome).join("\n"), [want]);
    }
    let folder_as_body = format!("method: POST\nbody_file: {}", folder.path().display());
    let outcome = probe(&module(&folder_as_body), &target).await;
    let unreadable = format!("read {}: is a directory", folder.path().display());
    has(log(&outcome).join("\n"), [&unreadable]);
    let untrusting =
        "prober: http\nhttp: {preferred_ip_protocol: ip4, enable_http3: true, enable_http2: false}";
    let outcome = probe(untrusting, &target).await;
    assert!(!outcome.success);
    assert!(log(&outcome).join("\n").contains("x509"), "{:?}", log(&outcome));
    has(
        exposition(&outcome),
        [
            "probe_ssl_earliest_cert_expiry",
            "probe_tls_cipher_info{cipher=\"TLS_A",
        ],
    );
}

#[tokio::test]
async fn the_log_is_upstreams() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = |port: u16| format!("https://127.0.0.1:{port}/");
    let first = play(folder.path(), fields(200, []), Vec::new());
    let second = folder.path().join("second");
    std::fs::create_dir(&second).unwrap();
    let location = ("location".to_owned(), elsewhere(first.port()));
    let second = play(&second, fields(302, [location]), Vec::new());
    let yaml = |more: &str| {
        format!(
            "prober: http\ntimeout: 15s\nhttp: {{preferred_ip_protocol: ip4, enable_http3: true, enable_http2: false, \
             tls_config: {{{more}}}}}"
        )
    };
    let target = format!("HTTP://localhost:{}/", second.port());
    let lines = log(&probe(&yaml("insecure_skip_verify: true"), &target).await).join("\n");
    let original = format!("original_target=\"http://localhost:{}/\"", second.port());
    has(
        &lines,
        [
            &original,
            "DEBUG Setting TLS Version to 1.3 because HTTP/3 requires TLS 1.3 minimum",
            "DEBUG No serverless transport available, using standard transport",
            "INFO Received redirect",
        ],
    );
    let lines = log(&probe(&yaml("min_version: TLS13, insecure_skip_verify: true"), &target).await);
    lacks(lines.join("\n"), ["Setting TLS Version"]);
    let lines = log(&probe(&yaml("ca_file: /no/such/file"), &target).await);
    has(
        lines.join("\n"),
        ["ERROR Error creating TLS config for HTTP/3 err="],
    );
}

#[tokio::test]
async fn nobody_there_is_ended_by_the_deadline() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = format!("https://{}/", socket.local_addr().unwrap());
    let yaml = "prober: http\ntimeout: 2s\nhttp: {preferred_ip_protocol: ip4, enable_http3: true, enable_http2: false}";
    let outcome = probe(yaml, &target).await;
    let lines = log(&outcome).join("\n");
    has(&lines, ["no end of the QUIC handshake"]);
    // Nobody at all is told by the system at once.
    drop(socket);
    let outcome = probe(&yaml.replace("2s", "60s"), &target).await;
    assert_eq!(
        outcome.failure.unwrap().reason,
        Reason::ConnectRefused,
        "{:?}",
        log(&outcome)
    );
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
    const TOO_LARGE: &str = "server response headers exceeded 10485760 bytes";
    // what is answered, what is said of it
    let rows = [
        ("25,000 fields", [many(200, 25_000), body.clone()].concat(), None),
        ("25,000 times the same field", [same, body.clone()].concat(), None),
        ("9 MiB of a field", [long(9 << 20), body.clone()].concat(), None),
        ("300,000 fields", many(200, 300_000), Some(TOO_LARGE)),
        ("11 MiB of a field", long(11 << 20), Some(TOO_LARGE)),
        (
            "300,000 fields of an interim answer",
            [many(103, 300_000), many(200, 1)].concat(),
            Some(TOO_LARGE),
        ),
        (
            "300,000 fields of a trailer",
            [
                many(200, 1),
                body,
                frame(1, &[b"\0\0".to_vec(), b"\x21a\x01b".repeat(310_000)].concat()),
            ]
            .concat(),
            Some(TOO_LARGE),
        ),
    ];
    for (name, answer, want) in rows {
        let outcome = played(answer, "fail_if_body_not_matches_regexp: ['^hello$']").await;
        let lines = log(&outcome).join("\n");
        assert_eq!(outcome.success, want.is_none(), "{name}: {lines}");
        assert!(lines.contains(want.unwrap_or_default()), "{name}: {lines}");
        assert!(exposition(&outcome).contains("probe_http_status_code "), "{name}");
    }
}

/// Frames that mean nothing are skipped, whatever their length; those that are kept until they are whole are bounded.
#[tokio::test]
async fn frames_without_end() {
    /// A kind of frame that means nothing (RFC 9114, 7.2.8).
    const RESERVED: u8 = 0x21;
    const SETTINGS: u8 = 4;
    const LATE: &str = "timeout of 1s ran out";
    let ok = || fields(200, None);
    let hello = || [ok(), frame(0, b"hello")].concat();
    let zeros = || vec![0; 1 << 16];
    let small = [RESERVED, 0].repeat(1 << 15);
    let quiet = (vec![0, SETTINGS, 0], Vec::new());
    let long_body = [ok(), frame(0, &vec![b'x'; 5 << 20]), frame(0, b"hello")].concat();
    let grease = [frame(RESERVED, &vec![0; 3 << 20]), hello(), frame(RESERVED, b"x")].concat();
    let too_large = "server response headers exceeded 10485760 bytes";
    // what comes on the control stream, once and forever, what is answered, once and forever, what is said
    #[rustfmt::skip]
    let rows = [
        ("a long body", quiet.clone(), (long_body, vec![]), None),
        ("a frame that means nothing", quiet.clone(), (grease, vec![]), None),
        ("an endless head", quiet.clone(), (endless(1), zeros()), Some(too_large)),
        ("an endless frame", quiet.clone(), (endless(RESERVED), zeros()), Some(LATE)),
        ("frames without end", quiet.clone(), (small.clone(), small.clone()), Some(LATE)),
        ("empty frames of data without end", quiet.clone(), (ok(), zeros()), Some(LATE)),
        ("frames without end behind a body", quiet.clone(), (hello(), small), Some(LATE)),
        ("an endless trailer", quiet, ([hello(), endless(1)].concat(), zeros()), Some(too_large)),
        (
            "endless settings",
            ([vec![0], endless(SETTINGS)].concat(), zeros()),
            (vec![], vec![]),
            Some("http3: connection error: H3_FRAME_ERROR: frame too large"),
        ),
    ];
    for (name, (control, control_forever), (answer, forever), want) in rows {
        let folder = tempfile::tempdir().unwrap();
        let address = play_all(folder.path(), control, control_forever, answer, forever);
        let module = module(folder.path(), "fail_if_body_not_matches_regexp: ['hello$']");
        let module = match want {
            Some(LATE) => module.replace("15s", "1s"),
            _ => module,
        };
        let outcome = probe(&module, &format!("https://localhost:{}/", address.port())).await;
        let lines = log(&outcome).join("\n");
        assert_eq!(outcome.success, want.is_none(), "{name}: {lines}");
        assert!(lines.contains(want.unwrap_or_default()), "{name}: {lines}");
    }
}

/// What servers may and may not say on the stream of a request (RFC 9114, sections 4 and 7), judged as quic-go judges it but for
/// bodies that are cut off.
#[tokio::test]
async fn answers_in_frames() {
    let ok = || fields(200, None);
    let length = |length: &str| fields(200, [("content-length".to_owned(), length.to_owned())]);
    let field = |name: &str, value: &str| fields(200, [(name.to_owned(), value.to_owned())]);
    let data = |text: &str| frame(0, text.as_bytes());
    let trailer = || frame(1, b"\0\0\x21a\x01b");
    // the answer, the length of its body, what is said where it is none
    #[rustfmt::skip]
    let rows = [
        (vec![ok()], 0, None),
        (vec![ok(), data("zzz")], 3, None),
        (vec![ok(), data(""), data("zzz"), data("")], 3, None),
        (vec![ok(), data("a"), data(""), data(""), data("zzz"), trailer()], 4, None),
        (vec![length("3"), data("z"), data("zz")], 3, None),
        // Pushes were not allowed, and are passed over.
        (vec![frame(5, b"\0\0\0\xd1"), ok(), data("a")], 1, None),
        (vec![ok(), frame(3, b"\0"), frame(0xd, b"\0"), data("a")], 1, None),
        (vec![], 0, Some("the peer ended the stream without an answer")),
        (vec![data("a")], 0, Some("H3_FRAME_UNEXPECTED: the first frame is not HEADERS")),
        (vec![frame(4, b""), ok()], 0, Some("H3_FRAME_UNEXPECTED")),
        (vec![ok(), frame(4, b"")], 0, Some("H3_FRAME_UNEXPECTED")),
        (vec![frame(6, b"12345678"), ok()], 0, Some("H3_FRAME_UNEXPECTED: a frame of a reserved type")),
        (vec![frame(1, b"\0\0\x21a\x01b")], 0, Some("invalid response: missing :status field")),
        (vec![frame(1, b"\0\0\x5f\x09\x03abc")], 0, Some("invalid response: invalid status code: \"abc\"")),
        (vec![frame(1, b"\0\0\xd9\xd9")], 0, Some("invalid response: duplicate pseudo header: :status")),
        (vec![frame(1, b"\x02\0\x80")], 0, Some("invalid response: QPACK_DECOMPRESSION_FAILED")),
        (vec![field("X", "y")], 0, Some("header field is not lower-case: \"X\"")),
        (vec![field("connection", "close")], 0, Some("invalid header field name: \"connection\"")),
        (vec![length("x")], 0, Some("invalid content length: \"x\"")),
        (vec![length("1"), data("ab")], 1, Some("peer sent too much data")),
        (vec![length("0"), data("a")], 0, Some("peer sent too much data")),
        (vec![ok(), trailer(), data("a")], 0, Some("DATA frame received after trailers")),
        (vec![ok(), trailer(), trailer()], 0, Some("additional HEADERS frame received after trailers")),
        (vec![ok(), ok()], 0, Some("received pseudo header in trailer")),
        // compat: upstream takes these for whole.
        (vec![length("99"), data("a")], 1, Some("unexpected EOF")),
        (vec![ok(), vec![0, 5, b'a']], 1, Some("unexpected EOF")),
        (vec![ok(), vec![0]], 0, Some("unexpected EOF")),
    ];
    for (answer, length, want) in rows {
        let folder = tempfile::tempdir().unwrap();
        let address = play(folder.path(), answer.concat(), Vec::new());
        let target = format!("https://localhost:{}/", address.port());
        // A peer that says nothing is silent.
        let module = module(folder.path(), "").replace("15s", if answer.is_empty() { "1s" } else { "15s" });
        let outcome = probe(&module, &target).await;
        let lines = log(&outcome).join("\n").replace("\\\"", "\"");
        let want = want
            .filter(|_| !answer.is_empty())
            .or(answer.is_empty().then_some("timeout of 1s ran out"));
        assert_eq!(outcome.success, want.is_none(), "{answer:?}: {lines}");
        assert!(lines.contains(want.unwrap_or_default()), "{answer:?}: {lines}");
        let got = outcome.samples.value(Metric::HttpUncompressedBodyLength);
        assert_eq!(got, Some(f64::from(length)), "{answer:?}: {lines}");
    }
    let answer = [ok(), data(""), data("zzz")].concat();
    let outcome = played(answer, "fail_if_body_matches_regexp: [zzz]").await;
    assert!(!outcome.success, "an empty frame is not the end");
}

/// What servers may not say about the connection (RFC 9114, section 6.2). No answer comes besides.
#[tokio::test]
async fn faults_of_the_connection() {
    let rows: &[(&[u8], &str)] = &[
        (b"\0\0\0", "H3_MISSING_SETTINGS"),
        (b"\0\x07\x01\0", "H3_MISSING_SETTINGS"),
        (b"\0\x21\0\x07\x01\0", "H3_MISSING_SETTINGS"),
        (b"\0\x04\0\x04\0", "H3_FRAME_UNEXPECTED"),
        (b"\0\x04\0\0\0\0\x01a", "H3_FRAME_UNEXPECTED"),
        (b"\0\x04\0\x01\x03\0\0\xd9", "H3_FRAME_UNEXPECTED"),
        (
            b"\0\x04\0\x02\0",
            "H3_FRAME_UNEXPECTED: a frame of a reserved type",
        ),
        (
            b"\0\x04\x04\x06\0\x06\0",
            "H3_SETTINGS_ERROR: a setting is there twice",
        ),
        (b"\0\x04\x01\x06", "H3_SETTINGS_ERROR: a setting is cut off"),
        (b"\0\x04\0\x07\x01\x01", "H3_ID_ERROR"),
        (b"\0\x04\0\x07\x01\x04\x07\x01\x08", "H3_ID_ERROR"),
        (b"\x01\0", "H3_ID_ERROR: a push that was not allowed"),
    ];
    for (control, want) in rows {
        let folder = tempfile::tempdir().unwrap();
        let address = play_all(folder.path(), control.to_vec(), vec![], vec![], vec![]);
        let target = format!("https://localhost:{}/", address.port());
        let outcome = probe(&module(folder.path(), ""), &target).await;
        let lines = log(&outcome).join("\n");
        assert!(!outcome.success, "{control:?}: {lines}");
        let want = format!("http3: connection error: {want}");
        assert!(lines.contains(&want), "{control:?}: {want}: {lines}");
    }
}

/// What servers may say of the connection (RFC 9114, sections 6.2, 7.2 and 8.1; RFC 9204, section 4), judged as quic-go 0.59 judges
/// the same streams. The answer comes a little after them.
#[tokio::test]
async fn streams_of_the_connection() {
    const SETTLED: &[u8] = b"\0\x04\0";
    // what comes on streams of one direction, each one's end, whether the answer is taken
    type Row<'a> = (&'static str, &'a [(&'a [u8], bool)], bool);
    let long = [&b"\0\x04\x60\x01"[..], &b"\x21".repeat(8193)].concat();
    fn open(bytes: &[u8]) -> (&[u8], bool) {
        (bytes, false)
    }
    fn ended(bytes: &[u8]) -> (&[u8], bool) {
        (bytes, true)
    }
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("no streams", &[], true),
        ("two control streams", &[open(SETTLED), open(SETTLED)], false),
        ("two encoder streams", &[open(SETTLED), open(b"\x02"), open(b"\x02")], false),
        ("two decoder streams", &[open(SETTLED), open(b"\x03"), open(b"\x03")], false),
        ("encoder and decoder", &[open(SETTLED), open(b"\x02"), open(b"\x03")], true),
        ("a stream of an unknown kind", &[open(SETTLED), open(b"\x21abc")], true),
        ("an ended stream of an unknown kind", &[open(SETTLED), ended(b"\x21abc")], true),
        ("a stream of WebTransport", &[open(SETTLED), open(b"\x40\x54\0")], true),
        ("an ended control stream", &[ended(SETTLED)], false),
        ("a control stream without settings", &[ended(b"\0")], false),
        ("an ended encoder stream", &[open(SETTLED), ended(b"\x02")], true),
        ("an ended decoder stream", &[open(SETTLED), ended(b"\x03")], true),
        ("a push", &[open(SETTLED), open(b"\x01\0")], false),
        ("a setting of HTTP/2", &[open(b"\0\x04\x02\x04\0")], true),
        ("a setting that means nothing", &[open(b"\0\x04\x02\x21\0")], true),
        ("such a setting twice", &[open(b"\0\x04\x04\x21\0\x21\0")], false),
        ("datagrams", &[open(b"\0\x04\x02\x33\x01")], true),
        ("datagrams neither on nor off", &[open(b"\0\x04\x02\x33\x02")], false),
        ("extended connect", &[open(b"\0\x04\x02\x08\x01")], true),
        ("extended connect neither on nor off", &[open(b"\0\x04\x02\x08\x02")], false),
        ("a dynamic table", &[open(b"\0\x04\x04\x01\x0a\x07\x05")], true),
        ("no room for fields", &[open(b"\0\x04\x02\x06\0")], true),
        ("settings of 8193 bytes", &[open(&long)], false),
        ("GOAWAY for this request", &[open(b"\0\x04\0\x07\x01\0")], true),
        ("GOAWAY after this request", &[open(b"\0\x04\0\x07\x01\x04")], true),
        ("GOAWAY that goes down", &[open(b"\0\x04\0\x07\x01\x08\x07\x01\x04")], true),
        ("GOAWAY of more than a number", &[open(b"\0\x04\0\x07\x02\x04\0")], false),
        ("a push is promised", &[open(b"\0\x04\0\x05\x02\0\0")], true),
        ("a push is taken back", &[open(b"\0\x04\0\x03\x01\0")], true),
        ("pushes are allowed", &[open(b"\0\x04\0\x0d\x01\0")], true),
        ("a frame that means nothing", &[open(b"\0\x04\0\x21\x03abc")], true),
        ("a priority", &[open(b"\0\x04\0\x80\x0f\x07\0\x01\0")], true),
        ("an entry without a table", &[open(SETTLED), open(b"\x02\x41a\x01b")], true),
        ("a size of the table", &[open(SETTLED), open(b"\x02\x3f\xe1\x1f")], true),
        ("a stream is cancelled", &[open(SETTLED), open(b"\x03\x40")], true),
        ("a section is acknowledged", &[open(SETTLED), open(b"\x03\x80")], true),
    ];
    for (name, streams, taken) in rows {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = listen(folder.path());
        let address = endpoint.local_addr().unwrap();
        let streams: Vec<(Vec<u8>, bool)> = streams
            .iter()
            .map(|(bytes, end)| (bytes.to_vec(), *end))
            .collect();
        spawn(async move {
            let connection = endpoint.accept().await.unwrap().await.unwrap();
            let mut kept = Vec::new();
            for (bytes, end) in streams {
                let mut stream = connection.open_uni().await.unwrap();
                // Whoever has seen enough does not take the rest.
                let _ = stream.write_all(&bytes).await;
                if end {
                    let _ = stream.finish();
                }
                kept.push(stream);
            }
            let Ok((mut sending, _receiving)) = connection.accept_bi().await else {
                return;
            };
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            let _ = sending
                .write_all(&[fields(200, None), frame(0, b"ok")].concat())
                .await;
            let _ = sending.finish();
            connection.closed().await;
        });
        let outcome = probe(
            &module(folder.path(), ""),
            &format!("https://localhost:{}/", address.port()),
        )
        .await;
        assert_eq!(outcome.success, *taken, "{name}: {}", log(&outcome).join("\n"));
    }
}

/// As quic-go: gzip is asked for and undone where the module says nothing about it.
#[tokio::test]
async fn gzip_is_asked_for_and_undone() {
    let packed = super::site::gzip(b"hello, world");
    let head = fields(
        200,
        [
            ("content-encoding".to_owned(), "gzip".to_owned()),
            ("content-length".to_owned(), packed.len().to_string()),
        ],
    );
    let bare = fields(200, [("content-encoding".to_owned(), "gzip".to_owned())]);
    let whole = [head.clone(), frame(0, &packed)].concat();
    let length = packed.len() as f64;
    const GONE: &str =
        "fail_if_header_matches: [{header: Content-Encoding, regexp: '.*', allow_missing: true}]";
    let hello = format!("fail_if_body_not_matches_regexp: ['^hello, world$']\n{GONE}");
    // the module, the answer, whether gzip is asked for, whether it passes, both lengths
    #[rustfmt::skip]
    let rows = [
        (hello.clone(), whole.clone(), true, true, -1.0, 12.0),
        // Nothing is undone that was asked for by the module, or not at all.
        ("headers: {Accept-Encoding: gzip}".to_owned(), whole.clone(), true, true, length, length),
        ("headers: {Range: bytes=0-}".to_owned(), whole.clone(), false, true, length, length),
        // The transport has undone it by the time that the module's decompressor looks, as upstream's.
        ("compression: gzip".to_owned(), whole.clone(), true, false, -1.0, 0.0),
        // No body is no gzip.
        (GONE.to_owned(), bare, true, true, -1.0, 0.0),
        (GONE.to_owned(), [head, frame(0, b"no gzip at all")].concat(), true, false, -1.0, 0.0),
    ];
    for (more, answer, asked, passes, told, read) in rows {
        let folder = tempfile::tempdir().unwrap();
        let (sender, mut requests) = mpsc::unbounded_channel();
        let address = play_to(
            listen(folder.path()),
            (vec![0, 4, 0], vec![]),
            (answer, vec![]),
            sender,
        );
        let target = format!("https://localhost:{}/", address.port());
        let outcome = probe(&module(folder.path(), &more), &target).await;
        let lines = log(&outcome).join("\n");
        assert_eq!(outcome.success, passes, "{more}: {lines}");
        let request = requests.recv().await.unwrap();
        let asks = request.windows(4).any(|bytes| bytes == b"gzip");
        assert_eq!(asks, asked, "{more}");
        let samples = &outcome.samples;
        assert_eq!(samples.value(Metric::HttpContentLength), Some(told), "{more}");
        assert_eq!(
            samples.value(Metric::HttpUncompressedBodyLength),
            Some(read),
            "{more}"
        );
    }
}

/// Queries go out as they were written.
#[tokio::test]
async fn any_query_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (sender, mut requests) = mpsc::unbounded_channel();
    let answer = fields(200, None);
    let address = play_to(
        listen(folder.path()),
        (vec![0, 4, 0], vec![]),
        (answer, vec![]),
        sender,
    );
    let target = format!("https://localhost:{}/x?q=\"<a b>\"&é", address.port());
    let outcome = probe(&module(folder.path(), ""), &target).await;
    assert!(outcome.success, "{:?}", log(&outcome));
    let request = String::from_utf8_lossy(&requests.recv().await.unwrap()).into_owned();
    assert!(request.contains("/x?q=\"<a b>\"&é"), "{request:?}");
}

/// The names of cipher suites are Go's.
#[tokio::test]
async fn cipher_suites_are_named() {
    use rustls::crypto::aws_lc_rs::cipher_suite::{
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    for (suite, name) in [
        (TLS13_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256"),
        (TLS13_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384"),
        (TLS13_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let address = serve(listen_with(folder.path(), &[suite])).await;
        let target = format!("https://localhost:{}/", address.port());
        let text = exposition(&probe(&module(folder.path(), ""), &target).await);
        let want = format!("probe_tls_cipher_info{{cipher=\"{name}\"}} 1\n");
        assert!(text.contains(&want), "{text}");
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
    let many = (0..300_000).map(|n| (format!("{n:x}"), String::new()));
    // heads, the status that is exposed, what is said where the probe fails
    #[rustfmt::skip]
    let rows = [
        (heads(&[103, 200]), 200, None),
        (heads(&[100, 103, 103, 102, 199, 204]), 204, None),
        (heads(&[103, 404]), 404, Some("Invalid HTTP response status code")),
        // The one that ends the dialogue in HTTP.
        (heads(&[101, 200]), 101, Some("Invalid HTTP response status code")),
        (heads(&[103, 103, 103, 103, 103, 103, 200]), 0, Some("http3: too many 1xx informational responses")),
        (heads(&[103]), 0, Some("http3: EOF: the peer ended the stream without an answer")),
        // Both heads are there at once: the second is refused while more is being waited for.
        ([heads(&[103]), fields(200, many)].concat(), 0, Some("http3: server response headers exceeded")),
    ];
    for (answer, status, want) in rows {
        let outcome = played(answer, "").await;
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

/// A peer may refuse a request unread (RFC 9114, section 4.1.1).
#[tokio::test]
async fn a_rejected_request_is_sent_once_more_over_another_connection() {
    const REQUEST_REJECTED: u32 = 0x10b;
    // rejections, what the module sends besides, the connections that are made
    for (rejections, more, connections) in [(1, "", 2), (1, "method: POST\nbody: b", 2), (2, "", 2)] {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = listen(folder.path());
        let target = format!("https://localhost:{}/", endpoint.local_addr().unwrap().port());
        let server = spawn(async move {
            let mut accepted = Vec::new();
            while let Some(incoming) = endpoint.accept().await {
                let connection = incoming.await.unwrap();
                let mut control = connection.open_uni().await.unwrap();
                control.write_all(&[0, 4, 0]).await.unwrap();
                let (mut sending, mut receiving) = connection.accept_bi().await.unwrap();
                receiving.read_to_end(1 << 20).await.unwrap();
                accepted.push((connection, control));
                if accepted.len() <= rejections {
                    sending.reset(REQUEST_REJECTED.into()).unwrap();
                } else {
                    sending.write_all(&fields(200, [])).await.unwrap();
                    sending.finish().unwrap();
                }
                if accepted.len() == connections {
                    let _ = accepted.last().unwrap().0.closed().await;
                    return endpoint;
                }
            }
            endpoint
        });
        let outcome = probe(&module(folder.path(), more), &target).await;
        let lines = log(&outcome).join("\n");
        assert_eq!(outcome.success, rejections < connections, "{rejections}: {lines}");
        if rejections == connections {
            has(&lines, ["stream reset by the peer: H3_REQUEST_REJECTED"]);
        }
        let endpoint = server.await.unwrap();
        let more = tokio::time::timeout(std::time::Duration::ZERO, endpoint.accept()).await;
        assert!(more.is_err(), "{rejections}: no third connection");
    }
}

//! The websocket prober against a scripted server.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blackbox_exporter::config::{self, Header, HttpClient, Prober, QueryResponse, Secret};
use blackbox_exporter::metrics::Metric;
use blackbox_exporter::module::parse;
use blackbox_exporter::net::Network;
use blackbox_exporter::prober::{self, Also, Judged, Outcome, ProbeRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::probing::{PATIENT, compile, log_of, run};
use crate::support::{has, lacks, spawn};

/// A server that answers one upgrade and then sends `frames`; the handle returns the request and all that came behind it.
async fn serve(
    answer: &'static str,
    frames: Vec<Vec<u8>>,
) -> (String, tokio::task::JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("ws://{}/chat?x=1", listener.local_addr().unwrap());
    let task = spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        let key = request
            .lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
            .unwrap_or("");
        let accept = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        let accept = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, accept.as_bytes()));
        stream
            .write_all(answer.replace("{accept}", &accept).as_bytes())
            .await
            .unwrap();
        for frame in frames {
            if stream.write_all(&frame).await.is_err() {
                break;
            }
        }
        let mut received = Vec::new();
        let _ = stream.read_to_end(&mut received).await;
        (request, received)
    });
    (target, task)
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(request).unwrap()
}

const UPGRADE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: {accept}\r\n\r\n";

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, u8::try_from(payload.len()).unwrap()];
    frame.extend(payload);
    frame
}

fn module(steps: Vec<(&str, &str)>) -> config::Module {
    let mut module = config::Module::new(Prober::Websocket);
    module.websocket.query_response = steps
        .into_iter()
        .map(|(expect, send)| QueryResponse {
            expect: Some(expect.to_owned()).filter(|e| !e.is_empty()),
            send: send.into(),
            ..QueryResponse::default()
        })
        .collect();
    module
}

/// Success, upgraded, status code, failed due to the expression.
fn facts(outcome: &Outcome) -> (bool, [Option<f64>; 3]) {
    let value = |metric| outcome.samples.value(metric);
    let families = [
        value(Metric::WebsocketConnectionUpgraded),
        value(Metric::WebsocketStatusCode),
        value(Metric::WebsocketFailedDueToRegex),
    ];
    (outcome.success, families)
}

/// Takes the masks off the frames of a client: kind and payload.
fn unmask(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert_eq!(second & 0x80, 0x80, "clients mask");
        let (length, rest) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            short => (usize::from(short), rest),
        };
        let (mask, rest) = rest.split_at(4);
        let (payload, rest) = rest.split_at(length);
        let payload = payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m);
        frames.push((*first, payload.collect()));
        bytes = rest;
    }
    frames
}

#[tokio::test]
async fn messages_are_exchanged() {
    let frames = vec![
        frame(0x89, b"are you there?"),
        frame(0x01, b"caf"),
        frame(0x8a, b""),
        frame(0x80, b"\xe9 one"),
        frame(0x82, b"\x00\x01"),
    ];
    let (target, server) = serve(UPGRADE, frames).await;
    let steps = vec![("", "hello $1"), (r"^caf. (\w+)$", "<$1>"), (r"^\x00\x01$", "")];
    let outcome = run(module(steps), &target, PATIENT).await;
    assert_eq!(
        facts(&outcome),
        (true, [Some(1.0), Some(101.0), Some(0.0)]),
        "{}",
        log_of(&outcome)
    );
    let (request, received) = server.await.unwrap();
    assert!(request.starts_with("GET /chat?x=1 HTTP/1.1\r\n"), "{request}");
    let want: [(u8, &[u8]); 3] = [(0x81, b"hello $1"), (0x8a, b"are you there?"), (0x81, b"<one>")];
    let want = want.map(|(first, payload)| (first, payload.to_vec()));
    assert_eq!(unmask(&received), want);
}

#[tokio::test]
async fn bytes_go_as_a_binary_message() {
    let (target, server) = serve(UPGRADE, vec![]).await;
    let text = "modules: {m: {prober: websocket, websocket: {query_response: [{send: text}, {send_hex: 00 ff 24}]}}}";
    let loaded = parse(text, "test").unwrap();
    let module = loaded.modules.get("m").unwrap();
    let outcome = run(config::Module::clone(&module.raw), &target, PATIENT).await;
    assert!(outcome.success);
    let (_, received) = server.await.unwrap();
    let want: [(u8, &[u8]); 2] = [(0x81, b"text"), (0x82, b"\x00\xff\x24")];
    let want = want.map(|(first, payload)| (first, payload.to_vec()));
    assert_eq!(unmask(&received), want);
}

#[tokio::test]
async fn long_messages_go_in_fragments() {
    let (target, server) = serve(UPGRADE, vec![]).await;
    let text = "x".repeat(5000);
    let outcome = run(module(vec![("", &text)]), &target, PATIENT).await;
    assert!(outcome.success);
    let frames = unmask(&server.await.unwrap().1);
    let shape: Vec<_> = frames
        .iter()
        .map(|(first, payload)| (*first, payload.len()))
        .collect();
    assert_eq!(shape, [(0x01, 4096), (0x80, 904)]);
}

#[tokio::test]
async fn refusals_have_their_status() {
    #[rustfmt::skip]
    let rows = [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403.0, "403 Forbidden"),
        ("HTTP/1.1 101 Fine\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 101.0, "Sec-WebSocket-Accept"),
        ("HTTP/1.1 101 Fine\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n", 101.0, "Upgrade: websocket"),
        ("SSH-2.0-OpenSSH\r\n\r\n", 0.0, "malformed HTTP"),
    ];
    for (answer, status, word) in rows {
        let (target, _server) = serve(answer, vec![]).await;
        let outcome = run(module(vec![]), &target, PATIENT).await;
        assert_eq!(
            facts(&outcome),
            (false, [Some(0.0), Some(status), Some(0.0)]),
            "{answer}"
        );
        let log = log_of(&outcome);
        has(&log, ["Error dialing websocket", word]);
    }
}

#[tokio::test]
async fn what_is_no_message_fails() {
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        ("other text", frame(0x81, b"bye"), "Regexp did not match"),
        ("a mask", vec![0x81, 0x81, 0, 0, 0, 0, b'x'], "bad MASK"),
        ("reserved bits", frame(0xc1, b"hello"), "RSV1 set"),
        (
            "a close",
            frame(0x88, b"\x03\xe8enough"),
            "close 1000 (normal): enough",
        ),
        (
            "a message that is announced too long",
            vec![0x81, 127, 0, 0, 0, 0, 0xff, 0, 0, 0],
            "read limit exceeded",
        ),
        (
            "a length with the highest bit",
            vec![0x81, 127, 255, 0, 0, 0, 0, 0, 0, 0],
            "read limit exceeded",
        ),
    ];
    for (name, bytes, word) in rows {
        let (target, _server) = serve(UPGRADE, vec![bytes]).await;
        let outcome = run(module(vec![("^hello$", "")]), &target, PATIENT).await;
        assert_eq!(
            facts(&outcome),
            (false, [Some(1.0), Some(101.0), Some(1.0)]),
            "{name}"
        );
        let log = log_of(&outcome);
        assert!(log.contains(word), "{name}: {log}");
    }
}

/// compat: upstream waits for a message forever.
#[tokio::test]
async fn the_deadline_holds_for_messages_and_for_the_upgrade() {
    let short = Duration::from_secs(1);
    let (target, _server) = serve(UPGRADE, vec![]).await;
    let outcome = run(module(vec![("x", "")]), &target, short).await;
    assert_eq!(facts(&outcome), (false, [Some(1.0), Some(101.0), Some(1.0)]));
    has(log_of(&outcome), ["Error reading message"]);
    let (target, _server) = serve("HTTP/1.1 101 Switching", vec![]).await;
    let outcome = run(module(vec![]), &target, short).await;
    assert_eq!(facts(&outcome), (false, [Some(0.0), Some(0.0), Some(0.0)]));
    has(log_of(&outcome), ["waiting for the response"]);
}

#[tokio::test]
async fn headers_and_credentials_are_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, " from a file \n").unwrap();
    let mut raw = module(vec![]);
    raw.websocket.headers.insert(
        "x-test".into(),
        Header {
            values: vec!["one".into()],
            secrets: vec![Secret::new("two")],
            files: vec![file.to_str().unwrap().into()],
        },
    );
    for (name, value) in [("host", "other.test"), ("sec-websocket-protocol", "chat")] {
        raw.websocket.headers.insert(
            name.into(),
            Header {
                values: vec![value.into()],
                ..Header::default()
            },
        );
    }
    raw.websocket.http_config = Some(HttpClient {
        basic_auth: Some(Arc::new(config::BasicAuth {
            username: "ann".into(),
            password: Secret::new("pass"),
            ..config::BasicAuth::default()
        })),
        ..HttpClient::default()
    });
    let (target, server) = serve(UPGRADE, vec![]).await;
    let outcome = run(raw.clone(), &target, PATIENT).await;
    assert!(outcome.success, "{}", log_of(&outcome));
    let (request, _) = server.await.unwrap();
    // Sorted by their names, as Go writes them.
    let fields = request
        .lines()
        .skip(1)
        .filter(|line| !line.is_empty() && !line.starts_with("Sec-WebSocket-Key: "));
    assert_eq!(
        fields.collect::<Vec<_>>(),
        [
            "Host: other.test",
            "User-Agent: Go-http-client/1.1",
            "Authorization: Basic YW5uOnBhc3M=",
            "Connection: Upgrade",
            "Sec-WebSocket-Protocol: chat",
            "Sec-WebSocket-Version: 13",
            "Upgrade: websocket",
            "X-Test: one",
            "X-Test: two",
            "X-Test: from a file",
        ]
    );
    raw.websocket.headers.insert(
        "upgrade".into(),
        Header {
            values: vec!["x".into()],
            ..Header::default()
        },
    );
    if let Some(header) = raw.websocket.headers.get_mut("x-test") {
        header.files = vec!["/no/such".into()];
    }
    let (target, _server) = serve(UPGRADE, vec![]).await;
    let outcome = run(raw, &target, PATIENT).await;
    let log = log_of(&outcome);
    has(
        &log,
        [
            "open /no/such: no such file or directory",
            "duplicate header not allowed: Upgrade",
        ],
    );
    lacks(&log, ["pass"]);
}

/// A server whose library forgets the proof that it has read the key, or gets it wrong.
#[tokio::test]
async fn a_server_need_not_prove_that_it_speaks_websocket() {
    let without = UPGRADE.replace("Sec-WebSocket-Accept: {accept}\r\n", "");
    let wrong = UPGRADE.replace("{accept}", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    for answer in [without, wrong] {
        let answer: &'static str = answer.leak();
        for skips in [false, true] {
            let (target, _server) = serve(answer, vec![frame(0x81, b"hello")]).await;
            let mut module = module(vec![("^hello$", "")]);
            module.websocket.insecure_skip_accept = skips;
            let outcome = run(module, &target, PATIENT).await;
            assert_eq!(outcome.success, skips, "{answer}: {}", log_of(&outcome));
            if !skips {
                let log = log_of(&outcome);
                has(&log, ["Sec-WebSocket-Accept does not match the key"]);
                assert_eq!(outcome.failure.unwrap().reason.name(), "websocket_refused");
                has(outcome.advice.unwrap(), ["insecure_skip_accept: true"]);
            }
        }
    }
    // All else must be right.
    let (target, _server) = serve(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        vec![],
    )
    .await;
    let mut module = module(vec![]);
    module.websocket.insecure_skip_accept = true;
    assert!(!run(module, &target, PATIENT).await.success);
}

/// Each step of a dialogue that passed is explained once.
#[tokio::test]
async fn steps_that_passed_are_explained_once() {
    let (target, _) = serve(UPGRADE, vec![frame(0x81, b"ready")]).await;
    let module = compile(module(vec![("", "hello"), ("ready", "")]));
    let request = ProbeRequest {
        target: &target,
        hostname: None,
        timeout: PATIENT,
    };
    let also = Also {
        explain: true,
        ..Also::default()
    };
    let outcome = prober::run_with(&Network::system(), &module, &request, also).await;
    let findings = outcome.findings.as_ref().unwrap().list().iter();
    let judged: Vec<_> = findings.map(|finding| finding.verdict).collect();
    assert_eq!(judged, [Judged::Passed; 2], "{}", log_of(&outcome));
}

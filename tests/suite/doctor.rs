//! The subcommand `doctor` against a service of each kind: what it finds, and the module that it writes.

use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::SendResponse;
use http::Response;
use rustls::version::{TLS12, TLS13};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixListener};
use tonic::service::Routes;
use tonic::transport::{Identity, ServerTlsConfig};

use crate::grpc::{scripted, tonic, tonic_with};
use crate::http::site::{Asked, Site, answer, ok};
use crate::support::namespace::outside;
use crate::support::peer::listen;
use crate::support::pki::{self, Cert};
use crate::support::tls_peer::SelfSigned;
use crate::support::{closed, has};

/// What it says as JSON, and whether a probe with its module passes.
async fn doctor(target: &str) -> (Value, bool) {
    let target = target.to_owned();
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"));
        let output = command
            .current_dir(std::env::temp_dir())
            .args(["doctor", "--json", &target])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let said = serde_json::from_str(&said)
            .unwrap_or_else(|error| panic!("{error}: {said}{}", String::from_utf8_lossy(&output.stderr)));
        (said, output.status.success())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Everything but ping, which not everybody may: `TOPIC: WHAT: STATE`.
fn findings(said: &Value) -> Vec<String> {
    let findings = said["findings"].as_array().unwrap().iter();
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    findings
        .filter(|finding| !text(finding, "what").starts_with("ping"))
        .map(|finding| {
            format!(
                "{}: {}: {}",
                text(finding, "topic"),
                text(finding, "what"),
                text(finding, "state")
            )
        })
        .collect()
}

/// The findings of a service on that port of 127.0.0.1.
fn golden(port: u16, rest: &[&str]) -> Vec<String> {
    let reach = [
        format!("Reach: port {port} over IPv4: ok"),
        format!("Reach: port {port} over IPv6: no"),
    ];
    let rest = rest.iter().map(|line| line.replace("PORT", &port.to_string()));
    reach.into_iter().chain(rest).collect()
}

/// Shakes hands with a certificate that nobody here trusts, and answers like a web server.
async fn encrypted(leaf: Cert) -> u16 {
    encrypted_saying(leaf, ok()).await
}

async fn encrypted_saying(leaf: Cert, says: Vec<u8>) -> u16 {
    let root = Cert::ca("Root").self_signed();
    let presented = pki::certified(&[&leaf.by(&root)]);
    let config = pki::server_config(presented, &[&TLS12, &TLS13]);
    pki::saying(config, says).await.port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_server() {
    let site = Site::with(|asked: &Asked| match asked.path() {
        "/private" => answer("401 Unauthorized", &[], "no"),
        _ => ok(),
    })
    .await;
    let port = site.address.port();
    let begun = Instant::now();
    let (said, passes) = doctor(&site.url("/")).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(passes, "{said}");
    assert_eq!(
        findings(&said),
        golden(port, &["HTTP on port PORT: HTTP/1.1: ok"])
    );
    let module = "modules:\n  http_2xx:\n    prober: http\n    timeout: \"5s\"\n    http:\n      preferred_ip_protocol: ip4\n";
    assert_eq!(
        said["configuration"]
            .as_str()
            .unwrap()
            .replace(": 5s", ": \"5s\""),
        module
    );
    let expression = format!("expr: 'probe_success{{target=\"{}\"}} == 0'", site.url("/"));
    assert!(said["rules"].as_str().unwrap().contains(&expression), "{said}");

    let (said, passes) = doctor(&site.url("/private")).await;
    assert!(passes, "{said}");
    assert!(
        said["configuration"]
            .as_str()
            .unwrap()
            .contains("valid_status_codes: [401]"),
        "{said}"
    );
    assert!(
        said["notes"][0]
            .as_str()
            .unwrap()
            .contains("requires credentials"),
        "{said}"
    );

    // The same found out without a scheme.
    let (said, passes) = doctor(&site.address.to_string()).await;
    assert!(passes, "{said}");
    assert_eq!(
        findings(&said),
        golden(port, &["Service: TLS: no", "HTTP on port PORT: HTTP/1.1: ok"])
    );
    assert!(
        said["configuration"].as_str().unwrap().contains("prober: http"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_trusted() {
    let rest = [
        "TLS on port PORT: TLS 1.3: ok",
        "TLS on port PORT: TLS 1.2: ok",
        "TLS on port PORT: certificate: fail",
        "HTTP on port PORT: HTTP/1.1: ok",
        "HTTP on port PORT: HTTP/2: no",
        "HTTP on port PORT: HTTP/3: no",
    ];
    let named = || Cert::leaf().names(&["127.0.0.1"]);
    let rows = [
        (named(), "ca_file of tls_config"),
        (named().years(2020, 2024), "renew it"),
        (Cert::leaf(), "The certificate is for v4.test, not for 127.0.0.1"),
    ];
    for (leaf, words) in rows {
        let port = encrypted(leaf).await;
        let (said, passes) = doctor(&format!("https://127.0.0.1:{port}/")).await;
        assert!(!passes, "{said}");
        assert_eq!(findings(&said), golden(port, &rest));
        assert!(said["notes"][0].as_str().unwrap().contains(words), "{said}");
        assert!(
            said["trouble"].as_str().unwrap().starts_with("tls_cert_"),
            "{said}"
        );
    }
}

/// Longer than is waited for what a target need not have.
#[tokio::test(flavor = "multi_thread")]
async fn tls_that_is_slow_is_tls() {
    let port = encrypted(Cert::leaf().names(&["127.0.0.1"])).await;
    let slow = move |mut stream: TcpStream| async move {
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
    };
    let port = listen(slow).await.port();
    let (said, _) = doctor(&format!("https://127.0.0.1:{port}/")).await;
    let findings = findings(&said).join("\n");
    has(
        &findings,
        ["TLS 1.3: ok", "TLS 1.2: ok", "certificate: fail", "HTTP/1.1: ok"],
    );
}

/// What the target says that it speaks is what the module watches, also when it does not work.
#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_is_kept_when_the_service_is_down() {
    let closing = |mut stream: TcpStream| async move {
        let _ = stream.read(&mut [0; 600]).await;
    };
    let port = listen(closing).await.port();
    // scheme of the target, prober and scheme of the module, reason
    let rows = [
        ("http", "http", "http://", "peer_closed"),
        ("https", "http", "https://", "tls_handshake"),
        ("ws", "websocket", "ws://", "peer_closed"),
        ("wss", "websocket", "wss://", "tls_handshake"),
        ("tls", "tcp", "", "tls_handshake"),
        ("grpc", "grpc", "", "peer_closed"),
    ];
    for (scheme, prober, kept, reason) in rows {
        let (said, passes) = doctor(&format!("{scheme}://127.0.0.1:{port}")).await;
        assert!(!passes, "{scheme}: {said}");
        has(
            said["configuration"].as_str().unwrap(),
            [&format!("prober: {prober}\n")],
        );
        has(
            said["targets"].as_str().unwrap(),
            [&format!("address: \"{kept}127.0.0.1:{port}")],
        );
        has(said["trouble"].as_str().unwrap(), [reason]);
    }
    let closed = closed();
    let (said, passes) = doctor(&format!("http://{closed}")).await;
    assert!(!passes, "{said}");
    has(said["configuration"].as_str().unwrap(), ["prober: http\n"]);

    let plain = |mut stream: TcpStream| async move {
        let mut head = [0; 600];
        let _ = stream.read(&mut head).await;
        if head.starts_with(b"GET ") {
            let _ = stream.write_all(&ok()).await;
        }
    };
    let port = listen(plain).await.port();
    let (said, passes) = doctor(&format!("https://127.0.0.1:{port}")).await;
    assert!(!passes, "{said}");
    has(said["notes"][0].as_str().unwrap(), ["plain HTTP: write http://"]);

    let port = encrypted(Cert::leaf()).await;
    let (said, passes) = doctor(&format!("http://127.0.0.1:{port}")).await;
    assert!(!passes, "{said}");
    has(said["notes"][0].as_str().unwrap(), ["speaks TLS: write https://"]);
    let rest = [
        "HTTP on port PORT: HTTP/1.1: fail",
        "TLS on port PORT: TLS 1.3: ok",
        "TLS on port PORT: TLS 1.2: ok",
        "TLS on port PORT: certificate: fail",
    ];
    assert_eq!(findings(&said), golden(port, &rest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_waits_for_more_than_a_greeting_of_tls_is_not_waited_for() {
    let patient = |mut stream: TcpStream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let _ = stream.write_all(&ok()).await;
    };
    let port = listen(patient).await.port();
    let start = Instant::now();
    let (said, passes) = doctor(&format!("127.0.0.1:{port}")).await;
    assert!(passes && start.elapsed() < Duration::from_secs(4), "{said}");
    has(said["configuration"].as_str().unwrap(), ["prober: http\n"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_greets_is_sent_nothing() {
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let greet = move |mut stream: TcpStream| {
        let heard = heard.clone();
        async move {
            stream.write_all(b"220 mail.example.com ESMTP\r\n").await.unwrap();
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said).await;
            heard.send(said).unwrap();
        }
    };
    let port = listen(greet).await.port();
    let (said, passes) = doctor(&format!("127.0.0.1:{port}")).await;
    assert!(passes, "{said}");
    assert_eq!(findings(&said), golden(port, &["Service: greeting: ok"]));
    assert!(
        said["configuration"]
            .as_str()
            .unwrap()
            .contains("query_response: [{\"expect\":\"^220\"}]"),
        "{said}"
    );
    while let Ok(said) = hears.try_recv() {
        assert_eq!(said, b"");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_without_a_newline_is_not_waited_for() {
    let ask = |mut stream: TcpStream| async move {
        stream.write_all(b"login: ").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let port = listen(ask).await.port();
    let start = Instant::now();
    let (said, passes) = doctor(&format!("127.0.0.1:{port}")).await;
    assert!(passes && start.elapsed() < Duration::from_secs(4), "{said}");
    let written = said["configuration"].as_str().unwrap();
    has(
        written,
        ["query_response: [{\"expect\":\"^login:\",\"prompt\":true}]"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_or_a_binary_greeting_is_not_expected() {
    // greeting, what is quoted if it refuses
    let rows: [(&[u8], &str); 5] = [
        (
            b"421 4.7.0 too many connections\r\n",
            "\"421 4.7.0 too many connections\"",
        ),
        (b"Exceeded MaxStartups\r\n", "\"Exceeded MaxStartups\""),
        (b"-DENIED protected mode\r\n", "\"-DENIED protected mode\""),
        (
            b"D\0\0\0\xffj\x04Host '127.0.0.1' is not allowed to connect",
            "is not allowed to connect\"",
        ),
        (b"J\0\0\0\n8.0.36\0\x08\0\0\0", ""),
    ];
    for (greeting, quoted) in rows {
        let greet = move |mut stream: TcpStream| async move {
            let _ = stream.write_all(greeting).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        };
        let port = listen(greet).await.port();
        let (said, passes) = doctor(&format!("127.0.0.1:{port}")).await;
        let written = said["configuration"].as_str().unwrap();
        assert!(!written.contains("query_response"), "{written}");
        has(written, ["prober: tcp\n"]);
        assert_eq!(passes, quoted.is_empty(), "{said}");
        let state = if passes { "ok" } else { "fail" };
        assert_eq!(
            findings(&said),
            golden(port, &[&format!("Service: greeting: {state}")])
        );
        has(said["trouble"].as_str().unwrap_or_default(), [quoted]);
    }
}

/// What servers of TLS say to HTTP, and behind a handshake without a certificate.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_400_of_a_server_of_tls_is_its_word_about_tls() {
    let old = |mut stream: TcpStream| async move {
        let mut head = [0; 600];
        let _ = stream.read(&mut head).await;
        let says = match head.starts_with(b"GET ") {
            true => answer(
                "400 Bad Request",
                &[],
                "The plain HTTP request was sent to HTTPS port",
            ),
            false => b"\x15\x03\x01\0\x02\x02\x46".to_vec(),
        };
        let _ = stream.write_all(&says).await;
    };
    let port = listen(old).await.port();
    for scheme in ["https://", ""] {
        let (said, passes) = doctor(&format!("{scheme}127.0.0.1:{port}")).await;
        assert!(!passes, "{said}");
        assert_eq!(said["notes"].as_array().unwrap().len(), 0, "{said}");
        has(said["trouble"].as_str().unwrap(), ["tls_version"]);
        has(said["targets"].as_str().unwrap(), ["address: \"https://"]);
    }

    let says = answer("400 Bad Request", &[], "No required SSL certificate was sent");
    let port = encrypted_saying(Cert::leaf().names(&["127.0.0.1"]), says).await;
    let (said, _) = doctor(&format!("https://127.0.0.1:{port}")).await;
    let note = said["notes"][1].as_str().unwrap();
    has(note, ["status 400", "cert_file"]);
    assert!(!note.contains("path"), "{note}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_that_is_silent_about_ipv6_is_not_asked_for_it() {
    let setup = "echo nameserver 127.0.0.1 > /tmp/resolv.$$ && mount --bind /tmp/resolv.$$ /etc/resolv.conf && rm /tmp/resolv.$$";
    let test = "doctor::a_name_server_that_is_silent_about_ipv6_is_not_asked_for_it";
    if outside(test, setup) {
        return;
    }
    let server = UdpSocket::bind("127.0.0.1:53").await.unwrap();
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((_, from)) = server.recv_from(&mut query).await {
            // The name has one label, and A is the type 1.
            let labels = query[12..].iter().position(|byte| *byte == 0).unwrap();
            let end = 12 + labels + 5;
            if query[end - 3] != 1 {
                continue;
            }
            let mut response = query[..end].to_vec();
            response[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            let _ = server.send_to(&response, from).await;
        }
    });
    let site = Site::with(|_: &Asked| ok()).await;
    let port = site.address.port();
    let (said, passes) = doctor(&format!("http://four.test:{port}/")).await;
    assert!(passes, "{said}");
    has(
        said["configuration"].as_str().unwrap(),
        ["ip_protocol_fallback: false\n", "preferred_ip_protocol: ip4\n"],
    );
    has(said["notes"][0].as_str().unwrap(), ["do not respond"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_greeting_is_escaped() {
    let greet = |mut stream: TcpStream| async move {
        let greeting = "220X\u{202e}abc\u{e0041} hello\u{9b}31m\r\n";
        stream.write_all(greeting.as_bytes()).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let port = listen(greet).await.port();
    let (said, passes) = doctor(&format!("127.0.0.1:{port}")).await;
    assert!(passes, "{said}");
    has(
        said["configuration"].as_str().unwrap(),
        [r#"[{"expect":"^220X\U0000202eabc\U000e0041"}]"#],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ipv6_address_is_probed_over_ipv6() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        return;
    };
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let (said, _) = doctor(&closed.to_string()).await;
    has(
        said["configuration"].as_str().unwrap(),
        ["preferred_ip_protocol: ip6"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_services() {
    let port = tonic(None).await;
    for scheme in ["grpc://", "tcp://", ""] {
        let (said, passes) = doctor(&format!("{scheme}127.0.0.1:{port}")).await;
        assert!(passes, "{said}");
        has(
            said["configuration"].as_str().unwrap(),
            ["prober: grpc", "tls: false"],
        );
    }
    // As nginx does before it, which says nothing before it is spoken to.
    let waiting = move |mut stream: TcpStream| async move {
        stream.readable().await.unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
    };
    let (said, passes) = doctor(&format!("127.0.0.1:{}", listen(waiting).await.port())).await;
    assert!(passes, "{said}");
    has(
        said["configuration"].as_str().unwrap(),
        ["prober: grpc", "tls: false"],
    );

    let (certificate, key) = SelfSigned::local().pem();
    let identity = Identity::from_pem(certificate, key);
    let tls = Some(ServerTlsConfig::new().identity(identity));
    let port = tonic(tls.clone()).await;
    let (said, passes) = doctor(&format!("127.0.0.1:{port}")).await;
    assert!(!passes, "{said}");
    has(said["trouble"].as_str().unwrap(), ["tls_cert_"]);
    has(
        said["configuration"].as_str().unwrap(),
        ["prober: grpc", "tls: true"],
    );
    let port = tonic_with(tls, Routes::default()).await;
    let (said, passes) = doctor(&format!("127.0.0.1:{port}")).await;
    assert!(!passes, "{said}");
    has(
        said["configuration"].as_str().unwrap(),
        ["prober: grpc", "tls: true"],
    );

    // HTTP/2 without gRPC.
    let missing = |_, mut respond: SendResponse<Bytes>| async move {
        let response = Response::builder().status(404).body(()).unwrap();
        respond.send_response(response, true).unwrap();
    };
    let (said, passes) = doctor(&scripted(missing).await).await;
    assert!(passes, "{said}");
    has(said["configuration"].as_str().unwrap(), ["prober: tcp"]);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let (said, passes) = doctor(path.to_str().unwrap()).await;
    assert!(passes, "{said}");
    assert!(
        said["configuration"].as_str().unwrap().contains("prober: unix"),
        "{said}"
    );

    let closed = closed();
    let (said, passes) = doctor(&closed.to_string()).await;
    assert!(!passes, "{said}");
    assert!(
        findings(&said).contains(&format!("Reach: port {} over IPv4: fail", closed.port())),
        "{said}"
    );
    assert!(
        said["trouble"].as_str().unwrap().starts_with("connect_refused"),
        "{said}"
    );
    has(said["advice"].as_str().unwrap(), ["nothing listens"]);
}

#[test]
fn people_get_text_and_mistakes_are_named() {
    let program = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"));
        command.current_dir(std::env::temp_dir()).arg("doctor");
        command
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp://{}", listener.local_addr().unwrap());
    let output = program().arg(&target).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        &target,
        "\nReach\n",
        "A probe with this module passes:",
        "# blackbox.yml\nmodules:\n",
        "# targets.yml\n",
        "# rules.yml\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let output = program().arg(closed().to_string()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    has(
        &text,
        [
            "The target fails: connect_refused",
            "\n127.0.0.1 is up and refuses",
        ],
    );
    let output = program().arg("htps://example.com").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    has(&text, ["did you mean https://?"]);
}

//! What is sent.

use super::module;
use super::site::{Site, answer, ok};
use crate::support::{has, lacks, log, probe, probe_as, spawn};

const PLAIN: &str = "prober: http\nhttp: {preferred_ip_protocol: ip4}";

#[tokio::test]
async fn a_plain_request_is_gos_to_the_byte() {
    let site = Site::answering(ok()).await;
    let outcome = probe(PLAIN, &site.url("/a b?c=d&e#f")).await;
    assert!(outcome.success, "{:?}", log(&outcome));
    assert_eq!(
        site.only().head,
        format!(
            "GET /a%20b?c=d&e HTTP/1.1\r\nHost: {}\r\nUser-Agent: Blackbox-Exporter/{}\r\nConnection: close",
            site.address,
            env!("CARGO_PKG_VERSION")
        )
    );
}

#[tokio::test]
async fn method_body_headers_and_host_are_the_modules() {
    let site = Site::answering(ok()).await;
    let yaml = module(
        "method: POST\nbody: '{}'\nheaders: {content-type: application/json, Host: example.com, X-A: ' a '}\n\
         http_headers: {X-B: {values: [one, two], secrets: [hush]}}",
    );
    let outcome = probe(&yaml, &site.url("/")).await;
    assert!(outcome.success, "{:?}", log(&outcome));
    let asked = site.only();
    assert_eq!(asked.line(), "POST / HTTP/1.1");
    assert_eq!(asked.body, b"{}");
    assert_eq!(asked.header("Host"), Some("example.com"));
    assert_eq!(asked.header("Content-Length"), Some("2"));
    assert_eq!(asked.header("X-A"), Some("a"));
    assert_eq!(asked.headers("X-B"), ["one", "two", "hush"]);
    assert!(asked.head.contains("\r\nContent-Type: "), "names are canonical");
}

#[tokio::test]
async fn files_are_read_at_probe_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let yaml = module(&format!(
        "method: PUT\nbody_file: {}\nhttp_headers: {{X-A: {{files: ['{}']}}}}",
        path("body"),
        path("header")
    ));
    let site = Site::answering(ok()).await;
    let outcome = probe(&yaml, &site.url("/")).await;
    assert!(!outcome.success);
    has(log(&outcome).join("\n"), ["Error creating request"]);
    // A folder can be opened, and not be read.
    std::fs::create_dir(path("body")).unwrap();
    std::fs::write(path("header"), "").unwrap();
    let outcome = probe(&yaml, &site.url("/")).await;
    has(
        log(&outcome).join("\n"),
        [&format!("read {}: is a directory", path("body"))],
    );
    std::fs::remove_dir(path("body")).unwrap();
    let large = "x".repeat(200_000);
    std::fs::write(path("body"), &large).unwrap();
    std::fs::write(path("header"), " from a file\n").unwrap();
    let outcome = probe(&yaml, &site.url("/")).await;
    assert!(outcome.success, "{:?}", log(&outcome));
    let asked = site.only();
    assert_eq!(asked.header("Transfer-Encoding"), Some("chunked"));
    assert_eq!(asked.body, large.as_bytes());
    assert_eq!(asked.header("X-A"), Some("from a file"));
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_sent() {
    let site = Site::answering(ok()).await;
    for (more, reason) in [
        ("method: GE T", "invalid method"),
        ("headers: {X A: b}", "invalid header field name"),
        ("headers: {X-A: \"a\\nb\"}", "invalid header field value"),
        (
            "http_headers: {X-A: {secrets: [\"pass\\nword\"]}}",
            "invalid header field value",
        ),
    ] {
        let outcome = probe(&module(more), &site.url("/")).await;
        let lines = log(&outcome).join("\n");
        assert!(!outcome.success && lines.contains(reason), "{more}: {lines}");
        lacks(&lines, ["word"]);
    }
    assert!(site.asked().is_empty());
}

#[tokio::test]
async fn a_target_without_scheme_is_http_and_hostname_names_the_host() {
    let site = Site::answering(ok()).await;
    let outcome = probe_as(PLAIN, &site.address.to_string(), Some("example.com")).await;
    assert!(outcome.success);
    assert_eq!(site.only().header("Host"), Some("example.com"));
}

#[tokio::test]
async fn a_body_may_wait_for_the_peers_word() {
    let site = Site::with(|_| [b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), ok()].concat()).await;
    let yaml = module("method: POST\nbody: data\nheaders: {Expect: 100-continue}");
    let outcome = probe(&yaml, &site.url("/")).await;
    assert!(outcome.success, "{:?}", log(&outcome));
    assert_eq!(site.only().body, b"data");
}

/// Go sends the body all the same, unless the connection is closed.
#[tokio::test]
async fn a_body_that_nobody_asked_for_is_sent_if_the_connection_stays() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for (response, body) in [
        ("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n", "data"),
        ("HTTP/1.1 204 No\r\n\r\n", "data"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "data"),
        (
            "HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "",
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", ""),
        ("HTTP/1.1 200 OK\r\n\r\nok", ""),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(response.as_bytes()).await.unwrap();
            if !response.contains("Length") {
                stream.shutdown().await.unwrap();
            }
            let mut came = String::new();
            stream.read_to_string(&mut came).await.unwrap();
            came
        });
        let yaml = module(
            "method: POST\nbody: data\nheaders: {Expect: 100-continue}\nvalid_status_codes: [200, 204, 417]",
        );
        let outcome = probe(&yaml, &format!("http://{address}/")).await;
        assert!(outcome.success, "{response:?}: {:?}", log(&outcome));
        assert_eq!(peer.await.unwrap(), body, "{response:?}");
    }
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_was_read() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let peer = spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(&answer("413 Too Large", &["Connection: close"], ""))
            .await
            .unwrap();
        // The body is never read: only what the sockets hold has left the prober.
        stream
    });
    let yaml = module(&format!(
        "method: POST\nbody: {}\nvalid_status_codes: [413]",
        "x".repeat(8 << 20)
    ));
    let outcome = probe(&yaml, &format!("http://{address}/")).await;
    assert!(outcome.success, "{:?}", log(&outcome));
    drop(peer.await.unwrap());
}

//! Callers that mean no good.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::MODULES;
use crate::support::{Exporter, has, spawn};

async fn is_well(exporter: &Exporter) -> bool {
    exporter.get("/-/healthy").await.status == 200
}

fn status(answer: &[u8]) -> Option<u16> {
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

#[tokio::test]
async fn heads_without_measure_are_refused() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let endless_line = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX-A: {}\r\n\r\n",
        "a".repeat(2 << 20)
    );
    let many_lines = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-A: b\r\n".repeat(10_000));
    for flood in [endless_line, many_lines] {
        let answer = exporter.raw(flood.as_bytes()).await;
        // The answer may be lost when the rest of the flood meets a closed socket.
        assert!(
            matches!(status(&answer), None | Some(431)),
            "{:?}",
            status(&answer)
        );
    }
    // Go's measure is a mebibyte.
    let large = format!(
        "GET /-/healthy HTTP/1.0\r\nX-A: {}\r\n\r\n",
        "a".repeat(900 << 10)
    );
    assert_eq!(status(&exporter.raw(large.as_bytes()).await), Some(200));
    assert!(is_well(&exporter).await);
}

#[tokio::test]
async fn a_giant_target_is_a_target_or_refused() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let answer = exporter
        .get(&format!("/probe?module=tcp_plain&target={}", "a".repeat(60_000)))
        .await;
    assert_eq!((answer.status, answer.sample("probe_success")), (200, Some(0.0)));
    let answer = exporter
        .get(&format!("/probe?module=tcp_plain&target={}", "a".repeat(200_000)))
        .await;
    assert_eq!(answer.status, 414);
    assert!(is_well(&exporter).await);
}

#[tokio::test]
async fn nothing_is_smuggled() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let smuggled = "GET /-/reload HTTP/1.1\r\nHost: x\r\n\r\n";
    for request in [
        format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{smuggled}"),
        format!(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{smuggled}"
        ),
        format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n{smuggled}"),
        "GET / HTTP/1.1\r\nHost : x\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\n\r\n{smuggled}"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n{smuggled}"),
        "GET /\r\n\r\n".to_owned(),
        format!("\u{16}\u{3}\u{1}{}\r\n\r\n{smuggled}", "x".repeat(500)),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ] {
        let answer = exporter.raw(request.as_bytes()).await;
        let text = String::from_utf8_lossy(&answer);
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 400"),
            "{request:?}: {text}"
        );
        assert!(!text.contains("405 Method Not Allowed"), "{request:?}");
    }
    assert!(is_well(&exporter).await);
}

#[tokio::test]
async fn a_body_that_nobody_reads_does_no_harm() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let mut stream = TcpStream::connect(exporter.address).await.unwrap();
    stream
        .write_all(b"POST /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nsome")
        .await
        .unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert!(is_well(&exporter).await);
}

/// Sends a request over a connection of its own, and reads the beginning of the answer.
async fn ask(exporter: &Exporter, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(exporter.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_exact(&mut [0; 12]).await.unwrap();
    stream
}

#[tokio::test]
async fn the_oldest_idle_connection_makes_room_for_a_new_one() {
    let exporter = Exporter::start(MODULES, &["--web.max-connections=2"]).await;
    let healthy = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut older = ask(&exporter, healthy).await;
    let mut newer = ask(&exporter, healthy).await;
    assert!(is_well(&exporter).await);
    let mut rest = Vec::new();
    // Closed, or reset.
    let _ = older.read_to_end(&mut rest).await;
    newer.write_all(healthy.as_bytes()).await.unwrap();
    let mut answer = vec![0; 500];
    assert!(newer.read(&mut answer).await.unwrap() > 0);
}

#[tokio::test]
async fn connections_beyond_those_with_requests_wait() {
    let (_silent, target) = super::silent().await;
    let exporter = Exporter::start(MODULES, &["--web.max-connections=2"]).await;
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let path = format!("/probe?module=http_2xx&target={target}");
            let address = exporter.address;
            spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut answer = [0; 12];
                stream.read_exact(&mut answer).await.unwrap();
                answer
            })
        })
        .collect();
    while exporter.running.exporter.instruments.probes_in_flight() < 2 {
        tokio::task::yield_now().await;
    }
    let start = std::time::Instant::now();
    assert!(is_well(&exporter).await);
    // The probes take two seconds.
    assert!(start.elapsed() > Duration::from_secs(1), "{:?}", start.elapsed());
    for busy in busy {
        assert_eq!(&busy.await.unwrap(), b"HTTP/1.1 200");
    }
}

#[tokio::test]
async fn slow_requests_do_not_fill_the_port() {
    for begun in [
        "GET / HTTP/1.1\r\nHos",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n",
    ] {
        let exporter = Exporter::start(MODULES, &["--web.max-connections=20"]).await;
        let mut slow = Vec::new();
        for _ in 0..100 {
            let mut stream = TcpStream::connect(exporter.address).await.unwrap();
            // It may be closed already.
            let _ = stream.write_all(begun.as_bytes()).await;
            slow.push(stream);
            if slow.len() % 10 == 0 {
                let well = tokio::time::timeout(Duration::from_secs(10), is_well(&exporter)).await;
                assert_eq!(well, Ok(true), "{begun:?}");
            }
        }
    }
}

#[tokio::test]
async fn http_1_0_and_pipelining_are_spoken() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let answer = exporter.raw(b"GET /-/healthy HTTP/1.0\r\n\r\n").await;
    assert!(
        answer.starts_with(b"HTTP/1.0 200 OK\r\n"),
        "{:?}",
        String::from_utf8_lossy(&answer)
    );
    let one = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n";
    let both = exporter
        .raw(format!("{one}\r\n{one}Connection: close\r\n\r\n").as_bytes())
        .await;
    assert_eq!(
        String::from_utf8_lossy(&both).matches("HTTP/1.1 200 OK").count(),
        2
    );
}

/// Tasks of this test's runtime that have not ended.
fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[tokio::test]
async fn probes_leave_no_task_behind() {
    const SILENT: &str = "modules:
  tcp: {prober: tcp, timeout: 200ms, tcp: {query_response: [{expect: never}]}}
  tls: {prober: tcp, timeout: 200ms, tcp: {tls: true, tls_config: {insecure_skip_verify: true}}}
  http: {prober: http, timeout: 200ms, http: {preferred_ip_protocol: ip4}}
  https: {prober: http, timeout: 200ms, http: {preferred_ip_protocol: ip4, tls_config: {insecure_skip_verify: true}}}
  websocket: {prober: websocket, timeout: 200ms}
  grpc: {prober: grpc, timeout: 200ms}
  dns: {prober: dns, timeout: 200ms, dns: {query_name: a.test, preferred_ip_protocol: ip4}}
  dns_tcp: {prober: dns, timeout: 200ms, dns: {query_name: a.test, preferred_ip_protocol: ip4, transport_protocol: tcp}}
  icmp: {prober: icmp, timeout: 200ms, icmp: {preferred_ip_protocol: ip4}}
";
    let exporter = Exporter::start(SILENT, &[]).await;
    // In a thread, so that no task is its.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let rows = [
        ("tcp", address.to_string()),
        ("tls", address.to_string()),
        ("http", format!("http://{address}/")),
        ("https", format!("https://{address}/")),
        ("websocket", format!("ws://{address}/")),
        ("grpc", address.to_string()),
        ("dns", "127.0.0.1:1".to_owned()),
        ("dns_tcp", address.to_string()),
        ("icmp", "127.0.0.1".to_owned()),
    ];
    let probe = async || {
        let probes = rows.iter().map(|(module, target)| exporter.probe(module, target));
        for answer in futures_util::future::join_all(probes).await {
            assert_eq!(answer.status, 200);
        }
    };
    // What lives as long as the process is there after the first round: the reader of pings.
    probe().await;
    let before = tasks();
    for _ in 0..5 {
        probe().await;
        // Callers who do not wait.
        for (module, target) in &rows {
            let mut stream = TcpStream::connect(exporter.address).await.unwrap();
            let request = format!("GET /probe?module={module}&target={target} HTTP/1.1\r\nHost: x\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
        }
    }
    let start = std::time::Instant::now();
    while tasks() > before {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{} tasks instead of {before}",
            tasks()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(listener);
}

/// A target stood whole on every line: 60 MB for one page, and fourteen times what a caller sent in the log.
#[tokio::test]
async fn a_long_target_stands_once_in_an_answer() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream
            .write_all("what nobody expects\r\n".repeat(3000).as_bytes())
            .await;
        let _ = stream.read(&mut [0]).await;
    });
    let config =
        "modules:\n  talk: {prober: tcp, timeout: 5s, tcp: {query_response: [{expect: '^never'}]}}\n";
    let exporter = Exporter::start(config, &["--log.prober=debug"]).await;
    let target = format!("127.0.0.1:{}{port}", "0".repeat(60_000));
    exporter.get(&format!("/probe?module=talk&target={target}")).await;
    let text = exporter.get("/logs?id=0").await;
    assert_eq!(text.text().matches(&target).count(), 1);
    has(text.text(), ["what nobody expects"]);
    let page = exporter
        .request("GET", "/logs?id=0", &[("Accept", "text/html")])
        .await;
    assert_eq!(
        page.text().matches(&target).count(),
        1,
        "in the command that repeats the probe"
    );
    for (what, size) in [
        ("text", text.body.len()),
        ("page", page.body.len()),
        ("log", exporter.log().len()),
    ] {
        assert!(size < 2 << 20, "{what}: {size} bytes");
    }
}

/// The command is pasted into a shell.
#[tokio::test]
async fn the_command_that_repeats_a_probe_is_harmless() {
    let exporter = Exporter::start(MODULES, &[]).await;
    for (target, shown) in [
        (
            "http://[::1]:1/{a,b}[1-5]",
            "http://%5B::1%5D:1/%7Ba,b%7D%5B1-5%5D",
        ),
        ("'$(touch pwn)`id`!", "%27%24%28touch%20pwn%29%60id%60%21"),
        ("a\n#!x\u{202e}", "a%0A%23%21x%E2%80%AE"),
    ] {
        exporter.probe("tcp_plain", target).await;
        let newest = exporter.running.exporter.history.list().len() - 1;
        let page = exporter
            .request("GET", &format!("/logs?id={newest}"), &[("Accept", "text/html")])
            .await;
        let command = format!(
            "curl -g &#39;http://{}/probe?module=tcp_plain&#38;target={shown}",
            exporter.address
        );
        assert!(page.text().contains(&command), "{command}\n{}", page.text());
    }
}

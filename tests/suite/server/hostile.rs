//! Callers that mean no good.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::MODULES;
use crate::support::Exporter;

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
        "\u{16}\u{3}\u{1}".to_owned() + &"x".repeat(500),
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

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let exporter = Exporter::start(MODULES, &["--web.max-connections=2"]).await;
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(exporter.address).await.unwrap();
        stream
            .write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut byte = [0; 12];
        stream.read_exact(&mut byte).await.unwrap();
        idle.push(stream);
    }
    let waiting = exporter.get("/-/healthy");
    let mut waiting = std::pin::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
    assert!(early.is_err(), "a third connection was served");
    idle.pop();
    assert_eq!(waiting.await.status, 200);
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

#[tokio::test]
async fn thousands_of_unknown_modules_leave_nothing_behind() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let mut stream = TcpStream::connect(exporter.address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    const REQUESTS: usize = 5_000;
    let send = async {
        for number in 0..REQUESTS {
            let request = format!("GET /probe?module=m{number}&target=x HTTP/1.1\r\nHost: x\r\n\r\n");
            writer.write_all(request.as_bytes()).await.unwrap();
        }
    };
    let receive = async {
        let (mut seen, mut buffer, mut tail) = (0, vec![0; 1 << 16], Vec::new());
        while seen < REQUESTS {
            let length = reader.read(&mut buffer).await.unwrap();
            assert!(length > 0, "closed after {seen}");
            tail.extend_from_slice(&buffer[..length]);
            let text = String::from_utf8_lossy(&tail).into_owned();
            seen += text.matches("Unknown module").count();
            tail = text
                .rsplit("Unknown module")
                .next()
                .unwrap_or_default()
                .as_bytes()
                .to_vec();
            tail = tail[tail.len().saturating_sub(20)..].to_vec();
        }
    };
    tokio::join!(send, receive);
    let metrics = exporter.get("/metrics").await;
    assert_eq!(
        metrics.sample("blackbox_module_unknown_total"),
        Some(REQUESTS as f64)
    );
    assert!(!metrics.text().contains("module=\"m1\""));
    assert!(exporter.running.exporter.history.list().is_empty());
}

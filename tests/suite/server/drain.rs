//! The end: probes that run may end, and a scraper that goes away takes its probe with it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{MODULES, silent};
use crate::support::{Exporter, parse};

const HTTP: &str = "modules:
  slow: {prober: tcp, timeout: 500ms, tcp: {preferred_ip_protocol: ip4, query_response: [{expect: never}]}}
  patient: {prober: tcp, timeout: 60s, tcp: {preferred_ip_protocol: ip4, query_response: [{expect: never}]}}
";

async fn ask(exporter: &Exporter, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(exporter.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// `// compat:` upstream cuts running probes off.
#[tokio::test]
async fn running_probes_are_answered_before_the_end() {
    let exporter = Exporter::start(HTTP, &[]).await;
    let (peer, target) = silent().await;
    let mut asked = ask(&exporter, &format!("/probe?module=slow&target={target}")).await;
    // It runs once it has dialled its peer.
    let _connection = peer.accept().await.unwrap();
    let address = exporter.address;
    let stopped = tokio::spawn(exporter.running.stop());
    let mut answer = String::new();
    asked.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("\nprobe_success 0\n"), "{answer}");
    stopped.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn idle_and_half_asked_connections_do_not_hold_up_the_end() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let _idle = TcpStream::connect(exporter.address).await.unwrap();
    let mut half = TcpStream::connect(exporter.address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), exporter.running.stop())
        .await
        .expect("it ends");
}

/// A scraper leaves a probe that would take a minute.
async fn abandon<F: Future>(leave: impl FnOnce(TcpStream) -> F) {
    let exporter = Exporter::start(HTTP, &[]).await;
    let (peer, target) = silent().await;
    let asked = ask(&exporter, &format!("/probe?module=patient&target={target}")).await;
    let (mut connection, _) = peer.accept().await.unwrap();
    let _kept = leave(asked).await;
    // The probe's own connection is closed long before its time is over.
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(20), connection.read_to_end(&mut rest));
    closed.await.expect("the probe is given up").ok();
    let metrics = exporter.get("/metrics").await;
    assert_eq!(
        metrics.sample("blackbox_exporter_probes_cancelled_total"),
        Some(1.0)
    );
    assert_eq!(metrics.sample("blackbox_exporter_probes_in_flight"), Some(0.0));
}

#[tokio::test]
async fn a_probe_ends_with_its_scraper() {
    abandon(async |asked| drop(asked)).await;
}

/// Go, too, takes the end of what it reads for the end of the scraper. `// compat:` and answers nevertheless.
#[tokio::test]
async fn a_probe_ends_when_its_scraper_closes_its_side() {
    abandon(async |mut asked: TcpStream| {
        asked.shutdown().await.unwrap();
        asked
    })
    .await;
}

/// As `printf … | nc -N` does it. Go, too, answers what costs no more than the answer.
#[tokio::test]
async fn whoever_closes_their_side_is_answered() {
    let config = format!("{HTTP}# {}\n", "x".repeat(1 << 20));
    let exporter = Exporter::start(&config, &[]).await;
    let whole = exporter.get("/config").await.body.len();
    for (request, least) in [
        ("GET /-/healthy", 7),
        ("POST /-/reload", 0),
        ("GET /metrics", 1000),
        ("GET /logs?id=7", 10),
        ("GET /", 500),
        ("GET /config", whole),
    ] {
        for version in ["1.0", "1.1"] {
            let mut stream = TcpStream::connect(exporter.address).await.unwrap();
            let request = format!("{request} HTTP/{version}\r\nHost: x\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            let answer = parse(&answer);
            assert!(
                [200, 404].contains(&answer.status),
                "{request}: {}",
                answer.status
            );
            assert!(answer.body.len() >= least, "{request}: {}", answer.body.len());
        }
    }
}

#[tokio::test]
async fn refuses_probes_beyond_the_limit() {
    let exporter = Exporter::start(HTTP, &["--probe.max-in-flight=1"]).await;
    let (peer, target) = silent().await;
    let _asked = ask(&exporter, &format!("/probe?module=patient&target={target}")).await;
    let _connection = peer.accept().await.unwrap();
    let refused = exporter.probe("patient", &target).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(exporter.get("/-/healthy").await.status, 200);
    let metrics = exporter.get("/metrics").await;
    assert_eq!(
        metrics.sample("blackbox_exporter_probes_rejected_total"),
        Some(1.0)
    );
    assert_eq!(metrics.sample("blackbox_exporter_probes_in_flight"), Some(1.0));
}

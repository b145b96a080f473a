//! The end: probes that run may end, and a scraper that goes away takes its probe with it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{MODULES, silent};
use crate::support::{Exporter, has, parse, spawn};

const HTTP: &str = "modules:
  slow: {prober: tcp, timeout: 500ms, tcp: {preferred_ip_protocol: ip4, query_response: [{expect: never}]}}
  patient: {prober: tcp, timeout: 60s, tcp: {preferred_ip_protocol: ip4, query_response: [{expect: never}]}}
";

const PARKED: &str = "modules:
  slow: {prober: tcp, timeout: 3500ms, tcp: {preferred_ip_protocol: ip4, query_response: [{expect: never}]}}
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
    let stopped = spawn(exporter.running.stop());
    let mut answer = String::new();
    asked.read_to_string(&mut answer).await.unwrap();
    has(&answer, ["\nprobe_success 0\n"]);
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

/// The beginning of another request lies before the end of what the scraper sent.
#[tokio::test]
async fn a_probe_ends_with_its_scraper_that_has_begun_another_request() {
    abandon(async |mut asked: TcpStream| {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        asked.write_all(b"GET /").await.unwrap();
        drop(asked);
    })
    .await;
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

/// What comes on a connection that asked for a probe: in how many seconds, and whether it stays open.
async fn read_answer(stream: &mut TcpStream) -> (u64, String) {
    let start = std::time::Instant::now();
    let (mut answer, mut piece) = (Vec::new(), [0; 16 << 10]);
    loop {
        let read = stream.read(&mut piece).await.unwrap();
        answer.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&answer);
        let head = text.split_once("\r\n\r\n");
        let is_whole = head.is_some_and(|(head, body)| {
            let length = head.split_once("Content-Length: ");
            let length = length.and_then(|(_, length)| length.lines().next()?.parse::<usize>().ok());
            length.is_some_and(|length| body.len() >= length)
        });
        if read == 0 || is_whole {
            return (start.elapsed().as_secs(), text.into_owned());
        }
    }
}

/// Connections that wait for longer than two seconds are parked; nobody notices.
#[tokio::test]
async fn parked_connections_are_served_like_others() {
    let exporter = Exporter::start(PARKED, &[]).await;
    let (peer, target) = silent().await;
    let path = format!("/probe?module=slow&target={target}");
    let connect = async |request: &str| {
        let mut stream = TcpStream::connect(exporter.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    };
    let get = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let healthy = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut kept = connect(&get).await;
    let mut pipelined = connect(&format!("{get}{healthy}")).await;
    let mut closed = connect(&get.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).await;
    let mut old = connect(&get.replace("1.1", "1.0")).await;
    let mut head = connect(&get.replace("GET", "HEAD")).await;
    let mut left = connect(&get.replace("slow", "patient")).await;
    let (begin, end) = healthy.split_at(9);
    let mut halved = connect(&format!("{healthy}{begin}")).await;
    let mut probes = Vec::new();
    for _ in 0..6 {
        probes.push(peer.accept().await.unwrap());
    }

    let (seconds, answer) = read_answer(&mut kept).await;
    assert!(seconds >= 3, "{seconds}");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && !answer.contains("\r\nConnection:"),
        "{answer}"
    );
    assert!(answer.contains("\nprobe_success 0\n"), "{answer}");
    let (_, answer) = read_answer(&mut pipelined).await;
    assert!(answer.contains("\nprobe_success 0\n"), "{answer}");
    if !answer.ends_with("Healthy") {
        let (_, answer) = read_answer(&mut pipelined).await;
        assert!(answer.ends_with("Healthy"), "{answer}");
    }
    for stream in [&mut closed, &mut old] {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.contains("\r\nConnection: close\r\n") != answer.starts_with("HTTP/1.0"),
            "{answer}"
        );
        assert!(answer.contains("\nprobe_success 0\n"), "{answer}");
    }
    let mut answer = vec![0; 4096];
    let read = head.read(&mut answer).await.unwrap();
    assert!(
        answer[..read].ends_with(b"\r\n\r\n"),
        "{}",
        String::from_utf8_lossy(&answer)
    );

    // Once more on the connection that has been idle since; and on one to which half of the next request has come since.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    kept.write_all(begin.as_bytes()).await.unwrap();
    let (_, answer) = read_answer(&mut halved).await;
    assert!(answer.ends_with("Healthy"), "{answer}");
    for stream in [&mut halved, &mut kept] {
        stream.write_all(end.as_bytes()).await.unwrap();
        let (_, answer) = read_answer(stream).await;
        assert!(answer.ends_with("Healthy"), "{answer}");
    }

    // A scraper that leaves takes its probe with it.
    left.shutdown().await.unwrap();
    assert_eq!(left.read(&mut [0]).await.unwrap(), 0);
    let metrics = exporter.get("/metrics").await;
    assert_eq!(metrics.sample("blackbox_exporter_probes_in_flight"), Some(0.0));

    // The exporter waits for a probe that is parked, and not for a connection that is.
    let mut last = connect(&get).await;
    tokio::time::sleep(Duration::from_millis(2200)).await;
    let stopped = spawn(exporter.running.stop());
    let (_, answer) = read_answer(&mut last).await;
    assert!(answer.contains("\nprobe_success 0\n"), "{answer}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    stopped.await.unwrap();
}

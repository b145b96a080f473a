//! Past probes: how many are kept, and how they are found again.

use super::{MODULES, REFUSED};
use crate::support::Exporter;

async fn statuses(exporter: &Exporter, ids: std::ops::Range<u32>) -> Vec<u16> {
    let mut statuses = Vec::new();
    for id in ids {
        statuses.push(exporter.get(&format!("/logs?id={id}")).await.status);
    }
    statuses
}

#[tokio::test]
async fn failures_are_kept_twice_as_long() {
    let exporter = Exporter::start(MODULES, &["--history.limit=2"]).await;
    for _ in 0..5 {
        exporter.probe("tcp_plain", REFUSED).await;
    }
    assert_eq!(statuses(&exporter, 0..6).await, [404, 200, 200, 200, 200, 404]);
}

#[tokio::test]
async fn a_limit_of_nothing_keeps_nothing() {
    let exporter = Exporter::start(MODULES, &["--history.limit=0"]).await;
    exporter.probe("tcp_plain", REFUSED).await;
    assert_eq!(statuses(&exporter, 0..1).await, [404]);
}

#[tokio::test]
async fn memory_is_bounded_whatever_the_count() {
    let exporter = Exporter::start(MODULES, &["--history.limit=100000", "--history.max-bytes=200000"]).await;
    let target = format!("{}:1", "x".repeat(20_000));
    for _ in 0..30 {
        exporter.probe("tcp_plain", &target).await;
    }
    let kept = exporter.running.exporter.history.list().len();
    assert!((1..=10).contains(&kept), "{kept}");
    assert_eq!(statuses(&exporter, 29..30).await, [200]);
}

#[tokio::test]
async fn the_host_that_a_caller_names_counts() {
    let flags = ["--history.limit=100000", "--history.max-bytes=200000"];
    let exporter = Exporter::start(MODULES, &flags).await;
    let hostname = "x".repeat(60_000);
    for _ in 0..10 {
        let path = format!("/probe?module=tcp_plain&target={REFUSED}&hostname={hostname}");
        assert_eq!(exporter.get(&path).await.status, 200);
    }
    let kept = exporter.running.exporter.history.list().len();
    assert!((1..=3).contains(&kept), "{kept}");
}

/// `// compat:` in `server/past/history.rs`.
#[tokio::test]
async fn a_target_stands_for_its_newest_probe() {
    let exporter = Exporter::start(MODULES, &[]).await;
    for seconds in ["5", "6", "7"] {
        let headers = [("X-Prometheus-Scrape-Timeout-Seconds", seconds)];
        let path = format!("/probe?module=tcp_free&target={REFUSED}");
        exporter.request("GET", &path, &headers).await;
    }
    let logs = exporter.get(&format!("/logs?target={REFUSED}")).await;
    assert_eq!(logs.sample("probe_timeout_seconds"), Some(6.5));
    assert_eq!(
        exporter
            .get(&format!("/logs?target={REFUSED}&module=tcp_plain"))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn says_what_it_cannot_find() {
    let exporter = Exporter::start(MODULES, &[]).await;
    exporter.probe("tcp_plain", REFUSED).await;
    #[rustfmt::skip]
    let rows = [
        ("", 400, "Probe id or target must be defined as http query parameters\n"),
        ("id=-1", 400, "Probe id or target must be defined as http query parameters\n"),
        ("id=7", 404, "Probe id not found\n"),
        ("id=0&target=x", 400, "Probe id and target can't be defined at the same time\n"),
        ("id=0&module=x", 400, "Probe module filter only works in conjunction with target parameter\n"),
        ("target=x", 404, "Probe target not found\n"),
    ];
    for (query, status, text) in rows {
        let answer = exporter.get(&format!("/logs?{query}")).await;
        assert_eq!((answer.status, answer.text()), (status, text), "{query}");
    }
}

//! `/metrics`: upstream's families, and ours from the first probe on.

use std::collections::BTreeSet;

use blackbox_exporter::metrics::own::Own;

use super::{MODULES, REFUSED};
use crate::support::{Exporter, has, lacks};

fn families(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect()
}

#[tokio::test]
async fn a_fresh_exporter_shows_upstreams_families() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let metrics = exporter.get("/metrics").await;
    assert_eq!(
        families(metrics.text()),
        [
            "blackbox_exporter_build_info",
            "blackbox_exporter_config_last_reload_success_timestamp_seconds",
            "blackbox_exporter_config_last_reload_successful",
            "blackbox_module_unknown_total",
            "process_cpu_seconds_total",
            "process_max_fds",
            "process_network_receive_bytes_total",
            "process_network_transmit_bytes_total",
            "process_open_fds",
            "process_resident_memory_bytes",
            "process_start_time_seconds",
            "process_virtual_memory_bytes",
            "process_virtual_memory_max_bytes",
            "promhttp_metric_handler_requests_in_flight",
            "promhttp_metric_handler_requests_total",
        ]
    );
    assert_eq!(
        metrics.sample("promhttp_metric_handler_requests_total{code=\"200\"}"),
        Some(0.0)
    );
    assert_eq!(
        metrics.sample("promhttp_metric_handler_requests_in_flight"),
        Some(1.0)
    );
    let again = exporter.get("/metrics").await;
    assert_eq!(
        again.sample("promhttp_metric_handler_requests_total{code=\"200\"}"),
        Some(1.0)
    );
}

/// The catalogue of `docs/metrics.md`.
#[tokio::test]
async fn series_have_the_labels_of_the_catalogue() {
    let modules = "modules:
  http: {prober: http, timeout: 1s, params: {method: {one_of: [GET]}}, http: {preferred_ip_protocol: ip4}}
  icmp: {prober: icmp, timeout: 1s}
";
    // The other tests of this process share the limit: more than all of them take.
    let exporter = Exporter::start(modules, &["--memory.limit=1024GiB"]).await;
    exporter.probe("http", REFUSED).await;
    exporter.probe("icmp", "127.0.0.1").await;
    let refused = exporter.get("/probe?module=http&target=a&method=PUT").await;
    assert_eq!(refused.status, 400);
    let metrics = exporter.get("/metrics").await;
    let mut seen = BTreeSet::new();
    for line in metrics.text().lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let plain = ["_bucket", "_sum", "_count"];
        let plain = plain.iter().find_map(|end| name.strip_suffix(end));
        let own = Own::of_stem(name).or_else(|| Own::of_stem(plain?)).expect(line);
        let labels = labels.split("\",").filter_map(|label| label.split_once('='));
        let labels: Vec<_> = labels
            .map(|(name, _)| name)
            .filter(|name| *name != "le")
            .collect();
        assert_eq!(labels, own.family().labels, "{line}");
        seen.insert(own);
    }
    for own in Own::ALL.iter().filter(|own| !own.family().labels.is_empty()) {
        // Without root, there may be no ping.
        let may_miss = [Own::IcmpResults, Own::ProbeTimeouts].contains(own);
        assert!(may_miss || seen.contains(own), "{own:?}");
    }
}

/// `// compat:` in `server/instruments/mod.rs`.
#[tokio::test]
async fn probes_are_counted_by_module_and_never_by_target() {
    let exporter = Exporter::start(MODULES, &[]).await;
    for _ in 0..3 {
        exporter.probe("tcp_plain", REFUSED).await;
    }
    let metrics = exporter.get("/metrics").await;
    let series = "blackbox_exporter_probes_total{module=\"tcp_plain\",prober=\"tcp\",result=\"failure\"}";
    assert_eq!(metrics.sample(series), Some(3.0));
    let count = "blackbox_exporter_probe_duration_seconds_count{prober=\"tcp\"}";
    assert_eq!(metrics.sample(count), Some(3.0));
    lacks(metrics.text(), [REFUSED]);
    let names = families(metrics.text());
    assert!(names.is_sorted(), "{names:?}");

    // A module that is gone takes its series with it; one that stays keeps its count.
    let config = "modules:\n  tcp_plain: {prober: tcp}\n  other: {prober: icmp}\n";
    std::fs::write(exporter.config_file(), config).unwrap();
    assert_eq!(exporter.request("POST", "/-/reload", &[]).await.status, 200);
    let metrics = exporter.get("/metrics").await;
    assert_eq!(metrics.sample(series), Some(3.0));
    has(metrics.text(), ["module=\"other\""]);
    lacks(metrics.text(), ["module=\"tcp_free\""]);
}

#[tokio::test]
async fn speaks_every_format_and_gzip() {
    let exporter = Exporter::start(MODULES, &[]).await;
    exporter.probe("tcp_plain", REFUSED).await;
    let open = exporter
        .request(
            "GET",
            "/metrics",
            &[("Accept", "application/openmetrics-text;version=1.0.0")],
        )
        .await;
    assert!(open.text().ends_with("# EOF\n"));
    let coded = exporter
        .request("GET", "/metrics", &[("Accept-Encoding", "gzip")])
        .await;
    assert_eq!(coded.header("content-encoding"), Some("gzip"));
    assert!(coded.body.starts_with(&[0x1f, 0x8b]));
}

/// The beginning of `io.prometheus.client.MetricFamily`, with what says since when a series counts.
#[derive(Clone, PartialEq, prost::Message)]
struct BinaryFamily {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "4")]
    metrics: Vec<BinaryMetric>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BinaryMetric {
    #[prost(message, optional, tag = "3")]
    counter: Option<BinaryCounter>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<BinaryHistogram>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BinaryCounter {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(message, optional, tag = "3")]
    created: Option<BinaryTime>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BinaryHistogram {
    #[prost(message, optional, tag = "15")]
    created: Option<BinaryTime>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BinaryTime {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// As client_golang's: counters and histograms, but nothing that is read from /proc.
#[tokio::test]
async fn protobuf_has_the_times_since_when_series_count() {
    let seconds = || {
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
        since.as_secs_f64()
    };
    let exporter = Exporter::start(MODULES, &[]).await;
    let before = seconds();
    exporter.probe("tcp_plain", REFUSED).await;
    exporter.probe("http_2xx", REFUSED).await;
    let after = seconds();
    let delimited =
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let binary = exporter
        .request("GET", "/metrics", &[("Accept", delimited)])
        .await;
    let (mut rest, mut first_failures) = (&*binary.body, 0);
    while !rest.is_empty() {
        let family: BinaryFamily = prost::Message::decode_length_delimited(&mut rest).unwrap();
        let name = &*family.name;
        for metric in family.metrics {
            let created = match (metric.counter, metric.histogram) {
                (Some(counter), None) => counter.created,
                (None, Some(histogram)) => histogram.created,
                _ => continue,
            };
            if name.starts_with("process_") {
                assert_eq!(created, None, "{name}");
                continue;
            }
            let created = created.unwrap_or_else(|| panic!("{name}"));
            let created = created.seconds as f64 + f64::from(created.nanos) / 1e9;
            // Those of the whole program are older than the first probe.
            let oldest = match name {
                "blackbox_exporter_probe_failures_total"
                | "blackbox_exporter_probe_duration_seconds"
                | "net_conntrack_dialer_conn_attempted_total" => before - 0.001,
                _ => before - 60.0,
            };
            assert!((oldest..after + 0.001).contains(&created), "{name}: {created}");
            first_failures += usize::from(name == "blackbox_exporter_probe_failures_total");
        }
    }
    assert_eq!(first_failures, 2);
}

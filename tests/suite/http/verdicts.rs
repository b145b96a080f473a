//! Verdicts: status, version, headers, body, and which families tell.

use std::time::Instant;

use blackbox_exporter::metrics::Metric;
use blackbox_exporter::net::Network;
use blackbox_exporter::prober::{self, Also, ProbeRequest};

use super::module;
use super::site::{Site, answer, ok};
use crate::support::probing::PATIENT;
use crate::support::{self, log, probe, redacted};

#[tokio::test]
async fn every_reason_is_told() {
    let answer = answer("200 OK", &["X-A: one", "X-A: two"], "hello");
    #[rustfmt::skip]
    let rows: &[(&str, Option<&str>)] = &[
        ("valid_status_codes: [200, 204]", None),
        (
            "valid_status_codes: [204, 404]",
            Some("ERROR Invalid HTTP response status code status_code=200 valid_status_codes=\"[204 404]\""),
        ),
        ("valid_http_versions: [HTTP/1.1]", None),
        ("valid_http_versions: [HTTP/2.0]", Some("ERROR Invalid HTTP version number version=\"HTTP/1.1\"")),
        ("fail_if_ssl: true", None),
        ("fail_if_not_ssl: true", Some("ERROR Final request was not over SSL")),
        ("fail_if_body_matches_regexp: [bye]", None),
        ("fail_if_body_matches_regexp: [hell]", Some("ERROR Body matched regular expression regexp=\"hell\"")),
        ("fail_if_body_not_matches_regexp: [bye]", Some("ERROR Body did not match regular expression regexp=\"bye\"")),
        ("fail_if_header_not_matches: [{header: x-a, regexp: two}]", None),
        (
            "fail_if_header_matches: [{header: x-a, regexp: two}]",
            Some("ERROR Header matched regular expression header=\"x-a\" regexp=\"two\" value_count=2"),
        ),
        ("fail_if_header_not_matches: [{header: X-B, regexp: .}]", Some("ERROR Missing required header header=\"X-B\"")),
        ("fail_if_header_matches: [{header: X-B, regexp: ., allow_missing: true}]", None),
        ("fail_if_body_json_not_matches_cel: body == 'hello'", Some("ERROR Error unmarshalling HTTP body to JSON")),
    ];
    for (more, reason) in rows {
        let site = Site::answering(&answer).await;
        let outcome = probe(&module(more), &site.url("/")).await;
        let lines = log(&outcome);
        assert_eq!(outcome.success, reason.is_none(), "{more}: {lines:?}");
        if let Some(reason) = reason {
            assert!(
                lines.iter().any(|line| line.starts_with(reason)),
                "{more}: {lines:?}"
            );
        }
        let by_regexp = reason.is_some() && (more.contains("regexp"));
        assert_eq!(
            outcome.samples.value(Metric::FailedDueToRegex),
            Some(f64::from(u8::from(by_regexp))),
            "{more}"
        );
    }
}

#[tokio::test]
async fn the_families_of_a_success() {
    let site = Site::answering(answer(
        "200 OK",
        &["Last-Modified: Mon, 02 Jan 2006 15:04:05 GMT"],
        "hello",
    ))
    .await;
    let outcome = probe(&module(""), &site.url("/")).await;
    let text = redacted(&outcome);
    let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        series,
        [
            "probe_dns_lookup_time_seconds V",
            "probe_duration_seconds V",
            "probe_failed_due_to_regex 0",
            "probe_http_content_length 5",
            "probe_http_duration_seconds{phase=\"connect\"} V",
            "probe_http_duration_seconds{phase=\"processing\"} V",
            "probe_http_duration_seconds{phase=\"resolve\"} V",
            "probe_http_duration_seconds{phase=\"tls\"} V",
            "probe_http_duration_seconds{phase=\"transfer\"} V",
            "probe_http_last_modified_timestamp_seconds V",
            "probe_http_redirects 0",
            "probe_http_ssl 0",
            "probe_http_status_code 200",
            "probe_http_uncompressed_body_length 5",
            "probe_http_version 1.1",
            "probe_ip_addr_hash V",
            "probe_ip_protocol 4",
            "probe_success 1",
            "probe_timeout_seconds 10",
        ]
    );
}

#[tokio::test]
async fn failures_have_their_shapes() {
    let phases = |text: &str| text.matches("probe_http_duration_seconds{").count();
    let outcome = probe(&module(""), "http://127.0.0.1:x/").await;
    let text = redacted(&outcome);
    assert!(
        phases(&text) == 0 && !text.contains("probe_ip_protocol"),
        "{text}"
    );
    let outcome = probe(&module("ip_protocol_fallback: false"), "http://[::1]/").await;
    let text = redacted(&outcome);
    assert!(phases(&text) == 1 && text.contains("probe_ip_protocol"), "{text}");
    let outcome = probe(&module(""), "http://127.0.0.1:0/").await;
    assert_eq!(phases(&redacted(&outcome)), 5);
}

#[tokio::test]
async fn connections_are_counted() {
    use std::sync::atomic::Ordering::Relaxed;
    let site = Site::answering(ok()).await;
    let network = Network::system();
    let module = support::module(&module(""));
    for target in [site.url("/"), "http://127.0.0.1:0/".to_owned()] {
        let request = ProbeRequest {
            target: &target,
            hostname: None,
            timeout: support::TIMEOUT,
        };
        prober::run(&network, &module, request).await;
    }
    let counters = &network.connections;
    let values = [&counters.attempted, &counters.established, &counters.closed];
    assert_eq!(values.map(|counter| counter.load(Relaxed)), [2, 1, 1]);
}

/// The search for the nearest texts takes longer than the probe.
#[tokio::test]
async fn looking_for_findings_is_no_part_of_the_duration() {
    let site = Site::answering(answer("200 OK", &[], "lorem ipsum dolor ".repeat(3000))).await;
    let module = support::module(&module(
        "fail_if_body_matches_regexp: ['(?i)l[a-z]+ q', '(?i)z+o.{0,50}x']",
    ));
    let target = site.url("/");
    let request = ProbeRequest {
        target: &target,
        hostname: None,
        timeout: PATIENT,
    };
    // The first one also waits until this process is ready to probe.
    for _ in 0..2 {
        let also = Also {
            explain: true,
            ..Also::default()
        };
        let from = Instant::now();
        let outcome = prober::run_with(&Network::system(), &module, &request, also).await;
        let (whole, took) = (from.elapsed(), outcome.findings.as_ref().unwrap().took());
        assert!(outcome.success && !took.is_zero(), "{took:?}");
        assert!(
            outcome.duration + took <= whole,
            "{:?} and {took:?} of {whole:?}",
            outcome.duration
        );
    }
}

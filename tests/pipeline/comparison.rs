//! What exists works on: the queries of well-known dashboards and alert collections return the same series on our
//! metrics as on upstream's, both exporters probing the same targets under one Prometheus.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crate::support::{
    Exporter, NextPort, Prometheus, Sample, TlsServer, WebServer, eventually, may_ping, reference_exporter,
};

/// What two runs of the same query may differ in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Values {
    /// The values are the same.
    Same,
    /// They are times; only the series are the same.
    Measured,
}
use Values::{Measured, Same};

/// Old versions of upstream also have `probe_failed_due_to_regex` of a tcp target that refuses the connection.
///
/// Dashboard or collection, query with `$job` and `$instance` for its variables, and how to compare.
#[rustfmt::skip]
const QUERIES: &[(&str, &str, Values)] = &[
    // 7587, Prometheus Blackbox Exporter
    ("7587", r#"probe_duration_seconds{instance=~"$instance"}"#, Measured),
    ("7587", r#"probe_success{instance=~"$instance"}"#, Same),
    ("7587", r#"probe_http_duration_seconds{instance=~"$instance"}"#, Measured),
    ("7587", r#"probe_http_status_code{instance=~"$instance"}"#, Same),
    ("7587", r#"probe_http_version{instance=~"$instance"}"#, Same),
    ("7587", r#"probe_http_ssl{instance=~"$instance"}"#, Same),
    ("7587", r#"probe_ssl_earliest_cert_expiry{instance=~"$instance"} - time()"#, Measured),
    ("7587", r#"avg by (exporter) (probe_duration_seconds{instance=~"$instance"})"#, Measured),
    ("7587", r#"avg by (exporter) (probe_dns_lookup_time_seconds{instance=~"$instance"})"#, Measured),
    // 13659, Blackbox Exporter (HTTP prober)
    ("13659", r#"probe_http_redirects{job=~"$job", instance=~"$instance"}"#, Same),
    ("13659", r#"probe_http_content_length{job=~"$job", instance=~"$instance"}"#, Same),
    ("13659", r#"probe_http_uncompressed_body_length{job=~"$job", instance=~"$instance"}"#, Same),
    ("13659", r#"probe_failed_due_to_regex{job="http", instance=~"$instance"}"#, Same),
    ("13659", r#"sum by (exporter, phase) (probe_http_duration_seconds{job=~"$job", instance=~"$instance"})"#, Measured),
    ("13659", r#"sum by (exporter, instance) (probe_http_duration_seconds{job=~"$job"})"#, Measured),
    ("13659", r#"avg_over_time(probe_success{job=~"$job", instance=~"$instance"}[5s]) * 100"#, Same),
    ("13659", r#"count by (exporter) (probe_success{job=~"$job"} == 0)"#, Same),
    ("13659", r#"sum by (exporter) (probe_success{job=~"$job"}) / count by (exporter) (probe_success{job=~"$job"})"#, Same),
    ("13659", r#"min by (exporter) (probe_ssl_earliest_cert_expiry{job=~"$job"})"#, Same),
    // 14928, Prometheus Blackbox Exporter (HTTP, TCP, ICMP)
    ("14928", r#"probe_ip_protocol{job=~"$job", instance=~"$instance"}"#, Same),
    ("14928", r#"probe_icmp_duration_seconds{job=~"$job", instance=~"$instance"}"#, Measured),
    ("14928", r#"sum by (exporter, instance) (probe_icmp_duration_seconds{job=~"$job"})"#, Measured),
    ("14928", r#"probe_icmp_reply_hop_limit{job=~"$job"}"#, Same),
    ("14928", r#"probe_ip_addr_hash{job=~"$job"}"#, Same),
    ("14928", r#"probe_tls_version_info{job=~"$job", instance=~"$instance"}"#, Same),
    ("14928", r#"(probe_ssl_last_chain_expiry_timestamp_seconds{job=~"$job"} - time()) / 86400 > 0"#, Measured),
    ("14928", r#"probe_dns_lookup_time_seconds{job=~"$job", instance=~"$instance"}"#, Measured),
    ("14928", r#"probe_failed_due_to_regex{job="tcp"} and on (exporter, instance) probe_success == 1"#, Same),
    // 16292, blackbox_exporter HTTP (with labels project and app)
    ("16292", r#"count by (exporter) (probe_success{project=~".*", app=~".*"} == 1)"#, Same),
    ("16292", r#"count by (exporter) (probe_success{project=~".*", app=~".*"})"#, Same),
    ("16292", r#"probe_ssl_earliest_cert_expiry{project=~".*", app=~".*"} * 1000"#, Same),
    ("16292", r#"probe_tls_version_info{project=~".*", app=~".*", version=~".*.3"}"#, Same),
    ("16292", r#"probe_http_status_code{project=~".*", app=~".*"}"#, Same),
    // 16124, status page style
    ("16124", r#"max_over_time(probe_success{job=~"$job"}[5s])"#, Same),
    ("16124", r#"round(avg_over_time(probe_success{job=~"$job"}[5s]) * 100, 0.01)"#, Same),
    ("16124", r#"topk by (exporter) (100, probe_duration_seconds{job=~"$job"})"#, Measured),
    ("16124", r#"probe_http_duration_seconds{job=~"$job", phase=~"connect|processing|resolve|tls|transfer"}"#, Measured),
    // Alert collections
    ("alerts", "probe_success == 0", Same),
    ("alerts", "avg_over_time(probe_duration_seconds[5s]) > 0", Measured),
    ("alerts", "probe_http_status_code <= 199 or probe_http_status_code >= 400", Same),
    ("alerts", "probe_ssl_earliest_cert_expiry - time() < 86400 * 1e6", Measured),
    ("alerts", "avg_over_time(probe_http_duration_seconds[5s]) >= 0", Measured),
    ("alerts", "avg_over_time(probe_icmp_duration_seconds[5s]) >= 0", Measured),
    ("alerts", "blackbox_exporter_config_last_reload_successful", Same),
    ("alerts", "increase(blackbox_module_unknown_total[5s])", Same),
    ("alerts", r#"up{job=~"exporter|http|tcp|icmp"}"#, Same),
];

#[test]
fn queries_of_known_dashboards_return_what_they_return_on_the_go_program() {
    let Some(go) = reference_exporter() else { return };
    let (web, tls) = (WebServer::start(NextPort::Any), TlsServer::start());
    let gone = {
        let soon_gone = WebServer::start(NextPort::Any);
        soon_gone.address
    };

    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("blackbox.yml");
    fs::write(&config, MODULES.replace("CA_FILE", tls.ca_file.to_str().unwrap())).unwrap();
    let ours = Exporter::start(&config, &["--timeout-offset=0.1"]);
    let theirs = Exporter::start_other("go exporter", &go, &config, &["--timeout-offset=0.1"]);

    let up = web.address;
    let targets = [
        ("http", "http", format!("http://{up}/")),
        ("http", "http", format!("http://{gone}/")),
        ("http", "http_404", format!("http://{up}/")),
        ("http", "http", tls.url.clone()),
        ("tcp", "tcp", up.to_string()),
        ("tcp", "tcp", gone.to_string()),
        ("icmp", "icmp", "127.0.0.1".to_owned()),
    ];
    let targets: Vec<_> = targets
        .iter()
        .filter(|(job, _, _)| *job != "icmp" || may_ping())
        .collect();
    let mut scrapes =
        String::from("global: {scrape_interval: 500ms, scrape_timeout: 500ms}\nscrape_configs:\n");
    for (name, exporter) in [("ours", &ours), ("go", &theirs)] {
        scrapes += &format!(
            "- job_name: {name}-exporter\n  static_configs:\n  - targets: ['{}']\n    labels: {{job: exporter, exporter: {name}, instance: it}}\n",
            exporter.address
        );
        scrapes += &format!("- job_name: {name}\n  metrics_path: /probe\n  static_configs:\n");
        for (job, module, target) in &targets {
            scrapes += &format!(
                "  - targets: ['{}']\n    labels: {{job: {job}, exporter: {name}, instance: '{target} {module}', __param_module: {module}, __param_target: '{target}'}}\n",
                exporter.address
            );
        }
    }
    let Some(prometheus) = Prometheus::start(&scrapes) else {
        return;
    };
    let wanted = 2 * targets.len();
    // Ten seconds of scrapes fill the ranges, so that averages do not hang on when each exporter was first asked.
    eventually("both exporters' probes", || {
        match prometheus.query("count_over_time(probe_success[10s]) >= 12")? {
            samples if samples.len() == wanted => Ok(()),
            samples => Err(format!("{} of {wanted}", samples.len())),
        }
    });

    // The two are scraped at different moments: what differs must come to agree.
    eventually("both exporters to agree", || {
        let differing = QUERIES
            .iter()
            .map(|(dashboard, query, values)| difference(&prometheus, dashboard, query, *values));
        let differences: Vec<_> = differing
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect();
        if differences.is_empty() {
            Ok(())
        } else {
            Err(differences.join("\n"))
        }
    });
}

/// What the two exporters' answers to a query differ in; an empty answer shows nothing and counts as one.
fn difference(
    prometheus: &Prometheus,
    dashboard: &str,
    query: &str,
    values: Values,
) -> Result<Option<String>, String> {
    let query = query.replace("$job", ".*").replace("$instance", ".*");
    let samples = prometheus.query(&query)?;
    let (ours, theirs) = (of(&samples, "ours", values), of(&samples, "go", values));
    let nothing = ours.is_empty() && (may_ping() || !query.contains("icmp"));
    Ok((ours != theirs || nothing)
        .then(|| format!("{dashboard}: {query}\n  ours: {ours:#?}\n  go:   {theirs:#?}")))
}

/// The samples of one exporter, without the label that says whose they are.
fn of(samples: &[Sample], exporter: &str, values: Values) -> BTreeSet<(BTreeMap<String, String>, String)> {
    samples
        .iter()
        .filter(|sample| sample.labels.get("exporter").is_some_and(|name| name == exporter))
        .map(|sample| {
            let mut labels = sample.labels.clone();
            labels.remove("exporter");
            (
                labels,
                if values == Same {
                    sample.value.to_string()
                } else {
                    String::new()
                },
            )
        })
        .collect()
}

const MODULES: &str = "modules:
  http:
    prober: http
    timeout: 2s
    http:
      preferred_ip_protocol: ip4
      tls_config: {ca_file: CA_FILE}
  http_404:
    prober: http
    timeout: 2s
    http:
      preferred_ip_protocol: ip4
      valid_status_codes: [404]
  tcp:
    prober: tcp
    timeout: 2s
    tcp: {preferred_ip_protocol: ip4}
  icmp:
    prober: icmp
    timeout: 2s
    icmp: {preferred_ip_protocol: ip4}
";

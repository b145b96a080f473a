//! Targets by HTTP service discovery: a targets file, one URL in Prometheus, no relabelling; remote write into the
//! ingester; and every query of the dashboards on what was stored.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::support::{
    Exporter, Ingester, NextPort, Prometheus, Sample, TlsServer, WebServer, eventually, get, may_ping, page,
    read, replace, repository,
};

/// An exporter on a configuration and a targets file of its own.
struct Setting {
    _directory: tempfile::TempDir,
    targets_file: std::path::PathBuf,
    exporter: Exporter,
    web: WebServer,
    tls: TlsServer,
}

impl Setting {
    fn new() -> Self {
        let (web, tls) = (WebServer::start(NextPort::Any), TlsServer::start());
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("blackbox.yml");
        let modules = read("examples/deepflow/blackbox.yml");
        let trusting = format!(
            "      tls_config: {{ca_file: {}}}\n      method: GET\n",
            tls.ca_file.display()
        );
        fs::write(&config, replace(&modules, "      method: GET\n", &trusting)).unwrap();
        let targets_file = directory.path().join("targets.yml");
        let targets = read("examples/targets.yml");
        let targets = replace(&targets, "address: icmp_example.test.com", "address: 127.0.0.1");
        let targets = replace(
            &targets,
            "address: tcp_example.test.com:443",
            &format!("address: {}", web.address),
        );
        let targets = replace(
            &targets,
            "address: http_example.test.com",
            &format!("address: {}", tls.url),
        );
        let targets = replace(&targets, "interval: 30s", "interval: 500ms");
        let targets = replace(&targets, "timeout: 10s", "timeout: 400ms");
        fs::write(&targets_file, targets).unwrap();
        let flag = format!("--targets.file={}", targets_file.display());
        let exporter = Exporter::start(&config, &[&flag, "--timeout-offset=0.1"]);
        Self {
            _directory: directory,
            targets_file,
            exporter,
            web,
            tls,
        }
    }

    fn discovered(&self) -> Value {
        let (status, body) = get(&self.exporter.address, "/targets").unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

#[test]
fn targets_are_answered_as_prometheus_reads_them() {
    let setting = Setting::new();
    let groups = setting.discovered();
    let address = setting.exporter.address.as_str();
    assert_eq!(
        groups,
        serde_json::json!([
            {"targets": [address], "labels": {
                "__metrics_path__": "/probe",
                "__param_module": "icmp", "__param_target": "127.0.0.1",
                "job": "integrations/blackbox/icmp_probe_1", "instance": "127.0.0.1",
                "module": "icmp", "target": "icmp_example.test.com",
            }},
            {"targets": [address], "labels": {
                "__metrics_path__": "/probe",
                "__param_module": "tcp_connect", "__param_target": setting.web.address.to_string(),
                "job": "integrations/blackbox/tcp_probe_1", "instance": setting.web.address.to_string(),
                "module": "tcp_connect", "target": "tcp_example.test.com",
            }},
            {"targets": [address], "labels": {
                "__metrics_path__": "/probe", "__scrape_interval__": "500ms", "__scrape_timeout__": "400ms",
                "__param_module": "http_2xx", "__param_target": setting.tls.url,
                "job": "integrations/blackbox/http_probe_1", "instance": setting.tls.url,
                "module": "http_2xx", "target": "http_example.test.com",
            }},
        ])
    );
}

#[test]
fn targets_know_where_the_endpoints_are() {
    let directory = tempfile::tempdir().unwrap();
    let targets = directory.path().join("targets.yml");
    fs::write(&targets, "targets: [{name: a, address: b}]\n").unwrap();
    let config = repository("blackbox.yml");
    let flag = format!("--targets.file={}", targets.display());
    let exporter = Exporter::start(&config, &[&flag, "--web.route-prefix=/below/"]);
    let (status, body) = get(&exporter.address, "/below/targets").unwrap();
    assert_eq!(status, 200, "{body}");
    let groups: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(groups[0]["labels"]["__metrics_path__"], "/below/probe");
    let path = "/below/probe?module=http_2xx&target=http://localhost:1/";
    assert!(
        get(&exporter.address, path)
            .unwrap()
            .1
            .contains("\nprobe_success 0\n")
    );

    let without = Exporter::start(&config, &[]);
    assert_eq!(get(&without.address, "/targets").unwrap().0, 404);
}

#[test]
fn an_instance_of_the_targets_file_is_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let targets = directory.path().join("targets.yml");
    fs::write(
        &targets,
        "targets: [{name: a, address: b, labels: {instance: 192.0.2.10}}]\n",
    )
    .unwrap();
    let flag = format!("--targets.file={}", targets.display());
    let exporter = Exporter::start(&repository("blackbox.yml"), &[&flag]);
    eventually("the warning", || {
        let log = exporter.program().log();
        let wanted = r#"the targets file sets the label \"instance\" (1 of 1 targets)"#;
        log.contains(wanted).then_some(()).ok_or(log)
    });
}

#[test]
fn a_changed_targets_file_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let targets = directory.path().join("targets.yml");
    fs::write(&targets, "targets: []\n").unwrap();
    let flag = format!("--targets.file={}", targets.display());
    let exporter = Exporter::start(
        &repository("blackbox.yml"),
        &[&flag, "--config.enable-auto-reload"],
    );
    fs::write(&targets, "targets: [{name: a, address: b}]\n").unwrap();
    eventually("the new target", || match get(&exporter.address, "/targets")?.1 {
        body if body.contains(r#""job":"a""#) => Ok(()),
        body => Err(body),
    });
}

#[test]
fn a_targets_file_is_reloaded_with_the_configuration_and_a_broken_one_is_not_taken() {
    let setting = Setting::new();
    let before = setting.discovered();
    fs::write(
        &setting.targets_file,
        "targets:\n  - {name: new, address: a, module: icpm}\n",
    )
    .unwrap();
    setting.exporter.program().signal("HUP");
    eventually("the log to say why", || {
        let log = setting.exporter.program().log();
        log.contains("did you mean").then_some(()).ok_or(log)
    });
    assert_eq!(setting.discovered(), before);
    fs::write(
        &setting.targets_file,
        "targets:\n  - {name: new, address: a, module: icmp}\n",
    )
    .unwrap();
    setting.exporter.program().signal("HUP");
    eventually("the new target", || {
        let now = setting.discovered();
        (now[0]["labels"]["job"] == "new" && now.as_array().unwrap().len() == 1)
            .then_some(())
            .ok_or(now.to_string())
    });
}

#[test]
fn discovered_probes_are_stored_written_and_drawn() {
    let setting = Setting::new();
    let ingester = Ingester::start();
    let config = read("examples/prometheus/http-sd.yml");
    let config = replace(&config, "127.0.0.1:9115", &setting.exporter.address);
    let config = replace(
        &config,
        "scrape_interval: 15s",
        "scrape_interval: 500ms\n  scrape_timeout: 500ms",
    );
    let config = replace(&config, "refresh_interval: 30s", "refresh_interval: 1s");
    let config = replace(&config, "rule_files:\n  - rules.yml\n", "");
    let config = format!(
        "{config}\nremote_write:\n  - {{url: \"{}\", queue_config: {{batch_send_deadline: 200ms}}}}\n",
        ingester.url
    );
    let Some(prometheus) = Prometheus::start(&config) else {
        return;
    };

    let probes = if may_ping() { 3 } else { 2 };
    eventually("all probes to succeed", || {
        match prometheus.query("probe_success == 1")? {
            samples if samples.len() >= probes => Ok(()),
            samples => Err(format!("{samples:?}")),
        }
    });
    eventually("the ingester", || {
        ingester.last(
            "probe_success",
            &[
                ("target", "http_example.test.com"),
                ("instance", &setting.tls.url),
            ],
        )
    });
    assert_eq!(ingester.refused().0, Vec::<String>::new());

    dashboards_show_something(&prometheus, &setting.exporter);

    // A target that leaves the file leaves the list.
    let text = fs::read_to_string(&setting.targets_file).unwrap();
    let (kept, _) = text
        .split_once("  - name: integrations/blackbox/http_probe_1")
        .unwrap();
    fs::write(&setting.targets_file, kept).unwrap();
    setting.exporter.program().signal("HUP");
    eventually("Prometheus to drop the target", || {
        let targets = prometheus.api("/api/v1/targets?state=active")?;
        let count = targets["data"]["activeTargets"].as_array().unwrap().len();
        (count == 3).then_some(()).ok_or(format!("{count} targets"))
    });
}

/// README's own job, which names a target by `instance` alone, as upstream's relabelling does.
#[test]
fn dashboards_name_the_targets_of_upstreams_relabelling() {
    let web = WebServer::start(NextPort::Any);
    let tls = TlsServer::start();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("blackbox.yml");
    let trusting = format!(
        "  http_2xx:\n    prober: http\n    http:\n      tls_config: {{ca_file: {}}}\n",
        tls.ca_file.display()
    );
    let modules = read("blackbox.yml");
    let modules = replace(&modules, "  http_2xx:\n    prober: http\n    http:\n", &trusting);
    let several = "  several:\n    prober: icmp\n    icmp: {count: 3, interval: 10ms}\n";
    fs::write(&config, modules + several).unwrap();
    let exporter = Exporter::start(&config, &["--timeout-offset=0.1"]);
    let page = read("docs/getting-started.md");
    let (_, job) = page.split_once("```yaml\nscrape_configs:\n").unwrap();
    let (job, _) = job.split_once("```").unwrap();
    let job = replace(
        job,
        "https://example.com",
        &format!("'http://{}/', '{}'", web.address, tls.url),
    );
    let job = replace(&job, "127.0.0.1:9115", &exporter.address);
    let icmp = job
        .replace("job_name: blackbox", "job_name: ping")
        .replace("http_2xx", "several")
        .replace(&format!("'http://{}/', '{}'", web.address, tls.url), "127.0.0.1");
    let config =
        format!("global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\nscrape_configs:\n{job}{icmp}");
    let Some(prometheus) = Prometheus::start(&config) else {
        return;
    };
    let probes = if may_ping() { 3 } else { 2 };
    eventually("all probes to succeed", || {
        match prometheus.query("probe_success == 1")? {
            samples if samples.len() >= probes => Ok(()),
            samples => Err(format!("{samples:?}")),
        }
    });
    dashboards_show_something(&prometheus, &exporter);
}

/// A query as Prometheus has its series, everything chosen.
fn as_stored(query: &str) -> String {
    let variables = ["$job", "$module", "$target", "$instance", "$pinged"];
    let stored = query.replace("prometheus__samples__", "");
    variables
        .iter()
        .fold(stored, |query, name| query.replace(name, ".*"))
}

/// Every link of a dashboard from a series leads to a page of its target.
fn links_lead_to_targets(exporter: &Exporter, dashboard: &str, series: &[Sample]) {
    let urls: BTreeSet<&str> = dashboard
        .split("\"url\": \"${exporter:raw}")
        .skip(1)
        .map(|rest| rest.split_once('"').unwrap().0)
        .filter(|url| url.starts_with("/target?"))
        .collect();
    assert!(!urls.is_empty());
    for (url, sample) in urls
        .iter()
        .flat_map(|url| series.iter().map(move |one| (url, one)))
    {
        let (path, query) = url.split_once('?').unwrap();
        let parameters = query.split('&').map(|parameter| {
            let (name, variable) = parameter.split_once('=').unwrap();
            // The queries make a target of `instance` where there is none. Grafana leaves a variable that has no value as it is.
            let target = || sample.labels.get("instance").filter(|_| name == "target");
            let value = sample.labels.get(name).or_else(target);
            let value = value.map_or(variable, String::as_str).bytes();
            let encoded: String = value.map(|byte| format!("%{byte:02X}")).collect();
            format!("{name}={encoded}")
        });
        let parameters: Vec<_> = parameters.collect();
        let path = format!("{path}?{}", parameters.join("&"));
        let (status, text) = page(&exporter.address, &path).unwrap();
        assert_eq!(status, 200, "{url} of {sample:?}: {text}");
        assert!(text.contains("Results"), "{url} of {sample:?}: {text}");
    }
}

/// Grafana's `merge` makes one line of the rows that agree in every column that all queries have: that must be one per target.
fn a_line_per_target(prometheus: &Prometheus, table: &Value) {
    let queries = table["targets"].as_array().unwrap();
    let results: Vec<Vec<Sample>> = queries
        .iter()
        .map(|query| {
            let query = as_stored(query["expr"].as_str().unwrap());
            prometheus.query(&query).unwrap()
        })
        .collect();
    let columns = |samples: &[Sample]| -> BTreeSet<String> {
        let labels = samples.iter().flat_map(|sample| sample.labels.keys());
        labels.cloned().collect()
    };
    let shared = results
        .iter()
        .map(|samples| columns(samples))
        .reduce(|shared, columns| &shared & &columns)
        .unwrap();
    let lines: BTreeSet<Vec<_>> = results
        .iter()
        .flatten()
        .map(|sample| shared.iter().map(|name| sample.labels.get(name)).collect())
        .collect();
    let first = &results[0];
    assert_eq!(
        lines.len(),
        first.len(),
        "{}: joined by {shared:?}",
        table["title"]
    );
}

/// What is filled down to another series names it: Grafana fills nothing down to one that it does not find.
fn bands_have_both_ends(panel: &Value) {
    let queries = panel["targets"].as_array().unwrap();
    let overrides = panel["fieldConfig"]["overrides"].as_array().unwrap();
    for one in overrides {
        let properties = one["properties"].as_array().unwrap();
        let filled = properties
            .iter()
            .find(|property| property["id"] == "custom.fillBelowTo");
        let Some(filled) = filled else { continue };
        for name in [&filled["value"], &one["matcher"]["options"]] {
            let known = queries.iter().any(|query| query["legendFormat"] == *name);
            assert!(known, "{}: no series {name}", panel["title"]);
        }
    }
}

/// Every query of the dashboards has data, and what a legend or a table names a target by has a value.
fn dashboards_show_something(prometheus: &Prometheus, exporter: &Exporter) {
    let several_packets = prometheus.query("probe_icmp_duration_rtt_min_seconds");
    let smokes = !several_packets.unwrap().is_empty();
    for dashboard in ["blackbox.json", "blackbox-deepflow.json"] {
        let text = read(&format!("examples/grafana/dashboards/{dashboard}"));
        links_lead_to_targets(exporter, &text, &prometheus.query("probe_success").unwrap());
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let titles: BTreeSet<_> = panels
            .iter()
            .map(|panel| panel["title"].as_str().unwrap())
            .collect();
        for wanted in [
            "Responses",
            "Targets up now",
            "Connectivity",
            "Latency",
            "HTTP status codes",
            "HTTP phases",
            "Certificates",
            "Scrapes of the exporter",
        ] {
            assert!(titles.contains(wanted), "no panel {wanted}");
        }
        panels.iter().for_each(bands_have_both_ends);
        let is_merged = |panel: &&Value| panel["transformations"][0]["id"] == "merge";
        let merged: Vec<_> = panels.iter().filter(is_merged).collect();
        assert_eq!(merged.len(), 2);
        for table in merged {
            a_line_per_target(prometheus, table);
        }
        for query in panels
            .iter()
            .flat_map(|panel| panel["targets"].as_array().unwrap())
        {
            let named = query["legendFormat"].as_str().unwrap().contains("{{target}}");
            let query = query["expr"].as_str().unwrap();
            if query.contains("icmp") && !may_ping() {
                continue;
            }
            // A rate of failures needs more than one.
            let is_smoke = query.contains("_rtt_");
            if is_smoke && !smokes || query.contains("probe_failures_total") {
                continue;
            }
            let samples = prometheus.query(&as_stored(query)).unwrap();
            assert!(!samples.is_empty(), "no data: {query}");
            let nameless = samples
                .iter()
                .find(|sample| named && !sample.labels.contains_key("target"));
            assert!(nameless.is_none(), "no name: {query}: {nameless:?}");
        }
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            let Some(query) = variable["query"]["query"].as_str() else {
                continue;
            };
            let query = as_stored(query);
            if let Some(result) = query.strip_prefix("query_result(") {
                let samples = prometheus.query(result.strip_suffix(')').unwrap()).unwrap();
                let is_named = |sample: &Sample| sample.labels.contains_key("target");
                assert!(!smokes || samples.iter().any(is_named), "{query}: {samples:?}");
                continue;
            }
            let label = query.rsplit(", ").next().unwrap().trim_end_matches(')');
            // Upstream's relabelling gives neither.
            if ["target", "module"].contains(&label)
                && prometheus
                    .query("probe_success{target!=\"\"}")
                    .unwrap()
                    .is_empty()
            {
                continue;
            }
            let values = prometheus
                .api(&format!("/api/v1/label/{label}/values?match[]=probe_success"))
                .unwrap();
            assert!(
                !values["data"].as_array().unwrap().is_empty(),
                "no value of {label}"
            );
        }
    }
}

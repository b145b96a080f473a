//! The pipeline of DeepFlow's users: examples/deepflow, Prometheus, remote write, ingester.

use crate::support::{
    Exporter, Ingester, NextPort, Prometheus, WebServer, eventually, may_ping, read, replace, repository,
};

const HOST: &str = "192.0.2.10";

/// The families of each prober and the values that are known beforehand.
const EVERY_PROBE: &[(&str, Option<f64>)] = &[
    ("probe_success", Some(1.0)),
    ("probe_timeout_seconds", Some(1.0)),
    ("probe_duration_seconds", None),
    ("probe_ip_protocol", Some(4.0)),
    ("probe_ip_addr_hash", None),
    ("probe_dns_lookup_time_seconds", None),
    ("up", Some(1.0)),
    ("scrape_duration_seconds", None),
];
const HTTP: &[(&str, Option<f64>)] = &[
    ("probe_http_status_code", Some(200.0)),
    ("probe_http_version", Some(1.1)),
    ("probe_http_content_length", Some(14.0)),
    ("probe_http_uncompressed_body_length", Some(14.0)),
    ("probe_http_redirects", Some(0.0)),
    ("probe_http_ssl", Some(0.0)),
    ("probe_failed_due_to_regex", Some(0.0)),
];

#[test]
fn three_probes_reach_the_ingester_and_a_target_that_goes_down_shows() {
    let web = WebServer::start(NextPort::Any);
    let ingester = Ingester::start();
    let exporter = Exporter::start(&repository("examples/deepflow/blackbox.yml"), &[]);

    let config = read("examples/deepflow/prometheus.yml");
    let config = replace(&config, "scrape_interval: 10s", "scrape_interval: 1500ms");
    let config = replace(&config, "scrape_timeout: 8s", "scrape_timeout: 1500ms");
    let config = replace(&config, "127.0.0.1:9115", &exporter.address);
    let config = replace(&config, r#"["icmp_example.test.com"]"#, r#"["127.0.0.1"]"#);
    let config = replace(
        &config,
        r#"["tcp_example.test.com:443"]"#,
        &format!(r#"["{}"]"#, web.address),
    );
    let config = replace(
        &config,
        r#"["http_example.test.com"]"#,
        &format!(r#"["http://{}/"]"#, web.address),
    );
    let config = replace(
        &config,
        "- url: http://127.0.0.1:38086/api/v1/prometheus",
        &format!(
            "- url: {}\n    queue_config: {{batch_send_deadline: 200ms}}",
            ingester.url
        ),
    );
    let Some(_prometheus) = Prometheus::start(&config) else {
        return;
    };

    let icmp = may_ping().then_some(("icmp", "icmp_probe_1"));
    for (kind, probe) in [("tcp", "tcp_probe_1"), ("http", "http_probe_1")]
        .into_iter()
        .chain(icmp)
    {
        let families = EVERY_PROBE.iter().chain(if kind == "http" { HTTP } else { &[] });
        for &(name, expected) in families {
            let found = eventually(name, || ingester.last(name, &labels(kind, probe).pairs()));
            if let Some(expected) = expected {
                assert_eq!(found, expected, "{name} of {probe}");
            }
        }
        assert_phases(&ingester, kind, probe);
    }
    assert_eq!(
        eventually("regex", || ingester
            .last("probe_failed_due_to_regex", &labels("tcp", "tcp_probe_1").pairs())),
        0.0
    );

    // The exporter's own metrics, of which one panel of the dashboard is made, under the host that DeepFlow finds.
    for name in ["blackbox_exporter_config_last_reload_successful", "up"] {
        let own = [("job", "blackbox_exporter"), ("instance", HOST)];
        eventually(name, || ingester.last(name, &own));
    }

    // The target goes away: the probe fails, every other series of the probe still arrives, the scrape is fine.
    let http = labels("http", "http_probe_1");
    let address = web.address;
    drop(web);
    eventually("the probe to fail", || {
        match ingester.last("probe_success", &http.pairs())? {
            0.0 => Ok(()),
            other => Err(format!("probe_success is {other}")),
        }
    });
    let failed_at = ingester
        .samples("probe_success", &http.pairs())
        .unwrap()
        .last()
        .unwrap()
        .0;
    for name in [
        "probe_http_status_code",
        "probe_http_content_length",
        "probe_duration_seconds",
        "probe_ip_protocol",
    ] {
        eventually(name, || match ingester.samples(name, &http.pairs())?.last() {
            Some((second, _)) if *second >= failed_at => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    assert_eq!(ingester.last("probe_http_status_code", &http.pairs()), Ok(0.0));
    let tcp = labels("tcp", "tcp_probe_1");
    eventually("the tcp probe to fail", || {
        match ingester.last("probe_success", &tcp.pairs())? {
            0.0 => Ok(()),
            other => Err(format!("probe_success is {other}")),
        }
    });

    // And comes back.
    let _web = WebServer::start(NextPort::Same(address));
    eventually("the probe to succeed again", || {
        match ingester.last("probe_success", &http.pairs())? {
            1.0 => Ok(()),
            other => Err(format!("probe_success is {other}")),
        }
    });

    for probe in [&http, &tcp] {
        let up = ingester.samples("up", &probe.pairs()).unwrap();
        assert!(
            up.iter().all(|(_, value)| *value == 1.0),
            "up of {probe:?}: {up:?}"
        );
    }
    assert_eq!(ingester.refused().0, Vec::<String>::new());
    for series in ingester.series(&[("instance", HOST)]) {
        assert!(
            series.labels.keys().all(|label| !["_", "tag_", "df_"]
                .iter()
                .any(|prefix| label.starts_with(prefix))),
            "a label that is not safe in DeepFlow: {series:?}"
        );
    }
}

/// Every phase arrives as a series of its own, and together they are not longer than the probe.
fn assert_phases(ingester: &Ingester, kind: &str, probe: &str) {
    let (name, phases): (_, &[&str]) = match kind {
        "http" => (
            "probe_http_duration_seconds",
            &["resolve", "connect", "tls", "processing", "transfer"],
        ),
        "icmp" => ("probe_icmp_duration_seconds", &["resolve", "setup", "rtt"]),
        _ => return,
    };
    let labels = labels(kind, probe);
    let sum: f64 = phases
        .iter()
        .map(|phase| {
            let mut labels = labels.pairs().to_vec();
            labels.push(("phase", phase));
            eventually(name, || ingester.last(name, &labels))
        })
        .sum();
    assert!((0.0..1.0).contains(&sum), "the phases of {probe} took {sum} s");
}

#[derive(Debug)]
struct Labels {
    job: String,
    target: String,
}

impl Labels {
    fn pairs(&self) -> [(&str, &str); 3] {
        [("job", &self.job), ("target", &self.target), ("instance", HOST)]
    }
}

fn labels(kind: &str, probe: &str) -> Labels {
    Labels {
        job: format!("integrations/blackbox/{probe}"),
        target: format!("{kind}_example.test.com"),
    }
}

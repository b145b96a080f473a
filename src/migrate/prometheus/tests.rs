use super::job::duration;
use super::*;
use crate::config::files::targets::Target;
use crate::migrate::Input;

fn read(text: &str) -> Result<Migration, MigrateError> {
    super::read(text, &|file| match file {
        "more/*.yml" => Ok(["a.yml", "b.yml"]
            .map(|name| Input {
                name: name.to_owned(),
                text: match name {
                    "a.yml" => job("metrics_path: /probe, scheme: https, params: {target: [x]}"),
                    _ => "a: [".to_owned(),
                },
            })
            .into()),
        other => Err(format!("no {other}")),
    })
}

fn job(fields: &str) -> String {
    format!("scrape_configs:\n- {{job_name: j, static_configs: [{{targets: [a.test]}}], {fields}}}\n")
}

fn named<'a>(migration: &'a Migration, name: &str) -> &'a Target {
    migration
        .targets
        .iter()
        .find(|target| target.name == name)
        .unwrap_or_else(|| panic!("{name}: {migration:#?}"))
}

#[test]
fn the_classic_relabelling_is_carried_out() {
    let migration = read(
        r#"
global: {scrape_interval: 15s}
scrape_configs:
  - job_name: node
    static_configs: [{targets: [a:9100]}]
  - job_name: web
    metrics_path: /probe
    scheme: https
    scrape_interval: 1m
    params: {module: [http_2xx], debug: ["true"]}
    static_configs:
      - targets: [https://a.test, https://b.test]
        labels: {team: web}
    relabel_configs: &probe
      - source_labels: [__address__]
        target_label: __param_target
      - source_labels: [__param_target]
        target_label: instance
      - target_label: __address__
        replacement: 127.0.0.1:9115
  - job_name: many
    metrics_path: /probe
    static_configs:
      - targets: [c.test]
        labels: {module: icmp, __param_hostname: x}
    kubernetes_sd_configs: [{role: service}]
    relabel_configs:
      - {source_labels: [module], target_label: __param_module}
      - {source_labels: [__address__], target_label: __param_target, replacement: "http://$1/"}
      - {target_label: instance, replacement: 192.0.2.10}
      - {source_labels: [team], regex: "a|b", action: keep}
      - {target_label: __address__, replacement: "127.0.0.1:9115"}
  - job_name: lost
    metrics_path: /probe
    static_configs: [{targets: [d.test]}]
"#,
    )
    .unwrap();
    assert_eq!(migration.targets.len(), 3);
    let web = named(&migration, "web/https://b.test");
    assert_eq!(
        (web.address.as_str(), web.module.as_str(), web.interval),
        ("https://b.test", "http_2xx", Some(60_000))
    );
    assert_eq!(
        web.labels,
        [("job", "web"), ("module", ""), ("target", ""), ("team", "web")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .into()
    );
    let many = named(&migration, "many");
    assert_eq!(
        (
            many.address.as_str(),
            many.module.as_str(),
            many.hostname.as_str()
        ),
        ("http://c.test/", "icmp", "x")
    );
    assert_eq!(
        many.labels,
        [("instance", "192.0.2.10"), ("module", "icmp"), ("target", "")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .into()
    );
    assert_eq!(
        migration.lost,
        [
            "job \"web\", line 8: `scheme` concerns the scrape itself; set it on the job that has http_sd_configs",
            "job \"web\", line 12: the parameter \"debug\" is not supported in a targets file",
            "job \"web\", line 12: the parameter \"debug\" is not supported in a targets file",
            "job \"many\", line 26: the targets of kubernetes_sd_configs stay with Prometheus",
            "job \"many\", line 31: the relabelling rule (action keep, regex \"a|b\") was left out; keep it on the job that has http_sd_configs",
            "job \"lost\", line 35: no rule sets the target here (`__param_target`)",
        ]
    );
    assert_eq!(
        migration.hints,
        ["the exporter was scraped at 127.0.0.1:9115: let http_sd_configs ask it for /targets"]
    );
}

#[test]
fn jobs_of_other_exporters_stay() {
    let job = |name: &str, path: &str, address: &str| {
        format!(
            "  - job_name: {name}\n    metrics_path: {path}\n    scrape_timeout: 30s\n    static_configs: [{{targets: [a]}}]\n    relabel_configs:\n      \
                 - {{source_labels: [__address__], target_label: __param_target}}\n      - {{target_label: __address__, replacement: '{address}'}}\n"
        )
    };
    let jobs = [
        job("routers", "/snmp", "snmp-exporter:9116"),
        job("json", "/probe", "localhost:7979"),
        job("certificates", "/probe", "ssl_exporter.monitoring.svc:80"),
        job("ssl", "/probe", "blackbox:9115"),
        job("web", "/probe", "prober.internal"),
        job("ping", "/probe", "ping.corp.test:80"),
    ];
    let migration = read(&format!("scrape_configs:\n{}", jobs.concat())).unwrap();
    let names: Vec<_> = migration
        .targets
        .iter()
        .map(|target| target.name.as_str())
        .collect();
    assert_eq!(names, ["ssl", "web", "ping"]);
    assert_eq!(
        (migration.targets[0].interval, migration.targets[0].timeout),
        (Some(60_000), Some(30_000))
    );
    // No rule sets it: it is the exporter's address.
    assert_eq!(migration.targets[1].labels["instance"], "prober.internal");
    assert_eq!(
        migration.hints[..2],
        [
            "job \"json\" scrapes another exporter (localhost:7979) and stays with Prometheus",
            "job \"certificates\" scrapes another exporter (ssl_exporter.monitoring.svc:80) and stays with Prometheus",
        ]
    );
    assert_eq!(migration.lost, [] as [&str; 0]);
}

/// Expectations are Prometheus' own (`relabel.Process`).
#[test]
fn replacements_are_filled_as_by_prometheus() {
    for (rule, wanted) in [
        ("replacement: 'to $1'", "to a.test:80"),
        ("replacement: 'to ${1}_svc'", "to a.test:80_svc"),
        // A group of the name `1_svc`, and the tenth: there is none.
        ("replacement: 'to $1_svc'", "to "),
        ("replacement: 'to $10'", "to "),
        ("replacement: '$1_svc'", ""),
        ("replacement: '$$1'", "$1"),
        ("regex: '(.*):(.*)', replacement: '$2'", "80"),
        ("regex: 'a', replacement: 'b'", "old"),
        ("regex: '', replacement: 'b'", "old"),
    ] {
        let text = format!(
            "scrape_configs:\n- job_name: j\n  metrics_path: /probe\n  static_configs: [{{targets: ['a.test:80'], labels: {{x: old}}}}]\n  \
                 relabel_configs:\n  - {{source_labels: [__address__], target_label: __param_target}}\n  \
                 - {{source_labels: [__address__], target_label: x, {rule}}}\n"
        );
        let migration = read(&text).unwrap();
        let target = migration.targets.first().unwrap();
        // A label without a value is none.
        assert_eq!(
            target.labels.get("x").map_or("", String::as_str),
            wanted,
            "{rule}"
        );
    }
}

#[test]
fn says_when_there_is_nothing() {
    for (text, wanted) in [
        ("", "the file is empty"),
        (
            "integrations: {blackbox: {enabled: true}}",
            "this is a configuration of Grafana Agent: ",
        ),
        ("a: [", "line "),
        (
            "scrape_configs: [{job_name: node}]",
            "it has no scrape_configs entry that scrapes the /probe of a blackbox exporter",
        ),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{error}");
    }
}

/// Expectations are what Prometheus 2.42 shows in `/api/v1/targets`.
#[test]
fn a_target_is_scraped_as_by_prometheus() {
    const CLASSIC: &str = "{source_labels: [__address__], target_label: __param_target}, {target_label: __address__, replacement: 'e:9115'}";
    let row = |fields: &str, labels: &str, rule: &str| {
        let text = format!(
            "global: {{scrape_interval: 15s}}\nscrape_configs:\n- {{job_name: j, metrics_path: /probe, static_configs: [{{targets: [a.test], labels: {{{labels}}}}}], \
                 relabel_configs: [{rule}{CLASSIC}], {fields}}}\n"
        );
        let migration = read(&text).unwrap();
        let target = migration.targets.first().map(|target| {
            let periods = (target.interval.unwrap(), target.timeout.unwrap());
            let label = target.labels.get("k").cloned().unwrap_or_default();
            (target.module.clone(), target.hostname.clone(), periods, label)
        });
        let target = target.unwrap_or_default();
        let (module, hostname, (interval, timeout), label) = target;
        let lost = migration.lost.join("; ");
        format!("{module},{hostname},{interval},{timeout},{label} {lost}")
    };
    let optional = "{source_labels: [m], target_label: __param_module}, {source_labels: [h], target_label: __param_hostname}, ";
    let seen = "{source_labels: [__scheme__, __scrape_interval__, __scrape_timeout__, __metrics_path__], target_label: k}, ";
    #[rustfmt::skip]
    let rows = [
        // A rule takes the parameter's label away: the job's own is sent.
        ("params: {module: [icmp], hostname: [h]}", "", optional, "icmp,h,15000,10000, "),
        ("params: {module: [icmp], hostname: [h]}", "m: tcp, h: i", optional, "tcp,i,15000,10000, "),
        // The job's parameters replace labels.
        ("params: {module: [http_2xx]}", "__param_module: icmp", "", "http_2xx,,15000,10000, "),
        ("params: {module: ['']}", "__param_module: icmp", "", ",,15000,10000, "),
        ("params: {<<: {module: [icmp]}}", "", "", "icmp,,15000,10000, "),
        ("params: {<<: [{module: [icmp]}, {module: [tcp]}]}", "", "", "icmp,,15000,10000, "),
        ("", "<<: {k: v}", "", ",,15000,10000,v "),
        ("", "k: v, job: ''", "", ",,15000,10000,v "),
        ("", "", seen, ",,15000,10000,http;15s;10s;/probe "),
        ("scrape_interval: 90m", "__scheme__: https, __scrape_timeout__: 3s", seen, ",,5400000,3000,https;1h30m;3s;/probe "),
        ("scrape_interval: 5s", "", seen, ",,5000,5000,http;5s;5s;/probe "),
        ("", "__scrape_interval__: 5m", "", ",,300000,10000, "),
        ("scrape_interval: 7s, <<: {scrape_interval: 20s}", "", "", ",,20000,10000, "),
        ("<<: {scrape_interval: 20s}, scrape_interval: 7s", "", "", ",,7000,7000, "),
        (
            "", "__scrape_timeout__: 30s", "",
            ",,0,0, job \"j\", line 3: Prometheus refuses this target: its address is \"e:9115\", its interval \"15s\", its timeout \"30s\"",
        ),
        ("", "__metrics_path__: /metrics", "", ",,0,0, job \"j\", line 3: its path is \"/metrics\": it is no probe"),
        ("", "my.label: x", "", ",,15000,10000, job \"j\", line 3: the label \"my.label\": letters, digits and underscores, no digit first"),
        ("", "", "{target_label: job, replacement: ''}, ", ",,15000,10000, job \"j\", line 3: the series had no label \"job\": Prometheus adds it again"),
        ("<<: {basic_auth: {}}", "", "", ",,15000,10000, job \"j\", line 3: `basic_auth` concerns the scrape itself; set it on the job that has http_sd_configs"),
    ];
    for (fields, labels, rule, wanted) in rows {
        assert_eq!(row(fields, labels, rule), wanted, "{fields} {labels} {rule}");
    }
}

#[test]
fn parameters_are_sent_with_each_probe() {
    let text = job(
        "metrics_path: /probe, params: {target: [t.test], module: [dns1], query_name: [m.test], a: [b, c], debug: ['true']}",
    );
    let migration = read(&text).unwrap();
    let target = named(&migration, "j");
    assert_eq!((&*target.address, &*target.module), ("t.test", "dns1"));
    assert_eq!(
        target.params,
        [("query_name".to_owned(), "m.test".to_owned())].into()
    );
    assert_eq!(
        migration.lost,
        [
            "job \"j\", line 2: the parameter \"a\" has several values: a target has one",
            "job \"j\", line 2: the parameter \"debug\" is not supported in a targets file",
        ]
    );
    assert_eq!(
        migration.hints[0],
        "job \"j\": the module \"dns1\" must list the parameter \"query_name\" under `params`, or the targets file is refused"
    );
}

#[test]
fn a_label_can_make_a_target_a_probe() {
    let text = "scrape_configs: [{job_name: j, static_configs: [{targets: [a], labels: {__metrics_path__: /probe, __param_target: b}}, {targets: [c]}]}]";
    let migration = read(text).unwrap();
    assert_eq!(named(&migration, "j/b").address, "b");
    assert_eq!(
        migration.lost,
        ["job \"j\", line 1: no rule sets the target here (`__param_target`)"]
    );
}

/// `/probe` decodes such a target; what `/targets` serves is probed as it is written.
#[test]
fn a_target_is_written_as_it_was_probed() {
    let text = "scrape_configs: [{job_name: j, metrics_path: /probe, static_configs: [{targets: [a/%2525%2F]}], relabel_configs: \
                [{source_labels: [__address__], target_label: __param_target}, {source_labels: [__param_target], target_label: instance}]}]";
    let migration = read(text).unwrap();
    let target = named(&migration, "j");
    assert_eq!(
        (&*target.address, &*target.labels["instance"]),
        ("a/%25/", "a/%2525%2F")
    );
    let hint = "job \"j\", line 1: upstream up to 0.28.0 decodes this target once, and this exporter twice: if you replace such a release, check its `address`";
    assert!(migration.hints.iter().any(|note| note == hint), "{migration:#?}");
    let plain = read(&text.replace('%', "")).unwrap();
    assert!(
        !plain.hints.iter().any(|note| note.contains("decode")),
        "{plain:#?}"
    );
}

#[test]
fn files_with_more_jobs_are_read() {
    let migration =
        read("global: {scrape_interval: 5s}\nscrape_config_files: [more/*.yml, none.yml]").unwrap();
    assert_eq!(named(&migration, "j").interval, Some(5000));
    assert_eq!(
        migration.lost,
        [
            "scrape_config_files: none.yml: no none.yml",
            "a.yml, job \"j\", line 2: `scheme` concerns the scrape itself; set it on the job that has http_sd_configs",
            "b.yml: line 2: not YAML: the text ends where a value is expected",
        ]
    );
}

/// Each mapping takes the one before in, once or twice, or each job has all rules, by aliases.
#[test]
fn aliases_cannot_make_it_endless() {
    let merges: String = (1..60)
        .map(|n| format!("x{n}: &x{n} {{<<: [*x{0}, *x{0}]}}\n", n - 1))
        .collect();
    let text = format!(
        "x0: &x0 {{a: b}}\n{merges}{}",
        job("metrics_path: /probe, params: {target: [x]}, <<: *x59")
    );
    assert_eq!(read(&text).unwrap().targets.len(), 1);
    let chain: String = (1..60_000)
        .map(|n| format!("x{n}: &x{n} {{<<: *x{}}}\n", n - 1))
        .collect();
    let text = format!(
        "x0: &x0 {{a: b}}\n{chain}{}",
        job("metrics_path: /probe, params: {target: [x]}, <<: *x59999")
    );
    assert_eq!(
        read(&text).unwrap_err().to_string(),
        "aliases repeat too much of it"
    );
    let rule = "{source_labels: [a], target_label: b}, ".repeat(3000);
    let jobs = "- {job_name: j, metrics_path: /probe, relabel_configs: *r}\n".repeat(3000);
    let error = read(&format!("r: &r [{rule}]\nscrape_configs:\n{jobs}")).unwrap_err();
    assert_eq!(error.to_string(), "aliases repeat too much of it");
}

#[test]
fn durations_are_printed_as_by_prometheus() {
    for (milliseconds, wanted) in [
        (1, "1ms"),
        (5_400_000, "1h30m"),
        (604_800_000, "1w"),
        (604_801_000, "7d1s"),
        (365 * 86_400_000, "1y"),
    ] {
        assert_eq!(duration(milliseconds), wanted);
    }
}

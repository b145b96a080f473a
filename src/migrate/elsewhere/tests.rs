use super::super::targets_file;
use super::*;
use crate::config;
use crate::config::files::targets::Targets;

/// What is found, after everything that is written was read again.
fn migrated(program: Program, text: &str) -> Migration {
    assert_eq!(Program::of(text), Some(program));
    let migration = read(program, text, true).unwrap();
    let modules = migration.modules.as_deref().unwrap();
    let parsed = config::parse(modules);
    assert!(parsed.problems.is_empty(), "{modules}: {:?}", parsed.problems);
    crate::module::parse(modules.to_owned(), "blackbox.yml")
        .unwrap_or_else(|error| panic!("{}", error.quoted()));
    let targets = Targets::parse(&targets_file(&migration)).unwrap();
    let known = parsed.config.modules.keys().map(String::as_str);
    assert_eq!(targets.unknown_modules(known), []);
    migration
}

/// `name address module interval` of each target.
fn shown(migration: &Migration) -> Vec<String> {
    let targets = migration.targets.iter();
    targets
        .map(|target| {
            format!(
                "{} {} {} {:?}",
                target.name,
                target.address,
                target.module,
                target.interval.unwrap_or(0)
            )
        })
        .collect()
}

fn has(migration: &Migration, parts: &[&str]) {
    let modules = migration.modules.as_deref().unwrap();
    for part in parts {
        assert!(modules.contains(part), "{part} is not in {modules}");
    }
}

#[test]
fn smokeping_prober() {
    let migration = migrated(
        Program::Smokeping,
        "targets:\n- hosts: [a.test, 192.0.2.1]\n  interval: 5s\n  network: ip4\n  size: 100\n- hosts:\n  - b.test\n  tos: 8\n",
    );
    assert_eq!(
        shown(&migration),
        [
            "a.test a.test icmp 5000",
            "192.0.2.1 192.0.2.1 icmp 5000",
            "b.test b.test icmp_2 0"
        ]
    );
    has(
        &migration,
        &[r#""payload_size":100"#, r#""preferred_ip_protocol":"ip4""#],
    );
    assert_eq!(migration.lost, ["targets[1]: `tos`"]);
}

#[test]
fn ping_exporter() {
    let migration = migrated(
        Program::PingExporter,
        "targets:\n  - 8.8.8.8\n  - google.com:\n      asn: 15169\ndns:\n  refresh: 2m\nping:\n  interval: 2s\n  timeout: 3s\n  payload-size: 120\noptions:\n  disableIPv6: true\n",
    );
    assert_eq!(
        shown(&migration),
        ["8.8.8.8 8.8.8.8 icmp 2000", "google.com google.com icmp 2000"]
    );
    assert_eq!(migration.targets[1].labels["asn"], "15169");
    assert_eq!(migration.lost, ["the file: `dns`"]);
}

#[test]
fn ssl_exporter() {
    let migration = migrated(
        Program::SslExporter,
        "default_module: https\nmodules:\n  https:\n    prober: https\n    timeout: 3s\n  smtp:\n    prober: tcp\n    tcp:\n      starttls: smtp\n  file:\n    prober: file\n",
    );
    has(&migration, &[r#""fail_if_not_ssl":true"#, r#""starttls":"smtp""#]);
    assert_eq!(migration.lost, ["module \"file\": the prober file"]);
}

#[test]
fn cloudprober() {
    let migration = migrated(
        Program::Cloudprober,
        r#"# comments are fine
probe {
  name: "web"
  type: HTTP
  targets { host_names: "a.test, b.test" }
  interval_msec: 5000
  timeout: "2s"
  http_probe { protocol: HTTPS port: 8443 relative_url: "/x" header { key: "X-A" value: "1" } }
  validator { name: "ok" http_validator { success_status_codes: "200-201" } }
}
probe {
  name: "ping"
  type: PING
  targets: < host_names: 'c.test' >
}
probe { name: "odd" type: EXTERNAL targets { host_names: "d" } }
"#,
    );
    assert_eq!(
        shown(&migration),
        [
            "web/a.test https://a.test:8443/x http 5000",
            "web/b.test https://b.test:8443/x http 5000",
            "ping c.test icmp 2000"
        ]
    );
    has(
        &migration,
        &[r#""valid_status_codes":[200,201]"#, r#""timeout":"2s""#],
    );
    assert_eq!(migration.lost, ["probe \"odd\": the type EXTERNAL"]);
    assert!(
        textproto::parse(&"a {".repeat(100))
            .unwrap_err()
            .contains("nested too deeply")
    );
    for (text, wanted) in [
        ("a", "line 1: expected `:` or `{`"),
        ("a: \"x", "line 1: the text has no closing quote"),
        ("a {\n", "line 2: expected the name of a field"),
        ("a: ?", "line 1: expected a value"),
    ] {
        assert_eq!(textproto::parse(text).unwrap_err(), wanted, "{text}");
    }
}

#[test]
fn gatus() {
    let migration = migrated(
        Program::Gatus,
        r#"
endpoints:
  - name: site
    group: core
    url: "https://example.org/"
    interval: 5m
    conditions:
      - "[STATUS] == any(200, 204)"
      - "[BODY].status == UP"
      - "[BODY].count < 5"
      - "[RESPONSE_TIME] < 300"
  - name: text
    url: http://example.org/
    client: {insecure: true, timeout: 5s}
    conditions: ["[STATUS] == 200", "[BODY] == pat(*<h1>Hi*)"]
    alerts: [{type: slack}]
  - name: port
    url: tcp://example.org:22
    conditions: ["[CONNECTED] == true"]
  - name: dns
    url: 192.0.2.53
    dns: {query-name: example.org, query-type: A}
    conditions: ["[DNS_RCODE] == NOERROR", "[BODY] == 192.0.2.1"]
  - name: odd
    url: sctp://x:1
"#,
    );
    assert_eq!(
        shown(&migration),
        [
            "site https://example.org/ http 300000",
            "text http://example.org/ http_2 60000",
            "port example.org:22 tcp 60000",
            "dns 192.0.2.53 dns 60000"
        ]
    );
    assert_eq!(migration.targets[0].labels["group"], "core");
    has(
        &migration,
        &[
            r#""valid_status_codes":[200,204]"#,
            r#""fail_if_body_json_not_matches_cel":"body.status == \"UP\" && body.count < 5.0""#,
            r#"(?s:.*<h1>Hi.*)"#,
            r#""insecure_skip_verify":true"#,
            r#""valid_rcodes":["NOERROR"]"#,
        ],
    );
    assert_eq!(
        migration.lost,
        [
            "endpoint \"site\": the condition \"[RESPONSE_TIME] < 300\": use an alert",
            "endpoint \"text\": `alerts`",
            "endpoint \"odd\": the protocol \"sctp\"",
        ]
    );
}

#[test]
fn uptime_kuma() {
    let migration = migrated(
        Program::UptimeKuma,
        r#"{"version": "1.23.0", "monitorList": [
            {"name": "site", "type": "keyword", "url": "https://example.org", "keyword": "a.b", "interval": 60, "timeout": 48, "maxredirects": 10,
             "method": "GET", "accepted_statuscodes": ["200-299"], "headers": "{\"X-A\": \"1\"}", "active": true, "hostname": null, "port": null},
            {"name": "ssh", "type": "port", "hostname": "h.test", "port": 22, "interval": 20, "active": 1},
            {"name": "ns", "type": "dns", "hostname": "example.org", "dns_resolve_server": "1.1.1.1", "dns_resolve_type": "A", "port": 53},
            {"name": "json", "type": "json-query", "url": "http://x.test", "jsonPath": "$.a.b", "expectedValue": "ok", "maxretries": 2},
            {"name": "off", "type": "ping", "active": false},
            {"name": "db", "type": "mysql"}
        ]}"#,
    );
    assert_eq!(
        shown(&migration),
        [
            "site https://example.org http 60000",
            "ssh h.test:22 tcp 20000",
            "ns 1.1.1.1:53 dns 60000",
            "json http://x.test http_2 60000"
        ]
    );
    has(
        &migration,
        &[
            r#""fail_if_body_not_matches_regexp":["a\\.b"]"#,
            r#"string(body.a.b) == \"ok\""#,
            r#""query_name":"example.org""#,
        ],
    );
    assert_eq!(
        migration.lost,
        [
            "monitor \"off\": it is paused",
            "monitor \"db\": the type \"mysql\""
        ]
    );
}

#[test]
fn telegraf() {
    let migration = migrated(
        Program::Telegraf,
        r#"
[agent]
  interval = "30s"
[[inputs.cpu]]
[[inputs.http_response]]
  urls = ["https://example.org"]
  response_status_code = 200
  follow_redirects = true
  insecure_skip_verify = true
  [inputs.http_response.tags]
    env = "dev"
[[inputs.ping]]
  urls = ["example.org"]
  timeout = 2.0
  count = 1
[[inputs.net_response]]
  protocol = "tcp"
  address = "localhost:80"
  send = "PING"
  expect = "+PONG"
[[inputs.net_response]]
  protocol = "udp"
  address = "localhost:161"
"#,
    );
    assert_eq!(
        shown(&migration),
        [
            "https://example.org https://example.org http 30000",
            "example.org example.org icmp 30000",
            "localhost:80 localhost:80 tcp 30000"
        ]
    );
    assert_eq!(migration.targets[0].labels["env"], "dev");
    has(
        &migration,
        &[
            r#""valid_status_codes":[200]"#,
            r#""expect":"\\+PONG""#,
            r#""timeout":"2s""#,
        ],
    );
    assert_eq!(
        migration.lost,
        ["inputs.net_response of localhost:161: only tcp can be probed"]
    );
    assert_eq!(migration.hints[0], "the inputs cpu stay with Telegraf");
}

#[test]
fn without_output_the_modules_are_missing() {
    let migration = read(Program::PingExporter, "targets: [a]\n", false).unwrap();
    assert_eq!((migration.modules.is_none(), migration.lost.len()), (true, 1));
    assert!(read(Program::Gatus, "endpoints: []\n", false).is_err());
    assert!(read(Program::Telegraf, "= no", false).is_err());
}

#[test]
fn a_list_of_mappings_is_taken_in() {
    let text = "a: &a {interval: 5s, url: icmp://a}\nb: &b {interval: 7s, name: b}\nendpoints: [{<<: [*a, *b], conditions: ['[CONNECTED] == true']}]\n";
    let Value::Object(fields) = yaml(text).unwrap() else {
        panic!("no mapping")
    };
    let wanted =
        json!({"interval": "5s", "url": "icmp://a", "name": "b", "conditions": ["[CONNECTED] == true"]});
    assert_eq!(fields["endpoints"][0], wanted);
}

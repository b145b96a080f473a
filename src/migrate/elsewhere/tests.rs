use serde_json::{Value, json};

use super::super::targets_file;
use super::*;
use crate::config;
use crate::config::files::targets::Targets;
use crate::module;

/// What is found, after everything that is written was read again.
fn migrated(program: Program, text: &str) -> Migration {
    assert_eq!(Program::of(text), Some(program));
    let migration = read(program, text, true).unwrap();
    let modules = migration.modules.as_deref().unwrap();
    let parsed = config::parse(modules);
    assert!(parsed.problems.is_empty(), "{modules}: {:?}", parsed.problems);
    module::parse(modules.to_owned(), "blackbox.yml").unwrap_or_else(|error| panic!("{}", error.quoted()));
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
    assert_eq!(
        migration.lost,
        [
            "module \"file\": the prober file",
            "the file: `default_module` \"https\": name it as `module` in the jobs that name none",
        ]
    );
    assert!(migration.hints[1].contains("replacement: 'https://$1'"));
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
            r#""fail_if_body_json_not_matches_cel":"string(body[\"status\"]) == \"UP\" && (!(\"count\" in body) || body[\"count\"] == null ? 0 : int(double(body[\"count\"]))) < 5""#,
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
            r#"string(body[\"a\"][\"b\"]) == \"ok\""#,
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
  expect = "[+]PONG"
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
            r#""expect":"[+]PONG""#,
            r#""timeout":"2s""#,
        ],
    );
    assert_eq!(
        migration.lost,
        ["inputs.net_response of localhost:161: only tcp can be probed"]
    );
    assert_eq!(migration.hints[1], "the inputs cpu stay with Telegraf");
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

/// What becomes of texts: parts of what is written and noted, which the exporter reads, and all that is lost.
fn carried(program: Program, rows: &[(&str, &[&str], &[&str])]) {
    for (text, parts, lost) in rows {
        let migration = migrated(program, text);
        assert_eq!(migration.lost, *lost, "{text}");
        let modules = migration.modules.as_deref().unwrap();
        let all = format!(
            "{modules}{}{}",
            targets_file(&migration),
            migration.hints.join("\n")
        );
        for part in *parts {
            assert!(all.contains(part), "{text}: no {part} in {all}");
        }
    }
}

/// The whole targets file of a text without notes.
fn targets_of(program: Program, text: &str) -> String {
    let migration = Migration {
        lost: Vec::new(),
        ..migrated(program, text)
    };
    targets_file(&migration)
}

#[test]
fn ssl_exporter_targets_without_a_scheme() {
    carried(
        Program::SslExporter,
        &[(
            "modules:\n  a: {prober: https, target: 'a.test:443'}\n  b: {prober: https, target: 'http://b.test'}\n  c: {prober: tcp, target: 'c.test:443'}\n",
            &[
                "address: \"https://a.test:443\"",
                "address: \"c.test:443\"",
                "regex: '(?:https://)?(.+)'",
            ],
            &["module \"b\": ssl_exporter refuses the target \"http://b.test\""],
        )],
    );
    let migration = read(Program::SslExporter, "modules:\n  a: {prober: tcp}\n", true).unwrap();
    assert!(migration.hints.iter().all(|hint| !hint.contains("https://")));
}

#[test]
fn telegraf_inputs() {
    #[rustfmt::skip]
    let rows: &[(&str, &[&str], &[&str])] = &[
        (
            "[[inputs.net_response]]\nprotocol = 'tcp'\naddress = ':9825'\nexpect = '^220.*ESMTP'\n",
            &["address: \"localhost:9825\"", r#"{"expect":"^220.*ESMTP"}"#, "here a later line may match, too"],
            &[],
        ),
        // A regular expression that Go does not read is none in Telegraf, too.
        (
            "[[inputs.http_response]]\nurls = ['http://a.test']\nresponse_string_match = '('\n[[inputs.http_response]]\nurls = ['http://b.test']\n",
            &["address: \"http://b.test\""],
            &[
                "module \"http\": http.fail_if_body_not_matches_regexp[0]: error parsing regexp: missing closing ): `(`",
                "target \"http://a.test\": its module is left out",
            ],
        ),
        (
            "[[inputs.ping]]\nurls = ['a.test']\nipv4 = true\n",
            &[r#""ip_protocol_fallback":false,"preferred_ip_protocol":"ip4""#],
            &[],
        ),
        // Tables of one input, and an input without URLs.
        (
            "[[inputs.cpu]]\n[inputs.ping]\nurls = ['a.test']\n[inputs.http_response]\nresponse_timeout = '10ms'\n",
            &["address: \"a.test\"", "address: \"http://localhost\"", r#""timeout":"5s""#],
            &[],
        ),
        (
            "[agent]\ninterval = '1m'\nflush_jitter = '3s'\nhostname = 'h'\nomit_hostname = true\n[[inputs.ping]]\nurls = ['a']\n[inputs.ping.tags]\n'a-b' = 'c'\non = true\n",
            &["interval: 60s", "\"on\": \"true\""],
            &[
                "the file: agent: `hostname`",
                "inputs.ping: the label \"a-b\": letters, digits and underscores, no digit first",
            ],
        ),
        (
            "[[inputs.http_response]]\nurls = ['http://a.test', '${URL:-http://b.test}']\n[[inputs.http_response]]\nurls = ['http://c.test']\npassword = '@{vault:pass}'\nusername = 'u$$'\n\
             [[inputs.http_response]]\nurls = ['http://d.test']\nusername = 'u$$'\n",
            &["address: \"http://a.test\"", "address: \"http://d.test\"", r#""username":"u$""#],
            &[
                "target \"${URL:-http://b.test}\": `${URL:-http://b.test}` in \"${URL:-http://b.test}\": write its value",
                "module \"http_2\": `@{vault:pass}` in \"@{vault:pass}\": write its value",
                "target \"http://c.test\": its module is left out",
            ],
        ),
    ];
    carried(Program::Telegraf, rows);
}

/// A scrape ends after ten seconds unless the target asks for more.
#[test]
fn long_timeouts_reach_the_scraper() {
    let monitor = |fields: &str| {
        targets_of(
            Program::UptimeKuma,
            &format!(r#"{{"monitorList": [{{"name": "m", "type": "http", "url": "http://x/", {fields}}}]}}"#),
        )
    };
    for (fields, timeout) in [
        (r#""interval": 60, "timeout": 48"#, Some("48500ms")),
        (r#""interval": 60"#, Some("48500ms")),
        (r#""interval": 20, "timeout": 48"#, Some("20s")),
        (r#""interval": 60, "timeout": 10"#, None),
    ] {
        let targets = monitor(fields);
        let wanted = timeout.map(|timeout| format!("    timeout: {timeout}\n"));
        match wanted {
            Some(wanted) => assert!(targets.contains(&wanted), "{targets}"),
            None => assert!(!targets.contains("timeout"), "{targets}"),
        }
    }
}

#[test]
fn uptime_kuma_monitors() {
    let monitor = |fields: &str| format!(r#"{{"monitorList": [{{"name": "m", "interval": 10, {fields}}}]}}"#);
    #[rustfmt::skip]
    let rows: &[(&str, &[&str], &[&str])] = &[
        (
            r#""type": "dns", "hostname": "8.8.8.8", "dns_resolve_type": "PTR", "dns_resolve_server": "1.1.1.1, 9.9.9.9", "port": 53"#,
            &[
                r#"{"query_name":"8.8.8.8.in-addr.arpa.","query_type":"PTR","validate_answer_rrs":{"fail_if_none_matches_regexp":["^(?:\\S+\\s+){3}PTR\\s"]}}"#,
                "address: \"1.1.1.1:53\"",
            ],
            &["monitor \"m\": the name server 9.9.9.9: it asks 1.1.1.1 alone"],
        ),
        (
            r#""type": "dns", "hostname": "2001:db8::1", "dns_resolve_type": "PTR", "dns_resolve_server": "::1", "port": 53"#,
            &["1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", "address: \"[::1]:53\""],
            &[],
        ),
        (r#""type": "port", "hostname": "::1", "port": 22, "timeout": 8"#, &["address: \"[::1]:22\"", r#""timeout":"5s""#], &[]),
        (
            r#""type": "http", "url": "http://x/", "body": "{}", "headers": "{\"A\": true, \"B\": [1], \"C\": 2}""#,
            &[r#""headers":{"A":"true","C":"2","Content-Type":"application/json"}"#],
            &["monitor \"m\": the header \"B\": its value is no text"],
        ),
        (
            r#""type": "keyword", "url": "http://x/", "keyword": "\"a\":[1.5]""#,
            &[r#""fail_if_body_not_matches_regexp":["\"a\"\\s*:\\s*\\s*\\[\\s*1\\.5\\s*\\]\\s*"]"#],
            &[],
        ),
        (r#""type": "http", "url": "http://x/", "headers": "{'A': 1}""#, &[], &["monitor \"m\": `headers` is not JSON"]),
        (
            r#""type": "http", "url": "http://x/", "description": "d", "tags": [{"name": "env", "value": "a"}, {"name": "prod"}, {"name": "a b", "value": "c"}]"#,
            &["env: \"a\""],
            &[
                "monitor \"m\": the tag \"prod\": a label needs a value",
                "monitor \"m\": the label \"a b\": letters, digits and underscores, no digit first",
                "monitor \"m\": `description`",
            ],
        ),
        (
            r#""type": "json-query", "url": "http://x/", "jsonPath": "$.big", "expectedValue": "12345678901""#,
            &[r#"(string(body[\"big\"]) == \"12345678901\" || body[\"big\"] == 12345678901.0)"#],
            &[],
        ),
        (
            r#""type": "json-query", "url": "http://x/", "jsonPath": "in.x", "expectedValue": "1.50", "jsonPathOperator": "!=""#,
            &[r#""string(body[\"in\"][\"x\"]) != \"1.50\"""#],
            &[],
        ),
    ];
    for (fields, parts, lost) in rows {
        carried(Program::UptimeKuma, &[(&monitor(fields), *parts, *lost)]);
    }
    // Nothing that would be probed otherwise than there.
    for (fields, wanted) in [
        (
            r#""type": "http", "url": "http://x/", "accepted_statuscodes": []"#,
            "monitor \"m\": it accepts no status",
        ),
        (
            r#""type": "dns", "hostname": "x.test", "dns_resolve_type": "PTR""#,
            "monitor \"m\": uptime-kuma asks for the PTR records of addresses only",
        ),
    ] {
        let migration = read(Program::UptimeKuma, &monitor(fields), true).unwrap();
        assert_eq!(
            (migration.targets, migration.lost),
            (vec![], vec![wanted.to_owned()])
        );
    }
}

#[test]
fn gatus_conditions() {
    let endpoint = |fields: &str| format!("endpoints:\n  - {{name: e, group: g, {fields}}}\n");
    #[rustfmt::skip]
    let rows: &[(&str, &[&str], &[&str])] = &[
        (
            r#"url: "https://x/", conditions: ["[STATUS] == any(200, 204, 301)", "[status] < 300", "[STATUS] != 204"]"#,
            &[r#""valid_status_codes":[200]"#],
            &[],
        ),
        (r#"url: "https://x/", conditions: ["[STATUS] == 0xC9"]"#, &[r#""valid_status_codes":[201]"#], &[]),
        (r#"url: "https://x/", conditions: ["[STATUS] >= 200", "[STATUS] <= 299"]"#, &["{\"prober\":\"http\""], &[]),
        (
            r#"url: 192.0.2.1, dns: {query-name: 8.8.8.8, query-type: PTR}, conditions: ["[DNS_RCODE] == any(NOERROR, NXDOMAIN)", "[DNS_RCODE] != NXDOMAIN"]"#,
            &[r#"{"query_name":"8.8.8.8.in-addr.arpa.","query_type":"PTR","valid_rcodes":["NOERROR"]}"#],
            &[],
        ),
        (
            r#"url: "https://x/", conditions: ["[BODY].2fa == 0x1", "[BODY].a.b != nan", "[BODY].in > 1.5"]"#,
            &[concat!(
                r#"string(body[\"2fa\"]) == \"1\" && (!(\"a\" in body) || !(\"b\" in body[\"a\"]) || body[\"a\"][\"b\"] == null || "#,
                r#"string(body[\"a\"][\"b\"]) != \"nan\") && (!(\"in\" in body) || body[\"in\"] == null ? 0 : int(double(body[\"in\"]))) > 1"#,
            )],
            &[],
        ),
        (
            r#"url: "https://x/", conditions: ["[BODY].a..b == x", "[BODY].c > x"]"#,
            &[],
            &[
                r#"endpoint "e": the condition "[BODY].a..b == x": use an alert"#,
                r#"endpoint "e": the condition "[BODY].c > x": use an alert"#,
            ],
        ),
        (
            r#"url: "tcp://x:1", body: "a$$ [ENDPOINT_NAME] [ENDPOINT_GROUP] [ENDPOINT_URL]", extra-labels: {a-b: c}, conditions: ["[CONNECTED] == true"]"#,
            &[r#"[{"no_newline":true,"send":"a$ e g tcp://x:1"},{"expect":"(?s).","prompt":true}]"#],
            &[r#"endpoint "e": the label "a-b": letters, digits and underscores, no digit first"#],
        ),
        (
            r#"url: "https://x/", body: "{ user }", graphql: true, conditions: ["[CONNECTED] == true"]"#,
            &[r#""body":"{\"query\":\"{ user }\"}""#, r#""headers":{"Content-Type":"application/json"}"#],
            &[],
        ),
        (
            r#"url: "icmp://x", client: {network: ip6}, conditions: ["[CONNECTED] == true"]"#,
            &[r#""ip_protocol_fallback":false,"preferred_ip_protocol":"ip6""#],
            &[],
        ),
        (
            r#"url: "grpcs://x:1", client: {insecure: true}, conditions: ["[CONNECTED] == true", "[BODY].status == SERVING"]"#,
            &[r#"{"grpc":{"tls":true,"tls_config":{"insecure_skip_verify":true}},"prober":"grpc","timeout":"10s"}"#, "address: \"x:1\""],
            &[],
        ),
    ];
    for (fields, parts, lost) in rows {
        carried(Program::Gatus, &[(&endpoint(fields), *parts, *lost)]);
    }
    // Nothing that would be probed otherwise than there.
    for (fields, wanted) in [
        (
            r#"url: "http://x/", conditions: ["[STATUS] == 200", "[STATUS] == 301"]"#,
            vec!["endpoint \"e\": its conditions want no response: alert on probe_success == 1"],
        ),
        (
            r#"url: "tcp://x:1", conditions: ["[CONNECTED] == false"]"#,
            vec!["endpoint \"e\": its conditions want no response: alert on probe_success == 1"],
        ),
        (
            r#"url: "ws://x/", conditions: ["[CONNECTED] == true"]"#,
            vec!["endpoint \"e\": without a body it sends an empty message, which cannot be sent here"],
        ),
        (
            r#"url: "grpc://x:1", conditions: ["[CONNECTED] == true"]"#,
            vec![
                "endpoint \"e\": without the condition [BODY].status == SERVING, any health is good: only SERVING is here",
            ],
        ),
        (
            r#"url: "tcp://x:1", body: "[LOCAL_ADDRESS]", conditions: ["[CONNECTED] == true"]"#,
            vec![
                "module \"tcp\": `[LOCAL_ADDRESS]` in \"[LOCAL_ADDRESS]\": write its value",
                "target \"e\": its module is left out",
            ],
        ),
    ] {
        let migration = read(Program::Gatus, &endpoint(fields), true).unwrap();
        assert_eq!(migration.targets, [], "{fields}");
        assert_eq!(migration.lost, wanted);
    }
}

#[test]
fn cloudprober_probes() {
    let probe = |targets: &str, fields: &str| {
        format!("probe {{\n name: \"p\" targets {{ {targets} }} {fields}\n}}\n")
    };
    let hosts = r#"host_names: "a.test:81, ::1, [::2]:82""#;
    let endpoints = r#"endpoint { name: "one" ip: "192.0.2.1" port: 8080 } endpoint { name: "two" url: "https://b.test:8443/x" }"#;
    #[rustfmt::skip]
    let rows: &[(&str, &str, &[&str], &[&str])] = &[
        (
            r#"host_names: "a.test""#,
            "type: PING interval_msec: 0 timeout: \"200000000h\"",
            &["address: \"a.test\""],
            &["\"icmp\": a time of 720000000000000 ms", "\"p\": a time of 0 ms"],
        ),
        (hosts, "type: TCP", &["\"a.test:81\"", "\"::1\"", "\"[::2]:82\""], &[]),
        (hosts, "type: TCP tcp_probe { port: 9 }", &["\"a.test:9\"", "\"[::1]:9\"", "\"[::2]:9\""], &[]),
        (
            hosts,
            r#"type: HTTP http_probe { relative_url: "/x" }"#,
            &["\"http://a.test:81/x\"", "\"http://[::1]/x\"", "\"http://[::2]:82/x\"", "dst: \"a.test:81\""],
            &[],
        ),
        (
            endpoints,
            "type: HTTP",
            &["\"http://192.0.2.1:8080\"\n    module: \"http\"\n    hostname: \"one\"", "\"https://b.test:8443/x\"", "dst: \"two:8443\""],
            &[],
        ),
        (endpoints, r#"type: HTTP http_probe { port: 9 relative_url: "/y" }"#, &["\"http://192.0.2.1:9/y\"", "\"https://b.test:9/y\""], &[]),
        (endpoints, "type: PING ip_version: IPV4", &["\"192.0.2.1\"", "\"two\"", r#""ip_protocol_fallback":false,"preferred_ip_protocol":"ip4""#], &[]),
        (
            r#"host_names: "a.test""#,
            r#"type: HTTP http_probe { method: POST body: "{\"a\": 1}" } additional_label { key: "a-b" value: "c" }"#,
            &[r#""headers":{"Content-Type":"application/json"}"#],
            &["probe \"p\": the label \"a-b\": letters, digits and underscores, no digit first"],
        ),
        (
            r#"host_names: "a.test""#,
            r#"type: HTTP http_probe { body: "a=1" body: "b=%20" headers { name: "content-type" value: "x" } }"#,
            &[r#""body":"a=1&b=%20","headers":{"content-type":"x"}"#],
            &[],
        ),
        (r#"host_names: "a.test""#, r#"type: HTTP http_probe { body: "{\"a\": 1}" body: "b" }"#, &[r#"{"Content-Type":"application/x-www-form-urlencoded"}"#], &[]),
        (r#"host_names: "a.test""#, r#"type: HTTP http_probe { body: "100%;" }"#, &[r#""http":{"body":"100%;","valid"#], &[]),
        (
            r#"host_names: "a.test,b.test:80""#,
            r#"type: GRPC grpc_probe { method: HEALTH_CHECK health_check_service: "s" insecure_transport: true headers { name: "a" value: "b" } num_conns: 2 uri_scheme: "x" }"#,
            &[r#"{"grpc":{"metadata":{"a":["b"]},"service":"s","tls":false}"#, "\"a.test:443\"", "\"b.test:80\""],
            &["probe \"p\": grpc_probe: `uri_scheme`"],
        ),
        (r#"host_names: "a.test""#, r#"type: GRPC grpc_probe { method: HEALTH_CHECK }"#, &[r#"{"grpc":{"tls":true}"#], &[]),
        (
            r#"host_names: "a.test""#,
            r#"type: TCP additional_label { key: "zone" value: "@target.label.zone@" } additional_label { key: "mail" value: "a@b.test, c@d.test" }"#,
            &["mail: \"a@b.test, c@d.test\""],
            &["target \"p\": `@target.label.zone@` in \"@target.label.zone@\": write its value"],
        ),
        (
            r#"host_names: "a.test,{{.targets}}""#,
            "type: PING",
            &["\"a.test\""],
            &["target \"p/{{.targets}}\": `{{.targets}}` in \"{{.targets}}\": write its value"],
        ),
    ];
    for (targets, fields, parts, lost) in rows {
        carried(Program::Cloudprober, &[(&probe(targets, fields), *parts, *lost)]);
    }
    // Nothing that would be probed otherwise than there.
    for (fields, wanted) in [
        (
            "type: TCP negative_test: true",
            vec!["probe \"p\": it is inverted (negative_test): alert on probe_success == 1"],
        ),
        (
            "type: GRPC",
            vec!["probe \"p\": grpc_probe: the method ECHO: only HEALTH_CHECK can be probed"],
        ),
        (
            "type: GRPC grpc_probe { method: HEALTH_CHECK health_check_ignore_status: true }",
            vec![
                "probe \"p\": grpc_probe: `health_check_ignore_status`: only a service that is SERVING is healthy here",
            ],
        ),
        (
            r#"type: HTTP validator { http_validator { success_status_codes: "x" } }"#,
            vec!["probe \"p\": validator: http_validator: no status is in \"x\""],
        ),
        (
            r#"type: HTTP http_probe { header { key: "Authorization" value: "Bearer **$TOKEN**" } }"#,
            vec![
                "module \"http\": `**$TOKEN**` in \"Bearer **$TOKEN**\": write its value",
                "target \"p\": its module is left out",
            ],
        ),
    ] {
        let text = probe(r#"host_names: "a.test""#, fields);
        let migration = read(Program::Cloudprober, &text, true).unwrap();
        assert_eq!(migration.targets, [], "{fields}");
        assert_eq!(migration.lost, wanted);
    }
}

#[test]
fn smokeping_prober_keeps_to_a_family() {
    carried(
        Program::Smokeping,
        &[(
            "targets:\n- hosts: [a.test]\n  network: ip4\n",
            &[r#""ip_protocol_fallback":false,"preferred_ip_protocol":"ip4""#],
            &[],
        )],
    );
}

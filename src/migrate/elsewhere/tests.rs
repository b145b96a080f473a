use serde_json::{Value, json};

use super::super::{Input, MigrationSource, migrate, targets_file};
use super::*;
use crate::config;
use crate::config::files::targets::{Target, Targets};
use crate::module;

/// What is found, after everything that is written was read again.
fn migrated(program: Program, text: &str) -> Migration {
    assert_eq!(Program::of(text), Some(program), "{text}");
    let name = "file".to_owned();
    let text = text.to_owned();
    let source = MigrationSource::Other(program);
    let migration = migrate(source, &[Input { name, text }], Some("e:1"), &|_| Ok(Vec::new())).unwrap();
    let modules = migration.modules.as_deref().unwrap();
    let parsed = config::parse(modules);
    assert!(parsed.problems.is_empty(), "{modules}: {:?}", parsed.problems);
    module::parse(modules.to_owned(), "blackbox.yml").unwrap_or_else(|error| panic!("{}", error.quoted()));
    let targets = Targets::parse(&targets_file(&migration)).unwrap();
    let known = parsed.config.modules.keys().map(String::as_str);
    assert_eq!(targets.unknown_modules(known), []);
    migration
}

/// The fields of an entry, parts of what is written and noted, and all that is lost.
type Row<'a> = (&'a str, &'a [&'a str], &'a [&'a str]);

/// Part of what is written where nothing is probed.
const NOTHING: &str = "modules:\ntargets:\nnote: ";

/// Checks what becomes of entries, in files that `text` makes of their fields.
fn carried(program: Program, text: impl Fn(&str) -> String, rows: &[Row<'_>]) {
    for (fields, parts, lost) in rows {
        let mut migration = migrated(program, &text(fields));
        assert_eq!(std::mem::take(&mut migration.lost), *lost, "{fields}");
        let mut all = migration.modules.clone().unwrap();
        all.push_str(&targets_file(&migration));
        for Target {
            name,
            address,
            module,
            interval,
            ..
        } in &migration.targets
        {
            all.push_str(&format!("{name} {address} {module} {}\n", interval.unwrap_or(0)));
        }
        for hint in &migration.hints {
            all.push_str(&format!("note: {hint}\n"));
        }
        for part in *parts {
            assert!(all.contains(part), "{fields}: no {part} in {all}");
        }
    }
}

#[test]
fn smokeping_prober() {
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (
            "- hosts: [a.test, 192.0.2.1]\n  interval: 5s\n  network: ip4\n  size: 100\n- hosts:\n  - b.test\n  tos: 8\nmore: 1\n",
            &[
                r#"{"icmp":{"ip_protocol_fallback":false,"payload_size":100,"preferred_ip_protocol":"ip4"}"#,
                "\na.test a.test icmp 5000\n192.0.2.1 192.0.2.1 icmp 5000\nb.test b.test icmp_2 0\nnote: ",
            ],
            &["targets[1]: `tos`", "the file: `more`"],
        ),
    ];
    carried(Program::Smokeping, |groups| format!("targets:\n{groups}"), rows);
}

#[test]
fn ping_exporter() {
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (
            "- 8.8.8.8\n- google.com:\n    asn: 15169\ndns:\n  refresh: 2m\nping:\n  interval: 2s\n  timeout: 3s\n  payload-size: 120\noptions:\n  disableIPv6: true\n",
            &[
                r#"{"ip_protocol_fallback":false,"payload_size":120,"preferred_ip_protocol":"ip4"},"prober":"icmp","timeout":"3s"}"#,
                "asn: \"15169\"",
                "\n8.8.8.8 8.8.8.8 icmp 2000\ngoogle.com google.com icmp 2000\nnote: ",
            ],
            &["the file: `dns`"],
        ),
        (
            "- a.test\noptions: {disableIPv4: true, other: 1}\n",
            &[r#""ip_protocol_fallback":false,"preferred_ip_protocol":"ip6""#],
            &["the file: options: `other`"],
        ),
    ];
    carried(
        Program::PingExporter,
        |targets| format!("targets:\n{targets}"),
        rows,
    );
}

#[test]
fn ssl_exporter() {
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (
            "a: {prober: https, timeout: 3s}, b: {prober: tcp, tcp: {starttls: smtp}}, file: {prober: file}}\ndefault_module: a\n#",
            &[r#""fail_if_not_ssl":true"#, r#""starttls":"smtp""#, "regex: '(?:https://)?(.+)', target_label: __param_target, replacement: 'https://$1'"],
            &[
                "module \"file\": the prober file",
                "the file: `default_module` \"a\": name it as `module` in the jobs that name none",
            ],
        ),
        (
            "a: {prober: https, target: 'a.test:443'}, b: {prober: https, target: 'http://b.test'}, c: {prober: tcp, target: 'c.test:443'}",
            &["address: \"https://a.test:443\"", "address: \"c.test:443\""],
            &["module \"b\": ssl_exporter refuses the target \"http://b.test\""],
        ),
        (
            "a: {prober: https, target: 'https://fixed/', tls_config: {insecure_skip_verify: true, renegotiation: once}}, b: {prober: https, https: {proxy_url: 'http://x'}, tcp: {starttls: ftp}}",
            &[
                r#""a": {"http":{"fail_if_not_ssl":true,"follow_redirects":false,"tls_config":{"insecure_skip_verify":true},"valid_status_codes":["100-599"]}"#,
                "address: \"https://fixed/\"\n    module: \"a\"",
            ],
            &["module \"a\": tls_config: `renegotiation`", "module \"b\": tcp: `starttls`"],
        ),
        ("b: {prober: tcp, https: {proxy_url: x}}, c: {prober: https}", &[], &["module \"b\": https: `proxy_url`"]),
        // Jobs of Prometheus name both.
        ("a: {prober: https}, b: {prober: https}", &["\"a\": ", "\"b\": "], &[]),
    ];
    carried(
        Program::SslExporter,
        |modules| format!("modules: {{{modules}}}\n"),
        rows,
    );
    let migration = read(Program::SslExporter, "modules: {a: {prober: tcp}}\n", true).unwrap();
    assert!(migration.hints.iter().all(|hint| !hint.contains("https://")));
}

#[test]
fn cloudprober() {
    let probe = |targets: &'static str| {
        move |fields: &str| format!("probe {{\n name: \"p\" targets {{ {targets} }} {fields}\n}}\n")
    };
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (
            "type: PING interval_msec: 0 timeout: \"200000000h\"",
            &["address: \"a.test\""],
            &["\"icmp\": a time of 720000000000000 ms", "\"p\": a time of 0 ms"],
        ),
        (
            r#"type: HTTP http_probe { method: POST body: "{\"a\": 1}" } additional_label { key: "a-b" value: "c" }"#,
            &[r#""headers":{"Content-Type":"application/json"}"#],
            &["probe \"p\": the label \"a-b\": letters, digits and underscores, no digit first"],
        ),
        (
            r#"type: HTTP http_probe { body: "a=1" body: "b=%20" headers { name: "content-type" value: "x" } }"#,
            &[r#""body":"a=1&b=%20","headers":{"content-type":"x"}"#],
            &[],
        ),
        (r#"type: HTTP http_probe { body: "{\"a\": 1}" body: "b" }"#, &[r#"{"Content-Type":"application/x-www-form-urlencoded"}"#], &[]),
        (r#"type: HTTP http_probe { body: "100%;" }"#, &[r#""http":{"body":"100%;","valid"#], &[]),
        (r#"type: GRPC grpc_probe { method: HEALTH_CHECK }"#, &[r#"{"grpc":{"tls":true}"#], &[]),
        (
            r#"type: TCP additional_label { key: "zone" value: "@target.label.zone@" } additional_label { key: "mail" value: "a@b.test, c@d.test" }"#,
            &["mail: \"a@b.test, c@d.test\""],
            &["target \"p\": `@target.label.zone@` in \"@target.label.zone@\": write its value"],
        ),
        (
            r#"type: HTTP http_probe { scheme: HTTPS tls_config { disable_cert_validation: true ca_cert_file: "/ca" tls_min: 1 } max_redirects: 3 keep_alive: true header { key: "A" value: "b" } }"#,
            &[r#""tls_config":{"ca_file":"/ca","insecure_skip_verify":true},"valid_status_codes":["100-599"]"#, r#""headers":{"A":"b"}"#],
            &[
                r#"probe "p": http_probe: tls_config: `tls_min`"#,
                r#"probe "p": http_probe: `max_redirects` 3: it follows 10"#,
                r#"probe "p": http_probe: `keep_alive`"#,
            ],
        ),
        (
            r#"type: HTTP http_probe { max_redirects: 0 } validator { name: "a" regex: "x" } validator { name: "b" regex: "y" json_validator { } http_validator { success_status_codes: "200-299" failure_status_codes: "1" } }"#,
            &[r#""fail_if_body_not_matches_regexp":["x","y"],"follow_redirects":false,"valid_status_codes":["2xx"]"#],
            &[r#"probe "p": validator: http_validator: `failure_status_codes`"#],
        ),
        (r#"type: TCP tcp_probe { port: 443 tls_handshake: true tls_config { server_name: "b" } }"#, &[r#""tcp":{"tls":true,"tls_config":{"server_name":"b"}}"#, r#""a.test:443""#], &[]),
        (r#"type: TCP tcp_probe { tls_config { server_name: "b" } } validator { name: "x" regex: "y" }"#, &[], &[r#"probe "p": tcp_probe: `tls_config`"#, r#"probe "p": `validator`"#]),
        (
            r#"type: PING ping_probe { packets_per_probe: 5 payload_size: 100 disable_fragmentation: true disable_integrity_check: true }"#,
            &[r#""icmp":{"count":5,"dont_fragment":true,"interval":"25ms","payload_size":100}"#],
            &[r#"probe "p": ping_probe: `disable_integrity_check`"#],
        ),
        (
            r#"type: DNS dns_probe { resolved_domain: "b.test." dns_proto: TCP_TLS recursion_desired: false min_answers: 2 }"#,
            &[r#""dns_over_tls":true,"query_name":"b.test.","query_type":"MX","recursion_desired":false,"transport_protocol":"tcp""#],
            &[r#"probe "p": dns_probe: `min_answers` 2: it asks for one"#],
        ),
        ("type: PING ping_probe { packets_per_probe: 2000 }", &[r#""count":1000"#], &["probe \"p\": ping_probe: `packets_per_probe` 2000: it sends 1000"]),
        ("type: TCP negative_test: true", &[NOTHING], &["probe \"p\": it is inverted (negative_test): alert on probe_success == 1"]),
        ("type: GRPC", &[NOTHING], &["probe \"p\": grpc_probe: the method ECHO: only HEALTH_CHECK can be probed"]),
        (
            "type: GRPC grpc_probe { method: HEALTH_CHECK health_check_ignore_status: true }",
            &[NOTHING],
            &["probe \"p\": grpc_probe: `health_check_ignore_status`: only a service that is SERVING is healthy here"],
        ),
        (r#"type: HTTP validator { http_validator { success_status_codes: "x" } }"#, &[NOTHING], &["probe \"p\": validator: http_validator: no status is in \"x\""]),
        (
            r#"type: HTTP http_probe { header { key: "Authorization" value: "Bearer **$TOKEN**" } }"#,
            &[NOTHING],
            &["module \"http\": `**$TOKEN**` in \"Bearer **$TOKEN**\": write its value", "target \"p\": its module is left out"],
        ),
    ];
    carried(Program::Cloudprober, probe(r#"host_names: "a.test""#), rows);
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        ("type: TCP", &["\"a.test:81\"", "\"::1\"", "\"[::2]:82\""], &[]),
        ("type: TCP tcp_probe { port: 9 }", &["\"a.test:9\"", "\"[::1]:9\"", "\"[::2]:9\""], &[]),
        (
            r#"type: HTTP http_probe { relative_url: "/x" }"#,
            &["\"http://a.test:81/x\"", "\"http://[::1]/x\"", "\"http://[::2]:82/x\"", "dst: \"a.test:81\""],
            &[],
        ),
        (
            r#"type: GRPC grpc_probe { method: HEALTH_CHECK health_check_service: "s" insecure_transport: true headers { name: "a" value: "b" } num_conns: 2 uri_scheme: "x" }"#,
            &[r#"{"grpc":{"metadata":{"a":["b"]},"service":"s","tls":false}"#, "\"a.test:81\"", "\"[::1]:443\""],
            &["probe \"p\": grpc_probe: `uri_scheme`"],
        ),
    ];
    carried(
        Program::Cloudprober,
        probe(r#"host_names: "a.test:81, ::1, [::2]:82""#),
        rows,
    );
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (
            "type: HTTP",
            &["\"http://192.0.2.1:8080\"\n    module: \"http\"\n    hostname: \"one\"", "\"https://b.test:8443/x\"", "dst: \"two:8443\""],
            &[],
        ),
        (r#"type: HTTP http_probe { port: 9 relative_url: "/y" }"#, &["\"http://192.0.2.1:9/y\"", "\"https://b.test:9/y\""], &[]),
        ("type: PING ip_version: IPV4", &["\"192.0.2.1\"", "\"two\"", r#""ip_protocol_fallback":false,"preferred_ip_protocol":"ip4""#], &[]),
    ];
    let endpoints = r#"endpoint { name: "one" ip: "192.0.2.1" port: 8080 } endpoint { name: "two" url: "https://b.test:8443/x" }"#;
    carried(Program::Cloudprober, probe(endpoints), rows);
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (
            r#"# comments are fine
probe {
  name: "web"
  type: HTTP
  targets { host_names: "a.test, {{.b}}, b.test" }
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
            &[
                r#""valid_status_codes":[200,201]},"prober":"http","timeout":"2s""#,
                "\nweb/a.test https://a.test:8443/x http 5000\nweb/b.test https://b.test:8443/x http 5000\nping c.test icmp 2000\nnote: ",
            ],
            &[
                "probe \"odd\": the type EXTERNAL",
                "target \"web/{{.b}}\": `{{.b}}` in \"https://{{.b}}:8443/x\": write its value",
            ],
        ),
    ];
    carried(Program::Cloudprober, str::to_owned, rows);
}

#[test]
fn textproto_faults_are_said_with_their_line() {
    for (text, wanted) in [
        (&*"a {".repeat(100), "line 1: nested too deeply"),
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
    let endpoint = |fields: &str| format!("endpoints:\n  - {{name: e, group: g, {fields}}}\n");
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (
            r#"url: "https://x/", interval: 5m, alerts: [{type: slack}], conditions: ["[STATUS] == any(200, 204)", "[BODY].status == UP", "[BODY].count < 5", "[RESPONSE_TIME] < 300"]"#,
            &[
                r#""valid_status_codes":[200,204]"#,
                r#""fail_if_body_json_not_matches_cel":"string(body[\"status\"]) == \"UP\" && (!(\"count\" in body) || body[\"count\"] == null ? 0 : int(double(body[\"count\"]))) < 5""#,
                "group: \"g\"",
                "\ne https://x/ http 300000\nnote: ",
            ],
            &["endpoint \"e\": the condition \"[RESPONSE_TIME] < 300\": use an alert", "endpoint \"e\": `alerts`"],
        ),
        (
            r#"url: "http://x/", client: {insecure: true, timeout: 5s}, conditions: ["[STATUS] == 200", "[BODY] == pat(*<h1>Hi*)"]"#,
            &["(?s:.*<h1>Hi.*)", r#""tls_config":{"insecure_skip_verify":true}"#, r#""prober":"http","timeout":"5s""#],
            &[],
        ),
        (r#"url: "tcp://x:22", conditions: ["[CONNECTED] == true"]"#, &["\ne x:22 tcp 60000\nnote: "], &[]),
        (
            r#"url: 192.0.2.53, dns: {query-name: a.test, query-type: A}, conditions: ["[DNS_RCODE] == NOERROR", "[BODY] == 192.0.2.1"]"#,
            &[r#""valid_rcodes":["NOERROR"]"#, "\ne 192.0.2.53 dns 60000\nnote: "],
            &[],
        ),
        (r#"url: "sctp://x:1""#, &[NOTHING], &["endpoint \"e\": the protocol \"sctp\""]),
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
        (
            r#"url: 192.0.2.1, dns: {query-name: a.test, query-type: A}, conditions: ["[BODY] == 93.184.216.34", "[BODY] == 93.184.216.34"]"#,
            &[r#"{"fail_if_none_matches_regexp":["^(?:\\S+\\s+){4}(?s:93\\.184\\.216\\.34)$"]}"#],
            &[],
        ),
        (
            r#"url: 192.0.2.1, dns: {query-name: a.test, query-type: MX}, conditions: ["[BODY] == any(a., b.)", "[BODY] == pat(a*)"]"#,
            &[r#"["^(?:\\S+\\s+){5}(?s:a\\.|b\\.)$"]"#],
            &[r#"endpoint "e": the condition "[BODY] == pat(a*)": there is one of [BODY] already"#],
        ),
        (
            r#"url: 192.0.2.1, dns: {query-name: a.test, query-type: A}, conditions: ["[CONNECTED] == true"]"#,
            &[r#""valid_rcodes":["NOERROR","FORMERR","#],
            &[],
        ),
        (
            r#"url: "https://x/", conditions: ["[BODY] == any(UP, O.K)", "[BODY] == pat(*?P*)"]"#,
            &[r#"["^\\s*(?s:UP|O\\.K)\\s*$","^\\s*(?s:.*.P.*)\\s*$"]"#, r#""valid_status_codes":["100-599"]"#],
            &[],
        ),
        (
            r#"url: "https://x/", conditions: ["[STATUS] == any(200, 429)", "[BODY] == pat(a[bc])"]"#,
            &[r#""valid_status_codes":[200,429]"#],
            &[r#"endpoint "e": the condition "[BODY] == pat(a[bc])": use an alert"#],
        ),
        (r#"url: "https://x/", conditions: ["[CONNECTED] == true"]"#, &[r#""valid_status_codes":["100-599"]"#], &[]),
        (
            r#"url: "wss://x/", body: ping, headers: {A: b}, client: {insecure: true}, conditions: ["[BODY] == pong"]"#,
            &[
                r#""headers":{"A":{"values":["b"]}},"http_config":{"tls_config":{"insecure_skip_verify":true}}"#,
                r#""query_response":[{"send":"ping"},{"expect":"^\\s*(?s:pong)\\s*$"}]"#,
            ],
            &[],
        ),
        (r#"url: "wss://x/", body: ping, conditions: ["[CONNECTED] == true"]"#, &[r#"[{"send":"ping"},{"expect":".*"}]"#], &[]),
        (
            r#"url: "tcp://x:80", body: PING, conditions: ["[BODY] == PONG"]"#,
            &[r#"[{"no_newline":true,"send":"PING"},{"expect":"^\\s*(?s:PONG)\\s*$","prompt":true}]"#],
            &[],
        ),
        (
            r#"url: "icmp://x", body: a, headers: {A: b}, client: {insecure: true, network: ip6}, conditions: ["[BODY] == a", "[STATUS] == 200"]"#,
            &[],
            &[
                r#"endpoint "e": the condition "[BODY] == a": use an alert"#,
                r#"endpoint "e": the condition "[STATUS] == 200": use an alert"#,
                r#"endpoint "e": client: `insecure`"#,
                r#"endpoint "e": `body`"#,
                r#"endpoint "e": `headers`"#,
            ],
        ),
        (
            r#"url: "starttls://x:587", client: {insecure: true}, conditions: ["[CONNECTED] == true"]"#,
            &[r#""tcp":{"starttls":"smtp","tls_config":{"insecure_skip_verify":true}}"#],
            &[],
        ),
        (
            r#"url: "https://${HOST}/", headers: {Authorization: "Bearer $TOKEN", B: "$$5", C: "${D}"}, conditions: ["[STATUS] == 200"]"#,
            &[r#"{"Authorization":"Bearer ${TOKEN}","B":"$5","C":"${D}"}"#, "note: the modules refer to environment variables: start the exporter with --config.expand-environment-variables"],
            &[r#"target "e": the environment variable `${HOST}` in "https://${HOST}/": write its value"#],
        ),
        (
            r#"url: "wss://x/", body: "a ${B}", conditions: ["[BODY] == $C"]"#,
            &[],
            &[
                r#"endpoint "e": the condition "[BODY] == $C": use an alert"#,
                r#"module "websocket": the environment variable `${B}` in "a ${B}": write its value"#,
            ],
        ),
        (r#"url: "http://x/", conditions: ["[STATUS] == 200", "[STATUS] == 301"]"#, &[NOTHING], &["endpoint \"e\": its conditions want no response: alert on probe_success == 1"]),
        (r#"url: "tcp://x:1", conditions: ["[CONNECTED] == false"]"#, &[NOTHING], &["endpoint \"e\": its conditions want no response: alert on probe_success == 1"]),
        (r#"url: "ws://x/", conditions: ["[CONNECTED] == true"]"#, &[NOTHING], &["endpoint \"e\": without a body it sends an empty message, which cannot be sent here"]),
        (r#"url: "grpc://x:1", conditions: ["[CONNECTED] == true"]"#, &[NOTHING], &["endpoint \"e\": without the condition [BODY].status == SERVING, any health is good: only SERVING is here"]),
        (
            r#"url: "tcp://x:1", body: "[LOCAL_ADDRESS]", conditions: ["[CONNECTED] == true"]"#,
            &[NOTHING],
            &["module \"tcp\": `[LOCAL_ADDRESS]` in \"[LOCAL_ADDRESS]\": write its value", "target \"e\": its module is left out"],
        ),
    ];
    carried(Program::Gatus, endpoint, rows);
}

#[test]
fn uptime_kuma() {
    let monitor = |fields: &str| {
        format!(
            r#"{{"monitorList": [{{"name": "m", "url": "https://x/", "interval": 60, "packetSize": 56, "accepted_statuscodes": ["200-299"], {fields}}}]}}"#
        )
    };
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (
            r#""type": "keyword", "keyword": "a.b", "timeout": 48, "maxredirects": 10, "method": "GET", "headers": "{\"X-A\": \"1\"}", "active": true, "hostname": null, "port": null"#,
            &[r#""fail_if_body_not_matches_regexp":["a\\.b"]"#, "\nm https://x/ http 60000\nnote: "],
            &[],
        ),
        (r#""type": "port", "hostname": "h.test", "port": 22, "interval": 20, "active": 1"#, &["\nm h.test:22 tcp 20000\nnote: "], &[]),
        (
            r#""type": "dns", "hostname": "a.test", "dns_resolve_server": "1.1.1.1", "dns_resolve_type": "A", "port": 53"#,
            &[r#""query_name":"a.test""#, "\nm 1.1.1.1:53 dns 60000\nnote: "],
            &[],
        ),
        (
            r#""type": "json-query", "jsonPath": "$.a.b", "expectedValue": "ok", "maxretries": 2"#,
            &[r#"string(body[\"a\"][\"b\"]) == \"ok\""#, "note: retries become the `for:` of an alert"],
            &[],
        ),
        (r#""type": "ping", "active": false"#, &[NOTHING], &["monitor \"m\": it is paused"]),
        (r#""type": "mysql""#, &[NOTHING], &["monitor \"m\": the type \"mysql\""]),
        // A scrape ends after ten seconds unless the target asks for more.
        (r#""type": "http", "timeout": 48"#, &["    timeout: 48500ms\n"], &[]),
        (r#""type": "http""#, &["    timeout: 48500ms\n"], &[]),
        (r#""type": "http", "interval": 20, "timeout": 48"#, &["    timeout: 20s\n"], &[]),
        (r#""type": "http", "timeout": 10"#, &["    interval: 60s\n    labels:\n"], &[]),
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
        (r#""type": "json-query", "jsonPath": "$.n", "jsonPathOperator": ">", "expectedValue": "5""#, &[r#""double(body[\"n\"]) > 5.0""#], &[]),
        (r#""type": "json-query", "jsonPath": "$.n", "jsonPathOperator": "contains", "expectedValue": "5""#, &[r#""string(body[\"n\"]).contains(\"5\")""#], &[]),
        (
            r#""type": "json-query", "jsonPath": "$.n", "jsonPathOperator": "in", "expectedValue": "5""#,
            &[],
            &[r#"monitor "m": the JSON query "$.n": write it as fail_if_body_json_not_matches_cel"#],
        ),
        (
            r#""type": "http", "authMethod": "oauth2-cc", "oauth_client_id": "a", "oauth_client_secret": "b", "oauth_token_url": "https://t/", "oauth_scopes": "c d", "proxyId": 3, "new": [1], "old": false"#,
            &[r#""oauth2":{"client_id":"a","client_secret":"b","scopes":["c","d"],"token_url":"https://t/"}"#],
            &[r#"monitor "m": `new`"#, r#"monitor "m": `proxyId`"#],
        ),
        (
            r#""type": "http", "authMethod": "mtls", "tlsCert": "C", "tlsKey": "K", "body": "{}", "httpBodyEncoding": "json", "maxredirects": 2, "expiryNotification": true"#,
            &[r#""tls_config":{"cert":"C","key":"K"}"#, r#""headers":{"Content-Type":"application/json"}"#],
            &[r#"monitor "m": `maxredirects` 2: it follows 10"#, r#"monitor "m": `expiryNotification`"#],
        ),
        (r#""type": "http", "authMethod": "ntlm", "authDomain": "d", "maxredirects": 0"#, &[r#""follow_redirects":false"#], &[r#"monitor "m": `authMethod` "ntlm""#, r#"monitor "m": `authDomain`"#]),
        (r#""type": "ping", "hostname": "h", "method": "GET", "maxredirects": 10, "httpBodyEncoding": "json", "jsonPath": "$", "newer": 1"#, &[r#""payload_size":56"#], &[r#"monitor "m": `newer`"#]),
        (r#""type": "http", "url": "http://x/", "accepted_statuscodes": []"#, &[NOTHING], &["monitor \"m\": it accepts no status"]),
        (r#""type": "dns", "hostname": "x.test", "dns_resolve_type": "PTR""#, &[NOTHING], &["monitor \"m\": uptime-kuma asks for the PTR records of addresses only"]),
    ];
    carried(Program::UptimeKuma, monitor, rows);
}

#[test]
fn telegraf() {
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (
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
  protocol = "udp"
  address = "localhost:161"
"#,
            &[
                r#""tls_config":{"insecure_skip_verify":true},"valid_status_codes":[200]"#,
                r#"{"prober":"icmp","timeout":"2s"}"#,
                "env: \"dev\"",
                "\nhttps://example.org https://example.org http 30000\nexample.org example.org icmp 30000\nnote: ",
                "note: the inputs cpu stay with Telegraf\n",
            ],
            &["inputs.net_response of localhost:161: only tcp can be probed"],
        ),
        (
            "[global_tags]\ndc = 'fra'\n[[inputs.ping]]\nurls = ['a']\ninterface = 'eth1'\ncount = 5\ndeadline = 9\n[inputs.ping.tags]\nx = 'y'\n\
             [[inputs.net_response]]\nprotocol = 'tcp'\naddress = 'b:80'\nsend = 'PING'\nexpect = '[+]PONG'\n[[inputs.ping]]\nurls = ['c']\ninterface = '192.0.2.1'\n",
            &[
                r#"{"icmp":{"count":5,"interval":"1000ms"},"prober":"icmp","timeout":"5s"}"#,
                r#"[{"no_newline":true,"send":"PING"},{"expect":"[+]PONG"}]"#,
                r#""source_ip_address":"192.0.2.1""#,
                "dc: \"fra\"\n      \"x\": \"y\"",
                "\nb:80 b:80 tcp 10000\n",
            ],
            &[
                "inputs.ping: `interface` \"eth1\": write its address as source_ip_address",
                "inputs.ping: `deadline`",
            ],
        ),
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
    carried(Program::Telegraf, str::to_owned, rows);
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

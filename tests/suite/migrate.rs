//! The subcommand `migrate`, from file to file.

use std::process::Command;

use blackbox_exporter::config::files::targets::Targets;

use crate::support::has;

fn migrate(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"))
        .arg("migrate")
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn an_alloy_configuration_becomes_a_targets_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.alloy");
    let alloy = r#"prometheus.exporter.blackbox "x" {
  config_file = "blackbox.yml"
  target {
    name    = "web"
    address = "https://example.com"
  }
}
"#;
    std::fs::write(&file, alloy).unwrap();
    let (code, targets, notes) = migrate(&[file.to_str().unwrap()]);
    assert_eq!(code, 0, "{notes}");
    has(
        &notes,
        ["note: start the exporter with --config.file=blackbox.yml\n"],
    );
    assert_eq!(
        Targets::parse(&targets).unwrap().targets[0].labels["job"],
        "integrations/blackbox/web"
    );
}

/// A directory as Alloy reads it, with everything that takes its place; the exporter starts with it.
#[test]
fn a_directory_becomes_a_whole_set() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("conf.d");
    std::fs::create_dir(&source).unwrap();
    let write = |name: &str, text: &str| std::fs::write(source.join(name), text).unwrap();
    write("probes.yml", "modules: {http_2xx: {prober: http}}\n");
    write("ignored.txt", "no Alloy at all");
    write(
        "a.alloy",
        "prometheus.exporter.blackbox \"x\" {\n  config_file = \"probes.yml\"\n  target {\n    name = \"web\"\n    address = \"https://example.com\"\n  }\n}\n",
    );
    write(
        "b.alloy",
        "prometheus.scrape \"x\" {\n  targets = prometheus.exporter.blackbox.x.targets\n  forward_to = []\n}\n",
    );
    let output = directory.path().join("out");
    let arguments = ["--output", output.to_str().unwrap(), source.to_str().unwrap()];
    let (code, report, notes) = migrate(&arguments);
    assert_eq!(code, 0, "{notes}");
    assert!(
        report.ends_with(&format!("then:  alloy run {}\n", output.display())),
        "{report}"
    );
    let read = |name: &str| std::fs::read_to_string(output.join(name)).unwrap();
    has(read("b.alloy"), ["targets = discovery.relabel.blackbox_x.output"]);
    assert_eq!(read("blackbox.yml"), "modules: {http_2xx: {prober: http}}\n");
    let target = &Targets::parse(&read("targets.yml")).unwrap().targets[0];
    assert_eq!((target.interval, target.timeout), (Some(60_000), Some(10_000)));
    let checked = Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"))
        .arg("--config.check")
        .arg(format!("--config.file={}", output.join("blackbox.yml").display()))
        .arg(format!("--targets.file={}", output.join("targets.yml").display()))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    // Nothing is overwritten, and nothing is written then.
    std::fs::remove_file(output.join("targets.yml")).unwrap();
    let (code, _, error) = migrate(&arguments);
    assert_eq!(code, 1);
    has(
        &error,
        [
            "note: a.alloy, line 1: `instance` is",
            "blackbox.yml: file exists",
        ],
    );
    assert!(!output.join("targets.yml").exists());
}

#[test]
fn what_is_lost_is_said_and_the_status_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.alloy");
    std::fs::write(
        &file,
        "prometheus.exporter.blackbox \"x\" {\n  config = \"{}\"\n  targets = encoding.from_json(local.file.y.content)\n}\n",
    )
    .unwrap();
    let (code, targets, notes) = migrate(&[file.to_str().unwrap()]);
    assert_eq!(code, 1, "{notes}");
    let said = "line 3: the targets `encoding.from_json(local.file.y.content)` are computed by Alloy";
    has(&notes, [&format!("not carried over: {said}")]);
    has(&targets, [&format!("# - {said}")]);
}

/// The examples of this repository, which the pipeline tests run.
#[test]
fn the_prometheus_examples_become_targets_files() {
    for (example, count) in [("prometheus/prometheus.yml", 4), ("deepflow/prometheus.yml", 3)] {
        let path = format!("{}/examples/{example}", env!("CARGO_MANIFEST_DIR"));
        let (code, targets, notes) = migrate(&["--from", "prometheus", &path]);
        assert_eq!(code, 0, "{notes}");
        assert_eq!(
            notes,
            "note: the exporter was scraped at 127.0.0.1:9115: let http_sd_configs ask it for /targets\n"
        );
        assert_eq!(
            Targets::parse(&targets).unwrap().targets.len(),
            count,
            "{targets}"
        );
    }
}

/// They are looked for beside the configuration, as Prometheus does it.
#[test]
fn files_that_a_prometheus_configuration_names_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let jobs = directory.path().join("jobs");
    std::fs::create_dir(&jobs).unwrap();
    for name in ["a", "b"] {
        let text = format!(
            "scrape_configs: [{{job_name: {name}, metrics_path: /probe, params: {{target: [x]}}, static_configs: [{{targets: [e]}}]}}]"
        );
        std::fs::write(jobs.join(format!("{name}.yml")), text).unwrap();
    }
    let file = directory.path().join("prometheus.yml");
    std::fs::write(&file, "scrape_config_files: [jobs/*.yml, none/*.yml, none.yml]").unwrap();
    let (code, targets, notes) = migrate(&[file.to_str().unwrap()]);
    assert_eq!(code, 1, "{notes}");
    has(
        &notes,
        ["not carried over: scrape_config_files: none.yml: no such file or directory"],
    );
    let names: Vec<_> = Targets::parse(&targets)
        .unwrap()
        .targets
        .into_iter()
        .map(|target| target.name)
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn files_are_recognized() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    let gatus = "endpoints: [{name: a, url: 'http://x', conditions: ['[STATUS] == 200']}]";
    let own = "this is a configuration of this exporter or upstream already: ";
    #[rustfmt::skip]
    let rows = [
        (format!("\u{feff}{gatus}"), "name: \"a\""),
        ("\u{feff}{\"monitorList\": [{\"type\": \"ping\", \"name\": \"a\", \"hostname\": \"x\"}]}".to_owned(), "name: \"a\""),
        ("modules:\n  http_2xx: {prober: http}\n".to_owned(), own),
        ("modules:\n  http_2xx: {prober: htp}\n".to_owned(), own),
        ("targets:\n- {name: a, address: b}\n".to_owned(), "this is a targets file of this exporter already"),
        ("modules:\n  a: {prober: https, target: 'https://x'}\n".to_owned(), "address: \"https://x\""),
    ];
    for (text, wanted) in rows {
        std::fs::write(&file, &text).unwrap();
        let (_, targets, notes) = migrate(&[file.to_str().unwrap()]);
        assert!(
            format!("{targets}{notes}").contains(wanted),
            "{text}: {targets}{notes}"
        );
    }
}

#[test]
fn mistakes_are_said_in_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.alloy");
    std::fs::write(&file, "a = [\n").unwrap();
    let path = file.to_str().unwrap();
    #[rustfmt::skip]
    let rows = [
        (&["/nowhere/x.alloy"] as &[&str], 1, "cannot read /nowhere/x.alloy: no such file or directory"),
        (&[path], 1, "line 2: expected a value, found the end of the file"),
        (&["--from", "prometheus", path], 1, "it has no scrape_configs entry that scrapes the /probe of a blackbox exporter"),
        (&[], 2, "<FILE>"),
        (&["--from", "nagios", path], 2, "[possible values: alloy, prometheus, smokeping_prober, "),
    ];
    for (arguments, code, said) in rows {
        let (status, _, error) = migrate(arguments);
        assert_eq!(status, code, "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
    has(migrate(&["--help"]).1, ["--from <kind>"]);
}

/// Files that are hard to read, in little time and memory.
#[test]
fn hostile_files_are_refused() {
    const DEEP: usize = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let grows = "{source_labels: [__address__], replacement: '$1$1', target_label: __address__}, ".repeat(40);
    let classic = "{source_labels: [__address__], target_label: __param_target}, {target_label: __address__, replacement: 'e:9115'}";
    // of which program, the file, what is said
    #[rustfmt::skip]
    let rows = [
        ("telegraf", format!("[[inputs.ping]]\nurls = {}", "[".repeat(DEEP)), "nested too deeply"),
        ("telegraf", format!("[a{}]\nx = 1\n", ".a".repeat(DEEP)), "nested too deeply"),
        ("telegraf", format!("'a.b'{} = 1\n", ".a".repeat(DEEP)), "nested too deeply"),
        ("telegraf", format!("\"'\"{} = 1\n", ".a".repeat(DEEP)), "nested too deeply"),
        ("telegraf", format!("x = {{a{} = 1}}\n", ".a".repeat(DEEP)), "nested too deeply"),
        (
            "telegraf",
            "[[inputs.ping]]\nurls = [\"a\"]\n[[inputs.net_response]]\nprotocol = \"tcp\"\n".to_owned(),
            "has no address",
        ),
        ("alloy", format!("a = {}", "[".repeat(DEEP)), "nested too deeply"),
        ("cloudprober", format!("probe {{ {}", "a {".repeat(DEEP)), "nested too deeply"),
        ("cloudprober", format!("probe {{ a: {}", "[".repeat(DEEP)), "nested too deeply"),
        (
            "prometheus",
            format!(
                "scrape_configs: [{{job_name: j, metrics_path: /probe, static_configs: [{{targets: [xy]}}], relabel_configs: [{grows}{classic}]}}]"
            ),
            "a relabelling rule makes a label of more than 4096 bytes",
        ),
        (
            "alloy",
            "prometheus.exporter.blackbox \"b\" { config_file = \"/dev/zero\" }".to_owned(),
            "the file has more than 64 MiB",
        ),
    ];
    for (number, (program, text, want)) in rows.into_iter().enumerate() {
        let file = folder.path().join("file");
        std::fs::write(&file, text).unwrap();
        let output = folder.path().join(number.to_string());
        let arguments = [
            "--from",
            program,
            "--output",
            output.to_str().unwrap(),
            file.to_str().unwrap(),
        ];
        let (code, _, notes) = migrate(&arguments);
        assert_eq!(code, 1, "{notes}");
        assert!(notes.contains(want), "{want}: {notes}");
    }
}

/// What is equal, or has an equal name, in time that grows with the file alone.
#[test]
fn many_of_a_kind_take_little_time() {
    const MANY: usize = 4000;
    const OUTPUT: &str = "prometheus.exporter.blackbox.x.targets";
    let many = |each: &dyn Fn(usize) -> String| (0..MANY).map(each).collect::<String>();
    let few = |each: &dyn Fn(usize) -> String| (0..MANY / 4).map(each).collect::<String>();
    let exporter = |label: &str, timeout: usize| {
        let modules = format!("modules: {{m: {{prober: http, timeout: {}s}}}}", timeout + 1);
        format!(
            "prometheus.exporter.blackbox \"{label}\" {{\nconfig = \"{modules}\"\ntarget {{\nname = \"a\"\naddress = \"b\"\nmodule = \"m\"\n}}\n}}\n"
        )
    };
    #[rustfmt::skip]
    let rows = [
        ("gatus", format!("endpoints:\n{}", many(&|n| format!("- {{name: a, url: 'http://x', conditions: ['[BODY] == x{n}']}}\n")))),
        ("gatus", format!("endpoints: [{{name: a, url: 'http://x', conditions: ['[STATUS] == 200'], body: '{}'}}]", "$A ".repeat(50 * MANY))),
        (
            "alloy",
            many(&|n| format!("declare \"d{n}\" {{\n{}export \"t\" {{ value = {OUTPUT} }}\n}}\nd{n} \"x\" {{}}\nprometheus.scrape \"s{n}\" {{\ntargets = d{n}.x.t\n}}\n", exporter("x", n))),
        ),
        ("alloy", many(&|n| exporter("x", n)) + &format!("prometheus.scrape \"x\" {{\ntargets = array.concat({})\n}}\n", format!("{OUTPUT}, ").repeat(MANY))),
        (
            "alloy",
            few(&|n| format!("{}discovery.relabel \"r{n}\" {{ targets = array.concat(discovery.relabel.r{}.output, prometheus.exporter.blackbox.x{n}.targets) }}\n", exporter(&format!("x{n}"), 1), n + 1)),
        ),
        ("smokeping_prober", format!("targets: [{{hosts: [{}]}}]", "a, ".repeat(5 * MANY))),
    ];
    for (program, text) in rows {
        let start = std::time::Instant::now();
        written(program, &text);
        assert!(start.elapsed().as_secs() < 20, "{program}: {:?}", start.elapsed());
    }
}

/// Migrates a text; returns the status, the notes and the written modules and targets, with which the exporter starts.
fn written(program: &str, text: &str) -> (i32, String, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let (file, output) = (folder.path().join("source"), folder.path().join("out"));
    std::fs::write(&file, text).unwrap();
    let arguments = ["--from", program, "--output", output.to_str().unwrap()];
    let (code, _, notes) = migrate(&[&arguments[..], &[file.to_str().unwrap()]].concat());
    let read = |name: &str| std::fs::read_to_string(output.join(name)).unwrap_or_default();
    let (modules, targets) = (read("blackbox.yml"), read("targets.yml"));
    if !modules.is_empty() {
        let checked = Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"))
            .current_dir(&output)
            .args([
                "--config.check",
                "--config.file=blackbox.yml",
                "--targets.file=targets.yml",
            ])
            .output()
            .unwrap();
        assert!(checked.status.success(), "{modules}{targets}{checked:?}");
    }
    (code, notes, modules, targets)
}

/// Checks what becomes of a text: parts of what is written and noted, and all that is lost.
fn carried(program: &str, text: &str, parts: &[&str], lost: &[&str]) {
    let (code, notes, modules, targets) = written(program, text);
    let named: Vec<_> = notes
        .lines()
        .filter_map(|line| line.strip_prefix("not carried over: "))
        .collect();
    assert_eq!(named, lost, "{text}");
    assert_eq!(code, i32::from(!lost.is_empty()), "{text}");
    let all = format!("{modules}{targets}{notes}");
    for part in parts {
        assert!(all.contains(part), "{text}: no {part} in {all}");
    }
}

#[test]
fn gatus_conditions_and_protocols() {
    let endpoint = |fields: &str| format!("endpoints:\n  - {{name: e, {fields}}}\n");
    #[rustfmt::skip]
    let rows: &[(&str, &[&str], &[&str])] = &[
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
    ];
    for (fields, parts, lost) in rows {
        carried("gatus", &endpoint(fields), parts, lost);
    }
}

#[test]
fn cloudprober_settings() {
    let probe =
        |fields: &str| format!("probe {{ name: \"p\" targets {{ host_names: \"a.test\" }} {fields} }}\n");
    #[rustfmt::skip]
    let rows: &[(&str, &[&str], &[&str])] = &[
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
    ];
    let most = "type: PING ping_probe { packets_per_probe: 2000 }";
    let lost = "probe \"p\": ping_probe: `packets_per_probe` 2000: it sends 1000";
    carried("cloudprober", &probe(most), &[r#""count":1000"#], &[lost]);
    for (fields, parts, lost) in rows {
        carried("cloudprober", &probe(fields), parts, lost);
    }
}

#[test]
fn uptime_kuma_settings() {
    let monitor = |fields: &str| {
        format!(
            r#"{{"monitorList": [{{"name": "m", "url": "https://x/", "interval": 60, "packetSize": 56, "accepted_statuscodes": ["200-299"], {fields}}}]}}"#
        )
    };
    #[rustfmt::skip]
    let rows: &[(&str, &[&str], &[&str])] = &[
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
    ];
    for (fields, parts, lost) in rows {
        carried("uptime-kuma", &monitor(fields), parts, lost);
    }
}

#[test]
fn ssl_exporter_settings() {
    carried(
        "ssl_exporter",
        "modules:\n  a: {prober: https, target: 'https://fixed/', tls_config: {insecure_skip_verify: true, renegotiation: once}}\n  b: {prober: tcp, https: {proxy_url: x}}\n",
        &[
            r#""a": {"http":{"fail_if_not_ssl":true,"follow_redirects":false,"tls_config":{"insecure_skip_verify":true},"valid_status_codes":["100-599"]}"#,
            "address: \"https://fixed/\"\n    module: \"a\"",
        ],
        &[
            "module \"a\": tls_config: `renegotiation`",
            "module \"b\": https: `proxy_url`",
        ],
    );
    // Jobs of Prometheus name both.
    let equal = "modules: {a: {prober: https}, b: {prober: https}}\n";
    carried("ssl_exporter", equal, &["\"a\": ", "\"b\": "], &[]);
}

#[test]
fn telegraf_settings() {
    carried(
        "telegraf",
        "[global_tags]\ndc = 'fra'\n[[inputs.ping]]\nurls = ['a']\ninterface = 'eth1'\ncount = 5\ndeadline = 9\n[inputs.ping.tags]\nx = 'y'\n\
             [[inputs.net_response]]\nprotocol = 'tcp'\naddress = 'b:80'\nsend = 'PING'\nexpect = 'PONG'\n[[inputs.ping]]\nurls = ['c']\ninterface = '192.0.2.1'\n",
        &[
            r#"{"icmp":{"count":5,"interval":"1000ms"},"prober":"icmp","timeout":"5s"}"#,
            r#"[{"no_newline":true,"send":"PING"},{"expect":"PONG"}]"#,
            r#""source_ip_address":"192.0.2.1""#,
            "dc: \"fra\"\n      \"x\": \"y\"",
        ],
        &[
            "inputs.ping: `interface` \"eth1\": write its address as source_ip_address",
            "inputs.ping: `deadline`",
        ],
    );
}

#[test]
fn ping_exporter_settings() {
    carried(
        "ping_exporter",
        "targets: [a.test]\noptions: {disableIPv4: true, other: 1}\n",
        &[r#""ip_protocol_fallback":false,"preferred_ip_protocol":"ip6""#],
        &["the file: options: `other`"],
    );
}

#[test]
fn smokeping_prober_settings() {
    carried(
        "smokeping_prober",
        "targets: [{hosts: [a.test], tos: 8}]\nmore: 1\n",
        &[],
        &["targets[0]: `tos`", "the file: `more`"],
    );
}

#[test]
fn parameters_of_prometheus_jobs() {
    let text = "scrape_configs: [{job_name: j, metrics_path: /probe, params: {module: [dns1], query_name: [m.test], a: [b, c], debug: ['true']}, \
        static_configs: [{targets: [t.test]}], relabel_configs: [{source_labels: [__address__], target_label: __param_target}, \
        {target_label: __address__, replacement: 'e:9115'}]}]";
    carried(
        "prometheus",
        text,
        &[
            "module: \"dns1\"",
            "params:\n      query_name: \"m.test\"\n",
            "note: job \"j\": the module \"dns1\" must list the parameter \"query_name\" under `params`, or the targets file is refused\n",
        ],
        &[
            "job \"j\", line 1: the parameter \"a\" has several values: a target has one",
            "job \"j\", line 1: the parameter \"debug\" is not supported in a targets file",
        ],
    );
}

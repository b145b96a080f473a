//! The subcommand `check-config`.

use std::process::{Command, Output};

use crate::support::{folder, has, lacks};

#[test]
fn references_are_replaced_as_the_exporter_does() {
    let text = "modules: {m: {prober: tcp, resolver: 'udp://${HOME_OF_NAMES}'}}";
    let (verdict, _) = said(text);
    assert_eq!(verdict, "1 error");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.yml");
    std::fs::write(&file, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"))
        .args(["check-config", "--config.expand-environment-variables"])
        .arg(&file)
        .env("HOME_OF_NAMES", "127.0.0.1")
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

fn check_config(files: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"))
        .arg("check-config")
        .args(files)
        .output()
        .expect("the program runs")
}

#[test]
fn every_mistake_of_every_file_is_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let good = write(
        "good.yml",
        "modules:\n  a: {prober: tcp}\n  b:\n    prober: http\n    http: {valid_http_versions: [HTTP/2]}\n",
    );
    let bad = write(
        "bad.yml",
        "modules:\n  a:\n    prober: http\n    http:\n      metod: POST\n      fail_if_body_matches_regexp: ['(']\n",
    );
    let missing = directory.path().join("missing.yml").to_str().unwrap().to_owned();

    let output = check_config(&[&good, &bad, &missing]);
    assert_eq!(output.status.code(), Some(1));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        stdout,
        format!("{good}: ok, 2 modules, 1 warning\n{bad}: 2 errors\n{missing}: cannot be read\n")
    );
    let stderr = String::from_utf8(output.stderr).unwrap();
    for quoted in [
        "warning: module \"b\": http.valid_http_versions: valid_http_versions: \"HTTP/2\" never matches"
            .to_owned(),
        format!(
            "error: module \"a\": http.metod: field \"metod\" not found\n --> {bad}:5:7\n  |\n5 |       metod: POST\n  |       ^\n  = help: did you mean \"method\"?\n"
        ),
        format!(
            " --> {bad}:6:37\n  |\n6 |       fail_if_body_matches_regexp: ['(']\n  |                                     ^\n"
        ),
        "no such file or directory".to_owned(),
    ] {
        assert!(stderr.contains(&quoted), "{quoted}\nnot in\n{stderr}");
    }
    assert_eq!(check_config(&[&good]).status.code(), Some(0));
    assert_ne!(check_config(&[]).status.code(), Some(0));
}

#[test]
fn a_folder_means_its_files() {
    let files = folder(&[
        ("d/a.yml", "modules: {a: {prober: tcp}}\n"),
        ("d/b.yaml", "modules: {b: {prober: smoke}}\n"),
        ("d/c.conf", "{"),
        ("empty/c.conf", "{"),
    ]);
    let path = |name: &str| files.path().join(name).display().to_string();
    let (d, empty) = (path("d"), path("empty"));
    let made = Command::new("mkfifo").arg(path("d/pipe.yml")).status();
    assert!(made.unwrap().success());
    let output = check_config(&[&d, &empty]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    let want = format!(
        "{d}/a.yml: ok, 1 module\n{d}/b.yaml: 1 error\n{d}/pipe.yml: cannot be read\n{empty}: cannot be read\n"
    );
    assert_eq!(stdout, want);
    let details = String::from_utf8(output.stderr).unwrap();
    let want = format!("open {empty}: the folder has no *.yml or *.yaml file");
    has(details, [want.as_str()]);
    let output = Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"))
        .args(["--config.check", &format!("--config.file={empty}")])
        .output()
        .expect("the program runs");
    has(String::from_utf8(output.stderr).unwrap(), [want.as_str()]);
}

/// What `check-config` says of one file.
fn said(text: &str) -> (String, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.yml");
    std::fs::write(&file, text).unwrap();
    let output = check_config(&[file.to_str().unwrap()]);
    let verdict = String::from_utf8(output.stdout).unwrap();
    let verdict = verdict.split_once(": ").unwrap().1.trim().to_owned();
    (verdict, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_cannot_work_as_meant_is_a_warning() {
    #[rustfmt::skip]
    let rows = [
        ("prober: dns, dns: {query_name: x, valid_rcodes: [NOEROR]}", "did you mean NOERROR?"),
        ("prober: dns", "without dns.query_name every probe fails"),
        ("prober: dns, dns: {query_name: x, validate_answer_rrs: {fail_if_matches_regexp: [a, '(?<=a)b']}}", "fail_if_matches_regexp[1]: error parsing regexp: invalid named capture: `(?<=a)b`: a probe that gets this far fails"),
        ("prober: dns, dns: {query_name: x, transport_protocol: sctp}", "\"sctp\" is no transport"),
        ("prober: dns, dns: {query_name: a..b}", "dns.query_name: the query name has an empty label"),
        ("prober: http, http: {tls_config: {min_version: TLS13, max_version: TLS12}}", "min_version is above max_version"),
        ("prober: http, http: {tls_config: {max_version: TLS11}}", "TLS 1.0 and 1.1 are not spoken here"),
        ("prober: http, http: {method: A B}", "\"A B\" is no method"),
        ("prober: http, http: {headers: {a b: c}}", "the header \"a b\" cannot be sent"),
        ("prober: http, http: {fail_if_ssl: true, fail_if_not_ssl: true}", "fail_if_ssl is set, too"),
        ("prober: tcp, tcp: {source_ip_address: 1.2.3}", "tcp.source_ip_address: \"1.2.3\" is no IP address"),
        ("prober: grpc, grpc: {metadata: {A B: [c]}}", "grpc.metadata: header key \"A B\" contains illegal characters"),
        ("prober: icmp, icmp: {preferred_ip_protocol: ipv6}", "\"ipv6\" means ip4"),
        ("prober: icmp, addresses: any", "\"addresses: any\" has no effect: a ping does not connect"),
        ("prober: dns, addresses: any, dns: {query_name: x}", "\"addresses: any\" has no effect: a query over UDP does not connect"),
        ("prober: http, addresses: any, http: {proxy_url: 'http://p', skip_resolve_phase_with_proxy: true}", "\"addresses: any\" has no effect: the proxy is asked for one address"),
        ("prober: tcp, addresses: any, params: {proxy_url: {one_of: ['socks5://p']}}", "params.proxy_url.one_of[0]: a scrape that sets nothing else is refused with this value: through a proxy, a target has one address"),
        ("prober: icmp, timeout: 2s, addresses: all, icmp: {count: 10, min_replies: 10}", "the last of 10 packets would be sent after 1.8s, which can be too late: if the name has two addresses, each has 1s"),
        ("prober: icmp, timeout: 1s, addresses: all, icmp: {count: 10, min_replies: 10}", "the last of 10 packets would be sent after 1.8s, which is later than the module's timeout"),
        ("prober: tcp, timeout: 3s, attempts: 2, tcp: {count: 10}", "the last of 10 packets would be sent after 1.8s, which is later than 1.5s, the share of the timeout of one of 2 attempts"),
        ("prober: unix, dscp: EF", "\"dscp\" has no effect: a unix socket has no address"),
        ("prober: unix, resolver: 'udp://127.0.0.1'", "\"resolver\" has no effect"),
        ("prober: tcp, resolver_tls_config: {insecure_skip_verify: true}", "\"resolver_tls_config\" has no effect without"),
        ("prober: tcp, resolver: 'udp://127.0.0.1', resolver_tls_config: {insecure_skip_verify: true}", "\"resolver_tls_config\" has no effect without"),
        ("prober: tcp, ocsp: query", "it has no effect: the module does not use TLS"),
        ("prober: dns, ocsp: staple, dns: {query_name: x}", "it has no effect: the module does not use TLS"),
        ("prober: icmp, params: {count: {one_of: ['3', a]}}", "params.count.one_of[1]: a scrape that sets nothing else is refused with this value: expected a whole number"),
        ("prober: dns, dns: {query_name: x}, params: {query_type: {one_of: [a, A]}}", "params.query_type.one_of[0]: a scrape that sets nothing else is refused with this value: query type 'a' is not valid"),
        ("prober: http, params: {method: {one_of: [GET], matches: POST}}", "it does not match POST"),
        ("prober: dns, dns: {query_name: x}, params: {query_name: {one_of: [hush, hus], secret: true}}", "params.query_name.one_of[1]: a scrape that sets nothing else is refused with this value"),
        ("prober: tcp, tcp: {query_response: [{expect: '^+OK'}]}", "tcp.query_response[0].expect: ^+ repeats the anchor and matches no +: write ^\\+"),
        ("prober: http, http: {fail_if_body_matches_regexp: ['^*x']}", "http.fail_if_body_matches_regexp[0]: ^* repeats the anchor"),
        ("prober: tcp, timeout: -5s", "a negative timeout is no timeout"),
        ("prober: http, http: {valid_status_codes: [200, 700]}", "no server responds with the status 700"),
        ("prober: http, http: {method: HEAD, fail_if_body_matches_regexp: [x]}", "HEAD has no body"),
        ("prober: tcp, tcp: {tls_config: {ca_file: /none/ca.pem}}", "/none/ca.pem: no such file"),
        ("prober: http, http: {body_file: /}", "/ is a folder"),
        ("prober: tcp, tcp: {tls_config: {cert: c, key: \"-----BEGIN ENCRYPTED PRIVATE KEY-----\\nx\"}}", "openssl pkey -in"),
    ];
    for (module, warning) in rows {
        let (verdict, details) = said(&format!("modules:\n  m: {{{module}}}\n"));
        assert_eq!(verdict, "ok, 1 module, 1 warning", "{details}");
        assert!(details.contains(warning), "{warning}\nnot in\n{details}");
    }
    let (_, details) = said(
        "modules:\n  m: {prober: http, addresses: any, dscp: EF, http: {enable_http2: false, enable_http3: true}}\n",
    );
    has(
        &details,
        ["\"addresses: any\" has no effect: HTTP/3 tries one address"],
    );
    lacks(&details, ["\"dscp\" has no effect"]);
    let (_, details) = said(
        "modules:\n  m: {prober: http, http: {enable_http2: false, enable_http3: true, proxy_url: 'http://p'}}\n",
    );
    has(&details, ["requests over HTTP/3 are not sent through the proxy"]);
    lacks(&details, ["is still resolved locally"]);
}

/// What is sent under a name that ends like those of files is no file.
#[test]
fn headers_are_no_files() {
    #[rustfmt::skip]
    let modules = [
        "prober: http, http: {headers: {x_file: /none, files: /none}}",
        "prober: http, http: {http_headers: {x_file: {values: [/none]}}}",
        "prober: http, http: {oauth2: {client_id: a, token_url: 'http://t', endpoint_params: {a_file: /none}}}",
        "prober: grpc, grpc: {metadata: {a_file: [/none], files: [/none]}}",
    ];
    for module in modules {
        let (verdict, details) = said(&format!("modules:\n  m: {{{module}}}\n"));
        assert_eq!(verdict, "ok, 1 module", "{details}");
    }
    let (_, details) = said("modules:\n  m: {prober: http, http: {http_headers: {X-A: {files: [/none]}}}}\n");
    assert!(details.contains("/none: no such file"), "{details}");
}

#[test]
fn a_hint_says_what_to_write() {
    #[rustfmt::skip]
    let rows = [
        ("prober: http, http: {fail_if_not_matches_regexp: [x]}", "did you mean \"fail_if_body_not_matches_regexp\"?"),
        ("prober: http, http: {timeout: 5s}", "write it next to prober"),
        ("prober: http, http: {insecure_skip_verify: true}", "it belongs below tls_config"),
        ("prober: http, http: {path: /login}", "URL and path belong to the target of the scrape"),
        ("prober: dns, query_name: x", "it belongs below dns"),
        ("prober: http, http: {valid_status_codes: 200}", "write a list: [200]"),
        ("prober: http, http: {fail_if_body_matches_regexp: ['(?!x)']}", "RE2 has no look-ahead"),
    ];
    for (module, hint) in rows {
        let (_, details) = said(&format!("modules:\n  m: {{{module}}}\n"));
        assert!(details.contains(hint), "{hint}\nnot in\n{details}");
    }
    let (_, details) = said("modules:\n  m:\n    prober http\n    timeout: 5s\n");
    has(
        &details,
        ["expected \"key: value\"", "3 |     prober http\n  |     ^"],
    );
}

#[test]
fn an_error_points_into_the_expression() {
    let module = "modules:\n  m:\n    prober: http\n    http:\n      fail_if_body_json_matches_cel: ";
    for (expression, place) in [
        ("'body.a == bodi.b'", "f.yml:5:49"),
        ("body.a ==", "f.yml:5:"),
        ("|\n        body.a == 1 &&\n        bodi.b\n", "f.yml:7:9"),
    ] {
        let (_, details) = said(&format!("{module}{expression}\n"));
        assert!(details.contains(place), "{place}\nnot in\n{details}");
    }
}

#[test]
fn a_targets_file_is_told_from_a_configuration() {
    let (verdict, _) = said("targets:\n- {name: a, address: b}\n- {name: c, address: d}\n");
    assert_eq!(verdict, "ok, a targets file of 2 targets");
    let (verdict, details) = said("targets:\n- {name: a}\n");
    assert_eq!(verdict, "a targets file with 1 error", "{details}");
    let labels = "targets:\n- {name: a, address: b, labels: {instance: x, phase: 1, version: '', env: y}}\n";
    let (verdict, details) = said(labels);
    assert_eq!(verdict, "ok, a targets file of 1 target, 2 warnings", "{details}");
    has(
        &details,
        [
            "warning: the targets file sets the label \"phase\"",
            "exported_phase",
        ],
    );
    let (verdict, details) = said("- targets: [a]\n");
    assert_eq!(verdict, "1 error");
    has(
        &details,
        ["expected a mapping, found a list", "Prometheus' file_sd"],
    );
    let (_, details) = said("scrape_configs: []\n");
    has(&details, ["this is Prometheus' configuration", "migrate"]);
}

//! What a module allows is set: by a scrape, a file of targets, and the command line.

use super::echo;
use crate::support::{Answer, Exporter, folder, has, lacks};

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_sets_what_the_module_lists_and_nothing_else() {
    let site = echo().await;
    let address = site.address;
    let config = "modules:
  m:
    prober: http
    http:
      fail_if_body_not_matches_regexp: ['X-Tenant: blue']
      fail_if_body_matches_regexp: [red, green]
      headers: {x-tenant: red}
      http_headers: {X-TENANT: {values: [green]}}
    params:
      header.X-Tenant: {matches: '[a-z]{1,5}', secret: true}
      method: {one_of: [GET, DELETE]}
      valid_status_codes: {}
  needs:
    prober: http
    params: {body_size_limit: {required: true}}
";
    let exporter = Exporter::start(config, &[]).await;
    let probe = |rest: &str| format!("/probe?module=m&target={address}{rest}");
    // There is something to alert on before the first probe.
    assert_eq!(exporter.get(&probe("&method=PUT")).await.status, 400);
    let refused = r#"blackbox_exporter_params_refused_total{module="m",param="method"}"#;
    assert_eq!(exporter.get("/metrics").await.sample(refused), Some(1.0));
    assert!(!exporter.succeeds(&probe("")).await);
    assert!(!exporter.succeeds(&probe("&body=x&header.Host=y")).await);
    for _ in 0..2 {
        assert!(exporter.succeeds(&probe("&header.X-Tenant=blue")).await);
    }
    assert!(
        exporter
            .succeeds(&probe("&header.X-Tenant=blue&valid_status_codes=203"))
            .await
    );
    assert!(
        !exporter
            .succeeds(&probe("&header.X-Tenant=blue&valid_status_codes=204"))
            .await
    );
    let debug = exporter.get(&probe("&header.X-Tenant=blue&debug=true")).await;
    assert!(
        debug.text().contains("x-tenant: <secret>") || debug.text().contains("X-Tenant: <secret>"),
        "{}",
        debug.text()
    );
    #[rustfmt::skip]
    let rows = [
        ("&header.X-Tenant=blue1", "Parameter \"header.X-Tenant\": it does not match"),
        ("&header.X-Tenant=bluered", "Parameter \"header.X-Tenant\": it does not match"),
        ("&method=POST", "Parameter \"method\": it must be one of GET, DELETE"),
        ("&valid_status_codes=9xx", "Parameter \"valid_status_codes\": \"9xx\" is not a status code"),
    ];
    for (rest, reason) in rows {
        let answer = exporter.get(&probe(rest)).await;
        assert_eq!(answer.status, 400, "{rest}");
        has(answer.text(), [reason]);
    }
    let refused = r#"blackbox_exporter_params_refused_total{module="m",param="header.X-Tenant"}"#;
    assert_eq!(exporter.get("/metrics").await.sample(refused), Some(2.0));
    let answer = exporter
        .get(&format!("/probe?module=needs&target={address}"))
        .await;
    assert_eq!(answer.status, 400);
    assert!(
        exporter
            .succeeds(&format!(
                "/probe?module=needs&target={address}&body_size_limit=1MB"
            ))
            .await
    );
    let refused = [
        refused,
        r#"blackbox_exporter_params_refused_total{module="needs",param="body_size_limit"}"#,
    ];
    let without = config.replace("  m:\n", "  other:\n");
    std::fs::write(exporter.config_file(), without).unwrap();
    assert_eq!(exporter.request("POST", "/-/reload", &[]).await.status, 200);
    let metrics = exporter.get("/metrics").await;
    assert_eq!(refused.map(|series| metrics.sample(series)), [None, Some(1.0)]);
}

#[test]
fn parameters_name_settings_that_there_are() {
    for (module, good) in [
        (
            "{prober: dns, dns: {query_name: x}, params: {query_name: {}, query_type: {one_of: [A]}}}",
            true,
        ),
        (
            "{prober: http, params: {server_name: {}, tls_config.insecure_skip_verify: {}}}",
            true,
        ),
        ("{prober: grpc, params: {metadata.x: {}, service: {}}}", true),
        (
            "{prober: dns, dns: {query_type: A}, params: {query_name: {required: true}}}",
            true,
        ),
        ("{prober: dns, dns: {}, params: {server: {required: true}}}", true),
        ("{prober: dns, dns: {}, params: {query_name: {}}}", false),
        ("{prober: http, params: {ip_address: {secret: true}}}", false),
        (
            "{prober: dns, dns: {query_name: x}, params: {server: {secret: true}}}",
            false,
        ),
        ("{prober: http, params: {header.X Y: {}}}", false),
        ("{prober: grpc, params: {metadata.X-Tenant: {}}}", false),
        ("{prober: http, params: {query_name: {}}}", false),
        ("{prober: http, params: {tls_config: {}}}", false),
        ("{prober: http, params: {target: {}}}", false),
        ("{prober: http, params: {method: {matches: '('}}}", false),
        ("{prober: http, params: {method: {match: 'x'}}}", false),
    ] {
        let text = format!("modules: {{m: {module}}}\n");
        let loaded = blackbox_exporter::module::parse(text.as_bytes(), "f.yml");
        assert_eq!(loaded.is_ok(), good, "{module}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_bring_parameters_along() {
    let config = "modules: {m: {prober: dns, dns: {query_name: x}, params: {query_type: {one_of: [A, MX]}}}, n: {prober: dns, dns: {query_name: x}}}\n";
    let list = |module: &str, params: &str| {
        folder(&[
            ("blackbox.yml", config),
            (
                "targets.yml",
                &format!("targets: [{{name: a, address: b, module: {module}, params: {params}}}]\n"),
            ),
        ])
    };
    let flags = ["--targets.file={dir}/targets.yml"];
    let exporter = Exporter::start_in(list("m", "{query_type: MX}"), &flags)
        .await
        .unwrap();
    let served = exporter.get("/targets").await;
    has(served.text(), [r#""__param_query_type":"MX""#]);
    for (module, params, reason) in [
        ("m", "{query_type: TXT}", "it must be one of A, MX"),
        ("m", "{query_name: a}", "has no parameter"),
        ("n", "{query_type: A}", "has no params"),
        ("m", "{query-type: A}", "cannot be a parameter of a target"),
    ] {
        let error = Exporter::start_in(list(module, params), &flags)
            .await
            .err()
            .unwrap();
        has(&error, [reason]);
    }
}

/// The address is dialled, the name is what is asked for; the policy judges both.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_dialled_for_a_name() {
    let site = echo().await;
    let config = "modules:
  m: {prober: http, http: {fail_if_body_not_matches_regexp: ['Host: nowhere.invalid:']}, params: {ip_address: {}}}
  d: {prober: dns, dns: {query_name: a.example, preferred_ip_protocol: ip4}, params: {ip_address: {matches: '127[.].*'}}}
policy: {deny: {networks: [127.0.0.9/32], names: ['*.denied.invalid']}}
";
    let exporter = Exporter::start(config, &[]).await;
    let port = site.address.port();
    let probe = |host: &str, ip: &str| {
        format!("/probe?module=m&target=http://{host}:{port}/&ip_address={ip}&debug=true")
    };
    let text = |answer: Answer| answer.text().to_owned();
    let good = text(exporter.get(&probe("nowhere.invalid", "127.0.0.1")).await);
    has(&good, ["probe_success 1"]);
    let port_of_another_scheme = "127.0.0.1";
    let address = text(exporter.get(&probe("nowhere.invalid", "127.0.0.9")).await);
    has(&address, ["reason=policy_refused"]);
    let name = text(
        exporter
            .get(&probe("a.denied.invalid", port_of_another_scheme))
            .await,
    );
    has(&name, ["reason=policy_refused"]);
    for wrong in ["nowhere", "127.0.0.1:80", "127.1", "fe80::1%25lo", "%3a%3a1%00"] {
        let refused = exporter.get(&probe("nowhere.invalid", wrong)).await;
        assert_eq!(refused.status, 400, "{wrong}: {}", refused.text());
    }
    assert_eq!(site.asked().len(), 1);
    let unix = "modules: {u: {prober: unix, params: {ip_address: {}}}}\n";
    assert!(Exporter::try_start(unix, &[]).await.is_err());
}

/// `probe --param` and its JSON.
#[test]
fn the_command_line_sets_parameters_too() {
    let files = folder(&[(
        "blackbox.yml",
        "modules: {m: {prober: dns, timeout: 200ms, dns: {query_name: x, transport_protocol: tcp}, params: {query_name: {secret: true}, query_type: {one_of: [A, MX]}}}}\n",
    )]);
    let run = |params: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"));
        command.args(["probe", "-m", "m", "-o", "json", "--config.file"]);
        command.arg(files.path().join("blackbox.yml"));
        for param in params {
            command.arg(format!("--param={param}"));
        }
        let output = command.arg("127.0.0.1:1").output().unwrap();
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    };
    let said = run(&["query_name=hushhush.example", "query_type=MX"]);
    has(
        &said,
        ["\"params\":{\"query_name\":\"<secret>\",\"query_type\":\"MX\"}"],
    );
    lacks(&said, ["hushhush"]);
    for (params, reason) in [
        (&["query_type=TXT"][..], "it must be one of A, MX"),
        (&["query_type=A", "query_type=MX"], "it is given more than once"),
        (&["query-type=A"], "has no parameter \"query-type\""),
    ] {
        let said = run(params);
        assert!(said.contains(reason), "{params:?}: {said}");
    }
}

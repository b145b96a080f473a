//! Parameters of a scrape: what a module allows, and what callers try all the same.

use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::http::site::{Asked, Site, answer};
use crate::support::{Answer, Exporter, folder, has, lacks};

/// Answers with the head of the request.
async fn echo() -> Site {
    Site::with(|asked: &Asked| answer("203 OK", &[], asked.head.clone())).await
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

async fn page(exporter: &Exporter, path: &str) -> Answer {
    exporter.request("GET", path, &[("Accept", "text/html")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_sets_what_the_module_lists_and_nothing_else() {
    let site = echo().await;
    let address = site.address;
    let config = "modules:
  m:
    prober: http
    http: {fail_if_body_not_matches_regexp: ['X-Tenant: blue'], headers: {x-tenant: red}}
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

/// What the configuration would have refused, a scrape cannot have either; what stands beside a parameter stays.
#[tokio::test(flavor = "multi_thread")]
async fn values_make_no_module_that_would_not_have_loaded() {
    let site = echo().await;
    let config = "modules:
  m:
    prober: http
    http:
      headers: {Accept-Encoding: gzip}
      tls_config: {insecure_skip_verify: true}
      basic_auth: {username: ann, password: hushhush}
      fail_if_body_not_matches_regexp: ['Authorization: Basic']
    params:
      compression: {}
      enable_http3: {}
      body_size_limit: {}
      basic_auth.username: {}
      bearer_token: {}
      proxy_from_environment: {}
      proxy_url: {}
      fail_if_body_matches_regexp: {}
      fail_if_body_json_matches_cel: {}
      tls_config.key: {}
      tls_config.min_version: {}
  i: {prober: icmp, params: {ttl: {}, count: {}, interval: {}}}
  d: {prober: dns, dns: {query_name: a.example}, params: {edns.udp_size: {}, query_class: {}, source_ip_address: {}}}
";
    let exporter = Exporter::start(config, &[]).await;
    let target = site.address;
    #[rustfmt::skip]
    let rows = [
        ("m", "compression=br", "invalid configuration"),
        ("m", "enable_http3=true", "enable_http2 must be set to false"),
        ("m", "enable_http3=yes", "expected true or false"),
        ("m", "enable_http3=%7Btrue%7D", "expected true or false"),
        ("m", "body_size_limit=10", "is not a size"),
        ("m", "bearer_token=abcd", "at most one of"),
        ("m", "proxy_url=http://a:1&proxy_from_environment=true", "proxy_url must not be configured"),
        ("m", "proxy_url=%25", "invalid URL escape"),
        ("m", "fail_if_body_matches_regexp=%28", "missing closing )"),
        ("m", "fail_if_body_matches_regexp=%28%5CpL%7B1000%7D%29", "too large"),
        ("m", "fail_if_body_json_matches_cel=body.", "Syntax error"),
        ("m", "tls_config.key=abc", "client key is configured"),
        ("m", "tls_config.min_version=TLS14", "unknown TLS version"),
        ("i", "ttl=256", "cannot exceed 255"),
        ("i", "ttl=-1", "cannot be negative"),
        ("i", "ttl=1e1", "expected a whole number"),
        ("i", "ttl=null", "expected a whole number"),
        ("i", "ttl=99999999999999999999", "expected a whole number"),
        ("i", "count=1001", "count"),
        ("i", "interval=soon", "is not a duration"),
        ("d", "edns.udp_size=1", "not between 512 and 65535"),
        ("d", "query_class=XX", "is not valid"),
    ];
    for (module, query, reason) in rows {
        let path = format!("/probe?module={module}&target={target}&{query}");
        let refused = exporter.get(&path).await;
        assert_eq!(refused.status, 400, "{query}: {}", refused.text());
        assert!(refused.text().contains(reason), "{query}: {}", refused.text());
    }
    // The password stands beside the name that a scrape sets, and what is not set stays as it was.
    let path = format!("/probe?module=m&target={target}&basic_auth.username=bob&debug=true");
    let answer = exporter.get(&path).await;
    has(answer.text(), ["probe_success 1", "insecure_skip_verify: true"]);
    assert_eq!(
        site.only().header("Authorization"),
        Some("Basic Ym9iOmh1c2hodXNo")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_queries_are_refused_or_without_effect() {
    let site = echo().await;
    let config = "modules:
  m:
    prober: http
    http: {headers: {X-Tenant: red}, fail_if_body_not_matches_regexp: ['X-Tenant: red'], fail_if_body_matches_regexp: [evil]}
    params:
      header.X-Tenant: {matches: '[a-z]+'}
      header.X-Free: {}
      method: {one_of: [GET, POST]}
";
    let exporter = Exporter::start(config, &[]).await;
    let probe = |rest: &str| format!("/probe?module=m&target={}{rest}", site.address);
    for (rest, reason) in [
        (
            "&header.X-Tenant=red&header.X-Tenant=blue",
            "given more than once",
        ),
        (
            "&header.X-Tenant=red&header.X%2dTenant=blue",
            "given more than once",
        ),
        ("&header.X-Free=a%0d%0aX-Evil:%20evil", "control characters"),
        ("&header.X-Free=a%00", "control characters"),
        ("&header.X-Free=a%c2%85", "control characters"),
        ("&header.X-Free=%ff", "not UTF-8"),
        ("&header.X-Free=%f4%8f%b6%80", ""),
        ("&header.X-Tenant=red%0a", "control characters"),
        ("&header.X-Tenant=RED", "does not match [a-z]+"),
        ("&method=GET%20/evil", "must be one of GET, POST"),
    ] {
        let answer = exporter.get(&probe(rest)).await;
        match reason {
            "" => assert_eq!(answer.status, 200, "{rest}: {}", answer.text()),
            _ => assert_eq!(answer.status, 400, "{rest}: {}", answer.text()),
        }
        assert!(answer.text().contains(reason), "{rest}: {}", answer.text());
    }
    // Not what the module lists, in another case, empty, or not to be decoded.
    for rest in [
        "&Method=POST&headers=x&header.X-Evil=evil&http.method=POST&params=x&ip_address=192.0.2.1",
        "&method=&header.X-Tenant=",
        "&header.X-Free=%zz&header.X-Free=%",
        "&header.X-Free=evil;a",
        "&timeout=1ns&debug=&module=other&target=http://evil.invalid",
    ] {
        assert!(exporter.succeeds(&probe(rest)).await, "{rest}");
    }
    let long = "a".repeat(60_000);
    let answer = exporter.get(&probe(&format!("&header.X-Free={long}"))).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().len() < 200,
        "the value is not repeated: {}",
        answer.text()
    );
    let many: String = (0..6000).map(|index| format!("&p{index}=v")).collect();
    let started = Instant::now();
    assert!(exporter.succeeds(&probe(&many)).await);
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    // What looks like YAML is a text.
    for value in [
        "*a",
        "&b",
        "${HOME}",
        "x: y",
        "\u{2028}",
        "'\"\\",
        "!!binary YQ==",
        "[a, b]",
        "null",
    ] {
        let before = site.asked().len();
        assert!(
            exporter
                .succeeds(&probe(&format!("&header.X-Free={}", encoded(value))))
                .await,
            "{value:?}"
        );
        let asked = site.asked();
        assert_eq!(asked[before].header("X-Free"), Some(value), "{value:?}");
    }
}

/// A proxy that a scrape names is judged as one that is configured.
#[tokio::test(flavor = "multi_thread")]
async fn the_policy_judges_a_proxy_of_a_scrape() {
    let (site, proxy) = (echo().await, echo().await);
    let config = "modules: {m: {prober: http, params: {proxy_url: {matches: 'http://[a-z0-9.:]+'}}}}
policy: {deny: {networks: [127.0.0.9/32], names: ['*.denied.invalid']}}
";
    let exporter = Exporter::start(config, &[]).await;
    let probe = |proxy: String| {
        format!(
            "/probe?module=m&target={}&debug=true&proxy_url={proxy}",
            site.address
        )
    };
    let through = exporter.get(&probe(format!("http://{}", proxy.address))).await;
    has(through.text(), ["probe_success 1"]);
    assert!(
        proxy.only().line().starts_with("GET http://"),
        "{:?}",
        proxy.only()
    );
    for denied in ["http://127.0.0.9:1", "http://a.denied.invalid:1"] {
        let refused = exporter.get(&probe(denied.to_owned())).await;
        has(refused.text(), ["reason=policy_refused"]);
    }
    assert!(site.asked().is_empty());
}

/// A secret value stands nowhere: pages, logs, history, JSON, errors, `/metrics`.
#[tokio::test(flavor = "multi_thread")]
async fn secret_values_are_shown_nowhere() {
    let site = echo().await;
    let config = "modules:
  m:
    prober: http
    http: {include_response_body: true, fail_if_body_not_matches_regexp: ['no such thing']}
    params:
      header.X-Code: {secret: true, matches: '[a-z]+', one_of: [hushhush, sesame]}
      valid_status_codes: {secret: true}
      header.X-Open: {}
  d: {prober: dns, dns: {query_name: a.example}, params: {query_name: {secret: true}}}
";
    let exporter = Exporter::start(config, &["--log.prober=debug"]).await;
    let query = format!(
        "module=m&target={}&header.X-Code=hushhush&header.X-Open=opensaid",
        site.address
    );
    let mut shown = vec![
        exporter.get(&format!("/probe?{query}")).await,
        exporter.get(&format!("/probe?{query}&debug=true")).await,
        page(&exporter, &format!("/probe?{query}&debug=true")).await,
        exporter
            .get("/probe?module=d&target=127.0.0.1:1&query_name=hushhush.example&debug=true")
            .await,
    ];
    for refused in [
        "header.X-Code=hushhush1",
        "header.X-Code=hushhushhush",
        "valid_status_codes=hushhush",
    ] {
        let answer = exporter.get(&format!("/probe?module=m&target=x&{refused}")).await;
        assert_eq!(answer.status, 400, "{refused}");
        shown.push(answer);
    }
    for path in [
        "/logs?id=0",
        "/logs?id=1",
        "/logs?id=2",
        "/logs?id=3",
        "/metrics",
        "/config",
    ] {
        shown.push(exporter.get(path).await);
    }
    for path in [
        "/",
        "/?form=m",
        "/logs?id=1",
        &format!("/target?module=m&target={}", site.address),
    ] {
        let answer = page(&exporter, path).await;
        assert_eq!(answer.status, 200, "{path}");
        shown.push(answer);
    }
    for answer in &shown {
        lacks(answer.text(), ["hushhush"]);
    }
    let target = shown.last().unwrap().text();
    has(
        &target,
        [
            "header.X-Open=opensaid",
            "header.X-Code=&#60;secret&#62;",
            "header.X-Code=&#60;secret&#62;&#38;header.X-Open=opensaid&#38;debug=true",
        ],
    );
    lacks(&target, ["Probe it now"]);
    lacks(exporter.log(), ["hushhush"]);
    assert!(
        site.asked()
            .iter()
            .all(|asked| asked.header("X-Code") == Some("hushhush"))
    );
    let short = exporter
        .get("/probe?module=d&target=127.0.0.1:1&query_name=abc")
        .await;
    assert!(
        short.status == 400 && short.text().contains("at least 4 bytes"),
        "{}",
        short.text()
    );
}

/// Targets that differ in a parameter are different targets.
#[tokio::test(flavor = "multi_thread")]
async fn the_pages_know_parameters() {
    let config = "modules:
  m:
    prober: dns
    timeout: 300ms
    dns: {query_name: x.example, transport_protocol: tcp}
    params:
      query_name: {matches: '[a-z.]+', required: true}
      query_type: {one_of: [A, MX]}
      recursion_desired: {}
      dns_over_tls: {}
  plain: {prober: tcp}
";
    let files = folder(&[
        ("blackbox.yml", config),
        (
            "targets.yml",
            "targets: [{name: a, address: '127.0.0.1:1', module: m, params: {query_name: a.example}}]\n",
        ),
    ]);
    let exporter = Exporter::start_in(files, &["--targets.file={dir}/targets.yml"])
        .await
        .unwrap();
    for name in ["a.example", "b.example", "a.example"] {
        exporter
            .get(&format!("/probe?module=m&target=127.0.0.1:1&query_name={name}"))
            .await;
    }
    let home = page(&exporter, "/").await;
    for name in ["query_name=a.example", "query_name=b.example"] {
        let link = format!("target?module=m&#38;target=127.0.0.1:1&#38;{name}\"");
        assert_eq!(home.text().matches(&link).count(), 1, "{name}: {}", home.text());
    }
    let one = page(
        &exporter,
        "/target?module=m&target=127.0.0.1:1&query_name=a.example",
    )
    .await;
    has(
        one.text(),
        [
            "0 passed, 2 failed",
            "&#38;query_name=a.example&#38;debug=true\">Probe it now",
        ],
    );
    // A link from an alert knows nothing of them.
    assert_eq!(
        page(&exporter, "/target?module=m&target=127.0.0.1:1")
            .await
            .status,
        200
    );
    assert_eq!(
        page(
            &exporter,
            "/target?module=m&target=127.0.0.1:1&query_name=c.example"
        )
        .await
        .status,
        404
    );
    has(page(&exporter, "/targets").await.text(), ["query_name=a.example"]);
    let form = page(&exporter, "/?form=m").await;
    let form = form.text();
    for field in [
        "<input name=\"module\" list=\"modules\" value=\"m\"",
        "<fieldset class=\"params\" data-module=\"m\">",
        "<input name=\"query_name\" type=\"text\" maxlength=\"4096\" placeholder=\"matches [a-z.]+\"",
        " required>",
        "<select name=\"query_type\"><option value=\"\">as configured</option><option>A</option><option>MX</option></select>",
        "<select name=\"recursion_desired\"><option value=\"\">as configured</option><option>true</option><option>false</option></select>",
    ] {
        assert!(form.contains(field), "{field}: {form}");
    }
    let other = page(&exporter, "/").await;
    assert!(
        other.text().contains("data-module=\"m\" hidden disabled>") || other.text().contains("value=\"m\""),
        "{}",
        other.text()
    );
    has(other.text(), ["<a href=\"./?form=m\">with parameters</a>"]);
    let secret = "modules: {m: {prober: http, params: {bearer_token: {secret: true, one_of: [hushhush]}}}}\n";
    let exporter = Exporter::start(secret, &[]).await;
    let form = page(&exporter, "/?form=m").await;
    has(form.text(), ["<input name=\"bearer_token\" type=\"password\""]);
    lacks(form.text(), ["hushhush"]);
}

/// As many modules as a caller likes are made, and few are kept.
#[tokio::test(flavor = "multi_thread")]
async fn modules_that_were_made_do_not_pile_up() {
    let config = "modules:
  m:
    prober: http
    http: {fail_if_body_not_matches_regexp: ['GET']}
    params: {header.X-Free: {}, fail_if_body_matches_regexp: {}}
";
    let exporter = Exporter::start(config, &["--history.limit=10"]).await;
    let module = {
        let loaded = exporter.running.exporter.store.current();
        std::sync::Arc::clone(loaded.modules.get("m").unwrap())
    };
    let params = module.params.as_ref().unwrap();
    let asked = |name: &str, value: &str| {
        params.judge(|param| match param == name {
            true => blackbox_exporter::module::Asked::Once(value.to_owned()),
            false => blackbox_exporter::module::Asked::Nothing,
        })
    };
    let mut made = Vec::new();
    for index in 0..600 {
        let value = format!("{index:04000}");
        let values = asked("header.X-Free", &value).unwrap().unwrap();
        let one = params.make(&module, values.clone()).unwrap();
        assert!(params.known(&module, &values).is_some());
        made.push(std::sync::Arc::downgrade(&one));
    }
    let kept = made.iter().filter(|one| one.strong_count() > 0).count();
    // 4 MiB of at least 32 KiB each.
    assert!((1..=128).contains(&kept), "{kept}");
    let values = asked("fail_if_body_matches_regexp", "a{500}").unwrap().unwrap();
    assert!(params.make(&module, values.clone()).is_ok());
    assert!(params.known(&module, &values).is_none(), "of an unknown size");
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

//! What a configuration may say beyond upstream's: parameters of a scrape, references, ranges, raw bytes.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::support::{Exporter, folder};

/// A server that answers every connection with what it was sent, line by line, as a plain page.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && connection.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let length = head.len();
            let _ = write!(
                connection,
                "HTTP/1.1 203 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            let _ = connection.write_all(&head);
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_sets_what_the_module_lists_and_nothing_else() {
    let address = echo();
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
    for (rest, reason) in [
        (
            "&header.X-Tenant=blue1",
            "Parameter \"header.X-Tenant\": it does not match",
        ),
        (
            "&header.X-Tenant=bluered",
            "Parameter \"header.X-Tenant\": it does not match",
        ),
        (
            "&method=POST",
            "Parameter \"method\": it must be one of GET, DELETE",
        ),
        (
            "&valid_status_codes=9xx",
            "Parameter \"valid_status_codes\": \"9xx\" is not a status code",
        ),
    ] {
        let answer = exporter.get(&probe(rest)).await;
        assert_eq!(answer.status, 400, "{rest}");
        assert!(answer.text().contains(reason), "{}", answer.text());
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
    assert!(
        served.text().contains(r#""__param_query_type":"MX""#),
        "{}",
        served.text()
    );
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
        assert!(error.contains(reason), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn references_are_expanded_where_it_is_asked_for() {
    let address = echo();
    let config = "modules:
  m:
    prober: http
    http:
      headers: {X-A: 'token ${file:{dir}/token}'}
      fail_if_body_not_matches_regexp: ['X-A: token h[u]sh']
";
    let files = folder(&[("token", "hush\n")]);
    let config = config.replace("{dir}", &files.path().display().to_string());
    std::fs::write(files.path().join("blackbox.yml"), &config).unwrap();
    let exporter = Exporter::start_in(files, &["--config.expand-environment-variables"])
        .await
        .unwrap();
    let path = format!("/probe?module=m&target={address}");
    assert!(
        exporter.succeeds(&path).await,
        "{}",
        exporter.get(&format!("{path}&debug=true")).await.text()
    );
    for page in ["/config", &format!("{path}&debug=true")] {
        let shown = exporter.get(page).await;
        let shown = shown.text();
        let configuration = shown.rsplit("Module configuration:").next().unwrap();
        assert!(
            configuration.contains("${file:") && !configuration.contains("hush"),
            "{shown}"
        );
    }
    let without = Exporter::start(&config, &[]).await;
    assert!(!without.succeeds(&path).await);
    let missing =
        "modules: {m: {prober: http, http: {basic_auth: {username: a, password: '${NO_SUCH_VARIABLE}'}}}}\n";
    let refused = Exporter::try_start(missing, &["--config.expand-environment-variables"]).await;
    assert!(
        refused
            .err()
            .unwrap()
            .contains("the environment has no variable NO_SUCH_VARIABLE")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_of_status_codes_and_raw_bytes() {
    let address = echo();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let raw = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut got = [0; 5];
            let _ = connection.read_exact(&mut got);
            let _ = connection.write_all(if got == *b"\x00\xffabc" {
                b"\x01\x02"
            } else {
                b"no"
            });
            // What follows would be a line break.
            let more = connection.read(&mut got).unwrap_or(0);
            assert_eq!(more, 0);
        }
    });
    let config = "modules:
  range: {prober: http, http: {valid_status_codes: [404, 200-299]}}
  class: {prober: http, http: {valid_status_codes: [2xx]}}
  other: {prober: http, http: {valid_status_codes: [3xx, 204-299]}}
  raw: {prober: tcp, timeout: 20s, tcp: {query_response: [{send_hex: 00 FF}, {send: abc, no_newline: true}, {expect_hex: '0102'}]}}
";
    let exporter = Exporter::start(config, &[]).await;
    for (module, good) in [("range", true), ("class", true), ("other", false)] {
        let path = format!("/probe?module={module}&target={address}");
        assert_eq!(exporter.succeeds(&path).await, good, "{module}");
    }
    assert!(
        exporter
            .succeeds(&format!("/probe?module=raw&target={raw}"))
            .await
    );
    let shown = exporter.get("/config").await;
    for text in ["- 200-299", "- 2xx", "send_hex: 00 ff", "no_newline: true"] {
        assert!(shown.text().contains(text), "{text} in {}", shown.text());
    }
}

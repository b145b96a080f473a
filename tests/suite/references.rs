//! `--config.expand-environment-variables`: where references are replaced, and what is shown of them.

use blackbox_exporter::config::{self, LoadError, Options};
use blackbox_exporter::module::load::parse_with;

use crate::extensions::echo;
use crate::support::{Exporter, folder, has, lacks};

/// What is wrong with a configuration in which references are replaced.
fn problems(text: &str) -> Vec<String> {
    let options = Options {
        expand: true,
        ..Options::default()
    };
    match parse_with(text, "blackbox.yml", options) {
        Err(LoadError::Invalid(invalid)) => invalid.problems.iter().map(ToString::to_string).collect(),
        loaded => loaded.map(|_| Vec::new()).unwrap(),
    }
}

/// The fields in which references are replaced, whatever the module is called.
#[test]
fn the_field_decides_where_references_are_replaced() {
    #[rustfmt::skip]
    let replaced = [
        "http: {headers: {X-A: 'a ${UNSET} b'}}",
        "http: {headers: {Authorization: 'Bearer ${UNSET}'}}",
        "http: {body: '${UNSET}'}",
        "http: {basic_auth: {username: '${UNSET}'}}",
        "http: {basic_auth: {username: a, password: '${UNSET}'}}",
        "http: {authorization: {credentials: '${UNSET}'}}",
        "http: {authorization: {type: '${UNSET}', credentials: a}}",
        "http: {bearer_token: '${UNSET}'}",
        "http: {proxy_url: 'http://${UNSET}:3128'}",
        "http: {proxy_url: 'http://p', proxy_connect_header: {X-A: ['${UNSET}']}}",
        "http: {http_headers: {X-A: {values: ['${UNSET}']}}}",
        "http: {http_headers: {X-A: {secrets: ['${UNSET}']}}}",
        "http: {tls_config: {key: '${UNSET}'}}",
        "http: {oauth2: {client_id: '${UNSET}', token_url: 'http://t'}}",
        "http: {oauth2: {client_id: a, client_secret: '${UNSET}', token_url: 'http://t'}}",
        "http: {oauth2: {client_id: a, client_certificate_key: '${UNSET}', token_url: 'http://t'}}",
        "http: {oauth2: {client_id: a, token_url: '${UNSET}'}}",
        "http: {oauth2: {client_id: a, token_url: 'http://t', endpoint_params: {a: '${UNSET}'}}}",
        "http: {oauth2: {client_id: a, token_url: 'http://t', scopes: ['${UNSET}']}}",
        "http: {oauth2: {client_id: a, token_url: 'http://t', audience: '${UNSET}', iss: i}}",
        "tcp: {proxy_url: 'socks5://${UNSET}'}",
        "tcp: {proxy_url: 'socks5://p', proxy_username: '${UNSET}'}",
        "tcp: {proxy_url: 'socks5://p', proxy_username: u, proxy_password: '${UNSET}'}",
        "grpc: {metadata: {a: ['${UNSET}']}}",
        "resolver: 'https://dns/${UNSET}'",
        "resolver: 'https://dns', resolver_tls_config: {key: '${UNSET}'}",
        "dns: {server: '${UNSET}'}",
        "websocket: {headers: {X-A: {values: ['${UNSET}']}}}",
        "websocket: {http_config: {bearer_token: '${UNSET}'}}",
    ];
    #[rustfmt::skip]
    let kept = [
        "http: {method: '${UNSET}'}",
        "http: {headers: {'${UNSET}': a}}",
        "http: {basic_auth: {username_file: '${UNSET}', password_file: '${UNSET}'}}",
        "http: {authorization: {credentials_file: '${UNSET}'}}",
        "http: {http_headers: {X-A: {files: ['${UNSET}']}}}",
        "http: {oauth2: {client_id: a, token_url: 'http://t', claims: {'${UNSET}': '${UNSET}'}}}",
        "http: {fail_if_header_matches: [{header: Cookie, regexp: '${UNSET}'}]}",
        "http: {tls_config: {server_name: '${UNSET}'}}",
        "tcp: {query_response: [{send: 'got ${UNSET}', expect: '${UNSET}', labels: [{name: token, value: '${UNSET}'}]}]}",
        "websocket: {query_response: [{send: '${UNSET}'}]}",
        "dns: {query_name: '${UNSET}'}",
        "params: {body: {one_of: ['${UNSET}']}}",
        "params: {header.X-Token: {one_of: ['${UNSET}'], secret: true}}",
    ];
    for name in [
        "m",
        "token_greet",
        "body",
        "headers",
        "metadata",
        "claims",
        "keys",
        "key",
        "oauth",
        "cookie_check",
        "password-check",
    ] {
        let module = |section: &str| format!("modules: {{{name}: {{prober: http, {section}}}}}\n");
        for section in replaced {
            let text = module(section);
            let found = problems(&text);
            assert!(
                found
                    .iter()
                    .any(|one| one.contains("the environment has no variable UNSET")),
                "{text}{found:?}"
            );
        }
        for section in kept {
            let text = module(section);
            assert_eq!(problems(&text), Vec::<String>::new(), "{text}");
        }
    }
}

/// References are shown where they were written, and nowhere else.
#[test]
fn references_are_shown_where_they_were_written() {
    let files = folder(&[
        ("method", "POST"),
        ("time", "5s"),
        ("name", "ann"),
        ("host", "u:pw@proxy"),
        ("nested", "${file:/no/such/file}"),
    ]);
    let text = "modules:
  m:
    prober: http
    timeout: 5s
    http:
      method: POST
      body: '${file:{dir}/nested}'
      headers:
        X-E: ${file:{dir}/method}
        X.T: ${file:{dir}/time}
        Cookie: ${file:{dir}/method}
      http_headers:
        X-L:
          values: [~, POST, '${file:{dir}/method}', ~, ann]
      fail_if_body_matches_regexp: [POST]
      proxy_url: http://${file:{dir}/host}:1
      oauth2:
        client_id: ${file:{dir}/name}
        client_secret: ${file:{dir}/name}
        token_url: http://u:${file:{dir}/name}@t
        endpoint_params: {a: ann, b: 'x${file:{dir}/name}'}
        proxy_url: http://ann:literal${file:{dir}/name}@${file:{dir}/name}:1
  plain: {prober: http, http: {method: POST}}
";
    let text = text.replace("{dir}", &files.path().display().to_string());
    let options = Options {
        expand: true,
        ..Options::default()
    };
    let parsed = config::parse_with(&text, options);
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    let module = parsed.config.modules["m"].as_ref().unwrap();
    assert_eq!(module.http.body, b"${file:/no/such/file}");
    for shown in [
        config::write::config(&parsed.config),
        config::write::module(module),
        config::write::draft("m", module),
    ] {
        let shown = shown.replace(&files.path().display().to_string(), "D");
        #[rustfmt::skip]
        has(&shown, [
            "timeout: 5s",
            " method: POST",
            "body: ${file:D/nested}",
            "X-E: ${file:D/method}",
            "X.T: ${file:D/time}",
            "Cookie: <secret>",
            "client_id: ${file:D/name}",
            "client_secret: <secret>",
            "token_url: http://u:${file:D/name}@t",
            "a: ann",
            "b: x${file:D/name}",
            "proxy_url: http://<secret>@${file:D/name}:1",
            "proxy_url: http://${file:D/host}:1",
        ]);
        let flat: String = shown.split_whitespace().collect();
        has(
            &flat,
            [
                "values:-POST-${file:D/method}-ann",
                "fail_if_body_matches_regexp:-POST",
            ],
        );
        lacks(&shown, ["literal", "pw"]);
    }
    has(config::write::config(&parsed.config), ["method: POST"]);
}

/// What a peer repeats of a reference's value is hidden like a secret, unless it is short.
#[tokio::test(flavor = "multi_thread")]
async fn values_of_references_are_hidden() {
    let address = echo();
    let files = folder(&[
        ("long", "hush-hush-1\n"),
        ("short", "POST"),
        ("text", "a \"quoted\" hush-2"),
        ("password", "h4sh"),
        (
            "blackbox.yml",
            "modules:
  header:
    prober: http
    http:
      include_response_body: true
      headers: {X-A: 'got ${file:{dir}/long}', X-B: 'of ${file:{dir}/short}', X-C: '${file:{dir}/text}'}
      fail_if_body_matches_regexp: ['X-A: got h.*', 'X-C: a .*']
  body:
    prober: http
    http:
      method: POST
      include_response_body: true
      body: 'pre ${file:{dir}/long} post ${file:{dir}/short}'
      basic_auth: {username: a, password: '${file:{dir}/password}'}
      fail_if_body_matches_regexp: ['X-A: got h.*', 'pre h.*']
  code:
    prober: http
    http:
      include_response_body: true
      headers: {X-A: 'got ${file:{dir}/long}'}
      valid_status_codes: [200]
    params: {header.X-A: {}, compression: {}, header.Accept-Encoding: {}}
",
        ),
    ]);
    let file = files.path().join("blackbox.yml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("{dir}", &files.path().display().to_string())).unwrap();
    let flags = ["--config.expand-environment-variables", "--log.prober=debug"];
    let exporter = Exporter::start_in(files, &flags).await.unwrap();
    for (module, sent) in [
        ("header", "X-B: of POST"),
        ("body", "pre <secret> post POST"),
        ("code", "X-A: got <secret>"),
    ] {
        let path = format!("/probe?module={module}&target={address}");
        let shown = exporter.get(&format!("{path}&debug=true")).await;
        has(shown.text(), ["<secret>", sent]);
        lacks(shown.text(), ["hush", "h4sh"]);
    }
    let path = format!("/probe?module=code&target={address}&header.X-A=openly");
    let shown = exporter.get(&format!("{path}&debug=true")).await;
    has(shown.text(), ["X-A: openly"]);
    for page in ["/", "/config", "/logs?id=1", "/logs?id=2"] {
        lacks(exporter.get(page).await.text(), ["hush", "h4sh"]);
    }
    lacks(exporter.log(), ["hush", "h4sh"]);
    let command = std::process::Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"))
        .args([
            "probe",
            "-m",
            "header",
            "-o",
            "json",
            "--config.expand-environment-variables",
        ])
        .arg(format!("--config.file={}", exporter.config_file().display()))
        .arg(&address)
        .output()
        .unwrap();
    let said = String::from_utf8(command.stdout).unwrap();
    has(&said, ["response_body", "got <secret>"]);
    lacks(&said, ["hush"]);
}

/// Errors quote references as they were written.
#[tokio::test(flavor = "multi_thread")]
async fn errors_have_references_and_not_their_values() {
    let files = folder(&[("value", "identity-9")]);
    let file = format!("${{file:{}/value}}", files.path().display());
    #[rustfmt::skip]
    let rows = [
        ("http: {compression: gzip, headers: {accept-encoding: '{}'}}", "\"accept-encoding: {}\", \"compression: gzip\""),
        ("http: {proxy_url: 'http://h:{}'}", "what the references in it stand for is not valid here"),
        ("resolver: '{}://x'", "resolver: what the references in it stand for is not valid here"),
        ("resolver: 'udp://x:{}'", "resolver: what the references in it stand for is not valid here"),
        ("http: {proxy_url: '{} ://'}", "what the references in it stand for is not valid here"),
    ];
    for (section, error) in rows {
        let text = format!("modules: {{m: {{prober: http, {section}}}}}\n").replace("{}", &file);
        let found = problems(&text).join("\n");
        has(&found, [error.replace("{}", &file).as_str()]);
        lacks(&found, ["identity-9"]);
    }
    let config =
        "modules: {m: {prober: http, http: {headers: {Accept-Encoding: '{}'}}, params: {compression: {}}}}\n";
    let flags = ["--config.expand-environment-variables"];
    let exporter = Exporter::start(&config.replace("{}'}}", &format!("{file}'}}}}")), &flags).await;
    let answer = exporter.get("/probe?module=m&target=a&compression=br").await;
    has(answer.text(), ["\"Accept-Encoding: ${file:", "compression: br"]);
    lacks(answer.text(), ["identity-9"]);
}

/// A reload reads the files of references again.
#[tokio::test(flavor = "multi_thread")]
async fn reloads_notice_changed_files() {
    let address = echo();
    let files = folder(&[("value", "one")]);
    let (value, file) = (files.path().join("value"), files.path().join("blackbox.yml"));
    let config = format!(
        "modules: {{m: {{prober: http, http: {{include_response_body: true, headers: {{X-A: '${{file:{}}}'}}}}}}}}\n",
        value.display()
    );
    std::fs::write(&file, config).unwrap();
    let exporter = Exporter::start_in(files, &["--config.expand-environment-variables"])
        .await
        .unwrap();
    let path = format!("/probe?module=m&target={address}&debug=true");
    let reload = async || exporter.request("POST", "/-/reload", &[]).await;
    const UNCHANGED: &str = "No changes detected";
    has(exporter.get(&path).await.text(), ["X-A: one"]);
    assert_eq!(reload().await.status, 200);
    assert_eq!(exporter.log().matches(UNCHANGED).count(), 1);
    std::fs::write(&value, "two").unwrap();
    assert_eq!(reload().await.status, 200);
    assert_eq!(exporter.log().matches(UNCHANGED).count(), 1);
    has(exporter.get(&path).await.text(), ["X-A: two"]);
    std::fs::remove_file(&value).unwrap();
    let refused = reload().await;
    assert_eq!(refused.status, 500);
    has(refused.text(), ["http.headers.X-A", "no such file"]);
    let successful = "blackbox_exporter_config_last_reload_successful";
    assert_eq!(exporter.get("/metrics").await.sample(successful), Some(0.0));
    has(exporter.get(&path).await.text(), ["X-A: two"]);
    std::fs::write(&value, "two\n").unwrap();
    assert_eq!(reload().await.status, 200);
    assert_eq!(exporter.log().matches(UNCHANGED).count(), 2);
}

/// A file that was left out for the sake of its references is taken as soon as they can be read.
#[tokio::test(flavor = "multi_thread")]
async fn reloads_notice_files_that_appear() {
    let files = folder(&[
        ("conf.d/a.yml", "modules: {a: {prober: tcp}}\n"),
        ("blackbox.yml", "modules: {b: {prober: tcp}}\n"),
    ]);
    let value = files.path().join("value");
    let config = format!(
        "modules: {{c: {{prober: http, http: {{body: '${{file:{}}}'}}}}}}\n",
        value.display()
    );
    std::fs::write(files.path().join("conf.d/c.yml"), config).unwrap();
    let flags = [
        "--config.file={dir}/conf.d",
        "--config.skip-broken-files",
        "--config.expand-environment-variables",
        "--config.enable-auto-reload",
        "--config.auto-reload-interval=1",
    ];
    let exporter = Exporter::start_in(files, &flags).await.unwrap();
    lacks(exporter.get("/config").await.text(), ["  c:"]);
    std::fs::write(&value, "x").unwrap();
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        if exporter.get("/config").await.text().contains("  c:") {
            return;
        }
    }
    panic!("{}", exporter.log());
}

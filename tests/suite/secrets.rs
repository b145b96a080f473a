//! Secrets: a marker in each secret of the configuration must be on no page, in no log, in no error and in no `{:?}`.
//!
//! What upstream shows by contract stays visible, and is `shown-…` here: headers, parameters and metadata whose names do not
//! say that they are credentials, on `/config` and in the module text of `debug=true`, and the target as the caller wrote it.

use std::process::Command;

use blackbox_exporter::config::files::web::Web;
use blackbox_exporter::module;
use blackbox_exporter::net::url::Url;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http::site::answer;
use crate::support::peer::listen;
use crate::support::tls_peer::Identity;
use crate::support::{Exporter, has};

/// What every secret has in it.
const MARKER: &str = "hush";

/// Where nobody listens.
const NOBODY: &str = "127.0.0.1:1";

/// A module with each secret there is, and a target that makes its probe fail. `{cert}` is a certificate.
#[rustfmt::skip]
const MODULES: [(&str, &str, &str); 20] = [
    (
        "basic",
        "http: {basic_auth: {username: ann, password: hush-basic}, http_headers: {X-A: {secrets: [hush-header]}}}",
        "http://127.0.0.1:1/",
    ),
    ("bearer", "http: {bearer_token: hush-bearer}", "{site}"),
    ("authorization", "http: {authorization: {type: Token, credentials: hush-credentials}}", "{site}"),
    (
        "oauth2",
        "http: {oauth2: {client_id: a, client_secret: hush-client, token_url: 'http://127.0.0.1:1/', proxy_url: 'http://u:hush-tokenproxy@127.0.0.1:1'}}",
        "{site}",
    ),
    ("oauth2_refused", "http: {oauth2: {client_id: a, client_secret: hush-refused, token_url: '{site}'}}", "{site}"),
    (
        "jwt",
        "http: {oauth2: {client_id: a, grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', client_certificate_key: hush-jwt, token_url: '{site}'}}",
        "{site}",
    ),
    ("http_tls", "http: {tls_config: {cert: '{cert}', key: hush-httpkey}}", "https://127.0.0.1:1/"),
    ("no_tls", "http: {basic_auth: {username: ann, password: hush-notls}}", "https://{address}/"),
    (
        "proxy",
        "http: {proxy_url: 'http://u:hush-proxy@{address}', proxy_connect_header: {X-Proxy: [hush-connect]}}",
        "https://127.0.0.1:1/",
    ),
    ("no_proxy", "http: {proxy_url: 'http://u:hush-noproxy@127.0.0.1:1'}", "http://127.0.0.1:1/"),
    ("socks", "http: {proxy_url: 'socks5://u:hush-socks@127.0.0.1:1'}", "http://127.0.0.1:1/"),
    (
        "plain",
        "http: {headers: {X-A: shown-a, Authorization: hush-a, cookie: hush-b, X-Api-Key: hush-c, X-Session-Token: hush-d}}",
        "{site}",
    ),
    (
        "plain_http_headers",
        "http: {http_headers: {X-A: {values: [shown-b]}, X-Secret: {values: [hush-e], files: [/no-such-file]}}}",
        "{site}",
    ),
    (
        "token_url",
        "http: {oauth2: {client_id: a, client_secret: hush-tokenclient, token_url: 'http://tu:hush-tokenurl@127.0.0.1:1/t', endpoint_params: {audience: shown-c, client_assertion: hush-assertion, password: hush-parameter}}}",
        "{site}",
    ),
    (
        "websocket",
        "websocket: {headers: {X-A: {values: [shown-d], secrets: [hush-wsheader]}, Authorization: {values: [hush-wsauth]}}, http_config: {basic_auth: {username: ann, password: hush-ws}, tls_config: {cert: '{cert}', key: hush-wskey}}}",
        "ws://{address}/",
    ),
    ("tcp", "tcp: {tls: true, tls_config: {cert: '{cert}', key: hush-tcpkey}}", "{address}"),
    (
        "tcp_proxy",
        "tcp: {proxy_url: 'socks5://127.0.0.1:1', proxy_username: shown-user, proxy_password: hush-tcpproxy}",
        "{address}",
    ),
    ("tcp_proxy_url", "tcp: {proxy_url: 'socks5h://u:hush-tcpsocks@{address}'}", "127.0.0.1:1"),
    (
        "grpc",
        "grpc: {tls: true, tls_config: {cert: '{cert}', key: hush-grpckey}, metadata: {x-a: [shown-e], authorization: [hush-metadata]}}",
        "{address}",
    ),
    (
        "dns",
        "dns: {query_name: a.test, transport_protocol: tcp, dns_over_tls: true, tls_config: {cert: '{cert}', key: hush-dnskey}}",
        "{address}",
    ),
];

/// What does not load, put in place of `basic_auth: …` of a module: mistakes made in and around a secret.
const MISTAKES: [&str; 14] = [
    "basic_auth: {username: a, pasword: hush}",
    "basic_auth: {username: a, password: [hush]}",
    "basic_auth: {username: a, password: {b: hush}}",
    "basic_auth: hush",
    "basic_auth: {username: a, password: !!int hush}",
    "pasword: hush",
    "bearer_token: hush\n      basic_auth: {username: a, password: hush}",
    "http_headers: {X-A: hush}",
    "http_headers:\n        X-A:\n          secrets: hush",
    "proxy_url: 'http://u:hu/hush@proxy.test:80'",
    "proxy_url: 'http://u:hush/x@proxy.test:80'",
    "proxy_connect_header: {X-A: hush}",
    "tls_config: {key: hush, key_file: b}",
    "tls_config:\n        key: |\n          -----BEGIN PRIVATE KEY-----\n      hush\n          -----END PRIVATE KEY-----",
];

/// Panics when there is a secret in the text, the targets left aside.
fn assert_silent(place: &str, text: &str, targets: &[String]) {
    let text = targets
        .iter()
        .fold(text.to_owned(), |text, target| text.replace(target, "TARGET"));
    if let Some(at) = text.find(MARKER) {
        let around = text.get(at.saturating_sub(200)..(at + 60).min(text.len()));
        panic!("{place} tells a secret: {}", around.unwrap_or(&text));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_told() {
    // It refuses whatever it is asked, a tunnel and a token as well.
    let refuse = |mut stream: TcpStream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(&answer("403 No", &[], "")).await;
    };
    let address = listen(refuse).await.to_string();
    let certificate = Identity::local().authority.replace('\n', "\\n");
    let fill = |text: &str| {
        text.replace("'{cert}'", &format!("\"{certificate}\""))
            .replace("{site}", &format!("http://{address}/"))
            .replace("{address}", &address)
    };
    let mut config = "modules:\n".to_owned();
    for (name, section, _) in MODULES {
        let prober = section.split(':').next().unwrap();
        config.push_str(&format!(
            "  {name}:\n    prober: {prober}\n    timeout: 2s\n    {}\n",
            fill(section)
        ));
    }
    let loaded = module::parse(config.as_str(), "test.yml").unwrap_or_else(|e| panic!("{}", e.quoted()));
    assert_silent(
        "Debug of a configuration",
        &format!("{loaded:?} {loaded:#?}"),
        &[],
    );

    for format in ["logfmt", "json"] {
        let flags = [
            "--log.prober=debug",
            "--log.level=debug",
            &format!("--log.format={format}"),
        ];
        let exporter = Exporter::start(&config, &flags).await;
        let mut targets = vec!["http://u:hush-target@127.0.0.1:1/".to_owned()];
        let mut paths = [
            "/",
            "/config",
            "/metrics",
            "/targets",
            "/probe?module=hus&target=x",
        ]
        .map(str::to_owned)
        .to_vec();
        for (id, (name, _, target)) in MODULES.into_iter().enumerate() {
            let probed = exporter.probe(name, &fill(target)).await;
            assert_eq!(
                probed.sample("probe_success"),
                Some(0.0),
                "{name}: {}",
                probed.text()
            );
            assert_silent(name, probed.text(), &[]);
            paths.push(format!("/logs?id={id}"));
            paths.push(format!("/probe?module={name}&debug=true&target={}", fill(target)));
        }
        for scheme in ["http", "https", "ws"] {
            targets.push(format!("{scheme}://u:hush-target@{address}/"));
        }
        for target in &targets {
            let module = if target.starts_with("ws") {
                "websocket"
            } else {
                "plain"
            };
            assert_silent(target, exporter.probe(module, target).await.text(), &[]);
            paths.push(format!("/probe?module={module}&debug=true&target={target}"));
        }
        for path in &paths {
            for accept in ["text/plain", "text/html"] {
                let answer = exporter.request("GET", path, &[("Accept", accept)]).await;
                assert_silent(&format!("{path} as {accept}"), answer.text(), &targets);
            }
        }
        // By contract, see above.
        let shown = exporter.get("/config").await;
        for text in [
            "shown-a",
            "shown-b",
            "shown-c",
            "shown-d",
            "shown-e",
            "/no-such-file",
            "<secret>",
            "u:xxxxx@",
            "tu:xxxxx@",
        ] {
            assert!(shown.text().contains(text), "{text}");
        }

        for mistake in MISTAKES {
            let broken = format!("{config}  broken:\n    prober: http\n    http:\n      {mistake}\n");
            std::fs::write(exporter.config_file(), broken).unwrap();
            let answer = exporter.request("POST", "/-/reload", &[]).await;
            assert_eq!(answer.status, 500, "{mistake}");
            assert_silent(mistake, answer.text(), &[]);
        }
        let log = exporter.log();
        has(&log, ["Error reloading config", "Probe failed"]);
        assert_silent("the log", &log, &targets);
        assert!(!log.contains("shown-"), "plain headers are on no log");
    }
}

#[test]
fn mistakes_are_quoted_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.yml");
    for mistake in MISTAKES {
        let text = format!("modules:\n  broken:\n    prober: http\n    http:\n      {mistake}\n");
        let error = module::parse(text.as_str(), "broken.yml").unwrap_err();
        assert_silent(
            mistake,
            &format!("{error} {error:?} {error:#?} {}", error.quoted()),
            &[],
        );
        std::fs::write(&file, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"))
            .args(["check-config", file.to_str().unwrap()])
            .output()
            .unwrap();
        let told =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        has(&told, ["broken.yml:"]);
        assert_silent(mistake, &told, &[]);
    }
}

#[tokio::test]
async fn the_web_configuration_keeps_its_secrets() {
    let web = "tls_server_config: {cert: x, key: hush-webkey}\nbasic_auth_users: {ann: hush-password}\n";
    assert_silent("Debug", &format!("{:?}", Web::parse(web).unwrap()), &[]);
    for text in [
        "basic_auth_users: {ann: hush-password}\n",
        "basic_auth_users: hush-password\n",
        "basic_auth_users: {ann: [hush-password]}\n",
        "tls_server_config: {cert: x, key: [hush-webkey]}\n",
        "tls_server_config: {cert: x, key: hush-webkey}\n",
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("web.yml"), text).unwrap();
        std::fs::write(folder.path().join("blackbox.yml"), "modules: {}\n").unwrap();
        let started = Exporter::start_in(folder, &["--web.config.file={dir}/web.yml"]).await;
        let log = started.err().unwrap_or_else(|| panic!("started with {text}"));
        assert_silent(text, &log, &[]);
    }
}

#[test]
fn urls_hide_their_password() {
    let url = Url::parse(&format!("http://u:hush@{NOBODY}/")).unwrap();
    assert_silent("a URL", &format!("{url} {url:?}"), &[]);
}

/// A peer that repeats what it was sent: in a status line, a redirect, a token endpoint's error.
#[tokio::test]
async fn what_a_peer_repeats_is_masked() {
    let there = listen(|mut stream: TcpStream| async move {
        let mut head = vec![0; 16 << 10];
        let length = stream.read(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head[..length]).replace("\r\n", " ");
        let answer = if head.starts_with("POST") {
            format!(
                "HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\n\r\n{{\"error\": \"e\", \"error_description\": \"{head}\"}}"
            )
        } else if head.starts_with("CONNECT") || head.contains("Upgrade: websocket") {
            format!("HTTP/1.1 407 {head}\r\nContent-Length: 0\r\n\r\n")
        } else {
            let escaped =
                percent_encoding::utf8_percent_encode(&head, percent_encoding::NON_ALPHANUMERIC);
            format!(
                "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/?{escaped}&{}\r\nContent-Length: 0\r\n\r\n",
                head.replace(' ', "_")
            )
        };
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    })
    .await;
    let modules = format!(
        "modules:
  proxy: {{prober: http, timeout: 5s, http: {{proxy_url: 'http://ann:hush%40-proxy@{there}', proxy_connect_header: {{X-P: [hush-connect]}}, skip_resolve_phase_with_proxy: true}}}}
  basic: {{prober: http, timeout: 5s, http: {{basic_auth: {{username: ann, password: hush-basic}}}}}}
  bearer: {{prober: http, timeout: 5s, http: {{bearer_token: hush-bearer, http_headers: {{X-A: {{secrets: [hush-header]}}}}, headers: {{X-Api-Key: hush-key}}}}}}
  token: {{prober: http, timeout: 5s, http: {{oauth2: {{client_id: a, client_secret: hush-client, token_url: 'http://{there}/', endpoint_params: {{assertion: hush-assertion}}}}}}}}
  ws: {{prober: websocket, timeout: 5s, websocket: {{http_config: {{basic_auth: {{username: ann, password: hush-ws}}}}, headers: {{X-A: {{secrets: [hush-wsheader]}}}}}}}}
"
    );
    let exporter = Exporter::start(&modules, &["--log.prober=debug", "--log.level=debug"]).await;
    let rows = [
        ("proxy", "https://service.example/".to_owned()),
        ("basic", format!("http://{there}/")),
        ("bearer", format!("http://{there}/")),
        ("token", format!("http://{there}/")),
        ("ws", format!("ws://{there}/")),
    ];
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let mut shown = Vec::new();
    for (module, target) in &rows {
        let path = format!("/probe?module={module}&target={}&debug=true", encode(target));
        let text = exporter.get(&path).await.text().to_owned();
        let log = text.split("Metrics that would").next().unwrap();
        assert!(
            log.contains("<secret>"),
            "{module}: the peer did repeat it: {log}"
        );
        shown.push(text);
        let page = exporter
            .request(
                "GET",
                &format!("/logs?target={}", encode(target)),
                &[("Accept", "text/html")],
            )
            .await;
        shown.push(page.text().to_owned());
    }
    shown.push(exporter.log());
    for text in shown {
        let base64 = [
            "YW5uOmh1c2gtYmFzaWM",
            "YW5uOmh1c2hALXByb3h5",
            "YW5uOmh1c2gtd3M",
            "YTpodXNoLWNsaWVudA",
        ];
        for needle in [MARKER].into_iter().chain(base64) {
            let line = text.lines().find(|line| line.contains(needle));
            assert!(line.is_none(), "{needle}: {line:?}");
        }
    }
}

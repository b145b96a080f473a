//! Credentials: basic, any authorization, files, OAuth2.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use blackbox_exporter::metrics::Metric;
use blackbox_exporter::module::Module;
use blackbox_exporter::net::Network;
use blackbox_exporter::prober::{self, Outcome, ProbeRequest};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::module;
use super::site::{Asked, Site, answer, gzip, ok, read_request, redirect};
use crate::support::{TIMEOUT, has, lacks, log, module as compiled, probe, spawn};

/// With a token of the endpoint at `url`.
fn by_tokens(url: &str) -> String {
    module(&format!(
        "oauth2: {{client_id: me, client_secret: s, token_url: '{url}'}}"
    ))
}

#[tokio::test]
async fn credentials_are_sent_in_upstreams_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "  s3cret\n").unwrap();
    let file = file.display();
    #[rustfmt::skip]
    let rows = [
        ("basic_auth: {username: ann, password: secret}".to_owned(), "", "Basic YW5uOnNlY3JldA=="),
        (format!("basic_auth: {{username: ann, password_file: '{file}'}}"), "", "Basic YW5uOnMzY3JldA=="),
        (format!("bearer_token_file: '{file}'"), "", "Bearer s3cret"),
        ("authorization: {type: ' Token ', credentials: abc}".to_owned(), "", "Token abc"),
        ("basic_auth: {username: ann}".to_owned(), "url:pass@", "Basic dXJsOnBhc3M="),
        ("bearer_token: abc\nheaders: {Authorization: Mine}".to_owned(), "url:pass@", "Mine"),
    ];
    for (more, user, want) in rows {
        let site = Site::answering(ok()).await;
        let outcome = probe(&module(&more), &format!("http://{user}{}/", site.address)).await;
        assert!(outcome.success, "{more}: {:?}", log(&outcome));
        assert_eq!(site.only().header("Authorization"), Some(want), "{more}");
    }
}

#[tokio::test]
async fn a_missing_secret_is_told_and_nothing_is_sent() {
    let site = Site::answering(ok()).await;
    let yaml = module("basic_auth: {username: ann, password_file: /no/such/file}");
    let target = format!("http://{}/", site.address);
    let outcome = probe(&yaml, &target).await;
    let lines = log(&outcome).join("\n");
    let reason = "unable to read basic auth password: unable to read file /no/such/file";
    assert!(!outcome.success && lines.contains(reason), "{lines}");
    assert!(site.asked().is_empty());
}

/// Nobody ever writes to the pipe: opening it as a file would keep a thread forever, probe by probe.
#[tokio::test]
async fn a_file_that_would_never_end_fails_the_probe_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe").display().to_string();
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let site = Site::answering(ok()).await;
    let at = site.address.to_string();
    let ca = format!("tls_config: {{ca_file: '{pipe}'}}");
    #[rustfmt::skip]
    let rows = [
        (module(&format!("bearer_token_file: '{pipe}'")), "authorization credentials"),
        (module(&format!("basic_auth: {{username: a, password_file: '{pipe}'}}")), "basic auth password"),
        (module(&format!("http_headers: {{X-A: {{files: ['{pipe}']}}}}")), "headers file"),
        (module(&format!("body_file: '{pipe}'")), "Error creating request"),
        (module(&ca), "CA cert"),
        (
            module(&format!(
                "oauth2: {{client_id: a, client_secret_file: '{pipe}', token_url: 'http://{at}/'}}"
            )),
            "oauth2 client secret",
        ),
        (format!("prober: tcp\ntcp: {{tls: true, {ca}}}"), "CA cert"),
        (format!("prober: unix\nunix: {{tls: true, {ca}}}"), "CA cert"),
        (format!("prober: grpc\ngrpc: {{tls: true, {ca}}}"), "CA cert"),
        (format!("prober: dns\ndns: {{query_name: a, transport_protocol: tcp, dns_over_tls: true, {ca}}}"), "CA cert"),
        (format!("prober: websocket\nwebsocket: {{http_config: {{{ca}}}}}"), "CA cert"),
        (format!("prober: websocket\nwebsocket: {{http_config: {{bearer_token_file: '{pipe}'}}}}"), "authorization credentials"),
    ];
    for (yaml, step) in rows {
        let started = std::time::Instant::now();
        let scheme = if yaml.contains("websocket") { "ws://" } else { "" };
        let outcome = probe(&yaml, &format!("{scheme}{at}")).await;
        let lines = log(&outcome).join("\n");
        let reason = format!("open {pipe}: not a regular file");
        assert!(
            !outcome.success && lines.contains(&reason) && lines.contains(step),
            "{yaml}: {lines}"
        );
        assert!(started.elapsed() < TIMEOUT / 2, "{yaml}: {lines}");
    }
}

#[tokio::test]
async fn secrets_are_in_no_log() {
    let site = Site::answering(answer("500 Oh", &[], "")).await;
    let yaml =
        module("basic_auth: {username: ann, password: hushhush}\nhttp_headers: {X-A: {secrets: [hushhush]}}");
    for target in [
        format!("http://u:hushhush@{}/", site.address),
        "http://u:hushhush@127.0.0.1:0/".to_owned(),
        "http://u:hushhush@[bad/".to_owned(),
    ] {
        let outcome = probe(&yaml, &target).await;
        let lines = log(&outcome).join("\n");
        lacks(&lines, ["hushhush"]);
        lacks(format!("{:?}", outcome.timeline), ["hushhush"]);
    }
}

/// A token endpoint that grants `token-1`, `token-2`, … each good for `lifetime` seconds.
async fn endpoint(lifetime: u32, accepts: impl Fn(&Asked) -> bool + Send + Sync + 'static) -> Site {
    let granted = AtomicUsize::new(0);
    Site::with(move |asked: &Asked| {
        if !accepts(asked) {
            return answer(
                "401 Unauthorized",
                &["Content-Type: application/json"],
                r#"{"error": "invalid_client"}"#,
            );
        }
        let n = granted.fetch_add(1, Ordering::Relaxed) + 1;
        let body =
            format!(r#"{{"access_token": "token-{n}", "token_type": "bearer", "expires_in": {lifetime}}}"#);
        answer("200 OK", &["Content-Type: application/json"], body)
    })
    .await
}

async fn run(module: &Arc<Module>, target: &str) -> Outcome {
    let request = ProbeRequest {
        target,
        hostname: None,
        timeout: TIMEOUT,
    };
    prober::run(&Network::system(), module, request).await
}

#[tokio::test]
async fn tokens_are_got_with_client_credentials_and_kept() {
    let tokens = endpoint(3600, |_| true).await;
    let site = Site::answering(ok()).await;
    let yaml = module(&format!(
        "oauth2: {{client_id: me, client_secret: 's:p', token_url: '{}', scopes: [a, b], endpoint_params: {{x: 'y z'}}}}",
        tokens.url("/token")
    ));
    let module = compiled(&yaml);
    for _ in 0..3 {
        let outcome = run(&module, &site.url("/")).await;
        assert!(outcome.success, "{:?}", log(&outcome));
    }
    let asked = tokens.only();
    assert_eq!(
        String::from_utf8_lossy(&asked.body),
        "grant_type=client_credentials&scope=a+b&x=y+z"
    );
    assert_eq!(asked.header("Authorization"), Some("Basic bWU6cyUzQXA="));
    assert!(
        asked
            .header("User-Agent")
            .unwrap()
            .starts_with("Blackbox-Exporter/")
    );
    for asked in site.asked() {
        assert_eq!(asked.header("Authorization"), Some("Bearer token-1"));
    }
}

#[tokio::test]
async fn a_token_about_to_expire_is_not_kept() {
    let tokens = endpoint(10, |_| true).await;
    let site = Site::answering(ok()).await;
    let module = compiled(&by_tokens(&tokens.url("/")));
    for n in 1..=2 {
        assert!(run(&module, &site.url("/")).await.success);
        let want = format!("Bearer token-{n}");
        assert_eq!(
            site.asked().last().unwrap().header("Authorization"),
            Some(want.as_str())
        );
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_forgotten() {
    let tokens = endpoint(3600, |_| true).await;
    let site = Site::with(|asked: &Asked| match asked.header("Authorization") {
        Some("Bearer token-1") => answer("401 Unauthorized", &[], ""),
        _ => ok(),
    })
    .await;
    let module = compiled(&by_tokens(&tokens.url("/")));
    assert!(!run(&module, &site.url("/")).await.success);
    assert!(run(&module, &site.url("/")).await.success);
}

/// The token was not shown to the host that says 401.
#[tokio::test]
async fn a_token_that_another_host_did_not_see_is_kept() {
    let tokens = endpoint(3600, |_| true).await;
    let elsewhere = Site::answering(answer("401 Unauthorized", &[], "")).await;
    let to = elsewhere.url("/").replace("127.0.0.1", "localhost");
    let site = Site::with(move |_: &Asked| redirect(&to)).await;
    let module = compiled(&by_tokens(&tokens.url("/")));
    for _ in 0..3 {
        assert!(!run(&module, &site.url("/")).await.success);
    }
    assert_eq!(elsewhere.asked().len(), 3);
    tokens.only();
}

/// The endpoint never answers its second request. Others get their tokens meanwhile, and a target's 401 is reported.
#[tokio::test]
async fn a_token_request_without_response_holds_up_no_other_probe() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tokens = listener.local_addr().unwrap();
    let (silent, is_silent) = tokio::sync::watch::channel(false);
    spawn(async move {
        let mut held = Vec::new();
        for n in 1.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await.unwrap();
            if n == 2 {
                held.push(stream);
                silent.send_replace(true);
                continue;
            }
            let body = format!(r#"{{"access_token": "token-{n}"}}"#);
            let bytes = answer("200 OK", &["Content-Type: application/json"], body);
            stream.write_all(&bytes).await.unwrap();
        }
    });
    // It shows the first token to be refused only when the second request is there.
    let (seen, refuses) = (
        Arc::new(Notify::new()),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let refusing = format!("http://{}/", refuses.local_addr().unwrap());
    let (sees, mut silence) = (Arc::clone(&seen), is_silent.clone());
    spawn(async move {
        let (mut stream, _) = refuses.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        sees.notify_one();
        silence.wait_for(|silent| *silent).await.unwrap();
        let bytes = answer("401 Unauthorized", &[], "");
        stream.write_all(&bytes).await.unwrap();
    });
    let site = Site::answering(ok()).await;
    let module = compiled(&by_tokens(&format!("http://{tokens}/")));
    let refused = async {
        let outcome = run(&module, &refusing).await;
        assert_eq!(outcome.samples.value(Metric::HttpStatusCode), Some(401.0));
    };
    let target = site.url("/");
    let others = async {
        seen.notified().await;
        tokio::select! {
            outcome = run(&module, &target) => panic!("{:?}", log(&outcome)),
            () = async {
                is_silent.clone().wait_for(|silent| *silent).await.unwrap();
                let outcome = run(&module, &target).await;
                assert!(outcome.success, "{:?}", log(&outcome));
            } => {}
        }
    };
    tokio::join!(refused, others);
    assert_eq!(site.only().header("Authorization"), Some("Bearer token-3"));
}

#[tokio::test]
async fn an_endpoint_may_want_the_secret_in_the_form() {
    let tokens = endpoint(3600, |asked| asked.header("Authorization").is_none()).await;
    let site = Site::answering(ok()).await;
    let module = compiled(&by_tokens(&tokens.url("/")));
    let outcome = run(&module, &site.url("/")).await;
    assert!(outcome.success, "{:?}", log(&outcome));
    let asked = tokens.asked();
    assert_eq!(
        String::from_utf8_lossy(&asked[1].body),
        "client_id=me&client_secret=s&grant_type=client_credentials"
    );
}

#[tokio::test]
async fn a_secret_of_any_bytes_reaches_the_endpoint() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    // A no-break space at the end is white space, although what precedes it is no text.
    std::fs::write(&file, b"\xff\xfe \xc3\xa9\xc2\xa0\n").unwrap();
    let tokens = endpoint(3600, |asked| asked.header("Authorization").is_none()).await;
    let site = Site::answering(ok()).await;
    let yaml = module(&format!(
        "oauth2: {{client_id: me, client_secret_file: '{}', token_url: '{}'}}",
        file.display(),
        tokens.url("/")
    ));
    let outcome = probe(&yaml, &site.url("/")).await;
    assert!(outcome.success, "{:?}", log(&outcome));
    let asked = tokens.asked();
    assert_eq!(
        asked[0].header("Authorization"),
        Some("Basic bWU6JUZGJUZFKyVDMyVBOQ=="),
        "me:%FF%FE+%C3%A9"
    );
    assert_eq!(
        String::from_utf8_lossy(&asked[1].body),
        "client_id=me&client_secret=%FF%FE+%C3%A9&grant_type=client_credentials"
    );
}

/// What a probe was about to find out when it was given up must not stay.
#[tokio::test]
async fn a_probe_that_is_given_up_does_not_settle_how_an_endpoint_is_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tokens = listener.local_addr().unwrap();
    let (healthy, stalls) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let (is_healthy, stalled) = (Arc::clone(&healthy), Arc::clone(&stalls));
    spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let asked = read_request(&mut stream).await.unwrap();
            let in_header = asked.header("Authorization").is_some();
            let (status, body) = match (is_healthy.load(Ordering::SeqCst), in_header) {
                (true, true) => ("200 OK", r#"{"access_token": "t", "expires_in": 3600}"#),
                (true, false) => ("401 Unauthorized", r#"{"error": "invalid_client"}"#),
                (false, true) => ("503 Service Unavailable", ""),
                (false, false) => {
                    stalled.notify_one();
                    // Until the other side gives up.
                    read_request(&mut stream).await;
                    continue;
                }
            };
            let bytes = answer(status, &["Content-Type: application/json"], body);
            stream.write_all(&bytes).await.unwrap();
        }
    });
    let site = Site::answering(ok()).await;
    let module = compiled(&by_tokens(&format!("http://{tokens}/")));
    let target = site.url("/");
    tokio::select! {
        outcome = run(&module, &target) => panic!("{:?}", log(&outcome)),
        () = stalls.notified() => {}
    }
    healthy.store(true, Ordering::SeqCst);
    let outcome = run(&module, &target).await;
    assert!(outcome.success, "{:?}", log(&outcome));
}

#[tokio::test]
async fn an_endpoint_may_change_how_it_wants_the_secret() {
    let wants_form = Arc::new(AtomicBool::new(false));
    let form = Arc::clone(&wants_form);
    // No token is kept.
    let tokens = endpoint(1, move |asked| {
        asked.header("Authorization").is_none() == form.load(Ordering::SeqCst)
    })
    .await;
    let site = Site::answering(ok()).await;
    let module = compiled(&by_tokens(&tokens.url("/")));
    assert!(run(&module, &site.url("/")).await.success);
    wants_form.store(true, Ordering::SeqCst);
    assert!(!run(&module, &site.url("/")).await.success);
    assert!(run(&module, &site.url("/")).await.success);
}

#[tokio::test]
async fn redirects_of_an_endpoint_are_followed_as_upstream_does() {
    for (to, requests, said) in [
        ("/there%20", 2, ""),
        ("/%zz", 2, "failed to parse Location header"),
        ("/token", 20, "stopped after 10 redirects"),
    ] {
        let tokens = Site::with(move |asked: &Asked| match asked.path() == "/token" {
            true => redirect(to),
            false => answer(
                "200 OK",
                &["Content-Type: application/json"],
                r#"{"access_token": "t"}"#,
            ),
        })
        .await;
        let site = Site::answering(ok()).await;
        let outcome = probe(&by_tokens(&tokens.url("/token")), &site.url("/")).await;
        let lines = log(&outcome).join("\n");
        assert_eq!(outcome.success, said.is_empty(), "{to}: {lines}");
        assert!(lines.contains(said), "{to}: {lines}");
        assert_eq!(tokens.asked().len(), requests, "{to}");
    }
}

#[tokio::test]
async fn an_answer_beyond_a_mebibyte_is_an_error() {
    let json = |length: usize| {
        let grant = r#"{"access_token": "t", "token_type": "bearer"}"#;
        grant.to_owned() + &" ".repeat(length - grant.len())
    };
    let too_large = "oauth2: the token endpoint's response is larger than 1 MiB";
    for (coding, body, said) in [
        ("identity", json(1 << 20).into_bytes(), ""),
        ("identity", json((1 << 20) + 1).into_bytes(), too_large),
        ("GZIP", gzip(json(1 << 20).as_bytes()), ""),
        ("gzip", gzip(json((1 << 20) + 1).as_bytes()), too_large),
        (
            "gzip",
            json(100).into_bytes(),
            "oauth2: cannot fetch token: invalid gzip header",
        ),
    ] {
        let coding = format!("Content-Encoding: {coding}");
        let headers = ["Content-Type: application/json", &coding];
        let tokens = Site::answering(answer("200 OK", &headers, body)).await;
        let site = Site::answering(ok()).await;
        let yaml = by_tokens(&tokens.url("/"));
        let outcome = probe(&yaml, &site.url("/")).await;
        let lines = log(&outcome).join("\n");
        assert_eq!(outcome.success, said.is_empty(), "{coding}: {lines}");
        assert!(lines.contains(said), "{coding}: {lines}");
        assert_eq!(tokens.asked()[0].header("Accept-Encoding"), Some("gzip"));
    }
}

#[tokio::test]
async fn a_refused_grant_and_an_endpoint_that_is_not_there_are_told() {
    let tokens = endpoint(3600, |_| false).await;
    let site = Site::answering(ok()).await;
    for (url, reason) in [
        (tokens.url("/"), "invalid_client"),
        ("http://127.0.0.1:1/".to_owned(), "oauth2: cannot fetch token"),
        (
            tokens.url("/%zz"),
            "oauth2: cannot fetch token: token_url is not a URL",
        ),
        (
            "http://me:hush/hush@127.0.0.1/".to_owned(),
            "token_url is not a URL",
        ),
    ] {
        let yaml = module(&format!(
            "oauth2: {{client_id: me, client_secret: hushhush, token_url: '{url}'}}"
        ));
        let outcome = probe(&yaml, &site.url("/")).await;
        let lines = log(&outcome).join("\n");
        assert!(!outcome.success && lines.contains(reason), "{lines}");
        lacks(&lines, ["hush"]);
    }
    assert!(site.asked().is_empty());
}

#[tokio::test]
async fn an_assertion_is_signed_for_the_jwt_grant() {
    let key = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&key).unwrap();
    let pem = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der.as_ref());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    std::fs::write(
        &file,
        format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n"),
    )
    .unwrap();
    let tokens = endpoint(3600, |_| true).await;
    let site = Site::answering(ok()).await;
    let yaml = module(&format!(
        "oauth2:\n  client_id: me\n  grant_type: urn:ietf:params:oauth:grant-type:jwt-bearer\n  \
         client_certificate_key_file: '{}'\n  token_url: '{}'",
        file.display(),
        tokens.url("/")
    ));
    let outcome = probe(&yaml, &site.url("/")).await;
    assert!(outcome.success, "{:?}", log(&outcome));
    let body = String::from_utf8(tokens.only().body).unwrap();
    assert!(body.starts_with("assertion=ey"), "{body}");
    assert!(body.ends_with("&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"));
    assert_eq!(site.only().header("Authorization"), Some("Bearer token-1"));
}

/// The websocket prober gets its tokens as the http prober does: kept, forgotten after 401, in no log.
#[tokio::test]
async fn a_token_goes_with_the_handshake_of_a_websocket() {
    let tokens = endpoint(3600, |_| true).await;
    let upgrade = ["Upgrade: websocket", "Connection: Upgrade"];
    let site = Site::with(move |asked: &Asked| match asked.header("Authorization") {
        Some("Bearer token-1") => answer("401 Unauthorized", &[], ""),
        _ => answer("101 Switching Protocols", &upgrade, ""),
    })
    .await;
    let yaml = |url: &str| {
        format!(
            "prober: websocket\nwebsocket:\n  insecure_skip_accept: true\n  http_config:\n    oauth2: {{client_id: me, client_secret: hushhush, token_url: '{url}'}}"
        )
    };
    let module = compiled(&yaml(&tokens.url("/")));
    let target = format!("ws://{}/", site.address);
    for success in [false, true, true] {
        let outcome = run(&module, &target).await;
        assert_eq!(outcome.success, success, "{:?}", log(&outcome));
        let lines = log(&outcome).join("\n");
        lacks(&lines, ["hushhush", "token-1"]);
    }
    let sent: Vec<_> = site
        .asked()
        .iter()
        .map(|asked| asked.header("Authorization").unwrap().to_owned())
        .collect();
    assert_eq!(sent, ["Bearer token-1", "Bearer token-2", "Bearer token-2"]);
    assert!(
        tokens.asked()[0]
            .header("User-Agent")
            .unwrap()
            .starts_with("Blackbox-Exporter/")
    );
    let refusing = endpoint(3600, |_| false).await;
    let outcome = probe(&yaml(&refusing.url("/")), &target).await;
    assert_eq!(outcome.failure.unwrap().reason.name(), "auth_token");
    has(outcome.advice.unwrap(), ["token_url"]);
    assert_eq!(site.asked().len(), 3, "without a token the target is not asked");
}

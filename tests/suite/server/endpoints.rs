//! `/probe` asked rightly and wrongly, and the small endpoints.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{MODULES, REFUSED};
use crate::support::{Exporter, has, lacks};

#[tokio::test]
async fn says_that_it_is_healthy() {
    let exporter = Exporter::start(MODULES, &[]).await;
    for method in ["GET", "POST"] {
        let answer = exporter.request(method, "/-/healthy", &[]).await;
        assert_eq!((answer.status, answer.text()), (200, "Healthy"));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    assert!(exporter.request("HEAD", "/-/healthy", &[]).await.body.is_empty());
}

#[tokio::test]
async fn refuses_what_it_cannot_probe() {
    let exporter = Exporter::start(MODULES, &[]).await;
    #[rustfmt::skip]
    let rows = [
        ("", 400, "Target parameter is missing\n"),
        ("module=tcp_plain&target=", 400, "Target parameter is missing\n"),
        ("module=tcp_plain;target=x", 400, "Target parameter is missing\n"),
        ("module=tcp_plain&target=%zz", 400, "Target parameter is missing\n"),
        ("module=nope&target=x", 400, "Unknown module \"nope\"\n"),
        ("module=a%22b%0Ac&target=x", 400, "Unknown module \"a\\\"b\\nc\"\n"),
        (
            "module=with_host&target=x&hostname=b.test",
            400,
            "host header defined both in module configuration (a.test) and with URL-parameter 'hostname' (b.test)\n",
        ),
    ];
    for (query, status, text) in rows {
        let answer = exporter.get(&format!("/probe?{query}")).await;
        assert_eq!((answer.status, answer.text()), (status, text), "{query}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    let unknown = exporter
        .get("/metrics")
        .await
        .sample("blackbox_module_unknown_total");
    assert_eq!(unknown, Some(2.0));
}

#[tokio::test]
async fn a_failed_probe_is_an_answer() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let answer = exporter.probe("tcp_plain", REFUSED).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.sample("probe_success"), Some(0.0));
    assert_eq!(answer.sample("probe_timeout_seconds"), Some(2.0));
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8; escaping=underscores")
    );
}

#[tokio::test]
async fn tells_of_the_scrapers_timeout_in_gos_words() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let path = format!("/probe?module=tcp_free&target={REFUSED}");
    for (header, outcome) in [
        ("10", Ok(9.5)),
        ("0x1p3", Ok(7.5)),
        ("1_0", Ok(9.5)),
        ("nan", Ok(f64::NAN)),
        (
            "soon",
            Err("strconv.ParseFloat: parsing \"soon\": invalid syntax"),
        ),
        (
            "1e999",
            Err("strconv.ParseFloat: parsing \"1e999\": value out of range"),
        ),
    ] {
        let headers = [("X-Prometheus-Scrape-Timeout-Seconds", header)];
        let answer = exporter.request("GET", &path, &headers).await;
        match outcome {
            Ok(seconds) => {
                let told = answer.sample("probe_timeout_seconds").unwrap();
                assert!(
                    told == seconds || told.is_nan() && seconds.is_nan(),
                    "{header}: {told}"
                );
            }
            Err(reason) => {
                let text = format!("Failed to parse timeout from Prometheus header: {reason}\n");
                assert_eq!((answer.status, answer.text()), (500, text.as_str()));
            }
        }
    }
}

/// `// compat:` in `server/endpoints/probe.rs`.
#[tokio::test]
async fn an_offset_larger_than_the_scrape_timeout_does_not_leave_nothing() {
    let exporter = Exporter::start(MODULES, &["--timeout-offset=5"]).await;
    let path = format!("/probe?module=tcp_free&target={REFUSED}");
    let headers = [("X-Prometheus-Scrape-Timeout-Seconds", "3")];
    let answer = exporter.request("GET", &path, &headers).await;
    assert_eq!(answer.sample("probe_timeout_seconds"), Some(3.0));
}

/// `// compat:` in `config/files/targets.rs`: the second decoding leaves a `+` alone.
#[tokio::test]
async fn a_plus_in_a_target_survives() {
    let exporter = Exporter::start(MODULES, &[]).await;
    exporter.get("/probe?module=tcp_plain&target=a%2Bb%2520c:1").await;
    assert_eq!(exporter.get("/logs?target=a%2Bb%20c:1").await.status, 200);
}

/// `// compat:` in `server/past/debug.rs`.
#[tokio::test]
async fn debug_shows_the_whole_story_whatever_the_log_level() {
    for flags in [&[] as &[_], &["--log.prober=none"], &["--log.level=error"]] {
        let exporter = Exporter::start(MODULES, flags).await;
        let page = exporter
            .get(&format!("/probe?module=tcp_plain&target={REFUSED}&debug=true"))
            .await;
        assert_eq!(page.header("content-type"), Some("text/plain"));
        let text = page.text();
        let story = text
            .split("\n\n\nMetrics that would have been returned:\n")
            .next()
            .unwrap();
        assert!(story.starts_with("Logs for the probe:\ntime="), "{text}");
        assert!(story.contains("level=DEBUG") && story.contains("msg=\"Beginning probe\" module=tcp_plain target=127.0.0.1:1 probe=tcp timeout_seconds=2\n"), "{text}");
        has(
            text,
            ["\nprobe_timeout_seconds 2\n\n\n\nModule configuration:\nprober: tcp\n"],
        );
        assert_eq!(page.body, exporter.get("/logs?id=0").await.body);
    }
}

#[tokio::test]
async fn a_failed_probe_leaves_its_reason_in_the_log_and_none_leaves_nothing() {
    let exporter = Exporter::start(MODULES, &[]).await;
    exporter.probe("tcp_plain", REFUSED).await;
    let log = exporter.log();
    let reason = log
        .lines()
        .find(|line| line.contains("Error dialing TCP"))
        .unwrap();
    has(
        reason,
        ["module=tcp_plain target=127.0.0.1:1 err=", "connection refused"],
    );
    // compat: `none` is ours.
    let exporter = Exporter::start(MODULES, &["--log.prober=none"]).await;
    exporter.probe("tcp_plain", REFUSED).await;
    lacks(exporter.log(), ["tcp_plain"]);
}

#[tokio::test]
async fn hostile_texts_stay_on_their_line_and_in_their_cell() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let target = format!(
        "<script>alert('x')</script>\"\u{1b}[31m\nlevel=INFO msg=forged {}",
        "x".repeat(30_000)
    );
    exporter.probe("tcp_plain", &target).await;
    let log = exporter.log();
    assert!(!log.lines().any(|line| line.starts_with("level=INFO msg=forged")));
    assert!(!log.contains('\u{1b}'));
    let page = exporter.get("/").await;
    has(page.text(), ["&lt;script&gt;"]);
    lacks(page.text(), ["<script>alert"]);
    let logs = exporter.get("/logs?id=0").await;
    assert_eq!(logs.header("content-type"), Some("text/plain"));
    assert!(
        !logs
            .text()
            .lines()
            .any(|line| line.starts_with("level=INFO msg=forged"))
    );
}

/// `// compat:` in `server/mod.rs`.
#[tokio::test]
async fn there_are_no_profiles() {
    let exporter = Exporter::start(MODULES, &[]).await;
    for path in ["/debug/pprof", "/debug/pprof/", "/debug/pprof/heap"] {
        assert_eq!(exporter.get(path).await.status, 404);
    }
}

#[tokio::test]
async fn answers_below_a_prefix() {
    let flags = [
        "--web.external-url=http://outside.test/shown",
        "--web.route-prefix=pre/",
    ];
    let exporter = Exporter::start(MODULES, &flags).await;
    for (path, status, location) in [
        ("/", 302, Some("http://outside.test/shown")),
        ("/pre", 307, Some("/pre/")),
        ("/pre/-/healthy", 200, None),
        ("/pre//metrics", 307, Some("/pre/metrics")),
        ("/pre/%70robe", 400, None),
        ("/-/healthy", 404, None),
    ] {
        let answer = exporter.get(path).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (status, location),
            "{path}"
        );
    }
}

#[tokio::test]
async fn starts_with_what_is_wrong_in_the_log() {
    #[rustfmt::skip]
    let rows = [
        ("modules: {a: {prober: pigeon}}", &[] as &[_], "Error loading config"),
        (MODULES, &["--web.listen-address=nonsense"], "failed to determine external URL"),
        (MODULES, &["--web.listen-address=127.0.0.1:99999"], "Error starting HTTP server"),
        (MODULES, &["--web.external-url='http://a/'"], "URL must not begin or end with quotes"),
        (MODULES, &["--web.systemd-socket"], "Cannot automatically infer external URL"),
        (MODULES, &["--web.config.file={dir}/none.yml"], "no such file or directory"),
    ];
    for (config, flags, words) in rows {
        let log = Exporter::try_start(config, flags)
            .await
            .err()
            .expect("it does not start");
        assert!(
            log.contains("level=ERROR") && log.contains(words),
            "{flags:?}: {log}"
        );
    }
}

#[tokio::test]
async fn odd_requests_are_answered_as_by_go() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let refused = |words: &str| {
        format!(
            "HTTP/1.1 {words}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n{words}"
        )
    };
    let healthy = "HTTP/1.1 200 OK\r\n".to_owned();
    let rest = "Host: h\r\nConnection: close\r\n\r\n";
    #[rustfmt::skip]
    let rows = [
        ("GET /-/healthy HTTP/1.1\r\n\r\n".to_owned(), refused("400 Bad Request: missing required Host header")),
        ("GET /-/healthy HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), refused("400 Bad Request: malformed Host header")),
        (format!("GET /-/healthy HTTP/2.0\r\n{rest}"), refused("505 HTTP Version Not Supported: unsupported protocol version")),
        (format!("GET /-/healthy HTTP/0.9\r\n{rest}"), refused("505 HTTP Version Not Supported: unsupported protocol version")),
        (format!("GET /%zz HTTP/1.1\r\n{rest}"), refused("400 Bad Request")),
        // The target is judged before the headers.
        ("GET /%zz HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), refused("400 Bad Request")),
        ("GET /%zz HTTP/1.1\r\n\r\n".to_owned(), refused("400 Bad Request")),
        ("GET http://h:bad/ HTTP/1.1\r\n\r\n".to_owned(), refused("400 Bad Request")),
        ("GET nonsense HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), refused("400 Bad Request")),
        (format!("GET http://u:%zz@h/-/healthy HTTP/1.1\r\n{rest}"), refused("400 Bad Request")),
        (format!("GET 1http://h/-/healthy HTTP/1.1\r\n{rest}"), refused("400 Bad Request")),
        ("CONNECT /-/healthy HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(), healthy.clone()),
        (format!("GET nonsense HTTP/1.1\r\n{rest}"), refused("400 Bad Request")),
        (format!("GET / HTTP/1.1\r\nX(: y\r\n{rest}"), refused("400 Bad Request")),
        (format!("GET http://h:bad/-/healthy HTTP/1.1\r\n{rest}"), refused("400 Bad Request")),
        (format!("GET http:///-/healthy HTTP/1.1\r\n{rest}"), healthy.clone()),
        (format!("GET /-/healthy HTTP/1.2\r\n{rest}"), healthy.clone()),
        (format!("GET http://h?x=1 HTTP/1.1\r\n{rest}"), "HTTP/1.1 307 Temporary Redirect\r\n".to_owned()),
        (format!("CONNECT h:80 HTTP/1.1\r\n{rest}"), "HTTP/1.1 404 Not Found\r\n".to_owned()),
    ];
    for (request, want) in rows {
        let answer = exporter.raw(request.as_bytes()).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&want), "{request:?}: {answer}");
    }
    // A fragment is part of the path.
    let answer = exporter
        .raw(format!("GET /-/healthy#x HTTP/1.1\r\n{rest}").as_bytes())
        .await;
    assert!(!String::from_utf8_lossy(&answer).ends_with("Healthy"));
}

/// As in Go's server: the response waits for the body, and the connection goes on behind it.
#[tokio::test]
async fn a_body_that_nobody_reads_is_read() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let long = "x".repeat(100_000);
    let too_long = "x".repeat(300_000);
    #[rustfmt::skip]
    let rows = [
        // Framing, the body, whether the connection goes on.
        ("Content-Length: 3", "abc", true),
        ("Content-Length: 8", "#\nabc\r\n\n", true),
        ("Content-Length: 100000", &long, true),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\nX: y\r\n\r\n", true),
        ("Transfer-Encoding: chunked", "3\r\nabcd\r\n0\r\n\r\n", false),
        ("Content-Length: 300000", &too_long, false),
        ("Content-Length: 3\r\nExpect: 100-continue", "", false),
    ];
    for (framing, body, goes_on) in rows {
        let mut stream = TcpStream::connect(exporter.address).await.unwrap();
        let head = format!("POST /-/healthy HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        if !body.is_empty() {
            let early = timeout(Duration::from_millis(50), stream.read_u8()).await;
            assert!(early.is_err(), "{framing}");
        }
        // It may end before all of it is read.
        let _ = stream.write_all(body.as_bytes()).await;
        let _ = stream
            .write_all(b"GET /-/healthy HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            .await;
        let mut answers = Vec::new();
        let _ = stream.read_to_end(&mut answers).await;
        let answers = String::from_utf8_lossy(&answers);
        let closes = answers
            .split("Healthy")
            .next()
            .unwrap()
            .contains("Connection: close");
        assert_eq!(
            (answers.matches("Healthy").count(), closes),
            if goes_on { (2, false) } else { (1, true) },
            "{framing}: {answers}"
        );
    }
}

#[tokio::test]
async fn a_response_that_ends_the_connection_waits_for_no_body() {
    let exporter = Exporter::start(MODULES, &[]).await;
    for (target, header, status) in [
        ("/-/healthy", "Host: h\r\nConnection: close", "200"),
        ("/%zz", "Host: h", "400"),
        ("/-/healthy", "Host: a b", "400"),
        ("/-/healthy", "Host: h\r\nExpect: it", "417"),
    ] {
        let mut stream = TcpStream::connect(exporter.address).await.unwrap();
        let head = format!("POST {target} HTTP/1.1\r\n{header}\r\nContent-Length: 5\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = timeout(Duration::from_secs(10), stream.read_to_string(&mut answer));
        read.await.expect(target).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[tokio::test]
async fn a_redirect_to_the_external_url_has_its_credentials() {
    let flags = [
        "--web.external-url=http://a:b@outside.test/pre",
        "--log.level=debug",
    ];
    let exporter = Exporter::start(MODULES, &flags).await;
    let answer = exporter.get("/").await;
    assert_eq!(answer.header("location"), Some("http://a:b@outside.test/pre"));
    lacks(exporter.log(), ["a:b@"]);
}

#[tokio::test]
async fn targets_are_compressed_and_sent_once() {
    use std::io::Read as _;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("blackbox.yml"), MODULES).unwrap();
    let targets: String = (0..3000)
        .map(|n| format!("- {{name: n{n}, address: '192.0.2.1:{n}', module: tcp_plain}}\n"))
        .collect();
    let targets = format!("targets:\n{targets}");
    std::fs::write(folder.path().join("targets.yml"), &targets).unwrap();
    let flags = ["--targets.file={dir}/targets.yml"];
    let exporter = Exporter::start_in(folder, &flags).await.unwrap();
    let plain = exporter.get("/targets").await;
    assert_eq!((plain.status, plain.header("content-encoding")), (200, None));
    let text = plain.body.clone();
    let list: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 3000);
    let tag = plain.header("etag").unwrap().to_owned();
    let small = exporter
        .request("GET", "/targets", &[("Accept-Encoding", "gzip")])
        .await;
    assert_eq!(small.header("content-encoding"), Some("gzip"));
    assert_eq!(small.header("etag"), Some(&*tag));
    let small = small.body;
    assert!(small.len() * 10 < text.len(), "{} of {}", small.len(), text.len());
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*small)
        .read_to_end(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, text);
    let known = [("If-None-Match", &*format!("\"x\", {tag}"))];
    let known = exporter.request("GET", "/targets", &known).await;
    assert_eq!(
        (known.status, known.body.len(), known.header("content-length")),
        (304, 0, None)
    );
    // Another list, another tag.
    std::fs::write(
        exporter.folder().join("targets.yml"),
        "targets: [{name: one, address: a, module: tcp_plain}]\n",
    )
    .unwrap();
    assert_eq!(exporter.request("POST", "/-/reload", &[]).await.status, 200);
    let other = exporter
        .request("GET", "/targets", &[("If-None-Match", &tag)])
        .await;
    assert_eq!(other.status, 200);
    assert_ne!(other.header("etag"), Some(&*tag));
}

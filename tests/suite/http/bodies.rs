//! Bodies: compression, limits, lengths, and how much of them is kept.

use std::time::Duration;

use blackbox_exporter::metrics::Metric;
use blackbox_exporter::reason::Reason;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::module;
use super::site::{Site, answer, gzip, ok, read_request};
use crate::support::peer::{Peer, send};
use crate::support::{Exporter, has, lacks, log, probe, spawn};

fn compressed(coding: &str) -> Vec<u8> {
    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    let text = "Hello, hello! ".repeat(1000);
    match coding {
        "gzip" => gzip(text.as_bytes()),
        "deflate" => {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        // Made by Python's brotli.
        "br" => b"\xe2\xd5\x06\xbf\x91\xda\x68\x5e\xcb\xa8\x41\x90\xca\xd0\x34\xdb\x5b\x08\xcb\x78\x30\x1e\x80\xcb\x05\xc0\xe8\x1c\x0d".to_vec(),
        _ => text.into_bytes(),
    }
}

/// A body that stops within its first bytes is late, and not wrong.
#[tokio::test]
async fn a_head_of_gzip_that_does_not_come_is_awaited() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08";
    let peer = Peer::play(vec![send(head)]).await;
    let yaml = format!("timeout: 300ms\n{}", module("compression: gzip"));
    let outcome = probe(&yaml, &format!("http://{}/", peer.target())).await;
    let reason = outcome.failure.as_ref().map(|failure| failure.reason);
    assert_eq!(reason, Some(Reason::RequestTimeout), "{:?}", log(&outcome));
}

#[tokio::test]
async fn compression_must_be_what_is_configured() {
    for coding in ["gzip", "deflate", "br", "identity"] {
        let body = compressed(coding);
        let site = Site::answering(answer("200 OK", &[], &body)).await;
        let yaml = module(&format!(
            "compression: {coding}\nfail_if_body_not_matches_regexp: ['hello! $']"
        ));
        let outcome = probe(&yaml, &site.url("/")).await;
        assert!(outcome.success, "{coding}: {:?}", log(&outcome));
        let values = [Metric::HttpContentLength, Metric::HttpUncompressedBodyLength];
        let values = values.map(|metric| outcome.samples.value(metric).unwrap());
        assert_eq!(values, [body.len() as f64, 14_000.0], "{coding}");
        if coding != "identity" {
            let site = Site::answering(answer("200 OK", &[], "plain")).await;
            assert!(!probe(&yaml, &site.url("/")).await.success, "{coding}");
            let site = Site::answering(answer("200 OK", &[], &body[..body.len() - 1])).await;
            assert!(!probe(&yaml, &site.url("/")).await.success, "{coding}, cut");
        }
    }
}

#[tokio::test]
async fn the_limit_counts_what_is_decompressed() {
    let body = compressed("gzip");
    assert!(body.len() < 1000);
    let site = Site::answering(answer("200 OK", &[], &body)).await;
    let yaml = module("compression: gzip\nbody_size_limit: 1000B");
    let outcome = probe(&yaml, &site.url("/")).await;
    assert!(!outcome.success);
    assert_eq!(
        outcome.samples.value(Metric::HttpUncompressedBodyLength),
        Some(1000.0)
    );
    has(log(&outcome).join("\n"), ["request body too large"]);
}

#[tokio::test]
async fn both_kinds_of_checks_see_the_whole_body() {
    let site = Site::answering(answer("200 OK", &[], r#"{"status": "ok"}"#)).await;
    let yaml = module(
        "fail_if_body_not_matches_regexp: ['ok']\nfail_if_body_json_not_matches_cel: body.status == 'ok'",
    );
    let outcome = probe(&yaml, &site.url("/")).await;
    assert!(outcome.success, "{:?}", log(&outcome));
    assert_eq!(outcome.samples.value(Metric::FailedDueToCel), Some(0.0));
}

#[tokio::test]
async fn after_a_101_the_body_is_read_until_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let peer = spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        let head = "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello";
        stream.write_all(head.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let yaml = "prober: http\ntimeout: 300ms\nhttp:\n  preferred_ip_protocol: ip4\n  \
                headers: {Connection: Upgrade, Upgrade: x}\n  valid_status_codes: [101]";
    let outcome = probe(yaml, &format!("http://{address}/")).await;
    peer.abort();
    assert!(!outcome.success);
    assert!(outcome.duration < Duration::from_secs(5));
    assert_eq!(
        outcome.samples.value(Metric::HttpUncompressedBodyLength),
        Some(5.0)
    );
    has(log(&outcome).join("\n"), ["while reading the body"]);
}

#[tokio::test]
async fn compressed_bodies_must_end_where_they_come_to_an_end() {
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    for coding in ["gzip", "deflate", "br"] {
        let body = compressed(coding);
        let whole = format!("{:x}", body.len());
        for (framing, before, after, want) in [
            (format!("Content-Length: {}", body.len()), "", "", true),
            (format!("Content-Length: {}", body.len() + 1), "", "", false),
            (
                "Transfer-Encoding: chunked".to_owned(),
                whole.as_str(),
                "\r\n0\r\n\r\n",
                true,
            ),
            (
                "Transfer-Encoding: chunked".to_owned(),
                whole.as_str(),
                "\r\n",
                false,
            ),
        ] {
            let before = if before.is_empty() {
                String::new()
            } else {
                format!("{before}\r\n")
            };
            let start = format!("{head}{framing}\r\n\r\n{before}");
            let site = Site::answering([start.as_bytes(), &body, after.as_bytes()].concat()).await;
            let outcome = probe(&module(&format!("compression: {coding}")), &site.url("/")).await;
            // Go's decompressor of deflate does not look behind its stream.
            let want = want || coding == "deflate";
            assert_eq!(
                outcome.success,
                want,
                "{coding} {framing} {after:?}: {:?}",
                log(&outcome)
            );
        }
    }
}

/// What is read at once in search of a head is lost, when it is none: chunks that arrive together, and 4096 bytes at most.
#[tokio::test]
async fn a_body_that_is_no_gzip_lacks_its_beginning() {
    for (chunks, want) in [
        (&[5, 6][..], 0.0),
        (&[6000][..], 1904.0),
        (&[4000, 50, 100][..], 54.0),
    ] {
        let mut answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
        for chunk in chunks {
            answer.push_str(&format!("{chunk:x}\r\n{}\r\n", "x".repeat(*chunk)));
        }
        let site = Site::answering(answer + "0\r\n\r\n").await;
        let outcome = probe(&module("compression: gzip"), &site.url("/")).await;
        assert!(!outcome.success);
        let length = outcome.samples.value(Metric::HttpUncompressedBodyLength);
        assert_eq!(length, Some(want), "{chunks:?}");
    }
}

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_download_costs_no_memory() {
    // The figure for 1 GiB is in docs/dependencies.md; this much is enough to see a body that is kept.
    const SIZE: usize = 256 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let peer = spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![b'x'; 64 << 10];
        let mut most = 0;
        for _ in 0..SIZE / piece.len() {
            stream.write_all(&piece).await.unwrap();
            // Now, before whatever was kept is given back.
            most = most.max(resident());
        }
        most
    });
    let before = resident();
    let outcome = probe(
        "prober: http\ntimeout: 60s\nhttp: {preferred_ip_protocol: ip4}",
        &format!("http://{address}/"),
    )
    .await;
    let grown = peer.await.unwrap().saturating_sub(before);
    assert!(outcome.success, "{:?}", log(&outcome));
    assert_eq!(
        outcome.samples.value(Metric::HttpUncompressedBodyLength),
        Some(SIZE as f64)
    );
    // Other tests run in this process meanwhile.
    assert!(grown < 128 << 20, "grew by {grown} bytes");
}

/// The beginning of the body is shown where people look, and nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn the_body_is_shown_where_it_is_asked_for() {
    let text = |start: &str, length: usize| format!("{start}{}", "x".repeat(length - start.len()));
    // body, status, checks, whether it is cut
    #[rustfmt::skip]
    let rows = [
        ("the <b>body</b>\n\u{1b}[31m".to_owned(), "200 OK", "", false),
        ("it failed".to_owned(), "503 Service Unavailable", "", false),
        ("matched".to_owned(), "200 OK", "fail_if_body_matches_regexp: [match]", false),
        (text("whole", 64 << 10), "200 OK", "", false),
        (text("long", (64 << 10) + 1), "200 OK", "", true),
        (text("limited", 5000), "200 OK", "body_size_limit: 4000B", true),
        ("{}".to_owned(), "200 OK", "fail_if_body_json_matches_cel: 'true'", false),
    ];
    for (body, status, checks, cut) in rows {
        let site = Site::answering(answer(status, &[], &body)).await;
        for includes in [true, false] {
            let yaml = module(&format!("include_response_body: {includes}\n{checks}"));
            let outcome = probe(&yaml, &site.url("/")).await;
            let Some(kept) = &outcome.body else {
                assert!(!includes);
                continue;
            };
            assert!(
                includes && body.starts_with(&kept.text),
                "{checks}: {:?}",
                kept.text
            );
            assert_eq!(kept.cut, cut, "{checks}: {}", kept.text.len());
            assert!(!kept.text.is_empty() && kept.text.len() <= 64 << 10);
            assert!(cut || kept.text.len() == body.len(), "{checks}");
        }
    }
    let head = probe(
        &module("include_response_body: true\nmethod: HEAD"),
        &Site::answering(ok()).await.url("/"),
    )
    .await;
    assert_eq!(head.body.map(|body| body.text), Some(String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shown_body_has_no_secrets_and_nothing_active() {
    let body = "<b>you sent hushhush</b>\u{1b}[31m caf\u{e9} \u{0}end";
    let site = Site::answering(answer("200 OK", &[], body)).await;
    let config = "modules:
  m: {prober: http, http: {include_response_body: true, bearer_token: hushhush}}
  plain: {prober: http}
";
    let exporter = Exporter::start(config, &[]).await;
    let scrape = exporter.probe("m", &site.url("/")).await;
    lacks(scrape.text(), ["you sent"]);
    let shown = exporter.get("/logs?id=0").await;
    assert!(
        shown
            .text()
            .ends_with("Response body:\n<b>you sent <secret></b>\\u{1b}[31m caf\u{e9} \\u{0}end\n"),
        "{}",
        shown.text()
    );
    let page = exporter
        .request("GET", "/logs?id=0", &[("Accept", "text/html")])
        .await;
    has(
        page.text(),
        ["&#60;b&#62;you sent &#60;secret&#62;&#60;/b&#62;\\u{1b}[31m"],
    );
    exporter.probe("plain", &site.url("/")).await;
    lacks(exporter.get("/logs?id=1").await.text(), ["you sent"]);
    // The history counts it.
    let exporter = Exporter::start(config, &["--history.max-bytes=200000"]).await;
    let site = Site::answering(answer("200 OK", &[], "y".repeat(60_000))).await;
    for _ in 0..5 {
        exporter.probe("m", &site.url("/")).await;
    }
    let kept = exporter.running.exporter.history.list();
    assert!((1..=3).contains(&kept.len()), "{}", kept.len());
}

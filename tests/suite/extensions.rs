//! What a configuration may say beyond upstream's: references, ranges, raw bytes.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::support::{Exporter, folder, has};

/// A server that answers every connection with what it was sent, line by line, as a plain page.
pub fn echo() -> String {
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
            let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            let _ = connection.read_exact(&mut body);
            head.extend(body);
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
    has(
        refused.err().unwrap(),
        ["the environment has no variable NO_SUCH_VARIABLE"],
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

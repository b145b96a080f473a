//! The target policy, from the configuration to the refused probe.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::Exporter;

const MODULES: &str = "modules:
  tcp: {prober: tcp, tcp: {preferred_ip_protocol: ip4}}
  http: {prober: http, http: {preferred_ip_protocol: ip4}}
  dns: {prober: dns, dns: {query_name: example.org, preferred_ip_protocol: ip4}}
  icmp: {prober: icmp, icmp: {preferred_ip_protocol: ip4}}
  unix: {prober: unix}
";

/// Answers every request with a redirect, or with 200 when there is no place to go; counts the connections.
async fn http_server(
    ip: &str,
    location: Option<String>,
) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, connections) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = seen.send(());
            let answer = match &location {
                Some(to) => format!(
                    "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                ),
                None => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
            };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, connections)
}

/// Whether a probe succeeded, and its log.
async fn probe(exporter: &Exporter, module: &str, target: &str) -> (bool, String) {
    let answer = exporter
        .get(&format!("/probe?module={module}&target={target}&debug=true"))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text().to_owned();
    (text.contains("\nprobe_success 1\n"), text)
}

#[tokio::test]
async fn refused_targets_fail_with_the_reason() {
    let config = format!(
        "{MODULES}policy: {{deny: {{networks: [127.0.0.2], names: [\"*.internal\"], unix_paths: [/run/secret*]}}}}\n"
    );
    let exporter = Exporter::start(&config, &[]).await;
    let (open, _) = http_server("127.0.0.1", None).await;
    let (denied, mut reached) = http_server("127.0.0.2", None).await;
    assert!(probe(&exporter, "tcp", &open.to_string()).await.0);
    let port = denied.port();
    let rows = [
        (
            "tcp",
            format!("127.0.0.2:{port}"),
            "the address is in a network that is denied",
        ),
        (
            "tcp",
            format!("[::ffff:127.0.0.2]:{port}"),
            "the address is in a network that is denied",
        ),
        (
            "http",
            format!("http://127.0.0.2:{port}/"),
            "the address is in a network that is denied",
        ),
        (
            "dns",
            format!("127.0.0.2:{port}"),
            "the address is in a network that is denied",
        ),
        (
            "icmp",
            "127.0.0.2".to_owned(),
            "the address is in a network that is denied",
        ),
        (
            "tcp",
            "db.Internal.:5432".to_owned(),
            "the name db.Internal is denied",
        ),
        ("unix", "/run/secret.sock".to_owned(), "this path is denied"),
    ];
    for (module, target, want) in &rows {
        let (success, text) = probe(&exporter, module, target).await;
        assert!(
            !success && text.contains("refused by the target policy") && text.contains(want),
            "{module} {target}: {text}"
        );
    }
    assert!(reached.try_recv().is_err(), "nothing was sent there");
    let metrics = exporter.get("/metrics").await;
    let refused = metrics.sample("blackbox_exporter_targets_refused_total");
    assert_eq!(refused, Some(rows.len() as f64));
}

#[tokio::test]
async fn redirects_do_not_get_around_it() {
    let (denied, mut reached) = http_server("127.0.0.2", None).await;
    let rows = [
        (
            "deny: {networks: [127.0.0.2]}",
            "the address is in a network that is denied",
        ),
        ("deny: {ports: [PORT]}", "is denied"),
        (
            "allow: {names: [localhost]}",
            "the name 127.0.0.2 is not among those allowed",
        ),
    ];
    for (rules, want) in rows {
        let rules = rules.replace("PORT", &denied.port().to_string());
        let exporter = Exporter::start(&format!("{MODULES}policy: {{{rules}}}\n"), &[]).await;
        let (first, _) = http_server("127.0.0.1", Some(format!("http://{denied}/"))).await;
        let (success, text) = probe(&exporter, "http", &format!("http://localhost:{}/", first.port())).await;
        assert!(!success && text.contains(want), "{rules}: {text}");
        assert!(
            text.contains("\nprobe_http_redirects 1\n"),
            "{rules}: the first hop was allowed: {text}"
        );
    }
    assert!(reached.try_recv().is_err(), "nothing was sent there");
}

#[tokio::test]
async fn a_reload_changes_it() {
    let exporter = Exporter::start(&format!("{MODULES}policy: {{preset: public-only}}\n"), &[]).await;
    let (address, _) = http_server("127.0.0.1", None).await;
    let target = address.to_string();
    let (success, text) = probe(&exporter, "tcp", &target).await;
    assert!(!success && text.contains("not public"), "{text}");
    std::fs::write(exporter.config_file(), MODULES).unwrap();
    assert_eq!(exporter.request("POST", "/-/reload", &[]).await.status, 200);
    assert!(probe(&exporter, "tcp", &target).await.0);
}

/// Another way out of the program than TCP: QUIC has its own socket.
#[tokio::test]
async fn http3_does_not_get_around_it() {
    let modules = "modules:
  http3: {prober: http, timeout: 1s, http: {preferred_ip_protocol: ip4, enable_http3: true, enable_http2: false}}
";
    let there = tokio::net::UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let target = format!("https://{}/", there.local_addr().unwrap());
    let came = || there.try_recv(&mut [0; 2000]).is_ok();
    let deny = format!("{modules}policy: {{deny: {{networks: [127.0.0.2]}}}}\n");
    let exporter = Exporter::start(&deny, &[]).await;
    let (success, text) = probe(&exporter, "http3", &target).await;
    assert!(
        !success && text.contains("the address is in a network that is denied"),
        "{text}"
    );
    assert!(!came(), "nothing was sent there");
    // Nobody answers, but without the policy it would have been asked.
    let exporter = Exporter::start(modules, &[]).await;
    let (_, text) = probe(&exporter, "http3", &target).await;
    let asked = tokio::time::timeout(std::time::Duration::from_secs(30), there.recv(&mut [0; 2000])).await;
    assert!(asked.is_ok(), "{text}");
}

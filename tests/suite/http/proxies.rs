//! Proxies: scripted ones, and real ones where they are installed.

use std::net::SocketAddr;

use blackbox_exporter::metrics::Metric;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use super::site::{Site, answer, ok, redirect};
use crate::support::programs::{find, free_port, start};
use crate::support::{exposition, has, lacks, log, probe, spawn};

fn module(proxy: &str, more: &str) -> String {
    format!(
        "prober: http\ntimeout: 5s\nhttp:\n  preferred_ip_protocol: ip4\n  proxy_url: '{proxy}'\n  {}",
        more.replace('\n', "\n  ")
    )
}

#[tokio::test]
async fn a_forwarding_proxy_gets_the_whole_url() {
    let proxy = Site::answering(answer("200 OK", &[], "from the proxy")).await;
    let url = format!("http://u:p@{}", proxy.address);
    let yaml = module(&url, "skip_resolve_phase_with_proxy: true");
    let outcome = probe(&yaml, "http://only.the-proxy.knows/x?y").await;
    assert!(outcome.success, "{:?}", log(&outcome));
    let asked = proxy.only();
    assert_eq!(asked.line(), "GET http://only.the-proxy.knows/x?y HTTP/1.1");
    assert_eq!(asked.header("Host"), Some("only.the-proxy.knows"));
    assert_eq!(asked.header("Proxy-Authorization"), Some("Basic dTpw"));
    lacks(exposition(&outcome), ["probe_ip_protocol", "phase=\"resolve\""]);
    let away = Site::answering(redirect("ftp://only.the-proxy.knows/")).await;
    let yaml = module(
        &format!("http://{}", away.address),
        "skip_resolve_phase_with_proxy: true",
    );
    let outcome = probe(&yaml, "http://only.the-proxy.knows/").await;
    assert!(!outcome.success);
    has(
        exposition(&outcome),
        ["probe_http_duration_seconds{phase=\"resolve\"} 0\n"],
    );
}

#[tokio::test]
async fn a_proxy_without_a_host_is_on_this_machine() {
    let proxy = Site::answering(ok()).await;
    let yaml = module(
        &format!("http://:{}", proxy.address.port()),
        "skip_resolve_phase_with_proxy: true",
    );
    let outcome = probe(&yaml, "http://only.the-proxy.knows/").await;
    assert!(outcome.success, "{:?}", log(&outcome));
}

#[tokio::test]
async fn no_proxy_goes_direct() {
    let site = Site::answering(ok()).await;
    let yaml = module("http://127.0.0.1:1", "no_proxy: example.com");
    let outcome = probe(&yaml, &site.url("/")).await;
    assert!(
        outcome.success,
        "loopback is never sent to a proxy: {:?}",
        log(&outcome)
    );
    let outcome = probe(&module("http://127.0.0.1:1", ""), &site.url("/")).await;
    let lines = log(&outcome).join("\n");
    has(&lines, ["proxyconnect tcp: dial tcp 127.0.0.1:1"]);
}

#[tokio::test]
async fn a_refused_tunnel_is_told() {
    let proxy = Site::answering("HTTP/1.1 403 Forbidden\r\n\r\n").await;
    let yaml = module(
        &format!("http://{}", proxy.address),
        "proxy_connect_header: {X-A: [one, two]}\nskip_resolve_phase_with_proxy: true",
    );
    let outcome = probe(&yaml, "https://example.invalid/").await;
    let lines = log(&outcome).join("\n");
    has(&lines, ["Forbidden: the proxy answered 403 to CONNECT"]);
    let asked = proxy.only();
    assert_eq!(asked.line(), "CONNECT example.invalid:443 HTTP/1.1");
    assert_eq!(asked.headers("X-A"), ["one", "two"]);
}

#[tokio::test]
async fn headers_for_a_proxy_keep_their_case() {
    let proxy = Site::answering("HTTP/1.1 403 Forbidden\r\n\r\n").await;
    let yaml = module(
        &format!("http://{}", proxy.address),
        "proxy_connect_header: {x-b: [two], User-Agent: [mine], X-A: [one], user-agent: [yours], host: [h]}\nskip_resolve_phase_with_proxy: true",
    );
    probe(&yaml, "https://example.invalid/").await;
    let asked = proxy.only();
    assert_eq!(
        asked.head.lines().skip(1).collect::<Vec<_>>(),
        [
            "Host: example.invalid:443",
            "User-Agent: mine",
            "X-A: one",
            "host: h",
            "user-agent: yours",
            "x-b: two"
        ]
    );
}

/// A SOCKS5 proxy without authentication that connects to whatever it is asked for.
async fn socks() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            spawn(async move {
                let mut greeting = [0; 3];
                client.read_exact(&mut greeting).await.unwrap();
                client.write_all(&[5, 0]).await.unwrap();
                let mut request = [0; 10];
                client.read_exact(&mut request).await.unwrap();
                let ip: [u8; 4] = request[4..8].try_into().unwrap();
                let port = u16::from_be_bytes([request[8], request[9]]);
                let mut target = TcpStream::connect(SocketAddr::from((ip, port))).await.unwrap();
                client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut target).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn socks5_carries_the_request() {
    let site = Site::answering(ok()).await;
    let proxy = socks().await;
    for scheme in ["socks5", "socks5h"] {
        let outcome = probe(&module(&format!("{scheme}://{proxy}"), ""), &site.url("/x")).await;
        assert!(outcome.success, "{:?}", log(&outcome));
    }
    assert_eq!(site.asked()[0].line(), "GET /x HTTP/1.1");
}

#[tokio::test]
async fn a_real_http_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = folder.path().join("tinyproxy.conf");
    let text = format!("Port {port}\nListen 127.0.0.1\nTimeout 10\nMaxClients 10\nAllow 127.0.0.1\n");
    std::fs::write(&config, text).unwrap();
    let Some(program) = find("tinyproxy") else { return };
    let _proxy = start(Command::new(program).args(["-d", "-c"]).arg(&config), port).await;
    let site = Site::answering(ok()).await;
    let outcome = probe(&module(&format!("http://127.0.0.1:{port}"), ""), &site.url("/x")).await;
    assert!(outcome.success, "{:?}", log(&outcome));
    assert_eq!(site.only().path(), "/x");
}

#[tokio::test]
async fn a_real_socks_proxy() {
    let port = free_port();
    let text = port.to_string();
    let arguments = ["-i", "127.0.0.1", "-p", &text, "-u", "ann", "-P", "secret"];
    let Some(program) = find("microsocks") else { return };
    let _proxy = start(Command::new(program).args(arguments), port).await;
    let site = Site::answering(ok()).await;
    let with = |user: &str| module(&format!("socks5://{user}127.0.0.1:{port}"), "");
    let outcome = probe(&with("ann:secret@"), &site.url("/x")).await;
    assert!(outcome.success, "{:?}", log(&outcome));
    assert_eq!(outcome.samples.value(Metric::HttpStatusCode), Some(200.0));
    for wrong in ["ann:wrong@", ""] {
        let outcome = probe(&with(wrong), &site.url("/x")).await;
        assert!(!outcome.success);
        assert!(
            log(&outcome).join("\n").contains("socks connect: "),
            "{:?}",
            log(&outcome)
        );
    }
}

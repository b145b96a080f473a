//! A process's first probe measures the target, and not what the process loads once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::version::TLS13;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::http::site::ok;
use super::support::pki::{Cert, certified, saying, server_config};
use super::support::process::{Process, value};
use super::support::{BUSY, module};

const TLS: &str = "probe_http_duration_seconds{phase=\"tls\"}";

/// A web server that has shaken hands before.
async fn warm_server() -> SocketAddr {
    let own = Cert::leaf().names(&["127.0.0.1"]).self_signed();
    let address = saying(server_config(certified(&[&own]), &[&TLS13]), ok()).await;
    // The handshake fails on the certificate, which is after the server has done everything.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let _ = connector.connect("localhost".try_into().unwrap(), stream).await;
    address
}

/// Of processes' first handshakes the quickest, and the median of the later ones, in milliseconds: a busy machine makes some slow.
fn check(what: &str, processes: &[Vec<f64>]) {
    let least = processes.iter().map(|times| times[0]).fold(f64::MAX, f64::min);
    let mut later: Vec<f64> = processes.iter().flat_map(|times| times[1..].to_vec()).collect();
    later.sort_by(f64::total_cmp);
    let median = later[later.len() / 2];
    assert!(median > 0.0, "{what}: {processes:?}");
    // Pages of the program that nobody has touched before are what is left.
    assert!(
        least < 4.0 * median + 0.01,
        "{what}: {least} s, then {median} s: {processes:?}"
    );
}

/// Only TLS needs the CA certificates, which take a while to read.
#[test]
fn only_tls_gets_ready_for_tls() {
    for (prober, target, wanted) in [
        ("websocket", "ws://h/", false),
        ("websocket", "WSS://h/", true),
        ("http", "http://h/", false),
        ("http", "https://h/", true),
    ] {
        let module = module(&format!("prober: {prober}"));
        assert_eq!(module.kind.tls(target).is_some(), wanted, "{prober} {target}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_handshake_is_as_quick_as_the_others() {
    let _busy = BUSY.lock().await;
    let address = warm_server().await;
    let module =
        "modules: {m: {prober: http, timeout: 20s, http: {tls_config: {insecure_skip_verify: true}}}}";
    let served = tokio::task::spawn_blocking(move || {
        let mut processes = Vec::new();
        for _ in 0..3 {
            let exporter = Process::start(module, &[], "true");
            let path = format!("/probe?module=m&target=https://{address}/");
            processes.push(
                (0..10)
                    .map(|_| value(&exporter.get(&path), TLS))
                    .collect::<Vec<_>>(),
            );
        }
        processes
    });
    check("the exporter", &served.await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_is_not_slower_for_being_cold() {
    let _busy = BUSY.lock().await;
    let url = format!("https://{}/", warm_server().await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("blackbox.yml");
    let module =
        "modules: {m: {prober: http, timeout: 20s, http: {tls_config: {insecure_skip_verify: true}}}}";
    std::fs::write(&file, module).unwrap();
    let mut processes = Vec::new();
    for _ in 0..3 {
        let run = tokio::process::Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"))
            .args([
                "probe",
                "-m",
                "m",
                "--output=json",
                "--concurrency=1",
                "--config.file",
            ])
            .arg(&file)
            .args(std::iter::repeat_n(&url, 10))
            .output();
        let output = tokio::time::timeout(Duration::from_secs(60), run)
            .await
            .unwrap()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let tls = |line: &str| {
            let probe: serde_json::Value = serde_json::from_str(line).unwrap();
            let phases = probe["hops"][0]["phases"].as_array().unwrap();
            let tls = phases.iter().find(|phase| phase["phase"] == "tls");
            tls.unwrap()["seconds"].as_f64().unwrap()
        };
        processes.push(text.lines().map(tls).collect::<Vec<f64>>());
    }
    check("the command line", &processes);
}

//! Targets of the wrong form, files and rights.

use super::Table;
use crate::support::closed;

#[tokio::test]
async fn targets_that_do_not_fit_the_prober() {
    let mut table = Table::new("targets");
    let http = "prober: http\ntimeout: 2s";
    let tcp = "prober: tcp\ntimeout: 2s";
    let icmp = "prober: icmp\ntimeout: 2s";
    #[rustfmt::skip]
    let rows = [
        ("http, `htp://HOST/`", http, "htp://127.0.0.1/"),
        ("http, `ws://HOST/`", http, "ws://127.0.0.1/"),
        ("http, `tcp://HOST:PORT`", http, "tcp://127.0.0.1:1/"),
        ("http, `https//HOST/`", http, "https//127.0.0.1/"),
        ("http, `https://https://HOST/`", http, "https://https://127.0.0.1/"),
        ("http, `ht!tp://HOST/`", http, "ht!tp://127.0.0.1/"),
        ("http, a blank before the URL", http, " http://127.0.0.1/"),
        ("http, a port that is not a number", http, "http://127.0.0.1:abc/"),
        ("http, a percent sign that is not escaped", http, "http://127.0.0.1/%zz"),
        ("http, a URL without a host", http, "http:///"),
        ("http, an empty target", http, ""),
        ("tcp, `https://HOST/`", tcp, "https://127.0.0.1/"),
        ("tcp, `redis://HOST`", tcp, "redis://127.0.0.1"),
        ("tcp, `HOST` without a port", tcp, "127.0.0.1"),
        ("tcp, a bare IPv6 address", tcp, "::1"),
        ("tcp, an IPv6 address and a port without brackets", tcp, "::1:80"),
        ("tcp, an IPv6 address in brackets without a port", tcp, "[::1]"),
        ("tcp, `:PORT` without a host", tcp, ":80"),
        ("tcp, a name for the port that is no service", tcp, "127.0.0.1:htpp"),
        ("tcp, a port that is too large", tcp, "127.0.0.1:70000"),
        ("icmp, `HOST:PORT`", icmp, "127.0.0.1:443"),
        ("icmp, an IPv6 address in brackets", icmp, "[::1]"),
        ("icmp, `https://HOST/`", icmp, "https://127.0.0.1/"),
        ("dns, `udp://HOST`", "prober: dns\ntimeout: 2s\ndns: {query_name: example.com}", "udp://127.0.0.1"),
        ("grpc, `grpc://HOST:PORT`", "prober: grpc\ntimeout: 2s\ngrpc: {}", "grpc://127.0.0.1:1"),
        ("grpc, `dns:///HOST:PORT`", "prober: grpc\ntimeout: 2s\ngrpc: {}", "dns:///127.0.0.1:1"),
        ("unix, `unix:///PATH`", "prober: unix\ntimeout: 2s", "unix:///run/no.sock"),
        ("unix, an abstract socket that nobody has", "prober: unix\ntimeout: 2s", "@no-such-service"),
        ("unix, a relative path", "prober: unix\ntimeout: 2s", "run/no.sock"),
        ("websocket, `https://HOST/`", "prober: websocket\ntimeout: 2s", "https://127.0.0.1/"),
        ("websocket, `wss://wss://HOST/`", "prober: websocket\ntimeout: 2s", "wss://wss://127.0.0.1/"),
    ];
    for (situation, yaml, target) in rows {
        table.row(situation, yaml, target).await;
    }
    table.check();
}

#[tokio::test]
async fn connections_and_files() {
    let mut table = Table::new("connecting");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let hidden = folder.path().display().to_string();
    let hidden = [(hidden.as_str(), "/run")];
    let closed = closed().to_string();
    let tcp = |more: &str| format!("prober: tcp\ntimeout: 5s\ntcp: {{{more}}}");
    table.row("Nothing listens on the port", &tcp(""), &closed).await;
    table
        .row(
            "The source address is not this host's",
            &tcp("source_ip_address: 192.0.2.77"),
            &closed,
        )
        .await;
    table
        .row(
            "The source address is of the other family",
            &tcp("source_ip_address: '::1'"),
            &closed,
        )
        .await;
    table
        .row(
            "The interface does not exist",
            "prober: tcp\ntimeout: 5s\nsource_interface: nope0",
            &closed,
        )
        .await;
    let unix = "prober: unix\ntimeout: 5s";
    table
        .row_without("The socket does not exist", unix, &path("no.sock"), &hidden)
        .await;
    drop(std::os::unix::net::UnixListener::bind(path("old.sock")).unwrap());
    table
        .row_without("Nobody listens on the socket", unix, &path("old.sock"), &hidden)
        .await;
    let missing = tcp(&format!("tls: true, tls_config: {{ca_file: {}}}", path("no.pem")));
    table
        .row_without("A file of tls_config does not exist", &missing, &closed, &hidden)
        .await;
    std::fs::write(path("bad.pem"), "no certificate").unwrap();
    let bad = tcp(&format!(
        "tls: true, tls_config: {{ca_file: {}}}",
        path("bad.pem")
    ));
    table
        .row_without("ca_file holds no certificate", &bad, &closed, &hidden)
        .await;
    let (certificate, _) = crate::support::tls_peer::SelfSigned::local().pem();
    std::fs::write(path("cert.pem"), certificate).unwrap();
    for (situation, label, head) in [
        ("The client's key is encrypted", "ENCRYPTED PRIVATE KEY", ""),
        (
            "The client's key is encrypted in the old form",
            "RSA PRIVATE KEY",
            "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
        ),
    ] {
        std::fs::write(
            path("key.pem"),
            format!("-----BEGIN {label}-----\n{head}MIIB\n-----END {label}-----\n"),
        )
        .unwrap();
        let yaml = tcp(&format!(
            "tls: true, tls_config: {{cert_file: {}, key_file: {}}}",
            path("cert.pem"),
            path("key.pem")
        ));
        table.row_without(situation, &yaml, &closed, &hidden).await;
    }
    table.check();
}

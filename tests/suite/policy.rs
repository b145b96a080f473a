//! The target policy, from the configuration to the refused probe.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::http::site::{Asked, Site, answer, ok, redirect};
use crate::support::{Exporter, lacks, spawn};

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
    spawn(async move {
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
    #[rustfmt::skip]
    let rows = [
        ("tcp", format!("127.0.0.2:{port}"), "the address is in a network that is denied"),
        ("tcp", format!("[::ffff:127.0.0.2]:{port}"), "the address is in a network that is denied"),
        ("http", format!("http://127.0.0.2:{port}/"), "the address is in a network that is denied"),
        ("dns", format!("127.0.0.2:{port}"), "the address is in a network that is denied"),
        ("icmp", "127.0.0.2".to_owned(), "the address is in a network that is denied"),
        ("tcp", "db.Internal.:5432".to_owned(), "the name db.Internal is denied"),
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

/// What leaves by way of somebody else: proxies, token servers, names that the caller gives.
#[tokio::test]
async fn what_others_are_asked_for_is_judged() {
    let proxy = Site::with(|asked: &Asked| match asked.path() {
        path if path.ends_with("/there") => redirect("http://169.254.169.254/latest"),
        path if path.ends_with("/named") => redirect("http://a.internal/"),
        path if path.ends_with("/port") => redirect("http://example.org:22/"),
        _ => ok(),
    })
    .await;
    let tokens = Site::with(|asked: &Asked| match asked.path() {
        "/moved" => answer(
            "307 Temporary Redirect",
            &["Location: http://127.0.0.2:{port}/stolen"],
            "",
        ),
        _ => ok(),
    })
    .await;
    let (port, thief) = (tokens.address.port(), http_server("127.0.0.2", None).await);
    let (mut reached, thief) = (thief.1, thief.0.port());
    let config = format!(
        "modules:
  proxied: {{prober: http, timeout: 10s, http: {{proxy_url: 'http://{proxy}', skip_resolve_phase_with_proxy: true}}}}
  resolved: {{prober: http, timeout: 10s, http: {{proxy_url: 'http://{proxy}', preferred_ip_protocol: ip4}}}}
  plain: {{prober: http, timeout: 10s, http: {{preferred_ip_protocol: ip4}}, params: {{header.host: {{}}, server_name: {{}}}}}}
  asked: {{prober: dns, timeout: 10s, dns: {{query_name: example.org, transport_protocol: tcp}}, params: {{query_name: {{}}}}}}
  moved: {{prober: http, timeout: 10s, http: {{oauth2: {{client_id: a, client_secret: b, token_url: 'http://127.0.0.1:{port}/moved'}}}}}}
  token: {{prober: http, timeout: 10s, http: {{oauth2: {{client_id: a, client_secret: b, token_url: 'http://127.0.0.2:{thief}/'}}}}}}
policy: {{preset: no-link-local, deny: {{networks: [127.0.0.2], names: ['*.internal'], ports: [22]}}}}
",
        proxy = proxy.address
    );
    let exporter = Exporter::start(&config, &[]).await;
    let own = proxy.url("/");
    #[rustfmt::skip]
    let rows = [
        ("proxied", "http://service.example/", None),
        ("proxied", "http://169.254.169.254/", Some("link-local")),
        ("proxied", "http://0xa9fea9fe/", Some("link-local")),
        ("proxied", "https://169.254.169.254/", Some("link-local")),
        ("proxied", "http://a.internal./", Some("the name a.internal is denied")),
        ("proxied", "http://\u{ff41}\u{3002}internal/", Some("is denied")),
        ("proxied", "http://service.example:22/", Some("port 22 is denied")),
        ("proxied", "http://service.example/there", Some("link-local")),
        ("proxied", "http://service.example/named", Some("the name a.internal is denied")),
        ("proxied", "http://service.example/port", Some("port 22 is denied")),
        ("resolved", "http://127.0.0.1:22/", Some("port 22 is denied")),
        ("resolved", "http://127.0.0.1:1/there", Some("link-local")),
        ("plain", own.as_str(), None),
        ("moved", &own, Some("the address is in a network that is denied")),
        ("token", &own, Some("the address is in a network that is denied")),
    ];
    for (module, target, want) in rows {
        let answer = exporter.probe(module, target).await;
        let success = answer.sample("probe_success") == Some(1.0);
        let target = percent_encoding::utf8_percent_encode(target, percent_encoding::NON_ALPHANUMERIC);
        let (_, text) = probe(&exporter, module, &target.to_string()).await;
        let as_wanted =
            want.is_none_or(|want| text.contains("refused by the target policy") && text.contains(want));
        assert!(
            success == want.is_none() && as_wanted,
            "{module} {target}: {text}"
        );
    }
    for (module, name) in [
        ("plain", "hostname"),
        ("plain", "header.host"),
        ("plain", "server_name"),
        ("asked", "query_name"),
    ] {
        let target = if module == "plain" { &own } else { "127.0.0.1:1" };
        let (success, text) = probe(&exporter, module, &format!("{target}&{name}=a.internal")).await;
        assert!(
            !success && text.contains("the name a.internal is denied"),
            "{module} {name}: {text}"
        );
    }
    for name in ["a.inter%5C110al", "a.%5Ci%5Cnternal"] {
        let (success, text) = probe(&exporter, "asked", &format!("127.0.0.1:1&query_name={name}")).await;
        assert!(!success && text.contains("is denied"), "{name}: {text}");
    }
    assert!(reached.try_recv().is_err(), "no secret was sent there");
    let asked = proxy.asked();
    let leaked = asked
        .iter()
        .find(|asked| asked.line().contains("169.254") || asked.line().contains("internal"));
    assert!(leaked.is_none(), "{leaked:?}");
}

/// The path of a unix socket is judged where it leads when it is dialled, and an abstract name whichever way it is written.
#[tokio::test(flavor = "multi_thread")]
async fn unix_sockets_are_judged_as_they_are_dialled() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let (open, secret) = (root.join("open"), root.join("secret.sock"));
    std::fs::create_dir(&open).unwrap();
    let counting = |listener: UnixListener| {
        let count = Arc::<AtomicUsize>::default();
        let seen = Arc::clone(&count);
        std::thread::spawn(move || {
            while listener.accept().is_ok() {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        });
        count
    };
    let allowed = counting(UnixListener::bind(open.join("a.sock")).unwrap());
    let denied = counting(UnixListener::bind(&secret).unwrap());
    let name = format!("denied-{}", std::process::id());
    let hidden = SocketAddr::from_abstract_name(&name).unwrap();
    let hidden = counting(UnixListener::bind_addr(&hidden).unwrap());
    let modules = "modules: {u: {prober: unix, timeout: 10s}}\n";
    let rules = format!(
        "policy: {{deny: {{unix_paths: ['@*', '{}']}}}}\n",
        secret.display()
    );
    let exporter = Exporter::start(&format!("{modules}{rules}"), &[]).await;
    for target in [
        format!("@{name}"),
        format!("%2500{name}"),
        format!("%00{name}"),
        secret.display().to_string(),
    ] {
        let (success, text) = probe(&exporter, "u", &target).await;
        assert!(
            !success && text.contains("this path is denied"),
            "{target}: {text}"
        );
    }
    let rules = format!("policy: {{allow: {{unix_paths: ['{}/*']}}}}\n", open.display());
    let exporter = Exporter::start(&format!("{modules}{rules}"), &[]).await;
    let a = open.join("a.sock").display().to_string();
    assert!(probe(&exporter, "u", &a).await.0);
    // A link that changes all the time.
    let link = open.join("link.sock");
    let over = Arc::<AtomicBool>::default();
    let flipping = std::thread::spawn({
        let (over, open, link) = (Arc::clone(&over), open.clone(), link.clone());
        move || {
            while !over.load(Ordering::Relaxed) {
                for to in ["a.sock", "../secret.sock"] {
                    std::os::unix::fs::symlink(to, open.join("new")).unwrap();
                    std::fs::rename(open.join("new"), &link).unwrap();
                }
            }
        }
    });
    let target = link.display().to_string();
    let mut reached = 0;
    for _ in 0..300 {
        reached += usize::from(probe(&exporter, "u", &target).await.0);
    }
    over.store(true, Ordering::Relaxed);
    flipping.join().unwrap();
    assert_eq!(
        (denied.load(Ordering::SeqCst), hidden.load(Ordering::SeqCst)),
        (0, 0)
    );
    // Those that met the allowed one were served.
    while allowed.load(Ordering::SeqCst) < reached {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert!(reached > 0);
}

#[tokio::test]
async fn what_a_name_resolved_to_is_not_told() {
    let (first, _) = http_server("127.0.0.2", Some("http://localhost:1/".to_owned())).await;
    let rules = "policy: {deny: {networks: [127.0.0.1, '::1']}}\n";
    let exporter = Exporter::start(&format!("{MODULES}{rules}"), &[]).await;
    let (success, text) = probe(&exporter, "http", &format!("http://{first}/")).await;
    let refused =
        "lookup localhost: refused by the target policy: the address is in a network that is denied";
    assert!(!success && text.contains(refused), "{text}");
    let log = text.split("Metrics that would").next().unwrap_or_default();
    lacks(log, ["127.0.0.1"]);
}

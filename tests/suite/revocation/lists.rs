//! `check_revoked`, against an authority that makes its lists on the spot.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use blackbox_exporter::config::{self, Prober};
use blackbox_exporter::metrics::{Labels, Metric};
use blackbox_exporter::module;
use blackbox_exporter::net::Network;
use blackbox_exporter::prober::Outcome;
use blackbox_exporter::reason::Reason;
use rustls::version::TLS13;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::{denying, probe, probe_with_many_silent_authorities, probe_with_silent_authority, serve, tls};
use crate::http::site::{ok, read_request};
use crate::support::pki::{self, Cert, List, Made, tlv};
use crate::support::probing::log_of;
use crate::support::{has, spawn};

/// The serial number of the server's certificate.
const SERIAL: [u8; 2] = [0x12, 0x34];

/// Serves lists; everything else is 404.
#[derive(Clone)]
struct Lists {
    address: SocketAddr,
    /// By path: head without status line, and body.
    served: Arc<Mutex<HashMap<String, (String, Vec<u8>)>>>,
    /// The heads of the requests.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Lists {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let lists = Self {
            address: listener.local_addr().unwrap(),
            served: Arc::default(),
            asked: Arc::default(),
        };
        let server = lists.clone();
        spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let server = server.clone();
                spawn(async move {
                    let asked = read_request(&mut stream).await.unwrap();
                    // A proxy is asked with the whole URL.
                    let path = asked.path().rsplit('/').next().unwrap().to_owned();
                    server.asked.lock().unwrap().push(asked.head.to_ascii_lowercase());
                    let found = server.served.lock().unwrap().get(&path).cloned();
                    if asked.line().starts_with("CONNECT ") {
                        let mut onward = tokio::net::TcpStream::connect(asked.path()).await.unwrap();
                        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
                        return;
                    }
                    let (head, body) = match found {
                        Some((head, _)) if server.knows(&head) => {
                            ("304 Not Modified\r\n".to_owned(), Vec::new())
                        }
                        Some((head, body)) => (head, body),
                        None => ("404 Not Found\r\n".to_owned(), Vec::new()),
                    };
                    let head = format!(
                        "HTTP/1.1 {head}Content-Length: {}\r\nConnection: close\r\n\r\n",
                        body.len()
                    );
                    let _ = stream.write_all(head.as_bytes()).await;
                    let _ = stream.write_all(&body).await;
                });
            }
        });
        lists
    }

    /// Whether the last request names the version that this head names.
    fn knows(&self, head: &str) -> bool {
        let tag = head
            .split("ETag: ")
            .nth(1)
            .map(|rest| rest.split('\r').next().unwrap());
        let asked = self.asked.lock().unwrap();
        let last = asked.last().unwrap();
        tag.is_some_and(|tag| last.contains(&format!("if-none-match: {tag}")))
    }

    fn serve(&self, path: &str, body: Vec<u8>) {
        self.serve_with(path, "200 OK\r\n", body);
    }

    fn serve_with(&self, path: &str, head: &str, body: Vec<u8>) {
        let answer = (head.to_owned(), body);
        self.served.lock().unwrap().insert(path.to_owned(), answer);
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    fn asked(&self) -> usize {
        self.asked_with("")
    }

    /// How many requests have this in their head.
    fn asked_with(&self, part: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|head| head.contains(part)).count()
    }
}

fn tcp(root: &Made) -> config::Module {
    let mut raw = super::tcp(root);
    raw.tcp.check_revoked = true;
    raw
}

/// A family as `chain_pos value url`.
fn rows(outcome: &Outcome, metric: Metric) -> Vec<String> {
    let row = |labels: &Labels, value: f64| match labels {
        Labels::Values(values) => format!("{} {value} {}", values[0], values[1]),
        other => panic!("{other:?}"),
    };
    let samples = outcome.samples.family(metric);
    samples.map(|sample| row(sample.labels, sample.value)).collect()
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table")]
async fn lists_are_judged() {
    const Y2050: f64 = 2_524_608_000.0;
    let lists = Lists::start().await;
    let root = Cert::ca("Root").self_signed();
    let other = Cert::ca("Root").self_signed();
    lists.serve("good", List::of(&[&[9], &[0, 0x80]]).by(&root));
    lists.serve("revoked", List::of(&[&[9], &SERIAL]).by(&root));
    lists.serve("stale", List::of(&[]).years(2020, Some(2021)).by(&root));
    lists.serve("future", List::of(&[&SERIAL]).years(2049, Some(2050)).by(&root));
    lists.serve("foreign", List::of(&[&SERIAL]).by(&other));
    lists.serve("open", List::of(&[&SERIAL]).years(2020, None).by(&root));
    lists.serve("garbage", b"<html>".to_vec());
    lists.serve("large", vec![0x30; (10 << 20) + 1]);
    lists.serve_with("moved", "302 Found\r\nLocation: /revoked\r\n", Vec::new());
    lists.serve_with("loop", "302 Found\r\nLocation: loop\r\n", Vec::new());
    // Name, points, whether one is available, revoked and stale, the point that counts, its next update, and a log line.
    #[rustfmt::skip]
    let rows_wanted: [(&str, &[&str], (u8, u8, u8), &str, Option<f64>, &str); 14] = [
        ("not revoked", &["good"], (1, 0, 0), "good", Some(Y2050), ""),
        ("revoked", &["revoked"], (1, 1, 0), "revoked", Some(Y2050), "warn Certificate is revoked subject=\"CN=leaf\" chain_pos=0 revocation_time=TIME"),
        ("stale", &["stale"], (1, 0, 1), "stale", Some(1_609_459_200.0), "warn CRL is stale"),
        ("from the future", &["future"], (0, 0, 0), "future", None, "warn CRL is not yet valid"),
        ("another's", &["foreign"], (0, 0, 0), "foreign", None, "err=\"x509: ECDSA verification failure"),
        ("without end", &["open"], (1, 1, 0), "open", None, "warn Certificate is revoked"),
        ("no list", &["garbage"], (0, 0, 0), "garbage", None, "err=\"x509: malformed"),
        ("too large", &["large"], (0, 0, 0), "large", None, "err=\"the list is larger than 10 MiB"),
        ("missing", &["nothing"], (0, 0, 0), "nothing", None, "err=\"unexpected status code 404"),
        ("redirected", &["moved"], (1, 1, 0), "moved", Some(Y2050), "warn Certificate is revoked"),
        ("redirected forever", &["loop"], (0, 0, 0), "loop", None, "err=\"stopped after 10 redirects"),
        ("the second of three", &["nothing", "revoked", "good"], (1, 1, 0), "revoked", Some(Y2050), "warn Failed to fetch CRL"),
        ("neither of two", &["foreign", "future"], (0, 0, 0), "future", None, "warn CRL signature verification failed"),
        ("no points", &[], (0, 0, 0), "", None, "debug No CRL distribution points"),
    ];
    for (name, points, want, url, next_update, log) in rows_wanted {
        let urls: Vec<String> = points.iter().map(|point| lists.url(point)).collect();
        let leaf = match &*urls {
            [] => Cert::leaf(),
            urls => Cert::leaf().revocation(urls),
        };
        let leaf = leaf.serial(&SERIAL).by(&root);
        let target = serve(&[&leaf]).await;
        let outcome = probe(&Network::system(), tcp(&root), &target).await;
        let told = log_of(&outcome);
        assert!(outcome.success, "{name}: {told}");
        has(told.to_lowercase(), [&*log.to_lowercase()]);
        let url = if url.is_empty() {
            String::new()
        } else {
            lists.url(url)
        };
        let (available, revoked, stale) = want;
        for (metric, value) in [
            (Metric::SslCrlAvailable, available),
            (Metric::SslCrlRevoked, revoked),
            (Metric::SslCrlStale, stale),
        ] {
            // The root has no points.
            let want = [format!("0 {value} {url}"), "1 0 ".to_owned()];
            assert_eq!(rows(&outcome, metric), want, "{name}: {metric:?}: {told}");
        }
        let want: Vec<String> = next_update.iter().map(|at| format!("0 {at} {url}")).collect();
        assert_eq!(rows(&outcome, Metric::SslCrlNextUpdate), want, "{name}");
        assert!(outcome.samples.value(Metric::SslCrlFetchTime).is_some(), "{name}");
    }
}

/// The metrics are upstream's; a probe fails only for lists and entries that are about the certificate (RFC 5280, section 5).
#[tokio::test]
async fn what_a_list_proves() {
    const POINT: &str = "2.5.29.28";
    let lists = Lists::start().await;
    let root = Cert::ca("Root").self_signed();
    let leaf = Cert::leaf()
        .serial(&SERIAL)
        .revocation(&[lists.url("list")])
        .by(&root);
    let target = serve(&[&leaf]).await;
    let mut raw = tcp(&root);
    raw.revocation.fail_if_cert_revoked = true;
    let list = List::of(&[&SERIAL]);
    let point = |number: u8| tlv(0x30, &[&tlv(0x80 | number, &[&[0xff]])]);
    let named = tlv(0x30, &[&tlv(0xa0, &[&tlv(0xa0, &[&tlv(0x86, &[b"http://a"])])])]);
    #[rustfmt::skip]
    let situations = [
        ("a plain one", list.clone(), true),
        ("of one point", list.clone().extension(POINT, &named), true),
        ("of users", list.clone().extension(POINT, &point(1)), true),
        ("of authorities", list.clone().extension(POINT, &point(2)), false),
        ("of others, too", list.clone().extension(POINT, &point(4)), false),
        ("of attributes", list.clone().extension(POINT, &point(5)), false),
        ("a broken point", list.clone().extension(POINT, &[5, 0]), false),
        ("a delta", list.clone().extension("2.5.29.27", &[2, 1, 1]), false),
        ("an unknown extension", list.clone().extension("1.2.3.4", &[5, 0]).extension(POINT, &point(1)), false),
        ("revoked for a reason", list.clone().entry_extension("2.5.29.21", &[10, 1, 1]), true),
        ("on hold", list.clone().entry_extension("2.5.29.21", &[10, 1, 6]), true),
        ("no longer revoked", list.clone().entry_extension("2.5.29.21", &[10, 1, 8]), false),
        ("another's", list.clone().entry_extension("2.5.29.29", &[0x30, 0]), false),
        ("an unknown extension of the entry", list.entry_extension("1.2.3.4", &[5, 0]), false),
    ];
    for (name, list, proves) in situations {
        lists.serve("list", list.by(&root));
        let outcome = probe(&Network::system(), raw.clone(), &target).await;
        let told = log_of(&outcome);
        assert_eq!(
            rows(&outcome, Metric::SslCrlRevoked)[0],
            format!("0 1 {}", lists.url("list")),
            "{name}: {told}"
        );
        let reason = outcome.failure.map(|failure| failure.reason);
        assert_eq!(reason, proves.then_some(Reason::TlsCertRevoked), "{name}: {told}");
        assert_eq!(told.contains("does not prove"), !proves, "{name}: {told}");
    }
}

#[tokio::test]
async fn every_certificate_of_the_chain_is_looked_up() {
    let lists = Lists::start().await;
    let root = Cert::ca("Root").self_signed();
    let middle = Cert::ca("Middle")
        .serial(&[7])
        .revocation(&[lists.url("root")])
        .by(&root);
    let leaf = Cert::leaf()
        .serial(&[8])
        .revocation(&[lists.url("middle")])
        .by(&middle);
    lists.serve("root", List::of(&[&[7]]).by(&root));
    lists.serve("middle", List::of(&[&[7]]).by(&middle));
    let target = serve(&[&leaf, &middle]).await;
    let outcome = probe(&Network::system(), tcp(&root), &target).await;
    let want = [
        format!("0 0 {}", lists.url("middle")),
        format!("1 1 {}", lists.url("root")),
        "2 0 ".to_owned(),
    ];
    assert_eq!(rows(&outcome, Metric::SslCrlRevoked), want);
    // Without a verified chain: what was presented, the last signed by itself.
    let mut blind = tcp(&root);
    blind.tcp.tls_config.insecure_skip_verify = true;
    let outcome = probe(&Network::system(), blind, &target).await;
    let available = rows(&outcome, Metric::SslCrlAvailable);
    assert_eq!(
        available,
        [
            format!("0 1 {}", lists.url("middle")),
            format!("1 0 {}", lists.url("root"))
        ]
    );
}

#[tokio::test]
async fn nothing_of_it_without_the_field() {
    let lists = Lists::start().await;
    let root = Cert::ca("Root").self_signed();
    let leaf = Cert::leaf().revocation(&[lists.url("a")]).by(&root);
    let target = serve(&[&leaf]).await;
    let mut raw = tcp(&root);
    raw.tcp.check_revoked = false;
    let outcome = probe(&Network::system(), raw, &target).await;
    assert!(outcome.success);
    assert_eq!(lists.asked(), 0);
    assert_eq!(rows(&outcome, Metric::SslCrlAvailable), Vec::<String>::new());
    assert_eq!(outcome.samples.value(Metric::SslCrlFetchTime), None);
}

#[tokio::test]
async fn a_list_is_kept_until_it_is_due() {
    let lists = Lists::start().await;
    let root = Cert::ca("Root").self_signed();
    let leaf = Cert::leaf()
        .revocation(&[lists.url("fresh"), lists.url("due")])
        .by(&root);
    lists.serve("fresh", List::of(&[]).by(&root));
    let target = serve(&[&leaf]).await;
    let network = Network::system();
    for _ in 0..3 {
        let outcome = probe(&network, tcp(&root), &target).await;
        assert_eq!(
            rows(&outcome, Metric::SslCrlAvailable)[0],
            format!("0 1 {}", lists.url("fresh"))
        );
    }
    assert_eq!(lists.asked(), 1);
    // One that is due is asked for each time, but not sent again.
    let leaf = Cert::leaf().revocation(&[lists.url("due")]).by(&root);
    let due = List::of(&[&SERIAL]).years(2020, Some(2021)).by(&root);
    lists.serve_with("due", "200 OK\r\nETag: \"a\"\r\n", due);
    let target = serve(&[&leaf]).await;
    for _ in 0..3 {
        let outcome = probe(&network, tcp(&root), &target).await;
        assert_eq!(
            rows(&outcome, Metric::SslCrlRevoked)[0],
            format!("0 1 {}", lists.url("due"))
        );
    }
    assert_eq!(lists.asked(), 4);
    assert_eq!(lists.asked_with("if-none-match: \"a\""), 2);
}

#[tokio::test]
async fn the_policy_judges_where_lists_are() {
    let lists = Lists::start().await;
    let root = Cert::ca("Root").self_signed();
    lists.serve_with(
        "moved",
        &format!(
            "302 Found\r\nLocation: {}\r\n",
            lists.url("list").replace("127.0.0.1", "localhost")
        ),
        Vec::new(),
    );
    let port = lists.address.port();
    for (what, host) in [("address", "127.0.0.1"), ("lookup", "localhost")] {
        let url = format!("http://{host}:{port}/list");
        let target = serve(&[&Cert::leaf().revocation(&[url]).by(&root)]).await;
        let network = denying(&format!("ports: [{port}]"));
        let outcome = probe(&network, tcp(&root), &target).await;
        assert!(outcome.success, "{}", log_of(&outcome));
        // What a name of the certificate resolved to is not said.
        let why = format!("{what} {host}: refused by the target policy: port {port} is denied");
        has(log_of(&outcome), [&*why]);
        assert_eq!(network.policy.refused(), 1, "{host}");
    }
    assert_eq!(lists.asked(), 0);
    // On every hop.
    let target = serve(&[&Cert::leaf().revocation(&[lists.url("moved")]).by(&root)]).await;
    let outcome = probe(&denying("names: [localhost]"), tcp(&root), &target).await;
    has(log_of(&outcome), ["the name localhost is denied"]);
    assert_eq!(lists.asked(), 1);
}

#[tokio::test]
async fn a_server_of_lists_that_is_silent_costs_no_more_than_the_probes_time() {
    let root = Cert::ca("Root").self_signed();
    let certificate = |url: &str| Cert::leaf().revocation(&[url.to_owned()]).by(&root);
    let outcome = probe_with_silent_authority(tcp(&root), certificate).await;
    assert!(rows(&outcome, Metric::SslCrlAvailable)[0].starts_with("0 0 "));
}

#[tokio::test]
async fn silent_servers_hold_up_no_other_list() {
    let root = Cert::ca("Root").self_signed();
    let certificate = |url: &str| Cert::leaf().revocation(&[url.to_owned()]).by(&root);
    probe_with_many_silent_authorities(tcp(&root), certificate, None).await;
}

/// What a large list is waited for with, silent servers keep, but no small one needs it.
#[tokio::test]
async fn large_lists_hold_up_no_small_one() {
    let lists = Lists::start().await;
    let root = Cert::ca("Root").self_signed();
    lists.serve("small", List::of(&[]).by(&root));
    let endless = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", endless.local_addr().unwrap());
    let (count, mut sent) = tokio::sync::watch::channel(0);
    spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut stream, _) = endless.accept().await.unwrap();
            read_request(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            // Whoever waits for too long for its turn hangs up.
            let _ = stream.write_all(&vec![0x30; 9 << 20]).await;
            held.push(stream);
            count.send_modify(|count| *count += 1);
        }
    });
    let network = Network::system();
    let mut targets = Vec::new();
    for n in 0..4 {
        targets.push(serve(&[&Cert::leaf().revocation(&[format!("{url}{n}")]).by(&root)]).await);
    }
    let large = targets.iter().map(|target| probe(&network, tcp(&root), target));
    let target = serve(&[&Cert::leaf().revocation(&[lists.url("small")]).by(&root)]).await;
    let small = async {
        // They were read but for what sockets hold, so each has a permit.
        sent.wait_for(|sent| *sent == 4).await.unwrap();
        probe(&network, tcp(&root), &target).await
    };
    tokio::select! {
        outcomes = futures_util::future::join_all(large) => panic!("{}", log_of(&outcomes[0])),
        outcome = small => {
            let want = format!("0 1 {}", lists.url("small"));
            assert_eq!(rows(&outcome, Metric::SslCrlAvailable)[0], want, "{}", log_of(&outcome));
        }
    }
}

#[tokio::test]
async fn the_http_prober_asks_through_its_proxy() {
    let lists = Lists::start().await;
    let root = Cert::ca("Root").self_signed();
    lists.serve("list", List::of(&[]).by(&root));
    let url = "http://crl.invalid/list";
    let leaf = Cert::leaf().revocation(&[url.to_owned()]).by(&root);
    let config = pki::server_config(pki::certified(&[&leaf]), &[&TLS13]);
    let target = format!("https://{}/", pki::saying(config, ok()).await);
    let mut raw = config::Module::new(Prober::Http);
    raw.http.check_revoked = true;
    *raw.http.client.tls_config = tls(&root);
    raw.http.client.proxy.proxy_url = Some(format!("http://{}", lists.address));
    let outcome = probe(&Network::system(), raw, &target).await;
    assert!(outcome.success, "{}", log_of(&outcome));
    assert_eq!(
        rows(&outcome, Metric::SslCrlAvailable)[0],
        format!("0 1 {url}"),
        "{}",
        log_of(&outcome)
    );
    assert_eq!(lists.asked_with(&format!("get {url} ")), 1);
}

#[test]
fn four_sections_have_the_field() {
    for (prober, loads) in [
        ("http", true),
        ("tcp", true),
        ("unix", true),
        ("grpc", true),
        ("dns", false),
        ("icmp", false),
        ("websocket", false),
    ] {
        let query = if prober == "dns" { "query_name: a, " } else { "" };
        let text =
            format!("modules: {{m: {{prober: {prober}, {prober}: {{{query}check_revoked: true}}}}}}\n");
        assert_eq!(module::parse(text, "test.yml").is_ok(), loads, "{prober}");
    }
}

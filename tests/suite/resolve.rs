//! Name look-ups against a real name server, unbound, in a namespace with a resolver configuration of its own.

use std::time::Duration;

use blackbox_exporter::net::{Deadline, Network, Preference};
use futures_util::future::join_all;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::Instant;

use crate::http::site::{Site, answer, ok};
use crate::support::namespace::outside;
use crate::support::programs::find;
use crate::support::tls_peer::SelfSigned;
use crate::support::unbound::Unbound;
use crate::support::{Exporter, has};

/// All of /etc, to be changed at will.
const ETC: &str = "mount -t tmpfs none /mnt && cp -a /etc/. /mnt && mount --bind /mnt /etc && \
    rm -f /etc/resolv.conf /etc/nsswitch.conf && echo '127.0.0.1 localhost' > /etc/hosts && \
    printf 'nameserver 127.0.0.1\noptions attempts:1\n' > /etc/resolv.conf";
/// How much later than its deadline a probe may end on a busy machine.
const GRACE: Duration = Duration::from_secs(4);

/// The system's files, which are read at every look-up.
const FILES: &str = "files=$(mktemp -d) && printf '127.0.0.1 localhost\n192.0.2.99 hosts.look.test\n' > $files/hosts && \
    printf 'nameserver 127.0.0.1\nsearch look.test\noptions timeout:5 attempts:1\n' > $files/resolv.conf && \
    mount --bind $files/hosts /etc/hosts && mount --bind $files/resolv.conf /etc/resolv.conf && rm -r $files";

#[tokio::test]
async fn unbound_is_asked_for_addresses() {
    let Some(program) = find("unbound") else { return };
    if outside("resolve::unbound_is_asked_for_addresses", FILES) {
        return;
    }
    let mut zone = "\
        look.test. 300 IN SOA ns.look.test. admin.look.test. 1 7200 3600 1209600 300\n\
        look.test. 300 IN NS ns.look.test.\n\
        ns.look.test. 300 IN A 127.0.0.1\n\
        four.look.test. 300 IN A 192.0.2.4\n\
        six.look.test. 300 IN AAAA 2001:db8::6\n\
        both.look.test. 300 IN A 192.0.2.4\n\
        both.look.test. 300 IN AAAA 2001:db8::6\n\
        alias.look.test. 300 IN CNAME second.look.test.\n\
        second.look.test. 300 IN CNAME third.look.test.\n\
        third.look.test. 300 IN CNAME both.look.test.\n\
        dangling.look.test. 300 IN CNAME nothing.look.test.\n\
        text.look.test. 300 IN TXT hello\n\
        hosts.look.test. 300 IN A 192.0.2.4\n"
        .to_owned();
    // Far more than a datagram of 1232 bytes holds: the answer comes over TCP or not at all.
    for last in 1..=200 {
        zone.push_str(&format!("many.look.test. 300 IN A 198.51.100.{last}\n"));
    }
    let _unbound = Unbound::start(
        &program,
        ("look.test", &zone),
        &SelfSigned::local(),
        Some([53, 853]),
    )
    .await;
    let network = Network::system();
    let absent = "lookup nothing.look.test on 127.0.0.1:53: no such host";
    // name, then preferring ip4, preferring ip6, only ip4, only ip6
    #[rustfmt::skip]
    let rows = [
        ("four.look.test", ["192.0.2.4", "192.0.2.4", "192.0.2.4", "no AAAA"]),
        ("six.look.test", ["2001:db8::6", "2001:db8::6", "no A", "2001:db8::6"]),
        ("both.look.test", ["192.0.2.4", "2001:db8::6", "192.0.2.4", "2001:db8::6"]),
        ("BOTH.look.Test.", ["192.0.2.4", "2001:db8::6", "192.0.2.4", "2001:db8::6"]),
        ("alias.look.test", ["192.0.2.4", "2001:db8::6", "192.0.2.4", "2001:db8::6"]),
        // The name itself is asked for in the end, of which this server knows nothing.
        ("four", ["192.0.2.4", "192.0.2.4", "192.0.2.4", "lookup four on 127.0.0.1:53: "]),
        ("nothing.look.test", [absent; 4]),
        ("dangling.look.test", ["no such host"; 4]),
        ("text.look.test", ["neither A nor AAAA", "neither A nor AAAA", "no A", "no AAAA"]),
        ("hosts.look.test", ["192.0.2.99", "192.0.2.99", "192.0.2.99", "no suitable address"]),
        ("many.look.test", ["198.51.100.", "198.51.100.", "198.51.100.", "no AAAA"]),
    ];
    for (name, wants) in rows {
        let preferences = [("ip4", true), ("ip6", true), ("ip4", false), ("ip6", false)];
        for ((family, fallback), want) in preferences.into_iter().zip(wants) {
            let deadline = Deadline::after(Instant::now(), Duration::from_secs(20));
            let preference = Preference::new(family, fallback);
            let found = network.resolver.lookup(name, preference, deadline, None).await;
            let found = found.map_or_else(|error| error.to_string(), |found| found.chosen.to_string());
            assert!(found.contains(want), "{name} {family} {fallback}: {found}");
        }
    }
}

#[tokio::test]
async fn a_listen_address_that_cannot_be_looked_up_says_why() {
    if outside(
        "resolve::a_listen_address_that_cannot_be_looked_up_says_why",
        FILES,
    ) {
        return;
    }
    let start = async |address: &str| {
        let flag = format!("--web.listen-address={address}");
        Exporter::try_start("modules: {}", &[&flag]).await
    };
    // address, words of the log; nobody answers on port 53
    let rows = [
        (
            "four.look.test:0",
            "listen tcp: lookup four.look.test on 127.0.0.1:53: udp: connection refused",
        ),
        ("a..b:0", "listen tcp: lookup a..b: no such host"),
    ];
    for (address, want) in rows {
        let log = start(address).await.err().expect("it does not start");
        assert!(log.contains(want), "{address}: {log}");
    }
    let exporter = start("localhost:0").await.unwrap_or_else(|log| panic!("{log}"));
    assert_eq!(exporter.address.ip().to_string(), "127.0.0.1");
}

/// The longest timeout of the modules below. All but one are shorter than a name server is waited for.
const TIMEOUT: Duration = Duration::from_secs(6);

fn modules(tokens: &Site) -> String {
    let mut text = "modules:\n".to_owned();
    for module in ["http", "tcp", "icmp", "grpc", "websocket"] {
        text += &format!("  {module}: {{prober: {module}, timeout: 4s}}\n");
    }
    let url = format!("http://host.look.test:{}/", tokens.address.port());
    let oauth2 = format!("{{client_id: me, client_secret: s, token_url: '{url}'}}");
    text + &format!("  tokens: {{prober: http, timeout: 6s, http: {{oauth2: {oauth2}}}}}\n")
        + "  dns: {prober: dns, timeout: 4s, dns: {query_name: look.test}}\n"
}

const HTTP: &[&str] = &[
    "probe_failed_due_to_regex",
    "probe_http_content_length",
    "probe_http_duration_seconds{phase=\"resolve\"}",
    "probe_http_redirects",
    "probe_http_ssl",
    "probe_http_status_code",
    "probe_http_uncompressed_body_length",
    "probe_http_version",
];
/// What a probe that finds no address knows besides the families of all probers.
const KNOWN: [(&str, &[&str]); 7] = [
    ("http", HTTP),
    ("tokens", HTTP),
    ("tcp", &[]),
    ("icmp", &["probe_icmp_duration_seconds{phase=\"resolve\"}"]),
    ("grpc", &[]),
    ("websocket", &[]),
    ("dns", &[]),
];

/// A site and the server of its tokens, and an exporter that knows one or the other by name.
struct Scene {
    site: Site,
    exporter: Exporter,
}

impl Scene {
    async fn start() -> Self {
        // No token is kept: its server is looked up in every probe.
        let grant = r#"{"access_token": "t", "token_type": "bearer", "expires_in": 1}"#;
        let tokens = Site::answering(answer("200 OK", &["Content-Type: application/json"], grant)).await;
        let exporter = Exporter::start(&modules(&tokens), &[]).await;
        let site = Site::answering(ok()).await;
        // It lives as long as the test.
        std::mem::forget(tokens);
        Self { site, exporter }
    }

    fn target(&self, module: &str, host: &str) -> String {
        let port = self.site.address.port();
        match module {
            "http" => format!("http://{host}:{port}/"),
            "tokens" => self.site.url("/"),
            "websocket" => format!("ws://{host}:{port}/"),
            "icmp" | "dns" => host.to_owned(),
            _ => format!("{host}:{port}"),
        }
    }

    async fn succeeds(&self, module: &str, host: &str) {
        let answer = self.exporter.probe(module, &self.target(module, host)).await;
        let success = answer.sample("probe_success");
        assert_eq!(success, Some(1.0), "{module} {host}\n{}", self.exporter.log());
    }

    /// A probe by name fails in time with every metric, and the log says what was looked up where. Returns when it ended.
    async fn fails(&self, (module, known): (&str, &[&str]), reason: &str) -> Instant {
        let start = Instant::now();
        let answer = self
            .exporter
            .probe(module, &self.target(module, "host.look.test"))
            .await;
        let ended = Instant::now();
        assert_eq!(answer.status, 200, "{module}");
        assert_eq!(answer.sample("probe_success"), Some(0.0), "{module}");
        let duration = answer.sample("probe_duration_seconds").unwrap();
        let most = TIMEOUT + GRACE;
        assert!(
            duration < most.as_secs_f64() && ended - start < most,
            "{module}: {}",
            answer.text()
        );
        for series in known {
            assert!(
                answer.sample(series).is_some(),
                "{module} {series}: {}",
                answer.text()
            );
        }
        let log = self.exporter.log();
        let said = format!("lookup host.look.test on 127.0.0.1:53: {reason}");
        let is_told = |line: &str| line.contains(&format!("module={module} ")) && line.contains(&said);
        assert!(log.lines().any(is_told), "{module}, {said}\n{log}");
        ended
    }

    /// What asks for no name is answered. Returns when it was.
    async fn others_succeed(&self) -> Instant {
        for module in ["http", "tcp", "icmp"] {
            self.succeeds(module, "127.0.0.1").await;
        }
        assert_eq!(self.exporter.get("/metrics").await.status, 200);
        Instant::now()
    }
}

async fn name_server(program: &std::path::Path) -> Unbound {
    let zone = "\
        look.test. 300 IN SOA ns.look.test. admin.look.test. 1 7200 3600 1209600 300\n\
        look.test. 300 IN NS ns.look.test.\n\
        ns.look.test. 300 IN A 127.0.0.1\n\
        host.look.test. 300 IN A 127.0.0.1\n";
    let ports = Some([53, 853]);
    Unbound::start(program, ("look.test", zone), &SelfSigned::local(), ports).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_server_goes_and_comes_back() {
    let Some(program) = find("unbound") else { return };
    if outside("resolve::the_name_server_goes_and_comes_back", ETC) {
        return;
    }
    let scene = Scene::start().await;
    let all_succeed = async || {
        for module in ["http", "tokens", "tcp", "icmp"] {
            scene.succeeds(module, "host.look.test").await;
        }
    };
    let all_fail = async |reason: fn(&str) -> &str| {
        let failing = join_all(KNOWN.map(|known| scene.fails(known, reason(known.0))));
        tokio::join!(failing, scene.others_succeed())
    };
    let unbound = name_server(&program).await;
    all_succeed().await;
    // Nobody is there: the kernel says so at once.
    unbound.stop().await;
    all_fail(|_| "udp: connection refused").await;
    let unbound = name_server(&program).await;
    all_succeed().await;
    // Somebody is there, and silent.
    unbound.stop().await;
    let silent = (
        UdpSocket::bind("127.0.0.1:53").await.unwrap(),
        TcpListener::bind("127.0.0.1:53").await.unwrap(),
    );
    let (failed, answered) = all_fail(|module| match module {
        "tokens" => "udp: i/o timeout: no response within 5s",
        _ => "i/o timeout: the probe's timeout of 4s ran out",
    })
    .await;
    assert!(
        failed.iter().all(|failed| *failed > answered),
        "nobody waits for those that wait"
    );
    drop(silent);
    let _unbound = name_server(&program).await;
    all_succeed().await;
}

/// Go looks every five seconds, and so do we.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_lost_or_replaced_resolv_conf_is_noticed() {
    let Some(program) = find("unbound") else { return };
    if outside("resolve::a_changed_lost_or_replaced_resolv_conf_is_noticed", ETC) {
        return;
    }
    let _unbound = name_server(&program).await;
    let scene = Scene::start().await;
    scene.succeeds("tcp", "host.look.test").await;
    let target = |host| scene.target("tcp", host);
    let becomes = async |host, success| {
        let start = Instant::now();
        while scene
            .exporter
            .probe("tcp", &target(host))
            .await
            .sample("probe_success")
            != Some(success)
        {
            assert!(
                start.elapsed() < Duration::from_secs(5) + GRACE,
                "{}",
                scene.exporter.log()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    std::fs::write("/etc/resolv.conf", "nameserver 127.0.0.9\n").unwrap();
    becomes("host.look.test", 0.0).await;
    let said = "lookup host.look.test on 127.0.0.9:53: udp: connection refused";
    has(scene.exporter.log(), [said]);
    // Without the file the local machine is asked.
    std::fs::remove_file("/etc/resolv.conf").unwrap();
    becomes("host.look.test", 1.0).await;
    becomes("host", 0.0).await;
    // As NetworkManager and resolvconf write it.
    std::fs::write("/etc/resolv.conf.new", "nameserver 127.0.0.1\nsearch look.test\n").unwrap();
    std::fs::rename("/etc/resolv.conf.new", "/etc/resolv.conf").unwrap();
    becomes("host", 1.0).await;
}

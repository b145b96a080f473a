//! The tcp prober through a SOCKS5 proxy: microsocks of Debian, and scripted ones for what it does not do.

use std::path::Path;

use blackbox_exporter::config;
use blackbox_exporter::metrics::Metric;
use blackbox_exporter::prober::Outcome;
use blackbox_exporter::reason::Reason;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::support::peer::{Move, Peer, send};
use crate::support::programs::{find, free_port, start};
use crate::support::tls_peer::Identity;
use crate::support::{Exporter, closed, has, lacks, log, probe};

/// microsocks for one user, and what it logs.
struct Proxy {
    port: u16,
    log: tempfile::NamedTempFile,
    _server: Child,
}

impl Proxy {
    async fn start(program: &Path) -> Self {
        let (port, log) = (free_port(), tempfile::NamedTempFile::new().unwrap());
        let script = r#"exec "$0" -i 127.0.0.1 -p "$1" -u probe -P hush-hush 2> "$2""#;
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(program).arg(port.to_string());
        Self {
            port,
            _server: start(command.arg(log.path()), port).await,
            log,
        }
    }

    /// Whether it connected to that place.
    fn connected_to(&self, place: &str) -> bool {
        let log = std::fs::read_to_string(self.log.path()).unwrap();
        log.contains(&format!("connected to {place}"))
    }

    /// A tcp module through it, with more settings of the section.
    fn module(&self, scheme: &str, more: &str) -> String {
        format!(
            "prober: tcp\ntimeout: 20s\ntcp: {{proxy_url: '{scheme}://127.0.0.1:{}', proxy_username: probe, proxy_password: hush-hush, {more}}}",
            self.port
        )
    }
}

fn reason(outcome: &Outcome) -> Reason {
    outcome
        .failure
        .unwrap_or_else(|| panic!("{:#?}", log(outcome)))
        .reason
}

#[tokio::test]
async fn names_are_looked_up_by_the_proxy_or_here() {
    let Some(program) = find("microsocks") else { return };
    let proxy = Proxy::start(&program).await;
    for (scheme, host, asked) in [
        ("socks5h", "localhost", "localhost"),
        ("socks5", "localhost", "127.0.0.1"),
        ("socks5h", "127.0.0.1", "127.0.0.1"),
    ] {
        let peer = Peer::play(vec![send("ready\n"), Move::ReadLine, send("bye\n")]).await;
        let port = peer.address.port();
        let talk = "preferred_ip_protocol: ip4, query_response: [{expect: '^ready$', send: QUIT}, {expect: '^bye$'}]";
        let outcome = probe(&proxy.module(scheme, talk), &format!("{host}:{port}")).await;
        assert!(outcome.success, "{scheme}: {:#?}", log(&outcome));
        assert_eq!(peer.received().await, b"QUIT\n");
        assert!(proxy.connected_to(&format!("{asked}:{port}")), "{scheme} {host}");
        let is_here = asked == "127.0.0.1";
        assert_eq!(outcome.samples.value(Metric::IpProtocol), is_here.then_some(4.0));
        let hop = outcome.timeline.hops.last().unwrap();
        assert_eq!(
            hop.address.as_deref(),
            Some(&*format!("127.0.0.1:{}", proxy.port))
        );
        let phases: Vec<_> = hop.phases.iter().map(|span| span.phase.label()).collect();
        let resolve = if is_here { &["resolve"][..] } else { &[] };
        assert_eq!(phases, [resolve, &["connect", "setup", "transfer"]].concat());
    }
    // The user may stand in the URL, too.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let yaml = format!(
        "prober: tcp\ntcp: {{proxy_url: 'socks5://probe:hush-hush@127.0.0.1:{}'}}",
        proxy.port
    );
    let outcome = probe(&yaml, &target).await;
    assert!(outcome.success, "{:#?}", log(&outcome));
}

#[tokio::test]
async fn the_proxy_gets_the_address_that_a_scrape_sets() {
    let Some(program) = find("microsocks") else { return };
    let proxy = Proxy::start(&program).await;
    let peer = Peer::play(vec![send("ready\n")]).await;
    let port = peer.address.port();
    let mut module = proxy.module("socks5h", "query_response: [{expect: '^ready$'}]");
    module.push_str("\nparams: {ip_address: {}}");
    let lines: Vec<_> = module.lines().map(|line| format!("    {line}\n")).collect();
    let exporter = Exporter::start(&format!("modules:\n  m:\n{}", lines.concat()), &[]).await;
    let path = format!("/probe?module=m&target=nowhere.test:{port}&ip_address=127.0.0.1");
    assert!(exporter.succeeds(&path).await);
    assert!(proxy.connected_to(&format!("127.0.0.1:{port}")));
}

#[tokio::test]
async fn tls_is_spoken_with_the_target() {
    let Some(program) = find("microsocks") else { return };
    let proxy = Proxy::start(&program).await;
    let identity = Identity::local();
    let trust = format!("tls_config: {{ca: {:?}}}", identity.authority);
    for (outside, more) in [
        (vec![], "tls: true, query_response: [{expect: '^in$'}]"),
        (
            vec![Move::Read(8), send("S")],
            "starttls: postgres, query_response: [{expect: '^in$'}]",
        ),
        (
            vec![send("out\n")],
            "query_response: [{expect: '^out$', starttls: true}, {expect: '^in$'}]",
        ),
    ] {
        let (address, peer) = identity.play(outside, vec![send("in\n")]).await;
        let target = format!("localhost:{}", address.port());
        let outcome = probe(&proxy.module("socks5h", &format!("{more}, {trust}")), &target).await;
        assert!(outcome.success, "{more}: {:#?}", log(&outcome));
        let facts = outcome.tls.as_ref().unwrap();
        assert!(!facts.presented.is_empty(), "{more}");
        peer.await.unwrap();
    }
}

#[tokio::test]
async fn each_failure_has_its_reason() {
    let Some(program) = find("microsocks") else { return };
    let proxy = Proxy::start(&program).await;
    let (nobody, socks) = (closed().to_string(), format!("127.0.0.1:{}", proxy.port));
    let open = Peer::play(vec![]).await;
    let url = |url: &str| format!("prober: tcp\ntimeout: 20s\ntcp: {{proxy_url: '{url}'}}");
    #[rustfmt::skip]
    let rows = [
        (url(&format!("socks5://{nobody}")), open.target(), Reason::ProxyError, "proxyconnect tcp: dial tcp"),
        (url(&format!("socks5://{socks}")), open.target(), Reason::ProxyError, "no acceptable authentication methods"),
        (
            url(&format!("socks5://probe:wrong@{socks}")),
            open.target(),
            Reason::ProxyError,
            "username/password authentication failed",
        ),
        (proxy.module("socks5", ""), nobody.clone(), Reason::ConnectRefused, "socks connect: connection refused"),
        (
            proxy.module("socks5h", ""),
            "no-such-host.invalid:1".to_owned(),
            Reason::ProxyError,
            "socks connect: general SOCKS server failure",
        ),
        (proxy.module("socks5", ""), "no-such-host.invalid:1".to_owned(), Reason::ResolveNotFound, "no such host"),
    ];
    for (yaml, target, want, words) in rows {
        let outcome = probe(&yaml, &target).await;
        let lines = log(&outcome).join("\n");
        assert!(!outcome.success && lines.contains(words), "{words}: {lines}");
        lacks(&lines, ["hush-hush", "wrong@"]);
        assert_eq!(reason(&outcome), want, "{words}: {lines}");
        let advice = outcome.advice.unwrap();
        assert!(
            advice.contains("proxy") || want == Reason::ResolveNotFound,
            "{advice}"
        );
        assert!(["connect", "resolve"].contains(&outcome.failure.unwrap().phase));
    }
    // What microsocks never says.
    for (reply, want) in [
        (2, Reason::ProxyError),
        (3, Reason::ConnectUnreachable),
        (4, Reason::ConnectUnreachable),
        (6, Reason::ConnectTimeout),
        (8, Reason::ProxyError),
        (99, Reason::ProxyError),
    ] {
        let refusal = [5, reply, 0, 1, 0, 0, 0, 0, 0, 0];
        let moves = vec![Move::Read(3), send([5, 0]), Move::Read(10), send(refusal)];
        let scripted = Peer::play(moves).await;
        let outcome = probe(&url(&format!("socks5://{}", scripted.target())), "192.0.2.1:1").await;
        assert_eq!(reason(&outcome), want, "{reply}");
    }
    // One that says nothing.
    let silent = Peer::play(vec![]).await;
    let yaml = url(&format!("socks5h://{}", silent.target())).replace("20s", "300ms");
    let outcome = probe(&yaml, "host.invalid:1").await;
    assert_eq!(reason(&outcome), Reason::ProxyError);
    let lines = log(&outcome).join("\n");
    has(&lines, ["waiting for the proxy's tunnel to host.invalid:1"]);
}

#[tokio::test]
async fn the_policy_judges_the_proxy_and_the_target() {
    // Nobody must be reached, so no proxy is needed.
    let config = "modules:
  far: {prober: tcp, tcp: {proxy_url: 'socks5h://127.0.0.2:1'}}
  near: {prober: tcp, tcp: {proxy_url: 'socks5://127.0.0.2:1', preferred_ip_protocol: ip4}}
  denied_proxy: {prober: tcp, tcp: {proxy_url: 'socks5h://127.0.0.9:1'}}
policy: {deny: {networks: [127.0.0.9], names: ['*.internal']}}
";
    let exporter = Exporter::start(config, &[]).await;
    for (module, target, words) in [
        ("far", "db.internal:5432", "through the proxy"),
        ("far", "127.0.0.9:5432", "denied"),
        ("near", "127.0.0.9:5432", "denied"),
        ("denied_proxy", "fine.example:1", "denied"),
        // Allowed: the proxy is not there.
        ("far", "fine.example:1", "connection refused"),
    ] {
        let path = format!("/probe?module={module}&target={target}&debug=true");
        let text = exporter.get(&path).await.text().to_owned();
        assert!(text.contains(words), "{module} {target}: {text}");
        let is_refused = text.contains("reason=policy_refused");
        assert_eq!(
            is_refused,
            words != "connection refused",
            "{module} {target}: {text}"
        );
    }
}

#[test]
fn it_is_read_printed_and_judged() {
    let section = |fields: &str| format!("modules:\n  m: {{prober: tcp, tcp: {{{fields}}}}}\n");
    let text = section("proxy_url: 'socks5h://proxy.test', proxy_username: ann, proxy_password: hush-hush");
    let parsed = config::parse(&text);
    assert_eq!(parsed.problems, []);
    let printed = config::write::config(&parsed.config);
    has(&printed, ["proxy_password: <secret>"]);
    assert!(!printed.contains("hush") && !format!("{:?}", parsed.config).contains("hush"));
    let long = format!("proxy_url: 'socks5://h', proxy_username: {}", "a".repeat(256));
    for (fields, want) in [
        ("proxy_url: 'http://proxy.test:3128'", "SOCKS5 proxies only"),
        ("proxy_url: 'socks5://'", "SOCKS5 proxies only"),
        ("proxy_username: ann", "no effect without proxy_url"),
        ("proxy_password: hush", "no effect without proxy_url"),
        (
            "proxy_url: 'socks5://h', proxy_password: hush",
            "without proxy_username",
        ),
        (
            "proxy_url: 'socks5://a:b@h', proxy_username: ann",
            "has a user already",
        ),
        ("proxy_url: 'socks5://:b@h'", "at most 255 bytes"),
        (&*long, "at most 255 bytes"),
        ("proxy_url: 'socks5://h', count: 3", "several connects"),
    ] {
        let text = section(fields);
        let parsed = config::parse(&text);
        let [problem] = parsed.problems.as_slice() else {
            panic!("{fields}: {:?}", parsed.problems);
        };
        assert!(problem.message.contains(want), "{fields}: {}", problem.message);
    }
    let text = "modules:\n  m: {prober: tcp, addresses: any, tcp: {proxy_url: 'socks5://h'}}\n";
    has(&config::parse(text).problems[0].message, ["one address"]);
}

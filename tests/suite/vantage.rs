//! Where a module looks from: its own name server, all addresses of a name, and names in other scripts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use blackbox_exporter::metrics::Metric;
use blackbox_exporter::module::Module;
use blackbox_exporter::net::Network;
use blackbox_exporter::prober::{self, Judged, Outcome, Phase, ProbeRequest};
use blackbox_exporter::reason::Reason;
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::advice::protocols::demanding;
use crate::dns::{framed, reply, tcp_server, udp_server};
use crate::http::site::{Site, ok};
use crate::support::peer::{listen, serve_each};
use crate::support::pki::{self, Cert, Ocsp, pem};
use crate::support::programs::find;
use crate::support::tls_peer::SelfSigned;
use crate::support::unbound::Unbound;
use crate::support::{Exporter, closed, exposition, has, log, module, probe, spawn};

/// The answer to a query for addresses: these for A, none for AAAA, each to be kept for `ttl` seconds.
fn addresses(query: &[u8], ttl: u8, last: &[u8]) -> Vec<u8> {
    // An OPT record of 11 octets follows the question.
    let question = &query[..query.len() - 11];
    let is_a = question.ends_with(&[0, 1, 0, 1]);
    let last = if is_a { last } else { &[] };
    let records: Vec<u8> = last
        .iter()
        .flat_map(|last| [&b"\xc0\x0c\0\x01\0\x01\0\0\0"[..], &[ttl, 0, 4, 127, 0, 0, *last]].concat())
        .collect();
    let mut answer = reply(question, 0, [last.len() as u8, 0, 0], &records);
    answer[11] = 0;
    answer
}

/// A name server that knows all names, and how often it was asked.
async fn name_server(ttl: u8, last: &'static [u8]) -> (SocketAddr, Arc<AtomicUsize>) {
    let asked = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&asked);
    let server = udp_server(move |query| {
        counted.fetch_add(1, Ordering::Relaxed);
        vec![addresses(query, ttl, last)]
    })
    .await;
    (server, asked)
}

/// A port of 127.0.0.1 that accepts connections.
async fn listener() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(async move { while listener.accept().await.is_ok() {} });
    port
}

async fn run(module: &Module, target: &str) -> Outcome {
    let request = ProbeRequest {
        target,
        hostname: None,
        timeout: Duration::from_secs(10),
    };
    prober::run(&Network::system(), module, request).await
}

#[tokio::test]
async fn unbound_is_asked_over_every_transport() {
    let Some(program) = find("unbound") else { return };
    let zone = "own.test. 300 IN SOA ns.own.test. admin.own.test. 1 7200 3600 1209600 300\n\
                own.test. 300 IN NS ns.own.test.\nns.own.test. 300 IN A 127.0.0.1\n\
                site.own.test. 300 IN A 127.0.0.1\nalias.own.test. 300 IN CNAME site.own.test.\n";
    let identity = SelfSigned::local();
    let unbound = Unbound::start(&program, ("own.test", zone), &identity, None).await;
    let trust = format!("\nresolver_tls_config: {{{}}}", identity.trust());
    let (tls, https) = (unbound.tls.port(), unbound.https.port());
    let port = listener().await;
    let site = Site::answering(ok()).await;
    for (resolver, more, works) in [
        (format!("udp://{}", unbound.plain), "", true),
        (format!("tcp://{}", unbound.plain), "", true),
        (format!("tls://127.0.0.1:{tls}"), &*trust, true),
        (format!("tls://127.0.0.1:{tls}#localhost"), &*trust, true),
        (format!("tls://localhost:{tls}"), &*trust, true),
        (format!("https://127.0.0.1:{https}/dns-query"), &*trust, true),
        (format!("https://127.0.0.1:{https}"), &*trust, true),
        (format!("tls://127.0.0.1:{tls}"), "", false),
        (format!("tls://127.0.0.1:{tls}#other.test"), &*trust, false),
        (format!("https://127.0.0.1:{https}/nowhere"), &*trust, false),
        ("udp://127.0.0.1:1".to_owned(), "", false),
        ("tcp://127.0.0.1:1".to_owned(), "", false),
    ] {
        for (section, target) in [
            ("prober: tcp", format!("alias.own.test:{port}")),
            (
                "prober: http",
                format!("http://site.own.test:{}/", site.address.port()),
            ),
        ] {
            let outcome = probe(&format!("{section}\nresolver: '{resolver}'{more}"), &target).await;
            assert_eq!(
                outcome.success,
                works,
                "{resolver} {target}: {:#?}",
                log(&outcome)
            );
            if works {
                assert_eq!(outcome.samples.value(Metric::IpAddrHash), Some(3_668_918_509.0));
            }
        }
        let outcome = probe(
            &format!("prober: tcp\nresolver: '{resolver}'{more}"),
            "none.own.test:1",
        )
        .await;
        let lines = log(&outcome).join("\n");
        assert_eq!(lines.contains("no such host"), works, "{resolver}: {lines}");
    }
}

#[tokio::test]
async fn addresses_are_remembered_as_long_as_both_allow() {
    let port = listener().await;
    for (ttl, cache, want) in [(100, "1h", 2), (0, "1h", 6), (100, "0s", 6), (100, "1ns", 6)] {
        let (server, asked) = name_server(ttl, &[1]).await;
        let module = module(&format!(
            "prober: tcp\nresolver: udp://{server}\nresolver_cache: {cache}"
        ));
        for name in ["site.test", "SITE.test", "site.test"] {
            let outcome = run(&module, &format!("{name}:{port}")).await;
            assert!(outcome.success, "{:#?}", log(&outcome));
        }
        assert_eq!(asked.load(Ordering::Relaxed), want, "{ttl} {cache}");
    }
    // Half of an answer is not remembered: no AAAA record was found out here.
    let asked = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&asked);
    let server = udp_server(move |query| {
        let answer = addresses(query, 100, &[1]);
        if answer[7] == 0 {
            return vec![reply(&query[..query.len() - 11], 2, [0, 0, 0], &[])];
        }
        counted.fetch_add(1, Ordering::Relaxed);
        vec![answer]
    })
    .await;
    let module = module(&format!(
        "prober: tcp\nresolver: udp://{server}\nresolver_cache: 1h"
    ));
    for _ in 0..3 {
        let outcome = run(&module, &format!("site.test:{port}")).await;
        assert!(outcome.success, "{:#?}", log(&outcome));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_silent_name_server_is_waited_for_no_longer_than_allowed() {
    let silent = udp_server(|_| Vec::new()).await;
    let deaf = tcp_server(|stream, _| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    for (resolver, over) in [
        (format!("udp://{silent}"), "udp"),
        (format!("tcp://{deaf}"), "tcp"),
    ] {
        let yaml = format!("prober: tcp\nresolver: {resolver}\nresolver_timeout: 200ms");
        let from = Instant::now();
        let outcome = probe(&yaml, "site.test:1").await;
        assert!(from.elapsed() < Duration::from_secs(5));
        let lines = log(&outcome).join("\n");
        has(&lines, [&format!("{over}: i/o timeout: no response within")]);
    }
    // The probe's own timeout, while there is no connection yet that could be asked over.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let deaf = listener.local_addr().unwrap();
    for resolver in [format!("tls://{deaf}"), format!("https://{deaf}")] {
        let yaml = format!("prober: tcp\ntimeout: 300ms\nresolver: {resolver}");
        let outcome = probe(&yaml, "site.test:1").await;
        assert_eq!(
            outcome.failure.unwrap().reason,
            Reason::ResolveTimeout,
            "{resolver}"
        );
    }
    // Nor is there time to ask while the system's CA certificates are read.
    let yaml = format!("prober: tcp\nresolver: tls://{deaf}\nresolver_timeout: 1ms");
    let outcome = probe(&yaml, "site.test:1").await;
    assert_eq!(outcome.failure.unwrap().reason, Reason::ResolveTimeout);
    // Bytes without end, and an answer to somebody else.
    let endless = tcp_server(|mut stream, _| async move {
        use tokio::io::AsyncWriteExt;
        while stream.write_all(&[0xff; 4096]).await.is_ok() {}
    })
    .await;
    let other = tcp_server(|mut stream, query| async move {
        use tokio::io::AsyncWriteExt;
        let mut answer = addresses(&query, 9, &[1]);
        answer[0] ^= 1;
        stream.write_all(&framed(&answer)).await.unwrap();
    })
    .await;
    for server in [endless, other] {
        let outcome = probe(&format!("prober: tcp\nresolver: tcp://{server}"), "site.test:1").await;
        let lines = log(&outcome).join("\n");
        assert!(
            lines.contains("invalid DNS response") || lines.contains("cannot unmarshal"),
            "{lines}"
        );
    }
}

#[tokio::test]
async fn a_name_server_may_take_nearly_all_of_the_time() {
    let port = listener().await;
    // Another one that is up refuses meanwhile: names of servers mostly have an address of each family.
    let quiet = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = quiet.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((length, from)) = quiet.recv_from(&mut query) {
            let answer = addresses(&query[..length], 100, &[1]);
            let socket = quiet.try_clone().unwrap();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(1200));
                socket.send_to(&answer, from)
            });
        }
    });
    for limit in ["timeout: 2s", "timeout: 5s\nresolver_timeout: 2s"] {
        for host in ["127.0.0.1", "localhost"] {
            let yaml = format!("prober: tcp\n{limit}\nresolver: udp://{host}:{}", server.port());
            let outcome = probe(&yaml, &format!("site.test:{port}")).await;
            assert!(outcome.success, "{yaml}: {:#?}", log(&outcome));
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_name_server_is_told() {
    let about = "This is about the name server of the module, not the target. ";
    let root = Cert::ca("Root").self_signed();
    let untrusted = pki::server_config(pki::certified(&[&Cert::leaf().by(&root)]), &[&TLS13]);
    let untrusted = pki::saying(untrusted, ok()).await;
    let web = listen(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let demanding = demanding().await;
    let closed = closed();
    for way in ["tls", "https"] {
        let rows = [
            (
                untrusted.port(),
                "",
                [about, "set server_name: v4.test in resolver_tls_config, or"],
            ),
            (web.port(), "", [about, "plain HTTP"]),
            (
                demanding,
                "\nresolver_tls_config: {insecure_skip_verify: true}",
                [about, "demands a client certificate"],
            ),
            (
                closed.port(),
                "",
                ["nothing listens there", "resolver in the module"],
            ),
        ];
        for (port, more, said) in rows {
            let yaml = format!("prober: tcp\nresolver: {way}://127.0.0.1:{port}{more}");
            let outcome = probe(&yaml, "site.test:1").await;
            assert_eq!(outcome.failure.unwrap().reason, Reason::ResolveError, "{yaml}");
            has(outcome.advice.unwrap(), said);
        }
    }
}

#[test]
fn name_servers_are_judged_when_they_are_read() {
    for (resolver, good) in [
        ("udp://9.9.9.9", true),
        ("tcp://[2620:fe::fe]:53", true),
        ("tls://9.9.9.9#dns.quad9.net", true),
        ("tls://dns.quad9.net", true),
        ("https://dns.quad9.net/dns-query", true),
        ("9.9.9.9", false),
        ("http://dns.quad9.net/dns-query", false),
        ("udp://", false),
        ("udp://9.9.9.9/x", false),
        ("tcp://9.9.9.9:99999", false),
        ("https://u:p@dns.quad9.net/", false),
    ] {
        let text = format!("modules: {{m: {{prober: tcp, resolver: '{resolver}'}}}}");
        let loaded = blackbox_exporter::module::parse(text, "f.yml");
        assert_eq!(loaded.is_ok(), good, "{resolver}");
    }
    for wrong in [
        "prober: http, addresses: all",
        "prober: tcp, resolver_timeout: -1s",
    ] {
        let text = format!("modules: {{m: {{{wrong}}}}}");
        assert!(
            blackbox_exporter::module::parse(text, "f.yml").is_err(),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn every_address_is_probed() {
    let port = listener().await;
    for (last, want) in [
        (&[1_u8][..], &[("127.0.0.1", 1)][..]),
        (&[1, 2], &[("127.0.0.1", 1), ("127.0.0.2", 0)]),
        (
            &[3, 1, 2],
            &[("127.0.0.1", 1), ("127.0.0.2", 0), ("127.0.0.3", 0)],
        ),
    ] {
        let (server, asked) = name_server(9, last).await;
        let yaml = format!("prober: tcp\nresolver: udp://{server}\naddresses: all");
        let outcome = probe(&yaml, &format!("pool.test:{port}")).await;
        assert_eq!(outcome.success, last.len() == 1, "{:#?}", log(&outcome));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        let text = exposition(&outcome);
        for (ip, success) in want {
            let line = format!("probe_address_success{{ip=\"{ip}\"}} {success}\n");
            assert!(text.contains(&line), "{text}");
        }
        assert_eq!(
            text.matches("probe_address_success{").count(),
            last.len(),
            "{text}"
        );
    }
    let (server, _) = name_server(9, &[1, 2]).await;
    let yaml = format!("prober: icmp\nresolver: udp://{server}\naddresses: all");
    let outcome = probe(&yaml, "pool.test").await;
    let lines = log(&outcome).join("\n");
    if !lines.contains("Error listening to socket") {
        assert!(outcome.success, "{lines}");
        let text = exposition(&outcome);
        has(&text, ["probe_address_success{ip=\"127.0.0.2\"} 1\n"]);
    }
    let outcome = probe("prober: tcp\naddresses: all", "127.0.0.1").await;
    has(log(&outcome).join("\n"), ["missing port in address"]);
}

/// Addresses that the policy denies are left out, wherever the name server has them; only of `first` the first one is meant.
#[tokio::test]
async fn denied_addresses_are_left_out() {
    let port = listener().await;
    for (choice, last, success) in [
        ("first", &[4, 1][..], 0.0),
        ("random", &[4, 5, 6, 7, 1], 1.0),
        ("any", &[4, 1], 1.0),
        ("all", &[4, 1], 1.0),
        ("any", &[4], 0.0),
        ("all", &[4], 0.0),
    ] {
        let (server, _) = name_server(9, last).await;
        let config = format!(
            "policy: {{deny: {{networks: [127.0.0.4/30]}}}}\nmodules:\n  m: {{prober: tcp, resolver: 'udp://{server}', \
             addresses: {choice}, tcp: {{preferred_ip_protocol: ip4}}}}\n"
        );
        let exporter = Exporter::start(&config, &[]).await;
        let answer = exporter.probe("m", &format!("pool.test:{port}")).await;
        assert_eq!(
            answer.sample("probe_success"),
            Some(success),
            "{choice} {last:?}: {}",
            answer.text()
        );
        let refused = exporter.get("/metrics").await;
        let refused = refused.sample("blackbox_exporter_targets_refused_total");
        assert_eq!(refused, Some(1.0 - success), "{choice} {last:?}");
    }
}

async fn at(last: u8, port: u16) -> TcpListener {
    let address = SocketAddr::from(([127, 0, 0, last], port));
    TcpListener::bind(address).await.unwrap()
}

/// Peers at 127.0.0.2 and 127.0.0.3 of one port that say these lines, each but the first once something was read; `None` refuses.
async fn pair(lines: [Option<&'static [&'static str]>; 2]) -> u16 {
    let mut port = 0;
    for (last, lines) in [2, 3].into_iter().zip(lines) {
        let Some(lines) = lines else { continue };
        let listener = at(last, port).await;
        port = listener.local_addr().unwrap().port();
        serve_each(listener, move |mut stream| async move {
            for (index, line) in lines.iter().enumerate() {
                if index > 0 {
                    let _ = stream.read(&mut [0; 99]).await;
                }
                let _ = stream.write_all(line.as_bytes()).await;
            }
        });
    }
    port
}

/// What is told of a failure is that of the first address that failed, whatever the others do.
#[tokio::test]
async fn a_failure_is_told_of_one_address() {
    const GOOD: Option<&[&str]> = Some(&["one\n", "two\n"]);
    const BAD: Option<&[&str]> = Some(&["zero\n"]);
    const CLOSED: Option<&[&str]> = Some(&[]);
    let (server, _) = name_server(9, &[2, 3]).await;
    let text = format!(
        "prober: tcp\nresolver: udp://{server}\naddresses: all\ntimeout: 20s\n\
         tcp: {{preferred_ip_protocol: ip4, query_response: [{{expect: one, send: a}}, {{expect: two}}]}}"
    );
    let rows: [(_, Option<(Reason, &str, Option<usize>)>, &[Judged]); 6] = [
        ([None, GOOD], Some((Reason::ConnectRefused, "connect", None)), &[]),
        (
            [BAD, None],
            Some((Reason::ExpectMismatch, "transfer", Some(1))),
            &[Judged::Failed, Judged::NotJudged],
        ),
        (
            [CLOSED, GOOD],
            Some((Reason::PeerClosed, "transfer", Some(1))),
            &[Judged::Failed, Judged::NotJudged],
        ),
        ([GOOD, None], Some((Reason::ConnectRefused, "connect", None)), &[]),
        (
            [GOOD, BAD],
            Some((Reason::ExpectMismatch, "transfer", Some(1))),
            &[Judged::Failed, Judged::NotJudged],
        ),
        ([GOOD, GOOD], None, &[Judged::Passed, Judged::Passed]),
    ];
    for (lines, want, findings) in rows {
        for attempts in [1, 2] {
            let target = format!("pool.test:{}", pair(lines).await);
            let request = ProbeRequest {
                target: &target,
                hostname: None,
                timeout: Duration::from_secs(20),
            };
            let also = prober::Also {
                explain: true,
                ..prober::Also::default()
            };
            let module = module(&format!("{text}\nattempts: {attempts}"));
            let outcome = prober::run_with(&Network::system(), &module, &request, also).await;
            let got = outcome.failure.map(|of| (of.reason, of.phase, of.step));
            assert_eq!(got, want, "{lines:?}: {:#?}", log(&outcome));
            let found = outcome.findings.as_ref().unwrap().list().iter();
            let judged: Vec<_> = found.map(|finding| finding.verdict).collect();
            assert_eq!(judged, findings, "{lines:?}");
            // The one that is told of, of the last attempt.
            let failed = outcome.samples.value(Metric::FailedDueToRegex);
            let is_mismatch = want.is_some_and(|(reason, ..)| reason != Reason::ConnectRefused);
            assert_eq!(failed.unwrap_or_default(), f64::from(u8::from(is_mismatch)));
            let hops = outcome.timeline.hops.iter();
            let marks = hops.filter_map(|hop| hop.shown());
            let marked = marks
                .filter(|mark| mark.starts_with("attempt 1 failed: "))
                .count();
            assert_eq!(marked, usize::from(attempts == 2 && want.is_some()));
        }
    }
}

/// The certificate of each address is judged with its own probe, and those of the one that is described are exposed.
#[tokio::test]
async fn every_address_is_judged_by_its_own_certificate() {
    let root = Cert::ca("Root").self_signed();
    let (server, _) = name_server(9, &[2, 3]).await;
    let ca = pem("CERTIFICATE", &root.der);
    let yaml = format!(
        "prober: tcp\nresolver: udp://{server}\naddresses: all\ntimeout: 20s\nocsp: staple\nfail_if_cert_revoked: true\n\
         certificates: true\ntcp: {{preferred_ip_protocol: ip4, tls: true, tls_config: {{ca: {ca:?}, server_name: v4.test}}, \
         query_response: [{{expect: ready}}]}}"
    );
    for (staples, described) in [
        (["good", "good"], 2),
        (["revoked", "good"], 2),
        (["good", "revoked"], 3),
        (["revoked", "revoked"], 2),
    ] {
        let mut port = 0;
        for (last, staple) in [2, 3].into_iter().zip(staples) {
            let serial = [1, last];
            let subject = pki::common_name(&format!("at {last}"));
            let leaf = Cert::leaf().serial(&serial).subject(subject).by(&root);
            let mut presented = pki::certified(&[&leaf, &root]);
            presented.ocsp = Some(Ocsp::of(&serial, staple).by(&root, &root));
            let acceptor = TlsAcceptor::from(Arc::new(pki::server_config(presented, &[&TLS13])));
            let listener = at(last, port).await;
            port = listener.local_addr().unwrap().port();
            serve_each(listener, move |stream| {
                let accepting = acceptor.accept(stream);
                async move {
                    if let Ok(mut stream) = accepting.await {
                        let _ = stream.write_all(b"ready\n").await;
                        let _ = stream.shutdown().await;
                    }
                }
            });
        }
        let outcome = probe(&yaml, &format!("pool.test:{port}")).await;
        let text = exposition(&outcome);
        for (last, staple) in [2, 3].into_iter().zip(staples) {
            let success = u8::from(staple == "good");
            let line = format!("probe_address_success{{ip=\"127.0.0.{last}\"}} {success}\n");
            has(&text, [line.as_str()]);
            let subject = format!("subject=\"CN=at {last}\"");
            assert_eq!(text.contains(&subject), last == described, "{staples:?}: {text}");
        }
        let failure = outcome.failure.map(|of| (of.reason, of.phase, of.step));
        let revoked = staples.contains(&"revoked");
        let want = revoked.then_some((Reason::TlsCertRevoked, "tls", None));
        assert_eq!(failure, want, "{staples:?}: {:#?}", log(&outcome));
        let status = outcome.samples.value(Metric::SslOcspStatus);
        assert_eq!(status, Some(f64::from(u8::from(revoked))));
    }
}

/// Each address of each attempt has one hop, and a resolution belongs to the attempt that made it.
#[tokio::test]
async fn every_address_has_one_hop_per_attempt() {
    let (server, _) = name_server(9, &[1, 2]).await;
    let more = format!("resolver: udp://{server}\naddresses: all\nattempts: 2\ntimeout: 20s");
    let yaml = format!("prober: tcp\n{more}\ntcp: {{preferred_ip_protocol: ip4}}");
    let outcome = probe(&yaml, "pool.test:1").await;
    let hops = outcome.timeline.hops.iter().map(|hop| {
        let phases: Vec<_> = hop.phases.iter().map(|span| span.phase).collect();
        (hop.name.as_str(), phases)
    });
    let attempt = [
        ("pool.test:1 at 127.0.0.1", vec![Phase::Resolve, Phase::Connect]),
        ("pool.test:1 at 127.0.0.2", vec![Phase::Connect]),
    ];
    assert_eq!(hops.collect::<Vec<_>>(), [attempt.clone(), attempt].concat());
    // Here no hop begins before the resolution.
    let outcome = probe("prober: icmp\nattempts: 2\ntimeout: 20s", "no-such-host.invalid").await;
    let phases = outcome.timeline.hops.iter().map(|hop| hop.phases.len());
    assert_eq!(phases.collect::<Vec<_>>(), [1, 1]);
}

#[tokio::test]
async fn a_silent_address_does_not_keep_the_others_from_being_probed() {
    // Full: its kernel answers no more connections.
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let _held: Vec<_> = (0..4)
        .map(|_| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address.into());
            socket
        })
        .collect();
    let good = TcpListener::bind(("127.0.0.1", address.port())).await;
    let Ok(good) = good else { return };
    spawn(async move { while good.accept().await.is_ok() {} });
    let (server, _) = name_server(9, &[2, 1]).await;
    let yaml = format!("prober: tcp\ntimeout: 2s\nresolver: udp://{server}\naddresses: all");
    let outcome = probe(&yaml, &format!("pool.test:{}", address.port())).await;
    assert!(!outcome.success);
    let text = exposition(&outcome);
    has(
        &text,
        [
            "probe_address_success{ip=\"127.0.0.1\"} 1\n",
            "probe_address_success{ip=\"127.0.0.2\"} 0\n",
        ],
    );
}

#[tokio::test]
async fn names_in_other_scripts_are_looked_up_in_their_ascii_form() {
    let server = udp_server(|query| {
        let known = query[12..].starts_with(b"\x0dxn--bcher-kva\x04test\0");
        vec![addresses(query, 9, if known { &[1] } else { &[] })]
    })
    .await;
    let identity = SelfSigned::of(&["xn--bcher-kva.test"]);
    let tls_port = pki::saying(identity.server(&[]), ok()).await.port();
    let trust = format!("tls_config: {{{}}}", identity.trust());
    let moved = "HTTP/1.1 302 Found\r\nLocation: http://BÜCHER.test:{port}/\r\nContent-Length: 0\r\n\r\n";
    let site = Site::with(move |asked| match asked.header("Host") {
        Some(host) if host.starts_with("127.") => moved.into(),
        _ => ok(),
    });
    let site = site.await;
    let port = site.address.port();
    for (yaml, target) in [
        ("prober: tcp".to_owned(), format!("bücher.test:{port}")),
        ("prober: http".to_owned(), format!("http://BÜCHER.test:{port}/")),
        (
            format!("prober: tcp\ntcp: {{tls: true, {trust}}}"),
            format!("bücher.test:{tls_port}"),
        ),
        (
            format!("prober: http\nhttp: {{enable_http2: false, {trust}}}"),
            format!("https://bücher.test:{tls_port}/"),
        ),
    ] {
        let outcome = probe(&format!("{yaml}\nresolver: udp://{server}"), &target).await;
        assert!(outcome.success, "{target}: {:#?}", log(&outcome));
    }
    // The name that peers get to see is the one that is looked up, but for one that the module writes.
    let proxy =
        format!("http: {{proxy_url: 'http://127.0.0.1:{port}', skip_resolve_phase_with_proxy: true}}");
    let own = format!("xn--bcher-kva.test:{port}");
    let own = own.as_str();
    for (yaml, target, want) in [
        ("prober: http", format!("http://BÜCHER.test:{port}/"), own),
        ("prober: http", format!("http://bücher。test:{port}/"), own),
        ("prober: websocket", format!("ws://BÜCHER.test:{port}/"), own),
        (
            &format!("prober: http\n{proxy}"),
            "http://BÜCHER.test/".to_owned(),
            "xn--bcher-kva.test",
        ),
        (
            "prober: http\nhttp: {headers: {Host: BÜCHER.test}}",
            format!("http://bücher.test:{port}/"),
            "xn--BCHER-2pa.test",
        ),
        ("prober: http", site.url("/"), own),
    ] {
        probe(&format!("{yaml}\nresolver: udp://{server}"), &target).await;
        let asked = site.asked();
        assert_eq!(asked.last().unwrap().header("Host"), Some(want), "{target}");
    }
}

//! Names with several addresses, of which some do not answer: the target's own connection leads to the address that was
//! chosen, every other one to whichever accepts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use blackbox_exporter::metrics::Metric;
use blackbox_exporter::net::dial::{Vantage, several};
use blackbox_exporter::net::{Deadline, Network};
use blackbox_exporter::reason::Reason;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;

use crate::grpc::tonic;
use crate::http::site::{Asked, Site, answer, ok, redirect};
use crate::support::namespace::outside;
use crate::support::tls_peer::SelfSigned;
use crate::support::{exposition, has, lacks, log, probe, spawn};

/// `localhost` as everywhere; `pool.test` with a first address where nobody listens; `silent.test` and `slow.test` with one
/// that never answers, of the same family and of the other.
const HOSTS: &str = "hosts=$(mktemp) && printf '127.0.0.1 localhost\\n::1 localhost\\n127.0.0.2 pool.test\\n127.0.0.1 pool.test\\n\
    192.0.2.1 silent.test\\n127.0.0.1 silent.test\\n2001:db8::1 slow.test\\n127.0.0.1 slow.test\\n' > $hosts && \
    mount --bind $hosts /etc/hosts && ip route add 192.0.2.0/24 dev lo && ip -6 route add 2001:db8::/32 dev lo";

/// Redirects from `/NAME` to the host of that name, answers `/` and `/token`.
async fn site() -> Site {
    Site::with(|asked: &Asked| match asked.path() {
        "/token" => answer(
            "200 OK",
            &["Content-Type: application/json"],
            "{\"access_token\": \"t\"}",
        ),
        "/" => ok(),
        path if path.starts_with('/') => redirect(&format!("http://{}:{{port}}/", &path[1..])),
        _ => ok(),
    })
    .await
}

#[tokio::test]
async fn the_next_address_is_dialled() {
    if outside("addresses::the_next_address_is_dialled", HOSTS) {
        return;
    }
    let site = site().await;
    let port = site.address.port();
    let http = |more: &str| format!("prober: http\ntimeout: 10s\nhttp: {{{more}}}");
    let behind = |proxy: &str| {
        http(&format!(
            "proxy_url: '{proxy}:{port}', skip_resolve_phase_with_proxy: true"
        ))
    };
    let token =
        format!("oauth2: {{client_id: a, client_secret: b, token_url: 'http://localhost:{port}/token'}}");
    let direct = "proxy_url: 'http://127.0.0.1:1', no_proxy: pool.test, skip_resolve_phase_with_proxy: true";
    #[rustfmt::skip]
    let rows = [
        (http(""), format!("http://127.0.0.1:{port}/localhost"), true),
        (http("preferred_ip_protocol: ip4"), format!("http://127.0.0.1:{port}/pool.test"), true),
        (http("preferred_ip_protocol: ip4"), format!("http://127.0.0.1:{port}/silent.test"), true),
        (http(""), format!("http://127.0.0.1:{port}/slow.test"), true),
        (http("ip_protocol_fallback: false"), format!("http://[::1]:{port}/"), false),
        (behind("http://localhost"), "http://service.example/".to_owned(), true),
        (behind("http://slow.test"), "http://service.example/".to_owned(), true),
        (http(direct), format!("http://pool.test:{port}/"), true),
        (http(&token), format!("http://127.0.0.1:{port}/"), true),
        // The target's own connection is that of the address which is exposed.
        (http(""), format!("http://localhost:{port}/"), false),
        ("prober: tcp\ntimeout: 10s".to_owned(), format!("localhost:{port}"), false),
    ];
    for (module, target, want) in rows {
        let outcome = probe(&module, &target).await;
        assert_eq!(outcome.success, want, "{module} {target}: {:#?}", log(&outcome));
    }
}

#[tokio::test]
async fn grpc_tells_of_the_address_that_answered() {
    if outside("addresses::grpc_tells_of_the_address_that_answered", HOSTS) {
        return;
    }
    let port = tonic(None).await;
    for host in ["localhost", "slow.test", "pool.test"] {
        let outcome = probe("prober: grpc\ntimeout: 10s", &format!("{host}:{port}")).await;
        assert!(outcome.success, "{host}: {:#?}", log(&outcome));
        assert_eq!(outcome.samples.value(Metric::IpProtocol), Some(4.0), "{host}");
        assert_eq!(
            outcome.samples.value(Metric::IpAddrHash),
            Some(3_668_918_509.0),
            "{host}"
        );
    }
    let outcome = probe("prober: grpc\ntimeout: 10s", "pool.test:1").await;
    let lines = log(&outcome).join("\n");
    has(&lines, ["dial tcp 127.0.0.2:1: connect: connection refused"]);
    // The first address refuses in TLS, the second one refuses connections: all that is told is about the first.
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // Nobody else listens there.
    let second = TcpSocket::new_v4().unwrap();
    second.bind(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    spawn(untrusted(listener));
    let yaml = "prober: grpc\ntimeout: 10s\nresolved_address: true\ngrpc: {tls: true}";
    let outcome = probe(yaml, &format!("pool.test:{port}")).await;
    let failure = outcome.failure.unwrap();
    assert_eq!((failure.reason, failure.phase), (Reason::TlsCertUntrusted, "tls"));
    has(
        log(&outcome).join("\n"),
        [&format!("health check of 127.0.0.2:{port}: ")],
    );
    has(outcome.advice.as_deref().unwrap(), ["certificate"]);
    has(
        exposition(&outcome),
        [
            "probe_ip_info{ip=\"127.0.0.2\"",
            "probe_ssl_earliest_cert_expiry ",
        ],
    );
    // The first address closes at once, the second one fails in TLS: its certificate is not the first one's.
    let (closing, refusing, port) = loop {
        let closing = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = closing.local_addr().unwrap().port();
        if let Ok(refusing) = TcpListener::bind(("127.0.0.2", port)).await {
            break (closing, refusing, port);
        }
    };
    spawn(async move { while closing.accept().await.is_ok() {} });
    spawn(untrusted(refusing));
    let outcome = probe(yaml, &format!("pool.test:{port}")).await;
    let told = format!("health check of 127.0.0.1:{port}: ");
    has(log(&outcome).join("\n"), [&told]);
    has(exposition(&outcome), ["probe_ip_info{ip=\"127.0.0.1\""]);
    lacks(exposition(&outcome), ["probe_ssl_"]);
}

/// Serves TLS with a certificate that nobody trusts.
async fn untrusted(listener: TcpListener) {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(SelfSigned::of(&["pool.test"]).server(&["h2"])));
    while let Ok((stream, _)) = listener.accept().await {
        let _ = acceptor.accept(stream).await;
    }
}

#[tokio::test]
async fn the_first_error_is_told_and_the_last_success_counts() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = listener.local_addr().unwrap();
    let dead = |ip: [u8; 4]| SocketAddr::from((ip, there.port()));
    let network = Network::default();
    let deadline = Deadline::after(Instant::now(), Duration::from_secs(30));
    let all = [dead([127, 0, 0, 2]), dead([127, 0, 0, 3]), there];
    let dialled = several(&network, deadline, &all, &Vantage::default())
        .await
        .unwrap();
    assert_eq!((dialled.address, dialled.failed.len()), (there, 2));
    let failed = several(&network, deadline, &all[..2], &Vantage::default())
        .await
        .unwrap_err();
    assert_eq!(
        failed[0].to_string(),
        format!("dial tcp {}: connect: connection refused", all[0])
    );
    let over = Deadline::after(Instant::now(), Duration::ZERO);
    let failed = several(&network, over, &all, &Vantage::default())
        .await
        .unwrap_err();
    assert!(failed[0].to_string().contains("i/o timeout"), "{}", failed[0]);
}

/// `addresses` says which of a name's addresses are dialled, and `source_ip_address` from where.
#[tokio::test]
async fn modules_choose_addresses_and_where_they_come_from() {
    if outside(
        "addresses::modules_choose_addresses_and_where_they_come_from",
        HOSTS,
    ) {
        return;
    }
    let site = site().await;
    let port = site.address.port();
    let hash = Some(3_668_918_509.0);
    let module = |prober: &str, addresses: &str| {
        format!(
            "prober: {prober}\ntimeout: 10s\naddresses: {addresses}\n{prober}: {{preferred_ip_protocol: ip4}}"
        )
    };
    for (prober, target) in [
        ("tcp", format!("pool.test:{port}")),
        ("http", format!("http://pool.test:{port}/")),
    ] {
        let outcome = probe(&module(prober, "first"), &target).await;
        assert!(!outcome.success, "{:#?}", log(&outcome));
        assert_eq!(outcome.samples.value(Metric::AddressesTried), None);
        let outcome = probe(&module(prober, "any"), &target).await;
        assert!(outcome.success, "{:#?}", log(&outcome));
        assert_eq!(outcome.samples.value(Metric::AddressesTried), Some(2.0));
        assert_eq!(outcome.samples.value(Metric::IpAddrHash), hash);
        let mut seen = [false; 2];
        for _ in 0..64 {
            let outcome = probe(&module(prober, "random"), &target).await;
            let is_live = outcome.samples.value(Metric::IpAddrHash) == hash;
            assert_eq!(outcome.success, is_live, "{:#?}", log(&outcome));
            seen[usize::from(is_live)] = true;
        }
        assert_eq!(seen, [true, true], "{prober}");
    }
    let several = module("tcp", "any").replace("ip4", "ip4, count: 3, interval: 1ms");
    let outcome = probe(&several, &format!("pool.test:{port}")).await;
    let counts = [Metric::TcpPacketsSent, Metric::TcpPacketsReceived];
    assert_eq!(counts.map(|metric| outcome.samples.value(metric)), [Some(3.0); 2]);
    let outcome = probe(&module("tcp", "any"), "pool.test:1").await;
    assert!(!outcome.success);
    assert_eq!(outcome.samples.value(Metric::AddressesTried), Some(2.0));
}

#[tokio::test]
async fn every_prober_sends_from_the_address_of_its_module() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = listener.local_addr().unwrap();
    let (seen, mut peers) = tokio::sync::mpsc::unbounded_channel();
    spawn(async move {
        while let Ok((_, peer)) = listener.accept().await {
            let _ = seen.send(peer.ip().to_string());
        }
    });
    let rows = [
        ("tcp", there.to_string()),
        ("http", format!("http://{there}/")),
        ("grpc", there.to_string()),
        ("websocket", format!("ws://{there}/")),
        ("dns", there.to_string()),
    ];
    for (prober, target) in rows {
        let section = match prober {
            "dns" => "dns: {query_name: a.test, transport_protocol: tcp}",
            _ => "",
        };
        let module = format!("prober: {prober}\ntimeout: 5s\nsource_ip_address: 127.0.0.7\n{section}");
        probe(&module, &target).await;
        let from = tokio::time::timeout(Duration::from_secs(30), peers.recv()).await;
        assert_eq!(from.unwrap().as_deref(), Some("127.0.0.7"), "{prober}");
    }
    for section in [
        "dns: {query_name: a.test}",
        "http: {enable_http3: true, enable_http2: false}",
    ] {
        let (prober, _) = section.split_once(':').unwrap();
        let module = format!("prober: {prober}\ntimeout: 30s\nsource_ip_address: 127.0.0.7\n{section}");
        let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let there = silent.local_addr().unwrap();
        let target = if prober == "http" {
            format!("https://{there}/")
        } else {
            there.to_string()
        };
        let mut datagram = [0; 2000];
        let (_, from) = tokio::select! {
            _ = probe(&module, &target) => panic!("{section}: nothing was sent"),
            received = silent.recv_from(&mut datagram) => received.unwrap(),
        };
        assert_eq!(from.ip().to_string(), "127.0.0.7", "{section}");
    }
}

//! Each reason of a failed probe, by a real failure of that kind.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use blackbox_exporter::prober::Outcome;
use blackbox_exporter::reason::Reason;
use rustls::version::{TLS12, TLS13};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, UdpSocket};

use crate::grpc::tonic;
use crate::http::site::{Asked, Site, answer, ok, read_request, redirect};
use crate::support::namespace::{is_inside, outside};
use crate::support::peer::{Move, Peer, listen, send};
use crate::support::pki::{self, Cert, Made, Ocsp, pem};
use crate::support::{Exporter, closed, exposition, has, log, probe, spawn};

/// Those that `failures_on_the_loopback_interface` shows.
const LOOPBACK: [Reason; 32] = [
    Reason::ResolveNotFound,
    Reason::ResolveNoAddress,
    Reason::ConnectRefused,
    Reason::ConnectReset,
    Reason::ProxyError,
    Reason::TlsHandshake,
    Reason::TlsCertExpired,
    Reason::TlsCertNotYetValid,
    Reason::TlsCertUntrusted,
    Reason::TlsCertName,
    Reason::TlsCertRevoked,
    Reason::TlsVersion,
    Reason::RequestTimeout,
    Reason::HttpStatus,
    Reason::HttpVersion,
    Reason::HttpRedirects,
    Reason::SslPresent,
    Reason::SslAbsent,
    Reason::BodyRegexp,
    Reason::BodyJson,
    Reason::BodyTooLarge,
    Reason::BodyDecoding,
    Reason::HeaderRegexp,
    Reason::ProtocolError,
    Reason::DnsRcode,
    Reason::DnsRecords,
    Reason::GrpcStatus,
    Reason::GrpcNotServing,
    Reason::WebsocketRefused,
    Reason::AuthToken,
    Reason::FileError,
    Reason::ConfigError,
];

/// Those of dialogues.
const DIALOGUE: [Reason; 3] = [Reason::ExpectMismatch, Reason::ExpectTimeout, Reason::PeerClosed];

/// Those of whole exporters.
const EXPORTER: [Reason; 2] = [Reason::PolicyRefused, Reason::TooManyProbes];

/// Those that need a network of their own.
const NETWORK: [Reason; 9] = [
    Reason::ResolveTimeout,
    Reason::ResolveError,
    Reason::ConnectTimeout,
    Reason::ConnectUnreachable,
    Reason::OutOfResources,
    Reason::IcmpNoReply,
    Reason::IcmpUnreachable,
    Reason::IcmpTimeExceeded,
    Reason::IcmpTooBig,
];

/// There is nothing left that a test can bring about.
const UNSHOWN: [Reason; 1] = [Reason::Other];

#[test]
fn every_reason_has_a_test() {
    let all: BTreeSet<Reason> = Reason::ALL.iter().copied().collect();
    let shown = [&LOOPBACK[..], &DIALOGUE, &EXPORTER, &NETWORK, &UNSHOWN].concat();
    assert_eq!(shown.iter().copied().collect::<BTreeSet<_>>(), all);
    assert_eq!(shown.len(), all.len(), "each once");
}

/// Every probe fails for its reason, and for each reason there is one.
fn judge(expected: &[Reason], failures: &[(Reason, Outcome)]) {
    for (reason, outcome) in failures {
        let failure = outcome
            .failure
            .unwrap_or_else(|| panic!("{reason:?}: it passed: {:?}", log(outcome)));
        assert_eq!(failure.reason, *reason, "{:?}", log(outcome));
    }
    let seen: BTreeSet<Reason> = failures.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(seen, expected.iter().copied().collect());
}

fn http(settings: &str) -> String {
    format!("prober: http\ntimeout: 10s\nhttp: {{preferred_ip_protocol: ip4, {settings}}}")
}

fn tcp(settings: &str) -> String {
    format!("prober: tcp\ntimeout: 10s\ntcp: {{preferred_ip_protocol: ip4, {settings}}}")
}

/// The settings of TLS that trust `root`.
fn trusting(root: &Made, name: &str) -> String {
    let ca = pem("CERTIFICATE", &root.der).replace('\n', "\\n");
    format!("tls_config: {{ca: \"{ca}\", server_name: {name}}}")
}

/// A server that shakes hands with this certificate, and answers like a web server.
async fn encrypted(
    chain: &[&Made],
    staple: Option<Vec<u8>>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> SocketAddr {
    let mut presented = pki::certified(chain);
    presented.ocsp = staple;
    pki::saying(pki::server_config(presented, versions), ok()).await
}

/// A name server that answers every query with this response code and nothing else; on the port, or on any.
async fn name_server(address: &str, rcode: impl Fn(&[u8]) -> Option<u8> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind(address).await.unwrap();
    let address = socket.local_addr().unwrap();
    spawn(async move {
        let mut bytes = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
            if let Some(rcode) = rcode(&bytes[..length]) {
                // The query with the bit that makes it a response, and without the records that it may have had besides.
                bytes[2] |= 0x80;
                bytes[3] = 0x80 | rcode;
                bytes[6..12].fill(0);
                let end = 12 + bytes[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
                let _ = socket.send_to(&bytes[..end], from).await;
            }
        }
    });
    address
}

#[tokio::test]
async fn failures_on_the_loopback_interface() {
    let mut failures = Vec::new();
    let mut add =
        async |reason, module: String, target: String| failures.push((reason, probe(&module, &target).await));

    add(Reason::ResolveNotFound, tcp(""), "service.onion:80".into()).await;
    let no_fallback = "prober: tcp\ntcp: {preferred_ip_protocol: ip6, ip_protocol_fallback: false}";
    add(
        Reason::ResolveNoAddress,
        no_fallback.into(),
        "127.0.0.1:80".into(),
    )
    .await;
    let closed = closed();
    add(Reason::ConnectRefused, tcp(""), closed.to_string()).await;
    add(Reason::ConfigError, tcp(""), "127.0.0.1".into()).await;
    let peer = Peer::play(vec![Move::ReadLine, Move::Reset]).await;
    add(
        Reason::ConnectReset,
        tcp("query_response: [{send: hello}, {expect: never}]"),
        peer.target(),
    )
    .await;

    let peer = Peer::play(vec![send("220 mail.example.com\r\n"), Move::Close]).await;
    add(Reason::TlsHandshake, tcp("tls: true"), peer.target()).await;
    let root = Cert::ca("Root").self_signed();
    let good = Cert::leaf().by(&root);
    let trusted = trusting(&root, "v4.test");
    let tls = |settings: &str| tcp(&format!("tls: true, {settings}"));
    #[rustfmt::skip]
    let rows = [
        (Reason::TlsCertExpired, Cert::leaf().years(2020, 2021).by(&root), &trusted),
        (Reason::TlsCertNotYetValid, Cert::leaf().years(2099, 2100).by(&root), &trusted),
        (Reason::TlsCertName, Cert::leaf().by(&root), &trusting(&root, "other.test")),
        (Reason::TlsCertUntrusted, Cert::leaf().by(&Cert::ca("Stranger").self_signed()), &trusted),
    ];
    for (reason, certificate, settings) in rows {
        let address = encrypted(&[&certificate], None, &[&TLS12, &TLS13]).await;
        add(reason, tls(settings), address.to_string()).await;
    }
    let staple = Ocsp::of(&[0x12, 0x34], "revoked").by(&root, &root);
    let address = encrypted(&[&good], Some(staple), &[&TLS12, &TLS13]).await;
    let module = format!("{}\nocsp: staple\nfail_if_cert_revoked: true", tls(&trusted));
    add(Reason::TlsCertRevoked, module, address.to_string()).await;
    let old = encrypted(&[&good], None, &[&TLS12]).await;
    add(
        Reason::TlsVersion,
        tls(&trusted.replace('{', "{min_version: TLS13, ")),
        old.to_string(),
    )
    .await;

    let site = Site::with(|asked: &Asked| match asked.path() {
        "/500" => answer("500 Internal Server Error", &[], "broken"),
        "/loop" => redirect("/loop"),
        "/app" => redirect("app://open"),
        "/json" => answer("200 OK", &["Content-Type: application/json"], "{\"queue\": 7}"),
        "/gzip" => answer("200 OK", &["Content-Encoding: gzip"], "this is no gzip"),
        "/odd" => b"SMTP 220 hello\r\n\r\n".to_vec(),
        "/token" => answer("401 Unauthorized", &[], "no"),
        _ => ok(),
    })
    .await;
    let url = |path: &str| site.url(path);
    add(Reason::HttpStatus, http(""), url("/500")).await;
    add(Reason::HttpRedirects, http(""), url("/loop")).await;
    add(Reason::HttpRedirects, http(""), url("/app")).await;
    add(
        Reason::HttpVersion,
        http("valid_http_versions: [HTTP/2.0]"),
        url("/"),
    )
    .await;
    add(Reason::SslAbsent, http("fail_if_not_ssl: true"), url("/")).await;
    let address = encrypted(&[&good], None, &[&TLS12, &TLS13]).await;
    add(
        Reason::SslPresent,
        http(&format!("fail_if_ssl: true, enable_http2: false, {trusted}")),
        format!("https://{address}/"),
    )
    .await;
    add(
        Reason::BodyRegexp,
        http("fail_if_body_not_matches_regexp: [welcome]"),
        url("/"),
    )
    .await;
    add(
        Reason::BodyJson,
        http("fail_if_body_json_matches_cel: 'body.queue > 5'"),
        url("/json"),
    )
    .await;
    add(Reason::BodyTooLarge, http("body_size_limit: 1B"), url("/")).await;
    add(Reason::BodyDecoding, http("compression: gzip"), url("/gzip")).await;
    let header = "fail_if_header_not_matches: [{header: Server, regexp: nginx}]";
    add(Reason::HeaderRegexp, http(header), url("/")).await;
    add(Reason::ProtocolError, http(""), url("/odd")).await;
    add(
        Reason::ProxyError,
        http(&format!("proxy_url: 'http://{closed}'")),
        url("/"),
    )
    .await;
    let oauth2 = format!(
        "oauth2: {{client_id: a, client_secret: b, token_url: '{}'}}",
        url("/token")
    );
    add(Reason::AuthToken, http(&oauth2), url("/")).await;
    add(
        Reason::FileError,
        http("bearer_token_file: /nonexistent/token"),
        url("/"),
    )
    .await;
    add(Reason::FileError, http("body_file: /nonexistent/body"), url("/")).await;
    for (reason, settings) in [
        (Reason::FileError, "ca_file: /nonexistent/ca.pem"),
        (
            Reason::FileError,
            "cert_file: /nonexistent/cert, key_file: /nonexistent/key",
        ),
        (Reason::ConfigError, "ca_file: Cargo.toml"),
    ] {
        let settings = format!("tls_config: {{{settings}}}");
        add(reason, tls(&settings), closed.to_string()).await;
        add(reason, http(&settings), url("/")).await;
    }
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}/", silent.local_addr().unwrap());
    add(Reason::RequestTimeout, http("").replace("10s", "200ms"), target).await;

    let dns =
        |settings: &str| format!("prober: dns\ntimeout: 10s\ndns: {{query_name: example.com, {settings}}}");
    let refusing = name_server("127.0.0.1:0", |_| Some(5)).await;
    add(Reason::DnsRcode, dns("query_type: A"), refusing.to_string()).await;
    let empty = name_server("127.0.0.1:0", |_| Some(0)).await;
    let records = "validate_answer_rrs: {fail_if_not_matches_regexp: [example]}";
    add(Reason::DnsRecords, dns(records), empty.to_string()).await;
    let port = tonic(None).await;
    add(
        Reason::GrpcStatus,
        "prober: grpc\ntimeout: 10s\ngrpc: {service: nobody}".into(),
        format!("127.0.0.1:{port}"),
    )
    .await;
    add(
        Reason::GrpcNotServing,
        "prober: grpc\ntimeout: 10s\ngrpc: {service: bad.Service}".into(),
        format!("127.0.0.1:{port}"),
    )
    .await;
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = format!("https://{}/", udp.local_addr().unwrap());
    // Without CA certificates: to read them takes longer than that on a busy machine.
    let quic = http("enable_http3: true, enable_http2: false, tls_config: {insecure_skip_verify: true}");
    let quic = quic.replace("10s", "300ms");
    add(Reason::TlsHandshake, quic, target).await;
    let websocket = url("/").replace("http", "ws");
    let nowhere = "prober: websocket\ntimeout: 10s\nsource_interface: nope0".to_owned();
    add(Reason::ConfigError, nowhere, websocket.clone()).await;
    add(
        Reason::WebsocketRefused,
        "prober: websocket\ntimeout: 10s".into(),
        websocket,
    )
    .await;
    // Before there is a connection, it is not the server's processing that failed.
    let (_, unbound) = failures
        .iter()
        .rfind(|(reason, _)| *reason == Reason::ConfigError)
        .unwrap();
    assert_eq!(unbound.failure.unwrap().phase, "connect");
    for (_, outcome) in &failures {
        if log(outcome)
            .iter()
            .any(|line| line.contains("Error creating request"))
        {
            assert_eq!(outcome.failure.unwrap().phase, "setup");
        }
        if log(outcome).join("\n").contains("/nonexistent/ca.pem") {
            let advice = outcome.advice.as_deref().unwrap();
            has(advice, ["user must be able to read its files"]);
        }
    }
    judge(&LOOPBACK, &failures);
}

/// Listeners that accept nothing, with room for one connection to wait.
#[tokio::test]
async fn full_accept_queues() {
    let full = |domain, address: &SockAddr| {
        let socket = Socket::new(domain, Type::STREAM, None).unwrap();
        socket.bind(address).unwrap();
        socket.listen(0).unwrap();
        socket
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full");
    let _full = full(Domain::UNIX, &SockAddr::unix(&path).unwrap());
    let _waiting = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let outcome = probe("prober: unix\ntimeout: 10s", path.to_str().unwrap()).await;
    assert_eq!(outcome.failure.unwrap().reason, Reason::ConnectTimeout);
    has(outcome.advice.unwrap(), ["The queue of", "is full"]);

    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let full = full(Domain::IPV4, &local.into());
    let target = full.local_addr().unwrap().as_socket().unwrap().to_string();
    let outcome = probe(
        "prober: tcp\ntimeout: 2s\ntcp: {count: 4, interval: 10ms}",
        &target,
    )
    .await;
    assert_eq!(outcome.failure.unwrap().reason, Reason::ConnectTimeout);
    has(outcome.advice.unwrap(), ["1 of 4 connects were made"]);
}

#[tokio::test]
async fn bodies_that_break_off() {
    for (reason, framing) in [
        (Reason::PeerClosed, "Content-Length: 9\r\n\r\nhello"),
        (
            Reason::PeerClosed,
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ),
        (Reason::ConnectReset, "Content-Length: 9\r\n\r\nhello"),
        (
            Reason::ProtocolError,
            "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
        ),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{framing}");
        let address = listen(move |mut stream| {
            let answer = answer.clone();
            async move {
                read_request(&mut stream).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                if reason == Reason::ConnectReset {
                    stream.set_zero_linger().unwrap();
                }
            }
        })
        .await;
        let outcome = probe(&http(""), &format!("http://{address}/")).await;
        assert_eq!(outcome.failure.unwrap().reason, reason, "{:?}", log(&outcome));
    }
}

#[tokio::test]
async fn dialogues_say_in_which_step_they_failed() {
    let steps = "query_response: [{expect: '^220 '}, {send: HELO}, {expect: '^250 '}]";
    let exposed = |module: String| format!("{module}\nfailure_reason: true");
    #[rustfmt::skip]
    let rows = [
        (Reason::ExpectMismatch, vec![send("554 go away\r\n"), Move::Close], 1, "10s"),
        // A greeting that is another, of a server that then waits.
        (Reason::ExpectMismatch, vec![send("554 go away\r\n")], 1, "1s"),
        (Reason::ExpectMismatch, vec![send("220 hello\r\n"), Move::ReadLine, send("554 no\r\n"), Move::Reset], 3, "10s"),
        (Reason::ExpectTimeout, vec![send("220 hello\r\n")], 3, "1s"),
        (Reason::PeerClosed, vec![send("220 hello\r\n"), Move::ReadLine, Move::Close], 3, "10s"),
    ];
    for (reason, moves, step, timeout) in rows {
        let peer = Peer::play(moves).await;
        let outcome = probe(&exposed(tcp(steps).replace("10s", timeout)), &peer.target()).await;
        let failure = outcome.failure.unwrap();
        assert_eq!(
            (failure.reason, failure.step),
            (reason, Some(step)),
            "{:?}",
            log(&outcome)
        );
        let series = format!(
            "probe_failure_info{{phase=\"transfer\",reason=\"{}\",step=\"{step}\"}} 1",
            reason.name()
        );
        assert!(
            exposition(&outcome).contains(&series),
            "{series}\n{}",
            exposition(&outcome)
        );
    }
    let peer = Peer::play(vec![send("220 hello\r\n"), Move::ReadLine, send("250 hi\r\n")]).await;
    let outcome = probe(&exposed(tcp(steps)), &peer.target()).await;
    assert!(
        outcome.success && outcome.failure.is_none(),
        "{:?}",
        log(&outcome)
    );
    assert!(
        !exposition(&outcome).contains("probe_failure_info"),
        "only while it fails"
    );
}

#[tokio::test]
async fn an_exporter_counts_and_logs_reasons() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = silent.local_addr().unwrap().to_string();
    let config = "modules:\n  wait: {prober: tcp, timeout: 30s, tcp: {query_response: [{expect: never}]}}\n  \
        plain: {prober: tcp, failure_reason: false}\n  \
        asks: {prober: tcp, attempts: 3, resolver: 'udp://192.0.2.53'}\nexposition: {failure_reason: true, resolved_address: true}\n\
        policy: {deny: {networks: [192.0.2.0/24]}}\n";
    let exporter = Exporter::start(config, &["--probe.max-in-flight=1"]).await;
    let answered = exporter.probe("wait", "192.0.2.1:80").await;
    let series = "probe_failure_info{phase=\"resolve\",reason=\"policy_refused\",step=\"\"}";
    assert_eq!(answered.sample(series), Some(1.0), "{}", answered.text());
    let asked = exporter.probe("asks", "name.test:80").await;
    assert_eq!(asked.sample(series), Some(1.0), "{}", asked.text());
    let own = exporter.probe("plain", "127.0.0.1:1").await;
    assert!(
        !own.text().contains("probe_failure_info"),
        "a module has the last word: {}",
        own.text()
    );
    let address = "probe_ip_info{ip=\"127.0.0.1\",ip_protocol=\"4\"}";
    assert_eq!(own.sample(address), Some(1.0), "{}", own.text());

    let port = exporter.running.addresses[0].port();
    let hanging =
        format!("GET /probe?module=wait&target={target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    let mut held = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    held.write_all(hanging.as_bytes()).await.unwrap();
    let _reached = silent.accept().await.unwrap();
    let refused = exporter.probe("wait", &target).await;
    assert_eq!(refused.status, 503);
    drop(held);

    let metrics = exporter.get("/metrics").await;
    for (module, reason) in [
        ("wait", Reason::PolicyRefused),
        ("asks", Reason::PolicyRefused),
        ("plain", Reason::ConnectRefused),
        ("wait", Reason::TooManyProbes),
    ] {
        let series = format!(
            "blackbox_exporter_probe_failures_total{{module=\"{module}\",reason=\"{}\"}}",
            reason.name()
        );
        assert_eq!(metrics.sample(&series), Some(1.0), "{series}\n{}", metrics.text());
    }
    let refused = metrics.sample("blackbox_exporter_targets_refused_total");
    assert_eq!(refused, Some(2.0), "each probe is refused once");
    has(exporter.log(), ["msg=\"Probe failed\"", "reason=policy_refused"]);
}

/// Names are asked for at a server on port 53; a router one hop away; networks without a way, and without an answer.
const SETUP: &str = "files=$(mktemp -d) && printf '127.0.0.1 localhost\\n' > $files/hosts && \
    printf 'nameserver 127.0.0.1\\noptions timeout:30 attempts:1\\n' > $files/resolv.conf && \
    mount --bind $files/hosts /etc/hosts && mount --bind $files/resolv.conf /etc/resolv.conf && rm -r $files && \
    echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range && \
    ip route add unreachable 203.0.113.0/24 && ip route add prohibit 10.240.0.0/24 && ip route add blackhole 10.242.0.0/24 && ip route add 192.0.2.0/24 dev lo && ip link set lo mtu 1500 && \
    unshare --net tail --pid=$$ -f /dev/null > /dev/null 2>&1 & router=$!; \
    until [ \"$(readlink /proc/$router/ns/net)\" != \"$(readlink /proc/$$/ns/net)\" ]; do sleep 0.01; done; \
    ip link add a0 type veth peer name a1 && ip link set a1 netns $router && ip addr add 10.9.0.1/24 dev a0 && \
    ip link set a0 up && ip route add 10.11.0.0/16 via 10.9.0.2 && ip route add 10.12.0.0/16 via 10.9.0.2 && \
    in='nsenter --net=/proc/'$router'/ns/net' && $in ip link set lo up && $in ip addr add 10.9.0.2/24 dev a1 && \
    $in ip link set a1 up && $in sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv4/icmp_ratelimit' && \
    $in ip route add unreachable 10.11.0.0/16 && $in ip route add 10.12.0.0/16 dev lo";

#[tokio::test]
async fn failures_of_a_network() {
    if !is_inside() && outside("reasons::failures_of_a_network", SETUP) {
        return;
    }
    let mut failures = Vec::new();
    let mut add =
        async |reason, module: &str, target: &str| failures.push((reason, probe(module, target).await));
    let _names = name_server("127.0.0.1:53", |query| match query.get(13) {
        Some(b'b') => Some(2),
        Some(b's') => None,
        _ => Some(3),
    })
    .await;
    let tcp = "prober: tcp\ntimeout: 1s\ntcp: {preferred_ip_protocol: ip4, ip_protocol_fallback: false}";
    let dial: [(Reason, &str); 7] = [
        (Reason::ResolveError, "broken.test:80"),
        (Reason::ResolveTimeout, "silent.test:80"),
        (Reason::ConnectTimeout, "192.0.2.1:80"),
        (Reason::ConnectUnreachable, "203.0.113.1:80"),
        (Reason::ConnectUnreachable, "10.11.0.1:80"),
        (Reason::ConnectUnreachable, "10.240.0.1:80"),
        (Reason::ConnectUnreachable, "10.242.0.1:80"),
    ];
    for (reason, target) in dial {
        add(reason, tcp, target).await;
    }
    let dns = "prober: dns\ntimeout: 1s\ndns: {query_name: a.test}";
    add(Reason::ConnectUnreachable, dns, "10.240.0.1").await;
    add(Reason::ConnectUnreachable, dns, "10.242.0.1").await;
    let icmp = |settings: &str| {
        format!("prober: icmp\ntimeout: 1s\nicmp: {{preferred_ip_protocol: ip4, {settings}}}")
    };
    add(Reason::IcmpNoReply, &icmp(""), "192.0.2.1").await;
    add(Reason::IcmpUnreachable, &icmp(""), "10.11.0.1").await;
    add(Reason::IcmpUnreachable, &icmp(""), "203.0.113.1").await;
    add(Reason::IcmpUnreachable, &icmp(""), "10.240.0.1").await;
    add(Reason::IcmpUnreachable, &icmp(""), "10.242.0.1").await;
    add(Reason::IcmpTimeExceeded, &icmp("ttl: 1"), "10.12.0.1").await;
    add(
        Reason::IcmpTooBig,
        &icmp("payload_size: 4000, dont_fragment: true"),
        "127.0.0.1",
    )
    .await;

    // One port is left, and it is taken.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40000").unwrap();
    let _taken = tokio::net::TcpStream::connect(address).await.unwrap();
    add(Reason::OutOfResources, tcp, &address.to_string()).await;
    judge(&NETWORK, &failures);
}

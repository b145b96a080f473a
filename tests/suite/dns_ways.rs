//! Ways to ask a name server that upstream does not have: HTTPS, QUIC, EDNS, DNSSEC, a server apart from the target, retries.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use blackbox_exporter::metrics::Metric;
use blackbox_exporter::prober::Outcome;
use bytes::{Buf, Bytes};
use quinn::crypto::rustls::QuicServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::process::Command;
use tokio_rustls::server::TlsStream;

use crate::dns::{address, framed, problem, reply, tcp_server, udp_server};
use crate::support::pki;
use crate::support::programs::find;
use crate::support::tls_peer::SelfSigned;
use crate::support::unbound::Unbound;
use crate::support::{has, lacks, log, probe, spawn};

/// The queries that a server saw.
type Seen = Arc<Mutex<Vec<Vec<u8>>>>;

/// A module with these lines in its section.
fn asking(options: &str) -> String {
    let more: String = options.lines().map(|line| format!("\n  {line}")).collect();
    format!("prober: dns\ntimeout: 5s\ndns:\n  query_type: A{more}")
}

fn value(outcome: &Outcome, metric: Metric) -> Option<f64> {
    outcome.samples.value(metric)
}

fn quic_endpoint(identity: &SelfSigned, alpn: &str) -> quinn::Endpoint {
    let config = QuicServerConfig::try_from(identity.server(&[alpn])).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(config));
    quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap()
}

#[tokio::test]
async fn the_target_is_asked_for_at_a_server() {
    let seen = Seen::default();
    let server = udp_server({
        let seen = Arc::clone(&seen);
        move |query| {
            seen.lock().unwrap().push(query.to_vec());
            vec![reply(query, 0, [1, 0, 0], &address(1))]
        }
    })
    .await;
    for (target, wire) in [
        ("www.example.test", &b"\x03www\x07example\x04test\0"[..]),
        ("bücher.test", b"\x0dxn--bcher-kva\x04test\0"),
    ] {
        let outcome = probe(&asking(&format!("server: {server}")), target).await;
        assert!(outcome.success, "{:#?}", log(&outcome));
        let query = seen.lock().unwrap().pop().unwrap();
        assert_eq!(query.get(12..12 + wire.len()), Some(wire), "{target}");
        assert_eq!(outcome.timeline.hops[0].address, Some(server.to_string()));
    }
}

#[tokio::test]
async fn an_opt_record_is_sent_as_configured() {
    let seen = Seen::default();
    let server = udp_server({
        let seen = Arc::clone(&seen);
        move |query| {
            seen.lock().unwrap().push(query.to_vec());
            // 1,000 octets: more than there is room for without EDNS.
            let records = [address(1), b"\xc0\x0c\0\x10\0\x01\0\0\0\x05\x03\xb8".to_vec()].concat();
            let text = [vec![237], vec![b'x'; 237]].concat().repeat(4);
            let mut answer = reply(
                &query[..query.len() - 26],
                0,
                [2, 0, 0],
                &[records, text].concat(),
            );
            answer[11] = 0;
            vec![answer]
        }
    })
    .await;
    let options =
        "query_name: a.test\ndnssec: true\nedns: {udp_size: 4096, nsid: true, client_subnet: 192.0.2.77/24}";
    let outcome = probe(&asking(options), &server.to_string()).await;
    assert!(outcome.success, "{:#?}", log(&outcome));
    let query = seen.lock().unwrap().pop().unwrap();
    let opt = b"\0\0\x29\x10\0\0\0\x80\0\0\x0f\0\x03\0\0\0\x08\0\x07\0\x01\x18\0\xc0\0\x02";
    assert!(query.ends_with(opt), "{query:?}");
    assert_eq!(query[11], 1);
    assert_eq!(value(&outcome, Metric::DnsDnssecSigned), Some(0.0));
    assert_eq!(value(&outcome, Metric::DnsFlagDo), Some(0.0));
    assert_eq!(value(&outcome, Metric::DnsAdBitSet), Some(0.0));
    assert_eq!(value(&outcome, Metric::DnsFlagAd), None);
    for of_signatures in [
        Metric::DnsRrsigEarliestExpiration,
        Metric::DnsRrsigLatestInception,
        Metric::DnsRrsigValid,
    ] {
        assert_eq!(value(&outcome, of_signatures), None);
    }
}

#[tokio::test]
async fn facts_of_an_answer() {
    let turn = AtomicUsize::new(0);
    let server = udp_server(move |query| {
        let mut records = [address(1), address(2)];
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        match turn {
            0 => {}
            // Another order and TTL: the same answer.
            1 => {
                records.reverse();
                records[0][9] = 7;
            }
            _ => records[1] = address(3),
        }
        let rcode = if turn == 3 { 2 } else { 0 };
        let mut answer = reply(query, rcode, [2, 0, 0], &records.concat());
        // AA, and AD for those who ask for it.
        answer[2] |= 4;
        answer[3] |= query[3] & 0x20;
        vec![answer]
    })
    .await;
    let mut hashes = Vec::new();
    for (turn, least) in [300.0, 263.0, 300.0, 300.0].into_iter().enumerate() {
        let outcome = probe(&asking("query_name: a.test\nfacts: true"), &server.to_string()).await;
        assert_eq!(outcome.success, turn != 3, "{:#?}", log(&outcome));
        for (metric, want) in [
            (Metric::DnsRcode, if turn == 3 { 2.0 } else { 0.0 }),
            (Metric::DnsFlagAa, 1.0),
            (Metric::DnsFlagAd, 1.0),
            (Metric::DnsFlagTc, 0.0),
            (Metric::DnsFlagRa, 1.0),
            (Metric::DnsReplyTruncated, 0.0),
            (Metric::DnsAnswerMinTtl, least),
        ] {
            assert_eq!(value(&outcome, metric), Some(want), "{metric:?} {turn}");
        }
        assert_eq!(value(&outcome, Metric::DnsFlagDo), None);
        hashes.push(value(&outcome, Metric::DnsAnswerHash).unwrap());
    }
    assert_eq!(hashes[0], hashes[1]);
    assert_ne!(hashes[1], hashes[2]);
}

#[tokio::test]
async fn signatures_are_valid_when_all_of_them_are() {
    const NOW: u32 = 1_000_000_000;
    const LATER: u32 = 4_000_000_000;
    // RRSIG: A, ECDSAP256SHA256, 2 labels, TTL; expiration, inception; key tag, signer, signature.
    let rrsig = |expiration: u32, inception: u32| {
        let mut record = b"\xc0\x0c\0\x2e\0\x01\0\0\x01\x2c\0\x14\0\x01\x0d\x02\0\0\x01\x2c".to_vec();
        record.extend_from_slice(&expiration.to_be_bytes());
        record.extend_from_slice(&inception.to_be_bytes());
        record.extend_from_slice(b"\0\x01\0\xff");
        record
    };
    let good = rrsig(LATER, NOW);
    for (other, expiration, inception, is_valid) in [
        (rrsig(LATER, NOW + 1), LATER, NOW + 1, 1.0),
        (rrsig(NOW, NOW), NOW, NOW, 0.0),
        (rrsig(LATER, LATER), LATER, LATER, 0.0),
    ] {
        // One in the answer section, one in the additional section.
        let records = [address(1).as_slice(), &good, &other].concat();
        // The query ends with an OPT record of 11 bytes.
        let server =
            udp_server(move |query| vec![reply(&query[..query.len() - 11], 0, [2, 0, 1], &records)]).await;
        let outcome = probe(&asking("query_name: a.test\ndnssec: true"), &server.to_string()).await;
        for (metric, want) in [
            (Metric::DnsRrsigEarliestExpiration, f64::from(expiration)),
            (Metric::DnsRrsigLatestInception, f64::from(inception)),
            (Metric::DnsRrsigValid, is_valid),
        ] {
            assert_eq!(value(&outcome, metric), Some(want), "{metric:?} {other:?}");
        }
    }
}

#[tokio::test]
async fn lost_queries_are_sent_again_and_counted() {
    let turn = AtomicUsize::new(0);
    let server = udp_server(move |query| match turn.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Vec::new(),
        _ => vec![reply(query, 0, [1, 0, 0], &address(1))],
    })
    .await;
    let outcome = probe(&asking("query_name: a.test\nretries: 5"), &server.to_string()).await;
    assert!(outcome.success, "{:#?}", log(&outcome));
    assert_eq!(value(&outcome, Metric::DnsRetries), Some(2.0));

    let silent = udp_server(|_| Vec::new()).await;
    let yaml = asking("query_name: a.test\nretries: 3").replace("timeout: 5s", "timeout: 400ms");
    let outcome = probe(&yaml, &silent.to_string()).await;
    assert!(!outcome.success);
    assert_eq!(value(&outcome, Metric::DnsRetries), Some(3.0));
    assert!(
        problem(&outcome).contains("timeout of 400ms ran out"),
        "{:#?}",
        log(&outcome)
    );
}

/// A line that is slower than an attempt's share of the timeout.
#[tokio::test]
async fn a_late_response_counts() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = socket.local_addr().unwrap();
    spawn(async move {
        let mut query = [0; 512];
        let (length, first) = socket.recv_from(&mut query).await.unwrap();
        let response = reply(&query[..length], 0, [1, 0, 0], &address(1));
        socket.recv_from(&mut query).await.unwrap();
        socket.send_to(&response, first).await.unwrap();
        std::future::pending::<()>().await;
    });
    let outcome = probe(&asking("query_name: a.test\nretries: 4"), &server.to_string()).await;
    assert!(outcome.success, "{:#?}", log(&outcome));
    assert_eq!(value(&outcome, Metric::DnsRetries), Some(1.0));
}

/// A port that is free for both protocols.
async fn both() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

#[tokio::test]
async fn truncated_answers_are_asked_for_over_tcp() {
    let (udp, tcp) = both().await;
    let server = udp.local_addr().unwrap().to_string();
    spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut query).await {
            // Cut within a record: no more than the header can be read.
            let mut answer = reply(&query[..length], 0, [1, 0, 0], &address(1)[..9]);
            answer[2] |= 2;
            udp.send_to(&answer, from).await.unwrap();
        }
    });
    spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut query).await.unwrap();
            let answer = framed(&reply(&query, 0, [1, 0, 0], &address(1)));
            stream.write_all(&answer).await.unwrap();
        }
    });
    let outcome = probe(
        &asking("query_name: a.test\nfacts: true\ntcp_on_truncation: true"),
        &server,
    )
    .await;
    assert!(outcome.success, "{:#?}", log(&outcome));
    assert_eq!(value(&outcome, Metric::DnsReplyTruncated), Some(1.0));
    assert_eq!(value(&outcome, Metric::DnsFlagTc), Some(0.0));
    assert_eq!(value(&outcome, Metric::DnsAnswerRrs), Some(1.0));
    let outcome = probe(&asking("query_name: a.test"), &server).await;
    assert!(!outcome.success);
}

/// A server of DNS over HTTPS of another library.
async fn doh_server(identity: &SelfSigned, alpn: &[&str]) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let seen_here = Arc::clone(&seen);
    let answer = move |request: http::Request<hyper::body::Incoming>| {
        let seen = Arc::clone(&seen_here);
        async move {
            use http_body_util::{BodyExt, Full};
            let (parts, body) = request.into_parts();
            let mut query = body.collect().await.unwrap().to_bytes().to_vec();
            let path = parts.uri.path_and_query().unwrap().to_string();
            if let Some((_, text)) = path.split_once("dns=") {
                use base64::Engine as _;
                query = base64::engine::general_purpose::URL_SAFE_NO_PAD
                    .decode(text)
                    .unwrap();
            }
            seen.lock().unwrap().push(format!(
                "{:?} {} {}",
                parts.version,
                parts.method,
                parts.uri.path()
            ));
            assert_eq!(query[..2], [0, 0], "the identifier");
            let body = Full::new(Bytes::from(reply(&query, 0, [1, 0, 0], &address(1))));
            let response = http::Response::builder().header("content-type", "application/dns-message");
            Ok::<_, std::convert::Infallible>(response.body(body).unwrap())
        }
    };
    let service = hyper::service::service_fn(answer);
    let serve = move |stream| {
        let service = service.clone();
        async move {
            let io = hyper_util::rt::TokioIo::new(stream);
            let builder = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
            let _ = builder.serve_connection(io, service).await;
        }
    };
    (pki::serve_each(identity.server(alpn), serve).await, seen)
}

#[tokio::test]
async fn dns_over_https() {
    let identity = SelfSigned::local();
    let trust = identity.trust();
    for (alpn, version) in [
        (&["h2", "http/1.1"][..], "HTTP/2.0"),
        (&["http/1.1"], "HTTP/1.1"),
        (&[], "HTTP/1.1"),
    ] {
        let (server, seen) = doh_server(&identity, alpn).await;
        for (options, target, want) in [
            ("", server.to_string(), "POST /dns-query"),
            ("https: {method: GET}", server.to_string(), "GET /dns-query"),
            ("https: {path: /own}", server.to_string(), "POST /own"),
            (
                "",
                format!("https://localhost:{}/of-url{{?dns}}", server.port()),
                "POST /of-url",
            ),
        ] {
            let options = format!(
                "query_name: a.test\ntransport_protocol: https\nfacts: true\ntls_config: {{{trust}}}\n{options}"
            );
            let outcome = probe(&asking(&options), &target).await;
            assert!(outcome.success, "{:#?}", log(&outcome));
            assert_eq!(seen.lock().unwrap().pop(), Some(format!("{version} {want}")));
            assert_eq!(value(&outcome, Metric::DnsAnswerRrs), Some(1.0));
        }
        let options =
            format!("server: https://{server}/q\ntransport_protocol: https\ntls_config: {{{trust}}}");
        let outcome = probe(&asking(&options), "www.example.test").await;
        assert!(outcome.success, "{:#?}", log(&outcome));
    }
}

/// Answers every HTTP/1.1 request with these bytes, the last of them forever if there are such.
async fn doh_peer(identity: &SelfSigned, answer: &'static [u8], forever: &'static [u8]) -> SocketAddr {
    let answer = move |mut stream: TlsStream<TcpStream>| async move {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(answer).await;
        while !forever.is_empty() && stream.write_all(forever).await.is_ok() {}
        let _ = stream.flush().await;
        let _ = stream.read(&mut request).await;
    };
    pki::serve_each(identity.server(&["http/1.1"]), answer).await
}

#[tokio::test]
async fn bad_servers_of_dns_over_https() {
    let identity = SelfSigned::local();
    let trust = identity.trust();
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\n\r\n";
    for (answer, forever, want) in [
        (&b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"[..], &b""[..], "HTTP/1.1 status 503"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n", b"", r#"content type \"text/html\""#),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", r#"content type \"\""#),
        (HEAD, &[0; 4096], "longer than the 65535 octets"),
        (b"HTTP/1.1 200 OK\r\nA: ", &[b'a'; 4096], "header"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nContent-Length: 3\r\n\r\nabc", b"", "3 octets, fewer than the 12"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nContent-Length: 12\r\n\r\n\x12\x34\x80\0\0\0\0\0\0\0\0\0",
            b"",
            "id mismatch",
        ),
        (HEAD, b"", "ran out"),
        (b"", b"", "ran out"),
    ] {
        let server = doh_peer(&identity, answer, forever).await;
        let options = format!("query_name: a.test\ntransport_protocol: https\ntls_config: {{{trust}}}");
        let mut yaml = asking(&options);
        if want == "ran out" {
            yaml = yaml.replace("timeout: 5s", "timeout: 500ms");
        }
        let outcome = probe(&yaml, &server.to_string()).await;
        assert!(!outcome.success);
        assert!(problem(&outcome).contains(want), "{want}: {}", problem(&outcome));
    }
}

#[tokio::test]
async fn dns_over_http3() {
    let identity = SelfSigned::local();
    let endpoint = quic_endpoint(&identity, "h3");
    let server = endpoint.local_addr().unwrap();
    spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let connection = incoming.await.unwrap();
            let quic = h3_quinn::Connection::new(connection);
            let mut server = h3::server::Connection::<_, Bytes>::new(quic).await.unwrap();
            while let Ok(Some(resolver)) = server.accept().await {
                let (_, mut stream) = resolver.resolve_request().await.unwrap();
                let mut query = Vec::new();
                while let Some(mut data) = stream.recv_data().await.unwrap() {
                    while data.has_remaining() {
                        query.push(data.get_u8());
                    }
                }
                let head = http::Response::builder().header("content-type", "application/dns-message");
                stream.send_response(head.body(()).unwrap()).await.unwrap();
                let answer = reply(&query, 0, [1, 0, 0], &address(1));
                stream.send_data(Bytes::from(answer)).await.unwrap();
                stream.finish().await.unwrap();
            }
        }
    });
    let options = format!(
        "query_name: a.test\ntransport_protocol: https\nhttps: {{enable_http3: true}}\ntls_config: {{{}}}",
        identity.trust()
    );
    let outcome = probe(&asking(&options), &server.to_string()).await;
    assert!(outcome.success, "{:#?}", log(&outcome));
    assert_eq!(value(&outcome, Metric::DnsAnswerRrs), Some(1.0));
    let old = options.replace("tls_config: {", "tls_config: {max_version: TLS12, ");
    let outcome = probe(&asking(&old), &server.to_string()).await;
    assert!(
        problem(&outcome).contains("QUIC requires TLS 1.3"),
        "{}",
        problem(&outcome)
    );
}

/// A server of DNS over QUIC that sends what `answer` makes of each query; the stream stays open when that is nothing.
fn doq_server(
    identity: &SelfSigned,
    answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static,
) -> SocketAddr {
    let endpoint = quic_endpoint(identity, "doq");
    let server = endpoint.local_addr().unwrap();
    spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let Ok(connection) = incoming.await else { continue };
            let Ok((mut sending, mut receiving)) = connection.accept_bi().await else {
                continue;
            };
            // RFC 9250, section 4.2: the end of the stream follows the query.
            let query = receiving.read_to_end(1000).await.unwrap();
            assert_eq!(query[2..4], [0, 0], "the identifier");
            assert_eq!(
                usize::from(query[0]) << 8 | usize::from(query[1]),
                query.len() - 2
            );
            match answer(&query[2..]) {
                Some(answer) => {
                    sending.write_all(&answer).await.unwrap();
                    let _ = sending.finish();
                    connection.closed().await;
                }
                None => std::mem::forget((sending, connection)),
            }
        }
    });
    server
}

#[tokio::test]
async fn dns_over_quic() {
    let identity = SelfSigned::local();
    let trust = identity.trust();
    let options = format!("query_name: a.test\ntransport_protocol: quic\ntls_config: {{{trust}}}");
    let good = doq_server(&identity, |query| {
        Some(framed(&reply(query, 0, [1, 0, 0], &address(1))))
    });
    let outcome = probe(&asking(&options), &good.to_string()).await;
    assert!(outcome.success, "{:#?}", log(&outcome));
    assert_eq!(value(&outcome, Metric::DnsAnswerRrs), Some(1.0));
    let by_server = format!("server: {good}\ntransport_protocol: quic\ntls_config: {{{trust}}}");
    let outcome = probe(&asking(&by_server), "www.example.test").await;
    assert!(outcome.success, "{:#?}", log(&outcome));

    type Script = fn(&[u8]) -> Option<Vec<u8>>;
    let rows: [(Script, &str); 5] = [
        (|_| None, "ran out"),
        (|_| Some(Vec::new()), "the connection was closed"),
        (|_| Some(vec![0xff, 0xff, 1, 2]), "the connection was closed"),
        (|_| Some(vec![0, 3, 1, 2, 3]), "3 octets, fewer than the 12"),
        (
            |query| {
                let mut answer = reply(query, 0, [0, 0, 0], &[]);
                answer[1] = 1;
                Some(framed(&answer))
            },
            "id mismatch",
        ),
    ];
    for (script, want) in rows {
        let server = doq_server(&identity, script);
        let outcome = probe(
            &asking(&options).replace("timeout: 5s", "timeout: 1s"),
            &server.to_string(),
        )
        .await;
        assert!(!outcome.success);
        assert!(problem(&outcome).contains(want), "{want}: {}", problem(&outcome));
    }
    // One that says why it closes; nobody there, who says nothing; a server of another protocol; a certificate that nobody trusts.
    let busy = quic_endpoint(&identity, "doq");
    spawn({
        let busy = busy.clone();
        async move {
            while let Some(incoming) = busy.accept().await {
                let connection = incoming.await.unwrap();
                let _stream = connection.accept_bi().await;
                connection.close(4_u32.into(), b"too much load");
            }
        }
    });
    let closed = UdpSocket::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let http3 = quic_endpoint(&identity, "h3");
    spawn({
        let http3 = http3.clone();
        async move {
            while let Some(incoming) = http3.accept().await {
                let _ = incoming.await;
            }
        }
    });
    let stranger = "query_name: a.test\ntransport_protocol: quic".to_owned();
    let old = options.replace("tls_config: {", "tls_config: {max_version: TLS12, ");
    #[rustfmt::skip]
    let table = [
        (&options, busy.local_addr().unwrap(), "too much load"),
        (&options, closed, "read: connection refused"),
        (&options, silent.local_addr().unwrap(), "no end of the QUIC handshake"),
        (&options, http3.local_addr().unwrap(), "doesn't support any known protocol"),
        (&stranger, good, "failed to verify certificate"),
        (&old, good, "QUIC requires TLS 1.3"),
    ];
    for (options, server, want) in table {
        let mut yaml = asking(options);
        if server == silent.local_addr().unwrap() {
            yaml = yaml.replace("timeout: 5s", "timeout: 1s");
        }
        let outcome = probe(&yaml, &server.to_string()).await;
        assert!(!outcome.success);
        assert!(problem(&outcome).contains(want), "{want}: {}", problem(&outcome));
    }
}

#[tokio::test]
async fn a_peer_that_closes_is_asked_again() {
    let turn = Arc::new(AtomicUsize::new(0));
    let server = tcp_server(move |mut stream, query| {
        let is_first = turn.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if !is_first {
                let answer = framed(&reply(&query, 0, [1, 0, 0], &address(1)));
                stream.write_all(&answer).await.unwrap();
            }
        }
    })
    .await;
    let options = "query_name: a.test\ntransport_protocol: tcp\nretries: 1";
    let outcome = probe(&asking(options), &server.to_string()).await;
    assert!(outcome.success, "{:#?}", log(&outcome));
    assert_eq!(value(&outcome, Metric::DnsRetries), Some(1.0));
}

#[tokio::test]
async fn unbound_answers_over_https_and_serves_a_signed_zone() {
    let (Some(program), Some(keygen), Some(signzone)) =
        (find("unbound"), find("dnssec-keygen"), find("dnssec-signzone"))
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let zone = "$TTL 300\n@ IN SOA ns1 admin 1 7200 3600 1209600 300\n@ IN NS ns1\nns1 IN A 127.0.0.1\n\
                www IN A 192.0.2.1\nwww IN A 192.0.2.2\nalias IN CNAME www\n";
    std::fs::write(folder.path().join("signed.test.zone"), zone).unwrap();
    let run = async |command: &mut Command| {
        let output = command.current_dir(folder.path()).output().await.unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    for flags in [&["-f", "KSK"][..], &[]] {
        run(Command::new(&keygen)
            .args(["-a", "ECDSAP256SHA256"])
            .args(flags)
            .arg("signed.test"))
        .await;
    }
    let sign = [
        "-S",
        "-o",
        "signed.test",
        "-e",
        "+864000",
        "-O",
        "full",
        "signed.test.zone",
    ];
    let before = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    run(Command::new(&signzone).args(sign)).await;
    let signed = std::fs::read_to_string(folder.path().join("signed.test.zone.signed")).unwrap();
    let identity = SelfSigned::local();
    let unbound = Unbound::start(&program, ("signed.test", &signed), &identity, None).await;
    let trust = identity.trust();
    let tls = format!("tls_config: {{server_name: localhost, {trust}}}");
    #[rustfmt::skip]
    let rows = [
        ("transport_protocol: udp\ntcp_on_truncation: true".to_owned(), unbound.plain),
        (format!("transport_protocol: tcp\ndns_over_tls: true\n{tls}"), unbound.tls),
        (format!("transport_protocol: https\n{tls}"), unbound.https),
        (format!("transport_protocol: https\nhttps: {{method: GET}}\n{tls}"), unbound.https),
    ];
    for (way, server) in rows {
        for (name, rcode, records) in [
            ("www.signed.test", "NOERROR", 2.0),
            ("alias.signed.test", "NOERROR", 3.0),
            ("none.signed.test", "NXDOMAIN", 0.0),
        ] {
            for dnssec in [true, false] {
                let options = format!(
                    "server: {server}\n{way}\nfacts: true\ndnssec: {dnssec}\nedns: {{nsid: true}}\nvalid_rcodes: [{rcode}]\n\
                     validate_additional_rrs: {{fail_if_none_matches_regexp: ['NSID: 70726f626564']}}"
                );
                let outcome = probe(&asking(&options), name).await;
                assert!(outcome.success, "{way} {name}: {:#?}", log(&outcome));
                assert_eq!(value(&outcome, Metric::DnsFlagAa), Some(1.0), "{way} {name}");
                assert_eq!(value(&outcome, Metric::DnsReplyTruncated), Some(0.0));
                let expiry = value(&outcome, Metric::DnsRrsigEarliestExpiration);
                if dnssec {
                    assert_eq!(
                        value(&outcome, Metric::DnsDnssecSigned),
                        Some(1.0),
                        "{way} {name}"
                    );
                    assert_eq!(value(&outcome, Metric::DnsFlagDo), Some(1.0));
                    let left = expiry.unwrap() - before;
                    assert!((860_000.0..=864_000.0).contains(&left), "{left}");
                    // dnssec-signzone takes an hour off the inception, for clocks that are late.
                    let inception = value(&outcome, Metric::DnsRrsigLatestInception).unwrap();
                    assert!((-3_660.0..=60.0).contains(&(inception - before)), "{inception}");
                    assert_eq!(value(&outcome, Metric::DnsRrsigValid), Some(1.0));
                } else {
                    assert_eq!(
                        value(&outcome, Metric::DnsAnswerRrs),
                        Some(records),
                        "{way} {name}"
                    );
                    assert_eq!((expiry, value(&outcome, Metric::DnsDnssecSigned)), (None, None));
                }
            }
        }
    }
}

/// What is wrong with the address of a name server is said without the address, which may have a password.
#[test]
fn servers_that_cannot_be_asked_do_not_load() {
    for (module, want) in [
        (
            "dns: {server: 'https://u:hunter22@h/q'}",
            "only transport_protocol: https takes a URL",
        ),
        (
            "dns: {server: 'tls://127.0.0.1'}",
            "only transport_protocol: https takes a URL",
        ),
        (
            "dns: {transport_protocol: https, server: 'https://u:hunter22@h/q'}",
            "must be an https:// URL without user and password",
        ),
        (
            "dns: {transport_protocol: https, server: 'http://h/'}",
            "must be an https:// URL",
        ),
        (
            "dns: {transport_protocol: https, server: 'https://h:99999/'}",
            "invalid port",
        ),
        ("dns: {server: '1.1.1.1:99999'}", "invalid port"),
        ("dns: {server: '1.1.1.1:5 3'}", "invalid port"),
        ("dns: {server: '[::1'}", "invalid host"),
        ("resolver: 'https://u:hunter22@h/q'", "this is not a name server"),
        ("resolver: 'https://u:hunter 22@h/q'", "this is not a name server"),
        ("resolver: 'ftp://u:hunter22@h/q'", "this is not a name server"),
        ("resolver: 'udp://h:99999'", "no valid port"),
    ] {
        let text = format!("modules:\n  m: {{prober: dns, {module}}}\n");
        let error = blackbox_exporter::module::parse(text.as_bytes(), "f.yml").unwrap_err();
        let said = format!("{error}{}{}{error:?}", error.one_line(), error.quoted());
        has(&said, [want]);
        lacks(&said, ["hunter"]);
    }
}

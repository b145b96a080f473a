//! The grpc prober against tonic's health service, and against scripted HTTP/2 peers.

mod odd;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use blackbox_exporter::metrics::{Labels, Metric};
use blackbox_exporter::prober::Outcome;
use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tonic::service::Routes;
use tonic_health::ServingStatus;

use crate::support::namespace::outside;
use crate::support::peer::{listen, serve_each};
use crate::support::programs::skipped;
use crate::support::tls_peer::SelfSigned;
use crate::support::{closed, has, log, probe, redacted, spawn};

const PLAIN: &str = "prober: grpc\ntimeout: 5s\ngrpc: {preferred_ip_protocol: ip4}";

/// tonic's health service with a serving and a not serving service; the port it listens on.
pub async fn tonic(tls: Option<tonic::transport::ServerTlsConfig>) -> u16 {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("good.Service", ServingStatus::Serving)
        .await;
    reporter
        .set_service_status("bad.Service", ServingStatus::NotServing)
        .await;
    tonic_with(tls, Routes::new(service)).await
}

/// tonic with these services; the port it listens on.
pub async fn tonic_with(tls: Option<tonic::transport::ServerTlsConfig>, services: Routes) -> u16 {
    let incoming = tonic::transport::server::TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = incoming.local_addr().unwrap().port();
    let mut server = tonic::transport::Server::builder();
    if let Some(tls) = tls {
        server = server.tls_config(tls).unwrap();
    }
    spawn(server.add_routes(services).serve_with_incoming(incoming));
    port
}

fn code(outcome: &Outcome) -> f64 {
    outcome.samples.value(Metric::GrpcStatusCode).unwrap()
}

/// The serving status that is 1.
fn serving(outcome: &Outcome) -> Option<String> {
    let mut set = outcome
        .samples
        .family(Metric::GrpcHealthcheckResponse)
        .filter(|sample| sample.value == 1.0);
    let status = set.next().map(|sample| match &sample.labels {
        Labels::Values(values) => values[0].to_string(),
        labels => panic!("{labels:?}"),
    });
    assert!(set.next().is_none());
    status
}

fn problem(outcome: &Outcome) -> String {
    let lines = log(outcome);
    assert!(!outcome.reason().unwrap_or_default().contains("server::"));
    let line = lines.iter().rev().find(|line| {
        line.starts_with("ERROR can't connect grpc server:")
            || line.starts_with("ERROR gRPC health check failed")
    });
    line.unwrap_or_else(|| panic!("{lines:#?}")).clone()
}

#[tokio::test]
async fn tonic_in_plaintext() {
    let port = tonic(None).await;
    let target = format!("127.0.0.1:{port}");
    #[rustfmt::skip]
    let rows = [
        ("", true, 0.0, Some("SERVING"), ""),
        ("good.Service", true, 0.0, Some("SERVING"), ""),
        ("bad.Service", false, 0.0, Some("NOT_SERVING"), "the service \\\"bad.Service\\\" is NOT_SERVING"),
        ("no.Service", false, 5.0, None, "rpc error: code = NotFound desc = service not registered"),
    ];
    for (service, success, status, state, why) in rows {
        let outcome = probe(&PLAIN.replace('}', &format!(", service: '{service}'}}")), &target).await;
        assert_eq!(
            (outcome.success, code(&outcome), serving(&outcome).as_deref()),
            (success, status, state),
            "{service}"
        );
        if !success {
            has(problem(&outcome), [why]);
        }
    }
    let outcome = probe(PLAIN, &target).await;
    assert_eq!(
        redacted(&outcome),
        "\
# HELP probe_dns_lookup_time_seconds Returns the time taken for probe dns lookup in seconds
# TYPE probe_dns_lookup_time_seconds gauge
probe_dns_lookup_time_seconds V
# HELP probe_duration_seconds Returns how long the probe took to complete in seconds
# TYPE probe_duration_seconds gauge
probe_duration_seconds V
# HELP probe_grpc_duration_seconds Duration of gRPC request by phase
# TYPE probe_grpc_duration_seconds gauge
probe_grpc_duration_seconds{phase=\"check\"} V
probe_grpc_duration_seconds{phase=\"resolve\"} V
# HELP probe_grpc_healthcheck_response Response HealthCheck response
# TYPE probe_grpc_healthcheck_response gauge
probe_grpc_healthcheck_response{serving_status=\"NOT_SERVING\"} 0
probe_grpc_healthcheck_response{serving_status=\"SERVICE_UNKNOWN\"} 0
probe_grpc_healthcheck_response{serving_status=\"SERVING\"} 1
probe_grpc_healthcheck_response{serving_status=\"UNKNOWN\"} 0
# HELP probe_grpc_ssl Indicates if SSL was used for the connection
# TYPE probe_grpc_ssl gauge
probe_grpc_ssl 0
# HELP probe_grpc_status_code Response gRPC status code
# TYPE probe_grpc_status_code gauge
probe_grpc_status_code 0
# HELP probe_ip_addr_hash Specifies the hash of IP address. It's useful to detect if the IP address changes.
# TYPE probe_ip_addr_hash gauge
probe_ip_addr_hash V
# HELP probe_ip_protocol Specifies whether probe ip protocol is IP4 or IP6
# TYPE probe_ip_protocol gauge
probe_ip_protocol 4
# HELP probe_success Displays whether or not the probe was a success
# TYPE probe_success gauge
probe_success 1
# HELP probe_timeout_seconds Returns how long the probe timeout is in seconds
# TYPE probe_timeout_seconds gauge
probe_timeout_seconds 5
"
    );
}

#[tokio::test]
async fn tonic_within_tls() {
    let made = SelfSigned::local();
    let (certificate, key) = made.pem();
    let identity = tonic::transport::Identity::from_pem(certificate, key);
    let port = tonic(Some(tonic::transport::ServerTlsConfig::new().identity(identity))).await;
    let module = |service: &str, tls: &str| {
        format!(
            "prober: grpc\ngrpc:\n  preferred_ip_protocol: ip4\n  tls: true\n  service: '{service}'\n  tls_config:\n    {tls}"
        )
    };
    let trusting = made.trust();
    let named_otherwise = format!("server_name: other.test\n    {trusting}");
    // Facts of a certificate that did not pass are exposed too; those of a call that failed are not, as upstream.
    #[rustfmt::skip]
    let rows = [
        ("", trusting.as_str(), "localhost", true, 0.0, 1.0, true),
        ("", &trusting, "127.0.0.1", true, 0.0, 1.0, true),
        ("bad.Service", &trusting, "localhost", false, 0.0, 1.0, true),
        ("no.Service", &trusting, "localhost", false, 5.0, 0.0, false),
        ("", "insecure_skip_verify: true", "localhost", true, 0.0, 1.0, true),
        ("", "server_name: localhost", "localhost", false, 14.0, 0.0, true),
        ("", &named_otherwise, "localhost", false, 14.0, 0.0, true),
    ];
    for (service, tls, host, success, status, ssl, exposed) in rows {
        let outcome = probe(&module(service, tls), &format!("{host}:{port}")).await;
        let told = (
            outcome.success,
            code(&outcome),
            outcome.samples.value(Metric::GrpcSsl).unwrap(),
        );
        assert_eq!(
            told,
            (success, status, ssl),
            "{service} {host} {:?}",
            log(&outcome)
        );
        for metric in [
            Metric::SslLastChainInfo,
            Metric::TlsVersionInfo,
            Metric::SslEarliestCertExpiry,
        ] {
            assert_eq!(
                outcome.samples.family(metric).count(),
                usize::from(exposed),
                "{service} {host} {metric:?}"
            );
        }
        assert!(outcome.tls.is_some(), "the pages show the handshake in any case");
    }
    let outcome = probe(PLAIN, &format!("127.0.0.1:{port}")).await;
    assert_eq!(
        (outcome.success, code(&outcome)),
        (false, 14.0),
        "no TLS to a server with"
    );
    let port = tonic(None).await;
    let outcome = probe(&module("", &trusting), &format!("127.0.0.1:{port}")).await;
    assert_eq!(
        (outcome.success, code(&outcome)),
        (false, 14.0),
        "TLS to a server without"
    );
}

/// A server that lets `act` answer the calls of each connection.
pub async fn scripted<F>(
    act: impl Fn(Request<h2::RecvStream>, SendResponse<Bytes>) -> F + Clone + Send + Sync + 'static,
) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let serve = move |stream| {
        let act = act.clone();
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, respond))) = connection.accept().await {
                spawn(act(request, respond));
            }
        }
    };
    listen(serve).await.to_string()
}

pub fn head(status: u16) -> Response<()> {
    Response::builder()
        .status(status)
        .header("content-type", "application/grpc")
        .body(())
        .unwrap()
}

pub fn trailers(status: &str) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().unwrap(), status.parse().unwrap())])
}

#[tokio::test]
async fn what_is_sent() {
    let target = scripted(|request, mut respond| async move {
        let headers = request.headers();
        let agent = headers["user-agent"].to_str().unwrap();
        assert!(agent.starts_with("grpc-rust-blackbox-exporter/"), "{agent}");
        let told = format!(
            "{} {} {} {} {:?}",
            request.method(),
            request.uri().path(),
            headers["te"].to_str().unwrap(),
            headers["content-type"].to_str().unwrap(),
            headers.get_all("a").iter().collect::<Vec<_>>()
        );
        let mut body = request.into_body();
        let message = body.data().await.unwrap().unwrap();
        let mut trailers = trailers("2");
        trailers.insert("grpc-message", format!("{told} {message:?}").parse().unwrap());
        let mut stream = respond.send_response(head(200), false).unwrap();
        stream.send_trailers(trailers).unwrap();
    })
    .await;
    let outcome = probe(
        "prober: grpc\ngrpc: {service: s.S, metadata: {a: [x, y], te: [z]}}",
        &target,
    )
    .await;
    let want = r#"desc = POST /grpc.health.v1.Health/Check trailers application/grpc ["x", "y"] b"\0\0\0\0\x05\n\x03s.S""#;
    assert!(
        problem(&outcome)
            .replace("\\\"", "\"")
            .replace("\\\\", "\\")
            .contains(want),
        "{}",
        problem(&outcome)
    );
}

#[tokio::test]
async fn every_status_of_a_server_is_exposed() {
    for status in (0..=16).chain([17, 99]) {
        let target = scripted(move |_, mut respond| async move {
            let mut response = head(200);
            response.headers_mut().extend(trailers(&status.to_string()));
            respond.send_response(response, true).unwrap();
        })
        .await;
        let outcome = probe(PLAIN, &target).await;
        // Trailers only and yet OK: there is no message.
        let want = if status == 0 { 13.0 } else { f64::from(status) };
        assert_eq!(
            (outcome.success, code(&outcome), serving(&outcome)),
            (false, want, None)
        );
        assert_eq!(outcome.samples.family(Metric::GrpcHealthcheckResponse).count(), 4);
    }
}

#[tokio::test]
async fn a_call_that_was_refused_is_repeated_once() {
    let refusals = [(1, true, 0.0), (2, false, 14.0)];
    for (refused, success, status) in refusals {
        let calls = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let target = scripted(move |_, mut respond| {
            let call = calls.fetch_add(1, Ordering::SeqCst);
            async move {
                if call < refused {
                    respond.send_reset(Reason::REFUSED_STREAM);
                    return;
                }
                let mut stream = respond.send_response(head(200), false).unwrap();
                stream
                    .send_data(Bytes::from_static(b"\0\0\0\0\x02\x08\x01"), false)
                    .unwrap();
                stream.send_trailers(trailers("0")).unwrap();
            }
        })
        .await;
        let outcome = probe(PLAIN, &target).await;
        assert_eq!(
            (outcome.success, code(&outcome)),
            (success, status),
            "{:?}",
            log(&outcome)
        );
    }
}

#[tokio::test]
async fn a_message_without_end_is_cut_at_four_mebibytes() {
    let target = scripted(|_, mut respond| async move {
        let mut stream = respond.send_response(head(200), false).unwrap();
        stream
            .send_data(Bytes::from_static(b"\0\xff\xff\xff\xff"), false)
            .unwrap();
        while stream.send_data(Bytes::from_static(&[0; 16_384]), false).is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let outcome = probe(PLAIN, &target).await;
    assert_eq!(code(&outcome), 8.0, "{:?}", log(&outcome));
    has(
        problem(&outcome),
        ["received message larger than max (4294967295 vs. 4194304)"],
    );
}

#[tokio::test]
async fn the_deadline_is_obeyed_at_every_step() {
    // A peer that never says a word, one that never answers the call, and one that never ends its answer.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let unanswered = scripted(|_, respond| async move {
        let _respond = respond;
        std::future::pending().await
    })
    .await;
    let endless = scripted(|_, mut respond| async move {
        let _stream = respond.send_response(head(200), false).unwrap();
        std::future::pending().await
    })
    .await;
    let short = PLAIN.replace("5s", "300ms");
    let within_tls = short.replace('}', ", tls: true, tls_config: {insecure_skip_verify: true}}");
    let silent_target = silent.local_addr().unwrap().to_string();
    for (yaml, target) in [
        (&short, &silent_target),
        (&within_tls, &silent_target),
        (&short, &unanswered),
        (&short, &endless),
    ] {
        let started = Instant::now();
        let outcome = probe(yaml, target).await;
        assert!(started.elapsed() < Duration::from_secs(3));
        assert_eq!(
            (outcome.success, code(&outcome)),
            (false, 4.0),
            "{:?}",
            log(&outcome)
        );
        has(problem(&outcome), ["timeout of 300ms ran out"]);
        assert_eq!(
            outcome.samples.family(Metric::GrpcDuration).count(),
            2,
            "the check phase is there"
        );
    }
}

#[tokio::test]
async fn peers_that_speak_something_else() {
    let told: &[&[u8]] = &[
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"220 mail.test ESMTP\r\n",
        b"",
        b"\0\0\0\0\0\0\0\0\0",
    ];
    for &greeting in told {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap().to_string();
        spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(greeting).await.unwrap();
        });
        let outcome = probe(PLAIN, &target).await;
        assert_eq!(
            (outcome.success, code(&outcome)),
            (false, 14.0),
            "{greeting:?} {:?}",
            log(&outcome)
        );
    }
    let closed = closed().to_string();
    let outcome = probe(PLAIN, &closed).await;
    assert_eq!(code(&outcome), 14.0);
    has(
        problem(&outcome),
        [&format!("dial tcp {closed}: connect: connection refused")],
    );
}

#[tokio::test]
async fn the_chosen_address_is_dialled() {
    // Upstream joins host and port without brackets, and so dials another address.
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        return skipped("IPv6");
    };
    let port = listener.local_addr().unwrap().port();
    serve_each(listener, serve);
    let module = "prober: grpc\ngrpc: {preferred_ip_protocol: ip6}";
    assert!(
        probe(module, &format!("[::1]:{port}")).await.success,
        "an address in brackets"
    );
}

/// Counts the connections to a port of 192.0.2.1, which are closed.
async fn count(port: u16) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind(("192.0.2.1", port)).await.unwrap();
    let count = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&count);
    spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    count
}

#[tokio::test]
async fn proxies_of_the_environment_are_not_asked() {
    // Loopback addresses would never go through them.
    let setup = "ip addr add 192.0.2.1/32 dev lo && proxy=http://192.0.2.1:3128 && export HTTPS_PROXY=$proxy HTTP_PROXY=$proxy";
    if outside("grpc::proxies_of_the_environment_are_not_asked", setup) {
        return;
    }
    let asked = count(3128).await;
    let listener = TcpListener::bind("192.0.2.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    serve_each(listener, serve);
    let outcome = probe(PLAIN, &target).await;
    assert!(outcome.success, "{:?}", log(&outcome));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    // Whoever asks for it gets it: the proxy is there.
    let http = "prober: http\nhttp: {preferred_ip_protocol: ip4, proxy_from_environment: true}";
    probe(http, &format!("http://{target}/")).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

async fn serve(stream: TcpStream) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let mut stream = respond.send_response(head(200), false).unwrap();
        stream
            .send_data(Bytes::from_static(b"\0\0\0\0\x02\x08\x01"), false)
            .unwrap();
        stream.send_trailers(trailers("0")).unwrap();
    }
}

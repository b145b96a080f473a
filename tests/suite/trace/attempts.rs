//! The spans of a probe that is made again: each hop has what it met itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::collector::{Attributes, Collector, attributes, judge};
use crate::attempts::answering;
use crate::support::{Exporter, has, spawn};

const MODULES: &str = "modules:
  get: {prober: http, timeout: 9s, attempts: 3, trace: {}}
  post: {prober: http, timeout: 9s, attempts: 2, trace: {}, http: {method: POST}}
  websocket: {prober: websocket, timeout: 9s, attempts: 2, trace: {}, websocket: {insecure_skip_accept: true}}
  grpc: {prober: grpc, timeout: 9s, attempts: 2, trace: {}}
";

const FAILING: &str = "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const FINE: &str = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const MOVED: &str = "HTTP/1.1 302 Found\r\nLocation: /fail\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const UPGRADE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

/// A client's span: its name, its attributes, and why it failed.
struct Hop {
    name: String,
    own: Attributes,
    failed: Option<String>,
}

impl Hop {
    fn new(span: &Span) -> Self {
        let status = span.status.as_ref().unwrap();
        Self {
            name: span.name.clone(),
            own: attributes(&span.attributes),
            failed: (status.code == StatusCode::Error as i32).then(|| status.message.clone()),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.own.get(name).map(String::as_str)
    }
}

/// The hops of one probe as its spans have them, and whether it succeeded.
async fn hops(module: &str, target: &str) -> (Vec<Hop>, bool) {
    let collector = Collector::start(&[]).await;
    let endpoint = collector.flag("endpoint", "/v1/traces");
    let exporter = Exporter::start(MODULES, &[&endpoint, "--trace.export=all"]).await;
    let answer = exporter.probe(module, target).await;
    exporter.running.stop().await;
    let received = collector.received.lock().unwrap();
    judge(&received.spans);
    let clients = received.of_kind(SpanKind::Client);
    let hops = clients.into_iter().map(Hop::new).collect();
    (hops, answer.sample("probe_success") == Some(1.0))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_of_http_has_its_own_status() {
    for (answers, statuses) in [
        (&[FAILING][..], &["500", "500", "500"][..]),
        (&[FAILING, FINE], &["500", "200"]),
    ] {
        let (address, _) = answering(answers, true).await;
        let (hops, success) = hops("get", &format!("http://{address}/")).await;
        assert_eq!(hops.len(), statuses.len());
        for (number, (hop, status)) in hops.iter().zip(statuses).enumerate() {
            assert_eq!(
                hop.get("http.response.status_code"),
                Some(*status),
                "{:?}",
                hop.own
            );
            assert_eq!(hop.get("http.status_code"), Some(*status));
            let version = if *status == "500" { "1.1" } else { "1.0" };
            assert_eq!(hop.get("http.flavor"), Some(version));
            assert_eq!(hop.get("network.protocol.version"), Some(version));
            let again = (number > 0).then(|| number.to_string());
            assert_eq!(hop.own.get("http.request.resend_count"), again.as_ref());
            let reason = (*status == "500").then_some("http_status");
            assert_eq!(hop.get("error.type"), reason, "{number}");
            assert_eq!(hop.get("probe.failure.reason"), reason);
            match &hop.failed {
                Some(words) => has(words, ["http_status: Invalid HTTP response status code", "500"]),
                None => assert_eq!(*status, "200"),
            }
        }
        assert_eq!(success, answers.len() == 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_attempt_was_redirected_to_is_not_the_next_one_s() {
    let (address, _) = answering(&[MOVED, FAILING, MOVED, FAILING], true).await;
    let (hops, _) = hops("post", &format!("http://{address}/")).await;
    let told: Vec<_> = hops
        .iter()
        .map(|hop| {
            assert_eq!(hop.get("http.request.method"), Some(hop.name.as_str()));
            assert_eq!(hop.get("http.method"), Some(hop.name.as_str()));
            let status = hop.get("http.status_code").unwrap_or_default();
            (hop.name.as_str(), status, hop.failed.is_some())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("POST", "302", false),
            ("GET", "500", true),
            ("POST", "302", false),
            ("GET", "500", true)
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_of_a_websocket_has_its_own_status() {
    const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    let (address, _) = answering(&[BUSY, UPGRADE], true).await;
    let (hops, success) = hops("websocket", &format!("ws://{address}/chat")).await;
    let [refused, upgraded] = hops.as_slice() else {
        panic!("{} hops", hops.len());
    };
    assert!(success);
    for (hop, status) in [(refused, "503"), (upgraded, "101")] {
        assert_eq!(hop.get("http.status_code"), Some(status));
        assert_eq!(hop.get("http.response.status_code"), Some(status));
        assert_eq!(hop.get("http.flavor"), Some("1.1"));
    }
    assert_eq!(refused.get("error.type"), Some("websocket_refused"));
    has(refused.failed.as_ref().unwrap(), ["bad handshake"]);
    assert_eq!(upgraded.failed, None);
}

/// Health checks of gRPC, of which the first is refused.
async fn grpc() -> SocketAddr {
    let calls = Arc::<AtomicUsize>::default();
    let (_, service) = tonic_health::server::health_reporter();
    let incoming = tonic::transport::server::TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let interceptor = tonic::service::InterceptorLayer::new(move |request: tonic::Request<()>| {
        match calls.fetch_add(1, Ordering::Relaxed) {
            0 => Err(tonic::Status::resource_exhausted("busy")),
            _ => Ok(request),
        }
    });
    let mut server = tonic::transport::Server::builder().layer(interceptor);
    spawn(server.add_service(service).serve_with_incoming(incoming));
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_of_grpc_has_its_own_code() {
    let (hops, success) = hops("grpc", &grpc().await.to_string()).await;
    assert!(success);
    let codes: Vec<_> = hops.iter().map(|hop| hop.get("rpc.grpc.status_code")).collect();
    assert_eq!(codes, [Some("8"), Some("0")]);
    has(hops[0].failed.as_ref().unwrap(), ["busy"]);
    assert_eq!(hops[1].failed, None);
    // Nothing was called: there is no code, least of all that of success.
    let (hops, _) = self::hops("grpc", "no-such-host.invalid:1").await;
    assert!(hops.iter().all(|hop| hop.failed.is_some()));
    let codes: Vec<_> = hops.iter().map(|hop| hop.get("rpc.grpc.status_code")).collect();
    assert_eq!(codes, [None, None]);
}

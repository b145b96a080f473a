//! Spans and logs at their receivers.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::collector::{Collector, attributes, body, hex, imported, judge};
use super::recorder::{grpc, service, value};
use crate::support::{Exporter, closed, has, lacks};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

const MODULES: &str = "modules:
  traced: {prober: http, timeout: 5s, trace: {}, http: {preferred_ip_protocol: ip4}}
  plain: {prober: http, timeout: 5s}
  tcp: {prober: tcp, timeout: 5s}
  grpc: {prober: grpc, timeout: 5s, trace: {}}
  websocket: {prober: websocket, timeout: 5s, trace: {}}
";

/// Scrape, probe, hops and phases are one trace.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_a_probe_its_hops_and_phases_are_one_trace() {
    let (address, recorded) = service().await;
    let collector = Collector::start(&[]).await;
    let endpoint = collector.flag("endpoint", "/v1/traces");
    let exporter = Exporter::start(MODULES, &[&endpoint, "--trace.export=all"]).await;
    let path = format!("/probe?module=traced&target=http://{address}/first");
    let context = [
        ("traceparent", format!("00-{TRACE}-{SPAN}-01")),
        ("tracestate", "a=1".to_owned()),
    ];
    let context = context.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = exporter.request("GET", &path, &context).await;
    assert_eq!(answer.sample("probe_success"), Some(1.0));
    // A module without the section has no spans.
    exporter.probe("plain", &format!("http://{address}/")).await;
    // What waits is posted before the end.
    exporter.running.stop().await;

    let received = collector.received.lock().unwrap();
    judge(&received.spans);
    assert!(
        received
            .spans
            .iter()
            .all(|span| hex(&span.trace_id) == TRACE && span.trace_state == "a=1")
    );
    let [probe] = received.of_kind(SpanKind::Server)[..] else {
        panic!("{:?}", received.spans);
    };
    assert_eq!(
        (hex(&probe.parent_span_id).as_str(), probe.name.as_str()),
        (SPAN, "probe traced")
    );
    assert_eq!(probe.status.as_ref().unwrap().code, StatusCode::Ok as i32);
    assert!(
        probe.events.iter().any(|event| event.name == "Received redirect"),
        "{:?}",
        probe.events
    );

    let hops = received.of_kind(SpanKind::Client);
    assert_eq!(hops.len(), 3);
    let requests = recorded.lock().unwrap();
    for (i, (hop, (path, headers))) in hops.iter().zip(requests.iter()).enumerate() {
        assert_eq!(hop.parent_span_id, probe.span_id);
        let sent = format!("00-{TRACE}-{}-01", hex(&hop.span_id));
        assert_eq!(value(headers, "traceparent"), Some(sent));
        let own = attributes(&hop.attributes);
        let (url, status) = (
            format!("http://{address}{path}"),
            if i < 2 { "307" } else { "200" },
        );
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        for (name, want) in [
            ("http.request.method", "GET"),
            ("http.method", "GET"),
            ("url.full", &url),
            ("http.url", &url),
            ("url.scheme", "http"),
            ("http.scheme", "http"),
            ("http.host", &address.to_string()),
            ("server.address", &ip),
            ("server.port", &port),
            ("http.response.status_code", status),
            ("http.status_code", status),
            ("network.protocol.version", "1.1"),
            ("http.flavor", "1.1"),
            ("network.peer.address", &ip),
            ("network.peer.port", &port),
            ("net.peer.ip", &ip),
            ("network.transport", "tcp"),
            ("net.transport", "ip_tcp"),
            ("user_agent.synthetic.type", "test"),
            ("probe.module", "traced"),
            ("probe.target", &format!("http://{address}/first")),
        ] {
            assert_eq!(
                own.get(name).map(String::as_str),
                Some(want),
                "{name} of hop {i}: {own:?}"
            );
        }
        let again = (i > 0).then(|| i.to_string());
        assert_eq!(own.get("http.request.resend_count"), again.as_ref());
        let below: Vec<&str> = received
            .of_kind(SpanKind::Internal)
            .iter()
            .filter(|span| span.parent_span_id == hop.span_id)
            .map(|span| span.name.as_str())
            .collect();
        assert!(
            below.contains(&"connect") && below.contains(&"processing"),
            "{below:?}"
        );
    }
    let [resource] = received.resources.as_slice() else {
        panic!("{:?}", received.resources);
    };
    assert_eq!(resource["service.name"], "blackbox_exporter");
    // The port is the one that the system chose.
    let port = format!(":{}", exporter.address.port());
    assert!(resource["service.instance.id"].ends_with(&port), "{resource:?}");
    assert!(!resource["service.version"].is_empty());
}

/// `--trace.export=failed` to DeepFlow's agent: what its server makes of it, and the log.
#[tokio::test(flavor = "multi_thread")]
async fn deepflow_gets_failed_probes_and_their_logs() {
    let (address, _) = service().await;
    let agent = Collector::start(&[]).await;
    let flags = [
        agent.flag("endpoint", "/api/v1/otel/trace"),
        agent.flag("log-endpoint", "/api/v1/log"),
    ];
    let exporter = Exporter::start(MODULES, &flags.each_ref().map(String::as_str)).await;
    exporter.probe("traced", &format!("http://{address}/good")).await;
    let bad = format!("http://probe:secret@{address}/bad");
    let answer = exporter.probe("traced", &bad).await;
    assert_eq!(answer.sample("probe_success"), Some(0.0));
    let closed = closed().to_string();
    exporter.probe("traced", &closed).await;
    exporter.probe("tcp", &closed).await;
    // Not a URL, and still a password.
    exporter.probe("tcp", &format!("probe:secret@{closed}")).await;
    exporter.running.stop().await;

    let received = agent.received.lock().unwrap();
    judge(&received.spans);
    let all = format!("{:?} {:?}", received.spans, received.deepflow);
    lacks(&all, ["secret"]);
    let resource = &received.resources[0];
    let rows: Vec<_> = received
        .of_kind(SpanKind::Client)
        .iter()
        .map(|span| (imported(span, resource), attributes(&span.attributes)))
        .collect();
    let [(bad, own), (refused, own_refused)] = rows.as_slice() else {
        panic!("{rows:#?}");
    };
    assert_eq!(
        (bad.side, bad.protocol.as_str(), bad.version.as_str()),
        ("c-app", "http", "1.1")
    );
    assert_eq!(
        (bad.request_type.as_str(), bad.domain.as_str()),
        ("GET", address.to_string().as_str())
    );
    assert_eq!((bad.resource.as_str(), bad.status), ("/bad", "server error"));
    assert_eq!(
        (bad.server_ip.as_str(), bad.transport.as_str()),
        ("127.0.0.1", "ip_tcp")
    );
    assert_eq!(
        bad.client_ip,
        resource.get("app.host.ip").cloned().unwrap_or_default()
    );
    assert_eq!(bad.app_service, "blackbox_exporter");
    assert_eq!(own["probe.failure.reason"], "http_status");
    assert_eq!(own["error.type"], "http_status");
    assert_eq!(refused.status, "server error");
    assert!(refused.exception.contains("connection refused"), "{refused:?}");
    assert_eq!(own_refused["probe.failure.reason"], "connect_refused");
    let probes = received.of_kind(SpanKind::Internal);
    let probe = probes.iter().find(|span| span.name == "probe traced").unwrap();
    assert_eq!(probe.status.as_ref().unwrap().code, StatusCode::Error as i32);
    assert!(probe.events.iter().any(|event| event.name == "Probe failed"));

    let of = |module: &str| -> Vec<&serde_json::Value> {
        received
            .deepflow
            .iter()
            .filter(|record| record["json"]["module"] == module)
            .collect()
    };
    let traces: Vec<String> = received.spans.iter().map(|span| hex(&span.trace_id)).collect();
    assert!(!of("traced").is_empty());
    for record in of("traced") {
        assert!(
            traces.iter().any(|trace| record["trace_id"] == **trace),
            "{record}"
        );
        assert_eq!(record["span_id"].as_str().map(str::len), Some(16));
    }
    // The probe's target, not the host that a line of the log is about.
    let targets = |module: &str| -> BTreeSet<&str> {
        let records = of(module).into_iter();
        records.map(|r| r["json"]["target"].as_str().unwrap()).collect()
    };
    let masked = format!("probe:xxxxx@{closed}");
    assert_eq!(targets("tcp"), BTreeSet::from([closed.as_str(), masked.as_str()]));
    assert!(targets("traced").iter().all(|target| target.contains(':')));
    let tcp: Vec<_> = of("tcp")
        .into_iter()
        .filter(|record| record["json"]["target"] == closed)
        .collect();
    assert!(
        tcp.iter()
            .any(|r| r["message"].as_str().unwrap().contains("connection refused")),
        "{tcp:?}"
    );
    assert!(
        tcp.iter()
            .all(|r| r["trace_id"] == "" && r["json"]["reason"] == "connect_refused")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_and_websocket_have_spans_and_others_get_otlp_logs() {
    let (server, _) = grpc().await;
    let (address, _) = service().await;
    let collector = Collector::start(&[]).await;
    let flags = [
        collector.flag("endpoint", "/v1/traces"),
        collector.flag("log-endpoint", "/v1/logs"),
        "--trace.export=ratio:1".to_owned(),
    ];
    let exporter = Exporter::start(MODULES, &flags.each_ref().map(String::as_str)).await;
    exporter.probe("grpc", &server.to_string()).await;
    exporter.probe("websocket", &format!("ws://{address}/chat")).await;
    exporter.running.stop().await;

    let received = collector.received.lock().unwrap();
    judge(&received.spans);
    let clients = received.of_kind(SpanKind::Client);
    let [call, upgrade] = clients.as_slice() else {
        panic!("{clients:?}");
    };
    let own = attributes(&call.attributes);
    assert_eq!(call.name, "grpc.health.v1.Health/Check");
    for (name, want) in [
        ("rpc.system", "grpc"),
        ("rpc.service", "grpc.health.v1.Health"),
        ("rpc.method", "Check"),
        ("rpc.grpc.status_code", "0"),
        ("server.port", &server.port().to_string()),
    ] {
        assert_eq!(own[name], want);
    }
    assert!(!own.keys().any(|name| name.starts_with("http")), "{own:?}");
    let own = attributes(&upgrade.attributes);
    assert_eq!(
        (own["http.scheme"].as_str(), own["http.status_code"].as_str()),
        ("http", "200")
    );
    assert_eq!(own["probe.failure.reason"], "websocket_refused");

    let record = received.records.last().unwrap();
    assert_eq!(record.trace_id, upgrade.trace_id);
    assert_eq!(
        (record.severity_text.as_str(), record.severity_number),
        ("ERROR", 17)
    );
    assert_eq!(body(record), "Probe failed");
    assert_eq!(
        attributes(&record.attributes)["probe.failure.reason"],
        "websocket_refused"
    );
    assert!(
        received
            .records
            .iter()
            .any(|record| body(record).contains("bad handshake"))
    );
}

/// The target has seen the trace of a probe whose scraper left.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_probe_has_a_span_that_says_so() {
    let peer = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let collector = Collector::start(&[]).await;
    let endpoint = collector.flag("endpoint", "/v1/traces");
    let exporter = Exporter::start(MODULES, &[&endpoint]).await;
    let mut scraper = tokio::net::TcpStream::connect(exporter.address).await.unwrap();
    let request = format!(
        "GET /probe?module=traced&target=http://{} HTTP/1.1\r\nHost: x\r\ntraceparent: 00-{TRACE}-{SPAN}-01\r\n\r\n",
        peer.local_addr().unwrap()
    );
    scraper.write_all(request.as_bytes()).await.unwrap();
    let (mut asked, _) = peer.accept().await.unwrap();
    asked.read_u8().await.unwrap();
    drop(scraper);
    // The probe closes its connection when it is given up.
    let _ = asked.read_to_end(&mut Vec::new()).await;
    exporter.running.stop().await;

    let received = collector.received.lock().unwrap();
    let [span] = received.spans.as_slice() else {
        panic!("{:?}", received.spans);
    };
    assert_eq!(
        (hex(&span.trace_id).as_str(), hex(&span.parent_span_id).as_str()),
        (TRACE, SPAN)
    );
    let status = span.status.as_ref().unwrap();
    assert_eq!(status.code, StatusCode::Error as i32);
    assert_eq!(status.message, "cancelled: the scraper closed its connection");
    assert_eq!(attributes(&span.attributes)["error.type"], "cancelled");
    assert!(span.end_time_unix_nano > span.start_time_unix_nano);
}

/// A receiver that is busy is asked again; what it refuses is counted; its credentials are seen by nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_tried_again_or_counted() {
    let (address, _) = service().await;
    let busy = Collector::rejecting(&[503], i64::MAX).await;
    let strict = Collector::start(&[400]).await;
    let flags = [
        format!(
            "--trace.endpoint=http://user:secret@{}/v1/traces?token=secret",
            busy.address
        ),
        strict.flag("log-endpoint", "/v1/logs"),
        "--log.level=debug".to_owned(),
    ];
    let exporter = Exporter::start(MODULES, &flags.each_ref().map(String::as_str)).await;
    exporter.probe("traced", &format!("http://{address}/bad")).await;
    let end = Instant::now() + Duration::from_secs(60);
    let figures = loop {
        let metrics = exporter.get("/metrics").await;
        let figure = |name| metrics.sample(name).unwrap();
        let figures = (
            figure("blackbox_exporter_spans_dropped_total"),
            figure("blackbox_exporter_trace_logs_dropped_total"),
        );
        // Said a moment after it is counted.
        let is_said = exporter.log().matches(" were dropped").count() == 2;
        if figures.0 > 0.0 && figures.1 > 0.0 && is_said {
            break figures;
        }
        assert!(Instant::now() < end, "{}", metrics.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let log = exporter.log();
    has(
        &log,
        [
            "Spans of probes could not be exported, they are posted again",
            "the endpoint answers 503",
            "the endpoint rejects a part of them",
            "Logs of failed probes were dropped",
            "the endpoint answers 400",
        ],
    );
    lacks(&log, ["secret"]);
    let received = busy.received.lock().unwrap();
    assert_eq!(received.requests.len(), 2);
    let spans = u32::try_from(received.spans.len()).unwrap();
    assert_eq!(
        figures.0,
        f64::from(spans),
        "a receiver rejects no more than it was sent"
    );
    let authorization = value(&received.requests[0].1, "authorization").unwrap();
    assert_eq!(authorization, "Basic dXNlcjpzZWNyZXQ=");
    assert!(!received.spans.is_empty());
    assert!(strict.received.lock().unwrap().records.is_empty());
}

/// A receiver that never answers holds up neither probes nor, for long, the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_is_nobodys_concern() {
    let (address, _) = service().await;
    // The kernel takes the connections.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!(
        "--trace.endpoint=http://{}/v1/traces",
        silent.local_addr().unwrap()
    );
    let exporter = Exporter::start(MODULES, &[&endpoint, "--trace.export=all"]).await;
    for _ in 0..20 {
        let answer = exporter.probe("traced", &format!("http://{address}/")).await;
        assert_eq!(answer.sample("probe_success"), Some(1.0));
        assert!(answer.sample("probe_duration_seconds").unwrap() < 5.0);
    }
    let begin = Instant::now();
    let log = exporter.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    let [line] = losses(&log, "Spans of probes were dropped")[..] else {
        panic!("{log}");
    };
    has(
        line,
        [
            "the exporter ends before the endpoint took them",
            &silent.local_addr().unwrap().to_string(),
        ],
    );
}

/// What was taken is not sent again because the rest of the answer does not come.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_end_is_one() {
    let (address, _) = service().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!(
        "--trace.endpoint=http://{}/v1/traces",
        listener.local_addr().unwrap()
    );
    let exporter = Exporter::start(MODULES, &[&endpoint, "--trace.export=all"]).await;
    let mut open = Vec::new();
    for path in ["/first", "/second"] {
        exporter.probe("traced", &format!("http://{address}{path}")).await;
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !String::from_utf8_lossy(&request).contains(path) {
            assert!(stream.read_buf(&mut request).await.unwrap() > 0, "not of {path}");
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
            .await
            .unwrap();
        open.push(stream);
    }
    let log = exporter.stop().await;
    lacks(&log, ["dropped", "posted again"]);
}

/// The lines of a log that tell of losses.
fn losses<'l>(log: &'l str, of: &str) -> Vec<&'l str> {
    log.lines().filter(|line| line.contains(of)).collect()
}

/// What a busy or absent receiver does not take is said: how much, of what, and why.
#[tokio::test(flavor = "multi_thread")]
async fn every_loss_is_said() {
    // The kernel takes the connections.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let nobody = closed().to_string();
    let flags = [
        format!("--trace.endpoint=http://{silent}/v1/traces"),
        format!("--trace.log-endpoint=http://{nobody}/v1/logs"),
    ];
    let exporter = Exporter::start(MODULES, &flags.each_ref().map(String::as_str)).await;
    let target = format!("http://{nobody}/{}", "x".repeat(7000));
    let end = Instant::now() + Duration::from_secs(60);
    while !exporter.log().contains("Spans of probes were dropped") {
        assert!(Instant::now() < end);
        exporter.probe("traced", &target).await;
    }
    has(
        exporter.log(),
        ["the queue is full: the endpoint does not take them fast enough"],
    );
    let log = exporter.stop().await;
    for (of, endpoint) in [
        ("Spans of probes were dropped", silent.to_string()),
        ("Logs of failed probes were dropped", nobody),
    ] {
        let lines = losses(&log, of);
        let number = |line: &str, name: &str| -> u64 {
            let (_, rest) = line.split_once(name).unwrap();
            rest.split(' ').next().unwrap().parse().unwrap()
        };
        let all: u64 = lines.iter().map(|line| number(line, " dropped=")).sum();
        assert_eq!(
            number(lines.last().unwrap(), " dropped_since_start="),
            all,
            "{lines:#?}"
        );
        lines.iter().for_each(|line| has(line, ["level=WARN", &endpoint]));
    }
    has(&log, ["connection refused"]);
}

#[tokio::test]
async fn a_choice_of_spans_needs_an_endpoint() {
    const LINE: &str = "--trace.export has no effect without --trace.endpoint";
    for (flags, warns) in [
        (&["--trace.export=all"][..], true),
        (
            &[
                "--trace.export=slow:1s",
                "--trace.log-endpoint=http://127.0.0.1:1/",
            ],
            true,
        ),
        (
            &["--trace.export=all", "--trace.endpoint=http://127.0.0.1:1/"],
            false,
        ),
        (&["--trace.export=failed"], false),
        (&[], false),
    ] {
        let log = Exporter::start(MODULES, flags).await.stop().await;
        assert_eq!(log.contains(LINE), warns, "{flags:?}: {log}");
    }
}

#[test]
fn flags_are_judged() {
    use blackbox_exporter::cli::parse;
    for flag in [
        "--trace.endpoint=localhost:4318",
        "--trace.export=some",
        "--trace.log-endpoint=",
        "--trace.url=https://tempo.example/",
    ] {
        let refused = parse(&[flag.to_owned()]).unwrap_err();
        let name = flag.split('=').next().unwrap();
        assert_eq!(refused.message, format!("invalid value of {name}"));
        assert!(refused.hint.unwrap().starts_with(&format!("{name} takes ")));
    }
}

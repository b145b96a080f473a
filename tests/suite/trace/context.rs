//! Each header with a real peer, the scrape as parent, and where the id is told.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blackbox_exporter::module::parse;

use super::recorder::{grpc, service, value};
use crate::support::{Exporter, has, probe};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// A trace and a span id of a `traceparent`, and its flags.
fn parts(traceparent: &str) -> [String; 3] {
    let parts: Vec<&str> = traceparent.split('-').collect();
    let [version, trace, span, flags] = parts.as_slice() else {
        panic!("{traceparent}");
    };
    let is_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    assert_eq!(
        (*version, trace.len(), span.len(), flags.len()),
        ("00", 32, 16, 2)
    );
    assert!(is_hex(trace) && is_hex(span) && is_hex(flags), "{traceparent}");
    [trace, span, flags].map(|part| (*part).to_owned())
}

#[tokio::test]
async fn every_hop_has_a_span_of_its_own_in_every_form() {
    let (address, recorded) = service().await;
    let yaml = "prober: http\ntimeout: 5s\ntrace: {headers: [traceparent, x-request-id, b3, sw8]}";
    let outcome = probe(yaml, &format!("http://{address}/first")).await;
    assert!(outcome.success);
    let trace = outcome.trace.as_ref().unwrap().trace.to_string();
    let requests = recorded.lock().unwrap();
    assert_eq!(requests.len(), 3);
    let mut spans = Vec::new();
    for (hop, (_, headers)) in requests.iter().enumerate() {
        let [id, span, flags] = parts(&value(headers, "traceparent").unwrap());
        assert_eq!((id.as_str(), flags.as_str()), (trace.as_str(), "03"));
        assert_eq!(span, outcome.trace.as_ref().unwrap().hop(hop).to_string());
        assert_eq!(value(headers, "tracestate"), None);
        assert_eq!(value(headers, "x-request-id").as_deref(), Some(trace.as_str()));
        assert_eq!(value(headers, "b3"), Some(format!("{trace}-{span}-1")));
        let sw8 = value(headers, "sw8").unwrap();
        let [sampled, id, segment, number, _, _, endpoint, peer] =
            <[&str; 8]>::try_from(sw8.split('-').collect::<Vec<_>>()).unwrap();
        let text = |part| String::from_utf8(STANDARD.decode(part).unwrap()).unwrap();
        assert_eq!((sampled, number), ("1", "0"));
        assert_eq!((text(id), text(segment)), (trace.clone(), span.clone()));
        assert_eq!(
            (text(endpoint), text(peer)),
            ("test".to_owned(), address.to_string())
        );
        spans.push(span);
    }
    spans.sort();
    spans.dedup();
    assert_eq!(spans.len(), 3);
}

#[tokio::test]
async fn grpc_and_websocket_send_it_too() {
    let (address, recorded) = grpc().await;
    let yaml = "prober: grpc\ntimeout: 5s\ntrace: {headers: [traceparent, x-request-id], sampled: false}";
    let outcome = probe(yaml, &address.to_string()).await;
    assert!(outcome.success);
    let trace = outcome.trace.unwrap();
    let (_, headers) = recorded.lock().unwrap().pop().unwrap();
    let [id, span, flags] = parts(&value(&headers, "traceparent").unwrap());
    assert_eq!((id, span), (trace.trace.to_string(), trace.hop(0).to_string()));
    assert_eq!(flags, "02");
    assert_eq!(value(&headers, "x-request-id"), Some(trace.trace.to_string()));

    // No upgrade, which is no matter of the headers.
    let (address, recorded) = service().await;
    let yaml = "prober: websocket\ntimeout: 5s\ntrace: {headers: [b3]}";
    let outcome = probe(yaml, &format!("ws://{address}/chat")).await;
    let trace = outcome.trace.unwrap();
    let (_, headers) = recorded.lock().unwrap().pop().unwrap();
    assert_eq!(
        value(&headers, "b3"),
        Some(format!("{}-{}-1", trace.trace, trace.hop(0)))
    );
    assert_eq!(value(&headers, "traceparent"), None);
}

#[tokio::test]
async fn the_scrape_is_the_parent_and_its_state_is_passed_on() {
    let (address, recorded) = service().await;
    let config = "modules:
  traced: {prober: http, trace: {sampled: false}}
  plain: {prober: http}
";
    let link = "--trace.url=https://tempo.example/trace/{trace_id}";
    let exporter = Exporter::start(config, &[link, "--log.prober=debug"]).await;
    let good = format!("00-{TRACE}-{SPAN}-01");
    let path = |module| format!("/probe?module={module}&target={address}");
    let scrape = async |module, fields: &[(&str, &str)]| {
        let answer = exporter.request("GET", &path(module), fields).await;
        assert_eq!(answer.sample("probe_success"), Some(1.0), "{}", answer.text());
        recorded.lock().unwrap().pop().unwrap().1
    };
    let headers = scrape(
        "traced",
        &[
            ("traceparent", &good),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
        ],
    )
    .await;
    let [trace, span, flags] = parts(&value(&headers, "traceparent").unwrap());
    assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "01"));
    assert_ne!(span, SPAN);
    assert_eq!(value(&headers, "tracestate").as_deref(), Some("a=1,b=2"));

    // A context that is not valid begins another trace, without its state.
    let bad = format!("00-{}-{SPAN}-01", "0".repeat(32));
    let headers = scrape("traced", &[("traceparent", &bad), ("tracestate", "a=1")]).await;
    let [trace, _, flags] = parts(&value(&headers, "traceparent").unwrap());
    assert_ne!(trace, TRACE);
    assert_eq!(flags, "02");
    assert_eq!(value(&headers, "tracestate"), None);

    // Nothing is sent without the section, and nothing is told.
    let headers = scrape("plain", &[("traceparent", &good), ("tracestate", "a=1")]).await;
    assert_eq!(value(&headers, "traceparent"), None);
    assert_eq!(value(&headers, "tracestate"), None);

    let log = exporter.log();
    has(&log, [&format!("trace_id={TRACE}")]);
    let is_told = |line: &&str| line.contains("module=plain") && line.contains("trace_id");
    assert_eq!(log.lines().find(is_told), None);
    let debug = format!("{}&debug=true", path("traced"));
    let answer = exporter.request("GET", &debug, &[("traceparent", &good)]).await;
    has(answer.text(), [&format!("trace_id={TRACE}")]);
    let html = [("accept", "text/html"), ("traceparent", good.as_str())];
    for path in [debug, format!("/target?module=traced&target={address}")] {
        let page = exporter.request("GET", &path, &html).await;
        let link = format!("<a href=\"https://tempo.example/trace/{TRACE}\"><code>{TRACE}</code></a>");
        assert!(page.text().contains(&link), "{}", page.text());
    }
}

/// Dashboards know a target and no trace id.
#[tokio::test]
async fn a_link_leads_to_the_trace_of_the_last_failed_probe() {
    let (address, _) = service().await;
    let config = "modules:
  traced: {prober: http, trace: {}}
";
    let link = "--trace.url=https://tempo.example/trace/{trace_id}";
    let exporter = Exporter::start(config, &[link]).await;
    let target = format!("http://{address}/bad");
    let context = format!("00-{TRACE}-{SPAN}-01");
    let html = [("accept", "text/html")];
    let trace = format!("/trace?module=traced&target={target}");
    let answer = exporter.request("GET", &trace, &html).await;
    assert_eq!(answer.status, 404);
    has(answer.text(), ["no failed probe of this target"]);
    let probe = format!("/probe?module=traced&target={target}");
    exporter
        .request("GET", &probe, &[("traceparent", &context)])
        .await;
    let answer = exporter.request("GET", &trace, &html).await;
    assert_eq!(answer.status, 302);
    assert_eq!(
        answer.header("location"),
        Some(format!("https://tempo.example/trace/{TRACE}").as_str())
    );
    // A series of a job that sets no label `module`, and one that has only the host.
    let host = address.ip();
    for query in [format!("target={target}"), format!("module=traced&target={host}")] {
        let answer = exporter.request("GET", &format!("/trace?{query}"), &html).await;
        assert_eq!(answer.status, 302, "{query}");
    }
    // To a script the path is as unknown as it is upstream.
    assert_eq!(exporter.get(&trace).await.status, 200);

    let exporter = Exporter::start(config, &[]).await;
    exporter
        .request("GET", &probe, &[("traceparent", &context)])
        .await;
    let answer = exporter.request("GET", &trace, &html).await;
    assert_eq!(answer.status, 404);
    has(answer.text(), [TRACE, "--trace.url"]);
}

#[test]
fn a_header_has_one_source() {
    #[rustfmt::skip]
    let rows = [
        ("prober: http, trace: {}", ""),
        ("prober: http, http: {headers: {X-Request-ID: x}}, trace: {}", ""),
        ("prober: http, http: {headers: {Traceparent: x}}, trace: {}", "traceparent is sent by trace"),
        ("prober: http, http: {headers: {tracestate: x}}, trace: {}", "tracestate is sent by trace"),
        ("prober: http, http: {http_headers: {SW8: {values: [x]}}}, trace: {headers: [sw8]}", "sw8 is sent"),
        ("prober: grpc, grpc: {metadata: {b3: [x]}}, trace: {headers: [b3]}", "b3 is sent by trace"),
        ("prober: http, params: {header.Traceparent: {}}, trace: {}", "traceparent is sent by trace"),
        ("prober: grpc, params: {metadata.x-request-id: {}}, trace: {headers: [x-request-id]}", "x-request-id is sent by trace"),
        (
            "prober: websocket, websocket: {headers: {x-request-id: {values: [x]}}}, trace: {headers: [x-request-id]}",
            "x-request-id is sent by trace",
        ),
        ("prober: tcp, trace: {}", "the tcp prober cannot send a trace context"),
        ("prober: icmp, trace: {headers: []}", "the icmp prober cannot send a trace context"),
    ];
    for (module, want) in rows {
        let loaded = parse(format!("modules: {{m: {{{module}}}}}"), "test");
        match loaded {
            Ok(_) => assert_eq!(want, "", "{module}"),
            Err(error) => {
                let error = error.to_string();
                assert!(!want.is_empty() && error.contains(want), "{module}: {error}");
            }
        }
    }
}

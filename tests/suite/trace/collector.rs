//! Receivers: an OTLP collector that decodes with the published types and judges, and DeepFlow's agent with what its server makes
//! of spans and logs, restated.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, Uri};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use prost::Message;

use crate::support::spawn;

/// Attributes by name, as text.
pub type Attributes = BTreeMap<String, String>;

/// Everything that came.
#[derive(Default)]
pub struct Received {
    pub spans: Vec<Span>,
    pub resources: Vec<Attributes>,
    pub records: Vec<LogRecord>,
    /// What DeepFlow's agent was posted.
    pub deepflow: Vec<serde_json::Value>,
    /// Path and headers of every request.
    pub requests: Vec<(String, HeaderMap)>,
}

/// A receiver. It takes what it is sent, or answers with these statuses first.
pub struct Collector {
    pub address: SocketAddr,
    pub received: Arc<Mutex<Received>>,
}

impl Collector {
    pub async fn start(first: &[u16]) -> Self {
        Self::rejecting(first, 0).await
    }

    /// One that says that it rejected a part of every batch of spans.
    pub async fn rejecting(first: &[u16], rejected: i64) -> Self {
        let received = Arc::<Mutex<Received>>::default();
        let mut first: VecDeque<u16> = first.iter().copied().collect();
        let first = Arc::new(Mutex::new(std::mem::take(&mut first)));
        let all = Arc::clone(&received);
        let take = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let mut received = all.lock().unwrap();
            received.requests.push((uri.path().to_owned(), headers.clone()));
            let refusal = first.lock().unwrap().pop_front();
            let response = match refusal {
                Some(status) => StatusCode::from_u16(status).unwrap().into_response(),
                None => received.take(uri.path(), &headers, &body, rejected),
            };
            std::future::ready(response)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
        Self { address, received }
    }

    pub fn flag(&self, name: &str, path: &str) -> String {
        format!("--trace.{name}=http://{}{path}", self.address)
    }
}

impl Received {
    fn take(&mut self, path: &str, headers: &HeaderMap, body: &[u8], rejected: i64) -> Response {
        let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok());
        match path {
            "/v1/traces" | "/api/v1/otel/trace" => {
                assert_eq!(kind, Some("application/x-protobuf"));
                let request = ExportTraceServiceRequest::decode(body).unwrap();
                for resource in request.resource_spans {
                    self.resources
                        .push(attributes(&resource.resource.unwrap().attributes));
                    for scope in resource.scope_spans {
                        assert_eq!(scope.scope.unwrap().name, "blackbox_exporter");
                        self.spans.extend(scope.spans);
                    }
                }
                let partial_success = (rejected > 0).then(|| ExportTracePartialSuccess {
                    rejected_spans: rejected,
                    error_message: "too many".to_owned(),
                });
                ExportTraceServiceResponse { partial_success }
                    .encode_to_vec()
                    .into_response()
            }
            "/v1/logs" => {
                assert_eq!(kind, Some("application/x-protobuf"));
                let request = ExportLogsServiceRequest::decode(body).unwrap();
                for resource in request.resource_logs {
                    self.resources
                        .push(attributes(&resource.resource.unwrap().attributes));
                    self.records.extend(
                        resource
                            .scope_logs
                            .into_iter()
                            .flat_map(|scope| scope.log_records),
                    );
                }
                ().into_response()
            }
            "/api/v1/log" => {
                assert_eq!(kind, Some("application/json"));
                let records: Vec<serde_json::Value> = serde_json::from_slice(body).unwrap();
                records.iter().for_each(judge_record);
                self.deepflow.extend(records);
                ().into_response()
            }
            // The agent takes samples here; they are the scraper's.
            "/api/v1/prometheus" => ().into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    /// The spans of that kind.
    pub fn of_kind(&self, kind: SpanKind) -> Vec<&Span> {
        self.spans
            .iter()
            .filter(|span| span.kind == kind as i32)
            .collect()
    }
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()).unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::BoolValue(truth) => truth.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Attributes by name. Each name must be there once.
pub fn attributes(list: &[KeyValue]) -> Attributes {
    let all: Attributes = list
        .iter()
        .map(|a| (a.key.clone(), text(a.value.as_ref())))
        .collect();
    assert_eq!(all.len(), list.len(), "{list:?}");
    all
}

pub fn body(record: &LogRecord) -> String {
    text(record.body.as_ref())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What holds for the spans of every trace: ids, times, parents, statuses.
pub fn judge(spans: &[Span]) {
    let by_id: HashMap<&[u8], &Span> = spans.iter().map(|span| (span.span_id.as_slice(), span)).collect();
    assert_eq!(by_id.len(), spans.len(), "ids are unique");
    for span in spans {
        assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
        assert!(span.trace_id.iter().any(|b| *b != 0) && span.span_id.iter().any(|b| *b != 0));
        assert!(!span.name.is_empty());
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        let status = span.status.as_ref().unwrap();
        assert_ne!(status.code, SpanStatus::Unset as i32);
        assert!(status.message.is_empty() || status.code == SpanStatus::Error as i32);
        let is_remote = span.flags & 0x200 != 0;
        match by_id.get(span.parent_span_id.as_slice()) {
            Some(parent) => {
                assert_eq!(parent.trace_id, span.trace_id);
                assert!(!is_remote);
                // Clocks of one probe: a child is within its parent.
                assert!(
                    span.start_time_unix_nano >= parent.start_time_unix_nano,
                    "{span:?} {parent:?}"
                );
                assert!(
                    span.end_time_unix_nano <= parent.end_time_unix_nano,
                    "{span:?} {parent:?}"
                );
            }
            None => assert_eq!(is_remote, !span.parent_span_id.is_empty(), "{span:?}"),
        }
        attributes(&span.attributes);
        for event in &span.events {
            assert!(!event.name.is_empty());
            let whole = span.start_time_unix_nano..=span.end_time_unix_nano;
            assert!(whole.contains(&event.time_unix_nano), "{event:?} {whole:?}");
            attributes(&event.attributes);
        }
    }
}

/// A row of `l7_flow_log`, as DeepFlow's server makes it of a span.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub side: &'static str,
    pub protocol: String,
    pub version: String,
    pub request_type: String,
    pub domain: String,
    pub resource: String,
    pub status: &'static str,
    pub exception: String,
    pub client_ip: String,
    pub server_ip: String,
    pub transport: String,
    pub app_service: String,
}

/// What `otel_import.go` does: resource attributes and the old semantic conventions, in its order.
pub fn imported(span: &Span, resource: &Attributes) -> Row {
    let own = attributes(&span.attributes);
    let get = |name: &str| own.get(name).cloned().unwrap_or_default();
    let first = |names: &[&str]| {
        names
            .iter()
            .map(|name| get(name))
            .find(|text| !text.is_empty())
            .unwrap_or_default()
    };
    let is_client = span.kind == SpanKind::Client as i32;
    let code: u16 = get("http.status_code").parse().unwrap_or(0);
    let status = span.status.as_ref().unwrap();
    let is_error = status.code == SpanStatus::Error as i32;
    let mut resource_of = first(&["http.target", "rpc.service"]);
    if resource_of.is_empty()
        && let Ok(url) = get("http.url").parse::<Uri>()
    {
        resource_of = url.path().to_owned();
    }
    let mut protocol = first(&["http.scheme", "rpc.system"]);
    if protocol.is_empty() && own.keys().any(|name| name.starts_with("http")) {
        protocol = "HTTP".to_owned();
    }
    let host_ip = resource.get("app.host.ip").cloned().unwrap_or_default();
    let (client_ip, server_ip) = match is_client {
        true => (host_ip, get("net.peer.ip")),
        false => (get("net.peer.ip"), host_ip),
    };
    Row {
        side: match span.kind {
            kind if kind == SpanKind::Client as i32 => "c-app",
            kind if kind == SpanKind::Server as i32 => "s-app",
            _ => "app",
        },
        protocol,
        version: get("http.flavor"),
        request_type: first(&["http.method", "rpc.method"]),
        domain: get("http.host"),
        resource: resource_of,
        status: match code {
            0 if is_error => "server error",
            400..=499 => "client error",
            500..=600 => "server error",
            _ => "ok",
        },
        exception: if code == 0 && is_error {
            status.message.clone()
        } else {
            String::new()
        },
        client_ip,
        server_ip,
        transport: get("net.transport"),
        app_service: resource["service.name"].clone(),
    }
}

/// What `app_log`'s decoder refuses.
fn judge_record(record: &serde_json::Value) {
    let text = |name: &str| {
        record[name]
            .as_str()
            .unwrap_or_else(|| panic!("{name}: {record}"))
    };
    assert!(!text("message").is_empty(), "{record}");
    assert!(
        ["FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&text("level")),
        "{record}"
    );
    let time = text("timestamp");
    assert!(
        time.len() >= 20 && time.as_bytes()[10] == b'T' && time.ends_with('Z'),
        "{time}"
    );
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    assert!(record["json"].is_object(), "{record}");
    text("app_service");
}

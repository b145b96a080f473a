//! The spans of one probe: the probe itself, a client's span a hop, its phases below.
//!
//! Attributes have the names of today's semantic conventions and, beside them, those of before 1.23, which DeepFlow and other
//! receivers read.

use std::net::SocketAddr;
use std::time::Duration;

use super::protobuf::{Any, attribute, bytes, fixed32, fixed64, message, number};
use super::{Finished, Traced, told};
use crate::module::Kind;
use crate::module::http::HttpProtocol;
use crate::net::url::Url;
use crate::probe_log::{Event, Level, LogValue};
use crate::prober::{Answer, FailedAttempt, Failure, Hop, http};
use crate::trace::SpanId;

/// Most lines of a log that a span has as events, and most bytes of them.
const EVENTS: usize = 64;
const EVENT_BYTES: usize = 32 << 10;

const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
const CLIENT: u64 = 3;

const OK: u64 = 1;
const ERROR: u64 = 2;

/// The parent of a span is known to be here, or elsewhere.
const LOCAL_PARENT: u32 = 0x100;
const REMOTE_PARENT: u32 = 0x300;

/// A span, without what is particular to it.
struct Span<'a> {
    id: SpanId,
    parent: Option<SpanId>,
    name: &'a str,
    kind: u64,
    /// From the start of the probe.
    from: Duration,
    to: Duration,
    fault: Option<Fault<'a>>,
}

/// Why a probe, an attempt or a part of them failed.
#[derive(Clone, Copy)]
struct Fault<'a> {
    /// `None` if it was cancelled.
    failure: Option<Failure>,
    words: &'a str,
}

impl<'a> Fault<'a> {
    /// Of the probe, and so of its last attempt; `None` if it succeeded.
    fn of_probe(probe: &'a Traced<'_>) -> Option<Self> {
        (!probe.outcome.success).then_some(Self {
            failure: probe.outcome.failure,
            words: probe.words,
        })
    }

    /// Of an attempt that was followed by another one.
    fn of_attempt(failed: &'a FailedAttempt) -> Self {
        Self {
            failure: Some(failed.failure),
            words: &failed.line,
        }
    }
}

/// Appends the spans, each as field 2 of a `ScopeSpans`; how many there are.
pub(super) fn write(out: &mut Vec<u8>, probe: &Traced<'_>) -> u64 {
    let hops = &probe.outcome.timeline.hops;
    let mut count = 1;
    let mut end_before = Duration::ZERO;
    for (i, hop) in hops.iter().enumerate() {
        let is_last = i + 1 == hops.len();
        let from = hop
            .phases
            .iter()
            .map(|phase| phase.start)
            .min()
            .unwrap_or(end_before);
        let to = match is_last {
            true => probe.outcome.duration,
            false => hop
                .phases
                .iter()
                .map(|phase| phase.start + phase.length)
                .max()
                .unwrap_or(from),
        };
        end_before = to;
        let own = hop.failed.as_deref().map(Fault::of_attempt);
        let fault = own.or_else(|| Fault::of_probe(probe).filter(|_| is_last));
        write_hop(out, probe, i, hop, (from, to), fault);
        for (j, phase) in hop.phases.iter().enumerate() {
            let is_culprit = |fault: &Fault<'_>| {
                fault
                    .failure
                    .is_some_and(|failure| failure.phase == phase.phase.label())
            };
            let span = Span {
                id: probe.context.phase(i, j),
                parent: Some(probe.context.hop(i)),
                name: phase.phase.label(),
                kind: INTERNAL,
                from: phase.start,
                to: phase.start + phase.length,
                fault: fault.filter(is_culprit),
            };
            span.write(out, probe, |_| {});
        }
        count += 1 + hop.phases.len() as u64;
    }
    write_probe(out, probe);
    count
}

impl Span<'_> {
    fn write(&self, out: &mut Vec<u8>, probe: &Traced<'_>, more: impl FnOnce(&mut Vec<u8>)) {
        let context = probe.context;
        message(out, 2, |out| {
            bytes(out, 1, &context.trace.0);
            bytes(out, 2, &self.id.0);
            if let Some(state) = &context.state {
                bytes(out, 3, state.as_bytes());
            }
            if let Some(parent) = self.parent {
                bytes(out, 4, &parent.0);
            }
            bytes(out, 5, self.name.as_bytes());
            number(out, 6, self.kind);
            fixed64(out, 7, probe.moment(self.from));
            fixed64(out, 8, probe.moment(self.to));
            more(out);
            message(out, 15, |out| {
                if let Some(fault) = self.fault {
                    bytes(out, 2, probe.told(fault.words).as_bytes());
                }
                number(out, 3, if self.fault.is_some() { ERROR } else { OK });
            });
            let parent = match self.parent.is_some() && self.parent == context.parent {
                true => REMOTE_PARENT,
                false => LOCAL_PARENT,
            };
            fixed32(out, 16, u32::from(context.flags) | parent);
        });
    }
}

/// The probe: the server's side of the scrape if that has a span, and the root of the trace otherwise.
fn write_probe(out: &mut Vec<u8>, probe: &Traced<'_>) {
    let name = format!("probe {}", probe.module.name);
    let span = Span {
        id: probe.context.probe(),
        parent: probe.context.parent,
        name: &name,
        kind: if probe.context.parent.is_some() {
            SERVER
        } else {
            INTERNAL
        },
        from: Duration::ZERO,
        to: probe.outcome.duration,
        fault: Fault::of_probe(probe),
    };
    span.write(out, probe, |out| {
        shared_attributes(out, probe, Fault::of_probe(probe));
        attribute(out, 9, "probe.prober", probe.module.prober().name());
        events(out, probe);
    });
}

/// What the probe and each of its hops have.
fn shared_attributes(out: &mut Vec<u8>, probe: &Traced<'_>, fault: Option<Fault<'_>>) {
    attribute(out, 9, "user_agent.synthetic.type", "test");
    attribute(out, 9, "probe.module", &*probe.module.name);
    attribute(out, 9, "probe.target", &*probe.target);
    match fault.map(|fault| fault.failure) {
        Some(Some(failure)) => {
            attribute(out, 9, "probe.failure.reason", failure.reason.name());
            attribute(out, 9, "error.type", failure.reason.name());
        }
        Some(None) => attribute(out, 9, "error.type", "cancelled"),
        None => {}
    }
}

fn write_hop(
    out: &mut Vec<u8>,
    probe: &Traced<'_>,
    number: usize,
    hop: &Hop,
    (from, to): (Duration, Duration),
    fault: Option<Fault<'_>>,
) {
    let method = method(probe, hop, number);
    let span = Span {
        id: probe.context.hop(number),
        parent: Some(probe.context.probe()),
        name: method.unwrap_or(GRPC_CALL),
        kind: CLIENT,
        from,
        to,
        fault,
    };
    span.write(out, probe, |out| {
        shared_attributes(out, probe, fault);
        let peer = hop
            .address
            .as_deref()
            .and_then(|address| address.parse::<SocketAddr>().ok());
        if let Some(peer) = peer {
            let (ip, port) = (peer.ip().to_canonical().to_string(), i64::from(peer.port()));
            attribute(out, 9, "network.peer.address", ip.as_str());
            attribute(out, 9, "net.peer.ip", ip.as_str());
            attribute(out, 9, "network.peer.port", port);
            attribute(out, 9, "net.peer.port", port);
        }
        let is_quic = matches!(&probe.module.kind, Kind::Http(http) if http.protocol == HttpProtocol::Http3);
        let transport = if is_quic {
            ("udp", "ip_udp")
        } else {
            ("tcp", "ip_tcp")
        };
        attribute(out, 9, "network.transport", transport.0);
        attribute(out, 9, "net.transport", transport.1);
        match method {
            Some(method) => of_http(out, probe, method, number, hop),
            None => of_grpc(out, hop),
        }
    });
}

/// The method of a request of HTTP; `None` in a probe of gRPC. Redirects of the same attempt lead to it.
fn method<'a>(probe: &'a Traced<'_>, hop: &Hop, number: usize) -> Option<&'a str> {
    let Kind::Http(module) = &probe.module.kind else {
        let is_websocket = matches!(probe.module.kind, Kind::Websocket(_));
        return is_websocket.then_some("GET");
    };
    let before = probe.outcome.timeline.hops.get(..number).unwrap_or_default();
    let redirects = before.iter().filter(|before| before.attempt == hop.attempt);
    let statuses = redirects.filter_map(|hop| match hop.answer? {
        Answer::Http { status, .. } => Some(status),
        Answer::Grpc { .. } => None,
    });
    Some(statuses.fold(module.method.as_str(), http::method_after))
}

fn of_http(out: &mut Vec<u8>, probe: &Finished<'_>, method: &str, number: usize, hop: &Hop) {
    attribute(out, 9, "http.request.method", method);
    attribute(out, 9, "http.method", method);
    let name = probe.told(&hop.name);
    attribute(out, 9, "url.full", &*name);
    attribute(out, 9, "http.url", &*name);
    if let Ok(url) = Url::parse(&*hop.name) {
        // To a WebSocket leads a request of HTTP.
        let scheme = match url.scheme.as_str() {
            "ws" => "http",
            "wss" => "https",
            scheme => scheme,
        };
        attribute(out, 9, "url.scheme", scheme);
        attribute(out, 9, "http.scheme", scheme);
        attribute(out, 9, "http.host", &*told(&url.host));
        let port = match (url.port(), scheme) {
            ("", "https") => Some(443),
            ("", _) => Some(80),
            (port, _) => port.parse().ok(),
        };
        server(out, url.hostname(), port);
    }
    if let Some(Answer::Http { version, status }) = hop.answer {
        attribute(out, 9, "http.response.status_code", i64::from(status));
        attribute(out, 9, "http.status_code", i64::from(status));
        let (major, minor) = version;
        let long = format!("{major}.{minor}");
        let short = match version {
            (2.., 0) => major.to_string(),
            _ => long.clone(),
        };
        attribute(out, 9, "network.protocol.version", short.as_str());
        attribute(out, 9, "http.flavor", long.as_str());
    }
    if number > 0 {
        attribute(out, 9, "http.request.resend_count", number as i64);
    }
}

const GRPC_SERVICE: &str = "grpc.health.v1.Health";
const GRPC_CALL: &str = "grpc.health.v1.Health/Check";

fn of_grpc(out: &mut Vec<u8>, hop: &Hop) {
    attribute(out, 9, "rpc.system", "grpc");
    attribute(out, 9, "rpc.system.name", "grpc");
    attribute(out, 9, "rpc.service", GRPC_SERVICE);
    attribute(out, 9, "rpc.method", "Check");
    if let Some(Answer::Grpc { code, .. }) = hop.answer {
        attribute(out, 9, "rpc.grpc.status_code", i64::from(code));
    }
    if let Ok(url) = Url::parse(&format!("http://{}", hop.name)) {
        server(out, url.hostname(), url.port().parse().ok());
    }
}

fn server(out: &mut Vec<u8>, host: &str, port: Option<i64>) {
    attribute(out, 9, "server.address", &*told(host));
    if let Some(port) = port {
        attribute(out, 9, "server.port", port);
    }
}

/// The probe's log: all of it when the probe failed, otherwise what is above the level of debugging. Of a long one the end,
/// which tells why.
fn events(out: &mut Vec<u8>, probe: &Traced<'_>) {
    let least = if probe.outcome.success {
        Level::Info
    } else {
        Level::Debug
    };
    let events: Vec<&Event> = probe.events(least).collect();
    let mut room = EVENT_BYTES;
    let fits = |event: &&&Event| {
        let bytes: usize = event
            .attributes()
            .map(|(name, value)| name.len() + value.as_text().map_or(8, str::len))
            .sum();
        let enough = room.checked_sub(bytes + event.message.len());
        room = enough.unwrap_or(0);
        enough.is_some()
    };
    // Its last lines are written when the time is taken, and the clock may have been set meanwhile.
    let (began, ended) = (probe.began, probe.moment(probe.outcome.duration));
    let shown = events.iter().rev().take(EVENTS).take_while(fits).count();
    for event in events.get(events.len() - shown..).unwrap_or_default() {
        message(out, 11, |out| {
            fixed64(out, 1, super::nanoseconds(event.at).clamp(began, ended));
            bytes(out, 2, event.message.as_bytes());
            attribute(out, 3, "log.level", event.level.name());
            for (name, value) in event.attributes() {
                write_value(out, 3, name, value, probe);
            }
        });
    }
}

/// An attribute of a log line.
pub(super) fn write_value(out: &mut Vec<u8>, field: u64, name: &str, value: &LogValue, probe: &Finished<'_>) {
    match value {
        LogValue::Text(text) => attribute(out, field, name, &*probe.told(text)),
        LogValue::Bytes(text) => attribute(out, field, name, &*probe.told(text)),
        LogValue::Int(number) => attribute(out, field, name, *number),
        LogValue::Float(number) => attribute(out, field, name, Any::Float(*number)),
        LogValue::Bool(truth) => attribute(out, field, name, Any::Bool(*truth)),
        LogValue::Time(_) | LogValue::Ip(_) | LogValue::Address(_) => {
            attribute(out, field, name, value.to_string().as_str())
        }
    }
}

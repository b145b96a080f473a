//! Whether a module can have its `trace` section.

use super::Problems;
use crate::config::{self, Prober, TraceHeader};

/// Reports a prober that sends no headers, and headers that two settings want to send.
pub(super) fn judge(raw: &config::Module, problems: &mut Problems) {
    let Some(trace) = &raw.trace else { return };
    if !Prober::WITH_TRACE.contains(&raw.prober) {
        let message = format!(
            "the {} prober cannot send a trace context; http, grpc and websocket can",
            raw.prober.name()
        );
        problems.report("trace", message);
        return;
    }
    let by_hand = names(raw);
    let state = trace
        .headers
        .contains(&TraceHeader::TraceParent)
        .then_some("tracestate");
    for name in trace.headers.iter().map(|header| header.name()).chain(state) {
        if by_hand.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            problems.report(
                "trace.headers",
                format!("{name} is sent by trace and is among the module's own headers: remove one of them"),
            );
        }
    }
}

/// The headers that the module's prober sends because its section says so.
fn names(raw: &config::Module) -> Vec<&str> {
    let names: Vec<&String> = match raw.prober {
        Prober::Grpc => raw.grpc.metadata.keys().collect(),
        Prober::Websocket => raw.websocket.headers.keys().collect(),
        _ => {
            let more = raw.http.client.http_headers.iter().flatten();
            raw.http
                .headers
                .keys()
                .chain(more.map(|(name, _)| name))
                .collect()
        }
    };
    // A scrape may set these.
    let set = raw.params.keys();
    let set = set.filter_map(|name| {
        name.strip_prefix("header.")
            .or_else(|| name.strip_prefix("metadata."))
    });
    names.into_iter().map(String::as_str).chain(set).collect()
}

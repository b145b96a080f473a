//! The headers that carry a trace context to a service.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use smallvec::SmallVec;

use super::{Context, SpanId};
use crate::config::TraceHeader;

/// What SkyWalking is told to be the caller.
const SERVICE: &str = "blackbox_exporter";

/// Names, in lower case, and values of what a hop sends to `peer`. `span` is the hop's.
pub(super) fn headers(
    context: &Context,
    wanted: &[TraceHeader],
    span: SpanId,
    module: &str,
    peer: &str,
) -> SmallVec<[(&'static str, String); 2]> {
    let trace = context.trace;
    let sampled = u8::from(context.is_sampled());
    let mut headers = SmallVec::new();
    for header in wanted {
        let value = match header {
            TraceHeader::TraceParent => format!("00-{trace}-{span}-{:02x}", context.flags),
            TraceHeader::RequestId => trace.to_string(),
            TraceHeader::B3 => format!("{trace}-{span}-{sampled}"),
            TraceHeader::Sw8 => {
                let [trace, segment] = [trace.to_string(), span.to_string()].map(|id| STANDARD.encode(id));
                let [service, endpoint, peer] = [SERVICE, module, peer].map(|text| STANDARD.encode(text));
                // The exporter's instance has no other name than its service.
                format!("{sampled}-{trace}-{segment}-0-{service}-{service}-{endpoint}-{peer}")
            }
        };
        headers.push((header.name(), value));
        if let (TraceHeader::TraceParent, Some(state)) = (header, &context.state) {
            headers.push(("tracestate", state.to_string()));
        }
    }
    headers
}

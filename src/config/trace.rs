//! `trace:` of a module (ours): the trace context that its probes send.

use super::decode::{Decoder, Section, Value};
use super::problem::one_of;
use super::schema::{self, Sections};
use super::tree::Tree;
use super::value::{Write, section};
use super::yaml::Id;

/// Which trace context a probe sends.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The forms in which it is sent.
    pub headers: Vec<TraceHeader>,
    /// Whether services are told to record their part of the trace.
    pub sampled: bool,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            headers: vec![TraceHeader::TraceParent],
            sampled: true,
        }
    }
}

section!(Trace {
    always headers;
    always sampled;
});

impl Section for Trace {
    fn begin(&mut self) {
        *self = Self::default();
    }
}

/// A header that carries a trace context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TraceHeader {
    /// W3C Trace Context, with `tracestate` where the scrape had one.
    #[default]
    TraceParent,
    /// The trace id alone.
    RequestId,
    /// Zipkin's single header.
    B3,
    /// SkyWalking's, version 3.
    Sw8,
}

impl TraceHeader {
    const ALL: [Self; 4] = [Self::TraceParent, Self::RequestId, Self::B3, Self::Sw8];

    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::TraceParent => "traceparent",
            Self::RequestId => "x-request-id",
            Self::B3 => "b3",
            Self::Sw8 => "sw8",
        }
    }
}

impl Value for TraceHeader {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            let Some(name) = d.text(node) else { return false };
            let named = |header: &Self| header.name().eq_ignore_ascii_case(&name);
            let Some(header) = Self::ALL.into_iter().find(named) else {
                let help = one_of(&name, Self::ALL.map(Self::name));
                d.report(node, format!("{name:?} is not a trace header"), Some(help));
                return false;
            };
            *self = header;
            true
        })
    }

    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::words(Self::ALL.map(Self::name))
    }
}

impl Write for TraceHeader {
    fn is_zero(&self) -> bool {
        false
    }
    fn tree(&self) -> Tree {
        Tree::text(self.name())
    }
}

#[cfg(test)]
mod tests {
    use crate::config;

    #[test]
    fn it_is_read_printed_and_judged() {
        let read = |trace: &str| {
            let text = format!("modules:\n  m: {{prober: http, trace: {trace}}}\n");
            let parsed = config::parse(&text);
            let problems: Vec<_> = parsed.problems.iter().map(|p| p.message.clone()).collect();
            (config::write::config(&parsed.config), problems)
        };
        let (text, problems) = read("{headers: [traceparent, X-Request-ID, b3, sw8], sampled: no}");
        assert_eq!(problems, [""; 0]);
        assert_eq!(config::write::config(&config::parse(&text).config), text);
        assert!(text.contains("sampled: false"), "{text}");
        assert!(text.contains("- x-request-id"), "{text}");
        let (text, problems) = read("{}");
        assert_eq!(problems, [""; 0]);
        assert!(
            text.contains("- traceparent") && text.contains("sampled: true"),
            "{text}"
        );
        let (text, _) = read("null");
        assert!(!text.contains("trace"), "{text}");
        let (_, problems) = read("{headers: [tracestate]}");
        assert!(
            problems.concat().contains("\"tracestate\" is not a trace header"),
            "{problems:?}"
        );
    }
}

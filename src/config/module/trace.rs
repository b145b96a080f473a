//! `trace:` of a module (ours): the trace context that its probes send.

use go_yaml::Id;

use crate::config::codec::decode::Decoder;
use crate::config::codec::schema;
use crate::config::codec::section::{Section, section};
use crate::config::codec::value::Json;
use crate::config::codec::words::words;

section! {
    /// Which trace context a probe sends.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Trace {
        /// The forms in which it is sent.
        always headers: Vec<TraceHeader> = vec![TraceHeader::TraceParent],
        /// Whether services are told to record their part of the trace.
        always sampled: bool = true,
    }
}

impl Section for Trace {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        let headers = d.document().entry(node, "headers");
        if headers.is_some_and(|(_, value)| d.document().is_null(value)) {
            self.headers = Self::default().headers;
        }
    }
}

words! {
    /// A header that carries a trace context.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum TraceHeader: "{word:?} is not a trace header" {
        /// W3C Trace Context, with `tracestate` where the scrape had one.
        #[default]
        TraceParent = "traceparent",
        /// The trace id alone.
        RequestId = "x-request-id",
        /// Zipkin's single header.
        B3 = "b3",
        /// SkyWalking's, version 3.
        Sw8 = "sw8",
    }

    fn is_written(name: &str, word: &str) -> bool {
        name.eq_ignore_ascii_case(word)
    }

    fn schema() -> Json {
        let names = Self::ALL.map(Self::name);
        let any_case = format!("^{}$", schema::any_case(names));
        serde_json::json!({"anyOf": [schema::words(names), {"type": "string", "pattern": any_case}]})
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
        for empty in ["{}", "", "~", "{headers: , sampled: }"] {
            let (text, problems) = read(empty);
            assert_eq!(problems, [""; 0]);
            assert!(
                text.contains("- traceparent") && text.contains("sampled: true"),
                "{empty}: {text}"
            );
        }
        assert!(!read("{headers: []}").0.contains("traceparent"));
        let (_, problems) = read("{headers: [tracestate]}");
        assert!(
            problems.concat().contains("\"tracestate\" is not a trace header"),
            "{problems:?}"
        );
    }
}

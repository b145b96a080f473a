//! The page of one probe: what it did, how long each step took, whom it met, and how to repeat it.

use askama::Template;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::story::{self, Advice, HopView, LONG, Summary, TlsView, TraceView};
use crate::carried;
use crate::config::MASK;
use crate::config::files::targets::encoded;
use crate::display::{passive, short};
use crate::server::Exporter;
use crate::server::past::debug;
use crate::server::past::entry::{Entry, Name};

/// What must not stand as it is in a value of a query: whatever a shell, curl or a chat that the command is pasted into could take
/// for its own.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'/')
    .remove(b'@')
    .remove(b',');

#[derive(Template)]
#[template(path = "probe.html")]
pub struct ResultPage {
    probe: Summary,
    given: Vec<String>,
    /// Of the target; a long one is not repeated for it.
    place: Option<String>,
    reason: Option<String>,
    advice: Option<Advice>,
    trace: Option<TraceView>,
    legend: Vec<(&'static str, &'static str)>,
    hops: Vec<HopView>,
    tls: Vec<TlsView>,
    command: String,
    metrics: String,
    module_text: String,
    body: Option<String>,
    body_is_cut: bool,
    changes: Option<String>,
}

impl ResultPage {
    /// The page of `entry`; `base` is how the caller reached the endpoints.
    pub fn new(exporter: &Exporter, entry: &Entry, base: &str) -> Self {
        let outcome = &entry.outcome;
        let link = exporter.settings.trace_link.as_ref();
        let is_short = entry.target.len() <= LONG;
        Self {
            probe: Summary::new(entry, LONG),
            given: story::given(&entry.module.given),
            changes: exporter
                .playground
                .as_ref()
                .filter(|_| is_short)
                .map(|_| changes(entry.name())),
            place: is_short.then(|| place(entry.name())),
            reason: outcome.reason().map(|reason| short(&reason, LONG)),
            advice: Advice::new(outcome),
            trace: TraceView::new(outcome, link),
            legend: story::legend(std::iter::once(outcome)),
            hops: story::hops(outcome),
            tls: story::handshakes(outcome),
            command: command(entry.name(), base),
            metrics: debug::metrics_text(entry),
            module_text: debug::module_text(entry),
            body: outcome.body.as_ref().map(|body| passive(&body.text)),
            body_is_cut: outcome.body.as_ref().is_some_and(|body| body.cut),
        }
    }
}

/// A parameter of a query.
pub fn parameter(name: &str, value: &str) -> String {
    format!("{name}={}", percent_encode(&carried::bytes(value), ESCAPED))
}

/// The query that names a target; without a module, any.
pub fn named(name: Name<'_>) -> String {
    let mut query = parameter("target", name.target);
    if !name.module.is_empty() {
        query = format!("{}&{query}", parameter("module", name.module));
    }
    if let Some(hostname) = name.hostname {
        query.push('&');
        query.push_str(&parameter("hostname", hostname));
    }
    for given in name.given {
        query.push('&');
        query.push_str(&parameter(&given.name, &given.value));
    }
    query
}

/// Where `/probe` is asked for a target.
fn probe(name: Name<'_>) -> String {
    let target = &encoded(name.target);
    format!("probe?{}&debug=true", named(Name { target, ..name }))
}

/// Where the page of a target is, seen from the endpoints.
pub fn place(name: Name<'_>) -> String {
    format!("target?{}", named(name))
}

/// Where the playground with a module and a target is, seen from the endpoints.
pub fn changes(name: Name<'_>) -> String {
    format!("playground?{}", named(name))
}

/// Where a target is probed again; nowhere when that takes a secret.
pub fn again(name: Name<'_>) -> Option<String> {
    let is_open = name.given.iter().all(|given| !given.value.contains(MASK));
    is_open.then(|| probe(name))
}

/// The command that runs a probe again and shows its log; who runs it writes secrets in themselves.
pub fn command(name: Name<'_>, base: &str) -> String {
    let escaped = percent_encode(MASK.as_bytes(), ESCAPED).to_string();
    let query = probe(name).replace(&escaped, MASK);
    let url = format!("{base}{query}");
    // -g: brackets and braces are not patterns. Within single quotes a shell takes everything but the quote as it is.
    format!("curl -g '{}'", url.replace('\'', "%27"))
}

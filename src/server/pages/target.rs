//! `/target?target=…&module=…`: one target, for links from alerts. How it does, its last good and its last failed probe side by side,
//! its certificates, its results, its module.

use std::iter;
use std::sync::Arc;

use askama::Template;

use super::result::{again, changes, command, place};
use super::story::{self, Advice, HopView, LONG, Summary, TlsView, TraceView, given};
use super::wall::{self, before_that, class, strip, word};
use crate::display::{age, short};
use crate::server::Exporter;
use crate::server::past::debug;
use crate::server::past::entry::{Entry, Name};
use crate::server::past::history::History;
use crate::server::past::wall::Row;
use crate::trace::Link;

/// Most results that are listed.
const RESULTS: usize = 60;

#[derive(Template)]
#[template(path = "target.html")]
pub struct TargetPage {
    target: String,
    module: String,
    hostname: Option<String>,
    given: Vec<String>,
    word: &'static str,
    class: &'static str,
    since: String,
    before: Option<String>,
    passed: u64,
    failed: u64,
    reason: Option<String>,
    strip: String,
    legend: Vec<(&'static str, &'static str)>,
    sides: Vec<Side>,
    tls: Vec<TlsView>,
    results: Vec<Summary>,
    module_text: Option<String>,
    command: String,
    again: Option<String>,
    changes: Option<String>,
}

/// One of two probes that stand side by side.
struct Side {
    title: &'static str,
    probe: Summary,
    reason: Option<String>,
    advice: Option<Advice>,
    trace: Option<TraceView>,
    hops: Vec<HopView>,
}

/// What is known of one target.
#[derive(Debug)]
pub struct KnownTarget {
    row: Arc<Row>,
    /// Newest first; none when the history had to forget them, as it does with many targets.
    entries: Vec<Arc<Entry>>,
}

impl KnownTarget {
    /// What the history knows of a target.
    pub fn find(history: &History, name: Name<'_>) -> Option<Self> {
        let row = history.wall.row(name)?;
        let entries = history.of(row.name());
        Some(Self { row, entries })
    }

    /// Its last probe.
    pub fn newest(&self) -> Option<&Arc<Entry>> {
        self.entries.first()
    }

    /// Its page; `base` is how the caller reached the endpoints.
    pub fn page(&self, exporter: &Exporter, base: &str) -> TargetPage {
        let Self { row, entries } = self;
        let (loaded, link) = (exporter.store.current(), exporter.settings.trace_link.as_ref());
        let last = |passed: bool| entries.iter().find(|entry| entry.outcome.success == passed);
        let shown = [
            ("Last good probe", last(true)),
            ("Last failed probe", last(false)),
        ];
        let shown: Vec<_> = shown
            .into_iter()
            .filter_map(|(title, entry)| Some((title, entry?)))
            .collect();
        let hostname = row.hostname.as_deref();
        TargetPage {
            target: short(&row.target, LONG),
            module: short(&row.module, LONG),
            hostname: hostname.map(|hostname| short(hostname, LONG)),
            given: given(&row.given),
            word: word(row.state),
            class: class(row.state),
            since: age(row.since.elapsed()),
            before: row.before.map(|before| before_that(row.state, before)),
            passed: row.passed,
            failed: row.failed,
            reason: row.reason.as_deref().map(ToOwned::to_owned),
            strip: strip(&row.strip),
            legend: story::legend(shown.iter().map(|(_, entry)| &entry.outcome)),
            sides: shown
                .iter()
                .map(|(title, entry)| Side::new(title, entry, link))
                .collect(),
            tls: entries
                .iter()
                .map(|entry| story::handshakes(&entry.outcome))
                .find(|handshakes| !handshakes.is_empty())
                .unwrap_or_default(),
            results: entries
                .iter()
                .take(RESULTS)
                .map(|entry| Summary::new(entry, LONG))
                .collect(),
            module_text: match (self.newest(), loaded.modules.get(&row.module)) {
                (Some(newest), _) => Some(debug::module_text(newest)),
                (None, module) => module.map(|module| crate::config::write::module(&module.raw)),
            },
            command: command(row.name(), base),
            again: again(row.name()),
            changes: exporter.playground.as_ref().map(|_| changes(row.name())),
        }
    }
}

impl Side {
    fn new(title: &'static str, entry: &Entry, link: Option<&Link>) -> Self {
        Self {
            title,
            probe: Summary::new(entry, LONG),
            reason: entry.outcome.reason().map(|reason| short(&reason, LONG)),
            advice: Advice::new(&entry.outcome),
            trace: TraceView::new(&entry.outcome, link),
            hops: story::hops(&entry.outcome),
        }
    }
}

/// What is said of a target that is not known, or no longer: where it is known, if a link named another module.
pub fn unknown(history: &History, name: Name<'_>) -> super::MessagePage {
    let again = again(name).map(|again| (again, "Probe it now".to_owned()));
    let (mut others, _) = history.wall.rows();
    others.retain(|row| *row.target == *name.target);
    others.sort_unstable_by(|a, b| wall::order(a, b));
    let shown = others.iter().take(RESULTS).map(|row| {
        let parts = [&*row.module].into_iter().chain(row.hostname.as_deref());
        let parts = parts.map(|part| short(part, LONG)).chain(given(&row.given));
        let parts: Vec<_> = parts.collect();
        (
            place(row.name()),
            format!("{}: {}", word(row.state), parts.join(", ")),
        )
    });
    super::MessagePage {
        title: short(name.target, LONG),
        text: format!(
            "The history has no result of this target with module {}: it was not probed, or too long ago.",
            short(name.module, LONG)
        ),
        links: again
            .into_iter()
            .chain(iter::once((place(name), "Look again".to_owned())))
            .chain(shown)
            .collect(),
        more: others.len().saturating_sub(RESULTS),
    }
}

//! `/target?target=…&module=…`: one target, for links from alerts. How it does, its last good and its last failed probe side by side,
//! its certificates, its results, its module.

use std::iter;
use std::sync::Arc;

use askama::Template;

use super::named::Named;
use super::result::{again, changes, command, place};
use super::story::{self, Advice, HopView, LONG, Summary, TlsView, TraceView, given};
use super::targets;
use super::wall::{before_that, class, strip, word};
use crate::config::files::targets::{DEFAULT_MODULE, Target};
use crate::display::{age, short};
use crate::server::Exporter;
use crate::server::past::debug;
use crate::server::past::entry::{Entry, Name};
use crate::server::past::history::History;
use crate::server::past::row::Row;
use crate::trace::Link;

/// Most results that are listed.
pub(super) const RESULTS: usize = 60;

#[derive(Template)]
#[template(path = "target.html")]
pub struct TargetPage {
    target: String,
    module: String,
    hostname: Option<String>,
    given: Vec<String>,
    others: Vec<(String, String)>,
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
    pub fn of(history: &History, row: &Arc<Row>) -> Self {
        Self {
            row: Arc::clone(row),
            entries: history.of(row.name()),
        }
    }

    /// Its last probe.
    pub fn newest(&self) -> Option<&Arc<Entry>> {
        self.entries.first()
    }

    /// Its page; `base` is how the caller reached the endpoints, `others` what else a link may have meant.
    pub fn page<'r>(
        &self,
        exporter: &Exporter,
        base: &str,
        others: impl Iterator<Item = &'r Arc<Row>>,
    ) -> TargetPage {
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
            others: choices(others.take(RESULTS)),
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
            again: again(row.name()).filter(|_| loaded.modules.get(&row.module).is_some()),
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
pub fn unknown(exporter: &Exporter, named: &Named<'_>, others: &[Arc<Row>]) -> super::MessagePage {
    let (name, loaded) = (named.name(), exporter.store.current());
    if name.target.is_empty() {
        return super::MessagePage {
            title: title(name),
            text: "The link names no target: add target=ADDRESS.".to_owned(),
            links: Vec::new(),
            more: 0,
        };
    }
    let has = |module: &str| loaded.modules.get(module).is_some();
    let (with, no_module) = match named.module() {
        None => (String::new(), ""),
        Some(module) => (
            format!(" with module {}", short(module, LONG)),
            if has(module) {
                ""
            } else {
                " The configuration has no such module."
            },
        ),
    };
    let entries = named.entries(&loaded);
    let probes: Vec<_> = match entries.as_slice() {
        [] => {
            let module = named.module().unwrap_or(DEFAULT_MODULE);
            let again = again(name).filter(|_| has(module));
            again
                .map(|again| (again, "Probe it now".to_owned()))
                .into_iter()
                .collect()
        }
        entries => {
            let probe = |target: &&Target| {
                let given = targets::given(target, &loaded);
                let name = targets::name(target, &given);
                Some((again(name)?, format!("Probe it now: {}", described(name))))
            };
            entries.iter().take(RESULTS).filter_map(probe).collect()
        }
    };
    super::MessagePage {
        title: title(name),
        text: format!(
            "The history has no result of this target{with}: it was not probed, or too long ago. A link is found by the target's address, its host, or its \
             name or label \"target\" in the targets file.{no_module}"
        ),
        links: probes
            .into_iter()
            .chain(iter::once((place(name), "Look again".to_owned())))
            .chain(choices(others.iter().take(RESULTS)))
            .collect(),
        more: others.len().saturating_sub(RESULTS),
    }
}

/// The title of a page without results.
pub(super) fn title(name: Name<'_>) -> String {
    match name.target {
        "" => "No target".to_owned(),
        target => short(target, LONG),
    }
}

/// Links to rows, each with what tells it from the others.
pub(super) fn choices<'r>(rows: impl Iterator<Item = &'r Arc<Row>>) -> Vec<(String, String)> {
    let choice = |row: &'r Arc<Row>| {
        let text = format!("{}: {}", word(row.state), described(row.name()));
        (place(row.name()), text)
    };
    rows.map(choice).collect()
}

/// A target with what tells it from others.
fn described(name: Name<'_>) -> String {
    let parts = [name.target, name.module].into_iter().chain(name.hostname);
    let parts = parts.map(|part| short(part, LONG)).chain(given(name.given));
    parts.collect::<Vec<_>>().join(", ")
}

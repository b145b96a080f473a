//! The wall: all targets and how they do, what fails first. Shown by the home page, a page of rows at a time, and kept up to date by
//! [events](super::events) that hold only what changed.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use askama::Template;
use gostd::calendar::rfc3339;
use gostd::query::Query;

use super::result::{parameter, place};
use super::story::given;
use super::targets::{Entries, SEARCHED};
use crate::display::{age, duration, holds, short};
use crate::server::Exporter;
use crate::server::past::row::{Beat, Row, STRIP, State};

/// Rows of one page: with the longest texts they stay below 200 KB.
const ROWS: usize = 50;
/// Most characters of a target, and of another text.
const TARGET: usize = 200;
const TEXT: usize = 80;

/// Which rows are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    state: Option<State>,
    module: String,
    search: String,
    page: usize,
}

impl Filter {
    /// From `?state=failing&module=…&search=…&page=2`.
    pub fn new(query: Query<'_>) -> Self {
        let page: usize = query.first("page").parse().unwrap_or(1);
        Self {
            state: State::from_name(&query.first("state")),
            module: query.first("module").into_owned(),
            search: short(query.first("search").trim(), TARGET),
            page: page.saturating_sub(1),
        }
    }

    /// The query of a link that changes the state or the page and keeps the rest.
    fn link(&self, state: Option<State>, page: usize) -> String {
        let mut parameters = Vec::new();
        if let Some(state) = state {
            parameters.push(parameter("state", state.name()));
        }
        if !self.module.is_empty() {
            parameters.push(parameter("module", &self.module));
        }
        if !self.search.is_empty() {
            parameters.push(parameter("search", &self.search));
        }
        if page > 0 {
            parameters.push(parameter("page", &(page + 1).to_string()));
        }
        parameters.join("&")
    }

    /// Whether it wants a row; `called` are the entries of the targets file whose names contain the search.
    fn wants(&self, row: &Row, search: &str, called: &Entries<'_>) -> bool {
        let holds = |text: &str| holds(text, SEARCHED, search);
        (self.module.is_empty() || *row.module == *self.module)
            && (search.is_empty()
                || holds(&row.target)
                || holds(&row.module)
                || row.hostname.as_deref().is_some_and(holds)
                || row.given.iter().any(|given| holds(&given.value))
                || row.reason.as_deref().is_some_and(holds)
                || called.of(row, true).is_some())
    }
}

/// The rows of one page, and how many there are of each state.
pub struct View {
    /// The rows in their order.
    pub rows: Vec<Arc<Row>>,
    /// The names that the targets file has for rows, by their ids.
    names: HashMap<u64, String>,
    counts: [usize; State::ALL.len()],
    matching: usize,
    /// Whether there is any row, whatever the filter.
    any: bool,
    /// Of the newest row of all.
    pub version: u64,
}

impl View {
    /// What the filter wants.
    pub fn of(exporter: &Exporter, filter: &Filter) -> Self {
        let (mut rows, version) = exporter.history.wall.rows();
        let any = !rows.is_empty();
        let (search, loaded) = (filter.search.to_lowercase(), exporter.store.current());
        let called = match &*search {
            "" => Entries::default(),
            search => Entries::called(search, &loaded),
        };
        rows.retain(|row| filter.wants(row, &search, &called));
        let counts = State::ALL.map(|state| rows.iter().filter(|row| row.state == state).count());
        if let Some(state) = filter.state {
            rows.retain(|row| row.state == state);
        }
        let matching = rows.len();
        let pages = matching.div_ceil(ROWS).max(1);
        let from = filter.page.min(pages - 1) * ROWS;
        rows.sort_unstable_by(|a, b| order(a, b));
        let rows: Vec<_> = rows.into_iter().skip(from).take(ROWS).collect();
        let entries = Entries::of_rows(&rows, &loaded);
        let name = |row: &Arc<Row>| Some((row.id, entries.of(row, false)?.name.clone()));
        Self {
            names: rows.iter().filter_map(name).collect(),
            rows,
            counts,
            matching,
            any,
            version,
        }
    }

    /// A row as it is shown.
    pub fn shown(&self, row: &Row) -> RowView {
        let name = self.names.get(&row.id).filter(|name| **name != *row.target);
        RowView {
            name: name.map(|name| short(name, TEXT)),
            ..RowView::new(row)
        }
    }
}

/// What fails comes first, and of that the newest failure; the rest by module and target, so that rows keep their places.
fn order(a: &Row, b: &Row) -> std::cmp::Ordering {
    let newest_failure = || match a.state {
        State::Failing => b.since.cmp(&a.since),
        _ => std::cmp::Ordering::Equal,
    };
    let names = |row: &Row| (Arc::clone(&row.module), Arc::clone(&row.target), row.id);
    a.state
        .cmp(&b.state)
        .then_with(newest_failure)
        .then_with(|| names(a).cmp(&names(b)))
}

/// The wall of a page.
#[derive(Template)]
#[template(path = "wall.html")]
pub struct WallView {
    /// How many targets fail, of those that the filter wants in any state.
    pub failing: usize,
    filter: FilterView,
    tabs: Tabs,
    rows: Vec<RowView>,
    /// Whether there is any row, whatever the filter.
    any: bool,
    events: String,
    version: u64,
    shown: String,
    previous: Option<String>,
    next: Option<String>,
}

struct FilterView {
    state: &'static str,
    module: String,
    search: String,
    is_set: bool,
}

/// The counts of the states, each a link that shows only those.
#[derive(Template)]
#[template(path = "tabs.html")]
pub struct Tabs {
    tabs: Vec<Tab>,
}

struct Tab {
    href: String,
    class: &'static str,
    word: &'static str,
    count: usize,
    is_current: bool,
}

/// One row.
#[derive(Template)]
#[template(path = "row.html")]
pub struct RowView {
    id: u64,
    class: &'static str,
    word: &'static str,
    place: String,
    target: String,
    hostname: Option<String>,
    /// In the targets file.
    name: Option<String>,
    given: String,
    reason: Option<String>,
    module: String,
    strip: String,
    duration: String,
    since: Moment,
    before: Option<String>,
    passed: u64,
    failed: u64,
    last: Moment,
}

/// A moment in the past, which an open page keeps up to date.
struct Moment {
    milliseconds: u128,
    iso: String,
    age: String,
}

impl WallView {
    /// The wall as that filter shows it.
    pub fn new(exporter: &Exporter, filter: &Filter) -> Self {
        let view = View::of(exporter, filter);
        let pages = view.matching.div_ceil(ROWS).max(1);
        let page = filter.page.min(pages - 1);
        let link = |page| format!("./?{}", filter.link(filter.state, page));
        let first = page * ROWS;
        let [failing, ..] = view.counts;
        Self {
            failing,
            tabs: Tabs::new(filter, &view),
            any: view.any,
            events: format!("events?{}", filter.link(filter.state, page)),
            version: view.version,
            shown: match view.rows.len() {
                shown if shown == view.matching => String::new(),
                shown => format!("{} to {} of {}", first + 1, first + shown, view.matching),
            },
            previous: (page > 0).then(|| link(page - 1)),
            next: (page + 1 < pages).then(|| link(page + 1)),
            rows: view.rows.iter().map(|row| view.shown(row)).collect(),
            filter: FilterView {
                state: filter.state.map(State::name).unwrap_or_default(),
                module: short(&filter.module, TARGET),
                search: filter.search.clone(),
                is_set: filter.state.is_some() || !filter.module.is_empty() || !filter.search.is_empty(),
            },
        }
    }
}

impl Tabs {
    /// The counts of a view.
    pub fn new(filter: &Filter, view: &View) -> Self {
        let tab = |state: Option<State>, class, word, count| Tab {
            href: format!("./?{}", filter.link(state, 0)),
            class,
            word,
            count,
            is_current: filter.state == state,
        };
        let mut tabs = vec![tab(None, "", "all", view.counts.iter().sum())];
        for (state, count) in State::ALL.into_iter().zip(view.counts) {
            tabs.push(tab(Some(state), class(state), state.name(), count));
        }
        Self { tabs }
    }
}

impl RowView {
    fn new(row: &Row) -> Self {
        let hostname = row.hostname.as_deref();
        Self {
            id: row.id,
            class: class(row.state),
            word: word(row.state),
            place: place(row.name()),
            target: short(&row.target, TARGET),
            hostname: hostname.map(|hostname| short(hostname, TEXT)),
            name: None,
            given: given(&row.given).join(" "),
            reason: row.reason.as_deref().map(|reason| short(reason, TARGET)),
            module: short(&row.module, TEXT),
            strip: strip(&row.strip),
            duration: duration(Duration::from_secs_f32(row.duration().max(0.0))),
            since: Moment::new(row.since),
            before: row.before.map(|before| before_that(row.state, before)),
            passed: row.passed,
            failed: row.failed,
            last: Moment::new(row.ended),
        }
    }
}

impl Moment {
    fn new(then: Instant) -> Self {
        let ago = then.elapsed();
        let at = SystemTime::now().checked_sub(ago).unwrap_or(UNIX_EPOCH);
        Self {
            milliseconds: at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis(),
            iso: rfc3339(at),
            age: age(ago),
        }
    }
}

/// For how long it was the other way.
pub fn before_that(state: State, before: Duration) -> String {
    let other = match state {
        State::Failing => "passing",
        State::Slow | State::Passing => "failing",
    };
    format!("{other} for {} before", age(before))
}

/// The class of a state in the style sheet.
pub fn class(state: State) -> &'static str {
    match state {
        State::Failing => "bad",
        State::Slow => "warn",
        State::Passing => "good",
    }
}

/// A state as a row shows it.
pub fn word(state: State) -> &'static str {
    match state {
        State::Failing => "Failing",
        State::Slow => "Slow",
        State::Passing => "Passing",
    }
}

/// The last results as inline SVG, the newest on the right: a bar as high as the probe took, to the top when it failed.
pub fn strip(beats: &[Beat]) -> String {
    let longest = beats.iter().map(|beat| beat.duration).fold(1e-6, f32::max);
    let (mut passed, mut failed) = (String::new(), String::new());
    let (mut good, empty) = (0, STRIP - beats.len().min(STRIP));
    for (index, beat) in beats.iter().enumerate() {
        let x = (empty + index) * 3 + 1;
        // Writing to a string does not fail.
        let _ = if beat.passed {
            good += 1;
            write!(passed, "M{x} 20v-{:.0}", 2.0 + 14.0 * beat.duration / longest)
        } else {
            write!(failed, "M{x} 20v-20")
        };
    }
    let bad = beats.len() - good;
    format!(
        "<svg viewBox=\"0 0 180 20\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Last {}: {good} passed, {bad} failed\">\
         <path class=\"passed\" d=\"{passed}\"/><path class=\"failed\" d=\"{failed}\"/></svg>",
        beats.len()
    )
}

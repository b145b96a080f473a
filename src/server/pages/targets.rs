//! The targets file as a page: what scrapers get, for people.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use askama::Template;
use gostd::query::Query;

use super::result::{parameter, place};
use super::story::{self, LONG};
use crate::config::files::targets::{Target, decoded, format_milliseconds};
use crate::display::{holds, short};
use crate::module::{Given, Loaded};
use crate::server::past::entry::Name;
use crate::server::past::row::Row;

/// Targets of one page.
const TARGETS: usize = 200;
/// Bytes of a text that are searched.
pub const SEARCHED: usize = 800;

#[derive(Template)]
#[template(path = "targets.html")]
pub struct TargetsPage {
    count: usize,
    search: String,
    targets: Vec<Line>,
    previous: Option<String>,
    next: Option<String>,
}

struct Line {
    name: String,
    address: String,
    place: String,
    module: String,
    given: String,
    interval: String,
}

impl TargetsPage {
    /// The page that the query asks for: `?search=…&page=2`.
    pub fn new(loaded: &Loaded, query: Query<'_>) -> Self {
        let search = short(query.first("search").trim(), LONG);
        let lower = search.to_lowercase();
        let wants = |target: &&Target| {
            let mut texts = [&*target.address, target.module(), &target.hostname].into_iter();
            lower.is_empty() || texts.any(|text| holds(text, SEARCHED, &lower)) || is_called(target, &lower)
        };
        let found: Vec<_> = loaded.targets.targets.iter().filter(wants).collect();
        let last = found.len().div_ceil(TARGETS).max(1);
        let page = query.first("page").parse().unwrap_or(1_usize).clamp(1, last);
        let kept = match &*search {
            "" => String::new(),
            search => format!("{}&", parameter("search", search)),
        };
        let link = |page: usize| format!("targets?{kept}page={page}");
        let shown = found.iter().skip((page - 1) * TARGETS).take(TARGETS);
        Self {
            count: found.len(),
            targets: shown.map(|target| Line::new(target, loaded)).collect(),
            search,
            previous: (page > 1).then(|| link(page - 1)),
            next: (page < last).then(|| link(page + 1)),
        }
    }
}

impl Line {
    fn new(target: &Target, loaded: &Loaded) -> Self {
        let given = given(target, loaded);
        Self {
            name: short(&target.name, LONG),
            address: short(&target.address, LONG),
            place: place(name(target, &given)),
            given: story::given(&given).join(" "),
            module: short(target.module(), LONG),
            interval: target.interval.map(format_milliseconds).unwrap_or_default(),
        }
    }
}

/// What an entry probes: module, target and `hostname`.
type Place<'t> = (&'t str, Cow<'t, str>, &'t str);

/// Entries of the targets file by what they probe, and their parameters.
#[derive(Default)]
pub struct Entries<'t>(HashMap<Place<'t>, Vec<(Vec<Given>, &'t Target)>>);

impl<'t> Entries<'t> {
    /// Some of the entries. A scraper that does not read `/targets` may have what the probe makes of an address, unless that is
    /// another entry's.
    pub fn new(targets: impl Iterator<Item = &'t Target>, loaded: &'t Loaded) -> Self {
        let (mut entries, mut others) = (Self::default(), Vec::new());
        for target in targets {
            entries.add(Cow::Borrowed(&*target.address), target, loaded);
            let other = decoded(&target.address);
            if *other != *target.address {
                others.push((other, target));
            }
        }
        if !others.is_empty() {
            let written: HashSet<&str> = loaded
                .targets
                .targets
                .iter()
                .map(|target| &*target.address)
                .collect();
            others.retain(|(other, _)| !written.contains(&**other));
        }
        for (other, target) in others {
            entries.add(other, target, loaded);
        }
        entries
    }

    fn add(&mut self, address: Cow<'t, str>, target: &'t Target, loaded: &Loaded) {
        let place = (target.module(), address, &*target.hostname);
        let known = self.0.entry(place).or_default();
        known.push((given(target, loaded), target));
    }

    /// Those whose name or label `target` contains a text in lower case.
    pub fn called(search: &str, loaded: &'t Loaded) -> Self {
        let targets = loaded.targets.targets.iter();
        Self::new(targets.filter(|target| is_called(target, search)), loaded)
    }

    /// Those of the rows.
    pub fn of_rows(rows: &[Arc<Row>], loaded: &'t Loaded) -> Self {
        let places: HashSet<_> = rows.iter().map(|row| (&*row.module, &*row.target)).collect();
        let targets = loaded.targets.targets.iter();
        Self::new(
            targets.filter(|target| places.contains(&(target.module(), &*target.address))),
            loaded,
        )
    }

    /// The entry of a row; of one without parameters, any that has the rest, if `any_given`.
    pub fn of(&self, row: &Row, any_given: bool) -> Option<&'t Target> {
        let hostname = row.hostname.as_deref().unwrap_or_default();
        let place = (&*row.module, Cow::Borrowed(&*row.target), hostname);
        let mut entries = self.0.get(&place)?.iter();
        let is_of = |given: &[Given]| *given == *row.given || (any_given && row.given.is_empty());
        entries.find(|(given, _)| is_of(given)).map(|(_, target)| *target)
    }
}

fn is_called(target: &Target, search: &str) -> bool {
    let label = target.labels.get("target");
    [&target.name]
        .into_iter()
        .chain(label)
        .any(|text| holds(text, SEARCHED, search))
}

/// What the history calls an entry that has these parameters.
pub fn name<'t>(target: &'t Target, given: &'t [Given]) -> Name<'t> {
    Name {
        module: target.module(),
        target: &target.address,
        hostname: Some(&*target.hostname).filter(|hostname| !hostname.is_empty()),
        given,
    }
}

/// The parameters of a target as the history has them: sorted, without secrets.
pub fn given(target: &Target, loaded: &Loaded) -> Vec<Given> {
    let module = loaded.modules.get(target.module());
    let shown = |name: &str, value| match module.and_then(|module| module.param(name)) {
        Some(rule) => rule.shown(value),
        None => value.into(),
    };
    target
        .params
        .iter()
        .map(|(name, value)| Given {
            name: name.as_str().into(),
            value: shown(name, value.as_str()).into(),
        })
        .collect()
}

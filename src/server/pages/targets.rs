//! The targets file as a page: what scrapers get, for people.

use std::borrow::Cow;
use std::collections::HashMap;
use std::iter;

use askama::Template;
use gostd::query::Query;

use super::result::place;
use super::story::{self, LONG};
use crate::config::MASK;
use crate::config::files::targets::{Target, decoded, format_milliseconds};
use crate::display::short;
use crate::module::{Given, Loaded};
use crate::server::past::entry::Name;
use crate::server::past::wall::Row;

/// Targets of one page.
const TARGETS: usize = 200;

#[derive(Template)]
#[template(path = "targets.html")]
pub struct TargetsPage {
    count: usize,
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
    /// The page that the query asks for: `?page=2`.
    pub fn new(loaded: &Loaded, query: Query<'_>) -> Self {
        let all = &loaded.targets.targets;
        let last = all.len().div_ceil(TARGETS).max(1);
        let page = query.first("page").parse().unwrap_or(1_usize).clamp(1, last);
        let link = |page: usize| format!("targets?page={page}");
        let shown = all.iter().skip((page - 1) * TARGETS).take(TARGETS);
        Self {
            count: all.len(),
            targets: shown.map(|target| Line::new(target, loaded)).collect(),
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
    /// Some of the entries. A scraper that does not read `/targets` may have what the probe makes of an address.
    pub fn new(targets: impl Iterator<Item = &'t Target>, loaded: &Loaded) -> Self {
        let mut entries = Self::default();
        for target in targets {
            let other = Some(decoded(&target.address)).filter(|other| **other != *target.address);
            for address in iter::once(Cow::Borrowed(&*target.address)).chain(other) {
                let place = (target.module(), address, &*target.hostname);
                let known = entries.0.entry(place).or_default();
                known.push((given(target, loaded), target));
            }
        }
        entries
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
    let params = module.and_then(|module| module.params.as_deref());
    let is_secret = |name: &str| {
        let rules = params.map_or(&[][..], |params| params.rules());
        rules.iter().any(|rule| rule.name() == name && rule.is_secret())
    };
    target
        .params
        .iter()
        .map(|(name, value)| Given {
            name: name.as_str().into(),
            value: match is_secret(name) {
                true => MASK.into(),
                false => value.as_str().into(),
            },
        })
        .collect()
}

//! The targets file as a page: what scrapers get, for people.

use askama::Template;
use gostd::query::Query;

use super::result::place;
use super::story::LONG;
use crate::config::targets::{Target, format_milliseconds};
use crate::display::short;

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
    interval: String,
}

impl TargetsPage {
    /// The page that the query asks for: `?page=2`.
    pub fn new(all: &[Target], query: Query<'_>) -> Self {
        let last = all.len().div_ceil(TARGETS).max(1);
        let page = query.first("page").parse().unwrap_or(1_usize).clamp(1, last);
        let link = |page: usize| format!("targets?page={page}");
        let shown = all.iter().skip((page - 1) * TARGETS).take(TARGETS);
        Self {
            count: all.len(),
            targets: shown.map(Line::new).collect(),
            previous: (page > 1).then(|| link(page - 1)),
            next: (page < last).then(|| link(page + 1)),
        }
    }
}

impl Line {
    fn new(target: &Target) -> Self {
        let hostname = Some(&*target.hostname).filter(|hostname| !hostname.is_empty());
        Self {
            name: short(&target.name, LONG),
            address: short(&target.address, LONG),
            place: place(target.module(), &target.address, hostname),
            module: short(target.module(), LONG),
            interval: target.interval.map(format_milliseconds).unwrap_or_default(),
        }
    }
}

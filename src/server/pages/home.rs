//! `/` for browsers: a form, the recent probes, the modules.

use askama::Template;
use gostd::calendar::rfc3339;

use super::picture;
use crate::display::{duration, short};
use crate::server::Exporter;
use crate::server::history::Entry;
use crate::server::probe::DEFAULT_MODULE;

/// Most modules that the page names.
const MODULES: usize = 500;
/// Most characters of a target in the list.
const TARGET: usize = 200;

/// A past probe in one line.
pub struct Summary {
    pub id: i64,
    pub target: String,
    pub module: String,
    pub duration: String,
    pub at: String,
    pub age: String,
    pub picture: String,
    success: bool,
}

impl Summary {
    /// What is said of it in a list, or on top of its own page with a longer `target`.
    pub fn new(entry: &Entry, target: usize) -> Self {
        let outcome = &entry.outcome;
        let phases = outcome.timeline.hops.iter().flat_map(|hop| &hop.phases);
        let age = entry.ended.elapsed().as_secs();
        Self {
            id: entry.id,
            target: short(&entry.target, target),
            module: short(&entry.module.name, TARGET),
            duration: duration(outcome.duration),
            at: rfc3339(entry.at),
            age: match age {
                0..60 => format!("{age} s ago"),
                60..3600 => format!("{} min ago", age / 60),
                _ => format!("{} h ago", age / 3600),
            },
            picture: picture::line(phases, outcome.duration),
            success: outcome.success,
        }
    }

    pub fn class(&self) -> &'static str {
        if self.success { "good" } else { "bad" }
    }

    pub fn word(&self) -> &'static str {
        if self.success { "Success" } else { "Failure" }
    }
}

/// The list of recent probes, newest first; also sent alone to an open page.
#[derive(Template)]
#[template(path = "recent.html")]
pub struct Recent {
    probes: Vec<Summary>,
}

impl Recent {
    pub fn new(exporter: &Exporter) -> Self {
        let entries = exporter.history.list();
        Self {
            probes: entries
                .iter()
                .rev()
                .map(|entry| Summary::new(entry, TARGET))
                .collect(),
        }
    }
}

struct ModuleLine {
    name: String,
    prober: &'static str,
}

#[derive(Template)]
#[template(path = "home.html")]
pub struct Home {
    default_module: String,
    modules: Vec<ModuleLine>,
    more_modules: usize,
    probes: Vec<Summary>,
}

impl Home {
    pub fn new(exporter: &Exporter) -> Self {
        let serving = exporter.store.current();
        // The configuration has them in the order of their names; a module without a body is no module.
        let all = &serving.config.modules;
        let modules: Vec<_> = all
            .iter()
            .filter_map(|(name, module)| Some((name, module.as_ref()?)))
            .take(MODULES)
            .map(|(name, module)| ModuleLine {
                name: name.clone(),
                prober: module.prober.name(),
            })
            .collect();
        let default = if all.contains_key(DEFAULT_MODULE) {
            Some(DEFAULT_MODULE)
        } else {
            None
        };
        let default = default.or_else(|| all.keys().next().map(String::as_str));
        Self {
            default_module: default.unwrap_or_default().to_owned(),
            more_modules: all.len() - modules.len(),
            modules,
            probes: Recent::new(exporter).probes,
        }
    }
}

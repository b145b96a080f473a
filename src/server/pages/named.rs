//! Which target a link names. A page of this exporter names one as the history does; an alert or a dashboard has only the labels of
//! a series, without `hostname`, often without the module, and with a label of the targets file in place of the address.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;

use gostd::query::Query;
use gostd::url::hostname;

use super::targets::{Entries, given};
use crate::config::files::targets::{Target, decoded};
use crate::module::{Given, Loaded};
use crate::server::Exporter;
use crate::server::past::entry::Name;
use crate::server::past::row::{Row, State};

/// What a query names: a module, a target, and the `hostname` and the parameters with which it was probed.
pub struct Named<'q> {
    module: Cow<'q, str>,
    target: Cow<'q, str>,
    /// The label `instance`, which upstream's relabelling makes the target where the label `target` is a name.
    instance: Cow<'q, str>,
    hostname: Cow<'q, str>,
    given: Vec<Given>,
}

/// What the history knows of it.
pub struct Known {
    /// What the query does not contradict, the likeliest first.
    pub rows: Vec<Arc<Row>>,
    /// The target with another module, `hostname` or other parameters.
    pub others: Vec<Arc<Row>>,
}

/// Names of a query that are no parameters of a module.
const OWN: [&str; 7] = [
    "id", "module", "target", "instance", "hostname", "debug", "format",
];
/// Most parameters of a module that a query names.
const GIVEN: usize = 100;

impl<'q> Named<'q> {
    /// What a query names. If it names a module, its parameters are those that the module has, and as the history has them: secret
    /// ones without their value.
    pub fn of(query: Query<'q>, loaded: &Loaded) -> Self {
        let mut module = query.first("module");
        // Grafana leaves a variable as it is where a series has no such label.
        if module.starts_with("${") {
            module = Cow::Borrowed("");
        }
        let of = loaded.modules.get(&module);
        let mut given: Vec<Given> = query
            .all()
            .filter(|(name, _)| !OWN.contains(&&**name))
            .take(GIVEN)
            .filter_map(|(name, value)| {
                let value = match of {
                    Some(module) => module.param(&name)?.shown(&value).into(),
                    None => value.into(),
                };
                Some(Given {
                    name: name.into(),
                    value,
                })
            })
            .collect();
        // As a module has them.
        given.sort();
        Self {
            module,
            target: query.first("target"),
            instance: query.first("instance"),
            hostname: query.first("hostname"),
            given,
        }
    }

    /// As far as it names one: module and target may be empty, and an empty `hostname` is none.
    pub fn name(&self) -> Name<'_> {
        Name {
            module: &self.module,
            target: self.texts().next().unwrap_or_default(),
            hostname: some(&self.hostname),
            given: &self.given,
        }
    }

    /// The module, if it names one.
    pub fn module(&self) -> Option<&str> {
        some(&self.module)
    }

    /// What it calls the target, the likelier first.
    fn texts(&self) -> impl Iterator<Item = &str> {
        [&*self.target, &*self.instance].into_iter().filter_map(some)
    }

    /// What the targets file has of it.
    pub fn entries<'l>(&self, loaded: &'l Loaded) -> Vec<&'l Target> {
        let fits = |target: &&Target| {
            let is_named = |module| module == target.module() || label(target) == module;
            self.module().is_none_or(is_named)
                && some(&self.hostname).is_none_or(|hostname| target.hostname == hostname)
                && (self.given.is_empty() || self.given == given(target, loaded))
        };
        let mut found = self.texts().map(|text| {
            called([text.into(), decoded(text)], loaded)
                .filter(fits)
                .collect()
        });
        found
            .find(|entries: &Vec<_>| !entries.is_empty())
            .unwrap_or_default()
    }

    /// What the history knows of it. The very row comes first, then what fails, then what was probed last: who follows a link
    /// of an alert looks for a failure.
    pub fn known(&self, exporter: &Exporter) -> Known {
        let loaded = exporter.store.current();
        let (mut rows, _) = exporter.history.wall.rows();
        let meant = self
            .texts()
            .flat_map(|text| [false, true].map(|any_given| Meant::by(text, &loaded, any_given)))
            .find(|meant| rows.iter().any(|row| meant.has(row)));
        let meant = meant.unwrap_or_else(|| Meant::by_host(&self.target));
        rows.retain(|row| meant.has(row));
        rows.sort_by_key(|row| {
            let failing = row.state == State::Failing;
            (!self.is(row, &meant), !failing, Reverse(row.ended))
        });
        let (rows, others) = rows.into_iter().partition(|row| self.fits(row, &meant));
        Known { rows, others }
    }

    /// Whether it is what this names, with nothing left open.
    fn is(&self, row: &Row, meant: &Meant<'_>) -> bool {
        let name = row.name();
        let same = Name {
            target: name.target,
            ..self.name()
        };
        self.module().is_some() && meant.texts.contains(&name.target.into()) && name == same
    }

    /// Whether this may name it: links from alerts say nothing of parameters, and a row may have none.
    fn fits(&self, row: &Row, meant: &Meant<'_>) -> bool {
        let module = self.module();
        module.is_none_or(|module| *module == *row.module || meant.label(row) == Some(module))
            && some(&self.hostname).is_none_or(|hostname| row.hostname.as_deref() == Some(hostname))
            && (self.given.is_empty() || row.given.is_empty() || *self.given == *row.given)
    }
}

/// Which targets a text may mean.
struct Meant<'t> {
    /// As a scraper writes it, and as the probe understood it.
    texts: [Cow<'t, str>; 2],
    is_host: bool,
    /// The entries of the targets file that have it as address, name or label `target`.
    entries: Entries<'t>,
    /// Whether rows without parameters are of an entry, too, whatever its parameters are.
    any_given: bool,
}

impl<'t> Meant<'t> {
    /// The targets of that text, and those of the targets file.
    fn by(text: &'t str, loaded: &'t Loaded, any_given: bool) -> Self {
        let host = Self::by_host(text);
        Self {
            is_host: false,
            any_given,
            entries: Entries::new(called(host.texts.clone(), loaded), loaded),
            ..host
        }
    }

    /// The targets on that host: of a label that leaves out scheme, port and path.
    fn by_host(text: &'t str) -> Self {
        Self {
            texts: [text.into(), decoded(text)],
            is_host: true,
            entries: Entries::default(),
            any_given: false,
        }
    }

    fn has(&self, row: &Row) -> bool {
        let text = if self.is_host {
            host(&row.target)
        } else {
            &row.target
        };
        (!text.is_empty() && self.texts.contains(&text.into())) || self.label(row).is_some()
    }

    /// The label `module` of a row that is of an entry of the targets file.
    fn label(&self, row: &Row) -> Option<&'t str> {
        self.entries.of(row, self.any_given).map(label)
    }
}

/// The entries of the targets file that have one of the texts as address, name or label `target`.
fn called<'l>(texts: [Cow<'_, str>; 2], loaded: &'l Loaded) -> impl Iterator<Item = &'l Target> {
    loaded.targets.targets.iter().filter(move |target| {
        let label = target.labels.get("target");
        let mut names = [&target.address, &target.name].into_iter().chain(label);
        names.any(|name| texts.contains(&name.into()))
    })
}

/// The label `module` of an entry's series.
fn label(target: &Target) -> &str {
    let label = target.labels.get("module");
    label.map_or(target.module(), String::as_str)
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The host of a URL, of `host:port` or of a host.
fn host(target: &str) -> &str {
    let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    hostname(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_a_host() {
        for (target, want) in [
            ("https://example.com:8443/a:b@c?d", "example.com"),
            ("http://user:secret@[2001:db8::1]:80", "2001:db8::1"),
            ("example.com:443", "example.com"),
            ("example.com", "example.com"),
            ("", ""),
        ] {
            assert_eq!(host(target), want, "{target}");
        }
    }
}

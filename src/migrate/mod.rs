//! Turns what others list their targets in into a targets file: an Alloy configuration with
//! `prometheus.exporter.blackbox` blocks, a Prometheus configuration that scrapes a blackbox exporter, or the
//! configuration of another prober.
//!
//! Nothing is dropped in silence: what a targets file cannot hold comes back as a note that says where it stood
//! and what to do about it.

mod alloy;
mod elsewhere;
mod modules;
mod prometheus;
mod write;

use std::collections::{HashMap, HashSet};

use crate::config::files::targets::Target;
use crate::config::yaml::Document;

pub use elsewhere::{Program, own_file};
pub use write::targets_file;

/// A configuration file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its name without directories.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Reads a file that a configuration names, or those of a pattern; the error says why it could not.
pub type Links<'a> = dyn Fn(&str) -> Result<Vec<Input>, String> + 'a;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Migration {
    /// The targets, in the order of the source.
    pub targets: Vec<Target>,
    /// What could not be carried over, a sentence each.
    pub lost: Vec<String>,
    /// What the user should know or do beside.
    pub hints: Vec<String>,
    /// The modules file, when the source holds or names one.
    pub modules: Option<String>,
    /// The rewritten configuration files, by name.
    pub files: Vec<(String, String)>,
    /// Values for `--timeout-offset`.
    pub offsets: Vec<String>,
    /// Files that are named and could not be read.
    unread: Vec<String>,
}

/// The kinds of file that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationSource {
    /// Grafana Alloy's configuration.
    Alloy,
    /// Prometheus' `prometheus.yml`.
    Prometheus,
    /// Another prober's configuration.
    Other(Program),
}

impl MigrationSource {
    /// Tells by the name of the file, and by the text when the name says nothing.
    pub fn of(name: &str, text: &str) -> Self {
        match name.rsplit_once('.') {
            Some((_, "alloy" | "river")) => Self::Alloy,
            _ if text.contains("prometheus.exporter.blackbox") => Self::Alloy,
            _ => Program::of(text).map_or(Self::Prometheus, Self::Other),
        }
    }
}

/// Why a file could not be read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MigrateError {
    /// The text is not what it should be.
    #[error("{0}")]
    Syntax(String),
    /// There is nothing in it that probes.
    #[error("{0}")]
    NoTargets(&'static str),
}

/// Reads the targets of a configuration. With the address of the new exporter, the modules and the rewritten
/// configuration come along.
///
/// # Errors
/// When the text cannot be read, or names no target of a blackbox exporter.
pub fn migrate(
    source: MigrationSource,
    inputs: &[Input],
    whole_set: Option<&str>,
    links: &Links<'_>,
) -> Result<Migration, MigrateError> {
    let text = inputs.first().map_or("", |input| &input.text);
    let mut migration = match source {
        MigrationSource::Alloy => alloy::read(inputs, whole_set, links)?,
        MigrationSource::Prometheus => prometheus::read(text, links)?,
        MigrationSource::Other(program) => elsewhere::read(program, text, whole_set.is_some())?,
    };
    let Migration { targets, lost, .. } = &mut migration;
    targets.retain(|target| {
        if target.address.is_empty() {
            lost.push(format!("the target {:?} has no address", target.name));
        }
        !target.address.is_empty()
    });
    for notes in [&mut migration.lost, &mut migration.hints] {
        let mut seen = std::collections::BTreeSet::new();
        notes.retain(|note| seen.insert(note.clone()));
    }
    make_names_unique(&mut migration.targets);
    Ok(migration)
}

/// A text as YAML.
fn document(text: &str) -> Result<Document<'_>, MigrateError> {
    Document::parse(text)
        .map_err(|error| {
            MigrateError::Syntax(format!("line {}: not YAML: {}", error.at.line, error.message))
        })?
        .ok_or(MigrateError::NoTargets("the file is empty"))
}

/// A targets file wants one name a target; the second of a name gets `-2` appended.
fn make_names_unique(targets: &mut [Target]) {
    let mut names = Names::default();
    for target in targets {
        if target.name.is_empty() {
            target.name.clone_from(&target.address);
        }
        target.name = names.unique(&target.name, "-");
    }
}

/// Names that are taken.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
    /// The number that was given last, by name.
    last: HashMap<String, usize>,
}

impl Names {
    /// Takes a name, with a separator and a number appended when it is taken.
    fn unique(&mut self, name: &str, separator: &str) -> String {
        let mut unique = name.to_owned();
        while !self.taken.insert(unique.clone()) {
            let last = self.last.entry(name.to_owned()).or_insert(1);
            *last += 1;
            unique = format!("{name}{separator}{last}");
        }
        unique
    }
}

/// A duration as Alloy and Prometheus write it (`1m30s`, `500ms`), in whole milliseconds.
fn milliseconds(text: &str) -> Option<u64> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(digits)?;
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_end)?;
        let scale = match unit {
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 60e3,
            "h" => 3600e3,
            "d" => 86_400e3,
            "w" => 7.0 * 86_400e3,
            "y" => 365.0 * 86_400e3,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * scale;
        rest = after;
    }
    (1.0..1e15).contains(&total).then_some(total.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, wanted) in [
            ("10s", Some(10_000)),
            ("1m30s", Some(90_000)),
            ("0.5s", Some(500)),
            ("15ms", Some(15)),
            ("1d", Some(86_400_000)),
            ("0s", None),
            ("10", None),
            ("", None),
            ("s", None),
            ("é", None),
        ] {
            assert_eq!(milliseconds(text), wanted, "{text}");
        }
    }
}

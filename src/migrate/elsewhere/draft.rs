//! What the readers of other programs' configurations add to, and what becomes of it: a targets file and modules that the exporter reads.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use super::Program;
use super::references::{in_braces, reference, texts};
use crate::check::Regexp;
use crate::config::LoadError;
use crate::config::files::targets::{Target, format_milliseconds, label_fault};
use crate::migrate::milliseconds;
use crate::migrate::write::quoted;
use crate::migrate::{MigrateError, Migration, Names};
use crate::module;

/// What becomes of a configuration.
#[derive(Default)]
pub(super) struct Draft {
    migration: Migration,
    pub(super) modules: Vec<(String, Value)>,
    names: Names,
    /// The modules' names by what they contain.
    known: HashMap<String, String>,
}

impl Draft {
    pub(super) fn lost(&mut self, what: String) {
        self.migration.lost.push(what);
    }

    pub(super) fn hint(&mut self, what: &str) {
        self.migration.hints.push(what.to_owned());
    }

    /// The name, made of the prober's, of a module with a timeout and the settings of its section that are not empty; equal modules
    /// are one.
    pub(super) fn module(&mut self, prober: &str, timeout: Option<u64>, settings: Value) -> String {
        let timeout = self.possible(prober, timeout);
        let body = body(prober, timeout, settings);
        match self.known.entry(body.to_string()) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => {
                let unique = place.insert(self.names.unique(prober, "_")).clone();
                self.modules.push((unique.clone(), body));
                unique
            }
        }
    }

    pub(super) fn target(
        &mut self,
        name: &str,
        address: &str,
        module: String,
        interval: Option<u64>,
    ) -> &mut Target {
        let interval = self.possible(name, interval);
        self.migration.targets.push(Target {
            name: name.to_owned(),
            address: address.to_owned(),
            module,
            interval,
            ..Target::default()
        });
        // Invariant: one was pushed.
        self.migration
            .targets
            .last_mut()
            .unwrap_or_else(|| unreachable!())
    }

    /// A time that can be written; names others.
    fn possible(&mut self, name: &str, milliseconds: Option<u64>) -> Option<u64> {
        const MOST: u64 = 100 * 365 * 86_400_000;
        let milliseconds = milliseconds?;
        if (1..=MOST).contains(&milliseconds) {
            return Some(milliseconds);
        }
        self.lost(format!("{name:?}: a time of {milliseconds} ms"));
        None
    }

    /// The labels that a series can have; names the others.
    pub(super) fn labels(
        &mut self,
        place: &str,
        values: impl IntoIterator<Item = (String, String)>,
    ) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for (name, value) in values {
            match label_fault(&name) {
                Some(fault) => self.lost(format!("{place}: the label {name:?}: {fault}")),
                None => drop(labels.insert(name, value)),
            }
        }
        labels
    }

    /// Looks for what the program replaces in texts: writes references to environment variables as this exporter reads them, names
    /// the others, and leaves out what would be probed with a placeholder.
    pub(super) fn fill_in(&mut self, program: Program) {
        let placeholders = program
            .placeholders()
            .and_then(|pattern| Regexp::new(pattern).ok());
        let Migration {
            targets, lost, hints, ..
        } = &mut self.migration;
        let mut refers = false;
        let mut is_whole = |place: &str, text: &mut String, is_expanded: bool| {
            let found = placeholders
                .as_ref()
                .and_then(|pattern| pattern.captures(text.as_bytes()));
            if let Some(part) = found.as_ref().and_then(|found| found.group(0)) {
                let part = String::from_utf8_lossy(part);
                lost.push(format!("{place}: `{part}` in {text:?}: write its value"));
                return false;
            }
            if !program.expands() {
                return true;
            }
            if is_expanded {
                refers |= in_braces(text);
            } else if let Some(reference) = reference(text) {
                lost.push(format!(
                    "{place}: the environment variable `{reference}` in {text:?}: write its value"
                ));
            }
            *text = text.replace("$$", "$");
            true
        };
        targets.retain_mut(|target| {
            let place = format!("target {:?}", target.name);
            if !is_whole(&place, &mut target.address, false) {
                return false;
            }
            _ = is_whole(&place, &mut target.name, false);
            target.labels.retain(|_, value| is_whole(&place, value, false));
            true
        });
        self.modules.retain_mut(|(name, body)| {
            let place = format!("module {name:?}");
            let mut stays = true;
            texts(body, "", false, &mut |text, is_expanded| {
                stays &= is_whole(&place, text, is_expanded);
            });
            stays
        });
        if refers {
            hints.push(
                "the modules refer to environment variables: start the exporter with --config.expand-environment-variables"
                    .to_owned(),
            );
        }
    }

    /// Leaves out the modules that the exporter would refuse, because it would refuse the others with them, and targets without a
    /// module.
    fn leave_out_faulty(&mut self) {
        let Self {
            migration, modules, ..
        } = self;
        let problems = |modules: &[(String, Value)]| match module::parse(modules_file(modules), "") {
            Err(LoadError::Invalid(invalid)) => invalid.problems,
            _ => Vec::new(),
        };
        if !problems(modules).is_empty() {
            modules.retain(|module| {
                let problems = problems(std::slice::from_ref(module));
                let told = problems
                    .iter()
                    .map(|problem| format!("module {:?}: {}: {}", module.0, problem.path, problem.message));
                migration.lost.extend(told);
                problems.is_empty()
            });
        }
        let names: HashSet<_> = modules.iter().map(|(name, _)| name).collect();
        migration.targets.retain(|target| {
            let is_there = names.contains(&target.module);
            if !is_there {
                let lost = format!("target {:?}: its module is left out", target.name);
                migration.lost.push(lost);
            }
            is_there
        });
    }

    /// Lets probes take the time that their modules allow: a scrape ends after ten seconds if nothing else is asked for.
    fn give_time(&mut self) {
        const SCRAPE: u64 = 10_000;
        // `--timeout-offset`
        const OFFSET: u64 = 500;
        let timeouts: HashMap<_, _> = self
            .modules
            .iter()
            .filter_map(|(name, body)| Some((name, milliseconds(body.get("timeout")?.as_str()?)?)))
            .collect();
        for target in &mut self.migration.targets {
            let timeout = timeouts.get(&target.module).filter(|timeout| **timeout > SCRAPE);
            if let (Some(timeout), Some(interval)) = (timeout, target.interval) {
                target.timeout = Some(timeout.saturating_add(OFFSET).min(interval));
            }
        }
    }

    pub(super) fn finish(mut self, whole_set: bool) -> Result<Migration, MigrateError> {
        if self.modules.is_empty() && self.migration.lost.is_empty() {
            return Err(MigrateError::NoTargets(
                "it contains nothing that this exporter can probe",
            ));
        }
        self.leave_out_faulty();
        self.give_time();
        if whole_set {
            self.migration.modules = Some(modules_file(&self.modules));
        } else {
            self.lost("the modules are not part of a targets file; --output writes them".to_owned());
        }
        Ok(self.migration)
    }
}

fn modules_file(modules: &[(String, Value)]) -> String {
    let mut text = "modules:\n".to_owned();
    for (name, body) in modules {
        // JSON is YAML.
        text.push_str(&format!("  {}: {body}\n", quoted(name)));
    }
    text
}

pub(super) fn body(prober: &str, timeout: Option<u64>, settings: Value) -> Value {
    let mut body = Map::new();
    body.insert("prober".to_owned(), prober.into());
    if let Some(timeout) = timeout {
        body.insert("timeout".to_owned(), format_milliseconds(timeout).into());
    }
    let mut settings = without_empty(settings);
    if let Some(fields) = settings.as_object_mut()
        && fields.contains_key("preferred_ip_protocol")
    {
        // A family that is asked for is the only one.
        fields.insert("ip_protocol_fallback".to_owned(), false.into());
    }
    if !is_empty(&settings) {
        body.insert(prober.to_owned(), settings);
    }
    body.into()
}

/// Fields without those that are empty, and `null` if it is no mapping.
pub(super) fn without_empty(settings: Value) -> Value {
    let Value::Object(settings) = settings else {
        return Value::Null;
    };
    let filled = settings.into_iter().filter(|(_, value)| !is_empty(value));
    filled.collect::<Map<_, _>>().into()
}

pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

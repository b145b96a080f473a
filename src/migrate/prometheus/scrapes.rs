//! One job after the other: its targets, their labels in the order in which Prometheus computes them, and what becomes of each.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};

use super::Reading;
use crate::check::{Regexp, Template};
use crate::config::files::targets::{Target, decoded, label_fault};
use crate::config::yaml::{Content, Document, Id};
use crate::migrate::Migration;
use crate::migrate::milliseconds;

/// Other exporters that are scraped for a target, as words of a host name and by their ports.
const OTHERS: [(&str, &str); 16] = [
    ("snmp", "9116"),
    ("json", "7979"),
    ("ssl", "9219"),
    ("domain", "9222"),
    ("script", "9469"),
    ("mysqld", "9104"),
    ("mysql", "9104"),
    ("postgres", "9187"),
    ("redis", "9121"),
    ("mongodb", "9216"),
    ("ipmi", "9290"),
    ("pve", "9221"),
    ("modbus", "9602"),
    ("elasticsearch", "9114"),
    ("smokeping", "9374"),
    ("ping", "9427"),
];

/// Keys of a scrape configuration that are carried over, or mean nothing here.
const CARRIED: [&str; 7] = [
    "job_name",
    "metrics_path",
    "params",
    "static_configs",
    "relabel_configs",
    "scrape_interval",
    "scrape_timeout",
];

/// Labels of a target before its scrape.
const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAMETER: &str = "__param_";

/// The path of probes.
const PROBE: &str = "/probe";

type Labels = BTreeMap<String, String>;

/// Most entries and rules of a file that are looked at; aliases repeat them.
pub(super) const MOST_STEPS: usize = 50_000_000;

/// Most mappings that one takes in by `<<`, directly or through others.
const MOST_MERGED: usize = 1000;

/// What compiling the expression of a rule counts, in steps.
const COMPILATION: usize = 500;

/// Longest value of a label and longest replacement that rules are carried out with: each may double what is there.
const LONGEST: usize = 4 << 10;

/// A relabelling rule that is understood.
struct Rule {
    sources: Vec<String>,
    separator: String,
    target: String,
    regexp: Regexp,
    replacement: Template,
}

impl Rule {
    /// False when it makes a label that is too long.
    fn apply(&self, labels: &mut Labels) -> bool {
        let values = self
            .sources
            .iter()
            .map(|name| labels.get(name).map_or("", String::as_str));
        let joined = values.collect::<Vec<_>>().join(&self.separator);
        if joined.len() > LONGEST {
            return false;
        }
        let Some(found) = self.regexp.captures(joined.as_bytes()) else {
            return true;
        };
        let value = self.replacement.expand(Some(&found));
        let value = String::from_utf8_lossy(&value).into_owned();
        if value.len() > LONGEST {
            return false;
        }
        set(labels, self.target.clone(), value);
        true
    }
}

/// The jobs of a file.
pub(super) struct Scrapes<'d, 't> {
    pub document: &'d Document<'t>,
    /// What stands before a place in a note: the file's name when there are several.
    pub file: &'d str,
    /// How many more steps are made.
    pub left: &'d Cell<usize>,
}

impl<'d> Scrapes<'d, '_> {
    /// False when aliases have repeated too much of the file.
    fn spend(&self, steps: usize) -> bool {
        let left = self.left.get().saturating_sub(steps);
        self.left.set(left);
        left > 0
    }

    pub fn get(&self, node: Id, key: &str) -> Option<Id> {
        let mut found = None;
        self.walk(node, &mut HashSet::new(), &mut |name, value, _| {
            if name == key {
                found = Some(value);
            }
        });
        found
    }

    pub fn text(&self, node: Id, key: &str) -> Option<String> {
        self.document.text(self.get(node, key)?).map(str::to_owned)
    }

    /// The entries of a list, if it is one.
    pub fn items(&self, list: Option<Id>) -> &'d [Id] {
        let document = self.document;
        match list.map(|list| &document.node(document.target(list)).content) {
            Some(Content::Sequence(items)) => items,
            _ => &[],
        }
    }

    /// The texts in a list.
    pub fn texts(&self, node: Id, key: &str) -> Vec<String> {
        self.get(node, key)
            .map_or_else(Vec::new, |list| self.values(list))
    }

    fn values(&self, list: Id) -> Vec<String> {
        let items = self.items(Some(list)).iter();
        items
            .filter_map(|item| self.document.text(*item).map(str::to_owned))
            .collect()
    }

    /// Key, value and line of a mapping's entries, each key once.
    fn entries(&self, node: Option<Id>) -> BTreeMap<&'d str, (Id, usize)> {
        let mut entries = BTreeMap::new();
        if let Some(node) = node {
            self.walk(node, &mut HashSet::new(), &mut |name, value, line| {
                entries.insert(name, (value, line));
            });
        }
        entries
    }

    /// Gives the entries of a mapping and of those that it takes in by `<<`, where they are taken in. The last one of a
    /// key counts, as Prometheus reads YAML.
    fn walk(&self, node: Id, seen: &mut HashSet<Id>, each: &mut dyn FnMut(&'d str, Id, usize)) {
        let document = self.document;
        let target = document.target(node);
        let Content::Mapping(entries) = &document.node(target).content else {
            return;
        };
        // An alias can stand in what it is an alias of.
        if !seen.insert(target) {
            return;
        }
        if seen.len() > MOST_MERGED {
            self.spend(MOST_STEPS);
            return;
        }
        for (key, value) in entries {
            if !self.spend(1) {
                return;
            }
            if document.is_merge(*key) {
                match self.items(Some(*value)) {
                    [] => self.walk(*value, seen, each),
                    parts => parts.iter().rev().for_each(|part| self.walk(*part, seen, each)),
                }
            } else if let Some(name) = document.text(*key) {
                each(name, *value, document.node(*key).at.line);
            }
        }
    }

    fn line(&self, node: Id) -> usize {
        self.document.node(node).at.line
    }

    fn rules(&self, job: Id) -> &'d [Id] {
        self.items(self.get(job, "relabel_configs"))
    }

    pub fn is_probe(&self, job: Id) -> bool {
        let is_path = |path: Option<String>| path.is_some_and(|path| path.ends_with(PROBE));
        is_path(self.text(job, "metrics_path"))
            || self.rules(job).iter().any(|rule| {
                self.text(*rule, "target_label").as_deref() == Some(PATH)
                    && is_path(self.text(*rule, "replacement"))
            })
            || self.items(self.get(job, "static_configs")).iter().any(|group| {
                let labels = self.get(*group, "labels");
                labels.is_some_and(|labels| is_path(self.text(labels, PATH)))
            })
    }

    /// The address of another exporter with a `/probe`, if the job scrapes one.
    pub fn other_exporter(&self, job: Id) -> Option<String> {
        let mut replaced = self.rules(job).iter().filter_map(|rule| {
            let address = self.text(*rule, "target_label").as_deref() == Some(ADDRESS);
            self.text(*rule, "replacement").filter(|_| address)
        });
        let address = replaced.next_back()?;
        let (host, port) = address.rsplit_once(':').unwrap_or((&address, ""));
        let host = host.to_ascii_lowercase();
        if host.contains("blackbox") || port == "9115" {
            return None;
        }
        let words: Vec<_> = host.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let is_other = |word: &&str| OTHERS.iter().any(|(name, _)| name == word);
        // A host can be called `ping` for what it does with the blackbox exporter.
        let other = words.contains(&"exporter") && words.iter().any(is_other)
            || OTHERS.iter().any(|(_, number)| *number == port);
        other.then_some(address)
    }

    pub fn read_job(&self, job: Id, global: (u64, u64), reading: &mut Reading) {
        let Reading {
            migration, exporters, ..
        } = reading;
        let name = self.text(job, "job_name").unwrap_or_default();
        let at = |line: usize| format!("{}job {name:?}, line {line}", self.file);
        let mut keys: Vec<_> = self.entries(Some(job)).into_iter().collect();
        keys.sort_by_key(|(_, (_, line))| *line);
        for (key, (_, line)) in keys {
            match key {
                key if CARRIED.contains(&key) => {}
                discovery if discovery.ends_with("_sd_configs") => {
                    migration.lost.push(format!(
                        "{}: the targets of {discovery} stay with Prometheus",
                        at(line)
                    ));
                }
                other => migration.lost.push(format!(
                    "{}: `{other}` concerns the scrape itself; set it on the job that has http_sd_configs",
                    at(line)
                )),
            }
        }
        let rules: Vec<_> = self
            .rules(job)
            .iter()
            .filter_map(|rule| self.rule(*rule, &name, migration))
            .collect();
        let parameters: BTreeMap<_, Vec<_>> = self
            .entries(self.get(job, "params"))
            .into_iter()
            .map(|(parameter, (values, _))| (parameter, self.values(values)))
            .collect();
        let (interval, timeout) = self.periods(job, &name, global, migration);
        let text = |key: &str, default: &str| self.text(job, key).unwrap_or_else(|| default.to_owned());
        let defaults = [
            ("job", name.clone()),
            (INTERVAL, duration(interval)),
            (TIMEOUT, duration(timeout)),
            (PATH, text("metrics_path", "/metrics")),
            (SCHEME, text("scheme", "http")),
        ];
        let targets = self.static_targets(job);
        let alone = targets.len() == 1;
        for (line, mut labels) in targets {
            // The order is Prometheus': parameters replace labels, and a label without a value is none.
            labels.retain(|_, value| !value.is_empty());
            for (label, value) in &defaults {
                labels.entry((*label).to_owned()).or_insert_with(|| value.clone());
            }
            for (parameter, values) in &parameters {
                if let Some(value) = values.first() {
                    set(&mut labels, format!("{PARAMETER}{parameter}"), value.clone());
                }
            }
            if !rules.iter().all(|rule| self.spend(1) && rule.apply(&mut labels)) {
                let note = format!(
                    "{}: a relabelling rule makes a label of more than {LONGEST} bytes",
                    at(line)
                );
                migration.lost.push(note);
                continue;
            }
            // Where rules leave none, the job's values are sent.
            for (parameter, values) in &parameters {
                if let Some(value) = values.first() {
                    let label = format!("{PARAMETER}{parameter}");
                    labels.entry(label).or_insert_with(|| value.clone());
                }
            }
            let mut notes = Vec::new();
            let target = self.target(labels, &parameters, &mut notes);
            migration
                .lost
                .extend(notes.into_iter().map(|note| format!("{}: {note}", at(line))));
            let Some((exporter, mut target)) = target else {
                continue;
            };
            for parameter in target.params.keys() {
                migration.hints.push(format!(
                    "job {name:?}: the module {:?} must list the parameter {parameter:?} under `params`, or the targets file is refused",
                    target.module()
                ));
            }
            exporters.insert(exporter);
            target.name = match alone {
                true => name.clone(),
                false => format!("{name}/{}", target.address),
            };
            if target.labels.get("job") == Some(&target.name) {
                target.labels.remove("job");
            }
            migration.targets.push(target);
        }
    }

    /// The exporter's address and the target that a scrape with these labels probes, if it does; what of it is lost is noted.
    fn target(
        &self,
        mut labels: Labels,
        parameters: &BTreeMap<&str, Vec<String>>,
        notes: &mut Vec<String>,
    ) -> Option<(String, Target)> {
        let mut take = |label: &str| labels.remove(label).unwrap_or_default();
        let mut parameter = |name: &str| take(&format!("{PARAMETER}{name}"));
        let mut target = Target {
            address: decoded(&parameter("target")).into_owned(),
            module: parameter("module"),
            hostname: parameter("hostname"),
            ..Target::default()
        };
        let (exporter, path) = (take(ADDRESS), take(PATH));
        let (interval, timeout) = (take(INTERVAL), take(TIMEOUT));
        (target.interval, target.timeout) = (milliseconds(&interval), milliseconds(&timeout));
        let refused = match (target.interval, target.timeout) {
            (Some(interval), Some(timeout)) if timeout <= interval && !exporter.is_empty() => None,
            _ => Some(format!(
                "Prometheus refuses this target: its address is {exporter:?}, its interval {interval:?}, its timeout {timeout:?}"
            )),
        };
        let fault = match () {
            () if target.address.is_empty() => {
                Some("no rule sets the target here (`__param_target`)".to_owned())
            }
            () if !path.ends_with(PROBE) => Some(format!("its path is {path:?}: it is no probe")),
            () => refused,
        };
        if let Some(fault) = fault {
            notes.push(fault);
            return None;
        }
        for (label, value) in labels {
            if let Some(parameter) = label.strip_prefix(PARAMETER) {
                // `__param_NAME` has the first value alone.
                let is_repeated = parameters.get(parameter).is_some_and(|values| values.len() > 1);
                let is_name =
                    !parameter.is_empty() && parameter.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if is_repeated {
                    notes.push(format!(
                        "the parameter {parameter:?} has several values: a target has one"
                    ));
                } else if parameter == "debug" || !is_name {
                    notes.push(format!(
                        "the parameter {parameter:?} is not supported in a targets file"
                    ));
                } else {
                    target.params.insert(parameter.to_owned(), value);
                }
            } else if label.starts_with("__") {
            } else if let Some(fault) = label_fault(&label) {
                notes.push(format!("the label {label:?}: {fault}"));
            } else {
                target.labels.insert(label, value);
            }
        }
        if target.labels.get("instance") == Some(&target.address) {
            target.labels.remove("instance");
        } else {
            // Without a rule that sets it, it is the address that is scraped.
            target
                .labels
                .entry("instance".to_owned())
                .or_insert_with(|| exporter.clone());
        }
        if !target.labels.contains_key("job") {
            notes.push("the series had no label \"job\": Prometheus adds it again".to_owned());
        }
        // The discovery adds them; the series had none.
        for added in ["target", "module"] {
            target.labels.entry(added.to_owned()).or_default();
        }
        Some((exporter, target))
    }

    /// The line and the labels of each target, as they are written.
    fn static_targets(&self, job: Id) -> Vec<(usize, Labels)> {
        let mut targets = Vec::new();
        for group in self.items(self.get(job, "static_configs")) {
            let mut labels = Labels::new();
            for (label, (value, _)) in self.entries(self.get(*group, "labels")) {
                let value = self.document.text(value);
                labels.extend(value.map(|value| (label.to_owned(), value.to_owned())));
            }
            for target in self.items(self.get(*group, "targets")) {
                let Some(address) = self
                    .document
                    .text(*target)
                    .filter(|_| self.spend(1 + labels.len()))
                else {
                    continue;
                };
                let mut labels = labels.clone();
                labels.insert(ADDRESS.to_owned(), address.to_owned());
                targets.push((self.line(*target), labels));
            }
        }
        targets
    }

    fn rule(&self, rule: Id, job: &str, migration: &mut Migration) -> Option<Rule> {
        if !self.spend(COMPILATION) {
            return None;
        }
        let action = self.text(rule, "action").unwrap_or_else(|| "replace".to_owned());
        let regex = self.text(rule, "regex").unwrap_or_else(|| "(.*)".to_owned());
        let sources = self.texts(rule, "source_labels");
        let replacement = self.text(rule, "replacement").unwrap_or_else(|| "$1".to_owned());
        // As Prometheus compiles it: it must match the whole value.
        let regexp = Regexp::new(&format!("^(?s:{regex})$"));
        match (self.text(rule, "target_label"), regexp) {
            (Some(target), Ok(regexp))
                if action.eq_ignore_ascii_case("replace")
                    && !target.contains('$')
                    && replacement.len() <= LONGEST =>
            {
                Some(Rule {
                    sources,
                    separator: self.text(rule, "separator").unwrap_or_else(|| ";".to_owned()),
                    target,
                    replacement: Template::new(replacement.as_bytes(), &regexp),
                    regexp,
                })
            }
            _ => {
                migration.lost.push(format!(
                    "{}job {job:?}, line {}: the relabelling rule (action {action}, regex {regex:?}) was left out; keep it on the job that has http_sd_configs",
                    self.file,
                    self.line(rule)
                ));
                None
            }
        }
    }

    /// `scrape_interval` and `scrape_timeout`; the latter is no longer than the interval unless it says so.
    pub fn periods(
        &self,
        node: Id,
        name: &str,
        (interval, timeout): (u64, u64),
        migration: &mut Migration,
    ) -> (u64, u64) {
        let mut period = |key: &str| {
            let text = self.text(node, key)?;
            let period = milliseconds(&text);
            if period.is_none() {
                migration.lost.push(format!(
                    "{}job {name:?}: {key} {text:?} is not a duration",
                    self.file
                ));
            }
            period
        };
        let interval = period("scrape_interval").unwrap_or(interval);
        let timeout = period("scrape_timeout").unwrap_or_else(|| timeout.min(interval));
        (interval, timeout)
    }
}

/// A duration as Prometheus prints it: years and weeks only where nothing is left of them.
pub(super) fn duration(milliseconds: u64) -> String {
    const UNITS: [(&str, u64, bool); 7] = [
        ("y", 365 * 86_400_000, true),
        ("w", 7 * 86_400_000, true),
        ("d", 86_400_000, false),
        ("h", 3_600_000, false),
        ("m", 60_000, false),
        ("s", 1000, false),
        ("ms", 1, false),
    ];
    let (mut text, mut left) = (String::new(), milliseconds);
    for (unit, size, is_exact) in UNITS {
        if left >= size && !(is_exact && left % size != 0) {
            text.push_str(&format!("{}{unit}", left / size));
            left %= size;
        }
    }
    text
}

/// Sets a label; a value that is empty takes it away.
fn set(labels: &mut Labels, label: String, value: String) {
    if value.is_empty() {
        labels.remove(&label);
    } else {
        labels.insert(label, value);
    }
}

//! Reads the targets of a Prometheus configuration: what `static_configs` lists, after the relabelling that every
//! configuration of a blackbox exporter has.
//!
//! The relabelling rules are carried out, one after the other, on the labels of each target, as Prometheus does it
//! before a scrape. Only rules that replace are understood; that covers the usual ones.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Links, MigrateError, Migration, alloy::milliseconds};
use crate::check::{Regexp, Template};
use crate::config::files::targets::{Target, label_fault};
use crate::config::yaml::{Content, Document, Id};

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

/// Prometheus' default scrape interval and timeout in milliseconds.
const DEFAULT_INTERVAL: u64 = 60_000;
const DEFAULT_TIMEOUT: u64 = 10_000;

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

pub(super) fn read(text: &str, links: &Links<'_>) -> Result<Migration, MigrateError> {
    let mut reading = Reading::default();
    let files = reading.file(text, "", Some(links))?;
    for (name, text) in files {
        if let Err(error) = reading.file(&text, &format!("{name}, "), None) {
            reading.migration.lost.push(format!("{name}: {error}"));
        }
    }
    let Reading {
        mut migration,
        exporters,
        probes,
        ..
    } = reading;
    if !probes && text.lines().any(|line| line.starts_with("integrations:")) {
        return Err(MigrateError::NoTargets(
            "this is a configuration of Grafana Agent: `alloy convert --source-format=static` turns it into Alloy's, which can be read",
        ));
    }
    if !probes {
        return Err(MigrateError::NoTargets(
            "it has no scrape_configs entry that scrapes the /probe of a blackbox exporter",
        ));
    }
    for exporter in exporters {
        migration.hints.push(format!(
            "the exporter was scraped at {exporter}: let http_sd_configs ask it for /targets"
        ));
    }
    Ok(migration)
}

/// What was read of the configuration and the files that it names.
#[derive(Default)]
struct Reading {
    migration: Migration,
    /// Where exporters were scraped.
    exporters: BTreeSet<String>,
    /// Whether a job probes.
    probes: bool,
    /// `scrape_interval` and `scrape_timeout` of the section `global`, which counts for all files.
    global: Option<(u64, u64)>,
}

impl Reading {
    /// Reads a file; gives names and texts of those that its `scrape_config_files` name.
    fn file(
        &mut self,
        text: &str,
        file: &str,
        links: Option<&Links<'_>>,
    ) -> Result<Vec<(String, String)>, MigrateError> {
        let document = Document::parse(text)
            .map_err(|error| {
                MigrateError::Syntax(format!("line {}: not YAML: {}", error.at.line, error.message))
            })?
            .ok_or(MigrateError::NoTargets("the file is empty"))?;
        let left = Cell::new(MOST_STEPS);
        let scrapes = Scrapes {
            document: &document,
            file,
            left: &left,
        };
        let root = document.root();
        let global = match self.global {
            Some(global) => global,
            None => {
                let none = (DEFAULT_INTERVAL, DEFAULT_TIMEOUT);
                let section = scrapes.get(root, "global");
                section.map_or(none, |section| {
                    scrapes.periods(section, "global", none, &mut self.migration)
                })
            }
        };
        self.global = Some(global);
        let jobs = scrapes.items(scrapes.get(root, "scrape_configs").or(Some(root)));
        for job in jobs.iter().copied().filter(|job| scrapes.is_probe(*job)) {
            if let Some(address) = scrapes.other_exporter(job) {
                let name = scrapes.text(job, "job_name").unwrap_or_default();
                self.migration.hints.push(format!(
                    "job {name:?} scrapes another exporter ({address}) and stays with Prometheus"
                ));
                continue;
            }
            self.probes = true;
            scrapes.read_job(job, global, self);
        }
        if left.get() == 0 {
            return Err(MigrateError::Syntax("aliases repeat too much of it".to_owned()));
        }
        let mut files = Vec::new();
        for pattern in links.map_or_else(Vec::new, |_| scrapes.texts(root, "scrape_config_files")) {
            match links.map_or(Ok(Vec::new()), |links| links(&pattern)) {
                Ok(found) => files.extend(found.into_iter().map(|input| (input.name, input.text))),
                Err(error) => self
                    .migration
                    .lost
                    .push(format!("scrape_config_files: {pattern}: {error}")),
            }
        }
        Ok(files)
    }
}

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
const MOST_STEPS: usize = 50_000_000;

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

struct Scrapes<'d, 't> {
    document: &'d Document<'t>,
    /// What stands before a place in a note: the file's name when there are several.
    file: &'d str,
    /// How many more steps are made.
    left: &'d Cell<usize>,
}

impl<'d> Scrapes<'d, '_> {
    /// False when aliases have repeated too much of the file.
    fn spend(&self, steps: usize) -> bool {
        let left = self.left.get().saturating_sub(steps);
        self.left.set(left);
        left > 0
    }

    fn get(&self, node: Id, key: &str) -> Option<Id> {
        let mut found = None;
        self.walk(node, &mut HashSet::new(), &mut |name, value, _| {
            if name == key {
                found = Some(value);
            }
        });
        found
    }

    fn text(&self, node: Id, key: &str) -> Option<String> {
        self.document.text(self.get(node, key)?).map(str::to_owned)
    }

    /// The entries of a list, if it is one.
    fn items(&self, list: Option<Id>) -> &'d [Id] {
        let document = self.document;
        match list.map(|list| &document.node(document.target(list)).content) {
            Some(Content::Sequence(items)) => items,
            _ => &[],
        }
    }

    /// The texts in a list.
    fn texts(&self, node: Id, key: &str) -> Vec<String> {
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

    fn is_probe(&self, job: Id) -> bool {
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
    fn other_exporter(&self, job: Id) -> Option<String> {
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

    fn read_job(&self, job: Id, global: (u64, u64), reading: &mut Reading) {
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
            address: parameter("target"),
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
    fn periods(
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
fn duration(milliseconds: u64) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::Input;

    fn read(text: &str) -> Result<Migration, MigrateError> {
        super::read(text, &|file| match file {
            "more/*.yml" => Ok(["a.yml", "b.yml"]
                .map(|name| Input {
                    name: name.to_owned(),
                    text: match name {
                        "a.yml" => job("metrics_path: /probe, scheme: https, params: {target: [x]}"),
                        _ => "a: [".to_owned(),
                    },
                })
                .into()),
            other => Err(format!("no {other}")),
        })
    }

    fn job(fields: &str) -> String {
        format!("scrape_configs:\n- {{job_name: j, static_configs: [{{targets: [a.test]}}], {fields}}}\n")
    }

    fn named<'a>(migration: &'a Migration, name: &str) -> &'a Target {
        migration
            .targets
            .iter()
            .find(|target| target.name == name)
            .unwrap_or_else(|| panic!("{name}: {migration:#?}"))
    }

    #[test]
    fn the_classic_relabelling_is_carried_out() {
        let migration = read(
            r#"
global: {scrape_interval: 15s}
scrape_configs:
  - job_name: node
    static_configs: [{targets: [a:9100]}]
  - job_name: web
    metrics_path: /probe
    scheme: https
    scrape_interval: 1m
    params: {module: [http_2xx], debug: ["true"]}
    static_configs:
      - targets: [https://a.test, https://b.test]
        labels: {team: web}
    relabel_configs: &probe
      - source_labels: [__address__]
        target_label: __param_target
      - source_labels: [__param_target]
        target_label: instance
      - target_label: __address__
        replacement: 127.0.0.1:9115
  - job_name: many
    metrics_path: /probe
    static_configs:
      - targets: [c.test]
        labels: {module: icmp, __param_hostname: x}
    kubernetes_sd_configs: [{role: service}]
    relabel_configs:
      - {source_labels: [module], target_label: __param_module}
      - {source_labels: [__address__], target_label: __param_target, replacement: "http://$1/"}
      - {target_label: instance, replacement: 192.0.2.10}
      - {source_labels: [team], regex: "a|b", action: keep}
      - {target_label: __address__, replacement: "127.0.0.1:9115"}
  - job_name: lost
    metrics_path: /probe
    static_configs: [{targets: [d.test]}]
"#,
        )
        .unwrap();
        assert_eq!(migration.targets.len(), 3);
        let web = named(&migration, "web/https://b.test");
        assert_eq!(
            (web.address.as_str(), web.module.as_str(), web.interval),
            ("https://b.test", "http_2xx", Some(60_000))
        );
        assert_eq!(
            web.labels,
            [("job", "web"), ("module", ""), ("target", ""), ("team", "web")]
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .into()
        );
        let many = named(&migration, "many");
        assert_eq!(
            (
                many.address.as_str(),
                many.module.as_str(),
                many.hostname.as_str()
            ),
            ("http://c.test/", "icmp", "x")
        );
        assert_eq!(
            many.labels,
            [("instance", "192.0.2.10"), ("module", "icmp"), ("target", "")]
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .into()
        );
        assert_eq!(
            migration.lost,
            [
                "job \"web\", line 8: `scheme` concerns the scrape itself; set it on the job that has http_sd_configs",
                "job \"web\", line 12: the parameter \"debug\" is not supported in a targets file",
                "job \"web\", line 12: the parameter \"debug\" is not supported in a targets file",
                "job \"many\", line 26: the targets of kubernetes_sd_configs stay with Prometheus",
                "job \"many\", line 31: the relabelling rule (action keep, regex \"a|b\") was left out; keep it on the job that has http_sd_configs",
                "job \"lost\", line 35: no rule sets the target here (`__param_target`)",
            ]
        );
        assert_eq!(
            migration.hints,
            ["the exporter was scraped at 127.0.0.1:9115: let http_sd_configs ask it for /targets"]
        );
    }

    #[test]
    fn jobs_of_other_exporters_stay() {
        let job = |name: &str, path: &str, address: &str| {
            format!(
                "  - job_name: {name}\n    metrics_path: {path}\n    scrape_timeout: 30s\n    static_configs: [{{targets: [a]}}]\n    relabel_configs:\n      \
                 - {{source_labels: [__address__], target_label: __param_target}}\n      - {{target_label: __address__, replacement: '{address}'}}\n"
            )
        };
        let jobs = [
            job("routers", "/snmp", "snmp-exporter:9116"),
            job("json", "/probe", "localhost:7979"),
            job("certificates", "/probe", "ssl_exporter.monitoring.svc:80"),
            job("ssl", "/probe", "blackbox:9115"),
            job("web", "/probe", "prober.internal"),
            job("ping", "/probe", "ping.corp.test:80"),
        ];
        let migration = read(&format!("scrape_configs:\n{}", jobs.concat())).unwrap();
        let names: Vec<_> = migration
            .targets
            .iter()
            .map(|target| target.name.as_str())
            .collect();
        assert_eq!(names, ["ssl", "web", "ping"]);
        assert_eq!(
            (migration.targets[0].interval, migration.targets[0].timeout),
            (Some(60_000), Some(30_000))
        );
        // No rule sets it: it is the exporter's address.
        assert_eq!(migration.targets[1].labels["instance"], "prober.internal");
        assert_eq!(
            migration.hints[..2],
            [
                "job \"json\" scrapes another exporter (localhost:7979) and stays with Prometheus",
                "job \"certificates\" scrapes another exporter (ssl_exporter.monitoring.svc:80) and stays with Prometheus",
            ]
        );
        assert_eq!(migration.lost, [] as [&str; 0]);
    }

    /// Expectations are Prometheus' own (`relabel.Process`).
    #[test]
    fn replacements_are_filled_as_by_prometheus() {
        for (rule, wanted) in [
            ("replacement: 'to $1'", "to a.test:80"),
            ("replacement: 'to ${1}_svc'", "to a.test:80_svc"),
            // A group of the name `1_svc`, and the tenth: there is none.
            ("replacement: 'to $1_svc'", "to "),
            ("replacement: 'to $10'", "to "),
            ("replacement: '$1_svc'", ""),
            ("replacement: '$$1'", "$1"),
            ("regex: '(.*):(.*)', replacement: '$2'", "80"),
            ("regex: 'a', replacement: 'b'", "old"),
            ("regex: '', replacement: 'b'", "old"),
        ] {
            let text = format!(
                "scrape_configs:\n- job_name: j\n  metrics_path: /probe\n  static_configs: [{{targets: ['a.test:80'], labels: {{x: old}}}}]\n  \
                 relabel_configs:\n  - {{source_labels: [__address__], target_label: __param_target}}\n  \
                 - {{source_labels: [__address__], target_label: x, {rule}}}\n"
            );
            let migration = read(&text).unwrap();
            let target = migration.targets.first().unwrap();
            // A label without a value is none.
            assert_eq!(
                target.labels.get("x").map_or("", String::as_str),
                wanted,
                "{rule}"
            );
        }
    }

    #[test]
    fn says_when_there_is_nothing() {
        for (text, wanted) in [
            ("", "the file is empty"),
            (
                "integrations: {blackbox: {enabled: true}}",
                "this is a configuration of Grafana Agent: ",
            ),
            ("a: [", "line "),
            (
                "scrape_configs: [{job_name: node}]",
                "it has no scrape_configs entry that scrapes the /probe of a blackbox exporter",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }

    /// Expectations are what Prometheus 2.42 shows in `/api/v1/targets`.
    #[test]
    fn a_target_is_scraped_as_by_prometheus() {
        const CLASSIC: &str = "{source_labels: [__address__], target_label: __param_target}, {target_label: __address__, replacement: 'e:9115'}";
        let row = |fields: &str, labels: &str, rule: &str| {
            let text = format!(
                "global: {{scrape_interval: 15s}}\nscrape_configs:\n- {{job_name: j, metrics_path: /probe, static_configs: [{{targets: [a.test], labels: {{{labels}}}}}], \
                 relabel_configs: [{rule}{CLASSIC}], {fields}}}\n"
            );
            let migration = read(&text).unwrap();
            let target = migration.targets.first().map(|target| {
                let periods = (target.interval.unwrap(), target.timeout.unwrap());
                let label = target.labels.get("k").cloned().unwrap_or_default();
                (target.module.clone(), target.hostname.clone(), periods, label)
            });
            let target = target.unwrap_or_default();
            let (module, hostname, (interval, timeout), label) = target;
            let lost = migration.lost.join("; ");
            format!("{module},{hostname},{interval},{timeout},{label} {lost}")
        };
        let optional = "{source_labels: [m], target_label: __param_module}, {source_labels: [h], target_label: __param_hostname}, ";
        let seen = "{source_labels: [__scheme__, __scrape_interval__, __scrape_timeout__, __metrics_path__], target_label: k}, ";
        #[rustfmt::skip]
        let rows = [
            // A rule takes the parameter's label away: the job's own is sent.
            ("params: {module: [icmp], hostname: [h]}", "", optional, "icmp,h,15000,10000, "),
            ("params: {module: [icmp], hostname: [h]}", "m: tcp, h: i", optional, "tcp,i,15000,10000, "),
            // The job's parameters replace labels.
            ("params: {module: [http_2xx]}", "__param_module: icmp", "", "http_2xx,,15000,10000, "),
            ("params: {module: ['']}", "__param_module: icmp", "", ",,15000,10000, "),
            ("params: {<<: {module: [icmp]}}", "", "", "icmp,,15000,10000, "),
            ("params: {<<: [{module: [icmp]}, {module: [tcp]}]}", "", "", "icmp,,15000,10000, "),
            ("", "<<: {k: v}", "", ",,15000,10000,v "),
            ("", "k: v, job: ''", "", ",,15000,10000,v "),
            ("", "", seen, ",,15000,10000,http;15s;10s;/probe "),
            ("scrape_interval: 90m", "__scheme__: https, __scrape_timeout__: 3s", seen, ",,5400000,3000,https;1h30m;3s;/probe "),
            ("scrape_interval: 5s", "", seen, ",,5000,5000,http;5s;5s;/probe "),
            ("", "__scrape_interval__: 5m", "", ",,300000,10000, "),
            ("scrape_interval: 7s, <<: {scrape_interval: 20s}", "", "", ",,20000,10000, "),
            ("<<: {scrape_interval: 20s}, scrape_interval: 7s", "", "", ",,7000,7000, "),
            (
                "", "__scrape_timeout__: 30s", "",
                ",,0,0, job \"j\", line 3: Prometheus refuses this target: its address is \"e:9115\", its interval \"15s\", its timeout \"30s\"",
            ),
            ("", "__metrics_path__: /metrics", "", ",,0,0, job \"j\", line 3: its path is \"/metrics\": it is no probe"),
            ("", "my.label: x", "", ",,15000,10000, job \"j\", line 3: the label \"my.label\": letters, digits and underscores, no digit first"),
            ("", "", "{target_label: job, replacement: ''}, ", ",,15000,10000, job \"j\", line 3: the series had no label \"job\": Prometheus adds it again"),
            ("<<: {basic_auth: {}}", "", "", ",,15000,10000, job \"j\", line 3: `basic_auth` concerns the scrape itself; set it on the job that has http_sd_configs"),
        ];
        for (fields, labels, rule, wanted) in rows {
            assert_eq!(row(fields, labels, rule), wanted, "{fields} {labels} {rule}");
        }
    }

    #[test]
    fn a_label_can_make_a_target_a_probe() {
        let text = "scrape_configs: [{job_name: j, static_configs: [{targets: [a], labels: {__metrics_path__: /probe, __param_target: b}}, {targets: [c]}]}]";
        let migration = read(text).unwrap();
        assert_eq!(named(&migration, "j/b").address, "b");
        assert_eq!(
            migration.lost,
            ["job \"j\", line 1: no rule sets the target here (`__param_target`)"]
        );
    }

    #[test]
    fn files_with_more_jobs_are_read() {
        let migration =
            read("global: {scrape_interval: 5s}\nscrape_config_files: [more/*.yml, none.yml]").unwrap();
        assert_eq!(named(&migration, "j").interval, Some(5000));
        assert_eq!(
            migration.lost,
            [
                "scrape_config_files: none.yml: no none.yml",
                "a.yml, job \"j\", line 2: `scheme` concerns the scrape itself; set it on the job that has http_sd_configs",
                "b.yml: line 2: not YAML: the text ends where a value is expected",
            ]
        );
    }

    /// Each mapping takes the one before in twice, or each job has all rules, by aliases.
    #[test]
    fn aliases_cannot_make_it_endless() {
        let merges: String = (1..60)
            .map(|n| format!("x{n}: &x{n} {{<<: [*x{0}, *x{0}]}}\n", n - 1))
            .collect();
        let text = format!(
            "x0: &x0 {{a: b}}\n{merges}{}",
            job("metrics_path: /probe, params: {target: [x]}, <<: *x59")
        );
        assert_eq!(read(&text).unwrap().targets.len(), 1);
        let rule = "{source_labels: [a], target_label: b}, ".repeat(3000);
        let jobs = "- {job_name: j, metrics_path: /probe, relabel_configs: *r}\n".repeat(3000);
        let error = read(&format!("r: &r [{rule}]\nscrape_configs:\n{jobs}")).unwrap_err();
        assert_eq!(error.to_string(), "aliases repeat too much of it");
    }

    #[test]
    fn durations_are_printed_as_by_prometheus() {
        for (milliseconds, wanted) in [
            (1, "1ms"),
            (5_400_000, "1h30m"),
            (604_800_000, "1w"),
            (604_801_000, "7d1s"),
            (365 * 86_400_000, "1y"),
        ] {
            assert_eq!(duration(milliseconds), wanted);
        }
    }
}

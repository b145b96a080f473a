//! One job: its targets, their labels in the order in which Prometheus computes them, and what becomes of each.

use std::collections::BTreeMap;

use super::Reading;
use super::relabel::{Labels, Rule, set};
use super::yaml::Yaml;
use crate::config::files::targets::{Target, decoded, label_fault};
use crate::config::yaml::Id;
use crate::migrate::{Migration, milliseconds};

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
const TARGET: &str = "__param_target";

/// The path of probes.
const PROBE: &str = "/probe";

/// What compiling the expression of a rule counts, in steps.
const COMPILATION: usize = 500;

/// A section of a file with intervals: a job, or `global`.
pub(super) struct Job<'s, 'd, 't> {
    yaml: &'s Yaml<'d, 't>,
    node: Id,
    name: String,
    /// What stands before a place in a note: the file's name when there are several.
    file: &'s str,
}

impl<'s, 'd, 't> Job<'s, 'd, 't> {
    pub fn of(yaml: &'s Yaml<'d, 't>, node: Id, file: &'s str) -> Self {
        let name = yaml.text(node, "job_name").unwrap_or_default();
        Self {
            yaml,
            node,
            name,
            file,
        }
    }

    /// The section `global`, by this name in notes.
    pub fn global(yaml: &'s Yaml<'d, 't>, file: &'s str) -> Option<Self> {
        let node = yaml.get(yaml.root(), "global")?;
        Some(Self {
            name: "global".to_owned(),
            ..Self::of(yaml, node, file)
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where a note is about.
    fn at(&self, line: usize) -> String {
        format!("{}job {:?}, line {line}", self.file, self.name)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.yaml.text(self.node, key)
    }

    fn items(&self, key: &str) -> &'d [Id] {
        self.yaml.items(self.yaml.get(self.node, key))
    }

    pub fn is_probe(&self) -> bool {
        let yaml = self.yaml;
        let is_path = |path: Option<String>| path.is_some_and(|path| path.ends_with(PROBE));
        is_path(self.text("metrics_path"))
            || self.items("relabel_configs").iter().any(|rule| {
                yaml.text(*rule, "target_label").as_deref() == Some(PATH)
                    && is_path(yaml.text(*rule, "replacement"))
            })
            || self.items("static_configs").iter().any(|group| {
                let labels = yaml.get(*group, "labels");
                labels.is_some_and(|labels| is_path(yaml.text(labels, PATH)))
            })
    }

    /// The address of another exporter with a `/probe`, if the job scrapes one.
    pub fn other_exporter(&self) -> Option<String> {
        let mut replaced = self.items("relabel_configs").iter().filter_map(|rule| {
            let address = self.yaml.text(*rule, "target_label").as_deref() == Some(ADDRESS);
            self.yaml.text(*rule, "replacement").filter(|_| address)
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

    pub fn read(&self, global: (u64, u64), reading: &mut Reading) {
        let Reading {
            migration, exporters, ..
        } = reading;
        self.name_uncarried(migration);
        let mut rules = Vec::new();
        for rule in self.items("relabel_configs") {
            if self.yaml.spend(COMPILATION) {
                match Rule::read(self.yaml, *rule) {
                    Ok(rule) => rules.push(rule),
                    Err(fault) => {
                        let at = self.at(self.yaml.line(*rule));
                        migration.lost.push(format!("{at}: {fault}"));
                    }
                }
            }
        }
        let parameters: BTreeMap<_, Vec<_>> = self
            .yaml
            .entries(self.yaml.get(self.node, "params"))
            .into_iter()
            .map(|(parameter, (values, _))| (parameter, self.yaml.values(values)))
            .collect();
        let sent: Vec<_> = parameters
            .iter()
            .filter_map(|(parameter, values)| Some((format!("{PARAMETER}{parameter}"), values.first()?)))
            .collect();
        let (interval, timeout) = self.periods(global, migration);
        let text = |key: &str, default: &str| self.text(key).unwrap_or_else(|| default.to_owned());
        let defaults = [
            ("job", self.name.clone()),
            (INTERVAL, duration(interval)),
            (TIMEOUT, duration(timeout)),
            (PATH, text("metrics_path", "/metrics")),
            (SCHEME, text("scheme", "http")),
        ];
        // The order is Prometheus': parameters replace labels, and a label without a value is none.
        let relabelled = |mut labels: Labels| {
            labels.retain(|_, value| !value.is_empty());
            for (label, value) in &defaults {
                labels.entry((*label).to_owned()).or_insert_with(|| value.clone());
            }
            for (label, value) in &sent {
                set(&mut labels, label, (*value).clone());
            }
            for rule in rules.iter().take_while(|_| self.yaml.spend(1)) {
                rule.apply(&mut labels)?;
            }
            // Where rules leave none, the job's values are sent.
            for (label, value) in &sent {
                labels.entry(label.clone()).or_insert_with(|| (*value).clone());
            }
            Ok::<_, String>(labels)
        };
        let targets = self.static_targets();
        let alone = targets.len() == 1;
        for (line, labels) in targets {
            let mut notes = Vec::new();
            let mut asked = None;
            let found = relabelled(labels).and_then(|labels| {
                asked = labels.get(TARGET).cloned();
                target(labels, &parameters, &mut notes)
            });
            notes.extend(found.as_ref().err().cloned());
            let notes = notes.into_iter().map(|note| format!("{}: {note}", self.at(line)));
            migration.lost.extend(notes);
            let Ok((exporter, mut target)) = found else {
                continue;
            };
            // Upstream's decoding came after 0.28.0.
            if asked.is_some_and(|asked| asked != target.address) {
                migration.hints.push(format!(
                    "{}: upstream up to 0.28.0 decodes this target once, and this exporter twice: if you replace such a release, check its `address`",
                    self.at(line)
                ));
            }
            for parameter in target.params.keys() {
                migration.hints.push(format!(
                    "job {:?}: the module {:?} must list the parameter {parameter:?} under `params`, or the targets file is refused",
                    self.name,
                    target.module()
                ));
            }
            exporters.insert(exporter);
            target.name = match alone {
                true => self.name.clone(),
                false => format!("{}/{}", self.name, target.address),
            };
            if target.labels.get("job") == Some(&target.name) {
                target.labels.remove("job");
            }
            migration.targets.push(target);
        }
    }

    /// Names the keys that a targets file has no place for.
    fn name_uncarried(&self, migration: &mut Migration) {
        let mut keys: Vec<_> = self.yaml.entries(Some(self.node)).into_iter().collect();
        keys.sort_by_key(|(_, (_, line))| *line);
        for (key, (_, line)) in keys {
            let what = match key {
                key if CARRIED.contains(&key) => continue,
                discovery if discovery.ends_with("_sd_configs") => {
                    format!("the targets of {discovery} stay with Prometheus")
                }
                other => format!(
                    "`{other}` concerns the scrape itself; set it on the job that has http_sd_configs"
                ),
            };
            migration.lost.push(format!("{}: {what}", self.at(line)));
        }
    }

    /// The line and the labels of each target, as they are written.
    fn static_targets(&self) -> Vec<(usize, Labels)> {
        let yaml = self.yaml;
        let mut targets = Vec::new();
        for group in self.items("static_configs") {
            let mut labels = Labels::new();
            for (label, (value, _)) in yaml.entries(yaml.get(*group, "labels")) {
                labels.extend(yaml.scalar(value).map(|value| (label.to_owned(), value)));
            }
            for target in yaml.items(yaml.get(*group, "targets")) {
                if let Some(address) = yaml.scalar(*target)
                    && yaml.spend(1 + labels.len())
                {
                    let mut labels = labels.clone();
                    labels.insert(ADDRESS.to_owned(), address);
                    targets.push((yaml.line(*target), labels));
                }
            }
        }
        targets
    }

    /// `scrape_interval` and `scrape_timeout`; the latter is no longer than the interval unless it says so.
    pub fn periods(&self, (interval, timeout): (u64, u64), migration: &mut Migration) -> (u64, u64) {
        let mut period = |key: &str| {
            let text = self.text(key)?;
            let period = milliseconds(&text);
            if period.is_none() {
                migration.lost.push(format!(
                    "{}job {:?}: {key} {text:?} is not a duration",
                    self.file, self.name
                ));
            }
            period
        };
        let interval = period("scrape_interval").unwrap_or(interval);
        let timeout = period("scrape_timeout").unwrap_or_else(|| timeout.min(interval));
        (interval, timeout)
    }
}

/// The exporter's address and the target that a scrape with these labels probes; what of it is lost is noted.
fn target(
    mut labels: Labels,
    parameters: &BTreeMap<&str, Vec<String>>,
    notes: &mut Vec<String>,
) -> Result<(String, Target), String> {
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
    if target.address.is_empty() {
        return Err("no rule sets the target here (`__param_target`)".to_owned());
    }
    if !path.ends_with(PROBE) {
        return Err(format!("its path is {path:?}: it is no probe"));
    }
    if exporter.is_empty() || target.timeout.is_none() || target.timeout > target.interval {
        return Err(format!(
            "Prometheus refuses this target: its address is {exporter:?}, its interval {interval:?}, its timeout {timeout:?}"
        ));
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
        let instance = target.labels.entry("instance".to_owned());
        instance.or_insert_with(|| exporter.clone());
    }
    if !target.labels.contains_key("job") {
        notes.push("the series had no label \"job\": Prometheus adds it again".to_owned());
    }
    // The discovery adds them; the series had none.
    for added in ["target", "module"] {
        target.labels.entry(added.to_owned()).or_default();
    }
    Ok((exporter, target))
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

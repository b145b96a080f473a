//! Reads the targets of a Prometheus configuration: what `static_configs` lists, after the relabelling that every
//! configuration of a blackbox exporter has.
//!
//! The relabelling rules are carried out, one after the other, on the labels of each target, as Prometheus does it
//! before a scrape. Only rules that replace are understood; that covers the usual ones.

use std::collections::{BTreeMap, BTreeSet};

use super::{MigrateError, Migration, alloy::milliseconds};
use crate::check::{Regexp, Template};
use crate::config::files::targets::Target;
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

/// Prometheus' default scrape interval in milliseconds.
const DEFAULT_INTERVAL: u64 = 60_000;

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

pub(super) fn read(text: &str) -> Result<Migration, MigrateError> {
    let document = Document::parse(text)
        .map_err(|error| {
            MigrateError::Syntax(format!("line {}: not YAML: {}", error.at.line, error.message))
        })?
        .ok_or(MigrateError::NoTargets("the file is empty"))?;
    let scrapes = Scrapes { document: &document };
    let root = document.root();
    let jobs = scrapes.items(scrapes.get(root, "scrape_configs").or(Some(root)));
    let mut migration = Migration::default();
    let mut exporters = BTreeSet::new();
    let mut probes = false;
    for job in jobs.iter().copied().filter(|job| scrapes.is_probe(*job)) {
        if let Some(address) = scrapes.other_exporter(job) {
            let name = scrapes.text(job, "job_name").unwrap_or_default();
            migration.hints.push(format!(
                "job {name:?} scrapes another exporter ({address}) and stays with Prometheus"
            ));
            continue;
        }
        probes = true;
        scrapes.read_job(job, scrapes.get(root, "global"), &mut migration, &mut exporters);
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

type Labels = BTreeMap<String, String>;

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
        if value.is_empty() {
            labels.remove(&self.target);
        } else {
            labels.insert(self.target.clone(), value);
        }
        true
    }
}

struct Scrapes<'d, 't> {
    document: &'d Document<'t>,
}

impl<'d> Scrapes<'d, '_> {
    fn get(&self, node: Id, key: &str) -> Option<Id> {
        self.document.entry(node, key).map(|(_, value)| value)
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

    fn texts(&self, node: Id, key: &str) -> Vec<String> {
        let items = self.items(self.get(node, key)).iter();
        items
            .filter_map(|item| self.document.text(*item).map(str::to_owned))
            .collect()
    }

    /// Key, value and line of a mapping's entries; what `<<` takes in is found by [`get`](Self::get) only.
    fn entries(&self, node: Option<Id>) -> impl Iterator<Item = (&'d str, Id, usize)> {
        let document = self.document;
        let entries = match node.map(|node| &document.node(document.target(node)).content) {
            Some(Content::Mapping(entries)) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().filter_map(|(key, value)| {
            let line = document.node(*key).at.line;
            Some((document.text(*key)?, *value, line))
        })
    }

    fn line(&self, node: Id) -> usize {
        self.document.node(node).at.line
    }

    fn rules(&self, job: Id) -> &'d [Id] {
        self.items(self.get(job, "relabel_configs"))
    }

    fn is_probe(&self, job: Id) -> bool {
        let is_path = |path: Option<String>| path.is_some_and(|path| path.ends_with("/probe"));
        is_path(self.text(job, "metrics_path"))
            || self.rules(job).iter().any(|rule| {
                self.text(*rule, "target_label").as_deref() == Some("__metrics_path__")
                    && is_path(self.text(*rule, "replacement"))
            })
    }

    /// The address of another exporter with a `/probe`, if the job scrapes one.
    fn other_exporter(&self, job: Id) -> Option<String> {
        let mut replaced = self.rules(job).iter().filter_map(|rule| {
            let address = self.text(*rule, "target_label").as_deref() == Some("__address__");
            self.text(*rule, "replacement").filter(|_| address)
        });
        let address = replaced.next_back()?;
        let (host, port) = address.rsplit_once(':').unwrap_or((&address, ""));
        let host = host.to_ascii_lowercase();
        if host.contains("blackbox") || port == "9115" {
            return None;
        }
        let mut words = host.split(|c: char| !c.is_ascii_alphanumeric());
        let other = words.any(|word| OTHERS.iter().any(|(name, _)| *name == word))
            || OTHERS.iter().any(|(_, number)| *number == port);
        other.then_some(address)
    }

    fn read_job(
        &self,
        job: Id,
        global: Option<Id>,
        migration: &mut Migration,
        exporters: &mut BTreeSet<String>,
    ) {
        let name = self.text(job, "job_name").unwrap_or_default();
        let at = |line: usize| format!("job {name:?}, line {line}");
        for (key, _, line) in self.entries(Some(job)) {
            match key {
                "<<" => {}
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
        let mut period = |key: &str| {
            let own = self.period(job, key, &name, migration);
            own.or_else(|| self.period(global?, key, "global", migration))
        };
        // Explicit, as the job that will discover the targets has an interval of its own.
        let interval = period("scrape_interval").unwrap_or(DEFAULT_INTERVAL);
        let template = Target {
            timeout: period("scrape_timeout").map(|timeout| timeout.min(interval)),
            interval: Some(interval),
            ..Target::default()
        };
        let targets = self.static_targets(job, &name);
        // `__param_NAME` has the first value alone.
        let parameters = self.entries(self.get(job, "params"));
        let repeated: BTreeSet<_> = parameters
            .filter(|(_, values, _)| self.items(Some(*values)).len() > 1)
            .map(|(parameter, _, _)| parameter)
            .collect();
        let alone = targets.len() == 1;
        for (line, mut labels) in targets {
            if !rules.iter().all(|rule| rule.apply(&mut labels)) {
                let note = format!(
                    "{}: a relabelling rule makes a label of more than {LONGEST} bytes",
                    at(line)
                );
                migration.lost.push(note);
                continue;
            }
            let Some(address) = labels.remove("__param_target") else {
                let note = format!("{}: no rule sets the target here (`__param_target`)", at(line));
                migration.lost.push(note);
                continue;
            };
            let exporter = labels.remove("__address__");
            exporters.extend(exporter.clone());
            let mut target = Target {
                address,
                ..template.clone()
            };
            target.module = labels.remove("__param_module").unwrap_or_default();
            target.hostname = labels.remove("__param_hostname").unwrap_or_default();
            for (label, value) in &labels {
                let Some(parameter) = label.strip_prefix("__param_") else {
                    continue;
                };
                let is_name = parameter.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if parameter == "debug" || !is_name || repeated.contains(parameter) {
                    let note = match repeated.contains(parameter) {
                        true => "has several values: a target has one",
                        false => "is not supported in a targets file",
                    };
                    let note = format!("{}: the parameter {parameter:?} {note}", at(line));
                    migration.lost.push(note);
                } else {
                    target.params.insert(parameter.to_owned(), value.clone());
                    migration.hints.push(format!(
                        "job {name:?}: the module {:?} must list the parameter {parameter:?} under `params`, or the targets file is refused",
                        target.module()
                    ));
                }
            }
            labels.retain(|label, _| !label.starts_with("__"));
            if labels.get("instance") == Some(&target.address) {
                labels.remove("instance");
            } else {
                // Without a rule that sets it, it is the address that is scraped.
                let scraped = exporter.clone().unwrap_or_default();
                labels.entry("instance".to_owned()).or_insert(scraped);
            }
            // The discovery adds them; the series had none.
            for added in ["target", "module"] {
                labels.entry(added.to_owned()).or_default();
            }
            target.name = if alone {
                name.clone()
            } else {
                format!("{name}/{}", target.address)
            };
            if labels.get("job") == Some(&target.name) {
                labels.remove("job");
            }
            target.labels = labels;
            migration.targets.push(target);
        }
    }

    /// The line and the labels of each target, as they are before relabelling.
    fn static_targets(&self, job: Id, name: &str) -> Vec<(usize, Labels)> {
        let mut common = Labels::from([("job".to_owned(), name.to_owned())]);
        for (parameter, values, _) in self.entries(self.get(job, "params")) {
            let first = self.items(Some(values)).first();
            let first = first.and_then(|value| self.document.text(*value));
            common.extend(first.map(|value| (format!("__param_{parameter}"), value.to_owned())));
        }
        let mut targets = Vec::new();
        for group in self.items(self.get(job, "static_configs")) {
            let mut labels = common.clone();
            for (label, value, _) in self.entries(self.get(*group, "labels")) {
                let value = self.document.text(value);
                labels.extend(value.map(|value| (label.to_owned(), value.to_owned())));
            }
            for target in self.items(self.get(*group, "targets")) {
                let Some(address) = self.document.text(*target) else {
                    continue;
                };
                let mut labels = labels.clone();
                labels.insert("__address__".to_owned(), address.to_owned());
                targets.push((self.line(*target), labels));
            }
        }
        targets
    }

    fn rule(&self, rule: Id, job: &str, migration: &mut Migration) -> Option<Rule> {
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
                    "job {job:?}, line {}: the relabelling rule (action {action}, regex {regex:?}) was left out; keep it on the job that has http_sd_configs",
                    self.line(rule)
                ));
                None
            }
        }
    }

    fn period(&self, job: Id, key: &str, name: &str, migration: &mut Migration) -> Option<u64> {
        let text = self.text(job, key)?;
        let period = milliseconds(&text);
        if period.is_none() {
            migration
                .lost
                .push(format!("job {name:?}: {key} {text:?} is not a duration"));
        }
        period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ];
        let migration = read(&format!("scrape_configs:\n{}", jobs.concat())).unwrap();
        let names: Vec<_> = migration
            .targets
            .iter()
            .map(|target| target.name.as_str())
            .collect();
        assert_eq!(names, ["ssl", "web"]);
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
}

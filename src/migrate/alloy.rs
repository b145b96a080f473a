//! Reads the targets of Alloy's built-in exporter.

use std::collections::BTreeMap;

use alloy_syntax::{Attribute, Block, Statement, Value, parse};

use super::{MigrateError, Migration};
use crate::config::targets::Target;

const EXPORTER: &str = "prometheus.exporter.blackbox";

pub(super) fn read(text: &str) -> Result<Migration, MigrateError> {
    let file = parse(text).map_err(|err| MigrateError::Syntax(err.to_string()))?;
    let mut blocks = Vec::new();
    collect_blocks(&file, &mut blocks);
    let exporters: Vec<_> = blocks
        .iter()
        .copied()
        .filter(|block| block.name == EXPORTER)
        .collect();
    if exporters.is_empty() {
        return Err(MigrateError::NoTargets(
            "there is no prometheus.exporter.blackbox block in it",
        ));
    }
    let mut migration = Migration::default();
    for exporter in exporters {
        read_exporter(exporter, &blocks, &mut migration);
    }
    if !migration
        .targets
        .iter()
        .all(|target| target.labels.contains_key("instance"))
    {
        migration.notes.push(
            "`instance` was the name of Alloy's host where no rule set it; here it is the address, unless you add a label `instance`"
                .to_owned(),
        );
    }
    Ok(migration)
}

/// All blocks, those inside other blocks too (`declare` may hold an exporter).
fn collect_blocks<'a>(body: &'a [Statement], blocks: &mut Vec<&'a Block>) {
    for statement in body {
        if let Statement::Block(block) = statement {
            blocks.push(block);
            collect_blocks(&block.body, blocks);
        }
    }
}

fn read_exporter(exporter: &Block, blocks: &[&Block], migration: &mut Migration) {
    let first = migration.targets.len();
    for statement in &exporter.body {
        match statement {
            Statement::Block(block) if block.name == "target" => read_target(block, migration),
            Statement::Block(block) => migration.notes.push(unknown(&block.name, block.line)),
            Statement::Attribute(attribute) => read_argument(attribute, migration),
        }
    }
    let scraped = scraping(exporter, blocks, &mut migration.notes);
    for target in migration.targets.iter_mut().skip(first) {
        // Alloy names the job so; dashboards and alerts know the series by it.
        target
            .labels
            .insert("job".to_owned(), format!("integrations/blackbox/{}", target.name));
        for (label, value) in &scraped.labels {
            target.labels.insert(label.clone(), value.clone());
        }
        target.interval = scraped.interval;
        target.timeout = scraped.timeout;
    }
}

fn read_argument(attribute: &Attribute, migration: &mut Migration) {
    let line = attribute.line;
    let note = match (attribute.name.as_str(), &attribute.value) {
        ("config_file", Value::Text(file)) => {
            format!("line {line}: start the exporter with --config.file={file}")
        }
        ("config", Value::Text(_)) => format!(
            "line {line}: save the text of `config` as a file and start the exporter with --config.file=<that file>"
        ),
        ("config_file" | "config", value) => format!(
            "line {line}: `{} = {}` is computed by Alloy; give the exporter the same modules by --config.file",
            attribute.name,
            shown(value)
        ),
        ("probe_timeout_offset", Value::Text(offset)) => {
            let seconds = milliseconds(offset).map(|ms| (ms as f64 / 1000.0).to_string());
            let seconds = seconds.as_deref().unwrap_or(offset);
            format!("line {line}: start the exporter with --timeout-offset={seconds}")
        }
        ("targets", Value::List(list)) => {
            for entry in list {
                match entry {
                    Value::Object(fields) => read_entry(fields, line, migration),
                    other => migration.notes.push(format!(
                        "line {line}: the target `{}` is computed by Alloy",
                        shown(other)
                    )),
                }
            }
            return;
        }
        ("targets", value) => format!(
            "line {line}: the targets `{}` come from another component; list them here, or leave these to Prometheus' service discovery",
            shown(value)
        ),
        (name, _) => unknown(name, line),
    };
    migration.notes.push(note);
}

/// `target { name = … }`
fn read_target(block: &Block, migration: &mut Migration) {
    let mut target = Target::default();
    for statement in &block.body {
        let attribute = match statement {
            Statement::Attribute(attribute) => attribute,
            Statement::Block(inner) => {
                migration.notes.push(unknown(&inner.name, inner.line));
                continue;
            }
        };
        match (attribute.name.as_str(), &attribute.value) {
            ("name", Value::Text(text)) => target.name.clone_from(text),
            ("address", Value::Text(text)) => target.address.clone_from(text),
            ("module", Value::Text(text)) => target.module.clone_from(text),
            ("labels", Value::Object(fields)) => {
                for (label, value) in fields {
                    match value {
                        Value::Text(text) => drop(target.labels.insert(label.clone(), text.clone())),
                        other => {
                            migration
                                .notes
                                .push(computed(&format!("labels.{label}"), other, attribute.line))
                        }
                    }
                }
            }
            ("name" | "address" | "module" | "labels", value) => {
                migration
                    .notes
                    .push(computed(&attribute.name, value, attribute.line));
            }
            (name, _) => migration.notes.push(unknown(name, attribute.line)),
        }
    }
    push(target, block.line, migration);
}

/// An element of `targets = [ … ]`: every other key is a label.
fn read_entry(fields: &[(String, Value)], line: usize, migration: &mut Migration) {
    let mut target = Target::default();
    let mut fallback_address = String::new();
    for (key, value) in fields {
        let Value::Text(text) = value else {
            migration.notes.push(computed(key, value, line));
            continue;
        };
        match key.as_str() {
            "name" => target.name.clone_from(text),
            "address" => target.address.clone_from(text),
            "__address__" => fallback_address.clone_from(text),
            "module" => target.module.clone_from(text),
            label => drop(target.labels.insert(label.to_owned(), text.clone())),
        }
    }
    if target.address.is_empty() {
        target.address = fallback_address;
    }
    push(target, line, migration);
}

fn push(target: Target, line: usize, migration: &mut Migration) {
    if target.name.is_empty() || target.address.is_empty() {
        migration.notes.push(format!(
            "line {line}: a target without a literal name and address was left out"
        ));
        return;
    }
    migration.targets.push(target);
}

/// What the scrape of an exporter's targets adds.
#[derive(Default)]
struct Scraping {
    interval: Option<u64>,
    timeout: Option<u64>,
    labels: BTreeMap<String, String>,
}

/// Follows `prometheus.exporter.blackbox.X.targets` through `discovery.relabel` to `prometheus.scrape`.
fn scraping(exporter: &Block, blocks: &[&Block], notes: &mut Vec<String>) -> Scraping {
    let mut found = Scraping::default();
    let mut outputs = vec![format!("{EXPORTER}.{}.targets", exporter.label)];
    let uses = |block: &Block, outputs: &[String]| {
        attribute(block, "targets").is_some_and(|value| {
            let text = shown(&value.value);
            outputs.iter().any(|output| text.contains(output.as_str()))
        })
    };
    for relabel in blocks.iter().filter(|block| block.name == "discovery.relabel") {
        if !uses(relabel, &outputs) {
            continue;
        }
        outputs.push(format!("discovery.relabel.{}.output", relabel.label));
        for statement in &relabel.body {
            match statement {
                Statement::Block(rule) if rule.name == "rule" => read_rule(rule, &mut found, notes),
                _ => {}
            }
        }
    }
    for scrape in blocks.iter().filter(|block| block.name == "prometheus.scrape") {
        if !uses(scrape, &outputs) {
            continue;
        }
        for (name, place) in [
            ("scrape_interval", &mut found.interval),
            ("scrape_timeout", &mut found.timeout),
        ] {
            let Some(attribute) = attribute(scrape, name) else {
                continue;
            };
            match &attribute.value {
                Value::Text(text) if milliseconds(text).is_some() => *place = milliseconds(text),
                value => notes.push(computed(name, value, attribute.line)),
            }
        }
    }
    found
}

/// A rule that sets a label to a constant is a label; any other needs Alloy.
fn read_rule(rule: &Block, found: &mut Scraping, notes: &mut Vec<String>) {
    let text = |name: &str| match attribute(rule, name).map(|attribute| &attribute.value) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let only_constant = rule.body.iter().all(|statement| {
        matches!(statement, Statement::Attribute(attribute) if
            matches!(attribute.name.as_str(), "target_label" | "replacement")
            || (attribute.name == "action" && attribute.value == Value::Text("replace".to_owned())))
    });
    match (text("target_label"), text("replacement")) {
        (Some(label), Some(value)) if only_constant && !label.starts_with("__") && !value.contains('$') => {
            found.labels.insert(label, value);
        }
        _ => notes.push(format!(
            "line {}: the relabelling rule is computed by Alloy; keep it in a discovery.relabel behind discovery.http",
            rule.line
        )),
    }
}

fn attribute<'a>(block: &'a Block, name: &str) -> Option<&'a Attribute> {
    block.body.iter().find_map(|statement| match statement {
        Statement::Attribute(attribute) if attribute.name == name => Some(attribute),
        _ => None,
    })
}

fn unknown(name: &str, line: usize) -> String {
    format!("line {line}: `{name}` has no place in a targets file")
}

fn computed(name: &str, value: &Value, line: usize) -> String {
    format!(
        "line {line}: `{name} = {}` is computed by Alloy and was left out",
        shown(value)
    )
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Number(text) | Value::Expression(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Null => "null".to_owned(),
        Value::List(list) => format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Object(_) => "{…}".to_owned(),
    }
}

/// A duration as Alloy and Prometheus write it (`1m30s`, `500ms`), in whole milliseconds.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
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
    fn the_pipeline_of_the_built_in_exporter_carries_over() {
        let migration = read(
            r#"
prometheus.exporter.blackbox "probes" {
  config_file          = "/etc/alloy/blackbox.yml"
  probe_timeout_offset = "0.5s"

  target {
    name    = "icmp_probe_1"
    address = "icmp_example.test.com"
    module  = "icmp_test"
    labels  = { target = "icmp_example.test.com" }
  }
  target {
    name    = "http_probe_1"
    address = sys.env("TARGET")
    labels  = { "env" = env_name, "team" = "web" }
  }
  target {
    name    = "tcp_probe_1"
    address = "tcp_example.test.com:443"
    module  = "tcp_connect"
    labels  = { "zone" = string.to_upper("a"), "target" = "tcp_example.test.com" }
  }
}
discovery.relabel "host" {
  targets = prometheus.exporter.blackbox.probes.targets
  rule {
    target_label = "instance"
    replacement  = "192.0.2.10"
  }
  rule {
    source_labels = ["job"]
    regex         = ".*/(.*)"
    target_label  = "short"
  }
}
prometheus.scrape "probes" {
  targets         = discovery.relabel.host.output
  scrape_interval = "10s"
  forward_to      = [prometheus.remote_write.deepflow.receiver]
}
"#,
        )
        .unwrap();
        let labels = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        let target = |name: &str, address: &str, module: &str, target: &str| Target {
            name: name.to_owned(),
            address: address.to_owned(),
            module: module.to_owned(),
            labels: labels(&[
                ("job", &format!("integrations/blackbox/{name}")),
                ("instance", "192.0.2.10"),
                ("target", target),
            ]),
            interval: Some(10_000),
            ..Target::default()
        };
        assert_eq!(
            migration.targets,
            [
                target(
                    "icmp_probe_1",
                    "icmp_example.test.com",
                    "icmp_test",
                    "icmp_example.test.com"
                ),
                target(
                    "tcp_probe_1",
                    "tcp_example.test.com:443",
                    "tcp_connect",
                    "tcp_example.test.com"
                ),
            ]
        );
        assert_eq!(
            migration.notes,
            [
                "line 3: start the exporter with --config.file=/etc/alloy/blackbox.yml",
                "line 4: start the exporter with --timeout-offset=0.5",
                r#"line 14: `address = sys.env("TARGET")` is computed by Alloy and was left out"#,
                "line 15: `labels.env = env_name` is computed by Alloy and was left out",
                "line 12: a target without a literal name and address was left out",
                r#"line 21: `labels.zone = string.to_upper("a")` is computed by Alloy and was left out"#,
                "line 30: the relabelling rule is computed by Alloy; keep it in a discovery.relabel behind discovery.http",
            ]
        );
    }

    #[test]
    fn targets_may_come_as_a_list() {
        let migration = read(
            r#"prometheus.exporter.blackbox "x" {
  config  = "{ modules: {} }"
  targets = [
    { "name" = "a", "__address__" = "a:1", "module" = "tcp", "env" = "dev" },
    { "name" = "b", "address" = discovery.x },
    local.y,
  ]
}"#,
        )
        .unwrap();
        let names: Vec<_> = migration
            .targets
            .iter()
            .map(|target| (&*target.name, &*target.address))
            .collect();
        assert_eq!(names, [("a", "a:1")]);
        assert_eq!(migration.targets[0].labels["env"], "dev");
        assert_eq!(migration.notes.len(), 5, "{:#?}", migration.notes);
    }

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

//! The Alloy configuration with the built-in exporters replaced and everything else as it was.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::ops::Range;

use super::super::Migration;
use super::component::Component;
use super::scope::Scopes;
use super::{EXPORTER, File, have_owners};
use crate::config::files::targets::DEFAULT_MODULE;
use alloy_syntax::{Value, references};

/// Label of a target that says which exporter it was of; dropped before the scrape.
pub(super) const OWNER: &str = "alloy_component";

/// Adds the rewritten files to the migration.
pub(super) fn rewrite(
    files: &[File<'_>],
    scopes: &Scopes<'_>,
    components: &[Component<'_>],
    renamed: &[BTreeMap<String, String>],
    exporter: &str,
    migration: &mut Migration,
) {
    let owners = have_owners(components);
    let meta = files.iter().any(|file| file.text.contains("__meta_component"));
    migration.hints.extend(percent_signs(components));
    if let Some(component) = components.iter().find(|component| component.has_escapes)
        && files.iter().any(|file| file.text.contains("__param_target"))
    {
        migration.hints.push(format!(
            "{}: `__param_target` has %25 for the % of an address: a rule that copies it to a label changes that label",
            component.at(component.block.line)
        ));
    }
    let mut by_output = HashMap::new();
    for component in components {
        by_output
            .entry((component.scope, component.output()))
            .or_insert(component);
    }
    for file in files {
        let mut edits = Vec::new();
        for (component, renamed) in components.iter().zip(renamed) {
            if component.file.number == file.number {
                let writer = Writer {
                    component,
                    renamed,
                    exporter,
                    owners,
                    meta,
                };
                edits.push((component.block.span.clone(), writer.blocks(file.text)));
            }
        }
        for (span, path) in references(file.text).unwrap_or_default() {
            if !path.starts_with(EXPORTER) || path == EXPORTER {
                continue;
            }
            let mut scope = Some(scopes.at(file.number, span.start));
            let mut user = None;
            while let (Some(number), None) = (scope, user) {
                user = by_output.get(&(number, path.clone()));
                scope = scopes.get(number).outer;
            }
            match user {
                Some(user) => edits.push((span, output(user))),
                None if !path.ends_with(".targets") => {
                    migration.lost.push(format!("{}the reference {path}", file.at));
                }
                None => {}
            }
        }
        edits.sort_by_key(|(span, _)| span.start);
        migration
            .files
            .push((file.name.to_owned(), apply(file.text, &edits)));
    }
}

/// A hint where addresses are not known here: no rule can replace every `%` of a text.
fn percent_signs(components: &[Component<'_>]) -> Option<String> {
    let places = components.iter().flat_map(|component| {
        let unknown = component
            .computed
            .iter()
            .filter(|list| list.has_unknown_addresses);
        unknown.map(|list| component.at(list.line))
    });
    let places: Vec<_> = places.collect();
    (!places.is_empty()).then(|| {
        format!(
            "{}: `/probe` decodes a target that Alloy's exporter probed as written: if an address there has escapes such as %2F, write %25 for their %",
            places.join(", ")
        )
    })
}

fn apply(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut result = String::new();
    let mut at = 0;
    for (span, new) in edits {
        // The references inside a replaced block go with it.
        if span.start < at {
            continue;
        }
        result.push_str(text.get(at..span.start).unwrap_or_default());
        result.push_str(new);
        at = span.end;
    }
    result.push_str(text.get(at..).unwrap_or_default());
    result
}

/// What stands for the exporter's targets.
fn output(component: &Component<'_>) -> String {
    let name = &component.replacement;
    let mut parts = Vec::new();
    if !component.targets.is_empty() || component.computed.is_empty() {
        parts.push(format!("discovery.relabel.{name}.output"));
    }
    let computed = component.computed.iter().enumerate();
    parts.extend(computed.map(|(n, _)| format!("discovery.relabel.{name}_computed{}.output", suffix(n))));
    match parts.as_slice() {
        [only] => only.clone(),
        _ => format!("array.concat({})", parts.join(", ")),
    }
}

fn suffix(number: usize) -> String {
    if number == 0 {
        String::new()
    } else {
        (number + 1).to_string()
    }
}

struct Writer<'w, 'a> {
    component: &'w Component<'a>,
    renamed: &'w BTreeMap<String, String>,
    exporter: &'w str,
    /// Whether targets of several exporters stand in the targets file.
    owners: bool,
    /// Whether the configuration reads `__meta_component_*`.
    meta: bool,
}

impl Writer<'_, '_> {
    /// The blocks in place of the exporter's, indented as it was, and inside as `alloy fmt` does.
    fn blocks(&self, text: &str) -> String {
        let name = &self.component.replacement;
        let mut blocks = Vec::new();
        if !self.component.targets.is_empty() || self.component.computed.is_empty() {
            blocks.push(format!(
                "discovery.http \"{name}\" {{\n\turl              = {}\n\trefresh_interval = \"30s\"\n}}",
                text_value(&format!("http://{}/targets", self.exporter))
            ));
            let mut rules = Vec::new();
            if self.owners {
                rules.push(rule(&[
                    ("source_labels", &format!("[\"{OWNER}\"]")),
                    ("regex", &text_value(name)),
                    ("action", "\"keep\""),
                ]));
                rules.push(rule(&[
                    ("regex", &text_value(OWNER)),
                    ("action", "\"labeldrop\""),
                ]));
            }
            blocks.push(self.relabel(name, &format!("discovery.http.{name}.targets"), rules));
        }
        for (number, computed) in self.component.computed.iter().enumerate() {
            let label = format!("{name}_computed{}", suffix(number));
            blocks.push(self.relabel(&label, &computed.list, self.probe_rules()));
        }
        let start = self.component.block.span.start;
        let line = text
            .get(..start)
            .unwrap_or_default()
            .rsplit('\n')
            .next()
            .unwrap_or_default();
        let indent = if line.trim().is_empty() { line } else { "" };
        blocks
            .join("\n\n")
            .replace("\n", &format!("\n{indent}"))
            .replace(&format!("\n{indent}\n"), "\n\n")
    }

    fn relabel(&self, label: &str, targets: &str, mut rules: Vec<String>) -> String {
        if let Some(id) = self.component.id() {
            rules.push(set("instance", &id));
            if self.meta {
                rules.push(set("__meta_component_id", &id));
                rules.push(set("__meta_component_name", EXPORTER));
            }
        }
        let mut text = format!("discovery.relabel \"{label}\" {{\n\ttargets = {targets}\n");
        for rule in rules {
            _ = write!(text, "\n{rule}");
        }
        text.push('}');
        text
    }

    /// What Alloy's exporter makes of a target, as rules.
    fn probe_rules(&self) -> Vec<String> {
        let copy = |source: &str, target: &str| {
            rule(&[
                ("source_labels", &format!("[\"{source}\"]")),
                ("regex", "\"(.+)\""),
                ("target_label", &format!("\"{target}\"")),
            ])
        };
        let mut rules = vec![
            copy("__address__", "__param_target"),
            copy("address", "__param_target"),
            copy("module", "__param_module"),
        ];
        for (old, new) in self.renamed {
            let absent = if old == DEFAULT_MODULE { "|" } else { "" };
            let old = format!("{}{absent}", go_regexp::quote_meta(old));
            rules.push(rule(&[
                ("source_labels", "[\"__param_module\"]"),
                ("regex", &text_value(&old)),
                ("target_label", "\"__param_module\""),
                ("replacement", &text_value(&new.replace('$', "$$"))),
            ]));
        }
        rules.push(rule(&[
            ("source_labels", "[\"name\"]"),
            ("target_label", "\"job\""),
            ("replacement", "\"integrations/blackbox/$1\""),
        ]));
        rules.push(rule(&[
            ("regex", "\"name|address|module\""),
            ("action", "\"labeldrop\""),
        ]));
        for (label, value) in [
            ("__address__", self.exporter),
            ("__scheme__", "http"),
            ("__metrics_path__", "/probe"),
        ] {
            rules.push(set(label, value));
        }
        rules
    }
}

fn set(label: &str, value: &str) -> String {
    rule(&[
        ("target_label", &text_value(label)),
        ("replacement", &text_value(value)),
    ])
}

fn rule(arguments: &[(&str, &str)]) -> String {
    let width = arguments
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();
    let mut text = "\trule {\n".to_owned();
    for (name, value) in arguments {
        _ = writeln!(text, "\t\t{name:width$} = {value}");
    }
    text.push_str("\t}\n");
    text
}

fn text_value(text: &str) -> String {
    Value::Text(text.to_owned()).to_string()
}

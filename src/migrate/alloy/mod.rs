//! Replaces Alloy's built-in exporter: what its blocks probe becomes targets and modules of this exporter, and the
//! rest of the Alloy configuration stays as it is.
//!
//! The semantics are those of Alloy's source: `prometheus.exporter.blackbox` sets `job` and `instance` over the labels
//! of a target, `prometheus.scrape` has an interval of a minute and a timeout of ten seconds by default.

mod component;
mod flow;
mod rewrite;
mod scope;

use std::collections::{BTreeSet, HashSet};

use super::{Input, Links, MigrateError, Migration, modules};
use crate::config;
use alloy_syntax::{Attribute, Block, Statement, Value};
use component::{Component, Computed};
use scope::Scopes;

const EXPORTER: &str = "prometheus.exporter.blackbox";

/// A configuration file, read.
pub(super) struct File<'a> {
    number: usize,
    name: &'a str,
    text: &'a str,
    body: Vec<Statement>,
    /// What stands before a line number in a note: the file's name when there are several.
    at: String,
}

impl File<'_> {
    /// Where a note is about.
    fn place(&self, line: usize) -> String {
        format!("{}line {line}", self.at)
    }
}

/// Targets alone, or with modules and the Alloy configuration where the address is given at which Alloy reaches the exporter.
pub(super) fn read(
    inputs: &[Input],
    exporter: Option<&str>,
    links: &Links<'_>,
) -> Result<Migration, MigrateError> {
    let mut files = Vec::new();
    for input in inputs {
        let named = |separator: &str| match inputs {
            [_] => String::new(),
            _ => format!("{}{separator}", input.name),
        };
        let body = alloy_syntax::parse(&input.text)
            .map_err(|error| MigrateError::Syntax(format!("{}{error}", named(": "))))?;
        files.push(File {
            number: files.len(),
            name: &input.name,
            text: &input.text,
            body,
            at: named(", "),
        });
    }
    let mut migration = Migration::default();
    let scopes = Scopes::of(&files);
    let mut components = component::find(&scopes);
    let imported = imported(&scopes, links, &mut migration);
    if components.is_empty()
        && let Some(note) = imported.first()
    {
        return Err(MigrateError::Syntax(note.clone()));
    }
    migration.lost.extend(imported);
    if components.is_empty() {
        return Err(MigrateError::NoTargets(
            "there is no prometheus.exporter.blackbox block in it",
        ));
    }
    let mut rules = flow::Rules::default();
    for component in &mut components {
        component.read(&scopes, links, &mut migration);
        flow::follow(component, &scopes, &mut rules, &mut migration);
    }
    let renamed = merge_modules(&mut components, &mut migration);
    match exporter {
        None => targets_only(&components, &rules.notes, &mut migration),
        Some(exporter) => {
            let unread = std::mem::take(&mut migration.unread);
            migration.lost.extend(unread);
            rewrite::rewrite(&files, &scopes, &components, &renamed, exporter, &mut migration);
        }
    }
    collect_targets(components, exporter.is_some(), &mut migration);
    one_offset(exporter.is_some(), &mut migration);
    Ok(migration)
}

/// Puts the modules into one text and names them so in the targets; gives the new names, a map per component.
fn merge_modules(
    components: &mut [Component<'_>],
    migration: &mut Migration,
) -> Vec<std::collections::BTreeMap<String, String>> {
    let none = vec![Default::default(); components.len()];
    let files: Vec<_> = components
        .iter()
        .filter_map(|component| Some((component.block.label.clone(), component.modules.clone()?)))
        .collect();
    // What could not be read was said; without all of it no name is certain.
    if files.len() < components.len() {
        return none;
    }
    let merged = match modules::merge(&files) {
        Ok(merged) => merged,
        Err(error) => {
            migration.lost.push(format!("the modules: {error}"));
            return none;
        }
    };
    let parsed = config::parse(&merged.text);
    let problems: Vec<_> = parsed
        .problems
        .iter()
        .map(|problem| format!("the modules: {problem}"))
        .collect();
    let loads = problems.is_empty();
    let modules: HashSet<_> = parsed.config.modules.keys().map(String::as_str).collect();
    migration.lost.extend(problems);
    for (component, renamed) in components.iter_mut().zip(&merged.renamed) {
        for (name, new) in renamed {
            migration.hints.push(format!(
                "module {name:?} of {EXPORTER} {:?} is {new:?} now: another exporter has a different one of that name",
                component.block.label
            ));
        }
        for target in &mut component.targets {
            if let Some(new) = renamed.get(target.module()) {
                target.module.clone_from(new);
            }
        }
        if loads {
            let at = component.at(component.block.line);
            component.targets.retain(|target| {
                let known = modules.contains(target.module());
                if !known {
                    migration.lost.push(format!(
                        "{at}: target {:?}: there is no module {:?}, so Alloy could not probe it either",
                        target.name,
                        target.module()
                    ));
                }
                known
            });
        }
    }
    migration.modules = Some(merged.text);
    merged.renamed
}

/// Names what a targets file alone does not hold.
fn targets_only(components: &[Component<'_>], rules: &[String], migration: &mut Migration) {
    const REMEDY: &str = "--output writes a configuration that keeps them";
    for component in components {
        for Computed { line, list, .. } in &component.computed {
            let at = component.at(*line);
            migration.lost.push(format!(
                "{at}: the targets `{list}` are computed by Alloy; {REMEDY}"
            ));
        }
    }
    for rules in rules {
        migration.lost.push(format!("{rules} change labels; {REMEDY}"));
    }
    match components {
        [only] if only.config_file.is_some() => {
            let file = only.config_file.as_deref().unwrap_or_default();
            migration
                .hints
                .push(format!("start the exporter with --config.file={file}"));
        }
        _ => migration
            .lost
            .push("the modules are not part of a targets file; --output writes them".to_owned()),
    }
    migration.modules = None;
}

fn collect_targets(components: Vec<Component<'_>>, is_whole_set: bool, migration: &mut Migration) {
    let have_owners = have_owners(&components);
    for component in components {
        let id = component.id();
        for mut target in component.targets {
            if !is_whole_set {
                let id = id.clone().map(|id| ("instance".to_owned(), id));
                target.labels.extend(id);
            } else if have_owners {
                let owner = component.replacement.clone();
                target.labels.insert(rewrite::OWNER.to_owned(), owner);
            }
            migration.targets.push(target);
        }
    }
}

/// Whether targets of several exporters stand in the targets file: a label says whose they are.
fn have_owners(components: &[Component<'_>]) -> bool {
    let filled = components
        .iter()
        .filter(|component| !component.targets.is_empty());
    filled.count() > 1
}

/// An exporter has one offset.
fn one_offset(is_whole_set: bool, migration: &mut Migration) {
    let offsets: BTreeSet<_> = migration.offsets.iter().cloned().collect();
    if offsets.len() > 1 {
        let all: Vec<_> = offsets.into_iter().collect();
        migration.lost.push(format!(
            "`probe_timeout_offset` differs ({}): the exporter has one --timeout-offset",
            all.join(", ")
        ));
    } else if let (false, Some(offset)) = (is_whole_set, offsets.first()) {
        migration
            .hints
            .push(format!("start the exporter with --timeout-offset={offset}"));
    }
}

/// Names the exporters in files that are imported; what was not read is a hint.
fn imported(scopes: &Scopes<'_>, links: &Links<'_>, migration: &mut Migration) -> Vec<String> {
    let mut found = Vec::new();
    let blocks = scopes.iter().flat_map(|scope| &scope.blocks);
    for (block, file) in blocks.filter(|(block, _)| block.name.starts_with("import.")) {
        let what = format!("{}: {} {:?}", file.place(block.line), block.name, block.label);
        let text = |name: &str| match attribute(block, name).map(|a| &a.value) {
            Some(Value::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        let read = match (block.name.as_str(), text("filename"), text("content")) {
            ("import.file", Some(name), _) => links(name).ok(),
            ("import.string", _, Some(text)) => Some(vec![Input {
                name: "its text".to_owned(),
                text: text.to_owned(),
            }]),
            _ => None,
        };
        match read {
            Some(inputs) => found.extend(inputs.iter().filter(|input| input.text.contains(EXPORTER)).map(
                |input| {
                    format!(
                        "{what}: {} has a {EXPORTER}, too: migrate it by itself",
                        input.name
                    )
                },
            )),
            None => migration.hints.push(format!(
                "{what}: what it imports was not read; a {EXPORTER} there stays as it is"
            )),
        }
    }
    found
}

fn attribute<'a>(block: &'a Block, name: &str) -> Option<&'a Attribute> {
    block.body.iter().find_map(|statement| match statement {
        Statement::Attribute(attribute) if attribute.name == name => Some(attribute),
        _ => None,
    })
}

fn blocks(body: &[Statement]) -> impl Iterator<Item = &Block> {
    body.iter().filter_map(|statement| match statement {
        Statement::Block(block) => Some(block),
        Statement::Attribute(_) => None,
    })
}

#[cfg(test)]
mod tests;

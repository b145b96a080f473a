//! Follows the targets of an exporter to what scrapes and relabels them.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::super::{Migration, milliseconds};
use super::component::Component;
use super::scope::{At, Scopes, paths};
use super::{attribute, blocks};
use alloy_syntax::{Block, Statement, Value};

/// Alloy's defaults, in milliseconds.
const INTERVAL: u64 = 60_000;
const TIMEOUT: u64 = 10_000;

/// Sets interval and timeout of the targets, and names the rules that they pass.
pub(super) fn follow(
    component: &mut Component<'_>,
    scopes: &Scopes<'_>,
    rules: &mut Rules,
    migration: &mut Migration,
) {
    let users: Vec<_> = users(component, scopes)
        .into_iter()
        .filter_map(|user| Some((user, scopes.block(user)?.0)))
        .collect();
    let scrapes = users.iter().map(|(_, block)| *block);
    let scrapes: Vec<_> = scrapes
        .filter(|block| block.name == "prometheus.scrape")
        .collect();
    let is_clustered = scrapes
        .iter()
        .any(|scrape| blocks(&scrape.body).any(|block| block.name == "clustering"));
    let mut instance = false;
    for (user, block) in users {
        match block.name.as_str() {
            "discovery.relabel" => instance |= rules.note(user, is_clustered, scopes, migration),
            "prometheus.scrape" => {
                for path in paths(block, "forward_to") {
                    let relabel = scopes.get(user.0).receiver(&path);
                    instance |=
                        relabel.is_some_and(|index| rules.note((user.0, index), false, scopes, migration));
                }
            }
            _ => {}
        }
    }
    if !instance {
        migration.hints.push(format!(
            "{}: `instance` is the component's id, as since Alloy 1.12; for the host's name, as before, use `replacement = constants.hostname` in a prometheus.relabel",
            component.at(component.block.line)
        ));
    }
    set_periods(component, &scrapes, migration);
}

/// The blocks that the exporter's targets reach: the inner scopes first.
fn users(component: &Component<'_>, scopes: &Scopes<'_>) -> Vec<At> {
    let mut users: HashSet<At> = HashSet::new();
    let scope = scopes.get(component.scope);
    let mut reached: Vec<At> = scope
        .users(&component.output())
        .iter()
        .map(|index| (component.scope, *index))
        .collect();
    while let Some(user) = reached.pop() {
        if users.insert(user) {
            reached.extend(scopes.after(user));
        }
    }
    let mut users: Vec<_> = users.into_iter().collect();
    users.sort_unstable_by_key(|(scope, index)| (std::cmp::Reverse(*scope), *index));
    users
}

fn set_periods(component: &mut Component<'_>, scrapes: &[&Block], migration: &mut Migration) {
    let periods: BTreeSet<_> = scrapes.iter().map(|scrape| periods(scrape)).collect();
    let at = component.at(component.block.line);
    match periods.first() {
        Some(Some((interval, timeout))) if periods.len() == 1 => {
            for target in &mut component.targets {
                let interval = *target.interval.get_or_insert(*interval);
                let timeout = target.timeout.unwrap_or(*timeout).min(interval);
                target.timeout = Some(timeout);
            }
        }
        Some(_) => migration.hints.push(format!(
            "{at}: interval and timeout stay with prometheus.scrape, as several scrapes differ in them or Alloy computes them"
        )),
        None => migration.hints.push(format!(
            "{at}: no prometheus.scrape of these targets was found: the scraper chooses interval and timeout"
        )),
    }
}

/// Interval and timeout of a scrape, if they are literals.
fn periods(scrape: &Block) -> Option<(u64, u64)> {
    let period = |name: &str, default: u64| match attribute(scrape, name).map(|a| &a.value) {
        None => Some(default),
        Some(Value::Text(text)) => milliseconds(text),
        Some(_) => None,
    };
    Some((
        period("scrape_interval", INTERVAL)?,
        period("scrape_timeout", TIMEOUT)?,
    ))
}

/// Relabelling that targets or series pass.
#[derive(Default)]
pub(super) struct Rules {
    /// A sentence for each block with rules.
    pub notes: Vec<String>,
    /// Whether a block sets `instance`, by its place and whether its targets are of a cluster.
    known: HashMap<(At, bool), bool>,
}

impl Rules {
    /// Records that a block's rules change labels; tells whether one sets `instance`.
    fn note(&mut self, at: At, is_clustered: bool, scopes: &Scopes<'_>, migration: &mut Migration) -> bool {
        if let Some(instance) = self.known.get(&(at, is_clustered)) {
            return *instance;
        }
        let (mut instance, mut any) = (false, false);
        let Some((relabel, file)) = scopes.block(at) else {
            return false;
        };
        for statement in &relabel.body {
            match statement {
                Statement::Block(rule) if rule.name == "rule" => {
                    any = true;
                    let target = attribute(rule, "target_label").map(|a| &a.value);
                    if target != Some(&Value::Text("instance".to_owned())) {
                        continue;
                    }
                    instance = true;
                    let computed = attribute(rule, "replacement")
                        .is_some_and(|replacement| matches!(replacement.value, Value::Expression(_)));
                    if is_clustered && computed {
                        migration.hints.push(format!(
                            "{}: `instance` differs between the hosts of a cluster before the scrape: some targets are scraped twice and some never; set it in a prometheus.relabel after the scrape",
                            file.place(rule.line)
                        ));
                    }
                }
                Statement::Attribute(a) if a.name == "rules" => any = true,
                _ => {}
            }
        }
        if any {
            let place = file.place(relabel.line);
            self.notes.push(format!(
                "{place}: the rules of {} {:?}",
                relabel.name, relabel.label
            ));
        }
        self.known.insert((at, is_clustered), instance);
        instance
    }
}

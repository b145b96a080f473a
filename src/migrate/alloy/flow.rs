//! Follows the targets of an exporter to what scrapes and relabels them.

use std::collections::BTreeSet;

use super::super::Migration;
use super::component::Component;
use super::{attribute, blocks, milliseconds};
use alloy_syntax::{Block, Statement, Value};

/// Alloy's defaults, in milliseconds.
const INTERVAL: u64 = 60_000;
const TIMEOUT: u64 = 10_000;

/// Sets interval and timeout of the targets, and names the rules that they pass.
pub(super) fn follow(component: &mut Component<'_>, migration: &mut Migration) {
    let mut outputs = vec![component.output()];
    // Twice, as a block may refer to one that stands below it.
    for _ in 0..2 {
        for block in &component.siblings {
            extend(block, &mut outputs);
        }
        let seen = outputs.clone();
        let exported = component
            .exported
            .iter()
            .filter(|(value, _)| seen.iter().any(|o| value.contains(o)));
        outputs.extend(exported.map(|(_, name)| name.clone()));
        for block in &component.outside {
            extend(block, &mut outputs);
        }
    }
    let users: Vec<&Block> = component
        .siblings
        .iter()
        .chain(&component.outside)
        .copied()
        .filter(|block| uses(block, "targets", &outputs))
        .collect();
    let scrapes: Vec<_> = users
        .iter()
        .filter(|block| block.name == "prometheus.scrape")
        .collect();
    let mut instance = false;
    for relabel in users.iter().filter(|block| block.name == "discovery.relabel") {
        let clustered = scrapes
            .iter()
            .any(|scrape| blocks(&scrape.body).any(|block| block.name == "clustering"));
        instance |= note_rules(component, relabel, clustered, migration);
    }
    let receivers: Vec<String> = scrapes
        .iter()
        .filter_map(|scrape| Some(attribute(scrape, "forward_to")?.value.to_string()))
        .collect();
    for relabel in component
        .siblings
        .clone()
        .iter()
        .chain(&component.outside.clone())
    {
        let receiver = format!("prometheus.relabel.{}.receiver", relabel.label);
        if relabel.name == "prometheus.relabel" && receivers.iter().any(|text| text.contains(&receiver)) {
            instance |= note_rules(component, relabel, false, migration);
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

fn set_periods(component: &mut Component<'_>, scrapes: &[&&Block], migration: &mut Migration) {
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

fn extend(block: &Block, outputs: &mut Vec<String>) {
    if block.name == "discovery.relabel" && uses(block, "targets", outputs) {
        let output = format!("discovery.relabel.{}.output", block.label);
        if !outputs.contains(&output) {
            outputs.push(output);
        }
    }
}

fn uses(block: &Block, argument: &str, outputs: &[String]) -> bool {
    attribute(block, argument).is_some_and(|value| {
        let text = value.value.to_string();
        outputs.iter().any(|output| text.contains(output.as_str()))
    })
}

/// Records that rules change labels; tells whether one sets `instance`.
fn note_rules(
    component: &mut Component<'_>,
    relabel: &Block,
    clustered: bool,
    migration: &mut Migration,
) -> bool {
    let mut instance = false;
    let mut any = false;
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
                if clustered && computed {
                    migration.hints.push(format!(
                        "{}: `instance` differs between the hosts of a cluster before the scrape: some targets are scraped twice and some never; set it in a prometheus.relabel after the scrape",
                        component.at(rule.line)
                    ));
                }
            }
            Statement::Attribute(a) if a.name == "rules" => any = true,
            _ => {}
        }
    }
    if any {
        let rules = format!(
            "{}: the rules of {} {:?}",
            component.at(relabel.line),
            relabel.name,
            relabel.label
        );
        component.rules.push(rules);
    }
    instance
}

//! Reads the targets of a Prometheus configuration: what `static_configs` lists, after the relabelling that every
//! configuration of a blackbox exporter has.
//!
//! The relabelling rules are carried out, one after the other, on the labels of each target, as Prometheus does it
//! before a scrape. Only rules that replace are understood; that covers the usual ones.

mod scrapes;

use std::cell::Cell;
use std::collections::BTreeSet;

use super::{Links, MigrateError, Migration};
use crate::config::yaml::Document;
use scrapes::{MOST_STEPS, Scrapes};

/// Prometheus' default scrape interval and timeout in milliseconds.
const DEFAULT_INTERVAL: u64 = 60_000;
const DEFAULT_TIMEOUT: u64 = 10_000;

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

#[cfg(test)]
mod tests;

//! Reads the targets of a Prometheus configuration: what `static_configs` lists, after the relabelling that every
//! configuration of a blackbox exporter has.
//!
//! The relabelling rules are carried out, one after the other, on the labels of each target, as Prometheus does it
//! before a scrape. Only rules that replace are understood; that covers the usual ones.

mod job;
mod relabel;
mod yaml;

use std::collections::BTreeSet;

use super::{Links, MigrateError, Migration, document};
use job::Job;
use yaml::Yaml;

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
        let document = document(text)?;
        let yaml = Yaml::of(&document);
        let root = yaml.root();
        let migration = &mut self.migration;
        let global = *self.global.get_or_insert_with(|| {
            let none = (DEFAULT_INTERVAL, DEFAULT_TIMEOUT);
            Job::global(&yaml, file).map_or(none, |global| global.periods(none, migration))
        });
        let jobs = yaml.items(yaml.get(root, "scrape_configs").or(Some(root)));
        let jobs = jobs.iter().map(|job| Job::of(&yaml, *job, file));
        for job in jobs.filter(Job::is_probe) {
            if let Some(address) = job.other_exporter() {
                self.migration.hints.push(format!(
                    "job {:?} scrapes another exporter ({address}) and stays with Prometheus",
                    job.name()
                ));
                continue;
            }
            self.probes = true;
            job.read(global, self);
        }
        if yaml.is_endless() {
            return Err(MigrateError::Syntax("aliases repeat too much of it".to_owned()));
        }
        let mut files = Vec::new();
        for pattern in links.map_or_else(Vec::new, |_| yaml.texts(root, "scrape_config_files")) {
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

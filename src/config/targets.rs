//! The targets file: what to probe, for `GET /targets`.

use std::collections::BTreeMap;

/// A targets file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// The targets in the order of the file.
    pub targets: Vec<Target>,
}

/// One target, named as Alloy's `target` blocks name things.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Name of this entry, and its `job` unless a label says otherwise.
    pub name: String,
    /// What to probe: URL, host or `host:port`, as the module wants it.
    pub address: String,
    /// The module; empty means `http_2xx`.
    pub module: String,
    /// `hostname` parameter: Host header and TLS server name.
    pub hostname: String,
    /// Labels of every series of this target.
    pub labels: BTreeMap<String, String>,
    /// Scrape interval in milliseconds, when it is not the scraper's.
    pub interval: Option<u64>,
    /// Scrape time-out in milliseconds, when it is not the scraper's.
    pub timeout: Option<u64>,
}

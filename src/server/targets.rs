//! `/targets`: the targets file as Prometheus' HTTP service discovery reads it.
//!
//! The labels are those that relabelling would otherwise have to make: where to scrape, with which parameters, and
//! what the series are called. So `http_sd_configs` or `discovery.http` needs the URL of this page and nothing more.

use std::collections::BTreeMap;

use gostd::query::Query;
use http::StatusCode;
use serde::Serialize;

use super::answer::Response;
use super::front::Mount;
use super::{Exporter, answer, pages};
use crate::config::targets::{Target, Targets, format_milliseconds};

/// What Prometheus insists on.
const JSON: &str = "application/json";

/// How the caller reached us, which is how the scraper will.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reached {
    /// `host:port`
    address: String,
    /// Whether over TLS.
    tls: bool,
    /// The path of `/probe`.
    probe_path: String,
}

/// One entry of the answer.
#[derive(Debug, Serialize)]
struct Group<'a> {
    targets: [&'a str; 1],
    labels: BTreeMap<&'a str, String>,
}

/// `/targets`
pub async fn targets(exporter: &Exporter, mount: Mount<'_>) -> Response {
    let query = Query(mount.request.uri.query().unwrap_or(""));
    let as_page = pages::wants_html(&mount.request.headers) && query.first("format") != "json";
    if exporter.store.targets_file().is_none() {
        if as_page {
            return pages::message(
                StatusCode::NOT_FOUND,
                &pages::Message {
                    title: "There is no targets file".to_owned(),
                    text: "An exporter that was started with --targets.file serves its targets here to Prometheus and Alloy, which then \
                           need no relabelling."
                        .to_owned(),
                    links: Vec::new(),
                    more: 0,
                },
            );
        }
        return answer::error(
            StatusCode::NOT_FOUND,
            "no targets: start the exporter with --targets.file",
        );
    }
    if as_page {
        return pages::targets(&exporter.store.current(), query);
    }
    let Some(address) = mount.host() else {
        return answer::error(
            StatusCode::BAD_REQUEST,
            "the Host header must say where this exporter is reached",
        );
    };
    let reached = Reached {
        address,
        tls: mount.is_https(),
        probe_path: format!("{}probe", mount.path),
    };
    let loaded = exporter.store.current();
    answer::aside(
        move || match serde_json::to_string(&groups(&loaded.targets, &reached)) {
            Ok(body) => answer::text(StatusCode::OK, JSON, body + "\n"),
            Err(error) => answer::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        },
    )
    .await
}

fn groups<'a>(targets: &'a Targets, reached: &'a Reached) -> Vec<Group<'a>> {
    targets
        .targets
        .iter()
        .map(|target| group(target, reached))
        .collect()
}

fn group<'a>(target: &'a Target, reached: &'a Reached) -> Group<'a> {
    let mut labels = BTreeMap::from([
        ("job", target.name.clone()),
        ("instance", target.address.clone()),
        ("target", target.address.clone()),
        ("module", target.module().to_owned()),
    ]);
    // An empty value is no label to Prometheus: so a default can be taken away.
    labels.extend(
        target
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone())),
    );
    labels.insert("__metrics_path__", reached.probe_path.clone());
    labels.insert("__param_target", target.address.clone());
    labels.insert("__param_module", target.module().to_owned());
    if reached.tls {
        labels.insert("__scheme__", "https".to_owned());
    }
    if !target.hostname.is_empty() {
        labels.insert("__param_hostname", target.hostname.clone());
    }
    if let Some(interval) = target.interval {
        labels.insert("__scrape_interval__", format_milliseconds(interval));
    }
    if let Some(timeout) = timeout(target) {
        labels.insert("__scrape_timeout__", format_milliseconds(timeout));
    }
    Group {
        targets: [&reached.address],
        labels,
    }
}

/// The time-out to ask for. Prometheus refuses a target whose time-out is longer than its interval, and its own
/// default is ten seconds: a shorter interval brings its time-out along.
fn timeout(target: &Target) -> Option<u64> {
    const PROMETHEUS_DEFAULT: u64 = 10_000;
    target
        .timeout
        .or(target.interval.filter(|interval| *interval < PROMETHEUS_DEFAULT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(target: &Target, tls: bool) -> String {
        let reached = Reached {
            address: "e:9115".to_owned(),
            tls,
            probe_path: "/x/probe".to_owned(),
        };
        serde_json::to_string(&group(target, &reached)).unwrap()
    }

    #[test]
    fn a_target_becomes_a_group() {
        let plain = Target {
            name: "n".to_owned(),
            address: "a:1".to_owned(),
            ..Target::default()
        };
        assert_eq!(
            labels(&plain, false),
            r#"{"targets":["e:9115"],"labels":{"__metrics_path__":"/x/probe","__param_module":"http_2xx","__param_target":"a:1","instance":"a:1","job":"n","module":"http_2xx","target":"a:1"}}"#
        );
        let full = Target {
            module: "tcp".to_owned(),
            hostname: "h".to_owned(),
            labels: [("instance", "192.0.2.1"), ("module", ""), ("job", "j")]
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .into(),
            interval: Some(5000),
            ..plain
        };
        assert_eq!(
            labels(&full, true),
            r#"{"targets":["e:9115"],"labels":{"__metrics_path__":"/x/probe","__param_hostname":"h","__param_module":"tcp","__param_target":"a:1","__scheme__":"https","__scrape_interval__":"5s","__scrape_timeout__":"5s","instance":"192.0.2.1","job":"j","module":"","target":"a:1"}}"#
        );
    }
}

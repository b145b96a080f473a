//! The landing page as upstream prints it, for whoever reads it with a script.

use std::iter;

use crate::probe_log::excerpt_of;
use crate::server::{Exporter, answer};

/// Most bytes of a target.
// compat: upstream has no limit.
const TARGET: usize = 2048;

/// The whole page, in pieces.
pub fn page(exporter: &Exporter) -> impl Iterator<Item = String> + Send + use<> {
    let top = r#"<html>
    <head><title>Blackbox Exporter</title></head>
    <body>
    <h1>Blackbox Exporter</h1>
    <p><a href="probe?target=prometheus.io&module=http_2xx">Probe prometheus.io for http_2xx</a></p>
    <p><a href="probe?target=prometheus.io&module=http_2xx&debug=true">Debug probe prometheus.io for http_2xx</a></p>
    <p><a href="metrics">Metrics</a></p>
    <p><a href="config">Configuration</a></p>
    <h2>Recent Probes</h2>
    <table border='1'><tr><th>Module</th><th>Target</th><th>Result</th><th>Debug</th></tr>"#;
    let rows = exporter.history.list().into_iter().rev().map(|entry| {
        let result = if entry.outcome.success {
            "Success"
        } else {
            "<strong>Failure</strong>"
        };
        format!(
            "<tr><td>{}</td><td>{}</td><td>{result}</td><td><a href='logs?id={}'>Logs</a></td></tr>",
            answer::escape_html(&entry.module.name),
            answer::escape_html(&excerpt_of(&entry.target, TARGET).to_string()),
            entry.id,
        )
    });
    let end = "</table></body>\n    </html>";
    iter::once(top.to_owned())
        .chain(rows)
        .chain(iter::once(end.to_owned()))
}

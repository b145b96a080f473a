//! The landing page as upstream prints it, for whoever reads it with a script.

use std::fmt::Write as _;

use crate::server::{Exporter, answer};

/// The whole page.
pub fn page(exporter: &Exporter) -> String {
    let mut page = String::from(
        r#"<html>
    <head><title>Blackbox Exporter</title></head>
    <body>
    <h1>Blackbox Exporter</h1>
    <p><a href="probe?target=prometheus.io&module=http_2xx">Probe prometheus.io for http_2xx</a></p>
    <p><a href="probe?target=prometheus.io&module=http_2xx&debug=true">Debug probe prometheus.io for http_2xx</a></p>
    <p><a href="metrics">Metrics</a></p>
    <p><a href="config">Configuration</a></p>
    <h2>Recent Probes</h2>
    <table border='1'><tr><th>Module</th><th>Target</th><th>Result</th><th>Debug</th></tr>"#,
    );
    for entry in exporter.history.list().iter().rev() {
        let result = if entry.outcome.success {
            "Success"
        } else {
            "<strong>Failure</strong>"
        };
        // Writing to a string does not fail.
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{result}</td><td><a href='logs?id={}'>Logs</a></td></tr>",
            answer::escape_html(&entry.module.name),
            answer::escape_html(&entry.target),
            entry.id,
        );
    }
    page.push_str("</table></body>\n    </html>");
    page
}

//! The text of a past probe: its log, its metrics and its module, as `debug=true` and `/logs` show it.

use std::sync::Arc;

use super::history::Entry;
use crate::logging::{Format, render_probe};
use crate::metrics::Escaping;
use crate::metrics::encode;
use crate::metrics::negotiate::{Exposition, Format as ExpositionFormat};
use crate::module::Kind;
use crate::probe_log::{Level, Value, text};

/// The whole text.
// compat: upstream shows only the lines that `--log.prober` lets through, so a passing probe mostly shows none.
pub fn page(entry: &Entry, format: Format) -> String {
    let mut page = String::with_capacity(4096);
    page.push_str("Logs for the probe:\n");
    let (module, target) = (text(&entry.module.name), Value::from(entry.target.to_string()));
    render_probe(
        &mut page,
        format,
        &entry.outcome.log,
        Level::Debug,
        &module,
        &target,
    );
    page.push_str("\n\n\nMetrics that would have been returned:\n");
    let mut metrics = Vec::with_capacity(2048);
    encode::probe(
        &entry.outcome.samples,
        Exposition {
            format: ExpositionFormat::Text,
            escaping: Escaping::AllowUtf8,
        },
        &mut metrics,
    );
    page.push_str(&String::from_utf8_lossy(&metrics));
    page.push_str("\n\n\nModule configuration:\n");
    page.push_str(&module_text(entry));
    page
}

/// The module as it ran, with the `hostname` of the request.
pub fn module_text(entry: &Entry) -> String {
    let mut raw = Arc::clone(&entry.module.raw);
    if let (Kind::Http(_), Some(hostname)) = (&entry.module.kind, &entry.hostname) {
        Arc::make_mut(&mut raw)
            .http
            .headers
            .insert("Host".to_owned(), hostname.to_string());
    }
    if let (Kind::Tcp(_), Some(hostname)) = (&entry.module.kind, &entry.hostname)
        && raw.tcp.tls_config.server_name.is_empty()
    {
        Arc::make_mut(&mut raw).tcp.tls_config.server_name = hostname.to_string();
    }
    crate::config::write::module(&raw)
}

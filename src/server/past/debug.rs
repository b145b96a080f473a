//! The text of a past probe: its log, its metrics and its module, as `debug=true` and `/logs` show it.

use std::iter;
use std::sync::Arc;

use super::entry::Entry;
use super::pieces;
use crate::config::Prober;
use crate::display::passive;
use crate::logging::LogFormat;
use crate::metrics::Escaping;
use crate::metrics::encode;
use crate::metrics::negotiate::{Exposition, Format};
use crate::strconv::quote;

/// The whole text, in pieces.
// compat: upstream shows only the lines that `--log.prober` lets through, so a passing probe mostly shows none.
pub fn text(entry: &Arc<Entry>, format: LogFormat) -> impl Iterator<Item = String> + Send + use<> {
    let log = pieces::log(Arc::clone(entry), format);
    let (whole, metrics, module) = (Arc::clone(entry), Arc::clone(entry), Arc::clone(entry));
    let body = entry.outcome.body.is_some().then(|| body(Arc::clone(entry)));
    iter::once("Logs for the probe:\n".to_owned())
        .chain(log)
        .chain(iter::once_with(move || long_target(&whole)))
        .chain(iter::once_with(move || {
            format!(
                "\n\n\nMetrics that would have been returned:\n{}",
                metrics_text(&metrics)
            )
        }))
        .chain(iter::once_with(move || {
            format!("\n\n\nModule configuration:\n{}", module_text(&module))
        }))
        .chain(body.into_iter().flatten())
}

/// The beginning of the response's body, in pieces.
fn body(entry: Arc<Entry>) -> impl Iterator<Item = String> + Send {
    let cut = entry.outcome.body.as_ref().is_some_and(|body| body.cut);
    let title = if cut {
        "Response body (its beginning)"
    } else {
        "Response body"
    };
    let text = pieces::of(Text(entry)).map(|piece| passive(&piece));
    iter::once(format!("\n\n\n{title}:\n"))
        .chain(text)
        .chain(iter::once("\n".to_owned()))
}

/// The body of a past probe.
struct Text(Arc<Entry>);

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.0.outcome.body.as_ref().map_or("", |body| &body.text)
    }
}

/// The target, when the lines of the log hold its beginning only.
fn long_target(entry: &Entry) -> String {
    match entry.target.len() {
        ..=crate::logging::TARGET => String::new(),
        _ => format!("\nThe whole target:\n{}\n", quote(&entry.target)),
    }
}

/// What a scrape got. For people: nothing that a terminal would act on.
pub fn metrics_text(entry: &Entry) -> String {
    let mut metrics = Vec::with_capacity(2048);
    encode::probe(
        &entry.outcome.samples,
        Exposition {
            format: Format::Text,
            escaping: Escaping::AllowUtf8,
        },
        &mut metrics,
    );
    passive(&String::from_utf8_lossy(&metrics))
}

/// The module as it ran, with the `hostname` of the request.
pub fn module_text(entry: &Entry) -> String {
    let mut raw = Arc::clone(&entry.module.raw);
    if let (Prober::Http, Some(hostname)) = (raw.prober, &entry.hostname) {
        Arc::make_mut(&mut raw)
            .http
            .headers
            .insert("Host".to_owned(), hostname.to_string());
    }
    if let (Prober::Tcp, Some(hostname)) = (raw.prober, &entry.hostname)
        && raw.tcp.tls_config.server_name.is_empty()
    {
        Arc::make_mut(&mut raw).tcp.tls_config.server_name = hostname.to_string();
    }
    crate::config::write::module(&raw)
}

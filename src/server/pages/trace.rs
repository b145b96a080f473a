//! `/trace?target=…&module=…`: to the trace of a target's last failed probe, for links from dashboards and alerts, which know no
//! trace ids.

use std::iter;
use std::sync::Arc;

use gostd::query::Query;
use http::{Method, StatusCode};

use super::named::{Known, Named};
use super::result::place;
use super::target::{RESULTS, choices, title};
use super::{MessagePage, html};
use crate::server::Exporter;
use crate::server::answer::{self, Response};
use crate::server::past::row::Row;

/// Redirects to the trace; when there is none, a page says why.
pub fn trace(exporter: &Exporter, method: &Method, query: Query<'_>) -> Response {
    let named = Named::of(query, &exporter.store.current());
    let Known { rows, others } = named.known(exporter);
    let name = rows.first().map_or(named.name(), |row| row.name());
    let trace = |row: &Arc<Row>| {
        let entries = exporter.history.of(row.name());
        let mut failed = entries.iter().filter(|entry| !entry.outcome.success);
        failed.find_map(|entry| entry.outcome.trace.clone())
    };
    // Of no other: its trace would be taken for that of this one.
    let context = rows.first().and_then(trace);
    let text = match (&context, &exporter.settings.trace_link) {
        (Some(context), Some(link)) => {
            return answer::redirect(method, StatusCode::FOUND, &link.of(context));
        }
        (Some(context), None) => format!(
            "The trace of the last failed probe is {}. No tracing UI is configured: set --trace.url.",
            context.trace
        ),
        (None, _) => {
            "The history has no failed probe of this target and module with a trace; only modules with a trace section have traces."
                .to_owned()
        }
    };
    let page = MessagePage {
        title: title(name),
        text,
        links: iter::once((place(name), "All results of this target".to_owned()))
            .chain(choices(rows.iter().skip(1).chain(&others).take(RESULTS)))
            .collect(),
        more: 0,
    };
    html(StatusCode::NOT_FOUND, &page)
}

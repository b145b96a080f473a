//! `/logs`: a past probe by its number, or the newest of a target; as text, or as a page for a browser.

use std::sync::Arc;

use gostd::query::Query;
use http::StatusCode;

use crate::server::answer::Response;
use crate::server::mount::Mount;
use crate::server::pages::Named;
use crate::server::past::debug;
use crate::server::past::entry::Entry;
use crate::server::{Exporter, answer, pages};

/// Shows a past probe.
pub fn logs(exporter: &Exporter, mount: Mount<'_>) -> Response {
    let query = mount.query();
    match find(exporter, query) {
        Ok(entry) if pages::wants_html(&mount.request.headers) && query.first("format") != "text" => {
            pages::result(exporter, &entry, mount)
        }
        Ok(entry) => {
            let text = debug::text(&entry, exporter.logger.format());
            answer::pieces(StatusCode::OK, answer::PLAIN, text)
        }
        Err((status, message)) => answer::error(status, message),
    }
}

/// The probe that `id`, or `target` and `module`, ask for.
///
/// # Errors
/// Status and text of the answer.
pub(crate) fn find(exporter: &Exporter, query: Query<'_>) -> Result<Arc<Entry>, (StatusCode, &'static str)> {
    let bad_request = |message| Err((StatusCode::BAD_REQUEST, message));
    let id: Option<i64> = query.first("id").parse().ok();
    let target = query.first("target");
    if id.is_some() && !target.is_empty() {
        return bad_request("Probe id and target can't be defined at the same time");
    }
    // -1 is upstream's mark for "none".
    let id = id.unwrap_or(-1);
    if id == -1 && target.is_empty() {
        return bad_request("Probe id or target must be defined as http query parameters");
    }
    let module = query.first("module");
    if target.is_empty() && !module.is_empty() {
        return bad_request("Probe module filter only works in conjunction with target parameter");
    }
    if target.is_empty() {
        let entry = exporter.history.by_id(id);
        return entry.ok_or((StatusCode::NOT_FOUND, "Probe id not found"));
    }
    let entry = exporter
        .history
        .newest_of(Named::of(query, &exporter.store.current()).name());
    entry.ok_or((StatusCode::NOT_FOUND, "Probe target not found"))
}

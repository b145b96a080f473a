//! `/metrics`: the exporter's own families.

use http::header::HeaderMap;

use crate::server::answer::Response;
use crate::server::{Exporter, exposition};

/// Answers with the exporter's own families.
pub fn metrics(exporter: &Exporter, headers: &HeaderMap) -> Response {
    let scrape = exporter.instruments.start_scrape();
    let response = exposition::answer(headers, 16 << 10, |format, body| {
        exporter.instruments.encode(format, body);
    });
    // Counted after the answer was made, so that a scrape never counts itself.
    scrape.finish();
    response
}

//! `/metrics`: the exporter's own families.

use http::StatusCode;
use http::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};

use super::answer::Response;
use super::probe::{accepts_gzip, negotiated};
use super::{Exporter, answer};
use crate::metrics::negotiate::Exposition;

/// Answers with the exporter's own families.
pub fn metrics(exporter: &Exporter, headers: &HeaderMap) -> Response {
    let scrape = exporter.instruments.start_scrape();
    let exposition = negotiated(headers);
    let mut body = Vec::with_capacity(16 << 10);
    exporter.instruments.encode(exposition, &mut body);
    let response = answer(body, exposition, accepts_gzip(headers));
    // Counted after the answer was made, so that a scrape never counts itself.
    scrape.finish();
    response
}

/// An exposition as an answer, compressed if wanted.
pub(super) fn answer(body: Vec<u8>, exposition: Exposition, gzip: bool) -> Response {
    let compressed = if gzip { compress(&body) } else { None };
    let coded = compressed.is_some();
    let mut response = answer::text(
        StatusCode::OK,
        exposition.content_type(),
        compressed.unwrap_or(body),
    );
    if coded {
        response
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Some ten kilobytes at most, so this takes far less than what would need a thread of its own.
fn compress(body: &[u8]) -> Option<Vec<u8>> {
    use std::io::Write;
    let mut encoder =
        flate2::write::GzEncoder::new(Vec::with_capacity(body.len() / 4), flate2::Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

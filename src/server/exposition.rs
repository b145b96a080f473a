//! Expositions as answers: in the format that the scraper asks for, and compressed if it wants that.

use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::{Compress, Compression, FlushCompress, Status};
use http::StatusCode;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue};

use super::answer::{self, Response};
use crate::metrics::negotiate::{Exposition, wants_gzip};

/// Longer `Accept` headers are read again each time.
const LONGEST_REMEMBERED: usize = 1024;

/// An answer with what `encode` writes, which is about as many bytes as there is `room` for.
pub(super) fn answer(
    headers: &HeaderMap,
    room: usize,
    encode: impl FnOnce(Exposition, &mut Vec<u8>),
) -> Response {
    let (exposition, content_type) = negotiated(headers);
    let mut body = Vec::with_capacity(room);
    encode(exposition, &mut body);
    let compressed = if accepts_gzip(headers) {
        compress(&body)
    } else {
        None
    };
    let coded = compressed.is_some();
    let mut response = answer::typed(StatusCode::OK, content_type, compressed.unwrap_or(body));
    if coded {
        response
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Compressors for the next answers: a new one has 320 KiB of tables to clear, a quarter of the time of compressing an answer.
static SPARE: Mutex<Vec<Compress>> = Mutex::new(Vec::new());
/// Most of them that are kept; when more answers are compressed at a time, the others make their own.
const MOST_SPARE: usize = 2;

fn spare() -> MutexGuard<'static, Vec<Compress>> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Some ten kilobytes at most, so this takes far less than what would need a thread of its own.
fn compress(body: &[u8]) -> Option<Vec<u8>> {
    let ready = spare().pop();
    let mut compressor = ready.unwrap_or_else(|| Compress::new_gzip(Compression::fast(), 15));
    // Most expositions become less than half as long. What does not gets more room.
    let mut out = Vec::with_capacity(body.len() / 2 + 64);
    loop {
        let taken = usize::try_from(compressor.total_in()).ok()?;
        let rest = body.get(taken..)?;
        match compressor
            .compress_vec(rest, &mut out, FlushCompress::Finish)
            .ok()?
        {
            Status::StreamEnd => break,
            Status::Ok | Status::BufError => out.reserve(body.len() / 2 + 64),
        }
    }
    compressor.reset();
    let mut spare = spare();
    if spare.len() < MOST_SPARE {
        spare.push(compressor);
    }
    Some(out)
}

/// A format, and the type of an answer that has it.
type Negotiated = (Exposition, HeaderValue);

thread_local! {
    /// What was last made of an `Accept` header, or of none: all of a Prometheus are the same.
    static NEGOTIATED: RefCell<Option<(Option<HeaderValue>, Negotiated)>> = const { RefCell::new(None) };
}

/// The format that a scraper asks for.
fn negotiated(headers: &HeaderMap) -> Negotiated {
    let accept = headers.get(ACCEPT);
    NEGOTIATED.with_borrow_mut(|last| match last {
        Some((before, negotiated)) if before.as_ref() == accept => negotiated.clone(),
        _ => {
            let exposition = Exposition::negotiate(accept.and_then(|accept| accept.to_str().ok()));
            let content_type = HeaderValue::from_static(exposition.content_type());
            let negotiated = (exposition, content_type);
            // A copy: the header itself keeps the whole request.
            let copy = |accept: &HeaderValue| HeaderValue::from_bytes(accept.as_bytes());
            if accept.is_none_or(|accept| accept.len() <= LONGEST_REMEMBERED)
                && let Ok(copy) = accept.map(copy).transpose()
            {
                *last = Some((copy, negotiated.clone()));
            }
            negotiated
        }
    })
}

/// Whether a scraper wants its answer compressed.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    wants_gzip(
        headers
            .get_all(ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok()),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn what_is_compressed_one_after_the_other_reads_back() {
        let metrics = b"probe_success 1\nprobe_duration_seconds 0.0012\n".repeat(50);
        // Nothing repeats in it.
        let random: Vec<u8> = std::iter::repeat_with(rand::random).take(5000).collect();
        for body in [&metrics[..], &random, b"", &metrics[..40], &metrics] {
            let compressed = compress(body).unwrap();
            let mut whole = Vec::new();
            GzDecoder::new(&compressed[..]).read_to_end(&mut whole).unwrap();
            assert_eq!(whole, body);
        }
        assert!(compress(&metrics).unwrap().len() < metrics.len() / 10);
    }
}

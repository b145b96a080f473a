//! What heads of requests hold: their own copies, and memory that is set aside for them.

use bytes::Bytes;
use http::header::HeaderValue;
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{StatusCode, Version};

use crate::memory::{self, Share, Use};
use crate::server::answer::{self, Response};

/// Maximum header lines of a request.
pub const MAX_HEADERS: usize = 256;
/// Heads up to this size are part of what a connection takes.
pub const SMALL_HEAD: usize = 16 << 10;
/// How much more memory is set aside at a time.
const STEP: usize = 64 << 10;
/// What a field of a request over HTTP/2 takes besides its name and value, in bytes.
const FIELD: usize = 100;

/// Copies path, query and values of a head, which are parts of the buffer that the head was read into: so a request does not
/// keep that.
pub fn own(request: &mut Parts) {
    for value in request.headers.values_mut() {
        // What was a value is one.
        if let Ok(owned) = HeaderValue::from_bytes(value.as_bytes()) {
            *value = owned;
        }
    }
    let path = request.uri.path_and_query().map_or("", PathAndQuery::as_str);
    if let Some(uri) = with_path(&request.uri, Bytes::copy_from_slice(path.as_bytes())) {
        request.uri = uri;
    }
}

/// A URI with that path and query, which are its own in another place.
fn with_path(uri: &Uri, path: Bytes) -> Option<Uri> {
    if uri.scheme().is_none() && uri.authority().is_none() {
        return PathAndQuery::from_maybe_shared(path).map(Uri::from).ok();
    }
    let mut parts = uri.clone().into_parts();
    // A URI with a host is rare, and a copy of its own.
    let host = parts.authority.take().map(|host| host.as_str().parse());
    parts.authority = host.transpose().ok()?;
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(path).ok()?);
    Uri::from_parts(parts).ok()
}

/// The memory for the head that is under way over a connection.
#[derive(Debug, Default)]
pub struct HeadRoom {
    bytes: usize,
    share: Option<Share>,
}

impl HeadRoom {
    /// Sets memory aside for more bytes of a head; false when there is none.
    pub fn hold(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        // hyper's buffer grows by doubling.
        let wanted = match self.bytes {
            ..=SMALL_HEAD => return true,
            head => 2 * head,
        };
        let share = match &mut self.share {
            Some(share) => share,
            share => match memory::take(Use::Heads, 0) {
                Some(empty) => share.insert(empty),
                None => return false,
            },
        };
        let more = wanted.saturating_sub(share.bytes());
        more == 0 || share.grow(more.max(STEP))
    }
}

/// Sets memory aside for a head that came over HTTP/2; those of HTTP/1 are counted while they are read.
pub fn hold(request: &Parts) -> Result<Option<Share>, Box<Response>> {
    if request.version != Version::HTTP_2 {
        return Ok(None);
    }
    let fields = &request.headers;
    if fields.len() > MAX_HEADERS {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Box::new(answer::error(status, "Request Header Fields Too Large")));
    }
    let bytes: usize = fields
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + FIELD)
        .sum();
    let path = request.uri.path_and_query().map_or(0, |path| path.as_str().len());
    match memory::take(Use::Heads, bytes + path) {
        Some(share) => Ok(Some(share)),
        None => Err(Box::new(answer::no_memory("request"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_buffer_is_kept() {
        for target in [
            "/probe?module=a&target=b%20c",
            "/",
            "http://example.com:80/probe?x",
        ] {
            let buffer = Bytes::from(format!("{target} \u{e4} value"));
            let value = HeaderValue::from_maybe_shared(buffer.slice(target.len()..)).unwrap();
            let uri = Uri::from_maybe_shared(buffer.slice(..target.len())).unwrap();
            let (mut head, ()) = http::Request::new(()).into_parts();
            head.uri = uri;
            head.headers.append("x", value.clone());
            head.headers.append("x", HeaderValue::from_static(""));
            head.headers.append("y", value.clone());
            drop(value);
            let before = (head.uri.clone(), head.headers.clone());
            own(&mut head);
            assert_eq!((&head.uri, &head.headers), (&before.0, &before.1));
            drop(before);
            assert!(buffer.is_unique(), "{target}");
        }
    }
}

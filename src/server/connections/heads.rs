//! Heads of requests that own what they hold.

use bytes::Bytes;
use http::header::HeaderValue;
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};

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

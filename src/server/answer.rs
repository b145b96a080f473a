//! Answers in the shape of Go's `net/http`.

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use http::{Method, StatusCode};

use crate::carried;

/// An answer.
pub type Response = axum::response::Response;

/// What Go detects for plain text, and what `http.Error` says.
pub const PLAIN_UTF8: &str = "text/plain; charset=utf-8";
/// What upstream sets on its plain pages.
pub const PLAIN: &str = "text/plain";
/// What upstream sets on its HTML pages.
pub const HTML: &str = "text/html";

/// An answer with a body of that type.
pub fn text(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    typed(status, HeaderValue::from_static(content_type), body)
}

/// The same where the type is a header's value already.
pub fn typed(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Texts up to this size are sent whole, with their length.
const SHORT: usize = 32 << 10;

/// An answer with a body that is made of pieces, each when the caller has taken those before.
pub fn pieces(
    status: StatusCode,
    content_type: &'static str,
    mut pieces: impl Iterator<Item = String> + Send + 'static,
) -> Response {
    let mut first = String::new();
    while first.len() <= SHORT {
        match pieces.next() {
            Some(piece) => first.push_str(&piece),
            None => return text(status, content_type, carried::bytes(&first).into_owned()),
        }
    }
    let pieces = std::iter::once(first).chain(pieces);
    let pieces = pieces.map(|piece| Bytes::from(carried::bytes(&piece).into_owned()));
    bytes(status, content_type, pieces)
}

/// As [`pieces`], of bytes.
pub fn bytes(
    status: StatusCode,
    content_type: &'static str,
    pieces: impl Iterator<Item = Bytes> + Send + 'static,
) -> Response {
    let pieces = futures_util::stream::iter(pieces.map(Ok::<_, Infallible>));
    let mut response = text(status, content_type, Bytes::new());
    *response.body_mut() = Body::from_stream(pieces);
    response
}

/// There is no memory for what was asked for.
pub fn no_memory(what: &str) -> Response {
    let message = format!("Too little memory left for this {what}, see --memory.limit");
    let mut response = error(StatusCode::SERVICE_UNAVAILABLE, &message);
    let soon = HeaderValue::from_static("1");
    response.headers_mut().insert(RETRY_AFTER, soon);
    response
}

/// An answer that takes a while to make: no other request waits for it.
pub async fn aside(make: impl FnOnce() -> Response + Send + 'static) -> Response {
    let made = tokio::task::spawn_blocking(make).await;
    made.unwrap_or_else(|_panic| error(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"))
}

/// An answer without body and type.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// The connection ends with this answer.
pub fn close(response: &mut Response) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}

/// Adds the time, before the length as in Go. hyper's own stands still when the clock is put back, until it has caught up.
pub fn date(response: &mut Response) {
    let is_known = response.status() == StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    let length = headers.remove(CONTENT_LENGTH).filter(|_| !is_known);
    headers.insert(DATE, now());
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, length);
    }
}

/// The time as a header has it, printed once per second.
fn now() -> HeaderValue {
    thread_local! {
        static PRINTED: RefCell<(u64, HeaderValue)> = const { RefCell::new((0, HeaderValue::from_static(""))) };
    }
    let now = SystemTime::now();
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    PRINTED.with_borrow_mut(|(at, printed)| {
        if *at != seconds
            && let Ok(value) = HeaderValue::try_from(httpdate::fmt_http_date(now))
        {
            (*at, *printed) = (seconds, value);
        }
        printed.clone()
    })
}

/// `http.Error`: the message and a newline, never to be sniffed for another type.
pub fn error(status: StatusCode, message: &str) -> Response {
    let mut response = text(
        status,
        PLAIN_UTF8,
        carried::bytes(&format!("{message}\n")).into_owned(),
    );
    response.headers_mut().insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// `http.NotFound`.
pub fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "404 page not found")
}

/// `http.Redirect`, with its small page for GET; HEAD has its type alone.
pub fn redirect(method: &Method, status: StatusCode, location: &str) -> Response {
    let Ok(value) = HeaderValue::from_str(&ascii(location)) else {
        return error(StatusCode::BAD_REQUEST, "the path cannot be redirected");
    };
    const PAGE: &str = "text/html; charset=utf-8";
    let mut response = match *method {
        Method::GET => {
            let reason = status.canonical_reason().unwrap_or("Found");
            let page = format!("<a href=\"{}\">{reason}</a>.\n\n", escape_html(location));
            text(status, PAGE, page)
        }
        Method::HEAD => text(status, PAGE, ""),
        _ => empty(status),
    };
    response.headers_mut().insert(LOCATION, value);
    response
}

/// Percent-encodes what is not ASCII, and before a query the backslash, which browsers take for a slash.
fn ascii(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    let bytes = carried::bytes(text);
    let path = bytes.iter().position(|byte| *byte == b'?').unwrap_or(bytes.len());
    for (index, byte) in bytes.iter().enumerate() {
        if *byte == b'\\' && index < path {
            out.push_str("%5C");
        } else if byte.is_ascii() {
            out.push(char::from(*byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02x}");
        }
    }
    out
}

/// Go's `html.EscapeString`.
pub fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_where_it_says() {
        for (location, want) in [
            ("/\\evil.example/?a=\\b", "/%5Cevil.example/?a=\\b"),
            ("/ä?b=ä", "/%c3%a4?b=%c3%a4"),
            ("/plain/", "/plain/"),
        ] {
            let response = redirect(&Method::HEAD, StatusCode::TEMPORARY_REDIRECT, location);
            assert_eq!(response.headers().get(LOCATION).unwrap(), want);
        }
    }
}

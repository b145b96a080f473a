//! The pages for people: rendered on the server, without anything from elsewhere, and safe for whatever a target sends.
//!
//! A client that does not ask for HTML gets what upstream's tools expect: plain text, and the plain landing page.

mod classic;
mod home;
mod picture;
mod result;

use std::iter;
use std::sync::Arc;

use askama::Template;
use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{StatusCode, Uri};

use super::answer::Response;
use super::front::Mount;
use super::history::Entry;
use super::{Exporter, answer, pieces};
use crate::logging::Format;

/// Nothing but our own style sheet and script, no frames, no forms to elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const HTML_UTF8: &str = "text/html; charset=utf-8";

/// `/`, and every path that no endpoint has.
pub fn landing(exporter: &Exporter, uri: &Uri, headers: &HeaderMap) -> Response {
    if uri.path() != "/" || !wants_html(headers) {
        return answer::pieces(StatusCode::OK, answer::HTML, classic::page(exporter));
    }
    if headers.get("x-fragment").is_some() {
        return html(&home::Recent::new(exporter));
    }
    html(&home::Home::new(exporter))
}

/// `/config`: the configuration as loaded, with defaults and without secrets.
pub async fn config(exporter: &Exporter, headers: &HeaderMap) -> Response {
    let (loaded, as_page) = (exporter.store.current(), wants_html(headers));
    answer::aside(move || {
        let text = loaded.text();
        if as_page {
            let escaped = pieces::of(text).map(|piece| answer::escape_html(&piece));
            return around(&Config, CONFIG, escaped);
        }
        let shared = Bytes::from_owner(Arc::<[u8]>::from(text));
        answer::text(StatusCode::OK, answer::PLAIN, shared)
    })
    .await
}

/// The page of one past probe.
pub(super) fn result(entry: &Arc<Entry>, mount: Mount<'_>) -> Response {
    let host = mount.host().unwrap_or_else(|| "localhost:9115".to_owned());
    let scheme = if mount.is_https() { "https" } else { "http" };
    let page = result::Result::new(entry, &format!("{scheme}://{host}{}", mount.path));
    let log = pieces::log(Arc::clone(entry), Format::Logfmt).map(|lines| answer::escape_html(&lines));
    around(&page, LOG, log)
}

/// `/assets/style.css`.
pub fn style() -> Response {
    asset(
        "text/css; charset=utf-8",
        include_str!("../../../templates/style.css"),
    )
}

/// `/assets/script.js`.
pub fn script() -> Response {
    asset(
        "text/javascript; charset=utf-8",
        include_str!("../../../templates/script.js"),
    )
}

/// Whether a client names HTML in what it accepts, as browsers do and scrapers, curl and scripts do not.
pub(super) fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        parts
            .next()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"))
            && !parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

#[derive(Template)]
#[template(path = "config.html")]
struct Config;

/// Where the text of the configuration stands in its page.
const CONFIG: &str = r#"<pre id="config" tabindex="0">"#;
/// Where the log stands in the page of a probe.
const LOG: &str = r#"<pre id="log" tabindex="0">"#;

/// A page around a text in pieces, which stands behind `mark`. Nothing else on the page can look like it: texts are escaped.
fn around(
    page: &impl Template,
    mark: &'static str,
    text: impl Iterator<Item = String> + Send + 'static,
) -> Response {
    let page = match page.render() {
        Ok(page) => page,
        Err(error) => return answer::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    let (top, rest) = page.split_once(mark).unwrap_or((&page, ""));
    let (top, rest) = (format!("{top}{mark}"), rest.to_owned());
    let pieces = iter::once(top).chain(text).chain(iter::once(rest));
    with_headers(answer::pieces(StatusCode::OK, HTML_UTF8, pieces), "no-store")
}

fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(body) => with_headers(answer::text(StatusCode::OK, HTML_UTF8, body), "no-store"),
        Err(error) => answer::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn asset(content_type: &'static str, body: &'static str) -> Response {
    with_headers(answer::text(StatusCode::OK, content_type, body), "max-age=300")
}

fn with_headers(mut response: Response, cache: &'static str) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_names_html_gets_it() {
        for (accept, wanted) in [
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                true,
            ),
            ("text/plain, text/html;q=0.5", true),
            ("*/*", false),
            ("text/*", false),
            ("text/html;q=0", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(wants_html(&headers), wanted, "{accept}");
        }
    }
}

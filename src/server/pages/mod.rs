//! The pages for people: rendered on the server, without anything from elsewhere, and safe for whatever a target sends.
//!
//! A client that does not ask for HTML gets what upstream's tools expect: plain text, and the plain landing page.

mod classic;
mod events;
mod home;
mod named;
mod params;
mod picture;
mod playground;
mod result;
mod story;
mod target;
mod targets;
mod trace;
mod wall;

use std::convert::Infallible;
use std::iter;
use std::net::IpAddr;
use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use gostd::query::Query;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, REFERRER_POLICY,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{StatusCode, Uri};

use super::answer::Response;
use super::mount::Mount;
use super::past::entry::{Entry, Name};
use super::past::pieces;
use super::{Exporter, answer};
use crate::config::codec::meant::did_you_mean;
use crate::display::short;
use crate::logging::LogFormat;
use crate::module::Loaded;
use named::Known;
use story::LONG;
use target::KnownTarget;

pub use events::Places as OpenPages;
pub(super) use named::Named;
pub(super) use playground::{PlaygroundForm, Tried, page as playground};
pub use playground::{problems, wants_problems};
pub use trace::trace;

/// Nothing but our own style sheet and script, no frames, no forms to elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const HTML_UTF8: &str = "text/html; charset=utf-8";

/// `/`, and every path that no endpoint has.
pub async fn landing(exporter: &Arc<Exporter>, uri: &Uri, headers: &HeaderMap) -> Response {
    if uri.path() != "/" || !wants_html(headers) {
        return answer::pieces(StatusCode::OK, answer::HTML, classic::page(exporter));
    }
    // With many targets it takes milliseconds.
    let (exporter, uri) = (Arc::clone(exporter), uri.clone());
    answer::aside(move || {
        let query = Query(uri.query().unwrap_or("").as_bytes());
        let filter = wall::Filter::new(query);
        html(
            StatusCode::OK,
            &home::Home::new(&exporter, &filter, &query.first("form")),
        )
    })
    .await
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
pub(super) fn result(exporter: &Exporter, entry: &Arc<Entry>, mount: Mount<'_>) -> Response {
    let page = result::ResultPage::new(exporter, entry, &base(mount));
    let log = pieces::log(Arc::clone(entry), LogFormat::Logfmt).map(|lines| answer::escape_html(&lines));
    around(&page, LOG, log)
}

/// How the caller reached the endpoints.
fn base(mount: Mount<'_>) -> String {
    let host = mount.host().unwrap_or_else(|| "localhost:9115".to_owned());
    let scheme = if mount.is_https() { "https" } else { "http" };
    format!("{scheme}://{host}{}", mount.path)
}

/// `/target`: the page of one target.
pub fn target(exporter: &Exporter, mount: Mount<'_>) -> Response {
    let named = Named::of(mount.query(), &exporter.store.current());
    let Known { rows, others } = named.known(exporter);
    let Some((row, alike)) = rows.split_first() else {
        return html(StatusCode::NOT_FOUND, &target::unknown(exporter, &named, &others));
    };
    let others = alike.iter().chain(&others);
    let known = KnownTarget::of(&exporter.history, row);
    let page = known.page(exporter, &base(mount), others);
    let Some(newest) = known.newest() else {
        return html(StatusCode::OK, &page);
    };
    let log = pieces::log(Arc::clone(newest), LogFormat::Logfmt).map(|lines| answer::escape_html(&lines));
    around(&page, LOG, log)
}

/// `/events`: what changes on an open page with the wall, as server-sent events.
pub fn events(exporter: &Arc<Exporter>, party: IpAddr, query: Query<'_>, headers: &HeaderMap) -> Response {
    // A browser that was cut off names the last event that it got.
    let last = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse().ok());
    let since = last.or_else(|| query.first("since").parse().ok()).unwrap_or(0);
    let Some(events) = events::events(Arc::clone(exporter), party, wall::Filter::new(query), since) else {
        return answer::error(StatusCode::SERVICE_UNAVAILABLE, "Too many pages are open");
    };
    let body = Body::from_stream(events.map(Ok::<_, Infallible>));
    let mut response = with_headers(Response::new(body), "no-store");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // nginx would keep them until it has 4 or 8 KB of them.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Whether a client wants server-sent events, as an open page does.
pub fn wants_events(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .is_some_and(|accept| accept == "text/event-stream")
}

/// The targets of the targets file as a page.
pub(super) fn targets(loaded: &Loaded, query: Query<'_>) -> Response {
    html(StatusCode::OK, &targets::TargetsPage::new(loaded, query))
}

/// What a browser gets instead of an answer of one line.
pub(super) fn message(status: StatusCode, message: &MessagePage) -> Response {
    html(status, message)
}

/// The answer to a module that does not exist: what it could have been.
pub(super) fn unknown_module(exporter: &Exporter, name: &str, target: &str) -> Response {
    const LINKS: usize = 50;
    let serving = exporter.store.current();
    let mut names: Vec<&str> = serving.config.modules.keys().map(String::as_str).collect();
    let meant = did_you_mean(name, names.iter().copied());
    // What may have been meant comes first.
    names.sort_by_key(|candidate| Some(*candidate) != meant);
    let link = |module: &&str| {
        let query = result::named(Name {
            module,
            target,
            hostname: None,
            given: &[],
        });
        (format!("probe?{query}&debug=true"), short(module, LONG))
    };
    let advice = match meant {
        Some(meant) => format!("Did you mean {}? ", short(meant, LONG)),
        None => String::new(),
    };
    let message = MessagePage {
        title: format!("There is no module {}", short(name, LONG)),
        text: format!(
            "{advice}The configuration has these; each link probes the target with one of them.{}",
            match serving.left_out.len() {
                0 => "",
                _ => " Files with mistakes are left out of it: the home page names them.",
            }
        ),
        links: names.iter().take(LINKS).map(link).collect(),
        more: names.len().saturating_sub(LINKS),
    };
    html(StatusCode::BAD_REQUEST, &message)
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

/// `/assets/playground.js`.
pub fn playground_script() -> Response {
    asset(
        "text/javascript; charset=utf-8",
        include_str!("../../../templates/playground.js"),
    )
}

/// Whether a client names HTML in what it accepts, as browsers do and scrapers, curl and scripts do not.
pub fn wants_html(headers: &HeaderMap) -> bool {
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

/// A page with a few words and links.
#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct MessagePage {
    /// What it is about.
    pub title: String,
    /// What there is to say.
    pub text: String,
    /// Where to go, and what is there.
    pub links: Vec<(String, String)>,
    /// How many links there are besides.
    pub more: usize,
}

#[derive(Template)]
#[template(path = "config.html")]
struct Config;

/// Where the text of the configuration stands in its page.
const CONFIG: &str = r#"<pre id="config" tabindex="0">"#;
/// Where the log stands in the page of a probe.
const LOG: &str = r#"<pre id="log" class="log" tabindex="0">"#;

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

fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(body) => with_headers(answer::text(status, HTML_UTF8, body), "no-store"),
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

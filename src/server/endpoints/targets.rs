//! `/targets`: the targets file as Prometheus' HTTP service discovery reads it.
//!
//! The labels are those that relabelling would otherwise have to make: where to scrape, with which parameters, and
//! what the series are called. So `http_sd_configs` or `discovery.http` needs the URL of this page and nothing more.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use aws_lc_rs::digest;
use bytes::Bytes;
use flate2::write::GzEncoder;
use gostd::query::Query;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, VARY};
use serde::Serialize;

use crate::config::files::targets::{Target, encoded, format_milliseconds};
use crate::module::Loaded;
use crate::server::answer::Response;
use crate::server::exposition::accepts_gzip;
use crate::server::mount::Mount;
use crate::server::{Exporter, answer, pages};

/// What Prometheus insists on.
const JSON: &str = "application/json";

/// How the caller reached us, which is how the scraper will.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reached {
    /// `host:port`
    address: String,
    /// Whether over TLS.
    tls: bool,
    /// The path of `/probe`.
    probe_path: String,
}

/// One entry of the answer.
#[derive(Debug, Serialize)]
struct Group<'a> {
    targets: [&'a str; 1],
    labels: BTreeMap<Cow<'a, str>, String>,
}

/// `/targets`
pub async fn targets(exporter: &Exporter, mount: Mount<'_>) -> Response {
    let headers = &mount.request.headers;
    let query = mount.query();
    let as_page = pages::wants_html(headers) && query.first("format") != "json";
    if exporter.store.targets_file().is_none() {
        if as_page {
            return pages::message(
                StatusCode::NOT_FOUND,
                &pages::MessagePage {
                    title: "There is no targets file".to_owned(),
                    text: "An exporter that was started with --targets.file serves its targets here to Prometheus and Alloy, which then \
                           need no relabelling."
                        .to_owned(),
                    links: Vec::new(),
                    more: 0,
                },
            );
        }
        return answer::error(
            StatusCode::NOT_FOUND,
            "no targets: start the exporter with --targets.file",
        );
    }
    if as_page {
        // With many targets it takes milliseconds.
        let (loaded, uri) = (exporter.store.current(), mount.request.uri.clone());
        let page = move || pages::targets(&loaded, Query(uri.query().unwrap_or("").as_bytes()));
        return answer::aside(page).await;
    }
    let Some(address) = mount.host() else {
        return answer::error(
            StatusCode::BAD_REQUEST,
            "the Host header must contain the address of this exporter",
        );
    };
    let reached = Reached {
        address,
        tls: mount.is_https(),
        probe_path: format!("{}probe", mount.path),
    };
    let loaded = exporter.store.current();
    let tag = exporter.targets_tag.of(&loaded, &reached).await;
    let mut response = if is_known(headers, &tag) {
        answer::empty(StatusCode::NOT_MODIFIED)
    } else if accepts_gzip(headers) {
        let mut response = answer::bytes(StatusCode::OK, JSON, Gzip::new(text(loaded, reached)));
        let gzip = HeaderValue::from_static("gzip");
        response.headers_mut().insert(CONTENT_ENCODING, gzip);
        response
    } else {
        answer::pieces(StatusCode::OK, JSON, text(loaded, reached))
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    response
}

/// Targets in one piece of the text.
const PIECE: usize = 32;

/// The whole answer, in pieces: it may be some megabytes.
fn text(loaded: Arc<Loaded>, reached: Reached) -> impl Iterator<Item = String> + Send {
    let pieces = loaded.targets.targets.len().div_ceil(PIECE);
    let groups = (0..pieces).map(move |piece| {
        let mut text = String::new();
        let targets = loaded.targets.targets.iter().enumerate();
        for (index, target) in targets.skip(piece * PIECE).take(PIECE) {
            text.push_str(if index == 0 { "" } else { "," });
            // Texts can always be written as JSON.
            text.push_str(&serde_json::to_string(&group(target, &reached)).unwrap_or_default());
        }
        text
    });
    let ends = ["[", "]\n"].map(|end| std::iter::once(end.to_owned()));
    let [start, end] = ends;
    start.chain(groups).chain(end)
}

/// The tag of the latest answer, so that whoever has it already costs nothing.
#[derive(Debug, Default)]
pub struct Tag(Mutex<Option<(Weak<Loaded>, Reached, String)>>);

impl Tag {
    /// A weak one: it is the same for every coding.
    async fn of(&self, loaded: &Arc<Loaded>, reached: &Reached) -> String {
        let known = || {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (of, by, tag) = known.as_ref()?;
            (Weak::as_ptr(of) == Arc::as_ptr(loaded) && by == reached).then(|| tag.clone())
        };
        if let Some(tag) = known() {
            return tag;
        }
        let pieces = text(Arc::clone(loaded), reached.clone());
        let digest = tokio::task::spawn_blocking(move || {
            let mut context = digest::Context::new(&digest::SHA256);
            pieces.for_each(|piece| context.update(piece.as_bytes()));
            context.finish()
        });
        let Ok(digest) = digest.await else {
            // It panicked: a tag that nobody has.
            return String::new();
        };
        let hex: Vec<String> = digest
            .as_ref()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let tag = format!("W/\"{}\"", hex.concat());
        let latest = (Arc::downgrade(loaded), reached.clone(), tag.clone());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(latest);
        tag
    }
}

/// Whether the caller has the answer of that tag (RFC 9110, section 13.1.2).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let tags = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|tags| tags.to_str().ok());
    tags.flat_map(|tags| tags.split(','))
        .any(|known| known.trim() == "*" || opaque(known) == opaque(tag))
}

/// Pieces of a text as pieces of its compressed form, some of them empty.
struct Gzip<I> {
    pieces: I,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl<I> Gzip<I> {
    fn new(pieces: I) -> Self {
        let encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        Self {
            pieces,
            encoder: Some(encoder),
        }
    }
}

impl<I: Iterator<Item = String>> Iterator for Gzip<I> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let encoder = self.encoder.as_mut()?;
        if let Some(piece) = self.pieces.next() {
            // Writing to memory does not fail.
            let _ = encoder.write_all(piece.as_bytes());
            return Some(std::mem::take(encoder.get_mut()).into());
        }
        let rest = self.encoder.take()?.finish();
        Some(rest.unwrap_or_default().into())
    }
}

fn group<'a>(target: &'a Target, reached: &'a Reached) -> Group<'a> {
    let own = |name: &'static str, value: &str| (Cow::Borrowed(name), value.to_owned());
    let mut labels = BTreeMap::from([
        own("job", &target.name),
        own("instance", &target.address),
        own("target", &target.address),
        own("module", target.module()),
    ]);
    // An empty value is no label to Prometheus: so a default can be taken away.
    labels.extend(
        target
            .labels
            .iter()
            .map(|(name, value)| (Cow::Borrowed(name.as_str()), value.clone())),
    );
    labels.insert(Cow::Borrowed("__metrics_path__"), reached.probe_path.clone());
    labels.insert(
        Cow::Borrowed("__param_target"),
        encoded(&target.address).into_owned(),
    );
    labels.insert(Cow::Borrowed("__param_module"), target.module().to_owned());
    if reached.tls {
        labels.insert(Cow::Borrowed("__scheme__"), "https".to_owned());
    }
    if !target.hostname.is_empty() {
        labels.insert(Cow::Borrowed("__param_hostname"), target.hostname.clone());
    }
    for (name, value) in &target.params {
        labels.insert(Cow::Owned(format!("__param_{name}")), value.clone());
    }
    if let Some(interval) = target.interval {
        labels.insert(
            Cow::Borrowed("__scrape_interval__"),
            format_milliseconds(interval),
        );
    }
    if let Some(timeout) = timeout(target) {
        labels.insert(Cow::Borrowed("__scrape_timeout__"), format_milliseconds(timeout));
    }
    Group {
        targets: [&reached.address],
        labels,
    }
}

/// The timeout to ask for. Prometheus refuses a target whose timeout is longer than its interval, and its own
/// default is ten seconds: a shorter interval brings its timeout along.
fn timeout(target: &Target) -> Option<u64> {
    const PROMETHEUS_DEFAULT: u64 = 10_000;
    target
        .timeout
        .or(target.interval.filter(|interval| *interval < PROMETHEUS_DEFAULT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(target: &Target, tls: bool) -> String {
        let reached = Reached {
            address: "e:9115".to_owned(),
            tls,
            probe_path: "/x/probe".to_owned(),
        };
        serde_json::to_string(&group(target, &reached)).unwrap()
    }

    #[test]
    fn a_target_becomes_a_group() {
        let plain = Target {
            name: "n".to_owned(),
            address: "a:1".to_owned(),
            ..Target::default()
        };
        assert_eq!(
            labels(&plain, false),
            r#"{"targets":["e:9115"],"labels":{"__metrics_path__":"/x/probe","__param_module":"http_2xx","__param_target":"a:1","instance":"a:1","job":"n","module":"http_2xx","target":"a:1"}}"#
        );
        let full = Target {
            module: "tcp".to_owned(),
            hostname: "h".to_owned(),
            labels: [("instance", "192.0.2.1"), ("module", ""), ("job", "j")]
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .into(),
            interval: Some(5000),
            ..plain
        };
        assert_eq!(
            labels(&full, true),
            r#"{"targets":["e:9115"],"labels":{"__metrics_path__":"/x/probe","__param_hostname":"h","__param_module":"tcp","__param_target":"a:1","__scheme__":"https","__scrape_interval__":"5s","__scrape_timeout__":"5s","instance":"192.0.2.1","job":"j","module":"","target":"a:1"}}"#
        );
    }
}

//! HTTP in and out: what turns a request into a probe, and its outcome into an answer.
//!
//! One file an endpoint. [`front`] does what Go's `ServeMux` does before any endpoint sees a request, [`accept`] owns
//! the connections and their limits, [`listen`] the addresses.

pub mod accept;
pub mod answer;
pub mod debug;
pub mod front;
pub mod history;
pub mod instruments;
pub mod listen;
pub mod logs;
pub mod metrics;
pub mod pages;
pub mod pieces;
pub mod probe;
pub mod reload;
pub mod targets;
pub mod web;

mod guard;

use std::sync::Arc;

use gostd::query::Query;
use http::StatusCode;
use http::request::Parts;

use crate::logging::{Logger, OncePerMinute};
use crate::module::Store;
use crate::net::Network;
use crate::probe_log::Level;

use answer::Response;
use front::Mount;
use history::History;
use instruments::Instruments;
use reload::Reloads;

/// What all requests share.
#[derive(Debug)]
pub struct Exporter {
    /// The configuration that is served now.
    pub store: Store,
    /// Reloads that run or wait.
    pub reloads: Reloads,
    /// The sockets, resolver and trust of all probes.
    pub network: Network,
    /// Past probes.
    pub history: History,
    /// The exporter's own metrics.
    pub instruments: Instruments,
    /// The program's log.
    pub logger: Logger,
    /// When it was last said that this machine ran out of something.
    pub shortage: OncePerMinute,
    /// What the flags say.
    pub settings: Settings,
}

/// What the flags say about requests.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Seconds taken off the scrape time-out.
    pub timeout_offset: f64,
    /// From which level on lines of probes are written to the log; `None` for none of them.
    pub probe_log: Option<Level>,
    /// Most probes at one time; 0 means no limit.
    pub max_in_flight: usize,
}

/// Answers a request at an endpoint: [`front`] has taken the route prefix off its path. Any method does, as upstream: only
/// reloading asks for POST, and says so itself.
async fn endpoint(exporter: &Arc<Exporter>, request: &Parts, mount: Mount<'_>) -> Response {
    let (uri, headers) = (&request.uri, &request.headers);
    let query = Query(uri.query().unwrap_or(""));
    match uri.path() {
        "/probe" => Box::pin(probe::probe(exporter, mount, query, headers)).await,
        "/metrics" => metrics::metrics(exporter, headers),
        "/logs" => logs::logs(exporter, mount, query, headers),
        "/config" => pages::config(exporter, headers).await,
        "/assets/style.css" => pages::style(),
        "/assets/script.js" => pages::script(),
        "/targets" => targets::targets(exporter, mount).await,
        "/-/healthy" => answer::text(StatusCode::OK, answer::PLAIN_UTF8, "Healthy"),
        "/-/reload" => reload::reload(exporter, &request.method).await,
        // compat: profiles of the Go runtime upstream. Anything but a 404 would be taken for one.
        path if path.starts_with("/debug/pprof/") => answer::not_found(),
        _ => pages::landing(exporter, uri, headers),
    }
}

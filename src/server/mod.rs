//! HTTP in and out: what turns a request into a probe, and its outcome into an answer.
//!
//! One file an endpoint. [`front`] does what Go's `ServeMux` does before any endpoint sees a request, [`accept`] owns
//! the connections and their limits, [`listen`] the addresses.

pub mod accept;
pub mod answer;
pub mod debug;
pub mod front;
pub mod history;
pub mod listen;
pub mod logs;
pub mod metrics;
pub mod pages;
pub mod probe;
pub mod query;
pub mod reload;
pub mod targets;
pub mod web;

mod guard;

use std::sync::Arc;

use axum::Router;
use axum::routing::any;

use crate::logging::{Logger, OncePerMinute};
use crate::metrics::own::Instruments;
use crate::module::Store;
use crate::net::Network;
use crate::probe_log::Level;

use history::History;

/// What all requests share.
#[derive(Debug)]
pub struct Exporter {
    /// The configuration that is served now.
    pub store: Store,
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

/// The endpoints, at the root: [`front`] takes the route prefix off before they see the path.
pub fn router(exporter: Arc<Exporter>) -> Router {
    // Any method, as upstream: only reloading asks for POST, and says so itself.
    Router::new()
        .route("/probe", any(probe::probe))
        .route("/metrics", any(metrics::metrics))
        .route("/logs", any(logs::logs))
        .route("/config", any(pages::config))
        .route("/assets/style.css", any(pages::style))
        .route("/assets/script.js", any(pages::script))
        .route("/targets", any(targets::targets))
        .route("/-/healthy", any(healthy))
        .route("/-/reload", any(reload::reload))
        // compat: profiles of the Go runtime upstream. Anything but a 404 would be taken for one.
        .route("/debug/pprof/", any(async || answer::not_found()))
        .route("/debug/pprof/{*profile}", any(async || answer::not_found()))
        .fallback(pages::landing)
        .with_state(exporter)
}

async fn healthy() -> axum::response::Response {
    answer::text(http::StatusCode::OK, answer::PLAIN_UTF8, "Healthy")
}

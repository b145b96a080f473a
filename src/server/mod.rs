//! HTTP in and out: what turns a request into a probe, and its outcome into an answer.
//!
//! [`accept`] accepts connections, whose limits and peculiarities are in [`connections`]; `respond` takes a request to its response: [`front`] does what Go's `ServeMux` does before any
//! endpoint sees a request, [`web`] what the web configuration says, and `routes` is the table of the [`endpoints`]. They answer
//! with [`answer`] and [`pages`], from what [`past`] and [`instruments`] keep.

pub mod accept;
pub mod answer;
pub mod connections;
pub mod endpoints;
pub mod front;
pub mod instruments;
pub mod mount;
pub mod origin;
pub mod pages;
pub mod past;
pub mod runs;
pub mod web;

mod exposition;
mod respond;
mod routes;

use std::sync::Arc;

use crate::logging::{Logger, OncePerMinute};
use crate::module::Store;
use crate::net::Network;
use crate::probe_log::Level;
use crate::telemetry::Exports;
use crate::trace::Link;

use endpoints::playground::Playground;
use instruments::Instruments;
use past::history::History;
use runs::Runs;

/// What all requests share.
#[derive(Debug)]
pub struct Exporter {
    /// The configuration that is served now.
    pub store: Arc<Store>,
    /// Reloads that run or wait.
    pub reloads: Arc<Runs<()>>,
    /// The sockets, resolver and trust of all probes.
    pub network: Arc<Network>,
    /// Past probes.
    pub history: History,
    /// Pages that are kept up to date.
    pub open_pages: Arc<pages::OpenPages>,
    /// The exporter's own metrics.
    pub instruments: Instruments,
    /// The program's log.
    pub logger: Logger,
    /// When it was last said that this machine ran out of something.
    pub shortage: OncePerMinute,
    /// What the latest list of targets is known by.
    pub targets_tag: endpoints::targets::Tag,
    /// Where spans and logs of probes go, if anywhere.
    pub exports: Option<Arc<Exports>>,
    /// Where modules are tried out, if that is enabled.
    pub playground: Option<Playground>,
    /// What the flags say.
    pub settings: RequestSettings,
}

/// What the flags say about requests.
#[derive(Clone, Debug)]
pub struct RequestSettings {
    /// Seconds taken off the scrape timeout.
    pub timeout_offset: f64,
    /// From which level on lines of probes are written to the log; `None` for none of them.
    pub probe_log: Option<Level>,
    /// Most probes at the same time; 0 means no limit.
    pub max_in_flight: usize,
    /// Where people look at a trace.
    pub trace_link: Option<Link>,
}

//! HTTP in and out: what turns a request into a probe, and its outcome into an answer.
//!
//! One file per endpoint, and `routes` is the table of them. [`front`] does what Go's `ServeMux` does before any endpoint sees a
//! request, [`accept`] owns the connections and their limits, [`listen`] the addresses.

pub mod accept;
pub mod answer;
pub mod debug;
pub mod entry;
pub mod front;
pub mod history;
pub mod instruments;
pub mod listen;
pub mod logs;
pub mod metrics;
pub mod origin;
pub mod pages;
pub mod pieces;
pub mod playground;
pub mod probe;
pub mod reload;
pub mod runs;
pub mod targets;
pub mod wall;
pub mod web;

mod exposition;
mod guard;
mod heads;
mod http1;
mod outgoing;
mod request_line;
mod requests;
mod routes;
mod seats;
mod shares;

use std::sync::Arc;

use crate::logging::{Logger, OncePerMinute};
use crate::module::Store;
use crate::net::Network;
use crate::probe_log::Level;
use crate::telemetry::Exports;
use crate::trace::Link;

use history::History;
use instruments::Instruments;
use playground::Playground;
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
    pub targets_tag: targets::Tag,
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

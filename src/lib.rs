//! A Prometheus-compatible blackbox exporter.
//!
//! A scrape of `/probe` passes a pipeline, and the folders of the source tree are its stages, from top to bottom:
//!
//! ```text
//! GET /probe?module=&target=          server/endpoints/probe.rs   request -> module + target + deadline
//!   -> module lookup                  module/store.rs             compiled, immutable, behind one ArcSwap
//!   -> prober::run                    prober/mod.rs               one deadline, one log book, one sample set
//!        -> resolve, dial, TLS        net/                        shared by all probers; each step timed once, here
//!        -> protocol                  prober/<kind>               what this protocol says and measures
//!        -> assertions                check/                      regexps, CEL
//!   -> Outcome {success, samples, log}
//!   -> encode                         metrics/                    text 0.0.4 or OpenMetrics, by content negotiation
//!   -> response, history, counters    server/past, instruments    for the pages and for /metrics
//! ```
//!
//! Imports point one way: `server -> telemetry -> prober -> trace -> module -> {check, net} -> metrics -> config`. They may skip stages; `.ci/rooms.py` fails
//! when two folders, or two files, use each other. [`app`] and [`cli`] are above them. All stages may use [`reason`], [`shortage`], [`memory`], [`probe_log`],
//! [`logging`], [`display`] and [`blocking`]: why probes fail, what ran out, what is logged. [`trace`] is for modules with a trace context, [`telemetry`]
//! posts their spans and logs, and only [`cli`] uses [`migrate`].
//!
//! The crates in `crates/` reproduce Go's behaviour and know nothing of probes; each has a README. `gostd` is at the bottom; the others use
//! `gostd` and nothing else of this repository. `docs/architecture.md` follows a probe through the stages.

pub mod app;
pub mod blocking;
pub mod check;
pub mod cli;
pub mod config;
pub mod display;
pub mod logging;
pub mod memory;
pub mod metrics;
pub mod migrate;
pub mod module;
pub mod net;
pub mod probe_log;
pub mod prober;
pub mod reason;
pub mod server;
pub mod shortage;
pub mod telemetry;
pub mod trace;
pub mod version;

pub use gostd::{calendar, carried, os_error, stamp, strconv};

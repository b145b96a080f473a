//! The exporter's own instruments and families: `/metrics`.
//!
//! Nothing here knows a target. What is counted by module is counted for the modules of the configuration only, and
//! goes with them when a reload takes them away. Upstream's families always stand; ours appear with the first probe.

mod process;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::config::Prober;
use crate::metrics::negotiate::Exposition;
use crate::metrics::{Encoder, Kind};
use crate::module::store::Status;
use crate::module::{Module, Modules};
use crate::net::Network;
use crate::net::shortage::Resource;
use crate::prober::Outcome;
use crate::version;

/// Upper bounds of the duration histogram, in seconds.
const BOUNDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];

/// The counters of the whole process.
#[derive(Debug)]
pub struct Instruments {
    unknown_modules: AtomicU64,
    /// By module name.
    modules: ArcSwap<BTreeMap<Arc<str>, Arc<ModuleCounters>>>,
    scrapes_in_flight: AtomicUsize,
    scrapes: AtomicU64,
    probes_in_flight: AtomicUsize,
    probes_started: AtomicU64,
    probes_cancelled: AtomicU64,
    probes_refused: AtomicU64,
    durations: [Durations; Prober::ALL.len()],
    /// Told whenever no probe is left in flight.
    idle: Notify,
    process: process::Process,
}

/// What is counted of one module.
#[derive(Debug)]
struct ModuleCounters {
    prober: Prober,
    succeeded: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
}

impl ModuleCounters {
    fn new(prober: Prober) -> Self {
        Self {
            prober,
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
        }
    }
}

/// A classic histogram of the durations of one prober.
#[derive(Debug, Default)]
struct Durations {
    /// Not cumulative; the last one is `+Inf`.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_nanoseconds: AtomicU64,
}

impl Default for Instruments {
    fn default() -> Self {
        Self {
            unknown_modules: AtomicU64::new(0),
            modules: ArcSwap::default(),
            scrapes_in_flight: AtomicUsize::new(0),
            scrapes: AtomicU64::new(0),
            probes_in_flight: AtomicUsize::new(0),
            probes_started: AtomicU64::new(0),
            probes_cancelled: AtomicU64::new(0),
            probes_refused: AtomicU64::new(0),
            durations: std::array::from_fn(|_| Durations::default()),
            idle: Notify::new(),
            process: process::Process::of_this_process(),
        }
    }
}

impl Instruments {
    /// A request named a module that does not exist.
    pub fn unknown_module(&self) {
        self.unknown_modules.fetch_add(1, Ordering::Relaxed);
    }

    /// These modules are served from now on. One that stays keeps its counters.
    pub fn serve(&self, modules: &Modules) {
        let before = self.modules.load();
        let counters = modules.iter().map(|module| {
            let same = before
                .get(&module.name)
                .filter(|counters| counters.prober == module.prober());
            let counters = same.map_or_else(|| Arc::new(ModuleCounters::new(module.prober())), Arc::clone);
            (Arc::clone(&module.name), counters)
        });
        self.modules.store(Arc::new(counters.collect()));
    }

    /// Counts a probe in, unless `limit` (0: none) probes run already.
    pub fn start_probe(&self, limit: usize) -> Option<ProbeInFlight<'_>> {
        let before = self.probes_in_flight.fetch_add(1, Ordering::Relaxed);
        let guard = ProbeInFlight {
            instruments: self,
            finished: false,
        };
        if limit != 0 && before >= limit {
            self.probes_refused.fetch_add(1, Ordering::Relaxed);
            guard.leave();
            return None;
        }
        self.probes_started.fetch_add(1, Ordering::Relaxed);
        Some(guard)
    }

    /// How many probes run.
    pub fn probes_in_flight(&self) -> usize {
        self.probes_in_flight.load(Ordering::Relaxed)
    }

    /// Counts a scrape of `/metrics` in.
    pub fn start_scrape(&self) -> ScrapeInFlight<'_> {
        self.scrapes_in_flight.fetch_add(1, Ordering::Relaxed);
        ScrapeInFlight { instruments: self }
    }

    /// Waits until no probe is in flight.
    pub async fn no_probe_in_flight(&self) {
        loop {
            let idle = self.idle.notified();
            if self.probes_in_flight.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// A probe under way. Dropped before it is finished, it was cancelled: the scraper went away.
#[derive(Debug)]
pub struct ProbeInFlight<'a> {
    instruments: &'a Instruments,
    finished: bool,
}

impl ProbeInFlight<'_> {
    /// Counts the outcome of a probe that might have lasted `timeout`.
    pub fn finish(self, module: &Module, outcome: &Outcome, timeout: Duration) {
        let instruments = self.instruments;
        // A module that a reload took away meanwhile counts no more.
        if let Some(counters) = instruments.modules.load().get(&module.name) {
            let result = if outcome.success {
                &counters.succeeded
            } else {
                &counters.failed
            };
            result.fetch_add(1, Ordering::Relaxed);
            if !outcome.success && outcome.duration >= timeout {
                counters.timed_out.fetch_add(1, Ordering::Relaxed);
            }
        }
        let index = Prober::ALL.iter().position(|prober| *prober == module.prober());
        if let Some(durations) = index.and_then(|index| instruments.durations.get(index)) {
            durations.observe(outcome.duration);
        }
        self.leave();
    }

    fn leave(mut self) {
        self.finished = true;
    }
}

impl Drop for ProbeInFlight<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.instruments.probes_cancelled.fetch_add(1, Ordering::Relaxed);
        }
        if self.instruments.probes_in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.instruments.idle.notify_waiters();
        }
    }
}

/// A scrape of `/metrics` under way.
#[derive(Debug)]
pub struct ScrapeInFlight<'a> {
    instruments: &'a Instruments,
}

impl ScrapeInFlight<'_> {
    /// It was answered.
    pub fn finish(self) {
        self.instruments.scrapes.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for ScrapeInFlight<'_> {
    fn drop(&mut self) {
        self.instruments.scrapes_in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Durations {
    fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let index = BOUNDS
            .iter()
            .position(|bound| seconds <= *bound)
            .unwrap_or(BOUNDS.len());
        if let Some(bucket) = self.buckets.get(index) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum_nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

/// Where the families come from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The counters of the process.
    pub instruments: &'a Instruments,
    /// What probes share.
    pub network: &'a Network,
    /// How the latest reloads ended.
    pub reload: Status,
    /// Log lines that standard error did not take.
    pub dropped_log_lines: u64,
}

/// Appends all families, sorted by name.
pub fn encode(sources: Sources<'_>, exposition: Exposition, out: &mut Vec<u8>) {
    let mut encoder = Encoder::new(out, exposition);
    exporter(&mut encoder, sources);
    connections(&mut encoder, sources.network);
    sources.instruments.process.encode(&mut encoder);
    scrapes(&mut encoder, sources.instruments);
    encoder.finish();
}

fn plain<'e>(encoder: &mut Encoder<'e>, name: &'e str, help: &str, kind: Kind, value: f64) {
    encoder.family(name, help, kind);
    encoder.sample(std::iter::empty(), value);
}

/// Counts are floats in every format; they are exact up to 2^53.
fn load(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}

fn seconds_since_1970(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn exporter(encoder: &mut Encoder<'_>, sources: Sources<'_>) {
    let instruments = sources.instruments;
    encoder.family(
        "blackbox_exporter_build_info",
        "A metric with a constant '1' value labeled by version, revision, branch, goversion from which blackbox_exporter was built, and the goos and goarch for the build.",
        Kind::Gauge,
    );
    encoder.sample(version::LABELS.into_iter(), 1.0);
    plain(
        encoder,
        "blackbox_exporter_config_last_reload_success_timestamp_seconds",
        "Timestamp of the last successful configuration reload.",
        Kind::Gauge,
        seconds_since_1970(sources.reload.succeeded_at),
    );
    plain(
        encoder,
        "blackbox_exporter_config_last_reload_successful",
        "Blackbox exporter config loaded successfully.",
        Kind::Gauge,
        f64::from(u8::from(sources.reload.successful)),
    );
    let probed = instruments.probes_started.load(Ordering::Relaxed) > 0;
    // compat: families of our own. They wait for the first probe, so that a fresh exporter shows what upstream shows.
    if probed {
        own_families(encoder, sources);
    }
    plain(
        encoder,
        "blackbox_module_unknown_total",
        "Count of unknown modules requested by probes",
        Kind::Counter,
        load(&instruments.unknown_modules),
    );
}

fn own_families(encoder: &mut Encoder<'_>, sources: Sources<'_>) {
    let instruments = sources.instruments;
    let modules = instruments.modules.load();
    icmp(encoder, sources.network);
    plain(
        encoder,
        "blackbox_exporter_log_lines_dropped_total",
        "Log lines that standard error did not take.",
        Kind::Counter,
        sources.dropped_log_lines as f64,
    );
    encoder.family(
        "blackbox_exporter_out_of_resources_total",
        "How often probes failed because this machine had none left of a resource.",
        Kind::Counter,
    );
    for resource in Resource::ALL {
        let count = sources.network.shortages.count(resource);
        encoder.sample([("resource", resource.name())].into_iter(), count as f64);
    }
    encoder.family(
        "blackbox_exporter_probe_duration_seconds",
        "Duration of probes by prober.",
        Kind::Histogram,
    );
    for (prober, durations) in Prober::ALL.iter().zip(&instruments.durations) {
        let mut buckets = [(0.0, 0); BOUNDS.len()];
        let mut count = 0;
        for ((bucket, bound), counter) in buckets.iter_mut().zip(BOUNDS).zip(&durations.buckets) {
            count += counter.load(Ordering::Relaxed);
            *bucket = (bound, count);
        }
        count += durations
            .buckets
            .last()
            .map_or(0, |rest| rest.load(Ordering::Relaxed));
        if count > 0 {
            let sum = load(&durations.sum_nanoseconds) / 1e9;
            encoder.histogram([("prober", prober.name())].into_iter(), &buckets, sum, count);
        }
    }
    encoder.family(
        "blackbox_exporter_probe_timeouts_total",
        "Probes that their time-out ended, by module.",
        Kind::Counter,
    );
    for (module, counters) in modules.iter() {
        let labels = [("module", &**module), ("prober", counters.prober.name())];
        encoder.sample(labels.into_iter(), load(&counters.timed_out));
    }
    plain(
        encoder,
        "blackbox_exporter_probes_cancelled_total",
        "Probes that were given up because the scraper closed its connection.",
        Kind::Counter,
        load(&instruments.probes_cancelled),
    );
    plain(
        encoder,
        "blackbox_exporter_probes_in_flight",
        "Probes that are running.",
        Kind::Gauge,
        instruments.probes_in_flight.load(Ordering::Relaxed) as f64,
    );
    plain(
        encoder,
        "blackbox_exporter_probes_rejected_total",
        "Probes that were refused because --probe.max-in-flight were running.",
        Kind::Counter,
        load(&instruments.probes_refused),
    );
    encoder.family(
        "blackbox_exporter_probes_total",
        "Probes by module, prober and result.",
        Kind::Counter,
    );
    for (module, counters) in modules.iter() {
        for (result, counter) in [("failure", &counters.failed), ("success", &counters.succeeded)] {
            let labels = [
                ("module", &**module),
                ("prober", counters.prober.name()),
                ("result", result),
            ];
            encoder.sample(labels.into_iter(), load(counter));
        }
    }
    plain(
        encoder,
        "blackbox_exporter_targets_refused_total",
        "Targets that the policy of the configuration refused.",
        Kind::Counter,
        sources.network.policy.refused() as f64,
    );
}

/// The shared sockets of the icmp prober, once there was a ping.
fn icmp(encoder: &mut Encoder<'_>, network: &Network) {
    let figures = network.icmp.figures();
    if figures.sent.load(Ordering::Relaxed) == 0 {
        return;
    }
    for (name, help, kind, figure) in [
        (
            "blackbox_exporter_icmp_drops_total",
            "Packets that the kernel dropped because they were read too slowly.",
            Kind::Counter,
            &figures.dropped,
        ),
        (
            "blackbox_exporter_icmp_in_flight",
            "Pings that wait for their answer.",
            Kind::Gauge,
            &figures.in_flight,
        ),
        (
            "blackbox_exporter_icmp_requests_total",
            "Echo requests sent.",
            Kind::Counter,
            &figures.sent,
        ),
    ] {
        plain(encoder, name, help, kind, load(figure));
    }
    encoder.family(
        "blackbox_exporter_icmp_results_total",
        "How echo requests ended: a reply, an ICMP error, or neither in time. Unexpected answers came late, twice or unasked.",
        Kind::Counter,
    );
    for (result, figure) in [
        ("error", &figures.refused),
        ("lost", &figures.lost),
        ("reply", &figures.answered),
        ("unexpected", &figures.unexpected),
    ] {
        encoder.sample([("result", result)].into_iter(), load(figure));
    }
    plain(
        encoder,
        "blackbox_exporter_icmp_sockets",
        "Sockets that pings share.",
        Kind::Gauge,
        load(&figures.sockets),
    );
}

/// The connections of HTTP probes, as go-conntrack counts them. Upstream shows them from the first HTTP probe on.
fn connections(encoder: &mut Encoder<'_>, network: &Network) {
    let counters = &network.connections;
    if counters.attempted.load(Ordering::Relaxed) == 0 {
        return;
    }
    const DIALER: (&str, &str) = ("dialer_name", "http_probe");
    for (name, help, counter) in [
        (
            "net_conntrack_dialer_conn_attempted_total",
            "Total number of connections attempted by the given dialer a given name.",
            &counters.attempted,
        ),
        (
            "net_conntrack_dialer_conn_closed_total",
            "Total number of connections closed which originated from the dialer of a given name.",
            &counters.closed,
        ),
        (
            "net_conntrack_dialer_conn_established_total",
            "Total number of connections successfully established by the given dialer a given name.",
            &counters.established,
        ),
    ] {
        encoder.family(name, help, Kind::Counter);
        encoder.sample([DIALER].into_iter(), load(counter));
    }
    encoder.family(
        "net_conntrack_dialer_conn_failed_total",
        "Total number of connections failed to dial by the dialer a given name.",
        Kind::Counter,
    );
    for (reason, counter) in [
        ("refused", &counters.failed_refused),
        ("resolution", &counters.failed_resolution),
        ("timeout", &counters.failed_timeout),
        ("unknown", &counters.failed_unknown),
    ] {
        encoder.sample([DIALER, ("reason", reason)].into_iter(), load(counter));
    }
}

fn scrapes(encoder: &mut Encoder<'_>, instruments: &Instruments) {
    plain(
        encoder,
        "promhttp_metric_handler_requests_in_flight",
        "Current number of scrapes being served.",
        Kind::Gauge,
        instruments.scrapes_in_flight.load(Ordering::Relaxed) as f64,
    );
    encoder.family(
        "promhttp_metric_handler_requests_total",
        "Total number of scrapes by HTTP status code.",
        Kind::Counter,
    );
    encoder.sample([("code", "200")].into_iter(), load(&instruments.scrapes));
    // Nothing here can fail, and there is no limit; the series are there because dashboards divide by them.
    encoder.sample([("code", "500")].into_iter(), 0.0);
    encoder.sample([("code", "503")].into_iter(), 0.0);
}

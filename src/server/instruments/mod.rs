//! The exporter's own instruments and families: `/metrics`.
//!
//! Nothing here knows a target. Counters, gauges and histograms are those of `prometheus-client`; what others count is read from [`Elsewhere`] and [`Process`] when somebody scrapes; [`print`] makes the exposition of both.

mod elsewhere;
mod per_module;
mod print;
mod process;
mod since;

use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use tokio::sync::Notify;

use crate::config::Prober;
use crate::metrics::negotiate::Exposition;
use crate::metrics::own::Own;
use crate::module::Module;
use crate::prober::Outcome;

use per_module::PerModule;
use print::Figures;
use process::Process;
use since::Since;

pub use elsewhere::Elsewhere;

/// Upper bounds of the duration histogram, in seconds.
const BOUNDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];

/// The instruments of the whole process.
#[derive(Debug)]
pub struct Instruments {
    registry: Registry,
    /// When this program began to count.
    created: SystemTime,
    elsewhere: Elsewhere,
    process: Process,
    /// Those of each module.
    pub modules: PerModule,
    unknown_modules: Since<Counter>,
    durations: Family<ByProber, Since<Histogram>, fn() -> Since<Histogram>>,
    probes_in_flight: Gauge,
    /// Not exposed: whether there was a probe at all.
    probes_started: Counter,
    probes_cancelled: Since<Counter>,
    probes_rejected: Since<Counter>,
    scrapes: Family<ByCode, Since<Counter>>,
    scrapes_in_flight: Gauge,
    /// Told whenever no probe is left in flight.
    idle: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByProber {
    prober: Prober,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    code: &'static str,
}

impl EncodeLabelValue for Prober {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(self.name())
    }
}

/// The status of a scrape, which is always this one.
const OK: ByCode = ByCode { code: "200" };

impl Instruments {
    /// Nothing is counted yet. What others count is read from them at every scrape.
    pub fn new(elsewhere: Elsewhere) -> Self {
        let mut instruments = Self {
            registry: Registry::default(),
            created: SystemTime::now(),
            elsewhere,
            process: Process::of_this_process(),
            unknown_modules: Since::default(),
            modules: PerModule::default(),
            durations: Family::new_with_constructor(|| Since::now(Histogram::new(BOUNDS))),
            probes_in_flight: Gauge::default(),
            probes_started: Counter::default(),
            probes_cancelled: Since::default(),
            probes_rejected: Since::default(),
            scrapes: Family::default(),
            scrapes_in_flight: Gauge::default(),
            idle: Notify::new(),
        };
        // Nothing here can fail, and there is no limit; the series are there because dashboards divide by them.
        for code in [OK.code, "500", "503"] {
            drop(instruments.scrapes.get_or_create(&ByCode { code }));
        }
        let mut registry = Registry::default();
        register(&mut registry, Own::UnknownModules, &instruments.unknown_modules);
        instruments.modules.register(&mut registry);
        register(&mut registry, Own::ProbeDuration, &instruments.durations);
        register(&mut registry, Own::ProbesInFlight, &instruments.probes_in_flight);
        register(&mut registry, Own::ProbesCancelled, &instruments.probes_cancelled);
        register(&mut registry, Own::ProbesRejected, &instruments.probes_rejected);
        register(&mut registry, Own::Scrapes, &instruments.scrapes);
        register(
            &mut registry,
            Own::ScrapesInFlight,
            &instruments.scrapes_in_flight,
        );
        instruments.registry = registry;
        instruments
    }

    /// Appends all families, sorted by name.
    pub fn encode(&self, exposition: Exposition, out: &mut Vec<u8>) {
        let mut figures = Figures::since(self.created);
        self.elsewhere.tell(&mut figures);
        figures.created = None;
        self.process.tell(&mut figures);
        let probed = self.probes_started.get() > 0;
        print::print(&self.registry, figures, probed, exposition, out);
    }

    /// A request named a module that does not exist.
    pub fn unknown_module(&self) {
        self.unknown_modules.inc();
    }

    /// Counts a probe in, unless `limit` (0: none) probes run already.
    pub fn start_probe(&self, limit: usize) -> Option<ProbeInFlight<'_>> {
        let before = usize::try_from(self.probes_in_flight.inc()).unwrap_or(0);
        let guard = ProbeInFlight {
            instruments: self,
            finished: false,
        };
        if limit != 0 && before >= limit {
            self.probes_rejected.inc();
            guard.leave();
            return None;
        }
        self.probes_started.inc();
        Some(guard)
    }

    /// How many probes run.
    pub fn probes_in_flight(&self) -> usize {
        usize::try_from(self.probes_in_flight.get()).unwrap_or(0)
    }

    /// Counts a scrape of `/metrics` in.
    pub fn start_scrape(&self) -> ScrapeInFlight<'_> {
        self.scrapes_in_flight.inc();
        ScrapeInFlight { instruments: self }
    }

    /// Waits until no probe is in flight.
    pub async fn no_probe_in_flight(&self) {
        loop {
            let idle = self.idle.notified();
            if self.probes_in_flight.get() == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// Registers an instrument under its name in the catalogue. The library adds `_total` to counters itself, and a full stop to a help
/// text that is not shown: the catalogue has it.
fn register(registry: &mut Registry, own: Own, instrument: &(impl Metric + Clone)) {
    registry.register(stem(own), "", instrument.clone());
}

/// The name of a family as the library wants it.
fn stem(own: Own) -> &'static str {
    let name = own.family().name;
    name.strip_suffix("_total").unwrap_or(name)
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
        self.instruments.modules.finish(module, outcome, timeout);
        let prober = module.prober();
        let durations = self.instruments.durations.get_or_create(&ByProber { prober });
        durations.observe(outcome.duration.as_secs_f64());
        drop(durations);
        self.leave();
    }

    fn leave(mut self) {
        self.finished = true;
    }
}

impl Drop for ProbeInFlight<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.instruments.probes_cancelled.inc();
        }
        if self.instruments.probes_in_flight.dec() == 1 {
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
        self.instruments.scrapes.get_or_create(&OK).inc();
    }
}

impl Drop for ScrapeInFlight<'_> {
    fn drop(&mut self) {
        self.instruments.scrapes_in_flight.dec();
    }
}

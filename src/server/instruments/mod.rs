//! The exporter's own instruments and families: `/metrics`.
//!
//! Nothing here knows a target. What is counted by module is counted for the modules of the configuration only, and
//! goes with them when a reload takes them away. Counters, gauges and histograms are those of `prometheus-client`; what others
//! count is read from [`Elsewhere`] and [`Process`] when somebody scrapes; [`print`] makes the exposition of both.

mod elsewhere;
mod print;
mod process;

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use tokio::sync::Notify;

use crate::config::Prober;
use crate::logging::Logger;
use crate::metrics::negotiate::Exposition;
use crate::metrics::own::Own;
use crate::module::{Module, Modules, Store, draft};
use crate::net::Network;
use crate::prober::Outcome;
use crate::reason::Reason;
use crate::telemetry::Exports;

use elsewhere::Elsewhere;
use print::Figures;
use process::Process;

/// Upper bounds of the duration histogram, in seconds.
const BOUNDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];

/// The instruments of the whole process.
#[derive(Debug)]
pub struct Instruments {
    registry: Registry,
    elsewhere: Elsewhere,
    process: Process,
    unknown_modules: Counter,
    probes: Family<ByResult, Counter>,
    timeouts: Family<ByModule, Counter>,
    failures: Family<ByReason, Counter>,
    params_refused: Family<ByParam, Counter>,
    /// What it has: a family does not list its labels. Locked also while the series of a failure is made for a module that is served,
    /// so that none is made once a reload took the module away.
    refused: Mutex<HashSet<ByParam>>,
    durations: Family<ByProber, Histogram, fn() -> Histogram>,
    probes_in_flight: Gauge,
    /// Not exposed: whether there was a probe at all.
    probes_started: Counter,
    probes_cancelled: Counter,
    probes_rejected: Counter,
    scrapes: Family<ByCode, Counter>,
    scrapes_in_flight: Gauge,
    /// By module name: what a probe's end counts, without a look into the families.
    modules: ArcSwap<BTreeMap<Arc<str>, Arc<ModuleCounters>>>,
    /// Told whenever no probe is left in flight.
    idle: Notify,
}

/// What is counted of one module.
#[derive(Debug)]
struct ModuleCounters {
    prober: Prober,
    succeeded: Counter,
    failed: Counter,
    timed_out: Counter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByProber {
    prober: Prober,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByModule {
    module: String,
    prober: Prober,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByParam {
    module: String,
    param: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    module: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    module: String,
    prober: Prober,
    result: &'static str,
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
    pub fn new(
        store: &Arc<Store>,
        network: &Arc<Network>,
        logger: &Logger,
        exports: Option<&Arc<Exports>>,
    ) -> Self {
        let mut instruments = Self {
            registry: Registry::default(),
            elsewhere: Elsewhere::new(store, network, logger, exports),
            process: Process::of_this_process(),
            unknown_modules: Counter::default(),
            probes: Family::default(),
            timeouts: Family::default(),
            failures: Family::default(),
            params_refused: Family::default(),
            refused: Mutex::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BOUNDS)),
            probes_in_flight: Gauge::default(),
            probes_started: Counter::default(),
            probes_cancelled: Counter::default(),
            probes_rejected: Counter::default(),
            scrapes: Family::default(),
            scrapes_in_flight: Gauge::default(),
            modules: ArcSwap::default(),
            idle: Notify::new(),
        };
        // Nothing here can fail, and there is no limit; the series are there because dashboards divide by them.
        for code in [OK.code, "500", "503"] {
            drop(instruments.scrapes.get_or_create(&ByCode { code }));
        }
        let mut registry = Registry::default();
        register(&mut registry, Own::UnknownModules, &instruments.unknown_modules);
        register(&mut registry, Own::Probes, &instruments.probes);
        register(&mut registry, Own::ProbeTimeouts, &instruments.timeouts);
        register(&mut registry, Own::ProbeFailures, &instruments.failures);
        register(&mut registry, Own::ParamsRefused, &instruments.params_refused);
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
        let mut figures = Figures::default();
        self.elsewhere.tell(&mut figures);
        self.process.tell(&mut figures);
        let probed = self.probes_started.get() > 0;
        print::print(&self.registry, figures, probed, exposition, out);
    }

    /// A request named a module that does not exist.
    pub fn unknown_module(&self) {
        self.unknown_modules.inc();
    }

    /// A scrape gave a parameter that its module does not allow.
    pub fn param_refused(&self, module: &str, param: &str) {
        let labels = ByParam {
            module: module.to_owned(),
            param: param.to_owned(),
        };
        let mut refused = self.lock();
        if self.modules.load().contains_key(module) {
            self.params_refused.get_or_create(&labels).inc();
            refused.insert(labels);
        }
    }

    /// These modules are served from now on. One that stays keeps its counters.
    pub fn serve(&self, modules: &Modules) {
        let before = self.modules.load_full();
        let counters: BTreeMap<_, _> = modules
            .iter()
            .map(|module| {
                let same = before
                    .get(&module.name)
                    .filter(|counters| counters.prober == module.prober());
                let counters = same.map_or_else(|| Arc::new(self.counters(module)), Arc::clone);
                (Arc::clone(&module.name), counters)
            })
            .collect();
        let counters = Arc::new(counters);
        let mut refused = self.lock();
        self.modules.store(Arc::clone(&counters));
        refused.retain(|labels| {
            let stays = counters.contains_key(&*labels.module);
            stays || !self.params_refused.remove(labels)
        });
        drop(refused);
        let is_served = |name: &Arc<str>, prober| counters.get(name).is_some_and(|now| now.prober == prober);
        for (name, gone) in before.iter().filter(|(name, old)| !is_served(name, old.prober)) {
            let (module, prober) = (name.to_string(), gone.prober);
            for result in RESULTS {
                let module = module.clone();
                self.probes.remove(&ByResult {
                    module,
                    prober,
                    result,
                });
            }
            for reason in Reason::ALL {
                let (module, reason) = (module.clone(), reason.name());
                self.failures.remove(&ByReason { module, reason });
            }
            self.timeouts.remove(&ByModule { module, prober });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<ByParam>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counters(&self, module: &Module) -> ModuleCounters {
        let (name, prober) = (&*module.name, module.prober());
        let [failed, succeeded] = RESULTS.map(|result| {
            let module = name.to_owned();
            self.probes.get_or_create_owned(&ByResult {
                module,
                prober,
                result,
            })
        });
        let module = name.to_owned();
        ModuleCounters {
            prober,
            succeeded,
            failed,
            timed_out: self.timeouts.get_or_create_owned(&ByModule { module, prober }),
        }
    }

    /// A probe of a module that is served failed, or was not even made.
    pub fn probe_failed(&self, module: &Module, reason: Reason) {
        let _none_goes = self.lock();
        if self.modules.load().contains_key(&module.name) || *module.name == *draft::NAME {
            let (module, reason) = (module.name.to_string(), reason.name());
            self.failures.get_or_create(&ByReason { module, reason }).inc();
        }
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

/// The values of the label `result`.
const RESULTS: [&str; 2] = ["failure", "success"];

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
        let instruments = self.instruments;
        // A module that a reload took away meanwhile counts no more; the playground's is in no configuration.
        let known = instruments.modules.load().get(&module.name).cloned();
        let draft = || (*module.name == *draft::NAME).then(|| Arc::new(instruments.counters(module)));
        if let Some(counters) = known.or_else(draft) {
            let result = if outcome.success {
                &counters.succeeded
            } else {
                &counters.failed
            };
            result.inc();
            if !outcome.success && outcome.duration >= timeout {
                counters.timed_out.inc();
            }
        }
        if let Some(failure) = &outcome.failure {
            instruments.probe_failed(module, failure.reason);
        }
        let prober = module.prober();
        let durations = instruments.durations.get_or_create(&ByProber { prober });
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_failure_during_a_reload_brings_back_no_series_of_a_module_that_is_gone() {
        let store = Arc::new(Store::built_in().unwrap());
        let (logger, _) = Logger::kept();
        let instruments = Instruments::new(&store, &Arc::default(), &logger, None);
        let (all, none) = (&store.current().modules, Modules::default());
        let module = all.iter().next().unwrap();
        let labels = ByReason {
            module: module.name.to_string(),
            reason: Reason::ConnectRefused.name(),
        };
        let done = AtomicBool::new(false);
        let came_back = thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    instruments.probe_failed(module, Reason::ConnectRefused);
                }
            });
            let reloads = 0..1000;
            let came_back = reloads.filter(|_| {
                instruments.serve(all);
                instruments.serve(&none);
                instruments.failures.get(&labels).is_some()
            });
            let came_back = came_back.count();
            done.store(true, Ordering::Relaxed);
            came_back
        });
        assert_eq!(came_back, 0);
    }
}

//! What is counted per module: only for the modules of the configuration, and until a reload takes them away.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::register;
use super::since::Since;
use crate::config::Prober;
use crate::metrics::own::Own;
use crate::module::{Module, Modules, draft};
use crate::prober::Outcome;
use crate::reason::Reason;

/// The instruments of all modules.
#[derive(Debug, Default)]
pub struct PerModule {
    probes: Family<ByResult, Since<Counter>>,
    timeouts: Family<ByModule, Since<Counter>>,
    failures: Family<ByReason, Since<Counter>>,
    params_refused: Family<ByParam, Since<Counter>>,
    /// What it has: a family does not list its labels. Locked also while the series of a failure is made for a module that is served,
    /// so that none is made once a reload took the module away.
    refused: Mutex<HashSet<ByParam>>,
    /// By module name: what a probe's end counts, without a look into the families.
    modules: ArcSwap<BTreeMap<Arc<str>, Arc<ModuleCounters>>>,
}

/// What is counted of one module.
#[derive(Debug)]
struct ModuleCounters {
    prober: Prober,
    succeeded: Since<Counter>,
    failed: Since<Counter>,
    timed_out: Since<Counter>,
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

impl PerModule {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, Own::Probes, &self.probes);
        register(registry, Own::ProbeTimeouts, &self.timeouts);
        register(registry, Own::ProbeFailures, &self.failures);
        register(registry, Own::ParamsRefused, &self.params_refused);
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

    /// Counts the outcome of a probe that might have lasted `timeout`.
    pub(super) fn finish(&self, module: &Module, outcome: &Outcome, timeout: Duration) {
        // A module that a reload took away meanwhile counts no more; the playground's is in no configuration.
        let known = self.modules.load().get(&module.name).cloned();
        let draft = || (*module.name == *draft::NAME).then(|| Arc::new(self.counters(module)));
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
            self.probe_failed(module, failure.reason);
        }
    }
}

/// The values of the label `result`.
const RESULTS: [&str; 2] = ["failure", "success"];

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;
    use crate::module::Store;

    #[test]
    fn a_failure_during_a_reload_brings_back_no_series_of_a_module_that_is_gone() {
        let store = Store::built_in().unwrap();
        let instruments = PerModule::default();
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

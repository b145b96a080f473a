//! What other parts of the exporter count, read from them when somebody scrapes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::print::Figures;
use crate::logging::Logger;
use crate::memory::{self, Use};
use crate::metrics::own::Own;
use crate::module::Store;
use crate::net::Network;
use crate::shortage::Resource;
use crate::telemetry::Exports;
use crate::version;

/// Reads the store, the network, the logger and the export of spans and logs.
#[derive(Debug)]
pub struct Elsewhere {
    /// How reloads ended.
    pub store: Arc<Store>,
    /// Sockets, connections, refusals and shortages of probes.
    pub network: Arc<Network>,
    /// The program's log.
    pub logger: Logger,
    /// The export of spans and logs, if there is one.
    pub exports: Option<Arc<Exports>>,
}

impl Elsewhere {
    /// The shared sockets of the icmp prober, once there was a ping.
    fn icmp(&self, figures: &mut Figures) {
        let engine = self.network.icmp.figures();
        if engine.sent.load(Ordering::Relaxed) == 0 {
            return;
        }
        figures.value(Own::IcmpDrops, load(&engine.dropped));
        figures.value(Own::IcmpInFlight, load(&engine.in_flight));
        figures.value(Own::IcmpRequests, load(&engine.sent));
        figures.value(Own::IcmpSockets, load(&engine.sockets));
        let results = [
            ("error", &engine.refused),
            ("lost", &engine.lost),
            ("reply", &engine.answered),
            ("unexpected", &engine.unexpected),
        ];
        let results = results.map(|(result, figure)| ([("result", result)], load(figure)));
        figures.family(Own::IcmpResults, &results);
    }

    /// The connections of HTTP probes, as go-conntrack counts them. Upstream shows them from the first HTTP probe on.
    fn connections(&self, figures: &mut Figures) {
        const DIALER: (&str, &str) = ("dialer_name", "http_probe");
        let counters = &self.network.connections;
        if counters.attempted.load(Ordering::Relaxed) == 0 {
            return;
        }
        let start = std::mem::replace(&mut figures.created, counters.created.get().copied());
        for (own, counter) in [
            (Own::ConnectionsAttempted, &counters.attempted),
            (Own::ConnectionsClosed, &counters.closed),
            (Own::ConnectionsEstablished, &counters.established),
        ] {
            figures.family(own, &[([DIALER], load(counter))]);
        }
        let failed = [
            ("refused", &counters.failed_refused),
            ("resolution", &counters.failed_resolution),
            ("timeout", &counters.failed_timeout),
            ("unknown", &counters.failed_unknown),
        ];
        let failed = failed.map(|(reason, counter)| ([DIALER, ("reason", reason)], load(counter)));
        figures.family(Own::ConnectionsFailed, &failed);
        figures.created = start;
    }

    /// What the export of spans and logs left out.
    fn losses(&self, figures: &mut Figures) {
        let Some(exports) = &self.exports else { return };
        if let Some(dropped) = exports.spans_dropped() {
            figures.value(Own::SpansDropped, dropped as f64);
        }
        if let Some(dropped) = exports.logs_dropped() {
            figures.value(Own::TraceLogsDropped, dropped as f64);
        }
    }

    /// Tells what there is now.
    pub fn tell(&self, figures: &mut Figures) {
        let reload = self.store.status();
        figures.family(Own::BuildInfo, &[(version::LABELS, 1.0)]);
        figures.value(Own::ReloadedAt, seconds_since_1970(reload.succeeded_at));
        figures.value(Own::ReloadSuccessful, f64::from(u8::from(reload.successful)));
        if self.store.skips_broken() {
            figures.value(Own::BrokenFiles, self.store.current().left_out.len() as f64);
        }
        figures.value(Own::LogLinesDropped, self.logger.dropped() as f64);
        figures.value(Own::TargetsRefused, self.network.policy.refused() as f64);
        let shortages = Resource::ALL.map(|resource| {
            let count = self.network.shortages.count(resource);
            ([("resource", resource.name())], count as f64)
        });
        figures.family(Own::OutOfResources, &shortages);
        memory(figures);
        self.icmp(figures);
        self.connections(figures);
        self.losses(figures);
    }
}

/// The budget of memory, where there is one.
fn memory(figures: &mut Figures) {
    let (Some(limit), Some(used)) = (memory::limit(), memory::used()) else {
        return;
    };
    figures.value(Own::MemoryLimit, limit as f64);
    figures.value(Own::MemoryUsed, used as f64);
    let refused = Use::ALL.map(|of| ([("use", of.name())], memory::refused(of) as f64));
    figures.family(Own::MemoryRefused, &refused);
}

/// Counts are floats in every format; they are exact up to 2^53.
fn load(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}

fn seconds_since_1970(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

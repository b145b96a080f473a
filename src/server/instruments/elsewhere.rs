//! What other parts of the exporter count, read from them when somebody scrapes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::stem;
use crate::logging::Logger;
use crate::memory::{self, Use};
use crate::metrics::Kind;
use crate::metrics::own::Own;
use crate::module::Store;
use crate::net::Network;
use crate::shortage::Resource;
use crate::telemetry::Exports;
use crate::version;

/// Reads the store, the network and the logger.
#[derive(Debug)]
pub struct Elsewhere {
    store: Arc<Store>,
    network: Arc<Network>,
    logger: Logger,
}

/// The labels of a series.
type Labels<'l> = &'l [(&'l str, &'l str)];

impl Elsewhere {
    /// Reads these from now on.
    pub fn new(store: &Arc<Store>, network: &Arc<Network>, logger: &Logger) -> Self {
        Self {
            store: Arc::clone(store),
            network: Arc::clone(network),
            logger: logger.clone(),
        }
    }

    /// The shared sockets of the icmp prober, once there was a ping.
    fn icmp(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let figures = self.network.icmp.figures();
        if figures.sent.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        value(encoder, Own::IcmpDrops, load(&figures.dropped))?;
        value(encoder, Own::IcmpInFlight, load(&figures.in_flight))?;
        value(encoder, Own::IcmpRequests, load(&figures.sent))?;
        value(encoder, Own::IcmpSockets, load(&figures.sockets))?;
        let results = [
            ("error", &figures.refused),
            ("lost", &figures.lost),
            ("reply", &figures.answered),
            ("unexpected", &figures.unexpected),
        ];
        let results = results.map(|(result, figure)| ([("result", result)], load(figure)));
        family(encoder, Own::IcmpResults, &results)
    }

    /// The connections of HTTP probes, as go-conntrack counts them. Upstream shows them from the first HTTP probe on.
    fn connections(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        const DIALER: (&str, &str) = ("dialer_name", "http_probe");
        let counters = &self.network.connections;
        if counters.attempted.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        for (own, counter) in [
            (Own::ConnectionsAttempted, &counters.attempted),
            (Own::ConnectionsClosed, &counters.closed),
            (Own::ConnectionsEstablished, &counters.established),
        ] {
            family(encoder, own, &[([DIALER], load(counter))])?;
        }
        let failed = [
            ("refused", &counters.failed_refused),
            ("resolution", &counters.failed_resolution),
            ("timeout", &counters.failed_timeout),
            ("unknown", &counters.failed_unknown),
        ];
        let failed = failed.map(|(reason, counter)| ([DIALER, ("reason", reason)], load(counter)));
        family(encoder, Own::ConnectionsFailed, &failed)
    }
}

impl Collector for Elsewhere {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let reload = self.store.status();
        family(encoder, Own::BuildInfo, &[(version::LABELS, 1.0)])?;
        value(encoder, Own::ReloadedAt, seconds_since_1970(reload.succeeded_at))?;
        value(
            encoder,
            Own::ReloadSuccessful,
            f64::from(u8::from(reload.successful)),
        )?;
        let broken = self.store.current().broken_files;
        if broken > 0 {
            value(encoder, Own::BrokenFiles, broken as f64)?;
        }
        value(encoder, Own::LogLinesDropped, self.logger.dropped() as f64)?;
        value(encoder, Own::TargetsRefused, self.network.policy.refused() as f64)?;
        let shortages = Resource::ALL.map(|resource| {
            let count = self.network.shortages.count(resource);
            ([("resource", resource.name())], count as f64)
        });
        family(encoder, Own::OutOfResources, &shortages)?;
        memory(encoder)?;
        self.icmp(encoder)?;
        self.connections(encoder)
    }
}

/// The budget of memory, where there is one.
fn memory(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let (Some(limit), Some(used)) = (memory::limit(), memory::used()) else {
        return Ok(());
    };
    value(encoder, Own::MemoryLimit, limit as f64)?;
    value(encoder, Own::MemoryUsed, used as f64)?;
    let refused = Use::ALL.map(|of| ([("use", of.name())], memory::refused(of) as f64));
    family(encoder, Own::MemoryRefused, &refused)
}

/// Reads what the export of spans and logs left out.
#[derive(Debug)]
pub struct Losses(pub Arc<Exports>);

impl Collector for Losses {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(exports) = self;
        if let Some(dropped) = exports.spans_dropped() {
            value(&mut encoder, Own::SpansDropped, dropped as f64)?;
        }
        if let Some(dropped) = exports.logs_dropped() {
            value(&mut encoder, Own::TraceLogsDropped, dropped as f64)?;
        }
        Ok(())
    }
}

/// Hands a family without labels to the registry.
pub(super) fn value(encoder: &mut DescriptorEncoder<'_>, own: Own, value: f64) -> fmt::Result {
    family::<0>(encoder, own, &[([], value)])
}

/// Hands a family to the registry, each series with `N` labels.
fn family<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    own: Own,
    series: &[([(&str, &str); N], f64)],
) -> fmt::Result {
    let kind = match own.family().kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    let mut encoder = encoder.encode_descriptor(stem(own), "", None, kind)?;
    for (labels, value) in series {
        let labels: Labels<'_> = labels;
        let encoder = encoder.encode_family(&labels)?;
        match own.family().kind {
            Kind::Counter => ConstCounter::new(*value).encode(encoder)?,
            _ => ConstGauge::new(*value).encode(encoder)?,
        }
    }
    Ok(())
}

/// Counts are floats in every format; they are exact up to 2^53.
fn load(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}

fn seconds_since_1970(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

//! Instruments that know since when they count.

use std::ops::Deref;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::{
    CounterValueEncoder, EncodeCounterValue, EncodeMetric, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};

/// An instrument of the library, and when it was made: a scraper that knows it sees the first event of a series, too. The library
/// has no place for the time, so it is printed as a timestamp behind a counter, and as a gauge before a histogram, to be read again.
#[derive(Clone, Debug)]
pub struct Since<M> {
    instrument: M,
    /// Nanoseconds since 1970.
    created: u64,
}

impl<M> Since<M> {
    /// One that counts from now on.
    pub fn now(instrument: M) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let created = u64::try_from(since.as_nanos()).unwrap_or_default();
        Self { instrument, created }
    }
}

/// The time that is printed.
pub fn read(created: &str) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_nanos(created.parse().ok()?))
}

impl<M: Default> Default for Since<M> {
    fn default() -> Self {
        Self::now(M::default())
    }
}

impl<M> Deref for Since<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.instrument
    }
}

impl<M: TypedMetric> TypedMetric for Since<M> {
    const TYPE: MetricType = M::TYPE;
}

impl EncodeMetric for Since<Counter> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        encoder.encode_counter::<NoLabelSet, _, u64>(self, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl EncodeCounterValue for Since<Counter> {
    fn encode(&self, encoder: &mut CounterValueEncoder<'_>) -> std::fmt::Result {
        self.instrument.get().encode(encoder)?;
        self.created.encode(encoder)
    }
}

impl EncodeMetric for Since<Histogram> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        encoder.encode_gauge(&self.created)?;
        self.instrument.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

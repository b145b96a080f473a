//! The sample set of one probe.

use std::borrow::Cow;

use super::Metric;

/// Label values of a sample, in the order of the family's label names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Labels {
    /// A plain gauge.
    None,
    /// A family with one label whose values are known beforehand (`phase`).
    Static(&'static str),
    /// Values for the label names of the catalog.
    Values(Box<[Cow<'static, str>]>),
    /// Names and values chosen by the module (`probe_expect_info`), sorted by name.
    Pairs(Box<[(String, String)]>),
}

/// One series of a probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The family.
    pub metric: Metric,
    /// What tells it from the others of its family.
    pub labels: Labels,
    /// The value; seconds and bytes unless the name says otherwise.
    pub value: f64,
}

/// Everything that a probe has measured so far, sorted as an exposition prints it: by family name, then by label values.
/// Setting a series twice keeps the last value.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Sample>);

impl Samples {
    /// An empty set with room for a small probe.
    pub fn new() -> Self {
        Self::with_capacity(12)
    }

    /// An empty set with room for so many series.
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Sets a plain gauge.
    pub fn set(&mut self, metric: Metric, value: f64) {
        *self.slot(metric, Labels::None) = value;
    }

    /// Sets a plain gauge to 1 or 0.
    pub fn set_bool(&mut self, metric: Metric, value: bool) {
        self.set(metric, f64::from(u8::from(value)));
    }

    /// Sets one member of a family with a single label.
    pub fn set_label(&mut self, metric: Metric, label: &'static str, value: f64) {
        *self.slot(metric, Labels::Static(label)) = value;
    }

    /// Adds to one member of a family with a single label, which starts at 0.
    pub fn add_label(&mut self, metric: Metric, label: &'static str, value: f64) {
        *self.slot(metric, Labels::Static(label)) += value;
    }

    /// Sets a series with label values made at run time.
    pub fn set_labels(&mut self, metric: Metric, labels: Labels, value: f64) {
        *self.slot(metric, labels) = value;
    }

    /// Takes a whole family back, so that it is not exposed.
    pub fn remove(&mut self, metric: Metric) {
        self.0.retain(|s| s.metric != metric);
    }

    /// The value of a plain gauge.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.0
            .iter()
            .find(|s| s.metric == metric && s.labels == Labels::None)
            .map(|s| s.value)
    }

    /// All samples of one family, in order.
    pub fn family(&self, metric: Metric) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |s| s.metric == metric)
    }

    /// All samples, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter()
    }

    fn slot(&mut self, metric: Metric, labels: Labels) -> &mut f64 {
        // By families first: most have one series, and are new.
        let start = self.0.partition_point(|s| s.metric < metric);
        let rest = self.0.get(start..).unwrap_or_default();
        let place = match rest.first() {
            Some(first) if first.metric == metric => {
                rest.binary_search_by(|s| s.metric.cmp(&metric).then_with(|| s.labels.cmp(&labels)))
            }
            _ => Err(0),
        };
        let index = match place {
            Ok(place) => start + place,
            Err(place) => {
                let sample = Sample {
                    metric,
                    labels,
                    value: 0.0,
                };
                self.0.insert(start + place, sample);
                start + place
            }
        };
        // Invariant: `index` was found or just inserted.
        #[allow(clippy::indexing_slicing)]
        &mut self.0[index].value
    }
}

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
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// The family.
    pub metric: Metric,
    /// What tells it from the others of its family.
    pub labels: &'a Labels,
    /// The value; seconds and bytes unless the name says otherwise.
    pub value: f64,
}

/// Everything that a probe has measured so far, in the order in which an exposition prints it: by family name, then by label values.
/// Setting a series twice keeps the last value.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// Which families have a plain gauge: most of them, so that it is a bit each, and its value's place the number of bits below it.
    plain: u128,
    values: Vec<f64>,
    /// The other series, sorted by family and labels.
    labelled: Vec<(Metric, Labels, f64)>,
}

const _: () = assert!(Metric::ALL.len() <= 128, "a bit each");

impl Samples {
    /// An empty set with room for a small probe.
    pub fn new() -> Self {
        Self::with_capacity(12)
    }

    /// An empty set with room for so many plain gauges.
    pub fn with_capacity(count: usize) -> Self {
        Self {
            values: Vec::with_capacity(count),
            ..Self::default()
        }
    }

    /// Sets a plain gauge.
    pub fn set(&mut self, metric: Metric, value: f64) {
        let (bit, place) = self.place(metric);
        if self.plain & bit == 0 {
            self.plain |= bit;
            self.values.insert(place, value);
        } else if let Some(old) = self.values.get_mut(place) {
            *old = value;
        }
    }

    /// Sets plain gauges to 0, which are to be measured.
    pub fn set_zero(&mut self, metrics: &[Metric]) {
        if self.plain != 0 {
            return metrics.iter().for_each(|metric| self.set(*metric, 0.0));
        }
        // The first ones, all of one value: they need no places.
        self.plain = metrics
            .iter()
            .fold(0, |plain, metric| plain | 1 << *metric as u32);
        self.values.resize(self.plain.count_ones() as usize, 0.0);
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
        match labels {
            Labels::None => self.set(metric, value),
            labels => *self.slot(metric, labels) = value,
        }
    }

    /// Takes a whole family back, so that it is not exposed.
    pub fn remove(&mut self, metric: Metric) {
        let (bit, place) = self.place(metric);
        if self.plain & bit != 0 {
            self.plain &= !bit;
            self.values.remove(place);
        }
        self.labelled.retain(|(of, ..)| *of != metric);
    }

    /// The value of a plain gauge.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        let (bit, place) = self.place(metric);
        (self.plain & bit != 0).then(|| self.values.get(place))?.copied()
    }

    /// All samples of one family, in order.
    pub fn family(&self, metric: Metric) -> impl Iterator<Item = Sample<'_>> {
        self.iter().filter(move |sample| sample.metric == metric)
    }

    /// All samples, in order.
    pub fn iter(&self) -> impl Iterator<Item = Sample<'_>> {
        let (mut left, mut values) = (self.plain, self.values.iter());
        let mut labelled = self.labelled.iter();
        std::iter::from_fn(move || {
            let next = labelled.as_slice().first();
            let plain = left.trailing_zeros();
            if left != 0 && next.is_none_or(|(metric, ..)| plain <= *metric as u32) {
                left &= left - 1;
                return Some(Sample {
                    metric: *Metric::ALL.get(plain as usize)?,
                    labels: &Labels::None,
                    value: *values.next()?,
                });
            }
            let (metric, labels, value) = labelled.next()?;
            Some(Sample {
                metric: *metric,
                labels,
                value: *value,
            })
        })
    }

    /// The labels of the series that have some.
    pub fn labels(&self) -> impl Iterator<Item = &Labels> {
        self.labelled.iter().map(|(_, labels, _)| labels)
    }

    /// The bit of a plain gauge, and the place of its value, if it has one.
    fn place(&self, metric: Metric) -> (u128, usize) {
        let bit = 1 << metric as u32;
        (bit, (self.plain & (bit - 1)).count_ones() as usize)
    }

    fn slot(&mut self, metric: Metric, labels: Labels) -> &mut f64 {
        let place = self
            .labelled
            .binary_search_by(|(of, has, _)| of.cmp(&metric).then_with(|| has.cmp(&labels)));
        let index = place.unwrap_or_else(|place| {
            if self.labelled.is_empty() {
                // Mostly the phases of the probe.
                self.labelled.reserve_exact(5);
            }
            self.labelled.insert(place, (metric, labels, 0.0));
            place
        });
        // Invariant: `index` was found or just inserted.
        #[allow(clippy::indexing_slicing)]
        &mut self.labelled[index].2
    }
}

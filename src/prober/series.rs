//! What several packets of one probe amount to: round trips, losses, duplicates. For `icmp.count` and `tcp.count`.

use std::time::Duration;

use crate::metrics::{Metric, Samples};

/// The families that a prober has for it, under its own names.
pub(super) struct Families {
    min: Metric,
    max: Metric,
    stddev: Metric,
    jitter: Metric,
    sent: Metric,
    received: Metric,
    loss: Metric,
}

impl Families {
    pub(super) const ICMP: Self = Self {
        min: Metric::IcmpRttMin,
        max: Metric::IcmpRttMax,
        stddev: Metric::IcmpRttStddev,
        jitter: Metric::IcmpRttJitter,
        sent: Metric::IcmpPacketsSent,
        received: Metric::IcmpPacketsReceived,
        loss: Metric::IcmpPacketLoss,
    };

    pub(super) const TCP: Self = Self {
        min: Metric::TcpRttMin,
        max: Metric::TcpRttMax,
        stddev: Metric::TcpRttStddev,
        jitter: Metric::TcpRttJitter,
        sent: Metric::TcpPacketsSent,
        received: Metric::TcpPacketsReceived,
        loss: Metric::TcpPacketLoss,
    };
}

/// The packets of one probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Series {
    /// Packets sent.
    pub(super) sent: usize,
    /// The round trips of those that were answered, in the order in which they were sent.
    pub(super) round_trips: Vec<Duration>,
}

impl Series {
    /// The mean round trip in seconds; `None` without an answer.
    pub(super) fn mean(&self) -> Option<f64> {
        let seconds = self.seconds();
        (!seconds.is_empty()).then(|| mean(&seconds))
    }

    /// Writes the families. Without an answer there is nothing to tell of round trips.
    pub(super) fn expose(&self, families: &Families, samples: &mut Samples) {
        let seconds = self.seconds();
        samples.set(families.sent, self.sent as f64);
        samples.set(families.received, seconds.len() as f64);
        if self.sent > 0 {
            let lost = self.sent.saturating_sub(seconds.len());
            samples.set(families.loss, lost as f64 / self.sent as f64);
        }
        if seconds.is_empty() {
            return;
        }
        let mean_of_all = mean(&seconds);
        let squares: Vec<f64> = seconds.iter().map(|s| (s - mean_of_all).powi(2)).collect();
        samples.set(
            families.min,
            seconds.iter().copied().fold(f64::INFINITY, f64::min),
        );
        samples.set(families.max, seconds.iter().copied().fold(0.0, f64::max));
        samples.set(families.stddev, mean(&squares).sqrt());
        let changes: Vec<f64> = seconds
            .iter()
            .zip(seconds.iter().skip(1))
            .map(|(one, next)| (next - one).abs())
            .collect();
        samples.set(
            families.jitter,
            if changes.is_empty() { 0.0 } else { mean(&changes) },
        );
    }

    fn seconds(&self) -> Vec<f64> {
        self.round_trips.iter().map(Duration::as_secs_f64).collect()
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_textbook() {
        type Row = (usize, &'static [u64], [Option<f64>; 7]);
        #[rustfmt::skip]
        let rows: [Row; 4] = [
            (
                4,
                &[20, 30, 10],
                [
                    Some(0.010),
                    Some(0.030),
                    Some((2e-4_f64 / 3.0).sqrt()),
                    Some(0.015),
                    Some(4.0),
                    Some(3.0),
                    Some(0.25),
                ],
            ),
            (1, &[20], [Some(0.02), Some(0.02), Some(0.0), Some(0.0), Some(1.0), Some(1.0), Some(0.0)]),
            (3, &[], [None, None, None, None, Some(3.0), Some(0.0), Some(1.0)]),
            (0, &[], [None, None, None, None, Some(0.0), Some(0.0), None]),
        ];
        for (sent, millis, want) in rows {
            let series = Series {
                sent,
                round_trips: millis.iter().map(|ms| Duration::from_millis(*ms)).collect(),
            };
            let mut samples = Samples::new();
            let f = &Families::ICMP;
            series.expose(f, &mut samples);
            let got =
                [f.min, f.max, f.stddev, f.jitter, f.sent, f.received, f.loss].map(|m| samples.value(m));
            for (got, want) in got.iter().zip(want) {
                let is_near = match (got, want) {
                    (Some(got), Some(want)) => (got - want).abs() < 1e-9,
                    (got, want) => got.is_none() && want.is_none(),
                };
                assert!(is_near, "{sent} {millis:?}: {got:?} {want:?}");
            }
        }
    }
}

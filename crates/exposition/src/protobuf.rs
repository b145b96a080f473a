//! The binary families: `io.prometheus.client.MetricFamily`, each after its length as a varint.
//!
//! Field numbers are those of prometheus/client_model's `metrics.proto`. Only what is exposed here is written.

use std::time::{SystemTime, UNIX_EPOCH};

use gostd::protobuf::{bytes, double, message, number};

use super::{Kind, Label};

/// Begins a family: name, help and type.
pub fn family(out: &mut Vec<u8>, name: &str, help: &str, kind: Kind) {
    bytes(out, 1, name.as_bytes());
    bytes(out, 2, help.as_bytes());
    let kind = match kind {
        Kind::Counter => 0,
        Kind::Gauge => 1,
        Kind::Histogram => 4,
    };
    number(out, 3, kind);
}

/// Adds a gauge to the family.
pub fn gauge<'l>(out: &mut Vec<u8>, labels: impl Iterator<Item = Label<'l>>, value: f64) {
    metric(out, labels, 2, |body| double(body, 1, value));
}

/// Adds a counter to the family.
pub fn counter<'l>(
    out: &mut Vec<u8>,
    labels: impl Iterator<Item = Label<'l>>,
    value: f64,
    created: Option<SystemTime>,
) {
    metric(out, labels, 3, |body| {
        double(body, 1, value);
        timestamp(body, 3, created);
    });
}

/// Adds a classic histogram to the family.
pub fn histogram<'l>(
    out: &mut Vec<u8>,
    labels: impl Iterator<Item = Label<'l>>,
    buckets: &[(f64, u64)],
    sum: f64,
    count: u64,
    created: Option<SystemTime>,
) {
    metric(out, labels, 7, |body| {
        number(body, 1, count);
        double(body, 2, sum);
        for (bound, up_to) in buckets {
            message(body, 3, |bucket| {
                number(bucket, 1, *up_to);
                double(bucket, 2, *bound);
            });
        }
        timestamp(body, 15, created);
    });
}

/// A `google.protobuf.Timestamp`, if there is one. Its fields are left out where they are 0.
fn timestamp(out: &mut Vec<u8>, field: u64, at: Option<SystemTime>) {
    let Some(since) = at.and_then(|at| at.duration_since(UNIX_EPOCH).ok()) else {
        return;
    };
    message(out, field, |body| {
        for (field, value) in [(1, since.as_secs()), (2, since.subsec_nanos().into())] {
            if value != 0 {
                number(body, field, value);
            }
        }
    });
}

fn metric<'l>(
    out: &mut Vec<u8>,
    labels: impl Iterator<Item = Label<'l>>,
    field: u64,
    body: impl FnOnce(&mut Vec<u8>),
) {
    message(out, 4, |metric| {
        for (name, value) in labels {
            message(metric, 1, |pair| {
                bytes(pair, 1, name.as_bytes());
                bytes(pair, 2, value.as_bytes());
            });
        }
        message(metric, field, body);
    });
}

//! The binary families: `io.prometheus.client.MetricFamily`, each after its length as a varint.
//!
//! Field numbers are those of prometheus/client_model's `metrics.proto`. Only what is exposed here is written.

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

/// Adds a counter or gauge to the family.
pub fn sample<'l>(out: &mut Vec<u8>, labels: impl Iterator<Item = Label<'l>>, kind: Kind, value: f64) {
    let field = if kind == Kind::Counter { 3 } else { 2 };
    metric(out, labels, field, |body| double(body, 1, value));
}

/// Adds a classic histogram to the family.
pub fn histogram<'l>(
    out: &mut Vec<u8>,
    labels: impl Iterator<Item = Label<'l>>,
    buckets: &[(f64, u64)],
    sum: f64,
    count: u64,
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

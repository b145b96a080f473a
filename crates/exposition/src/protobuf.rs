//! The binary families: `io.prometheus.client.MetricFamily`, each after its length as a varint.
//!
//! Field numbers are those of prometheus/client_model's `metrics.proto`. Only what is exposed here is written.

use super::{Kind, Label};

const LENGTH_DELIMITED: u64 = 2;
const FIXED_64: u64 = 1;

/// Begins a family: name, help and type.
pub fn family(out: &mut Vec<u8>, name: &str, help: &str, kind: Kind) {
    bytes(out, 1, name.as_bytes());
    bytes(out, 2, help.as_bytes());
    let kind = match kind {
        Kind::Counter => 0,
        Kind::Gauge => 1,
        Kind::Histogram => 4,
    };
    integer(out, 3, kind);
}

/// Adds a counter or gauge to the family.
pub fn sample<'l>(out: &mut Vec<u8>, labels: impl Iterator<Item = Label<'l>>, kind: Kind, value: f64) {
    let mut body = Vec::with_capacity(9);
    double(&mut body, 1, value);
    metric(out, labels, if kind == Kind::Counter { 3 } else { 2 }, &body);
}

/// Adds a classic histogram to the family.
pub fn histogram<'l>(
    out: &mut Vec<u8>,
    labels: impl Iterator<Item = Label<'l>>,
    buckets: &[(f64, u64)],
    sum: f64,
    count: u64,
) {
    let mut body = Vec::new();
    integer(&mut body, 1, count);
    double(&mut body, 2, sum);
    for (bound, up_to) in buckets {
        let mut bucket = Vec::with_capacity(20);
        integer(&mut bucket, 1, *up_to);
        double(&mut bucket, 2, *bound);
        bytes(&mut body, 3, &bucket);
    }
    metric(out, labels, 7, &body);
}

/// Appends an unsigned number, seven bits a byte, lowest first.
pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn metric<'l>(out: &mut Vec<u8>, labels: impl Iterator<Item = Label<'l>>, field: u64, body: &[u8]) {
    let mut metric = Vec::with_capacity(64);
    for (name, value) in labels {
        let mut pair = Vec::with_capacity(name.len() + value.len() + 4);
        bytes(&mut pair, 1, name.as_bytes());
        bytes(&mut pair, 2, value.as_bytes());
        bytes(&mut metric, 1, &pair);
    }
    bytes(&mut metric, field, body);
    bytes(out, 4, &metric);
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | LENGTH_DELIMITED);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    varint(out, field << 3 | FIXED_64);
    out.extend_from_slice(&value.to_le_bytes());
}

fn integer(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

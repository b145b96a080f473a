//! Printing the samples of a usual http probe in each format, and reading what a scraper accepts.
#![allow(missing_docs, reason = "a benchmark has no callers")]

use blackbox_exporter::metrics::{Exposition, Format, Labels, Metric, Samples, encode, push_float};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// What an https probe of one hop exposes.
fn samples() -> Samples {
    let mut samples = Samples::new();
    for phase in ["resolve", "connect", "tls", "processing", "transfer"] {
        samples.set_label(Metric::HttpDuration, phase, 0.001_234_567);
    }
    for (metric, value) in [
        (Metric::HttpContentLength, 18.0),
        (Metric::HttpUncompressedBodyLength, 18.0),
        (Metric::HttpRedirects, 0.0),
        (Metric::HttpSsl, 1.0),
        (Metric::HttpStatusCode, 200.0),
        (Metric::HttpVersion, 1.1),
        (Metric::FailedDueToRegex, 0.0),
        (Metric::IpProtocol, 4.0),
        (Metric::IpAddrHash, 3_668_918_509.0),
        (Metric::DnsLookupTime, 0.000_012),
        (Metric::SslEarliestCertExpiry, 1.8e9),
        (Metric::SslLastChainExpiry, 1.8e9),
        (Metric::Success, 1.0),
        (Metric::Duration, 0.004_2),
        (Metric::Timeout, 9.5),
    ] {
        samples.set(metric, value);
    }
    let leaf = [
        "0123456789abcdef".repeat(4),
        "CN=ca".to_owned(),
        "1f".to_owned(),
        "CN=www".to_owned(),
        "www".to_owned(),
    ];
    samples.set_labels(
        Metric::SslLastChainInfo,
        Labels::Values(leaf.map(Into::into).into()),
        1.0,
    );
    samples
}

#[divan::bench(args = [Format::Text, Format::OpenMetrics, Format::Protobuf])]
fn probe(bencher: Bencher, format: Format) {
    let samples = samples();
    bencher.bench_local(|| {
        let mut out = Vec::with_capacity(8192);
        encode::probe(black_box(&samples), Exposition::new(format), &mut out);
        out
    });
}

#[divan::bench]
fn collect() -> Samples {
    samples()
}

#[divan::bench(args = [1.0, 0.001_234_567, 3_668_918_509.0])]
fn float(bencher: Bencher, value: f64) {
    bencher.bench_local(|| {
        let mut out = Vec::with_capacity(32);
        push_float(&mut out, black_box(value));
        out
    });
}

#[divan::bench]
fn negotiate() -> Exposition {
    Exposition::negotiate(black_box(Some(
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
         text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
    )))
}

//! The pipeline around the exporter, with the real programs: Prometheus scrapes, a receiver that obeys
//! DeepFlow's rules gets the samples. A program that is not on this machine makes its tests say
//! `skipped: needs …` and pass.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests may fail loudly: that is what they are for"
)]

mod cluster;
mod comparison;
mod deepflow;
mod discovery;
mod documents;
mod examples;
mod exposition;
mod support;
mod units;

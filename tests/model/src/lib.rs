//! Every order in which threads can use what the exporter's threads share, tried by loom: `cargo test` in this folder. The sources are
//! the exporter's own.

#![cfg(test)]

mod memory;

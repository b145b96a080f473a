//! What a probe measured, and how it is printed.

pub mod catalog;
pub mod encode;
pub mod negotiate;
pub mod samples;

pub use catalog::Metric;
pub use samples::{Labels, Sample, Samples};

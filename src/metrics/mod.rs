//! What a probe measured, and how it is printed.

pub mod catalog;
pub mod encode;
pub mod escaping;
pub mod negotiate;
mod protobuf;
pub mod samples;

pub use catalog::Metric;
pub use encode::{Encoder, Kind};
pub use escaping::Escaping;
pub use gostd::float::{self, push_float};
pub use negotiate::{Exposition, Format};
pub use samples::{Labels, Sample, Samples};

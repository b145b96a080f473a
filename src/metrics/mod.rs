//! What a probe measured, and how it is printed.

pub mod catalog;
pub mod encode;
pub mod own;
pub mod samples;
mod since;

pub use catalog::Metric;
pub use exposition::{Encoder, Escaping, Exposition, Format, Kind, negotiate};
pub use gostd::float::{self, push_float};
pub use samples::{Labels, Sample, Samples};
pub use since::Since;

#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod encode;
pub mod escaping;
pub mod negotiate;
mod protobuf;

pub use encode::{Encoder, Kind, Label};
pub use escaping::Escaping;
pub use negotiate::{Exposition, Format};

#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod encode;
pub mod escaping;
mod kind;
pub mod negotiate;
mod protobuf;

pub use encode::Encoder;
pub use escaping::Escaping;
pub use kind::{Kind, Label};
pub use negotiate::{Exposition, Format};

#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod data;
mod edns;
pub mod message;
pub mod names;
pub mod query;
pub mod record;
mod special;
mod svcb;
mod text;
mod wire;

pub use data::Header;
pub use message::Message;
pub use query::{Edns, NameError, Query};
pub use record::{Record, Signature};
pub use wire::Malformed;

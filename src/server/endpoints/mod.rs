//! The endpoints, one file each; [`pages`](super::pages) has those that answer with HTML.

pub mod logs;
pub mod metrics;
pub mod playground;
pub mod probe;
pub mod reload;
pub mod targets;

//! The trace context that probes send, and the spans and logs that are exported.

mod attempts;
mod collector;
mod context;
mod export;
mod recorder;

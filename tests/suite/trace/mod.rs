//! The trace context that probes send, and what is told about it.

mod context;
mod recorder;
